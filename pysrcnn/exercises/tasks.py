"""The exercises: the arguments each file's functions are called with, and the results wanted.

The wanted results are computed by `reference`. For gradients, a student's result takes its place in
a step of training, and `gradcheck` looks for the mistake that reproduces that step.
"""

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from .. import reference
from ..gradcheck import Case, case, gradcheck, rounding
from ..gradcheck.reference_case import case_of
from ..metrics import psnr
from . import slips
from .judging import Call
from .recursion import Recursion

__all__ = ["EXERCISES"]

_SIZES: dict[str, Any] = {"filters": (4,), "c": 3, "samples": 5}


@cache
def _chain() -> Case:
    """Two layers without padding."""
    return case("3-3", size=(4, 6), **_SIZES)


@cache
def _block() -> Case:
    """A residual block: a VDSR of two layers."""
    return case("vdsr", depth=2, size=(6, 7), **_SIZES)


# ------------------------------------------------------------------------- in gradcheck's words


def _in_words(made: Case, where: str, theirs: dict[str, np.ndarray], after: str = "") -> list[str]:
    """Name the mistakes that give these values in a step in which everything before is right.

    after: the first of the values left out of the step unless `theirs` has them.
    """
    names = list(made.exact)
    until = names.index(after) if after else len(names)
    report = gradcheck({n: made.exact[n] for n in names[:until]} | theirs, made)
    if not report.explanations:
        told = [s for s in report.diagnosis if not s.startswith(("Missing", "Here the loss is"))]
        told = [_GIVE.sub("", sentence) for sentence in told]
        return [f"{where}: {sentence}" for sentence in told]
    kinds = [{m.kind: m.words for m in reversed(e.likely)} for e in report.explanations]
    words = ["; or ".join(reversed(of.values())) for of in kinds]  # one sentence for each kind
    return [f"{where}: {'; and '.join(words)}."]


_GIVE = re.compile(r" Give [^.]+ too, to see where it begins\.")  # files return what is asked
_STEP = "In a step of training with yours in it"


def _of_network(made: Case, got: Any) -> list[str]:
    return gradcheck(got, made).diagnosis


def _of_relu_of_z(got: np.ndarray) -> list[str]:
    made, e = _block(), _block().exact
    dx, dw, db = reference.conv2d_same_backward(got, e["low"], e["W1"])
    theirs = {"dW1": dw, "dB1": db, "dlow": dx + e["doutput"]}
    told = _in_words(made, f"{_STEP}, behind a layer whose output is F1", theirs)
    return [re.sub(r"\bz\b", "x", sentence) for sentence in told]


def _of_relu(got: np.ndarray) -> list[str]:
    return [_AT_ZERO] if np.array_equal(got, _block().exact["dF1"]) else _of_relu_of_z(got)


_AT_ZERO = (
    "Here x is what came out of a ReLU, so it is 0 where the gradient is to be stopped: 0 itself "
    "must stop it, and does not (x >= 0)."
)


def _of_chain(dx: np.ndarray) -> dict[str, np.ndarray]:
    """dF1 and the gradients computed from it in `_chain`."""
    e = _chain().exact
    dz = reference.relu_backward(dx, e["F1"])
    dlow, dw, db = reference.conv2d_backward(dz, e["low"], e["W1"])
    return {"dF1": dx, "dW1": dw, "dB1": db, "dlow": dlow}


def _of_col2im(
    cols: np.ndarray, shape: tuple[int, int, int, int], f: int, got: np.ndarray
) -> list[str]:
    if told := slips.of_col2im(cols, shape, f, got, rounding(_chain(), np.dtype(float))):
        return told
    where = f"{_STEP}, in layer 2 of 2, to get dF1, the gradient of what it takes"
    return _in_words(_chain(), where, _of_chain(got))


def _of_convolution(got: tuple) -> list[str]:
    dx, dw, db = got
    theirs = {"dW2": dw, "dB2": db} | _of_chain(dx)
    return _in_words(_chain(), f"{_STEP}, in layer 2 of 2 (dx is dF1)", theirs)


def _of_convolution_same(got: tuple) -> list[str]:
    e, (dx, dw, db) = _block().exact, got
    dz = reference.relu_backward(dx, e["F1"])
    dlow, dw1, db1 = reference.conv2d_same_backward(dz, e["low"], e["W1"])
    theirs = {"dW2": dw, "dB2": db, "dF1": dx, "dW1": dw1, "dB1": db1, "dlow": dlow + e["doutput"]}
    return _in_words(_block(), f"{_STEP}, in layer 2 of 2 (dx is dF1)", theirs)


