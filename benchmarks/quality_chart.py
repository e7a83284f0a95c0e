"""Charts of `benchmarks.quality` and `perception`: networks as points, labelled by name."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["best", "chart", "plane"]

# Candidate positions of a label: directions from its point and distances in pt, nearest first.
SIDES = ((1, 0), (0, 1), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
DISTANCES = (6, 13, 22, 34)
ALIGNED = {
    (right, up): {
        "ha": {-1: "right", 0: "center", 1: "left"}[right],
        "va": {-1: "top", 0: "center", 1: "bottom"}[up],
    }
    for right, up in SIDES
}
INK, FAINT, BEST, OTHER, CURVE = "#1a1a1a", "#b8b8b8", "#1f5fa8", "#6b6b6b", "#b3541e"


def chart(lines: list[dict], pictures: str) -> "Figure":
    """Plot PSNR against seconds per megapixel for one scale, joining the Pareto front."""
    points = {line["name"]: (line["seconds a megapixel"]["median"], line["psnr"]) for line in lines}
    axis = plane(
        points, best(points), ("seconds for a megapixel of the result", "PSNR, dB"), log=True
    )
    axis.set_title(f"×{lines[0]['scale']}: {pictures}", color=INK, fontsize=11)
    return axis.figure


def plane(
    points: dict[str, tuple[float, float]],
    joined: list[str],
    labels: tuple[str, str],
    log: bool = False,
    dotted: float | None = None,
    curves: Sequence[list[str]] = (),
) -> "Axes":
    """Plot points with their names, some of them joined by a line.

    The x axis may be logarithmic, and `dotted` draws a vertical dotted line at a value of x. The
    points of each curve are joined by a line, in a separate colour.

    The background is opaque white, so that the chart is legible on a dark page too.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=150, facecolor="white")
    axis = figure.add_axes((0.09, 0.13, 0.88, 0.78))
    colours = {name: BEST if name in joined else OTHER for name in points}
    for curve in curves:
        colours |= dict.fromkeys(curve, CURVE)
        axis.plot(*zip(*(points[name] for name in curve), strict=True), color=CURVE, zorder=2)
    axis.plot(*zip(*(points[name] for name in joined), strict=True), color=FAINT, zorder=1)
    for name, (x, y) in points.items():
        axis.plot(x, y, "o", color=colours[name], markersize=6, zorder=3)
    if log:
        axis.set_xscale("log")
    if dotted is not None:  # before the names are placed, as it may change the limits of the axis
        axis.axvline(dotted, color=FAINT, linestyle=":", zorder=1)
    axis.margins(0.12, 0.1)
    axis.grid(color=FAINT, alpha=0.4, which="both", linewidth=0.5)
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.tick_params(colors=INK, labelsize=9)
    axis.set_xlabel(labels[0], color=INK)
    axis.set_ylabel(labels[1], color=INK)
    _name(axis, points, colours)
    return axis


def best(points: dict[str, tuple[float, float]]) -> list[str]:
    """Return the Pareto front (smaller x, larger y), sorted by x."""
    found: list[str] = []
    for name in sorted(points, key=lambda name: points[name]):
        if not found or points[name][1] > points[found[-1]][1]:
            found.append(name)
    return found


def _name(axis: "Axes", points: dict[str, tuple[float, float]], colours: dict[str, str]) -> None:
    """Place the names beside their points, where they overlap points and other names least."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.patheffects import withStroke

    canvas = FigureCanvasAgg(axis.figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    frame = axis.get_window_extent(renderer)
    scale = axis.figure.dpi / 72
    taken = []
    for x, y in axis.transData.transform(list(points.values())):
        taken.append(np.array([x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale]))
    for name, point in points.items():
        text = axis.annotate(
            name, point, (0, 0), textcoords="offset points", fontsize=9, color=colours[name],
            zorder=4, path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip
        found = []
        for distance, (right, up) in itertools.product(DISTANCES, SIDES):
            text.set(position=(right * distance, up * distance), **ALIGNED[right, up])
            box = text.get_window_extent(renderer)
            ends = np.array([*box.min, *box.max])
            outside = not (frame.contains(*box.min) and frame.contains(*box.max))
            covered = sum(_common(ends, other) for other in taken) + 1e6 * outside
            found.append((covered, distance, right, up, ends))
            if covered == 0:
                break
        _, distance, right, up, ends = min(found, key=lambda one: one[0])  # the first if tied
        place = right * distance, up * distance
        text.set(position=place, **ALIGNED[right, up])
        if distance > DISTANCES[0]:  # connect it to its point by a line
            axis.annotate(
                "", point, place, textcoords="offset points", zorder=2,
                arrowprops={"arrowstyle": "-", "color": FAINT, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
        taken.append(ends)


def _common(a: np.ndarray, b: np.ndarray) -> float:
    """Return the area of overlap of two boxes (left, bottom, right, top)."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))
