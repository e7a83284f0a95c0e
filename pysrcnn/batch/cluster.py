"""Calls of a function on the workers of a Dask cluster, a bounded number of them at a time.

This needs ``pip install ".[dask]"``, on the workers' machines too.
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
AHEAD = 2  # calls submitted at a time for each thread of a worker
_GONE = "the scheduler is gone: start it and its workers again, and enlarge the rest"


@contextlib.contextmanager
def connected(cluster: Any) -> "Iterator[distributed.Client]":
    """Yield a client of a cluster that has workers; calls not done at the end are cancelled.

    Parameters
    ----------
    cluster : str, or anything else that `distributed.Client` takes
        The address of its scheduler, "tcp://127.0.0.1:8786".

    Raises
    ------
    ModuleNotFoundError
        If Dask is not installed here, or pysrcnn is not installed on a worker.
    ConnectionError
        If no scheduler answers.
    ValueError
        If that is not an address, or a worker has another version of pysrcnn.
    """
    try:
        import distributed
    except ImportError:
        raise ModuleNotFoundError(
            'a cluster needs Dask, which is not installed: pip install ".[dask]" in the clone of '
            "pysrcnn"
        ) from None
    from distributed.utils import silence_logging_cmgr

    with silence_logging_cmgr(logging.CRITICAL + 1):  # errors are raised instead
        try:
            if isinstance(cluster, str):
                answer = asyncio.wait_for(_answer(cluster), PATIENCE)
                with futures.ThreadPoolExecutor(
                    1
                ) as thread:  # in a notebook, a loop runs in this one
                    thread.submit(asyncio.run, answer).result()
            with warnings.catch_warnings(action="ignore"):  # about versions that differ
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
    """Return when a scheduler answers. `Client` may wait forever if another program does."""
    import distributed.comm

    options = distributed.Security().get_connection_args("client")
    await (await distributed.comm.connect(address, timeout=PATIENCE, **options)).close()


def _wait_for_worker(client: "distributed.Client") -> None:
    """Wait for a worker; if there is none yet, say so first."""
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

    If a worker dies, another one repeats its calls; if it was the last one, a line on standard
    error asks for a new one. Calls that run on one machine at the same time share its cores.

    Parameters
    ----------
    client : distributed.Client
    function : function of a module that the workers have
    items : iterable
    shared : arguments of all calls
        Sent to each worker once.

    Yields
    ------
    item, result : in the order in which the calls end
        `result()` returns what the call returned, or raises what it raised; ChildProcessError if
        several workers died of it.

    Raises
    ------
    ConnectionError
        If the scheduler is gone; `result()` raises it too.
    """
    left: Iterator = iter(items)
    running: dict[futures.Future, Any] = {}
    executor = client.get_executor(pure=False)
    with _scheduler_there():
        # By a call, which the scheduler repeats if the worker that holds its result dies.
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
    """Make a call on a worker; `at_once` tells how many calls run at a time on each host."""
    import distributed

    here = at_once.get(_host(distributed.get_worker().address), 1)
    before, cores = threads.count(), vars(numba.config)["NUMBA_DEFAULT_NUM_THREADS"]
    numba.set_num_threads(max(1, min(before, cores // here)))
    try:
        return function(item, *shared)
    finally:
        numba.set_num_threads(before)


def _is_lost(future: futures.Future) -> bool:
    """Return whether the result of a call was lost with its worker before it was fetched.

    Dask's executor has no error for that: it fails when it unpacks the missing result.
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
    except (futures.CancelledError, OSError, RuntimeError):  # what Dask raises if not
        raise ConnectionError(_GONE) from None
