"""End the command in order on Ctrl-C, SIGTERM, or SIGHUP of a terminal that closes.

The first signal raises an exception, so that everything is cleaned up. Further signals within
`AT_ONCE` are ignored, since fingers and systems often send several, and they would interrupt the
cleanup. If another signal comes later, or the command has not ended after `PATIENCE`, unfinished
files are removed and the process exits: a thread may still be writing, Python loses some
exceptions, and others turn into errors of the interrupted code. Signals that were ignored at the
start, as by nohup, stay ignored.

This module is imported before all others and imports little, because the command may be
interrupted while NumPy and Numba are still being imported.
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
AT_ONCE = 1.0  # seconds after the first signal during which further ones are ignored
PATIENCE = 10.0  # seconds that the command has to end in order

_for_good: list = []  # contexts that are never left
unfinished: set[str] = set()  # files and folders to remove if the process is ended


def _is_command() -> bool:
    """Whether this process runs the command `pysrcnn`, and not another program that imports us."""
    arguments = getattr(sys, "argv", None) or [""]  # missing where Python is embedded
    name = os.path.basename(arguments[0])
    if name == "-m":  # python -m pysrcnn: the module is not found yet, so see what was typed
        given = sys.orig_argv[len(sys.orig_argv) - len(arguments)]
        return given.removeprefix("-m").split(".")[0] == __package__
    return os.path.splitext(name)[0].removesuffix("-script") == __package__


def _leave(number: int, wait: float = 0) -> None:
    """Exit after `wait` seconds, removing unfinished files and waiting for no thread."""
    time.sleep(wait)
    for path in list(unfinished):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    os._exit(128 + number)


def _while_importing(number: int, frame: FrameType | None) -> None:
    # No exception, since some of the imported modules would swallow it.
    with contextlib.suppress(OSError):
        os.write(2, b"pysrcnn: interrupted\n")
    _leave(number)


IS_COMMAND = _is_command()
if IS_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _while_importing)  # until `ended_in_order`


def end_by(number: int) -> BaseException:
    """Return the exception for a signal: KeyboardInterrupt for Ctrl-C, SystemExit for others."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


@contextlib.contextmanager
def handled_by(handle: Callable[[int, FrameType | None], Any]) -> Iterator[dict[int, Any]]:
    """In the block, handle the signals in `ENDS` that are not ignored; yield their old handlers.

    Outside the main thread, which alone can handle signals, do nothing.
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
            signal.signal(number, handler or signal.SIG_DFL)  # None: not installed from Python


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """In the block, raise KeyboardInterrupt on Ctrl-C and SystemExit on the other signals.

    The block then ends with this exception, even if code inside turned it into another error. In a
    process of the command, the handlers stay installed until the process ends.
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
        if about.exc_value is not end or end is None:  # do not report our own exception
            hook(about)

    with contextlib.ExitStack() as stack:
        stack.enter_context(handled_by(handle))
        unraisable, sys.unraisablehook = sys.unraisablehook, lost
        try:
            yield
        except Exception:  # Numba, for one, may lose our exception while it compiles
            if end is None:
                raise
            raise end from None
        finally:
            sys.unraisablehook = unraisable
            last = last or time.monotonic()  # nothing is left to interrupt
            if IS_COMMAND:
                _for_good.append(stack.pop_all())
