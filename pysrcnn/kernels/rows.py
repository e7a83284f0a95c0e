"""One row of any convolution, made of register tiles.

Axes: L lanes, the numbers of a vector; O filters.
"""

import numpy as np
from numba import literally

from .compile import compiled, noinline
from .tile import (
    tile_correlate,
    tile_gate,
    tile_load,
    tile_relu,
    tile_start,
    tile_store,
    tile_tanh,
    tile_tanh_gate,
)
from .vectors import COLUMNS, FEW, FEW_COLUMNS, NARROW, ONE, ROWS, VECTOR_BYTES

# What happens to a sum before it is stored. As np.int64 because Numba would compile everything that
# is called with a plain constant once for each value.
LINEAR, RELU, GATE, TANH, TANH_GATE = map(np.int64, range(5))
ONCE = np.int64(1), np.int64(0), np.int64(0)
ACTIVATIONS = {"relu": (RELU, GATE), "tanh": (TANH, TANH_GATE)}  # forward, backward


@compiled(inner=True, allocates=False)
def tanh_in_place(x, at, stride, step, rows, columns):
    """tanh of a tile that was just stored, see `tile_store`; `step` in elements.

    Not in registers as ReLU is: there would be two dozen copies of it in every place where a tile
    ends, all of which take their time to compile.
    """
    noinline()
    for r in range(rows):
        for p in range(columns):
            place = at + r * stride + p * step
            tile_store(tile_tanh(tile_load(x, place, 1, 1)), x, place, 0, 1)


@compiled(inner=True, allocates=False)
def tiles(
    rows, columns, step, out_step, x, at, patch, w, b, epilogue, out, filters, vectors, times
):
    """All tiles of one shape in a row; `filters` and `vectors` are (first, end).

    step, out_step: from one vector to the next, in vectors, in x and in `out`. All else is as for
    `convolve_rows`.
    """
    rows, columns = literally(rows), literally(columns)
    step, out_step = literally(step), literally(out_step)
    lanes = VECTOR_BYTES // x.itemsize
    outs, out_at, out_stride = out
    count, x_apart, out_apart = times
    for i in range(count):
        for v in range(vectors[0], vectors[1], columns):
            for o in range(filters[0], filters[1], rows):
                acc = tile_start(b, o, rows, columns)
                start = at + i * x_apart + v * step * lanes
                weight = o * patch.size
                for k in range(patch.size):
                    acc = tile_correlate(acc, x, start + patch[k], step, w, weight + k * rows, 1)
                to = out_at + i * out_apart + o * out_stride + v * out_step * lanes
                if epilogue == RELU:
                    acc = tile_relu(acc)
                elif epilogue == GATE:
                    acc = tile_gate(acc, outs, to, out_stride, out_step)
                elif epilogue == TANH_GATE:
                    acc = tile_tanh_gate(acc, outs, to, out_stride, out_step)
                tile_store(acc, outs, to, out_stride, out_step)
                if epilogue == TANH:
                    tanh_in_place(outs, to, out_stride, out_step * lanes, rows, columns)


@compiled(inner=True, allocates=False)
def convolve_row(x, at, patch, w, b, epilogue, out, vectors):
    """`vectors` vectors of output for every filter: one row of a convolution.

    x, at, patch: entry k of the patch of output vector v lies at x[at + v L + patch[k]].
    w, b: weights as `pack_weights` lays them out, biases (O,).
    epilogue: LINEAR, RELU, TANH, or what goes back through the last two from their output, which
    `out` holds and which is overwritten: GATE (zero where that is not positive) or TANH_GATE (times
    1 - out^2).
    out: (array, at, stride); vector v of filter o lies at array[at + o stride + v L].
    """
    convolve_rows(x, at, patch, w, b, epilogue, out, vectors, ONCE)


@compiled(inner=True, allocates=False)
def convolve_rows(x, at, patch, w, b, epilogue, out, vectors, times):
    """`convolve_row` for several rows with the same weights.

    times: (count, elements from row to row in x, the same in `out`). One call takes as long as the
    sums of a short row of a short patch.
    """
    noinline()
    full = b.size // ROWS * ROWS
    few = full + (b.size - full) // FEW * FEW
    # A tile one vector wide fetches too much for what it does, so what fills no tile of COLUMNS
    # vectors is done in pairs, for which one tile may have to be given up (COLUMNS is 3).
    wide = max(vectors // COLUMNS - (vectors % COLUMNS) % 2, 0) * COLUMNS
    pairs = wide + (vectors - wide) // 2 * 2
    if full > 0:
        group = 0, full
        tiles(ROWS, COLUMNS, 1, 1, x, at, patch, w, b, epilogue, out, group, (0, wide), times)
        tiles(ROWS, 2, 1, 1, x, at, patch, w, b, epilogue, out, group, (wide, pairs), times)
        tiles(ROWS, 1, 1, 1, x, at, patch, w, b, epilogue, out, group, (pairs, vectors), times)
    if few > full:
        group, split = (full, few), vectors // FEW_COLUMNS * FEW_COLUMNS
        tiles(FEW, FEW_COLUMNS, 1, 1, x, at, patch, w, b, epilogue, out, group, (0, split), times)
        tiles(FEW, 1, 1, 1, x, at, patch, w, b, epilogue, out, group, (split, vectors), times)
    if b.size > few:
        group, split = (few, b.size), vectors // NARROW * NARROW
        tiles(ONE, NARROW, 1, 1, x, at, patch, w, b, epilogue, out, group, (0, split), times)
        tiles(ONE, 1, 1, 1, x, at, patch, w, b, epilogue, out, group, (split, vectors), times)


def pack_weights(w):
    """Weights (O, ...) in the order in which tiles read them: flat.

    Filters in groups of ROWS, then of FEW, then single; within a group one patch entry after the
    other, for each the weights of the group's filters.
    """
    w = w.reshape(w.shape[0], -1)
    full = w.shape[0] // ROWS * ROWS
    few = full + (w.shape[0] - full) // FEW * FEW
    parts = (w[:full], ROWS), (w[full:few], FEW), (w[few:], ONE)
    return np.concatenate(
        [part.reshape(-1, rows, w.shape[1]).transpose(0, 2, 1).reshape(-1) for part, rows in parts]
    )
