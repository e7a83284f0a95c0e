"""Winograd's transforms of tiles, as straight-line code written from the matrices.

Multiply-adds of every entry of a matrix would take three times as long: most entries are 0 or 1,
and rows (or columns) come in pairs that differ only in signs, as for the points p and -p, and share
their halves. With e the sum of the terms whose signs agree and o that of the others, the two are
e + o and e - o.

Here a tile, see `tile`, is n x n vectors: its elements are pixels or points, and its lanes are
tiles or channels that are transformed at the same time.

Axes: L lanes, the numbers of a vector; n points along a side.
"""

import numpy as np

from .emit import in_registers
from .vectors import VECTOR_BYTES
from .winograd import fractions

TO_POINTS, FROM_POINTS, SPREAD, FILTERS, BACK_TO_FILTERS = range(5)  # B, A, A', G and G'


def _matrix(which, taps):
    a, g, b = fractions(taps)
    return (b, a, a.T, g, g.T)[which]


def _emit_total(e, terms):
    """Emit the sum of (factor, vector) products, of which at least one factor is not 0."""
    terms = sorted([term for term in terms if term[0]], key=lambda term: term[0] != 1)
    factor, total = terms[0]
    if factor != 1:
        total = e.builder.fmul(e.same(float(factor)), total)
    for factor, vector in terms[1:]:
        if factor == 1:
            total = e.builder.fadd(total, vector)
        elif factor == -1:
            total = e.builder.fsub(total, vector)
        else:
            total = e.multiply_add(e.same(float(factor)), vector, total)
    return total


def _partners(rows):
    """Return pairs {i: j} of rows that differ in the signs of some entries, but not of all."""
    found: dict[int, int] = {}
    for i, row in enumerate(rows):
        for j in range(i + 1, len(rows)):
            other = rows[j]
            used = {i, j} & {*found, *found.values()}
            if not used and (abs(row) == abs(other)).all() and np.count_nonzero(row) > 1:
                if ((row == other) & (row != 0)).any() and (row != other).any():
                    found[i] = j
    return found


def _emit_product(e, matrix, vectors):
    """Emit the product of a matrix and a column of vectors."""
    b = e.builder
    # Columns in pairs: of v and v', rows with equal signs take v + v', the others v - v'.
    columns, taken = [], []
    pairs = _partners(matrix.T)
    for i, vector in enumerate(vectors):
        if i in pairs:
            other, same = vectors[pairs[i]], matrix[:, i] == matrix[:, pairs[i]]
            taken += [b.fadd(vector, other), b.fsub(vector, other)]
            columns += [np.where(same, matrix[:, i], 0), np.where(same, 0, matrix[:, i])]
        elif i not in pairs.values():
            taken.append(vector)
            columns.append(matrix[:, i])
    rows = np.array(columns).T
    pairs = _partners(rows)
    out = {}
    for i, row in enumerate(rows):
        if i in pairs:
            same = row == rows[pairs[i]]
            even = _emit_total(e, zip(np.where(same, row, 0), taken, strict=True))
            odd = _emit_total(e, zip(np.where(same, 0, row), taken, strict=True))
            out[i], out[pairs[i]] = b.fadd(even, odd), b.fsub(even, odd)
        elif i not in pairs.values():
            out[i] = _emit_total(e, zip(row, taken, strict=True))
    return [out[i] for i in range(len(rows))]


def _emit_transform(e, acc, which, taps):
    matrix = _matrix(which, taps)
    columns = [
        _emit_product(e, matrix, [e.get(acc, r, p) for r in range(e.rows)])
        for p in range(e.columns)
    ]
    rows = [_emit_product(e, matrix, list(row)) for row in zip(*columns, strict=True)]
    return e.tile([vector for row in rows for vector in row])


def _transformed(which, taps):
    return (len(_matrix(which, taps)),) * 2


@in_registers(_emit_transform, shape=_transformed)
def tile_transform(acc, which, taps):
    """M acc M', where M is one of the matrices of F(4, taps): B, A, A', G or G'."""
    matrix = _matrix(which, taps).astype(np.float64)
    return np.einsum("iu,uvl,jv->ijl", matrix, acc, matrix).astype(acc.dtype)


def _emit_apply(e, acc, which, taps):
    columns = [
        _emit_product(e, _matrix(which, taps), [e.get(acc, r, p) for r in range(e.rows)])
        for p in range(e.columns)
    ]
    return e.tile([vector for row in zip(*columns, strict=True) for vector in row])


def _applied(which, taps):
    return len(_matrix(which, taps)), None


@in_registers(_emit_apply, shape=_applied)
def tile_apply(acc, which, taps):
    """M acc, for columns of vectors, where M is one of the matrices of F(4, taps)."""
    matrix = _matrix(which, taps).astype(np.float64)
    return np.einsum("iu,upl->ipl", matrix, acc).astype(acc.dtype)


