"""`pysrcnn.kernels` with every convolution summed directly, product by product.

``SRCNN(ops=kernels.direct)`` and ``load(..., ops=kernels.direct)`` select it. It differs from
`kernels` in `forward` alone, and there by rounding.
"""

from pysrcnn.kernels import *  # noqa: F403
from pysrcnn.kernels import __all__ as __all__

from .pictures import forward_direct as forward  # noqa: F401
