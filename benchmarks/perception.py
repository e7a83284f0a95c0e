"""How faithful is each network, and how natural do its pictures look? All shipped, and bicubic.

The two goals conflict, as Blau and Michaeli show (The Perception-Distortion Tradeoff, CVPR 2018):
PSNR of luminance rewards the original's own pixels, NIQE any natural picture. The distance in
features lies between them: it tolerates shifts of a few pixels. All three are computed as by
`pysrcnn evaluate --metrics psnr,niqe,features`. With --weights FILE other networks are measured
beside the shipped ones; one trained against a discriminator is a curve over its sharpness. Nothing
is timed. Writes JSON, the table as text, and for each scale a chart of PSNR against NIQE and one
against features; with --looks FOLDER also crops side by side. If the output is the committed file,
docs/perception.md is updated too (`benchmarks.perception_page`).
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pysrcnn import niqe
from pysrcnn._files import written_whole
from pysrcnn.evaluate import Metric, Score, average, by_features, evaluate
from pysrcnn.networks import Network, load_features
from pysrcnn.pictures import list_pictures, write_picture

from . import harness, perception_page, quality
from .perception_page import AXES, called, chart, table
from .photo import conditions, middle, results
from .weights import VGG

SHARPNESS = (0.0, 0.25, 0.5, 0.75, 1.0)
FEATURES = quality.DATA / VGG
LOOK = 160  # rows and columns of a crop


def variants(networks: dict[str, Network]) -> Iterator[tuple[str, float | None, Network]]:
    """Yield name, sharpness and network; several times for a network with a sharpness."""
    for name, network in networks.items():
        if network.start is None:
            yield name, None, network
        else:
            yield from ((name, a, network.at_sharpness(a)) for a in SHARPNESS)


def metrics(options) -> tuple[dict[str, Metric], str | None]:
    """Return the metrics besides PSNR, and the label of the features, if any."""
    model = niqe.load(options.niqe_model) if options.niqe_model else niqe.shipped()
    more: dict[str, Metric] = {
        "niqe": lambda picture, original, shave: niqe.niqe(picture, model, shave)
    }
    if options.features is None:
        return more, None
    features = load_features(options.features, options.layer)
    return more | {"features": by_features(features)}, features.label


def measure(options, scale: int) -> dict | None:
    """Measure bicubic and all networks at a scale, and NIQE of the originals."""
    more, features = metrics(options)
    look = more["niqe"]
    original: dict[str, Metric] = {"original": lambda _, truth, shave: look(truth, truth, shave)}
    lines, names = [], ["psnr", *more]
    which = quality.networks(options, scale)
    for name, sharpness, network in variants(which):
        print(f"x{scale}: {name}" + ("" if sharpness is None else f" {sharpness}"), flush=True)
        asked = more if lines else more | original  # the originals are the same for all
        scores = list(evaluate(options.pictures, network, scale, more=asked, on_error=print))
        if not scores:
            raise SystemExit(f"none of the pictures in {options.pictures} can be measured")
        mean = average(scores)
        if not lines:
            originals = mean.more["original"]
            lines.append({"name": "bicubic", **_numbers(mean, names, "bicubic_")})
        at = {} if sharpness is None else {"sharpness": sharpness}
        lines.append({"name": name, **at, **_numbers(mean, names)})
    if not lines:
        return None
    return {
        "scale": scale,
        "pictures": len(scores),
        "features": features,
        "originals": originals,
        "lines": lines,
    }


def _numbers(score: Score, names: list[str], before: str = "") -> dict[str, float]:
    return {name: score.numbers[before + name] for name in names}


def looks(options, scale: int) -> None:
    """Write crops of bicubic, the networks and the original side by side, a file per picture.

    They are in colour, enlarged by `pysrcnn.upscale` from the clean small picture.
    """
    clean = conditions(quick=True)["no JPEG, noise 0"]
    which = {
        called({"name": name} | ({} if a is None else {"sharpness": a})): network
        for name, a, network in variants(quality.networks(options, scale))
        if a in (None, 0.0, 0.5, 1.0)
    }
    for path in list_pictures(options.pictures):
        found = results(path, clean, which, scale, (0, 0))
        found.pop("small")
        crops = [middle(picture, LOOK) for picture in found.values()]
        between = np.full((len(crops[0]), 4, 3), 255, np.uint8)
        row = [part for crop in crops for part in (crop, between)][:-1]
        write_picture(options.looks / f"{path.stem}-x{scale}.png", np.concatenate(row, axis=1))
    print(f"{options.looks}: {', '.join(found)}, from left to right")


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
    parser.add_argument(
        "--features", type=Path, default=FEATURES if FEATURES.exists() else None, metavar="FILE",
        help="of which the feature distance is (default: vgg16 in PYSRCNN_DATA, or in "
        "../shared/data, if it is there)",
    )  # fmt: skip
    parser.add_argument("--layer", metavar="NAME", help="of it (default: relu2_2 of VGG)")
    parser.add_argument(
        "--looks", type=Path, metavar="FOLDER",
        help="also write crops side by side, in colour: bicubic, the networks in their order, "
        "each by its sharpness 0, 0.5 and 1 if it has one, the original",
    )  # fmt: skip


def main() -> None:
    """Run the command."""
    options = harness.parse(__doc__.splitlines()[0], "perception", quality.names(), add=_add)
    found = [one for scale in options.scales if (one := measure(options, scale))]
    text = "\n\n".join([options.pictures.name, *map(table, found)]) + "\n"
    print(f"\n{text}", end="")
    if options.looks:
        options.looks.mkdir(parents=True, exist_ok=True)
        for one in found:
            looks(options, one["scale"])
    if options.output:
        with written_whole(options.output.with_suffix(".txt")) as temporary:
            temporary.write_text(text, encoding="utf-8")
        for one in found if importlib.util.find_spec("matplotlib") else ():
            for name in (name for name in AXES if name in one["lines"][0]):
                path = options.output.with_name(f"{options.output.stem}-{name}-x{one['scale']}.png")
                with written_whole(path) as temporary:
                    chart(one, options.pictures.name, name).savefig(temporary, format="png")
                print(path)
    harness.write(options, results=found)
    if options.output == harness.RESULTS / "perception.json":
        perception_page.fill(options.output, harness.ROOT)


if __name__ == "__main__":
    main()
