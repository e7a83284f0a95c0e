"""Fit the shipped pristine model of NIQE: python -m benchmarks.pristine --data FOLDER

It is fitted to General-100: on sharp, blurred and noisy pictures of Set5, that model was nearest to
the authors'. A model of the grainy Photos76 hardly reacts to noise.
"""

import argparse
from pathlib import Path

from pysrcnn import niqe
from pysrcnn._files import check_place
from pysrcnn.pictures import list_pictures, read_picture

from . import harness

SET = "General100"
SHIPPED = harness.ROOT / "pysrcnn" / "weights" / "niqe.npz"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pristine", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help=f"has the folder {SET}"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=SHIPPED,
        metavar="FILE.npz",
        help=f"(default: {SHIPPED.name})",
    )
    options = parser.parse_args()
    check_place(options.output)
    pictures = [read_picture(path) for path in list_pictures(options.data / SET)]
    used = [
        x for x in pictures if min(x.shape[:2]) >= niqe.BLOCK and max(x.shape) >= 2 * niqe.BLOCK
    ]
    model = niqe.fit(used)
    model.save(options.output, kind="pristine model of NIQE", data=SET, pictures=len(used))
    print(f"{options.output.name}: of {len(used)} pictures of {len(pictures)}")


if __name__ == "__main__":
    main()
