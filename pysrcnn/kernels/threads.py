"""Tasks shared out among threads, where each is long enough (milliseconds) to be handed out here.

Compiled code runs without Python's lock, so Python's own threads do; Numba's parallel loops, which
`batches` and `operations` use for many short steps, would take four times as long to compile.
"""

import contextlib
import threading
from collections import deque

import numba


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

    failed, others = [], []
    try:
        for _ in range(min(numba.get_num_threads(), len(pending)) - 1):
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
