"""Measure PSNR, SSIM and more of bicubic interpolation and of a network on a folder of pictures.

The paper's protocol: Y, rounded to uint8; cropped to a multiple of the scale; shrunk, and for SRCNN
enlarged back, bicubic, without rounding; the network; clipped, rounded to uint8; `scale` pixels
shaved off each side; peak 255; the average over the pictures. See `pysrcnn.metrics` and
`pysrcnn.data`. The score of a clip (see `pysrcnn.clips`) is the average over its frames.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from .checks import check_range, memory_for
from .clips import around, find_clips, length, read_frames, scenes_of
from .color import rgb_to_luma
from .consistency import optical_flow, tof
from .data import PICTURE_ERRORS, Pair, pair
from .metrics import psnr, ssim
from .networks import Features, Network, own_scale
from .pictures import list_pictures, read_picture
from .resize import imresize

__all__ = ["Metric", "Score", "average", "by_features", "evaluate", "levels", "mean_psnr", "score"]

_EXACT = 100.0  # dB

# (picture, original, pixels to shave) -> a number. Both pictures are luminance (H, W) in integer
# levels 0..255, float64; a metric without a reference, such as NIQE, ignores the original.
Metric = Callable[[np.ndarray, np.ndarray, int], float]


@dataclass(frozen=True)
class Score:
    """One row of the table: PSNR in dB and SSIM, of bicubic interpolation and of the network.

    Attributes
    ----------
    picture : str
        Name of the picture or clip.
    bicubic_psnr, bicubic_ssim : float
    psnr, ssim : float
        Scores of the network.
    more : dict of floats
        Other metrics by name: "niqe" of the network, "bicubic_niqe" of bicubic interpolation. For
        a clip also "tof" and "bicubic_tof", the error of the motion in pixels: the mean of
        `consistency.tof` over all pairs of consecutive frames; NaN for a single frame.
    """

    picture: str
    bicubic_psnr: float
    bicubic_ssim: float
    psnr: float
    ssim: float
    more: dict[str, float] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float]:
        """All metrics, by name."""
        names = ("bicubic_psnr", "bicubic_ssim", "psnr", "ssim")
        return {name: getattr(self, name) for name in names} | self.more

    def for_card(self) -> dict[str, float]:
        """Return the network's scores in the form that the card of its weights stores."""
        return {"PSNR": round(self.psnr, 4), "SSIM": round(self.ssim, 6)}


def levels(x: np.ndarray) -> np.ndarray:
    """Convert to Y, clipped and rounded to the levels 0..255 of uint8.

    Parameters
    ----------
    x : float array (c, H, W) in 0..1
        Luma for c = 1, RGB for c = 3.

    Returns
    -------
    y : float64 array (H, W), whole numbers
    """
    x = np.floor(np.clip(x, 0, 1).astype(np.float64) * 255 + 0.5)
    if x.shape[0] == 3:
        x = np.floor(rgb_to_luma(x.transpose(1, 2, 0) / 255) * 255 + 0.5)[None]
    return x[0]


def score(
    network: Network,
    low: np.ndarray,
    high: np.ndarray,
    scale: int | None = None,
    name: str = "",
    more: Mapping[str, Metric] | None = None,
) -> Score:
    """Compare the network's result for `low` with `high`.

    Parameters
    ----------
    network : Network
    low, high : float32 arrays (c, H, W)
        As `pysrcnn.data.pair` returns them for this network.
    scale : int, optional
        Number of pixels shaved off each side. Required only if the network does not know the scale
        that it was trained for.
    name : str
        Name of the picture.
    more : dict of functions (picture, original, shave) -> float, optional
        Other metrics, by their names in `Score.more`. They take luminance (H, W) in levels 0..255.

    Returns
    -------
    score : Score

    Raises
    ------
    ValueError
        If the scale is not the network's, one of its parameters is not finite, or one of the other
        metrics raises it.
    """
    network.check_finite()
    return _score_of(_pictures(network, low, high), own_scale(network, scale), name, more)


