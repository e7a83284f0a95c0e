"""Activations beside ReLU, which is in `convolution`: all that is done to each number by itself.

Names: x, out; gradients dx, dout: dL/dx and dL/dout for the loss L.
"""

import numpy as np

__all__ = ["tanh", "tanh_backward"]


def tanh(x: np.ndarray) -> np.ndarray:
    """tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), in -1..1.

    The phi of Eqs. 1 and 2 of Shi et al., "Real-Time Single Image and Video Super-Resolution Using
    an Efficient Sub-Pixel Convolutional Neural Network" (ESPCN), CVPR 2016; Section 3.2 chooses it.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    out : array of that shape
    """
    return np.tanh(x)


def tanh_backward(dout: np.ndarray, out: np.ndarray) -> np.ndarray:
    """dx = dout (1 - out^2), as tanh' = 1 - tanh^2.

    Parameters
    ----------
    dout : array of any shape
    out : array of that shape
        The output of `tanh`, not its input.

    Returns
    -------
    dx : array of that shape
    """
    return dout * (1 - np.square(out))
