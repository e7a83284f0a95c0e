"""`Recipe`: all settings of a training, apart from the pictures; `recipes` has those that ship.

The loss of this package is the mean over all elements of the squared error (`reference.mse`). A
learning rate depends on this normalisation: the paper's network is trained on

    1 / (2 N) * sum over N samples and all their pixels of the squared error,

which is (c * 21 * 21 / 2) times ours for 9-1-5 on 33 x 33 sub-images; its learning rates of 1e-4
and 1e-5 are therefore 2.2e-2 and 2.2e-3 here. `Recipe.rates` does that conversion.
"""

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..checks import check_whole, is_real, is_whole
from ..networks import LOSSES, TRAINED, VESPCN, Chain, Network
from ..networks.motion import GRID
from ..networks.vespcn import check_fusion
from .adversarial import Adversarial
from .degradation import Degradation
from .optim import OPTIMIZERS

__all__ = ["RATES", "Recipe", "as_now"]

# (learning_rate, last_learning_rate) that suit each optimiser, for the loss of this package
RATES = {"sgd": (2.2e-2, 2.2e-3), "adam": (1e-3, 1e-3), "muon": (1e-2, 1e-3)}


def _either(names: Iterable[str]) -> str:
    """Join names as in "a, b or c"."""
    *most, last = names
    return f"{', '.join(most)} or {last}"


