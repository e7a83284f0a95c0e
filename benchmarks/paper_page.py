"""docs/paper.md from the results of `benchmarks.paper`: python -m benchmarks.paper_page

Every number and plot on the page comes from benchmarks/results/paper. The words around them are in
paper_page.md, the paper's own numbers here.
"""

import json
import string
from pathlib import Path

from pysrcnn._files import written_whole

from . import harness, paper

RESULTS = harness.RESULTS / "paper"
PAGE = harness.ROOT / "docs" / "paper.md"

# PSNR of Y on Set5 in dB as the paper has it: its Tables 2 to 4 and Figures 7 to 9, and for T91 its
# released weights under its own protocol
ITS_NETWORKS = {
    ("9-1-5", 2): "36.34 (T91)",
    ("9-1-5", 3): "32.52 (T91: 32.39)",
    ("9-1-5", 4): "30.08 (T91)",
    ("9-3-5", 3): "32.65",
    ("9-5-5", 2): "36.66",
    ("9-5-5", 3): "32.75",
    ("9-5-5", 4): "30.49",
}
ITS = {
    "filters": {"128-64": 32.60, "64-32": 32.52, "32-16": 32.26},
    "sizes": {"9-1-5": 32.52, "9-3-5": 32.65, "9-5-5": 32.75, "11-1-7": 32.57},
    "data": {"T91": 32.39, "T91 + BSDS200 + General100": 32.52},
    "colour": {
        "bicubic": (30.39, 45.44, 45.42, 34.57),
        "Y only": (32.39, 45.44, 45.42, 36.37),
        "YCbCr": (29.25, 43.30, 43.49, 33.47),
        "Y pre-train": (32.19, 46.49, 46.45, 36.32),
        "CbCr pre-train": (32.14, 46.38, 45.84, 36.25),
        "RGB": (32.33, 46.18, 46.20, 36.44),
    },
}


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def networks() -> str:
    """The shipped networks beside the paper's."""
    rows = []
    for line in json.loads((RESULTS / "networks.json").read_text(encoding="utf-8"))["lines"]:
        mean, card, colours = line["scores"][-1], line["card"], line["card"]["recipe"]["c"]
        its = ITS_NETWORKS.get((line["network"], line["scale"]), "") if colours == 1 else ""
        rows.append(
            [
                line["network"] + (" RGB" if colours == 3 else ""),
                f"x{line['scale']}",
                f"{mean['bicubic_psnr']:.2f} {mean['bicubic_ssim']:.4f}",
                its,
                f"**{mean['psnr']:.2f}** {mean['ssim']:.4f}",
                card["data"],
                f"{card['minutes']:.0f}",
            ]
        )
    columns = ["network", "", "bicubic", "the paper", "ours", "trained on", "minutes"]
    return _table(columns, rows)


def experiment(name: str) -> str:
    """Table and plot of an experiment."""
    if not (RESULTS / f"{name}.json").is_file():
        return "Not run yet."
    content = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    rows = []
    for line in content["lines"]:
        its = ITS.get(name, {}).get(line["name"])
        row = [line["name"], str(line.get("weights", ""))]
        for k, (column, ours) in enumerate(line["psnr"].items()):
            value = its[k] if isinstance(its, tuple) else its
            known = f" ({value:.2f})" if value else ""
            row.append(f"{ours:.2f}{known}" if column else "")
        row += [f"{line['samples']:,}" if "samples" in line else "", str(line.get("minutes", ""))]
        rows.append(row)
    scores = [f"{column}, dB" for column in content["lines"][-1]["psnr"]]
    table = _table(["", "weights", *scores, "samples", "minutes"], rows)
    paper.plot(name, RESULTS)
    return f"{table}\n\n![PSNR against samples](../benchmarks/results/paper/{name}.png)"


def main() -> None:
    template = string.Template(
        (Path(__file__).parent / "paper_page.md").read_text(encoding="utf-8")
    )
    parts = {name: experiment(name) for name in paper.EXPERIMENTS}
    PAGE.parent.mkdir(exist_ok=True)
    with written_whole(PAGE) as temporary:
        text = template.substitute(parts, networks=networks())
        temporary.write_text(text, encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
