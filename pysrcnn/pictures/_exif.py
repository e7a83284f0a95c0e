"""EXIF of a picture that was turned upright and enlarged: two kinds of tags change, the rest stays.

EXIF is a TIFF file without pixels. The tags are changed in place, byte by byte, and nothing is
moved: makers' notes point into the block by offsets that nobody else can correct.
"""

import contextlib
import io
import math
import struct
import warnings
from collections.abc import Iterable

from . import _tiff

__all__ = [
    "after_enlarging",
    "beside_pixels",
    "describes_pixels",
    "dtype_of_tiff",
    "from_full_size",
    "has_head",
    "is_on_map",
    "of_tiff",
    "tags_of",
]

DESCRIPTION, ORIENTATION, SOFTWARE = 0x010E, 0x0112, 0x0131
POINTER_TO_MORE, WIDTH, HEIGHT = 0x8769, 0xA002, 0xA003
_SHORT, _LONG = 3, 4
_BITS, _FORMAT, _CALLED = 0x0102, 0x0153, {1: "uint", 2: "int", 3: "float"}
_PER_UNIT, _UNIT, _INCHES = (0x011A, 0x011B), 0x0128, {2: 1.0, 3: 2.54}  # 3: centimetres
_PROFILE = 0x8773
_POINTERS = {POINTER_TO_MORE, 0x8825, 0xA005}
_BIG = b"II+\0"  # BigTIFF, of the order of bytes in which Pillow reads it
_SAMPLES = 0x0115


def has_head(exif: bytes) -> bool:
    """Whether it begins as EXIF does; pictures around anything else cannot be read by some."""
    return exif.removeprefix(b"Exif\0\0")[:4] in (b"II*\0", b"MM\0*")


def after_enlarging(exif: bytes, width: int, height: int) -> bytes:
    """The same EXIF for a picture that is stored upright with this many pixels.

    What cannot be followed, because it is damaged, is left as it is.
    """
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    block = bytearray(exif[start:])
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    if order is None:
        return exif
    more = _change(block, order, 4, {ORIENTATION: 1})
    if more:
        _change(block, order, more, {WIDTH: width, HEIGHT: height})
    return exif[:start] + bytes(block)


def _change(block: bytearray, order: str, pointer: int, values: dict[int, int]) -> int | None:
    """Set these tags of the directory that is pointed to, if they are there.

    Returns where the pointer to more tags is. At a place beyond the end, it stops.
    """
    more = None
    with contextlib.suppress(struct.error):
        (offset,) = struct.unpack_from(order + "I", block, pointer)
        (count,) = struct.unpack_from(order + "H", block, offset)
        for at in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", block, at)
            if tag == POINTER_TO_MORE:
                more = at + 8
            elif tag == ORIENTATION and tag in values:  # of whatever type and number it was
                struct.pack_into(order + "HIHH", block, at + 2, _SHORT, 1, values[tag], 0)
            elif tag in values and number == 1 and kind in (_SHORT, _LONG):
                value = values[tag] if kind == _LONG else min(values[tag], 65535)
                struct.pack_into(order + ("I" if kind == _LONG else "H"), block, at + 8, value)
    return more


# Tags of a TIFF file that say how its pixels are stored, and what other formats hold elsewhere.
_OF_PIXELS = {
    254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 284, 288, 289,
    290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334,
    336, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532,
    282, 283, 296, 700, 34377, 34675,
}  # fmt: skip
# Where its pixels are on the map: of GeoTIFF, Intergraph (33920) and RPC (50844).
_ON_MAP = {33550, 33920, 33922, 34264, 34735, 34736, 34737, 50844}


def describes_pixels(description: str) -> bool:
    """Whether an ImageDescription is of the arrangement of pixels, which enlarging makes untrue.

    So those of tifffile, ImageJ and OME are.
    """
    return description.startswith(('{"shape"', "ImageJ=")) or "<OME" in description[:2000]


def tags_of(exif: bytes) -> dict[int, object]:
    """The tags of its first directory; none if it is damaged."""
    from PIL.Image import Exif
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if exif.startswith(_BIG):
                tags = ImageFileDirectory_v2(exif[:16])
                file = io.BytesIO(exif)
                file.seek(tags.next)
                tags.load(file)
            else:
                tags.load(exif)
            return dict(tags)  # which reads them
    except Exception:
        return {}


def dtype_of_tiff(content: bytes) -> str | None:
    """What a TIFF file holds, as NumPy calls it, "float64"; None if it does not say."""
    tags = tags_of(content)
    bits, form = (
        value[0] if isinstance(value, tuple) and value else value
        for value in (tags.get(_BITS), tags.get(_FORMAT, 1))
    )
    return f"{_CALLED[form]}{bits}" if form in _CALLED and isinstance(bits, int) else None


def is_on_map(tags: Iterable[int]) -> bool:
    """Whether some of a TIFF file's tags say where its pixels are, which enlarging makes untrue."""
    return not _ON_MAP.isdisjoint(tags)


def from_full_size(content: bytes) -> bytes:
    """A TIFF file as if it began with its first page that is no smaller copy of another one.

    Other files, and those of smaller copies alone or damage, as they are.
    """
    try:
        found = _tiff.Directories(content)
        pages = found.pages()
        first = page = next(pages, None)
        while page is not None and found.number(found.at(page)[0], _tiff.SUBFILE, 0) & 1:
            page = next(pages, None)
    except (ValueError, struct.error, OverflowError):
        return content
    if page is None or page == first:
        return content
    block = struct.pack(found.order + found.pointer, page)
    return content[: found.first] + block + content[found.first + len(block) :]


def beside_pixels(content: bytes) -> dict[str, object]:
    """What a TIFF file says of channels, orientation, profile and DPI, by imageio's names."""
    tags = tags_of(content)
    about = {"mode": "RGB", "Orientation": tags.get(ORIENTATION)}
    about |= {"SamplesPerPixel": tags.get(_SAMPLES)}
    if isinstance(tags.get(_PROFILE), bytes):
        about["icc_profile"] = tags[_PROFILE]
    with contextlib.suppress(KeyError, TypeError, ValueError, ArithmeticError):  # none, or damaged
        dpi = tuple(float(tags[tag]) * _INCHES[tags.get(_UNIT, 2)] for tag in _PER_UNIT)
        if all(map(math.isfinite, dpi)):
            about["dpi"] = dpi
    return about


def of_tiff(content: bytes) -> bytes | None:
    """What a TIFF file says of its picture besides the pixels, as EXIF; None for nothing.

    Raises
    ------
    ValueError
        If that is damaged.
    """
    from PIL.Image import Exif  # Pillow, which imageio brings and reads TIFF by

    exif = Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if content.startswith(_BIG):
                tags = tags_of(content)
                exif.update({tag: tags[tag] for tag in tags.keys() - _POINTERS})
            else:
                exif.load(content)
        for tag in (_OF_PIXELS | _ON_MAP) & set(exif):
            del exif[tag]
        if describes_pixels(str(exif.get(DESCRIPTION, ""))):
            del exif[DESCRIPTION]
        return exif.tobytes() if len(exif) else None
    except Exception as error:  # Pillow raises anything for what is damaged
        raise ValueError("its tags are damaged") from error
