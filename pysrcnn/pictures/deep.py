"""TIFF files of 16 bits a channel and of floating point, for which Pillow has no arrays.

They need tifffile, the extra `deep`: ``pip install ".[deep]"``. Without it, Pillow reads them as 8
bits, with a note, or not at all.
"""

import importlib.util
import io
import math
import os
import struct
from typing import Any

import numpy as np

from ._limits import claims_too_much
from ._metadata import COMPRESSIONS
from ._structure import examine

__all__ = [
    "INSTALL",
    "Failed",
    "Unread",
    "available",
    "check_piece",
    "helps",
    "read",
    "tiff_options",
    "write_tiff",
]

INSTALL = 'pip install ".[deep]" in the clone of pysrcnn'
_DECODERS = "imagecodecs"  # tifffile needs it for LZW and others
_TYPES = ("uint8", "uint16", "float16", "float32", "float64")
_UNSPECIFIED, _PREMULTIPLIED = 0, 1  # of TIFF's ExtraSamples
_WHITE_IS_0, _BLACK_IS_0, _RGB = 0, 1, 2  # of PhotometricInterpretation
_APART = 2  # of PlanarConfiguration
# Of Compression: none, LZW, zlib, PackBits, LZMA and ZSTD, which unpack as much as is asked for ...
_STOPS = (1, 5, 8, 32773, 32946, 34925, 50000)
# ... and embedded pictures, which state their own size.
_PICTURES = dict.fromkeys((7, 33007, 34892), "jpeg") | {34933: "png", 50001: "webp"}
_JPEG2000, _LERC = (33003, 33004, 33005, 34712), 34887


def available() -> bool:
    """Return whether tifffile is installed, to read and write deep colour in TIFF files."""
    return _is_there("tifffile")


def helps() -> bool:
    """Return whether `INSTALL` would allow more TIFF files to be read."""
    return not (available() and _is_there(_DECODERS))


