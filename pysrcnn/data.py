"""Make pairs of (low, high) from pictures, for training and evaluation.

low is the input of the network: a picture shrunk and enlarged again by bicubic interpolation
(SRCNN's Y), or only shrunk, for a network that enlarges it. high is the picture itself. Both are
float32 (c, H, W) in 0..1.
"""

import os
from collections.abc import Callable, Iterable

import numpy as np

from .checks import check_range, memory_for
from .color import rgb_to_luma
from .pictures import list_pictures, read_picture
from .resize import imresize

__all__ = [
    "PICTURE_ERRORS",
    "degrade",
    "luma",
    "modcrop",
    "pair",
    "read_pair",
    "read_pairs",
    "reduced",
    "unit",
]

Pair = tuple[np.ndarray, np.ndarray]

# The errors that reading an unusable picture raises.
PICTURE_ERRORS = (ValueError, TypeError, OSError, MemoryError)


def luma(picture: np.ndarray) -> np.ndarray:
    """Return Y of a picture by the paper's protocol: rounded to the levels of uint8, in 0..1.

    Parameters
    ----------
    picture : array (H, W), (H, W, 3) or (H, W, 4)
        As `read_picture` returns it. Grey counts as Y; alpha is ignored.

    Returns
    -------
    y : float64 array (H, W), multiples of 1/255
    """
    picture = unit(picture)
    y = picture if picture.ndim == 2 else rgb_to_luma(picture[:, :, :3])
    return np.floor(y * 255 + 0.5) / 255


def unit(picture: np.ndarray) -> np.ndarray:
    """Convert a picture to float64, dividing integers by their largest possible value.

    Parameters
    ----------
    picture : array of any shape, uint8, uint16 or float

    Returns
    -------
    x : float64 array of that shape, in 0..1 if the picture held integers
    """
    if picture.dtype.kind == "u":
        return picture / np.iinfo(picture.dtype).max
    return picture.astype(np.float64)


def modcrop(picture: np.ndarray, scale: int) -> np.ndarray:
    """Crop the last rows and columns so that `scale` divides height and width.

    Parameters
    ----------
    picture : array (H, W) or (H, W, c)
    scale : int

    Returns
    -------
    cut : array (H - H mod scale, W - W mod scale) or with c channels, a view of `picture`
    """
    height, width = picture.shape[:2]
    return picture[: height - height % scale, : width - width % scale]


def degrade(high: np.ndarray, scale: int) -> np.ndarray:
    """Shrink by `scale` and enlarge back, both bicubic, without rounding in between.

    As in the authors' code, the only blur is that of antialiasing.

    Parameters
    ----------
    high : float array (H, W) or (H, W, 3)
        `scale` divides H and W, see `modcrop`.
    scale : int

    Returns
    -------
    low : float array of the shape of `high`
    """
    return imresize(imresize(high, scale=1 / scale), shape=high.shape[:2])


def pair(picture: np.ndarray, scale: int, c: int = 1, small: bool = False) -> Pair:
    """Make the input of a network and the desired output from one picture.

    Parameters
    ----------
    picture : array (H, W), (H, W, 3) or (H, W, 4)
        As `read_picture` returns it; alpha is ignored.
    scale : int
    c : int
        1 for luma, 3 for RGB.
    small : bool
        Whether the network takes the small picture itself, see `Network.small`.

    Returns
    -------
    low, high : float32 arrays (c, H, W), where `scale` divides H and W
        high is in 0..1; low may slightly exceed that range. If `small`, low is (c, H/s, W/s).
    """
    if c == 1:
        high = luma(picture)
    else:
        picture = unit(picture)
        high = picture[:, :, :3] if picture.ndim == 3 else np.dstack([picture] * 3)
    high = modcrop(high, scale)
    low = imresize(high, scale=1 / scale) if small else degrade(high, scale)
    low, high = (x.reshape(*x.shape[:2], c).transpose(2, 0, 1) for x in (low, high))
    return np.ascontiguousarray(low, np.float32), np.ascontiguousarray(high, np.float32)


