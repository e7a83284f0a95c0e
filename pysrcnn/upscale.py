"""A picture in, a larger picture of the same kind out.

With a luminance network, colour goes the way of the paper: Y through bicubic interpolation and
the network, Cb and Cr through bicubic interpolation alone. An RGB network takes all three. Alpha
is always bicubic.
"""

import os

import numpy as np

from .color import rgb_to_ycbcr, ycbcr_to_rgb
from .model import SRCNN, load
from .pictures import check_picture
from .resize import imresize

__all__ = ["upscale"]


def upscale(
    picture: np.ndarray, scale: int = 3, model: str | os.PathLike | SRCNN = "9-1-5"
) -> np.ndarray:
    """Enlarge a picture.

    Parameters
    ----------
    picture : array (H, W), (H, W, 3) or (H, W, 4)
        Grey, RGB or RGBA: uint8, uint16, or floating point in 0..1.
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
    check_picture(picture)
    network = model if isinstance(model, SRCNN) else load(model, scale)
    if network.scale is not None and network.scale != scale:
        raise ValueError(f"the network was trained for scale {network.scale}, not {scale}")
    if isinstance(scale, bool) or not isinstance(scale, (int, np.integer)) or scale < 1:
        raise ValueError(f"scale is a positive integer, got {scale!r}")

    peak = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
    unit = picture.astype(np.float32) / np.float32(peak)
    if peak == 1 and not -0.5 <= unit.min() <= unit.max() <= 1.5:
        raise ValueError(
            f"the picture's values go from {unit.min():.4g} to {unit.max():.4g}: a floating point "
            f"picture is in 0..1, so divide it by its white level first"
        )
    enlarged = _enlarge(unit, scale, network)
    np.clip(enlarged, 0, 1, out=enlarged)
    if peak > 1:
        enlarged *= peak
        enlarged += 0.5  # and the conversion cuts off: rounded
    return enlarged.astype(picture.dtype)


def _enlarge(unit: np.ndarray, scale: int, network: SRCNN) -> np.ndarray:
    """float32 in 0..1 -> the same, larger, not yet clipped."""
    if unit.ndim == 3 and unit.shape[2] == 4:
        colour = _enlarge(unit[:, :, :3], scale, network)
        return np.concatenate([colour, imresize(unit[:, :, 3:], scale=scale)], axis=2)
    if network.c == 3:
        grey = unit.ndim == 2
        rgb = np.repeat(unit[:, :, None], 3, axis=2) if grey else unit
        low = imresize(rgb, scale=scale).transpose(2, 0, 1)
        out = network.forward(low[None])[0].transpose(1, 2, 0)
        return out.mean(axis=2) if grey else np.ascontiguousarray(out)
    if unit.ndim == 2:
        return network.forward(imresize(unit, scale=scale)[None, None])[0, 0]
    ycbcr = imresize(rgb_to_ycbcr(unit), scale=scale)
    y = np.ascontiguousarray(ycbcr[:, :, 0])
    ycbcr[:, :, 0] = network.forward(y[None, None])[0, 0]
    return ycbcr_to_rgb(ycbcr)
