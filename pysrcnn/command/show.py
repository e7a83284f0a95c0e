"""``pysrcnn show``: plot filters, feature maps, convergence, or before and after."""

import argparse
import math
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import plots
from .._files import check_apart, check_place, written_whole
from .._made_here import PROGRAM
from .._printing import counted, say
from ..networks import Network, files_of, load
from ..pictures import quiet_readers, read_picture
from ..upscaling.estimate import foreseen
from ..upscaling.scales import Networks
from ..upscaling.steps import steps_for
from .common import (
    WEIGHTS,
    Commands,
    add_model,
    add_overwrite,
    add_scale,
    add_threads,
    check_free,
    load_network,
    refuse_weights,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["add", "run"]

_PLOT = "plot of pysrcnn"
_USUAL = "9-1-5"


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "show", help="plot filters, feature maps, convergence, or before and after",
        description="Plot the filters of a network, the feature maps that a layer makes of a "
        "picture, the PSNR in the logs of trainings, or a part of a picture enlarged by a network "
        "and by bicubic interpolation.",
    )  # fmt: skip
    add_threads(command)
    command.add_argument("what", choices=("filters", "maps", "curve", "crops"), help="what to plot")
    command.add_argument(
        "files", nargs="*", type=Path, metavar="FILE",
        help="a picture for maps and crops; training logs for curve",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PLOT",
        help="file to write: .png, .svg or .pdf",
    )  # fmt: skip
    add_scale(command)
    add_model(command, _USUAL)
    command.add_argument(
        "--layer", type=int, help="for maps: layer whose maps to show (default: 1)"
    )
    command.add_argument(
        "--region", type=int, nargs=4, metavar=("X", "Y", "WIDTH", "HEIGHT"),
        help="for crops: part to crop, in pixels (default: the middle)",
    )  # fmt: skip
    add_overwrite(command, _PLOT)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    quiet_readers()
    if options.what == "curve":
        options.files = _logs(options)
    for file in options.files:
        picture = "" if options.what == "filters" else " PICTURE"
        refuse_weights(
            file, f"type `pysrcnn show {options.what}{picture} -m {file} -o {options.output}`"
        )
    _check_options(options)
    suffix = options.output.suffix.lower()
    if suffix not in PROGRAM:
        raise ValueError(f"{options.output} does not end in .png, .svg or .pdf")
    check_place(options.output)
    few, many = {"filters": (0, 0), "curve": (1, 99)}.get(options.what, (1, 1))
    if not few <= len(options.files) <= many:
        wanted = {"filters": "no file", "curve": "logs of training"}.get(options.what, "1 picture")
        raise ValueError(
            f"show {options.what} takes {wanted}, got {counted(len(options.files), 'file')}"
        )
    called = "one of the logs" if options.what == "curve" else "the picture"
    check_apart([options.output], options.files, called)
    check_apart([options.output], files_of(options.model), WEIGHTS)
    check_free(options.output, options.overwrite, _PLOT)
    figure = _figure(options)
    with written_whole(options.output) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # names with characters matplotlib's font lacks
        figure.savefig(temporary, format=suffix[1:], metadata=PROGRAM[suffix])
    say(str(options.output))
    return 0


def _check_options(options: argparse.Namespace) -> None:
    """Raise a ValueError if an option is given that does nothing for this plot."""
    used = {"maps": ("layer", "scale"), "crops": ("region", "scale"), "filters": ("scale",)}
    for name in ("layer", "region", "scale"):
        if getattr(options, name) is not None and name not in used.get(options.what, ()):
            raise ValueError(f"show {options.what} does not use --{name}: leave it out")


def _figure(options: argparse.Namespace) -> "Figure":
    if options.what == "curve":
        return plots.curve(options.files)
    if options.what == "filters":  # a file's filters need no scale
        given = options.scale
        return plots.filters(load(options.model, given) if given else Networks(options.model).any())
    network, scale = load_network(options)
    picture = read_picture(options.files[0])
    _tell_time(options, network, scale, picture.shape)
    if options.what == "maps":
        return plots.feature_maps(
            network, picture, scale, 1 if options.layer is None else options.layer
        )
    return plots.crops(network, picture, scale, options.region and tuple(options.region))


def _tell_time(
    options: argparse.Namespace, network: Network, scale: int, shape: tuple[int, ...]
) -> None:
    """Print time and memory if it takes long; for maps, those of all layers are kept."""
    small = tuple(max(1, n // scale) for n in shape[:2])
    memory = None
    if options.what == "maps":
        taken = math.prod(small) * (1 if network.small else scale**2)
        memory = 4.0 * taken * sum(w.shape[1] for w, _ in network.layers)
    said = foreseen(
        steps_for((*small, *shape[2:]), np.dtype(np.uint8), network, scale, None), memory
    )
    if said:
        say(f"{options.files[0]}: {said}", sys.stderr)


def _logs(options: argparse.Namespace) -> list[Path]:
    """Return the logs to plot; for weights and checkpoints, the logs beside them."""
    given = options.files
    if not given:
        given = [Path(options.model)] if Path(options.model).is_file() else []
    elif options.model != _USUAL:
        raise ValueError(
            f"show curve takes logs, or weights by -m that have theirs beside them: leave out "
            f"{given[0]} or -m {options.model}"
        )
    logs = [f.with_suffix(".log") if f.suffix in (".npz", ".checkpoint") else f for f in given]
    for file, log in zip(given, logs, strict=True):
        if file != log and not log.exists():
            raise FileNotFoundError(
                f"no log {log} beside {file}: give the log that its training has written"
            )
    return logs
