"""Write docs/paper.md from the results of `benchmarks.paper`: python -m benchmarks.paper_page

Our numbers and plots on the page come from benchmarks/results/paper; the papers' numbers are here.
The text is in paper_page.md, where sections without results are left out.
"""

import argparse
import json
import re
import string
from pathlib import Path

from pysrcnn._files import written_whole

from . import harness, paper, weights

RESULTS = harness.RESULTS / "paper"
_MADE = weights.WEIGHTS | weights.STAGES

# PSNR of Y on Set5 in dB. The numbers of 9-1-5 on T91, 9-3-5 and 9-5-5 were recomputed from the
# weights that the authors released; the others are quoted, those of espcn from its own paper.
ITS_NETWORKS = {
    ("9-1-5", 2): "36.34 (T91)",
    ("9-1-5", 3): "32.52 (T91: 32.39)",
    ("9-1-5", 4): "30.08 (T91)",
    ("9-3-5", 3): "32.65",
    ("9-5-5", 2): "36.66",
    ("9-5-5", 3): "32.75",
    ("9-5-5", 4): "30.49",
    ("espcn", 3): "33.13",
    ("espcn", 4): "30.90",
    ("sc", 3): "31.42",
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
    "scales": {
        "x2 x3 x4": (37.06, 33.27, 30.95),
        "x2": (37.10, None, None),
        "x3": (None, 32.89, None),
        "x4": (None, None, 30.86),
    },
}


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Format a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def networks(results: Path) -> tuple[str, str]:
    """Return two tables: networks beside the paper's, and the paper's other metrics for all."""
    rows, others, scales = [], [], set()
    beside = {name for name, _ in ITS_NETWORKS}
    for line in json.loads((results / "networks.json").read_text(encoding="utf-8"))["lines"]:
        name, scale, card = line["network"], line["scale"], line["card"]
        mean = line["scores"]["average"]
        bicubic, ours = mean["bicubic"], mean["network"]
        row = [
            name,
            f"×{scale}",
            f"{bicubic['psnr']:.2f}",
            ITS_NETWORKS.get((name, scale), ""),
            f"**{ours['psnr']:.2f}**",
            card["data"],
            _start(card),
            "" if name == "sc" else f"{_steps(card):,}",
        ]
        rows += [row] if name in beside else []
        for who, scores in (("bicubic", bicubic), (name, ours)):
            if who != "bicubic" or scale not in scales:
                others.append([f"×{scale}", who, *_metrics(scores)])
        scales.add(scale)
    columns = ["network", "", "bicubic", "the paper", "ours", "trained on", "start", "steps"]
    others.sort(key=lambda row: row[0])
    names = ["", "", "PSNR", "SSIM", "MS-SSIM", "WPSNR"]
    return table(columns, rows), table(names, others)


def start_of(card: dict) -> str:
    """Return what a training started from: "identity", or a file and what was reinitialised."""
    start = re.sub(r", but (.*) anew$", r", with \1 reinitialised", card.get("start", ""))
    # edsr_x2 started when the first stage for x3 still had this name.
    return re.sub(r"^edsr_x3\b", "edsr-first_x3", start)


def _steps(card: dict) -> int:
    """Count the steps of a training and of those that it started from."""
    steps = card["steps"]
    made = _MADE.get(start_of(card).partition(".npz")[0])
    while made is not None:
        steps += made.recipe.steps
        made = _MADE.get(made.start or "")
    return steps


def _start(card: dict) -> str:
    """Return "identity", or "9-1-5 ×3" for the weights in 9-1-5_x3.npz."""
    return start_of(card).replace(".npz", "").replace("_x", " ×")


def _metrics(scores: dict[str, float]) -> list[str]:
    digits = {"psnr": 2, "ssim": 4, "ms_ssim": 4, "wpsnr": 2}
    return [f"{scores[name]:.{places}f}" for name, places in digits.items()]


def experiment(name: str, results: Path) -> str:
    """Return table and plot of an experiment in Markdown."""
    content = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    if content["quick"]:
        raise ValueError(f"{name}.json is of a quick run: run the experiment in full")
    rows = []
    for line in content["lines"]:
        its = ITS.get(name, {}).get(line["name"])
        row = [line["name"], f"{line['weights']:,}" if "weights" in line else ""]
        for k, ours in enumerate(line["psnr"].values()):
            value = its[k] if isinstance(its, tuple) else its
            theirs = "" if value is None else f" ({value:.2f})"
            row.append(paper.decibels(ours) + theirs)
        if name == "recipe":
            row.append(str(line["silent"]))
        rows.append([*row, f"{line['samples']:,}" if "samples" in line else ""])
    scores = [f"{column}, dB" for column in content["lines"][-1]["psnr"]]
    if name == "recipe":
        scores.append("silent")
    psnr = table(["", "weights", *scores, "samples"], rows)
    against = "multiplications" if "multiplications" in content["lines"][-1] else "samples"
    return f"{psnr}\n\n![PSNR against {against}](paper_{name}.png)"


def page(words: str, parts: dict[str, str]) -> str:
    """Insert the parts into the text, leaving out sections with missing parts."""
    first, *sections = re.split(r"(?m)^(?=##+ )", words)
    kept = [s for s in sections if set(re.findall(r"\$(\w+)", s)) <= parts.keys()]
    return string.Template("".join([first, *kept])).substitute(parts).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper_page", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--output", type=Path, default=harness.ROOT / "docs", metavar="FOLDER")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    folder, results = options.output, options.results
    folder.mkdir(exist_ok=True)
    words = (Path(__file__).parent / "paper_page.md").read_text(encoding="utf-8")
    done = [name for name in paper.EXPERIMENTS if (results / f"{name}.json").is_file()]
    parts = {name: experiment(name, results) for name in done}
    if (results / "networks.json").is_file():
        parts["networks"], parts["metrics"] = networks(results)
    with written_whole(folder / "paper.md") as temporary:
        temporary.write_text(page(words, parts), encoding="utf-8")
    print(folder / "paper.md")
    for name in done:
        paper.plot(name, results, folder / f"paper_{name}.png")


if __name__ == "__main__":
    main()
