"""Exercise 5: the backward pass of SRCNN.

The forward pass is there, and so is a convolution with its backward. SRCNN has
three layers; Y = low is the enlarged picture, X = high the original:

    F1 = max(0, W1 * Y + B1)                            Eq. 1
    F2 = max(0, W2 * F1 + B2)                           Eq. 2
    F3 = W3 * F2 + B3                                   Eq. 3, no max here
    L = mean of (F3 - X)^2                              Eq. 4

(The paper's Eq. 4 is a mean over the samples, of sums over pixels. Here it is the
mean over all elements, samples, rows and columns alike; only a factor differs.)

Go back from L to the first layer, one line of the forward pass after the other:
dL/dF3 first; each convolution gives the gradients of its weights and biases, and
of what it was given; each max stops some of that. Walkthrough 3 derives it all.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d(x, w, b):
    """W * x + B: x (N, C, H, W), w (O, C, f, f), b (O,) -> (N, O, H-f+1, W-f+1)."""
    f = w.shape[2]
    patches = sliding_window_view(x, (f, f), axis=(2, 3))  # (N, C, H', W', f, f)
    return np.einsum("ncijuv,ocuv->noij", patches, w) + b[:, None, None]


def conv2d_backward(dout, x, w):
    """dx, dw, db: the gradients of what `conv2d` was given, from that of its output."""
    f = w.shape[2]
    patches = sliding_window_view(x, (f, f), axis=(2, 3))
    dw = np.einsum("noij,ncijuv->ocuv", dout, patches)
    db = dout.sum(axis=(0, 2, 3))
    h, width = dout.shape[2:]
    dx = np.zeros_like(x)
    for u in range(f):
        for v in range(f):
            dx[:, :, u : u + h, v : v + width] += np.einsum("noij,oc->ncij", dout, w[:, :, u, v])
    return dx, dw, db


def loss_and_gradients(low, high, p):
    """The loss, and its gradients with respect to all weights and biases.

    Parameters
    ----------
    low : float array (N, C, H, W)
    high : float array (N, C, H', W'), as large as F3
    p : dict of float arrays: "W1", "B1", "W2", "B2", "W3", "B3"
        Weights (O, C, f, f) and biases (O,). f differs from layer to layer.

    Returns
    -------
    loss : float
    gradients : dict of float arrays, with the names and shapes of p
    """
    f1 = np.maximum(conv2d(low, p["W1"], p["B1"]), 0)
    f2 = np.maximum(conv2d(f1, p["W2"], p["B2"]), 0)
    f3 = conv2d(f2, p["W3"], p["B3"])
    loss = np.mean((f3 - high) ** 2)
    gradients = {}
    raise NotImplementedError("write what fills gradients, and remove this line")
    return loss, gradients
