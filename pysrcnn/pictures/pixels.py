"""Conversion of Pillow's pictures to arrays, with black at 0 and transparent colours as alpha."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._limits import Refused, Structure

__all__ = [
    "BECOMES",
    "add_alpha",
    "array_of",
    "check_planes",
    "converted",
    "deep_levels_of",
    "levels_of",
    "make_room",
    "rgba_of",
    "scale_clear",
    "without_colour",
]

# What pictures of Pillow's modes are converted to; other modes stay as they are.
BECOMES = {"PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
BECOMES |= dict.fromkeys(("CMYK", "YCbCr", "LAB", "HSV", "RGBX"), "RGB")
_WITH_ALPHA = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}  # with a transparent colour
_APART = 2  # of TIFF's PlanarConfiguration
_BAND = 2**24  # pixels converted at a time


def array_of(image: Any) -> np.ndarray:
    """Return the pixels of Pillow's picture, in parts, to take memory once more, not thrice."""
    image.load()
    band = max(1, _BAND // image.width)
    pixels = np.empty(0)
    for top in range(0, image.height, band):
        bottom = min(top + band, image.height)
        whole = bottom - top == image.height
        part = np.asarray(image if whole else image.crop((0, top, image.width, bottom)))
        if not top:
            pixels = np.empty((image.height, *part.shape[1:]), part.dtype)
        pixels[top:bottom] = part
    return pixels


def make_room(image: Any) -> None:
    """Allocate the pixels of a TIFF file beyond Pillow's limit, as Pillow would below it."""
    from PIL import Image

    if image.format == "TIFF" and image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
        image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size)).im


def levels_of(image: Any, about: Mapping[str, Any]) -> np.ndarray:
    """Return the pixels of Pillow's picture, with black at 0 and a transparent colour as alpha."""
    mode, clear = about["mode"], about.get("transparency")
    other = _WITH_ALPHA.get(mode) if clear is not None else None
    other = other or BECOMES.get(mode)
    image.load()
    if other is None and mode == "P":
        other = image.palette.mode
    if mode == "I" and image.format == "PNG":  # older versions of Pillow hold I;16 so
        other = "I;16"
    pixels = _with_default_levels(array_of(image.convert(other) if other else image), about)
    return add_alpha(pixels, clear) if clear is not None and mode.startswith("I") else pixels


def scale_clear(image: Any, found: Structure, moves: bool) -> None:
    """Give the transparent grey or colour of a PNG file the depth that the pixels are read with."""
    data, clear = dict(found.chunks).get(b"tRNS", b""), image.info.get("transparency")
    if found.bits in (2, 4) and isinstance(clear, int) and image.mode == "L":
        most = 2**found.bits - 1
        image.info["transparency"] = (int.from_bytes(data, "big") & most) * 255 // most
    elif found.bits == 16 and isinstance(clear, tuple) and moves:
        image.info["transparency"] = tuple(data[::2])


def rgba_of(image: Any, about: Mapping[str, Any]) -> np.ndarray:
    """Return a frame as RGBA of 8 bits; grey of 16, which Pillow would clip, is scaled."""
    if not about["mode"].startswith("I"):
        return array_of(image.convert("RGBA"))
    levels = converted(levels_of(image, about), np.dtype(np.uint8))
    levels = levels if levels.ndim == 3 else np.dstack([levels, np.full_like(levels, 255)])
    return levels[:, :, [0, 0, 0, 1]]


def _with_default_levels(picture: np.ndarray, about: Mapping[str, Any]) -> np.ndarray:
    """Return the array that Pillow read with black at 0, as uint8 or uint16 if it fits.

    `about` is what Pillow says of the picture.
    """
    if picture.dtype == bool:  # black and white
        picture = picture.astype(np.uint8) * 255
    if picture.dtype == np.int32 and picture.ndim == 2 and 0 <= picture.min():
        if picture.max() <= 65535:  # how Pillow holds some 16-bit greys
            picture = picture.astype(np.uint16)
    if about.get("BitsPerSample") == 12 and picture.dtype == np.uint16:  # of a TIFF file
        picture = ((picture.astype(np.uint32) * 65535 + 2047) // 4095).astype(np.uint16)
    # White may be 0 in TIFF files, which Pillow handles only up to 8 bits.
    if about.get("PhotometricInterpretation") == 0 and picture.dtype != np.uint8:
        picture = (1 if picture.dtype.kind == "f" else 65535) - picture
    return picture.astype(picture.dtype.newbyteorder("="), copy=False)  # TIFF has either one


def converted(picture: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert levels to those of a dtype: 0..1, 0..255 or 0..65535."""
    if picture.dtype == dtype or dtype.kind == "f":
        return picture.astype(dtype, copy=False)
    if picture.dtype == np.uint16:
        return ((picture.astype(np.uint32) + 128) // 257).astype(dtype)
    return np.round(np.clip(picture, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def deep_levels_of(image: Any, again: Any) -> np.ndarray:
    """Return the 16-bit colour of a PNG file that was opened twice.

    Pillow decodes 8 bits of each channel at a time: the high ones or, if asked to, the low ones.
    Grey with alpha it decodes at once, as if the bytes were four channels.
    """
    is_grey = again.tile[0][3] == "LA;16B"
    mode = "RGBA" if is_grey else f"{again.mode};16L"
    again.tile = [(*tile[:3], mode) for tile in again.tile]
    low = array_of(again)
    if is_grey:
        return low.view(">u2").astype(np.uint16)
    pixels = array_of(image).astype(np.uint16)
    pixels <<= 8
    pixels |= low
    return pixels


def add_alpha(pixels: np.ndarray, clear: int | tuple) -> np.ndarray:
    """Add an alpha channel that is 0 where the pixels have the colour `clear`."""
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    seen = (pixels != np.asarray(clear, pixels.dtype)).any(axis=2, keepdims=True)
    return np.concatenate([pixels, seen * np.asarray(np.iinfo(pixels.dtype).max, pixels.dtype)], 2)


def without_colour(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Convert RGB and RGBA to grey and grey with alpha if all frames hold nothing but grey."""
    rgb = [frame for frame in frames if frame.ndim == 3 and frame.shape[2] >= 3]
    if len(rgb) < len(frames) or not all(
        np.array_equal(x[..., 0], x[..., 1]) and np.array_equal(x[..., 1], x[..., 2]) for x in rgb
    ):
        return frames
    return [x[:, :, 0] if x.shape[2] == 3 else x[:, :, [0, 3]] for x in rgb]


def check_planes(about: Mapping[str, Any], name: str | os.PathLike, more: str = "") -> None:
    """Raise `Refused` for a planar TIFF file of over 8 bits, whose channels Pillow mixes up."""
    bits = about.get("BitsPerSample")
    if about.get("PlanarConfiguration") == _APART and isinstance(bits, tuple) and max(bits) > 8:
        raise Refused(
            f"{name} holds {max(bits)} bits a channel with each channel apart (planar), which is "
            f"not read: save it with the channels together{more}"
        )
