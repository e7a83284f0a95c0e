"""Photographs -> runs of frames to train on: a camera moves over each of them.

Clips are few, compressed, and show few things. A photograph has the detail; motion is what can be
made: from frame to frame the picture moves, turns and grows a little, smoothly but for a shake of
the hand. The middle frame is the photograph itself. Those around it are drawn from the large
picture and then made smaller, so that they differ by parts of a pixel, as frames of a camera do.

Axes: T frames, H x W pixels, s scale.
"""

import math
import os

import numpy as np

from ..data import Pair, read_pair
from ..resize import imresize

__all__ = ["moved", "read_moved"]

FASTEST = 3.0  # pixels of the small picture a frame
SHAKE = 0.1  # likewise, the standard deviation of what is not smooth
TURN = 0.004  # radians a frame, a standard deviation
ZOOM = 0.004  # of the size, likewise


def read_moved(
    path: str | os.PathLike,
    scale: int,
    frames: int,
    smallest: int = 1,
    *,
    seed: int | tuple[int, ...] = 0,
) -> Pair:
    """`moved` of a picture file.

    Parameters
    ----------
    path : path
    scale : int
    frames : int
    smallest : int
        Fewest rows and columns of the picture.
    seed : int or tuple of int
        What the motion is drawn from.

    Returns
    -------
    low, high : float32 arrays (T, h, w), (T, s h, s w)

    Raises
    ------
    OSError, ValueError, TypeError, MemoryError
        As `read_pair` does.
    """
    pair = read_pair(path, scale, smallest=smallest, small=True)
    return moved(pair, frames, np.random.default_rng(seed))


def moved(pair: Pair, frames: int, rng: np.random.Generator) -> Pair:
    """So many frames, of which the middle one is the picture, as a camera would see it that moves.

    Beyond its edges the picture is mirrored.

    Parameters
    ----------
    pair : (low, high), float32 arrays (1, h, w), (1, s h, s w)
        As `data.pair` returns them, low the small picture.
    frames : int
    rng : Generator
        What the motion is drawn from.

    Returns
    -------
    low : float32 array (T, h, w)
    high : float32 array (T, s h, s w)
        The picture, in place of each frame; it is in memory once.
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
    """Of each frame, from where in the middle one its pixels come: a matrix, and a way (2,).

    The matrix turns and enlarges around the middle of the picture; the way is in pixels of the
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
