"""Convolutions with a stride, as convolutions without one on more and smaller maps.

A stride of s is replaced by s x s smaller maps per channel. Map (a, b) has the pixels of row
s i + a and column s j + b: the inverse of a sub-pixel shuffle. A weight d rows below the centre of
a filter then applies to the maps a = d mod s, floor(d / s) rows below the centre of a smaller
filter. So 3 x 3 and 5 x 5 filters with a stride of 2 become filters of 3 x 3, some weights of which
are zero, on four times as many maps of a quarter of the size, computed by Winograd's transforms.

Axes: N samples, C channels, O filters, H x W pixels, f filter size, s stride.
"""

import numpy as np
from numba import prange

from .compile import compiled
from .maps import BORDER, Maps
from .same import conv2d_same, conv2d_same_backward

__all__ = ["conv2d_strided", "conv2d_strided_backward"]


def conv2d_strided(x, w, b, s):
    """See `reference.conv2d_strided`."""
    _checked(x, w, s)
    return conv2d_same(_apart(x, s), _spread(w, s), b)


def conv2d_strided_backward(dout, x, w, s):
    """See `reference.conv2d_strided_backward`."""
    _checked(x, w, s)
    dx, dw, db = conv2d_same_backward(dout, _apart(x, s), _spread(w, s))
    return _together(dx, x, s), _gathered(dw, w, s), db


def _checked(x, w, s):
    """Raise a ValueError where the kernels would compute another convolution, or none."""
    if len(x.shape) != 4 or 0 in x.shape or s < 1:
        raise ValueError(
            f"x has the shape {x.shape} and s is {s}, wanted (N, C, H, W) with pixels in it, and 1 "
            f"or more"
        )
    if w.ndim != 4 or w.shape[1] != x.shape[1] or w.shape[2] != w.shape[3] or w.shape[2] % 2 == 0:
        wanted = f"(O, {x.shape[1]}, f, f), f odd"
        raise ValueError(f"weights have the shape {w.shape}, wanted {wanted}")


def _small(shape, s):
    """Return the shape of the maps that `_apart` makes."""
    n, c, height, width = shape
    return n, s * s * c, -(-height // s), -(-width // s)


def _apart(x, s):
    """Split x into (N, s s C, H / s, W / s): row a and column b go to map (a s + b) C + c."""
    n, many, height, width = shape = _small(x.shape, s)
    if isinstance(x, Maps):
        out = Maps(shape)
        _copy(x.data, out.data, x.shape, s, True)
        return out
    whole = np.zeros((*x.shape[:2], s * height, s * width), x.dtype)
    whole[:, :, : x.shape[2], : x.shape[3]] = x
    parts = whole.reshape(*x.shape[:2], height, s, width, s).transpose(0, 3, 5, 1, 2, 4)
    return np.ascontiguousarray(parts).reshape(shape)


def _together(small, x, s):
    """Merge the maps of `small` into the size and form of x: the inverse of `_apart`."""
    if isinstance(x, Maps):
        out = Maps(x.shape)
        _copy(out.data, small.data, x.shape, s, False)
        return out
    n, c, height, width = x.shape
    parts = small.reshape(n, s, s, c, *small.shape[2:]).transpose(0, 3, 4, 1, 5, 2)
    whole = parts.reshape(n, c, s * small.shape[2], s * small.shape[3])
    return np.ascontiguousarray(whole[:, :, :height, :width])


@compiled(parallel=True)
def _copy(large, small, shape, s, apart):
    """Copy the data of large maps (N, C, H, W) to that of small ones or, unless `apart`, back."""
    n, c, height, width = shape
    rows, columns = s * (-(-height // s)), s * (-(-width // s))
    for task in prange(n * rows):
        sample, i = task // rows, task % rows
        for j in range(columns):
            first = (i % s * s + j % s) * c
            pixel = small[sample, i // s + BORDER, j // s + BORDER, first : first + c]
            if i >= height or j >= width:  # earlier maps may have left something there
                pixel[...] = 0
                continue
            whole = large[sample, i + BORDER, j + BORDER]
            for k in range(c):
                if apart:
                    pixel[k] = whole[k]
                else:
                    whole[k] = pixel[k]


def _places(f, s):
    """The map and new row of each of f rows (or columns) of a filter, and the new filter size."""
    p = f // 2
    maps, offsets = (np.arange(-p, p + 1) % s), (np.arange(-p, p + 1) // s)
    r = -(-p // s)
    return maps, offsets + r, 2 * r + 1


def _spread(w, s):
    """Return weights (O, C, f, f) as (O, s s C, f', f')."""
    o, c, f, _ = w.shape
    maps, places, size = _places(f, s)
    out = np.zeros((o, s, s, c, size, size), w.dtype)
    out[:, maps[:, None], maps, :, places[:, None], places] = w.transpose(2, 3, 0, 1)
    return out.reshape(o, s * s * c, size, size)


def _gathered(spread, w, s):
    """Return the entries of `spread` that `_spread` fills, (O, C, f, f): its adjoint."""
    o, c, f, _ = w.shape
    maps, places, size = _places(f, s)
    parts = spread.reshape(o, s, s, c, size, size)
    found = parts[:, maps[:, None], maps, :, places[:, None], places]
    return np.ascontiguousarray(found.transpose(2, 3, 0, 1))
