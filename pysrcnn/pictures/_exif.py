"""EXIF corrected for a picture that was turned upright and enlarged.

EXIF is a TIFF file without pixels. Tags are changed and removed in place, byte by byte. Unlike in
Pillow, nothing is moved: makers' notes point into the block by offsets that nobody else can
correct.
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
_SITING, _CENTRED = 0x0213, 1  # of chroma, which we write for every pixel
_BITS, _FORMAT, _DTYPES = 0x0102, 0x0153, {1: "uint", 2: "int", 3: "float"}
_PER_UNIT, _UNIT, _INCHES = (0x011A, 0x011B), 0x0128, {2: 1.0, 3: 2.54}  # 3: centimetres
_PROFILE, XMP, IPTC, PHOTOSHOP = 0x8773, 0x02BC, 0x83BB, 0x8649
_SAMPLES, _CODES = 0x0115, {SHORT: "H", LONG: "I"}
# How previews begin: with JPEG's start of image, and one of the markers that may come next.
_PREVIEW = re.compile(rb"\xff\xd8\xff[\xc0\xc4\xdb\xdd\xe0-\xef\xfe]")
# Tags of a TIFF file about how its pixels are stored, and for what other formats keep elsewhere.
_OF_PIXELS = {
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284,
    286, 287, 288, 289, 290, 291, 292, 293, 297, 301, 317, 320, 321, 322, 323, 324, 325,
    326, 327, 328, 330, 332, 333, 334, 336, 338, 339, 340, 341, 342, 343, 344, 345, 346, 347, 351,
    400, 401, 402, 403, 404, 405, 433, 434, 435, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529,
    530, 531, 532, 559, 282, 283, 296, XMP, 32995, 32996, 32997, 32998, 33300, 33301, 33302, 33303,
    33304, 33305, 33421, 33422, IPTC, PHOTOSHOP, 34232, _PROFILE, 37399, 42113, 48256, 48257,
    48320, 48321, 48322, 48323, 48324, 48325, 50674, 50706, 50707, 50719, 50720, 50829, 50830,
}  # fmt: skip
# Those among them that EXIF has in other formats, too: resolution, colours.
_IN_EXIF = {*_PER_UNIT, _UNIT, 301, ORIENTATION, _SITING}
# Georeferencing: GeoTIFF, Intergraph (33920) and RPC (50844).
_ON_MAP = {33550, 33920, 33922, 34264, 34735, 34736, 34737, 50844}
# Tags about the picture rather than its pixels: texts, the camera, ratings.
_OF_PICTURE = POINTERS | {
    269, DESCRIPTION, 271, 272, 285, 305, 306, 315, 316, 318, 319, 18246, 18249, 32781, 33423,
    33432, 33434, 33437, 34850, 34852, 34855, 34864, 34865, 36867, 36868, 37377, 37378, 37379,
    37380, 37381, 37382, 37383, 37384, 37385, 37386, 37393, 37398, 40091, 40092, 40093, 40094,
    40095, 50341,
}  # fmt: skip
_ROOM = {59932, 59933}  # padding
_WITH_OTHERS = {ORIENTATION, *_PER_UNIT, _UNIT}  # no reason for EXIF by themselves
# EXIF's own: CompressedBitsPerPixel, SubjectArea, SubjectLocation, the focal plane's resolution,
# CFAPattern; and TIFF/EP's numbers for some of these.
_OF_PIXELS_IN_EXIF = {
    0x9102, 0x9214, 0xA214, 0xA20E, 0xA20F, 0xA210, 0xA302, 0x920E, 0x920F, 0x9210, 0x828D, 0x828E,
}  # fmt: skip


def has_head(exif: bytes) -> bool:
    """Return whether it begins like EXIF; some readers reject pictures with anything else."""
    tiff = Tiff(exif.removeprefix(b"Exif\0\0"))
    return tiff.valid and not tiff.big


def after_enlarging(exif: bytes, width: int, height: int) -> bytes:
    """Return EXIF corrected for a picture that is stored upright with this many pixels.

    Previews are removed, those in makers' notes included. Damaged parts that cannot be followed
    stay as they are.
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
    """Return the block with zeros in place of JPEG pictures; one at its end is cut off."""
    changed, end = bytearray(block), 0
    while start := _PREVIEW.search(block, end):
        end = block.find(b"\xff\xd9", start.end()) + 2
        if end < 2:  # neither it nor a later one has an end
            changed = bytearray(_PREVIEW.sub(bytes(4), bytes(changed)))
            break
        changed[start.start() : end] = bytes(end - start.start())
        if end == len(block):
            del changed[start.start() :]
    return changed


