"""Exercise 8: a residual block, forward and backward.

Each block of a deep network such as EDSR learns what is to be added to its input:

    y = x + W2 * max(0, W1 * x + B1) + B2

The path of x around both layers is called a skip. x is used in two places, so its
gradient is a sum of two: what comes back through the layers, and what comes back
along the skip. Without the second, the first of many blocks hardly learn.

A convolution that pads with zeros, so that sizes stay, is there with its backward.
EDSR's blocks are just these.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d_same(x, w, b):
    """W * x + B, as large as x: x (N, C, H, W), w (O, C, 3, 3), b (O,) -> (N, O, H, W)."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("ncijuv,ocuv->noij", patches, w) + b[:, None, None]


def conv2d_same_backward(dout, x, w):
    """dx, dw, db: the gradients of what `conv2d_same` was given, from that of its output."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = sliding_window_view(padded, (3, 3), axis=(2, 3))
    dw = np.einsum("noij,ncijuv->ocuv", dout, patches)
    db = dout.sum(axis=(0, 2, 3))
    h, width = x.shape[2:]
    dx = np.zeros_like(padded)
    for u in range(3):
        for v in range(3):
            dx[:, :, u : u + h, v : v + width] += np.einsum("noij,oc->ncij", dout, w[:, :, u, v])
    return dx[:, :, 1:-1, 1:-1], dw, db


def block(x, w1, b1, w2, b2):
    """The block.

    Parameters
    ----------
    x : float array (N, C, H, W)
    w1, b1, w2, b2 : float arrays (O, C, 3, 3), (O,), (C, O, 3, 3), (C,)

    Returns
    -------
    y : float array (N, C, H, W)
    """
    raise NotImplementedError("write this, and remove this line")


def block_backward(dy, x, w1, b1, w2, b2):
    """The gradients of all that `block` was given, from that of its output.

    What the forward pass computed on its way may be computed again here.

    Parameters
    ----------
    dy : float array (N, C, H, W)
    x, w1, b1, w2, b2 : as for `block`

    Returns
    -------
    dx, dw1, db1, dw2, db2 : float arrays, each of the shape of what it is the gradient of
    """
    raise NotImplementedError("write this, and remove this line")
