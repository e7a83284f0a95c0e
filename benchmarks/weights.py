"""Trains the weights that are shipped: python -m benchmarks.weights --data FOLDER [NAME ...]

Each by `pysrcnn train` with the arguments below and the modern recipe. Training that was
interrupted goes on where it was when the command is given again, and what is finished is not
trained again; --install then copies all of them to pysrcnn/weights. The dictionaries of sparse
coding are not among them: `python -m pysrcnn.training.dictionary` learns those.

--keep-ends trains nothing: it takes the shipped weights, does to them what `Recipe.keep_ends` does
to the result of a training, and measures them again. Of weights that have it already, nothing
changes.
"""

import argparse
import shutil
import sys
from pathlib import Path

from pysrcnn import cli, load
from pysrcnn.evaluate import average, evaluate
from pysrcnn.training.ends import keep_ends

from . import harness
from .experiments import LARGE, LEFT_OUT

SHIPPED = harness.ROOT / "pysrcnn" / "weights"
# Weights for x2 and x4 start from those for x3, as most of what there is to learn is the same.
WEIGHTS = {
    "9-1-5_x3": "-s 3 --network 9-1-5 --steps 35000",
    "9-1-5_x2": "-s 2 --network 9-1-5 --steps 20000 --start 9-1-5_x3.npz",
    "9-1-5_x4": "-s 4 --network 9-1-5 --steps 20000 --start 9-1-5_x3.npz",
    "9-5-5_x3": "-s 3 --network 9-5-5 --steps 30000",
    "9-5-5_x2": "-s 2 --network 9-5-5 --steps 15000 --start 9-5-5_x3.npz",
    "9-5-5_x4": "-s 4 --network 9-5-5 --steps 60000 --start 9-5-5_x3.npz",
    "9-3-5_x3": "-s 3 --network 9-3-5 --steps 30000",
    "9-1-5-rgb_x3": "-s 3 --network 9-1-5 --channels 3 --steps 26000",
}


def train(name: str, data: Path, work: Path) -> Path:
    """Train one of them, if that is not done: its file."""
    result = work / f"{name}.npz"
    if result.exists():
        return result
    arguments = [str(work / x) if x.endswith(".npz") else x for x in WEIGHTS[name].split()]
    command = ["train", *(str(data / folder) for folder in LARGE), *arguments, "-o", str(result)]
    command += [f"--exclude={picture}" for picture in LEFT_OUT]
    command += ["--score", str(data / "Set5")]
    if result.with_suffix(".checkpoint").exists():
        command.append("--resume")
    code = cli.main(command)
    if code:
        sys.exit(code)
    return result


def with_ends(name: str, data: Path, work: Path) -> Path:
    """The shipped weights of that name, black and white kept: their file."""
    network = load(SHIPPED / f"{name}.npz")
    keep_ends(network)
    network.card["recipe"]["keep_ends"] = True
    network.card["scores"] = {"Set5": average(list(evaluate(data / "Set5", network))).for_card()}
    print(network.card["scores"])
    network.save(work / f"{name}.npz")
    return work / f"{name}.npz"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.weights", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(WEIGHTS)} (default: all)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER",
        help="has the folders T91, BSDS200, General100 and Set5",
    )  # fmt: skip
    parser.add_argument(
        "--work", type=Path, default=harness.ROOT / "build" / "weights", metavar="FOLDER",
        help="checkpoints, logs and trained weights",
    )  # fmt: skip
    parser.add_argument(
        "--keep-ends", action="store_true",
        help="instead of training, let the shipped weights keep black and white",
    )  # fmt: skip
    parser.add_argument("--install", action="store_true", help="copy them to pysrcnn/weights")
    options = parser.parse_args()
    names = options.names or list(WEIGHTS)
    for name in names:
        if name not in WEIGHTS:
            parser.error(f"no weights are called {name}: there are {', '.join(WEIGHTS)}")
    options.work.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"\n{name}", flush=True)
        make = with_ends if options.keep_ends else train
        result = make(name, options.data, options.work)
        if options.install:
            shutil.copyfile(result, SHIPPED / result.name)


if __name__ == "__main__":
    main()
