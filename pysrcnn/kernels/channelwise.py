"""Operations with parameters for each channel: batch normalisation, PReLU and LeakyReLU.

They are plain loops over pixels, vectorised over channels. For this, arrays (N, C, H, W) are laid
out like `maps` but without a border, and the results are laid out as arrays again.

Axes: N samples, C channels, H x W pixels.
"""

import numpy as np
from numba import prange

from .compile import compiled
from .maps import BORDER, Maps, as_maps

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "moments",
    "moments_backward",
    "prelu",
    "prelu_backward",
]

EPSILON = 1e-5  # see `reference.normalisation`


# Each sum is over one row: threads would share a sum over all, and its bits would depend on their
# number. As in `maps`, sums take in pixels and channels only.


@compiled(parallel=True)
def _sums(a, border, shape, sums):
    """Sum a over each row: sums (N H, C)."""
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + border
        sums[task] = 0
        for j in range(border, border + width):
            for k in range(c):
                sums[task, k] += a[sample, i, j, k]


@compiled(parallel=True)
def _products(a, mean_a, b, mean_b, border, shape, sums):
    """Sum (a - mean_a) (b - mean_b) over each row: sums (N H, C)."""
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + border
        sums[task] = 0
        for j in range(border, border + width):
            for k in range(c):
                sums[task, k] += (a[sample, i, j, k] - mean_a[k]) * (b[sample, i, j, k] - mean_b[k])


@compiled(parallel=True)
def _moved(x, border, shape, mean, factor, summand, out):
    """Compute out = factor (x - mean) + summand."""
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + border
        for j in range(border, border + width):
            for k in range(c):
                out[sample, i, j, k] = factor[k] * (x[sample, i, j, k] - mean[k]) + summand[k]


@compiled(parallel=True)
def _prelu(x, border, shape, slopes, out):
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + border
        for j in range(border, border + width):
            for k in range(c):
                value = x[sample, i, j, k]
                out[sample, i, j, k] = value if value > 0 else slopes[k] * value


@compiled(parallel=True)
def _prelu_backward(dout, x, border, shape, slopes, dx, sums):
    """Compute dx, and the gradient of the slopes summed over each row: sums (N H, C)."""
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + border
        sums[task] = 0
        for j in range(border, border + width):
            for k in range(c):
                d, value = dout[sample, i, j, k], x[sample, i, j, k]
                dx[sample, i, j, k] = d if value > 0 else slopes[k] * d
                sums[task, k] += 0 if value > 0 else d * value


@compiled(parallel=True)
def _leaky_backward(dout, x, border, shape, slopes, dx):
    """Compute dx alone, since a fixed slope is not learned."""
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height + border
        for j in range(border, border + width):
            for k in range(c):
                d = dout[sample, i, j, k]
                dx[sample, i, j, k] = d if x[sample, i, j, k] > 0 else slopes[k] * d


class Laid:
    """Inputs of one shape, channels last: the data of `Maps`, or arrays laid out without a border.

    given: `Maps` or arrays (N, C, H, W) of float32 or float64, by name.
    """

    def __init__(self, **given):
        maps = [x for x in given.values() if isinstance(x, Maps)]
        self.of_maps = bool(maps)
        dtype = np.float32 if maps else np.result_type(*given.values())
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"the kernels compute in float32 or float64, not in {dtype}")
        self.shape, self.dtype = next(iter(given.values())).shape, np.dtype(dtype)
        for name, x in given.items():
            if len(x.shape) != 4 or 0 in x.shape or x.shape != self.shape:
                raise ValueError(
                    f"{name} has the shape {x.shape}, wanted (N, C, H, W) with pixels in it, the "
                    f"same of all"
                )
        self.border = BORDER if maps else 0
        if maps:
            self.held = [as_maps(x) for x in given.values()]
            self.data = [x.data for x in self.held]
        else:
            laid = (x.transpose(0, 2, 3, 1) for x in given.values())
            self.data = [np.ascontiguousarray(x, dtype) for x in laid]

    def numbers(self, name, given, one=False):
        """Return (C,): a number for each channel; with `one`, a single number may serve for all."""
        c, given = self.shape[1], np.asarray(given)
        if given.shape != (c,) and not (one and given.shape == (1,)):
            wanted = f"({c},) or (1,)" if one else f"({c},)"
            raise ValueError(f"{name} has the shape {given.shape}, wanted {wanted}")
        return np.full(c, given, self.dtype)

    def out(self, kernel, *arguments, shape=None):
        """Return what kernel(*arguments, data) writes to `data`, in the form of the inputs.

        shape: that of the result, (N, C, H, W), if it differs from that of the inputs.
        """
        n, c, height, width = shape = shape or self.shape
        if self.of_maps:
            made = Maps(shape)
            kernel(*arguments, made.data)
            return made
        data = np.empty((n, height, width, c), self.dtype)
        kernel(*arguments, data)
        return np.ascontiguousarray(data.transpose(0, 3, 1, 2))

    def rows(self):
        """Return an empty array for a sum of each row, (N H, C)."""
        n, c, height, _ = self.shape
        return np.empty((n * height, c))

    def sums(self, kernel, *arguments):
        """The sums (C,), float64, of rows that kernel(*arguments, border, shape, rows) fills."""
        rows = self.rows()
        kernel(*arguments, self.border, self.shape, rows)
        return rows.sum(axis=0)


