"""Find out what went wrong with a result by undoing the usual slips.

Each slip is undone by a function; if that brings the result no closer to the original, the slip was
not made. Pictures are float64 arrays (H, W) or (H, W, 3) in 0..255; grey is taken to be Y.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .._printing import counted
from ..data import luma
from ..metrics import psnr
from .geometry import Place, undone, where

__all__ = ["Slip", "find", "is_grey", "levels_of"]

_LEAST = 0.3  # dB that a picture must gain for a slip to be named
_MOST = 3  # slips on top of each other
_LOST = 16.0  # dB below which a result shows another picture, or is beyond recognition
_FAR = 225  # levels by which only values that wrapped around are off
_OFF = 5  # levels that means may be off without the slip
_DARK = 8  # mean level of an original up to which a result of 0 and 1 alone may be right


class Slip(NamedTuple):
    """A slip: its kind, a sentence on what is wrong and what is wanted, the result without it."""

    kind: str
    words: str
    picture: np.ndarray
    place: Place | None = None
    least: float = _LEAST  # dB that it must gain


def levels_of(picture: np.ndarray) -> np.ndarray:
    """Y of a picture in 0..255, clipped and rounded to whole levels."""
    return 255 * luma(np.clip(picture, 0, 255) / 255)


def is_grey(picture: np.ndarray) -> bool:
    """Return whether a picture is grey, also as RGB."""
    return picture.ndim == 2 or not np.ptp(picture, axis=2).any()


def find(
    picture: np.ndarray, truth: np.ndarray, scale: int, shave: int
) -> tuple[list[tuple[Slip, float]], np.ndarray, int]:
    """Find the slips in a result, and the decibels gained by undoing each.

    Parameters
    ----------
    picture, truth : float arrays (H, W) or (H, W, 3) in 0..255
    scale : int
    shave : int
        Pixels on each side that are not compared.

    Returns
    -------
    found : list of (Slip, float)
        In the order in which they are undone.
    picture : float array
        The result with the slips undone.
    shave : int
        Pixels on each side that are not compared, with those of a border that is one level.
    """
    wanted = levels_of(truth)

    def quality(slip: Slip) -> float:
        return min(psnr(levels_of(slip.picture), wanted, shave), 99.0)

    found: list[tuple[Slip, float]] = []
    now = quality(Slip("", "", picture))
    if picture.max() <= 1 and truth.mean() > _DARK:  # no other slip shows in such a picture
        if np.isin(picture, (0, 1)).all():
            factor = 255
            words = "values in 0..1 were cast to whole numbers: multiply by 255 and round first"
        else:  # read from more bits
            factor = 257
            words = "levels of 8 bits were saved in a file of 16 bits: multiply them by 257"
        slip = Slip("0 to 1", words, factor * picture)
        gain = quality(slip) - now  # tiny if almost all values are 0: then the cost is unknown
        return [(slip, gain if gain >= _LEAST else 0.0)], slip.picture, shave
    border, sides = _border(picture, wanted)
    inside = max(shave, *sides)
    if 4 * inside >= min(wanted.shape):  # it is cut off on all sides, and little would be left
        border, inside = None, shave
    gain = min(psnr(levels_of(picture), wanted, inside), 99.0) - now
    if border and gain >= border.least:  # from here on, the border is left out
        found, shave, picture, now = [(border, gain)], inside, border.picture, now + gain
    while len(found) < _MOST:
        known = {slip.kind for slip, _ in found}
        tried = [slip for slip in _slips(picture, truth, scale) if slip.kind not in known]
        best = max(tried, key=quality)
        if quality(best) - now < best.least:
            break
        found.append((best, quality(best) - now))
        picture, now = best.picture, quality(best)
    return (found if now > _LOST else []), picture, shave


def _slips(picture: np.ndarray, truth: np.ndarray, scale: int) -> Iterator[Slip]:
    """Yield each known slip, undone."""
    yield from _turned(picture)
    if not is_grey(truth):
        yield from _channels(picture, truth)
    yield from _levels(picture, truth)
    yield from _wrapped(picture, truth)
    yield from _moved(picture, truth, scale)


def _border(picture: np.ndarray, wanted: np.ndarray) -> tuple[Slip | None, list[int]]:
    """Find a border of one level where the original (`wanted`, its Y) has more, and its widths.

    The slip's picture has the border filled with the pixels next to it.
    """
    y = levels_of(picture)
    top, bottom = _flat_rows(y, wanted)
    rows = slice(top, len(y) - bottom)
    left, right = _flat_rows(y[rows].T, wanted[rows].T)
    sides = [top, bottom, left, right]
    if not any(sides):
        return None, sides
    inner = picture[rows, left : y.shape[1] - right]
    width = [(top, bottom), (left, right), (0, 0)][: picture.ndim]
    outside = np.pad(np.zeros(inner.shape[:2], bool), width[:2], constant_values=True)
    level = "black" if y[outside].max() < 20 else "constant"
    if len(set(sides)) == 1:
        words = f"a border of {counted(top, 'pixel')} is {level}"
    else:
        names = zip(("top", "bottom", "left", "right"), sides, strict=True)
        where_ = ", ".join(f"{counted(n, 'pixel')} at the {name}" for name, n in names if n)
        words = f"a border is {level} ({where_})"
    words += ": shave it, or pad before convolving"
    return Slip("border", words, np.pad(inner, width, mode="edge")), sides


def _flat_rows(y: np.ndarray, wanted: np.ndarray) -> tuple[int, int]:
    """Count the rows at the top and bottom that have one level where the original's do not."""
    flat = (y.std(axis=1) < 1) & (wanted.std(axis=1) > 4)
    top, bottom = (int(np.cumprod(x).sum()) for x in (flat, flat[::-1]))
    return (top, bottom) if max(top, bottom) <= len(y) // 8 else (0, 0)  # wider is not a border


