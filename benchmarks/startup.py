"""How long until there is a picture? Whole processes: import, first run, later runs, PyTorch.

A first run starts with an empty folder for compiled code, a later one with a filled folder.
Processes are timed from outside, in turns. Python and its .pyc files are in the system's cache.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pysrcnn import imresize
from pysrcnn.pictures import read_picture, write_picture

from . import harness, networks
from .engines import installed

EXAMPLE = harness.ROOT / "examples" / "upscale.py"
SAMPLE = harness.ROOT / "examples" / "sample.png"
PYTORCH = harness.ROOT / "benchmarks" / "torch_upscale.py"
SCALE = 3
FIRST_RUNS = 5  # at most, since they take long and vary little
EDGE = 18  # pixels: bicubic resizers differ at the edge, and the network spreads the difference


class Job:
    """A command in a process of its own, with a folder for compiled code, emptied if `first`."""

    def __init__(self, command: list, cache: Path, threads: int, first: bool = False):
        self.command, self.cache, self.first = [sys.executable, *map(str, command)], cache, first
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(harness.ROOT),  # this checkout, whatever else is installed
            "NUMBA_CACHE_DIR": str(cache),
            "NUMBA_NUM_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
        }

    def seconds(self) -> float:
        """Run the command to its end and return the time."""
        if self.first:
            shutil.rmtree(self.cache, ignore_errors=True)
        self.cache.mkdir(exist_ok=True)
        began = time.perf_counter()
        done = subprocess.run(
            self.command,
            cwd=self.cache.parent,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        taken = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"{' '.join(self.command)} failed: {done.stderr.strip()}")
        return taken


def jobs_of_a_picture(path: Path, weights: Path, threads: int) -> dict[str, Job]:
    """Return the jobs for one picture: the example, first and later run; ours and PyTorch's 9-1-5.

    The example takes the default network, and 9-1-5 is the same work as PyTorch's script has.
    """
    height, width = read_picture(path).shape[:2]
    size = f"{width} x {height}"
    filled, empty = path.with_name("filled"), path.with_name("empty")
    example = [EXAMPLE, path, "-s", SCALE]
    ours = ["-m", "pysrcnn", "upscale", path, "-s", SCALE, "-m", weights, "-o", _ours(path)]
    jobs = {
        f"{size}, first run": Job(example, empty, threads, first=True),
        f"{size}, later run": Job(example, filled, threads),
        f"{size}, 9-1-5": Job(ours, filled, threads),
    }
    if "torch" in installed():
        theirs = [PYTORCH, path, _theirs(path), weights, SCALE]
        jobs[f"{size}, PyTorch"] = Job(theirs, filled, threads)
    return jobs


def _ours(path: Path) -> Path:
    return path.with_name(f"{path.stem}_9-1-5.png")


def _theirs(path: Path) -> Path:
    return path.with_name(f"{path.stem}_pytorch.png")


def validate(path: Path) -> int | None:
    """Return the largest difference from PyTorch's picture inside the edge, in 8-bit levels."""
    if not _theirs(path).exists():
        return None
    ours = np.int16(read_picture(_ours(path)))
    difference = np.abs(ours - read_picture(_theirs(path)))[EDGE:-EDGE, EDGE:-EDGE]
    if difference.max() > 2:  # one level may be rounding
        raise AssertionError(
            f"PyTorch's picture differs by {difference.max()} levels: another task"
        )
    return int(difference.max())


def main() -> None:
    options = harness.parse(__doc__.splitlines()[0], "startup")
    packages = ("torch",) if "torch" in installed() else ()
    about = harness.machine(options.threads, packages)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = networks.network("9-1-5", SCALE)
        network.scale = SCALE
        network.save(folder / "weights.npz")
        sample = read_picture(SAMPLE)
        pictures = {  # copies: the example writes beside the picture
            folder / "sample.png": sample,
            folder / "256.png": imresize(sample, shape=(256, 256)),
        }
        jobs = {}
        imports = ("numba", "pysrcnn", *packages)
        for what in ("pass", *(f"import {module}" for module in imports)):
            jobs[f"python -c '{what}'"] = Job(["-c", what], folder / "filled", options.threads)
        for path, picture in pictures.items():
            write_picture(path, picture)
            jobs |= jobs_of_a_picture(path, folder / "weights.npz", options.threads)

        for job in jobs.values():  # fills the cache, and the system's cache of files
            if not job.first:
                job.seconds()
        differences = {path.name: validate(path) for path in pictures}
        times = {name: [] for name in jobs}
        for turn in range(options.repeats):
            for name, job in jobs.items():
                if not job.first or turn < (1 if options.quick else FIRST_RUNS):
                    times[name].append(job.seconds())

    lines = [{"name": name, **harness.statistics(t)} for name, t in times.items()]
    print()
    harness.print_table(
        ("whole processes", "runs", "min s", "median", "spread"),
        [
            (
                line["name"],
                str(line["runs"]),
                *(f"{line[k]:.3f}" for k in ("minimum", "median", "spread")),
            )
            for line in lines
        ],
    )
    medians = {line["name"]: line["median"] for line in lines}
    for job, median in medians.items():
        size, _, what = job.partition(", ")
        if what == "PyTorch":
            ratio = median / medians[f"{size}, 9-1-5"]
            print(f"{size}: 9-1-5, compiled earlier, is {ratio:.2f} times as fast as PyTorch's")
    print(f"largest difference to PyTorch's picture, in levels of 255: {differences}")
    harness.write(options, machine=about, lines=lines, differences=differences)


if __name__ == "__main__":
    main()
