"""The experiments of the paper run, on noise, and the page is made of their results."""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import PACKAGE, process

from pysrcnn import SRCNN, imresize, load
from pysrcnn.data import luma
from pysrcnn.evaluate import average, by_features, evaluate, levels
from pysrcnn.networks import DRCN, EDSR, ESPCN, VDSR, VESPCN, SRResNet, load_features
from pysrcnn.networks.loading import shipped_files
from pysrcnn.networks.vespcn import FUSIONS
from pysrcnn.niqe import niqe
from pysrcnn.pictures import list_pictures, read_picture, write_picture
from pysrcnn.training import RECIPES

ROOT = Path(__file__).resolve().parent.parent


def command(name, *arguments):
    # Not the package in the checkout, if another is under test: that has to be compiled first.
    module = ("-P", "-m", f"benchmarks.{name}")
    done = process(*module, *map(str, arguments), first=[PACKAGE.parent, ROOT])
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


@pytest.mark.slow
def test_deep_networks_are_compared(data, tmp_path, monkeypatch, capsys):
    """Tiny ones: for several scales, without the residual, and one that diverges at once."""
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import paper, paper_page
    from benchmarks.experiments import EXPERIMENTS, Entry

    tiny = {"depth": 3, "width": 4, "size": 12, "batch": 2, "warmup": 0}
    recipe, usual = replace(RECIPES["vdsr"], **tiny), {"folders": ("T91",), "budget": 1e-4}
    wild = {"learning_rate": 1e9, "last_learning_rate": 1e9, "clip": 0.0, "stride": 12}
    without = next(e.change for e in EXPERIMENTS["residual"] if e.change)
    entries = [
        Entry("x2 x3", recipe, **usual, scales=(2, 3)),
        Entry("x2", replace(recipe, depth=4), **usual, scales=(2,), change=without),
        Entry("wild", replace(RECIPES["vdsr-paper"], **tiny, **wild), **usual),
    ]
    monkeypatch.setitem(EXPERIMENTS, "scales", entries)
    results = tmp_path / "results"
    options = argparse.Namespace(
        data=data, work=tmp_path / "work", output=results, steps=2, threads=1, quick=False
    )
    for _ in range(2):
        paper.experiment("scales", options)
        both, x2, wild = json.loads((results / "scales.json").read_text())["lines"]
        assert both["psnr"].keys() == x2["psnr"].keys() == {"x2", "x3"}
        assert both["pictures"] == x2["pictures"] == 2 and both["recipe"]["steps"] > 10
        work = [line["samples"] * line["multiplications"] for line in (both, x2)]
        assert work[0] == pytest.approx(work[1], rel=0.1) == pytest.approx(1.2e6, rel=0.1)
        assert wild["samples"] < both["samples"] and wild["psnr"] == {"x2": None, "x3": None}
        out = capsys.readouterr().out
        assert f"{x2['psnr']['x3']:.2f}" in out and "diverged" in out
    assert "step" not in out  # nothing was trained again
    trained = {name: load(tmp_path / "work" / "scales" / name / "network.npz") for name in ("x2",)}
    assert trained["x2"].options == {"residual": False}

    monkeypatch.setattr("sys.argv", ["", "--results", str(results), "--output", str(tmp_path)])
    paper_page.main()
    page = (tmp_path / "paper.md").read_text(encoding="utf-8")
    assert page.count("\n## ") == 1 and "\n## One network for several scales\n" in page
    psnr = f"{x2['psnr']['x2']:.2f} (37.10) | {x2['psnr']['x3']:.2f}"
    assert f"| x2 | 360 | {psnr} | {x2['samples']} |" in page
    assert "| wild | 216 | diverged | diverged |" in page
    assert (tmp_path / "paper_scales.png").read_bytes()[1:4] == b"PNG"


