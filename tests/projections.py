"""Gradients checked by one random projection, however many parameters there are.

For a function f from arrays to an array, a random direction v and a random upstream gradient g,

    <g, (f(x + h v) - f(x - h v)) / 2h>   must equal   <df(x)^T g, v>:

two evaluations against one vector-Jacobian product. The upstream gradient is random because one
of all ones hides transposed weights and unflipped filters.
"""

import numpy as np


def projections(function, backward, arguments, seed=0, step=1e-6):
    """The two sides of the equation, (numerical, analytic), in float64.

    function(*arguments) -> array; backward(g, *arguments) -> one gradient for each argument.
    """
    rng = np.random.default_rng(seed)
    directions = [rng.standard_normal(np.shape(a)) for a in arguments]
    ahead = function(*(a + step * v for a, v in zip(arguments, directions, strict=True)))
    behind = function(*(a - step * v for a, v in zip(arguments, directions, strict=True)))
    upstream = rng.standard_normal(np.shape(ahead))
    numerical = np.sum(upstream * (ahead - behind)) / (2 * step)
    gradients = backward(upstream, *arguments)
    analytic = sum(np.sum(d * v) for d, v in zip(gradients, directions, strict=True))
    return numerical, analytic


def close(numerical, analytic):
    """Whether they agree: central differences are good to some 1e-9, a wrong term is not."""
    return abs(numerical - analytic) <= 1e-7 * max(1.0, abs(numerical))
