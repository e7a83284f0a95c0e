"""ONNX files: reading and writing the operations of a graph on its input, and their tensors.

Other computations are left out: of the amounts of a Pad (`onnx_constants.py`), and of sizes, which
follow from the size of a picture. The package onnx is needed to parse and build graphs; no network
is run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .onnx_constants import Constants, import_onnx
from .tensors import SMALL, Arrays, Operation, Refused, Weights, read_card, shown

__all__ = ["files_beside", "read", "write"]

_CARD = "pysrcnn"  # the entry of the metadata
_OPSET, _FORMAT = 13, 8  # old enough for the runtimes of 2021
# Bytes of a model without the values of its tensors: protobuf may take a hundred bytes for one. The
# values are at most `SMALL` bytes, for which protobuf takes as many.
_LARGEST = 1 << 22
_MOST_NODES = 4000
# The numbers of the fields, one in the other, that lead to values: of a graph (7) its tensors (5),
# and of its nodes (1) the attributes (5) that are tensors (5); of each the field raw_data (9).
_TENSOR: dict[int, dict] = {9: {}}
_VALUES: dict[int, dict] = {7: {5: _TENSOR, 1: {5: {5: _TENSOR}}}}
_OURS = ("", "ai.onnx")  # names of the domain of the standard operators


def read(content: bytes, path: Path) -> Weights:
    """Read the operations, tensors of convolutions and PReLU, and the card if the file is ours."""
    model = _parsed(content, path)
    graph = model.graph
    opsets = [x.version for x in model.opset_import if x.domain in _OURS]
    constants = Constants(graph.initializer, path, max(opsets, default=_OPSET))
    inputs = [x.name for x in graph.input if x.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise Refused(
            f"{path} has {len(inputs)} inputs and {len(graph.output)} outputs, wanted one of each"
        )
    operations = tuple(_operations(graph.node, constants, path))
    tensors: Arrays = {}
    for operation in operations:
        if operation.kind in ("Conv", "PRelu"):
            pairs = zip(operation.inputs, operation.given, strict=True)
            tensors |= {name: array for name, array in pairs if array is not None}
    cards = [p.value for p in model.metadata_props if p.key == _CARD]
    card = read_card(cards[0] if cards else "{}", path)
    first = Operation("Input", "the input", (), inputs[0])
    return Weights(tensors, card, "onnx", True, (first, *operations), graph.output[0].name)


def _parsed(content: bytes, path: Path) -> Any:
    """Parse the model in the file; refuse a large one, or one of more than `_MOST_NODES` parts."""
    if len(content) > _LARGEST + SMALL:
        raise Refused(
            f"{path} has {len(content):,} bytes, and {_LARGEST + SMALL:,} are read at most: export "
            f"it with its tensors in a file beside it"
        )
    if len(content) > _LARGEST:
        _check_rest(content, path)
    model = import_onnx().load_model_from_string(content)
    graph = model.graph
    if max(len(graph.node), len(graph.initializer), len(graph.input)) > _MOST_NODES:
        raise Refused(
            f"{path} has more than {_MOST_NODES:,} operators or tensors, and no more are read"
        )
    return model


def _check_rest(content: bytes, path: Path) -> None:
    """Raise if more than `_LARGEST` bytes of a model are not values of its tensors."""
    rest = 0
    for size in _sizes(content, 0, len(content), _VALUES):
        rest += size
        if rest > _LARGEST:
            raise Refused(
                f"{path} has {len(content):,} bytes, and besides raw_data of tensors {_LARGEST:,} "
                f"are read at most: export it with its tensors in a file beside it"
            )


def _sizes(content: bytes, place: int, end: int, inside: dict[int, dict]) -> Iterator[int]:
    """Yield how many bytes each field of a message has, without the values of tensors."""
    while place < end:
        begin = place
        tag, place = _varint(content, place)
        number, kind = tag >> 3, tag & 7
        if kind == 2:  # as many bytes as the next number says
            size, place = _varint(content, place)
            head, begin, place = place - begin, place, place + size
            if place > end:
                raise ValueError("a field is not whole")
            if number not in inside:
                yield head + size
                continue
            yield head
            if inside[number]:
                yield from _sizes(content, begin, place, inside[number])
        elif kind == 0:
            _, place = _varint(content, place)
            yield place - begin
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
            yield place - begin
        else:
            raise ValueError("a field of an unknown kind")


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Return the number at `place`, of seven bits a byte, the lowest first; and the place after."""
    number = 0
    for k in range(10):
        byte = content[place + k]
        number |= (byte & 127) << 7 * k
        if byte < 128:
            return number, place + k + 1
    raise ValueError("a number is too long")


