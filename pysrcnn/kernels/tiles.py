"""A layer of a batch with fewer multiplications, forward and back: Winograd's F(4 x 4, f x f).

On maps as `channels` lays them out, some tiles of the batch at a time: to the points,
[tile][point][channel]; at each point a product of matrices, whose register tile has tiles as rows
and filters as columns; and back to pixels. The gradient of the input is the same with the weights
turned; that of the weights is, at each point, the product of the points of the input and those of
dout, summed over all tiles:

    dg = G' [ (A' dy A) . (B d B') ] G

Tiles at the right and lower edge of a map may reach beyond it, into its room of zeros.

Axes: N samples, H x W pixels, C channels, O filters, L lanes, n = f + 3 points along a side, T
tiles.
"""

import math

import numpy as np
from numba import literally, prange

from . import channels, winograd
from .channels import clear, padded, position
from .compile import compiled, noinline
from .memory import aligned
from .rows import GATE, RELU, TANH, TANH_GATE, tanh_in_place
from .threads import count
from .tile import (
    tile_add,
    tile_correlate,
    tile_plus_vector,
    tile_relu,
    tile_store,
    tile_tanh_where,
    tile_where,
    tile_zero,
)
from .transforms import (
    BACK_TO_FILTERS,
    FILTERS,
    FROM_POINTS,
    SPREAD,
    TO_POINTS,
    tile_apply,
    tile_gather,
    tile_load_apart,
    tile_store_apart,
    tile_transform,
)
from .vectors import COLUMNS, ROWS, SHORT, TALL, VECTOR_BYTES, WIDE
from .winograd import AT_ONE, OUTPUTS

TILES = 24  # at a time, a multiple of SHORT and TALL: what they work in stays in the cache
MOST = 64  # filters at a time, likewise
SLICES = 4  # of a batch, whose gradients are summed apart: threads have no part in the order
PARTS = 4  # of a batch, for each of the threads that share them


