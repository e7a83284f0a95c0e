"""Video files in and out, made by PyAV: times, sound, colours, and what is wrong with some.

Videos are of 32 x 24 pixels or so, and flat or smooth, so that coding changes them little.
"""

import errno
import importlib.util
import io
import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pysrcnn import SRCNN, write_picture
from pysrcnn.batch import clips
from pysrcnn.cli import main
from pysrcnn.pictures._mark import is_unchanged
from pysrcnn.upscaling.scales import Networks
from pysrcnn.video import check_target, frames_of, opening, read_clip, reading, write_clip, writing

av = pytest.importorskip("av", reason="needs PyAV, the extra video")
pytestmark = pytest.mark.skipif(
    "libx264" not in av.codecs_available, reason="this PyAV has no libx264"
)
NTSC = Fraction(30000, 1001)
GREY = np.full((24, 32, 3), 128, np.uint8)


def shades(count, shape=(24, 32)):
    """Frames that are told apart: each lighter than the one before, and lighter to the right."""
    for k in range(count):
        row = 40 + 10 * k + np.linspace(0, 60, shape[1])
        yield np.broadcast_to(row[:, None], (*shape, 3)).astype(np.uint8)


def film(
    path, frames=None, *, codec="libx264", rate=NTSC, pix_fmt="yuv420p", sound=None, times=None,
    options=None, rotation=None, format=None, container=None, **about
):  # fmt: skip
    """A video file; `sound` is a codec, or that, rate and layout; `about` is set of the video's."""
    frames = list(shades(6)) if frames is None else frames
    with av.open(str(path), "w", format=format, options=container or {}) as out:
        if codec:
            video = out.add_stream(codec, rate=rate, options=options or {"crf": "4"})
            context = video.codec_context
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = pix_fmt
            for name, value in about.items():
                setattr(context, name, value)
            if rotation is not None:
                video.set_display_rotation(*rotation)
        if sound:
            kind = (sound, 48000, "mono") if isinstance(sound, str) else sound
            add_sound(out, *kind, float(len(frames) / rate))
        for k, picture in enumerate(frames if codec else ()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.color_range = 2
            frame = frame.reformat(
                format=pix_fmt, dst_colorspace={1: 1, 9: 9}.get(about.get("colorspace"), 5),
                dst_color_range=about.get("color_range", 1),
            )  # fmt: skip
            if times:
                frame.pts, frame.time_base = times[k], 1 / Fraction(rate)
            out.mux(video.encode(frame))
        if codec:
            out.mux(video.encode(None))
    return path


def add_sound(out, codec, rate, layout, seconds, **metadata):
    stream = out.add_stream(codec, rate=rate)
    stream.metadata.update(metadata)
    stream.codec_context.layout = layout
    tone = np.sin(np.arange(int(rate * seconds)) / 20) * 9000
    tones = np.repeat(tone.astype(np.int16), av.AudioLayout(layout).nb_channels)[None]
    frame = av.AudioFrame.from_ndarray(tones, format="s16", layout=layout)
    frame.sample_rate = rate
    wanted = stream.codec_context.format.name
    resampler = av.AudioResampler(wanted, layout, rate, frame_size=1024)
    for part in [*resampler.resample(frame), *resampler.resample(None), None]:
        out.mux([packet for packet in stream.encode(part) if packet.size])


def rewritten(source, target, change=lambda packets, kind: packets, chapters=(), **metadata):
    """The packets of a file in another; `change` returns those to write, of each stream by kind.

    `metadata` is set of the streams.
    """
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        if chapters:
            out.set_chapters(chapters)
        streams = {s.index: out.add_stream_from_template(s) for s in given.streams}
        packets = [packet for packet in given.demux() if packet.size]
        for stream in given.streams:
            new = streams[stream.index]
            new.metadata.update(metadata)
            for packet in change([p for p in packets if p.stream is stream], stream.type):
                packet.stream = new
                out.mux(packet)


def packets_of(path, kind):
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        return [
            (p.pts * p.time_base, bytes(p)) for p in container.demux(streams) if p.size
        ]  # fmt: skip


def loud_seconds(path):
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return sum(f.samples / f.sample_rate for f in frames if np.abs(f.to_ndarray()).max() > 0.1)


def times_of(path, kind="video"):
    return sorted(time for time, _ in packets_of(path, kind))


def about(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return {
            "size": (context.height, context.width), "rate": stream.average_rate,
            "ratio": stream.sample_aspect_ratio, "matrix": context.colorspace,
            "range": context.color_range, "primaries": context.color_primaries,
            "transfer": context.color_trc, "format": context.pix_fmt, "codec": context.name,
        }  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a small network in it."""
    monkeypatch.chdir(tmp_path)
    network = SRCNN(3, 4, 1, 4, 3, init="identity")
    network.scale = 2
    network.save("small.npz")
    return tmp_path


def run(*arguments):
    return main(["upscale", *map(str, arguments), "-s", "2", "-m", "small.npz"])


def frames_in(path):
    return [frame for _, frame in frames_of(read_clip(path))]


# -------------------------------------------------------------------------------- from file to file


def test_a_video_with_sound_becomes_one_that_browsers_play(folder, capsys):
    film("a.mp4", sound="aac")
    assert run("a.mp4") == 0
    said = capsys.readouterr()
    assert "a_x2.mp4: 64 x 48 pixels, from 32 x 24" in said.out and "6 frames" in said.out
    found = about("a_x2.mp4")
    assert found["size"] == (48, 64) and found["rate"] == NTSC
    assert found["format"] == "yuv420p" and found["codec"] == "h264"
    assert times_of("a_x2.mp4") == times_of("a.mp4") == [k / NTSC for k in range(6)]
    assert packets_of("a_x2.mp4", "audio") == packets_of("a.mp4", "audio") != []
    content = Path("a_x2.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # as is needed to begin to play
    assert is_unchanged("a_x2.mp4")
    for before, after in zip(frames_in("a.mp4"), frames_in("a_x2.mp4"), strict=True):
        assert np.abs(after[::2, ::2].astype(int) - before).max() <= 4


def test_times_between_frames_may_differ(folder):
    film("a.mp4", times=[0, 1, 5, 6, 20, 21])
    assert run("a.mp4") == 0
    assert times_of("a_x2.mp4") == times_of("a.mp4") == [k / NTSC for k in (0, 1, 5, 6, 20, 21)]


def test_what_begins_later_begins_at_0_and_in_step_with_its_sound(folder):
    film("a.ts", sound="aac", format="mpegts", container={"output_ts_offset": "5"})
    assert times_of("a.ts")[0] > 1
    assert run("a.ts") == 0
    video, sound = times_of("a_x2.mp4"), times_of("a_x2.mp4", "audio")
    assert 0 <= min(video[0], sound[0]) < 0.05
    apart = times_of("a.ts")[0] - times_of("a.ts", "audio")[0]
    assert video[0] - sound[0] == pytest.approx(apart, abs=0.001)


@pytest.mark.parametrize(("name", "kept"), [("a.mov", True), ("a.avi", False), ("a.mkv", False)])
def test_sound_that_mp4_does_not_hold_is_aac(folder, capsys, name, kept):
    film(name, sound="pcm_s16le")
    out = f"b{Path(name).suffix}" if kept else "b.mp4"
    assert run(name, "-o", out) == 0
    note = f"{name}: its sound (pcm_s16le) is now AAC, as .mp4 holds no such"
    assert (note in capsys.readouterr().err) != kept
    with av.open(out) as container:
        (stream,) = container.streams.audio
        assert stream.codec_context.name == ("pcm_s16le" if kept else "aac")
        sound = np.concatenate([f.to_ndarray() for f in container.decode(stream)], axis=1)
        assert sound.shape[1] == pytest.approx(6 / NTSC * 48000, abs=2048) and sound.std() > 0


@pytest.mark.parametrize(
    ("sound", "target", "words"),
    [
        (("libopus", 48000, "mono"), "b.mov", "its sound (opus) is now AAC, as .mov holds no such"),
        (("libopus", 48000, "mono"), "b.mp4", ""),
        (("flac", 48000, "mono"), "b.mov", "its sound (flac) is now AAC, as .mov holds no such"),
        (("libmp3lame", 8000, "mono"), "b.mp4", "its sound (mp3) is now AAC, as .mp4"),
        (("libmp3lame", 8000, "mono"), "b.mov", ""),
        (("pcm_s16le", 48000, "5.1(side)"), "b.mp4", "its sound (pcm_s16le) is now AAC, as .mp4"),
        (("pcm_s16le", 48000, "7.1"), "b.mp4", "its sound (pcm_s16le) is now AAC, as .mp4"),
        (("pcm_s16le", 48000, "7.1(wide)"), "b.mp4", "s16le, 7.1(wide)) is now AAC in 7.1, as"),
    ],
)  # fmt: skip
def test_sound_that_a_file_refuses_is_aac_of_all_its_channels(folder, capsys, sound, target, words):
    film({"libopus": "a.mkv", "libmp3lame": "a.mov"}.get(sound[0], "a.avi"), sound=sound)
    assert run(*Path().glob("a.*"), "-o", target) == 0
    said = capsys.readouterr().err
    assert words in said if words else "AAC" not in said
    with av.open(target) as container:
        (stream,) = container.streams.audio
        assert (stream.codec_context.name == "aac") == bool(words)
        assert stream.codec_context.layout.name == sound[2].split("(")[0]
        assert sum(frame.samples for frame in container.decode(stream)) > 0.2 * sound[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("aac", "aac"), ("mp2", "mp2"), (("mp2", 48000, "mono"), ("mp2", 44100, "stereo")),
        (("mp2", 32000, "stereo"), ("mp2", 48000, "mono")),
    ],
)  # fmt: skip
def test_recordings_that_were_joined_keep_all_their_sound(folder, first, second):
    """Times go back where the second begins, and its sound may be of another kind."""
    film("a.ts", list(shades(12)), sound=first, format="mpegts")
    film("b.ts", list(shades(9)), sound=second, format="mpegts")
    Path("c.ts").write_bytes(Path("a.ts").read_bytes() + Path("b.ts").read_bytes())
    assert run("c.ts") == 0
    video, sound = times_of("c_x2.mp4"), times_of("c_x2.mp4", "audio")
    assert len(video) == 21 and len(set(sound)) == len(sound)
    assert max(b - a for a, b in zip(sound, sound[1:], strict=False)) < 0.05
    parts = [loud_seconds(name) for name in ("a.ts", "b.ts")]
    assert loud_seconds("c_x2.mp4") == pytest.approx(sum(parts), abs=0.06) and min(parts) > 0.25


@pytest.mark.parametrize("name", ["a.mkv", "a.flv"])
def test_sound_whose_packets_share_their_times_in_pairs_stays_in_step(folder, name):
    """As live recordings have it."""

    def pair(packets, kind):
        if kind == "audio":
            for first, second in zip(packets[::2], packets[1::2], strict=False):
                second.dts = second.pts = first.dts
        return packets

    film("b.mkv", list(shades(30)), sound="aac")
    rewritten("b.mkv", name, pair)
    given = times_of(name, "audio")
    assert len(set(given)) <= len(given) // 2 + 1 and len(given) > 40
    assert run(name) == 0
    made = times_of("a_x2.mp4", "audio")
    assert made == pytest.approx([time - given[0] + made[0] for time in given], abs=0.002)


def test_sound_that_is_damaged_lacks_only_that_packet(folder):
    film("a.ts", list(shades(30)), sound="aac", format="mpegts")
    before = packets_of("a.ts", "audio")
    content = bytearray(Path("a.ts").read_bytes())
    start = content.index(before[5][1][:40])
    content[start : start + 2] = bytes(2)
    Path("a.ts").write_bytes(content)
    assert run("a.ts") == 0
    after = times_of("a_x2.mp4", "audio")
    assert len(after) == len(before) - 1
    assert [time for time, _ in before[:5] + before[6:]] == pytest.approx(
        [time - after[0] + before[0][0] for time in after], abs=0.001
    )


@pytest.mark.parametrize("channels", [9, 10, 11, 13])
def test_sound_of_many_channels_is_mixed_or_left_out(folder, capsys, channels):
    """FFmpeg has usual places for 10 channels, and none for 9."""
    film("a.avi", sound=("pcm_s16le", 48000, f"{channels} channels"))
    assert run("a.avi") == 0
    said = capsys.readouterr().err
    mixed, left_out = "is now AAC in 7.1", f"a.avi: its sound 1 has {channels} channels of unknown"
    assert (mixed if channels == 10 else left_out) in said
    assert len(times_of("a_x2.mp4")) == 6
    with av.open("a_x2.mp4") as container:
        assert len(container.streams.audio) == (channels == 10)


def test_title_and_language_stay(folder):
    with av.open("a.mkv", "w") as out:
        out.metadata["title"] = "A title"
        video = out.add_stream("libx264", rate=25)
        video.height, video.width = 24, 32
        add_sound(out, "aac", 48000, "mono", 0.2, language="deu")
        out.mux(video.encode(av.VideoFrame.from_ndarray(GREY)))
        out.mux(video.encode(None))
    assert run("a.mkv") == 0
    with av.open("a_x2.mp4") as container:
        assert container.metadata["title"] == "A title"
        assert container.streams.audio[0].metadata["language"] == "deu"


def test_chapters_move_with_the_frames(folder):
    def late(packets, kind):
        for packet in packets:
            packet.pts += round(10 / packet.time_base)
            packet.dts = packet.pts
        return packets

    chapters = [
        {"id": k, "start": start, "end": start + 100, "time_base": Fraction(1, 1000),
         "metadata": {"title": f"part {k}"}}
        for k, start in enumerate((9950, 10050, 10150), 1)
    ]  # fmt: skip
    film("b.mkv", sound="flac", options={"bf": "0"})
    rewritten("b.mkv", "a.mkv", late, chapters)
    assert read_clip("a.mkv").start == 10 and run("a.mkv") == 0
    with av.open("a_x2.mp4") as container:
        found = container.chapters()
    assert [float(c["start"] * c["time_base"]) for c in found] == [0, 0.05, 0.15]
    assert [float(c["end"] * c["time_base"]) for c in found] == [0.05, 0.15, 0.25]
    assert [c["metadata"]["title"] for c in found] == ["part 1", "part 2", "part 3"]


@pytest.mark.parametrize(
    ("rotation", "turn"),
    [
        ((90,), lambda x: np.rot90(x, 1)), ((180,), lambda x: np.rot90(x, 2)),
        ((270,), lambda x: np.rot90(x, 3)), ((0, True), lambda x: x[:, ::-1]),
        ((0, False, True), lambda x: x[::-1]),
    ],
)  # fmt: skip
def test_videos_are_turned_upright(folder, capsys, rotation, turn):
    picture = np.zeros((24, 32, 3), np.uint8)
    picture[:12, :16], picture[12:, 16:] = (200, 60, 60), (60, 60, 200)
    film("a.mp4", [picture] * 3, rotation=rotation, sample_aspect_ratio=Fraction(4, 3))
    for frame in frames_in("a.mp4"):
        assert frame.shape == turn(picture).shape
        assert np.abs(frame.astype(int) - turn(picture))[4:-4, 4:-4].mean() < 12
    assert run("a.mp4") == 0
    assert "turned upright" in capsys.readouterr().err
    found = about("a_x2.mp4")
    lies = rotation[0] in (90, 270)
    assert found["size"] == ((64, 48) if lies else (48, 64))
    assert found["ratio"] == (Fraction(3, 4) if lies else Fraction(4, 3))
    assert read_clip("a_x2.mp4").turn == (False, False, False)


def test_pixels_that_are_not_square_keep_what_is_seen_as_it_is(folder):
    film("a.mp4", sample_aspect_ratio=Fraction(4, 3))
    assert main(["upscale", "a.mp4", "--width", "64", "--height", "36", "-m", "small.npz"]) == 0
    assert about("a_x2.mp4" if Path("a_x2.mp4").exists() else "a_64x36.mp4")["ratio"] == 1


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("colour", [(200, 40, 40), (30, 150, 60), (255, 255, 255), (0, 0, 0)])
def test_colours_are_read_and_written_as_they_are_named(folder, matrix, levels, colour):
    frame = np.full((24, 32, 3), colour, np.uint8)
    film("a.mp4", [frame] * 2, colorspace=matrix, color_range=levels)
    clip = read_clip("a.mp4")
    for _, found in frames_of(clip):
        assert np.abs(found.astype(int) - colour).max() <= 3
    larger = [(k, np.full((48, 64, 3), colour, np.uint8)) for k in range(2)]
    write_clip(Path("b.mp4"), clip, larger, (48, 64), 100)
    assert about("b.mp4")["matrix"] == matrix and about("b.mp4")["range"] == 1
    for found in frames_in("b.mp4"):
        assert np.abs(found.astype(int) - colour).max() <= 3


@pytest.mark.parametrize(("height", "matrix"), [(576, 6), (578, 1)])
def test_colours_that_are_not_named_are_those_of_the_size(folder, height, matrix):
    film("a.mp4", [np.full((height, 32, 3), 90, np.uint8)])
    assert about("a.mp4")["matrix"] == 2
    assert read_clip("a.mp4").colours.matrix == matrix


def test_primaries_and_transfer_are_handed_on(folder):
    film("a.mp4", colorspace=1, color_primaries=1, color_trc=13)
    assert run("a.mp4") == 0
    found = about("a_x2.mp4")
    assert (found["primaries"], found["transfer"], found["matrix"]) == (1, 13, 1)


def test_ten_bits_become_eight_and_a_note_says_so(folder, capsys):
    film("a.mp4", pix_fmt="yuv420p10le")
    assert run("a.mp4") == 0
    assert "a.mp4: its 10 bits a channel become 8" in capsys.readouterr().err
    for wanted, found in zip(shades(6), frames_in("a.mp4"), strict=True):
        assert np.abs(found.astype(int) - wanted).max() <= 3


def test_transparency_that_is_not_decoded_is_told(folder, capsys):
    film("a.webm", codec="libvpx-vp9", options={})
    film("b.webm", codec="libvpx-vp9", pix_fmt="yuva420p", options={"auto-alt-ref": "0"})
    rewritten("b.webm", "c.webm", alpha_mode="1")  # which names it in another way
    assert run("a.webm") == run("b.webm") == run("c.webm") == 0
    note = ": its transparency is left out"
    assert capsys.readouterr().err.splitlines() == [f"b.webm{note}", f"c.webm{note}"]


def test_half_pictures_are_joined(folder, capsys):
    """Of a bar that moves, the half pictures show two places; joined, its edges are straight."""
    frames = []
    for k in range(8):
        frame = np.full((48, 64, 3), 30, np.uint8)
        for row in range(48):
            left = 8 + 4 * k + 2 * (row % 2)
            frame[row, left : left + 16] = 220
        frames.append(frame)
    film("a.mp4", frames, options={"crf": "4", "x264-params": "tff=1"})

    def combing(frame):
        luma = frame[..., 1].astype(int)
        return np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:])[8:-8].mean()

    clip = read_clip("a.mp4")
    found = list(frames_of(clip))
    assert [time * clip.time_base for time, _ in found] == [k / NTSC for k in range(8)]
    assert "its frames of two half pictures (interlaced) are made whole" in clip.notes
    assert combing(found[4][1]) < combing(frames[4]) / 3
    assert run("a.mp4") == 0
    assert "interlaced" in capsys.readouterr().err


def test_half_pictures_of_a_format_that_the_filter_converts_keep_their_colours(folder):
    """The filter "bwdif" does not take uyvy422, and gets yuv422p."""
    colour = (200, 40, 40)
    film(
        "a.mov", [np.full((24, 32, 3), colour, np.uint8)] * 3, codec="rawvideo",
        pix_fmt="uyvy422", options={}, colorspace=1, color_primaries=1, color_trc=1,
        field_order=2,
    )  # fmt: skip
    clip = read_clip("a.mov")
    for _, frame in frames_of(clip):
        assert np.abs(frame.astype(int) - colour).max() <= 3
    assert clip.joined and clip.colours.matrix == 1


@pytest.mark.parametrize(("levels", "found"), [(None, (16, 235)), (1, (0, 255)), (2, (16, 235))])
def test_grey_has_the_range_that_it_is_said_to_have(folder, levels, found):
    with av.open("a.mkv", "w") as out:
        video = out.add_stream("ffv1", rate=25)
        video.height, video.width, video.pix_fmt = 24, 32, "gray"
        video.codec_context.color_range = levels or 0
        for level in (16, 235):
            frame = av.VideoFrame.from_ndarray(np.full((24, 32), level, np.uint8), format="gray")
            frame.color_range = levels or 0
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    assert [np.unique(frame).tolist() for frame in frames_in("a.mkv")] == [[k] for k in found]


def test_a_size_that_is_odd_gets_one_more_row_or_column(folder, capsys):
    film(
        "a.avi", [np.full((21, 31, 3), 90, np.uint8)] * 2, codec="ffv1", pix_fmt="bgr0", options={}
    )
    assert main(["upscale", "a.avi", "-s", "3", "-m", "espcn", "-o", "b.mp4"]) == 0
    assert about("b.mp4")["size"] == (64, 94)
    said = capsys.readouterr()
    assert "b.mp4: 94 x 64 pixels, from 31 x 21 by espcn x3, 2 frames in " in said.out
    assert said.out.endswith(" a second)\n")
    assert "has 94 x 64 pixels, as those of H.264 are even: the last row or column" in said.err


def test_quality_makes_files_smaller(folder):
    noise = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), np.uint8)
    film("a.mp4", list(noise))
    sizes = []
    for quality in (20, 60, 95):
        assert run("a.mp4", "--quality", quality) == 0
        sizes.append(Path("a_x2.mp4").stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]


def test_videos_and_pictures_in_one_folder(folder, capsys):
    Path("in").mkdir()
    film("in/a.mp4")
    film("in/b.mkv")
    Path("in/c.mov").write_bytes(b"no video at all")
    write_picture("in/d.png", GREY)
    assert run("in", "-o", "out", "--format", "jpg") == 2  # as one cannot be read
    assert sorted(p.name for p in Path("out").iterdir()) == ["a_x2.mp4", "b_x2.mp4", "d_x2.jpg"]
    assert "in/c.mov" in (said := capsys.readouterr()).err and "3 enlarged, 1 failed" in said.err
    Path("in/c.mov").unlink()
    assert run("in") == 0 and run("in") == 0  # and not the results again
    names = sorted(p.name for p in Path("in").iterdir())
    assert names == ["a.mp4", "a_x2.mp4", "b.mkv", "b_x2.mp4", "d.png", "d_x2.png"]
    assert "left out as results of earlier runs" in capsys.readouterr().err
    assert run("in", "--skip") == 0 and "3 skipped" in capsys.readouterr().err


def test_a_folder_without_the_extra(folder, capsys, monkeypatch):
    Path("in").mkdir()
    film("in/a.mp4")
    Path("in/program.ts").write_text("let x = 1")
    assert run("in") == 0 and "a_x2.mp4" in capsys.readouterr().out
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert run("in") == 2
    assert f"{Path('in/a.mp4')} is a video, and these need PyAV" in capsys.readouterr().err
    write_picture("in/b.png", GREY)
    assert run("in") == 2 and Path("in/b_x2.png").exists()
    assert "these need PyAV" in capsys.readouterr().err


def test_formats_of_videos(folder, capsys):
    film("a.mov")
    assert run("a.mov", "--format", "png") == 2
    said = "a.mov is a video, and becomes .mp4, .m4v or .mov, not .png: leave --format out"
    assert said in capsys.readouterr().err
    assert run("a.mov", "--format", "same") == 0 and Path("a_x2.mov").exists()
    for target in ("b.png", "b.webm", "b"):
        assert run("a.mov", "-o", target) == 2
        assert "name of a video must end in one of .m4v, .mov, .mp4" in capsys.readouterr().err


def test_a_file_of_somebody_stays(folder, capsys):
    film("a.mp4")
    film("a_x2.mp4", list(shades(2)))
    before = Path("a_x2.mp4").read_bytes()
    assert run("a.mp4") == 2
    assert "no earlier result of this picture" in capsys.readouterr().err
    assert Path("a_x2.mp4").read_bytes() == before
    assert run("a.mp4", "--overwrite") == 0 and run("a.mp4") == 0
    assert run("a.mp4", "-o", "a.mp4", "--overwrite") == 2
    film("a.mov")
    for more in [], ["--skip"]:
        assert run("a.mov", *more) == 2
        assert "a_x2.mp4 is the result of a.mp4, not of a.mov" in capsys.readouterr().err


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
def test_what_is_interrupted_leaves_nothing(folder, end):
    film("a.mp4", sound="aac")
    clip = read_clip("a.mp4")

    def frames():
        for number, (time, frame) in enumerate(frames_of(clip)):
            if number == 4:
                raise end("stopped")
            yield time, frame

    Path("b.mp4").write_bytes(b"before")
    with pytest.raises(end, match="stopped"):
        write_clip(Path("b.mp4"), clip, frames(), (24, 32))
    assert Path("b.mp4").read_bytes() == b"before"
    assert sorted(p.name for p in Path().iterdir()) == ["a.mp4", "b.mp4", "small.npz"]


def test_progress_says_how_many_frames_a_second(folder):
    film("a.mp4")
    told = []
    clips.enlarge_clip(
        Path("b.mp4"), read_clip("a.mp4"), Networks("small.npz"), (48, 64), clips.Size(2), None,
        lambda part, note: told.append((part, note)),
    )  # fmt: skip
    parts = [part for part, _ in told]
    assert parts == sorted(parts) and parts[-1] == pytest.approx(1) and len(parts) >= 6
    assert told[-1][1].endswith("frames a second")


def test_a_page_that_no_video_gets_may_be_there(folder, capsys):
    film("a.mp4")
    film("a.mkv")
    write_picture("b.png", GREY)
    Path("a_mp4_x2.html").write_text("somebody's own")
    assert run("a.mp4", "a.mkv", "b.png", "--compare") == 0
    assert Path("a_mp4_x2.html").read_text() == "somebody's own" and Path("b_x2.html").exists()
    assert "a.mp4: no page that compares, as it is a video" in capsys.readouterr().err


# ---------------------------------------------------------------------------- damaged and odd files


def cut(name, part, **options):
    film(name, list(shades(30)), **options)
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[: int(len(content) * part)])


def zeros_inside(name):
    film(name, list(np.random.default_rng(0).integers(0, 256, (9, 24, 32, 3), np.uint8)))
    content = bytearray(Path(name).read_bytes())
    start = content.index(b"mdat") + 400
    content[start : start + 9000] = bytes(9000)
    Path(name).write_bytes(content)


def without_frames(name):
    with av.open(name, "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width = 24, 32
        out.start_encoding()


def picture_as(name):
    write_picture("a.png", GREY)
    Path("a.png").rename(name)


ODD = {
    "empty.mp4": (lambda name: Path(name).write_bytes(b""), "is empty: give a video file"),
    "text.mp4": (lambda name: Path(name).write_text("hello, " * 99), "damaged or not a video"),
    "page.mp4": (lambda name: Path(name).write_text("<html></html>"), "damaged or not a video"),
    "list.mp4": (
        lambda name: Path(name).write_text("#EXTM3U\n#EXTINF:1,\na.ts\n"), "damaged or not a video"
    ),
    "files.mp4": (
        lambda name: Path(name).write_text("ffconcat version 1.0\nfile a.mp4\n"),
        "damaged or not a video",
    ),
    "picture.mp4": (picture_as, "damaged or not a video"),
    "folder.mkv": (lambda name: Path(name).mkdir(), None),
    "sound.mp4": (lambda name: film(name, codec=None, sound="aac"), "no video in it, but audio"),
    "short.mp4": (lambda name: cut(name, 0.6), "is damaged: it ends too early, after"),
    "quick.mp4": (
        lambda name: cut(name, 0.9, container={"movflags": "faststart"}), "it ends too early"
    ),
    "short.avi": (lambda name: cut(name, 0.6, codec="mpeg4", options={}), "it ends too early"),
    "short.mkv": (
        lambda name: cut(name, 0.8, rate=Fraction(5)), r"it ends too early, after [\d.]+ of 6 s"
    ),
    "brief.mkv": (lambda name: cut(name, 0.5), r"it ends too early, after 0\.\d+ of 1 s"),
    "brief.webm": (
        lambda name: cut(name, 0.5, codec="ffv1", format="matroska", options={}),
        r"it ends too early, after 0\.\d+ of 1 s",
    ),
    "brief.flv": (lambda name: cut(name, 0.5), r"it ends too early, after 0\.\d+ of 1.07 s"),
    "head.mp4": (lambda name: cut(name, 0.01), "is damaged"),
    "zeros.mp4": (zeros_inside, None),
    "none.mp4": (without_frames, "no frames that can be|damaged or not a|has no video in it"),
    "pq.mp4": (lambda name: film(name, color_trc=16), r"is HDR \(PQ\).*convert it to SDR"),
    "hlg.mkv": (lambda name: film(name, color_trc=18), r"is HDR \(HLG\)"),
    "ictcp.mp4": (lambda name: film(name, colorspace=14), "matrix 14 of H.273.*BT.709 first"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name, (_, words) in ODD.items() if words])
def test_damaged_and_odd_files_are_refused_in_a_sentence(folder, capsys, name):
    make, words = ODD[name]
    make(name)
    with pytest.raises(ValueError, match=words):
        read_clip(name)
    assert run(name) == 2
    said = capsys.readouterr().err.strip()
    assert name in said and "\n" not in said and "Traceback" not in said
    assert not list(Path().glob("*_x2*")) and not list(Path().glob(".*"))


def test_frames_that_are_damaged_are_repaired_or_refused_and_said(folder, capsys):
    zeros_inside("a.mp4")
    code = run("a.mp4")
    said = capsys.readouterr().err
    assert (code == 2 and "no frames that can be" in said) or (code == 0 and "of its" in said)


def with_content(change):
    """A change for `rewritten`: of the content of each packet of a video, by its number."""

    def changed(packets, kind):
        for k, packet in enumerate(packets):
            content = change(k, bytes(packet))
            new = av.Packet(content)
            new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
            new.time_base, new.is_keyframe = packet.time_base, packet.is_keyframe
            yield new

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: bytes(len(content)), lambda content: content[: len(content) // 3],
        lambda content: np.random.default_rng(0).bytes(len(content)),
    ],
    ids=["zeros", "cut", "random"],
)  # fmt: skip
def test_a_packet_that_cannot_be_decoded_takes_its_frame_alone(folder, capsys, damage):
    film("b.mkv", [GREY] * 60)  # so many that no thread still has the frame at the end
    rewritten("b.mkv", "a.mkv", with_content(lambda k, part: damage(part) if k == 20 else part))
    assert run("a.mkv") == 0
    assert "a.mkv: 1 of its 60 frames cannot be decoded" in capsys.readouterr().err
    given, made = times_of("a.mkv"), times_of("a_x2.mp4")
    assert len(made) == 59 and made[0] == 0 and made[-1] == pytest.approx(given[-1], abs=0.001)


def test_damaged_packets_that_vp9_does_not_let_go(folder, capsys):
    film("b.mkv", list(shades(60)), codec="libvpx-vp9", options={"g": "10"})
    damaged = with_content(lambda k, part: bytes(len(part)) if k in (3, 4, 5) else part)
    rewritten("b.mkv", "a.mkv", damaged)
    assert run("a.mkv") == 0
    assert "frames cannot be decoded" in capsys.readouterr().err
    assert len(times_of("a_x2.mp4")) > 30


def test_a_video_of_damaged_packets_alone_is_refused(folder):
    film("b.mkv")
    rewritten("b.mkv", "a.mkv", with_content(lambda k, part: bytes(len(part))))
    with pytest.raises(ValueError, match="a.mkv holds no frames that can be decoded"):
        read_clip("a.mkv")


@pytest.mark.parametrize("name", ["a.mkv", "a.flv"])
def test_what_begins_late_or_has_gaps_is_whole(folder, name):
    film(name, times=[0, 1, 5, 6, 20, 21], sound="aac")
    assert read_clip(name).count == 6
    film(name, times=[30, 31, 32, 33, 34, 35])
    assert read_clip(name).count == 6


@pytest.mark.parametrize(
    ("sound", "rate"),
    [(("libmp3lame", 8000, "mono"), NTSC), (("aac", 22050, "mono"), Fraction(240))],
)
def test_a_short_video_with_a_long_delay_of_its_sound_is_whole(folder, sound, rate):
    film("a.mkv", rate=rate, sound=sound)
    assert read_clip("a.mkv").count == 6


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (1, "1 of its 3 frames is damaged, and enlarged as the decoder repairs it"),
        (2, "2 of its 3 frames are damaged, and enlarged as the decoder repairs them"),
    ],
)
def test_damaged_frames_are_counted(folder, monkeypatch, damaged, words):
    class Damaged:  # as there is no way to make PyAV's
        is_corrupt = True

        def __init__(self, frame):
            self.frame = frame

        def __getattr__(self, name):
            return getattr(self.frame, name)

    def whole(frames, clip):
        for k, frame in enumerate(frames):
            yield Damaged(frame) if k < damaged else frame

    film("a.mp4", list(shades(3)))
    clip = read_clip("a.mp4")
    monkeypatch.setattr(reading, "_whole", whole)
    monkeypatch.setattr(reading.colours, "to_rgb", lambda known: lambda frame: GREY)
    assert len(list(frames_of(clip))) == 3 and clip.notes == [words]


def test_a_single_frame_is_one(folder, capsys):
    film("a.mp4", [GREY])
    assert run("a.mp4") == 0
    assert ", 1 frame in " in capsys.readouterr().out


def test_no_such_file_and_a_folder(folder, capsys):
    assert run("none.mp4") == 2 and "no file none.mp4" in capsys.readouterr().err
    with pytest.raises(IsADirectoryError, match="is a folder: give a video file"):
        read_clip(".")


@pytest.mark.parametrize("place", ["opening", "reading", "writing"])
def test_errors_of_the_system_name_the_video(folder, capsys, monkeypatch, place):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    class Broken(io.FileIO):
        read = broken

    Path("in").mkdir()
    film("in/a.mp4")
    write_picture("in/b.png", GREY)
    if place == "opening":
        monkeypatch.setattr(opening, "_check_whole", lambda path: None)
        monkeypatch.setattr(opening, "open", lambda path, mode: Broken(path), raising=False)
    elif place == "reading":
        monkeypatch.setattr(reading, "_turned", broken)
    else:
        failed = av.error.OSError(errno.EIO, "Input/output error")
        monkeypatch.setattr(writing.colours, "to_yuv", lambda known: lambda _: raised(failed))
    assert run("in") == 2
    name = Path("in/a.mp4")
    said = capsys.readouterr().err
    assert f"{name} is not enlarged (input/output error): check its disk and that of" in said
    assert Path("in/b_x2.png").exists()


def raised(error):
    raise error


def test_memory_that_ffmpeg_lacks_is_no_damage(folder, capsys, monkeypatch):
    film("a.mp4")
    failed = av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
    monkeypatch.setattr(writing.colours, "to_yuv", lambda known: lambda picture: raised(failed))
    assert run("a.mp4") == 1
    assert "a.mp4 takes more memory than there is: choose" in capsys.readouterr().err
    packet = SimpleNamespace(decode=lambda: raised(failed))
    container = SimpleNamespace(demux=lambda stream: [packet])
    with pytest.raises(MemoryError) as found:
        next(opening.decoded(container, None, Path("a.mp4")))
    assert found.type is MemoryError


def test_a_file_with_the_end_of_another_size_of_box(folder):
    """A box that goes to the end of the file, and one whose size is 64 bits."""
    film("a.mp4")
    content = Path("a.mp4").read_bytes()
    Path("b.mp4").write_bytes(content + struct.pack(">I", 0) + b"free" + bytes(9))
    Path("c.mp4").write_bytes(content + struct.pack(">I4sQ", 1, b"free", 25) + bytes(9))
    assert len(frames_in("b.mp4")) == len(frames_in("c.mp4")) == 6
    Path("c.mp4").write_bytes(content + struct.pack(">I4sQ", 1, b"free", 26) + bytes(9))
    with pytest.raises(ValueError, match="ends too early"):
        read_clip("c.mp4")


def test_what_is_not_of_the_video_at_its_end_is_no_damage(folder):
    """A label that a program appends, and a size of RIFF that counts its own 8 bytes."""
    film("a.mp4")
    Path("b.mp4").write_bytes(Path("a.mp4").read_bytes() + b"TAG".ljust(128, b"-"))
    film("a.avi", codec="mpeg4", options={})
    content = Path("a.avi").read_bytes()
    Path("b.avi").write_bytes(content[:4] + struct.pack("<I", len(content)) + content[8:])
    assert len(frames_in("b.mp4")) == len(frames_in("b.avi")) == 6
    Path("b.avi").write_bytes(content[:4] + struct.pack("<I", len(content) + 1) + content[8:])
    with pytest.raises(ValueError, match="ends too early"):
        read_clip("b.avi")


@pytest.mark.parametrize("lines", [{}, {"x264-params": "tff=1"}], ids=["whole", "interlaced"])
def test_a_size_that_changes_is_refused(folder, lines):
    film("a.ts", format="mpegts", options={"crf": "4", "g": "1", **lines})
    film("b.ts", list(shades(4, (48, 64))), format="mpegts", options={"crf": "4", **lines})
    Path("c.ts").write_bytes(Path("a.ts").read_bytes() + Path("b.ts").read_bytes())
    with pytest.raises(ValueError, match="changes its size at frame 7, from 32 x 24 to 64 x 48"):
        frames_in("c.ts")


def test_frames_that_claim_to_be_huge_are_not_decoded(folder, monkeypatch):
    film("a.mp4")
    monkeypatch.setattr(opening, "_MOST", 32 * 24 - 1)
    monkeypatch.setattr(opening, "decoded", None)
    with pytest.raises(ValueError, match="its frames have 32 x 24 pixels, and 767 are the most"):
        read_clip("a.mp4")


def test_results_beyond_h264_are_refused_before_the_work(folder):
    check_target(Path("a.mp4"), (4320, 7680))
    for shape in ((9000, 9000), (16, 16386)):
        with pytest.raises(ValueError, match="more than H.264 holds .* choose a smaller factor"):
            check_target(Path("a.mp4"), shape)
    with pytest.raises(ValueError, match="cannot go to standard output"):
        check_target(None, (9, 9))


def test_without_the_extra_or_its_encoder(folder, capsys, monkeypatch):
    film("a.mp4")
    monkeypatch.setattr(av, "codecs_available", {"aac"})
    assert run("a.mp4") == 2
    assert "no encoder for H.264: pip install" in capsys.readouterr().err
    monkeypatch.setattr(av, "__version__", "17.1.0")
    assert run("a.mp4") == 2
    assert "need PyAV 18 or newer; there is 17.1.0: pip install" in capsys.readouterr().err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert run("a.mp4") == 2
    assert f"a.mp4 is a video, and these need PyAV: {opening.INSTALL}" in capsys.readouterr().err
