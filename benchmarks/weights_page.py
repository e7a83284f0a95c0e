"""Write docs/weights.md from the cards of the shipped weights: python -m benchmarks.weights_page

The text around the cards is in weights_page.md.
"""

import argparse
import string
from pathlib import Path

from pysrcnn._files import written_whole
from pysrcnn.networks import load
from pysrcnn.networks.loading import shipped_files

from . import harness
from .paper_page import start_of, table

_ALL = (
    *("steps", "batch", "optimizer", "learning_rate", "last_learning_rate", "bias_learning_rate"),
    *("size", "init", "seed", "loss", "depth", "width", "reduced", "drop"),
)
_OF_VIDEO = "fusion", "shrink", "beta"
_UNUSED = "depth", "width", "reduced", "drop", "bias_learning_rate"  # if they are zero or empty


def card(path: Path, label: str) -> str:
    """Return the section on one file."""
    model = load(path)
    about = model.card
    arrays = model.parameters.values()
    # Cards have five digits of SSIM: halves are rounded up.
    scores = (
        f"{x}: {s['PSNR']:.2f} dB, {s['SSIM'] + 1e-9:.4f}" for x, s in about["scores"].items()
    )
    named = (*_ALL, *_OF_VIDEO) if model.frames > 1 else _ALL
    recipe = {k: v for k, v in about["recipe"].items() if k in named and (v or k not in _UNUSED)}
    rows = {
        "network": repr(model).strip("<>"),
        "channels": about["channels"],
        "size": f"{sum(a.size for a in arrays):,} numbers, {path.stat().st_size:,} bytes",
        "trained on": about["data"],
        "started from": start_of(about) or "random numbers",
        "recipe": _listed(recipe),
        **{k: _listed(v) for k in ("degradation", "adversarial") if (v := about["recipe"].get(k))},
        **({"features": about["features"]} if "features" in about else {}),
        "time of this training": f"{about['minutes']:.0f} minutes",
        "scores": "; ".join(scores),
        **({"notes": "; ".join(about["notes"])} if "notes" in about else {}),
        "license": f"MIT; made by pysrcnn {about['version']}",
    }
    title = label.replace(" x", " ×")
    return f"## {title}\n\n" + table(["", path.name], [list(row) for row in rows.items()])


def _listed(settings: dict) -> str:
    return ", ".join(f"{k} {v}" for k, v in settings.items())


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.weights_page", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--output", type=Path, default=harness.ROOT / "docs", metavar="FOLDER")
    folder = parser.parse_args().output
    folder.mkdir(exist_ok=True)
    words = (Path(__file__).parent / "weights_page.md").read_text(encoding="utf-8")
    cards = "\n\n".join(card(path, label) for path, label in shipped_files().items())
    with written_whole(folder / "weights.md") as temporary:
        text = string.Template(words).substitute(cards=cards)
        temporary.write_text(text, encoding="utf-8")
    print(folder / "weights.md")


if __name__ == "__main__":
    main()
