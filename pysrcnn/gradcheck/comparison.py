"""`gradcheck`: compare an implementation's numbers with those of a case."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ..kernels.blas import one_blas_thread
from ..networks import DRCN, VDSR, Chain
from ..networks.layers import stack
from .calls import called, called_again, called_larger, enlarged
from .diagnosis import Explanation
from .reference_case import Case, case, rounding
from .report import Report, Row, explain
from .search import relative_error

__all__ = ["gradcheck"]

_SAME = 1e-6  # relative error within which an array is an input of the case


def gradcheck(
    mine: Callable | tuple | Mapping[str, np.ndarray],
    against: Case | str = "9-1-5",
    *,
    tolerance: float | None = None,
    **options,
) -> Report:
    """Compare an implementation with the reference, and name its mistake.

    Parameters
    ----------
    mine : function or dict of arrays
        A function is called as ``mine(low, high, parameters)`` with NumPy arrays, and returns
        ``(loss, gradients)``, ``(output, loss, gradients)`` or a dict. It is called twice, to find
        gradients kept between calls; and, if all is right, again with all activations but the
        last 64 times as large, to find a clamp (ReLU6), unless the network has tanh or batch
        normalisation. A dict holds what was computed from the case: "loss", "dW1", "dB1", ...
        ("W1" or "conv1.weight" also name gradients), and, for a closer look, any of "F1", "F2",
        "F3" (or "output"), "dF3", "dF2", "dF1", "dlow". For deep networks, the names are those of
        their parameters, such as "dW_head". The case's inputs may be there too, unchanged.
    against : Case or str
        The case it was or will be computed from; the name of a network stands for
        ``case(network, **options)``.
    tolerance : float, optional
        The relative error allowed, see `Row`; by default that of `rounding`. 0.01 suits TF32,
        bfloat16 and float16.

    Returns
    -------
    report : Report

    Raises
    ------
    TypeError, ValueError
        If `mine` gives something else, or a name that a training step does not have.
    """
    if isinstance(against, Case) and options:
        raise TypeError(f"{', '.join(options)}: give these to `case`, which made the case")
    made = against if isinstance(against, Case) else case(against, **options)
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}, wanted 0 or more")
    with one_blas_thread():
        return _report(mine, made, tolerance)


def _report(mine, made: Case, tolerance: float | None) -> Report:
    function, changed = mine, []
    if callable(function):
        mine, changed = called(function, made)
    given, none = _named(mine, made)
    types = {a.dtype for a in given.values() if a.size > 1}
    single = made.dtype == np.float32 or types == {np.dtype(np.float32)}
    dtype = np.dtype(np.float32 if single else np.float64)
    allowed = rounding(made, dtype) if tolerance is None else tolerance
    kept = ""
    if callable(function):
        given = {name: a.copy() for name, a in given.items()}  # the next call may write to them
        again, _ = _named(called(function, made)[0], made)
        kept, given = called_again(given, again, made, max(allowed, rounding(made, dtype)))

    order = [name for name in made.arrays if name in given]
    rows = [_row(name, given[name], made.wanted(name), allowed) for name in order]
    diagnosis: list[str] = []
    explanations: list[Explanation] = []
    if not all(row.ok for row in rows):
        diagnosis, explanations = explain(made, given, rows, dtype, allowed)
        if changed:
            first = f"Your function changed {', '.join(changed)} in place. Let it work on copies "
            diagnosis.insert(0, first + "first: what is said below may come of that.")
    elif callable(function) and not kept and (larger := enlarged(made)):

        def call():
            return _named(called(function, larger)[0], larger, same_inputs=False)[0]

        sentence = called_larger(given, call, made, larger, allowed)
        diagnosis = [sentence] if sentence else []
    if kept:
        diagnosis.insert(0, kept)
    needed = ["loss", *(f"d{name}" for name in made.gradients)]
    never = [n for n in needed if n not in given and not none.isdisjoint({n, n.removeprefix("d")})]
    if never:
        diagnosis.append(f"{', '.join(never)}: None, never computed. {_NEVER}")
    missing = [name for name in needed if name not in given and name not in never]
    if missing:
        them = "them" if len(missing) > 1 else "it"
        diagnosis.append(
            f"Missing: {', '.join(missing)}. Give {them} too, to have {them} compared."
        )
    skipped = "" if "dlow" in given or not isinstance(made.step.network, (DRCN, VDSR)) else _SKIPPED
    title = f"{made.network}, {made.layout}, weights {made.weights}, {dtype}"
    title += f", errors up to {allowed:.1e} allowed"
    ok = not diagnosis
    return Report(title, ok, rows, diagnosis, explanations, skipped if ok else "")


def _array(a) -> np.ndarray:
    """Convert to an array, also from a PyTorch tensor with a graph or on a GPU."""
    return np.asarray(a.detach().cpu() if hasattr(a, "detach") else a)


_SKIPPED = "dlow was not given, so the gradient of the skip past all layers was not checked."
_NEVER = "Is that layer's output used, and was the backward pass run?"


def _named(
    mine: tuple | Mapping, made: Case, same_inputs: bool = True
) -> tuple[dict[str, np.ndarray], set[str]]:
    """Return the given arrays by our names, and the names, as given, of values that are None.

    With `same_inputs`, inputs among them must equal those of the case.
    """
    if isinstance(mine, tuple) and len(mine) in (2, 3) and isinstance(mine[-1], Mapping):
        names = ("output", "loss") if len(mine) == 3 else ("loss",)
        mine = dict(zip(names, mine[:-1], strict=True)) | dict(mine[-1])
    if not isinstance(mine, Mapping):
        raise TypeError(
            f"got {type(mine).__name__}, wanted (loss, gradients), (output, loss, gradients) or a "
            f"dict of arrays; gradients are a dict: W1, B1, W2, ..."
        )
    arrays = {name: _array(a) for name, a in mine.items() if a is not None}
    none = {name for name, a in mine.items() if a is None}
    of_layer = next((n for n in mine if n in none and n.endswith((".weight", ".bias"))), None)
    if of_layer:  # without it, the order does not tell which layer is which
        raise ValueError(
            f"{of_layer} is None, wanted its gradient, which was never computed. {_NEVER}"
        )
    theirs = {n: a for n, a in arrays.items() if n.endswith((".weight", ".bias"))}
    if theirs:  # conv1.weight, conv1.bias, ...
        ours = _by_order(theirs, made) or stack(theirs, Path("what you gave"), ordered=True)
        arrays = {n: a for n, a in arrays.items() if n not in theirs} | ours
    ours = made.parameters
    if not any(f"d{name}" in arrays for name in ours):  # gradients named like the parameters
        arrays = {
            f"d{n}" if n in ours and relative_error(a, ours[n]) > _SAME else n: a
            for n, a in arrays.items()
        }
    arrays = {made.output if n == "output" else n: a for n, a in arrays.items()}
    for name in made.step.network.statistics:
        arrays.pop(f"d{name}", None)  # updated running statistics are no gradients
    unknown = [name for name in arrays if name not in made.arrays]
    if unknown:
        raise ValueError(
            f"nothing is called {unknown[0]!r} in {made.network}: is it of another network (give "
            f"its name, --network)? Names are {', '.join(made.arrays)}"
            + (" (the gradient of the input is dlow)" if unknown[0] == "dx" else "")
        )
    inputs = {"low", "high", *made.parameters}
    given = {name: array for name, array in arrays.items() if name not in inputs}
    if not given:
        raise ValueError(
            "nothing to compare: give the loss and gradients, by the names W1, B1, ..."
        )
    _check(given, {n: a for n, a in arrays.items() if n in inputs and same_inputs}, made)
    return given, none


def _check(given: dict[str, np.ndarray], inputs: dict[str, np.ndarray], made: Case) -> None:
    """Raise an error unless inputs are those of the case and dtypes are float32 or float64."""
    for name, array in inputs.items():
        if relative_error(array, made.arrays[name]) > _SAME:
            raise ValueError(
                f"your {name} is not the one of this case, {made.network} {made.layout}: is it of "
                f"another network, activation, layout or seed, or was it changed?"
            )
    for name, array in given.items():
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name} is {array.dtype}, wanted float32 or float64")


def _by_order(theirs: dict[str, np.ndarray], made: Case) -> dict[str, np.ndarray]:
    """Name a deep network's arrays after its parameters, matched in order; {} for a chain."""
    if isinstance(made.step.network, Chain):
        return {}
    found: dict[str, np.ndarray] = {}
    for letters, end, wide in (("W", ".weight", True), ("AG", ".weight", False),
                               ("B", ".bias", False)):  # fmt: skip
        names = [n for n, a in theirs.items() if n.endswith(end) and (a.ndim > 1) == wide]
        ours = [name for name in made.parameters if name[0] in letters]
        if len(names) != len(ours):
            what = f"arrays{' of one axis' if letters == 'AG' else ''} that end in {end}"
            order = f", in the order of {', '.join(ours)}: or call them so" if ours else ""
            raise ValueError(f"got {len(names)} {what}, wanted {len(ours)}{order}")
        found |= dict(zip(ours, (theirs[name] for name in names), strict=True))
    return found


def _row(name: str, got: np.ndarray, wanted: np.ndarray, allowed: float) -> Row:
    error = relative_error(got, wanted)
    if got.shape != wanted.shape:
        return Row(name, False, error, None, np.nan, np.nan)
    wrong = np.abs(got.astype(np.float64) - wanted)
    at = np.unravel_index(np.argmax(np.where(np.isfinite(wrong), wrong, np.inf)), wrong.shape)
    index = tuple(int(i) for i in at)
    return Row(name, error <= allowed, error, index, float(got[index]), float(wanted[index]))
