"""The operations of `reference.motion`, compiled; also joining and splitting of maps.

Axes: N samples, C channels, H x W pixels. A flow is (N, 2, H, W): along x, then along y.
"""

import numpy as np
from numba import prange

from .compile import compiled
from .inputs import contiguous
from .maps import Maps, enter, leave, through_arrays
from .memory import empty

__all__ = [
    "concatenate",
    "phases",
    "phases_backward",
    "smoothness",
    "smoothness_backward",
    "split",
    "warp",
    "warp_backward",
    "warp_cubic",
    "warp_cubic_backward",
]

EPSILON = 0.01  # see `reference.motion`


@compiled(inner=True)
def _place(at, last):
    """Return the indices before and after a position on an axis, and its fraction between them."""
    if at != at:  # NaN is no index: it stays in the last result
        return 0, min(1, last), at
    at = min(max(at, 0.0), float(last))
    before = int(at)
    return before, min(before + 1, last), at - before


@compiled(parallel=True)
def _warp(x, flow, out):
    n, c, height, width = x.shape
    for task in prange(n * height):
        sample, row = task // height, task % height
        for column in range(width):
            i, below, b = _place(row + flow[sample, 1, row, column], height - 1)
            j, right, a = _place(column + flow[sample, 0, row, column], width - 1)
            for k in range(c):
                plane = x[sample, k]
                upper = (1 - a) * plane[i, j] + a * plane[i, right]
                lower = (1 - a) * plane[below, j] + a * plane[below, right]
                out[sample, k, row, column] = (1 - b) * upper + b * lower


@compiled(parallel=True)
def _to_picture(dout, flow, dx):
    """Add the gradient of x to dx (zeros). A plane is one thread's: pixels may share a target."""
    n, c, height, width = dout.shape
    for task in prange(n * c):
        sample, k = task // c, task % c
        plane = dx[sample, k]
        for row in range(height):
            for column in range(width):
                i, below, b = _place(row + flow[sample, 1, row, column], height - 1)
                j, right, a = _place(column + flow[sample, 0, row, column], width - 1)
                d = dout[sample, k, row, column]
                plane[i, j] += (1 - b) * (1 - a) * d
                plane[i, right] += (1 - b) * a * d
                plane[below, j] += b * (1 - a) * d
                plane[below, right] += b * a * d


@compiled(parallel=True)
def _to_flow(dout, x, flow, dflow):
    n, c, height, width = x.shape
    for task in prange(n * height):
        sample, row = task // height, task % height
        for column in range(width):
            y, z = row + flow[sample, 1, row, column], column + flow[sample, 0, row, column]
            i, below, b = _place(y, height - 1)
            j, right, a = _place(z, width - 1)
            along_x, along_y = 0.0, 0.0
            for k in range(c):
                plane, d = x[sample, k], dout[sample, k, row, column]
                top, bottom = plane[i, right] - plane[i, j], plane[below, right] - plane[below, j]
                before = plane[below, j] - plane[i, j]
                behind = plane[below, right] - plane[i, right]
                along_x += d * ((1 - b) * top + b * bottom)
                along_y += d * ((1 - a) * before + a * behind)
            # Zero on the edge and outside, where positions are clipped; NaN stays NaN.
            dflow[sample, 0, row, column] = along_x * (1.0 if 0 < z < width - 1 else 0.0)
            dflow[sample, 1, row, column] = along_y * (1.0 if 0 < y < height - 1 else 0.0)


@compiled(inner=True)
def _cubic(t):
    """Weights of four pixels, two before and two behind; see `reference.warp_cubic`."""
    return (
        ((2 - t) * t - 1) * t / 2, (3 * t - 5) * t * t / 2 + 1, ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    )  # fmt: skip


@compiled(inner=True)
def _four(at, last):
    """The indices of four pixels, two up to `at` and two behind it; beyond the edge, its own."""
    return max(at - 1, 0), at, min(at + 1, last), min(at + 2, last)


@compiled(inner=True)
def _slopes(t):
    """Derivatives of the weights of `_cubic` with respect to t."""
    return (
        (4 - 3 * t) * t / 2 - 0.5, (4.5 * t - 5) * t, (4 - 4.5 * t) * t + 0.5, (1.5 * t - 1) * t
    )  # fmt: skip


