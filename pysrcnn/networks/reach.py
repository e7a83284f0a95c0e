"""How far a network sees and how much it multiplies, told by its own `forward`.

`Reach` is an ops module like `reference` and `kernels`: a network's written-out `forward` runs on
it as on those. But its maps hold no numbers, only how far from a pixel of the input their values
come from. So the margin by which a picture has to be cut larger follows from the very lines that
compute the network, and cannot be another one.
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
    """What is known of feature maps: no values.

    margin: pixels of the input on each side that a value depends on; resolution: pixels of these
    maps for one of the input, along a side, less than 1 behind a stride; channels: how many maps;
    depth: convolutions on the way here; width: what they add up to if a pixel of each is as wide as
    it is in the input, at least 1; most: how large their values may be, if anything says it.
    """

    margin: Fraction
    resolution: Fraction
    channels: int
    depth: int = 0
    width: Fraction = Fraction(0)
    most: float = math.inf

    def __add__(self, other: Any) -> "Map":
        """A sum sees what either of its terms sees."""
        if isinstance(other, Map):
            return replace(_all_of(self, other), most=self.most + other.most)
        return replace(self, most=math.inf)

    def __mul__(self, other: Any) -> "Map":
        """A multiple sees what the maps see."""
        number = isinstance(other, float)
        return replace(self, most=abs(other) * self.most if number else math.inf)

    __radd__ = __sub__ = __add__
    __rmul__ = __mul__


def _all_of(first: Map, *others: Map) -> Map:
    """The first, which sees what any of them sees."""
    maps = first, *others
    margin, depth = max(x.margin for x in maps), max(x.depth for x in maps)
    return replace(first, margin=margin, depth=depth, width=max(x.width for x in maps))


class Seen(NamedTuple):
    """What `seen` found.

    margin: pixels of the input on each side that a pixel of the result depends on; resolution:
    pixels of the result for one of the input, along a side; multiplications: for a pixel of the
    result; values: numbers in the maps that a layer takes and gives, for a pixel of the result, in
    the layer that has the most; depth: convolutions one after the other; layers: weights and biases
    of all convolutions, in the order of `forward`; width: pixels of the input that are beside each
    other in a pixel of each of these one after the other, at least 1 in each; grid: the input's
    rows and columns that begin a pixel of all maps are its multiples, more than 1 behind strides.
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
    """The ops module; one for each run of `forward`, as it counts.

    Attributes
    ----------
    multiplications, values : Fraction
        For a pixel of the input.
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
        """See `reference.conv2d_strided`: each of its pixels stands for s x s of those of x."""
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
        """See `reference.moments`; of all pixels, which is not counted as seeing them."""
        return x, x

    def batch_norm(self, x: Map, *numbers: Any) -> Map:
        """See `reference.batch_norm`."""
        return x

    def pixel_shuffle(self, x: Map, s: int) -> Map:
        """See `reference.pixel_shuffle`."""
        return replace(x, resolution=x.resolution * s, channels=x.channels // (s * s))

    def concatenate(self, *maps: Map) -> Map:
        """See `reference.concatenate`: together they see what each of them sees."""
        channels, most = sum(x.channels for x in maps), max(x.most for x in maps)
        return replace(_all_of(*maps), channels=channels, most=most)

    def split(self, x: Map, *channels: int) -> tuple[Map, ...]:
        """See `reference.split`."""
        return tuple(replace(x, channels=c) for c in channels)

    def warp(self, x: Map, flow: Map) -> Map:
        """See `reference.warp`: it sees as far as the flow may point, and the pixel behind."""
        return self._warped(x, flow, 1)

    def warp_cubic(self, x: Map, flow: Map) -> Map:
        """See `reference.warp_cubic`: it sees one pixel more."""
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
    """What a pixel of a network's result takes.

    Parameters
    ----------
    forward : function
        ``forward(x, p, ops, kept, **options)``, as each network's file has it.
    parameters : dict of arrays
    c : int
        Channels of the input.
    options
        Of `forward`.

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
