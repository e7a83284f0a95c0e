"""``pysrcnn gradcheck``: compare gradients of another program with the reference."""

import argparse
import re
from pathlib import Path

from .._printing import say
from ..formats import read_arrays
from ..gradcheck import LAYOUTS, PADDINGS, WEIGHTS, case, gradcheck, write_case
from ..gradcheck.deep_networks import DEEP
from ..networks import LOSSES
from ..networks.espcn import ACTIVATIONS
from ..networks.vespcn import FUSIONS
from .common import Commands, add_overwrite, check_free

__all__ = ["add", "run"]

_CASE = "case of pysrcnn"


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "gradcheck", help="compare your gradients with the reference, and say what is wrong",
        description="Compare gradients from another program with those of the reference, and name "
        "the mistake. --write writes a batch and weights to compute gradients from, and the right "
        "answers.",
    )  # fmt: skip
    command.add_argument(
        "gradients", nargs="?", type=Path, metavar="MINE.npz",
        help="arrays loss, dW1, dB1, dW2, ...; also F1, F2, F3, dF3, dF2, dF1, dlow if you have "
        "them, and output and doutput of ESPCN and deep networks",
    )  # fmt: skip
    command.add_argument(
        "--network", default="9-1-5", metavar="9-1-5",
        help=f"filter sizes, or espcn, {', '.join(DEEP)} (default: 9-1-5)",
    )  # fmt: skip
    command.add_argument(
        "--scale", type=int, metavar="S",
        help="factor by which espcn (default: 3), edsr, srresnet and vespcn (2) enlarge",
    )  # fmt: skip
    command.add_argument(
        "--activation", choices=ACTIVATIONS,
        help="activation after the layers of espcn in your program (default: tanh)",
    )  # fmt: skip
    command.add_argument(
        "--padding", choices=PADDINGS,
        help="padding of the layers; valid: none (default: valid; deep networks pad with zeros)",
    )  # fmt: skip
    _add_deep(command.add_argument_group(f"deep networks ({', '.join(DEEP)})"))
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
        help="largest error that passes, relative to the largest value of an array (default: as "
        "much as rounding explains)",
    )  # fmt: skip
    command.add_argument(
        "--write", type=Path, metavar="CASE.npz",
        help="write the batch, the weights and all right answers",
    )  # fmt: skip
    add_overwrite(command, _CASE)
    command.set_defaults(run=run)


def _add_deep(deep: argparse._ArgumentGroup) -> None:
    """Add the options for deep networks."""
    deep.add_argument(
        "--depth", type=int, metavar="D",
        help="layers of vdsr (default: 5), recursions of drcn (3), blocks of edsr and srresnet "
        "(2), layers of vespcn after the motion (3)",
    )  # fmt: skip
    deep.add_argument("--filters", type=int, metavar="N", help="maps of each layer (default: 6)")
    deep.add_argument(
        "--channels", type=int, choices=(1, 3), help="channels of pictures (default: 1)"
    )
    deep.add_argument("--loss", choices=LOSSES, help="loss (default: mse; for edsr l1)")
    deep.add_argument(
        "--alpha", type=float, metavar="A",
        help="drcn: weight of the loss of each recursion's picture (default: 0.6)",
    )  # fmt: skip
    deep.add_argument(
        "--residual-scale", type=float, metavar="T",
        help="edsr: factor on the output of each block (default: 1)",
    )  # fmt: skip
    deep.add_argument(
        "--short-tail", action="store_const", const=True,
        help="edsr: the last layer has a filter for each sub-pixel",
    )  # fmt: skip
    deep.add_argument(
        "--picture", action="store_const", const=True,
        help="edsr, srresnet and vespcn: add the small picture to the output, each pixel repeated",
    )  # fmt: skip
    deep.add_argument(
        "--no-batch-norm", dest="batch_norm", action="store_const", const=False,
        help="srresnet: without batch normalisation",
    )  # fmt: skip
    deep.add_argument(
        "--running-statistics", dest="training", action="store_const", const=False,
        help="srresnet: batch normalisation with running mean and variance, as in inference "
        "(default: with those of the batch, as in training)",
    )  # fmt: skip
    deep.add_argument(
        "--frames", type=int, choices=(3, 5, 7), help="vespcn: number of input frames (default: 3)"
    )
    deep.add_argument(
        "--fusion", choices=FUSIONS, help="vespcn: how it fuses the frames (default: early)"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    if (options.gradients is None) == (options.write is None):
        raise ValueError(
            "gradcheck wants a file of gradients, or --write and a file to write"
            + (", not both" if options.write else "")
        )
    if options.write:
        if options.tolerance is not None:
            raise ValueError("--tolerance is for checking a file of gradients: leave it out")
        check_free(options.write, options.overwrite, _CASE)
    elif options.overwrite:
        raise ValueError("--overwrite is for the file of --write: leave it out")
    names = ["depth", "loss", "alpha", "residual_scale", "short_tail", "picture"]
    names += ["batch_norm", "training", "frames", "fusion"]
    given = {name: getattr(options, name) for name in names}
    given["filters"] = None if options.filters is None else (options.filters,)
    of_deep = {name: value for name, value in given.items() if value is not None}
    made = case(
        options.network, layout=options.layout, weights=options.weights, seed=options.seed,
        scale=options.scale, activation=options.activation, padding=options.padding,
        c=options.channels or 1, **of_deep,
    )  # fmt: skip
    if options.write:
        write_case(options.write, made)
        say(str(options.write))
        return 0
    arrays = read_arrays(options.gradients)
    if arrays and all(re.fullmatch(r"[WBAGMV]\w*|w", name) for name in arrays):
        raise TypeError(
            f"{options.gradients} holds trained weights: give gradients, such as dW1, dB1, ..."
        )
    report = gradcheck(arrays, made, tolerance=options.tolerance)
    print(report)
    return 0 if report.ok else 1
