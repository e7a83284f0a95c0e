"""The log of a training: a file of JSON lines, for plots.

The first says what was trained on what, each later one where training stood::

    step, samples        done so far
    loss                 average over the steps since the line before, or since it went on
    psnr                 on the validation pictures, in dB, of what the training would give if this
                         were its last step: the averaged weights, black and white kept
    seconds              all steps so far have taken, without validation
    samples_per_second   since the line before, with validation, without compiling
    waiting              part of that time in which the network waited for pictures

and of a training against a discriminator, on average as the loss is::

    content, adversarial the parts of the loss, without their weights; and pixels, if they count
    discriminator        its own loss
    real, made           how likely it holds pictures to be real that are, and that are made, 0..1
"""

import json
import os
from pathlib import Path

from .._files import room_for, written_whole
from ..formats import contents

__all__ = ["append", "read_log", "write_log"]

_LARGEST = 1 << 24  # bytes of a log, which is a hundred thousand lines


def write_log(log: Path, head: dict, lines: list[dict]) -> None:
    """Begin a log, or what is left of one: whole or not at all."""
    with written_whole(log) as temporary:
        text = "".join(json.dumps(line) + "\n" for line in [head, *lines])
        temporary.write_text(text, encoding="utf-8")


def append(log: Path, line: dict) -> None:
    """Add a line."""
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
