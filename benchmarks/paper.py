"""Repeat the experiments of the papers: python -m benchmarks.paper EXPERIMENT --data FOLDER

Each entry of an experiment (`benchmarks.experiments`) is trained with the same number of samples
(except in `convergence`, where the paper's recipe has more), by the modern recipe unless its name
says otherwise, and finally scored on Set5 at x3; nothing is chosen by that score. Entries for later
papers, from `residual` on, have equal numbers of multiplications instead. The command prints a
table and writes JSON, training logs and a plot of them to benchmarks/results/paper. --quick takes
minutes and shows that everything runs, not how good it gets.

Run the command again to continue an interrupted training; finished entries are not trained again.
After a change to the package, remove the folder --work. `python -m benchmarks.paper_page` makes
docs/paper.md from the results.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numba
import numpy as np

from pysrcnn import SRCNN, __version__, load, plots
from pysrcnn._files import write_json, written_whole
from pysrcnn.data import Pair, pair
from pysrcnn.evaluate import levels
from pysrcnn.metrics import ms_ssim, psnr, ssim, wpsnr
from pysrcnn.networks import Network
from pysrcnn.pictures import list_pictures, read_picture
from pysrcnn.training import Training, fit, read_log

from . import harness
from .experiments import EXPERIMENTS, LEFT_OUT, SCALE, Entry
from .networks import of_pictures
from .scores import at_three, colour_scores, first_channel, pairs_of, score, silent

STEPS, QUICK = 10_000, 300  # of each entry
DEEP, QUICK_DEEP = 600, 20  # of the later papers' networks: some two minutes on two cores
METRICS = (psnr, ssim, ms_ssim, wpsnr)


# ---------------------------------------------------------------------------------------- training


def _training_pairs(data: Path, entry: Entry) -> list[Pair]:
    """Return the pairs, at each scale, of all training pictures that a sample fits in."""
    paths = [path for folder in entry.folders for path in list_pictures(data / folder)]
    paths = [path for path in paths if path.name not in LEFT_OUT]
    largest = max(entry.scales)
    least = entry.recipe.size * (largest if entry.small else 1)
    sides = [min(read_picture(path).shape[:2]) for path in paths]
    paths = [p for p, side in zip(paths, sides, strict=True) if side - side % largest >= least]
    pairs = [pairs_of(paths, entry.colour, scale, entry.small) for scale in entry.scales]
    return sum(pairs, [])


def train(name: str, entry: Entry, options: argparse.Namespace) -> tuple[Network, Path]:
    """Train an entry, or load its earlier result; return the network and the path of its log."""
    place = options.work / name / entry.name.replace(" ", "_")
    place.mkdir(parents=True, exist_ok=True)
    log = options.output / name / f"{entry.name.replace(' ', '_')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    pairs = _training_pairs(options.data, entry)
    tests = pairs_of(list_pictures(options.data / "Set5"), entry.colour, small=entry.small)
    recipe, start = entry.trained_for(options.steps), None
    if entry.before:
        recipe = dataclasses.replace(recipe, steps=recipe.steps // 2)
        first = Training(recipe, pairs, scale=SCALE)
        restrict_loss(first.network, entry.before)
        start = _finish(first, tests, place / "first", place / "first.log", entry)
    training = Training(recipe, pairs, start, entry.scales)
    if entry.change:
        entry.change(training.network)
    network = _finish(training, tests, place / "network", log, entry)
    network.card["pictures"] = len(pairs) // len(entry.scales)
    if start is not None:
        network.card["minutes"] = round(network.card["minutes"] + start.card["minutes"], 1)
    return network, log


def _finish(training: Training, tests: list[Pair], place: Path, log: Path, entry: Entry) -> Network:
    """Run a training to its end and return the result, or the initial network if it diverges.

    Fewer steps in the card than in the recipe mark a training that diverged.
    """
    weights, checkpoint = place.with_suffix(".npz"), place.with_suffix(".checkpoint")
    about = [training.recipe.as_dict(), training.data, training.start]
    changed = entry.change.__name__ if entry.change else ""
    identity = [*about, entry.colour, list(entry.before), changed, __version__]
    if weights.is_file() and log.is_file():
        network, head = load(weights, entry.scales[0]), read_log(log)[0]
        if network.card.get("identity") == identity and head["recipe"] == about[0]:
            return network
    if checkpoint.is_file():
        training.load(checkpoint)
    measure = at_three if entry.deep else first_channel if entry.colour == "YCbCr" else None
    network = training.result()
    try:
        least = 10 if entry.deep else 100
        fit(training, tests, checkpoint, log, max(least, training.recipe.steps // 40), measure)
    except FloatingPointError as error:
        print(error)  # diverged weights are useless, and `load` would refuse them
        network.card["steps"] = training.step
    else:
        network = training.result()
    network.card["identity"] = identity
    network.save(weights)
    checkpoint.unlink(missing_ok=True)
    return network


def restrict_loss(network: SRCNN, channels: tuple[int, ...]) -> None:
    """Restrict a network's loss to some channels; the last layer's weights of others stay."""
    whole = network.loss_and_gradients
    others = [k for k in range(network.c) if k not in channels]

    def restricted(low, high, loss="mse", done=0.0):
        target = network.ops.forward(low, network.layers, "valid")
        target[:, channels] = high[:, channels]  # elsewhere, the output itself is the target
        loss, gradients = whole(low, target, loss, done)
        for name in (f"W{len(network.sizes)}", f"B{len(network.sizes)}"):
            # They are nearly 0: `forward` and `loss_and_gradients` round differently.
            gradients[name][others] = 0
        return loss, gradients

    network.loss_and_gradients = restricted


# ------------------------------------------------------------------------------------- the command


def experiment(name: str, options: argparse.Namespace) -> None:
    """Train and score all entries; print a table; write JSON, logs and plot."""
    about = harness.machine(options.threads)
    lines = []
    for entry in EXPERIMENTS[name]:
        print(f"\n{name}: {entry.name}", flush=True)
        network, log = train(name, entry, options)
        lines.append(_line(name, entry, network, log, options))
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
                *(decibels(line["psnr"][column]) for column in columns),
                str(line.get("samples", "")),
                str(line.get("minutes", "")),
            )
            for line in lines
        ],
    )
    content = {"machine": about, "quick": options.quick, "lines": lines}
    write_json(options.output / f"{name}.json", content)
    plot(name, options.output, options.output / f"{name}.png")


def _line(name: str, entry: Entry, network: Network, log: Path, options) -> dict:
    """Return the results of a trained entry; PSNR is None if it diverged."""
    recipe, steps = network.card["recipe"], network.card["steps"]
    line = {
        "name": entry.name,
        "network": network.name,
        "weights": sum(network.parameters[w].size for w in network.weights),
        "pictures": network.card["pictures"],
        "samples": steps * recipe["batch"] * (2 if entry.before else 1),
        "minutes": network.card["minutes"],
        "psnr": score(network, name, entry, options.data),
        "recipe": recipe,
        "log": log.relative_to(options.output).as_posix(),
    }
    if steps < recipe["steps"]:
        line["psnr"] = dict.fromkeys(line["psnr"])
    if entry.deep:
        return {**line, "multiplications": entry.multiplications}  # of a sample's forward pass
    answers = silent(network, entry.colour, list_pictures(options.data / "Set5"))
    return {**line, "filters": list(network.filters), "silent": answers}


def decibels(psnr: float | None) -> str:
    """Format PSNR for a table."""
    return "diverged" if psnr is None else f"{psnr:.2f}"


def plot(name: str, results: Path, picture: Path) -> None:
    """Plot the curves of an experiment from its JSON and logs."""
    lines = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))["lines"]
    logs = {line["name"]: results / line["log"] for line in lines if "log" in line}
    logs = {name: log for name, log in logs.items() if read_log(log)[1]}  # not diverged at once
    levels = {"sparse coding (Yang et al.)": 31.42} if name == "convergence" else None
    figure = plots.curve(logs.values(), list(logs), levels)
    each = {line["name"]: line.get("multiplications") for line in lines}
    if all(each.values()):  # the budget is in multiplications, not in samples
        axis = figure.axes[0]
        for drawn in axis.lines:
            if drawn.get_label() in logs:
                drawn.set_xdata(np.multiply(drawn.get_xdata(), each[drawn.get_label()]))
        axis.set_xlabel("multiplications of passes forward")
        axis.relim()
        axis.autoscale(axis="x")
    with written_whole(picture) as temporary:
        figure.savefig(temporary, format="png")
    print(picture)


def networks(options: argparse.Namespace) -> None:
    """Score all shipped weights but those for video on Set5, picture by picture."""
    lines = []
    for (name, scale), path in sorted(of_pictures().items()):
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
    parser.add_argument(
        "--steps", type=int,
        help=f"of each entry (default: {STEPS}; for the later papers, from `residual` on, {DEEP} "
        f"of edsr-s, or as many multiplications)",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK} steps; for the later papers {QUICK_DEEP}"
    )
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
    given = options.steps
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
            deep = EXPERIMENTS[name][0].deep
            usual = (QUICK_DEEP if deep else QUICK) if options.quick else (DEEP if deep else STEPS)
            options.steps = given or usual
            experiment(name, options)


if __name__ == "__main__":
    main()
