"""Files are written whole or not at all."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["check_place", "is_full", "written_whole"]

_mask = os.umask(0)  # can only be read by setting it, which is best done before there are threads
os.umask(_mask)
_USUAL_RIGHTS = 0o666 & ~_mask


def check_place(path: str | os.PathLike) -> None:
    """Raise the error of `written_whole` where a file could not be, before the work is done.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file to write")
    if not path.parent.exists():
        raise FileNotFoundError(f"the folder {path.parent} does not exist: create it first")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"{path.parent} is a file, not a folder to write {path.name} to")


def is_full(error: Exception) -> bool:
    """Whether this is the error of a disk, or a share of one, that has no more room."""
    full = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
    # The second are the words of NumPy, which has no number for it.
    return isinstance(error, OSError) and (error.errno in full or " requested and " in str(error))


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name beside `path` to write to; renamed to `path` when the block ends well.

    If the block raises, or the process dies, what was at `path` before is still there. The
    temporary name has the suffix of `path`, which writers of pictures go by.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError, OSError
        With a sentence, if `path` cannot be written.
    """
    path = Path(path)
    check_place(path)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent
        )
    except OSError as error:
        raise type(error)(
            f"cannot write {path} ({error.strerror}): choose another folder or change its rights"
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        # mkstemp makes files that only their owner can read.
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else _USUAL_RIGHTS)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if not is_full(error):
            raise
        raise OSError(
            f"cannot write {path} ({error.strerror or error}): make room on the disk or choose "
            f"another folder"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write JSON to a file, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
