"""The picture files in folders."""

import os
import warnings
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from ._formats import RAW, SUFFIXES
from ._metadata import named

__all__ = ["READABLE", "list_pictures", "list_unread", "not_read", "size_of", "unreadable"]

# The suffixes of pictures in folders, each with the usual suffix of its format.
READABLE = {suffix: suffix for suffix in SUFFIXES} | {".dib": ".bmp"}
READABLE |= dict.fromkeys((".jfi", ".jfif", ".jif", ".jpe", ".pjp", ".pjpeg"), ".jpg")
_UNREAD = RAW | {
    ".avif", ".exr", ".heic", ".heics", ".heif", ".heifs", ".hif", ".j2k", ".jp2", ".jxl", ".pbm",
    ".pgm", ".pnm", ".ppm", ".tga",
}  # fmt: skip


def list_pictures(
    folder: str | os.PathLike,
    recursive: bool = False,
    on_error: Callable[[Exception], object] | None = None,
    others: Collection[str] = (),
) -> list[Path]:
    """List the picture files in a folder by name; with `recursive`, also in folders below it.

    Files and folders whose names begin with a dot are left out: they are unfinished files of killed
    processes, previews and the like. Links to folders are followed, and each folder is entered only
    once. Everything with a picture's suffix is listed, even a pipe or a broken link: reading it
    will tell what is wrong.

    Parameters
    ----------
    folder : path
    recursive : bool
    on_error : function of an exception, optional
        Called with the error of each folder below that cannot be read, instead of raising it.
    others : collection of str
        Suffixes of other files to list, too, for example of videos: ".mp4".

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError
    ValueError
        If there are none.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"no folder {folder}: check the name")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: give a folder of pictures")
    found, errors = _files_in(folder, recursive)
    wanted = {*READABLE, *others}
    paths = sorted(path for path in found if path.suffix.lower() in wanted)
    if errors and (not paths or on_error is None):
        raise errors[0]
    if not paths:
        unread = not_read(path for path in found if path.suffix.lower() in _UNREAD)
        if unread:
            raise ValueError(f"no pictures that are read in {folder}, but {unread}")
        known = ", ".join(sorted(SUFFIXES))
        more = [] if recursive else _files_in(folder, True)[0]
        some = any(path.suffix.lower() in wanted for path in more)
        raise ValueError(
            f"no pictures in {folder}: looked for {known} and the like"
            + ("; there are some in folders below it" if some else "")
        )
    if on_error is not None:
        for error in errors:
            on_error(error)
    return paths


def list_unread(folder: str | os.PathLike, recursive: bool = False) -> list[Path]:
    """List the pictures of kinds that are not read, which `list_pictures` leaves out: HEIC, RAW."""
    found, _ = _files_in(Path(folder), recursive)
    return sorted(path for path in found if path.suffix.lower() in _UNREAD)


def unreadable(folder: str | os.PathLike) -> list[OSError]:
    """Return the error of a folder that cannot be read, in a list; an empty one if it can."""
    return _files_in(Path(folder), False)[1] if os.path.isdir(folder) else []


def not_read(paths: Iterable[Path]) -> str:
    """Return the message about pictures that `list_unread` found; "" if there are none."""
    names = [path.name for path in paths]
    if not names:
        return ""
    return f"{len(names)} not read ({named(names)}): convert to JPEG, PNG or TIFF first"


def size_of(path: str | os.PathLike) -> tuple[int, int] | None:
    """Return the height and width that a file states, as stored; None if Pillow finds none."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            return picture.height, picture.width
    except Exception:  # Pillow raises nearly anything for other files
        return None


def _files_in(folder: Path, recursive: bool) -> tuple[list[Path], list[OSError]]:
    """Return all entries of a folder that are not folders, and the errors of unreadable folders."""
    found, errors, seen = [], [], set()
    ahead: list[Path] = [folder]
    links: list[Path] = []  # links come last, so that folders are called by their own names
    while ahead or links:
        here = ahead.pop() if ahead else links.pop(0)
        try:
            about = here.stat()
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            with os.scandir(here) as entries:
                names = sorted(e.name for e in entries if not e.name.startswith("."))
        except OSError as error:
            errors.append(
                type(error)(
                    f"the folder {here} cannot be read ({error.strerror}): change its rights or "
                    f"leave it out"
                )
            )
            continue
        for path in (here / name for name in names):
            # A link without a suffix that leads nowhere may be one to a folder of pictures.
            lost = path.is_symlink() and not path.suffix and not os.path.exists(path)
            if not os.path.isdir(path) and not lost:
                found.append(path)
            elif recursive:
                (links if path.is_symlink() else ahead).append(path)
    return found, errors
