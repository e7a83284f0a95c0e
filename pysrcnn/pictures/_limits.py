"""What a picture file holds, and how much that may be: some are small on disk and large in memory.

By damage, or on purpose.
"""

import dataclasses
import math
import os
from typing import Any, BinaryIO

import numpy as np

__all__ = [
    "BESIDE",
    "PIECES",
    "UNPACKED",
    "WHOLE",
    "Parts",
    "Refused",
    "Stored",
    "Structure",
    "check_claim",
    "claims_too_much",
]

WHOLE = 2**26  # bytes of files that are read before it is known what they are
BYTES = 2**25  # of pixels, however few they are in the file: a screen of 3840 x 2160, RGBA
TIMES = 500  # as many as in the file: photographs take ten at most, and all white is a thousand
FRAMES = 4  # times as many in animations, whose frames repeat much of the one before
FRAME = 2**16  # bytes that a frame counts for at least, as it takes time however small it is
ROW = 64  # and a row
LARGE = 3 * 10**8  # bytes of pixels, beyond which there has to be more in the file for each
TIMES_LARGE = 60
PIECES = 2**17  # chunks, segments, extensions of a file
BESIDE = 2**24  # bytes beside the pixels, of a kind
UNPACKED = 2**20  # bytes of a text, and of a profile, that Pillow unpacks


class Refused(ValueError):
    """A file that is not read, with the whole sentence that says why."""


class Stored:
    """A file of which what is asked for is read, as slices, as if it were its bytes."""

    def __init__(self, file: BinaryIO):
        self.file, self.size = file, file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self.size)
        self.file.seek(start)
        return self.file.read(max(0, stop - start))


class Parts(list[slice | bytes]):
    """Slices of a file that are kept, of which those that follow each other are one, and bytes."""

    def keep(self, start: int, stop: int) -> None:
        """One more slice."""
        last = self[-1] if self else b""
        if isinstance(last, slice) and last.stop == start:
            self[-1] = slice(last.start, stop)
        else:
            self.append(slice(start, stop))


@dataclasses.dataclass
class Structure:
    """What a picture file says it holds, which is no more than it can, and where that is."""

    kind: str  # "png", "jpeg", "webp", "tiff", "bmp" or "gif"
    shape: tuple[int, int, int]  # height, width, channels
    bits: int = 8  # a channel
    data: int = 0  # bytes of the file that are pixels
    least: int = 0  # as many as they take at least, by the best way to pack them that there is
    parts: Parts = dataclasses.field(default_factory=Parts)  # what a reader has to see
    content: bytes = b""  # these, joined
    frames: int = 1  # of an animation; pages of a TIFF file, of which 100,000 are counted
    notes: list[str] = dataclasses.field(default_factory=list)  # what is left out, in sentences
    # What is in place of what the reader finds, by its name in Pillow: "icc_profile", "exif".
    beside: dict[Any, Any] = dataclasses.field(default_factory=dict)
    # Of a PNG file: chunks beside the pixels that are whole, kind and content; and of XMP, EXIF and
    # others in the form of texts, the keyword and the text, unpacked.
    chunks: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    profiles: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    lossy: bool = False  # whether pixels of a WebP file are
    colours: str = ""  # what the channels of a TIFF file are, if neither grey nor RGB
    whole: bool = True  # whether all that a TIFF file points to is in it

    @property
    def dtype(self) -> np.dtype:
        """The smallest type that holds its levels."""
        return np.dtype(bool) if self.bits == 1 else np.min_scalar_type(2 ** min(self.bits, 64) - 1)


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
            f"which only damaged or empty pictures do: if it is intact, {advice}"
        )
