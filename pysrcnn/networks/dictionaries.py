"""Check the dictionaries for sparse coding in a file, see `sparse`."""

import math
from pathlib import Path

import numpy as np

from ..formats import Arrays, Refused, shown
from .values import check_numbers, check_sense

__all__ = ["check_dictionaries"]

# Limits, so that no file can fill a machine's memory or keep it busy for days.
_STEPS = 1000  # of FISTA
_COUNT = 4096  # of atoms, and of features; 1024 atoms are usual
_NUMBERS = 1 << 19  # in D_l: with more, its largest singular value takes seconds
_PRODUCTS = 1 << 25  # atoms times features times steps, 200 times those of the shipped dictionaries
_SIZES = 1e-6, 1e6  # the norm of D_l, whose columns usually have length 1


def check_dictionaries(parameters: Arrays, card: dict, path: Path) -> None:
    """Raise unless P, D_l and D_h fit each other and the card has their penalty and steps."""
    if sorted(parameters) != ["D_h", "D_l", "P"]:
        names = [shown(name) for name in sorted(parameters)[:20]]
        missing = [name for name in ("P", "D_l", "D_h") if name not in parameters]
        raise Refused(
            f"{path} holds {names}, wanted dictionaries, P, D_l and D_h"
            + (f": {' and '.join(missing)} missing" if missing else " alone")
        )
    for name, array in parameters.items():
        check_numbers(name, array, path)
    projection, low, high = (parameters[name] for name in ("P", "D_l", "D_h"))
    shape = projection.shape
    if len(shape) != 4 or shape[1] != 4 or shape[2] != shape[3] or shape[2] % 2 == 0 or 0 in shape:
        raise Refused(f"{path}: P has the shape {shape}, wanted (D, 4, f, f), f odd")
    if low.ndim != 2 or low.shape[0] != shape[0] or low.shape[1] == 0:
        raise Refused(f"{path}: D_l has the shape {low.shape}, wanted ({shape[0]}, A)")
    g = math.isqrt(high.shape[0]) if high.ndim == 2 else 0
    if g % 2 == 0 or high.shape != (g * g, low.shape[1]):
        raise Refused(
            f"{path}: D_h has the shape {high.shape}, wanted (g*g, {low.shape[1]}), g odd"
        )
    if max(low.shape) > _COUNT or low.size > _NUMBERS:
        raise Refused(
            f"{path}: D_l has {low.shape[1]:,} atoms of {low.shape[0]:,} features, and {_COUNT:,} "
            f"of either and {_NUMBERS:,} numbers are read at most"
        )
    length = np.linalg.norm(low.astype(np.float64))
    if not _SIZES[0] <= length <= _SIZES[1]:
        raise Refused(f"{path}: D_l has the length {length:.3g}, wanted columns of about 1")
    for name in ("P", "D_h"):
        check_sense(name, parameters[name], path)
    penalty, steps = card.get("penalty"), card.get("steps")
    if not isinstance(penalty, (int, float)) or not 0 <= penalty <= 1e6 or penalty is True:
        raise Refused(f"{path} is damaged: its card says penalty {penalty!r:.60}")
    if type(steps) is not int or not 1 <= steps <= _STEPS:
        raise Refused(f"{path} is damaged: its card says steps {steps!r:.60}, wanted 1 to {_STEPS}")
    if low.size * steps > _PRODUCTS:
        raise Refused(
            f"{path} is too slow to be used: {low.shape[1]:,} atoms, {low.shape[0]:,} features and "
            f"{steps} steps, whose product is more than {_PRODUCTS:,}"
        )
