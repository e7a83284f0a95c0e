"""Memory for the kernels: aligned to vectors, and kept where it is needed again and again."""

import math
import threading

import numpy as np

from .vectors import VECTOR_BYTES


def aligned(shape, dtype):
    """``np.empty`` that begins on a boundary of vectors, so that none lies across two lines of the
    cache."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    piece = np.empty(size + VECTOR_BYTES, np.uint8)
    begin = -piece.ctypes.data % VECTOR_BYTES
    return piece[begin : begin + size].view(dtype).reshape(shape)


class Memory(threading.local):
    """Arrays that one step of training after the other works in; each thread has its own.

    The system hands new memory out page by page, at the first touch, and takes it back with much
    ado: in new arrays a step took twice as long.
    """

    def __init__(self):
        self.arrays, self.kinds = {}, {}

    def array(self, name, shape, dtype):
        """An aligned array under a name; what it holds is left from before."""
        size = math.prod(shape)
        whole = self.arrays.get((name, dtype))
        if whole is None or whole.size < size:
            whole = self.arrays[name, dtype] = aligned((size,), dtype)
        return whole[:size].reshape(shape)

    def bordered(self, name, shape, border, sides, dtype):
        """The same, (N, H', W', C'), zero but for the H x W pixels inside its border.

        Whoever writes there leaves the rest zero: where sides are those of the last time, nothing
        need be cleared.
        """
        x = self.array(name, shape, dtype)
        kind = shape[1:], border, sides
        known, samples = self.kinds.get((name, dtype), (None, 0))
        if known != kind or samples < shape[0]:
            x[...] = 0
            self.kinds[name, dtype] = kind, shape[0]
        return x
