"""Exercise 1: PSNR, the number by which enlarged pictures are compared.

With a picture a, the original b, and the largest value a pixel may have, `peak`
(255 of 8-bit pictures, 1 of those in 0..1),

    MSE = mean over all pixels of (a - b)^2
    PSNR = 10 log10(peak^2 / MSE), in decibels (dB)

The paper leaves out the outermost `shave` pixels on all four sides first, as
many as the scale: results there depend on unknown pixels outside.

Beware: 8-bit pictures are arrays of uint8, in which 3 - 5 gives 254.
Walkthrough 7 has more on how to get this number wrong.
"""

import numpy as np


def psnr(a, b, shave, peak):
    """PSNR of two pictures.

    Parameters
    ----------
    a, b : arrays (H, W), of uint8 or float64
    shave : int, 0 or more
        Pixels that are left out on each side.
    peak : float

    Returns
    -------
    psnr : float, in dB; infinite (np.inf) if MSE is 0
    """
    raise NotImplementedError("write this, and remove this line")
