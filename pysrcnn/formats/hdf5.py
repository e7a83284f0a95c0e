"""Reading Keras' HDF5 files by h5py in a child process: `python hdf5.py MOST GROUP ... < file`.

A file with a few changed bytes can make the HDF5 library hang or crash, and Python with it (seen
with 2 of 3,000 such files). So h5py runs in a child process with limits on time and memory, which
returns a zip archive of plain arrays, as NumPy writes it. The child runs this file alone, not the
package, so it starts in a moment. It is started as a program, not by `multiprocessing`, which would
run the user's own script once more.
"""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

__all__ = ["SECONDS", "answer"]

SECONDS = 30  # an intact file takes a moment
_MEMORY = 8 << 30  # bytes of addresses, most of which are never used
_MOST, _DEEPEST = 2000, 20  # groups, arrays and attributes; groups in groups
_LONGEST = 1 << 20  # bytes of an attribute
_FILTERS = {1, 2, 3}  # gzip, shuffle, checksum: h5py has no other that Keras could write


def answer(content: bytes, but: tuple[str, ...], most: int) -> bytes | None:
    """Return the content of an HDF5 file as the bytes of an .npz file; None if it cannot be read.

    The array "json" has the text of {"groups": {path: {attribute: text or texts}}, "shapes":
    {path: shape}, "refused": {path: why}}; the arrays 0, 1, ... are those of "shapes" in order.
    Refused ones are empty, and so are those of two axes, which no convolution has, and in which
    classifiers have hundreds of millions of values. All are missing if they are too large together.

    Parameters
    ----------
    content : bytes
    but : tuple of str
        Groups at the root whose arrays are skipped.
    most : int
        Largest number of values in all arrays together.

    Raises
    ------
    ModuleNotFoundError
        If h5py is not installed.
    """
    if importlib.util.find_spec("h5py") is None:
        raise ModuleNotFoundError(
            'Keras files need the package h5py: pip install ".[convert]" in the clone of pysrcnn',
            name="h5py",
        )
    # The child finds the same packages as this process, and none beside this file (-P).
    found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", __file__, str(most), *but],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            env={**os.environ, **found},
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


# ------------------------------------------------------------------------------ the child's part


def _read(content: bytes, most: int, but: tuple[str, ...]) -> bytes:
    import h5py

    groups: dict[str, dict] = {}
    shapes: dict[str, tuple] = {}
    refused: dict[str, str] = {}
    arrays: list[Any] = []
    seen = set()

    def walk(group: Any, path: str, depth: int) -> None:
        address = h5py.h5o.get_info(group.id).addr
        if address in seen or depth > _DEEPEST:
            raise ValueError("a group in itself, or deep inside others")
        seen.add(address)
        groups[path] = dict(_attributes(group))
        if len(groups) + len(shapes) > _MOST or len(group) > _MOST:
            raise ValueError("far more than layers")
        for name in group:
            # Links by name, or to another file, may lead anywhere.
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            inside, item = f"{path}/{name}".strip("/"), group[name]
            if isinstance(item, h5py.Group):
                walk(item, inside, depth + 1)
            elif isinstance(item, h5py.Dataset) and inside.split("/")[0] not in but:
                shapes[inside] = item.shape or ()
                arrays.append(item)
                if why := _why_not(item):
                    refused[inside] = why

    with h5py.File(io.BytesIO(content), "r") as file:
        walk(file, "", 0)
        text = json.dumps({"groups": groups, "shapes": shapes, "refused": refused})
        found: dict[str, Any] = {"json": np.array(text)}
        handed = [len(shapes[path]) != 2 and path not in refused for path in shapes]
        if sum(item.size or 0 for item, yes in zip(arrays, handed, strict=True) if yes) <= most:
            for k, (item, yes) in enumerate(zip(arrays, handed, strict=True)):
                found[str(k)] = item[()] if yes else np.zeros(0)
        out = io.BytesIO()
        np.savez(out, **found)
        return out.getvalue()


def _attributes(group: Any) -> Any:
    """Yield the names and values of attributes that are texts, or lists of texts."""
    if len(group.attrs) > _MOST:
        raise ValueError("far more attributes than Keras writes")
    for name in group.attrs:
        with contextlib.suppress(OSError, TypeError, UnicodeError):  # of a type unknown to h5py
            attribute = group.attrs.get_id(name)
            if 0 in (attribute.shape or ()):  # of pooling; h5py raises if asked for its size
                yield name, []
                continue
            if attribute.get_storage_size() > _LONGEST:
                continue
            value = group.attrs[name]
            texts = [*np.ravel(value)] if isinstance(value, np.ndarray) else [value]
            texts = [x.decode() if isinstance(x, bytes) else x for x in texts]
            if all(isinstance(x, str) for x in texts):
                yield name, texts if isinstance(value, np.ndarray) else texts[0]


def _why_not(item: Any) -> str:
    """Return why an array is not read; "" if it is."""
    plan = item.id.get_create_plist()
    if item.dtype.kind != "f" or item.dtype.itemsize > 8 or item.shape is None:
        return "does not hold float16, float32 or float64"
    if plan.get_external_count() or item.is_virtual:
        return "is stored in another file"
    if {plan.get_filter(k)[0] for k in range(plan.get_nfilters())} - _FILTERS:
        return "is packed in another way than by gzip"
    # Chunks may reach beyond the array, and gzip packs a thousand zeros into one byte.
    if not item.chunks and item.id.get_storage_size() not in (0, item.nbytes):
        return "is not as large as it says"
    return ""


def _limit() -> None:
    """Limit the address space to `_MEMORY`, where the system can do so."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    _limit()
    _, _most, *_but = sys.argv
    sys.stdout.buffer.write(_read(sys.stdin.buffer.read(), int(_most), tuple(_but)))
