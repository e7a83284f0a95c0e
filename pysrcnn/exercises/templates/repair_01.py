"""Repair 1: PSNR. One mistake is in here; find it.

PSNR = 10 log10(peak^2 / MSE), without the outermost `shave` pixels on each side;
a, b are arrays (H, W), peak is 255 of 8-bit pictures and 1 of those in 0..1. The
result is infinite for equal pictures. (Full definition: exercise 1.)

Pictures in 0..1 scored well with it, those in 0..255 below zero.
"""

import numpy as np


def psnr(a, b, shave, peak):
    """PSNR of two pictures, in dB."""
    h, w = a.shape
    a = a[shave : h - shave, shave : w - shave].astype(float)
    b = b[shave : h - shave, shave : w - shave].astype(float)
    mse = np.mean((a - b) ** 2)
    if mse == 0:
        return np.inf
    return 10 * np.log10(1 / mse)
