"""Networks as ONNX graphs, written by running their own `forward` on names.

`Nodes` is an ops module like `reference` and `kernels`: a network's `forward` runs on it once, and
each operation adds its counterpart in ONNX. Names of values are passed instead of arrays. So the
graph is what `forward` says, for every network.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..formats import Arrays, Operation
from .composed import Composed

__all__ = ["Nodes", "Value"]


@dataclass(frozen=True)
class Value:
    """A value in the graph, by its name; sums and multiples of values are nodes, too."""

    nodes: "Nodes"
    name: str

    def __add__(self, other: Any) -> "Value":
        return self.nodes.add("Add", [self, other])

    def __sub__(self, other: Any) -> "Value":
        return self.nodes.add("Sub", [self, other])

    def __mul__(self, other: Any) -> "Value":
        return self.nodes.add("Mul", [self, other])

    def __radd__(self, other: Any) -> "Value":
        return self.nodes.add("Add", [other, self])

    def __rmul__(self, other: Any) -> "Value":
        return self.nodes.add("Mul", [other, self])


class Nodes(Composed):
    """The ops module that builds a graph; use one per graph.

    Parameters
    ----------
    parameters : dict of arrays
        Those of the network; constants of the graph keep their names.

    Attributes
    ----------
    graph : list of Operation
    constants : dict of arrays
    """

    def __init__(self, parameters: Arrays):
        self.graph: list[Operation] = []
        self.constants: Arrays = {}
        self._names = {id(array): name for name, array in parameters.items()}

    def _name(self, given: Any) -> str:
        """The name of a value or a constant."""
        if isinstance(given, Value):
            return given.name
        known = self._names.get(id(given))
        array = np.asarray(given) if known else np.asarray(given, np.float32)
        return self._constant(known or f"constant{len(self.constants)}", array)

    def _constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = array
        return name

    def add(self, kind: str, inputs: list, **options: Any) -> Value:
        """Add a node; its label counts those of its kind."""
        count = 1 + sum(node.kind == kind for node in self.graph)
        label, names = f"{kind.lower()}{count}", tuple(self._name(x) for x in inputs)
        self.graph.append(Operation(kind, label, names, f"{label}_out", options=options))
        return Value(self, f"{label}_out")

    def conv2d(self, x: Value, w: np.ndarray, b: np.ndarray, padding: str = "valid") -> Value:
        """See `reference.conv2d`."""
        f = w.shape[2]
        pads = [f // 2] * 4 if padding == "zeros" else [0] * 4
        if padding == "replicate":
            x = self.pad_replicate(x, f // 2)
        return self.add("Conv", [x, w, b], kernel_shape=[f, f], pads=pads)

    def conv2d_strided(self, x: Value, w: np.ndarray, b: np.ndarray, s: int) -> Value:
        """See `reference.conv2d_strided`."""
        f = w.shape[2]
        options = {"kernel_shape": [f, f], "pads": [f // 2] * 4, "strides": [s, s]}
        return self.add("Conv", [x, w, b], **options)

    def pad_replicate(self, x: Value, m: int) -> Value:
        """See `reference.pad_replicate`."""
        return self._pad(x, m, "edge")

    def pad_zeros(self, x: Value, m: int) -> Value:
        """See `reference.pad_zeros`."""
        return self._pad(x, m, "constant")

    def _pad(self, x: Value, m: int, mode: str) -> Value:
        if m == 0:
            return x
        pads = self._constant(f"pads{m}", np.array([0, 0, m, m] * 2, np.int64))
        return self.add("Pad", [x, Value(self, pads)], mode=mode)

    def relu(self, x: Value) -> Value:
        """See `reference.relu`."""
        return self.add("Relu", [x])

    def tanh(self, x: Value) -> Value:
        """See `reference.tanh`."""
        return self.add("Tanh", [x])

    def prelu(self, x: Value, a: np.ndarray) -> Value:
        """See `reference.prelu`; ONNX wants a slope for each channel as (C, 1, 1)."""
        name = self._constant(self._name(a), np.reshape(a, (-1, 1, 1)))
        return self.add("PRelu", [x, Value(self, name)])

    def pixel_shuffle(self, x: Value, s: int) -> Value:
        """See `reference.pixel_shuffle`; its order of channels is the mode CRD."""
        return self.add("DepthToSpace", [x], blocksize=s, mode="CRD")

    def concatenate(self, *maps: Value) -> Value:
        """See `reference.concatenate`."""
        return self.add("Concat", list(maps), axis=1)

    def split(self, x: Value, *channels: int) -> tuple[Value, ...]:
        """See `reference.split`."""
        ends = [sum(channels[:k]) for k in range(len(channels) + 1)]
        axis = Value(self, self._constant("channels", np.array([1])))
        return tuple(
            self.add("Slice", [x, self._number(first), self._number(last), axis])
            for first, last in zip(ends, ends[1:], strict=False)
        )

    def _number(self, n: int) -> Value:
        return Value(self, self._constant(f"number{n}", np.array([n])))

    def warp(self, x: Value, flow: Value) -> Value:
        """Raise, since GridSample in ONNX is not `reference.warp`, whose flow is in pixels."""
        raise ValueError("a network that warps frames is not written as .onnx: write it as .npz")

    def repeat(self, x: Value, n: int) -> Value:
        """See `reference.repeat`."""
        # The nearest neighbour along the channels.
        scales = self._constant(f"repeats{n}", np.array([1, n, 1, 1], np.float32))
        return self.add(
            "Resize", [x, Value(self, ""), Value(self, scales)], mode="nearest",
            nearest_mode="floor", coordinate_transformation_mode="asymmetric",
        )  # fmt: skip
