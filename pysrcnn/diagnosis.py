"""Which of the usual mistakes gives the very numbers that somebody's implementation gave.

Nothing is guessed: each mistake of `pysrcnn.mistakes` is made, and one that does not reproduce the
numbers, to rounding, is not named.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .mistakes import Mistake, fitted, mistakes, steps

__all__ = ["Explanation", "diagnose", "relative_error"]

MOST = 3  # mistakes on top of each other
BRANCHES = 4  # mistakes that explain as much as each other, of which each is followed up


class Explanation(NamedTuple):
    """What is known of one thing that is wrong.

    first: the first quantity that it makes wrong. likely: the mistakes that give the numbers from
    there on; several, if what was given does not tell them apart. until: the next quantity that is
    wrong for another reason, or None.
    """

    first: str
    likely: list[Mistake]
    until: str | None


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
    most are kept. What is wrong still is looked at in the same way, with that mistake made.

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
    return _explain(_Search(given, low, high, layers, tolerance), [], MOST)


def _explain(search, changes, most) -> tuple[list[Explanation], list[str]]:
    """What `diagnose` returns, if these changes are made and at most so many are to be found."""
    unexplained = []
    while True:
        order = [name for name in search.order if name not in unexplained]
        start = search.reach(changes, order)
        if start == len(order):
            return [], unexplained
        first = order[start]
        likely, far = [], start
        if search.fits(first) and most > 0:
            likely, far = search.likely(changes, order, start)
        if likely:
            break
        unexplained.append(first)
        if first[0] == "F" or first[:2] == "dF":  # all that follows was computed from it
            return [], unexplained

    if far == len(order) and not unexplained:
        return [Explanation(first, likely, None)], []
    until = order[far] if far < len(order) else None
    branches = []  # what is wrong still may tell apart what explains as much so far
    for mistake in likely[:BRANCHES]:
        rest, left = _explain(search, changes + mistake.changes, most - 1)
        chosen = sum(e.likely[0].kind == "constant factor" for e in rest)
        branches.append(((len(left), chosen, len(rest)), mistake, rest, left))
    best = min(score for score, *_ in branches)
    good = [branch for branch in branches if branch[0] == best]
    rest, left = good[0][2:]
    return [Explanation(first, [mistake for _, mistake, *_ in good], until), *rest], left


class _Search:
    """Passes with mistakes in them, compared with what was given."""

    def __init__(self, given, low, high, layers, tolerance):
        self.given, self.tolerance = given, tolerance
        self.low, self.high, self.layers = low, high, layers
        self.known = {}
        self.right = dict(self.steps([]))
        self.order = [name for name in self.right if name in given]

    def steps(self, changes):
        return steps(self.low, self.high, self.layers, changes, self.known)

    def fits(self, name):
        return self.given[name].shape == self.right[name].shape

    def differs(self, name, value):
        return relative_error(self.given[name], value) > self.tolerance

    def reach(self, changes, order):
        """How many of these quantities are right before the first that is wrong."""
        far = 0
        for name, value in self.steps(changes):
            if name in order:
                if self.differs(name, value):
                    break
                far += 1
        return far

    def likely(self, changes, order, start):
        """The mistakes that explain most from order[start] on, and how far they do."""
        tried = [
            (mistake, self.reach(changes + mistake.changes, order))
            for mistake in mistakes(self.low, self.high, self.layers)
        ]
        furthest = max(far for _, far in tried)
        wrong = {n for n, v in self.steps(changes) if n in order and self.differs(n, v)}
        one = self.given[order[start]].size == 1
        for family in fitted(self.layers):
            mistake = self.fit(family, changes, order[start])
            far = self.reach(changes + mistake.changes, order) if mistake else start
            # A number that can be chosen explains one value always. It has to explain more than
            # that, and more than the mistakes that have no such number.
            if far > furthest and not (one and wrong.isdisjoint(order[start + 1 : far])):
                tried.append((mistake, far))
        furthest = max(far for _, far in tried)
        return [mistake for mistake, far in tried if far == furthest > start], furthest

    def fit(self, family: Callable[[float], Mistake], changes, name) -> Mistake | None:
        """The mistake of a family whose number brings a quantity nearest to what was given."""
        zero = self.value(changes + family(0.0).changes, name)
        direction = self.value(changes + family(1.0).changes, name) - zero
        square = np.vdot(direction, direction)
        if square == 0 or not np.isfinite(self.given[name]).all():
            return None
        return family(float(np.vdot(direction, self.given[name] - zero) / square))

    def value(self, changes, name):
        return next(value for found, value in self.steps(changes) if found == name)
