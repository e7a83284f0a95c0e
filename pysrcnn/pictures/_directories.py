"""The directories of tags in TIFF files and EXIF: reading, packing and adding them to a file.

Pillow's `Exif` and `ImageFileDirectory_v2` are not used: they read the values of tags before anyone
can check their size, stop at the first damaged tag, and write UTF-8 texts as question marks and
makers' notes as numbers. Nothing is interpreted here. A tag is a number, and its value is (kind,
count, bytes) in the file's byte order, or, where it points to another directory, (kind, count,
dictionary of the tags there).
"""

import contextlib
import functools
import os
import struct
from collections.abc import Iterator, Mapping, Set
from typing import Any, NamedTuple

import numpy as np

from ._limits import Stored

__all__ = ["LONG", "LONG8", "POINTERS", "SHORT", "Entry", "Tags", "Tiff", "add", "packed"]

Tags = dict[int, tuple[int, int, "bytes | Tags"]]

SHORT, LONG, LONG8 = 3, 4, 16
POINTERS = {0x8769, 0x8825, 0xA005}  # to the directories of EXIF, GPS and interoperability
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_REALS = {5: "u4,u4", 11: "f4", 12: "f8"}
_RATIONALS = (5, 10)  # pairs of numbers
_COMMENT, _UTF_16 = 0x9286, b"UNICODE\0"  # UserComment: "undefined", yet in the file's byte order
_MOST = 2**24  # bytes of the values of a directory
_PAGES = 100_000  # counted at most
_ENTRIES = 4096  # of a directory; a few dozen are usual


class Entry(NamedTuple):
    """The entry of a tag in a directory: the kind, number and position of its values."""

    kind: int
    length: int
    at: int

    @property
    def size(self) -> int:
        """The size of its values in bytes."""
        return self.length * _SIZES.get(self.kind, 1)


