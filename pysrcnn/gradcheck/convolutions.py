"""Mistakes of convolutions: kernels, patches and pixels in the wrong order or the wrong place."""

from functools import partial

import numpy as np

from ..reference import col2im
from ..reference.convolution import PADDINGS
from .changes import Call, Change, Mistake, scaled

__all__ = ["of_biases", "of_convolutions", "of_padding", "shifted"]


def _exchange(w):
    o, c, f, g = w.shape
    return w.reshape(c, o, f, g).swapaxes(0, 1)


def _exchange_last(w):  # the same for HWIO weights
    o, c, f, g = w.shape
    return w.transpose(2, 3, 1, 0).reshape(f, g, o, c).transpose(2, 3, 0, 1)


def _channels_last(w):
    o, c, f, g = w.shape
    return w.reshape(o, f, g, c).transpose(0, 3, 1, 2)


def _flip(w):
    return w[:, :, ::-1, ::-1]


def _undone(move, w):
    """The array that `move` turns into `w`."""
    found = np.empty(w.shape)
    found.ravel()[move(np.arange(w.size).reshape(w.shape)).ravel()] = w.ravel()
    return found


# Ways to misread an array of weights (O, C, f, f), and whether each is its own inverse. A change of
# shape alone (reshape) leaves the numbers in place in memory, which is how axes get mixed up.
_MISREAD = [
    ("flipped", "flipped (rotated by 180 degrees)", _flip, True),
    ("transposed", "transposed (rows and columns exchanged)", lambda w: w.swapaxes(2, 3), True),
    ("upside down", "upside down (the order of rows alone reversed)",
     lambda w: w[:, :, ::-1], True),
    ("left to right", "mirrored left to right (the order of columns alone reversed)",
     lambda w: w[:, :, :, ::-1], True),
    ("turned", "turned by 90 degrees", lambda w: np.rot90(w, 1, (2, 3)), False),
    ("channels exchanged", "read with the axes of filters and channels exchanged",
     _exchange, False),
    ("channels exchanged", "read with the axes of filters and channels, the last ones, exchanged",
     _exchange_last, False),
    ("channels misplaced", "read with the channels behind the rows and columns",
     _channels_last, False),
]  # fmt: skip
_EITHER = (
    "(a correlation over padded dz needs them rotated by 180 degrees, w[:, :, ::-1, ::-1]; col2im, "
    "or a loop that adds to dx, needs w as it is)"
)
_TURNED = {  # where the gradient goes back, right code may flip them or not
    "flipped": f"in the wrong orientation {_EITHER}",
    "upside down": f"with the order of their rows alone wrong {_EITHER}",
    "left to right": f"with the order of their columns alone wrong {_EITHER}",
}


def of_convolutions(where: str, on: tuple[int, ...]) -> list[Mistake]:
    """Kernels and patches used wrongly in the forward or the backward pass."""
    found = []
    for kind, words, misread, itself in _MISREAD:
        back = misread if itself else partial(_undone, misread)
        forward = [("conv", k, lambda right, x, w, b, m=misread: right(x, m(w), b)) for k in on]
        dx = [("dx", k, lambda right, dz, x, w, m=misread: right(dz, x, m(w))) for k in on]
        dw = [("dw", k, lambda right, dz, x, w, m=back: m(right(dz, x, w))) for k in on]
        found += [
            Mistake(kind, f"the kernels {where} are {words}, forward and backward alike",
                    forward + dx + dw),
            Mistake(kind, f"the kernels {where} are {words} in the forward pass", forward),
            Mistake(kind, f"the kernels {where} are {words} in the forward pass and in dW, but not "
                    "where the gradient goes back through them", forward + dw),
            Mistake(kind, f"the kernels {where} are {words} in the forward pass and where the "
                    "gradient goes back through them, but not in dW", forward + dx),
        ]  # fmt: skip
        for way in (misread,) if itself else (misread, back):
            words_of_dw = words.replace("read with", "returned with")
            words_of_dx = (
                f"the kernels {where} are {words} where the gradient goes back through them"
            )
            if kind in _TURNED:
                words_of_dx = f"the gradient goes back through the kernels {where} {_TURNED[kind]}"
            found += [
                Mistake(kind, f"dW {where} is {words_of_dw}",
                        [("dw", k, lambda right, *a, m=way: m(right(*a))) for k in on]),
                Mistake("unflipped" if kind == "flipped" else kind,
                        words_of_dx,
                        [("dx", k, lambda right, dz, x, w, m=way: right(dz, x, m(w)))
                         for k in on]),
            ]  # fmt: skip
    return found + _of_col2im(where, on) + _of_shifts(where, on)


