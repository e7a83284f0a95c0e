"""The register tile: vectors of numbers held in registers.

A processor core multiplies and adds whole vectors of numbers (16 float32 with AVX-512), two vectors
a cycle, but it can load only about two vectors a cycle from memory, and waits some four cycles for
a sum it has just begun. So a small block of the result, ROWS filters x COLUMNS vectors, stays in
registers while the sum over a patch runs: one step of that sum loads COLUMNS vectors of the input
and ROWS single weights, and does ROWS x COLUMNS multiply-adds with them. Arithmetic, not memory, is
then the limit, and there are enough sums that none is waited for.

The sum runs over the rows of the im2col matrix without ever building it: `patch[k]` is the distance
in memory of the k-th entry of a patch from its first pixel, and that is all im2col does. So the
same loop, `rows.tiles`, serves every convolution, whatever its input looks like in memory.

Every operation on a tile is defined twice, side by side: in NumPy, which says what it does and runs
when NUMBA_DISABLE_JIT is set, and as the LLVM instructions that do it in registers. A tile is an
array (rows, columns, L) in NumPy, and rows x columns vector registers in LLVM. Positions in arrays
are flat: element `at`, counted from the first.

Axes: L lanes, the numbers of a vector; O filters.
"""

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from .emit import in_registers
from .vectors import VECTOR_BYTES


def _vectors(x, at, count, step):
    """`count` vectors of x, `step` elements apart: (count, L). Only for the NumPy definitions."""
    lanes = VECTOR_BYTES // x.itemsize
    return np.stack([x.reshape(-1)[at + i * step :][:lanes] for i in range(count)])


def _emit_start(e, b, at, *_):
    rows = [e.broadcast(b, at, r) for r in range(e.rows)]
    return e.tile([rows[r] for r, _ in e.positions()])


@in_registers(_emit_start)
def tile_start(b, at, rows, columns):
    """A new tile: every element of row r is b[at + r]."""
    lanes = VECTOR_BYTES // b.itemsize
    return np.ones((rows, columns, lanes), b.dtype) * b[at : at + rows, None, None]


def _emit_repeat(e, b, at, *_):
    columns = [e.load(b, at, p * e.lanes) for p in range(e.columns)]
    return e.tile([columns[p] for _, p in e.positions()])


@in_registers(_emit_repeat)
def tile_repeat(b, at, rows, columns):
    """A new tile: every row is b[at : at + columns L]."""
    lanes = VECTOR_BYTES // b.itemsize
    return np.stack([_vectors(b, at, columns, lanes)] * rows)


def _emit_zero(e, *_):
    return e.tile([ir.Constant(e.vector, None) for _ in e.positions()])


