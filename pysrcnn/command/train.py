"""``pysrcnn train``: train a network on folders of pictures."""

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Any

from .._printing import counted, say
from ..evaluate import average
from ..networks import LOSSES, TRAINED, Chain
from ..networks.espcn import ACTIVATIONS
from ..networks.loading import FEATURES
from ..networks.vespcn import FUSIONS
from ..pictures import list_unread, quiet_readers
from ..training.adversarial import Adversarial
from ..training.degradation import DEGRADATIONS
from ..training.files import FileTraining
from ..training.recipe import RATES, Recipe
from ..training.recipes import RECIPES
from ..training.split import IN_MEMORY, IN_MEMORY_PIXELS
from .common import (
    Commands,
    add_features,
    add_threads,
    complain,
    refuse_weights,
    sizes,
    whole_factor,
)
from .evaluate import averaged, print_score, print_title

__all__ = ["add", "run"]

# Options with the names of a recipe's fields.
_AS_GIVEN = (
    "activation", "filters", "depth", "width", "frames", "fusion", "shrink", "reduced", "loss",
    "steps", "batch", "size", "optimizer", "seed",
)  # fmt: skip


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "train", help="train a network on a folder of pictures",
        description="Train a network on folders of pictures. The recipe sets every option that you "
        "do not give, including the learning rates.",
    )  # fmt: skip
    add_threads(command)
    command.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER",
        help="folders of training pictures, including subfolders; for a vespcn, of clips: folders "
        "of frames, and videos; unusable pictures are named and left out, and the exit code is "
        "then 2, as for evaluate",
    )  # fmt: skip
    command.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN",
        help="pictures to leave out, by name or pattern (302003.jpg, *.gif, BSDS200/30*); may be "
        "given more than once",
    )  # fmt: skip
    command.add_argument(
        "--moving", type=Path, action="append", metavar="FOLDER",
        help="photographs to train a vespcn on besides clips: a camera moves over each of them; "
        "may be given more than once",
    )  # fmt: skip
    command.add_argument(
        "-s", "--scale", type=_scales, metavar="{2,3,4}", required=True,
        help="factor of enlargement; a network that takes enlarged pictures (SRCNN, vdsr or drcn) "
        "may train for several, such as 2,3,4",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="WEIGHTS.npz", help="file to write"
    )
    _add_network(command)
    _add_steps(command)
    _add_course(command)
    _add_adversarial(command)
    command.set_defaults(run=run)


def _add_network(command: argparse.ArgumentParser) -> None:
    """Add the options for the recipe, the network, its input and its loss."""
    command.add_argument(
        "--recipe", choices=RECIPES, metavar="NAME",
        help=f"sets whatever is not given: {', '.join(RECIPES)} (default: that of the network, "
        f"modern for an SRCNN)",
    )  # fmt: skip
    command.add_argument(
        "--network", type=_network, metavar="9-1-5",
        help="filter sizes of an SRCNN, one per layer; or espcn, vdsr, drcn, edsr, srresnet or "
        "vespcn, which is trained on clips: folders of frames, one folder each, and videos",
    )  # fmt: skip
    command.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        help="activation between the layers of espcn (default: relu)",
    )
    command.add_argument(
        "--filters", type=sizes, metavar="64-32", help="filters in each layer but the last"
    )
    command.add_argument(
        "--depth",
        type=int,
        help="layers of a vdsr, recursions of a drcn, residual blocks of an edsr or srresnet, "
        "layers of a vespcn after the motion",
    )
    command.add_argument("--width", type=int, help="filters in each layer of these networks")
    command.add_argument(
        "--frames",
        type=int,
        choices=(3, 5, 7),
        help="number of input frames of a vespcn (default: 3)",
    )
    command.add_argument(
        "--fusion", choices=FUSIONS,
        help="how a vespcn fuses frames: early, all at once; slow, two more in each layer; "
        "subpixel, all at once, with the place between pixels where each was sampled (default: "
        "subpixel)",
    )  # fmt: skip
    command.add_argument(
        "--shrink", type=int, metavar="TIMES",
        help="first make the frames of clips this many times smaller, which removes compression "
        "artefacts",
    )  # fmt: skip
    command.add_argument(
        "--reduced", type=_factors, metavar="0.9,0.7",
        help="also train on each picture made smaller by these factors",
    )  # fmt: skip
    command.add_argument(
        "--no-batch-norm", action="store_true", help="train a srresnet without batch normalisation"
    )
    command.add_argument(
        "--loss", choices=LOSSES, help="squared error, absolute error, or a smooth absolute error"
    )
    command.add_argument(
        "--degradation", choices=("none", *DEGRADATIONS),
        help="degradation of the small pictures, for espcn, edsr and srresnet; photo: a little "
        "blur, noise and JPEG at random, so that the network learns to remove them",
    )  # fmt: skip
    command.add_argument("--channels", type=int, choices=(1, 3), help="1 for luminance, 3 for RGB")


