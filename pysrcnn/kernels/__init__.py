"""SRCNN compiled: the functions of `reference.py`, same names and signatures, by Numba.

In reading order: `tile` has the one idea that makes it fast, a block of the result that stays in
registers, and a row of any convolution made of such blocks; `pictures` runs a whole network over a
picture with it, helped by `winograd`; `batches` computes loss and gradients for training, with
`lanes` or, in fewer multiplications, `lanes_winograd`; `operations` are the single steps; `planes`
is what surrounds the network when a picture is enlarged; `sparse` has the sparse codes of
`pysrcnn.networks.sparse`; `inputs`, `memory`, `threads` and `blas` are what they stand on. All
compiled code of the package is in this folder; it imports no other module of ours.

Compiled code cannot look at what it is given, so these functions do first, and raise a ValueError
where NumPy would go on: for filters of even size, batches without samples, shapes that do not fit.
"""

from . import direct as direct
from .batches import loss_and_gradients
from .blas import one_blas_thread as one_blas_thread
from .operations import (
    col2im,
    conv2d,
    conv2d_backward,
    im2col,
    mse,
    mse_backward,
    pad_replicate,
    pad_replicate_backward,
    pad_zeros,
    pad_zeros_backward,
    relu,
    relu_backward,
    tanh,
    tanh_backward,
)
from .pictures import forward
from .planes import pixels_to_planes as pixels_to_planes
from .planes import planes_to_pixels as planes_to_pixels
from .planes import resize_planes as resize_planes
from .shuffle import pixel_shuffle, pixel_shuffle_backward
from .sparse import sparse_codes as sparse_codes
from .sparse import sparse_patches as sparse_patches
from .threads import load_openmp as load_openmp
from .tile import COLUMNS as COLUMNS
from .tile import ROWS as ROWS
from .tile import VECTOR_BYTES as VECTOR_BYTES
from .tile import VECTORS as VECTORS
from .tile import announce_compilation as announce_compilation
from .winograd import OUTPUTS as ALIGNMENT  # see `reference`

# `__all__` is that of `reference`; what is imported beyond it has no counterpart there.
__all__ = [
    "ALIGNMENT",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "forward",
    "im2col",
    "loss_and_gradients",
    "mse",
    "mse_backward",
    "pad_replicate",
    "pad_replicate_backward",
    "pad_zeros",
    "pad_zeros_backward",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "relu",
    "relu_backward",
    "tanh",
    "tanh_backward",
]
