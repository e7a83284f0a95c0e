"""VGG: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
ICLR 2015.

Perceptual losses (`features`) compare the maps of its convolutions for two pictures. Its parameters
are fixed, so the gradient is computed for the picture alone. The backward pass of a convolution is
itself a convolution, with the filters turned by 180 degrees, and filters and channels exchanged.

Axes: N samples, C channels, F maps, H x W pixels.
"""

from typing import Any

import numpy as np

from .parameters import Parameters
from .residual import forget
from .vgg_files import convolutions_of

__all__ = ["backward", "forward", "through_conv", "through_relu"]


def forward(
    x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None, relu: bool = True
) -> np.ndarray:
    """h = max(0, W_ij * h + B_ij) in groups i = 1, 2, ...; max pooling between groups.

    Parameters
    ----------
    x : array (N, 3, H, W)
        RGB, values in 0..1.
    p : dict of arrays
        mean, of RGB, which is subtracted first; W1_1, B1_1, W1_2, ... with filters 3 x 3.
    ops : module of operations
    kept : list, optional
        Filled with what `backward` needs.
    relu : bool
        Whether to apply the ReLU of the last convolution.

    Returns
    -------
    maps : array (N, F, H', W')
        phi_ij of the SRGAN paper: after the ReLU of the last convolution of `p`, before any
        pooling. H' is H // 2^(i - 1), and W' is W // 2^(i - 1).
    """
    keep = forget if kept is None else kept.append
    h, convolutions = x - p["mean"][:, None, None], convolutions_of(p)
    for i, j in convolutions:
        if _pooled(i, j):
            keep(h)
            h = ops.max_pool(h)
        step = ops.conv_relu if relu or (i, j) != convolutions[-1] else ops.conv2d_same
        h = step(h, p[f"W{i}_{j}"], p[f"B{i}_{j}"])
        keep(h)
    return h


def backward(
    dout: np.ndarray, kept: list, p: Parameters, ops: Any, relu: bool = True
) -> np.ndarray:
    """Return dx: the lines of `forward` in reverse order.

    Parameters
    ----------
    dout : array (N, F, H', W')
    kept : list that `forward` filled
    p, ops, relu : as passed to `forward`

    Returns
    -------
    dx : array (N, 3, H, W)
    """
    maps, dh, convolutions = reversed(kept), dout, convolutions_of(p)
    for i, j in reversed(convolutions):
        out = next(maps)
        if relu or (i, j) != convolutions[-1]:
            dh = through_relu(dh, out, ops)
        dh = through_conv(dh, p[f"W{i}_{j}"], ops)
        if _pooled(i, j):
            dh = ops.max_pool_backward(dh, next(maps))
    return dh


def through_conv(dout: Any, w: np.ndarray, ops: Any, summand: Any = None) -> Any:
    """Return dx of a convolution whose output is as large as its input, plus `summand`."""
    turned = np.ascontiguousarray(w[:, :, ::-1, ::-1].swapaxes(0, 1))
    return ops.conv2d_same(dout, turned, np.zeros(len(turned), w.dtype), summand)


def through_relu(dout: Any, out: Any, ops: Any) -> Any:
    """Return dx of a ReLU: a LeakyReLU of slope 0, which `kernels` computes in any layout."""
    return ops.leaky_relu_backward(dout, out, 0.0)


def _pooled(i: int, j: int) -> bool:
    """Whether convolution (i, j) follows a pooling."""
    return i > 1 and j == 1
