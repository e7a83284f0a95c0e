"""What all formats share: what a network is, and which tensor of a file is which layer of it."""

import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "LIMIT",
    "OTHER_NETWORKS",
    "Arrays",
    "Refused",
    "check",
    "check_numbers",
    "check_room",
    "check_sense",
    "open_zip",
    "read_card",
    "read_json",
    "shown",
    "stack",
    "unpacked",
]

Arrays = dict[str, np.ndarray]

LIMIT = 1 << 26  # bytes of a file, and of all its arrays; the paper's largest network has 0.7 MB
_LONGEST_TEXT = 1 << 20  # of JSON, which in memory takes twenty times as much

# Of a layer, far above what anybody trains: a small file shall not keep a machine busy for hours.
_MOST_FILTERS, _LARGEST_FILTER = 4096, 99
_MOST_SEARCHED = 8  # layers, of which all orders are tried
_LARGEST = 1_000_000  # number in a file: a thousand times what anybody trains for pixels of 0..255

OTHER_NETWORKS = (
    "networks of another kind than SRCNN, such as ESPCN, VDSR, EDSR and Real-ESRGAN, are not read"
)


class Refused(ValueError):
    """A file that is not read, with the whole sentence that says why."""


def shown(text: object, most: int = 60) -> str:
    """A name from a file, fit to be printed: it may hold anything, such as line ends."""
    text = str(text) if isinstance(text, str) else type(text).__name__
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= most else text[: most - 3] + "..."


def read_json(text: str | bytes, path: Path, hook: Callable | None = None) -> Any:
    """What a file says in JSON, unless it is far longer than anything that an SRCNN has to say."""
    if len(text) > _LONGEST_TEXT:
        raise Refused(
            f"{path} has {len(text):,} characters of JSON, and an SRCNN's file has a few thousand"
        )
    return json.loads(text, object_pairs_hook=hook)


def read_card(text: str, path: Path) -> dict:
    """The card from its JSON."""
    card = read_json(text, path)
    if not isinstance(card, dict):
        raise Refused(f"{path} is damaged: its card is not a JSON object")
    return card


def check_room(shapes: Iterable[tuple], path: Path) -> None:
    """Raise if arrays of these shapes, as the file gives them, are none or too large to be made."""
    total = 0
    for shape in shapes:
        if len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
            raise Refused(f"{path} is damaged: one of its arrays has a shape that cannot be")
        total += math.prod(shape)
    if total * 4 > LIMIT:
        raise Refused(
            f"{path} holds arrays of {total:,} values, and an SRCNN has at most {LIMIT // 4:,}"
        )


def open_zip(content: bytes, path: Path, most: int = LIMIT) -> zipfile.ZipFile:
    """A zip archive of few entries, which say that they unpack to no more than `most` bytes.

    To be read by `unpacked`: what an entry says of its size may be wrong.
    """
    if content.count(b"PK\x01\x02") > 10_000:  # how an entry begins in the table of contents
        raise Refused(f"{path} has more than 10,000 entries: no SRCNN has as many")
    archive = zipfile.ZipFile(io.BytesIO(content))
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if size > most:
        raise Refused(f"{path} unpacks to {size:,} bytes, and an SRCNN has at most {most:,}")
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


def stack(tensors: Arrays, path: Path, ordered: bool) -> Arrays:
    """W1, B1, W2, B2, ... from tensors by the names that a program gave them.

    Names are free, as long as each ends in ".weight" or ".bias": "conv1.weight",
    "module.features.0.weight", "recon.bias"; or all are as in the paper: "W1", "B1". Layers come in
    the order of the file, if that means anything and their channels fit each other; else in that of
    their numbers, if nothing else differs in their names; else in the one order in which channels
    fit, if it is the only one.

    Parameters
    ----------
    tensors : dict of arrays
        In the order of the file: ".weight" (O, C, f, f), ".bias" (O,), which may be missing.
    path : Path
        For the sentences.
    ordered : bool
        Whether the order in the file means anything.

    Raises
    ------
    Refused
        If there are tensors of another kind, or the order of the layers cannot be told.
    """
    ours = {name: re.fullmatch(r"([WBwb])_?([0-9]{1,3})", name) for name in tensors}
    if all(ours.values()):
        tensors = {
            f"conv{found[2]}.{'weight' if found[1] in 'Ww' else 'bias'}": tensors[name]
            for name, found in ours.items()
        }
    weights, biases = {}, {}
    for name, tensor in tensors.items():
        prefix, _, kind = name.rpartition(".")
        if (kind, tensor.ndim) not in (("weight", 4), ("bias", 1)):
            raise Refused(
                f"{path} holds {shown(name)} of shape {tensor.shape}, and an SRCNN has nothing but "
                f"convolutions: weights (O, C, f, f) and biases (O,)"
            )
        if tensor.dtype.kind != "f":
            raise Refused(f"{path}: {shown(name)} holds {tensor.dtype}, not floating point numbers")
        (weights if kind == "weight" else biases)[prefix] = tensor
    skip = next((name for name in weights if "residual" in name.lower()), None)
    if skip is not None:  # VDSR, whose layers fit each other as those of an SRCNN do
        raise Refused(f"{path} has residual layers, such as {shown(skip)}: {OTHER_NETWORKS}")
    if not weights:
        raise Refused(f"{path} holds no layers: weights (O, C, f, f) and biases (O,)")
    alone = next((prefix for prefix in biases if prefix not in weights), None)
    if alone is not None:
        raise Refused(f"{path} has biases of {shown(alone)}, but no weights of it")
    parameters = {}
    for k, prefix in enumerate(_order(weights, path, ordered), 1):
        w = weights[prefix]
        b = biases.get(prefix, np.zeros(len(w), w.dtype))
        for name, array in (("W", w), ("B", b)):
            dtype = np.float64 if array.dtype.itemsize == 8 else np.float32
            parameters[f"{name}{k}"] = np.ascontiguousarray(array, dtype)
    return parameters


