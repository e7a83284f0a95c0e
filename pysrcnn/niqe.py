"""NIQE: how natural a picture looks, measured without the original.

Squared error rewards the mean of all possible pictures, which is soft. NIQE asks another question:
is the local contrast distributed as in photographs? Take the luminance of a picture, subtract the
local mean and divide by the local deviation. In photographs the result (the MSCN coefficients) is
nearly Gaussian; blur, noise, ringing and blocks change that. So fit distributions to the
coefficients of each block, and compare mean and covariance of their parameters over the blocks
with those of good photographs, the pristine model. 0 would be as natural as they are; sharp
photographs mostly have 2 to 5, and 5 to 9 after shrinking to a third and bicubic enlargement.

Values depend on the pristine model. The one in this package was fitted to other pictures than the
authors', so its values are not comparable with published ones; for those, `load` a file with the
authors' parameters.

Source: A. Mittal, R. Soundararajan, A. C. Bovik, "Making a 'completely blind' image quality
analyzer", IEEE Signal Processing Letters 20(3), 2013. Details that the paper leaves open follow the
authors' MATLAB files (`computequality.m`, `estimatemodelparam.m`).

Axes: H x W pixels, N blocks of B x B, 36 features.
"""

import functools
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .formats import read_weights, write_weights
from .metrics import check_metric
from .resize import imresize

__all__ = ["BLOCK", "Pristine", "fit", "load", "niqe", "shipped"]

BLOCK = 96  # pixels a side at the first scale; half as many at the second
_FEATURES = 36
_SHARP = 0.75  # of a picture's sharpest block: the model is fitted to blocks sharper than that
_FLAT = 1e-9  # MSCN coefficients of flat regions are rounding errors of about 1e-13

# fspecial('gaussian', 7, 7/6) is the outer product of this with itself
_WINDOW = np.exp(-0.5 * (np.arange(-3, 4) / (7 / 6)) ** 2)
_WINDOW /= _WINDOW.sum()

# MATLAB's rgb2gray: the first row of the inverse of NTSC's matrix
_GREY = np.linalg.inv([[1, 0.956, 0.621], [1, -0.272, -0.647], [1, -1.106, 1.703]])[0]

# Names of mean and covariance in the files that `load` reads: ours, the authors' (MATLAB) and
# BasicSR's.
_NAMES = (
    ("mean", "covariance"),
    ("mu_prisparam", "cov_prisparam"),
    ("mu_pris_param", "cov_pris_param"),
)


@dataclass(frozen=True)
class Pristine:
    """A pristine model: the Gaussian of the features of good photographs.

    Attributes
    ----------
    mean : float64 array (36,)
    covariance : float64 array (36, 36)
    """

    mean: np.ndarray
    covariance: np.ndarray

    def save(self, path: str | os.PathLike, **card: object) -> None:
        """Write an .npz file that `load` reads.

        Parameters
        ----------
        path : path
        card : further entries for people, such as the pictures that the model was fitted to
        """
        write_weights(path, {"mean": self.mean, "covariance": self.covariance}, dict(card))


def niqe(
    x: np.ndarray, model: Pristine | None = None, shave: int = 0, peak: float = 255.0
) -> float:
    """Return the distance of a picture from natural ones; lower is better.

    With mean v and covariance S of the features of its blocks, and v_p, S_p of the pristine model::

        NIQE = sqrt((v_p - v)^T ((S_p + S) / 2)^-1 (v_p - v))

    Parameters
    ----------
    x : array (H, W) or (H, W, 3), integers or floating point in 0..peak
        Luminance, or RGB, which is converted by MATLAB's ``rgb2gray`` as in the authors' code, and
        rounded to 8-bit levels. Much work on super-resolution takes the Y of ``rgb2ycbcr``
        (`color.rgb_to_luma`) instead, as `pysrcnn.evaluate` does; that moved NIQE of photographs
        by 0.1 to 0.2.
    model : Pristine, optional
        By default the one of this package.
    shave : int
        Number of pixels cropped from each side.
    peak : float
        The largest possible value.

    Returns
    -------
    niqe : float, 0 or more

    Raises
    ------
    TypeError
        If `x` has another dtype or `shave` is not an int.
    ValueError
        If `x` is no picture or has values out of range, if fewer than two blocks of 96 x 96 pixels
        are left after shaving, or fewer than two of them have any texture.

    Notes
    -----
    Source: Mittal et al. 2013, Eq. 1-10. Flat blocks carry no information and are left out; other
    programs fit rounding errors there, so values agree only on pictures without flat regions. (With
    half of a picture clipped to one level, BasicSR's own values in float32 and float64 differ by
    0.8, and ours is 0.02 from the former.)
    """
    luminance = _levels(x, shave, peak)
    features = _features(luminance)[0]
    features = features[np.isfinite(features).all(axis=1)]
    if len(features) < 2:
        raise ValueError(
            f"niqe found texture in {len(features)} blocks of {BLOCK} x {BLOCK} pixels, wanted at "
            "least 2: a flat picture is neither natural nor not; use another one."
        )
    model = model or shipped()
    away = model.mean - features.mean(axis=0)
    spread = (model.covariance + np.cov(features, rowvar=False)) / 2
    return math.sqrt(max(0.0, float(away @ np.linalg.pinv(spread) @ away)))


