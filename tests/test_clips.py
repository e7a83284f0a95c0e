"""Clips: found, read in runs, trained on, evaluated; and how consistent results are over time."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from rungs import compiled_only

from pysrcnn import evaluate, reference
from pysrcnn.cli import main
from pysrcnn.clips import around, find_clips, length, read_frames, read_run, read_some
from pysrcnn.consistency import optical_flow, tof
from pysrcnn.data import luma, pair
from pysrcnn.networks import ESPCN, VESPCN, load
from pysrcnn.pictures import list_pictures, write_picture
from pysrcnn.pictures.folders import size_of
from pysrcnn.resize import imresize
from pysrcnn.training import RECIPES, RandomCrops, Recipe, Stream, Training, camera, split, train
from pysrcnn.turns import turned_back

TINY = Recipe(
    network="vespcn", sizes=(), filters=(), depth=3, width=4, frames=3, init="he",
    keep_means=False, keep_ends=False, steps=4, batch=2, size=8, optimizer="adam",
    learning_rate=1e-3, last_learning_rate=1e-3,
)  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three clips of five frames, 44 x 36, in which a texture moves by 2 and 1 pixels a frame."""
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    for name in "a", "b", "c":
        texture = np.clip(imresize(rng.random((16, 18)), scale=4), 0, 1)
        (folder / name).mkdir()
        for k in range(5):
            frame = texture[k : k + 36, 2 * k : 2 * k + 44]
            levels = (255 * np.dstack([frame] * 3) + 0.5).astype(np.uint8)
            write_picture(folder / name / f"{k:03}.png", levels)
    return folder


