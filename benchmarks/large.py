"""Are pictures larger than memory enlarged in bounded memory? TIFF files of up to a gigapixel.

`pysrcnn upscale large.tif -o larger.tif` enlarges 8-bit colour to three times the width and height
by the default network, in a process of its own; "peak" is the peak memory of that process. Then
regions of the result are compared with `pysrcnn.upscale` of the region of the source, in memory;
"differing" counts the values that differ. Needs tifffile, `pip install ".[deep]"`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pysrcnn import upscale

from . import harness

MEGAPIXELS = (100, 1000)  # of the result
SCALE = 3
REGION = 96  # pixels a side, in the source, of a region that is compared
MARGIN = 24  # pixels around it, more than half the receptive field
MIB = 2**20

# On Linux, a process's peak memory starts at what its parent held: hold no large picture here.
ENLARGE = """
import json, sys, time
from benchmarks.scaling import peak
from pysrcnn.cli import main
began = time.perf_counter()
code = main(sys.argv[1:])
print(json.dumps({"code": code, "seconds": time.perf_counter() - began, "peak": peak()}))
"""


def generate(path: Path, megapixels: float) -> tuple[int, int]:
    """Write a compressed, tiled TIFF file of noise; return its height and width."""
    import tifffile

    width = round((megapixels * 1e6 * 1.5) ** 0.5 / SCALE)
    height = round(megapixels * 1e6 / SCALE**2 / width)
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 256, (256, 256, 3), np.uint8)
    down, across = -(-height // 256), -(-width // 256)
    tiles = (np.roll(tile, (31 * k, 17 * k), (0, 1)) for k in range(down * across))
    options = {"tile": (256, 256), "photometric": "rgb", "compression": "zlib"}
    tifffile.imwrite(path, tiles, shape=(height, width, 3), dtype=np.uint8, **options)
    return height, width


def differing(source: Path, result: Path) -> int:
    """Return how many values of some regions differ from those of `upscale`."""
    import tifffile
    import zarr

    small, large = (
        zarr.open(tifffile.imread(path, aszarr=True), mode="r") for path in (source, result)
    )
    rng, count = np.random.default_rng(1), 0
    for _ in range(20):
        y, x = (int(rng.integers(MARGIN, n - REGION - MARGIN)) // 4 * 4 for n in small.shape[:2])
        around = slice(y - MARGIN, y + REGION + MARGIN), slice(x - MARGIN, x + REGION + MARGIN)
        inside = slice(SCALE * MARGIN, SCALE * (MARGIN + REGION))
        want = upscale(small[around], SCALE)[inside, inside]
        place = (slice(SCALE * k, SCALE * (k + REGION)) for k in (y, x))
        count += int(np.count_nonzero(large[tuple(place)] != want))
    return count


def measure(folder: Path, megapixels: float, threads: int) -> dict:
    """Enlarge one picture by the command, and return the line of the table."""
    source, result = folder / "large.tif", folder / "larger.tif"
    height, width = generate(source, megapixels)
    arguments = ["upscale", source, "-s", SCALE, "-o", result, "--threads", threads]
    command = [sys.executable, "-c", ENLARGE, *map(str, arguments)]
    done = subprocess.run(command, cwd=harness.ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found.pop("code") != 0:
        raise RuntimeError(done.stderr)
    line = {
        "megapixels": SCALE**2 * height * width / 1e6,
        **found,
        "source": source.stat().st_size,
        "result": result.stat().st_size,
        "differing": differing(source, result),
    }
    result.unlink()
    return line


def main() -> None:
    options = harness.parse(__doc__.splitlines()[0], "large")
    about = harness.machine(options.threads, ("tifffile",))
    sizes = (60,) if options.quick else MEGAPIXELS
    with tempfile.TemporaryDirectory() as folder:
        lines = [measure(Path(folder), size, options.threads) for size in sizes]
    print()
    harness.print_table(
        ("megapixels", "seconds", "ms / MP", "peak MiB", "source MiB", "result MiB", "differing"),
        [
            (
                f"{line['megapixels']:.0f}",
                f"{line['seconds']:.0f}",
                f"{1e3 * line['seconds'] / line['megapixels']:.0f}",
                *(f"{line[k] / MIB:.0f}" for k in ("peak", "source", "result")),
                str(line["differing"]),
            )
            for line in lines
        ],
    )
    harness.write(options, machine=about, lines=lines)


if __name__ == "__main__":
    main()
