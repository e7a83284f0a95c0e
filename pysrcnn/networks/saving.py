"""Save networks to files, by the suffix: parameters under names that others know, or a graph."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..formats import Arrays, write_weights
from .onnx_ops import Nodes, Value

if TYPE_CHECKING:
    from .network import Network

__all__ = ["HALVED", "in_half", "save"]


HALVED = ".npz", ".safetensors"
_PRECISION = 2.0**-11  # of float16: its largest relative rounding error


def save(
    network: "Network", path: str | os.PathLike, card: dict[str, Any], half: bool = False
) -> None:
    """Write a network and its card to a file, completely or not at all.

    Parameters
    ----------
    network : Network
    path : path
        The suffix decides: ".npz", all parameters by their names; ".safetensors", the same, but
        those of a chain of layers are called conv1.weight, conv1.bias, ...; ".onnx" (needs onnx), a
        float32 graph that computes `Network.forward`; or ".mat", as the authors of SRCNN write it,
        three layers and no card.
    card : dict
    half : bool
        Whether to write float16, for .npz and .safetensors only. Arrays that float16 does not hold
        to its precision, because they have values above 65,504 or almost none above 6e-5, stay
        float32.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError, OSError
        If the file cannot be written.
    ModuleNotFoundError
        If writing it needs a package that is not installed.
    ValueError
        If such files do not hold networks, or not this one, or not in float16.
    """
    p = network._tensors(Path(path))
    if half:
        if Path(path).suffix.lower() not in HALVED:
            raise ValueError(
                f"{path} would not be of float16: weights of half the size are written as "
                f"{' or '.join(HALVED)}"
            )
        p = {name: in_half(array) for name, array in p.items()}
    more: dict[str, Any] = {}
    if Path(path).suffix.lower() == ".onnx":
        p, more = _graph(network)
    write_weights(path, p, card, **more)


def in_half(array: np.ndarray) -> np.ndarray:
    """Convert an array to float16, or to float32 if float16 would lose more than rounding does."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    lost, whole = (np.linalg.norm(x.astype(np.float64)) for x in (half - array, array))
    return half if lost <= _PRECISION * whole else array.astype(np.float32)


def _graph(network: "Network") -> tuple[Arrays, dict[str, Any]]:
    """Return the constants, the operations, and the ends of a network as an ONNX graph."""
    network = network.folded()
    nodes = Nodes(network.parameters)
    low = Value(nodes, "low")
    network._forward(low, network.parameters, nodes, None, **network.options)
    last = dataclasses.replace(nodes.graph[-1], output="high")
    s = network.seen.resolution
    sides = ["H", "W"] if s == 1 else [f"{s}*H", f"{s}*W"]
    ends = ("low", ["N", network.c, "H", "W"]), ("high", ["N", network.c, *sides])
    return nodes.constants, {"graph": (*nodes.graph[:-1], last), "ends": ends}
