"""The usual mistakes in the gradients of an SRCNN, each as what it makes of the right numbers.

`mistakes` lists them as changes of `step`: a kernel that is not flipped, a mask that is missing, a
mean instead of a sum. `fitted` has those with a number in them; `diagnosis` looks for those with
which `step` gives the very numbers of somebody's implementation.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from ..reference import mse, relu
from .step import Change, Layers

__all__ = ["Mistake", "mistakes", "scaled"]


class Mistake(NamedTuple):
    """A mistake: a word for it, a sentence that says what is wrong, and the changes of `step`."""

    kind: str
    words: str
    changes: list[Change]
    fitted: bool = False  # whether a number in it was chosen to fit


# Ways to misread an array of weights (O, C, f, f), each with its inverse. Changing the shape alone
# (reshape) leaves the numbers where they are in memory, which is how the axes get mixed up.
def _exchange(w):
    o, c, f, g = w.shape
    return w.reshape(c, o, f, g).swapaxes(0, 1)


def _exchange_back(w):
    return w.swapaxes(0, 1).reshape(w.shape)


def _exchange_last(w):  # the same where weights are HWIO
    o, c, f, g = w.shape
    return w.transpose(2, 3, 1, 0).reshape(f, g, o, c).transpose(2, 3, 0, 1)


def _exchange_last_back(w):
    o, c, f, g = w.shape
    return w.transpose(2, 3, 0, 1).reshape(f, g, c, o).transpose(3, 2, 0, 1)


def _channels_last(w):
    o, c, f, g = w.shape
    return w.reshape(o, f, g, c).transpose(0, 3, 1, 2)


def _channels_last_back(w):
    return w.transpose(0, 2, 3, 1).reshape(w.shape)


def _transpose(w):
    return w.swapaxes(2, 3)


def _flip(w):
    return w[:, :, ::-1, ::-1]


def _upside_down(w):
    return w[:, :, ::-1]


def _mirror(w):
    return w[:, :, :, ::-1]


def _turn(w):
    return np.rot90(w, 1, (2, 3))


def _turn_back(w):
    return np.rot90(w, -1, (2, 3))


_MISREAD = [
    ("flipped", "flipped (rotated by 180 degrees)", _flip, _flip),
    ("transposed", "transposed (rows and columns exchanged)", _transpose, _transpose),
    ("upside down", "upside down (the order of rows alone reversed)", _upside_down, _upside_down),
    ("left to right", "mirrored left to right (the order of columns alone reversed)",
     _mirror, _mirror),
    ("turned", "turned by 90 degrees", _turn, _turn_back),
    ("channels exchanged", "read with the axes of filters and channels exchanged",
     _exchange, _exchange_back),
    ("channels exchanged", "read with the axes of filters and channels, the last ones, exchanged",
     _exchange_last, _exchange_last_back),
    ("channels misplaced", "read with the channels behind the rows and columns",
     _channels_last, _channels_last_back),
]  # fmt: skip


_WAYS = [
    ("one row up", -1, 0), ("one row down", 1, 0),
    ("one column left", 0, -1), ("one column right", 0, 1),
    ("one row up and one column left", -1, -1), ("one row down and one column right", 1, 1),
]  # fmt: skip


def mistakes(low: np.ndarray, high: np.ndarray, layers: Layers) -> list[Mistake]:
    """All mistakes that have no free number, for a network and a batch of these shapes."""
    last = len(layers)
    found = _of_the_loss(high)
    every = tuple(range(1, last + 1))
    for on in [*((k,) for k in every), every]:
        where = "in all layers" if len(on) > 1 else f"in layer {on[0]}"
        found += _of_the_convolution(where, on) + _of_the_sums(where, on) + _of_dw(where, on)
    rectified = every[:-1]
    for on in [*((k,) for k in rectified), rectified]:
        where = f"of F{on[0]}" if len(on) == 1 else f"of {' and '.join(f'F{k}' for k in on)}"
        found += _of_relu(where, on, layers) + _of_other_activations(where, on)
    return found + _of_the_output(low, high, last)


def _of_the_output(low: np.ndarray, high: np.ndarray, last: int) -> list[Mistake]:
    """Something behind the last layer, which has nothing there."""

    def residual(right, z):
        top, left = ((n - m) // 2 for n, m in zip(low.shape[2:], z.shape[2:], strict=True))
        return right(z) + low[:, :, top : top + z.shape[2], left : left + z.shape[3]]

    found = [
        Mistake("residual", f"the input (its middle) is added to F{last}: the network learns "
                "what is to be added to its input, wanted the output itself",
                [("relu", last, residual)]),
    ]  # fmt: skip
    for kind, words, what, function, passes in [
        ("ReLU after the last layer", "goes through a ReLU", "a ReLU", relu, lambda z: z > 0),
        ("clamp after the last layer", "is clamped to 0..1", "a clamp to 0..1",
         lambda z: np.clip(z, 0, 1), lambda z: (z > 0) & (z < 1)),
        ("sigmoid after the last layer", "goes through a sigmoid", "a sigmoid",
         _sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
        ("tanh after the last layer", "goes through a tanh", "a tanh",
         np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    ]:  # fmt: skip
        forward = [("relu", last, lambda right, z, f=function: f(z))]
        mask = [("mask", last, lambda right, df, z, p=passes: df * p(z))]
        found += [
            Mistake(kind, f"F{last} {words}, wanted as the last layer gives it", forward + mask),
            Mistake(kind, f"F{last} {words}, wanted as the last layer gives it", forward),
            Mistake(kind.replace("after", "as mask of"), f"dF{last} is masked as if there were "
                    f"{what} after the last layer", mask),
        ]  # fmt: skip
    return found


def _of_the_loss(high: np.ndarray) -> list[Mistake]:
    """Other losses, and other factors of its gradient."""
    found = []
    for factor, words in _factors(high):
        scale = partial(scaled, factor)
        found += [
            Mistake("another factor of the loss", f"the loss and its gradient are {words}",
                    [("loss", 0, scale), ("dloss", 0, scale)]),
            Mistake("factor of the loss", f"the loss alone is {words}", [("loss", 0, scale)]),
            Mistake("factor of the gradient", f"the gradient of the loss, dF, is {words}",
                    [("dloss", 0, scale)]),
        ]  # fmt: skip
    found += [
        Mistake("absolute differences", "the loss is the mean of absolute differences, wanted "
                "that of squares", [
                    ("loss", 0, lambda right, out, high: np.mean(np.abs(out - high))),
                    ("dloss", 0, lambda right, out, high: np.sign(out - high) / out.size),
                ]),
        Mistake("Huber", "the loss is that of Huber (smooth L1), linear where differences are "
                "above 1, wanted the mean of squares", [
                    ("loss", 0, lambda right, out, high: np.mean(_huber(out - high))),
                    ("dloss", 0, lambda right, out, high: np.clip(out - high, -1, 1) / out.size),
                ]),
        Mistake("root", "the loss is the root of the mean squared error", [
            ("loss", 0, lambda right, out, high: np.sqrt(right(out, high))),
            ("dloss", 0, lambda right, out, high: right(out, high) / 2 / np.sqrt(mse(out, high))),
        ]),
    ]  # fmt: skip
    return found


def _huber(difference):
    far = np.abs(difference)
    return np.where(far < 1, far**2 / 2, far - 1 / 2)


def _factors(high: np.ndarray) -> list[tuple[float, str]]:
    """Factors that a loss or its gradient is given by mistake, with words for them."""
    n, pixels = len(high), high[0].size
    found = [
        (-1, "-1 times what is wanted: the wrong sign"),
        (1 / 2, "1/2 times what is wanted: a factor of 2 is missing"),
        (2, "2 times what is wanted: a factor of 2 too many"),
        (1 / n, f"1/{n} times what is wanted: divided by the {n} samples once too often"),
        (1 / pixels, f"1/{pixels} times what is wanted: divided by the {pixels} pixels of a "
         f"sample once too often"),
        (1 / high.size, f"1/{high.size} times what is wanted: divided by all {high.size} elements "
         f"once too often"),
    ]  # fmt: skip
    sums = [
        (n, f"a sum over the {n} samples"),
        (pixels, f"a mean over samples of the sum over a sample's {pixels} pixels, as in Eq. 4"),
        (high.size, f"a sum over all {high.size} elements"),
    ]
    for factor, words in sums:
        found.append((factor, f"{factor} times what is wanted: {words}, not the mean over all"))
        found.append((factor / 2, f"{factor / 2:g} times what is wanted: half of {words}"))
    return found


def scaled(factor: float, right, *arguments):
    """A change: what the operation gives, times a factor."""
    return right(*arguments) * factor


def _of_the_convolution(where: str, on: tuple[int, ...]) -> list[Mistake]:
    """Kernels that are used in the wrong order, forward or on the way back."""
    found = []
    for kind, words, misread, back in _MISREAD:
        forward = [("conv", k, lambda right, x, w, b, m=misread: right(x, m(w), b)) for k in on]
        backward = [("dx", k, lambda right, dz, x, w, m=misread: right(dz, x, m(w))) for k in on]
        backward += [("dw", k, lambda right, dz, x, w, m=back: m(right(dz, x, w))) for k in on]
        found += [
            Mistake(kind, f"the kernels {where} are {words}, forward and backward alike",
                    forward + backward),
            Mistake(kind, f"the kernels {where} are {words} in the forward pass", forward),
        ]  # fmt: skip
        for way in (misread, back) if misread is not back else (misread,):
            words_of_dw = words.replace("read with", "returned with")
            words_of_dx = (
                f"the kernels {where} are {words} where the gradient goes back through them"
            )
            if kind == "flipped":  # the one mistake whose usual name says the opposite
                words_of_dx = (
                    f"the kernels {where} are not flipped where the gradient goes back through "
                    f"them (as a full correlation does, it takes them rotated by 180 degrees)"
                )
            found += [
                Mistake(kind, f"dW {where} is {words_of_dw}",
                        [("dw", k, lambda right, *a, m=way: m(right(*a))) for k in on]),
                Mistake("unflipped" if kind == "flipped" else kind,
                        words_of_dx,
                        [("dx", k, lambda right, dz, x, w, m=way: right(dz, x, m(w)))
                         for k in on]),
            ]  # fmt: skip
    subtracted = [("conv", k, lambda right, x, w, b: right(x, w, -b)) for k in on]
    found += [
        Mistake("no bias", f"the bias {where} is not added",
                [("conv", k, lambda right, x, w, b: right(x, w, 0 * b)) for k in on]),
        Mistake("bias subtracted", f"the bias {where} is subtracted, wanted added",
                subtracted + [("db", k, partial(scaled, -1)) for k in on]),
        Mistake("bias subtracted", f"the bias {where} is subtracted in the forward pass, wanted "
                "added", subtracted),
    ]  # fmt: skip
    for way, i, j in _WAYS:
        found.append(
            Mistake("shifted", f"the gradient that goes back through the kernels {where} is "
                    f"shifted {way}", [("dx", k, partial(_shifted_result, i, j)) for k in on])
        )  # fmt: skip
    return found


def _of_the_sums(where: str, on: tuple[int, ...]) -> list[Mistake]:
    """dW and dB are sums over samples and pixels: means, or a part of the sum, are wrong."""
    partly = [
        ("mean over samples", "averaged over the samples, wanted their sum",
         lambda right, dz, *rest: right(dz, *rest) / len(dz)),
        ("mean over pixels", "averaged over the pixels, wanted their sum",
         lambda right, dz, *rest: right(dz, *rest) / dz[0, 0].size),
        ("mean over samples and pixels", "averaged over samples and pixels, wanted their sum",
         lambda right, dz, *rest: right(dz, *rest) / dz[:, 0].size),
        ("last sample", "that of the last sample alone: overwritten, not added up",
         lambda right, dz, *rest: right(dz[-1:], *(a[-1:] for a in rest[:1]), *rest[1:])),
        ("first sample", "that of the first sample alone",
         lambda right, dz, *rest: right(dz[:1], *(a[:1] for a in rest[:1]), *rest[1:])),
        ("wrong sign", "of the wrong sign", partial(scaled, -1)),
        ("factor 2", "2 times what is wanted", partial(scaled, 2)),
        ("factor 1/2", "1/2 times what is wanted", partial(scaled, 0.5)),
        ("zero", "zero: it was never computed", partial(scaled, 0)),
    ]  # fmt: skip
    found = []
    for kind, words, change in partly:
        for name, operations in (("dB", ["db"]), ("dW", ["dw"]), ("dW and dB", ["dw", "db"])):
            changes = [(operation, k, change) for operation in operations for k in on]
            verb = words.replace("that of", "those of") if len(operations) > 1 else words
            be = "are" if len(operations) > 1 else "is"
            found.append(Mistake(kind, f"{name} {where} {be} {verb}", changes))
    found.append(
        Mistake("sum over filters", f"dB {where} is summed over the filters too",
                [("db", k, lambda right, dz: np.full(dz.shape[1], dz.sum(), dz.dtype))
                 for k in on])
    )  # fmt: skip
    return found


def _of_dw(where: str, on: tuple[int, ...]) -> list[Mistake]:
    """dW is a correlation of the layer's input with dz, one shift for each weight of a kernel."""
    turned = [("dw", k, lambda right, dz, x, w: right(_flip(dz), x, w)) for k in on]
    found = [Mistake("dz flipped", f"dW {where} is computed from dz flipped", turned)]
    for way, i, j in _WAYS:
        rolled = partial(_rolled, i, j)
        moved = partial(_of_moved_input, i, j)
        found += [
            Mistake("shifted", f"dW {where} is shifted {way}", [("dw", k, rolled) for k in on]),
            Mistake("shifted", f"dW {where} is computed from an input that is shifted {way}",
                    [("dw", k, moved) for k in on]),
        ]  # fmt: skip
    return found


