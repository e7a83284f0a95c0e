"""Enlarging one picture file, in three steps: it is read, enlarged and written."""

import contextlib
import functools
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._files import check_place, is_full
from .._printing import counted, known
from .._signals import unfinished
from ..pictures import PictureFile, read_picture_file, write_picture_file
from ..pictures._formats import kind_of
from ..pictures._limits import check_claim
from ..pictures.writing import SUFFIX_OF, fit_to
from ..upscaling.estimate import foreseen
from ..upscaling.frames import upscale_frames
from ..upscaling.scales import Networks, Plan
from ..upscaling.steps import steps_for
from ..upscaling.upscale import bicubic
from ..video import Clip, check_target, even, is_video, read_clip
from . import large
from .clips import enlarge_clip
from .compare import write_comparison
from .jobs import SAME, Job, Size, check_free

__all__ = ["Enlarged", "enlarge", "enlarge_file", "expected", "read"]

BANDED = 2**29  # bytes of a result above which TIFF files are done band by band
PIPED = 2**30  # bytes of standard input, of which PIECE are read at a time
PIECE = 2**20


class Enlarged(NamedTuple):
    """Messages about a picture that was enlarged and written.

    Attributes
    ----------
    notes : list of str
        Lines for standard error.
    line : str
        What was done.
    to_stdout : bool
        Whether `line` may go to standard output, as the picture does not go there.
    """

    notes: list[str]
    line: str
    to_stdout: bool


def enlarge_file(job: Job, networks: Networks, size: Size, compare: bool = False) -> Enlarged:
    """Enlarge one picture file, as `enlarge_files` does.

    Raises
    ------
    ValueError, TypeError, OSError, MemoryError
        If the picture cannot be read, enlarged or written.
    """
    return enlarge(job, read(job, networks, size), networks, size, compare)()


def read(job: Job, networks: Networks, size: Size) -> PictureFile | Plan | Clip:
    """Read the picture; of one for `large`, return only the plan, and of a video, its `Clip`."""
    with _named(job):
        if job.source and is_video(job.source):
            return read_clip(job.source)
        if job.source:
            stored = large.shape_of(job.source) if job.kind in (".tif", ".tiff") else None
            if stored and job.target:
                check_claim(stored[:3], stored[3], job.source.stat().st_size, str(job.source))
                plan = networks.plan(stored[:2], size.scale, size.shape)
                if math.prod((*plan.shape, stored[2], stored[3].itemsize)) > BANDED:
                    return plan
            return read_picture_file(job.source)
        return read_picture_file("standard input", _piped())


def _piped() -> bytes:
    """Read standard input; only its beginning if that is no picture, as it may have no end."""
    content = sys.stdin.buffer.read(4096) if sys.stdin else b""  # None: closed
    if not content:
        raise ValueError("standard input is empty: send a picture file")
    if not kind_of(content):
        return content
    pieces, left = [content], PIPED - len(content)
    while left >= 0 and (piece := sys.stdin.buffer.read(PIECE)):
        pieces.append(piece)
        left -= len(piece)
    if left < 0:
        raise ValueError(
            f"standard input holds more than {PIPED:,} bytes, the most that are read there: save "
            f"it as a file and give its name"
        )
    return b"".join(pieces)


def expected(job: Job, file: PictureFile | Plan | Clip, networks: Networks, size: Size) -> str:
    """Return a line that says how long a picture will take; "" if that is not long."""
    with _named(job):
        frames = len(file.frames) if isinstance(file, PictureFile) else 1
        shape: tuple[int, ...]
        if isinstance(file, PictureFile):
            shape, dtype = file.frames[0].shape, file.frames[0].dtype
        elif isinstance(file, Plan) and job.source and (stored := large.shape_of(job.source)):
            shape, dtype = stored[:3], stored[3]
        else:
            start = file.start if isinstance(file, Plan) else file.shape
            shape, dtype = (*start, 3), np.dtype(np.uint8)
        steps = steps_for(shape, dtype, networks, size.scale, size.shape)
        said = foreseen(
            steps,
            count=file.count if isinstance(file, Clip) else 1,
            whole=not isinstance(file, Plan),
        )
    each = f" for each of {frames} frames" if frames > 1 else ""
    return f"{job.source_name}: {said} by {networks.label()}{each}" if said else ""


