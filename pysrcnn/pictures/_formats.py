"""Picture formats: those that are read and written, and others, recognised to be refused."""

import re
from pathlib import Path

__all__ = ["KINDS", "RAW", "SUFFIXES", "kind_of", "known_to_pillow", "sentence_for"]

KINDS = {
    ".apng": "png", ".bmp": "bmp", ".gif": "gif", ".jpeg": "jpeg", ".jpg": "jpeg", ".png": "png",
    ".tif": "tiff", ".tiff": "tiff", ".webp": "webp",
}  # fmt: skip
SUFFIXES = set(KINDS)
_STARTS = {
    b"\x89PNG": "png", b"GIF8": "gif", b"\xff\xd8\xff": "jpeg", b"II*\0": "tiff",
    b"MM\0*": "tiff", b"II+\0": "tiff", b"MM\0+": "tiff", b"BM": "bmp",
}  # fmt: skip

RAW = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc",
    ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf",
    ".srw", ".x3f",
}  # fmt: skip
_CAMERA = "a camera's RAW file", "develop it to TIFF, PNG or JPEG first"
_SAVE, _CONVERT = "save it as PNG, JPEG or TIFF first", "convert it to PNG or JPEG first"
_OTHERS = (  # by their first bytes, whatever the suffix
    (rb"(?s).{4}ftyp(hei|hev|mif1|msf1)", "a HEIC picture", _CONVERT),
    (rb"(?s).{4}ftypavi", "an AVIF picture", _CONVERT),
    (rb"(?s).{4}ftypcrx|FUJIFILMCCD-RAW|FOVb|II[RU].|IIU\0|MMOR|\0MRM", *_CAMERA),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture", _CONVERT),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 picture", _SAVE),
    (rb"(?s)II\xbc", "a JPEG XR picture", _SAVE),
    (rb"8BPS", "a Photoshop document", "export it as PNG or TIFF first"),
    (rb"gimp xcf", "a GIMP document", "export it as PNG or TIFF first"),
    (rb"\x76\x2f\x31\x01", "an OpenEXR picture", "save it as TIFF of floating point in 0..1 first"),
    (rb"#\?(RADIANCE|RGBE)", "a Radiance HDR picture", "save it as TIFF or PNG first"),
    (rb"(?s).{128}DICM", "a DICOM file", "export its picture as PNG or TIFF first"),
    (rb"SIMPLE  =", "a FITS file", "save its array as TIFF, or enlarge it in Python"),
    (rb"P[1-7][\s#]|P[Ff]\s", "a PNM picture (PBM, PGM, PPM, PAM or PFM)", _SAVE),
    (rb"\0\0\x01\0", "an icon (ICO)", "save the size that you need as PNG first"),
    (rb"(?s)\0\0\x02\0[\x01-\xff]\0.{14}", "a cursor (CUR)", "save it as PNG first"),
    (rb"icns", "an icon (ICNS)", "save the size that you need as PNG first"),
    (rb"DDS ", "a DDS texture", _SAVE),
    (rb"\xabKTX", "a KTX texture", _SAVE),
    (rb"qoif", "a QOI picture", _SAVE),
    (rb"\x8aMNG|\x8bJNG", "an MNG or JNG file", "take its frames out as PNG files first"),
    (rb"FLIF", "a FLIF picture", _SAVE),
    (rb"BPG\xfb", "a BPG picture", _SAVE),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript drawing (EPS)", "export it as PNG first"),
    (rb"AT&TFORM", "a DjVu document", "export the page as PNG first"),
    (rb"\x93NUMPY", "an array of NumPy", "save it as PNG or TIFF, or enlarge it in Python"),
    (rb"\x89HDF", "an HDF5 file", "save its picture as PNG or TIFF, or enlarge it in Python"),
    (rb"PK\x03\x04", "a ZIP archive (a document, arrays or weights)", "take the picture out first"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd", "an archive", "unpack it first"),
    (rb"(?s).{4}ftyp", "a video", "take its frames out as PNG files first"),
    (rb"\x1a\x45\xdf\xa3|(?s:RIFF.{4}AVI )", "a video", "take its frames out as PNG files first"),
    (rb"%PDF", "a PDF document", "export the page as PNG first"),
    (rb"(?i)\W*<(!doctype )?html", "a web page", "download the picture that it shows"),
    (rb"(?si)\W*<(svg|[?!].{0,2000}?<svg)", "an SVG drawing", "export it as PNG first"),
    (rb"version https://git-lfs", "the place of a file that Git LFS holds", "run: git lfs pull"),
)
_BY_NAME = {".tga": "a TGA picture", ".raw": "a file of numbers alone"}


def kind_of(head: bytes) -> str:
    """Return the format that a file's first bytes indicate: "png", "jpeg", ...; "" for others."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return next((kind for start, kind in _STARTS.items() if head[: len(start)] == start), "")


def sentence_for(head: bytes, name: str) -> str | None:
    """Return what a file is and what to do about it; None if its format may be one that is read.

    `head` holds its first 4 KiB, or all of it.
    """
    suffix = Path(name).suffix.lower()
    if suffix in RAW or (head[:4] == b"II*\0" and head[8:10] == b"CR"):
        kind, advice = _CAMERA
    else:
        found = next(((k, a) for start, k, a in _OTHERS if re.match(start, head)), None)
        if found is None and suffix in _BY_NAME:
            found = _BY_NAME[suffix], _SAVE
        if found is None:
            return None
        kind, advice = found
    return f"{name} is {kind}, which is not read: {advice}"


def known_to_pillow(head: bytes) -> str | None:
    """Return Pillow's name for the format that a file begins with; None if it knows none."""
    from PIL import Image

    Image.init()
    for name in Image.ID if len(head) >= 16 else ():
        _, accept = Image.OPEN[name]
        if accept is not None and accept(head[:16]) is True:
            return name
    return None
