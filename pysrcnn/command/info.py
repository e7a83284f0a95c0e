"""``pysrcnn info``: versions, processor, threads and shipped weights."""

import argparse
import importlib.metadata
import os
import platform
import textwrap

import numba

from .. import kernels
from .._printing import known
from .._version import __version__
from ..networks import load
from ..networks.loading import shipped_files
from .common import Commands

__all__ = ["add", "run"]

_INDENT, _WIDTH = 17, 80  # columns


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
    for path, label in shipped_files().items():
        card = load(path).card
        recipe = card.get("recipe")
        degraded = isinstance(recipe, dict) and recipe.get("degradation")
        data = known(card.get("data")) + (", degraded" if degraded else "")
        scores = [f"{name} {value:.2f} dB" for name, value in _psnr(card).items()]
        lines = _wrapped(data, scores)
        print(f"  {label}".ljust(_INDENT) + ("\n" + " " * _INDENT).join(lines))
    return 0


def _wrapped(data: str, scores: list[str]) -> list[str]:
    """ "data; score; score", in lines that are broken between scores, and in data if need be."""
    lines = textwrap.wrap(data, _WIDTH - _INDENT) or ["unknown"]
    for part in scores:
        joined = f"{lines[-1]}; {part}"
        if len(joined) <= _WIDTH - _INDENT:
            lines[-1] = joined
        else:
            lines[-1] += ";"
            lines.append(part)
    return lines


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