def enlarge(
    job: Job,
    file: PictureFile | Plan | Clip,
    networks: Networks,
    size: Size,
    compare: bool,
    progress: Callable[..., None] = lambda part, note="": None,
) -> Callable[[], Enlarged]:
    """Enlarge what `read` returned, and return a function that writes the result.

    A video, or a picture done band by band, is already written then.

    Parameters
    ----------
    compare : bool
        Whether a page that compares it with bicubic interpolation is written too.
    progress : function of a float, and maybe of a note
        Called with the fraction that is done, up to 1; for a video, also how many frames a second.
    """
    with _named(job):
        if isinstance(file, Clip):
            clip = _by_frames(job, file, networks, size, compare, progress)
            return lambda: clip
        if isinstance(file, Plan):
            done = _by_bands(job, file, networks, size, compare, progress)
            return lambda: done
        return _enlarge(job, file, networks, size, compare, progress)


@contextlib.contextmanager
def _named(job: Job) -> Iterator[None]:
    """Add the name of the picture to errors that name neither it nor its result."""
    try:
        yield
    except MemoryError:
        raise MemoryError(
            f"{job.source_name} takes more memory than there is: choose a smaller factor, or cut "
            f"it into parts"
        ) from None
    except (ValueError, TypeError) as error:
        if job.source_name in str(error) or job.target_name in str(error):
            raise
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{job.source_name}: {error}") from None
    except OSError as error:
        told_later = error.errno is None or error.filename is not None or is_full(error)
        if told_later or isinstance(error, ConnectionError):
            raise
        raise type(error)(
            f"{job.source_name} is not enlarged ({(error.strerror or str(error)).lower()}): check "
            f"its disk and that of {job.target_name}"
        ) from None


def _by_bands(
    job: Job, plan: Plan, networks: Networks, size: Size, compare: bool, progress: Callable
) -> Enlarged:
    """Enlarge a large TIFF file into another."""
    assert job.source and job.target  # `read` returns a plan only then
    _make_place(job, plan)
    began = time.perf_counter()
    lost, notes = large.enlarge_tiff(
        job.source, job.target, networks, size.scale, size.shape, progress,
        lambda: check_free(job, plan.shape),
    )  # fmt: skip
    line = _line(plan, networks, ", band by band", time.perf_counter() - began)
    notes = _notes(job, notes, plan)
    if compare:
        notes.append(f"{job.source}: no page that compares, as it is done band by band")
    return _enlarged(job, notes, line, lost)


def _by_frames(
    job: Job, clip: Clip, networks: Networks, size: Size, compare: bool, progress: Callable
) -> Enlarged:
    """Enlarge a video into another."""
    plan = networks.plan(clip.shape, size.scale, size.shape)
    check_target(job.target, plan.shape)
    assert job.target  # `check_target` raises otherwise
    _make_place(job, plan)
    began = time.perf_counter()
    count = enlarge_clip(
        job.target, clip, networks, plan.shape, size, job.quality, progress,
        lambda: check_free(job, plan.shape),
    )  # fmt: skip
    seconds = time.perf_counter() - began
    notes = _notes(job, clip.notes, plan)
    if even(plan.shape) != plan.shape:
        height, width = even(plan.shape)
        notes.append(
            f"{job.source}: its result has {width} x {height} pixels, as those of H.264 are even: "
            f"the last row or column is there twice"
        )
    if compare:
        notes.append(f"{job.source}: no page that compares, as it is a video")
    line = _line(plan, networks, f", {counted(count, 'frame')}", seconds, even(plan.shape))
    line += f" ({count / seconds:.3g} a second)"
    return _enlarged(job, notes, line, [])


def _enlarge(
    job: Job,
    file: PictureFile,
    networks: Networks,
    size: Size,
    compare: bool,
    progress: Callable[[float], None],
) -> Callable[[], Enlarged]:
    """Enlarge the frames of a picture file in place, and return a function that writes it."""
    plan = networks.plan(file.frames[0].shape[:2], size.scale, size.shape)
    fit_to(job.target or Path(f"standard output{_kind(job, file)}"), file, plan.shape)
    _make_place(job, plan)
    networks.at(plan.passes[0])  # loading may take a moment, and is not timed
    before = bicubic(file.frames[0], plan.shape) if compare else None
    count = len(file.frames)
    began = time.perf_counter()
    results = upscale_frames(
        iter(file.frames), size.scale, networks, shape=size.shape,
        progress=lambda done: progress(done / count),
    )  # fmt: skip
    for k, frame in enumerate(results):  # by then, the old frame k has been read
        file.frames[k] = frame
    seconds = time.perf_counter() - began
    file.made_from = job.source.name if job.source else ""
    notes = _notes(job, file.notes, plan)
    line = _line(plan, networks, f", {count} frames" if count > 1 else "", seconds)
    if before is None or job.target is None:
        return functools.partial(_write, job, file, notes, line)
    names, facts = ("bicubic", networks.label()), _facts(file, plan, networks, seconds)
    return functools.partial(_write_both, job, file, notes, line, before, names, facts)


