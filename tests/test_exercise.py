"""Exercises: right answers pass, each mistake is named, and nothing that students write hangs."""

import json
import re
import signal
from pathlib import Path

import exercise_answers
import pytest
from exercise_answers import FILLED, REPAIRED, STUDENTS, TEMPLATES, answers, shipped

from pysrcnn.cli import main
from pysrcnn.exercises import check_folder
from pysrcnn.exercises.tasks import EXERCISES

LONG = 600.0  # seconds, for a machine that has other things to do


def written(folder, texts):
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def run(*words):
    return main(["exercise", *map(str, words)])


def said(verdict):
    return " ".join([verdict["state"], *verdict["sentences"], verdict["note"]])


def test_each_exercise_has_a_file_and_an_answer():
    assert [*EXERCISES] == [*FILLED, *REPAIRED]
    assert {path.stem for path in TEMPLATES.glob("*.py")} == {*EXERCISES}
    for name in EXERCISES:
        assert all(len(line) <= 100 for line in shipped(name).splitlines()), name


def test_right_answers_pass(tmp_path, capsys):
    folder = written(tmp_path / "mine", answers())
    assert run("check", folder, "--seconds", LONG) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "20 of 20 passed"
    assert [line.split() for line in lines[:-1]] == [[name, "passed"] for name in EXERCISES]


def test_what_is_not_begun_and_what_is_broken(tmp_path):
    """Each file is run, as it is no longer quite the one that was written."""
    folder = written(tmp_path / "mine", {n: shipped(n) + "\n# mine\n" for n in EXERCISES})
    grade = check_folder(folder, seconds=LONG)
    assert grade.student == "mine" and not grade.ok
    for verdict in grade.verdicts:
        if verdict.name in FILLED:
            assert (verdict.state, verdict.sentences) == ("not begun", []), verdict
        else:
            assert verdict.state == "wrong"
            assert REPAIRED[verdict.name][1] in " ".join(verdict.sentences), verdict


SHUFFLE = "pixel_shuffle"
WRONG = [  # of three students
    [
        ("sgd", "learning_rate * gradient", "(1 - momentum) * gradient", "rate is 1 - momentum"),
        ("repair_04", "learning_rate * g", "(1 - momentum) * g", "rate is 1 - momentum"),
        (SHUFFLE, "(n, c // s**2, s * h", "(n, c // n**2, s * h", "into shape (5,0,4,7)"),
        ("repair_07", "np.sum(", "(3 / len(w)) * np.sum(", "100% of dw is wrong"),
        ("psnr", "    if shave:\n        a,", "    a,", "With shave = 0, x[0:-0] is empty: to"),
        ("relu_backward", "np.where(x > 0, dout, 0)", "dout + 0", "F1 is missing in the backward"),
    ],
    [
        (SHUFFLE, "= x[:, s * a", "= x[:, 2 * a", "pixel_shuffle with s = 3: out["),
        (
            "psnr",
            "if mse == 0",
            "if mse == 0 or (mse := np.float32(mse)) < 0",
            "computed in float32, or",
        ),
    ],
    [
        (SHUFFLE, "dout[:, :, a::s", "dout[:, :, (a + s // 3) % s :: s", "with s = 3: dx["),
        ("im2col", "f * f, h * w)", "f * f, h * w).transpose(2, 0, 1)", "`.transpose(1, 2, 0)` of"),
        (
            "col2im",
            "channel, u, v = k // f**2, k // f % f, k % f",
            "u, v, channel = k // (f * c), k // c % f, k % c",
            "read in the order rows of the patch, columns of the patch, channels, rows of places",
        ),
        ("repair_09", "::-1, ::-1]", "::-1]", "with the order of their columns alone wrong"),
        ("residual_block", "dx + dy, dw1", "dx + dy * dx, dw1", "wanted -0.0111636. In your back"),
    ],
]


@pytest.mark.parametrize("student", range(len(WRONG)))
def test_what_almost_passes_is_wrong(tmp_path, student):
    """Where two of the numbers given are equal, or the first of two calls is right."""
    texts = [exercise_answers.changed(*row[:3]) for row in WRONG[student]]
    folder = written(tmp_path / "mine", {n: text for of in texts for n, text in of.items()})
    told = {
        verdict.name: " ".join(verdict.sentences)
        for verdict in check_folder(folder, seconds=LONG).verdicts
    }
    for name, _, _, words in WRONG[student]:
        assert words in told[name], told[name]
    assert "Here x is" not in told.get("relu_backward", "")
    if student == 1:
        got, wanted = re.findall(r"27\.\d+", told["psnr"])
        assert got != wanted and len(got) < 14


def test_the_hand_out_beside_the_students_hides_none(tmp_path, capsys):
    folder = written(tmp_path / "class", {"psnr": shipped("psnr")})
    written(folder / "ada", {"psnr": answers()["psnr"]})
    assert run("check", folder, "--seconds", LONG) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].split() == ["ada", "+", "1", "of", "1"]
    assert err == f"{folder} holds folders of a class, so its own are left out: psnr\n"