def reduced(
    high: np.ndarray, factor: float, scale: int, smallest: int = 1, small: bool = False
) -> Pair | None:
    """Make a smaller copy of a picture first, then a `pair` from it.

    Parameters
    ----------
    high : float array (c, H, W)
        As `pair` returns it.
    factor : float
        Below 1.
    scale : int
    smallest : int
        Least height and width that the copy must surely have after `modcrop`, in pixels.
    small : bool
        As for `pair`.

    Returns
    -------
    low, high : float32 arrays, as `pair` returns them; None if the copy is too small
    """
    if min(high.shape[1:]) * factor < smallest + scale:
        return None
    picture = high.transpose(1, 2, 0).astype(np.float64)
    picture = imresize(picture, scale=factor).clip(0, 1)
    return pair(picture[:, :, 0] if len(high) == 1 else picture, scale, len(high), small)


def read_pair(
    path: str | os.PathLike,
    scale: int,
    c: int = 1,
    smallest: int = 1,
    *,
    largest: int | None = None,
    seed: int | tuple[int, ...] = 0,
    small: bool = False,
) -> Pair:
    """Make a `pair` from a picture file, or from a region of it.

    Parameters
    ----------
    path : path
    scale : int
    c : int
        1 for luma, 3 for RGB.
    smallest : int
        Smallest allowed number of rows and columns.
    largest : int, optional
        From a larger picture, take a region of this many rows and columns, at a random place.
    seed : int or tuple of ints
        Seed for that place.
    small : bool
        As for `pair`.

    Returns
    -------
    low, high : float32 arrays (c, H, W)

    Raises
    ------
    OSError, ValueError, TypeError, MemoryError
        If the picture cannot be used, or has fewer than `smallest` rows or columns after `modcrop`.
    """
    with memory_for(path):
        picture = read_picture(path)
        check_range(picture, os.fspath(path))
        height, width = (side - side % scale for side in picture.shape[:2])
        if min(height, width) < smallest:
            smallest += -smallest % scale  # `modcrop` leaves multiples of the scale
            raise ValueError(
                f"{path} is {picture.shape[1]} x {picture.shape[0]} pixels, wanted at least "
                f"{smallest} x {smallest} at scale {scale}: leave it out or use smaller sub-images"
            )
        if largest is not None:
            rng = np.random.default_rng(seed)
            largest = max(largest, smallest + scale - 1)  # `smallest` remain after `modcrop`
            i, j = (rng.integers(max(side - largest, 0) + 1) for side in (height, width))
            picture = picture[i : i + largest, j : j + largest]
        return pair(picture, scale, c, small)


def read_pairs(
    paths: str | os.PathLike | Iterable,
    scale: int,
    c: int = 1,
    smallest: int = 1,
    *,
    on_error: Callable[[Exception], object] | None = None,
    small: bool = False,
) -> list[Pair]:
    """Make a `pair` from each picture of a folder, or from each of several files.

    Parameters
    ----------
    paths : path of a folder, or several paths of files
    scale : int
    c : int
        1 for luma, 3 for RGB.
    smallest : int
        Smallest allowed number of rows and columns of each picture.
    on_error : function of an exception, optional
        Called with the error of an unusable picture, which is then left out, instead of raising it.
    small : bool
        As for `pair`.

    Returns
    -------
    pairs : list of (low, high), float32 arrays (c, H, W)

    Raises
    ------
    FileNotFoundError, NotADirectoryError, ValueError
        If there is no such folder, or none of its files is a picture.
    OSError, ValueError, TypeError, MemoryError
        As `read_pair` does, unless `on_error` is given.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = list_pictures(paths)
    pairs = []
    for path in paths:
        try:
            pairs.append(read_pair(path, scale, c, smallest, small=small))
        except PICTURE_ERRORS as error:
            if on_error is None:
                raise
            on_error(error)
    return pairs
