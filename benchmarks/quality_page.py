"""Put the results of `benchmarks.quality` into README and docs: python -m benchmarks.quality_page

The chart for x3, or for the smallest scale if there is none, goes between two marks in README.md;
those for other scales go between two in docs/benchmarks.md. The tables are in docs/networks.md, see
`benchmarks.networks_page`. `benchmarks.quality` ends with this unless it writes to another file.
"""

import re
from pathlib import Path

from pysrcnn._files import written_whole

from . import harness
from .quality_chart import chart


def fill(results: Path, root: Path) -> None:
    """Write both pages and the charts, from a quality.json.

    Raises
    ------
    ValueError
        If the results are from a quick run, or a page lacks the marks.
    """
    content = harness.measured(results)
    by_scale: dict[int, list[dict]] = {}
    for line in content["lines"]:
        by_scale.setdefault(line["scale"], []).append(line)
    pictures = content["options"]["pictures"]
    for scale, lines in by_scale.items():
        with written_whole(root / "docs" / f"quality-x{scale}.png") as temporary:
            chart(lines, pictures).savefig(temporary, format="png")
    first = 3 if 3 in by_scale else min(by_scale)
    between(root / "README.md", "quality", _for_readme(first, pictures))
    others = sorted(by_scale.keys() - {3})
    words = _for_docs(others, pictures, content["machine"])
    between(root / "docs" / "benchmarks.md", "quality", words)


def between(page: Path, name: str, text: str) -> None:
    """Replace the text between the two comments in a page that a name marks."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    words = page.read_text(encoding="utf-8")
    pattern = re.compile(f"(?s)(?<={re.escape(begin)}).*?(?={re.escape(end)})")
    if len(pattern.findall(words)) != 1:
        raise ValueError(f"{page.name} needs the lines {begin.strip()} and {end.strip()}, once")
    with written_whole(page) as temporary:
        temporary.write_text(pattern.sub(lambda _: text, words), encoding="utf-8")
    print(page)


def _for_readme(scale: int, pictures: str) -> str:
    return f"""
How good and how fast each network is: PSNR on {pictures} at ×{scale} against seconds per
megapixel of the result. No network is both faster and better than one on the line.
[Numbers for all scales](docs/networks.md#in-numbers).

![PSNR against time](docs/quality-x{scale}.png)

"""


def _for_docs(scales: list[int], pictures: str, machine: dict) -> str:
    charts = "\n".join(
        f"![PSNR against time at ×{scale}](quality-x{scale}.png)\n" for scale in scales
    )
    return f"""
## How good and how fast each network is

PSNR of luminance on {pictures}, and the time that `pysrcnn.upscale` takes for a colour photograph,
in seconds per megapixel of the result, with {machine["threads"]} threads of {machine["processor"]}.
`python -m benchmarks.quality` measures this again. The numbers, and the chart for ×3, are in
[All networks, compared](networks.md#in-numbers).

{charts}
"""


def main() -> None:
    fill(harness.RESULTS / "quality.json", harness.ROOT)


if __name__ == "__main__":
    main()
