"""Factors between 2, 3 and 4: one pass of a VDSR, or a pass at the next whole factor and a resize?

python -m benchmarks.between --pictures FOLDER times nothing. Each picture is cropped, shrunk by the
factor, and enlarged in colour by `pysrcnn.upscale`. PSNR is of luma, with the factor, rounded up,
as the number of pixels shaved. A network for several scales has two lines: one pass at the next
whole factor followed by a resize, as by `upscale`, and one at the factor itself.
"""

import argparse
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from pysrcnn import imresize, load, upscale
from pysrcnn.color import rgb_to_luma
from pysrcnn.evaluate import levels
from pysrcnn.metrics import psnr
from pysrcnn.networks import Network, shipped
from pysrcnn.pictures import list_pictures, read_picture
from pysrcnn.upscaling.upscale import bicubic

from . import harness
from .networks import of_pictures

FACTORS = (1.5, 2.5, 3.5)

Enlarge = Callable[[np.ndarray, float, tuple[int, int]], np.ndarray]


def direct(network: Network) -> Enlarge:
    """Return a function that applies a network to the luminance of the bicubic enlargement."""

    def enlarge(small: np.ndarray, _: float, shape: tuple[int, int]) -> np.ndarray:
        large = imresize(small / 255, shape=shape)
        y = rgb_to_luma(large)
        change = network.forward(y[None, None])[0, 0] - y
        return np.clip(large + change[..., None] * (255 / 219), 0, 1) * 255  # Y has 219 levels

    return enlarge


def lines_of(name: str, factor: float) -> dict[str, Enlarge]:
    """Return the ways to enlarge by a fractional factor with the given weights, by name."""
    whole = math.ceil(factor)
    if (name, whole) not in shipped() and not Path(name).is_file():
        return {}
    network, label = load(name, whole), Path(name).stem
    found: dict[str, Enlarge] = {
        f"{label} x{whole}, resized": lambda small, factor, _: upscale(small, factor, network)
    }
    if len(network.scales) > 1:
        found[f"{label} x{factor:g}"] = direct(network)
    return found


def measure(paths: list[Path], factor: float, names: list[str]) -> dict[str, float]:
    """Return the mean PSNR of each way, in dB."""
    ways: dict[str, Enlarge] = {"bicubic": lambda small, _, shape: bicubic(small, shape)}
    for name in names:
        ways |= lines_of(name, factor)
    found: dict[str, list[float]] = {name: [] for name in ways}
    ratio = Fraction(factor)
    for path in paths:
        picture = read_picture(path)
        height, width = (n // ratio.numerator * ratio.numerator for n in picture.shape[:2])
        truth = picture[:height, :width]
        sides = height * ratio.denominator, width * ratio.denominator
        small = imresize(truth, shape=tuple(side // ratio.numerator for side in sides))
        for name, enlarge in ways.items():
            result = enlarge(small, factor, truth.shape[:2])
            a, b = (levels(x.transpose(2, 0, 1) / 255) for x in (result, truth))
            found[name].append(psnr(a, b, shave=math.ceil(factor)))
    return {name: float(np.mean(scores)) for name, scores in found.items()}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options that not all benchmarks have."""
    parser.add_argument(
        "--pictures", type=Path, required=True, metavar="FOLDER", help="of RGB pictures"
    )
    names = dict.fromkeys(name for name, _ in of_pictures() if name not in ("sc", "photo"))
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", default=list(names),
        help="shipped weights or files (default: all that are shipped, but sc and photo)",
    )  # fmt: skip


def main() -> None:
    options = harness.parse(__doc__.split("\n")[0], "between", add=add)
    paths = list_pictures(options.pictures)
    if options.quick:
        paths = paths[-1:]
    factors = {}
    for factor in FACTORS:
        factors[f"{factor:g}"] = scores = measure(paths, factor, options.models)
        print(f"\nx{factor:g}, {options.pictures.name}, pictures: {len(paths)}")
        harness.print_table(("", "dB"), [(name, f"{s:.2f}") for name, s in scores.items()])
    harness.write(options, pictures=[path.name for path in paths], factors=factors)


if __name__ == "__main__":
    main()
