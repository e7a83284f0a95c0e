"""The table of PSNR and SSIM: the paper's numbers, and the protocol written down a second time."""

import math

import numpy as np
import pytest
from rungs import JIT

from pysrcnn import SRCNN, load, metrics
from pysrcnn.color import rgb_to_luma
from pysrcnn.data import pair
from pysrcnn.evaluate import _EXACT, Score, average, evaluate, mean_psnr, score
from pysrcnn.networks import shipped
from pysrcnn.pictures import write_picture

WHOLE_SETS = pytest.mark.skipif(not JIT, reason="whole photographs take compiled code")


def linear(gain=1.0, offset=0.0, c=1):
    """Three layers of 1 x 1 that compute gain x + offset; ReLU gets x + 1, which is positive."""
    network = SRCNN(1, c, 1, c, 1, c)
    for k in (1, 2, 3):
        network.parameters[f"W{k}"][...] = np.eye(c)[:, :, None, None]
    network.parameters["W3"] *= gain
    network.parameters["B1"][:] = 1
    network.parameters["B3"][:] = offset - gain
    return network


# ----------------------------------------------------------------------------- the paper's numbers


# Bicubic interpolation on Set5.
BICUBIC = {2: (33.661, 0.9299), 3: (30.392, 0.8682), 4: (28.421, 0.8104)}


def is_bicubic_row(mean, scale):
    decibels, similarity = BICUBIC[scale]
    off = abs(mean.bicubic_psnr - decibels), abs(mean.bicubic_ssim - similarity)
    return off[0] < 0.0006 and off[1] < 0.00006


@WHOLE_SETS
def test_bicubic_on_set5(data_folder):
    scores = list(evaluate(data_folder("Set5"), linear(), 3))
    names = [s.picture.rsplit(".", 1)[0].lower() for s in scores]
    assert len(names) == 5 and names == sorted(names)
    assert is_bicubic_row(average(scores), 3)
    for s in scores:  # the network hands on what it gets
        assert abs(s.psnr - s.bicubic_psnr) < 0.01
        assert abs(s.ssim - s.bicubic_ssim) < 0.0001


# Set5 in dB: of SRCNN at x3, and of 9-5-5 at all scales, no less than the paper's networks by
# ImageNet; of the others, what they have; of networks for video, those on Vid4
FLOORS = {
    ("9-1-5", 2): 36.50,
    ("9-1-5", 3): 32.52,
    ("9-1-5", 4): 30.20,
    ("9-3-5", 3): 32.72,
    ("9-5-5", 2): 36.75,
    ("9-5-5", 3): 32.85,
    ("9-5-5", 4): 30.55,
    ("9-1-5-rgb", 3): 32.33,
    ("espcn", 2): 36.90,
    ("espcn", 3): 32.95,
    ("espcn", 4): 30.65,
    ("edsr-s", 2): 37.60,
    ("edsr-s", 3): 33.80,
    ("edsr-s", 4): 31.50,
    ("edsr", 2): 37.70,
    ("edsr", 3): 34.03,
    ("edsr", 4): 31.67,
    ("photo", 2): 36.0,  # of clean pictures, which it is not for
    ("vdsr", 2): 37.00,
    ("vdsr", 3): 33.25,
    ("vdsr", 4): 31.00,
    ("drcn", 2): 36.95,
    ("drcn", 3): 33.00,
    ("drcn", 4): 30.75,
    ("srresnet-s", 4): 31.36,
    ("srgan", 4): 30.80,
    ("vespcn", 3): 27.15,
    ("vespcn", 4): 25.30,
    ("sc", 3): 31.42,  # Yang et al.
}


@WHOLE_SETS
@pytest.mark.parametrize("name, scale", shipped())
def test_shipped_weights_are_as_good_as_the_papers(data_folder, name, scale):
    network, floor = load(name, scale), FLOORS[name, scale]
    test = "Set5" if network.frames == 1 else "Vid4"
    scores = list(evaluate(data_folder(test), network, scale, motion=False))
    assert average(scores).psnr >= floor
    if test == "Set5" and network.c == 1:  # or the bicubic picture is made of three channels
        assert is_bicubic_row(average(scores), scale)
    for s in scores if network.start is None else ():  # a GAN's are not meant to be high
        assert s.psnr > s.bicubic_psnr + 0.4
        assert s.ssim > s.bicubic_ssim


