"""A run of training as its user meets it: progress, a log file, checkpoints, Ctrl-C.

The log is a file of JSON lines: the first says what was trained on what, each later one where
training stood. `read_log` reads it back, for plots.

    step, samples        done so far
    loss                 average over the steps since the line before, or since it went on
    psnr                 of the averaged weights on the validation pictures, in dB
    seconds              all steps so far have taken, without validation
    samples_per_second   since the line before, with validation, without compiling
    waiting              part of that time in which the network waited for pictures
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .._files import room_for, written_whole
from .._printing import StatusLine, say
from .._signals import AT_ONCE, handled_by
from ..data import Pair
from ..evaluate import mean_psnr
from ..formats import contents
from ..networks import Network
from .loop import Progress, Training

__all__ = ["read_log", "run"]

_LARGEST = 1 << 24  # bytes of a log, which is a hundred thousand lines


def run(
    training: Training,
    validation: list[Pair],
    checkpoint: Path,
    log: Path,
    every: int,
    measure: Callable[[Network | None, list[Pair], int], float] | None = None,
) -> None:
    """Do all steps that remain; every so many, write a checkpoint and a line of the log.

    Parameters
    ----------
    training : Training
        As loaded from its checkpoint, if it goes on from one; then the log goes on too.
    validation : list of (low, high)
        Pictures that PSNR is measured on, as `data.read_pairs` returns them.
    checkpoint, log : path
    every : int
        Steps.
    measure : function of (network or None for bicubic, validation, scale), optional
        What is logged as PSNR; by default `mean_psnr`.

    Raises
    ------
    KeyboardInterrupt
        After the step during which Ctrl-C was pressed, or SIGTERM or SIGHUP came, with a checkpoint
        of it.
    ValueError
        If the training does not know its scale, or the log to go on with is damaged or of another
        training.
    FloatingPointError, OSError, ValueError
        As `Training.run` does; if pictures cannot be read, with a checkpoint of the steps done.
    """
    recipe = training.recipe
    measure = measure or mean_psnr
    scale = training.scale
    if scale is None:
        raise ValueError(
            "the training does not say what scale its pictures are made for, which PSNR needs: "
            "give it to Training"
        )
    head = _head(training, round(measure(None, validation, scale), 4), len(validation))
    lines: list[dict] = []
    if training.step > 0 and log.is_file():
        known, lines = read_log(log)
        lines = [line for line in lines if line["step"] <= training.step]
        differing = [n for n in head if n != "bicubic_psnr" and head[n] != known.get(n)]
        # Not to the last digit, which another processor may round otherwise.
        if abs(known.get("bicubic_psnr", 0) - head["bicubic_psnr"]) > 1e-3:
            differing.append("validation pictures")
        if differing:
            raise ValueError(
                f"{log} is of another training, in its {', '.join(differing)}: "
                f"give the same pictures as before, or remove the log to begin a new one"
            )
    _prepare(training)
    _write_log(log, head, lines)

    losses = []
    before, first, waited = time.perf_counter(), training.step, training.waited
    with _end_awaited() as stop, _reporter(training) as report, _saved(training, checkpoint):
        for progress in training.run():
            losses.append(progress.loss)
            if progress.step % every == 0 or progress.step == recipe.steps:
                decibels = measure(training.result(), validation, scale)
                training.save(checkpoint)
                elapsed = time.perf_counter() - before
                line = {
                    "step": progress.step,
                    "samples": progress.step * recipe.batch,
                    "loss": round(float(np.mean(losses)), 9),
                    "psnr": round(decibels, 4),
                    "seconds": round(progress.seconds, 1),
                    "samples_per_second": float(
                        f"{(progress.step - first) * recipe.batch / elapsed:.5g}"
                    ),
                    "waiting": round((training.waited - waited) / elapsed, 4),
                }
                before, first, waited = before + elapsed, progress.step, training.waited
                _append(log, line)
                report(progress, line)
                losses.clear()
            else:
                report(progress, None)
            if stop.is_set():
                with handled_by(lambda number, frame: None):  # by none, however late
                    training.save(checkpoint)
                break
    if stop.is_set():
        say("", sys.stderr)
        say(f"stopped at step {training.step}: go on with --resume", sys.stderr)
        raise KeyboardInterrupt


def _prepare(training: Training) -> None:
    """Compile what a step and a validation call, and read the first pictures of a stream.

    It may take minutes, once on each machine, which are no part of the training: neither of its
    seconds nor of the rate that the time left is told by.
    """
    if training.step < training.recipe.steps:
        low, high = training.batch(training.step, training.recipe.batch)
        training.network.loss_and_gradients(low, high)
        training.network.forward(low[:1])


# ----------------------------------------------------------------------------------------- the log


def _head(training: Training, bicubic_psnr: float, validation: int) -> dict:
    return {
        "network": training.network.name,
        "scale": training.scale,
        "pictures": training.data,
        "recipe": training.recipe.as_dict(),
        "validation": validation,
        "bicubic_psnr": bicubic_psnr,
    }


def _write_log(log: Path, head: dict, lines: list[dict]) -> None:
    with written_whole(log) as temporary:
        text = "".join(json.dumps(line) + "\n" for line in [head, *lines])
        temporary.write_text(text, encoding="utf-8")


def _append(log: Path, line: dict) -> None:
    with room_for(log), open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_log(path: str | os.PathLike) -> tuple[dict, list[dict]]:
    """The first line of a log, and the others: step, samples, loss, psnr (dB), seconds, ...

    A last line that was cut short, as when the machine stopped, is left out.

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is no log of training.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no log {path}: check the name")
    objects = []
    content = contents(path, "give the .log that training has written", _LARGEST)
    for text in content.decode("utf-8", "replace").splitlines():
        try:
            objects.append(json.loads(text))
        except (ValueError, RecursionError):
            break
    head, *lines = objects or [None]
    wanted = ("step", "samples", "loss", "psnr")
    if not isinstance(head, dict) or "recipe" not in head:
        raise ValueError(f"{path} is not a log of training: its first line names no recipe")
    if not all(isinstance(line, dict) and _has_numbers(line, wanted) for line in lines):
        raise ValueError(
            f"{path} is not a log of training: a line lacks a number of {', '.join(wanted)}"
        )
    if "bicubic_psnr" in head and not _has_numbers(head, ("bicubic_psnr",)):
        raise ValueError(f"{path} is not a log of training: its bicubic_psnr is not a number")
    return head, lines


