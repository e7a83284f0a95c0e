"""Enlarging arrays of Dask: piece by piece, on threads, processes or machines.

Each chunk of the picture becomes one chunk of the result, made from that chunk and the pixels
around it that it depends on. Every pixel is the same, to the bit, as when the whole picture is
enlarged at once. Only this module needs Dask: ``pip install ".[dask]"``.
"""

import itertools
import operator
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_picture, check_range
from ..networks import DEFAULT, Network
from .scales import Networks
from .steps import Span, Step, steps_for

if TYPE_CHECKING:
    import dask.array

__all__ = ["upscale_lazily"]


def upscale_lazily(
    picture: Any,
    scale: float | None = None,
    model: str | os.PathLike | Network | Networks = DEFAULT,
    *,
    shape: tuple[int | None, int | None] | None = None,
) -> "dask.array.Array":
    """Enlarge an array of Dask or Zarr, as `upscale` does one of NumPy.

    Parameters
    ----------
    picture : array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) of Dask or Zarr
        As for `upscale`; or a Zarr store, or its path, that holds one such array. The result is
        made chunk by chunk, so the chunks should be at least a few hundred pixels wide and high.
    scale, model, shape
        As for `upscale`.

    Returns
    -------
    enlarged : dask.array.Array
        Not computed yet. Values that `upscale` would refuse raise its ValueError on computation.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `upscale` does, for what can be checked without the values.
    """
    try:
        import dask.array
    except ImportError:
        raise ModuleNotFoundError(
            'arrays of Zarr need Dask: pip install ".[dask]" in the clone of pysrcnn', name="dask"
        ) from None
    if not isinstance(picture, dask.array.Array):
        picture = dask.array.from_zarr(_array_of_zarr(picture))
    if not picture.dtype.isnative:
        picture = picture.astype(picture.dtype.newbyteorder("="))
    if any(np.isnan(n) for n in picture.shape):
        raise ValueError("the shape of the picture is unknown: call compute_chunk_sizes() first")
    # Check everything but the values, on an array that takes no memory.
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
    return np.asarray(part)  # not a masked array, even without masked values


def _array_of_zarr(given: Any) -> Any:
    """Return the given Zarr array, or the only one in the given store (or its path)."""
    import zarr

    if isinstance(given, zarr.Array):
        return given
    node = given if isinstance(given, zarr.Group) else zarr.open(given, mode="r")
    if isinstance(node, zarr.Array):
        return node
    arrays = dict(node.arrays())
    if len(arrays) != 1:
        names = ", ".join(sorted(arrays)) or "none"
        raise ValueError(
            f"the Zarr store holds {len(arrays)} arrays ({names}), wanted one: give the array"
        )
    (array,) = arrays.values()
    return array


def _stepped(step: Step, pixels: "dask.array.Array") -> "dask.array.Array":
    """Return the result of a step, in about as many chunks as the picture has.

    Its graph has one layer, with a task for each chunk of the result and a task for each part of a
    chunk of the picture that it uses: parts are cut out before they are sent.
    """
    import dask
    import dask.array
    from dask.highlevelgraph import HighLevelGraph

    shared = dask.delayed(step, pure=True, traverse=False)
    token = dask.base.tokenize(pixels.name, shared.key)
    name, cut = f"upscale-{token}", f"upscale-cut-{token}"
    starts = [np.cumsum((0, *chunks)) for chunks in pixels.chunks[:2]]
    spans = [_spans(chunks, n) for chunks, n in zip(pixels.chunks[:2], step.shape, strict=True)]
    tasks: dict[Any, Any] = {}
    for (i, rows), (j, columns) in itertools.product(*map(enumerate, spans)):
        down, across = map(_blocks, starts, step.needs(rows, columns))
        parts: list[list] = []
        for a, used_rows in down:
            parts.append([])
            for b, used_columns in across:
                key = cut, i, j, a, b
                tasks[key] = operator.getitem, (pixels.name, a, b, 0), (used_rows, used_columns)
                parts[-1].append(key)
        tasks[name, i, j, 0] = _made, shared.key, parts, rows, columns
    given: list[Any] = [pixels, shared]
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=given)
    chunks = *(tuple(end - start for start, end in s) for s in spans), (step.channels,)
    return dask.array.Array(graph, name, chunks, meta=np.empty((0, 0, 0), step.dtype))


def _spans(chunks: tuple[int, ...], size: int) -> list[Span]:
    """Divide `size` pixels in proportion to the chunks; evenly if they are even, as Zarr needs."""
    if len({*chunks[:-1]}) < 2 and chunks[-1] <= chunks[0]:
        even = max(1, round(chunks[0] * size / sum(chunks)))
        ends = [*range(even, size, even), size]
    else:
        ends = (np.cumsum(chunks) * size // sum(chunks)).tolist()
    return [(a, b) for a, b in zip([0, *ends], ends, strict=False) if b > a]


def _blocks(starts: np.ndarray, used: Span) -> list[tuple[int, slice]]:
    """Return (chunk, slice used of it) for each chunk in a span; chunks begin at `starts`."""
    found = []
    first = int(np.searchsorted(starts, used[0], "right")) - 1
    for k in itertools.takewhile(lambda k: starts[k] < used[1], itertools.count(first)):
        begin, end = int(starts[k]), int(starts[k + 1])
        if end > begin:
            found.append((k, slice(max(used[0], begin) - begin, min(used[1], end) - begin)))
    return found


def _made(step: Step, parts: list, rows: Span, columns: Span) -> np.ndarray:
    part = np.concatenate([np.concatenate(row, axis=1) for row in parts])
    out = np.empty((rows[1] - rows[0], columns[1] - columns[0], step.channels), step.dtype)
    step.make(np.ascontiguousarray(part), rows, columns, out)
    return out
