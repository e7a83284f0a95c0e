"""IPTC (caption, keywords and the like), and the Photoshop resources that contain it."""

import struct
from collections.abc import Iterator

__all__ = ["after_enlarging", "in_resources", "of_resources"]

_SIGNATURE, _IPTC = b"8BIM", 0x0404
# Resolution, previews, colour profile, EXIF, XMP and a digest: also stored elsewhere, or outdated.
_DERIVED = {0x03ED, 0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424, 0x0425}


def of_resources(block: bytes) -> tuple[bytes | None, bool]:
    """Return the IPTC in a block of Photoshop resources, and whether others would be lost."""
    iptc, others = None, False
    for number, data in _resources(block):
        if number == _IPTC:
            iptc = iptc or data
        else:
            others = others or number not in _DERIVED
    return iptc or None, others


def _resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while block[at : at + 4] == _SIGNATURE and at + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, at + 4)
        at += 6 + (block[at + 6] + 2) // 2 * 2  # skip the name
        if at + 4 > len(block):
            return
        (size,) = struct.unpack_from(">I", block, at)
        yield number, block[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2


def in_resources(iptc: bytes) -> bytes:
    """Return a block of Photoshop resources that holds nothing but this IPTC."""
    head = _SIGNATURE + struct.pack(">HHI", _IPTC, 0, len(iptc))
    return head + iptc + bytes(len(iptc) % 2)


def after_enlarging(iptc: bytes) -> bytes:
    """Return IPTC without what describes the old pixels: records 3 and 7 to 9, and previews.

    Everything from the first damage on is left out.
    """
    kept, at = [], 0
    while iptc[at : at + 1] == b"\x1c" and at + 5 <= len(iptc):
        record, dataset, size = struct.unpack_from(">BBH", iptc, at + 1)
        end = at + 5 + size
        if size & 0x8000:  # the rest is the size of the size
            long = size & 0x7FFF
            end = at + 5 + long + int.from_bytes(iptc[at + 5 : at + 5 + min(long, 8)], "big")
        if end > len(iptc):
            break
        if record not in (3, 7, 8, 9) and (record, dataset) not in ((2, 200), (2, 201), (2, 202)):
            kept.append(iptc[at:end])
        at = end
    return b"".join(kept)
