"""Mistakes of PReLU: in its mask, in its slopes, and in their gradients.

Slopes are learned, one for each channel. Where z is not positive, values and gradients are
multiplied by the slope, whose gradient is the sum of df z over these places.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .changes import Call, Change, Mistake, of_maps, scaled

__all__ = ["of_slopes"]


def of_slopes(on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Mistakes of the PReLU after some layers."""
    of = of_maps(on, calls) if len(on) <= 3 else "of all layers that have one"
    names = [slopes[1] for k in on if (slopes := calls[k - 1].slopes)]
    return _of_masks(of, on, calls) + _of_other_slopes(of, on, calls) + _of_gradients(names, on)


def _back(on: tuple[int, ...], calls: list[Call], change: Callable) -> list[Change]:
    """Changes that make the gradient through the PReLU change(df, z, slopes)."""
    return [("mask", k, partial(_mask, change, calls[k - 1])) for k in on]


def _mask(change: Callable, call: Call, right: Callable, df: np.ndarray, z: np.ndarray, after: Any):
    return change(df, z, _slopes(call))


def _forward(on: tuple[int, ...], calls: list[Call], change: Callable) -> list[Change]:
    """Changes that make the output of the PReLU change(z, slopes)."""
    return [("activation", k, partial(_given, change, calls[k - 1])) for k in on]


def _given(change: Callable, call: Call, right: Callable, z: np.ndarray) -> np.ndarray:
    return change(z, _slopes(call))


def _slopes(call: Call) -> np.ndarray:
    """The slopes of a layer, shaped to multiply maps."""
    return (call.slopes[0] if call.slopes else np.zeros(1))[:, None, None]


def _before_norm(call: Call, right: Callable, df: np.ndarray, z: np.ndarray, after: Any):
    return np.where(call.z > 0, df, _slopes(call) * df)


