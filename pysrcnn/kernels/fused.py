"""The whole network on pictures, fused: no feature map of the whole picture ever exists.

Map 0 is the picture, map k the output of layer k. The picture is done in strips (columns) and
bands (rows) that share nothing, so that the result is the same for any number of threads; within a
strip, all layers advance together, row by row.

Of each map only as many rows exist as the next layer reads, in a ring: row r lies in slot
r mod slots. The lanes of a vector are pixels of a row; pixel P t + p of a row lies at [p][t], in
plane p of P "phases" (P is 1, or 4 where a layer is computed four pixels at a time by `winograd`),
so that whole vectors are read and written everywhere and nothing is ever shuffled. Beyond the edges
of the picture a map repeats its own outermost pixels, as the authors do, or is zero: to the left
and right that is written out, above and below the patch just points to the outermost row again, or
to a row of zeros.

A last layer of few filters is done in two halves, because a tile wants several and there are one or
three: first its f rows of weights as f filters of a single row each (map K: c f "partial
sums"), then their sum, each taken from the row it belongs to.

Axes: N samples, C channels, H x W pixels, L lanes; layers 1..K, maps 0..K.
"""

import itertools

import numpy as np

from . import layout, winograd
from .compile import compiled
from .inputs import network_input, one_of
from .memory import aligned
from .rows import ACTIVATIONS, LINEAR, convolve_row, convolve_rows
from .threads import count, share
from .vectors import VECTOR_BYTES

# Rows of output a task, which makes a few rows of the first maps anew: at most so many, so that no
# thread waits long for another, and no fewer if there are threads for more.
BANDS = 32, 256


@compiled(inner=True)
def _slot(r, height, slots, zeros):
    """In which of so many slots row r of a map lies; beyond the picture, what stands for it."""
    if zeros and not 0 <= r < height:
        return slots
    return min(max(r, 0), height - 1) % slots


# Fields of a `Stack` are taken before the loops: each look at one counts a reference, which costs
# more than what these loops do.


