"""``pysrcnn train``: a network trained on folders of pictures."""

import argparse
import dataclasses
import itertools
import sys
from pathlib import Path

from .._files import check_apart, check_place
from .._printing import say
from ..data import PICTURE_ERRORS, Pair, read_pair, read_pairs
from ..evaluate import average
from ..networks import files_of, load, shipped
from ..pictures import list_pictures, list_unread, not_read, quiet_readers
from ..training.log import read_log
from ..training.log import run as run_training
from ..training.loop import Training
from ..training.recipes import RATES, RECIPES, Recipe
from ..training.stream import REGION, Stream
from .common import (
    WEIGHTS,
    Commands,
    add_scale,
    add_threads,
    complain,
    count,
    refuse_weights,
    sizes,
)
from .evaluate import averaged, print_score, print_title, score_folder

__all__ = ["add", "run"]

IN_MEMORY = 1000  # more training pictures than these are streamed


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "train", help="train a network on a folder of pictures",
        description="Train a network on a folder of pictures. Whatever is not given, learning "
        "rates included, comes from the recipe.",
    )  # fmt: skip
    add_threads(command)
    command.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER",
        help="folders of training pictures, subfolders included; those that cannot be used are "
        "named and left out, and the exit code is then 2, as for evaluate",
    )  # fmt: skip
    command.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN",
        help="pictures to leave out, by name or pattern (302003.jpg, *.gif, BSDS200/30*); may be "
        "given more than once",
    )  # fmt: skip
    add_scale(command, required=True)
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="WEIGHTS.npz", help="file to write"
    )
    command.add_argument(
        "--recipe", choices=RECIPES, default="modern",
        help="sets whatever is not given (default: modern)",
    )  # fmt: skip
    command.add_argument(
        "--network", type=sizes, metavar="9-1-5", help="filter sizes, one per layer"
    )
    command.add_argument(
        "--filters", type=sizes, metavar="64-32", help="filters in each layer but the last"
    )
    command.add_argument("--channels", type=int, choices=(1, 3), help="1 for luminance, 3 for RGB")
    command.add_argument("--steps", type=int, help="number of steps, one batch each")
    command.add_argument("--batch", type=int, help="sub-images per step")
    command.add_argument("--size", type=int, help="side of the sub-images in pixels")
    command.add_argument(
        "--stride", type=int,
        help="pixels from one sub-image to the next; 0: at random places, turned and flipped",
    )  # fmt: skip
    command.add_argument(
        "--optimizer", choices=RATES,
        help="optimizer; sgd has momentum 0.9; one that is not the recipe's brings its own "
        "learning rates",
    )  # fmt: skip
    command.add_argument(
        "--learning-rate", type=float, metavar="RATE",
        help="learning rate of all layers but the last; those of the last layer and of the biases "
        "keep their ratio to it",
    )  # fmt: skip
    command.add_argument(
        "--seed", type=int, help="random seed for the first weights and the samples"
    )
    command.add_argument(
        "--start", type=Path, metavar="WEIGHTS", help="weights to start from, for any scale"
    )
    command.add_argument(
        "--validation", type=Path, metavar="FOLDER",
        help="pictures to measure PSNR on while training, not trained on (default: every 20th "
        "training picture, at most 20)",
    )  # fmt: skip
    command.add_argument(
        "--stream", action="store_true",
        help=f"read pictures while training instead of all at the start (the default for more than "
        f"{IN_MEMORY} pictures)",
    )  # fmt: skip
    command.add_argument(
        "--every", type=int, default=2000, metavar="STEPS",
        help="steps between validations; each is logged, in WEIGHTS.log, and writes a checkpoint "
        "(default: 2000)",
    )  # fmt: skip
    command.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint, WEIGHTS.checkpoint"
    )
    command.add_argument(
        "--score", type=Path, metavar="FOLDER",
        help="evaluate on these pictures at the end, and write the averages into the weights' card",
    )  # fmt: skip
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it: the exit code."""
    quiet_readers()
    for folder in options.folders:
        refuse_weights(folder, f"give a folder of pictures, and weights by --start {folder}")
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
    check_apart(outputs, files_of(options.start) if start else [], WEIGHTS)
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
        f"{training.network.name} x{scale}: {count(len(data), 'picture')}, "
        f"{count(recipe.steps, 'step')} of {count(recipe.batch, 'sub-image')}, "
        f"{recipe.optimizer}"
    )
    say(
        f"pictures that PSNR is measured on: {len(validation)}, "
        f"{'of those it trains on' if same else 'none of which it trains on'}"
    )
    try:
        run_training(training, validation, checkpoint, log, options.every)
    finally:
        if stream:
            stream.close()
            _print_skipped(list(stream.skipped.values()))

    used = len(data) - (len(stream.skipped) if stream else 0)
    skipped += stream.skipped.values() if stream else []
    network = training.result()
    names = " + ".join(folder.resolve().name for folder in options.folders)
    network.card["data"] = f"{names}, {count(used, 'picture')}"
    network.card["start"] = options.start.name if options.start else recipe.init
    network.card["scores"] = {}
    network.save(options.output)
    checkpoint.unlink(missing_ok=True)
    scores, failed = [], []
    if options.score:
        scores = list(score_folder(options.score, network, scale, failed))
    if scores:
        mean = average(scores)
        network.card["scores"][options.score.resolve().name] = mean.for_card()
        print_title(scale, options.output.name)
        print_score(mean)
        network.save(options.output)
    say(f"{options.output}: {network!r}")
    code = averaged(scores, failed, list_unread(options.score) if options.score else [])
    if skipped:
        say(f"trained on {count(used, 'picture')}, {len(skipped)} failed", sys.stderr)
        code = 2
    return code


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
    layers, filters = len(recipe.sizes), len(recipe.filters)
    if filters != layers - 1:
        numbers = (*RECIPES["modern"].filters, *[16] * layers)[: layers - 1]
        raise ValueError(
            f"{layers} layers need {count(layers - 1, 'number')} of filters, got {filters}: say "
            f"them, for example by --filters {'-'.join(map(str, numbers))}"
        )
    return recipe


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
        complain(sentence, 2)
    if len(skipped) > named:
        complain(f"{len(skipped) - named} more pictures cannot be used", 2)
