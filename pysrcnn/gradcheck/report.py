"""The report of `gradcheck`: a table, and sentences on what is wrong."""

import itertools
import textwrap
from dataclasses import dataclass

import numpy as np

from ..networks import DRCN, ESPCN, Chain
from .diagnosis import Explanation, diagnose
from .differences import begins, describe
from .reference_case import Case, rounding
from .search import leads_on, relative_error

__all__ = ["Report", "Row", "explain"]


@dataclass(frozen=True)
class Row:
    """The comparison of one array: its largest error, relative to the largest value wanted.

    `index` is where that error is; `got` and `wanted` are the values there. If the array has
    another shape, `error` is infinite and `index` None.
    """

    name: str
    ok: bool
    error: float
    index: tuple[int, ...] | None
    got: float
    wanted: float


@dataclass(frozen=True)
class Report:
    """What `gradcheck` found; print it for a table and some sentences, 80 columns wide.

    Attributes
    ----------
    title : str
    ok : bool
        Whether the loss and all parameter gradients were given, and all given arrays are right.
    rows : list of Row
        In the order in which a training step computes the arrays.
    diagnosis : list of str
        Sentences on what is wrong; empty if nothing is.
    explanations : list of `pysrcnn.gradcheck.diagnosis.Explanation`
        The mistakes found, each with a kind to identify it.
    note : str
        What could not be checked, usually empty.
    """

    title: str
    ok: bool
    rows: list[Row]
    diagnosis: list[str]
    explanations: list[Explanation]
    note: str = ""

    def __str__(self) -> str:
        missing = [text for text in self.diagnosis if text.startswith("Missing: ")]
        found = "incomplete" if missing == self.diagnosis else "WRONG"
        lines = [f"{self.title}: {'right' if self.ok else found}"]
        wide = max(len(row.name) for row in self.rows) if self.rows else 0
        line = f"{{:<{max(wide, 5)}}} {{:<6}}{{:>8}}  {{:<19}}{{:>14}}{{:>14}}".format
        lines.append(line("", "", "error", "where it is largest", "yours", "wanted"))
        for row in self.rows:
            where = ["", "", ""]
            if row.index is None:
                where[0] = "another shape"
            elif not row.ok:
                index = str(list(row.index)) if row.index else ""  # the loss has none
                where = [index, f"{row.got:.6g}", f"{row.wanted:.6g}"]
            verdict = "ok" if row.ok else "WRONG"
            lines.append(line(row.name, verdict, f"{row.error:.1e}", *where).rstrip())
        for sentence in [*self.diagnosis, *filter(None, [self.note])]:
            lines += ["", *textwrap.wrap(sentence, 80)]
        return "\n".join(lines)


# -------------------------------------------------------------------------------------- in words

_ALTERNATIVES = 4  # how many mistakes that give the same numbers are named
_LOSSES = {
    "mse": "({y} - high)^2, so d{y} = 2 ({y} - high) / {size}",
    "l1": "|{y} - high|, so d{y} = sign({y} - high) / {size}",
    "charbonnier": "e = sqrt(({y} - high)^2 + 0.001^2), so d{y} = ({y} - high) / e / {size}",
}
_CONVENTION = "Here the loss is {loss}; {pads}, and convolution does not flip."
_SHARES = (
    "{alpha:g} times the mean of the losses of y_1, ..., y_{n} and {rest:g} times that of the "
    "output, each "
)
_SHUFFLED = " Map {s2} c + {s} a + b of F{last} has sub-pixel (a, b) of channel c."
_PADS = {
    "valid": "no layer pads",
    "zeros": "each layer pads with zeros",
    "replicate": "each layer repeats the edge of its input",
}


