"""Read clips, which are folders of frames or videos, as (low, high).

Frames in folders are in the order of the text and the numbers of their names, so that frame2 comes
before frame10. low and high are as in `data`, with frames in place of channels: luminance,
(T, h, w) and (T, H, W).
A folder shows one scene, a video one or more, which are read as clips of their own. Only
`find_clips`, `scenes_of`, `length` and `read_frames` know how a clip is stored.
"""

import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from ._printing import counted
from .checks import check_range, memory_for
from .data import Pair, luma, pair
from .pictures import list_pictures, read_picture
from .resize import imresize
from .scenes import Scene, find_scenes
from .video import IN_FOLDERS, is_video

__all__ = [
    "around",
    "find_clips",
    "length",
    "long_scenes",
    "read_frames",
    "read_run",
    "read_some",
    "scenes_of",
]

Place = str | os.PathLike


def find_clips(folder: Place, on_error: Callable[[Exception], object] | None = None) -> list[Path]:
    """Return the folders that contain pictures, and the videos, sorted: `folder` or what is below.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError, ValueError
        If there are none, see `list_pictures`.
    """
    found = list_pictures(folder, True, on_error, IN_FOLDERS)
    return sorted({path if is_video(path) else path.parent for path in found})


def scenes_of(clip: Place) -> Sequence[Place]:
    """Return the scenes of a clip: a folder is one; a video is decoded to find its cuts.

    Raises
    ------
    OSError, ValueError
        If a video cannot be read.
    """
    return find_scenes(clip) if is_video(clip) and not os.path.isdir(clip) else [clip]


def long_scenes(clip: Place, frames: int) -> Sequence[Place]:
    """Return the scenes of a clip; of a video, those with at least so many frames.

    Raises
    ------
    OSError, ValueError
        If a video cannot be read, or has no such scene.
    """
    scenes = scenes_of(clip)
    long = [scene for scene in scenes if not isinstance(scene, Scene) or len(scene) >= frames]
    if not long:
        raise _too_short(clip, max(map(length, scenes)), frames, len(scenes) > 1)
    return long


def _too_short(clip: Place, have: int, frames: int, cut: bool = False) -> ValueError:
    return ValueError(
        f"{clip} has {counted(have, 'frame')}{' between its cuts at most' if cut else ''}, and the "
        f"network looks at {frames}: leave it out"
    )


def length(clip: Place) -> int:
    """Return the number of frames of a folder or a scene."""
    return len(clip if isinstance(clip, Scene) else list_pictures(clip))


def read_frames(clip: Place, first: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
    """Yield `count` frames from number `first` on, or all that follow, as `read_picture` does.

    `clip` is a folder, whose frames are in the order of the numbers in their names, or a scene of a
    video.

    Raises
    ------
    OSError, ValueError, TypeError, MemoryError
        If a frame is not a picture, or its size differs from that of the frame before.
    """
    if isinstance(clip, Scene):
        with memory_for(clip):
            yield from clip.read(first, count)
        return
    paths = sorted(list_pictures(clip), key=_order)
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


def _order(frame: Path) -> tuple[list[str | int], str]:
    """Return what frames of a folder are sorted by: the parts of a name, numbers as numbers."""
    parts = re.split(r"(\d+)", frame.stem)  # text and digits by turns, so that like meets like
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], frame.name


def read_run(
    clip: Place,
    scale: int,
    frames: int,
    smallest: int = 1,
    *,
    largest: int | None = None,
    seed: int | tuple[int, ...] = 0,
    first: int | None = None,
    count: int | None = None,
    shrink: int = 1,
) -> Pair:
    """Read the frames of a clip, or a run of them, or a region of these, as pairs (see `pair`).

    Parameters
    ----------
    clip : path or Scene
        A folder, or a scene of a video.
    scale : int
    frames : int
        Smallest number of frames that the clip must have.
    smallest, largest, seed : as for `read_pair`
        The region is the same in all frames.
    first, count : int, optional
        Number of the first frame, and of frames to take from a longer clip. Without `first`, they
        begin at a random one.
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
        raise _too_short(clip, have, frames)
    if first is None:
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


def read_some(
    scenes: Sequence[Place], scale: int, frames: int, parts: int, **rules: Any
) -> list[Pair]:
    """Read evenly spaced frames of a clip, each with its neighbours, to measure PSNR on.

    Parameters
    ----------
    scenes : sequence of paths or Scenes
        As `scenes_of` or `long_scenes` returns them.
    scale : int
    frames : int
        Number of frames that the network looks at.
    parts : int
        Number of pairs.
    **rules
        Other arguments of `read_run`.

    Returns
    -------
    pairs : list of float32 arrays (frames, h, w), (1, s h, s w)

    Raises
    ------
    OSError, ValueError, TypeError, MemoryError
        As `read_run` does.
    """
    counts = [length(scene) for scene in scenes]
    ends = list(accumulate(counts))
    pairs = []
    for place in sorted({(2 * k + 1) * ends[-1] // (2 * parts) for k in range(parts)}):
        number = bisect_right(ends, place)
        frame, count = place - (ends[number] - counts[number]), counts[number]
        wanted = around(count, frame, frames)
        first = wanted[0]
        low, high = read_run(
            scenes[number], scale, frames, first=first, count=wanted[-1] - first + 1, **rules
        )
        middle = frame - first
        pairs.append((low[[k - first for k in wanted]], high[middle : middle + 1]))
    return pairs
