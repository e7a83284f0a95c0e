"""Video files: opening them, reading their frames, and writing larger ones with the same sound.

They need PyAV, the extra `video`: ``pip install ".[video]"``. Its packages on PyPI include FFmpeg
with the encoder x264.
"""

from .opening import IN_FOLDERS, INSTALL, SUFFIXES, Clip, available, is_video, read_clip
from .reading import frames_from, frames_of
from .writing import WRITTEN, check_target, even, write_clip

__all__ = [
    "INSTALL",
    "IN_FOLDERS",
    "SUFFIXES",
    "WRITTEN",
    "Clip",
    "available",
    "check_target",
    "even",
    "frames_from",
    "frames_of",
    "is_video",
    "read_clip",
    "write_clip",
]
