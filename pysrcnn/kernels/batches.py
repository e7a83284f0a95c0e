"""Loss and gradients of a batch: the lanes of a vector are the same pixel of L samples.

A batch (N, C, H, W) is laid out as (B, C, H, W, L), B blocks of L samples; what is missing in the
last block is zero. No width is then ever an odd one, and every load is of whole vectors. The
gradients are convolutions again: that of a layer's input is dout convolved with the weights turned
by 180 degrees, for which dout has a border of f - 1 zeros; that of the weights is a sum over
pixels, in which filters and patch entries are the rows and columns of the register tile.

On the way back each feature map is overwritten, in place, by the gradient of the loss with respect
to it: it is needed once more only where it lies, to tell what ReLU let through. So a map has that
border of zeros from the start, and a step touches no more memory than the maps take.

Axes: N samples, C channels, O filters, H x W pixels, L lanes, B blocks of L samples.
"""

import numpy as np
from numba import literally, prange

from .inputs import network_input
from .memory import Memory
from .tile import (
    COLUMNS,
    GATE,
    LINEAR,
    NARROW,
    RELU,
    ROWS,
    VECTOR_BYTES,
    compiled,
    convolve_row,
    pack_weights,
    tile_add,
    tile_outer,
    tile_zero,
)


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
def _lanes_patch(x, f):
    """Where the patches of a batch in lanes lie: strides of (B, C, H, W, L)."""
    _, channels, height, width, lanes = x.shape
    patch = np.empty(channels * f * f, np.int64)
    for c in range(channels):
        for u in range(f):
            for v in range(f):
                patch[(c * f + u) * f + v] = ((c * height + u) * width + v) * lanes
    return patch


@compiled(inner=True)
def _at(x, block, channel, i, j):
    """Flat position of a pixel in (B, C, H, W, L)."""
    _, channels, height, width, lanes = x.shape
    return (((block * channels + channel) * height + i) * width + j) * lanes


@compiled(parallel=True)
def _convolve_lanes(x, x_border, w, b, f, then, out, out_border):
    """Write w * x + b into `out`, both inside their borders, after ReLU or the gate that `out` is.

    x (B, C, H + 2 x_border, W + 2 x_border, L), w packed, b (O,),
    out (B, O, H' + 2 out_border, W' + 2 out_border, L).
    """
    blocks, _, height, width, lanes = x.shape
    rows, columns = height - 2 * x_border - f + 1, width - 2 * x_border - f + 1
    patch = _lanes_patch(x, f)
    stride = out.shape[2] * out.shape[3] * lanes
    for task in prange(blocks * rows):
        block, i = task // rows, task % rows
        outs = (out, _at(out, block, 0, i + out_border, out_border), stride)
        start = _at(x, block, 0, i + x_border, x_border)
        convolve_row(x, start, patch, w, b, then, outs, outs, columns)


@compiled(inner=True)
def _accumulate(rows, columns, dout, x, patch, entries, pixels, sums):
    """Add what one row of pixels gives to the gradient of rows filters x these patch entries.

    dout: (array, position of the first filter's first pixel, stride from filter to filter).
    x: (array, position of the first pixel's patch). entries: (first, end), end - first being a
    multiple of `columns`. sums: (rows, patch entries, L), one sum for every lane.
    """
    rows, columns = literally(rows), literally(columns)
    d, d_at, d_stride = dout
    source, start = x
    lanes = sums.shape[2]
    for k in range(entries[0], entries[1], columns):
        acc = tile_zero(source, rows, columns)
        for j in range(0, pixels * lanes, lanes):
            acc = tile_outer(acc, d, d_at + j, d_stride, source, start + j, patch, k)
        tile_add(acc, sums, k * lanes, patch.size * lanes)


ENTRIES = 27  # patch entries a task of `_sum_gradients`: few enough that there are many tasks


@compiled(parallel=True)
def _sum_gradients(dout, border, x, x_border, f, dw, db):
    """dw (O, C*f*f) and db (O,), float64, from dout (B, O, H' + 2 border, W' + 2 border, L).

    x is (B, C, H + 2 x_border, W + 2 x_border, L).

    A task owns its entries of dw and sums over all samples and pixels in a fixed order, so that
    the result does not depend on the number of threads.
    """
    blocks, _, height, width, lanes = x.shape
    rows, columns = height - 2 * x_border - f + 1, width - 2 * x_border - f + 1
    stride = dout.shape[2] * dout.shape[3] * lanes
    patch = _lanes_patch(x, f)
    full, single = dw.shape[0] // ROWS, dw.shape[0] % ROWS  # groups of ROWS filters, and of one
    parts = (patch.size + ENTRIES - 1) // ENTRIES
    for task in prange((full + single) * parts):
        group, part = task // parts, task % parts
        filters = ROWS if group < full else 1
        first = group * ROWS if group < full else full * ROWS + group - full
        here = patch[part * ENTRIES : (part + 1) * ENTRIES]
        sums = np.zeros((filters, here.size, lanes), x.dtype)
        wide, long = here.size // COLUMNS * COLUMNS, here.size // NARROW * NARROW
        for block in range(blocks):
            for i in range(rows):
                d = (dout, _at(dout, block, first, i + border, border), stride)
                source = (x, _at(x, block, 0, i + x_border, x_border))
                if group < full:
                    _accumulate(ROWS, COLUMNS, d, source, here, (0, wide), columns, sums)
                    _accumulate(ROWS, 1, d, source, here, (wide, here.size), columns, sums)
                else:
                    _accumulate(1, NARROW, d, source, here, (0, long), columns, sums)
                    _accumulate(1, 1, d, source, here, (long, here.size), columns, sums)
        for r in range(filters):
            for k in range(here.size):
                total = 0.0
                for lane in range(lanes):
                    total += sums[r, k, lane]
                dw[first + r, part * ENTRIES + k] = total
    for o in prange(db.size):
        totals = np.zeros(lanes)
        for block in range(blocks):
            for i in range(border, dout.shape[2] - border):
                for j in range(border, dout.shape[3] - border):
                    for lane in range(lanes):
                        totals[lane] += dout[block, o, i, j, lane]
        db[o] = totals.sum()


