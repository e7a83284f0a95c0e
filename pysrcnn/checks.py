"""Check arguments, such as pictures and batches, and say in a sentence what is wrong."""

import contextlib
from collections.abc import Iterator
from typing import TypeGuard

import numpy as np

__all__ = [
    "check_batch",
    "check_mask",
    "check_padding",
    "check_picture",
    "check_range",
    "check_whole",
    "is_beyond",
    "is_real",
    "is_whole",
    "memory_for",
]


def check_batch(x: np.ndarray, name: str, c: int, dtype: np.dtype) -> np.ndarray:
    """Return a batch as a contiguous array (N, c, H, W) of `dtype`; `name` is for error messages.

    Raises
    ------
    TypeError, ValueError
        If `x` has another shape, has no pixels, or is not floating point.
    """
    x = np.asarray(x)
    if x.ndim != 4 or x.shape[1] != c or x.size == 0:
        other = x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[1] != c
        kind = {1: "luminance, one channel", 3: "RGB, three channels"}.get(c) if other else None
        raise ValueError(
            f"{name} has the shape {x.shape}, wanted (N, {c}, H, W) with pixels in it"
            f"{f': the network is for {kind}' if kind else ''}"
        )
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"{name} is {x.dtype}, wanted floating point numbers in 0..1")
    return np.ascontiguousarray(x, dtype)


def check_whole(name: str, value: object, smallest: int = 1) -> None:
    """Raise a ValueError unless `value` is an integer and at least `smallest`."""
    if not is_whole(value) or value < smallest:
        raise ValueError(f"{name} is {value!r:.60}, wanted a whole number, {smallest} or more")


def is_whole(value: object) -> TypeGuard[int]:
    """Whether the value is an integer; True and False do not count."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_real(value: object) -> TypeGuard[float]:
    """Whether the value is a real number, NaN or infinity; True and False do not count."""
    return is_whole(value) or isinstance(value, (float, np.floating))


def check_padding(padding: str, x: np.ndarray, network: str, margin: int) -> None:
    """Raise a ValueError if there is no such padding, or "valid" leaves no pixels of the batch."""
    if padding not in ("replicate", "zeros", "valid"):
        raise ValueError(f'padding is "replicate", "zeros" or "valid", got {padding!r}')
    smallest = 2 * margin + 1
    if padding == "valid" and min(x.shape[2:]) < smallest:
        raise ValueError(
            f"without padding, {network} needs pictures of at least {smallest} x {smallest} "
            f"pixels, got {x.shape[2]} x {x.shape[3]}"
        )


def check_picture(picture: np.ndarray, name: str = "the picture", held: str | None = None) -> None:
    """Raise unless `picture` is an array that this package can enlarge.

    Parameters
    ----------
    picture : array
    name : str
        What errors call it.
    held : str, optional
        The dtype in its file. Pillow reads all integers of TIFF as uint8 or int32.

    Raises
    ------
    TypeError
        If the dtype is not uint8, uint16, float32 or float64.
    ValueError
        If the shape is not (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), or there are no pixels, or
        some are masked, NaN or infinite.
    """
    check_mask(picture, name)
    if not isinstance(picture, np.ndarray):
        raise TypeError(f"{name} is a {type(picture).__name__}, wanted a NumPy array")
    foreign = held and held.startswith(("int", "uint32", "uint64"))  # their white level is unknown
    if foreign or picture.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        advice = (
            "save it with 8 or 16 bits a channel, of 0 and more"
            if held
            else "convert it, say by picture.astype(numpy.uint8) if its values are 0 to 255"
        )
        raise TypeError(
            f"{name} holds {held or picture.dtype}, wanted uint8, uint16, float32 or float64: "
            f"{advice}"
        )
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (2, 3, 4)):
        raise ValueError(
            f"{name} has the shape {picture.shape}, wanted (H, W), (H, W, 2), (H, W, 3) or "
            f"(H, W, 4): grey, grey and alpha, RGB or RGBA{_reshaping(picture.shape)}"
        )
    if picture.size == 0:
        raise ValueError(f"{name} has no pixels: its shape is {picture.shape}, wanted 1 or more")
    if picture.dtype.kind == "f" and not np.isfinite(picture).all():
        raise ValueError(f"{name} has NaN or infinite pixels: replace them first")


def check_mask(picture: object, name: str = "the picture") -> None:
    """Raise a ValueError for a masked array of NumPy or Astropy with masked pixels."""
    mask = getattr(picture, "mask", False)
    if not callable(mask) and np.any(mask):
        raise ValueError(
            f"{name} is a masked array, and a mask cannot be enlarged: fill what is masked, "
            f"picture.filled(0), or make the mask its alpha channel"
        )


def _reshaping(shape: tuple[int, ...]) -> str:
    """Return advice for an array that is probably a picture with its axes in another order."""
    if len(shape) == 3 and shape[2] == 1:
        return "; take its one channel, picture[:, :, 0]"
    if len(shape) == 3 and shape[0] in (2, 3, 4):
        return "; move the channels to the end, numpy.moveaxis(picture, 0, 2)"
    if len(shape) == 3 and shape[0] == 1:
        return "; take its one channel, picture[0]"
    return "; give one picture at a time" if len(shape) == 4 else ""


def check_range(picture: np.ndarray, name: str = "the picture") -> None:
    """Raise a ValueError if a floating point picture is far outside 0..1: beyond -0.5..1.5."""
    if picture.dtype.kind == "f" and not -0.5 <= picture.min() <= picture.max() <= 1.5:
        raise ValueError(
            f"{name}'s values go from {picture.min():.4g} to {picture.max():.4g}: a floating point "
            f"picture is in 0..1, so divide it by its white level first"
        )


def is_beyond(picture: np.ndarray) -> bool:
    """Whether a floating point picture exceeds 0..1 by more than rounding; results are clipped."""
    slack = 2**-17  # half a level of 16 bits
    return picture.dtype.kind == "f" and not -slack <= picture.min() <= picture.max() <= 1 + slack


@contextlib.contextmanager
def memory_for(name: object) -> Iterator[None]:
    """Name the picture if memory runs out in the block."""
    try:
        yield
    except MemoryError:
        raise MemoryError(f"{name} takes more memory than there is: leave it out") from None
