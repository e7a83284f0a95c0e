"""SRCNN in NumPy and Numba: enlarge pictures, train, evaluate, and read how it works.

`reference` is the math, `kernels` the same functions compiled; `SRCNN` is the network of the paper,
`ESPCN` one that followed; `load` gets a trained one, `upscale` enlarges a picture with it, which
`read_picture` and `write_picture` read and write, and `upscale_frames` those of a video.
`gradcheck` compares somebody's gradients.
"""

from typing import TYPE_CHECKING

from . import _signals as _signals  # isort: skip  (before all that takes a while)
from . import gradcheck, kernels, reference
from ._version import __version__
from .metrics import psnr, ssim
from .networks import ESPCN, SRCNN, load
from .resize import imresize
from .upscaling.frames import upscale_frames
from .upscaling.upscale import upscale

__all__ = [
    "ESPCN",
    "SRCNN",
    "__version__",
    "gradcheck",
    "imresize",
    "kernels",
    "load",
    "psnr",
    "read_picture",
    "reference",
    "ssim",
    "upscale",
    "upscale_frames",
    "write_picture",
]

if TYPE_CHECKING:
    from .pictures import read_picture, write_picture


def __getattr__(name: str) -> object:
    """What reads and writes files, imported when it is asked for: importing this stays quick."""
    if name in ("read_picture", "write_picture"):
        from . import pictures

        return getattr(pictures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
