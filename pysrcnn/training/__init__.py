"""Training: recipes, the loop of steps, what it is fed with, and its log."""

from .crops import RandomCrops, SubImages
from .ends import keep_ends
from .log import read_log, run
from .loop import Progress, Training
from .optim import SGD, Adam, Muon
from .recipes import RATES, RECIPES, Recipe
from .stream import Stream

__all__ = [
    "RATES",
    "RECIPES",
    "SGD",
    "Adam",
    "Muon",
    "Progress",
    "RandomCrops",
    "Recipe",
    "Stream",
    "SubImages",
    "Training",
    "keep_ends",
    "read_log",
    "run",
]
