"""Folders of pictures on a cluster of Dask: the same files as by one process, whatever happens."""

import asyncio
import concurrent.futures
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from processes import environment

import pysrcnn
from pysrcnn import SRCNN
from pysrcnn._files import written_whole
from pysrcnn.batch import cluster
from pysrcnn.cli import main
from pysrcnn.networks import ESPCN
from pysrcnn.pictures import PictureFile, read_picture, write_picture, write_picture_file

distributed = pytest.importorskip("distributed")
cfexecutor = pytest.importorskip("distributed.cfexecutor")

ROOT = Path(pysrcnn.__file__).resolve().parents[1]


def picture_of(*shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: pictures of several kinds and a bad file in "in"; weights, "mine.npz"."""
    monkeypatch.chdir(tmp_path)
    Path("in/sub").mkdir(parents=True)
    network = SRCNN(3, 9, 1, 8, 3, init="identity")
    network.scale = 2
    network.save("mine.npz")
    write_picture("in/rgb.png", picture_of(40, 50, 3))
    write_picture("in/grey.jpg", picture_of(30, 20))
    write_picture("in/deep.tif", picture_of(21, 34, dtype=np.uint16))
    write_picture("in/sub/alpha.webp", picture_of(25, 25, 4))
    frames = [picture_of(16, 20, 3, seed=k) // 64 * 64 for k in range(3)]
    write_picture_file("in/sub/moving.gif", PictureFile(frames, durations=[100, 50, 40]))
    Path("in/bad.png").write_text("none")
    return tmp_path


def run(*arguments):
    return main(["upscale", *map(os.fspath, arguments)])


def said(capsys):
    out, err = capsys.readouterr()
    return out.splitlines(), [x for x in err.splitlines() if not x.startswith("compiling")]


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def without_seconds(lines):
    return sorted(re.sub(r"\d+\.\d\d s", "", line) for line in lines)


# ------------------------------------------------------------------- workers that are threads here


@pytest.fixture(scope="module")
def threads():
    """A scheduler and its workers, two threads of this process: its address."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=None
    ) as here:
        yield here.scheduler_address


def test_the_same_files_and_lines_as_without(threads, folder, capsys):
    options = ["-r", "-m", "mine.npz", "-s", "2", "--suffix=-big", "--format", "tif"]
    assert run(folder / "in", *options, "-o", folder / "one") == 2
    out, err = said(capsys)
    # Names are relative to the folder of the command, which is not that of the workers.
    assert run("in", *options, "-o", "many", "--cluster", threads) == 2
    there = said(capsys)
    assert contents("many") == contents("one") and len(contents("one")) == 5
    place = [os.fspath(folder / name) + os.sep for name in ("many", "one")]
    assert without_seconds(x.replace(*place) for x in there[0]) == without_seconds(out)
    assert sorted(x.replace(*place) for x in there[1]) == sorted(err)
    assert err[-1] == "5 enlarged, 1 failed"


def test_skip_and_compare(threads, folder, capsys):
    options = ["-m", "mine.npz", "-s", "2", "-o", "out", "--skip", "--cluster", threads]
    Path("in/bad.png").unlink()
    Path("out").mkdir()
    write_picture("out/grey_x2.png", picture_of(60, 40))
    before = Path("out/grey_x2.png").read_bytes()
    assert run("in", *options, "--compare") == 0
    assert sorted(map(str, contents("out"))) == [
        "deep_x2.html", "deep_x2.png", "grey_x2.png", "rgb_x2.html", "rgb_x2.png",
    ]  # fmt: skip
    assert Path("out/grey_x2.png").read_bytes() == before
    assert said(capsys)[1][-1] == "2 enlarged, 1 skipped"
    assert run("in", *options) == 0
    assert said(capsys) == ([], ["0 enlarged, 3 skipped"])


def test_a_full_disk_ends_it(threads, folder, capsys, monkeypatch):
    for k in range(20):
        write_picture(f"in/{k}.png", picture_of(9, 9))

    def full(path, file, quality, check):
        with written_whole(path):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pysrcnn.batch.enlarge.write_picture_file", full)
    assert run("in", "-o", "out", "-m", "mine.npz", "-s", "2", "--cluster", threads) == 2
    out, err = said(capsys)
    assert (out, err.pop(), contents("out")) == ([], "0 enlarged, 24 failed", {})
    undone = re.fullmatch(r"pysrcnn: (\d+) more not enlarged, as the disk is full", err.pop())
    assert len(err) + int(undone[1]) == 24 and len(err) <= 1 + 2 * cluster.AHEAD


