"""Finding the files that names, folders and patterns mean, and earlier results among them."""

import contextlib
import glob
import os
from collections import defaultdict
from pathlib import Path

from ..pictures import list_pictures, list_unread
from ..pictures._mark import picture_of
from ..pictures.folders import unreadable
from ..video import IN_FOLDERS, INSTALL, available

__all__ = ["Place", "earlier_results", "find_pictures", "spelled"]


Place = tuple[Path | None, Path]  # a picture, and its path within the folder that was given


def find_pictures(
    inputs: list[str], recursive: bool
) -> tuple[list[Place], set[Path], list[Exception], list[Path]]:
    """Find the pictures that names of files, folders and patterns mean.

    Returns
    -------
    found : list of (path, path)
        A picture, None for standard input, and its path within the folder that was given.
    listed : set of path
        Pictures that folders and patterns gave.
    errors : list of exceptions
        Why folders that may hold more pictures cannot be read.
    unread : list of path
        Pictures of kinds that are not read.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError, ValueError
        If a folder or a pattern has nothing in it or cannot be read, or a name is empty.
    """
    found: dict[Path | None, Place] = {}
    listed: set[Path] = set()
    errors: list[Exception] = []
    unread: list[Path] = []

    def add(path: Path, place: Path) -> None:
        found.setdefault(spelled(path), (path, place))

    def enter(folder: Path) -> None:
        for path in _listed(folder, recursive, errors):
            add(path, path.relative_to(folder))
            listed.add(path)
        unread.extend(list_unread(folder, recursive))

    for text in inputs:
        if not text:  # Path("") is the current folder; a shell's empty variable is likelier meant
            raise ValueError("the name of a picture is empty: give a file or a folder")
        path = Path(text)
        if text == "-":
            found.setdefault(None, (None, Path("stdin")))
        elif os.path.isdir(path):
            enter(path)
        elif glob.has_magic(text) and not os.path.exists(path):
            names, closed = _matching(text)
            errors += closed
            for name in names:
                if os.path.isdir(name):
                    with contextlib.suppress(ValueError):  # if it has no pictures
                        enter(name)
                else:
                    add(name, Path(name.name))
                    listed.add(name)
            if not found:
                raise ValueError(f"the folders that {text} matches have no pictures in them")
        else:
            add(path, Path(path.name))
    return list(found.values()), listed, errors, unread


def _listed(folder: Path, recursive: bool, errors: list[Exception]) -> list[Path]:
    """List the pictures in a folder, and its videos if these can be read."""
    if available():
        return list_pictures(folder, recursive, errors.append, IN_FOLDERS)
    try:
        return list_pictures(folder, recursive, errors.append)
    except ValueError as error:
        try:
            list_pictures(folder, recursive, others=IN_FOLDERS)
        except ValueError:
            raise error from None
        raise ValueError(
            f"no pictures in {folder}, but videos, and these need PyAV: {INSTALL}"
        ) from None


def _matching(pattern: str) -> tuple[list[Path], list[OSError]]:
    """Return what a pattern matches, and why folders that it leads to cannot be read.

    Names that exist are taken literally, as the folder in 'Trip [2020]/*.png'.
    """
    anchor = Path(pattern).anchor
    known, parts = Path(anchor), list(Path(pattern).parts[bool(anchor) :])
    while os.path.isdir(known / parts[0]):
        known /= parts.pop(0)
    names: list[Path] = []
    errors: list[OSError] = []
    for rest in (parts, [part.replace("[", "[[]") for part in parts]):
        whole = Path(glob.escape(os.fspath(known)), *rest)
        names = names or sorted(map(Path, glob.glob(os.fspath(whole), recursive=True)))
    for place in list(Path(*parts).parents):
        folders = glob.glob(os.fspath(glob.escape(os.fspath(known)) / place), recursive=True)
        errors += [error for folder in sorted(folders) for error in unreadable(folder)]
    if not names:
        if errors:
            raise errors[0]
        raise FileNotFoundError(f"no file matches {pattern}: check the pattern")
    return names, errors


def spelled(path: Path) -> Path:
    """Return the same path for "a.png", "./a.png" and "/here/a.png"; links to it stay apart."""
    return path.parent.resolve() / path.name


def earlier_results(found: list[Place], suffix: str) -> set[Path]:
    """Find results of earlier runs whose pictures are there too: beside them, or in a folder above.

    Such results are marked, and the mark has the names of their pictures, or their own names begin
    with these.
    """
    paths = {path: spelled(path).parent.parts for path, _ in found if path}
    marked = {path: name for path in paths if (name := picture_of(path)) is not None}
    called = defaultdict(list)
    named = defaultdict(list)
    for path in paths:
        called[path.stem].append(path)
        named[path.name].append(path)

    def made_of(result: Path, picture: Path) -> bool:
        if result.stem == picture.stem and picture in marked:
            return False
        rest = result.stem[len(picture.stem) :]
        if marked[result] != picture.name and rest[:1].isalnum() and rest != suffix:
            return False
        folders = iter(paths[result])
        return all(folder in folders for folder in paths[picture])

    return {
        result
        for result, name in marked.items()
        if any(made_of(result, picture) for picture in named[name])
        or any(
            made_of(result, picture)
            for length in range(1, len(result.stem) + 1)
            for picture in called[result.stem[:length]]
        )
    }
