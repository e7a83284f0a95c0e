"""Dense layers and max pooling of `reference.classifiers`: matrix products and plain loops.

Axes: N samples, C channels, O outputs, H x W pixels.
"""

from numba import prange

from .blas import one_blas_thread
from .channelwise import Laid
from .compile import compiled
from .inputs import contiguous
from .maps import Maps, as_maps, through_arrays

__all__ = ["dense", "dense_backward", "max_pool", "max_pool_backward"]


@through_arrays
def dense(x, w, b):
    """See `reference.dense`. BLAS uses one thread, or the bits would depend on their number."""
    x, w, b = contiguous(x, w, b)
    _checked(x, w)
    if b.shape != w.shape[:1]:
        raise ValueError(f"biases have the shape {b.shape}, wanted {w.shape[:1]}")
    with one_blas_thread():
        out = x.reshape(len(x), -1) @ w.reshape(len(w), -1).T + b
    return out[:, :, None, None]


@through_arrays
def dense_backward(dout, x, w):
    """See `reference.dense_backward`."""
    dout, x, w = contiguous(dout, x, w)
    _checked(x, w)
    wanted = len(x), len(w), 1, 1
    if dout.shape != wanted:
        raise ValueError(f"dout has the shape {dout.shape}, wanted {wanted}")
    dout = dout[:, :, 0, 0]
    with one_blas_thread():
        dx, dw = dout @ w.reshape(len(w), -1), dout.T @ x.reshape(len(x), -1)
    return dx.reshape(x.shape), dw.reshape(w.shape), dout.sum(axis=0)


def _checked(x, w):
    if x.ndim != 4 or x.size == 0 or w.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"x has the shape {x.shape} and weights {w.shape}, wanted (N, C, H, W) with pixels in "
            f"it and (O, C, H, W)"
        )


@compiled(parallel=True)
def _pool(x, border, shape, out):
    """Compute the maxima of 2 x 2 pixels; shape: of the result, (N, C, H, W)."""
    n, c, height, width = shape
    for task in prange(n * height):
        sample, i = task // height, task % height
        for j in range(width):
            for k in range(c):
                out[sample, i + border, j + border, k] = _largest(x, sample, i, j, border, k)[0]


@compiled(parallel=True)
def _pool_backward(dout, x, border, shape, dx):
    """Pass dout to the maxima of 2 x 2 pixels; shape: of x and dx, (N, C, H, W)."""
    n, c, height, width = shape
    pairs = (height + 1) // 2
    for task in prange(n * pairs):
        sample, i = task // pairs, task % pairs
        for y in range(2 * i, min(2 * i + 2, height)):
            for z in range(width):
                for k in range(c):
                    dx[sample, y + border, z + border, k] = 0
        if 2 * i + 1 == height:
            continue
        for j in range(width // 2):
            for k in range(c):
                _, at = _largest(x, sample, i, j, border, k)
                y, z = 2 * i + at // 2 + border, 2 * j + at % 2 + border
                dx[sample, y, z, k] = dout[sample, i + border, j + border, k]


@compiled(inner=True, allocates=False)
def _largest(x, sample, i, j, border, k):
    """The largest of 2 x 2 pixels and its index, row by row: NaN if any, else the first maximum."""
    y, z, which = 2 * i + border, 2 * j + border, 0
    largest = x[sample, y, z, k]
    for at in range(1, 4):
        if largest != largest:
            break
        value = x[sample, y + at // 2, z + at % 2, k]
        if value > largest or value != value:
            largest, which = value, at
    return largest, which


def max_pool(x):
    """See `reference.max_pool`."""
    laid = Laid(x=x)
    n, c, height, width = laid.shape
    if min(height, width) < 2:
        raise ValueError(f"x has the shape {x.shape}, wanted 2 x 2 pixels or more")
    shape = n, c, height // 2, width // 2
    return laid.out(_pool, *laid.data, laid.border, shape, shape=shape)


def max_pool_backward(dout, x):
    """See `reference.max_pool_backward`."""
    n, c, height, width = x.shape
    wanted = n, c, height // 2, width // 2
    if dout.shape != wanted:
        raise ValueError(f"dout has the shape {dout.shape}, wanted {wanted}")
    if isinstance(x, Maps) or isinstance(dout, Maps):
        dout, x = as_maps(dout), as_maps(x)
    small, laid = Laid(dout=dout), Laid(x=x)
    return laid.out(_pool_backward, *small.data, *laid.data, laid.border, laid.shape)
