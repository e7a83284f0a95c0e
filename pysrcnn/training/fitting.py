"""Running a training with a log and checkpoints; Ctrl-C may stop it at any time."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import numpy as np

from .._printing import say
from .._signals import AT_ONCE, end_by, handled_by
from ..data import Pair
from ..evaluate import mean_psnr
from ..networks import Network, own_scale
from .log import append, read_log, write_log
from .loop import Progress, Training
from .progress import shown
from .recipe import as_now

__all__ = ["Measure", "fit"]

_WORSE = 3.0  # dB below bicubic interpolation: something went wrong

# (network, or None for bicubic interpolation; pictures; scale) -> a quality in dB.
Measure = Callable[[Network | None, list[Pair], int], float]


def fit(
    training: Training,
    validation: list[Pair],
    checkpoint: Path,
    log: Path,
    every: int,
    measure: Measure | None = None,
) -> None:
    """Do the remaining steps, and write checkpoints and a log.

    Parameters
    ----------
    training : Training
        Loaded from its checkpoint if it resumes; then the log is continued too.
    validation : list of (low, high)
        Pictures that PSNR is measured on, as `data.read_pairs` returns them.
    checkpoint, log : path
    every : int
        Steps from one checkpoint and line of the log to the next.
    measure : function of (network or None for bicubic, validation, scale), optional
        Measures what is logged as PSNR; by default `mean_psnr`.

    Raises
    ------
    KeyboardInterrupt, SystemExit
        After the step during which Ctrl-C was pressed, or SIGTERM or SIGHUP came, and its
        checkpoint is written.
    ValueError
        If the log to continue is damaged or belongs to another training, or the scale of the
        training is unknown.
    FloatingPointError, OSError, ValueError
        As `Training.run` does; if pictures cannot be read, after a checkpoint of the steps done.
    """
    if isinstance(training.scale, tuple):
        scale = max(training.scale)  # how many pixels are shaved
    else:
        scale = own_scale(training.network, training.scale)
    measure = measure or mean_psnr
    head = _head(training, len(validation), measure(None, validation, scale))
    lines = _earlier(training.step, head, log) if training.step > 0 and log.is_file() else []
    _prepare(training)
    write_log(log, head, lines)

    pace, line = _Pace(training), None
    with _end_awaited() as stop, shown(training) as update, _saved(training, checkpoint):
        for progress in training.run():
            pace.add(progress)
            line = None
            if progress.step % every == 0 or training.done:
                decibels = measure(training.result(), validation, scale)
                training.save(checkpoint)
                line = pace.line(progress, decibels)
                append(log, line)
            update(progress, line)
            if stop:
                with handled_by(lambda number, frame: None):  # no further signal cuts this short
                    training.save(checkpoint)
                break
    if stop:
        say("", sys.stderr)
        say(f"stopped at step {training.step}: resume to go on (--resume)", sys.stderr)
        raise end_by(stop[0])
    if training.stopped:
        say(f"ends at step {training.step}: {training.stopped}", sys.stderr)
    elif line and line["psnr"] < head["bicubic_psnr"] - _WORSE:
        say(
            f"its PSNR, {line['psnr']:.2f} dB, is far below the {head['bicubic_psnr']:.2f} dB of "
            f"bicubic interpolation: train for more steps, or at a lower learning rate",
            sys.stderr,
        )


def _head(training: Training, validation: int, bicubic: float) -> dict:
    """Make the first line of the log."""
    scale = list(training.scale) if isinstance(training.scale, tuple) else training.scale
    head = {
        "network": training.network.name,
        "scale": scale,  # as JSON stores it, to compare with a log that is continued
        "pictures": training.data,
        "recipe": training.recipe.as_dict(),
        "validation": validation,
        "bicubic_psnr": round(bicubic, 4),
    }
    if training.judge:
        head["features"] = training.judge.features.label
    return head | ({"anew": training.anew} if training.anew else {})


def _earlier(step: int, head: dict, log: Path) -> list[dict]:
    """Return the lines of a log up to a step; raise if it belongs to another training."""
    known, lines = read_log(log)
    if isinstance(known.get("recipe"), dict):
        known["recipe"] = as_now(known["recipe"])
    differing = [n for n in head if n != "bicubic_psnr" and head[n] != known.get(n)]
    # Not to the last digit, which another processor may round differently.
    if abs(known.get("bicubic_psnr", 0) - head["bicubic_psnr"]) > 1e-3:
        differing.append("validation pictures")
    if differing:
        raise ValueError(
            f"{log} belongs to another training, which differs in its {', '.join(differing)}: "
            f"give the same pictures as before, or remove the log to begin a new one"
        )
    return [line for line in lines if line["step"] <= step]


class _Pace:
    """Losses and times since the previous line of the log, for the next one."""

    def __init__(self, training: Training):
        self.training = training
        self._begin(time.perf_counter())

    def _begin(self, now: float) -> None:
        self.losses: list[float] = []
        self.parts: list[dict[str, float]] = []
        self.began, self.first, self.waited = now, self.training.step, self.training.waited

    def add(self, progress: Progress) -> None:
        """Record the losses of a step."""
        self.losses.append(progress.loss)
        self.parts.append(progress.parts)

    def line(self, progress: Progress, decibels: float) -> dict:
        """Make the line of the log for a step, and begin to count for the next one."""
        batch, now = self.training.recipe.batch, time.perf_counter()
        elapsed = now - self.began
        line = {
            "step": progress.step,
            "samples": progress.step * batch,
            "loss": round(float(np.mean(self.losses)), 9),
            "psnr": round(decibels, 4),
            "seconds": round(progress.seconds, 1),
            "samples_per_second": float(f"{(progress.step - self.first) * batch / elapsed:.5g}"),
            "waiting": round((self.training.waited - self.waited) / elapsed, 4),
        }
        for name in progress.parts:
            line[name] = round(float(np.mean([parts[name] for parts in self.parts])), 9)
        self._begin(now)
        return line


def _prepare(training: Training) -> None:
    """Compile what a step and a validation call, and read the first pictures of a stream.

    This may take minutes, once on each machine. They count neither in the seconds of the training
    nor in the rate that the remaining time is estimated from.
    """
    if training.step < training.recipe.steps:
        low, high = training.batch(training.step, training.recipe.batch)
        training.network.loss_and_gradients(low, high, training.recipe.loss)
        training.network.forward(low[:1])
        if training.judge:
            training.judge.prepare(high)


@contextlib.contextmanager
def _saved(training: Training, checkpoint: Path) -> Iterator[None]:
    """Save a checkpoint if pictures cannot be read or measured, so that another try can resume."""
    try:
        yield
    except (OSError, ValueError, MemoryError):
        if training.step > 0:
            training.save(checkpoint)
        raise


@contextlib.contextmanager
def _end_awaited() -> Iterator[list[int]]:
    """Yield a list that receives the first signal to end, so that no step is cut in two.

    A signal more than `AT_ONCE` seconds later ends the training at once.
    """
    stop: list[int] = []
    since = time.monotonic()

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal since
        if not stop:
            stop.append(number)
            since = time.monotonic()
        elif time.monotonic() - since > AT_ONCE:
            if not callable(usual[number]):
                raise end_by(number)
            usual[number](number, frame)

    with handled_by(handle) as usual:
        yield stop
