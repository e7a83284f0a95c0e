"""Test pairs and scores of the experiments of `benchmarks.paper`."""

from pathlib import Path

import numpy as np

from pysrcnn import SRCNN
from pysrcnn.color import rgb_to_ycbcr
from pysrcnn.data import Pair, pair, read_pairs, unit
from pysrcnn.evaluate import average, evaluate, levels, mean_psnr
from pysrcnn.metrics import psnr
from pysrcnn.networks import Network
from pysrcnn.pictures import list_pictures, read_picture

from .experiments import EXPERIMENTS, SCALE, Entry

# ---------------------------------------------------------------------------------------- pictures


def pairs_of(
    paths: list[Path], colour: str = "Y", scale: int = SCALE, small: bool = False
) -> list[Pair]:
    """Make pairs (see `pysrcnn.data`) of luminance, RGB or YCbCr from picture files."""
    if colour != "YCbCr":
        return read_pairs(paths, scale, 1 if colour == "Y" else 3, small=small)
    return [pair(_ycbcr(read_picture(path)), scale, 3) for path in paths]


def _ycbcr(picture: np.ndarray) -> np.ndarray:
    """Convert a picture to YCbCr: float64 (H, W, 3) in 0..1, rounded to the levels of uint8."""
    rgb = unit(picture)
    rgb = np.dstack([rgb] * 3) if rgb.ndim == 2 else rgb[:, :, :3]
    return np.floor(rgb_to_ycbcr(rgb) * 255 + 0.5) / 255


# ------------------------------------------------------------------------------------------ scores


def first_channel(network: Network | None, pairs: list[Pair], scale: int) -> float:
    """Return the average PSNR of the first channel, to monitor the training on YCbCr."""
    values = []
    for low, high in pairs:
        ours = network.forward(low[None])[0] if network else low
        values.append(psnr(levels(ours[:1]), levels(high[:1]), shave=scale))
    return float(np.mean(values))


def at_three(network: Network | None, pairs: list[Pair], scale: int) -> float:
    """Return the average PSNR at x3, whatever scales the network is for."""
    return mean_psnr(network, pairs, SCALE)


def colour_scores(network: SRCNN | None, colour: str, paths: list[Path]) -> dict[str, float]:
    """Return average PSNR of Y, Cb, Cr and the three together; bicubic if `network` is None.

    The paper's column "RGB" must be the three together: this gives its bicubic value, 34.57 on
    Set5, whereas PSNR of RGB is 28.63.
    """
    rows = []
    for path in paths:
        ((low, high),) = pairs_of([path], "YCbCr")
        ours = low
        if network and network.c == 1:
            ours = np.concatenate([network.forward(low[None, :1])[0], low[1:]])
        elif network and colour == "YCbCr":
            ours = network.forward(low[None])[0]
        elif network:
            ((low, _),) = pairs_of([path], "RGB")
            rgb = np.clip(network.forward(low[None])[0], 0, 1).transpose(1, 2, 0)
            ours = rgb_to_ycbcr(rgb.astype(np.float64)).transpose(2, 0, 1)
        truth, ours = ([levels(plane[None]) for plane in x] for x in (high, ours))
        each = [psnr(ours[k], truth[k], shave=SCALE) for k in range(3)]
        inner = np.s_[SCALE:-SCALE, SCALE:-SCALE]
        together = psnr(
            np.concatenate([x[inner] for x in ours]), np.concatenate([x[inner] for x in truth])
        )
        rows.append([*each, together])
    means = np.mean(rows, axis=0).round(3)
    return dict(zip(("Y", "Cb", "Cr", "RGB"), map(float, means), strict=True))


def silent(network: SRCNN, colour: str, paths: list[Path]) -> int:
    """Count the filters of layer 1 that respond to less than one pixel in 500 of the pictures."""
    pairs = pairs_of(paths, colour)
    answers, pixels = 0, 0
    for low, _ in pairs:
        maps = network.ops.forward(low[None], network.layers[:1], "replicate")[0]
        answers, pixels = answers + (maps > 0).sum((1, 2)), pixels + maps[0].size
    return int(np.sum(answers < pixels / 500))


def score(network: Network, name: str, entry: Entry, data: Path) -> dict[str, float]:
    """Return PSNR on Set5: by channel in `colour`; for deep networks at the experiment's scales."""
    paths = list_pictures(data / "Set5")
    if name == "colour":
        return colour_scores(network, entry.colour, paths)
    if not entry.deep:
        return {"Y": round(average(list(evaluate(data / "Set5", network, SCALE))).psnr, 3)}
    scores = {}
    for scale in sorted({s for other in EXPERIMENTS[name] for s in other.scales}):
        pairs = pairs_of(paths, scale=scale, small=network.small)
        scores[f"x{scale}"] = round(mean_psnr(network, pairs, scale), 3)
    return scores
