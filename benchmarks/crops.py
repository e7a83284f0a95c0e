"""Details of photographs, enlarged by every shipped network: python -m benchmarks.crops

docs/networks-DETAIL.png, for the page that compares the networks, show each detail enlarged by
bicubic interpolation and by the networks, first at the scale that most of them are for, then at
the others; the original is last. docs/perception.png shows each detail by some networks, and by
SRGAN at three sharpnesses. docs/family.png, for the README, shows one detail enlarged by the
networks of the papers. The photographs are in the public domain (examples/CREDITS.md), and no
network was trained on them. Each file records the weights that it was made with (`stamp`).
"""

import argparse
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pysrcnn import load
from pysrcnn._files import written_whole
from pysrcnn.networks import DEFAULT
from pysrcnn.upscaling.upscale import bicubic

from . import harness
from .networks import of_pictures
from .photo import conditions, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = harness.ROOT / "examples" / "pictures"
# Name: photograph, left, top; each detail is SIDE pixels wide and high.
DETAILS = {
    "eye": ("cat", 100, 76),
    "whiskers": ("cat", 262, 0),
    "spoon": ("coffee", 236, 172),
    "shuttle": ("astronaut", 184, 94),
    "patch": ("astronaut", 50, 194),
}
SIDE, TIMES = 64, 6  # TIMES: magnification in the figure
# Oldest first; networks of other names come last.
ORDER = (
    *("sc", "9-1-5", "9-3-5", "9-5-5", "9-1-5-rgb", "espcn", "vdsr", "drcn"),
    *("srresnet-s", "srgan", "edsr-s", "edsr", "photo"),
)
# In the README: label, and names of which the first shipped one is shown.
FAMILY = {
    "SRCNN": ("9-5-5",),
    "ESPCN": ("espcn",),
    "VDSR": ("vdsr",),
    "EDSR": ("edsr", "edsr-s"),
    "SRGAN": ("srgan",),
}
FAMILY_SCALE, FAMILY_PLACE = 4, (252, 92)
# Columns of docs/perception.png: labels, and names, with a sharpness if the network has one.
SHARPER = {
    "bicubic": "bicubic", "SRCNN": "9-5-5", "EDSR": "edsr-s", "SRGAN, 0": "srgan 0",
    "SRGAN, 0.5": "srgan 0.5", "SRGAN, 1": "srgan 1", "original": "truth",
}  # fmt: skip
SHARPER_SCALE, SHARPER_TIMES = 4, 3
SQUARE = 36  # first column of the square part of that photograph that is shown
ACROSS = 4  # tiles in a row
GAP, BAR = 16, 52  # pixels between tiles, and of the label below each
# Legible on a white page and on a dark one.
INK, GROUND = "#ffffff", "#24292f"
Names = Iterable[tuple[str, int]]
Tiles = list[list[tuple[str, np.ndarray]]]


def by_order(name: str) -> tuple[int, str]:
    """Return the sort key of a network."""
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def rows(which: Names) -> dict[int, list[str]]:
    """Return the networks to show by scale, starting with the scale that most of them are for.

    Other scales have the networks that the first one lacks, and the default network to compare.
    """
    scales: dict[int, list[str]] = {}
    for name, scale in sorted(which, key=lambda one: by_order(one[0])):
        scales.setdefault(scale, []).append(name)
    first = max(scales, key=lambda scale: (len(scales[scale]), -scale))
    found = {first: scales.pop(first)}
    for scale, names in sorted(scales.items()):
        if more := [name for name in names if name not in found[first]]:
            found[scale] = [name for name in names if name == DEFAULT or name in more]
    return found


def stamp(files: Iterable[Path]) -> str:
    """Return the names of weights, each with the start of its file's SHA-256."""
    digests = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest()[:8] for path in files}
    return ", ".join(f"{name} {digest}" for name, digest in sorted(digests.items()))


