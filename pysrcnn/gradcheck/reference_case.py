"""A batch, weights, and all that a step of training computes from them: numbers to compare with.

The loss is the mean over *all* elements, samples and pixels alike, of (output - high)^2, so that
its gradient is 2 (output - high) / (number of elements). The output is F3; of ESPCN, F3 shuffled.
No layer pads, unless it is asked to; an activation follows each layer but the last; "convolution"
is cross-correlation. A letter d before a name is the gradient with respect to it; dF1 and dF2 are
those of the values behind the activation, before its derivative.

Deep networks are as their papers have them: layers of 3 x 3 (SRResNet's first and last of 9 x 9)
that pad with zeros, ReLU or PReLU where the paper has it. F is what each convolution gives, behind
its batch normalisation and its activation, and before it is shuffled or anything is added to it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import reference
from .._files import written_whole
from ..checks import check_whole
from ..networks import ESPCN, SRCNN, Network
from ..networks.motion import GRID
from .deep_networks import DEEP, deep_network
from .filling import drawn, drawn_deep
from .planted import Step

__all__ = ["LAYOUTS", "PADDINGS", "WEIGHTS", "Case", "case", "case_of", "rounding", "write_case"]

# Axes of arrays, and those of weights that go with them unless others are asked for.
LAYOUTS = {"NCHW": "OIHW", "NHWC": "HWIO"}
WEIGHTS = ("OIHW", "HWIO", "OHWI")
PADDINGS = ("valid", "replicate", "zeros")


@dataclass(frozen=True)
class Case:
    """A batch, a network, and what a step of training computes, as `case` makes it.

    Attributes
    ----------
    network : str
        Filter sizes, "9-1-5", or "espcn", "vdsr", "drcn", "edsr", "srresnet", "vespcn".
    layout, weights : str
        Axes of batches ("NCHW") and of weights ("OIHW").
    dtype : dtype
    arrays : dict of arrays
        By name: low, high; W1, B1, ...; F1, F2, F3 (the output, unless there is one of that name);
        loss; dF3, dW3, dB3, ..., dlow.
    exact : dict of arrays
        The same in float64, NCHW and OIHW.
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
        """What the output should be (N, C, H', W')."""
        return self.arrays["high"]

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """W1, B1, W2, B2, ..., and what else the network has, as running statistics."""
        return {name: self.arrays[name] for name in self.step.network.parameters}

    @property
    def activations(self) -> dict[str, np.ndarray]:
        """F1, F2, F3: what each layer gives, behind its activation."""
        return {name: a for name, a in self.arrays.items() if name[0] == "F"}

    @property
    def output(self) -> str:
        """The name of what is compared with `high`: "F3", or "output" where that is shuffled."""
        return list(self.exact)[list(self.exact).index("loss") - 1]

    @property
    def loss(self) -> float:
        """The mean squared error over all elements, or another loss that was asked for."""
        return float(self.arrays["loss"])

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Of the parameters, under the names of the parameters: W1, B1, W2, B2, ...

        Running statistics have none.
        """
        return {n: self.arrays[f"d{n}"] for n in self.parameters if f"d{n}" in self.arrays}

    def axes(self, name: str) -> str:
        """The letters of the axes of an array: "OIHW" for "dW1"."""
        name = name.removeprefix("d")
        none = "" if name in ("loss", "w") else self.layout
        return {"W": self.weights, **dict.fromkeys("BAGMV", "O")}.get(name[0], none)

    def wanted(self, name: str) -> np.ndarray:
        """The array of that name in this case's order of axes, in float64 whatever `dtype` is."""
        return _moved(self.exact[name], _ours(name), self.axes(name))

    def to_ours(self, name: str, array: np.ndarray) -> np.ndarray:
        """An array in this case's order of axes, in the one of `exact`."""
        return _moved(array, self.axes(name), _ours(name))


def _ours(name: str) -> str:
    return "OIHW" if name.removeprefix("d")[0] == "W" else "NCHW"


