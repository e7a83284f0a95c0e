"""Enlarge a photograph: ``python examples/upscale.py img.png``.

Writes the enlarged picture beside it and says where. Without a picture it takes the small sample
in this folder (credits in CREDITS.md). ``pysrcnn upscale`` has more options and takes folders;
reading, enlarging and writing are the same, for both call `enlarge_files`.
"""

import argparse
import sys
from pathlib import Path

try:
    from pysrcnn._signals import ended_in_order
    from pysrcnn.batch import Size, enlarge_files, job_beside
    from pysrcnn.kernels import announce_compilation
    from pysrcnn.networks import DEFAULT
    from pysrcnn.pictures import quiet_readers
    from pysrcnn.upscaling.scales import Networks
except KeyboardInterrupt:  # Ctrl-C, as importing takes a moment
    print("interrupted", file=sys.stderr)
    sys.exit(130)

SAMPLE = Path(__file__).with_name("sample.png")


def say(note: object) -> None:
    """Tell the person waiting, and not the program that reads the output."""
    print(note, file=sys.stderr, flush=True)


def main() -> int:
    """Read, enlarge, write, report."""
    parser = argparse.ArgumentParser(description="Enlarge a photograph.")
    parser.add_argument("picture", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("-s", "--scale", type=int, choices=(2, 3, 4), default=3)
    options = parser.parse_args()
    size = Size(options.scale)
    try:
        quiet_readers()  # what is wrong with a file is said once, below
        # Of compiling, only in the first run on a machine. Told to end, it leaves no file behind.
        with ended_in_order(), announce_compilation(say):
            # Each frame goes through pysrcnn.upscale; all that comes with the pixels is kept.
            enlarge_files([job_beside(options.picture, str(size))], Networks(DEFAULT), size)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        say(error)
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
