"""Record what PyTorch gives for video: `grid_sample` where flows point, and small VESPCN.

Run once, by hand, where PyTorch is installed; the tests only read the files:

    python tests/record_torch_motion.py

``torch_warp.npz``: some flows point at pixels and at the edge, where the derivative is a matter
of definition: in binary fractions, so that the way by -1..1 that `grid_sample` takes does not
round it away. ``torch_gradients_vespcn.npz`` is laid out as `record_torch_deep` has it, with
beta, smooth and share (of the loss of the result) beside. The networks are written here from the
paper; subpixel fusion, which is in none, from its definition: neighbours warped by Keys' cubic, and
their differences from the middle frame, times 4, times cosine and sine of 2 pi the flow.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from record_torch_deep import result
from record_torch_gradients import recorded, write

# scale, frames, fusion, picture added?, beta, smooth, share of the result's loss, loss
VESPCN = [
    (2, 3, "early", True, 1.0, 0.01, 1.0, "mse"), (3, 3, "slow", False, 0.5, 0.1, 0.25, "mse"),
    (2, 5, "early", False, 2.0, 0.0, 1.0, "charbonnier"),
    (4, 5, "slow", True, 0.0, 0.02, 0.5, "l1"),
    (2, 3, "subpixel", True, 1.0, 0.01, 1.0, "mse"),
    (3, 5, "subpixel", False, 0.5, 0.02, 0.5, "charbonnier"),
]  # fmt: skip
FAR = {"coarse": 8, "fine": 2}  # pixels


def warp(x, flow):
    """x (N, C, H, W) where flow (N, 2, H, W) points."""
    height, width = x.shape[2:]
    columns = torch.arange(width, dtype=x.dtype) + flow[:, 0]
    rows = torch.arange(height, dtype=x.dtype)[:, None] + flow[:, 1]
    grid = torch.stack([2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1], dim=3)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)


def keys(distance):
    """Keys' cubic of a = -0.5; `grid_sample` has another, of -0.75."""
    t = distance.abs()
    inner, outer = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t <= 1, inner, torch.where(t < 2, outer, torch.zeros_like(t)))


def warp_cubic(x, flow):
    """x (N, 1, H, W) where flow (N, 2, H, W) points: a sum over 4 x 4 pixels, the edge repeated."""
    n, _, height, width = x.shape
    columns = (torch.arange(width, dtype=x.dtype) + flow[:, 0]).clamp(0, width - 1)
    rows = (torch.arange(height, dtype=x.dtype)[:, None] + flow[:, 1]).clamp(0, height - 1)
    out = 0
    for di in (-1, 0, 1, 2):
        for dj in (-1, 0, 1, 2):
            i, j = rows.floor() + di, columns.floor() + dj
            place = i.clamp(0, height - 1) * width + j.clamp(0, width - 1)
            taken = x.reshape(n, -1).gather(1, place.long().reshape(n, -1)).reshape(rows.shape)
            out = out + keys(rows - i) * keys(columns - j) * taken
    return out[:, None]


def points():
    """What `grid_sample` gives, and its gradients."""
    rng = np.random.default_rng(0)
    shape = 2, 3, 9, 5  # sides of 2^k + 1, so that pixels have exact places in -1..1
    case = {
        "x": rng.integers(0, 257, shape) / 256,
        "flow": rng.integers(-24, 25, (2, 2, *shape[2:])) / 8,  # every eighth at a pixel
        "dout": rng.integers(-256, 257, shape) / 256,
    }
    t = {name: torch.from_numpy(array).requires_grad_(name != "dout")
         for name, array in case.items()}  # fmt: skip
    out = warp(t["x"], t["flow"])
    out.backward(t["dout"])
    found = {"out": out.detach().numpy(), **{f"d{n}": t[n].grad.numpy() for n in ("x", "flow")}}
    np.savez_compressed(Path(__file__).parent / "torch_warp.npz", **case, **found)


def layers(scale, frames, fusion, width):
    """Sides of filters, maps in and out of each layer."""
    made = {}
    for part, sides, c, o in (("coarse", (5, 3, 5, 3, 3), 2, 32), ("fine", (5, 3, 3, 3, 3), 5, 8)):
        for k, f in enumerate(sides, 1):
            made[f"_{part}{k}"] = f, c if k == 1 else width, o if k == 5 else width
    if fusion != "slow":
        maps = frames + (4 * (frames - 1) if fusion == "subpixel" else 0)
        made |= {"1_1": (3, maps, width), "2_1": (3, width, width)}
    else:
        for k in range(1, frames):
            for group in range(1, frames - k + 1):
                made[f"{k}_{group}"] = 3, 2 if k == 1 else 2 * width, width
    return made | {"_tail": (3, width, scale**2)}


