"""The oracle of every hand-written backward: an ops module that differentiates by itself.

`Tape` is such a module for a network's `forward`. Each operation gives a `Value`, with what it came
from and, for each of these, the product of a gradient with the operation's derivative; `gradients`
goes back through them. Operations are sums over sliding windows and products with matrices, and
nothing here is the package's.

Axes: N samples, c channels in, o channels out, i x j pixels, u x v places of a kernel, s scale.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Value:
    """An array, and what it came from: (value, function from its gradient to that value's)."""

    def __init__(self, array, *parents):
        self.array, self.parents = array, parents
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self):
        return len(self.array)

    def __add__(self, other):
        if not isinstance(other, Value):  # a constant
            return Value(self.array + other, (self, lambda d: d))
        return Value(self.array + other.array, (self, lambda d: d), (other, lambda d: d))

    def __iter__(self):
        for k, number in enumerate(self.array):
            one = np.zeros_like(self.array)
            one[k] = 1
            yield Value(np.array(number), (self, lambda d, one=one: one * d))

    def __radd__(self, other):
        return self + other

    def __mul__(self, t):
        if isinstance(t, Value):  # a number, of its own shape (), or an array
            return Value(self.array * t.array, (self, lambda d: np.sum(d * t.array)),
                         (t, lambda d: d * self.array))  # fmt: skip
        return Value(self.array * t, (self, lambda d: d * t))

    def __sub__(self, constant):
        return self + -constant

    __rmul__ = __mul__


def gradients(out, dout, values):
    """The gradients of these values, in the order in which they are given."""
    order, found = [], {id(out): dout}

    def visit(value):
        if id(value) not in {id(v) for v in order}:
            for parent, _ in value.parents:
                visit(parent)
            order.append(value)

    visit(out)
    for value in reversed(order):
        for parent, back in value.parents:
            found[id(parent)] = found.get(id(parent), 0) + back(found[id(value)])
    return [found[id(value)] for value in values]


def windows(x, f):
    return sliding_window_view(x, (f, f), (2, 3))  # n c i j u v


