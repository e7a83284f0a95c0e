"""The whole paper in a hundred lines of NumPy: ``python examples/nano_srcnn.py``.

C. Dong, C. C. Loy, K. He, X. Tang, "Image Super-Resolution Using Deep Convolutional Networks",
TPAMI 38(2), 2016. This trains SRCNN on the right half of a photograph, for about a minute; enlarges
the left half, which it has never seen; prints the gain over bicubic interpolation; and writes
nano_srcnn.png into the current folder: bicubic, SRCNN, original. NumPy does all the computing,
imageio reads and writes the picture.

Read from top to bottom. As in the paper, Y is the network's input, a picture enlarged by bicubic
interpolation, and X the original; * slides a filter over a picture, without flipping it. Arrays are
(N, C, H, W): samples, channels, height, width.
"""

from pathlib import Path

import imageio.v3 as imageio
import numpy as np

SCALE = 3
LAYERS = {"1": (64, 1, 9), "2": (32, 64, 1), "3": (1, 32, 5)}  # filters, channels, size: "9-1-5"
STEPS, BATCH, SIZE, MARGIN = 1000, 16, 33, 6  # 33 x 33 pixels become 21 x 21 in the network
RATE, MOMENTUM = 0.02, 0.9


# ------------------------------------------------------------------------ the input of the network


def bicubic(x, height, width):
    """Resize x (..., H, W) as MATLAB's imresize does, which makes the Y of the paper."""
    for size in (width, height):  # along the last axis, then along the other one
        old = x.shape[-1]
        stretch = max(old / size, 1)  # a wider kernel for shrinking: antialiasing
        centres = (np.arange(size) + 0.5) * old / size - 0.5
        t = abs(centres[:, None] - np.arange(-old, 2 * old)) / stretch
        near, far = (1.5 * t - 2.5) * t * t + 1, ((2.5 - 0.5 * t) * t - 4) * t + 2
        left, weights, right = np.split(np.where(t < 1, near, np.where(t < 2, far, 0)), 3, axis=1)
        weights = left[:, ::-1] + weights + right[:, ::-1]  # beyond its edges, x is mirrored
        x = (x @ (weights / weights.sum(1, keepdims=True)).T).swapaxes(-1, -2)
    return x


def degrade(x):
    """Shrink x and enlarge it again."""
    height, width = x.shape[-2:]
    return bicubic(bicubic(x, height // SCALE, width // SCALE), height, width)


def luminance(rgb):
    """Return Y of YCbCr, on which the paper works, from RGB (3, H, W); all in 0..1."""
    return (16 + np.tensordot([65.481, 128.553, 24.966], rgb, 1)) / 255


# -------------------------------------------------------------------------------------- the network


def im2col(x, f):
    """Return every f x f patch of x as a column: (N, C f f, H' W') with H' = H - f + 1."""
    patches = np.lib.stride_tricks.sliding_window_view(x, (f, f), axis=(2, 3))  # N C H' W' f f
    return patches.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), x.shape[1] * f * f, -1)


def col2im(columns, shape, f):
    """Add every column to the pixels that it was taken from: the adjoint of `im2col`."""
    n, c, h, w = shape
    x, patches = np.zeros(shape, columns.dtype), columns.reshape(n, c, f, f, h - f + 1, w - f + 1)
    for u, v in np.ndindex(f, f):
        x[:, :, u : u + h - f + 1, v : v + w - f + 1] += patches[:, :, u, v]
    return x


