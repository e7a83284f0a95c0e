"""The structure of a PNG file: its chunks, and which of its metadata chunks are intact.

Pillow raises for one that is damaged, or holds a long text or profile, and loses the picture.
"""

import struct
import zlib
from typing import Any

from . import _tiff
from ._limits import BESIDE, PIECES, UNPACKED, Structure

__all__ = ["examine"]

_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by PNG's colour type; for a palette, of its colours
_PALETTE = 3
_DEFLATED = 1032  # bytes that zlib packs into one, at most
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
_CLEAR = {0: 2, 2: 6}  # bytes of a transparent colour: grey, RGB
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_FRAMES = (b"acTL", b"fcTL", b"fdAT")
_XMP, _RAW = b"XML:com.adobe.xmp", b"Raw profile type "  # keywords of texts that hold metadata
_LABELS = {
    b"iCCP": "colour profile", b"eXIf": "EXIF", b"pHYs": "resolution",
    b"tRNS": "transparent colour",
} | dict.fromkeys((b"gAMA", b"cHRM", b"sRGB", b"cICP"), "word on its colours")  # fmt: skip


def examine(source: Any, name: str) -> Structure:
    """Return what a PNG file says it holds; raise ValueError or struct.error if it is damaged."""
    width, height, bits, colour = struct.unpack(">IIBB", source[16:26])
    found = Structure("png", (height, width, _CHANNELS.get(colour, 4)), bits)
    found.parts.keep(0, 33)
    at, unpacked = 33, 0
    for _ in range(PIECES):
        head = source[at : at + 8]
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if not kind.isalpha():  # not a chunk
            break
        end = at + 12 + length
        if kind == b"IEND":
            found.parts.keep(at, end)
            break
        if kind in (b"IDAT", b"fdAT"):
            found.data += min(end, len(source)) - at
        elif kind == b"acTL":
            found.frames = max(1, struct.unpack(">I", source[at + 8 : at + 12])[0])
        if kind in _FRAMES or not kind[0] & 32:  # needed for the pixels
            found.parts.keep(at, min(end, len(source)))
        else:
            data = source[at : end if length <= BESIDE else at + 100]
            why, held = _problem(data, kind, length)
            if kind == b"tRNS" and _CLEAR.get(colour, length) != length:
                why = "damaged"
            unpacked += len(held)
            if why or unpacked > BESIDE:
                _leave_out(found, kind, data[8:], why or "of several megabytes")
            elif _take(found, kind, data[8:-4], held):
                found.parts.keep(at, end)
        at = end
    else:
        raise ValueError("it is cut into too many chunks")
    if found.frames == 1:  # or Pillow would make up missing rows
        row = 1 + width * bits * (1 if colour == _PALETTE else found.shape[2]) // 8
        found.least = height * row // _DEFLATED
    return found


def _problem(chunk: bytes, kind: bytes, length: int) -> tuple[str, bytes]:
    """Return what is wrong with a metadata chunk, "" for nothing, and its unpacked content."""
    if length > BESIDE:
        return "of several megabytes", b""
    data = chunk[8:-4]
    checked = len(chunk) == length + 12 and zlib.crc32(chunk[4:-4]).to_bytes(4, "big") == chunk[-4:]
    if not checked or _LENGTHS.get(kind, length) != length:
        return "damaged", b""
    if kind == b"eXIf" and not _tiff.is_bounded(data):
        return "damaged", b""
    if kind == b"iCCP":
        packed = data.partition(b"\0")[2]
        profile = _inflated(packed[1:], BESIDE) if packed[:1] == b"\0" else None
        if profile is not None and len(profile) > BESIDE:
            return "of several megabytes", b""
        if profile is None or profile[36:40] != b"acsp":
            return "damaged", b""
        return "", profile
    return _text_of(data, kind) if kind in _TEXTS else ("", data)


def _text_of(data: bytes, kind: bytes) -> tuple[str, bytes]:
    """Return what is wrong with a text chunk, "" for nothing, and the unpacked text."""
    text = data.partition(b"\0")[2]
    packed = kind == b"zTXt"
    if kind == b"iTXt":  # compressed, method, language, translated keyword
        packed, text = text[:1] == b"\1", text[1:]
        method, text = text[:1], b"".join(text[1:].split(b"\0", 2)[2:])
    else:
        method, text = text[:1], text[1:] if packed else text
    if not packed:
        return "", text
    if method != b"\0":
        return "damaged", b""
    unpacked = _inflated(text, UNPACKED)
    if unpacked is None:
        return "damaged", b""
    return ("", unpacked) if len(unpacked) <= UNPACKED else ("of more than a megabyte", b"")


def _take(found: Structure, kind: bytes, data: bytes, held: bytes) -> bool:
    """Put a chunk into `found`; return whether Pillow sees it, too."""
    keyword = data[:80].split(b"\0")[0]
    if kind in _TEXTS and keyword.startswith((_XMP, _RAW)):
        found.profiles.append((keyword, held))
        return keyword == _XMP  # where Pillow looks for an orientation
    found.chunks.append((kind, data))
    if kind != b"iCCP":
        return True
    if len(held) > UNPACKED:
        found.beside["icc_profile"] = held
    return not found.beside


def _inflated(packed: bytes, most: int) -> bytes | None:
    """Decompress no more than `most` + 1 bytes; return None if the data is damaged."""
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
