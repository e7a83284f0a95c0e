"""What perceptual losses compare: maps that a fixed network makes of a picture.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV
2016. Two pictures whose texture is the same, but not in the same place, differ in every pixel, and
little in what a network that knows objects sees of them. SRGAN takes VGG: Simonyan, Zisserman,
"Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015. Where no file of it
is at hand, an `EDSR` of ours serves, which has learned of edges and lines alone.

The network stays as it is, so what goes back goes to the picture alone. Through a convolution, that
is a convolution with its filters turned by 180 degrees, filters and channels exchanged.

Axes: N samples, c channels of the picture, F maps, H x W pixels.
"""

import os
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from .. import kernels
from ..checks import check_batch
from ..color import RGB_TO_YCBCR
from ..formats import Arrays, read_weights
from .edsr import EDSR
from .parameters import Parameters, Parametric, check_shapes
from .residual import blocks_of, forget

__all__ = ["Features", "body", "body_backward", "vgg", "vgg_backward"]

FACTOR = 1 / 12.75  # of VGG's maps, Section 3.2 of SRGAN's paper; here of PyTorch's
# Of the pictures that VGG was trained on, RGB in 0..1: mean and deviation as PyTorch has them, and
# the mean of the authors', who do not divide and count to 255.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEAN_OF_AUTHORS = 123.68 / 255, 116.779 / 255, 103.939 / 255


