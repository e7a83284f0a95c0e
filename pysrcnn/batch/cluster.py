"""Calls of a function on the workers of a Dask cluster, a bounded number of them at a time.

``pip install ".[dask]"`` has what this needs, on the workers' machines too.
"""

import asyncio
import contextlib
import itertools
import logging
import queue
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
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
    with _quiet():
        try:
            if isinstance(cluster, str):
                answer = asyncio.wait_for(_answer(cluster), PATIENCE)
                with ThreadPoolExecutor(1) as thread:  # as a loop may run in this one: notebooks
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
                versions = client.get_versions(packages=["pysrcnn"])
            _check_versions(versions["workers"])
            yield client


async def _answer(address: str) -> None:
    """Return when a scheduler there has answered. `Client` may wait forever, where another does."""
    import distributed.comm

    options = distributed.Security().get_connection_args("client")
    await (await distributed.comm.connect(address, timeout=PATIENCE, **options)).close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Errors are raised; what Dask logs of them besides is not printed."""
    known = [n for n in logging.root.manager.loggerDict if n.startswith("distributed")]
    levels = {logger: logger.level for logger in map(logging.getLogger, known)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _wait_for_worker(client: "distributed.Client") -> None:
    """If there is none, say so first."""
    if not client.nthreads():
        say(
            f"waiting for a worker: start one with `dask worker {client.scheduler.address}`",
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
        If the scheduler is gone.
    """
    left = iter(items)
    running = {}
    ended = queue.SimpleQueue()
    with _scheduler_there():
        # The scheduler keeps this call, and has it made again if the worker that has it dies.
        shared = client.submit(_itself, shared, pure=False)
    while True:
        with _scheduler_there():
            workers = client.nthreads()
            busy = Counter()
            for address, count in workers.items():
                busy[_host(address)] += count
            most = max(1, AHEAD * sum(workers.values()))
            for item in itertools.islice(left, max(0, most - len(running))):
                future = client.submit(_call, function, item, shared, dict(busy), pure=False)
                running[future.key] = item
                future.add_done_callback(ended.put)
        if not running:
            return
        future = _patiently(ended.get, client)
        with _scheduler_there():
            if future.cancelled():
                raise CancelledError
        yield running.pop(future.key), lambda future=future: _result(future, client)


def _patiently(wait: Callable, client: "distributed.Client") -> Any:
    """What wait(timeout=seconds) gives in the end; meanwhile, see that there is a worker."""
    while True:
        with _scheduler_there():
            with contextlib.suppress(queue.Empty, TimeoutError):
                return wait(timeout=PATIENCE)
            _wait_for_worker(client)


@contextlib.contextmanager
def _scheduler_there() -> Iterator[None]:
    try:
        yield
    except (CancelledError, OSError, RuntimeError):  # what Dask raises of it, here or there
        raise ConnectionError(
            "the scheduler is gone: start it and its workers again, and enlarge the rest"
        ) from None


def _itself(shared: tuple) -> tuple:
    return shared


def _host(address: str) -> str:
    from distributed.comm import get_address_host

    return get_address_host(address)


def _call(
    function: Callable, item: Any, shared: tuple, busy: dict[str, int]
) -> tuple[Any, Exception | None]:
    """On a worker: the result or what was raised. `busy` is how many run at a time, by host."""
    import distributed

    here = busy.get(_host(distributed.get_worker().address), 1)
    usual = threads.count()
    numba.set_num_threads(max(1, min(usual, numba.config.NUMBA_DEFAULT_NUM_THREADS // here)))
    try:
        return function(item, *shared), None
    except Exception as error:  # which is no news for the log of the worker
        return None, error
    finally:
        numba.set_num_threads(usual)


def _result(future: "distributed.Future", client: "distributed.Client") -> Any:
    import distributed

    try:  # if the worker that has it is dead, it is computed again
        done, error = _patiently(future.result, client)
    except distributed.KilledWorker as error:
        raise ChildProcessError(
            f"{error.allowed_failures + 1} workers died of it: is their memory large enough?"
        ) from None
    if error is not None:
        raise error
    return done
