"""How a picture file is built, looked at before a reader is given it.

Each format is walked from piece to piece, without decoding any: what it claims to hold is compared
with the pixels that are there, pieces without end are refused, and whatever beside the pixels is
damaged or too large for readers is left out, with a note. So no file costs more than it holds, and
damage beside the pixels costs no pixels: Pillow raises for it, and takes the memory and the time
that a file asks for.
"""

import math
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

from . import _tiff
from ._formats import kind_of
from ._limits import Parts, Refused, Stored, Structure, check_claim

__all__ = ["examine"]

_PIECES = 2**17  # chunks, segments, extensions of a file
_BESIDE = 2**24  # bytes beside the pixels, of a kind
_UNPACKED = 2**20  # bytes of a text, and of a profile, that Pillow unpacks
_BLOCK = 2**16  # bytes that are searched at a time
_SIGNED = "its content credentials (C2PA), which sign the old pixels, are left out"


def examine(source: bytes | Stored, name: str) -> Structure | None:
    """What a file says it holds, compared with what it has; None if it is no picture of ours.

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
    if found.data > 2 * raw + _BESIDE:
        raise ValueError(f"{found.data:,} bytes are more than its pixels take")
    parts = [part if isinstance(part, bytes) else source[part] for part in found.parts]
    found.content = parts[0] if len(parts) == 1 else b"".join(parts)
    return found


# -------------------------------------------------------------------------------------------- PNG

_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # of PNG's types of colour; a palette's colours
_PALETTE = 3
_DEFLATED = 1032  # bytes that zlib packs into one, at most
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
_CLEAR = {0: 2, 2: 6}  # bytes of a transparent colour: of grey, of RGB
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_FRAMES = (b"acTL", b"fcTL", b"fdAT")
_XMP, _RAW = b"XML:com.adobe.xmp", b"Raw profile type "  # keywords of what is no text
_LABELS = {
    b"iCCP": "colour profile", b"eXIf": "EXIF", b"pHYs": "resolution",
    b"tRNS": "transparent colour",
} | dict.fromkeys((b"gAMA", b"cHRM", b"sRGB", b"cICP"), "word on its colours")  # fmt: skip


def _png(source: Any, name: str) -> Structure:
    width, height, bits, colour = struct.unpack(">IIBB", source[16:26])
    found = Structure("png", (height, width, _CHANNELS.get(colour, 4)), bits)
    found.parts.keep(0, 33)
    at, unpacked = 33, 0
    for _ in range(_PIECES):
        head = source[at : at + 8]
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if not kind.isalpha():  # no chunk
            break
        end = at + 12 + length
        if kind == b"IEND":
            found.parts.keep(at, end)
            break
        if kind in (b"IDAT", b"fdAT"):
            found.data += min(end, len(source)) - at
        elif kind == b"acTL":
            found.frames = max(1, struct.unpack(">I", source[at + 8 : at + 12])[0])
        if kind in _FRAMES or not kind[0] & 32:  # without which there are no pixels
            found.parts.keep(at, min(end, len(source)))
        else:
            data = source[at : end if length <= _BESIDE else at + 100]
            why, held = _problem(data, kind, length)
            if kind == b"tRNS" and _CLEAR.get(colour, length) != length:
                why = "damaged"
            unpacked += len(held)
            if why or unpacked > _BESIDE:
                _leave_out(found, kind, data[8:], why or "of several megabytes")
            elif _take(found, kind, data[8:-4], held):
                found.parts.keep(at, end)
        at = end
    else:
        raise ValueError("it is cut into too many chunks")
    if found.frames == 1:  # or Pillow would make up the rest of the rows
        row = 1 + width * bits * (1 if colour == _PALETTE else found.shape[2]) // 8
        found.least = height * row // _DEFLATED
    return found


def _problem(chunk: bytes, kind: bytes, length: int) -> tuple[str, bytes]:
    """What keeps readers from this chunk beside the pixels, "" for nothing; what it holds."""
    if length > _BESIDE:
        return "of several megabytes", b""
    data = chunk[8:-4]
    checked = len(chunk) == length + 12 and zlib.crc32(chunk[4:-4]).to_bytes(4, "big") == chunk[-4:]
    if not checked or _LENGTHS.get(kind, length) != length:
        return "damaged", b""
    if kind == b"eXIf" and not _tiff.is_bounded(data):
        return "damaged", b""
    if kind == b"iCCP":
        packed = data.partition(b"\0")[2]
        profile = _inflated(packed[1:], _BESIDE) if packed[:1] == b"\0" else None
        if profile is not None and len(profile) > _BESIDE:
            return "of several megabytes", b""
        if profile is None or profile[36:40] != b"acsp":
            return "damaged", b""
        return "", profile
    return _text_of(data, kind) if kind in _TEXTS else ("", data)


def _text_of(data: bytes, kind: bytes) -> tuple[str, bytes]:
    """What keeps readers from a text, and the text, unpacked."""
    text = data.partition(b"\0")[2]
    packed = kind == b"zTXt"
    if kind == b"iTXt":  # is it packed, how, language, translated keyword
        packed, text = text[:1] == b"\1", text[1:]
        method, text = text[:1], b"".join(text[1:].split(b"\0", 2)[2:])
    else:
        method, text = text[:1], text[1:] if packed else text
    if not packed:
        return "", text
    if method != b"\0":
        return "damaged", b""
    unpacked = _inflated(text, _UNPACKED)
    if unpacked is None:
        return "damaged", b""
    return ("", unpacked) if len(unpacked) <= _UNPACKED else ("of more than a megabyte", b"")


def _take(found: Structure, kind: bytes, data: bytes, held: bytes) -> bool:
    """Put a chunk where it is looked for; whether it is left to Pillow."""
    keyword = data[:80].split(b"\0")[0]
    if kind in _TEXTS and keyword.startswith((_XMP, _RAW)):
        found.profiles.append((keyword, held))
        return keyword == _XMP  # in which Pillow looks for an orientation
    found.chunks.append((kind, data))
    if kind != b"iCCP":
        return True
    if len(held) > _UNPACKED:
        found.beside["icc_profile"] = held
    return not found.beside


def _inflated(packed: bytes, most: int) -> bytes | None:
    """What was packed, of which no more than a byte beyond `most`; None if it is damaged."""
    try:
        return zlib.decompressobj().decompress(packed, most + 1)
    except zlib.error:
        return None


def _leave_out(found: Structure, kind: bytes, data: bytes, why: str) -> None:
    label = _LABELS.get(kind)
    if kind in _TEXTS:
        label = f"text {data[:80].split(bytes(1))[0].decode('latin-1')}"
    if label:
        how = "damaged and left out" if why == "damaged" else f"{why} and left out"
        note = f"its {label} is {how}"
        if note not in found.notes:
            found.notes.append(note)


# ------------------------------------------------------------------------------------------- JPEG

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a byte of pixels nor a restart
_SIZED = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # markers after which a size comes
_SCANS = 20  # of a picture of any size; a progressive one has ten
_SCANNED = 2**31  # bytes of pixels that more scans may go over
_FILL = 2**16  # bytes between two segments
_SEGMENTS = 1000  # beside the pixels
_END, _SCAN = 0xD9, 0xDA


def _jpeg(source: Any, name: str) -> Structure:
    found = Structure("jpeg", (0, 0, 0))
    found.parts.keep(0, 2)
    at, scans, beside, exif, began = 2, 0, 0, b"", 0
    for _ in range(_PIECES):
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
                exif += source[at + (10 if exif else 4) : end] if len(exif) < _UNPACKED else b""
            elif beside <= _SEGMENTS:
                found.parts.keep(at, end)
            if marker == 0xEB and head[2:4] == b"JP" and _SIGNED not in found.notes:
                found.notes.append(_SIGNED)
        elif not began:
            found.parts.keep(at, end)
        at = end
    else:
        raise ValueError("it is cut into too many segments")
    _take_exif(found, exif)
    if beside > _SEGMENTS:
        found.notes.append(f"of what is beside its pixels, the first {_SEGMENTS} parts are read")
    if began:
        found.parts.keep(began, min(at, len(source)))
        found.data = min(at, len(source)) - began
    if scans > _SCANS and scans * math.prod(found.shape) > _SCANNED:
        raise Refused(
            f"{name} goes over its pixels in {scans:,} scans, which only damaged pictures do: if "
            f"it is as it should be, save it anew"
        )
    return found


def _take_exif(found: Structure, exif: bytes) -> None:
    """EXIF, whose pieces become one; what is too long for a segment is not left to Pillow."""
    if exif and len(exif) < _UNPACKED and _tiff.is_bounded(exif):
        if len(exif) < 65534:
            found.parts.insert(1, b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
        else:
            found.beside["exif"] = exif
    elif exif:
        found.notes.append("its EXIF is damaged and left out")


def _next_marker(source: Any, at: int, most: int) -> tuple[int, int | None]:
    """Where the next marker is, of `most` bytes from `at` on, and which; None if there is none."""
    stop, size = min(at + most, len(source)), 256  # it is there, if this is a segment
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

_OTHER = re.compile(rb"[,!;]")  # how a block of a GIF file begins
_SMALL = 16  # bytes that a block of pixels has at least, where there are many


def _gif(source: Any, name: str) -> Structure:
    width, height, flags = struct.unpack("<HHB", source[6:11])
    found = Structure("gif", (height, width, 3), frames=0)
    at = 13 + _table(flags)
    found.parts.keep(0, at)
    comments, blocks = 0, 0
    for _ in range(_PIECES):
        head = source[at : at + 10]
        if not head or head[:1] == b";":
            break
        if head[:1] not in (b",", b"!"):  # readers look for the next block
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
            if not found.frames:  # by which the screen grows
                found.shape = max(height, top + high), max(width, left + wide), 3
            at += 9 + _table(flags)
            found.frames += 1
        at, count = _after_blocks(source, at)
        blocks += count
        found.data += (at - start) * is_frame
        comments += (at - start) * is_comment
        if not is_comment or comments <= _UNPACKED:
            found.parts.keep(start, min(at, len(source)))
    else:
        raise ValueError("it has too many parts")
    if blocks > 2**20 and found.data < _SMALL * blocks:
        raise ValueError("it is cut into too many blocks")
    if comments > _UNPACKED:
        found.notes.append("the rest of its comment, of several megabytes, is left out")
    found.frames = max(1, found.frames)
    if at < len(source):
        found.parts.append(b";")
    return found


def _table(flags: int) -> int:
    """Bytes of the table of colours that there is by these flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(source: Any, at: int) -> tuple[int, int]:
    """Where the blocks end that begin at `at`, each after its length; and how many there are."""
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