def _of_col2im(where, on):
    """Mistakes in dx, the sum of overlapping patches that reach beyond dz on all sides."""
    found = [
        Mistake("cut off", f"the gradient that goes back through the kernels {where} is zero: "
                "never computed, or cut off (detached) from the loss",
                [("dx", k, partial(scaled, 0)) for k in on])
    ]  # fmt: skip
    for what, axes in (("", (0, 1)), (" of different rows", (0,)), (" of different columns", (1,))):
        for how, order in (
            ("the lowest and rightmost weight of a kernel wins, as where a loop over the kernel's "
             "weights writes last, or one over pixels first", 1),
            ("the uppermost and leftmost weight of a kernel wins, as where a loop over pixels "
             "writes last, or one over the kernel's weights first", -1),
        ):  # fmt: skip
            found.append(Mistake(
                "overwritten", f"the gradient that goes back through the kernels {where} is "
                f"overwritten where patches{what} overlap, wanted their sum (col2im needs +=; with "
                f"=, only the last value stays): {how}",
                [("dx", k, partial(_overwritten, axes, order)) for k in on],
            ))  # fmt: skip
    found.append(Mistake(
        "overlaps averaged", f"the gradient that goes back through the kernels {where} is averaged "
        "where patches overlap, wanted their sum", [("dx", k, _averaged) for k in on]))  # fmt: skip
    for mode, words in (
        ("edge", "its outermost values repeated"), ("wrap", "it repeated (wrapped around)"),
        ("reflect", "it mirrored"), ("symmetric", "it mirrored with its edge"),
    ):  # fmt: skip
        found.append(Mistake("padding", f"the gradient that goes back through the kernels {where} "
                             f"is computed from dz with {words} around it, wanted zeros",
                             [("dx", k, partial(_padded, mode)) for k in on]))  # fmt: skip
    return found


def _overwritten(axes, order, right, dz, x, w):
    (n, o, h, width), f = dz.shape, w.shape[2]
    patches = (w.reshape(o, -1).T @ dz.reshape(n, o, -1)).reshape(n, -1, f, f, h, width)
    for axis in (0, 1):  # rows, then columns
        summed = np.zeros((*patches.shape[:2], *([f] if axis == 0 else []),
                           *([x.shape[2], width] if axis == 0 else x.shape[2:])))  # fmt: skip
        for u in range(f)[::order]:
            if axis == 0:
                place, patch = summed[:, :, :, u : u + h], patches[:, :, u]
            else:
                place, patch = summed[..., u : u + width], patches[:, :, u]
            place[...] = patch if axis in axes else place + patch
        patches = summed
    return patches


def _averaged(right, dz, x, w):
    n, _, h, width = dz.shape
    f, shape = w.shape[2], (1, 1, *x.shape[2:])
    return right(dz, x, w) / col2im(np.ones((1, f * f, h * width)), shape, f)


def _padded(mode, right, dz, x, w):
    margin = w.shape[2] - 1
    if mode == "reflect" and margin >= min(dz.shape[2:]):
        mode = "constant"  # wider than what there is to mirror
    wide = np.pad(dz, ((0, 0), (0, 0), *[(margin, margin)] * 2), mode=mode)
    larger = np.zeros((*x.shape[:2], *(n + margin for n in wide.shape[2:])))
    middle = slice(margin, -margin or None)
    return right(wide, larger, w)[:, :, middle, middle]


_WAYS = [
    ("one row up", -1, 0), ("one row down", 1, 0),
    ("one column left", 0, -1), ("one column right", 0, 1),
    ("one row up and one column left", -1, -1), ("one row down and one column right", 1, 1),
]  # fmt: skip


def _of_shifts(where, on):
    """Shifts by a pixel in dx, and in dW, the correlation of the layer's input with dz."""
    turned = [("dw", k, lambda right, dz, x, w: right(_flip(dz), x, w)) for k in on]
    found = [Mistake("dz flipped", f"dW {where} is computed from dz flipped", turned)]
    for way, i, j in _WAYS:
        for ends, fill in (("", shifted), (", around the edge", rolled)):
            found += [
                Mistake("shifted", f"dW {where} is shifted {way}{ends}",
                        [("dw", k, lambda right, *a, i=i, j=j, s=fill: s(i, j, right(*a)))
                         for k in on]),
                Mistake("shifted", f"dW {where} is computed from an input that is shifted {way}"
                        f"{ends}", [("dw", k, lambda right, dz, x, w, i=i, j=j, s=fill:
                                     right(dz, s(i, j, x), w)) for k in on]),
                Mistake("shifted", f"the gradient that goes back through the kernels {where} is "
                        f"shifted {way}{ends}",
                        [("dx", k, lambda right, *a, i=i, j=j, s=fill: s(i, j, right(*a)))
                         for k in on]),
            ]  # fmt: skip
    return found


