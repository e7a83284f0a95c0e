"""Compare what a function returned with what is wanted, and say in sentences what is wrong."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..gradcheck.search import relative_error
from .running import Other, Outcome

__all__ = ["Call", "judge", "sentence"]


class Call(NamedTuple):
    """A call of a student's function, with the result that is wanted.

    Attributes
    ----------
    function : str
    names : str
        Names of the arguments: "dout, x".
    given : tuple
        The arguments.
    results : str
        Names of the results: "dx" or "dx, dw, db".
    wanted : array, float, dict of arrays, or tuple of these
    explain : function of the returned value
        Returns sentences on what is wrong with wrong values of the right shapes; none if the cause
        is unknown.
    tolerance : float
        The error allowed for rounding, relative to the largest value.
    """

    function: str
    names: str
    given: tuple
    results: str
    wanted: Any
    explain: Callable[[Any], list[str]]
    tolerance: float


def judge(call: Call, outcome: Outcome) -> list[str]:
    """Say in sentences what is wrong with the outcome of a call; none if it is right."""
    name = call.function
    if outcome.hole:
        return [f"{name} is not written yet."]
    if outcome.failed:
        return [sentence(f"{name}: {outcome.failed}")]
    wrong = _compared(call, outcome.returned)
    arguments = call.names.split(", ")
    if outcome.changed:
        these = ", ".join(name for k, name in enumerate(arguments) if k in outcome.changed)
        wrong.insert(0, f"{name} changes {these} in place: make a new array.")
    if not outcome.again:
        wrong.insert(
            0,
            f"{name}, called again with the same, returns something else: is something kept from "
            "the call before, or random, or never filled (np.empty)?",
        )
    return wrong


def _compared(call: Call, got: Any) -> list[str]:
    pairs: list[tuple[str, Any, np.ndarray]] = []
    if problem := _paired(call.results, got, call.wanted, pairs):
        return [f"{call.function} {problem}."]
    bad = [text for name, a, wanted in pairs if (text := _unlike(name, a, wanted))]
    if bad:
        nan = isinstance(call.wanted, float) and np.shape(got) == () and np.isnan(got)
        more = call.explain(got) if nan else []
        return [*(sentence(f"{call.function}: {text}") for text in bad), *more]
    far = [pair for pair in pairs if not _equal(*pair[1:], call.tolerance)]
    if not far:
        return []
    numbers = zip(call.names.split(", "), call.given, strict=True)
    given = [f"{name} = {value:g}" for name, value in numbers if isinstance(value, (int, float))]
    where = f" with {', '.join(given)}" if given else ""
    return [f"{call.function}{where}: {_largest(*far[0])}.", *call.explain(got)]


def sentence(text: str) -> str:
    """The text, with a period if it lacks an end mark."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _equal(got: np.ndarray, wanted: np.ndarray, tolerance: float) -> bool:
    return np.array_equal(got, wanted) or relative_error(got, wanted) <= tolerance


def _paired(results: str, got: Any, wanted: Any, pairs: list) -> str:
    """Append (name, got, wanted) for each array to `pairs`, or say why that is impossible."""
    if isinstance(wanted, tuple):
        names = results.split(", ")
        if not isinstance(got, tuple) or len(got) != len(wanted):
            return f"returns {_kind(got)}, wanted {len(wanted)} results: {results}"
        found = (_paired(*three, pairs) for three in zip(names, got, wanted, strict=True))
        return next(filter(None, found), "")
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            return f"returns {_kind(got)} for {results}, wanted a dict of arrays"
        if got.keys() != wanted.keys():
            return f"has {', '.join(got) or 'nothing'} in {results}, wanted {', '.join(wanted)}"
        found = (_paired(f"{results}[{n!r}]", got[n], wanted[n], pairs) for n in wanted)
        return next(filter(None, found), "")
    if not isinstance(got, np.ndarray):
        return f"returns {_kind(got)}, wanted {results}, " + (
            "an array" if np.ndim(wanted) else "a number"
        )
    pairs.append((results, got, np.asarray(wanted)))
    return ""


def _kind(got: Any) -> str:
    if isinstance(got, Other):
        hint = " (is a `return` missing?)" if got.type == "NoneType" else ""
        return f"{'None' if hint else got.type}{hint}"
    if isinstance(got, tuple):
        return f"{len(got)} results"
    return "a dict" if isinstance(got, dict) else "one array" if got.ndim else "one number"


def _unlike(name: str, got: np.ndarray, wanted: np.ndarray) -> str:
    """Say what is wrong with the shape or dtype, or that values are not finite; "" if nothing."""
    if got.shape != wanted.shape:
        return f"{name} has the shape {got.shape}, wanted {wanted.shape}{_shape_hint(got, wanted)}"
    same = (wanted.dtype,) if got.ndim else (np.float32, np.float64)
    if got.dtype not in same:
        why = ", that of what was given" if got.ndim else ""
        return f"{name} is {got.dtype}, wanted {wanted.dtype}{why}"
    bad = np.count_nonzero(~np.isfinite(got) & np.isfinite(wanted))
    if bad:
        return f"{name} is not finite (nan or inf) in {bad} of {got.size} places"
    return ""


def _shape_hint(got: np.ndarray, wanted: np.ndarray) -> str:
    if got.ndim == wanted.ndim and sorted(got.shape) == sorted(wanted.shape):
        if sum(a != b for a, b in zip(got.shape, wanted.shape, strict=True)) == 2:
            return ": were two axes exchanged?"
        orders = itertools.permutations(range(got.ndim))
        order = next(o for o in orders if tuple(got.shape[k] for k in o) == wanted.shape)
        return f": `.transpose{order}` of it has that shape"
    if got.size == wanted.size:
        return ": a reshape is missing, or wrong"
    return ": is a sum over an axis missing?" if got.ndim > wanted.ndim else ""


def _largest(name: str, got: np.ndarray, wanted: np.ndarray) -> str:
    with np.errstate(invalid="ignore"):
        wrong = np.abs(got - wanted)
    at = np.unravel_index(np.argmax(np.where(np.isnan(wrong), np.inf, wrong)), wrong.shape)
    if not got.ndim:
        near = abs(float(got) - float(wanted)) < 1e-5 * abs(float(wanted))
        hint = ": was it computed in float32, or a small number added?" if near else ""
        return f"{name} is {_apart(float(got), float(wanted))}{hint}"
    share = np.count_nonzero(wrong > 1e-9 * np.abs(wanted).max()) / wrong.size
    where = f"{name}{[int(i) for i in at]} is {_apart(got[at], wanted[at])}"
    return f"{where}; {share:.0%} of {name} {'is' if share else 'are'} wrong"


def _apart(got: float, wanted: float) -> str:
    """Both numbers, with as many digits as tell them apart."""
    digits = next((n for n in range(6, 17) if f"{got:.{n}g}" != f"{wanted:.{n}g}"), 17)
    return f"{got:.{digits}g}, wanted {wanted:.{digits}g}"
