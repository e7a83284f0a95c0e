"""PSNR and SSIM, and the protocol under which the paper's numbers are computed.

The same picture scores a decibel more or less depending on what surrounds the formula. For scale s
the numbers of the paper (and of its successors) come from:

1. RGB to luma with MATLAB's ``rgb2ycbcr`` (`color.rgb_to_luma`), rounded to 8-bit levels.
2. Crop height and width to multiples of s at the lower and right edge ("modcrop").
3. low = imresize(luma, 1/s), with antialiasing, kept in floating point: not rounded.
4. Enlarge `low` back to the cropped size: imresize for the bicubic baseline, the network on it.
5. Clip to 0..255, round to 8-bit levels.
6. Leave out s pixels on each side ("shave").
7. PSNR and SSIM on luma with peak 255; the mean over the pictures, not the PSNR of a mean error.

Bicubic on Set5 then scores 33.66, 30.39 and 28.42 dB for s = 2, 3, 4; check that before anything
else. The functions here are steps 6 and 7. They take float64 copies first, because uint8 - uint8
wraps around (3 - 5 = 254) and gives a plausible, wrong PSNR.

Axes: H x W pixels, C channels.
"""

import math
import operator

import numpy as np

__all__ = ["psnr", "ssim"]

# The window of Wang et al. 2004: 11 samples of a Gaussian with sigma 1.5, summing to 1. The 11 x 11
# window is its outer product with itself, so it is applied along rows, then along columns.
_WINDOW = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_WINDOW /= _WINDOW.sum()


def psnr(a: np.ndarray, b: np.ndarray, shave: int = 0, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio: 10 log10(peak^2 / MSE), with the mean over all values.

    Parameters
    ----------
    a, b : arrays (H, W) or (H, W, C) of equal shape, integers or floating point, 0..`peak`
    shave : int
        Pixels to leave out on each side; the paper's protocol takes the scale.
    peak : float
        The largest possible value: 255 for 8-bit levels, 1.0 for pictures in 0..1.

    Returns
    -------
    psnr : float, in dB
        Infinite if `a` and `b` are equal.

    Raises
    ------
    TypeError
        If `a` or `b` are not integers or floating point, or `shave` is not an int.
    ValueError
        If the shapes differ or are not of pictures, nothing is left after shaving, or `peak` is
        not positive.
    """
    a, b = _prepare("psnr", a, b, shave, peak)
    mse = np.mean((a - b) ** 2)
    return math.inf if mse == 0 else float(10 * np.log10(peak**2 / mse))


def ssim(a: np.ndarray, b: np.ndarray, shave: int = 0, peak: float = 255.0) -> float:
    """Structural similarity, the mean over all positions of an 11 x 11 Gaussian window.

    At each position, with weighted means mu, variances s^2 and covariance s_ab under the window,
    C1 = (0.01 peak)^2 and C2 = (0.03 peak)^2::

        SSIM = (2 mu_a mu_b + C1) (2 s_ab + C2) / ((mu_a^2 + mu_b^2 + C1) (s_a^2 + s_b^2 + C2))

    Only windows wholly inside the picture count, which is 5 pixels less on each side.

    Parameters
    ----------
    a, b : arrays (H, W) or (H, W, C) of equal shape, integers or floating point, 0..`peak`
        With channels, the mean of the SSIM of the channels.
    shave : int
        Pixels to leave out on each side, before the windows; the paper's protocol takes the scale.
    peak : float
        The largest possible value: 255 for 8-bit levels, 1.0 for pictures in 0..1.

    Returns
    -------
    ssim : float, at most 1; 1 if `a` and `b` are equal

    Raises
    ------
    TypeError
        If `a` or `b` are not integers or floating point, or `shave` is not an int.
    ValueError
        If the shapes differ or are not of pictures, fewer than 11 x 11 pixels are left after
        shaving, or `peak` is not positive.

    Notes
    -----
    Source: Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from
    error visibility to structural similarity", IEEE Trans. Image Processing 13(4), 2004, Eq. 13-16.
    Unlike the authors' later MATLAB file, large pictures are not shrunk first.
    """
    a, b = _prepare("ssim", a, b, shave, peak)
    if min(a.shape[:2]) < len(_WINDOW):
        raise ValueError(
            f"ssim got {a.shape[0]} x {a.shape[1]} pixels (after shaving {shave}), wanted at least "
            "11 x 11, the size of its window; use a larger picture or psnr."
        )
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a * mean_a
    var_b = _blur(b * b) - mean_b * mean_b
    cov = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    contrast_structure = (2 * cov + c2) / (var_a + var_b + c2)
    return float(np.mean(luminance * contrast_structure))


def _blur(x: np.ndarray) -> np.ndarray:
    """Weighted means of `x` (H, W, ...) under the window, valid part: (H - 10, W - 10, ...)."""
    for axis in (0, 1):
        rows = np.moveaxis(x, axis, 0)
        valid = len(rows) - len(_WINDOW) + 1
        total = sum(weight * rows[k : k + valid] for k, weight in enumerate(_WINDOW))
        x = np.moveaxis(total, 0, axis)
    return x


def _prepare(
    function: str, a: np.ndarray, b: np.ndarray, shave: int, peak: float
) -> tuple[np.ndarray, np.ndarray]:
    """Check the arguments of a metric; return float64 copies of what shaving leaves."""
    a, b = np.asarray(a), np.asarray(b)
    for x in (a, b):
        if x.dtype.kind not in "uif":
            raise TypeError(
                f"{function} got an array of dtype {x.dtype}, wanted integers or floating point."
            )
    if a.shape != b.shape:
        raise ValueError(
            f"{function} got shapes {a.shape} and {b.shape}, wanted equal ones; "
            "crop both pictures to the same size first."
        )
    if a.ndim not in (2, 3) or a.size == 0:
        raise ValueError(
            f"{function} got arrays of shape {a.shape}, wanted pixels as (H, W) or (H, W, C)."
        )
    if not 0 < peak < math.inf:
        raise ValueError(
            f"{function} got peak={peak!r}, wanted a positive number: the largest possible value, "
            "255 for 8-bit levels, 1.0 for pictures in 0..1."
        )
    try:
        shave = operator.index(shave)
    except TypeError:
        raise TypeError(f"{function} got shave={shave!r}, wanted an int.") from None
    height, width = a.shape[:2]
    if not 0 <= 2 * shave < min(height, width):
        raise ValueError(
            f"{function} got shave={shave} for {height} x {width} pixels, wanted 0 or more, and "
            "less than half of the shorter side."
        )
    inner = np.s_[shave : height - shave, shave : width - shave]
    return a[inner].astype(np.float64), b[inner].astype(np.float64)
