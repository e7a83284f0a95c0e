"""Repair 5: back through a convolution. One mistake is in here; find it.

    out = W * x + B, no padding: out is (N, O, H', W')

for x (N, C, H, W), W (O, C, f, f), B (O,), H' = H - f + 1, W' = W - f + 1. dx, dw
and db are the gradients of x, W and B. Each entry of B is added to every pixel of
every sample.

It was tested on batches of one picture, and found right.
"""

import numpy as np


def conv2d_backward(dout, x, w):
    """dx, dw, db, from dout (N, O, H', W')."""
    f = w.shape[2]
    h, width = dout.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for u in range(f):
        for v in range(f):
            covered = x[:, :, u : u + h, v : v + width]
            dw[:, :, u, v] = np.einsum("noij,ncij->oc", dout, covered)
            back = np.einsum("noij,oc->ncij", dout, w[:, :, u, v])
            dx[:, :, u : u + h, v : v + width] += back
    db = dout[0].sum(axis=(1, 2))
    return dx, dw, db
