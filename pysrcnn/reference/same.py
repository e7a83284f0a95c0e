"""Convolutions as large as their input, with the additions and ReLUs of deep networks.

VDSR, DRCN, EDSR and the others pad every layer with zeros, so that all maps have one size and can
be added. Addition and ReLU are part of these functions because compiled code applies them while the
result of the convolution is still in registers. Here they are separate steps.

An ops module may keep maps in a form of its own between operations: `enter` converts to it, `leave`
back. Here both do nothing.

Axes: N samples, C channels, O filters, H x W pixels, f filter size.
"""

import numpy as np

from .convolution import conv2d, conv2d_backward, relu, relu_backward

__all__ = [
    "conv2d_same",
    "conv2d_same_backward",
    "conv2d_strided",
    "conv2d_strided_backward",
    "conv_relu",
    "conv_relu_backward",
    "dot",
    "enter",
    "leave",
]


def enter(x: np.ndarray) -> np.ndarray:
    """Convert an array to the form in which this module keeps maps.

    Parameters
    ----------
    x : array (N, C, H, W)

    Returns
    -------
    maps : here the array itself
    """
    return x


def leave(x: np.ndarray) -> np.ndarray:
    """Convert maps back to an array.

    Parameters
    ----------
    x : maps from `enter` or an operation

    Returns
    -------
    array : (N, C, H, W)
    """
    return x


def conv2d_same(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, summand: np.ndarray | None = None
) -> np.ndarray:
    """w * x + b, with x padded by (f - 1) / 2 zeros; plus `summand`, such as a skip.

    Parameters
    ----------
    x : array (N, C, H, W)
    w : array (O, C, f, f), f odd
    b : array (O,)
    summand : array (N, O, H, W), optional

    Returns
    -------
    out : array (N, O, H, W)
    """
    out = conv2d(x, w, b, "zeros")
    return out if summand is None else out + summand


def conv2d_same_backward(
    dout: np.ndarray, x: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dw and db; the gradient of the summand is `dout` itself.

    Parameters
    ----------
    dout : array (N, O, H, W)
    x, w : as passed to `conv2d_same`

    Returns
    -------
    dx, dw, db : arrays of the shapes of x, w and b
    """
    return conv2d_backward(dout, x, w, "zeros")


def conv2d_strided(x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int) -> np.ndarray:
    """w * x + b with stride s: every s-th row and column of the result, from the first on.

    out[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, c, s i + u - p, s j + v - p]

    with p = (f - 1) / 2 and zeros around x: PyTorch's ``conv2d`` with ``stride=s, padding=p``.

    Parameters
    ----------
    x : array (N, C, H, W)
    w : array (O, C, f, f), f odd
    b : array (O,)
    s : int
        The stride.

    Returns
    -------
    out : array (N, O, H', W')
        H' is H / s and W' is W / s, both rounded up.
    """
    return conv2d_same(x, w, b)[:, :, ::s, ::s]


def conv2d_strided_backward(
    dout: np.ndarray, x: np.ndarray, w: np.ndarray, s: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dw and db; rows and columns that were left out have no gradient.

    Parameters
    ----------
    dout : array (N, O, H', W')
    x, w, s : as passed to `conv2d_strided`

    Returns
    -------
    dx, dw, db : arrays of the shapes of x, w and b
    """
    whole = np.zeros((*dout.shape[:2], *x.shape[2:]), dout.dtype)
    whole[:, :, ::s, ::s] = dout
    return conv2d_same_backward(whole, x, w)


def conv_relu(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """max(0, w * x + b), as large as x.

    Parameters
    ----------
    x, w, b : arrays
        As for `conv2d_same`.

    Returns
    -------
    out : array (N, O, H, W)
    """
    return relu(conv2d_same(x, w, b))


def conv_relu_backward(
    dout: np.ndarray, out: np.ndarray, x: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dw and db; no gradient passes where the output was 0.

    Parameters
    ----------
    dout : array (N, O, H, W)
    out : array (N, O, H, W)
        The output of `conv_relu`.
    x, w : as passed to `conv_relu`

    Returns
    -------
    dx, dw, db : arrays of the shapes of x, w and b
    """
    return conv2d_same_backward(relu_backward(dout, out), x, w)


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of the elementwise products; the gradient of a factor, from dout and what it multiplies.

    Parameters
    ----------
    a, b : arrays of the same shape

    Returns
    -------
    sum : float
    """
    return float(np.sum(a * b, dtype=np.float64))
