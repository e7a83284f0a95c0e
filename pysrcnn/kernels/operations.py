"""Single operations of `reference`, compiled: convolutions on register tiles, and plain loops.

Arguments and results are those of the functions of the same names in `reference`. Shapes that
compiled code could not address raise a ValueError. What is compiled gets arrays in C order, as
Numba would compile it again for any other. Most of it gets the array for its result, too: to
compile `np.zeros` with a loop of threads takes half as long again as the loop alone.
"""

import numpy as np
from numba import prange

from . import channels
from .compile import compiled
from .fused import forward
from .inputs import contiguous, flat, network_input, one_of, same_shape, window_fits
from .memory import Memory, empty
from .rows import LINEAR, tanh_in_place
from .vectors import VECTOR_BYTES

__all__ = [
    "col2im",
    "conv2d",
    "conv2d_backward",
    "im2col",
    "pad_replicate",
    "pad_replicate_backward",
    "pad_zeros",
    "pad_zeros_backward",
    "relu",
    "relu_backward",
    "tanh",
    "tanh_backward",
]


def conv2d(x, w, b, padding="valid"):
    """See `reference.conv2d`."""
    return forward(x, [(w, b)], padding)


def conv2d_backward(dout, x, w, padding="valid"):
    """See `reference.conv2d_backward`."""
    one_of("padding", padding, _PADDINGS)
    dout, x, w = contiguous(dout, x, w)
    n, o, f = x.shape[0], w.shape[0], w.shape[2]
    pad, pad_backward = _PADDINGS[padding]
    x = pad(x, f // 2)
    x, _ = network_input(x, [(w, np.zeros(o, w.dtype))], room=True)
    wanted = (n, o, x.shape[2] - f + 1, x.shape[3] - f + 1)
    if dout.shape != wanted:
        raise ValueError(f"dout has the shape {dout.shape}, wanted {wanted}")
    dx, dw, db = _gradients(dout, x, w)
    dx = pad_backward(np.ascontiguousarray(dx.transpose(0, 3, 1, 2)), f // 2)
    return dx, dw.astype(w.dtype), db.astype(w.dtype)


def _gradients(dout, x, w):
    """Return dx (N, H, W, C), dw and db of a valid convolution."""
    o, c, f, _ = w.shape
    narrow = channels.few(o, w.dtype)
    filters = o if narrow else channels.whole(o, w.dtype)
    width = channels.whole(c, w.dtype)
    kind = channels.FewFilters if narrow else channels.Layer
    layer = kind(w, np.zeros(o, w.dtype), width, filters)
    memory = Memory()
    maps = [
        channels.blank(memory, name, len(a), a.shape[2:], size, border, w.dtype)
        for name, a, size, border in (("x", x, width, 0), ("dout", dout, filters, f - 1))
    ]
    for out, a in zip(maps, (x, dout), strict=True):
        channels.fill(out, a)
    layer.backward(maps[1], maps[0])
    dw, db = layer.gradients()
    layer.backward_of_input(maps[1], LINEAR, maps[0])
    return maps[0].pixels[..., :c], dw, db


def im2col(x, f):
    """See `reference.im2col`."""
    window_fits(x.shape, f)
    return _im2col(*contiguous(x), f)


@compiled(parallel=True)
def _im2col(x, f):
    n, channels, height, width = x.shape
    rows, columns = height - f + 1, width - f + 1
    cols = np.empty((n, channels * f * f, rows * columns), x.dtype)
    for task in prange(n * channels):
        sample, c = task // channels, task % channels
        for u in range(f):
            for v in range(f):
                for i in range(rows):
                    for j in range(columns):
                        k = (c * f + u) * f + v
                        cols[sample, k, i * columns + j] = x[sample, c, i + u, j + v]
    return cols


def col2im(cols, shape, f):
    """See `reference.col2im`."""
    n, channels, height, width = shape
    window_fits(shape, f)
    wanted = (n, channels * f * f, (height - f + 1) * (width - f + 1))
    if cols.shape != wanted:
        raise ValueError(f"cols has the shape {cols.shape}, wanted {wanted}")
    (cols,) = contiguous(cols)
    x = np.zeros(shape, cols.dtype)
    _col2im(cols, f, x)
    return x


@compiled(parallel=True)
def _col2im(cols, f, x):
    n, channels, height, width = x.shape
    rows, columns = height - f + 1, width - f + 1
    for task in prange(n * channels):
        sample, c = task // channels, task % channels
        for u in range(f):
            for v in range(f):
                for i in range(rows):
                    for j in range(columns):
                        k = (c * f + u) * f + v
                        x[sample, c, i + u, j + v] += cols[sample, k, i * columns + j]


def relu(x):
    """See `reference.relu`."""
    (numbers,) = flat(x)
    out = np.empty(x.shape, numbers.dtype)
    relu_into(numbers, out.reshape(-1))
    return out


@compiled(parallel=True)
def relu_into(x, out):
    for i in prange(x.size):
        out[i] = 0 if x[i] <= 0 else x[i]


def relu_backward(dout, x):
    """See `reference.relu_backward`."""
    same_shape("dout", dout, "x", x)
    given, numbers = flat(dout, x)
    dx = np.empty(x.shape, given.dtype)
    relu_backward_into(given, numbers, dx.reshape(-1))
    return dx


@compiled(parallel=True)
def relu_backward_into(dout, x, dx):
    for i in prange(x.size):
        dx[i] = 0 if x[i] <= 0 else dout[i]


def tanh(x):
    """See `reference.tanh`. Computed by `tile_tanh`, as in the networks."""
    (x,) = contiguous(x)
    lanes = VECTOR_BYTES // x.itemsize
    vectors = empty((-(-x.size // lanes) * lanes,), x.dtype)
    vectors[: x.size], vectors[x.size :] = x.reshape(-1), 0
    _tanh_in_place(vectors)
    return vectors[: x.size].reshape(x.shape)


@compiled(parallel=True)
def _tanh_in_place(x):
    lanes = VECTOR_BYTES // x.itemsize
    for v in prange(x.size // lanes):
        tanh_in_place(x, v * lanes, 0, 0, 1, 1)


def tanh_backward(dout, out):
    """See `reference.tanh_backward`."""
    same_shape("dout", dout, "out", out)
    given, numbers = flat(dout, out)
    dx = np.empty(out.shape, given.dtype)
    _tanh_backward(given, numbers, dx.reshape(-1))
    return dx


@compiled(parallel=True)
def _tanh_backward(dout, out, dx):
    one = dout.dtype.type(1)
    for i in prange(dout.size):
        dx[i] = dout[i] * (one - out[i] * out[i])


def pad_replicate(x, p):
    """See `reference.pad_replicate`."""
    if p < 0:
        raise ValueError(f"p is {p}, wanted 0 or more")
    if p and 0 in x.shape[2:]:
        raise ValueError(f"x has the shape {x.shape}, wanted (N, C, H, W) with pixels in it")
    return _pad_replicate(*contiguous(x), p)


@compiled(parallel=True)
def _pad_replicate(x, p):
    n, channels, height, width = x.shape
    out = np.empty((n, channels, height + 2 * p, width + 2 * p), x.dtype)
    for task in prange(n * channels):
        sample, c = task // channels, task % channels
        for i in range(height + 2 * p):
            for j in range(width + 2 * p):
                u, v = min(max(i - p, 0), height - 1), min(max(j - p, 0), width - 1)
                out[sample, c, i, j] = x[sample, c, u, v]
    return out


def pad_replicate_backward(dout, p):
    """See `reference.pad_replicate_backward`."""
    _something_inside(dout, p)
    (dout,) = contiguous(dout)
    n, c, height, width = dout.shape
    dx = np.zeros((n, c, height - 2 * p, width - 2 * p), dout.dtype)
    _pad_replicate_backward(dout, p, dx)
    return dx


@compiled(parallel=True)
def _pad_replicate_backward(dout, p, dx):
    n, channels, height, width = dx.shape
    for task in prange(n * channels):
        sample, c = task // channels, task % channels
        for i in range(height + 2 * p):
            for j in range(width + 2 * p):
                u, v = min(max(i - p, 0), height - 1), min(max(j - p, 0), width - 1)
                dx[sample, c, u, v] += dout[sample, c, i, j]


def pad_zeros(x, p):
    """See `reference.pad_zeros`. NumPy copies whole rows: there is nothing to compile."""
    if p < 0:
        raise ValueError(f"p is {p}, wanted 0 or more")
    n, channels, height, width = x.shape
    out = np.zeros((n, channels, height + 2 * p, width + 2 * p), x.dtype)
    out[:, :, p : p + height, p : p + width] = x
    return out


def pad_zeros_backward(dout, p):
    """See `reference.pad_zeros_backward`."""
    _something_inside(dout, p)
    return dout[:, :, p : dout.shape[2] - p, p : dout.shape[3] - p].copy()


def _something_inside(dout, p):
    """Raise a ValueError if a padding of p pixels leaves nothing of dout (N, C, H, W)."""
    if not 0 <= 2 * p < min(dout.shape[2:]):
        raise ValueError(f"p is {p} and dout {dout.shape}: nothing is left inside the padding")


def _nothing(x, p):
    return x


_PADDINGS = {
    "valid": (_nothing, _nothing),
    "replicate": (pad_replicate, pad_replicate_backward),
    "zeros": (pad_zeros, pad_zeros_backward),
}
