"""Deciding which picture files to enlarge, how large, and where the results go.

What cannot work is refused here, before the first picture is enlarged.
"""

import contextlib
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from .._files import check_apart, identity
from ..pictures import SUFFIXES
from ..pictures._mark import is_marked, is_unchanged, picture_of
from ..pictures.folders import READABLE, size_of
from ..pictures.reading import is_animated
from ..upscaling.scales import Networks
from ..video import WRITTEN, is_video
from .inputs import Place, earlier_results, find_pictures, folded, spelled

__all__ = [
    "SAME",
    "STANDARD",
    "Found",
    "Job",
    "Size",
    "check_free",
    "find_jobs",
    "is_done",
    "job_beside",
    "met_twice",
    "with_quality",
]

STANDARD = "-"  # standard input and output
SAME = "same"  # instead of a format: keep that of each picture
_WITH_QUALITY = (".jpeg", ".jpg", ".webp", SAME, *WRITTEN)


class Job(NamedTuple):
    """A picture file to enlarge.

    Attributes
    ----------
    source, target : path or None
        None stands for standard input or standard output.
    kind : str
        Suffix of the result: ".png". For standard output also "", which is the picture's own for
        animations and ".png" otherwise, and `SAME`, which is that of any picture.
    makes_folder : bool
        Whether the folder of `target` is made if it is not there.
    overwrite : bool
        Whether a file at `target` is replaced even if it is not an earlier result.
    named : bool
        Whether the user gave `target`: then it is replaced if it is a result of any size.
    quality : int or None
        Quality of a result in JPEG or WebP, or of a video.
    """

    source: Path | None
    target: Path | None
    kind: str = ".png"
    makes_folder: bool = False
    overwrite: bool = False
    named: bool = False
    quality: int | None = None

    @property
    def source_name(self) -> str:
        """The name of the source, for messages."""
        return str(self.source or "standard input")

    @property
    def target_name(self) -> str:
        """The name of the target, for messages."""
        return str(self.target or "standard output")


class Found(NamedTuple):
    """The result of `find_jobs`.

    Attributes
    ----------
    jobs : list of Job
    errors : list of exceptions
        What is wrong with pictures and folders that have no job.
    results : list of path
        Results of earlier runs, which are not enlarged again.
    unread : list of path
        Pictures in folders, of kinds that are not read.
    """

    jobs: list[Job]
    errors: list[Exception]
    results: list[Path]
    unread: list[Path]


class Size(NamedTuple):
    """The size of results: `scale` times the picture's, or `height`, `width` or both, in pixels.

    Its string is a suffix for names of files: "_x3", "_1920w", "_1920x1080".
    """

    scale: float | None = None
    height: int | None = None
    width: int | None = None

    @property
    def shape(self) -> tuple[int | None, int | None] | None:
        """The shape that `Networks.plan` takes; None if there is a scale instead."""
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
    format: str | None = None,
    recursive: bool = False,
    overwrite: bool = False,
    fits: Callable[[Job], bool] = lambda job: False,
) -> Found:
    """Find the pictures to enlarge, and decide what to call the results.

    Results of earlier runs are left out if the pictures they were made from are there too.

    Parameters
    ----------
    inputs : list of str
        Files, folders, patterns such as ``*.jpg`` (which shells on Windows leave to programs), or
        "-" for standard input.
    output : str, optional
        A file, if there is one picture; a folder, which is made if need be; or "-" for standard
        output. By default, results go beside their pictures.
    suffix : str
        Text between the name and the dot.
    format : str, optional
        "png", "jpg", ... for that format, or "same" for that of each picture. By default that of
        `output`, or png, and for animations their own.
    recursive : bool
        Whether to include pictures in folders below the folders.
    overwrite : bool
        Set in all jobs.
    fits : function of a Job
        Whether a picture from a folder or pattern that lies where the job's result goes is taken
        for that result, and left out, though it is not marked.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError
        If a folder or a pattern has nothing in it, or cannot be read.
    ValueError
        If results would overwrite each other or all the pictures, or several go to one file.
    """
    found, listed, errors, unread = find_pictures(inputs, recursive)
    if output == "":
        raise ValueError("the name after -o is empty: give a file or a folder")
    several = len(found) > 1 or bool(listed)
    if output == STANDARD or (output is None and inputs == [STANDARD]):
        return Found([_to_stdout(found[0][0], several, format)], errors, [], unread)
    folder = None
    if output is not None:
        folder = _folder(output, several, len(inputs) > 1)
        if folder is None:
            job = _to_file(found[0][0], Path(output), format)
            return Found([job._replace(overwrite=overwrite)], errors, [], unread)
    results = earlier_results(found, suffix)
    found = [pair for pair in found if pair[0] not in results]
    jobs = [job._replace(overwrite=overwrite) for job in _named(found, folder, suffix, format)]
    places = {
        spelled(job.source): job.source for job in jobs if job.source and job.source in listed
    }
    for job in jobs:
        met = places.get(spelled(job.target)) if job.target else None
        if met and met != job.source and fits(job):
            results.add(met)
    jobs = [job for job in jobs if job.source not in results]
    _check_met(jobs)
    jobs, refused = _without_overwriting(jobs)
    return Found(jobs, errors + refused, sorted(results), unread)


