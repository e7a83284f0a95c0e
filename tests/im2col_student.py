"""SRCNN's gradients by im2col and matrix products, as courses teach them, right and wrong.

Written without the package. Each name of `PLANTED` is a mistake, made where one makes it; a name
that ends in a number is made in that layer alone.
"""

import numpy as np


def im2col(x, f, planted=()):
    """(C f f, N H' W'): rows by channel and place in the kernel, columns by sample and pixel."""
    n, c, height, width = x.shape
    h, w = height - f + 1, width - f + 1
    patches = np.zeros((c, f, f, n, h, w), x.dtype)
    rows = f - 1 if "im2col rows" in planted else f
    columns = f - 1 if "im2col columns" in planted else f
    for u in range(rows):
        for v in range(columns):
            patches[:, u, v] = x[:, :, u : u + h, v : v + w].transpose(1, 0, 2, 3)
    return patches.reshape(c * f * f, n * h * w)


def col2im(cols, shape, f, planted=()):
    n, c, height, width = shape
    h, w = height - f + 1, width - f + 1
    patches = cols.reshape(c, f, f, n, h, w)
    if "col2im order" in planted:
        patches = cols.reshape(f, f, c, n, h, w).transpose(2, 0, 1, 3, 4, 5)
    dx = np.zeros((c, n, height, width), cols.dtype)
    rows = f - 1 if "col2im rows" in planted else f
    columns = f - 1 if "col2im columns" in planted else f
    if "first write" in planted:
        for i in range(h):
            for j in range(w):
                dx[:, :, i : i + f, j : j + f] = patches[..., i, j].transpose(0, 3, 1, 2)
        return dx.transpose(1, 0, 2, 3)
    for u in range(rows):
        if "rows overwritten" in planted:
            wide = np.zeros((c, n, h, width), cols.dtype)
            for v in range(f):
                wide[..., v : v + w] += patches[:, u, v]
            dx[:, :, u : u + h] = wide
            continue
        for v in range(columns):
            if "last write" in planted:
                dx[:, :, u : u + h, v : v + w] = patches[:, u, v]
            else:
                dx[:, :, u : u + h, v : v + w] += patches[:, u, v]
    return dx.transpose(1, 0, 2, 3)


