"""Read VGG's convolutions from files of other programs, and from our own.

Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR
2015. Groups of 3 x 3 convolutions with ReLU and max pooling between groups: 2, 2, 3, 3, 3 in
VGG-16, 2, 2, 4, 4, 4 in VGG-19. Nothing here depends on how many there are, nor on their filters.

Files differ in the pictures that the network was trained on. Here they are RGB in 0..1, minus a
mean; any other difference is folded into the first filters.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._version import __version__
from ..formats import Arrays, Weights, read_weights, shown, write_weights
from .parameters import Parameters, check_shapes
from .saving import HALVED, in_half

__all__ = ["LAYER", "NETWORK", "VGG", "convolutions_of", "is_vgg", "read_vgg", "to_layer", "vgg_of"]

LAYER = "relu2_2"  # whose maps are compared by default
NETWORK = "vgg"  # in the card of a file of ours
FACTOR = 1 / 12.75  # for VGG's maps, Section 3.2 of the SRGAN paper; here for PyTorch's
# Of VGG's training pictures, RGB in 0..1: PyTorch's mean and standard deviation; and the mean of
# the authors, who, like Keras, do not divide, and use values up to 255.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEAN_OF_AUTHORS = 123.68 / 255, 116.779 / 255, 103.939 / 255


class VGG(NamedTuple):
    """The convolutions of a VGG.

    Attributes
    ----------
    parameters : dict of arrays
        As for `vgg.forward`: all that the file has.
    factor : float
        The maps are multiplied by it before they are compared.
    left : tuple of str
        Layers of the file after the convolutions: the classifier.
    """

    parameters: Parameters
    factor: float
    left: tuple[str, ...] = ()

    def save(self, path: str | os.PathLike, half: bool = False) -> None:
        """Write them to a file of our own, .npz or .safetensors, which `read_vgg` reads.

        Parameters
        ----------
        path : path
        half : bool
            Whether to write the filters in float16.

        Raises
        ------
        ValueError
            If the suffix is another one, or the file cannot be written.
        """
        if Path(path).suffix.lower() not in HALVED:
            raise ValueError(
                f"{path} would hold a VGG, which is written as {' or '.join(HALVED)}: give it such "
                f"a name"
            )
        p = self.parameters
        if half:
            p = {name: in_half(array) if array.ndim == 4 else array for name, array in p.items()}
        write_weights(path, p, {"network": NETWORK, "factor": self.factor, "version": __version__})

    def __repr__(self) -> str:
        (i, j), count = convolutions_of(self.parameters)[-1], len(self.parameters) // 2
        return f"<VGG convolutions={count}, conv1_1 to conv{i}_{j}>"


def read_vgg(path: str | os.PathLike) -> VGG:
    """Read the convolutions of a file, the first ones or all; a classifier after them is left out.

    Parameters
    ----------
    path : path
        VGG-16, VGG-19 or a smaller one, without batch normalisation. With PyTorch's names,
        features.0.weight, ..., pictures are RGB in 0..1, minus the mean and divided by the standard
        deviation of ImageNet. With those of Keras, block1_conv1, ..., or with conv1_1_w
        (f, f, C, O), conv1_1_b, ..., they are BGR in 0..255, minus the mean. Or as `VGG.save` has
        written it.

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError, ValueError
        If the file cannot be read, or holds no such network.
    """
    weights = read_weights(path)
    found = vgg_of(weights, path)
    if found is None:
        raise ValueError(
            f"{path} holds no VGG: wanted arrays called features.0.weight, features.0.bias, ..., "
            f"conv1_1_w, conv1_1_b, ..., or layers called block1_conv1, ..."
        )
    return found


def is_vgg(weights: Weights) -> bool:
    """Whether it is our own file of a VGG, or another with RGB input and a pooling in between.

    Nothing else tells it from an SRCNN in a `Sequential` of PyTorch, "0.weight", "2.weight", ...
    """
    p = _of_others(weights.tensors)
    whole = "W2_1" in p and p["W1_1"].shape[1:] == (3, 3, 3)
    normalised = any(name.endswith("running_mean") for name in weights.tensors)
    return weights.card.get("network") == NETWORK or (whole and not normalised)


def vgg_of(weights: Weights, path: str | os.PathLike) -> VGG | None:
    """Return the VGG in what has been read, or None if that is something else.

    Raises
    ------
    ValueError
        If it has batch normalisation, or arrays of other shapes.
    """
    tensors = {n: a for n, a in weights.tensors.items() if a.dtype.kind == "f"}
    if weights.card.get("network") == NETWORK:
        factor = weights.card.get("factor")
        if not isinstance(factor, float) or not 0 < factor < np.inf:
            raise ValueError(f"{path} is damaged: factor is {factor!r:.60}, wanted a number")
        axes = {"m": 1, "B": 1, "W": 4}
        ours = {n: a for n, a in tensors.items()
                if re.fullmatch(r"mean|[WB]\d_\d", n) and a.ndim == axes[n[0]]}  # fmt: skip
        return VGG(_checked(ours, path), factor)
    p = _of_others(tensors)
    if not p:
        return None
    if any(name.endswith("running_mean") for name in tensors):
        raise ValueError(f"{path} holds batch normalisation: take a VGG without it, such as vgg19")
    deviation = p.pop("deviation")
    p = _checked(p, path)
    dtype = p["W1_1"].dtype
    p["W1_1"] = (p["W1_1"] / deviation[:, None, None]).astype(dtype)
    left = dict.fromkeys(
        shown(re.sub(r"([._]weight|_[wW])$", "", name))
        for name, a in tensors.items()
        if a.ndim == 2
    )
    # Networks for values up to 255 have maps larger by this ratio; their losses should be the same.
    factor = FACTOR * float(deviation.mean() / np.mean(DEVIATION))
    return VGG(p, factor, (*weights.left, *left))


def to_layer(p: Parameters, layer: str, path: str | os.PathLike) -> tuple[str, Parameters]:
    """Return the name of a layer, "relu2_2" for "VGG22", and the parameters up to there.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    convolutions = convolutions_of(p)
    name = re.sub(r"^vgg(\d)(\d)$", r"relu\1_\2", layer.lower())
    known = {f"{kind}{i}_{j}": (i, j) for kind in ("relu", "conv") for i, j in convolutions}
    if name not in known:
        layers = ", ".join(f"relu{i}_{j}" for i, j in convolutions)
        raise ValueError(
            f"layer is {layer!r:.60}, and {path} has {layers}, and each before its ReLU, as conv1_1"
        )
    inside = convolutions[: convolutions.index(known[name]) + 1]
    names = ["mean", *(f"{kind}{i}_{j}" for i, j in inside for kind in "WB")]
    return name, {n: p[n] for n in names}


