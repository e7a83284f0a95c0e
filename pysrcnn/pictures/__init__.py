"""Picture files: read, written, listed.

`pixels` reads and writes the pixels alone; `files` also what comes with them: colour profile, EXIF,
resolution, the frames of an animation. `deep` is colour of 16 bits a channel, which Pillow has no
arrays for.
"""

from .files import PictureFile, read_picture, read_picture_file, write_picture_file
from .pixels import SUFFIXES, list_pictures, quiet_readers, write_picture

__all__ = [
    "SUFFIXES",
    "PictureFile",
    "list_pictures",
    "quiet_readers",
    "read_picture",
    "read_picture_file",
    "write_picture",
    "write_picture_file",
]
