"""PSNR, SSIM, MS-SSIM and WPSNR, and the protocol by which the paper's numbers are computed.

Steps around the formula can change the score of a picture by a decibel. For scale s, the numbers of
the paper and its successors are computed as follows:

1. RGB to luma with MATLAB's ``rgb2ycbcr`` (`color.rgb_to_luma`), rounded to 8-bit levels.
2. Crop height and width to multiples of s at the lower and right edge ("modcrop").
3. low = imresize(luma, 1/s), with antialiasing, kept in floating point: not rounded.
4. Enlarge `low` back to the cropped size: imresize for the bicubic baseline, the network on it.
5. Clip to 0..255, round to 8-bit levels.
6. Crop s pixels from each side ("shave").
7. PSNR and SSIM on luma with peak 255; the mean over the pictures, not the PSNR of a mean error.

Bicubic on Set5 then scores 33.66, 30.39 and 28.42 dB for s = 2, 3, 4; check that before anything
else. The functions here do steps 6 and 7, for one picture. They make float64 copies first, because
uint8 - uint8 wraps around (3 - 5 = 254) and gives a plausible, wrong PSNR.

Each takes two pictures `a` and `b` of equal shape, integers or floating point in 0..`peak`. It
first crops `shave` pixels from each side (by the paper's protocol, the scale); `peak` is the
largest possible value: 255 for 8-bit levels, 1.0 for pictures in 0..1. It raises a TypeError for
another dtype or if `shave` is not an int, and a ValueError if the shapes differ or are not those of
pictures, too little is left after shaving, or `peak` is not positive.

Axes: H x W pixels, C channels.
"""

import math
import operator

import numpy as np

__all__ = ["check_metric", "ms_ssim", "psnr", "ssim", "wpsnr"]

# The window of Wang et al. 2004: 11 samples of a Gaussian with sigma 1.5, summing to 1. The 11 x 11
# window is its outer product with itself, so it is applied along rows, then along columns.
_WINDOW = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_WINDOW /= _WINDOW.sum()

# Wang et al. 2003: the weights of the five scales, from fine to coarse
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# Low-pass filter of the 9/7 wavelets of Cohen, Daubechies and Feauveau, from the middle outwards
_HALF = (0.602949018236, 0.266864118443, -0.078223266529, -0.016864118443, 0.026748757411)
_LOWPASS = np.array(_HALF[:0:-1] + _HALF)


