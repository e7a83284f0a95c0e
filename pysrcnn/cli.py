"""The command ``pysrcnn``: upscale, evaluate, train, show, convert, gradcheck, warmup, info.

Exit code 0: done; 2: bad usage or input; 1: failed. Errors are one sentence on standard error; in
Python's development mode (``python -X dev -m pysrcnn``) the traceback comes before it.
"""

import argparse
import contextlib
import dataclasses
import importlib.metadata
import itertools
import math
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

from . import kernels, plots
from ._files import check_place, is_full, printable, write_json, written_whole
from ._version import __version__
from .arguments import IN_MEMORY, parser
from .batch import Job, Size, enlarge_files, find_jobs, met_twice, with_quality
from .data import read_pairs
from .evaluate import Score, average, evaluate
from .formats import read_arrays
from .gradcheck import case, gradcheck, write_case
from .model import SRCNN, load, shipped
from .pictures import list_pictures, quiet_readers, read_picture
from .runs import run
from .scales import Networks
from .stream import Stream
from .train import RATES, RECIPES, Recipe, Training
from .upscale import upscale

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command with these arguments (by default those of the process): the exit code."""
    if sys.stderr is None:  # closed, by 2>&-; print would turn to standard output
        sys.stderr = open(os.devnull, "w")
    options = parser().parse_args(arguments)
    try:
        if getattr(options, "threads", None) is not None:
            most = numba.config.NUMBA_NUM_THREADS
            if not 1 <= options.threads <= most:
                raise ValueError(f"--threads is {options.threads}, wanted 1 to {most}")
            numba.set_num_threads(options.threads)
        with (
            _ended_in_order(),
            kernels.announce_compilation(lambda note: print(note, file=sys.stderr, flush=True)),
        ):
            code = _COMMANDS[options.command](options)
            if sys.stdout is not None:  # closed, by >&-
                sys.stdout.flush()
            return code
    except (ValueError, TypeError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as e:
        return _complain(e, 2)
    except BrokenPipeError:  # whoever read the output has seen enough
        _drop_output()
        return 1
    except (OSError, FloatingPointError, MemoryError, ModuleNotFoundError) as e:
        if is_full(e) and e.errno and e.filename is None:  # of files, it is a sentence by now
            _drop_output()
            e = f"cannot write standard output ({e.strerror}): make room on the disk"
        return _complain(e, 1)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)


def _drop_output() -> None:
    """What standard output does not take is not tried again when Python ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _count(number: int, called: str) -> str:
    """ "1 picture", "2 pictures"."""
    return f"{number} {called}{'' if number == 1 else 's'}"


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM ends the process as an exception does, so that no half-written file is left."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    usual = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual or signal.SIG_DFL)  # None: not Python's


def _complain(problem: object, code: int) -> int:
    if sys.flags.dev_mode and isinstance(problem, Exception):
        traceback.print_exception(problem)
    print(printable(f"pysrcnn: {problem or type(problem).__name__}"), file=sys.stderr)
    return code


def _load(options: argparse.Namespace) -> SRCNN:
    """The network that is asked for, at a scale that is then known."""
    return load(options.model, options.scale or Networks(options.model).usual)


# ---------------------------------------------------------------------------------------- upscale


def _upscale(options: argparse.Namespace) -> int:
    quiet_readers()
    size = Size(options.scale, options.height, options.width)
    if size.scale and size != Size(size.scale):
        raise ValueError("--scale with --width or --height: give one or the other")
    networks = Networks(options.model)
    if size == Size():
        size = Size(networks.usual)
    suffix = str(size) if options.suffix is None else options.suffix
    if {"/", "\\"} & set(suffix):
        raise ValueError(f"--suffix is {suffix}, wanted a part of a file's name")
    if size.scale:  # or raise, before any picture is read
        networks.at(networks.plan((1, 1), size.scale).passes[0])
    jobs = find_jobs(
        options.pictures, options.output,
        suffix=suffix, form=options.format, below=options.recursive,
    )  # fmt: skip
    if options.quality is not None:
        jobs = with_quality(jobs, options.quality)
    if options.compare and any(job.target is None for job in jobs):
        raise ValueError("--compare writes a page beside the result: give -o a file, not -")
    if options.compare:
        page = met_twice(job.target.with_suffix(".html") for job in jobs)
        if page:  # a.gif, an animation, and a.png
            raise ValueError(f"several results would have the page {page}: give one --format")
    if options.cluster is not None and options.threads is not None:
        raise ValueError(
            "--threads is of this machine, and workers share theirs: leave it out with --cluster"
        )
    enlarged, skipped, failed = enlarge_files(
        jobs, networks, size,
        skip=options.skip, compare=options.compare, cluster=options.cluster,
    )  # fmt: skip
    if len(jobs) != 1 or skipped:
        parts = [f"{enlarged} enlarged"]
        parts += [f"{n} {what}" for n, what in ((skipped, "skipped"), (failed, "failed")) if n]
        print(", ".join(parts), file=sys.stderr)
    if enlarged and not options.format:
        _tell_larger([job for job in jobs if str(job.target) != options.output])
    return 2 if failed else 0


