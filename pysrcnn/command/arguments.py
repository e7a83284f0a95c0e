"""What may be typed after ``pysrcnn``: commands, options, and what they take."""

import argparse
import difflib
import itertools
import math
import os
import re
import shlex
import sys
from pathlib import Path

import numba

from .._printing import printable
from .._version import __version__
from ..batch import SAME
from ..formats import READABLE, WRITABLE
from ..gradcheck import LAYOUTS, WEIGHTS
from ..pictures import SUFFIXES
from ..training.recipes import RATES, RECIPES
from ..upscaling.scales import LARGEST

__all__ = ["IN_MEMORY", "parser"]

IN_MEMORY = 1000  # more training pictures than these are streamed


class _Parser(argparse.ArgumentParser):
    given: tuple[str, ...] = ()

    def parse_known_args(self, args=None, namespace=None):
        self.given = tuple(sys.argv[1:] if args is None else args)
        if self.prog != "pysrcnn" and (apart := _sizes_apart(self.given)):
            self.error(apart)
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:  # said by the parser of the command, which knows what it has
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str):
        """One line, as for everything else that is wrong, instead of all options and a line."""
        files = [text for text in self.given if text.startswith("-") and os.path.isfile(text)]
        hint = f"; for the file {files[0]} write ./{files[0]}" if files else self._meant(message)
        line = f"pysrcnn: {message}{hint}; {self.prog} --help says more"
        self.exit(2, printable(line) + "\n")

    def _meant(self, message: str) -> str:
        """What may have been meant by words that are none of ours, as the command to type."""
        options = list(self._option_string_actions)
        typed = [text.partition("=")[0] for text in self.given if text[:2] == "--" != text]
        wrong = {x: options for x in typed if not any(known.startswith(x) for known in options)}
        choice = re.search("invalid choice: '([^']*)'", message)
        if choice:
            words = (action.choices or () for action in self._actions)
            wrong[choice[1]] = [str(word) for choices in words for word in choices]
        given = list(self.given)
        for word, known in wrong.items():
            here = re.compile(rf"(--?\w+=)?{re.escape(word)}(?==|$)")
            for meant in difflib.get_close_matches(word.lower().lstrip("."), known, 1):
                given = [here.sub(rf"\g<1>{meant}", text) for text in given]
        if choice and f"--{choice[1]}" in options:
            given = [f"--{choice[1]}"]
        elif choice and choice[1] in given and self.prog == "pysrcnn":
            given = _with_command(given, wrong[choice[1]])
        changed = given != list(self.given)
        return f"; you may mean `{self.prog} {shlex.join(given)}`" if changed else ""


def parser() -> argparse.ArgumentParser:
    """Of all commands: `parse_args` gives the options, with the name in `command`."""
    top = _Parser(prog="pysrcnn", description="Enlarge pictures with SRCNN; train and evaluate it.")
    top.add_argument("--version", action="version", version=f"pysrcnn {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    _add_upscale(commands)
    _add_evaluate(commands)
    _add_train(commands)
    _add_show(commands)
    _add_convert(commands)
    _add_gradcheck(commands)
    commands.add_parser("warmup", help="compile everything now, so that later runs need not")
    commands.add_parser("info", help="show versions, processor, threads and shipped weights")
    return top


def _add_upscale(commands) -> None:
    command = commands.add_parser("upscale", help="enlarge pictures")
    _add_threads(command)
    command.add_argument(
        "pictures", nargs="+", metavar="IN",
        help="picture files, folders, patterns such as 'IMG_*.jpg', or - for standard input",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", metavar="OUT",
        help="file to write; with several pictures, a folder; - for standard output (default: "
        "IN_x3.png beside IN)",
    )  # fmt: skip
    command.add_argument(
        "-s", "--scale", type=_factor,
        help=f"factor of enlargement, above 1 and up to {LARGEST} (default: 3, or that of the "
        f"weights in a file); 2, 3 and 4 have weights of their own, other factors use these and "
        f"then an exact resize",
    )  # fmt: skip
    command.add_argument("--width", type=_pixels, metavar="W", help="width of the result in pixels")
    command.add_argument(
        "--height", type=_pixels, metavar="H",
        help="height of the result in pixels; width or height alone keeps the aspect ratio",
    )  # fmt: skip
    _add_model(command)
    command.add_argument(
        "-r", "--recursive", action="store_true", help="also take the folders inside folders"
    )
    command.add_argument(
        "--suffix", metavar="TEXT", help="added to the names of results (default: the factor: _x3)"
    )
    command.add_argument(
        "--format", choices=[*sorted(s[1:] for s in SUFFIXES), SAME],
        help="format of the results; same: that of each input, JPEG stays JPEG (default: png; for "
        "animations, that of the input)",
    )  # fmt: skip
    command.add_argument(
        "--quality", type=_quality, metavar="{1..100}",
        help="quality of JPEG and WebP (default: 95; WebP without loss if the input has none)",
    )  # fmt: skip
    existing = command.add_mutually_exclusive_group()
    existing.add_argument(
        "--skip", action="store_true", help="leave out pictures whose results already exist"
    )
    existing.add_argument(
        "--overwrite", action="store_true",
        help="also replace files that are no results of earlier runs (which are replaced anyway; "
        "pictures to enlarge never are)",
    )  # fmt: skip
    command.add_argument(
        "--compare", action="store_true",
        help="also write a web page beside each result, to compare it with bicubic interpolation",
    )  # fmt: skip
    command.add_argument(
        "--cluster", metavar="ADDRESS",
        help="address of a Dask scheduler, protocol and port included, whose workers enlarge the "
        "files; they must see them under the same names",
    )  # fmt: skip


def _add_evaluate(commands) -> None:
    command = commands.add_parser("evaluate", help="measure PSNR and SSIM on a folder of pictures")
    _add_threads(command)
    command.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="original pictures; those that cannot be used are named and left out, and the exit "
        "code is then 2",
    )  # fmt: skip
    command.add_argument(
        "-r", "--recursive", action="store_true", help="also take pictures in subfolders"
    )
    _add_scale(command)
    _add_model(command)
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the table to this file"
    )


