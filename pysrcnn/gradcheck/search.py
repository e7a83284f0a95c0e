"""Steps with mistakes in them, one after the other, compared with somebody's numbers."""

from collections.abc import Callable

import numpy as np

from .fitted import fitted
from .mistakes import mistakes
from .step import Mistake, steps

__all__ = ["Search", "relative_error"]


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, in units of the largest value wanted; infinite for other shapes."""
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return np.inf
    largest = np.abs(wanted).max()
    difference = np.abs(got.astype(np.float64) - wanted).max()
    return float(difference / largest) if largest > 0 else (np.inf if difference else 0.0)


# Operations whose results all that follows is computed from.
_FORWARD = {"input", "target", "conv", "relu", "dloss"}
_MAIN = _FORWARD | {"mask", "dx"}


def _place(operation, k, last):
    """When in a step an operation is done: 0 the input, 1 to last the layers forward, ..."""
    if operation in ("input", "target"):
        return 0
    if operation in ("conv", "relu"):
        return k
    if operation == "kept":  # which is used by the layer behind it on the way back
        return 2 * last + 2 - k
    if k == 0:
        return last + 1
    return 2 * last + 3 - k + (0.5 if operation == "dx" else 0)


def _place_of(name, last):
    """The same of the last operation that a quantity comes from."""
    if name == "loss":
        return _place("loss", 0, last)
    if name == "dlow":
        return _place("dx", 1, last)
    k = int(name[-1])
    if name[:2] == "dF":
        return _place("dx", k + 1, last)
    return k if name[0] == "F" else _place(name[:2].lower(), k, last)


class Search:
    """Passes with mistakes in them, compared with what was given; arguments as for `diagnose`."""

    def __init__(self, given, low, high, layers, tolerance):
        self.given, self.tolerance = given, tolerance
        self.low, self.high, self.layers = low, high, layers
        self.listed, self.families = mistakes(low, high, layers), fitted(layers)
        if "dlow" not in given:  # nothing else shows what goes back through the first layer
            self.listed = [m for m in self.listed if {c[:2] for c in m.changes} != {("dx", 1)}]
        self.known, self.compared, self.passes = {}, {}, 0
        self.right = self.keep([])
        self.order = [name for name in self.right if name in given]
        far = [n for n in self.order if relative_error(given[n], self.right[n]) > tolerance]
        self.fine = [name for name in self.order if name not in far]

    def steps(self, changes, keep=False):
        """One pass, value by value."""
        self.passes += 1
        return steps(self.low, self.high, self.layers, changes, self.known, keep)

    def keep(self, changes):
        """A pass whose results others, with more changes, will share."""
        return dict(self.steps(changes, keep=True))

    def fits(self, name):
        """Whether a quantity has the right shape."""
        return self.given[name].shape == self.right[name].shape

    def differs(self, name, value):
        """Whether a value of a quantity is another than was given."""
        if value is self.right.get(name):
            return name not in self.fine
        return relative_error(self.given[name], value) > self.tolerance

    def wrong(self, changes, names):
        """Those of these quantities, one by one, that differ from what was given."""
        compared = self.compared.setdefault(tuple(changes), {})
        for name in names:
            while name not in compared:  # at first as far as needed, then to the end
                again = bool(compared)
                for found, value in self.steps(changes):
                    if found in self.given and found not in compared:
                        compared[found] = self.differs(found, value)
                        if compared[found] and found in names and not again:
                            break
            if compared[name]:
                yield name

    def reach(self, changes, order):
        """How many of these quantities are right before the first that is wrong."""
        first = next(self.wrong(changes, order), None)
        return len(order) if first is None else order.index(first)

    def likely(self, changes, order, start):
        """The mistakes that explain most from order[start] on, and how far they do."""

        def reached(mistake):
            """How far, if it makes nothing wrong that is right."""
            more = changes + mistake.changes
            far = self.reach(more, order)
            return start if far > start and any(self.wrong(more, self.fine)) else far

        wrong = set(self.wrong(changes, order))
        one = self.given[order[start]].size == 1

        def alone(far):
            """Whether one number is all that is explained, which chance may have met."""
            return one and wrong.isdisjoint(order[start + 1 : far])

        def nothing_else(mistake):
            """Whether it explains nothing that comes later, where another mistake may be too."""
            later = [name for name in order[start + 1 :] if name in wrong]
            return set(self.wrong(changes + mistake.changes, later)) == set(later)

        tried = []
        right = {*order[:start], *(self.fine if order[start][:2] != "dF" else ())}
        for mistake in self.possible(order[start], right):
            far = reached(mistake)
            followed = any(operation in _MAIN for operation, *_ in mistake.changes)
            doubtful = followed and self.tolerance > 1e-9 and alone(far)
            if far > start and not (doubtful and nothing_else(mistake)):
                tried.append((mistake, far))
        furthest = max([far for _, far in tried], default=start)
        for family in self.families:
            mistake = self.fit(family, changes, order[start])
            far = reached(mistake) if mistake else start
            # A number that can be chosen explains one value always. It has to explain more than
            # that, and more than the mistakes that have no such number.
            if far > furthest and not alone(far):
                tried.append((mistake, far))
        furthest = max([far for _, far in tried], default=start)
        found = [mistake for mistake, far in tried if far == furthest > start]
        return sorted(found, key=lambda mistake: len(mistake.changes)), furthest

    def possible(self, first, right):
        """The mistakes that can make a quantity wrong, and leave alone what led to right ones.

        Where a dB is right, so is what it was summed from, and all that led there.
        """
        last, found = len(self.layers), []
        reached = max((_place_of(n, last) for n in right if n[:2] not in ("dW", "lo")), default=-1)
        forward = max(last if "loss" in right else -1, reached)
        for mistake in self.listed:
            places = {(o, k): _place(o, k, last) for o, k, _ in mistake.changes}
            ahead = [at for (o, _), at in places.items() if o in _FORWARD]
            if (
                min(places.values()) <= _place_of(first, last)
                and not all(o in _MAIN and at <= reached for (o, _), at in places.items())
                and not (ahead and max(ahead) <= forward)
            ):
                found.append(mistake)
        return found

    def fit(self, family: Callable[[float], Mistake], changes, name) -> Mistake | None:
        """The mistake of a family whose number brings a quantity nearest to what was given."""
        given = self.given[name]
        if not np.isfinite(given).all():
            return None
        t, step = 0.0, 1.0
        for _ in range(8):  # of Newton's method; linear ones take the first alone
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
            return None  # a number that changes next to nothing follows the rounding
        return family(t)._replace(fitted=True)

    def value(self, changes, name):
        """A quantity, with these changes."""
        return next(value for found, value in self.steps(changes) if found == name)
