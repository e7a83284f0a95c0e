"""One step of an enlargement: bicubic resizing, followed by a pass of a network.

A step makes any rectangle of its result from the part of the picture on which it depends, and every
pixel is the same, to the bit, whichever rectangle it is made in. So a picture can be enlarged in
bands, or in pieces on several machines, without seams. Some networks have so large a receptive
field, and so many feature maps, that such pieces would not fit into memory. Then the whole picture
is divided into cells, each of which is always made as a whole; rounding may differ between them.

A network takes the bicubic enlargement of the picture, or the picture itself. With a luminance
network, colour is treated as in the paper: Y goes through the network, Cb and Cr through bicubic
interpolation alone. An RGB network takes all three. Alpha is always bicubic. A grey picture gives
the same result as in colour: its levels are mapped to the range of Y, 16..235 of 255, on which such
networks were trained.
"""

import math
import os
from collections.abc import Iterator

import numpy as np

from ..color import RGB_TO_YCBCR, YCBCR_TO_RGB
from ..kernels import pixels_to_planes, planes_to_pixels, resize_planes
from ..networks import Network
from ..resize import taps
from .alpha import reach, spread
from .scales import Networks

__all__ = ["Size", "Span", "Step", "steps_for"]

Conversion = tuple[np.ndarray, np.ndarray]  # matrix, offset
BAND = 2**27  # bytes of memory to work in
FAR = 32  # pixels of margin; a network that needs more takes more, or would mostly make margins:
DEEP = 8  # times as much
CELLS = 10  # and in a cell
MARGINS = 4  # times the work, because of margins, beyond which there are cells
SMALLEST = 64  # columns of a piece

Size = tuple[int, int]  # height and width
Span = tuple[int, int]  # of rows or columns: the first, and the one after the last


