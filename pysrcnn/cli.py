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
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

from . import kernels, plots
from ._files import check_apart, check_place, is_full, told, write_json, written_whole
from ._printing import any_text, drop, known, printable, say
from ._signals import ended_in_order
from ._version import __version__
from .batch import Job, Size, enlarge_files, find_jobs, is_done, met_twice, with_quality
from .batch.compare import check_page
from .command.arguments import IN_MEMORY, parser
from .data import PICTURE_ERRORS, Pair, read_pair, read_pairs
from .evaluate import Score, average, evaluate
from .formats import READABLE, read_arrays
from .gradcheck import case, gradcheck, write_case
from .networks import SRCNN, files_of, load, shipped
from .pictures import list_pictures, list_unread, not_read, quiet_readers, read_picture
from .training.log import read_log, run
from .training.loop import Training
from .training.recipes import RATES, RECIPES, Recipe
from .training.stream import REGION, Stream
from .upscaling.scales import Networks
from .upscaling.upscale import upscale

__all__ = ["main"]

_WEIGHTS = "the file of weights"


def main(arguments: list[str] | None = None) -> int:
    """Run the command with these arguments (by default those of the process): the exit code."""
    if sys.stderr is None:  # closed, by 2>&-; print would turn to standard output
        sys.stderr = open(os.devnull, "w")
    try:
        with ended_in_order(), any_text():
            return _run(parser().parse_args(arguments))
    except KeyboardInterrupt:
        return _complain("interrupted", 130)


