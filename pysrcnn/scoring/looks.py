"""Compare one result with its original: sizes, scores, and the slips found in the result."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._printing import counted
from ..checks import check_range
from ..data import degrade, modcrop, unit
from ..evaluate import Score, levels
from ..metrics import psnr, ssim
from ..pictures import read_picture
from .claims import Errors, Scored, errors_of
from .shrinking import agreement, cost, ways
from .slips import Slip, find, is_grey, levels_of

__all__ = ["Look", "look_at"]

_LOSSY = ("0 to 1", "wrapped")  # slips that lose what undoing does not bring back


@dataclass
class Look:
    """What was measured of one result."""

    name: str
    over: tuple[int, int]  # rows and columns that the original has beyond a multiple of the scale
    found: list[tuple[Slip, float]]
    agreements: list[tuple[str, float, float]]  # ways to shrink: words, agreement, cost in dB
    as_bicubic: float  # PSNR against bicubic interpolation
    behind: float  # dB below bicubic interpolation, with the slips undone
    errors: Errors  # by each way of measuring, if a number is claimed
    note: str


def look_at(result: Path, original: Path, scale: int, claimed: bool) -> tuple[Score, Look]:
    """Read, score and look for slips; raise a ValueError if the sizes cannot be compared.

    What is returned holds no pictures, as there may be thousands.
    """
    scored, over, note = _same_size(_read(result), _read(original), scale, result.name)
    a, b = levels_of(scored.result), levels_of(scored.truth)
    bicubic = levels(scored.part(degrade(levels_of(scored.whole), scale))[None] / 255)
    base = psnr(bicubic, b, scored.shave), ssim(bicubic, b, scored.shave)
    score = Score(result.name, *base, psnr(a, b, scored.shave), ssim(a, b, scored.shave))
    if is_grey(scored.truth) and not is_grey(scored.result):
        colour = "in colour, while the original is grey: the luminance is compared"
        note = f"{colour}; {note}" if note else colour
    found, mended, shave = find(scored.result, scored.truth, scale, scored.shave)
    mended = levels_of(mended)
    behind = psnr(bicubic, b, shave) - psnr(mended if found else a, b, shave)
    if any(slip.kind in _LOSSY for slip, _ in found):
        behind = 0.0
    agreements = []
    if psnr(mended, b, scored.shave) > 20:  # otherwise it is too far from the original
        row, column = (-first % scale for first in scored.first)  # where blocks of `whole` begin
        mended, b = (modcrop(x[row:, column:], scale) for x in (mended, b))
        for words, way in ways(scale).items():
            agreements.append((words, agreement(mended, b, way, scale), cost(b, scale, way)))
    same = psnr(a, bicubic, scored.shave)
    found = [(slip._replace(picture=np.empty(0)), gain) for slip, gain in found]
    errors = errors_of(scored, scale) if claimed else {}
    return score, Look(result.name, over, found, agreements, same, behind, errors, note)


def _read(path: Path) -> np.ndarray:
    """A picture as float64 in 0..255, without alpha."""
    picture = read_picture(path)
    check_range(picture, str(path))
    x = 255 * unit(picture)
    return x[:, :, :3] if x.ndim == 3 else x


def _same_size(
    result: np.ndarray, truth: np.ndarray, scale: int, name: str
) -> tuple[Scored, tuple[int, int], str]:
    """Cut both to one size; return also the excess over a multiple of `scale`, and a note or "".

    The protocol crops the original at the lower and right edges. A result may cover the whole
    original, or have lost its border to convolutions that do not pad.
    """
    if result.ndim == 3 and truth.ndim == 2 and is_grey(result):
        result = result[:, :, 0]
    over = truth.shape[0] % scale, truth.shape[1] % scale
    whole, truth = truth.shape[:2], modcrop(truth, scale)
    (h, w), (height, width) = result.shape[:2], truth.shape[:2]
    size, wanted = f"{name} is {w} x {h} pixels", f"wanted {width} x {height}"
    if min(h, w, height, width) < 11 + 2 * scale:
        raise ValueError(f"{size}; to compare at scale {scale} it needs more: leave it out")
    if (h, w) == (height, width):
        return Scored(result, truth, scale, truth, (0, 0)), over, ""
    if (h, w) in (
        (height // scale, width // scale),
        (-(-whole[0] // scale), -(-whole[1] // scale)),
    ):
        raise ValueError(f"{size}, {wanted}: it is the small picture, give the enlarged one")
    if h != w and (w, h) in (whole, (height, width)):
        raise ValueError(f"{size}, {wanted}: rows and columns are exchanged")
    shrunk = h * scale % height == 0 == w * scale % width  # as if enlarged by less
    if _is_of_whole(result, truth, over):
        result = result[: h - over[0], : w - over[1]]
        h, w = result.shape[:2]
    lost = height - h
    if 0 < 2 * lost < min(height, width) and lost == width - w and lost % 2 == 0 and not shrunk:
        cut = lost // 2
        corner = _corner(result, truth)
        if corner:
            (y, x), sides = corner
            note = f"{lost} pixels less {sides} than the original, none elsewhere: a crop"
            part = truth[y : y + h, x : x + w]
            scored = Scored(result, part, scale, truth, (y, x))
            return scored, over, f"{note}; the rest is compared"
        inside = truth[cut : height - cut, cut : width - cut]
        note = f"{counted(cut, 'pixel')} less on each side than the original: "
        note += "as shaved" if cut == scale else "convolutions that do not pad lose them"
        scored = Scored(result, inside, max(scale - cut, 0), truth, (cut, cut), cut)
        return scored, over, f"{note}; the rest is compared"
    if max(abs(height - h), abs(width - w)) >= 2 * scale:
        raise ValueError(f"{size}, {wanted}: is it of this original, and enlarged by {scale}?")
    h, w = min(h, height), min(w, width)
    note = "sizes are not those of the original, cropped to a multiple of the scale; "
    note += "the upper left is compared"
    return Scored(result[:h, :w], truth[:h, :w], scale, truth, (0, 0)), over, note


def _is_of_whole(result: np.ndarray, truth: np.ndarray, over: tuple[int, int]) -> bool:
    """Whether a result has lost as much on each side of the original before it was cropped.

    `truth` is the original, cropped by `over`.
    """
    less = np.subtract(truth.shape[:2], result.shape[:2])
    (rows, columns), (more, _) = less + over, over
    if not 0 < rows == columns or rows % 2:
        return False
    if less[0] <= 0 or less[0] != less[1] or more % 2:
        return True
    a, b, cut = levels_of(result), levels_of(truth), less[0] // 2  # which of the two fits better?
    cropped, at = a[: len(a) - more, : a.shape[1] - more], rows // 2
    return _error(cropped, b, at, at) < _error(a, b, cut, cut)


def _error(a: np.ndarray, b: np.ndarray, y: int, x: int) -> float:
    """The mean squared error of a picture against the part of another that begins at y, x."""
    return float(np.mean((a - b[y : y + a.shape[0], x : x + a.shape[1]]) ** 2))


def _corner(result: np.ndarray, truth: np.ndarray) -> tuple[tuple[int, int], str] | None:
    """Where a smaller result begins in the original, and which sides it lacks, if it is a corner.

    None if it fits nearly as well in the middle, where unpadded convolutions leave it.
    """
    a, b = levels_of(result), levels_of(truth)
    lost = b.shape[0] - a.shape[0]
    corners = {
        (y, x): f"at the {row} and at the {column}"
        for y, row in ((0, "bottom"), (lost, "top"))
        for x, column in ((0, "right"), (lost, "left"))
    }
    best = min(corners, key=lambda at: _error(a, b, *at))
    close = 2 * _error(a, b, *best) < _error(a, b, lost // 2, lost // 2)
    return (best, corners[best]) if close else None
