"""A batch, weights, and everything a training step computes from them, as numbers to compare with.

The loss is the mean over *all* elements, samples and pixels alike, of (output - high)^2, so that
its gradient is 2 (output - high) / (number of elements). The output is F3; for ESPCN, F3 shuffled.
No layer pads by default; an activation follows each layer but the last; "convolution" is
cross-correlation. The letter d before a name marks the gradient with respect to it; dF1 and dF2
belong to the values after the activation, so they do not include its derivative.

Deep networks are as in their papers: 3 x 3 layers (9 x 9 for SRResNet's first and last) that pad
with zeros, and ReLU or PReLU where the paper has it. F is the output of a convolution after its
batch normalisation and activation, before it is shuffled or anything is added to it.
"""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import reference
from .._files import written_whole
from .._made_here import COMMENT
from ..checks import check_whole
from ..networks import ESPCN, SRCNN, Network
from ..networks.motion import GRID
from .deep_networks import DEEP, deep_network
from .filling import drawn, drawn_deep
from .planted import Step

__all__ = ["LAYOUTS", "PADDINGS", "WEIGHTS", "Case", "case", "case_of", "rounding", "write_case"]

# Axes of arrays, and the default axes of the weights that go with them.
LAYOUTS = {"NCHW": "OIHW", "NHWC": "HWIO"}
WEIGHTS = ("OIHW", "HWIO", "OHWI")
PADDINGS = ("valid", "replicate", "zeros")


@dataclass(frozen=True, repr=False)
class Case:
    """A batch, a network, and what a training step computes, as `case` makes them.

    Attributes
    ----------
    network : str
        Filter sizes, "9-1-5", or "espcn", "vdsr", "drcn", "edsr", "srresnet", "vespcn".
    layout, weights : str
        Axes of batches ("NCHW") and of weights ("OIHW").
    dtype : dtype
    arrays : dict of arrays
        By name: low, high; W1, B1, ...; F1, F2, F3 (the output, unless one is named "output");
        loss; dF3, dW3, dB3, ..., dlow.
    exact : dict of arrays
        The same arrays in float64, NCHW and OIHW.
    step : Step
        The network and the batch, in float64.
    """

    network: str
    layout: str
    weights: str
    dtype: np.dtype
    arrays: dict[str, np.ndarray]
    exact: dict[str, np.ndarray]
    step: Step

    @property
    def low(self) -> np.ndarray:
        """The input (N, C, H, W), values in 0..1."""
        return self.arrays["low"]

    @property
    def high(self) -> np.ndarray:
        """The target: what the output should be (N, C, H', W')."""
        return self.arrays["high"]

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """W1, B1, W2, B2, ..., and what else the network has, such as running statistics."""
        return {name: self.arrays[name] for name in self.step.network.parameters}

    @property
    def activations(self) -> dict[str, np.ndarray]:
        """F1, F2, F3: the output of each layer after its activation."""
        return {name: a for name, a in self.arrays.items() if name[0] == "F"}

    def __repr__(self) -> str:
        axes = f"{self.layout}, weights {self.weights}, {self.dtype}"
        sides = f"low {self.low.shape}, high {self.high.shape}"
        return f"<Case of {self.network}, {axes}, {sides}, {len(self.arrays)} arrays>"

    @property
    def output(self) -> str:
        """The name of what is compared with `high`: "F3", or "output" where that is shuffled."""
        return list(self.exact)[list(self.exact).index("loss") - 1]

    @property
    def loss(self) -> float:
        """The mean squared error over all elements, or the other loss that was requested."""
        return float(self.arrays["loss"])

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of the parameters, by the parameters' names: W1, B1, W2, B2, ...

        Running statistics have none.
        """
        return {n: self.arrays[f"d{n}"] for n in self.parameters if f"d{n}" in self.arrays}

    def axes(self, name: str) -> str:
        """The letters of the axes of an array: "OIHW" for "dW1"."""
        name = name.removeprefix("d")
        none = "" if name in ("loss", "w") else self.layout
        return {"W": self.weights, **dict.fromkeys("BAGMV", "O")}.get(name[0], none)

    def wanted(self, name: str) -> np.ndarray:
        """An array of `exact`, in float64 whatever `dtype` is, with axes in this case's order."""
        return _moved(self.exact[name], _ours(name), self.axes(name))

    def to_ours(self, name: str, array: np.ndarray) -> np.ndarray:
        """Transpose an array from this case's order of axes to that of `exact`."""
        return _moved(array, self.axes(name), _ours(name))


def _ours(name: str) -> str:
    return "OIHW" if name.removeprefix("d")[0] == "W" else "NCHW"


