"""Winograd's transforms for large filters on few channels, such as 9 x 9 on one.

A filter of 9 x 9 taps is the sum of nine of 3 x 3, each at another place in the picture. At the
points they act like nine channels: their products add up there, and only the sum is transformed
back to pixels. 324 products make 16 outputs instead of 1296.

A sum of so few terms takes no longer than storing and loading it. A register tile here therefore
holds all six points of a row, for FILTERS filters and PAIR vectors of tiles, so that half of the
transform back, m A', happens in registers, and four vectors are stored instead of six.

Axes: C channels, O filters, n = 6 points along a side, L lanes.
"""

import numpy as np

from .blocks import to_points
from .compile import compiled, noinline
from .rows import RELU, TANH, convolve_row, tanh_in_place
from .tile import tile_fetch, tile_plus_number, tile_relu, tile_store, tile_zero
from .transforms import (
    FROM_POINTS,
    tile_apply,
    tile_correlate_points,
    tile_load_apart,
    tile_scatter,
)
from .vectors import REGISTERS, VECTOR_BYTES
from .winograd import OUTPUTS

TAPS, N = 3, 6
PAIR = 2  # vectors of tiles in a block
FILTERS = 2 if REGISTERS == 32 else 1  # filters in a register tile of six points and PAIR vectors
WIDE = FILTERS * PAIR
TOGETHER = 8  # filters whose rows are transformed back before their columns


def scratch_of(channels, hidden):
    """Number of scratch vectors of a block: points of its input, rows of sums, hidden maps.

    channels: times the parts of a filter. hidden: maps between two layers, or 0.
    """
    return PAIR * (N * N * channels + N * OUTPUTS * TOGETHER + OUTPUTS**2 * hidden)


@compiled(inner=True, allocates=False)
def _products(points, at, channels, sums, w, k):
    """Sum over channels at every point, transform rows back: m A', (n, 4, TOGETHER, PAIR, L).

    k: where weights for TOGETHER filters begin.
    """
    noinline()
    apart = PAIR * (VECTOR_BYTES // points.itemsize)
    size, stride = N * N * apart, TOGETHER * apart
    for u in range(N):
        for o in range(0, TOGETHER, FILTERS):
            acc = tile_zero(points, N, WIDE)
            row = at + u * N * apart
            for c in range(channels):
                acc = tile_correlate_points(acc, points, row + c * size, apart, w, k, FILTERS)
                k += N * FILTERS
            acc = tile_apply(acc, FROM_POINTS, TAPS)
            tile_store(acc, points, sums + u * OUTPUTS * stride + o * apart, stride, 1)


@compiled(inner=True, allocates=False)
def _columns_back(points, sums, b, epilogue, out, count):
    """Compute epilogue(A (m A') + b) of `count` vectors; out: see `blocks.convolve_block`."""
    noinline()
    outs, start, rows, columns, out_apart = out
    lanes = VECTOR_BYTES // points.itemsize
    stride, step = TOGETHER * PAIR * lanes, rows[1] - rows[0]
    for o in range(b.size):
        for i in range(count):
            own, to = sums + (o * PAIR + i) * lanes, start + o * out_apart + i * lanes
            for v in range(OUTPUTS):
                acc = tile_load_apart(points, own + v * stride, OUTPUTS * stride, N, 1)
                acc = tile_plus_number(tile_apply(acc, FROM_POINTS, TAPS), b, o)
                if epilogue == RELU:
                    acc = tile_relu(acc)
                tile_scatter(acc, outs, to + columns[v] - columns[0], rows, columns)
                tile_fetch(acc, outs, to + out_apart + columns[v] + rows[0], step)
            if epilogue == TANH:
                for u in range(OUTPUTS):
                    for v in range(OUTPUTS):
                        tanh_in_place(outs, to + rows[u] + columns[v], 0, 0, 1, 1)


@compiled(inner=True)
def places_between(hidden, lanes):
    """Return where `convolve_parts` keeps maps between two layers: of rows, columns and maps."""
    rows, columns = np.empty(OUTPUTS, np.int64), np.empty(OUTPUTS, np.int64)
    maps = np.empty(hidden, np.int64)
    for i in range(OUTPUTS):
        rows[i], columns[i] = i * OUTPUTS * PAIR * lanes, i * PAIR * lanes
    for c in range(hidden):
        maps[c] = c * OUTPUTS**2 * PAIR * lanes
    return rows, columns, maps


@compiled(inner=True, allocates=False)
def convolve_parts(source, first, second, epilogue, out, count, scratch):
    """Compute 4 x 4 outputs of every filter for `count` vectors of tiles, at most PAIR.

    source, out, scratch: as for `blocks.convolve_block`. first: (weights by
    `winograd.parts_at_points`, position, biases). second: None, or the same for a 1 x 1 layer that
    follows, with weights by `rows.pack_weights`, and `places_between`; it is computed before the
    maps between leave the nearer caches.
    """
    noinline()
    channels = source[4] * ((source[3].size - N) // TAPS + 1) ** 2
    points, at, lanes = scratch
    weights, k, b = first
    apart = PAIR * lanes
    sums = at + channels * N * N * apart
    maps = sums + N * OUTPUTS * TOGETHER * apart
    outs, to, rows, columns, out_apart = out
    if second is not None:
        rows, columns, _ = second[3]
        outs, to, out_apart = points, maps, OUTPUTS**2 * apart
    to_points(TAPS, N, source, count, points, at, apart)
    for o in range(0, b.size, TOGETHER):
        _products(points, at, channels, sums, weights, k)
        k += TOGETHER * channels * N * N
        place = outs, to + o * out_apart, rows, columns, out_apart
        _columns_back(points, sums, b[o : o + TOGETHER], epilogue, place, count)
    if second is not None:
        _pointwise(points, maps, second, epilogue, out, count)


@compiled(inner=True, allocates=False, inlined=True)
def _pointwise(points, maps, layer, epilogue, out, count):
    """Compute a 1 x 1 layer from maps (C, 4, 4, PAIR, L) at points[maps]."""
    w, k, b, (own_rows, own_columns, patch) = layer
    outs, to, rows, columns, out_apart = out
    for u in range(OUTPUTS):
        for v in range(OUTPUTS):
            pixel = maps + own_rows[u] + own_columns[v]
            place = outs, to + rows[u] + columns[v], out_apart
            convolve_row(points, pixel, patch, w[k:], b, epilogue, place, count)
