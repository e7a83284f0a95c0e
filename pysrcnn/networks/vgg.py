"""VGG: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
ICLR 2015.

Perceptual losses (`features`) compare what its convolutions make of two pictures. Its parameters
are fixed, so a gradient is computed for the picture alone. The way back through a convolution is
itself a convolution: with the filters turned by 180 degrees, filters and channels exchanged.

Axes: N samples, C channels, F maps, H x W pixels.
"""

import os
import re
from typing import Any

import numpy as np

from ..formats import Arrays, read_weights
from .parameters import Parameters, check_shapes
from .residual import forget

__all__ = ["backward", "forward", "read", "through_conv", "through_relu"]

FACTOR = 1 / 12.75  # of VGG's maps, Section 3.2 of SRGAN's paper; here of PyTorch's
# Of the pictures that VGG was trained on, RGB in 0..1: mean and deviation as PyTorch has them, and
# the mean of the authors', who do not divide and count to 255.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEAN_OF_AUTHORS = 123.68 / 255, 116.779 / 255, 103.939 / 255


def forward(x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None) -> np.ndarray:
    """h = max(0, W_ij * h + B_ij) of groups i = 1, 2, ...; maximum pooling between groups.

    Parameters
    ----------
    x : array (N, 3, H, W)
        RGB, values in 0..1.
    p : dict of arrays
        mean, of RGB, which is subtracted first; W1_1, B1_1, W1_2, ... of filters 3 x 3.
    ops : module of operations
    kept : list, optional
        Gets what `backward` needs.

    Returns
    -------
    maps : array (N, F, H', W')
        phi_ij of SRGAN's paper: behind the ReLU of the last convolution of `p`, before any pooling.
        H' is H // 2^(i - 1), W' likewise.
    """
    keep = forget if kept is None else kept.append
    h = x - p["mean"][:, None, None]
    for i, j in _convolutions(p):
        if _pooled(i, j):
            keep(h)
            h = ops.max_pool(h)
        h = ops.conv_relu(h, p[f"W{i}_{j}"], p[f"B{i}_{j}"])
        keep(h)
    return h


def backward(dout: np.ndarray, kept: list, p: Parameters, ops: Any) -> np.ndarray:
    """dx: the lines of `forward`, last to first.

    Parameters
    ----------
    dout : array (N, F, H', W')
    kept : list that `forward` filled
    p, ops : as `forward` was given them

    Returns
    -------
    dx : array (N, 3, H, W)
    """
    maps, dh = reversed(kept), dout
    for i, j in reversed(_convolutions(p)):
        dh = through_conv(through_relu(dh, next(maps), ops), p[f"W{i}_{j}"], ops)
        if _pooled(i, j):
            dh = ops.max_pool_backward(dh, next(maps))
    return dh


def through_conv(dout: Any, w: np.ndarray, ops: Any, summand: Any = None) -> Any:
    """dx of a convolution that is as large as its input."""
    turned = np.ascontiguousarray(w[:, :, ::-1, ::-1].swapaxes(0, 1))
    return ops.conv2d_same(dout, turned, np.zeros(len(turned), w.dtype), summand)


def through_relu(dout: Any, out: Any, ops: Any) -> Any:
    """ReLU is LeakyReLU of slope 0, which `kernels` has for maps as they lie."""
    return ops.leaky_relu_backward(dout, out, 0.0)


def _convolutions(p: Parameters) -> list[tuple[int, int]]:
    """(i, j) of each convolution, from the first to the last."""
    names = (name[1:].split("_") for name in p if name[0] == "W")
    return [(int(i), int(j)) for i, j in names]


def _pooled(i: int, j: int) -> bool:
    """Whether convolution (i, j) follows a pooling."""
    return i > 1 and j == 1


def read(path: str | os.PathLike, depth: str) -> tuple[Parameters, float]:
    """The convolutions of a file up to `depth`, and the factor of its maps: see `Features.of_vgg`.

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError, ValueError
        If it cannot be read, or has no such convolution.
    """
    tensors = {n: a for n, a in read_weights(path).tensors.items() if a.dtype.kind == "f"}
    parameters = _of_pytorch(tensors) or _of_authors(tensors)
    if any(name.endswith("running_mean") for name in tensors):
        raise ValueError(f"{path} holds batch normalisation: take a VGG without, as vgg19")
    if not parameters:
        raise ValueError(
            f"{path} holds no VGG: wanted arrays called features.0.weight, features.0.bias, "
            f"... or conv1_1_w, conv1_1_b, ..."
        )
    # Where levels go to 255, maps are that much larger: the factor makes the losses the same.
    factor = FACTOR * float(parameters["deviation"].mean() / np.mean(DEVIATION))
    return _to_depth(parameters, depth, path), factor


def _of_pytorch(tensors: Arrays) -> Parameters:
    """The convolutions of a file with PyTorch's names, by ours, and mean and deviation; or {}."""
    names = (re.fullmatch(r"(?:(?:.*\.)?features\.)?(\d{1,2})\.weight", n) for n in tensors)
    weights = {int(n[1]): n[0] for n in names if n and tensors[n[0]].ndim == 4}
    p: Parameters = {"mean": np.array(MEAN), "deviation": np.array(DEVIATION)}
    i, j, last = 1, 0, -2
    # A ReLU is between two of a group, and a pooling before the next group.
    for number in sorted(weights):
        i, j, last = (i, j + 1, number) if number - last == 2 else (i + 1, 1, number)
        p[f"W{i}_{j}"] = tensors[weights[number]]
        p[f"B{i}_{j}"] = tensors.get(weights[number].removesuffix("weight") + "bias", np.empty(0))
    return p if "W1_1" in p else {}


def _of_authors(tensors: Arrays) -> Parameters:
    """The same of a file with the authors' names, whose filters are (f, f, C, O), for BGR."""
    p: Parameters = {"mean": np.array(MEAN_OF_AUTHORS), "deviation": np.full(3, 1 / 255)}
    for name in sorted(tensors):
        if (found := re.fullmatch(r"conv(\d_\d)_w", name)) and tensors[name].ndim == 4:
            p[f"W{found[1]}"] = tensors[name].transpose(3, 2, 0, 1)
            p[f"B{found[1]}"] = tensors.get(f"conv{found[1]}_b", np.empty(0))
    if "W1_1" not in p:
        return {}
    return p | {"W1_1": p["W1_1"][:, ::-1]}


def _to_depth(p: Parameters, depth: str, path: str | os.PathLike) -> Parameters:
    """The convolutions up to `depth`, checked, for RGB in 0..1 less the mean."""
    names = [f"conv{i}_{j}" for i, j in _convolutions(p)]
    if depth not in names:
        raise ValueError(f"depth is {depth!r:.60}, and {path} has {', '.join(names)}")
    found, c = {"mean": p["mean"]}, 3
    shapes: dict[str, tuple[int, ...]] = {"mean": (3,)}
    for name in names[: names.index(depth) + 1]:
        at = name.removeprefix("conv")
        o = len(p[f"W{at}"])
        found |= {key: p[key] for key in (f"W{at}", f"B{at}")}
        shapes |= {f"W{at}": (o, c, 3, 3), f"B{at}": (o,)}
        c = o
    try:
        check_shapes(found, shapes)
    except ValueError as error:
        raise ValueError(f"{path} holds no VGG: {error}") from None
    dtype = found["W1_1"].dtype
    found["W1_1"] = found["W1_1"] / p["deviation"][:, None, None]
    return {n: np.ascontiguousarray(array, dtype) for n, array in found.items()}
