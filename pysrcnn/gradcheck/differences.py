"""Describe numbers that no known mistake gives: where they differ, and how."""

import re

import numpy as np

from ..reference import im2col
from .apart import dw_of
from .reference_case import Case
from .search import relative_error

__all__ = ["begins", "describe"]

Arrays = dict[str, np.ndarray]

_OF_WEIGHTS = {
    "O": "filter",
    "I": "channel",
    "H": "row of the kernels",
    "W": "column of the kernels",
}
_OF_MAPS = {"N": "sample", "C": "channel", "H": "row", "W": "column"}
_BEHIND = {"relu": "ReLU", "prelu": "PReLU"}
_MOST = 6  # places that are listed one by one


def begins(made: Case, right: set[str], wrong: list[str]) -> str:
    """Say where in a chain of layers the first of the wrong quantities went wrong."""
    first, last = wrong[0], len(made.parameters) // 2
    if first == "loss" and any(name[:2] in ("dW", "dB") for name in right):
        return "Gradients are right, so the forward pass is: look at the loss itself."
    if first == "loss":
        return f"So the forward pass, or the loss, is wrong{_but(right)}."
    if first == "output":
        return f"So the shuffle of F{last} is wrong{_but(right)}."
    if first == "doutput":
        return "So it begins with the gradient of the loss, doutput."
    number = re.search(r"\d+$", first)
    k = int(number[0]) if number else 1
    if first[0] == "F":
        return f"So layer {k} is wrong in the forward pass{_but(right)}."
    dw, db = f"dW{k}", f"dB{k}"
    proof = [n for j in range(k, 0, -1) if (n := f"dB{j}") in right and made.wanted(n).size > 1]
    if first == dw and proof:
        return f"{proof[0]} is right, and so is the dz that {dw} is made from: look at {dw} itself."
    if first == db and dw in right:
        return f"{dw} is right, and so is the dz that both are made from: look at the sum in {db}."
    if k == last and made.output == "output":
        return "So it begins with the gradient of the loss, or where that is un-shuffled."
    if k == last:
        return f"So it begins with the gradient of the loss, dF{k}."
    if first[:2] == "dF":
        return f"So it begins with what goes back through W{k + 1}."
    if first in (dw, db) and {dw, db} <= {*wrong} and {f"dW{k + 1}", f"dB{k + 1}"} <= right:
        mask = "derivative" if "activation" in made.step.network.options else "mask"
        return (
            f"Layer {k + 1} is right, and layer {k} is not: look at what goes back from one to the "
            f"other, through W{k + 1} and the {mask} of F{k}."
        )
    return ""


def _but(right):
    names = [name for name in sorted(right) if name[0] == "F"]
    return f", though {', '.join(names)} {'are' if len(names) > 1 else 'is'} right" if names else ""


def describe(made: Case, given: Arrays, names: list[str], allowed: float) -> list[str]:
    """Say where, and how, arrays of the right shape differ from those wanted.

    For arrays after the first, which may be computed from it, only clear patterns are reported.
    """
    sentences = []
    biases = [f"d{name}" for name in made.parameters if name[0] == "B"]
    for name in names:
        got, wanted = given[name], made.wanted(name)
        text = _difference(name, got, wanted, made.axes(name), allowed)
        if text and (name == names[0] or " only in " in text or ", where " in text):
            sentences.append(text)
        if name[:2] == "dW" and name == names[0]:
            own = f"dB{name[2:]}"
            before = biases[: biases.index(own) + 1] if own in biases else []
            right = [n for n in before if n in given]
            right = [n for n in right if given[n].size > 1
                     and relative_error(given[n], made.wanted(n)) <= allowed]  # fmt: skip
            sentences += _of_dw(made, name, got, allowed, bool(right))
    return sentences


def _difference(name, got, wanted, axes, allowed) -> str:
    wrong = np.abs(got - wanted) > allowed * np.abs(wanted).max()
    if got.size < 2 or not wrong.any() or not np.isfinite(got).all():
        return ""
    words = _OF_WEIGHTS if name.removeprefix("d")[0] in "WBAG" else _OF_MAPS
    where = []
    for axis, letter in enumerate(axes):
        others = tuple(a for a in range(got.ndim) if a != axis)
        hit = wrong.any(axis=others)
        if 0 < hit.sum() < hit.size:
            where.append(_indices(words[letter], np.flatnonzero(hit), hit.size))
    text = (
        f"{name} differs only in {' and '.join(where)}" if where else f"{name} differs everywhere"
    )
    if not where and wrong.mean() < 0.9:
        text = f"{name} differs at {wrong.mean():.0%} of its places, in all its parts"
    return text + _way(got[wrong], wanted[wrong], allowed * np.abs(wanted).max()) + "."


def _indices(what, indices, size) -> str:
    """Indices in words: "row 3 (the last of 4)", "samples 0 and 2 of 4"."""
    if len(indices) == 1:
        ends = {0: "the first", size - 1: "the last"}
        return f"{what} {indices[0]} ({ends.get(int(indices[0]), 'one')} of {size})"
    noun = what.replace(" ", "s ", 1) if " " in what else f"{what}s"
    if np.ptp(indices) == len(indices) - 1:
        return f"{noun} {indices[0]} to {indices[-1]} of {size}"
    if len(indices) > _MOST:
        return f"{len(indices)} of {size} {noun}"
    return f"{noun} {', '.join(map(str, indices[:-1]))} and {indices[-1]} of {size}"


