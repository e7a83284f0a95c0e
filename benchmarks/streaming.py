"""Does a folder of any size keep the network busy, in bounded memory? 20,000 pictures, streamed.

The folder is generated: 64 JPEG files of 500 x 375 pixels, hard-linked under many names, and one
damaged file in a hundred. Training runs as `pysrcnn train --stream` in a process of its own. "read"
is the number of pictures that were read, "waiting" the share of time that the network waited for
them, and "peak" the peak memory of that process and of the reading process, added. The recipe is
the default: 16 crops of 48 x 48 a step.

The files are in the system's cache, so this measures listing, decoding and shrinking pictures, not
a disk.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pysrcnn import imresize
from pysrcnn.pictures import write_picture
from pysrcnn.training import read_log
from pysrcnn.training.stream import PART, TAKEN

from . import harness

PICTURES = 20_000
DISTINCT = 64
DAMAGED = 100  # one picture in this many
STEPS = {"9-1-5": 4000, "9-5-5": 1500}
MIB = 2**20

# The sum of both processes' peaks is an upper bound of what they held at any one time.
TRAIN = """
import json, resource, sys
from pysrcnn.cli import main
code = main(json.loads(sys.argv[1]))
who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
print(json.dumps([code, sum(resource.getrusage(w).ru_maxrss for w in who)]))
"""


def generate(folder: Path, count: int) -> None:
    """Write `count` picture files in folders of 200, some of them damaged."""
    rng = np.random.default_rng(0)
    for k in range(DISTINCT):
        coarse = imresize(rng.random((40, 53, 3)), shape=(375, 500))  # clouds, a little grainy
        picture = coarse + rng.normal(0, 0.02, coarse.shape)
        write_picture(folder / f"{k}.jpg", np.uint8(255 * np.clip(picture, 0, 1)))
    for k in range(DISTINCT, count):
        below = folder / f"{k // 200}"
        below.mkdir(exist_ok=True)
        if k % DAMAGED == 0:
            (below / f"{k}.jpg").write_bytes(b"not a picture")
        else:
            os.link(folder / f"{k % DISTINCT}.jpg", below / f"{k}.jpg")


def measure(folder: Path, network: str, steps: int, options) -> dict:
    """Run one training; return the end of its log and its peak memory."""
    with tempfile.TemporaryDirectory() as place:
        weights = Path(place) / "weights.npz"
        arguments = ["train", folder, "-s", 3, "-o", weights, "--network", network, "--stream"]
        arguments += ["--steps", steps, "--every", steps // 2, "--threads", options.threads]
        command = [sys.executable, "-c", TRAIN, json.dumps([str(a) for a in arguments])]
        done = subprocess.run(command, cwd=harness.ROOT, capture_output=True, text=True)
        if done.returncode != 0 or done.stdout.splitlines()[-1][:3] not in ("[0,", "[2,"):
            raise RuntimeError(done.stderr)
        _, peak = json.loads(done.stdout.splitlines()[-1])
        head, lines = read_log(weights.with_suffix(".log"))
    parts = lines[-1]["samples"] // (PART * TAKEN) + 2  # the one in use and the one after it
    return {
        "network": network,
        "pictures": head["pictures"],
        **lines[-1],
        "read": parts * PART,
        "skipped": int(re.search(r"(\d+) failed", done.stderr + "0 failed").group(1)),
        "peak": peak * (1 if sys.platform == "darwin" else 1024),
    }


def main() -> None:
    options = harness.parse(__doc__.splitlines()[0], "streaming")
    about = harness.machine(options.threads)
    count = 1500 if options.quick else PICTURES
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), count)
        lines = [
            measure(Path(folder), network, 100 if options.quick else steps, options)
            for network, steps in STEPS.items()
        ]
    print(f"\n{count} pictures, streamed")
    harness.print_table(
        ("network", "steps", "read", "skipped", "samples/s", "waiting", "peak MiB"),
        [
            (
                line["network"],
                str(line["step"]),
                str(line["read"]),
                str(line["skipped"]),
                f"{line['samples_per_second']:.0f}",
                f"{line['waiting']:.1%}",
                f"{line['peak'] / MIB:.0f}",
            )
            for line in lines
        ],
    )
    harness.write(options, machine=about, pictures=count, lines=lines)


if __name__ == "__main__":
    main()
