"""A picture in, a larger picture of the same kind out.

With a luminance network, colour goes the way of the paper: Y through bicubic interpolation and
the network, Cb and Cr through bicubic interpolation alone. An RGB network takes all three. Alpha
is always bicubic; transparent pixels take the colour of their visible neighbours first, or else
whatever they hide would show at the edges. A grey picture gives what the same picture gives in
colour: its levels are brought to the range of Y, 16..235 of 255, which is what such networks have
seen.

The result is made band by band, from top to bottom, so that memory beside the picture and the
result does not grow with them. A band is computed from as many rows around it as it depends on,
and so is the same, to the bit, as in a picture done in one piece.
"""

import math
import os

import numpy as np

from .color import RGB_TO_YCBCR, YCBCR_TO_RGB
from .kernels import pixels_to_planes, planes_to_pixels, resize_planes
from .model import SRCNN, load
from .pictures import check_picture
from .resize import taps

__all__ = ["spread", "upscale"]

BAND = 2**22  # pixels of the result that are worked on at a time


def upscale(
    picture: np.ndarray, scale: int = 3, model: str | os.PathLike | SRCNN = "9-1-5"
) -> np.ndarray:
    """Enlarge a picture.

    Parameters
    ----------
    picture : array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Grey, grey and alpha, RGB or RGBA: uint8, uint16, or floating point in 0..1. Computed in
        float32.
    scale : int
        How many times as wide and high the result is.
    model : str, path or SRCNN
        What `load` takes, or a network.

    Returns
    -------
    enlarged : array (scale H, scale W), ... of the same dtype and number of channels
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
    if isinstance(scale, bool) or not isinstance(scale, (int, np.integer)) or scale < 1:
        raise ValueError(f"scale is a positive integer, got {scale!r}")
    network = model if isinstance(model, SRCNN) else load(model, scale)
    if network.scale is not None and network.scale != scale:
        raise ValueError(f"the network was trained for scale {network.scale}, not {scale}")
    peak = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
    if peak == 1 and not -0.5 <= picture.min() <= picture.max() <= 1.5:
        raise ValueError(
            f"the picture's values go from {picture.min():.4g} to {picture.max():.4g}: a floating "
            f"point picture is in 0..1, so divide it by its white level first"
        )
    return _enlarge(picture, int(scale), network, peak)


def _enlarge(picture: np.ndarray, scale: int, network: SRCNN, peak: int) -> np.ndarray:
    pixels = picture if picture.ndim == 3 else picture[:, :, None]
    height, width, channels = pixels.shape
    (to_planes, shift), (to_pixels, shift_back) = _conversions(channels, network.c)
    rows, row_weights = taps(height, height * scale, scale)
    columns, column_weights = (a.T.copy() for a in taps(width, width * scale, scale))
    row_weights, column_weights = row_weights.astype("f4"), column_weights.astype("f4")
    reach = _reach(network.margin, scale) if channels in (2, 4) else 0

    result = np.empty((height * scale, width * scale, channels), picture.dtype)
    band = max(1, BAND // result.shape[1])
    for top in range(0, len(result), band):
        bottom = min(top + band, len(result))
        # The band with the rows around it that the network sees, and the rows of the picture
        # that these are interpolated from.
        above, below = max(0, top - network.margin), min(len(result), bottom + network.margin)
        used = rows[above:below]
        first, end = used.min(), used.max() + 1
        source = _spread_band(pixels, first, end, reach) if reach else pixels[first:end]
        planes = pixels_to_planes(source, to_planes, shift, peak)
        planes = resize_planes(
            planes, used - first, row_weights[above:below], columns, column_weights
        )
        planes[: network.c] = network.forward(planes[None, : network.c])[0]
        inside = np.ascontiguousarray(planes[:, top - above : bottom - above])
        planes_to_pixels(inside, to_pixels, shift_back, peak, result[top:bottom])
    return result.reshape(*result.shape[:2], *picture.shape[2:])


def _conversions(channels: int, c: int) -> tuple:
    """(matrix, offset) from pixels to planes, those the network takes first; and back.

    Alpha, where there is some, is the last of both, and left as it is.
    """
    alpha = channels in (2, 4)
    if channels - alpha == 1:
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

    An enlarged pixel can be seen if one of the pixels within 2 of it can: those that its alpha is
    interpolated from. Its colour comes from what the network sees, `margin` away, which is
    interpolated from pixels within 2 again. One more, as centres lie between pixels.
    """
    return 2 + math.ceil(margin / scale) + 2 + 1


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
