"""MATLAB 5 .mat files of arrays, as the authors of SRCNN and of VDSR publish their weights.

Arrays within others have names as in MATLAB: model.weight{3} is the third cell of a field.

SciPy's reader is not used: it was seen to crash Python on files with a few changed bytes.
"""

import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .tensors import SMALL, Arrays, Refused, Weights, check_name, check_room, shown

__all__ = ["read", "write"]

# Types of elements, and classes of arrays, by their numbers in MATLAB 5 files.
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_MATRIX, _COMPRESSED = 14, 15
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_CELLS, _STRUCT, _CHARACTERS, _COMPLEX = 1, 2, 4, 0x0800
_DEEPEST = 3  # arrays within arrays


def read(content: bytes, path: Path) -> Weights:
    """Read the arrays of numbers by name, as they are in MATLAB; the card is empty."""
    try:
        return Weights(_variables(content, path), {}, "mat")
    except Refused:
        raise
    except Exception as error:  # struct, zlib, NumPy
        ours = isinstance(error, ValueError)
        reason = shown(str(error), 120) if ours else "an element is not whole"
        raise Refused(f"{path} is damaged or not a MATLAB 5 .mat file ({reason})") from None


def _variables(content: bytes, path: Path) -> Arrays:
    """Return the arrays of numbers by name; of other arrays, only a dtype."""
    order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(content[124:128])
    if order is None:
        newer = content.startswith(b"MATLAB 7.3")
        raise ValueError("it is of version 7.3: save it with -v7" if newer else "it has no header")
    found: Arrays = {}
    shapes: list[tuple] = []
    room, place = SMALL, 128
    while place < len(content):
        kind, data, place = _element(content, place, order)
        if kind == _COMPRESSED:
            data = zlib.decompressobj().decompress(data, room + 1)
            room -= len(data)
            if room < 0:
                raise Refused(
                    f"{path} unpacks to more than {SMALL:,} bytes, which are read at most"
                )
            kind, data, _ = _element(data, 0, order)
        if kind == _MATRIX:
            found |= _matrix(data, order, shapes, path)
    return found


def _element(content: bytes, place: int, order: str) -> tuple[int, bytes, int]:
    """Return (type, data, place of the next) of the element at `place`."""
    kind, size = struct.unpack_from(f"{order}II", content, place)
    begin, end = place + 8, place + 8 + size
    after = end if kind == _COMPRESSED else begin + -(-size // 8) * 8
    if kind >> 16:  # up to four bytes of data, in place of the size
        kind, size = kind & 0xFFFF, kind >> 16
        begin, end, after = place + 4, place + 4 + size, place + 8
    if end > len(content) or end > after:
        raise ValueError("an element is not whole")
    return kind, content[begin:end], after


def _matrix(
    content: bytes, order: str, shapes: list, path: Path, within: str = "", depth: int = 0
) -> Arrays:
    """Return the array of a variable, or those within it, by name; add their shapes to `shapes`.

    within: its name, if it is a cell or field of another variable.
    """
    _, head, place = _element(content, 0, order)
    _, sizes, place = _element(content, place, order)
    _, text, place = _element(content, place, order)
    if len(sizes) > 32:  # of four bytes each
        raise ValueError("an array has more than eight axes")
    (flags,) = struct.unpack_from(f"{order}I", head)
    shape = tuple(int(n) for n in np.frombuffer(sizes, f"{order}i4"))
    shapes.append(shape)
    if len(shapes) > 1000:
        raise Refused(f"{path} has more than 1,000 variables, and no network has so many")
    check_room(shapes, path)  # of all: a byte of the file may become a number of 8 or 16 bytes
    name = within or text.decode("latin-1")
    check_name(name, path)
    kind = flags & 255
    if kind in (_CELLS, _STRUCT) and depth < _DEEPEST and math.prod(shape) <= 1000:
        return _within(content[place:], order, shapes, path, name, depth, kind == _STRUCT)
    if kind not in _CLASSES:
        return {name: np.empty(0, f"U{shape[-1]}" if kind == _CHARACTERS else object)}
    kind, data, _ = _element(content, place, order)
    # MATLAB may keep whole numbers in fewer bytes than the class of the array has.
    array = np.frombuffer(data, order + _TYPES[kind]).reshape(shape, order="F")
    return {name: array.astype(complex if flags & _COMPLEX else _CLASSES[flags & 255])}


def _within(
    content: bytes, order: str, shapes: list, path: Path, name: str, depth: int, struct_: bool
) -> Arrays:
    """Return the arrays in the cells of an array, or in the fields of the one struct in it."""
    place = 0
    names: Iterator[str] = (f"{{{k}}}" for k in itertools.count(1))
    if struct_:
        _, length, place = _element(content, place, order)
        _, text, place = _element(content, place, order)
        (size,) = struct.unpack_from(f"{order}i", length)
        fields = (text[i : i + size].partition(b"\0")[0] for i in range(0, len(text), size))
        names = (f".{field.decode('latin-1')}" for field in fields)
    found: Arrays = {}
    while place < len(content):
        kind, data, place = _element(content, place, order)
        part = next(names, None)
        if kind != _MATRIX or part is None:
            raise ValueError("a cell or a field is not an array")
        found |= _matrix(data, order, shapes, path, name + part, depth + 1)
    return found


def write(file: BinaryIO, tensors: Arrays, card: str) -> None:
    """Write arrays by name; the format has no place for the card."""
    import scipy.io

    scipy.io.savemat(file, tensors)
