"""Print lines safely that contain text from outside: file names, cards, messages of libraries.

Such text may contain control sequences, invisible characters, or characters that standard output
cannot encode, and the output may be closed. None of this may stop the work or mislead the reader.
"""

import contextlib
import errno
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, TextIO

__all__ = ["StatusLine", "any_text", "counted", "drop", "fitted", "known", "printable", "say"]

# Control characters, characters that change the direction of text or have no width, surrogates
# (Python's stand-ins for bytes of names that are not UTF-8), line and paragraph separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_BLANK = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks without ink
_VARIANTS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))  # selectors
_MARKS = {"Mn", "Me"}
_MOST_MARKS = 4  # on one letter: Vietnamese has two, Hebrew with accents three
_LONGEST = 300  # characters of a text from a card


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: "1 picture", "2 pictures"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def printable(line: str) -> str:
    """Escape the characters of a line that a terminal would obey or could not show."""
    if line.isascii() and line.isprintable():
        return line
    shown, marks = [], 0
    for character in line:
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        hidden = category in _HIDDEN or character in _BLANK or marks > _MOST_MARKS
        if hidden or any(ord(character) in variants for variants in _VARIANTS):
            character = character.encode("unicode_escape").decode()
        shown.append(character)
    return "".join(shown)


def known(value: object, otherwise: str = "unknown") -> str:
    """Return a value of a card as text, or `otherwise` if it is no number or short text."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        text = str(value)
        if 0 < len(text) <= _LONGEST:
            return printable(text)
    return otherwise


def say(line: str, stream: TextIO | None = None, write: Callable[..., Any] = print) -> None:
    """Print a line and flush it, with hidden characters escaped.

    If the terminal is gone or standard error is closed, the line is dropped and the work goes on.

    Parameters
    ----------
    line : str
    stream : optional
        `sys.stdout`, by default, or `sys.stderr`.
    write : function of the line and of ``file``
        `print`, or a function that takes the same arguments.

    Raises
    ------
    OSError
        If the disk behind standard output is full, or its reader has closed the pipe.
    """
    stream = stream or sys.stdout
    if stream is None:  # closed, by >&-
        return
    try:
        write(printable(line), file=stream)
        stream.flush()
    except OSError as error:
        if stream is sys.stdout and error.errno != errno.EIO:
            raise
        drop(stream)


def fitted(text: str, room: int) -> str:
    """Shorten a text to `room` characters, marking the cut with " ..."."""
    return text if len(text) <= room else text[: max(0, room - 4)] + " ..."


class StatusLine:
    """A line at the foot of the terminal, on standard error, that is updated in place."""

    width = 0

    def put(self, text: str) -> None:
        """Replace the text of the line, cut to the width of the terminal; "" clears it."""
        text = fitted(text, shutil.get_terminal_size().columns - 1)
        if text or self.width:
            with contextlib.suppress(OSError):  # the terminal may be gone
                sys.stderr.write(f"\r{text:<{self.width}}" + ("" if text else "\r"))
                sys.stderr.flush()
        self.width = len(text)


def drop(stream: TextIO) -> None:
    """Redirect a broken stream to nowhere, so that Python does not try to flush it at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def any_text() -> Iterator[None]:
    """Let standard output and error escape characters that their encoding lacks."""
    before = {}
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            before[stream] = stream.errors or "strict"
            _reconfigure(stream, "backslashreplace")
    try:
        yield
    finally:
        for stream, errors in before.items():
            _reconfigure(stream, errors)


def _reconfigure(stream: Any, errors: str | None) -> None:
    with contextlib.suppress(OSError, ValueError):  # reconfiguring flushes, which may fail
        stream.reconfigure(errors=errors)
