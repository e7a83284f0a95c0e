"""Write files completely or not at all, and explain errors of the file system."""

import contextlib
import errno
import json
import math
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ._made_here import MADE_BY
from ._signals import unfinished

__all__ = [
    "DiskFull",
    "check_apart",
    "check_place",
    "identity",
    "is_full",
    "room_for",
    "told",
    "write_json",
    "written_whole",
]

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_NEARLY_NONE = 2**20  # bytes; a file system keeps some of its free space to itself
_STREAMS = {1: "standard output", 2: "standard error"}
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class DiskFull(OSError):
    """The disk is full, for this file and for all others; the message says where."""


def told(error: OSError, path: str | os.PathLike | None = None) -> OSError | ValueError:
    """Return the error with a full sentence in place of the system's "[Errno 36] ..."."""
    path = error.filename if path is None else path
    if error.errno is None or path is None:
        return error
    if error.errno == errno.ENAMETOOLONG:
        return ValueError(f"the name {path} is too long: check it, or give the file a shorter one")
    if error.errno == errno.ELOOP:
        return ValueError(f"{path} is a link that leads to itself: give the file that is meant")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileNotFoundError(f"no file {path}: check the name")
    words = (error.strerror or type(error).__name__).lower()
    advice = "change its rights" if isinstance(error, PermissionError) else "check it and its disk"
    return type(error)(f"cannot open {path} ({words}): {advice}")


@contextlib.contextmanager
def room_for(name: object, folder: Path | None = None) -> Iterator[None]:
    """Turn a full disk, while the block writes `name` in `folder`, into an error that says so.

    Raises
    ------
    DiskFull
        If the disk is full.
    OSError
        If only this file is too large.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        full = error.errno not in (None, errno.EFBIG)
        if error.errno is None and folder:  # NumPy's error does not say which it is
            full = shutil.disk_usage(folder).free < _NEARLY_NONE
        kind = DiskFull if full else OSError
        raise kind(
            f"cannot write {name} ({error.strerror or error}): make room on the disk or choose "
            f"another folder"
        ) from None


def check_place(path: str | os.PathLike) -> None:
    """Check that `written_whole` can write to `path`, before any work is done.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError
    ValueError
        If the name is too long for the file system, or `path` exists and is not a regular file, or
        is the file that standard output or standard error goes to.
    """
    path = Path(path)
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"the name {path} is too long: choose a shorter one") from None
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file to write")
    place = _place(path)
    if not place.parent.exists():
        raise FileNotFoundError(f"the folder {place.parent} does not exist: create it first")
    if not place.parent.is_dir():
        raise NotADirectoryError(f"{place.parent} is a file, not a folder to write {place.name} to")
    if not path.exists():
        return
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        raise ValueError(
            f"{path} is {_KINDS.get(kind, 'something else')}, not a file: give the name of a file "
            f"to write"
        )
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path} may not be written: change its rights or the name")
    for stream, label in _STREAMS.items():
        if identity(path) == identity(stream):
            raise ValueError(f"{path} is where {label} goes: give the result another name")


def check_apart(
    outputs: Iterable[str | os.PathLike | int],
    inputs: Iterable[str | os.PathLike | int],
    label: str,
) -> None:
    """Raise if an output is the same file as an input, whatever their names.

    Parameters
    ----------
    outputs, inputs : paths, or file descriptors
        0 is standard input, 1 standard output. Links are followed.
    label : str
        What the error calls the inputs: "one of the pictures".

    Raises
    ------
    ValueError
    """
    written = {identity(output): output for output in outputs}
    written.pop(None, None)
    for given in inputs if written else ():
        output = written.get(identity(given))
        if output is not None:
            name = _STREAMS.get(output, output) if isinstance(output, int) else output
            raise ValueError(f"{name} is {label}: give the result another name")


def identity(path: str | os.PathLike | int) -> tuple[int, int] | None:
    """Return a value that is equal for all names of one file; None if it is no regular file."""
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return None
    return (about.st_dev, about.st_ino) if stat.S_ISREG(about.st_mode) else None


def _place(path: Path) -> Path:
    """Return the path to write to: symbolic links are followed and stay as they are."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextlib.contextmanager
def written_whole(
    path: str | os.PathLike, check: Callable[[], object] = lambda: None
) -> Iterator[Path]:
    """Yield a temporary name beside `path`, and rename it to `path` when the block succeeds.

    If the block raises or the process dies, the earlier file at `path` is still there. The
    temporary name has the suffix of `path`, from which picture writers tell the format. It begins
    with a dot, so `list_pictures` skips the files that killed processes leave behind. If `path` is
    a symbolic link, the file that it points to is written. `check`, which may raise, is called
    directly before the renaming.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError, OSError, ValueError
        If `path` cannot be written (see `check_place`) or the disk is full.
    """
    path = Path(path)
    check_place(path)
    place = _place(path)
    # Registered before it exists, so that it is removed whenever Ctrl-C comes.
    temporary = place.with_name(f".{path.stem[:40]}-{secrets.token_hex(8)}{path.suffix}")
    unfinished.add(os.fspath(temporary))
    try:
        with room_for(path, place.parent):
            _create(temporary, path)
            yield temporary
            with open(temporary, "r+b") as file:  # the content reaches the disk before the name
                os.fsync(file.fileno())
            check()
            os.replace(temporary, place)
    except Exception as error:
        first: BaseException = error
        while first.__context__ is not None:
            first = first.__context__
        if isinstance(first, (KeyboardInterrupt, SystemExit)):  # zipfile raises another error then
            raise first from None
        raise
    finally:
        try:
            _remove(temporary)
        finally:  # the first call can be interrupted, too, but only once
            _remove(temporary)
            unfinished.discard(os.fspath(temporary))


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # the file may never have been created
        temporary.unlink(missing_ok=True)


def _create(temporary: Path, path: Path) -> None:
    """Create an empty file, with the permissions of the one at `path` if there is one."""
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        if is_full(error):
            raise
        raise type(error)(
            f"cannot write {path} ({error.strerror}): choose another folder or change its rights"
        ) from None
    if path.exists():
        temporary.chmod(path.stat().st_mode & 0o777)


def is_full(error: Exception) -> bool:
    """Whether the error says that the disk is full or the file too large."""
    if not isinstance(error, OSError):
        return False
    # NumPy's error has no number, only a text: "270000 requested and 2388 written".
    return error.errno in _NO_ROOM or " requested and " in str(error)


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write JSON to a file, completely or not at all; its first entry says who made it.

    Infinity and NaN, which JSON cannot express, become null.
    """
    text = json.dumps(_finite(MADE_BY | content), indent=1, allow_nan=False)
    with written_whole(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
