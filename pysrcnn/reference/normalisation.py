"""Batch normalisation: every map is shifted and scaled to a learned mean and spread.

Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
Covariate Shift", ICML 2015. In training, mean and variance are those of the batch (`moments`), and
gradients flow through them, too. In use they are running averages from training: each map is
multiplied by one number and another is added, at no cost once this is folded into the convolution
before it.

Axes: N samples, C channels, H x W pixels.
"""

import numpy as np

__all__ = ["batch_norm", "batch_norm_backward", "moments", "moments_backward"]

EPSILON = 1e-5  # added to each variance, which is 0 for a constant map


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each channel, over all samples and pixels.

    mean_c = 1/m sum of x,  variance_c = 1/m sum of (x - mean_c)^2,  with m = N H W.

    The first two lines of Algorithm 1 of the paper.

    Parameters
    ----------
    x : array (N, C, H, W)

    Returns
    -------
    mean, variance : arrays (C,)
    """
    mean = x.mean(axis=(0, 2, 3), dtype=np.float64)
    variance = np.square(x - mean[:, None, None]).mean(axis=(0, 2, 3))
    return mean.astype(x.dtype), variance.astype(x.dtype)


def moments_backward(
    dmean: np.ndarray, dvariance: np.ndarray, x: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """dx = (dmean + 2 dvariance (x - mean)) / m, since each value contributes to both.

    The mean inside the variance adds nothing, since the sum of x - mean is 0.

    Parameters
    ----------
    dmean, dvariance : arrays (C,)
    x : array (N, C, H, W)
        The input of `moments`.
    mean : array (C,)
        The mean that `moments` returned.

    Returns
    -------
    dx : array (N, C, H, W)
    """
    m = x.size // x.shape[1]
    dmean, dvariance, mean = (v[:, None, None] for v in (dmean, dvariance, mean))
    return (dmean + 2 * dvariance * (x - mean)) / m


def batch_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, epsilon = 0.00001.

    The last two lines of Algorithm 1 of the paper, if mean and variance are those of `moments`.

    Parameters
    ----------
    x : array (N, C, H, W)
    gamma, beta, mean, variance : arrays (C,)

    Returns
    -------
    out : array (N, C, H, W)
    """
    gamma, beta, mean, variance = (v[:, None, None] for v in (gamma, beta, mean, variance))
    return gamma * ((x - mean) / np.sqrt(variance + EPSILON)) + beta


def batch_norm_backward(
    dout: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dgamma, dbeta, dmean and dvariance, each with the other arguments held fixed.

    If mean and variance were computed from x, add `moments_backward` of their gradients to dx.

    Parameters
    ----------
    dout : array (N, C, H, W)
    x, gamma, mean, variance : as passed to `batch_norm`

    Returns
    -------
    dx : array (N, C, H, W)
    dgamma, dbeta, dmean, dvariance : arrays (C,)
    """
    one = 1 / np.sqrt(variance + EPSILON)
    dbeta = dout.sum(axis=(0, 2, 3))
    about = (dout * (x - mean[:, None, None])).sum(axis=(0, 2, 3))
    dx = dout * (gamma * one)[:, None, None]
    return dx, about * one, dbeta, -gamma * one * dbeta, -gamma * one**3 / 2 * about
