"""Streaming: the batches it gives, what it skips, and training that goes on from a checkpoint."""

import dataclasses
import functools
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from processes import process

import pysrcnn.training.stream
from pysrcnn._signals import ENDS
from pysrcnn.data import pair, read_pair, reduced
from pysrcnn.pictures import read_picture, write_picture
from pysrcnn.training import RECIPES, RandomCrops, SubImages, read_log, split
from pysrcnn.training.log import append
from pysrcnn.training.stream import Stream


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Seven small pictures, of which three are no good; parts of three pictures, 12 samples."""
    monkeypatch.setattr(pysrcnn.training.stream, "PART", 3)
    monkeypatch.setattr(pysrcnn.training.stream, "TAKEN", 4)
    rng = np.random.default_rng(0)
    for i in range(7):
        side = 9 if i == 5 else 30 + i
        write_picture(tmp_path / f"{i}.png", rng.integers(0, 256, (side, 40, 3), np.uint8))
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "4.png").write_bytes(b"")
    return sorted(tmp_path.glob("*.png"))


def batches(paths, steps, take=RandomCrops, seed=0):
    stream = Stream(paths, 2, 1, smallest=20, seed=seed)
    try:
        found = [
            stream.batch(step, 5, lambda pairs: take(pairs, size=20, margin=6, seed=seed))
            for step in steps
        ]
    finally:
        stream.close()
    return found, stream


def test_a_batch_follows_from_seed_and_step(paths):
    all_of_them, _ = batches(paths, range(12))
    later, _ = batches(paths, range(7, 12))
    others, _ = batches(paths, range(7, 12), seed=1)
    for (low, high), (same_low, same_high), (other, _) in zip(
        all_of_them[7:], later, others, strict=True
    ):
        assert low.shape == (5, 1, 20, 20) and high.shape == (5, 1, 8, 8)
        assert np.array_equal(low, same_low) and np.array_equal(high, same_high)
        assert not np.array_equal(low, other)


@pytest.mark.parametrize("take", [RandomCrops, SubImages])
def test_samples_are_of_the_pictures(paths, take):
    more = {"stride": 1} if take is SubImages else {}
    good = [pair(read_picture(paths[i]), 2) for i in (0, 2, 3, 6)]
    views = [np.lib.stride_tricks.sliding_window_view(low[0], (20, 20)) for low, _ in good]
    found, _ = batches(paths, [0, 3, 11], lambda pairs, **kw: take(pairs, **kw, **more))
    for low, _ in found:
        for sample in low[:, 0]:
            turned = [np.rot90(s, k) for s in (sample, sample[:, ::-1]) for k in range(4)]
            assert any((view == t).all(axis=(2, 3)).any() for view in views for t in turned)


def test_small_pictures_for_what_enlarges_them_itself(paths):
    stream = Stream(paths, 2, 1, smallest=20, seed=0, small=True)
    take = functools.partial(RandomCrops, size=10, margin=2, seed=0)
    try:
        low, high = stream.batch(0, 5, take)
    finally:
        stream.close()
    assert low.shape == (5, 1, 10, 10) and high.shape == (5, 1, 12, 12)
    good = [pair(read_picture(paths[i]), 2, small=True)[0][0] for i in (0, 2, 3, 6)]
    views = [np.lib.stride_tricks.sliding_window_view(small, (10, 10)) for small in good]
    turned = [np.rot90(s, k) for s in (low[0, 0], low[0, 0, :, ::-1]) for k in range(4)]
    assert any((view == t).all(axis=(2, 3)).any() for view in views for t in turned)


def test_pictures_are_made_smaller_by_chance(paths):
    """Where that leaves enough of them."""
    stream = Stream(paths, 2, 1, smallest=20, seed=0, factors=(0.8, 0.5))
    seen = []
    try:
        for step in range(40):
            stream.batch(step, 5, lambda pairs: seen.extend(pairs) or RandomCrops(pairs, 20))
    finally:
        stream.close()
    good = [pair(read_picture(paths[i]), 2)[1] for i in (0, 2, 3, 6)]
    smaller = [reduced(high, 0.8, 2)[1] for high in good]
    for _, high in seen:
        assert any(np.array_equal(high, other) for other in (*good, *smaller))
    sides = {high.shape[1] for _, high in seen}
    assert sides >= {30, 32, 36, 24, 26, 28}


def test_what_cannot_be_used_is_counted_and_named(paths):
    _, stream = batches(paths, range(0, 17))  # 85 samples, 8 parts, 24 pictures, 3 epochs
    assert {os.path.basename(path) for path in stream.skipped} == {"1.png", "4.png", "5.png"}
    reasons = " ".join(stream.skipped.values())
    assert "not a picture" in reasons and "is empty" in reasons
    assert "5.png is 40 x 9 pixels, wanted at least 20 x 20" in reasons
    assert all(reason.startswith(path) for path, reason in stream.skipped.items())
    assert stream.waited > 0


def test_links_to_nowhere_are_left_out_too(paths, tmp_path):
    try:
        (tmp_path / "8.png").symlink_to("nowhere")
    except OSError:
        pytest.skip("no links here")
    stream = batches([*paths, tmp_path / "8.png"], range(17))[1]
    assert stream.identity.startswith("8 streamed")
    assert "8.png" in {os.path.basename(path) for path in stream.skipped}


def test_nothing_can_be_used(paths):
    with pytest.raises(
        ValueError, match="no training picture can be used, of 3: .*1.png is damaged"
    ):
        batches([paths[1]] * 3, [0])
    with pytest.raises(ValueError, match="no training pictures"):
        Stream([], 2, 1, 20, 0)


def test_a_part_without_usable_pictures_uses_those_of_others(paths):
    mostly_bad = [paths[1], paths[4], paths[5]] * 3 + [paths[0]]
    found, stream = batches(mostly_bad, range(0, 24, 3))
    assert len(found) == 8 and len(stream.skipped) == 3
    again, _ = batches(mostly_bad, [9])
    assert np.array_equal(found[3][0], again[0][0])


def test_the_reading_process_is_stopped(paths):
    take = functools.partial(RandomCrops, size=20, margin=6, seed=0)
    stream = Stream(paths, 2, 1, smallest=20, seed=0)
    stream.batch(0, 5, take)
    (reader,) = stream._pool._processes.values()
    reader.kill()
    reader.join()
    with pytest.raises(OSError, match="process that reads pictures was stopped: resume to go on"):
        for step in range(1, 10):
            stream.batch(step, 5, take)
    stream.close()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="as on Windows")
def test_the_reading_process_does_not_hear_ctrl_c_and_the_like(paths):
    stream = Stream(paths, 2, 1, smallest=20, seed=0)
    stream._pairs(0)
    (reader,) = stream._pool._processes.values()
    for number in ENDS:
        os.kill(reader.pid, number)
    assert stream._pairs(1) and reader.is_alive()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & set(ENDS)
    stream.close()


def test_the_reading_process_ends_with_the_other(paths):
    code = f"""
