"""The definitions, as loops over indices: exactly the sums of the paper. Slow, and the oracle.

Everything that the package computes quickly is compared with this file on small arrays.
Axes: N samples, C channels, O filters, H x W pixels, f filter size.
"""

import itertools
import math

import numpy as np


def im2col(x, f):
    n, c, h, w = x.shape
    cols = np.zeros((n, c * f * f, (h - f + 1) * (w - f + 1)), x.dtype)
    for sample in range(n):
        for i in range(h - f + 1):
            for j in range(w - f + 1):
                patch = x[sample, :, i : i + f, j : j + f]
                cols[sample, :, i * (w - f + 1) + j] = patch.ravel()
    return cols


def col2im(cols, shape, f):
    x = np.zeros(shape, cols.dtype)
    n, c, h, w = shape
    for sample in range(n):
        for i in range(h - f + 1):
            for j in range(w - f + 1):
                patch = cols[sample, :, i * (w - f + 1) + j].reshape(c, f, f)
                x[sample, :, i : i + f, j : j + f] += patch
    return x


def conv2d(x, w, b):
    n, c, height, width = x.shape
    o, _, f, _ = w.shape
    out = np.zeros((n, o, height - f + 1, width - f + 1), x.dtype)
    for sample, k, i, j in np.ndindex(out.shape):
        total = b[k]
        for channel, u, v in np.ndindex(c, f, f):
            total += w[k, channel, u, v] * x[sample, channel, i + u, j + v]
        out[sample, k, i, j] = total
    return out


def conv2d_backward(dout, x, w):
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[0], w.dtype)
    _, c, f, _ = w.shape
    for sample, k, i, j in np.ndindex(dout.shape):
        d = dout[sample, k, i, j]
        db[k] += d
        for channel, u, v in np.ndindex(c, f, f):
            dw[k, channel, u, v] += d * x[sample, channel, i + u, j + v]
            dx[sample, channel, i + u, j + v] += d * w[k, channel, u, v]
    return dx, dw, db


def relu(x):
    return np.array([max(0, value) for value in x.ravel()], x.dtype).reshape(x.shape)


def relu_backward(dout, x):
    flat = [0 if value <= 0 else d for d, value in zip(dout.ravel(), x.ravel(), strict=True)]
    return np.array(flat, dout.dtype).reshape(x.shape)


def enter(x):
    return x


leave = enter


