"""NIQE against what BasicSR has for the same pictures, its model, and what is refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from niqe_pictures import NAMES, treated

from pysrcnn import niqe

RECORDED = json.loads((Path(__file__).parent / "niqe.json").read_text(encoding="utf-8"))
WITHIN = 1e-4  # BasicSR computes much of it in float32


def test_as_recorded_of_another_program():
    for name in NAMES:
        assert niqe.niqe(treated(name)) == pytest.approx(RECORDED["ours"][name], abs=WITHIN), name


def test_as_recorded_with_the_parameters_of_the_authors(data_folder):
    model = niqe.load(data_folder("niqe") / "niqe_pris_params.npz")
    for name in NAMES[:3]:
        wanted = RECORDED["authors"][name]
        assert niqe.niqe(treated(name), model) == pytest.approx(wanted, abs=WITHIN), name


def test_that_comparison_sees_slips():
    """Of one per cent, of a pixel, of the axes: each moves it by far more than is allowed."""
    x, wanted = treated("coffee as it is"), RECORDED["ours"]["coffee as it is"]
    for wrong in (1.01 * x.clip(0, 250), x[1:], x[:, ::2], x.T):
        assert abs(niqe.niqe(wrong) - wanted) > 10 * WITHIN


def test_what_looks_worse_has_more():
    ours = RECORDED["ours"]
    for what in ("blurred", "noisy"):
        for file in ("cat", "coffee"):
            assert ours[f"{file} {what}"] > ours[f"{file} as it is"] + 2


@pytest.mark.parametrize("shape, left, right", [(0.7, 1, 1), (1, 2, 1), (2, 0.7, 1.4), (4, 1, 3)])
def test_the_fit_finds_the_distribution(shape, left, right):
    """Of samples at even quantiles of an asymmetric generalised Gaussian (Eq. 4)."""
    half = np.linspace(0, 60, 600001)[1:]
    cumulative = np.cumsum(np.exp(-(half**shape)))
    count = round(20000 * left / (left + right))  # the density is the same on both sides of 0
    low, high = (
        np.interp((np.arange(n) + 0.5) / n, cumulative / cumulative[-1], half)
        for n in (count, 20000 - count)
    )
    x = np.concatenate([-left * low, right * high]).reshape(1, 200, 100)
    found = [float(v[0]) for v in niqe._fitted(x)]
    assert found == pytest.approx([shape, left, right], rel=0.02)


def test_coefficients_by_hand():
    """Eq. 1 to 3 at a place, with the window as a sum over 7 x 7 places; edges repeated."""
    x = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.float64)
    mscn, deviation = niqe._normalised(x)
    weights = np.array(
        [[math.exp(-(i * i + j * j) / (2 * (7 / 6) ** 2)) for j in range(-3, 4)]
         for i in range(-3, 4)]
    )  # fmt: skip
    weights /= weights.sum()
    for i, j in ((0, 0), (5, 29), (10, 12)):
        around = np.pad(x, 3, mode="edge")[i : i + 7, j : j + 7]
        mean = (weights * around).sum()
        wanted = math.sqrt((weights * (around - mean) ** 2).sum())
        assert deviation[i, j] == pytest.approx(wanted, abs=1e-10)
        assert mscn[i, j] == pytest.approx((x[i, j] - mean) / (wanted + 1), abs=1e-10)


def test_ranges_shaving_and_colour():
    x = treated("cat as it is")[:200, :200]
    value = niqe.niqe(x)
    assert niqe.niqe(x.astype(np.uint8)) == value == niqe.niqe(x / 255, peak=1)
    assert niqe.niqe(257 * x.astype(np.uint16), peak=65535) == value
    assert niqe.niqe(np.pad(x, 5), shave=5) == value
    assert niqe.niqe(np.dstack([x] * 3)) == value  # grey
    colour = np.dstack([x, np.zeros_like(x), np.zeros_like(x)])
    assert niqe.niqe(colour) == niqe.niqe(np.round(0.298936 * x))  # red is 0.2989 of grey


def test_flat_blocks_are_left_out():
    x = treated("cat as it is")[:192, :288]
    wide = np.pad(x, ((0, 0), (0, 200)), constant_values=200)
    wide[:, 288:296] = x[:, -1:]  # the block beside has an edge, the last has nothing at all
    features = niqe._features(wide)[0]
    flat = np.isnan(features).any(axis=1)
    assert flat.sum() == 2 and not flat[:3].any()
    assert math.isfinite(niqe.niqe(wide))
    with pytest.raises(ValueError, match="texture in 0 blocks of 96 x 96 pixels, wanted at least"):
        niqe.niqe(np.full((192, 192), 77))


def test_a_model_of_ones_own(tmp_path):
    pictures = [treated(f"{file} as it is") for file in ("cat", "coffee", "astronaut")]
    features, sharpness = niqe._features(pictures[0])
    assert 1 <= (sharpness > 0.75 * sharpness.max()).sum() < len(features)
    with pytest.raises(ValueError, match=r"3 pictures with \d+ sharp blocks .* more than 36"):
        niqe.fit(pictures)
    with pytest.raises(ValueError, match="fit got 0 pictures"):
        niqe.fit([])
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (96 * 7, 96 * 7))  # all blocks are about as sharp
    model = niqe.fit(iter([noise]))
    features = niqe._features(noise.astype(np.float64))[0]
    assert np.array_equal(model.mean, features.mean(axis=0))
    assert np.allclose(model.covariance, np.cov(features.T), rtol=1e-12)
    assert niqe.niqe(noise, model) == 0
    model.save(tmp_path / "m.npz", pictures=1)
    again = niqe.load(tmp_path / "m.npz")
    assert np.array_equal(model.mean, again.mean)
    assert np.array_equal(model.covariance, again.covariance)
    assert niqe.niqe(pictures[0], model) > niqe.niqe(pictures[0])


def test_files_of_others(tmp_path):
    io = pytest.importorskip("scipy.io")
    model = niqe.shipped()
    mean = model.mean[None]  # a row, in both
    arrays = {"mu_prisparam": mean, "cov_prisparam": model.covariance}
    io.savemat(tmp_path / "modelparameters.mat", arrays)
    np.savez(tmp_path / "p.npz", mu_pris_param=mean, cov_pris_param=model.covariance, other=1.0)
    for name in ("modelparameters.mat", "p.npz"):
        found = niqe.load(tmp_path / name)
        assert np.array_equal(found.mean, model.mean)
        assert np.array_equal(found.covariance, model.covariance)


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"W": np.zeros(3)}, "holds no parameters of NIQE: wanted arrays called mean and"),
        ({"mean": np.zeros(35), "covariance": np.eye(36)}, r"a mean of shape \(35,\)"),
        ({"mean": np.zeros(36), "covariance": np.zeros(36)}, "it is not for NIQE"),
        ({"mean": np.zeros(36, int), "covariance": np.eye(36)}, "of floating point"),
        ({"mean": np.full(36, np.nan), "covariance": np.eye(36)}, "not finite: it is damaged"),
    ],
)
def test_files_that_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        niqe.load(tmp_path / "x.npz")
    with pytest.raises(FileNotFoundError, match="no file"):
        niqe.load(tmp_path / "none.npz")


def test_errors_say_what_to_do():
    x = np.random.default_rng(0).integers(0, 256, (200, 200))
    for shape in ((95, 300), (191, 100), (100, 191)):
        with pytest.raises(ValueError, match="wanted room for two blocks after shaving, as 192"):
            niqe.niqe(np.zeros(shape, np.uint8))
    for shave in (5, 100, 300, -1):
        with pytest.raises(ValueError, match=rf"200 x 200 pixels and shave={shave}, wanted room"):
            niqe.niqe(x, shave=shave)
    with pytest.raises(TypeError, match=r"shave=1\.5, wanted an int"):
        niqe.niqe(x, shave=1.5)
    for shape in ((200,), (200, 200, 4), (1, 1, 200, 200), (0, 200)):
        with pytest.raises(ValueError, match="wanted luminance|wanted room"):
            niqe.niqe(np.zeros(shape, np.uint8))
    for wrong in (x - 1.0, x + 1.0, np.where(x == 0, np.nan, x)):
        with pytest.raises(ValueError, match=r"niqe got values from .*, wanted 0\.\.255; clip"):
            niqe.niqe(wrong)
    with pytest.raises(ValueError, match=r"up to 1 with peak=255, which is black; .* peak=1\."):
        niqe.niqe(x / 255)
    for peak in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="wanted a positive number"):
            niqe.niqe(x, peak=peak)
    for dtype in (bool, complex, object):
        with pytest.raises(TypeError, match="wanted integers or floating point"):
            niqe.niqe(x.astype(dtype))
