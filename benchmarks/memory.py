"""How much memory does each network take? Every shipped network, and bicubic, at each scale.

`pysrcnn.upscale` enlarges the photograph that `benchmarks.quality` times to 1440 x 960 pixels,
or to as many megapixels as are asked for (`memory-100.json`: --megapixels 100 --repeats 1, in
several runs of --networks and --scales, as deep networks take minutes).
Each figure is the smallest of several processes, because a process's peak never falls, and one
that compiles needs more. "Beyond" is the peak minus what the process held before: the warmed-up
program and the small picture. Times do not matter, so the machine may be busy.
"""

import argparse
import math

import numba

from pysrcnn import load, read_picture, upscale
from pysrcnn.upscaling.upscale import bicubic

from . import harness, quality
from .networks import of_pictures
from .scaling import MIB, peak


def measure(name: str, scale: int, threads: int, megapixels: float) -> dict[str, int]:
    """Measure peak memory in bytes; run this first in a fresh process."""
    numba.set_num_threads(threads)
    larger = math.sqrt(megapixels * 1e6 / math.prod(quality.SHAPE)) / scale
    sides = [round(side * larger) for side in quality.SHAPE]
    small = bicubic(read_picture(quality.PHOTOGRAPH), (sides[0], sides[1]))
    if name == "bicubic":

        def enlarge(picture):
            return bicubic(picture, tuple(scale * side for side in picture.shape[:2]))
    else:
        network = load(name, scale)

        def enlarge(picture):
            return upscale(picture, scale, network)

    enlarge(small[:32, :32])  # loads compiled code
    before = peak()
    enlarge(small)
    return {"peak": peak(), "beyond": peak() - before}


def lines(options: argparse.Namespace) -> list[dict]:
    """Measure bicubic and all networks at each scale; return the lines of the table."""
    found = []
    which = of_pictures()
    for scale in options.scales:
        names = [name for name, s in which if s == scale and name in options.networks]
        for name in ("bicubic", *names):
            runs = [
                harness.in_a_process(measure, name, scale, options.threads, options.megapixels)
                for _ in range(options.repeats)
            ]
            least = {k: min(run[k] for run in runs) for k in runs[0]}
            found.append({"name": name, "scale": scale, **least})
            print(f"x{scale}: {name}, {least['peak'] / MIB:.0f} MiB", flush=True)
    return found


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--megapixels", type=float, default=math.prod(quality.SHAPE) / 1e6, help="of the result"
    )
    scales = sorted({scale for _, scale in of_pictures()})
    parser.add_argument("--scales", type=int, nargs="+", choices=scales, default=scales)


def main() -> None:
    options = harness.parse(__doc__.splitlines()[0], "memory", quality.names(), _add, repeats=2)
    about = harness.machine(options.threads)
    found = lines(options)
    print()
    harness.print_table(
        ("", "scale", "peak MiB", "beyond"),
        [
            (
                line["name"],
                f"x{line['scale']}",
                *(f"{line[k] / MIB:.0f}" for k in ("peak", "beyond")),
            )
            for line in found
        ],
    )
    harness.write(options, machine=about, lines=found)


if __name__ == "__main__":
    main()
