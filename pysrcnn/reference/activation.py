"""Element-wise activations other than ReLU, which is in `convolution`.

Names: x, out; gradients dx, dout: dL/dx and dL/dout for the loss L.
Axes: N samples, C channels, H x W pixels.
"""

import numpy as np

__all__ = [
    "leaky_relu",
    "leaky_relu_backward",
    "prelu",
    "prelu_backward",
    "sigmoid",
    "tanh",
    "tanh_backward",
]


def tanh(x: np.ndarray) -> np.ndarray:
    """tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), in -1..1.

    The phi of Eqs. 1 and 2 of Shi et al., "Real-Time Single Image and Video Super-Resolution Using
    an Efficient Sub-Pixel Convolutional Neural Network" (ESPCN), CVPR 2016; Section 3.2 chooses it.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    out : array of the same shape
    """
    return np.tanh(x)


def tanh_backward(dout: np.ndarray, out: np.ndarray) -> np.ndarray:
    """dx = dout (1 - out^2), as tanh' = 1 - tanh^2.

    Parameters
    ----------
    dout : array of any shape
    out : array of the same shape
        The output of `tanh`, not its input.

    Returns
    -------
    dx : array of the same shape
    """
    return dout * (1 - np.square(out))


def prelu(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """x where positive, a x elsewhere, with a learned slope a.

    Eq. 1 of He, Zhang, Ren, Sun, "Delving Deep into Rectifiers: Surpassing Human-Level Performance
    on ImageNet Classification", ICCV 2015.

    Parameters
    ----------
    x : array (N, C, H, W)
    a : array (C,) or (1,)
        One slope per channel, or one for all channels.

    Returns
    -------
    out : array (N, C, H, W)
    """
    return np.where(x > 0, x, a[:, None, None] * x)


def prelu_backward(dout: np.ndarray, x: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return dx and da; where x is not positive, dx is dout times the slope.

    da is summed over all samples and pixels of its channel; a slope shared by all channels is
    summed over the channels, too.

    Parameters
    ----------
    dout : array (N, C, H, W)
    x, a : as passed to `prelu`

    Returns
    -------
    dx : array (N, C, H, W)
    da : array (C,) or (1,)
    """
    dx = np.where(x > 0, dout, a[:, None, None] * dout)
    da = np.where(x > 0, 0, dout * x).sum(axis=(0, 2, 3))
    return dx, da if a.shape == da.shape else da.sum(keepdims=True)


def leaky_relu(x: np.ndarray, slope: float) -> np.ndarray:
    """x where positive, slope x elsewhere: `prelu` with a fixed slope.

    Maas, Hannun, Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML
    Workshop on Deep Learning for Audio, Speech and Language Processing, 2013.

    Parameters
    ----------
    x : array (N, C, H, W)
    slope : float

    Returns
    -------
    out : array (N, C, H, W)
    """
    return np.where(x > 0, x, x.dtype.type(slope) * x)


def leaky_relu_backward(dout: np.ndarray, x: np.ndarray, slope: float) -> np.ndarray:
    """Return dx: dout where x is positive, slope dout elsewhere.

    Parameters
    ----------
    dout : array (N, C, H, W)
    x, slope : as passed to `leaky_relu`

    Returns
    -------
    dx : array (N, C, H, W)
    """
    return np.where(x > 0, dout, dout.dtype.type(slope) * dout)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), in 0..1: the probability that the logit x stands for.

    For negative x it is computed as exp(x) / (1 + exp(x)), so that exp cannot overflow. There is no
    backward pass: gradients are taken at the logits, see `loss.sigmoid_cross_entropy_backward`.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    out : array of the same shape
    """
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)
