"""The math, in plain NumPy, made to be read; `kernels` has the same functions, compiled.

`convolution` is all that SRCNN needs, up to the network itself: read it first.
"""

from .convolution import (
    col2im,
    conv2d,
    conv2d_backward,
    forward,
    im2col,
    loss_and_gradients,
    mse,
    mse_backward,
    pad_replicate,
    pad_replicate_backward,
    relu,
    relu_backward,
)

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

ALIGNMENT = 1  # pixels of a row whose rounding belongs together: here each stands for itself
