"""`kernels` with every convolution summed directly, product by product: an ops module as well.

``SRCNN(ops=kernels.direct)`` and ``load(..., ops=kernels.direct)`` select it. It differs from
`kernels` in `forward` and `loss_and_gradients` alone, and there by rounding.
"""

from . import operations, shuffle
from .batches import loss_and_gradients_direct as loss_and_gradients
from .fused import forward_direct as forward
from .operations import *  # noqa: F403
from .shuffle import *  # noqa: F403

__all__ = ["ALIGNMENT", "forward", "loss_and_gradients"]
__all__ += [*operations.__all__, *shuffle.__all__]
__all__.sort()

ALIGNMENT = 1  # every pixel is a sum of its own
