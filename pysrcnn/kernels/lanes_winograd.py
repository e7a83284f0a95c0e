"""A layer of a batch with fewer multiplications, forward and back: Winograd's F(4, f) along rows.

With the matrices A, G, B of `winograd`, four neighbouring outputs y of one filter row, and the
gradients of a loss with respect to what they are made of, are

    y  = A  [ (G g) . (B d) ]         d: n pixels of the row, g: f taps, "." elementwise
    dg = G' [ (A' dy) . (B d) ]       ' transposed
    dd : as y, from dy in a border of zeros and from g turned

and each takes 8 products in place of 20 where f is 5. The n numbers B d or A' dy of all tiles, four
outputs each, are arrays of "points" (B, H, n, C, T, L): what is summed over lies together. If the
T tiles of a row do not fit into it exactly, the last one ends where the row ends and lies over a
part of the one before it.

Axes: B blocks of L samples (the lanes), C channels, O filters, H x W pixels, n points, T tiles.
"""

import numpy as np
from numba import prange

from .compile import compiled
from .lanes import parts_of, position, sum_products, tasks_of, turned
from .rows import LINEAR, ONCE, convolve_row, packed_at, tiles
from .vectors import COLUMNS, ROWS
from .winograd import AT_ONE, OUTPUTS, TAPS, matrices

GROUP = (0, OUTPUTS)  # the rows of the tiles that apply a matrix


def pays(layers, k):
    """Whether layer k (from 0) of a network is worth it."""
    w = layers[k][0]
    return (
        w.dtype == np.float32  # float64 is for checking gradients, by the plain sum
        and 0 < k < len(layers) - 1
        and w.shape[2] in TAPS
        and min(w.shape[:2]) >= ROWS
    )


@compiled(inner=True)
def _row_to_points(x, at, patch, matrix, zero, out, out_at, count):
    """`count` tiles of one row of one channel, from the pixels at `at` on."""
    _, _, n, channels, tiles_a_row, lanes = out.shape
    step = channels * tiles_a_row * lanes
    split = count // COLUMNS * COLUMNS
    whole, rest = (0, split), (split, count)
    for half in range(2):
        w = matrix[half * OUTPUTS * patch.size :]
        to = (out, out_at + half * (n - OUTPUTS) * step, step)
        tiles(OUTPUTS, COLUMNS, OUTPUTS, 1, x, at, patch, w, zero, LINEAR, to, GROUP, whole, ONCE)
        tiles(OUTPUTS, 1, OUTPUTS, 1, x, at, patch, w, zero, LINEAR, to, GROUP, rest, ONCE)


@compiled(parallel=True)
def _to_points(x, border, matrix, last, out):
    """Apply a matrix (n, m) to every tile, m pixels, of the rows of x inside its border.

    x (B, C, H + 2 border, W + 2 border, L), out (B, H, n, C, T, L).
    matrix, last: packed by `_halves`; `last` is for a tile that lies over another.
    """
    blocks, rows, n, channels, count, lanes = out.shape
    size = matrix.size // (2 * OUTPUTS)
    columns = x.shape[3] - 2 * border
    whole = (columns - size) // OUTPUTS + 1
    patch, zero = np.arange(size) * lanes, np.zeros(OUTPUTS, x.dtype)
    for task in prange(blocks * rows):
        block, i = task // rows, task % rows
        for c in range(channels):
            at = position(x, block, c, i + border, border)
            to = (task * n * channels + c) * count * lanes
            _row_to_points(x, at, patch, matrix, zero, out, to, whole)
            if whole < count:
                at += (columns - size) * lanes
                _row_to_points(x, at, patch, last, zero, out, to + whole * lanes, 1)


