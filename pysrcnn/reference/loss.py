"""Losses beside the squared error: what EDSR and those after it minimise.

The squared error (`convolution.mse`) is what PSNR measures, and hardly knows of small errors. The
absolute error weighs every level the same; trained with it, networks come to a higher PSNR all the
same (Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017,
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

EPSILON = 1e-3  # below it, the loss of Charbonnier is a squared error, beyond, an absolute one


def l1(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean over all elements of \\|prediction - target\\|.

    Parameters
    ----------
    prediction, target : arrays of one shape

    Returns
    -------
    loss : float
    """
    return float(np.mean(np.abs(prediction - target), dtype=np.float64))


def l1_backward(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Gradient of `l1` by prediction: signs / n, of n elements; 0 where they are equal.

    Parameters
    ----------
    prediction, target : arrays of one shape

    Returns
    -------
    dprediction : array of that shape
    """
    return np.sign(prediction - target) / prediction.size


def charbonnier(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean over all elements of sqrt((prediction - target)^2 + epsilon^2), epsilon = 0.001.

    An absolute error without the kink (Charbonnier et al., "Two Deterministic Half-Quadratic
    Regularization Algorithms for Computed Imaging", ICIP 1994; Lai et al., "Deep Laplacian Pyramid
    Networks for Fast and Accurate Super-Resolution", CVPR 2017, Section 3.2). It is epsilon where
    all elements are equal.

    Parameters
    ----------
    prediction, target : arrays of one shape

    Returns
    -------
    loss : float
    """
    error = prediction - target
    return float(np.mean(np.sqrt(error * error + EPSILON**2), dtype=np.float64))


def charbonnier_backward(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Gradient of `charbonnier` by prediction: e / sqrt(e^2 + epsilon^2) / n, of n elements.

    Parameters
    ----------
    prediction, target : arrays of one shape

    Returns
    -------
    dprediction : array of that shape
    """
    error = prediction - target
    return error / np.sqrt(error * error + EPSILON**2) / prediction.size


def sigmoid_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean over all elements of -t log(p) - (1 - t) log(1 - p), p = sigmoid(z), labels t.

    As max(z, 0) - t z + log(1 + exp(-\\|z\\|)), which is the same of the logits z, and never takes
    the logarithm of a probability that was rounded to 0.

    Parameters
    ----------
    logits, labels : arrays of one shape
        Labels are in 0..1.

    Returns
    -------
    loss : float
    """
    losses = np.maximum(logits, 0) - labels * logits + np.log1p(np.exp(-np.abs(logits)))
    return float(np.mean(losses, dtype=np.float64))


def sigmoid_cross_entropy_backward(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Gradient of `sigmoid_cross_entropy` by the logits: (sigmoid(z) - t) / n, of n elements.

    Parameters
    ----------
    logits, labels : arrays of one shape

    Returns
    -------
    dlogits : array of that shape
    """
    return (sigmoid(logits) - labels) / logits.size
