"""Enlarge a photograph: ``python examples/upscale.py img.png``.

This writes the enlarged picture beside the original and prints its name. Without an argument, it
takes the small sample in this folder (credits in CREDITS.md). ``pysrcnn upscale`` has more options
and takes folders; both call `enlarge_files`.
"""

import argparse
import sys
from pathlib import Path

try:
    from pysrcnn._printing import any_text
    from pysrcnn._signals import ended_in_order
    from pysrcnn.batch import Size, enlarge_files, job_beside
    from pysrcnn.kernels import announce_compilation
    from pysrcnn.networks import DEFAULT
    from pysrcnn.pictures import quiet_readers
    from pysrcnn.upscaling.scales import Networks
except KeyboardInterrupt:  # Ctrl-C during the imports, which take a moment
    print("interrupted", file=sys.stderr)
    sys.exit(130)

SAMPLE = Path(__file__).with_name("sample.png")


def say(note: object) -> None:
    """Print to standard error, for the person waiting rather than for a program."""
    print(note, file=sys.stderr, flush=True)


def main() -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(description="Enlarge a photograph.")
    parser.add_argument("picture", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("-s", "--scale", type=int, choices=(2, 3, 4), default=3)
    options = parser.parse_args()
    size = Size(options.scale)
    try:
        quiet_readers()  # errors of a file are printed once, below
        # Announces compilation, in the first run only. An interrupted run leaves no partial file.
        with ended_in_order(), any_text(), announce_compilation(say):
            # Each frame goes through pysrcnn.upscale; metadata is kept.
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
