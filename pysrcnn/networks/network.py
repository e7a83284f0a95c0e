"""What all networks have in common: parameters by name, an ops module, a card, files.

A network is one more operation, like those it is made of: its file has `forward` and `backward`,
written out side by side in terms of an *ops module*, and a class that gives its name and describes
its input. Besides maps and options, both functions take three things only: `p`, the parameters by
name; `ops`, a module of operations; and `kept`, a list that `forward` fills for `backward` (None if
no gradients are needed). So the same lines are easy to follow with `reference`, fast with
`kernels`, and give the receptive field with `reach.Reach`.

Axes: N samples, c channels of the picture, H x W pixels, s the scale.
"""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np

from .._version import __version__
from ..checks import check_batch, check_padding, is_real
from ..resize import imresize
from ..turns import TURNS, turned, turned_back
from .composed import Composed
from .parameters import Parameters, Parametric, not_finite
from .reach import Layers, Seen, seen
from .saving import save
from .scales import own_scale

__all__ = ["LOSSES", "Network"]

START = "start."  # prefix of the names of `Network.start` in files
LOSSES = ("mse", "l1", "charbonnier")  # names of operations, each with a backward


class Network(Parametric):
    """Base class of all networks: parameters, options, and what is done with them.

    Attributes
    ----------
    name : str
        Such as "espcn"; of an SRCNN, its filter sizes, "9-1-5".
    small : bool
        Whether it takes the small picture and enlarges it itself, rather than a bicubic
        enlargement.
    frames : int
        Number of frames of a video that it takes to enlarge the middle one: `forward` takes their
        channels one after the other, in the order of time. If above 1, they are small pictures.
    parameters : dict of arrays
        Named as in the paper, from the first layer to the last. May be filled in place.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    scale : int or None
        The factor of enlargement that the parameters are for.
    scales : tuple of int
        All of them, if there are several: (2, 3, 4) for one VDSR.
    card : dict
        Description of the weights, see `pysrcnn.formats`.
    options : dict
        Options of `forward`, such as the padding.
    training_options : dict
        Options that differ in training: a chain of layers then has no padding.
    default_recipe : str
        The recipe that trains it by default, see `training.RECIPES`.
    ensemble : bool
        Whether `forward` returns the mean of eight results: `x` is turned and mirrored in all ways,
        and each result is turned back. It takes eight times as long, and some errors cancel out
        ("geometric self-ensemble", Lim et al., "Enhanced Deep Residual Networks ...", 2017, Section
        3.4).
    start : dict of arrays or None
        If it was trained against a discriminator, the parameters it started from, see
        `at_sharpness`.
    ops : module
        `pysrcnn.kernels` or `pysrcnn.reference`.
    """

    ensemble: bool = False
    frames: int = 1
    start: Parameters | None = None
    small: ClassVar[bool] = False
    training_options: ClassVar[dict[str, Any]] = {}
    default_recipe: ClassVar[str] = "modern"
    scales: tuple[int, ...] = ()
    # The values that options of `forward` may have, by name; the default first.
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}
    # Options that a card holds, since the shapes of the parameters do not tell them.
    saved_options: ClassVar[tuple[str, ...]] = ()
    # Set by each kind of network to the two functions in its file.
    _forward: ClassVar[Callable]
    _backward: ClassVar[Callable]

    name: str
    parameters: Parameters
    c: int
    scale: int | None
    card: dict[str, Any]
    options: dict[str, Any]
    ops: ModuleType

    # ----------------------------------------------------------------------------------- what it is

    @property
    def layers(self) -> Layers:
        """(weights, biases) of each convolution, in the order of `forward`."""
        return self.seen.layers

    @property
    def weights(self) -> list[str]:
        """Names of the parameters that are filters, from the first layer to the last.

        Recipes treat the first and the last differently from the others, see `training.Recipe`.
        """
        return [name for name, p in self.parameters.items() if p.ndim > 1]

    @property
    def tail(self) -> list[str]:
        """Names of the parameters that have another shape, or are missing, at another scale."""
        return []

    @property
    def statistics(self) -> list[str]:
        """Names of the parameters that are not learned: running statistics of the layers' outputs.

        For these, `loss_and_gradients` returns what a step subtracts from them.
        """
        return []

    @property
    def _for_scales(self) -> str:
        """The scales in the repr: ", scale=3", ", scales=(2, 3, 4)", or nothing."""
        if self.scales:
            return f", scales={self.scales}"
        return f", scale={self.scale}" if self.scale else ""

    @property
    def seen(self) -> Seen:
        """The receptive field, and the cost of a pixel of the result: see `reach`."""
        return seen(self._forward, self.parameters, self.c * self.frames, **self.options)

    @property
    def margin(self) -> int:
        """Pixels of the input on each side that a pixel of the result depends on: 6 for 9-1-5."""
        return self.seen.margin

    @property
    def training_margin(self) -> int:
        """Pixels of the input that are lost on each side in training: 0 if the layers pad."""
        return self.margin if self._is_cut else 0

    @property
    def _is_cut(self) -> bool:
        """Whether layers do not pad in training."""
        return self.in_training.get("padding") == "valid"

    @property
    def in_training(self) -> dict[str, Any]:
        """The options of `forward` in training."""
        return {**self.options, **self.training_options}

    @property
    def bytes_per_pixel(self) -> float:
        """Memory that `forward` needs for a pixel of its result, in float32."""
        return 4 * self.seen.values

    def astype(self, dtype: Any) -> Self:
        """Return a copy whose parameters and results are of `dtype`, float32 or float64."""
        copy = super().astype(dtype)
        copy.card, copy.options = dict(self.card), dict(self.options)
        if self.start is not None:
            copy.start = {n: np.array(p, dtype, order="C") for n, p in self.start.items()}
        return copy

    # --------------------------------------------------------------------------------------- in use

    def check_finite(self) -> None:
        """Raise a ValueError if a parameter is not finite, since pictures would only be black."""
        if name := not_finite(self.parameters):
            raise ValueError(
                f"{name} of {self!r} holds values that are not finite (NaN or infinite), so it "
                f"makes no picture: load the network again, or train it at a lower learning rate"
            )

    def forward(self, x: np.ndarray, padding: str | None = None) -> np.ndarray:
        """Apply the network to a batch of pictures.

        Parameters
        ----------
        x : float array (N, c, H, W), or (N, frames c, H, W) for video networks
            Small pictures if the network takes them (`small`), otherwise bicubic enlargements;
            values in 0..1. Converted to the network's dtype.
        padding : "replicate", "zeros" or "valid", optional
            "replicate": every layer repeats the edge of its input. "zeros": it sees zeros beyond
            the edge. The result is as large as `x`, or `scale` times as large. "valid": nothing is
            padded, and `margin` pixels of `x` are lost on each side, as in training. The default is
            the network's own padding; some networks have no other.

        Returns
        -------
        out : array (N, c, H, W) or (N, c, s H, s W) of the network's dtype, not clipped

        Raises
        ------
        TypeError, ValueError
            If `x` is not such an array or too small for "valid", or padding cannot be chosen.
        """
        x = self._batch(x, "x")
        options = self.options if padding is None else {**self.options, "padding": padding}
        if options.keys() != self.options.keys():
            raise ValueError(f"{self.name} always pads the same way: leave padding out")
        if "padding" in options:
            check_padding(options["padding"], x, self.name, self.margin)
        if not self.ensemble:
            return self._run(x, **options)
        results = (
            turned_back(self._run(np.ascontiguousarray(turned(x, turn)), **options), turn)
            for turn in range(TURNS)
        )
        return sum(results) / self.dtype.type(TURNS)

    def _batch(self, x: np.ndarray, name: str) -> np.ndarray:
        """Return a batch for `_forward`, in the network's dtype; raise unless it is one."""
        return check_batch(x, name, self.frames * self.c, self.dtype)

    def _run(self, x: np.ndarray, **options: Any) -> np.ndarray:
        """Run `_forward`, or something faster that gives the same."""
        ops = self.ops
        return ops.leave(self._forward(ops.enter(x), self.parameters, ops, None, **options))

    def folded(self) -> Self:
        """Return the network in use, with all that is fixed there folded into its convolutions."""
        return self

    def maps(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the input of each convolution when the network makes a picture: `x`, then maps.

        Parameters
        ----------
        x : float array (N, c, H, W), as for `forward`

        Returns
        -------
        maps : list of arrays (N, C, H, W)
        """
        x = self._batch(x, "x")
        ops = _Recording(self.ops)
        self._forward(x, self.parameters, ops, None, **self.options)
        return ops.maps

    def enlarge(self, small: np.ndarray, scale: int | None = None) -> np.ndarray:
        """Enlarge a picture, by bicubic interpolation first if the network needs that.

        Parameters
        ----------
        small : float array (c, H, W), values in 0..1
        scale : int, optional
            Needed if the network does not state the scale it was trained for.

        Returns
        -------
        out : array (c, s H, s W) of the network's dtype, not clipped

        Raises
        ------
        TypeError, ValueError
            If `small` is not such an array, or the scale is not the network's.
        """
        scale = own_scale(self, scale)
        small = np.asarray(small)
        if small.ndim != 3:
            raise ValueError(f"small has the shape {small.shape}, wanted ({self.c}, H, W)")
        x = check_batch(small[None], "small", self.c, np.dtype(np.float64))[0]
        if not self.small:
            x = np.stack([imresize(plane, scale=scale) for plane in x])
        return self.forward(x[None])[0]

    def at_sharpness(self, sharpness: float) -> Self:
        """Interpolate between this network and the one that its adversarial training started from.

        All parameters, running statistics included, are (1 - a) times those of that network plus a
        times those of this one ("network interpolation", Wang et al., "ESRGAN", ECCVW 2018, Section
        3.4).

        Parameters
        ----------
        sharpness : float
            a: 0 for the network it started from, whose error is smallest; 1 for this one, whose
            pictures look sharper and are in part invented.

        Returns
        -------
        network : Network
            Without `start`.

        Raises
        ------
        ValueError
            If it was not trained against a discriminator, or the sharpness is not in 0..1.
        """
        if self.start is None:
            raise ValueError(
                f"{self.name} has no sharpness to choose: it was not trained against a "
                f"discriminator, or is a file for one sharpness. Leave sharpness out, or take "
                f"weights of the recipe srgan"
            )
        if not is_real(sharpness) or not 0 <= sharpness <= 1:
            raise ValueError(f"sharpness is {sharpness!r:.60}, wanted a number, 0 to 1")
        network, a = self.astype(self.dtype), float(sharpness)
        network.start = None
        network.card["sharpness"] = a
        if a < 1:
            network.card.pop("scores", None)  # those of this network
        for name, p in network.parameters.items():
            if a == 0:  # exact to the bit, as a sum need not be
                p[...] = self.start[name]
            elif a < 1:
                p[...] = (1 - a) * self.start[name] + a * p
        return network

    # ---------------------------------------------------------------------------------- in training

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "Network":
        """Build the untrained network of a `training.Recipe`; raise a TypeError if it has none."""
        raise TypeError(f"{cls.__name__} is not trained by a recipe")

    def loss_and_gradients(
        self, low: np.ndarray, high: np.ndarray, loss: str = "mse", done: float = 0.0
    ) -> tuple[float, Parameters]:
        """Return the mean of a loss over all elements, as in training, and its gradients.

        Parameters
        ----------
        low : float array (N, c, H, W)
            The network's input, see `forward`.
        high : float array
            The target: as large as ``forward(low)``. A network that does not pad in training takes
            its central part, as large as ``forward(low, "valid")``, or may be given only that.
        loss : "mse", "l1" or "charbonnier"
            The name of an operation, by default the mean squared error.
        done : float
            The part of the training that is done, 0..1; the losses of DRCN and VESPCN depend on it.

        Returns
        -------
        loss : float
        gradients : dict of arrays
            With the names and shapes of `parameters`; see `statistics`.

        Raises
        ------
        TypeError, ValueError
            If the arrays have other dtypes or shapes, or the loss is unknown.
        """
        low = self._batch(low, "low")
        high = check_batch(high, "high", self.c, self.dtype)
        seen = self.seen
        margin, s = seen.margin if self._is_cut else 0, seen.resolution
        if margin:
            check_padding("valid", low, self.name, margin)
        whole, cut = (tuple(s * (n - m) for n in low.shape[2:]) for m in (0, 2 * margin))
        if high.shape == (len(low), self.c, *whole) and margin > 0:
            m = s * margin
            high = np.ascontiguousarray(high[:, :, m:-m, m:-m])
        wanted = (len(low), self.c, *cut)
        if high.shape != wanted:
            raise ValueError(
                f"high has the shape {high.shape}; for low of {low.shape}, {self.name} gives "
                f"{wanted}"
            )
        if loss not in LOSSES:
            raise ValueError(f"loss is one of {', '.join(LOSSES)}, got {loss!r:.60}")
        return self._step(low, high, loss, done)

    def _step(
        self, low: np.ndarray, high: np.ndarray, loss: str, done: float
    ) -> tuple[float, Parameters]:
        """Return loss and gradients, by `_forward` and `_backward` or something faster."""
        of, gradient_of = getattr(self.ops, loss), getattr(self.ops, f"{loss}_backward")
        return self.gradients_by(lambda out: (of(out, high), gradient_of(out, high)), low)

    def gradients_by(
        self, judge: Callable[[np.ndarray], tuple[float, np.ndarray]], low: np.ndarray
    ) -> tuple[float, Parameters]:
        """Return any loss of the output in training, and the gradients of the parameters.

        Parameters
        ----------
        judge : function
            Takes the output (N, c, H', W') and returns the loss and its gradient with respect to
            that.
        low : float array (N, c, H, W)
            The network's input, see `forward`.

        Returns
        -------
        loss : float
        gradients : dict of arrays
            As from `loss_and_gradients`.

        Raises
        ------
        TypeError, ValueError
            If `low` is not such an array.
        """
        low = self._batch(low, "low")
        kept: list = []
        ops, p, options = self.ops, self.parameters, self.in_training
        out = ops.leave(self._forward(ops.enter(low), p, ops, kept, **options))
        loss, dout = judge(out)
        _, gradients = self._backward(ops.enter(dout), kept, p, ops, **options)
        return loss, gradients

    # ------------------------------------------------------------------------------------- in files

    def _tensors(self, path: Path) -> Parameters:
        """The parameters in the form for this suffix; raise a ValueError if there is none."""
        if path.suffix.lower() == ".mat":
            raise ValueError(
                f"{path} would hold an SRCNN, as its authors write it, and this is {self.name}: "
                f"write it as .npz"
            )
        start = {} if self.start is None else self.start
        return self.parameters | {f"{START}{name}": p for name, p in start.items()}

    def _described(self) -> dict[str, Any]:
        """The entries of a card that describe this kind of network."""
        return {"network": self.name} | {name: self.options[name] for name in self.saved_options}

    def save(self, path: str | os.PathLike, half: bool = False) -> None:
        """Write the parameters and the card to a file, completely or not at all.

        Parameters
        ----------
        path : path
            Ends in .npz, .safetensors, .onnx or, for an SRCNN, .mat; see `saving.save`.
        half : bool
            Whether to write float16, in half the space, as .npz and .safetensors only. `load`
            converts it to float32. PSNR changes by some thousandths of a dB.

        Raises
        ------
        ValueError
            If a parameter is not finite, as after a training that diverged, or as in `saving.save`.
        """
        if name := not_finite(self.parameters):
            raise ValueError(f"{name} holds values that are not finite: {path} is not written")
        card = {
            **self.card,
            **self._described(),
            "channels": "luminance" if self.c == 1 else "RGB",
            "scale": list(self.scales) or self.scale,
            "version": __version__,
        }
        save(self, path, card, half)


class _Recording(Composed):
    """A wrapper around an ops module that records the input of each convolution."""

    def __init__(self, ops: ModuleType) -> None:
        self._ops, self.maps = ops, list[np.ndarray]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def conv2d(self, x: np.ndarray, *rest: Any) -> np.ndarray:
        """See `reference.conv2d`."""
        self.maps.append(x)
        return self._ops.conv2d(x, *rest)

    def conv2d_strided(self, x: np.ndarray, *rest: Any) -> np.ndarray:
        """See `reference.conv2d_strided`."""
        self.maps.append(x)
        return self._ops.conv2d_strided(x, *rest)

    def relu(self, x: np.ndarray) -> np.ndarray:
        """See `reference.relu`."""
        return self._ops.relu(x)