def _way(got, wanted, error) -> str:
    """Say how the numbers relate to those wanted, as the end of a sentence."""

    def equal(a, b):
        return bool(np.abs(a - b).max() <= error)

    if equal(got, 0):
        return ", where it is 0"
    if got.size < 2 or not wanted.any():
        return ""
    factor = float(np.vdot(wanted, got) / np.vdot(wanted, wanted))
    if equal(got, factor * wanted):
        return f", where it is {factor:.6g} times what is wanted"
    if equal(got - wanted, (got - wanted).mean()):
        return f", where it is what is wanted plus {(got - wanted).mean():.6g}"
    nonzero = np.abs(got) > error
    if nonzero.sum() < 2:  # any one number is a multiple of another
        return f", where it is 0 but for one of {got.size} values"
    factor = float(np.median(got[nonzero] / np.where(wanted, wanted, np.inf)[nonzero]))
    if abs(factor) > 1e-6 and equal(got[nonzero], factor * wanted[nonzero]):
        return (
            f", where it is 0 ({1 - nonzero.mean():.0%}) or {factor:.4g} times what is wanted, as "
            f"dropout leaves it"
        )
    if equal(np.sort(got), np.sort(wanted)):
        return ", where it has the same numbers in another order"
    norms = np.linalg.norm(got) * np.linalg.norm(wanted)
    alike = float(np.vdot(got, wanted) / norms) if norms else 0.0
    return f" (its direction is {'nearly right' if alike > 0.95 else 'wrong'}, cosine {alike:.2f})"


# ------------------------------------------------------------------------- what dW is a sum of


def _of_dw(made: Case, name: str, got: np.ndarray, allowed: float, dz_right: bool) -> list[str]:
    """Say what a wrong dW shows about the terms of its sum and the dz it was computed from."""
    k, got = name[2:].strip("_"), made.to_ours(name, got).astype(np.float64)
    run = made.step.run()
    of = [call for call in run.calls if f"d{call.weights}" == name]
    if len(of) > 1 or not np.isfinite(got).all():
        return []
    call, df = of[0], made.exact[f"dF{of[0].label}"]
    x, kind, dz = call.wide, call.activation, run.dz[of[0].label]
    for axis, what in ((0, "samples"), (2, "rows of the output"), (3, "columns of the output")):
        terms = []
        for index in range(dz.shape[axis]):
            of_one = np.zeros_like(dz)
            place = (slice(None),) * axis + (index,)
            of_one[place] = dz[place]
            terms.append(dw_of(of_one, x, call.w).ravel())
        weights, left = _solved(np.stack(terms, 1), got.reshape(-1, 1))
        if len(terms) < got.size and left <= 4 * allowed:
            counts = ", ".join(f"{weight:.4g}" for weight in np.round(weights[:, 0], 6) + 0.0)
            return [f"{name} is the sum over {what}, but these count {counts} times."]
    columns = im2col(x, got.shape[2])
    columns = columns.transpose(1, 0, 2).reshape(columns.shape[1], -1)
    if columns.shape[0] < columns.shape[1]:
        return []  # more unknowns than equations
    theirs, left = _solved(columns, got.reshape(len(got), -1).T)
    if left > 100 * allowed:
        return [
            f"Whatever dz is, {name} is not its sum of products with the right input of layer {k}: "
            f"look at {name} itself, or at that input."
        ]
    if dz_right:
        return []
    theirs = theirs.reshape(len(x), *dz.shape[2:], len(got)).transpose(0, 3, 1, 2)
    found = _difference(f"dz{k}", theirs, dz, "NCHW", 100 * allowed)
    behind = "batch normalisation" if call.norm else _BEHIND.get(kind or "relu", "tanh")
    start = f"{name} fits a dz{k} (the gradient of layer {k} before its {behind}) that is not "
    start += "the right one"
    error = 100 * allowed * np.abs(df).max()
    passed = np.abs(theirs) > error
    if kind == "relu" and np.abs(np.where(passed, theirs - df, 0)).max() <= error:
        through = passed & (np.abs(df) > error)
        wanted = (call.f > 0) & (np.abs(df) > error)
        return [
            f"{start}: dF{k} is right, its mask is another. It stops {(wanted & ~through).sum()} "
            f"values that it should let through, and lets through {(through & ~wanted).sum()} that "
            f"it should stop, of {df.size}. {_threshold(call.f, wanted, through)}{found}"
        ]
    return [f"{start}. {found}".rstrip()]


def _threshold(f, wanted, through) -> str:
    """Say so if the mask stops just the smallest values; otherwise ""."""
    stopped = f[wanted & ~through]
    if stopped.size and not (through & ~wanted).any() and stopped.max() < f[through].min():
        between = f"between {stopped.max():.4g} and {f[through].min():.4g}"
        return f"Those it stops are the smallest: is its threshold, to be 0, {between}? "
    return ""


def _solved(columns, values):
    """The least squares solution, and the largest relative error it leaves."""
    found = np.linalg.lstsq(columns, values, rcond=None)[0]
    return found, relative_error(columns @ found, values)
