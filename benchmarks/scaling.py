"""Do time and memory grow with the picture as they should? `pysrcnn.upscale`, 1 to 100 megapixels.

9-1-5 enlarges 8-bit colour to three times the width and height. Every figure comes from a process
of its own, since a process's peak memory never falls. "Beyond" is the peak minus what the process
held before (the warmed-up program and the small picture) and minus the result itself.
"""

import sys
import time

import numba
import numpy as np

from pysrcnn import upscale

from . import harness, networks

MEGAPIXELS = (1, 4, 16, 50, 100)  # of the result
SCALE = 3
MIB = 2**20


def peak() -> int:
    """Return the peak memory of this process in bytes."""
    import resource  # not on Windows

    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value if sys.platform == "darwin" else value * 1024  # macOS counts bytes, Linux KiB


def measure(megapixels: float, threads: int, seconds: float) -> dict:
    """Measure times and memory; run this first in a fresh process."""
    numba.set_num_threads(threads)
    network = networks.network("9-1-5", SCALE)
    width = round((megapixels * 1e6 * 1.5) ** 0.5 / SCALE)
    height = round(megapixels * 1e6 / SCALE**2 / width)
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    upscale(picture[:32, :32], SCALE, network)  # compiles, or loads compiled code
    before, times = peak(), []
    while not times or sum(times) < seconds:
        began = time.perf_counter()
        result = upscale(picture, SCALE, network)
        times.append(time.perf_counter() - began)
        if len(times) == 1:
            after = peak()  # later runs hold the previous `result` as well
    pixels = result.shape[0] * result.shape[1]
    return {
        "megapixels": pixels / 1e6,
        "threads": threads,
        "times": times,
        "peak": after,
        "before": before,
        "beyond": after - before - result.nbytes,
    }


def main() -> None:
    options = harness.parse(__doc__.splitlines()[0], "scaling", repeats=3, seconds=1.0)
    about = harness.machine(options.threads)
    sizes = MEGAPIXELS[:2] if options.quick else MEGAPIXELS
    cases = [(size, threads) for threads in sorted({1, options.threads}) for size in sizes]
    found = {case: [] for case in cases}
    for _ in range(1 if options.quick else options.repeats):  # in turns
        for case in cases:
            found[case].append(harness.in_a_process(measure, *case, options.seconds))

    lines = []
    for runs in found.values():
        times = [t for run in runs for t in run.pop("times")]
        line = {**runs[0], **harness.statistics(times)}
        line |= {k: int(np.median([run[k] for run in runs])) for k in ("peak", "before", "beyond")}
        line["per megapixel"] = line["median"] / line["megapixels"]
        lines.append(line)
    print()
    harness.print_table(
        ("megapixels", "threads", "median s", "spread", "ms / MP", "peak MiB", "before", "beyond"),
        [
            (
                f"{line['megapixels']:.1f}",
                str(line["threads"]),
                *(f"{line[k]:.3f}" for k in ("median", "spread")),
                f"{1e3 * line['per megapixel']:.1f}",
                *(f"{line[k] / MIB:.0f}" for k in ("peak", "before", "beyond")),
            )
            for line in lines
        ],
    )
    flatness = {}
    for threads in sorted({1, options.threads}):
        each = [line["per megapixel"] for line in lines if line["threads"] == threads]
        flatness[threads] = max(each) / min(each) - 1
        print(f"{threads} threads: time per megapixel varies by {flatness[threads]:.0%}")
    harness.write(options, machine=about, lines=lines, variation=flatness)


if __name__ == "__main__":
    main()