class Tape:
    """The ops module."""

    def pad(self, x, p, padding):
        rows, columns = (  # (n + 2p) x n: what each row, and column, is made of
            np.eye(n + 2 * p, n, -p) if padding == "zeros"
            else np.eye(n)[np.clip(np.arange(-p, n + p), 0, n - 1)]
            for n in x.shape[2:]
        )  # fmt: skip
        out = np.einsum("Ii,ncij,Jj->ncIJ", rows, x.array, columns)
        return Value(out, (x, lambda d: np.einsum("Ii,ncIJ,Jj->ncij", rows, d, columns)))

    def conv2d(self, x, w, b, padding="valid"):
        f = w.shape[2]
        x = x if padding == "valid" else self.pad(x, f // 2, padding)
        seen = windows(x.array, f)
        out = np.einsum("ncijuv,ocuv->noij", seen, w.array) + b.array.reshape(-1, 1, 1)

        def to_x(d):
            wide = np.pad(d, ((0, 0), (0, 0), (f - 1, f - 1), (f - 1, f - 1)))
            return np.einsum("noijuv,ocuv->ncij", windows(wide, f), w.array[:, :, ::-1, ::-1])

        return Value(out, (x, to_x), (w, lambda d: np.einsum("noij,ncijuv->ocuv", d, seen)),
                     (b, lambda d: np.einsum("noij->o", d)))  # fmt: skip

    def enter(self, x):
        return x

    leave = enter

    def conv2d_same(self, x, w, b, summand=None):
        out = self.conv2d(x, w, b, "zeros")
        return out if summand is None else out + summand

    def conv2d_strided(self, x, w, b, s):
        f, (height, width) = w.shape[2], x.shape[2:]
        wide = self.pad(x, f // 2, "zeros")
        seen = windows(wide.array, f)[:, :, ::s, ::s]
        out = np.einsum("ncijuv,ocuv->noij", seen, w.array) + b.array.reshape(-1, 1, 1)

        def to_wide(d):
            dx = np.zeros(wide.shape)
            for u, v in np.ndindex(f, f):
                dx[:, :, u : u + height : s, v : v + width : s] += np.einsum(
                    "noij,oc->ncij", d, w.array[:, :, u, v])  # fmt: skip
            return dx

        return Value(out, (wide, to_wide), (w, lambda d: np.einsum("noij,ncijuv->ocuv", d, seen)),
                     (b, lambda d: np.einsum("noij->o", d)))  # fmt: skip

    def conv_relu(self, x, w, b):
        return self.relu(self.conv2d_same(x, w, b))

    def relu(self, x):
        return Value((x.array + abs(x.array)) / 2, (x, lambda d: d * np.heaviside(x.array, 0)))

    def tanh(self, x):
        e = np.exp(2 * x.array)
        return Value((e - 1) / (e + 1), (x, lambda d: d * 4 * e / (e + 1) ** 2))

    def repeat(self, x, n):
        which = np.arange(x.shape[1] * n) // n
        sums = np.eye(x.shape[1])[:, which]
        return Value(x.array[:, which], (x, lambda d: np.einsum("ck,nkij->ncij", sums, d)))

    def pixel_shuffle(self, x, s):
        n, maps, h, w = x.shape
        places = np.zeros((maps // s**2, s * h, s * w), int)  # where in a sample each pixel was
        numbers = np.arange(maps * h * w).reshape(-1, s, s, h, w)
        for a, b in np.ndindex(s, s):
            places[:, a::s, b::s] = numbers[:, a, b]

        def back(d):
            dx = np.zeros((n, maps * h * w))
            dx[:, places] = d
            return dx.reshape(x.shape)

        return Value(x.array.reshape(n, -1)[:, places], (x, back))

    def prelu(self, x, a):
        below = np.minimum(x.array, 0)
        shares = np.zeros((len(a.array), x.shape[1]))  # which slope is whose
        shares[np.arange(x.shape[1]) % len(a.array), np.arange(x.shape[1])] = 1
        slopes = np.einsum("kc,k->c", shares, a.array).reshape(-1, 1, 1)
        return Value(np.maximum(x.array, 0) + slopes * below,
                     (x, lambda d: d * np.where(x.array > 0, 1, slopes)),
                     (a, lambda d: np.einsum("kc,ncij->k", shares, d * below)))  # fmt: skip

    def moments(self, x):
        m = x.array[:, 0].size
        mean = np.einsum("ncij->c", x.array) / m
        each = np.eye(x.shape[1])
        to_x = Value(mean, (x, lambda d: np.einsum("kc,k,nkij->ncij", each, d,
                                                   np.ones(x.shape)) / m))  # fmt: skip
        # The mean of squares less the square of the mean, each by its own derivative.
        squares = np.einsum("ncij,ncij->c", x.array, x.array) / m
        variance = Value(squares - mean**2,
                         (x, lambda d: np.einsum("ncij,c->ncij", 2 * x.array / m, d)),
                         (to_x, lambda d: -2 * mean * d))  # fmt: skip
        return to_x, variance

    def batch_norm(self, x, gamma, beta, mean, variance):
        g, b, m, v = (a.array.reshape(-1, 1, 1) for a in (gamma, beta, mean, variance))
        root = (v + 1e-5) ** -0.5

        def total(a):
            return np.einsum("ncij->c", a)

        return Value(g * root * (x.array - m) + b, (x, lambda d: d * g * root),
                     (gamma, lambda d: total(d * root * (x.array - m))), (beta, total),
                     (mean, lambda d: total(-d * g * root)),
                     (variance, lambda d: total(-d * g * (x.array - m) * root**3 / 2)),
                     )  # fmt: skip

    def concatenate(self, *maps):
        sizes = np.cumsum([0, *(x.shape[1] for x in maps)])
        return Value(np.concatenate([x.array for x in maps], axis=1),
                     *((x, lambda d, a=a, b=b: d[:, a:b])
                       for x, a, b in zip(maps, sizes, sizes[1:], strict=False)))  # fmt: skip

    def split(self, x, *channels):
        ends = np.cumsum([0, *channels])

        def back(d, a, b):
            return np.pad(d, ((0, 0), (a, x.shape[1] - b), (0, 0), (0, 0)))

        return tuple(Value(x.array[:, a:b], (x, lambda d, a=a, b=b: back(d, a, b)))
                     for a, b in zip(ends, ends[1:], strict=False))  # fmt: skip

    def warp(self, x, flow):
        """As a sum over all pixels of x, weighted by hats around where the flow points."""
        height, width = x.shape[2:]
        y = np.arange(height)[:, None] + flow.array[:, 1]
        z = np.arange(width) + flow.array[:, 0]
        inside_y, inside_z = (y > 0) & (y < height - 1), (z > 0) & (z < width - 1)
        away_y = np.clip(y, 0, height - 1)[..., None] - np.arange(height)  # n i j u
        away_z = np.clip(z, 0, width - 1)[..., None] - np.arange(width)
        rows, columns = np.maximum(0, 1 - abs(away_y)), np.maximum(0, 1 - abs(away_z))
        slopes = [-np.sign(away) * (abs(away) < 1) * inside[..., None]
                  for away, inside in ((away_y, inside_y), (away_z, inside_z))]  # fmt: skip

        def to_flow(d):
            along_y = np.einsum("ncij,ncuv,niju,nijv->nij", d, x.array, slopes[0], columns)
            along_z = np.einsum("ncij,ncuv,niju,nijv->nij", d, x.array, rows, slopes[1])
            return np.stack([along_z, along_y], axis=1)

        return Value(np.einsum("ncuv,niju,nijv->ncij", x.array, rows, columns),
                     (x, lambda d: np.einsum("ncij,niju,nijv->ncuv", d, rows, columns)),
                     (flow, to_flow))  # fmt: skip

    def warp_cubic(self, x, flow):
        """As a sum over all pixels of x and two beyond each edge, which are those of the edge."""
        found = []
        for along, side in ((1, x.shape[2]), (0, x.shape[3])):
            at = flow.array[:, along] + (np.arange(side)[:, None] if along else np.arange(side))
            away = np.clip(at, 0, side - 1)[..., None] - np.arange(-2, side + 2)  # n i j u
            t, sign = abs(away), np.sign(away)
            near, far = t < 1, (t >= 1) & (t < 2)
            cubic = near * (1.5 * t**3 - 2.5 * t**2 + 1)
            cubic += far * (-0.5 * t**3 + 2.5 * t**2 - 4 * t + 2)
            slope = near * (4.5 * t**2 - 5 * t) + far * (-1.5 * t**2 + 5 * t - 4)
            slope *= sign * ((at > 0) & (at < side - 1))[..., None]
            onto = np.arange(side) == np.clip(np.arange(-2, side + 2), 0, side - 1)[:, None]
            found.append((cubic @ onto, slope @ onto))
        (rows, steep), (columns, sloped) = found

        def to_flow(d):
            way = "ncij,ncuv,niju,nijv->nij"
            along_x = np.einsum(way, d, x.array, rows, sloped)
            return np.stack([along_x, np.einsum(way, d, x.array, steep, columns)], axis=1)

        return Value(np.einsum("ncuv,niju,nijv->ncij", x.array, rows, columns),
                     (x, lambda d: np.einsum("ncij,niju,nijv->ncuv", d, rows, columns)),
                     (flow, to_flow))  # fmt: skip

    def phases(self, x, flow):
        """In complex numbers: real and imaginary parts of x exp(2 pi i flow), along x, then y."""
        (n, c, h, w), turn = x.shape, 2j * np.pi
        waves = np.exp(turn * flow.array)  # n 2 i j
        held = np.einsum("ncij,nkij->nkcij", x.array, waves)

        def parts(z):
            return np.stack([z.real, z.imag], axis=2).reshape(n, 4 * c, h, w)

        def joined(d):
            d = d.reshape(n, 2, 2, c, h, w)
            return d[:, :, 0] - 1j * d[:, :, 1]

        return Value(parts(held),
                     (x, lambda d: np.einsum("nkcij,nkij->ncij", joined(d), waves).real),
                     (flow, lambda d: (turn * joined(d) * held).real.sum(axis=2)))  # fmt: skip

    def leaky_relu(self, x, slope):
        return self.prelu(x, Value(np.array([slope])))

    def dense(self, x, w, b):
        out = np.einsum("ncij,ocij->no", x.array, w.array) + b.array
        return Value(out[:, :, None, None],
                     (x, lambda d: np.einsum("noij,ocuv->ncuv", d, w.array)),
                     (w, lambda d: np.einsum("noij,ncuv->ocuv", d, x.array)),
                     (b, lambda d: np.einsum("noij->o", d)))  # fmt: skip

    def max_pool(self, x):
        n, c, h, w = x.shape
        places = np.arange(x.array.size).reshape(x.shape)[:, :, : h // 2 * 2, : w // 2 * 2]
        four = np.stack([places[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)])
        which = np.argmax(x.array.ravel()[four], axis=0)
        place = np.take_along_axis(four, which[None], axis=0)[0]

        def back(d):
            dx = np.zeros(x.array.size)
            dx[place] = d
            return dx.reshape(x.shape)

        return Value(x.array.ravel()[place], (x, back))
