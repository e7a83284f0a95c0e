"""Scenes of videos: the frames between two cuts, found once and then read in parts."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from .upscaling.frames import cuts
from .video import Clip, frames_from, frames_of, read_clip

__all__ = ["Scene", "find_scenes"]


@dataclass(frozen=True)
class Scene:
    """Some of a video's frames, which follow each other without a cut.

    Its text and its path are those of the file.

    Attributes
    ----------
    video : Clip
    times : tuple of int
        When its frames are shown, as `frames_of` yields it.
    """

    video: Clip
    times: tuple[int, ...]

    def __str__(self) -> str:
        return str(self.video.path)

    def __fspath__(self) -> str:
        return os.fspath(self.video.path)

    def __len__(self) -> int:
        return len(self.times)

    def read(self, first: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """Yield `count` frames from number `first` on, or all that follow: uint8 (H, W, 3), RGB.

        Raises
        ------
        OSError, ValueError
            If the file is gone, or has changed.
        """
        times = self.times[first : None if count is None else first + count]
        if times:
            with contextlib.closing(frames_from(self.video, times[0])) as frames:
                for _, frame in islice(frames, len(times)):
                    yield frame


def find_scenes(path: str | os.PathLike) -> list[Scene]:
    """Decode a video once, holding a few frames at a time, and return its scenes in their order.

    Cuts are found as in enlarging, see `upscaling.frames`.

    Raises
    ------
    OSError, ValueError
        If the video cannot be read, see `read_clip` and `frames_of`.
    """
    video = read_clip(path)
    times: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for time, frame in frames_of(video):
            times.append(time)
            yield frame

    starts = [number for number, (_, begins) in enumerate(cuts(frames())) if begins]
    return [Scene(video, tuple(times[a:b])) for a, b in pairwise([0, *starts, len(times)])]
