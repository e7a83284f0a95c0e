"""Mistakes of the sub-pixel shuffle: sub-pixels in the wrong order or the wrong place.

The shuffle only moves numbers, so each mistake is another way to move them. The right shuffle reads
its input as (N, C, a, b, i, j), where a and b are the row and the column of a sub-pixel in pixel
(i, j), and transposes it to (N, C, i, a, j, b). The orders below replace one or both.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from .changes import Change, Mistake
from .convolutions import rolled, shifted

__all__ = ["of_shuffles"]

# Kind, words, the order in which the maps are read, and the order that is given the shape of the
# picture; "cab" and "ciajb" are right. A capital letter means from the last to the first.
_ORDERS = [
    ("sub-pixels transposed", "with rows and columns of the sub-pixels exchanged: map s b + a for "
     "row a and column b, wanted s a + b", "cba", "ciajb"),
    ("sub-pixels first", "with the maps of one sub-pixel together, channel by channel (as "
     "TensorFlow's depth_to_space, DCR in ONNX), wanted those of one channel (CRD, PyTorch)",
     "abc", "ciajb"),
    ("sub-pixels first", "with the maps of one sub-pixel together, channel by channel, and rows "
     "and columns of the sub-pixels exchanged", "bac", "ciajb"),
    ("sub-pixels reversed", "with the sub-pixels of each pixel in reverse order", "cAB", "ciajb"),
    ("sub-pixels reversed", "with the rows of sub-pixels in each pixel in reverse order",
     "cAb", "ciajb"),
    ("sub-pixels reversed", "with the columns of sub-pixels in each pixel in reverse order",
     "caB", "ciajb"),
    ("not interleaved", "by a change of the shape alone (reshape, nothing moved)", "cab", "cabij"),
    *(("not interleaved", f"with its axes in the order {', '.join(order)}, wanted c, i, a, j, b "
       "(sub-pixel a, b of pixel i, j)", "cab", order)
      for order in ("caibj", "cijab", "ciabj", "caijb", "cbiaj", "cjbia")),
]  # fmt: skip
_SHIFTS = [
    ("one row down", 1, 0), ("one row up", -1, 0),
    ("one column right", 0, 1), ("one column left", 0, -1),
    ("one row down and one column right", 1, 1), ("one row up and one column left", -1, -1),
]  # fmt: skip


def of_shuffles(c: int) -> list[Mistake]:
    """Mistakes of the shuffle and of its backward; c: channels of the picture."""
    # Kind, words, and two changes: of the shuffle, and of its backward.
    ways: list[tuple[str, str, Callable, Callable]] = [
        (kind, words, partial(_moved, read, given), partial(_moved_back, read, given))
        for kind, words, read, given in _ORDERS
        if c > 1 or kind != "sub-pixels first"  # one channel's maps are always together
    ]
    for words, i, j in _SHIFTS:
        for ends, move in (("", shifted), (", around the edge", rolled)):
            ways.append((
                "sub-pixel shifted", f"with all of it shifted {words}, by one sub-pixel{ends}",
                partial(_then, partial(move, i, j)), partial(_first, partial(move, -i, -j)),
            ))  # fmt: skip
    for words, by in (("after", -1), ("before", 1)):
        ways.append((
            "sub-pixel of another map", f"with each sub-pixel from the map {words} its own",
            partial(_first, partial(_rolled_maps, by)), partial(_then, partial(_rolled_maps, -by)),
        ))  # fmt: skip
    found = []
    for kind, words, change, back in ways:
        forward: list[Change] = [("pixel_shuffle", 0, change)]
        backward: list[Change] = [("pixel_shuffle_backward", 0, back)]
        if "nothing moved" in words:
            alone = "not un-shuffled on the way back: only its shape is changed (reshape)"
        else:
            alone = f"un-shuffled as if the picture were shuffled {words}"
        found += [
            Mistake(kind, f"the picture is shuffled {words}, forward and backward alike",
                    forward + backward),
            Mistake(kind, f"the picture is shuffled {words}, in the forward pass", forward),
            Mistake(kind, f"the gradient of the picture is {alone}", backward),
        ]  # fmt: skip
    return found


def _order(read: str, given: str, shape: tuple[int, ...], s: int) -> np.ndarray:
    """Flat index into an array (N, C s^2, H, W) that each value of the picture comes from."""
    n, maps, h, w = shape
    sizes = {"c": maps // s**2, "a": s, "b": s, "i": h, "j": w}
    axes = read.lower() + "ij"
    places = np.arange(n * maps * h * w).reshape(n, *(sizes[axis] for axis in axes))
    places = np.flip(places, tuple(1 + at for at, axis in enumerate(read) if axis.isupper()))
    return places.transpose(0, *(1 + axes.index(axis) for axis in given)).ravel()


def _moved(read, given, right, x, s):
    n, maps, h, w = x.shape
    return x.ravel()[_order(read, given, x.shape, s)].reshape(n, maps // s**2, s * h, s * w)


def _moved_back(read, given, right, dout, s):
    n, c, height, width = dout.shape
    dx = np.empty((n, c * s**2, height // s, width // s))
    dx.ravel()[_order(read, given, dx.shape, s)] = dout.ravel()  # ravel is a view
    return dx


def _then(move, right, x, s):
    return move(right(x, s))


def _first(move, right, x, s):
    return right(move(x), s)


def _rolled_maps(by, x):
    return np.roll(x, by, axis=1)
