"""The losses of `reference`, compiled. Their gradients are plain loops over all elements."""

import numpy as np
from numba import prange

from .compile import compiled
from .inputs import flat, same_shape

__all__ = [
    "charbonnier",
    "charbonnier_backward",
    "l1",
    "l1_backward",
    "mse",
    "mse_backward",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_backward",
]

SQUARED, ABSOLUTE, SMOOTH = range(3)
EPSILON = 1e-3  # see `reference.loss`


@compiled(parallel=True)
def _errors(kind, prediction, target, errors):
    # Row by row: threads would share a sum over all, and its bits would depend on their number.
    columns = prediction.size // errors.size
    for i in prange(errors.size):
        for j in range(i * columns, (i + 1) * columns):
            e = prediction[j] - target[j]
            if kind == SQUARED:
                errors[i] += e * e
            elif kind == ABSOLUTE:
                errors[i] += abs(e)
            else:
                errors[i] += np.sqrt(e * e + EPSILON**2)


@compiled(parallel=True)
def _backward(kind, prediction, target, scale, out):
    for i in prange(out.size):
        e = prediction[i] - target[i]
        if kind == ABSOLUTE:
            e = np.sign(e)
        elif kind == SMOOTH:
            e /= np.sqrt(e * e + EPSILON**2)
        out[i] = e * scale


def _check(prediction, target, name="prediction", other="target"):
    same_shape(name, prediction, other, target)
    if prediction.size == 0:
        raise ValueError(f"{name} has the shape {prediction.shape}: there is nothing to compare")


def _mean(kind, prediction, target):
    _check(prediction, target)
    errors = np.zeros(prediction.size // prediction.shape[-1])
    _errors(kind, *flat(prediction, target), errors)
    return errors.sum() / prediction.size


def _gradient(kind, prediction, target):
    _check(prediction, target)
    given, wanted = flat(prediction, target)
    out = np.empty(prediction.shape, given.dtype)
    scale = out.dtype.type((2 if kind == SQUARED else 1) / out.size)
    _backward(kind, given, wanted, scale, out.reshape(-1))
    return out


def mse(prediction, target):
    """See `reference.mse`."""
    return _mean(SQUARED, prediction, target)


def mse_backward(prediction, target):
    """See `reference.mse_backward`."""
    return _gradient(SQUARED, prediction, target)


def l1(prediction, target):
    """See `reference.l1`."""
    return _mean(ABSOLUTE, prediction, target)


def l1_backward(prediction, target):
    """See `reference.l1_backward`."""
    return _gradient(ABSOLUTE, prediction, target)


def charbonnier(prediction, target):
    """See `reference.charbonnier`."""
    return _mean(SMOOTH, prediction, target)


def charbonnier_backward(prediction, target):
    """See `reference.charbonnier_backward`."""
    return _gradient(SMOOTH, prediction, target)


# These have one number for each sample: there is nothing to compile.


def sigmoid(x):
    """See `reference.sigmoid`."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def sigmoid_cross_entropy(logits, labels):
    """See `reference.sigmoid_cross_entropy`."""
    _check(logits, labels, "logits", "labels")
    losses = np.maximum(logits, 0) - labels * logits + np.log1p(np.exp(-np.abs(logits)))
    return float(np.mean(losses, dtype=np.float64))


def sigmoid_cross_entropy_backward(logits, labels):
    """See `reference.sigmoid_cross_entropy_backward`."""
    _check(logits, labels, "logits", "labels")
    return (sigmoid(logits) - labels) / logits.size
