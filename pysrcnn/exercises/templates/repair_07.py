"""Repair 7: back through a convolution, by matrices. One mistake is in here; find it.

    out = W cols + b for each sample, and so
    dW = dout cols^T, dcols = W^T dout, db = dout summed up

as in walkthrough 3, with N samples: x (N, C, H, W), W (O, C, f, f), B (O,), dout
(N, O, H', W'). `im2col` and `col2im` are right.

With twice the batch, the author had to double the learning rate.
"""

import numpy as np


def im2col(x, f):
    """(N, C, H, W) -> (N, C f f, H' W')."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (f, f), axis=(2, 3))
    n, c, h, w = windows.shape[:4]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * f * f, h * w)


def col2im(cols, shape, f):
    """(N, C f f, H' W') -> (N, C, H, W)."""
    n, c, height, width = shape
    h, w = height - f + 1, width - f + 1
    patches = cols.reshape(n, c, f, f, h, w)
    x = np.zeros(shape)
    for u in range(f):
        for v in range(f):
            x[:, :, u : u + h, v : v + w] += patches[:, :, u, v]
    return x


def conv2d_backward(dout, x, w):
    """dx, dw, db."""
    n, o = dout.shape[:2]
    f = w.shape[2]
    dout = dout.reshape(n, o, -1)
    rows = w.reshape(o, -1)
    dw = np.mean(dout @ im2col(x, f).transpose(0, 2, 1), axis=0).reshape(w.shape)
    dx = col2im(rows.T @ dout, x.shape, f)
    db = dout.sum(axis=(0, 2))
    return dx, dw, db
