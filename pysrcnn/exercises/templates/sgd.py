"""Exercise 6: a step of gradient descent with momentum.

Eq. 5 of the paper moves weights W by

    Delta <- momentum * Delta - learning_rate * dL/dW
    W <- W + Delta

with a momentum of 0.9. Delta begins as zeros, and is kept from one step to the
next: like a ball that rolls downhill, W keeps some of its speed.

Other programs write the same in other ways (PyTorch multiplies by the learning
rate later); the check wants W and Delta as in Eq. 5.
"""

import numpy as np


def sgd(w, delta, gradient, learning_rate, momentum):
    """One step of Eq. 5.

    Parameters
    ----------
    w, delta, gradient : float arrays of one shape
        W, Delta of the step before, and dL/dW.
    learning_rate, momentum : float

    Returns
    -------
    w, delta : float arrays of that shape
        After the step; new arrays, those given stay as they are.
    """
    raise NotImplementedError("write this, and remove this line")
