"""What deep networks share: the names of their layers, and checks of sizes and flags."""

import math
from typing import Any

from ..checks import check_whole
from .parameters import Parameters, check_channels
from .scales import check_scale


def forget(maps: Any) -> None:
    """Do nothing with maps that no backward pass will need."""


def blocks_of(p: Parameters) -> range:
    """Return the numbers of the residual blocks, from 1."""
    return range(1, 1 + sum(name.startswith("W") and name.endswith("_1") for name in p))


def ups(p: Parameters) -> list[tuple[str, str, int]]:
    """Weights, biases (names) and factor of each enlarging convolution of the papers' tail."""
    numbers = range(1, 1 + sum(name.startswith("W_up") for name in p))
    names = [(f"W_up{k}", f"B_up{k}") for k in numbers if f"W_up{k}" in p]
    return [(w, b, math.isqrt(p[w].shape[0] // p[w].shape[1])) for w, b in names]


def factors(scale: int) -> list[int]:
    """Factors by which the papers' tail enlarges: 3 at once, otherwise 2 as often as needed."""
    times = scale.bit_length() - 1
    if scale == 3:
        return [3]
    if scale != 1 << times:
        raise ValueError(f"the paper's tail is for scales of 2, 3, 4, 8 or 16, got {scale}")
    return [2] * times


def check_sizes(scale: object, blocks: object, width: object, c: object, seed: object) -> None:
    """Raise a ValueError unless a network can have these sizes."""
    for name, value, least in (("blocks", blocks, 1), ("width", width, 1), ("seed", seed, 0)):
        check_whole(name, value, least)
    check_scale(scale)
    check_channels(c)


def check_flag(name: str, value: object) -> None:
    """Raise a ValueError unless the value of the argument `name` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r:.60}, wanted True or False")
