"""One thread for NumPy's matrix products, where they are small or other threads are at work.

OpenBLAS, which comes with NumPy, splits a product among threads that wait for each other in a busy
loop. Beside another busy program, such a wait lasts as long as the system lets that program run.
"""

import contextlib
import ctypes
import functools
import importlib
import threading
from collections.abc import Iterator

from .threads import in_children

__all__ = ["one_blas_thread"]

# OpenBLAS's names in NumPy's own packages (64-bit and 32-bit integers), then in a system's.
_NAMES = ["scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}"]


@functools.cache
def _functions():
    """OpenBLAS's functions to get and set its number of threads, or None without OpenBLAS."""
    try:  # the search for symbols includes the libraries that this one links to
        core = importlib.import_module("numpy._core._multiarray_umath")
        library = ctypes.CDLL(core.__file__)
    except (
        AttributeError,
        ImportError,
        OSError,
        TypeError,
    ):  # another NumPy, or one built into Python
        return None
    for name in _NAMES:
        with contextlib.suppress(AttributeError):
            tell, put = (getattr(library, name.format(f"{w}_num_threads")) for w in ("get", "set"))
            tell.restype, tell.argtypes = ctypes.c_int, []
            put.restype, put.argtypes = None, [ctypes.c_int]
            return tell, put
    return None


class _Inside:
    """How many callers are in `one_blas_thread`, and the number of threads before the first."""

    count = before = 0
    changing = threading.Lock()


def _forked():
    _Inside.changing = threading.Lock()


in_children(_forked)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Context manager in which OpenBLAS uses one thread.

    The last caller to leave it restores the number of threads. It does nothing where NumPy has
    another BLAS, or OpenBLAS is out of reach (Windows).
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
