"""Files that are small on disk and large in memory, by damage or on purpose."""

import dataclasses
import math

import numpy as np

__all__ = ["WHOLE", "Refused", "Structure", "check_claim", "claims_too_much"]

WHOLE = 2**26  # bytes of files that are read before it is known what they are
BYTES = 2**25  # of pixels, however few they are in the file: a screen of 3840 x 2160, RGBA
TIMES = 500  # as many as in the file: photographs take ten at most, and all white is a thousand
FRAMES = 4  # times as many in animations, whose frames repeat much of the one before
FRAME = 2**16  # bytes that a frame counts for at least, as it takes time however small it is
ROW = 64  # and a row
LARGE = 3 * 10**8  # bytes of pixels, beyond which there has to be more in the file for each
TIMES_LARGE = 60


class Refused(ValueError):
    """A file that is not read, with the whole sentence that says why."""


@dataclasses.dataclass
class Structure:
    """What a picture file says it holds, which is no more than it can, and where that is.

    Attributes
    ----------
    kind : str
        "png", "jpeg", "webp", "tiff", "bmp" or "gif".
    shape : (height, width, channels)
    bits : int
        A channel.
    data : int
        Bytes of the file that are pixels.
    least : int
        As many bytes as they take at least, by the best way to pack them that there is.
    parts : list of slices and bytes
        What a reader has to see: slices of the file, and what is instead of others.
    frames : int
        Of an animation; pages of a TIFF file, up to `_tiff.PAGES`.
    notes : list of str
        What is left out, a sentence each.
    beside : dict
        What is not left to the reader, by its name in Pillow: "icc_profile".
    colours : str
        What the channels of a TIFF file are, if neither grey nor RGB.
    whole : bool
        Whether all that a TIFF file points to is in it.
    content : bytes
        The parts, joined.
    """

    kind: str
    shape: tuple[int, int, int]
    bits: int
    data: int
    parts: list[slice | bytes]
    least: int = 0
    frames: int = 1
    notes: list[str] = dataclasses.field(default_factory=list)
    beside: dict[str, bytes] = dataclasses.field(default_factory=dict)
    colours: str = ""
    whole: bool = True
    content: bytes = b""


def claims_too_much(pixels: int, size: int, frames: int = 1) -> bool:
    """Whether so many bytes of pixels are more than a file of `size` bytes holds.

    Pictures that are nearly empty may. They are refused all the same, if they are large.
    """
    more = FRAMES if frames > 1 else 1
    return pixels > max(BYTES, min(TIMES * more * size, LARGE), TIMES_LARGE * more * size)


def check_claim(
    shape: tuple[int, ...], dtype: np.dtype, size: int, name: str, frames: int = 1
) -> None:
    """Raise `Refused` if a file of `size` bytes can hardly hold what it claims to.

    Parameters
    ----------
    shape : tuple of ints
        (H, W) or (H, W, channels), of one of the frames.
    dtype : dtype
        bool: black and white, of which twice as much is read, since it packs better.
    size : int
        Bytes of the file, or of its pixels in it.
    """
    pixels = shape[0] * max(math.prod(shape[1:]) * np.dtype(dtype).itemsize, ROW)
    pixels = frames * max(pixels, FRAME) if frames > 1 else pixels
    if np.dtype(dtype).kind == "b":
        pixels //= 2
    if claims_too_much(pixels, size, frames):
        times = f"{frames:,} times " if frames > 1 else ""
        advice = "give its frames one by one" if frames > 1 else "save it without compression"
        raise Refused(
            f"{name} claims to hold {times}{shape[1]:,} x {shape[0]:,} pixels in {size:,} bytes, "
            f"which only damaged or empty pictures do: if it is as it should be, {advice}"
        )
