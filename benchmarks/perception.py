"""How true is each network, and how natural do pictures look? Every shipped one, and bicubic.

Two axes that are at odds, as Blau and Michaeli show (The Perception-Distortion Tradeoff, CVPR
2018): PSNR, of luminance, wants the original's own pixels, and NIQE any natural picture. Both as
`pysrcnn evaluate --metrics psnr,niqe` has them. With --weights FILE other networks are measured
beside the shipped ones, with --niqe-model FILE by another pristine model. Nothing is timed. Writes
JSON, the table as text, and a chart for each scale, with NIQE of the originals as a line.
"""

import importlib.util
from pathlib import Path

import numpy as np

from pysrcnn import niqe
from pysrcnn._files import written_whole
from pysrcnn.evaluate import Metric, Score, average, evaluate

from . import harness, quality
from .quality_chart import INK, best, plane


def measure(options, scale: int) -> dict | None:
    """The lines of a table: bicubic and all networks at a scale; and NIQE of the originals."""
    which = quality.networks(options, scale)
    model = niqe.load(options.niqe_model) if options.niqe_model else niqe.shipped()

    def look(picture: np.ndarray, original: np.ndarray, shave: int) -> float:
        return niqe.niqe(picture, model, shave)

    def of_original(picture: np.ndarray, original: np.ndarray, shave: int) -> float:
        return niqe.niqe(original, model, shave)

    more: dict[str, Metric] = {"niqe": look, "original": of_original}
    means: dict[str, Score] = {}
    for name, network in which.items():
        print(f"x{scale}: {name}", flush=True)
        scores = list(evaluate(options.pictures, network, scale, more=more, on_error=print))
        if not scores:
            raise SystemExit(f"none of the pictures in {options.pictures} can be measured")
        means[name] = average(scores)
        more = {"niqe": look}  # the originals are the same for all
    if not means:
        return None
    first = next(iter(means.values()))
    luminance = means[min(which, key=lambda name: which[name].c)].numbers
    lines = [{"name": "bicubic", **{k: luminance[f"bicubic_{k}"] for k in ("psnr", "niqe")}}]
    for name, score in means.items():
        lines.append({"name": name, **{k: score.numbers[k] for k in ("psnr", "niqe")}})
    return {
        "scale": scale,
        "pictures": len(scores),
        "originals": first.more["original"],
        "lines": lines,
    }


def table(found: dict) -> str:
    """As text: the originals are last, which have no PSNR."""
    rows = [(line["name"], f"{line['psnr']:.2f}", f"{line['niqe']:.3f}") for line in found["lines"]]
    rows.append(("originals", "", f"{found['originals']:.3f}"))
    return harness.table((f"x{found['scale']}", "dB", "NIQE"), rows)


def chart(found: dict, pictures: str):
    """The plane: what no other beats in both is joined; the originals are a line."""
    points = {line["name"]: (line["niqe"], line["psnr"]) for line in found["lines"]}
    labels = "NIQE: less looks more natural", "PSNR, dB: more is truer"
    axis = plane(points, best(points), labels, dotted=found["originals"])
    axis.set_title(
        f"×{found['scale']}: {pictures}; dotted: NIQE of the originals", color=INK, fontsize=11
    )
    return axis.figure


def _add(parser) -> None:
    parser.add_argument(
        "--pictures", type=Path, default=quality.DATA / "Set5", metavar="FOLDER",
        help="originals (default: Set5 in PYSRCNN_DATA, or in ../shared/data)",
    )  # fmt: skip
    quality.add_networks(parser)
    parser.add_argument(
        "--niqe-model", type=Path, metavar="FILE",
        help="the pristine model (default: the one of the package)",
    )  # fmt: skip


def main() -> None:
    """The command."""
    options = harness.parse(__doc__.splitlines()[0], "perception", quality.NAMES, add=_add)
    results = [found for scale in options.scales if (found := measure(options, scale))]
    text = "\n\n".join([options.pictures.name, *map(table, results)]) + "\n"
    print(f"\n{text}", end="")
    if options.output:
        with written_whole(options.output.with_suffix(".txt")) as temporary:
            temporary.write_text(text, encoding="utf-8")
        for found in results if importlib.util.find_spec("matplotlib") else ():
            name = f"{options.output.stem}-x{found['scale']}.png"
            with written_whole(options.output.with_name(name)) as temporary:
                chart(found, options.pictures.name).savefig(temporary, format="png")
            print(options.output.with_name(name))
    harness.write(options, results=results)


if __name__ == "__main__":
    main()
