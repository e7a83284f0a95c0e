"""Mistakes with one number in them, which is fitted to the given gradients."""

from collections.abc import Callable
from functools import partial

import numpy as np

from .apart import dw_of
from .changes import Call, Change, Mistake, scaled

__all__ = ["clipped", "fitted", "own_factor"]


def fitted(calls: list[Call]) -> list[Callable[[float], Mistake]]:
    """Mistakes as functions of a number t, in which gradients are linear to first order."""
    every = range(1, len(calls) + 1)
    layers = [(c, tuple(k for k in every if calls[k - 1].w is c.w)) for c in calls if c.use == 1]
    all_of_them = [(operation, k) for k in every for operation, *_ in calls[k - 1].gradients]
    places = [
        ("the loss and its gradient are", [("loss", 0), ("dloss", 0)]),
        ("the loss alone is", [("loss", 0)]),
        ("the gradient of the loss, dF, is", [("dloss", 0)]),
        *((f"d{name} is", [(o, k) for k in on]) for c, on in layers for o, name, _ in c.gradients),
        *((f"d{c.weights} and d{c.biases} are", [(o, k) for k in on for o in ("dw", "db")])
          for c, on in layers if c.biases),
        *((f"the gradient of {_taken(calls, k)} is", [("dx", k)]) for k in every),
    ]  # fmt: skip
    first = tuple(on[0] for _, on in layers)  # a term added to a sum is added once
    several: list[tuple[str, tuple[int, ...]]] = [(f"d{c.weights}", on[:1]) for c, on in layers]
    several += [("dW in all layers", first)]
    rectified = tuple(k for k in every if calls[k - 1].activation == "relu")
    relus: list[tuple[str, tuple[int, ...]]] = [
        (f"ReLU of F{calls[k - 1].label} is", (k,)) for k in rectified
    ]
    relus += [("ReLUs of all layers are", rectified)] if len(rectified) > 1 else []
    sloping = [(what, on, way) for what, on in relus for way in ("", " in the forward pass")]
    return [
        *(partial(_constant_factor, "constant factor", *place) for place in places),
        partial(_constant_factor, "common factor", f"{_all(calls)} are", all_of_them),
        *(partial(_weight_decay, *place) for place in several),
        partial(_decay_of_all, calls),
        *(partial(_regularized, calls, *way) for way in _REGULARIZED),
        *(partial(_leaky, *place) for place in sloping),
        partial(_updated, every),
    ]


def _taken(calls: list[Call], k: int) -> str:
    """Name a layer's input: low, the output of a layer before, or something else it takes."""
    if k == 1:
        return "low"
    x = calls[k - 1].x
    before = [c for c in calls[: k - 1] if c.f is x and c.z.shape == x.shape]  # not shuffled
    return f"F{before[0].label}" if before else f"what layer {calls[k - 1].layer} takes"


def _all(calls: list[Call]) -> str:
    """Name the gradients of all parameters: "dW and dB in all layers"."""
    *more, last = dict.fromkeys(f"d{name[0]}" for c in calls for _, name, _ in c.gradients)
    return f"{', '.join(more)} and {last} in all layers"


def _parameters(calls: list[Call]) -> str:
    return "parameters" if any(c.norm or c.slopes for c in calls) else "weights and biases"


def clipped(calls: list[Call], most: float) -> Mistake:
    """The gradients of all parameters are clipped by value."""

    def change(right, *arguments):
        return np.clip(right(*arguments), -most, most)

    words = f"{_all(calls)} are clipped to -{most:.6g}..{most:.6g}, wanted as they are"
    changes = [(o, k, change) for k, call in enumerate(calls, 1) for o, *_ in call.gradients]
    return Mistake("clipped by value", words, changes, fitted=True)


def own_factor(calls: list[Call], names: list[str], t: float) -> Mistake:
    """The gradients of these parameters, and nothing else, are t times those wanted."""
    be = "are" if len(names) > 1 else "is"
    what = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    operations = [
        (operation, k)
        for k, call in enumerate(calls, 1)
        for operation, name, _ in call.gradients
        if f"d{name}" in names
    ]
    return _constant_factor("constant factor", f"{what} {be}", operations, t)


def _constant_factor(kind, what, operations, t):
    inverse = round(1 / t) if abs(t) > 1e-4 else 0
    plain = abs(inverse) > 1 and abs(inverse * t - 1) < 1e-5 and abs(inverse) < 1000
    number = f"{np.sign(inverse):.0f}/{abs(inverse)}" if plain else f"{t:.6g}"
    words = f"{what} {number} times what is wanted, everywhere"
    if t == 0:
        words = f"{what} zero everywhere: never computed, or cut off (detached) from the loss"
    return Mistake(kind, words, [(*o, partial(scaled, t)) for o in operations])


def _weight_decay(what, on, t):
    def change(right, dz, x, w):
        return right(dz, x, w) + t * w

    words = (
        f"{what} has {t:.4g} times the weights added (weight decay), wanted the gradient of the "
        "loss alone"
    )
    return Mistake("weight decay", words, [("dw", k, change) for k in on])


def _decay_of_all(calls, t):
    def change(right, *arguments, p):
        return right(*arguments) + t * p

    changes: list[Change] = [
        (operation, k, partial(change, p=p))
        for k, call in enumerate(calls, 1)
        if call.use == 1
        for operation, _, p in call.gradients
    ]
    words = (
        f"{_all(calls)} have {t:.4g} times the {_parameters(calls)} added (weight decay), wanted "
        "the gradient of the loss alone"
    )
    return Mistake("weight decay", words, changes)


_REGULARIZED = [
    (False, True), (True, True), (False, False),
]  # fmt: skip


def _regularized(calls, biases, backward, t):
    added = t / 2 * sum(np.sum(p**2) for c in calls if c.use == 1
                        for _, _, p in c.gradients[: None if biases else 1])  # fmt: skip
    changes: list[Change] = [("loss", 0, lambda right, out, high: right(out, high) + added)]
    if backward:
        changes += (_decay_of_all(calls, t) if biases else _weight_decay(
            "", [k for k, c in enumerate(calls, 1) if c.use == 1], t)).changes  # fmt: skip
    words = f"the loss has {t / 2:.4g} times the squares of all "
    words += f"{_parameters(calls) if biases else 'weights'} added (weight decay)"
    return Mistake("regularized loss", words + (", wanted that of the pictures alone"), changes)


def _leaky(what, on, way, t):
    def leaky(right, z):
        return np.where(z > 0, z, t * z)

    def mask(right, df, z, after):
        return np.where(z > 0, df, t * df)

    words = f"the {what} leaky{way}, of slope {t:.6g} for negative values, wanted 0 there"
    changes: list[Change] = [("activation", k, leaky) for k in on]
    changes += [] if way else [("mask", k, mask) for k in on]
    return Mistake("leaky ReLU", words, changes)


def _updated(on, t):
    def change(right, dz, x, w):
        return right(dz, x, w - t * dw_of(dz, x, w))

    words = (
        f"the weights were updated (learning rate {t:.3g}) before the gradient went through them, "
        "wanted the weights of the forward pass"
    )
    return Mistake("updated weights", words, [("dx", k, change) for k in on])