def conv(x, w, b, pad=False):
    """Return W * x + B: the filters are rows of a matrix, the patches columns of another."""
    o, _, f, _ = w.shape
    if pad:  # keep the size of the picture
        x = np.pad(x, ((0, 0), (0, 0), (f // 2, f // 2), (f // 2, f // 2)), mode="edge")
    out = w.reshape(o, -1) @ im2col(x, f) + b[:, None]
    return out.reshape(len(x), o, x.shape[2] - f + 1, x.shape[3] - f + 1)


def conv_backward(dout, x, w):
    """Return dL/dx, dL/dW and dL/dB from dL/dout: the gradients of a matrix product and a sum."""
    o, _, f, _ = w.shape
    dout = dout.reshape(len(x), o, -1)
    dw = (dout @ im2col(x, f).transpose(0, 2, 1)).sum(0).reshape(w.shape)
    dx = col2im(w.reshape(o, -1).T @ dout, x.shape, f)
    return dx, dw, dout.sum((0, 2))


def forward(y, p, pad=False):
    """Return F1(Y), F2(Y) and F(Y)."""
    f1 = np.maximum(0, conv(y, p["W1"], p["B1"], pad))  # Eq. 1: each patch becomes 64 numbers
    f2 = np.maximum(0, conv(f1, p["W2"], p["B2"], pad))  # Eq. 2: mapped to 32 others
    return f1, f2, conv(f2, p["W3"], p["B3"], pad)  # Eq. 3: reconstruct the picture from them


def loss_and_gradients(y, x, p):
    """Return Eq. 4 and its derivatives, by the chain rule from the last layer to the first."""
    f1, f2, f = forward(y, p)
    loss = np.mean((f - x) ** 2)  # Eq. 4, but averaged over the pixels, too
    g, df = {}, 2 * (f - x) / f.size
    df2, g["W3"], g["B3"] = conv_backward(df, f2, p["W3"])  # of Eq. 3
    df1, g["W2"], g["B2"] = conv_backward(df2 * (f2 > 0), f1, p["W2"])  # of Eq. 2
    _, g["W1"], g["B1"] = conv_backward(df1 * (f1 > 0), y, p["W1"])  # of Eq. 1
    return loss, g


# ----------------------------------------------------------------------------------------- training


def start(rng):
    """Return random weights with one path through the layers that passes Y on: F(Y) is about Y.

    The paper starts from smaller weights, N(0, 0.001^2), and takes days to learn the same.
    """
    p = {}
    for k, (o, c, f) in LAYERS.items():
        w = rng.normal(0, np.sqrt(2 / (c * f * f)), (o, c, f, f)) * (0.02 if k == "3" else 1)
        if k == "1":
            w -= w.mean((2, 3), keepdims=True)  # these filters respond to edges, not to brightness
        else:
            w[:, 0] = 0  # no other filter takes input from the path
        if k != "3":
            w[0] = 0  # the path is the first filter of each layer:
        w[0, 0, f // 2, f // 2] = 1  # 1 in the middle, 0 elsewhere
        p[f"W{k}"], p[f"B{k}"] = w.astype(np.float32), np.zeros(o, np.float32)
    return p


def sub_images(y, x, rng):
    """Return a batch of sub-images of Y, randomly turned and mirrored, and the middles of X's."""
    batch = []
    for _ in range(BATCH):
        i, j = (rng.integers(side - SIZE + 1) for side in y.shape)
        pieces = np.stack([y, x])[:, i : i + SIZE, j : j + SIZE]
        batch.append(np.rot90(pieces, rng.integers(4), (1, 2))[:, :, :: rng.choice([-1, 1])])
    y, x = np.stack(batch, axis=1)[:, :, None]
    return y, x[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]


def train(y, x, steps=STEPS, seed=0):
    """Train by gradient descent with momentum, Eq. 5; return the parameters W1, B1, ... B3."""
    rng = np.random.default_rng(seed)
    p = start(rng)
    delta = dict.fromkeys(p, 0)
    for step in range(1, steps + 1):
        loss, g = loss_and_gradients(*sub_images(y, x, rng), p)
        for name in p:
            delta[name] = MOMENTUM * delta[name] - RATE * g[name]  # Eq. 5
            p[name] = p[name] + delta[name]
        if step % 100 == 0:
            print(f"step {step} of {steps}: loss {loss:.6f}", flush=True)
    return p


def psnr(a, b):
    """Return PSNR in dB of 8-bit levels, without SCALE pixels at the edges, as in the paper."""
    a, b = (np.round(255 * np.clip(c, 0, 1))[SCALE:-SCALE, SCALE:-SCALE] for c in (a, b))
    return 10 * np.log10(255**2 / np.mean((a - b) ** 2))


def main(steps=STEPS):
    """Train, enlarge, compare, and write the picture."""
    picture = imageio.imread(Path(__file__).with_name("sample.png")).transpose(2, 0, 1) / 255
    unseen, seen = picture[:, :, :96], picture[:, :, 96:]
    x = luminance(seen).astype(np.float32)
    p = train(degrade(x).astype(np.float32), x, steps)

    before = degrade(unseen)
    y, x = luminance(before), luminance(unseen)
    f = forward(y[None, None].astype(np.float32), p, pad=True)[2][0, 0]
    after = before + (f - y) * 255 / 219  # luminance from the network, colours from bicubic
    print(f"bicubic {psnr(y, x):.2f} dB, SRCNN {psnr(f, x):.2f} dB: {psnr(f, x) - psnr(y, x):+.2f}")
    side_by_side = np.concatenate([before, after, unseen], axis=2).transpose(1, 2, 0)
    shown = np.round(255 * np.clip(side_by_side, 0, 1)).astype(np.uint8)
    imageio.imwrite("nano_srcnn.png", shown.repeat(3, axis=0).repeat(3, axis=1))


if __name__ == "__main__":
    main()
