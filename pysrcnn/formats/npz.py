"""Our own files: the arrays W1, B1, W2, B2, ... by name, and "card"; read without pickle."""

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .layers import Arrays, open_zip, read_card

__all__ = ["read", "write"]


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The arrays and the card."""
    open_zip(content, path)  # or raise, before NumPy makes arrays of it
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    return arrays, read_card(str(arrays.pop("card", "{}")), path)


def write(file: BinaryIO, parameters: Arrays, card: str) -> None:
    """Write the arrays as they are."""
    np.savez(file, card=np.array(card), **parameters)
