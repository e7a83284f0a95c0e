"""The network of repair 12: a single layer applied repeatedly."""

from typing import Any, ClassVar

import numpy as np

from .. import reference
from ..networks import Network
from ..networks.parameters import Parameters

__all__ = ["Recursion"]


def forward(x: np.ndarray, p: Parameters, ops: Any, kept: list | None = None) -> np.ndarray:
    """H_D, where H_d = max(0, W * H_{d-1} + B) and H_0 = x."""
    h = x
    for _ in range(Recursion.times):
        if kept is not None:
            kept.append(h)
        h = ops.conv_relu(h, p["W"], p["B"])
    if kept is not None:
        kept.append(h)
    return h


def backward(
    dout: np.ndarray, kept: list, p: Parameters, ops: Any
) -> tuple[np.ndarray, Parameters]:
    """Return dx and the gradients of W and B."""
    g: dict[str, Any] = {"W": 0, "B": 0}
    dh = dout
    for d in reversed(range(Recursion.times)):
        dh, dw, db = ops.conv_relu_backward(dh, kept[d + 1], kept[d], p["W"])
        g["W"], g["B"] = g["W"] + dw, g["B"] + db  # shared weights: a sum
    return dh, g


class Recursion(Network):
    """The network, with three channels, in float64, for a case of `gradcheck`."""

    name, c, ops = "recursion", 3, reference
    times: ClassVar[int] = 3
    _forward, _backward = staticmethod(forward), staticmethod(backward)

    def __init__(self) -> None:
        self.parameters = {"W": np.zeros((3, 3, 3, 3)), "B": np.zeros(3)}
        self.card, self.options, self.scale = {}, {}, None