def _rolled(i, j, right, *arguments):
    return np.roll(right(*arguments), (i, j), axis=(2, 3))


def _of_moved_input(i, j, right, dz, x, w):
    return right(dz, _shifted(i, j, x), w)


def _shifted_result(i, j, right, *arguments):
    return _shifted(i, j, right(*arguments))


def _shifted(i, j, x):
    """Moved down by i and right by j, zeros coming in."""
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    return wide[:, :, 1 - i : 1 - i + height, 1 - j : 1 - j + width]


def _sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def _normal(z):
    """The distribution function of the normal distribution."""
    return (1 + np.vectorize(math.erf, otypes=[float])(z / np.sqrt(2))) / 2


def _of_other_activations(where: str, on: tuple[int, ...]) -> list[Mistake]:
    """Smooth functions in the place of ReLU, with their derivatives."""
    density = 1 / np.sqrt(2 * np.pi)
    return [
        Mistake("another activation", f"the activation {where} is {name}, wanted ReLU",
                [("relu", k, lambda right, z, f=function: f(z)) for k in on]
                + [("mask", k, lambda right, df, z, s=slope: df * s(z)) for k in on])
        for name, function, slope in (
            ("ELU", lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
             lambda z: np.exp(np.minimum(z, 0))),
            ("GELU", lambda z: z * _normal(z),
             lambda z: _normal(z) + z * density * np.exp(-(z**2) / 2)),
            ("SiLU (Swish)", lambda z: z * _sigmoid(z),
             lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z))),
            ("tanh", np.tanh, lambda z: 1 - np.tanh(z) ** 2),
            ("sigmoid", _sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
        )
    ]  # fmt: skip


