"""Checks of arguments: compiled code reads memory wherever it is told to."""

import numpy as np


def contiguous(*arrays):
    """Return the arrays in C order and their common dtype.

    Raises
    ------
    TypeError
        If the common dtype is neither float32 nor float64.
    """
    dtype = np.result_type(*arrays)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"the kernels compute in float32 or float64, not in {dtype}")
    # For read-only arrays Numba would compile everything again.
    found = [np.ascontiguousarray(array, dtype) for array in arrays]
    return [array if array.flags.writeable else array.copy() for array in found]


def flat(*arrays):
    """Return the numbers of each array in a row, in C order: one layout for what is compiled."""
    return [contiguous(array)[0].reshape(-1) for array in arrays]


def same_shape(name, a, other, b):
    """Raise a ValueError unless a and b have the same shape; `name` and `other` are their names."""
    if a.shape != b.shape:
        raise ValueError(f"{name} has the shape {a.shape} and {other} {b.shape}, wanted the same")


def one_of(name, value, choices):
    """Raise a ValueError unless the value of the argument `name` is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, wanted one of {', '.join(choices)}")


def window_fits(shape, f):
    """Raise a ValueError unless f x f windows fit into pictures of a shape (N, C, H, W)."""
    if len(shape) != 4 or not 1 <= f <= min(shape[2:]):
        raise ValueError(f"windows of {f} x {f} do not fit into pictures (N, C, H, W) of {shape}")


def network_input(x, layers, room):
    """Return x and layers, contiguous and of one dtype, if the layers fit each other and x.

    room: whether x must be large enough for all filters together without padding.

    Raises
    ------
    TypeError, ValueError
        If the dtype is neither float32 nor float64, or if a shape does not fit.
    """
    arrays = contiguous(x, *(array for layer in layers for array in layer))
    x, layers = arrays[0], list(zip(arrays[1::2], arrays[2::2], strict=True))
    if x.ndim != 4 or x.size == 0:
        raise ValueError(f"x has the shape {x.shape}, wanted (N, C, H, W) with pixels in it")
    channels = x.shape[1]
    for w, b in layers:
        if w.ndim != 4 or w.shape[1] != channels or w.shape[2] != w.shape[3]:
            raise ValueError(f"weights have the shape {w.shape}, wanted (O, {channels}, f, f)")
        if w.shape[2] % 2 == 0:
            raise ValueError(f"filters are {w.shape[2]} pixels wide, wanted an odd number")
        if b.shape != w.shape[:1]:
            raise ValueError(f"biases have the shape {b.shape}, wanted {w.shape[:1]}")
        channels = w.shape[0]
    smallest = sum(w.shape[2] - 1 for w, _ in layers) + 1
    if room and min(x.shape[2:]) < smallest:
        raise ValueError(f"x has the shape {x.shape}, wanted {smallest} x {smallest} pixels")
    return x, layers
