"""One thread for NumPy's products of matrices, while they are small or other threads are at work.

OpenBLAS, which NumPy brings, shares a product out among threads that wait for each other in a loop.
Beside another busy program such a wait lasts as long as the system lets that program run, so that
small products take a hundred times as long as in one thread.
"""

import contextlib
import ctypes
from collections.abc import Iterator

import numpy as np

__all__ = ["one_blas_thread"]

# OpenBLAS in NumPy's own packages, with 64-bit and 32-bit integers, and as systems have it.
_NAMES = ["scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}"]


def _functions():
    """OpenBLAS's functions that tell and set its number of threads, or None without OpenBLAS."""
    try:  # symbols are also looked for in the libraries that this one was linked to
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)
    except (AttributeError, OSError, TypeError):  # another NumPy, or one that is built in
        return None
    for name in _NAMES:
        with contextlib.suppress(AttributeError):
            get, put = (
                getattr(library, name.format(f"{way}_num_threads")) for way in ("get", "set")
            )
            get.restype, get.argtypes = ctypes.c_int, []
            put.restype, put.argtypes = None, [ctypes.c_int]
            return get, put
    return None


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """With this, OpenBLAS uses one thread; afterwards as many as before.

    Does nothing where NumPy has another BLAS, or OpenBLAS is out of reach (Windows).
    """
    functions = _functions()
    if functions is None:
        yield
        return
    get, put = functions
    before = get()
    put(1)
    try:
        yield
    finally:
        put(before)
