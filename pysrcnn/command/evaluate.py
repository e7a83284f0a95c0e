"""``pysrcnn evaluate``: PSNR and SSIM on a folder of pictures."""

import argparse
import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from .._files import check_apart, check_place, write_json
from .._printing import counted, printable, say
from .._version import __version__
from ..evaluate import Score, average, evaluate
from ..networks import Network, files_of
from ..pictures import list_pictures, list_unread, not_read, quiet_readers
from .common import (
    WEIGHTS,
    Commands,
    add_ensemble,
    add_model,
    add_scale,
    add_threads,
    complain,
    load_network,
    refuse_weights,
)

__all__ = ["add", "averaged", "print_score", "print_title", "run", "score_folder"]

_ROW = "{:<20.20} {:>9} {:>9}   {:>9} {:>9}"
_TITLE = "{:<20} {:>19}   {:>19}"


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser("evaluate", help="measure PSNR and SSIM on a folder of pictures")
    add_threads(command)
    command.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="original pictures; those that cannot be used are named and left out, and the exit "
        "code is then 2",
    )  # fmt: skip
    command.add_argument(
        "-r", "--recursive", action="store_true", help="also take pictures in subfolders"
    )
    add_scale(command)
    add_model(command)
    add_ensemble(command)
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the table to this file"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it: the exit code."""
    quiet_readers()
    folder = options.folder
    refuse_weights(folder, f"type `pysrcnn evaluate FOLDER -m {folder}`, FOLDER with pictures")
    if options.json and options.json.suffix.lower() != ".json":
        raise ValueError(f"{options.json} does not end in .json: the table is written as JSON")
    if options.json:
        check_place(options.json)
    network, scale = load_network(options)
    if options.json:
        check_apart([options.json], files_of(options.model), WEIGHTS)
        there = options.folder, options.recursive
        pictures = [*list_pictures(*there), *list_unread(*there)]
        check_apart([options.json], pictures, "one of the pictures")
    scores: list[Score] = []
    failed: list[int] = []
    for score in score_folder(options.folder, network, scale, failed, options.recursive):
        if not scores:
            print_title(scale, Path(options.model).name)
        scores.append(score)
        print_score(score)
    if not scores:
        return 2
    mean = average(scores)
    print_score(mean)
    if options.json:
        table = {
            "folder": options.folder.name,
            "scale": scale,
            "model": Path(options.model).name,
            "version": __version__,
            "pictures": [_row(s) for s in scores],
            "average": _row(mean),
            "failed": len(failed),
        }
        write_json(options.json, table)
    return averaged(scores, failed, list_unread(options.folder, options.recursive))


def score_folder(
    folder: Path, network: Network, scale: int, failed: list[int], recursive: bool = False
) -> Iterator[Score]:
    """Of the pictures in a folder; what is wrong with one is said, and counted in `failed`."""
    return evaluate(
        folder, network, scale,
        recursive=recursive, on_error=lambda error: failed.append(complain(error, 2)),
    )  # fmt: skip


def averaged(scores: list[Score], failed: list[int], unread: list[Path]) -> int:
    """Say of how many pictures the average is, if not of all: the exit code."""
    parts = [f"averaged {counted(len(scores), 'picture')}"]
    parts += [f"{len(failed)} failed"] if failed else []
    parts += [not_read(unread)] if unread else []
    if len(parts) > 1:
        say(", ".join(parts), sys.stderr)
    return 2 if len(parts) > 1 else 0


def _row(score: Score) -> dict:
    """For JSON, which has no word for the infinite PSNR of a picture without any error."""
    row = dataclasses.asdict(score)
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def print_title(scale: int, name: str) -> None:
    """The lines above a table of scores."""
    name = printable(name)
    name = name if len(name) <= 19 else name[:16] + "..."
    say(_TITLE.format(f"scale {scale}", "bicubic", name))
    say(_ROW.format("", "PSNR dB", "SSIM", "PSNR dB", "SSIM"))


def print_score(score: Score) -> None:
    """A line of the table."""
    numbers = (score.bicubic_psnr, score.bicubic_ssim, score.psnr, score.ssim)
    cells = [f"{n:.{2 if i % 2 == 0 else 4}f}" for i, n in enumerate(numbers)]
    say(_ROW.format(printable(score.picture), *cells))
