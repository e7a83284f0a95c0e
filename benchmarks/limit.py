"""How many multiply-adds a second can this machine do? A loop that does nothing else.

It keeps a register tile of the kernels' size and repeats a multiply-add on all of its elements,
without touching memory. No convolution by the direct sum can be faster.
"""

import time

import numba
import numpy as np
from llvmlite import ir
from numba import prange
from numba.extending import intrinsic

from pysrcnn.kernels import COLUMNS, ROWS, VECTOR_BYTES
from pysrcnn.kernels.tile import tile_start, tile_store

__all__ = ["multiply_add_limit"]

LANES = VECTOR_BYTES // 4  # of float32
ROUNDS = 2_000_000  # of one multiply-add on every vector of the tile: some milliseconds


@intrinsic
def _multiply_add(typing_context, tile, a, b):
    """Multiply every element of the tile by a and add b."""

    def codegen(context, builder, signature, arguments):
        kind, index = signature.args[0], ir.IntType(32)
        undefined = ir.Constant(kind.vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(index, kind.vector.count), None)
        value, *scalars = arguments
        factor, summand = (
            builder.shuffle_vector(
                builder.insert_element(undefined, scalar, ir.Constant(index, 0)), undefined, zeros
            )
            for scalar in scalars
        )
        # "contract" allows a fused multiply-add where the processor has it, as in the kernels.
        flags = ("contract",)
        for i in range(kind.rows * kind.columns):
            product = builder.fmul(builder.extract_value(value, i), factor, flags=flags)
            value = builder.insert_value(value, builder.fadd(product, summand, flags=flags), i)
        return value

    return tile(tile, a, b), codegen


@numba.njit(parallel=True)
def _loop(numbers, rounds, threads, out):
    for thread in prange(threads):
        # The tile converges to b / (1 - a) and stays there, so no value overflows or is denormal.
        tile = tile_start(numbers, 0, ROWS, COLUMNS)
        for _ in range(rounds):
            tile = _multiply_add(tile, numbers[ROWS], numbers[ROWS + 1])
        # Store the tile, so that the loop is not optimised away.
        tile_store(tile, out, thread * ROWS * COLUMNS * LANES, COLUMNS * LANES, 1)


def multiply_add_limit(threads: int, seconds: float = 0.3) -> float:
    """Return GFLOP/s in float32 of the fastest of several runs; a multiply-add counts as 2."""
    numba.set_num_threads(threads)
    numbers = np.full(ROWS + 2, 0.5, np.float32)
    out = np.zeros(threads * ROWS * COLUMNS * LANES, np.float32)
    _loop(numbers, 1, threads, out)  # compiles
    fastest, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        _loop(numbers, ROUNDS, threads, out)
        fastest = min(fastest, time.perf_counter() - began)
    if not np.allclose(out, 1):
        raise AssertionError("the loop did not compute what it should: its time means nothing")
    return 2 * out.size * ROUNDS / fastest / 1e9


if __name__ == "__main__":
    for count in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        print(f"{count} threads: {multiply_add_limit(count, 1.0):.0f} GFLOP/s")
