"""A mark at the end of each result, by which a later run knows it from a picture of one's own.

Each format has a place for such a thing, or takes no notice of what comes after it: a chunk in PNG
and WebP, an extension in GIF, a comment in JPEG, and bytes that nothing points to in TIFF and BMP.
Pixels and metadata stay what they are. A program that changes the picture writes a file without
the mark; so what has it is as this package wrote it, and may be replaced by what it writes now.
"""

import os
import struct
import zlib

__all__ = ["is_marked", "mark"]

_TEXT = b"enlarged by pysrcnn\n"
_OF_PNG = b"srCN" + _TEXT  # small s, r: others may skip it. Large N: who edits must not keep it
_IEND = b"\0\0\0\0IEND\xae\x42\x60\x82"
_ENDS = {  # of a file of each kind: as it is, and with the mark
    "png": (
        _IEND,
        struct.pack(">I", len(_TEXT)) + _OF_PNG + struct.pack(">I", zlib.crc32(_OF_PNG)) + _IEND,
    ),
    "jpeg": (b"\xff\xd9", b"\xff\xfe" + struct.pack(">H", len(_TEXT) + 2) + _TEXT + b"\xff\xd9"),
    "gif": (b";", b"!\xff\x0bpysrcnn 1.0" + bytes([len(_TEXT)]) + _TEXT + b"\0;"),
    "webp": (b"", b"SRCN" + struct.pack("<I", len(_TEXT)) + _TEXT),  # of an even length
    "tiff": (b"", _TEXT),
    "bmp": (b"", _TEXT),
}


def mark(path: str | os.PathLike, kind: str) -> None:
    """Mark a file that was written, of a kind as `kind_of` says."""
    before, after = _ENDS[kind]
    with open(path, "r+b") as file:
        file.seek(-len(before), os.SEEK_END)
        if file.read() != before:  # then it stays as its writer left it
            return
        file.seek(-len(before), os.SEEK_END)
        file.write(after)
        if kind == "webp":
            size = file.tell() - 8
            file.seek(4)
            file.write(struct.pack("<I", size))


def is_marked(path: str | os.PathLike) -> bool:
    """Whether a file ends with the mark; not if it cannot be read."""
    longest = max(len(after) for _, after in _ENDS.values())
    if not os.path.isfile(path):  # but a pipe, which may be waited for in vain
        return False
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - longest))
            end = file.read()
    except OSError:
        return False
    return any(end.endswith(after) for _, after in _ENDS.values())
