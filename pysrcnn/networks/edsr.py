"""EDSR: Lim, Son, Kim, Nah, Lee, "Enhanced Deep Residual Networks for Single Image
Super-Resolution", CVPR Workshops 2017.

VDSR showed that depth pays off if layers learn residuals. SRResNet put them into blocks on the
small picture, each of which adds the result of two convolutions to its input. EDSR leaves out the
batch normalisation, which discards the range of a picture's values: it takes less memory and
reaches a higher PSNR.

There are two tails, told apart by the shapes of the parameters. The paper's enlarges the maps by a
convolution to s^2 times as many and a sub-pixel shuffle (for s = 4, twice by 2), and ends with a
convolution of the large maps. The short one is ESPCN's: the last convolution has a filter for each
sub-pixel, and nothing is computed on the large picture.

Axes: N samples, c channels of the picture, F maps, H x W pixels, s scale.
"""

import math
import numbers
from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from .. import kernels
from .network import Network
from .parameters import Parameters, as_arrays, check_layers, drawn, in_float32
from .residual import blocks_of, check_flag, check_sizes, factors, forget, ups
from .scales import LARGEST

__all__ = ["EDSR", "backward", "forward"]


def forward(
    x: np.ndarray,
    p: Parameters,
    ops: Any,
    kept: list | None = None,
    *,
    residual_scale: float = 1.0,
    picture: bool = True,
    mean: Sequence[float] = (),
) -> np.ndarray:
    """h_0 = W_head * x, h_k = h_{k-1} + t W_k2 * max(0, W_k1 * h_{k-1}), tail(W_body * h_K + h_0).

    Section 3 and Figs. 2c and 3 of the paper; each convolution adds its biases.

    Parameters
    ----------
    x : array (N, c, H, W)
        Small pictures, values in 0..1.
    p : dict of arrays
        W_head, B_head; W1_1, B1_1, W1_2, B1_2, W2_1, ... of the blocks; W_body, B_body; W_up1,
        B_up1, ... of the paper's tail; W_tail, B_tail. All filters are 3 x 3.
    ops : module of operations
    kept : list, optional
        Filled with what `backward` needs.
    residual_scale : float
        t: 0.1 in the paper's large network, 1 in all others.
    picture : bool
        Whether the input, with each pixel repeated s x s times, is added to the output, so that the
        network learns a residual. The paper has no such skip.
    mean : c numbers, optional
        Subtracted from each channel of the input and added to the output; in the paper, the mean
        colour of the training pictures.

    Returns
    -------
    out : array (N, c, s H, s W)
    """
    keep = forget if kept is None else kept.append
    if mean:
        x = x - _colour(mean, p)
    keep(x)
    h = h0 = ops.conv2d_same(x, p["W_head"], p["B_head"])
    for k in blocks_of(p):
        a = ops.conv_relu(h, p[f"W{k}_1"], p[f"B{k}_1"])
        keep((h, a))
        if residual_scale == 1:
            h = ops.conv2d_same(a, p[f"W{k}_2"], p[f"B{k}_2"], h)
        else:
            h = h + residual_scale * ops.conv2d_same(a, p[f"W{k}_2"], p[f"B{k}_2"])
    keep(h)
    h = ops.conv2d_same(h, p["W_body"], p["B_body"], h0)
    for w, b, s in ups(p):
        keep(h)
        h = ops.pixel_shuffle(ops.conv2d_same(h, p[w], p[b]), s)
    keep(h)
    large, s = _scales(p)
    added = (
        ops.pixel_shuffle(ops.repeat(ops.leave(x), (large * s) ** 2), large) if picture else None
    )
    out = ops.conv2d_same(h, p["W_tail"], p["B_tail"], added)
    out = ops.leave(ops.pixel_shuffle(out, s))
    return out + _colour(mean, p) if mean else out


