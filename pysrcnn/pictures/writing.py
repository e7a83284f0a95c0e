"""Writing picture files, whole or not at all, with their metadata."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._files import is_full, written_whole
from ..checks import check_picture
from . import _carried, _chunks, _directories, deep, encoding
from ._formats import KINDS, SUFFIXES
from ._mark import mark
from ._metadata import named
from ._picture_file import PictureFile
from .pixels import converted
from .reading import ANIMATED

__all__ = ["LABELS", "SUFFIX_OF", "fit_to", "write_picture", "write_picture_file"]

SUFFIX_OF = {kind: suffix for suffix, kind in KINDS.items()}  # of several, the last
LABELS = {
    "icc_profile": "the colour profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "iptc": "IPTC",
    "dpi": "the resolution in DPI",
    "ratio": "the shape of its pixels, which are not square",
    "colours": "what it says its colours are (in chunks of PNG)",
    "texts": "",  # by name
    "comment": "the comment",
}
_DEEP: dict[Any, tuple[tuple[str, ...], str]] = {  # beside uint8: the formats for it, in words
    np.dtype(np.uint16): (("png", "tiff"), ".png or .tif"),
    np.dtype(np.float32): (("tiff",), ".tif or .tiff"),
}
_OPAQUE = ("bmp", "jpeg")  # without alpha
_LONGEST = {"gif": 65535, "jpeg": 65500, "webp": 16383}  # pixels a side
_UNIT_OF_JFIF = 13  # the position of the density's unit in Pillow's JPEG files


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Write a picture, whole or not at all, in the format of the suffix.

    uint8 goes into every format, uint16 into PNG and TIFF, and float32 into TIFF. Colour of uint16
    or float32 in TIFF needs the extra `deep`.

    Raises
    ------
    ValueError
        If the format is unknown or cannot hold such a picture, the array does not have the shape
        of a picture, or some of its pixels are masked, NaN or infinite.
    TypeError
        If it is not an array.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    if isinstance(picture, np.ndarray):
        _check_depth(path, picture)
    check_picture(picture)
    write_picture_file(path, PictureFile([picture]))


def write_picture_file(
    path: str | os.PathLike,
    file: PictureFile,
    quality: int | None = None,
    check: Callable[[], object] = lambda: None,
) -> list[str]:
    """Write a picture or an animation, whole or not at all, in the format of the suffix.

    WebP is lossless unless the picture was read from a lossy file or `quality` is given.

    Parameters
    ----------
    path : path
    file : PictureFile
    quality : int, optional
        For JPEG and WebP, 1 to 100; by default 95.
    check : function, optional
        Called directly before a file at `path` is replaced; it may raise.

    Returns
    -------
    losses : list of str
        What the format has no place for, and the file therefore lacks: "EXIF", ...

    Raises
    ------
    ValueError
        If the format is unknown, lacks the transparency that the picture has, or has no room for
        so many pixels a side.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    _check_fit(path, file, file.frames[0].shape[:2])
    kind = KINDS[path.suffix.lower()]
    frames, losses = _fitted(file, kind)
    metadata, lost, more = _carried.carried(file, kind, frames[0].shape)
    options = _options(file, frames, kind, quality)
    with written_whole(path, check) as temporary:
        try:
            _write(temporary, frames, metadata, options)
        except Exception as error:  # of Pillow or another writer
            if isinstance(error, (MemoryError, FileNotFoundError)) or is_full(error):
                raise
            try:  # again without the metadata, which may be the cause
                _write(temporary, frames, {}, {} if kind == "tiff" else options)
            except Exception:
                raise ValueError(f"cannot write {path}: {error}") from None
            lost |= metadata.keys()
        if file.made_from is not None:
            mark(temporary, kind, file.made_from)
    labels = LABELS | {"texts": f"the texts {named(_chunks.keywords(file.texts), 4)}"}
    return [label for name, label in labels.items() if name in lost] + more + losses


# -------------------------------------------------------------------------- what a format can hold


