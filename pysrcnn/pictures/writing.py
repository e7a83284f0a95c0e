"""Picture files written, whole or not at all, with what goes along with their pixels."""

import os
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
from .reading import ANIMATED

__all__ = ["LABELS", "SUFFIX_OF", "fit_to", "write_picture", "write_picture_file"]

SUFFIX_OF = {kind: suffix for suffix, kind in KINDS.items()}  # of the usual ones, the last
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
_DEEP: dict[Any, tuple[tuple[str, ...], str]] = {  # what else than uint8 is grey in which files
    np.dtype(np.uint16): (("png", "tiff"), ".png or .tif"),
    np.dtype(np.float32): (("tiff",), ".tif or .tiff"),
}
_OPAQUE = ("bmp", "jpeg")  # have no alpha
_LONGEST = {"gif": 65535, "jpeg": 65500, "webp": 16383}  # pixels a side
_UNIT_OF_JFIF = 13  # where a JPEG file that Pillow writes has the unit of its density


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Write a picture, whole or not at all; the suffix says the format.

    uint8 goes into every format; 16-bit grey into PNG and TIFF, float32 grey into TIFF; such colour
    with the extra `deep`.

    Raises
    ------
    ValueError
        If the format is unknown or cannot hold such a picture, its shape is that of none, or some
        of its pixels are masked, NaN or infinite.
    TypeError
        If it is no array.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    if isinstance(picture, np.ndarray):
        _check_depth(path, picture)
    check_picture(picture)
    write_picture_file(path, PictureFile([picture]))


def write_picture_file(
    path: str | os.PathLike, file: PictureFile, quality: int | None = None
) -> list[str]:
    """Write a picture or an animation, whole or not at all; the suffix says the format.

    WebP is written without loss if the picture was read without, and no `quality` is given.

    Parameters
    ----------
    path : path
    file : PictureFile
    quality : int, optional
        Of JPEG and WebP, 1 to 100; by default 95.

    Returns
    -------
    losses : list of str
        What the format has no place for, and so is not in the file: "EXIF", ...

    Raises
    ------
    ValueError
        If the format is unknown, has no transparency and the picture has some, or has no room for
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
    with written_whole(path) as temporary:
        try:
            _write(temporary, frames, metadata, options)
        except Exception as error:  # of Pillow or whatever else writes
            if isinstance(error, (MemoryError, FileNotFoundError)) or is_full(error):
                raise
            try:  # without what is beside the pixels, which may be what it stumbles over
                _write(temporary, frames, {}, {} if kind == "tiff" else options)
            except Exception:
                raise ValueError(f"cannot write {path}: {error}") from None
            lost |= metadata.keys()
        if file.enlarged:
            mark(temporary, kind)
    labels = LABELS | {"texts": f"the texts {named(_chunks.keywords(file.texts), 4)}"}
    return [label for name, label in labels.items() if name in lost] + more + losses


# -------------------------------------------------------------------------- what a format can hold


def fit_to(path: str | os.PathLike, file: PictureFile, shape: tuple[int, int]) -> None:
    """Raise what `write_picture_file` would, before there is any work in the pixels.

    `shape` is the height and width to come. An animation is cut to its first frame, with a note,
    if the format holds no more; alpha that hides nothing is left out, if it has no place for it.

    Raises
    ------
    ValueError
        If the format is unknown, has no transparency and the picture has some, or has no room for
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
    """Whether colour of 16 bits a channel can be written; that of TIFF needs a library."""
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
    """Raise a ValueError for transparency that has no place, and for too many pixels a side."""
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
    """The frames as the format can hold them, and what that loses."""
    frames, losses = file.frames, []
    if len(frames) > 1 and kind not in ANIMATED:
        losses.append(f"all of its {len(frames)} frames but the first")
        frames = frames[:1]
    if len(frames) > 1:
        losses += encoding.timing(file, kind)[2]
    dtype = _dtype_for(frames, kind)
    if dtype != frames[0].dtype:
        losses.append(f"depth: {frames[0].dtype} became {dtype}")
        frames = [_converted(frame, dtype) for frame in frames]
    if kind == "gif":
        if file.kind != "gif":
            losses.append("colours beyond 256 a frame")
        if frames[0].ndim == 3 and frames[0].shape[2] in (2, 4):
            if any(((x[..., -1] > 0) & (x[..., -1] < 255)).any() for x in file.frames):
                losses.append("partial transparency")
            frames = [_all_or_nothing(frame) for frame in frames]
    return frames, losses


def _dtype_for(frames: list[np.ndarray], kind: str) -> np.dtype:
    """The type nearest to that of the frames which such a file can hold."""
    given, grey = frames[0].dtype, frames[0].ndim == 2
    deeper = len(frames) == 1 and (grey or _holds_deep(kind))
    holds = [dtype for dtype, (kinds, _) in _DEEP.items() if deeper and kind in kinds]
    if given in holds or given.kind != "f":
        return given if given in holds else np.dtype(np.uint8)
    return max(holds, key=lambda dtype: dtype.itemsize, default=np.dtype(np.uint8))


def _converted(frame: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Other levels of grey for the same ones: 0..1, 0..255 or 0..65535."""
    if dtype.kind == "f":
        return frame.astype(dtype)
    if frame.dtype == np.uint16:
        return ((frame.astype(np.uint32) + 128) // 257).astype(dtype)
    return np.round(np.clip(frame, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def _all_or_nothing(frame: np.ndarray) -> np.ndarray:
    """RGBA whose pixels are either transparent, and black, or not transparent at all."""
    frame = frame[:, :, [0, 0, 0, 1]] if frame.shape[2] == 2 else frame.copy()
    seen = frame[:, :, 3] > 127
    frame[:, :, 3] = 255
    return frame * seen[:, :, None]


# ------------------------------------------------------------------------------------------ encode


def _is_deep(frame: np.ndarray) -> bool:
    """Whether Pillow has no array for it."""
    return frame.ndim == 3 and frame.dtype != np.uint8


def _options(
    file: PictureFile, frames: list[np.ndarray], kind: str, quality: int | None
) -> dict[str, Any]:
    """How these frames are encoded, where that is not as always."""
    if kind == "tiff" and file.compression != 1:
        if _is_deep(frames[0]):
            return {"compression": file.compression, "predictor": file.predictor}
        return encoding.tiff_options(frames[0], file.compression, file.predictor)
    options = encoding.animation_options(file, frames, kind) if len(frames) > 1 else {}
    if kind in ("jpeg", "webp") and quality is not None:
        return options | {"quality": quality}
    if kind == "webp" and not file.lossy:  # 20: of the time that is taken; more gains 0.5%
        return options | {"lossless": True, "exact": True, "quality": 20}
    return options


def _write(
    path: Path, frames: list[np.ndarray], metadata: dict[str, Any], options: dict[str, Any]
) -> None:
    """Pixels and what is beside them: of PNG and TIFF, added to a file of the pixels alone."""
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
        if ratio:  # which Pillow writes as numbers of pixels an inch
            content = content[:_UNIT_OF_JFIF] + b"\0" + content[_UNIT_OF_JFIF + 1 :]
        path.write_bytes(content)
