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

The last layer is done in two halves, because a tile wants several filters and the last layer has
one or three: first its f rows of weights as f filters of a single row each (map K: c f "partial
sums"), then their sum, each taken from the row it belongs to.

Axes: N samples, C channels, H x W pixels, L lanes; layers 1..K, maps 0..K.
"""

import itertools
from collections import namedtuple

import numpy as np

from . import winograd
from .inputs import network_input, one_of
from .memory import aligned
from .threads import count, share
from .tile import ACTIVATIONS, LINEAR, ROWS, VECTOR_BYTES, compiled, convolve_row, pack_weights

_Stack = namedtuple(
    "_Stack",
    "phases weights at_weights at_forth at_back bias at_bias channels height width margin shift "
    "slots points start plane start_points plane_points start_products size activation zeros",
)
_Stack.__doc__ = """A network and the memory it works in, as flat arrays, for `_strip`.

phases: pixels 0..phases - 1 of a group lie in planes of their own.
weights, bias: of all layers; at_*[k]: where those of layer k + 1 begin; for a layer by `winograd`
also at_forth, where its matrix B begins, and at_back, where A does.
height, width [k]: of the filters of layer k + 1 (the last: 1, f).
channels, slots [k]: of map k; margin [k]: its columns on either side of the output's; shift [k]:
how many of them lie before the first that map k + 1 reads.
points [k]: n of the transform of layer k + 1, or 0 for the direct sum.
start, plane [k]: where map k's ring begins, and elements a plane; start_points, plane_points [k]
likewise for the transformed rows of map k; start_products: of A's input. size: of all together.
activation: the epilogue of all layers but the last. zeros: whether there are zeros beyond the edges
of the picture; then every ring has one slot more, which holds a row of them.
"""

# Rows of output a task, which makes a few rows of the first maps anew: at most so many, so that no
# thread waits long for another, and no fewer if there are threads for more.
BANDS = 32, 256
# At most so many columns of the first feature map a strip, for 1 or 4 phases. Wider strips repeat
# fewer columns, but what they keep of all maps has to fit into the second cache.
WIDE = {1: 1152, 4: 576}


def _columns(layers, phases, width):
    """Columns of output a strip: at most what WIDE allows, and such that tiles are used well.

    Strips repeat the columns between them, which is taken to cost as much as a vector a row. The
    width is chosen by what the first feature map costs, where the most work is.
    """
    margin = 2 * _margins(layers, phases)[1]
    group = phases * VECTOR_BYTES // layers[0][0].itemsize

    def cost(columns):
        return -(-(columns + margin) // group) + 1 if columns else 0

    most = min(max(WIDE[phases] - margin, 32), width)
    widths = [most, *(v * group - margin for v in range(1, WIDE[phases] // group + 1))]
    fitting = [columns for columns in widths if min(32, most) <= columns <= most]
    return min(fitting, key=lambda c: width // c * cost(c) + cost(width % c))


def _margins(layers, phases):
    """Columns of each map on either side of the output's: what the next layers read, and as many
    more as make whole groups of phases."""
    margins = [0]
    for w, _ in reversed(layers):
        margins.append(-(-(margins[-1] + w.shape[2] // 2) // phases) * phases)
    return margins[::-1]


def _stack(layers, phases, columns, activation, zeros):
    """The network laid out for strips of so many columns of output."""
    count = len(layers)
    dtype = layers[0][0].dtype
    lanes = VECTOR_BYTES // dtype.itemsize
    sizes = [w.shape[2] for w, _ in layers]
    weights, bias, forth, back, points = [], [], [], [], []
    for k, (w, b) in enumerate(layers):
        forth.append(np.empty(0))
        back.append(np.empty(0))
        if k == count - 1:
            c, n, f, _ = w.shape
            weights.append(pack_weights(w.transpose(0, 2, 1, 3).reshape(c * f, n * f)))
            bias.append(np.zeros(c * f))
            points.append(0)
        elif phases > 1 and winograd.pays(layers, k):
            a, g, b_matrix = winograd.matrices(w.shape[2])
            transformed = np.einsum("iv,ocuv->iocu", g, w.astype(np.float64))
            weights.append(np.concatenate([pack_weights(t) for t in transformed]))
            forth[-1] = pack_weights(b_matrix)
            back[-1] = np.concatenate([pack_weights(np.kron(np.eye(m), a)) for m in (_TOGETHER, 1)])
            bias.append(np.concatenate([b.repeat(winograd.OUTPUTS)]))
            points.append(len(b_matrix))
        else:
            weights.append(pack_weights(w))
            bias.append(b)
            points.append(0)
    pieces = [*weights, *forth, *back]
    places = np.cumsum([0] + [piece.size for piece in pieces])[:-1].reshape(3, count)

    channels = [w.shape[1] for w, _ in layers] + [c * f]
    slots = [1 if n else s for n, s in zip(points, sizes[:-1] + [1], strict=True)] + [f]
    margin = _margins(layers, phases)
    shift = [margin[k] - margin[k + 1] - sizes[k] // 2 for k in range(count)]

    def whole(elements):
        return -(-elements // lanes) * lanes

    # A plane has a vector to spare: a filter's last tap reads up to f - 1 pixels further.
    plane = [whole(-(-(columns + 2 * m) // phases)) + lanes for m in margin]
    plane_points = [plane[k + 1] - lanes if points[k] else 0 for k in range(count)]
    more = int(zeros)
    regions = [(s + more) * c * phases * p for s, c, p in zip(slots, channels, plane, strict=True)]
    regions += [(sizes[k] + more) * channels[k] * points[k] * plane_points[k] for k in range(count)]
    regions += [channels[k + 1] * points[k] * plane_points[k] for k in range(count)]
    starts = np.cumsum([0, *regions])
    return _Stack(
        phases=phases,
        weights=np.concatenate(pieces).astype(dtype),
        at_weights=places[0],
        at_forth=places[1],
        at_back=places[2],
        bias=np.concatenate(bias).astype(dtype),
        at_bias=np.cumsum([0] + [b.size for b in bias])[:-1],
        channels=np.array(channels),
        height=np.array(sizes[:-1] + [1]),
        width=np.array(sizes),
        margin=np.array(margin),
        shift=np.array(shift),
        slots=np.array(slots),
        points=np.array(points),
        start=starts[: count + 1],
        plane=np.array(plane),
        start_points=starts[count + 1 : 2 * count + 1],
        plane_points=np.array(plane_points),
        start_products=starts[2 * count + 1 : 3 * count + 1],
        size=int(starts[-1]) + 8 * lanes,  # a tile of a single filter may read so far
        activation=activation,
        zeros=zeros,
    )


# Filters whose A is applied by one tile: A has 4 rows, a tile ROWS.
_TOGETHER = max(1, ROWS // winograd.OUTPUTS)


@compiled(inner=True)
def _slot(stack, r, height, slots):
    """In which of so many slots row r of a map lies; beyond the picture, what stands for it."""
    if stack.zeros and not 0 <= r < height:
        return slots
    return min(max(r, 0), height - 1) % slots


@compiled(inner=True)
def _direct_patch(stack, m, r, height, phase):
    """Where the patches of row r of map m + 1 lie in the ring of map m, for pixels of a phase."""
    channels, f, g, phases = stack.channels[m], stack.height[m], stack.width[m], stack.phases
    plane, shift = stack.plane[m], stack.shift[m]
    patch = np.empty(channels * f * g, np.int64)
    for u in range(f):
        slot = _slot(stack, r + u - f // 2, height, stack.slots[m]) * channels * phases * plane
        for c in range(channels):
            for v in range(g):
                p, t = (phase + shift + v) % phases, (phase + shift + v) // phases
                patch[(c * f + u) * g + v] = slot + (c * phases + p) * plane + t
    return patch


@compiled(inner=True)
def _points_patch(stack, m, r, height, point):
    """The same for the transformed rows of map m, at one point: channels x filter rows."""
    channels, f, plane = stack.channels[m], stack.height[m], stack.plane_points[m]
    patch = np.empty(channels * f, np.int64)
    for u in range(f):
        slot = _slot(stack, r + u - f // 2, height, f) * channels * stack.points[m] * plane
        for c in range(channels):
            patch[c * f + u] = slot + (c * stack.points[m] + point) * plane
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
    left, right = -first, width - 1 - first  # the outermost pixels of the picture
    for j in range(left):
        _fill_column(ring, at, stack, k, left, j)
    for j in range(right + 1, columns):
        _fill_column(ring, at, stack, k, right, j)


@compiled(inner=True)
def _fill_column(ring, at, stack, k, source, to):
    """Copy one pixel of a row to another place in it, or put zero there, in all channels."""
    phases, plane = stack.phases, stack.plane[k]
    source = at + source % phases * plane + source // phases
    to = at + to % phases * plane + to // phases
    for c in range(stack.channels[k]):
        if stack.zeros:
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
        convolve_row(ring, stack.start[m] + skip, patch, w, b, epilogue, out, out, vectors)


@compiled(inner=True)
def _transform_row(ring, at, stack, m, r, columns, vectors):
    """B: the row of map m at `at`, so many columns wide, becomes row r of its transformed rows."""
    n, plane, phases = stack.points[m], stack.plane_points[m], stack.phases
    # The last four outputs are computed together, wanted or not, and so the last one wanted depends
    # on the pixels beyond the row; by rounding alone, but the same task must give the same bits.
    for c in range(stack.channels[m]):
        for j in range(columns, columns + phases - 1):
            ring[at + (c * phases + j % phases) * stack.plane[m] + j // phases] = 0
    patch = np.empty(n, np.int64)
    for i in range(n):
        j = stack.shift[m] + i
        patch[i] = j % phases * stack.plane[m] + j // phases
    matrix = stack.weights[stack.at_forth[m] :]
    zero = np.zeros(n, ring.dtype)
    slot = r % stack.height[m] * stack.channels[m] * n * plane
    for c in range(stack.channels[m]):
        to = (ring, stack.start_points[m] + slot + c * n * plane, plane)
        source = at + c * phases * stack.plane[m]
        convolve_row(ring, source, patch, matrix, zero, LINEAR, to, to, vectors)


@compiled(inner=True)
def _layer_row_by_points(ring, at, stack, k, r, height, skip, vectors):
    """The same from the transformed rows of map k - 1: products, A, activation."""
    m = k - 1
    n, plane, filters = stack.points[m], stack.plane_points[m], stack.channels[k]
    products = stack.start_products[m]
    zero = np.zeros(filters, ring.dtype)
    size = filters * stack.channels[m] * stack.height[m]
    for i in range(n):
        patch = _points_patch(stack, m, r, height, i)
        w = stack.weights[stack.at_weights[m] + i * size :]
        to = (ring, products + i * plane, n * plane)
        source = stack.start_points[m] + skip
        convolve_row(ring, source, patch, w, zero, LINEAR, to, to, vectors)

    outputs = stack.phases  # 4 outputs of a filter, one for each phase
    patch = np.empty(_TOGETHER * n, np.int64)
    for i in range(patch.size):
        patch[i] = i * plane
    both = stack.weights[stack.at_back[m] :]
    single = both[_TOGETHER * outputs * _TOGETHER * n :]
    bias = stack.bias[stack.at_bias[m] :]
    o = 0
    while o < filters:
        g = _TOGETHER if o + _TOGETHER <= filters else 1
        matrix = both if g == _TOGETHER else single
        b = bias[o * outputs : (o + g) * outputs]
        to = (ring, at + skip + o * outputs * stack.plane[k], stack.plane[k])
        source = products + o * n * plane
        convolve_row(ring, source, patch[: g * n], matrix, b, stack.activation, to, to, vectors)
        o += g


@compiled(inner=True)
def _fold_row(ring, stack, out, bias, r, height):
    """One row of output (C, W) as the sum of partial sums, each from the row it belongs to."""
    k, phases = stack.width.size, stack.phases
    f, plane = stack.width[k - 1], stack.plane[k]
    total = np.empty(plane, ring.dtype)
    for c in range(out.shape[0]):
        for p in range(phases):
            total[:] = bias[c]
            for u in range(f):
                slot = _slot(stack, r + u - f // 2, height, f)
                begin = slot * stack.channels[k] + c * f + u
                begin = stack.start[k] + (begin * phases + p) * plane
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
    lead[layers] = stack.width[layers - 1] // 2
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
                    next_vectors = stack.plane_points[k] // lanes
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
    columns = _columns(layers, phases, out.shape[3])
    stack = _stack(layers, phases, columns, epilogue, padding == "zeros")
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
