"""The networks that are measured: shipped ones and, to be timed, some with random weights."""

from collections.abc import Callable
from pathlib import Path

from pysrcnn import SRCNN, kernels, load
from pysrcnn.networks import DRCN, EDSR, VDSR, Network, SRResNet, shipped

# Deep networks of the shipped sizes; edsr-baseline and srresnet as in their papers, with a tail
# that enlarges maps.
UNTRAINED: dict[str, Callable] = {
    "vdsr": lambda scale, ops: VDSR(ops=ops),
    "drcn": lambda scale, ops: DRCN(9, 64, ops=ops),
    "edsr-s": lambda scale, ops: EDSR(scale, 8, 48, ops=ops),
    "edsr": lambda scale, ops: EDSR(scale, 16, 64, ops=ops),
    "edsr-baseline": lambda scale, ops: EDSR(scale, 16, 64, short_tail=False, ops=ops),
    "srresnet": lambda scale, ops: SRResNet(scale, 16, 64, 3, picture=False, ops=ops),
}
_SCALES = {"srresnet": 4}  # the only scale of its paper; all others are timed at x3


def of_pictures() -> dict[tuple[str, int], Path]:
    """Return the shipped weights of networks that take a single picture, as `shipped` does."""
    return {one: path for one, path in shipped().items() if load(*one).frames == 1}


def network(name: str, scale: int | None = None, ops=kernels) -> Network:
    """Return a network with shipped weights or, as the time is the same, with random ones.

    scale: by default 3, and 4 for SRResNet. Batch normalisation is folded into the convolutions, as
    in practice.
    """
    scale = scale or _SCALES.get(name, 3)
    if (name, scale) in shipped():
        found = load(name, scale, ops=ops)
    elif name in UNTRAINED:
        found = UNTRAINED[name](scale, ops)
    else:
        sizes = tuple(int(f) for f in name.split("-"))
        found = SRCNN.from_stack(sizes, (64, 32), init="he", seed=0, ops=ops)
    return found.folded() if isinstance(found, SRResNet) else found
