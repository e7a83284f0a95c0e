"""Direct sums for the layers of `same` from few channels or to few filters.

Deep networks begin and end with such layers. In `same` the lanes of a vector are channels, so one
channel is padded to 16 (with AVX-512), and Winograd's points and their products would be mostly
zeros. From few channels, lanes are therefore filters here, and a pixel is a single number; to few
filters, lanes are channels, summed at the end. Both work on the tiles of `same`, 4 x 4 pixels.

Axes: N samples, C channels, O filters, H x W pixels, L lanes, T tiles.
"""

import numpy as np

from .compile import compiled, noinline
from .maps import BORDER, CHANNELS, multiple
from .memory import aligned
from .points import LANES, SIDE, apart, clear_beyond, place, tiles_of
from .rows import RELU
from .tile import (
    tile_add,
    tile_plus,
    tile_plus_product,
    tile_plus_vector,
    tile_relu,
    tile_sums,
    tile_where,
    tile_zero,
)
from .transforms import (
    tile_gather,
    tile_load_apart,
    tile_plus_numbers,
    tile_scatter,
    tile_store_apart,
)
from .winograd import OUTPUTS, same_operations

TAPS = 3
PIXELS = OUTPUTS**2
WINOGRAD, FROM_FEW, TO_FEW = range(3)
_WORTH_IT = 2 / 3  # share of Winograd's operations: direct sums load a number for each product


def form(channels, filters, gated):
    """Choose WINOGRAD, FROM_FEW or TO_FEW for a convolution, by the vector operations per tile.

    gated: whether pixels count only where a gate is positive.
    """
    terms, sums = multiple(channels, CHANNELS) // LANES, multiple(filters, CHANNELS) // LANES
    limit = _WORTH_IT * same_operations(channels, terms, sums)
    if PIXELS * TAPS**2 * channels * sums < limit and not gated:
        return FROM_FEW
    # In maps that diverged, padding channels may be NaN, and must not enter a sum.
    if PIXELS * TAPS**2 * filters * terms < limit and channels % CHANNELS == 0:
        return TO_FEW
    return WINOGRAD


def taps(w, kind, turned):
    """Return weights (O, C, 3, 3) as (9, C, O') for FROM_FEW, or as (9, O, C') for TO_FEW.

    turned: turn them by 180 degrees and exchange filters and channels first.
    """
    if turned:
        w = w.swapaxes(0, 1)[:, :, ::-1, ::-1]
    w = w.transpose((2, 3, 1, 0) if kind == FROM_FEW else (2, 3, 0, 1))
    out = aligned((TAPS**2, w.shape[2], multiple(w.shape[3], CHANNELS)), np.float32)
    out[...] = 0
    out[:, :, : w.shape[3]] = w.reshape(TAPS**2, *w.shape[2:])
    return out


