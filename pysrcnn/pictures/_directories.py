"""Directories of tags, of which TIFF files and EXIF are made: read, put together, added to a file.

A tag is a number; what it holds is (kind, count, bytes), in the file's order of bytes, or, where it
points to another directory, (kind, count, dictionary of its tags). Nothing is interpreted, so that
texts in any encoding and makers' notes stay what they are.
"""

import contextlib
import os
import struct
from collections.abc import Iterator, Set
from typing import NamedTuple

import numpy as np

__all__ = [
    "LONG",
    "LONG8",
    "POINTERS",
    "SHORT",
    "Entry",
    "Tags",
    "add",
    "directory",
    "entries_of",
    "head_of",
    "packed",
]

Tags = dict[int, tuple[int, int, "bytes | Tags"]]

SHORT, LONG, LONG8 = 3, 4, 16
POINTERS = {0x8769, 0x8825, 0xA005}  # to EXIF's own tags, to those of the place, and to Interop
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_COMMENT, _UTF_16 = 0x9286, b"UNICODE\0"  # UserComment, of undefined bytes in the order of all
_WHOLE = {5: 4, 10: 4}  # rationals are two numbers
_MOST = 2**24  # bytes of all that tags hold


class Entry(NamedTuple):
    """Of a directory, for one tag: the kind, how many values, and where they are."""

    kind: int
    count: int
    at: int

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.count * _SIZES.get(self.kind, 1)


def head_of(content) -> tuple[str, bool, int] | None:
    """The order of bytes, "<" or ">"; whether it is BigTIFF; where its first directory is."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(content[:2]))
    if order:
        with contextlib.suppress(struct.error):
            (number,) = struct.unpack_from(order + "H", content, 2)
            if number == 42:
                return order, False, struct.unpack_from(order + "I", content, 4)[0]
            if number == 43:
                return order, True, struct.unpack_from(order + "Q", content, 8)[0]
    return None


def entries_of(content, at: int, order: str, big: bool = False) -> Iterator[tuple[int, int, Entry]]:
    """(its place, the tag, what it says) of each entry of a directory; it stops at the end."""
    count, pointer, size = ("Q", "Q", 20) if big else ("H", "I", 12)
    room = struct.calcsize(pointer)
    first = at + struct.calcsize("<" + count)
    with contextlib.suppress(struct.error):
        (number,) = struct.unpack(order + count, content[at:first])
        block = content[first : first + size * min(number, 65535)]
        for place in range(0, len(block) - size + 1, size):
            tag, *entry = struct.unpack_from(order + "HH" + 2 * pointer, block, place)
            found = Entry(*entry)
            if found.size <= room:  # few values are in the entry itself
                found = found._replace(at=first + place + size - room)
            yield first + place, tag, found


def directory(
    content, at: int, order: str, big: bool = False, wanted: Set[int] | None = None
) -> Tags:
    """The tags of a directory, the first of two; those that are damaged are left out.

    Parameters
    ----------
    content : bytes, or what has them
    at : int
        Where it is.
    order : "<" or ">"
    big : bool
        Whether it is of BigTIFF.
    wanted : set of ints, optional
        Which tags to look for; by default all.
    """
    tags: Tags = {}
    held = 0
    for _, tag, entry in entries_of(content, at, order, big):
        kind, count, begin = entry
        if tag in tags or kind not in _SIZES or (wanted is not None and tag not in wanted):
            continue
        held += entry.size
        if begin + entry.size <= len(content) and held <= _MOST:
            tags[tag] = kind, count, bytes(content[begin : begin + entry.size])
    return tags


def packed(tags: dict, at: int, order: str, big: bool = False) -> bytes:
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
            size = _WHOLE.get(kind, _SIZES[kind])
            other[tag] = kind, count, np.frombuffer(data, f"u{size}").byteswap().tobytes()
    return other


def add(path: str | os.PathLike, tags: Tags, order: str) -> None:
    """Add tags to the first directory of a TIFF file, which has one, in place of those of before.

    The new directory comes behind all else, and the old one is not used any more.
    """
    with open(path, "r+b") as file:
        own, big, at = head_of(file.read(16))
        if order != own:
            tags = _swapped(tags)
        file.seek(at)
        (count,) = struct.unpack(own + "HQ"[big], file.read(8 if big else 2))
        entries = {}
        for _ in range(count):
            entry = file.read(20 if big else 12)
            entries[struct.unpack_from(own + "H", entry)[0]] = entry
        end = file.seek(0, os.SEEK_END)
        file.write(bytes(end % 2))
        end += end % 2
        file.write(packed(entries | tags, end, own, big))
        file.seek(8 if big else 4)
        file.write(struct.pack(own + "IQ"[big], end))
