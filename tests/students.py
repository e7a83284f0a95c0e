"""Implementations of SRCNN's and ESPCN's gradients as a student may write them, right and wrong.

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
        "the gradient goes back through the kernels in all layers in the wrong orientation",
    ),
    "no mask": ("no mask", "mask of the ReLU of F2 is missing"),
    "sum": ("another factor of the loss", "a sum over all {size} elements, not the mean"),
    "per sample": (
        "another factor of the loss",
        "sum over a sample's {pixels} pixels, as in Eq. 4 of the SRCNN paper",
    ),
    "bias mean": ("mean over samples and pixels", "dB in all layers is averaged over samples and"),
    "mean over batch": ("mean over samples", "dW and dB in all layers are averaged over the samp"),
    "last sample": (
        "last alone: sample (dw)",
        "dW in all layers is computed from the last sample alone",
    ),
    "no 2": (
        "factor of the gradient",
        "dF3, is 1/2 times what is wanted: a factor of 2 is missing",
    ),
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
    "upside down": (
        "upside down",
        "kernels in all layers with the order of their rows alone wrong",
    ),
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


def espcn(low, high, p, s, *planted, activation="tanh", pad=None):
    """ESPCN's F1, F2, F3, output, loss and all gradients, with any of `ESPCN_MISTAKES` planted.

    Maps are moved pixel by pixel, convolutions are products with each place of a kernel. pad: None,
    or the mode in which `np.pad` makes each layer's input larger.
    """

    def wide(x, f):
        margin = f // 2 if pad else 0
        mode = "edge" if "edge for zeros" in planted else pad or "edge"
        return np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode)

    def narrow(d, f):
        """What `wide` did, on the way back: values that were copied get all of it."""
        margin = f // 2 if pad else 0
        if margin == 0:
            return d
        if pad == "edge" or "edge for zeros" in planted:
            for axis in (2, 3):
                d = np.moveaxis(d, axis, 0).copy()
                d[margin] += d[:margin].sum(0)
                d[-margin - 1] += d[-margin:].sum(0)
                d = np.moveaxis(d, 0, axis)
        return d[:, :, margin:-margin, margin:-margin]

    def places(w, d):
        h, wd = d.shape[2:]
        for u, v in np.ndindex(w.shape[2:]):
            yield (u, v), np.s_[:, :, u : u + h, v : v + wd]

    def layer(x, w, b):
        f = w.shape[2]
        x = wide(x, f)
        out = np.zeros((len(x), len(w), x.shape[2] - f + 1, x.shape[3] - f + 1)) + b[:, None, None]
        for (u, v), part in places(w, out):
            out += np.einsum("oc,nchw->nohw", w[:, :, u, v], x[part])
        return out

    def layer_backward(d, x, w, k):
        x = wide(x, w.shape[2])
        dw, dx = np.zeros_like(w), np.zeros_like(x)
        for (u, v), part in places(w, d):
            dw[:, :, u, v] = np.einsum("nohw,nchw->oc", d, x[part])
            tap = w[:, :, -1 - u, -1 - v] if f"unflipped {k}" in planted else w[:, :, u, v]
            back = np.einsum("oc,nohw->nchw", tap, d)
            if f"overwritten {k}" in planted:
                dx[part] = back
            else:
                dx[part] += back
        if f"transposed dW {k}" in planted:
            dw = dw.swapaxes(2, 3)
        db = d.mean((0, 2, 3)) if f"bias mean {k}" in planted else d.sum((0, 2, 3))
        if f"sample 0 for all {k}" in planted:
            dx = dx[[0] * len(dx)]
        return narrow(dx, w.shape[2]), dw, db

    def sub_pixels(c, way):
        """(channel, row and column in a pixel) and the map that has these sub-pixels."""
        for channel, a, b in np.ndindex(c, s, s):
            number = channel * s * s + a * s + b
            if way == "transposed":
                number = channel * s * s + b * s + a
            if way == "channels together":
                number = (a * s + b) * c + channel
            if way == "next map":
                number = (number + 1) % (c * s * s)
            yield (channel, a, b), number

    def shuffle(maps, way=""):
        n, c, h, wd = len(maps), maps.shape[1] // s**2, *maps.shape[2:]
        out = np.zeros((n, c, s * h, s * wd))
        for (channel, a, b), number in sub_pixels(c, way):
            if way == "mosaic":
                out[:, channel, a * h : a * h + h, b * wd : b * wd + wd] = maps[:, number]
            else:
                out[:, channel, a::s, b::s] = maps[:, number]
        if way == "shifted":  # by one sub-pixel, to the right
            out = np.pad(out, ((0, 0), (0, 0), (0, 0), (1, 0)))[..., :-1]
        return out

    def shuffle_backward(d, way=""):
        n, c, h, wd = len(d), d.shape[1], d.shape[2] // s, d.shape[3] // s
        if way == "reshaped":
            return d.reshape(n, c * s * s, h, wd)
        if way == "shifted":
            d = np.pad(d, ((0, 0), (0, 0), (0, 0), (0, 1)))[..., 1:]
        maps = np.zeros((n, c * s * s, h, wd))
        for (channel, a, b), number in sub_pixels(c, way):
            if way == "mosaic":
                maps[:, number] = d[:, channel, a * h : a * h + h, b * wd : b * wd + wd]
            else:
                maps[:, number] = d[:, channel, a::s, b::s]
        return maps

    def phi(z, k):
        if f"no tanh {k}" in planted:
            return z
        return np.tanh(z) if activation == "tanh" else z * (z > 0)

    def phi_backward(d, f, z, k):
        if f"no derivative {k}" in planted or f"no tanh {k}" in planted:
            return d
        if f"derivative of z {k}" in planted:
            return d * (1 - z * z)
        if f"not squared {k}" in planted:
            return d * (1 - f)
        if f"derivative twice {k}" in planted:
            return d * (1 - f * f) * (1 - f * f)
        return d * (1 - f * f) if activation == "tanh" else d * (z > 0)

    forward = next((way[8:] for way in planted if way.startswith("shuffle ")), "")
    backward = next((way[11:] for way in planted if way.startswith("un-shuffle ")), forward)
    z1 = layer(low, p["W1"], p["B1"])
    f1 = phi(z1, 1)
    z2 = layer(f1, p["W2"], p["B2"])
    f2 = phi(z2, 2)
    f3 = layer(f2, p["W3"], p["B3"])
    output = shuffle(f3, forward)
    difference = output - high
    doutput = 2 * difference / (1 if "sum" in planted else difference.size)
    df3 = shuffle_backward(doutput, "" if backward == "right" else backward)
    df2, dw3, db3 = layer_backward(df3, f2, p["W3"], 3)
    df1, dw2, db2 = layer_backward(phi_backward(df2, f2, z2, 2), f1, p["W2"], 2)
    dlow, dw1, db1 = layer_backward(phi_backward(df1, f1, z1, 1), low, p["W1"], 1)
    return {
        "F1": f1, "F2": f2, "F3": f3, "output": output, "loss": (difference**2).mean(),
        "doutput": doutput, "dF3": df3, "dF2": df2, "dF1": df1, "dlow": dlow,
        "dW1": dw1, "dB1": db1, "dW2": dw2, "dB2": db2, "dW3": dw3, "dB3": db3,
    }  # fmt: skip


# What is planted: kind of the mistake, and words of the sentence that is to name it.
ESPCN_MISTAKES = {
    "shuffle transposed": (
        "sub-pixels transposed",
        "with rows and columns of the sub-pixels exchanged: map s b + a for row a and column b, "
        "wanted s a + b, forward and backward alike",
    ),
    "shuffle transposed, un-shuffle right": (
        "sub-pixels transposed",
        "the sub-pixels exchanged: map s b + a for row a and column b, wanted s a + b, in the "
        "forward pass",
    ),
    "un-shuffle transposed": (
        "sub-pixels transposed",
        "is un-shuffled as if the picture were shuffled with rows and columns of the sub-pixels",
    ),
    "shuffle channels together": (
        "sub-pixels first",
        "with the maps of one sub-pixel together, channel by channel (as TensorFlow's",
    ),
    "un-shuffle channels together": (
        "sub-pixels first",
        "is un-shuffled as if the picture were shuffled with the maps of one sub-pixel together",
    ),
    "shuffle mosaic": ("not interleaved", "its axes in the order c, a, i, b, j, wanted c, i, a, j"),
    "un-shuffle reshaped": (
        "not interleaved",
        "the gradient of the picture is not un-shuffled on the way back: only its shape is",
    ),
    "shuffle shifted": (
        "sub-pixel shifted",
        "with all of it shifted one column right, by one sub-pixel, forward and backward alike",
    ),
    "un-shuffle shifted": (
        "sub-pixel shifted",
        "un-shuffled as if the picture were shuffled with all of it shifted one column right, by",
    ),
    "shuffle next map": (
        "sub-pixel of another map",
        "with each sub-pixel from the map after its own, forward and backward alike",
    ),
    "no derivative 1": ("no derivative", "the derivative of the tanh of F1 is missing in the back"),
    "no derivative 2": ("no derivative", "the derivative of the tanh of F2 is missing in the back"),
    "no derivative 1, no derivative 2": (
        "no derivative",
        "the derivative of the tanh of each of F1 and F2 is missing in the backward pass",
    ),
    "derivative of z 2": ("derivative of z", "of F2 is 1 - z^2, wanted 1 - F^2: its output"),
    "not squared 1": ("derivative not squared", "of the tanh of F1 is 1 - F, wanted 1 - F^2"),
    "derivative twice 2": ("derivative squared", "of the tanh of F2 is (1 - F^2)^2"),
    "no tanh 2": ("no tanh", "the tanh of F2 is missing"),
    "sum": (
        "factor of the gradient",
        "the gradient of the loss, doutput, is {size} times what is wanted: a sum over all",
    ),
    "unflipped 3": ("unflipped", "back through the kernels in layer 3 in the wrong orientation"),
    "overwritten 2": ("overwritten", "back through the kernels in layer 2 is overwritten where"),
    "transposed dW 2": ("transposed", "dW in layer 2 is transposed"),
    "bias mean 3": ("mean over samples and pixels", "dB in layer 3 is averaged over samples and"),
    "sample 0 for all 3": (
        "gradient of the first sample for all",
        "back through the kernels in layer 3 is that of the first sample for all samples",
    ),
}
