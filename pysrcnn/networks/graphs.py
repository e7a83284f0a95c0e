"""Recognise graphs in files that are chains of convolutions: SRCNN, ESPCN.

What programs put around the chain is understood, too: a Clip to 0..1 after it, factors and offsets
for the values of pixels, axes in another order, an enlargement before it, the input added to the
result. A sub-pixel shuffle after the last convolution is one operator, or the several that PyTorch
writes for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..formats import Operation, Refused, Weights, shown
from .values import Affine

__all__ = ["GraphChain", "chain_of"]

_ONLY = "only chains of convolutions with ReLU or tanh between them are read"
_NONE = "where SRCNN and ESPCN have none"
_FRONT = "; if it enlarges the picture, save the model without it"

# A shuffle as several operators, which split axes, permute them and merge them again: each with the
# number of axes after it, or with its own axes. In PyTorch's order, ONNX's mode CRD, the sub-pixels
# of a channel follow each other; in TensorFlow's, DCR, the channels of a sub-pixel.
_SHUFFLES = {
    (("Reshape", 6), ("Transpose", 0, 1, 4, 2, 5, 3), ("Reshape", 4)): "CRD",
    (("Reshape", 6), ("Transpose", 0, 3, 4, 1, 5, 2), ("Reshape", 4)): "DCR",
    # PyTorch's for pictures of any size, before ONNX had DepthToSpace for it.
    (
        *(("Unsqueeze", 2, 3), ("Reshape", 6), ("Transpose", 0, 1, 4, 2, 5, 3)),
        *(("Reshape", 6), ("Reshape", 6), ("Squeeze", 3, 5)),
    ): "CRD",
}


@dataclass
class GraphChain:
    """A chain of convolutions, as a graph describes it.

    Attributes
    ----------
    layers : list of (weights, biases)
        Biases may be None; both are, if the graph does not say which tensors it takes.
    activations : list of str
        What follows each layer: "relu", "tanh" or, for nothing, "linear".
    paddings : list of str
        What each layer sees beyond the edge: "zeros", "edge", "reflect" or, for nothing, "valid".
    before, after : Affine
        The scaling of all values before the first layer and after the last.
    residual : bool
        Whether the input is added to the output of the layers.
    shuffle : "CRD", "DCR" or ""
        The order of filters of a sub-pixel shuffle after the last layer, by ONNX's name.
    block : int or None
        The factor of the shuffle, if it is stated.
    enlarges : str
        The operator that enlarges the picture before the first layer, "" if there is none.
    times : list of float
        Its factors for rows and columns, if they are stated.
    """

    layers: list[tuple[np.ndarray | None, np.ndarray | None]] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    paddings: list[str] = field(default_factory=list)
    before: Affine = field(default_factory=Affine)
    after: Affine = field(default_factory=Affine)
    residual: bool = False
    shuffle: str = ""
    block: int | None = None
    enlarges: str = ""
    times: list[float] = field(default_factory=list)


def chain_of(weights: Weights, path: Path) -> GraphChain:
    """Return the chain that the graph of a file computes.

    Raises
    ------
    Refused
        If it computes something else.
    """
    walk = _Walk(path)
    try:
        for operation in weights.graph or ():
            walk.add(operation)
    except Refused:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
        # Options of the wrong type, such as a padding without amounts.
        raise Refused(f"{path} is damaged: what it says of its layers makes no sense") from None
    if weights.output not in ("", walk.current):
        raise Refused(f"{path} is not a chain: its output is not what the last operator gives")
    if walk.apart:
        raise Refused(f"{path} has {walk.apart[0][0]} where a sub-pixel shuffle has more: {_ONLY}")
    chain = walk.chain
    # A ReLU after the last layer changes no picture: values below 0 are black in any case.
    if chain.activations and chain.activations[-1] == "tanh":
        raise Refused(f"{path} has a Tanh behind its last layer, {_NONE}")
    return chain


class _Walk:
    """A walk along a graph from the picture on, one operation after the other."""

    def __init__(self, path: Path):
        self.path, self.chain, self.current = path, GraphChain(), ""
        self.apart: tuple = ()  # the operators of a shuffle so far
        self._pictures = {""}  # names of the input, or of its enlargement
        self._clipped, self._pad = False, "valid"

    def add(self, operation: Operation) -> None:
        """Take the next operation, or raise if none of our networks has it there."""
        kind = operation.kind
        step = _STEPS.get(kind)
        if step is None or (self.apart and step is not _Walk._axes and kind != "Transpose"):
            front = "" if self.chain.layers or self.current else _FRONT
            raise Refused(f"{self.path} has {operation.label}: {_ONLY}{front}")
        inputs, given = list(operation.inputs), list(operation.given)
        given += [None] * (len(inputs) - len(given))
        turned = len(inputs) == 2 and inputs[1] == self.current != inputs[0]  # 255 * x
        if kind in ("Add", "Mul", "Sub") and turned:
            inputs.reverse()
            given.reverse()
        if kind != "Input" and inputs[:1] not in ([], [self.current]):
            raise Refused(
                f"{self.path} is not a chain: {kind} does not take what the one before gives"
            )
        self.current = operation.output
        step(self, operation, inputs[1:], given[1:])

    def _constants(self, kind: str, others: list[str], given: list) -> None:
        """Raise unless the file holds all inputs of an operation but the first."""
        for name, array in zip(others, given, strict=True):
            if name in self._pictures and name and self.chain.layers:
                raise Refused(
                    f"{self.path} takes its input and what the layers give together by {kind}, and "
                    f"only their sum is read"
                )
            if name and array is None:
                raise Refused(
                    f"{self.path}: the {kind} takes {shown(name)}, which is not in the file"
                )

    def _input(self, operation: Operation, others: list[str], given: list) -> None:
        self._pictures = {operation.output}

    def _nothing(self, operation: Operation, others: list[str], given: list) -> None:
        pass

    def _convolution(self, operation: Operation, others: list[str], given: list) -> None:
        chain, path, options = self.chain, self.path, operation.options
        self._constants("Conv", others, given)
        if self._clipped or chain.after.any or chain.residual or chain.shuffle:
            what = "Clip" if self._clipped else "factor or summand"
            what = "sub-pixel shuffle" if chain.shuffle else what
            raise Refused(f"{path} has a {what} before a convolution, {_NONE}")
        if chain.activations and chain.activations[-1] == "linear":
            raise Refused(f"{path} has two convolutions without an activation between them")
        for name in ("strides", "dilations", "group"):
            if np.any(np.array(options.get(name, 1)) != 1):
                raise Refused(
                    f"{path} has a convolution with {name} {shown(str(options[name]))}, wanted 1"
                )
        if options.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID"):
            if np.any(pads := options.get("pads", [0, 0, 0, 0])):
                self._pad = "zeros"
            self._check_pads(pads, 2)
        else:
            self._pad = "zeros"
        w, b = (*given, None, None)[:2]
        if w is None and operation.inputs:
            raise Refused(f"{path} has a Conv without weights")
        chain.layers.append((w, b))
        chain.activations.append("linear")
        chain.paddings.append(self._pad)
        self._pad = "valid"

    def _activation(self, operation: Operation, others: list[str], given: list) -> None:
        chain = self.chain
        if not chain.layers or chain.activations[-1] != "linear" or chain.after.any:
            raise Refused(f"{self.path} has a {operation.kind} {_NONE}")
        chain.activations[-1] = operation.kind.lower()

    def _padding(self, operation: Operation, others: list[str], given: list) -> None:
        self._constants("Pad", others, given)
        pads = operation.options.get("pads", given[0] if given else [])
        self._check_pads(pads, 4)
        mode = operation.options.get("mode", b"constant")
        mode = mode.decode() if isinstance(mode, bytes) else mode
        if np.any(np.asarray(pads) > 0):
            self._pad = "zeros" if mode == "constant" else mode

    def _check_pads(self, pads: Any, axes: int) -> None:
        """Raise if padding shifts the picture; its amount only changes edges."""
        pads = [int(n) if n == int(n) else n for n in np.ravel(pads).tolist()]
        before, after = pads[:axes], pads[axes:]
        if len(pads) != 2 * axes or before != after or any(before[:-2]):
            raise Refused(
                f"{self.path} pads by {shown(str(pads[:9]))}, wanted the same on opposite sides of "
                f"the picture"
            )

    def _clip(self, operation: Operation, others: list[str], given: list) -> None:
        """Ignore clipping to black and white, which is done in any case; raise if it clips more."""
        self._constants("Clip", others, given)
        white = 255 if np.max(self.chain.after.a) > 50 else 1
        low, high = (None if bound is None else bound.item() for bound in (*given, None, None)[:2])
        low, high = operation.options.get("min", low), operation.options.get("max", high)
        if not (low is None or low <= 0) or not (high is None or high >= white):
            raise Refused(f"{self.path} clips to {low}..{high}, wanted no narrower than 0..{white}")
        self._clipped = True

    def _transpose(self, operation: Operation, others: list[str], given: list) -> None:
        perm = tuple(operation.options.get("perm", ()))
        if self.apart:
            self._axes(operation, others, given)
        elif perm != ((0, 2, 3, 1) if self.chain.layers else (0, 3, 1, 2)):
            raise Refused(f"{self.path} has a Transpose other than from and to NHWC")

    def _axes(self, operation: Operation, others: list[str], given: list) -> None:
        """Take one of the operators of a shuffle; its sizes may be computed from the picture's."""
        kind, known = operation.kind, [*given, None][0]
        axes = operation.options.get("perm", operation.options.get("axes", known))
        if kind == "Reshape":
            axes = None if known is None else [known.size]
        place = len(self.apart)
        for pattern, mode in _SHUFFLES.items():
            fits = self.apart == pattern[:place] and len(pattern) > place
            if fits and pattern[place] == (kind, *(pattern[place][1:] if axes is None else axes)):
                whole = len(pattern) == place + 1
                self.apart = () if whole else pattern[: place + 1]
                if whole:
                    self._shuffle(mode)
                return
        raise Refused(f"{self.path} has {operation.label}: {_ONLY}")

    def _depth_to_space(self, operation: Operation, others: list[str], given: list) -> None:
        mode = operation.options.get("mode", b"DCR")
        self._shuffle(mode.decode() if isinstance(mode, bytes) else shown(mode))
        self.chain.block = operation.options.get("blocksize")

    def _shuffle(self, mode: str) -> None:
        chain = self.chain
        if not chain.layers or chain.shuffle or chain.residual or mode not in ("CRD", "DCR"):
            raise Refused(f"{self.path} has a sub-pixel shuffle {_NONE}")
        chain.shuffle = mode

    def _enlarge(self, operation: Operation, others: list[str], given: list) -> None:
        kind, chain = operation.label.rpartition(" ")[2], self.chain
        self._pictures = {self.current}
        if chain.layers:
            raise Refused(
                f"{self.path} enlarges, by {kind}, behind layers: SRCNN does before, and ESPCN by "
                f"a sub-pixel shuffle"
            )
        scales = [x.tolist() for x in given if x is not None and x.dtype.kind == "f"]
        times = ([x for x in scales if len(x) == 4] or [operation.options.get("scales", [])])[0]
        chain.enlarges, chain.times = kind, [float(x) for x in times[2:]]
        if any(x < 1 for x in chain.times):
            raise Refused(f"{self.path} makes pictures smaller, by {kind}, before the first layer")

    def _affine(self, operation: Operation, others: list[str], given: list) -> None:
        """Take a factor or summand for all values or each channel, or the sum with the input."""
        kind, chain = operation.kind, self.chain
        if kind == "Add" and chain.layers and others and others[0] and others[0] in self._pictures:
            used = chain.before.any or chain.after.any or chain.activations[-1] != "linear"
            if chain.residual or used or self._clipped or chain.shuffle:
                raise Refused(
                    f"{self.path} adds a picture that is not the input of its layers alone"
                )
            chain.residual = True
            return
        self._constants(kind, others, given)
        x = given[0] if given else None
        if x is None or x.size not in (1, 3) or x.dtype.kind not in "fiu":
            raise Refused(f"{self.path} has the operator {kind} on other than pixels or channels")
        if x.size == 3 and x.ndim == 4 and x.shape[1] != 3:
            raise Refused(f"{self.path} has the operator {kind} on other than pixels or channels")
        if chain.residual:
            raise Refused(f"{self.path} has the operator {kind} behind the sum with its input")
        turned = operation.given[:1] and operation.given[0] is not None
        change = Affine.of(kind, x.astype(np.float64).ravel(), bool(turned))
        if not chain.layers:
            chain.before = chain.before.then(change)
        else:
            chain.after = chain.after.then(change)


_STEPS: dict[str, Callable[[_Walk, Operation, list[str], list], None]] = {
    "Input": _Walk._input,
    "Identity": _Walk._nothing,
    "Cast": _Walk._nothing,
    "Conv": _Walk._convolution,
    "Relu": _Walk._activation,
    "Tanh": _Walk._activation,
    "Pad": _Walk._padding,
    "Clip": _Walk._clip,
    "Transpose": _Walk._transpose,
    "Reshape": _Walk._axes,
    "Squeeze": _Walk._axes,
    "Unsqueeze": _Walk._axes,
    "DepthToSpace": _Walk._depth_to_space,
    "Resize": _Walk._enlarge,
    "Upsample": _Walk._enlarge,
    "Add": _Walk._affine,
    "Sub": _Walk._affine,
    "Mul": _Walk._affine,
    "Div": _Walk._affine,
}
