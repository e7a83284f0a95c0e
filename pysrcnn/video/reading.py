"""Reading video files, frame after frame.

Frames are 8-bit RGB, upright and whole: converted by the file's colour matrix and range
(`colours.py`), turned as the file states, and deinterlaced. Times are those of the file.
"""

import contextlib
import dataclasses
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from .._printing import counted
from . import colours
from .opening import Clip, decoded, opened, stream_of

__all__ = ["frames_from", "frames_of"]

_BEFORE = (1, 10)  # seconds


def frames_of(clip: Clip) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the frames of a video, one after the other.

    Yields
    ------
    time : int
        When a frame is shown, in units of `clip.time_base` from 0 on; each later than the last.
    frame : uint8 array (H, W, 3)
        RGB, upright.

    Raises
    ------
    ValueError
        If a frame cannot be decoded, or the size changes.
    """
    last, repaired, number = -1, 0, 0
    step = max(1, round(1 / (clip.rate * clip.time_base)))
    convert = colours.to_rgb(clip.colours)
    with opened(clip.path) as container:
        stream = stream_of(container, clip.path)[0]
        for frame in _whole(decoded(container, stream, clip.path), clip):
            number += 1
            time = _time_of(frame, clip)
            if time is None or time <= last:  # as some programs write them
                clip.timed = False
                time = 0 if time is None and last < 0 else last + step
            last = time
            repaired += frame.is_corrupt
            yield last, _turned(convert(frame), clip.turn)
    if repaired:
        are, them = ("is", "it") if repaired == 1 else ("are", "them")
        clip.notes.append(
            f"{repaired} of its {counted(number, 'frame')} {are} damaged, and enlarged as the "
            f"decoder repairs {them}"
        )
    if number < clip.count and not clip.joined:  # half pictures may be counted apart
        clip.notes.append(
            f"{clip.count - number} of its {counted(clip.count, 'frame')} cannot be decoded"
        )


def frames_from(clip: Clip, time: int) -> Generator[tuple[int, np.ndarray], None, None]:
    """Yield the frames from the one shown at `time` on, without decoding all that come before.

    Parameters
    ----------
    clip : Clip
        One whose frames `frames_of` has read to the end.
    time : int
        One that `frames_of` has yielded.

    Yields
    ------
    time, frame
        As `frames_of` does.

    Raises
    ------
    ValueError
        As `frames_of` does.
    """
    clip = dataclasses.replace(clip, notes=[])
    # Decoding begins at a keyframe, and frames just after one may need some before it: begin
    # earlier, or from the start of the file where that does not lead to the frame.
    for seconds in _BEFORE if clip.timed else ():
        with contextlib.closing(_sought(clip, time, seconds)) as frames:
            first = next(frames, None)
            if first is not None and first[0] == time:
                yield first
                yield from frames
                return
    for other, frame in frames_of(clip):
        if other >= time:
            yield other, frame


def _sought(clip: Clip, time: int, seconds: int) -> Generator[tuple[int, np.ndarray], None, None]:
    """Yield the frames from `time` on, decoded from a keyframe so many seconds before."""
    from av.error import FFmpegError

    convert = colours.to_rgb(clip.colours)
    place = time * clip.time_base + clip.start - seconds
    with opened(clip.path) as container:
        stream = stream_of(container, clip.path)[0]
        if place > clip.start:
            try:
                container.seek(round(place / clip.time_base), stream=stream)
            except FFmpegError:
                return
        for frame in _whole(decoded(container, stream, clip.path), clip):
            found = _time_of(frame, clip)
            if found is None:
                return
            if found >= time:
                yield found, _turned(convert(frame), clip.turn)


def _time_of(frame: Any, clip: Clip) -> int | None:
    """Return when a frame is shown, in units of `clip.time_base`; None if it does not say."""
    if frame.pts is None:
        return None
    return round((frame.pts * frame.time_base - clip.start) / clip.time_base)


def _turned(frame: np.ndarray, turn: tuple[bool, bool, bool]) -> np.ndarray:
    swap, rows, columns = turn
    frame = frame.swapaxes(0, 1) if swap else frame
    return np.ascontiguousarray(frame[:: -1 if rows else 1, :: -1 if columns else 1])


def _whole(frames: Iterator[Any], clip: Clip) -> Iterator[Any]:
    """Yield the frames; from the first interlaced one on, all pass through a filter.

    "bwdif" deinterlaces the frames that are marked so, and leaves the others. It reads beyond
    their memory if their size or format changes.
    """
    graph, form = None, ""
    for number, frame in enumerate(frames, 1):
        if (frame.height, frame.width) != clip.stored:
            raise ValueError(
                f"{clip.path} changes its size at frame {number}, from {clip.stored[1]} x "
                f"{clip.stored[0]} to {frame.width} x {frame.height}: cut it there first"
            )
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is not None and frame.format.name != form:
            graph.push(None)
            yield from _pulled(graph)
            graph = None
        if graph is None:
            graph, form = _joining(frame, clip), frame.format.name
            if not clip.joined:
                clip.notes.append("its frames of two half pictures (interlaced) are made whole")
            clip.joined = True
        if not frame.format.is_rgb:
            # So that formats new to the filter are converted, but colours stay: `to_rgb` has them.
            frame.colorspace, frame.color_range = colours.UNKNOWN, colours.UNSTATED
        graph.push(frame)
        yield from _pulled(graph)
    if graph is not None:
        graph.push(None)
        yield from _pulled(graph)


def _joining(frame: Any, clip: Clip) -> Any:
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=clip.time_base
    )
    joined, sink = graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    source.link_to(joined)
    joined.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: Any) -> Iterator[Any]:
    from av.error import BlockingIOError, EOFError

    with contextlib.suppress(BlockingIOError, EOFError):
        while True:
            yield graph.pull()
