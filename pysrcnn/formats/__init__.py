"""Weights in files: ours (.npz), the authors' .mat, PyTorch, safetensors, Keras, ONNX.

Each format has a file here, with a function `read(content, path)` that returns plain arrays,
`(parameters, card)`, and, for the formats that are written, `write(file, parameters, card)`.
`recognise.py` tells the formats apart by their bytes, and `model.py` makes a network of the arrays.
Nothing in a file is ever executed: pickles are walked through by an interpreter that makes nothing
but tensors and placeholders, and what a file says of its sizes is checked before memory is taken,
and held to while it is read.

A card says what the weights are: network, scale, data, recipe, scores, version, and notes of what
was left out or changed. It is a string of JSON: in the .npz the array "card", in .safetensors and
.onnx the entry "pysrcnn" of their metadata.

Files of others say nothing of what lies between the layers: ReLU after each layer but the last is
taken for granted, except where the file (Keras, ONNX) says otherwise. That values are in 0..1 and
the result is a picture is seen when greys go through a network (`values.py`).
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .._files import written_whole
from . import keras, mat, npz, onnx_graph, pytorch, recognise, safe_tensors
from .dictionaries import check_dictionaries
from .layers import LIMIT, Arrays, Refused, check, check_room, read_json
from .recognise import is_checkpoint
from .values import as_plain, check_picture

__all__ = [
    "READABLE",
    "WRITABLE",
    "as_plain",
    "check_picture",
    "contents",
    "files_of",
    "is_checkpoint",
    "read_arrays",
    "read_json",
    "read_weights",
    "write_npz",
    "write_weights",
]

_READERS = {
    "npz": (npz.read, "an .npz file of weights"),
    "mat": (mat.read, "a MATLAB 5 .mat file"),
    "pytorch": (pytorch.read, "a PyTorch file"),
    "safetensors": (safe_tensors.read, "a .safetensors file"),
    "keras": (keras.read, "a Keras .h5 or .keras file"),
    "onnx": (onnx_graph.read, "an .onnx file"),
}
_WRITERS = {
    ".npz": npz.write,
    ".mat": mat.write,
    ".safetensors": safe_tensors.write,
    ".onnx": onnx_graph.write,
}
READABLE, WRITABLE = tuple(recognise.SUFFIXES), tuple(_WRITERS)
_OTHERS = f"{', '.join(READABLE[2:-1])} or {READABLE[-1]}"


def read_weights(path: str | os.PathLike) -> tuple[Arrays, dict]:
    """Read weights, of whatever kind the first bytes of the file say that it is.

    Parameters
    ----------
    path : path
        Of an .npz as `write_npz` writes it; a .mat of the authors; a file of PyTorch (.pt, .pth,
        .ckpt, .pth.tar, .bin), a state dict or a checkpoint around one; .safetensors; of Keras
        (.h5, .hdf5, .keras); or .onnx (needs the package onnx), which may keep its tensors in a
        file beside it. The name matters where the bytes do not tell, as those of ONNX.

    Returns
    -------
    parameters : dict of arrays W1, B1, W2, B2, ...
        Weights (O, C, f, f), biases (O,), float32 or float64. A layer without biases gets zeros.
        Or, of an .npz of dictionaries, P, D_l and D_h, see `pysrcnn.networks.sparse`.
    card : dict
        Empty for files that carry none.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If reading it needs a package that is not installed.
    ValueError
        If the file is not what its name says, is damaged, or does not hold a network.
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
    reader, called = _READERS[kind]
    try:
        with np.errstate(all="ignore"):  # in sizes that are damaged
            parameters, card = reader(content, path)
    except (Refused, ModuleNotFoundError):
        raise
    except Exception:  # zipfile, struct, json, NumPy, protobuf ... each raise their own
        raise ValueError(f"{path} is damaged or not {called}") from None
    check_room((array.shape for array in parameters.values()), path)
    if not isinstance(card.get("notes", []), list):
        raise ValueError(f"{path} is damaged: the notes in its card are no list")
    if "D_l" in parameters or "D_h" in parameters:
        check_dictionaries(parameters, card, path)
    else:
        check(parameters, path)
    return parameters, card


def files_of(path: str | os.PathLike) -> Iterator[Path]:
    """The files that weights which `read_weights` has read are in; none, if there is no such file.

    Those are the file itself and, of ONNX, what it names as beside it.
    """
    path = Path(path)
    if path.is_file():
        yield path
        content = contents(path, "give a file of weights")
        if recognise.kind_of(content, path) == "onnx":
            yield from onnx_graph.files_beside(content, path)


def read_arrays(path: str | os.PathLike, most: int = LIMIT) -> Arrays:
    """All arrays of an .npz file, whatever they are, by name.

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
    """The bytes of a file, if they are some and no more than `most`.

    Raises
    ------
    FileNotFoundError
        If there is no such file; with `advice`, as all that is raised here.
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


def write_weights(path: str | os.PathLike, parameters: Arrays, card: dict) -> None:
    """Write weights by the suffix of the file's name, whole or not at all.

    Parameters
    ----------
    path : path
        ".npz"; ".safetensors", whose tensors are called conv1.weight, conv1.bias, ...; ".onnx"
        (needs onnx), a graph of float32 that computes what `SRCNN.forward` does; or ".mat" as the
        authors write it, three layers and no card.
    parameters : dict of arrays W1, B1, W2, B2, ...
    card : dict
        Kept by all but ".mat".

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError, OSError
        If the file cannot be written.
    ModuleNotFoundError
        If writing it needs a package that is not installed.
    ValueError
        If weights are not written as such files.
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise ValueError(
            f"{path} does not end in {', '.join(WRITABLE[:-1])} or {WRITABLE[-1]}: weights are "
            f"written as these"
        )
    dtype = parameters["W1"].dtype if "W1" in parameters else np.float32
    if path.suffix.lower() != ".npz":
        parameters = {name: np.ascontiguousarray(p, dtype) for name, p in parameters.items()}
    text = json.dumps(card)
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        _WRITERS[path.suffix.lower()](file, parameters, text)


def write_npz(path: str | os.PathLike, parameters: Arrays, card: dict) -> None:
    """Write parameters and card to `path`, whole or not at all."""
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise ValueError(f"{path} does not end in .npz: weights are written as .npz")
    write_weights(path, parameters, card)
