"""Mistakes of VESPCN's motion: where frames are sampled, and the phases that fusion is given.

Axes: N samples, C channels, H x W pixels. A flow is (N, 2, H, W), in pixels, along x first.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from .. import reference
from ..networks import VESPCN
from ..networks.motion import FARTHEST
from .changes import Change, Mistake, ways

__all__ = ["of_motion"]

_BEYOND = (
    int(sum(FARTHEST.values())) + 2
)  # pixels: no flow, with the filter at its end, reaches farther


def of_motion(network: VESPCN) -> list[Mistake]:
    """Mistakes in warping the frames and, for subpixel fusion, in `phases`."""
    warps = ("warp", "warp_cubic") if network.fusion == "subpixel" else ("warp",)
    found = []
    for kind, words, turn, back in _FLOWS:
        changes = [_of_flow(name, turn, back) for name in warps]
        found += ways(kind, words, *([c[k] for c in changes] for k in (0, 1)))
    found += ways(
        "zeros beyond the edge", "frames are warped with zeros beyond the edge, wanted the edge "
        "repeated (padding_mode=\"border\"),",
        [(name, 0, _among_zeros) for name in warps],
        [(f"{name}_backward", 0, _among_zeros_backward) for name in warps],
    )  # fmt: skip
    for what, number in (("the frames", 0), ("the flow", 1)):
        found.append(Mistake(
            "cut off at the warp", f"no gradient goes back to {what} where frames are warped "
            "(detached)", [(f"{name}_backward", 0, partial(_without, number)) for name in warps],
        ))  # fmt: skip
    return found + (_of_phases() if network.fusion == "subpixel" else [])


def _of_phases() -> list[Mistake]:
    """Mistakes of subpixel fusion alone."""
    found = ways(
        "bilinear", "frames are warped bilinearly at last, wanted by the cubic,",
        [("warp_cubic", 0, lambda right, x, flow: reference.warp(x, flow))],
        [("warp_cubic_backward", 0, lambda right, *given: reference.warp_backward(*given))],
    )  # fmt: skip
    for kind, words, turn, back in _ANGLES:
        there, again = _of_flow("phases", turn, back)
        found += ways(kind, words, [there], [again])
    for words, order in _ORDERS:
        found += ways(
            "phases in another order", f"{words}, wanted cos u, sin u, cos v, sin v,",
            [("phases", 0, partial(_ordered, order))],
            [("phases_backward", 0, partial(_ordered_backward, order))],
        )  # fmt: skip
    for what, number in (("the differences of the frames", 0), ("the flow", 1)):
        found.append(Mistake(
            "cut off at the phases", f"no gradient goes back to {what} from their products with "
            "cosine and sine (detached)", [("phases_backward", 0, partial(_without, number))],
        ))  # fmt: skip
    return found


# -------------------------------------------------------------------------------- another flow

Turn = Callable[[np.ndarray], np.ndarray]  # changes a flow, or the gradient with respect to it


def _exchanged(flow: np.ndarray) -> np.ndarray:
    return flow[:, ::-1]


def _sides(flow: np.ndarray) -> np.ndarray:
    """Width and height of a flow, as an array (2, 1, 1)."""
    return np.array(flow.shape[:1:-1], float)[:, None, None]


def _between_corners(flow: np.ndarray) -> np.ndarray:
    """The flow that results if `align_corners=False` is given a grid made for True."""
    n, rows, columns = _sides(flow), *np.indices(flow.shape[2:])
    places = np.stack([columns, rows])
    return (flow + places) * n / (n - 1) - 0.5 - places


def _between_corners_backward(dflow: np.ndarray) -> np.ndarray:
    return dflow * _sides(dflow) / (_sides(dflow) - 1)


def _slower(flow: np.ndarray) -> np.ndarray:
    return flow / (2 * np.pi)


_FLOWS: list[tuple[str, str, Turn, Turn]] = [
    ("flow's sign", "frames are warped against the flow, wanted x + u, y + v,",
     np.negative, np.negative),
    ("flow's axes", "frames are warped by a flow whose channels are exchanged, wanted x first,",
     _exchanged, _exchanged),
    ("corners", "frames are warped with align_corners=False, wanted True,",
     _between_corners, _between_corners_backward),
]  # fmt: skip
_ANGLES: list[tuple[str, str, Turn, Turn]] = [
    ("angles", "cosine and sine are of the flow itself, wanted of 2 pi times it,",
     _slower, _slower),
    ("angles", "the sines have the wrong sign,", np.negative, np.negative),
    ("angles", "cosine and sine are along y first, wanted x first,", _exchanged, _exchanged),
]  # fmt: skip


def _of_flow(name: str, turn: Turn, back: Turn) -> tuple[Change, Change]:
    """Changes that give an operation another flow, and lead its gradient back to the flow."""

    def there(right: Callable, x: np.ndarray, flow: np.ndarray) -> np.ndarray:
        return right(x, turn(flow))

    def again(right: Callable, dout: np.ndarray, x: np.ndarray, flow: np.ndarray) -> tuple:
        dx, dflow = right(dout, x, turn(flow))
        return dx, back(dflow)

    return (name, 0, there), (f"{name}_backward", 0, again)


# ---------------------------------------------------------------------------- and what comes of it


def _among_zeros(right: Callable, x: np.ndarray, flow: np.ndarray) -> np.ndarray:
    return _inside(right(_wider(x), _wider(flow)))


def _among_zeros_backward(
    right: Callable, dout: np.ndarray, x: np.ndarray, flow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    dx, dflow = right(_wider(dout), _wider(x), _wider(flow))
    return _inside(dx), _inside(dflow)


def _wider(x: np.ndarray) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), (_BEYOND, _BEYOND), (_BEYOND, _BEYOND)))


def _inside(x: np.ndarray) -> np.ndarray:
    return x[:, :, _BEYOND:-_BEYOND, _BEYOND:-_BEYOND]


def _without(number: int, right: Callable, *given: np.ndarray) -> tuple:
    """Set one of the two gradients to zero."""
    return tuple(0 * d if k == number else d for k, d in enumerate(right(*given)))


_ORDERS = [
    ("cosine and sine come as sin u, cos u, sin v, cos v", (1, 0, 3, 2)),
    ("cosine and sine come as cos u, cos v, sin u, sin v", (0, 2, 1, 3)),
]


def _ordered(
    order: tuple[int, ...], right: Callable, x: np.ndarray, flow: np.ndarray
) -> np.ndarray:
    parts = np.split(right(x, flow), 4, axis=1)
    return np.concatenate([parts[k] for k in order], axis=1)


def _ordered_backward(
    order: tuple[int, ...], right: Callable, dout: np.ndarray, x: np.ndarray, flow: np.ndarray
) -> tuple:
    parts = np.split(dout, 4, axis=1)  # both orders are their own inverses
    return right(np.concatenate([parts[k] for k in order], axis=1), x, flow)
