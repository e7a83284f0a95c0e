"""``pysrcnn info``: versions, processor, threads and shipped weights."""

import argparse
import importlib.metadata
import os
import platform

import numba

from .. import kernels
from .._printing import known
from .._version import __version__
from ..networks import load, shipped
from .common import Commands

__all__ = ["add", "run"]


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "info", help="show versions, processor, threads and shipped weights"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it: the exit code."""
    rows = [("pysrcnn", __version__), ("python", platform.python_version())]
    rows += [(n, importlib.metadata.version(n)) for n in ("numpy", "scipy", "imageio", "numba")]
    rows += [
        ("system", platform.platform(terse=True)),
        ("processor", f"{platform.machine()}, {_cpu_name()}"),
        (
            "vectors",
            f"{kernels.VECTORS}, {kernels.VECTOR_BYTES * 8} bits, "
            f"tile of {kernels.ROWS} x {kernels.COLUMNS}",
        ),
        ("threads", f"{numba.get_num_threads()} of {os.cpu_count()}"),
    ]
    for name, value in rows:
        print(f"{name:<12}{value}")
    print("weights")
    for (name, scale), path in shipped().items():
        card = load(path).card
        scores = "".join(f"; {k} {v:.2f} dB" for k, v in _psnr(card).items())
        recipe = card.get("recipe")
        degraded = isinstance(recipe, dict) and recipe.get("degradation")
        data = known(card.get("data")) + (", degraded" if degraded else "")
        line = f"  {name + f' x{scale}':<15}{data}{scores}"
        if len(line) > 80:
            line = line.replace("; ", ";\n" + " " * 17, 1)
        print(line)
    return 0


def _psnr(card: dict) -> dict[str, float]:
    """What a card says of PSNR on sets of pictures, of which there may be anything."""
    scores = card.get("scores")
    found = {}
    for name, score in scores.items() if isinstance(scores, dict) else ():
        value = score.get("PSNR") if isinstance(score, dict) else None
        if isinstance(value, (int, float)) and abs(value) < 1000:
            found[known(name)] = value
    return found


def _cpu_name() -> str:
    """The processor that code is compiled for."""
    import llvmlite.binding

    return vars(numba.config)["CPU_NAME"] or llvmlite.binding.get_host_cpu_name()
