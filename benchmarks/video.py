"""How good and how fast is VESPCN on video? Beside bicubic, and networks that see one frame.

Measures PSNR and SSIM of luminance, and tOF, by how many pixels the motion is off, on the clips of
a folder, as `pysrcnn evaluate --clips` does. "above espcn" is in dB, with the number of clips that
are better. Frames a second are those of `pysrcnn.upscale_frames` in colour, from memory to memory;
the result is 1280 x 720. Then the networks alone are timed against PyTorch, from 320 x 180 to 1280
x 720: VESPCN as it is shipped, with subpixel fusion, and with random weights the paper's own (early
fusion), for which PyTorch has all operations. It lacks the cubic of the subpixel fusion, which is
made of others there (`torch_ops`). With --weights FILE other networks are measured beside the
shipped ones. Writes JSON, and the tables as text.
"""

from collections import deque
from itertools import islice
from pathlib import Path

import numpy as np

from pysrcnn import load, read_picture, reference, upscale_frames
from pysrcnn._files import written_whole
from pysrcnn.color import rgb_to_luma
from pysrcnn.evaluate import Score, average, evaluate
from pysrcnn.networks import VESPCN, Network, shipped
from pysrcnn.upscaling.upscale import bicubic

from . import engines, harness, quality

BASE = "espcn"  # the same kind of network, for one frame
SCALE = 4  # of the comparison with PyTorch
SHAPE, SMALL = (720, 1280), (48, 96)  # of results; SMALL with --quick
FRAMES = 4  # of a clip that is timed
PAN = 2  # pixels of the small picture from frame to frame
METRICS = "psnr", "ssim", "tof"


def names() -> tuple[str, ...]:
    """Return the names of shipped networks for luminance, but of sparse coding, which is slow."""
    found = (one[0] for one in shipped() if one[0] != "sc" and load(*one).c == 1)
    return tuple(dict.fromkeys(found))


def networks(options, scale: int) -> dict[str, Network]:
    """Return the networks for luminance at a scale by their names in the table."""
    found = quality.networks(options, scale, video=True)
    return {name: network for name, network in found.items() if network.c == 1}


# ---------------------------------------------------------------------------------------- quality


def scores(options, scale: int, which: dict[str, Network]) -> list[dict]:
    """Measure bicubic and the networks on all clips (two with --quick): a line for each."""
    lines = []
    for name, network in which.items():
        print(f"x{scale}: {name}", flush=True)
        clips = evaluate(options.clips, network, scale, clips=True)
        found = list(islice(clips, 2 if options.quick else None))
        if not lines:
            lines.append({"name": "bicubic", "scale": scale, **_numbers(found, "bicubic_")})
        lines.append({"name": name, "scale": scale, **_numbers(found)})
    base = next((line["clips"] for line in lines if line["name"] == BASE), None)
    for line in (line for line in lines if base and line["name"] != BASE):
        each = {clip: s["psnr"] - base[clip]["psnr"] for clip, s in line["clips"].items()}
        better = sum(more > 0 for more in each.values())
        line["above espcn"] = {"dB": float(np.mean([*each.values()])), "clips": better}
    return lines


def _numbers(found: list[Score], before: str = "") -> dict:
    """Return the metrics of each clip, and their means."""
    clips = {s.picture: {m: s.numbers[before + m] for m in METRICS} for s in found}
    mean = average(found).numbers
    return {"clips": clips, "mean": {m: mean[before + m] for m in METRICS}}


# ------------------------------------------------------------------------------------------ speed


def frames(shape: tuple[int, int]) -> list[np.ndarray]:
    """Return a clip of that many rows and columns: a view of a photograph that moves."""
    (height, width), more = shape, PAN * (FRAMES - 1)
    whole = bicubic(read_picture(quality.PHOTOGRAPH), (height + more, width + more))
    starts = range(0, more + 1, PAN)
    return [np.ascontiguousarray(whole[k : k + height, k : k + width]) for k in starts]


