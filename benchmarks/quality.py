"""How good is each network, and how long does it take? Every shipped network, and bicubic.

Measures PSNR and SSIM of luminance on a folder of pictures, as `pysrcnn evaluate` does, and the
time of `pysrcnn.upscale` for a colour photograph, in seconds per megapixel of the result: medians
of runs in turns. With --weights FILE other networks are measured beside the shipped ones. Writes
JSON, the table as text, and a chart of dB against time for each scale. If the output is the
committed file, README and docs are updated too (`benchmarks.quality_page`).
"""

import importlib.util
import os
import re
from pathlib import Path

from pysrcnn import load, read_picture, upscale
from pysrcnn._files import written_whole
from pysrcnn.evaluate import Score, average, evaluate
from pysrcnn.networks import Network, shipped
from pysrcnn.upscaling.upscale import bicubic

from . import harness, quality_page
from .networks import of_pictures
from .quality_chart import chart

DATA = Path(os.environ.get("PYSRCNN_DATA") or harness.ROOT.parent / "shared" / "data")
PHOTOGRAPH = harness.ROOT / "examples" / "pictures" / "coffee.png"
SHAPE, SMALL = (960, 1440), (96, 144)  # of the timed results; SMALL with --quick


def names() -> tuple[str, ...]:
    """Return the names of the shipped networks that take a single picture."""
    return tuple(dict.fromkeys(name for name, _ in of_pictures()))


def networks(options, scale: int, video: bool = False) -> dict[str, Network]:
    """Return the networks for a scale by their names in the table: shipped ones, then files.

    video: whether those that take several frames are among them.
    """
    have = shipped() if video else of_pictures()
    asked = [name for name, s in have if s == scale and name in options.networks]
    found = {name: load(name, scale) for name in asked}
    for path in options.weights:
        network = load(path)
        known = network.scales or (network.scale,)
        if network.frames > 1 and not video:
            print(f"{path.name} takes frames of a video: python -m benchmarks.video measures it")
        elif scale in known or (known == (None,) and not network.small):
            name = re.sub(r"_x[\dx]+$", "", path.stem)
            found[path.stem if name in found else name] = load(path, scale)
        else:
            print(f"{path.name} is not for x{scale}: left out there")
    return found


def measure(options, scale: int) -> list[dict]:
    """Measure bicubic and all networks at a scale; return the lines of the table."""
    which = networks(options, scale)
    if not which:
        return []
    scores = {}
    for name, network in which.items():
        print(f"x{scale}: {name}", flush=True)
        scores[name] = average(list(evaluate(options.pictures, network, scale)))
    height, width = (side // scale for side in (SMALL if options.quick else SHAPE))
    small = bicubic(read_picture(options.photograph), (height, width))
    large = scale * height, scale * width
    runs = {"bicubic": lambda: bicubic(small, large)}
    for name, network in which.items():
        runs[name] = lambda network=network: upscale(small, scale, network)
    for run in runs.values():
        run()  # compiles
    times = harness.take_turns(runs, options.repeats, options.seconds)
    lines, luminance = [], min(which, key=lambda name: which[name].c)
    for name, seconds in times.items():
        statistics = harness.statistics(seconds)
        each = {k: statistics[k] / (large[0] * large[1] / 1e6) for k in ("median", "spread")}
        about = _about(which[name], scores[name]) if name in which else _bicubic(scores[luminance])
        lines.append({"name": name, "scale": scale, **about, "seconds a megapixel": each})
    return lines


def _bicubic(score: Score) -> dict:
    return {"psnr": score.bicubic_psnr, "ssim": score.bicubic_ssim}


def _about(network: Network, score: Score) -> dict:
    return {
        "psnr": score.psnr,
        "ssim": score.ssim,
        "weights": sum(p.size for p in network.parameters.values()),
        "multiplications": network.seen.multiplications,
    }


def table(scale: int, lines: list[dict]) -> str:
    """Format the table as text, at most 80 columns wide."""
    columns = (f"x{scale}", "dB", "SSIM", "s/Mpixel", "weights", "mult./pixel")
    rows = [
        (
            line["name"],
            f"{line['psnr']:.2f}",
            f"{line['ssim']:.4f}",
            f"{line['seconds a megapixel']['median']:.3f}",
            *(f"{line[k]:,.0f}" if k in line else "" for k in ("weights", "multiplications")),
        )
        for line in lines
    ]
    return harness.table(columns, rows)


def add_networks(parser, scales: tuple[int, ...] = (2, 3, 4)) -> None:
    """Add --weights and --scales, which choose networks."""
    parser.add_argument(
        "--weights", type=Path, nargs="+", default=[], metavar="FILE",
        help="more networks, each at the scales it is for",
    )  # fmt: skip
    parser.add_argument(
        "--scales", type=int, nargs="+", default=scales, choices=(2, 3, 4), metavar="{2,3,4}",
        help=f"(default: {' '.join(map(str, scales))})",
    )  # fmt: skip


def _add(parser) -> None:
    parser.add_argument(
        "--pictures", type=Path, default=DATA / "Set5", metavar="FOLDER",
        help="scored on these (default: Set5 in PYSRCNN_DATA, or in ../shared/data)",
    )  # fmt: skip
    parser.add_argument(
        "--photograph", type=Path, default=PHOTOGRAPH, metavar="FILE",
        help=f"enlarged to {SHAPE[1]} x {SHAPE[0]} (default: {PHOTOGRAPH.name} of the examples)",
    )  # fmt: skip
    add_networks(parser)


def main() -> None:
    options = harness.parse(
        __doc__.splitlines()[0], "quality", names(), add=_add, repeats=5, seconds=0.5
    )
    about = harness.machine(options.threads)
    lines, tables = [], []
    for scale in options.scales:
        found = measure(options, scale)
        if found:
            lines += found
            tables.append(table(scale, found))
            print(f"\n{tables[-1]}\n", flush=True)
    title = f"{options.pictures.name}; {about['threads']} threads of {about['processor']}"
    if options.output:
        with written_whole(options.output.with_suffix(".txt")) as temporary:
            temporary.write_text("\n\n".join([title, *tables]) + "\n", encoding="utf-8")
        for scale in options.scales if importlib.util.find_spec("matplotlib") else ():
            shown = [line for line in lines if line["scale"] == scale]
            picture = options.output.with_name(f"{options.output.stem}-x{scale}.png")
            if shown:
                with written_whole(picture) as temporary:
                    chart(shown, options.pictures.name).savefig(temporary, format="png")
                print(picture)
    harness.write(options, machine=about, lines=lines)
    if options.output == harness.RESULTS / "quality.json":
        if importlib.util.find_spec("matplotlib"):
            quality_page.fill(options.output, harness.ROOT)
        else:
            print("python -m benchmarks.quality_page puts them into the docs; it needs matplotlib")


if __name__ == "__main__":
    main()
