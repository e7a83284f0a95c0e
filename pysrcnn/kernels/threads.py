"""Tasks shared out among threads, where each is long enough (milliseconds) to be handed out here.

Compiled code runs without Python's lock, so Python's own threads do; Numba's parallel loops, which
`batches` and `operations` use for many short steps, would take four times as long to compile.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

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

    others = min(numba.get_num_threads(), len(pending)) - 1
    if others < 1:
        work(taken())
        return
    with ThreadPoolExecutor(others) as pool:
        running = [pool.submit(work, taken()) for _ in range(others)]
        try:
            work(taken())
        finally:
            pending.clear()  # where this thread fails or is interrupted, the others stop soon
        for other in running:
            other.result()
