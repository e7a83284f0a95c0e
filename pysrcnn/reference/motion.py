"""Motion between frames: warping a picture by a flow, and the smoothness of a flow.

Caballero, Ledig, Aitken, Acosta, Totz, Wang, Shi, "Real-Time Video Super-Resolution with
Spatio-Temporal Networks and Motion Compensation" (VESPCN), CVPR 2017, Section 2.3. The sampling is
that of Jaderberg et al., "Spatial Transformer Networks", NIPS 2015, Eq. 5.

Axes: N samples, C channels, H x W pixels. A flow is (N, 2, H, W), in pixels: channel 0 along x (to
the right), channel 1 along y (down).
"""

import numpy as np

__all__ = [
    "phases",
    "phases_backward",
    "smoothness",
    "smoothness_backward",
    "warp",
    "warp_backward",
    "warp_cubic",
    "warp_cubic_backward",
]

_TURN = np.array(2 * np.pi)
EPSILON = 0.01  # smoothness is quadratic in differences whose squares are smaller, otherwise linear


def warp(x: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Warp a picture by a flow, with bilinear interpolation between pixels.

    out[n, c, i, j] = x[n, c, i + flow[n, 1, i, j], j + flow[n, 0, i, j]]

    A position outside the picture is moved to the nearest point of its edge, as by PyTorch's
    ``grid_sample`` with ``padding_mode="border", align_corners=True``.

    Parameters
    ----------
    x : array (N, C, H, W)
    flow : array (N, 2, H, W)
        In pixels: channel 0 to the right, channel 1 down.

    Returns
    -------
    out : array (N, C, H, W)
    """
    (i, below, b, _), (j, right, a, _) = _places(flow)
    n = np.arange(len(x))[:, None, None]
    x = x.transpose(0, 2, 3, 1)  # so that x[n, i, j] is (N, H, W, C)
    a, b = a[..., None], b[..., None]
    upper = (1 - a) * x[n, i, j] + a * x[n, i, right]
    lower = (1 - a) * x[n, below, j] + a * x[n, below, right]
    return ((1 - b) * upper + b * lower).transpose(0, 3, 1, 2)


def warp_backward(
    dout: np.ndarray, x: np.ndarray, flow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return dx and dflow; each pixel of `dout` goes back to the four it was interpolated from.

    dflow follows from the differences between these four. On the edge and outside it is 0, since
    moving changes nothing there; where the flow points exactly at a pixel, the differences are
    those to the right and downwards. PyTorch does both, too.

    Parameters
    ----------
    dout : array (N, C, H, W)
    x, flow : as passed to `warp`

    Returns
    -------
    dx : array (N, C, H, W)
    dflow : array (N, 2, H, W)
    """
    (i, below, b, within_y), (j, right, a, within_x) = _places(flow)
    n = np.arange(len(x))[:, None, None]
    x, dout = x.transpose(0, 2, 3, 1), dout.transpose(0, 2, 3, 1)
    a, b = a[..., None], b[..., None]
    corners = [
        (i, j, (1 - b) * (1 - a)), (i, right, (1 - b) * a), (below, j, b * (1 - a)),
        (below, right, b * a),
    ]  # fmt: skip
    dx = np.zeros_like(x)
    for row, column, weight in corners:
        np.add.at(dx, (n, row, column), weight * dout)
    top, bottom = x[n, i, right] - x[n, i, j], x[n, below, right] - x[n, below, j]
    before, behind = x[n, below, j] - x[n, i, j], x[n, below, right] - x[n, i, right]
    along_x = (dout * ((1 - b) * top + b * bottom)).sum(axis=3)
    along_y = (dout * ((1 - a) * before + a * behind)).sum(axis=3)
    dflow = np.stack([along_x * within_x, along_y * within_y], axis=1)
    return dx.transpose(0, 3, 1, 2), dflow


def warp_cubic(x: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`warp` with Keys' cubic (a = -0.5) of 4 x 4 pixels instead of bilinear interpolation.

    Bilinear interpolation blurs a picture more, the farther from a pixel the flow points.

    Parameters
    ----------
    x : array (N, C, H, W)
    flow : array (N, 2, H, W)

    Returns
    -------
    out : array (N, C, H, W)
    """
    rows, columns, _ = _taps(x, flow)
    n = np.arange(len(x))[:, None, None]
    x = x.transpose(0, 2, 3, 1)
    out = sum(b * a * x[n, i, j] for i, b, _ in rows for j, a, _ in columns)
    return out.transpose(0, 3, 1, 2)


def warp_cubic_backward(
    dout: np.ndarray, x: np.ndarray, flow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return dx and dflow as for `warp`, with the slopes of the cubic, smooth inside the picture.

    Parameters
    ----------
    dout : array (N, C, H, W)
    x, flow : as passed to `warp_cubic`

    Returns
    -------
    dx : array (N, C, H, W)
    dflow : array (N, 2, H, W)
    """
    rows, columns, within = _taps(x, flow)
    n = np.arange(len(x))[:, None, None]
    x, dout = x.transpose(0, 2, 3, 1), dout.transpose(0, 2, 3, 1)
    dx, along_x, along_y = np.zeros_like(x), 0, 0
    for i, b, db in rows:
        for j, a, da in columns:
            np.add.at(dx, (n, i, j), b * a * dout)
            met = dout * x[n, i, j]
            along_x, along_y = along_x + b * da * met, along_y + db * a * met
    dflow = np.stack([np.sum(along_x, axis=3), np.sum(along_y, axis=3)], axis=1)
    return dx.transpose(0, 3, 1, 2), dflow * within


def _taps(x: np.ndarray, flow: np.ndarray) -> tuple[list, list, np.ndarray]:
    """Index, weight and slope of the four taps of rows, of columns; where moving has an effect."""
    found = []
    (i, _, b, within_y), (j, _, a, within_x) = _places(flow)
    for before, t, last in (i, b, x.shape[2] - 1), (j, a, x.shape[3] - 1):
        t = t[..., None]
        weights = (
            ((2 - t) * t - 1) * t / 2, (3 * t - 5) * t * t / 2 + 1, ((4 - 3 * t) * t + 1) * t / 2,
            (t - 1) * t * t / 2,
        )  # fmt: skip
        slopes = (
            (4 - 3 * t) * t / 2 - 0.5, (4.5 * t - 5) * t, (4 - 4.5 * t) * t + 0.5, (1.5 * t - 1) * t
        )  # fmt: skip
        places = (np.clip(before + k, 0, last) for k in (-1, 0, 1, 2))
        found.append(list(zip(places, weights, slopes, strict=True)))
    return found[0], found[1], np.stack([within_x, within_y], axis=1)


def phases(x: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """x times the cosine and sine of the flow's sub-pixel phase, along x and along y.

    out = x cos(2 pi u), x sin(2 pi u), x cos(2 pi v), x sin(2 pi v), with flow = (u, v).

    Detail finer than the pixels appears aliased, as coarser structure that depends on where the
    pixels lie. So two pictures of the same scene differ by such detail times factors like these.

    Parameters
    ----------
    x : array (N, C, H, W)
    flow : array (N, 2, H, W)
        In pixels.

    Returns
    -------
    out : array (N, 4 C, H, W)
    """
    return np.concatenate([x * factor for factor in _factors(flow)], axis=1)


def phases_backward(
    dout: np.ndarray, x: np.ndarray, flow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return dx and dflow, with cos' = -sin and sin' = cos, times 2 pi.

    Parameters
    ----------
    dout : array (N, 4 C, H, W)
    x, flow : as passed to `phases`

    Returns
    -------
    dx : array (N, C, H, W)
    dflow : array (N, 2, H, W)
    """
    parts, factors = np.split(dout, 4, axis=1), _factors(flow)
    dx = sum(part * factor for part, factor in zip(parts, factors, strict=True))
    met = [(part * x).sum(axis=1, keepdims=True) for part in parts]
    along_x = met[1] * factors[0] - met[0] * factors[1]
    along_y = met[3] * factors[2] - met[2] * factors[3]
    return dx, _TURN.astype(flow.dtype) * np.concatenate([along_x, along_y], axis=1)


def _factors(flow: np.ndarray) -> list[np.ndarray]:
    """Cosine and sine along x, then along y, each (N, 1, H, W)."""
    angles = _TURN.astype(flow.dtype) * flow
    return [f(angles[:, k : k + 1]) for k in (0, 1) for f in (np.cos, np.sin)]


def _places(flow: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """For rows, then columns: index before, index after, fraction between, whether moving matters.

    Positions are float64: at large indices, float32 would leave few digits for the fraction.
    """
    height, width = flow.shape[2:]
    found: list[tuple[np.ndarray, ...]] = []
    rows = np.arange(height, dtype=np.float64)[:, None] + flow[:, 1]
    columns = np.arange(width, dtype=np.float64) + flow[:, 0]
    for at, last in (rows, height - 1), (columns, width - 1):
        within = (at > 0) & (at < last)
        at = np.clip(at, 0, last)
        before = np.nan_to_num(at).astype(np.intp)  # a NaN stays in the fraction
        part = (at - before).astype(flow.dtype)
        found.append((before, np.minimum(before + 1, last), part, within))
    return found


def smoothness(flow: np.ndarray) -> float:
    """Mean over all pixels of sqrt(epsilon + sum of squared differences), epsilon = 0.01.

    The differences are those of both channels to the pixel on the right and to the one below; at
    the edge they are 0. The approximate Huber loss of Section 2.3 of the paper; it is 0.1 for a
    flow that is the same everywhere.

    Parameters
    ----------
    flow : array (N, 2, H, W)

    Returns
    -------
    loss : float
    """
    return float(np.mean(_roots(flow)[0], dtype=np.float64))


def smoothness_backward(flow: np.ndarray) -> np.ndarray:
    """Return dflow: a difference d adds d / (root N H W) to one pixel and takes it off another.

    Parameters
    ----------
    flow : array (N, 2, H, W)

    Returns
    -------
    dflow : array (N, 2, H, W)
    """
    root, right, below = _roots(flow)
    right, below = (d / root[:, None] / root.size for d in (right, below))
    dflow = -right - below
    dflow[..., 1:] += right[..., :-1]
    dflow[:, :, 1:] += below[:, :, :-1]
    return dflow


def _roots(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The root at each pixel, (N, H, W), and the differences to the right and down, like `flow`."""
    right, below = np.zeros_like(flow), np.zeros_like(flow)
    right[..., :-1], below[:, :, :-1] = np.diff(flow, axis=3), np.diff(flow, axis=2)
    return np.sqrt(EPSILON + (right**2 + below**2).sum(axis=1)), right, below