def _add_train(commands) -> None:
    command = commands.add_parser(
        "train", help="train a network on a folder of pictures",
        description="Train a network on a folder of pictures. Whatever is not given, learning "
        "rates included, comes from the recipe.",
    )  # fmt: skip
    _add_threads(command)
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
    _add_scale(command, required=True)
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="WEIGHTS.npz", help="file to write"
    )
    command.add_argument(
        "--recipe", choices=RECIPES, default="modern",
        help="sets whatever is not given (default: modern)",
    )  # fmt: skip
    command.add_argument(
        "--network", type=_sizes, metavar="9-1-5", help="filter sizes, one per layer"
    )
    command.add_argument(
        "--filters", type=_sizes, metavar="64-32", help="filters in each layer but the last"
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


def _add_show(commands) -> None:
    command = commands.add_parser(
        "show", help="plot filters, feature maps, convergence, or before and after"
    )
    _add_threads(command)
    command.add_argument("what", choices=("filters", "maps", "curve", "crops"), help="what to plot")
    command.add_argument(
        "files", nargs="*", type=Path, metavar="FILE",
        help="for maps and crops, a picture; for curve, logs of training",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PLOT",
        help="file to write: .png, .svg or .pdf",
    )  # fmt: skip
    _add_scale(command)
    _add_model(command)
    command.add_argument(
        "--layer", type=int, default=1, help="which layer's maps to show (default: 1)"
    )
    command.add_argument(
        "--region", type=int, nargs=4, metavar=("X", "Y", "WIDTH", "HEIGHT"),
        help="which part to crop, in pixels (default: the middle)",
    )  # fmt: skip


def _add_convert(commands) -> None:
    command = commands.add_parser(
        "convert", help="convert weights from one kind of file to another"
    )
    command.add_argument(
        "model", metavar="IN", help=f"shipped weights by name, or a file: {' '.join(READABLE)}"
    )
    command.add_argument(
        "output", type=Path, metavar="OUT", help=f"file to write: {' '.join(WRITABLE)}"
    )
    command.add_argument(
        "-s", "--scale", type=_whole_factor, metavar="{2,3,4}",
        help="factor the weights are for, if their file does not say",
    )  # fmt: skip
    command.add_argument(
        "--residual", action="store_true",
        help="what the network gives is to be added to its input; OUT gives the picture itself",
    )  # fmt: skip
    command.add_argument(
        "--range", type=_levels, default=(0.0, 1.0), dest="levels", metavar="WHITE",
        help="what white is for the network, such as 255; or black and white, --range=-1..1; OUT "
        "is for 0..1 (default: 1)",
    )  # fmt: skip


def _add_gradcheck(commands) -> None:
    command = commands.add_parser(
        "gradcheck", help="compare your gradients with the reference, and say what is wrong",
        description="Compare gradients that another program computed with those of the reference, "
        "and name the mistake. --write writes a batch and weights to compute them from, and the "
        "answers.",
    )  # fmt: skip
    command.add_argument(
        "gradients", nargs="?", type=Path, metavar="MINE.npz",
        help="arrays loss, dW1, dB1, dW2, ...; also F1, F2, F3, dF3, dF2, dF1, dlow if you have "
        "them",
    )  # fmt: skip
    command.add_argument(
        "--network", default="9-1-5", metavar="9-1-5", help="filter sizes (default: 9-1-5)"
    )
    command.add_argument(
        "--layout", choices=LAYOUTS, default="NCHW", help="order of axes in batches (default: NCHW)"
    )
    command.add_argument(
        "--weights", choices=WEIGHTS,
        help="order of axes in weights (default: OIHW; HWIO with --layout NHWC)",
    )  # fmt: skip
    command.add_argument(
        "--seed", type=int, default=0, help="random seed for all numbers (default: 0)"
    )
    command.add_argument(
        "--tolerance", type=float, metavar="ERROR",
        help="largest error that passes, relative to the largest value of an array (default: what "
        "rounding explains)",
    )  # fmt: skip
    command.add_argument(
        "--write", type=Path, metavar="CASE.npz",
        help="write the batch, the weights, and everything that should come out",
    )  # fmt: skip


def _add_scale(command: argparse.ArgumentParser, required: bool = False) -> None:
    note = "" if required else " (default: 3, or that of the weights in a file)"
    command.add_argument(
        "-s", "--scale", type=_whole_factor, metavar="{2,3,4}", required=required,
        help=f"factor of enlargement{note}",
    )  # fmt: skip


def _add_threads(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threads", type=int, metavar="N",
        help=f"number of threads (default: all, here {numba.config.NUMBA_NUM_THREADS})",
    )  # fmt: skip


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-m", "--model", default="9-1-5",
        help="shipped weights by name, or a file: .npz, .mat, .pth, .safetensors, .h5, .keras, "
        ".onnx (default: 9-1-5)",
    )  # fmt: skip


