"""A layer by Winograd's transforms, one block of tiles at a time.

A block is some vectors of adjacent tiles in a row of a picture. Pixel 4 t + p of a row lies at
[p][t], so the lanes of a vector are neighbouring tiles, and the pixels of a tile lie at fixed
offsets, `rows` and `columns`. A block is transformed to its points, n^2 per tile; the register tile
of `tile` sums over channels at each point; and the sums are transformed back to pixels.

Axes: C channels, O filters, n points along a side, L lanes.
"""

from numba import literally

from .compile import compiled, noinline
from .rows import RELU, TANH, tanh_in_place
from .tile import tile_correlate, tile_fetch, tile_plus_number, tile_relu, tile_store, tile_zero
from .transforms import (
    FROM_POINTS,
    TO_POINTS,
    tile_apply,
    tile_gather,
    tile_load_apart,
    tile_scatter,
    tile_store_apart,
)
from .vectors import COLUMNS, ROWS, VECTOR_BYTES
from .winograd import OUTPUTS

BLOCK = COLUMNS  # vectors of tiles in a block
TOGETHER = 4 * ROWS  # filters whose points are computed before they are transformed back


@compiled(inner=True)
def block_of(rest):
    """How many of the `rest` vectors of a row the next block takes; a block of one wastes half."""
    return 2 if rest in (2, 4) else min(BLOCK, rest)


def scratch_of(channels, filters, n):
    """Number of scratch vectors of a block: points of its input, and of some filters' sums."""
    return n * n * BLOCK * (channels + min(TOGETHER, -(-filters // ROWS) * ROWS))


@compiled(inner=True, allocates=False)
def to_points(taps, n, source, count, points, at, apart):
    """Compute B d B' of `count` vectors of tiles d of each channel.

    source: see `convolve_block`. A filter of t parts x t parts taps (see `parts`) needs one tile
    per part: columns.size is n + t (parts - 1), with parts = 1 for whole filters. Part (u, v) of
    channel c is channel k = (c parts + u) parts + v here, and begins t u rows and t v columns
    further on. Point p of vector i of channel k goes to points[at + (k n^2 + p) apart + i L].
    """
    noinline()
    taps, n = literally(taps), literally(n)
    x, start, rows, columns, channels, x_apart = source
    lanes, parts = VECTOR_BYTES // x.itemsize, (columns.size - n) // taps + 1
    for k in range(channels * parts**2):
        first, down = start + k // parts**2 * x_apart, rows[k // parts % parts * taps :]
        across = columns[k % parts * taps :]
        for i in range(count):
            to, pixel = at + i * lanes, first + i * lanes - across[0]
            # Columns first, then rows, in place: registers cannot hold a whole tile.
            for v in range(n):
                acc = tile_gather(x, pixel + across[v], down, across, n, 1)
                tile_store_apart(
                    tile_apply(acc, TO_POINTS, taps), points, to + v * apart, n * apart
                )
            for u in range(n):
                acc = tile_load_apart(points, to + u * n * apart, apart, n, 1)
                acc = tile_apply(acc, TO_POINTS, taps)
                tile_store_apart(acc, points, to + u * n * apart, apart)
        at += n * n * apart


@compiled(inner=True, allocates=False)
def _from_points(taps, n, points, at, apart, b, epilogue, out, count):
    """Compute epilogue(A m A' + b) of the points m of `count` vectors of tiles.

    points: m, laid out as by `to_points`; overwritten. b: one bias per filter. out: see
    `convolve_block`.
    """
    noinline()
    taps, n = literally(taps), literally(n)
    outs, start, rows, columns, out_apart = out
    lanes, step = apart // BLOCK, columns[1] - columns[0]
    for o in range(b.size):
        for i in range(count):
            to, own = start + o * out_apart + i * lanes, at + i * lanes
            for v in range(n):
                acc = tile_load_apart(points, own + v * apart, n * apart, n, 1)
                acc = tile_apply(acc, FROM_POINTS, taps)
                tile_store_apart(acc, points, own + v * apart, n * apart)
            for u in range(OUTPUTS):
                acc = tile_load_apart(points, own + u * n * apart, apart, n, 1)
                acc = tile_plus_number(tile_apply(acc, FROM_POINTS, taps), b, o)
                if epilogue == RELU:
                    acc = tile_relu(acc)
                tile_scatter(acc, outs, to + rows[u] - rows[0], columns, rows)
                tile_fetch(acc, outs, to + out_apart + rows[u] + columns[0], step)
            if epilogue == TANH:
                for u in range(OUTPUTS):
                    for v in range(OUTPUTS):
                        tanh_in_place(outs, to + rows[u] + columns[v], 0, 0, 1, 1)
        at += n * n * apart


@compiled(inner=True, allocates=False, inlined=True)
def _sums(rows, columns, points, at, channels, sums, size, w, weight):
    """Sum over channels at one point, for a group of `rows` filters and `columns` vectors."""
    acc = tile_zero(points, rows, columns)
    for c in range(channels):
        acc = tile_correlate(acc, points, at + c * size, 1, w, weight + c * ROWS, 1)
    tile_store(acc, points, sums, size, 1)


@compiled(inner=True, allocates=False)
def _products(columns, points, at, channels, sums, apart, size, w, filters):
    """Sum over channels at every point, for `columns` vectors.

    filters: (first, end, total), all but `end` multiples of ROWS. `rows.tiles` does the same, but
    calling it for each point would take as long as its sums.
    """
    noinline()
    columns = literally(columns)
    weights, w_at = w
    first, end, every = filters
    for p in range(size // apart):
        for o in range(first, end, ROWS):
            weight = w_at + (p * every + o) * channels
            x, to = at + p * apart, sums + (o - first) * size + p * apart
            if o + 1 == end:
                _sums(1, columns, points, x, channels, to, size, weights, weight)
            else:
                _sums(ROWS, columns, points, x, channels, to, size, weights, weight)


@compiled(inner=True, allocates=False)
def convolve_block(taps, n, source, w, b, epilogue, out, count, scratch):
    """Compute 4 x 4 outputs of every filter for `count` vectors of tiles, at most BLOCK.

    source: (array, position, rows, columns, channels, distance between channels); vector i of pixel
    (u, v) of the tiles of channel c lies at
    array[position + c distance + rows[u] + columns[v] + i L].
    w: (array, position) of the weights by `winograd.filters_at_points`. b: biases (O,).
    epilogue: LINEAR, RELU or TANH. out: (array, position, rows, columns, distance between filters).
    scratch: (array, position, L); see `scratch_of`.
    """
    taps, n = literally(taps), literally(n)
    channels = source[4]
    outs, to, rows, columns, out_apart = out
    points, at, lanes = scratch
    apart = BLOCK * lanes  # between points
    size = n * n * apart  # between channels, or between filters
    to_points(taps, n, source, count, points, at, apart)
    sums = at + channels * size
    for first in range(0, b.size, TOGETHER):
        end = min(first + TOGETHER, b.size)
        group = first, end, (b.size + ROWS - 1) // ROWS * ROWS
        if count == BLOCK:
            _products(BLOCK, points, at, channels, sums, apart, size, w, group)
        else:
            _products(2, points, at, channels, sums, apart, size, w, group)
        place = outs, to + first * out_apart, rows, columns, out_apart
        _from_points(taps, n, points, sums, apart, b[first:end], epilogue, place, count)
