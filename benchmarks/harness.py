"""Shared parts of all benchmarks: the machine, validation, timing in turns, tables, JSON.

Nothing is timed before it is validated. The first contender of a table is ours; ratios are median
times relative to ours.
"""

import argparse
import contextlib
import gc
import importlib.metadata
import inspect
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np

from pysrcnn import kernels
from pysrcnn._files import check_place, write_json

from .limit import multiply_add_limit

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"

# Seconds of a turn. The first ones are not timed: threads of the previous engine, which may spin
# for a while waiting for more work, fall asleep, and its data leaves the caches.
SETTLE, TURN = 0.03, 0.12


@dataclass(frozen=True)
class Contender:
    """One line of a table.

    Attributes
    ----------
    name : name in the table
    run : function to time
    check : function that returns the arrays to compare with the expected ones; by default `run`
    tolerance : largest allowed difference, as a fraction of the largest expected value
    rival : whether the summary below the table may compare ours with it
    """

    name: str
    run: Callable
    check: Callable | None = None
    tolerance: float = 0.0
    rival: bool = True


# ------------------------------------------------------------------------------------ the command


def parse(
    description: str,
    name: str,
    networks: tuple[str, ...] = (),
    add: Callable[[argparse.ArgumentParser], None] | None = None,
    **defaults,
) -> argparse.Namespace:
    """Parse the options that all benchmarks have; `defaults` replaces the usual defaults.

    networks: the networks to choose from with --networks. add: function that adds more options.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    most = numba.config.NUMBA_NUM_THREADS
    parser.add_argument("--threads", type=int, default=most, help=f"(default: {most}, all)")
    parser.add_argument("--repeats", type=int, help="at least so many runs (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, help="and at least so long, each (default: %(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small and short: shows that all runs, not how fast"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE",
        help=f"JSON (default: benchmarks/results/{name}.json; with --quick none)",
    )  # fmt: skip
    if networks:
        parser.add_argument(
            "--networks", nargs="+", choices=networks, default=networks, metavar="NAME",
            help=f"some of {', '.join(networks)}",
        )  # fmt: skip
    if add:
        add(parser)
    parser.set_defaults(**{"repeats": 15, "seconds": 2.0, **defaults})
    options = parser.parse_args()
    if not 1 <= options.threads <= most:
        parser.error(f"--threads {options.threads}: this machine has 1 to {most}")
    if options.quick:
        options.repeats, options.seconds = 3, 0.1
    elif options.output is None:
        RESULTS.mkdir(exist_ok=True)
        options.output = RESULTS / f"{name}.json"
    if options.output:
        try:
            check_place(options.output)  # now, not after all the work
        except (ValueError, OSError) as error:
            parser.error(f"--output: {error}")
    numba.set_num_threads(options.threads)
    return options


def write(options: argparse.Namespace, **content) -> None:
    """Write the results as JSON, completely or not at all."""
    if options.output is None:
        return
    settings = {k: _named(v) for k, v in vars(options).items() if k != "output"}
    write_json(options.output, {"options": settings, **content})
    inside = options.output.is_relative_to(ROOT)
    print(f"\n{options.output.relative_to(ROOT) if inside else options.output}")


def measured(path: Path) -> dict:
    """Read results that `write` wrote, to make a page of them.

    Raises
    ------
    ValueError
        If they are from a quick run.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["options"]["quick"]:
        command = f"python -m benchmarks.{path.stem}"
        raise ValueError(f"{path.name} is of a quick run: run {command} in full")
    return content


def _named(value: object) -> object:
    """Replace paths by their names, since folders of a machine are private."""
    if isinstance(value, (list, tuple)):
        return [_named(v) for v in value]
    return value.name if isinstance(value, Path) else value


# ------------------------------------------------------------------------------------ the machine


def machine(threads: int, packages: tuple[str, ...] = ()) -> dict:
    """Return and print what the figures depend on: hardware, versions, threads, load."""
    about = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "vectors": f"{kernels.VECTORS}, {kernels.VECTOR_BYTES * 8} bits",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for package in ("numpy", "numba", "llvmlite", *packages):
        about[package] = importlib.metadata.version(package)
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        if name in os.environ:
            about[name] = os.environ[name]
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):  # not a clone, or no git
        about["commit"] = subprocess.check_output(git, text=True, stderr=subprocess.DEVNULL).strip()
    if hasattr(os, "getloadavg"):
        about["load before"] = round(os.getloadavg()[0], 2)
    print("\n".join(f"{name:<16} {value}" for name, value in about.items()))
    if about.get("load before", 0) > 0.5:
        print("The machine was busy just before: if other programs run, do not trust the times.")
    return about


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor()
    return f"{name} ({numba.core.config.CPU_NAME or _llvm_name()})"


def _llvm_name() -> str:
    import llvmlite.binding

    return llvmlite.binding.get_host_cpu_name()


# ------------------------------------------------------------------------- validation and timing


