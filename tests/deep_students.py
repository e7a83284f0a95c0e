"""Implementations of the gradients of VDSR, DRCN, EDSR and SRResNet as a student may write them.

They share no code with the package: convolutions are sliding windows, and each way of a gradient is
a line of its own. Each mistake is planted where one makes it; `MISTAKES` has what is to be said.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

OUTSIDE = {"zeros": "constant", "edge": "edge"}


class Layers:
    """Convolutions that pad, with their gradients, which are added up by name."""

    def __init__(self, p, outside="zeros"):
        self.p, self.g, self.mode = p, {}, OUTSIDE[outside]

    def windows(self, x, mode, f=3):
        margins = ((0, 0), (0, 0), (f // 2, f // 2), (f // 2, f // 2))
        return sliding_window_view(np.pad(x, margins, mode), (f, f), (2, 3))

    def conv(self, x, name, bias=True):
        w = self.p[f"W{name}"]
        out = np.einsum("ncijuv,ocuv->noij", self.windows(x, self.mode, w.shape[2]), w)
        return out + self.p[f"B{name}"][:, None, None] if bias else out

    def back(self, d, x, name, counts=True):
        """What goes back through a layer; its gradients are added to those it has."""
        f = self.p[f"W{name}"].shape[2]
        if counts:
            dw = np.einsum("noij,ncijuv->ocuv", d, self.windows(x, self.mode, f))
            for key, value in ((f"W{name}", dw), (f"B{name}", d.sum((0, 2, 3)))):
                self.g[key] = self.g.get(key, 0) + value
        turned = self.p[f"W{name}"][:, :, ::-1, ::-1]
        return np.einsum("noijuv,ocuv->ncij", self.windows(d, "constant", f), turned)


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
    if planted == "residual alone":
        dout = compared(out - low, high, loss, planted)[1]
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


EPSILON = 1e-5
AXES = {"per sample": (2, 3), "per pixel": (0,), "all channels": (0, 1, 2, 3)}


class Norm:
    """Batch normalisation of one layer, and the way back through it."""

    def __init__(self, p, name, planted, training):
        self.planted, self.axes = planted, AXES.get(planted, (0, 2, 3))
        self.of_batch = training and planted != "running"
        self.gamma, self.beta, *self.running = (p[n + name][:, None, None] for n in "GBMV")

    def forward(self, z):
        self.mean, self.variance = z.mean(self.axes, keepdims=True), z.var(self.axes, keepdims=True)
        if self.planted == "N - 1":
            self.variance = z.var(self.axes, keepdims=True, ddof=1)
        if not self.of_batch or self.planted == "running forward":
            self.mean, self.variance = self.running
        self.std = np.sqrt(self.variance + EPSILON)
        if self.planted == "epsilon":
            self.std = np.sqrt(self.variance) + EPSILON
        self.z, self.xhat = z, (z - self.mean) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, d):
        """dz, dgamma, dbeta."""
        dgamma = (d * (self.z if self.planted == "gamma" else self.xhat)).sum((0, 2, 3))
        of_xhat = d if self.planted == "no gamma" else d * self.gamma
        dz = of_xhat / self.std
        if self.of_batch and self.planted != "constants":
            m = self.z.size / self.mean.size
            root = np.sqrt(self.variance) if self.planted == "epsilon" else self.std
            dstd = -(of_xhat * self.xhat).sum(self.axes, keepdims=True) / self.std
            dvariance = dstd / (2 * root)
            if self.planted != "variance":
                dz = dz + dvariance * 2 * (self.z - self.mean) / (m - (self.planted == "N - 1"))
            if self.planted != "mean of z":
                dz = dz - (of_xhat / self.std).sum(self.axes, keepdims=True) / m
        if self.planted == "direct spread":
            dz = dz + of_xhat - of_xhat / self.std
        if self.planted == "spread":
            dz = dz * self.std
        return dz, dgamma, d.sum((0, 2, 3))


class PReLU:
    """max(0, z) + a min(0, z), and the way back."""

    def __init__(self, a, planted):
        self.a, self.planted = a[:, None, None], planted

    def forward(self, z):
        self.z = z
        return np.where(z > 0, z, (0.25 if self.planted == "fixed slope" else self.a) * z)

    def backward(self, d):
        """dz, da."""
        where = self.z > 0 if self.planted == "positive part" else self.z <= 0
        da = (d * self.z * where).sum((0, 2, 3))
        if self.planted == "one slope":
            da = np.full_like(da, da.sum())
        slope = {"relu mask": 0, "fixed slope": 0.25}.get(self.planted, self.a)
        return d * np.where(self.z > 0, 1, slope), da


def srresnet(low, high, p, planted="", loss="mse", training=True, picture=False):
    """Loss and gradients, dlow too: one enlargement, with batch normalisation if p has it."""
    layers, back = Layers(p), []  # what is to be done on the way back, in the order of forward

    def norm(x, name):
        if f"G{name}" not in p:
            back.append(lambda d: layers.back(d, x, name))
            return layers.conv(x, name)
        of = Norm(p, name, planted, training)

        def backward(d):
            dz, layers.g[f"G{name}"], dbeta = of.backward(d)
            dx = layers.back(dz, x, name)
            layers.g[f"B{name}"] = dbeta
            return dx

        back.append(backward)
        return of.forward(layers.conv(x, name, bias=False))

    def prelu(z, name):
        of = PReLU(p[name], planted)

        def backward(d):
            dz, layers.g[name] = of.backward(d)
            return dz

        back.append(backward)
        return of.forward(z)

    def plain(x, name):
        back.append(lambda d: layers.back(d, x, name))
        return layers.conv(x, name)

    h = head = prelu(plain(low, "_head"), "A_head")
    blocks = sum(n.endswith("_1") and n[0] == "W" for n in p)
    for k in range(1, blocks + 1):
        through = norm(prelu(norm(h, f"{k}_1"), f"A{k}"), f"{k}_2")
        h = through if planted == "no block skip" else h + through
    h = norm(h, "_body") + head
    s = round((high.size / low.size) ** 0.5)
    large = shuffled(plain(h, "_up1"), s)
    out = plain(prelu(large, "A_up1"), "_tail")
    out = out + (np.kron(low, np.ones((s, s))) if picture else 0)
    value, dout = compared(out, high, loss, planted)

    def through_last(count, d):
        for _ in range(count):
            d = back.pop()(d)
        return d

    past_all = through_last(1, unshuffled(through_last(2, dout), s))
    d = through_last(1, past_all)
    for _ in range(blocks):
        through = through_last(3, d)
        d = through + (0 if planted in ("block skip", "no block skip") else d)
    d = through_last(2, d + (0 if planted == "long skip" else past_all))
    if picture:
        n, c, h, w = low.shape
        d = d + dout.reshape(n, c, h, s, w, s).sum((3, 5))
    return {"loss": value, "dlow": d, **{f"d{n}": g for n, g in layers.g.items()}}


# network, options of the case, what is planted: the kind of mistake, and words
MISTAKES = {
    ("vdsr", "skip"): ("skip's gradient", "along the skip from the input to the output is dropped"),
    ("vdsr", "no residual"): ("no skip", "the skip from the input to the output is missing"),
    ("vdsr", "residual alone"): ("gradient of the residual", "from the residual alone, wanted fr"),
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
    ("srresnet", "per sample"): ("statistics over other axes", "those of each sample alone ("),
    ("srresnet", "per pixel"): ("statistics over other axes", "those of each pixel alone (ov"),
    ("srresnet", "all channels"): ("statistics over other axes", "those of all channels together"),
    ("srresnet", "constants"): (
        "statistics as constants",
        "the gradient through the mean and variance of the batch normalisation behind all layers "
        "that have it is forgotten (they are treated as constant), wanted that of all three ways",
    ),
    ("srresnet", "variance"): ("variance as a constant", "is forgotten (it is treated as constant"),
    ("srresnet", "mean of z"): ("mean as a constant", "is forgotten (it is treated as constant"),
    ("srresnet", "N - 1"): ("N - 1", "is divided by N - 1, wanted N, forward and backward alike"),
    ("srresnet", "epsilon"): (
        "epsilon outside the root",
        "is sqrt(variance) + epsilon, wanted sqrt(variance + epsilon), forward and backward alike",
    ),
    ("srresnet", "gamma"): ("gamma without normalisation", "wanted that of dout xhat, z no"),
    ("srresnet", "no gamma"): ("no gamma", "behind all layers that have it is missing, on the way"),
    ("srresnet", "spread"): (
        "not divided by the spread",
        "that goes back through the batch normalisation behind all layers that have it is not",
    ),
    ("srresnet", "direct spread"): ("not divided by the spread", "past mean and variance of the"),
    ("srresnet", "running"): (
        "other statistics",
        "batch normalisation uses the running statistics (as in use), wanted those of the batch, "
        "forward and backward alike",
    ),
    ("srresnet", "running forward"): (
        "other statistics",
        "batch normalisation uses the running statistics (as in use), wanted those of the batch, "
        "in the forward pass",
    ),
    ("srresnet", "one slope"): ("one slope for all", "are summed over all channels, as of one slo"),
    ("srresnet", "positive part"): (
        "slopes' gradient of the positive part",
        "dA_head, dA1, dA2, dA_up1 are summed where z is positive, wanted where it is not",
    ),
    ("srresnet", "fixed slope"): ("other slope", "is 0.25, whatever A is, forward and backward"),
    ("srresnet", "relu mask"): ("mask of a ReLU", "is that of a ReLU: 0 where z is not positive"),
    ("srresnet", "block skip"): ("skip's gradient", "along the skips past the blocks is dropped"),
    ("srresnet", "no block skip"): ("no skip", "the skips past the blocks are missing"),
    ("srresnet", "long skip"): ("skip's gradient", "past all blocks (the long one) is dropped"),
}
