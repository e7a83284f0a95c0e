"""The command from outside: what it writes and prints, and one line for whatever goes wrong."""

import errno
import json
import math
import os
import re
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numba
import numpy as np
import pytest
from processes import environment, process, python

import pysrcnn
import pysrcnn.batch.enlarge
import pysrcnn.cli
from pysrcnn import SRCNN, cli, load
from pysrcnn._signals import ENDS
from pysrcnn.cli import main
from pysrcnn.command import train
from pysrcnn.data import pair
from pysrcnn.evaluate import levels
from pysrcnn.formats import READABLE
from pysrcnn.networks import EDSR, ESPCN, Network, load_features
from pysrcnn.pictures import read_picture, write_picture
from pysrcnn.training import RECIPES, Training, files, fitting, read_log
from pysrcnn.training.optim import SGD, Muon
from pysrcnn.training.split import split
from pysrcnn.training.stream import Stream

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "upscale.py"


def picture_of(height, width, *channels, seed=0):
    """A smooth picture with some noise, of the size of a thumbnail."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.add.outer(np.arange(height) / 3, np.arange(width) / (4 + seed)))
    noise = rng.normal(0, 10, (height, width, *channels))
    smooth = 128 + 90 * waves.reshape(height, width, *[1] * len(channels))
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def network_for(scale, c=1):
    """A small network that hands on nearly what it gets."""
    network = SRCNN(3, 9, 1, 8, 3, c, init="identity", seed=scale)
    network.scale = scale
    network.card = {"data": "made up", "scores": {"Set5": {"PSNR": 30 + scale, "SSIM": 0.9}}}
    return network


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder, in which weights called 9-1-5 are shipped for all three scales."""
    weights = tmp_path / "weights"
    weights.mkdir()
    for scale in (2, 3, 4):
        network_for(scale).save(weights / f"9-1-5_x{scale}.npz")
    monkeypatch.setattr("pysrcnn.networks.loading._WEIGHTS", weights)
    for module in ("command.common", "networks"):
        monkeypatch.setattr(f"pysrcnn.{module}.DEFAULT", "9-1-5")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def pictures(folder):
    """A folder of three pictures of 40 x 40."""
    (folder / "pictures").mkdir()
    for k in range(3):
        write_picture(folder / "pictures" / f"{k}.png", picture_of(40, 40, 3, seed=k))
    return folder / "pictures"


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def run(*arguments):
    return main([os.fspath(a) for a in arguments])


# ---------------------------------------------------------------------------------------- upscale


@pytest.mark.parametrize("scale", [None, 2, 3, 4])
def test_the_result_is_written_beside_the_picture(folder, capsys, scale):
    (folder / "sub").mkdir()
    picture = picture_of(10, 12, 3)
    write_picture(folder / "sub" / "a.b.bmp", picture)
    assert run("upscale", "sub/a.b.bmp", *(["-s", str(scale)] if scale else [])) == 0
    scale = scale or 3
    assert names(folder) == ["sub", "sub/a.b.bmp", f"sub/a.b_x{scale}.png"]
    out, err = capsys.readouterr()
    name = os.path.join("sub", f"a.b_x{scale}.png")
    size = f"{12 * scale} x {10 * scale} pixels, from 12 x 10 by 9-1-5 x{scale} in "
    assert out.startswith(f"{name}: {size}") and out.count("\n") == 1
    assert err == "" or err.startswith("compiling")
    wanted = pysrcnn.upscale(picture, scale, "9-1-5")
    assert np.array_equal(read_picture(f"sub/a.b_x{scale}.png"), wanted)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "jpg", "webp"])
def test_the_result_goes_to_a_file(folder, suffix):
    write_picture("a.png", picture_of(10, 12, 3))
    assert run("upscale", "a.png", "-s", "2", "--output", f"large.{suffix}") == 0
    assert names(folder) == ["a.png", f"large.{suffix}"]
    assert read_picture(f"large.{suffix}").shape == (20, 24, 3)


def test_the_result_goes_to_a_folder(folder):
    (folder / "out").mkdir()
    write_picture("a.png", picture_of(10, 12))
    assert run("upscale", "a.png", "-o", "out") == 0
    assert run("upscale", "-s", "2", "-o", "out/", "a.png") == 0
    assert names(folder) == ["a.png", "out", "out/a_x2.png", "out/a_x3.png"]


def test_several_pictures(folder, pictures, capsys):
    (folder / "out").mkdir()
    inputs = sorted(pictures.iterdir())
    assert run("upscale", *inputs, "-s", "2", "-o", "out") == 0
    assert names(folder / "out") == ["0_x2.png", "1_x2.png", "2_x2.png"]
    assert capsys.readouterr().out.count("\n") == 3
    assert run("upscale", *inputs[:2]) == 0
    assert names(pictures) == ["0.png", "0_x3.png", "1.png", "1_x3.png", "2.png"]


def test_several_pictures_one_of_them_bad(folder, capsys):
    write_picture("a.png", picture_of(10, 12))
    Path("b.png").write_text("no picture")
    write_picture("c.png", picture_of(10, 12))
    assert run("upscale", "a.png", "b.png", "none.png", "c.png", "-s", "2") == 2
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["a_x2.png", "c_x2.png"]
    complaints = [line for line in err.splitlines() if not line.startswith("compiling")]
    assert len(complaints) == 3 and complaints[2] == "2 enlarged, 2 failed"
    assert complaints[0].startswith("pysrcnn: b.png is damaged or not a picture")
    assert complaints[1].startswith("pysrcnn: no file none.png")
    assert names(folder) == ["a.png", "a_x2.png", "b.png", "c.png", "c_x2.png"]


def test_two_pictures_do_not_become_one(folder):
    """a.png and a.bmp would both be a_x2.png: whatever the command does, it must not lose one."""
    write_picture("a.png", picture_of(10, 12))
    write_picture("a.bmp", picture_of(6, 8))
    code = run("upscale", "a.png", "a.bmp", "-s", "2")
    results = [n for n in names(folder) if n not in ("a.png", "a.bmp")]
    assert code == 2 or len(results) == 2


def test_a_result_does_not_overwrite_another_picture(folder, capsys):
    write_picture("a.png", picture_of(10, 12))
    write_picture("a_x3.png", picture_of(6, 8))
    before = Path("a_x3.png").read_bytes()
    assert run("upscale", "a.png", "a_x3.png") == 2
    assert "a_x3.png is one of the pictures" in capsys.readouterr().err
    assert names(folder) == ["a.png", "a_x3.png", "a_x3_x3.png"]
    assert Path("a_x3.png").read_bytes() == before


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3), (9, 8, 4)])
def test_the_kind_of_picture_is_kept(folder, shape):
    write_picture("a.png", picture_of(*shape))
    assert run("upscale", "a.png", "-s", "2") == 0
    result = read_picture("a_x2.png")
    assert result.dtype == np.uint8 and result.shape == (18, 16, *shape[2:])


def test_grey_of_16_bits_is_kept(folder):
    wide = picture_of(9, 8).astype(np.uint16) * 257 + 1
    write_picture("a.png", wide)
    assert run("upscale", "a.png", "-s", "2") == 0
    assert read_picture("a_x2.png").dtype == np.uint16
    assert np.array_equal(read_picture("a_x2.png"), pysrcnn.upscale(wide, 2, "9-1-5"))


def test_a_floating_point_file_gives_a_picture_or_a_sentence(folder, capsys):
    image = pytest.importorskip("PIL.Image")
    image.fromarray((picture_of(9, 8) / 255).astype(np.float32)).save("a.tif")
    code = run("upscale", "a.tif", "-s", "2", "-o", "b.tif")
    if code == 0:
        assert read_picture("b.tif").shape == (18, 16)
    code = run("upscale", "a.tif", "-s", "2")  # to PNG, which has no floating point
    if code == 0:
        assert read_picture("a_x2.png").shape == (18, 16)
    else:
        complaint = capsys.readouterr().err.splitlines()[-1]
        assert code == 2 and complaint.startswith("pysrcnn: cannot write a_x2.png")
        assert not Path("a_x2.png").exists()


@pytest.mark.parametrize(
    "name", ["with space.png", "100%.png", "größe.png", "{0}[1]*.png", "-.png"]
)
def test_odd_names(folder, capsys, name):
    write_picture(name, picture_of(5, 6))
    assert run("upscale", "-s", "2", "--", name) == 0
    assert names(folder) == sorted([name, f"{name[:-4]}_x2.png"])
    assert capsys.readouterr().out.startswith(f"{name[:-4]}_x2.png: 12 x 10 pixels")


@pytest.mark.parametrize("arguments", ["-lead.png", "a.png -lead.png", "-song.png"])
def test_a_name_that_looks_like_an_option(folder, capsys, arguments):
    name = arguments.split()[-1]
    write_picture(name, picture_of(5, 6))
    with pytest.raises(SystemExit):
        run("upscale", *arguments.split())
    assert f"; for the file {name} write ./{name}; pysrcnn" in capsys.readouterr().err
    assert run("upscale", f"./{name}") == 0


def test_an_option_that_is_too_long_for_a_name(folder, capsys):
    with pytest.raises(SystemExit) as ended:
        run("upscale", "a.png", f"--{'x' * 5000}")
    assert ended.value.code == 2
    assert "unrecognized arguments: --xxx" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_names_of_what_was_written_do_not_command_the_terminal(folder, capsys):
    name = "a\n\x1b[31m"
    assert run("convert", "9-1-5", f"{name}.npz", "-s", "3") == 0
    assert run("gradcheck", "--write", f"{name}-case.npz", "--network", "3-1-3") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(r"a\n\x1b[31m.npz: <SRCNN") and out[1:] == [r"a\n\x1b[31m-case.npz"]


def test_weights_from_a_file(folder):
    write_picture("a.png", picture_of(9, 8, 3))
    network = network_for(2, c=3)
    network.save("mine.npz")
    assert run("upscale", "a.png", "-s", "2", "-m", "mine.npz") == 0
    wanted = pysrcnn.upscale(read_picture("a.png"), 2, network)
    assert np.array_equal(read_picture("a_x2.png"), wanted)


def test_weights_from_a_file_are_used_at_their_own_scale(folder, pictures, capsys):
    network_for(2).save("mine.npz")
    write_picture("a.png", picture_of(10, 12))
    assert run("upscale", "a.png", "-m", "mine.npz") == 0
    assert names(folder)[:2] == ["a.png", "a_x2.png"] and read_picture("a_x2.png").shape == (20, 24)
    assert "from 12 x 10 by 3-1-3 of mine.npz x2 in" in capsys.readouterr().out
    assert pysrcnn.upscale(read_picture("a.png"), model="mine.npz").shape == (20, 24)
    assert run("evaluate", pictures, "-m", "mine.npz") == 0
    assert capsys.readouterr().out.startswith("scale 2 ")


def test_the_number_of_threads_does_not_change_the_picture(folder):
    write_picture("a.png", picture_of(30, 40, 3))
    for name, threads in ("one", 1), ("all", numba.config.NUMBA_NUM_THREADS):
        assert run("upscale", "a.png", "--threads", str(threads), "-o", f"{name}.png") == 0
    assert np.array_equal(read_picture("one.png"), read_picture("all.png"))


