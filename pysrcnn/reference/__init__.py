"""The mathematics in plain NumPy, written to be read; `kernels` has the same functions, compiled.

Read `convolution` first: it holds everything SRCNN needs, including the network itself.
`activation` and `shuffle` add what ESPCN needs; `same`, `loss` and `normalisation`, what the deep
networks need; `classifiers`, what networks that judge pictures need; `motion`, what video networks
need.
"""

from .activation import (
    leaky_relu,
    leaky_relu_backward,
    prelu,
    prelu_backward,
    sigmoid,
    tanh,
    tanh_backward,
)
from .classifiers import dense, dense_backward, max_pool, max_pool_backward
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
    pad_zeros,
    pad_zeros_backward,
    relu,
    relu_backward,
)
from .loss import (
    charbonnier,
    charbonnier_backward,
    l1,
    l1_backward,
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_backward,
)
from .motion import (
    phases,
    phases_backward,
    smoothness,
    smoothness_backward,
    warp,
    warp_backward,
    warp_cubic,
    warp_cubic_backward,
)
from .normalisation import batch_norm, batch_norm_backward, moments, moments_backward
from .same import (
    conv2d_same,
    conv2d_same_backward,
    conv2d_strided,
    conv2d_strided_backward,
    conv_relu,
    conv_relu_backward,
    dot,
    enter,
    leave,
)
from .shuffle import (
    concatenate,
    pixel_shuffle,
    pixel_shuffle_backward,
    repeat,
    repeat_backward,
    split,
)

__all__ = [
    "ALIGNMENT",
    "batch_norm",
    "batch_norm_backward",
    "charbonnier",
    "charbonnier_backward",
    "col2im",
    "concatenate",
    "conv2d",
    "conv2d_backward",
    "conv2d_same",
    "conv2d_same_backward",
    "conv2d_strided",
    "conv2d_strided_backward",
    "conv_relu",
    "conv_relu_backward",
    "dense",
    "dense_backward",
    "dot",
    "enter",
    "forward",
    "im2col",
    "l1",
    "l1_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "leave",
    "loss_and_gradients",
    "max_pool",
    "max_pool_backward",
    "moments",
    "moments_backward",
    "mse",
    "mse_backward",
    "pad_replicate",
    "pad_replicate_backward",
    "pad_zeros",
    "pad_zeros_backward",
    "phases",
    "phases_backward",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "prelu",
    "prelu_backward",
    "relu",
    "relu_backward",
    "repeat",
    "repeat_backward",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_backward",
    "smoothness",
    "smoothness_backward",
    "split",
    "tanh",
    "tanh_backward",
    "warp",
    "warp_backward",
    "warp_cubic",
    "warp_cubic_backward",
]

# Side, in pixels, of the squares that are computed together, so that the rounding of one pixel may
# depend on the others. A part of a picture equals the whole bit for bit if it begins at a row and a
# column that are multiples of ALIGNMENT and is cut with the network's margin plus (ALIGNMENT - 1)
# pixels per convolution; see `Step._exact_margin`. After strides, these are pixels of small maps.
ALIGNMENT = 1
