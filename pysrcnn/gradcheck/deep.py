"""Mistakes of deep networks: in skips, in weights used repeatedly, in weighted sums.

A value that reaches the loss by several paths has a gradient that is a sum, of which each term can
be lost: the one along a skip, or one from each place where the same weights are used.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import reference
from ..networks import DRCN, EDSR, VDSR, VESPCN, SRResNet
from .changes import Call, Change, Mistake, groups, scaled, ways
from .motions import of_motion
from .planted import Step
from .skips import Skip, skips

__all__ = ["of_deep"]


def of_deep(step: Step, calls: list[Call]) -> list[Mistake]:
    """Mistakes that only deep networks have; none for a chain of layers."""
    found = _of_skips(skips(step.network)) + _of_uses(calls)
    if isinstance(step.network, VDSR):
        found.append(_of_residual(step))
    if isinstance(step.network, DRCN):
        found += _of_shares(step) + _of_averaging(step.network.recursions)
    if isinstance(step.network, EDSR):
        found += _of_scale(step.network.options["residual_scale"])
        found += _of_colour(step.network.options["mean"])
    if isinstance(step.network, VESPCN):
        found += of_motion(step.network)
    if isinstance(step.network, (EDSR, SRResNet, VESPCN)):
        found += _of_picture(step.network.options["picture"])
    return found


# ------------------------------------------------------------------------------------------ skips


def _of_skips(known: list[Skip]) -> list[Mistake]:
    each = [(f"the skip {skip.words}", [number]) for number, skip in enumerate(known, 1)]
    blocks = [n for n, skip in enumerate(known, 1) if skip.words.startswith("past block")]
    if len(blocks) > 1:
        each.append(("the skips past the blocks", blocks))
    found = []
    for what, numbers in each:
        be = "are" if len(numbers) > 1 else "is"
        factors = {number: known[number - 1].factor for number in numbers}
        missing: list[Change] = [("skip", n, partial(_without, t)) for n, t in factors.items()]
        lost: list[Change] = [("past", n, partial(_times, 0.0, t)) for n, t in factors.items()]
        twice: list[Change] = [("past", n, partial(_times, 2.0, t)) for n, t in factors.items()]
        found += [
            Mistake("skip's gradient", f"the gradient that goes back along {what} is dropped, "
                    "wanted the sum of what goes past the layers and through them", lost),
            Mistake("no skip", f"{what} {be} missing, forward and backward alike", missing + lost),
            Mistake("no skip forward", f"{what} {be} missing in the forward pass", missing),
            Mistake("skip's gradient twice", f"the gradient that goes back along {what} is added "
                    "twice", twice),
        ]  # fmt: skip
        if t := next((t for t in factors.values() if t != 1), 0):
            again: list[Change] = [("past", n, partial(_times, t, t)) for n in numbers]
            found.append(Mistake(
                "skip's gradient scaled", f"the gradient that goes back along {what} is multiplied "
                f"by {t:g} too, wanted that of the block's convolutions alone", again))  # fmt: skip
    return found


def _of_residual(step: Step) -> Mistake:
    slope = getattr(reference, f"{step.loss}_backward")
    change: Change = ("dloss", 0, lambda right, out, high: slope(out - step.low, high))
    return Mistake("gradient of the residual", "the gradient of the loss, dF, is computed from "
                   "the residual alone, wanted from the output, which has the input in it",
                   [change])  # fmt: skip


def _without(factor: float, right: Callable, z: np.ndarray, start: np.ndarray) -> np.ndarray:
    return right(z) - start / factor


def _times(count: float, factor: float, right: Callable, dx: np.ndarray, *past: np.ndarray) -> Any:
    """Count the gradient along the skip `count` times; `past` holds it times `factor`."""
    return right(dx) + (count - 1) / factor * sum(past)


# ------------------------------------------------------------------------- weights used repeatedly


def _of_uses(calls: list[Call]) -> list[Mistake]:
    """Mistakes in gradients of weights used several times, which are sums over the uses."""
    shared = groups(calls)
    together = [(f"{len(on)} times", [calls[on[0] - 1]], [on]) for on in shared]
    if len(shared) > 1:
        together.append(("several times", [calls[on[0] - 1] for on in shared], shared))
    found = []
    for times, layers, sets in together:
        for operations in (["dw", "db"], ["dw"], ["db"]):
            names = [f"d{name}" for call in layers for o, name in
                     (("dw", call.weights), ("db", call.biases)) if o in operations]  # fmt: skip
            be = "are" if len(names) > 1 else "is"
            start = f"{', '.join(names)}, of weights that are used {times}, {be}"
            for kind, words, count in _COUNTS:
                changes: list[Change] = [
                    (o, k, partial(scaled, factor))
                    for o in operations
                    for on in sets
                    for k, factor in zip(on, count(len(on)), strict=True)
                    if factor != 1
                ]
                found.append(Mistake(kind, f"{start} {words}", changes))
    return found + _of_cuts(calls, shared)


def _only(index: int) -> Callable[[int], list[float]]:
    return lambda n: [float(k % n == index % n) for k in range(n)]


_COUNTS: list[tuple[str, str, Callable[[int], list[float]]]] = [
    ("last use alone", "that of the last use (recursion) alone, wanted the sum over all uses",
     _only(-1)),
    ("first use alone", "that of the first use (recursion) alone: overwritten on the way back, "
     "wanted the sum over all uses", _only(0)),
    ("mean over uses", "averaged over the uses (recursions), wanted their sum",
     lambda n: [1 / n] * n),
    ("last use missing", "without the last use (recursion), wanted the sum over all uses",
     lambda n: [1.0] * (n - 1) + [0.0]),
    ("first use missing", "without the first use (recursion), wanted the sum over all uses",
     lambda n: [0.0] + [1.0] * (n - 1)),
]  # fmt: skip


def _of_cuts(calls: list[Call], shared: list[tuple[int, ...]]) -> list[Mistake]:
    """The gradient cut off between one recursion and the one before."""
    found = []
    for on in shared:
        inner = [k for before, k in zip(on, on[1:], strict=False)
                 if calls[k - 1].x is calls[before - 1].f]  # fmt: skip
        name = f"layer {calls[on[0] - 1].layer}"
        if inner:
            found.append(Mistake(
                "cut off between uses", "the gradient does not go back from one recursion of "
                f"{name} to the one before (detached), wanted through all",
                [("dx", k, partial(scaled, 0)) for k in inner]))  # fmt: skip
    return found


# ------------------------------------------------------------------------------- DRCN's two sums


def _of_shares(step: Step) -> list[Mistake]:
    """Wrong shares of the loss; right are 1 - alpha for the output, alpha / D for each picture."""
    alpha = step.alpha
    each = "the losses of the pictures after each recursion"
    others: list[tuple[str, str, Callable[[int], list[float]]]] = [
        ("no 1/D", f"{each} are summed, wanted their mean (1/D is missing)",
         lambda n: [1 - alpha] + [alpha] * n),
        ("no alpha", f"{each} are not multiplied by alpha",
         lambda n: [1 - alpha] + [1 / n] * n),
        ("no alpha", "the loss of the output is not multiplied by 1 - alpha",
         lambda n: [1.0] + [alpha / n] * n),
        ("no alpha", f"{each} are not multiplied by alpha, nor that of the output by 1 - alpha",
         lambda n: [1.0] + [1 / n] * n),
        ("no alpha, no 1/D", f"{each} are summed as they are, without alpha and 1/D",
         lambda n: [1 - alpha] + [1.0] * n),
        ("no alpha, no 1/D", f"{each} and of the output are summed as they are, without alpha and "
         "1/D", lambda n: [1.0] * (n + 1)),
        ("alpha exchanged", f"alpha and 1 - alpha are exchanged: alpha is the share of {each}, "
         "wanted so", lambda n: [alpha] + [(1 - alpha) / n] * n),
        ("no loss of the pictures", f"{each} are missing", lambda n: [1 - alpha] + [0.0] * n),
        ("no loss of the pictures", f"{each} are missing, and alpha too",
         lambda n: [1.0] + [0.0] * n),
        ("no loss of the output", "the loss of the output (the weighted sum) is missing",
         lambda n: [0.0] + [alpha / n] * n),
        ("mean of all losses", f"{each} and of the output are averaged, wanted shares of alpha and "
         "1 - alpha", lambda n: [1 / (n + 1)] * (n + 1)),
        ("last picture alone", f"of {each}, the last alone counts",
         lambda n: [1 - alpha] + [0.0] * (n - 1) + [alpha]),
    ]  # fmt: skip
    found = []
    for kind, words, shares in others:
        change = partial(_other_shares, shares)
        loss: list[Change] = [("shares", 0, change)]
        gradient: list[Change] = [("dshares", 0, change)]
        found += [
            Mistake(kind, words, loss + gradient),
            Mistake(kind, f"{words}, in the loss alone", loss),
            Mistake(kind, f"{words}, in the gradient of the loss alone", gradient),
        ]
    return found


def _other_shares(shares: Callable, right: Callable, recursions: int) -> list[float]:
    return shares(recursions)


def _of_averaging(recursions: int) -> list[Mistake]:
    """Mistakes in the weights w_d of the output, which is the sum of w_d y_d."""
    others: list[tuple[str, Callable]] = [
        ("1/D: y_d are averaged, and w is not used", lambda w: np.full_like(w, 1 / w.size)),
        ("1: y_d are summed, and w is not used", np.ones_like),
        ("w_d / (sum of w): normalized, wanted as they are", lambda w: w / w.sum()),
        ("the softmax of w, wanted w itself", lambda w: np.exp(w) / np.exp(w).sum()),
        ("w in reverse order", lambda w: w[::-1]),
    ]
    no_dot: list[Change] = [("dot", 0, partial(scaled, 0))]
    found = []
    for words, other in others:
        forward: list[Change] = [("averaging", 0, lambda right, w, f=other: f(w))]
        back: list[Change] = [("averaging back", 0, lambda right, w, f=other: f(w))]
        what = f"the weights of the sum of y_1, ..., y_{recursions} are {words}"
        found += ways("weights of the sum", what, forward, back)
        if "not used" in words:
            found.append(Mistake("weights of the sum", f"{what}: dw is zero",
                                 forward + back + no_dot))  # fmt: skip
    for words, change in (
        ("zero: never computed", partial(scaled, 0)),
        ("of the wrong sign", partial(scaled, -1)),
        ("averaged over the elements, wanted the sum of the products of doutput and y_d",
         lambda right, a, b: right(a, b) / a.size),
        ("averaged over the samples, wanted the sum of the products of doutput and y_d",
         lambda right, a, b: right(a, b) / len(a)),
    ):  # fmt: skip
        found.append(Mistake("gradient of w", f"dw is {words}", [("dot", 0, change)]))
    return found


# ------------------------------------------------------------------------------- EDSR's options


def _with(**other: Any) -> Callable:
    return lambda right, options: {**options, **other}


def _of_scale(t: float) -> list[Mistake]:
    found = []
    for other in sorted({1.0, 0.1, t * t} - {t}):
        is_none = other == 1
        what = "not scaled" if is_none else f"multiplied by {other:g}"
        change = _with(residual_scale=other)
        found += ways(
            "residual scale", f"what a block adds is {what}, wanted {t:g} times it,",
            [("options", 0, change)], [("options back", 0, change)],
        )  # fmt: skip
    return found


def _of_colour(mean: list[float]) -> list[Mistake]:
    if not any(mean):
        return []
    colour = np.reshape(mean, (-1, 1, 1))
    not_taken: list[Change] = [("input", 0, lambda right, x: x + colour)]
    return [
        Mistake("mean colour", "the mean colour is neither subtracted from the input nor added to "
                "the output", [("options", 0, _with(mean=[]))]),
        Mistake("mean colour", "the mean colour is not subtracted from the input", not_taken),
        Mistake("mean colour", "the mean colour is not added to the output",
                [("output", 0, lambda right, y: y - colour)]),
    ]  # fmt: skip


def _of_picture(picture: bool) -> list[Mistake]:
    if not picture:
        return []  # `mistakes` lists a picture added by mistake, for all networks
    change = _with(picture=False)
    return ways("no skip", "the skip from the small picture to the output is missing,",
                 [("options", 0, change)], [("options back", 0, change)])  # fmt: skip
