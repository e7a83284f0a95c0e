"""Python in a process of its own, for what cannot be undone in that of the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pysrcnn

PACKAGE = Path(pysrcnn.__file__).resolve().parent


def environment(*first, package=PACKAGE, **more):
    """That of a process which finds modules in the folders `first`, this package, and helpers.

    It is the package under test, whose compiled code is on disk, wherever that was installed.
    """
    path = [*first, package.parent, Path(__file__).parent, os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(os.fspath(x) for x in path if x), **more}


def process(*arguments, first=(), **more):
    """Run Python with these arguments; what it printed and its exit code."""
    return subprocess.run(
        [sys.executable, *map(os.fspath, arguments)],
        **{
            "env": environment(*first), "encoding": "utf-8", "timeout": 900,
            "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        } | more,
    )  # fmt: skip


def python(code, *options, cwd=None, package=PACKAGE, **more):
    """Run a piece of code with more in its environment: its output."""
    done = process(*options, "-c", code, cwd=cwd, env=environment(package=package, **more))
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_cached(code, folder, package=PACKAGE, **more):
    """The same in a folder, with a cache of Numba of its own there unless another is named."""
    more = {"NUMBA_CACHE_DIR": str(folder / "cache"), **more}
    return python(code, cwd=folder, package=package, **more).strip()
