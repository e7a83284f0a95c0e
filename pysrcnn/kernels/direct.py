"""`pysrcnn.kernels` with every convolution summed directly, product by product.

``SRCNN(ops=kernels.direct)`` and ``load(..., ops=kernels.direct)`` select it. It differs from
`kernels` in `forward` and `loss_and_gradients` alone, and there by rounding.
"""

from pysrcnn.kernels import *  # noqa: F403
from pysrcnn.kernels import __all__ as __all__

from .batches import loss_and_gradients_direct as loss_and_gradients  # noqa: F401
from .pictures import forward_direct as forward  # noqa: F401
from .winograd import OUTPUTS as ALIGNMENT  # noqa: F401