def _of_masks(of: str, on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Wrong derivatives in the backward pass."""
    ways: list[tuple[str, str, Callable]] = [
        ("no derivative", "is missing: the gradient goes back as it came", lambda df, z, a: df),
        ("mask of a ReLU", "is that of a ReLU: 0 where z is not positive, wanted the slope",
         lambda df, z, a: df * (z > 0)),
        ("inverted mask", "is inverted: the slope where z is positive, 1 elsewhere",
         lambda df, z, a: np.where(z > 0, a * df, df)),
        ("slope everywhere", "is the slope everywhere, wanted 1 where z is positive",
         lambda df, z, a: a * df),
        ("slope twice", "has the square of the slope: it is applied twice, wanted once",
         lambda df, z, a: np.where(z > 0, df, a * a * df)),
        ("mask of the gradient", "goes by the gradient's sign, wanted that of z",
         lambda df, z, a: np.where(df > 0, df, a * df)),
        ("slope added", "has 1 plus the slope where z is not positive, wanted the slope alone",
         lambda df, z, a: np.where(z > 0, df, (1 + a) * df)),
        ("mask of sample 0", "goes by the first sample for all samples",
         lambda df, z, a: np.where(z[:1] > 0, df, a * df)),
    ]  # fmt: skip
    found = [Mistake(kind, f"the derivative of the PReLU {of} {words}", _back(on, calls, change))
             for kind, words, change in ways]  # fmt: skip
    before: list[Change] = [
        ("mask", k, partial(_before_norm, calls[k - 1])) for k in on if calls[k - 1].norm
    ]
    if before:
        words = f"the derivative of the PReLU {of} goes by the sign of what the convolution gives, "
        found.append(Mistake("mask before batch normalisation", words + "before its batch "
                             "normalisation, wanted behind it", before))  # fmt: skip
    behind = [k for k in on if k < len(calls) and calls[k].x is calls[k - 1].f]
    if behind:
        names = " and ".join(f"d{calls[k].weights}" for k in behind)
        found.append(Mistake("pre-activation", f"{names} uses values from before the PReLU {of}",
                             [("kept", k + 1, lambda right, f, z: z) for k in behind]))  # fmt: skip
    return found


_FIXED = 0.25, 0.2, 0.1, 0.01
_OTHERS: list[tuple[str, Callable]] = [  # slopes used instead of the learned ones
    ("0 (a ReLU)", lambda a: 0 * a),
    ("1 (there is none)", lambda a: 0 * a + 1),
    *((f"{t:g}, whatever A is", partial(lambda t, a: 0 * a + t, t)) for t in _FIXED),
    ("that of the first channel for all channels", lambda a: 0 * a + a[:1]),
    ("the mean of all channels' for each", lambda a: 0 * a + a.mean()),
    ("that of the channel before", lambda a: np.roll(a, 1, 0)),
    ("those of the channels in reverse order", lambda a: a[::-1]),
    ("-A, wanted A", lambda a: -a),
]  # fmt: skip


def _of_other_slopes(of: str, on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Slopes other than A, forward, backward, or both."""
    found = []
    none: list[Change] = [("dslope", k, partial(scaled, 0)) for k in on]
    for name, other in _OTHERS:
        forward = _forward(on, calls, lambda z, a, f=other: np.where(z > 0, z, f(a) * z))
        back = _back(on, calls, lambda df, z, a, f=other: np.where(z > 0, df, f(a) * df))
        words = f"the slope of the PReLU {of} is {name}"
        kind = "other slope"
        found += [
            Mistake(kind, f"{words}, forward and backward alike", forward + back),
            Mistake(kind, f"{words}, in the forward pass", forward),
        ]
        if "(" not in name:  # otherwise `_of_masks` has it
            found.append(Mistake(kind, f"{words}, on the way back", back))
        if "whatever" in name or "(" in name:
            found.append(Mistake(kind, f"{words}, and its gradient is zero", forward + back + none))
    large = _forward(on, calls, lambda z, a: np.where(z > 0, a * z, z))
    large_back = _back(on, calls, lambda df, z, a: np.where(z > 0, a * df, df))
    of_large: list[Change] = [
        ("dslope", k, lambda right, df, z: np.where(z > 0, df * z, 0).sum((0, 2, 3))) for k in on
    ]
    return found + [
        Mistake("slope of the positive part", f"the PReLU {of} multiplies what is positive by its "
                "slope, wanted what is not", large + large_back + of_large),
        Mistake("slope of the positive part", f"the PReLU {of} multiplies what is positive by its "
                "slope, in the forward pass, wanted what is not", large),
    ]  # fmt: skip


def _of_gradients(names: list[str], on: tuple[int, ...]) -> list[Mistake]:
    """Wrong sums for the gradient of the slopes."""

    def low(right: Callable, df: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.where(z > 0, 0, df * z)

    ways: list[tuple[str, str, Callable]] = [
        ("slopes' gradient of the positive part", "summed where z is positive, wanted where it is "
         "not", lambda right, df, z: (df * z - low(right, df, z)).sum((0, 2, 3))),
        ("slopes' gradient of all", "summed over all places, wanted those alone where z is not "
         "positive", lambda right, df, z: (df * z).sum((0, 2, 3))),
        ("slopes' gradient without z", "summed without the factor z",
         lambda right, df, z: np.where(z > 0, 0, df).sum((0, 2, 3))),
        ("slopes' gradient of absolute values", "summed with |z|, wanted z",
         lambda right, df, z: -right(df, z)),
        ("one slope for all", "summed over all channels, as of one slope for all, wanted a sum for "
         "each channel", lambda right, df, z: np.full(z.shape[1], low(right, df, z).sum())),
        ("one slope for all", "averaged over the channels, wanted a sum for each channel",
         lambda right, df, z: np.full(z.shape[1], low(right, df, z).sum() / z.shape[1])),
        ("mean over samples", "averaged over the samples, wanted their sum",
         lambda right, df, z: right(df, z) / len(z)),
        ("mean over pixels", "averaged over the pixels, wanted their sum",
         lambda right, df, z: right(df, z) / z[0, 0].size),
        ("mean over samples and pixels", "averaged over samples and pixels, wanted their sum",
         lambda right, df, z: right(df, z) / z[:, 0].size),
        ("first sample alone", "that of the first sample alone, wanted the sum over all",
         lambda right, df, z: right(df[:1], z[:1])),
        ("last sample alone", "that of the last sample alone (overwritten, not added up?)",
         lambda right, df, z: right(df[-1:], z[-1:])),
        ("wrong sign", "of the wrong sign", partial(scaled, -1)),
        ("factor 2", "2 times what is wanted", partial(scaled, 2)),
        ("zero", "zero: never computed", partial(scaled, 0)),
    ]  # fmt: skip
    what = f"{', '.join(f'd{name}' for name in names)} {'are' if len(names) > 1 else 'is'}"
    found = []
    for kind, words, change in ways:
        found.append(Mistake(kind, f"{what} {words}", [("dslope", k, change) for k in on]))
    return found
