"""Mistakes of ReLU and tanh, and of the derivatives that multiply the gradient.

ReLU's derivative is a mask: the gradient passes where z > 0.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from ..reference import relu
from .changes import Call, Change, Mistake, of_maps

__all__ = ["SLOPES", "of_activations", "sigmoid"]

_THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, -0.01, -0.05, -0.1, -0.5)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), for any z."""
    return (1 + np.tanh(z / 2)) / 2


def _normal(z):
    """The distribution function of the standard normal distribution."""
    return (1 + np.vectorize(math.erf, otypes=[float])(z / np.sqrt(2))) / 2


def _tanh_of_gelu(z):
    """The tanh in GELU's approximation, z / 2 (1 + tanh(...))."""
    return np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))


def _slope_of_gelu(z):
    t = _tanh_of_gelu(z)
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return (1 + t + z * (1 - t**2) * inner) / 2


def _tanh_slope(z):
    return 1 - np.tanh(z) ** 2


SLOPES: dict[str, Callable] = {"relu": lambda z: z > 0, "tanh": _tanh_slope}  # of z
_FUNCTIONS: dict[str, Callable] = {"relu": relu, "tanh": np.tanh}
_NAMES = {"relu": "ReLU", "tanh": "tanh"}
_OTHERS: list[tuple[str, Callable, Callable]] = [  # a function, and its slope
    ("ReLU", relu, SLOPES["relu"]),
    ("ELU", lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
     lambda z: np.exp(np.minimum(z, 0))),
    ("GELU", lambda z: z * _normal(z),
     lambda z: _normal(z) + z / np.sqrt(2 * np.pi) * np.exp(-(z**2) / 2)),
    ("GELU by tanh", lambda z: z / 2 * (1 + _tanh_of_gelu(z)), _slope_of_gelu),
    ("SiLU (Swish)", lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
    ("tanh", np.tanh, _tanh_slope),
    ("sigmoid", sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    ("softplus", lambda z: np.logaddexp(z, 0), sigmoid),
    ("the absolute value", np.abs, np.sign),
    ("1.7159 tanh(2 z / 3), LeCun's", lambda z: 1.7159 * np.tanh(2 * z / 3),
     lambda z: 1.7159 * 2 / 3 * _tanh_slope(2 * z / 3)),
    ("a clamp to -1..1", lambda z: np.clip(z, -1, 1), lambda z: np.abs(z) < 1),
    ("softsign, z / (1 + |z|)", lambda z: z / (1 + np.abs(z)), lambda z: (1 + np.abs(z)) ** -2.0),
]  # fmt: skip


def of_activations(on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Mistakes of the activation of some layers, forward and backward, the least likely last.

    All these layers must have the same activation, "relu" or "tanh".
    """
    kind = calls[on[0] - 1].activation or ""
    of = of_maps(on, calls)
    found = _of_masks(kind, of, on, calls) + _of_values(kind, of, on, calls)
    if kind == "relu":
        found += _of_thresholds(of, on, calls)
    found += _of_one_use(kind, of, on, calls)
    return found + [
        Mistake("another activation", f"the activation {of} is {name}, wanted {_NAMES[kind]}",
                [("activation", k, lambda right, z, f=function: f(z)) for k in on]
                + _mask(on, lambda df, z, s=slope: df * s(z)))
        for name, function, slope in _OTHERS if name != _NAMES[kind]
        and not (kind == "relu" and function in (f for _, f, _ in _OTHERS[-3:]))
    ]  # fmt: skip


def _mask(on, change) -> list[Change]:
    return [("mask", k, lambda right, df, z, after: change(df, z)) for k in on]


def _words(kind: str) -> str:
    return {"relu": "the mask of the ReLU", "tanh": "the derivative of the tanh"}[kind]


def _of_masks(kind: str, of: str, on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Wrong masks or derivatives in the backward pass."""
    slope = SLOPES[kind]

    def other(change: Callable) -> list[Change]:
        """The derivative taken at other values."""
        return _mask(on, lambda df, z: df * slope(change(z)))

    def without_bias(right, df, z, after, b):
        return df * slope(z - b[:, None, None])

    own = _of_relu_masks(on, calls) if kind == "relu" else _of_tanh_slopes(on)
    masks: list[tuple[str, str, list[Change]]] = [
        *own,
        ("mask of sample 0", "is that of the first sample for all samples",
         other(lambda z: z[:1])),
        ("mask of the last sample", "is that of the last sample for all samples",
         other(lambda z: z[-1:])),
        ("mask of the sample before", "is that of the sample before, in each",
         other(lambda z: np.roll(z, 1, 0))),
        ("mask of samples reversed", "has its samples in reverse order",
         other(lambda z: z[::-1])),
        ("mask of filter 0", "is that of the first filter for all filters",
         other(lambda z: z[:, :1])),
        ("mask shifted", "is shifted one row down", other(lambda z: np.roll(z, 1, 2))),
        ("mask shifted", "is shifted one column right", other(lambda z: np.roll(z, 1, 3))),
        ("mask flipped", "is turned by 180 degrees", other(lambda z: z[:, :, ::-1, ::-1])),
    ]  # fmt: skip
    if not _shuffled(on, calls):
        early: list[Change] = [("mask", k, partial(without_bias, b=calls[k - 1].b)) for k in on]
        words = "is taken before the bias is added, wanted behind it"
        masks.append(("mask before the bias", words, early))
    return [Mistake(word, f"{_words(kind)} {of} {words}", changes)
            for word, words, changes in masks]  # fmt: skip


def _shuffled(on: tuple[int, ...], calls: list[Call]) -> bool:
    """Whether a layer is shuffled before its activation, so that biases do not match channels."""
    return any(calls[k - 1].before.shape[1] != len(calls[k - 1].b) for k in on)


def _of_relu_masks(on, calls: list[Call]) -> list[tuple[str, str, list[Change]]]:
    found = [
        ("no mask", "is missing in the backward pass (or lets everything through, as F >= 0 does)",
         _mask(on, lambda df, z: df)),
        ("mask of the gradient", "is taken from the gradient's sign, wanted that of z",
         _mask(on, lambda df, z: df * (df > 0))),
        ("mask of both", "asks for a positive gradient too",
         _mask(on, lambda df, z: df * (df > 0) * (z > 0))),
        ("inverted mask", "is inverted: it lets through what it should stop",
         _mask(on, lambda df, z: df * (z <= 0))),
        ("mask of signs", "is the sign of z, -1 or 1, wanted 0 or 1",
         _mask(on, lambda df, z: df * np.sign(z))),
    ]  # fmt: skip
    inner: list[Change] = [
        ("mask", k, lambda right, df, z, after, x=calls[k - 1].x: df * (x > 0))
        for k in on if calls[k - 1].x.shape == calls[k - 1].before.shape
    ]  # fmt: skip
    if inner:
        found.append(("mask of the input", "is that of what the layer takes, wanted of what it "
                      "gives", inner))  # fmt: skip
    if on[-1] < len(calls):
        found += [
            ("mask of the next layer", f"is that of the layer after it, {how}",
             [("mask", k, lambda right, df, z, after, fit=fit: df * fit(after, z)) for k in on])
            for how, fit in _NEXT
        ]  # fmt: skip
    return found


def _of_tanh_slopes(on) -> list[tuple[str, str, list[Change]]]:
    ways: list[tuple[str, str, Callable]] = [
        ("no derivative", "is missing in the backward pass", lambda z: 1),
        ("derivative of z", "is 1 - z^2, wanted 1 - F^2: its output squared, not its input",
         lambda z: 1 - z**2),
        ("derivative of F", "is taken at F, wanted at z: 1 - tanh(F)^2 in place of 1 - F^2",
         lambda z: _tanh_slope(np.tanh(z))),
        ("derivative not squared", "is 1 - F, wanted 1 - F^2", lambda z: 1 - np.tanh(z)),
        ("derivative without 1", "is F^2, wanted 1 - F^2", lambda z: np.tanh(z) ** 2),
        ("derivative of the wrong sign", "is 1 + F^2, wanted 1 - F^2",
         lambda z: 1 + np.tanh(z) ** 2),
        ("derivative negated", "is F^2 - 1, wanted 1 - F^2", lambda z: -_tanh_slope(z)),
        ("derivative squared", "is (1 - F^2)^2: it is applied twice, wanted once",
         lambda z: _tanh_slope(z) ** 2),
        ("derivative's root", "is 1 / cosh(z), wanted its square", lambda z: 1 / np.cosh(z)),
        ("sigmoid's derivative", "is F (1 - F), that of a sigmoid, wanted 1 - F^2",
         lambda z: np.tanh(z) * (1 - np.tanh(z))),
        ("ReLU's mask", "is 1 where F > 0 and 0 elsewhere, that of a ReLU, wanted 1 - F^2",
         SLOPES["relu"]),
    ]  # fmt: skip
    return [(kind, words, _mask(on, lambda df, z, s=slope: df * s(z)))
            for kind, words, slope in ways]  # fmt: skip


def _of_values(kind: str, of: str, on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Missing or misplaced activations, and values exchanged with derivatives."""
    function, slope, name = _FUNCTIONS[kind], SLOPES[kind], _NAMES[kind]
    as_f: Callable = {"relu": lambda f: f > 0, "tanh": lambda f: 1 - f**2}[kind]  # slope from F
    mask = {"relu": "mask", "tanh": "derivative"}[kind]
    no_mask = _mask(on, lambda df, z: df)
    identity: list[Change] = [("activation", k, lambda right, z: z) for k in on]
    behind = [k for k in on if k < len(calls)]
    early: list[Change] = [
        ("dx", k + 1, lambda right, dz, x, w: right(dz, x, w) * as_f(x)) for k in behind
    ]
    before: list[Change] = [("kept", k + 1, lambda right, f, z: z) for k in behind]
    slopes: list[Change] = [("kept", k + 1, lambda right, f, z: slope(z) * 1.0) for k in behind]
    next_layers = " and ".join(f"d{calls[k].weights}" for k in behind)
    wanted = "by 1 where they are positive" if kind == "relu" else "by 1 - F^2"
    bias_last: list[Change] = []
    for k in on:
        b = calls[k - 1].b[:, None, None]
        bias_last += [
            ("conv", k, lambda right, x, w, b: right(x, w, 0 * b)),
            ("activation", k, lambda right, z, b=b: right(z) + b),
            ("into db", k, lambda right, dz, df: df),
        ]
        if kind != "relu":  # ReLU's mask is computed from z, which lacks the bias already
            bias_last.append(("mask", k, lambda right, df, z, after: df * slope(z)))
    found = [
        Mistake(f"activation as {mask}", f"the gradient is multiplied by the values {of}, wanted "
                f"{wanted}", _mask(on, lambda df, z: df * function(z))),
        Mistake(f"no {name}", f"the {name} {of} is missing", identity + no_mask),
        Mistake(f"no {name}", f"the {name} {of} is missing in the forward pass",
                identity),
        Mistake(f"bias after {name}", f"the bias of {of.removeprefix('of ')} is added behind the "
                f"{name}, wanted before it", bias_last),
    ]  # fmt: skip
    if _shuffled(on, calls):
        found.pop()
    if not behind:
        return found
    return found + [
        Mistake("masked already", f"the gradient {of} has gone through {_words(kind)} already, "
                "wanted the one before", early),
        Mistake("pre-activation", f"{next_layers} uses values {of} from before the {name}", before),
        Mistake(f"{mask} as activation", f"{next_layers} uses the {mask} "
                f"{'(0 or 1) ' if kind == 'relu' else ''}{of}, wanted the values", slopes),
    ]  # fmt: skip


def _of_thresholds(of: str, on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Thresholds other than 0."""
    found = []
    least = min(calls[k - 1].before.min() for k in on)
    for t in _THRESHOLDS:
        if t < least:  # the same as no ReLU, or no mask
            continue
        forward: list[Change] = [
            ("activation", k, lambda right, z, t=t: np.where(z > t, z, 0)) for k in on
        ]
        beyond = _mask(on, lambda df, z, t=t: df * (z > t))
        raised: list[Change] = [
            ("activation", k, lambda right, z, t=t: np.maximum(z, t)) for k in on
        ]
        wanted = "wanted 0"
        found += [
            Mistake("threshold of the mask", f"the mask of the ReLU {of} lets through where "
                    f"z > {t:g}, {wanted}", beyond),
            Mistake("threshold", f"the ReLU {of} lets through what is above {t:g}, forward and "
                    f"backward, {wanted}", forward + beyond),
            Mistake("threshold", f"the ReLU {of} lets through what is above {t:g} in the "
                    f"forward pass, {wanted}", forward),
            Mistake("lower limit", f"the ReLU {of} is max({t:g}, z), {wanted} in place of "
                    f"{t:g}", raised + beyond),
            Mistake("lower limit", f"the ReLU {of} is max({t:g}, z) in the forward pass, "
                    f"{wanted} in place of {t:g}", raised),
        ]  # fmt: skip
    return found


def _of_one_use(kind: str, of: str, on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """The derivative missing in only some of dW, dB and dx, all of which need it."""
    found = []
    names = {f"d{calls[k - 1].weights}": f"d{calls[k - 1].biases}" for k in on}
    for what, operations in (
        (" and ".join(names), ["dw"]),
        (" and ".join(names.values()), ["db"]),
        (" and ".join(f"{dw} and {db}" for dw, db in names.items()), ["dw", "db"]),
        ("what goes back to the layer before", ["dx"]),
        ("dW and what goes back to the layer before", ["dw", "dx"]),
    ):
        changes: list[Change] = [
            (f"into {o}", k, lambda right, dz, df: df) for o in operations for k in on
        ]
        words = f"{_words(kind)} {of} is missing in {what} alone"
        found.append(Mistake("unmasked", words, changes))
    return found


def _channels(after, z):
    """The mask of the next layer, its channels repeated to as many as z has."""
    return np.take(after > 0, np.arange(z.shape[1]) % after.shape[1], 1)


def _placed(top, left, fill):
    def fit(after, z):
        mask = np.full(z.shape, fill)
        lost = [n - m for n, m in zip(z.shape[2:], after.shape[2:], strict=True)]
        i, j = int(lost[0] * top), int(lost[1] * left)
        mask[:, :, i : i + after.shape[2], j : j + after.shape[3]] = _channels(after, z)
        return mask

    return fit


def _widened(after, z):
    lost = [n - m for n, m in zip(z.shape[2:], after.shape[2:], strict=True)]
    margins = [(n // 2, n - n // 2) for n in lost]
    return np.pad(_channels(after, z), ((0, 0), (0, 0), *margins), mode="edge")


_NEXT = [
    ("in its middle", _placed(0.5, 0.5, False)),
    ("in its middle, and 1 around it", _placed(0.5, 0.5, True)),
    ("in its upper left corner", _placed(0, 0, False)),
    ("in its upper left corner, and 1 elsewhere", _placed(0, 0, True)),
    ("widened to its size", _widened),
]
