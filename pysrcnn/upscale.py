"""A picture in, a larger picture of the same kind out.

With a luminance network, colour goes the way of the paper: Y through bicubic interpolation and
the network, Cb and Cr through bicubic interpolation alone. An RGB network takes all three. Alpha
is always bicubic. A grey picture gives what the same picture gives in colour: its levels are
brought to the range of Y, 16..235 of 255, which is what such networks have seen.

The result is made band by band, from top to bottom, so that memory beside the picture and the
result does not grow with them. A band is computed from as many rows around it as it depends on,
and so is the same, to the bit, as in a picture done in one piece.
"""

import os

import numpy as np

from .color import RGB_TO_YCBCR, YCBCR_TO_RGB
from .kernels import pixels_to_planes, planes_to_pixels, resize_planes
from .model import SRCNN, load
from .pictures import check_picture
from .resize import taps

__all__ = ["upscale"]

BAND = 2**22  # pixels of the result that are worked on at a time


def upscale(
    picture: np.ndarray, scale: int = 3, model: str | os.PathLike | SRCNN = "9-1-5"
) -> np.ndarray:
    """Enlarge a picture.

    Parameters
    ----------
    picture : array (H, W), (H, W, 3) or (H, W, 4)
        Grey, RGB or RGBA: uint8, uint16, or floating point in 0..1. Computed in float32.
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

    result = np.empty((height * scale, width * scale, channels), picture.dtype)
    band = max(1, BAND // result.shape[1])
    for top in range(0, len(result), band):
        bottom = min(top + band, len(result))
        # The band with the rows around it that the network sees, and the rows of the picture
        # that these are interpolated from.
        above, below = max(0, top - network.margin), min(len(result), bottom + network.margin)
        used = rows[above:below]
        first, end = used.min(), used.max() + 1
        planes = pixels_to_planes(pixels[first:end], to_planes, shift, peak)
        planes = resize_planes(
            planes, used - first, row_weights[above:below], columns, column_weights
        )
        planes[: network.c] = network.forward(planes[None, : network.c])[0]
        inside = np.ascontiguousarray(planes[:, top - above : bottom - above])
        planes_to_pixels(inside, to_pixels, shift_back, peak, result[top:bottom])
    return result.reshape(*result.shape[:2], *picture.shape[2:])


def _conversions(channels: int, c: int) -> tuple:
    """(matrix, offset) from pixels to planes, those the network takes first; and back."""
    if channels == 1:
        black, span = (16 / 255, 219 / 255) if c == 1 else (0, 1)
        forth = np.full((c, 1), span), np.full(c, black)
        back = np.full((1, c), 1 / c / span), np.full(1, -black / span)
    else:  # colour, and alpha where there is some, which is left as it is
        forth, back = ((np.eye(channels), np.zeros(channels)) for _ in range(2))
        if c == 1:
            for (matrix, offset), (m, o) in ((forth, RGB_TO_YCBCR), (back, YCBCR_TO_RGB)):
                matrix[:3, :3], offset[:3] = m, o
    return tuple(tuple(a.astype(np.float32) for a in pair) for pair in (forth, back))
