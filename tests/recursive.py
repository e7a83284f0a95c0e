"""A network that no paper has, with what later ones have: weights used twice, and a skip."""

import numpy as np

from pysrcnn import reference
from pysrcnn.networks import Network


def forward(x, p, ops, kept=None, *, padding="zeros"):
    h0 = h = ops.relu(ops.conv2d(x, p["W1"], p["B1"], padding))
    maps = [h0]
    for _ in range(2):
        h = ops.relu(ops.conv2d(h, p["W2"], p["B2"], padding))
        maps.append(h)
    total = h + h0
    if kept is not None:
        kept += [x, maps, total]
    return ops.conv2d(total, p["W3"], p["B3"], padding)


def backward(dout, kept, p, ops, *, padding="zeros"):
    x, maps, total = kept
    g = {"W2": 0, "B2": 0}
    dtotal, g["W3"], g["B3"] = ops.conv2d_backward(dout, total, p["W3"], padding)
    dh = dtotal
    for k in (2, 1):
        dh = ops.relu_backward(dh, maps[k])
        dh, dw, db = ops.conv2d_backward(dh, maps[k - 1], p["W2"], padding)
        g["W2"], g["B2"] = g["W2"] + dw, g["B2"] + db  # shared weights: a sum
    dh = ops.relu_backward(dh + dtotal, maps[0])
    dx, g["W1"], g["B1"] = ops.conv2d_backward(dh, x, p["W1"], padding)
    return dx, g


class Recursive(Network):
    """The network, in float64, with parameters at random."""

    name, scale, c, ops = "recursive", None, 1, reference
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(self, filters=3, seed=0):
        rng = np.random.default_rng(seed)
        self.parameters, self.card, self.options = {}, {}, {"padding": "zeros"}
        for k, (o, n) in enumerate([(filters, 1), (filters, filters), (1, filters)], 1):
            self.parameters[f"W{k}"] = rng.normal(0, 0.5 / np.sqrt(n), (o, n, 3, 3))
            self.parameters[f"B{k}"] = rng.normal(0, 0.1, o)
