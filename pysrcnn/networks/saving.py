"""Networks into files, by the suffix: parameters by the names that others know, or a graph."""

import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formats import WRITABLE, Arrays, write_weights
from .authors import to_matlab
from .onnx_ops import Nodes, Value

if TYPE_CHECKING:
    from .network import Network

__all__ = ["save"]


def save(network: "Network", path: str | os.PathLike, card: dict[str, Any]) -> None:
    """Write a network and its card to a file, whole or not at all.

    Parameters
    ----------
    network : Network
    path : path
        ".npz", all parameters by their names; ".safetensors", whose tensors are called
        conv1.weight, conv1.bias, ...; ".onnx" (needs onnx), a graph of float32 that computes what
        `Network.forward` does; or ".mat" as the authors of SRCNN write it, three layers and no
        card.
    card : dict

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError, OSError
        If the file cannot be written.
    ModuleNotFoundError
        If writing it needs a package that is not installed.
    ValueError
        If networks are not written as such files, or not this one.
    """
    suffix, p = Path(path).suffix.lower(), network.parameters
    layers = {name: re.fullmatch(r"([WB])(\d+)", name) for name in p}
    if suffix != ".npz" and not all(layers.values()):
        raise ValueError(
            f"{path} would hold layers, and dictionaries of sparse coding are none: write them as "
            f".npz"
            if suffix in WRITABLE
            else f"{path} does not end in .npz: weights are written as .npz"
        )
    more: dict[str, Any] = {}
    if suffix == ".safetensors":
        kinds = {"W": "weight", "B": "bias"}
        p = {f"conv{m[2]}.{kinds[m[1]]}": p[name] for name, m in layers.items() if m}
    elif suffix == ".mat":
        if network.small:
            raise ValueError(
                f"{path} would hold an SRCNN, as its authors write it, and this is "
                f"{network.name}: write it as .npz"
            )
        if len(p) != 6:
            raise ValueError(
                f"a .mat file of the authors holds three layers, and this network has "
                f"{len(p) // 2}: write it as .npz"
            )
        p = to_matlab(p)
    elif suffix == ".onnx":
        p, more = _graph(network)
    write_weights(path, p, card, **more)


def _graph(network: "Network") -> tuple[Arrays, dict[str, Any]]:
    """The constants, the operations and the ends of a network as an ONNX graph."""
    nodes = Nodes(network.parameters)
    low = Value(nodes, "low")
    network._forward(low, network.parameters, nodes, None, **network.options)
    last = dataclasses.replace(nodes.graph[-1], output="high")
    s = network.seen.resolution
    sides = ["H", "W"] if s == 1 else [f"{s}*H", f"{s}*W"]
    ends = ("low", ["N", network.c, "H", "W"]), ("high", ["N", network.c, *sides])
    return nodes.constants, {"graph": (*nodes.graph[:-1], last), "ends": ends}
