"""Sparse-coding super-resolution, and why it is a convolutional network: Section 3.2 of the paper.

The method is that of Yang, Wright, Huang, Ma, "Image Super-Resolution via Sparse Representation",
IEEE TIP 19(11), 2010, with three changes by Zeyde, Elad, Protter, "On Single Image Scale-Up Using
Sparse-Representations", 2010: features go through a PCA, the difference from the bicubic
enlargement is learned, and the last dictionary is fitted to the codes of the first one.

For every patch of the bicubic enlargement x:

1. y = P (derivatives of the patch): a few numbers that describe its edges.
2. The code a, which minimises ``1/2 |y - D_l a|^2 + penalty |a|_1``: the patch as a sum of a few
   *atoms*, the columns of the dictionary D_l. It is found in a few steps of FISTA.
3. D_h a: the same atoms in high resolution, to be added to the middle of the patch.
4. Patches overlap; every pixel gets the average of all values proposed for it.

Each of these is a convolution, or an operation on each pixel alone:

=======================  ========================================================  ================
step                     here                                                      SRCNN
=======================  ========================================================  ================
1, and D_l^T y of 2      f1 x f1 = 13 x 13, n1 = 512: D_l^T P and the derivatives  f1 = 9, n1 = 64
the rest of 2            1 x 1, from n1 codes to n2 = n1: ISTA, with ReLUs         f2 = 1, n2 = 32
3 and 4                  f3 x f3 = 5 x 5: atoms of D_h / f3^2, turned around       f3 = 5
=======================  ========================================================  ================

`by_patches` computes it as Yang et al. do, `by_convolutions` as a network of `reference.conv2d` and
`reference.relu`; they are the same function. The difference is in how the numbers are found. Here
each part has an objective of its own: P keeps the variance of the features, D_l makes codes sparse,
and D_h fits the patches one at a time, regardless of the averaging
(`pysrcnn.training.dictionary`). SRCNN learns W1, W2 and W3 jointly, for the final picture. (ISTA
with jointly learned steps is LISTA: Gregor, LeCun, "Learning Fast Approximations of Sparse Coding",
2010.)

Axes: N samples, H x W pixels; f x f the patch of derivatives, D entries of y, A atoms, g x g the
patch in high resolution, n patches. float32 or float64.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import kernels, reference
from ..checks import check_batch
from ..formats import WRITABLE
from .network import Network
from .parameters import Parameters
from .reach import Layers, Seen

__all__ = [
    "DERIVATIVES",
    "SparseCoding",
    "by_convolutions",
    "by_patches",
    "combined_filters",
    "convolutions",
    "fista",
    "ista",
    "patch_features",
    "soft_threshold",
    "sparse_codes",
    "sparse_patches",
]

# The features of Yang et al., Section III-C: first and second derivatives, each along a row and
# along a column, as four filters of 5 x 5. The second is halved, as by Zeyde et al.
DERIVATIVES = np.zeros((4, 1, 5, 5))
DERIVATIVES[0, 0, 2] = DERIVATIVES[1, 0, :, 2] = 0, -1, 0, 1, 0
DERIVATIVES[2, 0, 2] = DERIVATIVES[3, 0, :, 2] = 0.5, 0, -1, 0, 0.5

BAND = 2**18  # pixels of the result that are computed at a time

Dictionaries = dict[str, np.ndarray]  # P (D, 4, f, f), D_l (D, A), D_h (g*g, A)


# ----------------------------------------------------------------------------------- sparse codes


def soft_threshold(x: np.ndarray, t: float | np.floating) -> np.ndarray:
    """Minimise ``1/2 (a - x)^2 + t |a|`` over a: move x towards zero by t. Two ReLUs."""
    t = x.dtype.type(t)
    return reference.relu(x - t) - reference.relu(-x - t)


def ista(steps: int) -> np.ndarray:
    """Return the momentum of each step of ISTA: 0."""
    return np.zeros(steps)


def fista(steps: int) -> np.ndarray:
    """Return the momentum of each step of FISTA: (t_k - 1) / t_(k+1), t_1 = 1.

    t_(k+1) = (1 + sqrt(1 + 4 t_k^2)) / 2: Beck, Teboulle, "A Fast Iterative Shrinkage-Thresholding
    Algorithm", 2009, Eqs. 4.2 and 4.3.
    """
    momentum, t = np.empty(steps), 1.0
    for k in range(steps):
        before, t = t, (1 + math.sqrt(1 + 4 * t * t)) / 2
        momentum[k] = (before - 1) / t
    return momentum


def sparse_codes(
    y: np.ndarray, dictionary: np.ndarray, penalty: float, momentum: Sequence[float]
) -> np.ndarray:
    """Find codes a that nearly minimise ``1/2 |y - D a|^2 + penalty |a|_1`` for each column y.

    From z = a = 0, each step descends the gradient of the first term, applies a soft threshold for
    the second and, in FISTA, adds momentum::

        a_(k+1) = S(z_k + D^T (y - D z_k) / L, penalty / L)
        z_(k+1) = a_(k+1) + m_k (a_(k+1) - a_k)

    with L the largest eigenvalue of D^T D.

    Parameters
    ----------
    y : array (D, n)
    dictionary : array (D, A)
    penalty : float
        The larger, the more entries of a code are zero.
    momentum : sequence of floats
        m_k of each step: `ista(steps)` or `fista(steps)`.

    Returns
    -------
    codes : array (A, n)
    """
    largest = np.linalg.norm(dictionary.astype(np.float64), 2) ** 2
    back = (dictionary.T / largest).astype(y.dtype)
    codes = z = np.zeros((dictionary.shape[1], y.shape[1]), y.dtype)
    for m in momentum:
        before, codes = codes, soft_threshold(z + back @ (y - dictionary @ z), penalty / largest)
        z = codes + y.dtype.type(m) * (codes - before)
    return codes


def sparse_patches(
    y: np.ndarray,
    dictionary: np.ndarray,
    high: np.ndarray,
    penalty: float,
    momentum: Sequence[float],
) -> np.ndarray:
    """Return the patches (g*g, n) that the codes of y stand for: high (g*g, A) @ `sparse_codes`."""
    return high @ sparse_codes(y, dictionary, penalty, momentum)


# ----------------------------------------------------------------------------- patch after patch


def patch_features(x: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """Return the features y of every patch of pictures, one column per patch.

    Parameters
    ----------
    x : array (N, 1, H, W)
    projection : array (D, 4, f, f)
        P: the rows of the PCA, for patches of f x f of the four derivatives.

    Returns
    -------
    y : array (N, D, n), n = (H - f - 3) (W - f - 3), in the order of `reference.im2col`
    """
    maps = reference.conv2d(x, DERIVATIVES.astype(x.dtype), np.zeros(4, x.dtype))
    return projection.reshape(len(projection), -1) @ reference.im2col(maps, projection.shape[2])


def by_patches(
    x: np.ndarray, dictionaries: Dictionaries, penalty: float, momentum: Sequence[float]
) -> np.ndarray:
    """Enlarge pictures as Yang et al. do: sparse codes of every patch, averaged.

    Parameters
    ----------
    x : array (N, 1, H, W)
        Bicubic enlargements.
    dictionaries : dict of arrays
        P (D, 4, f, f), D_l (D, A), D_h (g*g, A).
    penalty, momentum
        As for `sparse_codes`.

    Returns
    -------
    out : array (N, 1, H - 2 m, W - 2 m), m = (f - 1) / 2 + 2 + (g - 1) / 2
        The pixels for which all g*g patches are inside the picture.
    """
    projection, low, high = (dictionaries[name] for name in ("P", "D_l", "D_h"))
    n, _, height, width = x.shape
    f, g = projection.shape[2], math.isqrt(len(high))
    rows, columns = height - f - 3, width - f - 3
    y = patch_features(x, projection)
    patches = np.stack([sparse_patches(one, low, high, penalty, momentum) for one in y])
    total = reference.col2im(patches, (n, 1, rows + g - 1, columns + g - 1), g)
    return _within(x, f // 2 + 2 + g // 2) + total[:, :, g - 1 : rows, g - 1 : columns] / (g * g)


def _within(x: np.ndarray, margin: int) -> np.ndarray:
    return x[:, :, margin : x.shape[2] - margin, margin : x.shape[3] - margin]


# ----------------------------------------------------------------------------------- as a network


def combined_filters(projection: np.ndarray) -> np.ndarray:
    """Combine P and the derivatives in one convolution: filters (D, 1, f + 4, f + 4)."""
    entries, _, f, _ = projection.shape
    filters = np.zeros((entries, 1, f + 4, f + 4), projection.dtype)
    for u in range(f):
        for v in range(f):
            weights = projection[:, :, u, v]
            filters[:, 0, u : u + 5, v : v + 5] += np.tensordot(weights, DERIVATIVES[:, 0], axes=1)
    return filters


def convolutions(dictionaries: Dictionaries, penalty: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the three (weights, biases) of the network equivalent to the dictionaries.

    W1 = D_l^T P derivatives / L (A, 1, f1, f1), W2 = 1 - D_l^T D_l / L (A, A, 1, 1), both with the
    bias -penalty / L of the soft threshold; W3 = D_h / g^2 (1, A, g, g), each atom turned by 180
    degrees: a pixel is the last of the first patch around it, and the first of the last.
    """
    projection, low, high = (dictionaries[name] for name in ("P", "D_l", "D_h"))
    atoms, g = low.shape[1], math.isqrt(len(high))
    largest = np.linalg.norm(low.astype(np.float64), 2) ** 2
    w1 = np.tensordot(low.T / largest, combined_filters(projection), axes=1)
    w2 = (np.eye(atoms) - low.T @ low / largest)[:, :, None, None]
    w3 = high.T.reshape(1, atoms, g, g)[:, :, ::-1, ::-1] / (g * g)
    bias = np.full(atoms, -penalty / largest)
    layers = (w1, bias), (w2, bias), (w3, np.zeros(1))
    return [
        (np.ascontiguousarray(w, low.dtype), np.ascontiguousarray(b, low.dtype)) for w, b in layers
    ]


