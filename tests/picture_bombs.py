"""Picture files that say they hold more than they do, or whose parts are without end.

Each is a few megabytes at most, and would take a reader that believes it minutes or gigabytes.
"""

import functools
import importlib.util
import struct
import zlib

import numpy as np
from samples import RGB, chunk, encoded

__all__ = ["BOMBS", "bomb", "tiff_of"]

MILLION = 10**6


def _png(*chunks):
    content = encoded(RGB, "PNG")
    return content[:33] + b"".join(chunks) + content[33:]


def _png_header(width, height, *chunks):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def _exif(tags, size):
    """EXIF of which all tags hold the same bytes."""
    start = 8 + 2 + 12 * tags + 4
    entries = (struct.pack("<HHII", 33000 + k, 7, size, start) for k in range(tags))
    head = b"II*\0" + struct.pack("<IH", 8, tags)
    return head + b"".join(entries) + bytes(4) + bytes(size)


def _jpeg(inserted):
    content = encoded(RGB, "JPEG")
    return content[:2] + inserted + content[2:]


def _segment(marker, data):
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


@functools.cache
def _scans(count, side=3000):
    """A picture whose last scan, of few bytes, comes as often."""
    content = encoded(np.zeros((side, side, 3), np.uint8), "JPEG", progressive=True, quality=10)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def _gif(inserted=b"", side=1, more=b""):
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    return head + inserted + _GIF_FRAME + more + b";"


_GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"


