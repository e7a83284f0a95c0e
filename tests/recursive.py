"""A network that no paper has, with what later ones have.

Weights that are used twice, a skip, names that are those of no chain of layers, and zeros beyond
the edge in training too: without padding, the skip would add maps of two sizes.
"""

import numpy as np

from pysrcnn import reference
from pysrcnn.networks import Network


def forward(x, p, ops, kept=None):
    h0 = h = ops.relu(ops.conv2d(x, p["head"], p["head_bias"], "zeros"))
    maps = [h0]
    for _ in range(2):
        h = ops.relu(ops.conv2d(h, p["body"], p["body_bias"], "zeros"))
        maps.append(h)
    total = h + h0
    if kept is not None:
        kept += [x, maps, total]
    return ops.conv2d(total, p["tail"], p["tail_bias"], "zeros")


def backward(dout, kept, p, ops):
    x, maps, total = kept
    g = {"body": 0, "body_bias": 0}
    dtotal, g["tail"], g["tail_bias"] = ops.conv2d_backward(dout, total, p["tail"], "zeros")
    dh = dtotal
    for k in (2, 1):
        dh = ops.relu_backward(dh, maps[k])
        dh, dw, db = ops.conv2d_backward(dh, maps[k - 1], p["body"], "zeros")
        g["body"], g["body_bias"] = g["body"] + dw, g["body_bias"] + db  # shared weights: a sum
    dh = ops.relu_backward(dh + dtotal, maps[0])
    dx, g["head"], g["head_bias"] = ops.conv2d_backward(dh, x, p["head"], "zeros")
    return dx, g


class Recursive(Network):
    """The network with parameters at random, in float64 if it is not for training."""

    name, c, ops = "recursive", 1, reference
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(self, filters=3, seed=0, scale=None, dtype=np.float64):
        rng = np.random.default_rng(seed)
        self.parameters, self.card, self.options, self.scale = {}, {}, {}, scale
        shapes = {"head": (filters, 1), "body": (filters, filters), "tail": (1, filters)}
        for name, (o, n) in shapes.items():
            w, b = rng.normal(0, 0.5 / np.sqrt(n), (o, n, 3, 3)), rng.normal(0, 0.1, o)
            self.parameters[name], self.parameters[f"{name}_bias"] = (
                w.astype(dtype),
                b.astype(dtype),
            )

    @classmethod
    def from_recipe(cls, recipe, scale):
        return cls(recipe.filters[0], recipe.seed, scale, np.float32)
