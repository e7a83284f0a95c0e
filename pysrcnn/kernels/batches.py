"""Loss and gradients of a batch, in kept memory.

The batch is laid out, and every layer computed, as `lanes` says, or where it takes fewer
multiplications as `lanes_winograd` does. On the way back each feature map is overwritten, in place,
by the gradient of the loss with respect to it: it is needed once more only where it lies, to tell
what the activation let through. So a map has the border of zeros from the start that its gradient
will need, and a step touches no more memory than the maps take.

Axes: N samples, C channels, H x W pixels, L lanes, B blocks of L samples.
"""

import numpy as np
from numba import prange

from . import lanes, lanes_winograd
from .compile import compiled
from .inputs import network_input, one_of
from .memory import Memory
from .rows import ACTIVATIONS, LINEAR
from .vectors import ROWS, VECTOR_BYTES
from .winograd import OUTPUTS


@compiled(parallel=True)
def _squared_error(out, border, high, size):
    """The squared error of a batch in lanes against `high` (N, C, H, W), row by row, float64.

    It is not summed here, where threads would share the sum and so decide on its rounding.
    out (B, C, H + 2 border, W + 2 border, L) becomes the gradient of the mean over `size` elements.
    """
    n, channels, height, width = high.shape
    blocks, _, _, _, lanes = out.shape
    errors = np.zeros(blocks * height)
    scale = out.dtype.type(2 / size)
    for task in prange(blocks * height):
        block, i = task // height, task % height
        samples = min(lanes, n - block * lanes)
        for c in range(channels):
            for j in range(width):
                pixel = out[block, c, i + border, j + border]
                for lane in range(samples):
                    e = pixel[lane] - high[block * lanes + lane, c, i, j]
                    pixel[lane] = e * scale
                    errors[task] += e * e
                pixel[samples:] = 0
    return errors


# Vectors of samples that are worked on at a time, so that their maps stay in the cache.
TOGETHER = 1
_memory = Memory()


def loss_and_gradients(low, high, layers, activation="relu"):
    """See `reference.loss_and_gradients`. Middle layers by `lanes_winograd` where it pays.

    The memory for the feature maps of a batch is kept, for the next one (per thread that calls).
    """
    return _loss_and_gradients(low, high, layers, activation, lanes_winograd.pays)


def loss_and_gradients_direct(low, high, layers, activation="relu"):
    """See `reference.loss_and_gradients`: the same sums, each product computed."""
    return _loss_and_gradients(low, high, layers, activation, lambda layers, k: False)


def _loss_and_gradients(low, high, layers, activation, pays):
    one_of("activation", activation, ACTIVATIONS)
    low, layers = network_input(low, layers, room=True)
    high = np.ascontiguousarray(high, low.dtype)
    margin = sum(w.shape[2] - 1 for w, _ in layers)
    wanted = (low.shape[0], len(layers[-1][1]), low.shape[2] - margin, low.shape[3] - margin)
    if high.shape != wanted:
        raise ValueError(f"high has the shape {high.shape}, the network gives {wanted}")
    # The output is the narrowest map: where it has room for a tile, each has.
    fast = [wanted[3] >= OUTPUTS and pays(layers, k) for k in range(len(layers))]

    together = TOGETHER * (VECTOR_BYTES // low.itemsize)
    loss = 0.0
    totals = [(np.zeros(w.shape), np.zeros(b.shape)) for w, b in layers]
    for i in range(0, len(low), together):
        part = slice(i, i + together)
        error, gradients = _part_of_a_batch(
            low[part], high[part], layers, ACTIVATIONS[activation], fast, high.size
        )
        loss += error
        for total, gradient in zip(totals, gradients, strict=True):
            for a, b in zip(total, gradient, strict=True):
                a += b
    return loss, [tuple(a.astype(low.dtype) for a in total) for total in totals]


def _part_of_a_batch(low, high, layers, activation, fast, size):
    """What some samples add to the loss, a mean over `size` elements, and to the gradients."""
    forward, backward = activation
    # The gradient of the picture itself is not asked for, so map 1's needs no border.
    borders = [0, 0] + [w.shape[2] - 1 for w, _ in layers[1:]]
    x = lanes.to_lanes(low)
    maps = [_memory.array(0, x.shape, x.dtype)]
    maps[0][...] = x
    points = {}  # of the maps that a transformed layer reads
    blocks, _, height, width, count = x.shape
    for k, (w, b) in enumerate(layers):
        o, _, f, _ = w.shape
        height, width = height - f + 1, width - f + 1
        shape = (blocks, o, height, width, count)
        maps.append(_memory.bordered(k + 1, shape, borders[k + 1], low.dtype))
        epilogue = forward if k < len(layers) - 1 else LINEAR
        if fast[k]:
            name = f"points of {k}"
            points[k] = lanes_winograd.input_points(maps[k], borders[k], f, _memory, name)
            lanes_winograd.convolve(points[k], 0, w, b, epilogue, maps[k + 1], borders[k + 1])
        elif epilogue == LINEAR and o < ROWS:
            lanes.convolve_to_few(maps[k], borders[k], w, b, maps[k + 1], borders[k + 1], _memory)
        else:
            lanes.convolve(maps[k], borders[k], w, b, epilogue, maps[k + 1], borders[k + 1])

    error = _squared_error(maps[-1], borders[-1], high, size).sum() / size
    gradients = []
    for k in reversed(range(len(layers))):
        w, _ = layers[k]
        dout, border = maps[k + 1], borders[k + 1]
        if fast[k]:
            gradients.append(lanes_winograd.gradients(dout, border, points[k], w, _memory))
            lanes_winograd.gradient_of_input(dout, w, backward, maps[k], borders[k], _memory)
        else:
            gradients.append(lanes.gradients(dout, border, maps[k], borders[k], w))
            if k > 0:
                lanes.gradient_of_input(dout, w, backward, maps[k], borders[k])
    return error, gradients[::-1]
