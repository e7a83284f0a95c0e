"""Memory for the kernels: aligned to vectors, and kept where it is needed repeatedly."""

import math
import threading
from collections import deque

import numpy as np

from .threads import in_children
from .vectors import VECTOR_BYTES

SMALL = 1 << 16  # bytes


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


class Pool:
    """Memory of deleted maps and arrays, for new ones of the same kind.

    Maps also save clearing it, which takes as long as a convolution: all but their pixels stays 0.
    """

    KEPT = 1 << 29  # bytes at most
    MOST = 1 << 30  # bytes with those in use, beyond which new memory takes the place of kept

    def __init__(self):
        self.clear()
        in_children(self.clear)

    def clear(self):
        """Forget all memory, and who held the lock."""
        self.free, self.size = {}, 0  # by kind, that given last at the end
        self.used = 0  # bytes that were taken and not given back
        # The garbage collector may give memory while some is taken or given, in the same thread.
        self.given: deque = deque()
        self.lock = threading.Lock()

    def take(self, kind, size):
        """Return memory of so many bytes that was given as of this kind; None to make it new."""
        with self.lock:
            self._sort()
            self.used += size
            if same := self.free.get(kind):
                self.size -= size
                return same.pop()
            while self.size and self.size + self.used > self.MOST:
                self._drop()
        return None

    def give(self, kind, data):
        """Take back memory that is no longer used."""
        self.given.append((kind, data))
        if self.lock.acquire(blocking=False):  # who holds it now, or is the next to, does the rest
            try:
                self._sort()
            finally:
                self.lock.release()

    def _sort(self):
        while self.given:
            kind, data = self.given.popleft()
            self.used -= data.nbytes
            if data.nbytes <= self.KEPT:
                self.free[kind] = [*self.free.pop(kind, []), data]
                self.size += data.nbytes
        while self.size > self.KEPT:  # other kinds are wanted now
            self._drop()

    def _drop(self):
        """Drop the memory that was given the longest ago, as far as kinds tell."""
        oldest, kept = next(iter(self.free.items()))
        if kept:
            self.size -= kept.pop(0).nbytes
        else:
            del self.free[oldest]


pool = Pool()


class _Lent:
    """Memory of an array that an operation returned, given back when its last view is deleted."""

    def __init__(self, memory):
        self.memory, self.__array_interface__ = memory, memory.__array_interface__

    def __del__(self):
        pool.give(self.memory.nbytes, self.memory)


def empty(shape, dtype):
    """``np.empty`` for results, in the memory of deleted ones.

    The system provides memory page by page, at the first touch, which takes longer than many
    operations. It keeps small pieces itself.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < SMALL:
        return np.empty(shape, dtype)
    memory = pool.take(size, size)
    lent = _Lent(aligned((size,), np.uint8) if memory is None else memory)
    return np.asarray(lent).view(dtype).reshape(shape)
