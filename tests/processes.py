"""Python in a process of its own, for what cannot be undone in that of the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pysrcnn

PACKAGE = Path(pysrcnn.__file__).resolve().parent


def python(code, *options, cwd=None, package=PACKAGE, **environment):
    """Run a piece of code, which finds this package and the helpers of the tests: its output."""
    path = [package.parent, Path(__file__).parent, os.environ.get("PYTHONPATH")]
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(x) for x in path if x), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_cached(code, folder, package=PACKAGE, **environment):
    """The same in a folder, with a cache of Numba of its own there unless another is named."""
    environment = {"NUMBA_CACHE_DIR": str(folder / "cache"), **environment}
    return python(code, cwd=folder, package=package, **environment).strip()
