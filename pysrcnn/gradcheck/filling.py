"""Draw the numbers of a case: the same in every program, and away from kinks.

Pixels are multiples of 1/256 and weights of 1/4096, which float32 holds exactly. Biases of layers
with ReLU put 0 into the widest gap between a filter's values. Where weights are used again, the gap
is that of their first use, so numbers are redrawn until no value is near a kink.
"""

from typing import Any

import numpy as np

from .. import reference
from ..networks import Network
from ..networks.composed import Composed
from .planted import Step

__all__ = ["drawn", "drawn_deep"]

NEAR = 2e-4  # least distance from a kink: more than float32 rounds


class _Filling:
    """`reference`, with convolutions that first fill in their weights and biases.

    bits: the generator; its raw numbers are the same in every version of NumPy.
    """

    def __init__(self, bits: np.random.PCG64, last: np.ndarray):
        self.bits, self.last = bits, last

    def __getattr__(self, name: str) -> Any:
        return getattr(reference, name)

    def multiples(self, shape: tuple[int, ...], smallest: int, count: int) -> np.ndarray:
        """Random multiples of 1/smallest in [0, count / smallest)."""
        raw = self.bits.random_raw(int(np.prod(shape))) >> np.uint64(32)
        return (raw % np.uint64(count)).reshape(shape).astype(np.float64) / smallest

    def conv2d(
        self, x: np.ndarray, w: np.ndarray, b: np.ndarray, padding: str = "valid"
    ) -> np.ndarray:
        limit = int(4096 * np.sqrt(6 / w[0].size))  # uniform, with the variance of He et al.
        w[...] = self.multiples(w.shape, 4096, 2 * limit + 1) - limit / 4096
        b[...] = 0
        if w is self.last:
            b[...] = self.multiples(b.shape, 4096, 820) - 410 / 4096
        else:
            b[...] = _biases_in_gaps(reference.conv2d(x, w, b, padding))
        return reference.conv2d(x, w, b, padding)


def drawn(
    net: Network, samples: int, size: tuple[int, int], bits: np.random.PCG64
) -> dict[str, np.ndarray]:
    """Draw low, high and the parameters, which are set in place as the network reaches them."""
    p = net.parameters
    ops = _Filling(bits, p[f"W{len(p) // 2}"])
    margin = net.margin if net.options["padding"] == "valid" else 0
    s = net.seen.resolution
    low = ops.multiples((samples, net.c, *(n + 2 * margin for n in size)), 256, 256)
    high = ops.multiples((samples, net.c, *(s * n for n in size)), 256, 256)
    net._forward(low, p, ops, None, **net.options)
    return {"low": low, "high": high, **p}


def _biases_in_gaps(z: np.ndarray) -> np.ndarray:
    """For each filter, minus the middle of the widest gap in the middle half of its values."""
    biases = []
    for values in z.swapaxes(0, 1).reshape(z.shape[1], -1):
        values = np.sort(values)[values.size // 4 : values.size - values.size // 4]
        gap = np.argmax(np.diff(values)) if values.size > 1 else 0
        biases.append(-(values[gap] + values[min(gap + 1, values.size - 1)]) / 2)
    return np.round(np.array(biases) * 2**12) / 2**12


class _FillingDeep(Composed):
    """`_Filling` for networks that say which layers have a ReLU; fills weights in only once."""

    def __init__(self, bits: np.random.PCG64):
        self.filling, self.filled = _Filling(bits, np.empty(0)), set[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(reference, name)

    def relu(self, x: np.ndarray) -> np.ndarray:
        """See `reference.relu`."""
        return reference.relu(x)

    def conv_relu(self, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        """See `reference.conv_relu`."""
        return reference.relu(self.conv2d(x, w, b, "zeros", last=False))

    def conv2d_strided(self, x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int) -> np.ndarray:
        """See `reference.conv2d_strided`; a ReLU follows."""
        return self.conv2d(x, w, b, "zeros", last=False)[:, :, ::s, ::s]

    def conv2d(
        self, x: np.ndarray, w: np.ndarray, b: np.ndarray, padding: str, last: bool = True
    ) -> np.ndarray:
        """See `reference.conv2d`; last: whether no ReLU follows."""
        if id(w) in self.filled:
            return reference.conv2d(x, w, b, padding)
        self.filled.add(id(w))
        self.filling.last = w if last else np.empty(0)
        return self.filling.conv2d(x, w, b, padding)


def drawn_deep(
    net: Network, samples: int, size: tuple[int, int], loss: str, bits: np.random.PCG64
) -> dict[str, np.ndarray]:
    """Draw low (N, frames c, height, width), high and, in place, a deep network's parameters."""
    p, s = net.parameters, net.seen.resolution
    height, width = size
    for _ in range(1000):
        ops = _FillingDeep(bits)
        low = ops.filling.multiples((samples, net.c * net.frames, height, width), 256, 256)
        high = ops.filling.multiples((samples, net.c, s * height, s * width), 256, 256)
        for name, (least, count) in _beside_weights(p).items():
            p[name][...] = ops.filling.multiples(p[name].shape, 4096, count) + least
        net._forward(low, p, ops, None, **net.options)
        if _nearest(Step(net, low, high, loss)) > NEAR:
            return {"low": low, "high": high, **p}
    raise ValueError(
        "values come near the kink of an activation whatever numbers are drawn: ask for fewer "
        "samples, a smaller size or fewer filters"
    )


def _beside_weights(p: dict[str, np.ndarray]) -> dict[str, tuple[float, int]]:
    """For parameters no convolution takes: the least value, and how many steps of 1/4096 follow.

    w of DRCN; slopes A of PReLU; gamma, beta, running mean and variance of batch normalisation.
    """
    ranges = {"w": (1 / 8, 1024), "A": (1 / 8, 1024), "G": (1 / 2, 4096), "B": (-1 / 4, 2048),
              "M": (-1 / 4, 2048), "V": (1 / 2, 4096)}  # fmt: skip
    return {name: ranges[name[0]] for name in p
            if name[0] in "wAGMV" or name[0] == "B" and f"G{name[1:]}" in p}  # fmt: skip


def _nearest(step: Step) -> float:
    """The least distance of a step's values from a kink: of an activation or the absolute value."""
    run = step.run()
    near = [np.abs(call.before).min() for call in run.calls if call.activation]
    if step.loss == "l1":
        near.append(np.abs(run.values["output"] - step.high).min())
    return float(min(near))
