"""What all formats share: what a reader returns, and that no small file takes much memory or time.

Axes: weights of convolutions (O, C, f, f), O filters for C channels, as PyTorch's; biases (O,).
"""

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable
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
SMALL = 1 << 26  # of the arrays of any file, and of what it unpacks to
_GROWTH = 3  # a larger file may become as many times its size: float16 becomes float32
_LONGEST_TEXT = 1 << 20  # of JSON, which in memory takes twenty times as much


class Refused(ValueError):
    """A file that is not read, with the whole sentence that says why."""


@dataclass(frozen=True)
class Operation:
    """One step of what a file says is computed: an operator of ONNX, a layer of Keras.

    Attributes
    ----------
    kind : str
        As ONNX calls it: "Conv", "Relu", ...; what ONNX has not is called as in the file.
    label : str
        For sentences: "the operator Conv", "a layer of the kind Conv2D".
    inputs : tuple of str
        The values that it takes, by name; "" where one is left out.
    output : str
        The value that it gives.
    given : tuple of array or None
        For each of `inputs`: the array, if it is a constant in the file.
    options : dict
        As ONNX calls them: pads, strides, ...
    """

    kind: str
    label: str
    inputs: tuple[str, ...] = ()
    output: str = ""
    given: tuple[np.ndarray | None, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Weights:
    """What is in a file of weights.

    Attributes
    ----------
    tensors : dict of arrays
        By their names in the file, in its order. Weights of convolutions end in ".weight",
        biases in ".bias", where programs call them so.
    card : dict
        What we say of weights in files of ours; empty in those of others.
    format : str
        "npz", "mat", "pytorch", "safetensors", "keras" or "onnx".
    ordered : bool
        Whether the order in the file means anything.
    graph : tuple of Operation, optional
        What is computed, first to last, if the file tells.
    output : str
        The value of the graph that is the result; "" if it is that of the last operation.
    layers : tuple of (name, whether it has tensors)
        All layers by name, if that is all that the file tells of what is computed.
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
    """A name from a file, fit to be printed: it may hold anything, such as line ends."""
    text = str(text) if isinstance(text, str) else type(text).__name__
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= most else text[: most - 3] + "..."


def read_json(text: str | bytes, path: Path, hook: Callable | None = None) -> Any:
    """What a file says in JSON, unless it is far longer than anything that weights have to say."""
    if len(text) > _LONGEST_TEXT:
        raise Refused(
            f"{path} has {len(text):,} characters of JSON, and files of weights have a few thousand"
        )
    return json.loads(text, object_pairs_hook=hook)


def read_card(text: str, path: Path) -> dict:
    """The card from its JSON."""
    card = read_json(text, path)
    if not isinstance(card, dict):
        raise Refused(f"{path} is damaged: its card is not a JSON object")
    return card


def room_for(content: bytes) -> int:
    """Bytes that the arrays of a file may have, or what it unpacks to: no small file takes much."""
    return min(LIMIT, max(SMALL, _GROWTH * len(content)))


def check_room(shapes: Iterable[tuple], path: Path, most: int = SMALL) -> None:
    """Raise if arrays of these shapes, as the file gives them, are none or too large to be made.

    That is, of more than `most` bytes in float32.
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
    """A zip archive of few entries, which say that they unpack to no more than `most` bytes.

    By default as many as there is `room_for`. To be read by `unpacked`: what an entry says of its
    size may be wrong.
    """
    if content.count(b"PK\x01\x02") > 10_000:  # how an entry begins in the table of contents
        raise Refused(f"{path} has more than 10,000 entries: no file of weights has as many")
    most = room_for(content) if most is None else most
    archive = zipfile.ZipFile(io.BytesIO(content))
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if size > most:
        raise Refused(f"{path} unpacks to {size:,} bytes, and at most {most:,} are read")
    # `zipfile` unpacks the others without a limit; NumPy, PyTorch and Keras never write them.
    if any(e.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for e in entries):
        raise Refused(f"{path} is packed by bzip2, LZMA or the like: pack it by deflate, or not")
    if len({entry.filename for entry in entries}) < len(entries):
        raise Refused(f"{path} is damaged: two of its entries have the same name")
    return archive


def unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of an entry, as many as it says that it has; more are not even unpacked."""
    entry = archive.getinfo(name)
    with archive.open(entry) as file:
        return file.read(entry.file_size)
