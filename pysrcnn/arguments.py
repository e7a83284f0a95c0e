"""What may be typed after ``pysrcnn``: commands, options, and what they take."""

import argparse
import math
import os
import sys
from pathlib import Path

import numba

from ._files import printable
from ._version import __version__
from .formats import READABLE, WRITABLE
from .gradcheck import LAYOUTS, WEIGHTS
from .pictures import SUFFIXES
from .scales import LARGEST
from .train import RATES, RECIPES

__all__ = ["IN_MEMORY", "parser"]

IN_MEMORY = 1000  # more training pictures than these are streamed


class _Parser(argparse.ArgumentParser):
    given: tuple[str, ...] = ()

    def parse_known_args(self, args=None, namespace=None):
        self.given = tuple(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str):
        """One line, as for everything else that is wrong, instead of all options and a line."""
        files = [text for text in self.given if text.startswith("-") and os.path.isfile(text)]
        hint = f"; for the file {files[0]} write ./{files[0]}" if files else ""
        line = f"pysrcnn: {message}{hint}; {self.prog} --help says more"
        self.exit(2, printable(line) + "\n")


def parser() -> argparse.ArgumentParser:
    """Of all commands: `parse_args` gives the options, with the name in `command`."""
    top = _Parser(prog="pysrcnn", description="Enlarge pictures with SRCNN; train and evaluate it.")
    top.add_argument("--version", action="version", version=f"pysrcnn {__version__}")
    commands = top.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("upscale", help="enlarge pictures")
    command.set_defaults(command="upscale")
    _add_threads(command)
    command.add_argument(
        "pictures", nargs="+", metavar="IN",
        help="picture files, folders, patterns such as 'IMG_*.jpg', or - for standard input",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", metavar="OUT",
        help="the file to write; with several pictures, a folder; - for standard output (default: "
        "IN_x3.png beside IN)",
    )  # fmt: skip
    command.add_argument(
        "-s", "--scale", type=_factor,
        help=f"factor of enlargement, above 1 and up to {LARGEST} (default: 3, or that of the "
        f"weights in a file); 2, 3 and 4 have weights of their own, others go through these and an "
        f"exact resize",
    )  # fmt: skip
    command.add_argument(
        "--width", type=_pixels, metavar="W", help="of the result in pixels, instead of a factor"
    )
    command.add_argument(
        "--height", type=_pixels, metavar="H",
        help="likewise; with only one of the two, the aspect ratio is kept",
    )  # fmt: skip
    _add_model(command)
    command.add_argument(
        "-r", "--recursive", action="store_true", help="of folders, also the folders in them"
    )
    command.add_argument(
        "--suffix", metavar="TEXT", help="after the name of a result (default: _x3, by the factor)"
    )
    command.add_argument(
        "--format", choices=sorted(s[1:] for s in SUFFIXES),
        help="of results (default: png; of animations, their own)",
    )  # fmt: skip
    existing = command.add_mutually_exclusive_group()
    existing.add_argument(
        "--skip", action="store_true", help="leave out pictures whose results are there already"
    )
    existing.add_argument(
        "--overwrite", action="store_true",
        help="replace results that are there already (the default; pictures that are given are "
        "never overwritten)",
    )  # fmt: skip
    command.add_argument(
        "--compare", action="store_true",
        help="also write a web page beside each result that compares it with bicubic interpolation",
    )  # fmt: skip
    command.add_argument(
        "--cluster", metavar="ADDRESS",
        help="of a Dask scheduler, tcp://HOST:8786: its workers enlarge the files, which they see "
        "under the same names",
    )  # fmt: skip

    command = commands.add_parser("evaluate", help="PSNR and SSIM over a folder of pictures")
    command.set_defaults(command="evaluate")
    _add_threads(command)
    command.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="original pictures; those that cannot be used are named and left out",
    )  # fmt: skip
    command.add_argument(
        "-r", "--recursive", action="store_true", help="also those in folders below"
    )
    _add_scale(command)
    _add_model(command)
    command.add_argument("--json", type=Path, metavar="FILE", help="write the table there too")

    command = commands.add_parser(
        "train", help="train a network on a folder of pictures",
        description="Train a network on a folder of pictures. Learning rates and all else that is "
        "not given come from the recipe.",
    )  # fmt: skip
    command.set_defaults(command="train")
    _add_threads(command)
    command.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER",
        help="training pictures, also those in folders below",
    )  # fmt: skip
    command.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN",
        help="pictures to leave out, by name (302003.jpg, *.gif, BSDS200/30*); may be given again",
    )  # fmt: skip
    _add_scale(command, required=True)
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="WEIGHTS.npz", help="to write"
    )
    command.add_argument("--recipe", choices=RECIPES, default="modern", help="(default: modern)")
    command.add_argument("--network", type=_sizes, metavar="9-1-5", help="filter sizes")
    command.add_argument("--filters", type=_sizes, metavar="64-32", help="numbers of filters")
    command.add_argument("--channels", type=int, choices=(1, 3), help="1: luminance, 3: RGB")
    command.add_argument("--steps", type=int, help="how many, a batch each")
    command.add_argument("--batch", type=int, help="sub-images a step")
    command.add_argument("--size", type=int, help="side of the sub-images in pixels")
    command.add_argument(
        "--stride", type=int, help="from one sub-image to the next; 0: at random, turned, flipped"
    )
    command.add_argument(
        "--optimizer", choices=RATES,
        help="sgd: with momentum 0.9; another than the recipe's brings learning rates that suit it",
    )  # fmt: skip
    command.add_argument(
        "--learning-rate", type=float, metavar="RATE",
        help="of all layers but the last; the last layer and the biases keep their ratio to it",
    )  # fmt: skip
    command.add_argument("--seed", type=int, help="of first weights and of samples")
    command.add_argument(
        "--start", type=Path, metavar="WEIGHTS", help="weights to start from, of any scale"
    )
    command.add_argument(
        "--validation", type=Path, metavar="FOLDER",
        help="pictures to watch PSNR on, and not to train on (default: every 20th training "
        "picture, at most 20)",
    )  # fmt: skip
    command.add_argument(
        "--stream", action="store_true",
        help=f"read pictures while training, not all at the start (the default for more than "
        f"{IN_MEMORY})",
    )  # fmt: skip
    command.add_argument(
        "--every", type=int, default=2000, metavar="STEPS",
        help="how often to validate, log (OUT with .log) and write a checkpoint (default: 2000)",
    )  # fmt: skip
    command.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint, OUT with .checkpoint"
    )
    command.add_argument(
        "--score", type=Path, metavar="FOLDER",
        help="evaluate on these pictures at the end and put the averages into the card",
    )  # fmt: skip

    command = commands.add_parser(
        "show", help="a plot of filters, feature maps, convergence, or before and after"
    )
    command.set_defaults(command="show")
    _add_threads(command)
    command.add_argument("what", choices=("filters", "maps", "curve", "crops"), help="to plot")
    command.add_argument(
        "files", nargs="*", type=Path, metavar="FILE",
        help="maps, crops: a picture; curve: logs of training",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PLOT", help=".png, .svg or .pdf"
    )
    _add_scale(command)
    _add_model(command)
    command.add_argument("--layer", type=int, default=1, help="of maps (default: 1)")
    command.add_argument(
        "--region", type=int, nargs=4, metavar=("X", "Y", "WIDTH", "HEIGHT"),
        help="of crops, in pixels (default: the middle)",
    )  # fmt: skip

    command = commands.add_parser("convert", help="weights from one kind of file to another")
    command.set_defaults(command="convert")
    command.add_argument(
        "model", metavar="IN", help=f"shipped weights by name, or a file: {' '.join(READABLE)}"
    )
    command.add_argument(
        "output", type=Path, metavar="OUT", help=f"the file to write: {' '.join(WRITABLE)}"
    )
    command.add_argument(
        "-s", "--scale", type=_whole_factor, metavar="{2,3,4}",
        help="of weights that do not say it themselves",
    )  # fmt: skip

    command = commands.add_parser(
        "gradcheck", help="your gradients, compared with the reference; what is wrong with them",
        description="Compare gradients that another program computed with those of the reference, "
        "and name the mistake. --write writes what to compute them from, and the answers.",
    )  # fmt: skip
    command.set_defaults(command="gradcheck")
    command.add_argument(
        "gradients", nargs="?", type=Path, metavar="MINE.npz",
        help="arrays loss, dW1, dB1, dW2, ...; also F1, F2, F3, dF3, dF2, dF1, dlow if you have "
        "them",
    )  # fmt: skip
    command.add_argument("--network", default="9-1-5", metavar="9-1-5", help="filter sizes")
    command.add_argument(
        "--layout", choices=LAYOUTS, default="NCHW", help="axes of batches (default: NCHW)"
    )
    command.add_argument(
        "--weights", choices=WEIGHTS, help="axes of weights (default: OIHW; with NHWC, HWIO)"
    )
    command.add_argument("--seed", type=int, default=0, help="of all numbers (default: 0)")
    command.add_argument(
        "--tolerance", type=float, metavar="ERROR",
        help="that is allowed, relative to the largest value of an array (default: rounding)",
    )  # fmt: skip
    command.add_argument(
        "--write", type=Path, metavar="CASE.npz",
        help="write the batch, the weights, and all that should come out",
    )  # fmt: skip

    command = commands.add_parser(
        "warmup", help="compile everything now, so that no later run has to"
    )
    command.set_defaults(command="warmup")

    command = commands.add_parser("info", help="versions, processor, threads, shipped weights")
    command.set_defaults(command="info")
    return top


