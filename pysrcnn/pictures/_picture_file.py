"""The content of a picture file, in the form in which it is read, enlarged and written."""

import dataclasses
from fractions import Fraction

import numpy as np

__all__ = ["Chunk", "PictureFile"]

Chunk = tuple[bytes, bytes]  # of PNG: kind and content


@dataclasses.dataclass
class PictureFile:
    """The content of a picture file: its pixels and metadata.

    Attributes
    ----------
    frames : list of uint8, uint16 or float arrays (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Upright. The frames of an animation are complete pictures, all of one shape.
    kind : str
        The format that was read: "png", "jpeg", "webp", "tiff", "bmp", "gif", or "" for none.
    icc_profile, exif, xmp, iptc : bytes or None
        As stored. What they state about the old pixels is corrected or left out on writing.
    dpi : pair of floats or None
        Pixels per inch along the width and the height.
    ratio : Fraction or None
        Without DPI: how many pixels along the width are as long as one along the height.
    durations : list of floats or None
        How long each frame of an animation is shown, in milliseconds.
    plays : int
        How many times an animation is played; 0 is without end.
    notes : list of str
        What was lost in reading, a sentence each.
    colours, texts : list of pairs of bytes
        Chunks of a PNG file, kind and content: gAMA, cHRM, sRGB, cICP; tEXt, zTXt, iTXt.
    comment : bytes or None
        The comment of a JPEG or GIF file.
    lossy : bool
        Whether the file's compression was lossy, so that the result's may be, too.
    compression : int
        The compression of a TIFF file by TIFF's number; 1 is none.
    predictor : bool
        Whether a TIFF file stores differences between pixels.
    made_from : str or None
        For a result, the file name of the picture that was enlarged, or "" if it has none: the file
        gets a mark with it (`_mark`).
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
    made_from: str | None = None
