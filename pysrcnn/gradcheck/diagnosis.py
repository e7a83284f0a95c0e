"""Which of the usual mistakes gives the very numbers that somebody's implementation gave.

Nothing is guessed: each mistake of `mistakes` is made, and one that does not reproduce the numbers,
to rounding, is not named.
"""

from typing import NamedTuple

import numpy as np

from .changes import Mistake
from .fitted import clipped, own_factor
from .planted import Step
from .search import Search, leads_on

__all__ = ["Explanation", "diagnose"]

MOST = 3  # mistakes on top of each other
BRANCHES = 4  # mistakes that explain as much as each other, of which each is followed up
_PARAMETERS = "dW", "dB", "dG", "dA"  # how the names of their gradients begin
PASSES = 8000  # after which no more mistakes are looked for: a few seconds of 9-5-5


class Explanation(NamedTuple):
    """What is known of one thing that is wrong.

    first: the first quantity that it makes wrong. likely: the mistakes that give the numbers from
    there on; several, if what was given does not tell them apart.
    """

    first: str
    likely: list[Mistake]


def diagnose(
    given: dict[str, np.ndarray],
    step: Step,
    tolerance: float,
) -> tuple[list[Explanation], list[str]]:
    """Which mistakes give these numbers.

    The first wrong quantity, in the order of `Step.values`, is where a mistake was made; those
    after it may be wrong for the same reason. Every mistake is tried, and the ones that explain
    most are kept, unless they make something wrong that is right. What is wrong still is looked at
    in the same way, with that mistake made.

    Parameters
    ----------
    given : dict of arrays
        Some of `Step.values`, as somebody computed it.
    step : Step
        What they are of.
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
    search = Search(given, step, tolerance)
    direct = _own_factors(search) or _clipped(search)
    found, left = _explain(search, [], 2 if direct else MOST)
    return (direct, []) if direct and _score(direct, []) <= _score(found, left) else (found, left)


def _clipped(search) -> list[Explanation]:
    """That gradients of parameters are clipped by value, if that is all that is wrong."""
    wrong = [name for name in search.order if name not in search.fine]
    if not wrong or not all(n[:2] in _PARAMETERS and search.fits(n) for n in wrong):
        return []
    most = max(float(np.abs(search.given[name]).max()) for name in wrong)
    beyond = sum(np.count_nonzero(np.abs(search.right[name]) > most) for name in wrong)
    mistake = clipped(search.trace.calls, most)
    if beyond < 2 or search.reach(mistake.changes, search.order) < len(search.order):
        return []  # one value that is too small is no evidence of a limit
    return [Explanation(wrong[0], [mistake])]


def _own_factors(search) -> list[Explanation]:
    """Each gradient of a parameter as a multiple of the right one, if no more is wrong than that.

    So they are if they come multiplied by the learning rates of their layers, or normalized one by
    one; the search, which follows the gradient back, would make factors of factors of these. Empty
    if there is one factor alone, or what is wrong is more than factors.
    """
    groups: list[tuple[float, list[str]]] = []  # a factor, and the names that have it
    for name in search.order:
        if name in search.fine:
            continue
        given, right = search.given[name], search.right[name]
        if name[:2] not in _PARAMETERS or not search.fits(name) or not right.any():
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
    calls = search.trace.calls
    return [Explanation(names[0], [own_factor(calls, names, t)._replace(fitted=True)])
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
        if leads_on(first):  # all that follows was computed from it
            return [], unexplained
        # So it was where the loss is wrong and dB of the last layer too, or a layer's dW and dB.
        ends = f"d{search.trace.calls[-1].biases}"
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
