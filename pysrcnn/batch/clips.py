"""Enlarging a video into another, frame by frame, with only a few frames in memory."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..upscaling.frames import upscale_frames
from ..upscaling.scales import Networks
from ..video import Clip, frames_of, write_clip
from .jobs import Size

__all__ = ["enlarge_clip"]


def enlarge_clip(
    target: Path,
    clip: Clip,
    networks: Networks,
    shape: tuple[int, int],
    size: Size,
    quality: int | None,
    progress: Callable[[float, str], None],
    check: Callable[[], object] = lambda: None,
) -> int:
    """Enlarge a video, write it whole or not at all, and return the number of frames.

    Parameters
    ----------
    target : path
        One that `check_target` accepts.
    clip : Clip
    networks, size : as for `enlarge`
    shape : pair of ints
        Height and width of the result.
    quality : int or None
        See `write_clip`.
    progress : function of a float and a str
        Called with the fraction that is done, up to 1, and how many frames a second.
    check : function, optional
        See `write_clip`.
    """
    times: deque[int] = deque()  # of frames that are read but not enlarged yet
    began, count = time.perf_counter(), 0

    def given() -> Iterator[np.ndarray]:
        for moment, frame in frames_of(clip):
            times.append(moment)
            yield frame

    def tell(done: float) -> None:
        rate = math.floor(done) / (time.perf_counter() - began)
        note = f"{rate:.3g} frames a second" if done >= 1 else ""
        progress(min(1, done / max(1, clip.count)), note)

    def made() -> Iterator[tuple[int, np.ndarray]]:
        nonlocal count
        frames = upscale_frames(given(), size.scale, networks, shape=size.shape, progress=tell)
        for frame in frames:
            count += 1
            yield times.popleft(), frame

    write_clip(target, clip, made(), shape, quality, check)
    return count
