"""Training a generator by the features of a fixed network and against a discriminator.

SRGAN: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network", CVPR 2017. The loss is (Eq. 3)

    content + weight * adversarial + pixels * loss of the pixels,

where the content loss compares `Features` (Eq. 5), and the adversarial loss is -log D(made), a mean
over the batch (Eq. 6). In each step the discriminator learns first, from the pictures that the
generator has just made and from the originals; then the generator learns from the same pictures.

Three things differ from the paper, or the generator soon leaves a grid of dots. At first the
discriminator learns alone: an untrained one sends back little but noise. Pixels count, too: VGG
pools its maps, and hardly sees a pattern that repeats every two pixels. And the pictures are
shifted at random before they are judged: through strides, some pixels of each square of 16 x 16 get
larger gradients than others, always the same ones, which a sub-pixel shuffle reproduces.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from .. import kernels
from ..checks import check_whole, is_real
from ..networks import Discriminator, Features
from ..networks.parameters import not_finite
from .optim import Adam

__all__ = ["Adversarial", "Judge"]

LOST = 0.01  # D(real) - D(made) below this: the discriminator is only guessing
WON = 0.998  # above this: it tells all pictures apart
_WEIGHTED = {"weight": "adversarial", "pixels": "pixels'"}
SQUARE = 16  # pixels: the strides of the discriminator, multiplied


@dataclass(frozen=True)
class Adversarial:
    """Settings for training a generator against a discriminator.

    Attributes
    ----------
    width : int
        F of the discriminator, see `networks.Discriminator`. The paper: 64.
    learning_rate : float
        Learning rate of the discriminator's Adam; the recipe's schedule applies to it too.
    weight : float
        Weight of the adversarial loss. The paper has 1e-3 beside a content loss as large as the
        squared error of pixels in -1..1. For a network trained by that error, the content loss of
        VGG's relu2_2 has a gradient, with respect to the generator's parameters, 10.5 times as
        large, which would make it 1e-2. A discriminator that has learned alone has larger
        gradients: half of that suffices.
    pixels : float
        Weight of the recipe's own loss, between pixels; the paper has none.
    alone : float
        Share of the steps, 0 to below 1, in which the discriminator learns alone, at the beginning.
    patience : int
        Steps that the running mean `Judge.gap` covers, which tells whether one of the two has won.

    Raises
    ------
    ValueError
        If a value is of the wrong type or out of range.
    """

    width: int = 32
    learning_rate: float = 2e-4
    weight: float = 5e-3
    pixels: float = 10.0
    alone: float = 0.1
    patience: int = 1000

    def __post_init__(self) -> None:
        check_whole("width", self.width)
        check_whole("patience", self.patience)
        if not is_real(self.alone) or not 0 <= self.alone < 1:
            raise ValueError(f"alone is {self.alone!r:.60}, wanted 0 or a fraction below 1")
        for name in ("learning_rate", "weight", "pixels"):
            value, positive = getattr(self, name), name == "learning_rate"
            if not is_real(value) or not 0 <= value < np.inf or (positive and value == 0):
                zero = "" if positive else "0 or "
                what = f"{name} (the {_WEIGHTED[name]} loss)" if name in _WEIGHTED else name
                raise ValueError(f"{what} is {value!r:.60}, wanted {zero}a positive number")


class Judge:
    """The loss of a generator: fixed features, and a discriminator that learns alongside it.

    Parameters
    ----------
    settings : Adversarial
    features : Features
    size : int
        Height and width of the generator's output in training, in pixels.
    c : int
        Channels of that output.
    loss : str
        Loss between pixels, see `networks.LOSSES`.
    seed : int
        Seed of the discriminator's initial weights and of the shifts.
    steps : int
        Steps of the training.

    Attributes
    ----------
    discriminator : Discriminator
    optimizer : Adam
        Optimiser of the discriminator.
    alone : bool
        Whether the discriminator learned alone in the latest step: the generator should not move.
    gap : array ()
        Running mean of D(real) - D(made), starting at 0.5. At 1 the discriminator tells all
        pictures apart, at 0 none.
    parts : dict of float
        Values of the latest step, for the log: the losses "content" and "adversarial", and "pixels"
        if it has a weight, all unweighted; "discriminator", its loss before its update; "real" and
        "made", the mean probability of being real that it gave to these pictures.
    """

    def __init__(
        self,
        settings: Adversarial,
        features: Features,
        size: int,
        c: int,
        loss: str,
        seed: int,
        steps: int,
    ):
        self.settings, self.features, self._pixels = settings, features, loss
        self.discriminator = Discriminator(size, settings.width, c, seed=seed)
        self._seed, self._steps_alone = seed, round(settings.alone * steps)
        self.alone = False
        self.optimizer = Adam(self.discriminator.parameters, settings.learning_rate)
        self.gap = np.array(0.5)
        self.parts: dict[str, float] = {}

    @property
    def identity(self) -> str:
        """The label and a checksum of the features, by which checkpoints recognise them."""
        checksum = 0
        for array in self.features.parameters.values():
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        return f"{self.features.label}, checksum {checksum:08x}"

    @property
    def stopped(self) -> str:
        """A sentence that says which of the two has won for good; "" while neither has.

        Once the discriminator has long been sure of every picture, or of none, the generator
        learns nothing more from it.
        """
        gap, steps = float(self.gap), self.settings.patience
        mean = f"D(real) - D(made) is {gap:.4f} on average, over some {steps} steps"
        if gap > WON:
            return (
                f"the discriminator has won, it tells all pictures apart: {mean}. Start again with "
                f"a greater weight of the adversarial loss, or a narrower discriminator"
            )
        if gap < LOST:
            return (
                f"the generator has won, the discriminator can but guess: {mean}. Start again with "
                f"a smaller weight of the adversarial loss, or a wider discriminator"
            )
        return ""

    def loss(self, made: np.ndarray, high: np.ndarray, factor: float) -> tuple[float, np.ndarray]:
        """Update the discriminator, then return the generator's loss and the gradient `dmade`.

        Parameters
        ----------
        made, high : float32 arrays (N, c, S, S)
            The generator's output for a batch, and the originals.
        factor : float
            Factor of the discriminator's learning rate (a schedule).

        Returns
        -------
        loss : float
            Not finite if the discriminator's loss or one of its parameters is not.
        dmade : array (N, c, S, S)
        """
        steps = self.optimizer.steps
        self.alone = steps < self._steps_alone
        numbers = np.random.SeedSequence(self._seed, spawn_key=(steps,))  # not those of the crops
        shift = np.random.default_rng(numbers).integers(0, SQUARE, 2)
        made, high = _shifted(made, shift), _shifted(high, shift)
        judged = self.discriminator.loss_and_gradients(high, made)
        if not np.isfinite(judged.loss):
            return judged.loss, np.zeros_like(made)
        with np.errstate(over="ignore", invalid="ignore"):
            self.optimizer.step(judged.gradients, factor)
        if not_finite(self.discriminator.parameters):
            return np.inf, np.zeros_like(made)
        adversarial, dmade, _ = self.discriminator.adversarial(made)
        content, dcontent = self.features.loss_and_gradient(made, high)
        weight, pixels = self.settings.weight, self.settings.pixels
        self.parts = {"content": content, "adversarial": adversarial}
        total, dtotal = content + weight * adversarial, dcontent + weight * dmade
        if pixels:
            self.parts["pixels"] = getattr(kernels, self._pixels)(made, high)
            total += pixels * self.parts["pixels"]
            dtotal += pixels * getattr(kernels, f"{self._pixels}_backward")(made, high)
        self.parts |= {"discriminator": judged.loss, "real": judged.real, "made": judged.made}
        self.gap += (judged.real - judged.made - self.gap) / self.settings.patience
        return total, _shifted(dtotal, -shift)

    def prepare(self, high: np.ndarray) -> None:
        """Compile what `loss` calls, without training."""
        self.discriminator.adversarial(high)
        self.features.loss_and_gradient(high, high)


def _shifted(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move all pixels down and to the right; those pushed out come in again on the other side."""
    return np.ascontiguousarray(np.roll(x, shift, axis=(2, 3)))
