"""The operations of PyTorch as an ops module, on which a network's own `forward` runs.

Each is the quickest plain PyTorch that we know of. Axes as in `pysrcnn.reference`; a flow is (N, 2,
H, W), in pixels.
"""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from pysrcnn.networks.composed import Composed


class Torch(Composed):
    """The ops module. ReLU and tanh work in place, as they take what was computed just before."""

    def conv2d(self, x, w, b, padding="valid"):
        p = w.shape[2] // 2 if padding != "valid" else 0
        if p and padding == "replicate":
            x, p = functional.pad(x, (p, p, p, p), mode="replicate"), 0
        return functional.conv2d(x, w, b, padding=p)

    def conv2d_same(self, x, w, b, summand=None):
        out = self.conv2d(x, w, b, "zeros")
        return out if summand is None else out.add_(summand)

    def conv2d_strided(self, x, w, b, s):
        return functional.conv2d(x, w, b, stride=s, padding=w.shape[2] // 2)

    def relu(self, x):
        return x.relu_()

    def tanh(self, x):
        return x.tanh_()

    def prelu(self, x, a):
        return functional.prelu(x, a)

    def pixel_shuffle(self, x, s):
        return functional.pixel_shuffle(x, s)

    def repeat(self, x, n):
        return x.repeat_interleave(n, dim=1)

    def concatenate(self, *maps):
        return torch.cat(maps, dim=1)

    def split(self, x, *channels):
        return x.split(channels, dim=1)

    def warp(self, x, flow):
        pixels, step = _grid(*x.shape[2:])
        grid = torch.addcmul(pixels, flow.permute(0, 2, 3, 1), step)
        return functional.grid_sample(
            x, grid, mode="bilinear", padding_mode="border", align_corners=True
        )

    def warp_cubic(self, x, flow):
        # `grid_sample` has another cubic, of a = -0.75. So there are sixteen pixels to fetch, all
        # at one place from another start, and to be summed by rows.
        (n, c, height, width), wide = x.shape, x.shape[3] + 3
        rows = (torch.arange(height)[:, None] + flow[:, 1]).clamp_(0, height - 1)
        columns = (torch.arange(width) + flow[:, 0]).clamp_(0, width - 1)
        top, left = rows.floor(), columns.floor()
        down, across = _keys(rows - top), _keys(columns - left)
        planes = functional.pad(x, (1, 2, 1, 2), mode="replicate").reshape(n * c, -1)
        first = (top * wide + left).long().reshape(n, -1)
        maps = []
        for k, plane in enumerate(planes):
            places, out = first[k // c], torch.zeros(height, width)
            for i in range(4):
                row = torch.zeros(height, width)
                for j in range(4):
                    pixels = plane[i * wide + j :].index_select(0, places).view(height, width)
                    row.addcmul_(pixels, across[j][k // c])
                out.addcmul_(row, down[i][k // c])
            maps.append(out)
        return torch.stack(maps).view(x.shape)

    def phases(self, x, flow):
        angles = flow * (2 * math.pi)
        factors = torch.stack([angles.cos(), angles.sin()], dim=2).flatten(1, 2)
        return (factors[:, :, None] * x[:, None]).flatten(1, 2)


@functools.cache
def _grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The places of all pixels as `grid_sample` wants them, (H, W, 2), and a pixel's size."""
    y, x = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    places = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=2)
    return places, torch.tensor([2 / (width - 1), 2 / (height - 1)])


def _keys(t: Tensor) -> list[Tensor]:
    """Keys' cubic of a = -0.5: the weights of the pixels -1, 0, 1 and 2, t behind pixel 0."""
    t2 = t * t
    first, last = 0.5 * t * (2 * t - t2 - 1), 0.5 * t2 * (t - 1)
    third = t2 * (2 - 1.5 * t) + 0.5 * t
    return [first, 1 - first - third - last, third, last]