def rolled(i: int, j: int, x: np.ndarray) -> np.ndarray:
    """Move x down by i and right by j, wrapping around."""
    return np.roll(x, (i, j), axis=(2, 3))


def shifted(i: int, j: int, x: np.ndarray) -> np.ndarray:
    """Move x down by i and right by j, each -1, 0 or 1, filling with zeros."""
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    return wide[:, :, 1 - i : 1 - i + height, 1 - j : 1 - j + width]


_BEYOND = {"zeros": "zeros", "replicate": "the edge repeated"}


def of_padding(where: str, on: tuple[int, ...], calls: list[Call], padding: str) -> list[Mistake]:
    """Another padding than `padding`, the right one; none if layers do not pad."""
    found: list[Mistake] = []
    for other in [name for name in _BEYOND if padding != "valid" and name != padding]:
        forward: list[Change] = []
        backward: list[Change] = []
        for k in on:
            pads, p = PADDINGS[other], calls[k - 1].w.shape[2] // 2
            forward.append(("pad", k, lambda right, x, f=pads[0], p=p: f(x, p)))
            backward.append(("pad_backward", k, lambda right, dx, f=pads[1], p=p: f(dx, p)))
        words = f"{_BEYOND[other]} around it, wanted {_BEYOND[padding]}"
        found += [
            Mistake("padding", f"the input of the convolution {where} is padded with {words}",
                    forward + backward),
            Mistake("padding", f"the input of the convolution {where} is padded with {words}, in "
                    "the forward pass and in dW alone", forward),
            Mistake("padding", f"what goes back through the convolution {where} is that of an "
                    f"input with {words}", backward),
        ]  # fmt: skip
    return found


def of_biases(where: str, on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Missing or wrong biases."""

    def conv(change):
        return [("conv", k, lambda right, x, w, b, k=k: right(x, w, change(b, k))) for k in on]

    subtracted = conv(lambda b, k: -b)
    twice = conv(lambda b, k: 2 * b)
    found = [
        Mistake("no bias", f"the bias {where} is not added", conv(lambda b, k: 0 * b)),
        Mistake("bias twice", f"the bias {where} is added twice", twice),
        Mistake("bias twice", f"the bias {where} is added twice, and dB is twice as large too",
                twice + [("db", k, partial(scaled, 2)) for k in on]),
        Mistake("bias subtracted", f"the bias {where} is subtracted, wanted added",
                subtracted + [("db", k, partial(scaled, -1)) for k in on]),
        Mistake("bias subtracted", f"the bias {where} is subtracted in the forward pass, wanted "
                "added", subtracted),
        Mistake("first bias", f"the first bias {where} is added to all filters, wanted its own to "
                "each", conv(lambda b, k: b[:1].repeat(len(b)))),
        Mistake("mean bias", f"the mean of the biases {where} is added to all filters, wanted its "
                "own to each", conv(lambda b, k: np.full_like(b, b.mean()))),
        Mistake("sum of biases", f"the sum of the biases {where} is added to all filters, wanted "
                "its own to each", conv(lambda b, k: np.full_like(b, b.sum()))),
        Mistake("biases reversed", f"the biases {where} are added in reverse order",
                conv(lambda b, k: b[::-1])),
        Mistake("bias of one sample", f"the bias {where} is added to the first sample alone",
                [("conv", k, lambda right, x, w, b: np.concatenate(
                    [right(x[:1], w, b), right(x[1:], w, 0 * b)])) for k in on]),
        Mistake("bias of each channel", f"the bias {where} is added once for each channel of the "
                "input (inside of the sum), wanted once",
                [("conv", k, lambda right, x, w, b: right(x, w, b * w.shape[1])) for k in on]),
        Mistake("bias of each weight", f"the bias {where} is added once for each weight of a "
                "filter (inside of the sum), wanted once",
                [("conv", k, lambda right, x, w, b: right(x, w, b * w[0].size)) for k in on]),
    ]  # fmt: skip
    if len(on) > 1:
        return found
    for call in calls:
        if call.w is not calls[on[0] - 1].w:
            for what, add in (("in place of", 0), ("on top of", 1)):
                found.append(Mistake(
                    "another bias", f"the bias of layer {call.layer} is added {where}, {what} that "
                    f"of layer {calls[on[0] - 1].layer}",
                    conv(lambda b, k, t=call.b, add=add: np.resize(t, len(b)) + add * b),
                ))  # fmt: skip
    return found