@compiled(inner=True)
def _direct_patch(stack, m, r, height, phase):
    """Where the patches of row r of map m + 1 lie in the ring of map m, for pixels of a phase."""
    channels, f, g, phases = stack.channels[m], stack.height[m], stack.width[m], stack.phases
    plane, shift, slots, zeros = stack.plane[m], stack.shift[m], stack.slots[m], stack.zeros
    patch = np.empty(channels * f * g, np.int64)
    for u in range(f):
        slot = _slot(r + u - f // 2, height, slots, zeros) * channels * phases * plane
        for v in range(g):
            p, t = (phase + shift + v) % phases, (phase + shift + v) // phases
            for c in range(channels):
                patch[(c * f + u) * g + v] = slot + (c * phases + p) * plane + t
    return patch


@compiled(inner=True)
def _points_patch(stack, m, r, height):
    """The same for the transformed rows of map m at the first point: channels x filter rows.

    The rows of all channels at one point lie together, in few pages of memory.
    """
    channels, f, plane = stack.channels[m], stack.height[m], stack.plane_points[m]
    points, zeros = stack.points[m], stack.zeros
    patch = np.empty(channels * f, np.int64)
    for u in range(f):
        slot = _slot(r + u - f // 2, height, f, zeros) * points * channels
        for c in range(channels):
            patch[c * f + u] = (slot + c) * plane
    return patch


@compiled(inner=True)
def _fill_row(ring, at, x, r, stack, first, columns):
    """Copy row r of the picture x (C, H, W), from column `first`, as far as there is a picture."""
    phases, plane = stack.phases, stack.plane[0]
    begin, end = max(-first, 0), min(x.shape[2] - first, columns)
    for c in range(x.shape[0]):
        for p in range(phases):
            to = at + (c * phases + p) * plane
            for j in range(begin + (p - begin) % phases, end, phases):
                ring[to + j // phases] = x[c, r, first + j]


@compiled(inner=True)
def _fill_edges(ring, at, stack, k, first, columns, width):
    """Fill what lies outside a picture `width` wide in a row of map k that begins at `first`."""
    channels, phases, plane, zeros = stack.channels[k], stack.phases, stack.plane[k], stack.zeros
    left, right = -first, width - 1 - first  # the outermost pixels of the picture
    for j in range(left):
        _fill_column(ring, at, channels, phases, plane, zeros, left, j)
    for j in range(right + 1, columns):
        _fill_column(ring, at, channels, phases, plane, zeros, right, j)


@compiled(inner=True)
def _fill_column(ring, at, channels, phases, plane, zeros, source, to):
    """Copy one pixel of a row to another place in it, or put zero there, in all channels."""
    source = at + source % phases * plane + source // phases
    to = at + to % phases * plane + to // phases
    for c in range(channels):
        if zeros:
            ring[to + c * phases * plane] = 0
        else:
            ring[to + c * phases * plane] = ring[source + c * phases * plane]


@compiled(inner=True)
def _layer_row(ring, at, stack, k, r, height, skip, vectors, epilogue):
    """Row r of map k from map k - 1, by the direct sum, without its first `skip` groups."""
    m = k - 1
    w = stack.weights[stack.at_weights[m] :]
    b = stack.bias[stack.at_bias[m] :][: stack.channels[k]]
    for phase in range(stack.phases):
        patch = _direct_patch(stack, m, r, height, phase)
        out = (ring, at + phase * stack.plane[k] + skip, stack.phases * stack.plane[k])
        convolve_row(ring, stack.start[m] + skip, patch, w, b, epilogue, out, vectors)


@compiled(inner=True)
def _transform_row(ring, at, stack, m, r, columns, vectors):
    """B: the row of map m at `at`, so many columns wide, becomes row r of its transformed rows."""
    n, plane, phases = stack.points[m], stack.plane_points[m], stack.phases
    channels, pixels = stack.channels[m], stack.plane[m]
    # The last four outputs are computed together, wanted or not, and so the last one wanted depends
    # on the pixels beyond the row; by rounding alone, but the same task must give the same bits.
    for c in range(channels):
        for j in range(columns, columns + phases - 1):
            ring[at + (c * phases + j % phases) * pixels + j // phases] = 0
    patch = np.empty(n, np.int64)
    for i in range(n):
        j = stack.shift[m] + i
        patch[i] = j % phases * pixels + j // phases
    matrix = stack.weights[stack.at_forth[m] :]
    zero = np.zeros(n, ring.dtype)
    start = stack.start_points[m] + r % stack.height[m] * channels * n * plane
    to = (ring, start, channels * plane)
    times = channels, phases * pixels, plane
    convolve_rows(ring, at, patch, matrix, zero, LINEAR, to, vectors, times)


@compiled(inner=True)
def _layer_row_by_points(ring, at, stack, k, r, height, skip, vectors):
    """The same from the transformed rows of map k - 1: products, A, activation."""
    m = k - 1
    n, plane, filters = stack.points[m], stack.plane_points[m], stack.channels[k]
    products = stack.start_products[m]
    zero = np.zeros(filters, ring.dtype)
    channels = stack.channels[m]
    size = filters * channels * stack.height[m]
    patch = _points_patch(stack, m, r, height)
    for i in range(n):
        w = stack.weights[stack.at_weights[m] + i * size :]
        to = (ring, products + i * plane, n * plane)
        source = stack.start_points[m] + i * channels * plane + skip
        convolve_row(ring, source, patch, w, zero, LINEAR, to, vectors)

    outputs, pixels = stack.phases, stack.plane[k]  # 4 outputs of a filter, one for each phase
    activation = stack.activation
    patch = np.empty(layout.TOGETHER * n, np.int64)
    for i in range(patch.size):
        patch[i] = i * plane
    both = stack.weights[stack.at_back[m] :]
    single = both[layout.TOGETHER * outputs * layout.TOGETHER * n :]
    bias = stack.bias[stack.at_bias[m] :]
    o = 0
    while o < filters:
        g = layout.TOGETHER if o + layout.TOGETHER <= filters else 1
        matrix = both if g == layout.TOGETHER else single
        b = bias[o * outputs : (o + g) * outputs]
        to = (ring, at + skip + o * outputs * pixels, pixels)
        source = products + o * n * plane
        convolve_row(ring, source, patch[: g * n], matrix, b, activation, to, vectors)
        o += g


@compiled(inner=True)
def _fold_row(ring, stack, out, bias, r, height):
    """One row of output (C, W) as the sum of partial sums, each from the row it belongs to."""
    k, phases = stack.width.size, stack.phases
    f, plane, channels = stack.fold, stack.plane[k], stack.channels[k]
    start, zeros = stack.start[k], stack.zeros
    total = np.empty(plane, ring.dtype)
    for c in range(out.shape[0]):
        for p in range(phases):
            total[:] = bias[c]
            for u in range(f):
                slot = _slot(r + u - f // 2, height, f, zeros)
                begin = start + ((slot * channels + c * f + u) * phases + p) * plane
                for t in range(plane):
                    total[t] += ring[begin + t]
            pixels = out[c, p::phases]
            for t in range(pixels.size):
                pixels[t] = total[t]


@compiled()
def _strip(x, out, bias, stack, transforms, rows, columns, offset, ring):
    """These rows and columns (first, end) of the network's output for one picture (C, H, W).

    out: (C, H', W'), whose pixel (0, 0) is the picture's (offset, offset).
    bias: of the last layer. ring: scratch of `stack.size` elements.
    transforms: True, or None if no layer has one, and then nothing of them is compiled.
    """
    _, height, width = x.shape
    (top, bottom), (left, right) = rows, columns
    lanes = VECTOR_BYTES // x.itemsize
    layers, phases = stack.width.size, stack.phases

    # While row i of the output is made, map k is at row i + lead[k]: just what map k + 1 reads.
    lead = np.empty(layers + 1, np.int64)
    lead[layers] = stack.fold // 2
    for k in range(layers, 0, -1):
        lead[k - 1] = lead[k] + stack.height[k - 1] // 2

    for i in range(top - 2 * lead[0], bottom):
        for k in range(layers + 1):
            r = i + lead[k]
            if r < max(0, top - lead[k]) or r >= height:
                continue
            first = left - stack.margin[k]
            wide = right + stack.margin[k] - first
            # Nothing is computed outside the picture, as far as groups of phases allow that.
            skip = max(-first, 0) // phases
            inside = min(wide, width - first) - skip * phases
            vectors = (inside + phases * lanes - 1) // (phases * lanes)
            slot = stack.channels[k] * phases * stack.plane[k]
            at = stack.start[k] + r % stack.slots[k] * slot
            if k == 0:
                _fill_row(ring, at, x, r, stack, first, wide)
            elif stack.points[k - 1] == 0:
                epilogue = stack.activation if k < layers else LINEAR
                _layer_row(ring, at, stack, k, r, height, skip, vectors, epilogue)
            elif transforms is not None:
                _layer_row_by_points(ring, at, stack, k, r, height, skip, vectors)
            _fill_edges(ring, at, stack, k, first, wide, width)
            if transforms is not None:
                if k < layers and stack.points[k] > 0:
                    next_columns = right - left + 2 * stack.margin[k + 1]
                    next_vectors = (next_columns + phases * lanes - 1) // (phases * lanes)
                    _transform_row(ring, at, stack, k, r, wide, next_vectors)
        if i >= top:
            row = out[:, i - offset, left - offset : right - offset]
            _fold_row(ring, stack, row, bias, i, height)


PADDINGS = "valid", "replicate", "zeros"


def forward(x, layers, padding, activation="relu"):
    """See `reference.forward`. Middle layers of 3 x 3 and 5 x 5 by `winograd` where it pays.

    In float32 every pixel is within about 1e-5 of the direct sum, `direct.forward`.
    """
    fast = any(winograd.pays(layers, k) for k in range(len(layers)))
    return _forward(x, layers, padding, activation, winograd.OUTPUTS if fast else 1)


def forward_direct(x, layers, padding, activation="relu"):
    """See `reference.forward`: the same sums, each product computed."""
    return _forward(x, layers, padding, activation, 1)


def _forward(x, layers, padding, activation, phases):
    one_of("padding", padding, PADDINGS)
    one_of("activation", activation, ACTIVATIONS)
    x, layers = network_input(x, layers, room=padding == "valid")
    margin = sum(w.shape[2] // 2 for w, _ in layers) if padding == "valid" else 0
    epilogue = ACTIVATIONS[activation][0]
    n, _, height, width = x.shape
    out = np.empty((n, layers[-1][0].shape[0], height - 2 * margin, width - 2 * margin), x.dtype)
    bias = layers[-1][1]
    columns = layout.columns_of_strips(layers, phases, out.shape[3])
    stack = layout.stack_of(layers, phases, columns, epilogue, padding == "zeros")
    transforms = True if stack.points.any() else None

    def work(tasks):
        ring = aligned((stack.size,), x.dtype)
        ring[:] = 0  # what a tile reads beyond a row must be a number
        for sample, top, left in tasks:
            bottom, right = min(top + band, out.shape[2]), min(left + columns, out.shape[3])
            rows, cols = (margin + top, margin + bottom), (margin + left, margin + right)
            _strip(x[sample], out[sample], bias, stack, transforms, rows, cols, margin, ring)

    lefts = range(0, out.shape[3], columns)
    rows_a_thread = -(-n * len(lefts) * out.shape[2] // count())
    band = min(max(rows_a_thread, BANDS[0]), BANDS[1])
    share(itertools.product(range(n), range(0, out.shape[2], band), lefts), work)
    return out
