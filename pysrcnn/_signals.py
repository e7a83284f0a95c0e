"""How the command ends when it is told to: by Ctrl-C, SIGTERM, or SIGHUP of a terminal that closes.

The first of them is an exception, so that everything is left in order; others that follow at once,
as fingers and systems send them, change nothing, or they would cut short what puts it in order.
When one comes later, from somebody who has waited, or the command has not ended after `PATIENCE`,
unfinished files are removed and no more is waited for: a thread that writes may take its time, and
Python loses some exceptions, and others become errors of what was cut short. Signals that are
ignored at the beginning, as by nohup, stay ignored.

This module is imported before all others, and imports no more than it needs: a process of the
command can be told to end while NumPy and Numba are still being imported.
"""

import _thread
import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = [
    "AT_ONCE",
    "ENDS",
    "IS_COMMAND",
    "PATIENCE",
    "end_by",
    "ended_in_order",
    "handled_by",
    "unfinished",
]

# Windows has no SIGHUP.
ENDS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))
AT_ONCE = 1.0  # seconds in which another signal means no more than the first
PATIENCE = 10.0  # seconds that the command has to end in order

_for_good: list = []  # contexts that are never left
unfinished: set[str] = set()  # files and folders to be removed if the process ends


def _is_command() -> bool:
    """Whether this process runs the command `pysrcnn`, and not another program that imports us."""
    arguments = getattr(sys, "argv", None) or [""]  # none, where Python is part of a program
    name = os.path.basename(arguments[0])
    if name == "-m":  # python -m pysrcnn: of the module, only what was typed is known by now
        given = sys.orig_argv[len(sys.orig_argv) - len(arguments)]
        return given.removeprefix("-m").split(".")[0] == __package__
    return os.path.splitext(name)[0].removesuffix("-script") == __package__


def _leave(number: int, wait: float = 0) -> None:
    """End, at once or after so many seconds, without what else is waited for."""
    time.sleep(wait)
    for path in list(unfinished):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    os._exit(128 + number)


def _while_importing(number: int, frame: FrameType | None) -> None:
    # Not by an exception, which not everything that is imported hands on.
    with contextlib.suppress(OSError):
        os.write(2, b"pysrcnn: interrupted\n")
    _leave(number)


IS_COMMAND = _is_command()
if IS_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _while_importing)  # until `ended_in_order`


def end_by(number: int) -> BaseException:
    """What is raised for a signal: KeyboardInterrupt for Ctrl-C, SystemExit for the others."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


@contextlib.contextmanager
def handled_by(handle: Callable[[int, FrameType | None], Any]) -> Iterator[dict[int, Any]]:
    """In the block, call `handle` for those of `ENDS` that are not ignored; what they did before.

    In other threads than the main one, which signals are not for, do nothing.
    """
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in ENDS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, handle)
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: not Python's


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """In the block, the first signal raises: Ctrl-C KeyboardInterrupt, the others SystemExit.

    So does the block then, whatever error was made of it within. In a process of the command,
    signals are handled from then on until it has ended.
    """
    last = None
    end: BaseException | None = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal last, end
        before, now = last, time.monotonic()
        if before is not None and now - before < AT_ONCE:
            return
        if before is not None and IS_COMMAND:
            _leave(number)
        last = now
        if IS_COMMAND:
            _thread.start_new_thread(_leave, (number, PATIENCE))
        end = end_by(number)
        raise end

    def lost(about: Any, hook: Callable[[Any], Any] = sys.unraisablehook) -> None:
        if about.exc_value is not end or end is None:  # the end is no news
            hook(about)

    with contextlib.ExitStack() as stack:
        stack.enter_context(handled_by(handle))
        unraisable, sys.unraisablehook = sys.unraisablehook, lost
        try:
            yield
        except Exception:  # such as Numba's, where the end was lost while it compiled
            if end is None:
                raise
            raise end from None
        finally:
            sys.unraisablehook = unraisable
            last = last or time.monotonic()  # there is nothing left to be interrupted
            if IS_COMMAND:
                _for_good.append(stack.pop_all())
