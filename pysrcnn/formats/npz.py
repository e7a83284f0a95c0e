"""Our own files: the arrays W1, B1, W2, B2, ... by name, and "card"; read without pickle."""

import io
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .layers import LIMIT, Arrays, open_zip, read_card, unpacked

__all__ = ["read", "read_all", "write"]

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The arrays and the card."""
    arrays = read_all(content, path)
    return arrays, read_card(str(arrays.pop("card", "{}")), path)


def read_all(content: bytes, path: Path, most: int = LIMIT) -> Arrays:
    """All arrays, of `most` bytes together.

    Not by `numpy.load`, which takes as much memory as the header of an array asks for.
    """
    archive = open_zip(content, path, most)
    names = archive.namelist()
    if not all(name.endswith(".npy") for name in names):
        raise ValueError("an entry that is not an array")
    return {name.removesuffix(".npy"): _array(unpacked(archive, name)) for name in names}


def _array(content: bytes) -> np.ndarray:
    """The array of a .npy file, whose header must fit the bytes behind it."""
    file = io.BytesIO(content)
    shape, columns_first, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    place = file.tell()
    if dtype.kind not in "?biufcSU":  # objects would be pickles
        raise ValueError("neither numbers nor text")
    if math.prod(shape) * dtype.itemsize != len(content) - place:
        raise ValueError("not as many bytes as values")
    order = "F" if columns_first else "C"
    return np.ndarray(shape, dtype, content, place, order=order).copy(order="K")


def write(file: BinaryIO, parameters: Arrays, card: str) -> None:
    """Write the arrays as they are."""
    np.savez(file, card=np.array(card), **parameters)
