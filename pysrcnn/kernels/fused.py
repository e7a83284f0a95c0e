"""The whole network on pictures, fused: no feature map of the whole picture ever exists.

Map 0 is the picture, map k the output of layer k. The picture is divided into strips (columns) and
bands (rows) that share nothing, so the result is the same for any number of threads. Within a strip
all layers advance together: by a row, or by the rows of a tile where `winograd` is used.

Of each map only the rows that the next layer reads are kept, in a ring: row r lies in slot
r mod slots. The lanes of a vector are pixels of a row. Pixel P t + p of a row lies at [p][t], in
plane p of P "phases" (P is 4 if `winograd` computes a layer four pixels at a time, else 1), so that
whole vectors are loaded and stored everywhere and nothing is ever shuffled. Beyond the edges of the
picture a map repeats its outermost pixels, as the authors do, or is zero. To the left and right
these pixels are written out; above and below, the patch points to the outermost row again, or to a
row of zeros.

A last layer of few filters is computed in two halves, because a tile needs several filters: first
its f rows of weights, as f filters of a single row each (map K: c f "partial sums"), then the sum
of these, each taken from its own row.

Axes: N samples, C channels, H x W pixels, L lanes; layers 1..K, maps 0..K.
"""

import itertools

import numpy as np

from . import layout
from .blocks import block_of, convolve_block
from .compile import compiled
from .inputs import network_input, one_of
from .memory import empty
from .parts import PAIR, convolve_parts, places_between
from .rows import ACTIVATIONS, LINEAR, convolve_row
from .threads import count, share
from .vectors import VECTOR_BYTES

# Fewest and most rows of output in a task. Each task recomputes a few rows of the first maps, so
# tasks should not be small, but large ones make threads wait for each other.
BANDS = 32, 256


@compiled(inner=True)
def _slot(r, height, slots, zeros):
    """Return the slot of row r of a map or, beyond the picture, of the row that stands for it."""
    if zeros and not 0 <= r < height:
        return slots
    return min(max(r, 0), height - 1) % slots


# Functions that make arrays count references at each access to a field of a `Stack`, and to all of
# its arrays at each call with it. Done for each row, that took more time than the work on the row,
# most of all where several threads count. They run once for several rows, and what runs for each
# row makes none.


