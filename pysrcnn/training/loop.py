"""The training loop: steps, checkpoints, and resuming from one."""

import functools
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Pair
from ..formats import Arrays
from ..kernels import one_blas_thread
from ..networks import TRAINED, Chain, Features, Network, load_features
from ..networks.parameters import Parameters, not_finite
from . import checkpoints
from .adversarial import Judge
from .crops import RandomCrops, Sampler, SubImages
from .ends import keep_ends
from .optim import OPTIMIZERS, Optimizer
from .recipe import Recipe
from .start import check_start
from .stream import Stream

__all__ = ["Progress", "Training"]


@dataclass(frozen=True)
class Progress:
    """The state of a training after a step.

    step: its number, counted from 1; loss: of its batch; seconds: of all steps so far; parts:
    `Judge.parts`, in training against a discriminator.
    """

    step: int
    loss: float
    seconds: float
    parts: dict[str, float] = field(default_factory=dict)


def _means(w: np.ndarray) -> np.ndarray:
    """The mean of each filter."""
    return w.mean(axis=(1, 2, 3), keepdims=True)


def _checksum(pairs: list[Pair]) -> str:
    """Count and checksum of the training pictures, by which checkpoints recognise them."""
    checksum = 0
    for _, high in pairs:
        checksum = zlib.crc32(np.ascontiguousarray(high).data, checksum)
    return f"{len(pairs)}, checksum {checksum:08x}"


