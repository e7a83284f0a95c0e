"""Training of networks: recipes, samples, the training loop and its log; `train` runs it all."""

from ..networks import load_features
from .adversarial import Adversarial
from .crops import RandomCrops, SubImages
from .degradation import DEGRADATIONS, Degradation
from .ends import keep_ends
from .files import train
from .fitting import fit
from .log import read_log
from .loop import Progress, Training
from .optim import SGD, Adam, Muon
from .recipe import RATES, Recipe
from .recipes import RECIPES
from .stream import Stream

__all__ = [
    "DEGRADATIONS",
    "RATES",
    "RECIPES",
    "SGD",
    "Adam",
    "Adversarial",
    "Degradation",
    "Muon",
    "Progress",
    "RandomCrops",
    "Recipe",
    "Stream",
    "SubImages",
    "Training",
    "fit",
    "keep_ends",
    "load_features",
    "read_log",
    "train",
]
