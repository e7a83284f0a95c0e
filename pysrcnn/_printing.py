"""Lines for people, made of text that others chose: names of files, cards, messages of libraries.

Such text may hold what a terminal obeys, what nobody sees, or what standard output cannot encode;
and there may be nobody to print for. None of it may stop the work, or pass for something else.
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

# Control characters, those that turn the direction of others or have no width, halves of pairs (of
# which names are made that are not UTF-8), ends of lines.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_BLANK = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks without ink
_VARIANTS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))  # likewise
_MARKS = {"Mn", "Me"}
_MOST_MARKS = 4  # on one letter: Vietnamese has two, Hebrew with accents three
_LONGEST = 300  # characters of a text from a card


def counted(number: int, noun: str) -> str:
    """ "1 picture", "2 pictures"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def printable(line: str) -> str:
    """A line with whatever a terminal would obey, or cannot show, escaped: names may have it."""
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
    """What a card says, for people: a number or a text that is not long, or else `otherwise`."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        text = str(value)
        if 0 < len(text) <= _LONGEST:
            return printable(text)
    return otherwise


def say(line: str, stream: TextIO | None = None, write: Callable[..., Any] = print) -> None:
    """Print a line, with what is hidden in it escaped, at once.

    If nobody can read it, since the terminal is gone or standard error is closed, the work goes on.

    Parameters
    ----------
    line : str
    stream : optional
        `sys.stdout`, by default, or `sys.stderr`.
    write : function of the line and of ``file``
        `print`, or what else knows how to.

    Raises
    ------
    OSError
        If standard output is full, or its reader has seen enough.
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
    """The text, or as much of its beginning as there is room for."""
    return text if len(text) <= room else text[: max(0, room - 4)] + " ..."


class StatusLine:
    """A line at the foot of the terminal, on standard error, that changes."""

    width = 0

    def put(self, text: str) -> None:
        """In place of the text before, in a line that no terminal breaks; "" leaves it empty."""
        text = fitted(text, shutil.get_terminal_size().columns - 1)
        if text or self.width:
            with contextlib.suppress(OSError):  # of a terminal that is gone
                sys.stderr.write(f"\r{text:<{self.width}}" + ("" if text else "\r"))
                sys.stderr.flush()
        self.width = len(text)


def drop(stream: TextIO) -> None:
    """What a stream does not take is not tried again, now or when Python ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def any_text() -> Iterator[None]:
    """Standard output and error escape what their encoding lacks, instead of raising."""
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
    with contextlib.suppress(OSError, ValueError):  # which it may have when it is flushed
        stream.reconfigure(errors=errors)
