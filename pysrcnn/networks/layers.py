"""Find the layers of a chain of convolutions in the tensors of a file, and check them."""

import re
from pathlib import Path

import numpy as np

from ..formats import Arrays, Refused, check_room, shown
from .scales import LARGEST
from .values import check_numbers, check_sense, shuffle_of

__all__ = ["OTHER_NETWORKS", "check", "numbered", "stack"]

# Limits of a layer, far above any real one: a small file must not keep a machine busy for hours.
_MOST_FILTERS, _LARGEST_FILTER = 4096, 99
_MOST_SEARCHED = 8  # layers whose orders are all tried

OTHER_NETWORKS = (
    "networks of another kind than SRCNN, ESPCN, VDSR, DRCN, EDSR, SRResNet and VESPCN, such as "
    "Real-ESRGAN, are not read"
)


def stack(tensors: Arrays, path: Path, ordered: bool) -> Arrays:
    """Return W1, B1, W2, B2, ... from tensors under the names that a program gave them.

    Names are free, as long as each ends in ".weight" or ".bias": "conv1.weight",
    "module.features.0.weight", "recon.bias"; or all are as in the paper: "W1", "B1". Layers are
    taken in the order of their numbers, if their names do not differ in anything else and their
    channels fit; otherwise in the order of the file, if it is meaningful; otherwise in the only
    order in which channels fit, if there is just one.

    Parameters
    ----------
    tensors : dict of arrays
        In the order of the file: ".weight" (O, C, f, f), ".bias" (O,), which may be missing.
    path : Path
        For error messages.
    ordered : bool
        Whether the order in the file is meaningful.

    Raises
    ------
    Refused
        If there are tensors of another kind, the order of the layers cannot be determined, or a
        layer amid the others makes a picture.
    """
    weights, biases = _weights_and_biases(tensors, path)
    skip = next((name for name in weights if "residual" in name.lower()), None)
    if skip is not None:  # VDSR, whose layers would pass for those of an SRCNN
        raise Refused(f"{path} has residual layers, such as {shown(skip)}: {OTHER_NETWORKS}")
    if not weights:
        raise Refused(f"{path} holds no layers: weights (O, C, f, f) and biases (O,)")
    alone = next((prefix for prefix in biases if prefix not in weights), None)
    if alone is not None:
        raise Refused(f"{path} has biases of {shown(alone)}, but no weights for it")
    order = _order(weights, path, ordered)
    c = weights[order[0]].shape[1]
    picture = next((name for name in order[:-1] if len(weights[name]) == c), None)
    if picture is not None:
        raise Refused(
            f"{path}: {shown(picture)} is not the last layer, and makes {c} "
            f"{'channel' if c == 1 else 'channels'}, as a picture has: the file holds several "
            f"networks, or one that changes colours first; save one of them, without that"
        )
    return numbered([(weights[prefix], biases.get(prefix)) for prefix in order], path)


def numbered(layers: list[tuple[np.ndarray, np.ndarray | None]], path: Path) -> Arrays:
    """Name ordered layers W1, B1, W2, B2, ..., in float32 or float64; missing biases are 0."""
    check_room((x.shape for layer in layers for x in layer if x is not None), path)
    parameters = {}
    for k, (w, b) in enumerate(layers, 1):
        for name, array in (("W", w), ("B", np.zeros(w.shape[:1], w.dtype) if b is None else b)):
            dtype = np.float64 if array.dtype.itemsize == 8 else np.float32
            parameters[f"{name}{k}"] = np.ascontiguousarray(array, dtype)
    return parameters


def _weights_and_biases(tensors: Arrays, path: Path) -> tuple[Arrays, Arrays]:
    """Return both, keyed by the names of their layers."""
    ours = {name: re.fullmatch(r"([WBwb])_?([0-9]{1,3})", name) for name in tensors}
    weights: Arrays = {}
    biases: Arrays = {}
    for name, tensor in tensors.items():
        prefix, _, kind = name.rpartition(".")
        paper = ours[name] if all(ours.values()) else None
        if paper:
            prefix, kind = f"conv{paper[2]}", "weight" if paper[1] in "Ww" else "bias"
        if (kind, tensor.ndim) not in (("weight", 4), ("bias", 1)):
            raise Refused(
                f"{path} holds {shown(name)} of shape {tensor.shape}, and SRCNN and ESPCN have "
                f"nothing but convolutions: weights (O, C, f, f) and biases (O,)"
            )
        if tensor.dtype.kind != "f":
            raise Refused(f"{path}: {shown(name)} holds {tensor.dtype}, not floating point numbers")
        (weights if kind == "weight" else biases)[prefix] = tensor
    return weights, biases


def _order(weights: Arrays, path: Path, ordered: bool) -> list[str]:
    """Return the names of the layers, first to last."""
    names = list(weights)
    numbers = {name: [int(n) for n in re.findall(r"[0-9]{1,9}", name)] for name in names}
    orders = []
    if len({re.sub(r"[0-9]{1,9}", "#", name) for name in names}) == 1:  # conv1, conv2, ...
        orders.append(sorted(names, key=lambda name: numbers[name]))
    if ordered:
        orders.append(names)
    for order in orders:
        if _fits(order, weights):
            return order
    few = len(weights) <= _MOST_SEARCHED
    found = _chains(weights) if few else []
    if len(found) == 1:
        return found[0]
    # A chain takes each number of channels as often as it gives it.
    inputs, outputs = (sorted(w.shape[axis] for w in weights.values()) for axis in (1, 0))
    if found or (not few and not orders and inputs == outputs):
        more = ", ..." if len(names) > 8 else ""
        raise Refused(
            f"{path} does not tell the order of its layers, {', '.join(map(shown, names[:8]))}"
            f"{more}: name them conv1, conv2, ..."
        )
    return orders[0] if orders else names  # `check` will say which layers do not fit


def _fits(names: list[str], weights: Arrays) -> bool:
    """Whether each layer fits the one before, and the first and the last fit pictures."""
    channels = [(weights[name].shape[1], weights[name].shape[0]) for name in names]
    between = all(a[1] == b[0] for a, b in zip(channels, channels[1:], strict=False))
    c, filters = channels[0][0], channels[-1][1]
    return between and c in (1, 3) and filters in _numbers_of_filters(c)


def _numbers_of_filters(c: int) -> list[int]:
    """The numbers of filters that the last layer may have: one for each channel or sub-pixel."""
    return [c * s * s for s in range(1, LARGEST + 1)]


def _chains(weights: Arrays) -> list[list[str]]:
    """Return up to two orders in which channels fit, from 1 or 3 channels to those of a picture."""
    found: list[list[str]] = []

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


def check(parameters: Arrays, path: Path) -> None:
    """Raise unless the arrays are a chain: W1 B1 W2 B2 ... that fit each other and are finite."""
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
    c = parameters["W1"].shape[1]
    if c not in (1, 3) or not 1 <= shuffle_of(parameters) <= LARGEST:
        raise Refused(
            f"{path}: channels into and out of the network are {c} and {channels}, wanted 1 and 1 "
            f"(luminance) or 3 and 3 (RGB), or out of it s x s for each: {OTHER_NETWORKS}"
        )
    for name, array in parameters.items():
        check_sense(name, array, path)
