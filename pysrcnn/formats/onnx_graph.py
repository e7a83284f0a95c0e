"""ONNX: a chain of Conv, Relu and Pad is read; what is written computes what `SRCNN.forward` does.

The package onnx is needed for both, to parse and to build; nothing is run.
"""

from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from .layers import Arrays, Refused, check_room, read_card, shown

__all__ = ["read", "write"]

_CARD = "pysrcnn"  # the entry of the metadata
_OPSET, _FORMAT = 13, 8  # old enough for the runtimes of 2021


def _onnx() -> ModuleType:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        raise ModuleNotFoundError(
            'ONNX files need the package onnx: pip install ".[convert]" in the clone of pysrcnn',
            name="onnx",
        ) from None
    return onnx


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The layers, and the card if it is one of our files."""
    onnx = _onnx()
    model = onnx.load_model_from_string(content)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [x.name for x in graph.input if x.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise Refused(
            f"{path} has {len(inputs)} inputs and {len(graph.output)} outputs, wanted one of each"
        )
    current, relu, parameters, arrays = inputs[0], True, {}, {}
    for node in graph.node:
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if kind == "Constant" and "value" in options:
            constants[node.output[0]] = options["value"]
            continue
        if kind not in ("Conv", "Relu", "Pad"):
            raise Refused(
                f"{path} has the operator {shown(kind)}: only chains of Conv, Relu and Pad are read"
            )
        if len(node.output) != 1 or not node.input or node.input[0] != current:
            raise Refused(f"{path} is not a chain: {kind} does not take what the one before gives")
        current = node.output[0]
        names = [name for name in node.input[1:] if name]
        for name in names:
            if name not in constants:
                raise Refused(f"{path}: the {kind} takes {shown(name)}, which is not in the file")
            if name not in arrays:  # which several nodes may share
                arrays[name] = _array(constants[name], path)
        given = [arrays[name] for name in names]
        if kind == "Relu":
            if relu:
                raise Refused(f"{path} has a Relu where SRCNN has none")
            relu = True
        elif kind == "Pad":
            _check_pads(options.get("pads", given[0] if given else []), 4, path)
        else:
            if not relu:
                raise Refused(f"{path} has two Conv without a Relu between them")
            relu, k = False, len(parameters) // 2 + 1
            _check_conv(options, path)
            w = given[0]
            b = given[1] if len(given) > 1 else np.zeros(len(w), w.dtype)
            parameters |= {f"W{k}": w, f"B{k}": b}
    # A Relu behind the last layer changes no picture: what is below 0 is black in any case.
    if current != graph.output[0].name:
        raise Refused(f"{path} is not a chain: its output is not what the last operator gives")
    cards = [p.value for p in model.metadata_props if p.key == _CARD]
    return parameters, read_card(cards[0] if cards else "{}", path)


def _array(tensor: Any, path: Path) -> np.ndarray:
    onnx = _onnx()
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise Refused(
            f"{path} keeps {shown(tensor.name)} in another file, which is not read: export it "
            f"into one file"
        )
    check_room([tuple(tensor.dims)], path)
    array = onnx.numpy_helper.to_array(tensor)
    narrow = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    return array.astype(np.float32) if tensor.data_type in narrow else array


def _check_conv(options: dict, path: Path) -> None:
    for name in ("strides", "dilations", "group"):
        if np.any(np.array(options.get(name, 1)) != 1):
            raise Refused(f"{path} has a Conv with {name} {shown(str(options[name]))}, wanted 1")
    if options.get("auto_pad", b"NOTSET") == b"NOTSET":
        _check_pads(options.get("pads", [0, 0, 0, 0]), 2, path)


def _check_pads(pads: Any, axes: int, path: Path) -> None:
    """Raise if padding would move the picture; how much of it there is changes edges alone."""
    pads = np.ravel(pads).tolist()
    before, after = pads[:axes], pads[axes:]
    if len(pads) != 2 * axes or before != after or any(before[:-2]) or len(set(before[-2:])) > 1:
        given = shown(str(pads[:9]))
        raise Refused(f"{path} pads by {given}, wanted the same on all four sides of the picture")


def write(file: BinaryIO, parameters: Arrays, card: str) -> None:
    """Write a graph from "low" (N, c, H, W) to "high" of the same shape.

    Each layer repeats the edge of its input, as `SRCNN.forward` does; nothing is clipped.
    """
    onnx = _onnx()
    layers = len(parameters) // 2
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
    kind = onnx.helper.np_dtype_to_tensor_dtype(parameters["W1"].dtype)
    c = parameters["W1"].shape[1]
    low, high = (
        onnx.helper.make_tensor_value_info(name, kind, ["N", c, "H", "W"])
        for name in ("low", "high")
    )
    graph = onnx.helper.make_graph(nodes, "SRCNN", [low], [high], constants)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", _OPSET)], producer_name="pysrcnn"
    )
    model.ir_version = _FORMAT
    onnx.helper.set_model_props(model, {_CARD: card})
    file.write(model.SerializeToString())
