"""The convolution that deep networks are made of: 3 x 3, as large as its input, by Winograd.

F(4 x 4, 3 x 3) of `winograd`, on maps as `maps` lays them out, T tiles at a time as they follow
each other in the batch: to the points; at each point a product of matrices, whose register tile has
tiles as rows and filters as columns; and back to pixels. The gradient of the input is the same with
the weights turned; that of the weights is, at each point, the product of the points of the maps and
those of dout, summed over all tiles:

    dg = G' [ (A' dy A) . (B d B') ] G

Axes: N samples, C channels, O filters, H x W pixels, L lanes, n = 6 points along a side, T tiles.
"""

import numpy as np
from numba import get_thread_id, literally, prange

from . import few, operations, shuffle
from .compile import compiled, noinline
from .maps import (
    BORDER,
    CHANNELS,
    LANES,
    Maps,
    apart,
    enter,
    multiple,
    place,
    through_arrays,
    tiles_of,
)
from .memory import Memory, aligned
from .threads import count
from .tile import (
    tile_add,
    tile_correlate,
    tile_plus,
    tile_plus_vector,
    tile_relu,
    tile_store,
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
    tile_scatter,
    tile_store_apart,
    tile_transform,
)
from .vectors import COLUMNS, REGISTERS, ROWS, VECTOR_BYTES
from .winograd import AT_ONE, OUTPUTS

__all__ = [
    "conv2d",
    "conv2d_backward",
    "conv2d_same",
    "conv2d_same_backward",
    "conv_relu",
    "conv_relu_backward",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "relu",
    "relu_backward",
    "repeat",
    "repeat_backward",
    "tanh",
    "tanh_backward",
]

TAPS, N = 3, 6
POINTS = N * N
SUM = AT_ONE * N + AT_ONE  # the point that is the sum of the pixels of a tile
# Where a vector is a line of the cache, 64 bytes, the points of a vector of channels lie in a row:
# strewn about, they take half as long again to write. Narrower vectors gain nothing by it.
GROUPED = VECTOR_BYTES == 64
TILES = 24  # at a time: what they work in stays in the second cache
MOST_FILTERS = 64  # at a time, likewise
PARTS = 4  # of a batch, for each of the threads that share them
SLICES = 8  # of a batch, whose gradients are summed apart, in an order that threads have no part in


@compiled(inner=True, allocates=False)
def _filters_transformed(which, size, given, out):
    """out (n^2, K) = M given M' of squares (m^2, K), K at a time: G w G', or G' s G."""
    noinline()
    which, size = literally(which), literally(size)
    count, lanes = given.shape[1], VECTOR_BYTES // 8  # of float64
    for k in range(0, count, lanes):
        acc = tile_load_apart(given, k, count, size, size)
        tile_store_apart(tile_transform(acc, which, TAPS), out, k, count)


@compiled(parallel=True)
def _filters_to_points(w, turned, out):
    """G w G' of w (O, C, 3, 3), or of w turned, filters and channels exchanged; (n^2, C, O')."""
    filters, size = (w.shape[1] if turned else w.shape[0]), out.shape[2]
    flat, stride = w.reshape(-1), (1 if turned else w.shape[1]) * TAPS**2
    for c in prange(out.shape[1]):
        taps, points = np.zeros((TAPS**2, size)), np.empty((POINTS, size))
        first = c * TAPS**2 * (filters if turned else 1)
        for k in range(TAPS**2):
            tap = first + (TAPS**2 - 1 - k if turned else k)
            for o in range(filters):
                taps[k, o] = flat[tap + o * stride]
        _filters_transformed(FILTERS, TAPS, taps, points)
        for p in range(POINTS):
            for o in range(size):
                out[p, c, o] = points[p, o]


