"""Directories of tags, of which TIFF files and EXIF are made: read, put together, added to a file.

Not by Pillow, whose `Exif` and `ImageFileDirectory_v2` read what tags hold before anybody can see
how much that is, stop at the first that is damaged, and write texts of UTF-8 as question marks and
makers' notes as numbers. Here nothing is interpreted: a tag is a number, and what it holds is
(kind, count, bytes), in the file's order of bytes, or, where it points to another directory,
(kind, count, dictionary of its tags).
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
POINTERS = {0x8769, 0x8825, 0xA005}  # to EXIF's own tags, to those of the place, and to Interop
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_REALS = {5: "u4,u4", 11: "f4", 12: "f8"}
_RATIONALS = (5, 10)  # of two numbers
_COMMENT, _UTF_16 = 0x9286, b"UNICODE\0"  # UserComment, of undefined bytes in the order of all
_MOST = 2**24  # bytes of all that tags hold
_PAGES = 100_000  # that are counted
_ENTRIES = 4096  # of a directory; some dozen are usual


class Entry(NamedTuple):
    """Of a directory, for one tag: the kind, how many values, and where they are."""

    kind: int
    length: int
    at: int

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.length * _SIZES.get(self.kind, 1)


class Tiff:
    """What is read of a TIFF file or of EXIF.

    Parameters
    ----------
    source : bytes, or whatever else has slices of bytes
        If it does not begin as a TIFF file does, `valid` is False, and there are no tags.
    """

    def __init__(self, source: Any):
        self.source = source
        head = bytes(source[:16])
        self.order = ">" if head[:2] == b"MM" else "<"
        number = int.from_bytes(head[2:4], "big" if self.order == ">" else "little")
        self.big = number == 43
        self.pointer, self.counter = ("Q", "Q") if self.big else ("I", "H")
        self.first_pointer = 8 if self.big else 4  # where that to the first directory is
        self.valid, self.first = False, 0
        if head[:2] in (b"II", b"MM") and number in (42, 43):
            with contextlib.suppress(struct.error):
                (self.first,) = self.unpack(self.pointer, self.first_pointer)
                self.valid = True

    def unpack(self, format: str, at: int) -> tuple[int, ...]:
        """Numbers at a place; struct.error beyond the end."""
        format = self.order + format
        return struct.unpack(format, self.source[at : at + struct.calcsize(format)])

    def after(self, place: int, count: int) -> int:
        """Where the pointer to the next directory is, behind one of so many tags."""
        return place + (8 + 20 * count if self.big else 2 + 12 * count)

    def pages(self) -> Iterator[int]:
        """Where the directories of the pages are, one after the other, each once."""
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
        """(its place, the tag, what it says) of each entry of a directory; it stops at the end."""
        size, room = (20, 8) if self.big else (12, 4)
        with contextlib.suppress(struct.error, OverflowError):
            (count,) = self.unpack(self.counter, at) if at else (0,)
            first = self.after(at, 0)
            block = self.source[first : first + size * min(count, 65535)]
            for place in range(0, len(block) - size + 1, size):
                tag, *fields = struct.unpack_from(f"{self.order}HH2{self.pointer}", block, place)
                entry = Entry(*fields)
                if entry.size <= room:  # few values are in the entry itself
                    entry = entry._replace(at=first + place + size - room)
                yield first + place, tag, entry

    def directory(self, at: int) -> dict[int, Entry]:
        """The tags of a directory, the first of two; as many as there are."""
        tags: dict[int, Entry] = {}
        for _, tag, entry in self.entries(at):
            tags.setdefault(tag, entry)
        return tags

    def whole_directory(self, at: int) -> tuple[dict[int, Entry], int]:
        """The tags of a directory, and where the pointer to the next one is.

        Raises
        ------
        struct.error
            If the file ends within it.
        ValueError
            If there are more than there may be.
        """
        (count,) = self.unpack(self.counter, at)
        if count > _ENTRIES:
            raise ValueError(f"a directory has {count:,} tags")
        if len(list(self.entries(at))) < count:
            raise struct.error("it ends within a directory")
        return self.directory(at), self.after(at, count)

    @functools.cached_property
    def page(self) -> dict[int, Entry]:
        """The tags of the first directory."""
        return self.directory(self.first)

    def held(self, at: int, wanted: Set[int] | None = None) -> Tags:
        """What the tags of a directory hold, or those that are `wanted`; without damaged ones."""
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
        """The values of a tag, `most` of them; none if they are of other kinds than `dtypes`."""
        if entry is None or entry.kind not in dtypes:
            return np.zeros(0, np.uint64)
        dtype = np.dtype(dtypes[entry.kind]).newbyteorder(self.order)
        block = self.source[entry.at : entry.at + min(entry.length, most) * dtype.itemsize]
        return np.frombuffer(block[: len(block) // dtype.itemsize * dtype.itemsize], dtype)

    def number(self, tag: int, default: int = 0, tags: dict[int, Entry] | None = None) -> int:
        """The first value of a tag, of the first page; where there is none, the default."""
        found = self.values((self.page if tags is None else tags).get(tag), 1)
        return int(found[0]) if len(found) else default

    def real(self, tag: int) -> float:
        """The first value of a tag of the first page; 0 if there is none, or no number."""
        found = self.values(self.page.get(tag), 1, _REALS).tolist() or [self.number(tag)]
        top, bottom = found[0] if isinstance(found[0], tuple) else (found[0], 1)
        return top / bottom if bottom else 0


def packed(tags: Mapping[int, Any], at: int, order: str, big: bool = False) -> bytes:
    """A directory and what its tags hold, as they are in a file from the place `at` on.

    A tag may also be a whole entry of such a file, as bytes.
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
    """The same tags in the other order of bytes."""
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
    """Add tags to the first directory of a TIFF file, which has one, in place of those of before.

    The new directory comes behind all else, and the old one is not used any more.
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
