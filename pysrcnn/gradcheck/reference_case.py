"""A batch, weights, and all that a step of training computes from them: numbers to compare with.

The loss is the mean over *all* elements, samples and pixels alike, of (output - high)^2, so that
its gradient is 2 (output - high) / (number of elements). The output is F3; of ESPCN, F3 shuffled.
No layer pads, unless it is asked to; an activation follows each layer but the last; "convolution"
is cross-correlation. A letter d before a name is the gradient with respect to it; dF1 and dF2 are
those of the values behind the activation, before its derivative.
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
from .planted import Step

__all__ = ["LAYOUTS", "PADDINGS", "WEIGHTS", "Case", "case", "rounding", "write_case"]

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
        Filter sizes, "9-1-5", or "espcn".
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
        """W1, B1, W2, B2, ..."""
        return {name: a for name, a in self.arrays.items() if name[0] in "WB"}

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
        """The mean squared error over all elements."""
        return float(self.arrays["loss"])

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Of the parameters, under the names of the parameters: W1, B1, W2, B2, ..."""
        return {name: self.arrays[f"d{name}"] for name in self.parameters}

    def axes(self, name: str) -> str:
        """The letters of the axes of an array: "OIHW" for "dW1"."""
        name = name.removeprefix("d")
        return {"W": self.weights, "B": "O"}.get(name[0], "" if name == "loss" else self.layout)

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
    filters: tuple[int, ...] = (64, 32),
    c: int = 1,
    samples: int = 3,
    size: tuple[int, int] = (4, 5),
    seed: int = 0,
    scale: int | None = None,
    activation: str | None = None,
    padding: str = "valid",
) -> Case:
    """A small batch, weights, and everything that a step of training computes from them.

    The files ``docs/gradients/9-1-5.npz`` and ``9-5-5.npz`` hold what this returns by default.
    Numbers are made so that every program starts from the same and none gets near a kink: pixels
    are multiples of 1/256 and weights of 1/4096, which float32 holds exactly; and the biases of
    layers with ReLU lie in the widest gap that the filter's values leave, so that rounding
    switches no value on or off. In float64, not even the forward pass rounds, but for tanh.

    Parameters
    ----------
    network : str
        Filter sizes; or "espcn", those of its paper, 5-3-3.
    layout : "NCHW" or "NHWC"
        Axes of the batch, the activations and their gradients.
    weights : "OIHW", "HWIO" or "OHWI", optional
        Axes of the weights; "OIHW" goes with "NCHW" unless others are asked for, "HWIO" (Keras,
        JAX) with "NHWC".
    dtype : "float64" or "float32"
        Of the arrays; they are always computed in float64.
    filters : tuple of int
        Numbers of filters of all layers but the last.
    c : 1 or 3
        Channels.
    samples, size : int, (height, width)
        Of the last layer's maps: of the output, or of the output before it is shuffled; no two of
        the numbers of samples, rows and columns should be equal.
    seed : int
    scale, activation : int, "tanh" or "relu", optional
        Of ESPCN: how many times as large as `low` its output is, and what follows its layers. By
        default 3 and "tanh".
    padding : "valid", "replicate" or "zeros"
        Of each layer.

    Returns
    -------
    case : Case

    Raises
    ------
    ValueError
        If there is no such layout, type or network, or it takes more memory than 1 GiB.
    """
    weights = weights or LAYOUTS.get(layout)
    if layout not in LAYOUTS or weights not in WEIGHTS:
        raise ValueError(
            f"layout is {layout!r} and weights {weights!r}, wanted NCHW or NHWC, and one of "
            f"{', '.join(WEIGHTS)}"
        )
    if dtype not in ("float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype is {dtype!r}, wanted float32 or float64")
    if padding not in PADDINGS:
        raise ValueError(f"padding is {padding!r}, wanted one of {', '.join(PADDINGS)}")
    check_whole("seed", seed, 0)
    if len(size) != 2 or min(samples, *size) < 1:
        raise ValueError(f"samples is {samples} and size {size}, wanted 1 or more of each")
    sizes = _sizes(network, filters)
    _check_size(network, sizes, (c, *filters), samples, size)
    net: Network
    if network == "espcn":
        scale, activation = 3 if scale is None else scale, activation or "tanh"
        net = ESPCN(scale, sizes, filters, c, activation=activation, ops=reference)
    elif scale or activation:
        raise ValueError(
            f"scale is {scale} and activation {activation}, which are for espcn; network is "
            f"{network!r}"
        )
    else:
        net = SRCNN.from_stack(sizes, filters, c, ops=reference)
    net = net.astype(np.float64)
    net.options = {**net.options, "padding": padding}
    arrays = _drawn(net, samples, size, np.random.PCG64(seed))
    step = Step(net, arrays["low"], arrays["high"])
    arrays |= step.values()
    made = Case(network, layout, weights, np.dtype(dtype), {}, arrays, step)
    for name in arrays:
        made.arrays[name] = np.array(made.wanted(name), made.dtype, order="C")
    return made