def test_every_experiment_runs_for_any_number_of_steps(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.experiments import EXPERIMENTS

    for entry in (entry for entries in EXPERIMENTS.values() for entry in entries):
        short, long = (entry.trained_for(steps) for steps in (10, 5000))
        assert 2 <= short.steps < long.steps
        assert long == replace(entry.recipe, steps=long.steps)


def test_blocks_are_compared_with_batch_normalisation_and_without(monkeypatch):
    """SRResNet of EDSR's blocks and maps: the two differ in nothing else, and see as much."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.experiments import EXPERIMENTS, WORK

    edsr, _, normed, plain = EXPERIMENTS["blocks"]
    assert (normed.name, plain.name) == ("SRResNet", "SRResNet, no batch norm")
    assert replace(normed.recipe, batch_norm=False) == plain.recipe != normed.recipe
    assert (plain.recipe.depth, plain.recipe.width) == (edsr.recipe.depth, edsr.recipe.width)
    for entry in (normed, plain):
        network = SRResNet.from_recipe(entry.recipe, 3)
        assert bool(network.statistics) == entry.recipe.batch_norm
        recipe = entry.trained_for(100)
        work = recipe.steps * recipe.batch * entry.multiplications
        assert work == pytest.approx(100 * WORK, rel=0.05)
    assert normed.trained_for(100) == replace(plain.trained_for(100), batch_norm=True)


def test_a_drcn_that_is_not_supervised_learns_by_its_sum_alone(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.experiments import EXPERIMENTS

    (change,) = (entry.change for entry in EXPERIMENTS["recursions"] if entry.change)
    network, rng = DRCN(2, 3, seed=1), np.random.default_rng(4)
    low, high = rng.random((2, 1, 1, 8, 9), np.float32)
    for name in ("W", "W_out2"):  # so that each recursion gives another picture
        network.parameters[name][...] = rng.normal(0, 0.5, network.parameters[name].shape)
    first, last = (network.loss_and_gradients(low, high, "l1", done)[0] for done in (0.0, 1.0))
    change(network)
    assert network.loss_and_gradients(low, high, "l1", 0.0)[0] == last != first


def test_the_page_has_the_numbers_of_its_results(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.networks import of_pictures

    page = ROOT / "docs" / "paper.md"
    committed = page.read_text(encoding="utf-8")
    networks = json.loads((ROOT / "benchmarks/results/paper/networks.json").read_text())
    known = {(line["network"], line["scale"]): line["card"] for line in networks["lines"]}
    assert known == {which: load(path).card for which, path in of_pictures().items()}
    command("paper_page", "--output", tmp_path)
    assert (tmp_path / "paper.md").read_text(encoding="utf-8") == committed


def test_quality_against_time(data, tmp_path):
    pytest.importorskip("matplotlib")
    mine = VDSR(3, 4)
    mine.save(tmp_path / "mine_x2x3.npz")
    ESPCN(2).save(tmp_path / "other.npz")
    out = command(
        "quality", "--quick", "--threads", 1, "--scales", 3, "--networks", "espcn",
        "--pictures", data / "Set5", "--weights", tmp_path / "mine_x2x3.npz",
        tmp_path / "other.npz", "--output", tmp_path / "quality.json",
    )  # fmt: skip
    assert "other.npz is not for x3: left out there" in out
    content = json.loads((tmp_path / "quality.json").read_text())
    bicubic, espcn, other = lines = content["lines"]
    assert [line["name"] for line in lines] == ["bicubic", "espcn", "mine"]
    score = average(list(evaluate(data / "Set5", load("espcn", 3))))
    assert (espcn["psnr"], espcn["ssim"]) == (score.psnr, score.ssim)
    assert (bicubic["psnr"], bicubic["ssim"]) == (score.bicubic_psnr, score.bicubic_ssim)
    assert (other["weights"], other["multiplications"]) == (36 + 4 + 144 + 4 + 36 + 1, 216)
    assert all(line["seconds a megapixel"]["median"] > 0 for line in lines)
    assert content["options"]["weights"] == ["mine_x2x3.npz", "other.npz"]  # not where it is kept
    text = (tmp_path / "quality.txt").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80
    for line in lines:
        assert f"{line['psnr']:.2f}  {line['ssim']:.4f}" in text and line["name"] in out
    assert (tmp_path / "quality-x3.png").read_bytes()[1:4] == b"PNG"


def test_truth_against_looks(tmp_path):
    pytest.importorskip("matplotlib")
    pictures = tmp_path / "photographs"
    pictures.mkdir()
    cat = read_picture(ROOT / "examples" / "pictures" / "cat.png")[:200, :206]
    write_picture(pictures / "a.png", cat)
    write_picture(pictures / "small.png", cat[:60])
    mine = SRResNet(3, 1, 4, 3)
    mine.start = {name: p.copy() for name, p in mine.parameters.items()}
    mine.parameters["B_tail"] += 0.1
    mine.save(tmp_path / "mine.npz")
    EDSR(2, 1, 4, seed=1).save(tmp_path / "maps.npz")
    out = command(
        "perception", "--threads", 1, "--scales", 3, "--networks", "espcn", "--pictures", pictures,
        "--weights", tmp_path / "mine.npz", "--output", tmp_path / "p.json",
        "--features", tmp_path / "maps.npz", "--looks", tmp_path / "looks",
    )  # fmt: skip
    assert "small.png: niqe got" in out
    (found,) = json.loads((tmp_path / "p.json").read_text())["results"]
    assert (found["scale"], found["pictures"]) == (3, 1)
    look = {
        "niqe": lambda picture, original, shave: niqe(picture, shave=shave),
        "features": by_features(load_features(tmp_path / "maps.npz")),
    }
    assert read_picture(tmp_path / "looks" / "a-x3.png").shape == (160, 6 * 160 + 5 * 4, 3)
    (pictures / "small.png").unlink()
    (score,) = evaluate(pictures, load("espcn", 3), more=look)
    bicubic, espcn, *others = found["lines"]
    assert bicubic == {
        "name": "bicubic", "psnr": score.bicubic_psnr, "niqe": score.more["bicubic_niqe"],
        "features": score.more["bicubic_features"],
    }  # fmt: skip
    numbers = {name: score.numbers[name] for name in ("psnr", "niqe", "features")}
    assert espcn == {"name": "espcn", **numbers}
    assert [(line["name"], line["sharpness"]) for line in others] == [
        ("mine", a) for a in (0, 0.25, 0.5, 0.75, 1)
    ]
    (score,) = evaluate(pictures, load(tmp_path / "mine.npz", sharpness=0.5), more=look)
    assert others[2]["psnr"] == score.psnr and others[0]["psnr"] != score.psnr
    assert found["features"] == "EDSR block1 of maps.npz"
    y = levels(luma(cat[:198, :204])[None])
    assert found["originals"] == pytest.approx(niqe(y, shave=3), abs=1e-12)
    last = (tmp_path / "p.txt").read_text().splitlines()[-1]
    assert last.split() == ["originals", f"{found['originals']:.3f}", "0.000"]
    for axis in ("niqe", "features"):
        assert (tmp_path / f"p-{axis}-x3.png").read_bytes()[1:4] == b"PNG"


def test_quality_of_video_and_its_part_of_the_page(tmp_path, monkeypatch):
    """Two small clips, and a network of three frames beside one that is shipped."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import networks_page

    cat = read_picture(ROOT / "examples" / "pictures" / "cat.png")
    for clip, top in ("a", 20), ("b", 120):
        (tmp_path / "clips" / clip).mkdir(parents=True)
        for k in range(2):
            frame = cat[top + k : top + k + 28, 60 + 2 * k : 92 + 2 * k]
            write_picture(tmp_path / "clips" / clip / f"{k}.png", frame)
    mine = VESPCN(4, 3, 3, 4, fusion="subpixel", seed=1)
    mine.save(tmp_path / "vespcn_x4.npz")
    out = command(
        "video", "--quick", "--threads", 1, "--scales", 4, "--networks", "espcn",
        "--clips", tmp_path / "clips", "--weights", tmp_path / "vespcn_x4.npz",
        "--output", tmp_path / "video.json",
    )  # fmt: skip
    content = json.loads((tmp_path / "video.json").read_text())
    bicubic, espcn, ours = lines = content["lines"]
    assert [line["name"] for line in lines] == ["bicubic", "espcn", "vespcn"]
    scores = list(evaluate(tmp_path / "clips", mine, 4))
    mean = average(scores).numbers
    for line, before in (bicubic, "bicubic_"), (ours, ""):
        assert line["mean"] == {m: mean[before + m] for m in ("psnr", "ssim", "tof")}
        assert line["clips"]["b"]["tof"] == scores[1].numbers[f"{before}tof"]
        above = [line["clips"][clip]["psnr"] - espcn["clips"][clip]["psnr"] for clip in "ab"]
        assert line["above espcn"]["dB"] == pytest.approx(np.mean(above))
        assert line["above espcn"]["clips"] == sum(more > 0 for more in above)
    assert all(line["seconds a frame"]["median"] > 0 for line in lines)
    subpixel, early = content["cases"]
    assert subpixel["title"] == "VESPCN, subpixel fusion (vespcn), 24 x 12 to 96 x 48"
    assert early["title"].startswith("VESPCN, early fusion (random weights)")
    text = (tmp_path / "video.txt").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80 and subpixel["title"] in text
    assert (
        f"{mean['psnr']:.2f}  {mean['ssim']:.4f}  {mean['tof']:.3f}" in text and text[:5] == "clips"
    )
    assert "frames a second" in out

    with pytest.raises(ValueError, match=r"video\.json is of a quick run"):
        networks_page.video({("vespcn", 4): mine}, tmp_path)
    content["options"]["quick"] = False
    (tmp_path / "video.json").write_text(json.dumps(content))
    assert networks_page.video({("espcn", 4): ESPCN(4)}, tmp_path) == {}
    page = networks_page.video({("vespcn", 4): mine}, tmp_path)["video"].splitlines()
    numbers = f"{mean['psnr']:.2f} | {mean['ssim']:.4f} | {mean['tof']:.3f}"
    assert page[-1].startswith(f"| vespcn | {numbers} | ")
    assert page[-1].endswith(" | 25.35 / 0.7557 |") and page[-2].endswith(" |  |")


def test_networks_for_video_are_apart_from_those_for_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import crops, networks, networks_page, quality, video

    monkeypatch.setattr("pysrcnn.networks.loading._WEIGHTS", tmp_path)
    ESPCN(4).save(tmp_path / "espcn_x4.npz")
    VESPCN(4, 3, 3, 4).save(tmp_path / "vespcn_x4.npz")
    assert list(networks.of_pictures()) == [("espcn", 4)] and quality.names() == ("espcn",)
    assert video.names() == ("espcn", "vespcn")
    mine = tmp_path / "mine.npz"
    VESPCN(4, 3, 3, 4).save(mine)
    options = argparse.Namespace(networks=("espcn", "vespcn"), weights=[mine])
    assert list(quality.networks(options, 4)) == ["espcn"]
    assert "mine.npz takes frames of a video: python -m benchmarks.video" in capsys.readouterr().out
    assert list(video.networks(options, 4)) == ["espcn", "vespcn", "mine"]
    assert crops.rows(networks.of_pictures()) == {4: ["espcn"]}
    found, nothing = networks_page.networks(), networks_page.read(tmp_path)
    assert "| vespcn | VESPCN, " in networks_page.which(found)
    assert "vespcn" not in networks_page.at_scale(4, found, nothing)


def test_pytorch_runs_the_same_vespcn(monkeypatch):
    """With flows of some pixels, in every fusion."""
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.engines import pytorch

    rng = np.random.default_rng(0)
    for fusion in FUSIONS:
        vespcn = VESPCN(2, 3, 3, 4, fusion=fusion)
        for part in ("coarse", "fine"):
            vespcn.parameters[f"W_{part}5"] *= 40
        x = rng.random((1, 3, 12, 16), np.float32)
        wanted = vespcn.forward(x)
        for run in pytorch(vespcn, 1).values():
            assert np.abs(run(x) - wanted).max() < 1e-5


PAGES = "README.md", "docs/benchmarks.md", "docs/perception.md"


@pytest.fixture
def pages(tmp_path):
    """Copies of the pages that results of benchmarks go into: their folder."""
    for page in PAGES:
        (tmp_path / page).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / page, tmp_path / page)
    return tmp_path