@in_registers(_emit_zero)
def tile_zero(like, rows, columns):
    """A new tile of zeros, of the dtype of the array `like`."""
    return np.zeros((rows, columns, VECTOR_BYTES // like.itemsize), like.dtype)


def _emit_load(e, x, at, *_):
    return e.tile([e.load(x, at, (r * e.columns + p) * e.lanes) for r, p in e.positions()])


@in_registers(_emit_load)
def tile_load(x, at, rows, columns):
    """A new tile of consecutive vectors from x[at] on."""
    lanes = VECTOR_BYTES // x.itemsize
    return _vectors(x, at, rows * columns, lanes).reshape(rows, columns, lanes)


def _emit_plus(e, acc, other):
    return e.tile([e.builder.fadd(e.get(acc, r, p), e.get(other, r, p)) for r, p in e.positions()])


@in_registers(_emit_plus)
def tile_plus(acc, other):
    """The sum of two tiles."""
    return acc + other


def _emit_plus_number(e, acc, b, at):
    number = e.broadcast(b, at)
    return e.tile([e.builder.fadd(e.get(acc, r, p), number) for r, p in e.positions()])


@in_registers(_emit_plus_number)
def tile_plus_number(acc, b, at):
    """acc + b[at]."""
    return acc + b[at]


def _emit_plus_vector(e, acc, x, at):
    vector = e.load(x, at)
    return e.tile([e.builder.fadd(e.get(acc, r, p), vector) for r, p in e.positions()])


@in_registers(_emit_plus_vector)
def tile_plus_vector(acc, x, at):
    """acc + x[at : at + L], the same for all vectors of acc."""
    return acc + x.reshape(-1)[at:][: acc.shape[2]]


def _emit_plus_product(e, acc, other, x, at):
    vector = e.load(x, at)
    return e.tile(
        [e.multiply_add(vector, e.get(other, r, p), e.get(acc, r, p)) for r, p in e.positions()]
    )


@in_registers(_emit_plus_product)
def tile_plus_product(acc, other, x, at):
    """acc + other x[at : at + L], the same for all vectors of `other`."""
    return acc + other * x.reshape(-1)[at:][: acc.shape[2]]


def _emit_where(e, acc, gate):
    return e.tile(
        [_emit_gate_vector(e, e.get(gate, r, p), e.get(acc, r, p)) for r, p in e.positions()]
    )


@in_registers(_emit_where)
def tile_where(acc, gate):
    """acc where `gate` > 0 or is NaN, else 0."""
    return np.where(gate <= 0, 0, acc).astype(acc.dtype)


def _emit_correlate(e, acc, x, at, step, w, k, apart):
    pixels = [e.load(x, at, p * step * e.lanes) for p in range(e.columns)]
    weights = [e.broadcast(w, k, e.times(r, apart)) for r in range(e.rows)]
    return e.tile(
        [e.multiply_add(weights[r], pixels[p], e.get(acc, r, p)) for r, p in e.positions()]
    )


@in_registers(_emit_correlate)
def tile_correlate(acc, x, at, step, w, k, apart):
    """Add a term to many sums: acc[r, p] += w[k + r apart] x[at + p step L : ... + L].

    For convolutions, w holds the weights of several filters and x pixels, or the other way round.
    """
    rows, columns, lanes = acc.shape
    numbers = w.reshape(-1)[k : k + (rows - 1) * apart + 1 : apart]
    return acc + numbers[:, None, None] * _vectors(x, at, columns, step * lanes)


def _emit_dots(e, acc, x, at, stride, w, k):
    weights = [e.load(w, k, p * e.lanes) for p in range(e.columns)]
    vectors = []
    for r, p in e.positions():
        pixels = e.load(x, at, e.times(r, stride), p * e.lanes)
        vectors.append(e.multiply_add(weights[p], pixels, e.get(acc, r, p)))
    return e.tile(vectors)


@in_registers(_emit_dots)
def tile_dots(acc, x, at, stride, w, k):
    """acc[r, p] += w[k + p L : ... + L] x[at + r stride + p L : ... + L], lane by lane."""
    rows, columns, lanes = acc.shape
    pixels = [_vectors(x, at + r * stride, columns, lanes) for r in range(rows)]
    return acc + _vectors(w, k, columns, lanes) * np.stack(pixels)


def _emit_totals(e, acc, b, o, out, at, stride):
    bias = e.builder.load(e.pointer(b, o))
    for r in range(e.rows):
        total = e.get(acc, r, 0)
        for p in range(1, e.columns):
            total = e.builder.fadd(total, e.get(acc, r, p))
        count = e.lanes
        while count > 1:
            count //= 2
            kind = ir.VectorType(ir.IntType(32), count)
            halves = [
                e.builder.shuffle_vector(total, total, ir.Constant(kind, list(range(i, i + count))))
                for i in (0, count)
            ]
            total = e.builder.fadd(*halves)
        number = e.builder.extract_element(total, ir.Constant(ir.IntType(32), 0))
        place = e.pointer(out, at, e.times(r, stride))
        e.builder.store(e.builder.fadd(number, bias), place)


@in_registers(_emit_totals, gives_tile=False)
def tile_totals(acc, b, o, out, at, stride):
    """out[at + r stride] = b[o] + the sum of all numbers of row r."""
    totals = acc.sum(axis=(1, 2)) + b[o]
    out.reshape(-1)[at : at + (len(acc) - 1) * stride + 1 : stride] = totals


def _emit_relu(e, acc):
    return e.tile(
        [_emit_gate_vector(e, e.get(acc, r, p), e.get(acc, r, p)) for r, p in e.positions()]
    )


def _emit_gate_vector(e, gate, vector):
    """`vector` where gate > 0 or is NaN, so that a NaN is never hidden; else 0."""
    zero = ir.Constant(e.vector, None)
    return e.builder.select(e.builder.fcmp_ordered("<=", gate, zero), zero, vector)


@in_registers(_emit_relu)
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


@in_registers(_emit_gate)
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


@in_registers(_emit_tanh_gate)
def tile_tanh_gate(acc, x, at, stride, step):
    """acc[r, p] (1 - x^2), x as for `tile_gate`: the backward of tanh, from its output."""
    rows, columns, lanes = acc.shape
    outs = [_vectors(x, at + r * stride, columns, step * lanes) for r in range(rows)]
    return acc * (1 - np.square(np.stack(outs)))


def _emit_tanh_where(e, acc, outs):
    vectors = []
    for r, p in e.positions():
        out = e.get(outs, r, p)
        slope = e.builder.fsub(e.same(1.0), e.builder.fmul(out, out))
        vectors.append(e.builder.fmul(e.get(acc, r, p), slope))
    return e.tile(vectors)


@in_registers(_emit_tanh_where)
def tile_tanh_where(acc, out):
    """acc (1 - out^2) of two tiles."""
    return acc * (1 - np.square(out))


# By the size of a number in bits: log2 e; ln 2 in two parts, the first of few digits; the magnitude
# beyond which tanh rounds to 1; bits of the mantissa; bits of 1.0; terms of the exponential series.
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
    """Emit tanh |x| = m / (m + 2), m = exp(2 |x|) - 1, exact to all digits for small x.

    2 |x| = k ln 2 + r, k whole and |r| <= ln 2 / 2; m = 2^k (exp(r) - 1) + (2^k - 1). Adding 1.5
    times 2^mantissa rounds to a whole number, which the last bits then are. A NaN stays one:
    comparisons with it are false, and it is never converted to an integer.
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


@in_registers(_emit_tanh)
def tile_tanh(acc):
    """tanh(acc), within a few units in the last place; NaN stays NaN."""
    return np.tanh(acc)


def _emit_store(e, acc, out, at, stride, step):
    for r, p in e.positions():
        e.store(e.get(acc, r, p), out, at, e.times(r, stride), p * step * e.lanes)


@in_registers(_emit_store, gives_tile=False)
def tile_store(acc, out, at, stride, step):
    """out[at + r stride + p step L : ... + L] = acc[r, p]."""
    rows, columns, lanes = acc.shape
    for r in range(rows):
        for p in range(columns):
            out.reshape(-1)[at + r * stride + p * step * lanes :][:lanes] = acc[r, p]


def _emit_fetch(e, acc, x, at, stride):
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    fetch = cgutils.get_or_insert_function(e.builder.module, kind, "llvm.prefetch.p0")
    how = [ir.Constant(number, n) for n in (0, 3, 1)]  # to read, into the nearest cache, data
    for r, p in e.positions():
        place = e.pointer(x, at, e.times(r, stride), p * e.lanes)
        e.builder.call(fetch, [e.builder.bitcast(place, byte), *how])


@in_registers(_emit_fetch, gives_tile=False)
def tile_fetch(acc, x, at, stride):
    """Bring x[at + r stride + p L : ... + L] into the nearest cache: it is used soon.

    A load or store would wait for it, and in the end all that follows. Nothing happens to a place
    beyond x.
    """


def _emit_add(e, acc, out, at, stride):
    for r, p in e.positions():
        place = at, e.times(r, stride), p * e.lanes
        e.store(e.builder.fadd(e.load(out, *place), e.get(acc, r, p)), out, *place)


@in_registers(_emit_add, gives_tile=False)
def tile_add(acc, out, at, stride):
    """out[at + r stride + p L : ... + L] += acc[r, p]."""
    rows, columns, lanes = acc.shape
    for r in range(rows):
        out.reshape(-1)[at + r * stride :][: columns * lanes] += acc[r].reshape(-1)


def _emit_sums(e, acc, out, at):
    vectors = [e.get(acc, r, p) for r, p in e.positions()]
    halves = [
        ir.Constant(ir.VectorType(ir.IntType(32), e.lanes), list(range(odd, 2 * e.lanes, 2)))
        for odd in (0, 1)
    ]
    # Add neighbouring lanes, making one vector of two, until each sum is one number.
    for _ in range(e.lanes.bit_length() - 1):
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [
            e.builder.fadd(*(e.builder.shuffle_vector(a, b, half) for half in halves))
            for a, b in pairs
        ]
    for i, vector in enumerate(vectors):
        e.store(vector, out, at, i * e.lanes)


@in_registers(_emit_sums, gives_tile=False)
def tile_sums(acc, out, at):
    """out[at + i] = the sum of the lanes of vector i; there must be a multiple of L vectors."""
    sums = acc.sum(axis=2).reshape(-1)
    out.reshape(-1)[at : at + sums.size] = sums