def _moved(array: np.ndarray, axes: str, wanted: str) -> np.ndarray:
    if array.ndim != 4 or len(axes) != 4:  # a bias, the loss, or an array of a wrong shape
        return array
    return array.transpose([axes.index(letter) for letter in wanted])


def case(
    network: str = "9-1-5",
    *,
    layout: str = "NCHW",
    weights: str | None = None,
    dtype: str = "float64",
    filters: tuple[int, ...] | None = None,
    c: int = 1,
    samples: int = 3,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    scale: int | None = None,
    activation: str | None = None,
    padding: str | None = None,
    **of_deep: Any,
) -> Case:
    """Make a small batch, weights, and everything that a training step computes from them.

    The files in ``docs/gradients``, one for each network, hold what this returns by default.
    Every program starts from the same numbers, and none comes near a kink: pixels are multiples of
    1/256 and weights of 1/4096, which float32 holds exactly; and biases of layers with ReLU put 0
    into the widest gap between the filter's values, so that rounding switches no value on or off.
    In float64, even the forward pass of three layers is exact, except for tanh.

    Parameters
    ----------
    network : str
        Filter sizes; or "espcn" (5-3-3, as in its paper), "vdsr", "drcn", "edsr", "srresnet" or
        "vespcn".
    layout : "NCHW" or "NHWC"
        Axes of the batch, the activations and their gradients.
    weights : "OIHW", "HWIO" or "OHWI", optional
        Axes of the weights; by default "OIHW" with "NCHW", and "HWIO" (Keras, JAX) with "NHWC".
    dtype : "float64" or "float32"
        Type of the arrays; they are always computed in float64.
    filters : tuple of int, optional
        Numbers of filters of all layers but the last, by default (64, 32); for a deep network one
        number, by default (6,).
    c : 1 or 3
        Channels.
    samples, size : int, (height, width)
        Of the output, before any shuffle; for deep networks, of the input. No two of the numbers
        of samples, rows and columns should be equal.
    seed : int
    scale, activation : int, "tanh" or "relu", optional
        For ESPCN: its scale and the activation after its layers, by default 3 and "tanh". EDSR,
        SRResNet and VESPCN have a scale too, by default 2.
    padding : "valid", "replicate" or "zeros", optional
        Padding of each layer; "valid" by default. Deep networks pad with zeros.
    **of_deep
        Options of deep networks, see `deep_networks.deep_network`: depth, loss, alpha,
        residual_scale, short_tail, picture, mean, batch_norm, training, frames, fusion.

    Returns
    -------
    case : Case

    Raises
    ------
    TypeError, ValueError
        If a layout, type, network or option is unknown, or a layer would take more than 1 GiB.
    """
    weights = weights or LAYOUTS.get(layout)
    if layout not in LAYOUTS or weights not in WEIGHTS:
        raise ValueError(
            f"layout is {layout!r} and weights {weights!r}, wanted NCHW or NHWC, and one of "
            f"{', '.join(WEIGHTS)}"
        )
    if dtype not in ("float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype is {dtype!r}, wanted float32 or float64")
    check_whole("seed", seed, 0)
    if size is None:
        size = (8, 12) if network == "vespcn" else (4, 5)
    if len(size) != 2 or min(samples, *size) < 1:
        raise ValueError(f"samples is {samples} and size {size}, wanted 1 or more of each")
    bits = np.random.PCG64(seed)
    if network in DEEP:
        if activation or padding not in (None, "zeros"):
            raise ValueError(
                f"activation is {activation} and padding {padding}, and {network} has "
                f"{'PReLU' if network == 'srresnet' else 'ReLU'} and zeros: leave them out"
            )
        net, loss, alpha = deep_network(network, filters, c, scale, **of_deep)
        _check_deep_size(net, samples, size)
        if net.frames > 1 and (size[0] % GRID or size[1] % GRID):
            raise ValueError(f"size is {size}, wanted multiples of {GRID} for {network}")
        arrays = drawn_deep(net, samples, size, loss, bits)
    else:
        filters = (64, 32) if filters is None else filters
        net = _chain(network, filters, c, samples, size, scale, activation)
        if padding not in (None, *PADDINGS):
            raise ValueError(f"padding is {padding!r}, wanted one of {', '.join(PADDINGS)}")
        net.options = {**net.options, "padding": padding or "valid"}
        if of_deep:
            raise TypeError(f"{', '.join(of_deep)}: of {', '.join(DEEP)}, not of {network}")
        loss, alpha = "mse", 0.0
        arrays = drawn(net, samples, size, bits)
    step = Step(net, arrays["low"], arrays["high"], loss, alpha)
    return _computed(network, layout, weights, dtype, step, arrays)


