"""Clips to train on, made from photographs: a simulated camera moves over each.

Real clips are few, compressed, and of little variety. Photographs have the detail, and motion can
be simulated: from frame to frame the picture shifts, turns and zooms a little, smoothly apart from
the shake of a hand. The middle frame is the photograph itself. Those around it are resampled from
the large picture and then shrunk, so that they differ by fractions of a pixel, as a camera's do.

Axes: T frames, H x W pixels, s scale.
"""

import math
import os

import numpy as np

from ..data import Pair, read_pair
from ..resize import imresize

__all__ = ["moved", "read_moved"]

FASTEST = 3.0  # pixels of the small picture per frame
SHAKE = 0.1  # pixels of the small picture, standard deviation of each frame
TURN = 0.004  # radians per frame, standard deviation
ZOOM = 0.004  # of the size per frame, standard deviation


def read_moved(
    path: str | os.PathLike,
    scale: int,
    frames: int,
    smallest: int = 1,
    *,
    largest: int | None = None,
    seed: int | tuple[int, ...] = 0,
) -> Pair:
    """Make a clip from a picture file, see `moved`.

    Parameters
    ----------
    path : path
    scale : int
    frames : int
    smallest : int
        Least height and width of the picture, in pixels.
    largest : int, optional
        As for `read_pair`.
    seed : int or tuple of int
        Seed of that region and of the motion.

    Returns
    -------
    low, high : float32 arrays (T, h, w), (T, s h, s w)

    Raises
    ------
    OSError, ValueError, TypeError, MemoryError
        As `read_pair` does.
    """
    pair = read_pair(path, scale, smallest=smallest, largest=largest, seed=seed, small=True)
    return moved(pair, frames, np.random.default_rng(seed))


def moved(pair: Pair, frames: int, rng: np.random.Generator) -> Pair:
    """Make a clip around a picture, its middle frame, as a moving camera would see it.

    The picture is mirrored beyond its edges.

    Parameters
    ----------
    pair : (low, high), float32 arrays (1, h, w), (1, s h, s w)
        As `data.pair` returns them, low the small picture.
    frames : int
    rng : Generator
        Source of the random motion.

    Returns
    -------
    low : float32 array (T, h, w)
    high : float32 array (T, s h, s w)
        The unmoved picture for every frame, a view that takes its memory once.
    """
    from scipy.ndimage import affine_transform, spline_filter  # takes a third of a second

    low, high = pair
    scale, half = high.shape[1] // low.shape[1], frames // 2
    ways = _ways(frames, rng)
    spline = spline_filter(high[0].astype(np.float64), mode="mirror")
    middle = (np.array(spline.shape) - 1) / 2
    small = []
    for time, (matrix, way) in zip(range(-half, half + 1), ways, strict=True):
        if time == 0:
            small.append(low[0])
            continue
        offset = middle - matrix @ middle + scale * way
        frame = affine_transform(spline, matrix, offset, mode="mirror", prefilter=False)
        small.append(imresize(np.clip(frame, 0, 1), scale=1 / scale))
    return np.array(small, np.float32), np.broadcast_to(high, (frames, *high.shape[1:]))


def _ways(frames: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the motion of each frame: a matrix (2, 2) and a shift (2,) into the middle frame.

    The matrix rotates and scales about the centre of the picture; the shift is in pixels of the
    small one.
    """
    direction, speed = rng.uniform(0, 2 * math.pi), FASTEST * rng.random() ** 2
    pan = speed * np.array([math.sin(direction), math.cos(direction)])
    turn, zoom = TURN * rng.normal(), ZOOM * rng.normal()
    ways = []
    for time in range(-(frames // 2), frames // 2 + 1):
        sine, cosine = math.sin(turn * time), math.cos(turn * time)
        matrix = (1 + zoom * time) * np.array([[cosine, -sine], [sine, cosine]])
        ways.append((matrix, time * pan + SHAKE * rng.normal(size=2)))
    return ways
