"""What goes along beside the pixels into a file of each format, so that it is true of them."""

import math
import re
import struct
from fractions import Fraction
from typing import Any

from . import _chunks, _exif, _iptc, _xmp
from ._beside import PHOTOSHOP, XMP, named
from ._directories import SHORT, Tags

__all__ = ["as_chunks", "as_segments", "as_tags", "carried"]

_CARRIES = {
    "png": {
        "icc_profile", "exif", "xmp", "iptc", "dpi", "ratio", "colours", "texts", "comment",
    },
    "jpeg": {"icc_profile", "exif", "xmp", "iptc", "dpi", "ratio", "comment"},
    "tiff": {"icc_profile", "exif", "xmp", "iptc", "dpi", "ratio"},
    "webp": {"icc_profile", "exif", "xmp"},
    "bmp": {"dpi"},
    "gif": {"comment"},
}  # fmt: skip
_PIECE = 65533  # bytes that fit into a segment of JPEG
_ROOM = {  # in JPEG
    "comment": _PIECE, "exif": _PIECE, "xmp": _PIECE - len(XMP),
    "iptc": _PIECE - 14 - len(PHOTOSHOP), "icc_profile": 255 * (_PIECE - 14),
}  # fmt: skip
# What a file multiplies numbers of pixels an inch by, and the largest whole number that fits.
_DENSEST = {
    "png": (1 / 0.0254, 2**31 - 1), "bmp": (1 / 0.0254, 2**31 - 1), "jpeg": (1, 65535),
    "tiff": (1000, (2**32 - 1) * 1000),
}  # fmt: skip
_TURNED = re.compile(rb"Orientation(?:\s*=\s*[\"']|>)\s*[2-8]")  # in XMP
_BYTE, _RATIONAL, _UNDEFINED = 1, 5, 7
_X, _Y, _UNIT, _NO_UNIT, _INCH, _PROFILE = 282, 283, 296, 1, 2, 34675


def carried(
    file: Any, kind: str, shape: tuple[int, ...]
) -> tuple[dict[str, Any], set[str], list[str]]:
    """What goes into a file of this kind, by name; what does not; and of it, parts, in words.

    `file` is a `PictureFile`, and `shape` that of the array of new pixels.
    """
    height, width = shape[:2]
    names = ("icc_profile", "exif", "xmp", "iptc", "dpi", "ratio", "colours", "texts", "comment")
    beside = {name: getattr(file, name) for name in names if getattr(file, name)}
    lost, parts = beside.keys() - _CARRIES[kind], []
    if _chunks.says_usual(file.colours, file.icc_profile):
        lost.discard("colours")
    turned = "xmp" in beside and _TURNED.search(beside["xmp"])
    if "exif" in beside and not _exif.has_head(beside["exif"]):
        lost.add("exif")
    elif "exif" in beside:
        exif = beside["exif"].removeprefix(b"Exif\0\0")
        turned = turned or _exif.numbers_of(exif, _exif.ORIENTATION).get(_exif.ORIENTATION, 1) != 1
        exif = _exif.after_enlarging(exif, width, height)
        beside["exif"] = b"Exif\0\0" + exif  # as JPEG has it
        if kind == "tiff":
            others = _exif.for_tiff(exif)[1]
            parts += [f"the tags {named(sorted(others))} of EXIF"] if others else []
    if "xmp" in beside and "xmp" not in lost:
        beside["xmp"], missing = _xmp.after_enlarging(beside["xmp"], width, height, bool(turned))
        parts += missing
    if "iptc" in beside:
        beside["iptc"] = _iptc.after_enlarging(beside["iptc"])
    lost |= {name for name in beside.keys() & {"xmp", "iptc"} if not beside[name]}  # damaged
    times, most = _DENSEST.get(kind, (1, math.inf))
    if not all(0.5 <= n * times < most + 0.5 for n in beside.get("dpi", ())):  # nor NaN
        lost.add("dpi")
    if kind == "jpeg":
        lost |= {name for name in _ROOM.keys() & beside if len(beside[name] or b"") > _ROOM[name]}
    if kind == "webp" and len(shape) == 2 and (file.icc_profile or b"")[16:20] == b"GRAY":
        lost.add("icc_profile")  # WebP has no grey; it becomes RGB
    beside = {k: v for k, v in beside.items() if k in _CARRIES[kind] - lost}
    if kind != "tiff" and "exif" in beside and _exif.density(beside["exif"][6:])[0] == file.dpi:
        lost.discard("dpi")  # which EXIF has
    return beside, lost, parts


def as_chunks(beside: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """Taken out of `beside`: what goes into a PNG file as chunks, without the resolution."""
    colours, texts = beside.pop("colours", []), beside.pop("texts", [])
    if "icc_profile" in beside:  # which a file has instead of sRGB
        colours = [chunk for chunk in colours if chunk[0] != b"sRGB"]
    chunks = colours + texts
    if "comment" in beside:
        chunks.append(_chunks.of_comment(beside.pop("comment")))
    if "xmp" in beside:
        chunks.append(_chunks.of_xmp(beside.pop("xmp")))
    if "iptc" in beside:
        chunks.append(_chunks.of_iptc(_iptc.in_resources(beside.pop("iptc"))))
    return chunks


def as_segments(beside: dict[str, Any]) -> bytes:
    """Taken out of `beside`: what goes into a JPEG file as segments that Pillow does not write."""
    pieces = []
    if "xmp" in beside:
        pieces.append((0xE1, XMP + beside.pop("xmp")))
    if "iptc" in beside:
        pieces.append((0xED, PHOTOSHOP + _iptc.in_resources(beside.pop("iptc"))))
    return b"".join(struct.pack(">BBH", 255, kind, len(d) + 2) + d for kind, d in pieces)


def as_tags(beside: dict[str, Any]) -> tuple[Tags, str]:
    """Taken out of `beside`: the tags that go into a TIFF file, and their order of bytes."""
    tags, order = {}, "<"
    if "exif" in beside:
        tags, _, order = _exif.for_tiff(beside.pop("exif"))
    for name, tag, kind in (
        ("icc_profile", _PROFILE, _UNDEFINED),
        ("xmp", _exif.XMP, _BYTE),
        ("iptc", _exif.IPTC, _UNDEFINED),
    ):
        if name in beside:
            data = beside.pop(name)
            tags[tag] = kind, len(data), data
    dpi, ratio = beside.pop("dpi", None), beside.pop("ratio", None)
    if dpi or ratio:
        pair = dpi or ratio.as_integer_ratio()
        for tag, n in zip((_X, _Y), pair, strict=True):
            n = Fraction(n).limit_denominator(1000)  # so that both parts fit into 32 bits
            if n.numerator >= 2**32:
                n = Fraction(round(n))
            tags[tag] = _RATIONAL, 1, struct.pack(order + "II", n.numerator, n.denominator)
        tags[_UNIT] = SHORT, 1, struct.pack(order + "H", _INCH if dpi else _NO_UNIT)
    return tags, order
