"""What `benchmarks.paper` trains: the entries of each experiment."""

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
# Multiplications of passes forward in a step of the budget of a deep network: as many as EDSR's of
# 8 blocks of 48 maps make in one of its steps, and VDSR's of 20 layers in half of one.
WORK = 6e9
# Black and white are not kept, as those of YCbCr are others.
MODERN, PAPER = dataclasses.replace(RECIPES["modern"], keep_ends=False), RECIPES["paper"]


@dataclass(frozen=True)
class Entry:
    """One line of a table.

    Attributes
    ----------
    name : of the line, and of the files
    recipe : its number of steps is set by the experiment
    folders : of the training pictures
    colour : "Y", "RGB" or "YCbCr", what the network is given
    before : channels that the loss is restricted to in the first half of the steps
    budget : back-propagated samples, or the multiplications of a deep network, as a multiple of the
        usual number
    scales : that it is trained for; several only of a deep network
    change : what is done to the network before it is trained
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
        """Whether it is one of those that came after SRCNN."""
        return self.recipe.network != "srcnn"

    @property
    def small(self) -> bool:
        """Whether its network takes the small picture."""
        return TRAINED[self.recipe.network].small

    @functools.cached_property
    def multiplications(self) -> float:
        """Those of a pass forward of a sample, of a deep network."""
        recipe = self.recipe
        seen = TRAINED[recipe.network].from_recipe(recipe, self.scales[0]).seen
        return seen.multiplications * (seen.resolution * recipe.size) ** 2

    def trained_for(self, steps: int) -> Recipe:
        """The recipe, where so many steps are usual, in the budget of this entry."""
        recipe = self.recipe
        if self.deep:
            one, usual = self.multiplications * recipe.batch, WORK
        else:
            one, usual = recipe.batch, MODERN.batch
        mine = max(2, int(steps * usual * self.budget / one))
        drop = max(1, mine * recipe.drop // recipe.steps) if recipe.drop else 0
        return dataclasses.replace(recipe, steps=mine, drop=drop)


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
    """From a recipe that anyone would try first to the modern one, a change at a time."""
    adam = {"optimizer": "adam", "learning_rate": 1e-3, "keep_means": False}
    recipes = {
        "He, Adam": {**adam, "init": "he"},
        "identity, Adam": adam,
        "identity, Adam, kept means": {**adam, "keep_means": True},
        "identity, Muon": {"keep_means": False},
        "identity, Muon, kept means": {},
    }
    # Half of the samples, as a 9-5-5 takes longest.
    return [Entry(name, _network("9-5-5", **r), budget=0.5) for name, r in recipes.items()]


def _without_residual(network: Network) -> None:
    network.options["residual"] = False


def _of_the_sum_alone(network: Network) -> None:
    """DRCN without the supervision of all recursions: as its loss is at the end of a training."""
    whole = network.loss_and_gradients
    network.loss_and_gradients = lambda low, high, loss, done=0.0: whole(low, high, loss, 1.0)


def _residuals() -> list[Entry]:
    """VDSR's layers with and without its residual, from the same start."""
    entries = []
    for depth in (5, 10, 20):
        recipe = dataclasses.replace(RECIPES["vdsr"], depth=depth, init="he", keep_means=False)
        entries.append(Entry(f"{depth} layers", recipe))
        entries.append(Entry(f"{depth} layers, no residual", recipe, change=_without_residual))
    return entries


def _clipping() -> list[Entry]:
    """VDSR by its paper's recipe, whose rate is high; without clipping, at lower ones too."""
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
    recipes = {d: dataclasses.replace(RECIPES["drcn"], depth=d) for d in (1, 3, 6, 9)}
    entries = [Entry(counted(d, "recursion"), recipe) for d, recipe in recipes.items()]
    alone = Entry("9 recursions, not supervised", recipes[9], change=_of_the_sum_alone)
    return [*entries, alone]


def _blocks() -> list[Entry]:
    """EDSR by two losses; SRResNet, of as many blocks and maps, with and without normalisation."""
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
        Entry("paper", PAPER, ("T91",), budget=25),  # 4e6 samples; its authors took 8e8
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
