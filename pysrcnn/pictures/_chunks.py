"""What a PNG file says of its picture in chunks of its own: texts, and what its colours are.

They go to other PNG files byte by byte and are not unpacked: a short one may hold a long text.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction

__all__ = [
    "MOST",
    "chunks_of",
    "joined",
    "keywords",
    "left_out",
    "of_comment",
    "of_dpi",
    "of_iptc",
    "of_png",
    "of_ratio",
    "of_xmp",
    "profiles_of",
    "says_usual",
    "shape_of_pixels",
]

MOST = 2**22  # bytes of texts that are carried
_MANY = 2**16
_COLOURS = (b"cHRM", b"cICP", b"gAMA", b"sRGB")
_TEXTS = (b"iTXt", b"tEXt", b"zTXt")
# EXIF, IPTC and XMP in the form of texts: with an orientation and a size that are true no more.
_XMP, _RAW = b"XML:com.adobe.xmp\0", b"Raw profile type "
# What is needed to decode the pixels, is read elsewhere, or is no more than when it was written.
_KNOWN = {
    b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"pHYs", b"acTL", b"sBIT", b"hIST", b"tIME",
    b"iDOT", b"CgBI", b"dSIG", b"srCN",
}  # fmt: skip
# Texts that are named for a property of the old pixels, as ImageMagick and thumbnails have them.
_OF_PIXELS = re.compile(
    rb"(?i)(exif|jpeg|png|tiff):.*(dimension|height|length|orientation|resolution|sampling|width)"
    rb"|(exif:)?thumb"
)
_HEADED = 8 + 25  # bytes of the signature and of the first chunk, IHDR
# What readers assume of a picture that says nothing: BT.709's primaries, and the curve of sRGB.
_USUAL = {
    b"cHRM": (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"gAMA": (45455,),
}

Chunk = tuple[bytes, bytes]  # its kind, and its content


def chunks_of(content: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG file from the first to IEND that hold no pixels; of very many, some."""
    at, count = 8, 0
    for _ in range(16 * _MANY):
        if at + 12 > len(content) or count == _MANY:
            break
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IEND":
            break
        if kind not in (b"IDAT", b"fdAT", b"fcTL"):
            count += 1
            yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length


def of_png(content: bytes) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks of a PNG file that say what its colours are, one of a kind; and its texts."""
    colours, texts = {}, []
    for kind, data in chunks_of(content):
        if kind in _COLOURS:
            colours.setdefault(kind, data)
        elif (
            kind in _TEXTS
            and not data.startswith((_XMP, _RAW))
            and not _OF_PIXELS.match(data[:80].split(b"\0")[0])
        ):
            texts.append((kind, data))
    return list(colours.items()), texts


def profiles_of(chunks: Iterable[Chunk]) -> Iterator[tuple[str, bytes]]:
    """What a PNG file has in the form of texts: ("xmp", ...), ("exif", ...), ("iptc", ...).

    The profiles of ImageMagick, "exif", "APP1" and others, hold hexadecimal digits. Nothing of
    those that are damaged, or of more than `MOST` bytes together.
    """
    room = MOST
    for kind, data in chunks:
        if kind not in _TEXTS or not data.startswith((_XMP, _RAW)):
            continue
        name = data[:80].split(b"\0")[0]
        text = _unpacked(kind, data[len(name) + 1 :], room)
        room = room - len(text) if text else room // 2  # so that much damage takes little time
        if data.startswith(_XMP):
            yield "xmp", text
            continue
        digits = b"".join(text.lstrip().splitlines()[2:])  # below a name and a number
        try:
            held = bytes.fromhex(digits.decode("ascii"))
        except ValueError:
            held = b""
        yield name.removeprefix(_RAW).decode("latin-1").lower(), held


def _unpacked(kind: bytes, data: bytes, most: int) -> bytes:
    """The text, if it has no more than `most` bytes."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":  # is it packed, how, language, translated keyword
        packed, data = data[:1] == b"\1", b"".join(data[2:].split(b"\0", 2)[2:])
    elif packed:
        data = data[1:]
    if not packed:
        return data if len(data) <= most else b""
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(data, most) if most else b""
        return text if unpacking.eof else b""
    except zlib.error:
        return b""


def left_out(chunks: Iterable[Chunk]) -> list[str]:
    """The kinds of a PNG file's chunks that nobody reads here: where it lies on a page, ..."""
    known = _KNOWN.union(_COLOURS, _TEXTS)
    found = dict.fromkeys(kind for kind, _ in chunks if kind not in known)
    return [kind.decode("latin-1") for kind in found][:9]


def shape_of_pixels(chunks: Iterable[Chunk]) -> tuple[int, int] | None:
    """How many pixels along width and height are of one length, where no unit is said."""
    for kind, data in chunks:
        if kind == b"pHYs" and len(data) == 9 and data[8] != 1:
            return struct.unpack_from(">II", data)
    return None


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


def of_ratio(ratio: Fraction) -> Chunk:
    """How many pixels along the width are as long as one along the height."""
    return b"pHYs", struct.pack(">IIB", *ratio.as_integer_ratio(), 0)


def of_xmp(xmp: bytes) -> Chunk:
    """XMP as a text."""
    return b"iTXt", _XMP + bytes(4) + xmp


def of_iptc(resources: bytes) -> Chunk:
    """IPTC in resources of Photoshop as a text, of the kind that ImageMagick writes."""
    digits = resources.hex()
    lines = [digits[k : k + 72] for k in range(0, len(digits), 72)]
    text = "\n".join(["", "iptc", f"{len(resources):8}", *lines, ""])
    return b"zTXt", _RAW + b"iptc\0\0" + zlib.compress(text.encode())


def joined(content: bytes, chunks: Iterable[Chunk]) -> bytes:
    """A PNG file with more chunks, which come before all others but the first."""
    more = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return content[:_HEADED] + more + content[_HEADED:]
