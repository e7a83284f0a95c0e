"""Writing video files: H.264 in MP4 or QuickTime, with the sound of the original file.

Browsers can play them: they are yuv420p, with the index at the start of the file. A file is written
whole or not at all.
"""

import contextlib
import errno
import math
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .._files import written_whole
from ..pictures._mark import mark
from . import colours
from .opening import INSTALL, Clip, opened

__all__ = ["QUALITY", "WRITTEN", "check_target", "even", "write_clip"]

WRITTEN = {".m4v": "mp4", ".mov": "mov", ".mp4": "mp4"}
QUALITY = 95
_ENCODER = "libx264"
_LONGEST, _BLOCKS = 16384, 139264  # pixels a side, and blocks of 16 x 16, of the highest level
# Audio codecs that are copied into MP4. QuickTime holds plain samples, too.
_COPIED = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # of the AAC that we write
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
_OPTIONS = {"movflags": "+faststart"}
_SYSTEM = set(errno.errorcode) - {errno.EINVAL}
_NOT_KEPT = {"major_brand", "minor_version", "compatible_brands", "encoder"}  # of the old file


def even(shape: tuple[int, int]) -> tuple[int, int]:
    """Return height and width rounded up to even numbers, as yuv420p has pairs of pixels."""
    height, width = shape
    return height + height % 2, width + width % 2


def check_target(path: Path | None, shape: tuple[int, int]) -> None:
    """Raise a ValueError if no video of this height and width can be written there."""
    if path is None:
        raise ValueError("a video cannot go to standard output: give -o the name of a file")
    if path.suffix.lower() not in WRITTEN:
        known = ", ".join(sorted(WRITTEN))
        raise ValueError(f"cannot write {path}: the name of a video must end in one of {known}")
    height, width = shape
    if max(shape) > _LONGEST or math.ceil(height / 16) * math.ceil(width / 16) > _BLOCKS:
        raise ValueError(
            f"cannot write {path}: {width} x {height} pixels are more than H.264 holds (about "
            f"8192 x 4352): choose a smaller factor"
        )
    import av

    if _ENCODER not in av.codecs_available:
        raise ValueError(f"cannot write {path}: this PyAV has no encoder for H.264: {INSTALL}")


def write_clip(
    path: Path,
    clip: Clip,
    frames: Iterable[tuple[int, np.ndarray]],
    shape: tuple[int, int],
    quality: int | None = None,
) -> None:
    """Write a video, whole or not at all; add to `clip.notes` what becomes of the sound.

    Parameters
    ----------
    path : path
        Ends in .mp4, .m4v or .mov.
    clip : Clip
        The original of the frames: its sound, colours and times are used.
    frames : iterable of (int, uint8 array (H, W, 3))
        Times in units of `clip.time_base`, and RGB.
    shape : pair of ints
        Height and width of the frames. Where they are odd, the last row or column is repeated.
    quality : int, optional
        1 to 100, by default 95; x264's constant rate factor is 51 - 0.36 times that: 17 for 95, 24
        for 75.

    Raises
    ------
    ValueError
        If the original is damaged, or something cannot be written.
    OSError
        If the file cannot be written.
    """
    import av

    with written_whole(path) as temporary:
        place, kind = os.path.abspath(temporary), WRITTEN[path.suffix.lower()]
        with opened(clip.path) as given:
            try:
                with av.open(place, "w", format=kind, options=_OPTIONS) as out:
                    _describe(out, given)
                    stream = _video_stream(out, clip, shape, quality)
                    _write(out, stream, clip, frames, _Sound(given, out, clip, path))
            except av.error.FFmpegError as error:
                if error.errno in _SYSTEM:  # such as a full disk, which `written_whole` reports
                    raise OSError(error.errno, error.strerror) from None
                reason = (error.strerror or str(error)).lower()
                raise ValueError(
                    f"cannot write {path} ({reason}): convert {clip.path} to MP4 first"
                ) from None
        mark(temporary, "mp4", clip.path.name)


def _describe(out: Any, given: Any) -> None:
    """Copy title, date and the like, and chapters."""
    out.metadata.update({k: v for k, v in given.metadata.items() if k not in _NOT_KEPT})
    if chapters := given.chapters():
        out.set_chapters(chapters)


