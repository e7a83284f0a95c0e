"""DRCN: Kim, Lee, Lee, "Deeply-Recursive Convolutional Network for Image Super-Resolution", CVPR
2016.

One layer is applied again and again: each recursion widens the receptive field without adding
parameters. Such networks are hard to train, since gradients pass the same weights many times. Two
things help: a picture is reconstructed after every recursion, by the same two layers, and each of
these pictures is compared with the true one; and the input is added to each of them, so that it
need not be carried through. The result is their sum, with learned weights.

Axes: N samples, c channels of the picture, F maps, H x W pixels, D recursions.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from .. import kernels
from ..checks import check_whole
from .network import Network
from .parameters import Parameters, as_arrays, check_channels, check_layers, drawn, in_float32

__all__ = ["DRCN", "backward", "forward"]

_MOST = 1000  # recursions: each takes time, and none a parameter but one of w


def forward(x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None) -> np.ndarray:
    """H_d = max(0, W * H_{d-1} + b); y_d = x + W_out2 * max(0, W_out1 * H_d); sum of w_d y_d.

    Eqs. 1 to 7 of the paper. H_0, the embedding, is computed from x by two layers.

    Parameters
    ----------
    x : array (N, c, H, W)
        Bicubic enlargements, values in 0..1.
    p : dict of arrays
        W_in1, B_in1, W_in2, B_in2 of the embedding; W, B, applied D times; W_out1, B_out1, W_out2,
        B_out2 of the reconstruction; w (D,).
    ops : module of operations
    kept : list, optional
        Filled with what `backward` needs; the last item is the list of the pictures y_1, ..., y_D.

    Returns
    -------
    out : array (N, c, H, W)
    """
    first = ops.conv_relu(x, p["W_in1"], p["B_in1"])
    h = ops.conv_relu(first, p["W_in2"], p["B_in2"])
    maps, pictures = [h], []
    out: Any = 0
    for w in p["w"]:
        h = ops.conv_relu(h, p["W"], p["B"])
        a = ops.conv_relu(h, p["W_out1"], p["B_out1"])
        y = ops.conv2d_same(a, p["W_out2"], p["B_out2"], x)
        out = out + w * y
        if kept is not None:
            maps += [a, h]
            pictures.append(y)
    if kept is not None:
        kept += [x, first, maps, pictures]
    return out


def backward(
    dout: np.ndarray, kept: list, p: Parameters, ops: Any, dpictures: list | None = None
) -> tuple[np.ndarray, Parameters]:
    """Return dx and all parameter gradients: the lines of `forward` in reverse order.

    Parameters
    ----------
    dout : array (N, c, H, W)
    kept : list that `forward` filled
    p, ops : as passed to `forward`
    dpictures : list of arrays (N, c, H, W), optional
        Gradients of further losses on y_1, ..., y_D, besides their part in the sum.

    Returns
    -------
    dx : array (N, c, H, W)
    gradients : dict of arrays, named as in `p`
    """
    x, first, maps, pictures = kept
    shared = "W", "B", "W_out1", "B_out1", "W_out2", "B_out2"
    g: dict[str, Any] = {"w": np.zeros_like(p["w"])} | dict.fromkeys(shared, 0)
    dh = dx = 0
    for d in reversed(range(len(pictures))):
        before, a, h = maps[2 * d : 2 * d + 3]
        g["w"][d] = ops.dot(dout, pictures[d])
        dy = p["w"][d] * dout
        if dpictures:
            dy = dy + dpictures[d]
        dx = dx + dy  # y_d is x plus a difference
        da, *of_out2 = ops.conv2d_same_backward(dy, a, p["W_out2"])
        more, *of_out1 = ops.conv_relu_backward(da, a, h, p["W_out1"])
        dh = more + dh  # H_d is used in y_d and in H_{d+1}
        dh, *of_w = ops.conv_relu_backward(dh, h, before, p["W"])  # now that of H_{d-1}
        for name, more in zip(shared, (*of_w, *of_out1, *of_out2), strict=True):
            g[name] = g[name] + more  # shared weights: gradients add up
    dfirst, g["W_in2"], g["B_in2"] = ops.conv_relu_backward(dh, maps[0], first, p["W_in2"])
    more, g["W_in1"], g["B_in1"] = ops.conv_relu_backward(dfirst, first, x, p["W_in1"])
    return dx + more, g


def _layers(width: int, c: int) -> dict[str, tuple[int, int]]:
    """Numbers of maps in and out of each layer, keyed by its parameters' names without W or B."""
    layers = dict.fromkeys(("_in1", "_in2", "", "_out1", "_out2"), (width, width))
    return layers | {"_in1": (c, width), "_out2": (width, c)}


