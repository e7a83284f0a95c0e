"""The functions of `reference` compiled by Numba: same names, same signatures.

In reading order: `tile` has the one idea that makes it fast, a block of the result that stays in
registers, and `rows` a row of any convolution made of such blocks; `fused` runs a chain of layers
over a picture with them, as `layout` lays it out; `winograd` has the matrices that save
multiplications there, `transforms` applies them to tiles, and `blocks` and `parts` make a block of
a layer of that; `batches` computes loss and gradients for training, with `channels` or, in fewer
multiplications, `tiles`; `same` is the convolution of deep networks, on `maps`, their layout in
memory, with `few` where it begins and ends, and `strided` has its stride; `tiles` and `same` stand
on `points` and `filters`; `operations`, `shuffle`, `channelwise`, `classifiers`, `motion` and
`loss` are the single steps, `direct` is the same without Winograd; `planes` is what surrounds the
network when a picture is enlarged; `sparse` has the sparse codes of `pysrcnn.networks.sparse`. They
stand on `vectors`, `emit` and `compile`, on `inputs`, `memory`, `threads` and `blas`. All compiled
code of the package is in this folder; it imports no other module of ours.

Compiled code cannot look at what it is given, so these functions do first, and raise a ValueError
where NumPy would go on: for filters of even size, batches without samples, shapes that do not fit.
"""

from . import channelwise, classifiers, loss, maps, motion, operations, same, strided
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
from .same import *  # noqa: F403  some of `operations` too, for maps
from .sparse import sparse_codes as sparse_codes
from .sparse import sparse_patches as sparse_patches
from .strided import *  # noqa: F403
from .threads import load_openmp as load_openmp
from .vectors import COLUMNS as COLUMNS
from .vectors import ROWS as ROWS
from .vectors import VECTOR_BYTES as VECTOR_BYTES
from .vectors import VECTORS as VECTORS
from .winograd import OUTPUTS as ALIGNMENT  # see `reference`

# `__all__` is that of `reference`; what is imported beyond it has no counterpart there.
__all__ = ["ALIGNMENT", "forward", "loss_and_gradients"]
for _part in channelwise, classifiers, loss, maps, motion, operations, same, strided:
    __all__ = sorted({*__all__, *_part.__all__})
