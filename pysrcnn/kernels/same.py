"""The convolution of deep networks: 3 x 3, as large as its input, by Winograd's transforms.

It computes F(4 x 4, 3 x 3) of `winograd` with the steps of `points`, on maps in the layout of
`maps`. The gradient of the input is the same with the weights turned.

Axes: N samples, C channels, O filters, H x W pixels, L lanes, n = 6 points along a side, T tiles.
"""

import numpy as np
from numba import get_thread_id, prange

from . import few, operations
from .channels import padded
from .compile import compiled, noinline
from .filters import filters_from_points, filters_to_points
from .inputs import same_shape
from .maps import BORDER, CHANNELS, Maps, as_maps, leave, multiple, through_arrays
from .memory import Memory, aligned
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
    to_points,
)
from .rows import LINEAR, RELU
from .threads import count
from .transforms import SPREAD, TO_POINTS
from .winograd import AT_ONE, OUTPUTS

__all__ = [
    "conv2d",
    "conv2d_backward",
    "conv2d_same",
    "conv2d_same_backward",
    "conv_relu",
    "conv_relu_backward",
    "relu",
    "relu_backward",
    "tanh",
    "tanh_backward",
]

TAPS, N = 3, 6
POINTS = N * N
SIZE = True, None  # `threes, fives` of `filters`: the filters are 3 x 3
SUM = AT_ONE * N + AT_ONE  # the point that is the sum of the pixels of a tile
PARTS = 4  # parts of a batch for each thread
SLICES = 8  # slices of a batch, summed separately: threads do not affect the order


