"""Repair 2: back through a ReLU. One mistake is in here; find it.

dx is dout where x > 0, and 0 elsewhere. dout and x are arrays of one shape; x is
what went into the ReLU, or what came out of it. (Full definition: exercise 3.)
"""

import numpy as np


def relu_backward(dout, x):
    """dx, from the gradient of the output."""
    dx = np.zeros_like(dout)
    passes = dout > 0
    dx[passes] = dout[passes]
    return dx
