"""Which network is best for noisy, compressed photographs? python -m benchmarks.photo --data FOLDER

Small pictures with sensor noise and JPEG artefacts at several strengths are enlarged in colour by
`pysrcnn.upscale` and compared with the clean large ones: PSNR and SSIM of luma, PSNR of RGB. "by
chance" is the random degradation of the recipe `photo`, drawn for each picture.

The pictures are the central parts of Set5's, and of those that a training on T91, BSDS200,
General100 and Photos76 holds back. A network trained on fewer folders may have had others held
back, and so have been trained on clean versions of some of these.
"""

import argparse
import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pysrcnn import load, upscale
from pysrcnn._files import check_place, write_json, written_whole
from pysrcnn.data import pair
from pysrcnn.evaluate import levels
from pysrcnn.metrics import psnr, ssim
from pysrcnn.networks import Network
from pysrcnn.pictures import list_pictures, read_picture, write_picture
from pysrcnn.training import DEGRADATIONS
from pysrcnn.training.degradation import jpeg, noise
from pysrcnn.training.split import split
from pysrcnn.upscaling.upscale import bicubic

from . import harness
from .experiments import LARGE, LEFT_OUT
from .networks import of_pictures

FOLDERS = (*LARGE, "Photos76")
QUALITIES = (None, 95, 75, 50, 30)  # of JPEG with subsampled chroma; None for no JPEG
LEVELS = (0, 3, 10)  # of noise at medium grey, in levels of 255
REGION = 480  # rows and columns used, from the middle of a picture
LOOK = 176  # rows and columns of the crops to look at

Degrade = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def conditions(quick: bool) -> dict[str, Degrade]:
    """Return the degradations of a small picture (3, H, W), by name."""

    def degrade(quality: int | None, level: float) -> Degrade:
        def apply(low: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            low = noise(low, level, rng) if level else low
            return jpeg(low, quality) if quality else low

        return apply

    found = {
        f"{f'JPEG {q}' if q else 'no JPEG'}, noise {level}": degrade(q, level)
        for q in (QUALITIES[::2] if quick else QUALITIES)
        for level in (LEVELS[::2] if quick else LEVELS)
    }
    return found | {"by chance": DEGRADATIONS["photo"]}


def middle(picture: np.ndarray, side: int) -> np.ndarray:
    """Return the middle of a picture, at most `side` rows and columns."""
    i, j = (max(0, n - side) // 2 for n in picture.shape[:2])
    return picture[i : i + side, j : j + side]


def results(
    path: Path, degrade: Degrade, networks: dict[str, Network], scale: int, seed: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Return the small picture, each result and the truth, as uint8 (H, W, 3)."""
    low, high = pair(middle(read_picture(path), REGION), scale, 3, small=True)
    small, truth = (
        np.uint8(255 * np.clip(x, 0, 1) + 0.5).transpose(1, 2, 0)
        for x in (degrade(low, np.random.default_rng(seed)), high)
    )
    small = np.ascontiguousarray(small)
    found = {"small": small, "bicubic": bicubic(small, truth.shape[:2])}
    found |= {name: upscale(small, scale, network) for name, network in networks.items()}
    return found | {"truth": truth}


def score(result: np.ndarray, truth: np.ndarray, scale: int) -> dict[str, float]:
    """Return PSNR and SSIM of luma, and PSNR of RGB."""
    a, b = (levels(x.transpose(2, 0, 1) / 255) for x in (result, truth))
    return {
        "psnr": psnr(a, b, scale),
        "ssim": ssim(a, b, scale),
        "rgb_psnr": psnr(result, truth, scale),
    }


def side_by_side(found: dict[str, np.ndarray], scale: int) -> np.ndarray:
    """Join the middles of all pictures, with white between, repeating pixels of the small one."""
    pictures = found | {"small": found["small"].repeat(scale, 0).repeat(scale, 1)}
    parts = []
    for picture in pictures.values():
        part = middle(picture, LOOK)
        parts += [part, np.full((len(part), 4, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], axis=1)


def measure(paths: list[Path], options: argparse.Namespace, networks: dict[str, Network]) -> list:
    """Return a line for each condition: the means of all scores over the pictures."""
    lines = []
    for condition, degrade in conditions(options.quick).items():
        rows = []
        for k, path in enumerate(paths):
            found = results(path, degrade, networks, options.scale, (options.seed, k))
            if options.looks:
                name = f"{path.stem} {condition}".replace(" ", "-").replace(",", "")
                write_picture(options.looks / f"{name}.png", side_by_side(found, options.scale))
            _, *names, _ = found
            rows.append({n: score(found[n], found["truth"], options.scale) for n in names})
        scores = {
            name: {m: float(np.mean([row[name][m] for row in rows])) for m in rows[0][name]}
            for name in rows[0]
        }
        lines.append({"condition": condition, "scores": scores})
    return lines


def table(lines: list[dict]) -> None:
    """Print PSNR of luma, SSIM and PSNR of RGB for each condition and network."""
    names = list(lines[0]["scores"])
    harness.print_table(
        ("Y dB, SSIM, RGB dB", *names),
        [
            (
                line["condition"],
                *(
                    f"{s['psnr']:.2f} {s['ssim']:.4f} {s['rgb_psnr']:.2f}"
                    for s in line["scores"].values()
                ),
            )
            for line in lines
        ],
    )


def parsed() -> argparse.Namespace:
    """Parse and check the options, and create the folders for results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photo", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER",
        help=f"has the folders {', '.join(FOLDERS)} and Set5",
    )  # fmt: skip
    parser.add_argument("--scale", type=int, default=2, help="(default: 2)")
    parser.add_argument(
        "--models", nargs="+", metavar="NAME",
        help="shipped weights or files (default: all shipped for the scale, but sc)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--quick", action="store_true", help="a picture of each set, few strengths")
    parser.add_argument(
        "--looks", type=Path, metavar="FOLDER",
        help="also write crops of all results side by side, to look at: the small picture, "
        "bicubic, the networks in their order, the truth",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FILE.json",
        help="the table, beside it as text (default: benchmarks/results/photo.json; with --quick "
        "none)",
    )  # fmt: skip
    options = parser.parse_args()
    if options.output is None and not options.quick:
        harness.RESULTS.mkdir(exist_ok=True)
        options.output = harness.RESULTS / "photo.json"
    if options.output:
        check_place(options.output)
    if options.looks:
        options.looks.mkdir(parents=True, exist_ok=True)
    options.models = options.models or [
        name for name, scale in of_pictures() if scale == options.scale and name != "sc"
    ]
    return options


def main() -> None:
    options = parsed()
    networks = {Path(m).stem: load(m, options.scale) for m in options.models}
    folders = [options.data / name for name in FOLDERS if (options.data / name).is_dir()]
    sets = {
        "held back": split(folders, None, LEFT_OUT).watched,
        "Set5": list_pictures(options.data / "Set5"),
    }
    content = {"scale": options.scale, "seed": options.seed, "sets": {}}
    text = ""
    for name, paths in sets.items():
        used = paths[:1] if options.quick else paths
        lines = measure(used, options, networks)
        content["sets"][name] = {"pictures": [p.name for p in used], "lines": lines}
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            print(f"{name}, x{options.scale}, pictures: {len(used)}")
            table(lines)
        print(said.getvalue(), flush=True)
        text += said.getvalue() + "\n"
    if options.output:
        write_json(options.output, content)
        with written_whole(options.output.with_suffix(".txt")) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(options.output)


if __name__ == "__main__":
    main()
