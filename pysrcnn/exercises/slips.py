"""Mistakes that no gradient shows: in PSNR, in a step of Eq. 5, in im2col and col2im.

Nothing is guessed: a mistake is named only if it gives exactly the numbers that were returned.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..gradcheck.search import relative_error
from ..reference import col2im

__all__ = ["of_col2im", "of_im2col", "of_psnr", "of_sgd"]


def _named(found: Iterable[str]) -> list[str]:
    """One sentence that names the mistakes found; none if there are none."""
    words = list(dict.fromkeys(found))
    return [f"Exactly your numbers come out where {'; or where '.join(words)}."] if words else []


def of_psnr(a: np.ndarray, b: np.ndarray, shave: int, peak: float, got: Any) -> list[str]:
    """Name the mistakes that give this PSNR."""
    if np.isnan(got):
        words = "With shave = 0, x[0:-0] is empty: to cut off -shave, shave has to be above 0."
        return [] if shave else [words]

    def inside(x: np.ndarray, shave: int = shave) -> np.ndarray:
        return x[shave : x.shape[0] - shave, shave : x.shape[1] - shave]

    def error(shave: int = shave, convert: bool = True, measure: Callable = np.square) -> float:
        x, y = (inside(c.astype(float) if convert else c, shave) for c in (a, b))
        return float(np.mean(measure(x - y)))

    mse, largest = error(), max(float(a.max()), float(b.max()))
    size = inside(a).size
    upper_left = np.mean((a[shave:, shave:].astype(float) - b[shave:, shave:]) ** 2)
    right = 10 * np.log10(peak**2 / mse)
    slips = [
        (10 * np.log10(1 / mse), "the peak is 1, whatever `peak` is"),
        (10 * np.log10(255**2 / mse), "the peak is 255, whatever `peak` is"),
        (10 * np.log10(largest**2 / mse), "the peak is the largest value of the pictures"),
        *((10 * np.log10(float(x.max()) ** 2 / mse), f"the peak is the largest value of {name}")
          for name, whole in (("a", a), ("b", b)) for x in (whole, inside(whole)) if x.any()),
        (10 * np.log10(peak / mse), "peak is not squared"),
        (20 * np.log10(peak**2 / mse), "the factor is 20, which goes with the root of MSE"),
        (10 * np.log10(peak / np.sqrt(mse)), "the factor is 10, which goes with MSE, not its root"),
        (10 * np.log(peak**2 / mse), "the logarithm is the natural one, not that to base 10"),
        (-10 * np.log10(peak**2 / mse), "the fraction is upside down, so the sign is wrong"),
        (10 * np.log10(peak**2 / (mse * size)), "the errors are summed, not averaged"),
        (10 * np.log10(peak**2 / error(0)), "shave is forgotten"),
        (10 * np.log10(peak**2 / upper_left), "shave is left out above and on the left alone"),
        (20 * np.log10(peak / error(measure=np.abs)), "the errors are absolute, not squared"),
        (10 * np.log10(peak**2 / error(convert=False)),
         "uint8 is subtracted from uint8, which wraps around: make float64 of both first"),
    ]  # fmt: skip
    return _named(
        words for value, words in slips
        if abs(float(got) - value) <= 1e-9 * abs(value)
        and abs(right - value) > 1e-6 * abs(right)  # no slip here, as with shave = 0
    )  # fmt: skip


def of_sgd(w, delta, gradient, rate: float, momentum: float, tolerance: float, got) -> list[str]:
    """Name the mistake that gives these W and Delta."""
    step = momentum * delta - rate * gradient
    deltas = [
        (step, ""),
        (-momentum * delta - rate * gradient, "momentum has the wrong sign"),
        (momentum * delta + rate * gradient, "the gradient is added, which goes uphill"),
        (delta - rate * gradient, "Delta is not multiplied by momentum"),
        (-rate * gradient, "Delta of the step before is forgotten"),
        (momentum * delta - gradient, "the gradient is not multiplied by the learning rate"),
        (momentum * delta + gradient, "Delta is PyTorch's, momentum * Delta + dL/dW"),
        (momentum * delta + (1 - momentum) * gradient, "Delta is a running mean of gradients"),
        (rate * (momentum * delta - gradient), "Delta, too, is multiplied by the learning rate"),
        (momentum * delta - (1 - momentum) * rate * gradient,
         "the gradient is multiplied by 1 - momentum (a running mean)"),
        (momentum * delta - (1 - momentum) * gradient,
         "the learning rate is 1 - momentum (a running mean)"),
        (momentum * delta - rate * (gradient + 0 * w) / w.size, "the gradient is divided by its "
         "number of values"),
    ]  # fmt: skip
    moves = [
        (lambda d: d, ""),
        (lambda d: -d, "Delta is subtracted from W, wanted added"),
        (lambda d: delta, "W is moved by Delta of the step before"),
        (lambda d: momentum * d - rate * gradient, "W is moved ahead, as by Nesterov's momentum"),
        (lambda d: -rate * d, "W is moved by -learning_rate * Delta"),
        (lambda d: 0 * d, "W is not moved"),
    ]
    found = []
    for (d, first), (move, second) in itertools.product(deltas, moves):
        values = (w + move(d), d)
        if all(relative_error(*pair) <= tolerance for pair in zip(got, values, strict=True)):
            found.append(" and ".join(filter(None, (first, second))))
    return _named(sorted(found, key=len)[:1])


_AXES = {"c": "channels", "u": "rows of the patch", "v": "columns of the patch",
         "i": "rows of places", "j": "columns of places"}  # fmt: skip


def of_col2im(
    cols: np.ndarray, shape: tuple[int, int, int, int], f: int, got: np.ndarray, tolerance: float
) -> list[str]:
    """Name the wrong order in which `col2im` reads the axes of its columns."""
    n, c, h, w = shape
    sizes = {"c": c, "u": f, "v": f, "i": h - f + 1, "j": w - f + 1}
    for patch, places in itertools.product(itertools.permutations("cuv"), ("ij", "ji")):
        order = "".join(patch) + places
        read = cols.reshape(n, *(sizes[letter] for letter in order))
        right = read.transpose(0, *(1 + order.index(letter) for letter in "cuvij"))
        x = col2im(right.reshape(cols.shape), shape, f)
        if order != "cuvij" and relative_error(got, x) <= tolerance:
            axes = ", ".join(_AXES[letter] for letter in order)
            return _named([f"cols is read in the order {axes}; wanted {', '.join(_AXES.values())}"])
    return []


def of_im2col(x: np.ndarray, f: int, got: np.ndarray) -> list[str]:
    """Name the wrong order in which these columns of `im2col` come."""
    n, c, h, w = x.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (f, f), axis=(2, 3))

    def columns(order: str, array: np.ndarray = windows) -> np.ndarray:
        moved = array.transpose(0, *(1 + "cijuv".index(letter) for letter in order))
        return moved.reshape(n, c * f * f, -1)

    found = []
    if np.array_equal(windows.reshape(n, c * f * f, -1), got):
        found.append("the windows, (N, C, H', W', f, f), are reshaped and not transposed first")
    for order in itertools.permutations("cuvij"):
        if order != tuple("cuvij") and np.array_equal(columns("".join(order)), got):
            axes = ", ".join(_AXES[letter] for letter in order)
            found.append(f"the axes are in the order {axes}; wanted {', '.join(_AXES.values())}")
    flips = (("u", 4), ("v", 5), ("u and v", (4, 5)), ("i", 2), ("j", 3))
    for letters, axis in flips:
        if np.array_equal(columns("cuvij", np.flip(windows, axis)), got):
            found.append(f"{letters} run from the last to the first")
    return _named(found[:1])