def rates(options, scale: int, which: dict[str, Network]) -> dict[str, dict]:
    """Time `upscale_frames` by each network, and bicubic: statistics of a frame's seconds."""
    large = SMALL if options.quick else SHAPE
    clip = frames((large[0] // scale, large[1] // scale))
    large = scale * clip[0].shape[0], scale * clip[0].shape[1]
    runs = {"bicubic": lambda: [bicubic(frame, large) for frame in clip]}
    for name, network in which.items():
        runs[name] = lambda network=network: deque(upscale_frames(clip, scale, network), 0)
    for run in runs.values():
        run()  # compiles
    times = harness.take_turns(runs, options.repeats, options.seconds)
    return {n: harness.statistics([t / FRAMES for t in seconds]) for n, seconds in times.items()}


def race(network: Network, label: str, options) -> dict:
    """Validate and time one VESPCN alone, against PyTorch: one table."""
    side = [n // SCALE for n in (SMALL if options.quick else SHAPE)]
    clip = [rgb_to_luma(frame / 255) for frame in frames((side[0], side[1]))]
    x = np.stack(clip[: network.frames])[None].astype(np.float32)
    exact = network.astype(np.float64)
    exact.ops = reference
    pixel = network.seen.multiplications * SCALE**2  # per pixel of a frame
    tolerance = harness.rounding(np.finfo(np.float32).eps, pixel)
    runs = {"pysrcnn": network.forward, **engines.pytorch(network, options.threads)}
    contenders = [
        harness.Contender(name, lambda run=run: run(x), tolerance=tolerance)
        for name, run in runs.items()
    ]
    title = f"VESPCN, {network.fusion} fusion ({label})"
    title += f", {side[1]} x {side[0]} to {SCALE * side[1]} x {SCALE * side[0]}"
    operations = 2 * pixel * x[0, 0].size
    case = harness.compare(title, contenders, [exact.forward(x)], operations, options)
    case["frames a second"] = 1 / case["lines"][0]["median"]
    print(f"{case['frames a second']:.1f} frames a second")
    return case


def races(options) -> list[dict]:
    """Time the first VESPCN for x4 there is, or one with random weights, and the paper's."""
    untrained = "random weights"
    fit = (x for x in networks(options, SCALE).items() if 1 < x[1].frames <= FRAMES)
    name, network = next(fit, (untrained, VESPCN(SCALE, fusion="subpixel")))
    return [race(network, name, options), race(VESPCN(SCALE), untrained, options)]


# ----------------------------------------------------------------------------------------- tables


def table(scale: int, lines: list[dict]) -> str:
    """Format the means of a scale as text, at most 80 columns wide."""
    rows = []
    for line in lines:
        mean, above = line["mean"], line.get("above espcn")
        more = f"{above['dB']:+.2f}, {above['clips']} of {len(line['clips'])}" if above else ""
        numbers = f"{mean['psnr']:.2f}", f"{mean['ssim']:.4f}", f"{mean['tof']:.3f}"
        rows.append((line["name"], *numbers, more, f"{rate(line):.1f}"))
    return harness.table((f"x{scale}", "dB", "SSIM", "tOF", "above espcn", "frames/s"), rows)


def each_clip(scale: int, lines: list[dict]) -> str:
    """Format dB and tOF of each clip."""
    clips = list(lines[0]["clips"])
    rows = [
        (line["name"], *(f"{s['psnr']:.2f} {s['tof']:.3f}" for s in line["clips"].values()))
        for line in lines
    ]
    return harness.table((f"x{scale}, dB tOF", *clips), rows)


def rate(line: dict) -> float:
    """Return the frames a second of a line."""
    return 1 / line["seconds a frame"]["median"]


def against(case: dict) -> str:
    """Return what came of a race, in a line or two."""
    said = f"{case['title']}:\n{1e3 * case['lines'][0]['median']:.1f} ms"
    said += f", {case['frames a second']:.1f} frames a second"
    if rival := case.get("fastest rival"):
        said += f", {rival['ratio']:.2f} times as fast as {rival['name']}"
    return said


def _add(parser) -> None:
    parser.add_argument(
        "--clips", type=Path, default=quality.DATA / "Vid4", metavar="FOLDER",
        help="scored on these (default: Vid4 in PYSRCNN_DATA, or in ../shared/data)",
    )  # fmt: skip
    quality.add_networks(parser, scales=(3, 4))


def main() -> None:
    """Run the command."""
    doc = __doc__.splitlines()[0]
    options = harness.parse(doc, "video", names(), add=_add, repeats=5, seconds=0.5)
    torch = ("torch",) if "torch" in engines.installed() else ()
    about = harness.machine(options.threads, torch)
    lines, parts = [], []
    for scale in options.scales:
        which = networks(options, scale)
        if not which:
            continue
        found = scores(options, scale, which)
        timed = rates(options, scale, which)
        for line in found:
            line["seconds a frame"] = timed[line["name"]]
        lines += found
        parts += [table(scale, found), each_clip(scale, found)]
        print("\n" + "\n\n".join(parts[-2:]) + "\n", flush=True)
    cases = races(options)
    parts += [against(case) for case in cases]
    title = f"{options.clips.name}; {about['threads']} threads of {about['processor']}"
    if options.output:
        with written_whole(options.output.with_suffix(".txt")) as temporary:
            temporary.write_text("\n\n".join([title, *parts]) + "\n", encoding="utf-8")
    harness.write(options, machine=about, lines=lines, cases=cases)


if __name__ == "__main__":
    main()
