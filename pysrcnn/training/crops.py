"""Training samples cut from pairs of pictures: on a grid, or at random.

A sampler makes the batch of any step from the seed and the step's number alone, so an interrupted
training resumes with exactly the batches it would have had.
"""

from typing import Protocol

import numpy as np

from ..data import Pair
from ..turns import TURNS, turned
from .degradation import AROUND, Degradation

__all__ = ["RandomCrops", "Sampler", "SubImages"]


class Sampler(Protocol):
    """An object that makes batches of samples."""

    def batch(self, step: int, size: int) -> Pair:
        """Return the batch (low, high) of a step, counted from 0, with `size` samples."""
        ...


class SubImages:
    """All sub-images on a grid, in a new random order each epoch: the paper's sampling.

    Parameters
    ----------
    pairs : list of (low, high)
    size : int
        Side of the sub-images of low, in pixels. The paper: 33.
    stride : int
        Pixels from one sub-image to the next. The paper: 14.
    margin : int
        Pixels that the network's valid convolutions take off each side; high sub-images lack them.
        9-1-5: 6, so 21 x 21.
    seed : int

    Attributes
    ----------
    low, high : float32 arrays (n, c, size, size), (n, c, s (size - 2 margin), ...)

    Raises
    ------
    ValueError
        If there are no pictures, one is smaller than a sub-image, or the margin leaves nothing.
    """

    def __init__(
        self, pairs: list[Pair], size: int = 33, stride: int = 14, margin: int = 6, seed: int = 0
    ):
        _check_sizes(pairs, size, margin)
        low, high = [], []
        for a, b in pairs:
            s = b.shape[1] // a.shape[1]
            for i in range(0, a.shape[1] - size + 1, stride):
                for j in range(0, a.shape[2] - size + 1, stride):
                    low.append(a[:, i : i + size, j : j + size])
                    high.append(b[:, *_inner(i, j, size, margin, s)])
        self.low, self.high = np.stack(low), np.stack(high)
        self.seed = seed
        self._epoch, self._order = -1, np.empty(0, np.intp)

    def batch(self, step: int, size: int) -> Pair:
        """Return the batch of a step, which continues where the previous step ended.

        Parameters
        ----------
        step : int
            From 0.
        size : int
            Number of samples N.

        Returns
        -------
        low, high : float32 arrays (N, c, size, size), (N, c, s (size - 2 margin), ...)
            In these shapes, `size` is the side of the sub-images.
        """
        n = len(self.low)
        chosen = []
        for position in range(step * size, (step + 1) * size):
            epoch, place = divmod(position, n)
            if epoch != self._epoch:
                self._epoch = epoch
                self._order = np.random.default_rng((self.seed, epoch)).permutation(n)
            chosen.append(self._order[place])
        return self.low[chosen], self.high[chosen]


class RandomCrops:
    """Crops at random places, flipped and rotated at random into one of eight orientations.

    Parameters
    ----------
    pairs : list of (low, high)
    size : int
        Side of the crops of low, in pixels.
    margin : int
        As for `SubImages`.
    seed : int
    degradation : Degradation, optional
        Degradation of each crop of low, which must then be the small picture itself. The places
        of the crops are the same with and without it.
    frames : int
        Number of consecutive frames in a crop of low; high is of the middle one. Above 1, the pairs
        are clips, see `pysrcnn.clips`.

    Raises
    ------
    ValueError
        If there are no pictures, one is smaller than a crop, or the margin leaves nothing.
    """

    def __init__(
        self,
        pairs: list[Pair],
        size: int = 48,
        margin: int = 6,
        seed: int = 0,
        degradation: Degradation | None = None,
        frames: int = 1,
    ):
        _check_sizes(pairs, size, margin)
        self.pairs, self.size, self.margin, self.seed = pairs, size, margin, seed
        self.degradation, self.frames = degradation, frames
        places = np.array([(a.shape[1] - size + 1) * (a.shape[2] - size + 1) for a, _ in pairs])
        if frames > 1:
            places *= [len(a) - frames + 1 for a, _ in pairs]  # runs of frames in each clip
        self._ends = np.cumsum(places)  # so that every place in every picture is equally likely

    def batch(self, step: int, size: int) -> Pair:
        """Return the batch of a step.

        Parameters
        ----------
        step : int
            From 0.
        size : int
            Number of samples N.

        Returns
        -------
        low, high : float32 arrays (N, c, size, size), (N, c, s (size - 2 margin), ...)
            In these shapes, `size` is the side of the crops.
        """
        rng = np.random.default_rng((self.seed, step))
        low, high = [], []
        places, turns = rng.integers(self._ends[-1], size=size), rng.integers(TURNS, size=size)
        for k, (place, turn) in enumerate(zip(places, turns, strict=True), 1):
            a, b = self.pairs[np.searchsorted(self._ends, place, side="right")]
            i = rng.integers(a.shape[1] - self.size + 1)
            j = rng.integers(a.shape[2] - self.size + 1)
            if self.frames > 1:
                first = rng.integers(len(a) - self.frames + 1)
                middle = first + self.frames // 2
                a, b = a[first : first + self.frames], b[middle : middle + 1]
            if self.degradation is None:
                x = turned(a[:, i : i + self.size, j : j + self.size], turn)
            else:
                piece = turned(_with_surroundings(a, i, j, self.size), turn)
                x = self.degradation.crop(piece, np.random.default_rng((self.seed, step, k)))
            y = b[:, *_inner(i, j, self.size, self.margin, b.shape[1] // a.shape[1])]
            low.append(x)
            high.append(turned(y, turn))
        return np.stack(low), np.stack(high)


def _inner(i: int, j: int, size: int, margin: int, s: int) -> tuple[slice, slice]:
    """Rows and columns of high that match a sub-image of low at i, j; high is s times as large."""
    rows, columns = (slice(s * (k + margin), s * (k + size - margin)) for k in (i, j))
    return rows, columns


def _with_surroundings(low: np.ndarray, i: int, j: int, size: int) -> np.ndarray:
    """Cut a crop of low at i, j with `AROUND` pixels on each side; picture edges are repeated."""
    rows, columns = (
        np.arange(k - AROUND, k + size + AROUND).clip(0, side - 1)
        for k, side in zip((i, j), low.shape[1:], strict=True)
    )
    return low[:, rows[:, None], columns]


def _check_sizes(pairs: list[Pair], size: int, margin: int) -> None:
    if not pairs:
        raise ValueError("no training pictures")
    if size <= 2 * margin:
        raise ValueError(
            f"sub-images of {size} pixels leave nothing after the network's margin of {margin} on "
            f"each side: they must be at least {2 * margin + 1}"
        )
    for low, _ in pairs:
        if min(low.shape[1:]) < size:
            raise ValueError(
                f"a training picture is {low.shape[2]} x {low.shape[1]} pixels, smaller than a "
                f"sub-image of {size} x {size}: leave it out or use smaller sub-images"
            )
