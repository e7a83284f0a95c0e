"""The whole network on pictures, fused: no feature map of the whole picture ever exists.

The lanes of a vector are neighbouring pixels of a row. Map 0 is the picture, map k the output of
layer k. The picture is done in strips (columns) and bands (rows) that share nothing, so that the
result is the same for any number of threads; within a strip, all layers advance row by row.

Of each map only as many rows exist as the next layer reads, in a ring: row r lies in slot
r mod slots. Beyond the edges of the picture a map repeats its own outermost pixels, as the authors
do: to the left and right they are written out, above and below, the patch just points to the
outermost row again.

The last layer is done in two halves, because a tile wants several filters and the last layer has
one or three: first its f rows of weights as f filters of a single row each (map K: c f "partial
sums"), then their sum, each taken from the row it belongs to.

Axes: N samples, C channels, H x W pixels, L lanes; layers 1..K, maps 0..K.
"""

from collections import namedtuple

import numba
import numpy as np
from numba import prange

from .inputs import network_input
from .tile import LINEAR, NARROW, RELU, VECTOR_BYTES, compiled, convolve_row, pack_weights

_Stack = namedtuple(
    "_Stack",
    "weights weights_at bias bias_at channels height width slots margin",
)
_Stack.__doc__ = """A network in flat arrays, for `_strip`.

weights, weights_at, bias, bias_at: of all layers, and where layer k's begin.
channels: of map k, k = 0..K. height, width: of the filters of layer k (the last: 1, f).
slots: rows of map k that are kept. margin: columns of map k on either side of the output's.
"""

STRIP = 284  # output columns a strip, so that with margins a row is six tiles of 48 pixels
BAND = 128  # output rows a task


