"""Common parts of all formats: what a reader returns, and limits on memory and time.

Axes: weights of convolutions (O, C, f, f), O filters for C channels, as in PyTorch; biases (O,).
"""

import io
import json
import math
import zipfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "LIMIT",
    "SMALL",
    "Arrays",
    "Operation",
    "Refused",
    "Weights",
    "check_name",
    "check_names",
    "check_room",
    "open_zip",
    "read_card",
    "read_json",
    "room_for",
    "shown",
    "unpacked",
]

Arrays = dict[str, np.ndarray]

LIMIT = 5 << 27  # bytes of a file, and of all its arrays; VGG-19 as published has 575 MB
SMALL = 1 << 26  # bytes that the arrays, or the unpacked content, of any file may have
_GROWTH = 3  # times its size that a larger file may grow: float16 becomes float32
_LONGEST_NAME, _MOST_NAMES = 1000, 10_000  # of tensors
_LONGEST_TEXT = 1 << 20  # of JSON, which takes twenty times as much in memory


class Refused(ValueError):
    """Raised for a file that is not read; the message is the whole sentence that says why."""


@dataclass(frozen=True)
class Operation:
    """One step of the computation that a file describes: an operator of ONNX, a layer of Keras.

    Attributes
    ----------
    kind : str
        The name in ONNX: "Conv", "Relu", ...; for what ONNX lacks, the name in the file.
    label : str
        For sentences: "the operator Conv", "a layer of the kind Conv2D".
    inputs : tuple of str
        The names of the values that it takes; "" where one is left out.
    output : str
        The name of the value that it returns.
    given : tuple of array or None
        For each of `inputs`: the array, if it is a constant in the file.
    options : dict
        By their names in ONNX: pads, strides, ...
    """

    kind: str
    label: str
    inputs: tuple[str, ...] = ()
    output: str = ""
    given: tuple[np.ndarray | None, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Weights:
    """The content of a file of weights.

    Attributes
    ----------
    tensors : dict of arrays
        By their names in the file, in its order. Names of convolutions' weights end in ".weight",
        those of biases in ".bias", where programs name them so.
    card : dict
        What our own files say about weights; empty for others.
    format : str
        "npz", "mat", "pytorch", "safetensors", "keras" or "onnx".
    ordered : bool
        Whether the order of the tensors means anything.
    graph : tuple of Operation, optional
        The computation, first to last, if the file describes it.
    output : str
        The value of the graph that is the result; "" if it is that of the last operation.
    layers : tuple of (name, whether it has tensors)
        All layers by name, if that is all that the file tells about the computation.
    left : tuple of str
        Layers that were not read, by name: the classifier behind a VGG of Keras.
    """

    tensors: Arrays
    card: dict[str, Any] = field(default_factory=dict)
    format: str = ""
    ordered: bool = False
    graph: tuple[Operation, ...] | None = None
    output: str = ""
    layers: tuple[tuple[str, bool], ...] = ()
    left: tuple[str, ...] = ()


def shown(text: object, most: int = 60) -> str:
    """Return a name from a file in printable form: it may hold anything, such as line ends."""
    text = text[: most + 1] if isinstance(text, str) else type(text).__name__
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= most else text[: most - 3] + "..."


def check_name(name: str, path: Path) -> None:
    """Raise for a name far longer than those of layers, in which patterns would be searched."""
    if len(name) > _LONGEST_NAME:
        raise Refused(
            f"{path} holds the name {shown(name)} of {len(name):,} characters, and names of at "
            f"most {_LONGEST_NAME:,} are read"
        )


def check_names(names: Collection[object], path: Path) -> None:
    """Raise if there are far more tensors than a network has, or if a name is far too long."""
    if len(names) > _MOST_NAMES:
        raise Refused(f"{path} holds {len(names):,} tensors, and at most {_MOST_NAMES:,} are read")
    for name in names:
        if isinstance(name, str):
            check_name(name, path)


def read_json(text: str | bytes, path: Path, hook: Callable | None = None) -> Any:
    """Parse the JSON of a file; refuse a text far longer than files of weights have."""
    if len(text) > _LONGEST_TEXT:
        raise Refused(
            f"{path} has {len(text):,} characters of JSON, and files of weights have a few thousand"
        )
    return json.loads(text, object_pairs_hook=hook)


def read_card(text: str, path: Path) -> dict:
    """Parse the JSON of a card."""
    card = read_json(text, path)
    if not isinstance(card, dict):
        raise Refused(f"{path} is damaged: its card is not a JSON object")
    return card


def room_for(content: bytes) -> int:
    """Return how many bytes the arrays, or the unpacked content, of a file may have."""
    return min(LIMIT, max(SMALL, _GROWTH * len(content)))


def check_room(shapes: Iterable[tuple], path: Path, most: int = SMALL) -> None:
    """Raise if shapes from a file are impossible, or if arrays of these shapes are too large.

    That is, if they have more than `most` bytes in float32 together.
    """
    total = 0
    for shape in shapes:
        if len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
            raise Refused(f"{path} is damaged: one of its arrays has an impossible shape")
        total += math.prod(shape)
    if total * 4 > most:
        raise Refused(
            f"{path} holds arrays of {total:,} values, and at most {most // 4:,} are read"
        )


def open_zip(content: bytes, path: Path, most: int | None = None) -> zipfile.ZipFile:
    """Open a zip archive of few entries that claim to unpack to no more than `most` bytes.

    `most` is `room_for(content)` by default. Entries must be read by `unpacked`, since the size
    that an entry states may be wrong.
    """
    if content.count(b"PK\x01\x02") > 10_000:  # how an entry begins in the table of contents
        raise Refused(f"{path} has more than 10,000 entries: no file of weights has as many")
    most = room_for(content) if most is None else most
    archive = zipfile.ZipFile(io.BytesIO(content))
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if size > most:
        raise Refused(f"{path} unpacks to {size:,} bytes, and at most {most:,} are read")
    # `zipfile` unpacks other methods without a limit; NumPy, PyTorch and Keras never use them.
    if any(e.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for e in entries):
        raise Refused(f"{path} is packed by bzip2, LZMA or the like: pack it by deflate, or not")
    if len({entry.filename for entry in entries}) < len(entries):
        raise Refused(f"{path} is damaged: two of its entries have the same name")
    return archive


def unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the bytes of an entry, at most as many as it states; more are not even unpacked."""
    entry = archive.getinfo(name)
    with archive.open(entry) as file:
        return file.read(entry.file_size)