def _run(options: argparse.Namespace) -> int:
    """Do what is asked for; what goes wrong becomes a line and an exit code."""
    try:
        if getattr(options, "threads", None) is not None:
            most = numba.config.NUMBA_NUM_THREADS
            if not 1 <= options.threads <= most:
                raise ValueError(f"--threads is {options.threads}, wanted 1 to {most}")
            kernels.load_openmp()
            numba.set_num_threads(options.threads)
        with kernels.announce_compilation(lambda note: say(note, sys.stderr)):
            code = _COMMANDS[options.command](options)
            if sys.stdout is not None:  # closed, by >&-
                sys.stdout.flush()
            return code
    except (ValueError, TypeError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as e:
        return _complain(told(e) if isinstance(e, OSError) else e, 2)
    except BrokenPipeError:  # whoever read the output has seen enough
        drop(sys.stdout)
        return 1
    except (OSError, FloatingPointError, MemoryError, ModuleNotFoundError) as e:
        if is_full(e) and e.errno and e.filename is None:  # of files, it is a sentence by now
            drop(sys.stdout)
            e = f"cannot write standard output ({e.strerror}): make room on the disk"
        named = told(e) if isinstance(e, OSError) else e
        return _complain(named, 2 if isinstance(named, ValueError) else 1)


def _count(number: int, called: str) -> str:
    """ "1 picture", "2 pictures"."""
    return f"{number} {called}{'' if number == 1 else 's'}"


def _complain(problem: object, code: int) -> int:
    if sys.flags.dev_mode and isinstance(problem, Exception):
        traceback.print_exception(problem)
    say(f"pysrcnn: {problem or type(problem).__name__}", sys.stderr)
    return code


def _load(options: argparse.Namespace) -> SRCNN:
    """The network that is asked for, at a scale that is then known."""
    if options.scale:
        return load(options.model, options.scale)
    networks = Networks(options.model)
    return networks.at(networks.default_scale)


def _is_weights(path: str | os.PathLike) -> bool:
    """Whether that is a file of weights, by its suffix, or the name of shipped ones."""
    path = Path(path)
    if path.exists():
        return path.is_file() and path.suffix.lower() in READABLE
    return str(path) in {name for name, _ in shipped()}


def _refuse_weights(path: Path, advice: str) -> None:
    """Raise where weights are given in the place of pictures."""
    if _is_weights(path):
        raise ValueError(f"{path} are weights: {advice}")


# ---------------------------------------------------------------------------------------- upscale


def _upscale(options: argparse.Namespace) -> int:
    quiet_readers()
    if all(map(_is_weights, options.pictures)):  # not one of many files that a shell has found
        weights = options.pictures[0]
        _refuse_weights(Path(weights), f"type `pysrcnn upscale PICTURE -m {weights}`")
    size = Size(options.scale, options.height, options.width)
    if size.scale and size != Size(size.scale):
        raise ValueError("--scale with --width or --height: give one or the other")
    networks = Networks(options.model)
    if size == Size():
        size = Size(networks.default_scale)
    suffix = str(size) if options.suffix is None else options.suffix
    if {"/", "\\"} & set(suffix):
        raise ValueError(f"--suffix is {suffix}, wanted a part of a file's name")
    if size.scale:  # or raise, before any picture is read
        networks.at(networks.plan((1, 1), size.scale).passes[0])
    found = find_jobs(
        options.pictures, options.output,
        suffix=suffix, format=options.format, recursive=options.recursive,
        overwrite=options.overwrite,
        fits=lambda job: (options.skip or options.overwrite) and is_done(job, networks, size),
    )  # fmt: skip
    jobs = found.jobs
    if options.quality is not None:
        jobs = with_quality(jobs, options.quality)
    if options.compare and any(job.target is None for job in jobs):
        raise ValueError("--compare writes a page beside the result: give -o a file, not -")
    sources = [0 if job.source is None else job.source for job in jobs]
    targets = [1 if job.target is None else job.target for job in jobs]
    pages = [job.target.with_suffix(".html") for job in jobs] if options.compare else []
    if page := met_twice(pages):  # a.gif, an animation, and a.png
        raise ValueError(f"several results would have the page {page}: give one --format")
    check_apart(pages, targets, "one of the results")
    check_apart(pages, sources, "one of the pictures")
    check_apart([*targets, *pages], files_of(options.model), _WEIGHTS)
    for job, page in zip(jobs, pages):
        if page.exists() and not (options.skip and job.target.exists()):
            check_page(page)
    if options.cluster is not None and options.threads is not None:
        raise ValueError(
            "--threads is for this machine, not for workers: leave it out with --cluster"
        )
    enlarged, skipped, failed = enlarge_files(
        jobs, networks, size,
        errors=found.errors, skip=options.skip, compare=options.compare, cluster=options.cluster,
    )  # fmt: skip
    if enlarged and not options.format:
        _tell_larger([job for job in jobs if str(job.target) != options.output])
    counts = {
        "enlarged": enlarged,
        "skipped": skipped,
        "failed": failed,
        "left out as results of earlier runs": len(found.results),
    }
    parts = [f"{n} {what}" for what, n in counts.items() if n or what == "enlarged"]
    parts += [not_read(found.unread)] if found.unread else []
    if len(jobs) != 1 or skipped or len(parts) > 1:
        say(", ".join(parts), sys.stderr)
    return 2 if failed or found.unread else 0


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
        say(f"PNG, without loss, {sizes}: --format same keeps JPEG", sys.stderr)


# --------------------------------------------------------------------------------------- evaluate

_ROW = "{:<20.20} {:>9} {:>9}   {:>9} {:>9}"
_TITLE = "{:<20} {:>19}   {:>19}"


def _evaluate(options: argparse.Namespace) -> int:
    quiet_readers()
    folder = options.folder
    _refuse_weights(folder, f"type `pysrcnn evaluate FOLDER -m {folder}`, FOLDER with pictures")
    if options.json and options.json.suffix.lower() != ".json":
        raise ValueError(f"{options.json} does not end in .json: the table is written as JSON")
    if options.json:
        check_place(options.json)
    network = _load(options)
    if options.json:
        check_apart([options.json], files_of(options.model), _WEIGHTS)
        there = options.folder, options.recursive
        pictures = [*list_pictures(*there), *list_unread(*there)]
        check_apart([options.json], pictures, "one of the pictures")
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
    return _averaged(scores, failed, list_unread(options.folder, options.recursive))


def _scores(
    folder: Path, network: SRCNN, scale: int, failed: list, recursive: bool = False
) -> Iterator[Score]:
    """Of the pictures in a folder; what is wrong with one is said, and counted in `failed`."""
    return evaluate(
        folder, network, scale,
        recursive=recursive, on_error=lambda error: failed.append(_complain(error, 2)),
    )  # fmt: skip


def _averaged(scores: list[Score], failed: list, unread: list[Path]) -> int:
    """Say of how many pictures the average is, if not of all: the exit code."""
    parts = [f"averaged {_count(len(scores), 'picture')}"]
    parts += [f"{len(failed)} failed"] if failed else []
    parts += [not_read(unread)] if unread else []
    if len(parts) > 1:
        say(", ".join(parts), sys.stderr)
    return 2 if len(parts) > 1 else 0


def _row(score: Score) -> dict:
    """For JSON, which has no word for the infinite PSNR of a picture without any error."""
    row = dataclasses.asdict(score)
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _print_title(scale: int, name: str) -> None:
    name = printable(name)
    name = name if len(name) <= 19 else name[:16] + "..."
    say(_TITLE.format(f"scale {scale}", "bicubic", name))
    say(_ROW.format("", "PSNR dB", "SSIM", "PSNR dB", "SSIM"))


def _print_score(score: Score) -> None:
    numbers = (score.bicubic_psnr, score.bicubic_ssim, score.psnr, score.ssim)
    cells = [f"{n:.{2 if i % 2 == 0 else 4}f}" for i, n in enumerate(numbers)]
    say(_ROW.format(printable(score.picture), *cells))


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
    recipe = dataclasses.replace(recipe, **changes)
    layers, count = len(recipe.sizes), len(recipe.filters)
    if count != layers - 1:
        numbers = (*RECIPES["modern"].filters, *[16] * layers)[: layers - 1]
        raise ValueError(
            f"{layers} layers need {_count(layers - 1, 'number')} of filters, got {count}: say "
            f"them, for example by --filters {'-'.join(map(str, numbers))}"
        )
    return recipe


def _train(options: argparse.Namespace) -> int:
    quiet_readers()
    for folder in options.folders:
        _refuse_weights(folder, f"give a folder of pictures, and weights by --start {folder}")
    recipe, scale = _recipe(options), options.scale
    if options.output.suffix.lower() != ".npz":
        raise ValueError(f"{options.output} does not end in .npz: weights are written as .npz")
    if options.every < 1:
        raise ValueError(f"--every is {options.every}, wanted 1 or more steps")
    pictures, watched, same = _split(options.folders, options.validation, options.exclude)
    # Or raise, before hours of training and not after.
    scored = list_pictures(options.score) if options.score else []
    others = [
        path
        for folder in options.folders  # with what is excluded, or of kinds that are not read
        for path in (*list_pictures(folder, recursive=True), *list_unread(folder, recursive=True))
    ]
    checkpoint, log = (options.output.with_suffix(s) for s in (".checkpoint", ".log"))
    outputs = [options.output, log, checkpoint]
    for place in outputs:
        check_place(place)
    check_apart(outputs, pictures + watched + scored + others, "one of the pictures")
    named = (str(options.start), scale) in shipped()  # of a file, any scale will do
    start = load(options.start, scale if named else None) if options.start else None
    check_apart(outputs, files_of(options.start) if start else [], _WEIGHTS)
    if checkpoint.exists() and not options.resume:
        raise ValueError(f"{checkpoint} exists: go on from it with --resume, or remove it")
    if options.output.exists() and options.output.stat().st_size and not options.resume:
        raise ValueError(f"{options.output} exists: give the weights another name, or remove it")
    if log.exists() and log.stat().st_size:
        _check_log(log)
    data, validation, skipped = _read_pictures(options, recipe, pictures, watched, same)
    stream = data if isinstance(data, Stream) else None
    training = Training(recipe, data, start, scale)
    if options.resume:
        training.load(checkpoint)
    say(
        f"{training.network.name} x{scale}: {_count(len(data), 'picture')}, "
        f"{_count(recipe.steps, 'step')} of {_count(recipe.batch, 'sub-image')}, "
        f"{recipe.optimizer}"
    )
    say(
        f"pictures that PSNR is measured on: {len(validation)}, "
        f"{'of those it trains on' if same else 'none of which it trains on'}"
    )
    try:
        run(training, validation, checkpoint, log, options.every)
    finally:
        if stream:
            stream.close()
            _print_skipped(list(stream.skipped.values()))

    used = len(data) - (len(stream.skipped) if stream else 0)
    skipped += stream.skipped.values() if stream else []
    network = training.result()
    names = " + ".join(folder.resolve().name for folder in options.folders)
    network.card["data"] = f"{names}, {_count(used, 'picture')}"
    network.card["start"] = options.start.name if options.start else recipe.init
    network.card["scores"] = {}
    network.save(options.output)
    checkpoint.unlink(missing_ok=True)
    scores, failed = [], []
    if options.score:
        scores = list(_scores(options.score, network, scale, failed))
    if scores:
        mean = average(scores)
        network.card["scores"][options.score.resolve().name] = mean.for_card()
        _print_title(scale, options.output.name)
        _print_score(mean)
        network.save(options.output)
    say(f"{options.output}: {network!r}")
    code = _averaged(scores, failed, list_unread(options.score) if options.score else [])
    if skipped:
        say(f"trained on {_count(used, 'picture')}, {len(skipped)} failed", sys.stderr)
        code = 2
    return code


def _check_log(log: Path) -> None:
    """Raise if what is there was not written by a training: nobody gave it that name for one."""
    try:
        read_log(log)
    except ValueError:
        raise ValueError(
            f"{log} is there and is not a log of training: give the weights another name, or move "
            f"it"
        ) from None


def _read_pictures(
    options: argparse.Namespace,
    recipe: Recipe,
    pictures: list[Path],
    watched: list[Path],
    same: bool,
) -> tuple[list[Pair] | Stream, list[Pair], list[str]]:
    """What to train on, what to measure PSNR on; what is wrong with pictures that were left out.

    A picture held back that cannot be used is replaced by the next of those to train on.
    """
    scale, c = options.scale, recipe.c
    skipped: dict[str, None] = {}  # sentences, each once

    def bad(error: Exception) -> None:
        skipped[str(error)] = None

    streamed = options.stream or len(pictures) > IN_MEMORY
    chosen = options.validation is not None  # and taken as they are
    rules: dict = {"smallest": 2 * scale + 1}
    if streamed and not chosen:
        rules = {"smallest": recipe.size, "largest": REGION, "seed": recipe.seed}
    spare = iter([] if chosen or same else pictures)
    validation, taken = [], set()
    for path in watched:
        for candidate in itertools.chain([path], spare):
            if not same:
                taken.add(candidate)
            try:
                validation.append(read_pair(candidate, scale, c, **rules))
                break
            except PICTURE_ERRORS as error:
                bad(error)
    pictures = [path for path in pictures if path not in taken] if validation else []
    data: list[Pair] | Stream
    if streamed and pictures:
        data = Stream(pictures, scale, c, recipe.size, recipe.seed)
    else:
        data = read_pairs(pictures, scale, c, recipe.size, on_error=bad)
    if not data and len(skipped) == 1:
        raise ValueError(*skipped)
    _print_skipped(list(skipped))
    if not data:
        what = "to train on" if validation else "to measure PSNR on"
        raise ValueError(f"none of the pictures {what} can be used: give others")
    return data, validation, list(skipped)


def _split(
    folders: list[Path], validation: Path | None, exclude: list[str]
) -> tuple[list[Path], list[Path], bool]:
    """The pictures to train on, each once; those to watch PSNR on; whether it trains on these.

    It does so only where there are no others.
    """

    def found(folder: Path, recursive: bool) -> dict[Path, Path]:
        paths, unread = list_pictures(folder, recursive), list_unread(folder, recursive)
        if unread:
            say(f"{folder}: {not_read(unread)}", sys.stderr)
        return {folder.resolve() / path.relative_to(folder): path for path in paths}

    pictures = {}
    for folder in folders:
        pictures |= found(folder, recursive=True)
    for pattern in exclude:
        excluded = [place for place in pictures if place.match(pattern)]
        if not excluded:
            raise ValueError(f"--exclude {pattern} is the name of none of the pictures")
        for place in excluded:
            del pictures[place]
    if not pictures:
        raise ValueError("--exclude leaves no picture to train on")
    if validation:
        watched = found(validation, recursive=False)
    else:
        watched = dict(
            itertools.islice(pictures.items(), 0, None, max(20, -(-len(pictures) // 20)))
        )
    rest = [path for place, path in pictures.items() if place not in watched]
    return rest or list(pictures.values()), list(watched.values()), not rest


def _print_skipped(skipped: list[str], named: int = 20) -> None:
    for sentence in skipped[:named]:
        _complain(sentence, 2)
    if len(skipped) > named:
        _complain(f"{len(skipped) - named} more pictures cannot be used", 2)


# ------------------------------------------------------------------------------------------- show


def _logs(options: argparse.Namespace) -> list[Path]:
    """The logs that are to be plotted; of weights and checkpoints, those that lie beside them."""
    given = options.files
    if not given and Path(options.model).is_file():
        given = [Path(options.model)]
    logs = [f.with_suffix(".log") if f.suffix in (".npz", ".checkpoint") else f for f in given]
    for file, log in zip(given, logs, strict=True):
        if file != log and not log.exists():
            raise FileNotFoundError(
                f"no log {log} beside {file}: give the log that its training has written"
            )
    return logs


def _show(options: argparse.Namespace) -> int:
    quiet_readers()
    if options.what == "curve":
        options.files = _logs(options)
    for file in options.files:
        picture = "" if options.what == "filters" else " PICTURE"
        _refuse_weights(
            file, f"type `pysrcnn show {options.what}{picture} -m {file} -o {options.output}`"
        )
    if options.output.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"{options.output} does not end in .png, .svg or .pdf")
    check_place(options.output)
    few, many = {"filters": (0, 0), "curve": (1, 99)}.get(options.what, (1, 1))
    if not few <= len(options.files) <= many:
        wanted = {"filters": "no file", "curve": "logs of training"}.get(options.what, "1 picture")
        raise ValueError(
            f"show {options.what} takes {wanted}, got {_count(len(options.files), 'file')}"
        )
    called = "one of the logs" if options.what == "curve" else "the picture"
    check_apart([options.output], options.files, called)
    check_apart([options.output], files_of(options.model), _WEIGHTS)
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
    with written_whole(options.output) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a name, which matplotlib's font has not
        figure.savefig(temporary, format=options.output.suffix[1:].lower())
    say(str(options.output))
    return 0


# ---------------------------------------------------------------------------------------- convert


def _convert(options: argparse.Namespace) -> int:
    there = Path(options.model).exists() or _is_weights(options.model)
    if not there and options.output.is_file():
        raise FileNotFoundError(
            f"no file {options.model}: what is read comes first, so type `pysrcnn convert "
            f"{options.output} {options.model}`"
        )
    network = load(
        options.model, options.scale, residual=options.residual, levels=options.levels
    )  # fmt: skip
    check_apart([options.output], files_of(options.model), _WEIGHTS)
    network.save(options.output)
    say(f"{options.output}: {network!r}")
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
        say(str(options.write))
        return 0
    arrays = read_arrays(options.gradients)
    if arrays and all(re.fullmatch(r"[WB]\d+", name) for name in arrays):
        raise TypeError(
            f"{options.gradients} holds trained weights: give gradients, as dW1, dB1, ..."
        )
    report = gradcheck(arrays, made, tolerance=options.tolerance)
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
        scores = "".join(f"; {k} {v:.2f} dB" for k, v in _psnr(card).items())
        print(f"  {name + f' x{scale}':<15}{known(card.get('data'))}{scores}")
    return 0


def _psnr(card: dict) -> dict[str, float]:
    """What a card says of PSNR on sets of pictures, of which there may be anything."""
    scores = card.get("scores")
    found = {}
    for name, score in scores.items() if isinstance(scores, dict) else ():
        value = score.get("PSNR") if isinstance(score, dict) else None
        if isinstance(value, (int, float)) and abs(value) < 1000:
            found[known(name)] = value
    return found


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