def test_weights_travel(threads, folder, monkeypatch):
    """Neither a file nor shipped weights are read where the work is done."""
    networks = pysrcnn.upscaling.scales.Networks("9-1-5")
    sent = networks.__getstate__()
    monkeypatch.setattr(pysrcnn.upscaling.scales, "load", None)  # and nothing can be read any more
    there = object.__new__(pysrcnn.upscaling.scales.Networks)
    there.__dict__.update(sent)
    assert [there.at(scale).scale for scale in (2, 3, 4)] == [2, 3, 4]

    job = pysrcnn.batch.Job(Path("in/rgb.png"), Path("out.png"))
    size = pysrcnn.batch.Size(2)
    for network in (SRCNN(3, 4, 1, 4, 3), ESPCN(2, (3, 3), (4,))):
        networks = pysrcnn.upscaling.scales.Networks(network)
        assert pysrcnn.batch.enlarge_files([job], networks, size, cluster=threads) == (1, 0, 0)
        wanted = pysrcnn.upscale(read_picture("in/rgb.png"), 2, network)
        assert np.array_equal(read_picture("out.png"), wanted)


def test_calls_are_bounded_and_share_the_cores(threads):
    asked, at_once, now = [], [], set()

    def items():
        for k in range(30):
            asked.append(k)
            yield k

    def call(k, usual):
        now.add(k)
        at_once.append(len(now))
        time.sleep(0.005)
        now.discard(k)
        return pysrcnn.batch.cluster.numba.get_num_threads()

    usual = cluster.numba.config.NUMBA_DEFAULT_NUM_THREADS
    with cluster.connected(threads) as client:
        for done, (item, result) in enumerate(cluster.call_on(client, call, items(), usual)):
            assert item in asked and result() == max(1, usual // 2)
            assert len(asked) <= done + 1 + 2 * cluster.AHEAD
    assert len(asked) == 30


def test_a_scheduler_that_is_gone_is_said_once(threads, folder, capsys, monkeypatch):
    def gone():
        raise ConnectionError("the scheduler is gone")

    def calls(client, function, jobs, *shared):
        return ((job, gone) for job in jobs)

    monkeypatch.setattr(cluster, "call_on", calls)
    assert run("in", "-r", "-m", "mine.npz", "-o", "many", "--cluster", threads) == 1
    assert said(capsys) == ([], ["pysrcnn: the scheduler is gone"])


@pytest.mark.filterwarnings("ignore:Port")  # of a page of the second worker
def test_a_worker_is_asked_for_in_the_middle_too(monkeypatch, capsys):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp",
            dashboard_address=None, worker_dashboard_address=":0",
        ) as here,
        cluster.connected(here.scheduler_address) as client,
    ):  # fmt: skip
        monkeypatch.setattr(cluster, "PATIENCE", 0.1)
        calls = cluster.call_on(client, str, range(5))
        results = [next(calls)[1]()]
        here.sync(here.workers[0].close)
        threading.Timer(0.5, here.scale, [2]).start()  # of which the closed one is one
        results += [result() for _, result in calls]
        address = client.scheduler.address
    assert sorted(results) == ["0", "1", "2", "3", "4"]
    wanted = f"waiting for a worker: start one with `dask worker {address}`"
    assert said(capsys)[1] == [wanted]


def test_a_call_whose_result_is_lost_with_its_worker_is_made_again(threads, monkeypatch):
    """As Dask's executor has it then: the future is neither finished, nor cancelled, nor wrong."""

    class Lost:
        status = "lost"

        async def _result(self, raiseit):
            return ("lost",)

    with cluster.connected(threads) as client:
        executor, given = client.get_executor(pure=False), []

        class Losing:
            def submit(self, call, function, item, *rest):
                given.append(item)
                if item == 2 and given.count(2) < 3:
                    future = concurrent.futures.Future()
                    client.sync(cfexecutor._cascade_future, Lost(), future)
                    return future
                return executor.submit(call, function, item, *rest)

        monkeypatch.setattr(type(client), "get_executor", lambda self, **options: Losing())
        found = {item: result() for item, result in cluster.call_on(client, str, range(5))}
        assert found == {k: str(k) for k in range(5)} and given.count(2) == 3
        # An error of the call itself stands.
        calls = cluster.call_on(client, int, ["1", "a"])
        results = dict(calls)
        assert results["1"]() == 1
        with pytest.raises(ValueError, match="invalid literal"):
            results["a"]()


def test_within_a_running_loop(threads, folder):
    """As in a notebook."""

    async def enlarge():
        return run("in/rgb.png", "-m", "mine.npz", "-o", "out.png", "--cluster", threads)

    assert asyncio.run(enlarge()) == 0
    assert Path("out.png").exists()


@pytest.mark.parametrize("arguments, words", [
    (["in/rgb.png", "-o", "-"], "other standard input and output: give files instead of -"),
    (["-", "-o", "out.png"], "other standard input and output: give files instead of -"),
    (["in/rgb.png", "--threads", "1"], "leave it out with --cluster"),
    (["in/bad.png"], "bad.png is damaged or not a picture"),
])  # fmt: skip
def test_what_cannot_be_is_one_line(threads, folder, capsys, arguments, words):
    assert run(*arguments, "--cluster", threads) == 2
    out, err = said(capsys)
    assert out == [] and len(err) == 1 and words in err[0]