def moments(x):
    """See `reference.moments`."""
    laid = Laid(x=x)
    (data,), m = laid.data, _numbers_of_a_channel(laid.shape)
    mean = (laid.sums(_sums, data) / m).astype(laid.dtype)
    variance = laid.sums(_products, data, mean, data, mean) / m
    return mean, variance.astype(laid.dtype)


def moments_backward(dmean, dvariance, x, mean):
    """See `reference.moments_backward`."""
    laid = Laid(x=x)
    m = laid.dtype.type(_numbers_of_a_channel(laid.shape))
    dmean, dvariance = laid.numbers("dmean", dmean), laid.numbers("dvariance", dvariance)
    numbers = laid.numbers("mean", mean), 2 * dvariance / m, dmean / m
    return laid.out(_moved, *laid.data, laid.border, laid.shape, *numbers)


def batch_norm(x, gamma, beta, mean, variance):
    """See `reference.batch_norm`."""
    laid = Laid(x=x)
    gamma, one = laid.numbers("gamma", gamma), _of_deviation(laid, variance)
    numbers = laid.numbers("mean", mean), gamma * one, laid.numbers("beta", beta)
    return laid.out(_moved, *laid.data, laid.border, laid.shape, *numbers)


def batch_norm_backward(dout, x, gamma, mean, variance):
    """See `reference.batch_norm_backward`."""
    laid = Laid(dout=dout, x=x)
    gamma, one = laid.numbers("gamma", gamma), _of_deviation(laid, variance)
    mean, zero = laid.numbers("mean", mean), np.zeros(laid.shape[1], laid.dtype)
    given = laid.data[0]
    dbeta = laid.sums(_sums, given)
    about = laid.sums(_products, given, zero, laid.data[1], mean)
    dx = laid.out(_moved, given, laid.border, laid.shape, zero, gamma * one, zero)
    numbers = about * one, dbeta, -gamma * one * dbeta, -gamma * one**3 / 2 * about
    return dx, *(v.astype(laid.dtype) for v in numbers)


def prelu(x, a):
    """See `reference.prelu`."""
    laid = Laid(x=x)
    return laid.out(_prelu, *laid.data, laid.border, laid.shape, laid.numbers("a", a, one=True))


def prelu_backward(dout, x, a):
    """See `reference.prelu_backward`."""
    laid = Laid(dout=dout, x=x)
    slopes, rows = laid.numbers("a", a, one=True), laid.rows()

    def fill(dx):
        _prelu_backward(*laid.data, laid.border, laid.shape, slopes, dx, rows)

    dx = laid.out(fill)
    sums = rows.sum(axis=0)
    one = np.shape(a) != sums.shape
    return dx, (sums.sum(keepdims=True) if one else sums).astype(laid.dtype)


def leaky_relu(x, slope):
    """See `reference.leaky_relu`."""
    return prelu(x, [slope])


def leaky_relu_backward(dout, x, slope):
    """See `reference.leaky_relu_backward`."""
    laid = Laid(dout=dout, x=x)
    slopes = laid.numbers("slope", [slope], one=True)
    return laid.out(_leaky_backward, *laid.data, laid.border, laid.shape, slopes)


def _numbers_of_a_channel(shape):
    n, _, height, width = shape
    return n * height * width


def _of_deviation(laid, variance):
    """Return 1 / sqrt(variance + epsilon), (C,)."""
    return 1 / np.sqrt(laid.numbers("variance", variance) + laid.dtype.type(EPSILON))
