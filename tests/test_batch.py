"""Many pictures: folders, patterns, names of results, what is skipped, what is said; and pipes."""

import base64
import errno
import io
import os
import re
import struct
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as imageio
import numpy as np
import pytest
from processes import process
from samples import encoded, exif_of

import pysrcnn
from pysrcnn import SRCNN
from pysrcnn.batch import Job, Size, enlarge, enlarge_files, find_jobs, many, progress
from pysrcnn.cli import main
from pysrcnn.networks import ESPCN
from pysrcnn.pictures import (
    PictureFile,
    read_picture,
    read_picture_file,
    write_picture,
    write_picture_file,
)
from pysrcnn.pictures._mark import is_marked, is_unchanged, mark, picture_of
from pysrcnn.pictures.reading import is_animated
from pysrcnn.upscaling.scales import Networks

RGB = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
FRAMES = [np.roll(RGB, k, axis=1) // 64 * 64 for k in range(3)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder, in which small weights called 9-1-5 are shipped."""
    weights = tmp_path / "weights"
    weights.mkdir()
    for scale in (2, 3, 4):
        network = SRCNN(3, 9, 1, 8, 3, init="identity", seed=scale)
        network.scale = scale
        network.save(weights / f"9-1-5_x{scale}.npz")
    monkeypatch.setattr("pysrcnn.networks.loading._WEIGHTS", weights)
    for module in ("command.common", "networks"):
        monkeypatch.setattr(f"pysrcnn.{module}.DEFAULT", "9-1-5")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def make(*names, picture=RGB):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_picture(name, picture)


def run(*arguments):
    return main(["upscale", *map(os.fspath, arguments)])


def names(folder="."):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def said(capsys):
    out, err = capsys.readouterr()
    return out.splitlines(), [x for x in err.splitlines() if not x.startswith("compiling")]


# ------------------------------------------------------------------------------ which, and where to


def test_a_folder(folder, capsys):
    make("in/a.png", "in/b.bmp", "in/sub/c.png")
    Path("in/notes.txt").write_text("none")
    assert run("in", "-o", "out", "-s", "2") == 0
    assert names("out") == ["a_x2.png", "b_x2.png"]
    out, err = said(capsys)
    assert len(out) == 2 and err == ["2 enlarged"]
    assert run("in", "-r", "-o", "deep/er", "-s", "2") == 0
    assert names("deep/er") == ["a_x2.png", "b_x2.png", "sub/c_x2.png"]
    assert np.array_equal(read_picture("deep/er/sub/c_x2.png"), pysrcnn.upscale(RGB, 2, "9-1-5"))


def test_what_an_earlier_run_left_is_not_enlarged_again(folder, capsys):
    make("in/a.png", "in/b.png")
    for _ in range(2):
        assert run("in") == 0
        assert names("in") == ["a.png", "a_x3.png", "b.png", "b_x3.png"]
    assert said(capsys)[1] == ["2 enlarged", "2 enlarged, 2 left out as results of earlier runs"]


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_a_picture_in_several_spellings_is_one(folder, capsys):
    make("in/a.png", "in/b.png")
    os.symlink("in", "linked")
    spellings = ["in/a.png", "./in/../in/a.png", folder / "in/a.png", "linked/a.png", "in"]
    assert run(*spellings, "-o", "out") == 0
    assert names("out") == ["a_x3.png", "b_x3.png"] and said(capsys)[1] == ["2 enlarged"]
    for _ in range(2):  # the second time, results are there, in another spelling
        assert run("in", "-o", folder / "in") == 0
        assert names("in") == ["a.png", "a_x3.png", "b.png", "b_x3.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_links_to_a_picture_are_pictures(folder):
    make("in/a.png")
    os.symlink("a.png", "in/b.png")
    assert run("in", "-o", "out") == 0
    assert names("out") == ["a_x3.png", "b_x3.png"]


def test_results_in_several_spellings_do_not_replace_each_other(folder):
    make("a.png", "a.jpg")
    assert run("a.png", folder / "a.jpg") == 0
    assert {"a_png_x3.png", "a_jpg_x3.png"} < set(names("."))


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_results_do_not_replace_each_other_through_links(folder, capsys):
    make("in/a.png", "in/b.png", "out/a_x3.png")
    os.symlink("a_x3.png", "out/b_x3.png")
    before = Path("out/a_x3.png").read_bytes()
    assert run("in", "-o", "out") == 2
    both = f"{Path('in/a.png')} and {Path('in/b.png')} would become {Path('out/b_x3.png')}: "
    assert both in said(capsys)[1][0]
    assert Path("out/a_x3.png").read_bytes() == before


def test_patterns(folder, capsys):
    make("a1.png", "a2.png", "b.png", "sub/a3.png", "[x]*.png")
    assert run("a*.png", "-o", "out") == 0
    assert names("out") == ["a1_x3.png", "a2_x3.png"]
    assert run("**/a?.png", "-o", "all") == 0
    assert names("all") == ["a1_x3.png", "a2_x3.png", "a3_x3.png"]
    assert run("[x]*.png", "-o", "one.png") == 0  # the name of a file, and of no other
    assert run("c*.png") == 2
    assert said(capsys)[1][-1] == "pysrcnn: no file matches c*.png: check the pattern"


def test_names_of_results(folder):
    make("a.png")
    assert run("a.png", "--suffix=-big", "--format", "webp") == 0
    assert run("a.png", "-s", "2.5") == 0
    assert run("a.png", "--width", "25") == 0
    assert run("a.png", "--height", "20") == 0
    assert run("a.png", "--width", "20", "--height", "30", "--format", "tif") == 0
    assert run("a.png", "-o", "new/") == 0
    assert names() == [
        "a-big.webp", "a.png", "a_20h.png", "a_20x30.tif", "a_25w.png", "a_x2.5.png",
        "new/a_x3.png",
    ]  # fmt: skip
    sizes = {n: read_picture(n).shape[:2] for n in names() if n != "a.png"}
    assert sizes == {
        "a-big.webp": (24, 30), "a_20h.png": (20, 25), "a_20x30.tif": (30, 20),
        "a_25w.png": (20, 25), "a_x2.5.png": (20, 25), "new/a_x3.png": (24, 30),
    }  # fmt: skip


def test_pictures_of_one_name_keep_apart(folder):
    make("in/a.png", "in/a.bmp", "in/b.png")
    assert run("in", "-o", "out") == 0
    assert names("out") == ["a_bmp_x3.png", "a_png_x3.png", "b_x3.png"]
    make("other/a.png")
    with pytest.raises(
        ValueError, match="in.a.png and other.a.png would become out.a_x3.png: .* -r"
    ):
        find_jobs(["in/a.png", "other/a.png"], "out")
    with pytest.raises(ValueError, match=r"other.a.png \(and 1 more\) would become out.a_x3.png"):
        find_jobs(["in/a.png", "other/a.png", "other/../other/a.png", "third/a.png"], "out")
    assert run("in/b.png", "./in/b.png", "-o", "new") == 0  # one picture, but several were named
    assert names("new") == ["b_x3.png"]


def test_the_size_as_a_part_of_names():
    sizes = [Size(3), Size(2.5), Size(None, None, 99), Size(None, 99), Size(None, 9, 8)]
    assert [str(s) for s in sizes] == ["_x3", "_x2.5", "_99w", "_99h", "_8x9"]


@pytest.mark.parametrize("arguments, words", [
    ("a.png -s 2 --width 40", "--scale with --width or --height: give one or the other"),
    ("a.png --suffix a/b", "--suffix is a/b, wanted a part of a file's name"),
    ("a.png -o b.png --format webp", "b.png does not end in .webp: give one name or --format"),
    ("a.png -o b --format webp", "b does not end in .webp: give one name or --format, not both; a"),
    ("a.png b.png -o -", "standard output takes one picture"),
    ("a.png --width 5", "5 x 4 pixels are no more than the picture has, 10 x 8: give a larger"),
    ("a.png --suffix=", "a.png is one of the pictures: give the result another name"),
])  # fmt: skip
def test_bad_usage_is_one_line(folder, capsys, arguments, words):
    make("a.png", "b.png")
    assert run(*arguments.split()) == 2
    out, err = said(capsys)
    assert out == [] and len(err) == 1 and words in err[0]
    assert names() == ["a.png", "b.png"]


# ------------------------------------------------------------- pictures of one's own, and results

OWN = RGB[:5, :7]  # of a size that no enlargement of RGB has
FITTING = np.zeros((24, 30, 3), np.uint8)  # of the one that it would have


def contents(folder="."):
    return {name: Path(folder, name).read_bytes() for name in names(folder)}


@pytest.mark.parametrize("own", [OWN, FITTING])
@pytest.mark.parametrize("arguments, place", [
    ("a.png", "a_x3.png"), ("a.png -o b.png", "b.png"), ("a.png -o b.tif", "b.tif"),
    ("a.png --format jpg", "a_x3.jpg"), ("a.png --suffix= --format bmp", "a.bmp"),
    ("a.png -o out", "out/a_x3.png"), ("a.png --format gif --compare", "a_x3.gif"),
    ("a.png -s 3 --format webp", "a_x3.webp"),
])  # fmt: skip
def test_a_picture_of_ones_own_is_not_replaced(folder, capsys, own, arguments, place):
    make("a.png")
    make(place, picture=own)
    before = contents()
    assert run(*arguments.split()) == 2
    assert contents() == before
    assert said(capsys) == ([], [
        f"pysrcnn: {Path(place)} is there already, and no earlier result of this picture: give the "
        f"result another name, or replace the file by pysrcnn upscale --overwrite"
    ])  # fmt: skip
    assert run(*arguments.split(), "--overwrite") == 0
    assert read_picture(place).shape == (24, 30, 3)
    assert run(*arguments.split()) == 0  # by now it is a result


@pytest.mark.parametrize("own", [OWN, FITTING])
@pytest.mark.parametrize("given", [["in"], ["-r", "."], ["in/*.png"], ["in/a.png", "in/a_x3.png"]])
def test_a_picture_that_is_called_as_a_result_is_enlarged(folder, capsys, own, given):
    make("in/a.png")
    make("in/a_x3.png", picture=own)
    before = contents()
    assert run(*given) == 2
    assert contents() == before | {"in/a_x3_x3.png": Path("in/a_x3_x3.png").read_bytes()}
    assert said(capsys)[1] == [
        f"pysrcnn: {Path('in/a_x3.png')} is one of the pictures, and the result of "
        f"{Path('in/a.png')} would replace it: give results a folder, -o enlarged, or another "
        f"--suffix",
        "1 enlarged, 1 failed",
    ]
    for option in ("--overwrite", "--skip"):
        if own is OWN:  # the other may be an old result
            assert run(*given, option) == 2
            assert Path("in/a_x3.png").read_bytes() == before["in/a_x3.png"]


def test_skip_goes_by_what_can_be_a_result(folder, capsys):
    make("in/a.png", "in/b.png", "in/c.png", "in/d.png")
    make("out/a_x3.png", picture=FITTING)
    make("out/b_x3.png", picture=OWN)
    Path("out/c_x3.png").write_text("none")
    before = contents("out")
    assert run("in", "-o", "out", "--skip") == 2
    out, err = said(capsys)
    assert len(out) == 1 and err[-1] == "1 enlarged, 1 skipped, 2 failed"
    assert [Path(line.split()[1]).name for line in err[:2]] == ["b_x3.png", "c_x3.png"]
    assert contents("out") == before | {"d_x3.png": Path("out/d_x3.png").read_bytes()}


def test_overwrite_replaces_what_may_be_an_old_result(folder, capsys):
    """Those of before there was a mark have none."""
    make("in/a.png")
    make("in/a_x3.png", picture=FITTING)
    before = Path("in/a_x3.png").read_bytes()
    assert run("in", "--skip") == 0
    assert Path("in/a_x3.png").read_bytes() == before
    assert run("in", "--overwrite") == 0
    assert names() == ["in/a.png", "in/a_x3.png"] and Path("in/a_x3.png").read_bytes() != before
    left = "1 left out as results of earlier runs"
    assert said(capsys)[1] == [f"0 enlarged, 1 skipped, {left}", f"1 enlarged, {left}"]


def test_a_result_of_another_picture_is_not_replaced_unless_it_was_named(folder):
    make("a.png")
    make("b.png", picture=OWN)
    assert run("b.png", "-o", "a_x3.png") == 0
    before = contents()
    assert run("a.png") == 2 and contents() == before
    assert run("a.png", "-o", "a_x3.png") == 0 and contents() != before
    Path("c.png").touch()  # as mktemp does
    assert run("a.png", "-o", "c.png") == 0


@pytest.mark.parametrize("form", ["png", "jpg", "tif", "bmp", "gif", "webp"])
def test_a_result_of_another_picture_of_that_stem_stays(folder, capsys, form):
    make("a.bmp", "a.tif")
    rest = "-s", "2", "--format", form
    assert run("a.bmp", *rest) == 0 == run("a.bmp", *rest)
    before = contents()
    capsys.readouterr()
    for more in [], ["--skip"]:
        assert run("a.tif", *rest, *more) == 2 and contents() == before
        complaint = f"a_x2.{form} is the result of a.bmp, not of a.tif: give the result another"
        assert complaint in capsys.readouterr().err
    assert run("a.bmp", *rest, "--skip") == 0 and contents() == before
    assert run("a.tif", *rest, "--overwrite") == 0 and contents() != before
    assert run("a.tif", *rest, "--skip") == 0 and "1 skipped" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\udcff"])
def test_results_that_do_not_say_their_picture_are_those_of_any(folder, name):
    """Results from standard input, of odd names, and those of older versions."""
    make("a.png")
    make("a_x2.png", picture=pysrcnn.upscale(RGB, 2, "9-1-5"))
    mark("a_x2.png", "png", name)
    assert picture_of("a_x2.png") == "" and is_unchanged("a_x2.png")
    before = contents()
    assert run("a.png", "-s", "2", "--skip") == 0 and contents() == before
    assert run("a.png", "-s", "2") == 0 and picture_of("a_x2.png") == "a.png"


def test_results_whatever_they_are_called_are_not_enlarged_again(folder, capsys):
    make("in/a.png", "in/b.png", "other/a.png")
    assert run("in/a.png", "-o", "in/large.png") == 0
    assert run("in/large.png", "-s", "2", "-o", "in/larger.png") == 0
    os.replace("in/b.png", "c.png")
    assert run("c.png", "-o", "in/b.png") == 0  # its picture is not there
    assert run("other/a.png", "-s", "2", "-o", "in/sub/") == 0  # a picture of that name is above
    capsys.readouterr()
    assert run("in", "-r", "-o", "out") == 0
    assert names("out") == ["a_x3.png", "b_x3.png"]
    assert said(capsys)[1] == ["2 enlarged, 3 left out as results of earlier runs"]


@pytest.mark.parametrize("suffix", ["png", "apng", "jpg", "gif", "webp", "tif", "bmp"])
@pytest.mark.parametrize("picture", [RGB, FRAMES, RGB[:, :, 0]])
def test_results_are_marked_and_nothing_else_is_changed(folder, suffix, picture):
    frames = picture if isinstance(picture, list) else [picture]
    durations = [50.0] * 3 if len(frames) > 1 else None
    plain = PictureFile(frames, durations=durations, comment=b"beach", dpi=(90, 90))
    lost = write_picture_file(f"a.{suffix}", plain)
    plain.made_from = "Düne.png"
    assert write_picture_file(f"b.{suffix}", plain) == lost
    a, b = (read_picture_file(f"{name}.{suffix}") for name in "ab")
    assert all(map(np.array_equal, a.frames, b.frames))
    a.frames = b.frames = []
    assert a == b
    assert [is_marked(f"{name}.{suffix}") for name in "ab"] == [False, True]
    assert picture_of(f"b.{suffix}") == "Düne.png" and is_unchanged(f"b.{suffix}")
    size = [Path(f"{name}.{suffix}").stat().st_size for name in "ab"]
    assert 0 < size[1] - size[0] < 70
    image = imageio.imread(f"b.{suffix}")  # a program that saves it leaves the mark out
    imageio.imwrite(f"c.{suffix}", image)
    assert not is_marked(f"c.{suffix}")
    assert not is_marked("none") and not is_marked(".")


@pytest.mark.parametrize("form", ["png", "jpg", "tif", "bmp", "gif", "webp"])
def test_results_that_were_changed_since_stay(folder, capsys, form):
    """By what keeps the mark: a program that gives them a title, or writes into the file."""
    imageio.imwrite("a.png", RGB)
    again = "upscale", ".", "-s", "2", "--format", form
    assert main([*again]) == 0 == main([*again])
    result = Path(f"a_x2.{form}")
    content = bytearray(result.read_bytes())
    assert is_marked(result) and is_unchanged(result)
    content[len(content) // 2] ^= 1
    result.write_bytes(content)
    assert is_marked(result) and not is_unchanged(result)
    capsys.readouterr()
    for words in again, ("upscale", "a.png", "-s", "2", "-o", str(result)):
        assert main([*words]) == 2
        assert f"{result} is there already, and was changed since" in capsys.readouterr().err
    assert result.read_bytes() == content
    assert sorted(os.listdir()) == ["a.png", result.name]  # nor is it enlarged again
    assert main([*again, "--overwrite"]) == 0


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("options", [[], ["-m", "9-1-5", "-s", "2"], ["--suffix=-big"]])
def test_results_beside_their_pictures_are_left_out(folder, capsys, form, options):
    """Whatever they were enlarged by then."""
    make("in/a.png", "in/a b.png", "in/sub/c.png", "in/a.bmp")
    assert run("in", "-r", "--format", form, *options) == 0
    assert run("in", "-r", "-o", "in/enlarged", "--format", form, *options) == 0
    before = names()
    capsys.readouterr()
    assert run("in", "-r", "-o", "new") == 0
    assert said(capsys)[1] == ["4 enlarged, 8 left out as results of earlier runs"]
    assert names("new") == ["a b_x3.png", "a_bmp_x3.png", "a_png_x3.png", "sub/c_x3.png"]
    assert [name for name in names() if not name.startswith("new")] == before


def test_a_result_by_itself_is_a_picture(folder, capsys):
    make("in/a.png", "in/ab.png")
    assert run("in") == 0
    assert run("in/a_x3.png") == 0  # as somebody says so
    Path("in/ab.png").unlink()  # of which ab_x3.png is what is left
    capsys.readouterr()
    assert run("in", "-o", "out") == 0
    assert names("out") == ["a_x3.png", "ab_x3_x3.png"]
    assert said(capsys)[1] == ["2 enlarged, 2 left out as results of earlier runs"]


def test_what_a_shell_makes_of_a_pattern(folder, capsys):
    make("two/a.png", "two/b.png")
    assert run("two/") == 0
    before = contents("two")
    assert run(*sorted(Path("two").iterdir())) == 0  # two/*
    assert contents("two") == before
    assert said(capsys)[1][-1] == "2 enlarged, 2 left out as results of earlier runs"


# ------------------------------------------------------------------------------ what is in folders


def test_a_folder_that_may_not_be_read_is_named_and_counted(folder, capsys, monkeypatch):
    make("in/a.png", "in/closed/b.png", "in/open/c.png")
    make("alone/closed/a.png")

    def scandir(path, usual=os.scandir):  # which root may do everywhere
        if os.path.basename(path) == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return usual(path)

    monkeypatch.setattr(os, "scandir", scandir)
    complaint = (
        f"pysrcnn: the folder {Path('in/closed')} cannot be read (Permission denied): change its "
        f"rights or leave it out"
    )
    assert run("in", "-r", "-o", "out") == 2
    assert names("out") == ["a_x3.png", "open/c_x3.png"]
    assert said(capsys)[1] == [complaint, "2 enlarged, 1 failed"]
    assert run("in/*/*.png", "-o", "new") == 2
    assert names("new") == ["c_x3.png"]
    assert said(capsys)[1] == [complaint, "1 enlarged, 1 failed"]
    for given in (["alone", "-r"], ["alone/closed"], ["alone/closed/*.png"], ["alone/*/*.png"]):
        assert run(*given) == 1
        assert "closed cannot be read (Permission denied)" in said(capsys)[1][0]


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_links_to_folders_are_followed_once(folder, capsys):
    make("in/a.png", "far/b.png", "far/more/c.png", "in/z/d.png")
    os.symlink(folder / "far", "in/link")
    os.symlink(folder / "far", "in/another")
    os.symlink("..", "in/z/circle")
    os.symlink("z", "in/first")  # before z by its name
    assert run("in", "-r", "-o", "out") == 0
    assert names("out") == ["a_x3.png", "another/b_x3.png", "another/more/c_x3.png", "z/d_x3.png"]
    os.symlink("nowhere", "in/gone")
    assert run("in", "-r", "-o", "out") == 2
    err = said(capsys)[1]
    assert err[-1] == "4 enlarged, 1 failed"
    assert err[-2].startswith(f"pysrcnn: the folder {Path('in/gone')} cannot be read (No such file")
    assert run("in", "-o", "out") == 0  # where no folder below is looked at


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes by name")
def test_what_is_no_file_is_named_and_counted(folder, capsys):
    make("in/a.png")
    os.mkfifo("in/b.png")
    os.symlink("nowhere.png", "in/c.png")
    os.symlink("d.png", "in/d.png")
    for given in ("in", "in/*.png"):
        assert run(given, "-o", "out") == 2
        out, err = said(capsys)
        assert len(out) == 1 and err[-1] == "1 enlarged, 3 failed"
        assert [line.split(": ")[1].split(" ")[0] for line in err[:1]] == [str(Path("in/b.png"))]
        assert all(str(Path(f"in/{n}.png")) in line for n, line in zip("bcd", err, strict=False))


def test_other_suffixes_of_what_is_read(folder, capsys):
    for name in ("a.jfif", "b.jpe", "c.JPG", "d.pjpeg", "e.Tiff", "f.DIB"):
        kind = {".tiff": ".tif", ".dib": ".bmp"}.get(Path(name).suffix.lower(), ".jpg")
        make(f"in/x{kind}")
        Path("in", f"x{kind}").rename(Path("in", name))
    assert run("in", "-o", "out") == 0
    assert names("out") == [f"{n}_x3.png" for n in "abcdef"]


def test_pictures_of_phones_and_cameras_are_counted_and_named(folder, capsys):
    make("in/a.png")
    for name in ("a.HEIC", "b.NEF", "sub/c.avif", ".d.heic", "notes.txt"):
        Path("in", name).parent.mkdir(exist_ok=True)
        Path("in", name).write_bytes(bytes(99))
    assert run("in", "-o", "out") == 2
    advice = "convert to JPEG, PNG or TIFF first"
    assert said(capsys)[1] == [f"1 enlarged, 2 not read (a.HEIC, b.NEF): {advice}"]
    assert run("in", "-r", "-o", "out", "--skip") == 2
    wanted = f"3 not read (a.HEIC, b.NEF, c.avif): {advice}"
    assert said(capsys)[1] == [f"0 enlarged, 1 skipped, {wanted}"]
    for k in range(2):
        Path(f"in/{k}.heic").touch()
    Path("in/a.png").unlink()
    assert run("in") == 2
    wanted = f"but 4 not read (0.heic, 1.heic, a.HEIC and 1 more): {advice}"
    assert said(capsys)[1] == [f"pysrcnn: no pictures that are read in in, {wanted}"]


def test_folders_without_pictures_do_not_stop_the_others(folder, capsys):
    make("t1/a.png")
    Path("t2").mkdir()
    Path("t3").mkdir()
    Path("t3/b.heic").touch()
    for given in (["t2", "t1", "none*", "t3"], ["t?"]):
        assert run(*given, "-o", "out") == 2 and names("out") == ["a_x3.png"]
        err = " ".join(said(capsys)[1])
        assert "1 not read (b.heic): convert to JPEG, PNG or TIFF first" in err
        if len(given) > 1:
            assert "no pictures in t2: looked for" in err and err.endswith("1 enlarged, 3 failed")
            assert "no file matches none*" in err
    assert run("t2", "none*") == 2 and "no pictures in t2: " in said(capsys)[1][0]
    assert run("t[23]") == 2
    assert "have no pictures in them, but 1 not read (b.heic)" in said(capsys)[1][0]


def test_a_written_picture_counts_though_nothing_can_be_printed():
    def say(line, stream):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    report = many._Report(False, SimpleNamespace(say=say))
    with pytest.raises(BrokenPipeError):
        report.add(Job(Path("a.png"), Path("b.png")), lambda: enlarge.Enlarged([], "", True))
    assert (report.enlarged, report.failed) == (1, 0)


def test_only_results_of_each_other(folder, capsys):
    make("a.png")
    assert run("a.png", "-o", "b.png") == 0
    assert run("b.png", "-s", "2", "-o", "a.png", "--overwrite") == 0
    assert run("a.png", "b.png") == 0
    assert said(capsys)[1][-1] == "0 enlarged, 2 left out as results of earlier runs"


def test_names_that_differ_in_case_where_that_is_ignored(folder, monkeypatch):
    make("in/a.png", "other/A.png")
    assert len(find_jobs(["in/a.png", "other/A.png"], "out").jobs) == 2
    monkeypatch.setattr("pysrcnn.batch.inputs._IGNORES_CASE", True)
    with pytest.raises(ValueError, match=r"a.png and other.A.png would become out.A_x3.png"):
        find_jobs(["in/a.png", "other/A.png"], "out")
    make("in/A.jpg")
    places = [job.target.name for job in find_jobs(["in/a.png", "in/A.jpg"], "out").jobs]
    assert places == ["a_png_x3.png", "A_jpg_x3.png"]


def test_what_is_saved_meanwhile_is_not_replaced(folder, capsys, monkeypatch):
    def slow(*arguments, **options):
        Path("a_x3.png").write_bytes(b"mine")
        return pysrcnn.upscale_frames(*arguments, **options)

    make("a.png")
    monkeypatch.setattr(enlarge, "upscale_frames", slow)
    assert run("a.png") == 2 and Path("a_x3.png").read_bytes() == b"mine"
    assert "a_x3.png is there already, and no earlier result of this pi" in said(capsys)[1][0]
    assert names() == ["a.png", "a_x3.png"]


@pytest.mark.parametrize("pattern, wanted", [
    ("Trip [2020]/*.png", ["p"]), ("Trip [2020]/sub/?.png", ["q"]), ("Trip*/*.png", ["p", "r"]),
    ("Trip [2]/*", ["r"]), ("[ab]/x*.png", ["x"]), ("**/[pq].png", ["p", "q"]),
    ("Trip*", ["p", "r"]), ("IMG [1]*.png", ["IMG [1]"]),
])  # fmt: skip
def test_brackets_in_patterns(folder, pattern, wanted):
    make("Trip [2020]/p.png", "Trip [2020]/sub/q.png", "Trip 2/r.png", "[ab]/x.png", "a/xy.png")
    make("IMG [1].png")
    Path("Trip none").mkdir()
    assert run(pattern, "-o", "out") == 0
    assert names("out") == [f"{name}_x3.png" for name in wanted]


# ----------------------------------------------------------------------- what is done, what is said


@pytest.mark.parametrize("scale, done", [
    ("3", "x3"), ("2.5", "x3, resized"), ("6", "x3, x2"),
    ("5", "x3, x2, resized"),
])  # fmt: skip
def test_what_was_done_is_printed(folder, capsys, scale, done):
    make("a.png")
    assert run("a.png", "-s", scale) == 0
    (line,) = said(capsys)[0]
    assert f", from 10 x 8 by 9-1-5 {done} in " in line


def test_one_bad_file_does_not_stop_the_rest(folder, capsys):
    make("in/a.png", "in/c.png", "in/d.png")
    Path("in/b.png").write_text("none")
    make("out/a_x3.png", picture=RGB.repeat(3, 0).repeat(3, 1))
    before = Path("out/a_x3.png").read_bytes()
    assert run("in", "-o", "out", "--skip") == 2
    out, err = said(capsys)
    assert [line.split(":")[0] for line in out] == [
        os.path.join("out", f"{n}_x3.png") for n in "cd"
    ]
    assert err[0].startswith(f"pysrcnn: {os.path.join('in', 'b.png')} is damaged or not a picture")
    assert err[1:] == ["2 enlarged, 1 skipped, 1 failed"]
    assert Path("out/a_x3.png").read_bytes() == before
    assert run("in", "-o", "out", "--overwrite") == 2
    assert Path("out/a_x3.png").read_bytes() != before
    capsys.readouterr()
    assert run("in/a.png", "-o", "out", "--skip") == 0
    assert said(capsys) == ([], ["0 enlarged, 1 skipped"])


def test_not_enough_memory_is_said(folder, monkeypatch, capsys):
    def greedy(*arguments, **options):
        raise MemoryError

    make("a.png", "b.png")
    words = "takes more memory than there is: choose a smaller factor, or cut it into parts"
    monkeypatch.setattr(enlarge, "upscale_frames", greedy)
    assert run("a.png") == 1
    assert said(capsys)[1] == [f"pysrcnn: a.png {words}"]
    monkeypatch.setattr(imageio, "imopen", greedy)  # while it is read
    assert run("a.png", "b.png", "-o", "out") == 2
    err = said(capsys)[1]
    assert err == [*(f"pysrcnn: {n}.png {words}" for n in "ab"), "0 enlarged, 2 failed"]


def test_libraries_do_not_speak_of_damage_themselves(folder, capfd):
    """Neither libtiff, nor tifffile and Pillow by logging, nor Pillow by warnings."""
    place = {"compression": "tiff_adobe_deflate"}
    content = bytearray(encoded(np.tile(RGB, (9, 9, 1)), "TIFF", **place))
    content[8:40] = bytes(32)  # the strip, in place of zlib's
    Path("a.tif").write_bytes(content)
    content[4:8] = b"\xff\xff\xff\x7f"  # where the directory is
    Path("b.tif").write_bytes(content)
    for name in ("a", "b"):
        assert run(f"{name}.tif", "-o", "out.tif") == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"pysrcnn: {name}.tif is damaged or not a picture: ")
    entry = struct.pack("<HHI", 271, 2, 6)  # the maker, a text of six bytes
    content = encoded(RGB, "TIFF", exif=exif_of().tobytes())
    assert entry in content
    Path("c.tif").write_bytes(content.replace(entry, struct.pack("<HHI", 271, 3, 6)))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert run("c.tif", "-o", "out.tif") == 0
    assert not seen and capfd.readouterr().err == ""


def test_a_result_that_cannot_be_written_does_not_stop_the_rest(folder, capsys):
    make("a.png", "b.png", "c.png")
    Path("b_x3.png").mkdir()
    assert run("a.png", "b.png", "c.png") == 2
    out, err = said(capsys)
    assert [line.split(":")[0] for line in out] == ["a_x3.png", "c_x3.png"]
    assert err == [
        "pysrcnn: b_x3.png is a folder: give the name of a file to write",
        "2 enlarged, 1 failed",
    ]


def test_alpha_that_hides_nothing_is_no_loss(folder, capsys):
    opaque = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    make("a.png", picture=opaque)
    make("c.png", picture=np.maximum(opaque, 1) - np.uint8([0, 0, 0, 1]))
    for name in ("b.bmp", "b.jpg"):
        assert run("a.png", "-o", name) == 0
        assert read_picture(name).shape == (24, 30, 3)
        assert run("c.png", "-o", name) == 2
        assert said(capsys)[1] == [
            f"pysrcnn: cannot write {name}: {'BMP' if name == 'b.bmp' else 'JPEG'} has no "
            f"transparency; choose .png"
        ]


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_names_do_not_command_the_terminal(folder, capsys):
    write_picture("a\n\x1b[31m.png", RGB)
    Path("b\r\x9b.png").touch()
    assert run("a\n\x1b[31m.png", "b\r\x9b.png", "größe 写.png") == 2
    out, err = said(capsys)
    assert len(out) == 1 and out[0].startswith(r"a\n\x1b[31m_x3.png: 30 x 24 pixels")
    assert err[0] == r"pysrcnn: b\r\x9b.png is empty: give a picture file"
    assert err[1] == "pysrcnn: no file größe 写.png: check the name"


@pytest.mark.parametrize("free, left", [(4096, 1), (10**9, 0)])
def test_whether_numpy_means_a_full_disk_is_looked_up(folder, capsys, monkeypatch, free, left):
    make("in/a.png", "in/b.png")

    def short(path, file, quality, check):
        with pysrcnn._files.written_whole(path):
            raise OSError("270000 requested and 2388 written")

    monkeypatch.setattr(enlarge, "write_picture_file", short)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=free))
    assert run("in", "-o", "out") == 2
    err = said(capsys)[1]
    assert sum("(270000 requested and 2388 written): make room" in line for line in err) == 2 - left
    assert ("pysrcnn: 1 more not enlarged, as the disk is full" in err) == bool(left)


