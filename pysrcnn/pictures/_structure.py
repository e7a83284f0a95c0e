"""The structure of a picture file, examined before a decoder sees it.

A file is walked from piece to piece, without decoding any: what it claims to hold is compared with
the pixels that are there, endless pieces are refused, and metadata that is damaged or too large for
decoders is left out, with a note. So no file costs more than it holds, and damaged metadata costs
no pixels. Pillow would raise for it, and takes whatever memory and time a file asks for.
"""

import math
import re
import struct
from collections.abc import Callable
from typing import Any

from . import _png, _tiff
from ._formats import kind_of
from ._limits import BESIDE, PIECES, UNPACKED, Refused, Stored, Structure, check_claim

__all__ = ["examine"]

_BLOCK = 2**16  # bytes searched at a time
_SIGNED = "its content credentials (C2PA), which sign the old pixels, are left out"


def examine(source: bytes | Stored, name: str) -> Structure | None:
    """Return what a file says it holds, checked against its size; None if its format is not read.

    Raises
    ------
    Refused
        If it claims to hold more than it can, or is of a kind that is not read.
    ValueError, struct.error
        If it is damaged.
    """
    kind = kind_of(source[:16])
    if not kind:
        return None
    found = _WALKS[kind](source, name)
    check_claim(found.shape, found.dtype, found.data, name, found.frames if kind != "tiff" else 1)
    if found.data < found.least:
        raise ValueError("its pixels end too early")
    raw = found.frames * math.prod(found.shape) * found.dtype.itemsize
    if found.data > 2 * raw + BESIDE:
        raise ValueError(f"{found.data:,} bytes are more than its pixels take")
    parts = [part if isinstance(part, bytes) else source[part] for part in found.parts]
    found.content = parts[0] if len(parts) == 1 else b"".join(parts)
    return found


# ------------------------------------------------------------------------------------------- JPEG

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a byte of pixels nor a restart
_SIZED = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # markers that precede a size
_SCANS = 20  # allowed for any size; a progressive picture has ten
_SCANNED = 2**31  # bytes of pixels that more scans may cover in total
_FILL = 2**16  # bytes between two segments
_SEGMENTS = 1000  # of metadata
_END, _SCAN = 0xD9, 0xDA


def _jpeg(source: Any, name: str) -> Structure:
    found = Structure("jpeg", (0, 0, 0))
    found.parts.keep(0, 2)
    at, scans, beside, exif, began = 2, 0, 0, b"", 0
    for _ in range(PIECES):
        at, marker = _next_marker(source, at, len(source) if began else _FILL)
        if marker == _END:
            at += 2
            break
        if marker in (0x01, 0xD8):
            at += 2
            continue
        head = source[at + 2 : at + 20]
        if marker is None or len(head) < 2:
            at = len(source)
            break
        end = at + 2 + max(2, struct.unpack(">H", head[:2])[0])
        if marker == _SCAN:
            began = began or at
            scans += 1
        elif marker in _SIZED and len(head) >= 8:
            _check_frame(found, marker, head, name)
        if not began and (0xE0 <= marker <= 0xEF or marker == 0xFE):
            beside += 1
            if head[2:8] == b"Exif\0\0":
                exif += source[at + (10 if exif else 4) : end] if len(exif) < UNPACKED else b""
            elif beside <= _SEGMENTS:
                found.parts.keep(at, end)
            if marker == 0xEB and head[2:4] == b"JP" and _SIGNED not in found.notes:
                found.notes.append(_SIGNED)
        elif not began:
            found.parts.keep(at, end)
        at = end
    else:
        raise ValueError("it is cut into too many segments")
    if exif and len(exif) < UNPACKED and _tiff.is_bounded(exif):
        found.beside["exif"] = exif
    elif exif:
        found.notes.append("its EXIF is damaged and left out")
    if beside > _SEGMENTS:
        found.notes.append(f"of what is beside its pixels, the first {_SEGMENTS} parts are read")
    if began:
        found.parts.keep(began, min(at, len(source)))
        found.data = min(at, len(source)) - began
    if scans > _SCANS and scans * math.prod(found.shape) > _SCANNED:
        raise Refused(
            f"{name} goes over its pixels in {scans:,} scans, which only damaged pictures do: if "
            f"it is intact, save it again"
        )
    return found


