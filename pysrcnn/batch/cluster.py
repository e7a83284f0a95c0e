"""Calls of a function on the workers of a Dask cluster, a bounded number of them at a time.

``pip install ".[dask]"`` has what this needs, on the workers' machines too.
"""

import asyncio
import contextlib
import functools
import itertools
import logging
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TYPE_CHECKING, Any

import numba

from .._printing import say
from .._version import __version__
from ..kernels import threads

if TYPE_CHECKING:
    import distributed

__all__ = ["call_on", "connected"]

PATIENCE = 5  # seconds in which a scheduler has to answer
AHEAD = 2  # calls that the scheduler has at a time, for each thread of a worker
_GONE = "the scheduler is gone: start it and its workers again, and enlarge the rest"


@contextlib.contextmanager
def connected(cluster: Any) -> "Iterator[distributed.Client]":
    """A client of a cluster that has workers; what it still waits for at the end is cancelled.

    Parameters
    ----------
    cluster : str, or whatever else `distributed.Client` takes
        The address of its scheduler, "tcp://127.0.0.1:8786".

    Raises
    ------
    ModuleNotFoundError
        If Dask is not installed here, or pysrcnn not there.
    ConnectionError
        If no scheduler answers.
    ValueError
        If that is no address, or another version of pysrcnn is there.
    """
    try:
        import distributed
    except ImportError:
        raise ModuleNotFoundError(
            'a cluster needs Dask, which is not installed: pip install ".[dask]" in the clone of '
            "pysrcnn"
        ) from None
    from distributed.utils import silence_logging_cmgr

    with silence_logging_cmgr(logging.CRITICAL + 1):  # errors are raised
        try:
            if isinstance(cluster, str):
                answer = asyncio.wait_for(_answer(cluster), PATIENCE)
                with futures.ThreadPoolExecutor(
                    1
                ) as thread:  # as a loop may run in this one: notebooks
                    thread.submit(asyncio.run, answer).result()
            with warnings.catch_warnings(action="ignore"):  # of versions that differ
                client = distributed.Client(cluster, timeout=PATIENCE, set_as_default=False)
        except ValueError as error:
            raise ValueError(
                f"{cluster!r} is not the address of a scheduler ({error}): give one such as "
                f"tcp://127.0.0.1:8786"
            ) from None
        except OSError:
            raise ConnectionError(
                f"no scheduler answers at {cluster}: start one with `dask scheduler`, or give the "
                f"address that it prints"
            ) from None
        with client:
            with _scheduler_there():
                _wait_for_worker(client)
                versions: Any = client.get_versions(packages=["pysrcnn"])
            _check_versions(versions["workers"])
            yield client


async def _answer(address: str) -> None:
    """Return when a scheduler there has answered. `Client` may wait forever, where another does."""
    import distributed.comm

    options = distributed.Security().get_connection_args("client")
    await (await distributed.comm.connect(address, timeout=PATIENCE, **options)).close()


def _wait_for_worker(client: "distributed.Client") -> None:
    """If there is none, say so first."""
    if not client.nthreads():
        scheduler: Any = client.scheduler
        say(
            f"waiting for a worker: start one with `dask worker {scheduler.address}`",
            sys.stderr,
        )
        client.wait_for_workers(1)


def _check_versions(workers: dict[str, dict]) -> None:
    for address, about in workers.items():
        version = about["packages"]["pysrcnn"]
        if version is None:
            raise ModuleNotFoundError(f"the worker {address} has no pysrcnn: install it there")
        if version != __version__:
            raise ValueError(
                f"the worker {address} has pysrcnn {version}, here is {__version__}: install the "
                f"same one"
            )


def call_on(
    client: "distributed.Client", function: Callable, items: Iterable, *shared: Any
) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """Call function(item, *shared) on the workers, each call in one of their threads.

    A call whose worker dies is made again by another one; if that was the last, a line on standard
    error asks for one. The calls that run on a machine at a time share its cores.

    Parameters
    ----------
    client : distributed.Client
    function : function of a module that the workers have
    items : iterable
    shared : whatever all calls take
        Goes to each worker once.

    Yields
    ------
    item, result : as the calls end
        `result()` returns what the call did, or raises what it raised; ChildProcessError if worker
        after worker died of it.

    Raises
    ------
    ConnectionError
        If the scheduler is gone; `result()`, too.
    """
    left: Iterator = iter(items)
    running: dict[futures.Future, Any] = {}
    executor = client.get_executor(pure=False)
    with _scheduler_there():
        # The scheduler keeps this call, and has it made again if the worker that has it dies.
        given = client.submit(tuple, shared, pure=False)
    while True:
        with _scheduler_there():
            workers = client.nthreads()
            at_once: Counter[str] = Counter()
            for address, count in workers.items():
                at_once[_host(address)] += count
            free = max(1, AHEAD * at_once.total()) - len(running)
            for item in itertools.islice(left, max(0, free)):
                running[executor.submit(_call, function, item, given, dict(at_once))] = item
        if not running:
            return
        ended, _ = futures.wait(running, PATIENCE, futures.FIRST_COMPLETED)
        if not ended:
            with _scheduler_there():
                _wait_for_worker(client)
        for future in ended:
            item = running.pop(future)
            if _is_lost(future):
                left = itertools.chain([item], left)
            else:
                yield item, functools.partial(_result, future)


def _host(address: str) -> str:
    from distributed.comm import get_address_host

    return get_address_host(address)


def _call(function: Callable, item: Any, shared: tuple, at_once: dict[str, int]) -> Any:
    """On a worker. `at_once` is how many calls run at a time, by host."""
    import distributed

    here = at_once.get(_host(distributed.get_worker().address), 1)
    before, cores = threads.count(), vars(numba.config)["NUMBA_DEFAULT_NUM_THREADS"]
    numba.set_num_threads(max(1, min(before, cores // here)))
    try:
        return function(item, *shared)
    finally:
        numba.set_num_threads(before)


def _is_lost(future: futures.Future) -> bool:
    """Whether what a call did has gone with its worker, before it was fetched.

    Dask's executor has no word for that, and stumbles over its own.
    """
    error = None if future.cancelled() else future.exception()
    if not isinstance(error, ValueError) or error.__traceback__ is None:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"] == "distributed.cfexecutor" and "unpack" in str(error)


def _result(future: futures.Future) -> Any:
    import distributed

    try:
        return future.result()
    except distributed.KilledWorker as error:
        raise ChildProcessError(
            f"{error.allowed_failures + 1} workers died of it: is their memory large enough?"
        ) from None
    except futures.CancelledError:
        raise ConnectionError(_GONE) from None


@contextlib.contextmanager
def _scheduler_there() -> Iterator[None]:
    try:
        yield
    except (futures.CancelledError, OSError, RuntimeError):  # what Dask raises of it
        raise ConnectionError(_GONE) from None
