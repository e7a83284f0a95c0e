"""A layer of a batch, forward and backward, by Winograd's F(4 x 4, f x f).

It works on maps in the layout of `channels`, with the steps of `points`. The gradient of the input
is the convolution of dout with the weights turned. Tiles at the right and lower edge of a map may
reach beyond it, into its zeros (`channels.ROOM`).

Axes: N samples, H x W pixels, C channels, O filters, n = f + 3 points along a side, T tiles.
"""

import math

import numpy as np
from numba import prange

from . import channels, winograd
from .channels import ROOM, blank, clear, padded, whole
from .compile import compiled, noinline
from .filters import filters_from_points, filters_to_points
from .memory import aligned
from .parts import TAPS
from .points import (
    GROUPED,
    LANES,
    MOST,
    NO,
    TILES,
    count_of,
    from_points,
    products,
    products_of_gradients,
    room,
    to_points,
)
from .threads import count
from .transforms import SPREAD, TO_POINTS
from .vectors import REGISTERS, REST
from .winograd import AT_ONE, OUTPUTS

SLICES = 4  # slices of a batch, summed separately: threads do not affect the order
PARTS = 4  # parts of a batch for each thread


@compiled(inner=True)
def _convolve_part(threes, fives, x, x_border, w, b, epilogue, out, border, sides, tiles):
    """`_convolve` for some tiles, (first, end)."""
    noinline()
    points, _, filters = w.shape
    most = min(MOST, filters)
    # One spare point: tiles a power of two apart would share too few lines of the cache.
    v = room(points + 1, x.shape[3])
    m = np.empty(TILES * points * most, x.dtype)
    more = out, NO
    for first in range(tiles[0], tiles[1], TILES):
        block = first, min(TILES, tiles[1] - first)
        if threes is not None:
            to_points(TO_POINTS, 3, 6, 6, x, x_border, x, NO, sides, v, block)
        if fives is not None:
            to_points(TO_POINTS, 5, 8, 8, x, x_border, x, NO, sides, v, block)
        for o in range(0, filters, most):
            some = min(most, filters - o)
            products(v, w, o, some, m, block[1])
            if threes is not None:
                from_points(3, 6, m, o, some, b, more, epilogue, out, border, sides, block)
            if fives is not None:
                from_points(5, 8, m, o, some, b, more, epilogue, out, border, sides, block)


@compiled(parallel=True)
def _convolve(threes, fives, x, x_border, w, b, epilogue, out, border, sides, parts):
    """Compute epilogue(w * x + b) into the pixels of `out`; sides: their H, W.

    threes, fives: True for the filter size of w, None for the other, whose code is then not
    compiled.
    x_border: distance of the first patch from the edge of x. w (n^2, C', O') at the points, of the
    channels that are summed over, b (O',).
    parts: number of tasks, on which no sum depends.
    """
    count = count_of(x, sides)
    blocks = (count + TILES - 1) // TILES
    for part in prange(parts):
        tiles = part * blocks // parts * TILES, min((part + 1) * blocks // parts * TILES, count)
        _convolve_part(threes, fives, x, x_border, w, b, epilogue, out, border, sides, tiles)


