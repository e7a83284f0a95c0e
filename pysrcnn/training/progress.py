"""Progress of a training on the terminal: a bar (tqdm), or plain lines."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from .._printing import StatusLine, say
from .loop import Progress, Training

__all__ = ["Update", "shown"]

# Called after each step, with its line of the log if there is one.
Update: TypeAlias = Callable[[Progress, dict | None], None]


@contextlib.contextmanager
def shown(training: Training) -> Iterator[Update]:
    """Show a bar if standard error is a terminal and tqdm is installed, or else plain lines.

    On a terminal without tqdm, a status line is shown between these.
    """
    if not sys.stderr.isatty():
        yield _lines(training)
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield _changing_line(training)
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

        def update(progress: Progress, line: dict | None) -> None:
            nonlocal known
            if line:
                known = f", loss {_short(line['loss'])}, {line['psnr']:.2f} dB"
            bar.set_description_str(f"step {progress.step}{known} ", refresh=False)
            bar.update(recipe.batch)

        yield update


def _short(loss: float) -> str:
    """Format a loss, also one of a training that diverges."""
    return f"{loss:.6f}" if loss < 100 else f"{loss:.3g}"


def _lines(training: Training) -> Update:
    def update(progress: Progress, line: dict | None) -> None:
        if line is None:
            return
        recipe = training.recipe
        left = (recipe.steps * recipe.batch - line["samples"]) / line["samples_per_second"] / 60
        waiting = f"  waiting {line['waiting']:.1%}" if training.waited else ""
        state = f"{line['samples_per_second']:.0f} samples/s"
        if "real" in line:  # both would not fit into a line
            state = f"real {line['real']:.0%} made {line['made']:.0%}"
        say(
            f"step {line['step']:>7}/{recipe.steps}  loss {_short(line['loss'])}  "
            f"PSNR {line['psnr']:.3f}  {state}  {left:.1f} min left{waiting}"
        )

    return update


def _changing_line(training: Training) -> Update:
    """Print plain lines, and between them a status line that changes once a second."""
    lines, status, steps = _lines(training), StatusLine(), training.recipe.steps
    began = shown = time.perf_counter()
    first = training.step

    def update(progress: Progress, line: dict | None) -> None:
        nonlocal began, shown, first
        now = time.perf_counter()
        if line is not None:
            began, first, shown = now, progress.step, now
            status.put("")
            lines(progress, line)
        elif now - shown >= 1:
            shown = now
            left = (now - began) / (progress.step - first) * (steps - progress.step) / 60
            status.put(f"step {progress.step}/{steps}, {left:.1f} min left")

    return update
