"""The metadata of picture files, which Pillow partly leaves out and partly makes up."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from . import _exif, _iptc
from ._directories import Tiff
from ._limits import Structure
from ._picture_file import PictureFile

__all__ = ["COMPRESSIONS", "PHOTOSHOP", "XMP", "named", "read_metadata", "read_tiff_metadata"]

# TIFF's numbers for compression, and the names that Pillow and tifffile have for it.
COMPRESSIONS = {
    5: ("tiff_lzw", "lzw"),
    8: ("tiff_adobe_deflate", "zlib"),
    32773: ("packbits", "packbits"),
    50000: ("zstd", "zstd"),
}
_NONE, _DEFLATE, _PACKBITS, _TIFFS_JPEG = 1, 8, 32773, (6, 7, 34712, 34887, 34892, 50001)
_COMPRESSION, _PREDICTOR = 259, 317
_MOST = 2**22  # bytes of EXIF, of IPTC and of texts that are kept
XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP = b"Photoshop 3.0\0"
_GIF_XMP, _GIF_XMP_END = b"\x21\xff\x0bXMP DataXMP", b"\x01\xff\xfe\xfd"
_COLOURS, _TEXTS = (b"cHRM", b"cICP", b"gAMA", b"sRGB"), (b"iTXt", b"tEXt", b"zTXt")
# Chunks that are needed to decode the pixels, are read elsewhere, or are untrue of a new file.
_KNOWN = {
    *_COLOURS, *_TEXTS, b"tRNS", b"iCCP", b"eXIf", b"pHYs", b"sBIT", b"hIST", b"tIME", b"iDOT",
    b"dSIG", b"srCN",
}  # fmt: skip
# Keywords of texts on a property of the old pixels, as ImageMagick and thumbnails have them.
_OF_PIXELS = re.compile(
    rb"(?i)(exif|jpeg|png|tiff):.*(dimension|height|length|orientation|resolution|sampling|width)"
    rb"|(exif:)?thumb"
)

Raw = tuple[bytes | None, bytes]  # bare IPTC, and Photoshop resources, which may hold some


def read_metadata(found: Structure, about: Mapping[str, Any], file: PictureFile) -> None:
    """Put the metadata of a file into `file`; `about` is what Pillow says of it."""
    file.exif, file.comment = about.get("exif") or None, about.get("comment") or None
    raw: Raw = None, b""
    if found.kind == "jpeg":
        raw = _of_jpeg(about, file)
    elif found.kind == "png":
        raw = _of_png(found, about, file)
    elif found.kind == "tiff":
        raw = _of_tiff(Tiff(found.content), file)
    elif found.kind == "webp":
        file.xmp, file.lossy = about.get("xmp") or None, found.lossy
    elif found.kind == "gif":
        _of_gif(found.content, file)
    if found.kind in ("bmp", "png") and about.get("dpi"):
        file.dpi = _exif.known_dpi(*map(float, about["dpi"]))
    _take_iptc(raw, file)
    _check_exif(file)
    if file.exif and found.kind != "tiff":
        exif = Tiff(file.exif.removeprefix(b"Exif\0\0"))
        file.xmp = file.xmp or _held(exif, _exif.XMP)
        if file.dpi is None:
            file.dpi, ratio = _exif.density(exif)
            file.ratio = file.ratio or ratio
    if file.dpi:
        file.ratio = None


def read_tiff_metadata(source: Any, file: PictureFile) -> None:
    """Put the metadata of a TIFF file into `file`; the slices of `source` are bytes."""
    _take_iptc(_of_tiff(Tiff(source), file), file)
    _check_exif(file)


def _take_iptc(raw: Raw, file: PictureFile) -> None:
    iptc, resources = raw
    held, others = _iptc.of_resources(resources)
    file.iptc = iptc or held
    if others:
        file.notes.append("its settings of Photoshop (paths, guides, ...) are left out")
    if file.iptc and len(file.iptc) > _MOST:
        file.iptc = None
        file.notes.append("its IPTC, of several megabytes, is left out")


def _check_exif(file: PictureFile) -> None:
    if file.exif and not _exif.has_head(file.exif):
        file.exif = None
        file.notes.append("its EXIF is damaged and left out")
    if file.exif and len(file.exif) > _MOST:
        file.exif = None
        file.notes.append("its EXIF, of several megabytes, is left out")


def _of_jpeg(about: Mapping[str, Any], file: PictureFile) -> Raw:
    """Read the segments before the pixels; of resources and comments, Pillow has only the last."""
    comments, resources, more, profile = [], [], False, False
    for name, data in about["applist"]:
        if name == "APP1" and data.startswith(XMP):
            file.xmp = file.xmp or data.removeprefix(XMP)
        elif name == "APP13" and data.startswith(PHOTOSHOP):
            resources.append(data.removeprefix(PHOTOSHOP))
        elif name == "COM":
            comments.append(data)
        more = more or (name == "APP1" and data.startswith(_MORE_XMP))
        profile = profile or (name == "APP2" and data.startswith(b"ICC_PROFILE\0"))
    if profile and not about.get("icc_profile"):  # a piece of it is missing
        file.notes.append("its colour profile is damaged and left out")
    if more:
        file.notes.append("the part of its XMP that is in pieces of its own is left out")
    if "jfif_density" in about:  # Pillow's "dpi" may be an invented 72
        x, y = about["jfif_density"]
        inches = {1: 1.0, 2: 2.54}.get(about["jfif_unit"])
        file.dpi = _exif.known_dpi(x * inches, y * inches) if inches else None
        file.ratio = None if inches else _exif.ratio_of(x, y)
    file.comment = b"\n".join(comments) or None
    file.lossy = True
    return None, b"".join(resources)


def _of_gif(content: bytes, file: PictureFile) -> None:
    """Read what Pillow does not look for: XMP, a profile, the pixel aspect ratio."""
    start = content.find(_GIF_XMP)
    if start >= 0:
        start += len(_GIF_XMP)
        end = content.find(_GIF_XMP_END, start)
        file.xmp = content[start:end] if end > start else None
    if b"\x21\xff\x0bICCRGBG1012" in content:
        file.notes.append("its colour profile, of a kind that few read in GIF, is left out")
    if len(content) > 12 and content[12]:
        file.ratio = _exif.ratio_of(64, content[12] + 15)


def _of_png(found: Structure, about: Mapping[str, Any], file: PictureFile) -> Raw:
    iptc, resources = None, []
    if sum(kind == b"eXIf" for kind, _ in found.chunks) > 1:
        file.notes.append("only one of its several pieces of EXIF is taken")
    for keyword, text in found.profiles:
        name, held = _profile_of(keyword, text)
        if name == "app1":
            name = "xmp" if held.startswith(XMP) else "exif"
            held = held.removeprefix(XMP)
        if name == "xmp":
            file.xmp = file.xmp or held
        elif name == "exif":
            file.exif = file.exif or held
        elif name in ("iptc", "8bim"):
            held = held.removeprefix(PHOTOSHOP)
            if held.startswith(b"\x1c"):
                iptc = held
            else:
                resources.append(held)
        else:
            file.notes.append(f"its profile {name[:20]}, in the form of a text, is left out")
        if not held:
            file.notes.append(f"its {name[:20]}, in the form of a text, is damaged and left out")
    kinds = [kind.decode("latin-1") for kind, _ in found.chunks if kind not in _KNOWN]
    kinds = list(dict.fromkeys(kinds))[:9]
    if kinds:
        said = f"chunk {kinds[0]} says" if len(kinds) == 1 else f"chunks {', '.join(kinds)} say"
        file.notes.append(f"what its {said} is left out")
    file.ratio = _exif.ratio_of(*about.get("aspect", (0, 0)))
    _take_chunks(found, file)
    return iptc, b"".join(resources)


def _profile_of(keyword: bytes, text: bytes) -> tuple[str, bytes]:
    """Return the name and content of XMP, or of a profile in ImageMagick's hexadecimal digits."""
    if b"adobe.xmp" in keyword:
        return "xmp", text
    digits = b"".join(text.lstrip().splitlines()[2:])  # below the lines of a name and a size
    name = keyword.rpartition(b" ")[2].decode("latin-1").lower()
    try:
        return name, bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return name, b""


