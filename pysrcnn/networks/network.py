"""What all networks have in common: parameters by name, an ops module, a card, files.

A network is one more operation, like those it is made of: its file has `forward` and `backward`,
written out side by side against an *ops module*, and a class that says what it takes and is called.
Three things pass between them and nothing else: `p`, the parameters by name; `ops`, a module of
operations; and `kept`, a list that `forward` fills for `backward` (None where only a picture is
wanted). So the same lines are read with `reference`, fast with `kernels`, and tell how far they see
with `reach.Reach`.

Axes: N samples, c channels of the picture, H x W pixels, s the scale.
"""

import importlib
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

START = "start."  # before the names of these parameters in files
LOSSES = ("mse", "l1", "charbonnier")  # operations, each with its backward


class Network(Parametric):
    """A network around its parameters; what the kinds of networks share.

    Attributes
    ----------
    name : str
        What it is called: "espcn"; an SRCNN by its filter sizes, "9-1-5".
    small : bool
        Whether it takes the small picture and enlarges that itself, or its bicubic enlargement.
    frames : int
        How many frames of a video it looks at, to enlarge the one in the middle: `forward` takes
        their channels one after the other, in the order of time. Above 1, it takes small pictures.
    parameters : dict of arrays
        By the names of the paper, from the first layer to the last. May be filled in place.
    c : int
        Channels of the picture: 1 (luminance) or 3 (RGB).
    scale : int or None
        The factor of enlargement that the parameters are for.
    scales : tuple of int
        All of them, where there are several: (2, 3, 4) of one VDSR.
    card : dict
        What the weights are, see `pysrcnn.formats`.
    options : dict
        Of its `forward`, such as the padding, if it has one.
    training_options : dict
        Those that are others in training: of a chain of layers, no padding.
    default_recipe : str
        What it is trained by if nothing else is said, see `training.RECIPES`.
    ensemble : bool
        Whether `forward` gives the mean of eight results: of `x` turned and mirrored in all ways,
        each turned back. It takes eight times as long, and some errors cancel out ("geometric
        self-ensemble", Lim et al., "Enhanced Deep Residual Networks ...", 2017, Section 3.4).
    start : dict of arrays or None
        Of a network trained against a discriminator, the parameters of the one that this began
        with, see `at_sharpness`.
    ops : module
        What computes: `pysrcnn.kernels` or `pysrcnn.reference`.
    """

    ensemble: bool = False
    frames: int = 1
    start: Parameters | None = None
    small: ClassVar[bool] = False
    training_options: ClassVar[dict[str, Any]] = {}
    default_recipe: ClassVar[str] = "modern"
    scales: tuple[int, ...] = ()
    # What the options of `forward` may be in a network, by their names; the usual one first.
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}
    # Those that a card has, beside what the shapes of the parameters say.
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
        """Names of the parameters that are filters, from the first layer's to the last's.

        Recipes treat the first and the last of them unlike the others, see `training.Recipe`.
        """
        return [name for name, p in self.parameters.items() if p.ndim > 1]

    @property
    def tail(self) -> list[str]:
        """Names of the parameters that another scale may have in another shape, or not at all."""
        return []

    @property
    def statistics(self) -> list[str]:
        """Names of the parameters that are not learned: running statistics of what layers give.

        Of these, `loss_and_gradients` gives what a step takes off them.
        """
        return []

    @property
    def _for_scales(self) -> str:
        """What its repr says of them: ", scale=3", ", scales=(2, 3, 4)", or nothing."""
        if self.scales:
            return f", scales={self.scales}"
        return f", scale={self.scale}" if self.scale else ""

    @property
    def seen(self) -> Seen:
        """How far the network sees, and what a pixel of its result takes: see `reach`."""
        return seen(self._forward, self.parameters, self.c * self.frames, **self.options)

    @property
    def margin(self) -> int:
        """Pixels of its input on each side that a pixel of the result depends on: 6 for 9-1-5."""
        return self.seen.margin

    @property
    def training_margin(self) -> int:
        """Pixels of its input that are lost on each side in training: none if its layers pad."""
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
        """Memory that `forward` takes for a pixel of its result, in float32."""
        return 4 * self.seen.values

    def __getstate__(self) -> dict:
        return {**self.__dict__, "ops": self.ops.__name__}  # a module itself cannot be pickled

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, ops=importlib.import_module(state["ops"]))

    def astype(self, dtype: Any) -> Self:
        """A copy whose parameters and results are of `dtype`, float32 or float64."""
        copy = super().astype(dtype)
        copy.card, copy.options = dict(self.card), dict(self.options)
        if self.start is not None:
            copy.start = {n: np.array(p, dtype, order="C") for n, p in self.start.items()}
        return copy

    # --------------------------------------------------------------------------------------- in use

    def check_finite(self) -> None:
        """Raise a ValueError if a parameter is not finite, whose pictures would just be black."""
        if name := not_finite(self.parameters):
            raise ValueError(
                f"{name} of {self!r} holds values that are not finite (NaN or infinite), so it "
                f"makes no picture: load the network again, or train it at a lower learning rate"
            )

    def forward(self, x: np.ndarray, padding: str | None = None) -> np.ndarray:
        """The network's pictures of a batch.

        Parameters
        ----------
        x : float array (N, c, H, W), of a network for videos (N, frames c, H, W)
            Small pictures if the network is for these (`small`), else bicubic enlargements; values
            in 0..1. Converted to the network's dtype.
        padding : "replicate", "zeros" or "valid", optional
            "replicate": every layer repeats the edge of its input. "zeros": it sees zeros beyond
            the edge. The result is as large as `x`, or `scale` times as large. "valid": nothing is
            padded, `margin` pixels of `x` are lost on each side, as in training. By default what
            the network is for; some networks have only that one.

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
        """A batch for `_forward`, in the network's dtype; raise unless it is one."""
        return check_batch(x, name, self.frames * self.c, self.dtype)

    def _run(self, x: np.ndarray, **options: Any) -> np.ndarray:
        """`_forward`, by a faster way where there is one."""
        ops = self.ops
        return ops.leave(self._forward(ops.enter(x), self.parameters, ops, None, **options))

    def folded(self) -> Self:
        """The same network in use, with all that is fixed there in the weights of convolutions."""
        return self

    def maps(self, x: np.ndarray) -> list[np.ndarray]:
        """What each convolution takes when the network makes a picture: `x`, then feature maps.

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
        """The enlarged picture; with bicubic interpolation before, if the network is for that.

        Parameters
        ----------
        small : float array (c, H, W), values in 0..1
        scale : int, optional
            Needed if the network does not say what scale it was trained for.

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
        """The network between the one that training against a discriminator began with and this.

        All parameters, running statistics too, are (1 - a) times those of the one and a times those
        of the other ("network interpolation", Wang et al., "ESRGAN", ECCVW 2018, Section 3.4).

        Parameters
        ----------
        sharpness : float
            a: 0 for just the network it began with, whose error is least; 1 for just this one,
            whose pictures look sharper and are in part invented.

        Returns
        -------
        network : Network
            Without `start`.

        Raises
        ------
        ValueError
            If it was not trained so, or the sharpness is not 0..1.
        """
        if self.start is None:
            raise ValueError(
                f"{self!r} has no sharpness to choose, as it was not trained against a "
                f"discriminator: leave sharpness out, or take weights of the recipe srgan"
            )
        if not is_real(sharpness) or not 0 <= sharpness <= 1:
            raise ValueError(f"sharpness is {sharpness!r:.60}, wanted a number, 0 to 1")
        network, a = self.astype(self.dtype), float(sharpness)
        network.start = None
        network.card["sharpness"] = a
        for name, p in network.parameters.items():
            if a == 0:  # to the bit, which a sum need not be
                p[...] = self.start[name]
            elif a < 1:
                p[...] = (1 - a) * self.start[name] + a * p
        return network

    # ---------------------------------------------------------------------------------- in training

    @classmethod
    def from_recipe(cls, recipe: Any, scale: int | None) -> "Network":
        """The untrained network of a `training.Recipe`; a TypeError if none trains this kind."""
        raise TypeError(f"{cls.__name__} is not trained by a recipe")

    def loss_and_gradients(
        self, low: np.ndarray, high: np.ndarray, loss: str = "mse", done: float = 0.0
    ) -> tuple[float, Parameters]:
        """The mean of a loss over all elements, as in training, and its gradients.

        Parameters
        ----------
        low : float array (N, c, H, W)
            The network's input, see `forward`.
        high : float array
            What its output should be: as large as ``forward(low)``. A network that does not pad in
            training takes the central part of it, as large as ``forward(low, "valid")``, or is
            given that.
        loss : "mse", "l1" or "charbonnier"
            The operation of that name: the mean squared error, unless something else is said.
        done : float
            What part of the training is done, from 0 to 1; DRCN's loss changes with it.

        Returns
        -------
        loss : float
        gradients : dict of arrays
            By the names of `parameters`, of the same shapes; see `statistics`.

        Raises
        ------
        TypeError, ValueError
            If the arrays are not such.
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
        """Loss and gradients by `_forward` and `_backward`, or by a faster way."""
        of, gradient_of = getattr(self.ops, loss), getattr(self.ops, f"{loss}_backward")
        return self.gradients_by(lambda out: (of(out, high), gradient_of(out, high)), low)

    def gradients_by(
        self, judge: Callable[[np.ndarray], tuple[float, np.ndarray]], low: np.ndarray
    ) -> tuple[float, Parameters]:
        """A loss of the result in training, whatever it is, and the gradients of the parameters.

        Parameters
        ----------
        judge : function
            Of the result (N, c, H', W'); returns the loss and its gradient by the result.
        low : float array (N, c, H, W)
            The network's input, see `forward`.

        Returns
        -------
        loss : float
        gradients : dict of arrays
            As `loss_and_gradients` gives them.

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
        """The parameters as a file with this suffix has them; raise a ValueError where none has."""
        if path.suffix.lower() == ".mat":
            raise ValueError(
                f"{path} would hold an SRCNN, as its authors write it, and this is {self.name}: "
                f"write it as .npz"
            )
        start = {} if self.start is None else self.start
        return self.parameters | {f"{START}{name}": p for name, p in start.items()}

    def _described(self) -> dict[str, Any]:
        """What a card says of this kind of network."""
        return {"network": self.name} | {name: self.options[name] for name in self.saved_options}

    def save(self, path: str | os.PathLike, half: bool = False) -> None:
        """Write the parameters and the card to a file, whole or not at all.

        Parameters
        ----------
        path : path
            Ends in .npz, or in .safetensors, .onnx or, of an SRCNN, .mat; see `saving.save`.
        half : bool
            Whether .npz and .safetensors hold float16, in half the space. `load` makes float32 of
            it. PSNR changes by some thousandths of a dB.

        Raises
        ------
        ValueError
            If a parameter is not finite, as after a training that has diverged; and as
            `saving.save` does.
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
    """An ops module around another, which notes what each convolution takes."""

    def __init__(self, ops: ModuleType) -> None:
        self._ops, self.maps = ops, list[np.ndarray]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def conv2d(self, x: np.ndarray, *rest: Any) -> np.ndarray:
        """See `reference.conv2d`."""
        self.maps.append(x)
        return self._ops.conv2d(x, *rest)

    def relu(self, x: np.ndarray) -> np.ndarray:
        """See `reference.relu`."""
        return self._ops.relu(x)
