"""VESPCN's motion estimation: the flow between two frames, first coarse, then fine.

Section 2.3 of the paper, see `vespcn`. Axes: N samples, H x W pixels, s scale. A flow is (N, 2, H,
W), in pixels, see `reference.motion`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .parameters import Parameters
from .residual import forget

__all__ = ["GRID", "LAYERS", "estimate", "estimate_backward", "motion", "motion_backward", "shapes"]

GRID = 4  # side of the square that is one pixel of the coarse estimate
FARTHEST = {"coarse": 8.0, "fine": 2.0}  # the largest flow, in pixels
LAYERS = 5  # convolutions of an estimate
_FILTERS = {"coarse": (5, 3, 5, 3, 3), "fine": (5, 3, 3, 3, 3)}  # their sizes; 5 has stride 2
_INPUTS = {"coarse": 2, "fine": 5}


def motion(
    reference: np.ndarray,
    frame: np.ndarray,
    p: Parameters,
    ops: Any,
    kept: list | None = None,
    *,
    cubic: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the flow from the reference to a frame, coarse then fine, and warp the frame by it.

    coarse = estimate(reference, frame); fine = estimate(reference, frame, coarse, frame warped by
    coarse); flow = coarse + fine.

    Parameters
    ----------
    reference, frame : arrays (N, 1, H, W), not entered
    p, ops : as passed to `vespcn.forward`
    kept : list, optional
        Filled with what `motion_backward` needs.
    cubic : bool
        Whether the frame is finally warped by a cubic, or bilinearly, as in the paper.

    Returns
    -------
    flow : array (N, 2, H, W)
    warped : array (N, 1, H, W)
    """
    keep = forget if kept is None else kept.append
    coarse = estimate(ops.concatenate(reference, frame), "coarse", p, ops, keep)
    given = ops.concatenate(reference, frame, coarse, ops.warp(frame, coarse))
    flow = coarse + estimate(given, "fine", p, ops, keep)
    keep((frame, coarse, flow))
    return flow, (ops.warp_cubic if cubic else ops.warp)(frame, flow)


def motion_backward(
    dflow: Any,
    dwarped: np.ndarray,
    kept: list,
    p: Parameters,
    ops: Any,
    g: Parameters,
    *,
    cubic: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return dreference and dframe; add the gradients of the parameters to g.

    Parameters
    ----------
    dflow : array (N, 2, H, W), not entered, or 0
    dwarped : array (N, 1, H, W), not entered
    kept : list that `motion` filled
    p, ops, cubic : as passed to `motion`
    g : dict of arrays
        All neighbours share the weights, so gradients add up.
    """
    maps = reversed(kept)
    frame, coarse, flow = next(maps)
    warp_backward = ops.warp_cubic_backward if cubic else ops.warp_backward
    dframe, more = warp_backward(dwarped, frame, flow)
    dcoarse = dfine = more + dflow
    dgiven = estimate_backward(dfine, "fine", maps, p, ops, g)
    dreference, again, more, dwarped = ops.split(dgiven, 1, 1, 2, 1)
    dframe, dcoarse = dframe + again, dcoarse + more
    again, more = ops.warp_backward(dwarped, frame, coarse)
    dframe, dcoarse = dframe + again, dcoarse + more
    dgiven = estimate_backward(dcoarse, "coarse", maps, p, ops, g)
    more, again = ops.split(dgiven, 1, 1)
    return dreference + more, dframe + again


def estimate(
    x: np.ndarray, part: str, p: Parameters, ops: Any, keep: Callable[[Any], None]
) -> np.ndarray:
    """Estimate a flow: five convolutions, with stride 2 where 5 x 5, a sub-pixel shuffle, and tanh.

    Table 1 of the paper; here the flow is in pixels, at most `FARTHEST[part]`.

    Parameters
    ----------
    x : array (N, 2, H, W) or (N, 5, H, W)
        Two frames; for "fine" also the coarse flow, and the second frame warped by it.
    part : "coarse" or "fine"
    p, ops : as passed to `vespcn.forward`
    keep : function
        Called with all that `estimate_backward` needs.

    Returns
    -------
    flow : array (N, 2, H, W)
    """
    s, x = 1, ops.enter(x)
    for k in range(1, LAYERS):
        w, b = p[f"W_{part}{k}"], p[f"B_{part}{k}"]
        keep(x)
        if w.shape[2] == 5:
            x, s = ops.relu(ops.conv2d_strided(x, w, b, 2)), 2 * s
        else:
            x = ops.conv_relu(x, w, b)
    keep(x)
    x = ops.conv2d_same(x, p[f"W_{part}{LAYERS}"], p[f"B_{part}{LAYERS}"])
    tanh = ops.tanh(ops.leave(ops.pixel_shuffle(x, s)))
    keep(tanh)
    return FARTHEST[part] * tanh


def estimate_backward(
    dflow: np.ndarray, part: str, maps: Iterator[Any], p: Parameters, ops: Any, g: Parameters
) -> np.ndarray:
    """Return dx; add the gradients of the parameters to g.

    Parameters
    ----------
    dflow : array (N, 2, H, W)
    maps : iterator over what `estimate` kept, last to first
    part, p, ops : as passed to `estimate`
    g : dict of arrays
    """
    s = 2 ** sum(p[f"W_{part}{k}"].shape[2] == 5 for k in range(1, LAYERS))
    dx = ops.tanh_backward(FARTHEST[part] * dflow, next(maps))
    dx, out = ops.enter(ops.pixel_shuffle_backward(dx, s)), None
    for k in range(LAYERS, 0, -1):
        names, x = (f"W_{part}{k}", f"B_{part}{k}"), next(maps)
        w = p[names[0]]
        if out is None:
            dx, *found = ops.conv2d_same_backward(dx, x, w)
        elif w.shape[2] == 5:
            dx, *found = ops.conv2d_strided_backward(ops.relu_backward(dx, out), x, w, 2)
        else:
            dx, *found = ops.conv_relu_backward(dx, out, x, w)
        for name, gradient in zip(names, found, strict=True):
            g[name] = g.get(name, 0) + gradient
        out = x
    return ops.leave(dx)


def shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights of both estimates, keyed by their names without W."""
    weights: dict[str, tuple[int, ...]] = {}
    for part, sides in _FILTERS.items():
        last = 2 * 4 ** sides.count(5)
        for k, f in enumerate(sides, 1):
            o = last if k == LAYERS else width
            weights[f"_{part}{k}"] = (o, _INPUTS[part] if k == 1 else width, f, f)
    return weights