@compiled(inner=True)
def _gradients_part(threes, fives, dout, border, x, x_border, sides, sums, biases, part, parts):
    """`_gradients` for the tiles of number `part` of `parts` parts."""
    noinline()
    points, _, filters = sums.shape
    at_one = AT_ONE * (6 if points == 36 else 8) + AT_ONE  # the point that is the sum of a tile
    count = count_of(x, sides)
    xs = room(points + 1, x.shape[3])
    ds = np.empty((TILES, 1, points + 1, filters), x.dtype)
    blocks = (count + TILES - 1) // TILES
    end = min((part + 1) * blocks // parts * TILES, count)
    for first in range(part * blocks // parts * TILES, end, TILES):
        block = first, min(TILES, end - first)
        if threes is not None:
            to_points(TO_POINTS, 3, 6, 6, x, x_border, x, NO, sides, xs, block)
            to_points(SPREAD, 3, 4, 6, dout, border, x, NO, sides, ds, block)
        if fives is not None:
            to_points(TO_POINTS, 5, 8, 8, x, x_border, x, NO, sides, xs, block)
            to_points(SPREAD, 5, 4, 8, dout, border, x, NO, sides, ds, block)
        for t in range(block[1]):
            for o in range(filters):
                biases[o] += ds[t, 0, at_one, o]
        products_of_gradients(xs, ds, block[1], sums)


@compiled(parallel=True)
def _gradients(threes, fives, dout, border, x, x_border, sides, fresh, sums, biases):
    """Add to the gradients of weights at the points, (slices, n^2, C', O'), and of biases.

    sides: H, W of dout without its border. fresh: whether the sums begin here.
    """
    slices = len(sums)
    for part in prange(slices):
        to, bias = sums[part], biases[part]
        clear(fresh, to.reshape(-1))
        clear(fresh, bias)
        _gradients_part(
            threes, fives, dout, border, x, x_border, sides, to, bias, np.int64(part), slices
        )


def kind(w, first, sides):
    """Return the class that pays for weights w (O, C, f, f) and a result of `sides` H, W, or None.

    One does if `winograd.taps` says so and tiles do not reach far beyond the result. The `first`
    layer has few channels and takes large filters in parts; the others have no use for that. With
    32 registers, where the direct sum loads less, nothing was gained by parts.
    """
    taps, tiles = winograd.taps(w), math.prod(-(-side // OUTPUTS) for side in sides)
    if not taps or tiles * OUTPUTS**2 > 2 * math.prod(sides):
        return None
    if first:
        return PartsLayer if taps < w.shape[2] and REGISTERS == 16 else None
    return Layer if taps == w.shape[2] else None


@compiled(inner=True, allocates=False)
def _copy_row(x, across, out, sample, i):
    """`_copies` for one row of pixels."""
    noinline()
    for j in range(out.shape[2] - ROOM):
        for c in range(x.shape[1]):
            for u in range(across):
                for v in range(across):
                    k = (c * across + u) * across + v
                    out[sample, i, j, k] = x[sample, c, i + u * TAPS, j + v * TAPS]


@compiled(parallel=True)
def _copies(x, across, out):
    """Copy x (N, C, H, W), shifted to each part of a filter, to channels of out (N, ., ., C')."""
    rows = out.shape[1] - ROOM
    for row in prange(len(x) * rows):
        _copy_row(x, across, out, row // rows, row % rows)


class Layer(channels.Layer):
    """`channels.Layer` by Winograd's transforms, for filters of 3 x 3 or 5 x 5, float32."""

    def __init__(self, w, b, channels, filters):
        self.w, self.channels, self.filters = w, channels, filters
        self.kind = tuple(True if w.shape[2] == f else None for f in winograd.TAPS)
        self.bias, self.fresh = padded(b, filters, b.dtype), True
        points = (w.shape[2] + OUTPUTS - 1) ** 2
        self.at_points = aligned((points, channels, filters), w.dtype)
        self.turned = None  # the first layer needs none
        filters_to_points(*self.kind, w, False, self.at_points)
        self.sums = aligned((SLICES, points, channels, filters), w.dtype)
        self.biases = np.empty((SLICES, filters), w.dtype)

    def forward(self, x, epilogue, out):
        """See `channels.Layer`."""
        to = out.data, out.border, out.sides, PARTS * count()
        _convolve(*self.kind, x.data, x.border, self.at_points, self.bias, epilogue, *to)

    def backward(self, dout, x):
        """See `channels.Layer`."""
        given = dout.data, dout.border, x.data, x.border, dout.sides
        _gradients(*self.kind, *given, self.fresh, self.sums, self.biases)
        self.fresh = False

    def backward_of_input(self, dout, epilogue, dx):
        """See `channels.Layer`."""
        zero, start = np.zeros(self.channels, self.w.dtype), dout.border - self.w.shape[2] + 1
        if self.turned is None:
            points, channels, filters = self.at_points.shape
            self.turned = aligned((points, filters, channels), self.w.dtype)
            filters_to_points(*self.kind, self.w, True, self.turned)
        to = dx.data, dx.border, dx.sides, PARTS * count()
        _convolve(*self.kind, dout.data, start, self.turned, zero, epilogue, *to)

    def gradients(self):
        """See `channels.Layer`."""
        dw = np.empty(self.w.shape)
        filters_from_points(*self.kind, self.sums, dw)
        return dw, self.biases.sum(axis=0, dtype=np.float64)[: len(dw)]


class PartsLayer(Layer):
    """`Layer` for the first layer, if its filters are large, such as 9 x 9 on one channel.

    Each part of 3 x 3 taps is a filter of its own on a copy of the picture, which is shifted by
    as much as the part is (see `parts`); the copies are the channels of the input.
    """

    def __init__(self, w, b, channels, filters):
        self.across = w.shape[2] // TAPS  # parts of a filter, along a side
        parts = np.ascontiguousarray(winograd.parts_of(w))
        terms = -(-parts.shape[1] // REST) * REST
        if GROUPED and terms > LANES:  # rows of a tile do not go on from one group to the next
            terms = whole(terms, w.dtype)
        super().__init__(parts, b, terms, filters)
        self.shape = w.shape

    def enter(self, memory, x):
        """See `channels.Layer`."""
        sides = [side - TAPS * (self.across - 1) for side in x.shape[2:]]
        lanes = whole(self.channels, x.dtype)
        out = blank(memory, self.shape, len(x), sides, lanes, 0, x.dtype)
        _copies(x, self.across, out.data)
        return out

    def gradients(self):
        """See `channels.Layer`."""
        dw, db = super().gradients()
        parts = *self.shape[:2], self.across, self.across, TAPS, TAPS
        return dw.reshape(parts).swapaxes(3, 4).reshape(self.shape), db
