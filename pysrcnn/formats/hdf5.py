"""As much of HDF5 as Keras files need: groups, arrays stored in one piece, attributes of text.

HDF5's own library follows links to other files, and was seen to run without end on files with a
few changed bytes; this reader does neither. What it does not know (chunks, filters, links, the
layouts of `libver="latest"`) is refused. Numbers are little-endian and addresses have 8 bytes, as
h5py writes them; the terms are those of the HDF5 File Format Specification.
"""

import math
import struct
from typing import Any

import numpy as np

from .layers import shown

__all__ = ["HDF5"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SPACE, _TYPE, _EXTERNAL, _LAYOUT, _ATTRIBUTE, _CONTINUATION, _TABLE = 1, 3, 7, 8, 12, 16, 17
_MOST_STEPS = 50_000  # messages and entries; the file of a checkpoint of SRCNN has a thousand


class HDF5:
    """The tree of a file.

    Parameters
    ----------
    content : bytes
        Of the whole file.

    Attributes
    ----------
    groups : dict
        Path ("" is the root, "a/b" below it) -> attributes: name -> text or list of texts.
        Those of other kinds are left out.
    datasets : dict
        Path -> messages of its header, for `shape` and `array`.

    Raises
    ------
    ValueError, struct.error, KeyError, IndexError, OverflowError
        If the file is damaged or of another kind.
    """

    def __init__(self, content: bytes):
        self._content, self._steps, self._seen = content, 0, set()
        self._room = 2 * len(content)  # bytes to take out of it: parts may overlap
        self._heaps: dict[int, dict[int, bytes]] = {}
        self.groups: dict[str, dict] = {}
        self.datasets: dict[str, dict] = {}
        if content[:8] != _SIGNATURE or content[8] > 1 or content[13:15] != b"\x08\x08":
            raise ValueError("not a file of HDF5, or of another version")
        (root,) = self._unpack("Q", 64 if content[8] == 0 else 68)
        self._walk("", root, 0)

    def _unpack(self, form: str, place: int) -> tuple:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ValueError("no end in sight")
        return struct.unpack_from(f"<{form}", self._content, place)

    def _cut(self, begin: int, size: int) -> bytes:
        self._room -= size
        if begin + size > len(self._content) or self._room < 0:
            raise ValueError("beyond the end of the file, or more than all of it")
        return self._content[begin : begin + size]

    def _first_visit(self, place: int) -> None:
        if place in self._seen:
            raise ValueError("a circle")
        self._seen.add(place)

    def _walk(self, path: str, header: int, depth: int) -> None:
        """Put the object at `header`, and all below it, into the two dicts."""
        if depth > 32:
            raise ValueError("nested too deep")
        self._first_visit(header)
        messages = self._messages(header)
        if _TABLE not in messages:
            self.datasets[path] = messages
            return
        self.groups[path] = dict(map(self._attribute, messages.get(_ATTRIBUTE, ())))
        tree, heap = struct.unpack("<QQ", messages[_TABLE][0][:16])
        (names,) = self._unpack("Q", heap + 24)
        for entry in self._entries(tree, 0):
            name, child, kind = self._unpack("QQI", entry)
            if kind != 2:  # a soft link
                end = self._content.index(b"\0", names + name, names + name + 256)
                text = self._cut(names + name, end - names - name).decode()
                self._walk(f"{path}/{text}" if path else text, child, depth + 1)

    def _entries(self, node: int, depth: int) -> list[int]:
        """Places of the entries of a group, from the B-tree at `node`."""
        self._first_visit(node)
        if depth > 8 or self._cut(node, 5) != b"TREE\0":
            raise ValueError("not a tree of names")
        level, count = self._unpack("BH", node + 5)
        found = []
        for k in range(count):
            (child,) = self._unpack("Q", node + 32 + 16 * k)
            if level:
                found += self._entries(child, depth + 1)
                continue
            self._first_visit(child)
            if self._cut(child, 4) != b"SNOD":
                raise ValueError("not a table of names")
            (size,) = self._unpack("H", child + 6)
            self._steps += size  # of a list that is made before any of them is looked at
            found += [child + 8 + 40 * i for i in range(size)]
        return found

    def _messages(self, header: int) -> dict[int, list[bytes]]:
        """The messages of an object header (version 1), by type."""
        version, count, _, size = self._unpack("BxHII", header)
        if version != 1:
            raise ValueError("an object header of another version")
        blocks, found = [(header + 16, size)], {}
        for place, size in blocks:  # which grows
            end = place + size
            while place + 8 <= end and count:
                kind, length, flags = self._unpack("HHB", place)
                content = self._cut(place + 8, length)
                if flags & 2:
                    kind = None  # kept elsewhere: none of those that we need is
                elif kind == _CONTINUATION:
                    blocks.append(struct.unpack("<QQ", content[:16]))
                found.setdefault(kind, []).append(content)
                place, count = place + 8 + length, count - 1
        return found

    def _attribute(self, message: bytes) -> tuple[str, Any]:
        """Name and value, which is None for what is not text."""
        version, *sizes = struct.unpack_from("<BxHHH", message)
        place, parts = 9 if version == 3 else 8, []
        for size in sizes:
            parts.append(message[place : place + size])
            place += -(-size // 8) * 8 if version == 1 else size
        name, kind = parts[0].split(b"\0")[0].decode(), parts[1]
        shape = _shape(parts[2])
        (size,) = struct.unpack_from("<I", kind, 4)
        count, rest = math.prod(shape), message[place:]
        fixed, variable = kind[0] & 15 == 3, kind[0] & 15 == 9 and kind[1] & 15 == 1
        if not (fixed or variable) or size == 0 or count * size > len(rest):
            return name, None
        texts = [rest[k * size : (k + 1) * size] for k in range(count)]
        if variable:
            texts = [self._text(text) for text in texts]
        texts = [text.split(b"\0")[0].decode() for text in texts]
        return name, texts if shape else texts[0]

    def _text(self, reference: bytes) -> bytes:
        """A text of any length, which is in a heap: length, address of the heap, number in it."""
        length, heap, number = struct.unpack("<IQI", reference)
        if length == 0:
            return b""
        if heap not in self._heaps:
            objects = self._heaps[heap] = {}
            if self._cut(heap, 4) != b"GCOL":
                raise ValueError("not a heap")
            (size,) = self._unpack("Q", heap + 8)
            place, end = heap + 16, min(heap + size, len(self._content))
            while place + 16 <= end:
                index, size = self._unpack("HxxxxxxQ", place)
                if index == 0:  # the free rest
                    break
                objects[index] = place + 16, size
                place += 16 + -(-size // 8) * 8
        place, size = self._heaps[heap][number]
        return self._cut(place, min(length, size))

    def shape(self, path: str) -> tuple[int, ...]:
        """The shape of a dataset."""
        return _shape(self.datasets[path][_SPACE][0])

    def array(self, path: str) -> np.ndarray:
        """A dataset of floating point numbers.

        Raises
        ------
        TypeError
            If it holds something else, or is stored in another way; with words for a sentence.
        """
        messages = self.datasets[path]
        kind, layout, shape = messages[_TYPE][0], messages[_LAYOUT][0], self.shape(path)
        (size,) = struct.unpack_from("<I", kind, 4)
        # float16, float32 and float64 by their bits of exponent.
        floating = kind[0] & 15 == 1 and len(kind) > 13 and (size, kind[13]) in _FLOATS
        if not floating:
            raise TypeError(f"{shown(path)} does not hold float16, float32 or float64")
        if layout[0] not in (3, 4) or layout[1] != 1 or _EXTERNAL in messages:
            raise TypeError(f"{shown(path)} is stored in chunks, packed, or in another file")
        place, length = struct.unpack_from("<QQ", layout, 2)
        dtype = np.dtype(f"{'>' if kind[1] & 1 else '<'}f{size}")
        if length != math.prod(shape) * size:
            raise ValueError("not as many bytes as values")
        return np.frombuffer(self._cut(place, length), dtype).reshape(shape)


_FLOATS = {(2, 5), (4, 8), (8, 11)}


def _shape(space: bytes) -> tuple[int, ...]:
    """From a message of the kind "dataspace"."""
    version, rank = space[:2]
    return struct.unpack_from(f"<{rank}Q", space, {1: 8, 2: 4}[version])
