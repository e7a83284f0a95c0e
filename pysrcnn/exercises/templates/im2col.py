"""Exercise 2: im2col, which makes a matrix product of a convolution.

Walkthrough 2 does this for one picture of one channel. Here there are N pictures
(samples) of C channels and H x W pixels at once.

An f x f filter fits in at H' W' places, with H' = H - f + 1 and W' = W - f + 1.
The pixels that it covers at one place, in all channels, are a patch; each patch
becomes a column:

    cols[n, c f^2 + u f + v, i W' + j] = x[n, c, i + u, j + v]

where 0 <= u, v < f is the place in the patch and 0 <= i < H', 0 <= j < W' that of
the patch in the picture. So a column goes over channels, then rows, then columns
of the patch, just as `w.reshape(O, -1)` goes over the weights (O, C, f, f) of O
filters; and the convolution, Eq. 1 of the paper without its max, is

    out = w.reshape(O, -1) @ cols + b[:, None]

Loops over u and v are fine, and so is numpy.lib.stride_tricks.sliding_window_view.
"""

import numpy as np


def im2col(x, f):
    """Every f x f patch of x as a column.

    Parameters
    ----------
    x : float array (N, C, H, W)
    f : int, 1 <= f <= min(H, W)

    Returns
    -------
    cols : float array (N, C f f, H' W'), of the dtype of x
    """
    raise NotImplementedError("write this, and remove this line")
