"""`examples/upscale.py` written with PyTorch, for comparison by `benchmarks.startup`.

``python benchmarks/torch_upscale.py IN OUT WEIGHTS.npz SCALE`` is as short as such scripts usually
are. The weights are ours, read by NumPy; nothing is imported from pysrcnn.
"""

import sys

import imageio.v3 as imageio
import numpy as np
import torch
from torch.nn import functional

# BT.601 in studio range, as 8-bit levels: rows Y, Cb, Cr, columns R, G, B.
TO_YCBCR = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]
)
OFFSET = np.array([16.0, 128.0, 128.0])


def main(source: str, target: str, weights: str, scale: int) -> None:
    matrix = torch.tensor(TO_YCBCR / 255, dtype=torch.float32)
    offset = torch.tensor(OFFSET / 255, dtype=torch.float32)
    back = torch.linalg.inv(matrix)
    with np.load(weights) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files if name != "card"}
    layers = len(arrays) // 2
    with torch.inference_mode():
        rgb = torch.from_numpy(imageio.imread(source)).float() / 255
        ycbcr = (rgb @ matrix.T + offset).permute(2, 0, 1)[None]
        # "antialias" has no effect when enlarging, except to select the kernel that we and MATLAB
        # use (a = -0.5 instead of -0.75).
        planes = functional.interpolate(
            ycbcr, scale_factor=scale, mode="bicubic", align_corners=False, antialias=True
        )
        maps = planes[:, :1].contiguous(memory_format=torch.channels_last)  # the faster layout
        for k in range(1, layers + 1):
            w = arrays[f"W{k}"].contiguous(memory_format=torch.channels_last)
            if p := w.shape[2] // 2:
                maps = functional.pad(maps, (p, p, p, p), mode="replicate")
            maps = functional.conv2d(maps, w, arrays[f"B{k}"])
            if k < layers:
                maps = maps.relu_()
        planes = torch.cat([maps, planes[:, 1:]], dim=1)[0].permute(1, 2, 0)
        result = ((planes - offset) @ back.T).clamp(0, 1).mul(255).round().to(torch.uint8)
    imageio.imwrite(target, result.numpy(), plugin="pillow", compress_level=3)


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