@compiled(inner=True, allocates=False)
def _apply(which, taps, size, n, x, filters, out):
    """out (n, n, filters) = M x M' of squares x (size, size, filters), float64."""
    noinline()
    which, taps = literally(which), literally(taps)
    size, n = literally(size), literally(n)
    for o in range(0, filters, VECTOR_BYTES // x.itemsize):
        acc = tile_transform(tile_load_apart(x, o, filters, size, size), which, taps)
        tile_store_apart(acc, out, o, filters)


@compiled(parallel=True)
def _filters_to_points(threes, fives, w, turned, out):
    """G w G' of w (O, C, f, f), or of w turned, filters and channels exchanged; (n^2, C', O')."""
    points, channels, filters = out.shape
    f = w.shape[2]
    size = w.shape[1::-1] if turned else w.shape[:2]
    for c in prange(channels):
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
                _apply(FILTERS, 3, 3, 6, taps, filters, at_points)
            if fives is not None:
                _apply(FILTERS, 5, 5, 8, taps, filters, at_points)
        for p in range(points):
            for o in range(filters):
                out[p, c, o] = at_points[p, o]


@compiled(inner=True)
def _apart(x, size):
    """How far rows and columns of a tile lie from its first."""
    return np.arange(size) * (x.shape[2] * x.shape[3]), np.arange(size) * x.shape[3]


@compiled(inner=True)
def _place(x, border, tile, sides):
    """Flat position of a tile, counted over the batch, and its row and column in the map."""
    rows, columns = (sides[0] + OUTPUTS - 1) // OUTPUTS, (sides[1] + OUTPUTS - 1) // OUTPUTS
    sample, rest = tile // (rows * columns), tile % (rows * columns)
    i, j = rest // columns * OUTPUTS, rest % columns * OUTPUTS
    return position(x, sample, i + border, j + border), i, j


@compiled(inner=True)
def _to_points(which, taps, size, n, x, border, first, sides, out, tiles):
    """The points of some tiles, size x size pixels each: out (T, n^2 and one, C').

    border: where in x, from its edge, the first tile begins. sides: H, W of what tiles cover.
    """
    noinline()
    which, taps = literally(which), literally(taps)
    size, n = literally(size), literally(n)
    channels, lanes = x.shape[3], VECTOR_BYTES // x.itemsize
    down, across = _apart(x, size)
    half = np.empty(n * size * lanes, x.dtype)
    for t in range(tiles):
        at, _, _ = _place(x, border, first + t, sides)
        for c in range(0, channels, lanes):
            for v in range(size):
                acc = tile_apply(
                    tile_gather(x, at + c + across[v], down, across, size, 1), which, taps
                )
                tile_store_apart(acc, half, v * lanes, size * lanes)
            to = t * out.shape[1] * channels + c
            for i in range(n):
                acc = tile_apply(
                    tile_load_apart(half, i * size * lanes, lanes, size, 1), which, taps
                )
                tile_store_apart(acc, out, to + i * n * channels, channels)


@compiled(inner=True)
def _clear_beyond(out, at, filters, height, width):
    """Of a tile that begins at a position, zeros where there is no pixel."""
    _, _, columns, channels = out.shape
    flat = out.reshape(-1)
    for u in range(OUTPUTS):
        for v in range(OUTPUTS):
            if u >= height or v >= width:
                place = at + (u * columns + v) * channels
                flat[place : place + filters] = 0


@compiled(inner=True)
def _from_points(taps, n, m, o, filters, b, epilogue, out, border, first, sides, tiles):
    """Pixels from the points of some filters from o on; all else as for `_convolve`."""
    noinline()
    taps, n = literally(taps), literally(n)
    lanes = VECTOR_BYTES // out.itemsize
    down, across = _apart(out, OUTPUTS)
    half = np.empty(OUTPUTS * n * lanes, out.dtype)
    for t in range(tiles):
        at, i, j = _place(out, border, first + t, sides)
        for c in range(o, o + filters, lanes):
            points = t * n * n * filters + c - o
            for v in range(n):
                acc = tile_load_apart(m, points + v * filters, n * filters, n, 1)
                tile_store_apart(tile_apply(acc, FROM_POINTS, taps), half, v * lanes, n * lanes)
            for u in range(OUTPUTS):
                acc = tile_load_apart(half, u * n * lanes, lanes, n, 1)
                acc = tile_plus_vector(tile_apply(acc, FROM_POINTS, taps), b, c)
                place = at + c + down[u]
                if epilogue == RELU:
                    acc = tile_relu(acc)
                elif epilogue == GATE:
                    acc = tile_where(acc, tile_load_apart(out, place, across[1], OUTPUTS, 1))
                elif epilogue == TANH_GATE:
                    acc = tile_tanh_where(acc, tile_load_apart(out, place, across[1], OUTPUTS, 1))
                tile_store_apart(acc, out, place, across[1])
                if epilogue == TANH:
                    tanh_in_place(out, place, across[1], 0, OUTPUTS, 1)
        if i + OUTPUTS > sides[0] or j + OUTPUTS > sides[1]:
            _clear_beyond(out, at + o, filters, sides[0] - i, sides[1] - j)


@compiled(inner=True, allocates=False)
def _sums(height, width, v, w, filters, out, vectors, tiles):
    """At one point: out[t][o] = sum over c of v[t][c] w[c][o], for some vectors of filters."""
    height, width = literally(height), literally(width)
    points, at, stride = v
    weights, w_at, channels = w
    sums, to, out_stride = out
    lanes = VECTOR_BYTES // weights.itemsize
    for o in range(vectors[0] * lanes, vectors[1] * lanes, width * lanes):
        for t in range(0, tiles, height):
            acc = tile_zero(weights, height, width)
            start = at + t * stride
            weight = w_at + o
            for c in range(channels):
                acc = tile_correlate(acc, weights, weight, 1, points, start + c, stride)
                weight += filters
            tile_store(acc, sums, to + t * out_stride + o, out_stride, 1)


@compiled(inner=True, allocates=False)
def _products(v, w, first, some, out, tiles):
    """The sums over channels at each point, of some filters from `first` on."""
    noinline()
    points, channels, filters = w.shape
    vectors = some * w.itemsize // VECTOR_BYTES
    wide = vectors // WIDE * WIDE
    pairs = wide + (vectors - wide) // 2 * 2
    for p in range(points):
        x = v, p * channels, v.shape[1] * channels
        at = w, p * channels * filters + first, channels
        to = out, p * some, points * some
        _sums(SHORT, WIDE, x, at, filters, to, (0, wide), tiles)
        _sums(TALL, 2, x, at, filters, to, (wide, pairs), tiles)
        _sums(TALL, 1, x, at, filters, to, (pairs, vectors), tiles)


@compiled(inner=True)
def _count(x, sides):
    """How many tiles there are in a batch."""
    return len(x) * ((sides[0] + OUTPUTS - 1) // OUTPUTS) * ((sides[1] + OUTPUTS - 1) // OUTPUTS)


@compiled(inner=True)
def _convolve_part(threes, fives, x, x_border, w, b, epilogue, out, border, sides, tiles):
    """`_convolve` for some tiles, (first, end)."""
    noinline()
    points, channels, filters = w.shape
    most = min(MOST, filters)
    # One point more, as tiles a power of two apart would share too few lines of the cache.
    v = np.zeros((TILES, points + 1, channels), x.dtype)
    m = np.empty(TILES * points * most, x.dtype)
    for first in range(tiles[0], tiles[1], TILES):
        some = min(TILES, tiles[1] - first)
        if threes is not None:
            _to_points(TO_POINTS, 3, 6, 6, x, x_border, first, sides, v, some)
        if fives is not None:
            _to_points(TO_POINTS, 5, 8, 8, x, x_border, first, sides, v, some)
        for o in range(0, filters, most):
            here = min(most, filters - o)
            _products(v, w, o, here, m, some)
            if threes is not None:
                _from_points(3, 6, m, o, here, b, epilogue, out, border, first, sides, some)
            if fives is not None:
                _from_points(5, 8, m, o, here, b, epilogue, out, border, first, sides, some)


@compiled(parallel=True)
def _convolve(threes, fives, x, x_border, w, b, epilogue, out, border, sides, parts):
    """w * x + b into the pixels of `out`, sides: their H, W, after what `epilogue` says.

    threes, fives: True for the size of filters that w has, None for the other, of which nothing is
    compiled then.
    x_border: where in x, from its edge, the first patch begins. w (n^2, C', O') at the points,
    b (O',). In so many parts, which no sum depends on.
    """
    count = _count(x, sides)
    blocks = (count + TILES - 1) // TILES
    for part in prange(parts):
        tiles = part * blocks // parts * TILES, min((part + 1) * blocks // parts * TILES, count)
        _convolve_part(threes, fives, x, x_border, w, b, epilogue, out, border, sides, tiles)


@compiled(inner=True, allocates=False)
def _outer(width, x, d, tiles, sums, channels, vectors):
    """sums[c][o] += sum over tiles of x[t][c] d[t][o] at one point, for some vectors of filters."""
    width = literally(width)
    xs, x_at, x_stride = x
    ds, d_at, d_stride = d
    out, to, out_stride = sums
    lanes = VECTOR_BYTES // out.itemsize
    for o in range(vectors[0] * lanes, vectors[1] * lanes, width * lanes):
        for c in range(0, channels, ROWS):
            acc = tile_zero(xs, ROWS, width)
            at, d_place = x_at + c, d_at + o
            for _ in range(tiles):
                acc = tile_correlate(acc, ds, d_place, 1, xs, at, 1)
                at += x_stride
                d_place += d_stride
            tile_add(acc, out, to + c * out_stride + o, out_stride)


@compiled(inner=True, allocates=False)
def _products_of_gradients(x, d, tiles, sums):
    """sums (n^2, C', O') += x' d at each point, of x (T, n^2 and one, C') and d likewise."""
    noinline()
    points, channels, filters = sums.shape
    vectors = filters * sums.itemsize // VECTOR_BYTES
    # Four as two pairs: a tile one vector wide fetches too much for what it does.
    threes = max(vectors // COLUMNS - (vectors % COLUMNS) % 2, 0) * COLUMNS
    twos = threes + (vectors - threes) // 2 * 2
    for p in range(points):
        xs = x, p * channels, x.shape[1] * channels
        ds = d, p * filters, d.shape[1] * filters
        to = sums, p * channels * filters, filters
        _outer(COLUMNS, xs, ds, tiles, to, channels, (0, threes))
        _outer(2, xs, ds, tiles, to, channels, (threes, twos))
        _outer(1, xs, ds, tiles, to, channels, (twos, vectors))


@compiled(inner=True)
def _gradients_part(threes, fives, dout, border, x, x_border, sides, sums, biases, part, parts):
    """`_gradients` of one part of the tiles, of so many."""
    noinline()
    points, channels, filters = sums.shape
    at_one = AT_ONE * (6 if points == 36 else 8) + AT_ONE  # where a point is the sum of a tile
    count = _count(x, sides)
    xs = np.empty((TILES, points + 1, channels), x.dtype)
    ds = np.empty((TILES, points + 1, filters), x.dtype)
    for first in range(part * TILES, count, parts * TILES):
        some = min(TILES, count - first)
        if threes is not None:
            _to_points(TO_POINTS, 3, 6, 6, x, x_border, first, sides, xs, some)
            _to_points(SPREAD, 3, 4, 6, dout, border, first, sides, ds, some)
        if fives is not None:
            _to_points(TO_POINTS, 5, 8, 8, x, x_border, first, sides, xs, some)
            _to_points(SPREAD, 5, 4, 8, dout, border, first, sides, ds, some)
        for t in range(some):
            for o in range(filters):
                biases[o] += ds[t, at_one, o]
        _products_of_gradients(xs, ds, some, sums)


@compiled(parallel=True)
def _gradients(threes, fives, dout, border, x, x_border, sides, fresh, sums, biases):
    """Add to the gradients of weights at the points, (slices, n^2, C', O'), and of biases.

    sides: H, W of dout without its border. fresh: whether the sums begin here.
    """
    slices = len(sums)
    for part in prange(slices):
        to, bias = sums[part], biases[part]
        clear(fresh, to.reshape(-1))
        clear(fresh, bias)
        _gradients_part(
            threes, fives, dout, border, x, x_border, sides, to, bias, np.int64(part), slices
        )


@compiled(parallel=True)
def _filters_from_points(threes, fives, sums, dw):
    """dw (O, C, f, f) = G' s G of the sum s of all slices (slices, n^2, C', O')."""
    slices, points, _, filters = sums.shape
    f = dw.shape[2]
    for c in prange(dw.shape[1]):
        total, taps = np.zeros((points, filters)), np.empty((f * f, filters))
        for part in range(slices):
            for p in range(points):
                for o in range(filters):
                    total[p, o] += sums[part, p, c, o]
        if threes is not None:
            _apply(BACK_TO_FILTERS, 3, 6, 3, total, filters, taps)
        if fives is not None:
            _apply(BACK_TO_FILTERS, 5, 8, 5, total, filters, taps)
        for o in range(len(dw)):
            for u in range(f):
                for v in range(f):
                    dw[o, c, u, v] = taps[u * f + v, o]


def pays(w, sides):
    """Whether it does for a layer of weights w (O, C, f, f) whose result has these sides, H, W.

    By `winograd.taps`, where tiles do not reach far beyond the result.
    """
    tiles = math.prod(-(-side // OUTPUTS) for side in sides)
    return winograd.taps(w) == w.shape[2] and tiles * OUTPUTS**2 <= 2 * math.prod(sides)


class Layer(channels.Layer):
    """See `channels.Layer`; filters of 3 x 3 or 5 x 5, float32."""

    def __init__(self, w, b, channels, filters):
        self.w, self.channels, self.filters = w, channels, filters
        self.kind = tuple(True if w.shape[2] == f else None for f in winograd.TAPS)
        self.bias, self.fresh = padded(b, filters), True
        points = (w.shape[2] + OUTPUTS - 1) ** 2
        self.at_points = aligned((points, channels, filters), w.dtype)
        self.turned = aligned((points, filters, channels), w.dtype)
        _filters_to_points(*self.kind, w, False, self.at_points)
        _filters_to_points(*self.kind, w, True, self.turned)
        self.sums = aligned((SLICES, points, channels, filters), w.dtype)
        self.biases = np.empty((SLICES, filters), w.dtype)

    def forward(self, x, epilogue, out):
        """See `channels.Layer`."""
        to = out.data, out.border, out.sides, PARTS * count()
        _convolve(*self.kind, x.data, x.border, self.at_points, self.bias, epilogue, *to)

    def backward(self, dout, x):
        """See `channels.Layer`."""
        given = dout.data, dout.border, x.data, x.border, dout.sides
        _gradients(*self.kind, *given, self.fresh, self.sums, self.biases)
        self.fresh = False

    def backward_of_input(self, dout, epilogue, dx):
        """See `channels.Layer`."""
        zero, start = np.zeros(self.channels, self.w.dtype), dout.border - self.w.shape[2] + 1
        to = dx.data, dx.border, dx.sides, PARTS * count()
        _convolve(*self.kind, dout.data, start, self.turned, zero, epilogue, *to)

    def gradients(self):
        """See `channels.Layer`."""
        dw = np.empty(self.w.shape)
        _filters_from_points(*self.kind, self.sums, dw)
        return dw, self.biases.sum(axis=0, dtype=np.float64)[: len(dw)]
