"""Which of the usual mistakes gives the very numbers that somebody's implementation gave.

Nothing is guessed: each mistake of `mistakes` is made, and one that does not reproduce the numbers,
to rounding, is not named.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .fitted import clipped, fitted, own_factor
from .mistakes import mistakes
from .step import Mistake, steps

__all__ = ["Explanation", "diagnose", "relative_error"]

MOST = 3  # mistakes on top of each other
BRANCHES = 4  # mistakes that explain as much as each other, of which each is followed up
PASSES = 8000  # after which no more mistakes are looked for: a few seconds of 9-5-5


class Explanation(NamedTuple):
    """What is known of one thing that is wrong.

    first: the first quantity that it makes wrong. likely: the mistakes that give the numbers from
    there on; several, if what was given does not tell them apart.
    """

    first: str
    likely: list[Mistake]


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, in units of the largest value wanted; infinite for other shapes."""
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return np.inf
    largest = np.abs(wanted).max()
    difference = np.abs(got.astype(np.float64) - wanted).max()
    return float(difference / largest) if largest > 0 else (np.inf if difference else 0.0)


def diagnose(
    given: dict[str, np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    layers: list[tuple[np.ndarray, np.ndarray]],
    tolerance: float,
) -> tuple[list[Explanation], list[str]]:
    """Which mistakes give these numbers.

    The first wrong quantity, in the order of `mistakes.step`, is where a mistake was made; those
    after it may be wrong for the same reason. Every mistake is tried, and the ones that explain
    most are kept, unless they make something wrong that is right. What is wrong still is looked at
    in the same way, with that mistake made.

    Parameters
    ----------
    given : dict of arrays
        Some of what `step` returns, as somebody computed it.
    low, high, layers
        As for `step`, in float64.
    tolerance : float
        The relative error up to which numbers are equal.

    Returns
    -------
    explanations : list of Explanation
        Each on top of those before it. Empty if nothing is wrong, or nothing fits.
    unexplained : list of str
        Quantities that are wrong whichever mistakes are made. Where these are values or gradients
        that others are computed from, those others are not looked at.
    """
    search = _Search(given, low, high, layers, tolerance)
    direct = _own_factors(search) or _clipped(search)
    found, left = _explain(search, [], 2 if direct else MOST)
    return (direct, []) if direct and _score(direct, []) <= _score(found, left) else (found, left)


def _clipped(search) -> list[Explanation]:
    """That gradients of parameters are clipped by value, if that is all that is wrong."""
    wrong = [name for name in search.order if name not in search.fine]
    if not wrong or not all(n[:2] in ("dW", "dB") and search.fits(n) for n in wrong):
        return []
    most = max(float(np.abs(search.given[name]).max()) for name in wrong)
    beyond = sum(np.count_nonzero(np.abs(search.right[name]) > most) for name in wrong)
    mistake = clipped(search.layers, most)
    if beyond < 2 or search.reach(mistake.changes, search.order) < len(search.order):
        return []  # one value that is too small is no evidence of a limit
    return [Explanation(wrong[0], [mistake])]


def _own_factors(search) -> list[Explanation]:
    """Each gradient of a parameter as a multiple of the right one, if no more is wrong than that.

    So they are if they come multiplied by the learning rates of their layers, or normalized one by
    one; the search, which follows the gradient back, would make factors of factors of these. Empty
    if there is one factor alone, or what is wrong is more than factors.
    """
    groups = []  # (factor, names)
    for name in search.order:
        if name in search.fine:
            continue
        given, right = search.given[name], search.right[name]
        if name[:2] not in ("dW", "dB") or not search.fits(name) or not right.any():
            return []
        t = float(np.vdot(right, given) / np.vdot(right, right))
        if search.differs(name, t * right):
            return []
        for factor, names in groups:
            if abs(t - factor) <= 2 * search.tolerance * abs(factor):
                names.append(name)
                break
        else:
            groups.append((t, [name]))
    # One number alone is no evidence of a factor.
    if sum(any(search.given[name].size > 1 for name in names) for _, names in groups) < 2:
        return []
    return [Explanation(names[0], [own_factor(names, t)._replace(fitted=True)])
            for t, names in groups]  # fmt: skip


def _explain(search, changes, most, skipped=()) -> tuple[list[Explanation], list[str]]:
    """What `diagnose` returns, if these changes are made and at most so many are to be found."""
    search.keep(changes)
    unexplained = list(skipped)
    while True:
        order = [name for name in search.order if name not in unexplained]
        start = search.reach(changes, order)
        if start == len(order):
            return [], unexplained
        first = order[start]
        likely, far = [], start
        if search.fits(first) and most > 0 and search.passes < PASSES:
            likely, far = search.likely(changes, order, start)
        if likely:
            break
        unexplained.append(first)
        if first[0] == "F" or first[:2] == "dF":  # all that follows was computed from it
            return [], unexplained
        # So it was where the loss is wrong and dB of the last layer too, or a layer's dW and dB.
        ends = f"dB{len(search.layers)}"
        follows = first == "loss" and ends in order and ends in search.wrong(changes, [ends])
        if follows or first[:2] == "dB" and f"dW{first[2:]}" in unexplained:
            return [], unexplained + [n for n in order[start + 1 :] if n not in search.fine]

    if far == len(order) and not unexplained:
        return [Explanation(first, likely)], []
    beyond = None
    if not (changes or skipped) and far == start + 1 and all(mistake.fitted for mistake in likely):
        # A factor of one array may be that of all arrays and one mistake more.
        beyond = _explain(search, changes, most, [*unexplained, first])
    branches = []  # what is wrong still may tell apart what explains as much so far
    for mistake in likely[:BRANCHES]:
        rest, left = _explain(search, changes + mistake.changes, most - 1)
        branches.append((_score([Explanation(first, [mistake]), *rest], left), mistake, rest, left))
    best = min(score for score, *_ in branches)
    if beyond and _score(*beyond) < best:
        return beyond
    good = [branch for branch in branches if branch[0] == best]
    rest, left = good[0][2:]
    return [Explanation(first, [mistake for _, mistake, *_ in good]), *rest], left


def _score(found, left) -> tuple[int, int, int]:
    """The less the better: what is unexplained, numbers that were chosen to fit, mistakes."""
    return len(left), sum(e.likely[0].fitted for e in found), len(found)


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


class _Search:
    """Passes with mistakes in them, compared with what was given."""

    def __init__(self, given, low, high, layers, tolerance):
        self.given, self.tolerance = given, tolerance
        self.low, self.high, self.layers = low, high, layers
        self.listed, self.families = mistakes(low, high, layers), fitted(layers)
        if "dlow" not in given:  # nothing else shows what goes back through the first layer
            self.listed = [m for m in self.listed if {c[:2] for c in m.changes} != {("dx", 1)}]
        self.known, self.compared, self.passes = {}, {}, 0
        self.right, self.fine = self.keep([]), None
        self.order = [name for name in self.right if name in given]
        self.fine = [name for name in self.order if not self.differs(name, self.right[name])]

    def steps(self, changes, keep=False):
        self.passes += 1
        return steps(self.low, self.high, self.layers, changes, self.known, keep)

    def keep(self, changes):
        """A pass whose results others, with more changes, will share."""
        return dict(self.steps(changes, keep=True))

    def fits(self, name):
        return self.given[name].shape == self.right[name].shape

    def differs(self, name, value):
        if value is self.right.get(name) and self.fine is not None:
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

        tried = []
        right = {*order[:start], *(self.fine if order[start][:2] != "dF" else ())}
        for mistake in self.possible(order[start], right):
            far = reached(mistake)
            followed = any(operation in _MAIN for operation, *_ in mistake.changes)
            if not (followed and self.tolerance > 1e-9 and alone(far)):
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
        if relative_error(value, self.value(changes, name)) <= 10 * self.tolerance:
            return None  # a number that changes next to nothing follows the rounding
        return family(t)._replace(fitted=True)

    def value(self, changes, name):
        return next(value for found, value in self.steps(changes) if found == name)
