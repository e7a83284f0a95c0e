"""Where a network has skips: ways past its layers."""

from typing import NamedTuple

from ..networks import DRCN, EDSR, VDSR, Network, SRResNet

__all__ = ["Skip", "skips"]


class Skip(NamedTuple):
    """A way from the input of the layer `begins` to the sum with what the layer `beside` gives.

    words : what it is called; begins, beside : names of weights; factor : of what is beside it.
    """

    words: str
    begins: str
    beside: str
    factor: float = 1.0


def skips(network: Network) -> list[Skip]:
    """The skips of a network whose skips are known."""
    if isinstance(network, VDSR):
        return [Skip("from the input to the output", "W1", f"W{network.depth}")]
    if isinstance(network, DRCN):
        return [Skip("from the input to the picture of each recursion", "W_in1", "W_out2")]
    if isinstance(network, (EDSR, SRResNet)):
        t = network.options.get("residual_scale", 1.0)
        blocks = [Skip(f"past block {k}", f"W{k}_1", f"W{k}_2", t)
                  for k in range(1, network.blocks + 1)]  # fmt: skip
        return [*blocks, Skip("past all blocks (the long one)", "W1_1", "W_body")]
    return []
