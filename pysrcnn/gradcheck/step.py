"""A step of training taken apart: `reference.loss_and_gradients`, with operations that can change.

Names as in `reference`: z = W * x + B and F = max(0, z) are a layer's values, dz and dF the
gradients of the loss with respect to them. The input is `low`, so x is F of the layer before.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from ..reference import conv2d, conv2d_backward, mse, mse_backward, relu, relu_backward

__all__ = ["Change", "Layers", "dw_of", "step", "steps"]

Arrays = dict[str, np.ndarray]
Layers = list[tuple[np.ndarray, np.ndarray]]

# What is changed: the operation, the layer (0: the loss), and change(right, *arguments), which is
# given the operation as it is without the change, and its arguments.
Change = tuple[str, int, Callable]


def step(low: np.ndarray, high: np.ndarray, layers: Layers, changes: list[Change] = ()) -> Arrays:
    """One forward and one backward pass, with some operations changed.

    Parameters
    ----------
    low, high : arrays (N, C, H, W) and (N, C, H', W'), as for `reference.loss_and_gradients`
    layers : list of (w, b)
    changes : list of (operation, layer, change)
        The operations are those of the code below: "conv", "relu", "kept", "mask", "dw", "db",
        "dx", and "into dw", "into db", "into dx" of a layer (1, 2, ...), "loss" and "dloss" of
        layer 0.

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
    changes: list[Change],
    known: dict,
    keep: bool = False,
) -> Iterator[tuple[str, np.ndarray]]:
    """The values of `step` one by one, as (name, array).

    `known` has results by the very changes and arrays they were computed from, so that hundreds of
    passes that differ in one operation share those before it; a pass adds its own if it is to
    `keep` them. They hold on to the arrays, so that no other array can have the same id.
    """

    def run(operation, k, right, *arguments):
        mine = tuple(change for name, layer, change in changes if (name, layer) == (operation, k))
        key = operation, k, mine, *map(id, arguments)
        if key in known:
            return known[key][0]
        for change in mine:
            right = partial(change, right)
        result = right(*arguments)
        if keep:
            known[key] = result, arguments
        return result

    last = len(layers)
    inputs, z = {1: low}, {}
    x = low
    for k, (w, b) in enumerate(layers, 1):
        z[k] = run("conv", k, conv2d, x, w, b)
        x = run("relu", k, relu if k < last else _same, z[k])
        inputs[k + 1] = run("kept", k, _same, x, z[k])  # what the way back will use
        yield f"F{k}", x

    yield "loss", np.array(run("loss", 0, mse, x, high))
    df = run("dloss", 0, mse_backward, x, high)
    for k in reversed(range(1, last + 1)):
        yield f"dF{k}", df
        dz = run("mask", k, relu_backward if k < last else _same, df, z[k])
        w = layers[k - 1][0]
        yield f"dW{k}", run("dw", k, dw_of, run("into dw", k, _same, dz, df), inputs[k], w)
        yield f"dB{k}", run("db", k, _db, run("into db", k, _same, dz, df))
        df = run("dx", k, _dx, run("into dx", k, _same, dz, df), inputs[k], w)
    yield "dlow", df


def _same(x, *rest):
    return x


def _dx(dz, x, w):
    return conv2d_backward(dz, x, w)[0]


def dw_of(dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """dW of a layer from dz, as the operation "dw" computes it."""
    return conv2d_backward(dz, x, w)[1]


def _db(dz):
    return dz.sum(axis=(0, 2, 3))
