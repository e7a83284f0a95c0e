"""A mark at the end of each result, by which a later run tells it from the user's own pictures.

Each format has a place for it, or ignores trailing bytes: the mark is a chunk in PNG and WebP, an
extension in GIF, a comment in JPEG, a box in MP4, and bytes that nothing points to in TIFF and BMP.
Pixels and metadata are unchanged. A program that saves the picture writes a file without the mark.
One that edits only the metadata may keep the mark; therefore it has a checksum. A file that agrees
with its checksum is as this package wrote it, and may be overwritten by a new result. The mark also
has the file name of the picture that was enlarged, so that another picture's result is kept.
"""

import os
import re
import struct
import zlib
from typing import BinaryIO

__all__ = ["is_marked", "is_unchanged", "mark", "picture_of"]

_IEND = b"\0\0\0\0IEND\xae\x42\x60\x82"
_BEFORE = {"png": _IEND, "jpeg": b"\xff\xd9", "gif": b";"}  # how files end without the mark
_MARKED = re.compile(
    rb"enlarged by pysrcnn, [0-9a-f]{8}(?: from ([^\n]+))?\n\n?(?:|....%b|\xff\xd9|\0;)\Z"
    % re.escape(_IEND),
    re.DOTALL,
)
_LONGEST = 288  # bytes
_NAME = 200  # bytes of a name, at most: GIF's blocks have 255
_SIZE_ENDS = 12  # WebP's size, which the mark changes, comes before this position
_PIECE = 2**16  # bytes of the start, and of the end, that the checksum covers


def _after(kind: str, checksum: int, name: bytes) -> bytes:
    """Return the last bytes of a file of this kind that has the mark."""
    text = b"enlarged by pysrcnn, %08x" % checksum + (b" from " + name if name else b"")
    text += b"\n" if len(text) % 2 else b"\n\n"  # WebP's chunks have even lengths
    if kind == "png":  # lowercase s, r: ancillary, private; uppercase N: unsafe to copy
        chunk = b"srCN" + text
        return struct.pack(">I", len(text)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + _IEND
    return {
        "jpeg": b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + b"\xff\xd9",
        "gif": b"!\xff\x0bpysrcnn 1.0" + bytes([len(text)]) + text + b"\0;",
        "mp4": struct.pack(">I", len(text) + 8) + b"free" + text,
        "webp": b"SRCN" + struct.pack("<I", len(text)) + text,
    }.get(kind, text)


def _checksum(file: BinaryIO, stop: int) -> int:
    """Return a checksum of a file's size without the mark, its start and its end, to be quick."""
    file.seek(_SIZE_ENDS)
    sum_of_begin = zlib.crc32(file.read(min(_PIECE, max(0, stop - _SIZE_ENDS))), stop & 0xFFFFFFFF)
    file.seek(max(0, stop - _PIECE))
    return zlib.crc32(file.read(min(_PIECE, stop)) if stop > _PIECE else b"", sum_of_begin)


def mark(path: str | os.PathLike, kind: str, name: str = "") -> None:
    """Mark a written file of this kind, "mp4" or one that `kind_of` returns.

    `name` is the file name of the picture that was enlarged; "" if it has none.
    """
    before = _BEFORE.get(kind, b"")
    with open(path, "r+b") as file:
        stop = file.seek(0, os.SEEK_END) - len(before)
        file.seek(stop)
        if file.read() != before:  # then it stays as its writer left it
            return
        checksum = _checksum(file, stop)
        file.seek(stop)
        file.write(_after(kind, checksum, _stored(name)))
        if kind == "webp":
            size = file.tell() - 8
            file.seek(4)
            file.write(struct.pack("<I", size))


def is_marked(path: str | os.PathLike) -> bool:
    """Return whether a file ends with the mark, changed since or not; False if unreadable."""
    return picture_of(path) is not None


def picture_of(path: str | os.PathLike) -> str | None:
    """Return the name of the picture that a result was made from.

    "" if the mark does not say it, and None for a file that is unreadable or has no mark.
    """
    found = _MARKED.search(_end(path))
    return (found[1] or b"").decode(errors="replace") if found else None


def is_unchanged(path: str | os.PathLike) -> bool:
    """Return whether a file ends with the mark and still agrees with its checksum."""
    end = _end(path)
    found = _MARKED.search(end)
    if not found:
        return False
    name = found[1] or b""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        return any(
            end.endswith(_after(kind, _checksum(file, size - len(_after(kind, 0, name))), name))
            for kind in (*_BEFORE, "mp4", "webp", "tiff")
        )


def _end(path: str | os.PathLike) -> bytes:
    """Return the last bytes of a file; none if it is unreadable."""
    if not os.path.isfile(path):  # reading a pipe might block for ever
        return b""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LONGEST))
            return file.read()
    except OSError:
        return b""


def _stored(name: str) -> bytes:
    """Return the bytes of a name; none of one that is long, or has characters of control."""
    try:
        content = name.encode()
    except UnicodeEncodeError:  # not all names on Linux are text
        return b""
    return content if len(content) <= _NAME and name.isprintable() else b""
