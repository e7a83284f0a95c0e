"""What a terminal shows of work that takes a while: how much is done, how long the rest takes."""

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from .._printing import StatusLine, fitted, printable, say

__all__ = ["Progress", "progress"]

DELAY = 2  # seconds; what is done sooner needs no line
STEP = 0.5  # seconds from one line to the next


class Progress:
    """Nothing but lines that are printed, as where standard error is no terminal."""

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line."""
        say(line, stream)

    def update(self, done: float) -> None:
        """Show that this many files are done, the part of one included."""

    def show(self, phase: str) -> None:
        """Show what is being done instead, "writing a.png", until the next update."""


class _Line(Progress):
    """A line at the foot of the terminal that changes, by a thread of its own."""

    def __init__(self, count: int):
        self.count, self.done, self.phase, self.line = count, 0.0, "", StatusLine()
        self.began = self.reported = time.monotonic()
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def say(self, line: str, stream: TextIO) -> None:
        with self.lock:
            self.line.put("")
            super().say(line, stream)

    def update(self, done: float) -> None:
        self.done, self.phase, self.reported = done, "", time.monotonic()

    def show(self, phase: str) -> None:
        self.phase = printable(phase)

    def _run(self) -> None:
        wait = DELAY
        while not self.ended.wait(wait):
            with self.lock:
                self.line.put(self._text())
            wait = STEP

    def _text(self) -> str:
        part = self.done / self.count
        of_files = f" of {self.count} files" if self.count > 1 else ""
        if not part or self.phase:
            return f"{part:4.0%}{of_files}{', ' if self.phase else ''}{self.phase} ..."
        seconds = (self.reported - self.began) * (1 - part) / part
        seconds -= time.monotonic() - self.reported
        return f"{part:4.0%}{of_files}, {_duration(seconds)} left"

    def close(self) -> None:
        """Leave an empty line to whoever prints next."""
        self.ended.set()
        self.thread.join()
        self.line.put("")


class _Bar(Progress):
    """A bar of tqdm."""

    def __init__(self, bar):
        self.bar = bar

    def say(self, line: str, stream: TextIO) -> None:
        say(line, stream, self.bar.write)

    def update(self, done: float) -> None:
        self.bar.set_description_str("", refresh=False)
        self.bar.update(done - self.bar.n)

    def show(self, phase: str) -> None:
        room = shutil.get_terminal_size().columns // 2
        self.bar.set_description_str(fitted(printable(phase), room) + " ")


def _duration(seconds: float) -> str:
    """ "40 s", "3 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextlib.contextmanager
def progress(count: int) -> Iterator[Progress]:
    """Of so many files: on a terminal, a bar if there is tqdm, or else a line of our own."""
    if sys.stderr is None or not sys.stderr.isatty() or not count:
        yield Progress()
        return
    try:
        from tqdm import tqdm
    except ImportError:
        line = _Line(count)
        line.thread.start()
        try:
            yield line
        finally:
            line.close()
        return
    with tqdm(
        total=count,
        bar_format="{desc}{bar} {percentage:3.0f}% of {total} files, {remaining} left",
        dynamic_ncols=True,
        delay=1,  # seconds; what is done sooner needs no bar
        leave=False,
    ) as bar:
        yield _Bar(bar)
        bar.clear()  # which closing it leaves to us if all was done within the delay
