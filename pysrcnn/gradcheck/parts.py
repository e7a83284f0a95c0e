"""Mistakes of sums: parts left out, one part in place of all, means, wrong factors.

A convolution and its gradients are sums over samples, pixels, channels and kernel weights, with one
loop for each. A loop that begins late, ends early or overwrites its results gives some terms a
weight of 0; so each of these mistakes weights the terms along some axes.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from .changes import Call, Change, Mistake, scaled, where

__all__ = ["of_loss_parts", "of_parts", "of_sums", "weighted"]

# Axes of maps (outputs and their gradients) and of weights.
_MAPS = {"n": 0, "o": 1, "i": 2, "j": 3}
_WEIGHTS = {"o": 0, "c": 1, "u": 2, "v": 3}
_NAMES = {
    "n": "sample", "o": "filter", "i": "row of the output", "j": "column of the output",
    "c": "channel", "u": "row of the kernels", "v": "column of the kernels",
    "ij": "row and column of the output", "nij": "pixel, of one sample",
    "nj": "column of the output, of one sample", "ni": "row of the output, of one sample",
    "uv": "row and column of the kernels", "cuv": "weight of the kernels, of one channel",
}  # fmt: skip


def _some(begin, end):
    """A function of a size that gives weights: 1 from `begin` to `end`, 0 elsewhere."""

    def weights(size):
        found = np.zeros(size)
        found[begin:end] = 1
        return found

    return weights


# Kind, words, weights of the terms by their number, and the axes on which this happens.
_EVERY = ("n", "i", "j", "ij", "o", "c", "u", "v", "uv")
_PATTERNS = [
    ("last missing", "without the last {}", _some(0, -1), _EVERY),
    ("first missing", "without the first {}", _some(1, None), _EVERY),
    ("border missing", "without the first and the last {}", _some(1, -1),
     ("i", "j", "ij", "u", "v", "uv")),
    ("last two missing", "without the last two {}", _some(0, -2), ("i", "j", "u", "v")),
    ("last alone", "from the last {} alone (overwritten, not added up?)", _some(-1, None),
     (*_EVERY, "ni", "nj", "nij", "cuv")),
    ("first alone", "from the first {} alone (returned too early?)", _some(0, 1),
     (*_EVERY, "ni", "nj", "nij", "cuv")),
    ("first for all", "from the first {} alone, as often as there are samples: it serves for all",
     lambda size: np.eye(1, size)[0] * size, ("n",)),
    ("last for all", "from the last {} alone, as often as there are samples: it serves for all",
     lambda size: np.eye(1, size, size - 1)[0] * size, ("n",)),
    ("running sums", "with running sums added up: the first {} counts for each that follows",
     lambda size: np.arange(size, 0.0, -1), ("n",)),
]  # fmt: skip


def of_parts(on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Parts of sums that are missing in these layers."""
    layers = where(on, calls)
    maps = [
        ("dW {} is", ["dw"]), ("dB {} is", ["db"]), ("dW and dB {} are", ["dw", "db"]),
        ("the gradient that goes back through the kernels {} is", ["dx"]),
        ("dW, dB and the gradient that goes back {} are", ["dw", "db", "dx"]),
        ("the convolution {}, forward, is", ["conv"]),
    ]  # fmt: skip
    weights = [
        ("dW {} is", ["dw"]), ("the gradient that goes back through the kernels {} is", ["dx"]),
        ("dW and the gradient that goes back {} are", ["dw", "dx"]),
        ("the convolution {}, forward, is", ["conv"]),
        ("the convolution {}, forward and backward, is", ["conv", "dw", "dx"]),
        ("the convolution {}, forward and in dW, is", ["conv", "dw"]),
    ]  # fmt: skip
    found = []
    for kind, words, pattern, letters in _PATTERNS:
        for along in letters:
            sizes = [_size(along, calls[k - 1]) for k in on]
            if max(sizes) == 1:
                continue
            for what, operations in maps if along[0] in _MAPS else weights:
                if "nij" in along and "conv" in operations:
                    continue
                if along == "o" and min(sizes) == 1 and "dx" in operations:
                    continue  # the gradient is cut off there, which is another mistake
                changes = [(o, k, partial(weighted, o, along, pattern))
                           for o in operations for k in on]  # fmt: skip
                found.append(_part(kind, f"{what.format(layers)} computed", words, along, changes))
    return found + _of_one_sample(layers, on)


def _of_one_sample(layers, on):
    """One sample's gradient used for all samples, together with the others' inputs."""
    found = []
    for name, index in (("first", 0), ("last", -1)):
        given = partial(_for_all_given, index)
        ways: list[tuple[str, list[Change]]] = [
            (
                "the gradient that goes back through the kernels {} is that",
                [("dx", k, partial(_for_all_found, index)) for k in on],
            ),
            ("dW {} is computed from the gradient dz", [("dw", k, given) for k in on]),
            (
                "dW and dB {} are computed from the gradient dz",
                [(o, k, given) for o in ("dw", "db") for k in on],
            ),
            (
                "dW, dB and the gradient that goes back {} are computed from the gradient dz",
                [(o, k, given) for o in ("dw", "db", "dx") for k in on],
            ),
        ]
        for what, changes in ways:
            found.append(
                Mistake(
                    f"gradient of the {name} sample for all",
                    f"{what.format(layers)} of the {name} sample for all samples",
                    changes,
                )
            )
    return found


