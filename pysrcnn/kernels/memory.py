"""Memory for the kernels: aligned to vectors, and kept where it is needed repeatedly."""

import math
import threading

import numpy as np

from .vectors import VECTOR_BYTES


def aligned(shape, dtype):
    """``np.empty`` aligned to vectors, so that none of them crosses a boundary of cache lines."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    piece = np.empty(size + VECTOR_BYTES, np.uint8)
    begin = -piece.ctypes.data % VECTOR_BYTES
    return piece[begin : begin + size].view(dtype).reshape(shape)


class Memory(threading.local):
    """Arrays that successive steps of training work in; each thread has its own.

    The system provides memory page by page, at the first touch, and is slow to take it back: in new
    arrays a step took twice as long.
    """

    def __init__(self):
        self.arrays, self.kinds = {}, {}

    def array(self, name, shape, dtype):
        """Return an aligned array under a name; it still holds what was written to it before."""
        size = math.prod(shape)
        whole = self.arrays.get((name, dtype))
        if whole is None or whole.size < size:
            whole = self.arrays[name, dtype] = aligned((size,), dtype)
        return whole[:size].reshape(shape)

    def bordered(self, name, shape, border, sides, dtype):
        """Return such an array, (N, H', W', C'), zero except the H x W pixels inside its border.

        Callers leave all else zero, so it is cleared only for another shape or for more samples.
        """
        x = self.array(name, shape, dtype)
        kind = shape[1:], border, sides
        known, samples = self.kinds.get((name, dtype), (None, 0))
        if known != kind or samples < shape[0]:
            x[...] = 0
            self.kinds[name, dtype] = kind, shape[0]
        return x
