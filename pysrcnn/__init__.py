"""SRCNN in NumPy and Numba: enlarge pictures, train, evaluate, and read how it works.

`reference` is the math, `kernels` the same functions compiled; `SRCNN` is the network, `load` gets
a trained one, `upscale` enlarges a picture with it. `gradcheck` compares somebody's gradients.
"""

from . import _signals as _signals  # isort: skip  (before all that takes a while)
from . import kernels, reference
from ._version import __version__
from .gradcheck import gradcheck
from .metrics import psnr, ssim
from .model import SRCNN, load
from .resize import imresize
from .upscale import upscale

__all__ = [
    "SRCNN",
    "__version__",
    "gradcheck",
    "imresize",
    "kernels",
    "load",
    "psnr",
    "reference",
    "ssim",
    "upscale",
]