class Step:
    """One step from a picture of one shape to another, larger or smaller.

    Parameters
    ----------
    start, shape : pairs of ints
        Height and width before and after.
    channels : int
        1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA).
    dtype : uint8, uint16, float32 or float64
        Floating point is in 0..1.
    network : Network, optional
        For the factor between the two sizes; without one, the picture is only resized.

    Raises
    ------
    ValueError
        If a parameter of the network is not finite.

    Attributes
    ----------
    bytes_per_pixel : float
        Memory that `make` takes for a pixel of the result.
    frames : int
        How many frames of a video the network looks at.
    """

    def __init__(self, start: Size, shape: Size, channels: int, dtype, network: Network | None):
        if network:
            network.check_finite()
        self.start, self.shape, self.channels = start, shape, channels
        self.dtype, self.network = np.dtype(dtype), network
        self.peak = np.iinfo(dtype).max if self.dtype.kind == "u" else 1
        self.c, self.margin = (network.c, network.margin) if network else (0, 0)
        self.frames = network.frames if network else 1
        self.to_planes, self.to_pixels = _conversions(channels, self.c)
        scales = [n / m for m, n in zip(start, shape, strict=True)]
        self.rows, self.row_weights = taps(start[0], shape[0], scales[0])
        self.columns, self.column_weights = (
            a.T.copy() for a in taps(start[1], shape[1], scales[1])
        )
        self.row_weights = self.row_weights.astype(np.float32)
        self.column_weights = self.column_weights.astype(np.float32)
        # Pixels of the result, along a side, for one of the network's input.
        self.enlarged = network.seen.resolution if network else 1
        # Input that begins at a multiple of this begins with a whole square in all maps.
        self.group = network.ops.ALIGNMENT * network.seen.grid if network else 1
        seen = self.margin * self.enlarged
        self.reach = reach(seen, min(scales)) if channels in (2, 4) else 0
        own = network.bytes_per_pixel if network else 0
        self.bytes_per_pixel = channels * (self.dtype.itemsize + 8) + own
        self.cell = self._cell()

    def _cell(self) -> Size | None:
        """Return the height and width of cells in pixels of the network's input; None for no cells.

        They depend on the whole picture alone, whichever part of it is asked for.
        """
        if self.network is None or self._exact_margin() <= FAR:
            return None
        over, cost, *_ = self._division(*self.shape)
        if not over and cost <= MARGINS * math.prod(self.shape):
            return None
        group, s = self.group, self.enlarged
        around = -(-self.margin // group) * group
        most = max(math.isqrt(int(BAND * CELLS / self.bytes_per_pixel)) // s - 2 * around, around)
        sides = (n // s for n in self.shape)
        height, width = (-(-n // -(-n // most)) for n in sides)  # as even as possible
        return -(-height // group) * group, -(-width // group) * group

    def _exact_margin(self) -> int:
        """Return the margin, in pixels of the network's input, on which bits of the result depend.

        The kernels compute some layers a square of pixels at a time, and the values of a square
        affect each other's rounding. So the margin has whole squares in every layer, and all that
        they depend on.
        """
        if self.network is None:
            return 0
        return self.margin + (self.network.ops.ALIGNMENT - 1) * self.network.seen.width

    def _seen(self, rows: Span, columns: Span) -> tuple[Span, Span]:
        """Return the rectangle of the network's input that a rectangle of the result needs.

        It has whole squares, counted from both ends of the picture: a network may look at it from
        the other end.
        """
        s = self.enlarged
        spans = [(rows[0] // s, -(-rows[1] // s)), (columns[0] // s, -(-columns[1] // s))]
        margin = self.margin if self.cell else self._exact_margin()
        group = self.group
        if self.cell:  # whole ones
            spans = [
                (first // n * n, min(-(-last // n) * n, side // s))
                for (first, last), n, side in zip(spans, self.cell, self.shape, strict=True)
            ]
        found = []
        for (first, last), side in zip(spans, self.shape, strict=True):
            n = side // s
            found.append(
                (max(0, first - margin) // group * group,
                 n - max(0, n - last - margin) // group * group)
            )  # fmt: skip
        return found[0], found[1]

    def pieces(self, rows: Span, columns: Span) -> Iterator[tuple[Span, Span]]:
        """Yield the pieces of a rectangle of the result, row by row, each made in bounded memory.

        The margins of a piece are computed for its neighbours, too. So pieces are few and large,
        and whole rows where that does not cost more.
        """
        if self.cell:
            down, across = (n * self.enlarged for n in self.cell)
            firsts = rows[0] // down * down, columns[0] // across * across
        else:
            _, _, down, across = self._division(rows[1] - rows[0], columns[1] - columns[0])
            firsts = rows[0], columns[0]
        for top in range(firsts[0], rows[1], down):
            for left in range(firsts[1], columns[1], across):
                yield (
                    (max(top, rows[0]), min(top + down, rows[1])),
                    (max(left, columns[0]), min(left + across, columns[1])),
                )

    def _division(self, height: int, width: int) -> tuple[bool, float, int, int]:
        """Return (too large, cost, height, width) of the pieces of a part of the result.

        A piece is too large if it takes more memory than it should. The cost is the number of
        pixels of all pieces, with their margins.
        """
        margin = self._exact_margin()
        around = 2 * margin * self.enlarged
        wider = max(1, self.start[1] / self.shape[1])  # where the picture becomes smaller
        room = BAND * (DEEP if margin > FAR else 1) / (wider * self.bytes_per_pixel)  # pixels
        sizes = []
        for parts in range(1, max(2, width // SMALLEST + 1)):
            across = -(-width // parts)
            seen = min(across + around, self.shape[1])
            down = int(room / seen) - (around if room < seen * self.shape[0] else 0)
            # Where nothing fits, more memory is taken: small pieces would be nothing but margins.
            down = min(height, max(down, around, 1))
            area = seen * min(down + around, self.shape[0])
            cost = parts * -(-height // down) * area
            sizes.append((area > room, cost * (1 if parts == 1 else 1.05), down, across))
        return min(sizes)

    def _made(self, seen: tuple[Span, Span]) -> tuple[Span, Span]:
        """Return the rectangle of the result that a rectangle of the network's input makes."""
        s = self.enlarged
        (top, bottom), (left, right) = seen
        return (s * top, s * bottom), (s * left, s * right)

    def area(self, rows: Span, columns: Span) -> int:
        """Return the number of pixels that the network makes for a rectangle, with its margins."""
        return math.prod(b - a for a, b in self._made(self._seen(rows, columns)))

    def needs(self, rows: Span, columns: Span) -> tuple[Span, Span]:
        """Return the rows and columns of the picture that a rectangle of the result depends on."""
        seen = self._seen(rows, columns)
        made = self._made(seen)
        used = self.rows[slice(*made[0])], self.columns[:, slice(*made[1])]
        spans = []
        for u, own, n in zip(used, seen, self.start, strict=True):
            first, last = int(u.min()), int(u.max()) + 1
            if self.enlarged > 1:  # the network takes the picture itself
                first, last = min(first, own[0]), max(last, own[1])
            spans.append((max(0, first - self.reach), min(n, last + self.reach)))
        return spans[0], spans[1]

    def make(
        self, part: np.ndarray | list[np.ndarray], rows: Span, columns: Span, out: np.ndarray
    ) -> None:
        """Write a rectangle of the result into `out` (h, w, channels).

        part: array (H, W, channels), the rows and columns of the picture that `needs` returns. For
        a video, a list of `frames` such arrays in the order of time, of which the middle one is
        enlarged; one array stands for all of them.
        """
        window = part if isinstance(part, list) else [part]
        window = window if len(window) == self.frames else window * self.frames
        if not self.cell:
            self._make(window, rows, columns, out)
            return
        begins = [span[0] for span in self.needs(rows, columns)]
        for some in self.pieces(rows, columns):
            used, made = (
                tuple(slice(a - begin, b - begin) for (a, b), begin in zip(spans, firsts))
                for spans, firsts in (
                    (self.needs(*some), begins), (some, (rows[0], columns[0]))
                )
            )  # fmt: skip
            self._make([frame[used] for frame in window], *some, out[made])

    def _make(self, window: list[np.ndarray], rows: Span, columns: Span, out: np.ndarray) -> None:
        """Write a rectangle that is within one cell."""
        (first, _), (first_column, _) = self.needs(rows, columns)
        seen = self._seen(rows, columns)
        down, across = (slice(*span) for span in self._made(seen))
        if self.reach:
            window = [spread(part, self.reach) for part in window]
        frames = [pixels_to_planes(part, *self.to_planes, self.peak) for part in window]
        small = frames[len(frames) // 2]
        own = self.c if self.enlarged > 1 else 0  # planes that the network enlarges itself
        planes = resize_planes(
            small[own:],
            self.rows[down] - first,
            self.row_weights[down],
            self.columns[:, across] - first_column,
            np.ascontiguousarray(self.column_weights[:, across]),
        )
        if self.network and own:
            (top, bottom), (left, right) = seen
            own_rows = slice(top - first, bottom - first)
            own_columns = slice(left - first_column, right - first_column)
            taken = np.concatenate([frame[:own, own_rows, own_columns] for frame in frames])
            planes = np.concatenate([self.network.forward(taken[None])[0], planes])
        elif self.network:
            planes[: self.c] = self.network.forward(planes[None, : self.c])[0]
        inside = planes[:, rows[0] - down.start :, columns[0] - across.start :]
        inside = inside[:, : out.shape[0], : out.shape[1]]
        planes_to_pixels(np.ascontiguousarray(inside), *self.to_pixels, self.peak, out)


def steps_for(
    picture: tuple[int, ...],
    dtype: np.dtype,
    model: str | os.PathLike | Network | Networks,
    scale: float | None,
    shape: tuple[int | None, int | None] | None,
) -> list[Step]:
    """Return the steps to an enlarged picture, in order.

    Parameters
    ----------
    picture : (height, width) or (height, width, channels)
    dtype, model, scale, shape
        As for `upscale`.

    Raises
    ------
    FileNotFoundError, ValueError
        As for `Networks`; or if both `scale` and `shape` are given.
    """
    if scale is not None and shape is not None:
        raise ValueError("both scale and shape are given: give one of them")
    networks = model if isinstance(model, Networks) else Networks(model)
    if scale is None and shape is None:
        scale = networks.default_scale
    plan = networks.plan((picture[0], picture[1]), scale, shape)
    channels = picture[2] if len(picture) == 3 else 1
    steps, size = [], plan.start
    for factor in plan.passes:
        whole = factor == int(factor)
        larger = (size[0] * int(factor), size[1] * int(factor)) if whole else plan.shape
        steps.append(Step(size, larger, channels, dtype, networks.at(factor)))
        size = larger
    if size != plan.shape:
        steps.append(Step(size, plan.shape, channels, dtype, None))
    return steps


def _conversions(channels: int, c: int) -> tuple[Conversion, Conversion]:
    """Return (matrix, offset) from pixels to planes, the network's first, and those back.

    Alpha, if there is any, comes last in both and is unchanged. Without a network (c = 0),
    everything is.
    """
    alpha = channels in (2, 4)
    forth: Conversion
    back: Conversion
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
    kind = _with_alpha if alpha else _single
    return kind(*forth), kind(*back)


def _single(matrix: np.ndarray, offset: np.ndarray) -> Conversion:
    return matrix.astype(np.float32), offset.astype(np.float32)


def _with_alpha(matrix: np.ndarray, offset: np.ndarray) -> Conversion:
    larger = np.zeros((matrix.shape[0] + 1, matrix.shape[1] + 1))
    larger[:-1, :-1], larger[-1, -1] = matrix, 1
    return _single(larger, np.append(offset, 0))
