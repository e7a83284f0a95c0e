"""``pysrcnn upscale``: enlarge pictures and videos."""

import argparse
import contextlib
import math
import sys
from pathlib import Path

from .._files import check_apart
from .._printing import say
from ..batch import (
    SAME,
    Found,
    Job,
    Size,
    enlarge_files,
    find_jobs,
    is_done,
    met_twice,
    with_quality,
)
from ..batch.compare import check_page
from ..networks import files_of
from ..pictures import SUFFIXES, not_read, quiet_readers
from ..upscaling.scales import LARGEST, Networks
from ..video import is_video
from .common import (
    WEIGHTS,
    Commands,
    add_ensemble,
    add_model,
    add_sharpness,
    add_threads,
    is_weights,
    refuse_weights,
)

__all__ = ["add", "run"]


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "upscale", help="enlarge pictures and videos",
        description="Enlarge pictures and videos with a network. Each result is a new file; the "
        "originals stay as they are.",
    )  # fmt: skip
    add_threads(command)
    command.add_argument(
        "pictures", nargs="+", metavar="IN",
        help="pictures, videos, folders, patterns such as 'IMG_*.jpg', or - for a picture from "
        "standard input",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", metavar="OUT",
        help="file to write; with several pictures, a folder; - for standard output (default: "
        "IN_x3.png beside IN)",
    )  # fmt: skip
    command.add_argument(
        "-s", "--scale", type=_factor,
        help=f"factor of enlargement, above 1 and up to {LARGEST} (default: 3, or that of the "
        f"weights); a factor without weights of its own applies the available weights, and then an "
        f"exact resize",
    )  # fmt: skip
    command.add_argument("--width", type=_pixels, metavar="W", help="width of the result in pixels")
    command.add_argument(
        "--height", type=_pixels, metavar="H",
        help="height of the result in pixels; width or height alone keeps the aspect ratio",
    )  # fmt: skip
    add_model(command)
    add_ensemble(command)
    add_sharpness(command)
    _add_more(command)
    command.set_defaults(run=run)


