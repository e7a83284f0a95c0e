"""Writing video files: H.264 in MP4 or QuickTime, with the sound of the original file.

Browsers can play them: they are yuv420p, with the index at the start of the file. A file is written
whole or not at all.
"""

import contextlib
import errno
import math
import os
from collections.abc import Callable, Iterable, Iterator
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
# Audio codecs that are copied into MP4. QuickTime holds plain samples, too, but not all of these.
_COPIED = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}
_NOT_IN_MOV = {"flac", "opus"}
_LEAST_MP3 = 16000  # samples a second of MP3 in MP4
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # of the AAC that we write
_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")  # that players know in AAC
_BACK = 3  # packets: sound whose times go further back is from another recording
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
    check: Callable[[], object] = lambda: None,
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
    check : function, optional
        Called directly before a file at `path` is replaced; it may raise.

    Raises
    ------
    ValueError
        If the original is damaged, or something cannot be written.
    OSError
        If the file cannot be written.
    """
    import av

    with written_whole(path, check) as temporary:
        place, kind = os.path.abspath(temporary), WRITTEN[path.suffix.lower()]
        with opened(clip.path) as given:
            try:
                with av.open(place, "w", format=kind, options=_OPTIONS) as out:
                    _describe(out, given, clip)
                    stream = _video_stream(out, clip, shape, quality)
                    _write(out, stream, clip, frames, _Sound(given, out, clip, path))
            except av.error.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise MemoryError from None
                if error.errno in _SYSTEM:  # such as a full disk, which `written_whole` reports
                    raise OSError(error.errno, error.strerror) from None
                reason = (error.strerror or str(error)).lower()
                raise ValueError(
                    f"cannot write {path} ({reason}): convert {clip.path} to MP4 first"
                ) from None
        mark(temporary, "mp4", clip.path.name)


def _describe(out: Any, given: Any, clip: Clip) -> None:
    """Copy title, date and the like, and chapters, whose times move with those of the frames."""
    out.metadata.update({k: v for k, v in given.metadata.items() if k not in _NOT_KEPT})
    if chapters := given.chapters():
        for chapter in chapters:
            start = round(clip.start / chapter["time_base"])
            for side in ("start", "end"):
                chapter[side] = max(0, chapter[side] - start)
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
        self.out = out
        self.streams: dict[int, tuple[Any, bool]] = {}  # the new stream, and whether it is copied
        self.shifts: dict[int, Fraction] = {}  # seconds that are added to times
        self.ends: dict[int, tuple[int, int]] = {}  # when the last packet begins and ends
        self.changed: dict[int, tuple[Any, Any]] = {}  # what frames are, and their resampler
        for number, stream in enumerate(given.streams.audio, 1):
            old = stream.codec_context
            if old is None or not old.sample_rate:
                clip.notes.append(f"its sound {number} is of an unknown kind and left out")
                continue
            name = old.codec.canonical_name
            copied = _is_held(name, old.sample_rate, path.suffix.lower(), out)
            if copied:
                new = out.add_stream_from_template(stream)
            elif not _is_mixed(old.layout):
                clip.notes.append(
                    f"its sound {number} has {old.layout.nb_channels} channels of unknown places, "
                    f"and is left out"
                )
                continue
            else:
                layout, whole = _layout_for(old.layout)
                rate = old.sample_rate if old.sample_rate in _RATES else _RATES[-1]
                new = out.add_stream("aac", rate=rate)
                new.codec_context.layout = layout
                was, now = ("", "") if whole else (f", {old.layout.name}", f" in {layout}")
                clip.notes.append(
                    f"its sound ({name}{was}) is now AAC{now}, as {path.suffix} holds no such"
                )
            new.metadata.update(stream.metadata)
            self.streams[stream.index] = new, copied
            self.shifts[stream.index] = -clip.start
        self.packets = self._packets(given)
        self.ahead = next(self.packets, None)

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
                if packet.dts * packet.time_base + self.shifts[packet.stream.index] > time:
                    return
            self._write(packet)
            self.ahead = next(self.packets, None)

    def _write(self, packet: Any) -> None:
        from av.error import InvalidDataError

        index = packet.stream.index
        new, copied = self.streams[index]
        if copied:
            packet.stream = new
            self._mux(packet, index)
            return
        ends = not packet.size
        with contextlib.suppress(InvalidDataError):  # damage leaves silence
            for frame in packet.decode():
                self._encode(frame, index)
        if ends:
            self._encode(None, index)

    def _encode(self, frame: Any, index: int) -> None:
        """Encode a frame, whose layout, rate and format may differ from those before; or end."""
        from av import AudioResampler

        new = self.streams[index][0]
        kind = frame and (frame.format.name, frame.layout.name, frame.sample_rate)
        before, resampler = self.changed.get(index, (None, None))
        frames: list[Any] = []
        if kind != before:
            frames += resampler.resample(None) if resampler else []
            context = new.codec_context
            resampler = AudioResampler(context.format.name, context.layout.name, context.rate)
            self.changed[index] = kind, resampler
        if frame:
            frames += resampler.resample(frame)
        for part in frames:
            if part.pts is not None:
                part.pts = round(part.pts * part.time_base * new.codec_context.rate)
            part.time_base = Fraction(1, new.codec_context.rate)
        for part in frames if frame else [*frames, None]:
            for packet in new.encode(part):
                self._mux(packet, index)

    def _mux(self, packet: Any, index: int) -> None:
        """Write a packet; after the last one of its stream, even if its times go back there.

        Times go far back where files were joined: all that follow are moved. Packets of live
        recordings share times, in pairs: only the second of each is moved.
        """
        from av.error import InvalidDataError

        if packet.dts is not None:
            shift = round(self.shifts[index] / packet.time_base)
            last, end = self.ends.get(index, (None, 0))
            length = max(1, packet.duration or 0)
            if last is not None and packet.dts + shift < last - _BACK * length:
                shift = end - packet.dts
                self.shifts[index] = shift * packet.time_base
            elif last is not None and packet.dts + shift <= last:
                shift = last + 1 - packet.dts
            packet.dts += shift
            if packet.pts is not None:
                packet.pts += shift
            self.ends[index] = packet.dts, packet.dts + length
        with contextlib.suppress(InvalidDataError):  # damage leaves silence
            self.out.mux(packet)


def _is_held(name: str, rate: int, suffix: str, out: Any) -> bool:
    """Return whether a file holds sound of a codec, which is copied then."""
    if suffix == ".mov":
        plain = name.startswith("pcm_") and name in out.supported_codecs
        return plain or name in _COPIED - _NOT_IN_MOV
    return name in _COPIED and (name != "mp3" or rate >= _LEAST_MP3)


def _is_mixed(layout: Any) -> bool:
    """Return whether FFmpeg knows the places of the channels, or takes usual ones for them."""
    from av import AudioFrame, AudioResampler
    from av.error import FFmpegError

    frame = AudioFrame(format="fltp", layout=layout, samples=1024)
    frame.sample_rate = _RATES[-1]
    try:
        AudioResampler("fltp", _layout_for(layout)[0], frame.sample_rate).resample(frame)
    except FFmpegError:
        return False
    return True


def _layout_for(old: Any) -> tuple[str, bool]:
    """Return the layout of the AAC that sound becomes, and whether that has all its channels."""
    from av import AudioLayout

    channels = {channel.name for channel in old.channels}
    # FFmpeg takes channels without names for the usual ones of that number.
    if "NONE" in channels and old.nb_channels <= 8:
        channels = {channel.name for channel in AudioLayout(f"{old.nb_channels}c").channels}
    if not channels & {"BL", "BR"}:  # players take the sides for the back
        channels = {{"SL": "BL", "SR": "BR"}.get(name, name) for name in channels}
    for layout in _LAYOUTS:
        if channels <= {channel.name for channel in AudioLayout(layout).channels}:
            return layout, True
    layout = _LAYOUTS[-1] if old.nb_channels > 2 else "stereo"
    return layout, old.nb_channels <= 2