import os, signal
from pysrcnn.training.stream import Stream
stream = Stream({[*map(str, paths)]!r}, 2, 1, smallest=20, seed=0)
stream._pairs(0)
print("read", flush=True)
os._exit(3)
"""
    done = process("-c", code)  # which waits for all that may still print
    assert (done.returncode, done.stdout) == (3, "read\n"), done.stderr


def test_sub_images_larger_than_the_regions(tmp_path):
    write_picture(tmp_path / "a.png", np.zeros((700, 601), np.uint8))
    low, _ = read_pair(tmp_path / "a.png", 3, 1, 512, largest=512)
    assert low.shape == (1, 513, 513)


def test_of_a_large_picture_a_region_is_used(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (30, 1300), np.uint8)
    write_picture(tmp_path / "wide.png", picture)
    places = set()
    for seed in range(4):
        low, high = read_pair(tmp_path / "wide.png", 2, 1, 20, largest=512, seed=(seed, 0))
        assert low.shape == high.shape == (1, 30, 512)
        row = np.round(high[0, 0] * 255).astype(np.uint8)
        (place,) = [j for j in range(1300 - 511) if np.array_equal(picture[0, j : j + 512], row)]
        places.add(place)
    assert len(places) > 1


def test_large_pictures_are_streamed(tmp_path, monkeypatch):
    """Two of 1200 pixels: as often as they would be in memory."""
    for k in range(3):
        write_picture(tmp_path / f"{k}.png", np.zeros((30, 40), np.uint8))
    pictures = split.split([tmp_path], None, [])
    recipe = dataclasses.replace(RECIPES["edsr-s"], size=5)

    def streamed(scales=(2,), **changes):
        used = dataclasses.replace(recipe, **changes)
        return isinstance(split.read(pictures, used, scales)[0], Stream)

    monkeypatch.setattr(split, "IN_MEMORY_PIXELS", 2400)
    assert not streamed() and streamed(c=3) and streamed(reduced=(0.5,))
    monkeypatch.setattr(split, "IN_MEMORY_PIXELS", 2399)
    assert streamed()
    vdsr = dataclasses.replace(RECIPES["vdsr"], size=5)
    monkeypatch.setattr(split, "IN_MEMORY_PIXELS", 7199)
    words = "2 pictures of 0.0024 megapixels are read .* at most 1000 pictures of 0.0024, or one sc"
    with pytest.raises(ValueError, match=words):
        split.read(pictures, vdsr, (2, 3, 4))
    with pytest.raises(ValueError, match="2 pictures are read .* at most 1000 pictures, or one sc"):
        split.read(pictures, vdsr, (2, 3, 4), stream=True)
    monkeypatch.setattr(split, "IN_MEMORY_PIXELS", 7200)
    assert len(split.read(pictures, vdsr, (2, 3, 4))[0]) == 6


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux")
def test_no_room_for_a_line_of_the_log():
    with pytest.raises(OSError, match=r"cannot write /dev/full \(No space .*: make room on"):
        append(Path("/dev/full"), {"step": 1})


def test_read_log(tmp_path):
    log = tmp_path / "a.log"
    lines = [{"recipe": {}}, {"step": 1, "samples": 4, "loss": 0.5, "psnr": 20.0}]
    log.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 2, "sam')
    assert read_log(log) == (lines[0], lines[1:])
    more = ("[" * 100_000, '{"a":' * 100_000)  # deeper than can be read
    for text in ("1\n", '{"step": 1}\n', '{"recipe": 1}\n{"step": 1}\n', "\xff\n", *more):
        log.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match="a.log is not a log of training"):
            read_log(log)
    with pytest.raises(FileNotFoundError, match="no log .*b.log"):
        read_log(tmp_path / "b.log")
    for size, words in [(0, "is empty"), (1 << 32, "has 4,294,967,296 bytes, and 16,777,216 are")]:
        log.write_bytes(b"")
        os.truncate(log, size)
        with pytest.raises(ValueError, match=f"a.log {words}.*: give the .log that training has"):
            read_log(log)
