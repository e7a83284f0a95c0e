"""The command ``pysrcnn``: upscale, evaluate, score, train, show, convert, gradcheck, exercise,
warmup, info.

Each has a file in `pysrcnn.command`, with its options and its work. Exit code 0: done; 2: bad
usage or input; 1: failed. An error is one sentence on standard error; in Python's development mode
(``python -X dev -m pysrcnn``) a traceback precedes it.
"""

import argparse
import os
import sys

import numba

from . import kernels
from ._files import is_full, told
from ._printing import any_text, drop, say
from ._signals import ENDS, ended_in_order
from ._version import __version__
from .command import (
    convert,
    evaluate,
    exercise,
    gradcheck,
    info,
    score,
    show,
    train,
    upscale,
    warmup,
)
from .command.common import complain, most_threads
from .command.usage import Parser

__all__ = ["main", "parser"]

COMMANDS = (upscale, evaluate, score, train, show, convert, gradcheck, exercise, warmup, info)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; its `parse_args` sets `run` to the command's function."""
    top = Parser(
        prog="pysrcnn",
        description="Enlarge pictures and videos with SRCNN and the networks that followed it "
        "(ESPCN, VDSR, DRCN, EDSR, SRResNet, VESPCN); train and evaluate them.",
    )
    top.add_argument("--version", action="version", version=f"pysrcnn {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for command in COMMANDS:
        command.add(commands)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's, and return the exit code."""
    if sys.stderr is None:  # closed by 2>&-; print would use standard output instead
        sys.stderr = open(os.devnull, "w")
    try:
        with ended_in_order(), any_text():
            return _run(parser().parse_args(arguments))
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    except SystemExit as end:  # raised by argparse, or for a signal
        if end.code in [128 + number for number in ENDS]:
            complain("interrupted", 1)
        raise


def _run(options: argparse.Namespace) -> int:
    """Run the chosen command and turn errors into a line and an exit code."""
    try:
        if getattr(options, "threads", None) is not None:
            most = most_threads()
            if not 1 <= options.threads <= most:
                raise ValueError(f"--threads is {options.threads}, wanted 1 to {most}")
            kernels.load_openmp()
            numba.set_num_threads(options.threads)
        with kernels.announce_compilation(lambda note: say(note, sys.stderr)):
            code: int = options.run(options)
            if sys.stdout is not None:  # None if closed by >&-
                sys.stdout.flush()
            return code
    except (ValueError, TypeError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as e:
        return complain(told(e) if isinstance(e, OSError) else e, 2)
    except BrokenPipeError:  # the reader of the output closed the pipe
        drop(sys.stdout)
        return 1
    except OSError as e:
        if is_full(e) and e.errno and e.filename is None:  # for files, `room_for` has said it
            drop(sys.stdout)
            sentence = f"cannot write standard output ({e.strerror}): make room on the disk"
            return complain(sentence, 1)
        named = told(e)
        return complain(named, 2 if isinstance(named, ValueError) else 1)
    except (FloatingPointError, MemoryError, ModuleNotFoundError) as e:
        return complain(e, 1)
