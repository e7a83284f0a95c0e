"""What may have gone wrong with a result, undone.

Each slip is a function that undoes it; where the result is not closer to the original then, it was
not made. Pictures are float64 arrays (H, W) or (H, W, 3) in 0..255, grey taken to be Y.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..data import luma
from ..metrics import psnr
from .geometry import Place, undone, where

__all__ = ["Slip", "find", "levels_of"]

_LEAST = 0.3  # dB that a picture gains, for a slip to be named
_MOST = 3  # slips on top of each other
_LOST = 16.0  # dB below which a result is of something else, or nothing more is to be seen in it
_FAR = 225  # levels that only a value which wrapped around is off


class Slip(NamedTuple):
    """A word for it; a sentence on what is the case and what is wanted; the result without it."""

    kind: str
    words: str
    picture: np.ndarray
    place: Place | None = None
    least: float = _LEAST  # dB that it must gain


def levels_of(picture: np.ndarray) -> np.ndarray:
    """Y of a picture in 0..255, clipped and rounded to whole levels."""
    return 255 * luma(np.clip(picture, 0, 255) / 255)


def find(
    picture: np.ndarray, truth: np.ndarray, scale: int, shave: int
) -> tuple[list[tuple[Slip, float]], np.ndarray]:
    """The slips in a result, each with the decibels gained when it is undone; and what is left.

    Parameters
    ----------
    picture, truth : float arrays (H, W) or (H, W, 3) in 0..255
    scale : int
    shave : int
        Pixels that do not count on each side.

    Returns
    -------
    found : list of (Slip, float)
        Each on top of those before it.
    picture : float array
        The result without them.
    """
    wanted = levels_of(truth)

    def quality(slip: Slip) -> float:
        return min(psnr(levels_of(slip.picture), wanted, shave), 99.0)

    found: list[tuple[Slip, float]] = []
    now = quality(Slip("", "", picture))
    while len(found) < _MOST:
        known = {slip.kind for slip, _ in found}
        tried = [slip for slip in _slips(picture, truth, scale) if slip.kind not in known]
        best = max(tried, key=quality)
        if quality(best) - now < best.least:
            break
        found.append((best, quality(best) - now))
        picture, now = best.picture, quality(best)
        if best.kind == "0 to 1":
            return found, picture
    return (found if now > _LOST else []), picture


def _slips(picture: np.ndarray, truth: np.ndarray, scale: int) -> Iterator[Slip]:
    """All that are known here, each undone."""
    if picture.max() <= 1 < truth.max():  # nothing else is seen in such a picture
        words = "values in 0..1 were cast to whole numbers: multiply by 255 and round first"
        yield Slip("0 to 1", words, 255 * picture)
        return
    yield from _turned(picture)
    yield from _channels(picture)
    yield from _levels(picture, truth)
    yield from _wrapped(picture, truth)
    yield from _moved(picture, truth, scale)


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


def _channels(picture: np.ndarray) -> Iterator[Slip]:
    if picture.ndim == 2:
        return
    for order in itertools.permutations(range(3)):
        if order == (2, 1, 0):
            words = "red and blue are exchanged: BGR, as OpenCV has it, wanted RGB"
        else:
            words = "the channels are in the order " + "".join("RGB"[c] for c in order)
        if order != (0, 1, 2):
            yield Slip("channels", words, picture[:, :, np.argsort(order)])


def _levels(picture: np.ndarray, truth: np.ndarray) -> Iterator[Slip]:
    if picture.ndim == 2:
        what = "luminance"
        full = f"{what} is full-range (0..255, as of JPEG, Pillow, OpenCV), wanted BT.601's 16..235"
        narrow = "luminance was brought to 16..235 twice, or the original is full-range"
    else:
        what = "RGB"
        full = "contrast is too high: luminance in 0..255 was taken for 16..235 on the way to RGB"
        narrow = "contrast is too low: luminance in 16..235 was taken for 0..255 on the way to RGB"
    halved = f"{what} in 0..1 was written as if it were in -1..1"
    for kind, words, change in (
        ("full-range", full, lambda x: 16 + x * 219 / 255),
        ("narrow range", narrow, lambda x: (x - 16) * 255 / 219),
        ("-1 to 1", halved, lambda x: 2 * x - 255),
    ):
        changed = change(picture)
        # Of what is far from the original, less contrast is always closer to it: look at that too.
        if abs(_contrast(changed, truth)) < min(abs(_contrast(picture, truth)), 0.07):
            yield Slip(kind, words, changed)
    yield Slip("negative", f"{what} is negative, dark for bright", 255 - picture)


def _contrast(picture: np.ndarray, truth: np.ndarray) -> float:
    """Logarithm of how much more there is than in the original, fine detail aside."""
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
        yield Slip("place", "", undone(picture, place), place)  # words: from those of all pictures
