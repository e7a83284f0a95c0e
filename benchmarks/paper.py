"""The experiments of the paper, run again: python -m benchmarks.paper EXPERIMENT --data FOLDER

Each entry of an experiment (`benchmarks.experiments`) is trained with the same number of samples
(but in `convergence`, where the paper's recipe has more), by the modern recipe unless its name says
otherwise, and scored on Set5 at x3 at the end; nothing is chosen by that score. It writes a table
(also printed), JSON, the logs of training and a plot of them to benchmarks/results/paper. --quick
takes minutes and shows that all runs, not how good it gets.

Training that was interrupted goes on where it was when the command is given again, and what is
finished is not trained again. After a change to the package, remove the folder --work.
`python -m benchmarks.paper_page` makes docs/paper.md of the results.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numba
import numpy as np

from pysrcnn import SRCNN, __version__, load, plots
from pysrcnn._files import write_json, written_whole
from pysrcnn.color import rgb_to_ycbcr
from pysrcnn.data import Pair, pair, read_pairs, unit
from pysrcnn.evaluate import average, evaluate, levels
from pysrcnn.metrics import ms_ssim, psnr, ssim, wpsnr
from pysrcnn.networks import shipped
from pysrcnn.pictures import list_pictures, read_picture
from pysrcnn.training import Training, fit, read_log

from . import harness
from .experiments import EXPERIMENTS, LEFT_OUT, MODERN, Entry

SCALE = 3
STEPS, QUICK = 10_000, 300  # of each entry
METRICS = (psnr, ssim, ms_ssim, wpsnr)


# ---------------------------------------------------------------------------------------- pictures


def _pairs(paths: list[Path], colour: str, smallest: int = 1) -> list[Pair]:
    if colour != "YCbCr":
        return read_pairs(paths, SCALE, 1 if colour == "Y" else 3, smallest)
    return [pair(_ycbcr(read_picture(path)), SCALE, 3) for path in paths]


def _ycbcr(picture: np.ndarray) -> np.ndarray:
    """float64 (H, W, 3) in 0..1, rounded to the levels of uint8."""
    rgb = unit(picture)
    rgb = np.dstack([rgb] * 3) if rgb.ndim == 2 else rgb[:, :, :3]
    return np.floor(rgb_to_ycbcr(rgb) * 255 + 0.5) / 255


def _training_paths(data: Path, entry: Entry) -> list[Path]:
    paths = [path for folder in entry.folders for path in list_pictures(data / folder)]
    paths = [path for path in paths if path.name not in LEFT_OUT]
    sides = [min(read_picture(path).shape[:2]) for path in paths]
    size = entry.recipe.size
    return [p for p, side in zip(paths, sides, strict=True) if side - side % SCALE >= size]


# ---------------------------------------------------------------------------------------- training


def train(name: str, entry: Entry, options: argparse.Namespace) -> tuple[SRCNN, Path]:
    """The trained network and its log; of a training that was done before, what it gave."""
    samples = options.steps * MODERN.batch * entry.budget
    steps = max(2, int(samples // entry.recipe.batch))
    place = options.work / name / entry.name.replace(" ", "_")
    place.mkdir(parents=True, exist_ok=True)
    log = options.output / name / f"{entry.name.replace(' ', '_')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    pairs = _pairs(_training_paths(options.data, entry), entry.colour)
    tests = _pairs(list_pictures(options.data / "Set5"), entry.colour)
    start = None
    if entry.before:
        steps //= 2
        first = Training(dataclasses.replace(entry.recipe, steps=steps), pairs, scale=SCALE)
        restrict_loss(first.network, entry.before)
        start = _finish(first, tests, place / "first", place / "first.log", entry)
    recipe = dataclasses.replace(entry.recipe, steps=steps)
    training = Training(recipe, pairs, start, SCALE)
    network = _finish(training, tests, place / "network", log, entry)
    network.card["pictures"] = len(pairs)
    if start is not None:
        network.card["minutes"] = round(network.card["minutes"] + start.card["minutes"], 1)
    return network, log


def _finish(training: Training, tests: list[Pair], place: Path, log: Path, entry: Entry) -> SRCNN:
    weights, checkpoint = place.with_suffix(".npz"), place.with_suffix(".checkpoint")
    about = [training.recipe.as_dict(), training.data, training.start]
    identity = [*about, entry.colour, list(entry.before), __version__]
    if weights.is_file() and log.is_file():
        network, head = load(weights, SCALE), read_log(log)[0]
        if network.card.get("identity") == identity and head["recipe"] == about[0]:
            return network
    if checkpoint.is_file():
        training.load(checkpoint)
    measure = _first_channel if entry.colour == "YCbCr" else None
    fit(training, tests, checkpoint, log, max(100, training.recipe.steps // 40), measure)
    network = training.result()
    network.card["identity"] = identity
    network.save(weights)
    checkpoint.unlink(missing_ok=True)
    return network


def restrict_loss(network: SRCNN, channels: tuple[int, ...]) -> None:
    """Let the loss of a network be that of some channels; the others' last weights stay."""
    whole = network.loss_and_gradients
    others = [k for k in range(network.c) if k not in channels]

    def restricted(low, high):
        target = network.ops.forward(low, network.layers, "valid")
        target[:, channels] = high[:, channels]  # elsewhere, what comes out is wanted
        loss, gradients = whole(low, target)
        for name in (f"W{len(network.sizes)}", f"B{len(network.sizes)}"):
            # All but 0 already: `forward` and `loss_and_gradients` round differently.
            gradients[name][others] = 0
        return loss, gradients

    network.loss_and_gradients = restricted


