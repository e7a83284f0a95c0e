"""Run students' files in a separate process: `python child.py FOLDER FIRST SECONDS WAIT`.

FOLDER holds inputs.npz and tasks.json, a list of {"file": path, "calls": [{"function": name,
"arguments": value}]}. Each task k from FIRST on writes k.npz there: the returned arrays, and
"about", a JSON text with "printed" and either "error" or "results". A file that takes more than
SECONDS of processor time, or more than WAIT seconds of wall-clock time, ends the process, and
hang.txt says where it was.

Values are {"array": name in the .npz}, {"tuple": [values]}, {"dict": {name: value}}, {"value":
number or text} or {"other": type}. The process runs this file without importing the package, so it
starts quickly; it returns only numbers and text, whatever the files do.
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
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

__all__: list[str] = []

_MEMORY = 8 << 30  # bytes of address space, most of it never touched
_VALUES = 1 << 22  # values in all the arrays that one file returns
_LONGEST = 200  # characters kept of printed text or of an error message


class _Printed(io.TextIOBase):
    """A replacement for standard output that keeps only the first characters."""

    text = ""

    def write(self, text: str) -> int:
        """Keep as much of the text as there is room for."""
        self.text += text[: _LONGEST - len(self.text)]
        return len(text)


def _task(task: dict, inputs: dict) -> tuple[dict, dict]:
    """Run one file; return its result or error, and the arrays its functions returned."""
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
        first = _encoded(function(*given), arrays)
        changed = [k for k, pair in enumerate(zip(given, before, strict=True)) if not _same(*pair)]
        again = _same(_decoded(first, arrays), function(*copy.deepcopy(before)))
        return {"returned": first, "changed": changed, "again": again}
    except NotImplementedError as error:
        return {"hole": _told(error, path)["line"]}
    except BaseException as error:
        return {"error": _told(error, path)}


def _same(a: Any, b: Any) -> bool:
    """Whether two values are equal bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _told(error: BaseException, path: str) -> dict:
    """Describe an error, with the last line of the student's file in its traceback."""
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
    array = np.array(value)  # a copy: the second call may write to what the first returned
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
    return value[kind]


def _limit() -> None:
    """Limit the address space to `_MEMORY`, where the system supports it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


@contextlib.contextmanager
def _limited(seconds: float, wait: float, hang: TextIO) -> Iterator[None]:
    """End the process if the block exceeds either time limit, writing a traceback to `hang`.

    A limit on wall-clock time alone would be unfair on a busy machine, and a limit on processor
    time alone would not stop a file that only waits. Windows has no timer of processor time.
    """
    faulthandler.dump_traceback_later(wait, exit=True, file=hang)
    if hasattr(signal, "setitimer"):
        faulthandler.register(signal.SIGPROF, file=hang, chain=True)  # then end, SIGPROF's default
        signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()


def _main(folder: Path, first: int, seconds: float, wait: float) -> None:
    folder = folder.resolve()  # files may change the working directory
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    inputs = {}
    with zipfile.ZipFile(folder / "inputs.npz") as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
            inputs[name.removesuffix(".npy")] = array
    sys.modules["pysrcnn"] = None  # type: ignore[assignment]  # students may not import the answers
    hang = open(folder / "hang.txt", "w", encoding="utf-8")
    found = [*sys.path]
    for k, task in enumerate(tasks[first:], first):
        printed = _Printed()
        os.chdir(folder)
        # The student's folder comes last, so files in it shadow nothing.
        sys.path = [*found, os.path.dirname(task["file"])]
        with (
            warnings.catch_warnings(),  # so that what one file sets does not last
            np.errstate(all="ignore"),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            _limited(seconds, wait, hang),
        ):
            about, arrays = _task(task, inputs)
        about["printed"] = printed.text
        values: dict[str, Any] = {"about": np.array(json.dumps(about)), **arrays}
        np.savez(folder / "unfinished.npz", **values)
        os.replace(folder / "unfinished.npz", folder / f"{k}.npz")
    os._exit(0)  # even if the files have started threads


if __name__ == "__main__":
    _limit()
    _main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
