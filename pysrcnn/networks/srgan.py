"""SRGAN's discriminator: Ledig, Theis, Huszár, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz,
Wang, Shi, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
CVPR 2017.

The generator is an `SRResNet`. A second network, the discriminator, looks at real pictures and at
generated ones, and says how likely each is to be real. The two are trained in turns: the
discriminator to tell them apart, the generator to make that impossible.

The discriminator is used in training alone, so its batch normalisation always uses the statistics
of the batch, and it keeps no running statistics.

Axes: N samples, c channels of the picture, F maps, S x S pixels of a picture.
"""

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .. import kernels
from ..checks import check_batch, check_whole
from .parameters import (
    Parameters,
    Parametric,
    as_arrays,
    check_channels,
    check_shapes,
    in_float32,
)
from .residual import forget

__all__ = ["Discriminator", "Judged", "backward", "forward"]

SLOPE = 0.2  # of LeakyReLU
LAYERS = 8  # convolutions
GREY = 0.5


def forward(x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None) -> np.ndarray:
    """h_0 = 2 x - 1, h_1 = phi(W_1 * h_0 + B_1), h_k = phi(N(W_k * h_{k-1})) for k = 2, ..., 8.

    Then w_out phi(w_dense h_8 + b_dense) + b_out. Section 2.1.1 and Fig. 4 of the paper; phi is
    LeakyReLU, N batch normalisation with the statistics of this batch. Every second convolution
    has a stride of 2, so that h_8 has a sixteenth of the rows and columns.

    Parameters
    ----------
    x : array (N, c, S, S)
        Pictures, values in 0..1.
    p : dict of arrays
        W1, B1; W2, G2, B2 (gamma and beta of the batch normalisation), ..., W8, G8, B8, with
        filters 3 x 3; W_dense, B_dense, W_out, B_out, see `reference.dense`.
    ops : module of operations
    kept : list, optional
        Filled with what `backward` needs.

    Returns
    -------
    logits : array (N, 1, 1, 1)
        Above 0 for pictures more likely real than generated: sigmoid(logit) is the probability.
    """
    keep = forget if kept is None else kept.append
    h = 2 * (x - _grey(p))
    for k in _layers(p):
        keep(h)
        z = _convolved(h, k, p, ops)
        if f"G{k}" in p:
            keep(z)
            mean, variance = ops.moments(z)
            keep((mean, variance))
            z = ops.batch_norm(z, p[f"G{k}"], p[f"B{k}"], mean, variance)
        keep(z)
        h = ops.leaky_relu(z, SLOPE)
    keep(h)
    z = ops.dense(h, p["W_dense"], p["B_dense"])
    keep(z)
    h = ops.leaky_relu(z, SLOPE)
    keep(h)
    return ops.dense(h, p["W_out"], p["B_out"])


def backward(
    dlogits: np.ndarray, kept: list, p: Parameters, ops: Any
) -> tuple[np.ndarray, Parameters]:
    """Return dx and all parameter gradients: the lines of `forward` in reverse order.

    Parameters
    ----------
    dlogits : array (N, 1, 1, 1)
    kept : list that `forward` filled
    p, ops : as passed to `forward`

    Returns
    -------
    dx : array (N, c, S, S)
    gradients : dict of arrays, named as in `p`
    """
    maps = reversed(kept)
    g: Parameters = {}
    dh, g["W_out"], g["B_out"] = ops.dense_backward(dlogits, next(maps), p["W_out"])
    dz = ops.leaky_relu_backward(dh, next(maps), SLOPE)
    dh, g["W_dense"], g["B_dense"] = ops.dense_backward(dz, next(maps), p["W_dense"])
    for k in reversed(_layers(p)):
        w, b, gamma = f"W{k}", f"B{k}", f"G{k}"
        dz = ops.leaky_relu_backward(dh, next(maps), SLOPE)
        if gamma not in p:
            dh, g[w], g[b] = _convolved_backward(dz, next(maps), k, p, ops)
            continue
        (mean, variance), z = next(maps), next(maps)
        dz, g[gamma], g[b], *more = ops.batch_norm_backward(dz, z, p[gamma], mean, variance)
        dz = dz + ops.moments_backward(*more, z, mean)
        dh, g[w], _ = _convolved_backward(dz, next(maps), k, p, ops)
    return 2 * dh, {name: g[name] for name in p}