def _for_all_given(index, right, dz, *rest):
    return right(dz[[index] * len(dz)], *rest)


def _for_all_found(index, right, *arguments):
    out = right(*arguments)
    return out[[index] * len(out)]


def _part(kind, what, words, along, changes):
    name = _NAMES[along]
    if " two " in words:
        name = name.replace(" ", "s ", 1)
    operations = "+".join(sorted({operation for operation, *_ in changes}))
    return Mistake(f"{kind}: {name} ({operations})", f"{what} {words.format(name)}", changes)


def _size(along: str, call: Call) -> int:
    """The number of terms along these axes in a layer."""
    sizes = dict(zip("noij", call.z.shape, strict=True))
    sizes |= dict(zip("ocuv", call.w.shape, strict=True))
    return math.prod(sizes[letter] for letter in along)


def weighted(operation: str, along: str, pattern, right, *arguments):
    """A change that weights terms along some axes; pattern(size) gives the weights."""
    first, *rest = arguments
    if operation == "loss":
        return right(*(_along(a, along, _MAPS, pattern) for a in arguments))
    if along[0] in _MAPS:
        if operation in ("conv", "dloss"):
            return _along(right(*arguments), along, _MAPS, pattern)
        return right(_along(first, along, _MAPS, pattern), *rest)
    if operation == "dw":
        return _along(right(*arguments), along, _WEIGHTS, pattern)
    at = 1 if operation == "conv" else 2  # the weights, among (x, w, b) or (dz, x, w)
    w = _along(arguments[at], along, _WEIGHTS, pattern)
    return right(*arguments[:at], w, *arguments[at + 1 :])


def _along(array, along, axes, pattern):
    for letter in along:
        axis = axes[letter]
        array = array * pattern(array.shape[axis]).reshape(-1, *[1] * (array.ndim - axis - 1))
    return array


def of_sums(layers: str, on: tuple[int, ...]) -> list[Mistake]:
    """Wrong dW and dB, which are sums over samples and pixels: means, factors, signs."""
    changes: list[tuple[str, str, Callable]] = [
        ("mean over samples", "averaged over the samples, wanted their sum",
         lambda right, dz, *rest: right(dz, *rest) / len(dz)),
        ("mean over pixels", "averaged over the pixels, wanted their sum",
         lambda right, dz, *rest: right(dz, *rest) / dz[0, 0].size),
        ("mean over samples and pixels", "averaged over samples and pixels, wanted their sum",
         lambda right, dz, *rest: right(dz, *rest) / dz[:, 0].size),
        ("sum of samples twice", "multiplied by the number of samples",
         lambda right, dz, *rest: right(dz, *rest) * len(dz)),
        ("wrong sign", "of the wrong sign", partial(scaled, -1)),
        ("factor 2", "2 times what is wanted", partial(scaled, 2)),
        ("factor 1/2", "1/2 times what is wanted", partial(scaled, 0.5)),
        ("zero", "zero: never computed, or set to zero before it is returned", partial(scaled, 0)),
        ("sign alone", "the sign of what is wanted, -1 or 1",
         lambda right, *arguments: np.sign(right(*arguments))),
        ("absolute value", "without the sign", lambda right, *a: np.abs(right(*a))),
        ("centred", "centred (its mean subtracted)",
         lambda right, *a: (lambda g: g - g.mean())(right(*a))),
    ]  # fmt: skip
    found = []
    for kind, words, change in changes:
        for name, operations in (("dB", ["db"]), ("dW", ["dw"]), ("dW and dB", ["dw", "db"])):
            be = "are" if len(operations) > 1 else "is"
            found.append(Mistake(kind, f"{name} {layers} {be} {words}",
                                 [(o, k, change) for o in operations for k in on]))  # fmt: skip
    of_biases = [
        ("sum over filters", "summed over the filters too",
         lambda right, dz: np.full(dz.shape[1], dz.sum())),
        ("mean of filters", "the mean of what is wanted, the same for all filters",
         lambda right, dz: np.full(dz.shape[1], dz.sum() / dz.shape[1])),
    ]  # fmt: skip
    return found + [Mistake(kind, f"dB {layers} is {words}", [("db", k, change) for k in on])
                    for kind, words, change in of_biases]  # fmt: skip


def of_loss_parts() -> list[Mistake]:
    """Pixels or samples that the loss or its gradient leaves out."""
    found = []
    for kind, words, pattern, letters in _PATTERNS:
        for along in letters:
            if set(along) <= set("nij"):
                for what, operations in (
                    ("the loss and its gradient are", ["loss", "dloss"]),
                    ("the loss alone is", ["loss"]),
                    ("the gradient of the loss, dF, is", ["dloss"]),
                ):
                    changes = [(o, 0, partial(weighted, o, along, pattern)) for o in operations]
                    found.append(_part(kind, f"{what} computed", words, along, changes))
    for name, index in (("first", 0), ("last", -1)):
        found.append(
            Mistake(
                f"gradient of the {name} sample for all (dloss)",
                f"the gradient of the loss, dF, is that of the {name} sample for all samples",
                [("dloss", 0, partial(_for_all_found, index))],
            )
        )
    return found
