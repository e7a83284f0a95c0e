"""The directories of a TIFF file, and of EXIF, which is one: what they say, and how much that is.

Readers of TIFF take time and memory by what a file says of itself: a hundred thousand pages, tags
that all hold the same megabytes. So it is looked at here first, with bounds on all that is done.
"""

import contextlib
import math
import struct
from collections.abc import Iterator

import numpy as np

from ._directories import Entry, entries_of, head_of
from ._limits import WHOLE, Refused, Structure, check_claim

__all__ = ["Directories", "examine", "is_bounded"]

PAGES = 100_000  # that are counted
_TAGS = 4096  # of a directory; some dozen are usual
_PIECES = 2**20  # strips or tiles
_CODES = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
SUBFILE, WIDTH, HEIGHT, BITS, COLOURS = 254, 256, 257, 258, 262
SAMPLES, TILE_WIDTH, TILE_HEIGHT, BELOW, DNG = 277, 322, 323, 330, 50706
_OFFSETS, _COUNTS = (273, 324), (279, 325)  # of strips, of tiles
_MORE = (0x8769, 0x8825, 0xA005)  # of EXIF: more tags, the place on the map, how to read it
_CAMERA = (32803, 34892)  # of PhotometricInterpretation: what a sensor's mosaic gave, and linear
_CALLED = {
    4: "a mask", 5: "inks (CMYK)", 8: "CIELAB colours", 9: "CIELAB colours (ICC)",
    10: "CIELAB colours (ITU)", 32844: "the logarithm of luminance", 32845: "LogLuv colours",
}  # fmt: skip


