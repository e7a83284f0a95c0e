"""XMP corrected for a picture that was turned upright and enlarged.

XMP is RDF in XML. Properties are recognised by their namespaces, whatever the prefixes.
"""

import io
from typing import Any
from xml.dom import minidom

__all__ = ["MOST", "after_enlarging"]

MOST = 2**20  # bytes that are read: an XML tree takes a hundred times as many
_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_XMP, _DC = "http://ns.adobe.com/xap/1.0/", "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_TEXTS = {"Artist", "Copyright", "DateTime", "ImageDescription", "Make", "Model", "Software"}
_OF_PIXELS = {
    _EXIF: {
        "CFAPattern", "ComponentsConfiguration", "CompressedBitsPerPixel",
        "FocalPlaneResolutionUnit", "FocalPlaneXResolution", "FocalPlaneYResolution",
        "NativeDigest", "PixelXDimension", "PixelYDimension", "SubjectArea", "SubjectLocation",
    },
    _XMP: {"Thumbnails"},
    _DC: {"format"},
    _PHOTOSHOP: {"ColorMode", "ICCProfile"},
}  # fmt: skip
# About pictures, sound and video elsewhere in the file, which are not copied.
_OF_OTHERS = (
    "http://ns.google.com/photos/1.0/container/", "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/image/", "http://ns.google.com/photos/1.0/audio/",
    "http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.adobe.com/xmp/note/",
)  # fmt: skip
_SIZE_OF_REGIONS, _REGION = (_REGIONS, "AppliedToDimensions"), (_IPTC, "ImageRegion")
_FACES = (_REGIONS, "http://ns.microsoft.com/photo/1.2/", "http://ns.apple.com/faceinfo/1.0/")


def after_enlarging(
    xmp: bytes, width: int, height: int, turned: bool = False
) -> tuple[bytes | None, list[str]]:
    """Return XMP corrected for a picture stored upright with this many pixels, and what it loses.

    XMP is None if damaged, too long, with a document type, or nested a thousand levels deep.
    """
    content = xmp.strip(b"\0 \r\n\t")
    if len(content) > MOST or b"!DOCTYPE" in content.replace(b"\0", b""):
        return None, []
    lost: dict[str, None] = {}
    try:
        document = minidom.parse(io.BytesIO(content))
        _clean(document, width, height, turned, lost)
        text = "".join(node.toxml() for node in document.childNodes)
        return text.encode(), list(lost)
    except Exception:  # of expat and minidom for bad XML, or too deep nesting
        return None, []


def _clean(
    node: Any, width: int, height: int, turned: bool, lost: dict[str, None], around: tuple = ()
) -> None:
    """Remove outdated properties below a node; `around` names enclosing, already searched ones."""
    for child in list(node.childNodes):
        if child.nodeType != child.ELEMENT_NODE:
            continue
        name = child.namespaceURI, child.localName
        if _is_left_out(child, turned, lost, name in around):
            node.removeChild(child)
            continue
        for attribute in list(child.attributes.values()):
            if _is_left_out(attribute, turned, lost):
                child.removeAttributeNode(attribute)
        if name == _SIZE_OF_REGIONS and name not in around:
            _set(child, {"w": width, "h": height})
        within = (*around, name) if name in (_SIZE_OF_REGIONS, _REGION) else around
        _clean(child, width, height, turned, lost, within if name not in around else around)


def _is_left_out(node: Any, turned: bool, lost: dict, searched: bool = False) -> bool:
    """Return whether a property describes the old pixels; add to `lost` what people may miss."""
    space, name = node.namespaceURI or "", node.localName or ""
    if space in _OF_OTHERS or (space == _CAMERA and name.startswith(("Micro", "Motion"))):
        lost["what XMP says of other pictures, sound or video in the file"] = None
        return True
    is_region = (space, name) == _REGION and node.nodeType == node.ELEMENT_NODE and not searched
    if (turned and (space in _FACES or is_region)) or (is_region and "pixel" in node.toxml()):
        lost["the regions (faces) in XMP"] = None
        return True
    return (
        (space == _TIFF and name not in _TEXTS)
        or name in _OF_PIXELS.get(space, ())
        or (space == _PANORAMA and name.endswith("Pixels"))
    )


def _set(node: Any, values: dict[str, int]) -> None:
    """Set the fields of a structure, which are attributes or elements."""
    for name, value in values.items():
        if node.hasAttributeNS(_DIMENSIONS, name):
            node.getAttributeNodeNS(_DIMENSIONS, name).value = str(value)
        for field in node.getElementsByTagNameNS(_DIMENSIONS, name):
            for text in field.childNodes:
                text.data = str(value)
