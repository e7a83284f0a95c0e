"""Sparse codes, compiled: a block of patches at a time, whose codes never leave the cache.

Both products of a step of FISTA, D z and D^T r, are 1 x 1 convolutions if patches are taken as the
pixels of a row and atoms as channels. `rows.convolve_row` computes them; one pass over the codes
per step is all that is left. The codes of a whole picture would take gigabytes: if only the patches
that they stand for are wanted, these are made block by block.

A patch goes through the same instructions wherever it is: its result is the same to the bit.

Axes: D entries of a feature, A atoms, G entries of a patch, n patches, L lanes.
"""

import numpy as np

from .compile import compiled
from .inputs import contiguous
from .memory import aligned
from .rows import LINEAR, convolve_row, pack_weights
from .threads import share
from .vectors import COLUMNS, VECTOR_BYTES

BLOCKS = 16  # blocks that a thread computes at a time


def sparse_codes(y, dictionary, penalty, momentum):
    """See `pysrcnn.networks.sparse.sparse_codes`."""
    return _solved(y, dictionary, None, penalty, momentum)


def sparse_patches(y, dictionary, high, penalty, momentum):
    """See `pysrcnn.networks.sparse.sparse_patches`."""
    return _solved(y, dictionary, high, penalty, momentum)


def _solved(y, dictionary, high, penalty, momentum):
    """Return codes (A, n) if `high` is None, else patches (G, n) = high (G, A) codes."""
    y, dictionary, *rest = contiguous(y, dictionary, *([] if high is None else [high]))
    (entries, atoms), n = dictionary.shape, y.shape[-1]
    if y.shape != (entries, n):
        raise ValueError(f"y has the shape {y.shape}, wanted ({entries}, n) for this dictionary")
    if high is not None and (high.ndim != 2 or high.shape[1] != atoms):
        raise ValueError(f"high has the shape {high.shape}, wanted (G, {atoms})")
    largest = np.linalg.norm(dictionary.astype(np.float64), 2) ** 2
    forth = pack_weights(-dictionary)
    back = pack_weights((dictionary.T / largest).astype(y.dtype))
    threshold = y.dtype.type(penalty / largest)
    momentum = np.asarray(momentum, y.dtype)
    packed = None if high is None else pack_weights(rest[0])
    out = np.empty((atoms if high is None else len(high), n), y.dtype)
    plane = COLUMNS * VECTOR_BYTES // y.itemsize
    spare = 8 * VECTOR_BYTES // y.itemsize  # a tile of a single filter may read this far beyond
    size = (3 * atoms + 2 * entries + len(out)) * plane + spare

    def work(tasks):
        memory = aligned((size,), y.dtype)
        memory[:] = 0
        for first in tasks:
            end = min(first + BLOCKS * plane, n)
            _blocks(y, forth, back, packed, threshold, momentum, out, first, end, plane, memory)

    share(range(0, n, BLOCKS * plane), work)
    return out


@compiled()
def _blocks(y, forth, back, high, threshold, momentum, out, first, end, plane, memory):
    """Solve patches first to end, `plane` at a time; forth: -D, back: D^T / ||D||^2, packed."""
    entries = y.shape[0]
    atoms = back.size // entries
    zeros = np.zeros(max(atoms, entries, out.shape[0]), y.dtype)
    places = np.arange(max(atoms, entries)) * plane
    at_z, at_code, at_change = 0, atoms * plane, 2 * atoms * plane
    at_y = 3 * atoms * plane
    at_rest = at_y + entries * plane
    at_patch = at_rest + entries * plane
    z, code = memory[:at_code], memory[at_code:at_change]
    change = memory[at_change:at_y]
    known, rest = memory[at_y:at_rest], memory[at_rest:at_patch]
    for start in range(first, end, plane):
        count = min(plane, end - start)
        for d in range(entries):
            for j in range(count):
                known[d * plane + j] = y[d, start + j]
        z[:] = 0
        code[:] = 0
        for k in range(momentum.size):
            if k == 0:
                rest[:] = known
            else:  # y - D z
                to = (memory, at_rest, plane)
                bias = zeros[:entries]
                convolve_row(memory, at_z, places[:atoms], forth, bias, LINEAR, to, COLUMNS)
                for i in range(rest.size):
                    rest[i] += known[i]
            to = (memory, at_change, plane)
            bias = zeros[:atoms]
            convolve_row(memory, at_rest, places[:entries], back, bias, LINEAR, to, COLUMNS)
            onward = momentum[k]
            for i in range(z.size):
                v = z[i] + change[i]
                new = v - min(max(v, -threshold), threshold)
                z[i] = new + onward * (new - code[i])
                code[i] = new
        if high is None:
            for o in range(atoms):
                for j in range(count):
                    out[o, start + j] = code[o * plane + j]
        else:
            to = (memory, at_patch, plane)
            bias = zeros[: out.shape[0]]
            convolve_row(memory, at_code, places[:atoms], high, bias, LINEAR, to, COLUMNS)
            for o in range(out.shape[0]):
                for j in range(count):
                    out[o, start + j] = memory[at_patch + o * plane + j]
