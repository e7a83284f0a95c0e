"""Keras' .h5 (old and new, of `save` and of `save_weights`) and .keras, a zip archive around one.

All of them are trees of arrays, the kernels (f, f, C, O), or (O, C, f, f) of Keras 1 with Theano's
order of axes. Files with weights alone say no more of the other layers than their names, which are
those of their classes unless somebody has called them otherwise: "leaky_re_lu_1".
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from .hdf5 import HDF5
from .layers import (
    Arrays,
    Refused,
    check_room,
    open_zip,
    read_json,
    shown,
    stack,
    unpacked,
)
from .values import Affine, folded, left_out

__all__ = ["read"]

_OTHERS = ("optimizer", "_optimizer", "optimizer_weights", "top_level_model_weights")
_MODELS = ("Functional", "Model", "Sequential")
_IGNORED = ("Dropout", "GaussianNoise", "InputLayer", "SpatialDropout2D")  # when it is used
# Of layers that an SRCNN has not, as parts of their names.
_NAMES_OF_OTHERS = re.compile(
    r"(?<![a-z])p_?re_?lu|leaky|(?<![a-z])l_?relu|threshold|(?<![a-z])[sgc]?elu|swish|sigmoid|up_?sampl|resiz|"
    r"transpose|shuffle|sub_?pixel|residual|skip|shortcut|attention|separable|dilat|atrous|"
    r"depth|pool|norm|lambda|concat|reshape|permute|flatten|dense|deconv|locally|"
    r"(?<![a-z])(add|subtract|multiply|average|maximum|minimum|merge|dot|bn|tanh|soft[a-z]*)"
    r"(?![a-z])"
)


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The layers; the card is empty, but for what was left out."""
    config: bytes | None = None
    if content[:2] == b"PK":
        archive = open_zip(content, path)
        config, content = (unpacked(archive, n) for n in ("config.json", "model.weights.h5"))
    file = HDF5(content)
    if config is None:
        config = file.groups[""].get("model_config") or "{}"
    layers = _layers(read_json(config, path), path)
    names, ordered = _names(file, [options.get("name") for _, options in layers])
    before, after, card = _check_layers(layers, path)
    if not layers:
        card = _check_names(file, names, path)
    check_room(map(file.shape, names), path)
    arrays = {}
    for name in names:
        try:
            arrays[name] = file.array(name)
        except TypeError as error:
            raise Refused(f"{path}: {error}, so it is not read") from None
    theano = _is_of_theano([array.shape for array in arrays.values() if array.ndim == 4])
    tensors = {}
    for name, array in arrays.items():
        layer = _layer(name)
        if array.ndim == 4 and f"{layer}.weight" not in tensors:
            tensors[f"{layer}.weight"] = array if theano else array.transpose(3, 2, 0, 1)
        elif array.ndim == 1 and f"{layer}.bias" not in tensors:
            tensors[f"{layer}.bias"] = array
        else:
            raise Refused(
                f"{path} holds {shown(name)} of shape {array.shape}, and an SRCNN has nothing but "
                f"convolutions: kernels (f, f, C, O) and biases (O,)"
            )
    parameters = stack(tensors, path, ordered)
    backends = [file.groups.get(group, {}).get("backend") for group in ("", "model_weights")]
    if "theano" in backends:
        # Theano turns filters by 180 degrees, as convolutions are defined. Keras 1 does not say on
        # what it ran. To turn all filters is to turn the picture, to which a network is blind.
        parameters = {
            name: np.ascontiguousarray(p[..., ::-1, ::-1]) if p.ndim == 4 else p
            for name, p in parameters.items()
        }
    return folded(parameters, before, after, path), card


def _is_of_theano(shapes: list[tuple]) -> bool:
    """Whether the axes of the kernels are (O, C, f, f), as they cannot be (f, f, C, O)."""
    square = all(shape[0] == shape[1] for shape in shapes)
    return not square and all(shape[2] == shape[3] for shape in shapes)


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


def _check_names(file: HDF5, arrays: list[str], path: Path) -> dict:
    """Raise if the names of layers, all that there is, are of others than an SRCNN has: the card.

    An enlargement in front of all layers is left out.
    """
    root = "model_weights" if "model_weights" in file.groups else ""
    with_arrays = {_layer(name).removeprefix("model_weights/").split("/")[0] for name in arrays}
    names, ordered = file.groups[root].get("layer_names") or [], True
    if not names:
        ordered = False
        with_arrays = {_layer(name).rpartition("/")[2] for name in arrays}
        names = [_layer(f"{g}/x").rpartition("/")[2] for g in file.groups if g.endswith("/vars")]
    card, front = {}, ordered
    for name in names:
        front = front and name not in with_arrays
        if front and re.search(r"up_?sampl", name.lower()):
            card = left_out(f"{shown(name)}, an enlargement before the first layer", None)
        elif _NAMES_OF_OTHERS.search(name.lower()):
            raise Refused(f"{path} has the layer {shown(name)}, by its name none of an SRCNN")
    return card


def _check_layers(layers: list[tuple[str, dict]], path: Path) -> tuple[Affine, Affine, dict]:
    """What is done to values before the first layer and after the last, and the card.

    Raises if the model, as far as the file tells, computes something else than an SRCNN.
    """
    active = []  # the activation of each convolution so far
    before, after, card = Affine(), Affine(), {}
    for name, options in layers:
        if name in _IGNORED:
            continue
        if name in ("ZeroPadding2D", "Cropping2D"):  # nothing inside a picture, or a shift
            amounts = options.get("padding" if name == "ZeroPadding2D" else "cropping") or 0
            if isinstance(amounts, dict):  # of Keras 1: top_pad, bottom_pad, left_pad, right_pad
                amounts = [[*amounts.values()]]
            pairs = np.reshape(amounts, (-1, 2)).tolist() if np.size(amounts) == 4 else []
            if any(before != after for before, after in pairs):
                raise Refused(f"{path} moves the picture, by a {name} of unequal sides")
            continue
        if name in ("UpSampling2D", "Resizing") and not active:
            times = np.ravel(options.get("size") or 2).tolist() if name != "Resizing" else None
            card = left_out(f"{name}, an enlargement before the first layer", times)
            continue
        if name == "Rescaling":
            change = Affine(np.ravel(options["scale"]), np.ravel(options.get("offset") or 0))
            before, after = (before, after.then(change)) if active else (before.then(change), after)
            continue
        if after.any:
            raise Refused(f"{path} rescales values between layers, which SRCNN does not")
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
            way = "" if active else ": if it enlarges the picture, save the model without it"
            raise Refused(f"{path} has a layer of the kind {shown(name)}, which SRCNN has not{way}")
        if not active or active[-1] != "linear":
            raise Refused(f"{path} has an activation where SRCNN has none")
        active[-1] = activation
    # A ReLU behind the last layer changes no picture: what is below 0 is black in any case.
    if active and (set(active[:-1]) - {"relu"} or active[-1] not in ("relu", "linear")):
        names = ", ".join(map(shown, active[:8]))
        raise Refused(
            f"{path} has the activations {names}: an SRCNN has relu after each layer but the last"
        )
    return before, after, card


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