def vgg(x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None) -> np.ndarray:
    """h = max(0, W_ij * h + B_ij) of groups i = 1, 2, ..., and a maximum pooling before each other.

    Parameters
    ----------
    x : array (N, 3, H, W)
        RGB, values in 0..1.
    p : dict of arrays
        mean, of RGB, which is taken off before; W1_1, B1_1, W1_2, ... of filters 3 x 3.
    ops : module of operations
    kept : list, optional
        Gets what `vgg_backward` needs.

    Returns
    -------
    maps : array (N, F, H', W')
        phi_ij of SRGAN's paper: behind the ReLU of the last convolution there is, and before the
        pooling. H' is H // 2^(i - 1), W' likewise.
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


def vgg_backward(dout: np.ndarray, kept: list, p: Parameters, ops: Any) -> np.ndarray:
    """dx: the lines of `vgg`, last to first.

    Parameters
    ----------
    dout : array (N, F, H', W')
    kept : list that `vgg` filled
    p, ops : as `vgg` was given them

    Returns
    -------
    dx : array (N, 3, H, W)
    """
    maps, dh = reversed(kept), dout
    for i, j in reversed(_convolutions(p)):
        dh = _back(_through_relu(dh, next(maps), ops), p[f"W{i}_{j}"], ops)
        if _pooled(i, j):
            dh = ops.max_pool_backward(dh, next(maps))
    return dh


def body(x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None) -> np.ndarray:
    """h_0 = W_head * x, h_k = h_{k-1} + W_k2 * max(0, W_k1 * h_{k-1}): as `edsr` begins.

    Parameters
    ----------
    x : array (N, c, H, W)
        Values in 0..1.
    p : dict of arrays
        mean, (c,), which is taken off before; W_head, B_head; W1_1, B1_1, W1_2, B1_2, W2_1, ...
    ops : module of operations
    kept : list, optional
        Gets what `body_backward` needs.

    Returns
    -------
    maps : array (N, F, H, W)
    """
    keep = forget if kept is None else kept.append
    h = ops.conv2d_same(x - p["mean"][:, None, None], p["W_head"], p["B_head"])
    for k in blocks_of(p):
        a = ops.conv_relu(h, p[f"W{k}_1"], p[f"B{k}_1"])
        keep(a)
        h = ops.conv2d_same(a, p[f"W{k}_2"], p[f"B{k}_2"], h)
    return h


def body_backward(dout: np.ndarray, kept: list, p: Parameters, ops: Any) -> np.ndarray:
    """dx: the lines of `body`, last to first.

    Parameters
    ----------
    dout : array (N, F, H, W)
    kept : list that `body` filled
    p, ops : as `body` was given them

    Returns
    -------
    dx : array (N, c, H, W)
    """
    maps, dh = reversed(kept), dout
    for k in reversed(blocks_of(p)):
        da = _back(dh, p[f"W{k}_2"], ops)
        dh = _back(_through_relu(da, next(maps), ops), p[f"W{k}_1"], ops, dh)
    return _back(dh, p["W_head"], ops)


def _back(dout: Any, w: np.ndarray, ops: Any, summand: Any = None) -> Any:
    """dx of a convolution that is as large as its input."""
    turned = np.ascontiguousarray(w[:, :, ::-1, ::-1].swapaxes(0, 1))
    return ops.conv2d_same(dout, turned, np.zeros(len(turned), w.dtype), summand)


def _through_relu(dout: Any, out: Any, ops: Any) -> Any:
    """ReLU is LeakyReLU of slope 0, which `kernels` has for maps as they lie."""
    return ops.leaky_relu_backward(dout, out, 0.0)


def _convolutions(p: Parameters) -> list[tuple[int, int]]:
    """(i, j) of each."""
    names = (name[1:].split("_") for name in p if name[0] == "W")
    return [(int(i), int(j)) for i, j in names]


def _pooled(i: int, j: int) -> bool:
    """Whether there is a pooling before it."""
    return i > 1 and j == 1


class Features(Parametric):
    """A fixed network, and the loss between what it sees of two pictures: `of_vgg`, `of_edsr`.

    Attributes
    ----------
    label : str
        What it is, for cards: "VGG conv2_2", "EDSR block8".
    parameters : dict of arrays
    c : int
        Channels of the pictures it was trained on. One of RGB takes luminance as well, as grey; one
        of luminance takes that of RGB.
    factor : float
        What its maps are multiplied by before they are compared.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.
    """

    def __init__(
        self,
        label: str,
        parameters: Parameters,
        functions: tuple[Callable, Callable],
        factor: float,
        ops: ModuleType,
    ):
        self.label, self.parameters, self.factor, self.ops = label, parameters, factor, ops
        self._forward, self._backward = functions
        self.c = len(parameters["mean"])

    @classmethod
    def of_vgg(
        cls, path: str | os.PathLike, depth: str = "conv2_2", *, ops: ModuleType = kernels
    ) -> "Features":
        """VGG's, of a file that has its convolutions, the first ones or all.

        Parameters
        ----------
        path : path
            By PyTorch's names, features.0.weight, ..., whose pictures are RGB in 0..1, less the
            mean and divided by the deviation of ImageNet; of VGG-16, VGG-19 or a smaller one,
            without batch normalisation. Or by those of conv1_1_w (f, f, C, O) and conv1_1_b, ...,
            whose pictures are BGR in 0..255, less the mean.
        depth : str
            "conv2_2": the second convolution of the second group, whose maps are compared. SRGAN's
            VGG54 is "conv5_4" of VGG-19.

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
        # Maps of what is given levels up to 255 are as much larger, and their losses no others.
        factor = FACTOR * float(parameters["deviation"].mean() / np.mean(DEVIATION))
        found = _to_depth(parameters, depth, path)
        return cls(f"VGG {depth}", found, (vgg, vgg_backward), factor, ops)

    @classmethod
    def of_edsr(
        cls, network: EDSR, depth: str | None = None, *, ops: ModuleType = kernels
    ) -> "Features":
        """Those of an EDSR, which sees large pictures as if they were small ones.

        Parameters
        ----------
        network : EDSR
        depth : str, optional
            "block3": what its third block gives; by default its last one's.

        Raises
        ------
        ValueError
            If it has no such block.
        """
        depth = depth or f"block{network.blocks}"
        names = [f"block{k}" for k in blocks_of(network.parameters)]
        if depth not in names:
            raise ValueError(f"depth is {depth!r:.60}, wanted one of {', '.join(names)}")
        p, t = network.parameters, network.options["residual_scale"]
        mean = network.options["mean"] or (0.0,) * network.c
        found = {
            "mean": np.array(mean, network.dtype),
            "W_head": p["W_head"].copy(),
            "B_head": p["B_head"].copy(),
        }
        for k in range(1, 1 + names.index(depth) + 1):
            found |= {name: p[name].copy() for name in (f"W{k}_1", f"B{k}_1")}
            found |= {name: p[name] * p[name].dtype.type(t) for name in (f"W{k}_2", f"B{k}_2")}
        return cls(f"EDSR {depth}", found, (body, body_backward), 1.0, ops)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The maps of a batch of pictures.

        Parameters
        ----------
        x : float array (N, c, H, W), values in 0..1

        Returns
        -------
        maps : array (N, F, H', W')

        Raises
        ------
        TypeError, ValueError
            If `x` is not such an array.
        """
        return self._maps(self._checked(x, "x"), None)

    def loss_and_gradient(self, made: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean squared difference of all values of the maps, times factor^2; and its gradient.

        Eq. 5 of SRGAN's paper, but for the number of maps, which is not in the mean there.

        Parameters
        ----------
        made, target : float arrays (N, c, H, W), values in 0..1

        Returns
        -------
        loss : float
        dmade : array (N, c, H, W)
            By the first of them.

        Raises
        ------
        TypeError, ValueError
            If they are not such arrays, or of two shapes.
        """
        made, target = self._checked(made, "made"), self._checked(target, "target")
        if made.shape != target.shape:
            raise ValueError(f"made has the shape {made.shape} and target {target.shape}")
        ops, kept, square = self.ops, list[Any](), self.factor**2
        ours, theirs = self._maps(made, kept), self._maps(target, None)
        dout = ops.mse_backward(ours, theirs) * self.dtype.type(square)
        dx = ops.leave(self._backward(ops.enter(dout), kept, self.parameters, ops))
        if self.c == 3 > made.shape[1]:
            dx = ops.repeat_backward(dx, self.c)
        elif self.c < made.shape[1]:
            dx = self._luma * dx
        return square * ops.mse(ours, theirs), dx

    def _checked(self, x: np.ndarray, name: str) -> np.ndarray:
        c = np.shape(x)[1] if np.ndim(x) == 4 else self.c
        return check_batch(x, name, c if c in (1, 3) else self.c, self.dtype)

    @property
    def _luma(self) -> np.ndarray:
        """What luminance has of R, G and B, (3, 1, 1)."""
        return RGB_TO_YCBCR[0][0].astype(self.dtype)[:, None, None]

    def _maps(self, x: np.ndarray, kept: list | None) -> np.ndarray:
        ops = self.ops
        if self.c == 3 > x.shape[1]:
            x = ops.repeat(x, self.c)
        elif self.c < x.shape[1]:
            x = (self._luma * x).sum(axis=1, keepdims=True) + self.dtype.type(RGB_TO_YCBCR[1][0])
        return ops.leave(self._forward(ops.enter(x), self.parameters, ops, kept))

    def __repr__(self) -> str:
        return f"<Features {self.label}, c={self.c}, {self.dtype}>"


def _of_pytorch(tensors: Arrays) -> Parameters:
    """The convolutions of a file by our names, mean and deviation; or nothing, if it is no such."""
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
    """The same of a file whose filters lie as (f, f, C, O), BGR."""
    p: Parameters = {"mean": np.array(MEAN_OF_AUTHORS), "deviation": np.full(3, 1 / 255)}
    for name in sorted(tensors):
        if (found := re.fullmatch(r"conv(\d_\d)_w", name)) and tensors[name].ndim == 4:
            p[f"W{found[1]}"] = tensors[name].transpose(3, 2, 0, 1)
            p[f"B{found[1]}"] = tensors.get(f"conv{found[1]}_b", np.empty(0))
    if "W1_1" not in p:
        return {}
    return p | {"W1_1": p["W1_1"][:, ::-1]}


def _to_depth(p: Parameters, depth: str, path: str | os.PathLike) -> Parameters:
    """Those of the convolutions up to this one, checked, for RGB in 0..1 less a mean."""
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
