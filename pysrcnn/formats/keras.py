"""Keras' .h5 (old and new, of `save` and of `save_weights`) and .keras, a zip archive around one.

All of them are trees of arrays, the kernels (f, f, C, O).
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from .hdf5 import HDF5
from .layers import Arrays, Refused, check_room, open_zip, shown, stack

__all__ = ["read"]

_OTHERS = ("optimizer", "_optimizer", "optimizer_weights", "top_level_model_weights")
_MODELS = ("Functional", "Model", "Sequential")
_IGNORED = ("Cropping2D", "Dropout", "InputLayer", "ZeroPadding2D")  # nothing inside a picture


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The layers; the card is empty."""
    config = "{}"
    if content[:2] == b"PK":
        archive = open_zip(content, path)
        config, content = archive.read("config.json"), archive.read("model.weights.h5")
    file = HDF5(content)
    layers = _layers(json.loads(file.groups[""].get("model_config") or config), path)
    _check_layers(layers, path)
    names, ordered = _names(file, [options.get("name") for _, options in layers])
    check_room(map(file.shape, names), path)
    tensors = {}
    for name in names:
        try:
            array = file.array(name)
        except TypeError as error:
            raise Refused(f"{path}: {error}, so it is not read") from None
        layer = _layer(name)
        if array.ndim == 4:
            tensors[f"{layer}.weight"] = array.transpose(3, 2, 0, 1)
        elif array.ndim == 1 and f"{layer}.bias" not in tensors:
            tensors[f"{layer}.bias"] = array
        else:
            raise Refused(
                f"{path} holds {shown(name)} of shape {array.shape}, and an SRCNN has nothing but "
                f"convolutions: kernels (f, f, C, O) and biases (O,)"
            )
    return stack(tensors, path, ordered), {}


def _layer(name: str) -> str:
    """The path of the layer that has this array."""
    return name.rpartition("/")[0].removesuffix("/vars")


def _names(file: HDF5, listed: list) -> tuple[list[str], bool]:
    """The paths of the arrays, and whether they are in the order of the layers.

    `listed` are the names of the layers in the order of the file's configuration.
    """
    names = [name for name in file.datasets if name.split("/")[0] not in _OTHERS]
    root = "model_weights/" if "model_weights" in file.groups else ""
    layers = {}  # of older files, which list the layers, and for each of them its arrays
    for group in file.groups[root.rstrip("/")].get("layer_names") or []:
        for array in file.groups.get(f"{root}{group}", {}).get("weight_names") or []:
            layers[f"{root}{group}/{array}"] = len(layers)
    # In newer files a layer is called by an attribute of the model, "extract", or by its place in a
    # list, "layers/conv2d_1". Some also say its own name, by default "conv2d", "conv2d_1", ... in
    # the order in which layers were made, which is all that PyTorch's files tell, too.
    own = [file.groups.get(f"{_layer(name)}/vars", {}).get("name") or "" for name in names]
    configured = {name: k for k, name in enumerate(listed)}
    for numbers in (
        [layers.get(name) for name in names],
        [configured.get(name) for name in own],
        _counted(own),
        _counted([_layer(name) for name in names]),
    ):
        places = dict(zip(names, numbers, strict=True))
        if None not in numbers and len(set(numbers)) >= len({_layer(name) for name in names}):
            return sorted(names, key=places.get), True
    return names, False


def _counted(texts: list[str]) -> list[int | None]:
    """0, 1, 2 of "conv2d", "conv2d_1", "conv2d_2"; None of texts that also differ otherwise."""
    parts = [re.fullmatch(r"(.*?)_?([0-9]{1,9})?", text) for text in texts]
    if None in parts or len({part[1] for part in parts}) != 1:
        return [None] * len(texts)
    return [int(part[2] or 0) for part in parts]


def _check_layers(layers: list[tuple[str, dict]], path: Path) -> None:
    """Raise if the model, as far as the file tells, computes something else than an SRCNN."""
    active = []  # the activation of each convolution so far
    for name, options in layers:
        if name in _IGNORED:
            continue
        activation = options.get("activation", "linear")
        if name in ("Conv2D", "Convolution2D"):
            steps = [options.get(n) for n in ("strides", "subsample", "dilation_rate", "groups")]
            if any(np.ravel(step).tolist() not in ([1], [1, 1]) for step in steps if step):
                raise Refused(f"{path} has a convolution with strides, dilation or groups")
            active.append(activation)
            continue
        if name == "ReLU" and not any(
            options.get(n) for n in ("max_value", "negative_slope", "threshold")
        ):
            activation = "relu"
        elif name != "Activation":
            raise Refused(f"{path} has a layer of the kind {shown(name)}, which SRCNN has not")
        if not active or active[-1] != "linear":
            raise Refused(f"{path} has an activation where SRCNN has none")
        active[-1] = activation
    # A ReLU behind the last layer changes no picture: what is below 0 is black in any case.
    if active and (set(active[:-1]) - {"relu"} or active[-1] not in ("relu", "linear")):
        names = ", ".join(map(shown, active[:8]))
        raise Refused(
            f"{path} has the activations {names}: an SRCNN has relu after each layer but the last"
        )


def _layers(config: Any, path: Path, depth: int = 0) -> list[tuple[str, dict]]:
    """(class, options) of all layers; models within models are taken apart."""
    inside = config.get("config", {})
    layers = inside if isinstance(inside, list) else inside.get("layers", [])
    found = []
    for layer in layers:
        if len(layer.get("inbound_nodes") or []) > 1:
            raise Refused(
                f"{path} uses the layer {shown(layer['config'].get('name'))} more than once, and "
                f"each layer of an SRCNN has weights of its own"
            )
        if layer["class_name"] in _MODELS and depth < 5:
            found += _layers(layer, path, depth + 1)
        else:
            found.append((layer["class_name"], layer["config"]))
    return found