@compiled(parallel=True)
def _warp_cubic(x, flow, out):
    n, c, height, width = x.shape
    for task in prange(n * height):
        sample, row = task // height, task % height
        for column in range(width):
            i, _, b = _place(row + flow[sample, 1, row, column], height - 1)
            j, _, a = _place(column + flow[sample, 0, row, column], width - 1)
            down, right, columns = _cubic(b), _cubic(a), _four(j, width - 1)
            rows = _four(i, height - 1)
            for k in range(c):
                total = 0.0
                for weight, y in zip(down, rows):
                    line, across = x[sample, k, y], 0.0
                    for v in range(4):
                        across += right[v] * line[columns[v]]
                    total += weight * across
                out[sample, k, row, column] = total


@compiled(parallel=True)
def _to_picture_cubic(dout, flow, dx):
    """Add the gradient of x to dx (zeros); see `_to_picture`."""
    n, c, height, width = dout.shape
    for task in prange(n * c):
        sample, k = task // c, task % c
        for row in range(height):
            for column in range(width):
                i, _, b = _place(row + flow[sample, 1, row, column], height - 1)
                j, _, a = _place(column + flow[sample, 0, row, column], width - 1)
                down, right = _cubic(b), _cubic(a)
                rows, columns = _four(i, height - 1), _four(j, width - 1)
                for u in range(4):
                    d = down[u] * dout[sample, k, row, column]
                    for v in range(4):
                        dx[sample, k, rows[u], columns[v]] += right[v] * d


@compiled(parallel=True)
def _to_flow_cubic(dout, x, flow, dflow):
    n, c, height, width = x.shape
    for task in prange(n * height):
        sample, row = task // height, task % height
        for column in range(width):
            y, z = row + flow[sample, 1, row, column], column + flow[sample, 0, row, column]
            i, _, b = _place(y, height - 1)
            j, _, a = _place(z, width - 1)
            down, right, steep, sloped = _cubic(b), _cubic(a), _slopes(b), _slopes(a)
            rows, columns = _four(i, height - 1), _four(j, width - 1)
            along_x, along_y = 0.0, 0.0
            for k in range(c):
                for u in range(4):
                    for v in range(4):
                        met = dout[sample, k, row, column] * x[sample, k, rows[u], columns[v]]
                        along_x += down[u] * sloped[v] * met
                        along_y += steep[u] * right[v] * met
            # As in `_to_flow`.
            dflow[sample, 0, row, column] = along_x * (1.0 if 0 < z < width - 1 else 0.0)
            dflow[sample, 1, row, column] = along_y * (1.0 if 0 < y < height - 1 else 0.0)


@compiled(parallel=True)
def _roots(flow, roots):
    """Compute sqrt(epsilon + squared differences) of each pixel, (N, H, W)."""
    n, height, width = roots.shape
    for task in prange(n * height):
        sample, i = task // height, task % height
        for j in range(width):
            total = EPSILON
            for k in range(2):
                here = flow[sample, k, i, j]
                if j < width - 1:
                    total += (flow[sample, k, i, j + 1] - here) ** 2
                if i < height - 1:
                    total += (flow[sample, k, i + 1, j] - here) ** 2
            roots[sample, i, j] = np.sqrt(total)


@compiled(parallel=True)
def _smoothness_backward(flow, roots, dflow):
    """Compute dflow from the root of each pixel and those of its left and upper neighbours."""
    n, height, width = roots.shape
    for task in prange(n * height):
        sample, i = task // height, task % height
        for j in range(width):
            for k in range(2):
                here, d = flow[sample, k, i, j], 0.0
                if j < width - 1:
                    d += (here - flow[sample, k, i, j + 1]) / roots[sample, i, j]
                if i < height - 1:
                    d += (here - flow[sample, k, i + 1, j]) / roots[sample, i, j]
                if j > 0:
                    d += (here - flow[sample, k, i, j - 1]) / roots[sample, i, j - 1]
                if i > 0:
                    d += (here - flow[sample, k, i - 1, j]) / roots[sample, i - 1, j]
                dflow[sample, k, i, j] = d / roots.size


def _batch(name, x):
    """Raise a ValueError unless x is a batch of maps."""
    if len(x.shape) != 4 or 0 in x.shape:
        raise ValueError(f"{name} has the shape {x.shape}, wanted (N, C, H, W) with pixels in it")


def _checked(x, flow, dout=None):
    """Check the shapes; return all as arrays of one dtype in C order."""
    _batch("x", x)
    n, _, height, width = x.shape
    for name, a, wanted in ("flow", flow, (n, 2, height, width)), ("dout", dout, x.shape):
        if a is not None and a.shape != wanted:
            raise ValueError(f"{name} has the shape {a.shape}, wanted {wanted}")
    return contiguous(*(leave(a) for a in (x, flow, dout) if a is not None))