def _emit_correlate_points(e, acc, x, at, apart, w, k, filters):
    count = e.columns // filters  # of vectors
    terms = {}
    for r in range(e.rows):
        points = [e.load(x, at, e.times(r, apart), v * e.lanes) for v in range(count)]
        weights = [e.broadcast(w, k, r * filters + f) for f in range(filters)]
        for p in range(e.columns):
            term = weights[p // count], points[p % count]
            terms[r, p] = e.multiply_add(*term, e.get(acc, r, p))
    return e.tile([terms[place] for place in e.positions()])


@in_registers(_emit_correlate_points)
def tile_correlate_points(acc, x, at, apart, w, k, filters):
    """Add a term to sums of several filters and vectors; a row of the tile is a point.

    acc[r, f V + v] += w[k + r filters + f] x[at + r apart + v L : ... + L], V vectors.
    """
    rows, columns, lanes = acc.shape
    numbers = w.reshape(-1)[k : k + rows * filters].reshape(rows, filters, 1, 1)
    places = at + np.arange(rows)[:, None] * apart + np.arange(columns // filters * lanes)
    points = x.reshape(-1)[places].reshape(rows, 1, -1, lanes)
    return acc + (numbers * points).reshape(acc.shape)


def _offsets(e, rows, columns):
    """Return the offsets (down, across) of each vector of a tile from its position."""
    down = [e.builder.load(e.pointer(rows, r)) for r in range(e.rows)]
    across = [e.builder.load(e.pointer(columns, p)) for p in range(e.columns)]
    return [(down[r], across[p]) for r, p in e.positions()]


def _emit_gather(e, x, at, rows, columns, *_):
    return e.tile([e.load(x, at, *place) for place in _offsets(e, rows, columns)])


@in_registers(_emit_gather)
def tile_gather(x, at, rows, columns, height, width):
    """A new tile of vectors of x, acc[r, p] = x[at + rows[r] + columns[p] : ... + L]."""
    lanes = VECTOR_BYTES // x.itemsize
    places = at + rows[:height, None, None] + columns[:width, None] + np.arange(lanes)
    return x.reshape(-1)[places]


def _emit_plus_numbers(e, acc, x, at, rows, columns, w, k):
    vector = e.load(w, k)
    numbers = [e.broadcast(x, at, *place) for place in _offsets(e, rows, columns)]
    return e.tile(
        [
            e.multiply_add(number, vector, e.get(acc, r, p))
            for number, (r, p) in zip(numbers, e.positions(), strict=True)
        ]
    )


@in_registers(_emit_plus_numbers)
def tile_plus_numbers(acc, x, at, rows, columns, w, k):
    """acc[r, p] + x[at + rows[r] + columns[p]] w[k : k + L]."""
    height, width, lanes = acc.shape
    numbers = x.reshape(-1)[at + rows[:height, None] + columns[:width]]
    return acc + numbers[..., None] * w.reshape(-1)[k:][:lanes]


def _emit_scatter(e, acc, out, at, rows, columns):
    places = _offsets(e, rows, columns)
    for place, (r, p) in zip(places, e.positions(), strict=True):
        e.store(e.get(acc, r, p), out, at, *place)


@in_registers(_emit_scatter, gives_tile=False)
def tile_scatter(acc, out, at, rows, columns):
    """out[at + rows[r] + columns[p] : ... + L] = acc[r, p]."""
    for r in range(acc.shape[0]):
        for p in range(acc.shape[1]):
            out.reshape(-1)[at + rows[r] + columns[p] :][: acc.shape[2]] = acc[r, p]


def _emit_load_apart(e, x, at, apart, *_):
    return e.tile([e.load(x, at, e.times(r * e.columns + p, apart)) for r, p in e.positions()])


@in_registers(_emit_load_apart)
def tile_load_apart(x, at, apart, rows, columns):
    """A new tile of vectors that lie `apart` from each other, from x[at] on."""
    lanes = VECTOR_BYTES // x.itemsize
    places = at + np.arange(rows * columns)[:, None] * apart + np.arange(lanes)
    return x.reshape(-1)[places].reshape(rows, columns, lanes)


def _emit_store_apart(e, acc, out, at, apart):
    for r, p in e.positions():
        e.store(e.get(acc, r, p), out, at, e.times(r * e.columns + p, apart))


@in_registers(_emit_store_apart, gives_tile=False)
def tile_store_apart(acc, out, at, apart):
    """Store the vectors of a tile in order, `apart` from each other, from out[at] on."""
    rows, columns, lanes = acc.shape
    for i, vector in enumerate(acc.reshape(-1, lanes)):
        out.reshape(-1)[at + i * apart :][:lanes] = vector