def _moved(array: np.ndarray, axes: str, wanted: str) -> np.ndarray:
    if array.ndim != 4 or len(axes) != 4:  # a bias, the loss, or of a wrong shape
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
    """A small batch, weights, and everything that a step of training computes from them.

    The files ``docs/gradients/9-1-5.npz`` and ``9-5-5.npz`` hold what this returns by default.
    Numbers are made so that every program starts from the same and none gets near a kink: pixels
    are multiples of 1/256 and weights of 1/4096, which float32 holds exactly; and the biases of
    layers with ReLU lie in the widest gap that the filter's values leave, so that rounding
    switches no value on or off. In float64, not even the forward pass of three layers rounds, but
    for tanh.

    Parameters
    ----------
    network : str
        Filter sizes; or "espcn", those of its paper, 5-3-3; or "vdsr", "drcn", "edsr", "srresnet",
        "vespcn".
    layout : "NCHW" or "NHWC"
        Axes of the batch, the activations and their gradients.
    weights : "OIHW", "HWIO" or "OHWI", optional
        Axes of the weights; "OIHW" goes with "NCHW" unless others are asked for, "HWIO" (Keras,
        JAX) with "NHWC".
    dtype : "float64" or "float32"
        Of the arrays; they are always computed in float64.
    filters : tuple of int, optional
        Numbers of filters of all layers but the last: by default (64, 32). Of a deep network one
        number, (6,).
    c : 1 or 3
        Channels.
    samples, size : int, (height, width)
        Of the last layer's maps: of the output, or of the output before it is shuffled; of deep
        networks, of the input. No two of the numbers of samples, rows and columns should be equal.
    seed : int
    scale, activation : int, "tanh" or "relu", optional
        Of ESPCN: how many times as large as `low` its output is, and what follows its layers. By
        default 3 and "tanh". EDSR and SRResNet have a scale, by default 2.
    padding : "valid", "replicate" or "zeros", optional
        Of each layer; "valid" by default. Deep networks pad with zeros.
    **of_deep
        Of deep networks, see `deep_networks.deep_network`: depth, loss, alpha, residual_scale,
        short_tail, picture, mean, batch_norm, training, frames, fusion.

    Returns
    -------
    case : Case

    Raises
    ------
    TypeError, ValueError
        If there is no such layout, type, network or option, or it takes more memory than 1 GiB.
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
        net = _chain(network, filters or (64, 32), c, samples, size, scale, activation)
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
    """A case of a network of another kind, in float64, NCHW, with the mean squared error.

    Parameters
    ----------
    network : Network
        Layers of convolutions that pad with zeros; its parameters, in float64, are filled anew.
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
    """The case of what was drawn: all that a step computes, too."""
    arrays = drawn | step.values()
    made = Case(network, layout, weights, np.dtype(dtype), {}, arrays, step)
    for name in arrays:
        made.arrays[name] = np.array(made.wanted(name), made.dtype, order="C")
    return made


def _chain(network, filters, c, samples, size, scale, activation) -> Network:
    """An SRCNN or ESPCN in float64."""
    sizes = _sizes(network, filters)
    _check_size(network, sizes, (c, *filters), samples, size)
    if network == "espcn":
        scale, activation = 3 if scale is None else scale, activation or "tanh"
        espcn = ESPCN(scale, sizes, filters, c, activation=activation, ops=reference)
        return espcn.astype(np.float64)
    if scale or activation:
        raise ValueError(
            f"scale is {scale} and activation {activation}, which are for espcn; network is "
            f"{network!r}"
        )
    return SRCNN.from_stack(sizes, filters, c, ops=reference).astype(np.float64)


def _sizes(network: str, filters: tuple[int, ...]) -> tuple[int, ...]:
    """The filter sizes."""
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
    """Every patch of every layer's input is a column of a matrix in `reference.conv2d`."""
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
    """As `_check_size`, of layers that pad, each as large as the last."""
    inputs = max(w[0].size for w, _ in net.layers)
    largest = samples * inputs * net.seen.resolution**2 * size[0] * size[1] * 8 / 2**30
    if largest > 1:
        raise ValueError(
            f"a layer of {net.name} takes {largest:.0f} GiB for {samples} samples, wanted at most "
            f"1 GiB: give fewer filters, fewer samples or a smaller size"
        )


def rounding(made: Case, dtype: np.dtype) -> float:
    """The relative error that rounding may leave in this type: 16 eps sqrt(terms of a sum).

    Of more than three layers, in proportion more.
    """
    w = [a for name, a in made.exact.items() if name[0] == "W"]
    maps = list(made.activations)
    terms = max(max(a[0].size for a in w), made.exact[maps[0]][:, 0].size)
    return float(16 * np.finfo(dtype).eps * np.sqrt(terms) * max(1, len(maps) / 3))


def write_case(path: str | os.PathLike, case: Case) -> None:
    """Write the arrays of a case to an .npz file: numbers alone, which any language can read."""
    if Path(path).suffix.lower() != ".npz":
        raise ValueError(f"{path} does not end in .npz: arrays are written as .npz")
    with written_whole(path) as temporary:
        arrays: dict[str, Any] = case.arrays  # by names of our own, not those of NumPy's options
        np.savez_compressed(temporary, **arrays)
