"""Training pictures that do not fit into memory: read while the network trains, a part at a time.

The pictures are used in a random order, a new one in each epoch. A part of them serves for as many
batches as its pictures give sub-images, while another process reads the next part. The pictures of
a part, and what is taken from them, follow from the seed and the number of the step alone, so an
interrupted training resumes with exactly the batches it would have had.

A script that uses this needs ``if __name__ == "__main__":`` around its code, as the other process
imports it.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from .._signals import ENDS
from ..clips import read_run
from ..data import PICTURE_ERRORS, Pair, read_pair, reduced
from ..pictures import quiet_readers
from ..scenes import Scene
from .camera import read_moved
from .crops import Sampler

__all__ = ["REGION", "Stream"]

PART = 64  # pictures
TAKEN = 64  # sub-images taken from a picture, on average, before the next part is used
REGION = 512  # most rows and columns used of a picture; a larger one gives a random region
RUN = 8  # most frames used of a clip; a longer one gives a random run
REGION_OF_RUN = 256  # most rows and columns used of these frames
LONG = 256  # frames of a scene; a longer one gives several runs in an epoch


class Stream:
    """Picture files as training data, read in the background.

    Parameters
    ----------
    paths : sequence of paths or Scenes
    scale : int
    c : int
        1 for luma, 3 for RGB.
    smallest : int
        Least height and width of a picture that is used, in pixels.
    seed : int
    small : bool
        As for `data.pair`.
    frames : int
        Number of frames that the network looks at; above 1, the paths are of clips, see
        `pysrcnn.clips`.
    shrink : int
        For clips, as for `read_run`.
    factors : sequence of float
        For pictures: each is reduced by one of these, or stays as large as it is, at random.
    moving : sequence of paths
        Besides clips, photographs to make clips from, see `training.camera`.

    Attributes
    ----------
    skipped : dict of str
        File -> why it could not be used, a sentence that names it.
    waited : float
        Seconds that `batch` has waited for pictures.

    Raises
    ------
    OSError
        From `batch`, if the reading process was stopped.
    ValueError
        If there are no paths, or, from `batch`, no picture can be used.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike],
        scale: int,
        c: int,
        smallest: int,
        seed: int,
        small: bool = False,
        frames: int = 1,
        shrink: int = 1,
        factors: Sequence[float] = (),
        moving: Sequence[str | os.PathLike] = (),
    ):
        self.paths = [path if isinstance(path, Scene) else os.fspath(path) for path in paths]
        if not self.paths:
            raise ValueError("no training pictures")
        self._clips = len(self.paths)  # the paths that follow are of photographs
        self.paths += map(os.fspath, moving)
        # What an epoch reads: numbers of paths, that of a long scene several times.
        self._turns = [k for k, path in enumerate(self.paths) for _ in range(_turns(path))]
        self.seed = seed
        self.skipped: dict[str, str] = {}
        self.waited = 0.0
        options: dict[str, Any] = {"scale": scale, "smallest": smallest}
        if frames > 1:
            options |= {"frames": frames}
            self._read = functools.partial(
                _told, read_run, largest=REGION_OF_RUN, count=max(RUN, frames), shrink=shrink,
                **options,
            )  # fmt: skip
            self._read_moved = functools.partial(_told, read_moved, largest=REGION, **options)
        else:
            self._read = functools.partial(
                _told, _read_reduced, c=c, largest=REGION, small=small, factors=factors, **options
            )
        self._pool: ProcessPoolExecutor | None = None
        self._coming: dict[int, list[tuple[str, Future]]] = {}
        self._part = -1
        self._samples: Sampler | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def identity(self) -> str:
        """Count and checksum of the files' names and sizes, by which checkpoints recognise them."""
        checksum = 0
        for path in self.paths:
            checksum = zlib.crc32(os.fsencode(os.path.basename(path)), checksum)
            try:
                size = os.path.getsize(path)
            except OSError:  # a broken link: left out when it is read
                size = -1
            part = f" {path.times[0]} {len(path)}" if isinstance(path, Scene) else ""
            checksum = zlib.crc32(f" {size}{part}\n".encode(), checksum)
        return f"{len(self)} streamed, checksum {checksum:08x}"

    def batch(self, step: int, size: int, sampler: Callable[[list[Pair]], Sampler]) -> Pair:
        """Return (low, high) of a step, made by ``sampler(pairs).batch`` from its part."""
        part = step * size // (PART * TAKEN)
        if self._samples is None or part != self._part:
            self._samples = None  # frees its memory first
            self._samples = sampler(self._pairs(part))
            self._part = part
        return self._samples.batch(step, size)

    def close(self) -> None:
        """Stop reading."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._pool, self._coming = None, {}

    def _pairs(self, part: int) -> list[Pair]:
        began = time.perf_counter()
        try:
            for wanted in (part, part + 1):
                if wanted not in self._coming:
                    self._coming[wanted] = self._request(wanted)
            pairs = self._results(self._coming.pop(part))
            # If no picture of the part can be used, try the parts after it, for two epochs: so many
            # positions hold every picture, wherever they begin.
            for other in range(part + 1, part + 2 + 2 * len(self._turns) // PART):
                if pairs:
                    break
                pairs = self._results(self._request(other))
        except BrokenProcessPool:
            raise OSError("the process that reads pictures was stopped: resume to go on") from None
        self.waited += time.perf_counter() - began
        self._coming = {k: v for k, v in self._coming.items() if k == part + 1}
        if not pairs:
            names = [os.fspath(path) for path in self.paths]
            reason = next(self.skipped[name] for name in names if name in self.skipped)
            raise ValueError(f"no training picture can be used, of {len(self)}: {reason}")
        return pairs

    def _request(self, part: int) -> list[tuple[str, Future]]:
        if self._pool is None:
            # A process, because a thread would stop the steps by Python's lock; spawned, because a
            # fork of a process with OpenMP threads can hang.
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_begin_reading)
            with _unheard():
                self._pool.submit(os.getpid)  # starts the process
        requests = []
        for position in range(part * PART, (part + 1) * PART):
            epoch, place = divmod(position, len(self._turns))
            number = self._turns[_order(self.seed, epoch, len(self._turns))[place]]
            path, read = self.paths[number], self._read
            if number >= self._clips:
                read = self._read_moved
            future = self._pool.submit(read, path, seed=(self.seed, position))
            requests.append((os.fspath(path), future))
        return requests

    def _results(self, requests: list[tuple[str, Future]]) -> list[Pair]:
        pairs = []
        for path, future in requests:
            result = future.result()
            if isinstance(result, str):
                self.skipped[path] = result
            else:
                pairs.append(result)
        return pairs


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Block Ctrl-C and the like for processes started in the block, to which they are sent too.

    The training process receives them, and may need what is being read for its current step.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _begin_reading() -> None:
    """Make the reading process end when the training process does, however that ends.

    It ignores Ctrl-C and the like, and keeps libraries quiet, as our errors say what is damaged.
    """
    quiet_readers()
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)

    def follow() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@functools.lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


def _told(read: Callable[..., Pair], path: str | Scene, **options) -> Pair | str:
    """Return a pair, or its error as text, as not all exceptions can be sent between processes."""
    try:
        return read(path, **options)
    except PICTURE_ERRORS as error:
        return str(error) or type(error).__name__


def _read_reduced(path: str, factors: Sequence[float] = (), **options) -> Pair:
    """Read a pair, and make it smaller by chance."""
    low, high = read_pair(path, **options)
    factor = np.random.default_rng(options["seed"]).choice((1.0, *factors))
    smaller = None
    if factor < 1:
        smaller = reduced(high, factor, options["scale"], options["smallest"], options["small"])
    return smaller or (low, high)


def _turns(path: str | Scene) -> int:
    """Return how often an epoch reads from a path: once, or once per `LONG` frames of a scene."""
    return -(-len(path) // LONG) if isinstance(path, Scene) else 1
