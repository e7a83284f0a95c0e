"""A mark at the end of each result, by which a later run knows it from a picture of one's own.

Each format has a place for such a thing, or takes no notice of what comes after it: a chunk in PNG
and WebP, an extension in GIF, a comment in JPEG, a box in MP4, and bytes that nothing points to in
TIFF and BMP.
Pixels and metadata stay what they are. A program that saves the picture writes a file without the
mark. One that changes what is beside the pixels may keep it; so it has a checksum, and what agrees
with it is as this package wrote it, and may be replaced by what it writes now.
"""

import os
import re
import struct
import zlib
from typing import BinaryIO

__all__ = ["is_marked", "is_unchanged", "mark"]

_TEXT = b"enlarged by pysrcnn, %08x\n"  # of an even length
_IEND = b"\0\0\0\0IEND\xae\x42\x60\x82"
_BEFORE = {"png": _IEND, "jpeg": b"\xff\xd9", "gif": b";"}  # how files end without the mark
_MARKED = re.compile(
    rb"enlarged by pysrcnn, [0-9a-f]{8}\n(?:|....%b|\xff\xd9|\0;)\Z" % re.escape(_IEND), re.DOTALL
)
_LONGEST = 64  # bytes
_SIZE_ENDS = 12  # the size of WebP, which the mark changes, is before
_PIECE = 2**16  # bytes of the begin, and of the end, that the checksum is of


def _after(kind: str, checksum: int) -> bytes:
    """How a file of this kind ends with the mark."""
    text = _TEXT % checksum
    if kind == "png":  # small s, r: others may skip it. Large N: who edits must not keep it
        chunk = b"srCN" + text
        return struct.pack(">I", len(text)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + _IEND
    return {
        "jpeg": b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + b"\xff\xd9",
        "gif": b"!\xff\x0bpysrcnn 1.0" + bytes([len(text)]) + text + b"\0;",
        "mp4": struct.pack(">I", len(text) + 8) + b"free" + text,
        "webp": b"SRCN" + struct.pack("<I", len(text)) + text,
    }.get(kind, text)


def _checksum(file: BinaryIO, stop: int) -> int:
    """Of how long a file is without the mark, and of its begin and its end, not to read it all."""
    file.seek(_SIZE_ENDS)
    sum_of_begin = zlib.crc32(file.read(min(_PIECE, max(0, stop - _SIZE_ENDS))), stop & 0xFFFFFFFF)
    file.seek(max(0, stop - _PIECE))
    return zlib.crc32(file.read(min(_PIECE, stop)) if stop > _PIECE else b"", sum_of_begin)


def mark(path: str | os.PathLike, kind: str) -> None:
    """Mark a file that was written, of a kind as `kind_of` says."""
    before = _BEFORE.get(kind, b"")
    with open(path, "r+b") as file:
        stop = file.seek(0, os.SEEK_END) - len(before)
        file.seek(stop)
        if file.read() != before:  # then it stays as its writer left it
            return
        checksum = _checksum(file, stop)
        file.seek(stop)
        file.write(_after(kind, checksum))
        if kind == "webp":
            size = file.tell() - 8
            file.seek(4)
            file.write(struct.pack("<I", size))


def is_marked(path: str | os.PathLike) -> bool:
    """Whether a file ends with the mark, maybe changed since; not if it cannot be read."""
    return _state_of(path) != ""


def is_unchanged(path: str | os.PathLike) -> bool:
    """Whether a file ends with the mark and is, as far as its checksum says, as it was written."""
    return _state_of(path) == "unchanged"


def _state_of(path: str | os.PathLike) -> str:
    """ "unchanged" or "changed"; "" for a file without the mark."""
    if not os.path.isfile(path):  # but a pipe, which may be waited for in vain
        return ""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LONGEST))
            end = file.read()
            if not _MARKED.search(end):
                return ""
            for kind in (*_BEFORE, "mp4", "webp", "tiff"):
                stop = size - len(_after(kind, 0))
                if end.endswith(_after(kind, _checksum(file, stop))):
                    return "unchanged"
            return "changed"
    except OSError:
        return ""
