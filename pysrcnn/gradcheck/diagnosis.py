"""Find which of the usual mistakes reproduce the numbers of somebody's implementation.

Nothing is guessed: each mistake of `mistakes` is made in turn, and only those that reproduce the
numbers, to rounding, are named.
"""

from typing import NamedTuple

import numpy as np

from .changes import Mistake
from .fitted import clipped, own_factor
from .planted import Step
from .search import Search, leads_on

__all__ = ["Explanation", "diagnose"]

MOST = 3  # mistakes at once
BRANCHES = 4  # equally good mistakes, each of which is followed up
_PARAMETERS = "dW", "dB", "dG", "dA"  # prefixes of the names of their gradients
PASSES = 8000  # after which the search stops: a few seconds for 9-5-5


class Explanation(NamedTuple):
    """The explanation of one thing that is wrong.

    first: the first quantity it makes wrong. likely: the mistakes that reproduce the numbers from
    there on; several if the given numbers do not tell them apart.
    """

    first: str
    likely: list[Mistake]


def diagnose(
    given: dict[str, np.ndarray],
    step: Step,
    tolerance: float,
) -> tuple[list[Explanation], list[str]]:
    """Find the mistakes that reproduce these numbers.

    A mistake was made where the first wrong quantity is, in the order of `Step.values`; those after
    it may be wrong for the same reason. Every mistake is tried, and those that explain most are
    kept, unless they make a right quantity wrong. With such a mistake made, the quantities that are
    still wrong are examined in the same way.

    Parameters
    ----------
    given : dict of arrays
        Some of `Step.values`, as somebody computed them.
    step : Step
        The step they belong to.
    tolerance : float
        The relative error up to which numbers count as equal.

    Returns
    -------
    explanations : list of Explanation
        Each in addition to those before it. Empty if nothing is wrong or nothing fits.
    unexplained : list of str
        Quantities that no mistake explains. Quantities computed from these are not examined.
    """
    search = Search(given, step, tolerance)
    direct = _own_factors(search) or _clipped(search)
    found, left = _explain(search, [], 2 if direct else MOST)
    return (direct, []) if direct and _score(direct, []) <= _score(found, left) else (found, left)


def _clipped(search) -> list[Explanation]:
    """Explain parameter gradients as clipped by value; [] if more than that is wrong."""
    wrong = [name for name in search.order if name not in search.fine]
    if not wrong or not all(n[:2] in _PARAMETERS and search.fits(n) for n in wrong):
        return []
    most = max(float(np.abs(search.given[name]).max()) for name in wrong)
    beyond = sum(np.count_nonzero(np.abs(search.right[name]) > most) for name in wrong)
    mistake = clipped(search.trace.calls, most)
    if beyond < 2 or search.reach(mistake.changes, search.order) < len(search.order):
        return []  # a single value that is too small is no evidence of a limit
    return [Explanation(wrong[0], [mistake])]


def _own_factors(search) -> list[Explanation]:
    """Explain each parameter's gradient as a multiple of the right one, if nothing else is wrong.

    This happens if gradients are multiplied by the learning rates of their layers or normalized one
    by one; the search, which follows the gradient back, would find factors of factors. Empty if
    there are fewer than two factors, or something else is wrong.
    """
    groups: list[tuple[float, list[str]]] = []  # a factor, and the names it applies to
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
    # A single number is no evidence of a factor.
    if sum(any(search.given[name].size > 1 for name in names) for _, names in groups) < 2:
        return []
    calls = search.trace.calls
    return [Explanation(names[0], [own_factor(calls, names, t)._replace(fitted=True)])
            for t, names in groups]  # fmt: skip


def _explain(search, changes, most, skipped=()) -> tuple[list[Explanation], list[str]]:
    """What `diagnose` returns, with these changes made and at most `most` mistakes to be found."""
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
        if leads_on(first):  # everything after it was computed from it
            return [], unexplained
        # The same holds if the loss and dB of the last layer are wrong, or dW and dB of a layer.
        ends = f"d{search.trace.calls[-1].biases}"
        follows = first == "loss" and ends in order and ends in search.wrong(changes, [ends])
        if follows or first[:2] == "dB" and f"dW{first[2:]}" in unexplained:
            return [], unexplained + [n for n in order[start + 1 :] if n not in search.fine]

    if far == len(order) and not unexplained:
        return [Explanation(first, likely)], []
    beyond = None
    if not (changes or skipped) and far == start + 1 and all(mistake.fitted for mistake in likely):
        # A factor of one array may be a factor of all arrays and one more mistake.
        beyond = _explain(search, changes, most, [*unexplained, first])
    branches = []  # later quantities may tell equally good mistakes apart
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
    """The score to minimise: unexplained quantities, fitted numbers, mistakes."""
    return len(left), sum(e.likely[0].fitted for e in found), len(found)
