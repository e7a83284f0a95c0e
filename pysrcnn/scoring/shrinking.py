"""Find out how the small pictures behind somebody's results were made.

Whatever the network, most of a result is a linear function of the small picture around each pixel.
So the original is shrunk in each usual way; the right way is the one from which the best linear
filters, one for each sub-pixel, come closest to the result.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..data import degrade
from ..evaluate import levels
from ..metrics import psnr
from ..resize import imresize

__all__ = ["Way", "agreement", "cost", "ways"]

_TAPS = 5  # width of the filters, in pixels of the small picture
_MOST = 512  # rows and columns that are examined, at most


class Way(NamedTuple):
    """A way to shrink (H, W), and one to enlarge if pixels are not centred in their blocks."""

    shrink: Callable[[np.ndarray], np.ndarray]
    enlarge: Callable[[np.ndarray], np.ndarray] | None = None


def ways(scale: int) -> dict[str, Way]:
    """List the usual ways to shrink a picture, by description: the protocol's, "", comes first.

    Parameters
    ----------
    scale : int

    Returns
    -------
    ways : dict of Way
    """
    s = scale

    def middles(x: np.ndarray) -> np.ndarray:
        if s % 2:
            return x[s // 2 :: s, s // 2 :: s]
        for _ in range(2):  # the cubic kernel between two pixels, along each axis in turn
            x = ndimage.correlate1d(x, np.array([-1, 9, 9, -1]) / 16, axis=0, mode="nearest")
            x = x[s // 2 :: s].T
        return x

    def means(x: np.ndarray) -> np.ndarray:
        return x.reshape(x.shape[0] // s, s, x.shape[1] // s, s).mean((1, 3))

    def zoomed(x: np.ndarray) -> np.ndarray:
        return ndimage.zoom(x, [n // s / n for n in x.shape], order=3, mode="nearest")

    linear = " or by a bilinear resize" if s == 2 else " or average pooling"  # the same for 2 x 2
    return {
        "": Way(lambda x: imresize(x, scale=1 / s)),
        "without antialiasing, as by OpenCV or PyTorch's interpolate": Way(middles),
        f"of each pixel out of {s}, as by x[::{s}, ::{s}]": Way(lambda x: x[::s, ::s]),
        f"as means of {s} x {s} pixels, as by OpenCV's INTER_AREA{linear}": Way(means),
        "without antialiasing and with corners aligned, as by scipy.ndimage.zoom": Way(
            zoomed, lambda x: ndimage.zoom(x, s, order=3, mode="nearest")
        ),
    }


def agreement(result: np.ndarray, truth: np.ndarray, way: Way, scale: int) -> float:
    """Measure how well linear filters make the result from the original shrunk in this way.

    Parameters
    ----------
    result, truth : float arrays (H, W) of levels 0..255, with sides that the scale divides
    way : Way
    scale : int

    Returns
    -------
    psnr : float, in dB, at most 70
    """
    low, b, apart = way.shrink(truth), result[:, :, None], scale
    if way.enlarge:
        low = way.enlarge(low)
    else:  # the pixels of a block are the outputs of as many filters at one place
        b = result.reshape(low.shape[0], scale, low.shape[1], scale).swapaxes(1, 2)
        b, apart = b.reshape(*low.shape, -1), 1
    reach = _TAPS // 2 * apart
    padded = np.pad(low, reach, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2)
    here = tuple(slice(max(0, n - _MOST) // 2, max(0, n - _MOST) // 2 + _MOST) for n in low.shape)
    a = around[here][..., ::apart, ::apart].reshape(-1, _TAPS**2)
    a = np.column_stack([a, np.full(len(a), 255.0)])
    b = b[here].reshape(len(a), -1)
    filters = np.linalg.lstsq(a.T @ a, a.T @ b, rcond=1e-12)[0]
    return min(psnr(a @ filters, b), 70.0)


def cost(truth: np.ndarray, scale: int, way: Way) -> float:
    """Measure what bicubic interpolation loses, in dB, if the small picture is made in this way.

    Parameters
    ----------
    truth : float array (H, W) of levels 0..255
    scale : int
    way : Way

    Returns
    -------
    cost : float
        Positive where the protocol's small picture gives the better result.
    """
    right, small = degrade(truth, scale), way.shrink(truth)
    wrong = way.enlarge(small) if way.enlarge else imresize(small, shape=truth.shape)
    values = [min(psnr(levels(x[None] / 255), truth, scale), 99.0) for x in (right, wrong)]
    return values[0] - values[1]