def _of_relu(where: str, on: tuple[int, ...], layers: Layers) -> list[Mistake]:
    """ReLU and its mask: the gradient passes where z > 0, which no other array can tell."""

    def mask(change):
        return [("mask", k, change) for k in on]

    no_mask = mask(lambda right, df, z: df)
    no_relu = [("relu", k, lambda right, z: z) for k in on]
    early = [("dx", k + 1, lambda right, dz, x, w: right(dz, x, w) * (x > 0)) for k in on]
    kept = [("kept", k, lambda right, f, z: z) for k in on]
    next_layers = " and ".join(f"dW{k + 1}" for k in on)
    bias_last = []
    for k in on:
        b = layers[k - 1][1][:, None, None]
        bias_last += [
            ("conv", k, lambda right, x, w, b: right(x, w, 0 * b)),
            ("relu", k, lambda right, z, b=b: right(z) + b),
            ("into db", k, lambda right, dz, df: df),
        ]
    unmasked = [
        Mistake("unmasked", f"the mask of the ReLU {where} is missing in {what} alone",
                [(f"into {o}", k, lambda right, dz, df: df) for o in operations for k in on])
        for what, operations in (
            (" and ".join(f"dW{k}" for k in on), ["dw"]),
            (" and ".join(f"dB{k}" for k in on), ["db"]),
            (" and ".join(f"dW{k} and dB{k}" for k in on), ["dw", "db"]),
            ("what goes back to the layer before", ["dx"]),
        )
    ]  # fmt: skip
    return [
        Mistake("no mask", f"the mask of the ReLU {where} is missing in the backward pass (or "
                "lets everything through, as F >= 0 does)", no_mask),
        Mistake("mask of the gradient", f"the mask of the ReLU {where} is taken from the "
                "gradient's sign, wanted that of z", mask(lambda right, df, z: df * (df > 0))),
        Mistake("mask of both", f"the mask of the ReLU {where} asks for a positive gradient too",
                mask(lambda right, df, z: df * (df > 0) * (z > 0))),
        Mistake("inverted mask", f"the mask of the ReLU {where} is inverted: it lets through what "
                "it should stop", mask(lambda right, df, z: df * (z <= 0))),
        Mistake("activation as mask", f"the gradient is multiplied by the values {where}, wanted "
                "by 1 where they are positive", mask(lambda right, df, z: df * relu(z))),
        Mistake("no ReLU", f"the ReLU {where} is missing", no_relu + no_mask),
        Mistake("no ReLU", f"the ReLU {where} is missing in the forward pass", no_relu),
        Mistake("bias after ReLU", f"the bias of {where.removeprefix('of ')} is added behind the "
                "ReLU, wanted before it", bias_last),
        Mistake("masked already", f"the gradient {where} has gone through the mask of the ReLU "
                "already, wanted the one before", early),
        Mistake("pre-activation", f"{next_layers} uses values {where} from before the ReLU", kept),
        *unmasked,  # last: less likely than a mask that is missing altogether
    ]  # fmt: skip
