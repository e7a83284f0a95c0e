"""``pysrcnn evaluate``: measure PSNR, SSIM and more on a folder of pictures."""

import argparse
import math
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from .. import niqe
from .._files import check_apart, write_json
from .._printing import counted, fitted, printable, say
from .._version import __version__
from ..evaluate import Metric, Score, average, by_features, evaluate
from ..networks import Features, Network, files_of, load_features
from ..pictures import list_pictures, list_unread, not_read, quiet_readers
from ..video import IN_FOLDERS
from .common import (
    TABLE,
    WEIGHTS,
    Commands,
    add_ensemble,
    add_features,
    add_model,
    add_overwrite,
    add_scale,
    add_sharpness,
    add_threads,
    check_free,
    check_json,
    complain,
    load_network,
    refuse_weights,
)

__all__ = ["add", "averaged", "print_score", "print_title", "run", "score_folder"]

# The metrics, each with the heading of its column and the number of decimals.
_METRICS = {
    "psnr": ("PSNR dB", 2), "ssim": ("SSIM", 4), "niqe": ("NIQE", 2), "features": ("feat.", 4),
    "tof": ("tOF", 3),
}  # fmt: skip
_USUAL = ("psnr", "ssim")
_OF_CLIPS = (*_USUAL, "tof")
# Widths of the name and of a column, by number of metrics: lines have at most 80 characters.
_WIDTHS = {1: (20, 19), 2: (20, 9), 3: (20, 8), 4: (14, 7), 5: (8, 6)}


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "evaluate", help="measure PSNR, SSIM and NIQE on a folder of pictures",
        description="Shrink the pictures of a folder, enlarge them again with a network and with "
        "bicubic interpolation, and compare both with the originals by the papers' protocol.",
    )  # fmt: skip
    add_threads(command)
    command.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="original pictures; those that cannot be used are named and left out, and the exit "
        "code is then 2",
    )  # fmt: skip
    command.add_argument(
        "-r", "--recursive", action="store_true", help="also take pictures in subfolders"
    )
    command.add_argument(
        "--clips", action="store_true",
        help="treat each folder as a clip and its pictures as frames, and each video as a clip; "
        "prints the mean of each (the default for a vespcn)",
    )  # fmt: skip
    add_scale(command)
    add_model(command)
    add_ensemble(command)
    add_sharpness(command)
    command.add_argument(
        "--metrics", type=_metrics, metavar="NAMES",
        help="psnr, ssim, niqe, features, separated by commas (default: psnr,ssim). niqe measures "
        "without the original how unnatural a picture looks; lower is better. features is the "
        "relative distance between feature maps of the result and of the original, in the network "
        "that --features names; lower is better. Clips also have tof (default: psnr,ssim,tof): by "
        "how many pixels the motion in the result is off",
    )  # fmt: skip
    command.add_argument(
        "--niqe-model", type=Path, metavar="FILE",
        help="model that NIQE compares with: the authors' parameters (.mat), BasicSR's or your own "
        "(.npz). Values of the shipped model are not comparable with published ones",
    )  # fmt: skip
    add_features(command, "for the metric features")
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the table to this file"
    )
    add_overwrite(command, TABLE)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    quiet_readers()
    folder = options.folder
    refuse_weights(folder, f"type `pysrcnn evaluate FOLDER -m {folder}`, FOLDER with pictures")
    check_json(options.json, options.overwrite)
    network, scale = load_network(options)
    clips = options.clips or network.frames > 1
    metrics = options.metrics or (_OF_CLIPS if clips else _USUAL)
    if "tof" in metrics and not clips:
        raise ValueError("tof is for clips, folders of frames: add --clips, or leave it out")
    features = _features(options, metrics)
    notes: list[str] = []
    more = _more(options, metrics, features)
    if set(metrics) - more.keys():  # otherwise a picture may have no number at all, and fails
        more = {name: _if_possible(name, metric, notes) for name, metric in more.items()}
    if options.json:
        _check_apart(options, clips)
    scores: list[Score] = []
    failed: list[int] = []
    recursive = options.recursive
    motion = "tof" in metrics
    for score in score_folder(folder, network, scale, failed, recursive, more, clips, motion):
        if not scores:
            print_title(scale, Path(options.model).name, metrics)
        scores.append(score)
        print_score(score, metrics)
        for note in dict.fromkeys(notes):
            say(f"{score.picture}: {note}", sys.stderr)
        notes.clear()
    if not scores:
        return 2
    mean = average(scores)
    print_score(mean, metrics)
    if options.json:
        table = {
            "folder": options.folder.resolve().name,
            "scale": scale,
            "model": Path(options.model).name,
            **_about(network),
            "measured": "luminance, 8 bits",
            "shave": scale,
            "recursive": recursive or clips,
            "version": __version__,
            "clips" if clips else "pictures": [_row(s, metrics) for s in scores],
            "average": _row(mean, metrics),
            "failed": len(failed),
        }
        if features:
            table["features"] = features.label
        if "niqe" in metrics:
            table["niqe_model"] = options.niqe_model.name if options.niqe_model else "pysrcnn"
        write_json(options.json, table)
    return averaged(scores, failed, list_unread(folder, recursive or clips), clips, tuple(more))


def _check_apart(options: argparse.Namespace, clips: bool) -> None:
    """Raise if the table would replace a file that is read, or that may be the user's."""
    check_apart([options.json], files_of(options.model), WEIGHTS)
    if options.niqe_model:
        check_apart([options.json], [options.niqe_model], "the model of NIQE")
    if options.features:
        check_apart([options.json], files_of(options.features), "the file of features")
    there = options.folder, options.recursive or clips
    videos = IN_FOLDERS if clips else ()
    pictures = [*list_pictures(*there, others=videos), *list_unread(*there)]
    check_apart([options.json], pictures, "one of the pictures")
    check_free(options.json, options.overwrite, TABLE)


