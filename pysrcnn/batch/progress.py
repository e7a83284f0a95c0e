"""Progress of long work on a terminal: a tqdm bar, or a status line without tqdm."""

import contextlib
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO

from .._printing import StatusLine, fitted, printable, say

__all__ = ["Progress", "progress"]


class Progress:
    """Printed lines and nothing else, for when standard error is not a terminal."""

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line."""
        say(line, stream)

    def update(self, done: float, note: str = "") -> None:
        """Show how many files are done, including part of one, and a note."""

    def show(self, phase: str) -> None:
        """Show the present phase instead, "writing a.png", until the next update."""


class _Line(Progress):
    """A line at the foot of the terminal."""

    def __init__(self, count: int):
        self.count, self.done, self.line = count, 0.0, StatusLine()
        self.began = time.monotonic()

    def say(self, line: str, stream: TextIO) -> None:
        self.line.put("")
        super().say(line, stream)

    def update(self, done: float, note: str = "") -> None:
        self.done = done
        if note and done > 0:
            left = int((time.monotonic() - self.began) * (self.count - done) / done)
            note = f", {note}, {left // 60}:{left % 60:02} left"
        self.line.put(self._text() + note)

    def show(self, phase: str) -> None:
        self.line.put(f"{self._text()}, {printable(phase)} ...")

    def _text(self) -> str:
        of_files = f" of {self.count} files" if self.count > 1 else ""
        return f"{self.done / self.count:4.0%}{of_files}"


class _Bar(Progress):
    """A tqdm bar."""

    def __init__(self, bar: Any):
        self.bar = bar

    def say(self, line: str, stream: TextIO) -> None:
        say(line, stream, self.bar.write)

    def update(self, done: float, note: str = "") -> None:
        self.bar.set_description_str(note and f"{note} ", refresh=False)
        self.bar.update(done - self.bar.n)

    def show(self, phase: str) -> None:
        room = shutil.get_terminal_size().columns // 2
        self.bar.set_description_str(fitted(printable(phase), room) + " ")


@contextlib.contextmanager
def progress(count: int) -> Iterator[Progress]:
    """Show the progress over `count` files on a terminal, and lines alone elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty() or not count:
        yield Progress()
        return
    try:
        from tqdm import tqdm
    except ImportError:
        line = _Line(count)
        try:
            yield line
        finally:
            line.line.put("")
        return
    with tqdm(
        total=count,
        bar_format="{desc}{bar} {percentage:3.0f}% of {total} files, {remaining} left",
        dynamic_ncols=True,
        delay=1,  # seconds; what is done sooner needs no bar
        leave=False,
    ) as bar:
        yield _Bar(bar)
        bar.clear()  # closing it does not, if all was done within the delay
