"""How code is compiled: settings, the cache on disk, and the message while compiling."""

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

from .threads import has_gnu_threads, in_children, load_openmp
from .vectors import VECTORS

# Numba's disk cache notices a change in the file of a function, but not in the files of the
# functions it calls, nor in constants. So the cache of every kernel is stamped with the text of
# this whole folder, the width of the vectors and Numba's version.
_SOURCES = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
_ABOUT = f"{VECTORS} {numba.__version__}".encode()
_STAMP = hashlib.sha256(b"".join([*_SOURCES, _ABOUT])).hexdigest()
_KEPT = 4  # other stamps whose files are kept: other versions, other processors of a cluster


def compiled(inner=False, parallel=False, allocates=True, inlined=False):
    """``numba.njit`` with the settings of this package, cached on disk where that is possible.

    `inner` functions can be called by compiled functions only: they are optimised, turned into
    machine code and cached as parts of their callers, see `_Part`. `inlined` ones are inlined
    there, too. No function can be called from C.
    Functions that make no arrays say ``allocates=False``, and then do not count references to their
    arguments: for arrays in tuples, Numba's counting may cost more than everything else.
    `parallel` functions run one at a time, whichever threads call them, because not every threading
    layer of Numba survives more. Their threads do not spin for long, see `threads.load_openmp`.
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
            # No folder for the cache is writable, or this Numba keeps its files elsewhere and a
            # cache would go stale: compile anew in each process.
            kernel = numba.njit(**settings)(function)
        return _one_at_a_time(kernel) if parallel else kernel

    return decorate


class _Part(JITCodeLibrary):
    """Code of a function that only other compiled code calls.

    Numba links the code of a function into each of its callers, where LLVM optimises it once more.
    Optimising it beforehand, and making machine code of it that nothing will run, takes longer than
    all the rest: a `prange` loop in a function that another one calls is processed four times. This
    class does neither.
    """

    def _optimize_final_module(self):
        """Run only the cheap passes that the callers' optimisation starts from."""
        cheap, builder = self._codegen._module_pass_manager(
            loop_vectorize=False, slp_vectorize=False, opt=0, cost="cheap"
        )
        cheap.run(self._final_module, builder)

    def _finalize_final_module(self):
        """Make the code ready for its callers, without generating machine code."""
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    @property
    def codegen(self):
        """The object through which Numba would write an address into the machine code."""
        return self

    def set_env(self, name, env):
        """Called by Numba to write the address; does nothing, as there is no machine code."""


class _CompilerOfParts(Compiler):
    def compile_extra(self, func):
        """Called by Numba: compile a function as a part of others."""
        self.state.library = _Part(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


class _CompilerOfWholes(Compiler):
    def compile_extra(self, func):
        """Called by Numba: compile a function together with its parts.

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
    """The cache files of a function: one pair, index and data, per stamp and signature.

    Numba keeps one index per function, numbers the data files, and writes one after the other. If
    two processes do so at once, the index of one may name the data of the other: code of another
    version, or for other types. Here the file names identify the contents, so whichever process
    writes last writes the same.
    """

    def __init__(self, cache):
        self._kind, self._folder = type(cache._cache_file), cache.cache_path
        self._name = f"{cache._impl.filename_base}.pysrcnn-{_STAMP[:16]}"
        self._stamp = _STAMP
        self._pair(())  # fails here if this Numba takes other arguments

    def _pair(self, key):
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return self._kind(self._folder, f"{self._name}-{name}", self._stamp)

    def load(self, key):
        """Called by Numba before it compiles: return what was saved, or None."""
        return self._pair(key).load(key)

    def save(self, key, data):
        """Called by Numba after it has compiled: save the result."""
        self._pair(key).save(key, data)
        _remove_old(self._folder)


@functools.cache
def _remove_old(folder):
    """Remove the files of all stamps except this one and the `_KEPT` others written last."""
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


class _Loops:
    """Parallel loops run one at a time, and not in a process forked behind OpenMP's back."""

    running = threading.RLock()
    forbidden = False


def _forked():
    _Loops.running, _Loops.forbidden = threading.RLock(), has_gnu_threads()


in_children(_forked)


def _one_at_a_time(kernel):
    @functools.wraps(kernel.py_func)
    def call(*arguments):
        if _Loops.forbidden:
            raise RuntimeError(
                "this process was forked from one in which OpenMP had started threads, and can use "
                "none: start processes by spawn or forkserver, as with "
                "multiprocessing.get_context('spawn'), or set NUMBA_THREADING_LAYER=workqueue"
            )
        with _Loops.running:
            load_openmp()
            return kernel(*arguments)

    return call


def _if_compiled(definition):
    """Return the definition as an intrinsic or, with JIT disabled, a function that does nothing."""
    return (lambda: None) if numba.config.DISABLE_JIT else intrinsic(definition)


@_if_compiled
def noinline(typing_context):
    """First line of a function that must not be inlined into its callers.

    LLVM would otherwise inline every convolution wherever it is called and compile it again on
    every level of calls: four times the compile time, for nothing.
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
        """Called by Numba before it compiles a function that is not in the cache."""
        if not self.said:
            self.said = True
            self.say("compiling for this processor, once for each network: 5 to 30 seconds ...")

    def on_end(self, _):
        """Called by Numba when it is done; does nothing."""

    def __enter__(self):
        event.register("numba:compile", self)

    def __exit__(self, *_):
        event.unregister("numba:compile", self)