class Training:
    """A network being trained: parameters, optimiser, running average, number of steps.

    Parameters
    ----------
    recipe : Recipe
    pictures : list of (low, high), or Stream
        The training pictures, as `data.read_pairs` returns them, or read during training.
    start : Network, optional
        A network to start from, instead of the recipe's random weights. It may be for another
        scale; parameters whose shape depends on the scale, the tail of an EDSR, then start as in
        the recipe.
    scale : int or tuple of int, optional
        The factor of enlargement that the pictures are made for, which the result records; several
        for a network that takes enlarged pictures.
    features : Features, optional
        Features that content is compared by, for a recipe with a discriminator; by default those
        of `load_features`.

    Attributes
    ----------
    anew : list of str
        The parameters that `start` lacks or has in another shape.
    judge : Judge or None
        The features and the discriminator, if the recipe has one.

    Examples
    --------
    >>> training = Training(recipe, pictures, scale=3)             # doctest: +SKIP
    >>> for progress in training.run():                           # doctest: +SKIP
    ...     print(progress.step, progress.loss)
    >>> training.result().save("weights.npz")                     # doctest: +SKIP
    """

    def __init__(
        self,
        recipe: Recipe,
        pictures: list[Pair] | Stream,
        start: Network | None = None,
        scale: int | tuple[int, ...] | None = None,
        features: Features | None = None,
    ):
        several = scale if isinstance(scale, tuple) and len(scale) > 1 else ()
        scale = several or (scale[0] if isinstance(scale, tuple) else scale)
        self.recipe, self.scale = recipe, scale
        self.network = TRAINED[recipe.network].from_recipe(
            recipe, scale if isinstance(scale, int) else None
        )
        self.network.scales = several
        self.anew: list[str] = []
        self.start = self._take(start) if start is not None else None
        self.judge = self._judge(features)
        self._means = _means(self.network.parameters[self.network.weights[0]])
        self._stream = pictures if isinstance(pictures, Stream) else None
        self.batch: Callable[[int, int], Pair]
        if isinstance(pictures, Stream):
            self.data = pictures.identity
            self.batch = functools.partial(pictures.batch, sampler=self._sampler)
        else:
            self.data = _checksum(pictures)
            self.batch = self._sampler(pictures).batch
        options: dict[str, Any] = {}
        if recipe.optimizer == "muon":
            weights = self.network.weights
            options = {"by_adam": weights[max(0, len(weights) - recipe.by_adam) :]}
        elif recipe.optimizer == "sgd":
            decay = recipe.weight_decay / recipe.of_loss(self.network)
            options = {"clip": recipe.clip, "weight_decay": decay}
        rates = recipe.rates(self.network)
        learned = {name: self.network.parameters[name] for name in rates}
        self.optimizer = OPTIMIZERS[recipe.optimizer](learned, rates, **options)
        self.average = {name: p.copy() for name, p in self.network.parameters.items()}
        self.step = 0
        self.seconds = 0.0

    def _sampler(self, pairs: list[Pair]) -> Sampler:
        """Return a sampler of batches of these pictures."""
        recipe, margin = self.recipe, self.network.training_margin
        if recipe.stride is None:
            return RandomCrops(
                pairs, recipe.size, margin, recipe.seed, recipe.degradation, recipe.frames
            )
        return SubImages(pairs, recipe.size, recipe.stride, margin, recipe.seed)

    def _judge(self, features: Features | None) -> Judge | None:
        """Return the judge, if the recipe has one; the network then keeps its starting weights."""
        recipe, network = self.recipe, self.network
        if recipe.adversarial is None:
            if features is not None:
                raise ValueError("the recipe compares pixels: leave features out, or take srgan")
            return None
        if self.start is None:
            raise ValueError(
                "training against a discriminator starts from an SRResNet that was trained without "
                "(recipe srresnet-s): give its weights, as start"
            )
        network.start = {name: p.copy() for name, p in network.parameters.items()}
        size = network.seen.resolution * recipe.size
        return Judge(
            recipe.adversarial, features or load_features(), size, network.c, recipe.loss,
            recipe.seed, recipe.steps,
        )  # fmt: skip

    def _take(self, start: Network) -> str:
        """Copy the weights of `start`; return a checksum, by which checkpoints recognise them."""
        check_start(self.network, start)
        checksum = 0
        for name, parameter in self.network.parameters.items():
            given = start.parameters.get(name)
            if given is None or given.shape != parameter.shape:
                self.anew.append(name)
            else:
                parameter[...] = given
            checksum = zlib.crc32(np.ascontiguousarray(parameter).data, checksum)
        return f"checksum {checksum:08x}"

    def run(self) -> Iterator[Progress]:
        """Do the remaining steps, one per iteration.

        Raises
        ------
        FloatingPointError
            If the loss or a parameter becomes NaN or infinite. The parameters are then as before
            that step, but the optimiser's state is not: start again instead of resuming.
        """
        recipe = self.recipe
        while not self.done:
            began = time.perf_counter()
            low, high = self.batch(self.step, recipe.batch)
            factor, moved = recipe.factor(self.step), self._moved()
            before = {name: p.copy() for name, p in moved.items()}
            loss, gradients = self._loss_and_gradients(low, high, factor)
            if math.isfinite(loss):
                self._move(gradients, factor)
            if not math.isfinite(loss) or not_finite(moved):
                for name, parameter in moved.items():
                    parameter[...] = before[name]
                raise self._diverged(loss, factor)
            self.step += 1
            self._update_average()
            self.seconds += time.perf_counter() - began
            yield Progress(self.step, loss, self.seconds, self.judge.parts if self.judge else {})

    @property
    def stopped(self) -> str:
        """A sentence that says why training ends before its last step; "" if it does not."""
        return self.judge.stopped if self.judge else ""

    @property
    def done(self) -> bool:
        """Whether no steps remain."""
        return self.step >= self.recipe.steps or bool(self.stopped)

    def _loss_and_gradients(
        self, low: np.ndarray, high: np.ndarray, factor: float
    ) -> tuple[float, Parameters]:
        """By the recipe's loss, or by the judge, which updates its discriminator first."""
        recipe, judge = self.recipe, self.judge
        if judge is None:
            done = self.step / recipe.steps
            return self.network.loss_and_gradients(low, high, recipe.loss, done)
        return self.network.gradients_by(lambda made: judge.loss(made, high, factor), low)

    def _move(self, gradients: Parameters, factor: float) -> None:
        parameters = self.network.parameters
        quiet = np.errstate(over="ignore", invalid="ignore")  # `run` reports them, in a sentence
        with quiet, one_blas_thread():
            if self.judge is None or not self.judge.alone:
                self.optimizer.step(gradients, factor)
            for name in self.network.statistics:
                parameters[name] -= gradients[name]
            if self.recipe.keep_means:
                first = parameters[self.network.weights[0]]
                first += self._means - _means(first)

    def _diverged(self, loss: float, factor: float) -> FloatingPointError:
        return FloatingPointError(
            f"training has diverged at step {self.step + 1}, where the loss is {loss:.3g}: start "
            f"again with a lower learning rate than {factor * self.recipe.learning_rate:.3g}"
        )

    def _update_average(self) -> None:
        # The decay rises slowly, or the random start would stay in the average for long.
        decay = min(self.recipe.average, self.step / (self.step + 9))
        for name, parameter in self.network.parameters.items():
            if decay == 0:
                self.average[name][...] = parameter
            else:
                self.average[name] += (1 - decay) * (parameter - self.average[name])

    @property
    def waited(self) -> float:
        """Seconds that steps have waited for streamed pictures."""
        return self._stream.waited if self._stream else 0.0

    def result(self) -> Network:
        """Return the network that training gives if it ends here; the log's PSNR is measured on it.

        It has the averaged weights (the latest ones, if nothing is averaged), adjusted by
        `keep_ends` if the recipe says so.
        """
        network = self.network.astype(self.network.dtype)
        for name, average in self.average.items():
            network.parameters[name][...] = average
        # Only a chain has a recipe with `keep_ends`: `Recipe` refuses it for other networks.
        if self.recipe.keep_ends and isinstance(network, Chain):
            keep_ends(network)
        network.card["recipe"] = self.recipe.as_dict()
        network.card["steps"] = self.step
        if self.judge:
            network.card["features"] = self.judge.features.label
        if self.stopped:
            network.card["notes"] = [self.stopped]
        network.card["minutes"] = round(self.seconds / 60, 1)
        return network

    def save(self, path: str | os.PathLike) -> None:
        """Write a checkpoint, whole or not at all."""
        checkpoints.write(path, self._identity(), self.step, self.seconds, self._arrays())

    def load(self, path: str | os.PathLike) -> None:
        """Resume from a checkpoint of the same recipe, to the same weights as without a stop.

        Raises
        ------
        FileNotFoundError
        ValueError
            If the file is damaged or belongs to another recipe.
        """
        arrays, step, seconds = checkpoints.read(
            Path(path), self._identity(), self.recipe.steps, self._arrays()
        )
        for name, parameter in self._moved().items():
            parameter[...] = arrays[f"parameter.{name}"]
        for name, average in self.average.items():
            average[...] = arrays[f"average.{name}"]
        for prefix, optimizer in self._optimizers().items():
            optimizer.load_state(
                {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            )
        if self.judge:
            self.judge.gap[...] = arrays["gap"]
        self.step, self.seconds = step, seconds

    def _identity(self) -> dict:
        """The settings and data that a checkpoint must agree with to be resumed."""
        scale = list(self.scale) if isinstance(self.scale, tuple) else self.scale
        given = {"scale": scale, "pictures": self.data, "start": self.start}
        given["features"] = self.judge.identity if self.judge else None
        return {**self.recipe.as_dict(), **given}

    def _arrays(self) -> Arrays:
        """All arrays that change in training, by their names in a checkpoint."""
        arrays = {f"parameter.{n}": p for n, p in self._moved().items()}
        arrays |= {f"average.{n}": a for n, a in self.average.items()}
        for prefix, optimizer in self._optimizers().items():
            arrays |= {f"{prefix}{n}": a for n, a in optimizer.state().items()}
        return arrays | ({"gap": self.judge.gap} if self.judge else {})

    def _moved(self) -> Arrays:
        """The parameters that steps change: those of the network and of its discriminator."""
        judges = self.judge.discriminator.parameters if self.judge else {}
        return self.network.parameters | {f"discriminator.{n}": p for n, p in judges.items()}

    def _optimizers(self) -> dict[str, Optimizer]:
        """All optimisers, by the prefix of their arrays in a checkpoint."""
        more = {"of_discriminator.": self.judge.optimizer} if self.judge else {}
        return {"optimizer.": self.optimizer, **more}