def conv2d_same(x, w, b, summand=None):
    out = conv2d(pad_zeros(x, w.shape[2] // 2), w, b)
    return out if summand is None else out + summand


def conv2d_same_backward(dout, x, w):
    p = w.shape[2] // 2
    dx, dw, db = conv2d_backward(dout, pad_zeros(x, p), w)
    return pad_zeros_backward(dx, p), dw, db


def conv2d_strided(x, w, b, s):
    n, _, height, width = x.shape
    o, c, f, _ = w.shape
    out, p = np.zeros((n, o, math.ceil(height / s), math.ceil(width / s)), x.dtype), f // 2
    for sample, k, i, j in np.ndindex(out.shape):
        total = b[k]
        for channel, u, v in np.ndindex(c, f, f):
            y, z = s * i + u - p, s * j + v - p
            if 0 <= y < height and 0 <= z < width:
                total += w[k, channel, u, v] * x[sample, channel, y, z]
        out[sample, k, i, j] = total
    return out


def conv2d_strided_backward(dout, x, w, s):
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[0], w.dtype)
    (_, c, f, _), (height, width) = w.shape, x.shape[2:]
    for sample, k, i, j in np.ndindex(dout.shape):
        d = dout[sample, k, i, j]
        db[k] += d
        for channel, u, v in np.ndindex(c, f, f):
            y, z = s * i + u - f // 2, s * j + v - f // 2
            if 0 <= y < height and 0 <= z < width:
                dw[k, channel, u, v] += d * x[sample, channel, y, z]
                dx[sample, channel, y, z] += d * w[k, channel, u, v]
    return dx, dw, db


def conv_relu(x, w, b):
    return relu(conv2d_same(x, w, b))


def conv_relu_backward(dout, out, x, w):
    return conv2d_same_backward(relu_backward(dout, out), x, w)


def tanh(x):
    return np.array([math.tanh(value) for value in x.ravel()], x.dtype).reshape(x.shape)


def tanh_backward(dout, out):
    flat = [d * (1 - y**2) for d, y in zip(dout.ravel(), out.ravel(), strict=True)]
    return np.array(flat, dout.dtype).reshape(out.shape)


def mse(prediction, target):
    total = 0.0
    for index in np.ndindex(prediction.shape):
        total += (prediction[index] - target[index]) ** 2
    return total / prediction.size


def l1(prediction, target):
    pairs = zip(prediction.ravel(), target.ravel(), strict=True)
    return sum(float(abs(a - b)) for a, b in pairs) / prediction.size


def l1_backward(prediction, target):
    dout = np.zeros_like(prediction)
    for index in np.ndindex(prediction.shape):
        e = prediction[index] - target[index]
        dout[index] = (int(e > 0) - int(e < 0)) / prediction.size
    return dout


def charbonnier(prediction, target):
    pairs = zip(prediction.ravel(), target.ravel(), strict=True)
    return sum(math.hypot(a - b, 0.001) for a, b in pairs) / prediction.size


def charbonnier_backward(prediction, target):
    dout = np.zeros_like(prediction)
    for index in np.ndindex(prediction.shape):
        e = prediction[index] - target[index]
        dout[index] = e / math.hypot(e, 0.001) / prediction.size
    return dout


def mse_backward(prediction, target):
    dout = np.zeros_like(prediction)
    for index in np.ndindex(prediction.shape):
        dout[index] = 2 * (prediction[index] - target[index]) / prediction.size
    return dout


def pad_replicate(x, p):
    n, c, h, w = x.shape
    out = np.zeros((n, c, h + 2 * p, w + 2 * p), x.dtype)
    for sample, channel, i, j in np.ndindex(out.shape):
        inside = min(max(i - p, 0), h - 1), min(max(j - p, 0), w - 1)
        out[sample, channel, i, j] = x[sample, channel, *inside]
    return out


def pad_replicate_backward(dout, p):
    n, c, h, w = dout.shape
    dx = np.zeros((n, c, h - 2 * p, w - 2 * p), dout.dtype)
    for sample, channel, i, j in np.ndindex(dout.shape):
        inside = min(max(i - p, 0), h - 2 * p - 1), min(max(j - p, 0), w - 2 * p - 1)
        dx[sample, channel, *inside] += dout[sample, channel, i, j]
    return dx


def pad_zeros(x, p):
    n, c, h, w = x.shape
    out = np.zeros((n, c, h + 2 * p, w + 2 * p), x.dtype)
    for sample, channel, i, j in np.ndindex(x.shape):
        out[sample, channel, i + p, j + p] = x[sample, channel, i, j]
    return out


def pad_zeros_backward(dout, p):
    n, c, h, w = dout.shape
    dx = np.zeros((n, c, h - 2 * p, w - 2 * p), dout.dtype)
    for sample, channel, i, j in np.ndindex(dx.shape):
        dx[sample, channel, i, j] = dout[sample, channel, i + p, j + p]
    return dx


def pixel_shuffle(x, s):
    n, maps, h, w = x.shape
    out = np.zeros((n, maps // s**2, s * h, s * w), x.dtype)
    for sample, c, i, j in np.ndindex(out.shape):
        out[sample, c, i, j] = x[sample, c * s**2 + s * (i % s) + j % s, i // s, j // s]
    return out


def pixel_shuffle_backward(dout, s):
    n, c, h, w = dout.shape
    dx = np.zeros((n, c * s**2, h // s, w // s), dout.dtype)
    for sample, k, i, j in np.ndindex(dout.shape):
        dx[sample, k * s**2 + s * (i % s) + j % s, i // s, j // s] = dout[sample, k, i, j]
    return dx


def forward(x, layers, padding, activation="relu"):
    for k, (w, b) in enumerate(layers):
        if padding == "replicate":
            x = pad_replicate(x, w.shape[2] // 2)
        if padding == "zeros":
            x = pad_zeros(x, w.shape[2] // 2)
        x = conv2d(x, w, b)
        if k < len(layers) - 1:
            x = relu(x) if activation == "relu" else tanh(x)
    return x


def repeat(x, n):
    return np.stack([x[:, k // n] for k in range(x.shape[1] * n)], axis=1)


def repeat_backward(dout, n):
    dx = np.zeros_like(dout[:, ::n])
    for k in range(dout.shape[1]):
        dx[:, k // n] += dout[:, k]
    return dx


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a.ravel(), b.ravel(), strict=True))


def prelu(x, a):
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        out[index] = x[index] if x[index] > 0 else a[index[1] % len(a)] * x[index]
    return out


def prelu_backward(dout, x, a):
    dx, da = np.zeros_like(x), np.zeros_like(a)
    for index in np.ndindex(x.shape):
        k = index[1] % len(a)
        dx[index] = dout[index] * (1 if x[index] > 0 else a[k])
        da[k] += 0 if x[index] > 0 else dout[index] * x[index]
    return dx, da


def moments(x):
    mean, variance = [], []
    for c in range(x.shape[1]):
        values = [float(v) for v in x[:, c].ravel()]
        mean.append(sum(values) / len(values))
        variance.append(sum((v - mean[-1]) ** 2 for v in values) / len(values))
    return np.array(mean, x.dtype), np.array(variance, x.dtype)


def moments_backward(dmean, dvariance, x, mean):
    dx, m = np.zeros_like(x), x[:, 0].size
    for index in np.ndindex(x.shape):
        c = index[1]
        dx[index] = dmean[c] / m + dvariance[c] * 2 * (x[index] - mean[c]) / m
    return dx


def batch_norm(x, gamma, beta, mean, variance):
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        c = index[1]
        out[index] = gamma[c] * (x[index] - mean[c]) / math.sqrt(variance[c] + 1e-5) + beta[c]
    return out


def batch_norm_backward(dout, x, gamma, mean, variance):
    dx, numbers = np.zeros_like(x), [np.zeros_like(gamma) for _ in range(4)]
    dgamma, dbeta, dmean, dvariance = numbers
    for index in np.ndindex(x.shape):
        c, d = index[1], dout[index]
        deviation = math.sqrt(variance[c] + 1e-5)
        dx[index] = d * gamma[c] / deviation
        dgamma[c] += d * (x[index] - mean[c]) / deviation
        dbeta[c] += d
        dmean[c] -= d * gamma[c] / deviation
        dvariance[c] -= d * gamma[c] * (x[index] - mean[c]) / (2 * deviation**3)
    return dx, *numbers


def concatenate(*maps):
    return np.stack([x[:, k] for x in maps for k in range(x.shape[1])], axis=1)


def split(x, *channels):
    maps = [x[:, k] for k in range(x.shape[1])]
    return tuple(np.stack([maps.pop(0) for _ in range(c)], axis=1) for c in channels)


def points(flow, sample, i, j):
    """The four pixels (row, column) that a flow points between, and the weight of each."""
    height, width = flow.shape[2:]
    y = min(max(i + float(flow[sample, 1, i, j]), 0), height - 1)
    x = min(max(j + float(flow[sample, 0, i, j]), 0), width - 1)
    row, column = math.floor(y), math.floor(x)
    b, a = y - row, x - column
    below, right = min(row + 1, height - 1), min(column + 1, width - 1)
    return [((row, column), (1 - b) * (1 - a)), ((row, right), (1 - b) * a),
            ((below, column), b * (1 - a)), ((below, right), b * a)]  # fmt: skip


def warp(x, flow):
    out = np.zeros_like(x)
    for n, c, i, j in np.ndindex(x.shape):
        out[n, c, i, j] = sum(weight * x[n, c, *at] for at, weight in points(flow, n, i, j))
    return out


def warp_backward(dout, x, flow):
    dx, dflow, (height, width) = np.zeros_like(x), np.zeros_like(flow), x.shape[2:]
    for n, c, i, j in np.ndindex(x.shape):
        here = points(flow, n, i, j)
        d, (one, two, three, four) = dout[n, c, i, j], (x[n, c, *at] for at, _ in here)
        for at, weight in here:
            dx[n, c, *at] += d * weight
        right, below = here[1][1] + here[3][1], here[2][1] + here[3][1]  # parts of the way
        if 0 < j + flow[n, 0, i, j] < width - 1:
            dflow[n, 0, i, j] += d * ((1 - below) * (two - one) + below * (four - three))
        if 0 < i + flow[n, 1, i, j] < height - 1:
            dflow[n, 1, i, j] += d * ((1 - right) * (three - one) + right * (four - two))
    return dx, dflow


def neighbours(flow, i, j):
    """Of a pixel: those to which there are differences."""
    return [
        at for at in ((i, j + 1), (i + 1, j)) if at[0] < flow.shape[2] and at[1] < flow.shape[3]
    ]


def root(flow, sample, i, j):
    total = 0.01
    for k, at in itertools.product(range(2), neighbours(flow, i, j)):
        total += float(flow[sample, k, *at] - flow[sample, k, i, j]) ** 2
    return math.sqrt(total)


def keys(t):
    """The cubic of Keys (1981) with a = -0.5."""
    t = abs(t)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0


def slope_of_keys(t):
    size, sign = abs(t), math.copysign(1, t)
    if size < 1:
        return sign * (4.5 * size**2 - 5 * size)
    return sign * (-1.5 * size**2 + 5 * size - 4) if size < 2 else 0


def sixteen(flow, sample, i, j):
    """The pixels around where a flow points: (row, column), weight, slopes along y and x."""
    height, width = flow.shape[2:]
    y = min(max(i + float(flow[sample, 1, i, j]), 0), height - 1)
    x = min(max(j + float(flow[sample, 0, i, j]), 0), width - 1)
    for row in range(math.floor(y) - 1, math.floor(y) + 3):
        for column in range(math.floor(x) - 1, math.floor(x) + 3):
            at = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
            b, a = y - row, x - column
            yield at, keys(b) * keys(a), slope_of_keys(b) * keys(a), keys(b) * slope_of_keys(a)


def warp_cubic(x, flow):
    out = np.zeros_like(x)
    for n, c, i, j in np.ndindex(x.shape):
        out[n, c, i, j] = sum(w * x[n, c, *at] for at, w, _, _ in sixteen(flow, n, i, j))
    return out


def warp_cubic_backward(dout, x, flow):
    dx, dflow, (height, width) = np.zeros_like(x), np.zeros_like(flow), x.shape[2:]
    for n, c, i, j in np.ndindex(x.shape):
        d = dout[n, c, i, j]
        for at, weight, down, right in sixteen(flow, n, i, j):
            dx[n, c, *at] += d * weight
            if 0 < j + flow[n, 0, i, j] < width - 1:
                dflow[n, 0, i, j] += d * right * x[n, c, *at]
            if 0 < i + flow[n, 1, i, j] < height - 1:
                dflow[n, 1, i, j] += d * down * x[n, c, *at]
    return dx, dflow


def phases(x, flow):
    n, c, height, width = x.shape
    out = np.zeros((n, 4 * c, height, width), x.dtype)
    for n, k, i, j in np.ndindex(out.shape):
        f = (math.cos, math.sin)[k // c % 2]
        out[n, k, i, j] = x[n, k % c, i, j] * f(2 * math.pi * float(flow[n, k // c // 2, i, j]))
    return out


def phases_backward(dout, x, flow):
    dx, dflow, c = np.zeros_like(x), np.zeros_like(flow), x.shape[1]
    for n, k, i, j in np.ndindex(dout.shape):
        angle = 2 * math.pi * float(flow[n, k // c // 2, i, j])
        cosine, sine = math.cos(angle), math.sin(angle)
        value, slope = ((cosine, -sine), (sine, cosine))[k // c % 2]
        dx[n, k % c, i, j] += dout[n, k, i, j] * value
        dflow[n, k // c // 2, i, j] += dout[n, k, i, j] * x[n, k % c, i, j] * slope * 2 * math.pi
    return dx, dflow


def smoothness(flow):
    places = list(np.ndindex(len(flow), *flow.shape[2:]))
    return sum(root(flow, *place) for place in places) / len(places)


def smoothness_backward(flow):
    dflow, count = np.zeros_like(flow), flow[:, 0].size
    for n, k, i, j in np.ndindex(flow.shape):
        for at in neighbours(flow, i, j):
            d = (flow[n, k, *at] - flow[n, k, i, j]) / root(flow, n, i, j) / count
            dflow[n, k, *at] += d
            dflow[n, k, i, j] -= d
    return dflow


def leaky_relu(x, slope):
    return prelu(x, np.array([slope], x.dtype))


def leaky_relu_backward(dout, x, slope):
    return prelu_backward(dout, x, np.array([slope], x.dtype))[0]


def sigmoid(x):
    return np.array([1 / (1 + math.exp(-z)) for z in x.ravel()], x.dtype).reshape(x.shape)


def sigmoid_cross_entropy(logits, labels):
    total = 0.0
    for z, t in zip(logits.ravel(), labels.ravel(), strict=True):
        p = 1 / (1 + math.exp(-z))
        total -= t * math.log(p) + (1 - t) * math.log(1 - p)
    return total / logits.size


def sigmoid_cross_entropy_backward(logits, labels):
    return ((sigmoid(logits) - labels) / logits.size).astype(logits.dtype)


def dense(x, w, b):
    out = np.zeros((len(x), len(w), 1, 1), x.dtype)
    for sample, k in np.ndindex(out.shape[:2]):
        out[sample, k] = b[k]
        for index in np.ndindex(x.shape[1:]):
            out[sample, k] += w[k, *index] * x[sample, *index]
    return out


def dense_backward(dout, x, w):
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w), w.dtype)
    for sample, k in np.ndindex(dout.shape[:2]):
        d = dout[sample, k, 0, 0]
        db[k] += d
        for index in np.ndindex(x.shape[1:]):
            dx[sample, *index] += d * w[k, *index]
            dw[k, *index] += d * x[sample, *index]
    return dx, dw, db


def largest(x, sample, c, i, j):
    """Where it is, of four pixels; the first, where several are."""
    places = [(2 * i + a, 2 * j + b) for a in (0, 1) for b in (0, 1)]
    return max(places, key=lambda place: x[sample, c, *place])


def max_pool(x):
    n, c, h, w = x.shape
    out = np.zeros((n, c, h // 2, w // 2), x.dtype)
    for sample, k, i, j in np.ndindex(out.shape):
        out[sample, k, i, j] = x[sample, k, *largest(x, sample, k, i, j)]
    return out


def max_pool_backward(dout, x):
    dx = np.zeros_like(x)
    for sample, k, i, j in np.ndindex(dout.shape):
        dx[sample, k, *largest(x, sample, k, i, j)] = dout[sample, k, i, j]
    return dx