# --------------------------------------------------------------------------------------- evaluate


def test_evaluate(folder, pictures, capsys):
    long = "a-photograph-with-a-name-that-is-much-longer-than-a-column.png"
    (pictures / "2.png").rename(pictures / long)
    assert run("evaluate", pictures, "-s", "2", "--json", "table.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3 + 1
    assert "scale 2" in lines[0] and "bicubic" in lines[0] and "9-1-5" in lines[0]
    assert lines[1].split() == ["PSNR", "dB", "SSIM", "PSNR", "dB", "SSIM"]
    assert all(len(line) <= 80 for line in lines)
    assert len({len(line) for line in lines[2:]}) == 1
    names = ["0.png", "1.png", "a-photograph-wit ...", "average"]
    assert [line[:20].strip() for line in lines[2:]] == names

    os.chdir(pictures)
    table = folder / "table.json"
    assert run("evaluate", ".", "-s", "2", "--json", table) == 0
    table = json.loads(table.read_text(encoding="utf-8"))
    assert (table["folder"], table["scale"], table["model"]) == ("pictures", 2, "9-1-5")
    assert [row["picture"] for row in table["pictures"]] == ["0.png", "1.png", long]
    for row, line in zip([*table["pictures"], table["average"]], lines[2:], strict=True):
        cells = [float(cell) for cell in line[20:].split()]
        columns = ("bicubic_psnr", "bicubic_ssim", "psnr", "ssim")
        for cell, column, digits in zip(cells, columns, (2, 4, 2, 4), strict=True):
            assert cell == pytest.approx(row[column], abs=0.51 * 10**-digits)
    for column in columns:
        mean = np.mean([row[column] for row in table["pictures"]])
        assert table["average"][column] == pytest.approx(mean, abs=1e-12)


def test_evaluate_by_chosen_metrics(folder, capsys):
    (folder / "photographs").mkdir()
    for k in range(2):
        write_picture(folder / "photographs" / f"{k}.png", picture_of(200, 210))
    write_picture(folder / "photographs" / "small.png", picture_of(60, 70))
    rows = {}
    for names_, heads in (
        ("psnr,ssim,niqe", "PSNR dB SSIM NIQE"), ("niqe", "NIQE"), ("NIQE, psnr", "NIQE PSNR dB"),
        ("psnr,ssim", "PSNR dB SSIM"),
    ):  # fmt: skip
        code = run("evaluate", "photographs", "--metrics", names_, "--json", "table.json")
        out, err = capsys.readouterr()
        lines, table = out.splitlines(), json.loads(Path("table.json").read_text())
        assert lines[1].split() == 2 * heads.split()
        assert {len(line) for line in lines[:2]} == {len(line) for line in lines[2:]}
        assert len(lines[0]) <= 80
        chosen = names_.lower().replace(" ", "").split(",")
        columns = [f"bicubic_{name}" for name in chosen] + chosen
        for row in (*table["pictures"], table["average"]):
            assert list(row) == ["picture", *columns]
        if "niqe" in chosen:
            assert code == 2 and len(table["pictures"]) == 3 - (len(chosen) == 1)
            assert "niqe got 69 x 60 pixels and shave=3, wanted room for two" in err
            assert len(chosen) == 1 or "small.png: without niqe: niqe got 69 x 60" in err
            last = "averaged 2 pictures, 1 failed" if len(chosen) == 1 else "averaged 3 pictures, "
            assert err.splitlines()[-1].startswith(last) and table["niqe_model"] == "pysrcnn"
            assert len(chosen) == 1 or err.endswith(", niqe of 2\n") and table["failed"] == 0
        else:
            assert code == 0 and len(table["pictures"]) == 3 and "niqe_model" not in table
        for line, row in zip(lines[2:], [*table["pictures"], table["average"]], strict=True):
            shown = [float(cell) for cell in line.split()[1:]]
            numbers = [math.nan if row[name] is None else row[name] for name in columns]
            assert shown == pytest.approx(numbers, abs=0.0051, nan_ok=True)
            assert all(map(math.isfinite, numbers)) or row["picture"] == "small.png"
        rows[names_] = table["pictures"][0]
    assert rows["niqe"].items() <= rows["psnr,ssim,niqe"].items()
    assert rows["niqe"]["niqe"] != rows["niqe"]["bicubic_niqe"]


def test_evaluate_by_niqe_with_a_model_of_others(folder, capsys):
    from pysrcnn import niqe

    (folder / "photographs").mkdir()
    write_picture(folder / "photographs" / "0.png", picture_of(200, 200))
    model = niqe.shipped()
    niqe.Pristine(model.mean + 1, model.covariance).save("other.npz")
    values = []
    for more in ([], ["--niqe-model", "other.npz"]):
        arguments = ["evaluate", "photographs", "--metrics", "niqe", "--json", "table.json", *more]
        assert run(*arguments) == 0
        table = json.loads(Path("table.json").read_text())
        values.append((table["niqe_model"], table["average"]["niqe"]))
    assert [name for name, _ in values] == ["pysrcnn", "other.npz"]
    assert values[0][1] != values[1][1]
    Path("other.npz").rename("other.json")
    capsys.readouterr()
    arguments[-1] = "other.json"
    arguments[5] = "other.json"
    assert run(*arguments) == 2
    assert "other.json" in capsys.readouterr().err
    assert niqe.load("other.json").mean.shape == (36,)


def test_evaluate_by_features_of_a_file_and_says_what_it_measured(folder, capsys):
    (folder / "photographs").mkdir()
    for k in range(2):
        write_picture(folder / "photographs" / f"{k}.png", picture_of(40, 44))
    network = EDSR(2, 2, 4, seed=1)
    for p in network.parameters.values():
        p += np.random.default_rng(2).normal(0, 0.1, p.shape).astype(np.float32)
    network.save("own.npz")
    arguments = ["evaluate", "photographs", "-s", "2", "-m", "9-1-5", "--json", "table.json"]
    more = ["--features", "own.npz", "--layer", "block1", "--metrics"]
    assert run(*arguments, *more, "psnr,features", "--ensemble") == 0
    table = json.loads(Path("table.json").read_text())
    wanted = {
        "channels": "luminance", "sharpness": None, "ensemble": True, "shave": 2,
        "measured": "luminance, 8 bits", "recursive": False,
        "features": "EDSR block1 of own.npz",
    }  # fmt: skip
    assert wanted.items() <= table.items()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["PSNR", "dB", "feat."] * 2
    # Of the first picture by hand: bicubic against the original, what is shaved off left out.
    features = load_features("own.npz", "block1")
    low, high = pair(read_picture("photographs/0.png"), 2, 1, False)
    x, y = ((levels(one) / 255)[None, None, 2:-2, 2:-2].astype(np.float32) for one in (low, high))
    maps = [features.forward(one).astype(np.float64) for one in (x, y)]
    distance = np.linalg.norm(maps[0] - maps[1]) / np.linalg.norm(maps[1])
    row = table["pictures"][0]
    assert row["bicubic_features"] == pytest.approx(distance, rel=1e-5)
    assert 0 < row["features"] != row["bicubic_features"] < 1
    assert features.distance(y, y) == 0
    (folder / "clips").mkdir()
    (folder / "photographs").rename(folder / "clips" / "walk")
    arguments[1] = "clips"
    for name in ("0.png", "1.png"):
        write_picture(folder / "clips" / "walk" / name, picture_of(220, 220))
    assert run(*arguments, *more, "psnr,ssim,niqe,features,tof", "--clips") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {len(line) for line in lines} == {80}
    assert lines[1].split() == ["PSNR", "SSIM", "NIQE", "feat.", "tOF"] * 2


def test_evaluation_goes_on_after_a_bad_picture(folder, pictures, capsys):
    (pictures / "below").mkdir()
    write_picture(pictures / "below" / "3.png", picture_of(40, 40))
    (pictures / "1.png").write_text("no picture")
    write_picture(pictures / "2.png", picture_of(12, 12))
    assert run("evaluate", pictures, "--json", "table.json") == 2
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["0.png", "average"]
    complaints = [line for line in err.splitlines() if not line.startswith("compiling")]
    assert [line.split(os.sep)[-1][:8] for line in complaints[:2]] == ["1.png is", "2.png is"]
    assert complaints[2:] == ["averaged 1 picture, 2 failed"]
    assert json.loads(Path("table.json").read_text())["failed"] == 2
    assert run("evaluate", pictures, "-r") == 2
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["0.png", "below/3.png", "average"]
    assert lines[2].split() == out.splitlines()[2].split() != out.splitlines()[3].split()
    assert err.splitlines()[-1] == "averaged 2 pictures, 2 failed"


def test_what_a_folder_has_that_is_not_read(folder, pictures, capsys, monkeypatch):
    """By evaluate and train as by upscale."""
    for name in ("3.HEIC", "4.NEF"):
        (pictures / name).touch()
    advice = "2 not read (3.HEIC, 4.NEF): convert to JPEG, PNG or TIFF first"
    assert run("evaluate", pictures) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"averaged 3 pictures, {advice}"
    run("train", pictures, "-s", "2", "-o", "mine.npz", *TINY)
    assert f"{pictures}: {advice}" in capsys.readouterr().err
    for name in ("3.HEIC", "4.NEF"):
        (pictures / name).unlink()
    (pictures / "closed").mkdir()

    def scandir(path, usual=os.scandir):  # which root may do everywhere
        if os.path.basename(path) == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return usual(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert run("evaluate", pictures, "-r") == 2
    err = capsys.readouterr().err.splitlines()
    assert "closed cannot be read (Permission denied)" in err[-2]
    assert err[-1] == "averaged 3 pictures, 1 failed"


def test_a_folder_may_be_called_as_weights_are(folder, pictures, capsys):
    pictures.rename("9-1-5")
    assert run("evaluate", "9-1-5", "-s", "2") == 0
    assert run("upscale", "9-1-5", "-s", "2", "-o", "out") == 0
    assert len(names(folder / "out")) == 3


@pytest.mark.parametrize("name", ["mine.npz", "my-own-weights-trained-on-holiday-pictures.npz"])
def test_the_table_fits_with_weights_from_a_file(folder, pictures, capsys, name):
    network_for(3).save(name)
    for model in (name, folder / name):
        assert run("evaluate", pictures, "-m", model) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 80


def test_the_table_is_valid_json_for_a_picture_without_errors(folder, pictures):
    """A flat picture has infinite PSNR, and JSON has no word for that."""
    write_picture(pictures / "black.png", np.zeros((40, 40), np.uint8))
    assert run("evaluate", pictures, "--json", "table.json") == 0

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    json.loads(Path("table.json").read_text(encoding="utf-8"), parse_constant=refuse)


# ------------------------------------------------------------------------------------------ train

TINY = ("--steps", "6", "--every", "2", "--size", "15", "--batch", "4")
TINY += ("--network", "3-1-3", "--filters", "9-8")


def test_training_gives_weights(folder, pictures, capsys):
    assert run("train", pictures, "-s", "2", "-o", "mine.npz", *TINY, "--seed", "3") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("3-1-3 x2: 2 pictures, 6 steps of 4 sub-images, muon")
    assert out[1] == "pictures that PSNR is measured on: 1, none of which it trains on"
    assert [line.split()[:2] for line in out[2:-1]] == [["step", f"{k}/6"] for k in (2, 4, 6)]
    assert all("PSNR" in line and len(line) <= 80 for line in out[2:-1])
    assert out[-1].startswith("mine.npz: <SRCNN 3-1-3, filters=(9, 8), c=1, float32, scale=2>")
    assert names(folder) == [
        "mine.log",
        "mine.npz",
        *[n for n in names(folder) if n.startswith("pictures")],
    ]

    network = load("mine.npz")
    assert (network.name, network.scale, network.filters) == ("3-1-3", 2, (9, 8))
    assert network.card["recipe"]["seed"] == 3 and network.card["steps"] == 6
    write_picture("a.png", picture_of(9, 8, 3))
    assert run("upscale", "a.png", "-s", "2", "-m", "mine.npz") == 0
    assert read_picture("a_x2.png").shape == (18, 16, 3)


def test_the_network_of_the_paper_by_the_papers_recipe(folder, pictures, capsys):
    options = ("--recipe", "paper", "--steps", "1", "--batch", "2")
    assert run("train", pictures, "-s", "3", "-o", "mine.npz", *options) == 0
    assert "9-1-5 x3: 2 pictures, 1 step of 2 sub-images, sgd" in capsys.readouterr().out
    assert load("mine.npz", 3).card["recipe"]["size"] == 33


def test_training_starts_from_weights_and_scores_them(folder, pictures, capsys):
    more = ("--start", folder.parent / "weights" / "9-1-5_x3.npz", "--score", pictures)
    more += ("--validation", pictures)
    assert run("train", pictures, "-s", "2", "-o", "mine.npz", *TINY, *more) == 0
    assert "3 pictures, 6 steps" in capsys.readouterr().out
    card = load("mine.npz", 2).card
    assert card["start"] == "9-1-5_x3.npz"
    assert list(card["scores"]) == ["pictures"] and card["scores"]["pictures"]["PSNR"] > 15


def test_training_starts_from_shipped_weights_by_name(folder, pictures):
    network = SRCNN(3, 9, 1, 8, 3, init="identity", seed=1)
    network.scale = 2
    network.save(folder.parent / "weights" / "3-1-3_x2.npz")
    more = ("--start", "3-1-3", "--learning-rate", "1e-9")
    assert run("train", pictures, "-s", "2", "-o", "mine.npz", *TINY, *more) == 0
    ours, theirs = load("mine.npz"), network.parameters
    assert ours.card["start"] == "3-1-3"
    assert np.abs(ours.parameters["W1"] - theirs["W1"]).max() < 1e-6
    other = SRCNN(3, 9, 1, 8, 3, init="identity", seed=2)
    other.scale = 3
    other.save(folder.parent / "weights" / "3-1-3_x3.npz")
    for scale, theirs in (3, other), (4, network):  # of its own scale, or of the smallest
        assert run("train", pictures, "-s", str(scale), "-o", f"{scale}.npz", *TINY, *more) == 0
        ours = load(f"{scale}.npz").parameters
        assert np.abs(ours["W1"] - theirs.parameters["W1"]).max() < 1e-6


def test_scoring_goes_on_after_a_bad_picture(folder, pictures, capsys):
    shutil.copytree(pictures, "scored")
    Path("scored/1.png").write_text("no picture")
    more = (*TINY, "--score", "scored")
    for scales, left in (("2", 2), ("2,3", 2), ("2", 0)):
        assert run("train", pictures, "-s", scales, "-o", "mine.npz", *more) == 2
        err = capsys.readouterr().err.splitlines()
        assert sum(f"{Path('scored/1.png')} is damaged" in line for line in err) == 1
        assert f"averaged {left} pictures, {3 - left} failed" in err[-1]
        names = ["scored"] if scales == "2" else ["scored x2", "scored x3"]
        assert list(load("mine.npz", 2).card["scores"]) == (names if left else [])
        Path("mine.npz").unlink()
        Path("mine.log").unlink()
        for path in Path("scored").iterdir() if scales == "2,3" else ():
            path.write_text("no picture")


def test_the_same_seed_gives_the_same_weights(folder, pictures):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("train", pictures, "-s2", "-o", f"{name}.npz", *TINY, "--seed", str(seed)) == 0
    a, b, c = (load(f"{name}.npz").parameters for name in "abc")
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not all(np.array_equal(a[name], c[name]) for name in a)


def interrupted_once(function, call, by=signal.SIGINT):
    """`function`, except that at this call, counted from 1, the user presses Ctrl-C at its end."""
    calls = 0

    def wrapper(*arguments, **options):
        nonlocal calls
        calls += 1
        result = function(*arguments, **options)
        if calls == call:
            signal.raise_signal(by)
        return result

    return wrapper


INTERRUPTIONS = {
    "while validating": (fitting, "mean_psnr", 3),
    "while computing gradients": (SRCNN, "loss_and_gradients", 4),
    "when the parameters have moved": (None, "step", 4),
    "while averaging": (Training, "_update_average", 4),
}


@pytest.mark.parametrize("moment", INTERRUPTIONS)
@pytest.mark.parametrize("more", [(), ("--optimizer", "sgd"), ("--stride", "7")])
def test_an_interrupted_training_goes_on_to_the_same_weights(
    folder, pictures, capsys, monkeypatch, moment, more
):
    assert run("train", pictures, "-s", "2", "-o", "whole.npz", *TINY, *more) == 0
    owner, name, call = INTERRUPTIONS[moment]
    with monkeypatch.context() as patch:
        if owner is None:
            owner = SGD if "sgd" in more else Muon
        patch.setattr(owner, name, interrupted_once(getattr(owner, name), call))
        assert run("train", pictures, "-s", "2", "-o", "parts.npz", *TINY, *more) == 130
    err = capsys.readouterr().err
    assert "resume to go on" in err and "Traceback" not in err
    assert Path("parts.checkpoint").exists() and not Path("parts.npz").exists()

    assert run("train", pictures, "-s", "2", "-o", "parts.npz", *TINY, *more) == 2
    assert "parts.checkpoint exists: resume it, or remove it" in capsys.readouterr().err
    assert run("train", pictures, "-s", "2", "-o", "parts.npz", *TINY, *more, "--resume") == 0
    assert not Path("parts.checkpoint").exists()
    logs = [read_log(name)[1] for name in ("whole.log", "parts.log")]
    assert [[line["psnr"] for line in log] for log in logs] == [
        [line["psnr"] for line in logs[0]]
    ] * 2
    whole, parts = load("whole.npz").parameters, load("parts.npz").parameters
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("number", ENDS)
def test_a_training_that_is_ended_writes_a_checkpoint(
    folder, pictures, capsys, monkeypatch, number
):
    usual = signal.getsignal(number)
    monkeypatch.setattr(Muon, "step", interrupted_once(Muon.step, 4, number))
    saved = Training.save

    def save(*arguments):  # others come, and not only at once
        for other in ENDS:
            signal.raise_signal(other)
        saved(*arguments)

    monkeypatch.setattr(Training, "save", save)
    monkeypatch.setattr(fitting, "AT_ONCE", 0)
    with pytest.raises(SystemExit) if number != signal.SIGINT else nullcontext() as end:
        code = run("train", pictures, "-s", "2", "-o", "parts.npz", *TINY, "--every", "9")
    assert (end.value.code if end else code) == 128 + number
    assert "stopped at step 4: resume to go on" in capsys.readouterr().err
    assert Path("parts.checkpoint").exists() and not Path("parts.npz").exists()
    assert signal.getsignal(number) == usual


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("owner, name", [(fitting, "_prepare"), (Network, "loss_and_gradients")])
def test_a_training_that_is_ended_before_its_first_step_says_so(
    folder, pictures, capsys, monkeypatch, number, owner, name
):
    """While code is compiled, there is nothing to write, and nothing is left behind."""
    before = names(folder)
    monkeypatch.setattr(owner, name, interrupted_once(getattr(owner, name), 1, number))
    with pytest.raises(SystemExit) if number != signal.SIGINT else nullcontext() as end:
        code = run("train", pictures, "-s", "2", "-o", "parts.npz", *TINY)
    assert (end.value.code if end else code) == 128 + number
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "nothing is saved: there is no checkpoint yet", "pysrcnn: interrupted",
    ]  # fmt: skip
    assert names(folder) == before


@pytest.mark.parametrize("wait, steps", [(99, 4), (0, 2)])
def test_a_step_is_cut_by_a_signal_that_comes_later(folder, pictures, monkeypatch, wait, steps):
    def interrupted(*arguments, usual=Muon.step, calls=[]):  # noqa: B006
        calls.append(0)
        if len(calls) == 4:
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
        usual(*arguments)

    monkeypatch.setattr(Muon, "step", interrupted)
    monkeypatch.setattr(fitting, "AT_ONCE", wait)
    assert run("train", pictures, "-s", "2", "-o", "parts.npz", *TINY) == 130
    with np.load("parts.checkpoint") as file:
        assert json.loads(str(file["state"]))["step"] == steps


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are none")
def test_a_training_whose_terminal_is_gone_writes_a_checkpoint(bad):
    """Nobody can be told so, and that stops nothing."""
    terminal, end = os.openpty()
    command = [sys.executable, "-m", "pysrcnn", "train", "pictures", "-s", "2", "-o", "a.npz"]
    with subprocess.Popen(
        [*command, *TINY, "--steps", "1000000"],
        env=environment(), stdout=end, stderr=end, start_new_session=True,
    ) as training:  # fmt: skip
        os.close(end)
        while not Path("a.log").exists() or Path("a.log").read_text().count("\n") < 2:
            if select.select([terminal], [], [], 0.05)[0]:
                assert os.read(terminal, 1000)
        os.close(terminal)
        training.send_signal(signal.SIGHUP)
        assert training.wait(60) == 128 + signal.SIGHUP
    assert Path("a.checkpoint").exists() and not list(bad.glob(".*"))


def test_a_streamed_training_goes_on_to_the_same_weights(folder, pictures, capsys, monkeypatch):
    Path("more").mkdir()
    Path("more/broken.png").write_bytes(b"no picture")
    train = ("train", pictures, "more", "-s", "2", *TINY, "--stream")
    assert run(*train, "-o", "whole.npz") == 2
    err = capsys.readouterr().err
    assert f"pysrcnn: {Path('more/broken.png')} is damaged or not a picture" in err
    assert err.endswith("trained on 2 pictures, 1 failed\n")
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "mean_psnr", interrupted_once(fitting.mean_psnr, 3))
        assert run(*train, "-o", "parts.npz") == 130
    assert run(*train, "-o", "parts.npz", "--resume") == 2
    whole, parts = load("whole.npz").parameters, load("parts.npz").parameters
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


