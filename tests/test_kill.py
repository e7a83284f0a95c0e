"""Whatever ends a process, and whenever: each file it writes is the old one or the new one, whole.

A process that has imported everything forks a child for each trial, so that a trial takes as long
as the writing that it interrupts.
"""

import contextlib
import gc
import io
import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numba.np.ufunc.parallel
import numpy as np
import pytest
from processes import environment, process

from pysrcnn import SRCNN, _files, _signals
from pysrcnn._files import written_whole
from pysrcnn._signals import ENDS, ended_in_order
from pysrcnn.batch import enlarge
from pysrcnn.cli import main
from pysrcnn.networks import load
from pysrcnn.pictures import PictureFile, list_pictures, write_picture, write_picture_file
from pysrcnn.training import Recipe, Training, log

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")


# --------------------------------------------------------- what is written, in one of two versions


def picture_of(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def network_of(seed):
    """Of some size, so that writing it takes a while."""
    network = SRCNN(9, 64, 5, 32, 5, init="identity", seed=seed)
    network.scale = 2
    return network


def prepare():
    """What the functions below read, in the current folder."""
    small = SRCNN(3, 4, 1, 4, 3, init="identity")
    small.scale = 2
    small.save("small.npz")
    for seed in (0, 1):
        write_picture(f"{seed}.png", picture_of(seed, 120, 150, 3))
        write_picture(f"{seed}.tif", picture_of(seed, 150, 160, 3))
        frames = [picture_of(seed + k, 40, 50, 3) for k in range(3)]
        write_picture_file(f"{seed}.gif", PictureFile(frames, durations=[50, 60, 70]))
        network_of(seed).save(f"{seed}.npz")
        SRCNN(3, 2, 1, 2, 3, seed=seed).save(f"few{seed}.npz")
        (Path(f"pictures{seed}")).mkdir()
        write_picture(f"pictures{seed}/a.png", picture_of(seed, 40, 40, 3))
        (Path(f"many{seed}")).mkdir()
        for k in range(4):
            write_picture(f"many{seed}/out{k}.png", picture_of(seed + 2 * k, 90, 100, 3))


def upscale(name, out, *more):
    options = ["-s", "2", "-m", "small.npz", "-o", out, "--overwrite"]
    return main(["upscale", name, *options, *more])


def by_bands(seed):
    usual, enlarge.BANDED = enlarge.BANDED, 0
    try:
        return upscale(f"{seed}.tif", "bands.tif")
    finally:
        enlarge.BANDED = usual


def folder(seed):
    return upscale(f"many{seed}", ".", "--suffix", "")


def convert(suffix):
    return lambda seed: main(["convert", f"{seed}.npz", f"weights{suffix}", "--overwrite"])


def table(seed):
    folder = f"pictures{seed}"
    return main(["evaluate", folder, "-s", "2", "-m", "small.npz", "--json", "table.json"])


def train(seed):
    """What a run writes, without its steps."""
    pair = (np.zeros((1, 50, 50), np.float32), np.full((1, 50, 50), 0.5, np.float32))
    training = Training(Recipe(sizes=(9, 5, 5), steps=1, seed=seed), [pair], scale=2)
    head = {"recipe": training.recipe.as_dict()}
    line = {"step": 1, "samples": 2, "loss": seed, "psnr": 30.0}
    log.write_log(Path("run.log"), head, [line])
    log.append(Path("run.log"), line | {"step": 2})
    training.save("run.checkpoint")
    training.result().save("run.npz")


def plot(seed):
    return main(["show", "filters", "-m", f"few{seed}.npz", "-s", "2", "-o", "plot.png"])


WRITERS = {
    "png": lambda seed: upscale(f"{seed}.png", "out.png"),
    "folder": folder,
    "jpeg": lambda seed: upscale(f"{seed}.png", "out.jpg"),
    "tiff": lambda seed: upscale(f"{seed}.tif", "out.tif"),
    "gif": lambda seed: upscale(f"{seed}.gif", "out.gif"),
    "webp": lambda seed: upscale(f"{seed}.gif", "out.webp"),
    "page": lambda seed: upscale(f"{seed}.png", "page.png", "--compare"),
    "npz": convert(".npz"),
    "mat": convert(".mat"),
    "safetensors": convert(".safetensors"),
    "json": table,
    "train": train,
}
with contextlib.suppress(ImportError):
    import tifffile  # noqa: F401

    WRITERS["bands"] = by_bands
with contextlib.suppress(ImportError):
    import onnx  # noqa: F401

    WRITERS["onnx"] = convert(".onnx")
with contextlib.suppress(ImportError):
    import matplotlib

    matplotlib.use("agg")
    WRITERS["plot"] = plot


RESULTS = ("out", "bands", "page", "weights", "table", "run", "plot")


def read(path):
    """What is in a file, less the time at which it was written; raises if it is broken."""
    content = path.read_bytes()
    if path.suffix in (".npz", ".checkpoint"):
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name].tobytes() for name in file.files}
    if path.suffix == ".mat":
        return load(path, 2).parameters["W1"].tobytes(), content[128:]
    if path.suffix == ".html":
        return re.sub(rb"\d+\.\d\d s", b"", content)
    if path.suffix == ".log":
        head, lines = log.read_log(path)
        return json.dumps(head), lines[0]  # to which others are added, line by line
    return content


