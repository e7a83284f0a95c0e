"""A step of training taken apart: `reference.loss_and_gradients`, with operations that can change.

Names as in `reference`: z = W * x + B and F = max(0, z) are a layer's values, dz and dF the
gradients of the loss with respect to them. The input is `low`, so x is F of the layer before.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ..reference import col2im, im2col, mse, mse_backward, relu, relu_backward

__all__ = ["Change", "Layers", "Mistake", "dw_of", "scaled", "step", "steps"]

Arrays = dict[str, np.ndarray]
Layers = list[tuple[np.ndarray, np.ndarray]]

# What is changed: the operation, the layer (0: the loss), and change(right, *arguments), which is
# given the operation as it is without the change, and its arguments.
Change = tuple[str, int, Callable]


class Mistake(NamedTuple):
    """A mistake: a word for it, a sentence that says what is wrong, and the changes of `step`."""

    kind: str
    words: str
    changes: list[Change]
    fitted: bool = False  # whether a number in it was chosen to fit


def scaled(factor: float, right, *arguments):
    """A change: what the operation gives, times a factor."""
    return right(*arguments) * factor


def step(
    low: np.ndarray, high: np.ndarray, layers: Layers, changes: Sequence[Change] = ()
) -> Arrays:
    """One forward and one backward pass, with some operations changed.

    Parameters
    ----------
    low, high : arrays (N, C, H, W) and (N, C, H', W'), as for `reference.loss_and_gradients`
    layers : list of (w, b)
    changes : list of (operation, layer, change)
        The operations are those of the code below: "conv", "relu", "kept", "mask", "dw", "db",
        "dx", and "into dw", "into db", "into dx" of a layer (1, 2, ...), "input", "target",
        "kept", "loss" and "dloss" of layer 0.

    Returns
    -------
    values : dict of arrays, in the order in which they are computed
        F1, F2, F3, loss; dF3, dW3, dB3, dF2, dW2, dB2, dF1, dW1, dB1, dlow. F3 is the output; dF1
        is the gradient with respect to F1, before the mask of ReLU.
    """
    return dict(steps(low, high, layers, changes, {}))


def steps(
    low: np.ndarray,
    high: np.ndarray,
    layers: Layers,
    changes: Sequence[Change],
    known: dict,
    keep: bool = False,
) -> Iterator[tuple[str, np.ndarray]]:
    """The values of `step` one by one, as (name, array).

    `known` has results by the very changes and arrays they were computed from, so that hundreds of
    passes that differ in one operation share those before it; a pass adds its own if it is to
    `keep` them. They hold on to the arrays, so that no other array can have the same id.
    """
    by_place: dict[tuple[str, int], tuple[Callable, ...]] = {}
    for operation, k, change in changes:
        by_place[operation, k] = (*by_place.get((operation, k), ()), change)

    def run(operation, k, right, *arguments):
        mine = by_place.get((operation, k), ())
        key = operation, k, mine, *map(id, arguments)
        if key in known:
            return known[key][0]
        for change in mine:
            right = partial(change, right)
        result = right(*arguments)
        if keep:
            known[key] = result, arguments
        return result

    def columns(x, f):
        key = "columns", id(x), f
        if key in known:
            return known[key][0]
        result = im2col(x, f)
        if keep and result.nbytes < 2**26:
            known[key] = result, x
        return result

    conv, dw = partial(_conv, columns), partial(_dw, columns)
    last = len(layers)
    x, high = run("input", 0, _same, low), run("target", 0, _same, high)
    inputs, z = {1: run("kept", 0, _same, x, x)}, {}
    for k, (w, b) in enumerate(layers, 1):
        z[k] = run("conv", k, conv, x, w, b)
        x = run("relu", k, relu if k < last else _same, z[k])
        inputs[k + 1] = run("kept", k, _same, x, z[k])  # what the way back will use
        yield f"F{k}", x

    yield "loss", np.array(run("loss", 0, mse, x, high))
    df = run("dloss", 0, mse_backward, x, high)
    for k in reversed(range(1, last + 1)):
        yield f"dF{k}", df
        dz = run("mask", k, _masked if k < last else _same, df, z[k], z.get(k + 1))
        w = layers[k - 1][0]
        yield f"dW{k}", run("dw", k, dw, run("into dw", k, _same, dz, df), inputs[k], w)
        yield f"dB{k}", run("db", k, _db, run("into db", k, _same, dz, df))
        df = run("dx", k, _dx, run("into dx", k, _same, dz, df), inputs[k], w)
    yield "dlow", df


def _same(x, *rest):
    return x


def _masked(df, z, z_next):
    return relu_backward(df, z)


# The lines of `reference.conv2d` and `conv2d_backward`, apart from each other, so that a change of
# one does not compute the others again, nor the columns.


def _conv(columns, x, w, b):
    (o, _, f, _), (height, width) = w.shape, x.shape[2:]
    out = w.reshape(o, -1) @ columns(x, f) + b[:, None]
    return out.reshape(len(x), o, height - f + 1, width - f + 1)


def _dw(columns, dz, x, w):
    cols = columns(x, w.shape[2]).transpose(0, 2, 1)
    return (dz.reshape(*dz.shape[:2], -1) @ cols).sum(axis=0).reshape(w.shape)


def dw_of(dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """dW of a layer from dz, as the operation "dw" computes it."""
    return _dw(im2col, dz, x, w)


def _dx(dz, x, w):
    dz = dz.reshape(*dz.shape[:2], -1)
    return col2im(w.reshape(len(w), -1).T @ dz, x.shape, w.shape[2])


def _db(dz):
    return dz.sum(axis=(0, 2, 3))
