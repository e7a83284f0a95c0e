"""Enlarging to sizes that no network was trained for: passes of networks, then a resize.

A network is used at the scale it was trained for. Any other factor takes passes whose product is at
least that factor (the smallest product, then the fewest passes), and an antialiased bicubic resize
down to the exact size: x2.5 is x3 and a resize, x6 is x3 and x2, x10 is x4, x3 and a resize; x3 by
shipped weights for x2 alone is x2, x2 and a resize, while a network or a file for x2 refuses x3.
So does a network for several scales, such as VDSR: it could make x2.5 in one pass, but having never
seen that factor it is worse there than at x3 with a resize (`benchmarks.between`).
"""

import copy
import itertools
import math
import numbers
import operator
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..networks import LARGEST, Network, load, other_scale, shipped

__all__ = ["LARGEST", "Networks", "Plan"]

_OF_THEIR_OWN = (2, 3, 4)  # factors that are common enough to be worth weights of their own


class Plan(NamedTuple):
    """The plan for enlarging a picture of a certain size.

    Attributes
    ----------
    start : pair of ints
        Its height and width.
    passes : tuple of ints
        The scales of the networks that it passes through, in order.
    shape : pair of ints
        Height and width of the result.
    """

    start: tuple[int, int]
    passes: tuple[int, ...]
    shape: tuple[int, int]

    @property
    def largest(self) -> tuple[int, int]:
        """Height and width after the passes, before the resize."""
        product = math.prod(self.passes)
        return self.start[0] * product, self.start[1] * product

    def __str__(self) -> str:
        steps = ", ".join(f"x{scale}" for scale in self.passes)
        return steps if self.largest == self.shape else f"{steps}, resized"


