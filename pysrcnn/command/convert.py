"""``pysrcnn convert``: convert weights from one file format to another."""

import argparse
import math
from functools import partial
from pathlib import Path

from .._files import check_apart
from .._printing import say
from ..formats import READABLE, WRITABLE, read_weights
from ..networks import LARGEST, files_of, load
from ..networks.espcn import ACTIVATIONS
from ..networks.loading import CONVERTED
from ..networks.vgg_files import NETWORK, VGG, is_vgg, vgg_of
from .common import (
    WEIGHTS,
    Commands,
    add_overwrite,
    add_sharpness,
    check_free,
    is_weights,
    whole_factor,
)

__all__ = ["add", "run"]

_RESULT = "result of convert"


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "convert", help="convert weights from one file format to another",
        description="Convert weights from one file format to another. A VGG-16 or VGG-19 of "
        "PyTorch or Keras becomes a file of features, for --features of train and evaluate.",
    )  # fmt: skip
    command.add_argument(
        "model", metavar="IN", help=f"shipped weights by name, or a file: {' '.join(READABLE)}"
    )
    command.add_argument(
        "output", type=Path, metavar="OUT", help=f"file to write: {' '.join(WRITABLE)}"
    )
    command.add_argument(
        "-s", "--scale", type=partial(whole_factor, most=LARGEST), metavar="FACTOR",
        help="factor that the weights are for, if their file does not tell",
    )  # fmt: skip
    command.add_argument(
        "--residual", action="store_true",
        help="the network's output is added to its input, in a file of another program; the "
        "network in OUT returns the picture itself",
    )  # fmt: skip
    command.add_argument(
        "--range", type=_levels, default=(0.0, 1.0), dest="levels", metavar="WHITE",
        help="value of white for a network of another program, such as 255; or of black and white, "
        "--range=-1..1; the network in OUT takes 0..1 (default: 1)",
    )  # fmt: skip
    command.add_argument(
        "--activation", choices=ACTIVATIONS,
        help="activation of an ESPCN, if its file does not tell; .npz files of pysrcnn do "
        "(default: tanh, as in the paper)",
    )  # fmt: skip
    command.add_argument(
        "--half", action="store_true",
        help="write float16, in half the space, for .npz and .safetensors; it is read back as "
        "float32",
    )  # fmt: skip
    add_sharpness(command)
    add_overwrite(command, _RESULT)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    there = Path(options.model).exists() or is_weights(options.model)
    if not there and options.output.is_file():
        raise FileNotFoundError(
            f"no file {options.model}: the input comes first, so type `pysrcnn convert "
            f"{options.output} {options.model}`"
        )
    if vgg := _vgg(options):
        _check_output(options)
        vgg.save(options.output, options.half)
        left = f"; left out: {', '.join(vgg.left[:8])}" if vgg.left else ""
        say(f"{options.output}: {vgg!r}{left}")
        return 0
    network = load(
        options.model, options.scale, residual=options.residual, levels=options.levels,
        activation=options.activation, sharpness=options.sharpness,
    )  # fmt: skip
    _check_output(options)
    network.card[CONVERTED] = Path(options.model).name
    network.save(options.output, options.half)
    say(f"{options.output}: {network!r}")
    return 0


def _check_output(options: argparse.Namespace) -> None:
    """Raise if the output is a file that is read, or one that must not be replaced."""
    check_apart([options.output], files_of(options.model), WEIGHTS)
    check_free(options.output, options.overwrite, _RESULT, _is_result)


def _is_result(path: Path) -> bool:
    """Return whether the command wrote a file; of a .mat file, which has no card, it cannot tell.

    Weights that `train` wrote, which may be of hours, have no such card.
    """
    try:
        card = read_weights(path).card
    except (ValueError, OSError):
        return False
    return CONVERTED in card or card.get("network") == NETWORK


def _vgg(options: argparse.Namespace) -> VGG | None:
    """Return the VGG in the file, if there is one; raise if an option does not apply to it."""
    if not Path(options.model).is_file():
        return None
    weights = read_weights(options.model)
    if not is_vgg(weights):
        return None
    given = [f"--{name}" for name in ("scale", "activation", "sharpness")
             if getattr(options, name) is not None]  # fmt: skip
    given += ["--residual"] if options.residual else []
    given += ["--range"] if options.levels != (0, 1) else []
    if given:
        raise ValueError(
            f"{options.model} holds a VGG, which enlarges nothing: leave {', '.join(given)} out"
        )
    return vgg_of(weights, options.model)


def _levels(text: str) -> tuple[float, float]:
    """Parse the values of black and white: "255" into (0, 255), "-1..1" into (-1, 1)."""
    black, dots, white = text.partition("..")
    try:
        levels = (float(black), float(white)) if dots else (0.0, float(text))
    except ValueError:
        levels = math.nan, math.nan
    if not -math.inf < levels[0] < levels[1] < math.inf:
        raise argparse.ArgumentTypeError(
            f"{text} is neither a number above 0 nor a range such as -1..1"
        )
    return levels