def _layers(p: Parameters) -> range:
    """The numbers of the convolutions, from 1."""
    return range(1, 1 + sum(name[0] == "W" and name[1:].isdigit() for name in p))


def _stride(k: int) -> int:
    return 2 if k % 2 == 0 else 1


def _grey(p: Parameters) -> np.ndarray:
    """Mid-grey in each channel, (c, 1, 1)."""
    w = p["W1"]
    return np.full((w.shape[1], 1, 1), GREY, w.dtype)


def _convolved(x: np.ndarray, k: int, p: Parameters, ops: Any) -> np.ndarray:
    """W * x, plus the bias unless batch normalisation follows, which would remove it again."""
    w, b = p[f"W{k}"], p[f"B{k}"]
    if f"G{k}" in p:
        b = 0 * b
    return ops.conv2d_same(x, w, b) if _stride(k) == 1 else ops.conv2d_strided(x, w, b, _stride(k))


def _convolved_backward(
    dout: np.ndarray, x: np.ndarray, k: int, p: Parameters, ops: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if _stride(k) == 1:
        return ops.conv2d_same_backward(dout, x, p[f"W{k}"])
    return ops.conv2d_strided_backward(dout, x, p[f"W{k}"], _stride(k))


def _shapes(size: int, width: int, c: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters, in the order of `forward`."""
    shapes: dict[str, tuple[int, ...]] = {}
    i, side = c, size
    for k in range(1, LAYERS + 1):
        o = width << (k - 1) // 2
        shapes[f"W{k}"] = o, i, 3, 3
        if k > 1:
            shapes[f"G{k}"] = (o,)
        shapes[f"B{k}"] = (o,)
        i, side = o, -(-side // _stride(k))
    many = 16 * width
    shapes |= {"W_dense": (many, i, side, side), "B_dense": (many,)}
    return shapes | {"W_out": (1, many, 1, 1), "B_out": (1,)}


class Judged(NamedTuple):
    """The discriminator's loss and gradients, and how real it judges real and generated pictures.

    loss: of the discriminator; gradients: of its parameters; real, made: the mean probability,
    0..1, that it gives real and generated pictures of being real. At 0.5 each it cannot tell them
    apart; at 1 and 0 it always can.
    """

    loss: float
    gradients: Parameters
    real: float
    made: float


class Discriminator(Parametric):
    """The discriminator of the paper, of any width and for pictures of any size.

    Convolutions of F, F, 2 F, 2 F, 4 F, 4 F, 8 F, 8 F filters 3 x 3, and two dense layers, with
    16 F outputs and with one.

    Parameters
    ----------
    size : int
        S, rows and columns of the pictures. The paper: 96. The maps before the dense layers have S
        / 16, rounded up, so pictures of another size need another dense layer. It has 128 F^2 times
        that number squared weights, most of the network's unless S is small.
    width : int
        F, the number of maps. The paper: 64.
    c : int
        Channels of the pictures: 1 (luminance) or 3 (RGB).
    seed : int
        Weights are drawn from N(0, 2 / (C f f)), as in He et al. (2015); biases start at 0, gamma
        at 1.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.

    Attributes
    ----------
    parameters : dict of arrays
        Named as in `forward`. May be filled in place, as from a checkpoint.

    Raises
    ------
    ValueError
        If size, width or seed is not a whole number or is too small, or c is neither 1 nor 3.
    """

    parameters: Parameters
    ops: ModuleType

    def __init__(
        self,
        size: int = 96,
        width: int = 64,
        c: int = 3,
        *,
        seed: int = 0,
        ops: ModuleType = kernels,
    ):
        for name, value, least in (("size", size, 1), ("width", width, 1), ("seed", seed, 0)):
            check_whole(name, value, least)
        check_channels(c)
        rng, p = np.random.default_rng(seed), {}
        for name, shape in _shapes(size, width, c).items():
            if name[0] == "W":
                p[name] = rng.normal(0, np.sqrt(2 / math.prod(shape[1:])), shape)
            else:
                p[name] = np.full(shape, float(name[0] == "G"))
        self.parameters, self.size, self.ops = in_float32(p), size, ops

    @classmethod
    def from_parameters(
        cls, parameters: Parameters, size: int, *, ops: ModuleType = kernels
    ) -> "Discriminator":
        """Build one from copies of arrays, named as in `forward`, for pictures of this size.

        Raises
        ------
        TypeError, ValueError
            If the arrays do not make such a network, or are not finite.
        """
        check_whole("size", size, 1)
        parameters = as_arrays(parameters)
        first = parameters.get("W1", np.empty((0, 0)))
        width, c = first.shape[:2]
        wanted = _shapes(size, width, c) if c in (1, 3) else {}
        check_shapes(parameters, wanted)
        found = cls.__new__(cls)
        found.parameters = {name: np.array(parameters[name], first.dtype) for name in wanted}
        found.size, found.ops = size, ops
        return found

    @property
    def c(self) -> int:
        """Channels of the pictures."""
        return self.parameters["W1"].shape[1]

    @property
    def weights(self) -> list[str]:
        """Names of the parameters that are weights, from the first layer to the last."""
        return [name for name in self.parameters if name[0] == "W"]

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the probability that each picture is real; it depends on the whole batch.

        Parameters
        ----------
        x : float array (N, c, S, S), values in 0..1

        Returns
        -------
        p : array (N,), in 0..1

        Raises
        ------
        TypeError, ValueError
            If `x` is not such an array.
        """
        return self.ops.sigmoid(self._logits(x, None))[:, 0, 0, 0]

    def loss_and_gradients(self, real: np.ndarray, made: np.ndarray) -> Judged:
        """Return the loss -log D(real) - log(1 - D(made)), batch means, and its gradients.

        What the discriminator minimises in Eq. 2. The two batches are normalised separately.

        Parameters
        ----------
        real, made : float arrays (N, c, S, S), values in 0..1

        Returns
        -------
        judged : Judged

        Raises
        ------
        TypeError, ValueError
            If they are not such arrays.
        """
        of_real, of_made = (self._step(x, label) for x, label in ((real, 1), (made, 0)))
        gradients = {name: g + of_made[2][name] for name, g in of_real[2].items()}
        return Judged(of_real[0] + of_made[0], gradients, of_real[3], of_made[3])

    def adversarial(self, made: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Return the loss -log D(made) of Eq. 6, a mean over the batch, and its gradient dmade.

        Parameters
        ----------
        made : float array (N, c, S, S)
            Generated pictures; values need not be in 0..1.

        Returns
        -------
        loss : float
        dmade : array (N, c, S, S)
        believed : float
            The mean probability that they are real.

        Raises
        ------
        TypeError, ValueError
            If it is not such an array.
        """
        loss, dmade, _, believed = self._step(made, 1)
        return loss, dmade, believed

    def _step(self, x: np.ndarray, label: float) -> tuple[float, np.ndarray, Parameters, float]:
        """Return loss, dx, parameter gradients, mean probability; label is 1 to call x real."""
        ops, kept = self.ops, list[Any]()
        logits = self._logits(x, kept)
        labels = np.full_like(logits, label)
        dlogits = ops.enter(ops.sigmoid_cross_entropy_backward(logits, labels))
        dx, gradients = backward(dlogits, kept, self.parameters, ops)
        loss = ops.sigmoid_cross_entropy(logits, labels)
        return loss, ops.leave(dx), gradients, float(ops.sigmoid(logits).mean())

    def _logits(self, x: np.ndarray, kept: list | None) -> np.ndarray:
        x = check_batch(x, "x", self.c, self.dtype)
        if x.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"x has the shape {x.shape}, wanted (N, {self.c}, {self.size}, {self.size}): the "
                f"dense layer is for pictures of that size"
            )
        ops = self.ops
        return ops.leave(forward(ops.enter(x), self.parameters, ops, kept))

    def __repr__(self) -> str:
        width = len(self.parameters["B1"])
        return f"<Discriminator size={self.size}, width={width}, c={self.c}, {self.dtype}>"
