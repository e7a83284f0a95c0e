"""Implementations of the gradients of VDSR, DRCN and EDSR as a student may write them.

They share no code with the package: convolutions are sliding windows, and each way of a gradient is
a line of its own. Each mistake is planted where one makes it; `MISTAKES` has what is to be said.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

OUTSIDE = {"zeros": "constant", "edge": "edge"}


class Layers:
    """Convolutions of 3 x 3 with their gradients, which are added up by name."""

    def __init__(self, p, outside="zeros"):
        self.p, self.g, self.mode = p, {}, OUTSIDE[outside]

    def windows(self, x, mode):
        return sliding_window_view(
            np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode), (3, 3), (2, 3)
        )

    def conv(self, x, name):
        out = np.einsum("ncijuv,ocuv->noij", self.windows(x, self.mode), self.p[f"W{name}"])
        return out + self.p[f"B{name}"][:, None, None]

    def back(self, d, x, name, counts=True):
        """What goes back through a layer; its gradients are added to those it has."""
        if counts:
            dw = np.einsum("noij,ncijuv->ocuv", d, self.windows(x, self.mode))
            for key, value in ((f"W{name}", dw), (f"B{name}", d.sum((0, 2, 3)))):
                self.g[key] = self.g.get(key, 0) + value
        turned = self.p[f"W{name}"][:, :, ::-1, ::-1]
        return np.einsum("noijuv,ocuv->ncij", self.windows(d, "constant"), turned)


def relu(x):
    return np.where(x > 0, x, 0)


def compared(out, high, loss, planted):
    """The loss, and its gradient."""
    d = out - high
    if loss == "mse":
        return np.mean(d * d), 2 * d / d.size
    if loss == "charbonnier":
        root = np.sqrt(d * d + 1e-6)
        return np.mean(root), d / root / d.size
    slope = np.sign(d) if planted == "l1 summed" else np.sign(d) / d.size
    return np.mean(np.abs(d)), -slope if planted == "l1 sign" else slope


def vdsr(low, high, p, planted="", loss="mse"):
    """Loss and gradients, dlow too."""
    depth, layers = len(p) // 2, Layers(p, "edge" if planted == "edge" else "zeros")
    maps = [low]
    for k in range(1, depth):
        maps.append(relu(layers.conv(maps[-1], k)))
    out = layers.conv(maps[-1], depth)
    if planted != "no residual":
        out = out + low
    value, dout = compared(out, high, loss, planted)
    d = layers.back(dout, maps[-1], depth)
    for k in range(depth - 1, 0, -1):
        seen = maps[k - 1] if planted == "mask" and k == 2 else maps[k]
        d = layers.back(d * (seen > 0), maps[k - 1], k)
    dlow = d if planted in ("skip", "no residual") else d + dout
    return {"loss": value, "dlow": dlow, **{f"d{n}": g for n, g in layers.g.items()}}


def drcn(low, high, p, planted="", loss="mse", alpha=0.6):
    """Loss and gradients, dlow too."""
    layers, w = Layers(p), p["w"]
    first = relu(layers.conv(low, "_in1"))
    hs, inner, ys = [relu(layers.conv(first, "_in2"))], [], []
    for _ in w:
        hs.append(relu(layers.conv(hs[-1], "")))
        inner.append(relu(layers.conv(hs[-1], "_out1")))
        ys.append(low + layers.conv(inner[-1], "_out2"))
    weights = np.full(len(w), 1 / len(w)) if planted == "averaged" else w
    out = sum(t * y for t, y in zip(weights, ys, strict=True))
    value, dout = compared(out, high, loss, planted)
    each = [compared(y, high, loss, planted) for y in ys]
    share, rest = alpha / len(w), 1 - alpha
    if planted == "no 1/D":
        share = alpha
    if planted == "no alpha":
        share = 1 / len(w)
    total = share * sum(v for v, _ in each) + rest * value
    dout = rest * dout
    dw = np.array([np.vdot(dout, y) for y in ys])
    if planted == "averaged":
        dw = 0 * dw
    d, dlow = 0, 0
    for k in reversed(range(len(w))):
        dy = (1 if planted == "w on the way back" else weights[k]) * dout + share * each[k][1]
        counts = planted != "last alone" or k == len(w) - 1
        if planted == "first alone":
            counts = k == 0
        dlow = dlow + (0 if planted == "skip" else dy)
        of_y = layers.back(dy, inner[k], "_out2", counts)
        of_y = layers.back(of_y * (inner[k] > 0), hs[k + 1], "_out1", counts)
        d = (0 if planted == "cut" else d) + of_y
        d = layers.back(d * (hs[k + 1] > 0), hs[k], "", counts)
    d = layers.back(d * (hs[0] > 0), first, "_in2")
    dlow = dlow + layers.back(d * (first > 0), low, "_in1")
    return {"loss": total, "dlow": dlow, "dw": dw, **{f"d{n}": g for n, g in layers.g.items()}}


def shuffled(x, s, order=(0, 1, 4, 2, 5, 3)):
    n, maps, h, w = x.shape
    x = x.reshape(n, maps // s**2, s, s, h, w)
    return x.transpose(order).reshape(n, maps // s**2, s * h, s * w)


def unshuffled(x, s, axes=(3, 5)):
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // s, s, w // s, s)
    a, b = axes
    return x.transpose(0, 1, a, b, 2, 4).reshape(n, c * s * s, h // s, w // s)


def edsr(low, high, p, planted="", loss="l1", t=1.0, mean=(), picture=False):
    """Loss and gradients, dlow too: the paper's tail with one enlargement, or the short one."""
    layers, colour = Layers(p), np.reshape(mean or 0.0, (-1, 1, 1))
    blocks, long_tail = sum(n.endswith("_1") and n[0] == "W" for n in p), "W_up1" in p
    x = low - (0 if planted == "mean" else colour)
    hs, inner = [layers.conv(x, "_head")], []
    forward, backward = t, t
    forward = 1 if planted == "scale forward" else t
    backward = 1 if planted == "scale back" else t
    for k in range(1, blocks + 1):
        inner.append(relu(layers.conv(hs[-1], f"{k}_1")))
        hs.append(hs[-1] + forward * layers.conv(inner[-1], f"{k}_2"))
    body = layers.conv(hs[-1], "_body") + hs[0]
    s = round((high.size / low.size) ** 0.5)
    order = (0, 1, 4, 3, 5, 2) if planted == "shuffle" else (0, 1, 4, 2, 5, 3)
    axes = (5, 3) if planted == "shuffle" else (3, 5)
    if long_tail:
        large = shuffled(layers.conv(body, "_up1"), s, order)
        out = layers.conv(large, "_tail")
    else:
        out = shuffled(layers.conv(body, "_tail"), s, order)
    out = out + colour + (np.kron(x, np.ones((s, s))) if picture else 0)
    value, dout = compared(out, high, loss, planted)
    if long_tail:
        d = unshuffled(layers.back(dout, large, "_tail"), s, axes)
        d = layers.back(d, body, "_up1")
    else:
        d = layers.back(unshuffled(dout, s, axes), body, "_tail")
    past_all, d = d, layers.back(d, hs[-1], "_body")
    for k in range(blocks, 0, -1):
        through = layers.back(backward * d, inner[k - 1], f"{k}_2")
        seen = hs[k - 1] if planted == "mask" else inner[k - 1]
        through = layers.back(through * (seen > 0), hs[k - 1], f"{k}_1")
        d = through if planted == "block skip" else d + through
    d = layers.back(d if planted == "long skip" else d + past_all, x, "_head")
    if picture:
        n, c, h, w = low.shape
        d = d + dout.reshape(n, c, h, s, w, s).sum((3, 5))
    return {"loss": value, "dlow": d, **{f"d{n}": g for n, g in layers.g.items()}}


