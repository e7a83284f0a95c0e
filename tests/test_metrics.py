"""PSNR and SSIM by hand, against scikit-image, and the bicubic row of the paper's tables."""

import functools
import math

import numpy as np
import pytest

from pysrcnn import metrics
from pysrcnn.color import rgb_to_luma, rgb_to_ycbcr_full
from pysrcnn.metrics import ms_ssim, psnr, ssim, wpsnr
from pysrcnn.resize import imresize


def noisy_pair(shape, seed=1):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, shape).astype(np.uint8)
    b = np.clip(a + rng.normal(0, 20, shape), 0, 255).astype(np.uint8)
    return a, b


# ------------------------------------------------------------------------- the paper's bicubic row


def set5_bicubic(folder, scale, metrics, luma=rgb_to_luma):
    """Means over Set5 of bicubic enlargement, by the steps in `pysrcnn.metrics`."""
    imread = pytest.importorskip("imageio.v3").imread
    paths = sorted(folder.glob("*.bmp"))
    assert len(paths) == 5
    scores = []
    for path in paths:
        high = np.round(255 * luma(imread(path) / 255))
        height, width = (n - n % scale for n in high.shape)
        high = high[:height, :width]
        low = imresize(high, 1 / scale)
        out = np.round(np.clip(imresize(low, scale), 0, 255))
        scores.append([metric(out, high, scale) for metric in metrics])
    return np.mean(scores, axis=0)


@pytest.mark.parametrize(
    "scale, decibels, similarity, multiscale, weighted",
    [
        (2, 33.661, 0.9299, 0.9915, 50.06),
        (3, 30.392, 0.8682, 0.9754, 41.65),
        (4, 28.421, 0.8104, 0.9516, 37.21),
    ],
)
def test_bicubic_on_set5(data_folder, scale, decibels, similarity, multiscale, weighted):
    p, s, m, w = set5_bicubic(data_folder("Set5"), scale, (psnr, ssim, ms_ssim, wpsnr))
    assert abs(p - decibels) < 0.0006
    assert abs(s - similarity) < 0.00006
    assert abs(m - multiscale) < 0.00006
    assert abs(w - weighted) < 0.006


def test_full_range_luma_costs_more_than_a_decibel(data_folder):
    (p,) = set5_bicubic(data_folder("Set5"), 3, [psnr], lambda rgb: rgb_to_ycbcr_full(rgb)[..., 0])
    assert abs(p - 29.08) < 0.006


# -------------------------------------------------------------------------------------------- PSNR


def test_psnr_by_hand():
    a = np.zeros((4, 5))
    b = a.copy()
    b[1, 2] = 10.0  # MSE 100 / 20 = 5
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / 5), abs=1e-12)
    assert psnr(a, b, peak=10) == pytest.approx(10 * math.log10(20), abs=1e-12)
    assert psnr(a, a + 1) == pytest.approx(48.1308036086791, abs=1e-12)
    assert psnr(a, a + 0.1, peak=1.0) == pytest.approx(20, abs=1e-12)


def test_psnr_of_equal_pictures_is_infinite():
    a, _ = noisy_pair((6, 6))
    assert psnr(a, a) == math.inf


def test_unsigned_integers_do_not_wrap_around():
    a, b = np.full((12, 12), 3, np.uint8), np.full((12, 12), 5, np.uint8)
    assert psnr(a, b) == psnr(b, a) == pytest.approx(10 * math.log10(255**2 / 4), abs=1e-12)
    a, b = noisy_pair((20, 20))
    assert psnr(a, b) == psnr(a.astype(np.float64), b)
    assert ssim(a, b) == ssim(a.astype(np.float64), b.astype(np.int64))
    c, d = 257 * a.astype(np.uint16), 257 * b.astype(np.uint16)
    assert psnr(c, d, peak=65535) == pytest.approx(psnr(a, b), abs=1e-10)
    assert ssim(c, d, peak=65535) == pytest.approx(ssim(a, b), abs=1e-10)


def test_float32_pictures_are_averaged_in_float64():
    a, b = noisy_pair((300, 300))
    assert psnr(a.astype(np.float32), b.astype(np.float32)) == psnr(a, b)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_shaving_leaves_out_the_border(metric):
    a, b = noisy_pair((20, 23))
    assert metric(a, b, shave=3) == metric(a[3:-3, 3:-3], b[3:-3, 3:-3])
    border = b.copy()
    border[3:-3, 3:-3] = a[3:-3, 3:-3]  # wrong in the border only
    assert metric(a, border, shave=2) != metric(a, a)
    assert metric(a, border, shave=3) == metric(a, a)


