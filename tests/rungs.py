"""What tests of the three rungs share: networks at random, and how near is equal."""

import numba
import numpy as np
import pytest

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