def _video_stream(out: Any, clip: Clip, shape: tuple[int, int], quality: int | None) -> Any:
    factor = 51 - 0.36 * (QUALITY if quality is None else quality)
    stream = out.add_stream(_ENCODER, rate=clip.rate, options={"crf": f"{factor:.2f}"})
    context = stream.codec_context
    context.height, context.width = even(shape)
    context.pix_fmt, context.time_base = "yuv420p", clip.time_base
    context.sample_aspect_ratio = _ratio(clip, shape)
    context.colorspace, context.color_range = clip.colours.matrix, colours.STUDIO
    context.color_primaries, context.color_trc = clip.colours.primaries, clip.colours.transfer
    stream.time_base = clip.time_base
    return stream


def _ratio(clip: Clip, shape: tuple[int, int]) -> Fraction:
    """Return the pixel aspect ratio: unless square, corrected so that nothing is distorted."""
    if clip.ratio == 1:
        return clip.ratio
    heights, widths = (Fraction(m, n) for m, n in zip(shape, clip.shape, strict=True))
    bent = heights / widths
    kept = clip.ratio if abs(bent - 1) < 0.01 else clip.ratio * bent  # 0.01: sizes are rounded
    return kept.limit_denominator(1000)


def _write(
    out: Any, stream: Any, clip: Clip, frames: Iterable[tuple[int, np.ndarray]], sound: "_Sound"
) -> None:
    """Write frame after frame, and the sound up to each."""
    convert, count = colours.to_yuv(clip.colours), 0
    for time, picture in frames:
        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = convert(np.ascontiguousarray(picture))
        frame.pts, frame.time_base = time, clip.time_base
        out.mux(stream.encode(frame))
        sound.write_until(time * clip.time_base)
        count += 1
    if not count:
        raise ValueError(f"{clip.path} holds no frames that can be decoded")
    out.mux(stream.encode(None))
    sound.write_until(None)


class _Sound:
    """The sound of a file, copied into another; what that cannot hold is encoded as AAC."""

    def __init__(self, given: Any, out: Any, clip: Clip, path: Path):
        self.out, self.start = out, clip.start
        self.streams: dict[int, tuple[Any, bool]] = {}  # the new stream, and whether it is copied
        for number, stream in enumerate(given.streams.audio, 1):
            name = stream.codec_context and stream.codec_context.codec.canonical_name
            plain = path.suffix.lower() == ".mov" and str(name).startswith("pcm_")
            if name is None or not stream.codec_context.sample_rate:
                clip.notes.append(f"its sound {number} is of an unknown kind and left out")
                continue
            if name in _COPIED or plain:
                new, copied = out.add_stream_from_template(stream), True
            else:
                new, copied = self._aac(stream), False
                clip.notes.append(f"its sound ({name}) is now AAC, as {path.suffix} holds no such")
            new.metadata.update(stream.metadata)
            self.streams[stream.index] = new, copied
        self.packets = self._packets(given)
        self.ahead = next(self.packets, None)

    def _aac(self, stream: Any) -> Any:
        old = stream.codec_context
        rate = old.sample_rate if old.sample_rate in _RATES else _RATES[-1]
        new = self.out.add_stream("aac", rate=rate)
        new.codec_context.layout = _LAYOUTS.get(old.layout.nb_channels, "stereo")
        return new

    def _packets(self, given: Any) -> Iterator[Any]:
        """Yield the packets to be copied or encoded, in the order of the file."""
        chosen = [s for s in given.streams.audio if s.index in self.streams]
        for packet in given.demux(chosen) if chosen else ():
            copied = self.streams[packet.stream.index][1]
            if packet.dts is not None or not copied:  # the last, untimed one ends an encoding
                yield packet

    def write_until(self, time: Fraction | None) -> None:
        """Write what begins up to a time in seconds, or all that is left for None."""
        while self.ahead is not None:
            packet = self.ahead
            if time is not None and packet.dts is not None:
                if packet.dts * packet.time_base - self.start > time:
                    return
            self._write(packet)
            self.ahead = next(self.packets, None)

    def _write(self, packet: Any) -> None:
        from av.error import InvalidDataError

        new, copied = self.streams[packet.stream.index]
        shift = round(self.start / packet.time_base)
        if copied:
            packet.dts -= shift
            if packet.pts is not None:
                packet.pts -= shift
            packet.stream = new
            self.out.mux(packet)
            return
        ends = not packet.size
        with contextlib.suppress(InvalidDataError):  # damage leaves silence
            for frame in packet.decode():
                if frame.pts is not None:
                    frame.pts -= shift
                self.out.mux(new.encode(frame))
        if ends:
            self.out.mux(new.encode(None))