def _next_marker(source: Any, at: int, most: int) -> tuple[int, int | None]:
    """Return where the next marker is, within `most` bytes of `at`, and which; None for none."""
    stop, size = min(at + most, len(source)), 256  # enough between segments
    while block := source[at : min(at + size, stop)]:
        match = _MARKER.search(block)
        if match:
            return at + match.start(), block[match.start() + 1]
        at += len(block) - 1 if len(block) == size else len(block)
        size = _BLOCK
    return len(source), None


def _check_frame(found: Structure, marker: int, head: bytes, name: str) -> None:
    bits, height, width, channels = struct.unpack(">BHHB", head[2:8])
    if bits != 8 or marker not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
        kind = f"of {bits} bits a channel" if bits != 8 else "without loss, or in layers"
        raise Refused(
            f"{name} is a JPEG file {kind}, which is not read: save it as PNG or TIFF first"
        )
    found.shape = max(found.shape, (height, width, min(channels, 4)), key=math.prod)


# -------------------------------------------------------------------------------------------- GIF

_OTHER = re.compile(rb"[,!;]")  # the first byte of a block of a GIF file
_SMALL = 16  # bytes that blocks of pixels have at least on average, where there are many


def _gif(source: Any, name: str) -> Structure:
    width, height, flags = struct.unpack("<HHB", source[6:11])
    found = Structure("gif", (height, width, 3), frames=0)
    at = 13 + _table(flags)
    found.parts.keep(0, at)
    comments, blocks = 0, 0
    for _ in range(PIECES):
        head = source[at : at + 10]
        if not head or head[:1] == b";":
            break
        if head[:1] not in (b",", b"!"):  # decoders skip to the next block
            match = _OTHER.search(source[at : at + 2**16])
            if not match:
                break
            at += match.start()
            continue
        start, is_frame, is_comment = at, head[:1] == b",", head[:2] == b"!\xfe"
        at += 2
        if is_frame:
            if len(head) < 10:
                break
            left, top, wide, high, flags = struct.unpack("<HHHHB", head[1:])
            if not found.frames:  # the first frame may enlarge the screen
                found.shape = max(height, top + high), max(width, left + wide), 3
            at += 9 + _table(flags)
            found.frames += 1
        at, count = _after_blocks(source, at)
        blocks += count
        found.data += (at - start) * is_frame
        comments += (at - start) * is_comment
        if not is_comment or comments <= UNPACKED:
            found.parts.keep(start, min(at, len(source)))
    else:
        raise ValueError("it has too many parts")
    if blocks > 2**20 and found.data < _SMALL * blocks:
        raise ValueError("it is cut into too many blocks")
    if comments > UNPACKED:
        found.notes.append("the rest of its comment, of several megabytes, is left out")
    found.frames = max(1, found.frames)
    if at < len(source):
        found.parts.append(b";")
    return found