def backward(
    dout: np.ndarray,
    kept: list,
    p: Parameters,
    ops: Any,
    *,
    residual_scale: float = 1.0,
    picture: bool = True,
    mean: Sequence[float] = (),
) -> tuple[np.ndarray, Parameters]:
    """Return dx and all parameter gradients: the lines of `forward` in reverse order.

    Parameters
    ----------
    dout : array (N, c, s H, s W)
    kept : list that `forward` filled
    p, ops, residual_scale, picture, mean : as passed to `forward`

    Returns
    -------
    dx : array (N, c, H, W)
    gradients : dict of arrays, named as in `p`
    """
    x, *rest, h = kept
    maps = reversed(rest)
    g: Parameters = {}
    large, s = _scales(p)
    dout = ops.enter(ops.pixel_shuffle_backward(ops.leave(dout), s))
    dh, g["W_tail"], g["B_tail"] = ops.conv2d_same_backward(dout, h, p["W_tail"])
    for w, b, factor in reversed(ups(p)):
        dh = ops.pixel_shuffle_backward(dh, factor)
        dh, g[w], g[b] = ops.conv2d_same_backward(dh, next(maps), p[w])
    dh0 = dh
    dh, g["W_body"], g["B_body"] = ops.conv2d_same_backward(dh, next(maps), p["W_body"])
    for k in reversed(blocks_of(p)):
        h, a = next(maps)
        dr = dh if residual_scale == 1 else residual_scale * dh
        da, g[f"W{k}_2"], g[f"B{k}_2"] = ops.conv2d_same_backward(dr, a, p[f"W{k}_2"])
        dr, g[f"W{k}_1"], g[f"B{k}_1"] = ops.conv_relu_backward(da, a, h, p[f"W{k}_1"])
        dh = dh + dr  # around the block and through it
    dx, g["W_head"], g["B_head"] = ops.conv2d_same_backward(dh + dh0, x, p["W_head"])
    if picture:
        dadded = ops.pixel_shuffle_backward(dout, large)
        dx = dx + ops.repeat_backward(dadded, (large * s) ** 2)
    return dx, g


def _colour(mean: Sequence[float], p: Parameters) -> np.ndarray:
    """The mean colour, in a shape that can be added to a batch (N, c, H, W)."""
    return np.reshape(np.array(mean, p["W_head"].dtype), (-1, 1, 1))