@compiled(inner=True)
def _tiles_to_points(which, size, around, x, gate, gated, first, count, sides, out):
    """The points of some tiles, size x size pixels each: out (T, groups, n^2, channels of a group).

    gate, gated: maps like x, and whether pixels count only where those are positive.
    """
    noinline()
    which, size = literally(which), literally(size)
    channels, group = x.shape[3], out.shape[3]
    step = POINTS if group == LANES else 1
    rows, columns = tiles_of(sides)
    down, across = apart(x, size)
    for t in range(count):
        at, _, _ = place(x, first + t, rows, columns, around)
        for c in range(0, channels, LANES):
            to = t * out[0].size + c * step
            # A column, then a row at a time, in place: registers cannot hold a whole tile.
            for v in range(size):
                acc = tile_gather(x, at + c + across[v], down, across, size, 1)
                if gated:
                    given = tile_gather(gate, at + c + across[v], down, across, size, 1)
                    acc = tile_where(acc, given)
                acc = tile_apply(acc, which, TAPS)
                tile_store_apart(acc, out, to + v * group, N * group)
            for u in range(N):
                acc = tile_load_apart(out, to + u * N * group, group, size, 1)
                tile_store_apart(tile_apply(acc, which, TAPS), out, to + u * N * group, group)


@compiled(inner=True, allocates=False)
def _sums(height, width, v, terms, w, w_at, filters, out, vectors, tiles):
    """At one point: out[t][o] = sum over c of v[t][c] w[c][o], for some vectors of filters."""
    height, width = literally(height), literally(width)
    points, at, stride = v
    sums, to, out_stride = out
    for o in range(vectors[0] * LANES, vectors[1] * LANES, width * LANES):
        for t in range(0, tiles, height):
            acc = tile_zero(w, height, width)
            start, weight = at + t * stride, w_at + o
            if GROUPED:
                for group in range(0, terms, LANES):
                    for c in range(min(LANES, terms - group)):
                        acc = tile_correlate(acc, w, weight, 1, points, start + c, stride)
                        weight += filters
                    start += LANES * POINTS
            else:
                for c in range(terms):
                    weight = w_at + c * filters + o
                    acc = tile_correlate(acc, w, weight, 1, points, start + c, stride)
            tile_store(acc, sums, to + t * out_stride + o, out_stride, 1)


@compiled(inner=True, allocates=False)
def _products(v, w, first, some, out):
    """The sums over channels at each point, of some filters from `first` on."""
    noinline()
    tiles, size = len(v), v.shape[3]
    _, terms, filters = w.shape
    vectors = some // LANES
    # The widest tile whose sums stay in registers, then narrower ones.
    fours = vectors // 4 * 4 if REGISTERS == 32 else 0
    threes = fours + (vectors - fours) // 3 * 3
    twos = threes + (vectors - threes) // 2 * 2
    for p in range(POINTS):
        x, to = (v, p * size, v[0].size), (out, p * some, POINTS * some)
        at = p * terms * filters + first
        if REGISTERS == 32:
            _sums(6, 4, x, terms, w, at, filters, to, (0, fours), tiles)
            _sums(8, 3, x, terms, w, at, filters, to, (fours, threes), tiles)
            _sums(12, 2, x, terms, w, at, filters, to, (threes, twos), tiles)
            _sums(12, 1, x, terms, w, at, filters, to, (twos, vectors), tiles)
        else:
            _sums(4, 3, x, terms, w, at, filters, to, (fours, threes), tiles)
            _sums(6, 2, x, terms, w, at, filters, to, (threes, twos), tiles)
            _sums(6, 1, x, terms, w, at, filters, to, (twos, vectors), tiles)


@compiled(inner=True)
def _points_to_tiles(m, o, some, b, summand, added, rectified, out, first, count, sides):
    """Pixels from the points of some filters from o on, with what `_convolve` does to them."""
    noinline()
    rows, columns = tiles_of(sides)
    down, across = apart(out, OUTPUTS)
    for t in range(count):
        at, i, j = place(out, first + t, rows, columns, 0)
        for c in range(o, o + some, LANES):
            own = t * POINTS * some + c - o
            for v in range(N):
                acc = tile_load_apart(m, own + v * some, N * some, N, 1)
                tile_store_apart(tile_apply(acc, FROM_POINTS, TAPS), m, own + v * some, N * some)
            for u in range(OUTPUTS):
                acc = tile_load_apart(m, own + u * N * some, some, N, 1)
                acc = tile_plus_vector(tile_apply(acc, FROM_POINTS, TAPS), b, c)
                to = at + c + down[u]
                if added:
                    acc = tile_plus(acc, tile_gather(summand, to, across, across, OUTPUTS, 1))
                if rectified:
                    acc = tile_relu(acc)
                tile_scatter(acc, out, to, across, across)
        few.clear_around(out, at + o, some, i, j, sides)