def explain(
    made: Case, given: dict[str, np.ndarray], rows: list[Row], dtype: np.dtype, allowed: float
) -> tuple[list[str], list[Explanation]]:
    """Return sentences on what is wrong, and the explanations they are based on."""
    rounds = rounding(made, dtype)
    if all(row.error <= rounds for row in rows):
        return [
            f"All is right to the rounding of {dtype}, {rounds:.1e}, and rounding alone is more "
            f"than the tolerance given, {allowed:.1e}: there is nothing to mend."
        ], []
    single = rounding(made, np.dtype(np.float32))
    through_single = [
        f"All is right to the rounding of float32, {single:.1e}, and was to be float64 "
        f"({allowed:.1e}): somewhere, numbers go through float32. JAX needs "
        f'jax.config.update("jax_enable_x64", True), PyTorch tensors of float64.'
    ]
    rough = all(row.error <= single for row in rows)
    # If some arrays are right, rounding does not explain the others: look for a mistake.
    some_right = any(row.ok and given[row.name].size > 1 for row in rows)
    if rough and not some_right:
        return through_single, []
    gradients = [row for row in rows if row.name[0] == "d"]
    if (
        gradients
        and all(row.index is not None for row in gradients)
        and not any(given[row.name].any() for row in gradients)
    ):
        return [
            "All your gradients are zero: read them after the backward pass, and before they are "
            "set to zero for the next step."
        ], []
    wrong = [row.name for row in rows if not row.ok]
    few = _few_digits([given[name] for name in wrong])
    if few and max(row.error for row in rows) < 0.02:
        return [
            f"The values of {', '.join(wrong)} have at most 11 significant bits each: they went "
            f"through float16, bfloat16 or TF32, wanted {dtype} throughout. Or give tolerance=0.01."
        ], []
    ours = {name: made.to_ours(name, array) for name, array in given.items()}
    explanations, unexplained = diagnose(ours, made.step, allowed)
    if rough and not explanations:
        return through_single, []
    sentences = []
    for number, (first, likely) in enumerate(explanations, 1):
        text = f"{first} is wrong{' too' if number > 1 else ''}: "
        others = {mistake.kind: mistake for mistake in reversed(likely)}  # one of each kind
        text += "; or ".join([m.words for m in reversed(others.values())][:_ALTERNATIVES]) + ". "
        text = text.replace("loss, dF,", f"loss, d{made.output},")
        if len(others) > 1:
            text += "What was given does not tell these apart. "
        if number == len(explanations):  # the last sentence concludes
            made_here = "any of these mistakes" if len(others) > 1 else "this mistake"
            made_here = "all these mistakes" if number > 1 else made_here
            text += f"With {made_here}, the reference computes "
            text += f"{_those(unexplained)}." if unexplained else "exactly your numbers."
        sentences.append(text.rstrip())
    if len(explanations) > 1 and all(
        mistake.kind == "constant factor" for e in explanations for mistake in e.likely
    ):
        sentences.append(
            "Give the gradients themselves: neither multiplied by learning rates nor normalized."
        )
    if unexplained:
        rounded = not explanations and not some_right
        sentences += _unexplained(made, given, rows, unexplained, rounded, allowed)
    sentences.append(_convention(made))
    return sentences, explanations


