"""Record losses and gradients of PyTorch for small deep networks, in a file for each kind.

Run once, by hand, where PyTorch is installed; the tests only read the files:

    python tests/record_torch_deep.py

The networks are written here from their papers, with `torch.nn.functional` alone. For each case a
file holds low, high and the parameters (float32), what the network is told (recorded under the
names of its options) and, computed in float64, loss, dlow and the gradients of all parameters.
Names are "<case>/<array>"; the last word of a case is its loss: mse, l1 or charbonnier.

Seeds are tried until no value comes near a kink, of ReLU or of l1, see `record_torch_gradients`.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from record_torch_gradients import recorded, write

# layers, filters, channels, loss
VDSR = [(2, 4, 1, "mse"), (4, 5, 3, "mse"), (5, 4, 1, "l1"), (4, 4, 3, "charbonnier")]
# recursions, filters, channels, what part of training is done, loss
DRCN = [
    (1, 4, 1, 0.0, "mse"), (3, 4, 1, 0.0, "mse"), (4, 5, 1, 0.25, "mse"), (3, 4, 3, 1.0, "mse"),
    (3, 4, 3, 0.7, "l1"), (2, 5, 1, 0.4, "charbonnier"),
]  # fmt: skip
# scale, the paper's tail or the short one, residual scale, picture added?, mean colour, loss
MEAN = 0.4488, 0.4371, 0.404
EDSR = [
    (2, "paper", 1.0, False, MEAN, "l1"), (3, "paper", 0.1, False, MEAN, "mse"),
    (4, "paper", 0.1, True, (), "charbonnier"), (2, "short", 0.1, True, (), "l1"),
    (3, "short", 1.0, True, MEAN, "mse"), (4, "short", 1.0, False, (0.4,), "charbonnier"),
]  # fmt: skip


def drawn(layers, c, scale, more, seed):
    """Random input and target, parameters of layers of 3 x 3, and `more` arrays of given sizes."""
    rng = np.random.default_rng(seed)
    n, height, width = 2, 3, 4
    case = {
        "low": rng.integers(0, 257, (n, c, height, width)) / 256,
        "high": rng.integers(0, 257, (n, c, scale * height, scale * width)) / 256,
    }
    for name, (i, o) in layers.items():
        case[f"W{name}"] = rng.normal(0, np.sqrt(2 / (9 * i)), (o, i, 3, 3))
        case[f"B{name}"] = rng.normal(0, 0.1, o)
    case |= {name: rng.uniform(0.1, 0.5, size) for name, size in more.items()}
    return {n: (np.round(array * 1024) / 1024).astype(np.float32) for n, array in case.items()}


class Watched:
    """Operations that note how near they come to a kink, and a convolution that keeps the size."""

    def __init__(self):
        self.nearest = np.inf

    def conv(self, x, w, b):
        return F.conv2d(x, w, b, padding=1)

    def relu(self, z):
        self._note(z)
        return F.relu(z)

    def loss(self, name, out, target):
        """The mean over all elements."""
        if name == "mse":
            return F.mse_loss(out, target)
        if name == "l1":
            self._note(out - target)
            return F.l1_loss(out, target)
        return ((out - target).square() + 1e-3**2).sqrt().mean()

    def _note(self, values):
        self.nearest = min(self.nearest, values.detach().abs().min().item())


def result(case, loss_of):
    """Loss and gradients in float64, and how near a kink it comes."""
    t = {name: torch.from_numpy(array).double() for name, array in case.items()}
    wanted = {name: tensor.requires_grad_() for name, tensor in t.items() if name != "high"}
    ops = Watched()
    loss = loss_of(ops, t)
    loss.backward()
    found = {"loss": np.array(loss.item())}
    found |= {f"d{name}": tensor.grad.numpy() for name, tensor in wanted.items()}
    return found, ops.nearest


def vdsr(depth, loss, ops, t):
    """Section 3.1: all layers but the last with ReLU, and the input added."""
    h = t["low"]
    for k in range(1, depth):
        h = ops.relu(ops.conv(h, t[f"W{k}"], t[f"B{k}"]))
    residual = ops.conv(h, t[f"W{depth}"], t[f"B{depth}"])
    return ops.loss(loss, t["low"] + residual, t["high"])


def drcn(recursions, done, loss, ops, t):
    """Eqs. 1 to 7, and the loss of Eq. 10 without weight decay."""
    x, h = t["low"], t["low"]
    for part in ("_in1", "_in2"):
        h = ops.relu(ops.conv(h, t[f"W{part}"], t[f"B{part}"]))
    pictures = []
    for _ in range(recursions):
        h = ops.relu(ops.conv(h, t["W"], t["B"]))
        a = ops.relu(ops.conv(h, t["W_out1"], t["B_out1"]))
        pictures.append(x + ops.conv(a, t["W_out2"], t["B_out2"]))
    ensemble = torch.einsum("d,dncij->ncij", t["w"], torch.stack(pictures))
    each = torch.stack([ops.loss(loss, y, t["high"]) for y in pictures]).mean()
    alpha = 1 - done
    return alpha * each + (1 - alpha) * ops.loss(loss, ensemble, t["high"])


def edsr(scale, tail, blocks, residual_scale, picture, mean, loss, ops, t):
    """Section 3 and Figs. 2c and 3; the short tail is ESPCN's, the picture's skip our own."""
    means = torch.tensor(mean or (0.0,), dtype=torch.float64).reshape(1, -1, 1, 1)
    x = t["low"] - means
    head = h = ops.conv(x, t["W_head"], t["B_head"])
    for k in range(1, blocks + 1):
        a = ops.relu(ops.conv(h, t[f"W{k}_1"], t[f"B{k}_1"]))
        h = h + ops.conv(a, t[f"W{k}_2"], t[f"B{k}_2"]) * residual_scale
    h = head + ops.conv(h, t["W_body"], t["B_body"])
    if tail == "paper":
        for k, factor in enumerate({2: (2,), 3: (3,), 4: (2, 2)}[scale], 1):
            h = F.pixel_shuffle(ops.conv(h, t[f"W_up{k}"], t[f"B_up{k}"]), factor)
        out = ops.conv(h, t["W_tail"], t["B_tail"])
    else:
        out = F.pixel_shuffle(ops.conv(h, t["W_tail"], t["B_tail"]), scale)
    if picture:
        out = out + F.interpolate(x, scale_factor=scale, mode="nearest")
    return ops.loss(loss, out + means, t["high"])


def edsr_layers(scale, tail, blocks, width, c):
    """Maps in and out of each layer."""
    names = ["_head", *(f"{k}_{part}" for k in range(1, blocks + 1) for part in (1, 2)), "_body"]
    layers = dict.fromkeys(names, (width, width)) | {"_head": (c, width)}
    if tail == "short":
        return layers | {"_tail": (width, c * scale**2)}
    for k, factor in enumerate({2: (2,), 3: (3,), 4: (2, 2)}[scale], 1):
        layers[f"_up{k}"] = width, width * factor**2
    return layers | {"_tail": (width, c)}


def record(name, layers, c, scale, more, options, loss_of):
    """A case: arrays, options and results."""
    make = partial(drawn, layers, c, scale, more)
    found = recorded(name, make, partial(result, loss_of=loss_of))
    return found | {f"{name}/{option}": np.array(value) for option, value in options.items()}


def main():
    """Write the files."""
    found = {}
    for depth, width, c, loss in VDSR:
        layers = {str(k): (width, width) for k in range(1, depth + 1)}
        layers |= {"1": (c, width), str(depth): (width, c)}
        name = f"vdsr D={depth} c={c} {loss}"
        found |= record(name, layers, c, 1, {}, {}, partial(vdsr, depth, loss))
    write("torch_gradients_vdsr.npz", found)
    found = {}
    for recursions, width, c, done, loss in DRCN:
        layers = dict.fromkeys(("_in1", "_in2", "", "_out1", "_out2"), (width, width))
        layers |= {"_in1": (c, width), "_out2": (width, c)}
        name = f"drcn D={recursions} c={c} done={done} {loss}"
        loss_of = partial(drcn, recursions, done, loss)
        found |= record(name, layers, c, 1, {"w": recursions}, {"done": done}, loss_of)
    write("torch_gradients_drcn.npz", found)
    found, width = {}, 3
    for scale, tail, t, picture, mean, loss in EDSR:
        c, blocks = len(mean) or 1, 2 if tail == "short" else 1
        name = f"edsr x{scale} {tail} {t} {'picture' if picture else 'none'} {len(mean)} {loss}"
        options = {"residual_scale": t, "picture": picture, "mean": mean}
        loss_of = partial(edsr, scale, tail, blocks, t, picture, mean, loss)
        layers = edsr_layers(scale, tail, blocks, width, c)
        found |= record(name, layers, c, scale, {}, options, loss_of)
    write("torch_gradients_edsr.npz", found)


if __name__ == "__main__":
    main()