def _table(flags: int) -> int:
    """Return the size in bytes of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(source: Any, at: int) -> tuple[int, int]:
    """Return where the length-prefixed blocks that begin at `at` end, and how many there are."""
    start, block, count = at, source[at : at + _BLOCK // 16], 0
    while True:
        if at - start >= len(block):
            start, block = at, source[at : at + _BLOCK]
            if not block:
                return len(source), count
        length = block[at - start]
        at += 1 + length
        if not length:
            return at, count
        count += 1


# ------------------------------------------------------------------------------------------- WebP


_WEBP_LABELS = {
    b"ICCP": ("icc_profile", "colour profile"), b"EXIF": ("exif", "EXIF"), b"XMP ": ("xmp", "XMP"),
}  # fmt: skip


def _webp(source: Any, name: str) -> Structure:
    found = Structure("webp", (0, 0, 3), frames=0)
    stop = min(len(source), 8 + struct.unpack("<I", source[4:8])[0])
    at = 12
    for _ in range(PIECES):
        head = source[at : at + 18]
        if at + 8 > stop or len(head) < 8:
            break
        kind, (length,) = head[:4], struct.unpack("<I", head[4:8])
        if not kind.strip().isalnum():  # not a chunk
            stop = at
            break
        end = at + 8 + length + length % 2
        if kind == b"VP8X" and len(head) == 18:
            width, height = (int.from_bytes(head[k : k + 3], "little") + 1 for k in (12, 15))
            found.shape = height, width, 4 if head[8] & 0x10 else 3
        elif kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF"):
            found.data += min(end, stop) - at
            found.frames += kind == b"ANMF"
            first = source[at + 24 : at + 28] if kind == b"ANMF" else kind  # of a frame
            found.lossy = found.lossy or first in (b"VP8 ", b"ALPH")
            if found.shape[0] == 0:
                found.shape = _of_bitstream(kind, source[at + 8 : at + 18])
        elif kind == b"C2PA":
            found.notes.append(_SIGNED)
        why = "of several megabytes" if length > BESIDE and kind in _WEBP_LABELS else ""
        if kind == b"EXIF" and not why:
            why = "" if _tiff.is_bounded(source[at + 8 : at + 8 + length]) else "damaged"
        if why:
            name_in_pillow, label = _WEBP_LABELS[kind]
            found.notes.append(f"its {label} is {why} and left out")
            found.beside[name_in_pillow] = None
        at = end
    else:
        raise ValueError("it is cut into too many chunks")
    found.frames = max(1, found.frames)
    found.parts.keep(0, stop)
    return found


def _of_bitstream(kind: bytes, head: bytes) -> tuple[int, int, int]:
    """Return the shape that a bitstream without a VP8X chunk states; (0, 0, 3) if it does not."""
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[6:10])
        return height & 0x3FFF, width & 0x3FFF, 3
    if kind == b"VP8L" and head[:1] == b"\x2f":
        both = int.from_bytes(head[1:5], "little")
        return (both >> 14 & 0x3FFF) + 1, (both & 0x3FFF) + 1, 3 + (both >> 28 & 1)
    return 0, 0, 3


# -------------------------------------------------------------------------------------------- BMP

_RUNS = (1, 2)  # BMP's compressions by runs of 8 and of 4 bits
_MOST_RUNS = 2**23  # bytes, which Pillow decodes in Python


def _bmp(source: Any, name: str) -> Structure:
    begin, header = struct.unpack("<II", source[10:18])
    packing = 0
    if header == 12:
        width, height, _, bits = struct.unpack("<HHHH", source[18:26])
    else:
        width, height, _, bits, packing = struct.unpack("<iiHHI", source[18:34])
    height, width = abs(height), abs(width)
    size, data = -(-width * bits // 32) * 4 * height + 4, max(0, len(source) - begin)
    if packing in _RUNS:
        if data > _MOST_RUNS:
            raise Refused(f"{name} is a BMP file of long runs, which is not read: save it as PNG")
        size = data
    channels = 1 if bits == 1 else 3 + (bits == 32)
    found = Structure("bmp", (height, width, channels), min(bits, 8), min(data, size))
    stop = begin + size
    found.parts.keep(0, stop if len(source) > stop + BESIDE else len(source))
    return found


_WALKS: dict[str, Callable[[Any, str], Structure]] = {
    "bmp": _bmp, "gif": _gif, "jpeg": _jpeg, "png": _png.examine, "tiff": _tiff.examine,
    "webp": _webp,
}  # fmt: skip
