"""The colours of videos: from YCbCr, of several matrices and two ranges, to RGB and back.

A video states its matrix and range. If it does not, they are what players assume: BT.601 up to 576
lines, BT.709 above, in studio range. The numbers are those of ITU-T H.273. The result has the same
matrix, in studio range, and states both; primaries and transfer stay the same, since RGB is not
changed. FFmpeg converts by its slower, more accurate method, to within half a level.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Colours", "colours_of", "to_rgb", "to_yuv"]

RGB, BT709, UNKNOWN, BT601 = 0, 1, 2, 6
UNSTATED, STUDIO, FULL = 0, 1, 2  # FFmpeg's numbers of ranges
_HDR = {16: "PQ", 18: "HLG"}
# The matrices that can be converted, with the numbers that FFmpeg's scaler has for them.
_SCALERS = {BT709: 1, 4: 4, 5: 5, BT601: 5, 7: 7, 9: 9}
_LINES = 576  # of standard definition
_STRETCHED = np.clip((np.arange(256) - 16) * 255 / 219, 0, 255).round().astype(np.uint8)


class Colours(NamedTuple):
    """The colours of a video, by the numbers of H.273, and FFmpeg's for the range."""

    matrix: int
    primaries: int
    transfer: int
    range: int
    is_rgb: bool


def colours_of(context: Any, first: Any, path: Path) -> Colours:
    """Return the colours of a video by its stream and first frame; raise for HDR and others."""

    def said(name: str, unknown: tuple[int, ...]) -> int:
        values = [int(getattr(about, name)) for about in (first, context)]
        return next((value for value in values if value not in unknown), unknown[0])

    transfer = said("color_trc", (UNKNOWN, 0))
    if transfer in _HDR:
        raise ValueError(
            f"{path} is HDR ({_HDR[transfer]}), and its light does not fit into the 8 bits of the "
            f"result: convert it to SDR (BT.709) first"
        )
    is_rgb = first.format.is_rgb
    matrix = BT709 if is_rgb else said("colorspace", (UNKNOWN, RGB))
    if matrix == UNKNOWN:
        matrix = BT601 if first.height <= _LINES else BT709
    if matrix not in _SCALERS:
        raise ValueError(
            f"{path} has colours of a kind that is not read (matrix {matrix} of H.273): convert "
            f"it to BT.709 first"
        )
    full = is_rgb or first.format.name.startswith("yuvj")
    assumed = FULL if _is_grey(first.format) else STUDIO  # as FFmpeg does
    levels = FULL if full else said("color_range", (UNSTATED,)) or assumed
    return Colours(matrix, said("color_primaries", (UNKNOWN, 0)), transfer, levels, is_rgb)


def _is_grey(format: Any) -> bool:
    return not format.has_palette and sum(not part.is_alpha for part in format.components) == 1


def _flags() -> Any:
    from av.video.reformatter import Interpolation as How

    return How.BICUBIC | How.ACCURATE_RND | How.FULL_CHR_H_INT | How.FULL_CHR_H_INP


def to_rgb(colours: Colours) -> Callable[[Any], np.ndarray]:
    """Return a function that converts PyAV's frames to uint8 arrays (H, W, 3)."""
    from av.video.reformatter import VideoReformatter

    reformatter, flags = VideoReformatter(), _flags()

    def convert(frame: Any) -> np.ndarray:
        if not colours.is_rgb:
            frame.colorspace, frame.color_range = colours.matrix, colours.range
        picture = reformatter.reformat(frame, format="rgb24", interpolation=flags).to_ndarray()
        # FFmpeg takes all grey for full range.
        is_studio = colours.range == STUDIO and _is_grey(frame.format)
        return _STRETCHED[picture] if is_studio else picture

    return convert


def to_yuv(colours: Colours) -> Callable[[np.ndarray], Any]:
    """Return a function that converts uint8 arrays (H, W, 3) to frames for the encoder."""
    from av import VideoFrame
    from av.video.reformatter import VideoReformatter

    reformatter, flags = VideoReformatter(), _flags()

    def convert(picture: np.ndarray) -> Any:
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.color_range = FULL
        return reformatter.reformat(
            frame, format="yuv420p", interpolation=flags, dst_color_range=STUDIO,
            dst_colorspace=_SCALERS[colours.matrix],
        )  # fmt: skip

    return convert
