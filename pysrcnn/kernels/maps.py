"""Feature maps between the layers of deep networks: channels last, in a border of zeros.

A batch (N, C, H, W) is laid out as (N, H', W', C'): the lanes of a vector are channels of a pixel.
H' and W' are H and W rounded up to multiples of 4, plus a border of one pixel on each side; C' is C
rounded up to a multiple of CHANNELS. Everything but pixels and channels is zero and stays so. Every
load is then of a whole vector, for any width of a picture and number of samples.

Axes: N samples, C channels, H x W pixels, L lanes.
"""

import functools
import math
from typing import Any

import numpy as np
from numba import prange

from .compile import compiled
from .inputs import contiguous, same_shape
from .memory import aligned, empty, pool
from .points import LANES
from .threads import share_rows
from .vectors import ROWS
from .winograd import OUTPUTS

__all__ = ["dot", "enter", "leave"]

BORDER = 1
CHANNELS = max(LANES, ROWS)  # C' is a multiple of this


def multiple(n, group):
    """Return n rounded up to a multiple of `group`."""
    return -(-n // group) * group


def _taken(shape):
    """Return memory for the data of maps (N, C, H, W): zero except their pixels."""
    n, c, *sides = shape
    height, width = (multiple(side, OUTPUTS) + 2 * BORDER for side in sides)
    whole = n, height, width, multiple(c, CHANNELS)
    data = pool.take(shape, 4 * math.prod(whole))
    if data is None:
        data = aligned(whole, np.float32)
        data[...] = 0
    return data


class Maps:
    """A batch of maps in this layout, float32, for the operations of an ops module.

    The arithmetic that networks write out (sums of maps, multiples) works as with arrays.
    """

    __array_ufunc__ = None  # or the product with a NumPy scalar would not reach `__rmul__`

    def __init__(self, shape):
        self.shape, self.dtype = tuple(shape), np.dtype(np.float32)
        self.data: Any = None
        self.data = _taken(self.shape)

    def __del__(self):
        if self.data is not None:  # there was memory for it
            pool.give(self.shape, self.data)

    @property
    def sides(self):
        """Height and width: H, W."""
        return self.shape[2:]

    def __add__(self, other):
        if not isinstance(other, Maps):
            return self if np.isscalar(other) and other == 0 else NotImplemented  # sum()'s start
        if other.shape != self.shape:
            raise ValueError(f"maps of {self.shape} and {other.shape} cannot be added")
        out = Maps(self.shape)
        _sum(self.data, other.data, out.data, self.shape)
        return out

    def __sub__(self, colour):
        """Subtract a number for each channel, (C, 1, 1)."""
        if np.shape(colour) != (self.shape[1], 1, 1):
            return NotImplemented
        out = Maps(self.shape)
        _shifted(self.data, np.ravel(-colour).astype(np.float32), out.data, self.shape)
        return out

    def __mul__(self, factor):
        out = Maps(self.shape)
        _multiple(self.data, np.float32(factor), out.data, self.shape)
        return out

    __radd__, __rmul__ = __add__, __mul__


# Pixels and channels alone: a factor that is not finite would turn the zeros around them into NaN,
# for good.


@compiled(parallel=True)
def _sum(a, b, out, shape):
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + BORDER
        for j in range(BORDER, BORDER + width):
            for k in range(c):
                out[sample, i, j, k] = a[sample, i, j, k] + b[sample, i, j, k]


@compiled(parallel=True)
def _shifted(a, colour, out, shape):
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + BORDER
        for j in range(BORDER, BORDER + width):
            for k in range(c):
                out[sample, i, j, k] = a[sample, i, j, k] + colour[k]


@compiled(parallel=True)
def _multiple(a, factor, out, shape):
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + BORDER
        for j in range(BORDER, BORDER + width):
            for k in range(c):
                out[sample, i, j, k] = a[sample, i, j, k] * factor


def enter(x):
    """See `reference.enter`. Returns float32 arrays (N, C, H, W) as `Maps`, all else as it is."""
    if not isinstance(x, np.ndarray) or x.dtype != np.float32 or x.ndim != 4:
        return x
    maps = Maps(x.shape)
    _interleave(contiguous(x)[0], maps.data, True)
    return maps


def as_maps(x):
    """Return x, which may be `Maps` or an array, as `Maps`.

    Keep a reference while their data is used: the memory of deleted maps is given to others.
    """
    return x if isinstance(x, Maps) else enter(np.asarray(x, np.float32))


def leave(x):
    """See `reference.leave`. Returns `Maps` as arrays (N, C, H, W), all else as it is."""
    if not isinstance(x, Maps):
        return x
    out = empty(x.shape, x.dtype)
    _interleave(out, x.data, False)
    return out


def dot(a, b):
    """See `reference.dot`."""
    same_shape("a", a, "b", b)
    if not (isinstance(a, Maps) and isinstance(b, Maps)):
        return float(np.sum(leave(a) * leave(b), dtype=np.float64))
    sums = np.zeros(a.shape[0] * a.shape[2])
    _products(a.data, b.data, a.shape, sums)
    return sums.sum()


@compiled(parallel=True)
def _products(a, b, shape, sums):
    # Row by row: threads would share a sum over all, and its bits would depend on their number.
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + BORDER
        for j in range(BORDER, BORDER + width):
            for k in range(c):
                sums[task] += a[sample, i, j, k] * b[sample, i, j, k]


def _interleave(x, maps, into):
    """Copy x (N, C, H, W) into maps (N, H', W', C') or, unless `into`, back."""
    n, c, height, width = x.shape
    share_rows(n * height, c * width, _interleave_rows, x, maps, into)


@compiled(allocates=False)
def _interleave_rows(x, maps, into, first, end):
    _, c, height, width = x.shape
    for task in range(first, end):
        sample, i = task // height, task % height
        row = maps[sample, i + BORDER, BORDER:]
        for k in range(c):
            line = x[sample, k, i]
            for j in range(width):
                if into:
                    row[j, k] = line[j]
                else:
                    line[j] = row[j, k]


def through_arrays(function):
    """Make an operation on arrays accept and return `Maps` too, by way of arrays."""

    @functools.wraps(function)
    def operation(*arguments, **options):
        given = [leave(x) for x in arguments]
        out = function(*given, **{name: leave(x) for name, x in options.items()})
        if all(x is y for x, y in zip(arguments, given, strict=True)):
            return out
        if isinstance(out, tuple):  # gradients, the first of which is that of maps
            return enter(out[0]), *out[1:]
        return enter(out)

    return operation