def by_convolutions(
    x: np.ndarray, dictionaries: Dictionaries, penalty: float, momentum: Sequence[float]
) -> np.ndarray:
    """Compute `by_patches` as a convolutional network: f1-1-...-1-f3.

    A step of ISTA, S(z + D^T (y - D z) / L, t), is S(W1 * x + W2 * z, t), and the soft threshold S
    is two ReLUs, the first of which is that of Eqs. 1 and 2: max(0, v - t) - max(0, -v - t). W1 * x
    is the same in every step, and is passed to each by what was later called a skip connection.
    """
    (w1, bias), (w2, _), (w3, zero) = convolutions(dictionaries, penalty)
    nothing = np.zeros_like(bias)
    seen = reference.conv2d(x, w1, nothing)
    codes = z = np.zeros_like(seen)
    for m in momentum:
        before = codes
        v = seen + reference.conv2d(z, w2, nothing)
        codes = soft_threshold(v, -bias[0])
        z = codes + x.dtype.type(m) * (codes - before)
    return _within(x, w1.shape[2] // 2 + w3.shape[2] // 2) + reference.conv2d(codes, w3, zero)


# -------------------------------------------------------------------------------------- the model


class SparseCoding(Network):
    """Sparse-coding super-resolution with learned dictionaries, used like an `SRCNN`.

    Parameters
    ----------
    parameters : dict of arrays
        P (D, 4, f, f), D_l (D, A), D_h (g*g, A), f and g odd: see `pysrcnn.training.dictionary`.
    card : dict
        Their description, see `pysrcnn.formats`. "penalty" and "steps" are those of the sparse
        codes, by FISTA.

    Attributes
    ----------
    name : "sc"
    c : 1, luminance
    ops : always `pysrcnn.kernels`
    scale : int or None
        The factor of enlargement that the dictionaries are for.
    """

    name = "sc"

    def __init__(self, parameters: Dictionaries, card: dict[str, Any]):
        self.parameters, self.card, self.ops, self.c = parameters, card, kernels, 1
        self.scale, self.options = None, {"padding": "replicate"}
        self.penalty, self.momentum = card["penalty"], fista(card["steps"])

    @property
    def layers(self) -> Layers:
        """The first and the last of `convolutions`, which correspond to SRCNN's layers.

        The maps of the first are the positive codes after a single step of ISTA.
        """
        return convolutions(self.parameters, self.penalty)[::2]

    @property
    def seen(self) -> Seen:
        """See `Network.seen`; the margin covers a patch of derivatives and one of the result.

        Every step of FISTA is counted, for one patch per pixel; the first has no D z, z being 0.
        """
        projection, low, high = (self.parameters[name] for name in ("P", "D_l", "D_h"))
        f, g = projection.shape[2], math.isqrt(len(high))
        steps = (2 * len(self.momentum) - 1) * low.size
        products = combined_filters(projection).size + steps + high.size
        return Seen(f // 2 + 2 + g // 2, 1, products, sum(low.shape) + len(high), 2, [], 2)

    @property
    def bytes_per_pixel(self) -> float:
        """The input and the output; codes are kept for one band at a time."""
        return 8

    def __repr__(self) -> str:
        entries, atoms = self.parameters["D_l"].shape
        scale = f", scale={self.scale}" if self.scale else ""
        steps = len(self.momentum)
        return f"<SparseCoding, atoms={atoms}, features={entries}, steps={steps}{scale}>"

    def _run(self, x: np.ndarray, **options: Any) -> np.ndarray:
        """Run `by_patches`, compiled; "replicate" repeats the picture's edge `margin` times."""
        m = self.margin
        if options["padding"] == "replicate":
            x = kernels.pad_replicate(x, m)
        elif options["padding"] == "zeros":
            x = kernels.pad_zeros(x, m)
        out = _within(x, m).copy()  # it may be the caller's array
        band = max(32, BAND // out.shape[3])
        filters = combined_filters(self.parameters["P"])
        for sample, result in zip(x, out, strict=True):
            for top in range(0, out.shape[2], band):
                rows = result[:, top : top + band]
                part = sample[None, :, top : top + rows.shape[1] + 2 * m]
                rows += self._difference(part, filters)
        return out

    def maps(self, x: np.ndarray) -> list[np.ndarray]:
        """Return `x` and the positive codes after a single step of ISTA."""
        w, b = self.layers[0]
        x = check_batch(x, "x", self.c, self.dtype)
        padded = kernels.pad_replicate(x, w.shape[2] // 2)
        return [x, kernels.relu(kernels.conv2d(padded, w, b))]

    def _difference(self, x: np.ndarray, filters: np.ndarray) -> np.ndarray:
        """Return what is added to the pixels of x (1, 1, H, W) within the margin, (1, H', W')."""
        y = kernels.conv2d(x, filters, np.zeros(len(filters), filters.dtype))
        _, entries, rows, columns = y.shape
        low, high = self.parameters["D_l"], self.parameters["D_h"]
        y = y.reshape(entries, rows * columns)
        patches = kernels.sparse_patches(y, low, high, self.penalty, self.momentum)
        g = math.isqrt(len(high))
        total = kernels.col2im(patches[None], (1, 1, rows + g - 1, columns + g - 1), g)
        return total[0, :, g - 1 : rows, g - 1 : columns] / high.dtype.type(g * g)

    def loss_and_gradients(
        self, low: np.ndarray, high: np.ndarray, loss: str = "mse", done: float = 0.0
    ) -> tuple[float, Parameters]:
        """Raise a TypeError, since dictionaries are not learned by gradients."""
        raise TypeError(
            "dictionaries are not learned by gradients: see `python -m pysrcnn.training.dictionary`"
        )

    def _tensors(self, path: Path) -> Parameters:
        if path.suffix.lower() == ".npz":
            return self.parameters
        raise ValueError(
            f"{path} would hold layers, and dictionaries of sparse coding are none: write them as "
            f".npz"
            if path.suffix.lower() in WRITABLE
            else f"{path} does not end in .npz: weights are written as .npz"
        )
