"""EXIF of a picture that was turned upright and enlarged: what it says of the old pixels goes.

EXIF is a TIFF file without pixels. Tags are changed and left out in place, byte by byte, and
nothing is moved, as Pillow would: makers' notes point into the block by offsets that nobody else
can correct.
"""

import math
import re
import struct
from collections.abc import Iterable, Set
from fractions import Fraction
from typing import Any

from ._directories import LONG, LONG8, POINTERS, SHORT, Tags, Tiff, packed

__all__ = [
    "IPTC",
    "ORIENTATION",
    "PHOTOSHOP",
    "XMP",
    "after_enlarging",
    "beside_pixels",
    "density",
    "dtype_of_tiff",
    "for_tiff",
    "has_head",
    "is_on_map",
    "known_dpi",
    "of_tiff",
    "orientation_of",
    "ratio_of",
]

DESCRIPTION, ORIENTATION = 0x010E, 0x0112
_MORE, _INTEROP = 0x8769, 0xA005  # pointers
_COMPONENTS = 0x9101  # of compressed pixels that are not RGB
_SITING, _CENTRED = 0x0213, 1  # of chroma, which is written for every pixel
_BITS, _FORMAT, _DTYPES = 0x0102, 0x0153, {1: "uint", 2: "int", 3: "float"}
_PER_UNIT, _UNIT, _INCHES = (0x011A, 0x011B), 0x0128, {2: 1.0, 3: 2.54}  # 3: centimetres
_PROFILE, XMP, IPTC, PHOTOSHOP = 0x8773, 0x02BC, 0x83BB, 0x8649
_SAMPLES, _CODES = 0x0115, {SHORT: "H", LONG: "I"}
# How previews begin: with the start of a picture, and one of the markers that come next in JPEG.
_PREVIEW = re.compile(rb"\xff\xd8\xff[\xc0\xc4\xdb\xdd\xe0-\xef\xfe]")
# Tags of a TIFF file that say how its pixels are stored, and what other formats hold elsewhere.
_OF_PIXELS = {
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284,
    286, 287, 288, 289, 290, 291, 292, 293, 297, 301, 317, 320, 321, 322, 323, 324, 325,
    326, 327, 328, 330, 332, 333, 334, 336, 338, 339, 340, 341, 342, 343, 344, 345, 346, 347, 351,
    400, 401, 402, 403, 404, 405, 433, 434, 435, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529,
    530, 531, 532, 559, 282, 283, 296, XMP, 32995, 32996, 32997, 32998, 33300, 33301, 33302, 33303,
    33304, 33305, 33421, 33422, IPTC, PHOTOSHOP, 34232, _PROFILE, 37399, 42113, 48256, 48257,
    48320, 48321, 48322, 48323, 48324, 48325, 50674, 50706, 50707, 50719, 50720, 50829, 50830,
}  # fmt: skip
# Those among them that EXIF has in other files too: its resolution, its colours.
_IN_EXIF = {*_PER_UNIT, _UNIT, 301, ORIENTATION, _SITING}
# Where its pixels are on the map: of GeoTIFF, Intergraph (33920) and RPC (50844).
_ON_MAP = {33550, 33920, 33922, 34264, 34735, 34736, 34737, 50844}
# Tags that are of the picture, whatever its pixels: texts, the camera, ratings; and empty room.
_OF_PICTURE = POINTERS | {
    269, DESCRIPTION, 271, 272, 285, 305, 306, 315, 316, 318, 319, 18246, 18249, 32781, 33423,
    33432, 33434, 33437, 34850, 34852, 34855, 34864, 34865, 36867, 36868, 37377, 37378, 37379,
    37380, 37381, 37382, 37383, 37384, 37385, 37386, 37393, 37398, 40091, 40092, 40093, 40094,
    40095, 50341,
}  # fmt: skip
_ROOM = {59932, 59933}
_WITH_OTHERS = {ORIENTATION, *_PER_UNIT, _UNIT}  # no reason for EXIF by themselves
# EXIF's own: CompressedBitsPerPixel, SubjectArea, SubjectLocation, the resolution on the sensor,
# CFAPattern; TIFF/EP's numbers for some of these.
_OF_PIXELS_IN_EXIF = {
    0x9102, 0x9214, 0xA214, 0xA20E, 0xA20F, 0xA210, 0xA302, 0x920E, 0x920F, 0x9210, 0x828D, 0x828E,
}  # fmt: skip


