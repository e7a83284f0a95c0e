"""Run students' files in a separate process and collect what their functions return.

This executes code that others wrote, with the rights of the user who runs the check. A file cannot
hang or crash the check, nor print into it, but nothing else is forbidden. Only arrays and text come
back, and reading them executes nothing.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..formats import read_arrays

__all__ = ["Other", "Outcome", "Ran", "run_files"]

_CHILD = Path(__file__).with_name("child.py")
_START = 600.0  # seconds for Python and NumPy to start, even on a very busy machine
_LOST = "it cannot be run, as a file before it removed or locked the folder of the check"
_WAITS = 10  # wall-clock limit as a multiple of processor time: the machine may be shared


class Other(NamedTuple):
    """The type of a returned value that is neither a number nor an array."""

    type: str


class Outcome(NamedTuple):
    """The outcome of a call: what was returned, or a sentence on why it failed.

    hole: whether the function is not written yet; line: where it says so. changed: indices of the
    arguments it changed in place. again: whether a second call returned the same.
    """

    failed: str = ""
    hole: bool = False
    line: int | None = None
    returned: Any = None
    changed: tuple[int, ...] = ()
    again: bool = True


class Ran(NamedTuple):
    """The outcome of a file: one for each call, or a sentence on why it failed."""

    failed: str
    outcomes: list[Outcome]
    printed: str = ""


def run_files(tasks: Sequence[tuple[Path, Sequence[tuple]]], seconds: float) -> list[Ran]:
    """Run each file and call its functions, starting a new process after one that ended early.

    Parameters
    ----------
    tasks : sequence of (file, calls)
        Each call is (function name, arguments); arguments are numbers, arrays, or tuples or dicts
        of these.
    seconds : float
        Processor time one file may take with all its calls; wall-clock time may be ten times that.

    Returns
    -------
    ran : list of Ran
        One for each file.
    """
    ran: list[Ran] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder, inputs = Path(place), dict[str, np.ndarray]()
        listed: list[dict[str, Any]] = [{"file": os.fspath(path.resolve()), "calls": [
            {"function": name, "arguments": _encoded(tuple(given), inputs)} for name, given in calls
        ]} for path, calls in tasks]  # fmt: skip
        (folder / "tasks.json").write_text(json.dumps(listed), encoding="utf-8")
        values: dict[str, Any] = dict(inputs)
        np.savez(folder / "inputs.npz", **values)
        while len(ran) < len(tasks):
            try:
                code = _start(folder, len(ran), seconds, len(tasks) - len(ran))
            except OSError:
                ran += [Ran(_LOST, [])] * (len(tasks) - len(ran))
                break
            while len(ran) < len(tasks) and os.path.exists(folder / f"{len(ran)}.npz"):
                ran.append(_read(folder / f"{len(ran)}.npz", len(tasks[len(ran)][1])))
            if len(ran) < len(tasks):
                ran.append(Ran(_ended(folder, listed[len(ran)]["file"], code, seconds), []))
    return ran


def _start(folder: Path, first: int, seconds: float, number: int) -> int | None:
    """Run `number` tasks from `first` on; return the exit code, or None after a timeout."""
    limits = seconds, _WAITS * seconds
    # The child finds the same NumPy as here; -P keeps it from importing from its own folder.
    found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    try:
        return subprocess.run(
            [sys.executable, "-P", "-B", os.fspath(_CHILD), ".", *map(str, (first, *limits))],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_START + _WAITS * seconds * number,
            env={**os.environ, **found},
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def _ended(folder: Path, file: str, code: int | None, seconds: float) -> str:
    """Say why a file left no result."""
    text = ""
    with contextlib.suppress(OSError, UnicodeError):
        text = (folder / "hang.txt").read_text(encoding="utf-8")
    if text or code is None:
        line = re.search(re.escape(file) + r'", line (\d+)', text)
        where = f", and was at line {line[1]}" if line else ""
        if text and not text.startswith("Timeout"):
            return (
                f"it took longer than {seconds:g} s of processor time{where}: is there a loop that "
                "never ends, or one over every pixel that NumPy could do at once?"
            )
        return (
            f"it was not done after {_WAITS * seconds:g} s{where}: does it wait for something, or "
            "is there a loop that never ends?"
        )
    if code < 0:
        return (
            f"it crashed Python (signal {-code}): does it read or write outside an array, as "
            "np.lib.stride_tricks.as_strided with wrong strides does, or need much memory?"
        )
    return f"it ended Python itself (exit code {code}): leave out os._exit and the like"


def _read(path: Path, number: int) -> Ran:
    """Read the outcome of a file on which `number` calls were made."""
    try:
        arrays = read_arrays(path)
        about = json.loads(str(arrays["about"]))
        if "error" in about:
            return Ran(_told(about["error"]), [], str(about["printed"]))
        outcomes = [_outcome(about["results"][k], arrays) for k in range(number)]
        return Ran("", outcomes, str(about["printed"]))
    # Tampered with by the file, or nested too deeply for JSON.
    except (ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError):
        return Ran("what it returned cannot be read: give arrays of numbers", [])


def _outcome(result: dict, arrays: dict[str, np.ndarray]) -> Outcome:
    if "missing" in result:
        return Outcome(failed="there is no such function: give it this name")
    if "hole" in result:
        return Outcome(hole=True, line=result["hole"])
    if "error" in result:
        return Outcome(failed=_told(result["error"]))
    returned = _decoded(result["returned"], arrays)
    changed = tuple(result["changed"])
    return Outcome(returned=returned, changed=changed, again=result["again"])


def _told(error: dict) -> str:
    """Describe an exception as a sentence."""
    where = f"line {error['line']} " if error["line"] else "it "
    if error["type"] == "SystemExit":
        return f"{where}ends the program (sys.exit or quit): return the result instead"
    if (error["module"] or "").split(".")[0] == "pysrcnn":
        return f"{where}imports pysrcnn: write it with NumPy alone"
    text = f": {error['text'].strip()}" if error["text"] else ""
    return f"{where}raises {error['type']}{text}"


def _encoded(value: Any, inputs: dict[str, np.ndarray]) -> dict:
    if isinstance(value, np.ndarray):
        name = f"a{len(inputs)}"
        inputs[name] = value
        return {"array": name}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(v, inputs) for v in value]}
    if isinstance(value, dict):
        return {"dict": {name: _encoded(v, inputs) for name, v in value.items()}}
    return {"value": value}


def _decoded(value: dict, arrays: dict[str, np.ndarray]) -> Any:
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "tuple":
        return tuple(_decoded(v, arrays) for v in content)
    if kind == "dict":
        return {name: _decoded(v, arrays) for name, v in content.items()}
    return Other(content)