@pytest.mark.parametrize("bad", [0, 2, 4])
def test_a_full_disk_ends_it(folder, capsys, monkeypatch, bad):
    names_in = [f"in/{k}.png" for k in range(5)]
    make(*names_in)

    def full(path, file, quality, check, usual=enlarge.write_picture_file):
        with pysrcnn._files.written_whole(path):
            if path.name >= f"{bad}_x3.png":
                raise OSError(errno.ENOSPC, "No space left on device")
        return usual(path, file)

    monkeypatch.setattr(enlarge, "write_picture_file", full)
    assert run("in", "-o", "out") == 2
    out, err = said(capsys)
    assert len(out) == bad and err.pop() == f"{bad} enlarged, {5 - bad} failed"
    assert err.pop(0).startswith(f"pysrcnn: cannot write {Path('out', f'{bad}_x3.png')} (No space")
    assert err == [f"pysrcnn: {4 - bad} more not enlarged, as the disk is full"] * (bad < 4)


def test_networks_are_called_what_they_were_asked_for_as(folder):
    Path("../weights/9-1-5_x3.npz").rename("../weights/9-1-5-rgb_x3.npz")
    assert Networks("9-1-5-rgb").label() == "9-1-5-rgb"
    assert Networks(SRCNN(3, 9, 1, 8, 3)).label() == "3-1-3"
    SRCNN(3, 9, 1, 8, 3).save("mine.npz")
    assert Networks("mine.npz").label() == "3-1-3 of mine.npz"


