"""Fully connected layers and max pooling: what classifiers use besides convolutions.

Axes: N samples, C channels, O outputs, H x W pixels.
"""

import numpy as np

__all__ = ["dense", "dense_backward", "max_pool", "max_pool_backward"]


def dense(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """w x + b: a fully connected layer, whose outputs depend on every pixel of every map.

    out[n, o] = b[o] + sum over c, i, j of w[o, c, i, j] x[n, c, i, j]

    It is a convolution whose filters are as large as the maps. PyTorch's ``Linear`` after
    ``Flatten`` has the same weights, with the shape (O, C H W).

    Parameters
    ----------
    x : array (N, C, H, W)
    w : array (O, C, H, W)
    b : array (O,)

    Returns
    -------
    out : array (N, O, 1, 1)
        Maps of one pixel, so that operations on maps can follow.
    """
    out = x.reshape(len(x), -1) @ w.reshape(len(w), -1).T + b
    return out[:, :, None, None]


def dense_backward(
    dout: np.ndarray, x: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients dx, dw and db.

    Parameters
    ----------
    dout : array (N, O, 1, 1)
    x, w : as passed to `dense`

    Returns
    -------
    dx, dw, db : arrays of the shapes of x, w and b
    """
    dout = dout[:, :, 0, 0]
    dx = dout @ w.reshape(len(w), -1)
    dw = dout.T @ x.reshape(len(x), -1)
    return dx.reshape(x.shape), dw.reshape(w.shape), dout.sum(axis=0)


def max_pool(x: np.ndarray) -> np.ndarray:
    """Return the maximum of each 2 x 2 block; an odd last row or column is dropped.

    Parameters
    ----------
    x : array (N, C, H, W), of 2 x 2 pixels or more

    Returns
    -------
    out : array (N, C, H // 2, W // 2)
    """
    return _fours(x).max(axis=4)


def max_pool_backward(dout: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dx: dout goes to the maximum of each block; of equal ones, to the first, row by row.

    Parameters
    ----------
    dout : array (N, C, H // 2, W // 2)
    x : as passed to `max_pool`

    Returns
    -------
    dx : array (N, C, H, W)
    """
    n, c, h, w = dout.shape
    largest = _fours(x).argmax(axis=4)[..., None]  # 2 a + b
    fours = np.where(largest == np.arange(4), dout[..., None], 0)
    dx = np.zeros(x.shape, dout.dtype)
    parts = fours.reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5)  # i, a, j, b
    dx[:, :, : 2 * h, : 2 * w] = parts.reshape(n, c, 2 * h, 2 * w)
    return dx


def _fours(x: np.ndarray) -> np.ndarray:
    """The pixels of each 2 x 2 block, row by row: (N, C, H // 2, W // 2, 4)."""
    n, c, h, w = x.shape[0], x.shape[1], x.shape[2] // 2, x.shape[3] // 2
    parts = x[:, :, : 2 * h, : 2 * w].reshape(n, c, h, 2, w, 2)  # i, a, j, b
    return parts.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h, w, 4)
