"""Damaged files, many: whatever is in a file, the command ends well or says in a sentence why not.

Each of `--count` files (`mutations.py` makes them) goes through ``pysrcnn upscale`` or ``pysrcnn
convert``, in one of `--workers` processes whose memory and time are limited. Allowed is exit code 0
with a result that can be read, or 2 with one sentence that names the file, and nothing written.
Faults are a crash, a hang, memory taken, a traceback, any other output, and files left over.

    python -m tests.fuzz                 20,000 files, some minutes on two cores
    python -m tests.fuzz --case 1234     that one alone, which is kept to be looked at

The files are the same for the same seed, as long as Pillow and the other libraries are.
"""

import argparse
import contextlib
import dataclasses
import faulthandler
import functools
import itertools
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import samples
from mutations import KINDS, PICTURES, Case, available, case_of, kind_of, whole_cases

from pysrcnn import load
from pysrcnn.cli import main as pysrcnn_main
from pysrcnn.formats import write_weights
from pysrcnn.pictures import read_picture_file

SMALL = 1 << 18  # pixels of a result that is read again
COMPILING = "compiling for this processor, once for each network: 5 to 30 seconds ...\n"
START = 600  # seconds for a worker to start, which compiles if need be
BEFORE = b"what was there before"
Command = Callable[[list[str]], int]


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the command may take for a file."""

    seconds: float = 20  # of computing; an empty picture of 4500 x 4500 takes up to 8
    patience: float = 60  # seconds, in which other processes may be running, until it is ended
    memory: int = 1 << 30  # bytes at the peak
    room: int = 1536 << 20  # bytes of addresses, beyond which the system gives none


@dataclasses.dataclass
class Result:
    """What came of a file; `fault` is empty if all is well."""

    number: int
    code: int | None = None
    fault: str = ""
    seconds: float = 0.0
    memory: int = 0
    printed: str = ""


# --------------------------------------------------------------------------------------- one file


def arguments_of(case: Case, folder: Path) -> list[str]:
    """The command for a file, which is written into the folder; half the results exist before."""
    path = folder / f"{case.kind}{case.suffix}"
    path.write_bytes(case.content)
    if case.kind in PICTURES:
        kinds = [".png", case.suffix, case.suffix, ".tif", ".webp", ".jpg", ".gif"]
        out = folder / f"out{case.rng.choice(kinds)}"
        network = str(folder / "network.npz")
        arguments = ["upscale", str(path), "-s", "2", "-m", network, "-o", str(out)]
        arguments += ["--threads", "1", "--overwrite"]
    else:
        kinds = [".npz", ".npz", ".mat", ".safetensors"] + [".onnx"] * available("onnx")
        kinds = [".npz"] if case.kind == "sc-npz" else kinds
        out = folder / f"out{case.rng.choice(kinds)}"
        arguments = ["convert", str(path), str(out), "-s", "3", "--overwrite"]
    if case.rng.random() < 0.5:
        out.write_bytes(BEFORE)
    return arguments


def outcome(command: Command, arguments: list[str], texts: tuple[Path, Path]) -> tuple:
    """(exit code, standard output, standard error), of libraries in C too, or (None, traceback)."""
    sys.stdout.flush(), sys.stderr.flush()
    for stream in (1, 2):
        os.ftruncate(stream, 0), os.lseek(stream, 0, os.SEEK_SET)
    trace = ""
    try:
        with warnings.catch_warnings():  # so that each is shown again
            code = command(arguments)
    except BaseException:
        code, trace = None, traceback.format_exc()
    sys.stdout.flush(), sys.stderr.flush()
    out, error = (path.read_bytes().decode("utf-8", "backslashreplace") for path in texts)
    return code, out, error + trace


def verdict(case: Case, arguments: list[str], code: int | None, out: str, error: str) -> str:
    """What is wrong with this outcome; "" for nothing."""
    source = Path(arguments[1])
    target = Path(arguments[2] if arguments[0] == "convert" else arguments[7])
    error = error.replace(COMPILING, "")  # some shapes have code of their own
    there = {p.name for p in source.parent.iterdir()} - {"network.npz", source.name}
    if any(Path(tempfile.gettempdir()).iterdir()):
        return "a temporary file is left"
    if source.read_bytes() != case.content:
        return "the file itself was changed"
    if "Traceback" in error:
        return "a traceback"
    if code == 0:
        if there != {target.name}:
            return f"the folder holds {sorted(there)}, wanted the result alone"
        lines = error.splitlines()
        if not all(line.startswith((f"{source}: ", f"{target} is ")) for line in lines):
            return "standard error holds something else than notes about the file"
        return _incomplete(target, out)
    if code != 2:
        return f"the exit code is {code}"
    if there - {target.name}:
        return f"files are left: {sorted(there)}"
    if there and target.read_bytes() != BEFORE:
        return "it failed, and the result that was there before is not as it was"
    return not_a_sentence(error, source, target) or (
        "it failed and printed a result" if out else ""
    )


def not_a_sentence(error: str, source: Path, target: Path) -> str:
    """Why this is no single sentence about the file or the result; "" if it is one."""
    if error.count("\n") != 1 or not error.endswith("\n"):
        return "the error is not one line"
    if not error.startswith("pysrcnn: ") or not error[:-1].isprintable():
        return "the error does not begin with the name of the command, or is not printable"
    named = [path for path in (source, target) if str(path) in error]
    if not named:
        return "the error does not name the file"
    rest = error.replace(str(named[0]), "")
    if len(rest) > 400 or len(re.findall(r"[a-z]{2,}", rest)) < 4:
        return "the error is no sentence"
    return ""


def _incomplete(target: Path, out: str) -> str:
    """What is wrong with a result, which is said to be there."""
    if not out.startswith(f"{target}: ") or out.count("\n") != 1:
        return "standard output is not one line about the result"
    try:
        if target.suffix in (".npz", ".mat", ".safetensors", ".onnx"):
            load(target, 3)
            return ""
        width, height = map(int, re.search(r": (\d+) x (\d+) pixels", out).groups())
        if width * height <= SMALL:
            shape = read_picture_file(target).frames[0].shape
        else:
            with samples.Image.open(target) as picture:  # all of it would take a while
                shape = picture.height, picture.width
        return "" if shape[:2] == (height, width) else f"the result has the shape {shape}"
    except Exception as error:
        return f"the result cannot be read: {error}"


# ------------------------------------------------------------------------------------- the workers


def _status(name: str) -> int:
    """Bytes, from what Linux says of this process; 0 elsewhere."""
    try:
        text = Path("/proc/self/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024
    except OSError:
        return 0


def _forget_peak() -> None:
    """So that VmHWM, the most memory so far, counts from now on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _limit_memory(room: int) -> None:
    size = _status("VmSize")
    if size:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size + room, size + room))