def test_names_that_no_file_can_have(folder, capsys):
    write_picture(f"{'a' * 250}.png", RGB)
    write_picture("b.png", RGB)
    assert run(f"{'a' * 250}.png", "b.png") == 2
    out, err = said(capsys)
    assert len(out) == 1 and err[0].endswith(
        f"{'a' * 250}_x3.png is too long: choose a shorter one"
    )


def test_results_that_may_not_be_written(folder, capsys, monkeypatch):
    write_picture("a.png", RGB)
    Path("a_x3.png").write_text("kept")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everything
    assert run("a.png") == 1
    assert said(capsys)[1] == [
        "pysrcnn: a_x3.png may not be written: change its rights or the name"
    ]
    assert Path("a_x3.png").read_text() == "kept"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux")
@pytest.mark.parametrize("what", [["upscale", "a.png", "-o", "-"], ["upscale", "a.png"], ["info"]])
def test_no_room_for_standard_output(folder, what):
    write_picture("a.png", RGB)
    with open("/dev/full", "wb") as full:
        done = process("-m", "pysrcnn", *what, stdout=full)
    assert done.returncode == 1
    (line,) = [x for x in done.stderr.splitlines() if not x.startswith("compiling")]
    assert line.startswith("pysrcnn: cannot write standard output (No space left on device): make")


