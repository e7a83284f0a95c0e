"""What a mistake is: a list of changes to the operations that a network calls."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

__all__ = ["Call", "Change", "Mistake", "Norm", "groups", "of_maps", "scaled", "ways", "where"]

# The operation, the layer, and change(right, *arguments), which replaces the operation: `right` is
# the operation without this change.
Change = tuple[str, int, Callable]


class Mistake(NamedTuple):
    """A mistake: a word for it, a sentence that says what is wrong, and the changes it makes."""

    kind: str
    words: str
    changes: list[Change]
    fitted: bool = False  # whether a number in it was chosen to fit


def scaled(factor: float, right, *arguments):
    """A change that multiplies the operation's result by a factor."""
    return right(*arguments) * factor


class Norm(NamedTuple):
    """The parameters of a batch normalisation, and their names."""

    gamma: np.ndarray
    beta: np.ndarray
    names: tuple[str, str]


def ways(kind: str, what: str, forward: list[Change], back: list[Change]) -> list[Mistake]:
    """A mistake in both passes, in the forward pass alone, and in the backward pass alone."""
    return [
        Mistake(kind, f"{what.rstrip(',')}, forward and backward alike", forward + back),
        Mistake(kind, f"{what} in the forward pass", forward),
        Mistake(kind, f"{what} on the way back", back),
    ]


@dataclass
class Call:
    """A convolution that the network called, and what follows it.

    x, w, b : its arguments; wide : x with padding; z : its result; activation : "relu", "prelu",
    "tanh" or None; before, f : input (usually z) and output of the activation (without one, f is
    `before`); weights, biases : names of w and b, "" for biases before batch normalisation, which
    has beta; use : 1, or 2, ... where the same weights are used again; norm : batch normalisation,
    if any; slopes : those of PReLU, and their name.
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
    norm: Norm | None = None
    slopes: tuple[np.ndarray, str] | None = None

    @cached_property
    def label(self) -> str:
        """The part after F in the name of its output: "1", "_head", "_out1[2]"."""
        name = self.weights[1:] if self.weights[0] == "W" else f"_{self.weights}"
        return name if self.use == 1 else f"{name}[{self.use}]"

    @property
    def layer(self) -> str:
        """The layer in words: "1", "head", "W"."""
        return self.weights.removeprefix("W").strip("_") or "W"

    @property
    def gradients(self) -> list[tuple[str, str, np.ndarray]]:
        """For each parameter: the operation that computes its gradient, its name, its array."""
        found = [("dw", self.weights, self.w)]
        if self.biases:
            found.append(("db", self.biases, self.b))
        if self.norm:
            of_gamma, of_beta = self.norm.names
            found += [("dgamma", of_gamma, self.norm.gamma), ("dbeta", of_beta, self.norm.beta)]
        if self.slopes:
            found.append(("dslope", self.slopes[1], self.slopes[0]))
        return found


def groups(calls: list[Call]) -> list[tuple[int, ...]]:
    """Numbers of the calls that share weights, for all weights used more than once."""
    of = {c.weights: tuple(k for k, other in enumerate(calls, 1) if other.w is c.w) for c in calls}
    return [on for on in of.values() if len(on) > 1]


def of_maps(on: tuple[int, ...], calls: list[Call]) -> str:
    """Describe outputs of layers in words: "of F1", "of each of F1, F2 and F3"."""
    *names, last = (f"F{calls[k - 1].label}" for k in on)
    return f"of each of {', '.join(names)} and {last}" if names else f"of {last}"


def where(on: tuple[int, ...], calls: list[Call]) -> str:
    """Describe layers in words: all layers, one layer, or some uses of one."""
    if len(on) == len(calls) > 1:
        return "in all layers"
    call = calls[on[0] - 1]
    uses = sum(other.w is call.w for other in calls)
    if uses == 1:
        return f"in layer {call.layer}"
    which = f"in use {call.use} of {uses}" if len(on) == 1 else f"in all its {uses} uses"
    return f"in layer {call.layer}, {which},"
