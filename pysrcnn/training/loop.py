"""Training: a loop of steps, checkpoints, and going on from one."""

import functools
import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._files import written_whole
from ..data import Pair
from ..formats import Arrays, read_arrays, read_json
from ..kernels import one_blas_thread
from ..networks import TRAINED, Chain, Network
from .crops import RandomCrops, Sampler, SubImages
from .ends import keep_ends
from .optim import OPTIMIZERS
from .recipes import Recipe, as_now
from .stream import Stream

__all__ = ["Progress", "Training"]

_STATE = 1 << 20  # bytes of a checkpoint beside its arrays, at most


@dataclass(frozen=True)
class Progress:
    """Where training is after a step.

    step: its number, counted from 1; loss: of its batch; seconds: of all steps so far.
    """

    step: int
    loss: float
    seconds: float


def _means(w: np.ndarray) -> np.ndarray:
    """The mean of each filter."""
    return w.mean(axis=(1, 2, 3), keepdims=True)


def _checksum(pairs: list[Pair]) -> str:
    """A short text that tells one set of training pictures from another."""
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
        The training pictures, as `data.read_pairs` returns them, or read while training.
    start : Network, optional
        A network to go on from, instead of the recipe's random weights. It may be for another
        scale; what that has in another shape, the tail of an EDSR, then starts as the recipe has
        it.
    scale : int or tuple of int, optional
        The factor of enlargement that the pictures are made for, which the result is to know; of a
        network that takes enlarged pictures, they may be for several.

    Attributes
    ----------
    anew : list of str
        The parameters that `start` has not, or in another shape.

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
            options = {"by_adam": [] if recipe.muon_last else self.network.weights[-1:]}
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
        """What gives the batches of some pictures."""
        recipe, margin = self.recipe, self.network.training_margin
        if recipe.stride is None:
            return RandomCrops(
                pairs, recipe.size, margin, recipe.seed, recipe.degradation, recipe.frames
            )
        return SubImages(pairs, recipe.size, recipe.stride, margin, recipe.seed)

    def _take(self, start: Network) -> str:
        """Take the weights over; a short text that tells them from others."""
        checksum = 0
        ours, theirs = (
            {name: p.shape for name, p in network.parameters.items() if name not in network.tail}
            for network in (self.network, start)
        )
        if ours != theirs or start.in_training != self.network.in_training:
            raise ValueError(f"cannot start a {self.network!r} from the weights of {start!r}")
        for name, parameter in self.network.parameters.items():
            given = start.parameters.get(name)
            if given is None or given.shape != parameter.shape:
                self.anew.append(name)
            else:
                parameter[...] = given
            checksum = zlib.crc32(np.ascontiguousarray(parameter).data, checksum)
        return f"checksum {checksum:08x}"

    def run(self) -> Iterator[Progress]:
        """Do the remaining steps, one at each turn of the loop.

        Raises
        ------
        FloatingPointError
            If the loss or a parameter becomes NaN or infinite. The parameters are then as before
            that step, the optimizer's state is not: begin again instead of going on.
        """
        recipe = self.recipe
        while self.step < recipe.steps:
            began = time.perf_counter()
            low, high = self.batch(self.step, recipe.batch)
            loss, gradients = self.network.loss_and_gradients(
                low, high, recipe.loss, self.step / recipe.steps
            )
            factor = recipe.factor(self.step)
            if not math.isfinite(loss):
                raise self._diverged(loss, factor)
            parameters = self.network.parameters
            before = {name: p.copy() for name, p in parameters.items()}
            quiet = np.errstate(over="ignore", invalid="ignore")  # reported below, in a sentence
            with quiet, one_blas_thread():
                self.optimizer.step(gradients, factor)
                for name in self.network.statistics:
                    parameters[name] -= gradients[name]
                if recipe.keep_means:
                    first = parameters[self.network.weights[0]]
                    first += self._means - _means(first)
            if not all(np.isfinite(p).all() for p in parameters.values()):
                for name, parameter in parameters.items():
                    parameter[...] = before[name]
                raise self._diverged(loss, factor)
            self.step += 1
            self._update_average()
            self.seconds += time.perf_counter() - began
            yield Progress(self.step, loss, self.seconds)

    def _diverged(self, loss: float, factor: float) -> FloatingPointError:
        return FloatingPointError(
            f"training has diverged at step {self.step + 1}, where the loss is {loss:.3g}: start "
            f"again with a lower learning rate than {factor * self.recipe.learning_rate:.3g}"
        )

    def _update_average(self) -> None:
        # The first steps weigh less, or the random start would be part of the average for long.
        decay = min(self.recipe.average, self.step / (self.step + 9))
        for name, parameter in self.network.parameters.items():
            if decay == 0:
                self.average[name][...] = parameter
            else:
                self.average[name] += (1 - decay) * (parameter - self.average[name])

    @property
    def waited(self) -> float:
        """Seconds that steps have waited for pictures, where these are streamed."""
        return self._stream.waited if self._stream else 0.0

    def result(self) -> Network:
        """What the training gives if it ends here; PSNR is measured on it all along.

        The averaged weights (the latest ones, if nothing is averaged), by `keep_ends` if the recipe
        says so.
        """
        network = self.network.astype(self.network.dtype)
        for name, average in self.average.items():
            network.parameters[name][...] = average
        # Only a chain has a recipe with `keep_ends`: `Recipe` refuses it for other networks.
        if self.recipe.keep_ends and isinstance(network, Chain):
            keep_ends(network)
        network.card["recipe"] = self.recipe.as_dict()
        network.card["steps"] = self.step
        network.card["minutes"] = round(self.seconds / 60, 1)
        return network

    def save(self, path: str | os.PathLike) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {"recipe": self._identity(), "step": self.step, "seconds": self.seconds}
        arrays: dict[str, Any] = {"state": np.array(json.dumps(state)), **self._arrays()}
        with written_whole(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    def load(self, path: str | os.PathLike) -> None:
        """Go on from a checkpoint of the same recipe, to the same weights as without a stop.

        Raises
        ------
        FileNotFoundError
        ValueError
            If the file is damaged or belongs to another recipe.
        """
        arrays, step, seconds = self._read(Path(path))
        for name in self.average:
            self.network.parameters[name][...] = arrays[f"parameter.{name}"]
            self.average[name][...] = arrays[f"average.{name}"]
        prefix = "optimizer."
        self.optimizer.load_state(
            {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        )
        self.step, self.seconds = step, float(seconds)

    def _read(self, path: Path) -> tuple[Arrays, int, float]:
        """Arrays, step and seconds of a checkpoint of this training; raise as `load` does."""
        if not path.is_file():
            raise FileNotFoundError(f"no checkpoint {path}: start without resuming")
        mine = self._arrays()
        try:
            arrays = read_arrays(path, sum(a.nbytes for a in mine.values()) + _STATE)
            state = read_json(str(arrays.pop("state")), path)
            theirs = as_now(state["recipe"])
            step, seconds = state["step"], state["seconds"]
        except ValueError as error:
            raise ValueError(f"{path} is damaged or not a checkpoint ({error})") from None
        except Exception:  # that there is no such array, or no such entry in a dict
            raise ValueError(
                f"{path} is damaged or not a checkpoint (it does not say what was trained)"
            ) from None
        differing = [
            f"{name} {theirs.get(name)!r:.60}, now {value!r}"
            for name, value in self._identity().items()
            if theirs.get(name) != value
        ]
        if differing:
            raise ValueError(f"{path} was made with another recipe: {'; '.join(differing)}")
        fault = self._fault(arrays, mine, step, seconds)
        if fault:
            raise ValueError(f"{path} is damaged or not a checkpoint ({fault})")
        return arrays, step, seconds

    def _fault(self, arrays: Arrays, mine: Arrays, step: Any, seconds: Any) -> str:
        """What is wrong with the state in a checkpoint, or ""; mine: arrays as they should be."""
        kinds, wanted = (
            {name: (array.shape, array.dtype) for name, array in some.items()}
            for some in (arrays, mine)
        )
        if kinds != wanted:
            return "it lacks arrays of this training"
        whole = type(step) is int and 0 <= step <= self.recipe.steps
        if not whole or type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            return (
                f"it says step {step!r:.60} of {self.recipe.steps}, after {seconds!r:.60} seconds"
            )
        if not all(np.isfinite(array).all() for array in arrays.values()):
            return "it holds infinite numbers"
        return f"its steps are not {step}" if arrays["optimizer.steps"] != step else ""

    def _identity(self) -> dict:
        """What a checkpoint must agree in, to be gone on from."""
        scale = list(self.scale) if isinstance(self.scale, tuple) else self.scale
        given = {"scale": scale, "pictures": self.data, "start": self.start}
        return {**self.recipe.as_dict(), **given}

    def _arrays(self) -> Arrays:
        """All arrays that change in training, as a checkpoint names them."""
        arrays = {f"parameter.{n}": p for n, p in self.network.parameters.items()}
        arrays |= {f"average.{n}": a for n, a in self.average.items()}
        return arrays | {f"optimizer.{n}": a for n, a in self.optimizer.state().items()}
