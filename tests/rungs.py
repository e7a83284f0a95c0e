"""What tests of the three rungs share: networks at random, and how near is equal."""

import numba
import numpy as np
import pytest

from pysrcnn.networks import EDSR

JIT = not numba.config.DISABLE_JIT
compiled_only = pytest.mark.skipif(not JIT, reason="a matter of compiled code, or minutes without")


def random_layers(sizes, filters, c, dtype=np.float64, seed=0, out=None):
    """Layers from c channels to as many, or to `out`."""
    rng = np.random.default_rng(seed)
    channels = [c, *filters, out or c]
    layers = []
    for k, f in enumerate(sizes):
        shape = channels[k + 1], channels[k], f, f
        w = rng.normal(0, 1 / np.sqrt(channels[k] * f * f), shape).astype(dtype)
        layers.append((w, rng.normal(0, 0.1, shape[0]).astype(dtype)))
    return layers


def equal_to_rounding(a, b, terms):
    """Whether `a` and `b`, sums of so many terms, are the same but for rounding."""
    assert a.shape == b.shape, (a.shape, b.shape)
    assert a.dtype == b.dtype, (a.dtype, b.dtype)
    tolerance = 4 * np.sqrt(terms) * np.finfo(a.dtype).eps * max(1, np.abs(b).max())
    return np.abs(a - b).max() <= tolerance


def edsr_of(scale, t=1.0, width=6):
    """An EDSR with the mean colour of DIV2K, of which greys stay greys with a residual scale of t.

    The first three maps hand the picture on, and the first block takes half of it away, by a ReLU
    that is open for all greys thanks to its biases; the last layer makes up for it. The other
    filters see no flat grey.
    """
    rng = np.random.default_rng(scale)
    made = EDSR(
        scale, 2, width, 3, short_tail=False, residual_scale=t, picture=False,
        mean=(0.4488, 0.4371, 0.4040),
    )  # fmt: skip
    p = made.parameters
    for name, array in p.items():
        array += rng.normal(0, 0.05 if name[0] == "W" else 0.001, array.shape).astype(np.float32)
        if name[0] == "W":
            array -= array.mean(axis=(2, 3), keepdims=True)
    for name, share in ("_head", 1), ("1_1", 1), ("1_2", -0.5 / t), ("_body", 1), ("_tail", 2 / 3):
        p[f"W{name}"][range(3), range(3), 1, 1] += share
    p["B1_1"] += 0.5
    p["B1_2"] += 0.25 / t
    for name in [name for name in p if name.startswith("W_up")]:
        of_each = len(p[name]) // width  # sub-pixels
        filters = np.arange(3 * of_each)
        p[name][filters, filters // of_each, 1, 1] += 1
    return made
