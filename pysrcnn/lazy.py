"""Enlarging arrays of Dask: piece by piece, on threads, processes or machines.

Each chunk of the picture becomes one chunk of the result, made from that chunk and the pixels
around it that it depends on. Every pixel is the same, to the bit, as where the whole picture is
enlarged at once. Dask is not needed for anything else: ``pip install ".[dask]"`` has it.
"""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import check_picture, check_range
from .model import Model
from .scales import Networks
from .steps import Span, Step, steps_for

if TYPE_CHECKING:
    import dask.array

__all__ = ["upscale_lazily"]


def upscale_lazily(
    picture: Any,
    scale: float | None = None,
    model: str | os.PathLike | Model | Networks = "9-1-5",
    *,
    shape: tuple[int | None, int | None] | None = None,
) -> "dask.array.Array":
    """`upscale` for an array of Dask or Zarr.

    Parameters
    ----------
    picture : array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) of Dask or Zarr
        As for `upscale`. Its chunks are the pieces in which the result is made, so they should be
        some hundred pixels wide and high, or more.
    scale, model, shape
        As for `upscale`.

    Returns
    -------
    enlarged : dask.array.Array
        Nothing is computed yet. Values that `upscale` would refuse raise its ValueError when it is.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `upscale` does, for what can be told without the values.
    """
    try:
        import dask.array
    except ImportError:
        raise ModuleNotFoundError(
            'arrays of Zarr need Dask: pip install ".[dask]" in the clone of pysrcnn', name="dask"
        ) from None
    if not isinstance(picture, dask.array.Array):
        picture = dask.array.from_zarr(picture)
    if any(np.isnan(n) for n in picture.shape):
        raise ValueError("the shape of the picture is unknown: call compute_chunk_sizes() first")
    # The checks of everything but the values, on an array that takes no memory.
    check_picture(np.broadcast_to(np.zeros((), picture.dtype), picture.shape))
    steps = steps_for(picture.shape, picture.dtype, model, scale, shape)
    pixels = picture.map_blocks(_checked, dtype=picture.dtype)
    pixels = pixels.reshape(*picture.shape[:2], steps[0].channels).rechunk({2: -1})
    for step in steps:
        pixels = _stepped(step, pixels)
    return pixels if picture.ndim == 3 else pixels[:, :, 0]


def _checked(part: np.ndarray) -> np.ndarray:
    if part.size:
        check_picture(part.reshape(len(part), -1))
        check_range(part)
    return part


def _stepped(step: Step, pixels: "dask.array.Array") -> "dask.array.Array":
    """The result of a step, in as many chunks as the picture has."""
    import dask
    import dask.array

    shared = dask.delayed(step, pure=True, traverse=False)
    made = dask.delayed(_made, pure=True)
    all_rows, all_columns = (
        _spans(chunks, n) for chunks, n in zip(pixels.chunks[:2], step.shape, strict=True)
    )
    bands = []
    for rows in all_rows:
        band = []
        for columns in all_columns:
            used = tuple(slice(*span) for span in step.needs(rows, columns))
            # The chunks around this one are cut to what is used before they travel.
            part = made(shared, pixels[used], rows, columns)
            size = rows[1] - rows[0], columns[1] - columns[0], step.channels
            band.append(dask.array.from_delayed(part, size, step.dtype))
        bands.append(dask.array.concatenate(band, axis=1))
    return dask.array.concatenate(bands)


def _spans(chunks: tuple[int, ...], size: int) -> list[Span]:
    """`size` pixels divided as the chunks divide theirs."""
    ends = np.cumsum(chunks) * size // sum(chunks)
    starts = [0, *ends[:-1]]
    return [(int(a), int(b)) for a, b in zip(starts, ends, strict=True) if b > a]


def _made(step: Step, part: np.ndarray, rows: Span, columns: Span) -> np.ndarray:
    out = np.empty((rows[1] - rows[0], columns[1] - columns[0], step.channels), step.dtype)
    step.make(np.ascontiguousarray(part), rows, columns, out)
    return out