@compiled(inner=True)
def _places(stack, m, r, height):
    """Return offsets in the ring of map m: of the rows and columns that map m + 1 is made from.

    They begin with those for the first pixel of row r of map m + 1; a group needs group - 1 more.
    """
    channels, f, g, group = stack.channels[m], stack.height[m], stack.width[m], stack.group
    plane, shift, slots, zeros = stack.plane[m], stack.shift[m], stack.slots[m], stack.zeros
    rows, columns = np.empty(f + group - 1, np.int64), np.empty(g + group - 1, np.int64)
    for u in range(rows.size):
        rows[u] = _slot(r + u - f // 2, height, slots, zeros) * channels * group * plane
    for v in range(columns.size):
        columns[v] = (shift + v) % group * plane + (shift + v) // group
    return rows, columns


@compiled(inner=True, allocates=False, inlined=True)
def _fill_row(ring, x, r, stack, k, first, columns):
    """Complete row r of map k from column `first`: copy x if k is 0, and fill the edges."""
    at = stack.start[k] + r % stack.slots[k] * stack.channels[k] * stack.group * stack.plane[k]
    if k == 0:
        _copy_row(ring, at, x, r, stack, first, columns)
    _fill_edges(ring, at, stack, k, first, columns, x.shape[2])


@compiled(inner=True, allocates=False, inlined=True)
def _copy_row(ring, at, x, r, stack, first, columns):
    """Copy row r of the picture x (C, H, W), from column `first`, as far as x extends."""
    phases, plane = stack.group, stack.plane[0]
    begin, end = max(-first, 0), min(x.shape[2] - first, columns)
    for c in range(x.shape[0]):
        for p in range(phases):
            j = begin + (p - begin) % phases
            to = at + (c * phases + p) * plane + j // phases
            for t in range((end - j + phases - 1) // phases):
                ring[to + t] = x[c, r, first + j + t * phases]


@compiled(inner=True, allocates=False, inlined=True)
def _fill_edges(ring, at, stack, k, first, columns, width):
    """Fill what the next layer reads outside a picture `width` wide, in a row from `first` on.

    The last tile of a row is computed whole, so pixels beyond the row affect the last pixel wanted:
    only by rounding, but the same task must give the same bits.
    """
    channels, group, plane, zeros = stack.channels[k], stack.group, stack.plane[k], stack.zeros
    seen = stack.width[k] // 2 if k < stack.width.size else 0
    left, right = -first, width - 1 - first  # the outermost pixels of the picture
    for j in range(max(0, left - seen), left):
        _fill_column(ring, at, channels, group, plane, zeros, left, j)
    end = min(right + seen + 1, columns)
    for j in range(min(right + 1, end), end + group - 1):
        _fill_column(ring, at, channels, group, plane, zeros or j >= end, right, j)


@compiled(inner=True, allocates=False)
def _fill_column(ring, at, channels, phases, plane, zeros, source, to):
    """Copy one pixel of a row to another place in it, or put zero there, in all channels."""
    source = at + source % phases * plane + source // phases
    to = at + to % phases * plane + to // phases
    for c in range(channels):
        if zeros:
            ring[to + c * phases * plane] = 0
        else:
            ring[to + c * phases * plane] = ring[source + c * phases * plane]


@compiled(inner=True, inlined=True)
def _layer_directly(ring, stack, k, place, epilogue):
    """Compute the rows of a group of map k from map k - 1 by direct sums.

    place: (r, height, skip, vectors): the first row of the group, rows of the picture, groups of
    columns left out on the left, and vectors of a row to compute.
    """
    m, group = k - 1, stack.group
    r, height, skip, vectors = place
    f, g, channels, plane = stack.height[m], stack.width[m], stack.channels[m], stack.plane[m]
    start, out_plane = stack.start[m] + skip, stack.plane[k]
    w = stack.weights[stack.at_weights[m] :]
    b = stack.bias[stack.at_bias[m] :][: stack.channels[k]]
    rows, columns = _places(stack, m, r, height)
    patch = np.empty(channels * f * g, np.int64)
    for i in range(max(0, -r), min(group, height - r)):
        to = stack.start[k] + (r + i) % stack.slots[k] * b.size * group * out_plane + skip
        for phase in range(group):
            for c in range(channels):
                for u in range(f):
                    for v in range(g):
                        pixel = c * group * plane + rows[i + u] + columns[phase + v]
                        patch[(c * f + u) * g + v] = pixel
            out = (ring, to + phase * out_plane, group * out_plane)
            convolve_row(ring, start, patch, w, b, epilogue, out, vectors)


@compiled(inner=True, inlined=True)
def _layer_by_tiles(taps, n, parts, hidden, ring, stack, k, place, epilogue):
    """Compute the same with `blocks`, or with `parts`, which may include a 1 x 1 layer after it.

    Rows beyond the picture are computed too; nothing reads their slots.
    """
    m, group, lanes = k - 1, stack.group, VECTOR_BYTES // ring.itemsize
    r, height, skip, vectors = place
    start, plane, slots = stack.start[k] + skip, stack.plane[k], stack.slots[k]
    b = stack.bias[stack.at_bias[m] :][: stack.channels[k]]
    out_rows, out_columns = np.empty(group, np.int64), np.empty(group, np.int64)
    for i in range(group):
        out_rows[i] = (r + i) % slots * b.size * group * plane
        out_columns[i] = i * plane
    rows, columns = _places(stack, m, r, height)
    channels, apart = stack.channels[m], group * stack.plane[m]
    w = stack.weights, stack.at_weights[m]
    alone = stack.weights, stack.at_weights[m], b
    first = stack.weights, stack.at_weights[m], stack.bias[stack.at_bias[m] :][: stack.hidden]
    between = places_between(stack.hidden, lanes)  # of no maps, in most networks
    second = stack.weights, stack.at_weights[-1], stack.bias[stack.at_bias[-1] :], between
    v = 0
    while v < vectors:
        count = block_of(vectors - v) if parts is None else min(PAIR, vectors - v)
        at = stack.start[m] + skip + v * lanes
        source = ring, at, rows, columns, channels, apart
        out = ring, start + v * lanes, out_rows, out_columns, group * plane
        scratch = ring, stack.scratch, lanes
        if hidden is not None:
            convolve_parts(source, first, second, epilogue, out, count, scratch)
        elif parts is not None:
            convolve_parts(source, alone, None, epilogue, out, count, scratch)
        else:
            convolve_block(taps, n, source, w, b, epilogue, out, count, scratch)
        v += count


@compiled(inner=True, allocates=False)
def _fold_row(ring, stack, shuffle, out, bias, r, height, row, columns, total):
    """Compute row r of the output, the sum of partial sums that are each taken from their own row.

    r counts in the picture; row, columns (first, end): in `out` (C, H', W') before the shuffle.
    total: memory for a plane.
    """
    k, phases, s = stack.width.size, stack.group, shuffle
    f, plane, channels = stack.fold, stack.plane[k], stack.channels[k]
    start, zeros, slots = stack.start[k], stack.zeros, stack.slots[k]
    for c in range(bias.size):
        line = out[c // s**2, row * s + c % s**2 // s]
        for p in range(phases):
            total[:] = bias[c]
            for u in range(f):
                slot = _slot(r + u - f // 2, height, slots, zeros)
                begin = start + ((slot * channels + c * f + u) * phases + p) * plane
                for t in range(plane):
                    total[t] += ring[begin + t]
            pixels = line[(columns[0] + p) * s + c % s : columns[1] * s : phases * s]
            for t in range(pixels.size):
                pixels[t] = total[t]


@compiled()
def _strip(x, out, bias, stack, shuffle, threes, fives, parts, hidden, rows, columns, offset, ring):
    """Compute some rows and columns (first, end) of the output for one picture (C, H, W).

    out: (C, H', W'); its pixel (0, 0) is the picture's (offset, offset). shuffle: s, or 1. bias: of
    the last layer. ring: scratch memory of `stack.size` elements. threes ... hidden: see
    `layout.kinds_of`.
    """
    _, height, width = x.shape
    (top, bottom), (left, right) = rows, columns
    lanes = VECTOR_BYTES // x.itemsize
    layers, group = stack.width.size, stack.group
    total = np.empty(stack.plane[-1], x.dtype)
    for i in range(top + stack.begin[0], bottom, group):
        for k in range(layers + 1):
            r = i + stack.lead[k]
            if i < top + stack.begin[k] or r + group <= 0 or r >= height:
                continue
            first = left - stack.margin[k]
            wide = right + stack.margin[k] - first
            # As far as groups allow, nothing is computed outside the picture.
            skip = max(-first, 0) // group
            inside = min(wide, width - first) - skip * group
            vectors = (inside + group * lanes - 1) // (group * lanes)
            if k > 0:
                taps, size = stack.taps[k - 1], stack.width[k - 1]
                epilogue = stack.activation if k < layers else LINEAR
                place = r, height, skip, vectors
                if taps == 0:
                    _layer_directly(ring, stack, k, place, epilogue)
                if threes is not None and taps == size == 3:
                    _layer_by_tiles(3, 6, None, None, ring, stack, k, place, epilogue)
                if fives is not None and taps == 5:
                    _layer_by_tiles(5, 8, None, None, ring, stack, k, place, epilogue)
                if hidden is not None and k == 1:
                    _layer_by_tiles(3, 6, True, True, ring, stack, k, place, epilogue)
                elif parts is not None and size > taps > 0:
                    _layer_by_tiles(3, 6, True, None, ring, stack, k, place, epilogue)
            for row in range(max(r, 0), min(r + group, height)):
                _fill_row(ring, x, row, stack, k, first, wide)
        for r in range(max(i, top), min(i + group, bottom)):
            to = r - offset, (left - offset, right - offset)
            _fold_row(ring, stack, shuffle, out, bias, r, height, *to, total)


PADDINGS = "valid", "replicate", "zeros"


def forward(x, layers, padding, activation="relu", shuffle=1):
    """See `reference.forward`. Uses `winograd` for 3 x 3, 5 x 5 and (in parts) 9 x 9 if it pays.

    In float32 every pixel is within about 1e-5 of the direct sum, `direct.forward`.
    """
    return _forward(x, layers, padding, activation, shuffle, layout.group_of(layers))


def forward_direct(x, layers, padding, activation="relu", shuffle=1):
    """See `reference.forward`. Uses direct sums for every layer."""
    return _forward(x, layers, padding, activation, shuffle, 1)


def _forward(x, layers, padding, activation, shuffle, group):
    one_of("padding", padding, PADDINGS)
    one_of("activation", activation, ACTIVATIONS)
    x, layers = network_input(x, layers, room=padding == "valid")
    margin = sum(w.shape[2] // 2 for w, _ in layers) if padding == "valid" else 0
    epilogue = ACTIVATIONS[activation][0]
    n, maps, s = len(x), len(layers[-1][0]), shuffle
    if s < 1:
        raise ValueError(f"shuffle is {s}, wanted 1 or more")
    if maps % s**2:
        raise ValueError(f"a shuffle by {s} needs a multiple of {s**2} filters, not {maps}")
    height, width = (side - 2 * margin for side in x.shape[2:])
    out = np.empty((n, maps // s**2, s * height, s * width), x.dtype)
    bias = layers[-1][1]
    columns = layout.columns_of_strips(layers, group, width)
    stack = layout.stack_of(layers, group, columns, epilogue, padding == "zeros")
    kinds = layout.kinds_of(stack)

    def work(tasks):
        ring = empty((stack.size,), x.dtype)
        ring[:] = 0  # what a tile reads beyond a row must be a number
        for sample, top, left in tasks:
            bottom, right = min(top + band, height), min(left + columns, width)
            rows, cols = (margin + top, margin + bottom), (margin + left, margin + right)
            to = x[sample], out[sample], bias, stack, s
            _strip(*to, *kinds, rows, cols, margin, ring)

    lefts = range(0, width, columns)
    rows_a_thread = -(-n * len(lefts) * height // count())
    band = min(max(rows_a_thread, BANDS[0]), BANDS[1])
    band = -(-band // group) * group
    share(itertools.product(range(n), range(0, height, band), lefts), work)
    return out
