"""Files are written whole or not at all."""

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "DiskFull",
    "check_place",
    "is_full",
    "printable",
    "room_for",
    "told",
    "write_json",
    "written_whole",
]

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_NEARLY_NONE = 2**20  # bytes; of what is free, a file system keeps some to itself
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class DiskFull(OSError):
    """There is no room, with the sentence that says where; for no other file either."""


def printable(line: str) -> str:
    """A line with whatever a terminal would obey, or cannot show, escaped: names may have it."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


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
        If the name is longer than the file system takes.
    """
    path = Path(path)
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"the name {path} is too long: choose a shorter one") from None
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file to write")
    if not path.parent.exists():
        raise FileNotFoundError(f"the folder {path.parent} does not exist: create it first")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"{path.parent} is a file, not a folder to write {path.name} to")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path} may not be written: change its rights or the name")


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name beside `path` to write to; renamed to `path` when the block ends well.

    If the block raises, or the process dies, what was at `path` before is still there. The
    temporary name has the suffix of `path`, which writers of pictures go by, and begins with a
    dot, by which `list_pictures` leaves out what a process that was killed has left. Where `path`
    is a symbolic link, it stays, and what it points to is written.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError, OSError
        With a sentence, if `path` cannot be written or there is no room for it.
    """
    path = Path(path)
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    check_place(place)
    # Known before it is there, so that it is removed wherever Ctrl-C comes between.
    temporary = place.with_name(f".{path.stem[:40]}-{secrets.token_hex(8)}{path.suffix}")
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
