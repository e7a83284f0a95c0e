"""The log of a training: a file of JSON lines, for plots.

The first line says what was trained on what, each later line describes one step::

    step, samples        done so far
    loss                 mean over the steps since the previous line, or since resuming
    psnr                 on the validation pictures, in dB, of the network that training would give
                         if this were its last step: with averaged weights, black and white kept
    seconds              that all steps so far have taken, without validation
    samples_per_second   since the previous line, with validation, without compiling
    waiting              fraction of that time in which the network waited for pictures

In training against a discriminator, each line also has these, averaged like the loss::

    content, adversarial the parts of the loss, unweighted; also pixels, if it has a weight
    discriminator        the discriminator's loss
    real, made           the probability of being real that it gives real and made pictures, 0..1
"""

import json
import os
from pathlib import Path

from .._files import room_for, written_whole
from ..formats import contents

__all__ = ["append", "read_log", "write_log"]

_LARGEST = 1 << 24  # most bytes of a log: a hundred thousand lines
_HIGHEST = 1e15  # of its numbers, with a sign or without: plots cannot show all that Python can


def write_log(log: Path, head: dict, lines: list[dict]) -> None:
    """Begin a log, with the lines kept of an earlier one; write it whole or not at all."""
    with written_whole(log) as temporary:
        text = "".join(json.dumps(line) + "\n" for line in [head, *lines])
        temporary.write_text(text, encoding="utf-8")


def append(log: Path, line: dict) -> None:
    """Add a line to a log."""
    with room_for(log), open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_log(path: str | os.PathLike) -> tuple[dict, list[dict]]:
    """Return the first line of a log, and the others: step, samples, loss, psnr (dB), seconds, ...

    Reading ends before a damaged line, as one that was cut short when the machine stopped.

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is not a log of training.
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
            f"{path} is not a log of training: a line lacks a number of {', '.join(wanted)}, or it "
            f"is not finite or far too large"
        )
    if "bicubic_psnr" in head and not _has_numbers(head, ("bicubic_psnr",)):
        raise ValueError(
            f"{path} is not a log of training: its bicubic_psnr is not a number, or far too large"
        )
    return head, lines


def _has_numbers(line: dict, names: tuple[str, ...]) -> bool:
    """Whether the line has these numbers, finite and of a size that may be."""
    numbers = [line[name] for name in names if type(line.get(name)) in (int, float)]
    return len(numbers) == len(names) and all(-_HIGHEST <= n <= _HIGHEST for n in numbers)
