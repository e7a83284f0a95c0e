"""Exercise 7: the sub-pixel shuffle of ESPCN, and its backward.

ESPCN (Shi et al., CVPR 2016) enlarges by a factor s only at the end. Its last layer
makes s^2 small maps for each channel, and the shuffle lays them out as one map that
is s times as high and wide. Nothing is computed, numbers are only moved:

    out[n, c, s i + a, s j + b] = x[n, c s^2 + s a + b, i, j]      0 <= a, b < s

So the s x s pixels of a block come from s^2 maps that follow each other, row by
row: this is the order of PyTorch. (Eq. 4 of the paper is the same for C = 1; with
more channels it has the maps in another order.)

Backward, each number goes back to where it came from. Two functions, each with one
reshape, one transpose and one reshape: name the axes, and write down in which order
you have them, and in which you want them.
"""

import numpy as np


def pixel_shuffle(x, s):
    """Small maps to a large one.

    Parameters
    ----------
    x : float array (N, C s^2, H, W)
    s : int

    Returns
    -------
    out : float array (N, C, s H, s W), of the dtype of x
    """
    raise NotImplementedError("write this, and remove this line")


def pixel_shuffle_backward(dout, s):
    """The gradient with respect to x, from the one with respect to out.

    Parameters
    ----------
    dout : float array (N, C, s H, s W)
    s : int

    Returns
    -------
    dx : float array (N, C s^2, H, W), of the dtype of dout
    """
    raise NotImplementedError("write this, and remove this line")
