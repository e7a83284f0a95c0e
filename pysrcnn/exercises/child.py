"""Runs files of students: `python child.py FOLDER FIRST SECONDS WAIT`, in a process of its own.

FOLDER holds tasks.json, a list of {"file": path, "calls": [{"function": name, "arguments":
value}]}, and inputs.npz. From the task of number FIRST on, each leaves an N.npz there, of arrays
alone and "about", a text of JSON: {"error": ...} or {"results": [...], "printed": text}. A file
that takes more than SECONDS of processor time, or WAIT by the clock, ends the process, and hang.txt
says where it was.

Values are {"array": name in the .npz}, {"tuple": [values]}, {"dict": {name: value}}, {"value":
number or text} or {"other": type}. The process runs this file and not the package, so it starts in
a moment; nothing but numbers and text comes back, whatever the files do.
"""

import contextlib
import copy
import faulthandler
import importlib.util
import io
import json
import os
import signal
import sys
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

__all__: list[str] = []

_MEMORY = 8 << 30  # addresses, most of which nothing is ever put into
_VALUES = 1 << 22  # of all arrays that are returned
_LONGEST = 200  # characters of what is printed, or of an error


class _Printed(io.TextIOBase):
    """In place of standard output: keeps the beginning."""

    text = ""

    def write(self, text: str) -> int:
        """Take it, or as much of it as there is room for."""
        self.text += text[: _LONGEST - len(self.text)]
        return len(text)


def _task(task: dict, inputs: dict) -> tuple[dict, dict]:
    """What came of a file, and the arrays that it returned."""
    path, arrays = task["file"], dict[str, np.ndarray]()
    try:
        spec: Any = importlib.util.spec_from_file_location(f"student_{Path(path).stem}", path)
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except BaseException as error:
        return {"error": _told(error, path)}, {}
    results = []
    for call in task["calls"]:
        function = getattr(module, call["function"], None)
        results.append(_call(function, call, inputs, arrays, path))
    return {"results": results}, arrays


def _call(function: Any, call: dict, inputs: dict, arrays: dict, path: str) -> dict:
    if not callable(function):
        return {"missing": True}
    given = _decoded(call["arguments"], inputs)
    before = copy.deepcopy(given)
    try:
        first = copy.deepcopy(function(*given))  # its second call may write to it
        changed = [k for k, pair in enumerate(zip(given, before, strict=True)) if not _same(*pair)]
        again = _same(first, function(*copy.deepcopy(before)))
        return {"returned": _encoded(first, arrays), "changed": changed, "again": again}
    except NotImplementedError:
        return {"hole": True}
    except BaseException as error:
        return {"error": _told(error, path)}


def _same(a: Any, b: Any) -> bool:
    """Whether two values hold the same, to the bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _told(error: BaseException, path: str) -> dict:
    """An error, and the last line of the file that it came through."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines.append(error.lineno)
    text = str(error.msg if isinstance(error, SyntaxError) else error)[:_LONGEST]
    module = getattr(error, "name", None) if isinstance(error, ImportError) else None
    return {"type": type(error).__name__, "text": text, "line": lines[-1] if lines else None,
            "module": module}  # fmt: skip


def _encoded(value: Any, arrays: dict) -> dict:
    if isinstance(value, dict):
        return {"dict": {str(name): _encoded(v, arrays) for name, v in value.items()}}
    if isinstance(value, (tuple, list)):
        return {"tuple": [_encoded(v, arrays) for v in value]}
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        return {"other": type(value).__name__}
    if array.size + sum(a.size for a in arrays.values()) > _VALUES:
        return {"other": f"array of {array.size:,} values"}
    name = f"a{len(arrays)}"
    arrays[name] = array
    return {"array": name}


def _decoded(value: dict, inputs: dict) -> Any:
    (kind,) = value
    if kind == "array":
        return inputs[value["array"]].copy()
    if kind == "tuple":
        return tuple(_decoded(v, inputs) for v in value["tuple"])
    if kind == "dict":
        return {name: _decoded(v, inputs) for name, v in value["dict"].items()}
    return value["value"]


def _limit() -> None:
    """Take no more memory than `_MEMORY`, where the system can be told so."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


@contextlib.contextmanager
def _limited(seconds: float, wait: float, hang: TextIO) -> Iterator[None]:
    """End the process if the block takes so much processor time, or so long; `hang` gets where.

    The processor has other things to do, so the clock alone would be unfair; and what waits takes
    no processor time. Windows has no such timer.
    """
    faulthandler.dump_traceback_later(wait, exit=True, file=hang)
    if hasattr(signal, "setitimer"):
        faulthandler.register(signal.SIGPROF, file=hang, chain=True)  # whose default is to end it
        signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()


def _main(folder: Path, first: int, seconds: float, wait: float) -> None:
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    inputs = {}
    with zipfile.ZipFile(folder / "inputs.npz") as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
            inputs[name.removesuffix(".npy")] = array
    sys.modules["pysrcnn"] = None  # type: ignore[assignment]  # the answers are to be their own
    hang = open(folder / "hang.txt", "w", encoding="utf-8")
    for k, task in enumerate(tasks[first:], first):
        printed = _Printed()
        sys.path.append(os.path.dirname(task["file"]))  # behind all else: what lies beside it
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            _limited(seconds, wait, hang),
        ):
            about, arrays = _task(task, inputs)
        sys.path.pop()
        about["printed"] = printed.text
        values: dict[str, Any] = {"about": np.array(json.dumps(about)), **arrays}
        np.savez(folder / "unfinished.npz", **values)
        os.replace(folder / "unfinished.npz", folder / f"{k}.npz")
    os._exit(0)  # whatever threads the files have started


if __name__ == "__main__":
    _limit()
    with np.errstate(all="ignore"):
        _main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
