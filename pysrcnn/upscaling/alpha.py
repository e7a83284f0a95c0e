"""Continuing the colour of visible pixels into the transparent ones beside them.

Otherwise the colour that transparent pixels hide would show at the edges of the result.
"""

import math

import numpy as np

__all__ = ["reach", "spread"]


def reach(margin: int, scale: float) -> int:
    """Return how many pixels away a transparent pixel can affect the visible part of the result.

    A pixel of the result is visible if one within 2 pixels of it in the picture is (more when
    shrinking): its alpha is interpolated from these. Its colour depends on `margin` pixels of the
    network's input, again interpolated from within 2. One is added, as centres lie between pixels.
    """
    kernel = math.ceil(2 * max(1, 1 / scale))
    return kernel + math.ceil(margin / scale) + kernel + 1


def spread(pixels: np.ndarray, reach: int) -> np.ndarray:
    """Continue the colour of visible pixels into the transparent ones around them.

    Parameters
    ----------
    pixels : array (H, W, C), uint8, uint16 or floating point
        The last channel is alpha; a pixel is transparent where it is 0 or less.
    reach : int
        How many pixels far. In each step, transparent pixels take the mean of known neighbours.

    Returns
    -------
    spread : array (H, W, C) of the same dtype, or `pixels` itself where there is nothing to do
        Alpha is unchanged.
    """
    known = np.pad(pixels[:, :, -1] > 0, 1)
    if known[1:-1, 1:-1].all() or not known.any():
        return pixels
    height, width, channels = pixels.shape
    result = pixels.copy()
    around = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    for _ in range(reach):
        beside = np.zeros((height, width), bool)
        for i, j in around:
            beside |= known[i : i + height, j : j + width]
        y, x = np.nonzero(beside & ~known[1:-1, 1:-1])
        if len(y) == 0:
            break
        total, count = np.zeros((len(y), channels - 1)), np.zeros((len(y), 1))
        for i, j in around:
            use = known[y + i, x + j]
            total[use] += result[(y + i - 1)[use], (x + j - 1)[use], :-1]
            count += use[:, None]
        total /= count
        result[y, x, :-1] = total if result.dtype.kind == "f" else np.floor(total + 0.5)
        known[y + 1, x + 1] = True
    return result
