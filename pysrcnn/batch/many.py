"""Enlarging many picture files, reading and writing while computing, or on a cluster.

While a picture is enlarged, one thread reads the next and another writes the previous one; no more
than these three are in memory. A picture that cannot be read, enlarged or written is reported, and
the others continue.
"""

import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from .._files import DiskFull, told
from ..pictures import PictureFile
from ..upscaling.scales import Networks
from . import cluster as workers
from .enlarge import Enlarged, enlarge, enlarge_file, expected, read
from .jobs import Job, Size, is_done
from .progress import Progress, progress

__all__ = ["enlarge_files"]

LARGE = 2**28  # bytes of a result above which it is written before the next one is begun
_BAD = (ValueError, TypeError, OSError, MemoryError)  # errors of one picture


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
    """Enlarge picture files, with a line for each on standard output, notes on standard error.

    Parameters
    ----------
    jobs : list of Job
    networks : Networks
    size : Size
    errors : exceptions
        Errors that `find_jobs` found. They are printed, and count as failed.
    skip : bool
        Whether results that are there already stay, instead of being replaced.
    compare : bool
        Whether a page that compares with bicubic interpolation is written beside each result.
    cluster : optional
        The address of a Dask scheduler, or anything else that `cluster.connected` takes. Its
        workers read, enlarge and write the files, which must have the same names there as here.

    Returns
    -------
    enlarged, skipped, failed : int

    Raises
    ------
    ValueError, TypeError, OSError, MemoryError
        If there is only one picture and it fails, or if the cluster does.
    """
    left = [job for job in jobs if not (skip and is_done(job, networks, size))]
    with progress(len(left)) as bar:
        report = _Report(len(jobs) + len(errors) == 1, bar)
        for error in errors:
            report.fail(error)
        if left and cluster is not None:
            _by_workers(cluster, left, networks, size, compare, report)
        elif left:
            _here(left, networks, size, compare, report)
        undone = len(left) + len(errors) - report.enlarged - report.failed
        if undone:
            bar.say(f"pysrcnn: {undone} more not enlarged, as the disk is full", sys.stderr)
    return report.enlarged, len(jobs) - len(left), report.failed + undone


class _Report:
    """What became of the pictures, printed as soon as it is known.

    The error of an only picture is raised instead.
    """

    def __init__(self, only: bool, bar: Progress):
        self.only, self.bar = only, bar
        self.enlarged, self.failed, self.full = 0, 0, False

    def add(self, job: Job, result: Callable[[], Enlarged]) -> None:
        """Report one more picture by what `result()` returns or raises."""
        try:
            done = result()
        except ChildProcessError as error:
            self.fail(ChildProcessError(f"{job.source}: {error}"))
            return
        except _BAD as error:
            self.fail(error)
            return
        self.enlarged += 1  # even if nothing more can be printed
        for note in done.notes:
            self.bar.say(note, sys.stderr)
        self.bar.say(done.line, sys.stdout if done.to_stdout else sys.stderr)

    def fail(self, error: Exception) -> None:
        """Report an error; raise it if there is one picture, or no reader or scheduler any more."""
        if self.only or isinstance(error, ConnectionError):
            raise error
        self.failed += 1
        self.full = self.full or isinstance(error, DiskFull)
        error = told(error) if isinstance(error, OSError) else error
        self.bar.say(f"pysrcnn: {error or type(error).__name__}", sys.stderr)


def _here(jobs: list[Job], networks: Networks, size: Size, compare: bool, report: _Report) -> None:
    """Enlarge pictures in this process, one after the other."""
    bar = report.bar
    written: tuple[Job, Future] | None = None

    def settle() -> None:
        """Wait for the file that is being written, and report it."""
        nonlocal written
        if written:
            (job, future), written = written, None
            bar.show(f"writing {job.target_name}")
            report.add(job, future.result)

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        ahead = reader.submit(read, jobs[0], networks, size)
        for k, job in itertools.takewhile(lambda _: not report.full, enumerate(jobs)):
            now = ahead
            bar.show(f"reading {job.source_name}")
            wait([now])
            if k + 1 < len(jobs):
                ahead = reader.submit(read, jobs[k + 1], networks, size)
            try:
                file = now.result()
                if not isinstance(file, PictureFile):  # nothing else may be in memory
                    settle()
                    if report.full:
                        break
                if said := expected(job, file, networks, size):
                    bar.say(said, sys.stderr)
                bar.update(k)
                tell = functools.partial(_tell, bar, k)
                write = enlarge(job, file, networks, size, compare, tell)
            except _BAD as error:
                report.fail(error)
                continue
            finally:
                bar.update(k + 1)
            settle()
            if not report.full:
                written = job, writer.submit(write)
            frames = file.frames if isinstance(file, PictureFile) else None
            if frames is None or sum(frame.nbytes for frame in frames) > LARGE:
                settle()
            del file, frames, write
        settle()


def _tell(bar: Progress, done: int, part: float, note: str = "") -> None:
    bar.update(done + part, note)


def _by_workers(
    cluster: Any, jobs: list[Job], networks: Networks, size: Size, compare: bool, report: _Report
) -> None:
    """Enlarge pictures on the workers of a cluster, in any order."""
    there = []
    for job in jobs:
        if not (job.source and job.target):
            raise ValueError(
                "workers of a cluster have other standard input and output: give files instead of -"
            )
        # Workers run in folders of their own.
        there.append(Job(job.source.absolute(), job.target.absolute(), *job[2:]))
    wanted = itertools.takewhile(lambda job: not report.full, there)
    with workers.connected(cluster) as client:
        calls = workers.call_on(client, enlarge_file, wanted, networks, size, compare)
        for done, (job, result) in enumerate(calls, 1):
            report.add(job, result)
            report.bar.update(done)