def test_what_gets_lost_is_said(folder, capsys):
    write_picture_file("a.png", PictureFile([RGB], dpi=(300, 300), exif=None))
    assert run("a.png", "--format", "webp") == 0
    assert said(capsys)[1] == ["a_x3.webp is without the resolution in DPI"]


def test_the_next_is_read_and_the_last_written_beside_computing(folder, monkeypatch):
    """Each computation waits until the next picture has been read, or nothing would end."""
    make(*(f"in/{k}.png" for k in range(4)))
    read_now, threads = threading.Event(), set()
    reads = []

    def reading(path, content=None):
        threads.add(("read", threading.get_ident()))
        file = read_picture_file(path, content)
        reads.append(path)
        read_now.set()
        return file

    def writing(path, file, quality, check):
        threads.add(("write", threading.get_ident()))
        return write_picture_file(path, file)

    computed = []

    def computing(*arguments, **options):
        computed.append(1)
        while len(reads) < min(4, len(computed) + 1):
            assert read_now.wait(10), "the next picture is not read"
            read_now.clear()
        assert len(reads) <= len(computed) + 1, "more than the next one has been read"
        return pysrcnn.upscale_frames(*arguments, **options)

    monkeypatch.setattr(enlarge, "read_picture_file", reading)
    monkeypatch.setattr(enlarge, "write_picture_file", writing)
    monkeypatch.setattr(enlarge, "upscale_frames", computing)
    assert run("in", "-o", "out") == 0
    assert len(names("out")) == 4
    assert len(threads) == 2 and threading.get_ident() not in {t for _, t in threads}