def score_folder(
    folder: Path,
    network: Network,
    scale: int,
    failed: list[int],
    recursive: bool = False,
    more: Mapping[str, Metric] | None = None,
    clips: bool | None = None,
    motion: bool = True,
) -> Iterator[Score]:
    """Yield the scores of the pictures or clips of a folder; print errors, and add to `failed`."""
    return evaluate(
        folder, network, scale, more=more, clips=clips, motion=motion,
        recursive=recursive, on_error=lambda error: failed.append(complain(error, 2)),
    )  # fmt: skip


def averaged(
    scores: list[Score],
    failed: list[int],
    unread: list[Path],
    clips: bool,
    more: Collection[str] = (),
) -> int:
    """Print how many pictures or clips were averaged, if not all; return the exit code.

    Those without a number of one of the metrics in `more` are told, too.
    """
    parts = [f"averaged {counted(len(scores), 'clip' if clips else 'picture')}"]
    for name in more:
        count = sum(not math.isnan(score.more[name]) for score in scores)
        parts += [f"{name} of {count}"] if count < len(scores) else []
    parts += [f"{len(failed)} failed"] if failed else []
    parts += [not_read(unread)] if unread else []
    if len(parts) > 1:
        say(", ".join(parts), sys.stderr)
    return 2 if len(parts) > 1 else 0


def _metrics(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    if unknown := [name for name in names if name not in _METRICS]:
        known = ", ".join(_METRICS)
        raise argparse.ArgumentTypeError(f"{unknown[0] or text!r} is none of {known}")
    return names


def _about(network: Network) -> dict:
    """Return the entries of the table about the network."""
    return {
        "channels": "luminance" if network.c == 1 else "RGB",  # of its input
        # None unless it was trained against a discriminator.
        "sharpness": network.card.get("sharpness", None if network.start is None else 1.0),
        "ensemble": network.ensemble,
    }


def _features(options: argparse.Namespace, metrics: tuple[str, ...]) -> Features | None:
    """Return the network for the metric features, if it is asked for."""
    if "features" in metrics:
        if options.features is None:
            raise ValueError(
                "the metric features compares maps of a network: add --features, a file of VGG "
                "(see `pysrcnn convert`) or an edsr"
            )
        return load_features(options.features, options.layer)
    if options.features or options.layer:
        raise ValueError(
            "--features and --layer are for the metric features: add --metrics psnr,ssim,features"
        )
    return None


def _more(
    options: argparse.Namespace, metrics: tuple[str, ...], features: Features | None
) -> dict[str, Metric]:
    """Return the requested metrics besides PSNR and SSIM (but not tOF)."""
    more: dict[str, Metric] = {"features": by_features(features)} if features else {}
    if "niqe" in metrics:
        model = niqe.load(options.niqe_model) if options.niqe_model else niqe.shipped()
        more["niqe"] = lambda picture, original, shave: niqe.niqe(picture, model, shave)
    elif options.niqe_model:
        raise ValueError("--niqe-model is for NIQE: add --metrics psnr,ssim,niqe")
    return more


def _if_possible(name: str, metric: Metric, notes: list[str]) -> Metric:
    """Return the metric, but NaN and a note where it is impossible, as NIQE of a small picture."""

    def measured(picture: np.ndarray, original: np.ndarray, shave: int) -> float:
        try:
            return metric(picture, original, shave)
        except ValueError as error:
            notes.append(f"without {name}: {error}")
            return math.nan

    return measured


def _names(metrics: tuple[str, ...]) -> list[str]:
    """Return the names of a score's numbers in the order of the columns."""
    return [f"bicubic_{name}" for name in metrics] + list(metrics)


def _row(score: Score, metrics: tuple[str, ...]) -> dict:
    """Return a score for JSON."""
    return {"picture": score.picture} | {name: score.numbers[name] for name in _names(metrics)}


def print_title(scale: int, name: str, metrics: tuple[str, ...] = _USUAL) -> None:
    """Print the headings of a table of scores."""
    _, width = _WIDTHS[len(metrics)]
    heads = [_METRICS[metric][0] for metric in metrics]
    heads = [head if len(head) <= width else head.split()[0] for head in heads]
    name, side = printable(name), len(_side(heads))
    before = _line(f"scale {scale}", [""] * 2 * len(metrics))[: -2 * side - 3]
    say(f"{before}{'bicubic':>{side}}   {fitted(name, side):>{side}}")
    say(_line("", heads * 2))


def print_score(score: Score, metrics: tuple[str, ...] = _USUAL) -> None:
    """Print a line of the table."""
    decimals = [_METRICS[metric][1] for metric in metrics] * 2
    numbers = [score.numbers[name] for name in _names(metrics)]
    cells = [f"{n:.{d}f}" for n, d in zip(numbers, decimals, strict=True)]
    say(_line(printable(score.picture), cells))


def _line(name: str, cells: list[str]) -> str:
    """Format a line: the first half of the cells is for bicubic, the rest for the network."""
    half = len(cells) // 2
    width, _ = _WIDTHS[half]
    return f"{fitted(name, width):<{width}} {_side(cells[:half])}   {_side(cells[half:])}"


def _side(cells: list[str]) -> str:
    return " ".join(f"{cell:>{_WIDTHS[len(cells)][1]}}" for cell in cells)
