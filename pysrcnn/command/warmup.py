"""``pysrcnn warmup``: everything compiled now, so that later runs need not."""

import argparse
import time

import numpy as np

from .. import kernels
from ..networks import SRCNN
from ..upscaling.upscale import upscale
from .common import Commands

__all__ = ["add", "run"]


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "warmup", help="compile everything now, so that later runs need not"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it: the exit code."""
    began = time.perf_counter()
    for network in (SRCNN(), SRCNN(f2=5)):  # with and without layers that are transformed
        for dtype in (np.uint8, np.uint16, np.float32, np.float64):
            upscale(np.zeros((8, 8), dtype), 2, network)
    upscale(np.zeros((8, 8), np.uint8), 3, "sc")
    rng = np.random.default_rng(0)
    for network in (SRCNN(), SRCNN(f2=5)):
        inner = 33 - 2 * network.margin
        network.loss_and_gradients(rng.random((1, 1, 33, 33)), rng.random((1, 1, inner, inner)))
    print(f"compiled for {kernels.VECTORS} vectors in {time.perf_counter() - began:.1f} s")
    return 0