def case_of(network: Network, samples: int, size: tuple[int, int]) -> Case:
    """Make a case of a given network, in float64 and NCHW, with the mean squared error.

    Parameters
    ----------
    network : Network
        A network whose convolutions pad with zeros; its float64 parameters are overwritten.
    samples, size : int, (height, width)
        Of the input.

    Returns
    -------
    case : Case
    """
    arrays = drawn_deep(network, samples, size, "mse", np.random.PCG64(0))
    step = Step(network, arrays["low"], arrays["high"])
    return _computed(network.name, "NCHW", "OIHW", "float64", step, arrays)


def _computed(
    network: str, layout: str, weights: str, dtype: str, step: Step, drawn: dict[str, np.ndarray]
) -> Case:
    """The case of the arrays drawn, with everything that a step computes from them."""
    arrays = drawn | step.values()
    made = Case(network, layout, weights, np.dtype(dtype), {}, arrays, step)
    for name in arrays:
        made.arrays[name] = np.array(made.wanted(name), made.dtype, order="C")
    return made


def _chain(network, filters, c, samples, size, scale, activation) -> Network:
    """Make an SRCNN or ESPCN in float64."""
    sizes = _sizes(network, filters)
    _check_size(network, sizes, (c, *filters), samples, size)
    if network == "espcn":
        scale, activation = 3 if scale is None else scale, activation or "tanh"
        espcn = ESPCN(scale, sizes, filters, c, activation=activation, ops=reference)
        return espcn.astype(np.float64)
    if scale is not None or activation:
        raise ValueError(
            f"scale is {scale} and activation {activation}, which are for espcn; network is "
            f"{network!r}"
        )
    return SRCNN.from_stack(sizes, filters, c, ops=reference).astype(np.float64)


def _sizes(network: str, filters: tuple[int, ...]) -> tuple[int, ...]:
    """Parse the filter sizes."""
    text = "5-3-3" if network == "espcn" else network
    if not all(part.isdecimal() for part in text.split("-")):
        raise ValueError(
            f"network is {network!r}, wanted filter sizes such as 9-1-5, or espcn, "
            f"{', '.join(DEEP)}"
        )
    sizes = tuple(map(int, text.split("-")))
    if len(sizes) != len(filters) + 1:
        raise ValueError(
            f"network is {network!r}, {len(sizes)} filter sizes, and filters are {filters}: wanted "
            f"{len(filters) + 1} sizes, such as 9-1-5, one more than there are numbers of filters"
        )
    return sizes


def _check_size(network, sizes, channels, samples, size) -> None:
    """Limit the memory of `reference.conv2d`, whose matrix has a column for each patch."""
    height, width = size
    for k, (f, c) in reversed(list(enumerate(zip(sizes, channels, strict=True), 1))):
        largest = samples * c * f * f * height * width * 8 / 2**30
        if largest > 1:
            raise ValueError(
                f"network is {network!r}, whose layer {k} takes {largest:.0f} GiB for {samples} "
                f"samples, wanted at most 1 GiB: give smaller or fewer filters, fewer samples or "
                f"a smaller size"
            )
        height, width = height + f - 1, width + f - 1


def _check_deep_size(net: Network, samples: int, size: tuple[int, int]) -> None:
    """As `_check_size`, for layers that pad, so that all are as large as the last."""
    inputs = max(w[0].size for w, _ in net.layers)
    largest = samples * inputs * net.seen.resolution**2 * size[0] * size[1] * 8 / 2**30
    if largest > 1:
        raise ValueError(
            f"a layer of {net.name} takes {largest:.0f} GiB for {samples} samples, wanted at most "
            f"1 GiB: give fewer filters, fewer samples or a smaller size"
        )


def rounding(made: Case, dtype: np.dtype) -> float:
    """The relative error that rounding may leave in this dtype: 16 eps sqrt(terms of a sum).

    For more than three layers, it grows in proportion to their number.
    """
    w = [a for name, a in made.exact.items() if name[0] == "W"]
    maps = list(made.activations)
    terms = max(max(a[0].size for a in w), made.exact[maps[0]][:, 0].size)
    return float(16 * np.finfo(dtype).eps * np.sqrt(terms) * max(1, len(maps) / 3))


def write_case(path: str | os.PathLike, case: Case) -> None:
    """Write the arrays of a case to an .npz file of numbers alone, readable in any language."""
    if Path(path).suffix.lower() != ".npz":
        raise ValueError(f"{path} does not end in .npz: arrays are written as .npz")
    with written_whole(path) as temporary:
        arrays: dict[str, Any] = case.arrays  # no name is an option of savez_compressed
        np.savez_compressed(temporary, **arrays)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = COMMENT
