"""Loss and gradients of a batch, in memory that is kept between batches.

`channels` describes how the batch is laid out and every layer computed. In the backward pass, the
gradient of the loss with respect to a feature map overwrites the map in place: a value is needed
only once more, in its own place, to tell what the activation let through. So each map has from the
start the border of zeros that its gradient needs, and a step touches no memory beyond the maps.

Axes: N samples, C channels, H x W pixels.
"""

import numpy as np

from . import channels, tiles
from .compile import compiled
from .inputs import network_input, one_of
from .memory import Memory
from .rows import ACTIVATIONS, LINEAR


@compiled(allocates=False)
def _squared_error(out, border, high, size):
    """Return the summed squared error, float64, of `out` inside its border against `high`.

    out (N, H', W', C') becomes the gradient of the mean over `size` elements. high (N, C, H, W).
    """
    n, channels, height, width = high.shape
    total, scale = 0.0, out.dtype.type(2 / size)
    for sample in range(n):
        for i in range(height):
            for j in range(width):
                pixel = out[sample, i + border, j + border]
                for c in range(channels):
                    e = pixel[c] - high[sample, c, i, j]
                    pixel[c] = e * scale
                    total += e * e
    return total


TOGETHER = 32  # samples processed together, so that their maps stay in the cache
_memory = Memory()


def loss_and_gradients(low, high, layers, activation="relu"):
    """See `reference.loss_and_gradients`. Uses `tiles` for layers where that is faster.

    The memory for the feature maps of a batch is kept for the next one, in each calling thread.
    """
    return _loss_and_gradients(low, high, layers, activation, tiles.kind)


def loss_and_gradients_direct(low, high, layers, activation="relu"):
    """See `reference.loss_and_gradients`. Uses direct sums for every layer."""
    return _loss_and_gradients(low, high, layers, activation, lambda *layer: None)


def _loss_and_gradients(low, high, layers, activation, faster):
    one_of("activation", activation, ACTIVATIONS)
    low, layers = network_input(low, layers, room=True)
    high = np.ascontiguousarray(high, low.dtype)
    margin = sum(w.shape[2] - 1 for w, _ in layers)
    wanted = (low.shape[0], len(layers[-1][1]), low.shape[2] - margin, low.shape[3] - margin)
    if high.shape != wanted:
        raise ValueError(f"high has the shape {high.shape}, the network gives {wanted}")

    steps = _steps(layers, low, faster)
    loss = 0.0
    for i in range(0, len(low), TOGETHER):
        part = slice(i, i + TOGETHER)
        loss += _part_of_a_batch(low[part], high[part], steps, ACTIVATIONS[activation], high.size)
    gradients = [step.gradients() for step in steps]
    return loss, [tuple(a.astype(low.dtype) for a in pair) for pair in gradients]


def _steps(layers, low, faster):
    """Return the objects that compute the layers: see `channels.Layer`."""
    steps, (_, c, *sides) = [], low.shape
    for k, (w, b) in enumerate(layers, 1):
        sides = [side - w.shape[2] + 1 for side in sides]
        o, kind = channels.whole(len(b), w.dtype), channels.Layer
        if 1 < k == len(layers) and channels.few(len(b), w.dtype):
            o, kind = len(b), channels.FewFilters
        else:
            kind = faster(w, k == 1, sides) or kind
        steps.append(kind(w, b, c, o))
        c = o
    return steps


def _part_of_a_batch(low, high, steps, activation, size):
    """Add some samples' gradients to `steps`; return their part of the loss, a mean over `size`."""
    forward, backward = activation
    maps = [steps[0].enter(_memory, low)]
    for k, step in enumerate(steps, 1):
        f = step.w.shape[2]
        sides = [side - f + 1 for side in maps[-1].sides]
        # The gradient of the picture is not computed, so that of map 1 needs no border.
        border = f - 1 if k > 1 else 0
        maps.append(channels.blank(_memory, k, len(low), sides, step.filters, border, low.dtype))
        step.forward(maps[k - 1], forward if k < len(steps) else LINEAR, maps[k])

    last = maps[-1]
    error = float(_squared_error(last.data, last.border, high, size)) / size
    for k, step in reversed(list(enumerate(steps, 1))):
        step.backward(maps[k], maps[k - 1])
        if k > 1:
            step.backward_of_input(maps[k], backward, maps[k - 1])
    return error
