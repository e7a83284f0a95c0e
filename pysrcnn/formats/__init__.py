"""Conversion between files of weights and named tensors with a card: .npz, .mat, PyTorch, ...

Each format has a module here with a function `read(content, path)` that returns `Weights` and, if
the format is written, `write(file, tensors, card)`. `recognise.py` tells the formats apart by their
bytes. Which network the tensors belong to is decided in `pysrcnn.networks.recognise`.

Nothing in a file is ever executed: an interpreter walks through pickles and makes nothing but
tensors and placeholders. The sizes that a file states are checked before memory is taken, and
enforced while it is read.

A card says what the weights are: network, scale, data, recipe, scores, version, and notes on what
was left out or changed. It is a string of JSON: in .npz the array "card", in .safetensors and .onnx
the entry "pysrcnn" of their metadata.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .._files import written_whole
from . import keras, mat, npz, onnx_files, pytorch, recognise, safe_tensors
from .recognise import is_checkpoint
from .tensors import (
    LIMIT,
    SMALL,
    Arrays,
    Operation,
    Refused,
    Weights,
    check_names,
    check_room,
    read_json,
    room_for,
    shown,
)

__all__ = [
    "LIMIT",
    "READABLE",
    "SMALL",
    "WRITABLE",
    "Arrays",
    "Operation",
    "Refused",
    "Weights",
    "check_room",
    "contents",
    "files_of",
    "is_checkpoint",
    "read_arrays",
    "read_json",
    "read_weights",
    "shown",
    "write_weights",
]

_READERS = {
    "npz": (npz.read, "an .npz file of weights"),
    "mat": (mat.read, "a MATLAB 5 .mat file"),
    "pytorch": (pytorch.read, "a PyTorch file"),
    "safetensors": (safe_tensors.read, "a .safetensors file"),
    "keras": (keras.read, "a Keras .h5 or .keras file"),
    "onnx": (onnx_files.read, "an .onnx file"),
}
_WRITERS: dict[str, Any] = {
    ".npz": npz.write,
    ".mat": mat.write,
    ".safetensors": safe_tensors.write,
    ".onnx": onnx_files.write,
}
READABLE, WRITABLE = tuple(recognise.SUFFIXES), tuple(_WRITERS)
_OTHERS = f"{', '.join(READABLE[2:-1])} or {READABLE[-1]}"


def read_weights(path: str | os.PathLike) -> Weights:
    """Read weights from a file, whose format is recognised by its bytes.

    Parameters
    ----------
    path : path
        Of one of our .npz files; a .mat file of plain arrays; a PyTorch file (.pt, .pth, .ckpt,
        .pth.tar, .bin) of a state dict or a checkpoint with one; .safetensors; Keras (.h5, .hdf5,
        .keras; needs the package h5py); or .onnx (needs the package onnx), which may keep its
        tensors in a file beside it. The name matters if the bytes do not tell, as with ONNX.

    Returns
    -------
    weights : Weights
        The tensors by their names in the file. Floating point numbers are float32 or float64;
        those of 16 bits in the file, float16 or bfloat16, become float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If reading it needs a package that is not installed.
    ValueError
        If the file is not what its name says, is damaged, or holds no tensors.
    """
    path = Path(path)
    advice = f"give a file of weights (.npz or .mat), or one of another kind: {_OTHERS}"
    recognise.check_folder(path)
    content = contents(path, advice)
    kind = recognise.kind_of(content, path)
    if kind is None:
        raise ValueError(
            f"{path} is neither .npz nor .mat, nor {_OTHERS}: these are the weights we can read"
        )
    reader, label = _READERS[kind]
    try:
        with np.errstate(all="ignore"):  # in sizes that are damaged
            weights = reader(content, path)
    except (Refused, ModuleNotFoundError):
        raise
    except Exception:  # zipfile, struct, json, NumPy, protobuf ... each raise their own
        raise ValueError(f"{path} is damaged or not {label}") from None
    check_names([*weights.tensors, *(name for name, _ in weights.layers)], path)
    check_room((array.shape for array in weights.tensors.values()), path, room_for(content))
    if not isinstance(weights.card.get("notes", []), list):
        raise ValueError(f"{path} is damaged: the notes in its card are no list")
    for name, array in weights.tensors.items():
        if array.dtype == np.float16:
            weights.tensors[name] = array.astype(np.float32)
    return weights


def files_of(path: str | os.PathLike) -> Iterator[Path]:
    """Yield the files of weights that `read_weights` has read; none if there is no such file.

    They are the file itself and, for ONNX, the files beside it that it names.
    """
    path = Path(path)
    if path.is_file():
        yield path
        content = contents(path, "give a file of weights")
        if recognise.kind_of(content, path) == "onnx":
            yield from onnx_files.files_beside(content, path)


def read_arrays(path: str | os.PathLike, most: int = SMALL) -> Arrays:
    """Read all arrays of an .npz file by name, whatever they are, except "card".

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an .npz file of arrays, or it or what is in it has more than `most` bytes.
    """
    path = Path(path)
    content = contents(path, "give an .npz file of arrays, as numpy.savez writes it", most)
    try:
        with np.errstate(all="ignore"):  # in sizes that are damaged
            arrays = npz.read_all(content, path, most)
    except Refused:
        raise
    except Exception:  # zipfile, struct, NumPy ... each raise their own
        raise ValueError(f"{path} is damaged or not an .npz file of arrays") from None
    return {name: array for name, array in arrays.items() if name != "card"}


def contents(path: Path, advice: str, most: int = LIMIT) -> bytes:
    """Read the bytes of a file that is not empty and has no more than `most`.

    Raises
    ------
    FileNotFoundError
        If there is no such file. All errors raised here end in `advice`.
    ValueError
        If it is empty or larger, a folder, a pipe or a device.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: {advice}")
    if not path.exists():
        raise FileNotFoundError(f"no file {path}: {advice}")
    if not path.is_file():
        raise ValueError(f"{path} is a pipe or a device, not a file: {advice}")
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"{path} has {size:,} bytes, and {most:,} are read at most: {advice}")
    with open(path, "rb") as file:
        content = file.read(size + 1)
    if len(content) != size:  # files of /proc say that they are empty
        raise ValueError(f"{path} is not of the size it says, or is changing: {advice}")
    if not content:
        raise ValueError(f"{path} is empty: {advice}")
    return content


def write_weights(path: str | os.PathLike, tensors: Arrays, card: dict, **more: Any) -> None:
    """Write tensors and a card, whole or not at all, in the format of the suffix.

    Parameters
    ----------
    path : path
        ".npz", ".safetensors", ".onnx" (needs onnx) or ".mat".
    tensors : dict of arrays
    card : dict
        Kept by all but ".mat".
    more
        For ".onnx", the graph and its ends, see `onnx_files.write`.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError, OSError
        If the file cannot be written.
    ModuleNotFoundError
        If writing it needs a package that is not installed.
    ValueError
        If the suffix is another one, or the tensors are larger than can be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(
            f"{path} does not end in {', '.join(WRITABLE[:-1])} or {WRITABLE[-1]}: weights are "
            f"written as these"
        )
    size = sum(array.nbytes for array in tensors.values())
    if size > LIMIT:
        raise ValueError(
            f"{path} would hold {size:,} bytes, and weights of at most {LIMIT:,} are read: make "
            f"the network smaller"
        )
    text = json.dumps(card)
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        _WRITERS[suffix](file, tensors, text, **more)
