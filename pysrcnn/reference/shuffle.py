"""The sub-pixel shuffle of ESPCN, which rearranges many small maps into one large map.

Maps are also concatenated, split and repeated here.

Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network", CVPR 2016: the operation PS of Eqs. 3 and 4.

Axes: N samples, C channels of the large map, H x W pixels of the small ones, s scale.
"""

import numpy as np

__all__ = [
    "concatenate",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "repeat",
    "repeat_backward",
    "split",
]


def concatenate(*maps: np.ndarray) -> np.ndarray:
    """Concatenate batches along the channels; the backward pass is `split`.

    Parameters
    ----------
    maps : arrays (N, C1, H, W), (N, C2, H, W), ...
        Any number of them.

    Returns
    -------
    out : array (N, C1 + C2 + ..., H, W)
    """
    return np.concatenate(maps, axis=1)


def split(x: np.ndarray, *channels: int) -> tuple[np.ndarray, ...]:
    """Split x along the channels; the backward pass is `concatenate`.

    Parameters
    ----------
    x : array (N, C, H, W)
    channels : int
        C1, C2, ...: any number of them, with the sum C.

    Returns
    -------
    maps : tuple of arrays (N, C1, H, W), (N, C2, H, W), ...
    """
    return tuple(np.split(x, np.cumsum(channels)[:-1], axis=1))


def pixel_shuffle(x: np.ndarray, s: int) -> np.ndarray:
    """Rearrange each pixel of s^2 maps into s x s pixels of one map.

    out[n, c, s i + a, s j + b] = x[n, c s^2 + s a + b, i, j]       0 <= a, b < s

    so map c s^2 + s a + b has the sub-pixels in row a and column b of channel c. That is the order
    of PyTorch's ``pixel_shuffle`` and of ONNX's DepthToSpace in the mode CRD. Eq. 4 of the paper is

        PS(T)[x, y, c] = T[floor(x / r), floor(y / r), C r mod(y, r) + C mod(x, r) + c]

    with r for s. For C = 1 it is the same, where x is our column and y our row. For more channels
    the maps, and so the filters that make them, are in another order: the channels of a sub-pixel
    together.

    Parameters
    ----------
    x : array (N, C s^2, H, W)
    s : int

    Returns
    -------
    out : array (N, C, s H, s W)
    """
    n, maps, h, w = x.shape
    c = maps // s**2
    x = x.reshape(n, c, s, s, h, w)  # c, a, b, i, j
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(n, c, s * h, s * w)  # c, i, a, j, b


def pixel_shuffle_backward(dout: np.ndarray, s: int) -> np.ndarray:
    """Return dx: every sub-pixel goes back to its map; the adjoint of a permutation is its inverse.

    Parameters
    ----------
    dout : array (N, C, s H, s W)
    s : int

    Returns
    -------
    dx : array (N, C s^2, H, W)
    """
    n, c, height, width = dout.shape
    h, w = height // s, width // s
    dout = dout.reshape(n, c, h, s, w, s)  # c, i, a, j, b
    return dout.transpose(0, 1, 3, 5, 2, 4).reshape(n, c * s**2, h, w)  # c, a, b, i, j


def repeat(x: np.ndarray, n: int) -> np.ndarray:
    """Repeat each map n times; with n = s^2, a shuffle by s then repeats each pixel s x s times.

    Parameters
    ----------
    x : array (N, C, H, W)
    n : int

    Returns
    -------
    out : array (N, C n, H, W)
    """
    return np.repeat(x, n, axis=1)


def repeat_backward(dout: np.ndarray, n: int) -> np.ndarray:
    """Return dx: the sum over the copies of each map.

    Parameters
    ----------
    dout : array (N, C n, H, W)
    n : int

    Returns
    -------
    dx : array (N, C, H, W)
    """
    samples, maps, h, w = dout.shape
    return dout.reshape(samples, maps // n, n, h, w).sum(axis=2)
