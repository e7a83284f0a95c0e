"""A recipe: everything that training depends on, but the pictures. Those there are: `recipes`.

The loss of this package is the mean over all elements of the squared error (`reference.mse`). A
learning rate belongs to a normalisation: the paper's network is trained on

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

# (learning_rate, last_learning_rate) that suit each of them, for the loss of this package
RATES = {"sgd": (2.2e-2, 2.2e-3), "adam": (1e-3, 1e-3), "muon": (1e-2, 1e-3)}


def _either(names: Iterable[str]) -> str:
    """ "a, b or c"."""
    *most, last = names
    return f"{', '.join(most)} or {last}"


@dataclass(frozen=True)
class Recipe:
    """Everything that training depends on, but the pictures.

    Attributes
    ----------
    network : "srcnn", "espcn", "vdsr", "drcn", "edsr", "srresnet" or "vespcn"
    sizes, filters : the layers of SRCNN and ESPCN, see `SRCNN.from_stack` and `ESPCN`
    depth : layers of a VDSR, recursions of a DRCN, residual blocks of an EDSR or SRResNet, layers
        of a VESPCN that come after the motion
    width : filters of their layers
    frames, fusion : of a VESPCN, how many frames it looks at, and how it fuses them; else 1
    shrink : how many times smaller frames of clips are made before they are used, which removes the
        artefacts of their compression; of a VESPCN
    reduced : factors below 1, largest first; by each of them every training picture is made smaller
        and used too, where a sample still fits in it, which gives more pictures, and sharper ones
        (Dong, Loy and Tang, ECCV 2016, section 4.1: 0.9, 0.8, 0.7, 0.6)
    beta, smooth, motion_first : of a VESPCN, the shares of its loss, see `VESPCN`
    batch_norm : whether there is batch normalisation, which only an SRResNet may have
    c : channels of the picture
    activation : "relu", or "tanh" for ESPCN
    init : how the weights of SRCNN, ESPCN and VDSR start, see `networks.initial.initialise`; those
        of all others start as He et al. have it, "he"
    loss : "mse", "l1" or "charbonnier", the operation of that name
    keep_means : bool
        Whether the mean of each filter of layer 1 stays what it was at the start; with "identity"
        it is zero, but for the filters that hand the picture on. The input is nearly constant over
        a filter, and its mean is most of it: a filter whose mean drifts answers to brightness, and
        soon always or never (see docs/paper.md).
    keep_ends : bool
        Whether the result is changed a little so that black stays black and white white, see
        `pysrcnn.training.ends`.
    optimizer : "sgd" (momentum 0.9), "adam" or "muon"
    clip : of SGD, the most that a gradient, times its learning rate, moves a value: theta of the
        paper of VDSR, which clips gradients to theta / rate; 0 for no limit
    weight_decay : of SGD, times what is decayed, is added to the gradients of the weights
    learning_rate : of the weights of all layers but the last
    last_learning_rate : of the last layer's weights, and of others that are left to Adam
    bias_learning_rate : of all biases and whatever else has one dimension; None for the same as
        `last_learning_rate`
    by_adam : how many layers, the last ones, Muon leaves to Adam. Muon moves all filters of a layer
        equally far. Of the last layer, and of the one before if the last has a single filter, some
        are told next to nothing by the gradient: they drift, and fall silent.
    paper_loss : bool
        Whether the learning rates are for the paper's normalisation of the loss, or for ours.
    warmup : steps over which the learning rates rise, quadratically; at most a tenth of all
    cosine : bool
        Whether they then fall to zero along a cosine, or stay.
    drop : share of the steps, below 1, after each of which they are a tenth of what they were; 0
        for never
    steps, batch : how many steps, and samples a step
    size : side of the sub-images in pixels of what the network takes: of small ones, for ESPCN
    stride : from one sub-image to the next, or None for random crops, flipped and turned
    average : decay of the running average of the weights that is the result; 0 for none
    seed : of the initial weights, of the order of the samples and of how they are degraded
    degradation : Degradation, or None
        What is done to the small picture of each crop, for a network that takes it.
    adversarial : Adversarial, or None
        How an SRResNet is trained against a discriminator, starting from one that was trained
        without; `loss` is then that of the pixels alone, which is a part of it if wanted.
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
        """Raise unless there may be such a degradation and discriminator."""
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
        """Raise unless a VESPCN can be trained so, or if another network is to look at frames."""
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
        """Raise unless they are of their kind, and depth and width at least that."""
        least = dict.fromkeys(("steps", "batch", "size", "shrink"), 1)
        least |= dict.fromkeys(("depth", "width"), smallest)
        least |= dict.fromkeys(("seed", "warmup", "by_adam"), 0)
        if self.stride is not None:  # for random crops
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
        if not all(is_real(factor) and 0 < factor < 1 for factor in self.reduced):
            raise ValueError(f"reduced is {self.reduced!r:.60}, wanted factors between 0 and 1")
        if not is_real(self.motion_first) or not 0 <= self.motion_first <= 1:
            raise ValueError(f"motion_first is {self.motion_first!r:.60}, wanted 0 to 1")
        if not is_real(self.drop) or not 0 <= self.drop < 1:
            raise ValueError(
                f"drop is {self.drop!r:.60}, wanted a share of the steps from 0 to below 1"
            )
        if not is_real(self.average) or not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average!r:.60}, wanted a decay from 0 to below 1")

    def rates(self, network: Network) -> dict[str, float]:
        """The learning rate of each parameter that is learned, for the loss of this package."""
        factor = self.of_loss(network)
        last, biases = self.last_learning_rate, self.bias_learning_rate
        learned = [name for name in network.parameters if name not in network.statistics]
        rates = dict.fromkeys(learned, last if biases is None else biases)
        lasts = network.weights[-max(self.by_adam, 1) :]
        rates |= dict.fromkeys(network.weights, self.learning_rate) | dict.fromkeys(lasts, last)
        return {name: rate * factor for name, rate in rates.items()}

    def of_loss(self, network: Network) -> float:
        """How many times ours the loss is that the learning rates are for."""
        side = network.seen.resolution * (self.size - 2 * network.training_margin)
        return self.c * side * side / 2 if self.paper_loss else 1.0

    def factor(self, step: int) -> float:
        """What all learning rates are multiplied by at a step, counted from 0: the schedule."""
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
        """For JSON: as lists what were tuples, as Python's what were numbers of NumPy."""
        return json.loads(json.dumps(dataclasses.asdict(self), default=np.generic.item))


def as_now(recipe: dict) -> dict:
    """A recipe of a checkpoint or a log, as `Recipe.as_dict` would have it now.

    What recipes did not have yet when it was written was what it is by default. Once all of them
    had batch_norm, whatever the network, drop was a number of steps, and muon_last said whether
    by_adam was 0 or 1.
    """
    whole = {**Recipe().as_dict(), **recipe}
    if whole.pop("muon_last", False):
        whole["by_adam"] = 0
    drop, steps = whole["drop"], whole["steps"]
    if is_real(drop) and drop >= 1 and is_whole(steps) and steps > 0:  # files may hold anything
        whole["drop"] = drop / steps
    return whole if whole["network"] == "srresnet" else {**whole, "batch_norm": False}
