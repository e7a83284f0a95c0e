"""SRResNet: Ledig, Theis, Huszár, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang, Shi,
"Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", CVPR 2017.

Residual blocks on the small picture, each of which adds the result of two convolutions to its
input, are followed by sub-pixel shuffles. This is the generator of SRGAN, too. Every convolution
after the first and before the shuffles is followed by batch normalisation, with the statistics of
the batch in training and running statistics in use. In use it only scales and shifts each map, so
it can be folded into the convolution before it: `folded`. EDSR (`edsr`) leaves it out, and here it
is optional: the names of the parameters tell whether it is there.

Axes: N samples, c channels of the picture, F maps, H x W pixels, s scale.
"""

import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from .. import kernels
from ..reference.normalisation import EPSILON
from .network import Network
from .parameters import Parameters, as_arrays, check_shapes, in_float32
from .residual import blocks_of, check_flag, check_sizes, factors, forget, ups
from .scales import LARGEST

__all__ = ["SRResNet", "backward", "folded", "forward"]

MOMENTUM = 0.1  # the share of the running statistics that a batch replaces, as in PyTorch
SLOPE = 0.25  # of PReLU, initially, as in He et al.


def forward(
    x: np.ndarray,
    p: Parameters,
    ops: Any,
    kept: list | None = None,
    *,
    training: bool = False,
    picture: bool = True,
) -> np.ndarray:
    """h_0 = phi(W_head * x), h_k = h_{k-1} + N(W_k2 * phi(N(W_k1 * h_{k-1}))) for K blocks.

    Then h = N(W_body * h_K) + h_0 is enlarged by h = phi(shuffle(W_up * h)), once or several times;
    the picture is W_tail * h. Section 2.1 and Fig. 4 of the paper; phi is PReLU, N batch
    normalisation. Convolutions without it add their biases.

    Parameters
    ----------
    x : array (N, c, H, W)
        Small pictures, values in 0..1.
    p : dict of arrays
        W_head, B_head, and A_head of PReLU; W1_1, B1_1, A1, W1_2, B1_2, W2_1, ... of the blocks;
        W_body, B_body; W_up1, B_up1, A_up1, ... of the enlargement; W_tail, B_tail. Filters are
        9 x 9 at both ends and 3 x 3 between. With batch normalisation, B1_1, ..., B_body are its
        beta, and there are also G1_1 (gamma), M1_1 and V1_1 (running mean and variance), ....
    ops : module of operations
    kept : list, optional
        Filled with what `backward` needs.
    training : bool
        Whether mean and variance are those of the batch.
    picture : bool
        Whether the input, with each pixel repeated s x s times, is added to the output, so that the
        network learns a residual. The paper has no such skip.

    Returns
    -------
    out : array (N, c, s H, s W)
    """
    keep = forget if kept is None else kept.append
    z = ops.conv2d_same(x, p["W_head"], p["B_head"])
    keep(x)
    keep(z)
    h = h0 = ops.prelu(z, p["A_head"])
    for k in blocks_of(p):
        z = _layer(h, f"{k}_1", p, ops, keep, training)
        keep(z)
        h = _layer(ops.prelu(z, p[f"A{k}"]), f"{k}_2", p, ops, keep, training, h)
    h = _layer(h, "_body", p, ops, keep, training, h0)
    for w, b, s in ups(p):
        keep(h)
        z = ops.pixel_shuffle(ops.conv2d_same(h, p[w], p[b]), s)
        keep(z)
        h = ops.prelu(z, p["A" + w[1:]])
    keep(h)
    s = _scale(p)
    added = ops.pixel_shuffle(ops.repeat(ops.leave(x), s * s), s) if picture else None
    return ops.conv2d_same(h, p["W_tail"], p["B_tail"], added)


def backward(
    dout: np.ndarray,
    kept: list,
    p: Parameters,
    ops: Any,
    *,
    training: bool = False,
    picture: bool = True,
) -> tuple[np.ndarray, Parameters]:
    """Return dx and all parameter gradients: the lines of `forward` in reverse order.

    In training, the entries of running statistics are not gradients: see Returns.

    Parameters
    ----------
    dout : array (N, c, s H, s W)
    kept : list that `forward` filled
    p, ops, training, picture : as passed to `forward`

    Returns
    -------
    dx : array (N, c, H, W)
    gradients : dict of arrays, named as in `p`
        In training, running statistics have no part in the result. Their entries, M and V, are
        instead what a step subtracts from them, so that they follow those of the batch.
    """
    maps = reversed(kept)
    g: Parameters = {}
    dh, g["W_tail"], g["B_tail"] = ops.conv2d_same_backward(dout, next(maps), p["W_tail"])
    for w, b, factor in reversed(ups(p)):
        a = "A" + w[1:]
        dz, g[a] = ops.prelu_backward(dh, next(maps), p[a])
        dz = ops.pixel_shuffle_backward(dz, factor)
        dh, g[w], g[b] = ops.conv2d_same_backward(dz, next(maps), p[w])
    dh0 = dh
    dh = _layer_backward(dh, "_body", p, ops, maps, training, g)
    for k in reversed(blocks_of(p)):
        da = _layer_backward(dh, f"{k}_2", p, ops, maps, training, g)
        dz, g[f"A{k}"] = ops.prelu_backward(da, next(maps), p[f"A{k}"])
        dh = dh + _layer_backward(dz, f"{k}_1", p, ops, maps, training, g)  # around and through
    dz, g["A_head"] = ops.prelu_backward(dh + dh0, next(maps), p["A_head"])
    dx, g["W_head"], g["B_head"] = ops.conv2d_same_backward(dz, next(maps), p["W_head"])
    if picture:
        s = _scale(p)
        dskip = ops.repeat_backward(ops.pixel_shuffle_backward(ops.leave(dout), s), s * s)
        dx = dx + ops.enter(dskip)
    return dx, g


