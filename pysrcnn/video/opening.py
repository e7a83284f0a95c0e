"""Opening video files: what they hold, and whether it can be enlarged.

What would come out wrong, such as HDR, is refused before any work is done.
"""

import contextlib
import dataclasses
import importlib.util
import os
import stat
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from .._files import told
from . import colours

__all__ = [
    "INSTALL",
    "IN_FOLDERS",
    "SUFFIXES",
    "Clip",
    "available",
    "decoded",
    "is_video",
    "opened",
    "read_clip",
    "stream_of",
]

SUFFIXES = {
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
}  # fmt: skip
IN_FOLDERS = SUFFIXES - {".ts"}  # TypeScript programs have that suffix, too
# FFmpeg's names of the formats read. Lists of other files, and pictures and texts, are not read.
_FORMATS = (
    "asf,avi,flv,h264,hevc,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo,mxf,ogg,"
    "ivf,m4v,yuv4mpegpipe"
)
INSTALL = 'pip install ".[video]" in the clone of pysrcnn'
_OLDEST = 18  # version of PyAV
_MOST = 139264 * 256  # pixels of a frame, as many as H.264 holds
_USUAL_RATE = Fraction(25)
_MICROSECONDS = 1_000_000
_MATRIX = "DISPLAYMATRIX"
# Formats that state their length at the start as a duration, and not in bytes as MP4 and AVI do.
_TIMED = ("matroska", "flv", "asf", "mxf")
# The boxes that may be outermost in MP4 and QuickTime.
_BOXES = set(
    b"emsg free ftyp imda mdat meta mfra moof moov pdin pnot prft sidx skip ssix styp udta uuid "
    b"wide".split()
)
_FEW = 3  # frames that may be missing, as times are rounded
_AGAIN = "copy or download it again"


@dataclasses.dataclass
class Clip:
    """The content of a video file.

    Attributes
    ----------
    path : Path
    shape : pair of ints
        Height and width of its frames, upright.
    stored : pair of ints
        The same, as stored.
    count : int
        Number of frames, according to the file's packets.
    rate : Fraction
        Frames per second, on average.
    time_base : Fraction
        The unit of the times of frames, in seconds.
    start : Fraction
        When it begins, in seconds; the result begins at 0.
    ratio : Fraction
        Width of a pixel divided by its height, upright.
    turn : tuple of bool
        Whether rows become columns, and then whether rows and columns are reversed.
    colours : Colours
    notes : list of str
        Notes for the user, a sentence each. Reading the frames may add some.
    joined : bool
        Whether some frames turned out to be interlaced when they were read.
    timed : bool
        Whether frames can be found by their times: False if some had none of their own when they
        were read.
    """

    path: Path
    shape: tuple[int, int]
    stored: tuple[int, int]
    count: int
    rate: Fraction
    time_base: Fraction
    start: Fraction
    ratio: Fraction
    turn: tuple[bool, bool, bool]
    colours: colours.Colours
    notes: list[str]
    joined: bool = False
    timed: bool = True


def is_video(path: str | os.PathLike | None) -> bool:
    """Return whether a file has the suffix of a video."""
    return path is not None and Path(path).suffix.lower() in SUFFIXES


def available() -> bool:
    """Return whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file as PyAV's container; errors raised in the block become sentences.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError, OSError
    ValueError
        If the file is empty, damaged or not a video, or PyAV is missing or too old.
    """
    if not available():
        raise ValueError(f"{path} is a video, and these need PyAV: {INSTALL}")
    import av

    if int(av.__version__.split(".")[0]) < _OLDEST:
        raise ValueError(
            f"{path} is a video, and these need PyAV {_OLDEST} or newer; there is "
            f"{av.__version__}: {INSTALL}"
        )
    try:
        file = open(path, "rb")  # by us, so that no name is taken for an address
    except OSError as error:
        raise told(error, path) from None
    with file:
        try:
            options = {"format_whitelist": _FORMATS}
            with av.open(file, options=options, metadata_errors="replace") as container:
                yield container
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise MemoryError from None
            reason = (error.strerror or str(error)).lower()
            raise ValueError(
                f"{path} is damaged or not a video ({reason}): {_AGAIN}, or convert it to MP4 first"
            ) from None


def read_clip(path: str | os.PathLike) -> Clip:
    """Read what a video file holds; all packets are read, but not decoded, to count its frames.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError, OSError
    ValueError
        If it is damaged, ends too early, has no frames, or cannot be enlarged because it is HDR
        or needs a codec that is missing.
    """
    path = Path(path)
    _check_whole(path)
    with opened(path) as container:
        stream, notes = stream_of(container, path)
        first = next(decoded(container, stream, path), None)
        if first is None:
            raise ValueError(f"{path} holds no frames that can be decoded: {_AGAIN}")
        clip = _clip(path, container, stream, first, notes)
    clip.count = _count(clip)
    return clip


