"""Search for mistakes: run steps that contain them and compare with the given numbers."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .changes import Change, Mistake
from .fitted import fitted
from .mistakes import mistakes
from .planted import Enough, Planted, Step

__all__ = ["Search", "leads_on", "relative_error"]


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference over the largest value wanted; inf for other shapes, nan or inf."""
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return np.inf
    largest = np.abs(wanted).max()
    difference = np.abs(got.astype(np.float64) - wanted).max()
    return float(difference / largest) if largest > 0 else (np.inf if difference else 0.0)


def leads_on(name: str) -> bool:
    """Whether all that follows is computed from a quantity: true of values and their gradients."""
    return name.removeprefix("d")[0] in "Fo"


# Operations whose results are used for a single gradient, or the loss, alone.
_ENDS = {"dw", "db", "dgamma", "dbeta", "dslope"}
_INTO = {"kept": "dw", "into dw": "dw", "into db": "db"}  # operations that lead only to these
_BESIDE = {"loss", "into dx", *_ENDS, *_INTO}
_LATER = {"dshares", "options back", "averaging back"}  # used throughout the backward pass


# Changes of the first layer that only dlow tells from none, or from no mask at all.
_FIRST: list[set[tuple[str, int]]] = [{("dx", 1)}, {("into dw", 1), ("into db", 1)}]


