"""Videos as clips: their scenes, trained on and evaluated like folders of the same frames."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from rungs import compiled_only

from pysrcnn.cli import main
from pysrcnn.clips import find_clips, length, long_scenes, read_frames, read_run, read_some
from pysrcnn.evaluate import evaluate
from pysrcnn.networks import ESPCN
from pysrcnn.pictures import write_picture
from pysrcnn.resize import imresize
from pysrcnn.scenes import find_scenes
from pysrcnn.training import Recipe, Stream, split, train
from pysrcnn.training import stream as streaming
from pysrcnn.training.files import FileTraining
from pysrcnn.video import INSTALL, frames_from, frames_of, read_clip, reading

av = pytest.importorskip("av", reason="needs PyAV, the extra video")
pytestmark = pytest.mark.skipif(
    "libx264" not in av.codecs_available, reason="this PyAV has no libx264"
)
TINY = Recipe(
    network="vespcn", sizes=(), filters=(), depth=3, width=4, frames=3, init="he",
    keep_means=False, keep_ends=False, steps=4, batch=2, size=8, optimizer="adam",
    learning_rate=1e-3, last_learning_rate=1e-3,
)  # fmt: skip


def moving(seed, count):
    """Frames of 44 x 36, in which a coloured texture moves by 2 and 1 pixels a frame."""
    rng = np.random.default_rng(seed)
    texture = np.clip(imresize(rng.random((16, 18, 3)) / 2 + (seed % 2) / 2, scale=4), 0, 1)
    texture = (255 * texture + 0.5).astype(np.uint8)
    return [texture[k % 20 : k % 20 + 36, k % 14 * 2 : k % 14 * 2 + 44] for k in range(count)]


def film(path, frames, codec="ffv1", pix_fmt="bgr0", **options):
    """A video file; ffv1 loses nothing."""
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25, options=options)
        video.height, video.width, video.pix_fmt = *frames[0].shape[:2], pix_fmt
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            out.mux(video.encode(picture.reformat(format=pix_fmt)))
        out.mux(video.encode(None))


def pictures(folder, frames):
    folder.mkdir(parents=True)
    for k, frame in enumerate(frames):
        write_picture(folder / f"{k:03}.png", frame)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Folders of the same four scenes: as videos, the last two in one, and as frames."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "videos").mkdir()
    scenes = [moving(seed, count) for seed, count in ((0, 5), (1, 6), (2, 5), (3, 4))]
    for name, frames in zip("abc", (*scenes[:2], scenes[2] + scenes[3]), strict=True):
        film(folder / "videos" / f"{name}.mkv", frames)
    for name, frames in zip("abcd", scenes, strict=True):
        pictures(folder / "frames" / name, frames)
    return folder


def test_scenes_are_what_folders_of_their_frames_are(both):
    videos = find_clips(both / "videos")
    assert [path.name for path in videos] == ["a.mkv", "b.mkv", "c.mkv"]
    scenes = [scene for path in videos for scene in find_scenes(path)]
    folders = find_clips(both / "frames")
    assert [length(scene) for scene in scenes] == [5, 6, 5, 4]
    for scene, folder in zip(scenes, folders, strict=True):
        assert all(map(np.array_equal, read_frames(scene), read_frames(folder)))
        assert all(map(np.array_equal, read_frames(scene, 2, 2), read_frames(folder, 2, 2)))
        for seed in range(3):
            rules = {"smallest": 16, "largest": 18, "seed": seed, "count": 3}
            assert all(
                map(np.array_equal, read_run(scene, 2, 3, **rules), read_run(folder, 2, 3, **rules))
            )
    assert [length(scene) for scene in long_scenes(videos[2], 5)] == [5]
    some, others = read_some(scenes[2:], 2, 3, 3), read_some(folders[2:], 2, 3, 3)
    assert len(some) == 3
    for (low, high), (x, y) in zip(some, others, strict=True):
        assert np.array_equal(low, x) and np.array_equal(high, y)


def test_folders_and_videos_together(both, tmp_path):
    pictures(tmp_path / "b", moving(4, 3))
    (tmp_path / "a.MP4").write_bytes(b"")
    (tmp_path / "b" / "c.webm").write_bytes(b"")
    (tmp_path / "program.ts").write_text("let x = 1")
    assert find_clips(tmp_path) == [tmp_path / name for name in ("a.MP4", "b", "b/c.webm")]


@pytest.mark.parametrize(
    ("name", "codec", "options", "sought"),
    [
        ("a.mp4", "libx264", {"g": "30", "x264-params": "open-gop=1"}, True),
        ("a.mkv", "libx264", {"g": "250"}, True),
        ("a.avi", "libx264", {"g": "30"}, False),  # whose frames have no times of their own
    ],
)
def test_frames_are_found_by_their_times(tmp_path, monkeypatch, name, codec, options, sought):
    film(tmp_path / name, moving(0, 90), codec, "yuv420p", **options)
    clip = read_clip(tmp_path / name)
    frames = list(frames_of(clip))
    assert len(frames) == 90 and clip.timed == sought
    if sought:  # nothing is decoded from the beginning
        monkeypatch.setattr(reading, "frames_of", None)
    for k in (0, 3, 29, 30, 31, 59, 64, 89):
        found = list(frames_from(clip, frames[k][0]))
        assert [time for time, _ in found] == [time for time, _ in frames[k:]]
        assert np.array_equal(found[0][1], frames[k][1])
        assert np.array_equal(found[-1][1], frames[-1][1])


@compiled_only
@pytest.mark.parametrize("stream", [False, True])
def test_training_on_videos_is_training_on_their_frames(both, tmp_path, stream):
    """Interrupted and resumed, too; the first clip is held back."""
    wanted = train([both / "frames"], tmp_path / "frames.npz", 2, TINY, stream=stream)
    place = tmp_path / "videos.npz"
    begun = FileTraining([both / "videos"], place, 2, TINY, stream=stream)
    next(begun.training.run())
    begun.training.save(begun.checkpoint)
    begun._lock.close()  # as when the process ends
    if stream:
        begun._stream.close()
    found = train([both / "videos"], place, 2, TINY, stream=stream, resume=True)
    assert found.card["data"] == "videos, 3 clips"
    for name, p in wanted.parameters.items():
        assert np.array_equal(p, found.parameters[name])
    logs = [(tmp_path / f"{name}.log").read_text().splitlines() for name in ("videos", "frames")]
    heads = [json.loads(lines[0]) for lines in logs]
    assert heads[0]["validation"] == 3 and heads[0]["bicubic_psnr"] == heads[1]["bicubic_psnr"]


def test_a_video_is_held_back_as_a_whole(both):
    """With the second of its scenes, too; scenes of others are streamed if they are many."""
    parts = split.split([both / "videos"], None, ["a.mkv", "b.mkv"], clips=True)
    assert parts.same and parts.watched == [both / "videos" / "c.mkv"]
    parts = split.split([both / "videos"], both / "videos", [], clips=True)
    assert parts.same and len(parts.watched) == 3
    parts = split.split([both / "videos"], None, ["b.mkv"], clips=True)
    data, validation, skipped = split.read(parts, TINY, [2])
    assert [len(low) for low, _ in data] == [5, 4] and len(validation) == 3 and not skipped


def test_many_or_large_frames_are_streamed(both, monkeypatch):
    parts = split.split([both / "videos"], None, [], clips=True)
    monkeypatch.setattr(split, "IN_MEMORY_PIXELS", 15 * 36 * 44 // 4)
    recipe = dataclasses.replace(TINY, size=4)
    assert isinstance(split.read(parts, recipe, [2])[0], Stream)
    assert not isinstance(split.read(parts, dataclasses.replace(recipe, shrink=2), [2])[0], Stream)
    monkeypatch.setattr(streaming, "LONG", 2)
    stream = Stream(find_scenes(both / "videos" / "c.mkv"), 2, 1, 16, 0, True, 3)
    assert stream._turns == [0, 0, 0, 1, 1] and len(stream) == 2
    first, second = find_scenes(both / "videos" / "c.mkv")
    assert Stream([first], 2, 1, 16, 0).identity != Stream([second], 2, 1, 16, 0).identity


@compiled_only
def test_videos_that_cannot_be_used(both, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in "a", "b":
        pictures(Path("in") / name, moving(0, 5))
    Path("in/c.mp4").write_bytes(b"no video at all")
    film("in/d.mkv", moving(0, 2))
    film("in/e.mkv", [*moving(0, 2), *moving(1, 2)])
    film("in/f.mkv", [frame[:12] for frame in moving(0, 5)])
    film("in/g.mp4", moving(0, 90), "libx264", "yuv420p")
    Path("in/g.mp4").write_bytes(Path("in/g.mp4").read_bytes()[:-800])
    options = "--recipe vespcn --depth 3 --width 4 --steps 1 --batch 2 --size 8"
    command = ["train", "in", "-s", "2", "-o", "mine.npz", *options.split()]
    assert main(command) == 2 and Path("mine.npz").exists()
    said = capsys.readouterr().err
    assert "in/c.mp4 is damaged or not a video" in said
    assert "in/d.mkv has 2 frames, and the network looks at 3: leave it out" in said
    assert "in/e.mkv has 2 frames between its cuts at most, and the network looks at 3" in said
    assert "in/f.mkv has frames of 44 x 12 pixels, wanted at least 16 x 16 at scale 2" in said
    assert "in/g.mp4 is damaged" in said and "trained on 1 clip, 5 failed" in said

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    command[1], command[5] = str(both / "videos"), "other.npz"
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"a.mkv is a video, and these need PyAV: {INSTALL}" in said
    assert "none of the clips to measure PSNR on can be used: give others" in said


def test_videos_are_scored_as_their_frames_are(both):
    """Scene by scene: neither neighbours nor motion cross a cut."""
    network = ESPCN(2, filters=(4, 3))
    rows = [list(evaluate(both / name, network, clips=True)) for name in ("videos", "frames")]
    assert [row.picture for row in rows[0]] == ["a.mkv", "b.mkv", "c.mkv"]
    assert [row.numbers for row in rows[0][:2]] == [row.numbers for row in rows[1][:2]]
    found, (first, second) = rows[0][2], rows[1][2:]
    assert found.psnr == pytest.approx((5 * first.psnr + 4 * second.psnr) / 9, rel=1e-12)
    tof = (4 * first.more["tof"] + 3 * second.more["tof"]) / 7
    assert found.more["tof"] == pytest.approx(tof, rel=1e-12)