def test_a_streamed_training_goes_on_when_its_reader_was_stopped(
    folder, pictures, capsys, monkeypatch
):
    train = ("train", pictures, "-s", "2", *TINY, "--stream")
    assert run(*train, "-o", "whole.npz") == 0
    capsys.readouterr()

    def stopped(self, step, size, sampler):
        if step == 5:
            raise OSError("the process that reads pictures was stopped")
        return batch(self, step, size, sampler)

    batch = Stream.batch
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "batch", stopped)
        assert run(*train, "-o", "parts.npz") == 1
    assert capsys.readouterr().err == "pysrcnn: the process that reads pictures was stopped\n"
    with np.load("parts.checkpoint") as file:
        assert json.loads(str(file["state"]))["step"] == 5
    assert run(*train, "-o", "parts.npz", "--resume") == 0
    whole, parts = load("whole.npz").parameters, load("parts.npz").parameters
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


@pytest.fixture
def mixed(folder):
    """A folder of 24 pictures, of which some cannot be used: those, by name."""
    place = Path("mixed")
    (place / "below").mkdir(parents=True)
    for k in range(24):
        write_picture(place / f"{k:02}.png", picture_of(30, 40, 3, seed=k))
    content = (place / "01.png").read_bytes()
    (place / "00.png").write_bytes(b"no picture")  # the 1st and the 21st are held back
    (place / "02.png").write_bytes(b"")
    (place / "03.png").write_bytes(content[: len(content) // 2])
    write_picture(place / "04.png", picture_of(5, 40, 3))
    imageio.imwrite(place / "below" / "nan.tif", np.full((30, 40), np.nan, np.float32))
    (place / "20.png").write_bytes(b"\xff\xd8\xff")
    return {"00.png", "02.png", "03.png", "04.png", "20.png", "nan.tif"}


def failed(err):
    """The names of pictures that complaints are about, each once."""
    found = [re.match(r"pysrcnn: (\S+) ", line) for line in err.splitlines()]
    named = [Path(match[1]).name for match in found if match]
    assert len(named) == len(set(named))
    return set(named)


@pytest.mark.parametrize("more", [(), ("--stream",)])
def test_bad_pictures_are_named_and_left_out_of_training(folder, mixed, capsys, more):
    assert run("train", "mixed", "-s", "2", "-o", "a.npz", *TINY, "--batch", "99", *more) == 2
    out, err = capsys.readouterr()
    assert failed(err) == mixed
    assert err.endswith("trained on 17 pictures, 6 failed\n")
    assert "PSNR is measured on: 2, none of which it trains on" in out
    assert load("a.npz").card["data"] == "mixed, 17 pictures"
    assert not Path("a.checkpoint").exists() and len(read_log("a.log")[1]) == 3


@pytest.mark.parametrize("more", [(), ("--stream",)])
def test_bad_pictures_are_not_measured_on(folder, pictures, mixed, capsys, more):
    train = ("train", pictures, "-s", "2", *TINY, *more)
    assert run(*train, "-o", "a.npz", "--validation", "mixed") == 2
    out, err = capsys.readouterr()
    assert failed(err) == mixed - {"nan.tif"}  # which is in a folder below
    assert "3 pictures, 6 steps" in out and "PSNR is measured on: 19," in out
    for path in Path("mixed").glob("*.png"):
        path.write_bytes(b"no picture")
    assert run(*train, "-o", "b.npz", "--validation", "mixed") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "pysrcnn: none of the pictures to measure PSNR on can be used: give others"
    assert not Path("b.npz").exists()


@pytest.mark.parametrize("more", [(), ("--stream",)])
def test_a_training_without_usable_pictures(folder, pictures, capsys, more):
    for path in pictures.iterdir():
        path.write_bytes(b"no picture")
    assert run("train", pictures, "-s", "2", "-o", "a.npz", *TINY, *more) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 4 and all("is damaged or not a picture" in line for line in err[:3])
    assert err[-1].endswith("can be used: give others") and not Path("a.npz").exists()
    write_picture(pictures / "0.png", picture_of(40, 40, 3))
    assert run("train", pictures, "-s", "2", "-o", "a.npz", *TINY, *more) == 2
    err = capsys.readouterr().err
    assert "none of the pictures to train on can be used" in err or "no training picture" in err


def test_pictures_are_trained_on_once_or_watched(folder):
    for count, watched in ((1, 1), (20, 1), (21, 2), (390, 20), (401, 20), (1000, 20)):
        place = Path(f"{count}")
        (place / "below").mkdir(parents=True)
        for k in range(count):
            (place / "below" / f"{k}.png").touch()
        pictures, held_back, same, *_ = split([place, place / "below"], None, [])
        assert len(held_back) == watched and len(pictures) == max(1, count - watched)
        assert not set(pictures) & set(held_back) or count == 1
        assert same == (count == 1)
    (Path("20") / "other.png").touch()
    pictures, watched, same, *_ = split([Path("20")], folder / "20" / "below", [])
    assert pictures == [Path("20/other.png")] and len(watched) == 20 and not same
    assert split([Path("20/below")], folder / "20" / "below", []).same
    pictures, watched, *_ = split([Path("20")], None, ["below/1?.png", "3.png"])
    assert len(pictures) + len(watched) == 10 and Path("20/below/3.png") not in pictures
    for exclude, words in (
        (["3.png", "99.png"], "exclude: 99.png is the name of none of the pictures"),
        (["*.png"], "exclude leaves no picture to train on"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            split([Path("20")], None, exclude)


def test_an_espcn_is_trained(folder, pictures, capsys):
    espcn = ("--network", "espcn", "--filters", "9-8", "--activation", "tanh")
    assert run("train", pictures, "-s", "2", "-o", "a.npz", *TINY, *espcn, "--score", pictures) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "espcn x2: 2 pictures, 6 steps of 4 sub-images, muon"
    assert out[-1] == "a.npz: <ESPCN 5-3-3, filters=(9, 8), c=1, tanh, float32, scale=2>"
    assert load("a.npz").card["recipe"]["by_adam"] == 0
    streamed = (*TINY, *espcn, "--stream", "--start", "a.npz")
    assert run("train", pictures, "-s", "2", "-o", "b.npz", *streamed) == 0
    assert load("b.npz").card["start"] == "a.npz" and load("b.npz").options["activation"] == "tanh"
    write_picture("a.png", picture_of(9, 8, 3))
    assert run("upscale", "a.png", "-s", "2", "-m", "b.npz") == 0
    assert read_picture("a_x2.png").shape == (18, 16, 3)
    capsys.readouterr()
    large = ("--size", "15", "--network", "espcn", "-s", "3", "-o", "c.npz")  # 45 in the picture
    assert run("train", pictures, *large) == 2
    err = capsys.readouterr().err
    assert "1.png is 40 x 40 pixels, wanted at least 45 x 45 at scale 3" in err
    assert run("train", pictures, "-s", "3", "-o", "c.npz", *TINY, "--activation", "tanh") == 2
    err = capsys.readouterr().err
    assert err == "pysrcnn: only espcn takes --activation, and this is srcnn: leave it out\n"


def test_the_recipe_that_goes_with_a_network():
    def recipe(*more):
        options = cli.parser().parse_args(["train", "a", "-s", "2", "-o", "b.npz", *more])
        return train._recipe(options)

    assert recipe() == recipe("--recipe", "modern") == RECIPES["modern"]
    assert recipe("--network", "espcn") == recipe("--recipe", "espcn") == RECIPES["espcn"]
    ours = recipe("--network", "espcn", "--recipe", "modern")
    assert (ours.network, ours.sizes, ours.by_adam) == ("espcn", (5, 3, 3), 1)
    with pytest.raises(ValueError, match="paper is a recipe for SRCNN: for ESPCN, give espcn"):
        recipe("--network", "espcn", "--recipe", "paper")
    chain = recipe("--network", "9-1-5", "--recipe", "espcn")
    assert (chain.network, chain.sizes, chain.by_adam) == ("srcnn", (9, 1, 5), 0)
    network = ESPCN(2)
    slower = recipe("--network", "espcn", "--learning-rate", "0.005").rates(network)
    wanted = {n: r / 2 for n, r in RECIPES["espcn"].rates(network).items()}
    assert slower == pytest.approx(wanted)
    adam = recipe("--network", "espcn", "--optimizer", "adam")
    assert set(adam.rates(network).values()) == {1e-3} and adam.by_adam == 1


@pytest.mark.parametrize("sizes, filters", [("9-1", (64,)), ("5", ()), ("9-5-5", (64, 32))])
def test_fewer_layers_have_the_first_of_the_filters(folder, sizes, filters):
    options = ["train", "a", "-s", "2", "-o", "b.npz", "--network", sizes]
    assert train._recipe(cli.parser().parse_args(options)).filters == filters


def test_the_filters_of_weights_that_are_not_for_every_scale(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for model in ("photo", "vdsr", "9-1-5"):
        assert run("show", "filters", "-m", model, "-o", f"{model}.png") == 0
        assert Path(f"{model}.png").stat().st_size > 1000
    load("9-1-5", 3).save("mine.npz")
    capsys.readouterr()
    for model, scale in (("photo", 3), ("mine.npz", 2)):
        assert run("show", "filters", "-m", model, "-s", str(scale), "-o", "not.png") == 2
        assert not Path("not.png").exists()
        said = capsys.readouterr().err
        assert model in said and {"photo": "only for 2", "mine.npz": "3"}[model] in said


def test_a_factor_without_weights_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_picture("a.png", np.full((6, 8, 3), 99, np.uint8))
    assert run("upscale", "a.png", "-s", "3", "-m", "photo") == 0
    said = capsys.readouterr().out
    assert "24 x 18 pixels, from 8 x 6 by photo x2, x2, resized in" in said
    assert read_picture("a_x3.png").shape == (18, 24, 3)


def test_one_file_for_several_scales_needs_no_scale():
    assert load("vdsr").scales == (2, 3, 4)
    with pytest.raises(ValueError, match="9-1-5 weights differ by scale"):
        load("9-1-5")
    with pytest.raises(TypeError, match="weights are a name or a path, .*; got 3"):
        load(3)


def test_factors_that_training_pictures_are_made_smaller_by(folder, capsys):
    options = ["train", "a", "-s", "2", "-o", "b.npz", "--reduced"]
    assert train._recipe(cli.parser().parse_args([*options, "0.9,.5"])).reduced == (0.9, 0.5)
    for text in ("0.9;0.5", "1.5", "0.9,0"):
        with pytest.raises(SystemExit, match="2"):
            run(*options, text)
        said = f"{text} is not factors between 0 and 1, such as 0.9,0.7"
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["ESPCN", "fsrcnn", "9.1.5", "9-1-", ""])
def test_the_networks_there_are_to_train(folder, text, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("train", "pictures", "-s", "2", "-o", "a.npz", "--network", text)
    said = f"{text} is neither the filter sizes of an SRCNN, such as 9-1-5, nor one of espcn, vdsr"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "more, words",
    [
        (
            "--network vdsr --filters 64-32",
            "vdsr does not take --filters, its sizes are given by --depth and --width: leave it",
        ),
        ("--network 9-1-5 --depth 2", "srcnn does not take --depth, its sizes are given by --fil"),
        ("--network espcn --width 2", "espcn does not take --width, its sizes are given by --fil"),
        ("--network srresnet --activation tanh", "only espcn takes --activation, and this is srr"),
        ("--network srresnet --activation relu", "only espcn takes --activation, and this is srr"),
        ("--network 9-3-1-5", "4 layers need 3 numbers of filters, of all but the last: give them"),
        (
            "--network 9-1 --filters 8-4",
            "of all but the last, got 2: give them, for example with -",
        ),
    ],
)
def test_options_of_other_networks_are_refused(folder, pictures, capsys, more, words):
    assert run("train", pictures, "-s", "2", "-o", "a.npz", *more.split()) == 2
    assert words in capsys.readouterr().err


def test_another_optimizer_brings_its_own_rates(folder, pictures):
    def recipe(*more):
        options = cli.parser().parse_args(["train", "a", "-s", "2", "-o", "b.npz", *more])
        recipe = train._recipe(options)
        return recipe.learning_rate, recipe.last_learning_rate, recipe.paper_loss

    assert recipe() == (1e-2, 1e-3, False) and recipe("--recipe", "paper") == (1e-4, 1e-5, True)
    assert recipe("--optimizer", "adam") == (1e-3, 1e-3, False)
    assert recipe("--recipe", "paper", "--optimizer", "muon") == (1e-2, 1e-3, False)
    assert recipe("--optimizer", "muon", "--learning-rate", "0.02") == (0.02, 0.002, False)
    assert recipe("--optimizer", "sgd", "--learning-rate", "0.1") == (
        0.1,
        pytest.approx(0.01),
        False,
    )
    assert recipe("--recipe", "paper", "--learning-rate", "1e-3") == (
        1e-3,
        pytest.approx(1e-4),
        True,
    )


def test_a_training_is_resumed_only_as_it_was(folder, pictures, capsys, monkeypatch):
    train = ("train", pictures, "-o", "mine.npz", *TINY)
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "mean_psnr", interrupted_once(fitting.mean_psnr, 3))
        assert run(*train, "-s", "2") == 130
    before = Path("mine.checkpoint").read_bytes()
    capsys.readouterr()
    assert run(*train, "-s", "2", "--resume", "--batch", "5") == 2
    assert "was made with another recipe: batch 4, now 5" in capsys.readouterr().err
    assert run(*train, "-s", "3", "--resume") == 2  # half of the steps at x2, half at x3
    start = folder.parent / "weights" / "9-1-5_x3.npz"
    assert run(*train, "-s", "2", "--resume", "--start", start) == 2
    assert Path("mine.checkpoint").read_bytes() == before
    assert not Path("mine.npz").exists()


def test_a_log_is_gone_on_with_only_as_it_was(folder, pictures, capsys, monkeypatch):
    for name, seed in (("some", 1), ("others", 2)):
        Path(name).mkdir()
        write_picture(f"{name}/a.png", picture_of(20, 30, 3, seed=seed))
    train = ("train", pictures, "-o", "mine.npz", *TINY, "-s", "2", "--validation")
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "mean_psnr", interrupted_once(fitting.mean_psnr, 3))
        assert run(*train, "some") == 130
    capsys.readouterr()
    before = Path("mine.log").read_bytes()
    assert run(*train, "others", "--resume") == 2
    err = capsys.readouterr().err
    assert (
        "mine.log belongs to another training, which differs in its validation pictures: give"
        in err
    )
    assert Path("mine.log").read_bytes() == before
    assert run(*train, "some", "--resume") == 0


def test_what_to_train_on_is_looked_at_before_the_checkpoint(folder, capsys):
    Path("a.checkpoint").write_bytes(b"of another training")
    assert run("train", "none", "-s", "2", "-o", "a.npz") == 2
    assert capsys.readouterr().err == "pysrcnn: no folder none: check the name\n"


def test_a_damaged_checkpoint(folder, pictures, capsys):
    Path("mine.checkpoint").write_bytes(b"PK\x03\x04 half of a file")
    assert run("train", pictures, "-s", "2", "-o", "mine.npz", *TINY, "--resume") == 2
    assert "mine.checkpoint is damaged or not a checkpoint" in capsys.readouterr().err
    np.savez("mine.npz", a=np.zeros(3))
    Path("mine.npz").rename("mine.checkpoint")
    assert run("train", pictures, "-s", "2", "-o", "mine.npz", *TINY, "--resume") == 2
    assert not Path("mine.npz").exists()


def test_training_that_diverges_stops(folder, pictures, capsys):
    more = ("--optimizer", "sgd", "--learning-rate", "1e30", "--steps", "50")
    with np.errstate(all="ignore"):
        assert run("train", pictures, "-s", "2", "-o", "mine.npz", *TINY, *more) == 1
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith("pysrcnn: ") and "training has diverged" in complaint
    assert "start again with a lower learning rate than" in complaint
    assert not Path("mine.npz").exists()


def test_training_that_ends_far_below_bicubic_says_so(folder, pictures, capsys):
    more = ("--optimizer", "muon", "--learning-rate", "1000", "--steps", "10")
    assert run("train", pictures, "-s", "2", "-o", "mine.npz", *TINY, *more) == 0
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"its PSNR, \S+ dB, is far below the \d\d\.\d\d dB of bicubic", complaint)
    assert "or at a lower learning rate" in complaint


# ------------------------------------------------------------------------------------------- info


@pytest.mark.slow
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there is no compiled code")
def test_after_warmup_nothing_is_left_to_compile():
    """Of what shipped networks and training need: colour, alpha, every depth, every scale."""
    said = python("""
import gc
import numba.core.dispatcher
import numpy as np
import pysrcnn
from pysrcnn.cli import main
from pysrcnn.networks import ESPCN, SRCNN, shipped

def compiled():
    kernels = [x for x in gc.get_objects() if isinstance(x, numba.core.dispatcher.Dispatcher)]
    return {(k.py_func.__qualname__, str(types)) for k in kernels for types in k.signatures}

assert main(["warmup"]) == 0
before = compiled()
for name, scale in shipped():
    for dtype in (np.uint8, np.uint16, np.float32):
        for shape in ((20, 30), (20, 30, 3), (20, 30, 4)):
            pysrcnn.upscale(np.ones(shape, dtype), scale, name)
for scale in (2, 3, 4):
    network = ESPCN(scale)
    pysrcnn.upscale(np.ones((20, 30, 3), np.uint8), scale, network)
    low = np.ones((16, 1, 24, 24))
    network.loss_and_gradients(low, network.forward(low))
for sizes in ((9, 1, 5), (9, 5, 5)):
    low = np.ones((16, 1, 48, 48))
    SRCNN.from_stack(sizes, (64, 32), 1).loss_and_gradients(low, low)
print(len(before) > 10, sorted(compiled() - before))
""")
    assert said.splitlines()[-1] == "True []"


def test_info(folder, capsys):
    assert run("info") == 0
    out = capsys.readouterr().out
    rows = dict(line.split(maxsplit=1) for line in out.split("weights\n")[0].splitlines())
    assert rows["pysrcnn"] == pysrcnn.__version__
    assert rows["numpy"] == np.__version__
    for name in ("python", "scipy", "imageio", "numba", "processor", "threads"):
        assert rows[name]
    for scale in (2, 3, 4):
        assert f"  9-1-5 x{scale}       made up; Set5 {30 + scale}.00 dB" in out


def test_info_about_files(folder, capsys):
    recipe = replace(RECIPES["photo"], steps=9, depth=2, width=4, sizes=(), seed=3)
    network = EDSR.from_recipe(recipe, 2)
    network.card = {
        "recipe": recipe.as_dict() | {"new": "x" * 90},
        "data": "T91, 91 pictures",
        "start": "a.npz",
        "scores": {"Set5": {"PSNR": 35.004, "SSIM": 0.9}, "bad": 3},
        "notes": ["one\x1b[31m", {}],
    }
    network.save("a.npz")
    assert run("info", "a.npz", "9-1-5") == 0
    out = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 and line.isprintable() for line in out)
    weights = sum(p.size for p in network.parameters.values())
    rows = [line.split(maxsplit=1) for line in out[1:5]]
    assert out[0] == "a.npz" and rows == [
        ["network", "EDSR blocks=2, width=4, c=3, float32, scale=2"],
        ["channels", "3, RGB"],
        ["scale", "x2"],
        ["weights", f"{weights:,} numbers, {Path('a.npz').stat().st_size:,} bytes in the file"],
    ]
    text = " ".join(" ".join(out).split())
    assert "recipe photo, but depth 2, width 4, steps 9, seed 3, new xxx" in text
    assert (
        "degradation photo trained on T91, 91 pictures started from a.npz scores Set5 35.00 dB"
        in text
    )
    assert "note one\\x1b[31m note unknown 9-1-5 x2 network SRCNN 3-1-3" in text
    assert [line for line in out if line.startswith("9-")] == ["9-1-5 x2", "9-1-5 x3", "9-1-5 x4"]
    network.card["recipe"]["degradation"]["sigma"] = [0.5, 1.0]
    network.save("a.npz")
    assert run("info", "a.npz") == 0
    assert "  degradation    photo, but sigma 0.5-1.0\n" in capsys.readouterr().out