class Terminal(io.StringIO):
    """Standard error that is one."""

    def isatty(self):
        return True


def test_a_bar_over_files(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.progress(2) as bar:
        bar.show("reading a.png")
        for part in (0.25, 1.5, 2):
            bar.update(part)
        bar.say("a line", sys.stdout)
    assert capsys.readouterr().out == "a line\n"


def test_a_long_name_leaves_room_for_the_bar(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    with progress.progress(2) as bar:
        for name in ("a.png", f"{'long_' * 20}.png"):
            bar.show(f"reading {name}")
            assert bar.bar.desc.startswith(f"reading {name}"[:30]) and len(bar.bar.desc) <= 41


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_without_tqdm_shows_how_much_is_done(folder, monkeypatch, capsys, terminal):
    """And which file is being read or written, in a line that is gone in the end."""
    screen = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "tqdm", None)

    def computing(*arguments, progress, **options):
        progress(0.25)
        return pysrcnn.upscale_frames(*arguments, progress=progress, **options)

    make("a.png", "b.png")
    monkeypatch.setattr(enlarge, "upscale_frames", computing)
    assert run("a.png", "b.png") == 0
    assert capsys.readouterr().out.count("\n") == 2
    if not terminal:
        assert screen.getvalue() == "2 enlarged\n"
        return
    shown = screen.getvalue().replace("2 enlarged\n", "")
    assert shown.endswith("\r")
    lines = [line.strip() for line in shown.split("\r") if line.strip()]
    wanted = [
        "0% of 2 files, reading a.png ...", "12% of 2 files", "50% of 2 files",
        "50% of 2 files, reading b.png ...", "100% of 2 files, writing b_x3.png ...",
    ]  # fmt: skip
    places = [lines.index(line) for line in wanted]
    assert places == sorted(places)


# -------------------------------------------------------------------------------------- animations


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations_are_enlarged_frame_by_frame(folder, capsys, suffix):
    file = PictureFile(FRAMES, durations=[100, 250, 40], plays=3)
    write_picture_file(f"a.{suffix}", file)
    assert run(f"a.{suffix}", "-s", "2") == 0
    again = read_picture_file(f"a_x2.{suffix}")
    assert again.durations == [100, 250, 40] and again.plays == 3
    assert [frame.shape for frame in again.frames] == [(16, 20, 3)] * 3
    assert ", 3 frames in " in said(capsys)[0][0]
    if suffix == "png":
        for got, frame in zip(again.frames, FRAMES, strict=True):
            assert np.array_equal(got, pysrcnn.upscale(frame, 2, "9-1-5"))


def test_the_first_frame_of_an_animation_to_a_still_format(folder, capsys, monkeypatch):
    write_picture_file("a.gif", PictureFile(FRAMES, durations=[50] * 3))
    write_picture("b.gif", FRAMES[0])
    assert run("a.gif", "-s", "2", "-o", "a.jpg") == 0
    out, err = said(capsys)
    assert err == ["a.gif: only the first of its 3 frames is taken, as a.jpg holds one"]
    assert "frames" not in out[0]
    assert run("b.gif") == 0  # which does not move
    assert Path("b_x3.png").exists()
    assert is_animated("a.gif") and not is_animated("b.gif")


def test_a_side_that_becomes_smaller_is_said(folder, capsys):
    make("a.png")
    assert run("a.png", "--width", "40", "--height", "6") == 0
    assert said(capsys)[1] == [
        "a.png: its height becomes smaller, 6 pixels of 8; with only one of --width and --height, "
        "the aspect ratio is kept"
    ]


# ------------------------------------------------------------------------------------------- pipes


@pytest.mark.parametrize("suffix, wanted", [("gif", "gif"), ("webp", "webp"), ("png", "png")])
def test_an_animation_to_standard_output_keeps_its_format(folder, capfdbinary, suffix, wanted):
    write_picture_file(f"a.{suffix}", PictureFile(FRAMES, durations=[50] * 3))
    assert run(f"a.{suffix}", "-o", "-", "-s", "2") == 0
    file = read_picture_file("the output", capfdbinary.readouterr().out)
    assert (file.kind, len(file.frames)) == (wanted, 3)


def test_closed_streams(folder, capsys, monkeypatch):
    make("a.png")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", None)
        assert run("-", "-o", "b.png") == 2
        assert said(capsys)[1] == ["pysrcnn: standard input is empty: send a picture file"]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert run("-") == 2
        closed = "pysrcnn: standard output is closed: send it to a file or a program"
        assert said(capsys)[1] == [closed]
        assert run("a.png") == 0 and Path("a_x3.png").exists()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)  # of which nothing may come into a picture
        assert run("b.png") == 2 and said(capsys) == ([], [])
        sys.stderr.close()  # the one that took its place


