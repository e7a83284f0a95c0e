"""Exercise 4: col2im, which brings gradients of patches back to the pixels.

im2col (exercise 2) copies each pixel into all patches that it is in:

    cols[n, c f^2 + u f + v, i W' + j] = x[n, c, i + u, j + v]

Moving a pixel moves all its copies, so its gradient is the sum of theirs.
col2im puts each element of each column back where it was taken from, and adds:

    x[n, c, y, z] = sum of cols[n, c f^2 + u f + v, i W' + j]
                    over all u, v, i, j with i + u = y and j + v = z

with 0 <= u, v < f, 0 <= i < H' = H - f + 1 and 0 <= j < W' = W - f + 1.

It is the adjoint of im2col: for any x and cols, the sums of im2col(x) * cols and
of x * col2im(cols) are equal. Walkthrough 3 explains why, and shows how to test it.
A loop over u and v, with one line inside, is enough.
"""

import numpy as np


def col2im(cols, shape, f):
    """Add every column back to where im2col took it from.

    Parameters
    ----------
    cols : float array (N, C f f, H' W')
    shape : (N, C, H, W)
        Of what im2col was given.
    f : int

    Returns
    -------
    x : float array (N, C, H, W), of the dtype of cols
    """
    raise NotImplementedError("write this, and remove this line")
