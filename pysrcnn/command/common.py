"""Options and helpers that several commands share."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numba

from .._files import check_place
from .._made_here import is_made_here
from .._printing import say
from ..formats import READABLE
from ..networks import DEFAULT, Network, load, shipped
from ..upscaling.scales import Networks

__all__ = [
    "TABLE",
    "WEIGHTS",
    "Commands",
    "add_ensemble",
    "add_features",
    "add_model",
    "add_overwrite",
    "add_scale",
    "add_sharpness",
    "add_threads",
    "check_free",
    "check_json",
    "complain",
    "is_weights",
    "load_network",
    "most_threads",
    "refuse_weights",
    "sizes",
    "whole_factor",
]

TABLE, WEIGHTS = "table of pysrcnn", "the file of weights"
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def complain(problem: object, code: int) -> int:
    """Print what is wrong, and return the exit code `code`."""
    if sys.flags.dev_mode and isinstance(problem, Exception):
        traceback.print_exception(problem)
    say(f"pysrcnn: {problem or type(problem).__name__}", sys.stderr)
    return code


def load_network(options: argparse.Namespace) -> tuple[Network, int]:
    """Load the network that the options name; return it and its scale."""
    scale = options.scale or Networks(options.model).default_scale
    network = load(options.model, scale, sharpness=getattr(options, "sharpness", None))
    network.ensemble = getattr(options, "ensemble", False)
    return network, scale


def is_weights(path: str | os.PathLike) -> bool:
    """Whether the path is a file of weights, by its suffix, or the name of shipped weights."""
    path = Path(path)
    if path.exists():
        return path.is_file() and path.suffix.lower() in READABLE
    return str(path) in {name for name, _ in shipped()}


def refuse_weights(path: Path, advice: str) -> None:
    """Raise a ValueError if weights are given in place of pictures."""
    if is_weights(path):
        raise ValueError(f"{path} are weights: {advice}")


def add_scale(command: argparse.ArgumentParser, required: bool = False) -> None:
    """Add --scale, for commands that use one network."""
    note = "" if required else " (default: 3, or that of the weights)"
    command.add_argument(
        "-s", "--scale", type=whole_factor, metavar="{2,3,4}", required=required,
        help=f"factor of enlargement{note}",
    )  # fmt: skip


def most_threads() -> int:
    """Return the largest possible number of threads."""
    return vars(numba.config)["NUMBA_NUM_THREADS"]  # Numba sets it from the environment


def add_threads(command: argparse.ArgumentParser) -> None:
    """Add --threads, for commands that compute for long."""
    command.add_argument(
        "--threads", type=int, metavar="N",
        help=f"number of threads (default: all, here {most_threads()})",
    )  # fmt: skip


def add_ensemble(command: argparse.ArgumentParser) -> None:
    """Add --ensemble, for commands that enlarge pictures."""
    command.add_argument(
        "--ensemble", action="store_true",
        help="enlarge the picture rotated and flipped in all eight ways, and take the mean: a "
        "little better, eight times slower",
    )  # fmt: skip


def add_sharpness(command: argparse.ArgumentParser) -> None:
    """Add --sharpness, for commands that use weights trained against a discriminator."""
    command.add_argument(
        "--sharpness", type=float, metavar="{0..1}",
        help="for weights trained against a discriminator (recipe srgan): 0 for the network before "
        "that training, with the least error, 1 for the one after it, with the sharpest pictures "
        "(default: 1)",
    )  # fmt: skip


def add_features(command: argparse.ArgumentParser, use: str) -> None:
    """Add --features and --layer, for commands that compare feature maps; `use` says what for."""
    command.add_argument(
        "--features", type=Path, metavar="FILE",
        help=f"{use}: a file of VGG's convolutions, see convert, or an edsr, by name or file",
    )  # fmt: skip
    command.add_argument(
        "--layer", metavar="NAME",
        help="layer whose maps are the features: for VGG, relu2_2 or relu5_4 (or VGG22, VGG54, "
        "as in the papers), or conv5_4, before the ReLU, as in ESRGAN; for an edsr, such as block8 "
        "(default: relu2_2, or the last block)",
    )  # fmt: skip


def add_model(command: argparse.ArgumentParser, usual: str = "") -> None:
    """Add --model, for commands that use weights; `usual` is its default."""
    usual = usual or DEFAULT
    photo = any(name == "photo" for name, _ in shipped())
    kinds = "; photo for photographs with noise or JPEG, the others for clean pictures"
    command.add_argument(
        "-m", "--model", default=usual,
        help="shipped weights by name, such as 9-5-5 or espcn, or a file: "
        f"{' '.join(READABLE)} (default: {usual}){kinds if photo else ''}",
    )  # fmt: skip


def check_json(path: Path | None, overwrite: bool) -> None:
    """Raise a ValueError or OSError if no JSON file can be written to `path`, where it is given."""
    if path is None:
        if overwrite:
            raise ValueError(
                "--overwrite is for the file of --json: add --json FILE, or leave it out"
            )
        return
    if path.suffix.lower() != ".json":
        raise ValueError(f"{path} does not end in .json: the table is written as JSON")
    check_place(path)


def add_overwrite(command: argparse.ArgumentParser, made: str) -> None:
    """Add --overwrite; `made` is what the command replaces without it: "table of pysrcnn"."""
    command.add_argument(
        "--overwrite", action="store_true",
        help=f"replace the file even if it is not an earlier {made}",
    )  # fmt: skip


def check_free(
    path: Path,
    overwrite: bool,
    made: str,
    is_made: Callable[[Path], bool] = is_made_here,
) -> None:
    """Raise a ValueError if there is a file at `path` that the user must allow to be replaced.

    `made` is what may be replaced, see `add_overwrite`, and `is_made` says whether a file is that.
    """
    if overwrite or not path.is_file() or path.stat().st_size == 0:  # as mktemp makes them
        return
    if not is_made(path):
        raise ValueError(
            f"{path} is there already, and no earlier {made}: give the result another name, or "
            f"replace the file with --overwrite"
        )


def whole_factor(text: str, most: int = 4) -> int:
    """Parse a scale of 2 to `most`, which may be written as 3x, x3 or ×3."""
    factor = text.strip("xX×")
    if factor not in map(str, range(2, most + 1)):
        wanted = "2, 3 or 4" if most == 4 else f"a whole number from 2 to {most}"
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return int(factor)


def sizes(text: str) -> tuple[int, ...]:
    """Parse "9-1-5" into (9, 1, 5)."""
    parts = text.split("-")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text} is not whole numbers with - between, such as 9-1-5"
        )
    return tuple(int(part) for part in parts)
