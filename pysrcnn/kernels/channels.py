"""Convolutions of a batch and their gradients; the lanes of a vector are channels of a pixel.

A map is (N, H, W, C'): the channels of a pixel lie beside each other, padded with zeros to C',
whole vectors. A row of a patch, f pixels, is then one run of f C' numbers in memory. The register
tile has pixels as rows and filters as columns: each step takes one number from the patch of each
pixel and the vector of weights for that number. The gradients are convolutions too. That of a
layer's input is dout convolved with the weights turned by 180 degrees, for which dout has a border
of f - 1 zeros. That of the weights is a sum over pixels, in which the rows of the tile are numbers
of a patch and its columns are filters.

Axes: N samples, H x W pixels, C channels, O filters, L lanes.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from .compile import compiled, noinline
from .rows import GATE, RELU, TANH, TANH_GATE, shares, tanh_in_place
from .tile import (
    tile_add,
    tile_correlate,
    tile_dots,
    tile_gate,
    tile_relu,
    tile_repeat,
    tile_store,
    tile_tanh_gate,
    tile_totals,
    tile_zero,
)
from .vectors import FEW, REST, ROWS, SHORT, TALL, VECTOR_BYTES, WIDE
from .winograd import OUTPUTS

ROOM = OUTPUTS - 1  # rows and columns of zeros below and beside a map, for tiles that reach beyond
SLICES = 8  # slices of the pixels, summed separately: threads do not affect the order
NEAR = 32 * 1024  # bytes of maps that every tile sums over in turn, while in the nearest cache


class Map(NamedTuple):
    """A batch of feature maps in a border of zeros.

    data: (N, H + 2 border + ROOM, W + 2 border + ROOM, C'), zero except the pixels. sides: H, W.
    """

    data: np.ndarray
    border: int
    sides: tuple[int, int]

    @property
    def pixels(self):
        """View of the pixels (N, H, W, C'), without the border."""
        (height, width), border = self.sides, self.border
        return self.data[:, border : border + height, border : border + width]


def whole(channels, dtype):
    """Return C': `channels` rounded up, so that neither vectors nor tiles need to be cut."""
    group = max(VECTOR_BYTES // np.dtype(dtype).itemsize, ROWS)
    return -(-channels // group) * group


def few(filters, dtype):
    """Whether filters are so few that at least half of a vector of them would be zeros."""
    return 2 * filters <= VECTOR_BYTES // np.dtype(dtype).itemsize


def blank(memory, name, n, sides, channels, border, dtype):
    """Return a `Map` in kept memory, zero except its pixels, which hold old values."""
    more = 2 * border + ROOM
    shape = n, sides[0] + more, sides[1] + more, channels
    return Map(memory.bordered(name, shape, border, sides, dtype), border, tuple(sides))


def fill(out, x):
    """Copy x (N, C, H, W) into the first channels of a `Map`."""
    out.pixels[..., : x.shape[1]] = x.transpose(0, 2, 3, 1)


@compiled(inner=True, allocates=False)
def position(x, sample, i, j):
    """Return the flat position of a pixel in x (N, H, W, C')."""
    _, height, width, channels = x.shape
    return ((sample * height + i) * width + j) * channels


@compiled(inner=True)
def clear(fresh, sums):
    """Set sums to zero if they begin here (`fresh`)."""
    if fresh:
        sums[:] = 0


@compiled(inner=True, allocates=False, inlined=True)
def _tiles(height, width, x, w, b, epilogue, out, vectors, pixels):
    """Compute all tiles of one shape in a row; `vectors` and `pixels` are (first, end).

    x: (array, position, distance between pixels, distance between rows). w (f, f C', O'), b (O',).
    out: (array, position, O').
    """
    source, start, step, line = x
    outs, to, filters = out
    lanes = VECTOR_BYTES // w.itemsize
    for o in range(vectors[0] * lanes, vectors[1] * lanes, width * lanes):
        for j in range(pixels[0], pixels[1], height):
            acc = tile_repeat(b, o, height, width)
            weight = o
            for u in range(w.shape[0]):
                at = start + j * step + u * line
                for k in range(w.shape[1]):
                    acc = tile_correlate(acc, w, weight, 1, source, at + k, step)
                    weight += filters
            place = to + j * filters + o
            if epilogue == RELU:
                acc = tile_relu(acc)
            elif epilogue == GATE:
                acc = tile_gate(acc, outs, place, filters, 1)
            elif epilogue == TANH_GATE:
                acc = tile_tanh_gate(acc, outs, place, filters, 1)
            tile_store(acc, outs, place, filters, 1)
            if epilogue == TANH:
                tanh_in_place(outs, place, filters, lanes, np.int64(height), np.int64(width))


@compiled(inner=True, allocates=False)
def _convolve_row(x, x_border, w, b, epilogue, out, border, sides, row):
    """`_convolve` for one row of pixels, counted over the batch.

    Up to REST - 1 pixels beyond the row are computed too, and cleared.
    """
    noinline()
    sample, i = row // sides[0], row % sides[0]
    step, filters, pixels = x.shape[3], out.shape[3], sides[1]
    source = x, position(x, sample, i + x_border, x_border), step, x.shape[2] * step
    to = out, position(out, sample, i + border, border), filters
    vectors = filters * w.itemsize // VECTOR_BYTES
    wide, pairs = shares(vectors, WIDE)
    short, tall = pixels // SHORT * SHORT, pixels // TALL * TALL
    _tiles(SHORT, WIDE, source, w, b, epilogue, to, (0, wide), (0, short))
    _tiles(REST, WIDE, source, w, b, epilogue, to, (0, wide), (short, pixels))
    _tiles(TALL, 2, source, w, b, epilogue, to, (wide, pairs), (0, tall))
    _tiles(REST, 2, source, w, b, epilogue, to, (wide, pairs), (tall, pixels))
    _tiles(TALL, 1, source, w, b, epilogue, to, (pairs, vectors), (0, tall))
    _tiles(REST, 1, source, w, b, epilogue, to, (pairs, vectors), (tall, pixels))
    clear(True, out[sample, i + border, border + pixels : border + pixels + ROOM].reshape(-1))


@compiled(parallel=True)
def _convolve(x, x_border, w, b, epilogue, out, border, sides):
    """Compute epilogue(w * x + b) into the pixels of `out`; sides: their H, W.

    x_border: distance of the first patch from the edge of x. w (f, f C', O'), see `pack`.
    """
    for row in prange(len(x) * sides[0]):
        _convolve_row(x, x_border, w, b, epilogue, out, border, sides, np.int64(row))


def pack(w, channels, filters):
    """Return weights (O, C, f, f) as (f, f C', O'), padded with zero channels and filters."""
    o, c, f, _ = w.shape
    out = np.zeros((f, f, channels, filters), w.dtype)
    out[:, :, :c, :o] = w.transpose(2, 3, 1, 0)
    return out.reshape(f, f * channels, filters)


def padded(b, size, dtype):
    """Return b, padded with zeros to `size`."""
    out = np.zeros(size, dtype)
    out[: len(b)] = b
    return out


def turned(w):
    """Return w (O, C, f, f) turned by 180 degrees, filters and channels exchanged: (C, O, f, f)."""
    return w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)


@compiled(inner=True, allocates=False)
def _few_of_a_row(x, w, b, out, pixels):
    """`_convolve_few` for the pixels of a row, and for up to ROOM pixels beyond it."""
    noinline()
    source, start, step, line = x
    outs, to, filters = out
    _, f, numbers = w.shape
    for o in range(filters):
        for j in range(0, pixels, OUTPUTS):
            acc = tile_zero(w, OUTPUTS, 2)
            for u in range(f):
                at, weight = start + j * step + u * line, (o * f + u) * numbers
                for k in range(0, numbers, 2 * VECTOR_BYTES // w.itemsize):
                    acc = tile_dots(acc, source, at + k, step, w, weight + k)
            tile_totals(acc, b, o, outs, to + j * filters + o, filters)


@compiled(parallel=True)
def _convolve_few(x, x_border, w, b, out, border, sides):
    """Compute w * x + b for few filters; the lanes are numbers of a patch, summed at the end.

    w (O, f, f C' padded with zeros to an even number of vectors); O' = O.
    """
    rows, columns = sides
    step, filters = x.shape[3], out.shape[3]
    for task in prange(len(x) * rows):
        sample, i = task // rows, task % rows
        source = x, position(x, sample, i + x_border, x_border), step, x.shape[2] * step
        to = out, position(out, sample, i + border, border), filters
        _few_of_a_row(source, w, b, to, columns)
        clear(True, out[sample, i + border, border + columns : border + columns + ROOM].reshape(-1))


@compiled(inner=True, allocates=False, inlined=True)
def _outer(height, width, x, d, size, sums, entries, vectors):
    """Add the contribution of some pixels to the gradient of weights, by tiles of one shape.

    entries, vectors: (first, end), of a patch row and of vectors of filters. Others: see
    `_products`.
    """
    source, start, step, line = x
    ds, d_start, filters, d_line = d
    out, to = sums
    lanes = VECTOR_BYTES // out.itemsize
    for k in range(entries[0], entries[1], height):
        for o in range(vectors[0] * lanes, vectors[1] * lanes, width * lanes):
            acc = tile_zero(out, height, width)
            for i in range(size[0]):
                at, d_at = start + i * line + k, d_start + i * d_line + o
                for _ in range(size[1]):
                    acc = tile_correlate(acc, ds, d_at, 1, source, at, 1)
                    at += step
                    d_at += filters
            tile_add(acc, out, to + k * filters + o, filters)


@compiled(inner=True, allocates=False)
def _products(x, d, size, sums, entries):
    """Add the contribution of some rows of pixels to the gradient of one row of weights.

    x: (array, position, distance between pixels, distance between rows); d: the same of dout.
    size: rows and columns of pixels. sums: (array, position). entries: how many numbers a patch row
    has; up to REST - 1 more are computed.
    """
    noinline()
    vectors = d[2] * d[0].itemsize // VECTOR_BYTES
    wide, pairs = shares(vectors, WIDE)
    short, tall = entries // SHORT * SHORT, entries // TALL * TALL
    fives = tall + (entries - tall) // FEW * FEW
    _outer(SHORT, WIDE, x, d, size, sums, (0, short), (0, wide))
    _outer(REST, WIDE, x, d, size, sums, (short, entries), (0, wide))
    _outer(TALL, 2, x, d, size, sums, (0, tall), (wide, pairs))
    _outer(FEW, 2, x, d, size, sums, (tall, fives), (wide, pairs))
    _outer(REST, 2, x, d, size, sums, (fives, entries), (wide, pairs))
    _outer(TALL, 1, x, d, size, sums, (0, tall), (pairs, vectors))
    _outer(REST, 1, x, d, size, sums, (tall, entries), (pairs, vectors))


@compiled(inner=True, allocates=False)
def _gradients_part(dout, border, x, x_border, sides, sums, biases, part, parts):
    """`_gradients` for the pixels of number `part` of `parts` parts."""
    noinline()
    rows, columns = sides
    step, filters = x.shape[3], dout.shape[3]
    line, d_line = x.shape[2] * step, dout.shape[2] * filters
    together = max(1, NEAR // (columns * (filters + step) * x.itemsize))
    groups = (rows + together - 1) // together
    total = len(x) * groups
    for group in range(part * total // parts, (part + 1) * total // parts):
        sample, i = group // groups, group % groups * together
        size = min(together, rows - i), columns
        d = dout, position(dout, sample, i + border, border), filters, d_line
        for u in range(sums.shape[0]):
            source = x, position(x, sample, i + u + x_border, x_border), step, line
            to = sums, u * sums.shape[1] * filters
            _products(source, d, size, to, sums.shape[1] - (REST - 1))
        for row in range(i, i + size[0]):
            for j in range(columns):
                for o in range(biases.size):
                    biases[o] += dout[sample, row + border, j + border, o]


@compiled(parallel=True)
def _gradients(dout, border, x, x_border, sides, fresh, sums, biases):
    """Add to the gradients of weights (slices, f, f C' + REST - 1, O') and biases (slices, O').

    sides: H, W of dout without its border. fresh: whether the sums begin here.
    """
    slices = len(sums)
    for part in prange(slices):
        to, bias = sums[part], biases[part]
        clear(fresh, to.reshape(-1))
        clear(fresh, bias)
        _gradients_part(dout, border, x, x_border, sides, to, bias, np.int64(part), slices)


class Sums:
    """Running sums of the gradients of a layer's weights and biases, over the parts of a batch."""

    def __init__(self, f, numbers, filters, biases, dtype):
        self.weights = np.empty((SLICES, f, numbers + REST - 1, filters), dtype)
        self.biases, self.fresh, self.numbers = np.empty((SLICES, biases), dtype), True, numbers

    def add(self, dout, x, border, sides):
        """Add a part of the batch, in `Map`s; patches begin `border` pixels outside x's pixels."""
        start = x.border - border
        given = dout.data, dout.border, x.data, start, sides
        _gradients(*given, self.fresh, self.weights, self.biases)
        self.fresh = False

    def total(self):
        """Return the gradients of weights (f, f, C', O') and biases (O',), float64."""
        w = self.weights.sum(axis=0, dtype=np.float64)[:, : self.numbers]
        f, _, filters = w.shape
        return w.reshape(f, f, -1, filters), self.biases.sum(axis=0, dtype=np.float64)


class Layer:
    """A layer computed by direct sums on `Map`s, forward and backward.

    Gradients add up over the parts of a batch; `gradients` returns them.
    """

    def __init__(self, w, b, channels, filters):
        """w (O, C, f, f), b (O,); channels, filters: C' and O' of the maps."""
        self.w, self.channels, self.filters = w, channels, filters
        self.packed, self.bias = pack(w, channels, filters), padded(b, filters, b.dtype)
        self.sums = Sums(w.shape[2], w.shape[2] * channels, filters, filters, w.dtype)

    def enter(self, memory, x):
        """Return a batch x (N, C, H, W) as the `Map` that a first layer takes."""
        out = blank(memory, 0, len(x), x.shape[2:], x.shape[1], 0, x.dtype)
        fill(out, x)
        return out

    def forward(self, x, epilogue, out):
        """Compute epilogue(w * x + b) into the pixels of `out`; for epilogues see `rows`."""
        _convolve(
            x.data, x.border, self.packed, self.bias, epilogue, out.data, out.border, out.sides
        )

    def backward(self, dout, x):
        """Add the contribution of these maps to the gradients of w and b."""
        self.sums.add(dout, x, 0, dout.sides)

    def backward_of_input(self, dout, epilogue, dx):
        """Compute the gradient of the input into dx; dout has a border of at least f - 1 zeros."""
        packed, zero = pack(turned(self.w), self.filters, self.channels), np.zeros
        start = dout.border - self.w.shape[2] + 1
        bias = zero(self.channels, self.w.dtype)
        _convolve(dout.data, start, packed, bias, epilogue, dx.data, dx.border, dx.sides)

    def gradients(self):
        """Return dw (O, C, f, f) and db (O,) of all maps added so far, float64."""
        o, c = self.w.shape[:2]
        dw, db = self.sums.total()
        return dw[:, :, :c, :o].transpose(3, 2, 0, 1), db[:o]


class FewFilters(Layer):
    """`Layer` for few filters, O' = O, whose vectors would be mostly zeros; without epilogue.

    For the gradient of the weights, the channels of x act as filters and dout as the input, which
    gives the same sums, turned.
    """

    def __init__(self, w, b, channels, filters):
        self.w, self.channels, self.filters = w, channels, filters
        o, c, f, _ = w.shape
        pair = 2 * VECTOR_BYTES // w.itemsize
        self.packed, self.bias = np.zeros((o, f, -(-f * channels // pair) * pair), w.dtype), b
        each = np.zeros((o, f, f, channels), w.dtype)
        each[..., :c] = w.transpose(0, 2, 3, 1)
        self.packed[:, :, : f * channels] = each.reshape(o, f, f * channels)
        self.sums = Sums(f, f * o, channels, 0, w.dtype)
        self.db = np.zeros(o)

    def forward(self, x, epilogue, out):
        """See `Layer`."""
        to = out.data, out.border, out.sides
        _convolve_few(x.data, x.border, self.packed, self.bias, *to)

    def backward(self, dout, x):
        """See `Layer`; dout has a border of f - 1 zeros at least."""
        self.sums.add(x, dout, self.w.shape[2] - 1, x.sides)
        self.db += dout.pixels.sum(axis=(0, 1, 2), dtype=np.float64)

    def gradients(self):
        """See `Layer`."""
        dw, _ = self.sums.total()  # (f, f, O, C'), turned
        return dw[::-1, ::-1, :, : self.w.shape[1]].transpose(2, 3, 0, 1), self.db