def _kind(job: Job, file: PictureFile) -> str:
    """Return the suffix of the result; on standard output, an animation keeps its own."""
    if job.kind == SAME:
        return SUFFIX_OF.get(file.kind, ".png")
    moves = len(file.frames) > 1 and file.kind in ("gif", "webp")
    return job.kind or (f".{file.kind}" if moves else ".png")


def _make_place(job: Job, plan: Plan) -> None:
    if job.target:
        if job.makes_folder:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        check_place(job.target)
        check_free(job, plan.shape)


def _notes(job: Job, notes: list[str], plan: Plan) -> list[str]:
    """Return notes about the reading, and about sides that become smaller."""
    notes = [f"{job.source_name}: {note}" for note in notes]
    return notes + [
        f"{job.source_name}: its {side} becomes smaller, {m} pixels of {n}; with only one of "
        f"--width and --height, the aspect ratio is kept"
        for side, m, n in zip(("height", "width"), plan.shape, plan.start, strict=True)
        if m < n
    ]


def _line(
    plan: Plan, networks: Networks, how: str, seconds: float, shape: tuple[int, int] | None = None
) -> str:
    """Describe what was done; `shape` is that of the file, where it differs from the plan's."""
    (height, width), (new_height, new_width) = plan.start, shape or plan.shape
    return (
        f"{new_width} x {new_height} pixels, from {width} x {height} by {networks.label()} "
        f"{plan}{how} in {seconds:.2f} s"
    )


def _facts(file: PictureFile, plan: Plan, networks: Networks, seconds: float) -> dict[str, str]:
    """Return the facts for the page that compares."""
    (height, width), (new_height, new_width) = plan.start, plan.shape
    card = networks.at(plan.passes[0]).card
    facts = {
        "pixels": f"{width} x {height} to {new_width} x {new_height}",
        "network": f"{networks.label()}, {plan}",
        "trained on": known(card.get("data"), "unknown pictures"),
        "time": f"{seconds:.2f} s",
    }
    if len(file.frames) > 1:
        facts["frames"] = f"{len(file.frames)}, of which the first is compared"
    return facts


def _write(job: Job, file: PictureFile, notes: list[str], line: str) -> Enlarged:
    with _named(job):
        if job.target:
            shape = file.frames[0].shape[:2]
            lost = write_picture_file(job.target, file, job.quality, lambda: check_free(job, shape))
        else:
            lost = _write_to_stdout(job, file)
    return _enlarged(job, notes, line, lost)


def _write_to_stdout(job: Job, file: PictureFile) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        unfinished.add(folder)
        path = Path(folder) / f"result{_kind(job, file)}"
        lost = write_picture_file(path, file, job.quality)
        with open(path, "rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    unfinished.discard(folder)
    return lost


def _write_both(
    job: Job,
    file: PictureFile,
    notes: list[str],
    line: str,
    before: np.ndarray,
    names: tuple[str, str],
    facts: dict[str, str],
) -> Enlarged:
    """Write the page and the picture; `before` is the first frame by bicubic interpolation."""
    assert job.target
    page = job.target.with_suffix(".html")
    with _named(job):
        write_comparison(
            page, before, file.frames[0], job.target.name, facts, names,
            icc_profile=file.icc_profile, colours=file.colours,
        )  # fmt: skip
    notes = [*notes, f"{page}: compares with bicubic interpolation"]
    return _write(job, file, notes, line)


def _enlarged(job: Job, notes: list[str], line: str, lost: list[str]) -> Enlarged:
    if lost:
        notes = [*notes, f"{job.target_name} is without {', '.join(lost)}"]
    return Enlarged(notes, f"{job.target_name}: {line}", job.target is not None)
