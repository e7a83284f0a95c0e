"""VESPCN: Caballero, Ledig, Aitken, Acosta, Totz, Wang, Shi, "Real-Time Video Super-Resolution with
Spatio-Temporal Networks and Motion Compensation", CVPR 2017.

A frame of a video is enlarged with the help of its neighbours. A small network estimates the motion
of each, first coarsely, on maps of a quarter of the height and width, then finely; each is warped
onto the frame; and an ESPCN takes all of them, at once (early fusion) or pairwise, layer by layer
(slow fusion). All parts are trained together, with one loss.

Neighbours can add detail finer than a pixel. Bilinear interpolation removes about half of it, and
the ESPCN can hardly use the rest, since it does not know where between pixels a frame was sampled.
In subpixel fusion, our own addition, frames are warped by a cubic, and that position is an input:
see `reference.phases`.

Axes: N samples, T frames, F maps, H x W pixels, s scale. A flow is (N, 2, H, W), in pixels.
"""

import math
import re
from collections.abc import Sequence
from itertools import groupby
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from .. import kernels
from ..checks import check_batch, check_whole
from .motion import GRID, LAYERS, motion, motion_backward
from .motion import shapes as motion_shapes
from .network import Network
from .parameters import Parameters, as_arrays, check_shapes, in_float32
from .residual import check_flag, forget
from .scales import LARGEST, check_scale

__all__ = ["FUSIONS", "VESPCN", "backward", "forward"]

FUSIONS = "early", "slow", "subpixel"
_FRAMES = 3, 5, 7
_PHASES = 4  # additional maps of each neighbour in subpixel fusion
_LOUDER = 4.0  # factor for the differences in them, which are small beside the frames


def forward(
    x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None, *, picture: bool = True
) -> np.ndarray:
    """Warp the other frames onto the middle one and apply an ESPCN to all of them: Section 2.

    Parameters
    ----------
    x : array (N, T, H, W)
        Luminance of small pictures, T frames one after the other, 3, 5 or 7; values in 0..1. H and
        W are multiples of 4.
    p : dict of arrays
        W_coarse1, B_coarse1, ..., W_fine1, ... of the motion, see `motion.estimate`; W1_1, B1_1,
        ... of the layers that fuse and those after them; W_tail, B_tail. Wk_g is group g of the
        filters of layer k: early fusion has one group; slow fusion has one for each pair of
        successive frames' maps, until one map is left. In subpixel fusion, which is early, too,
        W1_1 also takes `phases` of the difference between each neighbour and the middle frame.
    ops : module of operations
    kept : list, optional
        Filled with what `backward` needs; the first item lists the flow, the warped frame, ... of
        each neighbour.
    picture : bool
        Whether the middle frame, with each pixel repeated s x s times, is added to the output, so
        that the network learns a residual. The paper has no such skip.

    Returns
    -------
    out : array (N, 1, s H, s W)
        The middle frame, enlarged.
    """
    keep = forget if kept is None else kept.append
    # Maps of one channel or two stay arrays: in `kernels.Maps`, a pixel takes a whole vector.
    frames = list(ops.split(ops.leave(x), *[1] * frames_of(p)))
    middle, motions, finer, cubic = len(frames) // 2, [], [], is_subpixel(p)
    for k in neighbours(p):
        seen: list = []
        flow, warped = motion(frames[middle], frames[k], p, ops, seen, cubic=cubic)
        off = _LOUDER * warped + -_LOUDER * frames[middle] if cubic else None
        finer += [ops.phases(off, flow)] if cubic else []
        motions.append((flow, warped, off, seen))
        frames[k] = warped
    keep(motions)
    maps = frames + finer
    for names in fusing(p):
        given = [ops.enter(_joined(some, ops)) for some in _groups(maps, len(names))]
        maps = [ops.conv_relu(h, p[f"W{name}"], p[f"B{name}"])
                for name, h in zip(names, given, strict=True)]  # fmt: skip
        keep((given, maps))
    s = _scale(p)
    added = ops.repeat(frames[middle], s * s) if picture else None
    out = ops.conv2d_same(maps[0], p["W_tail"], p["B_tail"], added)
    return ops.leave(ops.pixel_shuffle(out, s))


