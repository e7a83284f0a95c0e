"""ONNX: a chain of Conv, Relu and Pad is read; what is written computes what `SRCNN.forward` does.

What programs put around the chain is read too: a Clip to 0..1 behind it, factors and offsets for
the values of pixels, axes in another order, an enlargement in front, and what makes up the amounts
of a Pad (`onnx_constants.py`). The package onnx is needed for both, to parse and to build; no
network is run.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .layers import Arrays, Refused, read_card, shown
from .onnx_constants import Constants, import_onnx
from .values import Affine, as_plain, folded, left_out

__all__ = ["files_beside", "read", "write"]

_CARD = "pysrcnn"  # the entry of the metadata
_OPSET, _FORMAT = 13, 8  # old enough for the runtimes of 2021
_LARGEST = 1 << 22  # bytes of a model: protobuf makes a hundred bytes of one
_MOST_NODES = 4000
_AFFINE = ("Add", "Mul", "Sub", "Div")
_LAYERS = ("Conv", "Relu", "Pad", "Clip", "Identity", "Cast", "Transpose", "Resize", "Upsample")


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The layers, and the card if it is one of our files."""
    onnx, model = import_onnx(), _parsed(content, path)
    graph = model.graph
    opsets = [x.version for x in model.opset_import if x.domain in ("", "ai.onnx")]
    constants = Constants(graph.initializer, path, max(opsets, default=_OPSET))
    inputs = [x.name for x in graph.input if x.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise Refused(
            f"{path} has {len(inputs)} inputs and {len(graph.output)} outputs, wanted one of each"
        )
    chain = _Chain(inputs[0], constants, path)
    for node in graph.node:
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if not constants.take(node, kind, options):
            chain.add(node, kind, options)
    # A Relu or Clip behind the last layer changes no picture: what is below 0 is black anyhow.
    if chain.current != graph.output[0].name:
        raise Refused(f"{path} is not a chain: its output is not what the last operator gives")
    cards = [p.value for p in model.metadata_props if p.key == _CARD]
    card = read_card(cards[0] if cards else "{}", path) | chain.card
    parameters = folded(chain.parameters, chain.before, chain.after, path)
    return as_plain(parameters, residual=chain.residual), card


def _parsed(content: bytes, path: Path) -> Any:
    """The message that is in the file, if it is one of some hundred parts."""
    if len(content) > _LARGEST:
        raise Refused(
            f"{path} has {len(content):,} bytes, and {_LARGEST:,} are read at most: export it with "
            f"its tensors in a file beside it"
        )
    model = import_onnx().load_model_from_string(content)
    graph = model.graph
    if max(len(graph.node), len(graph.initializer), len(graph.input)) > _MOST_NODES:
        raise Refused(f"{path} has more than {_MOST_NODES:,} operators or tensors: no SRCNN has")
    return model


class _Chain:
    """The operators from the picture on, one after the other."""

    def __init__(self, start: str, constants: Constants, path: Path):
        self.current, self._constants, self._path = start, constants, path
        self.parameters: Arrays = {}
        self.before, self.after, self.card = Affine(), Affine(), {}
        self._relu, self._clip, self.residual = True, False, False
        self._sizes: set[str] = set()
        self._pictures = {start}  # the input, and what it is called behind an enlargement

    def add(self, node: Any, kind: str, options: dict) -> None:
        """Go on by an operator, or raise if SRCNN has none such there."""
        path, constants = self._path, self._constants
        # How large it is to be enlarged, from how large it is: of use to a Resize alone.
        takes = {name for name in node.input if name and name not in constants}
        if (kind == "Shape" and takes <= self._pictures) or (takes and takes <= self._sizes):
            self._sizes |= set(node.output)
            return
        if kind not in _LAYERS and kind not in _AFFINE:
            raise Refused(
                f"{path} has the operator {shown(kind)}: only chains of Conv, Relu and Pad are read"
            )
        others = list(node.input)
        turned = kind in _AFFINE[:3] and others[1:] == [self.current]
        if turned:  # 255 * x
            others.reverse()
        if len(node.output) != 1 or not others or others[0] != self.current:
            raise Refused(f"{path} is not a chain: {kind} does not take what the one before gives")
        self.current = node.output[0]
        if kind in ("Resize", "Upsample"):
            self._enlarge(kind, others[1:], options)
            return
        if kind == "Add" and self.parameters and others[1:] and others[1] in self._pictures:
            self._add_picture()
            return
        for name in filter(None, others[1:]):
            if name in self._pictures and self.parameters:
                raise Refused(
                    f"{path} takes its input and what the layers give together by {kind}, and "
                    f"only their sum is read"
                )
            if name not in constants:
                raise Refused(f"{path}: the {kind} takes {shown(name)}, which is not in the file")
        given = [constants.array(name) if name else None for name in others[1:]]
        match kind:
            case "Relu":
                if self._relu or self.after.any:
                    raise Refused(f"{path} has a Relu where SRCNN has none")
                self._relu = True
            case "Pad":
                _check_pads(options.get("pads", given[0] if given else []), 4, path)
            case "Clip":
                white = 255 if np.max(self.after.a) > 50 else 1
                _check_bounds(options, given, white, path)
                self._clip = True
            case "Transpose":
                wanted = [0, 2, 3, 1] if self.parameters else [0, 3, 1, 2]
                if options.get("perm") != wanted:
                    raise Refused(f"{path} has a Transpose other than from and to NHWC")
            case "Conv":
                self._convolve(given, options)
            case _ if kind in _AFFINE:
                self._rescale(kind, given, turned)

    def _add_picture(self) -> None:
        """What the layers give is added to their input: a residual network."""
        if self.residual or self.before.any or self.after.any or self._relu or self._clip:
            raise Refused(f"{self._path} adds a picture that is not the input of its layers alone")
        self.residual = True

    def _convolve(self, given: list, options: dict) -> None:
        path = self._path
        if self._clip or self.after.any or self.residual:
            what = "Clip" if self._clip else "factor or summand"
            raise Refused(f"{path} has a {what} before a Conv, where SRCNN has none")
        if not self._relu:
            raise Refused(f"{path} has two Conv without a Relu between them")
        self._relu, k = False, len(self.parameters) // 2 + 1
        _check_conv(options, path)
        w = given[0] if given else None
        if w is None:
            raise Refused(f"{path} has a Conv without weights")
        b = given[1] if given[1:] and given[1] is not None else np.zeros(len(w), w.dtype)
        self.parameters |= {f"W{k}": w, f"B{k}": b}

    def _rescale(self, kind: str, given: list, turned: bool) -> None:
        """By constants, of all values or of a channel; between layers, SRCNN has none such."""
        x = given[0] if given else None
        channels = x is not None and x.size in (1, 3) and x.dtype.kind in "fiu"
        if not channels or (x.size == 3 and x.ndim == 4 and x.shape[1] != 3):
            raise Refused(f"{self._path} has the operator {kind} on other than pixels or channels")
        x = x.astype(np.float64).ravel()
        change = {
            "Add": lambda: Affine(b=x),
            "Sub": lambda: Affine(-1.0, x) if turned else Affine(b=-x),
            "Mul": lambda: Affine(x),
            "Div": lambda: Affine(1 / x),
        }[kind]()
        if self.residual:
            raise Refused(f"{self._path} has the operator {kind} behind the sum with its input")
        if self.parameters:
            self.after = self.after.then(change)
        else:
            self.before = self.before.then(change)

    def _enlarge(self, kind: str, others: list[str], options: dict) -> None:
        self._pictures = {self.current}
        if self.parameters:
            raise Refused(f"{self._path} enlarges, by {kind}, behind layers: SRCNN does before")
        known = [self._constants.array(n) for n in others if n and n in self._constants]
        scales = [x.tolist()[2:] for x in known if x.dtype.kind == "f" and x.size == 4]
        scales += [options["scales"][2:]] if "scales" in options else []
        if any(times < 1 for times in (*scales, [])[0]):
            raise Refused(f"{self._path} makes pictures smaller, by {kind}, before the first layer")
        self.card = left_out(f"{kind}, an enlargement before the first layer", (*scales, None)[0])


def files_beside(content: bytes, path: Path) -> set[Path]:
    """The files that tensors of this one, which `read` has read, are kept in."""
    graph = _parsed(content, path).graph
    values = [attribute.t for node in graph.node for attribute in node.attribute]
    return {
        path.parent / entry.value
        for tensor in (*graph.initializer, *values)
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _check_conv(options: dict, path: Path) -> None:
    for name in ("strides", "dilations", "group"):
        if np.any(np.array(options.get(name, 1)) != 1):
            raise Refused(f"{path} has a Conv with {name} {shown(str(options[name]))}, wanted 1")
    if options.get("auto_pad", b"NOTSET") == b"NOTSET":
        _check_pads(options.get("pads", [0, 0, 0, 0]), 2, path)


def _check_bounds(options: dict, given: list, white: int, path: Path) -> None:
    """Raise if a Clip changes what is from black to white; the rest is clipped in any case."""
    low, high = (None if bound is None else bound.item() for bound in (*given, None, None)[:2])
    low, high = options.get("min", low), options.get("max", high)
    if not (low is None or low <= 0) or not (high is None or high >= white):
        raise Refused(f"{path} clips to {low}..{high}, wanted no narrower than 0..{white}")


def _check_pads(pads: Any, axes: int, path: Path) -> None:
    """Raise if padding would move the picture; how much of it there is changes edges alone."""
    pads = np.ravel(pads).tolist()
    before, after = pads[:axes], pads[axes:]
    if len(pads) != 2 * axes or before != after or any(before[:-2]) or len(set(before[-2:])) > 1:
        given = shown(str(pads[:9]))
        raise Refused(f"{path} pads by {given}, wanted the same on all four sides of the picture")


def write(file: BinaryIO, parameters: Arrays, card: str) -> None:
    """Write a graph from "low" (N, c, H, W) to "high" of the same shape.

    Each layer repeats the edge of its input, as `SRCNN.forward` does; nothing is clipped. It is of
    float32, whatever the parameters are: ONNX Runtime has no Conv of float64.
    """
    onnx = import_onnx()
    layers = len(parameters) // 2
    parameters = {name: array.astype(np.float32) for name, array in parameters.items()}
    constants = [onnx.numpy_helper.from_array(p, name) for name, p in parameters.items()]
    nodes, current = [], "low"
    for k in range(1, layers + 1):
        f = parameters[f"W{k}"].shape[2]
        if f > 1:
            pads = np.array([0, 0, f // 2, f // 2] * 2, np.int64)
            constants.append(onnx.numpy_helper.from_array(pads, f"pads{k}"))
            node = onnx.helper.make_node(
                "Pad", [current, f"pads{k}"], [f"padded{k}"], f"pad{k}", mode="edge"
            )
            nodes.append(node)
            current = f"padded{k}"
        out = "high" if k == layers else f"maps{k}"
        nodes.append(
            onnx.helper.make_node(
                "Conv", [current, f"W{k}", f"B{k}"], [out], f"conv{k}", kernel_shape=[f, f]
            )
        )
        current = out
        if k < layers:
            nodes.append(onnx.helper.make_node("Relu", [out], [f"active{k}"], f"relu{k}"))
            current = f"active{k}"
    c = parameters["W1"].shape[1]
    low, high = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", c, "H", "W"])
        for name in ("low", "high")
    )
    graph = onnx.helper.make_graph(nodes, "SRCNN", [low], [high], constants)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", _OPSET)], producer_name="pysrcnn"
    )
    model.ir_version = _FORMAT
    onnx.helper.set_model_props(model, {_CARD: card})
    file.write(model.SerializeToString())
