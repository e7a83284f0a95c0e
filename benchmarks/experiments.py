"""What `benchmarks.paper` trains: the entries of each experiment."""

import dataclasses
from dataclasses import dataclass

from pysrcnn.training import RECIPES, Recipe

__all__ = ["EXPERIMENTS", "LARGE", "LEFT_OUT", "MODERN", "Entry"]

LARGE = ("T91", "BSDS200", "General100")
LEFT_OUT = ("302003.jpg",)  # of BSDS200: the photograph that Set5's "woman" was cut from
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
    budget : back-propagated samples, as a multiple of the usual number
    """

    name: str
    recipe: Recipe
    folders: tuple[str, ...] = LARGE
    colour: str = "Y"
    before: tuple[int, ...] = ()
    budget: float = 1


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
}