# ------------------------------------------------------------------------------------ the processes

HIDDEN = ".*"


class Forks:
    """A process without threads in which everything was done once; `start` forks it."""

    def __init__(self, folder):
        one = {f"{name}_NUM_THREADS": "1" for name in ("NUMBA", "OPENBLAS", "OMP", "MKL")}
        one["NUMBA_THREADING_LAYER"] = "omp"  # TBB, where it is there, has a thread all the same
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import test_kill; test_kill.serve()"], cwd=folder,
            env=environment(**one), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.folder = folder
        assert self._answer() == "ready"

    def _answer(self):
        answer = self.process.stdout.readline().strip()
        assert answer, "the process that forks has ended"
        return answer

    def start(self, **order):
        """A child, which does what `child` says: its process id, and seconds that a round takes."""
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        pid, seconds = self._answer().split()
        return int(pid), float(seconds)

    def wait(self, again=lambda: None):
        """The exit code of the child; every ten seconds without one, `again` is called."""
        while not select.select([self.process.stdout], [], [], 10)[0]:
            again()
        return int(self._answer())


def serve():
    """Do as `Forks` says: a line of JSON on standard input is a child, its end a line out."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    prepare()
    for seed in (0, 1):
        for name, write in WRITERS.items():
            write(seed)
            for path in Path().glob("*.*"):
                if path.stem.rstrip("0123456789") in RESULTS:
                    Path(f"new{seed}", name).mkdir(parents=True, exist_ok=True)
                    path.rename(Path(f"new{seed}", name, path.name))
    assert len(os.listdir("/proc/self/task")) == 1
    gc.freeze()  # or each child would begin with a copy of all
    print("ready", file=answers)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = child(answers, **json.loads(line))
            except SystemExit as end:
                code = end.code
            except KeyboardInterrupt:
                code = 130
            except OSError as error:
                print(f"OSError: {error}", file=sys.stderr)
            finally:
                for thread in threading.enumerate():  # as a process does that ends in order
                    if thread is not threading.current_thread():
                        with contextlib.suppress(RuntimeError):  # it has not begun
                            thread.join()
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers)


def link_inputs(folder):
    """What is written from, in a folder of a child's own."""
    for given in os.listdir():
        if not (folder / given).exists() and not given.startswith("new"):
            os.symlink(Path.cwd() / given, folder / given)