def _take_chunks(found: Structure, file: PictureFile) -> None:
    """Keep the chunks that are copied to other PNG files as they are: colour information, texts."""
    colours: dict[bytes, bytes] = {}
    for kind, data in found.chunks:
        if kind in _COLOURS:
            colours.setdefault(kind, data)
        elif kind in _TEXTS and not _OF_PIXELS.match(data[:80].split(b"\0")[0]):
            file.texts.append((kind, data))
    file.colours = list(colours.items())
    if sum(len(text) for _, text in file.texts) > _MOST:
        file.texts = []
        file.notes.append("its texts, of several megabytes, are left out")


def _held(tiff: Tiff, tag: int) -> bytes | None:
    held = tiff.held(tiff.first, {tag}).get(tag, (0, 0, b""))[2]
    return held if isinstance(held, bytes) and held else None


def _of_tiff(tiff: Tiff, file: PictureFile) -> Raw:
    file.exif, others = _exif.of_tiff(tiff)
    file.xmp = _held(tiff, _exif.XMP)
    file.dpi, file.ratio = _exif.density(tiff)
    packing = tiff.number(_COMPRESSION, _NONE)
    file.lossy = packing in _TIFFS_JPEG
    if packing != _NONE:
        file.compression = packing if packing in COMPRESSIONS else _DEFLATE
    file.predictor = tiff.number(_PREDICTOR) in (2, 3) and packing != _PACKBITS
    if others:
        file.notes.append(
            f"its tags {named(sorted(others))}, which may be of its pixels, are left out"
        )
    return _held(tiff, _exif.IPTC), _held(tiff, _exif.PHOTOSHOP) or b""


def named(things: Iterable, most: int = 3) -> str:
    """Return "50838, 50839, 65000 and 2 more": all names if they are up to `most`, else three."""
    texts = [str(thing) for thing in things]
    if len(texts) <= most:
        return ", ".join(texts)
    return f"{', '.join(texts[:3])} and {len(texts) - 3} more"
