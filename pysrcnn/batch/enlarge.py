"""Picture files enlarged, one or many, with reading and writing beside computing.

While a picture is enlarged, the next one is read and the one before is written, by a thread each;
no more than these three are in memory. A picture that cannot be read, enlarged or written is
reported, and the others go on.
"""

import functools
import itertools
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._files import DiskFull, check_place, told
from .._printing import known
from .._signals import unfinished
from ..data import unit
from ..pictures import PictureFile, read_picture_file, write_picture_file
from ..pictures._formats import kind_of
from ..pictures._limits import check_claim
from ..pictures.writing import SUFFIX_OF, fit_to
from ..upscaling.scales import Networks, Plan
from ..upscaling.upscale import bicubic, upscale
from . import cluster as workers
from . import large
from .compare import write_comparison
from .jobs import SAME, Job, Size, check_free, is_done
from .progress import Progress, progress

__all__ = ["enlarge_file", "enlarge_files"]

LARGE = 2**28  # bytes of a result that is written before the next one is begun
BANDED = 2**29  # bytes of a result, from which on TIFF files are done band by band
_BAD = (ValueError, TypeError, OSError, MemoryError)  # what may be wrong with one picture


def enlarge_files(
    jobs: list[Job],
    networks: Networks,
    size: Size,
    *,
    errors: Sequence[Exception] = (),
    skip: bool = False,
    compare: bool = False,
    cluster: Any = None,
) -> tuple[int, int, int]:
    """Enlarge picture files; a line each on standard output, whatever else on standard error.

    Parameters
    ----------
    jobs : list of Job
    networks : Networks
    size : Size
    errors : exceptions
        What `find_jobs` found to be wrong. It is said, and counts as failed.
    skip : bool
        Whether results that are there already stay, instead of being replaced.
    compare : bool
        Whether a page that compares with bicubic interpolation is written beside each result.
    cluster : optional
        The address of a scheduler of Dask, or what else `cluster.connected` takes. Its workers
        read, enlarge and write the files, which have the same names there as here.

    Returns
    -------
    enlarged, skipped, failed : int

    Raises
    ------
    ValueError, TypeError, OSError, MemoryError
        What is wrong with a picture, if there is only one; and with the cluster.
    """
    left = [job for job in jobs if not (skip and is_done(job, networks, size))]
    count = len(jobs) + len(errors)
    for error in errors:
        _failed(error, count, Progress().say)
    if cluster is not None and left:
        failed = _by_workers(cluster, left, count, networks, size, compare)
        return len(left) - failed, len(jobs) - len(left), failed + len(errors)
    enlarged, failed, full = 0, 0, False
    behind: tuple[Job, Future] | None = None

    def fail(error: Exception) -> None:
        nonlocal failed, full
        failed += _failed(error, count, bar.say)
        full = full or isinstance(error, DiskFull)

    def settle() -> None:
        """Wait for the file that is being written, and say so."""
        nonlocal behind, enlarged
        now, behind = behind, None
        if now is None:
            return
        job, written = now
        bar.show(f"writing {job.target or 'standard output'}")
        try:
            _tell(*written.result(), bar.say)
        except _BAD as error:
            fail(error)
        else:
            enlarged += 1

    with (
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
        progress(len(left)) as bar,
    ):
        ahead = reader.submit(_read, left[0], networks, size) if left else None
        for k, job in enumerate(left):
            if full:
                break

            def tell(part: float, k: int = k) -> None:
                bar.update(k + part)

            try:
                now, ahead = ahead, None
                bar.show(f"reading {job.source or 'standard input'}")
                try:
                    file = now.result()
                finally:
                    if k + 1 < len(left):
                        ahead = reader.submit(_read, left[k + 1], networks, size)
                if isinstance(file, Plan):
                    settle()
                    if not full:
                        tell(0)
                        _tell(*_by_bands(job, file, networks, size, compare, tell), bar.say)
                        enlarged += 1
                    continue
                tell(0)
                done = _enlarge(job, file, networks, size, compare, tell)
            except _BAD as error:
                fail(error)
                continue
            finally:
                bar.update(k + 1)
            settle()
            if full:
                break
            behind = job, writer.submit(_write, job, file, done)
            if sum(frame.nbytes for frame in file.frames) > LARGE:
                settle()
            del file
        settle()
        _tell_undone(len(left) - enlarged - failed, bar.say)
    return enlarged, len(jobs) - len(left), len(left) - enlarged + len(errors)