def _tell_larger(jobs: list[Job]) -> None:
    """Say what would make PNG files smaller that were made of JPEG files, if they are large."""
    before = after = 0
    for job in jobs:
        is_jpeg = job.source and job.source.suffix.lower() in (".jpg", ".jpeg")
        if is_jpeg and job.target and job.kind == ".png":
            with contextlib.suppress(OSError):  # of one that failed
                sizes = job.source.stat().st_size, job.target.stat().st_size
                before, after = before + sizes[0], after + sizes[1]
    if after > max(10 * before, 10_000_000):
        sizes = f"takes {after / 1e6:.0f} MB here where JPEG took {before / 1e6:.1f} MB"
        print(f"PNG, without loss, {sizes}: --format same keeps JPEG", file=sys.stderr)


# --------------------------------------------------------------------------------------- evaluate

_ROW = "{:<20.20} {:>9} {:>9}   {:>9} {:>9}"
_TITLE = "{:<20} {:>19}   {:>19}"


def _evaluate(options: argparse.Namespace) -> int:
    quiet_readers()
    if options.json and options.json.suffix.lower() != ".json":
        raise ValueError(f"{options.json} does not end in .json: the table is written as JSON")
    if options.json:
        check_place(options.json)
    network = _load(options)
    scores, failed = [], []
    for score in _scores(options.folder, network, network.scale, failed, options.recursive):
        if not scores:
            _print_title(network.scale, Path(options.model).name)
        scores.append(score)
        _print_score(score)
    if not scores:
        return 2
    mean = average(scores)
    _print_score(mean)
    if options.json:
        table = {
            "folder": options.folder.name,
            "scale": network.scale,
            "model": Path(options.model).name,
            "version": __version__,
            "pictures": [_row(s) for s in scores],
            "average": _row(mean),
            "failed": len(failed),
        }
        write_json(options.json, table)
    return _averaged(scores, failed)


def _scores(
    folder: Path, network: SRCNN, scale: int, failed: list, below: bool = False
) -> Iterator[Score]:
    """Of the pictures in a folder; what is wrong with one is said, and counted in `failed`."""
    return evaluate(
        folder, network, scale,
        below=below, bad=lambda error: failed.append(_complain(error, 2)),
    )  # fmt: skip


def _averaged(scores: list[Score], failed: list) -> int:
    """Say of how many pictures the average is, if not of all: the exit code."""
    if failed:
        print(f"averaged {_count(len(scores), 'picture')}, {len(failed)} failed", file=sys.stderr)
    return 2 if failed else 0


def _row(score: Score) -> dict:
    """For JSON, which has no word for the infinite PSNR of a picture without any error."""
    row = dataclasses.asdict(score)
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _print_title(scale: int, name: str) -> None:
    name = name if len(name) <= 19 else name[:16] + "..."
    print(_TITLE.format(f"scale {scale}", "bicubic", printable(name)))
    print(_ROW.format("", "PSNR dB", "SSIM", "PSNR dB", "SSIM"))


def _print_score(score: Score) -> None:
    numbers = (score.bicubic_psnr, score.bicubic_ssim, score.psnr, score.ssim)
    cells = [f"{n:.{2 if i % 2 == 0 else 4}f}" for i, n in enumerate(numbers)]
    print(_ROW.format(printable(score.picture), *cells), flush=True)


# ------------------------------------------------------------------------------------------ train


