"""SRCNN in NumPy and Numba: enlarge pictures, train, evaluate, and read how it works.

`reference` holds the math and `kernels` the same functions, compiled. `SRCNN` is the network of the
paper and `ESPCN` a successor; `load` returns trained networks. `upscale` enlarges a picture and
`upscale_frames` a video; `read_picture` and `write_picture` handle files. `gradcheck` compares
gradients from another program with the reference.
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
    """Import the functions for picture files on first use, so that `import pysrcnn` stays quick."""
    if name in ("read_picture", "write_picture"):
        from . import pictures

        return getattr(pictures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
