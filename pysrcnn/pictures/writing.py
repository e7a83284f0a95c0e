"""Picture files written, whole or not at all, with what goes along with their pixels."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from .._files import is_full, written_whole
from ..checks import check_picture
from . import _carried, _chunks, _directories, deep
from ._formats import KINDS, SUFFIXES
from ._mark import mark
from ._metadata import COMPRESSIONS, named
from ._picture_file import PictureFile
from .reading import ANIMATED

__all__ = [
    "ENCODING",
    "LABELS",
    "SUFFIX_OF",
    "encode",
    "fit_to",
    "write_picture",
    "write_picture_file",
]

SUFFIX_OF = {kind: suffix for suffix, kind in KINDS.items()}  # of the usual ones, the last
# How Pillow writes each format. zlib's level 3 takes a third of the time of 6, for photographs
# some 7% larger.
ENCODING: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 3},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"quality": 95},
    "bmp": {"dpi": (0, 0)},  # none said, of which Pillow would make 96
}
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
    "grey": "grey as such (it is RGB of equal levels)",
}
_DEEP: dict[Any, tuple[tuple[str, ...], str]] = {  # what else than uint8 is grey in which files
    np.dtype(np.uint16): (("png", "tiff"), ".png or .tif"),
    np.dtype(np.float32): (("tiff",), ".tif or .tiff"),
}
_OPAQUE = ("bmp", "jpeg")  # have no alpha
# The longest time of a frame, in milliseconds; how often an animation is played at most.
_LIMITS_OF_TIME = {
    "gif": (655_350, 65_536), "png": (65_535_000, 2**31 - 1), "webp": (2**24 - 1, 65_535),
}  # fmt: skip
_LONGEST = {"gif": 65535, "jpeg": 65500, "webp": 16383}  # pixels a side
_UNIT_OF_JFIF = 13  # where a JPEG file that Pillow writes has the unit of its density
_PREDICTOR = 317  # of TIFF


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
        _check_output(path, picture)
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
    if kind == "png" and _is_deep(frames[0]) and frames[0].shape[2] == 2:
        lost.add("grey")  # which OpenCV does not write beside alpha
    options = _options(file, kind, quality)
    with written_whole(path) as temporary:
        try:
            _write(temporary, frames, kind, metadata, options, file)
        except Exception as error:  # of Pillow or whatever else writes
            if isinstance(error, (MemoryError, FileNotFoundError)) or is_full(error):
                raise
            try:  # without what is beside the pixels, which may be what it stumbles over
                plain = {"compression": 8} if "compression" in options else {}
                _write(temporary, frames, kind, {}, options | plain, file)
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


def _check_fit(path: Path, file: PictureFile, shape: tuple[int, ...]) -> None:
    _check_output(path, np.zeros((1, 1, *file.frames[0].shape[2:]), np.uint8))
    kind, (height, width) = KINDS[path.suffix.lower()], shape
    most = _LONGEST.get(kind)
    if most and max(shape) > most:
        raise ValueError(
            f"cannot write {path}: {width} x {height} pixels are more than the {most} a side that "
            f"fit into {kind.upper()}; choose .png"
        )


def _check_output(path: Path, picture: np.ndarray) -> None:
    """Raise the ValueError of `write_picture` for a picture of this dtype and these channels."""
    problem = _misfit(path.suffix.lower(), picture)
    if problem:
        raise ValueError(f"cannot write {path}: {problem}")


def _misfit(suffix: str, picture: np.ndarray) -> str | None:
    """What keeps a picture from being stored without loss in files of a suffix, if anything."""
    if suffix not in SUFFIXES:
        return f"the name must end in one of {', '.join(sorted(SUFFIXES))}"
    kind = KINDS[suffix]
    kinds, others = _DEEP.get(picture.dtype, ((), ""))
    is_grey = picture.ndim == 2
    if picture.dtype != np.uint8 and not (kind in kinds and (is_grey or deep.available(kind))):
        advice = f", or write a {others} file" if is_grey and others else ""
        what = "grey" if is_grey else "colour"
        return f"{suffix} takes no {what} of {picture.dtype}: convert it to uint8 first{advice}"
    if not is_grey and picture.shape[2] in (2, 4) and kind in _OPAQUE:
        return f"{kind.upper()} has no transparency; choose .png"
    return None


def _fitted(file: PictureFile, kind: str) -> tuple[list[np.ndarray], list[str]]:
    """The frames as the format can hold them, and what that loses."""
    frames, losses = file.frames, []
    if len(frames) > 1 and kind not in ANIMATED:
        losses.append(f"all of its {len(frames)} frames but the first")
        frames = frames[:1]
    if len(frames) > 1:
        losses += _timing(file, kind)[2]
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
    deeper = len(frames) == 1 and (grey or deep.available(kind))
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


def _timing(file: PictureFile, kind: str) -> tuple[list[float], int, list[str]]:
    """How long frames are shown and how often all are, as the format can hold it; what differs."""
    longest, most = _LIMITS_OF_TIME[kind]
    durations = file.durations or [0.0] * len(file.frames)
    plays, losses = file.plays, []
    fitting = [d if 0 <= d <= longest else longest if d > longest else 0.0 for d in durations]
    if fitting != durations:  # nor are they, where one is NaN
        losses.append(f"times of frames that are not from 0 to {longest / 1000:g} s")
    if not 0 <= plays <= most:
        losses.append(f"that it is played {plays} times (it is played without end)")
        plays = 0
    return fitting, plays, losses


# ------------------------------------------------------------------------------------------ encode


def _options(file: PictureFile, kind: str, quality: int | None) -> dict[str, Any]:
    """How the pixels are encoded, where that is not as always."""
    if kind in ("jpeg", "webp") and quality is not None:
        return {"quality": quality}
    if kind == "webp" and not file.lossy:  # 20: of the time that is taken; more gains 0.5%
        return {"lossless": True, "exact": True, "quality": 20}
    if kind == "tiff" and file.compression != 1:
        return {"compression": file.compression, "predictor": file.predictor}
    return {}


def _is_deep(frame: np.ndarray) -> bool:
    """Whether Pillow has no array for it."""
    return frame.ndim == 3 and frame.dtype != np.uint8


def _write(
    path: Path,
    frames: list[np.ndarray],
    kind: str,
    metadata: dict[str, Any],
    options: dict[str, Any],
    file: PictureFile,
) -> None:
    """Pixels and what is beside them: of PNG and TIFF, added to a file of the pixels alone."""
    metadata = dict(metadata)
    if kind == "tiff":
        writer = deep.write_tiff if _is_deep(frames[0]) else _encode_tiff
        writer(path, frames[0], **options)
        tags, order = _carried.as_tags(metadata)
        if tags:
            _directories.add(path, tags, order)
        return
    chunks = _chunks.as_chunks(metadata) if kind == "png" else []
    ratio = metadata.pop("ratio", None) if kind == "jpeg" else None
    if kind == "jpeg":
        options = options | {"extra": _carried.as_segments(metadata)}
        metadata |= {"dpi": ratio.as_integer_ratio()} if ratio else {}
    if kind != "png":
        options = options | metadata
    if _is_deep(frames[0]):
        path.write_bytes(deep.png_of(frames[0]))
    elif len(frames) == 1:
        encode(path, frames[0], **options)
    else:
        path.write_bytes(_animation(path.suffix.lower(), frames, kind, options, file))
    if chunks:
        path.write_bytes(_chunks.with_chunks(path.read_bytes(), chunks))
    if ratio:  # which Pillow writes as a number of pixels an inch
        with open(path, "r+b") as content:
            content.seek(_UNIT_OF_JFIF)
            content.write(b"\0")


class _File(io.BufferedWriter):
    """A file without a number.

    To a file with one, Pillow writes by itself, and takes no notice if the disk is full and only a
    part is written.
    """

    def fileno(self) -> int:
        raise io.UnsupportedOperation


def encode(path: Path, picture: np.ndarray, **options: Any) -> None:
    """Write a picture by Pillow in the format that the suffix says, as `ENCODING` has it."""
    import imageio.v3 as imageio

    suffix = path.suffix.lower()
    options = ENCODING.get(KINDS[suffix], {}) | options
    with _File(io.FileIO(path, "w")) as file:
        imageio.imwrite(file, picture, plugin="pillow", extension=suffix, **options)


def _encode_tiff(
    path: Path, frame: np.ndarray, compression: int = 1, predictor: bool = False
) -> None:
    options: dict[str, Any] = {}
    if compression != 1:
        options["compression"], _ = COMPRESSIONS[compression]
        if predictor and frame.dtype.kind == "u":
            options["tiffinfo"] = {_PREDICTOR: 2}
    encode(path, frame, **options)


def _animation(
    suffix: str,
    frames: list[np.ndarray],
    kind: str,
    options: dict[str, Any],
    file: PictureFile,
) -> memoryview:
    import imageio.v3 as imageio

    durations, plays, _ = _timing(file, kind)
    options = ENCODING.get(kind, {}) | options | {"duration": durations, "loop": plays}
    if kind == "gif":
        # In hundredths of a second, rounded so that the whole keeps its length.
        ends = np.round(np.cumsum(durations) / 10).astype(int) * 10
        options["duration"] = [int(d) for d in np.diff(ends, prepend=0)]
        if plays:
            options["loop"] = plays - 1
        if plays == 1:
            del options["loop"]
        if frames[0].shape[2:] == (4,):  # what is transparent must not show the frame before
            options["disposal"] = 2
    encoded = io.BytesIO()  # which is never full
    out: Any = imageio.imopen(encoded, "w", plugin="pillow", extension=suffix)
    try:
        for frame in frames:
            out.write(frame, is_batch=False, **options)
        out.close()
    finally:
        out.images_to_write.clear()  # which it would try to write again when it is collected
        out.close()
    return encoded.getbuffer()