def _sizes(network: str, filters: tuple[int, ...]) -> tuple[int, ...]:
    """The filter sizes."""
    text = "5-3-3" if network == "espcn" else network
    if not all(part.isdecimal() for part in text.split("-")):
        raise ValueError(f"network is {network!r}, wanted filter sizes such as 9-1-5, or espcn")
    sizes = tuple(map(int, text.split("-")))
    if len(sizes) != len(filters) + 1:
        raise ValueError(
            f"network is {network!r}, {len(sizes)} filter sizes, and filters are {filters}: wanted "
            f"{len(filters) + 1} sizes, such as 9-1-5, one more than there are numbers of filters"
        )
    return sizes


class _Filling:
    """`reference`, but convolutions first fill in their weights and biases.

    bits: whose raw numbers are the same in every version of NumPy.
    """

    def __init__(self, bits: np.random.PCG64, last: np.ndarray):
        self.bits, self.last = bits, last

    def __getattr__(self, name: str) -> Any:
        return getattr(reference, name)

    def multiples(self, shape: tuple[int, ...], smallest: int, count: int) -> np.ndarray:
        """Random multiples of 1/smallest in [0, count / smallest)."""
        raw = self.bits.random_raw(int(np.prod(shape))) >> np.uint64(32)
        return (raw % np.uint64(count)).reshape(shape).astype(np.float64) / smallest

    def conv2d(
        self, x: np.ndarray, w: np.ndarray, b: np.ndarray, padding: str = "valid"
    ) -> np.ndarray:
        limit = int(4096 * np.sqrt(6 / w[0].size))  # uniform, of the variance of He et al.
        w[...] = self.multiples(w.shape, 4096, 2 * limit + 1) - limit / 4096
        b[...] = 0
        if w is self.last:
            b[...] = self.multiples(b.shape, 4096, 820) - 410 / 4096
        else:
            b[...] = _biases_in_gaps(reference.conv2d(x, w, b, padding))
        return reference.conv2d(x, w, b, padding)


def _drawn(
    net: Network, samples: int, size: tuple[int, int], bits: np.random.PCG64
) -> dict[str, np.ndarray]:
    """low, high and the parameters, which are set, as the network comes to them."""
    p = net.parameters
    ops = _Filling(bits, p[f"W{len(p) // 2}"])
    margin = net.margin if net.options["padding"] == "valid" else 0
    s = net.seen.resolution
    low = ops.multiples((samples, net.c, *(n + 2 * margin for n in size)), 256, 256)
    high = ops.multiples((samples, net.c, *(s * n for n in size)), 256, 256)
    net._forward(low, p, ops, None, **net.options)
    return {"low": low, "high": high, **p}


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


def _biases_in_gaps(z: np.ndarray) -> np.ndarray:
    """For each filter, minus the middle of the widest gap in the middle half of its values."""
    biases = []
    for values in z.swapaxes(0, 1).reshape(z.shape[1], -1):
        values = np.sort(values)[values.size // 4 : values.size - values.size // 4]
        gap = np.argmax(np.diff(values)) if values.size > 1 else 0
        biases.append(-(values[gap] + values[min(gap + 1, values.size - 1)]) / 2)
    return np.round(np.array(biases) * 2**12) / 2**12


def rounding(made: Case, dtype: np.dtype) -> float:
    """The relative error that rounding may leave in this type: 16 eps sqrt(terms of a sum)."""
    w = [a for name, a in made.exact.items() if name[0] == "W"]
    terms = max(max(a[0].size for a in w), made.exact["F1"][:, 0].size)
    return float(16 * np.finfo(dtype).eps * np.sqrt(terms))


def write_case(path: str | os.PathLike, case: Case) -> None:
    """Write the arrays of a case to an .npz file: numbers alone, which any language can read."""
    if Path(path).suffix.lower() != ".npz":
        raise ValueError(f"{path} does not end in .npz: arrays are written as .npz")
    with written_whole(path) as temporary:
        arrays: dict[str, Any] = case.arrays  # by names of our own, not those of NumPy's options
        np.savez_compressed(temporary, **arrays)