def child(answers, folder, name, most=None, bare=False, said=None, command=False):
    """Write one version after the other for ever, in files of at most `most` bytes."""
    _signals.IS_COMMAND = command
    for number in ENDS if command else ():  # whatever the tests were started by
        signal.signal(number, signal.default_int_handler)
    # All children would share a lock of Numba's, and one that is killed while it has it keeps it.
    numba.np.ufunc.parallel._set_init_process_lock()
    link_inputs(Path(folder))
    os.chdir(folder)
    if bare:  # as if there were no `written_whole`
        for module in [m for n, m in sys.modules.items() if n.startswith("pysrcnn")]:
            if hasattr(module, "written_whole"):
                module.written_whole = contextlib.nullcontext
    if said:
        os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY), 2)
    if most:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (most, -1))
        print(os.getpid(), 0, file=answers)
        return WRITERS[name](0)
    for k in itertools.count():
        began = time.perf_counter()
        for seed in (0, 1):
            code = WRITERS[name](seed)
            if code:
                return code
        if k == 0:  # both versions have been there, and more are to come
            print(os.getpid(), time.perf_counter() - began, file=answers)


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.process.stdin.close()
    assert forks.process.wait(20) == 0
    forks.process.stdout.close()


def versions(forks, name):
    return [
        {path.name: read(path) for path in (forks.folder / f"new{seed}" / name).iterdir()}
        for seed in (0, 1)
    ]


def broken(folder, old, new):
    """The files there that are neither the one nor the other."""
    found = []
    for name in old:
        path = folder / name
        try:
            if path.exists() and read(path) not in (old[name], new[name]):
                found.append(name)
        except Exception:
            found.append(name)
    return found


def interrupt(forks, folder, name, number, rng, **more):
    """Send a signal to a child at a random moment of the next round: its exit code."""
    pid, seconds = forks.start(folder=os.fspath(folder), name=name, **more)
    time.sleep(rng.uniform(0, seconds))
    os.kill(pid, number)
    # Python loses an exception that comes while an object is finalized: press Ctrl-C once more.
    return forks.wait(lambda: os.kill(pid, number))


# -------------------------------------------------------------------- killed, ended, out of room


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("trials", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_a_kill_leaves_the_old_file_or_the_new_one(forks, tmp_path, name, trials):
    old, new = versions(forks, name)
    assert old.keys() == new.keys() and all(old[n] != new[n] for n in old)
    rng = np.random.default_rng(list(name.encode()))
    for _ in range(trials):
        code = interrupt(forks, tmp_path, name, signal.SIGKILL, rng)
        assert code == -signal.SIGKILL
        assert broken(tmp_path, old, new) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["png", "npz", "gif"])
def test_the_kills_would_be_seen(forks, tmp_path, name):
    """Files that are written where they are to be are broken before long."""
    old, new = versions(forks, name)
    rng = np.random.default_rng(0)
    for _ in range(500):
        interrupt(forks, tmp_path, name, signal.SIGKILL, rng, bare=True)
        if broken(tmp_path, old, new):
            return
    pytest.fail("no file was broken")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["png", "page", "npz"])
