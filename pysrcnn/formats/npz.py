"""Our own files: the parameters by name, and "card"; read without pickle."""

import io
import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .tensors import Arrays, Weights, open_zip, read_card, unpacked

__all__ = ["read", "read_all", "write"]

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(content: bytes, path: Path) -> Weights:
    """Read the arrays and the card."""
    arrays = read_all(content, path)
    card = read_card(str(arrays.pop("card", "{}")), path)
    return Weights(arrays, card, "npz")


def read_all(content: bytes, path: Path, most: int | None = None) -> Arrays:
    """Read all arrays, of at most `most` bytes together, see `open_zip`.

    `numpy.load` is not used: it takes as much memory as the header of an array asks for.
    """
    archive = open_zip(content, path, most)
    names = archive.namelist()
    if not all(name.endswith(".npy") for name in names):
        raise ValueError("an entry that is not an array")
    return {name.removesuffix(".npy"): _array(unpacked(archive, name)) for name in names}


def _array(content: bytes) -> np.ndarray:
    """Read the array of a .npy file, whose header must agree with the bytes after it."""
    file = io.BytesIO(content)
    shape, columns_first, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    place = file.tell()
    if dtype.kind not in "?biufcSU":  # objects would be pickles
        raise ValueError("neither numbers nor text")
    if math.prod(shape) * dtype.itemsize != len(content) - place:
        raise ValueError("not as many bytes as values")
    ends = shape[::-1] if columns_first else shape
    array = np.ndarray(ends, dtype, content, place).copy()
    return array.T if columns_first else array


def write(file: BinaryIO, tensors: Arrays, card: str) -> None:
    """Write the arrays as they are."""
    arrays: dict[str, Any] = {"card": np.array(card), **tensors}
    np.savez(file, **arrays)