def _is_there(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except ValueError:  # half imported, by another thread
        return True


class Unread(ValueError):
    """Raised for a file that is not read here; the message says why."""


class Failed(Unread):
    """Raised for a file at which a library failed; the message quotes it."""


def read(content: bytes) -> np.ndarray | None:
    """Read the pixels of a TIFF file at full depth.

    Returns
    -------
    picture : array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), or None
        Of uint8, uint16, float32 or float64, not turned by EXIF's orientation. Black is 0, alpha is
        straight, and other channels are left out. None if this kind of file is not read here;
        Pillow may read it.

    Raises
    ------
    Failed
        If the library fails.
    Unread
        If the size of compressed pixels is unknown, or too large, before they are unpacked.
    MemoryError
    """
    try:
        return _read_tiff(content)
    except (MemoryError, Unread):
        raise
    except Exception as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise Failed(f"tifffile failed, {words[0][:100]}") from None


def _read_tiff(content: bytes) -> np.ndarray | None:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page: Any = file.pages[0]
        # As int, since tifffile gives TIFF 6.0's default for a missing tag as a plain number.
        photometric, planes = int(page.photometric), int(page.planarconfig)
        colours = {_RGB: 3, _BLACK_IS_0: 1, _WHITE_IS_0: 1}.get(photometric)
        if colours is None or page.dtype is None or page.dtype.name not in _TYPES:
            return None
        if page.dtype.kind == "u" and page.bitspersample != 8 * page.dtype.itemsize:
            return None  # 12 bits, for example, where white is 4095
        tile = math.prod(page.chunks) * page.dtype.itemsize if page.is_tiled else 0
        if claims_too_much(max(page.nbytes, tile), len(content)):
            return None
        for place, size in zip(page.dataoffsets, page.databytecounts, strict=False):
            if int(page.compression) not in _STOPS:
                check_piece(page, content[place : place + size])
        picture = page.asarray()
        if picture.ndim == 3 and planes == _APART:
            picture = np.moveaxis(picture, 0, -1)
        extra, white_is_zero = tuple(page.extrasamples), photometric == _WHITE_IS_0
    picture = picture[:, :, None] if picture.ndim == 2 else picture
    if picture.ndim != 3 or picture.shape[2] < colours:
        return None
    if picture.dtype == np.float16:
        picture = picture.astype(np.float32)
    white = 1 if picture.dtype.kind == "f" else np.iinfo(picture.dtype).max
    # A single extra channel of unstated meaning is alpha, as in Pillow.
    alpha = extra[0] != _UNSPECIFIED if extra else picture.shape[2] == colours + 1
    picture = picture[:, :, : colours + alpha]
    if white_is_zero:
        picture[:, :, 0] = white - picture[:, :, 0]
    if extra[:1] == (_PREMULTIPLIED,):
        _divide_by_alpha(picture, white)
    return picture if picture.shape[2] > 1 else picture[:, :, 0]


def check_piece(page: Any, content: bytes) -> None:
    """Raise `Unread` if a strip or tile of tifffile's page may unpack to more than its tags say.

    Most decompressors stop where the piece is full. Embedded pictures state a size of their own,
    which is compared with the tags; those whose size is hard to find are not read.
    """
    packing = int(page.compression)
    if packing in _STOPS or not content:
        return
    high = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    wide = page.tilewidth if page.is_tiled else page.imagewidth
    try:
        height, width, channels = _inner_shape(packing, content, page)
    except (ValueError, struct.error, IndexError):
        raise Unread(f"its pixels are packed in a way ({packing}) that is not read") from None
    if height > high or width > wide or channels > page.samplesperpixel:
        raise Unread(
            f"a piece of {wide} x {high} x {page.samplesperpixel} holds a picture of {width} x "
            f"{height} x {channels}"
        )


def _inner_shape(packing: int, content: bytes, page: Any) -> tuple[int, int, int]:
    """Return the height, width and channels that a picture embedded in a TIFF file states."""
    if packing in _JPEG2000:
        start = content.index(b"\xff\x4f\xff\x51")
        right, bottom, left, top = struct.unpack_from(">4I", content, start + 8)
        (channels,) = struct.unpack_from(">H", content, start + 40)
        return bottom - top, right - left, channels
    if packing == _LERC:
        if not content.startswith(b"Lerc2 ") or page.tags.valueof(50674, default=(4, 0))[1]:
            raise ValueError("packed once more")
        (version,) = struct.unpack_from("<i", content, 6)
        at = 14 if version >= 3 else 10
        height, width = struct.unpack_from("<2i", content, at)
        channels = struct.unpack_from("<i", content, at + 8)[0] if version >= 4 else 1
        if min(height, width, channels) < 1:
            raise ValueError("no size")
        # More of these may follow, with further channels.
        return height, width, channels * content.count(b"Lerc2 ")
    if packing in _PICTURES:
        found = examine(content, "a piece")
        if found and found.kind == _PICTURES[packing] and min(found.shape) > 0:
            return found.shape
    raise ValueError("not known")


def _divide_by_alpha(picture: np.ndarray, white: int) -> None:
    """Undo the multiplication of colour by alpha, in place."""
    colour, alpha = picture[:, :, :-1], picture[:, :, -1:]
    if picture.dtype.kind == "f":
        # Values above white are clipped in the end. They are limited here so as not to be refused.
        colour[:] = np.minimum(colour / np.where(alpha > 0, alpha, 1), np.maximum(colour, 1.5))
    else:
        alpha = np.maximum(alpha, 1).astype(np.uint32)  # in which 65535 * 65535 + 32767 fits
        colour[:] = np.minimum((colour * np.uint32(white) + alpha // 2) // alpha, white)


def write_tiff(
    path: str | os.PathLike, picture: np.ndarray, compression: int = 1, predictor: bool = False
) -> None:
    """Write deep colour as a TIFF file without metadata, compressed as `tiff_options` says.

    Raises
    ------
    OSError, ValueError
        If the library cannot write it.
    """
    import tifffile

    options = tiff_options(picture.shape[2], picture.dtype, compression, predictor)
    tifffile.imwrite(path, picture, **options)


def tiff_options(
    channels: int, dtype: np.dtype, compression: int = 1, predictor: bool = False
) -> dict[str, Any]:
    """Return tifffile's options for the kinds of channels and the compression, without metadata.

    `compression` is TIFF's number; without imagecodecs, zlib is used in place of others.
    """
    photometric = "rgb" if channels > 2 else "minisblack"
    options: dict[str, Any] = {"photometric": photometric, "planarconfig": "contig"}
    if channels in (2, 4):
        options["extrasamples"] = ["UNASSALPHA"]
    if compression != 1:
        _, packing = COMPRESSIONS[compression]
        has_all = _is_there(_DECODERS)
        options["compression"] = packing if has_all else "zlib"
        options["predictor"] = predictor and (dtype.kind == "u" or has_all)
    return options | {"metadata": None, "software": False}
