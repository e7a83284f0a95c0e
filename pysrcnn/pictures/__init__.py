"""Picture files: read, written, listed.

`files` reads and writes pictures with all that comes with them: colour profile, EXIF, resolution,
the frames of an animation; `pixels` has Pillow and its sentences, and `deep` colour of 16 bits a
channel, which Pillow has no arrays for. `folders` lists.

Before a reader sees a file, `_structure` walks through it (`_tiff` for TIFF), so that it costs no
more than it holds (`_limits`); `_foreign` knows formats that are not read. `_beside` finds what is
beside the pixels and `_carried` takes it to a file of another format, by `_exif`, `_xmp`, `_iptc`,
and PNG's `_chunks`. `_directories` are those of TIFF and EXIF. `_mark` tells results apart.
"""

from .files import (
    PictureFile,
    read_picture,
    read_picture_file,
    write_picture,
    write_picture_file,
)
from .folders import READABLE, list_pictures, list_unread, not_read
from .pixels import SUFFIXES, quiet_readers

__all__ = [
    "READABLE",
    "SUFFIXES",
    "PictureFile",
    "list_pictures",
    "list_unread",
    "not_read",
    "quiet_readers",
    "read_picture",
    "read_picture_file",
    "write_picture",
    "write_picture_file",
]
