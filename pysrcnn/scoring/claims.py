"""Find the way of measuring that gives a number reported by another script.

The protocol makes a few choices; each way here departs from it in at most two of them. The ways
that give the number, to the digits it has, are named: only those with the fewest departures.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..color import rgb_to_luma, rgb_to_ycbcr_full
from ..data import degrade
from .slips import levels_of

__all__ = ["Claim", "Scored", "claim", "decibels"]

_ALTERNATIVES = 4


class Scored(NamedTuple):
    """A result and its original of equal size, float arrays (H, W) or (H, W, 3) in 0..255.

    `truth` is the part of the original `whole` that begins at row and column `first`. Small
    pictures are made from `whole`.
    """

    result: np.ndarray
    truth: np.ndarray
    shave: int
    whole: np.ndarray
    first: tuple[int, int]

    def part(self, whole: np.ndarray) -> np.ndarray:
        """The compared part of a picture as large as the whole original."""
        height, width = self.truth.shape[:2]
        row, column = self.first
        return whole[row : row + height, column : column + width]


class Claim(NamedTuple):
    """A claimed number and the ways of measuring that give it.

    value : float, in dB
    protocol : float
        The number the protocol gives.
    words : list of str
        The ways that give `value`, in words; [""] if the protocol does, empty if none does.
    single : list of (str, float)
        Each way with one departure from the protocol, and the number it gives.
    """

    value: float
    protocol: float
    words: list[str]
    single: list[tuple[str, float]]


def claim(text: str, pictures: list[Scored], scale: int) -> Claim:
    """Look for the ways of measuring that give a number.

    Parameters
    ----------
    text : str
        The number, such as "32.39"; its decimals say how closely a way must agree.
    pictures : list of Scored
        The pictures that the number is an average over.
    scale : int

    Returns
    -------
    claim : Claim

    Raises
    ------
    ValueError
        If the text is not a finite number.
    """
    value = decibels(text)
    digits = len(text.strip().partition(".")[2])
    near = 0.55 * 10.0**-digits  # half a unit of the last digit, and a little more
    given = list(_ways(pictures, scale))
    protocol = next(db for words, db in given if not words)
    hits = [words for words, db in given if abs(db - value) <= near]
    fewest = min(map(len, hits), default=0)
    said = [", and ".join(words) for words in hits if len(words) == fewest][:_ALTERNATIVES]
    single = [(words[0], db) for words, db in given if len(words) == 1]
    return Claim(value, protocol, said, single)


def decibels(text: str) -> float:
    """Parse the claimed number; raise a ValueError if it is not a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"the number claimed is {text!r}, wanted decibels, such as 32.39")
    return value


# Each choice maps words to an option; the protocol's comes first, with empty words.
_Planes = Callable[[np.ndarray], np.ndarray]


def _rgb(picture: np.ndarray) -> np.ndarray:
    return picture if picture.ndim == 3 else np.dstack([picture] * 3)


def _luma(picture: np.ndarray) -> np.ndarray:
    return 255 * rgb_to_luma(picture / 255) if picture.ndim == 3 else picture


def _full(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return picture
    return np.floor(255 * rgb_to_ycbcr_full(picture / 255)[:, :, 0] + 0.5)


_RGB = "it is of RGB, wanted luminance"
_PLANES: dict[str, _Planes] = {
    "": levels_of,
    "luminance is full-range (0..255, as of JPEG, Pillow, OpenCV), wanted BT.601's 16..235": _full,
    _RGB: _rgb,
    "luminance is not rounded to 8 bits": _luma,
    "luminance is that of BGR, red and blue exchanged": lambda x: (
        levels_of(x[..., ::-1]) if x.ndim == 3 else x
    ),
}
_PEAKS = {"": 255.0, "the peak is 219, wanted 255": 219.0}
_DIFFERENCES: dict[str, _Planes] = {
    "": np.square,
    "differences of uint8 wrap around (3 - 5 = 254): subtract in floating point": lambda d: (
        np.square(d.astype(np.int64).astype(np.uint8)).astype(float)
    ),
}


def _ways(pictures: list[Scored], scale: int) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield (words, dB) for each way with at most two departures from the protocol."""
    shaves = {
        "": 0,
        "nothing is shaved off": -1,
        f"{2 * scale} pixels are shaved off each side, wanted {scale}": scale,
        f"{scale + 6} pixels are shaved off each side, wanted {scale}": 6,
    }
    references = {"": False, "it is against bicubic interpolation, wanted the original": True}
    means = {"": False, "it is the PSNR of the mean error, wanted the mean of the PSNRs": True}
    enlarged = [p.part(_bicubic(p.whole, scale)) for p in pictures]
    choices: list[dict[str, Any]]
    choices = [_PLANES, shaves, references, _DIFFERENCES, _PEAKS, means]
    errors: dict[tuple[str, ...], list[float]] = {}
    for chosen in itertools.product(*(choice.items() for choice in choices)):
        words = tuple(word for word, _ in chosen if word)
        if len(words) > 2 or _RGB in words and _has_grey(pictures):
            continue
        plane, shave, bicubic, square, peak, mean = (value for _, value in chosen)
        key = tuple(word for word, _ in chosen[:4])
        if key not in errors:
            errors[key] = [
                _error(p, plane, shave, b if bicubic else p.truth, square)
                for p, b in zip(pictures, enlarged, strict=True)
            ]
        mse = np.maximum(errors[key], 1e-10)
        if mean and len(pictures) > 1:
            mse = np.mean(mse, keepdims=True)
        elif mean:
            continue
        yield words, float(np.mean(10 * np.log10(peak**2 / mse)))


def _has_grey(pictures: list[Scored]) -> bool:
    return any(p.result.ndim == 2 or p.truth.ndim == 2 for p in pictures)


def _bicubic(truth: np.ndarray, scale: int) -> np.ndarray:
    return np.floor(np.clip(degrade(truth, scale), 0, 255) + 0.5)


def _error(p: Scored, plane: _Planes, shave: int, reference: np.ndarray, square: _Planes) -> float:
    """The mean squared error in a plane, `shave` pixels more than usual cut off; -1: none."""
    cut = 0 if shave < 0 else p.shave + shave
    a, b = (plane(x)[cut : x.shape[0] - cut, cut : x.shape[1] - cut] for x in (p.result, reference))
    return float(np.mean(square(a - b)))
