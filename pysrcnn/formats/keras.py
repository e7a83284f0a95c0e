"""Keras' .h5 (old and new, by `save` and by `save_weights`) and .keras, a zip archive around one.

All of them are trees of arrays. Kernels are (f, f, C, O), or (O, C, f, f) in Keras 1 with Theano's
order of axes. Files with weights alone state only the names of the other layers.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import hdf5, npz
from .tensors import (
    LIMIT,
    Arrays,
    Operation,
    Refused,
    Weights,
    check_room,
    open_zip,
    read_json,
    room_for,
    shown,
    unpacked,
)

__all__ = ["read"]

_OTHERS = ("optimizer", "_optimizer", "optimizer_weights", "top_level_model_weights")
_MODELS = ("Functional", "Model", "Sequential")
_IGNORED = ("Dropout", "GaussianNoise", "InputLayer", "SpatialDropout2D")  # in inference
_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh"}


@dataclass(frozen=True)
class _Tree:
    """The content of an HDF5 file: groups with their attributes, arrays and shapes, by path."""

    groups: dict[str, dict[str, Any]]
    shapes: dict[str, tuple]
    arrays: dict[str, np.ndarray]
    refused: dict[str, str]

    @property
    def root(self) -> str:
        """The group that holds the weights."""
        return "model_weights" if "model_weights" in self.groups else ""


def read(content: bytes, path: Path) -> Weights:
    """Read the kernels and biases by the names of their layers; the card is empty."""
    config: str | bytes | None = None
    if content[:2] == b"PK":
        archive = open_zip(content, path)
        config, content = (unpacked(archive, n) for n in ("config.json", "model.weights.h5"))
    tree, left = _without_classifier(_tree(content, path))
    if config is None:
        config = tree.groups[""].get("model_config") or "{}"
    layers = [*_layers(read_json(config, path), path)]
    names, ordered = _names(tree, [options.get("name") for _, options in layers])
    check_room((tree.shapes[name] for name in names), path, room_for(content))
    why = next((name for name in names if name in tree.refused), None)
    if why is not None:
        raise Refused(f"{path}: {shown(why)} {tree.refused[why]}, so it is not read")
    arrays = {name: tree.arrays[name] for name in names}
    graph = tuple(_operations(layers, path)) if layers else None
    return Weights(
        _tensors(tree, arrays, path),
        {},
        "keras",
        ordered=ordered,
        graph=graph,
        layers=() if layers else _all_layers(tree, names),
        left=left,
    )


def _tree(content: bytes, path: Path) -> _Tree:
    found = hdf5.answer(content, _OTHERS, room_for(content) // 4)
    if found is None:
        raise ValueError("not a file of HDF5")
    arrays = npz.read_all(found, path, 2 * LIMIT)  # what the child read, none of it larger
    told = json.loads(str(arrays.pop("json")))
    shapes = {name: tuple(shape) for name, shape in told["shapes"].items()}
    in_order = [arrays[str(k)] for k in range(len(arrays))]
    named = dict(zip(shapes, in_order, strict=False))  # none, if they are too large
    return _Tree(told["groups"], shapes, named, told["refused"])


def _without_classifier(tree: _Tree) -> tuple[_Tree, tuple[str, ...]]:
    """Leave out the dense layers of a VGG and return their names; keep other networks whole."""
    if not any(re.match(r"(.*/)?block1_conv1/", name) for name in tree.shapes):
        return tree, ()
    dense = dict.fromkeys(_layer(name) for name, shape in tree.shapes.items() if len(shape) == 2)
    shapes = {name: shape for name, shape in tree.shapes.items() if _layer(name) not in dense}
    left = tuple(shown(layer.rpartition("/")[2]) for layer in dense)
    return dataclasses.replace(tree, shapes=shapes), left


def _tensors(tree: _Tree, arrays: Arrays, path: Path) -> Arrays:
    """Return weights (O, C, f, f) and biases by layer, from kernels in any order of axes."""
    theano = _is_of_theano([array.shape for array in arrays.values() if array.ndim == 4])
    # Theano rotates filters by 180 degrees, as convolution is defined. Keras 1 does not state its
    # backend; but to rotate all filters is to rotate the picture, which a network does not notice.
    turned = "theano" in [tree.groups.get(g, {}).get("backend") for g in ("", "model_weights")]
    tensors: Arrays = {}
    for name, array in arrays.items():
        layer = _layer(name)
        if array.ndim == 4 and f"{layer}.weight" not in tensors:
            array = array if theano else array.transpose(3, 2, 0, 1)
            tensors[f"{layer}.weight"] = array[..., ::-1, ::-1] if turned else array
        elif array.ndim == 1 and f"{layer}.bias" not in tensors:
            tensors[f"{layer}.bias"] = array
        else:
            raise Refused(
                f"{path} holds {shown(name)} of shape {tree.shapes[name]}, and only convolutions "
                f"are read: kernels (f, f, C, O) and biases (O,)"
            )
    return tensors


def _is_of_theano(shapes: list[tuple]) -> bool:
    """Return whether the kernels are (O, C, f, f), because they cannot be (f, f, C, O)."""
    square = all(shape[0] == shape[1] for shape in shapes)
    return not square and all(shape[2] == shape[3] for shape in shapes)


def _layer(name: str) -> str:
    """Return the path of the layer that has this array."""
    return name.rpartition("/")[0].removesuffix("/vars")


def _names(tree: _Tree, listed: list) -> tuple[list[str], bool]:
    """Return the paths of the arrays, and whether they are in the order of the layers.

    `listed` has the names of the layers in the order of the file's configuration.
    """
    names, groups, root = [*tree.shapes], tree.groups, f"{tree.root}/".lstrip("/")
    layers: dict[str, int] = {}  # of older files, which list layers, and the arrays of each
    for group in groups[tree.root].get("layer_names") or []:
        for array in groups.get(f"{root}{group}", {}).get("weight_names") or []:
            layers[f"{root}{group}/{array}"] = len(layers)
    # Newer files name a layer after an attribute of the model, "extract", or its place in a list,
    # "layers/conv2d_1". Some also state its own name, by default "conv2d", "conv2d_1", ... in the
    # order in which layers were made, which is all that PyTorch's files tell, too.
    own = [groups.get(f"{_layer(name)}/vars", {}).get("name") or "" for name in names]
    configured = {name: k for k, name in enumerate(listed)}
    for numbers in (
        [layers.get(name) for name in names],
        [configured.get(name) for name in own],
        _counted(own),
        _counted([_layer(name) for name in names]),
    ):
        places = {name: k for name, k in zip(names, numbers, strict=True) if k is not None}
        if None not in numbers and len(set(numbers)) >= len({_layer(name) for name in names}):
            return sorted(names, key=lambda name: places[name]), True
    return names, False


def _counted(texts: list[str]) -> list[int | None]:
    """Return 0, 1, 2 for "conv2d", "conv2d_1", "conv2d_2"; None for texts that differ otherwise."""
    parts = [re.fullmatch(r"(.*?)_?([0-9]{1,9})?", text) for text in texts]
    if len({part[1] if part else None for part in parts}) != 1:
        return [None] * len(texts)
    return [int(part[2] or 0) if part else None for part in parts]


def _all_layers(tree: _Tree, arrays: list[str]) -> tuple[tuple[str, bool], ...]:
    """Return all layers by name, and whether they have arrays; in unknown order, these come first.

    Layers are named after their classes, "leaky_re_lu_1", unless the user has chosen other names.
    """
    layers = [_layer(name) for name in arrays]
    with_arrays = {layer.removeprefix("model_weights/").split("/")[0] for layer in layers}
    listed = tree.groups[tree.root].get("layer_names") or []
    if listed:
        return tuple((name, name in with_arrays) for name in listed)
    names = {layer.rpartition("/")[2]: True for layer in layers}
    inside = [g.removesuffix("/vars") for g in tree.groups if g.endswith("/vars")]
    return tuple((names | {g.rpartition("/")[2]: g in layers for g in inside}).items())


# ------------------------------------------------------------------------------- its configuration


def _layers(config: Any, path: Path, depth: int = 0) -> Iterator[tuple[str, dict]]:
    """Yield (class, options) of all layers, also those of models within models."""
    inside = config.get("config", {})
    for layer in inside if isinstance(inside, list) else inside.get("layers", []):
        if len(layer.get("inbound_nodes") or []) > 1:
            raise Refused(
                f"{path} uses the layer {shown(layer['config'].get('name'))} more than once, which "
                f"is not read: each layer has weights of its own"
            )
        if layer["class_name"] in _MODELS and depth < 5:
            yield from _layers(layer, path, depth + 1)
        else:
            yield layer["class_name"], layer["config"]


def _operations(layers: list[tuple[str, dict]], path: Path) -> Iterator[Operation]:
    """Yield what the layers do, one after the other, as operations of ONNX."""
    for kind, options in layers:
        label = f"a layer of the kind {shown(kind)}"
        match kind:
            case _ if kind in _IGNORED:
                continue
            case "Conv2D" | "Convolution2D":
                yield Operation("Conv", label, options=_of_convolution(options))
            case "ZeroPadding2D" | "Cropping2D":
                yield Operation("Pad", label, options={"pads": _pads(kind, options)})
            case "UpSampling2D":
                times = [1.0, 1.0, *map(float, np.ravel(options.get("size") or 2))]
                yield Operation("Resize", label, options={"scales": times})
            case "Resizing":
                yield Operation("Resize", label)
            case "Rescaling":
                for name, value in ("Mul", options["scale"]), ("Add", options.get("offset") or 0):
                    given = (None, np.ravel(value).astype(np.float64))
                    yield Operation(name, label, ("", ""), "", given)
            case "ReLU" if not any(
                options.get(n) for n in ("max_value", "negative_slope", "threshold")
            ):
                yield Operation("Relu", label)
            case "TFOpLambda" if options.get("function") == "nn.depth_to_space":
                yield Operation("DepthToSpace", label)  # ONNX's mode DCR, the size that fits
            case "Activation":
                pass
            case _:
                yield Operation(f"Keras.{shown(kind)}", label)
        activation = options.get("activation", "linear")
        if kind in ("Conv2D", "Convolution2D", "Activation") and activation != "linear":
            known = _ACTIVATIONS.get(activation) if isinstance(activation, str) else None
            label = f"the activation {shown(activation)}"
            yield Operation(known or f"Keras.{shown(activation)}", label)


def _of_convolution(options: dict) -> dict:
    """Return ONNX's strides, dilations, group and auto_pad for a convolution."""
    found: dict[str, Any] = {
        "auto_pad": b"SAME_UPPER" if options.get("padding") == "same" else b"NOTSET"
    }
    for ours, *theirs in (
        ("strides", "strides", "subsample"),
        ("dilations", "dilation_rate"),
        ("group", "groups"),
    ):
        given = next((options[name] for name in theirs if options.get(name)), None)
        found |= {} if given is None else {ours: given}
    return found


def _pads(kind: str, options: dict) -> list[float]:
    """Return the amounts of a padding in ONNX's order: rows and columns before, then after."""
    amounts = options.get("padding" if kind == "ZeroPadding2D" else "cropping") or 0
    if isinstance(amounts, dict):  # of Keras 1
        amounts = [[amounts.get(f"{side}_pad", amounts.get(side, 0)) for side in pair] for pair in
                   (("top", "bottom"), ("left", "right"))]  # fmt: skip
    numbers = np.array(amounts, float)
    if numbers.ndim < 2:  # one number, or rows and columns
        numbers = np.stack([np.broadcast_to(numbers, 2)] * 2, axis=1)
    (top, bottom), (left, right) = numbers.tolist()
    sign = 1 if kind == "ZeroPadding2D" else -1
    return [0, 0, sign * top, sign * left, 0, 0, sign * bottom, sign * right]