def backward(
    dout: np.ndarray,
    kept: list,
    p: Parameters,
    ops: Any,
    dmotions: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    *,
    picture: bool = True,
) -> tuple[np.ndarray, Parameters]:
    """Return dx and all parameter gradients: the lines of `forward` in reverse order.

    Parameters
    ----------
    dout : array (N, 1, s H, s W)
    kept : list that `forward` filled
    p, ops, picture : as passed to `forward`
    dmotions : sequence of (dflow, dwarped), optional
        For each neighbour, the gradients that come from the loss directly.

    Returns
    -------
    dx : array (N, T, H, W)
    gradients : dict of arrays, named as in `p`
    """
    motions, *layers = kept
    g: Parameters = {}
    s = _scale(p)
    dout = ops.pixel_shuffle_backward(ops.leave(dout), s)
    dh, g["W_tail"], g["B_tail"] = ops.conv2d_same_backward(dout, layers[-1][1][0], p["W_tail"])
    douts = [dh]
    for names, (given, maps) in zip(reversed(fusing(p)), reversed(layers), strict=True):
        douts = _fused_backward(douts, names, given, maps, p, ops, g)
    count, cubic = frames_of(p), is_subpixel(p)
    middle, dfiner = count // 2, douts[count:]
    if picture:
        douts[middle] = douts[middle] + ops.repeat_backward(dout, s * s)
    for n, (k, (flow, _, off, seen)) in enumerate(zip(neighbours(p), motions, strict=True)):
        dflow, dwarped = dmotions[n] if dmotions else (0, 0)
        if cubic:
            dphases = ops.concatenate(*dfiner[_PHASES * n : _PHASES * (n + 1)])
            doff, more = ops.phases_backward(dphases, off, flow)
            dflow, dwarped = more + dflow, _LOUDER * doff + dwarped
            douts[middle] = douts[middle] + -_LOUDER * doff
        dwarped = douts[k] + dwarped
        dreference, douts[k] = motion_backward(dflow, dwarped, seen, p, ops, g, cubic=cubic)
        douts[middle] = douts[middle] + dreference
    return ops.concatenate(*douts[:count]), g


def _fused_backward(
    douts: list, names: list[str], given: list, outs: list, p: Parameters, ops: Any, g: Parameters
) -> list:
    """Return the gradients of the maps that a layer fuses; put those of its weights into g."""
    channels = 1 if names[0] == "1_1" else p[f"W{names[0]}"].shape[0]  # of each map
    back: list[Any] = []
    for first, (name, x) in enumerate(zip(names, given, strict=True)):
        dx, g[f"W{name}"], g[f"B{name}"] = ops.conv_relu_backward(
            douts[first], outs[first], x, p[f"W{name}"]
        )
        count = x.shape[1] // channels
        dx = ops.leave(dx) if channels == 1 else dx  # as in `forward`
        parts = ops.split(dx, *[channels] * count) if count > 1 else [dx]
        back += [0] * (first + count - len(back))
        for place, part in enumerate(parts, first):
            back[place] = back[place] + part  # one map may be in two groups
    return back


def _joined(maps: Sequence, ops: Any) -> Any:
    return maps[0] if len(maps) == 1 else ops.concatenate(*maps)


def _groups(maps: list, count: int) -> list[list]:
    """Return `count` groups of successive maps, each starting one map after the one before."""
    size = len(maps) - count + 1
    return [maps[first : first + size] for first in range(count)]


def fusing(p: Parameters) -> list[list[str]]:
    """For each layer of the ESPCN but the last, what follows W and B in the names of its groups.

    They are sorted by number, whatever their order in a file.
    """
    places = sorted((int(m[1]), int(m[2])) for n in p if (m := re.fullmatch(r"W(\d+)_(\d+)", n)))
    return [[f"{k}_{g}" for _, g in some] for k, some in groupby(places, lambda place: place[0])]


def frames_of(p: Parameters) -> int:
    """T, the number of frames."""
    maps = p["W1_1"].shape[1]
    if is_subpixel(p):
        return (maps + _PHASES) // (1 + _PHASES)
    return maps + len(fusing(p)[0]) - 1


def is_subpixel(p: Parameters) -> bool:
    """Whether fusion is subpixel: then the first layer takes more maps than there can be frames."""
    return p["W1_1"].shape[1] > _FRAMES[-1]


