"""How fast is each network on a picture, and how much time does everything around it take?

First the network alone, ours and the engines', on luminance (SRResNet: on colour). Then
`pysrcnn.upscale` enlarges a colour picture of 640 x 360 pixels to three times its size, to find how
long everything but the network takes.
"""

import numpy as np

from pysrcnn import SRCNN, kernels, reference, upscale
from pysrcnn.networks import Network

from . import engines, harness, networks

NETWORKS = ("9-1-5", "9-3-5", "9-5-5", "espcn", *networks.UNTRAINED)
SIZES = ((256, 256), (512, 512), (1080, 1920))  # rows, columns
MOST = 2e11  # multiplications; the engines need many seconds for each run that has more
SMALL = ((96, 128),)

# Rows of the reference at a time, at least four margins; im2col of 1080p at once would take 26 GB.
BAND = 32
BFLOAT16_EPS = 2.0**-8


def expected(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the reference's output for x in float64, computed band by band."""
    network = network.astype(np.float64)
    network.ops = reference
    height, m = x.shape[2], network.margin
    s = network.seen.resolution
    bands = []
    band = max(BAND, 4 * m)
    for top in range(0, height, band):
        bottom = min(top + band, height)
        above, below = max(0, top - m), min(height, bottom + m)
        out = network.forward(x[:, :, above:below])
        bands.append(out[:, :, s * (top - above) : s * (bottom - above)])
    return np.concatenate(bands, axis=2)


def the_network(name: str, size: tuple[int, int], options) -> dict:
    """Validate and time one network at one size of its result: one table."""
    network = networks.network(name)
    s = network.seen.resolution
    size = size[0] // s, size[1] // s
    x = np.random.default_rng(0).random((1, network.c, *size), np.float32)
    pixel = network.seen.multiplications * s**2  # per pixel of its input
    tolerance = harness.rounding(np.finfo(np.float32).eps, pixel)

    # Engines in bfloat16 sum in float32 but round every map, so the terms are the layers.
    coarse = harness.rounding(BFLOAT16_EPS, len(network.layers))

    ours = harness.Contender("pysrcnn", lambda: network.forward(x), tolerance=tolerance)
    contenders = [ours]
    if any(w.shape[2] in (3, 5) for w, _ in network.layers[1:-1]):  # the others always sum directly
        direct = networks.network(name, ops=kernels.direct)
        contenders.append(
            harness.Contender(
                "pysrcnn, direct sum",
                lambda: direct.forward(x),
                tolerance=tolerance,
                rival=False,
            )
        )
    for engine, (run, single) in engines.pictures(network, x.shape, options.threads).items():
        contenders.append(
            harness.Contender(
                engine,
                lambda run=run: run(x),
                tolerance=tolerance if single else coarse,
                rival=single,
            )
        )
    title = f"{name}, {size[0]} x {size[1]}" + (
        f" to {s * size[0]} x {s * size[1]}" if s > 1 else ""
    )
    operations = 2 * pixel * x[0, 0].size
    return harness.compare(title, contenders, [expected(network, x)], operations, options)


class _HandsThrough(SRCNN):
    """A network that returns its input, to measure how long everything else takes."""

    def forward(self, x, padding="replicate"):
        return x


def all_else(size: tuple[int, int], options) -> dict:
    """Time `pysrcnn.upscale` in colour with 9-1-5, its network alone, and the rest."""
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    network, nothing = networks.network("9-1-5"), _HandsThrough()
    large = np.random.default_rng(0).random((1, 1, 3 * size[0], 3 * size[1]), np.float32)
    runs = {
        "the network": lambda: network.forward(large),
        "everything but the network": lambda: upscale(picture, 3, nothing),
        "pysrcnn.upscale": lambda: upscale(picture, 3, network),
    }
    times = harness.take_turns(runs, options.repeats, options.seconds)
    lines = [{"name": name, **harness.statistics(t)} for name, t in times.items()]
    title = f"pysrcnn.upscale, colour, {size[0]} x {size[1]} x3, 9-1-5"
    print(f"\n{title}")
    for line in lines:
        line["ratio"] = line["median"] / lines[0]["median"]
    harness.print_table(
        ("", "min ms", "median", "spread", "of the network"),
        [
            (
                line["name"],
                *(f"{1e3 * line[k]:.2f}" for k in ("minimum", "median", "spread")),
                f"{line['ratio']:.0%}",
            )
            for line in lines
        ],
    )
    return {"title": title, "lines": lines}


def _sizes(name: str) -> list[tuple[int, int]]:
    """Return the default sizes without those that take too long."""
    each = networks.network(name).seen.multiplications
    return [size for size in SIZES if each * size[0] * size[1] < MOST]


def _size(text: str) -> tuple[int, int]:
    """Parse "1080x1920" into (1080, 1920)."""
    rows, columns = (int(side) for side in text.split("x"))
    return rows, columns


def _add(parser) -> None:
    sizes = " ".join(f"{rows}x{columns}" for rows, columns in SIZES)
    parser.add_argument(
        "--sizes", type=_size, nargs="+", metavar="ROWSxCOLUMNS",
        help=f"of results (default: {sizes}, of slow networks not all of them)",
    )  # fmt: skip


def main() -> None:
    options = harness.parse(__doc__.splitlines()[0], "upscale", NETWORKS, add=_add)
    about = harness.machine(options.threads, engines.installed())
    cases = [
        the_network(name, size, options)
        for name in options.networks
        for size in options.sizes or (SMALL if options.quick else _sizes(name))
    ]
    if "9-1-5" in options.networks:
        cases.append(all_else((60, 80) if options.quick else (360, 640), options))
    harness.write(options, machine=about, cases=cases)


if __name__ == "__main__":
    main()
