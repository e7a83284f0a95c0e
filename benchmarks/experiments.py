"""The experiments of `benchmarks.paper`: what each of their entries trains."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

from pysrcnn._printing import counted
from pysrcnn.networks import TRAINED, Network
from pysrcnn.training import RECIPES, Recipe

__all__ = ["EXPERIMENTS", "LARGE", "LEFT_OUT", "MODERN", "SCALE", "Entry"]

SCALE = 3
LARGE = ("T91", "BSDS200", "General100")
LEFT_OUT = ("302003.jpg",)  # of BSDS200: the photograph that Set5's "woman" was cut from
# The budget of a deep network per step, in multiplications of the forward pass: one step of an EDSR
# of 8 blocks of 48 maps, or half a step of a VDSR of 20 layers.
WORK = 6e9
# Black and white are not kept, since they have other values in YCbCr.
MODERN, PAPER = dataclasses.replace(RECIPES["modern"], keep_ends=False), RECIPES["paper"]


@dataclass(frozen=True)
class Entry:
    """One line of a table.

    Attributes
    ----------
    name : name of the line and of the files
    recipe : the recipe; the experiment sets its number of steps
    folders : folders of training pictures
    colour : "Y", "RGB" or "YCbCr", the input of the network
    before : channels that the loss is restricted to in the first half of the steps, if any
    budget : back-propagated samples, or multiplications of a deep network, relative to the usual
        number
    scales : scales that it is trained for; several only for a deep network
    change : function that changes the network before training
    """

    name: str
    recipe: Recipe
    folders: tuple[str, ...] = LARGE
    colour: str = "Y"
    before: tuple[int, ...] = ()
    budget: float = 1
    scales: tuple[int, ...] = (SCALE,)
    change: Callable[[Network], None] | None = None

    @property
    def deep(self) -> bool:
        """Whether its network is a successor of SRCNN."""
        return self.recipe.network != "srcnn"

    @property
    def small(self) -> bool:
        """Whether its network takes the small picture."""
        return TRAINED[self.recipe.network].small

    @functools.cached_property
    def multiplications(self) -> float:
        """Multiplications of a deep network's forward pass of one sample."""
        recipe = self.recipe
        seen = TRAINED[recipe.network].from_recipe(recipe, self.scales[0]).seen
        return seen.multiplications * (seen.resolution * recipe.size) ** 2

    def trained_for(self, steps: int) -> Recipe:
        """Return the recipe with this entry's number of steps; `steps` is the usual number."""
        recipe = self.recipe
        if self.deep:
            one, usual = self.multiplications * recipe.batch, WORK
        else:
            one, usual = recipe.batch, MODERN.batch
        mine = max(2, int(steps * usual * self.budget / one))
        return dataclasses.replace(recipe, steps=mine)


def _network(sizes: str, *filters: int, recipe: Recipe = MODERN, **changes) -> Recipe:
    sizes = tuple(int(f) for f in sizes.split("-"))
    return dataclasses.replace(
        recipe, sizes=sizes, filters=filters or (64, 32, 16)[: len(sizes) - 1], **changes
    )


def _depth() -> list[Entry]:
    he = {"init": "he", "paper_loss": False, "learning_rate": 1e-2, "last_learning_rate": 1e-3}
    entries = []
    for sizes in ("9-1-5", "9-1-1-5", "9-3-1-5", "9-3-3-5"):
        entries += [
            Entry(f"{sizes} paper", _network(sizes, recipe=PAPER)),
            Entry(f"{sizes} He", _network(sizes, recipe=PAPER, **he)),
            Entry(sizes, _network(sizes)),
        ]
    return entries


def _recipes() -> list[Entry]:
    """Change an obvious recipe into the modern one, one change at a time."""
    adam = {"optimizer": "adam", "learning_rate": 1e-3, "keep_means": False}
    recipes = {
        "He, Adam": {**adam, "init": "he"},
        "identity, Adam": adam,
        "identity, Adam, kept means": {**adam, "keep_means": True},
        "identity, Muon": {"keep_means": False},
        "identity, Muon, kept means": {},
    }
    # Half of the samples, as a 9-5-5 is slow to train.
    return [Entry(name, _network("9-5-5", **r), budget=0.5) for name, r in recipes.items()]


