"""Mistakes of the loss and its gradient: other losses, wrong factors, parts left out."""

from collections.abc import Callable
from functools import partial

import numpy as np

from ..reference.loss import EPSILON
from .changes import Mistake, scaled
from .parts import of_loss_parts

__all__ = ["of_the_loss"]


def of_the_loss(high: np.ndarray, loss: str) -> list[Mistake]:
    """Losses other than `loss`, and wrong factors of the loss or its gradient."""
    found = []
    for factor, words in _factors(high, loss):
        scale = partial(scaled, factor)
        found += [
            Mistake("another factor of the loss", f"the loss and its gradient are {words}",
                    [("loss", 0, scale), ("dloss", 0, scale)]),
            Mistake("factor of the loss", f"the loss alone is {words}", [("loss", 0, scale)]),
            Mistake("factor of the gradient", f"the gradient of the loss, dF, is {words}",
                    [("dloss", 0, scale)]),
        ]  # fmt: skip
    whole = {"mse": "the mean of squares", "l1": "the mean of absolute differences",
             "charbonnier": f"the mean of sqrt(d^2 + {EPSILON:g}^2)"}[loss]  # fmt: skip
    that = whole.replace("the mean", "that")
    others: list[tuple[str, str, Callable, Callable]] = [
        ("absolute differences", f"is the mean of absolute differences, wanted {that}",
         lambda d: np.mean(np.abs(d)), lambda d: np.sign(d) / d.size),
        ("squares", f"is the mean squared error, wanted {that}", lambda d: np.mean(d**2),
         lambda d: 2 * d / d.size),
        ("squares", f"is half the mean squared error, wanted {that}", lambda d: np.mean(d**2) / 2,
         lambda d: d / d.size),
        ("Huber", "is that of Huber (smooth L1), linear where differences are above 1, wanted "
         f"{whole}", lambda d: np.mean(_huber(d)), lambda d: np.clip(d, -1, 1) / d.size),
        ("root", "is the root of the mean squared error", lambda d: np.sqrt(np.mean(d**2)),
         lambda d: d / d.size / np.sqrt(np.mean(d**2))),
        ("log cosh", f"is the mean of log(cosh(differences)), wanted {that}",
         lambda d: np.mean(np.log(np.cosh(d))), lambda d: np.tanh(d) / d.size),
        ("PSNR", "is minus the PSNR, 10 log10 of the mean squared error",
         lambda d: 10 * np.log10(np.mean(d**2)),
         lambda d: 20 / np.log(10) * d / np.sum(d**2)),
        *(("Charbonnier", f"is Charbonnier's, the mean of sqrt(d^2 + {e:g}^2), wanted "
           f"{that}", lambda d, e=e: np.mean(np.hypot(d, e)),
           lambda d, e=e: d / np.hypot(d, e) / d.size) for e in (1e-3, 1e-6, 0.1, 1e-2)),
    ]  # fmt: skip
    if loss == "l1":
        others.append((
            "absolute differences", f"is the mean of the positive differences alone, wanted {that}",
            lambda d: np.mean(np.maximum(d, 0)), lambda d: (d > 0) / d.size))  # fmt: skip
    own = {"mse": "is the mean squared", "l1": "is the mean of absolute",
           "charbonnier": f"is Charbonnier's, the mean of sqrt(d^2 + {EPSILON:g}^2)"}  # fmt: skip
    for kind, words, value, slope in others:
        if words.startswith(own[loss]) or loss == "mse" and kind == "squares":
            continue
        changes = [
            ("loss", 0, lambda right, out, high, f=value: f(out - high)),
            ("dloss", 0, lambda right, out, high, f=slope: f(out - high)),
        ]
        found += [
            Mistake(kind, f"the loss {words}", changes),
            Mistake(kind, f"the loss {words}; its gradient is right", changes[:1]),
            Mistake(kind, f"the gradient of the loss, dF, is of another loss: that {words}",
                    changes[1:]),
        ]  # fmt: skip
    return found + of_loss_parts()


def _huber(difference):
    far = np.abs(difference)
    return np.where(far < 1, far**2 / 2, far - 1 / 2)


def _factors(high: np.ndarray, loss: str) -> list[tuple[float, str]]:
    """Wrong factors of a loss or its gradient, with words for them."""
    n, pixels = len(high), high[0].size
    half = "a factor of 2 is missing" if loss == "mse" else "half of it"
    found = [
        (-1, "-1 times what is wanted: the wrong sign"),
        (1 / 2, f"1/2 times what is wanted: {half}"),
        (2, "2 times what is wanted: a factor of 2 too many"),
        (1 / n, f"1/{n} times what is wanted: divided by the {n} samples once too often"),
        (1 / pixels, f"1/{pixels} times what is wanted: divided by the {pixels} pixels of a "
         f"sample once too often"),
        (1 / high.size, f"1/{high.size} times what is wanted: divided by all {high.size} elements "
         f"once too often"),
    ]  # fmt: skip
    sums = [
        (n, f"a sum over the {n} samples"),
        (
            pixels,
            f"a mean over samples of the sum over a sample's {pixels} pixels, "
            "as in Eq. 4 of the SRCNN paper",
        ),
        (high.size, f"a sum over all {high.size} elements"),
    ]
    for factor, words in sums:
        found.append((factor, f"{factor} times what is wanted: {words}, not the mean over all"))
        found.append((factor / 2, f"{factor / 2:g} times what is wanted: half of {words}"))
    return found
