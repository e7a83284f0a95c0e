"""Enlarging from several threads and processes at once, forked and spawned, and in a web server.

What cannot be undone, as a fork, happens in a process of its own.
"""

import multiprocessing
import time

import numba
import numpy as np
import pytest
import test_kernels
from test_kernels import compiled_only

from pysrcnn import SRCNN, kernels, optim
from pysrcnn.kernels import blas, threads
from pysrcnn.train import Recipe, Training

pytestmark = compiled_only

START = """
import multiprocessing, sys
from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor
import numba, numpy as np, pysrcnn
from pysrcnn import SRCNN
rng = np.random.default_rng(0)
pictures = [rng.integers(0, 256, (40 + k, 50, 3), np.uint8) for k in range(6)]

def work(k):
    return pysrcnn.upscale(pictures[k % 6], 3, "9-5-5").tobytes()

def train():
    low, high = rng.random((4, 1, 20, 20), np.float32), rng.random((4, 1, 16, 16), np.float32)
    SRCNN(3, 8, 1, 8, 3, 1).loss_and_gradients(low, high)
"""
HOW = multiprocessing.get_all_start_methods()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`test_kernels.run`, whose processes share what is compiled."""
    cache = tmp_path_factory.mktemp("compiled")

    def run(code, folder, **environment):
        return test_kernels.run(code, folder, NUMBA_CACHE_DIR=str(cache), **environment)

    return run


def test_threads(run, tmp_path):
    code = """
want = [work(k) for k in range(6)]
with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(work, range(48))) == want * 8)
"""
    assert run(START + code, tmp_path) == "True"


def test_threads_that_outlive_the_main_one(run, tmp_path):
    code = """
import atexit, threading
want = [work(k) for k in range(2)]
atexit.register(lambda: print(work(0) == want[0]))
for k in range(2):
    threading.Thread(target=lambda k=k: print(work(k) == want[k])).start()
"""
    assert run(START + code, tmp_path).split() == ["True"] * 3


@pytest.mark.slow
def test_several_threads_may_train_and_enlarge_at_once(run, tmp_path):
    """One is helped by other threads, the rest do their work alone: to the same bits."""
    code = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from pysrcnn import SRCNN
network = SRCNN(3, 8, 1, 8, 3, 1)
rng = np.random.default_rng(0)
low, high = rng.random((4, 1, 20, 20), np.float32), rng.random((4, 1, 16, 16), np.float32)
def work(_):
    loss, gradients = network.loss_and_gradients(low, high)
    return loss, gradients["W1"].sum(), network.forward(low).sum()
with ThreadPoolExecutor(4) as pool:
    print(len(set(pool.map(work, range(200)))))
"""
    assert run(code, tmp_path) == "1"


# Only a forked process has anything of what the first one did before.
AFTER = [pytest.param(h, True, marks=[] if h == "fork" else pytest.mark.slow) for h in HOW]


@pytest.mark.parametrize("how, trained", [*((h, False) for h in HOW), *AFTER])
def test_processes(run, tmp_path, how, trained):
    """Also where the first process has enlarged, or trained, before it forks."""
    code = f"""
if __name__ == "__main__":
    want = [work(k) for k in range(6)]
    if {trained}:
        train()
    context = multiprocessing.get_context({how!r})
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(list(pool.map(work, range(6))) == want and want == [work(k) for k in range(6)])
"""
    script = tmp_path / "script.py"
    script.write_text(START + code)
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    if how != "fork":  # whose processes read the script again
        code = (
            f"import subprocess, sys; subprocess.run([sys.executable, {str(script)!r}], check=True)"
        )
    assert run(code, tmp_path) == "True"


def test_in_a_web_server(run, tmp_path):
    code = """
import http.server, threading, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content = work(int(self.path[1:]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *_):
        pass
want = [work(k) for k in range(6)]
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    def ask(k):
        return urllib.request.urlopen(address + str(k), timeout=60).read()
    with ThreadPoolExecutor(6) as pool:
        print(list(pool.map(ask, range(24))) == want * 4)
    server.shutdown()
"""
    assert run(START + code, tmp_path, NO_PROXY="127.0.0.1") == "True"


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="there is a single thread")
def test_caps_on_threads_are_honoured_and_kept(run, tmp_path):
    code = """
import threading
most = []
usual = SRCNN.forward
def counting(self, x, padding="replicate"):
    most.append(threading.active_count())
    stop = threading.Event()
    def watch():
        while not stop.wait(0.0005):
            most.append(threading.active_count() - 1)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return usual(self, x, padding)
    finally:
        stop.set()
        watcher.join()
SRCNN.forward = counting
large = rng.integers(0, 256, (300, 300), np.uint8)
pysrcnn.upscale(large, 3, "9-5-5")
numba.set_num_threads(1)
most.clear()
pysrcnn.upscale(large, 3, "9-5-5")
one = max(most)
numba.set_num_threads(2)
most.clear()
pysrcnn.upscale(large, 3, "9-5-5")
print(one, max(most), numba.get_num_threads())
"""
    assert run(START + code, tmp_path) == "1 2 2"


