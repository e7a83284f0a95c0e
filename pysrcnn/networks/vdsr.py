"""VDSR: Kim, Lee, Lee, "Accurate Image Super-Resolution Using Very Deep Convolutional Networks",
CVPR 2016.

SRCNN's authors found that more layers did not help. Here twenty do, as the network learns only what
the bicubic enlargement lacks, r = y - x: most of it is near zero, and nothing has to be carried
through all layers. Every layer is 3 x 3 and pads with zeros, so one network takes any size and, as
the enlargement is made before it, any scale.

Axes: N samples, c channels of the picture, H x W pixels, D layers.
"""

from types import ModuleType
from typing import Any

import numpy as np

from .. import kernels
from ..checks import check_whole
from .network import Network, Parameters

__all__ = ["VDSR", "backward", "forward"]


def forward(x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None) -> np.ndarray:
    """y = x + r, r = W_D * h_{D-1} + b_D, h_k = max(0, W_k * h_{k-1} + b_k), h_0 = x.

    Parameters
    ----------
    x : array (N, c, H, W)
        Bicubic enlargements, values in 0..1.
    p : dict of arrays W1, B1, W2, B2, ..., of filters 3 x 3
    ops : module of operations
    kept : list, optional
        Gets the input of each layer, for `backward`.

    Returns
    -------
    out : array (N, c, H, W)
    """
    depth, h = len(p) // 2, x
    for k in range(1, depth):
        if kept is not None:
            kept.append(h)
        h = ops.conv_relu(h, p[f"W{k}"], p[f"B{k}"])
    if kept is not None:
        kept.append(h)
    return ops.conv2d_same(h, p[f"W{depth}"], p[f"B{depth}"], x)


def backward(
    dout: np.ndarray, kept: list, p: Parameters, ops: Any
) -> tuple[np.ndarray, Parameters]:
    """dx and the gradients of all parameters: the lines of `forward`, last to first.

    Parameters
    ----------
    dout : array (N, c, H, W)
    kept : list that `forward` filled
    p, ops : as `forward` was given them

    Returns
    -------
    dx : array (N, c, H, W)
    gradients : dict of arrays, by the names of `p`
    """
    depth, g = len(kept), {}
    dh, g[f"W{depth}"], g[f"B{depth}"] = ops.conv2d_same_backward(dout, kept[-1], p[f"W{depth}"])
    for k in reversed(range(1, depth)):
        h, below = kept[k], kept[k - 1]
        dh, g[f"W{k}"], g[f"B{k}"] = ops.conv_relu_backward(dh, h, below, p[f"W{k}"])
    return dh + dout, g  # x is the first layer's input and, past all of them, in the sum


class VDSR(Network):
    """The network of the paper: 20 layers of 64 filters, the last with one for each channel.

    Parameters
    ----------
    depth : int
        D, layers: 2 or more.
    width : int
        Filters of all layers but the last.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    seed : int
        Weights start as He et al. (2015) have it, N(0, 2 / (9 C)), as in the paper, those of the
        last layer at a fiftieth of that: the untrained network nearly returns its input.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Raises
    ------
    ValueError
        If depth, width or seed is not a whole number that large, or c neither 1 nor 3.
    """

    name = "vdsr"
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(
        self,
        depth: int = 20,
        width: int = 64,
        c: int = 1,
        *,
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        for name, value, least in (("depth", depth, 2), ("width", width, 1), ("seed", seed, 0)):
            check_whole(name, value, least)
        if c not in (1, 3):
            raise ValueError(f"c is 1 (luminance) or 3 (RGB), got {c!r}")
        self.c, self.scale, self.card, self.options, self.ops = c, None, {}, {}, ops
        rng = np.random.default_rng(seed)
        channels = (c, *[width] * (depth - 1), c)
        self.parameters = {}
        for k, (i, o) in enumerate(zip(channels[:-1], channels[1:], strict=True), 1):
            size = np.sqrt(2 / (9 * i)) * (0.02 if k == depth else 1)
            self.parameters[f"W{k}"] = rng.normal(0, size, (o, i, 3, 3)).astype(np.float32)
            self.parameters[f"B{k}"] = np.zeros(o, np.float32)

    @property
    def depth(self) -> int:
        """D, the number of layers."""
        return len(self.parameters) // 2

    def __repr__(self) -> str:
        width = len(self.parameters["B1"])
        return f"<VDSR depth={self.depth}, width={width}, c={self.c}, {self.dtype}>"