class Tiff:
    """Reader of the directories of a TIFF file or of EXIF.

    Parameters
    ----------
    source : bytes, or an object whose slices are bytes
        If it does not begin like a TIFF file, `valid` is False, and there are no tags.
    """

    def __init__(self, source: Any):
        self.source = source
        head = bytes(source[:16])
        self.order = ">" if head[:2] == b"MM" else "<"
        number = int.from_bytes(head[2:4], "big" if self.order == ">" else "little")
        self.big = number == 43
        self.pointer, self.counter = ("Q", "Q") if self.big else ("I", "H")
        self.first_pointer = 8 if self.big else 4  # where the pointer to the first page is
        self.valid, self.first = False, 0
        if head[:2] in (b"II", b"MM") and number in (42, 43):
            with contextlib.suppress(struct.error):
                (self.first,) = self.unpack(self.pointer, self.first_pointer)
                self.valid = True

    def unpack(self, format: str, at: int) -> tuple[int, ...]:
        """Return the numbers at a position; raise struct.error beyond the end."""
        format = self.order + format
        return struct.unpack(format, self.source[at : at + struct.calcsize(format)])

    def after(self, place: int, count: int) -> int:
        """Return where the pointer to the next directory is, behind one of `count` tags."""
        return place + (8 + 20 * count if self.big else 2 + 12 * count)

    def pages(self) -> Iterator[int]:
        """Yield the positions of the pages' directories, each once."""
        seen: set[int] = set()
        pointer = self.first_pointer
        with contextlib.suppress(struct.error, OverflowError):
            while len(seen) < _PAGES:
                (place,) = self.unpack(self.pointer, pointer)
                if not place or place in seen:
                    return
                seen.add(place)
                (count,) = self.unpack(self.counter, place)
                yield place
                pointer = self.after(place, count)

    def entries(self, at: int) -> Iterator[tuple[int, int, Entry]]:
        """Yield (position, tag, entry) for each entry of a directory, up to the end of the file."""
        size, room = (20, 8) if self.big else (12, 4)
        with contextlib.suppress(struct.error, OverflowError):
            (count,) = self.unpack(self.counter, at) if at else (0,)
            first = self.after(at, 0)
            block = self.source[first : first + size * min(count, 65535)]
            for place in range(0, len(block) - size + 1, size):
                tag, *fields = struct.unpack_from(f"{self.order}HH2{self.pointer}", block, place)
                entry = Entry(*fields)
                if entry.size <= room:  # small values are in the entry itself
                    entry = entry._replace(at=first + place + size - room)
                yield first + place, tag, entry

    def directory(self, at: int) -> dict[int, Entry]:
        """Return the entries of a directory by tag; of several with the same tag, the first."""
        tags: dict[int, Entry] = {}
        for _, tag, entry in self.entries(at):
            tags.setdefault(tag, entry)
        return tags

    def whole_directory(self, at: int) -> tuple[dict[int, Entry], int]:
        """Return the entries of a directory by tag, and where the pointer to the next one is.

        Raises
        ------
        struct.error
            If the file ends within it.
        ValueError
            If it has more tags than `_ENTRIES`.
        """
        (count,) = self.unpack(self.counter, at)
        if count > _ENTRIES:
            raise ValueError(f"a directory has {count:,} tags")
        if len(list(self.entries(at))) < count:
            raise struct.error("it ends within a directory")
        return self.directory(at), self.after(at, count)

    @functools.cached_property
    def page(self) -> dict[int, Entry]:
        """The entries of the first directory by tag."""
        return self.directory(self.first)

    def held(self, at: int, wanted: Set[int] | None = None) -> Tags:
        """Return the values of a directory's tags, or of the `wanted` ones, but no damaged ones."""
        tags: Tags = {}
        size = 0
        for tag, (kind, length, begin) in self.directory(at).items():
            if kind not in _SIZES or (wanted is not None and tag not in wanted):
                continue
            end = begin + length * _SIZES[kind]
            size += end - begin
            if end <= len(self.source) and size <= _MOST:
                tags[tag] = kind, length, bytes(self.source[begin:end])
        return tags

    def values(
        self, entry: Entry | None, most: int = 64, dtypes: Mapping[int, Any] = _INTEGERS
    ) -> np.ndarray:
        """Return up to `most` values of a tag; none if their kind is not in `dtypes`."""
        if entry is None or entry.kind not in dtypes:
            return np.zeros(0, np.uint64)
        dtype = np.dtype(dtypes[entry.kind]).newbyteorder(self.order)
        block = self.source[entry.at : entry.at + min(entry.length, most) * dtype.itemsize]
        return np.frombuffer(block[: len(block) // dtype.itemsize * dtype.itemsize], dtype)

    def number(self, tag: int, default: int = 0, tags: dict[int, Entry] | None = None) -> int:
        """Return the first value of a tag in `tags` (by default the first page's), or `default`."""
        found = self.values((self.page if tags is None else tags).get(tag), 1)
        return int(found[0]) if len(found) else default

    def real(self, tag: int) -> float:
        """Return the first value of a tag of the first page; 0 if there is none, or no number."""
        found = self.values(self.page.get(tag), 1, _REALS).tolist() or [self.number(tag)]
        top, bottom = found[0] if isinstance(found[0], tuple) else (found[0], 1)
        return top / bottom if bottom else 0


def packed(tags: Mapping[int, Any], at: int, order: str, big: bool = False) -> bytes:
    """Return the bytes of a directory and of its values, for the position `at` of a file.

    A value may also be a whole entry of such a file, as bytes.
    """
    room, pointer = (8, "Q") if big else (4, "I")
    out = struct.pack(order + "HQ"[big], len(tags))
    place = at + len(out) + len(tags) * (20 if big else 12) + room
    beyond = b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, bytes):
            out += value
            continue
        kind, count, data = value
        if isinstance(data, dict):
            where = place + len(beyond)
            beyond += packed(data, where, order, big)
            kind, count, data = (LONG8 if big else LONG), 1, struct.pack(order + pointer, where)
        if len(data) > room:
            where = place + len(beyond)
            beyond += data + bytes(len(data) % 2)
            data = struct.pack(order + pointer, where)
        out += struct.pack(order + "HH" + pointer, tag, kind, count) + data.ljust(room, b"\0")
    return out + bytes(room) + beyond


def _swapped(tags: Tags) -> Tags:
    """Return the same tags in the other byte order."""
    other: Tags = {}
    for tag, (kind, count, data) in tags.items():
        if isinstance(data, dict):
            other[tag] = kind, count, _swapped(data)
        elif tag == _COMMENT and data.startswith(_UTF_16) and len(data) % 2 == 0:
            text = np.frombuffer(data[len(_UTF_16) :], "u2").byteswap().tobytes()
            other[tag] = kind, count, _UTF_16 + text
        else:
            size = 4 if kind in _RATIONALS else _SIZES[kind]
            other[tag] = kind, count, np.frombuffer(data, f"u{size}").byteswap().tobytes()
    return other


def add(path: str | os.PathLike, tags: Tags, order: str) -> None:
    """Add tags to the first directory of a TIFF file, in place of those with the same numbers.

    The file must have one. The new directory is appended, and the old one is no longer used.
    """
    with open(path, "r+b") as file:
        tiff = Tiff(Stored(file))
        if order != tiff.order:
            tags = _swapped(tags)
        size = 20 if tiff.big else 12
        entries = {
            tag: tiff.source[place : place + size] for place, tag, _ in tiff.entries(tiff.first)
        }
        end = file.seek(0, os.SEEK_END)
        file.write(bytes(end % 2))
        end += end % 2
        file.write(packed(entries | tags, end, tiff.order, tiff.big))
        file.seek(tiff.first_pointer)
        file.write(struct.pack(tiff.order + tiff.pointer, end))