def _check_recursions(recursions: int) -> None:
    if recursions > _MOST:
        raise ValueError(f"there are {recursions} recursions, and at most {_MOST} are possible")


class DRCN(Network):
    """The network of the paper, of any width and number of recursions.

    Parameters
    ----------
    recursions : int
        D, the number of recursions. The paper: 16.
    width : int
        F, the number of maps. The paper: 256.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    seed : int
        Weights are drawn from N(0, 2 / (9 C)), as in He et al. (2015), except those of the
        recursive layer, which start as the identity, as in the paper. The last layer's are divided
        by 50, and all w_d are 1 / D, so that the untrained network nearly returns its input.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Raises
    ------
    ValueError
        If recursions, width or seed is not a whole number or is too small, recursions are more than
        1000, or c is neither 1 nor 3.
    """

    name, default_recipe = "drcn", "drcn"
    saved_options: ClassVar = ("weights_of_sum",)
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(
        self,
        recursions: int = 16,
        width: int = 256,
        c: int = 1,
        *,
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        sizes = ("recursions", recursions, 1), ("width", width, 1), ("seed", seed, 0)
        for name, value, least in sizes:
            check_whole(name, value, least)
        check_channels(c)
        _check_recursions(recursions)
        p = drawn(_layers(width, c), seed)
        p["W"][...] = 0
        p["W"][range(width), range(width), 1, 1] = 1
        p["W_out2"] *= 0.02
        p["w"] = np.full(recursions, 1 / recursions)
        self._set(in_float32(p), ops)

    @classmethod
    def from_parameters(
        cls,
        parameters: Parameters,
        *,
        ops: ModuleType = kernels,
        weights_of_sum: Sequence[float] = (),
    ) -> "DRCN":
        """Build a network from copies of arrays, named as in `forward`.

        `weights_of_sum` is w, if the arrays lack it, as in an ONNX graph.

        Raises
        ------
        ValueError
            If the arrays do not make such a network.
        """
        parameters = as_arrays(parameters)
        layers = {name: a for name, a in parameters.items() if name != "w"}
        first = parameters.get("W_in1", np.empty((0, 0)))
        w = parameters["w"] if "w" in parameters else np.array(weights_of_sum, first.dtype)
        width, c = first.shape[:2]
        check_layers(layers, _layers(width, c) if c in (1, 3) else {})
        if w.ndim != 1 or w.size == 0:
            raise ValueError(f"w has the shape {w.shape}, wanted a number for each recursion")
        _check_recursions(w.size)
        if not np.isfinite(w).all():
            raise ValueError("w holds values that are not finite")
        network = cls.__new__(cls)
        network._set({**layers, "w": w}, ops)
        return network.astype(first.dtype)

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "DRCN":
        """Build the untrained network that a `training.Recipe` describes."""
        network = cls(recipe.depth, recipe.width, recipe.c, seed=recipe.seed)
        network.scale = scale
        return network

    def _set(self, parameters: Parameters, ops: ModuleType) -> None:
        self.parameters, self.ops, self.card, self.options = parameters, ops, {}, {}
        self.c, self.scale = parameters["W_in1"].shape[1], None

    @property
    def recursions(self) -> int:
        """D, the number of recursions."""
        return len(self.parameters["w"])

    @property
    def bytes_per_pixel(self) -> float:
        """Four sets of maps, and five pictures, which take as much as maps in the kernels' form."""
        return 3 * super().bytes_per_pixel

    def __repr__(self) -> str:
        width = len(self.parameters["B"])
        return (
            f"<DRCN recursions={self.recursions}, width={width}, c={self.c}, "
            f"{self.dtype}{self._for_scales}>"
        )

    def _described(self) -> dict[str, Any]:
        return {"network": self.name, "weights_of_sum": self.parameters["w"].tolist()}

    def _step(
        self, low: np.ndarray, high: np.ndarray, loss: str, done: float
    ) -> tuple[float, Parameters]:
        """alpha times the mean loss of y_1, ..., y_D, plus 1 - alpha times the loss of their sum.

        Eq. 10 of the paper, where alpha decays, too; here it falls from 1 to 0 in the course of
        training.
        """
        ops, p, alpha = self.ops, self.parameters, 1 - done
        kept: list = []
        of, gradient_of = getattr(ops, loss), getattr(ops, f"{loss}_backward")
        out = ops.leave(forward(ops.enter(low), p, ops, kept))
        pictures = [ops.leave(y) for y in kept[-1]]
        part = alpha / len(pictures)
        dpictures = [part * ops.enter(gradient_of(y, high)) for y in pictures]
        dout = (1 - alpha) * ops.enter(gradient_of(out, high))
        _, gradients = backward(dout, kept, p, ops, dpictures)
        total = part * sum(of(y, high) for y in pictures) + (1 - alpha) * of(out, high)
        return total, gradients
