"""Measure the temporal consistency of videos: optical flow between frames, and its error (tOF).

The flow is estimated for every pixel by the method of Lucas and Kanade ("An Iterative Image
Registration Technique with an Application to Stereo Vision", IJCAI 1981), from coarse to fine as
in Bouguet's "Pyramidal Implementation of the Lucas Kanade Feature Tracker" (2000). No network is
involved, so it can judge all of them.

Axes: H x W pixels. A flow is (2, H, W), in pixels: along x, then along y.
"""

import numpy as np

from . import kernels
from .resize import imresize

__all__ = ["optical_flow", "tof"]

_SMALLEST = 12  # pixels along the shorter side of the coarsest picture
_ITERATIONS = 6  # on each level
_WINDOW = 2.5  # pixels, standard deviation of the Gaussian window of an estimate
_FLAT = 4.0  # squared levels of 0..255 a pixel, added to squared gradients: no motion where flat


def optical_flow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Estimate the flow from a to b: a[i, j] is nearly b[i + flow[1, i, j], j + flow[0, i, j]].

    Parameters
    ----------
    a, b : float arrays (H, W)
        Luminance in 0..255.

    Returns
    -------
    flow : float32 array (2, H, W)
        In pixels, to the right and down.
    """
    pyramid = [(a.astype(np.float32), b.astype(np.float32))]
    while min(pyramid[-1][0].shape) >= 2 * _SMALLEST:
        halves = (imresize(x.astype(np.float64), scale=0.5) for x in pyramid[-1])
        first, second = (x.astype(np.float32) for x in halves)
        pyramid.append((first, second))
    flow = np.zeros((2, *pyramid[-1][0].shape), np.float32)
    for first, second in reversed(pyramid):
        if flow.shape[1:] != first.shape:
            larger = [2 * imresize(x.astype(np.float64), shape=first.shape) for x in flow]
            flow = np.array(larger, np.float32)
        flow = _refined(first, second, flow)
    return flow


def _refined(a: np.ndarray, b: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Refine the flow so that b, warped by it, matches a: least squares in each window."""
    from scipy.ndimage import gaussian_filter  # imported here, as it takes a third of a second

    def summed(x: np.ndarray) -> np.ndarray:
        return gaussian_filter(x, _WINDOW, mode="nearest", truncate=3)

    if min(a.shape) < 2:
        return flow
    down, right = np.gradient(a)
    xx, xy, yy = summed(right * right) + _FLAT, summed(right * down), summed(down * down) + _FLAT
    determinant = xx * yy - xy * xy
    height, width = a.shape
    rows, columns = np.arange(height)[:, None], np.arange(width)
    for _ in range(_ITERATIONS):
        missed = kernels.warp(b[None, None], flow[None])[0, 0] - a
        x, y = columns + flow[0], rows + flow[1]
        missed[(x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)] = 0  # b ends there
        x, y = summed(right * missed), summed(down * missed)
        step = np.stack([xy * y - yy * x, xy * x - xx * y]) / determinant
        flow = flow + np.clip(step, -1, 1)
        flow = np.stack([gaussian_filter(part, 0.7, mode="nearest") for part in flow])
    return flow


def tof(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> float:
    """Return the error of the motion in a result: the mean distance between two flows.

    This is ``tOF`` of Chu et al., "Learning Temporal Coherence via Self-Supervision for GAN-based
    Video Generation" (TecoGAN), 2020, with `optical_flow`. Flickering results move differently
    from the original; lower is better.

    Parameters
    ----------
    before, after : float arrays (H, W)
        Two consecutive results, in 0..255.
    truth : float array (2, H, W)
        `optical_flow` of the original frames.

    Returns
    -------
    distance : float, in pixels
    """
    off = optical_flow(before, after) - truth
    return float(np.mean(np.sqrt(np.square(off).sum(axis=0)), dtype=np.float64))