def _add_steps(command: argparse.ArgumentParser) -> None:
    """Add the options for steps, batches, optimizer and initial weights."""
    command.add_argument("--steps", type=int, help="number of steps, one batch each")
    command.add_argument("--batch", type=int, help="sub-images per step")
    command.add_argument(
        "--size", type=int,
        help="side of the sub-images in pixels; for espcn, edsr, srresnet and vespcn, in pixels of "
        "the small picture",
    )  # fmt: skip
    command.add_argument(
        "--stride", type=int,
        help="distance between sub-images in pixels; 0: at random places, rotated and flipped",
    )  # fmt: skip
    command.add_argument(
        "--optimizer", choices=RATES,
        help="optimizer; sgd has momentum 0.9; another optimizer than the recipe's has its own "
        "learning rates",
    )  # fmt: skip
    command.add_argument(
        "--learning-rate", type=float, metavar="RATE",
        help="learning rate of all layers but the last; the rates of the last layer, the biases "
        "and the discriminator keep their ratio to it",
    )  # fmt: skip
    command.add_argument(
        "--seed", type=int, help="random seed for the initial weights and the samples"
    )
    command.add_argument(
        "--start", type=Path, metavar="WEIGHTS",
        help="weights to start from, for a network of the same sizes: an SRCNN, vdsr, drcn or edsr "
        "for any scale, an espcn or srresnet for this scale; the tail of an edsr for another scale "
        "is reinitialised; srgan needs this option",
    )  # fmt: skip


def _add_course(command: argparse.ArgumentParser) -> None:
    """Add the options for validation, checkpoints, resuming and final scores."""
    command.add_argument(
        "--validation", type=Path, metavar="FOLDER",
        help="pictures to measure PSNR on during training, but not to train on (default: every "
        "20th training picture, at most 20; for a vespcn, every 7th folder or video)",
    )  # fmt: skip
    command.add_argument(
        "--stream", action="store_true",
        help=f"read pictures while training instead of all at the start (the default for more than "
        f"{IN_MEMORY} pictures or frames, or {IN_MEMORY_PIXELS / 1e6:.0f} megapixels, where RGB "
        f"counts three times)",
    )  # fmt: skip
    command.add_argument(
        "--every", type=int, default=2000, metavar="STEPS",
        help="steps between validations; each is logged, in WEIGHTS.log, and writes a checkpoint "
        "(default: 2000)",
    )  # fmt: skip
    command.add_argument(
        "--resume",
        action="store_true",
        help="continue from the last checkpoint, WEIGHTS.checkpoint",
    )
    command.add_argument(
        "--score", type=Path, metavar="FOLDER",
        help="evaluate on these pictures at the end, and store the averages in the weights' card",
    )  # fmt: skip


