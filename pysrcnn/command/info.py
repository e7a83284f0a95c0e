"""``pysrcnn info``: show versions, processor, threads and shipped weights; or describe weights."""

import argparse
import importlib.metadata
import os
import platform
import textwrap
from pathlib import Path

import numba

from .. import kernels
from .._files import told
from .._printing import known, say
from .._version import __version__
from ..networks import load, shipped
from ..networks.loading import shipped_files
from .about import described, psnr
from .common import Commands, complain

__all__ = ["add", "run"]

_INDENT, _WIDTH = 17, 80  # columns


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "info", help="show versions, processor, threads and shipped weights; or describe weights"
    )
    command.add_argument(
        "files", nargs="*", metavar="FILE",
        help="files of weights, or shipped ones by name: shows which network each holds and how it "
        "was trained",
    )  # fmt: skip
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    if options.files:
        return max([_describe(name) for name in options.files])
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
        scores = [f"{name} {value:.2f} dB" for name, value in psnr(card).items()]
        lines = _wrapped(data, scores)
        print(f"  {label}".ljust(_INDENT) + ("\n" + " " * _INDENT).join(lines))
    return 0


def _describe(name: str) -> int:
    """Describe a file, or all shipped ones of that name; print errors; return the exit code."""
    paths = dict.fromkeys(path for (called, _), path in shipped().items() if called == name)
    for path in paths or [Path(name)]:
        try:
            network = load(path)
            rows = list(described(network, path))
        except (OSError, ValueError, TypeError, ModuleNotFoundError) as error:
            return complain(told(error) if isinstance(error, OSError) else error, 2)
        say(shipped_files().get(path, str(path)))
        for row, value in rows:
            lines = textwrap.wrap(value, _WIDTH - _INDENT) or [""]
            say(f"  {row}".ljust(_INDENT) + lines[0])
            for line in lines[1:]:
                say(" " * _INDENT + line)
    return 0


def _wrapped(data: str, scores: list[str]) -> list[str]:
    """Wrap "data; score; score" into lines, between scores and, if need be, within `data`."""
    lines = textwrap.wrap(data, _WIDTH - _INDENT) or ["unknown"]
    for part in scores:
        joined = f"{lines[-1]}; {part}"
        if len(joined) <= _WIDTH - _INDENT:
            lines[-1] = joined
        else:
            lines[-1] += ";"
            lines.append(part)
    return lines


def _cpu_name() -> str:
    """Return the name of the processor that code is compiled for."""
    import llvmlite.binding

    return vars(numba.config)["CPU_NAME"] or llvmlite.binding.get_host_cpu_name()