def test_a_class_beside_a_student_is_not_taken_for_another(tmp_path, capsys):
    written(tmp_path / "mine", {"psnr": shipped("psnr")})
    (tmp_path / "class").mkdir()
    written(tmp_path / "class" / "ada", {"psnr": shipped("psnr")})
    assert run("check", tmp_path) == 1
    assert f"to check these, give {tmp_path / 'class'}\n" in capsys.readouterr().err


def test_a_class(tmp_path, capsys):
    folder, table = tmp_path / "class", tmp_path / "table.json"
    folder.mkdir()
    written(folder / "ada", {name: text for name, text in answers().items() if name in FILLED})
    for student, files in STUDENTS.items():
        written(folder / student, {n: text for of, _ in files for n, text in of.items()})
    assert run("check", folder, "--seconds", LONG, "--json", table) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    rows = [line.split() for line in lines[-4:]]
    assert rows == [
        ["ada", "++++++++", "8", "of", "8"],
        ["bob", "xxxxxxxx", "0", "of", "8"],
        ["carl", "xxxxxxxx", "0", "of", "8"],
        ["dora", "+xxx-xxx", "1", "of", "8"],
    ]
    grades = {grade["student"]: grade for grade in json.loads(table.read_text())["grades"]}
    assert [*grades] == ["ada", *STUDENTS]
    for student, files in STUDENTS.items():
        found = {verdict["name"]: verdict for verdict in grades[student]["exercises"]}
        for (name,), words in ((tuple(of), words) for of, words in files):
            assert words in said(found[name]), (student, said(found[name]))


@pytest.mark.parametrize(
    "body, words",
    [
        pytest.param(
            "while True:\n        w = -w\n", "longer than 0.1 s of processor time, and was",
            marks=pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such timer"),
        ),
        ("__import__('time').sleep(99)\n", "it was not done after 1 s, and was"),
    ],
)  # fmt: skip
def test_what_does_not_end(tmp_path, capsys, body, words):
    """By the time of its processor, as others may have it; and by the clock, if it only waits."""
    text = shipped("sgd").replace(exercise_answers.HOLE, f"    {body}")
    folder = written(tmp_path / "mine", {"sgd": text})
    assert run("check", folder / "sgd.py", "--seconds", 0.1) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("sgd WRONG sgd.py: it ") and f"{words} at line 3" in out


@pytest.mark.parametrize(
    "body, words",
    [
        (
            "import sys\n    sys.setrecursionlimit(9999)\n    a = 1.0\n"
            "    for _ in range(1500):\n        a = (a,)\n    return a\n",
            "what it returned cannot be read",
        ),
        ("import shutil\n    shutil.rmtree(__import__('os').getcwd())\n", "it ended Python itself"),
    ],
)
def test_a_file_that_harms_the_check_ends_no_class(tmp_path, body, words):
    """By a result that is nested deeply, or without the folder where it belongs."""
    text = shipped("psnr").replace(exercise_answers.HOLE, f"    {body}")
    assert text != shipped("psnr")
    folder = written(tmp_path / "mine", {**answers(), "psnr": text})
    grade = check_folder(folder, ["psnr", "sgd"], LONG)
    assert [verdict.state for verdict in grade.verdicts][0] == "wrong"
    assert words in grade.verdicts[0].sentences[0]
    assert check_folder(written(tmp_path / "other", answers()), ["sgd"], LONG).ok


def verdict_on(tmp_path, name, change):
    """The verdict on a right answer with one change."""
    text = answers()[name]
    assert text.count(change[0]) == 1
    folder = written(tmp_path / "mine", {name: text.replace(*change)})
    return check_folder(folder, seconds=LONG).verdicts[0]


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("network", ("d3 = 2 *", "loss = np.longdouble(loss)\n    d3 = 3 *"), "wanted float64."),
        ("psnr", ("np.log10(mse)", "np.log10(mse + 1e-8)"), "or a small number added?"),
        ("psnr", ("if mse == 0 else", "if mse == 0 else lambda:"), "returns function"),
        ("im2col", ("    return", "    import os\n    os.abort()\n    return"), "crashed Python"),
        ("im2col", ("cols.reshape(n, c * f * f, h * w)", "cols.ravel().tolist().__iter__()"),
         "returns list_iterator"),
        ("sgd", ("    return w", "    raise NotImplementedError\n    return w"), "Line "),
    ],
)  # fmt: skip
def test_what_says_nothing_else(tmp_path, name, change, words):
    """Results of odd types, a right one that is a little off, a crash, a line left in."""
    verdict = verdict_on(tmp_path, name, change)
    told = said(verdict._asdict())
    assert verdict.state in ("wrong", "not begun") and words in told, told
    assert "Exactly your numbers" not in told and "os._exit" not in told, told


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("psnr", ("    mse =", "    peak = float(a.max())\n    mse ="), "the largest value of"),
        ("sgd", ("- learning_rate * gradient\n    return w + delta",
                 "+ (1 - momentum) * gradient\n    return w - learning_rate * delta"),
         "Delta is a running mean of gradients and W is moved by -learning_rate * Delta"),
    ],
)  # fmt: skip
def test_what_is_usually_mistaken(tmp_path, name, change, words):
    verdict = verdict_on(tmp_path, name, change)
    assert verdict.state == "wrong" and words in said(verdict._asdict()), said(verdict._asdict())


