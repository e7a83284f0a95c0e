"""Picture files: read, written, listed.

`pixels` reads and writes the pixels alone; `files` also what comes with them: colour profile, EXIF,
resolution, the frames of an animation. `deep` is colour of 16 bits a channel, which Pillow has no
arrays for.
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
