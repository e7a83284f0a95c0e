"""The steps of `reference.conv2d`, `conv2d_backward` and others as separate functions.

A change to one step then recomputes neither the others nor the columns of `im2col`.
"""

from collections.abc import Callable

import numpy as np

from ..reference import batch_norm_backward, col2im, im2col

__all__ = ["conv", "db", "dgamma", "dw", "dw_of", "dx", "norm_back"]


def conv(columns: Callable, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """W * x + B without padding; columns(x, f) gives the columns of `im2col`."""
    (o, _, f, _), (height, width) = w.shape, x.shape[2:]
    out = w.reshape(o, -1) @ columns(x, f) + b[:, None]
    return out.reshape(len(x), o, height - f + 1, width - f + 1)


def dw(columns: Callable, dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The gradient of the weights, from dz and the layer's padded input."""
    cols = columns(x, w.shape[2]).transpose(0, 2, 1)
    return (dz.reshape(*dz.shape[:2], -1) @ cols).sum(axis=0).reshape(w.shape)


def dw_of(dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """dW of a layer, computed from dz as the operation "dw" does."""
    return dw(im2col, dz, x, w)


def dx(dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The gradient with respect to x, computed from dz through the kernels."""
    dz = dz.reshape(*dz.shape[:2], -1)
    return col2im(w.reshape(len(w), -1).T @ dz, x.shape, w.shape[2])


def db(dz: np.ndarray) -> np.ndarray:
    """The gradient of the biases, from dz."""
    return dz.sum(axis=(0, 2, 3))


def dgamma(dout: np.ndarray, x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The gradient of gamma of `reference.batch_norm`."""
    return batch_norm_backward(dout, x, mean, mean, variance)[1]  # does not depend on gamma


def norm_back(
    dout: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx, dmean and dvariance of `reference.batch_norm`."""
    dx, _, _, dmean, dvariance = batch_norm_backward(dout, x, gamma, mean, variance)
    return dx, dmean, dvariance