Levels = tuple[np.ndarray, np.ndarray, np.ndarray]  # original, bicubic, the network's result


def _pictures(network: Network, low: np.ndarray, high: np.ndarray) -> Levels:
    """Return original, bicubic and the network's result as (H, W) in levels 0..255."""
    ours = levels(network.forward(low[None])[0])
    return levels(high), levels(_bicubic(low, high)), ours


def _score_of(
    pictures: Levels, scale: int, name: str, more: Mapping[str, Metric] | None = None
) -> Score:
    truth, bicubic, ours = pictures
    others = {}
    for key, metric in (more or {}).items():
        others[f"bicubic_{key}"] = metric(bicubic, truth, scale)
        others[key] = metric(ours, truth, scale)
    return Score(
        name,
        psnr(bicubic, truth, shave=scale),
        ssim(bicubic, truth, shave=scale),
        psnr(ours, truth, shave=scale),
        ssim(ours, truth, shave=scale),
        others,
    )


def evaluate(
    folder: str | os.PathLike,
    network: Network,
    scale: int | None = None,
    *,
    more: Mapping[str, Metric] | None = None,
    recursive: bool = False,
    clips: bool | None = None,
    motion: bool = True,
    on_error: Callable[[Exception], object] | None = None,
) -> Iterator[Score]:
    """Yield the score of each picture, or clip, of a folder in order of names, as it is computed.

    Parameters
    ----------
    folder : path
    network : Network
    scale : int, optional
        Required only if the network does not know the scale that it was trained for.
    more : dict of functions (picture, original, shave) -> float, optional
        Other metrics by name, see `score`.
    recursive : bool
        Whether to include pictures in subfolders.
    clips : bool, optional
        Whether the pictures are frames of clips, see `pysrcnn.clips`: each folder, and each video,
        then has one score, the mean of its frames, with "tof". By default if the network takes
        several frames.
    motion : bool
        Whether to compute "tof" of clips, which takes longer than everything else.
    on_error : function of an exception, optional
        Called with the error of a picture or subfolder, which is then left out, instead of raising
        it.

    Yields
    ------
    score : Score

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder has no pictures, or one is unreadable or too small (SSIM needs 11 x 11
        pixels after shaving, NIQE two blocks of 96 x 96), the scale is not the network's, or one
        of its parameters is not finite.

    Examples
    --------
    >>> from pysrcnn.niqe import niqe
    >>> look = {"niqe": lambda picture, original, shave: niqe(picture, shave=shave)}
    >>> scores = list(evaluate("Set5", network, 3, more=look))    # doctest: +SKIP
    >>> average(scores).more["niqe"]                              # doctest: +SKIP
    """
    network.check_finite()
    scale = own_scale(network, scale)
    if clips is None:
        clips = network.frames > 1
    paths = find_clips(folder, on_error) if clips else list_pictures(folder, recursive, on_error)
    score_one = partial(_score_clip, motion=motion) if clips else _score_file
    for path in paths:
        name = path.relative_to(folder).as_posix() if path != Path(folder) else path.resolve().name
        try:
            with memory_for(path):
                score = score_one(path, network, scale, name, more)
        except PICTURE_ERRORS as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            yield score


def _score_file(
    path: Path, network: Network, scale: int, name: str, more: Mapping[str, Metric] | None
) -> Score:
    picture = read_picture(path)
    check_range(picture, str(path))
    low, high = _pair(picture, path, network, scale)
    try:
        return score(network, low, high, scale, name, more)
    except ValueError as error:  # metrics do not know the file's name
        raise ValueError(f"{path}: {error}") from None


