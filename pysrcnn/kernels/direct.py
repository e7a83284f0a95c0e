"""`kernels` with every convolution summed directly, product by product: an ops module as well.

``SRCNN(ops=kernels.direct)`` and ``load(..., ops=kernels.direct)`` select it. It differs from
`kernels` in `forward` and `loss_and_gradients` alone, and there by rounding.
"""

from .batches import loss_and_gradients_direct as loss_and_gradients
from .fused import forward_direct as forward
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
from .shuffle import pixel_shuffle, pixel_shuffle_backward

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

ALIGNMENT = 1  # every pixel is a sum of its own