def fit_to(path: str | os.PathLike, file: PictureFile, shape: tuple[int, int]) -> None:
    """Fit `file` to a format before any work is done, and raise what `write_picture_file` would.

    `shape` is the height and width of the result. If the format holds only one frame, an animation
    is cut to its first, with a note; if it has no alpha, alpha that hides nothing is removed.

    Raises
    ------
    ValueError
        If the format is unknown, lacks the transparency that the picture has, or has no room for
        so many pixels a side.
    """
    path = Path(path)
    if KINDS.get(path.suffix.lower()) in _OPAQUE:
        file.frames = [_without_idle_alpha(frame) for frame in file.frames]
    _check_fit(path, file, shape)
    count = len(file.frames)
    if count > 1 and KINDS[path.suffix.lower()] not in ANIMATED:
        file.frames, file.durations = file.frames[:1], None
        file.notes.append(
            f"only the first of its {count} frames is taken, as {path.name} holds one"
        )


def _without_idle_alpha(frame: np.ndarray) -> np.ndarray:
    if frame.ndim == 2 or frame.shape[2] == 3:
        return frame
    most = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
    if (frame[:, :, -1] < most).any():
        return frame
    return frame[:, :, :3] if frame.shape[2] == 4 else frame[:, :, 0]


def _kind_of(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(sorted(SUFFIXES))
        raise ValueError(f"cannot write {path}: the name must end in one of {known}")
    return KINDS[suffix]


def _holds_deep(kind: str) -> bool:
    """Return whether 16-bit colour can be written; in TIFF, that needs a library."""
    return kind == "png" or (kind == "tiff" and deep.available())


def _check_depth(path: Path, picture: np.ndarray) -> None:
    """Raise a ValueError for an array that a file of this name cannot hold without loss."""
    kind, is_grey = _kind_of(path), picture.ndim == 2
    kinds, others = _DEEP.get(picture.dtype, ((), ""))
    if picture.dtype != np.uint8 and not (kind in kinds and (is_grey or _holds_deep(kind))):
        advice = f", or write a {others} file" if is_grey and others else ""
        what = f"{'grey' if is_grey else 'colour'} of {picture.dtype}"
        raise ValueError(
            f"cannot write {path}: {path.suffix.lower()} takes no {what}: convert it to uint8 "
            f"first{advice}"
        )


def _check_fit(path: Path, file: PictureFile, shape: tuple[int, ...]) -> None:
    """Raise a ValueError for transparency that the format lacks, or too many pixels a side."""
    kind, (height, width) = _kind_of(path), shape
    if file.frames[0].shape[2:] in ((2,), (4,)) and kind in _OPAQUE:
        raise ValueError(f"cannot write {path}: {kind.upper()} has no transparency; choose .png")
    most = _LONGEST.get(kind, max(shape))
    if max(shape) > most:
        raise ValueError(
            f"cannot write {path}: {width} x {height} pixels are more than the {most} a side that "
            f"fit into {kind.upper()}; choose .png"
        )


def _fitted(file: PictureFile, kind: str) -> tuple[list[np.ndarray], list[str]]:
    """Return the frames as the format can hold them, and what that loses."""
    frames, losses = file.frames, []
    if len(frames) > 1 and kind not in ANIMATED:
        losses.append(f"all of its {len(frames)} frames but the first")
        frames = frames[:1]
    if len(frames) > 1:
        losses += encoding.timing(file, kind)[2]
    dtype = _dtype_for(frames, kind)
    if dtype != frames[0].dtype:
        losses.append(_less_deep(frames[0].dtype, dtype, kind))
        frames = [converted(frame, dtype) for frame in frames]
    if kind == "gif":
        if file.kind != "gif" and frames[0].ndim == 3:
            losses.append("colours beyond 256 a frame")
        if frames[0].ndim == 3 and frames[0].shape[2] in (2, 4):
            if any(((x[..., -1] > 0) & (x[..., -1] < 255)).any() for x in frames):
                losses.append("partial transparency")
            frames = [_all_or_nothing(frame) for frame in frames]
    return frames, losses


def _dtype_for(frames: list[np.ndarray], kind: str) -> np.dtype:
    """Return the dtype nearest to that of the frames that the format can hold."""
    given, grey = frames[0].dtype, frames[0].ndim == 2
    deeper = len(frames) == 1 and (grey or _holds_deep(kind))
    holds = [dtype for dtype, (kinds, _) in _DEEP.items() if deeper and kind in kinds]
    if given in holds or given.kind != "f":
        return given if given in holds else np.dtype(np.uint8)
    return max(holds, key=lambda dtype: dtype.itemsize, default=np.dtype(np.uint8))


def _less_deep(given: np.dtype, dtype: np.dtype, kind: str) -> str:
    """Return the loss of depth in words."""
    of_floats = " of floating point" if given.kind == "f" != dtype.kind else ""
    deeper = [more for more in _DEEP if more.itemsize > dtype.itemsize]
    holds_more = any(kind in _DEEP[more][0] for more in deeper)  # but not in this case
    why = "" if holds_more else f", as {kind.upper()} holds no more"
    before, after = 8 * given.itemsize, 8 * dtype.itemsize
    return f"its full depth ({before} bits{of_floats} became {after}{why})"


def _all_or_nothing(frame: np.ndarray) -> np.ndarray:
    """Return RGBA whose pixels are either transparent and black, or opaque."""
    frame = frame[:, :, [0, 0, 0, 1]] if frame.shape[2] == 2 else frame.copy()
    seen = frame[:, :, 3] > 127
    frame[:, :, 3] = 255
    return frame * seen[:, :, None]


# ------------------------------------------------------------------------------------------ encode


def _is_deep(frame: np.ndarray) -> bool:
    """Return whether Pillow has no array for a frame."""
    return frame.ndim == 3 and frame.dtype != np.uint8


def _options(
    file: PictureFile, frames: list[np.ndarray], kind: str, quality: int | None
) -> dict[str, Any]:
    """Return the encoder's options for these frames, where they differ from the defaults."""
    if kind == "tiff" and file.compression != 1:
        if _is_deep(frames[0]):
            return {"compression": file.compression, "predictor": file.predictor}
        return encoding.tiff_options(frames[0], file.compression, file.predictor)
    options = encoding.animation_options(file, frames, kind) if len(frames) > 1 else {}
    if kind in ("jpeg", "webp") and quality is not None:
        return options | {"quality": quality}
    if kind == "webp" and not file.lossy:  # 20 is the effort; more gains 0.5%
        return options | {"lossless": True, "exact": True, "quality": 20}
    return options


def _write(
    path: Path, frames: list[np.ndarray], metadata: dict[str, Any], options: dict[str, Any]
) -> None:
    """Write pixels and metadata, which PNG and TIFF get after a file of the pixels is encoded."""
    suffix, metadata = path.suffix.lower(), dict(metadata)
    kind = KINDS[suffix]
    if kind == "tiff":
        if _is_deep(frames[0]):
            deep.write_tiff(path, frames[0], **options)
        else:
            path.write_bytes(encoding.encoded(frames, suffix, options))
        tags, order = _carried.as_tags(metadata)
        if tags:
            _directories.add(path, tags, order)
    elif kind == "png":
        is_deep = _is_deep(frames[0])
        content = (
            _chunks.encoded_deep(frames[0])
            if is_deep
            else encoding.encoded(frames, suffix, options)
        )
        with open(path, "wb") as file:
            _chunks.write(file, content, _chunks.as_chunks(metadata))
    else:
        ratio = metadata.pop("ratio", None)
        if kind == "jpeg":
            options = options | {"extra": _carried.as_segments(metadata)}
            metadata |= {"dpi": ratio.as_integer_ratio()} if ratio else {}
        content = encoding.encoded(frames, suffix, options | metadata)
        if ratio:  # Pillow writes it as pixels per inch
            content = content[:_UNIT_OF_JFIF] + b"\0" + content[_UNIT_OF_JFIF + 1 :]
        path.write_bytes(content)
