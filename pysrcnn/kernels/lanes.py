"""Convolutions of a batch and their gradients: the lanes of a vector are one pixel of L samples.

A batch (N, C, H, W) is laid out as (B, C, H, W, L), B blocks of L samples; what is missing in the
last block is zero. No width is then ever an odd one, and every load is of whole vectors. The
gradients are convolutions again: that of a layer's input is dout convolved with the weights turned
by 180 degrees, for which dout has a border of f - 1 zeros; that of the weights is a sum over
pixels, in which filters and patch entries are the rows and columns of the register tile.

Axes: N samples, C channels, O filters, H x W pixels, L lanes, B blocks of L samples.
"""

import numpy as np
from numba import literally, prange

from .compile import compiled
from .rows import LINEAR, convolve_row, pack_weights
from .tile import tile_add, tile_correlate, tile_outer, tile_zero
from .vectors import COLUMNS, NARROW, ROWS, VECTOR_BYTES


def to_lanes(x):
    """(N, C, H, W) -> (B, C, H, W, L), zeros where there is no sample. Not contiguous."""
    n, c, h, w = x.shape
    lanes = VECTOR_BYTES // x.itemsize
    blocks = -(-n // lanes)
    padded = np.zeros((blocks * lanes, c, h, w), x.dtype)
    padded[:n] = x
    return padded.reshape(blocks, lanes, c, h, w).transpose(0, 2, 3, 4, 1)


def from_lanes(x, n):
    """(B, C, H, W, L) -> the first n samples, (N, C, H, W)."""
    blocks, c, h, w, lanes = x.shape
    return x.transpose(0, 4, 1, 2, 3).reshape(blocks * lanes, c, h, w)[:n].copy()


@compiled(inner=True)
def _patch(x, f, g):
    """Where the patches f x g of a batch in lanes lie: strides of (B, C, H, W, L)."""
    _, channels, height, width, lanes = x.shape
    patch = np.empty(channels * f * g, np.int64)
    for c in range(channels):
        for u in range(f):
            for v in range(g):
                patch[(c * f + u) * g + v] = ((c * height + u) * width + v) * lanes
    return patch


@compiled(inner=True)
def position(x, block, channel, i, j):
    """Flat position of a pixel in (B, C, H, W, L)."""
    _, channels, height, width, lanes = x.shape
    return (((block * channels + channel) * height + i) * width + j) * lanes


@compiled(inner=True)
def parts_of(filters):
    """Into how many parts filters are divided: a group of tiles each, if they all are of ROWS."""
    return filters // ROWS if filters % ROWS == 0 else 1


@compiled(parallel=True)
def _convolve(x, x_border, w, b, f, g, epilogue, out, out_border):
    """Write w * x + b into `out`, both inside their borders, after ReLU or the gate that `out` is.

    x (B, C, H + 2 x_border, W + 2 x_border, L), w of filters f x g packed, b (O,),
    out (B, O, H' + 2 out_border, W' + 2 out_border, L).
    """
    blocks, _, height, width, lanes = x.shape
    rows, columns = height - 2 * x_border - f + 1, width - 2 * x_border - g + 1
    patch = _patch(x, f, g)
    stride = out.shape[2] * out.shape[3] * lanes
    parts = parts_of(b.size)
    filters = b.size // parts
    for task in prange(blocks * rows * parts):
        row, first = task // parts, task % parts * filters
        block, i = row // rows, row % rows
        outs = (out, position(out, block, first, i + out_border, out_border), stride)
        start = position(x, block, 0, i + x_border, x_border)
        some = w[first * patch.size :]
        convolve_row(x, start, patch, some, b[first : first + filters], epilogue, outs, columns)


def convolve(x, x_border, w, b, epilogue, out, out_border):
    """w * x + b into `out`, then what `rows.convolve_row` says; see `_convolve` for the shapes."""
    _convolve(x, x_border, pack_weights(w), b, *w.shape[2:], epilogue, out, out_border)


@compiled(parallel=True)
def _fold(sums, b, out, border):
    """Row i of filter o in `out` (B, O, ..., L): b[o] and, for all u, row i + u of sums o f + u."""
    blocks, filters, height, _, _ = out.shape
    rows, f = height - 2 * border, sums.shape[1] // filters
    columns = sums.shape[3]
    for task in prange(blocks * rows):
        block, i = task // rows, task % rows
        for o in range(filters):
            to = out[block, o, i + border, border : border + columns]
            to[:] = b[o]
            for u in range(f):
                to += sums[block, o * f + u, i + u]


def convolve_to_few(x, x_border, w, b, out, out_border, memory):
    """w * x + b into `out` for few filters, in two halves, because a tile wants several: first
    their f rows as f filters of a single row each, then the sum of those (as in `fused`)."""
    blocks, c, height, width, lanes = x.shape
    o, _, f, _ = w.shape
    rows = w.transpose(0, 2, 1, 3).reshape(o * f, c, 1, f)
    shape = blocks, o * f, height - 2 * x_border, width - 2 * x_border - f + 1, lanes
    sums = memory.array("sums of rows", shape, x.dtype)
    convolve(x, x_border, rows, np.zeros(o * f, w.dtype), LINEAR, sums, 0)
    _fold(sums, b, out, out_border)


@compiled(inner=True)
def _accumulate(rows, columns, dout, x, patch, entries, lines, pixels, sums):
    """Add what some rows of pixels give to the gradient of rows filters x these patch entries.

    entries: (first, end), end - first being a multiple of `columns`; all else as for
    `sum_products`, without what concerns blocks.
    """
    rows, columns = literally(rows), literally(columns)
    d, d_at, d_stride, d_line = dout
    source, start, line = x
    lanes = sums.shape[2]
    for k in range(entries[0], entries[1], columns):
        acc = tile_zero(source, rows, columns)
        for i in range(lines):
            d_row, row = d_at + i * d_line, start + i * line
            for j in range(0, pixels * lanes, lanes):
                acc = tile_outer(acc, d, d_row + j, d_stride, source, row + j, patch, k)
        tile_add(acc, sums, k * lanes, patch.size * lanes)


@compiled(inner=True)
def _accumulate_bias(columns, x, at, vectors, one, sums):
    """Add vectors [first, end) of x, a multiple of `columns`, to sums (columns, L); one: [1]."""
    columns = literally(columns)
    lanes = sums.shape[1]
    acc = tile_zero(x, 1, columns)
    for v in range(vectors[0], vectors[1], columns):
        acc = tile_correlate(acc, x, at + v * lanes, 1, one, 0, 1)
    tile_add(acc, sums, 0, 0)


ENTRIES = 27  # patch entries a task of a gradient: few enough that there are many tasks
NEAR = 24 * 1024  # bytes of dout that are summed over for one tile after the other: they stay near


@compiled(inner=True)
def sum_products(task, dout, x, patch, blocks, lines, pixels, dw, db):
    """One task of the gradients of weights (O, patch entries) and biases (O,), in float64.

    dout: (array, position of the first pixel, stride from filter to filter, from line to line,
    from block to block). x: (array, position of the first patch, stride from line to line, from
    block to block). There are `tasks_of(dw)` tasks.

    A task owns its part and sums over all samples and pixels in a fixed order, so that the result
    does not depend on the number of threads.
    """
    d, d_at, d_stride, d_line, d_block = dout
    source, start, line, x_block = x
    lanes = VECTOR_BYTES // source.itemsize
    full = dw.shape[0] // ROWS  # groups of ROWS filters; then there are groups of one
    parts = (patch.size + ENTRIES - 1) // ENTRIES
    group, part = task // parts, task % parts
    filters = ROWS if group < full else 1
    first = group * ROWS if group < full else full * ROWS + group - full
    here = patch[part * ENTRIES : (part + 1) * ENTRIES]
    sums = np.zeros((filters, here.size, lanes), source.dtype)
    biases, one = np.zeros((filters, NARROW, lanes), source.dtype), np.ones(1, source.dtype)
    wide, long = here.size // COLUMNS * COLUMNS, here.size // NARROW * NARROW
    across = pixels // NARROW * NARROW
    together = max(1, NEAR // (ROWS * pixels * VECTOR_BYTES))
    for block in range(blocks):
        for i in range(0, lines, together):
            some = min(together, lines - i)
            at = d_at + first * d_stride + block * d_block + i * d_line
            ds = (d, at, d_stride, d_line)
            xs = (source, start + block * x_block + i * line, line)
            if group < full:
                _accumulate(ROWS, COLUMNS, ds, xs, here, (0, wide), some, pixels, sums)
                _accumulate(ROWS, 1, ds, xs, here, (wide, here.size), some, pixels, sums)
            else:
                _accumulate(1, NARROW, ds, xs, here, (0, long), some, pixels, sums)
                _accumulate(1, 1, ds, xs, here, (long, here.size), some, pixels, sums)
            if part == 0:
                for r in range(filters):
                    for row in range(some):
                        place = at + r * d_stride + row * d_line
                        _accumulate_bias(NARROW, d, place, (0, across), one, biases[r])
                        _accumulate_bias(1, d, place, (across, pixels), one, biases[r])
    for r in range(filters):
        for k in range(here.size):
            dw[first + r, part * ENTRIES + k] = _total(sums[r, k])
        if part == 0:
            db[first + r] = _total(biases[r])


@compiled(inner=True)
def _total(x):
    """The sum of an array in float64."""
    total = 0.0
    for number in x.flat:
        total += number
    return total


@compiled(inner=True)
def tasks_of(dw):
    """How many tasks `sum_products` makes of a gradient (O, patch entries)."""
    filters, entries = dw.shape
    return (filters // ROWS + filters % ROWS) * ((entries + ENTRIES - 1) // ENTRIES)


@compiled(parallel=True)
def _gradients(dout, border, x, x_border, f, dw, db):
    """dw (O, C*f*f) and db (O,), float64, from dout (B, O, H' + 2 border, W' + 2 border, L).

    x is (B, C, H + 2 x_border, W + 2 x_border, L).
    """
    blocks, filters, height, width, lanes = dout.shape
    line = width * lanes
    ds = (dout, position(dout, 0, 0, border, border), height * line, line, filters * height * line)
    x_line = x.shape[3] * lanes
    xs = (x, position(x, 0, 0, x_border, x_border), x_line, x.shape[1] * x.shape[2] * x_line)
    lines, pixels = height - 2 * border, width - 2 * border
    patch = _patch(x, f, f)
    for task in prange(tasks_of(dw)):
        sum_products(task, ds, xs, patch, blocks, lines, pixels, dw, db)


def gradients(dout, border, x, x_border, w):
    """dw and db, of the shapes of w and its biases and of float64, from arrays in lanes.

    A tile wants several filters. Where there are too few, but many channels, and a border of zeros
    wide enough, the channels of x take the place of the filters and dout that of the input: that
    gives the same sums, turned.
    """
    o, c, f, _ = w.shape
    if o < ROWS <= c and border >= f - 1:
        dw, unused = np.empty((c, o * f * f)), np.empty(c)
        _gradients(x, x_border, dout, border - (f - 1), f, dw, unused)
        return turned(dw.reshape(c, o, f, f)), dout.sum(axis=(0, 2, 3, 4), dtype=np.float64)
    dw, db = np.empty((w.shape[0], w[0].size)), np.empty(w.shape[0])
    _gradients(dout, border, x, x_border, w.shape[2], dw, db)
    return dw.reshape(w.shape), db


def turned(w):
    """w (O, C, f, f) turned by 180 degrees, filters and channels exchanged: (C, O, f, f)."""
    return np.ascontiguousarray(w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))


def gradient_of_input(dout, w, epilogue, dx, border):
    """The full convolution of dout with w turned, into dx; dout has a border of f - 1 zeros."""
    convolve(dout, 0, turned(w), np.zeros(w.shape[1], w.dtype), epilogue, dx, border)