def tiff_of(tags, data=b""):
    """A TIFF file of these tags, (number, type, count, value) each; the data begin at 512."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(512, b"\0") + data


def _tags(width, height, packing=1, bits=8, size=None):
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, packing)]
    tags += [(262, 3, 1, 1), (277, 3, 1, 1)]
    strips = [(273, 4, 1, 512), (278, 4, 1, height), (279, 4, 1, size)] if size is not None else []
    return tags + strips


def _within(packing, content, bits=8):
    """A picture within a TIFF file that says it has 8 x 8 pixels."""
    return tiff_of(_tags(8, 8, packing, bits, len(content)), content)


def _pages(count):
    entries = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (279, 4, 1, 64)]
    page = struct.pack("<H", 7) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    size = len(page) + 4
    out = [b"II*\0", struct.pack("<I", 72), bytes(64)]
    for k in range(count):
        out += [page, struct.pack("<I", 72 + (k + 1) * size if k + 1 < count else 0)]
    return b"".join(out)


def _same_tiles(count, size):
    tags = _tags(6400, 4000, 8)
    tags += [
        (322, 4, 1, 16),
        (323, 4, 1, 16),
        (324, 4, count, 512),
        (325, 4, count, 512 + 4 * count),
    ]
    places = (
        np.full(count, 512 + 8 * count, "<u4").tobytes() + np.full(count, size, "<u4").tobytes()
    )
    return tiff_of(tags, places + zlib.compress(bytes(256)) + bytes(size))


def _webp(width, height, *chunks, flags=0):
    sides = b"".join((n - 1).to_bytes(3, "little") for n in (width, height))
    body = b"WEBPVP8X" + struct.pack("<IBxxx", 10, flags) + sides + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_frames(count):
    pixels = encoded(RGB[:1, :1], "WEBP")[12:]
    frame = b"ANMF" + struct.pack("<I", 16 + len(pixels)) + bytes(16) + pixels
    return _webp(1, 1, b"ANIM" + struct.pack("<I", 6) + bytes(6), frame * count, flags=2)


def _bmp_runs(size):
    head = struct.pack("<IiiHHIIiiII", 40, 5000, 5000, 1, 8, 1, size, 0, 0, 256, 0) + bytes(1024)
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + len(head) + size, 0, 0, 14 + len(head))
        + head
        + (b"\0\0" * (size // 2))
    )


def _lerc():
    import imagecodecs

    return _within(34887, imagecodecs.lerc_encode(np.zeros((5000, 5000), np.uint16)), 16)


def _jpeg2000():
    import imagecodecs

    return _within(34712, imagecodecs.jpeg2k_encode(np.zeros((3000, 3000), np.uint16)), 16)


def _jpegxl():
    import imagecodecs

    return _within(50002, imagecodecs.jpegxl_encode(np.zeros((500, 500), np.uint8)))


BOMBS = {
    "png": {
        "chunks": lambda: _png(chunk(b"teSt", b"") * 200_000),
        "pieces of pixels": lambda: _png(chunk(b"IDAT", b"") * 200_000),
        "texts": lambda: _png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MILLION))) * 100),
        "tags of EXIF": lambda: _png(chunk(b"eXIf", _exif(4000, MILLION))),
        "padded": lambda: _png_header(
            12_000, 12_000, chunk(b"teSt", bytes(2 * MILLION)), chunk(b"IDAT", zlib.compress(b"\0"))
        ),
        "frames": lambda: _png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    },
    "jpeg": {
        "scans": lambda: _scans(2000),
        "segments": lambda: _jpeg(b"\xff\xe5\0\2" * MILLION),
        "fill": lambda: _jpeg(b"\xff" * 4 * MILLION),
        "parts of EXIF": lambda: _jpeg(
            _segment(0xE1, b"Exif\0\0II*\0" + bytes(60_000)) * 100
        ),
        "tags of EXIF": lambda: _jpeg(_segment(0xE1, b"Exif\0\0" + _exif(2000, 40_000))),
    },
    "gif": {
        "frames": lambda: _gif(more=_GIF_FRAME * 100_000),
        "frames of 500": lambda: _gif(side=500, more=_GIF_FRAME * 10_000),
        "comment": lambda: _gif(b"!\xfe" + (b"\xff" + bytes(255)) * 20_000 + b"\0"),
        "comments": lambda: _gif((b"!\xfe\xff" + bytes(255) + b"\0") * 20_000),
        "blocks": lambda: _gif(b"!\xf9" + b"\1a" * 2 * MILLION + b"\0"),
        "zeros": lambda: _gif(bytes(4 * MILLION)),
    },
    "tiff": {
        "pages": lambda: _pages(40_000),
        "tags": lambda: tiff_of(
            _tags(8, 8, size=64) + [(33000 + k, 7, 5 * MILLION, 30_000) for k in range(2000)],
            bytes(6 * MILLION),
        ),
        "strips": lambda: tiff_of(
            _tags(8, 8) + [(273, 4, 2 * MILLION, 512), (279, 4, 2 * MILLION, 512)],
            bytes(8 * MILLION),
        ),
        "tiles": lambda: _same_tiles(100_000, MILLION),
        "in a circle": lambda: tiff_of(
            _tags(8, 8, size=64) + [(330, 4, 1, 8), (34665, 4, 1, 8)], bytes(64)
        ),
        "JPEG within": lambda: _within(7, encoded(np.zeros((9000, 9000), np.uint8), "JPEG")),
        "scans within": lambda: tiff_of(
            _tags(3000, 3000, 7, size=len(_scans(500))), _scans(500)
        ),
        "PNG within": lambda: _within(34933, encoded(np.zeros((9000, 9000), np.uint8), "PNG")),
    },
    "webp": {
        "canvas": lambda: _webp(16_383, 16_383, encoded(RGB, "WEBP")[12:]),
        "frames": lambda: _webp_frames(50_000),
        "tags of EXIF": lambda: _webp(
            9, 7, encoded(RGB, "WEBP")[12:],
            b"EXIF" + struct.pack("<I", len(_exif(4000, MILLION))) + _exif(4000, MILLION), flags=8,
        ),
        "zeros": lambda: b"RIFF" + struct.pack("<I", 8 * MILLION) + b"WEBP" + bytes(8 * MILLION),
    },
    "bmp": {"runs": lambda: _bmp_runs(10 * MILLION), "few runs": lambda: _bmp_runs(MILLION)},
    "deep-tiff": {},
}  # fmt: skip
if importlib.util.find_spec("imagecodecs"):
    BOMBS["deep-tiff"] = {
        "LERC within": _lerc, "JPEG 2000 within": _jpeg2000, "JPEG XL within": _jpegxl,
    }  # fmt: skip


@functools.cache
def bomb(kind: str, name: str) -> bytes:
    """The bytes of such a file."""
    return BOMBS[kind][name]()
