"""ESPCN: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
Sub-Pixel Convolutional Neural Network", CVPR 2016.

All convolutions run on the small picture, so they cost s^2 times less than after an enlargement.
The last one has s^2 filters, one for each sub-pixel of a pixel, and the sub-pixel shuffle arranges
the results. The enlargement, which SRCNN leaves to bicubic interpolation, is learned, too.
"""

from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from .. import kernels
from .chain import Chain, layers_of, named
from .parameters import Parameters
from .scales import check_scale
from .values import shuffle_of

__all__ = ["ACTIVATIONS", "ESPCN", "backward", "forward"]

ACTIVATIONS = ("relu", "tanh")  # names of operations: the paper compares both and chooses tanh


def forward(
    x: np.ndarray,
    p: Parameters,
    ops: Any,
    kept: list | None = None,
    *,
    activation: str = "tanh",
    padding: str = "zeros",
) -> np.ndarray:
    """f^l = phi(W_l * f^{l-1} + b_l), then PS(W_L * f^{L-1} + b_L): Eqs. 1 to 4.

    Parameters
    ----------
    x : array (N, c, H, W)
        Small pictures, values in 0..1.
    p : dict of arrays W1, B1, W2, B2, ...
        The last layer has c s^2 filters.
    ops : module of operations
    kept : list, optional
        Filled with the input of each layer, for `backward`.
    activation : "tanh" or "relu"
        phi, by the name of the operation.
    padding : "replicate", "zeros" or "valid"

    Returns
    -------
    out : array (N, c, s H, s W), smaller where padding is "valid"
    """
    activate, layers = getattr(ops, activation), layers_of(p)
    for k, (w, b) in enumerate(layers, 1):
        if kept is not None:
            kept.append(x)
        x = ops.conv2d(x, w, b, padding)
        if k < len(layers):
            x = activate(x)
    return ops.pixel_shuffle(x, shuffle_of(p))


def backward(
    dout: np.ndarray,
    kept: list,
    p: Parameters,
    ops: Any,
    *,
    activation: str = "tanh",
    padding: str = "zeros",
) -> tuple[np.ndarray, Parameters]:
    """Return dx and all parameter gradients: the lines of `forward` in reverse order.

    Parameters
    ----------
    dout : array of the shape of `forward`'s output
    kept : list that `forward` filled
    p, ops, activation, padding : as passed to `forward`

    Returns
    -------
    dx : array of the shape of x
    gradients : dict of arrays, named as in `p`
    """
    activate_backward = getattr(ops, f"{activation}_backward")
    g: Parameters = {}
    dout = ops.pixel_shuffle_backward(dout, shuffle_of(p))
    for k in reversed(range(1, len(kept) + 1)):
        x = kept[k - 1]
        dout, g[f"W{k}"], g[f"B{k}"] = ops.conv2d_backward(dout, x, p[f"W{k}"], padding)
        if k > 1:
            dout = activate_backward(dout, x)  # x came out of the activation
    return dout, g


class ESPCN(Chain):
    """The network of the paper: f1-f2-f3 with n1 and n2 filters, then s^2 for each channel.

    Parameters
    ----------
    scale : int
        s, the factor of enlargement: 2 to 16.
    sizes : tuple of int
        Filter sizes, odd. The paper: (5, 3, 3).
    filters : tuple of int
        Numbers of filters of all layers but the last. The paper: (64, 32).
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    activation : "relu" or "tanh"
    padding : "replicate" or "zeros"
        What layers see beyond the edge of a picture.
    init, seed
        How the weights are initialised, see `initial.initialise`.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Raises
    ------
    ValueError
        If a size is not a positive integer, a filter size is even, or scale, c, activation or
        padding is none of the above.
    """

    name, small, default_recipe = "espcn", True, "espcn"
    choices: ClassVar = {"activation": ACTIVATIONS, **Chain.choices}
    _forward = staticmethod(forward)
    _backward = staticmethod(backward)

    def __init__(
        self,
        scale: int = 3,
        sizes: tuple[int, ...] = (5, 3, 3),
        filters: tuple[int, ...] = (64, 32),
        c: int = 1,
        *,
        activation: str = "relu",
        padding: str = "replicate",
        init: str = "identity",
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        check_scale(scale)
        self._begin(
            sizes, filters, c, ops, s=int(scale), init=init, seed=seed,
            activation=activation, padding=padding,
        )  # fmt: skip

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "ESPCN":
        """Build the untrained network that a `training.Recipe` describes."""
        if scale is None:
            raise ValueError("an ESPCN is for one scale: say which, 2 or more")
        sizes, filters, activation = recipe.sizes, recipe.filters, recipe.activation
        return cls(
            scale, sizes, filters, recipe.c, activation=activation, init=recipe.init,
            seed=recipe.seed,
        )  # fmt: skip

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.sizes))
        return (
            f"<ESPCN {sizes}, filters={self.filters}, c={self.c}, {self.options['activation']}, "
            f"{self.dtype}, scale={self.scale}>"
        )

    def _run(self, x: np.ndarray, **options: Any) -> np.ndarray:
        padding, activation = options["padding"], options["activation"]
        return self.ops.forward(x, self.layers, padding, activation, self.scale)

    def _step(
        self, low: np.ndarray, high: np.ndarray, loss: str, done: float
    ) -> tuple[float, Parameters]:
        if loss != "mse":
            return super()._step(low, high, loss, done)
        # Undoing the shuffle in the target does not change the error.
        high = self.ops.pixel_shuffle_backward(high, self.scale)
        error, gradients = self.ops.loss_and_gradients(
            low, high, self.layers, self.options["activation"]
        )
        return error, named(gradients)
