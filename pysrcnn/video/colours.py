"""The colours of videos: YCbCr by one of some matrices, in one of two ranges, to RGB and back.

A video names its matrix and range; where it does not, they are what players assume: BT.601 up to
576 lines, BT.709 above, in studio range. The numbers are those of ITU-T H.273. The result is of the
same matrix, in studio range, and says both; primaries and transfer are as before, as RGB is left
what it is. FFmpeg converts, in the slower of its ways, to half a level.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Colours", "colours_of", "to_rgb", "to_yuv"]

RGB, BT709, UNKNOWN, BT601 = 0, 1, 2, 6
STUDIO, FULL = 1, 2  # FFmpeg's numbers of ranges
_HDR = {16: "PQ", 18: "HLG"}
# Of matrices that are converted, the number that FFmpeg's scaler has for it.
_SCALERS = {BT709: 1, 4: 4, 5: 5, BT601: 5, 7: 7, 9: 9}
_LINES = 576  # of standard definition


class Colours(NamedTuple):
    """Numbers of H.273, and of the range."""

    matrix: int
    primaries: int
    transfer: int
    range: int
    is_rgb: bool


def colours_of(context: Any, first: Any, path: Path) -> Colours:
    """Those of a video, by its stream and its first frame; raise for HDR and what is not known."""

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
    levels = FULL if full else said("color_range", (0,)) or STUDIO
    return Colours(matrix, said("color_primaries", (UNKNOWN, 0)), transfer, levels, is_rgb)


def _flags() -> Any:
    from av.video.reformatter import Interpolation as How

    return How.BICUBIC | How.ACCURATE_RND | How.FULL_CHR_H_INT | How.FULL_CHR_H_INP


def to_rgb(colours: Colours) -> Callable[[Any], np.ndarray]:
    """The function that makes uint8 arrays (H, W, 3) of PyAV's frames."""
    from av.video.reformatter import VideoReformatter

    reformatter, flags = VideoReformatter(), _flags()

    def convert(frame: Any) -> np.ndarray:
        if not colours.is_rgb:
            frame.colorspace, frame.color_range = colours.matrix, colours.range
        return reformatter.reformat(frame, format="rgb24", interpolation=flags).to_ndarray()

    return convert


def to_yuv(colours: Colours) -> Callable[[np.ndarray], Any]:
    """The function that makes frames for the encoder of uint8 arrays (H, W, 3)."""
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
