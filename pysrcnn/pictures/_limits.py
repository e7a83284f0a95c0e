"""What a picture file holds, and limits on it.

By damage or on purpose, a file may be small on disk and large in memory.
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

WHOLE = 2**26  # bytes of a file that are read at once, before it is known what it is
BYTES = 2**25  # of pixels, allowed in any file: a screen of 3840 x 2160, RGBA
TIMES = 500  # the bytes in the file: photographs expand to ten times, and plain white to a thousand
FRAMES = 4  # times more for animations, whose frames repeat much of the one before
FRAME = 2**16  # bytes that a frame counts as at least, since even a small one takes time
ROW = 64  # bytes that a row counts as at least
LARGE = 3 * 10**8  # bytes of pixels, beyond which only TIMES_LARGE is allowed
TIMES_LARGE = 60
PIECES = 2**17  # chunks, segments, extensions of a file
BESIDE = 2**24  # bytes of metadata, of each kind
UNPACKED = 2**20  # bytes of a text, or of a profile, that Pillow may unpack


class Refused(ValueError):
    """Raised for a file that is not read; the message is the whole sentence that says why."""


class Stored:
    """A file that can be sliced like bytes; only the slices are read."""

    def __init__(self, file: BinaryIO):
        self.file, self.size = file, file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self.size)
        self.file.seek(start)
        return self.file.read(max(0, stop - start))


class Parts(list[slice | bytes]):
    """The parts of a file that are kept: slices, adjacent ones merged, and bytes."""

    def keep(self, start: int, stop: int) -> None:
        """Add a slice."""
        last = self[-1] if self else b""
        if isinstance(last, slice) and last.stop == start:
            self[-1] = slice(last.start, stop)
        else:
            self.append(slice(start, stop))


@dataclasses.dataclass
class Structure:
    """What a picture file says it holds, and where that is."""

    kind: str  # "png", "jpeg", "webp", "tiff", "bmp" or "gif"
    shape: tuple[int, int, int]  # height, width, channels
    bits: int = 8  # a channel
    data: int = 0  # bytes of the file that are pixels
    least: int = 0  # bytes that the best compression of them takes
    parts: Parts = dataclasses.field(default_factory=Parts)  # what a decoder has to see
    content: bytes = b""  # the parts, joined
    frames: int = 1  # of an animation; pages of a TIFF file, counted up to 100,000
    notes: list[str] = dataclasses.field(default_factory=list)  # what is left out, in sentences
    # Replaces what the decoder finds, by Pillow's name for it: "icc_profile", "exif".
    beside: dict[Any, Any] = dataclasses.field(default_factory=dict)
    # Of a PNG file: intact chunks of metadata (kind, content); and XMP, EXIF and others that are
    # stored as texts (keyword, unpacked text).
    chunks: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    profiles: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    lossy: bool = False  # whether the pixels of a WebP file are
    colours: str = ""  # what the channels of a TIFF file are, if neither grey nor RGB
    whole: bool = True  # whether a TIFF file contains all that it points to
    holes: bool = False  # whether strips or tiles of a TIFF file are not stored

    @property
    def dtype(self) -> np.dtype:
        """The smallest dtype that holds its levels."""
        return np.dtype(bool) if self.bits == 1 else np.min_scalar_type(2 ** min(self.bits, 64) - 1)


def claims_too_much(pixels: int, size: int, frames: int = 1) -> bool:
    """Return whether `pixels`, in bytes, are more than a file of `size` bytes is likely to hold.

    Nearly empty pictures may hold more. They are refused all the same if they are large.
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
        (H, W) or (H, W, channels), of one frame.
    dtype : dtype
        bool is black and white, of which twice as much is read, since it compresses better.
    size : int
        Bytes of the file, or of the pixels stored in it.
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
