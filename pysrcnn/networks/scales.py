"""Scales: the factors by which networks can enlarge, and the one a network was trained for."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .network import Network

__all__ = ["LARGEST", "check_scale", "other_scale", "own_scale"]

LARGEST = 16


def check_scale(scale: object) -> None:
    """Raise a ValueError unless a network can enlarge by this factor."""
    if not isinstance(scale, (int, np.integer)) or not 2 <= scale <= LARGEST:
        raise ValueError(f"scale is a whole number, 2 to {LARGEST}; got {scale!r:.60}")


def other_scale(called: object, known: int, wanted: object) -> ValueError:
    """Return the error for weights that were trained for another scale than is wanted."""
    return ValueError(
        f"{called} was trained for scale {known}, not {wanted!s:.60}, and weights work only at "
        f"their own: enlarge by that, or take other weights"
    )


def own_scale(network: "Network", scale: int | None) -> int:
    """Return the scale a network was trained for, or `scale` if it does not state one.

    Raises
    ------
    ValueError
        If it was trained for another scale than `scale`, or neither is known.
    """
    known = network.scale
    if known is None:
        if scale is None and network.scales:
            raise ValueError(f"the network is for scales {network.scales}: give one of them")
        if scale is None:
            raise ValueError(
                "the network does not say what scale it was trained for: give it, scale=2, 3 or 4"
            )
        return scale
    if scale not in (None, known):
        raise other_scale("the network", known, repr(scale))
    return known