def rounding(eps: float, terms: int) -> float:
    """Return ten times the expected error of a sum, whose roundings add up like a random walk."""
    return 10 * eps * math.sqrt(terms)


def compare(
    title: str,
    contenders: list[Contender],
    expected: list[np.ndarray],
    operations: float,
    options: argparse.Namespace,
) -> dict:
    """Validate, time in turns, and print a table.

    `operations` is the number of additions and multiplications of a run.

    Raises
    ------
    AssertionError
        If a contender's results differ from `expected` by more than its tolerance.
    """
    print(f"\n{title}: {operations / 1e9:.2f} GFLOP by the direct sum", flush=True)
    errors = {c.name: _error(c, expected) for c in contenders}
    limit = multiply_add_limit(options.threads)
    times = take_turns({c.name: c.run for c in contenders}, options.repeats, options.seconds)
    limit = max(limit, multiply_add_limit(options.threads))
    ours = float(np.median(times[contenders[0].name]))
    lines = []
    for c in contenders:
        line = {"name": c.name, "error": errors[c.name], **statistics(times[c.name])}
        line["ratio"] = line["median"] / ours
        line["gflops"] = operations / line["median"] / 1e9
        line["of limit"] = line["gflops"] / limit
        lines.append(line)
    print_table(
        ("", "min ms", "median", "spread", "ratio", "GFLOP/s", "of limit", "error"),
        [
            (
                line["name"],
                *(f"{1e3 * line[k]:.2f}" for k in ("minimum", "median", "spread")),
                f"{line['ratio']:.2f}",
                f"{line['gflops']:.0f}",
                f"{line['of limit']:.0%}",
                f"{line['error']:.0e}",
            )
            for line in lines
        ],
    )
    print(f"limit of multiply-adds in registers: {limit:.0f} GFLOP/s")
    result = {"title": title, "operations": operations, "limit gflops": limit, "lines": lines}
    rivals = [line for c, line in zip(contenders, lines, strict=True) if c.rival][1:]
    if rivals:
        best = min(rivals, key=lambda line: line["median"])
        print(f"{contenders[0].name}: {best['ratio']:.2f} times as fast as {best['name']}")
        result["fastest rival"] = {"name": best["name"], "ratio": best["ratio"]}
    return result


def _error(contender: Contender, expected: list[np.ndarray]) -> float:
    """Return the largest difference relative to the largest value, the worst of all arrays.

    The contender runs twice: some engines optimise at the first call, and all are warm afterwards.
    """
    check = contender.check or contender.run
    errors = []
    for _ in range(2):
        results = check()
        results = results if isinstance(results, list) else [results]
        for got, want in zip(results, expected, strict=True):
            if got.shape != want.shape:
                raise AssertionError(f"{contender.name}: {got.shape} instead of {want.shape}")
            errors.append(np.abs(got - want).max() / np.abs(want).max())
    worst = float(np.max(errors))  # NaN if one of them is; Python's `max` would lose it
    if not worst <= contender.tolerance:  # NaN fails, too
        raise AssertionError(
            f"{contender.name} is off by {worst:.1e} of the largest value, "
            f"{contender.tolerance:.1e} is allowed: it computes something else"
        )
    return worst


def take_turns(runs: dict[str, Callable], repeats: int, seconds: float) -> dict[str, list[float]]:
    """Time the runs in turns, so that all see the same state of the machine; return seconds."""
    times = {name: [] for name in runs}
    gc.collect()
    gc.disable()  # as timeit does: a collection would be charged to one of the runs
    try:
        while any(len(t) < repeats or sum(t) < seconds for t in times.values()):
            for name, run in runs.items():
                _keep_running(run, SETTLE)
                times[name] += _keep_running(run, TURN)
    finally:
        gc.enable()
    return times


def _keep_running(run: Callable, seconds: float) -> list[float]:
    """Run at least once, and until `seconds` have passed; return the seconds of each run."""
    times = []
    while not times or sum(times) < seconds:
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return times


# ---------------------------------------------------------------------------------------- results


def in_a_process(measure: Callable[..., dict], *arguments: str | float) -> dict:
    """Return the result of a benchmark's function, called in a fresh process."""
    # On Linux, a process's peak memory starts at what its parent held. This parent computes
    # nothing, so it holds less than the child does at its first measurement.
    # Not `measure.__module__`, which is "__main__" in a running benchmark.
    module = Path(inspect.getfile(measure)).stem
    code = (
        f"import json; from benchmarks.{module} import {measure.__name__} as measure; "
        f"print(json.dumps(measure(*{arguments!r})))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def statistics(times: list[float]) -> dict:
    """Return number of runs, and minimum, median and spread (interquartile range) in seconds."""
    low, median, high = np.percentile(times, (25, 50, 75))
    return {
        "runs": len(times),
        "minimum": min(times),
        "median": float(median),
        "spread": float(high - low),
    }


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Format a table with columns as wide as needed, all but the first right-aligned."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print `table`."""
    print(table(header, rows))