def fit(pictures: Iterable[np.ndarray], peak: float = 255.0) -> Pristine:
    """Fit a pristine model to the sharpest blocks of good photographs.

    Blocks count whose mean local deviation is more than 0.75 of the largest in their picture.

    Parameters
    ----------
    pictures : arrays (H, W) or (H, W, 3)
        As `niqe` takes them. They should be sharp and clean: not blurred, not enlarged, without
        noise or JPEG blocks.
    peak : float

    Returns
    -------
    model : Pristine

    Raises
    ------
    TypeError, ValueError
        As `niqe` does; and if there are not more blocks than features, which the covariance needs.

    Examples
    --------
    >>> from pysrcnn import niqe, read_picture
    >>> from pysrcnn.pictures import list_pictures
    >>> paths = list_pictures("photographs")                      # doctest: +SKIP
    >>> niqe.fit(map(read_picture, paths)).save("mine.npz")       # doctest: +SKIP
    """
    found = []
    for x in pictures:
        features, sharpness = _features(_levels(x, 0, peak))
        sharp = sharpness > _SHARP * sharpness.max()
        found.append(features[sharp & np.isfinite(features).all(axis=1)])
    together = np.concatenate(found) if found else np.empty((0, _FEATURES))
    if len(together) <= _FEATURES:
        raise ValueError(
            f"fit got {len(found)} pictures with {len(together)} sharp blocks of {BLOCK} x {BLOCK} "
            f"pixels, wanted more than {_FEATURES} blocks; give more pictures, or larger ones."
        )
    return Pristine(together.mean(axis=0), np.cov(together, rowvar=False))


