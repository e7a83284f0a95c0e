"""Weights to the points of Winograd's transforms, and gradients back, where lanes are channels.

For `same` and `tiles`; in float64, rounded once, at the end. The weights for `blocks` have another
order and are made once per network, not once per step, so NumPy makes them: see
`winograd.filters_at_points`.

Axes: C channels, O filters, f x f taps, n points along a side; C', O' padded to whole vectors.
"""

import numpy as np
from numba import literally, prange

from .compile import compiled, noinline
from .transforms import (
    BACK_TO_FILTERS,
    FILTERS,
    tile_load_apart,
    tile_store_apart,
    tile_transform,
)
from .vectors import VECTOR_BYTES


@compiled(inner=True, allocates=False)
def _transformed(which, taps, size, x, out):
    """Compute out (n^2, O') = M x M' of squares x (size^2, O'), float64: G w G' or G' s G."""
    noinline()
    which, taps, size = literally(which), literally(taps), literally(size)
    filters = x.shape[1]
    for o in range(0, filters, VECTOR_BYTES // x.itemsize):
        acc = tile_transform(tile_load_apart(x, o, filters, size, size), which, taps)
        tile_store_apart(acc, out, o, filters)


@compiled(inner=True)
def _channel_to_points(threes, fives, w, turned, c, out):
    """`filters_to_points` for one channel."""
    noinline()
    points, _, filters = out.shape
    f = w.shape[2]
    size = w.shape[1::-1] if turned else w.shape[:2]
    taps, at_points = np.zeros((f * f, filters)), np.zeros((points, filters))
    if c < size[1]:
        for u in range(f):
            for v in range(f):
                for o in range(size[0]):
                    if turned:
                        taps[u * f + v, o] = w[c, o, f - 1 - u, f - 1 - v]
                    else:
                        taps[u * f + v, o] = w[o, c, u, v]
        if threes is not None:
            _transformed(FILTERS, 3, 3, taps, at_points)
        if fives is not None:
            _transformed(FILTERS, 5, 5, taps, at_points)
    for p in range(points):
        for o in range(filters):
            out[p, c, o] = at_points[p, o]


# Numba compiles the body of a parallel loop three times, so it holds no more than a call.


@compiled(parallel=True)
def filters_to_points(threes, fives, w, turned, out):
    """Compute out (n^2, C', O') = G w G' of weights w (O, C, f, f).

    turned: turn w by 180 degrees and exchange filters and channels first. threes, fives: True for
    the filter size of w, None for the other, whose code is then not compiled.
    """
    for c in prange(out.shape[1]):
        _channel_to_points(threes, fives, w, turned, np.int64(c), out)


@compiled(inner=True)
def _channel_from_points(threes, fives, sums, c, dw):
    """`filters_from_points` for one channel."""
    noinline()
    slices, points, _, filters = sums.shape
    f = dw.shape[2]
    total, taps = np.zeros((points, filters)), np.empty((f * f, filters))
    for part in range(slices):
        for p in range(points):
            for o in range(filters):
                total[p, o] += sums[part, p, c, o]
    if threes is not None:
        _transformed(BACK_TO_FILTERS, 3, 6, total, taps)
    if fives is not None:
        _transformed(BACK_TO_FILTERS, 5, 8, total, taps)
    for o in range(len(dw)):
        for u in range(f):
            for v in range(f):
                dw[o, c, u, v] = taps[u * f + v, o]


@compiled(parallel=True)
def filters_from_points(threes, fives, sums, dw):
    """Compute dw (O, C, f, f) = G' s G, s summed over slices from sums (slices, n^2, C', O')."""
    for c in prange(dw.shape[1]):
        _channel_from_points(threes, fives, sums, np.int64(c), dw)