@compiled(parallel=True)
def _convolve(form, x, gate, gated, w, b, summand, added, rectified, out, sides, vs, ms):
    """w * x + b into out; sides: H, W. vs, ms: see `_room`.

    form: of those of `few`, to which w belongs: (n^2, C, O') at the points, or see `few.taps`.

    gate, gated: see `_tiles_to_points`. summand, added: maps like out, and whether they are added;
    rectified: whether ReLU follows.
    """
    rows, columns = tiles_of(sides)
    count = x.shape[0] * rows * columns
    blocks = (count + TILES - 1) // TILES
    parts, most = PARTS * len(vs), ms.shape[4]
    for part in prange(parts):
        v, m = vs[get_thread_id()], ms[get_thread_id()]
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            first = block * TILES
            some = min(TILES, count - first)
            if form == few.FROM_FEW:
                few.from_few(x, w, b, summand, added, rectified, out, first, some, sides)
                continue
            if form == few.TO_FEW:
                few.to_few(
                    x, gate, gated, w, b, summand, added, rectified, out, first, some, sides, m
                )
                continue
            _tiles_to_points(TO_POINTS, N, BORDER, x, gate, gated, first, some, sides, v)
            v[some:] = 0
            for o in range(0, w.shape[2], most):
                here = min(most, w.shape[2] - o)
                _products(v, w, o, here, m)
                _points_to_tiles(m, o, here, b, summand, added, rectified, out, first, some, sides)


