"""Which weights a training can start from, and what others are told."""

from collections.abc import Iterator

from .._printing import counted
from ..networks import DRCN, Network

__all__ = ["check_start"]


def check_start(network: Network, start: Network) -> None:
    """Raise a ValueError, in words, if a network cannot take the weights of another.

    All but its tail must be alike: the tail fits one scale, and is then reinitialised.
    """
    ours, theirs = (
        {name: p.shape for name, p in one.parameters.items() if name not in one.tail}
        for one in (network, start)
    )
    if ours == theirs and start.in_training == network.in_training:
        return
    pairs = zip(_facts(start), _facts(network), strict=False)
    given, wanted = next(pair for pair in pairs if pair[0] != pair[1])
    raise ValueError(
        f"the weights to start from have {given}, and the recipe wants {wanted}: give other "
        f"weights, or change the recipe"
    )


def _facts(network: Network) -> Iterator[str]:
    """Yield in words what must be alike; networks of one kind yield them in the same order."""
    yield f"the layers of {type(network).__name__}"
    yield counted(network.c, "channel")
    yield counted(network.frames, "frame")
    if network.small and not network.tail:
        yield f"a last layer for scale {network.scale}"
    filters = [network.parameters[n] for n in network.weights if n not in network.tail]
    yield counted(len(filters), "layer")
    for k, w in enumerate(filters, 1):
        size = " x ".join(map(str, w.shape[2:]))
        yield f"{counted(len(w), 'filter')} of {size} for {counted(w.shape[1], 'map')} in layer {k}"
    for name, value in network.in_training.items():
        yield f"the option {name} {value}"
    yield "batch normalisation" if network.statistics else "no batch normalisation"
    if isinstance(network, DRCN):
        yield counted(network.recursions, "recursion")
    yield f"the parameters {', '.join(network.parameters)}"
    for name, p in network.parameters.items():
        if name not in network.tail:
            yield f"{name} of the shape {p.shape}"