@dataclass(frozen=True)
class Recipe:
    """All settings of a training, apart from the pictures.

    Attributes
    ----------
    network : "srcnn", "espcn", "vdsr", "drcn", "edsr", "srresnet" or "vespcn"
    sizes, filters : tuple of int
        Filter sizes and numbers of filters of SRCNN and ESPCN, see `SRCNN.from_stack` and `ESPCN`.
    depth : int
        Number of layers of a VDSR, recursions of a DRCN, residual blocks of an EDSR or SRResNet, or
        layers of a VESPCN after motion compensation.
    width : int
        Number of filters in the layers of these networks.
    frames, fusion : int, str
        Number of frames that a VESPCN looks at, and how it fuses them; 1 for other networks.
    shrink : int
        Factor by which a VESPCN's clips are shrunk before use, to remove compression artefacts.
    reduced : tuple of float
        Factors below 1. Every training picture is also used at these reduced sizes
        (a stream draws one size for each) if a sample still fits. This gives more pictures, and
        sharper ones (Dong, Loy and Tang, ECCV 2016, section 4.1: 0.9, 0.8, 0.7, 0.6).
    beta, smooth, motion_first : float
        Weights and schedule of a VESPCN's loss, see `VESPCN`.
    batch_norm : bool
        Whether the network has batch normalisation; only an SRResNet may.
    c : int
        Number of channels of the picture: 1 for luma, 3 for RGB.
    activation : "relu" or "tanh"
        Activation function; "tanh" is for ESPCN alone.
    init : "paper", "he" or "identity"
        Initialisation of SRCNN, ESPCN and VDSR, see `networks.initial.initialise`. All other
        networks start as with "he" (He et al., 2015).
    loss : "mse", "l1" or "charbonnier"
        Loss function, the operation of that name.
    keep_means : bool
        Whether the mean of each filter of layer 1 keeps its initial value, which for "identity" is
        zero, except in the filters that hand the picture on. The input is nearly constant over a
        filter, and mostly its mean: a filter whose mean drifts responds to brightness, and soon
        always or never (see docs/paper.md).
    keep_ends : bool
        Whether the result is adjusted slightly so that black stays black and white stays white, see
        `pysrcnn.training.ends`.
    optimizer : "sgd" (momentum 0.9), "adam" or "muon"
    clip : float
        Limit of how far a gradient, times its learning rate, moves a value under SGD: theta of the
        VDSR paper, which clips gradients to theta / rate. 0 for no limit.
    weight_decay : float
        Multiple of the weights that SGD adds to their gradients (of the loss as in `paper_loss`).
    learning_rate : float
        Learning rate of all weights, except those that `last_learning_rate` is for.
    last_learning_rate : float
        Learning rate of the weights of the last `by_adam` layers, at least of the last one.
    bias_learning_rate : float or None
        Learning rate of biases and the like, of one dimension; None for `last_learning_rate`.
    by_adam : int
        Number of layers, counted from the last, that Muon leaves to Adam. Muon moves all filters of
        a layer equally far. In the last layer, and in the one before if the last has a single
        filter, the gradient tells some filters next to nothing: they drift, and fall silent.
    paper_loss : bool
        Whether the learning rates are for the paper's normalisation of the loss instead of ours.
    warmup : int
        Number of steps over which the learning rates rise quadratically; at most a tenth of all.
    cosine : bool
        Whether the learning rates fall to zero along a cosine over all steps.
    drop : float
        Fraction of the steps, below 1, after each of which the rates fall to a tenth; 0 for never.
    steps, batch : int
        Number of steps, and of samples in each.
    size : int
        Side of the sub-images that the network takes (small ones, for ESPCN), in pixels.
    stride : int or None
        Pixels from one sub-image to the next; None for random crops, flipped and rotated.
    average : float
        Decay of the running average of the weights, which is the result; 0 for no averaging.
    seed : int
        Seed of the initial weights, of the order of the samples and of their degradation.
    degradation : Degradation or None
        Degradation of the small picture of each crop, for a network that takes it.
    adversarial : Adversarial or None
        Settings for training an SRResNet against a discriminator, starting from one that was
        trained without. `loss` is then only the part between pixels, which may have no weight.

    Raises
    ------
    ValueError
        If a value is out of range, or does not suit the network.
    """

    network: str = "srcnn"
    sizes: tuple[int, ...] = (9, 1, 5)
    filters: tuple[int, ...] = (64, 32)
    depth: int = 0
    width: int = 0
    frames: int = 1
    fusion: str = "early"
    shrink: int = 1
    reduced: tuple[float, ...] = ()
    beta: float = 1.0
    smooth: float = 0.001
    motion_first: float = 0.1
    batch_norm: bool = False
    c: int = 1
    activation: str = "relu"
    init: str = "identity"
    loss: str = "mse"
    keep_means: bool = True
    keep_ends: bool = True
    optimizer: str = "muon"
    learning_rate: float = RATES["muon"][0]
    last_learning_rate: float = RATES["muon"][1]
    bias_learning_rate: float | None = None
    by_adam: int = 1
    clip: float = 0.0
    weight_decay: float = 0.0
    paper_loss: bool = False
    warmup: int = 1000
    cosine: bool = True
    drop: float = 0.0
    steps: int = 100_000
    batch: int = 16
    size: int = 48
    stride: int | None = None
    average: float = 0.999
    seed: int = 0
    degradation: Degradation | None = None
    adversarial: Adversarial | None = None

    def __post_init__(self) -> None:
        if self.network not in TRAINED:
            raise ValueError(f"network is {_either(TRAINED)}, got {self.network!r:.60}")
        kind = TRAINED[self.network]
        if self.keep_ends and not issubclass(kind, Chain):
            raise ValueError(
                f"keep_ends is for chains of layers, and {self.network} is none: give "
                f"keep_ends=False"
            )
        activations = kind.choices.get("activation", ("relu",))
        if self.activation not in activations:
            raise ValueError(
                f"activation is {' or '.join(activations)} for {self.network}, "
                f"got {self.activation!r:.60}"
            )
        for what, given, known in (
            ("loss", self.loss, LOSSES), ("optimizer", self.optimizer, OPTIMIZERS)
        ):  # fmt: skip
            if given not in known:
                raise ValueError(f"{what} is one of {', '.join(known)}, got {given!r:.60}")
        if not isinstance(self.batch_norm, bool):
            raise ValueError(f"batch_norm is {self.batch_norm!r:.60}, wanted True or False")
        if self.batch_norm and self.network != "srresnet":
            raise ValueError(f"only srresnet takes batch_norm; the network is {self.network}")
        if (self.clip or self.weight_decay) and self.optimizer != "sgd":
            raise ValueError(
                f"only sgd takes clip and weight_decay; the optimizer is {self.optimizer}"
            )
        self._check_parts(kind)
        self._check_numbers(0 if issubclass(kind, Chain) else 1)
        self._check_video(kind is VESPCN)

    def _check_parts(self, kind: type[Network]) -> None:
        """Raise unless the network can be trained with this degradation and discriminator."""
        if not isinstance(self.degradation, Degradation | None):
            raise ValueError(
                f"degradation is {self.degradation!r:.60}, wanted None or one such as "
                f"DEGRADATIONS['photo']"
            )
        degraded = [n for n, k in TRAINED.items() if k.small and n != VESPCN.name]
        if self.degradation is not None and self.network not in degraded:
            raise ValueError(
                f"only small pictures are degraded, and {self.network} takes "
                f"{'clips' if self.network == VESPCN.name else 'enlarged ones'}: leave degradation "
                f"out, or train {_either(degraded)}"
            )
        if self.degradation is not None and self.stride is not None:
            raise ValueError(
                "only crops at random places are degraded: leave stride out, or degradation"
            )
        if not isinstance(self.adversarial, Adversarial | None):
            raise ValueError(
                f"adversarial is {self.adversarial!r:.60}, wanted None or Adversarial()"
            )
        if self.adversarial is not None and self.network != "srresnet":
            raise ValueError(
                f"only srresnet is trained against a discriminator; the network is {self.network}"
            )

    def _check_video(self, of_video: bool) -> None:
        """Raise if settings for video do not suit VESPCN, or are given to another network."""
        if not of_video:
            if self.frames != 1:
                raise ValueError(f"only vespcn looks at frames; the network is {self.network}")
            if self.shrink != 1:
                raise ValueError(
                    f"shrink is for the clips of vespcn; the network is {self.network}"
                )
            return
        check_fusion(self.frames, self.depth, self.fusion)
        if self.c != 1:
            raise ValueError(f"vespcn takes luminance alone, c=1; got c={self.c}")
        if self.size % GRID:
            raise ValueError(f"size is {self.size}, wanted a multiple of {GRID} for vespcn")
        if self.stride is not None or self.degradation is not None:
            raise ValueError("vespcn is trained on random crops: leave stride and degradation out")
        if self.reduced:
            raise ValueError("only pictures are reduced: give shrink for the clips of vespcn")

    def _check_numbers(self, smallest: int) -> None:
        """Raise if a number is out of range; `smallest` is the least depth and width."""
        least = dict.fromkeys(("steps", "batch", "size", "shrink"), 1)
        least |= dict.fromkeys(("depth", "width"), smallest)
        least |= dict.fromkeys(("seed", "warmup", "by_adam"), 0)
        if self.stride is not None:  # None for random crops
            least["stride"] = 1
        for name, number in least.items():
            check_whole(name, getattr(self, name), number)
        for name in ("learning_rate", "last_learning_rate", "bias_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not (is_real(rate) and 0 < rate < math.inf):
                raise ValueError(f"{name} is {rate!r:.60}, wanted a positive number")
        for name in ("clip", "weight_decay", "beta", "smooth"):
            value = getattr(self, name)
            if not is_real(value) or not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value!r:.60}, wanted 0 or a positive number")
        factors = self.reduced if isinstance(self.reduced, (tuple, list)) else (None,)
        if not all(is_real(factor) and 0 < factor < 1 for factor in factors):
            raise ValueError(
                f"reduced is {self.reduced!r:.60}, wanted a tuple of factors between 0 and 1"
            )
        if not is_real(self.motion_first) or not 0 <= self.motion_first <= 1:
            raise ValueError(f"motion_first is {self.motion_first!r:.60}, wanted 0 to 1")
        if not is_real(self.drop) or not 0 <= self.drop < 1:
            raise ValueError(
                f"drop is {self.drop!r:.60}, wanted a share of the steps from 0 to below 1"
            )
        if not is_real(self.average) or not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average!r:.60}, wanted a decay from 0 to below 1")

    def rates(self, network: Network) -> dict[str, float]:
        """Return the learning rate of each learned parameter, for the loss of this package."""
        factor = self.of_loss(network)
        last, biases = self.last_learning_rate, self.bias_learning_rate
        learned = [name for name in network.parameters if name not in network.statistics]
        rates = dict.fromkeys(learned, last if biases is None else biases)
        lasts = network.weights[-max(self.by_adam, 1) :]
        rates |= dict.fromkeys(network.weights, self.learning_rate) | dict.fromkeys(lasts, last)
        return {name: rate * factor for name, rate in rates.items()}

    def of_loss(self, network: Network) -> float:
        """Return the loss that the learning rates are for, divided by the loss of this package."""
        side = network.seen.resolution * (self.size - 2 * network.training_margin)
        return self.c * side * side / 2 if self.paper_loss else 1.0

    def factor(self, step: int) -> float:
        """Return the factor of all learning rates at a step, counted from 0: the schedule."""
        factor = 1.0
        warmup = min(self.warmup, self.steps // 10)
        if step < warmup:
            factor = ((step + 1) / warmup) ** 2
        if self.drop:
            factor *= 0.1 ** int(round(step / (self.drop * self.steps), 6))
        if self.cosine:
            factor *= 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return factor

    def as_dict(self) -> dict:
        """Return a dict for JSON, in which tuples are lists and NumPy's numbers are Python's."""
        return json.loads(json.dumps(dataclasses.asdict(self), default=np.generic.item))


def as_now(recipe: dict) -> dict:
    """Convert a recipe of an earlier checkpoint or log to the present form of `Recipe.as_dict`.

    Settings that did not exist when it was written have their defaults. Earlier recipes could have
    batch_norm for any network, drop was a number of steps, and muon_last said whether by_adam was
    0 or 1.
    """
    whole = {**Recipe().as_dict(), **recipe}
    if whole.pop("muon_last", False):
        whole["by_adam"] = 0
    drop, steps = whole["drop"], whole["steps"]
    if is_real(drop) and drop >= 1 and is_whole(steps) and steps > 0:  # files may hold anything
        whole["drop"] = drop / steps
    return whole if whole["network"] == "srresnet" else {**whole, "batch_norm": False}