def _without_residual(network: Network) -> None:
    network.options["residual"] = False


def _of_the_sum_alone(network: Network) -> None:
    """Train DRCN without supervising its recursions, with the loss of the end of training."""
    whole = network.loss_and_gradients
    network.loss_and_gradients = lambda low, high, loss, done=0.0: whole(low, high, loss, 1.0)


def _residuals() -> list[Entry]:
    """Compare VDSR's layers with and without its residual, from the same initial weights."""
    entries = []
    for depth in (5, 10, 20):
        recipe = dataclasses.replace(RECIPES["vdsr"], depth=depth, init="he", keep_means=False)
        entries.append(Entry(f"{depth} layers", recipe))
        entries.append(Entry(f"{depth} layers, no residual", recipe, change=_without_residual))
    return entries


def _clipping() -> list[Entry]:
    """Train VDSR with its paper's high learning rate and several thresholds of clipping.

    Without clipping, lower learning rates are tried, too.
    """
    entries = []
    for rate, clip in (
        ("0.1", "0.01"), ("0.1", "0.001"), ("0.1", "0.0001"),
        ("0.1", "0"), ("0.0001", "0"), ("0.00001", "0"),
    ):  # fmt: skip
        rates = dict.fromkeys(("learning_rate", "last_learning_rate"), float(rate))
        recipe = dataclasses.replace(RECIPES["vdsr-paper"], **rates, clip=float(clip))
        limit = f"theta {clip}" if recipe.clip else "not clipped"
        entries.append(Entry(f"rate {rate}, {limit}", recipe))
    return entries


def _recursions() -> list[Entry]:
    recipes = {d: dataclasses.replace(RECIPES["drcn"], depth=d, loss="mse") for d in (1, 3, 6, 9)}
    entries = [Entry(counted(d, "recursion"), recipe) for d, recipe in recipes.items()]
    alone = Entry("9 recursions, not supervised", recipes[9], change=_of_the_sum_alone)
    return [*entries, alone]


def _blocks() -> list[Entry]:
    """Compare EDSR with two losses, and an SRResNet of its size with and without batch norm."""
    edsr, srresnet = RECIPES["edsr-s"], RECIPES["srresnet"]
    entries = [
        Entry(f"EDSR, {loss}", dataclasses.replace(edsr, loss=loss)) for loss in ("l1", "mse")
    ]
    for name, norm in (("SRResNet", True), ("SRResNet, no batch norm", False)):
        recipe = dataclasses.replace(srresnet, depth=edsr.depth, width=edsr.width, batch_norm=norm)
        entries.append(Entry(name, recipe))
    return entries


EXPERIMENTS = {
    "recipe": _recipes(),
    "filters": [
        Entry(f"{n1}-{n2}", _network("9-1-5", n1, n2)) for n1, n2 in ((128, 64), (64, 32), (32, 16))
    ],
    "sizes": [Entry(sizes, _network(sizes)) for sizes in ("9-1-5", "9-3-5", "9-5-5", "11-1-7")],
    "depth": _depth(),
    "data": [
        Entry("T91", MODERN, ("T91",)),
        Entry("T91 + BSDS200 + General100", MODERN, LARGE),
    ],
    "colour": [
        Entry("Y only", MODERN, ("T91",)),
        Entry("YCbCr", _network("9-1-5", c=3), ("T91",), "YCbCr"),
        Entry("Y pre-train", _network("9-1-5", c=3), ("T91",), "YCbCr", (0,)),
        Entry("CbCr pre-train", _network("9-1-5", c=3), ("T91",), "YCbCr", (1, 2)),
        Entry("RGB", _network("9-1-5", c=3), ("T91",), "RGB"),
    ],
    "convergence": [
        Entry("paper", PAPER, ("T91",), budget=25),  # 4e6 samples; the authors used 8e8
        Entry("modern", MODERN, ("T91",), budget=2),
    ],
    "residual": _residuals(),
    "clipping": _clipping(),
    "scales": [
        Entry(" ".join(f"x{s}" for s in scales), RECIPES["vdsr"], scales=scales)
        for scales in ((2, 3, 4), (2,), (3,), (4,))
    ],
    "recursions": _recursions(),
    "blocks": _blocks(),
}