_WEBP_LABELS = {b"ICCP": "colour profile", b"EXIF": "EXIF", b"XMP ": "XMP"}


def _webp(source: Any, name: str) -> Structure:
    found = Structure("webp", (0, 0, 3), frames=0)
    stop = min(len(source), 8 + struct.unpack("<I", source[4:8])[0])
    at, changed, body = 12, False, Parts()
    for _ in range(_PIECES):
        head = source[at : at + 18]
        if at + 8 > stop or len(head) < 8:
            break
        kind, (length,) = head[:4], struct.unpack("<I", head[4:8])
        if not kind.strip().isalnum():  # no chunk
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
        why = "of several megabytes" if length > _BESIDE and kind in _WEBP_LABELS else ""
        if kind == b"EXIF" and not why:
            why = "" if _tiff.is_bounded(source[at + 8 : at + 8 + length]) else "damaged"
        if why:
            found.notes.append(f"its {_WEBP_LABELS[kind]} is {why} and left out")
            changed = True
        else:
            body.keep(at, min(end, stop))
        at = end
    else:
        raise ValueError("it is cut into too many chunks")
    found.frames = max(1, found.frames)
    found.parts.keep(0, stop)
    if changed:
        size = sum(part.stop - part.start for part in body if isinstance(part, slice))
        found.parts = Parts([b"RIFF" + struct.pack("<I", 4 + size) + b"WEBP", *body])
    return found


def _of_bitstream(kind: bytes, head: bytes) -> tuple[int, int, int]:
    """The shape of a picture that has no head besides; (0, 0, 3) if it does not say."""
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[6:10])
        return height & 0x3FFF, width & 0x3FFF, 3
    if kind == b"VP8L" and head[:1] == b"\x2f":
        both = int.from_bytes(head[1:5], "little")
        return (both >> 14 & 0x3FFF) + 1, (both & 0x3FFF) + 1, 3 + (both >> 28 & 1)
    return 0, 0, 3


# -------------------------------------------------------------------------------------------- BMP

_RUNS = (1, 2)  # of BMP's ways to pack: runs of 8 and of 4 bits
_MOST_RUNS = 2**23  # bytes, which Pillow goes over in Python


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
    found.parts.keep(0, stop if len(source) > stop + _BESIDE else len(source))
    return found


_WALKS: dict[str, Callable[[Any, str], Structure]] = {
    "png": _png, "jpeg": _jpeg, "gif": _gif, "webp": _webp, "bmp": _bmp, "tiff": _tiff.examine,
}  # fmt: skip