def has_head(exif: bytes) -> bool:
    """Whether it begins as EXIF does; pictures around anything else cannot be read by some."""
    tiff = Tiff(exif.removeprefix(b"Exif\0\0"))
    return tiff.valid and not tiff.big


def after_enlarging(exif: bytes, width: int, height: int) -> bytes:
    """The same EXIF for a picture that is stored upright with this many pixels.

    Without its preview, and those in makers' notes. What cannot be followed, because it is
    damaged, is left as it is.
    """
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    block = exif[start:]
    if not has_head(block):
        return exif
    changed = _without_previews(block)
    tiff = Tiff(changed)
    upright = {ORIENTATION: (SHORT, 1), _SITING: (SHORT, _CENTRED)}
    pointers = _change(changed, tiff, tiff.first, _OF_PIXELS - _IN_EXIF, upright)
    seen = {tiff.first}
    for pointer, dropped, sizes in (
        (_MORE, _OF_PIXELS_IN_EXIF, {0xA002: (LONG, width), 0xA003: (LONG, height)}),
        (_INTEROP, set(), {0x1001: (LONG, width), 0x1002: (LONG, height)}),
    ):
        at = pointers.get(pointer)
        if at is not None and at not in seen:
            seen.add(at)
            pointers |= _change(changed, tiff, at, dropped, sizes)
    return exif[:start] + bytes(changed)


def _without_previews(block: bytes) -> bytearray:
    """With zeros in place of JPEG pictures; shorter, if the last one was at its end."""
    changed, end = bytearray(block), 0
    while start := _PREVIEW.search(block, end):
        end = block.find(b"\xff\xd9", start.end()) + 2
        if end < 2:  # it has no end, nor have others
            changed = bytearray(_PREVIEW.sub(bytes(4), bytes(changed)))
            break
        changed[start.start() : end] = bytes(end - start.start())
        if end == len(block):
            del changed[start.start() :]
    return changed


def _change(
    block: bytearray, tiff: Tiff, at: int, dropped: Set[int], values: dict[int, tuple[int, int]]
) -> dict[int, int]:
    """Leave these tags of a directory out, and set those, if they are there; nothing comes next.

    Returns where its pointers lead. At a place beyond the end, it stops.
    """
    pointers: dict[int, int] = {}
    kept: list[bytearray] = []
    places, turned = {}, False
    found, order = list(tiff.entries(at)), tiff.order
    for place, tag, _ in found:
        entry = block[place : place + 12]
        if tag == ORIENTATION:  # a number, in whichever of the four bytes
            turned = turned or max(entry[8:]) in (5, 6, 7, 8)
        if tag in POINTERS:
            (pointers[tag],) = struct.unpack_from(order + "I", entry, 8)
        if tag in values:  # of whatever kind and number it was
            kind, value = values[tag]
            struct.pack_into(order + "HII", entry, 2, kind, 1, 0)
            struct.pack_into(order + _CODES[kind], entry, 8, value)
        if tag not in dropped:
            places[tag] = len(kept)
            kept.append(entry)
    if turned and places.keys() >= set(_PER_UNIT):
        x, y = (kept[places[tag]] for tag in _PER_UNIT)
        x[2:], y[2:] = y[2:], x[2:]
    if found:
        (count,) = struct.unpack_from(order + "H", block, at)
        if len(kept) < len(found):
            struct.pack_into(order + "H", block, at, len(kept))
        # Zeros where left-out tags were, and behind the last one: there is no other directory.
        room = 12 * len(found) + (4 if count == len(found) else 0)
        room = min(room, len(block) - at - 2)
        block[at + 2 : at + 2 + room] = b"".join(kept).ljust(room, b"\0")
    return pointers


def _describes_pixels(description: str) -> bool:
    """Whether an ImageDescription is of the arrangement of pixels, which enlarging makes untrue.

    So those of tifffile, ImageJ and OME are.
    """
    return description.startswith(('{"shape"', "ImageJ=")) or "<OME" in description[:2000]


def orientation_of(content: Any) -> int:
    """How the stored picture is to be turned, by a TIFF file or EXIF; 1 if it does not say."""
    return Tiff(content).number(ORIENTATION, 1)


