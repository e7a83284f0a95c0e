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

__all__ = ["Claim", "Errors", "Scored", "claim", "decibels", "errors_of"]

_ALTERNATIVES = 4
_EQUAL = 0.001  # dB up to which two programs agree, however many digits they print

# The mean squared error of a picture by each way of measuring: by what departs from the protocol.
Errors = dict[tuple[str, ...], float]


class Scored(NamedTuple):
    """A result and its original of equal size, float arrays (H, W) or (H, W, 3) in 0..255.

    `truth` is the part of the original `whole` that begins at row and column `first`. Small
    pictures are made from `whole`. `lost` pixels on each side were lost by convolutions or shaved.
    """

    result: np.ndarray
    truth: np.ndarray
    shave: int
    whole: np.ndarray
    first: tuple[int, int]
    lost: int = 0

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


def claim(text: str, pictures: list[Errors]) -> Claim:
    """Look for the ways of measuring that give a number.

    Parameters
    ----------
    text : str
        The number, such as "32.39"; its decimals say how closely a way must agree.
    pictures : list of Errors
        Those of the pictures that the number is an average over.

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
    near = max(0.55 * 10.0**-digits, _EQUAL)  # half a unit of the last digit, and a little more
    given = list(_ways(pictures))
    protocol = next(db for words, db in given if not words)
    hits = [words for words, db in given if abs(db - value) <= near]
    fewest = min(map(len, hits), default=0)
    said = [", and ".join(words) for words in hits if len(words) == fewest][:_ALTERNATIVES]
    single = [(words[0], db) for words, db in given if len(words) == 1]
    return Claim(value, protocol, said, single)


def decibels(text: str) -> float:
    """Parse the claimed number; raise a TypeError or ValueError if it is not a finite one."""
    if not isinstance(text, str):
        raise TypeError(f"the number claimed is {text!r}, wanted text, such as '32.39'")
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


def errors_of(picture: Scored, scale: int) -> Errors:
    """Measure the errors of a picture in each way that departs from the protocol at most twice.

    Ways that do not suit the picture are left out: RGB if it is grey, a shave that leaves nothing.
    """
    least = max(scale, picture.lost)
    shaves = {"": 0, "nothing is shaved off": -1} | {
        f"{least + more} pixels are shaved off each side, wanted {scale}": more
        for more in (scale, 6)
    }
    if picture.lost >= scale:
        del shaves["nothing is shaved off"]
    references = {
        "": picture.truth,
        "it is against bicubic interpolation, wanted the original": picture.part(
            _bicubic(picture.whole, scale)
        ),
    }
    choices: list[dict[str, Any]] = [_PLANES, shaves, references, _DIFFERENCES]
    grey = picture.result.ndim == 2 or picture.truth.ndim == 2
    errors = {}
    for chosen in itertools.product(*(choice.items() for choice in choices)):
        key = tuple(word for word, _ in chosen if word)
        plane, shave, reference, square = (value for _, value in chosen)
        cut = 0 if shave < 0 else picture.shave + shave
        room = 2 * cut < min(picture.truth.shape[:2])
        if len(key) <= 2 and room and not (grey and _RGB in key):
            errors[key] = _error(picture.result, reference, plane, cut, square)
    return errors


def _ways(pictures: list[Errors]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield (words, dB) for each way that suits all pictures."""
    means = {"": False, "it is the PSNR of the mean error, wanted the mean of the PSNRs": True}
    for key in pictures[0]:
        if not all(key in errors for errors in pictures):
            continue
        mse = np.maximum([errors[key] for errors in pictures], 1e-10)
        for (high, peak), (one, mean) in itertools.product(_PEAKS.items(), means.items()):
            words = (*key, *filter(None, (high, one)))
            if len(words) > 2 or mean and len(pictures) == 1:
                continue
            over = mse.mean() if mean else mse
            yield words, float(np.mean(10 * np.log10(peak**2 / over)))


def _bicubic(truth: np.ndarray, scale: int) -> np.ndarray:
    return np.floor(np.clip(degrade(truth, scale), 0, 255) + 0.5)


def _error(
    result: np.ndarray, reference: np.ndarray, plane: _Planes, cut: int, square: _Planes
) -> float:
    """The mean squared error in a plane, `cut` pixels on each side left out."""
    a, b = (plane(x)[cut : x.shape[0] - cut, cut : x.shape[1] - cut] for x in (result, reference))
    return float(np.mean(square(a - b)))
