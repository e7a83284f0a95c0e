"""Repair 3: the loss and its gradient. One mistake is in here; find it.

    L = mean over all elements of (prediction - target)^2

and what is returned is L, and dL / dprediction. The learning still worked, so
this mistake is easy to miss.
"""

import numpy as np


def loss_and_gradient(prediction, target):
    """L, a float, and dprediction, as large as prediction (N, C, H, W)."""
    difference = prediction - target
    loss = np.mean(difference**2)
    dprediction = difference / difference.size
    return loss, dprediction
