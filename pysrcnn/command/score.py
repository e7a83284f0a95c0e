"""``pysrcnn score``: score results of any program, and find out why a number is off."""

import argparse
import dataclasses
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from .._files import check_apart, write_json
from .._printing import counted, say
from .._version import __version__
from ..evaluate import Score, average
from ..pictures import list_pictures, quiet_readers
from .common import (
    TABLE,
    Commands,
    add_overwrite,
    add_scale,
    check_free,
    check_json,
    complain,
    refuse_weights,
)
from .evaluate import print_score, print_title

if TYPE_CHECKING:
    from ..scoring import Report

__all__ = ["add", "run"]


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "score", help="score the results of any program, and find out why a PSNR is off",
        description="Score enlarged pictures of any network or program by the papers' protocol, "
        "and name mistakes in making or measuring them. The exit code is 1 if there is one.",
    )  # fmt: skip
    command.add_argument(
        "results", type=Path, metavar="RESULTS",
        help="enlarged pictures, a folder or a file; named like the originals, with additions such "
        "as _x3 or _SRCNN",
    )  # fmt: skip
    command.add_argument(
        "truth", type=Path, metavar="TRUTH", help="original pictures, a folder or a file"
    )
    add_scale(command, required=True)
    command.add_argument(
        "--claimed", metavar="DB",
        help="PSNR that another program printed, such as 32.39: shows which way of measuring gives "
        "it",
    )  # fmt: skip
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="also write what was found to this file"
    )
    add_overwrite(command, TABLE)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    quiet_readers()
    for path in (options.results, options.truth):
        refuse_weights(path, "give enlarged pictures and their originals")
    check_json(options.json, options.overwrite)
    if options.json:
        for path in (options.results, options.truth):
            pictures = list_pictures(path) if path.is_dir() else [path]
            check_apart([options.json], pictures, "one of the pictures")
        check_free(options.json, options.overwrite, TABLE)
    failed: list[int] = []
    shown: list[Score] = []

    def show(score: Score) -> None:
        if not shown:
            print_title(options.scale, options.results.resolve().name)
        shown.append(score)
        print_score(score)

    from ..scoring import score_results  # imported here, as it needs SciPy's filters

    report = score_results(
        options.results, options.truth, options.scale, options.claimed,
        on_error=lambda error: failed.append(complain(error, 2)), on_score=show,
    )  # fmt: skip
    if not shown:
        return 2
    print_score(average(shown))
    _print_ways(report)
    for sentence in report.sentences():
        say("")
        for line in textwrap.wrap(sentence, 80):
            say(line)
    if options.json:
        write_json(options.json, _table(options, report, len(failed)))
    if failed:
        say(f"averaged {counted(len(shown), 'picture')}, {len(failed)} failed", sys.stderr)
        return 2
    return 0 if report.ok else 1


def _print_ways(report: "Report") -> None:
    """Print the PSNR by each way of measuring, if there is a claimed one to explain."""
    if report.claim is None:
        return
    say("")
    say(f"{report.claim.protocol:7.2f} dB  the protocol")
    for words, db in report.claim.single:
        short = re.sub(r"^(it is )?(of )?|,.*| \(.*", "", words)
        say(f"{db:7.2f} dB  {short}")


def _table(options: argparse.Namespace, report: "Report", failed: int) -> dict:
    """Return all findings for JSON."""
    mean = average(report.scores)
    found: dict = {
        "results": options.results.resolve().name,
        "truth": options.truth.resolve().name,
        "scale": options.scale,
        "version": __version__,
        "ok": report.ok,
        "pictures": [{"picture": s.picture} | s.numbers for s in report.scores],
        "average": {"picture": mean.picture} | mean.numbers,
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
        "notes": report.notes,
        "unexplained": report.unexplained,
        "failed": failed,
    }
    if report.claim:
        found["claim"] = report.claim._asdict() | {"single": dict(report.claim.single)}
    return found