def _recipe(options: argparse.Namespace) -> Recipe:
    """The chosen recipe, with what the command line changes."""
    recipe = RECIPES[options.recipe]
    given = {
        "sizes": options.network,
        "filters": options.filters,
        "c": options.channels,
        "steps": options.steps,
        "batch": options.batch,
        "size": options.size,
        "optimizer": options.optimizer,
        "seed": options.seed,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if options.stride is not None:
        changes["stride"] = options.stride or None
    if options.optimizer not in (None, recipe.optimizer):
        rate, last = RATES[options.optimizer]
        recipe = dataclasses.replace(
            recipe, learning_rate=rate, last_learning_rate=last, paper_loss=False
        )
    if options.learning_rate is not None:
        ratio = recipe.last_learning_rate / recipe.learning_rate
        changes["learning_rate"] = options.learning_rate
        changes["last_learning_rate"] = options.learning_rate * ratio
    return dataclasses.replace(recipe, **changes)


def _train(options: argparse.Namespace) -> int:
    quiet_readers()
    recipe, scale = _recipe(options), options.scale
    if options.output.suffix.lower() != ".npz":
        raise ValueError(f"{options.output} does not end in .npz: weights are written as .npz")
    if options.every < 1:
        raise ValueError(f"--every is {options.every}, wanted 1 or more steps")
    pictures, watched, same = _split(options.folders, options.validation, options.exclude)
    if options.score:
        list_pictures(options.score)  # or raise, before hours of training and not after
    check_place(options.output)
    checkpoint = options.output.with_suffix(".checkpoint")
    if checkpoint.exists() and not options.resume:
        raise ValueError(f"{checkpoint} exists: go on from it with --resume, or remove it")
    stream = None
    if options.stream or len(pictures) > IN_MEMORY:
        stream = data = Stream(pictures, scale, recipe.c, recipe.size, recipe.seed)
    else:
        data = read_pairs(pictures, scale, recipe.c, smallest=recipe.size)
    if stream and not options.validation:  # whose bad pictures nobody has chosen
        validation = stream.read(watched)
        if not validation:
            reason = next(iter(stream.skipped.values()))
            raise ValueError(
                f"no picture held back to watch PSNR on can be used, of {len(watched)} ({reason}): "
                f"give others with --validation"
            )
    else:
        validation = read_pairs(watched, scale, recipe.c, smallest=2 * scale + 1)
    start = load(options.start) if options.start else None
    training = Training(recipe, data, start, scale)
    if options.resume:
        training.load(checkpoint)
    print(
        f"{training.network.name} x{scale}: {_count(len(data), 'picture')}, "
        f"{_count(recipe.steps, 'step')} of {_count(recipe.batch, 'sub-image')}, "
        f"{recipe.optimizer}\n"
        f"pictures that PSNR is measured on: {len(validation)}, "
        f"{'of those it trains on' if same else 'none of which it trains on'}",
        flush=True,
    )
    try:
        run(training, validation, checkpoint, options.output.with_suffix(".log"), options.every)
    finally:
        if stream:
            stream.close()
            _print_skipped(stream)

    network = training.result()
    names = " + ".join(folder.resolve().name for folder in options.folders)
    network.card["data"] = f"{names}, {_count(len(data), 'picture')}"
    network.card["start"] = options.start.name if options.start else recipe.init
    network.card["scores"] = {}
    network.save(options.output)
    checkpoint.unlink(missing_ok=True)
    scores, failed = [], []
    if options.score:
        scores = list(_scores(options.score, network, scale, failed))
    if scores:
        mean = average(scores)
        network.card["scores"][options.score.resolve().name] = {
            "PSNR": round(mean.psnr, 4),
            "SSIM": round(mean.ssim, 5),
        }
        _print_title(scale, options.output.name)
        _print_score(mean)
        network.save(options.output)
    print(printable(f"{options.output}: {network!r}"))
    return _averaged(scores, failed)


def _split(
    folders: list[Path], validation: Path | None, exclude: list[str]
) -> tuple[list[Path], list[Path], bool]:
    """The pictures to train on, each once; those to watch PSNR on; whether it trains on these.

    It does so only where there are no others.
    """

    def found(folder: Path, below: bool) -> dict[Path, Path]:
        paths = list_pictures(folder, below)
        return {folder.resolve() / path.relative_to(folder): path for path in paths}

    pictures = {}
    for folder in folders:
        pictures |= found(folder, below=True)
    for pattern in exclude:
        excluded = [place for place in pictures if place.match(pattern)]
        if not excluded:
            raise ValueError(f"--exclude {pattern} is the name of none of the pictures")
        for place in excluded:
            del pictures[place]
    if not pictures:
        raise ValueError("--exclude leaves no picture to train on")
    if validation:
        watched = found(validation, below=False)
    else:
        watched = dict(
            itertools.islice(pictures.items(), 0, None, max(20, -(-len(pictures) // 20)))
        )
    rest = [path for place, path in pictures.items() if place not in watched]
    return rest or list(pictures.values()), list(watched.values()), not rest


def _print_skipped(stream: Stream) -> None:
    count, named = len(stream.skipped), 20
    if count:
        print(f"pictures that could not be used and were skipped: {count}", file=sys.stderr)
    for path, reason in itertools.islice(stream.skipped.items(), named):
        print(printable(f"  {path}: {reason.removeprefix(path).strip(' :')}"), file=sys.stderr)
    if count > named:
        print(f"  and {count - named} more", file=sys.stderr)


# ------------------------------------------------------------------------------------------- show


def _show(options: argparse.Namespace) -> int:
    quiet_readers()
    if options.output.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"{options.output} does not end in .png, .svg or .pdf")
    check_place(options.output)
    few, many = {"filters": (0, 0), "curve": (1, 99)}.get(options.what, (1, 1))
    if not few <= len(options.files) <= many:
        wanted = {"filters": "no file", "curve": "logs of training"}.get(options.what, "1 picture")
        raise ValueError(
            f"show {options.what} takes {wanted}, got {_count(len(options.files), 'file')}"
        )
    if options.what == "curve":
        figure = plots.curve(options.files)
    elif options.what == "filters":  # which are those of a file whatever its scale
        figure = plots.filters(Networks(options.model).at(options.scale or 3))
    else:
        network = _load(options)
        picture = read_picture(options.files[0])
        if options.what == "maps":
            figure = plots.feature_maps(network, picture, network.scale, options.layer)
        else:
            region = tuple(options.region) if options.region else None
            figure = plots.crops(network, picture, network.scale, region)
    with written_whole(options.output) as temporary:
        figure.savefig(temporary, format=options.output.suffix[1:].lower())
    print(printable(str(options.output)))
    return 0


# ---------------------------------------------------------------------------------------- convert


def _convert(options: argparse.Namespace) -> int:
    network = load(options.model, options.scale)
    network.save(options.output)
    print(printable(f"{options.output}: {network!r}"))
    return 0


# -------------------------------------------------------------------------------------- gradcheck


def _gradcheck(options: argparse.Namespace) -> int:
    if (options.gradients is None) == (options.write is None):
        raise ValueError(
            "gradcheck wants a file of gradients, or --write and a file to write"
            + (", not both" if options.write else "")
        )
    made = case(
        options.network, layout=options.layout, weights=options.weights, seed=options.seed
    )  # fmt: skip
    if options.write:
        write_case(options.write, made)
        print(printable(str(options.write)))
        return 0
    report = gradcheck(read_arrays(options.gradients), made, tolerance=options.tolerance)
    print(report)
    return 0 if report.ok else 1


# -------------------------------------------------------------------------------- warmup and info


def _warmup(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    for network in (SRCNN(), SRCNN(f2=5)):  # with and without layers that are transformed
        for dtype in (np.uint8, np.uint16, np.float32, np.float64):
            upscale(np.zeros((8, 8), dtype), 2, network)
    upscale(np.zeros((8, 8), np.uint8), 3, "sc")
    rng = np.random.default_rng(0)
    for network in (SRCNN(), SRCNN(f2=5)):
        inner = 33 - 2 * network.margin
        network.loss_and_gradients(rng.random((1, 1, 33, 33)), rng.random((1, 1, inner, inner)))
    print(f"compiled for {kernels.VECTORS} vectors in {time.perf_counter() - began:.1f} s")
    return 0


def _info(options: argparse.Namespace) -> int:
    rows = [("pysrcnn", __version__), ("python", platform.python_version())]
    rows += [(n, importlib.metadata.version(n)) for n in ("numpy", "scipy", "imageio", "numba")]
    rows += [
        ("system", platform.platform(terse=True)),
        ("processor", f"{platform.machine()}, {numba.core.config.CPU_NAME or _cpu_name()}"),
        (
            "vectors",
            f"{kernels.VECTORS}, {kernels.VECTOR_BYTES * 8} bits, "
            f"tile of {kernels.ROWS} x {kernels.COLUMNS}",
        ),
        ("threads", f"{numba.get_num_threads()} of {os.cpu_count()}"),
    ]
    for name, value in rows:
        print(f"{name:<12}{value}")
    print("weights")
    for (name, scale), path in shipped().items():
        card = load(path).card
        scores = ", ".join(f"{k} {v['PSNR']:.2f} dB" for k, v in card.get("scores", {}).items())
        print(f"  {name + f' x{scale}':<15}{card.get('data', '')}; {scores}")
    return 0


def _cpu_name() -> str:
    import llvmlite.binding

    return llvmlite.binding.get_host_cpu_name()


_COMMANDS = {
    "upscale": _upscale,
    "evaluate": _evaluate,
    "train": _train,
    "show": _show,
    "convert": _convert,
    "gradcheck": _gradcheck,
    "warmup": _warmup,
    "info": _info,
}