@pytest.mark.parametrize("trials", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_an_end_in_order_leaves_no_temporary_file(forks, tmp_path, number, name, trials):
    old, new = versions(forks, name)
    rng = np.random.default_rng([number, *name.encode()])
    for _ in range(trials):
        code = interrupt(forks, tmp_path, name, number, rng)
        # Between two commands, which have ended by then, SIGTERM does what it usually does.
        assert code in (128 + number, -signal.SIGTERM)
        assert list(tmp_path.glob(HIDDEN)) == [] and broken(tmp_path, old, new) == []


def send_burst(pid, rng):
    for number in rng.choice(ENDS, rng.integers(1, 5)):
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(pid, number)
        time.sleep(rng.choice([0, rng.uniform(0, 0.02)]))


def burst(forks, folder, name, rng):
    """Send up to four signals to a command, at a random moment of its next round: its exit code."""
    pid, seconds = forks.start(folder=os.fspath(folder), name=name, command=True)
    time.sleep(rng.uniform(0, seconds))
    send_burst(pid, rng)
    return forks.wait(lambda: os.kill(pid, signal.SIGINT))


COMMANDS = [n for n in ("folder", "bands", "gif", "webp", "page", "npz", "plot") if n in WRITERS]
ENDED = {128 + number for number in ENDS}


@pytest.mark.parametrize("trials", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_a_burst_of_signals_leaves_no_temporary_file(forks, tmp_path, trials):
    rng = np.random.default_rng(trials)
    for k in range(trials):
        name = COMMANDS[k % len(COMMANDS)]
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        assert burst(forks, place, name, rng) in ENDED
        assert list(place.glob(HIDDEN)) == [] and broken(place, *versions(forks, name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("trials", [30])
def test_a_burst_of_signals_in_a_training_leaves_a_checkpoint(tmp_path, trials):
    """In processes of their own, as OpenMP, which training uses, is not to be forked."""
    rng = np.random.default_rng(trials)
    (tmp_path / "pictures").mkdir()
    write_picture(tmp_path / "pictures" / "a.png", picture_of(0, 40, 40, 3))
    sizes = "--network 3-1-3 --filters 9-8 --size 15 --batch 4 --steps 1000000 --every 3"
    command = ["-m", "pysrcnn", "train", "pictures", "-s", "2", "-o", "run.npz", *sizes.split()]
    done = 0
    for k in range(trials):
        with subprocess.Popen(
            [sys.executable, *command, *(["--resume"] if k else [])], cwd=tmp_path,
            env=environment(), stdout=subprocess.PIPE, text=True,
            start_new_session=True,  # or a shell that runs the tests may end with it
        ) as training:  # fmt: skip
            next(line for line in training.stdout if line.startswith("step "))
            time.sleep(rng.uniform(0, 0.3))
            send_burst(training.pid, rng)
            training.communicate()
            assert training.returncode in ENDED
        assert list(tmp_path.glob(HIDDEN)) == [] and not (tmp_path / "run.npz").exists()
        with np.load(tmp_path / "run.checkpoint") as file:
            now = json.loads(str(file["state"]))["step"]
        assert now > done and log.read_log(tmp_path / "run.log")
        done = now


@pytest.mark.parametrize("ends", list(itertools.permutations(ENDS)))
def test_what_follows_a_signal_at_once_changes_nothing(tmp_path, ends):
    def many(*arguments, usual=Path.unlink, **options):
        for number in ends:
            signal.raise_signal(number)
        usual(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", many)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as end, ended_in_order():
            with written_whole(tmp_path / "a.txt"):
                signal.raise_signal(ends[0])
    code = 130 if end.type is KeyboardInterrupt else end.value.code
    assert code == 128 + ends[0] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ENDS)
def test_cleaning_up_is_not_cut_short_either(tmp_path, number):
    """By a signal that is the first, where something else is wrong."""

    def interrupted(*arguments, usual=Path.unlink, **options):
        signal.raise_signal(number)
        usual(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", interrupted)
        with pytest.raises((KeyboardInterrupt, SystemExit)), ended_in_order():
            with written_whole(tmp_path / "a.txt"):
                raise ValueError
    assert list(tmp_path.iterdir()) == [] and not _files.unfinished


@pytest.mark.parametrize("patience, pauses", [(60, (0, 0, 0.1)), (0.2, (0, 0))])
def test_a_command_that_lost_a_signal_ends(tmp_path, patience, pauses):
    """As Python does, where one comes while an object is finalized: by a later one, or by time."""
    code = f"""
import os, signal, time
from pysrcnn import _files, _signals
os.chdir({os.fspath(tmp_path)!r})
os.mkdir("folder")
open("folder/file", "x")
_signals.unfinished.add("folder")
_signals.AT_ONCE, _signals.PATIENCE = 0.05, {patience}
_signals.IS_COMMAND = True
with _signals.ended_in_order(), _files.written_whole("a.txt"):
    for pause in {pauses}:
        time.sleep(pause)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            print("lost")
    time.sleep(30)
    print("not reached")
"""
    done = process("-uc", code)
    assert (done.returncode, done.stdout) == (130, "lost\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ENDS)
def test_an_end_is_an_end_whatever_error_is_made_of_it(number):
    """As Numba does, which calls Python from C while it compiles: "no compiled object yet"."""
    with pytest.raises((KeyboardInterrupt, SystemExit)) as end, ended_in_order():
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            signal.raise_signal(number)
        raise RuntimeError("no compiled object yet")
    assert end.type is KeyboardInterrupt or end.value.code == 128 + number
    with pytest.raises(RuntimeError, match="of its own"), ended_in_order():
        raise RuntimeError("of its own")


def test_an_end_that_python_loses_is_not_printed(capsys):
    """Of finalizers and of what C calls, Python prints a traceback, unless it is told not to."""

    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    class Broken:
        def __del__(self):
            raise ValueError("of its own")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
        with ended_in_order():
            Finalized()
            assert capsys.readouterr().err == ""
            Broken()
        assert "of its own" in capsys.readouterr().err
        assert sys.unraisablehook is sys.__unraisablehook__


def test_ignored_signals_stay_ignored_and_usual_handlers_come_back():
    """nohup has SIGHUP ignored, and shells Ctrl-C for what runs behind."""
    for number in ENDS:
        usual = signal.signal(number, signal.SIG_IGN)
        try:
            with ended_in_order():
                signal.raise_signal(number)
                assert signal.getsignal(number) is signal.SIG_IGN
        finally:
            signal.signal(number, usual)
        with ended_in_order():
            assert signal.getsignal(number) is not usual
        assert signal.getsignal(number) is usual


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # zipfile's
@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_end_is_an_end_whatever_zipfile_makes_of_it(tmp_path, monkeypatch, end):
    """Which cannot be closed in the middle of a file, and says that instead."""

    def interrupted(self, *arguments, usual=zipfile.ZipFile.open, **options):
        self.kept = usual(self, *arguments, **options)
        raise end

    monkeypatch.setattr(zipfile.ZipFile, "open", interrupted)
    with pytest.raises(end):
        network_of(0).save(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


OLD = b'<meta name="generator" content="pysrcnn">'  # in case it is to be a page


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "gif", "webp", "page", "npz", "bands"])
def test_no_room_leaves_the_old_file_and_one_sentence(forks, tmp_path, name):
    if name not in WRITERS:
        pytest.skip("what writes these is not installed")
    _, new = versions(forks, name)
    for file in new:
        (tmp_path / file).write_bytes(OLD)
    said = os.fspath(tmp_path / "said")
    forks.start(folder=os.fspath(tmp_path), name=name, most=1000, said=said)
    code, said = forks.wait(), Path(said).read_text().splitlines()
    assert code == 1
    reason = r"(File too large|.* requested and .* written)"
    words = rf"(pysrcnn|OSError): cannot write .* \({reason}\): make room on the disk or choose"
    assert len(said) == 1 and re.match(words, said[0]), said
    assert all((tmp_path / file).read_bytes() == OLD for file in new)
    assert list(tmp_path.glob(HIDDEN)) == []


def test_what_a_kill_left_is_no_picture(tmp_path):
    write_picture(tmp_path / "a.png", picture_of(0, 8, 8))
    (tmp_path / "below" / ".previews").mkdir(parents=True)
    for name in ("a.png", "below/b.png", "below/.previews/c.png"):
        write_picture(tmp_path / name, picture_of(0, 8, 8))
    with written_whole(tmp_path / "a_x3.png") as temporary:
        temporary.write_bytes((tmp_path / "a.png").read_bytes()[:50])
        assert temporary.parent == tmp_path
        assert list_pictures(tmp_path) == [tmp_path / "a.png"]
        both = list_pictures(tmp_path, recursive=True)
    assert both == [tmp_path / "a.png", tmp_path / "below" / "b.png"]
    hidden = tmp_path / "below" / ".previews"
    assert list_pictures(hidden) == [hidden / "c.png"]  # which was asked for
    (tmp_path / "below" / "b.png").unlink()
    with pytest.raises(ValueError) as error:
        list_pictures(tmp_path / "below")
    assert "there are some in folders below" not in str(error.value)