def _read(root):
    return [(root / page).read_text(encoding="utf-8") for page in PAGES]


def test_results_of_quality_go_into_readme_and_docs(pages, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.quality_page import fill

    lines = [
        {"name": name, "scale": scale, "psnr": psnr + scale, "ssim": 0.9,
         "seconds a megapixel": {"median": seconds}, **more}
        for scale in (2, 4)
        for name, psnr, seconds, more in (
            ("bicubic", 26.123, 0.01, {}),
            ("espcn", 28.456, 0.1, {"weights": 21284, "multiplications": 5321.0}),
        )
    ]  # fmt: skip
    content = {
        "options": {"quick": False, "pictures": "Set5"}, "lines": lines,
        "machine": {"threads": 2, "processor": "some processor"},
    }  # fmt: skip
    results = pages / "quality.json"
    results.write_text(json.dumps(content))
    fill(results, pages)
    readme, docs, _ = first = _read(pages)
    assert "(docs/quality-x2.png)" in readme and "at ×2" in readme
    assert "some processor" in docs
    for scale in (2, 4):
        assert (pages / "docs" / f"quality-x{scale}.png").read_bytes()[1:4] == b"PNG"
        assert f"(quality-x{scale}.png)" in docs
    fill(results, pages)
    assert _read(pages) == first  # replaced, not added
    content["options"]["quick"] = True
    results.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="of a quick run"):
        fill(results, pages)
    content["options"]["quick"] = False
    results.write_text(json.dumps(content))
    (pages / "README.md").write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match=r"README\.md needs the lines <!-- quality -->"):
        fill(results, pages)


