"""What a picture file says beside its pixels, that Pillow leaves out or makes up."""

import struct
from collections.abc import Iterable, Iterator

from . import _chunks, _exif, _iptc

__all__ = ["COMPRESSIONS", "PHOTOSHOP", "XMP", "Beside", "named", "of_file"]

# TIFF's numbers for how pixels are packed, as Pillow and as tifffile call it.
COMPRESSIONS = {
    5: ("tiff_lzw", "lzw"),
    8: ("tiff_adobe_deflate", "zlib"),
    32773: ("packbits", "packbits"),
    50000: ("zstd", "zstd"),
}
_NONE, _DEFLATE, _PACKBITS, _TIFFS_JPEG = 1, 8, 32773, (6, 7, 34712, 34887, 34892, 50001)
_COMPRESSION, _PREDICTOR = 259, 317
XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_EXIF, PHOTOSHOP, _JFIF = b"Exif\0\0", b"Photoshop 3.0\0", b"JFIF\0"
_PROFILE = b"ICC_PROFILE\0"
_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}
_GIF_XMP, _GIF_XMP_END = b"\x21\xff\x0bXMP DataXMP", b"\x01\xff\xfe\xfd"

Beside = dict[str, object]  # attributes of a PictureFile, and "notes"


def of_file(content, kind: str, about: dict) -> Beside:
    """What the file says, by the names that `PictureFile` has for it; `about` is what Pillow says.

    `content` is bytes or, for TIFF, what has them.
    """
    found: Beside = {"exif": about.get("exif") or None, "notes": [], "xmp": None, "resources": []}
    found |= {"dpi": None, "ratio": None, "comment": about.get("comment") or None}
    if kind in _READERS:
        _READERS[kind](content, about, found)
    if kind not in ("gif", "jpeg", "tiff", "webp") and about.get("dpi"):
        found["dpi"] = _exif.known_dpi(*map(float, about["dpi"]))
    notes = found["notes"]
    if found.pop("signed", False):
        notes.append("its content credentials (C2PA), which sign the old pixels, are left out")
    held, others = _iptc.of_resources(b"".join(found.pop("resources")))
    if others:
        notes.append("its settings of Photoshop (paths, guides, ...) are left out")
    iptc = found.pop("bare", None) or held
    if iptc and len(iptc) > _chunks.MOST:
        iptc = None
        notes.append("its IPTC, of several megabytes, is left out")
    found["iptc"] = iptc or None
    if found["exif"] and not _exif.has_head(found["exif"]):
        found["exif"] = None
        notes.append("its EXIF is damaged and left out")
    if found["exif"] and len(found["exif"]) > _chunks.MOST:
        found["exif"] = None
        notes.append("its EXIF, of several megabytes, is left out")
    if found["exif"] and kind != "tiff":
        exif = found["exif"].removeprefix(_EXIF)
        found["xmp"] = found["xmp"] or _exif.xmp_and_iptc(exif)[0]
        if found["dpi"] is None:
            found["dpi"], ratio = _exif.density(exif)
            found["ratio"] = found["ratio"] or ratio
    if found["dpi"]:
        found["ratio"] = None
    return found