def _add_adversarial(command: argparse.ArgumentParser) -> None:
    """Add the options for training against a discriminator."""
    add_features(command, f"for srgan, what content is compared by (default: {FEATURES[0]})")
    command.add_argument(
        "--adversarial", type=float, metavar="WEIGHT",
        help="for srgan, weight of the adversarial loss (default: 0.005, which suits relu2_2 of "
        "VGG and an edsr)",
    )  # fmt: skip
    command.add_argument(
        "--pixels", type=float, metavar="WEIGHT",
        help="for srgan, weight of the pixel loss, which --loss names (default: 10)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    quiet_readers()
    for folder in options.folders:
        refuse_weights(folder, f"give a folder of pictures, and weights with --start {folder}")
    training = FileTraining(
        options.folders, options.output, options.scale, _recipe(options),
        exclude=options.exclude, moving=options.moving or [], validation=options.validation,
        start=options.start, stream=options.stream, every=options.every, resume=options.resume,
        score=options.score, features=options.features, layer=options.layer,
        on_skipped=_print_skipped,
    )  # fmt: skip
    try:
        network = training.fit()
    except (KeyboardInterrupt, SystemExit):
        if not training.checkpoint.exists():
            say("nothing is saved: there is no checkpoint yet", sys.stderr)
        raise
    clips = training.recipe.frames > 1
    failed: list[int] = []  # at one scale, at last the largest, where most pictures fail
    told: set[str] = set()

    def tell(error: Exception) -> None:
        failed.append(2)
        if str(error) not in told:  # a picture fails at each scale
            complain(error, 2)
        told.add(str(error))

    scores = []
    for scale in training.scales:
        failed.clear()
        scores = training.score(network, scale, tell)
        if scores:
            print_title(scale, options.output.name)
            print_score(average(scores))
    say(f"{options.output}: {network!r}")
    code = averaged(scores, failed, list_unread(options.score) if options.score else [], clips)
    if training.skipped:
        used = counted(training.used, "clip" if clips else "picture")
        say(f"trained on {used}, {len(training.skipped)} failed", sys.stderr)
        code = 2
    return 1 if training.training.stopped else 2 if told else code


def _recipe(options: argparse.Namespace) -> Recipe:
    """Return the chosen recipe with the changes of the command line."""
    name, layers = options.network or (None, None)
    default = TRAINED[name or "srcnn"].default_recipe
    recipe = RECIPES[options.recipe or default]
    if name and name != recipe.network:
        kinds = [TRAINED[kind] for kind in (name, recipe.network)]
        if recipe.paper_loss or not all(issubclass(kind, Chain) for kind in kinds):
            others = [n for n, other in RECIPES.items() if other.network == name]
            raise ValueError(
                f"{options.recipe} is a recipe for {recipe.network.upper()}: for {name.upper()}, "
                f"give {' or '.join(others)}"
            )
    changes: dict[str, Any] = {n: getattr(options, n) for n in _AS_GIVEN}
    changes = {n: value for n, value in changes.items() if value is not None}
    if options.channels is not None:
        changes["c"] = options.channels
    kind = name or recipe.network
    if options.degradation is not None:
        changes["degradation"] = DEGRADATIONS.get(options.degradation)
    if options.no_batch_norm:
        changes["batch_norm"] = False
    _check_options(
        kind, {n for n, value in vars(options).items() if value is not None and value is not False}
    )
    if name is not None:
        changes |= {"network": name, "sizes": layers or RECIPES[default].sizes}
        if layers and options.filters is None:  # with fewer layers, the recipe's first numbers
            changes["filters"] = recipe.filters[: len(layers) - 1]
    if options.stride is not None:
        changes["stride"] = options.stride or None
    if options.optimizer not in (None, recipe.optimizer):
        rate, last = RATES[options.optimizer]
        recipe = dataclasses.replace(
            recipe, learning_rate=rate, last_learning_rate=last, bias_learning_rate=None,
            by_adam=1, clip=0.0, weight_decay=0.0, paper_loss=False,
        )  # fmt: skip
    if options.learning_rate is not None:
        for name in ("learning_rate", "last_learning_rate", "bias_learning_rate"):
            rate = getattr(recipe, name)
            if rate is not None:  # keeps its ratio to the first rate
                changes[name] = options.learning_rate * (rate / recipe.learning_rate)
    if adversarial := _adversarial(options, recipe):
        changes["adversarial"] = adversarial
    recipe = dataclasses.replace(recipe, **changes)
    _check_filters(recipe, options.filters is not None)
    return recipe


def _check_filters(recipe: Recipe, given: bool) -> None:
    """Raise a ValueError unless each layer but the last has a number of filters."""
    layers, filters = len(recipe.sizes), len(recipe.filters)
    if not layers or filters == layers - 1:
        return
    numbers = (*RECIPES["modern"].filters, *[16] * layers)[: layers - 1]
    example = f"give them, for example with --filters {'-'.join(map(str, numbers))}"
    raise ValueError(
        f"{counted(layers, 'layer')} {'needs' if layers == 1 else 'need'} "
        f"{counted(layers - 1, 'number')} of filters, of all but the last"
        f"{f', got {filters}' if given else ''}: {example if numbers else 'leave --filters out'}"
    )


def _adversarial(options: argparse.Namespace, recipe: Recipe) -> Adversarial | None:
    """Return the recipe's adversarial settings with the changes of the command line."""
    given = {"weight": options.adversarial, "pixels": options.pixels}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = recipe.adversarial
    if settings is None:
        if changes:
            raise ValueError(
                "--adversarial and --pixels are for a recipe with a discriminator: give --recipe "
                "srgan, or leave them out"
            )
        return None
    if options.learning_rate is not None:  # keeps its ratio to the generator's
        ratio = options.learning_rate / recipe.learning_rate
        changes["learning_rate"] = ratio * settings.learning_rate
    return dataclasses.replace(settings, **changes)


def _check_options(kind: str, given: set[str]) -> None:
    """Raise a ValueError if one of the given options is for other kinds of networks."""
    chain = issubclass(TRAINED[kind], Chain)
    if "activation" in given and kind != "espcn":
        raise ValueError(f"only espcn takes --activation, and this is {kind}: leave it out")
    if "no_batch_norm" in given and kind != "srresnet":
        raise ValueError(f"only srresnet takes --no-batch-norm, and this is {kind}: leave it out")
    for option in ("frames", "fusion", "shrink", "moving"):
        if option in given and kind != "vespcn":
            raise ValueError(f"only vespcn takes --{option}, and this is {kind}: leave it out")
    theirs = "--filters" if chain else "--depth and --width"
    for option in ("depth", "width") if chain else ("filters",):
        if option in given:
            raise ValueError(
                f"{kind} does not take --{option}, its sizes are given by {theirs}: leave it out"
            )


def _scales(text: str) -> tuple[int, ...]:
    """Parse "3" into (3,), "2,3,4" into (2, 3, 4)."""
    return tuple(whole_factor(part) for part in text.split(","))


def _factors(text: str) -> tuple[float, ...]:
    """Parse "0.9,0.7" into (0.9, 0.7)."""
    with contextlib.suppress(ValueError):
        factors = tuple(float(part) for part in text.split(","))
        if all(0 < factor < 1 for factor in factors):
            return factors
    raise argparse.ArgumentTypeError(f"{text} is not factors between 0 and 1, such as 0.9,0.7")


def _network(text: str) -> tuple[str, tuple[int, ...] | None]:
    """Parse the name of a network, or the filter sizes of an SRCNN; return name and sizes."""
    if text in TRAINED and text != "srcnn":
        return text, None
    try:
        return "srcnn", sizes(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text} is neither the filter sizes of an SRCNN, such as 9-1-5, nor one of "
            f"{', '.join(kind for kind in TRAINED if kind != 'srcnn')}"
        ) from None


def _print_skipped(skipped: list[str], named: int = 20) -> None:
    for sentence in skipped[:named]:
        complain(sentence, 2)
    if len(skipped) > named:
        complain(f"{len(skipped) - named} more pictures cannot be used", 2)
