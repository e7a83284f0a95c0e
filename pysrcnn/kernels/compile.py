"""How code is compiled: settings, the cache on disk, and what is said while one waits."""

import contextlib
import functools
import hashlib
import re
import threading
from pathlib import Path

import numba
from numba import types
from numba.core import event
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.extending import intrinsic

from .threads import load_openmp
from .vectors import VECTORS

# Numba's disk cache notices when the file of a function changes, but not the files of the
# functions it calls, nor constants. So the cache of every kernel is stamped with all of this
# folder, the width of the vectors and Numba's version.
_SOURCES = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
_ABOUT = f"{VECTORS} {numba.__version__}".encode()
_STAMP = hashlib.sha256(b"".join([*_SOURCES, _ABOUT])).hexdigest()
_KEPT = 4  # stamps of others whose files stay: other versions, other processors of a cluster


def compiled(inner=False, parallel=False, allocates=True, inlined=False):
    """``numba.njit`` with the settings of this package, cached on disk where that is possible.

    `inner` functions can be called by compiled functions only: they are optimised, made machine
    code and cached as a part of those, see `_Part`, and `inlined` ones become part of the functions
    that call them, too. No function can be called from C.
    Functions that make no arrays say ``allocates=False``, and then count no references to those
    they are given: where arrays come in tuples, Numba's counting may cost more than all else.
    `parallel` ones run one at a time, whichever threads call them: not every threading layer of
    Numba survives more. Their threads do not wait busily for long, see `threads.load_openmp`.
    """

    def decorate(function):
        settings = {"error_model": "numpy", "nogil": True, "parallel": parallel}
        if not allocates:
            settings["_nrt"] = False
        settings |= {"no_cpython_wrapper": inner, "no_cfunc_wrapper": True, "forceinline": inlined}
        if numba.config.DISABLE_JIT:
            return function
        if inner:
            return numba.njit(pipeline_class=_CompilerOfParts, **settings)(function)
        settings["pipeline_class"] = _CompilerOfWholes
        try:
            kernel = numba.njit(cache=True, **settings)(function)
            kernel._cache._cache_file = _Files(kernel._cache)
        except (RuntimeError, AttributeError, TypeError):
            # No folder for the cache is writable, or this Numba has its files elsewhere, and a
            # cache would go stale: compile anew in each process.
            kernel = numba.njit(**settings)(function)
        return _one_at_a_time(kernel) if parallel else kernel

    return decorate


class _Part(JITCodeLibrary):
    """Code of a function that is called by other compiled code only.

    Numba links the code of a function into each of its callers, and there LLVM optimises it once
    more. To optimise it before, and to make machine code of it that nothing will run, takes longer
    than all the rest: a loop of `prange` in a function that is called by another is gone through
    four times. This does neither.
    """

    def _optimize_final_module(self):
        """Only what the callers' optimisation starts from."""
        cheap, builder = self._codegen._module_pass_manager(
            loop_vectorize=False, slp_vectorize=False, opt=0, cost="cheap"
        )
        cheap.run(self._final_module, builder)

    def _finalize_final_module(self):
        """Be ready for the callers, and not for the processor."""
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    @property
    def codegen(self):
        """Where Numba would enter an address into the machine code that is not made."""
        return self

    def set_env(self, name, env):
        """Numba's call for that: there is nothing to do."""


class _CompilerOfParts(Compiler):
    def compile_extra(self, func):
        """Numba's call: compile a function as a part of others."""
        self.state.library = _Part(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


class _CompilerOfWholes(Compiler):
    def compile_extra(self, func):
        """Numba's call: compile a function, and what it consists of as its parts.

        These are the bodies of its parallel loops, and functions of Numba itself.
        """
        codegen = self.state.targetctx.codegen()
        self.state.library = JITCodeLibrary(codegen, func.__qualname__)
        self.state.library.enable_object_caching()
        before = codegen._library_class
        codegen._library_class = _Part
        try:
            return super().compile_extra(func)
        finally:
            codegen._library_class = before


class _Files:
    """The files of a function's cache: one pair, index and data, for each stamp and each signature.

    Numba has one index a function and numbers the data, and writes one after the other. Of two
    processes that do so at once, the index of one may then name the data of the other: code of
    another version, or for other types. Here the names themselves say what is in the files, and
    whoever writes last writes the same.
    """

    def __init__(self, cache):
        self._kind, self._folder = type(cache._cache_file), cache.cache_path
        self._name = f"{cache._impl.filename_base}.pysrcnn-{_STAMP[:16]}"
        self._stamp = _STAMP
        self._pair(())  # a Numba that wants other arguments says so here

    def _pair(self, key):
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return self._kind(self._folder, f"{self._name}-{name}", self._stamp)

    def load(self, key):
        """Numba's call before it compiles: None, or what was saved."""
        return self._pair(key).load(key)

    def save(self, key, data):
        """Numba's call when it has compiled."""
        self._pair(key).save(key, data)
        _remove_old(self._folder)


@functools.cache
def _remove_old(folder):
    """Remove the files of all stamps but this one and the few that were written last."""
    files: dict[str, list[Path]] = {}
    written: dict[str, float] = {}
    for path in Path(folder).iterdir():
        found = re.search(r"\.pysrcnn-([0-9a-f]{16})-", path.name)
        if found and found[1] != _STAMP[:16]:
            with contextlib.suppress(OSError):  # another process was faster
                time = path.stat().st_mtime
                written[found[1]] = max(time, written.get(found[1], time))
                files.setdefault(found[1], []).append(path)
    for stamp in sorted(written, key=lambda s: written[s])[:-_KEPT]:
        for path in files[stamp]:
            with contextlib.suppress(OSError):
                path.unlink()


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
            self.say(
                "compiling for this processor, once for each kind of network: usually 5 to 30 "
                "seconds ..."
            )

    def on_end(self, _):
        """Numba's call when it is done: nothing to say."""

    def __enter__(self):
        event.register("numba:compile", self)

    def __exit__(self, *_):
        event.unregister("numba:compile", self)
