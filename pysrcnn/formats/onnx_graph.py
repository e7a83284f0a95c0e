"""ONNX: a chain of Conv, Relu and Pad is read; what is written computes what `SRCNN.forward` does.

A last Clip to 0..1 is read too, and what makes up the amounts of a Pad (`onnx_constants.py`). The
package onnx is needed for both, to parse and to build; no network is run.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .layers import Arrays, Refused, read_card, shown
from .onnx_constants import Constants, import_onnx

__all__ = ["files_beside", "read", "write"]

_CARD = "pysrcnn"  # the entry of the metadata
_OPSET, _FORMAT = 13, 8  # old enough for the runtimes of 2021


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The layers, and the card if it is one of our files."""
    onnx = import_onnx()
    model = onnx.load_model_from_string(content)
    graph = model.graph
    opsets = [x.version for x in model.opset_import if x.domain in ("", "ai.onnx")]
    constants = Constants(graph.initializer, path, max(opsets, default=_OPSET))
    inputs = [x.name for x in graph.input if x.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise Refused(
            f"{path} has {len(inputs)} inputs and {len(graph.output)} outputs, wanted one of each"
        )
    current, relu, clip, parameters = inputs[0], True, False, {}
    for node in graph.node:
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if constants.take(node, kind, options):
            continue
        if kind not in ("Conv", "Relu", "Pad", "Clip", "Identity"):
            raise Refused(
                f"{path} has the operator {shown(kind)}: only chains of Conv, Relu and Pad are read"
            )
        if len(node.output) != 1 or not node.input or node.input[0] != current:
            raise Refused(f"{path} is not a chain: {kind} does not take what the one before gives")
        current = node.output[0]
        for name in filter(None, node.input[1:]):
            if name not in constants:
                raise Refused(f"{path}: the {kind} takes {shown(name)}, which is not in the file")
        given = [constants.array(name) if name else None for name in node.input[1:]]
        if kind == "Relu":
            if relu:
                raise Refused(f"{path} has a Relu where SRCNN has none")
            relu = True
        elif kind == "Pad":
            _check_pads(options.get("pads", given[0] if given else []), 4, path)
        elif kind == "Clip":
            _check_bounds(options, given, path)
            clip = True
        elif kind == "Conv":
            if clip:
                raise Refused(f"{path} has a Clip before a Conv, where SRCNN has none")
            if not relu:
                raise Refused(f"{path} has two Conv without a Relu between them")
            relu, k = False, len(parameters) // 2 + 1
            _check_conv(options, path)
            w = given[0]
            b = given[1] if given[1:] and given[1] is not None else np.zeros(len(w), w.dtype)
            parameters |= {f"W{k}": w, f"B{k}": b}
    # A Relu or Clip behind the last layer changes no picture: what is below 0 is black anyhow.
    if current != graph.output[0].name:
        raise Refused(f"{path} is not a chain: its output is not what the last operator gives")
    cards = [p.value for p in model.metadata_props if p.key == _CARD]
    return parameters, read_card(cards[0] if cards else "{}", path)


def files_beside(content: bytes, path: Path) -> set[Path]:
    """The files that tensors of this one, which `read` has read, are kept in."""
    graph = import_onnx().load_model_from_string(content).graph
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


def _check_bounds(options: dict, given: list, path: Path) -> None:
    """Raise if a Clip changes what is within 0..1; what is beyond is clipped in any case."""
    low, high = (None if bound is None else bound.item() for bound in (*given, None, None)[:2])
    low, high = options.get("min", low), options.get("max", high)
    if not (low is None or low <= 0) or not (high is None or high >= 1):
        raise Refused(f"{path} clips to {low}..{high}, wanted no narrower than 0..1")


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
