"""SRCNN: Dong, Loy, He, Tang, "Image Super-Resolution Using Deep Convolutional Networks", 2016.

The bicubic enlargement Y passes through three convolutions. `forward` and `backward` below are
written out for any number of layers; `reference.forward` and `reference.loss_and_gradients` are
the same as a single operation, which `kernels` fuses.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import kernels
from .authors import to_matlab
from .chain import Chain, layers_of, named
from .parameters import Parameters

__all__ = ["SRCNN", "backward", "forward"]


def forward(
    x: np.ndarray,
    p: Parameters,
    ops: Any,
    kept: list | None = None,
    *,
    padding: str = "replicate",
) -> np.ndarray:
    """F(Y): max(0, W_k * F_{k-1}(Y) + B_k) in each layer (Eqs. 1 and 2), no ReLU in the last (3).

    Parameters
    ----------
    x : array (N, c, H, W)
        What the paper calls Y: bicubic enlargements, values in 0..1.
    p : dict of arrays W1, B1, W2, B2, ...
    ops : module of operations
    kept : list, optional
        Filled with the input of each layer, for `backward`.
    padding : "replicate", "zeros" or "valid"

    Returns
    -------
    out : array (N, c, H, W), smaller where padding is "valid"
    """
    layers = layers_of(p)
    for k, (w, b) in enumerate(layers, 1):
        if kept is not None:
            kept.append(x)
        x = ops.conv2d(x, w, b, padding)
        if k < len(layers):
            x = ops.relu(x)
    return x


def backward(
    dout: np.ndarray, kept: list, p: Parameters, ops: Any, *, padding: str = "replicate"
) -> tuple[np.ndarray, Parameters]:
    """Return dx and all parameter gradients: the lines of `forward` in reverse order.

    Parameters
    ----------
    dout : array of the shape of `forward`'s output
    kept : list that `forward` filled
    p, ops, padding : as passed to `forward`

    Returns
    -------
    dx : array of the shape of x
    gradients : dict of arrays, named as in `p`
    """
    g: Parameters = {}
    for k in reversed(range(1, len(kept) + 1)):
        x = kept[k - 1]
        dout, g[f"W{k}"], g[f"B{k}"] = ops.conv2d_backward(dout, x, p[f"W{k}"], padding)
        if k > 1:
            dout = ops.relu_backward(dout, x)  # x came out of the ReLU
    return dout, g


class SRCNN(Chain):
    """The network of the paper: f1-f2-f3 with n1 and n2 filters and c channels in and out.

    Parameters
    ----------
    f1, f2, f3 : int
        Filter sizes of the three layers, odd.
    n1, n2 : int
        Numbers of filters of the first two layers; the third has `c`.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    init : "paper", "he" or "identity"
        How the weights are initialised, see `initial.initialise`.
    seed : int
        Seed of the random initial weights.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Attributes
    ----------
    parameters : dict of arrays
        W1, B1, W2, B2, W3, B3: weights (O, C, f, f), biases (O,). May be filled in place.
    sizes, filters, c : the layer sizes, for stacks of any depth (`from_stack`)
    scale : int or None
        The factor of enlargement that the weights are for.
    card : dict
        Description of the weights, see `pysrcnn.formats`.

    Raises
    ------
    ValueError
        If a size is not a positive integer, a filter size is even, or c is neither 1 nor 3.
    """

    _forward = staticmethod(forward)
    _backward = staticmethod(backward)

    def __init__(
        self,
        f1: int = 9,
        n1: int = 64,
        f2: int = 1,
        n2: int = 32,
        f3: int = 5,
        c: int = 1,
        *,
        init: str = "paper",
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        self._begin((f1, f2, f3), (n1, n2), c, ops, init=init, seed=seed)

    @classmethod
    def from_stack(
        cls,
        sizes: tuple[int, ...],
        filters: tuple[int, ...],
        c: int = 1,
        *,
        init: str = "paper",
        seed: int = 0,
        ops: ModuleType = kernels,
    ) -> "SRCNN":
        """Build a stack of any depth: sizes (9, 1, 1, 5), filters (64, 32, 16) for "9-1-1-5"."""
        network = cls.__new__(cls)
        network._begin(sizes, filters, c, ops, init=init, seed=seed)
        return network

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "SRCNN":
        """Build the untrained network that a `training.Recipe` describes."""
        network = cls.from_stack(
            recipe.sizes, recipe.filters, recipe.c, init=recipe.init, seed=recipe.seed
        )
        network.scale = scale
        return network

    @property
    def name(self) -> str:  # type: ignore[override]
        """Filter sizes as the paper writes them: "9-1-5"."""
        return "-".join(map(str, self.sizes))

    def __repr__(self) -> str:
        return (
            f"<SRCNN {self.name}, filters={self.filters}, c={self.c}, "
            f"{self.dtype}{self._for_scales}>"
        )

    def _run(self, x: np.ndarray, **options: Any) -> np.ndarray:
        return self.ops.forward(x, self.layers, options["padding"])

    def _step(
        self, low: np.ndarray, high: np.ndarray, loss: str, done: float
    ) -> tuple[float, Parameters]:
        if loss != "mse":
            return super()._step(low, high, loss, done)
        error, gradients = self.ops.loss_and_gradients(low, high, self.layers)
        return error, named(gradients)

    def _tensors(self, path: Path) -> Parameters:
        if path.suffix.lower() != ".mat":
            return super()._tensors(path)
        if len(self.sizes) != 3:
            raise ValueError(
                f"a .mat file of the authors holds three layers, and this network has "
                f"{len(self.sizes)}: write it as .npz"
            )
        if self.options["padding"] != "replicate":
            raise ValueError(
                f"{path} would not say that this network pads with {self.options['padding']}, and "
                f"its authors' repeats the edge: write it as .npz"
            )
        return to_matlab(self.parameters)