def _factor(text: str) -> float:
    """A number, which may be written as 3x, x3 or ×3."""
    try:
        value = float(text.strip("xX×"))
    except ValueError:
        value = math.nan
    if not 1 < value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is no number above 1 and up to {LARGEST}")
    return int(value) if value == int(value) else value


def _whole_factor(text: str) -> int:
    factor = text.strip("xX×")
    if factor not in ("2", "3", "4"):
        raise argparse.ArgumentTypeError(f"{text} is not 2, 3 or 4")
    return int(factor)


def _levels(text: str) -> tuple[float, float]:
    """ "255" -> (0, 255), "-1..1" -> (-1, 1): black and white."""
    black, dots, white = text.partition("..")
    try:
        levels = (float(black), float(white)) if dots else (0.0, float(text))
    except ValueError:
        levels = math.nan, math.nan
    if not -math.inf < levels[0] < levels[1] < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is neither a number above 0 nor as -1..1 is")
    return levels


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 100")
    return int(text)


def _pixels(text: str) -> int:
    number = text.removesuffix("px")
    if not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of pixels, 1 or more")
    return int(number)


def _with_command(given: list[str], commands: list[str]) -> list[str]:
    """What was typed, but with a command in front: one that comes later, or else `upscale`."""
    for command in commands:
        if command in given and not os.path.exists(command):
            given.remove(command)
            return [command, *given]
    if not any(map(os.path.exists, given)):
        return given
    first = given[0]  # a word for upscale, or else a picture or an option
    is_word = first.isalpha() and not os.path.exists(first)
    return ["upscale", *given[is_word:]]


def _sizes_apart(given: tuple[str, ...]) -> str:
    """What is wrong with "--filters 64 32", of which 32 would be taken for a folder."""
    for k, option in enumerate(given):
        if option in ("--network", "--filters"):
            following = itertools.takewhile(str.isdecimal, given[k + 1 :])
            numbers = [text for text in following if not os.path.exists(text)]
            if len(numbers) > 1:
                return f"{option} takes its numbers with - between: {option} {'-'.join(numbers)}"
    return ""


def _sizes(text: str) -> tuple[int, ...]:
    """ "9-1-5" -> (9, 1, 5)."""
    parts = text.split("-")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text} is not whole numbers with - between, as 9-1-5 is")
    return tuple(int(part) for part in parts)