def test_an_address_of_nobody(folder, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert run("in/rgb.png", "--cluster", f"tcp://127.0.0.1:{port}") == 1
    assert run("in/rgb.png", "--cluster", f"127.0.0.1:{port}") == 1
    assert run("in/rgb.png", "--cluster", "nobody") == 2
    out, err = said(capsys)
    assert out == [] and len(err) == 3
    for line, address in zip(err, (f"tcp://127.0.0.1:{port}", f"127.0.0.1:{port}"), strict=False):
        assert line.startswith(f"pysrcnn: no scheduler answers at {address}: start one with")
    assert err[2].startswith("pysrcnn: 'nobody' is not the address of a scheduler (missing port")


def test_another_version_there(threads, folder, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    assert run("in/rgb.png", "--cluster", threads) == 2
    assert "here is 0.0.1: install the same one" in said(capsys)[1][0]


# ------------------------------------------------------------------------------ several processes


@pytest.fixture(scope="module")
def processes():
    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, memory_limit="1GiB"
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        yield client


def _threads_at_work(dask_worker):
    return len(dask_worker.active_threads)


def large_pictures(count):
    Path("large").mkdir()
    for k in range(count):
        write_picture(f"large/{k}.png", picture_of(500, 500 + k, 3, seed=k))


def after_the_first_result(act, folder="many"):
    """Call `act` in a thread, once there is a result."""

    def wait():
        while not list(Path(folder).glob("[!.]*.png")):
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def command(*arguments):
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pysrcnn", "upscale", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment(),
    )  # fmt: skip


@pytest.mark.slow
def test_three_processes_write_the_same_files(processes, folder, capsys):
    address = processes.scheduler.address
    for options in (
        ["--compare"],
        ["-m", "9-5-5", "--suffix=-5"],
        ["--width", "150", "-m", "9-3-5"],
    ):
        assert run("in", "-r", *options, "-o", "one") == 2
        assert run("in", "-r", *options, "-o", "many", "--cluster", address) == 2
        assert said(capsys)[1][-1] == "5 enlarged, 1 failed"
    one, many = contents("one"), contents("many")
    assert one.keys() == many.keys() and len(one) == 20
    assert all(many[name] == one[name] for name in one if name.suffix != ".html")


@pytest.mark.slow
def test_a_killed_worker_is_survived(processes, folder, capsys):
    large_pictures(12)
    pids = processes.run(os.getpid)
    killer = after_the_first_result(lambda: os.kill(list(pids.values())[0], signal.SIGKILL))
    address = processes.scheduler.address
    assert run("large", "-o", "many", "--cluster", address) == 0
    killer.join()
    out, err = said(capsys)
    assert len(out) == 12 and err == ["12 enlarged"]
    assert set(processes.run(os.getpid).values()) != set(pids.values())
    assert run("large", "-o", "one") == 0
    many = {n: x for n, x in contents("many").items() if not n.name.startswith(".")}
    assert many == contents("one")


@pytest.mark.slow
def test_a_picture_that_kills_every_worker(processes, folder, capsys):
    with cluster.connected(processes.scheduler.address) as client:
        ((item, result),) = cluster.call_on(client, os._exit, [1])
        with pytest.raises(ChildProcessError, match="4 workers died of it: is their memory"):
            result()


@pytest.mark.slow
def test_ctrl_c_leaves_the_rest_undone(processes, folder):
    large_pictures(12)
    with command("large", "-o", "many", "--cluster", processes.scheduler.address) as process:
        after_the_first_result(lambda: process.send_signal(signal.SIGINT)).join()
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "pysrcnn: interrupted\n")
    while any(processes.run(_threads_at_work).values()):  # what had begun is written whole
        time.sleep(0.1)
    assert len(contents("many")) <= 1 + 2 * 3
    assert not any(name.name.startswith(".") for name in contents("many"))


@pytest.mark.slow
def test_a_scheduler_that_goes_away(folder):
    large_pictures(12)
    code = """
import distributed, time
if __name__ == "__main__":
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False,
                                  protocol="tcp", dashboard_address=None) as here:
        print(here.scheduler_address, flush=True)
        time.sleep(100)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, encoding="utf-8", env=environment(),
    ) as there:  # fmt: skip
        address = there.stdout.readline().strip()
        with command("large", "-o", "many", "--cluster", address) as process:
            after_the_first_result(there.kill).join()
            out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("pysrcnn: the scheduler is gone: start") and err.count("\n") == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pictures(folder, capsys):
    resource = pytest.importorskip("resource")

    def peaks():
        return [x.ru_maxrss * 1024 for x in client.run(resource.getrusage, 0).values()]

    Path("few").mkdir()
    Path("more").mkdir()
    large = picture_of(1200, 1400, 3)
    for k in range(24):
        write_picture(f"few/{k}.bmp" if k < 4 else f"more/{k}.bmp", np.roll(large, k))
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        peak = []
        for name in ("few", "more"):
            options = ["-o", "out", "--format", "bmp", "--cluster", local.scheduler_address]
            assert run(name, *options) == 0
            peak.append(max(peaks()))
    result = large.nbytes * 9
    assert peak[1] < peak[0] + result  # and not 10 of them
