"""One step on the way to a larger picture: bicubic resizing, and a network's pass after it.

A step makes any rectangle of its result from the part of the picture that this depends on, and
every pixel is the same, to the bit, in whichever rectangle it is made. So a picture can be done in
bands, or in pieces on several machines, and shows no seams.

With a luminance network, colour goes the way of the paper: Y through bicubic interpolation and
the network, Cb and Cr through bicubic interpolation alone. An RGB network takes all three. Alpha
is always bicubic. A grey picture gives what the same picture gives in colour: its levels are
brought to the range of Y, 16..235 of 255, which is what such networks have seen.
"""

import os

import numpy as np

from ..color import RGB_TO_YCBCR, YCBCR_TO_RGB
from ..kernels import pixels_to_planes, planes_to_pixels, resize_planes
from ..kernels.winograd import OUTPUTS as GROUP
from ..networks import Model
from ..resize import taps
from .alpha import reach, spread
from .scales import Networks

__all__ = ["Span", "Step", "steps_for"]

Span = tuple[int, int]  # of rows or columns: the first, and the one after the last


class Step:
    """From a picture of one shape to another, larger or smaller.

    Parameters
    ----------
    start, shape : pairs of ints
        Height and width before and after.
    channels : int
        1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA).
    dtype : uint8, uint16, float32 or float64
        Floating point is in 0..1.
    network : Model, optional
        For the factor between the two; without one, the picture is only resized.
    """

    def __init__(self, start: Span, shape: Span, channels: int, dtype, network: Model | None):
        self.start, self.shape, self.channels = start, shape, channels
        self.dtype, self.network = np.dtype(dtype), network
        self.peak = np.iinfo(dtype).max if self.dtype.kind == "u" else 1
        self.c, self.margin = (network.c, network.margin) if network else (0, 0)
        self.to_planes, self.to_pixels = _conversions(channels, self.c)
        scales = [n / m for m, n in zip(start, shape, strict=True)]
        self.rows, self.row_weights = taps(start[0], shape[0], scales[0])
        self.columns, self.column_weights = (
            a.T.copy() for a in taps(start[1], shape[1], scales[1])
        )
        self.row_weights = self.row_weights.astype(np.float32)
        self.column_weights = self.column_weights.astype(np.float32)
        self.reach = reach(self.margin, min(scales)) if channels in (2, 4) else 0

    def _seen(self, rows: Span, columns: Span) -> tuple[Span, Span]:
        """The rectangle of the result that the network sees when it makes a smaller one.

        The kernels compute some layers a group of four pixels of a row at a time, and what the
        others are has a part in how each is rounded. So there are whole groups, and what these
        see, to the left and right.
        """
        (top, bottom), (left, right) = rows, columns
        if self.network:
            left = max(0, left - self.margin - GROUP) // GROUP * GROUP
            right = min(self.shape[1], right + self.margin + 2 * GROUP)
        return (max(0, top - self.margin), min(self.shape[0], bottom + self.margin)), (left, right)

    def needs(self, rows: Span, columns: Span) -> tuple[Span, Span]:
        """Rows and columns of the picture that a rectangle of the result depends on."""
        rows, columns = self._seen(rows, columns)
        used = self.rows[slice(*rows)], self.columns[:, slice(*columns)]
        return tuple(
            (max(0, int(u.min()) - self.reach), min(n, int(u.max()) + 1 + self.reach))
            for u, n in zip(used, self.start, strict=True)
        )

    def make(self, part: np.ndarray, rows: Span, columns: Span, out: np.ndarray) -> None:
        """A rectangle of the result into `out` (h, w, channels).

        part: array (H, W, channels), those rows and columns of the picture that `needs` says.
        """
        (first, _), (first_column, _) = self.needs(rows, columns)
        seen, seen_columns = self._seen(rows, columns)
        if self.reach:
            part = spread(part, self.reach)
        planes = pixels_to_planes(part, *self.to_planes, self.peak)
        planes = resize_planes(
            planes,
            self.rows[slice(*seen)] - first,
            self.row_weights[slice(*seen)],
            self.columns[:, slice(*seen_columns)] - first_column,
            np.ascontiguousarray(self.column_weights[:, slice(*seen_columns)]),
        )
        if self.network:
            planes[: self.c] = self.network.forward(planes[None, : self.c])[0]
        top, left = rows[0] - seen[0], columns[0] - seen_columns[0]
        inside = planes[:, top:, left:][:, : out.shape[0], : out.shape[1]]
        planes_to_pixels(np.ascontiguousarray(inside), *self.to_pixels, self.peak, out)


def steps_for(
    picture: tuple[int, ...],
    dtype: np.dtype,
    model: str | os.PathLike | Model | Networks,
    scale: float | None,
    shape: tuple[int | None, int | None] | None,
) -> list[Step]:
    """The steps to an enlarged picture, in their order.

    Parameters
    ----------
    picture : (height, width) or (height, width, channels)
    dtype, model, scale, shape
        As for `upscale`.

    Raises
    ------
    FileNotFoundError, ValueError
        Of `Networks`; or if both `scale` and `shape` are given.
    """
    if scale is not None and shape is not None:
        raise ValueError("both scale and shape are given: give one of them")
    networks = model if isinstance(model, Networks) else Networks(model)
    if scale is None and shape is None:
        scale = networks.default_scale
    plan = networks.plan(picture[:2], scale, shape)
    channels = picture[2] if len(picture) == 3 else 1
    steps, size = [], plan.start
    for factor in plan.passes:
        larger = size[0] * factor, size[1] * factor
        steps.append(Step(size, larger, channels, dtype, networks.at(factor)))
        size = larger
    if size != plan.shape:
        steps.append(Step(size, plan.shape, channels, dtype, None))
    return steps


def _conversions(channels: int, c: int) -> tuple:
    """(matrix, offset) from pixels to planes, those the network takes first; and back.

    Alpha, where there is some, is the last of both, and left as it is. Without a network (c = 0),
    so is everything.
    """
    alpha = channels in (2, 4)
    if c == 0:
        forth = back = np.eye(channels - alpha), np.zeros(channels - alpha)
    elif channels - alpha == 1:
        black, span = (16 / 255, 219 / 255) if c == 1 else (0, 1)
        forth = np.full((c, 1), span), np.full(c, black)
        back = np.full((1, c), 1 / c / span), np.full(1, -black / span)
    elif c == 1:
        forth, back = RGB_TO_YCBCR, YCBCR_TO_RGB
    else:
        forth = back = np.eye(3), np.zeros(3)
    return tuple(_with_alpha(*pair) if alpha else _single(*pair) for pair in (forth, back))


def _single(matrix: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return matrix.astype(np.float32), offset.astype(np.float32)


def _with_alpha(matrix: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    larger = np.zeros((matrix.shape[0] + 1, matrix.shape[1] + 1))
    larger[:-1, :-1], larger[-1, -1] = matrix, 1
    return _single(larger, np.append(offset, 0))