def test_clips_are_the_folders_that_have_frames(clips, tmp_path):
    assert [clip.name for clip in find_clips(clips)] == ["a", "b", "c"]
    assert find_clips(clips / "b") == [clips / "b"] and length(clips / "b") == 5
    with pytest.raises(ValueError, match="no pictures"):
        find_clips(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder .*nothing: check the name"):
        find_clips(tmp_path / "nothing")


def test_a_run_is_the_pairs_of_its_frames(clips):
    low, high = read_run(clips / "a", 2, 3)
    assert low.shape == (5, 18, 22) and high.shape == (5, 36, 44)
    for k, frame in enumerate(read_frames(clips / "a")):
        a, b = pair(frame, 2, small=True)
        assert np.array_equal(low[k], a[0]) and np.array_equal(high[k], b[0])
    places = set()
    for seed in range(20):
        some, large = read_run(clips / "a", 2, 3, 16, largest=18, seed=seed, count=3)
        assert some.shape == (3, 9, 9) and large.shape == (3, 18, 18)
        first, i, j = next(
            (k, i, j)
            for k, i, j in np.ndindex(3, 19, 27)
            if np.array_equal(high[k : k + 3, i : i + 18, j : j + 18], large)
        )
        places.add((first, i, j))
    assert len(places) > 10 and {k for k, _, _ in places} == {0, 1, 2}


def test_numbers_in_the_names_of_frames_are_numbers(tmp_path):
    """With zeros before them or without."""
    numbered = [*(f"frame{k}" for k in (1, 2, 9, 10, 11, 100)), "frame_b02", "frame_b10", "last"]
    for k, name in enumerate(numbered):
        write_picture(tmp_path / f"{name}.png", np.full((2, 2), k, np.uint8))
    assert [frame[0, 0] for frame in read_frames(tmp_path)] == [*range(9)]
    assert [frame[0, 0] for frame in read_frames(tmp_path, 3, 2)] == [3, 4]


def test_frames_are_shrunk_first(clips):
    """As pictures half as large in float are, of which the region is taken."""
    low, high = read_run(clips / "a", 2, 3, shrink=2)
    assert low.shape == (5, 9, 11) and high.shape == (5, 18, 22)
    for k, frame in enumerate(read_frames(clips / "a")):
        half = np.clip(imresize(luma(frame), scale=0.5), 0, 1)
        assert np.array_equal(high[k], pair(half, 2, small=True)[1][0])
    rules = {"largest": 10, "shrink": 2}
    assert read_run(clips / "a", 2, 3, 8, **rules)[1].shape == (5, 10, 10)
    with pytest.raises(ValueError, match="has frames of 22 x 18 pixels, wanted at least 20 x 20"):
        read_run(clips / "a", 2, 3, 20, **rules)


def test_a_camera_moves_over_a_photograph():
    """The middle frame is the photograph; others are where the camera is said to look."""
    photograph = np.clip(textured(np.random.default_rng(3)) / 255, 0, 1)
    seen = pair(photograph, 2, small=True)
    for seed in range(4):
        low, high = camera.moved(seen, 5, np.random.default_rng(seed))
        assert low.shape == (5, 60, 72) and high.shape == (5, 120, 144) and high.strides[0] == 0
        assert np.array_equal(low[2], seen[0][0]) and np.array_equal(high[4], seen[1][0])
        ways = camera._ways(5, np.random.default_rng(seed))
        for k in (0, 1, 3, 4):
            matrix, way = ways[k]
            assert 0 < np.abs(matrix - np.eye(2)).max() < 0.05 and 0 < np.abs(way).max() < 7
            flow = optical_flow(255.0 * low[2], 255.0 * low[k])
            # What is at p in the photograph is in the frame where A o + way = p, from the middle.
            for i, j in ((30, 36), (20, 50)):
                place = np.array([i - 29.5, j - 35.5])
                wanted = np.linalg.solve(matrix, place - way) - place
                assert np.abs(flow[::-1, i, j] - wanted).max() < 0.15, (seed, k)


def test_clips_that_cannot_be_used(clips, tmp_path):
    with pytest.raises(ValueError, match="a has 5 frames, and the network looks at 7: leave it ou"):
        read_run(clips / "a", 2, 7)
    with pytest.raises(
        ValueError, match="has frames of 44 x 36 pixels, wanted at least 48 x 48 at"
    ):
        read_run(clips / "a", 2, 3, 48)
    for k, height in enumerate((20, 20, 22)):
        write_picture(tmp_path / f"{k}.png", np.zeros((height, 20), np.uint8))
    with pytest.raises(ValueError, match="2.png is 20 x 22 pixels and the frame before it 20 x 20"):
        read_run(tmp_path, 2, 3)
    with pytest.raises(ValueError, match="is taken for one clip.* each single picture"):
        read_run(tmp_path, 2, 3)


def test_frames_around_one(clips):
    assert around(5, 0, 3) == [0, 0, 1] and around(5, 4, 5) == [2, 3, 4, 4, 4]
    assert around(9, 4, 3) == [3, 4, 5] and around(1, 0, 7) == [0] * 7 and around(4, 2, 1) == [2]
    scenes = [clips / "a", clips / "b"]  # of five frames each
    runs = [read_run(scene, 2, 3, 16, largest=18, seed=1) for scene in scenes]
    wanted = [(0, 1), (1, 0), (1, 3)]  # scene and frame of the numbers 1, 5 and 8
    found = read_some(scenes, 2, 3, 3, smallest=16, largest=18, seed=1)
    for (low, high), (scene, frame) in zip(found, wanted, strict=True):
        assert np.array_equal(low, runs[scene][0][around(5, frame, 3)])
        assert np.array_equal(high, runs[scene][1][frame : frame + 1])
    assert len(read_some(scenes[:1], 2, 3, 9)) == 5


def test_crops_of_runs_are_of_one_place_in_all_frames(clips):
    """Of frames that follow each other, flipped and turned alike; high is the middle one's."""
    pairs = [read_run(clip, 2, 3) for clip in find_clips(clips)]
    crops = RandomCrops(pairs, 8, 0, seed=1, frames=3)
    low, high = crops.batch(0, 40)
    assert low.shape == (40, 3, 8, 8) and high.shape == (40, 1, 16, 16)
    seen = set()
    for x, y in zip(low, high, strict=True):
        found = [
            (n, k, turn)
            for n, (a, b) in enumerate(pairs)
            for k in range(3)
            for turn in range(8)
            if _is_in(x, y, a[k : k + 3], b[k + 1 : k + 2], turn)
        ]
        assert found
        seen |= set(found)
    assert len({n for n, _, _ in seen}) == 3 and len({turn for *_, turn in seen}) == 8
    assert {k for _, k, _ in seen} == {0, 1, 2}
    again = RandomCrops(pairs, 8, 0, seed=1, frames=3).batch(0, 40)
    assert np.array_equal(low, again[0]) and np.array_equal(high, again[1])


def test_a_clip_has_as_many_places_as_it_has_runs():
    """The longer one, of one value, is taken as much more often."""
    short, long = (
        (np.full((count, 8, 8), value), np.full((count, 16, 16), value))
        for count, value in ((3, 0.0), (8, 1.0))
    )
    low, _ = RandomCrops([short, long], 8, 0, frames=3).batch(0, 700)
    assert low.mean() == pytest.approx(6 / 7, abs=0.04)


def _is_in(x, y, low, high, turn):
    """Whether the crop is of these frames, turned so."""
    x, y = turned_back(x[None], turn)[0], turned_back(y[None], turn)[0]
    return any(
        np.array_equal(low[:, i : i + 8, j : j + 8], x)
        and np.array_equal(high[:, 2 * i : 2 * i + 16, 2 * j : 2 * j + 16], y)
        for i in range(low.shape[1] - 7)
        for j in range(low.shape[2] - 7)
    )


def test_clips_are_streamed(clips):
    paths = find_clips(clips)
    stream = Stream(paths, 2, 1, 16, seed=3, small=True, frames=3)
    try:
        low, high = stream.batch(0, 4, lambda pairs: RandomCrops(pairs, 8, 0, 3, frames=3))
        again = Stream(paths, 2, 1, 16, seed=3, small=True, frames=3)
        assert stream.identity == again.identity != Stream(paths[1:], 2, 1, 16, 3, True, 3).identity
    finally:
        stream.close()
    assert low.shape == (4, 3, 8, 8) and high.shape == (4, 1, 16, 16) and not stream.skipped
    assert stream.identity.startswith("3 streamed")


def test_photographs_are_streamed_beside_clips(clips, tmp_path):
    """A camera moves over them in another way each time; regions of large ones are used."""
    write_picture(tmp_path / "a.png", np.full((30, 600), 70, np.uint8))
    (tmp_path / "b.png").write_bytes(b"no picture")
    moving = [tmp_path / "a.png", tmp_path / "b.png"]
    stream = Stream([clips / "a"], 2, 1, 16, seed=3, small=True, frames=3, moving=moving)
    seen = []
    try:
        stream.batch(0, 4, lambda pairs: seen.extend(pairs) or RandomCrops(pairs, 8, 0, frames=3))
    finally:
        stream.close()
    assert len(stream) == 3 and list(stream.skipped) == [str(tmp_path / "b.png")]
    flat = [low for low, high in seen if np.ptp(high) == 0]
    assert 21 <= len(flat) <= 22 and {low.shape for low in flat} == {(3, 15, 256)}
    assert {low.shape for low, high in seen if np.ptp(high)} == {(5, 18, 22)}
    alone = Stream([clips / "a"], 2, 1, 16, seed=3, small=True, frames=3)
    assert stream.identity != alone.identity


def test_large_frames_and_photographs_are_streamed(clips, monkeypatch):
    """Frames as they are in memory, made smaller."""
    frames = [size_of(path) for clip in find_clips(clips) for path in list_pictures(clip)]
    photographs = list_pictures(find_clips(clips)[0])
    all_of_them = sum(map(math.prod, frames))
    moved = sum(math.prod(size_of(path)) for path in photographs)
    for shrink, photos, taken in (1, [], all_of_them), (2, photographs, all_of_them / 4 + moved):
        for spare, fit in (0, True), (-1, False):
            monkeypatch.setattr(split, "IN_MEMORY_PIXELS", taken + spare)
            assert split._fit_into_memory(find_clips(clips), photos, shrink) == fit


@compiled_only
@pytest.mark.parametrize("stream", [False, True])
def test_training_on_clips(clips, tmp_path, stream):
    """Held back: a clip, of which frames are watched. Resumed, it comes to the same weights."""
    network = train([clips], tmp_path / "mine.npz", 2, TINY, stream=stream, every=2)
    assert type(network) is VESPCN and network.frames == 3
    assert network.card["data"] == f"{clips.name}, 2 clips"
    assert load(tmp_path / "mine.npz").card["recipe"]["frames"] == 3
    lines = [json.loads(line) for line in (tmp_path / "mine.log").read_text().splitlines()]
    assert lines[0]["validation"] == 3 and lines[0]["bicubic_psnr"] > 20
    assert all(np.isfinite(line["psnr"]) for line in lines[1:])
    pairs = [read_run(clip, 2, 3) for clip in find_clips(clips)[1:]]
    whole = Training(TINY, pairs, scale=2)
    for _ in whole.run():
        pass
    part = Training(TINY, pairs, scale=2)
    next(part.run())
    part.save(tmp_path / "checkpoint")
    other = Training(TINY, pairs, scale=2)
    other.load(tmp_path / "checkpoint")
    for _ in other.run():
        pass
    for name, p in whole.network.parameters.items():
        assert np.array_equal(p, other.network.parameters[name])


@compiled_only
def test_photographs_are_trained_on_as_clips(clips, tmp_path):
    """Beside real ones; which PSNR is measured on alone."""
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for k, side in enumerate((24, 24, 12)):  # the last is too small
        write_picture(photographs / f"{k}.png", np.full((side, 30), 50 * k, np.uint8))
    recipe, skipped = dataclasses.replace(TINY, shrink=2, steps=1), []
    network = train(
        [clips], tmp_path / "mine.npz", 2, recipe, moving=[photographs], exclude=["1.png"],
        on_skipped=skipped.extend,
    )  # fmt: skip
    assert network.card["data"] == f"{clips.name}, a camera over photographs, 3 clips"
    assert network.card["recipe"]["shrink"] == 2
    assert len(skipped) == 1 and "2.png is 30 x 12 pixels, wanted at least 16" in skipped[0]
    head = json.loads((tmp_path / "mine.log").read_text().splitlines()[0])
    assert head["validation"] == 3
    other = tmp_path / "other.npz"
    with pytest.raises(ValueError, match="the recipe is for espcn: leave moving out"):
        train([clips], other, 2, RECIPES["espcn"], moving=[photographs])
    with pytest.raises(FileNotFoundError, match="no folder .*nothing: check the name"):
        train([clips], other, 2, recipe, moving=[photographs / "nothing"])


def test_motion_is_learned_first():
    """The share of the result rises from 0: at first, nothing goes back to its layers."""
    network = VESPCN(2, 3, 3, 4, ops=reference).astype(np.float64)
    network.motion_first = 0.5
    rng = np.random.default_rng(5)
    low, high = rng.random((2, 3, 8, 8)), rng.random((2, 1, 16, 16))
    losses, gradients = zip(
        *(network.loss_and_gradients(low, high, "mse", done) for done in (0, 0.25, 0.5, 1)),
        strict=True,
    )
    assert not any(gradients[0][n].any() for n in ("W_tail", "W1_1", "W2_1"))
    assert gradients[0]["W_coarse5"].any()
    for n in ("W_tail", "W1_1"):
        assert np.allclose(2 * gradients[1][n], gradients[2][n], rtol=1e-12, atol=0)
        assert np.array_equal(gradients[2][n], gradients[3][n])
    whole = losses[2] - losses[0]
    assert losses[1] - losses[0] == pytest.approx(whole / 2) and losses[3] == losses[2]


@pytest.mark.parametrize(
    "given, words",
    [
        ({"frames": 4}, "frames is 4, wanted 3, 5 or 7"),
        ({"frames": 7, "fusion": "slow"}, "slow fusion of 7 frames takes 6 layers"),
        ({"fusion": "late"}, "fusion is 'late', wanted early, slow or subpixel"),
        ({"c": 3}, "vespcn takes luminance alone, c=1; got c=3"),
        ({"size": 30}, "size is 30, wanted a multiple of 4 for vespcn"),
        ({"stride": 4}, "vespcn is trained on random crops"),
        ({"beta": -1}, "beta is -1, wanted 0 or a positive number"),
        ({"smooth": np.nan}, "smooth is nan, wanted 0 or a positive number"),
        ({"shrink": 0}, "shrink is 0, wanted a whole number, 1"),
        ({"network": "edsr", "frames": 1, "shrink": 2}, "shrink is for the clips of vespcn"),
        ({"motion_first": 2}, "motion_first is 2, wanted 0 to 1"),
        ({"network": "edsr"}, "only vespcn looks at frames; the network is edsr"),
    ],
)
def test_recipes_are_checked(given, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(TINY, **given)
    assert RECIPES["vespcn"].frames == 3


# -------------------------------------------------------------------------------------- evaluation


def test_a_clip_is_scored_frame_by_frame(clips):
    """Of an ESPCN and of VESPCN: the means of what `score` says of each frame."""
    for network in ESPCN(2, filters=(4, 3), ops=reference), VESPCN(2, 3, 3, 3, ops=reference):
        rows = list(evaluate.evaluate(clips, network, clips=True))
        assert [row.picture for row in rows] == ["a", "b", "c"]
        low, high = read_run(clips / "b", 2, 3)
        each = [
            evaluate.score(network, low[around(5, k, network.frames)], high[k : k + 1])
            for k in range(5)
        ]
        mean = evaluate.average(each)
        for name in ("psnr", "ssim", "bicubic_psnr", "bicubic_ssim"):
            assert getattr(rows[1], name) == pytest.approx(getattr(mean, name), rel=1e-12), name
        off = [row.more["tof"] for row in rows]
        assert 0 < min(off) < max(off) < 1 and 0 < rows[1].more["bicubic_tof"] < 1
        assert evaluate.average(rows).more["tof"] == pytest.approx(np.mean(off))
    assert len(list(evaluate.evaluate(clips, network))) == 3  # clips, as it looks at several
    alone = next(evaluate.evaluate(clips / "a", network))
    assert alone.picture == "a" and alone.psnr == rows[0].psnr


def test_motion_is_measured_only_if_asked_for(clips, tmp_path, monkeypatch, capsys):
    """A clip that is the folder one stands in has its name, and one of a frame has no motion."""
    ESPCN(2, filters=(4, 3)).save(tmp_path / "small.npz")
    command = ["evaluate", ".", "-m", str(tmp_path / "small.npz"), "--clips", "--metrics"]
    alone = tmp_path / "two" / "alone"
    alone.mkdir(parents=True)
    for name in "alone", "b":
        shutil.copytree(clips / "b", tmp_path / "two" / name, dirs_exist_ok=True)
    for path in list_pictures(alone)[1:]:
        path.unlink()
    monkeypatch.chdir(tmp_path / "two")
    assert main([*command, "tof"]) == 0
    said = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert said[0] == ["alone", "nan", "nan"] and said[2][1:] == said[1][1:] != ["nan", "nan"]
    monkeypatch.setattr(evaluate, "optical_flow", None)
    monkeypatch.chdir("b")
    Path("note.jxl").write_bytes(b"")
    assert main([*command, "psnr"]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[2].split()[0] == "b" and "averaged 1 clip, " in err


def textured(rng):
    """With details of several sizes, as pictures have them."""
    parts = (rng.random((120 // cell, 144 // cell)) for cell in (4, 20))
    return 127 * sum(imresize(part, shape=(120, 144)) for part in parts)


def test_flows_that_are_known():
    """Of a texture that moves as a whole, to a fiftieth of a pixel; nothing moves in a flat one."""
    rng = np.random.default_rng(6)
    texture = textured(rng)
    for along_x, along_y in ((0, 0), (2.0, -1.0), (5.5, 3.25)):
        flow = np.empty((1, 2, *texture.shape))
        flow[:, 0], flow[:, 1] = -along_x, -along_y
        moved = reference.warp(texture[None, None], flow)[0, 0]
        a, b = texture[20:-20, 20:-20], moved[20:-20, 20:-20]
        found = np.median(optical_flow(a, b)[:, 10:-10, 10:-10], axis=(1, 2))
        assert np.abs(found - (along_x, along_y)).max() < 0.02, (along_x, along_y)
    flat = np.full((9, 70), 100.0)
    assert not optical_flow(flat, flat + 3).any()
    assert optical_flow(flat[:1], flat[:1]).shape == (2, 1, 70)


def test_what_trembles_is_inconsistent():
    """The same error of brightness in each frame costs nothing, one of place does."""
    rng = np.random.default_rng(7)
    texture = textured(rng)
    a, b, trembling = (texture[10:80, k : k + 70] for k in (10, 11, 13))
    truth = optical_flow(a, b)
    assert tof(a, b, truth) == 0
    assert tof(a + 5, b + 5, truth) < 1e-3
    assert tof(a, trembling, truth) == pytest.approx(2, rel=0.1)


@compiled_only
def test_the_commands(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = (
        "--recipe vespcn --depth 3 --width 4 --steps 2 --batch 2 --size 8 --every 2 --shrink 2"
    )
    command = ["train", str(clips), "-s", "2", "-o", "mine.npz", *options.split()]
    assert main([*command, "--score", str(clips)]) == 0
    said = capsys.readouterr().out
    assert "vespcn x2: 2 clips, 2 steps" in said and "frames that PSNR is measured on: 3" in said
    assert "<VESPCN frames=3, subpixel fusion, depth=3, width=4, float32, scale=2>" in said
    card = load("mine.npz").card
    assert set(card["scores"]) == {clips.name}
    assert main(["evaluate", str(clips), "-m", "mine.npz", "--json", "table.json"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split().count("tOF") == 2 and said[2].split()[0] == "a"
    table = json.loads((tmp_path / "table.json").read_text())
    assert [row["picture"] for row in table["clips"]] == ["a", "b", "c"]
    assert table["average"]["tof"] > 0
    # A picture alone is a still video.
    assert main(["evaluate", str(clips / "a"), "-m", "espcn", "-s", "2", "--metrics", "tof"]) == 2
    assert "tof is for clips, folders of frames: add --clips" in capsys.readouterr().err
    picture = str(clips / "a" / "000.png")
    assert main(["upscale", picture, "-o", "large.png", "-m", "mine.npz"]) == 0
    for option in (["--fusion", "slow"], ["--shrink", "2"], ["--moving", str(clips)]):
        assert main(["train", str(clips), "-s", "2", "-o", "b.npz", *option]) == 2
        assert f"only vespcn takes {option[0]}, and this is srcnn" in capsys.readouterr().err