def _layer(
    x: np.ndarray,
    layer: str,
    p: Parameters,
    ops: Any,
    keep: Callable[[Any], None],
    training: bool,
    summand: np.ndarray | None = None,
) -> np.ndarray:
    """W * x + B, or N(W * x) with beta = B; plus `summand`, such as a skip."""
    w, b = p[f"W{layer}"], p[f"B{layer}"]
    keep(x)
    if f"G{layer}" not in p:
        return ops.conv2d_same(x, w, b, summand)
    z = ops.conv2d_same(x, w, 0 * b)
    mean, variance = ops.moments(z) if training else (p[f"M{layer}"], p[f"V{layer}"])
    keep((z, mean, variance))
    out = ops.batch_norm(z, p[f"G{layer}"], b, mean, variance)
    return out if summand is None else out + summand


def _layer_backward(
    dout: np.ndarray,
    layer: str,
    p: Parameters,
    ops: Any,
    maps: Iterator[Any],
    training: bool,
    g: Parameters,
) -> np.ndarray:
    """Return dx and put the layer's gradients into g; the gradient of the summand is `dout` itself.

    In training, the entries of running statistics in g are what a step subtracts: see `backward`.
    """
    weights, bias, gamma, running, spread = (f"{kind}{layer}" for kind in "WBGMV")
    if gamma not in p:
        dx, g[weights], g[bias] = ops.conv2d_same_backward(dout, next(maps), p[weights])
        return dx
    z, mean, variance = next(maps)
    found = ops.batch_norm_backward(dout, z, p[gamma], mean, variance)
    dz, g[gamma], g[bias], g[running], g[spread] = found
    if training:
        dz = dz + ops.moments_backward(g[running], g[spread], z, mean)
        m = z.shape[0] * z.shape[2] * z.shape[3]
        of_all = variance * (m / max(m - 1, 1))  # the unbiased estimate
        # These two are not gradients but what a step subtracts from the running statistics.
        g[running] = MOMENTUM * (p[running] - mean)
        g[spread] = (MOMENTUM * (p[spread] - of_all)).astype(p[spread].dtype)
    dx, g[weights], _ = ops.conv2d_same_backward(dz, next(maps), p[weights])
    return dx


def folded(p: Parameters) -> Parameters:
    """Fold batch normalisation into the convolutions, for the network in use.

    W = gamma W / sqrt(variance + epsilon), B = beta - gamma mean / sqrt(variance + epsilon): with
    these, `forward` gives the same result up to rounding.

    Parameters
    ----------
    p : dict of arrays, see `forward`

    Returns
    -------
    parameters : dict of arrays, without G, M and V
    """
    found: Parameters = {}
    for name, array in p.items():
        kind, layer = name[0], name[1:]
        if f"G{layer}" not in p:
            found[name] = array
        elif kind in "WB":
            gamma, mean, variance = (p[n + layer].astype(np.float64) for n in "GMV")
            factor = gamma / np.sqrt(variance + EPSILON)
            new = array * factor[:, None, None, None] if kind == "W" else array - factor * mean
            found[name] = new.astype(array.dtype)
    return found


def _scale(p: Parameters) -> int:
    """The factor of enlargement."""
    return math.prod(s for _, _, s in ups(p))


def _shapes(
    scale: int, blocks: int, width: int, c: int, batch_norm: bool
) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters, with a slope per channel, in the order of `forward`."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(layer: str, i: int, o: int, f: int = 3, normalised: bool = False) -> None:
        shapes[f"W{layer}"] = o, i, f, f
        shapes.update({f"{kind}{layer}": (o,) for kind in ("BGMV" if normalised else "B")})

    add("_head", c, width, 9)
    shapes["A_head"] = (width,)
    for k in range(1, blocks + 1):
        add(f"{k}_1", width, width, normalised=batch_norm)
        shapes[f"A{k}"] = (width,)
        add(f"{k}_2", width, width, normalised=batch_norm)
    add("_body", width, width, normalised=batch_norm)
    for k, s in enumerate(factors(scale), 1):
        add(f"_up{k}", width, width * s * s)
        shapes[f"A_up{k}"] = (width,)
    add("_tail", width, c, 9)
    return shapes


