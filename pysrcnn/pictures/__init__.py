"""Picture files: reading, writing and listing them.

`reading` and `writing` keep what comes with the pixels: colour profile, EXIF, resolution, the
frames of animations. `opening` opens files with Pillow and words its errors, `pixels` converts its
pictures to arrays, and `deep` handles TIFF files of a depth for which Pillow has no arrays.
`folders` lists files.

Before a decoder sees a file, `_structure` (`_tiff` for TIFF) walks through it, so that it costs no
more than it holds (`_limits`). `_metadata` reads the metadata, and `_carried` prepares it for a
file of another format: `_exif`, `_xmp` and `_iptc` correct it, `_chunks` writes PNG chunks, and
`_directories` those of TIFF and EXIF. `_formats` recognises formats, and `_mark` marks results.
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
