"""An estimate of the time and memory of an enlargement, given before it begins.

Small networks take a moment. EDSR as published needs ten million multiplications for a pixel of its
result, and whoever asks it for a poster should know what that means.
"""

import math
import time
from collections.abc import Sequence

import numpy as np

from ..networks import Network
from .steps import Step

__all__ = ["foreseen"]

LONG = 2e12  # multiplications: some ten seconds on a laptop
_TRIED = 4e9  # multiplications of the trial
_SIDES = 32, 512  # pixels a side of its picture, at least and at most


def foreseen(
    steps: Sequence[Step], memory: float | None = None, count: int = 1, whole: bool = True
) -> str:
    """Return "about 12 minutes, and 1.4 GB of memory", or "" if it takes only seconds.

    The network is run twice on a small picture, since the first run may compile.

    Parameters
    ----------
    steps : sequence of Step
    memory : float, optional
        Bytes that the enlargement takes, unless `Step.make` does it.
    count : int
        Number of pictures, enlarged one after the other.
    whole : bool
        Whether the picture and the result are in memory, and not only their parts.
    """
    work = [(step.network, *_work(step)) for step in steps if step.network]
    if count * sum(pixels * _multiplications(one) for one, pixels, *_ in work) <= LONG:
        return ""
    networks = {id(one): one for one, *_ in work}  # one may take several steps
    paces = {key: _pace(one) for key, one in networks.items()}
    seconds = count * sum(pixels * paces[id(one)] for one, pixels, *_ in work)
    if memory is None:
        memory = max(piece + whole * held for *_, piece, held in work)
    weights = sum(p.nbytes for one in networks.values() for p in one.parameters.values())
    return f"about {_duration(seconds)}, and {(memory + weights) / 1e9:.1f} GB of memory"


def _multiplications(network: Network) -> float:
    """Return the multiplications for a pixel of the result."""
    return network.seen.multiplications * (8 if network.ensemble else 1)


def _work(step: Step) -> tuple[int, float, int]:
    """Return the pixels that the network makes, with margins, and the bytes that the step takes.

    They are those of its largest piece, and those of the picture and the result.
    """
    pixels, largest = 0, 0
    for rows, columns in step.pieces((0, step.shape[0]), (0, step.shape[1])):
        area = step.area(rows, columns)
        pixels, largest = pixels + area, max(largest, area)
    result = step.channels * step.dtype.itemsize * (math.prod(step.shape) + math.prod(step.start))
    return pixels, largest * step.bytes_per_pixel, result


def _pace(network: Network) -> float:
    """Measure the seconds for a pixel of the result."""
    resolution = network.seen.resolution**2
    wanted = math.isqrt(int(_TRIED / (_multiplications(network) * resolution)))
    side = min(max(wanted, _SIDES[0]), _SIDES[1])
    x = np.full((1, network.c, side, side), 0.5, network.dtype)
    network.forward(x)
    began = time.perf_counter()
    network.forward(x)
    return (time.perf_counter() - began) / (side * side * resolution)


def _duration(seconds: float) -> str:
    """Return "40 seconds", "12 minutes" or "3.5 hours"."""
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