class SRResNet(Network):
    """The network of the paper, of any width and number of blocks.

    Parameters
    ----------
    scale : int
        s, the factor of enlargement: 2, 3, 4, 8 or 16. The paper: 4.
    blocks : int
        Residual blocks. The paper: 16.
    width : int
        F, the number of maps. The paper: 64.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    batch_norm : bool
        Whether to use batch normalisation.
    picture
        See `forward`.
    seed : int
        Weights are drawn from N(0, 2 / (C f f)), as in He et al. (2015); what blocks add starts at
        a tenth of that, and the last layer at a fiftieth. Slopes start at 0.25.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """

    name, small, default_recipe = "srresnet", True, "srresnet"
    saved_options: ClassVar = ("picture",)
    training_options: ClassVar = {"training": True}
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(
        self,
        scale: int = 4,
        blocks: int = 16,
        width: int = 64,
        c: int = 1,
        *,
        batch_norm: bool = True,
        picture: bool = True,
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        check_sizes(scale, blocks, width, c, seed)
        check_flag("batch_norm", batch_norm)
        rng, p = np.random.default_rng(seed), {}
        starts = {"B": 0.0, "M": 0.0, "G": 1.0, "V": 1.0, "A": SLOPE}
        for name, shape in _shapes(int(scale), blocks, width, c, batch_norm).items():
            if name[0] == "W":
                p[name] = rng.normal(0, np.sqrt(2 / math.prod(shape[1:])), shape)
            else:
                p[name] = np.full(shape, starts[name[0]])
        for k in range(1, blocks + 1):
            p[f"G{k}_2" if batch_norm else f"W{k}_2"] *= 0.1
        p["W_tail"] *= 0.02
        self._set(in_float32(p), ops, picture)

    @classmethod
    def from_parameters(
        cls, parameters: Parameters, *, ops: ModuleType = kernels, picture: bool = True
    ) -> "SRResNet":
        """Build a network from copies of arrays, named as in `forward`.

        A slope may be shared by all channels, (1,).

        Raises
        ------
        ValueError
            If the arrays do not make such a network, or hold negative variances.
        """
        parameters = as_arrays(parameters)
        head = parameters.get("W_head", np.empty((0, 0)))
        (width, c), scale = head.shape[:2], _scale(parameters)
        wanted: dict[str, tuple[int, ...]] = {}
        if c in (1, 3) and 2 <= scale <= LARGEST:
            batch_norm = any(name.startswith("G") for name in parameters)
            wanted = _shapes(scale, len(blocks_of(parameters)), width, c, batch_norm)
        for name in wanted:
            if name[0] == "A" and name in parameters and parameters[name].shape == (1,):
                wanted[name] = (1,)
        check_shapes(parameters, wanted)
        for name, array in parameters.items():
            if name[0] == "V" and array.min() < 0:
                raise ValueError(f"{name} holds negative variances, down to {array.min():.3g}")
        network = cls.__new__(cls)
        network._set({name: parameters[name] for name in wanted}, ops, picture)
        return network.astype(head.dtype)

    def _set(self, parameters: Parameters, ops: ModuleType, picture: bool) -> None:
        check_flag("picture", picture)
        self.parameters, self.ops, self.card = parameters, ops, {}
        self.c, self.scale = parameters["W_head"].shape[1], _scale(parameters)
        self.options = {"picture": picture}

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "SRResNet":
        """Build the untrained network that a `training.Recipe` describes."""
        if scale is None:
            raise ValueError("an SRResNet is for one scale: say which, 2, 3, 4, 8 or 16")
        more = {"batch_norm": recipe.batch_norm, "seed": recipe.seed}
        return cls(scale, recipe.depth, recipe.width, recipe.c, **more)

    @property
    def blocks(self) -> int:
        """The number of residual blocks."""
        return len(blocks_of(self.parameters))

    @property
    def statistics(self) -> list[str]:
        """Names of the running means and variances."""
        return [name for name in self.parameters if name[0] in "MV"]

    @property
    def bytes_per_pixel(self) -> float:
        """Five copies of the maps around the last shuffle, as arrays and in the kernels' form."""
        return 5 * super().bytes_per_pixel

    def folded(self) -> "SRResNet":
        """Return the network in use, without batch normalisation: see `srresnet.folded`."""
        network = self.astype(self.dtype)
        network.parameters = folded(network.parameters)
        return network

    def _run(self, x: np.ndarray, **options: Any) -> np.ndarray:
        """Run plain convolutions, with batch normalisation folded into their weights."""
        ops = self.ops
        return ops.leave(forward(ops.enter(x), folded(self.parameters), ops, None, **options))

    def __repr__(self) -> str:
        width, batch_norm = len(self.parameters["B_head"]), bool(self.statistics)
        return (
            f"<SRResNet blocks={self.blocks}, width={width}, c={self.c}, batch_norm={batch_norm}, "
            f"{self.dtype}, scale={self.scale}>"
        )
