"""The experiments of the paper run, on noise, and the page is made of their results."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pysrcnn import SRCNN, imresize, load
from pysrcnn.data import luma
from pysrcnn.networks import EDSR, shipped
from pysrcnn.pictures import list_pictures, read_picture, write_picture
from pysrcnn.training import RECIPES

ROOT = Path(__file__).resolve().parent.parent


def command(name, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name in ("T91", "BSDS200", "General100", "Set5"):
        (folder / name).mkdir()
        noise = rng.integers(0, 256, (180, 171, 3), np.uint8)
        write_picture(folder / name / f"{name}.png", noise)
    write_picture(folder / "T91" / "small.png", noise[:40])  # is left out
    return folder


@pytest.mark.slow
def test_no_picture_of_set5_is_trained_on(data_folder, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.experiments import LARGE, LEFT_OUT

    def small(path):
        y = imresize(luma(read_picture(path)), shape=(16, 16)).ravel()
        return (y - y.mean()) / (np.linalg.norm(y - y.mean()) or 1)

    tests = np.stack([small(path) for path in list_pictures(data_folder("Set5"))])
    for folder in LARGE:
        for path in list_pictures(data_folder(folder)):
            alike = np.max(tests @ small(path))  # correlation
            assert (alike > 0.95) == (path.name in LEFT_OUT), path
            assert alike > 0.95 or alike < 0.7, path


@pytest.mark.slow
def test_an_experiment_goes_on_and_gives_the_same(data, tmp_path):
    pytest.importorskip("matplotlib")
    run = ("colour", "--quick", "--steps", 4, "--data", data, "--work", tmp_path)
    out = command("paper", *run)
    results = tmp_path / "quick" / "results" / "colour.json"
    first = json.loads(results.read_text())
    assert [line["name"] for line in first["lines"]] == [
        "bicubic", "Y only", "YCbCr", "Y pre-train", "CbCr pre-train", "RGB",
    ]  # fmt: skip
    for line in first["lines"]:
        assert line["psnr"].keys() == {"Y", "Cb", "Cr", "RGB"}
        assert line.get("samples", 64) == 64
        assert f"{line['psnr']['Y']:.2f}" in out
    bicubic, y_only = (line["psnr"] for line in first["lines"][:2])
    assert bicubic["Cb"] == y_only["Cb"] and bicubic["Y"] != y_only["Y"]
    (tmp_path / "quick" / "colour" / "RGB" / "network.npz").unlink()
    again = command("paper", *run)
    assert again.count("step       4/4") == 1  # only what was missing is trained again
    second = json.loads(results.read_text())
    assert [line["psnr"] for line in second["lines"]] == [line["psnr"] for line in first["lines"]]
    assert results.with_suffix(".png").read_bytes()[1:4] == b"PNG"


def test_the_page_has_the_numbers_of_its_results(tmp_path):
    pytest.importorskip("matplotlib")
    page = ROOT / "docs" / "paper.md"
    committed = page.read_text(encoding="utf-8")
    networks = json.loads((ROOT / "benchmarks/results/paper/networks.json").read_text())
    known = {(line["network"], line["scale"]): line["card"] for line in networks["lines"]}
    assert known == {which: load(path).card for which, path in shipped().items()}
    command("paper_page", "--output", tmp_path)
    assert (tmp_path / "paper.md").read_text(encoding="utf-8") == committed


def test_the_page_of_weights_has_the_cards_of_the_files(tmp_path):
    command("weights_page", "--output", tmp_path)
    committed = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    assert (tmp_path / "weights.md").read_text(encoding="utf-8") == committed
    for name, scale in shipped():
        assert f"\n## {name} ×{scale}\n" in committed


@pytest.mark.slow
def test_a_loss_of_some_channels_leaves_the_others_alone(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.paper import restrict_loss

    rng = np.random.default_rng(1)
    low, high = rng.random((2, 3, 13, 13), np.float32), rng.random((2, 3, 7, 7), np.float32)
    network = SRCNN(5, 9, 1, 8, 3, c=3, init="he", seed=2)
    restrict_loss(network, (0,))
    loss, gradients = network.loss_and_gradients(low, high)
    out = network.ops.forward(low, network.layers, "valid")
    assert loss == pytest.approx(np.mean((out[:, 0] - high[:, 0]) ** 2) / 3, rel=1e-5)
    assert not gradients["W3"][1:].any() and not gradients["B3"][1:].any()
    assert gradients["B3"][0] == pytest.approx(2 * np.mean(out[:, 0] - high[:, 0]) / 3, rel=1e-4)


@pytest.mark.slow
def test_photographs(data, tmp_path):
    """A table, its text, and pictures to look at."""
    shutil.copytree(data, tmp_path / "data")
    left_out = read_picture(data / "BSDS200" / "BSDS200.png")
    write_picture(tmp_path / "data" / "BSDS200" / "302003.jpg", left_out)
    options = ("--quick", "--data", tmp_path / "data", "--models", "9-1-5")
    places = ("--looks", tmp_path / "looks", "--output", tmp_path / "photo.json")
    out = command("photo", *options, *places)
    found = json.loads((tmp_path / "photo.json").read_text())
    assert set(found["sets"]) == {"held back", "Set5"} and found["scale"] == 2
    for name in found["sets"]:
        lines = {line["condition"]: line["scores"] for line in found["sets"][name]["lines"]}
        assert list(lines)[-1] == "by chance" and len(lines) == 7
        for method in ("bicubic", "9-1-5"):
            clean, worse = (lines[f"{kind}, noise 0"][method] for kind in ("no JPEG", "JPEG 30"))
            noisy = lines["JPEG 30, noise 10"][method]
            assert all(clean[m] > worse[m] for m in ("psnr", "ssim", "rgb_psnr"))
            assert noisy["psnr"] != worse["psnr"] and f"{clean['psnr']:.2f}" in out
    text = (tmp_path / "photo.txt").read_text()
    assert text.splitlines()[0] == "held back, x2, pictures: 1" and text.splitlines()[2] in out
    looks = sorted((tmp_path / "looks").iterdir())
    assert len(looks) == 14 and looks[0].name == "Set5-JPEG-30-noise-0.png"
    assert read_picture(looks[0]).shape == (176, 4 * (170 + 4) - 4, 3)


def test_a_card_says_how_pictures_were_degraded(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.weights_page import card

    monkeypatch.setattr("pysrcnn.networks.loading._WEIGHTS", tmp_path)
    network = EDSR(2, 1, 4, 3)
    for name, recipe in (("photo", RECIPES["photo"]), ("clean", RECIPES["edsr-s"])):
        network.card = {
            "data": "T91", "recipe": recipe.as_dict(), "minutes": 1, "scores": {},
        }  # fmt: skip
        network.save(tmp_path / f"{name}_x2.npz")
    degraded, clean = (card(n, 2, tmp_path / f"{n}_x2.npz") for n in ("photo", "clean"))
    assert "| degradation | blurred 0.3, sigma [0.3, 1.0], noisy 0.4, " in degraded
    assert "degradation" not in clean and "steps 20000" in clean
