"""Write docs/networks.md, which compares the shipped networks: python -m benchmarks.networks_page

The page is made from the weights and from measured scores (`benchmarks.paper networks`), times
(`benchmarks.quality`), memory (`benchmarks.memory`) and those of video (`benchmarks.video`); a dash
marks missing measurements. Its text
is in networks_page.md, where sections on networks that are not shipped are left out. The papers'
numbers are in published.py. `benchmarks.crops` makes the pictures.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from pysrcnn._files import written_whole
from pysrcnn.networks import Network, SRResNet, load, shipped

from . import crops, harness, weights
from .networks import of_pictures
from .paper_page import page, start_of, table
from .published import ABOUT, KINDS, PUBLISHED, VIDEO
from .scaling import MIB

NONE = "–"
Key = tuple[str, int]  # name and scale


def read(results: Path) -> dict[str, dict[Key, dict[str, Any]]]:
    """Read the measurements that exist, by file, then by name and scale."""
    found: dict[str, dict[Key, dict[str, Any]]] = {}
    for name in ("quality", "memory", "paper/networks"):
        path = results / f"{name}.json"
        lines = json.loads(path.read_text(encoding="utf-8"))["lines"] if path.is_file() else []
        found[path.stem] = {(x.get("name") or x["network"], x["scale"]): x for x in lines}
    return found


def networks() -> dict[Key, Network]:
    """Return all shipped networks in the order of `crops`, with batch normalisation folded."""
    names = sorted(shipped(), key=lambda one: (*crops.by_order(one[0]), one[1]))
    found = {one: load(*one) for one in names}
    return {k: n.folded() if isinstance(n, SRResNet) else n for k, n in found.items()}


def which(found: dict[Key, Network]) -> str:
    """Return the table that says what each network is."""
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        scales = [scale for one, scale in found if one == name]
        network = found[name, scales[0]]
        low = ("small frames" if network.frames > 1 else "small") if network.small else "bicubic"
        about = ABOUT.get(name, type(network).__name__)
        whole = "\N{NO-BREAK SPACE}".join(f"×{scale}" for scale in scales)
        rows.append([name, about, low, whole])
    return table(["name", "what it is", "input", "for"], rows)


def at_scale(scale: int, found: dict[Key, Network], measured: dict) -> str:
    """Return the table of one scale."""
    columns = [f"×{scale}", "PSNR", "SSIM", "time", "memory", "weights", "multiplications"]
    columns.append("receptive field")
    scored = measured["networks"]
    of_luma = (
        x["scores"]["average"]["bicubic"]
        for (_, s), x in scored.items()
        if s == scale and x["card"]["channels"] == "luminance"
    )
    rows = [_row("bicubic", scale, next(of_luma, None), measured, ["", "", ""])]
    here = {name: n for (name, s), n in found.items() if s == scale and n.frames == 1}
    for name, network in here.items():
        seen = network.seen
        side = f"{2 * seen.margin + 1}{' small' if network.small else ''}"
        line = scored.get((name, scale))
        score = line and line["scores"]["average"]["network"]
        about = [f"{count(network):,}", f"{seen.multiplications:,.0f}", side]
        rows.append(_row(name, scale, score, measured, about))
    return table(columns, rows)


def _row(name: str, scale: int, score: dict | None, measured: dict, about: list[str]) -> list[str]:
    time, memory = (measured[which].get((name, scale)) for which in ("quality", "memory"))
    return [
        name,
        f"{score['psnr']:.2f}" if score else NONE,
        f"{score['ssim']:.4f}" if score else NONE,
        f"{time['seconds a megapixel']['median']:.3f}" if time else NONE,
        f"{memory['peak'] / MIB:.0f}" if memory else NONE,
        *about,
    ]


def count(network: Network) -> int:
    """Return the number of learned parameters, without running statistics."""
    named = network.parameters.items()
    return sum(p.size for name, p in named if name not in network.statistics)


def beside(kind: str, found: dict[Key, Network], measured: dict) -> str | None:
    """Return the table of a paper's networks and ours, or None if we ship none of them."""
    ours = [name for name in dict.fromkeys(name for name, _ in found) if name in KINDS[kind]]
    if not ours:
        return None
    published = PUBLISHED[kind]
    rows: dict[str, list[str]] = {}
    scales = {s for name, s in found if name in ours} | {s for x in published for s in x.scores}
    for one in published:
        scores = [_score(one.scores.get(scale)) for scale in sorted(scales)]
        rows[f"{one.label} {one.trained}"] = [one.label, one.weights, one.trained, *scores]
    for name in ours:
        own = {s: n for (other, s), n in found.items() if other == name}
        cards = [network.card for network in own.values()]
        scores = []
        for scale in sorted(scales):
            line = measured["networks"].get((name, scale)) if scale in own else None
            mean = line and line["scores"]["average"]["network"]
            scores.append(_bold(_score(mean and (mean["psnr"], mean["ssim"]))))
        sizes = _range([count(network) for network in own.values()], "{:,}")
        rows[name] = [f"**ours, `{name}`**", sizes, _trained(cards), *scores]
    columns = ["", "weights", "trained on", *(f"×{scale}" for scale in sorted(scales))]
    return table(columns, list(rows.values()))


