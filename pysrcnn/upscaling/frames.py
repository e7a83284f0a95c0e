"""Enlarging the frames of a video, one after the other in bounded memory.

A network for single pictures enlarges each frame as `upscale` does. One that looks at several, like
VESPCN (`Network.frames`), is also given the frames before and after. Where there are none, at the
ends of the video and of a scene, the nearest one is repeated: what came before a cut says nothing
about what follows it.

A cut is detected by how much changes. Both frames are shrunk to about 32 pixels a side, which hides
small movements. At a cut, their mean difference is above `CUT` of white, and above `TIMES` the
difference between the previous two, since constant motion is not a cut.
With these two numbers, all of 184 cuts between 18 clips of sport, traffic and towns are found, and
none of 476 changes within them is taken for a cut. A false cut costs a frame its neighbours, and
nothing else.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, takewhile
from typing import TypeVar

import numpy as np

from ..networks import DEFAULT, Network
from .scales import Networks
from .steps import Step, steps_for
from .upscale import checked, stepped

__all__ = ["cuts", "upscale_frames", "windows"]

CUT = 0.08  # of white
TIMES = 1.5
_SIDE = 32  # pixels

Frame = TypeVar("Frame")


def upscale_frames(
    frames: Iterable[np.ndarray],
    scale: float | None = None,
    model: str | os.PathLike | Network | Networks = DEFAULT,
    *,
    shape: tuple[int | None, int | None] | None = None,
    ensemble: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Iterator[np.ndarray]:
    """Enlarge the frames of a video, one after the other.

    Parameters
    ----------
    frames : iterable of arrays (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Pictures as `upscale` takes them, all of one shape and dtype. Each is requested when it is
        needed; a network that looks at several frames reads half as many ahead. A single array of
        all frames has the shape (T, H, W) or (T, H, W, C).
    scale, model, shape, ensemble
        As for `upscale`.
    progress : function of a float, optional
        Called now and then with the number of frames done, fractions included.

    Yields
    ------
    enlarged : array
        In the order of the frames. A network for single pictures gives just what `upscale` does.

    Raises
    ------
    FileNotFoundError
        If `model` is neither the name of shipped weights nor a file.
    TypeError, ValueError
        As for `upscale`; or if a frame differs from the first in shape or dtype. Raised at once,
        before the first frame is requested: if `frames` is not an iterable of pictures but one
        picture or the name of a file, or the scale is invalid.
    """
    if scale is not None and shape is not None:
        raise ValueError("both scale and shape are given: give one of them")
    networks = model if isinstance(model, Networks) else Networks(model, ensemble)
    if scale is None and shape is None:
        scale = networks.default_scale
    if scale is not None:  # or raise, before any frame is requested
        networks.plan((1, 1), scale)
    return _enlarged(_given(frames), scale, networks, shape, progress or (lambda done: None))


def _given(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Return an iterator of the frames; raise at once if they cannot be those of a video."""
    if isinstance(frames, (str, bytes, os.PathLike)):
        raise TypeError(
            f"frames is {os.fspath(frames)!r}, wanted an iterable of pictures: read them with a "
            f"program for videos first, or type `pysrcnn upscale` and the name of the video"
        )
    if isinstance(frames, np.ndarray) and (
        frames.ndim not in (3, 4) or (frames.ndim == 3 and frames.shape[2] in (2, 3, 4))
    ):
        raise ValueError(
            f"frames is an array of shape {frames.shape}, wanted (T, H, W), (T, H, W, 2), "
            f"(T, H, W, 3) or (T, H, W, 4): give one picture as [picture], and grey frames of so "
            f"few columns as list(frames)"
        )
    try:
        return iter(frames)
    except TypeError:
        raise TypeError(
            f"frames is of the type {type(frames).__name__}, wanted an iterable of "
            f"pictures, as a list or a generator: give one picture as [picture]"
        ) from None


def _enlarged(
    frames: Iterable[np.ndarray],
    scale: float | None,
    networks: Networks,
    shape: tuple[int | None, int | None] | None,
    progress: Callable[[float], None],
) -> Iterator[np.ndarray]:
    """Yield the frames of `upscale_frames`."""
    alike = _alike(frames)
    first = next(alike, None)
    if first is None:
        return
    steps = steps_for(first.shape, first.dtype, networks, scale, shape)
    work, done = sum(math.prod(step.shape) for step in steps), 0

    def tell(pixels: int) -> None:
        nonlocal done
        done += pixels
        progress(done / work)

    several = any(step.frames > 1 for step in steps)
    begun = chain(iter([first]), alike)  # an iterator holds no frame that it has yielded
    del first
    pairs = cuts(begun) if several else ((frame, False) for frame in begun)
    for step in steps:
        pairs = _stepped(step, pairs, tell)
    for frame, _ in pairs:
        yield frame


def _alike(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the frames, each checked and compared with the first."""
    kind = None
    for number, given in enumerate(frames, 1):
        if hasattr(given, "to_ndarray"):  # of PyAV
            raise TypeError(
                f"frame {number} is a {type(given).__name__}, wanted an array: give "
                f'frame.to_ndarray(format="rgb24")'
            )
        if isinstance(given, (str, bytes, os.PathLike)):
            raise TypeError(
                f"frame {number} is {os.fspath(given)!r}, wanted an array: read it with "
                f"pysrcnn.read_picture first"
            )
        frame = checked(given, f"frame {number}")
        kind = kind or (frame.shape, frame.dtype)
        if (frame.shape, frame.dtype) != kind:
            raise ValueError(
                f"frame {number} is an array of {frame.dtype} {frame.shape}, and those before are "
                f"of {kind[1]} {kind[0]}: all frames of a video are of one kind and size, so "
                f"convert or resize it first"
            )
        yield frame


def _stepped(
    step: Step, frames: Iterator[tuple[np.ndarray, bool]], tell: Callable[[int], None]
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield the frames after a step, each with whether a scene begins with it."""
    for window, begins in windows(frames, step.frames // 2):
        done = 0

        def add(pixels: int) -> None:
            nonlocal done
            tell(pixels - done)
            done = pixels

        yield stepped(step, window, add), begins


def windows(frames: Iterable[tuple[Frame, bool]], reach: int) -> Iterator[tuple[list[Frame], bool]]:
    """Yield each frame with `reach` frames before and after it, all of one scene.

    Parameters
    ----------
    frames : iterable of pairs
        A frame, and whether a scene begins with it.
    reach : int
        Number of frames before and after. Where there are none, the nearest is repeated.

    Yields
    ------
    window : list of 2 * reach + 1 frames
    begins : bool
    """
    given = iter(frames)
    ahead = deque(islice(given, reach + 1))
    behind: deque[Frame] = deque(maxlen=reach)
    while ahead:
        now, begins = ahead.popleft()
        if begins:
            behind.clear()
        after = [frame for frame, _ in takewhile(lambda pair: not pair[1], ahead)]
        scene = [*behind, now, *after]
        before = [scene[0]] * (reach - len(behind))
        yield [*before, *scene, *[scene[-1]] * (reach - len(after))], begins
        behind.append(now)
        ahead.extend(islice(given, 1))


def cuts(frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield each frame, and whether a new scene begins with it."""
    before, last = None, 0.0
    for frame in frames:
        small = _small(frame)
        change = 0.0 if before is None else float(np.abs(small - before).mean())
        yield frame, change > max(CUT, TIMES * last)
        before, last = small, change


def _small(frame: np.ndarray) -> np.ndarray:
    """Return means over square blocks, about 32 pixels a side; values in 0..1."""
    height, width = frame.shape[:2]
    side = -(-max(height, width) // _SIDE)
    down, across = min(side, height), min(side, width)
    whole = frame[: height // down * down, : width // across * across]
    whole_numbers = frame.dtype.kind == "u"
    white = np.iinfo(frame.dtype).max if whole_numbers else 1
    # First the rows of each block, then its columns: over both at once takes ten times as long.
    rows = whole.reshape(height // down, down, -1).sum(1, np.uint32 if whole_numbers else None)
    blocks = rows.reshape(height // down, width // across, across, -1).sum(2)
    return blocks / (down * across) / white
