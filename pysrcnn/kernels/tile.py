"""The register tile: vectors of numbers held in registers, and one row of a convolution with it.

A processor core multiplies and adds whole vectors of numbers (16 float32 with AVX-512), two
vectors a cycle, but it can fetch only about two vectors a cycle from memory, and waits some four
cycles for a sum it has just begun. So a small block of the result, ROWS filters x COLUMNS vectors,
stays in registers while the sum over a patch runs: one step of that sum fetches COLUMNS vectors of
the input and ROWS single weights, and does ROWS x COLUMNS multiply-adds with them. Arithmetic, not
memory, is then the limit, and there are enough sums that none is waited for.

The sum runs over the rows of the im2col matrix without ever building it: `patch[k]` says how far
from the first pixel of a patch its k-th entry lies in memory, and that is all im2col does. So the
same loop, `tiles`, serves every convolution, whatever its input looks like in memory.

Every operation on a tile is defined twice, side by side: in NumPy, which says what it does and
runs when NUMBA_DISABLE_JIT is set, and as the LLVM instructions that do it in registers. A tile is
an array (rows, columns, L) there, and rows x columns vector registers here. Positions in arrays
are flat: element `at`, counted from the first.

Axes: L lanes, the numbers of a vector; O filters.
"""

import functools
import hashlib
import inspect
import math
import os
import platform
import threading
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import literally, types
from numba.core import event
from numba.extending import intrinsic, models, register_model

from .threads import load_openmp

# Bytes a vector and the shapes of tiles, (filters, vectors), by what the processor has. The sums of
# a tile, its vectors of input and a weight must fit into the registers. The large shape serves all
# filters it divides, the next ones what is left: five filters, as the last layer of most networks
# has (see `pictures`), then single ones.
WIDTHS = {
    "avx512": (64, (8, 3), (5, 4), (1, 8)),  # 32 registers; weights come straight from memory
    "avx2": (32, (4, 3), (5, 2), (1, 8)),  # 16 registers
    "neon": (16, (8, 3), (5, 4), (1, 8)),  # 32 registers
    "plain": (16, (4, 3), (5, 2), (1, 8)),  # 16 registers, or whatever LLVM makes of it elsewhere
}


def _width():
    """The name of the processor's vectors; the environment variable PYSRCNN_VECTORS overrides."""
    name = os.environ.get("PYSRCNN_VECTORS")
    if name:
        if name not in WIDTHS:
            raise ValueError(f"PYSRCNN_VECTORS is {name!r}, wanted one of {', '.join(WIDTHS)}")
        return name
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return "avx512"
    if features.get("avx2"):
        return "avx2"
    return "neon" if platform.machine().lower() in ("arm64", "aarch64") else "plain"


VECTORS = _width()
VECTOR_BYTES, (ROWS, COLUMNS), (FEW, FEW_COLUMNS), (ONE, NARROW) = WIDTHS[VECTORS]

# Numba's disk cache notices when the file of a function changes, but not the files of the
# functions it calls, nor constants. So the cache of every kernel is stamped with all of this folder
# and the width of the vectors.
_SOURCES = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
_STAMP = hashlib.sha256(b"".join([*_SOURCES, VECTORS.encode()])).hexdigest()


def compiled(inner=False, parallel=False):
    """``numba.njit`` with the settings of this package, cached on disk where that is possible.

    `inner` functions can be called by compiled functions only: that saves compiling a way in.
    `parallel` ones run one at a time, whichever threads call them: not every threading layer of
    Numba survives more. Their threads do not wait busily for long, see `threads.load_openmp`.
    """

    def decorate(function):
        settings = {"error_model": "numpy", "nogil": True, "parallel": parallel}
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


