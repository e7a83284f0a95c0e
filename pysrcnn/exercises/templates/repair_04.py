"""Repair 4: gradient descent with momentum. One mistake is in here; find it.

    Delta <- momentum * Delta - learning_rate * dL/dW                 Eq. 5
    W <- W + Delta

It learned, but with a momentum of 0.9 more slowly than with none. (Full definition:
exercise 6.)
"""


def sgd(w, delta, gradient, learning_rate, momentum):
    """W and Delta after a step, as new arrays."""
    delta = -momentum * delta - learning_rate * gradient
    w = w + delta
    return w, delta
