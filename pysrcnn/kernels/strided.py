"""Convolutions with a stride: the taps of some pixels at a time, in one matrix product.

Winograd's transforms do not pay here. A stride of 2 makes four smaller maps of each; as a 3 x 3
convolution of these, by F(4 x 4, 3 x 3), it takes 4 x 36 products for 16 results and a channel, as
many as the sum itself, and the transforms besides. (Filters of 5 x 5 would save products, but few
layers have them.) So the pixels under the filter are collected, as by im2col, for some pixels of
the result at a time, and multiplied by all weights.

The gradient of the input needs no scattering. Its pixels (s i + a, s j + b) form s x s pictures,
one for each (a, b), and each of these is a convolution of dout, without a stride, with the taps
that reach these pixels.

Axes: N samples, C channels, O filters, H x W pixels, f filter size, s stride, T pixels at a time,
K taps times channels; K', O' rounded up to multiples of `maps.CHANNELS`.
"""

import numpy as np
from numba import get_thread_id, prange

from .channels import padded
from .compile import compiled, noinline
from .maps import BORDER, CHANNELS, Maps, as_maps, multiple, through_arrays
from .memory import Memory, aligned
from .operations import conv2d, conv2d_backward
from .points import LANES, products, products_of_gradients
from .same import SLICES
from .threads import count
from .tile import tile_load, tile_plus_vector, tile_store

__all__ = ["conv2d_strided", "conv2d_strided_backward"]

PIXELS = 48  # at a time, a multiple of the rows of all register tiles of `points`


