"""Mistakes that show when a function is called again: kept gradients, randomness, clamps."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .reference_case import Case
from .search import relative_error

__all__ = ["called", "called_again", "called_larger", "enlarged"]

Arrays = dict[str, np.ndarray]


def called(function: Callable, made: Case):
    """Call a function with a case; return its result and the names of arrays it modified."""
    low, high = made.low.copy(), made.high.copy()
    parameters = {name: a.copy() for name, a in made.parameters.items()}
    learned = {n: a for n, a in parameters.items() if n in made.gradients}
    after = {"low": low, "high": high, **learned}  # running statistics may change
    mine = function(low, high, parameters)
    return mine, [n for n, a in after.items() if not np.array_equal(a, made.arrays[n])]


def called_again(first: Arrays, again: Arrays, made: Case, allowed: float) -> tuple[str, Arrays]:
    """Return a sentence if a second call with the same input differs, or "", and what to check.

    What to check is the result of the first call; or what the second call added to it, if that is
    right: then the first call had added its own to something older.
    """
    changed = [
        name for name in made.arrays if (a := first.get(name)) is not None
        if name in again and not np.array_equal(a, again[name], equal_nan=True)
        and not relative_error(again[name], a) <= allowed
    ]  # fmt: skip
    if not changed:
        return "", first
    these = ", ".join(changed)
    added = {}
    for name in changed:
        if again[name].shape == first[name].shape:
            with np.errstate(invalid="ignore"):
                added[name] = again[name].astype(np.float64) - first[name]
    start = "Called again with the same input, your function "
    mend = (
        "what was computed is kept between calls and added up. Set it to zero, or make new arrays, "
        "at the start of each call."
    )

    def equal(name, wanted):
        return name in added and relative_error(added[name], wanted) <= 4 * allowed

    if all(equal(name, first[name]) for name in changed):
        return f"{start}returns twice as much in {these}: {mend}", first
    if all(equal(name, made.wanted(name)) for name in changed):
        added = {n: a.astype(first[n].dtype) for n, a in added.items()}
        return (
            f"{start}returns the sum of what it returned before and what is wanted in {these}: "
            f"{mend} The table has what the second call added."
        ), first | added
    factor = _common_factor(first, again, changed, allowed)
    if factor is not None:
        return (
            f"{start}returns {factor:.4g} times as much in {these}: something of the call before "
            f"is added, as by momentum or a running average. Return the gradients of this call "
            f"alone."
        ), first
    if changed[0][0] != "d":
        why = (
            "are there random numbers in the forward pass (dropout that is left on, noise), memory "
            "that is never filled (np.empty), or parameters that the call before changed?"
        )
    else:
        why = (
            f"{'' if 'loss' not in first else 'the loss is the same, so '}something is kept from "
            "the call before, or memory is never filled (np.empty)."
        )
    return f"{start}returns something else in {these}: {why}", first


def _common_factor(first: Arrays, again: Arrays, names: list[str], allowed: float) -> float | None:
    """The common factor of all these arrays from one call to the next, or None."""
    old, new = (
        np.concatenate([np.ravel(arrays[name]).astype(np.float64) for name in names])
        for arrays in (first, again)
    )
    if old.size != new.size or old.size < 2 or not old.any() or not np.isfinite([*old, *new]).all():
        return None
    factor = float(np.vdot(old, new) / np.vdot(old, old))
    return factor if relative_error(new, factor * old) <= 4 * allowed else None


def _weights(made: Case) -> list[str]:
    """Names of the weights of all layers in order; a single name is repeated."""
    names = [name for name in made.parameters if name[0] == "W"]
    return names if len(names) > 1 else names * 2


def enlarged(made: Case) -> Case | None:
    """The case with the same output, but values 64 times as large in all layers except the last.

    ReLU commutes with a positive factor. If the first weights and all biases but the last are
    multiplied by 64, and the last weights divided by 64, the output stays the same, and everything
    else follows without another pass; 64 is a power of two, so nothing is rounded. None for a
    network of one layer, or with tanh, batch normalisation or several frames.
    """
    first, *_, last = _weights(made)
    network = made.step.network
    if first == last or network.options.get("activation", "relu") != "relu":
        return None
    if network.statistics or network.frames > 1:
        return None  # batch normalisation removes a factor, and tanh bounds flows
    powers = {first: 1, last: -1}
    ends = f"B{last[1:]}", f"F{last[1:]}"  # the last layer keeps its scale
    powers |= {n: 1 for n in made.exact if n[0] in "BF" and n.split("[")[0] not in ends}

    def scaled(arrays):
        result = {}
        for name, a in arrays.items():
            power = powers.get(name.removeprefix("d"), 0)
            result[name] = np.asarray(a * 64.0 ** (-power if name[0] == "d" else power), a.dtype)
        return result

    return replace(made, arrays=scaled(made.arrays), exact=scaled(made.exact))


def called_larger(
    first: Arrays, call: Callable[[], Arrays], made: Case, larger: Case, allowed: float
) -> str:
    """Say what fails where activations are larger, for a function right so far; "" if nothing."""

    def same(arrays):
        return all(np.array_equal(arrays.get(name), a) for name, a in first.items())

    again = call()
    if same(again):
        if same(call()):
            return ""  # it ignores the parameters it is given, and computed the same again
        return (
            "With other weights (the first times 64, the last divided by 64) your function first "
            "returns the gradients of the call before, and those of the new weights only the next "
            "time: it uses what it kept from the call before."
        )
    errors = {name: relative_error(again[name], larger.wanted(name))
              for name in made.arrays if name in again}  # fmt: skip
    wrong = [name for name, error in errors.items() if not error <= allowed]
    if not wrong:
        return ""
    first_of_all, *_, last = _weights(made)
    layers = [name for name in made.activations if name.split("[")[0] != f"F{last[1:]}"]
    inner = " and ".join(layers) if len(layers) < 4 else "the layers but the last"
    largest = max(made.activations[name].max() for name in layers)
    biases = [name for name in made.parameters if name[0] == "B" and name[1:] != last[1:]]
    of_biases = ", ".join(biases) if len(biases) < 4 else "all biases but the last"
    start = (
        f"All is right with values up to {largest:.2g} in {inner}, but no longer where they are 64 "
        f"times as large ({first_of_all}, {of_biases} times 64, {last} divided by 64: the output "
        f"is the same): {wrong[0]} is off by {errors[wrong[0]]:.1e}. "
    )
    if wrong[0][0] != "d":
        return start + "Is there a clamp behind a layer, as in ReLU6? Wanted ReLU."
    most = max(np.abs(again[name]).max() for name in wrong)
    if all(relative_error(again[n], np.clip(larger.wanted(n), -most, most)) <= allowed
           for n in wrong):  # fmt: skip
        return start + f"Gradients are clipped to -{most:.4g}..{most:.4g}, wanted as they are."
    wanted = {name: larger.wanted(name) for name in wrong}
    factor = _common_factor(wanted, again, wrong, allowed)
    if factor is not None and len(wrong) > 1:
        return start + (
            f"{', '.join(wrong)} are {factor:.4g} times what is wanted: is the norm of the "
            f"gradients limited (clipped)? Wanted as they are."
        )
    forward = " The forward pass is right there." if "loss" in again else ""
    return (
        start.rstrip()
        + forward
        + (" Is something used that was kept from the call before, activations, masks or weights?")
    )
