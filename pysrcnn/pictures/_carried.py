"""Metadata for an output file of each format, corrected for the new pixels."""

import math
import re
import struct
from fractions import Fraction
from typing import Any

from . import _chunks, _exif, _iptc, _xmp
from ._directories import SHORT, Tags, Tiff
from ._metadata import PHOTOSHOP, XMP, named
from ._picture_file import PictureFile

__all__ = ["as_segments", "as_tags", "carried"]

_NAMES = ("icc_profile", "exif", "xmp", "iptc", "dpi", "ratio", "colours", "texts", "comment")

_CARRIES = {
    "png": set(_NAMES),
    "jpeg": {"icc_profile", "exif", "xmp", "iptc", "dpi", "ratio", "comment"},
    "tiff": {"icc_profile", "exif", "xmp", "iptc", "dpi", "ratio"},
    "webp": {"icc_profile", "exif", "xmp"},
    "bmp": {"dpi"},
    "gif": {"comment"},
}  # fmt: skip
_PIECE = 65533  # bytes that fit into a JPEG segment
_ROOM = {  # bytes that fit into a JPEG file
    "comment": _PIECE, "exif": _PIECE, "xmp": _PIECE - len(XMP),
    "iptc": _PIECE - 14 - len(PHOTOSHOP), "icc_profile": 255 * (_PIECE - 14),
}  # fmt: skip
# The factor from pixels per inch to the stored number, and the largest number that fits.
_DENSEST = {
    "png": (1 / 0.0254, 2**31 - 1), "bmp": (1 / 0.0254, 2**31 - 1), "jpeg": (1, 65535),
    "tiff": (1000, (2**32 - 1) * 1000),
}  # fmt: skip
_TURNED = re.compile(rb"Orientation(?:\s*=\s*[\"']|>)\s*[2-8]")  # in XMP
_BYTE, _RATIONAL, _UNDEFINED = 1, 5, 7
_X, _Y, _UNIT, _NO_UNIT, _INCH, _PROFILE = 282, 283, 296, 1, 2, 34675


def carried(
    file: PictureFile, kind: str, shape: tuple[int, ...]
) -> tuple[dict[str, Any], set[str], list[str]]:
    """Return the metadata for a file of this kind, the names left out, and the parts left out.

    The parts are described in words. `shape` is the shape of the array of new pixels.
    """
    height, width = shape[:2]
    metadata = {name: getattr(file, name) for name in _NAMES if getattr(file, name)}
    lost, parts = metadata.keys() - _CARRIES[kind], []
    if _chunks.are_default(file.colours, file.icc_profile):
        lost.discard("colours")
    turned = bool(file.xmp and _TURNED.search(file.xmp))
    if file.exif and not _exif.has_head(file.exif):
        lost.add("exif")
    elif file.exif:
        exif = file.exif.removeprefix(b"Exif\0\0")
        turned = turned or _exif.orientation_of(exif) != 1
        exif = _exif.after_enlarging(exif, width, height)
        metadata["exif"] = b"Exif\0\0" + exif  # as JPEG has it
        if kind == "tiff":
            others = _exif.for_tiff(exif)[1]
            parts += [f"the tags {named(sorted(others))} of EXIF"] if others else []
    if file.xmp and "xmp" not in lost:
        metadata["xmp"], missing = _xmp.after_enlarging(file.xmp, width, height, turned)
        parts += missing
    if file.iptc:
        metadata["iptc"] = _iptc.after_enlarging(file.iptc)
    lost |= {name for name in metadata.keys() & {"xmp", "iptc"} if not metadata[name]}  # damaged
    lost |= _unfit(metadata, kind)
    if kind == "webp" and len(shape) == 2 and (file.icc_profile or b"")[16:20] == b"GRAY":
        lost.add("icc_profile")  # WebP has no grey; it becomes RGB
    metadata = {name: metadata[name] for name in metadata.keys() & (_CARRIES[kind] - lost)}
    if kind != "tiff" and "exif" in metadata:
        if _exif.density(Tiff(metadata["exif"][6:]))[0] == file.dpi:
            lost.discard("dpi")  # EXIF states it
    return metadata, lost, parts


def _unfit(metadata: dict[str, Any], kind: str) -> set[str]:
    """Return the names of metadata whose values do not fit into a file of this kind."""
    lost: set[str] = set()
    times, most = _DENSEST.get(kind, (1, math.inf))
    if not all(0.5 <= n * times < most + 0.5 for n in metadata.get("dpi", ())):  # NaN fails, too
        lost.add("dpi")
    if kind == "jpeg":
        large = (name for name, room in _ROOM.items() if len(metadata.get(name) or b"") > room)
        lost.update(large)
    return lost


def as_segments(metadata: dict[str, Any]) -> bytes:
    """Remove from `metadata` what Pillow does not write to JPEG, and return it as segments."""
    pieces = []
    if "xmp" in metadata:
        pieces.append((0xE1, XMP + metadata.pop("xmp")))
    if "iptc" in metadata:
        pieces.append((0xED, PHOTOSHOP + _iptc.in_resources(metadata.pop("iptc"))))
    return b"".join(struct.pack(">BBH", 255, kind, len(d) + 2) + d for kind, d in pieces)


def as_tags(metadata: dict[str, Any]) -> tuple[Tags, str]:
    """Return metadata as tags of a TIFF file, and their byte order."""
    tags: Tags = {}
    order = "<"
    if "exif" in metadata:
        tags, _, order = _exif.for_tiff(metadata["exif"])
    for name, tag, kind in (
        ("icc_profile", _PROFILE, _UNDEFINED),
        ("xmp", _exif.XMP, _BYTE),
        ("iptc", _exif.IPTC, _UNDEFINED),
    ):
        if name in metadata:
            tags[tag] = kind, len(metadata[name]), metadata[name]
    dpi = metadata.get("dpi")
    if dpi or "ratio" in metadata:
        pair = dpi or metadata["ratio"].as_integer_ratio()
        for tag, n in zip((_X, _Y), pair, strict=True):
            n = Fraction(n).limit_denominator(1000)  # so that both parts fit into 32 bits
            if n.numerator >= 2**32:
                n = Fraction(round(n))
            tags[tag] = _RATIONAL, 1, struct.pack(order + "II", n.numerator, n.denominator)
        tags[_UNIT] = SHORT, 1, struct.pack(order + "H", _INCH if dpi else _NO_UNIT)
    return tags, order
