"""The structure of a TIFF file, or of EXIF, and how much it claims to hold.

TIFF readers take the time and memory that a file asks for: a hundred thousand pages, tags that all
hold the same megabytes. So a file is examined here first, with bounds on every step.
"""

import contextlib
import itertools
import math
import struct

import numpy as np

from ._directories import Entry, Tiff
from ._limits import WHOLE, Parts, Refused, Stored, Structure, check_claim

__all__ = ["examine", "is_bounded"]

_PIECES = 2**20  # strips or tiles
_COPIES = 64  # pages that may be reduced copies of the first
SUBFILE, WIDTH, HEIGHT, BITS, COLOURS = 254, 256, 257, 258, 262
SAMPLES, TILE_WIDTH, TILE_HEIGHT, BELOW, DNG = 277, 322, 323, 330, 50706
_OFFSETS, _COUNTS = (273, 324), (279, 325)  # of strips, of tiles
_MORE = (0x8769, 0x8825, 0xA005)  # EXIF's pointers to its own tags, to GPS and to interoperability
_CAMERA = (32803, 34892)  # of PhotometricInterpretation: colour filter array, and linear raw
_COLOUR_NAMES = {
    4: "a mask", 5: "inks (CMYK)", 8: "CIELAB colours", 9: "CIELAB colours (ICC)",
    10: "CIELAB colours (ITU)", 32844: "the logarithm of luminance", 32845: "LogLuv colours",
}  # fmt: skip


def is_bounded(exif: bytes) -> bool:
    """Return whether a block of EXIF claims no more than it holds; True for anything else."""
    exif = exif.removeprefix(b"Exif\0\0")
    tiff = Tiff(exif)
    if not tiff.valid:
        return not exif.startswith((b"II", b"MM"))  # what is no EXIF at all is noticed later
    try:
        size, _ = _extent(tiff, list(itertools.islice(tiff.pages(), 3)), _MORE)
    except ValueError:  # a directory of far too many tags
        return False
    return size <= 2 * len(exif) + 2**16


def _extent(tiff: Tiff, places: list[int], below: tuple[int, ...]) -> tuple[int, int]:
    """Return the bytes of all values in these directories and those below, and where they end."""
    total, reach = 0, 0
    seen: set[int] = set()
    while places:
        place = places.pop()
        if place in seen or len(seen) > 64:
            continue
        seen.add(place)
        with contextlib.suppress(struct.error, OverflowError):
            tags, end = tiff.whole_directory(place)
            total += sum(tag.size for tag in tags.values())
            pointer = struct.calcsize(tiff.pointer)
            reach = max(reach, end + pointer, *(t.at + t.size for t in tags.values()))
            for tag in below:
                places += tiff.values(tags.get(tag)).tolist()
    return total, reach


def examine(source: bytes | Stored, name: str) -> Structure:
    """Return what the first page of a TIFF file, reduced copies of others aside, says it holds.

    Raises
    ------
    Refused
        If it claims to hold more than it can, or is a camera's RAW file.
    ValueError
        If it is damaged.
    """
    size, tiff = len(source), Tiff(source)
    if not tiff.valid:
        raise ValueError("it has no head of a TIFF file")
    pages = list(tiff.pages())
    if not pages:
        raise ValueError("it has no page")
    smaller = next((k for k, at in enumerate(pages) if not _is_smaller(tiff, at)), 0)
    page, behind = pages[smaller], pages[smaller + 1 : smaller + _COPIES]
    tags, _ = tiff.whole_directory(page)
    held, reach = _extent(tiff, [page], (*_MORE, BELOW))
    if held > size + 2**16:
        raise ValueError("its tags claim to hold more than the file does")
    _check_camera(tiff, tags, name)
    data, end, holes = _data_of(tiff, tags, size)
    reach = max(reach, end)
    found = Structure(
        "tiff",
        (tiff.number(HEIGHT, 0, tags), tiff.number(WIDTH, 0, tags), tiff.number(SAMPLES, 1, tags)),
        tiff.number(BITS, 1, tags),
        data,
        frames=max(1, len(pages) - smaller - sum(_is_smaller(tiff, at) for at in behind)),
        colours=_COLOUR_NAMES.get(tiff.number(COLOURS, 0, tags), ""),
        whole=reach <= size,
        holes=holes,
    )
    _check_size(found, (tiff.number(TILE_HEIGHT, 0, tags), tiff.number(TILE_WIDTH, 0, tags)), name)
    if size > WHOLE:
        size = min(size, reach)
        if data < size // 8:
            raise Refused(
                f"{name} has {len(source):,} bytes, of which the first picture takes {data:,}: "
                f"save that as a file of its own"
            )
    found.parts = Parts([slice(0, size)])
    if smaller:  # make it the first page of the file
        pointer = struct.pack(tiff.order + tiff.pointer, page)
        rest = tiff.first_pointer + len(pointer)
        found.parts = Parts([slice(0, tiff.first_pointer), pointer, slice(rest, size)])
    return found


def _is_smaller(tiff: Tiff, page: int) -> bool:
    """Return whether a page is a reduced copy of another one."""
    tags, _ = tiff.whole_directory(page)
    return bool(tiff.number(SUBFILE, 0, tags) & 1)


def _check_size(found: Structure, tile: tuple[int, int], name: str) -> None:
    """Raise for a picture without a size, or with tiles far larger than itself."""
    if min(found.shape) < 1:
        raise ValueError("it does not say its width or height")
    if tile != (0, 0):
        whole = math.prod(found.shape) * found.dtype.itemsize
        check_claim((*tile, found.shape[2]), found.dtype, max(found.data, whole), name)


def _check_camera(tiff: Tiff, tags: dict[int, Entry], name: str) -> None:
    """Raise `Refused` for a camera's raw data, of which readers take the small preview."""
    directories = [tags]
    for place in tiff.values(tags.get(BELOW), 16).tolist():
        with contextlib.suppress(struct.error, OverflowError, ValueError):
            directories.append(tiff.whole_directory(place)[0])
    if DNG in tags or any(tiff.number(COLOURS, 0, t) in _CAMERA for t in directories):
        raise Refused(
            f"{name} is a camera's RAW file, which is not read: develop it to TIFF, PNG or JPEG "
            f"first"
        )


def _data_of(tiff: Tiff, tags: dict[int, Entry], size: int) -> tuple[int, int, bool]:
    """Return the bytes of the page's strips or tiles, where they end, and if some are missing."""
    for tag in _OFFSETS:
        if tag in tags and tags[tag].length > _PIECES:
            raise ValueError(f"its pixels are in {tags[tag].length:,} pieces")
    counts = [tiff.values(tags.get(tag), _PIECES) for tag in _COUNTS]
    if not any(map(len, counts)):
        return size, 0, False
    reach, holes = 0, False
    for where, part in zip(_OFFSETS, counts, strict=True):
        places = tiff.values(tags.get(where), _PIECES)[: len(part)]
        if len(places):
            ends = places.astype("u8") + part[: len(places)]
            reach, holes = max(reach, int(ends.max())), holes or not ends.all()
    total = sum(int(part.sum(dtype=np.float64)) for part in counts)
    if total > 4 * size + 2**26:  # pieces may be shared, but not endlessly
        raise ValueError("its pieces claim to hold more than the file does")
    return min(total, size), reach, holes