def test_info_about_files_without_a_card_and_bad_ones(folder, capsys):
    np.savez("bare.npz", **network_for(2).parameters)
    Path("text.npz").write_text("no weights")
    assert run("info", "none.npz", "bare.npz", "text.npz") == 2
    out, err = capsys.readouterr()
    assert [line.split(maxsplit=1)[0] for line in out.splitlines()[1:]] == [
        "network", "channels", "scale", "weights", "card",
    ]  # fmt: skip
    assert "unknown: give it with --scale" in out and "none, so the above is what the shapes" in out
    complaints = err.splitlines()
    assert len(complaints) == 2 and complaints[0].startswith("pysrcnn: no file none.npz: give")
    assert complaints[1].startswith("pysrcnn: text.npz is damaged or not an .npz file")


def test_info_goes_on_after_a_file_whose_package_is_missing(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    Path("a.onnx").write_bytes(b"x")
    assert run("info", "a.onnx", "9-1-5") == 2
    out, err = capsys.readouterr()
    assert "9-1-5 x2\n" in out and err.startswith("pysrcnn: ONNX files need the package onnx: ")


def test_one_list_of_the_files_that_are_read(capsys):
    for command in ("upscale", "evaluate", "show", "convert"):
        with pytest.raises(SystemExit, match="0"):
            run(command, "--help")
        said = capsys.readouterr().out
        assert [suffix for suffix in READABLE if suffix not in said] == []


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        run("--version")
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"pysrcnn {pysrcnn.__version__}\n"


# -------------------------------------------------------------------------------------- bad input


@pytest.fixture
def bad(folder):
    """A folder of good and bad files, and a function: the command fails, in one line."""
    write_picture("good.png", picture_of(10, 12, 3))
    write_picture("alpha.png", picture_of(10, 12, 4))
    Path("empty.png").write_bytes(b"")
    Path("text.png").write_text("This is not a picture.")
    write_picture("photo.jpg", picture_of(60, 60, 3))
    for name in ("good.png", "photo.jpg"):
        content = Path(name).read_bytes()
        Path(f"half-{name}").write_bytes(content[: len(content) // 2])
    for name in ("pictures", "small", "empty", "mixed", "folder.npz", "folder.png"):
        Path(name).mkdir()
    for k in range(3):
        write_picture(f"pictures/{k}.png", picture_of(40, 40, seed=k))
    write_picture("small/tiny.png", picture_of(12, 12))
    write_picture("mixed/0.png", picture_of(40, 40))
    Path("mixed/1.png").write_text("This is not a picture.")
    network_for(2).save("x2.npz")
    network_for(3).save("x3.npz")
    content = Path("x3.npz").read_bytes()
    Path("half.npz").write_bytes(content[: len(content) // 2])
    Path("empty.npz").write_bytes(b"")
    Path("text.npz").write_text("These are not weights.")
    Path("text.mat").write_text("These are not weights.")
    network_for(3).save("nan.npz")
    with np.load("nan.npz") as file:
        arrays = dict(file)
    arrays["W1"][0, 0, 0, 0] = np.nan
    np.savez("nan.npz", **arrays)
    np.savez("strange.npz", a=np.zeros(3))
    np.savez("pickled.npz", W1=np.array([{"a": 1}], dtype=object))
    return folder


BAD = [
    # pictures
    ("upscale none.png", "no file none.png: check the name"),
    ("upscale empty.png", "empty.png is empty: give a picture file"),
    ("upscale text.png", "text.png is damaged or not a picture: its format was not recognised"),
    ("upscale half-good.png", "half-good.png is damaged: it ends too early"),
    ("upscale half-photo.jpg", "half-photo.jpg is damaged: it ends too early"),
    ("upscale empty", "no pictures in empty: looked for .apng, .bmp"),
    ("upscale none/*.png", "no file matches none/*.png: check the pattern"),
    ("upscale x3.npz", "x3.npz are weights: type `pysrcnn upscale PICTURE -m x3.npz`"),
    # weights
    (
        "upscale good.png -m 8-1-5",
        "8-1-5 is neither a file nor the name of shipped weights (9-1-5)",
    ),
    (
        "upscale good.png -m edsr",
        "edsr is a kind of network, and no weights of that name are shipped (9-1-5 are): take",
    ),
    ("upscale good.png -m none.npz", "no file none.npz: give a file of weights (.npz or .mat)"),
    ("upscale good.png -s 3 -m x2.npz", "x2.npz was trained for scale 2, not 3"),
    ("upscale good.png -m half.npz", "half.npz is damaged or not an .npz file of weights"),
    ("upscale good.png -m empty.npz", "empty.npz is empty: give a file of weights"),
    ("upscale good.png -m text.npz", "text.npz is damaged or not an .npz file of weights"),
    ("upscale good.png -m text.mat", "text.mat is damaged or not a MATLAB 5 .mat file"),
    ("upscale good.png -m nan.npz", "nan.npz: W1 holds values that are not finite"),
    ("upscale good.png -m strange.npz", "strange.npz holds ['a'], not the arrays of a network"),
    ("upscale good.png -m pickled.npz", "pickled.npz is damaged or not an .npz file of weights"),
    ("upscale good.png -m folder.npz", "folder.npz is a folder: give a file of weights"),
    ("upscale good.png -m good.png", "good.png is neither .npz nor .mat"),
    # outputs
    (
        "upscale good.png -o good.png",
        "good.png is one of the pictures: give the result another name",
    ),
    ("upscale good.png -o ./empty/../good.png", "is one of the pictures"),
    ("upscale good.png -o text.png/a.png", "text.png is a file, not a folder to write a.png to"),
    ("train pictures -s 2 -o folder.npz", "folder.npz is a folder"),
    ("train pictures -s 2 -o a.npz --score empty", "no pictures in empty"),
    ("upscale good.png -o none/a.png", "the folder none does not exist: create it first"),
    ("upscale good.png -o a.psd", "cannot write a.psd: the name must end in one of .apng, .bmp"),
    ("upscale good.png -o a", "cannot write a: the name must end in one of .apng, .bmp"),
    ("upscale alpha.png -o a.jpg", "cannot write a.jpg: JPEG has no transparency; choose .png"),
    (
        "upscale good.png alpha.png -o a.png",
        "several pictures need a folder to go to; a.png is not",
    ),
    ("upscale good.png --threads 0", "--threads is 0, wanted 1 to"),
    # evaluate
    ("evaluate none", "no folder none: check the name"),
    ("evaluate good.png", "good.png is a file: give a folder of pictures"),
    ("evaluate empty", "no pictures in empty: looked for .apng, .bmp"),
    (
        "evaluate small",
        "tiny.png is 12 x 12 pixels; to compare at scale 3 it needs at least 17 x 17",
    ),
    ("evaluate pictures -s 3 -m x2.npz", "x2.npz was trained for scale 2, not 3"),
    ("evaluate pictures --json none/table.json", "the folder none does not exist"),
    ("evaluate pictures --json empty", "empty does not end in .json"),
    ("evaluate pictures --json pictures/0.png", "0.png"),
    ("evaluate pictures -m x3.npz --json x3.npz", "x3.npz"),
    ("evaluate pictures --niqe-model x3.npz", "--niqe-model is for NIQE: add --metrics psnr,ssim"),
    ("evaluate pictures --metrics niqe --niqe-model x3.npz", "x3.npz holds no parameters of NIQE"),
    ("evaluate pictures --metrics features", "features compares maps of a network: add --features"),
    ("evaluate pictures --features x3.npz", "are for the metric features: add --metrics psnr,ssi"),
    ("evaluate pictures --metrics niqe --niqe-model none.npz", "no file none.npz"),
    # train
    ("train none -s 2 -o a.npz", "no folder none: check the name"),
    ("train empty -s 2 -o a.npz", "no pictures in empty"),
    ("train small -s 2 -o a.npz", "tiny.png is 12 x 12 pixels, wanted at least 48 x 48 at scale 2"),
    ("train mixed -s 2 -o a.npz --size 33", "1.png is damaged or not a picture"),
    ("train pictures -s 2 -o a.npz --size 12", "sub-images of 12 pixels leave nothing after"),
    ("train pictures -s 2 -o a.npy", "a.npy does not end in .npz"),
    (
        "train pictures -s 2 -o none/a.npz --size 15 --network 3-1-3 --steps 2",
        "the folder none does not exist",
    ),
    ("train pictures -s 2 -o a.npz --size 33 --network 8-1-5", "filter sizes are odd"),
    ("train pictures -s 2 -o a.npz --size 33 --filters 64", "3 layers need 2 numbers of filters"),
    ("train pictures -s 2 -o a.npz --size 33 --resume", "no checkpoint a.checkpoint"),
    ("train pictures -s 2 -o a.npz --size 33 --start x2.npz", "the weights to start from have "),
    ("train pictures -s 2 -o a.npz --size 33 --validation empty", "no pictures in empty"),
    ("train pictures -s 2 -o a.npz --size 15 --network 3-1-3 --every 0 --steps 2", "every"),
    ("train pictures -s 2 -o a.npz --size 33 --batch 0", "batch"),
    ("train pictures -s 2 -o a.npz --size 33 --steps 0", "steps"),
    ("train pictures -s 2 -o a.npz --size 33 --stride -1", "stride"),
    ("train pictures -s 2 -o a.npz --size 33 --learning-rate nan", "learning"),
    ("train pictures -s 2 -o a.npz --size 33 --seed -1", "seed"),
]


@pytest.mark.parametrize("command, words", BAD, ids=[command for command, _ in BAD])
def test_bad_input_is_one_line(bad, capsys, command, words):
    before = {name: Path(name).stat() for name in names(bad)}
    try:
        code = run(*command.split())
    except SystemExit as stop:  # argparse's own
        code = stop.code
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if not line.startswith("compiling for this proc")]
    assert code == 2
    assert "Traceback" not in err
    assert len(lines) == 1, lines
    assert lines[0].startswith("pysrcnn: ") and words in lines[0]
    after = {name: Path(name).stat() for name in names(bad)}
    assert after.keys() == before.keys(), "something was written"
    for name, stat in before.items():
        assert after[name].st_mtime_ns == stat.st_mtime_ns, f"{name} was written to"


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "enlarge a.png",
        "upscale",
        "upscale a.png -s 17",
        "upscale a.png -s 1",
        "upscale a.png -s nan",
        "upscale a.png --width 0",
        "upscale a.png --format psd",
        "upscale a.png --skip --overwrite",
        "upscale a.png -s two",
        "upscale a.png --threads few",
        "upscale a.png --nonsense",
        "evaluate",
        "evaluate pictures --metrics psnr,lpips",
        "evaluate pictures --metrics psnr,",
        "train pictures -o a.npz",
        "train pictures -s 2",
        "train pictures -s 2 -o a.npz --network nine",
        "train pictures -s 2 -o a.npz --recipe secret",
        "train pictures -s 2 -o a.npz --channels 2",
    ],
)
def test_bad_usage(folder, capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        run(*arguments.split())
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("pysrcnn: ") and err.endswith(" --help says more\n")
    assert err.count("\n") == 1 and " _" not in err  # no function of ours by its name
    assert names(folder) == []


def test_pixels_that_are_not_finite(folder, capsys):
    image = pytest.importorskip("PIL.Image")
    pixels = np.full((9, 8), 0.5, np.float32)
    pixels[4, 4] = np.nan
    image.fromarray(pixels).save("a.tif")
    assert run("upscale", "a.tif", "-o", "b.png") == 2
    assert capsys.readouterr().err == (
        "pysrcnn: a.tif has NaN or infinite pixels: replace them first\n"
    )
    assert names(folder) == ["a.tif"]


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_the_picture_is_not_overwritten_through_a_link(bad, capsys):
    os.symlink("good.png", "link.png")
    os.link("good.png", "twin.png")
    before = Path("good.png").read_bytes()
    for output in ("link.png", "twin.png"):
        assert run("upscale", "good.png", "-o", output) == 2
        assert f"{output} is one of the pictures" in capsys.readouterr().err
    assert run("upscale", "link.png", "-o", "good.png") == 2
    assert Path("good.png").read_bytes() == before


# Commands that write OUT, and what they read that it may be another name of.
READS = [
    ("upscale good.png -m x3.npz -o OUT.png", ["good.png", "x3.npz"]),
    ("upscale good.png -m x3.npz --compare -o a.png", ["good.png", "x3.npz", "a.html"]),
    (
        "evaluate pictures -m x3.npz --json OUT.json",
        ["pictures/1.png", "pictures/phone.heic", "x3.npz"],
    ),
    ("show filters -m x3.npz -o OUT.svg", ["x3.npz"]),
    ("show maps good.png -m x3.npz -o OUT.png", ["good.png", "x3.npz"]),
    ("show curve a.log b.log -o OUT.pdf", ["b.log"]),
    ("convert x3.npz OUT.safetensors", ["x3.npz"]),
    ("convert 9-1-5 OUT.npz -s 3", ["../weights/9-1-5_x3.npz"]),
    (
        "train pictures -s 2 --start x3.npz --validation mixed --score small -o OUT.npz "
        "--exclude 2.png --size 15 --network 3-1-3 --filters 9-8",
        [
            *("pictures/1.png", "pictures/2.png", "pictures/phone.heic"),
            *("mixed/0.png", "small/tiny.png", "x3.npz"),
        ],
    ),
]
READS = [(command, given) for command, inputs in READS for given in inputs]


def link(how, source, name):
    if how == "hard":
        os.link(source, name)
    else:
        os.symlink(os.path.abspath(source), name)


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
@pytest.mark.parametrize("how", ["hard", "symbolic"])
@pytest.mark.parametrize("command, given", READS)
def test_what_a_command_reads_is_not_overwritten(bad, capsys, command, given, how):
    for name in ("a.log", "b.log", "a.png", "pictures/phone.heic"):
        Path(name).write_text("mine")
    (output,) = [word for word in command.split() if word.startswith(("OUT", "a.png"))]
    output = output.replace("a.png", "a.html")
    if given == "a.html":  # the result is what the page would be
        given = "a.png"
    link(how, given, output)
    before = {name: Path(name).read_bytes() for name in names(bad) if Path(name).is_file()}
    assert run(*command.split()) == 2
    err = re.sub(r"pictures: 1 not read .*\n", "", capsys.readouterr().err)
    what = r"(one of the (pictures|logs|results)|the (picture|file of weights))"
    assert re.fullmatch(rf"pysrcnn: {output} is {what}: give the result another name\n", err), err
    after = {name: Path(name).read_bytes() for name in names(bad) if Path(name).is_file()}
    assert after == before


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_what_a_training_writes_beside_its_weights_is_no_picture_either(bad, capsys):
    for suffix in (".log", ".checkpoint"):
        os.link("pictures/1.png", f"a{suffix}")
        assert run("train", "pictures", "-s", "2", "-o", "a.npz", *TINY, "--resume") == 2
        assert f"a{suffix} is one of the pictures" in capsys.readouterr().err
        os.remove(f"a{suffix}")


def test_weights_that_were_trained_before_stay(folder, pictures, capsys):
    """They may be of hours."""
    command = ["train", pictures, "-s", "2", "-o", "mine.npz", *TINY]
    assert run(*command) == 0
    before = Path("mine.npz").read_bytes()
    assert run(*command) == 2
    err = capsys.readouterr().err
    assert "mine.npz and mine.log would be replaced: give the weights another name, or move" in err
    assert Path("mine.npz").read_bytes() == before


def test_of_two_trainings_of_the_same_name_the_first_goes_on(folder, pictures, capsys, monkeypatch):
    """From before its log is there; what a killed one left behind keeps nobody."""
    command = ["train", pictures, "-s", "2", "-o", "mine.npz", *TINY]
    codes, read = [], files.read

    def another(*arguments):
        codes.append(None)
        if len(codes) == 1:
            codes[0] = run(*command)
            assert run(*command, "--resume") == 2
        return read(*arguments)

    monkeypatch.setattr(files, "read", another)
    Path(".mine.lock").touch()
    assert run(*command) == 0 and codes == [2] and not Path(".mine.lock").exists()
    err = capsys.readouterr().err
    assert err.count("pysrcnn: another training that runs now will write mine.npz: give the") == 2
    monkeypatch.setattr(fitting, "mean_psnr", interrupted_once(fitting.mean_psnr, 3))
    command[5] = "other.npz"
    assert run(*command) == 130 and not Path(".other.lock").exists()
    assert run(*command, "--resume") == 0


def test_a_log_of_something_else_is_not_overwritten(bad, capsys):
    """Nobody gave it that name to be replaced: it follows from that of the weights."""
    Path("paper.log").write_text("This is pdfTeX")
    assert run("train", "pictures", "-s", "2", "-o", "paper.npz", *TINY) == 2
    assert "paper.log is there and is not a log of training: give" in capsys.readouterr().err
    assert Path("paper.log").read_text() == "This is pdfTeX" and not Path("paper.npz").exists()
    Path("paper.log").write_text("")
    command = ["train", "pictures", "-s", "2", "-o", "paper.npz", *TINY]
    assert run(*command) == 0 and len(read_log("paper.log")[1]) == 3
    head, *lines = Path("paper.log").read_text().splitlines(keepends=True)
    Path("paper.npz").unlink()
    assert run(*command) == 2 and Path("paper.log").read_text() == head + "".join(lines)
    assert "pysrcnn: paper.log would be replaced: give the weights" in capsys.readouterr().err
    Path("paper.checkpoint").touch()
    assert run(*command) == 2
    assert "resume it, or remove it and paper.log" in capsys.readouterr().err
    Path("paper.checkpoint").unlink()
    Path("paper.log").write_text(head)  # of a training that ended before its first line
    assert run(*command) == 0


def test_tensors_beside_an_onnx_file_are_not_overwritten(bad, capsys):
    onnx = pytest.importorskip("onnx")
    assert run("convert", "x3.npz", "x3.onnx") == 0
    model = onnx.load("x3.onnx")
    apart = {"save_as_external_data": True, "location": "tensors", "size_threshold": 99}
    onnx.save_model(model, "apart.onnx", **apart)
    link("hard", "tensors", "out.npz")
    link("hard", "tensors", "out.png")
    before = Path("tensors").read_bytes()
    capsys.readouterr()
    for command in ("convert apart.onnx out.npz", "upscale good.png -m apart.onnx -o out.png"):
        assert run(*command.split()) == 2
        assert " is the file of weights: give the result another" in capsys.readouterr().err
    assert Path("tensors").read_bytes() == before and Path("out.npz").samefile("tensors")


def test_a_picture_that_comes_by_standard_input_is_not_overwritten(bad):
    before = Path("good.png").read_bytes()
    arguments = ("-m", "pysrcnn", "upscale", "-", "-m", "x3.npz", "-o")
    with open("good.png", "rb") as picture:
        done = process(*arguments, "good.png", cwd=bad, stdin=picture)
    assert done.returncode == 2
    line = "pysrcnn: good.png is one of the pictures: give the result another name\n"
    assert done.stderr == line and Path("good.png").read_bytes() == before


def test_a_file_that_output_is_sent_to_is_not_replaced(bad):
    """What is printed would be in no file any more."""
    arguments = ["evaluate", "pictures", "-m", "x3.npz", "--json"]
    with open("table.json", "w") as file:
        done = process("-m", "pysrcnn", *arguments, "table.json", stdout=file)
    assert done.returncode == 2
    assert done.stderr.startswith("pysrcnn: table.json is where standard output goes: give")


WRITE = [
    ("upscale good.png -m x3.npz -o OUT", ".png"),
    ("upscale good.png -m x3.npz --compare -o a.png", "a.html"),
    ("evaluate pictures -m x3.npz --json OUT", ".json"),
    ("show filters -m x3.npz -o OUT", ".svg"),
    ("convert x3.npz OUT", ".npz"),
    ("convert x3.npz OUT", ".mat"),
    ("gradcheck --network 3-1-3 --write OUT", ".npz"),
    ("train pictures -s 2 -o a.npz --size 15 --network 3-1-3 --steps 2", "a.npz"),
    ("train pictures -s 2 -o a.npz --size 15 --network 3-1-3 --steps 2", "a.log"),
    ("train pictures -s 2 -o a.npz --size 15 --network 3-1-3 --resume", "a.checkpoint"),
]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("command, name", WRITE)
def test_what_is_no_regular_file_is_not_replaced(bad, capsys, command, name, behind):
    node = "node" if behind else name if not name.startswith(".") else f"a{name}"
    name = f"link{name}" if name.startswith(".") else name
    if behind:
        os.symlink(node, name)
    else:
        name = node
    os.mkfifo(node)
    before = names(bad)
    assert run(*command.replace("OUT", name).split()) == 2
    line = f"pysrcnn: {name} is a pipe, not a file: give the name of a file to write\n"
    assert capsys.readouterr().err == line
    assert Path(node).is_fifo() and names(bad) == before


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are none")
def test_neither_is_a_device_or_a_socket(bad, capsys):
    ends = os.openpty()  # where nobody can replace anything, whatever goes wrong here
    os.symlink(os.ttyname(ends[1]), "terminal.npz")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.bind("socket.npz")
    for name, kind in (("terminal", "device"), ("socket", "socket")):
        assert run("convert", "x3.npz", f"{name}.npz") == 2
        assert f"{name}.npz is a {kind}, not a file: give" in capsys.readouterr().err
    assert Path("terminal.npz").is_char_device() and Path("socket.npz").is_socket()
    for end in ends:
        os.close(end)


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_a_result_is_written_through_a_link(bad):
    os.mkdir("elsewhere")
    os.symlink(os.path.join("elsewhere", "result.png"), "link.png")
    for size in ("2", "3"):  # what it points to is not there, and is
        assert run("upscale", "good.png", "-s", size, "-o", "link.png") == 0
        assert os.path.islink("link.png") and names(bad / "elsewhere") == ["result.png"]
        assert read_picture("elsewhere/result.png").shape[0] == int(size) * 10
    os.symlink(os.path.join("nowhere", "result.png"), "broken.png")
    assert run("upscale", "good.png", "-o", "broken.png") == 2


def test_a_file_is_on_the_disk_before_it_has_its_name(bad, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        usual = getattr(os, name)

        def noted(*arguments, name=name, usual=usual):
            calls.append(name)
            return usual(*arguments)

        monkeypatch.setattr(os, name, noted)
    assert run("upscale", "good.png") == 0
    assert calls[-2:] == ["fsync", "replace"]


@pytest.mark.parametrize(
    "command, name",
    [
        ("upscale good.png -o a.png", "a.png"),
        ("evaluate pictures --json table.json", "table.json"),
        ("train pictures -s 2 -o a.npz --size 15 --network 3-1-3 --steps 2", "a."),
    ],
)
def test_a_folder_that_may_not_be_written_to(bad, capsys, monkeypatch, command, name):
    before, usual = names(bad), os.open

    def refuse(path, *arguments, **options):
        if Path(path).parent in (Path(), bad):  # but not in Numba's cache
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return usual(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert run(*command.split()) == 1
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith(f"pysrcnn: cannot write {name}")
    assert complaint.endswith("choose another folder or change its rights")
    assert names(bad) == before


def test_no_memory(bad, capsys, monkeypatch):
    def too_large(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(pysrcnn.batch.enlarge, "upscale_frames", too_large)
    assert run("upscale", "good.png") == 1
    assert capsys.readouterr().err.startswith("pysrcnn: ")


def test_an_interruption_leaves_nothing_behind(bad, capsys, monkeypatch):
    before = names(bad)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted_once(lambda *_: None, 1))
        assert run("upscale", "good.png") == 130
    assert capsys.readouterr().err == "pysrcnn: interrupted\n"
    assert names(bad) == before


# ---------------------------------------------------------------------------------- real processes


STARTS = {
    "module": ["-m", "pysrcnn", "info"],
    "script": ["pysrcnn", "info"],
    "example": ["upscale.py"],
}


@pytest.mark.parametrize("start", STARTS)
def test_ctrl_c_during_imports_is_one_line(tmp_path, start):
    # In place of Numba, something that takes long, in the middle of which the user presses Ctrl-C.
    (tmp_path / "numba.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    script = "import sys\nfrom pysrcnn.cli import main\nsys.exit(main())\n"
    (tmp_path / "pysrcnn").write_text(script)
    if start == "example":
        if not EXAMPLE.exists():
            pytest.skip("the examples are not beside the tests")
        shutil.copy(EXAMPLE, tmp_path)
    done = process(*STARTS[start], cwd=tmp_path, first=[tmp_path])
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.removeprefix("pysrcnn: ") == "interrupted\n"


def test_ctrl_c_during_imports_is_left_to_other_programs(tmp_path):
    (tmp_path / "numba.py").write_text("raise KeyboardInterrupt")
    code = "import signal\ntry:\n    import pysrcnn\nexcept KeyboardInterrupt:\n"
    code += "    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    (tmp_path / "other.py").write_text(code)
    assert process("other.py", cwd=tmp_path, first=[tmp_path]).stdout == "True\n"


def test_ctrl_c_when_all_is_done_changes_nothing(bad):
    script = "import os, signal, sys, threading\nfrom pysrcnn.cli import main\ncode = main()\n"
    script += "for end in (signal.SIGINT, signal.SIGTERM):\n    os.kill(os.getpid(), end)\n"
    Path("pysrcnn").write_text(script + "sys.exit(code)\n")
    done = process("pysrcnn", "convert", "x3.npz", "a.npz", cwd=bad)
    assert (done.returncode, done.stderr) == (0, "") and Path("a.npz").exists()


def test_the_module_is_the_command(bad):
    done = process("-m", "pysrcnn", "upscale", "good.png", "-m", "x3.npz", cwd=bad)
    assert done.returncode == 0, done.stderr
    line = "good_x3.png: 36 x 30 pixels, from 12 x 10 by 3-1-3 of x3.npz x3 in "
    assert done.stdout.startswith(line)
    assert read_picture("good_x3.png").shape == (30, 36, 3)

    done = process("-m", "pysrcnn", "upscale", "none.png", "-m", "x3.npz", cwd=bad)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "pysrcnn: no file none.png: check the name\n"


def test_other_programs_warnings_are_not_printed(bad):
    """Pillow warns of some damage before it raises, or does not raise, as for large pictures."""
    image = pytest.importorskip("PIL.Image")
    image.fromarray(picture_of(40, 50, 3)).save("half.tif")
    content = Path("half.tif").read_bytes()
    bad_files = []
    for k, part in enumerate((30, len(content) // 2, len(content) - 20)):
        bad_files.append(f"half{k}.tif")
        Path(bad_files[-1]).write_bytes(content[:part])
    done = process("-m", "pysrcnn", "upscale", *bad_files, "-m", "x3.npz", cwd=bad)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines.pop() == "0 enlarged, 3 failed"
    assert [line.split(" is ")[0] for line in lines] == [f"pysrcnn: {n}" for n in bad_files]


def test_the_example_as_a_process(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")  # as on Windows, where output is redirected
    tmp_path /= "фото"
    tmp_path.mkdir()
    if not EXAMPLE.exists():
        pytest.skip("the examples are not beside the tests")
    shutil.copy(EXAMPLE, tmp_path)  # the result is written beside the sample
    shutil.copy(EXAMPLE.with_name("sample.png"), tmp_path)
    height, width = read_picture(tmp_path / "sample.png").shape[:2]
    done = process("upscale.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    wanted = f"sample_x3.png: {3 * width} x {3 * height} pixels, from {width} x {height} by edsr-s"
    assert wanted in line
    assert read_picture(tmp_path / "sample_x3.png").shape[:2] == (3 * height, 3 * width)


def example(*arguments):
    """The example within this process, so that weights can be made up for it: its exit code."""
    if not EXAMPLE.exists():
        pytest.skip("the examples are not beside the tests")
    before, sys.argv = sys.argv, [os.fspath(EXAMPLE), *map(os.fspath, arguments)]
    try:
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(os.fspath(EXAMPLE), run_name="__main__")
    finally:
        sys.argv = before
    return stop.value.code or 0


def test_the_example_does_what_the_command_does(bad, capsys):
    """With whatever a file has: the same bytes, the same name, and what is said."""
    image = pytest.importorskip("PIL.Image")
    exif = image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"  # stored on its side
    photo = image.fromarray(picture_of(10, 12, 3))
    photo.save("turned.jpg", exif=exif, dpi=(300, 300), comment=b"beach")
    photo.convert("CMYK").save("inks.jpg")
    write_picture("deep.png", picture_of(9, 8).astype(np.uint16) * 257 + 1)
    frames = [image.fromarray(picture_of(9, 8, 3, seed=k)) for k in range(3)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:], duration=[70, 90, 50])

    def told():
        """Less the seconds, and the note of kernels that are compiled."""
        return [re.sub(r" in \d.*|compiling for.*\n", "", text) for text in capsys.readouterr()]

    for name in ("alpha.png", "turned.jpg", "inks.jpg", "deep.png", "moving.gif"):
        assert example(name, "-s", "2") == 0
        by_example = told()
        assert run("upscale", name, "-s", "2", "-o", "new/") == 0
        (result,) = Path("new").iterdir()
        assert result.read_bytes() == Path(result.name).read_bytes()
        assert by_example == [text.replace(os.path.join("new", ""), "") for text in told()]
        result.unlink()
    assert read_picture("turned_x2.png").shape == (24, 20, 3)
    with image.open("turned_x2.png") as turned:
        assert turned.getexif()[0x010F] == "Maker"


def test_the_example_replaces_nothing_but_results(bad, capsys):
    assert run("upscale", "good.png") == example("good.png") == run("upscale", "good.png") == 0
    write_picture("good_x2.png", picture_of(20, 24, 3))
    before = Path("good_x2.png").read_bytes()
    assert example("good.png", "-s", "2") == 2
    err = capsys.readouterr().err
    assert "good_x2.png is there already" in err and err.count("\n") == 1
    assert Path("good_x2.png").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_example_does_not_overwrite_its_picture(bad, capsys, link):
    before = Path("good.png").read_bytes()
    link("good.png", "good_x3.png")
    assert example("good.png") == 2
    assert "good_x3.png is one of the pictures" in capsys.readouterr().err
    assert Path("good.png").read_bytes() == before


def test_the_example_says_that_it_was_interrupted(bad, capsys, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pysrcnn.batch.enlarge, "upscale_frames", stopped)
    assert example("good.png") == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("number", ENDS)
def test_the_example_ends_in_order(bad, monkeypatch, number):
    """By whatever signal: by the system's own end, files that are being written are left."""

    def unhandled(number, frame):
        pytest.fail("the example leaves the signal to the system")

    def told(*arguments, **options):
        signal.raise_signal(number)

    monkeypatch.setattr(pysrcnn.batch.enlarge, "upscale_frames", told)
    usual = signal.signal(number, unhandled)
    try:
        assert example("good.png") == 128 + number
        assert signal.getsignal(number) is unhandled
    finally:
        signal.signal(number, usual)


@pytest.mark.parametrize("name", ["none.png", "empty.png", "text.png", "half-photo.jpg", "small"])
def test_the_example_says_what_is_wrong(bad, capsys, name):
    before = names(bad)
    assert example(name) == 2
    err = capsys.readouterr().err
    assert name in err and err.count("\n") == 1
    assert names(bad) == before


KEPT = [  # two commands that write the same file
    ("show filters -m x3.npz -o OUT.png", "show crops pictures/1.png -m x3.npz -o OUT.png"),
    ("show filters -m x3.npz -o OUT.svg", "show crops pictures/1.png -m x3.npz -o OUT.svg"),
    ("show filters -m x3.npz -o OUT.pdf", "show crops pictures/1.png -m x3.npz -o OUT.pdf"),
    ("gradcheck --network 3-1-3 --write OUT.npz", "gradcheck --network 3-3-3 --write OUT.npz"),
    ("evaluate pictures -m x3.npz --json OUT.json", "score pictures pictures -s 2 --json OUT.json"),
]


@pytest.mark.parametrize("first, second", KEPT)
def test_files_are_replaced_only_if_made_here(bad, capsys, first, second):
    if "show" in first:
        pytest.importorskip("matplotlib")
    out = Path(next(word for word in first.split() if "OUT" in word))
    noun = {"show": "plot", "gradcheck": "case"}.get(first.split()[0], "table")
    out.write_bytes(b"")  # as mktemp makes it
    assert run(*first.split()) == 0 and out.stat().st_size > 0
    for command in (second, first):
        mine = out.read_bytes()
        assert run(*command.split()) == 0 and out.read_bytes() != mine
    out.write_bytes(b"mine" + out.read_bytes()[4:-4] + b"mine")
    mine = out.read_bytes()
    capsys.readouterr()
    assert run(*first.split()) == 2 and out.read_bytes() == mine
    assert (
        f"{out} is there already, and no earlier {noun} of pysrcnn: give the result another name, "
        f"or replace the file with --overwrite\n"
    ) in capsys.readouterr().err
    assert run(*first.split(), "--overwrite") == 0 and out.read_bytes() != mine


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".onnx", ".mat"])
def test_convert_replaces_only_what_it_wrote(bad, capsys, suffix):
    """Weights that were saved otherwise may be of hours; a .mat file does not tell."""
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    out = Path(f"a{suffix}")
    for scale in "23":
        more = ["--overwrite"] if suffix == ".mat" else []
        assert run("convert", f"x{scale}.npz", out, *more) == 0
        assert suffix == ".mat" or load(out).scale == int(scale)
    if suffix != ".mat":
        load(out).save(out)
    before = out.read_bytes()
    assert run("convert", "x2.npz", out) == 2 and out.read_bytes() == before
    assert (
        f"{out} is there already, and no earlier result of convert: give the result another "
        f"name, or replace the file with --overwrite\n"
    ) in capsys.readouterr().err
    assert run("convert", "x2.npz", out, "--overwrite") == 0 and out.read_bytes() != before


def test_pictures_and_plots_of_others_are_no_plots_of_ours(bad, capsys):
    pytest.importorskip("matplotlib")
    assert run("upscale", "good.png", "-m", "x3.npz", "-o", "large.png") == 0
    for name in ("good.png", "large.png"):
        before = Path(name).read_bytes()
        assert run("show", "filters", "-m", "x3.npz", "-o", name) == 2
        assert "and no earlier plot of pysrcnn" in capsys.readouterr().err
        assert Path(name).read_bytes() == before