def _stack(layers):
    weights, biases = [], []
    for w, b in layers[:-1]:
        weights.append(pack_weights(w))
        biases.append(b)
    w, b = layers[-1]
    c, n, f, _ = w.shape
    weights.append(pack_weights(w.transpose(0, 2, 1, 3).reshape(c * f, n * f)))
    biases.append(np.zeros(c * f, b.dtype))
    sizes = [w.shape[2] for w, _ in layers]
    starts = [np.cumsum([0] + [a.size for a in arrays])[:-1] for arrays in (weights, biases)]
    return _Stack(
        weights=np.concatenate(weights),
        weights_at=starts[0],
        bias=np.concatenate(biases),
        bias_at=starts[1],
        channels=np.array([w.shape[1] for w, _ in layers] + [c * f]),
        height=np.array(sizes[:-1] + [1]),
        width=np.array(sizes),
        slots=np.array(sizes[:-1] + [1, f]),
        margin=np.array([sum(s // 2 for s in sizes[k:]) for k in range(len(sizes) + 1)]),
    )


@compiled()
def _ring_sizes(stack, columns, lanes):
    """Of each map's ring: elements a row (whole vectors and one to spare), and the start."""
    maps = stack.channels.size
    length = np.empty(maps, np.int64)
    start = np.zeros(maps + 1, np.int64)
    for k in range(maps):
        length[k] = ((columns + 2 * stack.margin[k] + lanes - 1) // lanes + 1) * lanes
        start[k + 1] = start[k] + stack.slots[k] * stack.channels[k] * length[k]
    return length, start


@compiled()
def _ring_patch(stack, m, length, r, height):
    """Where the patches of row r of map m + 1 lie in the ring of map m."""
    channels, f, g = stack.channels[m], stack.height[m], stack.width[m]
    patch = np.empty(channels * f * g, np.int64)
    for u in range(f):
        inside = min(max(r + u - f // 2, 0), height - 1)
        slot = inside % stack.slots[m] * channels * length
        for c in range(channels):
            for v in range(g):
                patch[(c * f + u) * g + v] = slot + c * length + v
    return patch


@compiled()
def _repeat_edges(ring, at, channels, length, first, columns, width):
    """Fill what lies outside a picture `width` wide in a row of a map that begins at `first`."""
    for c in range(channels):
        begin = at + c * length
        for j in range(min(-first, columns)):
            ring[begin + j] = ring[begin - first]
        for j in range(max(width - first, 0), columns):
            ring[begin + j] = ring[begin + width - 1 - first]


@compiled()
def _strip(x, out, bias, stack, rows, columns, offset, ring):
    """These rows and columns (first, end) of the network's output for one picture (C, H, W).

    out: (C, H', W'), whose pixel (0, 0) is the picture's (offset, offset).
    bias: of the last layer. ring: zeroed scratch for all rings.
    """
    channels, height, width = x.shape
    (top, bottom), (left, right) = rows, columns
    lanes = VECTOR_BYTES // x.itemsize
    layers = stack.width.size
    length, start = _ring_sizes(stack, right - left, lanes)
    f = stack.width[layers - 1]

    # While row i of the output is made, map k is at row i + lead[k]: just what map k + 1 reads.
    lead = np.empty(layers + 1, np.int64)
    lead[layers] = f // 2
    for k in range(layers, 0, -1):
        lead[k - 1] = lead[k] + stack.height[k - 1] // 2

    for i in range(top - 2 * lead[0], bottom):
        for k in range(layers + 1):
            r = i + lead[k]
            if r < max(0, top - lead[k]) or r >= height:
                continue
            first = left - stack.margin[k]
            wide = right + stack.margin[k] - first
            at = start[k] + r % stack.slots[k] * stack.channels[k] * length[k]
            if k == 0:
                for c in range(channels):
                    for j in range(max(first, 0), min(first + wide, width)):
                        ring[at + c * length[0] + j - first] = x[c, r, j]
            else:
                m = k - 1  # the map it is made from
                patch = _ring_patch(stack, m, length[m], r, height)
                w = stack.weights[stack.weights_at[m] :]
                b = stack.bias[stack.bias_at[m] :][: stack.channels[k]]
                vectors = (wide + lanes - 1) // lanes
                to = (ring, at, length[k])
                then = RELU if k < layers else LINEAR
                convolve_row(ring, start[m], patch, w, b, then, to, to, vectors)
            _repeat_edges(ring, at, stack.channels[k], length[k], first, wide, width)

        if i < top:
            continue
        for c in range(out.shape[0]):
            pixels = out[c, i - offset, left - offset : right - offset]
            pixels[:] = bias[c]
            for u in range(f):
                source = min(max(i + u - f // 2, 0), height - 1) % f
                at = start[layers] + (source * stack.channels[layers] + c * f + u) * length[layers]
                for j in range(right - left):
                    pixels[j] += ring[at + j]


@compiled(parallel=True)
def _pictures(x, out, bias, stack, offset, threads):
    """The network on every picture of a batch, strip by strip; the strips share nothing."""
    n, _, height, width = out.shape
    lanes = VECTOR_BYTES // x.itemsize
    strips = (width + STRIP - 1) // STRIP
    bands = (height + BAND - 1) // BAND
    step = (width + strips - 1) // strips
    _, start = _ring_sizes(stack, step, lanes)
    for thread in prange(threads):
        ring = np.zeros(start[-1] + NARROW * lanes, x.dtype)
        for task in range(thread, n * bands * strips, threads):
            sample, band, strip = task // (strips * bands), task // strips % bands, task % strips
            top, left = band * BAND, strip * step
            bottom, right = min(top + BAND, height), min(left + step, width)
            if left < right:
                rows, columns = (offset + top, offset + bottom), (offset + left, offset + right)
                _strip(x[sample], out[sample], bias, stack, rows, columns, offset, ring)


def forward(x, layers, padding):
    """See `reference.forward`."""
    x, layers = network_input(x, layers, room=padding == "valid")
    margin = 0 if padding == "replicate" else sum(w.shape[2] // 2 for w, _ in layers)
    n, _, height, width = x.shape
    out = np.empty((n, layers[-1][0].shape[0], height - 2 * margin, width - 2 * margin), x.dtype)
    _pictures(x, out, layers[-1][1], _stack(layers), margin, numba.get_num_threads())
    return out