def _of_jpeg(content: bytes, about: dict, found: Beside) -> None:
    comments, ratio, more, profile = [], None, False, False
    for marker, data in _segments(content):
        if marker == 0xE0 and data.startswith(_JFIF) and len(data) >= 12:
            unit, x, y = struct.unpack_from(">BHH", data, 7)
            inches = {1: 1.0, 2: 2.54}.get(unit)
            found["dpi"] = _exif.known_dpi(x * inches, y * inches) if inches else None
            ratio = None if inches else _exif.ratio_of(x, y)
        elif marker == 0xE1 and data.startswith(XMP):
            found["xmp"] = found["xmp"] or data.removeprefix(XMP)
        elif marker == 0xE1 and data.startswith(_MORE_XMP):
            more = True
        elif marker == 0xE2 and data.startswith(_PROFILE):
            profile = True
        elif marker == 0xED and data.startswith(PHOTOSHOP):
            found["resources"].append(data.removeprefix(PHOTOSHOP))
        elif marker == 0xEB and data.startswith(b"JP"):
            found["signed"] = True
        elif marker == 0xFE:
            comments.append(data)
    if profile and not about.get("icc_profile"):  # of which a piece is missing
        found["notes"].append("its colour profile is damaged and left out")
    if more:
        found["notes"].append("the part of its XMP that is in pieces of its own is left out")
    found["ratio"] = ratio
    found["comment"] = b"\n".join(comments) or found["comment"]
    found["lossy"] = True


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The marker segments of a JPEG file before its pixels; no more than any camera writes."""
    at = 2
    for _ in range(2**16):
        at = content.find(b"\xff", at)  # behind damage, which readers pass over
        if at < 0 or at + 4 > len(content) or content[at + 1] == 0xDA:
            return
        marker = content[at + 1]
        if marker in _NO_LENGTH or marker in (0, 0xFF):
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        yield marker, content[at + 4 : at + 2 + length]
        at += 2 + max(length, 2)


def _of_webp(content: bytes, about: dict, found: Beside) -> None:
    found["lossy"], at = False, 12
    for _ in range(2**18):
        if at + 8 > len(content):
            break
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == b"XMP ":
            found["xmp"] = found["xmp"] or content[at + 8 : at + 8 + size]
        elif kind == b"VP8 ":
            found["lossy"] = True
        elif kind == b"C2PA":
            found["signed"] = True
        at += 24 if kind == b"ANMF" else 8 + size + size % 2  # in which are pieces of its own


def _of_gif(content: bytes, about: dict, found: Beside) -> None:
    start = content.find(_GIF_XMP)
    if start >= 0:
        start += len(_GIF_XMP)
        end = content.find(_GIF_XMP_END, start)
        found["xmp"] = content[start:end] if end > start else None
    if b"\x21\xff\x0bICCRGBG1012" in content:
        found["notes"].append("its colour profile, of a kind that few read in GIF, is left out")
    if len(content) > 12 and content[12]:
        found["ratio"] = _exif.ratio_of(64, content[12] + 15)


def _of_png(content: bytes, about: dict, found: Beside) -> None:
    notes, chunks = found["notes"], list(_chunks.chunks_of(content))
    if sum(kind == b"eXIf" for kind, _ in chunks) > 1:
        notes.append("only one of its several pieces of EXIF is taken")
    for name, held in _chunks.profiles_of(chunks):
        if name == "app1":
            name = "xmp" if held.startswith(XMP) else "exif"
            held = held.removeprefix(XMP)
        if name in ("xmp", "exif"):
            found[name] = found[name] or held
        elif name in ("iptc", "8bim"):
            held = held.removeprefix(PHOTOSHOP)
            if held.startswith(b"\x1c"):
                found["bare"] = held
            else:
                found["resources"].append(held)
        else:
            notes.append(f"its profile {name[:20]}, in the form of a text, is left out")
        if not held:
            notes.append(f"its {name[:20]}, in the form of a text, is damaged and left out")
    kinds = _chunks.left_out(chunks)
    if kinds:
        said = f"chunk {kinds[0]} says" if len(kinds) == 1 else f"chunks {', '.join(kinds)} say"
        notes.append(f"what its {said} is left out")
    shape = _chunks.shape_of_pixels(chunks)
    found["ratio"] = _exif.ratio_of(*shape) if shape else None


def _of_tiff(content, about: dict, found: Beside) -> None:
    found["exif"], others = _exif.of_tiff(content)
    found["xmp"], found["bare"], resources = _exif.xmp_and_iptc(content)
    found["resources"].append(resources or b"")
    found["dpi"], found["ratio"] = _exif.density(content)
    numbers = _exif.numbers_of(content, _COMPRESSION, _PREDICTOR)
    packing = numbers.get(_COMPRESSION, _NONE)
    found["lossy"] = packing in _TIFFS_JPEG
    if packing != _NONE:
        found["compression"] = int(packing) if packing in COMPRESSIONS else _DEFLATE
    found["predictor"] = numbers.get(_PREDICTOR) in (2, 3) and packing != _PACKBITS
    if others:
        found["notes"].append(
            f"its tags {named(sorted(others))}, which may be of its pixels, are left out"
        )


def named(things: Iterable, most: int = 3) -> str:
    """ "50838, 50839, 65000 and 2 more": all of them up to `most`, or else three."""
    texts = [str(thing) for thing in things]
    if len(texts) <= most:
        return ", ".join(texts)
    return f"{', '.join(texts[:3])} and {len(texts) - 3} more"


_READERS = {"jpeg": _of_jpeg, "webp": _of_webp, "gif": _of_gif, "png": _of_png, "tiff": _of_tiff}