def _to_stdout(source: Path | None, several: bool, format: str | None) -> Job:
    if sys.stdout is None:
        raise ValueError("standard output is closed: send it to a file or a program")
    if sys.stdout.isatty():
        raise ValueError("standard output is a terminal: send it to a file or a program")
    if several:
        raise ValueError("standard output takes one picture: give several a folder to go to")
    check_apart([1], [0 if source is None else source], "one of the pictures")
    return Job(source, None, _kind_of(source, format) if format else "")


def _folder(output: str, several: bool, twice: bool) -> Path | None:
    """Return the folder for results; None for a file. `twice`: one picture may be given twice."""
    place = Path(output)
    a_file = place.suffix.lower() in {*SUFFIXES, *WRITTEN} or place.exists()
    if place.is_dir() or ((several or twice) and not a_file) or output.endswith(("/", os.sep)):
        return place
    if several:
        raise ValueError(f"several pictures need a folder to go to; {place} is not one")
    return None


def _to_file(source: Path | None, target: Path, format: str | None) -> Job:
    kind = _kind_of_result(source, source or target, format)
    if format and target.suffix.lower() != kind:
        folder = "" if target.suffix else f"; a folder is {target}/"
        raise ValueError(
            f"{target} does not end in {kind}: give one name or --format, not both{folder}"
        )
    return Job(source, target, target.suffix.lower(), named=True)


def check_free(job: Job, shape: tuple[int, int]) -> None:
    """Raise a ValueError if there is a file at the target that a result may not replace.

    It may replace an earlier result that is marked and unchanged; and that, unless the user gave
    its name, has this height and width and was made from a picture of the same name.
    """
    if not (job.target and os.path.isfile(job.target)):
        return
    if _of_source(job) == identity(job.target):
        raise ValueError(f"{job.target} is one of the pictures: give the result another name")
    empty = job.target.stat().st_size == 0  # as mktemp makes them
    if job.overwrite or empty:
        return
    if not job.named and (other := _other_picture(job)):
        raise ValueError(
            f"{job.target} is the result of {other}, not of {job.source}: give the result another "
            f"name with -o, or replace the file by pysrcnn upscale --overwrite"
        )
    ours = is_marked(job.target) and (job.named or size_of(job.target) in (shape, None))
    if not (ours and is_unchanged(job.target)):
        what = "was changed since it was made" if ours else "no earlier result of this picture"
        raise ValueError(
            f"{job.target} is there already, and {what}: give the result another name, or replace "
            f"the file by pysrcnn upscale --overwrite"
        )


def _other_picture(job: Job) -> str:
    """Return the name of another picture that the file at the target is the result of; or ""."""
    if not (job.source and job.target):
        return ""
    name = picture_of(job.target) or ""
    return "" if os.path.normcase(name) == os.path.normcase(job.source.name) else name


def is_done(job: Job, networks: Networks, size: Size) -> bool:
    """Return whether a file at the target can be the result: by its size, or otherwise its mark."""
    if not (job.source and job.target and os.path.isfile(job.target)) or _other_picture(job):
        return False
    given, made = size_of(job.source), size_of(job.target)
    if given is None or made is None:
        return is_marked(job.target)
    for start in (given, given[::-1]):  # stored upright, or on its side
        with contextlib.suppress(ValueError):  # if the picture has that size already
            if networks.plan(start, size.scale, size.shape).shape == made:
                return True
    return False


def job_beside(picture: Path, suffix: str) -> Job:
    """Return the job of a single picture, whose result goes beside it."""
    return _named([(picture, Path(picture.name))], None, suffix, None)[0]