def _of_loss(got: tuple) -> list[str]:
    loss, dprediction = got
    told = _in_words(_chain(), _STEP, {"loss": loss, "dF2": dprediction}, after="loss")
    return [sentence.replace("loss, dF,", "loss, dprediction,") for sentence in told]


def _of_shuffle(made: Case, name: str, got: np.ndarray) -> list[str]:
    return _in_words(made, _STEP, {name: got}, after=name)


def _of_block(got: np.ndarray) -> list[str]:
    made = _block()
    given = {"F1": made.exact["F1"], "output": got}
    return _in_words(made, "In your forward pass", given, after="F1")


def _of_block_backward(got: tuple) -> list[str]:
    names = ("dlow", "dW1", "dB1", "dW2", "dB2")
    theirs = dict(zip(names, got, strict=True))
    made = _block()
    kept = {n: made.exact[n] for n in made.exact if n not in ("dF2", "dF1")}
    return _in_words(
        made, "In your backward pass (your x is called low here)", kept | theirs, after="dF2"
    )


def _of_recursion(made: Case, got: tuple) -> list[str]:
    theirs = dict(zip(("dlow", "dW", "dB"), got, strict=True))
    after = list(made.exact)[list(made.exact).index("loss") + 2]
    return _in_words(made, "In your backward pass (your x is called low here)", theirs, after=after)


# --------------------------------------------------------------------------------- what is asked


def _nothing(got: Any) -> list[str]:
    return []


def _psnr() -> list[Call]:
    rng = np.random.default_rng(1)
    b = rng.integers(0, 256, (13, 17), np.uint8)
    a = np.clip(b.astype(int) + rng.integers(-20, 21, b.shape), 0, 255).astype(np.uint8)
    floats = b[:9, :8] / 255, a[:9, :8] / 255
    calls = []
    for given in ((a, b, 0, 255.0), (a, b, 3, 255.0), (*floats, 2, 1.0), (a, a, 2, 255.0)):
        wanted = psnr(*given)
        explain = _nothing if np.isinf(wanted) else partial(slips.of_psnr, *given)
        calls.append(Call("psnr", "a, b, shave, peak", given, "psnr", wanted, explain, 1e-12))
    return calls


def _im2col() -> list[Call]:
    calls = []
    for x, f in ((_chain().exact["F1"], 3), (_chain().exact["low"], 2), (_chain().high, 1)):
        explain = partial(slips.of_im2col, x, f)
        calls.append(Call("im2col", "x, f", (x, f), "cols", reference.im2col(x, f), explain, 0.0))
    return calls


def _relu_backward() -> list[Call]:
    e = _block().exact
    z = reference.conv2d_same(e["low"], e["W1"], e["B1"])
    wanted = reference.relu_backward(e["dF1"], z)
    return [
        Call("relu_backward", "dout, x", (e["dF1"], x), "dx", wanted, explain, 0.0)
        for x, explain in ((z, _of_relu_of_z), (e["F1"], _of_relu))
    ]


def _col2im() -> list[Call]:
    e = _chain().exact
    rows, dout = e["W2"].reshape(3, -1), e["dF2"].reshape(5, 3, -1)
    calls = []
    for cols, shape, f, explain in (
        (rows.T @ dout, e["F1"].shape, 3, _of_col2im),
        (reference.im2col(e["low"], 2), e["low"].shape, 2, slips.of_col2im),
    ):
        wanted = reference.col2im(cols, shape, f)
        calls.append(
            Call(
                "col2im",
                "cols, shape, f",
                (cols, shape, f),
                "x",
                wanted,
                partial(explain, cols, shape, f),
                rounding(_chain(), np.dtype(float)),
            )
        )
    return calls


def _network() -> list[Call]:
    made = case("5-1-3", filters=(5, 4), samples=3, size=(4, 6), c=1)
    given = (made.low, made.high, made.parameters)
    wanted = (made.loss, made.gradients)
    return [Call("loss_and_gradients", "low, high, p", given, "loss, gradients", wanted,
                 partial(_of_network, made), rounding(made, made.dtype))]  # fmt: skip


def _sgd() -> list[Call]:
    w, delta, gradient = np.random.default_rng(2).normal(size=(3, 4, 2, 3, 3))
    given, allowed = (w, delta, gradient, 0.03, 0.8), 16 * np.finfo(float).eps
    new = 0.8 * delta - 0.03 * gradient
    explain = partial(slips.of_sgd, *given, allowed)
    return [Call("sgd", "w, delta, gradient, learning_rate, momentum", given, "w, delta",
                 (w + new, new), explain, allowed)]  # fmt: skip


