"""What a picture file holds, in the form in which it is read, enlarged and written."""

import dataclasses
from fractions import Fraction

import numpy as np

__all__ = ["Chunk", "PictureFile"]

Chunk = tuple[bytes, bytes]  # of PNG: its kind, and its content


@dataclasses.dataclass
class PictureFile:
    """What a picture file holds.

    Attributes
    ----------
    frames : list of uint8, uint16 or float arrays (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Upright, as they are seen: an animation's frames are whole pictures, all of one shape.
    kind : str
        Of the file that was read: "png", "jpeg", "webp", "tiff", "bmp", "gif", or "".
    icc_profile, exif, xmp, iptc : bytes or None
        As stored; what they say of the old pixels is corrected or left out when they are written.
    dpi : pair of floats or None
        Pixels an inch, along the width and the height.
    ratio : Fraction or None
        Where no DPI is said: how many pixels along the width are as long as one along the height.
    durations : list of floats or None
        How long each frame of an animation is shown, in milliseconds.
    plays : int
        How often an animation is played; 0: without end.
    notes : list of str
        What was lost in reading, a sentence each.
    colours, texts : list of pairs of bytes
        Chunks of a PNG file, kind and content: gAMA, cHRM, sRGB, cICP; tEXt, zTXt, iTXt.
    comment : bytes or None
        Of a JPEG or GIF file.
    lossy : bool
        Whether its pixels were stored with loss, so that more of that is no surprise.
    compression : int
        How a TIFF file's pixels are packed, by its numbers; 1: not at all.
    predictor : bool
        Whether differences between them are.
    enlarged : bool
        Whether it is a result, and its file is to say so (`_mark`).
    """

    frames: list[np.ndarray]
    kind: str = ""
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    durations: list[float] | None = None
    plays: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)
    colours: list[Chunk] = dataclasses.field(default_factory=list)
    texts: list[Chunk] = dataclasses.field(default_factory=list)
    comment: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    ratio: Fraction | None = None
    lossy: bool = False
    compression: int = 1
    predictor: bool = False
    enlarged: bool = False