def conv2d_strided(x, w, b, s):
    """See `reference.conv2d_strided`."""
    _checked(x, w, s)
    if b.shape != w.shape[:1]:
        raise ValueError(f"the bias has the shape {b.shape}, wanted {w.shape[:1]}")
    if not _fits(x, w):
        return _by_arrays(x, w, b, s)
    n, _, height, width = x.shape
    out = Maps((n, len(w), -(-height // s), -(-width // s)))
    bias = padded(b, out.data.shape[3], np.float32)
    _convolve(*_given(x, w, s), _matrix(w), bias, out.data, out.sides, (0, 0, 1), *_room(w))
    return out


def conv2d_strided_backward(dout, x, w, s):
    """See `reference.conv2d_strided_backward`."""
    _checked(x, w, s)
    n, _, height, width = x.shape
    wanted = n, len(w), -(-height // s), -(-width // s)
    if dout.shape != wanted:
        raise ValueError(f"dout has the shape {dout.shape}, wanted {wanted}")
    if not _fits(x, w):
        return _by_arrays_backward(dout, x, w, s)
    dout = as_maps(dout)
    db = dout.data[..., : len(w)].sum(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
    return _gradient_of_input(dout, x, w, s), _gradient_of_weights(dout, x, w, s), db


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


@through_arrays
def _by_arrays(x, w, b, s):
    return np.ascontiguousarray(conv2d(x, w, b, "zeros")[:, :, ::s, ::s])


@through_arrays
def _by_arrays_backward(dout, x, w, s):
    whole = np.zeros((*dout.shape[:2], *x.shape[2:]), dout.dtype)
    whole[:, :, ::s, ::s] = dout
    return conv2d_backward(whole, x, w, "zeros")


def _fits(x, w):
    """Whether the products here compute it: `Maps`, by weights in float32."""
    return isinstance(x, Maps) and w.dtype == np.float32


def _given(x, w, s):
    """Return x, its sides, taps and channels, as `_collect` takes them, for a filter as it is.

    Of few channels, the pixels of a row are moved next to each other, so that those under a row of
    the filter are copied at once, as the channels of one pixel.
    """
    f, c = w.shape[2], x.shape[1]
    far, offsets = f // 2, np.arange(f) - f // 2
    if 2 * c > CHANNELS:
        return x.data, x.sides, (offsets, offsets, far, s), c
    n, _, height, width = x.shape
    # Whole vectors are copied: they may reach beyond the last pixel of a row, and the last row.
    shape = n, height + 2 * BORDER + LANES, BORDER + far + width + far + LANES, c
    tight = _memory.bordered("tight", shape, far, x.sides, np.float32)
    _tighten(x.data, tight, far, height, width)
    return tight, x.sides, (offsets, np.zeros(1, int), far, s), f * c


@compiled(parallel=True)
def _tighten(x, out, far, height, width):
    """Move the pixels of a row next to each other, by `far` columns: where their windows begin."""
    for task in prange(len(x) * height):
        _tighten_row(x, out, far, task // height, BORDER + task % height, width)


@compiled(inner=True, allocates=False)
def _tighten_row(x, out, far, sample, row, width):
    noinline()
    across, c = x.shape[3], out.shape[3]
    at = ((sample * x.shape[1] + row) * x.shape[2] + BORDER) * across
    to = ((sample * out.shape[1] + row) * out.shape[2] + BORDER + far) * c
    for j in range(width):  # what is too much is overwritten by the next
        tile_store(tile_load(x, at + j * across, 1, 1), out, to + j * c, 0, 1)
    out[sample, row, BORDER + far + width : BORDER + 2 * far + width] = 0


def _matrix(w):
    """Return weights (O, C, u, v) as (1, K, O'), the taps in the order in which `_collect` does."""
    o, k = len(w), w[0].size
    out = aligned((1, k, multiple(o, CHANNELS)), np.float32)
    out[..., o:] = 0
    out[0, :, :o] = w.transpose(2, 3, 1, 0).reshape(k, o)
    return out


_memory = Memory()


def _room(w):
    """Return memory for each thread: T rows of K' numbers, and T rows of O' numbers.

    There is one row more, since `_collect` copies whole vectors.
    """
    sizes = {"taps": multiple(w[0].size, CHANNELS), "filters": multiple(len(w), CHANNELS)}
    shapes = {name: (count(), PIXELS + 1, 1, 1, size) for name, size in sizes.items()}
    return [_memory.array(name, shape, np.float32) for name, shape in shapes.items()]


def _gradient_of_input(dout, x, w, s):
    """Return dx: dx[s i + a] = sum over taps u of w[u] dout[i + (a + p - u) / s], where whole."""
    dx, p = Maps(x.shape), w.shape[2] // 2
    bias = np.zeros(dx.data.shape[3], np.float32)
    taps = np.arange(w.shape[2])
    reaching = [taps[(a + p - taps) % s == 0] for a in range(s)]
    offsets = [(a + p - some) // s for a, some in enumerate(reaching)]
    turned = w.swapaxes(0, 1)
    for a, b in np.ndindex(s, s):
        some = turned[:, :, reaching[a]][..., reaching[b]]
        given = dout.data, dout.sides, (offsets[a], offsets[b], p, 1), len(w)
        result = dx.data, dx.sides, (a, b, s)
        _convolve(*given, _matrix(some), bias, *result, *_room(turned))
    return dx


def _gradient_of_weights(dout, x, w, s):
    """Return dw, summed over slices of the batch."""
    o, c, f, _ = w.shape
    blocks = -(-dout.shape[0] * dout.sides[0] * dout.sides[1] // PIXELS)
    shape = min(SLICES, blocks), 1, multiple(w[0].size, CHANNELS), dout.data.shape[3]
    sums = _memory.array("sums", shape, np.float32)
    centre = np.zeros(1, int), np.zeros(1, int), 0, 1
    _gradients(*_given(x, w, s), dout.data, dout.sides, centre, sums, *_room(w))
    dw = sums[:, 0, : w[0].size, :o].sum(axis=0).reshape(f, f, c, o)
    return np.ascontiguousarray(dw.transpose(3, 2, 0, 1))


@compiled(inner=True, allocates=False)
def _place(number, shape, x):
    """Return where pixel (0, 0) of a sample lies in x, and row and column of a pixel in `shape`.

    number: of the pixel, counted over the batch.
    """
    sample, rest = number // (shape[0] * shape[1]), number % (shape[0] * shape[1])
    _, height, width, channels = x.shape
    at = ((sample * height + BORDER) * width + BORDER) * channels
    return at, rest // shape[1], rest % shape[1]


@compiled(inner=True, inlined=True, allocates=False)
def _next(place, shape, x):
    """Return the place of the next pixel; divisions would take longer than to copy its taps."""
    at, i, j = place
    if j + 1 < shape[1]:
        return at, i, j + 1
    if i + 1 < shape[0]:
        return at, i + 1, 0
    return at + x.shape[1] * x.shape[2] * x.shape[3], 0, 0


@compiled(inner=True, allocates=False)
def _collect(x, sides, taps, channels, shape, first, some, out):
    """Copy the pixels under the filter to out (T, 1, 1, K or more), for some pixels of the result.

    sides: H, W of x. taps: the distances of the rows and of the columns of the filter from its
    centre, the farthest of them, and the stride. shape: rows and columns of the result.
    """
    noinline()
    rows, columns, far, stride = taps
    across, down = x.shape[3], x.shape[2] * x.shape[3]
    place = _place(first, shape, x)
    for t in range(some):
        at, i, j = place
        place = _next(place, shape, x)
        i, j, to = stride * i, stride * j, t * out.shape[3]
        whole = far <= i < sides[0] - far and far <= j < sides[1] - far
        for u in rows:
            for v in columns:
                inside = whole or (0 <= i + u < sides[0] and 0 <= j + v < sides[1])
                pixel = at + (i + u) * down + (j + v) * across if inside else 0  # a zero
                for c in range(0, channels, LANES):  # what is too much is overwritten by the next
                    tile_store(tile_load(x, pixel + c, 1, 1), out, to + c, 0, 1)
                to += channels


@compiled(parallel=True)
def _convolve(x, sides, taps, channels, w, b, out, out_sides, grid, vs, ms):
    """Compute some pixels of out. grid: row and column of the first, and the step to the next.

    sides, taps, channels: see `_collect`. w: (1, K, O'), b: (O',). vs, ms: see `_room`.
    """
    top, left, step = grid
    shape = (out_sides[0] - top + step - 1) // step, (out_sides[1] - left + step - 1) // step
    pixels = len(out) * shape[0] * shape[1]
    for block in prange((pixels + PIXELS - 1) // PIXELS):
        v, m = vs[get_thread_id()], ms[get_thread_id()]
        first = block * PIXELS
        some = min(PIXELS, pixels - first)
        _collect(x, sides, taps, channels, shape, first, some, v)
        products(v, w, 0, w.shape[2], m, some)
        _put(m, b, out, shape, grid, first, some)


@compiled(inner=True, allocates=False)
def _put(m, b, out, shape, grid, first, some):
    """Store m (T, 1, 1, O') + b in some of the pixels that `_convolve` computes."""
    noinline()
    top, left, step = grid
    across, down = out.shape[3], out.shape[2] * out.shape[3]
    place = _place(first, shape, out)
    for t in range(some):
        at, i, j = place
        place = _next(place, shape, out)
        at += (step * i + top) * down + (step * j + left) * across
        for o in range(0, across, LANES):
            sums = tile_load(m, t * across + o, 1, 1)
            tile_store(tile_plus_vector(sums, b, o), out, at + o, 0, 1)


@compiled(parallel=True)
def _gradients(x, sides, taps, channels, dout, shape, centre, sums, vs, ds):
    """Compute the gradients of the weights, sums (slices, 1, K', O'), of some blocks each.

    centre: `taps` of a single one, by which `dout` is collected.
    """
    pixels = len(dout) * shape[0] * shape[1]
    blocks = (pixels + PIXELS - 1) // PIXELS
    for part in prange(len(sums)):
        v, d = vs[get_thread_id()], ds[get_thread_id()]
        sums[part] = 0
        for block in range(part, blocks, len(sums)):
            first = block * PIXELS
            some = min(PIXELS, pixels - first)
            _collect(x, sides, taps, channels, shape, first, some, v)
            _collect(dout, shape, centre, dout.shape[3], shape, first, some, d)
            products_of_gradients(v, d, some, sums[part])