# ------------------------------------------------------------------------- threads that help sleep


def losses(seed=0):
    """What a step of training gives, as bytes."""
    rng = np.random.default_rng(seed)
    low, high = rng.random((4, 1, 20, 20), np.float32), rng.random((4, 1, 16, 16), np.float32)
    loss, gradients = SRCNN(3, 8, 1, 8, 3, 1).loss_and_gradients(low, high)
    return repr(loss).encode() + b"".join(g.tobytes() for g in gradients.values())


@pytest.fixture
def team(monkeypatch):
    """A team of its own, that no other test has woken."""
    monkeypatch.setattr(threads, "_team", threads._Team())
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    yield threads._team
    threads._team.dismiss()


def test_nobody_waits_for_a_thread_that_does_not_come(team, monkeypatch):
    """As beside another program that keeps the processor."""
    want = losses()
    team.dismiss()
    asked = []

    class Absent:
        def __init__(self, board):
            asked.append(self)

        def wake(self):
            pass

    monkeypatch.setattr(threads, "_Helper", Absent)
    assert losses() == want and len(asked) == 2
    team.helpers.clear()


def test_threads_without_work_go_to_sleep(team):
    losses()
    assert len(team.helpers) == 2
    began = time.process_time()
    while any(helper.awake for helper in team.helpers):
        time.sleep(0.01)
        assert time.process_time() - began < 5  # of the processor, which those awake would take
    assert losses() == losses()  # and are woken again


def test_threads_end_before_a_fork_and_are_there_again(team):
    want = losses()
    before = list(team.helpers)
    team.dismiss()
    assert not team.helpers and not any(helper.is_alive() for helper in before)
    assert losses() == want and len(team.helpers) == 2


def test_whoever_finds_the_team_at_work_works_alone(team):
    want = losses()
    with team.taken:
        assert losses() == want
    assert losses() == want


def test_ctrl_c_waits_for_tasks_that_have_begun(monkeypatch):
    board, slept = np.zeros(threads.SIZE, np.int64), []
    board[threads.GATE] = 1

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            board[threads.GATE] = 0
        raise KeyboardInterrupt

    monkeypatch.setattr(threads.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        threads._wait(board)
    assert len(slept) == 3


def test_a_kernel_without_memory_is_an_error():
    board = np.zeros(threads.SIZE, np.int64)
    board[threads.FAILED] = 1
    with pytest.raises(MemoryError, match="intermediate results"):
        threads._wait(board)
    threads._wait(board)  # once


# ---------------------------------------------------------------------------- one thread for BLAS


@pytest.fixture
def blas_threads():
    """Tells how many threads OpenBLAS uses: three, in this test."""
    functions = blas._functions()
    if functions is None:
        pytest.skip("NumPy has another BLAS")
    tell, put = functions
    usual = tell()
    put(3)
    yield tell
    put(usual)


def test_blas_has_one_thread_and_then_as_many_as_before(blas_threads):
    usual = blas_threads()
    with pytest.raises(KeyError), kernels.one_blas_thread():
        with kernels.one_blas_thread():
            assert blas_threads() == 1
        assert blas_threads() == 1
        raise KeyError
    assert blas_threads() == usual


def test_blas_threads_come_back_after_the_last(blas_threads):
    """Where those who are within overlap."""
    usual = blas_threads()
    first, second = kernels.one_blas_thread(), kernels.one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert blas_threads() == 1
    second.__exit__(None, None, None)
    assert blas_threads() == usual


def test_training_holds_blas_to_one_thread(blas_threads, monkeypatch):
    seen, usual = [], blas_threads()
    step = optim.orthogonalised
    monkeypatch.setattr(
        optim, "orthogonalised", lambda *given: (seen.append(blas_threads()), step(*given))[1]
    )
    rng = np.random.default_rng(0)
    pictures = [(rng.random((1, 50, 50), np.float32),) * 2]
    recipe = Recipe(steps=1, batch=2, filters=(8, 8), optimizer="muon")
    for _ in Training(recipe, pictures).run():
        assert blas_threads() == usual
    assert set(seen) == {1}
