"""examples/nano_srcnn.py: the mathematics of the package, once more, and better than bicubic."""

import re
import runpy
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from rungs import JIT

from pysrcnn import reference
from pysrcnn.color import rgb_to_luma
from pysrcnn.metrics import psnr
from pysrcnn.resize import imresize

FILE = Path(__file__).parents[1] / "examples" / "nano_srcnn.py"


@pytest.fixture(scope="module")
def nano():
    """Its functions."""
    return runpy.run_path(str(FILE))


def test_it_needs_nothing_but_numpy_and_a_reader_of_pictures():
    text = FILE.read_text(encoding="utf-8")
    imported = re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE)
    assert set(imported) == {"pathlib", "imageio", "numpy"}
    code = re.sub(r'""".*?"""', "", text, flags=re.DOTALL).splitlines()
    code = [line for line in code if line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 110


def test_each_equation_is_named_where_it_is_computed():
    text = FILE.read_text(encoding="utf-8")
    for equation in range(1, 6):
        assert re.search(rf"=.*# Eq\. {equation}\b|return .*# Eq\. {equation}\b", text), equation


def test_gradients_are_those_of_the_reference(nano):
    rng = np.random.default_rng(1)
    p = {k: v + rng.normal(0, 0.05, v.shape) for k, v in nano["start"](rng).items()}  # float64
    y, x = rng.random((2, 1, 16, 17)), rng.random((2, 1, 4, 5))
    layers = [(p[f"W{k}"], p[f"B{k}"]) for k in "123"]
    loss, gradients = nano["loss_and_gradients"](y, x, p)
    wanted_loss, wanted = reference.loss_and_gradients(y, x, layers)
    assert loss == pytest.approx(wanted_loss, rel=1e-13)
    for k, (dw, db) in zip("123", wanted, strict=True):
        for name, array in (("W", dw), ("B", db)):
            assert np.abs(array).max() > 0
            np.testing.assert_allclose(
                gradients[name + k], array, rtol=0, atol=1e-12 * np.abs(array).max()
            )
    f = nano["forward"](y, p, pad=True)[2]
    np.testing.assert_allclose(f, reference.forward(y, layers, "replicate"), rtol=0, atol=1e-12)


def test_it_begins_as_the_picture_it_is_given(nano):
    y = np.random.default_rng(2).random((1, 1, 20, 21), np.float32)
    f = nano["forward"](y, nano["start"](np.random.default_rng(0)), pad=True)[2]
    assert 0 < np.abs(f - y).max() < 0.2


@pytest.mark.parametrize("size", [(20, 30), (180, 90), (31, 100), (60, 90)])
def test_its_resize_is_that_of_matlab(nano, size):
    x = np.random.default_rng(3).random((60, 90))
    np.testing.assert_allclose(nano["bicubic"](x, *size), imresize(x, shape=size), atol=1e-13)


def test_it_measures_as_the_paper_does(nano):
    rng = np.random.default_rng(4)
    rgb, more = rng.random((30, 40, 3)), rng.random((30, 40, 3))
    a, b = (nano["luminance"](c.transpose(2, 0, 1)) for c in (rgb, more))
    np.testing.assert_allclose(a, rgb_to_luma(rgb), atol=1e-14)
    assert nano["psnr"](a, b) == pytest.approx(psnr(*np.round(255 * np.stack([a, b])), shave=3))


@pytest.mark.skipif(not JIT, reason="the same without compiled code, of which it has none")
def test_a_short_training_is_better_than_bicubic(nano, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(nano["main"].__globals__, "BATCH", 8)
    nano["main"](steps=25)
    said = re.search(r"bicubic 30\.37 dB, SRCNN (\S+) dB: (\S+)", capsys.readouterr().out)
    assert float(said[1]) > 30.4 and float(said[2]) > 0.03
    assert imageio.imread("nano_srcnn.png").shape == (3 * 144, 3 * 3 * 96, 3)