def convolutions_of(p: Parameters) -> list[tuple[int, int]]:
    """Return (i, j) of each convolution, the j-th of group i, in their order."""
    names = (name[1:].split("_") for name in p if name[0] == "W")
    return sorted((int(i), int(j)) for i, j in names)


def _of_others(tensors: Arrays) -> Parameters:
    """Return the convolutions by our names, mean and deviation; nothing if it is no such file."""
    return _of_pytorch(tensors) or _of_keras(tensors) or _of_authors(tensors)


def _of_pytorch(tensors: Arrays) -> Parameters:
    """As `_of_others`, from PyTorch's names; RGB."""
    names = (re.fullmatch(r"(?:(?:.*\.)?features\.)?(\d{1,2})\.weight", n) for n in tensors)
    weights = {int(n[1]): n[0] for n in names if n and tensors[n[0]].ndim == 4}
    p: Parameters = {"mean": np.array(MEAN), "deviation": np.array(DEVIATION)}
    i, j, last = 1, 0, -2
    # Within a group only a ReLU is between two of them; before the next group, also a pooling.
    for number in sorted(weights):
        i, j, last = (i, j + 1, number) if number - last == 2 else (i + 1, 1, number)
        p[f"W{i}_{j}"] = tensors[weights[number]]
        p[f"B{i}_{j}"] = tensors.get(weights[number].removesuffix("weight") + "bias", np.empty(0))
    return p if "W1_1" in p else {}


def _of_keras(tensors: Arrays) -> Parameters:
    """As `_of_others`, from Keras's names, with filters already in PyTorch's order; BGR."""
    filters = {}
    for name in tensors:
        found = re.fullmatch(r"(.*/)?block(\d)_conv(\d)\.weight", name)
        if found and tensors[name].ndim == 4:
            filters[f"{found[2]}_{found[3]}"] = name
    weights = {at: tensors[filters[at]] for at in sorted(filters)}
    biases = {at: tensors.get(f"{filters[at].removesuffix('weight')}bias") for at in weights}
    return _for_bgr(weights, biases)


def _of_authors(tensors: Arrays) -> Parameters:
    """As `_of_others`, from filters with the axes (f, f, C, O); BGR."""
    names = (re.fullmatch(r"conv(\d_\d)_w", name) for name in sorted(tensors))
    places = [found[1] for found in names if found and tensors[found[0]].ndim == 4]
    weights = {at: tensors[f"conv{at}_w"].transpose(3, 2, 0, 1) for at in places}
    return _for_bgr(weights, {at: tensors.get(f"conv{at}_b") for at in places})


def _for_bgr(weights: Arrays, biases: dict[str, np.ndarray | None]) -> Parameters:
    """Return the parameters of what was trained on BGR in 0..255, minus the authors' mean."""
    if "1_1" not in weights:
        return {}
    p: Parameters = {"mean": np.array(MEAN_OF_AUTHORS), "deviation": np.full(3, 1 / 255)}
    for at, w in weights.items():
        b = biases[at]
        p |= {f"W{at}": w, f"B{at}": np.empty(0) if b is None else b}
    return p | {"W1_1": p["W1_1"][:, ::-1]}


def _checked(p: Parameters, path: str | os.PathLike) -> Parameters:
    """Return arrays of one dtype; raise a ValueError unless their shapes fit."""
    if "W1_1" not in p:
        raise ValueError(f"{path} holds no VGG: W1_1, the filters of its first layer, is missing")
    shapes: dict[str, tuple[int, ...]] = {"mean": (3,)}
    c = 3
    for i, j in convolutions_of(p):
        o = len(p[f"W{i}_{j}"])
        shapes |= {f"W{i}_{j}": (o, c, 3, 3), f"B{i}_{j}": (o,)}
        c = o
    try:
        check_shapes(p, shapes)
    except ValueError as error:
        raise ValueError(f"{path} holds no VGG: {error}") from None
    dtype = p["W1_1"].dtype
    return {name: np.ascontiguousarray(p[name], dtype) for name in shapes}