@compiled(inner=True)
def _convolve_part(form, given, w, b, more, epilogue, out, sides, room, part, parts):
    """`_convolve` for number `part` of `parts` parts of the tiles."""
    noinline()
    (x, gate, gated), (summand, added), (v, m) = given, more, room
    count = count_of(x, sides)
    blocks, most = (count + TILES - 1) // TILES, m.shape[3]
    for block in range(part * blocks // parts, (part + 1) * blocks // parts):
        first = block * TILES
        some = min(TILES, count - first)
        if form == few.FROM_FEW:
            few.from_few(x, w, b, summand, added, epilogue, out, first, some, sides)
            continue
        if form == few.TO_FEW:
            few.to_few(x, gate, gated, w, b, summand, added, epilogue, out, first, some, sides)
            continue
        tiles = first, some
        to_points(TO_POINTS, TAPS, N, N, x, 0, gate, gated, sides, v, tiles)
        for o in range(0, w.shape[2], most):
            here = min(most, w.shape[2] - o)
            products(v, w, o, here, m, some)
            from_points(TAPS, N, m, o, here, b, more, epilogue, out, BORDER, sides, tiles)


# Numba compiles the body of a parallel loop three times, so it holds no more than a call.


@compiled(parallel=True)
def _convolve(form, given, w, b, more, epilogue, out, sides, vs, ms):
    """Compute out = epilogue(w * x + b + summand); sides: H, W.

    form: WINOGRAD, with w (n^2, C, O') at the points, or another of `few`, with w by `few.taps`.
    given: x, gate, gated, see `points.to_points`. more: summand, added, see `points.from_points`.
    epilogue: LINEAR or RELU. vs, ms: see `_room`.
    """
    parts = PARTS * len(vs)
    for part in prange(parts):
        thread = get_thread_id()
        room = vs[thread], ms[thread]
        _convolve_part(form, given, w, b, more, epilogue, out, sides, room, np.int64(part), parts)


@compiled(inner=True)
def _gradients_part(form, given, x, sides, sums, biases, room, part, parts):
    """`_gradients` for number `part` of `parts` parts of the tiles."""
    noinline()
    (dout, gate, gated), (xs, ds) = given, room
    count = count_of(x, sides)
    sums[:] = 0
    biases[:] = 0
    for block in range(part, (count + TILES - 1) // TILES, parts):
        first = block * TILES
        some = min(TILES, count - first)
        if form == few.FROM_FEW:
            few.add_products(dout, gate, gated, x, first, some, sides, ds, sums, biases)
            continue
        tiles = first, some
        to_points(TO_POINTS, TAPS, N, N, x, 0, x, NO, sides, xs, tiles)
        to_points(SPREAD, TAPS, OUTPUTS, N, dout, BORDER, gate, gated, sides, ds, tiles)
        for t in range(some):
            for o in range(biases.size):
                biases[o] += ds[t, 0, SUM, o]
        products_of_gradients(xs, ds, some, sums)


@compiled(parallel=True)
def _gradients(form, given, x, sides, sums, biases, vs, ms):
    """Compute gradients of weights at the points, (slices, n^2, C', O'), and biases (slices, O').

    form: WINOGRAD, or FROM_FEW, where sums are those of `few.add_products`. given: dout, its gate
    and whether it is gated, see `points.to_points`. vs, ms: see `_room`.
    """
    parts = len(sums)
    for part in prange(parts):
        thread = get_thread_id()
        room = vs[thread], ms[thread]
        _gradients_part(
            form, given, x, sides, sums[part], biases[part], room, np.int64(part), parts
        )


_memory = Memory()


def _fits(x, w):
    """Whether this file computes the convolution: of `Maps`, by 3 x 3 weights in float32."""
    return isinstance(x, Maps) and w.shape[2:] == (TAPS, TAPS) and w.dtype == np.float32


def _room(channels, filters):
    """Return memory for the points of T tiles for each thread: of the input, and of sums or dout.

    Both are (threads, T, groups, n^2, channels of a group); sums and dout are in one group.
    """
    channels, filters = multiple(channels, CHANNELS), multiple(filters, CHANNELS)
    size = LANES if GROUPED else channels
    shapes = {"v": (channels // size, POINTS, size), "m": (1, POINTS, filters)}
    return [_memory.array(k, (count(), TILES, *s), np.float32) for k, s in shapes.items()]


def _weights(form, w, turned):
    """Return weights (O, C, 3, 3) for `_convolve`; turned: with filters and channels exchanged."""
    if form != few.WINOGRAD:
        return few.taps(w, form, turned)
    o, c = w.shape[1::-1] if turned else w.shape[:2]
    out = aligned((POINTS, c, multiple(o, CHANNELS)), np.float32)
    filters_to_points(*SIZE, np.ascontiguousarray(w), turned, out)
    return out


def _checked(x, w, b=None):
    """Raise a ValueError if the channels do not fit: compiled code would read beyond arrays."""
    if w.shape[1] != x.shape[1] or (b is not None and b.shape != w.shape[:1]):
        shapes = f"x {x.shape}, w {w.shape}" + ("" if b is None else f", b {b.shape}")
        raise ValueError(f"the channels do not fit: {shapes}")


def _convolved(x, w, b, summand, epilogue):
    _checked(x, w, b)
    out = Maps((x.shape[0], len(w), *x.sides))
    summand = out if summand is None else as_maps(summand)
    if summand.shape != out.shape:
        raise ValueError(f"the summand has the shape {summand.shape}, wanted {out.shape}")
    form = few.form(x.shape[1], len(w), False)
    given, bias = (x.data, x.data, False), padded(b, out.data.shape[3], np.float32)
    more = summand.data, summand is not out
    room = _room(x.shape[1], min(MOST, len(w)))
    u = _weights(form, w, False)
    _convolve(form, given, u, bias, more, epilogue, out.data, x.sides, *room)
    return out


def _gone_back(dout, out, x, w):
    """Return dx, dw, db of `conv2d_same`, or of `conv_relu` whose result is `out`."""
    _checked(x, w)
    dout = as_maps(dout)
    out = None if out is None else as_maps(out)
    wanted = x.shape[0], len(w), *x.sides
    if dout.shape != wanted or (out is not None and out.shape != wanted):
        raise ValueError(f"dout has the shape {dout.shape}, wanted {wanted}")
    gate, gated = (dout, False) if out is None else (out, True)
    dx, bias = Maps(x.shape), padded((), x.data.shape[3], np.float32)
    given = dout.data, gate.data, gated
    room = _room(len(w), min(MOST, x.shape[1]))
    form = few.form(len(w), x.shape[1], gated)
    u = _weights(form, w, True)
    more = dx.data, False
    _convolve(form, given, u, bias, more, LINEAR, dx.data, x.sides, *room)
    return dx, *_gradients_of_weights(given, x, w)


def _gradients_of_weights(given, x, w):
    """Return dw, db; given: dout, its gate and whether it is gated, see `_gradients`."""
    dout, _, gated = given
    filters, channels = w.shape[:2]
    height, width = x.sides
    tiles = x.shape[0] * -(-height // OUTPUTS) * -(-width // OUTPUTS)
    slices = min(SLICES, -(-tiles // TILES))  # none that would be empty
    biases = np.empty((slices, dout.shape[3]), np.float32)
    form = few.form(channels, filters, False)
    if form == few.TO_FEW and not gated:  # from few, with x and dout exchanged
        sums = np.empty((slices, filters, x.data.shape[3] // LANES, TAPS**2 * LANES), np.float32)
        room = _room(filters, channels)
        none = np.empty((slices, 0), np.float32)
        _gradients(few.FROM_FEW, (x.data, x.data, False), dout, x.sides, sums, none, *room)
        db = dout[..., :filters].sum(axis=(0, 1, 2), dtype=np.float64)
        return few.from_sums(sums, channels, True), db.astype(np.float32)
    room = _room(channels, filters)
    if form == few.FROM_FEW:
        sums = np.empty((slices, channels, dout.shape[3] // LANES, TAPS**2 * LANES), np.float32)
        _gradients(form, given, x.data, x.sides, sums, biases, *room)
        dw = few.from_sums(sums, filters, False)
    else:
        shape = (slices, POINTS, x.data.shape[3], dout.shape[3])
        sums = _memory.array("sums", shape, np.float32)
        _gradients(few.WINOGRAD, given, x.data, x.sides, sums, biases, *room)
        dw = np.empty(w.shape, np.float32)
        filters_from_points(*SIZE, sums, dw)
    return dw, biases.sum(axis=0, dtype=np.float64)[:filters].astype(np.float32)


def conv2d_same(x, w, b, summand=None):
    """See `reference.conv2d_same`."""
    if _fits(x, w):
        return _convolved(x, w, b, summand, LINEAR)
    return _by_arrays(x, w, b, summand)


@through_arrays
def _by_arrays(x, w, b, summand):
    out = operations.conv2d(x, w, b, "zeros")
    return out if summand is None else out + summand


def conv2d_same_backward(dout, x, w):
    """See `reference.conv2d_same_backward`."""
    return _gone_back(dout, None, x, w) if _fits(x, w) else conv2d_backward(dout, x, w, "zeros")


def conv_relu(x, w, b):
    """See `reference.conv_relu`."""
    return _convolved(x, w, b, None, RELU) if _fits(x, w) else relu(conv2d(x, w, b, "zeros"))


def conv_relu_backward(dout, out, x, w):
    """See `reference.conv_relu_backward`."""
    if _fits(x, w):
        return _gone_back(dout, out, x, w)
    return conv2d_backward(relu_backward(dout, out), x, w, "zeros")


def relu(x):
    """See `reference.relu`."""
    if not isinstance(x, Maps):
        return operations.relu(x)
    out = Maps(x.shape)
    operations.relu_into(x.data.reshape(-1), out.data.reshape(-1))
    return out


def relu_backward(dout, x):
    """See `reference.relu_backward`."""
    if not isinstance(x, Maps):
        return operations.relu_backward(leave(dout), x)
    same_shape("dout", dout, "x", x)
    dout, dx = as_maps(dout), Maps(x.shape)
    operations.relu_backward_into(*(maps.data.reshape(-1) for maps in (dout, x, dx)))
    return dx


# None of these works on `Maps` themselves.
conv2d, conv2d_backward = map(through_arrays, (operations.conv2d, operations.conv2d_backward))
tanh, tanh_backward = map(through_arrays, (operations.tanh, operations.tanh_backward))
