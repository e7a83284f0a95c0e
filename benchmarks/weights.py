"""Train the shipped weights: python -m benchmarks.weights --data FOLDER [NAME ...]

Each is trained as by `pysrcnn train`, with one of its recipes and the changes below. Run the
command again to continue an interrupted training; finished weights are not trained again. --install
then copies them to pysrcnn/weights, deep networks as float16. The dictionaries of sparse coding are
learned by `python -m pysrcnn.training.dictionary` instead.

--keep-ends trains nothing: it changes the shipped weights as `Recipe.keep_ends` changes the result
of a training, and measures them again. Weights that were trained with it do not change.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pysrcnn import load
from pysrcnn.evaluate import average, evaluate
from pysrcnn.networks import Chain, Network
from pysrcnn.training import RECIPES, Adversarial, Recipe, keep_ends, train

from . import harness
from .experiments import LARGE, LEFT_OUT

SHIPPED = harness.ROOT / "pysrcnn" / "weights"
ALL = (*LARGE, "Photos76")
VGG = "vgg16/vgg16_imagenet_conv1_1_to_conv2_2.npz"
BITS = range(3, 9)  # that weights keep below their standard deviation
MOST = 0.003  # dB that rounding may move an average


@dataclass(frozen=True)
class Made:
    """How weights are made: their scales, recipe, initial weights and training folders.

    moving: folders of photographs that a simulated camera turns into clips; features: a file of
    VGG's layers, in the folder of the data; sharpness: what is shipped of a network that was
    trained against a discriminator, see `Network.at_sharpness`.
    """

    scale: int | Sequence[int]
    recipe: Recipe
    start: str | None = None
    folders: tuple[str, ...] = LARGE
    moving: tuple[str, ...] = ()
    features: str | None = None
    sharpness: float = 1.0


def _chain(scale: int, middle: int, steps: int, start: str | None = None, c: int = 1) -> Made:
    recipe = replace(RECIPES["modern"], sizes=(9, middle, 5), steps=steps, c=c)
    return Made(scale, recipe, start)


def _espcn(scale: int, steps: int, seed: int = 0, start: str | None = None) -> Made:
    recipe = replace(RECIPES["espcn"], steps=steps, seed=seed)
    return Made(scale, recipe, start, ALL)


def _deep(
    name: str, scale: int | Sequence[int], start: str | None = None, steps: int | None = None,
    seed: int = 0,
) -> Made:  # fmt: skip
    recipe = RECIPES[name]
    return Made(scale, replace(recipe, steps=steps or recipe.steps, seed=seed), start, ALL)


def _video(scale: int) -> Made:
    recipe = replace(RECIPES["vespcn"], shrink=2, steps=14_000)
    return Made(scale, recipe, None, ("Clips14",), moving=("Photos76", "General100"))


def _slow(name: str, scale: int, start: str, steps: int) -> Made:
    """Repeat the end of a training, at lower learning rates."""
    recipe = replace(
        RECIPES[name], steps=steps, seed=2,
        learning_rate=1.5e-3, last_learning_rate=2e-4, bias_learning_rate=5e-5,
    )  # fmt: skip
    return Made(scale, recipe, start, ALL)


_SHARP = replace(
    RECIPES["srgan"], steps=3600, drop=0.7, adversarial=Adversarial(weight=3e-3)
)  # fmt: skip

# Weights for x2 and x4 start from those for x3, since most of what they learn is the same (in EDSR,
# everything but the tail); except ESPCN's, whose last layer differs.
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
    "edsr-s_x3": _deep("edsr-s", 3),
    "edsr-s_x2": _slow("edsr-s", 2, "edsr-s-first_x2", 8000),
    "edsr-s_x4": _deep("edsr-s", 4, "edsr-s_x3", 16000),
    "edsr_x3": _slow("edsr", 3, "edsr-first_x3", 5000),
    "edsr_x2": _deep("edsr", 2, "edsr-first_x3", 8000),
    "edsr_x4": _slow("edsr", 4, "edsr-first_x4", 2800),
    "vdsr_x2x3x4": Made(
        (2, 3, 4), replace(RECIPES["vdsr"], steps=24_000, loss="mse", by_adam=1), None, ALL
    ),
    "drcn_x2x3x4": _deep("drcn", (2, 3, 4), steps=14000),
    "photo_x2": _deep("photo", 2, steps=7000),
    "srresnet-s_x4": _deep("srresnet-s", 4, "srresnet-s-second_x4", 7000, seed=3),
    # Its whole way from srresnet-s looks overdone: on Set5 all measures are better before its end.
    "srgan_x4": Made(4, _SHARP, "srresnet-s-second_x4", ALL, features=VGG, sharpness=0.6),
    "vespcn_x4": _video(4),
    "vespcn_x3": _video(3),
}
# Intermediate weights that some of them start from, and that are not shipped.
STAGES = {
    "espcn-first_x3": _espcn(3, 60000),
    "edsr-s-first_x2": _deep("edsr-s", 2, "edsr-s_x3", 16000),
    "edsr-first_x3": _deep("edsr", 3, steps=16_000),
    "edsr-first_x4": _deep("edsr", 4, "edsr-first_x3", 8000),
    "srresnet-s-first_x4": _deep("srresnet-s", 4, steps=4500),
    "srresnet-s-second_x4": _deep("srresnet-s", 4, "srresnet-s-first_x4", 6000, seed=2),
}


def make(name: str, data: Path, work: Path) -> Path:
    """Train weights, and first those that they start from, unless done; return their file."""
    result = work / f"{name}.npz"
    if result.exists():
        return result
    made = (WEIGHTS | STAGES)[name]
    train(
        [data / folder for folder in made.folders], result, made.scale, made.recipe,
        exclude=() if made.moving else LEFT_OUT,
        moving=[data / folder for folder in made.moving],
        start=made.start and make(made.start, data, work),
        resume=result.with_suffix(".checkpoint").exists(),
        score=data / _test(made.recipe.frames),
        features=made.features and data / made.features,
        every=min(2000, made.recipe.steps // 5),
        on_skipped=lambda sentences: print(*sentences, sep="\n", file=sys.stderr),
    )  # fmt: skip
    return result


def with_ends(name: str, data: Path, work: Path) -> Path:
    """Let shipped weights keep black and white; return the new file."""
    network = load(SHIPPED / f"{name}.npz")
    keep_ends(network)
    network.card["recipe"]["keep_ends"] = True
    network.card["scores"] = scores_of(network, data)
    print(network.card["scores"])
    network.save(work / f"{name}.npz")
    return work / f"{name}.npz"


def scores_of(network: Network, data: Path) -> dict[str, dict[str, float]]:
    """Return the averages on Set5, or on Vid4 for video, in the form that a card stores."""
    test = _test(network.frames)
    names = {f"{test} x{s}": s for s in network.scales} or {test: network.scale}
    return {
        name: average(list(evaluate(data / test, network, scale))).for_card()
        for name, scale in names.items()
    }


def _test(frames: int) -> str:
    """Return the folder that a network is scored on."""
    return "Set5" if frames == 1 else "Vid4"


def install(result: Path, data: Path) -> Path:
    """Put weights into the package; return the new file.

    Deep networks become float16 with the fewest bits that move all averages by less than `MOST`,
    since few different numbers take little room in a wheel. Their scores are those of the rounded
    weights.
    """
    shipped, network = SHIPPED / result.name, load(result)
    if network.start is not None:
        network = softened(network, WEIGHTS[result.stem].sharpness)
    if isinstance(network, Chain):
        network.save(shipped)
        return shipped
    before = scores_of(network, data)
    for bits in BITS:
        half = rounded(network, bits)
        after = scores_of(half, data)
        moved = max(abs(after[name]["PSNR"] - before[name]["PSNR"]) for name in before)
        print(f"with {bits} bits, averages move by up to {moved:.4f} dB")
        if moved < MOST:
            half.card["scores"] = after
            half.save(shipped, half=True)
            return shipped
    print(f"{shipped.name} stays float32")
    network.save(shipped)
    return shipped


def softened(network: Network, sharpness: float) -> Network:
    """Return a network at a sharpness, from which less can still be chosen."""
    softer = network.at_sharpness(sharpness)
    softer.start = network.start
    del softer.card["sharpness"]
    softer.card["notes"] = [f"sharpness 1 is {sharpness:g} of what its training ended with"]
    return softer


def rounded(network: Network, bits: int) -> Network:
    """Round a network to float16, and its weights to steps of `bits` bits below their deviation.

    The taps of each kernel carry their errors on to the next, so that its sum moves by half a step
    at most: what networks do to flat parts of pictures is what rounding would change most visibly.
    """
    narrow = network.astype(network.dtype)
    for parameter in (*narrow.parameters.values(), *(narrow.start or {}).values()):
        if parameter.ndim > 1 and parameter.std() > 0:
            step = 2.0 ** np.round(np.log2(parameter.std()) - bits)
            taps = parameter.reshape(*parameter.shape[:2], -1)
            sums = np.round(np.cumsum(taps, axis=2, dtype=np.float64) / step)
            parameter[...] = step * np.diff(sums, axis=2, prepend=0).reshape(parameter.shape)
        parameter[...] = parameter.astype(np.float16)
    return narrow


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.weights", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(WEIGHTS)} (default: all)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER",
        help="has the folders T91, BSDS200, General100, Photos76, Clips14, Set5 and vgg16",
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
    # Only the recipes of chains of layers keep black and white.
    kept = [name for name, made in WEIGHTS.items() if made.recipe.keep_ends]
    names = options.names or (kept if options.keep_ends else list(WEIGHTS))
    for name in names:
        if name not in WEIGHTS:
            parser.error(f"no weights are called {name}: there are {', '.join(WEIGHTS)}")
    options.work.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"\n{name}", flush=True)
        work = with_ends if options.keep_ends else make
        result = work(name, options.data, options.work)
        if options.install:
            install(result, options.data)


if __name__ == "__main__":
    main()
