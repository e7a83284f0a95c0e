"""`kernels` with every convolution summed directly, product by product; also an ops module.

``SRCNN(ops=kernels.direct)`` and ``load(..., ops=kernels.direct)`` select it. It differs from
`kernels`, by rounding alone, in `forward`, `loss_and_gradients` and, because it keeps maps as
arrays, in the convolutions of `same` and `strided`.
"""

from . import channelwise, classifiers, loss, motion, operations, same, shuffle, strided
from .batches import loss_and_gradients_direct as loss_and_gradients
from .channelwise import *  # noqa: F403
from .classifiers import *  # noqa: F403
from .fused import forward_direct as forward
from .loss import *  # noqa: F403
from .maps import dot as dot
from .maps import leave as leave
from .motion import *  # noqa: F403
from .operations import *  # noqa: F403
from .same import *  # noqa: F403
from .shuffle import *  # noqa: F403
from .strided import *  # noqa: F403

__all__ = ["ALIGNMENT", "dot", "enter", "forward", "leave", "loss_and_gradients"]
for _part in channelwise, classifiers, loss, motion, operations, same, shuffle, strided:
    __all__ = sorted({*__all__, *_part.__all__})

ALIGNMENT = 1  # every pixel is summed on its own


def enter(x):
    """See `reference.enter`; returns x as it is."""
    return x