@compiled(inner=True, allocates=False)
def _outer(width, x, d, tiles, sums, channels, vectors):
    """sums[c][o] += sum over tiles of x[t][c] d[t][o] at one point, for some vectors of filters."""
    width = literally(width)
    xs, x_at, x_stride = x
    ds, d_at, d_stride = d
    out, to, out_stride = sums
    for o in range(vectors[0] * LANES, vectors[1] * LANES, width * LANES):
        for c in range(0, channels, ROWS):
            acc = tile_zero(xs, ROWS, width)
            start = x_at + (c // LANES * LANES * POINTS + c % LANES if GROUPED else c)
            for t in range(tiles):
                at = d_at + t * d_stride + o
                acc = tile_correlate(acc, ds, at, 1, xs, start + t * x_stride, 1)
            tile_add(acc, out, to + c * out_stride + o, out_stride)


@compiled(inner=True, allocates=False)
def _products_of_gradients(x, d, tiles, sums):
    """sums (n^2, C', O') += x' d at each point, of those of tiles, see `_room`."""
    noinline()
    _, channels, filters = sums.shape
    size, vectors = x.shape[3], filters // LANES
    # Four as two pairs: a tile one vector wide fetches too much for what it does.
    threes = max(vectors // COLUMNS - (vectors % COLUMNS) % 2, 0) * COLUMNS
    twos = threes + (vectors - threes) // 2 * 2
    for p in range(POINTS):
        xs, ds = (x, p * size, x[0].size), (d, p * filters, d[0].size)
        to = sums, p * channels * filters, filters
        _outer(COLUMNS, xs, ds, tiles, to, channels, (0, threes))
        _outer(2, xs, ds, tiles, to, channels, (threes, twos))
        _outer(1, xs, ds, tiles, to, channels, (twos, vectors))


@compiled(parallel=True)
def _gradients(form, dout, gate, gated, x, sides, sums, biases, vs, ms):
    """The gradients of weights at the points, (slices, n^2, C', O'), and of biases (slices, O').

    form: Winograd's, or from few channels, where sums are those of `few.add_products`.
    gate, gated: of dout, see `_tiles_to_points`. vs, ms: see `_room`.
    """
    rows, columns = tiles_of(sides)
    count = x.shape[0] * rows * columns
    blocks = (count + TILES - 1) // TILES
    for part in prange(len(sums)):
        xs, ds = vs[get_thread_id()], ms[get_thread_id()]
        sums[part], biases[part] = 0, 0
        for block in range(part, blocks, len(sums)):
            first = block * TILES
            some = min(TILES, count - first)
            if form == few.FROM_FEW:
                few.add_products(
                    dout, gate, gated, x, first, some, sides, ds, sums[part], biases[part]
                )
                continue
            _tiles_to_points(TO_POINTS, N, BORDER, x, x, False, first, some, sides, xs)
            _tiles_to_points(SPREAD, OUTPUTS, 0, dout, gate, gated, first, some, sides, ds)
            for t in range(some):
                for o in range(biases.shape[1]):
                    biases[part, o] += ds[t, 0, SUM, o]
            _products_of_gradients(xs, ds, some, sums[part])


@compiled(parallel=True)
def _from_points(sums, dw):
    """dw (O, C, 3, 3) = G' s G of the sum s of all slices."""
    filters = sums.shape[3]
    for c in prange(dw.shape[1]):
        total, taps = np.zeros((POINTS, filters)), np.empty((TAPS**2, filters))
        for part in range(len(sums)):
            for p in range(POINTS):
                for o in range(filters):
                    total[p, o] += sums[part, p, c, o]
        _filters_transformed(BACK_TO_FILTERS, N, total, taps)
        for o in range(len(dw)):
            for k in range(TAPS**2):
                dw[o, c, k // TAPS, k % TAPS] = taps[k, o]


_memory = Memory()


def _fits(x, w):
    """Whether this file has the convolution: of `Maps`, by 3 x 3."""
    return isinstance(x, Maps) and w.shape[2:] == (TAPS, TAPS) and w.dtype == np.float32


def _padded(b, size):
    out = np.zeros(size, np.float32)
    out[: len(b)] = b
    return out


def _room(channels, filters):
    """Memory for the points of T tiles for each thread, (threads, T, groups, n^2, channels of one):
    of the input, and of the sums or of dout, which are all in one group."""
    channels, filters = multiple(channels, CHANNELS), multiple(filters, CHANNELS)
    size = LANES if GROUPED else channels
    shapes = {"v": (channels // size, POINTS, size), "m": (1, POINTS, filters)}
    return [_memory.array(k, (count(), TILES, *s), np.float32) for k, s in shapes.items()]


def _weights(form, w, turned):
    """Weights (O, C, 3, 3), or turned, filters and channels exchanged, for `_convolve`."""
    if form != few.WINOGRAD:
        return few.taps(w, form, turned)
    o, c = w.shape[1::-1] if turned else w.shape[:2]
    out = aligned((POINTS, c, multiple(o, CHANNELS)), np.float32)
    _filters_to_points(np.ascontiguousarray(w), turned, out)
    return out


def _checked(x, w, b=None):
    """Raise a ValueError where compiled code would read what is not there."""
    if w.shape[1] != x.shape[1] or (b is not None and b.shape != w.shape[:1]):
        shapes = f"x {x.shape}, w {w.shape}" + ("" if b is None else f", b {b.shape}")
        raise ValueError(f"the channels do not fit: {shapes}")


def _as_maps(x):
    """What goes with maps may be an array."""
    return x if isinstance(x, Maps) else enter(np.asarray(x, np.float32))


def _convolved(x, w, b, summand, rectified):
    _checked(x, w, b)
    out = Maps((x.shape[0], len(w), *x.sides))
    summand = out if summand is None else _as_maps(summand)
    if summand.shape != out.shape:
        raise ValueError(f"the summand has the shape {summand.shape}, wanted {out.shape}")
    form = few.form(x.shape[1], len(w), False)
    given, bias = (x.data, x.data, False), _padded(b, out.data.shape[3])
    more = summand.data, summand is not out
    room = _room(x.shape[1], min(MOST_FILTERS, len(w)))
    u = _weights(form, w, False)
    _convolve(form, *given, u, bias, *more, rectified, out.data, x.sides, *room)
    return out


def _gone_back(dout, out, x, w):
    """dx, dw, db of `conv2d_same`, or of `conv_relu` whose result is `out`."""
    _checked(x, w)
    dout = _as_maps(dout)
    out = None if out is None else _as_maps(out)
    wanted = x.shape[0], len(w), *x.sides
    if dout.shape != wanted or (out is not None and out.shape != wanted):
        raise ValueError(f"dout has the shape {dout.shape}, wanted {wanted}")
    gate, gated = (dout, False) if out is None else (out, True)
    dx, bias = Maps(x.shape), _padded((), x.data.shape[3])
    given = dout.data, gate.data, gated
    room = _room(len(w), min(MOST_FILTERS, x.shape[1]))
    form = few.form(len(w), x.shape[1], gated)
    u = _weights(form, w, True)
    _convolve(form, *given, u, bias, dx.data, False, False, dx.data, x.sides, *room)
    return dx, *_gradients_of_weights(given, x, w)


def _gradients_of_weights(given, x, w):
    """dw, db; given: dout and its gate, see `_gradients`."""
    dout, _, gated = given
    filters, channels = w.shape[:2]
    biases = np.empty((SLICES, dout.shape[3]), np.float32)
    form = few.form(channels, filters, False)
    if form == few.TO_FEW and not gated:  # from few, with x and dout exchanged
        sums = np.empty((SLICES, filters, x.data.shape[3] // LANES, TAPS**2 * LANES), np.float32)
        room = _room(filters, channels)
        none = np.empty((SLICES, 0), np.float32)
        _gradients(few.FROM_FEW, x.data, x.data, False, dout, x.sides, sums, none, *room)
        db = dout[..., :filters].sum(axis=(0, 1, 2), dtype=np.float64)
        return few.from_sums(sums, channels, True), db.astype(np.float32)
    room = _room(channels, filters)
    if form == few.FROM_FEW:
        sums = np.empty((SLICES, channels, dout.shape[3] // LANES, TAPS**2 * LANES), np.float32)
        _gradients(form, *given, x.data, x.sides, sums, biases, *room)
        dw = few.from_sums(sums, filters, False)
    else:
        shape = (SLICES, POINTS, x.data.shape[3], dout.shape[3])
        sums = _memory.array("sums", shape, np.float32)
        _gradients(few.WINOGRAD, *given, x.data, x.sides, sums, biases, *room)
        dw = np.empty(w.shape, np.float32)
        _from_points(sums, dw)
    return dw, biases.sum(axis=0, dtype=np.float64)[:filters].astype(np.float32)


def conv2d_same(x, w, b, summand=None):
    """See `reference.conv2d_same`."""
    if _fits(x, w):
        return _convolved(x, w, b, summand, False)
    out = conv2d(x, w, b, "zeros")
    return out if summand is None else out + summand


def conv2d_same_backward(dout, x, w):
    """See `reference.conv2d_same_backward`."""
    return _gone_back(dout, None, x, w) if _fits(x, w) else conv2d_backward(dout, x, w, "zeros")


def conv_relu(x, w, b):
    """See `reference.conv_relu`."""
    return _convolved(x, w, b, None, True) if _fits(x, w) else relu(conv2d(x, w, b, "zeros"))


def conv_relu_backward(dout, out, x, w):
    """See `reference.conv_relu_backward`."""
    if _fits(x, w):
        return _gone_back(dout, out, x, w)
    return conv2d_backward(relu_backward(dout, out), x, w, "zeros")


# Of these there is none that works on `Maps` themselves.
conv2d, conv2d_backward = map(through_arrays, (operations.conv2d, operations.conv2d_backward))
relu, relu_backward = map(through_arrays, (operations.relu, operations.relu_backward))
tanh, tanh_backward = map(through_arrays, (operations.tanh, operations.tanh_backward))
pixel_shuffle = through_arrays(shuffle.pixel_shuffle)
pixel_shuffle_backward = through_arrays(shuffle.pixel_shuffle_backward)
repeat = through_arrays(shuffle.repeat)
repeat_backward = through_arrays(shuffle.repeat_backward)