class Search:
    """Compares passes that contain mistakes with given numbers; arguments as for `diagnose`."""

    def __init__(self, given: dict[str, np.ndarray], step: Step, tolerance: float):
        self.given, self.step, self.tolerance = given, step, tolerance
        self.known: dict = {}
        self.compared: dict[tuple, dict[str, bool]] = {}
        self.passes = 0
        self.trace = self.keep([])
        self.listed, self.families = mistakes(step, self.trace), fitted(self.trace.calls)
        if "dlow" not in given:  # only dlow shows the gradient through the first layer
            self.listed = [m for m in self.listed if {c[:2] for c in m.changes} not in _FIRST]
        self.right = self.trace.values
        self.order = [name for name in self.right if name in given]
        far = [n for n in self.order if relative_error(given[n], self.right[n]) > tolerance]
        self.fine = [name for name in self.order if name not in far]

    def run(self, changes: list[Change], **options: Any) -> Planted:
        """Run one pass."""
        self.passes += 1
        return self.step.run(changes, known=self.known, **options)

    def keep(self, changes: list[Change]) -> Planted:
        """Run a pass whose results later ones, with more changes, will share."""
        return self.run(changes, keep=True)

    def fits(self, name):
        """Whether a given quantity has the right shape."""
        return self.given[name].shape == self.right[name].shape

    def differs(self, name, value):
        """Whether a value of a quantity differs from the given one."""
        if value is self.right.get(name):
            return name not in self.fine
        given, zero = self.given[name], self.tolerance * np.abs(self.right[name]).max()
        if given.shape == value.shape and np.abs(given).max() < zero > np.abs(value).max():
            return False  # both are 0 up to rounding
        return relative_error(given, value) > self.tolerance

    def wrong(self, changes: list[Change], names: Iterable[str]) -> Iterator[str]:
        """Yield those of these quantities that differ from the given ones."""
        compared = self.compared.setdefault(tuple(changes), {})
        for name in names:
            while name not in compared:  # first up to the first wrong value, then to the end
                self._compare(changes, compared, names if not compared else ())
            if compared[name]:
                yield name

    def _compare(self, changes, compared: dict[str, bool], until) -> None:
        """Run a pass and compare its values, up to the first wrong one among `until`."""

        def report(name: str, value: np.ndarray) -> None:
            if name in self.given and name not in compared:
                compared[name] = self.differs(name, value)
                if compared[name] and name in until or len(compared) == len(self.order):
                    raise Enough

        self.run(changes, report=report)

    def reach(self, changes, order):
        """Count the quantities before the first wrong one."""
        first = next(self.wrong(changes, order), None)
        return len(order) if first is None else order.index(first)

    def likely(self, changes, order, start):
        """The mistakes that explain most from order[start] on, and the index they reach."""

        def reached(mistake):
            """The index a mistake reaches; `start` if it makes a right quantity wrong."""
            more = changes + mistake.changes
            far = self.reach(more, order)
            return start if far > start and any(self.wrong(more, self.fine)) else far

        wrong = set(self.wrong(changes, order))
        one = self.given[order[start]].size == 1

        def alone(far):
            """Whether only a single number is explained, which may be chance."""
            return one and wrong.isdisjoint(order[start + 1 : far])

        def nothing_else(mistake):
            """Whether it explains nothing later, where there may be another mistake."""
            later = [name for name in order[start + 1 :] if name in wrong]
            return set(self.wrong(changes + mistake.changes, later)) == set(later)

        tried = []
        right = {*order[:start]}
        if not leads_on(order[start]):  # otherwise later values are no evidence
            right |= {*self.fine}
        for mistake in self.possible(order[start], right):
            far = reached(mistake)
            followed = any(operation not in _BESIDE for operation, *_ in mistake.changes)
            doubtful = followed and self.tolerance > 1e-9 and alone(far)
            if far > start and not (doubtful and nothing_else(mistake)):
                tried.append((mistake, far))
        furthest = max([far for _, far in tried], default=start)
        for family in self.families:
            mistake = self.fit(family, changes, order[start])
            far = reached(mistake) if mistake else start
            # A free number can always explain one value. It has to explain more than that, and
            # more than the mistakes without a free number.
            if far > furthest and not alone(far):
                tried.append((mistake, far))
        furthest = max([far for _, far in tried], default=start)
        found = [mistake for mistake, far in tried if far == furthest > start]
        return sorted(found, key=lambda mistake: len(mistake.changes)), furthest

    def possible(self, first, right):
        """The mistakes that can make `first` wrong and leave alone what right quantities come from.

        If a dB is right, so are the terms of its sum and everything that led to them; but not if it
        is a sum over several uses of the weights.
        """
        begin, end, when = self.trace.first, self.trace.last, self.trace.when
        calls = self.trace.calls
        sums = {"dw", *(f"d{call.biases}" for call in calls if call.use > 1)}
        led = [n for n in right if n[:2] not in ("dW", "dG", "dA", "lo") and n not in sums]
        reached = max((when[n] for n in led), default=0)
        forward = max(when["loss"] if "loss" in right else 0, reached)

        def leads_there(place):
            """Whether changing this operation can make `first` wrong, but no right quantity."""
            o, k = place
            if (of := _INTO.get(o, o)) in _ENDS:
                return first in {f"d{n}" for at, n, _ in calls[k - 1].gradients if at == of}
            if begin[place] > when[first]:
                return False
            return o in _BESIDE or o in _LATER or end[place] > reached

        found = []
        for mistake in self.listed:
            places = {(o, k) for o, k, _ in mistake.changes}
            ahead = [end[p] for p in places if end[p] < when["loss"] or p[0] == "dloss"]
            if any(map(leads_there, places)) and not (ahead and max(ahead) <= forward):
                found.append(mistake)
        return found

    def fit(self, family: Callable[[float], Mistake], changes, name) -> Mistake | None:
        """The mistake of a family whose number brings a quantity closest to the given one."""
        given = self.given[name]
        if not np.isfinite(given).all():
            return None
        t, step = 0.0, 1.0
        for _ in range(8):  # Newton's method; linear families need one step
            value = self.value(changes + family(t).changes, name)
            direction = (self.value(changes + family(t + step).changes, name) - value) / step
            square = np.vdot(direction, direction)
            if square == 0 or not np.isfinite(square):
                return None
            move = float(np.vdot(direction, given - value) / square)
            t += move
            if abs(move) <= 1e-8 * abs(t):
                break
            step = 1e-6
        if relative_error(value, self.value(changes, name)) <= 3 * self.tolerance:
            return None  # a number with almost no effect only fits rounding errors
        return family(t)._replace(fitted=True)

    def value(self, changes: list[Change], name: str) -> np.ndarray:
        """The value of a quantity with these changes."""

        def report(found: str, value: np.ndarray) -> None:
            if found == name:
                raise Enough

        return self.run(changes, report=report).values[name]
