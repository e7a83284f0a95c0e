"""The frames of videos enlarged: in order, with neighbours of their scene, in bounded memory."""

import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

import pysrcnn
from pysrcnn import SRCNN, upscale, upscale_frames
from pysrcnn.networks import Network
from pysrcnn.upscaling.frames import cuts, windows


def frames_of(count, *shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.random((count, *shape))
    peak = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    return [np.asarray(frame * peak, dtype) for frame in frames]


def small_network(scale=2, c=1, seed=0):
    network = SRCNN(3, 4, 1, 4, 3, c=c, init="identity", seed=seed)
    network.scale = scale
    return network


class Sum(Network):
    """Each pixel of the result is a sum of that pixel in the frames, with weights."""

    name, small, c, ops = "sum", True, 1, pysrcnn.kernels

    def __init__(self, weights, scale=2):
        self.frames, self.scale = len(weights), scale
        self.card, self.options = {}, {}
        w = np.zeros((scale**2, len(weights), 1, 1), np.float32)
        w[:] = np.reshape(weights, (1, -1, 1, 1))
        self.parameters = {"W1": w, "B1": np.zeros(scale**2, np.float32)}

    @staticmethod
    def _forward(x, p, ops, kept=None):
        s = round(len(p["W1"]) ** 0.5)
        return ops.pixel_shuffle(ops.conv2d(x, p["W1"], p["B1"], "zeros"), s)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3), (9, 8, 4)])
def test_the_same_bits_as_of_each_picture(dtype, shape):
    frames = frames_of(3, *shape, dtype=dtype)
    for scale in (2, 4, 2.5):
        results = list(upscale_frames(iter(frames), scale, small_network()))
        for frame, result in zip(frames, results, strict=True):
            wanted = upscale(frame, scale, small_network())
            assert result.dtype == wanted.dtype and np.array_equal(result, wanted)


def test_the_size_may_be_said_instead_of_the_scale():
    (frame,) = frames_of(1, 9, 8)
    (result,) = upscale_frames([frame], None, small_network(), shape=(18, None))
    assert np.array_equal(result, upscale(frame, 2, small_network()))
    (result,) = upscale_frames([frame], model=small_network())
    assert result.shape == (18, 16)
    with pytest.raises(ValueError, match="both scale and shape"):
        upscale_frames([frame], 2, small_network(), shape=(18, 16))  # before any frame is asked for
    with pytest.raises(FileNotFoundError):
        upscale_frames([frame], 2, "none.npz")
    assert list(upscale_frames([], 2, small_network())) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("sound.mp4", "frames is 'sound.mp4', wanted an iterable of pictures: read them .* first"),
        (Path("a/b.mp4"), "b.mp4', .* type `pysrcnn upscale` and the name"),
        (np.zeros((9, 8, 3), np.uint8), r"shape \(9, 8, 3\), .* give one picture as \[picture\]"),
        (np.zeros((9, 8), np.uint8), r"shape \(9, 8\), wanted \(T, H, W\)"),
        (7, "frames is of the type int, wanted an iterable of pictures"),
    ],
)
def test_what_is_no_iterable_of_frames_is_refused_at_once(given, words):
    with pytest.raises((TypeError, ValueError), match=words):
        upscale_frames(given, 2, small_network())


@pytest.mark.parametrize("scale", [1, 0, -2, 17, "3", float("nan"), True])
def test_a_scale_that_is_none_is_refused_at_once(scale):
    with pytest.raises(ValueError, match="scale is a number above 1"):
        upscale_frames(iter(()), scale, small_network())


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3), (9, 8, 2)])
def test_an_array_of_frames(shape):
    frames = np.stack(frames_of(3, *shape))
    for frame, result in zip(frames, upscale_frames(frames, 2, small_network()), strict=True):
        assert np.array_equal(result, upscale(frame, 2, small_network()))


def test_frames_are_asked_for_as_they_are_needed():
    asked = []

    def given():
        for k, frame in enumerate(frames_of(9, 6, 6)):
            asked.append(k)
            yield frame

    results = upscale_frames(given(), 2, small_network())
    assert asked == []
    for k in range(3):
        next(results)
        assert asked == list(range(k + 1))
    asked.clear()
    results = upscale_frames(given(), 2, Sum([0, 0, 1, 0, 0]))
    next(results)
    assert asked == [0, 1, 2]
    next(results)
    assert asked == [0, 1, 2, 3]


