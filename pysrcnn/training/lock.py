"""A lock, so that no two trainings write the same files."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .._signals import unfinished

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["locked"]


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """In the block, refuse other trainings that would write `output` and the files beside it.

    The lock is on a hidden file beside `output`, which is removed afterwards. The system frees the
    lock of a process that dies; the file that it leaves behind locks nothing. Where files cannot be
    locked, nothing is.

    Raises
    ------
    ValueError
        If such a training runs already.
    """
    place = output.with_name(f".{output.stem}.lock")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # of a folder that refuses all files, as writing says
            if (file := _held(place)) is None:
                raise ValueError(
                    f"another training that runs now will write {output}: give the weights another "
                    f"name, or wait for its end"
                )
            stack.callback(_release, file, place)
        yield


def _held(place: Path) -> BinaryIO | None:
    """Return the open file at `place`, which is locked now; None if another process holds it."""
    while True:
        file = open(place, "ab")
        try:
            free = _lock(file)
        except OSError:  # there are no locks here
            _release(file, place)
            raise
        if not free:
            file.close()
            return None
        # The holder before may have removed the file after it was opened here: then again.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), place.stat()):
                unfinished.add(os.fspath(place))
                return file
        file.close()


def _lock(file: BinaryIO) -> bool:
    """Lock an open file; return False if it is locked already."""
    if sys.platform == "win32":
        with contextlib.suppress(PermissionError):
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            return True
    else:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _release(file: BinaryIO, place: Path) -> None:
    """Remove the file and its lock."""
    if sys.platform == "win32":  # where no open file can be removed
        file.close()
    with contextlib.suppress(OSError):
        place.unlink()
    unfinished.discard(os.fspath(place))
    file.close()