class Networks:
    """The networks of a model, one for each scale with weights, loaded when they are needed.

    Parameters
    ----------
    model : str, path or Network
        What `load` takes, or a network.
    ensemble : bool
        Whether each network returns the mean of eight results, see `Network`.
    sharpness : float, optional
        See `load`.

    Raises
    ------
    FileNotFoundError, ValueError
        As for `load`, if `model` is a file.
    """

    def __init__(
        self,
        model: str | os.PathLike | Network,
        ensemble: bool = False,
        sharpness: float | None = None,
    ):
        self._ensemble, self._sharpness = ensemble, sharpness
        self._loaded: dict[int, Network] = {}
        self._only: Network | None = None
        self._scales: list[int] | None = None  # None if a network does not state its scale
        self._file: Path | None = None  # from which the only network is
        if isinstance(model, Network):
            self._called = "the network"
            self._only = model if sharpness is None else model.at_sharpness(sharpness)
        else:
            self._called = os.fspath(model)
            found = {s: path for (name, s), path in shipped().items() if name == self._called}
            self._scales = sorted(found)
            if not self._scales:
                self._only, self._file = load(model, sharpness=sharpness), Path(model)
            elif sharpness is not None:  # or raise, before any picture is read
                self.at(self._scales[0])
        if self._only is not None:
            self._scales = None if self._only.scale is None else [self._only.scale]
            if self._only.scales:
                self._scales = sorted(self._only.scales)

    @property
    def default_scale(self) -> int:
        """The scale to enlarge by if none is given: 3, or the smallest with weights.

        Raises
        ------
        ValueError
            If the weights do not say what scale they are for.
        """
        if self._scales is None:
            raise ValueError(
                f"{self._called} does not say what scale it was trained for: say it, 2, 3 or 4"
            )
        return 3 if 3 in self._scales else self._scales[0]

    def any(self) -> Network:
        """Return the network for the default scale; one that states no scale, for any."""
        return self.at(3 if self._scales is None else self.default_scale)

    def __getstate__(self) -> dict:
        """Return the state with all weights, as the files may be missing where it is unpickled."""
        if self._only is None:
            for scale in self._scales or ():
                self.at(scale)
        return self.__dict__

    def at(self, scale: int) -> Network:
        """Return the network that enlarges by a scale of a plan."""
        if self._only is not None:
            return self._only if not self._ensemble else _ensemble_of(self._only)
        if scale not in self._loaded:
            network = load(self._called, scale, sharpness=self._sharpness)
            self._loaded[scale] = _ensemble_of(network) if self._ensemble else network
        return self._loaded[scale]

    def label(self) -> str:
        """Return the model's name for people to read: "9-1-5-rgb", or "9-1-5 of mine.npz"."""
        sharpness = "" if self._sharpness is None else f", sharpness {self._sharpness:g}"
        if self._only is None:
            return self._called + sharpness
        of_file = f" of {self._file.name}" if self._file else ""
        return self._only.name + of_file + sharpness

    def plan(
        self,
        start: tuple[int, int],
        scale: float | None = None,
        shape: tuple[int | None, int | None] | None = None,
    ) -> Plan:
        """Return how to enlarge a picture of this height and width.

        Parameters
        ----------
        start : pair of ints
        scale : float, optional
            Above 1, up to 16. The result has round(scale * size) pixels a side.
        shape : pair of ints, optional
            Instead of `scale`: height and width of the result; if one is None, the aspect ratio
            is kept.

        Raises
        ------
        ValueError
            If the scale is invalid, nothing would be enlarged, or there are no weights for it.
        """
        start = int(start[0]), int(start[1])
        if shape is None:
            factor = self._factor(scale)
            size = _rounded(factor * start[0]), _rounded(factor * start[1])
            near = max(2, round(factor))
            if size == (near * start[0], near * start[1]):
                factor = near  # 4.0001 needs no more passes than 4
            return Plan(start, self._passes(factor), size)
        whole = _whole_shape(start, shape)
        factor = max(m / n for m, n in zip(whole, start, strict=True))
        if not 1 < factor <= LARGEST:
            raise ValueError(_no_enlargement(start, whole))
        return Plan(start, self._passes(factor), whole)

    def _factor(self, scale: float | None) -> float:
        number = isinstance(scale, numbers.Real) and not isinstance(scale, (bool, np.bool_))
        if scale is None or not number or not 1 < scale <= LARGEST:
            raise ValueError(f"scale is a number above 1, up to {LARGEST}; got {scale!r}")
        return int(scale) if scale == int(scale) else scale

    def _passes(self, factor: float) -> tuple[int, ...]:
        if self._scales is None:
            if factor != int(factor):
                raise ValueError(
                    f"{self._called} does not say what scale it was trained for, and so cannot "
                    f"enlarge by {factor:.6g}: enlarge by that scale, 2, 3 or 4, or convert it "
                    f"to a file that says it (pysrcnn convert)"
                )
            return (int(factor),)
        if factor in self._scales:
            return (int(factor),)
        useful = sorted((s for s in self._scales if s > 1), reverse=True)
        most = math.ceil(math.log2(LARGEST))
        found = [
            passes
            for count in range(1, most + 1)
            for passes in itertools.combinations_with_replacement(useful, count)
            if math.prod(passes) >= factor
        ]
        best = min(found, key=lambda passes: (math.prod(passes), len(passes)), default=())
        refused = self._only is not None and factor in _OF_THEIR_OWN and math.prod(best) != factor
        if refused or not best:
            raise other_scale(self._called, self._scales[0], f"{factor:.6g}")
        return best


def _ensemble_of(network: Network) -> Network:
    """Return a copy of the network that gives the mean of eight results."""
    network = copy.copy(network)
    network.ensemble = True
    return network


def _no_enlargement(start: tuple[int, int], shape: tuple[int, int]) -> str:
    """Return what is wrong with this height and width of a result, and how large it may be."""
    given, wanted = (f"{width} x {height}" for height, width in (start, shape))
    if all(m <= n for m, n in zip(shape, start, strict=True)):
        return f"{wanted} pixels are no more than the picture has, {given}: give a larger size"
    most = f"{LARGEST * start[1]} x {LARGEST * start[0]}"
    return (
        f"{wanted} pixels are more than {LARGEST} times the picture's {given}: ask for {most} at "
        f"most, and enlarge the result again if need be"
    )


def _rounded(size: float) -> int:
    return max(1, math.floor(size + 0.5))


def _whole_shape(start: tuple[int, int], shape: tuple) -> tuple[int, int]:
    """Return `shape` with a side of None replaced to keep the aspect ratio."""
    try:
        height, width = (None if n is None else operator.index(n) for n in shape)
    except (TypeError, ValueError):
        height = width = None
    if (height is not None and height < 1) or (width is not None and width < 1):
        height = width = None
    if height is None and width is not None:
        height = _rounded(start[0] * width / start[1])
    if width is None and height is not None:
        width = _rounded(start[1] * height / start[0])
    if height is None or width is None:
        raise ValueError(f"shape is a pair of positive ints, height and width; got {shape!r}")
    return height, width