def prepared(folder: Path) -> Path:
    """An empty folder in this one, with a small network; temporary files go beside it."""
    place = folder / "files"
    place.mkdir()
    (folder / "temporary").mkdir()
    tempfile.tempdir = str(folder / "temporary")
    parameters = samples.parameters_of((3, 1, 3), (2, 2), 1)
    write_weights(place / "network.npz", parameters, {"scale": 2})
    return place


def empty(place: Path) -> None:
    """Remove what a case has left."""
    for path in [*place.iterdir(), *Path(tempfile.gettempdir()).iterdir()]:
        if path.name != "network.npz":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def do(
    case: Case, place: Path, command: Command, texts: tuple[Path, Path], limits: Limits
) -> Result:
    """Run the command on a file."""
    arguments = arguments_of(case, place)
    _forget_peak()
    before, began = _status("VmRSS"), time.process_time()
    code, out, error = outcome(command, arguments, texts)
    seconds, memory = time.process_time() - began, _status("VmHWM") - before
    fault = verdict(case, arguments, code, out, error)
    if memory > limits.memory:
        fault = fault or f"it used {memory >> 20} MiB"
    if seconds > limits.seconds:
        fault = fault or f"it computed for {seconds:.1f} s"
    return Result(case.number, code, fault, seconds, memory, error or out)


def work(
    folder: Path, seed: int, command: Command, limits: Limits, without: list[str], connection
) -> None:
    """A worker: numbers come in and results go out."""
    sys.modules.update(dict.fromkeys(without))  # so that importing them fails
    texts = folder / "out.txt", folder / "error.txt"
    for stream, path in zip((1, 2), texts, strict=True):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), stream)
    faulthandler.enable(open(folder / "crash.txt", "w"))
    place, start = prepared(folder), Limits(seconds=START)
    for kind in filter(available, KINDS):  # so that all is compiled and imported
        for case in whole_cases(kind):
            result = do(case, place, pysrcnn_main, texts, start)
            if result.fault or (result.code and "has no transparency" not in result.printed):
                raise RuntimeError(f"{kind} {case.number}, which is whole: {result}")
            empty(place)
    _limit_memory(limits.room)
    connection.send("ready")
    for number in iter(connection.recv, None):
        connection.send(do(case_of(seed, number), place, command, texts, limits))
        empty(place)


class Worker:
    """A process, and the number of the file that it is at."""

    def __init__(self, folder: Path, *arguments):
        context = multiprocessing.get_context("spawn")
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.connection, there = context.Pipe()
        self.process = context.Process(
            target=work, args=(self.folder, *arguments, there), daemon=True
        )
        self.process.start()
        there.close()
        self.number, self.until = None, time.monotonic() + START

    def give(self, number: int | None, seconds: float) -> None:
        """The next file; None: there are no more."""
        self.number, self.until = number, time.monotonic() + seconds
        self.connection.send(number)

    def end(self) -> str:
        """Kill it, if it is alive; its exit code and last words."""
        self.process.kill()
        self.process.join()
        words = f"exit code {self.process.exitcode}"
        for name in ("crash.txt", "error.txt"):
            path = self.folder / name
            if path.exists() and path.read_text(errors="replace").strip():
                words += ", " + path.read_text(errors="replace").strip().splitlines()[-1]
        return words


