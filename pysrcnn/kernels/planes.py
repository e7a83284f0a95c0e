"""Steps around the network: pixels to planes, bicubic resizing, and planes to pixels.

Axes: C channels, H x W pixels of the small picture, H' x W' of the large one, T taps.
"""

import numpy as np

from .compile import compiled
from .threads import share

TASK = 64  # rows of the result that a thread computes at a time


def pixels_to_planes(pixels, matrix, offset, peak):
    """Return planes (C, H, W) = matrix (C, D) pixels (H, W, D) / peak + offset (C,), float32."""
    planes = np.empty((len(offset), *pixels.shape[:2]), np.float32)

    def work(tasks):
        for i in tasks:
            some = pixels[i : i + TASK].astype(np.float32) / np.float32(peak)
            for plane, weights, shift in zip(planes, matrix, offset, strict=True):
                total = sum(w * some[:, :, d] for d, w in enumerate(weights))
                np.add(total, shift, out=plane[i : i + TASK])

    share(range(0, len(pixels), TASK), work)
    return planes


def resize_planes(x, rows, row_weights, columns, column_weights):
    """Resize x (C, H, W) to (C, H', W'): first along H, then along W, as `pysrcnn.imresize`.

    rows, row_weights (H', T): the rows of x that make each row of the result, and their weights;
    columns, column_weights (T, W'): the same for columns.
    """
    out = np.empty((x.shape[0], rows.shape[0], columns.shape[1]), x.dtype)

    def work(tasks):
        for i in tasks:
            end = min(i + TASK, out.shape[1])
            _resize_rows(x, rows, row_weights, columns, column_weights, out, i, end)

    share(range(0, out.shape[1], TASK), work)
    return out


@compiled()
def _resize_rows(x, rows, row_weights, columns, column_weights, out, first, end):
    channels, _, width = x.shape
    for i in range(first, end):
        line = np.empty(width, x.dtype)
        for c in range(channels):
            line[:] = 0
            for t in range(rows.shape[1]):
                weight, source = row_weights[i, t], x[c, rows[i, t]]
                for j in range(width):
                    line[j] += weight * source[j]
            to = out[c, i]
            to[:] = 0
            for t in range(columns.shape[0]):
                for j in range(to.size):
                    to[j] += column_weights[t, j] * line[columns[t, j]]


def planes_to_pixels(planes, matrix, offset, peak, out):
    """out (H, W, D) = matrix (D, C) planes (C, H, W) + offset (D,), clipped to 0..1, times peak.

    Integers are rounded, halves up.
    """

    def work(tasks):
        for i in tasks:
            _rows_to_pixels(planes, matrix, offset, peak, to, i, min(i + TASK, len(out)))

    # Numba would compile all of this again for a piece of a picture, which is not contiguous.
    to = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
    share(range(0, out.shape[0], TASK), work)
    if to is not out:
        out[...] = to


@compiled()
def _rows_to_pixels(planes, matrix, offset, peak, out, first, end):
    half = 0.5 if peak > 1 else 0.0
    for i in range(first, end):
        line = np.empty(out.shape[1], planes.dtype)
        for d in range(out.shape[2]):
            line[:] = offset[d]
            for c in range(planes.shape[0]):
                weight = matrix[d, c]
                for j in range(line.size):
                    line[j] += weight * planes[c, i, j]
            for j in range(line.size):
                out[i, j, d] = min(max(line[j], 0), 1) * peak + half
