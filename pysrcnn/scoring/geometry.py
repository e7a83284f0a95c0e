"""Where the pixels of a result lie in the original: shifted, or stretched, by parts of a pixel.

Axes: H x W pixels. Along each of them pixel i of the result shows what is at

    i + shift + stretch (i - c) / c        with c = (n - 1) / 2, the middle of n pixels

in the original, so `stretch` is what comes to `shift` at the last pixel and goes off at the first.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

__all__ = ["Place", "undone", "where"]

_CLOSE = 0.2  # pixels, up to which a place is another one


class Place(NamedTuple):
    """Shift and stretch along H, then along W, in pixels."""

    shift_y: float
    stretch_y: float
    shift_x: float
    stretch_x: float

    def is_at(self, *other: float) -> bool:
        """Whether it is this shift and stretch, to what can be measured."""
        return bool(np.abs(np.subtract(self, other)).max() <= _CLOSE)


def where(result: np.ndarray, truth: np.ndarray, scale: int) -> Place:
    """Measure the place of a result, and round it to halves of a pixel if it is nearly there.

    By Gauss and Newton, on blurred pictures first: of all small movements, and of brightness and
    contrast, the one that brings the result closest to the original in the least squares.

    Parameters
    ----------
    result, truth : float arrays (H, W)
    scale : int
        How far, in pixels, they may be apart.

    Returns
    -------
    place : Place
    """
    found = np.zeros(4)
    inner = tuple(slice(min(2 * scale + 2, n // 4), n - min(2 * scale + 2, n // 4))
                  for n in truth.shape)  # fmt: skip
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in truth.shape), indexing="ij")
    for sigma in (scale, scale / 2):
        wanted = ndimage.gaussian_filter(truth, sigma)
        blurred = ndimage.gaussian_filter(result, sigma)
        for _ in range(4):
            there = undone(blurred, Place(*found))
            dy, dx = np.gradient(there)
            columns = (dy, dy * y, dx, dx * x, there, np.ones_like(there))
            a = np.stack([column[inner].ravel() for column in columns], axis=1)
            step = np.linalg.lstsq(a.T @ a, a.T @ (wanted - there)[inner].ravel(), rcond=1e-12)[0]
            found = np.clip(found - step[:4], -2 * scale, 2 * scale)
    halves = np.round(2 * found) / 2
    near = np.abs(found - halves) <= [_CLOSE, 0.25, _CLOSE, 0.25]  # a stretch is half as certain
    return Place(*np.where(near, halves, found).tolist())


def undone(result: np.ndarray, place: Place) -> np.ndarray:
    """The result, brought to where the original is, by cubic splines.

    Parameters
    ----------
    result : float array (H, W) or (H, W, c)
    place : Place

    Returns
    -------
    moved : float array of that shape
    """
    if result.ndim == 3:
        return np.stack([undone(plane, place) for plane in np.moveaxis(result, 2, 0)], axis=2)
    shifts, stretches = np.array(place[::2]), np.array(place[1::2])
    factors = 1 + stretches / ((np.array(result.shape) - 1) / 2)
    return ndimage.affine_transform(
        result, 1 / factors, (stretches - shifts) / factors, order=3, mode="nearest"
    )
