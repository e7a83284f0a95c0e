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
    _check_config(json.loads(file.groups[""].get("model_config") or config), path)
    names = _names(file)
    check_room(map(file.shape, names), path)
    tensors = {}
    for name in names:
        try:
            array = file.array(name)
        except TypeError as error:
            raise Refused(f"{path}: {error}, so it is not read") from None
        layer = name.rpartition("/")[0]
        if array.ndim == 4:
            tensors[f"{layer}.weight"] = array.transpose(3, 2, 0, 1)
        elif array.ndim == 1 and f"{layer}.bias" not in tensors:
            tensors[f"{layer}.bias"] = array
        else:
            raise Refused(
                f"{path} holds {shown(name)} of shape {array.shape}, and an SRCNN has nothing but "
                f"convolutions: kernels (f, f, C, O) and biases (O,)"
            )
    return stack(tensors, path, ordered=True), {}


def _names(file: HDF5) -> list[str]:
    """The paths of the arrays, in the order of the layers."""
    root = "model_weights" if "model_weights" in file.groups else ""
    listed = file.groups[root].get("layer_names") or []
    rank = {name: k for k, name in enumerate(listed)}
    names = [name for name in file.datasets if name.split("/")[0] not in _OTHERS]

    def order(name: str) -> tuple:
        # Newer files list no names; there, conv2d, conv2d_1, ..., conv2d_10 are in that order.
        below = name.removeprefix("model_weights/").split("/")
        parts = [re.split("([0-9]{1,9})", part) for part in below]
        numbers = [[int(p) if k % 2 else p for k, p in enumerate(part)] for part in parts]
        return rank.get(below[0], len(rank)), numbers

    return sorted(names, key=order)


def _check_config(config: Any, path: Path) -> None:
    """Raise if the model, as far as the file tells, computes something else than an SRCNN."""
    layers = [layer for layer in _layers(config, 0) if layer[0] not in _IGNORED]
    active = []  # the activation of each convolution so far
    for name, options in layers:
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


def _layers(config: Any, depth: int) -> list[tuple[str, dict]]:
    """(class, options) of all layers; models within models are taken apart."""
    inside = config.get("config", {})
    layers = inside if isinstance(inside, list) else inside.get("layers", [])
    found = []
    for layer in layers:
        if layer["class_name"] in _MODELS and depth < 5:
            found += _layers(layer, depth + 1)
        else:
            found.append((layer["class_name"], layer["config"]))
    return found
