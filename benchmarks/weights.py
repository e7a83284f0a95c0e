"""Trains the weights that are shipped: python -m benchmarks.weights --data FOLDER [NAME ...]

Each as `pysrcnn train` does it, by one of its recipes with the changes below. Training that was
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
from dataclasses import dataclass, replace
from pathlib import Path

from pysrcnn import load
from pysrcnn.evaluate import average, evaluate
from pysrcnn.training import RECIPES, Recipe, keep_ends, train

from . import harness
from .experiments import LARGE, LEFT_OUT

SHIPPED = harness.ROOT / "pysrcnn" / "weights"


@dataclass(frozen=True)
class Made:
    """How some weights are made: for a scale, by a recipe, from other weights, on folders."""

    scale: int
    recipe: Recipe
    start: str | None = None
    folders: tuple[str, ...] = LARGE


def _chain(scale: int, middle: int, steps: int, start: str | None = None, c: int = 1) -> Made:
    recipe = replace(RECIPES["modern"], sizes=(9, middle, 5), steps=steps, c=c)
    return Made(scale, recipe, start)


def _espcn(scale: int, steps: int, seed: int = 0, start: str | None = None) -> Made:
    recipe = replace(RECIPES["espcn"], steps=steps, seed=seed)
    return Made(scale, recipe, start, (*LARGE, "Photos76"))


# Weights for x2 and x4 start from those for x3, as most of what there is to learn is the same; not
# those of ESPCN, whose last layer is another for each.
WEIGHTS = {
    "9-1-5_x3": _chain(3, 1, 35000),
    "9-1-5_x2": _chain(2, 1, 20000, "9-1-5_x3"),
    "9-1-5_x4": _chain(4, 1, 20000, "9-1-5_x3"),
    "9-5-5_x3": _chain(3, 5, 30000),
    "9-5-5_x2": _chain(2, 5, 15000, "9-5-5_x3"),
    "9-5-5_x4": _chain(4, 5, 60000, "9-5-5_x3"),
    "9-3-5_x3": _chain(3, 3, 30000),
    "9-1-5-rgb_x3": _chain(3, 1, 26000, c=3),
    "espcn_x2": _espcn(2, 60000),
    "espcn_x3": _espcn(3, 80000, seed=1, start="espcn-first_x3"),
    "espcn_x4": _espcn(4, 60000),
}
# What some of them start from, and which is not shipped itself.
STAGES = {"espcn-first_x3": _espcn(3, 60000)}


def make(name: str, data: Path, work: Path) -> Path:
    """Train one of them, and what it starts from, if that is not done: its file."""
    result = work / f"{name}.npz"
    if result.exists():
        return result
    made = (WEIGHTS | STAGES)[name]
    train(
        [data / folder for folder in made.folders], result, made.scale, made.recipe,
        exclude=LEFT_OUT, start=made.start and make(made.start, data, work),
        resume=result.with_suffix(".checkpoint").exists(), score=data / "Set5",
        on_skipped=lambda sentences: print(*sentences, sep="\n", file=sys.stderr),
    )  # fmt: skip
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
        help="has the folders T91, BSDS200, General100, Photos76 and Set5",
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
        work = with_ends if options.keep_ends else make
        result = work(name, options.data, options.work)
        if options.install:
            shutil.copyfile(result, SHIPPED / result.name)


if __name__ == "__main__":
    main()