def _check_size(tensors: Arrays, graph: tuple[Operation, ...]) -> None:
    """Raise for a graph that `read` would refuse."""
    values = sum(array.size for array in tensors.values())
    if values * 4 > SMALL or len(graph) > _MOST_NODES:
        raise Refused(
            f"the graph would have {len(graph):,} operators and {values:,} values, and .onnx files "
            f"are read with at most {_MOST_NODES:,} and {SMALL // 4:,}: write the network as .npz "
            f"or .safetensors"
        )


def _operations(nodes: Any, constants: Constants, path: Path) -> Iterator[Operation]:
    """Yield the operations on pictures and feature maps, but not on constants or sizes."""
    onnx = import_onnx()
    sizes: set[str] = set()  # of tensors, and what is computed from them
    for node in nodes:
        kind = node.op_type if node.domain in _OURS else f"{node.domain}.{node.op_type}"
        options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if constants.take(node, kind, options):
            continue
        takes = {name for name in node.input if name and name not in constants}
        if kind == "Shape" or (takes and takes <= sizes):
            sizes |= set(node.output)
            continue
        label = f"the operator {shown(kind)}"
        if len(node.output) != 1:
            raise Refused(f"{path} is not a chain: {label} gives {len(node.output)} values")
        known = kind in _WITH_CONSTANTS
        given = [constants.array(n) if known and n in constants else None for n in node.input]
        yield Operation(shown(kind), label, tuple(node.input), node.output[0], (*given,), options)


# The constants of other operators, which may be large, are not read.
_WITH_CONSTANTS = {
    "Add", "Clip", "Conv", "Div", "Mul", "PRelu", "Pad", "Reshape", "Resize", "Squeeze", "Sub",
    "Unsqueeze", "Upsample",
}  # fmt: skip


def files_beside(content: bytes, path: Path) -> set[Path]:
    """Return the files in which this one, which `read` has read, keeps tensors."""
    graph = _parsed(content, path).graph
    values = [attribute.t for node in graph.node for attribute in node.attribute]
    return {
        path.parent / entry.value
        for tensor in (*graph.initializer, *values)
        for entry in tensor.external_data
        if entry.key == "location"
    }


def write(
    file: BinaryIO,
    tensors: Arrays,
    card: str,
    graph: tuple[Operation, ...],
    ends: tuple[tuple[str, list], tuple[str, list]],
) -> None:
    """Write a graph.

    It is in float32, whatever the tensors are: ONNX Runtime has no Conv for float64.

    Parameters
    ----------
    file : binary file
    tensors : dict of arrays
        The constants by the names that operations use; integers stay integers.
    card : str
    graph : tuple of Operation, first to last
    ends : pair of (name, shape)
        The input and the output; a side of a shape may be a letter.
    """
    _check_size(tensors, graph)
    onnx = import_onnx()
    constants = [
        onnx.numpy_helper.from_array(x.astype(np.float32) if x.dtype.kind == "f" else x, name)
        for name, x in tensors.items()
    ]
    nodes = [
        onnx.helper.make_node(x.kind, list(x.inputs), [x.output], x.label, **x.options)
        for x in graph
    ]
    low, high = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in ends
    )
    made = onnx.helper.make_graph(nodes, "pysrcnn", [low], [high], constants)
    model = onnx.helper.make_model(
        made, opset_imports=[onnx.helper.make_opsetid("", _OPSET)], producer_name="pysrcnn"
    )
    model.ir_version = _FORMAT
    onnx.helper.set_model_props(model, {_CARD: card})
    file.write(model.SerializeToString())