def dtype_of_tiff(content: Any) -> str | None:
    """What a TIFF file holds, as NumPy calls it, "float64"; None if it does not say, or is none."""
    tiff = Tiff(content)
    bits, format = tiff.number(_BITS), tiff.number(_FORMAT, 1)
    return f"{_DTYPES[format]}{bits}" if bits and format in _DTYPES else None


def is_on_map(tags: Iterable[int]) -> bool:
    """Whether some of a TIFF file's tags say where its pixels are, which enlarging makes untrue."""
    return not _ON_MAP.isdisjoint(tags)


def beside_pixels(content: bytes) -> dict[str, Any]:
    """What a TIFF file says of channels, orientation and profile, by Pillow's names."""
    tiff = Tiff(content)
    about: dict[str, Any] = {"mode": "RGB", "Orientation": tiff.number(ORIENTATION)}
    about["SamplesPerPixel"] = tiff.number(_SAMPLES)
    profile = tiff.held(tiff.first, {_PROFILE}).get(_PROFILE)
    return about | ({"icc_profile": profile[2]} if profile else {})


def of_tiff(tiff: Tiff) -> tuple[bytes | None, set[int]]:
    """What a TIFF file says of its picture besides the pixels, as EXIF; the tags it is without.

    None for nothing.
    """
    tags, others = _of_picture(tiff, _OF_PICTURE | _WITH_OTHERS)
    if not tags.keys() - _WITH_OTHERS:
        return None, others
    head = b"II*\0\b\0\0\0" if tiff.order == "<" else b"MM\0*\0\0\0\b"
    return b"Exif\0\0" + head + packed(tags, 8, tiff.order), others


def for_tiff(exif: bytes) -> tuple[Tags, set[int], str]:
    """The tags of EXIF that a TIFF file can have; those it cannot have; their order of bytes."""
    tiff = Tiff(exif.removeprefix(b"Exif\0\0"))
    tags, others = _of_picture(tiff, _OF_PICTURE)
    more = tags[_MORE][2] if _MORE in tags else None
    if isinstance(more, dict):
        more.pop(_COMPONENTS, None)
    return tags, others, tiff.order


def _of_picture(tiff: Tiff, wanted: Set[int]) -> tuple[Tags, set[int]]:
    tags = tiff.held(tiff.first, wanted)
    _, _, description = tags.get(DESCRIPTION, (0, 0, b""))
    if isinstance(description, bytes) and _describes_pixels(description.decode("latin-1")):
        del tags[DESCRIPTION]
    others = tiff.page.keys() - _OF_PICTURE - _OF_PIXELS - _ON_MAP - _ROOM
    return _followed(tiff, tags), others


def _followed(tiff: Tiff, tags: Tags, pointers: Set[int] = frozenset(POINTERS)) -> Tags:
    """With directories in place of these pointers, and without the others."""
    for tag in POINTERS & tags.keys():
        data, inner = tags.pop(tag)[2], {}
        if tag in pointers and isinstance(data, bytes):
            at = int.from_bytes(data, "little" if tiff.order == "<" else "big")
            more = {_INTEROP} if tag == _MORE else set()  # so that no circle is followed
            inner = _followed(tiff, tiff.held(at), more)
        if inner:
            tags[tag] = LONG, 1, inner
    return {tag: value for tag, value in tags.items() if value[0] < LONG8}


def density(tiff: Tiff) -> tuple[tuple[float, float] | None, Fraction | None]:
    """Pixels an inch along width and height; or, where it is only that, their ratio."""
    x, y = map(tiff.real, _PER_UNIT)
    unit = _INCHES.get(tiff.number(_UNIT, 2))
    return (known_dpi(x * unit, y * unit), None) if unit else (None, ratio_of(x, y))


def known_dpi(x: float, y: float) -> tuple[float, float] | None:
    """These, if they are numbers above 0."""
    return (x, y) if 0 < x < math.inf and 0 < y < math.inf else None


def ratio_of(x: float, y: float) -> Fraction | None:
    """How many pixels along the width are as long as one along the height; None for one."""
    if known_dpi(x, y) is None or not 0 < x / y < math.inf:
        return None
    ratio = Fraction(x / y).limit_denominator(1000)
    return ratio if ratio not in (0, 1) else None