def _score_clip(
    path: Path,
    network: Network,
    scale: int,
    name: str,
    more: Mapping[str, Metric] | None,
    motion: bool,
) -> Score:
    scores: list[Score] = []
    off: list[tuple[float, float]] = []
    for scene in scenes_of(path):
        before: Levels | None = None
        for frame in _frames(scene, network, scale):
            scores.append(_score_of(frame, scale, name, more))
            if motion and before is not None:
                truth = optical_flow(before[0], frame[0])
                off.append((tof(before[1], frame[1], truth), tof(before[2], frame[2], truth)))
            before = frame
    mean = replace(average(scores), picture=name)
    if not motion:
        return mean
    bicubic, ours = np.mean(off, axis=0).tolist() if off else (math.nan, math.nan)
    return replace(mean, more=mean.more | {"bicubic_tof": bicubic, "tof": ours})


def _frames(clip: str | os.PathLike, network: Network, scale: int) -> Iterator[Levels]:
    """Yield the pictures of a scene's frames, holding no more than the network takes."""
    count, coming = length(clip), enumerate(read_frames(clip))
    held: dict[int, Pair] = {}
    for k in range(count):
        wanted = around(count, k, network.frames)
        while wanted[-1] not in held:
            number, picture = next(coming)
            held[number] = _pair(picture, clip, network, scale)
        held = {number: frame for number, frame in held.items() if number >= wanted[0]}
        low = np.concatenate([held[number][0] for number in wanted])
        yield _pictures(network, low, held[k][1])


def _pair(picture: np.ndarray, path: str | os.PathLike, network: Network, scale: int) -> Pair:
    """Make a `pair` for the network; raise a ValueError if the picture is too small."""
    smallest = 11 + 2 * scale
    if min(side - side % scale for side in picture.shape[:2]) < smallest:
        raise ValueError(
            f"{path} is {picture.shape[1]} x {picture.shape[0]} pixels; to compare at scale "
            f"{scale} it needs at least {smallest} x {smallest}: leave it out"
        )
    return pair(picture, scale, network.c, network.small)


def _bicubic(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the bicubic enlargement: for SRCNN low itself, for frames that of the middle one."""
    if low.shape == high.shape:
        return low
    if len(low) != len(high):
        low = low[len(low) // 2][None]
    return np.stack([imresize(plane, shape=high.shape[1:]) for plane in low.astype(np.float64)])


def average(scores: list[Score]) -> Score:
    """Return the last row of the table: the mean of each column, ignoring NaN.

    For example, tOF of a clip with a single frame is NaN.

    Parameters
    ----------
    scores : list of Score
        At least one.

    Returns
    -------
    average : Score
    """
    numbers = [s.numbers for s in scores]
    columns = {name: [n[name] for n in numbers] for name in numbers[0]}
    means = {name: _mean([x for x in column if x == x]) for name, column in columns.items()}
    more = {name: means.pop(name) for name in scores[0].more}
    return Score("average", **means, more=more)


def by_features(features: Features) -> Metric:
    """Return a metric: the distance between feature maps of the picture and of the original.

    Parameters
    ----------
    features : Features
        The fixed network; one for RGB takes luminance as grey.

    Returns
    -------
    metric : function
        `Features.distance`, computed after shaving.
    """

    def metric(picture: np.ndarray, original: np.ndarray, shave: int) -> float:
        inside = slice(shave, -shave or None)
        x, target = (
            np.ascontiguousarray(y[None, None, inside, inside] / 255, features.dtype)
            for y in (picture, original)
        )
        return features.distance(x, target)

    return metric


def _mean(numbers: list[float]) -> float:
    return float(np.mean(numbers)) if numbers else math.nan


def mean_psnr(network: Network | None, pairs: list[Pair], scale: int) -> float:
    """Return the average PSNR of a network, as measured during training.

    A picture without any error, such as a flat one, counts as `_EXACT` dB.

    Parameters
    ----------
    network : Network or None
        None measures bicubic interpolation.
    pairs : list of (low, high)
        As `pysrcnn.data.pair` returns them.
    scale : int
        Number of pixels shaved off each side.

    Returns
    -------
    mean : float, in dB
    """
    values = []
    for low, high in pairs:
        ours = levels(network.forward(low[None])[0] if network else _bicubic(low, high))
        values.append(min(psnr(ours, levels(high), shave=scale), _EXACT))
    return float(np.mean(values))
