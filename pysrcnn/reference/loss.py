"""Losses other than the squared error, which EDSR and later networks minimise.

PSNR measures the squared error (`convolution.mse`), to which small errors hardly matter. The
absolute error gives them more weight, and networks trained with it reach a higher PSNR nevertheless
(Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017,
Section 4.2).
"""

import numpy as np

from .activation import sigmoid

__all__ = [
    "charbonnier",
    "charbonnier_backward",
    "l1",
    "l1_backward",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_backward",
]

EPSILON = 1e-3  # the Charbonnier loss is quadratic in smaller errors, linear in larger ones


def l1(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean over all elements of \\|prediction - target\\|.

    Parameters
    ----------
    prediction, target : arrays of the same shape

    Returns
    -------
    loss : float
    """
    return float(np.mean(np.abs(prediction - target), dtype=np.float64))


def l1_backward(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Gradient of `l1` with respect to prediction: sign(e) / n, for errors e of n elements.

    Parameters
    ----------
    prediction, target : arrays of the same shape

    Returns
    -------
    dprediction : array of the same shape
    """
    return np.sign(prediction - target) / prediction.size


def charbonnier(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean over all elements of sqrt((prediction - target)^2 + epsilon^2), epsilon = 0.001.

    A smooth absolute error (Charbonnier et al., "Two Deterministic Half-Quadratic Regularization
    Algorithms for Computed Imaging", ICIP 1994; Lai et al., "Deep Laplacian Pyramid Networks for
    Fast and Accurate Super-Resolution", CVPR 2017, Section 3.2). Its minimum is epsilon, not 0.

    Parameters
    ----------
    prediction, target : arrays of the same shape

    Returns
    -------
    loss : float
    """
    error = prediction - target
    return float(np.mean(np.sqrt(error * error + EPSILON**2), dtype=np.float64))


def charbonnier_backward(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Gradient of `charbonnier`: e / sqrt(e^2 + epsilon^2) / n, for errors e of n elements.

    Parameters
    ----------
    prediction, target : arrays of the same shape

    Returns
    -------
    dprediction : array of the same shape
    """
    error = prediction - target
    return error / np.sqrt(error * error + EPSILON**2) / prediction.size


def sigmoid_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean over all elements of -t log(p) - (1 - t) log(1 - p), for labels t and p = sigmoid(z).

    Computed from the logits z as max(z, 0) - t z + log(1 + exp(-\\|z\\|)), which is equal but never
    takes the logarithm of a probability rounded to 0.

    Parameters
    ----------
    logits, labels : arrays of the same shape
        Labels are in 0..1.

    Returns
    -------
    loss : float
    """
    losses = np.maximum(logits, 0) - labels * logits + np.log1p(np.exp(-np.abs(logits)))
    return float(np.mean(losses, dtype=np.float64))


def sigmoid_cross_entropy_backward(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Gradient with respect to the n logits z: (sigmoid(z) - t) / n.

    Parameters
    ----------
    logits, labels : arrays of the same shape

    Returns
    -------
    dlogits : array of the same shape
    """
    return (sigmoid(logits) - labels) / logits.size