def _has_numbers(line: dict, names: tuple[str, ...]) -> bool:
    return all(type(line.get(name)) in (int, float) for name in names)


# ---------------------------------------------------------------------------------------- progress


@contextlib.contextmanager
def _reporter(training: Training) -> Iterator:
    """report(progress, line of the log or None): a bar (tqdm), or plain lines.

    On a terminal without tqdm, a line that changes is between these.
    """
    if not sys.stderr.isatty():
        yield _plain(training)
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield _changing(training)
        return
    recipe = training.recipe
    with tqdm(
        total=recipe.steps * recipe.batch,
        initial=training.step * recipe.batch,
        unit="",
        unit_scale=True,
        bar_format="{desc}{bar} {n_fmt}/{total_fmt} samples, {rate_fmt}, {remaining} left",
        dynamic_ncols=True,
        smoothing=0.05,
    ) as bar:
        known = ""

        def report(progress: Progress, line: dict | None) -> None:
            nonlocal known
            if line:
                known = f", loss {line['loss']:.6f}, {line['psnr']:.2f} dB"
            bar.set_description_str(f"step {progress.step}{known} ", refresh=False)
            bar.update(recipe.batch)

        yield report


def _plain(training: Training):
    def report(progress: Progress, line: dict | None) -> None:
        if line is None:
            return
        recipe = training.recipe
        left = (recipe.steps * recipe.batch - line["samples"]) / line["samples_per_second"] / 60
        waiting = f"  waiting {line['waiting']:.1%}" if training.waited else ""
        say(
            f"step {line['step']:>7}/{recipe.steps}  loss {line['loss']:.6f}  "
            f"PSNR {line['psnr']:.3f}  {line['samples_per_second']:.0f} samples/s  "
            f"{left:.1f} min left{waiting}"
        )

    return report


def _changing(training: Training):
    """Plain lines, and until the next of them a line at the foot of the terminal, once a second."""
    plain, status, steps = _plain(training), StatusLine(), training.recipe.steps
    began = shown = time.perf_counter()
    first = training.step

    def report(progress: Progress, line: dict | None) -> None:
        nonlocal began, shown, first
        now = time.perf_counter()
        if line is not None:
            began, first, shown = now, progress.step, now
            status.put("")
            plain(progress, line)
        elif now - shown >= 1:
            shown = now
            left = (now - began) / (progress.step - first) * (steps - progress.step) / 60
            status.put(f"step {progress.step}/{steps}, {left:.1f} min left")

    return report


@contextlib.contextmanager
def _saved(training: Training, checkpoint: Path) -> Iterator[None]:
    """What was done is saved if pictures cannot be read; another try may go on with it."""
    try:
        yield
    except (OSError, ValueError):
        if training.step > 0:
            training.save(checkpoint)
        raise


@contextlib.contextmanager
def _end_awaited() -> Iterator[threading.Event]:
    """An event that signals to end set, so that no step is cut in two; a later one cuts it."""
    event = threading.Event()
    since = time.monotonic()

    def handle(number, frame):
        nonlocal since
        if not event.is_set():
            event.set()
            since = time.monotonic()
        elif time.monotonic() - since > AT_ONCE:
            if not callable(usual[number]):
                raise KeyboardInterrupt
            usual[number](number, frame)

    with handled_by(handle) as usual:
        yield event