def _add_more(command: argparse.ArgumentParser) -> None:
    """Add the options that choose pictures, name the results and say how they are written."""
    command.add_argument(
        "-r", "--recursive", action="store_true", help="also take the folders inside folders"
    )
    command.add_argument(
        "--suffix",
        metavar="TEXT",
        help="text added to the names of results (default: the factor, such as _x3)",
    )
    command.add_argument(
        "--format", choices=[*sorted(s[1:] for s in SUFFIXES), SAME],
        help="format of the results; same: that of each input, JPEG stays JPEG (default: png; for "
        "animations, that of the input; videos are MP4)",
    )  # fmt: skip
    command.add_argument(
        "--quality", type=_quality, metavar="{1..100}",
        help="quality of JPEG, WebP and videos (default: 95; lossless WebP if the input is "
        "lossless)",
    )  # fmt: skip
    existing = command.add_mutually_exclusive_group()
    existing.add_argument(
        "--skip", action="store_true", help="leave out pictures whose results already exist"
    )
    existing.add_argument(
        "--overwrite", action="store_true",
        help="also replace files that are not results of earlier runs (results are replaced "
        "anyway; pictures to enlarge never are)",
    )  # fmt: skip
    command.add_argument(
        "--compare", action="store_true",
        help="also write a web page beside each result that compares it with bicubic interpolation",
    )  # fmt: skip
    command.add_argument(
        "--cluster", metavar="ADDRESS",
        help="address of a Dask scheduler, with protocol and port; its workers enlarge the files "
        "and must see them under the same names",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    quiet_readers()
    if all(map(is_weights, options.pictures)):  # a shell's pattern may match weights among others
        weights = options.pictures[0]
        refuse_weights(Path(weights), f"type `pysrcnn upscale PICTURE -m {weights}`")
    networks = Networks(options.model, options.ensemble, options.sharpness)
    size = _size(options, networks)
    found = _found(options, networks, size)
    _check_places(found.jobs, options)
    if options.cluster is not None and options.threads is not None:
        raise ValueError(
            "--threads is for this machine, not for workers: leave it out with --cluster"
        )
    enlarged, skipped, failed = enlarge_files(
        found.jobs, networks, size,
        errors=found.errors, skip=options.skip, compare=options.compare, cluster=options.cluster,
    )  # fmt: skip
    if enlarged and not options.format:
        _tell_larger([job for job in found.jobs if str(job.target) != options.output])
    counts = {
        "enlarged": enlarged,
        "skipped": skipped,
        "failed": failed,
        "left out as results of earlier runs": len(found.results),
    }
    parts = [f"{n} {what}" for what, n in counts.items() if n or what == "enlarged"]
    parts += [not_read(found.unread)] if found.unread else []
    if len(found.jobs) != 1 or skipped or len(parts) > 1:
        say(", ".join(parts), sys.stderr)
    return 2 if failed or found.unread else 0


def _size(options: argparse.Namespace, networks: Networks) -> Size:
    """Return the requested size; raise if there are no weights for it."""
    size = Size(options.scale, options.height, options.width)
    if size.scale and size != Size(size.scale):
        raise ValueError("--scale with --width or --height: give one or the other")
    if size == Size():
        size = Size(networks.default_scale)
    if size.scale:  # raises without weights, before any picture is read
        networks.at(networks.plan((1, 1), size.scale).passes[0])
    return size


def _found(options: argparse.Namespace, networks: Networks, size: Size) -> Found:
    suffix = str(size) if options.suffix is None else options.suffix
    if {"/", "\\"} & set(suffix):
        raise ValueError(f"--suffix is {suffix}, wanted a part of a file's name")
    found = find_jobs(
        options.pictures, options.output,
        suffix=suffix, format=options.format, recursive=options.recursive,
        overwrite=options.overwrite,
        fits=lambda job: (options.skip or options.overwrite) and is_done(job, networks, size),
    )  # fmt: skip
    if options.suffix is not None and any(job.named or not job.target for job in found.jobs):
        place = f"-o names {options.output}" if options.output else "this one has no name"
        raise ValueError(
            f"--suffix is for results that are named after their pictures, and {place}: leave "
            f"--suffix out"
        )
    if options.quality is None:
        return found
    return found._replace(jobs=with_quality(found.jobs, options.quality))


def _check_places(jobs: list[Job], options: argparse.Namespace) -> None:
    """Raise if a file that is read, or that is not ours, would be overwritten."""
    compared = [job for job in jobs if options.compare and not is_video(job.source)]
    targets = [job.target for job in compared if job.target]
    if len(targets) < len(compared):
        raise ValueError("--compare writes a page beside the result: give -o a file, not -")
    pages = [target.with_suffix(".html") for target in targets]
    if twice := met_twice(pages):  # for example for a.gif, an animation, and a.png
        raise ValueError(f"several results would have the page {twice}: give one --format")
    stdin, stdout = 0, 1
    written = [stdout if job.target is None else job.target for job in jobs]
    read = [stdin if job.source is None else job.source for job in jobs]
    check_apart(pages, written, "one of the results")
    check_apart(pages, read, "one of the pictures")
    check_apart([*written, *pages], files_of(options.model), WEIGHTS)
    for target, page in zip(targets, pages):
        if page.exists() and not (options.skip and target.exists()):
            check_page(page)


def _tell_larger(jobs: list[Job]) -> None:
    """Suggest JPEG if PNG results of JPEG files take much more space."""
    before = after = 0
    for job in jobs:
        if not (job.source and job.target and job.kind == ".png"):
            continue
        if job.source.suffix.lower() in (".jpg", ".jpeg"):
            with contextlib.suppress(OSError):  # a job that failed has no result
                sizes = job.source.stat().st_size, job.target.stat().st_size
                before, after = before + sizes[0], after + sizes[1]
    if after > max(10 * before, 10_000_000):
        say(
            f"PNG, without loss, takes {after / 1e6:.0f} MB here where JPEG took "
            f"{before / 1e6:.1f} MB: --format same keeps JPEG",
            sys.stderr,
        )


def _factor(text: str) -> float:
    """Parse a factor, which may be written as 3x, x3 or ×3."""
    try:
        value = float(text.strip("xX×"))
    except ValueError:
        value = math.nan
    if not 1 < value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is no number above 1 and up to {LARGEST}")
    return int(value) if value == int(value) else value


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 100")
    return int(text)


def _pixels(text: str) -> int:
    number = text.removesuffix("px")
    if not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of pixels, 1 or more")
    return int(number)
