"""SRCNN in plain NumPy: the mathematics of the paper, written to be read.

This file defines what the package computes. It needs only NumPy and avoids clever tricks: every
convolution is an im2col and a matrix product, every ``f`` is directly followed by its
``f_backward``, and the network itself takes a dozen lines at the end. ``kernels/`` has the same
functions, compiled; tests check that the two agree.

Equations are those of Dong, Loy, He, Tang, "Image Super-Resolution Using Deep Convolutional
Networks", TPAMI 38(2), 2016. "Convolution" means cross-correlation throughout, as in the paper's
code and in every framework: the filter is not flipped.

Axes: N samples, C input channels, O output channels (filters), H x W pixels, f filter size.
Arrays are NCHW, weights OIHW (O, C, f, f), biases (O,). float32 or float64.
Names: x, w, b, out; their gradients are dx, dw, db, dout: dL/dx and so on for the loss L.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .activation import tanh, tanh_backward
from .shuffle import pixel_shuffle

__all__ = [
    "col2im",
    "conv2d",
    "conv2d_backward",
    "forward",
    "im2col",
    "loss_and_gradients",
    "mse",
    "mse_backward",
    "pad_replicate",
    "pad_replicate_backward",
    "pad_zeros",
    "pad_zeros_backward",
    "relu",
    "relu_backward",
]


# ------------------------------------------------------------------------------------ convolution


def im2col(x: np.ndarray, f: int) -> np.ndarray:
    """Every f x f patch of `x` as one column.

    Parameters
    ----------
    x : array (N, C, H, W)
    f : int
        Patch size, 1 <= f <= min(H, W).

    Returns
    -------
    cols : array (N, C f f, H' W') with H' = H - f + 1, W' = W - f + 1
        Column i W' + j is the patch whose upper left pixel is (i, j). Its entries run over the
        channel, then the row, then the column within the patch, as ``w.reshape(O, -1)`` does.
    """
    n, c, h, w = x.shape
    patches = sliding_window_view(x, (f, f), axis=(2, 3))  # (N, C, H', W', f, f)
    return patches.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * f * f, (h - f + 1) * (w - f + 1))


def col2im(cols: np.ndarray, shape: tuple[int, int, int, int], f: int) -> np.ndarray:
    """Add every column back to where `im2col` took it from: the adjoint of `im2col`.

    Adjoint means <im2col(x), cols> = <x, col2im(cols)> for all x and cols: it carries a gradient
    with respect to the patches back to the pixels. A pixel that lies in several patches receives
    several contributions.

    Parameters
    ----------
    cols : array (N, C f f, H' W')
    shape : (N, C, H, W), the shape of the array that `im2col` was given
    f : int

    Returns
    -------
    x : array (N, C, H, W)
    """
    n, c, h, w = shape
    patches = cols.reshape(n, c, f, f, h - f + 1, w - f + 1)
    x = np.zeros(shape, cols.dtype)
    for u in range(f):
        for v in range(f):
            x[:, :, u : u + h - f + 1, v : v + w - f + 1] += patches[:, :, u, v]
    return x


def conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray, padding: str = "valid") -> np.ndarray:
    """W * x + B with stride 1: the linear part of Eqs. 1, 2 and 3.

    out[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, c, i + u, j + v]

    With one patch per column this is a matrix product: each row of ``w.reshape(O, -1)``, a filter,
    is multiplied by each patch.

    Parameters
    ----------
    x : array (N, C, H, W)
    w : array (O, C, f, f)
    b : array (O,)
    padding : "valid", "replicate" or "zeros"
        How x is first padded by (f - 1) / 2, if at all: see `pad_replicate` and `pad_zeros`.

    Returns
    -------
    out : array (N, O, H - f + 1, W - f + 1), or (N, O, H, W) if x is padded
    """
    pad, _ = _one_of(PADDINGS, "padding", padding)
    x = pad(x, w.shape[2] // 2)
    n, _, height, width = x.shape
    o, _, f, _ = w.shape
    out = w.reshape(o, -1) @ im2col(x, f) + b[:, None]
    return out.reshape(n, o, height - f + 1, width - f + 1)


def conv2d_backward(
    dout: np.ndarray, x: np.ndarray, w: np.ndarray, padding: str = "valid"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of the loss with respect to the three arguments of `conv2d`.

    From out = W cols + b follow dW = dout cols^T, dcols = W^T dout and db = sum of dout over
    samples and pixels; `col2im` brings dcols back to the pixels.

    Parameters
    ----------
    dout : array (N, O, H', W')
    x : array (N, C, H, W)
    w : array (O, C, f, f)
    padding : as passed to `conv2d`

    Returns
    -------
    dx, dw, db : arrays (N, C, H, W), (O, C, f, f), (O,)
    """
    n, o = dout.shape[:2]
    f = w.shape[2]
    pad, pad_backward = _one_of(PADDINGS, "padding", padding)
    x = pad(x, f // 2)
    dout = dout.reshape(n, o, -1)
    dw = (dout @ im2col(x, f).transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
    dx = col2im(w.reshape(o, -1).T @ dout, x.shape, f)
    db = dout.sum(axis=(0, 2))
    dx = pad_backward(dx, f // 2)
    return dx, dw, db


# ------------------------------------------------------------------------ non-linearity and loss


def relu(x: np.ndarray) -> np.ndarray:
    """max(0, x), the non-linearity of Eqs. 1 and 2.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    out : array of the same shape
    """
    return np.maximum(x, 0)


def relu_backward(dout: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx: the gradient passes where x > 0 and stops where x <= 0 (at 0 by convention).

    Where x is NaN it passes: a diverged training should not look healthy.

    Parameters
    ----------
    dout : array of any shape
    x : array of the same shape
        The input of `relu` or its output: the two are positive at the same places.

    Returns
    -------
    dx : array of the same shape
    """
    return np.where(x <= 0, 0, dout).astype(dout.dtype, copy=False)


def mse(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean over all elements of (prediction - target)^2: Eq. 4 up to a constant factor.

    The paper's loss is the mean over samples of the *sum* over a sample's pixels; its released
    network halves that. The factor is part of the learning rate: see `pysrcnn.training`.

    Parameters
    ----------
    prediction, target : arrays of the same shape

    Returns
    -------
    loss : float
    """
    return float(np.mean(np.square(prediction - target), dtype=np.float64))


def mse_backward(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """dL/dprediction = 2 (prediction - target) / (number of elements).

    Parameters
    ----------
    prediction, target : arrays of the same shape

    Returns
    -------
    dprediction : array of the same shape
    """
    return (prediction - target) * prediction.dtype.type(2 / prediction.size)


# ---------------------------------------------------------------------------------------- padding


def pad_replicate(x: np.ndarray, p: int) -> np.ndarray:
    """Repeat the outermost pixels `p` times on all four sides.

    The authors' test code does this before *every* layer (``imfilter(..., 'same', 'replicate')``),
    so that the output is as large as the input.

    Parameters
    ----------
    x : array (N, C, H, W)
    p : int

    Returns
    -------
    out : array (N, C, H + 2p, W + 2p)
    """
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="edge")


def pad_replicate_backward(dout: np.ndarray, p: int) -> np.ndarray:
    """Return dx: every copy of an edge pixel sends its gradient back to that pixel.

    Parameters
    ----------
    dout : array (N, C, H + 2p, W + 2p)
    p : int

    Returns
    -------
    dx : array (N, C, H, W)
    """
    if p == 0:
        return dout.copy()
    rows = dout[:, :, p:-p].copy()
    rows[:, :, 0] += dout[:, :, :p].sum(axis=2)
    rows[:, :, -1] += dout[:, :, -p:].sum(axis=2)
    dx = rows[:, :, :, p:-p].copy()
    dx[:, :, :, 0] += rows[:, :, :, :p].sum(axis=3)
    dx[:, :, :, -1] += rows[:, :, :, -p:].sum(axis=3)
    return dx


def pad_zeros(x: np.ndarray, p: int) -> np.ndarray:
    """Add `p` rows or columns of zeros on all four sides, like ``conv2d(padding=p)`` in PyTorch.

    Parameters
    ----------
    x : array (N, C, H, W)
    p : int

    Returns
    -------
    out : array (N, C, H + 2p, W + 2p)
    """
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))


def pad_zeros_backward(dout: np.ndarray, p: int) -> np.ndarray:
    """Return dx: dout without its border, since the zeros are constants.

    Parameters
    ----------
    dout : array (N, C, H + 2p, W + 2p)
    p : int

    Returns
    -------
    dx : array (N, C, H, W)
    """
    return dout[:, :, p : dout.shape[2] - p, p : dout.shape[3] - p].copy()


def _nothing(x: np.ndarray, p: int) -> np.ndarray:
    return x


PADDINGS = {
    "valid": (_nothing, _nothing),
    "replicate": (pad_replicate, pad_replicate_backward),
    "zeros": (pad_zeros, pad_zeros_backward),
}


def _one_of(known: dict[str, tuple], name: str, value: str) -> tuple:
    """Return the function and backward function named `value`, or raise a ValueError."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}, wanted one of {', '.join(known)}")
    return known[value]


# ------------------------------------------------------------------------------------ the network

# Keyed by the argument `activation` of `forward`.
ACTIVATIONS = {"relu": (relu, relu_backward), "tanh": (tanh, tanh_backward)}


def forward(
    x: np.ndarray,
    layers: list[tuple[np.ndarray, np.ndarray]],
    padding: str,
    activation: str = "relu",
    shuffle: int = 1,
) -> np.ndarray:
    """The whole network, F(Y) of Eq. 3.

    F_k(Y) = max(0, W_k * F_{k-1}(Y) + B_k) for every layer but the last (Eqs. 1 and 2), and
    F(Y) = W_K * F_{K-1}(Y) + B_K for the last (Eq. 3).

    Parameters
    ----------
    x : array (N, C, H, W)
        What the paper calls Y: the bicubic enlargement, values in 0..1.
    layers : list of (w, b)
        Weights (O, C, f, f) with odd f, and biases (O,), from the first layer to the last.
    padding : "replicate", "zeros" or "valid"
        "replicate" and "zeros" pad the input of every layer by (f - 1) / 2, so that the output has
        the size of the input; with "valid" (training) each layer shrinks the picture by f - 1.
    activation : "relu" or "tanh"
        Applied after every layer but the last: max(0, ...) as above, or tanh instead.
    shuffle : int
        s of a final `pixel_shuffle`, as in ESPCN; SRCNN has none.

    Returns
    -------
    out : array (N, O, H, W), or smaller where padding is "valid"; O filters of the last layer.
        With a shuffle (N, O / s^2, s H, s W).

    Raises
    ------
    ValueError
        If padding or activation is unknown, or shuffle is less than 1.
    """
    activate, _ = _one_of(ACTIVATIONS, "activation", activation)
    if shuffle < 1:
        raise ValueError(f"shuffle is {shuffle}, wanted 1 or more")
    for k, (w, b) in enumerate(layers):
        x = conv2d(x, w, b, padding)
        if k < len(layers) - 1:
            x = activate(x)
    return pixel_shuffle(x, shuffle) if shuffle > 1 else x


def loss_and_gradients(
    low: np.ndarray,
    high: np.ndarray,
    layers: list[tuple[np.ndarray, np.ndarray]],
    activation: str = "relu",
) -> tuple[float, list[tuple[np.ndarray, np.ndarray]]]:
    """Eq. 4 and its gradient: all that a training step needs.

    Run forward with valid convolutions and keep the activations, compute the mean squared error,
    then apply the chain rule from the last layer to the first.

    Parameters
    ----------
    low : array (N, C, H, W)
        Bicubic enlargements, the network's input.
    high : array (N, C, H', W')
        Originals, as large as the network's valid output.
    layers : list of (w, b)
    activation : "relu" or "tanh"
        As for `forward`.

    Returns
    -------
    loss : float
    gradients : list of (dw, db), one per layer
    """
    activate, activate_backward = _one_of(ACTIVATIONS, "activation", activation)
    inputs = []  # of each layer
    x = low
    for k, (w, b) in enumerate(layers):
        inputs.append(x)
        x = conv2d(x, w, b)
        if k < len(layers) - 1:
            x = activate(x)

    loss = mse(x, high)

    gradients = []
    dout = mse_backward(x, high)
    for k in reversed(range(len(layers))):
        dx, dw, db = conv2d_backward(dout, inputs[k], layers[k][0])
        gradients.append((dw, db))
        if k > 0:
            dout = activate_backward(dx, inputs[k])
    return loss, gradients[::-1]
