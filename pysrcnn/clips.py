"""Read clips, which are folders of frames in order of their names, as pairs of (low, high).

low and high are as in `data`, with frames in place of channels: luminance, (T, h, w) and (T, H, W).
Only `find_clips`, `length` and `read_frames` know how a clip is stored.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ._printing import counted
from .checks import check_range, memory_for
from .data import Pair, luma, pair
from .pictures import list_pictures, read_picture
from .resize import imresize

__all__ = ["around", "find_clips", "length", "pairs_of_clip", "read_frames", "read_run"]

Place = str | os.PathLike


def find_clips(folder: Place, on_error: Callable[[Exception], object] | None = None) -> list[Path]:
    """Return the folders that contain pictures, sorted: `folder` itself or folders below it.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError, ValueError
        If there are none, see `list_pictures`.
    """
    return sorted({path.parent for path in list_pictures(folder, True, on_error)})


def length(clip: Place) -> int:
    """Return the number of frames of a clip."""
    return len(list_pictures(clip))


def read_frames(clip: Place, first: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
    """Yield `count` frames from number `first` on, or all that follow, as `read_picture` does.

    Raises
    ------
    OSError, ValueError, TypeError, MemoryError
        If a frame is not a picture, or its size differs from that of the frame before.
    """
    paths = list_pictures(clip)
    before = None
    for path in paths[first : None if count is None else first + count]:
        with memory_for(path):
            frame = read_picture(path)
            check_range(frame, os.fspath(path))
        if before is not None and frame.shape[:2] != before:
            (height, width), given = before, frame.shape
            raise ValueError(
                f"{path} is {given[1]} x {given[0]} pixels and the frame before it {width} x "
                f"{height}: {os.fspath(clip)} is taken for one clip, whose frames are of one size; "
                f"put each clip, or each single picture, into a folder of its own"
            )
        before = frame.shape[:2]
        yield frame


def read_run(
    clip: Place,
    scale: int,
    frames: int,
    smallest: int = 1,
    *,
    largest: int | None = None,
    seed: int | tuple[int, ...] = 0,
    count: int | None = None,
    shrink: int = 1,
) -> Pair:
    """Read the frames of a clip, or a run of them, or a region of these, as pairs (see `pair`).

    Parameters
    ----------
    clip : path
    scale : int
    frames : int
        Smallest number of frames that the clip must have.
    smallest, largest, seed : as for `read_pair`
        The region is the same in all frames.
    count : int, optional
        Number of frames to take from a longer clip, starting at a random frame.
    shrink : int
        First make the frames this many times smaller, which removes JPEG artefacts.

    Returns
    -------
    low, high : float32 arrays (T, h, w), (T, s h, s w)

    Raises
    ------
    OSError, ValueError, TypeError, MemoryError
        If a frame cannot be used, or the clip has fewer than `frames` frames, or the frames have
        fewer than `smallest` rows or columns.
    """
    rng = np.random.default_rng(seed)
    have = length(clip)
    if have < frames:
        raise ValueError(
            f"{clip} has {counted(have, 'frame')}, and the network looks at {frames}: leave it out"
        )
    first = 0 if count is None else int(rng.integers(max(have - count, 0) + 1))
    region: tuple[slice, slice] | None = None
    pairs = []
    for frame in read_frames(clip, first, count):
        if shrink > 1:
            frame = np.clip(imresize(luma(frame), scale=1 / shrink), 0, 1)
        if region is None:
            region = _region(clip, frame, scale, smallest, largest, rng)
        pairs.append(pair(frame[region], scale, small=True))
    low, high = (np.concatenate(some) for some in zip(*pairs, strict=True))
    return low, high


def _region(
    clip: Place,
    frame: np.ndarray,
    scale: int,
    smallest: int,
    largest: int | None,
    rng: np.random.Generator,
) -> tuple[slice, slice]:
    """Return the rows and columns to use of each frame."""
    sides = [side - side % scale for side in frame.shape[:2]]
    if min(sides) < smallest:
        raise ValueError(
            f"{clip} has frames of {frame.shape[1]} x {frame.shape[0]} pixels, wanted at least "
            f"{smallest} x {smallest} at scale {scale}: leave it out or use smaller sub-images"
        )
    if largest is None:
        return slice(None), slice(None)
    largest = max(largest, smallest + scale - 1)
    i, j = (int(rng.integers(max(side - largest, 0) + 1)) for side in sides)
    return slice(i, i + largest), slice(j, j + largest)


def around(count: int, frame: int, frames: int) -> list[int]:
    """Return the numbers of the `frames` frames around one of a clip of `count`.

    Beyond its ends, the first and the last frame are repeated.
    """
    half = frames // 2
    return [min(max(k, 0), count - 1) for k in range(frame - half, frame + half + 1)]


def pairs_of_clip(run: Pair, frames: int, parts: int) -> list[Pair]:
    """Return pairs to measure PSNR on: evenly spaced frames of a clip, each with its neighbours.

    Parameters
    ----------
    run : (low, high), as `read_run` returns a clip
    frames : int
        Number of frames that the network looks at.
    parts : int
        Number of pairs.

    Returns
    -------
    pairs : list of float32 arrays (frames, h, w), (1, s h, s w)
    """
    low, high = run
    places = [(2 * k + 1) * len(low) // (2 * parts) for k in range(parts)]
    return [(low[around(len(low), k, frames)], high[k : k + 1]) for k in sorted(set(places))]
