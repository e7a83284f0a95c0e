"""Adjustment of trained weights so that black stays black and white stays white."""

import numpy as np

from ..color import rgb_to_luma
from ..networks import Chain
from ..networks.parameters import not_finite

__all__ = ["keep_ends"]

SLACK = 2**-18  # a quarter of a 16-bit level: many times float32's rounding, and invisible
NEAR = 0.02  # of the way from black to white


def keep_ends(network: Chain) -> None:
    """Change biases and the last layer, in place, by the least that black and white need.

    The squared error hardly notices either: few pixels are pure black, and one level of 255 on them
    costs almost nothing. But a black border that turns grey is visible, and in 16 bits it is off by
    300 levels. Results are clipped to 0..1, so flat black must come out at or below black, and flat
    white at or above white. In a flat picture all feature maps are flat, and a layer is one matrix,
    the sums of its filters. Two things go wrong there:

    1. With ReLU, a filter that hands brightness on may fall silent slightly above black, so that
       everything darker looks the same. If a filter is silent at black and responds before 2 % of
       the way to white, its bias b grows by s, until it is not silent; the biases of the next layer
       fall by s times the sums of their filters for its map. So nothing changes where it responded.
    2. The last layer makes up for what is still missing, r. A row of A is (h, ..., h, 1): the value
       h of each map before that layer, repeated for each weight of a filter. The row of black has
       its sign changed, so that more is better in both. Among the changes d of a channel's weights
       and bias with A d >= r, the smallest is A^T (A A^T)^-1 r, the pseudo-inverse of A times r,
       over the rows where it is just enough: none, black, white, or both.

    Parameters
    ----------
    network : Chain
        Black and white are those of studio range, 16/255 and 235/255, if it takes luma (c = 1), and
        0 and 1 if it takes RGB. Nothing happens if its parameters are not finite; the last layer
        stays as it is if its input is the same for black and white.
    """
    if not_finite(network.parameters):
        return
    ends = np.array([0.0, 1.0])
    if network.c == 1:
        ends = rgb_to_luma(np.stack([ends] * 3, axis=1))
    h = np.stack([ends] * network.c)  # (maps, black and white)
    *first, (w, b) = network.layers
    for k, (weights, biases) in enumerate(first):
        h = weights.sum(axis=(2, 3), dtype=np.float64) @ h + biases[:, None]
        if network.activation == "tanh":  # never falls silent
            h = np.tanh(h)
            continue
        silent = (h[:, 0] < -SLACK) & (-h[:, 0] < NEAR * (h[:, 1] - h[:, 0]))
        silent = np.where(silent, -h[:, 0], 0)
        biases += silent
        following, its_biases = network.layers[k + 1]
        its_biases -= following.sum(axis=(2, 3), dtype=np.float64) @ silent
        h = np.maximum(h + silent[:, None], 0)
    a = np.vstack([np.repeat(h, w[0, 0].size, axis=0), np.ones(2)]).T * [[-1], [1]]
    for channel in range(len(b)):
        flat = a @ np.append(w[channel], b[channel])
        missing = [SLACK - ends[0], SLACK + ends[1]] - flat
        found = []
        for rows in ([], [0], [1], [0, 1]):
            d = np.linalg.pinv(a[rows]) @ missing[rows]
            if (a @ d > missing - SLACK / 2).all():
                found.append(d)
        if found:
            d = min(found, key=np.linalg.norm)
            w[channel] += d[:-1].reshape(w[channel].shape)
            b[channel] += d[-1]
