"""The .mat files of the authors of the paper, MATLAB 5.

weights_conv1 (f1*f1, n1) or, for RGB, (3, f1*f1, n1); weights_conv2 (n1, f2*f2, n2); weights_conv3
(n2, f3*f3) or (n2, f3*f3, 3); biases_conv1..3. The f*f values of a filter are in MATLAB's order:
down the columns first.
"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .layers import LIMIT, OTHER_NETWORKS, Arrays, Refused, check_room, shown

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
_CHARACTERS, _COMPLEX = 4, 0x0800


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The three layers; the card is empty, since these files have none."""
    try:
        arrays = _variables(content, path)
    except Refused:
        raise
    except Exception as error:  # struct, zlib, NumPy
        ours = isinstance(error, ValueError)
        reason = shown(str(error), 120) if ours else "an element is not whole"
        raise Refused(f"{path} is damaged or not a MATLAB 5 .mat file ({reason})") from None
    parameters = {}
    for k in (1, 2, 3):
        try:
            weights, biases = arrays[f"weights_conv{k}"], arrays[f"biases_conv{k}"]
        except KeyError as error:
            names = ", ".join(map(shown, list(arrays)[:8])) or "nothing"
            raise Refused(
                f"{path} has no {error}, but {names}: the authors' files hold weights_conv1 to "
                f"weights_conv3 and biases_conv1 to biases_conv3, and {OTHER_NETWORKS}"
            ) from None
        for name, array in ((f"weights_conv{k}", weights), (f"biases_conv{k}", biases)):
            if not np.issubdtype(array.dtype, np.floating):
                raise Refused(f"{path}: {name} holds {array.dtype}, not floating point numbers")
        # To (input channels, f*f, filters). A single channel is an axis that MATLAB dropped.
        if weights.ndim == 2:
            weights = weights[None] if k == 1 else weights[:, :, None]
        if weights.ndim != 3:
            raise Refused(
                f"{path}: weights_conv{k} has the shape {weights.shape}, wanted two or three axes"
            )
        channels, area, filters = weights.shape
        f = round(area**0.5)
        if f * f != area or f == 0:
            raise Refused(
                f"{path}: weights_conv{k} has {area} values a filter, which is not a square"
            )
        # The axis of f*f values splits into (column, row), since MATLAB counts rows fastest.
        w = weights.reshape(channels, f, f, filters).transpose(3, 0, 2, 1)
        parameters[f"W{k}"] = np.ascontiguousarray(w)
        parameters[f"B{k}"] = biases.reshape(-1).copy()
    return parameters, {}


def _variables(content: bytes, path: Path) -> Arrays:
    """The arrays of numbers by name; of others, nothing but a dtype.

    Not by SciPy, whose reader was seen to crash Python on files with a few changed bytes.
    """
    order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(content[124:128])
    if order is None:
        newer = content.startswith(b"MATLAB 7.3")
        raise ValueError("it is of version 7.3: save it with -v7" if newer else "it has no header")
    found, shapes, room, place = {}, [], LIMIT, 128
    for _ in range(1000):  # variables
        if place >= len(content):
            return found
        kind, data, place = _element(content, place, order)
        if kind == _COMPRESSED:
            data = zlib.decompressobj().decompress(data, room + 1)
            room -= len(data)
            if room < 0:
                raise Refused(f"{path} unpacks to more than {LIMIT:,} bytes: no SRCNN has as many")
            kind, data, _ = _element(data, 0, order)
        if kind == _MATRIX:
            name, array = _matrix(data, order, shapes, path)
            found[name] = array
    raise Refused(f"{path} has more than 1,000 variables, and the authors' files have six")


def _element(content: bytes, place: int, order: str) -> tuple[int, bytes, int]:
    """(type, data, place of the next) of the element at `place`."""
    kind, size = struct.unpack_from(f"{order}II", content, place)
    begin, end = place + 8, place + 8 + size
    after = end if kind == _COMPRESSED else begin + -(-size // 8) * 8
    if kind >> 16:  # up to four bytes, which are in the place of the size
        kind, size = kind & 0xFFFF, kind >> 16
        begin, end, after = place + 4, place + 4 + size, place + 8
    if end > len(content) or end > after:
        raise ValueError("an element is not whole")
    return kind, content[begin:end], after


def _matrix(content: bytes, order: str, shapes: list, path: Path) -> tuple[str, np.ndarray]:
    """Name and array of a variable, whose shape is added to those of the others."""
    _, flags, place = _element(content, 0, order)
    _, sizes, place = _element(content, place, order)
    _, name, place = _element(content, place, order)
    (flags,) = struct.unpack_from(f"{order}I", flags)
    shape = tuple(int(n) for n in np.frombuffer(sizes, f"{order}i4"))
    shapes.append(shape)
    check_room(shapes, path)  # of all: a byte of the file may become a number of 8 or 16 bytes
    name = name.decode("latin-1")
    if flags & 255 not in _CLASSES:
        return name, np.empty(0, f"U{shape[-1]}" if flags & 255 == _CHARACTERS else object)
    kind, data, _ = _element(content, place, order)
    # MATLAB may keep whole numbers in fewer bytes than the class of the array has.
    array = np.frombuffer(data, order + _TYPES[kind]).reshape(shape, order="F")
    return name, array.astype(complex if flags & _COMPLEX else _CLASSES[flags & 255])


def write(file: BinaryIO, parameters: Arrays, card: str) -> None:
    """Write three layers as the authors do; the card has no place there."""
    import scipy.io

    if len(parameters) != 6:
        raise ValueError(
            f"a .mat file of the authors holds three layers, and this network has "
            f"{len(parameters) // 2}: write it as .npz"
        )
    arrays = {}
    for k in (1, 2, 3):
        w = parameters[f"W{k}"].astype(np.float64)
        filters, channels, f, _ = w.shape
        columns = w.transpose(1, 3, 2, 0).reshape(channels, f * f, filters)
        if k == 1 and channels == 1:
            columns = columns[0]
        arrays[f"weights_conv{k}"] = columns[:, :, 0] if k == 3 and filters == 1 else columns
        arrays[f"biases_conv{k}"] = parameters[f"B{k}"].astype(np.float64)[:, None]
    scipy.io.savemat(file, arrays)