# network, options of the case, what is planted: the kind of mistake, and words
MISTAKES = {
    ("vdsr", "skip"): ("skip's gradient", "along the skip from the input to the output is dropped"),
    ("vdsr", "no residual"): ("no skip", "the skip from the input to the output is missing"),
    ("vdsr", "edge"): ("padding", "in all layers is padded with the edge repeated around it"),
    ("vdsr", "mask"): ("mask of the input", "of F2 is that of what the layer takes"),
    ("drcn", "last alone"): ("last use alone", "the last use (recursion) alone, wanted the sum"),
    ("drcn", "first alone"): ("first use alone", "the first use (recursion) alone: overwritten"),
    ("drcn", "cut"): ("cut off between uses", "does not go back from one recursion of layer W"),
    ("drcn", "no 1/D"): ("no 1/D", "are summed, wanted their mean (1/D is missing)"),
    ("drcn", "no alpha"): ("no alpha", "after each recursion are not multiplied by alpha"),
    ("drcn", "averaged"): ("weights of the sum", "are 1/D: y_d are averaged, and w is not used"),
    ("drcn", "w on the way back"): ("weights of the sum", "w is not used on the way back"),
    ("drcn", "skip"): ("skip's gradient", "from the input to the picture of each recursion is dro"),
    ("edsr", "block skip"): ("skip's gradient", "along the skips past the blocks is dropped"),
    ("edsr", "long skip"): ("skip's gradient", "past all blocks (the long one) is dropped"),
    ("edsr", "scale forward"): (
        "residual scale",
        "not scaled, wanted 0.2 times it, in the forward",
    ),
    ("edsr", "scale back"): ("residual scale", "not scaled, wanted 0.2 times it, on the way back"),
    ("edsr", "shuffle"): ("sub-pixels transposed", "rows and columns of the sub-pixels exchanged"),
    ("edsr", "mask"): ("mask of the input", "is that of what the layer takes, wanted of what it"),
    ("edsr", "mean"): ("mean colour", "the mean colour is not subtracted from the input"),
    ("edsr", "l1 summed"): ("factor of the gradient", "a sum over all 96 elements, not the mean"),
    ("edsr", "l1 sign"): ("factor of the gradient", "-1 times what is wanted: the wrong sign"),
}
