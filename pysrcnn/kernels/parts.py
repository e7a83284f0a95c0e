"""A layer of large filters and few channels, such as 9 x 9 of one, by Winograd's transforms.

A filter of 9 x 9 taps is nine of 3 x 3, each of which looks elsewhere in the picture, and the sum
of what they give. At the points they are like nine channels: their products add up there, and only
the sum goes back to pixels. 324 products make 16 outputs in place of 1296.

A sum of so few terms takes no longer than writing it down and reading it again. Here a register
tile therefore holds all six points of a row, for FILTERS filters and PAIR vectors of tiles, so that
half of the way back, m A', happens in registers, and four vectors are written in place of six.

Axes: C channels, O filters, n = 6 points along a side, L lanes.
"""

import numpy as np

from .blocks import _to_points
from .compile import compiled, noinline
from .rows import RELU, TANH, convolve_row, tanh_in_place
from .tile import tile_plus_number, tile_relu, tile_store, tile_zero
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
PAIR = 2  # vectors of tiles of a block
FILTERS = 2 if REGISTERS == 32 else 1  # of a register tile, which has six points and a pair too
WIDE = FILTERS * PAIR
TOGETHER = 8  # filters whose rows are made before their columns are transformed back


def scratch_of(channels, hidden):
    """Vectors that a block works in: points of its input, rows of sums, maps between two layers.

    channels: times the parts of a filter. hidden: maps between, see `convolve_parts`.
    """
    return PAIR * (N * N * channels + N * OUTPUTS * TOGETHER + OUTPUTS**2 * hidden)


@compiled(inner=True, allocates=False)
def _products(points, at, channels, sums, w, k):
    """The sums over channels at every point, and their rows back: m A', (n, 4, TOGETHER, PAIR, L).

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
    """epilogue(A (m A') + b) of `count` vectors of tiles; out: see `blocks.convolve_block`."""
    noinline()
    outs, start, rows, columns, out_apart = out
    lanes = VECTOR_BYTES // points.itemsize
    stride = TOGETHER * PAIR * lanes
    for o in range(b.size):
        for i in range(count):
            own, to = sums + (o * PAIR + i) * lanes, start + o * out_apart + i * lanes
            for v in range(OUTPUTS):
                acc = tile_load_apart(points, own + v * stride, OUTPUTS * stride, N, 1)
                acc = tile_plus_number(tile_apply(acc, FROM_POINTS, TAPS), b, o)
                if epilogue == RELU:
                    acc = tile_relu(acc)
                tile_scatter(acc, outs, to + columns[v] - columns[0], rows, columns)
            if epilogue == TANH:
                for u in range(OUTPUTS):
                    for v in range(OUTPUTS):
                        tanh_in_place(outs, to + rows[u] + columns[v], 0, 0, 1, 1)


@compiled(inner=True, allocates=False)
def convolve_parts(source, w, b, epilogue, out, count, scratch):
    """4 x 4 outputs of every filter, for `count` vectors of tiles, at most PAIR.

    As `blocks.convolve_block`, but w is of `winograd.parts_at_points`.
    """
    noinline()
    channels = source[4] * ((source[3].size - N) // TAPS + 1) ** 2
    weights, k = w
    outs, to, rows, columns, out_apart = out
    points, at, lanes = scratch
    apart = PAIR * lanes
    sums = at + channels * N * N * apart
    _to_points(TAPS, N, source, count, points, at, apart)
    for o in range(0, b.size, TOGETHER):
        _products(points, at, channels, sums, weights, k)
        k += TOGETHER * channels * N * N
        place = outs, to + o * out_apart, rows, columns, out_apart
        _columns_back(points, sums, b[o : o + TOGETHER], epilogue, place, count)


@compiled(inner=True)
def convolve_two(source, first, second, epilogue, out, count, scratch):
    """The same, and then a layer of 1 x 1, before the maps between have left the nearer caches.

    first, second: (weights, position, biases); those of the second as `rows.pack_weights` has them.
    """
    noinline()
    points, at, lanes = scratch
    w, k, b = first
    apart = PAIR * lanes
    channels = source[4] * ((source[3].size - N) // TAPS + 1) ** 2
    maps = at + (channels * N * N + N * OUTPUTS * TOGETHER) * apart
    steps = np.arange(OUTPUTS) * apart
    patch = np.arange(b.size) * OUTPUTS**2 * apart
    between = points, maps, steps * OUTPUTS, steps, OUTPUTS**2 * apart
    convolve_parts(source, (w, k), b, epilogue, between, count, scratch)
    w, k, b = second
    outs, to, rows, columns, out_apart = out
    for u in range(OUTPUTS):
        for v in range(OUTPUTS):
            pixel = maps + (u * OUTPUTS + v) * apart
            place = outs, to + rows[u] + columns[v], out_apart
            convolve_row(points, pixel, patch, w[k:], b, epilogue, place, count)
