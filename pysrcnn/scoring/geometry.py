"""Where the pixels of a result lie in the original: shifts and stretches by fractions of a pixel.

Axes: H x W pixels. Along each axis, pixel i of the result shows the point

    i + shift + stretch (i - c) / c        with c = (n - 1) / 2, the middle of n pixels

of the original, so `stretch` is added to `shift` at the last pixel and subtracted at the first.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

__all__ = ["Place", "undone", "where"]

_CLOSE = 0.2  # pixels within which two places count as equal


class Place(NamedTuple):
    """Shift and stretch along H, then along W, in pixels."""

    shift_y: float
    stretch_y: float
    shift_x: float
    stretch_x: float

    def is_at(self, *other: float) -> bool:
        """Whether it equals this shift and stretch, to the accuracy of the measurement."""
        return bool(np.abs(np.subtract(self, other)).max() <= _CLOSE)


def where(result: np.ndarray, truth: np.ndarray, scale: int) -> Place:
    """Measure the place of a result, rounded to halves of a pixel where it is close to them.

    The Gauss-Newton method finds the shift and stretch, with brightness and contrast, that bring
    the result closest to the original in least squares: on pictures blurred by a Gaussian of sigma
    `scale`, then `scale` / 2.

    Parameters
    ----------
    result, truth : float arrays (H, W)
    scale : int
        Shifts and stretches are limited to twice as many pixels.

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
    near = np.abs(found - halves) <= [_CLOSE, 0.25, _CLOSE, 0.25]  # stretches are less certain
    return Place(*np.where(near, halves, found).tolist())


def undone(result: np.ndarray, place: Place) -> np.ndarray:
    """Move the result back onto the original, by cubic splines.

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
