"""Picture files: read, written, listed.

`reading` and `writing` take pictures with all that comes with them: colour profile, EXIF,
resolution, the frames of an animation. `opening` has Pillow and its sentences, `pixels` makes
arrays of its pictures, and `deep` reads colour of 16 bits a channel, which it has no arrays for.
`folders` lists.

Before a reader sees a file, `_structure` walks through it (`_tiff` for TIFF), so that it costs no
more than it holds (`_limits`). `_metadata` finds what is beside the pixels, and `_carried` takes it
to a file of another format: `_exif`, `_xmp` and `_iptc` correct it, `_chunks` are PNG's, and
`_directories` those of TIFF and EXIF. `_formats` knows formats, and `_mark` tells results apart.
"""

from ._formats import SUFFIXES
from ._picture_file import PictureFile
from .folders import READABLE, list_pictures, list_unread, not_read
from .opening import quiet_readers
from .reading import read_picture, read_picture_file
from .writing import write_picture, write_picture_file

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
