"""Enlarging TIFF files to results larger than memory: read, enlarged and written band by band.

This needs tifffile, the extra `deep`. The result is the same, to the bit, as that of `upscale`.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from .._files import written_whole
from ..checks import check_picture, check_range, is_beyond
from ..pictures import PictureFile, _carried, _directories, _exif, deep
from ..pictures._limits import Stored
from ..pictures._mark import mark
from ..pictures._metadata import read_tiff_metadata
from ..pictures._tiff import examine as tiff_of
from ..pictures.reading import read_profile
from ..pictures.writing import LABELS
from ..upscaling.scales import Networks
from ..upscaling.steps import Span, Step, steps_for

__all__ = ["enlarge_tiff", "shape_of"]

TILE = 256  # side of the written tiles in pixels, and the number of rows made at a time
_CLASSIC = 2**32 - 2**25  # bytes that fit into a TIFF file without the larger offsets of BigTIFF
_GREY, _RGB, _TOGETHER = 1, 2, 1  # of the tags PhotometricInterpretation, PlanarConfiguration
_STRAIGHT = 2  # of ExtraSamples: alpha that colour is not multiplied by
_PLAIN = (1, 8, 32773, 32946)  # of Compression: none, zlib, PackBits, which tifffile has built in


class _Rows(Protocol):
    """A picture whose pixels are requested by rows and columns."""

    shape: tuple[int, int]

    def part(self, rows: Span, columns: Span) -> np.ndarray:
        """Return these rows and columns, array (h, w, channels)."""


class _Stored:
    """The first page of a TIFF file, of which only the strips or tiles that are needed are read.

    Those of the last band are kept, as the next one begins with some of them. A single strip that
    is not compressed is read in parts.
    """

    def __init__(self, page):
        self.page = page
        self.shape = page.imagelength, page.imagewidth
        self.channels = page.samplesperpixel
        self.high = page.tilelength if page.is_tiled else min(page.rowsperstrip, self.shape[0])
        self.wide = page.tilewidth if page.is_tiled else self.shape[1]
        self.across = -(-self.shape[1] // self.wide)
        self.row = self._row()
        self.high = min(self.high, TILE) if self.row else self.high
        self.kept: dict[int, np.ndarray] = {}
        self.beyond = False

    def part(self, rows: Span, columns: Span) -> np.ndarray:
        (top, bottom), (left, right) = rows, columns
        out = np.empty((bottom - top, right - left, self.channels), self.page.dtype)
        used = {}
        for i in range(top // self.high, -(-bottom // self.high)):
            for j in range(left // self.wide, -(-right // self.wide)):
                number = i * self.across + j
                piece = used[number] = self._piece(number)
                y, x = i * self.high, j * self.wide
                a, b = max(top, y), min(bottom, y + piece.shape[0])
                c, d = max(left, x), min(right, x + piece.shape[1])
                out[a - top : b - top, c - left : d - left] = piece[a - y : b - y, c - x : d - x]
        self.kept = used
        if out.dtype.kind == "f":
            check_picture(out.reshape(len(out), -1))
            check_range(out)
            self.beyond = self.beyond or is_beyond(out)
        return out

    def _piece(self, number: int) -> np.ndarray:
        if number in self.kept:
            return self.kept[number]
        page = self.page
        if self.row:
            first = number * self.high
            high = min(self.high, self.shape[0] - first)
            content = self._bytes(page.dataoffsets[0] + first * self.row, high * self.row)
            dtype = page.dtype.newbyteorder(page.parent.byteorder)
            return np.frombuffer(content, dtype).reshape(high, self.wide, self.channels)
        size = page.databytecounts[number]
        if not size:  # a piece that is not stored
            return np.full((self.high, self.wide, self.channels), page.nodata, page.dtype)
        content = self._bytes(page.dataoffsets[number], size)
        deep.check_piece(page, content)
        piece, _, shape = page.decode(content, number)
        return piece.reshape(-1, *piece.shape[-2:])[: shape[1], : shape[2]]

    def _bytes(self, place: int, size: int) -> bytes:
        file = self.page.parent.filehandle
        file.seek(place)
        content = file.read(size)
        if len(content) < size:
            raise ValueError("the file is cut short")
        return content

    def _row(self) -> int:
        """Return the bytes of a row if all of them are in one strip as they are; otherwise 0."""
        page = self.page
        row = self.wide * self.channels * page.dtype.itemsize
        plain = page.compression == page.predictor == len(page.dataoffsets) == 1
        whole = page.databytecounts[0] >= row * self.shape[0]
        return row if plain and whole and not page.is_tiled else 0


class _Made:
    """The result of a step, made on request."""

    def __init__(self, step: Step, source: _Rows):
        self.step, self.source, self.shape = step, source, step.shape

    def part(self, rows: Span, columns: Span) -> np.ndarray:
        out = np.empty(
            (rows[1] - rows[0], columns[1] - columns[0], self.step.channels), self.step.dtype
        )
        for some in self.step.pieces(rows, columns):
            down, across = (
                slice(a - first, b - first)
                for (a, b), (first, _) in zip(some, (rows, columns), strict=True)
            )
            part = self.source.part(*self.step.needs(*some))
            self.step.make(part, *some, out[down, across])
        return out


def _page(file):
    """Return the first page of a file if it can be read by bands, or None."""
    page = file.pages[0]
    if not all(isinstance(n, int) for n in (page.imagelength, page.imagewidth)):
        return None  # damaged
    if page.photometric not in (_GREY, _RGB) or page.planarconfig != _TOGETHER:
        return None
    if page.dtype not in (np.uint8, np.uint16, np.float32):
        return None
    if page.bitspersample != 8 * page.dtype.itemsize:  # such as 12, where white is 4095
        return None
    if page.imagedepth != 1 or page.subfiletype:
        return None
    colours = 3 if page.photometric == _RGB else 1
    channels = page.samplesperpixel, tuple(page.extrasamples)
    if channels not in ((colours, ()), (colours + 1, (_STRAIGHT,))):
        return None  # alpha that colour is multiplied by, or other channels
    if any(place and not n for place, n in zip(page.dataoffsets, page.databytecounts)):
        return None  # stored, in unknown bytes
    if page.compression not in _PLAIN and deep.helps():
        return None
    if page.tags.valueof(274, default=1) != 1 or page.fillorder != 1:  # has to be turned first
        return None
    return page


def shape_of(path: str | os.PathLike) -> tuple[int, int, int, np.dtype] | None:
    """Return height, width, channels and dtype of a TIFF file that can be enlarged here, or None.

    That is a file of one page, maybe with reduced copies behind it, grey or RGB, with or without
    alpha, of uint8, uint16 or float32, not turned by its orientation; and tifffile must be
    installed.
    """
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff") or not path.is_file():
        return None
    if not deep.available():
        return None
    import tifffile

    try:
        with open(path, "rb") as stored:
            if tiff_of(Stored(stored), str(path)).frames > 1:
                return None
        with tifffile.TiffFile(path) as file:
            page = _page(file)
            if page is None:
                return None
            return page.imagelength, page.imagewidth, page.samplesperpixel, page.dtype
    except Exception:  # another reader may read the file, or say what is wrong with it
        return None


def enlarge_tiff(
    source: str | os.PathLike,
    target: str | os.PathLike,
    networks: Networks,
    scale: float | None = None,
    shape: tuple[int | None, int | None] | None = None,
    progress: Callable[[float], None] = lambda part: None,
    check: Callable[[], object] = lambda: None,
) -> tuple[list[str], list[str]]:
    """Enlarge one TIFF file into another, whole or not at all.

    Parameters
    ----------
    source, target : path
        `shape_of(source)` is not None.
    networks, scale, shape, progress
        As for `upscale`.
    check : function, optional
        Called directly before a file at `target` is replaced; it may raise.

    Returns
    -------
    losses : list of str
        What the result lacks: "values outside 0..1".
    notes : list of str
        What was lost in reading, a sentence each.

    Raises
    ------
    ValueError
        If the source is damaged, or floating point far outside 0..1.
    OSError
        If the target cannot be written.
    """
    import tifffile

    with tifffile.TiffFile(source) as file:
        try:
            page = _page(file)
            stored = _Stored(page)
            rows: _Rows = stored
            picture = (*stored.shape, stored.channels)
            for step in steps_for(picture, page.dtype, networks, scale, shape):
                rows = _Made(step, rows)
            beside = _beside_pixels(source, page)
            parts, lost, more = _carried.carried(beside, "tiff", (*rows.shape, stored.channels))
            options = deep.tiff_options(
                stored.channels, page.dtype, beside.compression, beside.predictor
            )
            high, wide = (-(-n // TILE) * TILE for n in rows.shape)  # of whole tiles
            size = high * wide * stored.channels * page.dtype.itemsize
            with written_whole(target, check) as temporary:
                tifffile.imwrite(
                    temporary,
                    _tiles(rows, progress),
                    shape=(*rows.shape, *([stored.channels] if stored.channels > 1 else [])),
                    dtype=page.dtype,
                    bigtiff=size > _CLASSIC,
                    tile=(TILE, TILE),
                    **options,
                )
                _directories.add(temporary, *_carried.as_tags(parts))
                mark(temporary, "tiff", Path(source).name)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # of tifffile and its decoders
            raise ValueError(f"cannot enlarge {source}: {error}") from None
        losses = [label for name, label in LABELS.items() if name in lost] + more
        if _exif.is_on_map(tag.code for tag in page.tags):
            losses.append("its place on the map")
        if stored.beyond:
            losses.append("values outside 0..1")
        return losses, beside.notes


def _beside_pixels(source: str | os.PathLike, page) -> PictureFile:
    """Read the metadata of the file into a `PictureFile` without frames."""
    file = PictureFile([], "tiff")
    mode = "RGB" if page.photometric == _RGB else "L"
    read_profile(page.tags.valueof(34675), mode, page.photometric == _RGB, file)
    with open(source, "rb") as stored:
        read_tiff_metadata(Stored(stored), file)
    return file


def _tiles(rows: _Rows, progress: Callable[[float], None]) -> Iterator[np.ndarray]:
    """Yield the tiles of the result in the order of the file; those at the edges are smaller."""
    height, width = rows.shape
    for top in range(0, height, TILE):
        bottom = min(top + TILE, height)
        band = rows.part((top, bottom), (0, width))
        band = band if band.shape[2] > 1 else band[:, :, 0]
        progress(bottom / height)  # before the last tile, after which nobody asks for more
        for left in range(0, width, TILE):
            yield np.ascontiguousarray(band[:, left : left + TILE])