# -------------------------------------------------------------------------------------------- SSIM


def naive_ssim(a, b, peak):
    """The formula of Wang et al. at every position of the window, with two-pass variances."""
    weights = np.array(
        [[math.exp(-(i * i + j * j) / (2 * 1.5**2)) for j in range(-5, 6)] for i in range(-5, 6)]
    )
    weights /= weights.sum()
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    values = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            mp, mq = (weights * p).sum(), (weights * q).sum()
            vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
            cov = (weights * (p - mp) * (q - mq)).sum()
            values.append(
                (2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
            )
    return np.mean(values)


@pytest.mark.parametrize("shape", [(11, 11), (11, 14), (17, 12)])
def test_ssim_equals_the_definition(shape):
    a, b = (x.astype(np.float64) for x in noisy_pair(shape))
    assert ssim(a, b) == pytest.approx(naive_ssim(a, b, 255), abs=1e-12)
    assert ssim(a / 255, b / 255, peak=1.0) == pytest.approx(naive_ssim(a, b, 255), abs=1e-12)


def test_ssim_by_hand():
    # Flat pictures have no variance: what is left is the luminance term.
    a, b = np.full((12, 13), 100.0), np.full((12, 13), 120.0)
    c1 = 2.55**2
    wanted = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
    assert ssim(a, b) == pytest.approx(wanted, abs=1e-10)
    a, b = noisy_pair((16, 16))
    assert ssim(a, a) == pytest.approx(1, abs=1e-12)
    assert ssim(a, 255 - a) < 0
    assert ssim(a, b) == ssim(b, a)


def test_channels():
    a, b = noisy_pair((20, 15, 3))
    each = [ssim(a[..., c], b[..., c]) for c in range(3)]
    assert ssim(a, b) == pytest.approx(np.mean(each), abs=1e-14)
    mse = np.mean((a.astype(float) - b) ** 2)
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / mse), abs=1e-12)
    assert psnr(a[..., :1], b[..., :1]) == psnr(a[..., 0], b[..., 0])


# ----------------------------------------------------------------------------------- other programs


@pytest.mark.parametrize("shape", [(40, 31), (25, 30, 3)])
def test_equal_to_scikit_image(shape):
    theirs = pytest.importorskip("skimage.metrics")
    a, b = noisy_pair(shape)
    similarity = functools.partial(
        theirs.structural_similarity,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2 if len(shape) == 3 else None,
    )
    wanted = theirs.peak_signal_noise_ratio(a, b, data_range=255)
    assert psnr(a, b) == pytest.approx(wanted, abs=1e-10)
    assert ssim(a, b) == pytest.approx(similarity(a, b), abs=1e-10)


@pytest.mark.parametrize("metric, drop", [(psnr, 0.01), (ssim, 1e-5)])
def test_one_percent_and_a_swap_of_axes_show(metric, drop):
    a = imresize(np.random.default_rng(3).uniform(20, 230, (8, 8)), 4)  # smooth, square
    b = a + np.random.default_rng(4).normal(0, 2, a.shape)
    score = metric(a, b)
    assert metric(a, 1.01 * b) < score - drop
    assert metric(a, b.T) < score - 100 * drop
    assert metric(a, b[::-1]) < score - 100 * drop
    assert metric(a, np.roll(b, 1, axis=0)) < score - 100 * drop


# ------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_errors_say_what_to_do(metric):
    a, _ = noisy_pair((20, 16))
    with pytest.raises(ValueError, match=r"\(20, 16\) and \(16, 20\), wanted equal ones"):
        metric(a, a.T)
    for shape in [(20,), (1, 20, 16, 1), (0, 16), (20, 16, 0)]:
        with pytest.raises(ValueError, match=r"wanted pixels as \(H, W\) or \(H, W, C\)"):
            metric(np.zeros(shape), np.zeros(shape))
    for shave in (8, 10, -1):
        with pytest.raises(ValueError, match="less than half of the shorter side"):
            metric(a, a, shave=shave)
    with pytest.raises(TypeError, match=r"shave=1\.5, wanted an int"):
        metric(a, a, shave=1.5)
    for peak in (0, -255, np.nan, np.inf):
        with pytest.raises(ValueError, match="wanted a positive number"):
            metric(a, a, peak=peak)
    for dtype in (bool, complex, object):
        with pytest.raises(TypeError, match="wanted integers or floating point"):
            metric(a.astype(dtype), a.astype(dtype))


