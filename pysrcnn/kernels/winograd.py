"""Fewer multiplications: Winograd's minimal filtering F(4, f) along the rows of a layer.

Four neighbouring outputs of a filter row of f taps take 4 f products when summed directly, but
n = f + 3 by polynomial interpolation:

    y = A [(G g) . (B d)]        d: n pixels of the row, g: f taps, y: 4 outputs, "." elementwise

B d is computed once for a row of a feature map and serves all filters; the sums over channels and
filter rows are taken between the products and A, which is linear. With many channels the products
are nearly all there is, so a filter of 5 taps costs 8/20 of the direct sum, one of 3 taps 6/12.

Sources: A. L. Toom 1963, S. A. Cook 1966 (the interpolation); S. Winograd, "Arithmetic complexity
of computations", 1980; A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks",
2016 (its use here). This file computes the matrices, exactly, in fractions; `fused` and
`lanes_winograd` use them.
"""

import functools
from fractions import Fraction

import numpy as np

from .vectors import ROWS

OUTPUTS = 4
# Where polynomials are evaluated, infinity being always one more. Small numbers and their inverses
# keep the rounding errors small: some 4e-6 for results of size 1 in float32.
_POINTS = {
    3: [0, 1, -1, 2, -2],
    5: [0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2)],
}
AT_ONE = 1  # which of them is 1
TAPS = tuple(_POINTS)  # filter sizes for which there is a transform


def pays(layers, k):
    """Whether layer k (from 0) is worth a transform: a middle layer of many channels in and out."""
    w = layers[k][0]
    return (
        w.dtype == np.float32  # float64 is for checking gradients, by the plain sum
        and 0 < k < len(layers) - 1
        and w.shape[2] in TAPS
        and min(w.shape[:2]) >= ROWS
    )


@functools.cache
def matrices(taps):
    """A (4, n), G (n, taps), B (n, n) of F(4, taps), float64.

    A filter of `taps` coefficients g is a polynomial; so is the result. Products of values at
    n - 1 points and of the leading coefficients ("infinity") determine the product polynomial.
    Transposed, that is the correlation of n pixels with the filter.
    """
    points = [Fraction(p) for p in _POINTS[taps]]
    n = len(points) + 1
    a = np.zeros((OUTPUTS, n), object)
    g = np.zeros((n, taps), object)
    b = np.zeros((n, n), object)
    for i, point in enumerate(points):
        others = points[:i] + points[i + 1 :]
        a[:, i] = [point**j for j in range(OUTPUTS)]
        g[i] = [point**v / np.prod([point - q for q in others]) for v in range(taps)]
        b[i, : n - 1] = _with_roots(others)
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = _with_roots(points)
    return tuple(matrix.astype(np.float64) for matrix in (a, g, b))


def _with_roots(roots):
    """Coefficients of the product of (x - root), the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        times_x = [Fraction(0), *coefficients]
        coefficients = [t - root * c for t, c in zip(times_x, [*coefficients, 0], strict=True)]
    return coefficients
