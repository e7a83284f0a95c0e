"""`pysrcnn.kernels` with every convolution summed directly, product by product.

``SRCNN(ops=kernels.direct)`` and ``load(..., ops=kernels.direct)`` select it. It differs from
`kernels` in `forward` alone, and there by rounding.
"""

from .batches import loss_and_gradients
from .operations import (
    col2im,
    conv2d,
    conv2d_backward,
    im2col,
    mse,
    mse_backward,
    pad_replicate,
    pad_replicate_backward,
    relu,
    relu_backward,
)
from .pictures import forward_direct as forward

__all__ = [
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
    "relu",
    "relu_backward",
]
