"""Exercise 3: back through a ReLU.

    relu(x) = max(0, x)

Where x > 0 the output follows the input one to one, so its slope is 1; where
x < 0 the output stays 0 whatever x does, so its slope is 0. At x = 0 there is a
kink, and no slope; by convention it is 0.

With a loss L, and dout = dL/d relu(x), the chain rule gives

    dx = dL/dx = dout * (slope of the ReLU at x), element by element.

Mind which array decides: dout may have any sign where x is positive. And
sometimes only relu(x) was kept, not x; it is given in the place of x then, and
dx has to be the same.
"""

import numpy as np


def relu_backward(dout, x):
    """The gradient with respect to the input of a ReLU.

    Parameters
    ----------
    dout : float array of any shape
        The gradient with respect to the output.
    x : float array of that shape
        What went into the ReLU, or what came out of it.

    Returns
    -------
    dx : float array of that shape, of the dtype of dout; a new one, dout stays
    """
    raise NotImplementedError("write this, and remove this line")
