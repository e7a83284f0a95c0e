"""Enlarging a picture to a larger one of the same kind.

`scales.py` plans the steps to the wanted size, and `steps.py` makes each of them, band by band from
top to bottom, so that memory beyond the picture and the results of two steps does not grow with
them.
"""

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..checks import check_mask, check_picture, check_range
from ..networks import DEFAULT, Network
from .scales import Networks
from .steps import Step, steps_for

if TYPE_CHECKING:
    import dask.array
    import zarr

__all__ = ["bicubic", "checked", "stepped", "upscale"]


@overload
def upscale(
    picture: np.ndarray,
    scale: float | None = None,
    model: str | os.PathLike | Network | Networks = DEFAULT,
    *,
    shape: tuple[int | None, int | None] | None = None,
    ensemble: bool = False,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray: ...


@overload
def upscale(
    picture: "dask.array.Array | zarr.Array | zarr.Group | str | os.PathLike",
    scale: float | None = None,
    model: str | os.PathLike | Network | Networks = DEFAULT,
    *,
    shape: tuple[int | None, int | None] | None = None,
    ensemble: bool = False,
    progress: Callable[[float], None] | None = None,
) -> "dask.array.Array": ...


def upscale(
    picture: Any,
    scale: float | None = None,
    model: str | os.PathLike | Network | Networks = DEFAULT,
    *,
    shape: tuple[int | None, int | None] | None = None,
    ensemble: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Any:
    """Enlarge a picture.

    Parameters
    ----------
    picture : array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Grey, grey and alpha, RGB or RGBA: uint8, uint16, or floating point in 0..1. Computed in
        float32. It may be an array of Dask or Zarr, or the path of a Zarr store that holds one: the
        result is then a Dask array that is not computed yet (`lazy.py`). It may be a picture of
        Pillow's, which is read by its mode and as it is stored, not turned by EXIF.
    scale : float, optional
        How many times as wide and high the result is: above 1, up to 16; by default 3, or the scale
        of a `model` from a file. If there are no weights for it, the picture passes through
        networks of other scales, several times if need be, and is then resized (see `scales.py`).
    model : str, path, Network or Networks
        What `load` takes, or a network. One that was trained for a single scale can be used for 2,
        3 or 4 only if that is this scale or a power of it.
    shape : pair of ints, optional
        Instead of `scale`: height and width of the result; one of them may be None, and follows
        from the aspect ratio.
    ensemble : bool
        Whether to average the results for the picture rotated and flipped in eight ways: a little
        better, and eight times slower. Without effect on `Networks`, which have their own.
    progress : function of a float, optional
        Called now and then with the fraction of the work done, up to 1; not if the result is a
        Dask array, since Dask has a ProgressBar of its own.

    Returns
    -------
    enlarged : array (round(scale H), round(scale W)), ... of the same dtype and channels
        Clipped to 0..1 (0..255, 0..65535), integers rounded.

    Raises
    ------
    TypeError, ValueError
        If the picture is not of these kinds, or has no pixels or some that are NaN or infinite;
        if there are no weights for the scale, or the network's are NaN or infinite.
    FileNotFoundError
        If `model` is neither the name of shipped weights nor a file.
    """
    if ensemble and not isinstance(model, Networks):
        model = Networks(model, ensemble)
    named = isinstance(picture, (str, os.PathLike))
    of_zarr = named and os.fspath(picture).rstrip("/").endswith(".zarr")
    if of_zarr or type(picture).__module__.split(".")[0] in ("dask", "zarr"):
        from .lazy import upscale_lazily

        return upscale_lazily(picture, scale, model, shape=shape)
    if named:
        raise TypeError(
            f"the picture is a name, {os.fspath(picture)}, wanted an array: read the file first, "
            f"by pysrcnn.read_picture"
        )
    picture = checked(picture)
    steps = steps_for(picture.shape, picture.dtype, model, scale, shape)
    work, done = sum(math.prod(step.shape) for step in steps), 0
    for step in steps:

        def tell(pixels: int, done: int = done) -> None:
            if progress:
                progress((done + pixels) / work)

        picture = stepped(step, [picture], tell)
        done += math.prod(step.shape)
    return picture


def bicubic(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a picture, as `upscale` takes it, to another height and width without any network."""
    channels = picture.shape[2] if picture.ndim == 3 else 1
    step = Step(picture.shape[:2], shape, channels, picture.dtype, None)
    return stepped(step, [picture], lambda pixels: None)


def checked(picture: Any, name: str = "the picture") -> np.ndarray:
    """Return the array of a picture that `upscale` takes; raise as it does for anything else."""
    check_mask(picture, name)
    if any(kind.__module__.startswith("PIL.") for kind in type(picture).__mro__):
        from ..pictures.reading import pixels_of

        picture = pixels_of(picture)
    picture = np.asarray(picture)
    if not picture.dtype.isnative:  # big-endian, as in FITS files
        picture = picture.astype(picture.dtype.newbyteorder("="))
    check_picture(picture, name)
    check_range(picture, name)
    return picture


def stepped(step: Step, window: list[np.ndarray], tell: Callable[[int], None]) -> np.ndarray:
    """Return the result of a step, made band by band; `tell` is called with the pixels done.

    For a video, `window` is the frame with those before and after it, see `Step.make`.
    """
    picture = window[len(window) // 2]
    pixels = [frame.reshape(*frame.shape[:2], step.channels) for frame in window]
    height, width = step.shape
    result = np.empty((height, width, step.channels), picture.dtype)
    done = 0
    for rows, columns in step.pieces((0, height), (0, width)):
        used = tuple(slice(*span) for span in step.needs(rows, columns))
        out = result[slice(*rows), slice(*columns)]
        step.make([frame[used] for frame in pixels], rows, columns, out)
        done += out.shape[0] * out.shape[1]
        tell(done)
    return result.reshape(height, width, *picture.shape[2:])
