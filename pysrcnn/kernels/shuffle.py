"""The sub-pixel shuffle of `reference`, and back: it only moves data, so memory is the limit.

Axes: N samples, C channels of the large map, H x W pixels of the small ones, s scale.
"""

import itertools
from typing import Any

from .compile import compiled
from .inputs import contiguous
from .maps import BORDER, Maps, through_arrays
from .memory import empty
from .threads import share, share_rows

__all__ = [
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "repeat",
    "repeat_backward",
]

COLOURS = 3
TASK = 32  # rows of a small map that a thread moves at a time


def pixel_shuffle(x, s):
    """See `reference.pixel_shuffle`.

    Pictures, of up to COLOURS channels, come as an array: as `Maps` they would take more memory.
    """
    if len(x.shape) != 4 or s < 1 or x.shape[1] % s**2:
        raise ValueError(f"x has the shape {x.shape}, wanted (N, C s^2, H, W) for s = {s}")
    if s == 1:
        return x
    n, maps, height, width = x.shape
    shape = n, maps // s**2, s * height, s * width
    if isinstance(x, Maps) and shape[1] > COLOURS:
        large = Maps(shape)
        _move(x.data, large.data, shape, s, True)
        return large
    if isinstance(x, Maps):
        out = empty(shape, x.dtype)
        share_rows(n * s * height, maps // s * width, _unpack, x.data, out, s)
        return out
    (x,) = contiguous(x)
    out = empty(shape, x.dtype)
    _in_threads(_shuffle, x, out, s)
    return out


def pixel_shuffle_backward(dout, s):
    """See `reference.pixel_shuffle_backward`."""
    if len(dout.shape) != 4 or s < 1 or dout.shape[2] % s or dout.shape[3] % s:
        raise ValueError(f"dout has the shape {dout.shape}, wanted (N, C, s H, s W) for s = {s}")
    if s == 1:
        return dout
    n, c, height, width = dout.shape
    shape = n, c * s**2, height // s, width // s
    if isinstance(dout, Maps):
        dx: Any = Maps(shape)
        _move(dx.data, dout.data, dout.shape, s, False)
        return dx
    (dout,) = contiguous(dout)
    dx = empty(shape, dout.dtype)
    _in_threads(_collect, dx, dout, s)
    return dx


def _move(small, large, shape, s, apart):
    """Copy data of small maps to large ones, (N, C, s H, s W), or back unless `apart`."""
    n, c, height, width = shape
    share_rows(n * height, c * width, _move_rows, small, large, shape, s, apart)


@compiled(allocates=False)
def _move_rows(small, large, shape, s, apart, first, end):
    _, c, height, width = shape
    for task in range(first, end):
        sample, i = task // height, task % height
        for j in range(width):
            whole = large[sample, i + BORDER, j + BORDER]
            parts = small[sample, i // s + BORDER, j // s + BORDER]
            at = i % s * s + j % s
            for k in range(c):
                if apart:
                    whole[k] = parts[k * s * s + at]
                else:
                    parts[k * s * s + at] = whole[k]


@compiled(allocates=False)
def _unpack(small, out, s, first, end):
    """Compute rows of an array out (N, C, s H, s W) from the data of maps."""
    _, channels, height, width = out.shape
    for task in range(first, end):
        sample, i = task // height, task % height
        for c in range(channels):
            line, k = out[sample, c, i], (c * s + i % s) * s
            for j in range(width // s):
                pixel = small[sample, i // s + BORDER, j + BORDER]
                for b in range(s):
                    line[j * s + b] = pixel[k + b]


@through_arrays
def repeat(x, n):
    """See `reference.repeat`."""
    if x.ndim != 4 or n < 1:
        raise ValueError(f"x has the shape {x.shape} and n is {n}, wanted (N, C, H, W), 1 or more")
    samples, c, height, width = x.shape
    out = empty((samples, c, n, height, width), x.dtype)
    out[...] = x[:, :, None]
    return out.reshape(samples, c * n, height, width)


@through_arrays
def repeat_backward(dout, n):
    """See `reference.repeat_backward`."""
    if dout.ndim != 4 or n < 1 or dout.shape[1] % n:
        raise ValueError(f"dout has the shape {dout.shape}, wanted (N, C n, H, W) for n = {n}")
    samples, maps, height, width = dout.shape
    return dout.reshape(samples, maps // n, n, height, width).sum(axis=2)


def _in_threads(work, small, large, s):
    """Call work(maps, picture, s, channel, rows) for all channels, some rows at a time."""
    n, c, height, _ = large.shape

    def some(tasks):
        for sample, channel, first in tasks:
            rows = first, min(first + TASK, height // s)
            work(small[sample], large[sample], s, channel, rows)

    share(itertools.product(range(n), range(c), range(0, height // s, TASK)), some)


@compiled(allocates=False)
def _shuffle(x, out, s, channel, rows):
    for i in range(rows[0], rows[1]):
        for a in range(s):
            to = out[channel, i * s + a]
            for b in range(s):
                source = x[(channel * s + a) * s + b, i]
                for j in range(source.size):
                    to[j * s + b] = source[j]


@compiled(allocates=False)
def _collect(dx, dout, s, channel, rows):
    for i in range(rows[0], rows[1]):
        for a in range(s):
            source = dout[channel, i * s + a]
            for b in range(s):
                to = dx[(channel * s + a) * s + b, i]
                for j in range(to.size):
                    to[j] = source[j * s + b]
