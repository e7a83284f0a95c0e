"""Mistakes of ReLU and of its mask: the gradient passes where z > 0, which no other array tells."""

import math

import numpy as np

from ..reference import relu
from .step import Change, Layers, Mistake

__all__ = ["of_other_activations", "of_relu", "sigmoid"]

_THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, -0.01, -0.05, -0.1, -0.5)


def of_relu(where: str, on: tuple[int, ...], layers: Layers) -> list[Mistake]:
    """Mistakes of the ReLU of some layers, forward and backward; the less likely ones come last."""
    return [
        *_of_masks(where, on, layers), *_of_values(where, on, layers), *_of_thresholds(where, on),
        *_of_one_use(where, on),
    ]  # fmt: skip


def _mask(on, change):
    return [("mask", k, lambda right, df, z, z_next: change(df, z)) for k in on]


def _of_masks(where, on, layers):
    """Other masks on the way back."""
    without_bias = []
    for k in on:
        b = layers[k - 1][1][:, None, None]
        without_bias.append(("mask", k, lambda right, df, z, z_next, b=b: df * (z - b > 0)))
    masks = [
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
        ("mask of sample 0", "is that of the first sample for all samples",
         _mask(on, lambda df, z: df * (z[:1] > 0))),
        ("mask of the last sample", "is that of the last sample for all samples",
         _mask(on, lambda df, z: df * (z[-1:] > 0))),
        ("mask of the sample before", "is that of the sample before, in each",
         _mask(on, lambda df, z: df * (np.roll(z, 1, 0) > 0))),
        ("mask of samples reversed", "has its samples in reverse order",
         _mask(on, lambda df, z: df * (z[::-1] > 0))),
        ("mask of filter 0", "is that of the first filter for all filters",
         _mask(on, lambda df, z: df * (z[:, :1] > 0))),
        ("mask before the bias", "is taken before the bias is added, wanted behind it",
         without_bias),
        ("mask shifted", "is shifted one row down",
         _mask(on, lambda df, z: df * (np.roll(z, 1, 2) > 0))),
        ("mask shifted", "is shifted one column right",
         _mask(on, lambda df, z: df * (np.roll(z, 1, 3) > 0))),
        ("mask flipped", "is turned by 180 degrees",
         _mask(on, lambda df, z: df * (z[:, :, ::-1, ::-1] > 0))),
        *((("mask of the next layer", f"is that of the layer after it, {how}",
            [("mask", k, lambda right, df, z, after, fit=fit: df * fit(after, z)) for k in on])
           for how, fit in _NEXT)),
    ]  # fmt: skip
    return [Mistake(kind, f"the mask of the ReLU {where} {words}", changes)
             for kind, words, changes in masks]  # fmt: skip


def _of_values(where, on, layers):
    """No ReLU, one in another place, or values and masks that change places."""
    no_mask = _mask(on, lambda df, z: df)
    no_relu = [("relu", k, lambda right, z: z) for k in on]
    early = [("dx", k + 1, lambda right, dz, x, w: right(dz, x, w) * (x > 0)) for k in on]
    kept = [("kept", k, lambda right, f, z: z) for k in on]
    next_layers = " and ".join(f"dW{k + 1}" for k in on)
    bias_last: list[Change] = []
    for k in on:
        b = layers[k - 1][1][:, None, None]
        bias_last += [
            ("conv", k, lambda right, x, w, b: right(x, w, 0 * b)),
            ("relu", k, lambda right, z, b=b: right(z) + b),
            ("into db", k, lambda right, dz, df: df),
        ]
    return [
        Mistake("activation as mask", f"the gradient is multiplied by the values {where}, wanted "
                "by 1 where they are positive", _mask(on, lambda df, z: df * relu(z))),
        Mistake("no ReLU", f"the ReLU {where} is missing", no_relu + no_mask),
        Mistake("no ReLU", f"the ReLU {where} is missing in the forward pass", no_relu),
        Mistake("bias after ReLU", f"the bias of {where.removeprefix('of ')} is added behind the "
                "ReLU, wanted before it", bias_last),
        Mistake("masked already", f"the gradient {where} has gone through the mask of the ReLU "
                "already, wanted the one before", early),
        Mistake("pre-activation", f"{next_layers} uses values {where} from before the ReLU", kept),
        Mistake("mask as activation", f"{next_layers} uses the mask (0 or 1) {where}, wanted the "
                "values", [("kept", k, lambda right, f, z: (z > 0) * 1.0) for k in on]),
    ]  # fmt: skip