def _named(found: list[Place], folder: Path | None, suffix: str, format: str | None) -> list[Job]:
    """Make jobs whose results go to a folder, or beside the pictures, under distinct names."""

    def target(source: Path | None, place: Path, end: str) -> Path:
        if folder is not None:
            return folder / place.parent / f"{place.stem}{end}"
        return source.with_name(f"{place.stem}{end}") if source else Path(f"{place.stem}{end}")

    if format not in (None, SAME) and found and all(is_video(source) for source, _ in found):
        raise ValueError(
            f"{found[0][0]} is a video, and becomes .mp4, .m4v or .mov, not .{format}: leave "
            f"--format out, or give --format same"
        )
    if format == SAME and any(source is None for source, _ in found):
        raise ValueError(
            "--format same goes by the names of pictures, and standard input has none: give -o a "
            "file or -, or another --format"
        )
    kinds = [_kind_of_result(*pair, format) for pair in found]
    targets = [target(*pair, suffix + kind) for pair, kind in zip(found, kinds, strict=True)]
    meant = [folded(spelled(target)) for target in targets]
    suffixes = defaultdict(set)
    for name, (_, place) in zip(meant, found, strict=True):
        suffixes[name].add(place.suffix.lower())
    for k, (name, (source, place)) in enumerate(zip(meant, found, strict=True)):
        if len(suffixes[name]) > 1:  # a.png and a.jpg: a_png_x3.png and a_jpg_x3.png
            own = place.suffix[1:].lower()
            targets[k] = target(source, place, f"_{own}{suffix}{kinds[k]}")
    return [
        Job(source, target, kind, makes_folder=folder is not None)
        for (source, _), target, kind in zip(found, targets, kinds, strict=True)
    ]


def _kind_of_result(source: Path | None, place: Path, format: str | None) -> str:
    if is_video(source):  # only "same" of the formats applies
        own = place.suffix.lower()
        return own if format == SAME and own in WRITTEN else ".mp4"
    if format:
        return _kind_of(place, format)
    suffix = place.suffix.lower()
    return suffix if source and suffix in (".gif", ".webp") and is_animated(source) else ".png"


def _kind_of(picture: Path | None, format: str) -> str:
    """Return the suffix for a format; for "same", the picture's own, if such files are written."""
    if format != SAME:
        return f".{format}"
    if picture is None:
        return SAME
    return READABLE.get(picture.suffix.lower(), ".png")


def with_quality(jobs: list[Job], quality: int) -> list[Job]:
    """Return the jobs, with this quality for those that write JPEG, WebP or a video.

    Raises
    ------
    ValueError
        If none of them does.
    """
    done = [job._replace(quality=quality) if job.kind in _WITH_QUALITY else job for job in jobs]
    if jobs and all(job.quality is None for job in done):
        name, kind = jobs[0].target_name, jobs[0].kind.lstrip(".").upper() or "PNG"
        raise ValueError(
            f"--quality is for JPEG, WebP and videos, and {name} becomes {kind}, which has no such "
            f"setting: leave it out, or give --format jpg"
        )
    return done


def _check_met(jobs: list[Job]) -> None:
    targets = [(job, job.target) for job in jobs if job.target]
    twice = met_twice(target for _, target in targets)
    if twice:
        place = folded(os.path.realpath(twice))
        of_it = [
            str(job.source or "-")
            for job, path in targets
            if folded(os.path.realpath(path)) == place
        ]
        more = f" (and {len(of_it) - 2} more)" if len(of_it) > 2 else ""
        raise ValueError(
            f"{of_it[0]} and {of_it[1]}{more} would become {twice}: enlarge them one at a time, "
            f"or give the folder that they are in with -r, which keeps its folders apart"
        )


def _without_overwriting(jobs: list[Job]) -> tuple[list[Job], list[Exception]]:
    """Return the jobs whose results would not replace a picture, and errors for the others."""
    pictures = {_of_source(job) for job in jobs} - {None}
    met = [job for job in jobs if job.target and identity(job.target) in pictures]
    if met and len(met) == len(jobs):
        raise ValueError(f"{met[0].target} is one of the pictures: give the result another name")
    errors: list[Exception] = [
        ValueError(
            f"{job.target} is one of the pictures, and the result of "
            f"{'itself' if job.source == job.target else job.source} would replace it: give "
            f"results a folder, -o enlarged, or another --suffix"
        )
        for job in met
    ]
    return [job for job in jobs if job not in met], errors


def _of_source(job: Job) -> tuple[int, int] | None:
    return identity(0 if job.source is None else job.source)


def met_twice(paths: Iterable[Path]) -> Path | None:
    """Return the first path that leads, maybe through links, to the place of an earlier one."""
    places = set()
    for path in paths:
        place = folded(os.path.realpath(path))
        if place in places:
            return path
        places.add(place)
    return None