def enlarge_file(
    job: Job, networks: Networks, size: Size, compare: bool = False
) -> tuple[list[str], str, bool]:
    """Enlarge one picture file, as `enlarge_files` does.

    Returns
    -------
    notes : list of str
        What is to be said on standard error.
    line : str
        What was done.
    usual : bool
        Whether that may go to standard output, where no picture goes.

    Raises
    ------
    ValueError, TypeError, OSError, MemoryError
        What is wrong with the picture.
    """
    file = _read(job, networks, size)
    if isinstance(file, Plan):
        return _by_bands(job, file, networks, size, compare, lambda part: None)
    return _write(job, file, _enlarge(job, file, networks, size, compare, lambda part: None))


def _by_workers(
    cluster: Any, jobs: list[Job], count: int, networks: Networks, size: Size, compare: bool
) -> int:
    """Enlarge on the workers of a cluster: how many failed, of `count`."""
    if not all(job.source and job.target for job in jobs):
        raise ValueError(
            "workers of a cluster have other standard input and output: give files instead of -"
        )
    # Workers run in folders of their own.
    jobs = [Job(j.source.absolute(), j.target.absolute(), *j[2:]) for j in jobs]
    failed, full = 0, False
    wanted = itertools.takewhile(lambda job: not full, jobs)
    with workers.connected(cluster) as client, progress(len(jobs)) as bar:
        calls = workers.call_on(client, enlarge_file, wanted, networks, size, compare)
        for done, (job, result) in enumerate(calls, 1):
            try:
                _tell(*result(), bar.say)
            except ChildProcessError as error:
                failed += _failed(ChildProcessError(f"{job.source}: {error}"), count, bar.say)
            except ConnectionError:  # of the cluster, not of a picture
                raise
            except _BAD as error:
                failed += _failed(error, count, bar.say)
                full = full or isinstance(error, DiskFull)
            bar.update(done)
        undone = len(jobs) - done
        _tell_undone(undone, bar.say)
    return failed + undone


def _says_which(step: Callable) -> Callable:
    """A step in the work on a job, whose errors name the picture if they do not name a file."""

    @functools.wraps(step)
    def named(job: Job, *rest):
        picture, result = str(job.source or "standard input"), str(job.target or "standard output")
        try:
            return step(job, *rest)
        except MemoryError:
            raise MemoryError(
                f"{picture} takes more memory than there is: choose a smaller factor, or cut it "
                f"into parts"
            ) from None
        except (ValueError, TypeError) as error:
            if picture in str(error) or result in str(error):
                raise
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(f"{picture}: {error}") from None

    return named


@_says_which
def _read(job: Job, networks: Networks, size: Size) -> PictureFile | Plan:
    """The picture; of one for `large`, only what is to be done."""
    if job.source:
        stored = large.shape_of(job.source) if job.kind in (".tif", ".tiff") else None
        if stored and job.target:
            check_claim(stored[:3], stored[3], job.source.stat().st_size, str(job.source))
            plan = networks.plan(stored[:2], size.scale, size.shape)
            if math.prod((*plan.shape, stored[2], stored[3].itemsize)) > BANDED:
                return plan
        return read_picture_file(job.source)
    content = sys.stdin.buffer.read(4096) if sys.stdin else b""  # None: closed
    if kind_of(content):  # or what follows may have no end
        content += sys.stdin.buffer.read()
    if not content:
        raise ValueError("standard input is empty: send a picture file")
    return read_picture_file("standard input", content)


@_says_which
def _by_bands(
    job: Job, plan: Plan, networks: Networks, size: Size, compare: bool, progress: Callable
) -> tuple[list[str], str, bool]:
    """Enlarge a large TIFF file into another; returns what `_write` does."""
    _make_place(job, plan)
    began = time.perf_counter()
    lost, notes = large.enlarge_tiff(
        job.source, job.target, networks, size.scale, size.shape, progress
    )
    seconds = time.perf_counter() - began
    notes = [f"{job.source}: {note}" for note in notes] + _of_size(job, plan)
    if compare:
        notes.append(f"{job.source}: no page that compares, as it is done band by band")
    if lost:
        notes.append(f"{job.target} is without {', '.join(lost)}")
    line = _line(plan, networks, ", band by band", seconds)
    return notes, f"{job.target}: {line}", True


def _kind(job: Job, file: PictureFile) -> str:
    """The suffix of what is written: for standard output, an animation's own."""
    if job.kind == SAME:
        return SUFFIX_OF.get(file.kind, ".png")
    moves = len(file.frames) > 1 and file.kind in ("gif", "webp")
    return job.kind or (f".{file.kind}" if moves else ".png")