def of_video(scale: int, lines: list[dict]) -> str:
    """Return the table of one scale on video; the paper's numbers, too, if there are any."""
    columns = [f"×{scale}", "PSNR", "SSIM", "tOF", "frames a second"]
    rows = []
    for line in lines:
        mean, rate = line["mean"], 1 / line["seconds a frame"]["median"]
        numbers = f"{mean['psnr']:.2f}", f"{mean['ssim']:.4f}", f"{mean['tof']:.3f}", f"{rate:.1f}"
        rows.append([line["name"], *numbers])
    if any(key[1] == scale for key in VIDEO):
        columns.append("the paper, all frames")
        for row in rows:
            row.append(_score(VIDEO.get((row[0], scale))))
    return table(columns, rows)


def video(found: dict[Key, Network], results: Path) -> dict[str, str]:
    """Return the parts of the section on video: none without a network for it that was measured."""
    path = results / "video.json"
    if not path.is_file() or all(network.frames == 1 for network in found.values()):
        return {}
    content = harness.measured(path)
    scales: dict[int, list[dict]] = {}
    for line in content["lines"]:
        scales.setdefault(line["scale"], []).append(line)
    about = content["machine"]
    return {
        "video": "\n\n".join(of_video(*one) for one in scales.items()),
        "video_threads": str(about["threads"]),
        "video_processor": about["processor"],
    }


def _score(score: float | tuple[float, float] | None) -> str:
    if isinstance(score, tuple):
        return f"{score[0]:.2f} / {score[1]:.4f}"
    return "" if score is None else f"{score:.2f}"


def _bold(text: str) -> str:
    return text and f"**{text}**"


def _range(numbers: list, form: str) -> str:
    low, high = form.format(min(numbers)), form.format(max(numbers))
    return low if low == high else f"{low} to {high}"


def _trained(cards: list[dict]) -> str:
    """Describe training data: "437 to 446 pictures; 0.26 to 0.45 million crops"."""
    pictures = [int(found[1]) for card in cards if (found := re.search(r"(\d+) pic", card["data"]))]
    said = f"{_range(pictures, '{}')} pictures" if pictures else ""
    seen = [crops_seen(card) / 1e6 for card in cards if "batch" in card["recipe"]]
    return f"{said}; {_range(seen, '{:.2f}')} million crops" if seen else said


def crops_seen(card: dict) -> int:
    """Count the training crops, including those of the weights that the training started from."""
    start = re.match(r"[\w-]+?_x\d+(?:x\d+)*", start_of(card))
    return card["steps"] * card["recipe"]["batch"] + (_crops_of(start[0]) if start else 0)


def _crops_of(name: str) -> int:
    made = (weights.WEIGHTS | weights.STAGES).get(name)
    if made is None:
        return 0
    return made.recipe.steps * made.recipe.batch + (_crops_of(made.start) if made.start else 0)


def pictures() -> str:
    """Return the Markdown of the pictures of all details."""
    shown = crops.rows(of_pictures())
    names = [f"{n} ×{s}" for s, names in shown.items() for n in ("bicubic", *names)]
    return "\n\n".join(
        f"![{detail}: {', '.join(names)}, original](networks-{detail}.png)"
        for detail in crops.DETAILS
    )


def parts(results: Path) -> dict[str, str]:
    """Return the parts that are inserted into the text of the page."""
    found, measured = networks(), read(results)
    scales = sorted({scale for (_, scale), network in found.items() if network.frames == 1})
    content = json.loads((results / "quality.json").read_text(encoding="utf-8"))
    made = {
        "which": which(found),
        "tables": "\n\n".join(at_scale(scale, found, measured) for scale in scales),
        "threads": str(content["machine"]["threads"]),
        "processor": content["machine"]["processor"],
        "pictures": pictures(),
    }
    made |= video(found, results)
    made |= {f"of_{kind}": t for kind in KINDS if (t := beside(kind, found, measured))}
    return made


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.networks_page", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--output", type=Path, default=harness.ROOT / "docs", metavar="FOLDER")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    words = (Path(__file__).parent / "networks_page.md").read_text(encoding="utf-8")
    with written_whole(options.output / "networks.md") as temporary:
        temporary.write_text(page(words, parts(options.results)), encoding="utf-8")
    print(options.output / "networks.md")


if __name__ == "__main__":
    main()
