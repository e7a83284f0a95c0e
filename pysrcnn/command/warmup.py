"""``pysrcnn warmup``: compile everything now, so that later runs need not."""

import argparse
import time

import numpy as np

from .. import kernels
from ..networks import TRAINED, load, shipped
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
    """Run the command and return the exit code."""
    began = time.perf_counter()
    # One scale of each network is enough, as the code is the same for all.
    weights = [load(name, scale) for name, scale in dict(shipped().keys()).items()]
    for network in (*weights, *(kind() for kind in TRAINED.values())):
        for dtype in (np.uint8, np.uint16, np.float32, np.float64):
            upscale(np.zeros((8, 8), dtype), network.scale or 2, network)
        if isinstance(network, tuple(TRAINED.values())):
            low = np.zeros((1, network.c, 36, 36))  # a multiple of 4, for VESPCN
            network.loss_and_gradients(low, network.forward(low))
    print(f"compiled for {kernels.VECTORS} vectors in {time.perf_counter() - began:.1f} s")
    return 0
