"""Repair 8: back through a convolution that pads. One mistake is in here; find it.

    out = W * (x with p = (f - 1) / 2 rows and columns of zeros around it) + B

so that out (N, O, H, W) is as large as x (N, C, H, W); W is (O, C, f, f) with odd f,
B is (O,). dx, dw and db are the gradients of x, W and B. No gradient of the zeros
is wanted.
"""

import numpy as np


def conv2d_same_backward(dout, x, w):
    """dx, dw, db, from dout (N, O, H, W)."""
    f = w.shape[2]
    p = (f - 1) // 2
    h, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for u in range(f):
        for v in range(f):
            covered = padded[:, :, u : u + h, v : v + width]
            dw[:, :, u, v] = np.einsum("noij,ncij->oc", dout, covered)
            back = np.einsum("noij,oc->ncij", dout, w[:, :, u, v])
            dpadded[:, :, u : u + h, v : v + width] += back
    dx = dpadded[:, :, :h, :width]
    db = dout.sum(axis=(0, 2, 3))
    return dx, dw, db