@compiled(parallel=True)
def _squared_error(out, border, high, size):
    """The squared error of a batch in lanes against `high` (N, C, H, W), divided by `size`.

    out (B, C, H + 2 border, W + 2 border, L) becomes the gradient with respect to it.
    """
    n, channels, height, width = high.shape
    blocks, _, _, _, lanes = out.shape
    errors = np.zeros(blocks * height)
    scale = out.dtype.type(2 / size)
    for task in prange(blocks * height):
        block, i = task // height, task % height
        samples = min(lanes, n - block * lanes)
        for c in range(channels):
            for j in range(width):
                pixel = out[block, c, i + border, j + border]
                for lane in range(samples):
                    e = pixel[lane] - high[block * lanes + lane, c, i, j]
                    pixel[lane] = e * scale
                    errors[task] += e * e
                pixel[samples:] = 0
    return errors.sum() / size


TOGETHER = (
    2  # vectors of samples that are worked on at a time, so that their maps stay in the cache
)
_memory = Memory()


def loss_and_gradients(low, high, layers):
    """See `reference.loss_and_gradients`.

    The memory for the feature maps of a batch is kept, for the next one (per thread that calls).
    """
    low, layers = network_input(low, layers, room=True)
    high = np.ascontiguousarray(high, low.dtype)
    margin = sum(w.shape[2] - 1 for w, _ in layers)
    wanted = (low.shape[0], len(layers[-1][1]), low.shape[2] - margin, low.shape[3] - margin)
    if high.shape != wanted:
        raise ValueError(f"high has the shape {high.shape}, the network gives {wanted}")

    together = TOGETHER * (VECTOR_BYTES // low.itemsize)
    loss = 0.0
    totals = [(np.zeros(w.shape), np.zeros(b.shape)) for w, b in layers]
    for i in range(0, len(low), together):
        part = slice(i, i + together)
        error, gradients = _part_of_a_batch(low[part], high[part], layers, high.size)
        loss += error
        for total, gradient in zip(totals, gradients, strict=True):
            for a, b in zip(total, gradient, strict=True):
                a += b
    return loss, [tuple(a.astype(low.dtype) for a in total) for total in totals]


def _part_of_a_batch(low, high, layers, size):
    """What some samples add to the loss, a mean over `size` elements, and to the gradients."""
    # The gradient of the picture itself is not asked for, so map 1's needs no border.
    borders = [0, 0] + [w.shape[2] - 1 for w, _ in layers[1:]]
    x = to_lanes(low)
    maps = [_memory.array(0, x.shape, x.dtype)]
    maps[0][...] = x
    blocks, _, height, width, lanes = maps[0].shape
    for k, (w, b) in enumerate(layers):
        o, _, f, _ = w.shape
        height, width = height - f + 1, width - f + 1
        shape = (blocks, o, height, width, lanes)
        maps.append(_memory.bordered(k + 1, shape, borders[k + 1], low.dtype))
        then = RELU if k < len(layers) - 1 else LINEAR
        _convolve_lanes(
            maps[k], borders[k], pack_weights(w), b, f, then, maps[k + 1], borders[k + 1]
        )

    error = _squared_error(maps[-1], borders[-1], high, size)
    gradients = []
    for k in reversed(range(len(layers))):
        w, _ = layers[k]
        gradients.append(weight_gradients(maps[k + 1], borders[k + 1], maps[k], borders[k], w))
        if k > 0:
            input_gradient(maps[k + 1], w, GATE, maps[k], borders[k])
    return error, gradients[::-1]


def weight_gradients(dout, border, x, x_border, w):
    """dw and db, of the shapes of w and b and of float64, from arrays in lanes."""
    dw, db = np.empty((w.shape[0], w[0].size)), np.empty(w.shape[0])
    _sum_gradients(dout, border, x, x_border, w.shape[2], dw, db)
    return dw.reshape(w.shape), db


def input_gradient(dout, w, then, dx, border):
    """The full convolution of dout with w turned by 180 degrees, O and C exchanged, into dx."""
    turned = np.ascontiguousarray(w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
    zero = np.zeros(w.shape[1], w.dtype)
    _convolve_lanes(dout, 0, pack_weights(turned), zero, w.shape[2], then, dx, border)
