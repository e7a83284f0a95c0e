"""The functions of `reference` compiled by Numba, with the same names and signatures.

A reading order: `tile` holds the idea that makes the kernels fast, a block of the result that stays
in registers, and `rows` makes a row of any convolution from such blocks. `fused` runs a chain of
layers over a picture with them, in the memory layout of `layout`. `winograd` has the matrices that
save multiplications, `transforms` applies them to tiles, and `blocks` and `parts` compute a block
of a layer with them. `batches` computes loss and gradients for training, with `channels` or, in
fewer multiplications, `tiles`. `same` is the convolution of deep networks on `maps`, their layout
in memory, with `few` for their first and last layers; `strided` adds a stride. `tiles` and `same`
share `points` and `filters`; `strided` takes the matrix products of `points` alone. `operations`,
`shuffle`, `channelwise`, `classifiers`, `motion` and `loss` are the single operations; `direct` is
all of this without Winograd's transforms. `planes` does what surrounds the network when a picture
is enlarged, and `sparse` computes the sparse codes of `pysrcnn.networks.sparse`. They all rest on
`vectors`, `emit` and `compile`, and on `inputs`, `memory`, `threads` and `blas`. All compiled code
of the package is in this folder, which imports no other module of ours.

Compiled code does not check its arguments, so these functions do, and raise a ValueError where
NumPy would go on: for filters of even size, batches without samples, shapes that do not fit.
"""

from . import channelwise, classifiers, loss, maps, motion, operations, same, shuffle, strided
from . import direct as direct
from .batches import loss_and_gradients
from .blas import one_blas_thread as one_blas_thread
from .channelwise import *  # noqa: F403
from .classifiers import *  # noqa: F403
from .compile import announce_compilation as announce_compilation
from .fused import forward
from .loss import *  # noqa: F403
from .maps import *  # noqa: F403
from .motion import *  # noqa: F403
from .operations import *  # noqa: F403
from .planes import pixels_to_planes as pixels_to_planes
from .planes import planes_to_pixels as planes_to_pixels
from .planes import resize_planes as resize_planes
from .same import *  # noqa: F403  replaces some of `operations`, for `Maps`
from .shuffle import *  # noqa: F403
from .sparse import sparse_codes as sparse_codes
from .sparse import sparse_patches as sparse_patches
from .strided import *  # noqa: F403
from .threads import load_openmp as load_openmp
from .vectors import COLUMNS as COLUMNS
from .vectors import ROWS as ROWS
from .vectors import VECTOR_BYTES as VECTOR_BYTES
from .vectors import VECTORS as VECTORS
from .winograd import OUTPUTS as ALIGNMENT  # see `reference`

# `__all__` is that of `reference`; the other imports have no counterpart there.
__all__ = ["ALIGNMENT", "forward", "loss_and_gradients"]
for _part in channelwise, classifiers, loss, maps, motion, operations, same, shuffle, strided:
    __all__ = sorted({*__all__, *_part.__all__})