def _change(
    block: bytearray, tiff: Tiff, at: int, dropped: Set[int], values: dict[int, tuple[int, int]]
) -> dict[int, int]:
    """Remove the tags `dropped` from a directory, and set those in `values` that it has.

    The pointer to the next directory is cleared. Returns where the directory's own pointers lead.
    A directory beyond the end of the block has no tags.
    """
    pointers: dict[int, int] = {}
    kept: list[bytearray] = []
    places, turned = {}, False
    found, order = list(tiff.entries(at)), tiff.order
    for place, tag, _ in found:
        entry = block[place : place + 12]
        if tag == ORIENTATION:  # the number may be in any of the four bytes
            turned = turned or max(entry[8:]) in (5, 6, 7, 8)
        if tag in POINTERS:
            (pointers[tag],) = struct.unpack_from(order + "I", entry, 8)
        if tag in values:  # whatever its kind and count were
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
        # Zeros replace the removed tags and the pointer to the next directory.
        room = 12 * len(found) + (4 if count == len(found) else 0)
        room = min(room, len(block) - at - 2)
        block[at + 2 : at + 2 + room] = b"".join(kept).ljust(room, b"\0")
    return pointers


def _describes_pixels(description: str) -> bool:
    """Return whether an ImageDescription states the layout of pixels, which enlarging changes.

    Those of tifffile, ImageJ and OME do.
    """
    return description.startswith(('{"shape"', "ImageJ=")) or "<OME" in description[:2000]


def orientation_of(content: Any) -> int:
    """Return the orientation that a TIFF file or EXIF states; 1 if it states none."""
    return Tiff(content).number(ORIENTATION, 1)


def dtype_of_tiff(content: Any) -> str | None:
    """Return NumPy's name for the samples of a TIFF file, "float64"; None if it states no type."""
    tiff = Tiff(content)
    bits, format = tiff.number(_BITS), tiff.number(_FORMAT, 1)
    return f"{_DTYPES[format]}{bits}" if bits and format in _DTYPES else None


def is_on_map(tags: Iterable[int]) -> bool:
    """Return whether any tag places the pixels on a map, which enlarging makes untrue."""
    return not _ON_MAP.isdisjoint(tags)


def beside_pixels(content: bytes) -> dict[str, Any]:
    """Return a TIFF file's channels, orientation and colour profile under Pillow's names."""
    tiff = Tiff(content)
    about: dict[str, Any] = {"mode": "RGB", "Orientation": tiff.number(ORIENTATION)}
    about["SamplesPerPixel"] = tiff.number(_SAMPLES)
    profile = tiff.held(tiff.first, {_PROFILE}).get(_PROFILE)
    return about | ({"icc_profile": profile[2]} if profile else {})


def of_tiff(tiff: Tiff) -> tuple[bytes | None, set[int]]:
    """Return a TIFF file's tags about its picture as EXIF, and the tags that this leaves out.

    The EXIF is None if there is nothing to keep.
    """
    tags, others = _of_picture(tiff, _OF_PICTURE | _WITH_OTHERS)
    if not tags.keys() - _WITH_OTHERS:
        return None, others
    head = b"II*\0\b\0\0\0" if tiff.order == "<" else b"MM\0*\0\0\0\b"
    return b"Exif\0\0" + head + packed(tags, 8, tiff.order), others


def for_tiff(exif: bytes) -> tuple[Tags, set[int], str]:
    """Return the tags of EXIF that a TIFF file can have, those it cannot, and their byte order."""
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
    """Return the tags with directories in place of these pointers, and without other pointers."""
    for tag in POINTERS & tags.keys():
        data, inner = tags.pop(tag)[2], {}
        if tag in pointers and isinstance(data, bytes):
            at = int.from_bytes(data, "little" if tiff.order == "<" else "big")
            more = {_INTEROP} if tag == _MORE else set()  # so that no cycle is followed
            inner = _followed(tiff, tiff.held(at), more)
        if inner:
            tags[tag] = LONG, 1, inner
    return {tag: value for tag, value in tags.items() if value[0] < LONG8}


def density(tiff: Tiff) -> tuple[tuple[float, float] | None, Fraction | None]:
    """Return (DPI along width and height, None), or (None, their ratio) where no unit is given."""
    x, y = map(tiff.real, _PER_UNIT)
    unit = _INCHES.get(tiff.number(_UNIT, 2))
    return (known_dpi(x * unit, y * unit), None) if unit else (None, ratio_of(x, y))


def known_dpi(x: float, y: float) -> tuple[float, float] | None:
    """Return the pair if both are finite numbers above 0, else None."""
    return (x, y) if 0 < x < math.inf and 0 < y < math.inf else None


def ratio_of(x: float, y: float) -> Fraction | None:
    """Return the horizontal density divided by the vertical one; None if it is 1 or meaningless."""
    if known_dpi(x, y) is None or not 0 < x / y < math.inf:
        return None
    ratio = Fraction(x / y).limit_denominator(1000)
    return ratio if ratio not in (0, 1) else None
