"""What judges a generator in training: features of a fixed network, and a discriminator.

SRGAN: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network", CVPR 2017. The loss is (Eq. 3)

    content + weight * adversarial + pixels * loss of the pixels,

of which content is what `Features` see (Eq. 5), and adversarial is -log D(made), a mean over the
batch (Eq. 6). In each step the discriminator learns first, on the pictures that the generator has
just made and on what it should have made; then the generator does, of the same pictures. So the two
take turns, one step each.
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

LOST = 0.01  # of D(real) - D(made): as good as guessed
WON = 0.998


@dataclass(frozen=True)
class Adversarial:
    """How a generator is trained against a discriminator.

    Attributes
    ----------
    width : int
        F of the discriminator, see `networks.Discriminator`. The paper: 64.
    learning_rate : float
        Of the discriminator, by Adam; the schedule of the recipe is for it too.
    weight : float
        Of the adversarial loss. The paper has 1e-3 beside a content that is as large as the squared
        error of pixels in -1..1. Of results of a network trained by error, VGG's relu2_2 gives one
        whose gradient, by the generator's parameters, is 10.5 times that error's: hence 1e-2.
    pixels : float
        Of the loss that the recipe names, of the pixels; the paper has none.
    patience : int
        Steps over which the mean is taken that tells whether one of the two has won.

    Raises
    ------
    ValueError
        If one of them is none of these.
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
    """Features, and a discriminator that learns as the generator does.

    Parameters
    ----------
    settings : Adversarial
    features : Features
    size : int
        Rows and columns of what the generator makes in training.
    c : int
        Channels of it.
    loss : str
        Of the pixels, see `networks.LOSSES`.
    seed : int
        Of the discriminator's first weights.

    Attributes
    ----------
    discriminator : Discriminator
    optimizer : Adam
        Of the discriminator.
    gap : array ()
        Running mean of D(real) - D(made), from 0.5. At 1 the discriminator tells all pictures
        apart, at 0 none.
    parts : dict of float
        Of the latest step, for the log: "content" and "adversarial" of the loss, without its
        weight; "pixels", if they count; "discriminator", its loss before it moved; "real" and
        "made", how likely it held these to be real.
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
        """A short text that tells these features from others."""
        checksum = 0
        for array in self.features.parameters.values():
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        return f"{self.features.label}, checksum {checksum:08x}"

    @property
    def stopped(self) -> str:
        """Who has won for good, in a sentence; "" while it is open.

        When the discriminator is quite sure of every picture, or knows of none, and has been for
        long, the generator learns nothing more of it.
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
        """Let the discriminator learn; the loss of the generator, and its gradient by `made`.

        Parameters
        ----------
        made, high : float32 arrays (N, c, S, S)
            What the generator makes of a batch, and what it should make.
        factor : float
            What the discriminator's learning rate is multiplied by.

        Returns
        -------
        loss : float
            Not finite if the discriminator's, or one of its parameters, is not.
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
        """Compile what `loss` calls, and learn nothing."""
        self.discriminator.adversarial(high)
        self.features.loss_and_gradient(high, high)
