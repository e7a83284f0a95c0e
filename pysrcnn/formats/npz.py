"""Our own files: the arrays W1, B1, W2, B2, ... by name, and "card"; read without pickle."""

import io
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .layers import LIMIT, Arrays, Refused, read_card

__all__ = ["read", "write"]


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The arrays and the card."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > LIMIT:
        raise Refused(f"{path} unpacks to {size:,} bytes, and an SRCNN has at most {LIMIT:,}")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    return arrays, read_card(str(arrays.pop("card", "{}")), path)


def write(file: BinaryIO, parameters: Arrays, card: str) -> None:
    """Write the arrays as they are."""
    np.savez(file, card=np.array(card), **parameters)
