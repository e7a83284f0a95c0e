"""One thread for NumPy's products of matrices, while they are small or other threads are at work.

OpenBLAS, which NumPy brings, shares a product out among threads that wait for each other in a loop.
Beside another busy program such a wait lasts as long as the system lets that program run.
"""

import contextlib
import ctypes
import functools
import importlib
import threading
from collections.abc import Iterator

__all__ = ["one_blas_thread"]

# OpenBLAS in NumPy's own packages, with 64-bit and 32-bit integers, and as systems have it.
_NAMES = ["scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}"]


@functools.cache
def _functions():
    """OpenBLAS's functions that tell and set its number of threads, or None without OpenBLAS."""
    try:  # symbols are also looked for in the libraries that this one was linked to
        core = importlib.import_module("numpy._core._multiarray_umath")
        library = ctypes.CDLL(core.__file__)
    except (
        AttributeError,
        ImportError,
        OSError,
        TypeError,
    ):  # another NumPy, or one that is built in
        return None
    for name in _NAMES:
        with contextlib.suppress(AttributeError):
            tell, put = (getattr(library, name.format(f"{w}_num_threads")) for w in ("get", "set"))
            tell.restype, tell.argtypes = ctypes.c_int, []
            put.restype, put.argtypes = None, [ctypes.c_int]
            return tell, put
    return None


class _Inside:
    """How many are within `one_blas_thread`, and the number of threads before the first of them."""

    count = before = 0
    changing = threading.Lock()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """With this, OpenBLAS uses one thread; after the last who is within, as many as before.

    Does nothing where NumPy has another BLAS, or OpenBLAS is out of reach (Windows).
    """
    functions = _functions()
    if functions is None:
        yield
        return
    tell, put = functions
    with _Inside.changing:
        if _Inside.count == 0:
            _Inside.before = tell()
            put(1)
        _Inside.count += 1
    try:
        yield
    finally:
        with _Inside.changing:
            _Inside.count -= 1
            if _Inside.count == 0:
                put(_Inside.before)