def _order(weights: Arrays, path: Path, ordered: bool) -> list[str]:
    """The names of the layers, first to last."""
    names = list(weights)
    numbers = {name: [int(n) for n in re.findall(r"[0-9]{1,9}", name)] for name in names}
    orders = [names] if ordered else []
    if len({re.sub(r"[0-9]{1,9}", "#", name) for name in names}) == 1:  # conv1, conv2, ...
        orders.append(sorted(names, key=numbers.get))
    for order in orders:
        if _fits(order, weights):
            return order
    few = len(weights) <= _MOST_SEARCHED
    found = _chains(weights) if few else []
    if len(found) == 1:
        return found[0]
    # In any order, each number of channels is taken as often as it is given.
    inputs, outputs = (sorted(w.shape[axis] for w in weights.values()) for axis in (1, 0))
    if found or (not few and not orders and inputs == outputs):
        more = ", ..." if len(names) > 8 else ""
        raise Refused(
            f"{path} does not tell the order of its layers, {', '.join(map(shown, names[:8]))}"
            f"{more}: name them conv1, conv2, ..."
        )
    return orders[-1] if orders else names  # `check` will say which layers do not fit


def _fits(names: list[str], weights: Arrays) -> bool:
    """Whether each layer takes the channels that the one before gives, and the first the last's."""
    pairs = zip([names[-1], *names[:-1]], names, strict=True)
    fit = all(weights[a].shape[0] == weights[b].shape[1] for a, b in pairs)
    return fit and weights[names[0]].shape[1] in (1, 3)


def _chains(weights: Arrays) -> list[list[str]]:
    """Up to two orders in which the channels fit, from 1 or 3 channels to as many."""
    found = []

    def extend(chain: list[str], rest: list[str]) -> None:
        if not rest and _fits(chain, weights):
            found.append(chain)
        for name in rest:
            c = weights[name].shape[1]
            fits = c == weights[chain[-1]].shape[0] if chain else c in (1, 3)
            if fits and len(found) < 2:
                extend([*chain, name], [n for n in rest if n != name])

    extend([], list(weights))
    return found


def check_numbers(name: str, array: np.ndarray, path: Path) -> None:
    """Raise unless an array of a file, of this name, holds floating point numbers, all finite."""
    if array.dtype not in (np.float32, np.float64):
        raise Refused(f"{path}: {name} is {shown(str(array.dtype))}, wanted float32 or float64")
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(array.astype(np.float32)).all()
    if not finite:
        raise Refused(f"{path}: {name} holds values that are not finite in float32")


def check_sense(name: str, array: np.ndarray, path: Path) -> None:
    """Raise if these numbers cannot be of use: huge ones, or nothing but zeros, not of biases."""
    largest = np.abs(array).max()
    if largest > _LARGEST:
        raise Refused(
            f"{path}: {name} holds values up to {largest:.3g}, wanted at most {_LARGEST:,}: no "
            f"picture would come out"
        )
    if largest == 0 and name[0] != "B":
        raise Refused(
            f"{path}: {name} holds nothing but zeros, and nothing of a picture would go through "
            f"it: give weights that were trained"
        )


def check(parameters: Arrays, path: Path) -> None:
    """Raise unless the arrays are a network: W1 B1 W2 B2 ... that fit each other, all finite."""
    layers = len(parameters) // 2
    wanted = [f"{kind}{k}" for k in range(1, layers + 1) for kind in "WB"]
    if layers == 0 or sorted(parameters) != sorted(wanted):
        names = [shown(name) for name in sorted(parameters)[:20]]
        raise Refused(
            f"{path} holds {names or 'nothing'}, not the arrays of a network: W1, B1, W2, B2, ..."
        )
    channels = None
    for k in range(1, layers + 1):
        w, b = parameters[f"W{k}"], parameters[f"B{k}"]
        for name, array in ((f"W{k}", w), (f"B{k}", b)):
            check_numbers(name, array, path)
        if w.ndim != 4 or w.shape[2] != w.shape[3] or w.shape[2] % 2 == 0 or 0 in w.shape:
            raise Refused(f"{path}: W{k} has the shape {w.shape}, wanted (O, C, f, f), f odd")
        if w.shape[0] > _MOST_FILTERS or w.shape[2] > _LARGEST_FILTER:
            raise Refused(
                f"{path}: W{k} has the shape {w.shape}, wanted at most {_MOST_FILTERS} filters "
                f"of at most {_LARGEST_FILTER} x {_LARGEST_FILTER}"
            )
        if b.shape != w.shape[:1]:
            raise Refused(f"{path}: B{k} has the shape {b.shape}, wanted {w.shape[:1]}")
        if channels is not None and w.shape[1] != channels:
            raise Refused(
                f"{path}: W{k} takes {w.shape[1]} channels, the layer before gives {channels}: "
                f"{OTHER_NETWORKS}"
            )
        channels = w.shape[0]
    if parameters["W1"].shape[1] != channels or channels not in (1, 3):
        raise Refused(
            f"{path}: channels into and out of the network are {parameters['W1'].shape[1]} and "
            f"{channels}, wanted 1 and 1 (luminance) or 3 and 3 (RGB): {OTHER_NETWORKS}"
        )
    for name, array in parameters.items():
        check_sense(name, array, path)