def test_ssim_needs_room_for_its_window():
    a = np.zeros((12, 10))
    with pytest.raises(ValueError, match=r"12 x 10 pixels \(after shaving 0\), wanted at least"):
        ssim(a, a)
    a = np.zeros((13, 13))
    assert ssim(a, a, shave=1) == 1
    with pytest.raises(ValueError, match=r"9 x 9 pixels \(after shaving 2\)"):
        ssim(a, a, shave=2)


# -------------------------------------------------------------------------------- MS-SSIM and WPSNR


@pytest.mark.parametrize("shape", [(161, 170), (161, 170, 3)])
def test_ms_ssim_from_worst_to_best(shape):
    a, b = noisy_pair(shape)
    noisier, _ = noisy_pair(shape, seed=2)
    assert ms_ssim(a, a) == pytest.approx(1, abs=1e-12)
    assert 0 <= ms_ssim(a, noisier) < ms_ssim(a, b) < 1
    assert ms_ssim(a, b) == pytest.approx(ms_ssim(b, a), abs=1e-12)
    assert ms_ssim(a / 255, b / 255, peak=1.0) == pytest.approx(ms_ssim(a, b), abs=1e-12)
    if len(shape) == 2:
        assert ms_ssim(np.pad(a, 4), np.pad(b, 4), shave=4) == ms_ssim(a, b)
    with pytest.raises(ValueError, match="160 x 170 pixels .* at least 161 x 161"):
        ms_ssim(a[1:], b[1:])


def test_ms_ssim_of_contrast_alone():
    """Of a picture and a fainter one about the same mean: structure 1, luminance nearly 1."""
    a, _ = noisy_pair((200, 200))
    a = a - a.mean()
    faint = ms_ssim(128 + a / 4, 128 + a / 8)
    assert faint < ms_ssim(128 + a / 4, 128 + a / 5) < 1
    assert ms_ssim(128 + a / 4, 128 - a / 4) == 0  # the structure is the opposite


def test_the_filter_of_wpsnr_has_the_sensitivity_as_its_response():
    weights = metrics._contrast_sensitivity()
    assert np.allclose(weights, weights[::-1, ::-1], atol=1e-15)
    y, x = np.mgrid[-20:21, -20:21]
    for u, v in ((0, 0), (3, 0), (0, 7), (13, 0), (9, 9), (4, -17)):
        response = np.sum(weights * np.cos(2 * np.pi * (u * y + v * x) / 41))
        w = 2 * np.pi * math.hypot(u, v) / 60
        e = math.exp(8 * (w - 2 * np.pi * 11.13 / 60))
        s = 1.5 * math.exp(-2 * w * w) - math.exp(-4 * w * w)
        o = (1 + e * math.cos(2 * math.atan2(v, u)) ** 4) / (1 + e)
        assert response == pytest.approx(s * o, abs=1e-12), (u, v)


def test_wpsnr_of_a_wave():
    """Far from the edges, a wave's power is multiplied by the response squared."""
    x = np.arange(41 * 9)
    wave = np.tile(10 * np.sin(2 * np.pi * 5 * x / 41), (41 * 9, 1))
    w = 2 * np.pi * 5 / 60
    response = 1.5 * math.exp(-2 * w * w) - math.exp(-4 * w * w)
    expected = -10 * math.log10((10 / 255) ** 2 / 2 * response**2)
    assert wpsnr(128 + wave, np.full(wave.shape, 128.0)) == pytest.approx(expected, abs=0.2)


def test_wpsnr_of_equal_pictures_and_of_channels():
    a, b = noisy_pair((30, 40))
    assert wpsnr(a, a) == math.inf
    assert wpsnr(a, b) == pytest.approx(wpsnr(b, a))
    assert wpsnr(a / 255, b / 255, peak=1) == pytest.approx(wpsnr(a, b))
    assert wpsnr(np.pad(a, 3), np.pad(b, 3), shave=3) == pytest.approx(wpsnr(a, b))
    with pytest.raises(ValueError, match=r"wpsnr got shape \(30, 40, 3\)"):
        wpsnr(np.dstack([a] * 3), np.dstack([b] * 3))
