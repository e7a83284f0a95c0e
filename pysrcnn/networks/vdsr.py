"""VDSR: Kim, Lee, Lee, "Accurate Image Super-Resolution Using Very Deep Convolutional Networks",
CVPR 2016.

SRCNN's authors found that more layers did not help. Here twenty do, since the network learns only
the residual r = y - x that the bicubic enlargement lacks: most of it is near zero, and the picture
need not be carried through all layers. Every layer is 3 x 3 and pads with zeros, so one network
takes any size and, since its input is already enlarged, any scale.

Axes: N samples, c channels of the picture, H x W pixels, D layers.
"""

from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from .. import kernels
from ..checks import check_whole
from .network import Network
from .parameters import Parameters, as_arrays, check_channels, check_layers, drawn, in_float32
from .residual import check_flag

__all__ = ["VDSR", "backward", "forward"]


def forward(
    x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None, *, residual: bool = True
) -> np.ndarray:
    """y = x + r, r = W_D * h_{D-1} + b_D, h_k = max(0, W_k * h_{k-1} + b_k), h_0 = x.

    Parameters
    ----------
    x : array (N, c, H, W)
        Bicubic enlargements, values in 0..1.
    p : dict of arrays W1, B1, W2, B2, ..., of filters 3 x 3
    ops : module of operations
    kept : list, optional
        Filled with the input of each layer, for `backward`.
    residual : bool
        If False, y = r: the layers have to carry the picture, too. The paper compares both.

    Returns
    -------
    out : array (N, c, H, W)
    """
    depth, h = len(p) // 2, x
    for k in range(1, depth):
        if kept is not None:
            kept.append(h)
        h = ops.conv_relu(h, p[f"W{k}"], p[f"B{k}"])
    if kept is not None:
        kept.append(h)
    return ops.conv2d_same(h, p[f"W{depth}"], p[f"B{depth}"], x if residual else None)


def backward(
    dout: np.ndarray, kept: list, p: Parameters, ops: Any, *, residual: bool = True
) -> tuple[np.ndarray, Parameters]:
    """Return dx and all parameter gradients: the lines of `forward` in reverse order.

    Parameters
    ----------
    dout : array (N, c, H, W)
    kept : list that `forward` filled
    p, ops, residual : as passed to `forward`

    Returns
    -------
    dx : array (N, c, H, W)
    gradients : dict of arrays, named as in `p`
    """
    depth, g = len(kept), {}
    dh, g[f"W{depth}"], g[f"B{depth}"] = ops.conv2d_same_backward(dout, kept[-1], p[f"W{depth}"])
    for k in reversed(range(1, depth)):
        h, below = kept[k], kept[k - 1]
        dh, g[f"W{k}"], g[f"B{k}"] = ops.conv_relu_backward(dh, h, below, p[f"W{k}"])
    # x is the input of the first layer and, by the skip, a term of the output.
    return dh + dout if residual else dh, g


def _layers(depth: int, width: int, c: int) -> dict[str, tuple[int, int]]:
    """Numbers of maps in and out of each layer, by its number."""
    between = {str(k): (width, width) for k in range(2, depth)}
    return {"1": (c, width), **between, str(depth): (width, c)}


class VDSR(Network):
    """The network of the paper: 20 layers of 64 filters, the last with one for each channel.

    Parameters
    ----------
    depth : int
        D, the number of layers: 2 or more.
    width : int
        Filters of all layers but the last.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    residual : bool
        See `forward`.
    init : "identity" or "he"
        "he": weights from N(0, 2 / (9 C)), as in He et al. (2015) and the paper. "identity": those
        of the last layer are divided by 50, so that the untrained network nearly returns its input,
        and the first filters have a mean of zero, as in `initial.initialise`.
    seed : int
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Raises
    ------
    ValueError
        If depth, width or seed is not a whole number or is too small, c is neither 1 nor 3, init is
        unknown, or residual is not a bool.
    """

    name, default_recipe = "vdsr", "vdsr"
    saved_options: ClassVar = ("residual",)
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(
        self,
        depth: int = 20,
        width: int = 64,
        c: int = 1,
        *,
        residual: bool = True,
        init: str = "identity",
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        for name, value, least in (("depth", depth, 2), ("width", width, 1), ("seed", seed, 0)):
            check_whole(name, value, least)
        check_channels(c)
        if init not in ("identity", "he"):
            raise ValueError(f'init is "identity" or "he", got {init!r:.60}')
        p = drawn(_layers(depth, width, c), seed)
        if init == "identity":
            p["W1"] -= p["W1"].mean(axis=(1, 2, 3), keepdims=True)
            p[f"W{depth}"] *= 0.02
        self._set(in_float32(p), ops, residual)

    @classmethod
    def from_parameters(
        cls, parameters: Parameters, *, ops: ModuleType = kernels, residual: bool = True
    ) -> "VDSR":
        """Build a network from copies of the arrays W1, B1, ..., W_D, B_D.

        Raises
        ------
        ValueError
            If the arrays do not make such a network, or residual is not a bool.
        """
        parameters = as_arrays(parameters)
        depth, first = len(parameters) // 2, parameters.get("W1", np.empty((0, 0)))
        width, c = first.shape[:2]
        check_layers(parameters, _layers(depth, width, c) if c in (1, 3) and depth > 1 else {})
        network = cls.__new__(cls)
        network._set(parameters, ops, residual)
        return network.astype(first.dtype)

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "VDSR":
        """Build the untrained network that a `training.Recipe` describes."""
        network = cls(recipe.depth, recipe.width, recipe.c, init=recipe.init, seed=recipe.seed)
        network.scale = scale
        return network

    def _set(self, parameters: Parameters, ops: ModuleType, residual: bool) -> None:
        check_flag("residual", residual)
        self.parameters, self.ops, self.card = parameters, ops, {}
        self.c, self.scale, self.options = parameters["W1"].shape[1], None, {"residual": residual}

    @property
    def depth(self) -> int:
        """D, the number of layers."""
        return len(self.parameters) // 2

    def __repr__(self) -> str:
        width = len(self.parameters["B1"])
        without = "" if self.options["residual"] else ", no residual"
        return (
            f"<VDSR depth={self.depth}, width={width}, c={self.c}{without}, "
            f"{self.dtype}{self._for_scales}>"
        )
