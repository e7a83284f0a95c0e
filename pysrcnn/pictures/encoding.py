"""Encoding pixels by Pillow, with the metadata that it writes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._formats import KINDS
from ._metadata import COMPRESSIONS
from ._picture_file import PictureFile

__all__ = ["ENCODING", "animation_options", "encoded", "tiff_options", "timing"]

# Pillow's options for each format. zlib's level 3 takes a third of the time of level 6, and makes
# files of photographs some 7% larger.
ENCODING: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 3},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"quality": 95},
    "bmp": {"dpi": (0, 0)},  # unstated, where Pillow would write 96
}
# The longest duration of a frame in milliseconds, and the most times an animation is played.
_LIMITS_OF_TIME = {
    "gif": (655_350, 65_536), "png": (65_535_000, 2**31 - 1), "webp": (2**24 - 1, 65_535),
}  # fmt: skip
_PREDICTOR = 317  # of TIFF


def encoded(frames: list[np.ndarray], suffix: str, options: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file of this suffix; several frames make an animation.

    `options` take precedence over those of `ENCODING`. Pillow does not write the file itself,
    since it does not notice when the disk is full.
    """
    import imageio.v3 as imageio  # not at the top: `import pysrcnn` stays quick

    options = {
        "plugin": "pillow",
        "extension": suffix,
        **ENCODING.get(KINDS[suffix], {}),
        **options,
    }
    pixels: Any = frames if len(frames) > 1 else frames[0]
    content = imageio.imwrite("<bytes>", pixels, is_batch=len(frames) > 1, **options)
    assert isinstance(content, bytes)
    return content


def tiff_options(frame: np.ndarray, compression: int, predictor: bool) -> dict[str, Any]:
    """Return Pillow's options for the compression of a TIFF file, given TIFF's number."""
    packing, _ = COMPRESSIONS[compression]
    differs = predictor and frame.dtype.kind == "u"
    return {"compression": packing} | ({"tiffinfo": {_PREDICTOR: 2}} if differs else {})


def animation_options(file: PictureFile, frames: list[np.ndarray], kind: str) -> dict[str, Any]:
    """Return Pillow's options for the durations of frames and the number of plays."""
    durations, plays, _ = timing(file, kind)
    if kind != "gif":
        return {"duration": durations, "loop": plays}
    # In hundredths of a second, rounded so that the total duration is kept.
    ends = np.round(np.cumsum(durations) / 10).astype(int) * 10
    options: dict[str, Any] = {"duration": [int(d) for d in np.diff(ends, prepend=0)]}
    if plays != 1:
        options["loop"] = max(0, plays - 1)
    if frames[0].shape[2:] == (4,):  # transparency must not show the frame before
        options["disposal"] = 2
    return options


def timing(file: PictureFile, kind: str) -> tuple[list[float], int, list[str]]:
    """Return durations and plays as the format can hold them, and what differs, in words."""
    longest, most = _LIMITS_OF_TIME[kind]
    durations = file.durations or [0.0] * len(file.frames)
    plays, losses = file.plays, []
    fitting = [d if 0 <= d <= longest else longest if d > longest else 0.0 for d in durations]
    if fitting != durations:  # also where one is NaN
        losses.append(f"times of frames that are not from 0 to {longest / 1000:g} s")
    if not 0 <= plays <= most:
        losses.append(f"that it is played {plays} times (it is played without end)")
        plays = 0
    return fitting, plays, losses