class Directories:
    """What is read of a TIFF file; `source` is bytes or whatever else has slices of bytes.

    Raises
    ------
    ValueError
        If it does not begin as a TIFF file does.
    """

    def __init__(self, source):
        self.source, head = source, head_of(source[:16])
        if head is None:
            raise ValueError("it has no head of a TIFF file")
        self.order, self.big, _ = head
        self.pointer, self.counter = ("Q", "Q") if self.big else ("I", "H")
        self.first = 8 if self.big else 4  # where the pointer to the first directory is
        self.reach = 0  # how far what was counted goes

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        """Numbers at a place; struct.error beyond the end."""
        return struct.unpack(
            self.order + form, self.source[at : at + struct.calcsize(self.order + form)]
        )

    def at(self, place: int) -> tuple[dict[int, Entry], int]:
        """The tags of the directory at a place, and where the pointer to the next one is."""
        (count,) = self.unpack(self.counter, place)
        if count > _TAGS:
            raise ValueError(f"a directory has {count:,} tags")
        entries = list(entries_of(self.source, place, self.order, self.big))
        if len(entries) < count:
            raise struct.error("it ends within a directory")
        tags: dict[int, Entry] = {}
        for _, tag, entry in entries:
            tags.setdefault(tag, entry)
        return tags, self._after(place, count)

    def _after(self, place: int, count: int) -> int:
        """Where the pointer to the next directory is, behind one of so many tags."""
        return place + (8 + 20 * count if self.big else 2 + 12 * count)

    def pages(self) -> Iterator[int]:
        """Where the directories of the pages are, one after the other, each once."""
        seen, pointer = set(), self.first
        with contextlib.suppress(struct.error, OverflowError):
            while len(seen) < PAGES:
                (place,) = self.unpack(self.pointer, pointer)
                if not place or place in seen:
                    return
                seen.add(place)
                (count,) = self.unpack(self.counter, place)
                yield place
                pointer = self._after(place, count)

    def numbers(self, tag: Entry | None, most: int = 64) -> np.ndarray:
        """The values of a tag as integers, `most` of them; none if it has others."""
        if tag is None or tag.kind not in _CODES:
            return np.zeros(0, np.uint64)
        dtype = np.dtype(self.order + _CODES[tag.kind])
        block = self.source[tag.at : tag.at + min(tag.count, most) * dtype.itemsize]
        return np.frombuffer(block[: len(block) // dtype.itemsize * dtype.itemsize], dtype)

    def number(self, tags: dict[int, Entry], tag: int, default: int) -> int:
        """The first value of a tag; where there is none, what TIFF 6.0 says that it is."""
        found = self.numbers(tags.get(tag), 1)
        return int(found[0]) if len(found) else default

    def sizes(self, places: list[int], below: tuple[int, ...] = _MORE) -> int:
        """Bytes of the values of all tags in these directories and those that they point to."""
        total, seen = 0, set()
        while places:
            place = places.pop()
            if place in seen or len(seen) > 64:
                continue
            seen.add(place)
            with contextlib.suppress(struct.error, OverflowError):
                tags, end = self.at(place)
                total += sum(tag.size for tag in tags.values())
                ends = [end + (8 if self.big else 4), *(tag.at + tag.size for tag in tags.values())]
                self.reach = max(self.reach, *ends)
                for tag in below:
                    places += self.numbers(tags.get(tag)).tolist()
        return total


def is_bounded(exif: bytes) -> bool:
    """Whether reading a block of EXIF takes no more than it has; anything else does not."""
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        found = Directories(exif)
        places = [place for _, place in zip(range(3), found.pages())]
        return found.sizes(places) <= 2 * len(exif) + 2**16
    except ValueError:  # no head, which is seen elsewhere; or directories beyond reason
        return not exif.startswith((b"II", b"MM"))


def examine(source, name: str) -> Structure:
    """What the first page of a TIFF file, that is no smaller copy of another one, says it holds.

    Raises
    ------
    Refused
        If it claims to hold more than it can, or is a camera's RAW file.
    ValueError
        If it is damaged.
    """
    size = len(source)
    found = Directories(source)
    pages = list(found.pages())
    if not pages:
        raise ValueError("it has no page")
    smaller = 0
    for page in pages:
        tags, _ = found.at(page)
        if not found.number(tags, SUBFILE, 0) & 1:
            break
        smaller += 1
    else:
        smaller, page = 0, pages[0]
        tags, _ = found.at(page)
    if found.sizes([page], (*_MORE, BELOW)) > size + 2**16:
        raise ValueError("its tags claim to hold more than the file does")
    _check_camera(found, tags, name)
    height, width, samples, bits = (
        found.number(tags, tag, default)
        for tag, default in ((HEIGHT, 0), (WIDTH, 0), (SAMPLES, 1), (BITS, 1))
    )
    dtype = np.dtype(bool) if bits == 1 else np.min_scalar_type(2 ** min(bits, 64) - 1)
    data = _data_of(found, tags, size)
    shape = (height, width, samples)
    if min(shape) < 1:
        raise ValueError("it does not say its width or height")
    tile = found.number(tags, TILE_HEIGHT, 0), found.number(tags, TILE_WIDTH, 0)
    if tile != (0, 0):
        check_claim((*tile, samples), dtype, max(data, math.prod(shape) * dtype.itemsize), name)
    reach = size
    if size > WHOLE:
        reach = min(size, found.reach)
        if data < reach // 8:
            raise Refused(
                f"{name} has {size:,} bytes, of which the first picture takes {data:,}: save that "
                f"as a file of its own"
            )
    parts: list[slice | bytes] = [slice(0, reach)]
    if page != pages[0]:  # then the file is one that begins with it
        pointer = struct.pack(found.order + found.pointer, page)
        parts = [slice(0, found.first), pointer, slice(found.first + len(pointer), reach)]
    return Structure(
        "tiff", shape, bits, data, parts, frames=len(pages) - smaller,
        colours=_CALLED.get(found.number(tags, COLOURS, 0), ""), whole=found.reach <= size,
    )  # fmt: skip


def _check_camera(found: Directories, tags: dict[int, Entry], name: str) -> None:
    """Raise `Refused` for what a camera's sensor gave, of which readers take the small preview."""
    directories = [tags]
    for place in found.numbers(tags.get(BELOW), 16).tolist():
        with contextlib.suppress(struct.error, OverflowError, ValueError):
            directories.append(found.at(place)[0])
    if DNG in tags or any(found.number(t, COLOURS, 0) in _CAMERA for t in directories):
        raise Refused(
            f"{name} is a camera's RAW file, which is not read: develop it to TIFF, PNG or JPEG "
            f"first"
        )


def _data_of(found: Directories, tags: dict[int, Entry], size: int) -> int:
    """Bytes of the page's strips or tiles."""
    for tag in _OFFSETS:
        if tag in tags and tags[tag].count > _PIECES:
            raise ValueError(f"its pixels are in {tags[tag].count:,} pieces")
    counts = [found.numbers(tags.get(tag), _PIECES) for tag in _COUNTS]
    if not any(map(len, counts)):
        return size
    for where, part in zip(_OFFSETS, counts, strict=True):
        places = found.numbers(tags.get(where), _PIECES)[: len(part)]
        if len(places):
            found.reach = max(found.reach, int((places.astype("u8") + part[: len(places)]).max()))
    total = sum(int(part.sum(dtype=np.float64)) for part in counts)
    if total > 4 * size + 2**26:  # pieces may be the same ones, but not without end
        raise ValueError("its pieces claim to hold more than the file does")
    return min(total, size)
