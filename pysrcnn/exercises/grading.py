"""Write the exercise files for a student, and grade those of one student or of a class."""

import contextlib
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from .._files import written_whole
from .judging import Call, judge, sentence
from .running import Ran, run_files
from .tasks import EXERCISES

__all__ = [
    "Grade",
    "Verdict",
    "asked_of",
    "check_file",
    "check_folder",
    "students",
    "write_files",
]

PASSED, UNBEGUN, WRONG, MISSING = "passed", "not begun", "wrong", "not there"


class Verdict(NamedTuple):
    """The verdict on one file.

    Attributes
    ----------
    name : str
        The exercise.
    state : "passed", "not begun", "wrong" or "not there"
    sentences : list of str
        What is wrong.
    note : str
        A remark, usually empty.
    """

    name: str
    state: str
    sentences: list[str]
    note: str = ""


class Grade(NamedTuple):
    """The verdicts on one student's files."""

    student: str
    verdicts: list[Verdict]

    def count(self, state: str) -> int:
        """How many verdicts are in a state: "passed", "wrong", ..."""
        return sum(verdict.state == state for verdict in self.verdicts)

    @property
    def ok(self) -> bool:
        """Whether all exercises passed."""
        return self.count(PASSED) == len(self.verdicts)


def write_files(folder: Path) -> tuple[list[str], list[str]]:
    """Write the files that a student begins with, without replacing existing ones.

    Returns
    -------
    written, kept : lists of str
        Names of the files that were written, and of existing files that the student has changed.

    Raises
    ------
    NotADirectoryError, OSError
        If `folder` is a file or cannot be created, or a file cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: give the name of a folder")
    folder.mkdir(parents=True, exist_ok=True)
    written, kept = [], []
    for name in EXERCISES:
        path = folder / f"{name}.py"
        if not path.exists():
            with written_whole(path) as temporary:
                temporary.write_bytes(_template(name))
            written.append(path.name)
        elif not _unchanged(path):
            kept.append(path.name)
    return written, kept


def _template(name: str) -> bytes:
    return (files(__package__) / "templates" / f"{name}.py").read_bytes().replace(b"\r\n", b"\n")


def _unchanged(path: Path) -> bool:
    """Whether a file is as it was written, apart from line endings."""
    with contextlib.suppress(OSError):  # if it cannot be read, running it will say so
        return path.read_bytes().replace(b"\r\n", b"\n") == _template(path.stem)
    return False


def students(folder: Path) -> list[Path]:
    """List the students' folders in the folder of a class; none if it is that of one student.

    Raises
    ------
    ValueError
        If neither the folder nor any folder in it holds exercises.
    """
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if any(map(_there, inside)):
        return inside
    if not _there(folder):
        raise ValueError(
            f"no exercises in {folder}, nor in folders in it: `pysrcnn exercise start {folder}` "
            "writes them"
        )
    return []


def _there(folder: Path) -> list[str]:
    """The names of the exercises in a folder."""
    return [name for name in EXERCISES if os.path.isfile(folder / f"{name}.py")]


def check_file(path: Path, seconds: float = 10.0) -> Verdict:
    """Run one file and say what is wrong with it.

    Parameters
    ----------
    path : path
    seconds : float
        Processor time the file may take, see `run_files`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not named after an exercise.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: check the name")
    if path.stem not in EXERCISES or path.suffix != ".py":
        raise ValueError(
            f"{path} is not named after an exercise: give a file that `pysrcnn exercise start` "
            "wrote, such as psnr.py"
        )
    return _checked([path], seconds)[0]


def check_folder(folder: Path, names: Iterable[str] | None = None, seconds: float = 10.0) -> Grade:
    """Run the files that a student has changed, and say what is wrong with them.

    Parameters
    ----------
    folder : path
    names : names of exercises, optional
        The exercises to grade; by default those in the folder.
    seconds : float
        Processor time a file may take, see `run_files`.

    Returns
    -------
    grade : Grade
        A verdict on each of `names`.
    """
    there = _there(folder)
    changed = [name for name in there if not _unchanged(folder / f"{name}.py")]
    ran = _checked([folder / f"{name}.py" for name in changed], seconds)
    verdicts = {name: Verdict(name, UNBEGUN, []) for name in there}
    verdicts |= {verdict.name: verdict for verdict in ran}
    asked = there if names is None else names
    return Grade(folder.resolve().name, [
        verdicts.get(name, Verdict(name, MISSING, [])) for name in asked
    ])  # fmt: skip


def asked_of(folders: Iterable[Path]) -> list[str]:
    """List the exercises found in any of these folders."""
    found = {name for folder in folders for name in _there(folder)}
    return [name for name in EXERCISES if name in found]


def _checked(paths: list[Path], seconds: float) -> list[Verdict]:
    calls = [EXERCISES[path.stem]() for path in paths]
    tasks = [(path, [(call.function, call.given) for call in of]) for path, of in
             zip(paths, calls, strict=True)]  # fmt: skip
    ran = run_files(tasks, seconds) if tasks else []
    names = [path.stem for path in paths]
    return [_verdict(*three) for three in zip(names, calls, ran, strict=True)]


def _verdict(name: str, calls: list[Call], ran: Ran) -> Verdict:
    note = ""
    if ran.printed:
        first = ran.printed.split("\n")[0]
        note = f"It prints or warns, which the check hides. The first line is: {first}"
    if ran.failed:
        return Verdict(name, WRONG, [sentence(f"{name}.py: {ran.failed}")], note)
    if all(outcome.hole for outcome in ran.outcomes):
        lines = [outcome.line for outcome in ran.outcomes if outcome.line]
        if lines and not note:
            note = f"Line {lines[0]} raises NotImplementedError: remove it once you are done."
        return Verdict(name, UNBEGUN, [], note)
    wrong: dict[str, list[str]] = {}  # by function: what the first wrong call shows
    for call, outcome in zip(calls, ran.outcomes, strict=True):
        if not wrong.get(call.function):
            wrong[call.function] = judge(call, outcome)
    sentences = [text for of in wrong.values() for text in of]
    return Verdict(name, WRONG if sentences else PASSED, sentences, note)