# ------------------------------------------------------------- the protocol, written a second time


def resize_matrix(n, m):
    """The (m, n) matrix of MATLAB's bicubic, antialiased imresize, from n samples to m."""
    widen = max(1.0, n / m)
    centre = (np.arange(m) + 0.5) * n / m - 0.5
    places = np.arange(-2 * n, 3 * n)
    t = np.abs(centre[:, None] - places) / widen
    weights = np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2)
    weights[t >= 2] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    once = np.pad(np.arange(n), (n, n), mode="symmetric")
    sources = np.concatenate([once[n : 2 * n], once, once[n : 2 * n]])  # ... mirrored, twice more
    matrix = np.zeros((m, n))
    np.add.at(matrix.T, sources, weights.T)
    return matrix


def protocol(rgb_or_y, scale, enhance=lambda x: x):
    """(truth, bicubic, enhanced), levels 0..255 without the border, of a uint8 photograph."""
    color = pytest.importorskip("skimage.color")
    y = rgb_or_y if rgb_or_y.ndim == 2 else color.rgb2ycbcr(rgb_or_y)[:, :, 0]
    height, width = (n // scale * scale for n in y.shape)
    truth = np.round(y[:height, :width])
    down = resize_matrix(height, height // scale), resize_matrix(width, width // scale)
    up = resize_matrix(height // scale, height), resize_matrix(width // scale, width)
    low = up[0] @ (down[0] @ (truth / 255) @ down[1].T) @ up[1].T
    low = low.astype(np.float32)  # as which a network gets it
    inner = slice(scale, -scale)
    levels = [np.floor(np.clip(np.float64(x), 0, 1) * 255 + 0.5) for x in (low, enhance(low))]
    return [x[inner, inner] for x in (truth, *levels)]


def measures(a, b):
    metrics = pytest.importorskip("skimage.metrics")
    similarity = metrics.structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return metrics.peak_signal_noise_ratio(a, b, data_range=255), similarity


def of_a_few_pixels(a, b, pixels=20):
    """How far PSNR may be off if so many pixels, of twice the usual error, are off by one level."""
    mse = np.mean((a - b) ** 2)
    return 10 / math.log(10) * pixels * 2 * 2 * math.sqrt(mse) / (a.size * mse)


def photograph(name):
    """Part of one of scikit-image's own photographs, of sides that no scale divides."""
    picture = getattr(pytest.importorskip("skimage.data"), name)()
    return picture[:479, 30:437] if JIT else picture[200:239, 200:245]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["camera", "astronaut"])
def test_the_protocol_by_other_means(tmp_path, name, scale):
    ndimage = pytest.importorskip("scipy.ndimage")
    network = SRCNN.from_stack((3,), ())
    w = np.random.default_rng(0).normal(0, 0.1, (3, 3)) + np.diag([0, 1, 0])
    network.parameters["W1"][...] = w
    network.parameters["B1"][...] = 0.01

    def enhance(x):  # float32, rounded as seldom as possible
        filtered = ndimage.correlate(x.astype(np.float64), np.float32(w), mode="nearest") + 0.01
        return filtered.astype(np.float32)

    picture = photograph(name)
    write_picture(tmp_path / "photograph.png", picture)
    (ours,) = evaluate(tmp_path, network, scale)
    truth, bicubic, enhanced = protocol(picture, scale, enhance)
    assert ours.picture == "photograph.png"
    decibels, similarity = measures(truth, bicubic)
    assert ours.bicubic_psnr == pytest.approx(decibels, abs=1e-6)
    assert ours.bicubic_ssim == pytest.approx(similarity, abs=1e-8)
    # The network's own rounding can move a pixel from one level to the next, here and there.
    decibels, similarity = measures(truth, enhanced)
    off = of_a_few_pixels(truth, enhanced)
    assert ours.psnr == pytest.approx(decibels, abs=off)
    assert ours.ssim == pytest.approx(similarity, abs=off)
    assert abs(ours.psnr - ours.bicubic_psnr) > 0.1, "the network does nothing"


def test_the_second_protocol_sees_slips():
    """A shift by one pixel, one level, or full-range luminance would show in the test above."""
    picture = photograph("astronaut")
    truth, bicubic, _ = protocol(picture, 3)
    right, _ = measures(truth, bicubic)
    for wrong in (np.roll(bicubic, 1, axis=1), bicubic + 1, (bicubic - 16) * 255 / 219):
        assert abs(measures(truth, wrong)[0] - right) > 0.01


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_rgb_network_is_measured_on_luminance(tmp_path, scale):
    color = pytest.importorskip("skimage.color")
    picture = photograph("astronaut")
    write_picture(tmp_path / "a.png", picture)
    (ours,) = evaluate(tmp_path, linear(c=3), scale)
    planes = [protocol(picture[:, :, c], scale) for c in range(3)]
    truth, bicubic = (np.stack([p[k] for p in planes], axis=2) / 255 for k in (0, 1))
    y = [np.floor(color.rgb2ycbcr(x)[:, :, 0] + 0.5) for x in (truth, bicubic)]
    decibels, similarity = measures(*y)
    # Some Y are halves of levels, which two programs may round to either side.
    off = of_a_few_pixels(*y)
    for value in (ours.bicubic_psnr, ours.psnr):
        assert value == pytest.approx(decibels, abs=off)
    for value in (ours.bicubic_ssim, ours.ssim):
        assert value == pytest.approx(similarity, abs=off)


# ------------------------------------------------------------------------------------ single steps


def random_picture(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_a_grey_file_is_taken_to_be_luminance(tmp_path):
    colour = random_picture((30, 31, 3))
    y = np.floor(rgb_to_luma(colour / 255) * 255 + 0.5).astype(np.uint8)
    for name, picture in (("colour", colour), ("grey", y)):
        (tmp_path / name).mkdir()
        write_picture(tmp_path / name / "a.png", picture)
    first, second = (list(evaluate(tmp_path / n, linear(), 3)) for n in ("colour", "grey"))
    assert first == second
    (third,) = evaluate(tmp_path / "grey", linear(c=3), 3)  # runs, too
    assert math.isfinite(third.psnr)


def test_transparency_does_not_count(tmp_path):
    picture = random_picture((30, 31, 4))
    for c in (1, 3):
        pairs = [pair(x, 2, c) for x in (picture, picture[:, :, :3])]
        rows = [score(linear(c=c), *p, 2) for p in pairs]
        assert rows[0] == rows[1]
    write_picture(tmp_path / "a.png", picture)
    (row,) = evaluate(tmp_path, linear(), 2)
    assert row.psnr == score(linear(), *pair(picture, 2), 2).psnr


def test_the_result_is_clipped_and_rounded():
    low = high = np.full((1, 20, 20), 1, np.float32)
    row = score(linear(1, 7), low, high, 2, "white")
    assert row == Score("white", math.inf, 1.0, math.inf, 1.0)
    row = score(linear(1, -0.49 / 255), low, high, 2)
    assert row.psnr == math.inf
    row = score(linear(1, -0.51 / 255), low, high, 2)
    assert row.psnr == pytest.approx(20 * math.log10(255), abs=1e-9)  # one level off, everywhere


def test_the_border_does_not_count():
    high = (random_picture((1, 20, 20)) / np.float32(255)).astype(np.float32)
    low = high.copy()
    low[:, 3:-3, 3:-3] = high[:, 3:-3, 3:-3]
    low[:, :3] = low[:, -3:] = 1 - high[:, :3]
    assert score(linear(), low, high, 3).psnr == math.inf
    assert score(linear(), low, high, 2).psnr < 30


def test_average_is_the_mean_of_each_column():
    mean = average([Score("a", 30, 0.8, 31, 0.85), Score("b", 34, 0.9, 36, 0.95)])
    assert mean == Score("average", 32, pytest.approx(0.85), 33.5, pytest.approx(0.9))
    assert average([mean]) == mean
    rows = [Score("a", math.nan, 0.8, 31, 0.85, {"tof": 2.0, "x": math.nan}),
            Score("b", 34, 0.9, math.inf, 0.95, {"tof": math.nan, "x": math.nan})]  # fmt: skip
    mean = average(rows)
    assert mean.bicubic_psnr == 34 and mean.psnr == math.inf and mean.more["tof"] == 2
    assert math.isnan(mean.more["x"])  # as there is no number in the column


def test_other_metrics_get_levels_and_the_shave(tmp_path):
    """Luminance of both pictures, as PSNR has it; by names of one's own."""

    def error(picture, original, shave):
        assert picture.shape == original.shape == (30, 30) and shave == 3
        assert all(np.array_equal(x, np.round(x)) for x in (picture, original))
        return metrics.psnr(picture, original, shave)

    write_picture(tmp_path / "a.png", random_picture((30, 31, 3)))
    write_picture(tmp_path / "b.png", random_picture((32, 30, 3), 1))
    for c in (1, 3):
        rows = list(evaluate(tmp_path, linear(0.9, c=c), 3, more={"again": error}))
        for row in (*rows, average(rows)):
            assert row.more == {"bicubic_again": row.bicubic_psnr, "again": row.psnr}
            assert list(row.numbers)[:4] == ["bicubic_psnr", "bicubic_ssim", "psnr", "ssim"]
            assert row.numbers["again"] == row.psnr != row.bicubic_psnr

    def refuse(picture, original, shave):
        raise ValueError("not this one")

    with pytest.raises(ValueError, match=r"a\.png: not this one"):
        list(evaluate(tmp_path, linear(), 3, more={"none": refuse}))


def test_the_mean_while_training_is_the_same():
    pictures = [random_picture((30, 31, 3), seed) for seed in range(3)]
    network = linear(0.9, 0.05)
    for c in (1, 3):
        network = linear(0.9, 0.05, c)
        pairs = [pair(p, 3, c) for p in pictures]
        rows = [score(network, *p, 3) for p in pairs]
        assert mean_psnr(network, pairs, 3) == pytest.approx(average(rows).psnr, abs=1e-12)


def test_rows_come_as_soon_as_they_are_known(tmp_path):
    write_picture(tmp_path / "a.png", random_picture((30, 30)))
    (tmp_path / "b.png").write_bytes(b"no picture")
    rows = evaluate(tmp_path, linear(), 2)
    assert next(rows).picture == "a.png"
    with pytest.raises(ValueError, match="b.png is damaged or not a picture"):
        next(rows)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_picture_that_is_too_small(tmp_path, scale):
    least = 11 + 2 * scale
    least += -least % scale  # after cropping to a multiple of the scale
    write_picture(tmp_path / "a.png", random_picture((least, least + 5)))
    assert len(list(evaluate(tmp_path, linear(), scale))) == 1
    write_picture(tmp_path / "a.png", random_picture((60, least - 1)))
    words = rf"a.png is {least - 1} x 60 pixels; to compare at scale {scale} it needs at least"
    with pytest.raises(ValueError, match=words):
        list(evaluate(tmp_path, linear(), scale))


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(ValueError, match="no pictures in "):
        list(evaluate(tmp_path, linear(), 2))
    with pytest.raises(FileNotFoundError, match="no folder "):
        list(evaluate(tmp_path / "none", linear(), 2))


def test_a_network_is_scored_at_its_own_scale(tmp_path):
    write_picture(tmp_path / "a.png", random_picture((30, 40)))
    pairs = pair(random_picture((30, 40)), 3)
    network = linear()
    for call in (lambda *scale: list(evaluate(tmp_path, network, *scale)),
                 lambda *scale: score(network, *pairs, *scale)):  # fmt: skip
        network.scale = None
        with pytest.raises(ValueError, match="does not say what scale it was trained for: give it"):
            call()
        given = call(3)
        network.scale = 3
        assert call() == call(3) == given
        with pytest.raises(
            ValueError, match="was trained for scale 3, not 2, and weights work only"
        ):
            call(2)


def test_a_flat_picture_has_a_number():
    """Bicubic interpolation makes no error in it; a log of training holds no infinity."""
    flat = pair(np.full((24, 24), 0.5), 3, 1)
    assert mean_psnr(None, [flat], 3) == _EXACT
    other = pair(np.random.default_rng(0).random((24, 24)), 3, 1)
    mean = (_EXACT + mean_psnr(None, [other], 3)) / 2
    assert mean_psnr(None, [flat, other], 3) == pytest.approx(mean)