def _check_whole(path: Path) -> None:
    """Raise unless the path is a file that ends where it states."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(f"{path} is a folder: give a video file")
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is not a file: give a video file")
        if not status.st_size:
            raise ValueError(f"{path} is empty: give a video file")
        with open(path, "rb") as file:
            end = _end(file, status.st_size)
    except OSError as error:
        raise told(error, path) from None
    if end > status.st_size:
        raise ValueError(
            f"{path} is damaged: it ends too early, after {status.st_size:,} of {end:,} bytes, so "
            f"{_AGAIN}"
        )


def _end(file: Any, size: int) -> int:
    """Return where a file ends by its boxes (MP4) or chunks (AVI); `size` for other formats."""
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":
        return struct.unpack("<I", head[4:8])[0]  # and 8 more, which some programs count as well
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        (length,) = struct.unpack(">I", head[:4])
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
        if head[4:8] not in _BOXES or length < 8:  # what others append; 0: up to the end; or damage
            return size
        place += length
    return max(place, size)


def stream_of(container: Any, path: Path) -> tuple[Any, list[str]]:
    """Return the video stream of a file, and notes on the other streams left out."""
    from av.stream import Disposition

    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise ValueError(f"{path} has no video in it, but {kinds}: give another file")
    stream, notes = videos[0], []
    if len(videos) > 1:
        notes.append(f"only the first of its {len(videos)} videos is taken")
    if any(s.type == "subtitle" for s in container.streams):
        notes.append("its subtitles are left out")
    if stream.codec_context is None:
        raise ValueError(
            f"{path} is coded in a way that PyAV has no decoder for: convert it to MP4 first"
        )
    height, width = stream.codec_context.height, stream.codec_context.width
    if height < 1 or width < 1:
        raise ValueError(f"{path} is damaged: it does not say how large its frames are")
    if height * width > _MOST:
        raise ValueError(
            f"{path} says that its frames have {width:,} x {height:,} pixels, and {_MOST:,} are "
            f"the most that a video holds here: make it smaller first"
        )
    stream.thread_type = "AUTO"
    return stream, notes


def _clip(path: Path, container: Any, stream: Any, first: Any, notes: list[str]) -> Clip:
    """Return the clip that a container, its stream and its first frame describe."""
    context = stream.codec_context
    found = colours.colours_of(context, first, path)
    depth = max(part.bits for part in first.format.components)
    if depth > 8:
        notes.append(f"its {depth} bits a channel become 8")
    # VP8 and VP9 have it beside their packets, where FFmpeg's decoders do not look.
    apart = {("alpha_mode", "1"), ("ALPHA_MODE", "1")} & set(stream.metadata.items())
    if apart or any(part.is_alpha for part in first.format.components):
        notes.append("its transparency is left out")
    turn, note = _turn_of(first)
    notes += note
    stored = first.height, first.width
    ratio = Fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1)
    ratio = ratio if ratio > 0 else Fraction(1)
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or _USUAL_RATE
    start = Fraction(max(0, container.start_time or 0), _MICROSECONDS)
    return Clip(
        path, stored[::-1] if turn[0] else stored, stored, 0, Fraction(rate),
        Fraction(stream.time_base or 1 / rate), start, 1 / ratio if turn[0] else ratio, turn, found,
        notes,
    )  # fmt: skip


def _turn_of(frame: Any) -> tuple[tuple[bool, bool, bool], list[str]]:
    """Return how to turn frames upright, by the matrix in their side data, and a note on it."""
    matrix = frame.side_data.get(_MATRIX)
    if matrix is None:
        return (False, False, False), []
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if (b or c) and (a or d):
        return (False, False, False), ["it is turned by an angle, and is enlarged as it is stored"]
    turn = (True, b < 0, c < 0) if b or c else (False, d < 0, a < 0)
    return turn, ["it is turned upright, as its file says it is shown"] if any(turn) else []


def _count(clip: Clip) -> int:
    """Count the frames; raise if some are cut off."""
    times, end = [], Fraction(0)
    with opened(clip.path) as container:
        stream = stream_of(container, clip.path)[0]
        for packet in container.demux():
            time = packet.dts if packet.pts is None else packet.pts
            if not packet.size:
                continue
            if time is not None:
                end = max(end, (time + (packet.duration or 0)) * packet.time_base)
            if packet.stream.index == stream.index and not packet.is_discard:
                times.append((time or 0) * packet.time_base)
        duration = Fraction(container.duration or 0, _MICROSECONDS)
        timed = any(name in container.format.name for name in _TIMED)
        delay = max(map(_delay, container.streams.audio), default=Fraction(0))
    # Not all files state how long the last frame is shown: maybe as long as any before it.
    times.sort()
    longest = max((b - a for a, b in zip(times, times[1:], strict=False)), default=0)
    cut = timed and end + delay + max(longest, _FEW / clip.rate) < duration
    if cut:
        raise ValueError(
            f"{clip.path} is damaged: it ends too early, after {float(end):.3g} of "
            f"{float(duration):.3g} seconds, so {_AGAIN}"
        )
    return len(times)


def _delay(sound: Any) -> Fraction:
    """Return the seconds of a decoder's delay: Matroska's duration has them, and times do not."""
    context = sound.codec_context
    if context is None or not context.sample_rate:
        return Fraction(0)
    return Fraction(context.delay, context.sample_rate)


def decoded(container: Any, stream: Any, path: Path) -> Iterator[Any]:
    """Yield PyAV's frames, without those of damaged packets, which players leave out, too.

    Raises
    ------
    MemoryError
    ValueError
        If decoding fails in another way.
    """
    from av.error import BlockingIOError, FFmpegError, InvalidDataError

    number = 0
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except InvalidDataError:
                continue
            except BlockingIOError:  # VP9 still holds a damaged packet, and takes no other
                stream.codec_context.flush_buffers()
                continue
            number += len(frames)
            yield from frames
    except FFmpegError as error:
        if isinstance(error, MemoryError):
            raise MemoryError from None
        reason = (error.strerror or str(error)).lower()
        raise ValueError(
            f"{path} is damaged: frame {number + 1} cannot be decoded ({reason}), so {_AGAIN}, or "
            f"cut that part out"
        ) from None