@intrinsic
def noinline(typing_context):
    """First line of a function that is not to be copied into its callers.

    LLVM would put every convolution into each place that calls it, and compile all of it anew on
    every level of calls: four times the waiting, for nothing.
    """

    def codegen(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


if numba.config.DISABLE_JIT:  # there is nothing to copy

    def noinline():  # noqa: F811
        """Nothing."""


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


# ------------------------------------------------------------------------------- writing LLVM code


class _Tile(types.Type):
    def __init__(self, dtype, rows, columns):
        self.dtype, self.rows, self.columns = dtype, rows, columns
        super().__init__(f"Tile({dtype}, {rows}, {columns})")

    @property
    def vector(self):
        element = {32: ir.FloatType(), 64: ir.DoubleType()}[self.dtype.bitwidth]
        return ir.VectorType(element, VECTOR_BYTES * 8 // self.dtype.bitwidth)


@register_model(_Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, dmm, tile):
        super().__init__(dmm, tile, ir.ArrayType(tile.vector, tile.rows * tile.columns))


class _Emitter:
    """Writes LLVM instructions for one tile operation of rows x columns vectors."""

    def __init__(self, context, builder, signature, arguments, tile):
        self.builder = builder
        self.vector = tile.vector
        self.align = tile.dtype.bitwidth // 8
        self.rows, self.columns, self.lanes = tile.rows, tile.columns, tile.vector.count
        self.integers = ir.VectorType(ir.IntType(tile.dtype.bitwidth), self.lanes)
        self.arguments = [  # arrays as pointers to their first element, literals as Python's ints
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else getattr(kind, "literal_value", value)
            for kind, value in zip(signature.args, arguments, strict=True)
        ]

    def positions(self):
        return [(r, p) for r in range(self.rows) for p in range(self.columns)]

    def pointer(self, array, *offsets):
        """Pointer to an element of `array`; each offset is an int or a 64-bit value."""
        at = ir.Constant(ir.IntType(64), sum(o for o in offsets if isinstance(o, int)))
        for offset in offsets:
            if not isinstance(offset, int):
                at = self.builder.add(at, offset)
        return self.builder.gep(array, [at])

    def times(self, factor, value):
        if isinstance(value, int):
            return factor * value
        return self.builder.mul(ir.Constant(ir.IntType(64), factor), value)

    def load(self, array, *offsets):
        pointer = self.builder.bitcast(self.pointer(array, *offsets), self.vector.as_pointer())
        return self.builder.load(pointer, align=self.align)

    def store(self, vector, array, *offsets):
        pointer = self.builder.bitcast(self.pointer(array, *offsets), self.vector.as_pointer())
        self.builder.store(vector, pointer, align=self.align)

    def broadcast(self, array, *offsets):
        scalar = self.builder.load(self.pointer(array, *offsets))
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return self.builder.shuffle_vector(first, undefined, everywhere)

    def same(self, value):
        """A vector of one number."""
        kind = self.integers if isinstance(value, int) else self.vector
        return ir.Constant(kind, [value] * self.lanes)

    def multiply_add(self, a, b, c):
        """a b + c, rounded once where the processor can ("contract")."""
        flags = ("contract",)
        return self.builder.fadd(self.builder.fmul(a, b, flags=flags), c, flags=flags)

    def get(self, tile, r, p):
        return self.builder.extract_value(tile, r * self.columns + p)

    def tile(self, vectors):
        """A tile of vectors given in the order of `positions`."""
        value = ir.Constant(ir.ArrayType(self.vector, len(vectors)), ir.Undefined)
        for i, vector in enumerate(vectors):
            value = self.builder.insert_value(value, vector, i)
        return value


def _in_registers(emit):
    """Replace a NumPy definition by the instructions that `emit` writes, unless JIT is off."""

    def decorate(definition):
        if numba.config.DISABLE_JIT:
            return definition

        def typing(typing_context, *kinds):
            if isinstance(kinds[0], _Tile):
                tile = kinds[0]
                result = types.void if emit in (_emit_store, _emit_add) else tile
            else:
                array, *_, rows, columns = kinds
                tile = result = _Tile(array.dtype, rows.literal_value, columns.literal_value)

            def codegen(context, builder, signature, arguments):
                emitter = _Emitter(context, builder, signature, arguments, tile)
                value = emit(emitter, *emitter.arguments)
                return context.get_dummy_value() if value is None else value

            return result(*kinds), codegen

        typing.__name__ = definition.__name__
        context = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(definition).parameters.values()
        typing.__signature__ = inspect.Signature([context, *parameters])
        return intrinsic(prefer_literal=True)(typing)

    return decorate


def _vectors(x, at, count, step):
    """`count` vectors of x, `step` elements apart: (count, L). Only for the NumPy definitions."""
    lanes = VECTOR_BYTES // x.itemsize
    return np.stack([x.reshape(-1)[at + i * step :][:lanes] for i in range(count)])


def _emit_start(e, b, at, *_):
    rows = [e.broadcast(b, at, r) for r in range(e.rows)]
    return e.tile([rows[r] for r, _ in e.positions()])


@_in_registers(_emit_start)
def tile_start(b, at, rows, columns):
    """A new tile: every element of row r is b[at + r]."""
    lanes = VECTOR_BYTES // b.itemsize
    return np.ones((rows, columns, lanes), b.dtype) * b[at : at + rows, None, None]


def _emit_zero(e, *_):
    return e.tile([ir.Constant(e.vector, None) for _ in e.positions()])


@_in_registers(_emit_zero)
def tile_zero(like, rows, columns):
    """A new tile of zeros, of the dtype of the array `like`."""
    return np.zeros((rows, columns, VECTOR_BYTES // like.itemsize), like.dtype)


def _emit_load(e, x, at, *_):
    return e.tile([e.load(x, at, (r * e.columns + p) * e.lanes) for r, p in e.positions()])


@_in_registers(_emit_load)
def tile_load(x, at, rows, columns):
    """A new tile of what lies at x[at], one vector after the other."""
    lanes = VECTOR_BYTES // x.itemsize
    return _vectors(x, at, rows * columns, lanes).reshape(rows, columns, lanes)


def _emit_correlate(e, acc, x, at, step, w, k):
    pixels = [e.load(x, at, p * step * e.lanes) for p in range(e.columns)]
    weights = [e.broadcast(w, k, r) for r in range(e.rows)]
    return e.tile(
        [e.multiply_add(weights[r], pixels[p], e.get(acc, r, p)) for r, p in e.positions()]
    )


@_in_registers(_emit_correlate)
def tile_correlate(acc, x, at, step, w, k):
    """One entry of the patch, for the output: acc[r, p] += w[k + r] x[at + p step L : ... + L]."""
    rows, columns, lanes = acc.shape
    return acc + w[k : k + rows, None, None] * _vectors(x, at, columns, step * lanes)


def _emit_outer(e, acc, d, at, stride, x, start, patch, k):
    rows = [e.load(d, at, e.times(r, stride)) for r in range(e.rows)]
    columns = [e.load(x, start, e.builder.load(e.pointer(patch, k, p))) for p in range(e.columns)]
    return e.tile([e.multiply_add(rows[r], columns[p], e.get(acc, r, p)) for r, p in e.positions()])


@_in_registers(_emit_outer)
def tile_outer(acc, d, at, stride, x, start, patch, k):
    """One pixel, for the gradient of the weights, rows being filters and columns patch entries:

    acc[r, p] += d[at + r stride : ... + L] x[start + patch[k + p] : ... + L].
    """
    rows, columns, _ = acc.shape
    entries = [_vectors(x, start + patch[k + p], 1, 0)[0] for p in range(columns)]
    return acc + _vectors(d, at, rows, stride)[:, None] * np.stack(entries)


def _emit_relu(e, acc):
    return e.tile(
        [_emit_gate_vector(e, e.get(acc, r, p), e.get(acc, r, p)) for r, p in e.positions()]
    )


def _emit_gate_vector(e, gate, vector):
    """`vector` where gate > 0, else 0; where `gate` is NaN too, so that a NaN is never hidden."""
    zero = ir.Constant(e.vector, None)
    return e.builder.select(e.builder.fcmp_ordered("<=", gate, zero), zero, vector)


@_in_registers(_emit_relu)
def tile_relu(acc):
    """max(0, acc); NaN stays NaN."""
    return np.maximum(acc, 0)


def _emit_gate(e, acc, x, at, stride, step):
    gates = [e.load(x, at, e.times(r, stride), p * step * e.lanes) for r, p in e.positions()]
    return e.tile(
        [
            _emit_gate_vector(e, gate, e.get(acc, r, p))
            for gate, (r, p) in zip(gates, e.positions(), strict=True)
        ]
    )


@_in_registers(_emit_gate)
def tile_gate(acc, x, at, stride, step):
    """acc[r, p] where x[at + r stride + p step L : ... + L] > 0, else 0: the backward of ReLU."""
    rows, columns, lanes = acc.shape
    gates = [_vectors(x, at + r * stride, columns, step * lanes) for r in range(rows)]
    return np.where(np.stack(gates) <= 0, 0, acc).astype(acc.dtype)


def _emit_tanh_gate(e, acc, x, at, stride, step):
    vectors = []
    for r, p in e.positions():
        out = e.load(x, at, e.times(r, stride), p * step * e.lanes)
        slope = e.builder.fsub(e.same(1.0), e.builder.fmul(out, out))
        vectors.append(e.builder.fmul(e.get(acc, r, p), slope))
    return e.tile(vectors)


@_in_registers(_emit_tanh_gate)
def tile_tanh_gate(acc, x, at, stride, step):
    """acc[r, p] (1 - x^2), x as for `tile_gate`: the backward of tanh, from its output."""
    rows, columns, lanes = acc.shape
    outs = [_vectors(x, at + r * stride, columns, step * lanes) for r in range(rows)]
    return acc * (1 - np.square(np.stack(outs)))


# By the bits of a number: log2 e; ln 2 in two parts, the first of few digits; the size beyond which
# tanh rounds to 1; bits of the mantissa and of 1; terms of the exponential series.
_TANH = {
    32: (1.4426950408889634, 0.693359375, -2.12194440054690583e-4, 10.0, 23, 127 << 23, 7),
    64: (
        1.4426950408889634,
        0.693147180369123816490,
        1.90821492927058770002e-10,
        20.0,
        52,
        1023 << 52,
        13,
    ),
}


def _emit_tanh(e, acc):
    return e.tile([_emit_tanh_vector(e, e.get(acc, r, p)) for r, p in e.positions()])


def _emit_tanh_vector(e, x):
    """tanh |x| = m / (m + 2) with m = exp(2 |x|) - 1, which keeps all digits where x is small:

    2 |x| = k ln 2 + r, k whole and |r| <= ln 2 / 2; m = 2^k (exp(r) - 1) + (2^k - 1). Adding 1.5
    times the weight of the last bit but one rounds to a whole number, which the last bits then are.
    A NaN stays one: comparisons with it are false, and nothing of it is converted to an integer.
    """
    to_log2, ln2, ln2_rest, limit, mantissa, one, terms = _TANH[e.align * 8]
    b = e.builder
    bits = b.bitcast(x, e.integers)
    sign = b.and_(bits, e.same(-1 << (e.align * 8 - 1)))
    size = b.bitcast(b.xor(bits, sign), e.vector)
    size = b.select(b.fcmp_ordered(">", size, e.same(limit)), e.same(limit), size)
    twice = b.fadd(size, size)
    shift = e.same(1.5 * 2.0**mantissa)
    rounded = e.multiply_add(twice, e.same(to_log2), shift)
    k = b.fsub(rounded, shift)
    r = e.multiply_add(k, e.same(-ln2), twice)
    r = e.multiply_add(k, e.same(-ln2_rest), r)
    power = b.shl(b.bitcast(rounded, e.integers), e.same(mantissa))
    power = b.bitcast(b.add(power, e.same(one)), e.vector)  # 2^k
    series = e.same(1 / math.factorial(terms))
    for n in reversed(range(2, terms)):
        series = e.multiply_add(series, r, e.same(1 / math.factorial(n)))
    series = e.multiply_add(series, b.fmul(r, r), r)  # exp(r) - 1
    m = e.multiply_add(power, series, b.fsub(power, e.same(1.0)))
    result = b.fdiv(m, b.fadd(m, e.same(2.0)))
    return b.bitcast(b.or_(b.bitcast(result, e.integers), sign), e.vector)


@_in_registers(_emit_tanh)
def tile_tanh(acc):
    """tanh(acc), within some units of the last digit; NaN stays NaN."""
    return np.tanh(acc)


def _emit_store(e, acc, out, at, stride, step):
    for r, p in e.positions():
        e.store(e.get(acc, r, p), out, at, e.times(r, stride), p * step * e.lanes)


@_in_registers(_emit_store)
def tile_store(acc, out, at, stride, step):
    """out[at + r stride + p step L : ... + L] = acc[r, p]."""
    rows, columns, lanes = acc.shape
    for r in range(rows):
        for p in range(columns):
            out.reshape(-1)[at + r * stride + p * step * lanes :][:lanes] = acc[r, p]


def _emit_add(e, acc, out, at, stride):
    for r, p in e.positions():
        place = at, e.times(r, stride), p * e.lanes
        e.store(e.builder.fadd(e.load(out, *place), e.get(acc, r, p)), out, *place)


@_in_registers(_emit_add)
def tile_add(acc, out, at, stride):
    """out[at + r stride + p L : ... + L] += acc[r, p]."""
    rows, columns, lanes = acc.shape
    for r in range(rows):
        out.reshape(-1)[at + r * stride :][: columns * lanes] += acc[r].reshape(-1)


# ----------------------------------------------------------------- one row of any convolution

# What happens to a sum before it is stored. As np.int64 because Numba would compile everything that
# is called with a plain constant once for each value.
LINEAR, RELU, GATE, TANH, TANH_GATE = map(np.int64, range(5))
ACTIVATIONS = {"relu": (RELU, GATE), "tanh": (TANH, TANH_GATE)}  # forward, backward


@compiled(inner=True)
def tanh_in_place(x, at, stride, step, rows, columns):
    """tanh of a tile that was just stored, see `tile_store`; `step` in elements.

    Not in registers as ReLU is: there would be two dozen copies of it in every place where a tile
    ends, all of which take their time to compile.
    """
    noinline()
    for r in range(rows):
        for p in range(columns):
            place = at + r * stride + p * step
            tile_store(tile_tanh(tile_load(x, place, 1, 1)), x, place, 0, 1)


@compiled(inner=True)
def tiles(rows, columns, step, out_step, x, at, patch, w, b, epilogue, gate, out, filters, vectors):
    """All tiles of one shape in a row; `filters` and `vectors` are (first, end).

    step, out_step: from one vector to the next, in vectors, in x and in `gate` and `out`. All else
    is as for `convolve_row`.
    """
    rows, columns = literally(rows), literally(columns)
    step, out_step = literally(step), literally(out_step)
    lanes = VECTOR_BYTES // x.itemsize
    gates, gate_at, gate_stride = gate
    outs, out_at, out_stride = out
    for v in range(vectors[0], vectors[1], columns):
        for o in range(filters[0], filters[1], rows):
            acc = tile_start(b, o, rows, columns)
            start = at + v * step * lanes
            weight = o * patch.size
            for k in range(patch.size):
                acc = tile_correlate(acc, x, start + patch[k], step, w, weight + k * rows)
            to = v * out_step * lanes
            if epilogue == RELU:
                acc = tile_relu(acc)
            elif epilogue == GATE:
                acc = tile_gate(acc, gates, gate_at + o * gate_stride + to, gate_stride, out_step)
            elif epilogue == TANH_GATE:
                at_gate = gate_at + o * gate_stride + to
                acc = tile_tanh_gate(acc, gates, at_gate, gate_stride, out_step)
            tile_store(acc, outs, out_at + o * out_stride + to, out_stride, out_step)
            if epilogue == TANH:
                place = out_at + o * out_stride + to
                tanh_in_place(outs, place, out_stride, out_step * lanes, rows, columns)


@compiled(inner=True)
def convolve_row(x, at, patch, w, b, epilogue, gate, out, vectors):
    """`vectors` vectors of output for every filter: one row of a convolution.

    x, at, patch: entry k of the patch of output vector v lies at x[at + v L + patch[k]].
    w, b: weights as `pack_weights` lays them out, biases (O,).
    epilogue: LINEAR, RELU, TANH, or what goes back through the last two from their output, `gate`:
    GATE (zero where that is not positive) or TANH_GATE (times 1 - gate^2).
    gate, out: (array, at, stride); vector v of filter o lies at array[at + o stride + v L].
    """
    noinline()
    full = b.size // ROWS * ROWS
    few = full + (b.size - full) // FEW * FEW
    many, some, rest = (0, full), (full, few), (few, b.size)
    # A tile one vector wide fetches too much for what it does, so what fills no tile of COLUMNS
    # vectors is done in pairs, for which one tile may have to be given up (COLUMNS is 3).
    wide = max(vectors // COLUMNS - (vectors % COLUMNS) % 2, 0) * COLUMNS
    pairs = wide + (vectors - wide) // 2 * 2
    tiles(ROWS, COLUMNS, 1, 1, x, at, patch, w, b, epilogue, gate, out, many, (0, wide))
    tiles(ROWS, 2, 1, 1, x, at, patch, w, b, epilogue, gate, out, many, (wide, pairs))
    tiles(ROWS, 1, 1, 1, x, at, patch, w, b, epilogue, gate, out, many, (pairs, vectors))
    split = vectors // FEW_COLUMNS * FEW_COLUMNS
    tiles(FEW, FEW_COLUMNS, 1, 1, x, at, patch, w, b, epilogue, gate, out, some, (0, split))
    tiles(FEW, 1, 1, 1, x, at, patch, w, b, epilogue, gate, out, some, (split, vectors))
    split = vectors // NARROW * NARROW
    tiles(ONE, NARROW, 1, 1, x, at, patch, w, b, epilogue, gate, out, rest, (0, split))
    tiles(ONE, 1, 1, 1, x, at, patch, w, b, epilogue, gate, out, rest, (split, vectors))


def pack_weights(w):
    """Weights (O, ...) in the order in which tiles read them: flat.

    Filters in groups of ROWS, then of FEW, then single; within a group one patch entry after the
    other, for each the weights of the group's filters.
    """
    w = w.reshape(w.shape[0], -1)
    full = w.shape[0] // ROWS * ROWS
    few = full + (w.shape[0] - full) // FEW * FEW
    parts = (w[:full], ROWS), (w[full:few], FEW), (w[few:], ONE)
    return np.concatenate(
        [part.reshape(-1, rows, w.shape[1]).transpose(0, 2, 1).reshape(-1) for part, rows in parts]
    )


@compiled(inner=True)
def packed_at(o, filters, size):
    """Where `pack_weights` puts filter o of so many: its first of `size` entries, and the step."""
    full = filters // ROWS * ROWS
    few = full + (filters - full) // FEW * FEW
    if o < full:
        return o // ROWS * ROWS * size + o % ROWS, ROWS
    if o < few:
        return (o - (o - full) % FEW) * size + (o - full) % FEW, FEW
    return o * size, ONE
