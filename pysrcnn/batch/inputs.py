"""Finding the files that names, folders and patterns mean, and earlier results among them."""

import contextlib
import glob
import os
import sys
from collections import defaultdict
from pathlib import Path

from ..pictures import list_pictures, list_unread, not_read
from ..pictures._mark import picture_of
from ..pictures.folders import unreadable
from ..video import IN_FOLDERS

__all__ = ["Place", "earlier_results", "find_pictures", "folded", "spelled"]

_IGNORES_CASE = sys.platform in ("darwin", "win32")

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
        Why folders that may hold more pictures cannot be read, and, of several inputs, which have
        nothing in them.
    unread : list of path
        Pictures of kinds that are not read.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError, ValueError
        If nothing is found, as folders and patterns have nothing in them or cannot be read, or if
        a name is empty.
    """
    search = _Search(recursive)
    for text in inputs:
        if not text:  # Path("") is the current folder; a shell's empty variable is likelier meant
            raise ValueError("the name of a picture is empty: give a file or a folder")
        try:
            search.take(text)
        except (ValueError, OSError) as error:
            if len(inputs) == 1:
                raise
            search.errors.append(error)
    if search.errors and not search.found:
        raise search.errors[0]
    return list(search.found.values()), search.listed, search.errors, search.unread


class _Search:
    """What `find_pictures` returns, as far as it is found."""

    def __init__(self, recursive: bool):
        self.recursive = recursive
        self.found: dict[Path | None, Place] = {}
        self.listed: set[Path] = set()
        self.errors: list[Exception] = []
        self.unread: list[Path] = []

    def take(self, text: str) -> None:
        """Add what one input means; raise if that is nothing."""
        path = Path(text)
        if text == "-":
            self.found.setdefault(None, (None, Path("stdin")))
        elif os.path.isdir(path):
            self._enter(path)
            self.unread += list_unread(path, self.recursive)
        elif glob.has_magic(text) and not os.path.exists(path):
            self._match(text)
        else:
            self._add(path, Path(path.name))

    def _add(self, path: Path, place: Path) -> None:
        self.found.setdefault(spelled(path), (path, place))

    def _enter(self, folder: Path) -> None:
        # Videos are listed without PyAV, too: reading them will say that they need it.
        for path in list_pictures(folder, self.recursive, self.errors.append, IN_FOLDERS):
            self._add(path, path.relative_to(folder))
            self.listed.add(path)

    def _match(self, pattern: str) -> None:
        names, closed = _matching(pattern)
        self.errors += closed
        unread: list[Path] = []
        for name in names:
            if not os.path.isdir(name):
                self._add(name, Path(name.name))
                self.listed.add(name)
                continue
            unread += list_unread(name, self.recursive)
            try:
                with contextlib.suppress(ValueError):  # if it has no pictures
                    self._enter(name)
            except OSError as error:
                self.errors.append(error)
        if not self.found:
            but = f", but {not_read(unread)}" if unread else ""
            raise ValueError(f"the folders that {pattern} matches have no pictures in them{but}")
        self.unread += unread


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


def folded(path: str | os.PathLike) -> str:
    """Return a path without its case where folders, as a rule, ignore that."""
    return os.fspath(path).casefold() if _IGNORES_CASE else os.fspath(path)


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
