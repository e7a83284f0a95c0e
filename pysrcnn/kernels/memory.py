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
        self.arrays = {}

    def array(self, name, shape, dtype):
        """An aligned array under a name; what it holds is left from before."""
        size = math.prod(shape)
        whole = self.arrays.get((name, dtype))
        if whole is None or whole.size < size:
            whole = self.arrays[name, dtype] = aligned((size,), dtype)
        return whole[:size].reshape(shape)

    def bordered(self, name, shape, border, dtype):
        """The same, (B, C, H + 2 border, W + 2 border, L), with a border of zeros."""
        blocks, channels, height, width, lanes = shape
        shape = (blocks, channels, height + 2 * border, width + 2 * border, lanes)
        x = self.array(name, shape, dtype)
        if border:
            x[:, :, :border] = x[:, :, -border:] = 0
            x[:, :, :, :border] = x[:, :, :, -border:] = 0
        return x