@compiled(inner=True)
def from_few(x, w, b, summand, added, epilogue, out, first, count, sides):
    """Compute some tiles of the convolution of `same` from few channels; w (9, C, O')."""
    noinline()
    _, channels, filters = w.shape
    x_down, x_across = apart(x, SIDE)
    down, across = apart(out, SIDE)
    for t in range(count):
        start, i, j = place(x, 0, first + t, sides)
        at, _, _ = place(out, BORDER, first + t, sides)
        for o in range(0, filters, LANES):
            acc = tile_zero(w, OUTPUTS, OUTPUTS)
            for tap in range(TAPS**2):
                pixel = start + x_down[tap // TAPS] + x_across[tap % TAPS]
                for c in range(channels):
                    weight = (tap * channels + c) * filters + o
                    acc = tile_plus_numbers(acc, x, pixel + c, x_down, x_across, w, weight)
            acc = tile_plus_vector(acc, b, o)
            if added:
                acc = tile_plus(acc, tile_gather(summand, at + o, down, across, OUTPUTS, OUTPUTS))
            if epilogue == RELU:
                acc = tile_relu(acc)
            tile_scatter(acc, out, at + o, down, across)
        if i + OUTPUTS > sides[0] or j + OUTPUTS > sides[1]:
            clear_beyond(out, at, filters, i, j, sides)


@compiled(inner=True, allocates=False)
def _sums_over_channels(x, gate, gated, w, f, start, down, across, sums):
    """Sum over channels for filter f and a tile of 16 pixels."""
    _, filters, channels = w.shape
    acc = tile_zero(w, OUTPUTS, OUTPUTS)
    for tap in range(TAPS**2):
        pixel = start + down[tap // TAPS] + across[tap % TAPS]
        weight = (tap * filters + f) * channels
        for c in range(0, channels, LANES):
            pixels = tile_gather(x, pixel + c, down, across, OUTPUTS, OUTPUTS)
            if gated:
                given = tile_gather(gate, pixel + c, down, across, OUTPUTS, OUTPUTS)
                acc = tile_plus_product(acc, tile_where(pixels, given), w, weight + c)
            else:
                acc = tile_plus_product(acc, pixels, w, weight + c)
    tile_sums(acc, sums, 0)


@compiled(inner=True)
def to_few(x, gate, gated, w, b, summand, added, epilogue, out, first, count, sides):
    """Compute some tiles of the convolution to few filters; w (9, O, C')."""
    noinline()
    filters = w.shape[1]
    down, across = apart(x, SIDE)
    rows, columns = tiles_of(sides)
    sums = np.empty(PIXELS, np.float32)
    for t in range(count):
        start, i, j = place(x, 0, first + t, sides)
        sample = (first + t) // (rows * columns)
        for f in range(filters):
            _sums_over_channels(x, gate, gated, w, f, start, down, across, sums)
            for u in range(min(OUTPUTS, sides[0] - i)):
                for v in range(min(OUTPUTS, sides[1] - j)):
                    row, column = BORDER + i + u, BORDER + j + v
                    y = sums[u * OUTPUTS + v] + b[f]
                    if added:
                        y += summand[sample, row, column, f]
                    if epilogue == RELU and y <= 0:
                        y = np.float32(0)
                    out[sample, row, column, f] = y


@compiled(inner=True)
def add_products(many, gate, gated, few, first, count, sides, pixels, sums, biases):
    """Add few[pixel + tap, C] many[pixel, O'], over some tiles, to sums (C, O' / L, 9 L).

    gate, gated: of many. biases (O' or 0) += many[pixel]. pixels: memory, (T, 1, >= 16, O').
    """
    noinline()
    filters, channels = many.shape[3], len(sums)
    size, rows_of_sums = pixels[0].size, TAPS * LANES
    down, across = apart(many, SIDE)
    few_down, few_across = apart(few, SIDE)
    for t in range(count):
        at, _, _ = place(many, BORDER, first + t, sides)
        for o in range(0, filters, LANES):
            acc = tile_gather(many, at + o, down, across, OUTPUTS, OUTPUTS)
            if gated:
                acc = tile_where(acc, tile_gather(gate, at + o, down, across, OUTPUTS, OUTPUTS))
            tile_store_apart(acc, pixels, t * size + o, filters)
    for c in range(channels):
        for o in range(0, filters, LANES):
            acc = tile_zero(pixels, TAPS, TAPS)
            for t in range(count):
                at, _, _ = place(few, 0, first + t, sides)
                for k in range(PIXELS):
                    start = at + c + few_down[k // OUTPUTS] + few_across[k % OUTPUTS]
                    pixel = t * size + k * filters + o
                    acc = tile_plus_numbers(acc, few, start, few_down, few_across, pixels, pixel)
            tile_add(acc, sums, (c * filters + o) * TAPS**2, rows_of_sums)
    for o in range(0, biases.size, LANES):  # as vectors: a plain loop takes seconds to compile
        total = tile_zero(pixels, OUTPUTS, 1)
        for t in range(count):
            for k in range(0, PIXELS, OUTPUTS):
                at = t * size + k * filters + o
                total = tile_plus(total, tile_load_apart(pixels, at, filters, OUTPUTS, 1))
        tile_add(total, biases, o, 0)


def from_sums(sums, filters, turned):
    """Return the gradient of weights (O, C, 3, 3) from sums (slices, C, O' / L, 9 L).

    turned: filters and channels are exchanged in the sums (to few filters), and `filters` is C.
    """
    few, vectors = sums.shape[1:3]
    total = sums.sum(axis=0, dtype=np.float64).reshape(few, vectors, TAPS, TAPS, LANES)
    dw = total.transpose(1, 4, 0, 2, 3).reshape(-1, few, TAPS, TAPS)[:filters]
    if turned:
        dw = dw.swapaxes(0, 1)[:, :, ::-1, ::-1]
    return np.ascontiguousarray(dw, np.float32)