def test_standard_input_and_output(tmp_path):
    write_picture(tmp_path / "a.png", RGB)
    network = SRCNN(3, 9, 1, 8, 3, init="identity", seed=2)
    network.scale = 2
    network.save(tmp_path / "mine.npz")
    command = ["-m", "pysrcnn", "upscale", "-", "-s", "2", "-m", "mine.npz"]

    def pipe(content, *more):
        return process(*command, *more, input=content, cwd=tmp_path, encoding=None)

    done = pipe((tmp_path / "a.png").read_bytes(), "--format", "tif")
    assert done.returncode == 0, done.stderr
    (frame,) = read_picture_file("the output", done.stdout).frames
    assert np.array_equal(frame, pysrcnn.upscale(RGB, 2, network))
    assert b"standard output: 20 x 16 pixels, from 10 x 8" in done.stderr
    done = pipe(b"")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"pysrcnn: standard input is empty: send a picture file\n"
    assert names(tmp_path) == ["a.png", "mine.npz"]


# ----------------------------------------------------------------------------------------- compare


@pytest.mark.parametrize("shape", [(8, 10), (8, 10, 2), (8, 10, 3), (8, 10, 4)])
def test_a_page_that_compares(folder, capsys, shape):
    make("a.png", picture=np.random.default_rng(2).integers(0, 256, shape, np.uint8))
    assert run("a.png", "-s", "3", "--compare") == 0
    assert names() == ["a.png", "a_x3.html", "a_x3.png"]
    page = Path("a_x3.html").read_text(encoding="utf-8")
    assert "10 x 8 to 30 x 24" in page and "9-1-5, x3" in page
    assert 'alt="bicubic"' in page and 'alt="9-1-5"' in page
    held = [imageio.imread(base64.b64decode(x)) for x in re.findall(r"base64,([^\"]+)", page)]
    assert [x.shape[:2] for x in held] == [(24, 30)] * 2
    assert np.array_equal(held[1], imageio.imread("a_x3.png"))
    assert not np.array_equal(*held)
    assert "a_x3.html" in said(capsys)[1][0]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_network_for_the_small_picture(folder, capsys, scale):
    networks = Networks(ESPCN(scale, (5, 3, 3), (8, 4), seed=scale))
    make("a.png")
    for factor, how in ((scale, f"x{scale} in"), (scale - 0.5, f"x{scale}, resized in")):
        job = Job(Path("a.png"), Path("b.png"), overwrite=True)
        assert enlarge_files([job], networks, Size(factor), compare=True) == (1, 0, 0)
        wanted = pysrcnn.upscale(RGB, factor, networks)
        assert np.array_equal(imageio.imread("b.png"), wanted)
        assert f"by espcn {how}" in said(capsys)[0][0]
        assert 'alt="espcn"' in Path("b.html").read_text(encoding="utf-8")


def test_two_results_have_no_page_in_common(folder, capsys):
    make("a.png")
    write_picture_file("a.gif", PictureFile(FRAMES, durations=[50] * 3))
    assert run("a.png", "a.gif", "-s", "2", "--compare") == 2
    assert said(capsys)[1] == [
        "pysrcnn: several results would have the page a_x2.html: give one --format"
    ]
    assert names() == ["a.gif", "a.png"]
    assert run("a.png", "a.gif", "-s", "2", "--compare", "--format", "png") == 0
    pages = ["a_gif_x2.html", "a_png_x2.html"]
    assert [name for name in names() if name.endswith(".html")] == pages
    assert run("a.gif", "-s", "2", "--compare") == 0
    assert "3, of which the first is compared" in Path("a_x2.html").read_text(encoding="utf-8")


def test_a_page_needs_a_file(folder, capsys):
    make("a.png")
    assert run("a.png", "-o", "-", "--compare") == 2
    assert "give -o a file" in said(capsys)[1][0]
