"""The skip connections of a network, which lead past its layers."""

from typing import NamedTuple

from ..networks import DRCN, EDSR, VDSR, Network, SRResNet

__all__ = ["Skip", "skips"]


class Skip(NamedTuple):
    """A skip from the input of the layer `begins` to the sum with the output of the layer `beside`.

    words : its description; begins, beside : names of weights; factor : multiplies that output.
    """

    words: str
    begins: str
    beside: str
    factor: float = 1.0


def skips(network: Network) -> list[Skip]:
    """The skips of VDSR, DRCN, EDSR and SRResNet; none for other networks."""
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
