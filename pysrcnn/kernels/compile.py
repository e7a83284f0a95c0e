"""How code is compiled: settings, the cache on disk, and what is said while one waits."""

import functools
import hashlib
import threading
from pathlib import Path

import numba
from numba import types
from numba.core import event
from numba.extending import intrinsic

from .threads import load_openmp
from .vectors import VECTORS

# Numba's disk cache notices when the file of a function changes, but not the files of the
# functions it calls, nor constants. So the cache of every kernel is stamped with all of this folder
# and the width of the vectors.
_SOURCES = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
_STAMP = hashlib.sha256(b"".join([*_SOURCES, VECTORS.encode()])).hexdigest()


def compiled(inner=False, parallel=False, allocates=True):
    """``numba.njit`` with the settings of this package, cached on disk where that is possible.

    `inner` functions can be called by compiled functions only: that saves compiling a way in.
    Functions that make no arrays say ``allocates=False``, and then count no references to those
    they are given: where arrays come in tuples, Numba's counting may cost more than all else.
    `parallel` ones run one at a time, whichever threads call them: not every threading layer of
    Numba survives more. Their threads do not wait busily for long, see `threads.load_openmp`.
    """

    def decorate(function):
        settings = {"error_model": "numpy", "nogil": True, "parallel": parallel}
        if not allocates:
            settings["_nrt"] = False
        settings |= {"no_cpython_wrapper": inner, "no_cfunc_wrapper": inner}
        if numba.config.DISABLE_JIT:
            return function
        try:
            kernel = numba.njit(cache=True, **settings)(function)
            kernel._cache._cache_file._source_stamp = _STAMP
        except (RuntimeError, AttributeError):
            # No folder for the cache is writable, or this Numba keeps its stamp elsewhere, and a
            # cache would go stale: compile anew in each process.
            kernel = numba.njit(**settings)(function)
        return _one_at_a_time(kernel) if parallel else kernel

    return decorate


_running = threading.RLock()


def _one_at_a_time(kernel):
    @functools.wraps(kernel.py_func)
    def call(*arguments):
        with _running:
            load_openmp()
            return kernel(*arguments)

    return call


def _if_compiled(definition):
    """An intrinsic of that definition; where nothing is compiled, a function that does nothing."""
    return (lambda: None) if numba.config.DISABLE_JIT else intrinsic(definition)


@_if_compiled
def noinline(typing_context):
    """First line of a function that is not to be copied into its callers.

    LLVM would put every convolution into each place that calls it, and compile all of it anew on
    every level of calls: four times the waiting, for nothing.
    """

    def codegen(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


class announce_compilation(event.Listener):
    """``with announce_compilation(say):`` calls say(sentence) once, when something is compiled."""

    def __init__(self, say):
        self.say, self.said = say, False

    def on_start(self, _):
        """Numba's call before it compiles a function that is not in the cache."""
        if not self.said:
            self.said = True
            self.say("compiling for this processor, once; it takes some seconds ...")

    def on_end(self, _):
        """Numba's call when it is done: nothing to say."""

    def __enter__(self):
        event.register("numba:compile", self)

    def __exit__(self, *_):
        event.unregister("numba:compile", self)
