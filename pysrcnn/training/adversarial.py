"""Training a generator by the features of a fixed network and against a discriminator.

SRGAN: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network", CVPR 2017. The loss is (Eq. 3)

    content + weight * adversarial + pixels * loss of the pixels,

where the content loss compares `Features` (Eq. 5), and the adversarial loss is -log D(made), a mean
over the batch (Eq. 6). In each step the discriminator learns first, from the pictures that the
generator has just made and from the originals; then the generator learns from the same pictures.
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
        large: hence 1e-2.
    pixels : float
        Weight of the recipe's own loss, between pixels; the paper has none.
    patience : int
        Steps that the running mean `Judge.gap` covers, which tells whether one of the two has won.

    Raises
    ------
    ValueError
        If a value is of the wrong type or out of range.
    """

    width: int = 32
    learning_rate: float = 1e-4
    weight: float = 1e-2
    pixels: float = 0.0
    patience: int = 1000

    def __post_init__(self) -> None:
        check_whole("width", self.width)
        check_whole("patience", self.patience)
        for name in ("learning_rate", "weight", "pixels"):
            value, positive = getattr(self, name), name == "learning_rate"
            if not is_real(value) or not 0 <= value < np.inf or (positive and value == 0):
                zero = "" if positive else "0 or "
                raise ValueError(f"{name} is {value!r:.60}, wanted {zero}a positive number")


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
        Seed of the discriminator's initial weights.

    Attributes
    ----------
    discriminator : Discriminator
    optimizer : Adam
        Optimiser of the discriminator.
    gap : array ()
        Running mean of D(real) - D(made), starting at 0.5. At 1 the discriminator tells all
        pictures apart, at 0 none.
    parts : dict of float
        Values of the latest step, for the log: the losses "content" and "adversarial", and "pixels"
        if it has a weight, all unweighted; "discriminator", its loss before its update; "real" and
        "made", the mean probability of being real that it gave to these pictures.
    """

    def __init__(
        self, settings: Adversarial, features: Features, size: int, c: int, loss: str, seed: int
    ):
        self.settings, self.features, self._pixels = settings, features, loss
        self.discriminator = Discriminator(size, settings.width, c, seed=seed)
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
        return total, dtotal

    def prepare(self, high: np.ndarray) -> None:
        """Compile what `loss` calls, without training."""
        self.discriminator.adversarial(high)
        self.features.loss_and_gradient(high, high)