# ------------------------------------------------------------------------------------------ scores


def _first_channel(network: SRCNN | None, pairs: list[Pair], scale: int) -> float:
    values = []
    for low, high in pairs:
        ours = network.forward(low[None])[0] if network else low
        values.append(psnr(levels(ours[:1]), levels(high[:1]), shave=scale))
    return float(np.mean(values))


def colour_scores(network: SRCNN | None, colour: str, paths: list[Path]) -> dict[str, float]:
    """PSNR of Y, Cb, Cr and of the three together, averages over pictures; None for bicubic.

    The three together are what the paper's column "RGB" has: only so does its bicubic line, 34.57
    on Set5, come out (in RGB it is 28.63).
    """
    rows = []
    for path in paths:
        ((low, high),) = _pairs([path], "YCbCr")
        ours = low
        if network and network.c == 1:
            ours = np.concatenate([network.forward(low[None, :1])[0], low[1:]])
        elif network and colour == "YCbCr":
            ours = network.forward(low[None])[0]
        elif network:
            ((low, _),) = _pairs([path], "RGB")
            rgb = np.clip(network.forward(low[None])[0], 0, 1).transpose(1, 2, 0)
            ours = rgb_to_ycbcr(rgb.astype(np.float64)).transpose(2, 0, 1)
        truth, ours = ([levels(plane[None]) for plane in x] for x in (high, ours))
        each = [psnr(ours[k], truth[k], shave=SCALE) for k in range(3)]
        inner = np.s_[SCALE:-SCALE, SCALE:-SCALE]
        together = psnr(
            np.concatenate([x[inner] for x in ours]), np.concatenate([x[inner] for x in truth])
        )
        rows.append([*each, together])
    means = np.mean(rows, axis=0).round(3)
    return dict(zip(("Y", "Cb", "Cr", "RGB"), map(float, means), strict=True))


def silent(network: SRCNN, colour: str, paths: list[Path]) -> int:
    """How many filters of layer 1 answer to less than one pixel in 500 of these pictures."""
    pairs = _pairs(paths, colour)
    answers, pixels = 0, 0
    for low, _ in pairs:
        maps = network.ops.forward(low[None], network.layers[:1], "replicate")[0]
        answers, pixels = answers + (maps > 0).sum((1, 2)), pixels + maps[0].size
    return int(np.sum(answers < pixels / 500))


def score(network: SRCNN, entry: Entry, data: Path) -> dict[str, float]:
    """PSNR on Set5, of the colours too where the network has them or is compared with such."""
    if entry in EXPERIMENTS["colour"]:
        return colour_scores(network, entry.colour, list_pictures(data / "Set5"))
    return {"Y": round(average(list(evaluate(data / "Set5", network, SCALE))).psnr, 3)}


# ------------------------------------------------------------------------------------- the command


