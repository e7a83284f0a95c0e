"""Feature maps of a fixed network, which perceptual losses compare.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV
2016. Two pictures with the same texture in different places differ in every pixel, but little in
the maps of a network that was trained to recognise objects. SRGAN uses `vgg`. Without a file of
it, the first layers of one of our `EDSR` are used, which know edges and lines only.

Axes: N samples, c channels of the picture, F maps, H x W pixels.
"""

import math
import os
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from .. import kernels
from ..checks import check_batch
from ..color import RGB_TO_YCBCR
from . import vgg
from .edsr import EDSR
from .parameters import Parameters, Parametric
from .residual import blocks_of, forget
from .vgg import through_conv, through_relu
from .vgg_files import LAYER, read_vgg, to_layer

# For an EDSR's maps: it makes the gradients of edsr-s about as large as those of VGG's relu2_2, so
# one weight of the adversarial loss suits both.
FACTOR = 1.6

__all__ = ["Features", "body", "body_backward"]


def body(x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None) -> np.ndarray:
    """h_0 = W_head * x, h_k = h_{k-1} + W_k2 * max(0, W_k1 * h_{k-1}), as in `edsr`.

    Parameters
    ----------
    x : array (N, c, H, W)
        Values in 0..1.
    p : dict of arrays
        mean, (c,), which is subtracted first; W_head, B_head; W1_1, B1_1, W1_2, B1_2, W2_1, ...
    ops : module of operations
    kept : list, optional
        Filled with what `body_backward` needs.

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
    """Return dx: the lines of `body` in reverse order.

    Parameters
    ----------
    dout : array (N, F, H, W)
    kept : list that `body` filled
    p, ops : as passed to `body`

    Returns
    -------
    dx : array (N, c, H, W)
    """
    maps, dh = reversed(kept), dout
    for k in reversed(blocks_of(p)):
        da = through_conv(dh, p[f"W{k}_2"], ops)
        dh = through_conv(through_relu(da, next(maps), ops), p[f"W{k}_1"], ops, dh)
    return through_conv(dh, p["W_head"], ops)


class Features(Parametric):
    """A fixed network and the loss between its maps of two pictures; see `of_vgg` and `of_edsr`.

    Attributes
    ----------
    label : str
        Its name in cards: "VGG relu2_2", "EDSR block8".
    parameters : dict of arrays
    c : int
        Channels of the pictures it was trained on. A network for RGB also takes luminance, as grey;
        one for luminance also takes RGB, of which it sees the luminance.
    factor : float
        The maps are multiplied by it before they are compared.
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
        cls, path: str | os.PathLike, layer: str = LAYER, *, ops: ModuleType = kernels
    ) -> "Features":
        """Use a VGG from a file that has its convolutions, the first ones or all.

        Parameters
        ----------
        path : path
            See `vgg_files.read_vgg`.
        layer : str
            The layer whose maps are compared. "relu2_2" is after the ReLU of the second convolution
            of the second group, the paper's "VGG22"; its "VGG54" is "relu5_4" of VGG-19. "conv5_4"
            is before the ReLU, as in ESRGAN.

        Raises
        ------
        FileNotFoundError, ModuleNotFoundError, ValueError
            If the file cannot be read, or has no such layer.
        """
        found = read_vgg(path)
        name, parameters = to_layer(found.parameters, layer, path)
        relu = name.startswith("relu")
        functions = partial(vgg.forward, relu=relu), partial(vgg.backward, relu=relu)
        return cls(f"VGG {name}", parameters, functions, found.factor, ops)

    @classmethod
    def of_edsr(
        cls, network: EDSR, depth: str | None = None, *, ops: ModuleType = kernels
    ) -> "Features":
        """Use the first layers of an EDSR, which takes large pictures as if they were small.

        Parameters
        ----------
        network : EDSR
        depth : str, optional
            Such as "block3", for the output of the third block; by default the last block.

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
        for k in blocks_of(p)[: names.index(depth) + 1]:
            found |= {name: p[name].copy() for name in (f"W{k}_1", f"B{k}_1")}
            found |= {name: p[name] * p[name].dtype.type(t) for name in (f"W{k}_2", f"B{k}_2")}
        return cls(f"EDSR {depth}", found, (body, body_backward), FACTOR, ops)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the feature maps of a batch of pictures.

        Parameters
        ----------
        x : float array (N, c, H, W), values in 0..1

        Returns
        -------
        maps : array (N, F, H', W')

        Raises
        ------
        TypeError, ValueError
            If `x` is not such an array, or too small for a layer that deep.
        """
        return self._maps(self._checked(x, "x"), None)

    def loss_and_gradient(self, made: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean squared difference of the maps, times factor^2, and its gradient.

        Eq. 5 of the SRGAN paper, except that its mean does not include the number of maps.

        Parameters
        ----------
        made, target : float arrays (N, c, H, W), values in 0..1

        Returns
        -------
        loss : float
        dmade : array (N, c, H, W)
            The gradient with respect to `made`.

        Raises
        ------
        TypeError, ValueError
            If they are not such arrays, differ in shape, or are too small for a layer that deep.
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

    def distance(self, x: np.ndarray, target: np.ndarray) -> float:
        """Return the distance between the maps of two pictures, relative to those of the second.

        ||phi(x) - phi(target)|| / ||phi(target)||: 0 if the maps are equal, about 1 if they have
        nothing in common. Compare it between results, not between networks or layers. It is not
        LPIPS, which weighs maps by human judgements of pictures.

        Parameters
        ----------
        x, target : float arrays (N, c, H, W), values in 0..1

        Returns
        -------
        distance : float, 0 or more; infinite if the maps of `target` are all 0

        Raises
        ------
        TypeError, ValueError
            If they are not such arrays, differ in shape, or are too small for a layer that deep.
        """
        x, target = self._checked(x, "x"), self._checked(target, "target")
        if x.shape != target.shape:
            raise ValueError(f"x has the shape {x.shape} and target {target.shape}")
        ours, theirs = self._maps(x, None), self._maps(target, None)
        scale, off = float(np.linalg.norm(theirs)), float(np.linalg.norm(ours - theirs))
        return off / scale if scale else math.inf

    @property
    def _poolings(self) -> int:
        """The number of poolings, each of which halves the maps."""
        groups = {name.split("_")[0] for name in self.parameters if self._forward is not body}
        return sum(name[0] == "W" for name in groups) - 1 if groups else 0

    def _checked(self, x: np.ndarray, name: str) -> np.ndarray:
        c = np.shape(x)[1] if np.ndim(x) == 4 else self.c
        x = check_batch(x, name, c if c in (1, 3) else self.c, self.dtype)
        if min(x.shape[2:]) < (side := 1 << self._poolings):
            raise ValueError(
                f"pictures of {x.shape[3]} x {x.shape[2]} pixels have no {self.label}: it takes at "
                f"least {side} x {side}"
            )
        return x

    @property
    def _luma(self) -> np.ndarray:
        """The shares of R, G and B in luminance, (3, 1, 1)."""
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
