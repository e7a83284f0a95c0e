"""Writing PNG files: metadata as chunks, and pixels of 16 bits a channel.

Chunks of text and of colour information are copied from other PNG files byte by byte. They are not
unpacked, since a short chunk may hold a long text.
"""

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

from . import _iptc
from ._picture_file import Chunk

__all__ = ["are_default", "as_chunks", "encoded_deep", "keywords", "write"]

_BAND = 2**20  # pixels compressed at a time
_HEADED = 8 + 25  # bytes of the signature and of the first chunk, IHDR
# What readers assume without these chunks: the primaries of BT.709 and the curve of sRGB.
_DEFAULTS = {
    b"cHRM": (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"gAMA": (45455,),
}


def as_chunks(metadata: dict[str, Any]) -> list[Chunk]:
    """Return metadata, given by name, as chunks of a PNG file."""
    colours = metadata.get("colours", [])
    if "icc_profile" in metadata:  # a file has one or the other
        colours = [chunk for chunk in colours if chunk[0] != b"sRGB"]
    chunks = [*colours, *metadata.get("texts", [])]
    for name, make in _MAKERS.items():
        if name in metadata:
            chunks.append(make(metadata[name]))
    return chunks


def _of_comment(comment: bytes) -> Chunk:
    """Return the comment of a JPEG or GIF file as a text chunk."""
    text = comment.rstrip(b"\0").replace(b"\0", b" ")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return b"tEXt", b"Comment\0" + text  # Latin-1, in which any bytes are valid
    return b"iTXt", b"Comment\0\0\0\0\0" + text


def _of_iptc(iptc: bytes) -> Chunk:
    """Return IPTC as a text chunk of Photoshop resources, in the form that ImageMagick writes."""
    resources = _iptc.in_resources(iptc)
    digits = resources.hex()
    lines = [digits[k : k + 72] for k in range(0, len(digits), 72)]
    text = "\n".join(["", "iptc", f"{len(resources):8}", *lines, ""])
    return b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text.encode())


_MAKERS = {
    "icc_profile": lambda profile: (b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)),
    "exif": lambda exif: (b"eXIf", exif.removeprefix(b"Exif\0\0")),
    # Pixels per metre; or, with the unit 0, only the ratio of the two densities.
    "dpi": lambda dpi: (b"pHYs", struct.pack(">IIB", *(round(n / 0.0254) for n in dpi), 1)),
    "ratio": lambda ratio: (b"pHYs", struct.pack(">IIB", *ratio.as_integer_ratio(), 0)),
    "comment": _of_comment,
    "xmp": lambda xmp: (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    "iptc": _of_iptc,
}


def write(file: BinaryIO, content: bytes, chunks: Iterable[Chunk]) -> None:
    """Write a PNG file with extra chunks, directly after its first one."""
    from PIL.PngImagePlugin import putchunk  # not at the top: `import pysrcnn` stays quick

    file.write(content[:_HEADED])
    for chunk in chunks:
        putchunk(file, *chunk)
    file.write(memoryview(content)[_HEADED:])


def encoded_deep(picture: np.ndarray) -> bytes:
    """Encode 16-bit colour (H, W, 2), (H, W, 3) or (H, W, 4) as PNG, which Pillow cannot do.

    Each byte is stored as its difference from that of the pixel before, as OpenCV does.
    """
    from PIL.PngImagePlugin import putchunk

    height, width, channels = picture.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    packer, out = zlib.compressobj(3), io.BytesIO()
    out.write(b"\x89PNG\r\n\x1a\n")
    putchunk(out, b"IHDR", header)
    band = max(1, _BAND // width)
    for top in range(0, height, band):
        rows = (
            picture[top : top + band].astype(">u2").view(np.uint8).reshape(-1, width * channels * 2)
        )
        filtered = np.ones((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 1:] = rows
        filtered[:, 1 + 2 * channels :] -= rows[:, : -2 * channels]
        last = top + band >= height
        putchunk(out, b"IDAT", packer.compress(filtered.data) + (packer.flush() if last else b""))
    putchunk(out, b"IEND", b"")
    return out.getvalue()


def are_default(colours: Iterable[Chunk], profile: bytes | None) -> bool:
    """Return whether the colours are the same without these chunks: sRGB, or the profile's."""
    said = dict(colours)
    if b"cICP" in said:  # takes precedence over a profile
        return said[b"cICP"] == bytes((1, 13, 0, 1))
    return bool(profile) or b"sRGB" in said or all(map(_is_default, said, said.values()))


def _is_default(kind: bytes, data: bytes) -> bool:
    defaults = _DEFAULTS[kind]
    if len(data) != 4 * len(defaults):
        return True  # damaged, and so without meaning
    numbers = struct.unpack(f">{len(defaults)}I", data)
    return all(abs(a - b) <= 0.01 * b for a, b in zip(numbers, defaults, strict=True))


def keywords(texts: Iterable[Chunk]) -> list[str]:
    """Return the keywords of text chunks, each once: "Title", "Author"."""
    return list(dict.fromkeys(data[:80].split(b"\0")[0].decode("latin-1") for _, data in texts))