def experiment(name: str, options: argparse.Namespace) -> None:
    """Train and score all entries; write table, JSON, logs and plot."""
    about = harness.machine(options.threads)
    lines, logs = [], {}
    for entry in EXPERIMENTS[name]:
        print(f"\n{name}: {entry.name}", flush=True)
        network, logs[entry.name] = train(name, entry, options)
        lines.append(
            {
                "name": entry.name,
                "network": network.name,
                "filters": list(network.filters),
                "weights": sum(w.size for w, _ in network.layers),
                "pictures": network.card["pictures"],
                "samples": read_log(logs[entry.name])[1][-1]["samples"]
                * (2 if entry.before else 1),
                "minutes": network.card["minutes"],
                "psnr": score(network, entry, options.data),
                "silent": silent(network, entry.colour, list_pictures(options.data / "Set5")),
                "recipe": network.card["recipe"],
                "log": logs[entry.name].relative_to(options.output).as_posix(),
            }
        )
    if name == "colour":
        bicubic = colour_scores(None, "YCbCr", list_pictures(options.data / "Set5"))
        lines.insert(0, {"name": "bicubic", "psnr": bicubic})
    print()
    columns = list(lines[-1]["psnr"])
    harness.print_table(
        ("", *(f"{column} dB" for column in columns), "samples", "minutes"),
        [
            (
                line["name"],
                *(f"{line['psnr'][column]:.2f}" for column in columns),
                str(line.get("samples", "")),
                str(line.get("minutes", "")),
            )
            for line in lines
        ],
    )
    content = {"machine": about, "quick": options.quick, "lines": lines}
    write_json(options.output / f"{name}.json", content)
    plot(name, options.output, options.output / f"{name}.png")


def plot(name: str, results: Path, picture: Path) -> None:
    """The curves of an experiment, from its JSON and logs."""
    lines = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))["lines"]
    logs = {line["name"]: results / line["log"] for line in lines if "log" in line}
    levels = {"sparse coding (Yang et al.)": 31.42} if name == "convergence" else None
    with written_whole(picture) as temporary:
        plots.curve(logs.values(), list(logs), levels).savefig(temporary, format="png")
    print(picture)


def networks(options: argparse.Namespace) -> None:
    """Score all shipped weights on Set5, picture by picture."""
    lines = []
    for (name, scale), path in sorted(shipped().items()):
        network = load(path, scale)
        rows = {}
        for picture in list_pictures(options.data / "Set5"):
            bicubic, high = pair(read_picture(picture), scale, network.c)
            low, _ = pair(read_picture(picture), scale, network.c, network.small)
            results = {"bicubic": bicubic, "network": network.forward(low[None])[0]}
            rows[picture.stem] = {
                which: {m.__name__: m(levels(x), levels(high), scale) for m in METRICS}
                for which, x in results.items()
            }
        rows["average"] = {
            which: {
                m.__name__: float(np.mean([row[which][m.__name__] for row in rows.values()]))
                for m in METRICS
            }
            for which in ("bicubic", "network")
        }
        lines.append({"network": name, "scale": scale, "card": network.card, "scores": rows})
        print(f"{name} x{scale}  {rows['average']['network']['psnr']:.2f} dB")
    options.output.mkdir(parents=True, exist_ok=True)
    write_json(options.output / "networks.json", {"set": "Set5", "lines": lines})


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper", description=__doc__.split("\n")[0]
    )
    parser.add_argument("experiment", choices=[*EXPERIMENTS, "networks", "all"])
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER",
        help="has the folders T91, BSDS200, General100 and Set5",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, help=f"of each entry (default: {STEPS})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} steps")
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    parser.add_argument(
        "--work", type=Path, default=harness.ROOT / "build" / "paper", metavar="FOLDER",
        help="checkpoints and trained networks",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER",
        help="results (default: benchmarks/results/paper; with --quick, below --work)",
    )  # fmt: skip
    options = parser.parse_args()
    if not 1 <= options.threads <= numba.config.NUMBA_NUM_THREADS:
        parser.error(f"--threads {options.threads}: wanted 1 to {numba.config.NUMBA_NUM_THREADS}")
    options.steps = options.steps or (QUICK if options.quick else STEPS)
    if options.quick:
        options.work = options.work / "quick"
    options.output = options.output or (
        options.work / "results" if options.quick else harness.RESULTS / "paper"
    )
    numba.set_num_threads(options.threads)
    for name in [*EXPERIMENTS, "networks"] if options.experiment == "all" else [options.experiment]:
        if name == "networks":
            networks(options)
        else:
            experiment(name, options)


if __name__ == "__main__":
    main()
