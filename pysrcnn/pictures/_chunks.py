"""What a PNG file says of its picture in chunks of its own: texts, and what its colours are.

They go to other PNG files byte by byte and are not unpacked: a short one may hold a long text.
"""

import struct
import zlib
from collections.abc import Iterable

__all__ = ["MOST", "joined", "keywords", "of_comment", "of_dpi", "of_png", "says_usual"]

MOST = 2**22  # bytes of texts that are carried
_COLOURS = (b"cHRM", b"cICP", b"gAMA", b"sRGB")
_TEXTS = (b"iTXt", b"tEXt", b"zTXt")
# EXIF, IPTC and XMP in the form of texts: with an orientation and a size that are true no more.
_NOT_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type ")
_HEADED = 8 + 25  # bytes of the signature and of the first chunk, IHDR
# What readers assume of a picture that says nothing: BT.709's primaries, and the curve of sRGB.
_USUAL = {
    b"cHRM": (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"gAMA": (45455,),
}

Chunk = tuple[bytes, bytes]  # its kind, and its content


def of_png(content: bytes) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks of a PNG file that say what its colours are, one of a kind; and its texts."""
    colours, texts, at = {}, [], 8
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IEND":
            break
        if kind in _COLOURS + _TEXTS:
            data = content[at + 8 : at + 8 + length]
            if kind in _COLOURS:
                colours.setdefault(kind, data)
            elif not data.startswith(_NOT_TEXTS):
                texts.append((kind, data))
        at += 12 + length
    return list(colours.items()), texts


def says_usual(colours: Iterable[Chunk], profile: bytes | None) -> bool:
    """Whether the colours are those of a file without these chunks: sRGB, or of its profile."""
    said = dict(colours)
    if b"cICP" in said:  # which comes before a profile
        return said[b"cICP"] == bytes((1, 13, 0, 1))
    return bool(profile) or b"sRGB" in said or all(map(_is_usual, said, said.values()))


def _is_usual(kind: bytes, data: bytes) -> bool:
    usual = _USUAL[kind]
    if len(data) != 4 * len(usual):
        return True  # damaged, and so no more than nothing
    numbers = struct.unpack(f">{len(usual)}I", data)
    return all(abs(a - b) <= 0.01 * b for a, b in zip(numbers, usual, strict=True))


def keywords(texts: Iterable[Chunk]) -> list[str]:
    """What texts are called, each name once: "Title", "Author"."""
    return list(dict.fromkeys(data[:80].split(b"\0")[0].decode("latin-1") for _, data in texts))


def of_comment(comment: bytes) -> Chunk:
    """The comment of a JPEG or GIF file as a text."""
    text = comment.rstrip(b"\0").replace(b"\0", b" ")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return b"tEXt", b"Comment\0" + text  # Latin-1, which any bytes are
    return b"iTXt", b"Comment\0\0\0\0\0" + text


def of_dpi(dpi: tuple[float, float]) -> Chunk:
    """Pixels an inch as pixels a metre."""
    return b"pHYs", struct.pack(">IIB", *(round(n / 0.0254) for n in dpi), 1)


def joined(content: bytes, chunks: Iterable[Chunk]) -> bytes:
    """A PNG file with more chunks, which come before all others but the first."""
    more = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return content[:_HEADED] + more + content[_HEADED:]
