"""Put the results of `benchmarks.perception` into the docs: python -m benchmarks.perception_page

Tables and charts go between two marks in docs/perception.md. `benchmarks.perception` ends with this
unless it writes to another file.
"""

from pathlib import Path

from pysrcnn._files import written_whole

from . import harness, paper_page
from .quality_chart import INK, best, plane
from .quality_page import between

AXES = {
    "niqe": "NIQE: less looks more natural",
    "features": "feature distance: less is nearer to the original's",
}


def fill(results: Path, root: Path) -> None:
    """Write the charts, and the tables into the page, from a perception.json.

    Raises
    ------
    ValueError
        If the results are from a quick run, or the page lacks the marks.
    """
    content = harness.measured(results)
    pictures, parts = content["options"]["pictures"], []
    for found in content["results"]:
        parts.append(f"\n{_markdown(found)}\n")
        for name in _axes(found):
            file = f"perception-{name}-x{found['scale']}.png"
            with written_whole(root / "docs" / file) as temporary:
                chart(found, pictures, name).savefig(temporary, format="png")
            parts.append(f"![PSNR against {AXES[name].split(':')[0]}]({file})\n")
    between(root / "docs" / "perception.md", "perception", "\n".join([*parts, ""]))


def _axes(found: dict) -> list[str]:
    return [name for name in AXES if name in found["lines"][0]]


def _cells(found: dict) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header and the rows of a table; the originals, which have no PSNR, come last."""
    axes = _axes(found)
    rows = [
        (called(line), f"{line['psnr']:.2f}", *(f"{line[name]:.3f}" for name in axes))
        for line in found["lines"]
    ]
    rows.append(("originals", "", f"{found['originals']:.3f}", *["0.000"] * (len(axes) - 1)))
    return (f"x{found['scale']}", "dB", *("NIQE", "features")[: len(axes)]), rows


def _markdown(found: dict) -> str:
    header, rows = _cells(found)
    return paper_page.table([*header], [[*row] for row in rows])


def called(line: dict) -> str:
    """Return the label of a line: "srgan 0.5", "espcn"."""
    return line["name"] + (f" {line['sharpness']:g}" if "sharpness" in line else "")


def table(found: dict) -> str:
    """Format the table as text."""
    return harness.table(*_cells(found))


def chart(found: dict, pictures: str, axis_of: str):
    """Plot PSNR against another metric, joining the Pareto front, and each network by sharpness."""
    points = {called(line): (line[axis_of], line["psnr"]) for line in found["lines"]}
    curves: dict[str, list[str]] = {}
    for line in found["lines"]:
        if "sharpness" in line:
            curves.setdefault(line["name"], []).append(called(line))
    dotted = found["originals"] if axis_of == "niqe" else None
    labels = AXES[axis_of], "PSNR, dB: more is truer"
    axis = plane(points, best(points), labels, dotted=dotted, curves=[*curves.values()])
    note = (
        "; dotted: NIQE of the originals"
        if axis_of == "niqe"
        else f"; {found['features'].split(' of ')[0]}"
    )
    axis.set_title(f"×{found['scale']}: {pictures}{note}", color=INK, fontsize=11)
    return axis.figure


def main() -> None:
    fill(harness.RESULTS / "perception.json", harness.ROOT)


if __name__ == "__main__":
    main()
