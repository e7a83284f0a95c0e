"""Plot what a network learned: filters, feature maps, convergence, and crops of its results.

Each function returns a matplotlib Figure for the caller to show or save. Only this module needs
matplotlib: ``pip install ".[plot]"``.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._printing import printable
from .data import modcrop, pair, unit
from .evaluate import mean_psnr
from .networks import Network, own_scale
from .resize import imresize
from .training.log import read_log
from .upscaling.upscale import upscale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["crops", "curve", "feature_maps", "filters"]


MOST = 64  # tiles of a plot: as many as SRCNN has filters
NARROWEST = 4.0  # inches: room for the title of a plot with few tiles


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ModuleNotFoundError(
            'plots need matplotlib: pip install ".[plot]" in the clone of pysrcnn',
            name="matplotlib",
        ) from None
    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def _tiles(pictures: Sequence[np.ndarray], title: str, size: float, **show) -> "Figure":
    """Draw small pictures side by side, eight a row, at most the first `MOST`."""
    if len(pictures) > MOST:
        title += f", the first {MOST} of {len(pictures)}"
        pictures = pictures[:MOST]
    across = min(8, len(pictures))
    down = -(-len(pictures) // across)
    height, width = pictures[0].shape[:2]
    size = max(size, NARROWEST / across)
    figure = _figure(size * across, size * down * height / width + 0.4)
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, picture in zip(axes, pictures, strict=False):
        axis.imshow(picture, **show)
    return figure


def _label(name: str) -> str:
    """Return a file's name for a legend: matplotlib reads $ as math and hides names with a _."""
    name = printable(name).replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def filters(network: Network) -> "Figure":
    """Plot the filters of the first layer, in order of falling variance (Fig. 5 of the paper).

    Grey is zero; white and black are plus and minus the filter's largest absolute weight. Filters
    of RGB are in colour.
    """
    w = network.layers[0][0]
    pictures = []
    for f in w[np.argsort(-w.reshape(len(w), -1).var(1))]:
        f = f.transpose(1, 2, 0) if len(f) == 3 else f[0]
        pictures.append(0.5 + 0.5 * f / (np.abs(f).max() or 1))
    title = f"{network.name}: filters of layer 1, by variance"
    return _tiles(pictures, title, 0.7, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def feature_maps(
    network: Network, picture: np.ndarray, scale: int | None = None, layer: int = 1
) -> "Figure":
    """Plot the feature maps of a layer for a picture that was shrunk by `scale`.

    Parameters
    ----------
    network : Network
    picture : array (H, W), (H, W, 3) or (H, W, 4)
    scale : int, optional
        Required only if the network does not know the scale that it was trained for.
    layer : int
        From 1 to the number of layers less one. Black is 0, or a map's smallest value if the layer
        gives negative ones, as tanh does; white is its largest.

    Raises
    ------
    ValueError
        If there is no such layer, the picture is too small, or the scale is not the network's.
    """
    if not 1 <= layer < len(network.layers):
        raise ValueError(f"layer is {layer}, wanted 1 to {len(network.layers) - 1}")
    scale = own_scale(network, scale)
    _check_large(picture, scale, scale)
    low, _ = pair(picture, scale, network.c, network.small)
    maps = network.maps(low[None])[layer]
    title, black = f"{network.name}: feature maps of layer {layer}", None if (maps < 0).any() else 0
    return _tiles(list(maps[0]), title, 1.1, cmap="gray", vmin=black)


def _check_large(picture: np.ndarray, scale: int, least: int) -> None:
    """Raise a ValueError if a side has fewer pixels than the least."""
    height, width = picture.shape[:2]
    if min(height, width) < least:
        raise ValueError(
            f"the picture has {width} x {height} pixels; at scale {scale} it needs at least "
            f"{least} x {least}"
        )


def curve(
    logs: Iterable[str | os.PathLike],
    names: Sequence[str] | None = None,
    lines: dict[str, float] | None = None,
) -> "Figure":
    """Plot PSNR against back-propagated samples (Fig. 1 of the paper), from logs of training.

    Parameters
    ----------
    logs : paths
        As ``pysrcnn train`` writes them.
    names : names of the curves, by default those of the files
    lines : further horizontal lines, {name: PSNR in dB}
        The logs have that of bicubic interpolation: one, or where they differ, one for each value.
    """
    paths = [Path(log) for log in logs]
    crowded = len(paths) > 6  # the legend then goes beside the plot
    figure = _figure(8.5 if crowded else 6, 4)
    axis = figure.subplots()
    ends, bicubic = [], dict[float, str]()
    for k, (log, name) in enumerate(
        zip(paths, names or [_label(x.stem) for x in paths], strict=True)
    ):
        head, points = read_log(log)
        if "bicubic_psnr" in head:
            bicubic.setdefault(round(head["bicubic_psnr"], 3), name)
        if not points:
            raise ValueError(f"{log} has only its first line yet: wait for the training")
        marker = "." if len(points) == 1 else ""
        x, y = ([point[what] for point in points] for what in ("samples", "psnr"))
        # matplotlib cycles through ten colours.
        axis.plot(x, y, marker=marker, label=name, color=f"C{k % 10}", linestyle="-:"[k // 10 % 2])
        ends.append(y[-1])
    several = len(bicubic) > 1
    baselines = {f"bicubic, {of}" if several else "bicubic": y for y, of in bicubic.items()}
    lines = baselines | (lines or {})
    for k, (name, level) in enumerate(lines.items()):
        axis.axhline(level, linestyle=("--", ":", "-.")[k % 3], color="gray", label=name)
    if lines:  # a start far below would squeeze everything else
        lowest = min(*lines.values(), *ends) - 1
        axis.set_ylim(bottom=max(axis.get_ylim()[0], lowest))
    axis.set_xlabel("back-propagated samples")
    axis.set_ylabel("average PSNR (dB)")
    axis.grid(alpha=0.3)
    if crowded:
        figure.legend(loc="outside right upper", fontsize=9)
    else:
        axis.legend()
    return figure


def crops(
    network: Network,
    picture: np.ndarray,
    scale: int | None = None,
    region: tuple[int, int, int, int] | None = None,
) -> "Figure":
    """Plot a region of a picture: the original, and its small copy enlarged by bicubic and network.

    Parameters
    ----------
    network : Network
    picture : array (H, W), (H, W, 3) or (H, W, 4), as `read_picture` returns it
    scale : int, optional
        Required only if the network does not know the scale that it was trained for.
    region : (x, y, width, height) in pixels, optional
        By default up to 120 x 120 in the middle. PSNR is that of Y of the whole picture.

    Raises
    ------
    ValueError
        If the picture is too small, the region is not inside it, or the scale is not the network's.
    """
    scale = own_scale(network, scale)
    _check_large(picture, scale, 3 * scale)  # a shaved picture has pixels left
    whole_height, whole_width = picture.shape[:2]
    picture = modcrop(picture, scale)
    height, width = picture.shape[:2]
    if region is None:
        w, h = min(width, 120), min(height, 120)
        region = ((width - w) // 2, (height - h) // 2, w, h)
    x, y, w, h = region
    if not (0 <= x < x + w <= width and 0 <= y < y + h <= height):
        cropped = (
            f" that are left of {whole_width} x {whole_height}, as {scale} must divide them"
            if (height, width) != (whole_height, whole_width)
            else ""
        )
        raise ValueError(
            f"the region {region} is not inside the picture, {width} x {height} pixels{cropped}"
        )
    small = imresize(picture, scale=1 / scale)
    pairs = [pair(picture, scale, network.c, network.small)]
    bicubic, ours = (mean_psnr(which, pairs, scale) for which in (None, network))
    pictures = {
        "original": picture,
        f"bicubic, {bicubic:.2f} dB": imresize(small, scale=scale),
        f"{network.name}, {ours:.2f} dB": upscale(small, scale, network),
    }
    figure = _figure(9, 2.92 * h / w + 0.32)  # three pictures 2.92 inches wide, and their titles
    for axis, (name, whole) in zip(figure.subplots(1, 3), pictures.items(), strict=True):
        part = np.clip(unit(whole[y : y + h, x : x + w]), 0, 1)
        axis.imshow(part, cmap="gray", vmin=0, vmax=1)
        axis.set_title(name, fontsize=10)
        axis.set_axis_off()
    return figure