def run(
    numbers: Iterable[int],
    seed: int = 0,
    workers: int = 2,
    command: Command = pysrcnn_main,
    limits: Limits = Limits(),
    without: Iterable[str] = (),
) -> Iterator[Result]:
    """The results of these files as they come, not in their order.

    A worker that dies or is late is replaced, and that is the result of the file it was at.
    """
    todo = iter(numbers)
    with tempfile.TemporaryDirectory() as folder:
        new = functools.partial(Worker, Path(folder), seed, command, limits, list(without))
        team = [new() for _ in range(workers)]
        try:
            while team:
                now = time.monotonic()
                until = min(worker.until for worker in team)
                ready = wait([worker.connection for worker in team], max(0.0, until - now))
                for worker in list(team):
                    late = time.monotonic() > worker.until and worker.connection not in ready
                    if worker.connection not in ready and not late:
                        continue
                    message = None
                    with contextlib.suppress(EOFError, ConnectionError):
                        message = worker.connection.recv() if not late else None
                    if message is None:
                        if worker.number is None:
                            raise RuntimeError(f"a worker did not start: {worker.end()}")
                        what = (
                            f"no end within {limits.patience:g} s" if late else "the process died"
                        )
                        yield Result(worker.number, fault=f"{what}: {worker.end()}")
                        team[team.index(worker)] = new()
                        continue
                    if isinstance(message, Result):
                        yield message
                    number = next(todo, None)
                    worker.give(number, limits.patience)
                    if number is None:
                        team.remove(worker)
                        worker.process.join()
        finally:
            for worker in team:
                worker.end()


# --------------------------------------------------------------------------------------- the report

_ROW = "{:<13}{:>7}{:>9}{:>9}{:>8}{:>12}{:>12}"


def table(results: list[Result]) -> str:
    """A row for each kind of file, and one for all."""
    by_kind = defaultdict(list)
    for result in results:
        by_kind[kind_of(result.number)].append(result)
    rows = [_ROW.format("", "files", "done", "refused", "faults", "slowest", "most memory")]
    for kind in [*(kind for kind in KINDS if kind in by_kind), "all"]:
        some = results if kind == "all" else by_kind[kind]
        faults = sum(bool(r.fault) for r in some)
        done = sum(r.code == 0 for r in some if not r.fault)
        slowest = max((r.seconds for r in some), default=0)
        memory = max((r.memory for r in some), default=0)
        rows.append(
            _ROW.format(
                kind, len(some), done, len(some) - done - faults, faults,
                f"{slowest:.2f} s", f"{memory >> 20} MiB",
            )
        )  # fmt: skip
    return "\n".join(rows)


def _show(seed: int, result: Result) -> None:
    case = case_of(seed, result.number)
    print(f"--case {case.number} --seed {seed}: {case.kind}, {'; '.join(case.changes)}")
    print(f"  fault: {result.fault or 'none'}; exit code {result.code}, {result.seconds:.2f} s")
    for line in result.printed[-3000:].splitlines():
        print(f"  | {line}")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run it: 0 if there were no faults, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--count", type=int, default=20_000, help="files (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: 0)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="(default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--case", type=int, help="the number of a file, to run that one alone")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="LIBRARY", help="as if these were not installed"
    )
    options = parser.parse_args(arguments)
    sys.modules.update(dict.fromkeys(options.without))
    kinds = [kind for kind in options.only or KINDS if available(kind)]
    if not kinds:
        parser.error(f"what makes files of {', '.join(options.only)} is not installed")
    if options.case is not None:
        numbers = [options.case]
    else:
        found = (number for number in itertools.count() if kind_of(number) in kinds)
        numbers = itertools.islice(found, options.count)
    results, began = [], time.perf_counter()
    workers = min(options.workers, options.count if options.case is None else 1)
    for result in run(numbers, options.seed, workers, without=options.without):
        results.append(result)
        if result.fault or options.case is not None:
            _show(options.seed, result)
        if len(results) % 2000 == 0:
            print(f"{len(results)} files", flush=True)
    if options.case is not None:
        case = case_of(options.seed, options.case)
        place = Path(tempfile.mkdtemp(prefix="fuzz-"), f"{case.kind}{case.suffix}")
        place.write_bytes(case.content)
        print(f"  the file: {place}")
    else:
        print(table(results))
        print(f"{time.perf_counter() - began:.0f} s by {workers} workers, seed {options.seed}")
        left_out = [kind for kind in KINDS if not available(kind)]
        if left_out:
            print(f"left out, as what makes them is not installed: {', '.join(left_out)}")
    return 1 if any(result.fault for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
