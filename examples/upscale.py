"""Enlarge a photograph: ``python examples/upscale.py img.png``.

Writes the enlarged picture beside it and says where. Without a picture it takes the small sample
in this folder (credits in CREDITS.md). ``pysrcnn upscale`` does the same with more options; this
script shows how little is needed.
"""

import argparse
import sys
from pathlib import Path

try:
    import pysrcnn
    from pysrcnn.pictures import read_picture, write_picture
except KeyboardInterrupt:  # Ctrl-C, as importing takes a moment
    print("interrupted", file=sys.stderr)
    sys.exit(130)

SAMPLE = Path(__file__).with_name("sample.png")


def say(note: str) -> None:
    """Tell the person waiting, and not the program that reads the output."""
    print(note, file=sys.stderr)


def main() -> int:
    """Read, enlarge, write, report."""
    parser = argparse.ArgumentParser(description="Enlarge a photograph with SRCNN.")
    parser.add_argument("picture", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("-s", "--scale", type=int, choices=(2, 3, 4), default=3)
    options = parser.parse_args()
    output = options.picture.with_name(f"{options.picture.stem}_x{options.scale}.png")
    try:
        picture = read_picture(options.picture)
        with pysrcnn.kernels.announce_compilation(say):  # only in the first run on a machine
            enlarged = pysrcnn.upscale(picture, options.scale)
        write_picture(output, enlarged)
    except (ValueError, TypeError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    (height, width), (new_height, new_width) = picture.shape[:2], enlarged.shape[:2]
    print(f"{output}: {new_width} x {new_height} pixels, from {width} x {height}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
