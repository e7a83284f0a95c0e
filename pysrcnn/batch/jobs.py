"""Which picture files are to be enlarged, how large, and where the results go.

What cannot work is refused here, before the first picture is enlarged.
"""

import glob
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..pictures import SUFFIXES, list_pictures
from ..pictures.files import is_animated

__all__ = ["SAME", "STANDARD", "Job", "Size", "find_jobs", "met_twice", "with_quality"]

STANDARD = "-"  # standard input and output
SAME = "same"  # in place of a format, that of each picture
_WITH_QUALITY = (".jpeg", ".jpg", ".webp")


class Job(NamedTuple):
    """A picture file to enlarge.

    Attributes
    ----------
    source, target : path or None
        None is standard input, and standard output.
    kind : str
        The suffix of what is written, ".png"; for standard output also "", that of what is read, if
        it is an animation, or else ".png"; and `SAME`, that of whatever is read.
    makes_folder : bool
        Whether the folder of `target` is made if it is not there.
    quality : int or None
        Of what is written as JPEG or WebP.
    """

    source: Path | None
    target: Path | None
    kind: str = ".png"
    makes_folder: bool = False
    quality: int | None = None


class Size(NamedTuple):
    """How large results are: `scale` times, or `height` and `width` in pixels, one of them or both.

    Its string goes into names of files: "_x3", "_1920w", "_1920x1080".
    """

    scale: float | None = None
    height: int | None = None
    width: int | None = None

    @property
    def shape(self) -> tuple[int | None, int | None] | None:
        """What `Networks.plan` takes besides a scale."""
        return None if self.scale is not None else (self.height, self.width)

    def __str__(self) -> str:
        if self.scale is not None:
            return f"_x{self.scale:g}"
        if self.height and self.width:
            return f"_{self.width}x{self.height}"
        return f"_{self.width}w" if self.width else f"_{self.height}h"


def find_jobs(
    inputs: list[str],
    output: str | None = None,
    *,
    suffix: str = "_x3",
    form: str | None = None,
    below: bool = False,
) -> list[Job]:
    """What to enlarge, and what to call it.

    Parameters
    ----------
    inputs : list of str
        Files, folders, patterns such as ``*.jpg`` (which shells on Windows leave to programs), or
        "-", standard input.
    output : str, optional
        A file, if there is one picture; a folder, which is made if need be; or "-", standard
        output. By default beside each picture.
    suffix : str
        Comes after the name and before the dot.
    form : str, optional
        "png", "jpg", ...: the format, or "same": that of each picture. By default that of
        `output`, or png, and for animations their own.
    below : bool
        Whether pictures in folders below folders are meant too.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If a folder or a pattern has nothing in it.
    ValueError
        If results would overwrite pictures or each other, or several go to one file.
    """
    found, listed = _find(inputs, below)
    if output == "":
        raise ValueError("the name after -o is empty: give a file or a folder")
    several = len(found) > 1 or listed
    if output == STANDARD or (output is None and inputs == [STANDARD]):
        if sys.stdout is None:
            raise ValueError("standard output is closed: send it to a file or a program")
        if sys.stdout.isatty():
            raise ValueError("standard output is a terminal: send it to a file or a program")
        if several:
            raise ValueError("standard output takes one picture: give several a folder to go to")
        return [Job(found[0][0], None, _kind_of(found[0][0], form) if form else "")]
    folder = None
    if output is not None:
        place = Path(output)
        a_file = place.suffix.lower() in SUFFIXES or place.exists()
        named_several = several or len(inputs) > 1  # maybe one picture twice
        if place.is_dir() or (named_several and not a_file) or output.endswith(("/", os.sep)):
            folder = place
        elif several:
            raise ValueError(f"several pictures need a folder to go to; {place} is not one")
        elif form and place.suffix.lower() != (kind := _kind_of(found[0][0], form)):
            raise ValueError(f"{place} does not end in {kind}: give one name or --format, not both")
        else:
            jobs = [Job(found[0][0], place, place.suffix.lower())]
            _check_overwriting(jobs)
            return jobs
    jobs = _named(found, folder, suffix, form)
    if listed:  # what an earlier run has left is not enlarged again
        pairs = [(job, _spelled(job.source), _spelled(job.target)) for job in jobs]
        results = {target for _, source, target in pairs if target != source}
        jobs = [job for job, source, _ in pairs if source not in results]
    _check_overwriting(jobs)
    return jobs