def test_readme_and_docs_have_what_was_measured(pages, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import perception_page, quality_page

    committed, results = _read(pages), ROOT / "benchmarks" / "results"
    quality_page.fill(results / "quality.json", pages)
    perception_page.fill(results / "perception.json", pages)
    assert _read(pages) == committed


def test_tables_and_charts_of_perception_go_into_its_page(pages, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.perception_page import fill

    lines = [
        {"name": "bicubic", "psnr": 28.421, "niqe": 8.1, "features": 0.6},
        {"name": "srgan", "sharpness": 0.0, "psnr": 30.5, "niqe": 7.0, "features": 0.5},
        {"name": "srgan", "sharpness": 1.0, "psnr": 28.9, "niqe": 4.0, "features": 0.3},
    ]
    found = {"scale": 4, "features": "VGG of a file", "originals": 4.5, "lines": lines}
    content = {"options": {"quick": False, "pictures": "Set5"}, "results": [found]}
    (pages / "perception.json").write_text(json.dumps(content))
    fill(pages / "perception.json", pages)
    page = (pages / "docs" / "perception.md").read_text(encoding="utf-8")
    assert "| srgan 1 | 28.90 | 4.000 | 0.300 |" in page and "| originals |  | 4.500 |" in page
    for name in ("niqe", "features"):
        assert f"(perception-{name}-x4.png)" in page
        chart = pages / "docs" / f"perception-{name}-x4.png"
        assert chart.read_bytes()[1:4] == b"PNG"


def test_no_name_of_a_chart_covers_another(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.quality_chart import chart

    points = {
        "bicubic": (0.01, 30.4), "9-1-5": (0.1, 32.8), "9-3-5": (0.11, 32.82),
        "espcn": (0.03, 32.9), "edsr-s": (0.11, 33.8), "photo": (0.115, 32.85),
        "edsr": (0.5, 34.1), "srresnet": (0.51, 34.1),
    }  # fmt: skip
    lines = [
        {"name": name, "scale": 3, "psnr": psnr, "seconds a megapixel": {"median": seconds}}
        for name, (seconds, psnr) in points.items()
    ]
    figure = chart(lines, "Set5")
    figure.canvas.draw()
    (axis,) = figure.axes
    boxes = [text.get_window_extent() for text in axis.texts if text.get_text()]
    assert len(boxes) == len(points)
    places = axis.transData.transform(list(points.values()))
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert not any(box.contains(*place) for place in places)
        assert axis.bbox.contains(*box.min) and axis.bbox.contains(*box.max)


def test_deep_networks_are_timed_once_they_are_validated(tmp_path):
    names = ("drcn", "edsr-s", "edsr-baseline", "srresnet")
    command(
        "upscale", "--quick", "--threads", 1, "--sizes", "12x12", "--networks", *names,
        "--output", tmp_path / "a.json",
    )  # fmt: skip
    cases = json.loads((tmp_path / "a.json").read_text())["cases"]
    assert [case["title"] for case in cases] == [
        "drcn, 12 x 12", "edsr-s, 4 x 4 to 12 x 12", "edsr-baseline, 4 x 4 to 12 x 12",
        "srresnet, 3 x 3 to 12 x 12",
    ]  # fmt: skip
    for case in cases:
        assert case["lines"][0]["name"] == "pysrcnn" and case["lines"][0]["error"] < 1e-3


def test_pytorch_runs_the_same_srresnet(monkeypatch):
    """Of the paper's size, in colour, with batch normalisation folded."""
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.engines import _pytorch
    from benchmarks.networks import network

    srresnet = network("srresnet")
    assert (srresnet.scale, srresnet.blocks, srresnet.c) == (4, 16, 3)
    assert not srresnet.statistics and srresnet.parameters["W_head"].shape == (64, 3, 9, 9)
    x = np.random.default_rng(0).random((1, 3, 5, 4), np.float32)
    for layout in ("NCHW", "channels_last"):
        out = _pytorch(srresnet, 1, layout)(x)
        assert np.abs(out - srresnet.forward(x)).max() < 1e-5


def test_a_benchmark_of_a_slow_network_leaves_large_pictures_out(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.upscale import SIZES, _sizes

    assert _sizes("9-5-5") == _sizes("edsr-s") == list(SIZES)
    assert _sizes("vdsr") == _sizes("drcn") == _sizes("srresnet") == list(SIZES[:2])


def test_the_graph_that_engines_get_is_the_network(monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.syspath_prepend(ROOT)
    from onnx import load_from_string
    from onnx.reference import ReferenceEvaluator

    from benchmarks.engines import _onnx_model

    for network in (ESPCN(2), DRCN(2, 3), EDSR(2, 1, 4, short_tail=False), SRResNet(2, 1, 4, 3)):
        x = np.random.default_rng(0).random((1, network.c, 6, 5), np.float32)
        model = load_from_string(_onnx_model(network, x.shape))
        out = network.forward(x)
        shape = model.graph.output[0].type.tensor_type.shape
        assert tuple(axis.dim_value for axis in shape.dim) == out.shape
        assert np.abs(ReferenceEvaluator(model).run(None, {"low": x})[0] - out).max() < 1e-5


def test_the_page_of_weights_has_the_cards_of_the_files(tmp_path):
    command("weights_page", "--output", tmp_path)
    committed = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    assert (tmp_path / "weights.md").read_text(encoding="utf-8") == committed
    for label in shipped_files().values():
        assert "\n## {}\n".format(label.replace(" x", " ×")) in committed


def test_the_page_of_networks_is_that_of_its_results_and_of_the_weights(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from PIL import Image

    from benchmarks import crops, networks, networks_page

    monkeypatch.setattr("sys.argv", ["", "--output", str(tmp_path)])
    networks_page.main()
    committed = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    assert (tmp_path / "networks.md").read_text(encoding="utf-8") == committed
    files = networks.of_pictures()
    made_of = {f"networks-{name}": crops.stamp(files.values()) for name in crops.DETAILS}
    made_of["perception"] = crops.stamp(crops.of_sharper(files))
    made_of["family"] = crops.stamp(files[one] for one in crops.of_family(files).items())
    for name, weights in made_of.items():
        with Image.open(ROOT / "docs" / f"{name}.png") as picture:
            assert picture.text["weights"] == weights, "run python -m benchmarks.crops"


def test_what_was_not_measured_is_a_dash_and_what_is_not_shipped_left_out(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import networks_page

    nothing = networks_page.read(tmp_path)
    found = {("new", 5): ESPCN(5), ("vdsr", 5): VDSR(3, 4), ("vdsr", 3): VDSR(3, 4)}
    _, _, bicubic, _, vdsr = networks_page.at_scale(5, found, nothing).splitlines()
    assert bicubic == "| bicubic | – | – | – | – |  |  |  |"
    assert vdsr == "| vdsr | – | – | – | – | 225 | 216 | 7 |"
    measured = nothing | {
        "quality": {("vdsr", 5): {"seconds a megapixel": {"median": 0.1234}}},
        "memory": {("vdsr", 5): {"peak": 3 * 2**20}},
    }
    assert "| vdsr | – | – | 0.123 | 3 |" in networks_page.at_scale(5, found, measured)
    assert networks_page.beside("drcn", found, nothing) is None
    card = {"steps": 10, "recipe": {"batch": 4}, "start": "9-1-5_x3.npz, but W3 anew"}
    assert networks_page.crops_seen(card) == 40 + 16 * 35_000


def test_details_of_the_networks_that_are_there(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import crops

    some = [("a", 3), ("espcn", 3), ("edsr-s", 3), ("edsr-s", 4), ("espcn", 4), ("b", 4)]
    assert crops.rows(some) == {3: ["espcn", "edsr-s", "a"], 4: ["edsr-s", "b"]}

    def enlarged(photograph, scale, names):
        whole = np.zeros((288, 408, 3), np.uint8)
        found = {name: whole + k for k, name in enumerate(("bicubic", *names, "truth"))}
        return {"small": whole[:72, :102]} | found

    monkeypatch.setattr(crops, "enlarged", enlarged)
    some = [(name, 4) for name in ("9-5-5", "espcn", "vdsr", "edsr-s", "edsr")]
    tiles = crops.family(crops.of_family(some))
    wanted = ["a photograph", "the small picture", "bicubic ×4", "SRCNN ×4"]
    wanted += ["ESPCN ×4", "VDSR ×4", "EDSR ×4", "original"]
    assert [label for row in tiles for label, _ in row] == wanted
    assert crops.of_family(some)["edsr"] == 4
    tiles = crops.family(crops.of_family([*some, ("srgan", 4)]))
    assert "the small picture" not in dict(tiles[0]) and tiles[1][2][0] == "SRGAN ×4"

    colours = [(200, 30, 40), (10, 120, 60), (5, 5, 250)]
    tile = [np.full((crops.SIDE, crops.SIDE, 3), colour, np.uint8) for colour in colours]
    tiles = [[("a", tile[0]), ("b", tile[1])], [("c", tile[2])]]
    crops.save(crops.sheet(tiles), tmp_path / "sheet.png", "9-5-5_x4 0123")
    side = crops.SIDE * crops.TIMES
    step = side + crops.GAP
    picture = read_picture(tmp_path / "sheet.png")
    assert picture.shape == (2 * (step + crops.BAR) - crops.GAP, 2 * step - crops.GAP, 4)
    for k, (i, j) in enumerate(((0, 0), (0, 1), (1, 0))):
        top, left = i * (step + crops.BAR), j * step
        part = picture[top : top + side, left : left + side]
        assert np.abs(part - np.array([*colours[k], 255], float)).max() <= 3
    assert not picture[:, side : side + crops.GAP, 3].any() and picture[-1, -1, 3] == 0


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
    degraded, clean = (card(tmp_path / f"{n}_x2.npz", n) for n in ("photo", "clean"))
    assert "| degradation | blurred 0.3, sigma [0.3, 1.0], noisy 0.4, " in degraded
    assert "degradation" not in clean and "steps 20000" in clean


def test_factors_between(tmp_path, monkeypatch):
    """By a VDSR that adds nothing, which is bicubic interpolation, with or without a detour."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.between import lines_of, measure

    network = VDSR(2, 4)
    network.scales = 2, 3, 4
    network.parameters["W2"] *= 1e-6
    network.save(tmp_path / "nothing.npz")
    shutil.copy(ROOT / "examples" / "sample.png", tmp_path)
    found = measure([tmp_path / "sample.png"], 2.5, [str(tmp_path / "nothing.npz"), "espcn"])
    names = "bicubic", "nothing x3, resized", "nothing x2.5", "espcn x3, resized"
    assert tuple(found) == names and lines_of("9-3-5", 3.5) == {}
    bicubic, detour, direct, espcn = found.values()
    assert abs(direct - bicubic) < 0.05 and abs(detour - bicubic) < 0.3
    assert espcn > bicubic + 0.5