def _of_size(job: Job, plan: Plan) -> list[str]:
    """What is to be said of a size that was asked for."""
    return [
        f"{job.source or 'standard input'}: its {side} becomes smaller, {m} pixels of {n}; with "
        f"only one of --width and --height, the aspect ratio is kept"
        for side, m, n in zip(("height", "width"), plan.shape, plan.start, strict=True)
        if m < n
    ]


def _make_place(job: Job, plan: Plan) -> None:
    if job.makes_folder:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    if job.target:
        check_place(job.target)
        check_free(job, plan.shape)


def _line(plan: Plan, networks: Networks, how: str, seconds: float) -> str:
    (height, width), (new_height, new_width) = plan.start, plan.shape
    return (
        f"{new_width} x {new_height} pixels, from {width} x {height} by {networks.label()} "
        f"{plan}{how} in {seconds:.2f} s"
    )


class _Done(NamedTuple):
    """What is to be said about a picture; for a page, the first frame by bicubic interpolation."""

    notes: list[str]
    line: str
    facts: dict[str, str]
    bicubic: np.ndarray | None


@_says_which
def _enlarge(
    job: Job,
    file: PictureFile,
    networks: Networks,
    size: Size,
    compare: bool,
    progress: Callable[[float], None],
) -> _Done:
    """Enlarge its frames in their place."""
    height, width = file.frames[0].shape[:2]
    plan = networks.plan((height, width), size.scale, size.shape)
    fit_to(job.target or Path(f"standard output{_kind(job, file)}"), file, plan.shape)
    _make_place(job, plan)
    network = networks.at(plan.passes[0])
    before = bicubic(file.frames[0], plan.shape) if compare else None
    count = len(file.frames)
    began = time.perf_counter()
    for k in range(count):
        file.frames[k] = upscale(
            file.frames[k], size.scale, networks, shape=size.shape,
            progress=lambda part, k=k: progress((k + part) / count),
        )  # fmt: skip
    seconds = time.perf_counter() - began
    file.enlarged = True
    notes = [f"{job.source or 'standard input'}: {note}" for note in file.notes]
    notes += _of_size(job, plan)
    frames = f", {count} frames" if count > 1 else ""
    line = _line(plan, networks, frames, seconds)
    facts = {
        "pixels": f"{width} x {height} to {plan.shape[1]} x {plan.shape[0]}",
        "network": f"{networks.label()}, {plan}",
        "trained on": known(network.card.get("data"), "unknown pictures"),
        "time": f"{seconds:.2f} s",
    }
    if count > 1:
        facts["frames"] = f"{count}, of which the first is compared"
    return _Done(notes, line, facts, before)


@_says_which
def _write(job: Job, file: PictureFile, done: _Done) -> tuple[list[str], str, bool]:
    """Write it: notes, a line of what was done, and whether that may go to standard output."""
    notes = done.notes
    if done.bicubic is not None:
        page = job.target.with_suffix(".html")
        pair = (np.round(np.clip(unit(x), 0, 1) * 255) for x in (done.bicubic, file.frames[0]))
        write_comparison(
            page, *(x.astype(np.uint8) for x in pair), job.target.name, done.facts,
            icc_profile=file.icc_profile, colours=file.colours,
        )  # fmt: skip
        notes = [*notes, f"{page}: compares with bicubic interpolation"]
    if job.target:
        lost = write_picture_file(job.target, file, job.quality)
    else:
        with tempfile.TemporaryDirectory() as folder:
            unfinished.add(folder)
            path = Path(folder) / f"result{_kind(job, file)}"
            lost = write_picture_file(path, file, job.quality)
            with open(path, "rb") as content:
                shutil.copyfileobj(content, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        unfinished.discard(folder)
    name = job.target or "standard output"
    if lost:
        notes = [*notes, f"{name} is without {', '.join(lost)}"]
    return notes, f"{name}: {done.line}", job.target is not None


def _tell(notes: list[str], line: str, usual: bool, say: Callable) -> None:
    for note in notes:
        say(note, sys.stderr)
    say(line, sys.stdout if usual else sys.stderr)


def _tell_undone(count: int, say: Callable) -> None:
    if count:
        say(f"pysrcnn: {count} more not enlarged, as the disk is full", sys.stderr)


def _failed(error: Exception, count: int, say: Callable) -> int:
    if count == 1 or isinstance(error, BrokenPipeError):
        raise error
    error = told(error) if isinstance(error, OSError) else error
    say(f"pysrcnn: {error or type(error).__name__}", sys.stderr)
    return 1