def _find(inputs: list[str], below: bool) -> tuple[list[tuple[Path | None, Path]], bool]:
    """(picture, its place in the folder given) for each; whether folders or patterns were given."""
    found, listed = {}, False
    for text in inputs:
        if not text:  # which would be the current folder; of a shell, a variable without a value
            raise ValueError("the name of a picture is empty: give a file or a folder")
        path = Path(text)
        if text == STANDARD:
            new = {None: Path("stdin")}
        elif path.is_dir():
            listed = True
            new = {p: p.relative_to(path) for p in list_pictures(path, below)}
        elif glob.has_magic(text) and not path.exists():
            listed = True
            names = sorted(n for n in glob.glob(text, recursive=True) if Path(n).is_file())
            if not names:
                raise FileNotFoundError(f"no file matches {text}: check the pattern")
            new = {Path(n): Path(Path(n).name) for n in names}
        else:
            new = {path: Path(path.name)}
        for picture, place in new.items():
            found.setdefault(_spelled(picture), (picture, place))
    return list(found.values()), listed


def _spelled(path: Path | None) -> Path | None:
    """One spelling for all of a file: "a.png", "./a.png", "/here/a.png". Links to it stay apart."""
    return path and path.parent.resolve() / path.name


def _named(
    found: list[tuple[Path | None, Path]], folder: Path | None, suffix: str, form: str | None
) -> list[Job]:
    def named(source: Path | None, place: Path, mark: str = "") -> Job:
        kind = _kind_of(place, form) if form else ".png"
        if form is None and source and place.suffix.lower() in (".gif", ".webp"):
            kind = place.suffix.lower() if is_animated(source) else ".png"
        name = f"{place.stem}{mark}{suffix}{kind}"
        if folder is not None:
            return Job(source, folder / place.parent / name, kind, makes_folder=True)
        return Job(source, source.with_name(name) if source else Path(name), kind)

    jobs = [named(*pair) for pair in found]
    places = [_spelled(job.target) for job in jobs]
    suffixes = defaultdict(set)
    for place, pair in zip(places, found, strict=True):
        suffixes[place].add(pair[1].suffix.lower())
    # a.png and a.jpg: a_png_x3.png and a_jpg_x3.png
    return [
        job if len(suffixes[place]) == 1 else named(*pair, "_" + pair[1].suffix[1:].lower())
        for job, place, pair in zip(jobs, places, found, strict=True)
    ]


def _kind_of(picture: Path | None, form: str) -> str:
    """The suffix for a format; for "same", that of the picture, if such files are written."""
    if form != SAME:
        return f".{form}"
    if picture is None:
        return SAME
    suffix = picture.suffix.lower()
    return suffix if suffix in SUFFIXES else ".png"


def with_quality(jobs: list[Job], quality: int) -> list[Job]:
    """The same, with this quality for what becomes JPEG or WebP.

    Raises
    ------
    ValueError
        If nothing does.
    """
    done = [job._replace(quality=quality) if job.kind in _WITH_QUALITY else job for job in jobs]
    if all(job.quality is None for job in done):
        name, kind = jobs[0].target or "standard output", jobs[0].kind.lstrip(".").upper() or "PNG"
        raise ValueError(
            f"--quality is for JPEG and WebP, and {name} becomes {kind}, which has no such "
            f"setting: leave it out, or give --format jpg"
        )
    return done


def _check_overwriting(jobs: list[Job]) -> None:
    twice = met_twice(job.target for job in jobs)
    if twice:
        place = os.path.realpath(twice)
        of_it = [str(job.source or "-") for job in jobs if os.path.realpath(job.target) == place]
        more = f" (and {len(of_it) - 2} more)" if len(of_it) > 2 else ""
        raise ValueError(
            f"{of_it[0]} and {of_it[1]}{more} would become {twice}: enlarge them one at a time, "
            f"or give the folder that they are in with -r, which keeps its folders apart"
        )
    pictures = {_identity(job.source) for job in jobs if job.source} - {None}
    for job in jobs:
        if _identity(job.target) in pictures:
            raise ValueError(f"{job.target} is one of the pictures: give the result another name")


def met_twice(paths: Iterable[Path]) -> Path | None:
    """The first path that leads, maybe through links, to where an earlier one does."""
    places = set()
    for path in paths:
        place = os.path.realpath(path)
        if place in places:
            return path
        places.add(place)
    return None


def _identity(path: Path) -> tuple[int, int] | None:
    """Equal for two names of one file; None where there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino
