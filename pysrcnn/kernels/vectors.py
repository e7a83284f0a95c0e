"""The processor's vectors, and the shapes of the register tiles that go with them.

All widths of vectors share one source of the kernels.
"""

import os
import platform

import llvmlite.binding

# Bytes per vector and shapes of tiles, (filters, vectors), by what the processor has. The sums of a
# tile, its vectors of input and a weight must fit into the registers. The large shape serves as
# many filters as it divides, the next ones the rest: five filters, as in the last layer of most
# networks (see `fused`), then single ones.
WIDTHS = {
    "avx512": (64, (8, 3), (5, 4), (1, 8)),  # 32 registers; weights come straight from memory
    "avx2": (32, (4, 3), (5, 2), (1, 8)),  # 16 registers
    "neon": (16, (8, 3), (5, 4), (1, 8)),  # 32 registers
    "plain": (16, (4, 3), (5, 2), (1, 8)),  # 16 registers, or whatever LLVM makes of it elsewhere
}


_ARM = platform.machine().lower() in ("arm64", "aarch64")


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
    return "neon" if _ARM else "plain"


VECTORS = _width()
# Whether the processor multiplies and adds with one rounding, whatever the width of vectors.
FUSED = _ARM or bool(llvmlite.binding.get_host_cpu_features().get("fma"))
VECTOR_BYTES, (ROWS, COLUMNS), (FEW, FEW_COLUMNS), (ONE, NARROW) = WIDTHS[VECTORS]
REGISTERS = 32 if VECTORS in ("avx512", "neon") else 16
# Where vectors are of filters and rows are pixels (see `channels`): tiles SHORT x WIDE, TALL x 2
# and TALL x 1, and REST pixels for what is left of a row.
SHORT, WIDE, TALL = (6, 4, 12) if REGISTERS == 32 else (4, 3, 6)
REST = 3
