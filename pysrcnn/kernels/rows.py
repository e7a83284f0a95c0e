"""One row of any convolution, computed with register tiles.

Axes: L lanes, the numbers of a vector; O filters.
"""

import numpy as np

from .compile import compiled, noinline
from .tile import (
    tile_correlate,
    tile_load,
    tile_relu,
    tile_start,
    tile_store,
    tile_tanh,
)
from .vectors import COLUMNS, FEW, FEW_COLUMNS, NARROW, ONE, ROWS, VECTOR_BYTES

# Epilogues, applied to a sum before it is stored: ReLU, tanh, or the backward pass of either, which
# reads the activation's output from where the sum is to be stored: GATE (zero where it is not
# positive) or TANH_GATE (times 1 - out^2). They are np.int64 because Numba would compile a function
# again for each plain constant it is called with.
LINEAR, RELU, GATE, TANH, TANH_GATE = map(np.int64, range(5))
ACTIVATIONS = {"relu": (RELU, GATE), "tanh": (TANH, TANH_GATE)}  # forward, backward


@compiled(inner=True, allocates=False)
def tanh_in_place(x, at, stride, step, rows, columns):
    """Apply tanh to a tile that was just stored, see `tile_store`; `step` in elements.

    Unlike ReLU, it is not done in registers: there would be two dozen copies of it in every place
    where a tile ends, all of which take time to compile.
    """
    noinline()
    for r in range(rows):
        for p in range(columns):
            place = at + r * stride + p * step
            tile_store(tile_tanh(tile_load(x, place, 1, 1)), x, place, 0, 1)


@compiled(inner=True, allocates=False, inlined=True)
def tiles(rows, columns, x, at, patch, w, b, epilogue, out, filters, vectors):
    """Compute all tiles of one shape in a row; `filters` and `vectors` are (first, end)."""
    lanes = VECTOR_BYTES // x.itemsize
    outs, out_at, out_stride = out
    for v in range(vectors[0], vectors[1], columns):
        for o in range(filters[0], filters[1], rows):
            acc = tile_start(b, o, rows, columns)
            start, weight = at + v * lanes, o * patch.size
            for k in range(patch.size):
                acc = tile_correlate(acc, x, start + patch[k], 1, w, weight + k * rows, 1)
            to = out_at + o * out_stride + v * lanes
            if epilogue == RELU:
                acc = tile_relu(acc)
            tile_store(acc, outs, to, out_stride, 1)
            if epilogue == TANH:
                tanh_in_place(outs, to, out_stride, lanes, np.int64(rows), np.int64(columns))


@compiled(inner=True, allocates=False)
def shares(vectors, most):
    """Return up to which vector tiles are `most` wide, and up to which they are two wide.

    A tile one vector wide loads too much for what it computes: four are two pairs, not 3 + 1.
    """
    wide = vectors // most * most
    if most == 3 and vectors % most == 1 and wide > 0:
        wide -= most
    return wide, wide + (vectors - wide) // 2 * 2


@compiled(inner=True, allocates=False)
def convolve_row(x, at, patch, w, b, epilogue, out, vectors):
    """Compute `vectors` vectors of output for every filter: one row of a convolution.

    x, at, patch: entry k of the patch of output vector v lies at x[at + v L + patch[k]].
    w, b: weights as `pack_weights` lays them out, biases (O,). epilogue: LINEAR, RELU or TANH.
    out: (array, at, stride); vector v of filter o lies at array[at + o stride + v L].
    """
    noinline()
    full = b.size // ROWS * ROWS
    few = full + (b.size - full) // FEW * FEW
    wide, pairs = shares(vectors, COLUMNS)
    if full > 0:
        group = 0, full
        tiles(ROWS, COLUMNS, x, at, patch, w, b, epilogue, out, group, (0, wide))
        tiles(ROWS, 2, x, at, patch, w, b, epilogue, out, group, (wide, pairs))
        tiles(ROWS, 1, x, at, patch, w, b, epilogue, out, group, (pairs, vectors))
    if few > full:
        group, split = (full, few), vectors // FEW_COLUMNS * FEW_COLUMNS
        tiles(FEW, FEW_COLUMNS, x, at, patch, w, b, epilogue, out, group, (0, split))
        tiles(FEW, 1, x, at, patch, w, b, epilogue, out, group, (split, vectors))
    if b.size > few:
        group, split = (few, b.size), vectors // NARROW * NARROW
        tiles(ONE, NARROW, x, at, patch, w, b, epilogue, out, group, (0, split))
        tiles(ONE, 1, x, at, patch, w, b, epilogue, out, group, (split, vectors))


def pack_weights(w):
    """Return weights (O, ...), flat, in the order in which tiles read them.

    Filters come in groups of ROWS, then of FEW, then singly; within a group, one patch entry after
    the other, each with the weights of the group's filters.
    """
    w = w.reshape(w.shape[0], -1)
    full = w.shape[0] // ROWS * ROWS
    few = full + (w.shape[0] - full) // FEW * FEW
    parts = (w[:full], ROWS), (w[full:few], FEW), (w[few:], ONE)
    return np.concatenate(
        [part.reshape(-1, rows, w.shape[1]).transpose(0, 2, 1).reshape(-1) for part, rows in parts]
    )
