"""Make the pictures of the README: a detail of the sample, enlarged three ways.

``python examples/before_after.py`` writes nearest.png, bicubic.png and srcnn.png to
examples/pictures: the sample's eye enlarged x3 by repeating pixels, by bicubic interpolation, and
by SRCNN; each shown twice as large again, pixel for pixel, so that a browser shows the pixels.
"""

from pathlib import Path

import numpy as np

import pysrcnn
from pysrcnn.pictures import read_picture, write_picture

HERE = Path(__file__).parent
SCALE, ZOOM = 3, 2


def main() -> None:
    """Enlarge, cut out the detail, write."""
    picture = read_picture(HERE / "sample.png")
    enlarged = {
        "nearest": picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1),
        "bicubic": pysrcnn.imresize(picture, scale=SCALE),
        "srcnn": pysrcnn.upscale(picture, SCALE),
    }
    for name, result in enlarged.items():
        detail = result[105:235, 120:260]
        zoomed = np.repeat(np.repeat(detail, ZOOM, axis=0), ZOOM, axis=1)
        write_picture(HERE / "pictures" / f"{name}.png", zoomed)


if __name__ == "__main__":
    main()