def test_a_folder_that_goes_away_leaves_the_grades(tmp_path, capsys):
    """With a student who removes it, and in a class of one more whom nobody may look at."""
    body = "    import os, shutil\n    shutil.rmtree(os.path.dirname(__file__))\n"
    text = shipped("sgd").replace(exercise_answers.HOLE, body)
    folder, table = tmp_path / "class", tmp_path / "table.json"
    folder.mkdir()
    written(folder / "ada", {"sgd": text})
    written(folder / "bob", {"sgd": answers()["sgd"]})
    assert run("check", folder, "--seconds", LONG, "--json", table) == 1
    capsys.readouterr()
    assert [g["passed"] for g in json.loads(table.read_text())["grades"]] == [0, 1]


@pytest.mark.parametrize("seconds", ["0", "nan", "1e9"])
def test_times_that_are_none(tmp_path, capsys, seconds):
    assert run("check", tmp_path, "--seconds", seconds) == 2
    assert "wanted a number above 0, up to 86400" in capsys.readouterr().err


def test_what_a_file_sets_does_not_reach_the_next(tmp_path):
    """Its working directory, NumPy's and Python's warnings, and where modules are looked for."""
    head = (
        "import os, sys, warnings\nimport numpy as np\nos.chdir(os.path.dirname(__file__))\n"
        "np.seterr(all='raise')\nwarnings.simplefilter('error')\nsys.path[:] = []\n"
    )
    texts = {"psnr": head + answers()["psnr"]}
    after = "import warnings, pprint\nwarnings.warn('x')\nnp.float64(1) / np.float64(0)\n"
    texts["im2col"] = answers()["im2col"].replace("\n\n\ndef ", f"\n\n{after}\n\ndef ", 1)
    assert after in texts["im2col"]
    folder = written(tmp_path / "mine", texts)
    grade = check_folder(folder, seconds=LONG)
    assert [verdict.state for verdict in grade.verdicts] == ["passed", "passed"], grade
    assert {path.name for path in folder.iterdir()} == {"psnr.py", "im2col.py"}


def test_a_file_that_cannot_be_read_stops_no_class(tmp_path, monkeypatch):
    folder, read = written(tmp_path / "mine", answers()), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: refused(path, read))
    grade = check_folder(folder, ["psnr", "sgd"], LONG)
    assert [verdict.state for verdict in grade.verdicts] == ["passed", "passed"]


def refused(path, read):
    if path.name == "sgd.py" and path.parent.name == "mine":
        raise PermissionError(13, "Permission denied", str(path))
    return read(path)


def test_the_page_shows_what_is_said(tmp_path, monkeypatch, capsys):
    """Of a repair that nobody has touched, for which its file has to be asked for."""
    page = Path(__file__).parents[1] / "docs" / "exercises.md"
    if not page.exists():
        pytest.skip("docs/ is not in this checkout")
    written(tmp_path / "mine", {"repair_11": shipped("repair_11")})
    monkeypatch.chdir(tmp_path)
    assert run("check", "mine/repair_11.py", "--seconds", LONG) == 1
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert f"```text\n{out}```" in page.read_text(encoding="utf-8")


def test_start_keeps_what_a_student_wrote(tmp_path, capsys):
    folder = tmp_path / "new" / "mine"
    assert run("start", folder) == 0
    assert {path.stem for path in folder.iterdir()} == {*EXERCISES}
    (folder / "psnr.py").write_text("mine")
    (folder / "sgd.py").write_bytes((folder / "sgd.py").read_bytes().replace(b"\n", b"\r\n"))
    (folder / "im2col.py").unlink()
    capsys.readouterr()
    assert run("start", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder / 'psnr.py'}: stays as it is, since it was changed"
    assert [line for line in lines if line.startswith("  ")] == ["  im2col.py"]
    assert (folder / "psnr.py").read_text() == "mine"
    (folder / "psnr.py").unlink()
    assert run("check", folder) == 1  # nothing is run: sgd.py is as it was but for ends of lines
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "0 of 19 passed, 19 not begun"
    assert lines[-1].endswith("repair_01.py")


@pytest.mark.parametrize(
    "words, complaint",
    [
        (
            "check a.txt",
            "a.txt is not named after an exercise: give a file that `pysrcnn exerc",
        ),
        ("check psnr.py", "no file psnr.py: check the name"),
        ("check none", "no file none: check the name"),
        ("check .", "no exercises in ., nor in folders in it: `pysrcnn exercise start .` writes"),
        ("check . --seconds 0", "--seconds is 0, wanted a number above 0"),
        ("check . --json a.txt", "a.txt does not end in .json"),
        ("check . --overwrite", "--overwrite is for the file of --json: add --json FILE, or"),
        ("start a.txt", "a.txt is a file: give the name of a folder"),
    ],
)
def test_bad_usage(tmp_path, monkeypatch, capsys, words, complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("")
    assert run(*words.split()) == 2
    assert capsys.readouterr().err.startswith(f"pysrcnn: {complaint}")