def _turned(picture: np.ndarray) -> Iterator[Slip]:
    for words, undo in (
        ("mirrored from left to right", lambda x: x[:, ::-1]),
        ("upside down", lambda x: x[::-1]),
        ("turned by 180 degrees", lambda x: x[::-1, ::-1]),
        ("transposed: rows and columns are exchanged", lambda x: x.swapaxes(0, 1)),
        ("turned by 90 degrees", lambda x: np.rot90(x)),
        ("turned by 90 degrees", lambda x: np.rot90(x, 3)),
    ):
        turned = undo(picture)
        if turned.shape == picture.shape:
            yield Slip("turned", f"the result is {words}", turned)


def _channels(picture: np.ndarray, truth: np.ndarray) -> Iterator[Slip]:
    if picture.ndim == 2 or picture.shape != truth.shape:
        return
    now = np.square(picture - truth).mean()
    for order in itertools.permutations(range(3)):
        if order == (2, 1, 0):
            words = "red and blue are exchanged: BGR, as OpenCV has it, wanted RGB"
        else:
            words = "the channels are in the order " + "".join("RGB"[c] for c in order)
        ordered = picture[:, :, np.argsort(order)]
        # In a picture that is too dark, another order may bring luminance closer, and not colours.
        if order != (0, 1, 2) and np.square(ordered - truth).mean() < now:
            yield Slip("channels", words, ordered)


def _levels(picture: np.ndarray, truth: np.ndarray) -> Iterator[Slip]:
    if picture.ndim == 2:
        what = "luminance"
        full = f"{what} is full-range (0..255, as of JPEG, Pillow, OpenCV), wanted BT.601's 16..235"
        narrow = "luminance was brought to 16..235 twice, or the original is full-range"
    else:
        what = "RGB"
        full = "contrast is too high: luminance in 0..255 was taken for 16..235 on the way to RGB"
        narrow = "contrast is too low: luminance in 16..235 was taken for 0..255 on the way to RGB"
        if is_grey(picture) and not is_grey(truth):
            narrow = (
                "the result is Y in three equal channels, which is converted again: save it as grey"
            )
    halved = f"{what} in 0..1 was written as if it were in -1..1"
    for kind, words, change in (
        ("full-range", full, lambda x: 16 + x * 219 / 255),
        ("narrow range", narrow, lambda x: (x - 16) * 255 / 219),
        ("-1 to 1", halved, lambda x: 2 * x - 255),
    ):
        changed = change(picture)
        # For a picture far from the original, less contrast always reduces the error: check it too.
        near = abs(_contrast(changed, truth)) < min(abs(_contrast(picture, truth)), 0.07)
        # One that was multiplied by a number may have that contrast, but not the level.
        if near and abs(levels_of(changed).mean() - levels_of(truth).mean()) < _OFF:
            yield Slip(kind, words, changed)
    yield Slip("negative", f"{what} is negative, dark for bright", 255 - picture)


def _contrast(picture: np.ndarray, truth: np.ndarray) -> float:
    """Logarithm of the contrast relative to the original, fine detail aside."""
    a, b = (ndimage.gaussian_filter(levels_of(x), 3).std() for x in (picture, truth))
    return float(np.log(max(a, 1e-3) / max(b, 1e-3)))


def _wrapped(picture: np.ndarray, truth: np.ndarray) -> Iterator[Slip]:
    if picture.shape == truth.shape:
        far = truth - picture
        unwrapped = picture + 256 * ((far > _FAR).astype(float) - (far < -_FAR))
        words = "values beyond 0..255 wrapped around (speckles): clip before casting to 8 bits"
        yield Slip("wrapped", words, np.clip(unwrapped, 0, 255), least=0.05)


def _moved(picture: np.ndarray, truth: np.ndarray, scale: int) -> Iterator[Slip]:
    place = where(levels_of(picture), levels_of(truth), scale)
    if not place.is_at(0, 0, 0, 0):
        yield Slip("place", "", undone(picture, place), place)  # `findings` adds the words
