"""Repair 12: a recursion. One mistake is in here; find it.

DRCN (Kim, Lee, Lee, CVPR 2016) applies one layer again and again:

    H_d = max(0, W * H_{d-1} + B), d = 1, ..., D

always with the same W (C, C, 3, 3) and B (C,). H_0 is x, (N, C, H, W); convolutions
pad with zeros. `recursion_backward` has dout, the gradient of H_D, and returns those
of x, W and B.

With D = 1 everything was right.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def _patches(x):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return sliding_window_view(padded, (3, 3), axis=(2, 3))


def _conv(x, w, b):
    return np.einsum("ncijuv,ocuv->noij", _patches(x), w) + b[:, None, None]


def _conv_backward(dout, x, w):
    dw = np.einsum("noij,ncijuv->ocuv", dout, _patches(x))
    dx = np.einsum("noijuv,ocuv->ncij", _patches(dout), w[:, :, ::-1, ::-1])
    return dx, dw, dout.sum(axis=(0, 2, 3))


def recursion(x, w, b, times):
    """H_0, H_1, ..., H_D, a list; D = times."""
    maps = [x]
    for _ in range(times):
        maps.append(np.maximum(_conv(maps[-1], w, b), 0))
    return maps


def recursion_backward(dout, x, w, b, times):
    """dx, dw, db."""
    maps = recursion(x, w, b, times)
    dh = dout
    for d in reversed(range(times)):
        dz = dh * (maps[d + 1] > 0)
        dh, dw, db = _conv_backward(dz, maps[d], w)
    return dh, dw, db