def load(path: str | os.PathLike) -> Pristine:
    """Read a pristine model: from `Pristine.save`, the authors' (.mat), or BasicSR's (.npz).

    Parameters
    ----------
    path : path

    Returns
    -------
    model : Pristine

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no parameters of NIQE.
    """
    arrays = read_weights(path).tensors
    for names in _NAMES:
        if all(name in arrays for name in names):
            mean, covariance = (arrays[name] for name in names)
            break
    else:
        wanted = ", or ".join(" and ".join(names) for names in _NAMES)
        raise ValueError(f"{path} holds no parameters of NIQE: wanted arrays called {wanted}")
    fits = mean.size == _FEATURES and covariance.shape == (_FEATURES, _FEATURES)
    if not (fits and mean.dtype.kind == covariance.dtype.kind == "f"):
        raise ValueError(
            f"{path} holds a mean of shape {mean.shape} and a covariance of shape "
            f"{covariance.shape}, wanted 36 and 36 x 36 of floating point: it is not for NIQE"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError(f"{path} holds numbers that are not finite: it is damaged")
    return Pristine(mean.ravel().astype(np.float64), covariance.astype(np.float64))


@functools.cache
def shipped() -> Pristine:
    """Return the pristine model of this package.

    Returns
    -------
    model : Pristine
    """
    return load(Path(__file__).parent / "weights" / "niqe.npz")


# ----------------------------------------------------------------------------------------- features


def _features(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, 36) and sharpness (N,) of the blocks of luminance (H, W) in 0..255."""
    rows, columns = (side // BLOCK for side in x.shape)
    x = x[: rows * BLOCK, : columns * BLOCK]
    mscn, deviation = _normalised(x)
    sharpness = _blocks(deviation, BLOCK).mean(axis=(1, 2))
    half, _ = _normalised(imresize(x, 0.5))
    both = _of_blocks(_blocks(mscn, BLOCK)), _of_blocks(_blocks(half, BLOCK // 2))
    return np.concatenate(both, axis=1), sharpness


def _normalised(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return MSCN coefficients (Eq. 1) and local deviations (Eq. 3), both (H, W)."""
    mean = _blurred(x)
    deviation = np.sqrt(np.abs(_blurred(x * x) - mean * mean))
    mscn = (x - mean) / (deviation + 1)
    mscn[np.abs(mscn) < _FLAT] = 0
    return mscn, deviation


def _blurred(x: np.ndarray) -> np.ndarray:
    """Return weighted means (H, W) under the window, with edge pixels repeated."""
    for axis in (0, 1):
        margin = [(3, 3) if k == axis else (0, 0) for k in (0, 1)]
        wide = np.moveaxis(np.pad(x, margin, mode="edge"), axis, 0)
        total = sum(weight * wide[k : len(wide) - 6 + k] for k, weight in enumerate(_WINDOW))
        x = np.moveaxis(np.asarray(total), 0, axis)
    return x


def _blocks(x: np.ndarray, side: int) -> np.ndarray:
    """Split `x` into blocks (N, side, side); `side` divides height and width."""
    height, width = x.shape
    parts = x.reshape(height // side, side, width // side, side)
    return parts.swapaxes(1, 2).reshape(-1, side, side)


def _of_blocks(x: np.ndarray) -> np.ndarray:
    """Return the features (N, 18) of MSCN coefficients (N, B, B); NaN for flat blocks.

    They are shape and scale of the coefficients, then shape, mean (Eq. 8), left and right scale of
    the products of neighbours: horizontal, vertical and along both diagonals (Eq. 6).
    """
    shape, left, right = _fitted(x)
    columns = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = _fitted(x * np.roll(x, shift, axis=(1, 2)))
        gammas = np.array([math.gamma(2 / a) / math.gamma(1 / a) for a in shape])
        columns += [shape, (right - left) * gammas, left, right]
    return np.stack(columns, axis=1)


def _fitted(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit an asymmetric generalised Gaussian to each block: shape, left and right scale (N,).

    Moment matching: of the shapes 0.2, 0.201, ... 10, take the one with the nearest moment ratio.
    Source: N.-E. Lasmar, Y. Stitou, Y. Berthoumieu, ICIP 2009, as cited by the paper for Eq. 4-5.
    """
    shapes, ratios, scales = _table()
    squares = x * x
    with np.errstate(invalid="ignore"):  # 0 / 0 in flat blocks
        left, right = (
            np.sqrt((squares * side).sum(axis=(1, 2)) / side.sum(axis=(1, 2)))
            for side in (x < 0, x > 0)
        )
        skew = left / right
        ratio = np.abs(x).mean(axis=(1, 2)) ** 2 / squares.mean(axis=(1, 2))
        ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    after = np.clip(np.searchsorted(ratios, ratio), 1, len(ratios) - 1)
    nearest = after - (ratio - ratios[after - 1] <= ratios[after] - ratio)
    return shapes[nearest], left * scales[nearest], right * scales[nearest]


@functools.cache
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shapes a; G(2/a)^2 / (G(1/a) G(3/a)), which rises with a; sqrt(G(1/a) / G(3/a))."""
    shapes = np.arange(200, 10001) / 1000
    one, two, three = (np.array([math.gamma(k / a) for a in shapes]) for k in (1, 2, 3))
    return shapes, two**2 / (one * three), np.sqrt(one / three)


# ------------------------------------------------------------------------------------------ checks


def _levels(x: np.ndarray, shave: int, peak: float) -> np.ndarray:
    """Check the arguments; return shaved luminance (H, W), rounded to levels 0..255."""
    x = np.asarray(x)
    shave = check_metric("niqe", x, shave, peak)
    if x.ndim not in (2, 3) or x.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"niqe got an array of shape {x.shape}, wanted luminance (H, W) or RGB (H, W, 3); "
            "leave alpha out first."
        )
    height, width = (side - 2 * shave for side in x.shape[:2])
    if shave < 0 or max(height, 0) // BLOCK * (max(width, 0) // BLOCK) < 2:
        raise ValueError(
            f"niqe got {x.shape[1]} x {x.shape[0]} pixels and shave={shave}, wanted room for two "
            f"blocks after shaving, as {2 * BLOCK} x {BLOCK}; use a larger picture."
        )
    _check_range(x, peak)
    x = x[shave : shave + height, shave : shave + width].astype(np.float64) * (255 / peak)
    return np.floor((x @ _GREY if x.ndim == 3 else x) + 0.5)


def _check_range(x: np.ndarray, peak: float) -> None:
    lowest, highest = float(x.min()), float(x.max())
    if not (lowest >= 0 and highest <= peak):  # NaN too
        raise ValueError(
            f"niqe got values from {lowest:g} to {highest:g}, wanted 0..{peak:g}; clip them, or "
            "give the peak that they have."
        )
    if peak > 1 and x.dtype.kind == "f" and highest <= 1:
        raise ValueError(
            f"niqe got floating point up to {highest:g} with peak={peak:g}, which is black; for "
            "pictures in 0..1 give peak=1."
        )
