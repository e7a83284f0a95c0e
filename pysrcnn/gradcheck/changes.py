"""What a mistake is: changes of operations, of the convolutions that a network calls."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

__all__ = ["Call", "Change", "Mistake", "groups", "scaled", "where"]

# What is changed: the operation, the layer, and change(right, *arguments), which is given the
# operation as it is without the change, and its arguments.
Change = tuple[str, int, Callable]


class Mistake(NamedTuple):
    """A mistake: a word for it, a sentence that says what is wrong, and the changes it makes."""

    kind: str
    words: str
    changes: list[Change]
    fitted: bool = False  # whether a number in it was chosen to fit


def scaled(factor: float, right, *arguments):
    """A change: what the operation gives, times a factor."""
    return right(*arguments) * factor


@dataclass
class Call:
    """A convolution that the network called, and the activation behind it.

    x, w, b : its arguments; wide : x with its padding; z : its result; activation : "relu", "tanh"
    or None; before, f : what that took (z as a rule) and gave (z if there is none); weights, biases
    : names of w and b; use : 1, or 2, ... where the same weights are used again.
    """

    x: np.ndarray
    w: np.ndarray
    b: np.ndarray
    wide: np.ndarray
    z: np.ndarray
    before: np.ndarray
    f: np.ndarray
    weights: str
    biases: str
    use: int
    activation: str | None = None

    @cached_property
    def label(self) -> str:
        """What follows F in the name of what it gives: "1", "_head", "_out1[2]"."""
        name = self.weights[1:] if self.weights[0] == "W" else f"_{self.weights}"
        return name if self.use == 1 else f"{name}[{self.use}]"

    @property
    def layer(self) -> str:
        """The layer in words: "1", "head", "W"."""
        return self.weights.removeprefix("W").strip("_") or "W"


def groups(calls: list[Call]) -> list[tuple[int, ...]]:
    """The numbers of the calls that use the same weights, of weights that are used repeatedly."""
    of = {c.weights: tuple(k for k, other in enumerate(calls, 1) if other.w is c.w) for c in calls}
    return [on for on in of.values() if len(on) > 1]


def where(on: tuple[int, ...], calls: list[Call]) -> str:
    """These layers in words: all of them, one, or one in some of its uses."""
    if len(on) == len(calls) > 1:
        return "in all layers"
    call = calls[on[0] - 1]
    uses = sum(other.w is call.w for other in calls)
    if uses == 1:
        return f"in layer {call.layer}"
    which = f"in use {call.use} of {uses}" if len(on) == 1 else f"in all its {uses} uses"
    return f"in layer {call.layer}, {which},"
