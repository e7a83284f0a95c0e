"""Winograd's steps where lanes are channels, some tiles at a time: for `same` and `tiles`.

A map is (N, H', W', C'), see `channels` and `maps`. Its tiles of 4 x 4 pixels are counted over the
whole batch. They are transformed to their points; at each point a matrix product follows, whose
register tile has tiles as rows and filters as columns; and the result is transformed back to
pixels. The gradient of the weights is, at each point, the product of the points of the maps and
those of dout, summed over all tiles:

    dg = G' [ (A' dy A) . (B d B') ] G

Points are (T, groups, n^2 or more, channels of a group), see `room`; filters are in one group.

Axes: N samples, H x W pixels, C channels, O filters, L lanes, n points along a side, T tiles.
"""

import numpy as np
from numba import literally

from .compile import compiled, noinline
from .rows import GATE, RELU, TANH, TANH_GATE, shares, tanh_in_place
from .tile import (
    tile_add,
    tile_correlate,
    tile_fetch,
    tile_plus,
    tile_plus_vector,
    tile_relu,
    tile_store,
    tile_tanh_where,
    tile_where,
    tile_zero,
)
from .transforms import FROM_POINTS, tile_apply, tile_gather, tile_load_apart, tile_store_apart
from .vectors import COLUMNS, REST, ROWS, SHORT, TALL, VECTOR_BYTES, WIDE
from .winograd import OUTPUTS

TILES = 24  # tiles at a time, a multiple of SHORT and TALL: their memory fits the second cache
MOST = 64  # filters at a time, for the same reason
LANES = VECTOR_BYTES // 4  # of float32: float64 takes direct sums
# Where a vector is a cache line, 64 bytes, the points of a vector of channels are contiguous:
# scattered, they take 1.5 times as long to write. Narrower vectors gain nothing by it.
GROUPED = VECTOR_BYTES == 64
# Typed, because Numba compiles a function again for a plain constant.
NO, SIDE = np.bool_(False), np.int64(OUTPUTS)


