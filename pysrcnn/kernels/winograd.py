"""Fewer multiplications: Winograd's minimal filtering F(4 x 4, t x t), 16 outputs at once.

Four neighbouring outputs of a row of t taps take 4 t products when summed directly, but n = t + 3
by polynomial interpolation:

    y = A [(G g) . (B d)]            d: n pixels, g: t taps, y: 4 outputs, "." elementwise

The same holds along columns, so for 4 x 4 outputs, from n x n pixels and t x t taps,

    y = A [(G g G') . (B d B')] A'   ' transposed

with 36 products instead of 144 if t is 3, and 64 instead of 400 if it is 5. B d B', the "points",
is computed once for a tile of a feature map and serves all filters. The sum over channels is taken
between the products and A, which is linear. With many channels, nearly all the work is in the
products.

Sources: A. L. Toom 1963, S. A. Cook 1966 (the interpolation); S. Winograd, "Arithmetic complexity
of computations", 1980; A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks",
2016 (its use here). This file computes the matrices exactly, in fractions, and decides for which
layers of a picture they pay; `transforms` applies them, and `blocks` computes a layer with them.
"""

import functools
import math
from fractions import Fraction

import numpy as np

from .vectors import ROWS

OUTPUTS = 4
# Points at which polynomials are evaluated, besides infinity. Small numbers and their inverses keep
# the rounding errors small: some 4e-6 for results of size 1 in float32.
_POINTS: dict[int, list[int | Fraction]] = {
    3: [0, 1, -1, 2, -2],
    5: [0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2)],
}
AT_ONE = 1  # the index of the point 1
TAPS = tuple(_POINTS)  # filter sizes for which there is a transform
# Vector operations to transform a tile to its points and back; a multiply-add is one.
_TO_POINTS = {3: 200, 5: 600}
_FROM_POINTS = {3: 170, 5: 320}
MOST_PARTS = 64  # parts of a filter, times channels: the points of a block stay near the processor
_WORTH_IT = 0.75  # share of the direct sum's operations: a sum of few channels waits for memory


def taps(w):
    """Return t of the F(4 x 4, t x t) that pays for a layer of weights w (O, C, f, f), else 0.

    This compares operations for 16 outputs of all filters. Large filters of few channels are
    computed in parts of 3 x 3 taps, see `parts`. float64 has no transform: it serves to check
    gradients, by the plain sum.
    """
    o, c, f, _ = w.shape
    t = f if f in TAPS else 3
    if w.dtype != np.float32 or f % t:
        return 0
    c *= (f // t) ** 2
    if f > t and c > MOST_PARTS:
        return 0
    products = (t + OUTPUTS - 1) ** 2 * c * (-(-o // ROWS) * ROWS)
    fast = products + c * _TO_POINTS[t] + o * _FROM_POINTS[t]
    return t if fast < _WORTH_IT * OUTPUTS**2 * w.size else 0


def same_operations(channels, terms, sums):
    """Operations for 16 outputs if lanes are channels (filters): `terms` vectors in, `sums` out."""
    products = (OUTPUTS + 2) ** 2 * channels * sums
    return products + terms * _TO_POINTS[3] + sums * _FROM_POINTS[3]


@functools.cache
def fractions(t):
    """Return A (4, n), G (n, t), B (n, n) of F(4, t), as arrays of Fraction.

    The t coefficients of a filter g make a polynomial; so does the result. Products of values at
    n - 1 points and of the leading coefficients ("infinity") determine the product polynomial.
    Transposed, that is the correlation of n pixels with the filter.
    """
    points = [Fraction(p) for p in _POINTS[t]]
    n = len(points) + 1
    a, g, b = (np.full(shape, Fraction(0)) for shape in ((OUTPUTS, n), (n, t), (n, n)))
    for i, point in enumerate(points):
        others = points[:i] + points[i + 1 :]
        a[:, i] = [point**j for j in range(OUTPUTS)]
        g[i] = [point**v / math.prod(point - q for q in others) for v in range(t)]
        b[i, : n - 1] = _with_roots(others)
    a[-1, -1] = g[-1, -1] = Fraction(1)
    b[-1] = _with_roots(points)
    return a, g, b


@functools.cache
def matrices(t):
    """Return the same in float64."""
    return tuple(matrix.astype(np.float64) for matrix in fractions(t))


def _with_roots(roots):
    """Return the coefficients of the product of all (x - root), the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        times_x = [Fraction(0), *coefficients]
        coefficients = [t - root * c for t, c in zip(times_x, [*coefficients, 0], strict=True)]
    return coefficients


def filters_at_points(w):
    """Return G g G' of weights (O, C, t, t) as `blocks` reads them: (n^2, O' / ROWS, C, ROWS).

    O': O, padded with filters of zeros to a multiple of ROWS. Computed in float64; by sums, because
    products of matrices would start BLAS threads, which keep a core busy that the kernels want.
    """
    at_points = _at_points(w, ROWS)
    n, _, filters, c = at_points.shape
    return np.ascontiguousarray(at_points.reshape(n * n, -1, ROWS, c).swapaxes(2, 3))


def parts_of(w):
    """Return the 3 x 3 parts of weights (O, C, 3 f, 3 f), as those of C f^2 channels."""
    o, c, size, _ = w.shape
    f = size // 3
    return w.reshape(o, c, f, 3, f, 3).swapaxes(3, 4).reshape(o, -1, 3, 3)


def parts_at_points(w, together, filters):
    """Return G g G' of each 3 x 3 part of weights (O, C, 3 f, 3 f), as `parts` reads them.

    Shape (O' / together, n, together / filters, C f^2, n, filters), O' a multiple of `together`.
    """
    at_points = _at_points(parts_of(w), together)
    n, _, _, c = at_points.shape
    at_points = at_points.reshape(n, n, -1, together // filters, filters, c)
    return np.ascontiguousarray(at_points.transpose(2, 0, 3, 5, 1, 4))


def _at_points(w, multiple):
    """Return G g G' of weights (O, C, t, t): (n, n, O', C), O' a multiple of `multiple`."""
    o, c, t, _ = w.shape
    g = matrices(t)[1]
    filters = np.zeros((t, t, -(-o // multiple) * multiple, c))
    filters[:, :, :o] = w.transpose(2, 3, 0, 1)
    at_points = np.einsum("iu,uvk->ivk", g, filters.reshape(t, t, -1))
    at_points = np.einsum("jv,ivk->ijk", g, at_points)
    return at_points.astype(w.dtype).reshape(len(g), len(g), -1, c)
