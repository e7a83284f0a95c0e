"""SRCNN: layer sizes in, a network with named parameters out; forward, gradients, load and save.

The computing is done by an *ops module*: `kernels` (compiled, the default) or `reference` (NumPy,
to be read). Both have the same functions; `SRCNN(ops=reference)` runs the other one.
"""

import importlib
import os
from types import ModuleType
from typing import Any

import numpy as np

from .. import kernels
from .._version import __version__
from ..checks import check_batch, check_padding
from ..formats import write_weights

__all__ = ["SRCNN"]


class SRCNN:
    """The network of the paper, f1-f2-f3 with n1 and n2 filters, c channels in and out.

    Parameters
    ----------
    f1, f2, f3 : int
        Filter sizes of the three layers, odd.
    n1, n2 : int
        Numbers of filters of the first two layers; the third has `c`.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    init : "paper", "he" or "identity"
        How the weights start, see `initialise`.
    seed : int
        Of the random numbers that the weights start with.
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
        What the weights are, see `pysrcnn.formats`.

    Raises
    ------
    ValueError
        If a size is not a positive integer, a filter size is even, or c is neither 1 nor 3.
    """

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
        self._build((f1, f2, f3), (n1, n2), c, ops)
        self.initialise(init, seed)

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
        """A stack of any depth: sizes (9, 1, 1, 5) with filters (64, 32, 16) is "9-1-1-5"."""
        network = cls.__new__(cls)
        network._build(tuple(sizes), tuple(filters), c, ops)
        network.initialise(init, seed)
        return network

    @classmethod
    def from_parameters(
        cls, parameters: dict[str, np.ndarray], *, ops: ModuleType = kernels
    ) -> "SRCNN":
        """A network around the arrays W1, B1, W2, B2, ... of `read_weights`."""
        layers = len(parameters) // 2
        weights = [parameters[f"W{k}"] for k in range(1, layers + 1)]
        network = cls.__new__(cls)
        network._build(
            tuple(w.shape[2] for w in weights),
            tuple(w.shape[0] for w in weights[:-1]),
            weights[0].shape[1],
            ops,
        )
        for name, array in parameters.items():
            network.parameters[name] = np.ascontiguousarray(array)
        return network.astype(weights[0].dtype)

    def _build(self, sizes: tuple, filters: tuple, c: int, ops: ModuleType) -> None:
        for value in (*sizes, *filters, c):
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not whole or value < 1:
                raise ValueError(f"layer sizes are positive integers, got {value!r}")
        for f in sizes:
            if f % 2 == 0:
                raise ValueError(f"filter sizes are odd, so that a filter has a centre, got {f}")
        if len(filters) != len(sizes) - 1:
            raise ValueError(
                f"{len(sizes)} layers need {len(sizes) - 1} numbers of filters (the last layer "
                f"has one for each channel), got {len(filters)}"
            )
        if c not in (1, 3):
            raise ValueError(f"c is 1 (luminance) or 3 (RGB), got {c!r}")
        self.sizes, self.filters, self.c, self.ops = sizes, filters, c, ops
        self.scale: int | None = None
        self.card: dict[str, Any] = {}
        channels = (c, *filters, c)
        self.parameters = {}
        for k, f in enumerate(sizes):
            shape = channels[k + 1], channels[k], f, f
            self.parameters[f"W{k + 1}"] = np.zeros(shape, np.float32)
            self.parameters[f"B{k + 1}"] = np.zeros(shape[0], np.float32)

    def initialise(self, how: str, seed: int = 0) -> None:
        """Set all parameters to where training starts; biases to 0.

        Parameters
        ----------
        how : str
            "paper": weights from N(0, 0.001^2), Section 3.3 of the paper.
            "he": from N(0, 2 / (C f f)), which keeps the size of the values through layers with
            ReLU (He et al., 2015).
            "identity": He, but the first filter of each layer (for RGB: the first three) hands the
            picture on unchanged, the other filters of all layers but the last have a mean of zero,
            so that brightness alone does not silence them, and the last layer's other weights are
            a fiftieth of He's: the untrained network returns nearly its input, the bicubic
            picture, and learns the rest.
        seed : int
        """
        rng = np.random.default_rng(seed)
        if how not in ("paper", "he", "identity"):
            raise ValueError(f'init is "paper", "he" or "identity", got {how!r}')
        if how == "identity" and min((self.c, *self.filters)) < self.c:
            raise ValueError(
                f'"identity" needs at least {self.c} filters in each layer, one for each channel, '
                f"got {self.filters}"
            )
        for k, f in enumerate(self.sizes, 1):
            w = self.parameters[f"W{k}"]
            deviation = 0.001 if how == "paper" else np.sqrt(2 / w[0].size)
            w[...] = rng.normal(0, deviation, w.shape)
            self.parameters[f"B{k}"][...] = 0
            if how == "identity":
                if k > 1:
                    w[:, : self.c] = 0  # no other filter reads the picture on its way
                if k == len(self.sizes):
                    w *= 0.02
                else:
                    w[: self.c] = 0
                    others = w[self.c :, self.c if k > 1 else 0 :]
                    if others.size:
                        others -= others.mean(axis=(1, 2, 3), keepdims=True)
                for c in range(self.c):
                    w[c, : self.c] = 0
                    w[c, c, f // 2, f // 2] = 1

    @property
    def name(self) -> str:
        """Filter sizes as the paper writes them: "9-1-5"."""
        return "-".join(map(str, self.sizes))

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64: of the parameters and the results."""
        return self.parameters["W1"].dtype

    @property
    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(weights, biases) of each layer, from the first to the last."""
        numbers = range(1, len(self.sizes) + 1)
        return [(self.parameters[f"W{k}"], self.parameters[f"B{k}"]) for k in numbers]

    @property
    def margin(self) -> int:
        """Pixels that "valid" convolutions take off each side: 6 for 9-1-5."""
        return sum(f // 2 for f in self.sizes)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "ops": self.ops.__name__}  # a module itself cannot be pickled

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, ops=importlib.import_module(state["ops"]))

    def __repr__(self) -> str:
        scale = f", scale={self.scale}" if self.scale else ""
        return f"<SRCNN {self.name}, filters={self.filters}, c={self.c}, {self.dtype}{scale}>"

    def astype(self, dtype: Any) -> "SRCNN":
        """A copy whose parameters and results are of `dtype`, float32 or float64."""
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"networks compute in float32 or float64, not in {dtype}")
        copy = type(self).__new__(type(self))
        copy._build(self.sizes, self.filters, self.c, self.ops)
        copy.scale, copy.card = self.scale, dict(self.card)
        copy.parameters = {n: np.array(p, dtype, order="C") for n, p in self.parameters.items()}
        return copy

    def forward(self, x: np.ndarray, padding: str = "replicate") -> np.ndarray:
        """F(Y) of the paper (Eqs. 1-3), for a batch.

        Parameters
        ----------
        x : float array (N, c, H, W)
            Pictures already enlarged by bicubic interpolation, values in 0..1. Converted to the
            network's dtype.
        padding : "replicate" or "valid"
            "replicate": every layer repeats the edge of its input, as the authors' test code
            does, and the result is as large as `x`. "valid": no padding, `margin` pixels are lost
            on each side, as in training.

        Returns
        -------
        out : array (N, c, H, W) of the network's dtype, not clipped

        Raises
        ------
        TypeError, ValueError
            If `x` is not such an array or too small for "valid".
        """
        x = check_batch(x, "x", self.c, self.dtype)
        check_padding(padding, x, self.name, self.margin)
        return self.ops.forward(x, self.layers, padding)

    def loss_and_gradients(
        self, low: np.ndarray, high: np.ndarray
    ) -> tuple[float, dict[str, np.ndarray]]:
        """Mean squared error over all elements, with valid convolutions, and its gradients.

        Parameters
        ----------
        low : float array (N, c, H, W)
            The network's input, bicubic enlargements.
        high : float array (N, c, H - 2 margin, W - 2 margin)
            What its output should be; or (N, c, H, W), of which the central part is then taken.

        Returns
        -------
        loss : float
        gradients : dict of arrays
            By the names of `parameters`, of the same shapes.
        """
        low = check_batch(low, "low", self.c, self.dtype)
        high = check_batch(high, "high", self.c, self.dtype)
        check_padding("valid", low, self.name, self.margin)
        m = self.margin
        if high.shape == low.shape and m > 0:
            high = np.ascontiguousarray(high[:, :, m:-m, m:-m])
        wanted = (*low.shape[:2], low.shape[2] - 2 * m, low.shape[3] - 2 * m)
        if high.shape != wanted:
            raise ValueError(
                f"high has the shape {high.shape}; for low of {low.shape} a {self.name} network "
                f"gives {wanted}"
            )
        loss, gradients = self.ops.loss_and_gradients(low, high, self.layers)
        named = {}
        for k, (dw, db) in enumerate(gradients, 1):
            named[f"W{k}"], named[f"B{k}"] = dw, db
        return loss, named

    def save(self, path: str | os.PathLike) -> None:
        """Write the parameters and the card to a file, whole or not at all.

        Parameters
        ----------
        path : path
            Ends in .npz, or in .safetensors, .onnx or .mat (see `pysrcnn.formats`).
        """
        card = {
            **self.card,
            "network": self.name,
            "filters": [int(n) for n in self.filters],
            "channels": "luminance" if self.c == 1 else "RGB",
            "scale": self.scale,
            "version": __version__,
        }
        write_weights(path, self.parameters, card)