@compiled(inner=True)
def room(points, channels):
    """Return memory for the points of T tiles whose channels are to be summed over."""
    size = LANES if GROUPED else channels
    return np.zeros((TILES, channels // size, points, size), np.float32)


@compiled(inner=True)
def tiles_of(sides):
    """Return the rows and columns of tiles of a picture of H x W pixels."""
    return (sides[0] + OUTPUTS - 1) // OUTPUTS, (sides[1] + OUTPUTS - 1) // OUTPUTS


@compiled(inner=True)
def count_of(x, sides):
    """Return the number of tiles in a batch."""
    rows, columns = tiles_of(sides)
    return x.shape[0] * rows * columns


@compiled(inner=True, allocates=False)
def place(x, border, tile, sides):
    """Return the flat position of a tile, and row and column of its first pixel in the picture.

    border: distance of the first tile from the edge of x. tile: counted over the batch.
    """
    _, height, width, channels = x.shape
    rows, columns = tiles_of(sides)
    sample, rest = tile // (rows * columns), tile % (rows * columns)
    i, j = rest // columns * OUTPUTS, rest % columns * OUTPUTS
    return ((sample * height + i + border) * width + j + border) * channels, i, j


@compiled(inner=True)
def apart(x, size):
    """Return the offsets of `size` rows and columns of a tile from its first pixel."""
    noinline()
    down, across = np.empty(size, np.int64), np.empty(size, np.int64)
    for k in range(size):
        across[k] = k * x.shape[3]
        down[k] = across[k] * x.shape[2]
    return down, across


@compiled(inner=True, allocates=False)
def clear_beyond(out, at, some, i, j, sides):
    """Zero `some` channels of the pixels of the tile at i, j that lie beyond the picture."""
    noinline()
    _, _, columns, channels = out.shape
    for u in range(OUTPUTS):
        for v in range(OUTPUTS):
            if i + u >= sides[0] or j + v >= sides[1]:
                for c in range(0, some, LANES):
                    pixel = at + (u * columns + v) * channels + c
                    tile_store(tile_zero(out, 1, 1), out, pixel, 0, 1)


@compiled(inner=True)
def to_points(which, taps, size, n, x, border, gate, gated, sides, out, tiles):
    """Compute the points of size x size tiles: out (T, groups, n^2, channels of a group).

    border: see `place`. gate, gated: a map like x, and whether pixels count only where it is
    positive. sides: H, W of what the tiles cover. tiles: the first, and how many.
    """
    noinline()
    which, taps = literally(which), literally(taps)
    size, n = literally(size), literally(n)
    _, groups, points, group = out.shape
    step = points if group == LANES else 1  # between channels
    down, across = apart(x, np.int64(size))
    for t in range(tiles[1]):
        at, _, _ = place(x, border, tiles[0] + t, sides)
        next_at, _, _ = place(x, border, tiles[0] + t + 2, sides)  # t + 1 would come too late
        for c in range(0, x.shape[3], LANES):
            to = t * groups * points * group + c * step
            # Columns first, then rows, in place: registers cannot hold a whole tile.
            for v in range(size):
                acc = tile_gather(x, at + c + across[v], down, across, size, 1)
                if v >= size - OUTPUTS:  # the columns that the tile before it does not have
                    tile_fetch(acc, x, next_at + c + across[v], down[1])
                if gated:
                    given = tile_gather(gate, at + c + across[v], down, across, size, 1)
                    acc = tile_where(acc, given)
                acc = tile_apply(acc, which, taps)
                tile_store_apart(acc, out, to + v * group, n * group)
            for u in range(n):
                acc = tile_load_apart(out, to + u * n * group, group, size, 1)
                tile_store_apart(tile_apply(acc, which, taps), out, to + u * n * group, group)


@compiled(inner=True, allocates=False, inlined=True)
def _sums(height, width, v, w, channels, filters, out, vectors, tiles):
    """Compute out[t][o] = sum over c of v[t][c] w[c][o] at one point, for some vectors of filters.

    v: (array, position, distance between tiles, channels of a group, distance between groups).
    """
    points, at, stride, group, groups_apart = v
    weights, w_at = w
    sums, to, out_stride = out
    for o in range(vectors[0] * LANES, vectors[1] * LANES, width * LANES):
        for t in range(0, tiles, height):
            acc = tile_zero(weights, height, width)
            start, weight = at + t * stride, w_at + o
            for c in range(0, channels, group):
                for k in range(min(group, channels - c)):
                    acc = tile_correlate(acc, weights, weight, 1, points, start + k, stride)
                    weight += filters
                start += groups_apart
            tile_store(acc, sums, to + t * out_stride + o, out_stride, 1)


@compiled(inner=True, allocates=False)
def products(v, w, first, some, out, tiles):
    """Compute out (T, n^2, some) = v w (n^2, C, O') at each point, for filters from `first` on."""
    noinline()
    points, channels, filters = w.shape
    _, groups, each, group = v.shape
    vectors = some // LANES
    wide, pairs = shares(vectors, WIDE)
    for p in range(points):
        x = v, p * group, groups * each * group, group, each * group
        at = w, p * channels * filters + first
        to = out, p * some, points * some
        _sums(SHORT, WIDE, x, at, channels, filters, to, (0, wide), tiles)
        _sums(TALL, 2, x, at, channels, filters, to, (wide, pairs), tiles)
        _sums(TALL, 1, x, at, channels, filters, to, (pairs, vectors), tiles)


@compiled(inner=True)
def from_points(taps, n, m, o, some, b, more, epilogue, out, border, sides, tiles):
    """Compute pixels of out from the points m (T, n^2, some) of filters from o on, plus b (O',).

    more: a map like out, and whether to add it before the epilogue, see `rows`. The other arguments
    are as for `to_points`. Pixels beyond the picture are set to zero again.
    """
    noinline()
    taps, n = literally(taps), literally(n)
    down, across = apart(out, SIDE)
    step, (summand, added) = across[1], more
    for t in range(tiles[1]):
        at, i, j = place(out, border, tiles[0] + t, sides)
        next_at, _, _ = place(out, border, tiles[0] + t + 1, sides)
        for c in range(o, o + some, LANES):
            own = t * n * n * some + c - o
            for v in range(n):
                acc = tile_load_apart(m, own + v * some, n * some, n, 1)
                tile_store_apart(tile_apply(acc, FROM_POINTS, taps), m, own + v * some, n * some)
            for u in range(OUTPUTS):
                acc = tile_load_apart(m, own + u * n * some, some, n, 1)
                acc = tile_plus_vector(tile_apply(acc, FROM_POINTS, taps), b, c)
                to = at + c + down[u]
                if added:
                    acc = tile_plus(acc, tile_load_apart(summand, to, step, OUTPUTS, 1))
                if epilogue == RELU:
                    acc = tile_relu(acc)
                elif epilogue == GATE:
                    acc = tile_where(acc, tile_load_apart(out, to, step, OUTPUTS, 1))
                elif epilogue == TANH_GATE:
                    acc = tile_tanh_where(acc, tile_load_apart(out, to, step, OUTPUTS, 1))
                tile_store_apart(acc, out, to, step)
                if epilogue == TANH:
                    tanh_in_place(out, to, step, 0, np.int64(OUTPUTS), np.int64(1))
                tile_fetch(acc, out, next_at + c + down[u], step)
        if i + OUTPUTS > sides[0] or j + OUTPUTS > sides[1]:
            clear_beyond(out, at + o, some, i, j, sides)


@compiled(inner=True, allocates=False, inlined=True)
def _outer(height, width, x, d, tiles, sums, channels, vectors):
    """Add the sum over tiles of x[t][c] d[t][o] to sums[c][o], at one point, for some filters.

    x: like v of `_sums`. d: (array, position, distance between tiles).
    """
    xs, x_at, x_stride, group, groups_apart = x
    ds, d_at, d_stride = d
    out, to, out_stride = sums
    for o in range(vectors[0] * LANES, vectors[1] * LANES, width * LANES):
        start = x_at
        for c in range(0, channels, group):
            for k in range(0, min(group, channels - c), height):
                acc = tile_zero(xs, height, width)
                tile_fetch(acc, out, to + (c + k) * out_stride + o, out_stride)
                at, d_place = start + k, d_at + o
                for _ in range(tiles):
                    acc = tile_correlate(acc, ds, d_place, 1, xs, at, 1)
                    at += x_stride
                    d_place += d_stride
                tile_add(acc, out, to + (c + k) * out_stride + o, out_stride)
            start += groups_apart


@compiled(inner=True, allocates=False)
def products_of_gradients(x, d, tiles, sums):
    """Add x' d at each point of some tiles to sums (n^2, C', O'), C' a multiple of ROWS or REST."""
    noinline()
    points, channels, filters = sums.shape
    _, groups, each, group = x.shape
    vectors = filters // LANES
    rest = channels % ROWS
    many, twos = shares(vectors, WIDE if rest else COLUMNS)
    for p in range(points):
        xs = x, p * group, groups * each * group, group, each * group
        ds = d, p * filters, d.shape[2] * filters
        to = sums, p * channels * filters, filters
        if rest:
            _outer(REST, WIDE, xs, ds, tiles, to, channels, (0, many))
            _outer(REST, 2, xs, ds, tiles, to, channels, (many, twos))
            _outer(REST, 1, xs, ds, tiles, to, channels, (twos, vectors))
        else:
            _outer(ROWS, COLUMNS, xs, ds, tiles, to, channels, (0, many))
            _outer(ROWS, 2, xs, ds, tiles, to, channels, (many, twos))
            _outer(ROWS, 1, xs, ds, tiles, to, channels, (twos, vectors))