def _scales(p: Parameters) -> tuple[int, int]:
    """Factors by which maps are enlarged before the last convolution, and the picture after it."""
    c, filters = p["W_head"].shape[1], p["W_tail"].shape[0]
    return math.prod(s for _, _, s in ups(p)), math.isqrt(filters // c)


def _layers(
    scale: int, blocks: int, width: int, c: int, short_tail: bool
) -> dict[str, tuple[int, int]]:
    """Numbers of maps in and out of each layer, keyed by its parameters' names without W or B."""
    body = [f"{k}_{part}" for k in range(1, blocks + 1) for part in (1, 2)]
    layers = {"_head": (c, width)} | dict.fromkeys([*body, "_body"], (width, width))
    for k, s in enumerate([] if short_tail else factors(scale), 1):
        layers[f"_up{k}"] = width, width * s * s
    return layers | {"_tail": (width, c * scale**2 if short_tail else c)}


class EDSR(Network):
    """The network of the paper, or one with the short tail (see the top of the file).

    Parameters
    ----------
    scale : int
        s, the factor of enlargement: 2 to 16; with the paper's tail 2, 3, 4, 8 or 16.
    blocks : int
        Residual blocks. The paper: 16, or 32 in its large network.
    width : int
        F, the number of maps. The paper: 64, or 256 in its large network.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    short_tail : bool
    residual_scale, picture, mean
        See `forward`.
    seed : int
        Weights are drawn from N(0, 2 / (9 C)), as in He et al. (2015); those of each block's second
        layer are divided by 10, and those of the last layer by 50, so that the untrained network
        nearly returns each pixel s x s times.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """

    name, small, default_recipe = "edsr", True, "edsr-s"
    saved_options: ClassVar = ("residual_scale", "picture", "mean")
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(
        self,
        scale: int = 3,
        blocks: int = 16,
        width: int = 64,
        c: int = 1,
        *,
        short_tail: bool = True,
        residual_scale: float = 1.0,
        picture: bool = True,
        mean: Sequence[float] = (),
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        check_sizes(scale, blocks, width, c, seed)
        p = drawn(_layers(int(scale), blocks, width, c, short_tail), seed)
        for k in range(1, blocks + 1):
            p[f"W{k}_2"] *= 0.1
        p["W_tail"] *= 0.02
        self._set(in_float32(p), ops, residual_scale, picture, mean)

    @classmethod
    def from_parameters(
        cls,
        parameters: Parameters,
        *,
        ops: ModuleType = kernels,
        residual_scale: float = 1.0,
        picture: bool = True,
        mean: Sequence[float] = (),
    ) -> "EDSR":
        """Build a network from copies of arrays, named as in `forward`.

        Raises
        ------
        ValueError
            If the arrays do not make such a network.
        """
        parameters = as_arrays(parameters)
        head, tail = (parameters.get(name, np.empty((0, 0))) for name in ("W_head", "W_tail"))
        (width, c), up = head.shape[:2], ups(parameters)
        large = math.prod(s for _, _, s in up)
        short = 0 if c == 0 else math.isqrt(tail.shape[0] // c)
        wanted = {}
        if c in (1, 3) and 2 <= large * short <= LARGEST:
            blocks = len(blocks_of(parameters))
            wanted = _layers(large * short, blocks, width, c, not up)
        check_layers(parameters, wanted)
        network = cls.__new__(cls)
        network._set(parameters, ops, residual_scale, picture, mean)
        return network.astype(head.dtype)

    def _set(
        self,
        parameters: Parameters,
        ops: ModuleType,
        residual_scale: float,
        picture: bool,
        mean: Sequence[float],
    ) -> None:
        number = isinstance(residual_scale, numbers.Real) and not isinstance(residual_scale, bool)
        if not number or not 0 < residual_scale <= 1:
            raise ValueError(f"residual_scale is {residual_scale!r:.60}, wanted above 0, up to 1")
        check_flag("picture", picture)
        mean = tuple(float(m) for m in np.ravel(np.asarray(mean, np.float64)))
        self.parameters, self.ops, self.card = parameters, ops, {}
        self.c, self.scale = parameters["W_head"].shape[1], math.prod(_scales(parameters))
        if mean and not (len(mean) == self.c and all(0 <= m <= 1 for m in mean)):
            raise ValueError(f"mean is {mean!r:.60}, wanted {self.c} numbers of 0..1")
        self.options = {
            "residual_scale": float(residual_scale),
            "picture": picture,
            "mean": list(mean),
        }

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "EDSR":
        """Build the untrained network that a `training.Recipe` describes."""
        if scale is None:
            raise ValueError("an EDSR is for one scale: say which, 2 or more")
        return cls(scale, recipe.depth, recipe.width, recipe.c, seed=recipe.seed)

    @property
    def blocks(self) -> int:
        """The number of residual blocks."""
        return len(blocks_of(self.parameters))

    @property
    def tail(self) -> list[str]:
        """See `Network.tail`."""
        return [name for name in self.parameters if name[1:].startswith(("_up", "_tail"))]

    @property
    def bytes_per_pixel(self) -> float:
        """Four sets of maps at a time: the first, and a block's input, inner maps and result."""
        return 2 * super().bytes_per_pixel

    def __repr__(self) -> str:
        width = len(self.parameters["B_head"])
        return (
            f"<EDSR blocks={self.blocks}, width={width}, c={self.c}, {self.dtype}, "
            f"scale={self.scale}>"
        )