def psnr(a: np.ndarray, b: np.ndarray, shave: int = 0, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio: 10 log10(peak^2 / MSE), with the mean over all values.

    Parameters
    ----------
    a, b : arrays (H, W) or (H, W, C)
    shave : int
    peak : float

    Returns
    -------
    psnr : float, in dB
        Infinite if `a` and `b` are equal.
    """
    a, b = _prepare("psnr", a, b, shave, peak)
    mse = np.mean((a - b) ** 2)
    return math.inf if mse == 0 else float(10 * np.log10(peak**2 / mse))


def ssim(a: np.ndarray, b: np.ndarray, shave: int = 0, peak: float = 255.0) -> float:
    """Structural similarity, the mean over all positions of an 11 x 11 Gaussian window.

    At each position, with weighted means mu, variances s^2 and covariance s_ab under the window,
    C1 = (0.01 peak)^2 and C2 = (0.03 peak)^2::

        SSIM = (2 mu_a mu_b + C1) (2 s_ab + C2) / ((mu_a^2 + mu_b^2 + C1) (s_a^2 + s_b^2 + C2))

    Only windows that lie inside the picture count, so a border of 5 pixels has no centres.

    Parameters
    ----------
    a, b : arrays (H, W) or (H, W, C)
        With channels, the result is the mean over the channels. At least 11 x 11 pixels must be
        left after shaving.
    shave : int
    peak : float

    Returns
    -------
    ssim : float, at most 1; 1 if `a` and `b` are equal

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
    mean_a, mean_b, var_a, var_b, cov = _moments(a, b)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    contrast_structure = (2 * cov + c2) / (var_a + var_b + c2)
    return float(np.mean(luminance * contrast_structure))


def ms_ssim(a: np.ndarray, b: np.ndarray, shave: int = 0, peak: float = 255.0) -> float:
    """Multi-scale structural similarity: SSIM's factors at five scales, multiplied.

    With l, c, s the means over all windows of luminance, contrast and structure, and pictures
    halved from each scale to the next::

        MS-SSIM = l_5^w_5 * product over scales k = 1..5 of (c_k s_k)^w_k

    Parameters
    ----------
    a, b : arrays (H, W) or (H, W, C)
        At least 161 x 161 pixels must be left after shaving.
    shave : int
    peak : float

    Returns
    -------
    ms_ssim : float, at most 1; 1 if `a` and `b` are equal

    Notes
    -----
    Source: Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multi-scale structural similarity for image
    quality assessment", Asilomar Conference 2003, Eq. 7. The paper leaves open how to shrink and
    what to average first. This function uses the low-pass filter of the 9/7 wavelets and averages
    each factor separately. Bicubic interpolation then scores 0.9915, 0.9754 and 0.9516 on Set5 at
    x2, x3 and x4, as in the tables of the SRCNN paper.
    """
    a, b = _prepare("ms_ssim", a, b, shave, peak)
    fewest = (len(_WINDOW) - 1) * 2 ** (len(_SCALES) - 1) + 1
    if min(a.shape[:2]) < fewest:
        raise ValueError(
            f"ms_ssim got {a.shape[0]} x {a.shape[1]} pixels (after shaving {shave}), wanted at "
            f"least {fewest} x {fewest} for its five scales; use a larger picture or ssim."
        )
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    result = 1.0
    for k, weight in enumerate(_SCALES, 1):
        if k > 1:
            a, b = _halved(a), _halved(b)
        mean_a, mean_b, var_a, var_b, cov = _moments(a, b)
        deviations = np.sqrt(np.maximum(var_a, 0) * np.maximum(var_b, 0))
        contrast = np.mean((2 * deviations + c2) / (var_a + var_b + c2))
        structure = np.mean((cov + c2 / 2) / (deviations + c2 / 2))
        result *= contrast**weight * max(structure, 0) ** weight
        if k == len(_SCALES):
            sums = mean_a * mean_a + mean_b * mean_b
            result *= np.mean((2 * mean_a * mean_b + c1) / (sums + c1)) ** weight
    return float(result)


def wpsnr(a: np.ndarray, b: np.ndarray, shave: int = 0, peak: float = 255.0) -> float:
    """Weighted PSNR: the error is first filtered by the contrast sensitivity of the eye.

    Parameters
    ----------
    a, b : arrays (H, W)
        Without channels: take luma, or each channel separately.
    shave : int
    peak : float

    Returns
    -------
    wpsnr : float, in dB
        Infinite if `a` and `b` are equal.

    Notes
    -----
    The filter has 41 x 41 weights and so 41 x 41 frequencies (u, v), each from -20 to 20. Its
    frequency response is S O, with w = 2 pi hypot(u, v) / 60 and t the direction::

        S(w) = 1.5 exp(-2 w^2) - exp(-4 w^2)
        O(w, t) = (1 + e cos(2t)^4) / (1 + e),  e = exp(8 (w - 2 pi 11.13 / 60))

    A wave of f cycles per pixel has u = 41 f. S peaks at u = 4 and falls from there; O attenuates
    high frequencies off the axes. Source of S and O: M. Miyahara, K. Kotani, V. R. Algazi,
    "Objective picture quality scale (PQS) for image coding", IEEE Trans. Communications 46(9),
    1998. The frequencies are those of R. Liu's WPSNR for MATLAB, which agrees with the tables of
    the SRCNN paper: bicubic interpolation scores 50.06, 41.65 and 37.21 dB on Set5 at x2, x3, x4.
    """
    a, b = _prepare("wpsnr", a, b, shave, peak)
    if a.ndim != 2:
        raise ValueError(f"wpsnr got shape {a.shape}, wanted (H, W): take luma, or each channel.")
    weights = _contrast_sensitivity()
    shape = [side + len(weights) - 1 for side in a.shape]  # padded against wrap-around
    spectrum = np.fft.rfft2((a - b) / peak, shape) * np.fft.rfft2(weights, shape)
    inner = tuple(slice(len(weights) // 2, len(weights) // 2 + side) for side in a.shape)
    mse = np.mean(np.fft.irfft2(spectrum, shape)[inner] ** 2)
    return math.inf if np.array_equal(a, b) else float(-10 * np.log10(mse))


def _contrast_sensitivity() -> np.ndarray:
    """Return the filter (41, 41) of `wpsnr`; by point symmetry, convolution is correlation."""
    cycles = np.arange(-20, 21)
    u, v = np.meshgrid(cycles, cycles, indexing="ij")
    w = 2 * np.pi * np.hypot(u, v) / 60
    sensitivity = 1.5 * np.exp(-2 * w**2) - np.exp(-4 * w**2)
    e = np.exp(8 * (w - 2 * np.pi * 11.13 / 60))
    sensitivity *= (1 + e * np.cos(2 * np.arctan2(v, u)) ** 4) / (1 + e)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(sensitivity)).real)


def _moments(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return means, variances and covariance of a and b under the window."""
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a * mean_a
    var_b = _blur(b * b) - mean_b * mean_b
    return mean_a, mean_b, var_a, var_b, _blur(a * b) - mean_a * mean_b


def _halved(x: np.ndarray) -> np.ndarray:
    """Keep every other pixel of each axis after the low-pass filter; edges are mirrored."""
    margin = len(_LOWPASS) // 2
    edges = [(margin, margin)] * 2 + [(0, 0)] * (x.ndim - 2)
    return _filtered(np.pad(x, edges, mode="reflect"), _LOWPASS)[::2, ::2]


def _blur(x: np.ndarray) -> np.ndarray:
    """Return the weighted means of `x` (H, W, ...) under the window: (H - 10, W - 10, ...)."""
    return _filtered(x, _WINDOW)


def _filtered(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlate `x` (H, W, ...) with the weights along rows and columns; return the valid part."""
    for axis in (0, 1):
        rows = np.moveaxis(x, axis, 0)
        valid = len(rows) - len(weights) + 1
        total = sum(weight * rows[k : k + valid] for k, weight in enumerate(weights))
        x = np.moveaxis(total, 0, axis)
    return x


def _prepare(
    function: str, a: np.ndarray, b: np.ndarray, shave: int, peak: float
) -> tuple[np.ndarray, np.ndarray]:
    """Check the arguments of a metric; return float64 copies of the shaved pictures."""
    a, b = np.asarray(a), np.asarray(b)
    for x in (a, b):
        shave = check_metric(function, x, shave, peak)
    if a.shape != b.shape:
        raise ValueError(
            f"{function} got shapes {a.shape} and {b.shape}, wanted equal ones; "
            "crop both pictures to the same size first."
        )
    if a.ndim not in (2, 3) or a.size == 0:
        raise ValueError(
            f"{function} got arrays of shape {a.shape}, wanted pixels as (H, W) or (H, W, C)."
        )
    height, width = a.shape[:2]
    if not 0 <= 2 * shave < min(height, width):
        raise ValueError(
            f"{function} got shave={shave} for {height} x {width} pixels, wanted 0 or more, and "
            "less than half of the shorter side."
        )
    inner = np.s_[shave : height - shave, shave : width - shave]
    return a[inner].astype(np.float64), b[inner].astype(np.float64)


def check_metric(function: str, x: np.ndarray, shave: int, peak: float) -> int:
    """Check the arguments of a metric, and return `shave` as an int.

    Parameters
    ----------
    function : str
        Name of the metric, for messages.
    x : array
        Either picture.
    shave : int
    peak : float

    Returns
    -------
    shave : int

    Raises
    ------
    TypeError, ValueError
        If the array does not hold numbers, `shave` is no integer, or `peak` is not positive.
    """
    if x.dtype.kind not in "uif":
        raise TypeError(
            f"{function} got an array of dtype {x.dtype}, wanted integers or floating point."
        )
    if not 0 < peak < math.inf:
        raise ValueError(
            f"{function} got peak={peak!r}, wanted a positive number: the largest possible value, "
            "255 for 8-bit levels, 1.0 for pictures in 0..1."
        )
    try:
        return operator.index(shave)
    except TypeError:
        raise TypeError(f"{function} got shave={shave!r}, wanted an int.") from None