@compiled(parallel=True)
def _convolve(x, zeros, w, a, g, b, epilogue, out, border):
    """Products of the points x (B, H, n, C, T, L), A, bias, epilogue; into `out` in its border.

    zeros: how many rows of x above and below are known to be 0, at most f - 1.
    w (O, C, f, f), a (4, n), g (n, f), b (O, 4) each bias repeated, out (B, O, ..., L).
    """
    blocks, height, n, channels, count, lanes = x.shape
    f, plane = w.shape[2], count * lanes
    line = n * channels * plane
    transformed = np.empty((n, w.size // f), w.dtype)
    for o in prange(w.shape[0]):
        first, step = packed_at(o, w.shape[0], channels * f)
        for c in range(channels):
            for u in range(f):
                for p in range(n):
                    total = 0.0
                    for v in range(f):
                        total += g[p, v] * w[o, c, u, v]
                    transformed[p, first + (u * channels + c) * step] = total
    rows, columns = height - f + 1, out.shape[3] - 2 * border
    patch = np.empty(f * channels, np.int64)
    for u in range(f):
        for c in range(channels):
            patch[u * channels + c] = u * line + c * plane
    points = np.arange(n) * plane
    packed, single = a.T.copy().reshape(-1), a.reshape(-1)
    parts = parts_of(b.shape[0])
    filters = b.shape[0] // parts
    zero = np.zeros(filters, x.dtype)
    for task in prange(blocks * rows * parts):
        row, first = task // parts, task % parts * filters
        block, i = row // rows, row % rows
        entries, weight = patch, first * patch.size
        if filters == ROWS:  # then the weights for some rows of the patch lie together
            begin = max(0, zeros - i) * channels
            entries = patch[begin : min(f, height - zeros - i) * channels]
            weight += begin * ROWS
        products = np.empty(filters * n * plane, x.dtype)
        for p in range(n):
            at = (block * height + i) * line + p * channels * plane
            to = (products, p * plane, n * plane)
            some = transformed[p, weight:]
            convolve_row(x, at, entries, some, zero, LINEAR, to, count)
        for o in range(filters):
            source = (products, o * n * plane)
            at = position(out, block, first + o, i + border, border)
            _row_from_points(
                source, points, packed, single, b[first + o], epilogue, (out, at), columns
            )


@compiled(inner=True)
def _row_from_points(source, points, packed, single, b, epilogue, out, columns):
    """A: `columns` pixels of one row of one filter, from its products."""
    products, start = source
    lanes = out[0].shape[4]
    to = (out[0], out[1], lanes)
    count, rest = columns // OUTPUTS, columns % OUTPUTS
    split = count // COLUMNS * COLUMNS
    whole, others = (0, split), (split, count)
    n = OUTPUTS
    tiles(n, COLUMNS, 1, n, products, start, points, packed, b, epilogue, to, GROUP, whole, ONCE)
    tiles(n, 1, 1, n, products, start, points, packed, b, epilogue, to, GROUP, others, ONCE)
    if rest:
        # Of the last tile only what is new: a gate is read from where it is overwritten.
        to = (out[0], out[1] + (columns - OUTPUTS) * lanes, lanes)
        last = start + count * lanes
        new = (OUTPUTS - rest, OUTPUTS)
        tiles(1, 1, 1, 1, products, last, points, single, b, epilogue, to, new, (0, 1), ONCE)


@compiled(parallel=True)
def _gradients(dout, x, g, dw, db):
    """G' times the sums over samples and tiles of (A' dy) . (B d): dw (O, C*f, f), float64.

    And db (O,): where polynomials are evaluated at 1, A' dy is the sum of a tile.

    dout (B, H - f + 1, n, O, T, L) and x (B, H, n, C, T, L) are points, g is (n, f).
    """
    blocks, height, n, channels, count, lanes = x.shape
    f = g.shape[1]
    lines, filters = dout.shape[1], dout.shape[3]
    plane = count * lanes
    line, d_line = n * channels * plane, n * filters * plane
    patch = np.empty(channels * f, np.int64)  # the rows of a channel follow each other: they share
    for c in range(channels):
        for u in range(f):
            patch[c * f + u] = u * line + c * plane
    sums = np.empty((n, filters, channels * f))
    each = tasks_of(sums[0])
    for task in prange(n * each):
        p = task // each
        sum_of_tiles = db if p == AT_ONE else np.empty(filters)
        ds = (dout, p * filters * plane, plane, d_line, lines * d_line)
        xs = (x, p * channels * plane, line, height * line)
        sum_products(task % each, ds, xs, patch, blocks, lines, count, sums[p], sum_of_tiles)
    for o in prange(filters):
        for k in range(channels * f):
            for v in range(f):
                total = 0.0
                for p in range(n):
                    total += g[p, v] * sums[p, o, k]
                dw[o, k, v] = total


def _halves(matrix, dtype):
    """A matrix in two groups of four rows, which may share some, for `_row_to_points`."""
    halves = matrix[:OUTPUTS], matrix[-OUTPUTS:]
    return np.concatenate([half.T.reshape(-1) for half in halves]).astype(dtype)


def _points(x, border, matrix, last, memory, name):
    """See `_to_points`; the result is a kept array."""
    n, size = matrix.shape
    blocks, channels, height, width, lanes = x.shape
    count = -(-(width - 2 * border - size) // OUTPUTS) + 1
    shape = (blocks, height - 2 * border, n, channels, count, lanes)
    out = memory.array(name, shape, x.dtype)
    _to_points(x, border, _halves(matrix, x.dtype), _halves(last, x.dtype), out)
    return out


def input_points(x, border, f, memory, name):
    """B d of all tiles of x (B, C, H + 2 border, W + 2 border, L), inside its border."""
    b = matrices(f)[2]
    return _points(x, border, b, b, memory, name)


def convolve(points, zeros, w, b, epilogue, out, border):
    """w * x + b into `out`, then what `rows.convolve_row` says, from the input's points.

    zeros: how many rows above and below are known to be 0, at most f - 1.
    """
    a, g, _ = matrices(w.shape[2])
    repeated = np.repeat(b[:, None], OUTPUTS, 1)
    _convolve(points, zeros, w, a.astype(w.dtype), g, repeated, epilogue, out, border)


def gradients(dout, border, points, w, memory):
    """dw and db, of the shapes of w and its biases and of float64, from dout in lanes and the
    input's points."""
    o, c, f, _ = w.shape
    a, g, _ = matrices(f)
    # A tile over another counts only what is new in it.
    rest = (dout.shape[3] - 2 * border) % OUTPUTS
    last = a * (np.arange(OUTPUTS) >= OUTPUTS - rest)[:, None]
    d = _points(dout, border, a.T, last.T, memory, "dout")
    dw, db = np.empty((o, c * f, f)), np.empty(o)
    _gradients(d, points, g, dw, db)
    return dw.reshape(w.shape), db


def gradient_of_input(dout, w, epilogue, dx, border, memory):
    """The full convolution of dout with w turned, into dx; dout has a border of f - 1 zeros."""
    points = input_points(dout, 0, w.shape[2], memory, "bordered")
    convolve(points, w.shape[2] - 1, turned(w), np.zeros(w.shape[1], w.dtype), epilogue, dx, border)
