"""Tasks shared out among threads, where each is long enough (milliseconds) to be handed out here.

Compiled code runs without Python's lock, so Python's own threads do; Numba's parallel loops, which
`batches` and `operations` use for many short steps, would take four times as long to compile.
"""

import contextlib
import functools
import os
import threading
from collections import deque

import numba

LOOKS = "3000"  # some 10 microseconds


@functools.cache
def load_openmp():
    """Load GNU's OpenMP, if Numba's loops can use it, so that threads that wait soon sleep.

    At the end of a loop each thread waits for the others, and looks for them 300,000 times before
    it sleeps. Beside another busy program, that is time which those it waits for do not get, and
    one wait may last as long as the system lets that program run. How often to look is read from
    the environment, once, when OpenMP is loaded; what a user has set there stays.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = LOOKS
        try:
            with contextlib.suppress(ImportError):
                import numba.np.ufunc.omppool  # noqa: F401
        finally:
            del os.environ["GOMP_SPINCOUNT"]


def count():
    """How many threads Numba is set to use."""
    load_openmp()  # or Numba does
    return numba.get_num_threads()


def share(tasks, work):
    """Run work(iterator over tasks) in as many threads as Numba is set to use.

    Together the iterators give every task once: each thread takes the next one when it is done
    with its last.
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
            with contextlib.suppress(RuntimeError):  # Python is ending, and may start none
                other.start()
                others.append(other)
        work(taken())
    finally:
        pending.clear()  # where this thread fails or is interrupted, the others stop soon
        for other in others:
            other.join()
    if failed:
        raise failed[0]