def _of_thresholds(where, on):
    """Other limits than 0."""
    found = []
    for t in _THRESHOLDS:
        forward = [("relu", k, lambda right, z, t=t: np.where(z > t, z, 0)) for k in on]
        beyond = _mask(on, lambda df, z, t=t: df * (z > t))
        raised = [("relu", k, lambda right, z, t=t: np.maximum(z, t)) for k in on]
        wanted = "wanted 0"
        found += [
            Mistake("threshold of the mask", f"the mask of the ReLU {where} lets through where "
                    f"z > {t:g}, {wanted}", beyond),
            Mistake("threshold", f"the ReLU {where} lets through what is above {t:g}, forward and "
                    f"backward, {wanted}", forward + beyond),
            Mistake("threshold", f"the ReLU {where} lets through what is above {t:g} in the "
                    f"forward pass, {wanted}", forward),
            Mistake("lower limit", f"the ReLU {where} is max({t:g}, z), {wanted} in place of "
                    f"{t:g}", raised + beyond),
            Mistake("lower limit", f"the ReLU {where} is max({t:g}, z) in the forward pass, "
                    f"{wanted} in place of {t:g}", raised),
        ]  # fmt: skip
    return found


def _of_one_use(where, on):
    """A mask that is missing in some of what is computed from the gradient behind it."""
    found = []
    for what, operations in (
        (" and ".join(f"dW{k}" for k in on), ["dw"]),
        (" and ".join(f"dB{k}" for k in on), ["db"]),
        (" and ".join(f"dW{k} and dB{k}" for k in on), ["dw", "db"]),
        ("what goes back to the layer before", ["dx"]),
        ("dW and what goes back to the layer before", ["dw", "dx"]),
    ):
        changes = [(f"into {o}", k, lambda right, dz, df: df) for o in operations for k in on]
        found.append(Mistake("unmasked", f"the mask of the ReLU {where} is missing in {what} alone",
                             changes))  # fmt: skip
    return found


def _channels(after, z):
    """The mask of the next layer for as many filters: those that it has not are repeated."""
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


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), for any z."""
    return (1 + np.tanh(z / 2)) / 2


def _normal(z):
    """The distribution function of the normal distribution."""
    return (1 + np.vectorize(math.erf, otypes=[float])(z / np.sqrt(2))) / 2


def of_other_activations(where: str, on: tuple[int, ...]) -> list[Mistake]:
    """Other functions in the place of ReLU, with their derivatives."""
    density = 1 / np.sqrt(2 * np.pi)
    return [
        Mistake("another activation", f"the activation {where} is {name}, wanted ReLU",
                [("relu", k, lambda right, z, f=function: f(z)) for k in on]
                + [("mask", k, lambda right, df, z, z_next, s=slope: df * s(z)) for k in on])
        for name, function, slope in (
            ("ELU", lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
             lambda z: np.exp(np.minimum(z, 0))),
            ("GELU", lambda z: z * _normal(z),
             lambda z: _normal(z) + z * density * np.exp(-(z**2) / 2)),
            ("SiLU (Swish)", lambda z: z * sigmoid(z),
             lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
            ("tanh", np.tanh, lambda z: 1 - np.tanh(z) ** 2),
            ("sigmoid", sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
            ("softplus", lambda z: np.logaddexp(z, 0), sigmoid),
            ("the absolute value", np.abs, np.sign),
        )
    ]  # fmt: skip