def _pixel_shuffle() -> list[Call]:
    made = case("espcn", filters=(5, 4), c=3, samples=5, size=(4, 7), scale=2)
    e, allowed = made.exact, rounding(made, made.dtype)
    there, back = partial(_of_shuffle, made, "output"), partial(_of_shuffle, made, "dF3")
    x = np.random.default_rng(3).normal(size=(4, 18, 5, 7))
    out = reference.pixel_shuffle(x, 3)
    return [
        Call("pixel_shuffle", "x, s", (e["F3"], 2), "out", e["output"], there, allowed),
        Call("pixel_shuffle", "x, s", (x, 3), "out", out, _nothing, allowed),
        Call("pixel_shuffle_backward", "dout, s", (e["doutput"], 2), "dx", e["dF3"], back, allowed),
        Call("pixel_shuffle_backward", "dout, s", (out, 3), "dx", x, _nothing, allowed),
    ]


def _residual_block() -> list[Call]:
    e, allowed = _block().exact, rounding(_block(), np.dtype(float))
    given = tuple(e[name] for name in ("low", "W1", "B1", "W2", "B2"))
    names, wanted = "x, w1, b1, w2, b2", tuple(e[n] for n in ("dlow", "dW1", "dB1", "dW2", "dB2"))
    return [
        Call("block", names, given, "y", e["output"], _of_block, allowed),
        Call("block_backward", f"dy, {names}", (e["doutput"], *given), "dx, dw1, db1, dw2, db2",
             wanted, _of_block_backward, allowed),
    ]  # fmt: skip


def _loss() -> list[Call]:
    e, allowed = _chain().exact, rounding(_chain(), np.dtype(float))
    given, wanted = (e["F2"], e["high"]), (float(e["loss"]), e["dF2"])
    return [Call("loss_and_gradient", "prediction, target", given, "loss, dprediction", wanted,
                 _of_loss, allowed)]  # fmt: skip


def _convolution() -> list[Call]:
    e, allowed = _chain().exact, rounding(_chain(), np.dtype(float))
    given = reference.relu_backward(e["dF1"], e["F1"]), e["low"], e["W1"]
    return [
        Call("conv2d_backward", "dout, x, w", (e["dF2"], e["F1"], e["W2"]), "dx, dw, db",
             (e["dF1"], e["dW2"], e["dB2"]), _of_convolution, allowed),
        Call("conv2d_backward", "dout, x, w", given, "dx, dw, db",  # not as many filters as rows
             (e["dlow"], e["dW1"], e["dB1"]), _nothing, allowed),
    ]  # fmt: skip


def _convolution_same() -> list[Call]:
    e, allowed = _block().exact, rounding(_block(), np.dtype(float))
    given = reference.relu_backward(e["dF1"], e["F1"]), e["low"], e["W1"]
    return [
        Call("conv2d_same_backward", "dout, x, w", (e["dF2"], e["F1"], e["W2"]), "dx, dw, db",
             (e["dF1"], e["dW2"], e["dB2"]), _of_convolution_same, allowed),
        Call("conv2d_same_backward", "dout, x, w", given, "dx, dw, db",
             (e["dlow"] - e["doutput"], e["dW1"], e["dB1"]), _nothing, allowed),
    ]  # fmt: skip


def _recursion() -> list[Call]:
    made = case_of(Recursion(), samples=5, size=(6, 7))
    e, times = made.exact, Recursion.times
    given = (e["d" + made.output], e["low"], e["W"], e["B"], times)
    wanted = (e["dlow"], e["dW"], e["dB"])
    return [Call("recursion_backward", "dout, x, w, b, times", given, "dx, dw, db", wanted,
                 partial(_of_recursion, made), rounding(made, made.dtype))]  # fmt: skip


# The calls made for each exercise, by file name, in the order in which students do them.
EXERCISES: dict[str, Callable[[], list[Call]]] = {
    "psnr": _psnr,
    "im2col": _im2col,
    "relu_backward": _relu_backward,
    "col2im": _col2im,
    "network": _network,
    "sgd": _sgd,
    "pixel_shuffle": _pixel_shuffle,
    "residual_block": _residual_block,
    "repair_01": _psnr,
    "repair_02": _relu_backward,
    "repair_03": _loss,
    "repair_04": _sgd,
    "repair_05": _convolution,
    "repair_06": _im2col,
    "repair_07": _convolution,
    "repair_08": _convolution_same,
    "repair_09": _convolution,
    "repair_10": _pixel_shuffle,
    "repair_11": _residual_block,
    "repair_12": _recursion,
}