def _add_scale(command: argparse.ArgumentParser, required: bool = False) -> None:
    note = "" if required else " (default: 3, or that of the weights in a file)"
    command.add_argument(
        "-s", "--scale", type=_whole_factor, metavar="{2,3,4}", required=required,
        help=f"factor of enlargement{note}",
    )  # fmt: skip


def _add_threads(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threads", type=int, metavar="N",
        help=f"threads to compute with (default: {numba.config.NUMBA_NUM_THREADS}, all)",
    )  # fmt: skip


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-m", "--model", default="9-1-5",
        help="shipped weights by name, or a file: .npz, .mat, .pth, .safetensors, .h5, .keras, "
        ".onnx (default: 9-1-5)",
    )  # fmt: skip


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 < value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is no number above 1 and up to {LARGEST}")
    return int(value) if value == int(value) else value


def _whole_factor(text: str) -> int:
    if text not in ("2", "3", "4"):
        raise argparse.ArgumentTypeError(f"{text} is not 2, 3 or 4")
    return int(text)


def _pixels(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of pixels, 1 or more")
    return int(text)


def _sizes(text: str) -> tuple[int, ...]:
    """ "9-1-5" -> (9, 1, 5)."""
    parts = text.split("-")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text} is not whole numbers with - between, as 9-1-5 is")
    return tuple(int(part) for part in parts)