def warp(x, flow):
    """See `reference.warp`."""
    return _warped(_warp, x, flow)


def warp_backward(dout, x, flow):
    """See `reference.warp_backward`."""
    return _back(_to_picture, _to_flow, dout, x, flow)


def warp_cubic(x, flow):
    """See `reference.warp_cubic`."""
    return _warped(_warp_cubic, x, flow)


def warp_cubic_backward(dout, x, flow):
    """See `reference.warp_cubic_backward`."""
    return _back(_to_picture_cubic, _to_flow_cubic, dout, x, flow)


def _warped(kernel, x, flow):
    given, flow = _checked(x, flow)
    out = empty(given.shape, given.dtype)
    kernel(given, flow, out)
    return _as(x, out)


def _back(to_picture, to_flow, dout, x, flow):
    given, points, d = _checked(x, flow, dout)
    dx, dflow = np.zeros_like(given), np.empty_like(points)
    to_picture(d, points, dx)
    to_flow(d, given, points, dflow)
    return _as(x, dx), _as(flow, dflow)


def phases(x, flow):
    """See `reference.phases`."""
    given, points = _checked(x, flow)
    n, c, *sides = given.shape
    out = empty((n, 4, c, *sides), given.dtype)
    for k, factor in enumerate(_factors(points)):
        np.multiply(given, factor, out=out[:, k])
    return _as(x, out.reshape(n, 4 * c, *sides))


def phases_backward(dout, x, flow):
    """See `reference.phases_backward`."""
    given, points = _checked(x, flow)
    n, c, *sides = given.shape
    if dout.shape != (n, 4 * c, *sides):
        raise ValueError(f"dout has the shape {dout.shape}, wanted {(n, 4 * c, *sides)}")
    parts, factors = np.split(leave(dout), 4, axis=1), _factors(points)
    dx = sum(part * factor for part, factor in zip(parts, factors, strict=True))
    met = [(part * given).sum(axis=1, keepdims=True) for part in parts]
    along_x = met[1] * factors[0] - met[0] * factors[1]
    along_y = met[3] * factors[2] - met[2] * factors[3]
    dflow = points.dtype.type(2 * np.pi) * np.concatenate([along_x, along_y], axis=1)
    return _as(x, dx), _as(flow, dflow)


def _factors(flow):
    """Cosine and sine of 2 pi times the flow, along x, then along y, each (N, 1, H, W)."""
    angles = np.multiply(flow, flow.dtype.type(2 * np.pi), out=empty(flow.shape, flow.dtype))
    parts = angles[:, :1], angles[:, 1:]
    return [f(x, out=empty(x.shape, x.dtype)) for x in parts for f in (np.cos, np.sin)]


def _as(x, out):
    """Return `out` in the form of x: `Maps` or an array."""
    return enter(out) if isinstance(x, Maps) else out


def _of_flow(flow):
    """Check a flow; return it for compiled code, and its roots."""
    _batch("flow", flow)
    if flow.shape[1] != 2:
        raise ValueError(f"flow has the shape {flow.shape}, wanted (N, 2, H, W)")
    (flow,) = contiguous(flow)
    roots = np.empty((len(flow), *flow.shape[2:]))
    _roots(flow, roots)
    return flow, roots


def smoothness(flow):
    """See `reference.smoothness`."""
    return float(_of_flow(leave(flow))[1].mean())


@through_arrays
def smoothness_backward(flow):
    """See `reference.smoothness_backward`."""
    flow, roots = _of_flow(flow)
    dflow = np.empty_like(flow)
    _smoothness_backward(flow, roots, dflow)
    return dflow


@through_arrays
def concatenate(*maps):
    """See `reference.concatenate`."""
    for x in maps:
        _batch("one of the maps", x)
        if (len(x), *x.shape[2:]) != (len(maps[0]), *maps[0].shape[2:]):
            raise ValueError(f"maps of {maps[0].shape} and {x.shape}, wanted the same N, H and W")
    shape = len(maps[0]), sum(x.shape[1] for x in maps), *maps[0].shape[2:]
    return np.concatenate(maps, axis=1, out=empty(shape, np.result_type(*maps)))


def split(x, *channels):
    """See `reference.split`."""
    _batch("x", x)
    if min(channels, default=0) < 1 or sum(channels) != x.shape[1]:
        raise ValueError(f"x has the shape {x.shape}, wanted {channels} channels, together all")
    parts = np.split(leave(x), np.cumsum(channels)[:-1], axis=1)
    return tuple(_as(x, np.ascontiguousarray(part)) for part in parts)