def neighbours(p: Parameters) -> list[int]:
    """The indices of the frames that are warped."""
    count = frames_of(p)
    return [k for k in range(count) if k != count // 2]


def _fusion(p: Parameters) -> str:
    if is_subpixel(p):
        return "subpixel"
    return "slow" if len(fusing(p)[0]) > 1 else "early"


def _scale(p: Parameters) -> int:
    return math.isqrt(p["W_tail"].shape[0])


def _shapes(
    scale: int, frames: int, depth: int, width: int, fusion: str
) -> dict[str, tuple[int, ...]]:
    """Shapes of all arrays by their names."""
    weights = motion_shapes(width)
    maps, c = frames, 1
    if fusion == "subpixel":
        maps += _PHASES * (frames - 1)
    for k in range(1, depth):
        groups = max(1, maps - 1) if fusion == "slow" else 1
        for number in range(1, groups + 1):
            weights[f"{k}_{number}"] = width, c * (maps - groups + 1), 3, 3
        maps, c = groups, width
    weights["_tail"] = scale * scale, width, 3, 3
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in weights.items():
        shapes[f"W{name}"], shapes[f"B{name}"] = shape, shape[:1]
    return shapes


class VESPCN(Network):
    """The network of the paper, of 3, 5 or 7 frames.

    A batch is (N, T, H, W), T frames of luminance; a picture, (N, 1, H, W), is treated as a video
    in which nothing moves.

    Parameters
    ----------
    scale : int
        s, the factor of enlargement: 2 to 16.
    frames : 3, 5 or 7
        T, the number of frames.
    depth : int
        Layers of the ESPCN. The paper: 9. In slow fusion at least T.
    width : int
        F, the number of maps. The paper: 24.
    fusion : "early", "slow" or "subpixel"
        The paper has the first two.
    picture : bool
        See `forward`.
    seed : int
        Weights are drawn from N(0, 2 / (f f C)), as in He et al. (2015); those of the last layers
        are divided by 50, so that the untrained network sees nearly no motion, and nearly returns
        each pixel s x s times.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Attributes
    ----------
    beta, smooth, motion_first : float
        Of the loss, see `_step`: the weights of the warping error and of the flows' roughness, and
        the part of training, 0..1, in which the weight of the result rises to 1.

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """

    name, small, default_recipe = "vespcn", True, "vespcn"
    saved_options: ClassVar = ("picture",)
    beta, smooth, motion_first = 1.0, 0.001, 0.0
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(
        self,
        scale: int = 4,
        frames: int = 3,
        depth: int = 9,
        width: int = 24,
        *,
        fusion: str = "early",
        picture: bool = True,
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        for name, value, least in (("depth", depth, 2), ("width", width, 1), ("seed", seed, 0)):
            check_whole(name, value, least)
        check_scale(scale)
        check_fusion(frames, depth, fusion)
        rng, p = np.random.default_rng(seed), {}
        shapes = _shapes(int(scale), frames, depth, width, fusion)
        for name, shape in shapes.items():
            p[name] = np.zeros(shape)
            if name[0] == "W":
                p[name] += rng.normal(0, np.sqrt(2 / math.prod(shape[1:])), shape)
        for last in (f"W_coarse{LAYERS}", f"W_fine{LAYERS}", "W_tail"):
            p[last] *= 0.02
        self._set(in_float32(p), ops, picture)

    @classmethod
    def from_parameters(
        cls, parameters: Parameters, *, ops: ModuleType = kernels, picture: bool = True
    ) -> "VESPCN":
        """Build a network from copies of arrays, named as in `forward`.

        Raises
        ------
        ValueError
            If the arrays do not make such a network.
        """
        parameters = as_arrays(parameters)
        first, tail = (parameters.get(n, np.empty((0, 0))) for n in ("W1_1", "W_tail"))
        wanted: dict[str, tuple[int, ...]] = {}
        layers = fusing(parameters)
        if first.size and 4 <= tail.shape[0] <= LARGEST**2:
            frames, fusion = frames_of(parameters), _fusion(parameters)
            if frames in _FRAMES:
                wanted = _shapes(_scale(parameters), frames, len(layers) + 1, len(first), fusion)
        check_shapes(parameters, wanted)
        network = cls.__new__(cls)
        network._set({name: parameters[name] for name in wanted}, ops, picture)
        return network.astype(first.dtype)

    def _set(self, parameters: Parameters, ops: ModuleType, picture: bool) -> None:
        check_flag("picture", picture)
        self.parameters, self.ops, self.card = parameters, ops, {}
        self.c, self.scale, self.frames = 1, _scale(parameters), frames_of(parameters)
        self.options = {"picture": picture}

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "VESPCN":
        """Build the untrained network that a `training.Recipe` describes."""
        if scale is None:
            raise ValueError("a VESPCN is for one scale: say which, 2 or more")
        network = cls(
            scale, recipe.frames, recipe.depth, recipe.width, fusion=recipe.fusion,
            seed=recipe.seed,
        )  # fmt: skip
        network.beta, network.smooth = recipe.beta, recipe.smooth
        network.motion_first = recipe.motion_first
        return network

    @property
    def fusion(self) -> str:
        """ "early", "slow" or "subpixel"."""
        return _fusion(self.parameters)

    @property
    def tail(self) -> list[str]:
        """See `Network.tail`."""
        return ["W_tail", "B_tail"]

    @property
    def bytes_per_pixel(self) -> float:
        """The maps of each neighbour's motion, and a copy of each map where it is fused."""
        return self.frames * super().bytes_per_pixel

    def __repr__(self) -> str:
        depth, width = len(fusing(self.parameters)) + 1, len(self.parameters["B1_1"])
        return (
            f"<VESPCN frames={self.frames}, {self.fusion} fusion, depth={depth}, width={width}, "
            f"{self.dtype}, scale={self.scale}>"
        )

    def _batch(self, x: np.ndarray, name: str) -> np.ndarray:
        """Check frames (N, T, H, W); repeat a picture (N, 1, H, W) T times."""
        x = np.asarray(x)
        if x.ndim == 4 and x.shape[1] not in (1, self.frames):
            raise ValueError(
                f"{name} has the shape {x.shape}, wanted (N, {self.frames}, H, W), frames of "
                f"luminance, or (N, 1, H, W), a picture"
            )
        x = np.repeat(x, self.frames, axis=1) if x.ndim == 4 and x.shape[1] == 1 else x
        return check_batch(x, name, self.frames, self.dtype)

    def _run(self, x: np.ndarray, **options: Any) -> np.ndarray:
        """Repeat the edge, for whole squares of the coarse estimate, and crop the result."""
        out = super()._run(_whole(x), **options)
        height, width = (self.scale * side for side in x.shape[2:])
        return np.ascontiguousarray(out[:, :, :height, :width])

    def maps(self, x: np.ndarray) -> list[np.ndarray]:
        """See `Network.maps`; the edge is repeated, for whole squares of the coarse estimate."""
        return super().maps(_whole(self._batch(x, "x")))

    def _step(
        self, low: np.ndarray, high: np.ndarray, loss: str, done: float
    ) -> tuple[float, Parameters]:
        """share * loss(out, high) + beta * mse(warped, middle) + smooth * smoothness(flow).

        The last two are means over the neighbours; Section 2.4 of the paper. The share is 1, except
        while motion is learned first, when it rises from 0.
        """
        if low.shape[2] % GRID or low.shape[3] % GRID:
            raise ValueError(
                f"low has the shape {low.shape}; in training, height and width of what {self.name} "
                f"takes are multiples of {GRID}"
            )
        share = min(1.0, done / self.motion_first) if self.motion_first else 1.0
        kept: list = []
        ops, p = self.ops, self.parameters
        out = forward(low, p, ops, kept, **self.options)
        middle = np.ascontiguousarray(low[:, self.frames // 2][:, None])
        total, part = share * getattr(ops, loss)(out, high), 1 / (self.frames - 1)
        dmotions = []
        for flow, warped, *_ in kept[0]:
            total += part * self.beta * ops.mse(warped, middle)
            total += part * self.smooth * ops.smoothness(flow)
            dflow, dwarped = ops.smoothness_backward(flow), ops.mse_backward(warped, middle)
            dmotions.append((part * self.smooth * dflow, part * self.beta * dwarped))
        dout = share * getattr(ops, f"{loss}_backward")(out, high)
        _, gradients = backward(dout, kept, p, ops, dmotions, **self.options)
        return total, gradients


def _whole(x: np.ndarray) -> np.ndarray:
    """Return x, its edge repeated below and on the right up to multiples of GRID."""
    more = [(0, 0), (0, 0), *((0, -side % GRID) for side in x.shape[2:])]
    return np.pad(x, more, "edge") if any(map(any, more)) else x


def check_fusion(frames: object, depth: int, fusion: object) -> None:
    """Raise a ValueError unless a network of that depth can fuse that many frames in that way."""
    if isinstance(frames, bool) or frames not in _FRAMES:
        raise ValueError(f"frames is {frames!r:.60}, wanted 3, 5 or 7")
    if fusion not in FUSIONS:
        raise ValueError(f"fusion is {fusion!r:.60}, wanted early, slow or subpixel")
    if fusion == "slow" and depth < frames:
        raise ValueError(
            f"slow fusion of {frames} frames takes {frames - 1} layers and one behind them; depth "
            f"is {depth}, wanted at least {frames}"
        )
