"""``pysrcnn exercise``: write exercises for students, and check their answers."""

import argparse
import contextlib
import sys
import textwrap
from pathlib import Path

from .._files import write_json
from .._printing import counted, fitted, say
from .._version import __version__
from ..exercises import (
    Grade,
    Verdict,
    asked_of,
    check_file,
    check_folder,
    students,
    write_files,
)
from .common import TABLE, Commands, add_overwrite, check_free, check_json

__all__ = ["add", "run"]

_LONGEST = 86_400  # seconds
_MARKS = {"passed": "+", "wrong": "x", "not begun": ".", "not there": "-"}
_RUNS = (
    "Checking runs the code in the files, with your rights: a time limit keeps it from hanging, "
    "but nothing keeps it from doing harm. Check files of others where that is fine."
)


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "exercise", help="write exercises for courses, functions to complete and to repair, and "
        "check them",
        description="Write exercises, eight files to complete and twelve to repair, and check the "
        "answers of students.",
    )  # fmt: skip
    actions = command.add_subparsers(
        dest="action", required=True, metavar="start|check", help="write the files; check them"
    )
    start = actions.add_parser(
        "start", help="write the files",
        description="Write the files of all exercises. Existing files stay as they are.",
    )  # fmt: skip
    start.add_argument("folder", type=Path, metavar="FOLDER", help="where to write them")
    start.set_defaults(run=_start)
    check = actions.add_parser(
        "check", help="run the files, and say what is wrong",
        description="Run a file, a student's folder, or each student's folder in that of a class, "
        f"and say what is wrong. Exit code 0 if all is right, else 1. {_RUNS}",
    )  # fmt: skip
    check.add_argument(
        "path", type=Path, metavar="FILE|FOLDER",
        help="a file, a folder of such files, or a folder of such folders",
    )  # fmt: skip
    check.add_argument(
        "--seconds", type=float, default=10.0, metavar="S",
        help="processor time for each file, in seconds (default: 10); by the clock, ten times that",
    )  # fmt: skip
    check.add_argument(
        "--json", type=Path, metavar="FILE", help="also write what was found to this file"
    )
    add_overwrite(check, TABLE)
    check.set_defaults(run=run)


def _start(options: argparse.Namespace) -> int:
    written, kept = write_files(options.folder)
    for name in kept:
        say(f"{options.folder / name}: stays as it is, since it was changed")
    if not written:
        say(f"{options.folder} has all exercises: nothing was written")
        return 0
    for line in textwrap.wrap(", ".join(written), 78):
        say(f"  {line}")
    say(f"{counted(len(written), 'file')} written to {options.folder}. Begin with psnr.py, and see")
    say(f"how far you are: pysrcnn exercise check {options.folder}")
    return 0


def run(options: argparse.Namespace) -> int:
    """Check answers, print the verdicts, and return the exit code."""
    path, seconds = options.path, options.seconds
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"--seconds is {seconds:g}, wanted a number above 0, up to {_LONGEST}")
    check_json(options.json, options.overwrite)
    if options.json:
        check_free(options.json, options.overwrite, TABLE)
    if not path.is_dir():
        grades = [Grade(path.resolve().parent.name, [check_file(path, seconds)])]
        _print_verdicts(grades[0].verdicts)
    elif folders := students(path):
        names = asked_of(folders)
        grades = []
        _print_title(names)
        for folder in folders:
            grades.append(check_folder(folder, names, seconds))
            _print_row(grades[-1])
        if left := asked_of([path]):
            say(f"{path} holds folders of a class, so its own are left out: {', '.join(left)}",
                sys.stderr)  # fmt: skip
        for folder in folders:
            with contextlib.suppress(OSError):  # one that cannot be listed, or is gone
                inside = [p for p in folder.iterdir() if p.is_dir()]
                if not asked_of([folder]) and asked_of(inside):
                    say(f"{folder} holds no exercises, but folders of them: to check these, give "
                        f"{folder}", sys.stderr)  # fmt: skip
    else:
        grades = [check_folder(path, None, seconds)]
        _print_verdicts(grades[0].verdicts)
        _print_count(grades[0], path)
    if options.json:
        write_json(options.json, {"version": __version__, "grades": [_row(g) for g in grades]})
    return 0 if all(grade.ok for grade in grades) else 1


# ------------------------------------------------------------------------------------ one student


def _print_verdicts(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        state = verdict.state.upper() if verdict.state == "wrong" else verdict.state
        say(f"{verdict.name:<16}{state}")
        for sentence in (*verdict.sentences, *filter(None, [verdict.note])):
            for line in textwrap.wrap(sentence, 76):
                say(f"    {line}")


def _print_count(grade: Grade, folder: Path) -> None:
    others = (f"{n} {state}" for state in ("wrong", "not begun") if (n := grade.count(state)))
    say(", ".join([f"{grade.count('passed')} of {len(grade.verdicts)} passed", *others]))
    for verdict in grade.verdicts:
        if verdict.name.startswith("repair") and verdict.state == "not begun":
            say(f"For a hint: pysrcnn exercise check {folder / verdict.name}.py")
            break


# ---------------------------------------------------------------------------------------- a class


def _print_title(names: list[str]) -> None:
    for line in textwrap.wrap(f"In this order: {', '.join(names)}.", 80):
        say(line)
    say(", ".join(f"{mark} {state}" for state, mark in _MARKS.items()))
    say("")


def _print_row(grade: Grade) -> None:
    marks = [_MARKS[verdict.state] for verdict in grade.verdicts]
    holes = sum(not verdict.name.startswith("repair") for verdict in grade.verdicts)
    shown = " ".join(filter(None, ["".join(marks[:holes]), "".join(marks[holes:])]))
    say(f"{fitted(grade.student, 36):<38}{shown:<23}{grade.count('passed'):>3} of {len(marks)}")


def _row(grade: Grade) -> dict:
    return {
        "student": grade.student,
        "passed": grade.count("passed"),
        "of": len(grade.verdicts),
        "exercises": [verdict._asdict() for verdict in grade.verdicts],
    }