def enlarged(photograph: str, scale: int, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return a photograph shrunk and enlarged by bicubic and networks, as `photo.results` does.

    A name may be followed by a sharpness: "srgan 0.5".
    """
    clean = conditions(quick=True)["no JPEG, noise 0"]
    networks = {}
    for name in names:
        called, _, sharpness = name.partition(" ")
        networks[name] = load(called, scale, sharpness=float(sharpness) if sharpness else None)
    return results(PICTURES / f"{photograph}.png", clean, networks, scale, (0, 0))


def detail(name: str, which: dict[int, list[str]], known: dict[tuple, dict]) -> Tiles:
    """Return the tiles of a detail; `known` caches enlarged photographs and is added to."""
    photograph, left, top = DETAILS[name]
    place, tiles = np.s_[top : top + SIDE, left : left + SIDE], []
    for scale, names in which.items():
        if (photograph, scale) not in known:
            known[photograph, scale] = enlarged(photograph, scale, names)
        found = known[photograph, scale]
        tiles += [(f"{one} ×{scale}", found[one][place]) for one in ("bicubic", *names)]
    tiles.append(("original", found["truth"][place]))
    return [tiles[k : k + ACROSS] for k in range(0, len(tiles), ACROSS)]


def of_family(which: Names) -> dict[str, int]:
    """Return the networks of the README's picture and their scale."""
    names = {name for name, scale in which if scale == FAMILY_SCALE}
    first = (next((n for n in ours if n in names), None) for ours in FAMILY.values())
    return {name: FAMILY_SCALE for name in first if name}


def family(names: Iterable[str]) -> Tiles:
    """Return the tiles of the README's picture, in two rows.

    They are the photograph with the detail marked, the small picture if there is room, bicubic, the
    networks, and the original.
    """
    scale, (left, top), names = FAMILY_SCALE, FAMILY_PLACE, list(names)
    whole = enlarged("cat", scale, names)
    place = np.s_[top : top + SIDE, left : left + SIDE]
    labels = {name: label for label, ours in FAMILY.items() for name in ours}
    tiles = [(f"{labels.get(n, n)} ×{scale}", whole[n][place]) for n in ("bicubic", *names)]
    tiles.append(("original", whole["truth"][place]))
    if len(tiles) < 2 * ACROSS - 1:
        pixels = whole["small"].repeat(scale, 0).repeat(scale, 1)
        tiles.insert(0, ("the small picture", pixels[place]))
    tiles.insert(0, ("a photograph", marked(whole["truth"], left, top)))
    return [tiles[:ACROSS], tiles[ACROSS:]]


def of_sharper(files: dict[tuple[str, int], Path]) -> list[Path]:
    """Return the weights that `sharper` takes."""
    shown = {(name.split()[0], SHARPER_SCALE) for name in SHARPER.values()}
    return [path for one, path in files.items() if one in shown]


def sharper() -> Tiles:
    """Return the tiles of the details at several sharpnesses, a row for each."""
    names = [name for name in SHARPER.values() if name not in ("bicubic", "truth")]
    known: dict[str, dict[str, np.ndarray]] = {}
    tiles = []
    for photograph, left, top in DETAILS.values():
        if photograph not in known:
            known[photograph] = enlarged(photograph, SHARPER_SCALE, names)
        place = np.s_[top : top + SIDE, left : left + SIDE]
        tiles.append([(one, known[photograph][name][place]) for one, name in SHARPER.items()])
    return tiles


def marked(picture: np.ndarray, left: int, top: int) -> np.ndarray:
    """Return a square part of a picture with a white frame around the detail."""
    framed, thick, side = picture.copy(), 2, SIDE
    outside = np.s_[top - thick : top + side + thick, left - thick : left + side + thick]
    framed[outside] = 255
    inside = np.s_[top : top + side, left : left + side]
    framed[inside] = picture[inside]
    return framed[:, SQUARE : SQUARE + len(picture)]


def sheet(tiles: Tiles, times: int = TIMES) -> "Figure":
    """Draw tiles and labels on a transparent background, repeating the pixels of details."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    across, side = max(map(len, tiles)), times * SIDE
    width = across * (side + GAP) - GAP
    height = len(tiles) * (side + BAR + GAP) - GAP
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="none")
    for i, row in enumerate(tiles):
        bottom = height - i * (side + BAR + GAP) - side
        for j, (label, picture) in enumerate(row):
            left = j * (side + GAP)
            if len(picture) == SIDE:
                shown = picture.repeat(times, axis=0).repeat(times, axis=1)
            else:
                shown = bicubic(picture, (side, side))
            figure.figimage(shown, left, bottom)
            bar = Rectangle((left, bottom - BAR), side, BAR, color=GROUND, lw=0, transform=None)
            bar.set_antialiased(False)
            figure.add_artist(bar)
            figure.text(
                left + side / 2, bottom - BAR / 2, label, transform=None,
                ha="center", va="center_baseline", color=INK, fontsize=20,
            )  # fmt: skip
    return figure


def save(figure: "Figure", path: Path, weights: str) -> None:
    """Save a figure as a PNG of 256 colours, one of them transparent, and record the weights."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image, PngImagePlugin

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    few = Image.fromarray(pixels[..., :3].copy()).quantize(255, kmeans=3)
    indices = np.where(pixels[..., 3] < 128, 255, np.asarray(few)).astype(np.uint8)
    result = Image.fromarray(indices, "P")
    colours = few.getpalette()[: 255 * 3]
    result.putpalette(colours + [255] * (256 * 3 - len(colours)))
    note = PngImagePlugin.PngInfo()
    note.add_text("weights", weights)
    with written_whole(path) as temporary:
        result.save(temporary, format="PNG", optimize=True, transparency=255, pnginfo=note)
    print(path, f"{path.stat().st_size / 1024:.0f} KiB")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.crops", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--output", type=Path, default=harness.ROOT / "docs", metavar="FOLDER")
    folder = parser.parse_args().output
    folder.mkdir(exist_ok=True)
    files = of_pictures()
    which, known = rows(files), {}
    for name in DETAILS:
        figure = sheet(detail(name, which, known))
        save(figure, folder / f"networks-{name}.png", stamp(files.values()))
    weights = stamp(of_sharper(files))
    save(sheet(sharper(), SHARPER_TIMES), folder / "perception.png", weights)
    used = of_family(files)
    weights = stamp(files[one] for one in used.items())
    save(sheet(family(used)), folder / "family.png", weights)


if __name__ == "__main__":
    main()
