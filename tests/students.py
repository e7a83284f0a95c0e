"""Implementations of SRCNN's gradients as a student may write them, right and wrong.

They share no code with the package, nor with its list of mistakes: `nchw` loops over the pixels of
the kernels, `nhwc` is made of sliding windows. Each mistake is planted where one makes it.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def nchw(low, high, p, *planted):
    """F1, F2, F3, loss and all gradients, with any of the `MISTAKES` planted."""

    def correlate(x, w, b):
        n, _, height, width = x.shape
        o, _, f, _ = w.shape
        h, wd = height - f + 1, width - f + 1
        out = np.zeros((n, o, h, wd), x.dtype)
        for u in range(f):
            for v in range(f):
                piece = x[:, :, u : u + h, v : v + wd]
                out += np.einsum("oc,nchw->nohw", w[:, :, u, v], piece)
        if "no bias" in planted:
            return out
        if "bias subtracted" in planted:
            return out - b.reshape(1, -1, 1, 1)
        return out + b.reshape(1, -1, 1, 1)

    def weights_gradient(d, x, w, layer):
        dw = np.zeros_like(w)
        _, _, f, _ = w.shape
        h, wd = d.shape[2:]
        for u in range(f):
            for v in range(f):
                piece = x[:, :, u : u + h, v : v + wd]
                if "last sample" in planted:
                    for s in range(len(d)):
                        dw[:, :, u, v] = np.einsum("ohw,chw->oc", d[s], piece[s])
                elif "transposed dW2" in planted and layer == 2:
                    dw[:, :, v, u] = np.einsum("nohw,nchw->oc", d, piece)
                elif "mirrored dW1" in planted and layer == 1:
                    dw[:, :, u, f - 1 - v] = np.einsum("nohw,nchw->oc", d, piece)
                elif "shifted dW2" in planted and layer == 2:
                    dw[:, :, u, (v + 1) % f] = np.einsum("nohw,nchw->oc", d, piece)
                elif "turned dz" in planted:
                    dw[:, :, u, v] = np.einsum("nohw,nchw->oc", d[:, :, ::-1, ::-1], piece)
                else:
                    dw[:, :, u, v] = np.einsum("nohw,nchw->oc", d, piece)
        if "mean over batch" in planted:
            dw /= len(d)
        if "weight decay" in planted:
            dw += w.dtype.type(5e-4) * w
        return dw

    def bias_gradient(d, layer):
        if "bias mean" in planted:
            return d.mean(axis=(0, 2, 3))
        if "bias not summed" in planted and layer == 2:
            return d.sum(axis=(2, 3))
        if "bias over filters" in planted:
            return np.zeros(d.shape[1], d.dtype) + d.sum()
        db = d.sum(axis=(0, 2, 3))
        if "bias subtracted" in planted:
            db = -db
        return db / len(d) if "mean over batch" in planted else db

    def input_gradient(d, x, w):
        dx = np.zeros_like(x)
        f = w.shape[2]
        h, wd = d.shape[2:]
        for u in range(f):
            for v in range(f):
                tap = w[:, :, f - 1 - u, f - 1 - v] if "unflipped" in planted else w[:, :, u, v]
                tap = w[:, :, f - 1 - u, v] if "upside down" in planted else tap
                dx[:, :, u : u + h, v : v + wd] += np.einsum("oc,nohw->nchw", tap, d)
        if "shifted dx" in planted:  # one row and one column of zeros too few before the first
            dx[:, :, :-1, :-1] = dx[:, :, 1:, 1:].copy()
            dx[:, :, -1] = dx[:, :, :, -1] = 0
        return dx

    w1, w2, w3 = p["W1"], p["W2"], p["W3"]
    used = [w1, w2, w3]
    if "convolution" in planted:
        used[1] = w2[:, :, ::-1, ::-1]
    if "channels" in planted:
        used[1] = np.swapaxes(w2.reshape(w2.shape[1], w2.shape[0], *w2.shape[2:]), 0, 1)
    if "turned" in planted:
        used[2] = np.stack([[np.rot90(kernel) for kernel in of_one] for of_one in w3])
    z1 = correlate(low, used[0], p["B1"])
    slope = z1.dtype.type(0.2 if "leaky" in planted else 0)
    f1 = np.where(z1 > 0, z1, slope * z1)
    if "bias last" in planted:
        z1 = correlate(low, used[0], 0 * p["B1"])
        f1 = np.maximum(z1, 0) + p["B1"].reshape(1, -1, 1, 1)
    z2 = correlate(f1, used[1], p["B2"])
    f2 = z2 if "forgotten ReLU" in planted else np.maximum(z2, 0)
    if "ELU" in planted and "forgotten ReLU" not in planted:  # which leaves nothing there
        f2 = np.where(z2 > 0, z2, np.exp(z2) - 1)
    z3 = correlate(f2, used[2], p["B3"])
    f3 = np.maximum(z3, 0) if "last ReLU" in planted else z3
    if "clamp" in planted:
        f3 = np.minimum(np.maximum(z3, 0), 1)
    if "sigmoid" in planted:
        f3 = 1 / (1 + np.exp(-z3))
    if "residual" in planted:
        rows, columns = ((n - m) // 2 for n, m in zip(low.shape[2:], z3.shape[2:], strict=True))
        f3 = f3 + low[:, :, rows : rows + z3.shape[2], columns : columns + z3.shape[3]]

    difference = high - f3 if "sign" in planted else f3 - high
    loss = (difference**2).mean()
    d3 = 2 * difference / difference.size
    if "sum" in planted:
        loss, d3 = (difference**2).sum(), 2 * difference
    if "per sample" in planted:
        loss, d3 = (difference**2).sum() / len(low), 2 * difference / len(low)
    if "no 2" in planted:
        d3 = difference / difference.size
    if "smooth L1" in planted:
        near, far = np.abs(difference) < 1, np.abs(difference)
        loss = np.where(near, difference**2 / 2, far - 0.5).mean().astype(z3.dtype)
        d3 = np.where(near, difference, np.sign(difference)) / difference.size
    df3 = d3
    if "last ReLU" in planted:
        d3 = d3 * (z3 > 0)
    if "clamp" in planted:
        d3 = d3 * ((z3 > 0) & (z3 < 1))
    if "sigmoid" in planted:
        d3 = d3 * f3 * (1 - f3)

    dw3 = weights_gradient(d3, z2 if "not rectified" in planted else f2, w3, 3)
    db3 = bias_gradient(d3, 3)
    if "updated" in planted:
        used[2] = w3 - w3.dtype.type(0.05) * dw3
    elif "turned" in planted:  # in the forward pass alone
        used[2] = w3
    df2 = input_gradient(d3, f2, used[2])
    d2 = np.where(z2 > 0, df2, df2 * np.exp(z2) if "ELU" in planted else 0)
    if "no mask" in planted or "forgotten ReLU" in planted:
        d2 = df2
    if "gradient's sign" in planted:
        d2 = np.where(df2 > 0, df2, 0)
    dw2 = weights_gradient(df2 if "unmasked dW2" in planted else d2, f1, w2, 2)
    db2 = bias_gradient(df2 if "unmasked dB2" in planted else d2, 2)
    if "updated" in planted:
        used[1] = w2 - w2.dtype.type(0.05) * dw2
    elif "convolution" in planted or "channels" in planted:  # in the forward pass alone
        used[1] = w2
    df1 = input_gradient(d2, f1, used[1])
    d1 = np.where(z1 <= 0 if "inverted" in planted else z1 > 0, df1, slope * df1)
    dw1, db1 = weights_gradient(d1, low, w1, 1), bias_gradient(d1, 1)
    if "bias last" in planted:
        db1 = bias_gradient(df1, 1)
    if "clipped values" in planted:
        every = dw1, db1, dw2, db2, dw3, db3
        dw1, db1, dw2, db2, dw3, db3 = (np.minimum(np.maximum(g, -0.03), 0.03) for g in every)
    if "clipped norm" in planted:  # of all gradients together, to 0.3
        every = dw1, db1, dw2, db2, dw3, db3
        norm = np.sqrt(sum((g**2).sum() for g in every))
        dw1, db1, dw2, db2, dw3, db3 = (g * (g.dtype.type(0.3) / norm) for g in every)
    return {
        "F1": f1, "F2": f2, "F3": f3, "loss": loss, "dF3": df3, "dF2": df2, "dF1": df1,
        "dW1": dw1, "dB1": db1, "dW2": dw2, "dB2": db2, "dW3": dw3, "dB3": db3,
    }  # fmt: skip


# What is planted: what the report has to say, kind of the mistake and words in the sentence.
MISTAKES = {
    "transposed dW2": ("transposed", "dW in layer 2 is transposed"),
    "unflipped": (
        "unflipped",
        "kernels in all layers are not flipped where the gradient goes back",
    ),
    "no mask": ("no mask", "mask of the ReLU of F2 is missing"),
    "sum": ("another factor of the loss", "a sum over all {size} elements, not the mean"),
    "per sample": (
        "another factor of the loss",
        "sum over a sample's {pixels} pixels, as in Eq. 4",
    ),
    "bias mean": ("mean over samples and pixels", "dB in all layers is averaged over samples and"),
    "mean over batch": ("mean over samples", "dW and dB in all layers are averaged over the samp"),
    "last sample": (
        "last alone: sample (dw)",
        "dW in all layers is computed from the last sample alone",
    ),
    "no 2": ("factor of the gradient", "dF, is 1/2 times what is wanted: a factor of 2 is missing"),
    "sign": ("factor of the gradient", "-1 times what is wanted: the wrong sign"),
    "convolution": ("flipped", "kernels in layer 2 are flipped (rotated by 180 degrees) in the fo"),
    "last ReLU": ("ReLU after the last layer", "F3 goes through a ReLU, wanted as the"),
    "forgotten ReLU": ("no ReLU", "the ReLU of F2 is missing"),
    "gradient's sign": ("mask of the gradient", "ReLU of F2 is taken from the gradient's sign"),
    "inverted": ("inverted mask", "mask of the ReLU of F1 is inverted"),
    "channels": ("channels exchanged", "kernels in layer 2 are read with the axes of filters and"),
    "updated": ("updated weights", "(learning rate 0.05) before the gradient went through them"),
    "bias over filters": ("sum over filters", "dB in all layers is summed over the filters too"),
    "not rectified": ("pre-activation", "dW3 uses values of F2 from before the ReLU"),
    "no bias": ("no bias", "the bias in all layers is not added"),
    "unmasked dW2": ("unmasked", "the mask of the ReLU of F2 is missing in dW2 alone"),
    "unmasked dB2": ("unmasked", "the mask of the ReLU of F2 is missing in dB2 alone"),
    "clamp": ("clamp after the last layer", "F3 is clamped to 0..1, wanted as the last layer"),
    "residual": ("residual", "the input (its middle) is added to F3"),
    "leaky": ("leaky ReLU", "the ReLU of F1 is leaky, of slope 0.2 for negative values"),
    "weight decay": ("weight decay", "dW in all layers has 0.0005 times the weights added"),
    "mirrored dW1": ("left to right", "dW in layer 1 is mirrored left to right"),
    "upside down": ("upside down", "kernels in all layers are upside down (the order of rows"),
    "turned dz": ("dz flipped", "dW in all layers is computed from dz flipped"),
    "shifted dW2": ("shifted", "dW in layer 2 is shifted one column right"),
    "bias subtracted": ("bias subtracted", "the bias in all layers is subtracted, wanted added"),
    "bias last": ("bias after ReLU", "the bias of F1 is added behind the ReLU"),
    "turned": ("turned", "the kernels in layer 3 are turned by 90 degrees in the forward pass"),
    "shifted dx": (
        "shifted",
        "through the kernels in all layers is shifted one row up and one column left",
    ),
    "ELU": ("another activation", "the activation of F2 is ELU, wanted ReLU"),
    "sigmoid": ("sigmoid after the last layer", "F3 goes through a sigmoid"),
    "smooth L1": ("Huber", "the loss is that of Huber (smooth L1)"),
    "clipped values": ("clipped by value", "are clipped to -0.03..0.03"),
    "clipped norm": ("common factor", "dW and dB in all layers are 0."),
}


def nhwc(low, high, p):
    """The right loss and gradients, NHWC and HWIO throughout: (loss, gradients)."""

    def correlate(x, w, b):
        f = w.shape[0]
        return np.einsum("nhwcuv,uvco->nhwo", sliding_window_view(x, (f, f), (1, 2)), w) + b

    z1 = correlate(low, p["W1"], p["B1"])
    f1 = np.maximum(z1, 0)
    z2 = correlate(f1, p["W2"], p["B2"])
    f2 = np.maximum(z2, 0)
    f3 = correlate(f2, p["W3"], p["B3"])
    difference = f3 - high
    gradients, d = {}, 2 * difference / difference.size
    for k, x, z in ((3, f2, z2), (2, f1, z1), (1, low, None)):
        w = p[f"W{k}"]
        f = w.shape[0]
        windows = sliding_window_view(x, (f, f), (1, 2))
        gradients[f"W{k}"] = np.einsum("nhwcuv,nhwo->uvco", windows, d)
        gradients[f"B{k}"] = d.sum(axis=(0, 1, 2))
        if k > 1:
            wide = np.pad(d, ((0, 0), (f - 1, f - 1), (f - 1, f - 1), (0, 0)))
            windows = sliding_window_view(wide, (f, f), (1, 2))
            d = np.einsum("nhwouv,uvco->nhwc", windows, w[::-1, ::-1]) * (z > 0)
    return (difference**2).mean(), gradients