def arrays(scale, frames, made, seed):
    """Random frames and target, and parameters; flows of some pixels."""
    rng = np.random.default_rng((seed, 1))
    case = {"low": rng.random((2, frames, 4, 8)), "high": rng.random((2, 1, scale * 4, scale * 8))}
    for name, (f, c, o) in made.items():
        case[f"W{name}"] = rng.normal(0, np.sqrt(2 / (f * f * c)), (o, c, f, f))
        case[f"B{name}"] = rng.normal(0, 0.1, o)
        if name[-1] == "5":
            case[f"W{name}"] *= 0.2
    return {n: (np.round(a * 1024) / 1024).astype(np.float32) for n, a in case.items()}


def estimate(ops, t, part, *given):
    """Table 1; in pixels."""
    h, s = torch.cat(given, 1), 1
    for k in range(1, 6):
        w, b = t[f"W_{part}{k}"], t[f"B_{part}{k}"]
        stride = 2 if w.shape[2] == 5 else 1
        h, s = F.conv2d(h, w, b, stride=stride, padding=w.shape[2] // 2), s * stride
        h = ops.relu(h) if k < 5 else h
    return FAR[part] * torch.tanh(F.pixel_shuffle(h, s))


def at(ops, flow):
    """Note how near flows come to pixels and to the edge, where `warp` has kinks."""
    ops._note((flow - flow.round())[flow.abs() > 0])
    return flow


def vespcn(case, ops, t):
    """Section 2, and the loss of Section 2.4."""
    scale, frames, fusion, picture, beta, smooth, share, loss = case
    maps = list(t["low"].split(1, 1))
    middle = maps[frames // 2]
    missed, rough, finer = [], [], []
    for k in range(frames):
        if k == frames // 2:
            continue
        coarse = at(ops, estimate(ops, t, "coarse", middle, maps[k]))
        fine = estimate(ops, t, "fine", middle, maps[k], coarse, warp(maps[k], coarse))
        flow = at(ops, coarse + fine)
        maps[k] = (warp_cubic if fusion == "subpixel" else warp)(maps[k], flow)
        off, angles = 4 * (maps[k] - middle), 2 * np.pi * flow
        finer += [
            off * f(angles[:, axis : axis + 1]) for axis in (0, 1) for f in (torch.cos, torch.sin)
        ]
        missed.append(F.mse_loss(maps[k], middle))
        right = F.pad(flow[..., 1:] - flow[..., :-1], (0, 1))
        below = F.pad(flow[:, :, 1:] - flow[:, :, :-1], (0, 0, 0, 1))
        rough.append((0.01 + (right**2 + below**2).sum(1)).sqrt().mean())
    if fusion != "slow":
        maps = [torch.cat(maps + (finer if fusion == "subpixel" else []), 1)]
    k = 1
    while f"W{k}_1" in t:
        groups = maps if len(maps) == 1 else [torch.cat(two, 1) for two in zip(maps, maps[1:])]
        maps = [ops.relu(ops.conv(x, t[f"W{k}_{g}"], t[f"B{k}_{g}"]))
                for g, x in enumerate(groups, 1)]  # fmt: skip
        k += 1
    out = F.pixel_shuffle(ops.conv(maps[0], t["W_tail"], t["B_tail"]), scale)
    if picture:
        out = out + F.interpolate(middle, scale_factor=scale, mode="nearest")
    total = share * ops.loss(loss, out, t["high"])
    return total + beta * torch.stack(missed).mean() + smooth * torch.stack(rough).mean()


def main():
    """Write the files."""
    points()
    found = {}
    for case in VESPCN:
        scale, frames, fusion, picture, beta, smooth, share, loss = case
        name = f"vespcn x{scale} T={frames} {fusion} {'picture' if picture else 'none'} {loss}"
        make = partial(arrays, scale, frames, layers(scale, frames, fusion, 3))
        found |= recorded(name, make, partial(result, loss_of=partial(vespcn, case)))
        options = {"picture": picture, "beta": beta, "smooth": smooth, "share": share}
        found |= {f"{name}/{option}": np.array(value) for option, value in options.items()}
    write("torch_gradients_vespcn.npz", found)


if __name__ == "__main__":
    main()
