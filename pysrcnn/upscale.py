"""A picture in, a larger picture of the same kind out.

With a luminance network, colour goes the way of the paper: Y through bicubic interpolation and
the network, Cb and Cr through bicubic interpolation alone. An RGB network takes all three. Alpha
is always bicubic; transparent pixels take the colour of their visible neighbours first, or else
whatever they hide would show at the edges. A grey picture gives what the same picture gives in
colour: its levels are brought to the range of Y, 16..235 of 255, which is what such networks have
seen.

Factors without weights of their own go through several networks and a resize, as `scales.py` plans.
The result is made band by band, from top to bottom, so that memory beside the picture and the
result does not grow with them. A band is computed from as many rows around it as it depends on,
and so is the same, to the bit, as in a picture done in one piece.
"""

import math
import os
from collections.abc import Callable

import numpy as np

from .color import RGB_TO_YCBCR, YCBCR_TO_RGB
from .kernels import pixels_to_planes, planes_to_pixels, resize_planes
from .model import SRCNN
from .pictures import check_picture
from .resize import taps
from .scales import Networks

__all__ = ["spread", "upscale"]

BAND = 2**22  # pixels of the result that are worked on at a time


def upscale(
    picture: np.ndarray,
    scale: float | None = None,
    model: str | os.PathLike | SRCNN | Networks = "9-1-5",
    *,
    shape: tuple[int | None, int | None] | None = None,
    report: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Enlarge a picture.

    Parameters
    ----------
    picture : array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Grey, grey and alpha, RGB or RGBA: uint8, uint16, or floating point in 0..1. Computed in
        float32.
    scale : float, optional
        How many times as wide and high the result is: above 1, up to 16; 3 unless given. Where
        there are no weights for it, the picture goes through those of other scales, several times
        if need be, and is resized from there (`scales.py` says how).
    model : str, path, SRCNN or Networks
        What `load` takes, or a network. One that was trained for a scale of its own can only be
        used for 2, 3 or 4 if that is this scale or a power of it.
    shape : pair of ints, optional
        Instead of `scale`: height and width of the result; one of them may be None, and follows
        from the aspect ratio.
    report : function of a float, optional
        Called now and then with the part of the work that is done, up to 1.

    Returns
    -------
    enlarged : array (round(scale H), round(scale W)), ... of the same dtype and channels
        Clipped to 0..1 (0..255, 0..65535), integers rounded.

    Raises
    ------
    TypeError, ValueError
        If the picture is not of this kind, has no pixels or some that are NaN or infinite, or
        there are no weights for that scale.
    FileNotFoundError
        If `model` is neither the name of shipped weights nor a file.
    """
    picture = np.asarray(picture)
    if not picture.dtype.isnative:  # big-endian, as in FITS files
        picture = picture.astype(picture.dtype.newbyteorder("="))
    check_picture(picture)
    if scale is not None and shape is not None:
        raise ValueError("both scale and shape are given: give one of them")
    networks = model if isinstance(model, Networks) else Networks(model)
    scale = 3 if scale is None and shape is None else scale
    plan = networks.plan(picture.shape[:2], scale, shape)
    peak = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
    if peak == 1 and not -0.5 <= picture.min() <= picture.max() <= 1.5:
        raise ValueError(
            f"the picture's values go from {picture.min():.4g} to {picture.max():.4g}: a floating "
            f"point picture is in 0..1, so divide it by its white level first"
        )
    steps, size = [], plan.start
    for factor in plan.passes:
        size = size[0] * factor, size[1] * factor
        steps.append((size, networks.at(factor)))
    if size != plan.shape:
        steps.append((plan.shape, None))
    work, done = sum(math.prod(size) for size, _ in steps), 0
    for size, network in steps:

        def tell(rows: int, size=size, done=done):
            if report:
                report((done + rows * size[1]) / work)

        picture = _resized(picture, size, network, peak, tell)
        done += math.prod(size)
    return picture


def _resized(
    picture: np.ndarray,
    shape: tuple[int, int],
    network: SRCNN | None,
    peak: int,
    tell: Callable[[int], None],
) -> np.ndarray:
    """The picture at another size: bicubic, and through the network, if there is one."""
    pixels = picture if picture.ndim == 3 else picture[:, :, None]
    height, width, channels = pixels.shape
    c, margin = (network.c, network.margin) if network else (0, 0)
    (to_planes, shift), (to_pixels, shift_back) = _conversions(channels, c)
    scales = shape[0] / height, shape[1] / width
    rows, row_weights = taps(height, shape[0], scales[0])
    columns, column_weights = (a.T.copy() for a in taps(width, shape[1], scales[1]))
    row_weights, column_weights = row_weights.astype("f4"), column_weights.astype("f4")
    reach = _reach(margin, min(scales)) if channels in (2, 4) else 0

    result = np.empty((*shape, channels), picture.dtype)
    band = max(1, BAND // max(shape[1], width))
    for top in range(0, len(result), band):
        bottom = min(top + band, len(result))
        # The band with the rows around it that the network sees, and the rows of the picture
        # that these are interpolated from.
        above, below = max(0, top - margin), min(len(result), bottom + margin)
        used = rows[above:below]
        first, end = used.min(), used.max() + 1
        source = _spread_band(pixels, first, end, reach) if reach else pixels[first:end]
        planes = pixels_to_planes(source, to_planes, shift, peak)
        planes = resize_planes(
            planes, used - first, row_weights[above:below], columns, column_weights
        )
        if network:
            planes[:c] = network.forward(planes[None, :c])[0]
        inside = np.ascontiguousarray(planes[:, top - above : bottom - above])
        planes_to_pixels(inside, to_pixels, shift_back, peak, result[top:bottom])
        tell(bottom)
    return result.reshape(*result.shape[:2], *picture.shape[2:])


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


# ------------------------------------------------------------------------------------------ alpha


def _reach(margin: int, scale: float) -> int:
    """Pixels between a transparent one and the visible ones whose enlargement it has a part in.

    An enlarged pixel can be seen if one of the pixels within 2 of it can (more, if it is shrunk):
    those that its alpha is interpolated from. Its colour comes from what the network sees, `margin`
    away, which is interpolated from pixels within 2 again. One more, as centres lie between pixels.
    """
    kernel = math.ceil(2 * max(1, 1 / scale))
    return kernel + math.ceil(margin / scale) + kernel + 1


def _spread_band(pixels: np.ndarray, first: int, end: int, reach: int) -> np.ndarray:
    """Rows `first` to `end` of `spread(pixels, reach)`, from as many rows as these depend on."""
    above, below = max(0, first - reach), min(len(pixels), end + reach)
    return spread(pixels[above:below], reach)[first - above : end - above]


def spread(pixels: np.ndarray, reach: int) -> np.ndarray:
    """The colour of visible pixels continued into the transparent ones around them.

    Parameters
    ----------
    pixels : array (H, W, C), uint8, uint16 or floating point
        The last channel is alpha; a pixel is transparent where it is 0 or less.
    reach : int
        How many pixels far. In each step, a transparent pixel beside others takes their average.

    Returns
    -------
    spread : array (H, W, C) of the same dtype, or `pixels` itself where there is nothing to do
        Alpha is unchanged.
    """
    known = np.pad(pixels[:, :, -1] > 0, 1)
    if known[1:-1, 1:-1].all() or not known.any():
        return pixels
    height, width, channels = pixels.shape
    result = pixels.copy()
    around = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    for _ in range(reach):
        beside = np.zeros((height, width), bool)
        for i, j in around:
            beside |= known[i : i + height, j : j + width]
        y, x = np.nonzero(beside & ~known[1:-1, 1:-1])
        if len(y) == 0:
            break
        total, count = np.zeros((len(y), channels - 1)), np.zeros((len(y), 1))
        for i, j in around:
            use = known[y + i, x + j]
            total[use] += result[(y + i - 1)[use], (x + j - 1)[use], :-1]
            count += use[:, None]
        total /= count
        result[y, x, :-1] = total if result.dtype.kind == "f" else np.floor(total + 0.5)
        known[y + 1, x + 1] = True
    return result