def _convention(made: Case) -> str:
    network, alpha = made.step.network, made.step.alpha
    pads = _PADS[network.options.get("padding", "zeros")]
    loss = "the mean over all elements of " + _LOSSES[made.step.loss].format(
        y="y" if isinstance(network, DRCN) else made.output, size=made.high.size
    )
    if isinstance(network, DRCN):
        loss = _SHARES.format(alpha=alpha, rest=1 - alpha, n=network.recursions) + loss
    text = _CONVENTION.format(loss=loss, pads=pads)
    if network.statistics:
        whose = "of the batch" if network.options["training"] else "that are running"
        text += f" Batch normalisation takes the mean and variance {whose}."
    if isinstance(network, ESPCN):
        s = network.scale or 1
        text += _SHUFFLED.format(s=s, s2=s**2, last=len(made.parameters) // 2)
    return text


def _few_digits(arrays: list[np.ndarray]) -> bool:
    """Whether many different values all have at most the significant bits of float16."""
    values = np.concatenate([np.ravel(array) for array in arrays])
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype(np.float32)
    bits = np.unique(single.view(np.uint32))
    return bool(bits.size > 9 and (single == values).all() and not (bits & 0x1FFF).any())


def _those(unexplained: list[str]) -> str:
    """Name all numbers except these and those computed from the last of them."""
    text = f"all your numbers but those of {', '.join(unexplained)}"
    last = unexplained[-1]
    return text + (" and all that follows" if leads_on(last) else "")


def _unexplained(
    made: Case,
    given: dict[str, np.ndarray],
    rows: list[Row],
    names: list[str],
    rounded: bool,
    allowed: float,
) -> list[str]:
    """Sentences on arrays that no known mistake gives; `rounded`: they may have fewer digits."""
    sentences, strange, foreign = [], [], []
    for row in rows:
        got = given[row.name]
        if row.index is None:
            text = _shape(made, row.name, got)
            foreign += [row.name] if text.endswith(_FOREIGN) else []
            if not text.endswith(_FOREIGN) or len(foreign) == 1:
                sentences.append(f"{row.name}: {text}")
        elif row.name in names and (bad := np.count_nonzero(~np.isfinite(got))):
            sentences.append(f"{row.name}: {bad} of {got.size} values are not finite (nan or inf).")
        elif row.name in names:
            strange.append(row)
    if len(foreign) > 1:
        sentences.append(f"Nor does any make {', '.join(foreign[1:])} right.")
    for a, b in itertools.combinations([row.name for row in strange], 2):
        theirs, wanted = (given[a], given[b]), (made.wanted(b), made.wanted(a))
        if all(x.shape == y.shape and relative_error(x, y) <= allowed
               for x, y in zip(theirs, wanted, strict=True)):  # fmt: skip
            sentences.append(f"{a} and {b} are exchanged: each holds the other's right numbers.")
            strange = [row for row in strange if row.name not in (a, b)]
    if strange:
        row = strange[0]
        where = f"{row.name} is"
        if row.index:
            where = f"In {row.name}, the largest difference is at {list(row.index)}:"
        order = list(made.arrays)
        before = [
            name for name in order[: order.index(row.name)] if leads_on(name) and name not in given
        ]
        sentences.append(
            f"No mistake that is known here gives the numbers of "
            f"{', '.join(r.name for r in strange)}. {where} {row.got:.6g}, "
            f"wanted {row.wanted:.6g}."
            + (f" Give {', '.join(before)} too, to see where it begins." if before else "")
        )
        right = [r.name for r in rows if r.ok]
        wrong = [r.name for r in rows if not r.ok]
        chain = isinstance(made.step.network, Chain)
        where = begins(made, {*right}, wrong) if chain and row.name == wrong[0] else ""
        if where and right:
            sentences.append(
                f"Right {'are' if len(right) > 1 else 'is'} {', '.join(right)}. {where}"
            )
        elif where:
            sentences.append(where)
        if row.name != "loss":
            arrays = [r.name for r in strange if r.index]
            sentences += describe(made, given, arrays, allowed)
    worst = max(row.error for row in rows)
    if rounded and worst < 0.02:
        sentences.append(
            f"Nothing is off by more than {worst:.1e}: were numbers of fewer digits used, such as "
            f"TF32 (on by default on some GPUs), bfloat16 or float16? Then give tolerance=0.01."
        )
    return sentences


_FOREIGN = ", or of other numbers of filters (--filters)?"


def _shape(made: Case, name: str, got: np.ndarray) -> str:
    """Say what is wrong with an array of the wrong shape, and what to do."""
    wanted, axes = made.wanted(name), made.axes(name)
    text = f"it has the shape {got.shape}, wanted {wanted.shape}"
    text += f" ({', '.join(axes)}). " if axes else ". "

    single = rounding(made, np.dtype(np.float32))

    def right(array):
        return relative_error(array, wanted) <= single

    for order in itertools.permutations(range(got.ndim)) if got.ndim == wanted.ndim else ():
        if order != tuple(range(got.ndim)) and right(got.transpose(order)):
            theirs = ", ".join(axes[order.index(axis)] for axis in range(got.ndim))
            return text + (
                f"Its axes are {theirs}: `.transpose{order}` makes it right, or the check is to be "
                f"told the other layout."
            )
    if got.size == wanted.size and right(got.reshape(wanted.shape)):
        return text + f"The numbers are right: `.reshape{wanted.shape or '(())'}` makes it right."
    if name[:2] in ("dB", "dW") and got.ndim > wanted.ndim:
        for count in range(1, got.ndim - wanted.ndim + 1):
            for summed in itertools.combinations(range(got.ndim), count):
                if right(got.sum(axis=summed)):
                    return text + f"It is not summed over all it should: `.sum(axis={summed})` is."
    if name == "loss" and got.size > 1:
        averaged = " makes it right" if right(got.mean()) else ""
        return text + f"It is not averaged: one number is wanted, `.mean()`{averaged}."
    pads = made.step.network.options.get("padding") != "valid"
    if name[0] in "Fo" and not pads and got.ndim == 4 and got.size > wanted.size:
        return text + "Larger than wanted: does a layer pad? None does here."
    others = [n for n in made.exact if n[:2] in ("dW", "dB") and n != name]
    others = [n for n in others if made.wanted(n).shape == got.shape and name[0] == "d"]
    same = [n for n in others if relative_error(got, made.wanted(n)) <= single]
    if same:
        return text + f"These are the numbers of {same[0]}: were the two exchanged?"
    if others:
        return text + f"That is the shape of {others[0]}: were the two exchanged?"
    return text + (
        f"No exchange of axes, and no sum, makes it right: is it of another network than "
        f"{made.network}{_FOREIGN}"
    )
