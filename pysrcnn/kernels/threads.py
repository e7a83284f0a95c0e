"""Tasks shared among Python's threads.

Compiled code runs without Python's lock, so Python's own threads suffice. Numba's parallel loops,
which convolutions of maps use since they start sooner, take two to four times as long to compile.
"""

import contextlib
import functools
import os
import sys
import threading
from collections import deque

import numba

LOOKS = "3000"  # spins, about 10 microseconds
LITTLE = 1 << 18  # numbers that are copied in about the time in which a thread starts


@functools.cache
def load_openmp():
    """Load GNU's OpenMP, if Numba's loops can use it, such that waiting threads soon sleep.

    At the end of a loop each thread waits for the others, and spins 300,000 times before it sleeps.
    Beside another busy program, this takes time from the threads it waits for, and one wait may
    last as long as the system lets that program run. OpenMP reads the number of spins from the
    environment once, when it is loaded; a user's own setting there is kept.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = LOOKS
        try:
            with contextlib.suppress(ImportError):
                import numba.np.ufunc.omppool  # noqa: F401
        finally:
            del os.environ["GOMP_SPINCOUNT"]


def in_children(renew):
    """Call `renew` in every process that is forked from this one.

    There, threads of this one do not go on, and a lock that one of them held stays closed.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


def has_gnu_threads():
    """Whether Numba has started GNU's OpenMP, which ends a forked process that uses it."""
    try:
        layer = numba.threading_layer()
    except ValueError:  # not started
        return False
    pool = sys.modules.get("numba.np.ufunc.omppool")
    return layer == "omp" and getattr(pool, "openmp_vendor", "GNU") == "GNU"


def count():
    """Return the number of threads that Numba is set to use."""
    load_openmp()  # before Numba does
    return numba.get_num_threads()


def share(tasks, work):
    """Run work(iterator over tasks) in as many threads as Numba is set to use.

    Together the iterators yield every task once: each thread takes the next one when it has
    finished its last.
    """
    pending = deque(tasks)

    def taken():
        while True:
            try:
                yield pending.popleft()
            except IndexError:
                return

    def run():
        try:
            work(taken())
        except BaseException as error:
            failed.append(error)

    failed: list[BaseException] = []
    others: list[threading.Thread] = []
    try:
        for _ in range(min(count(), len(pending)) - 1):
            other = threading.Thread(target=run)
            with contextlib.suppress(RuntimeError):  # Python is ending and may start no thread
                others.append(other)  # first: an interruption may end `start` itself
                other.start()
        work(taken())
    finally:
        pending.clear()  # if this thread fails or is interrupted, the others stop soon
        for other in others:
            with contextlib.suppress(RuntimeError):  # it was not started
                other.join()
    if failed:
        raise failed[0]


def share_rows(rows, size, work, *arguments):
    """Call work(*arguments, first, end) for all rows, each of `size` numbers, in as many threads.

    Where little is to be copied, a second thread would start when the first is nearly done.
    """
    few = rows * size < 2 * LITTLE
    some = max(1, rows) if few else max(1, LITTLE // (4 * size))

    def run(tasks):
        for first in tasks:
            work(*arguments, first, min(first + some, rows))

    share(range(0, rows, some), run)