def test_memory_does_not_grow_with_the_number_of_frames():
    frame = frames_of(1, 160, 200)[0]

    def peak_of(count):
        tracemalloc.start()
        for _ in upscale_frames((frame.copy() for _ in range(count)), 2, Sum([0.2] * 5)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_of(2)  # what is loaded once
    assert peak_of(60) < peak_of(6) + 4 * frame.size * 4


@pytest.mark.parametrize("weights", [[1], [0, 1, 0]])
def test_no_frame_is_kept_that_is_done(weights):
    given = []

    def frames():
        for frame in frames_of(6, 6, 6):
            own = frame.copy()
            given.append(weakref.ref(own))
            yield own

    results = upscale_frames(frames(), 2, Sum(weights))
    for _ in range(4):
        next(results)
    assert given[0]() is None and given[1]() is None


def test_progress_counts_frames():
    done = []
    for step in (2, 4):
        done.clear()
        list(upscale_frames(frames_of(3, 9, 8), step, small_network(), progress=done.append))
        assert done == sorted(done) and done[-1] == pytest.approx(3)
        assert any(1 <= part < 1.001 for part in done)


class VideoFrame:
    """As PyAV's."""

    def to_ndarray(self, format):
        raise AssertionError


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (np.zeros((8, 9), np.uint8), r"frame 3 is an array of uint8 \(8, 9\), and those before"),
        (np.zeros((9, 8), np.uint16), r"frame 3 is an array of uint16 .* all frames of a video"),
        (np.zeros((9, 8, 3), np.uint8), "of one kind and size, so convert or resize it first"),
        (np.zeros((9, 8), np.int64), "frame 3 holds int64, wanted uint8"),
        (np.full((9, 8), np.nan), "frame 3 has NaN"),
        ("a.png", "frame 3 is 'a.png', wanted an array: read it with pysrcnn.read_picture"),
        (VideoFrame(), r"frame 3 is a VideoFrame, .* frame.to_ndarray\(format=.rgb24.\)"),
    ],
)
def test_a_frame_unlike_the_others(other, words):
    results = upscale_frames([*frames_of(2, 9, 8), other], 2, small_network())
    next(results)
    next(results)
    with pytest.raises((TypeError, ValueError), match=words):
        next(results)


# --------------------------------------------------------------------------------------- neighbours


def test_neighbours_are_of_the_same_scene_and_repeated_at_its_ends():
    begins = [False, False, False, True, False, True]
    found = [w for w, _ in windows(zip("abcdef", begins, strict=True), 2)]
    assert ["".join(w) for w in found] == ["aaabc", "aabcc", "abccc", "dddee", "ddeee", "fffff"]
    assert [b for _, b in windows(zip("abcdef", begins, strict=True), 2)] == begins
    assert [w for w, _ in windows(zip("abc", begins[:3], strict=True), 0)] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("c", [1, 3])
def test_a_network_gets_the_frames_before_and_after_in_the_order_of_time(c):
    """Levels of grey: the result of a sum of frames is the sum of the results."""
    frames = [np.full((6, 7, c) if c > 1 else (6, 7), 40 + 5 * k, np.uint8) for k in range(4)]
    results = list(upscale_frames(frames, 2, Sum([0.7, 0.2, 0.1])))
    for k, result in enumerate(results):
        before, now, after = (40 + 5 * min(max(j, 0), 3) for j in (k - 1, k, k + 1))
        assert result.shape[:2] == (12, 14)
        assert np.abs(result - (0.7 * before + 0.2 * now + 0.1 * after)).max() <= 0.51


def test_no_neighbour_across_a_cut_and_the_same_in_two_passes():
    dark, light = (np.full((16, 16), level, np.uint8) for level in (30, 200))
    frames = [dark, dark, light, light, dark]
    for scale in (2, 4):
        for given, result in zip(frames, upscale_frames(frames, scale, Sum([0.5, 0, 0.5]))):
            assert np.abs(result.astype(int) - given[0, 0]).max() <= 1


def test_a_picture_is_its_own_neighbour():
    frame = frames_of(1, 9, 8, 3)[0]
    same = upscale(frame, 2, Sum([0.3, 0.4, 0.3]))
    assert np.abs(same.astype(int) - upscale(frame, 2, Sum([1.0]))).max() <= 1


def test_bands_have_neighbours_too(monkeypatch):
    frames = frames_of(3, 30, 20, 3)
    whole = list(upscale_frames(frames, 2, Sum([0.5, 0.2, 0.3])))
    monkeypatch.setattr("pysrcnn.upscaling.steps.BAND", 1)
    for result, wanted in zip(upscale_frames(frames, 2, Sum([0.5, 0.2, 0.3])), whole, strict=True):
        assert np.array_equal(result, wanted)


# --------------------------------------------------------------------------------------------- cuts


def moving(seed, count, step):
    """A smooth picture of its own that moves to the right; values in 0..1."""
    y, x = np.mgrid[:72, :96]
    a, b, c = np.random.default_rng(seed).uniform(0.03, 0.09, 3)
    for k in range(count):
        z = x - step * k
        yield 0.5 + 0.25 * (np.sin(a * z + seed) + np.cos(b * y + c * z))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("step", [0, 2, 5])
def test_cuts_are_noticed_and_movement_is_none(dtype, step):
    peak = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    frames = [*moving(1, 6, step), *moving(2, 5, step), *moving(3, 4, step)]
    frames = [np.asarray(frame * peak, dtype) for frame in frames]
    assert [k for k, (_, begins) in enumerate(cuts(frames)) if begins] == [6, 11]
    colour = [np.repeat(frame[:, :, None], 3, 2) for frame in frames]
    assert [k for k, (_, begins) in enumerate(cuts(colour)) if begins] == [6, 11]


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 3), (33, 31)])
def test_frames_of_any_size_are_compared(shape):
    frames = [np.full(shape, level, np.uint8) for level in (0, 0, 255)]
    assert [begins for _, begins in cuts(frames)] == [False, False, True]


def test_cuts_between_clips(data_folder):
    """All ends of clips, and none within them, where the numbers were chosen."""
    clips = []
    for folder in sorted(data_folder("Vid4").iterdir()):
        if folder.is_dir():
            paths = sorted(folder.glob("*"))[:4]
            clips.append([pysrcnn.read_picture(path)[:400, :640] for path in paths])
    frames = [frame for clip in clips for frame in clip]
    begins = [begins for _, begins in cuts(frames)]
    assert begins == [k > 0 and k % 4 == 0 for k in range(len(frames))]
