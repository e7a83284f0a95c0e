"""What deep networks are made of: convolutions as large as their input, with what follows them.

VDSR, DRCN, EDSR and the others pad every layer with zeros, so that all maps have one size and can
be added. In these functions the addition and the ReLU belong to the convolution: compiled, they are
done while its result is still in registers. Here they are what they say.

A rung may keep maps in a form of its own between operations: `enter` makes it, `leave` undoes it.
Here both do nothing.

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
    """The form in which this rung keeps maps.

    Parameters
    ----------
    x : array (N, C, H, W)

    Returns
    -------
    maps : here the array itself
    """
    return x


def leave(x: np.ndarray) -> np.ndarray:
    """The array that such maps are.

    Parameters
    ----------
    x : what `enter` or an operation gave

    Returns
    -------
    array : (N, C, H, W)
    """
    return x


def conv2d_same(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, summand: np.ndarray | None = None
) -> np.ndarray:
    """w * x + b, where x has a border of (f - 1) / 2 zeros; plus `summand`, as a skip is.

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
    """dx, dw, db. The gradient of the summand is `dout` itself.

    Parameters
    ----------
    dout : array (N, O, H, W)
    x, w : as `conv2d_same` was given them

    Returns
    -------
    dx, dw, db : arrays of the shapes of x, w and b
    """
    return conv2d_backward(dout, x, w, "zeros")


def conv2d_strided(x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int) -> np.ndarray:
    """Every s-th row and column of w * x + b, from the first on: maps become smaller.

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
        H' is H / s, rounded up, W' likewise.
    """
    return conv2d_same(x, w, b)[:, :, ::s, ::s]


def conv2d_strided_backward(
    dout: np.ndarray, x: np.ndarray, w: np.ndarray, s: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx, dw, db. To the rows and columns that were left out nothing goes back.

    Parameters
    ----------
    dout : array (N, O, H', W')
    x, w, s : as `conv2d_strided` was given them

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
    """dx, dw, db. Where its result was 0, nothing goes back.

    Parameters
    ----------
    dout : array (N, O, H, W)
    out : array (N, O, H, W)
        The result of `conv_relu`.
    x, w : as `conv_relu` was given them

    Returns
    -------
    dx, dw, db : arrays of the shapes of x, w and b
    """
    return conv2d_same_backward(relu_backward(dout, out), x, w)


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """The sum of all products of two maps: the gradient of a factor, from dout and what it is of.

    Parameters
    ----------
    a, b : arrays of one shape

    Returns
    -------
    sum : float
    """
    return float(np.sum(a * b, dtype=np.float64))
