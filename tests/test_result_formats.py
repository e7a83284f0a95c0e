"""`upscale --format same` and `--quality`: JPEG stays JPEG, and what PNG costs is said."""

import io
import sys
import types

import numpy as np
import pytest

from pysrcnn.batch import Job, find_jobs, with_quality
from pysrcnn.cli import main
from pysrcnn.command import upscale as command
from pysrcnn.pictures._formats import kind_of

Image = pytest.importorskip("PIL.Image")

RGB = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
KINDS = {
    "a.jpg": "jpeg", "b.JPEG": "jpeg", "c.webp": "webp", "d.png": "png", "e.tif": "tiff",
    "f.bmp": "bmp", "g.gif": "gif",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name in KINDS:
        Image.fromarray(RGB).save(tmp_path / name)
    return tmp_path


def test_every_format_is_kept(folder, capsys):
    assert main(["upscale", str(folder), "-o", str(folder / "out"), "--format", "same"]) == 0
    results = sorted((folder / "out").iterdir())
    wanted = sorted(f"{name[0]}_x3{name[1:].lower()}" for name in KINDS)
    assert [path.name for path in results] == wanted
    assert [kind_of(path.read_bytes()) for path in results] == list(KINDS.values())


def test_what_is_not_written_becomes_png():
    jobs = find_jobs(["photo.xyz"], format="same").jobs
    assert [(job.target.name, job.kind) for job in jobs] == [("photo_x3.png", ".png")]


@pytest.mark.parametrize("source", ["a.jpg", "-"])
def test_through_a_pipe(folder, monkeypatch, source):
    content, out = (folder / "a.jpg").read_bytes(), io.BytesIO()
    for name, stream in (("stdin", io.BytesIO(content)), ("stdout", out)):
        fake = types.SimpleNamespace(buffer=stream, isatty=lambda: False, flush=lambda: None)
        monkeypatch.setattr(sys, name, fake)
    monkeypatch.chdir(folder)
    command = ["upscale", source, "-o", "-", "--format", "same"]
    assert main(command) == 0
    assert kind_of(out.getvalue()) == "jpeg"
    sys.stdin.buffer.seek(0)
    assert main([*command, "--quality", "9"]) == 0
    assert kind_of(out.getvalue()) == "jpeg"


def test_standard_input_has_no_name_whose_format_could_be_kept(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["upscale", "-", "-o", "out/", "--format", "same"]) == 2
    assert "--format same goes by the names of pictures" in capsys.readouterr().err


def test_a_name_of_another_format_is_refused(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["upscale", "a.jpg", "-o", "b.png", "--format", "same"]) == 2
    wanted = "pysrcnn: b.png does not end in .jpg: give one name or --format, not both\n"
    assert capsys.readouterr().err == wanted
    assert main(["upscale", "a.jpg", "-o", "b.jpg", "--format", "same"]) == 0


def test_quality_is_that_of_jpeg_and_webp(folder, capsys):
    for quality in ("10", "90"):
        out = folder / quality
        command = ["upscale", str(folder), "-o", str(out), "--format", "same"]
        assert main([*command, "--quality", quality]) == 0
    sizes = {
        name: [
            (folder / q / f"{name[0]}_x3{name[1:].lower()}").stat().st_size for q in ("10", "90")
        ]
        for name in KINDS
    }
    for name, (low, high) in sizes.items():
        assert (low < high) == (KINDS[name] in ("jpeg", "webp")), name


@pytest.mark.parametrize("options, kind", [
    ([], "PNG"), (["--format", "tif"], "TIF"), (["-o", "b.gif"], "GIF"), (["-o", "-"], "PNG"),
])  # fmt: skip
def test_quality_of_what_has_none_is_refused(folder, monkeypatch, capsys, options, kind):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(isatty=lambda: False, flush=len))
    assert main(["upscale", "d.png", *options, "--quality", "50"]) == 2
    words = f"becomes {kind}, which has no such setting: leave it out, or give --format jpg"
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == sorted(KINDS)


@pytest.mark.parametrize("text", ["0", "101", "high", "5.5", "-1", ""])
def test_quality_is_from_1_to_100(capsys, text):
    with pytest.raises(SystemExit):
        main(["upscale", "a.jpg", f"--quality={text}"])
    assert "is not a whole number from 1 to 100" in capsys.readouterr().err


def test_quality_of_some_is_no_mistake():
    jobs = [Job(None, None, ".png"), Job(None, None, ".jpg")]
    assert [job.quality for job in with_quality(jobs, 7)] == [None, 7]


@pytest.mark.parametrize("before, after, options, said", [
    (1, 12, [], 1), (1, 9, [], 0), (2, 12, [], 0), (1, 12, ["--format", "png"], 0),
    (1, 12, ["-o", "b.png"], 0),
])  # fmt: skip
def test_what_png_costs_is_said_once(tmp_path, monkeypatch, capsys, before, after, options, said):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(RGB).save("a.jpg")
    with open("a.jpg", "ab") as file:
        file.truncate(before * 10**6)

    def enlarged(jobs, networks, size, **options):
        with open(jobs[0].target, "wb") as file:
            file.truncate(after * 10**6)
        return 1, 0, 0

    monkeypatch.setattr(command, "enlarge_files", enlarged)
    assert main(["upscale", "a.jpg", *options]) == 0
    words = "PNG, without loss, takes 12 MB here where JPEG took 1.0 MB: --format same keeps JPEG\n"
    assert capsys.readouterr().err == words * said
