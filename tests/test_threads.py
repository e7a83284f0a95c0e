"""Enlarging from several threads and processes at once, forked and spawned, and in a web server.

Each case runs in a process of its own, as what it does to threads cannot be undone.
"""

import multiprocessing

import numba
import numpy as np
import pytest
from processes import environment, process, python
from rungs import compiled_only

from pysrcnn import kernels
from pysrcnn.kernels import blas, threads
from pysrcnn.training import Recipe, Training, optim

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
LAYERS = ["workqueue", "omp", "tbb"]
HOW = multiprocessing.get_all_start_methods()


def run(code, folder, **environment):
    """What a piece of code prints in a process there, compiled as the other tests have it."""
    return python(code, cwd=folder, **environment).strip()


def test_threads(tmp_path, layer):
    code = """
want = [work(k) for k in range(6)]
with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(work, range(48))) == want * 8)
"""
    assert run(START + code, tmp_path, NUMBA_THREADING_LAYER=layer) == "True"


def test_threads_that_outlive_the_main_one(tmp_path):
    code = """
import atexit, threading
want = [work(k) for k in range(2)]
say = lambda right: print(f"{right} ", end="")  # in one piece, whatever else is said
atexit.register(lambda: say(work(0) == want[0]))
for k in range(2):
    threading.Thread(target=lambda k=k: say(work(k) == want[k])).start()
"""
    assert run(START + code, tmp_path).split() == ["True"] * 3


@pytest.mark.slow
def test_several_threads_may_train_and_enlarge_at_once(tmp_path):
    """Numba's own threading layer, which is there where no other is, ends the process if they do
    not wait for each other."""
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
    assert run(code, tmp_path, NUMBA_THREADING_LAYER="workqueue") == "1"


@pytest.fixture(params=LAYERS, scope="module")
def layer(request, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp(request.param)
    code = """
from numba.np.ufunc import parallel
try:
    parallel._launch_threads()  # as what is compiled does first
    print("there")
except ValueError:
    print("missing")
"""
    if run(code, tmp_path, NUMBA_THREADING_LAYER=request.param) == "missing":
        pytest.skip(f"Numba has no {request.param} here")
    return request.param


# Only a forked process has anything of what the first one did before, and of its layer. Numba's own
# layer is everywhere.
STARTED = [
    pytest.param(layer, how, trained, marks=[] if quick else pytest.mark.slow)
    for layer in LAYERS
    for how in HOW
    for trained in (False, True)
    for quick in [how == "fork" or (layer == "workqueue" and not trained)]
]


@pytest.mark.parametrize("layer, how, trained", STARTED, indirect=["layer"])
def test_processes(tmp_path, layer, how, trained):
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
    done = process(script, cwd=tmp_path, env=environment(NUMBA_THREADING_LAYER=layer))
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.skipif("fork" not in HOW, reason="processes are not forked here")
def test_forked_processes_run_parallel_loops_or_say_why_not(tmp_path, layer):
    """GNU's OpenMP would end them, and a pool would start them again for ever."""
    code = """
from concurrent.futures import ProcessPoolExecutor
from pysrcnn.kernels import blas, compile, memory
network, x = pysrcnn.networks.EDSR(2, 1, 4), np.ones((1, 1, 9, 8), np.float32)
def enlarge(_):
    try:
        with blas.one_blas_thread():
            return network.forward(x).sum()
    except RuntimeError as error:
        return str(error)
want = enlarge(0)
inside = [compile._Loops.running, memory.pool.lock, blas._Inside.changing]
with ThreadPoolExecutor(1) as other:
    other.submit(lambda: [lock.acquire() for lock in inside]).result()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        got = pool.apply_async(enlarge, [0]).get(60)
    other.submit(lambda: [lock.release() for lock in inside]).result()
print(got == want or got)
"""
    said = run(START + code, tmp_path, NUMBA_THREADING_LAYER=layer)
    assert said == "True" or (layer == "omp" and "start processes by spawn or forkserver" in said)


def test_in_a_web_server(tmp_path):
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
def test_caps_on_threads_are_honoured_and_kept(tmp_path):
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
pysrcnn.upscale(large, 3, "9-1-5")
numba.set_num_threads(1)
most.clear()
pysrcnn.upscale(large, 3, "9-1-5")
one = max(most)
numba.set_num_threads(2)
most.clear()
pysrcnn.upscale(large, 3, "9-1-5")
print(one, max(most), numba.get_num_threads())
"""
    assert run(START + code, tmp_path) == "1 2 2"


# ------------------------------------------------------------------------ threads that wait, sleep

LOADED = """
import os
seen = []
import sys, importlib.abc
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "numba.np.ufunc.omppool":
            seen.append(os.environ.get("GOMP_SPINCOUNT"))
sys.meta_path.insert(0, Finder())
import pysrcnn
work = {
    "training": lambda: train(),
    "enlarging": lambda: pysrcnn.upscale(rng.random((90, 90), np.float32), 3),
}
import numpy as np
rng = np.random.default_rng(0)
def train():
    low, high = rng.random((4, 1, 20, 20), np.float32), rng.random((4, 1, 16, 16), np.float32)
    pysrcnn.SRCNN(3, 8, 1, 8, 3, 1).loss_and_gradients(low, high)
before = dict(os.environ)
assert not seen
"""


@pytest.mark.parametrize("work", ["training", "enlarging"])
def test_openmp_is_loaded_so_that_threads_that_wait_soon_sleep(tmp_path, work):
    """It reads how long from the environment, where nothing stays that was not there."""
    code = LOADED + f"work[{work!r}](); print(seen[:1], dict(os.environ) == before)"
    assert run(code, tmp_path) == f"['{threads.LOOKS}'] True"


@pytest.mark.parametrize("name, value", [("GOMP_SPINCOUNT", "77"), ("OMP_WAIT_POLICY", "active")])
def test_what_a_user_has_set_for_openmp_stays(tmp_path, name, value):
    code = LOADED + f"work['training'](); print(seen[:1], os.environ[{name!r}])"
    wanted = ["77"] if name == "GOMP_SPINCOUNT" else [None]
    assert run(code, tmp_path, **{name: value}) == f"{wanted} {value}"


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
