"""Files are written whole or not at all."""

import contextlib
import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

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
_NEARLY_NONE = 2**20  # bytes; of what is free, a file system keeps some to itself
_STREAMS = {1: "standard output", 2: "standard error"}
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class DiskFull(OSError):
    """There is no room, with the sentence that says where; for no other file either."""


def told(error: OSError, path: str | os.PathLike | None = None) -> OSError | ValueError:
    """The same error with a sentence, where it has the system's few words: "[Errno 36] ..."."""
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
    """Say in a sentence if the disk is full when `name`, in `folder`, is written in the block.

    Raises
    ------
    DiskFull
    OSError
        If it is not the disk, but this file is too large.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        full = error.errno not in (None, errno.EFBIG)
        if error.errno is None and folder:  # NumPy does not say which
            full = shutil.disk_usage(folder).free < _NEARLY_NONE
        kind = DiskFull if full else OSError
        raise kind(
            f"cannot write {name} ({error.strerror or error}): make room on the disk or choose "
            f"another folder"
        ) from None


def check_place(path: str | os.PathLike) -> None:
    """Raise the error of `written_whole` where a file could not be, before the work is done.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError
    ValueError
        If the name is longer than the file system takes; or what is there is not a regular file,
        or is the one that standard output or standard error goes to.
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
    """Raise if what is to be written is, under whatever name, a file that is read.

    Parameters
    ----------
    outputs, inputs : paths, or numbers of open files
        0 is standard input, 1 standard output. Of links, what they lead to counts.
    label : str
        What the inputs are: "one of the pictures".

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
    """Equal for two names of one file; None where there is none, or no regular one."""
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return None
    return (about.st_dev, about.st_ino) if stat.S_ISREG(about.st_mode) else None


def _place(path: Path) -> Path:
    """Where a file of this name is written: links stay, and what they lead to is replaced."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name beside `path` to write to; renamed to `path` when the block ends well.

    If the block raises, or the process dies, what was at `path` before is still there. The
    temporary name has the suffix of `path`, which writers of pictures go by, and begins with a
    dot, by which `list_pictures` leaves out what a process that was killed has left. Where `path`
    is a symbolic link, it stays, and what it points to is written.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError, OSError, ValueError
        With a sentence, if `path` cannot be written or there is no room for it, see `check_place`.
    """
    path = Path(path)
    check_place(path)
    place = _place(path)
    # Known before it is there, so that it is removed wherever Ctrl-C comes between.
    temporary = place.with_name(f".{path.stem[:40]}-{secrets.token_hex(8)}{path.suffix}")
    unfinished.add(os.fspath(temporary))
    try:
        with room_for(path, place.parent):
            _create(temporary, path)
            yield temporary
            with open(temporary, "r+b") as file:  # on the disk before its name is
                os.fsync(file.fileno())
            os.replace(temporary, place)
    except Exception as error:
        first: BaseException = error
        while first.__context__ is not None:
            first = first.__context__
        if isinstance(first, (KeyboardInterrupt, SystemExit)):  # for which zipfile has its own word
            raise first from None
        raise
    finally:
        try:
            _remove(temporary)
        finally:  # as this, too, can be interrupted, once
            _remove(temporary)
            unfinished.discard(os.fspath(temporary))


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # of a file that could not be made
        temporary.unlink(missing_ok=True)


def _create(temporary: Path, path: Path) -> None:
    """An empty file with the rights of the one at `path`, if there is one."""
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
    """Whether it says that the disk is full or the file too large."""
    if not isinstance(error, OSError):
        return False
    # NumPy has words and no number for it: "270000 requested and 2388 written".
    return error.errno in _NO_ROOM or " requested and " in str(error)


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write JSON to a file, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
