"""The fuzzer: it finds each of the faults that it looks for, and a few damaged files go well."""

import hashlib
import os
import re
import sys
import tempfile
import time
import zlib
from pathlib import Path

import fuzz
import mutations
import numpy as np
import pytest
from mutations import KINDS, case_of, kind_of, whole_cases
from processes import python

from pysrcnn.cli import main

LIMITS = fuzz.Limits(patience=5, memory=100 << 20, room=300 << 20)
HERE = Path(__file__).resolve().parent


# ----------------------------------------------------------------------------------- planted faults


def crash(source, target):
    os.abort()


def hang(source, target):
    time.sleep(1000)


def too_much_memory(source, target):
    np.ones(LIMITS.memory // 8 + (1 << 20))
    raise ValueError(f"{source} is damaged, and that is all that can be said")


def all_memory(source, target):
    np.ones(LIMITS.room // 4)


def traceback(source, target):
    raise KeyError(str(source))


def left_over(source, target):
    source.with_name(".out-1234.png").write_bytes(b"a temporary file")
    raise ValueError(f"{source} is damaged, and that is all that can be said")


def partial(source, target):
    target.write_bytes(b"\x89PNG\r\n\x1a\n")
    raise ValueError(f"{source} is damaged, and that is all that can be said")


def not_whole(source, target):
    target.write_bytes(b"\x89PNG\r\n\x1a\n")
    print(f"{target}: 4 x 4 pixels, from 2 x 2")


PLANTED = {
    "png": (crash, "the process died: exit code -"),
    "apng": (hang, "no end within 5 s"),
    "jpeg": (too_much_memory, "it used 1[0-9]{2} MiB"),
    "webp": (all_memory, "the exit code is 1"),
    "tiff": (traceback, "a traceback"),
    "bmp": (left_over, r"files are left: \['.out-1234.png'\]"),
    "gif": (partial, "it failed, and the result that was there before|files are left"),
    "npz": (not_whole, "the result cannot be read: "),
}


def faulty(arguments):
    """In the place of the command: a fault for each kind of file, or the command itself."""
    source = Path(arguments[1])
    target = Path(arguments[2] if arguments[0] == "convert" else arguments[7])
    if source.stem not in PLANTED:
        return main(arguments)
    try:
        PLANTED[source.stem][0](source, target)
    except (ValueError, MemoryError) as error:
        print(f"pysrcnn: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


@pytest.fixture(scope="module")
def results():
    """One file of each kind; those that are not in PLANTED come last, and go well."""
    numbers = {kind_of(number): number for number in range(100, 0, -1)}
    order = sorted(
        (kind for kind in numbers if fuzz.available(kind)), key=lambda kind: kind not in PLANTED
    )
    found = fuzz.run([numbers[kind] for kind in order], workers=1, command=faulty, limits=LIMITS)
    return {kind_of(result.number): result for result in found}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLANTED)
def test_planted_faults_are_found(results, kind):
    if sys.platform != "linux" and "memory" in PLANTED[kind][0].__name__:
        pytest.skip("memory is limited and measured on Linux alone")
    assert re.match(PLANTED[kind][1], results[kind].fault)


@pytest.mark.slow
def test_the_run_goes_on_after_faults(results):
    rest = [result for kind, result in results.items() if kind not in PLANTED]
    assert len(rest) == sum(map(fuzz.available, KINDS)) - len(PLANTED) >= 5
    assert all(result.fault == "" and result.code in (0, 2) for result in rest)


GOOD = "pysrcnn: {source} is damaged or not a picture\n"


@pytest.mark.parametrize(
    "code, out, error, words",
    [
        (2, "", GOOD, ""),
        (1, "", GOOD, "the exit code is 1"),
        (None, "", "", "the exit code is None"),
        (2, "a result", GOOD, "it failed and printed a result"),
        (2, "", "", "the error is not one line"),
        (2, "", GOOD + GOOD, "the error is not one line"),
        (2, "", "libtiff: warning\n" + GOOD, "the error is not one line"),
        (2, "", GOOD[:-1], "the error is not one line"),
        (2, "", GOOD[1:], "the error does not begin with the name of the command"),
        (2, "", GOOD.replace("damaged", "dam\x07ged"), "the error .* is not printable"),
        (2, "", "pysrcnn: it is damaged or not a picture\n", "the error does not name the file"),
        (2, "", "pysrcnn: {source}: KeyError\n", "the error is no sentence"),
        (2, "", "pysrcnn: {source}: " + "is damaged and " * 40 + "\n", "the error is no sentence"),
        (2, "", "Traceback (most recent call last):\n", "a traceback"),
        (0, "", "", "the folder holds"),
    ],
)
def test_what_is_a_fault(tmp_path, monkeypatch, code, out, error, words):
    place = fuzz.prepared(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    arguments = fuzz.arguments_of(case_of(0, 27), place)
    (place / Path(arguments[7]).name).unlink(missing_ok=True)
    error = error.replace("{source}", arguments[1])
    found = fuzz.verdict(case_of(0, 27), arguments, code, out, error)
    assert re.match(words, found) if words else found == ""


def test_a_file_that_the_command_changes(tmp_path, monkeypatch):
    place = fuzz.prepared(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    case = case_of(0, 27)
    arguments = fuzz.arguments_of(case, place)
    assert Path(arguments[1]).read_bytes() == case.content
    Path(arguments[1]).write_bytes(case.content + b"x")
    assert fuzz.verdict(case, arguments, 2, "", "") == "the file itself was changed"
    Path(arguments[1]).write_bytes(case.content)
    (tmp_path / "temporary" / "x").write_bytes(b"")
    assert fuzz.verdict(case, arguments, 2, "", "") == "a temporary file is left"


# --------------------------------------------------------------------------------------- the files


def digests(numbers):
    return [hashlib.sha256(case_of(3, n).content).hexdigest()[:8] for n in numbers]


def test_the_same_number_is_the_same_file():
    numbers = [n for n in range(81) if fuzz.available(kind_of(n))]
    code = f"import test_fuzz; print(*test_fuzz.digests({numbers}))"
    assert python(code).split() == digests(numbers)
    assert len(set(digests(numbers))) > 0.9 * len(numbers)
    assert [case_of(4, n).content for n in numbers] != [case_of(3, n).content for n in numbers]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if fuzz.available(kind)])
def test_files_are_changed_in_many_ways(kind):
    whole = {case.content for case in whole_cases(kind)}
    cases = [case_of(0, n) for n in range(2000) if kind_of(n) == kind]
    contents = {case.content for case in cases}
    assert len(contents - whole) > 0.9 * len(cases) > 60
    assert len({change[:8] for case in cases for change in case.changes[1:]}) > 8


def test_packed_zeros_are_zeros():
    content = mutations._packed_zeros(3_000_000, b"head")
    assert zlib.decompress(content) == b"head" + bytes(3_000_000) and len(content) < 10_000


# ------------------------------------------------------------------------------------- the real run


def test_a_few_files_of_each_kind(capsys):
    assert fuzz.main(["--count", "108", "--workers", "1", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    rows = dict(line.split(None, 1) for line in out.splitlines()[1:-1])
    for kind in filter(mutations.available, KINDS):
        assert int(rows[kind].split()[0]) >= 4
    files, done, refused, faults = map(int, rows["all"].split()[:4])
    assert files == done + refused == 108 and min(done, refused) > 10 and faults == 0


def test_one_file_is_kept(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert fuzz.main(["--case", "7", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("--case 7 --seed 5: gif, ") and "fault: none" in out
    (kept,) = tmp_path.glob("fuzz-*/gif.gif")
    assert str(kept) in out and kept.read_bytes() == case_of(5, 7).content


@pytest.mark.slow
def test_twenty_thousand_files():
    assert fuzz.main([]) == 0