def student(low, high, p, *planted):
    """(loss, gradients), NCHW and OIHW, with these mistakes planted."""
    planted = [name for names in planted for name in names.split(", ")]
    x = low
    if "centred" in planted:
        x = x - x.mean()
    if "-1..1" in planted:
        x = x * 2 - 1
    if "0..255" in planted:
        x = x * 255
    if "standardized" in planted:
        x = (x - x.mean()) / x.std()
    caches = []
    for k in (1, 2, 3):
        here = {name.removesuffix(f" {k}") for name in planted}
        w, b = p[f"W{k}"], p[f"B{k}"]
        o, _, f, _ = w.shape
        h, wd = x.shape[2] - f + 1, x.shape[3] - f + 1
        cols = im2col(x, f, here)
        out = w.reshape(o, -1) @ cols
        if "no bias" in here:
            pass
        elif "bias of layer 3" in here:
            out = out + p["B3"][:, None]
        elif "bias of layer 1" in here:
            out = out + p["B1"][:o, None]
        elif "first bias" in here:
            out = out + b[0]
        else:
            out = out + b[:, None]
        if "bias twice" in here:
            out = out + b[:, None]
        out = out.reshape(o, len(x), h, wd).transpose(1, 0, 2, 3)
        if "channels of output" in here:
            out = (w.reshape(o, -1) @ cols + b[:, None]).reshape(len(x), o, h, wd)
        z = out
        if k < 3:
            out = np.maximum(z, 0)
            if "threshold" in here:
                out = np.where(z > 0.1, z, 0)
        caches.append((x, cols, z))
        x = out
    difference = x - high
    loss = (difference**2).mean()
    if "half loss" in planted:
        loss = loss / 2
    if "mean and sum" in planted:
        loss = (difference**2).mean(axis=(1, 2, 3)).sum()
    d = 2 * difference / difference.size
    if "dF of sample 0" in planted:
        d = d[[0] * len(d)]
    if "half gradient" in planted:
        d = difference / difference.size
    g = {}
    for k in (3, 2, 1):
        here = {name.removesuffix(f" {k}") for name in planted}
        x, cols, z = caches[k - 1]
        w = p[f"W{k}"]
        o, _, f, _ = w.shape
        if k < 3:
            mask = z > 0
            if "mask threshold" in here or "threshold" in here:
                mask = z > 0.1
            if "mask of sample 0" in here:
                mask = mask[:1]
            if "mask before bias" in here:
                mask = z - p[f"B{k}"].reshape(-1, 1, 1) > 0
            if "mask of next" in here:
                after = caches[k][2] > 0
                lost = z.shape[2] - after.shape[2]
                mask = np.zeros(z.shape, bool)
                tiled = np.tile(after, (1, -(-z.shape[1] // after.shape[1]), 1, 1))[:, : z.shape[1]]
                mask[:, :, lost // 2 : lost // 2 + after.shape[2],
                     lost // 2 : lost // 2 + after.shape[3]] = tiled  # fmt: skip
            d = d * mask
        n, _, h, wd = d.shape
        used = d.copy()
        if "no last row" in here:
            used[:, :, -1] = 0
        if "no last column" in here:
            used[..., -1] = 0
        if "no first row" in here:
            used[:, :, 0] = 0
        if "interior" in here:
            used[:, :, 0] = used[:, :, -1] = used[..., 0] = used[..., -1] = 0
        if "no last sample" in here:
            used[-1] = 0
        if "last pixel" in here:
            used[:-1] = used[:, :, :-1] = used[..., :-1] = 0
        if "sample 0 for all" in here:
            used[:] = 0
            used[0] = d[0] * n
        flat = used.transpose(1, 0, 2, 3).reshape(o, -1)
        if "order of dz" in here:
            flat = used.reshape(o, -1)
        if "pixels first" in here:
            flat = used.transpose(1, 2, 3, 0).reshape(o, -1)
        dw = (flat @ cols.T).reshape(w.shape)
        if "no last kernel row" in here:
            dw[:, :, -1] = 0
        if "no last filter" in here:
            dw[-1] = 0
        if "no last channel" in here:
            dw[:, -1] = 0
        db = d.sum(axis=(0, 2, 3))
        if "bias too" in here:
            db = used.sum(axis=(0, 2, 3))
        if "dB twice" in here:
            db = db * 2
        if "float16" in planted:
            dw, db = (a.astype(np.float16).astype(np.float64) for a in (dw, db))
        if "norm of each" in planted:
            dw = dw / np.linalg.norm(dw)
        g[f"W{k}"], g[f"B{k}"] = dw, db
        back = d.transpose(1, 0, 2, 3).reshape(o, -1)
        if "dx last filter" in here:
            back[:-1] = 0
        if "dx first sample" in here:
            back = d.copy()
            back[1:] = 0
            back = back.transpose(1, 0, 2, 3).reshape(o, -1)
        d = col2im(w.reshape(o, -1).T @ back, x.shape, f, here)
        if "dx of sample 0" in here:
            d = d[[0] * len(d)]
    if "decay" in planted:
        for name in g:
            g[name] = g[name] + 1e-3 * p[name]
    if "regularized" in planted:
        for k in (1, 2, 3):
            loss = loss + 0.01 / 2 * (p[f"W{k}"] ** 2).sum()
            g[f"W{k}"] = g[f"W{k}"] + 0.01 * p[f"W{k}"]
    return loss, g


# What is planted, and words of the sentence that is to name it.
PLANTED = {
    "last write": "overwritten where patches overlap, wanted their sum (col2im needs +=",
    "last write 2": "kernels in layer 2 is overwritten where patches overlap, wanted their sum",
    "first write": "overwritten where patches overlap, wanted their sum (col2im needs +=",
    "rows overwritten": "overwritten where patches of different rows overlap",
    "col2im rows": "back through the kernels in all layers is computed without the last row of the",
    "col2im columns": "back through the kernels in all layers is computed without the last column",
    "im2col rows": "in all layers, forward and in dW, is computed without the last row of the kern",
    "im2col columns": "in all layers, forward and in dW, is computed without the last column of",
    "col2im order": "are read with the channels behind the rows and columns where the gradient",
    "no last row": "dW in all layers is computed without the last row of the output",
    "no last row 2": "dW in layer 2 is computed without the last row of the output",
    "no last column": "dW in all layers is computed without the last column of the output",
    "no first row": "dW in all layers is computed without the first row of the output",
    "interior": "dW in all layers is computed without the first and the last row and column",
    "no last sample": "dW in all layers is computed without the last sample",
    "no last sample, bias too": "dW and dB in all layers are computed without the last sample",
    "last pixel": "dW in all layers is computed from the last pixel",
    "sample 0 for all": "dW in all layers is computed from the first sample alone, as often",
    "order of dz": "dz with its axes in the order N, C, H, W in memory, given the shape C, N, H, W",
    "pixels first": "dz with its axes in the order C, H, W, N in memory, given the shape C, N, H",
    "channels of output": "axes in the order C, N, H, W in memory, given the shape N, C, H, W with",
    "no last kernel row": "dW in all layers is computed without the last row of the kernels",
    "no last filter": "dW in all layers is computed without the last filter",
    "no last filter 2": "dW in layer 2 is computed without the last filter",
    "no last channel 2": "dW in layer 2 is computed without the last channel",
    "dB twice": "dB in all layers is 2 times what is wanted",
    "dB twice 2": "dB in layer 2 is 2 times what is wanted",
    "bias twice": "the bias in all layers is added twice",
    "bias twice 2": "the bias in layer 2 is added twice",
    "bias of layer 3 1": "the bias of layer 3 is added in layer 1, in place of that of layer 1",
    "bias of layer 3 2": "the bias of layer 3 is added in layer 2, in place of that of layer 2",
    "bias of layer 1 2": "the bias of layer 1 is added in layer 2, in place of that of layer 2",
    "first bias 2": "the first bias in layer 2 is added to all filters",
    "no bias 1": "the bias in layer 1 is not added",
    "no bias 3": "the bias in layer 3 is not added",
    "centred": "the input of layer 1 is centred (its mean subtracted), wanted as given",
    "-1..1": "the input of layer 1 is scaled to -1..1",
    "0..255": "the input of layer 1 is scaled to 0..255",
    "standardized": "the input of layer 1 is standardized (mean 0, standard deviation 1)",
    "threshold": "ReLU of each of F1 and F2 lets through what is above 0.1, forward and",
    "threshold 1": "the ReLU of F1 lets through what is above 0.1, forward and backward",
    "mask threshold": "mask of the ReLU of each of F1 and F2 lets through where z > 0.1, wanted 0",
    "mask threshold 1": "the mask of the ReLU of F1 lets through where z > 0.1, wanted 0",
    "mask of sample 0": "the ReLU of each of F1 and F2 is that of the first sample for all samples",
    "mask of sample 0 2": "mask of the ReLU of F2 is that of the first sample for all samples",
    "mask before bias": "is taken before the bias is added",
    "mask of next 1": "the mask of the ReLU of F1 is that of the layer after it, in its middle",
    "half loss": "the loss alone is 1/2 times what is wanted",
    "half gradient": "the gradient of the loss, dF3, is 1/2 times what is wanted",
    "mean and sum": "the loss alone is 3 times what is wanted: a sum over the 3 samples",
    "float16": "have at most 11 significant bits each: they went through float16",
    "norm of each": "Give the gradients themselves: neither multiplied by learning rates nor norm",
    "dx last filter": "in layer 2 is computed from the last filter alone",
    "dx first sample": "back through the kernels in layer 3 is computed from the first sample",
    "dx of sample 0": "back through the kernels in all layers is that of the first sample for",
    "dx of sample 0 3": "kernels in layer 3 is that of the first sample for all samples",
    "dF of sample 0": "the gradient of the loss, dF3, is that of the first sample for all samples",
    "decay": "dW and dB in all layers have 0.001 times the weights and biases added",
    "regularized": "the loss has 0.005 times the squares of all weights added (weight decay)",
}
