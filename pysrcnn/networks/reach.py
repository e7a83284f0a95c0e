"""The receptive field and the multiplications of a network, found by running its `forward`.

`Reach` is an ops module like `reference` and `kernels`, on which a network's `forward` runs as it
is. Its maps hold no numbers, only how far away the pixels of the input are that their values depend
on. So the margin by which a part of a picture must be cut larger follows from the very lines that
compute the network, and cannot disagree with them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .composed import Composed

__all__ = ["Layers", "Reach", "Seen", "seen"]

Layers = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Map:
    """What is known about feature maps, without their values.

    margin: pixels of the input on each side that a value depends on; resolution: pixels of these
    maps per pixel of the input, along a side, less than 1 after a stride; channels: the number of
    maps; depth: convolutions so far; width: the sum, over these, of the width of a pixel in pixels
    of the input, at least 1 each; most: a bound on the magnitude of the values, if one is known.
    """

    margin: Fraction
    resolution: Fraction
    channels: int
    depth: int = 0
    width: Fraction = Fraction(0)
    most: float = math.inf

    def __add__(self, other: Any) -> "Map":
        """A sum has the receptive field of both its terms."""
        if isinstance(other, Map):
            return replace(_all_of(self, other), most=self.most + other.most)
        return replace(self, most=math.inf)

    def __mul__(self, other: Any) -> "Map":
        """A multiple has the receptive field of the maps."""
        number = isinstance(other, float)
        return replace(self, most=abs(other) * self.most if number else math.inf)

    __radd__ = __sub__ = __add__
    __rmul__ = __mul__


def _all_of(first: Map, *others: Map) -> Map:
    """Return the first of the maps, with the receptive field of all of them."""
    maps = first, *others
    margin, depth = max(x.margin for x in maps), max(x.depth for x in maps)
    return replace(first, margin=margin, depth=depth, width=max(x.width for x in maps))


class Seen(NamedTuple):
    """The result of `seen`.

    margin: pixels of the input on each side that a pixel of the result depends on; resolution:
    pixels of the result per pixel of the input, along a side; multiplications: per pixel of the
    result; values: numbers in the input and output of the layer where they are most, per pixel of
    the result; depth: successive convolutions; layers: weights and biases of all convolutions, in
    the order of `forward`; width: as in `Map`; grid: pixels of all maps begin at the rows and
    columns of the input that are multiples of it, more than 1 after strides.
    """

    margin: int
    resolution: int
    multiplications: float
    values: float
    depth: int
    layers: Layers
    width: int
    grid: int = 1


class Reach(Composed):
    """The ops module; use one per run of `forward`, since it counts.

    Attributes
    ----------
    multiplications, values : Fraction
        Per pixel of the input.
    layers : list of (weights, biases)
    grid : int
        See `Seen`.
    """

    def __init__(self) -> None:
        self.multiplications = self.values = Fraction(0)
        self.layers: Layers = []
        self.grid = 1

    def conv2d(self, x: Map, w: np.ndarray, b: np.ndarray, padding: str = "valid") -> Map:
        """See `reference.conv2d`."""
        return self.conv2d_strided(x, w, b, 1)

    def conv2d_strided(self, x: Map, w: np.ndarray, b: np.ndarray, s: int) -> Map:
        """See `reference.conv2d_strided`: each pixel of the result covers s x s pixels of x."""
        self.layers.append((w, b))
        resolution = x.resolution / s
        self.grid = math.lcm(self.grid, resolution.denominator)
        self.multiplications += w.size * resolution**2
        values = x.channels * x.resolution**2 + len(w) * resolution**2
        self.values = max(self.values, values)
        margin = x.margin + (w.shape[2] // 2 + s - 1) / x.resolution
        wide = max(Fraction(1), 1 / resolution)
        return Map(margin, resolution, len(w), x.depth + 1, x.width + wide)

    def relu(self, x: Map) -> Map:
        """See `reference.relu`."""
        return x

    def tanh(self, x: Map) -> Map:
        """See `reference.tanh`."""
        return replace(x, most=1.0)

    def prelu(self, x: Map, a: np.ndarray) -> Map:
        """See `reference.prelu`."""
        return x

    def moments(self, x: Map) -> tuple[Map, Map]:
        """See `reference.moments`; that these depend on all pixels is not counted."""
        return x, x

    def batch_norm(self, x: Map, *numbers: Any) -> Map:
        """See `reference.batch_norm`."""
        return x

    def pixel_shuffle(self, x: Map, s: int) -> Map:
        """See `reference.pixel_shuffle`."""
        return replace(x, resolution=x.resolution * s, channels=x.channels // (s * s))

    def concatenate(self, *maps: Map) -> Map:
        """See `reference.concatenate`: the result has the receptive field of all maps."""
        channels, most = sum(x.channels for x in maps), max(x.most for x in maps)
        return replace(_all_of(*maps), channels=channels, most=most)

    def split(self, x: Map, *channels: int) -> tuple[Map, ...]:
        """See `reference.split`."""
        return tuple(replace(x, channels=c) for c in channels)

    def warp(self, x: Map, flow: Map) -> Map:
        """See `reference.warp`: it reaches as far as the flow may point, and one pixel more."""
        return self._warped(x, flow, 1)

    def warp_cubic(self, x: Map, flow: Map) -> Map:
        """See `reference.warp_cubic`: it reaches one pixel further than `warp`."""
        return self._warped(x, flow, 2)

    def _warped(self, x: Map, flow: Map, more: int) -> Map:
        if flow.most == math.inf:
            raise ValueError(
                "how far a network sees that warps by a flow without bounds is unknown"
            )
        far = (math.ceil(flow.most) + more) / x.resolution
        return _all_of(replace(x, margin=x.margin + far), flow)

    def phases(self, x: Map, flow: Map) -> Map:
        """See `reference.phases`."""
        return replace(_all_of(x, flow), channels=4 * x.channels)

    def repeat(self, x: Map, n: int) -> Map:
        """See `reference.repeat`."""
        return replace(x, channels=x.channels * n)


def seen(forward: Callable, parameters: dict[str, np.ndarray], c: int, **options: Any) -> Seen:
    """Return the receptive field of a network and the cost of a pixel of its result.

    Parameters
    ----------
    forward : function
        ``forward(x, p, ops, kept, **options)``, as each network's file has it.
    parameters : dict of arrays
    c : int
        Channels of the input.
    options
        Options of `forward`.

    Returns
    -------
    seen : Seen
    """
    ops = Reach()
    out = forward(Map(Fraction(0), Fraction(1), c), parameters, ops, None, **options)
    area = out.resolution**2
    multiplications, values = float(ops.multiplications / area), float(ops.values / area)
    margin, resolution, width = math.ceil(out.margin), int(out.resolution), math.ceil(out.width)
    return Seen(margin, resolution, multiplications, values, out.depth, ops.layers, width, ops.grid)
