"""A picture file with all that comes with its pixels: colour profile, EXIF, resolution, frames.

`read_picture` and `write_picture` are for those who want an array. With the others, a file goes in
and a file of the same kind can come out: grey stays grey, transparency and 16 bits stay, and what
a format has no place for is named, so that nothing gets lost in silence.
"""

import dataclasses
import io
import os
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .._files import is_full, written_whole
from ..checks import check_picture, check_range, is_beyond
from . import _beside, _carried, _chunks, _directories, _exif, deep
from ._limits import Refused, Structure
from ._mark import mark
from ._structure import kind_of
from .pixels import (
    ENCODING,
    KINDS,
    OPAQUE,
    array_of,
    check_output,
    check_planes,
    encode,
    opened,
    structure_of,
    usual,
)

__all__ = [
    "CALLED",
    "SUFFIX_OF",
    "PictureFile",
    "fit_to",
    "is_animated",
    "kind_of",
    "pixels_of",
    "read_picture",
    "read_picture_file",
    "write_picture",
    "write_picture_file",
]

SUFFIX_OF = {kind: suffix for suffix, kind in KINDS.items()}  # of the usual ones, the last
_ANIMATED = ("gif", "png", "webp")
# The longest time of a frame, in milliseconds; how often an animation is played at most.
_LIMITS_OF_TIME = {
    "gif": (655_350, 65_536), "png": (65_535_000, 2**31 - 1), "webp": (2**24 - 1, 65_535),
}  # fmt: skip
CALLED = {
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
_UNIT_OF_JFIF = 13  # where a JPEG file that Pillow writes has the unit of its density
_PREDICTOR = 317  # of TIFF
_LONGEST = {"gif": 65535, "jpeg": 65500, "webp": 16383}  # pixels a side

# Pillow's modes as this package reads them; those without an entry as they are.
_READ_AS = {"PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
_READ_AS |= dict.fromkeys(("CMYK", "YCbCr", "LAB", "HSV", "RGBX"), "RGB")
_READ_CLEAR_AS = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}  # with a transparent colour
_FOREIGN = (b"CMYK", b"Lab ", b"GRAY")  # profiles that do not describe RGB

_LYING = (5, 6, 7, 8)  # orientations in which rows are stored as columns
# How a stored picture is turned to be upright, by EXIF's orientation.
_UPRIGHT = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x.swapaxes(0, 1)[::-1],
}


@dataclasses.dataclass
class PictureFile:
    """What a picture file holds.

    Attributes
    ----------
    frames : list of uint8, uint16 or float arrays (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Upright, as they are seen: an animation's frames are whole pictures, all of one shape.
    kind : str
        Of the file that was read: "png", "jpeg", "webp", "tiff", "bmp", "gif", or "".
    icc_profile, exif, xmp, iptc : bytes or None
        As stored; what they say of the old pixels is corrected or left out when they are written.
    dpi : pair of floats or None
        Pixels an inch, along the width and the height.
    ratio : Fraction or None
        Where no DPI is said: how many pixels along the width are as long as one along the height.
    durations : list of floats or None
        How long each frame of an animation is shown, in milliseconds.
    plays : int
        How often an animation is played; 0: without end.
    notes : list of str
        What was lost in reading, a sentence each.
    colours, texts : list of pairs of bytes
        Chunks of a PNG file, kind and content: gAMA, cHRM, sRGB, cICP; tEXt, zTXt, iTXt.
    comment : bytes or None
        Of a JPEG or GIF file.
    lossy : bool
        Whether its pixels were stored with loss, so that more of that is no surprise.
    compression : int
        How a TIFF file's pixels are packed, by its numbers; 1: not at all.
    predictor : bool
        Whether differences between them are.
    enlarged : bool
        Whether it is a result, and its file is to say so (`_mark`).
    """

    frames: list[np.ndarray]
    kind: str = ""
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    durations: list[float] | None = None
    plays: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)
    colours: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    texts: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    comment: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    ratio: Fraction | None = None
    lossy: bool = False
    compression: int = 1
    predictor: bool = False
    enlarged: bool = False


def is_animated(path: str | os.PathLike) -> bool:
    """Whether a file holds an animation; not if it cannot be read."""
    try:
        found = structure_of(path)
    except (ValueError, OSError):
        return False
    return found.kind in _ANIMATED and found.frames > 1


# ------------------------------------------------------------------------------------------- read


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """The first picture of a file, upright, in all its depth.

    Depth that is lost, as it takes more libraries, is said in a warning.

    Returns
    -------
    picture : uint8, uint16 or float array (H, W), (H, W, 3) or (H, W, 4)
        Palettes are colours, inks become RGB, and grey with alpha is RGBA.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ValueError, TypeError
        As of `read_picture_file`.
    MemoryError
    """
    file = _checked(structure_of(path), path, first=True)
    for note in file.notes:
        if "16 bits" in note:
            warnings.warn(f"{path}: {note}", stacklevel=2)
    (picture,) = file.frames
    if picture.ndim == 3 and picture.shape[2] == 2:  # grey and alpha
        picture = picture[:, :, [0, 0, 0, 1]]
    return picture


def read_picture_file(path: str | os.PathLike, content: bytes | None = None) -> PictureFile:
    """Read a picture or an animation with all that comes with it.

    Parameters
    ----------
    path : str or path
        The file; with `content`, only what errors call it.
    content : bytes, optional
        The file's bytes, where they do not come from a file.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ValueError
        If the file is empty, truncated or not a picture, claims to be far larger than it is, or
        holds floating point beyond 0..1.
    TypeError
        If it holds integers whose white is unknown.
    MemoryError
    """
    return _checked(structure_of(path, content), path)


def pixels_of(image) -> np.ndarray:
    """The pixels of a picture of Pillow's, by what its mode says they are.

    Raises
    ------
    ValueError
        If it is of inks or other colours that are not RGB.
    """
    if _READ_AS.get(image.mode) == "RGB":
        raise ValueError(
            f'the picture has {image.mode} colours: convert it to RGB first, picture.convert("RGB")'
        )
    image.load()
    return _pixels(image, _about(image, []))


def _checked(found: Structure, path: str | os.PathLike, first: bool = False) -> PictureFile:
    """A picture, or an animation unless only the `first` frame is wanted, that can be enlarged."""
    try:
        file = _read(found, path, first)
    except Refused:
        raise
    except ValueError as error:  # floating point colour, for example, is beyond Pillow
        file = _read_beyond_pillow(found, path, error)
    for frame in file.frames:
        check_picture(frame, str(path), _exif.dtype_of_tiff(found.content))
        check_range(frame, str(path))
    if is_beyond(file.frames[0]):
        file.notes.append("its values outside 0..1 are clipped")
    return file


def _read_beyond_pillow(
    found: Structure, path: str | os.PathLike, error: ValueError
) -> PictureFile:
    """What tifffile reads of a file of which Pillow says `error`, or that error."""
    if found.kind != "tiff" or not deep.available("tiff"):
        raise error
    try:
        pixels = deep.read(found.content, "tiff")
    except deep.Unread as other:
        # Pillow saw damage when it decoded it, which is better said by it.
        if not found.whole or (isinstance(other, deep.Failed) and "is damaged" in str(error)):
            raise error from None
        raise ValueError(f"{path} is a TIFF file that cannot be read: {other}") from None
    if pixels is None:
        raise error
    file, about = PictureFile([pixels], "tiff"), _exif.beside_pixels(found.content)
    _turn_upright(file, about)
    _read_metadata(found.content, about, file)
    _note_pages(found, file)
    return file


def _read(found: Structure, path: str | os.PathLike, first: bool) -> PictureFile:
    kind, content = found.kind, found.content
    result = PictureFile([], kind, notes=list(found.notes))
    more = f", or {deep.INSTALL}, which reads more" if deep.helps("tiff") else ""
    with opened(found, path, more) as image:
        about = _about(image, result.notes)
        if found.frames > 1 and kind in _ANIMATED and not first:
            start = int(bool(about.get("default_image")))
            _read_frames(image, about, range(start, found.frames), result)
        else:
            pixels = _deep_pixels(found, about, result.notes)
            if pixels is None:
                check_planes(about, path, more)
                _make_room(image)
                pixels = _pixels(image, about)
                if kind == "tiff":  # Pillow has turned it, and says so by removing the tag
                    about = _about(image, [])
            palette_of_grey = about["mode"] == "P" and not first
            if palette_of_grey and (about.get("icc_profile") or b"")[16:20] != b"RGB ":
                (pixels,) = _without_colour([pixels])
            result.frames = [pixels]
            _note_pages(found, result, getattr(image, "n_frames", 1) if kind == "jpeg" else 1)
    _read_metadata(content, about, result)
    _turn_upright(result, about)
    return result


def _note_pages(found: Structure, result: PictureFile, pictures: int = 1) -> None:
    """Say that there are more. MPO, of two lenses or with a map of brightness, begins as JPEG."""
    count = found.frames if found.kind == "tiff" else pictures
    called = {"tiff": "pages", "jpeg": "pictures"}.get(found.kind)
    if count > 1 and called:
        result.notes.append(f"only the first of its {count} {called} is taken")


def _make_room(image) -> None:
    """Make what the pixels of a TIFF file go into, as Pillow would if it had no limit for them."""
    from PIL import Image

    if image.format == "TIFF" and image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
        image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size)).im


def _about(image, notes: list[str]) -> dict:
    """What Pillow says of its picture: its mode, what it calls info, EXIF's tags by their names."""
    from PIL.ExifTags import TAGS

    if image.format == "PNG":  # of which getexif would, and what is wrong with pixels is not EXIF's
        image.load()
    try:
        exif = dict(image.getexif())
    except Exception:  # Pillow raises anything for what is damaged
        exif = {}
        image.info.pop("exif", None)
        notes.append("its EXIF is damaged and left out")
    # The texts of PNG files, which are called anything, even "dpi", are not among it.
    about = {k: v for k, v in image.info.items() if image.format != "PNG" or not isinstance(v, str)}
    tags = {TAGS[tag]: value for tag, value in exif.items() if tag in TAGS}
    return about | {"mode": image.mode} | tags


def _pixels(image, about: dict) -> np.ndarray:
    """Of one of Pillow's pictures, with black at 0 and a transparent colour as alpha."""
    mode, clear = about["mode"], about.get("transparency")
    other = _READ_CLEAR_AS.get(mode) if clear is not None else None
    other = other or _READ_AS.get(mode)
    image.load()
    if other is None and mode == "P":
        other = image.palette.mode
    if mode == "I" and image.format == "PNG":  # as which older versions of Pillow hold I;16
        other = "I;16"
    pixels = usual(array_of(image.convert(other) if other else image), about)
    return _with_alpha(pixels, clear) if clear is not None and mode.startswith("I") else pixels


def _turn_upright(result: PictureFile, about: dict) -> None:
    turn = _UPRIGHT.get(about.get("Orientation"), lambda x: x)
    result.frames = [turn(frame) for frame in result.frames]


def _read_frames(image, about: dict, indices: range, result: PictureFile) -> None:
    """The frames of an animation, as composed by Pillow from what each changes."""
    result.durations = []
    shapes = set()
    for k in indices:
        image.seek(k)
        shapes.add(image.size)
        if len(shapes) > 1:  # before its pixels are made, which may be many
            raise ValueError("its frames differ in size")
        result.frames.append(array_of(image.convert("RGBA")))
        # After reading: in WebP, only a frame that was decoded has a duration.
        result.durations.append(float(image.info.get("duration", 0)))
    if all((frame[:, :, 3] == 255).all() for frame in result.frames):
        result.frames = [frame[:, :, :3] for frame in result.frames]
    if about["mode"] in ("P", "L", "LA", "1"):
        result.frames = _without_colour(result.frames)
    loop = about.get("loop")
    if result.kind == "gif":  # which counts the repetitions after the first time
        result.plays = 1 if loop is None else loop + 1 if loop else 0
    else:
        result.plays = loop or 0


def _without_colour(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Grey, and grey with alpha, instead of RGB and RGBA, if there is nothing else in any frame."""
    rgb = [frame for frame in frames if frame.ndim == 3 and frame.shape[2] >= 3]
    if len(rgb) < len(frames) or not all(
        np.array_equal(x[..., 0], x[..., 1]) and np.array_equal(x[..., 1], x[..., 2]) for x in rgb
    ):
        return frames
    return [x[:, :, 0] if x.shape[2] == 3 else x[:, :, [0, 3]] for x in rgb]


def _deep_pixels(found: Structure, about: dict, notes: list[str]) -> np.ndarray | None:
    """Colour of 16 bits a channel, if it is that; a note, if it has to be read as 8."""
    kind, channels = found.kind, found.shape[2]
    if kind not in ("png", "tiff") or found.bits != 16 or channels < 2:
        return None
    pixels, why = None, ""
    if deep.available(kind):
        try:
            pixels = deep.read(found.content, kind)
        except deep.Unread as error:
            why = f", as {error}"
    if pixels is None:
        # Pillow compares its pixels of 8 bits with a transparent colour of 16.
        lost = " without their transparent colour" if about.pop("transparency", None) else ""
        helps = f": to keep them, {deep.INSTALL}" if deep.helps(kind) and not why else ""
        notes.append(f"its 16 bits a channel are read as 8{lost}{why}{helps}")
    elif pixels.shape[2:] == (3,) and about.get("transparency") is not None:
        pixels = _with_alpha(pixels, about["transparency"])
    return pixels


def _with_alpha(pixels: np.ndarray, clear: int | tuple) -> np.ndarray:
    """Transparent where the pixels have the colour `clear`."""
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    seen = (pixels != np.asarray(clear, pixels.dtype)).any(axis=2, keepdims=True)
    return np.concatenate([pixels, seen * np.asarray(np.iinfo(pixels.dtype).max, pixels.dtype)], 2)


def _read_metadata(content: bytes, about: dict, result: PictureFile) -> None:
    profile = about.get("icc_profile") or None
    if profile and profile[36:40] != b"acsp":
        profile = None
        result.notes.append("its colour profile is damaged and left out")
    coloured = result.frames[0].ndim == 3 and result.frames[0].shape[2] >= 3
    foreign = profile and coloured and profile[16:20] in _FOREIGN
    if foreign and about["mode"] not in _READ_AS:
        profile = None
        result.notes.append("its colour profile is not one of RGB, and left out")
    elif foreign or about["mode"] in ("CMYK", "LAB"):
        of_it = " without their profile" if foreign else ""
        profile = None
        result.notes.append(f"its {about['mode']} colours became RGB{of_it} and may look different")
    result.icc_profile = profile
    if result.kind == "tiff":
        if _exif.is_on_map(_exif.tags_of(content)):
            result.notes.append("its place on the map, true of the old pixels, is left out")
        shape, samples = result.frames[0].shape, about.get("SamplesPerPixel")
        channels = shape[2] if len(shape) == 3 else 1
        if isinstance(samples, int) and samples > channels and about["mode"] != "CMYK":
            others = f"{samples - channels} of {samples}"
            result.notes.append(f"its channels beside colour and alpha are left out: {others}")
    beside = _beside.of_file(content, result.kind, about)
    result.notes += beside.pop("notes")
    for name, value in beside.items():
        setattr(result, name, value)
    stored = content if result.kind == "tiff" else (result.exif or b"").removeprefix(b"Exif\0\0")
    orientation = _exif.numbers_of(stored, _exif.ORIENTATION).get(_exif.ORIENTATION)
    if result.kind != "tiff":  # which Pillow may have turned
        orientation = about.setdefault("Orientation", orientation)
    if orientation in _LYING:
        result.dpi = result.dpi and result.dpi[::-1]
        result.ratio = result.ratio and 1 / result.ratio
    if result.kind == "png":
        result.colours, result.texts = _chunks.of_png(content)
        if sum(len(text) for _, text in result.texts) > _chunks.MOST:
            result.texts = []
            result.notes.append("its texts, of several megabytes, are left out")


# ------------------------------------------------------------------------------------------ write


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
    if KINDS.get(path.suffix.lower()) in OPAQUE:
        file.frames = [_without_idle_alpha(frame) for frame in file.frames]
    _check_fit(path, file, shape)
    count = len(file.frames)
    if count > 1 and KINDS[path.suffix.lower()] not in _ANIMATED:
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
    beside, lost, more = _carried.carried(file, kind, frames[0].shape)
    options = _options(file, kind, quality)
    with written_whole(path) as temporary:
        try:
            lost |= _write(temporary, frames, kind, beside, options, file)
        except Exception as error:  # of Pillow or whatever else writes
            if isinstance(error, (MemoryError, FileNotFoundError)) or is_full(error):
                raise
            try:  # without what is beside the pixels, which may be what it stumbles over
                plain = {"compression": 8} if "compression" in options else {}
                lost |= _write(temporary, frames, kind, {}, options | plain, file)
            except Exception:
                raise ValueError(f"cannot write {path}: {error}") from None
            lost |= beside.keys()
        if file.enlarged:
            mark(temporary, kind)
    called = CALLED | {"texts": f"the texts {_beside.named(_chunks.keywords(file.texts), 4)}"}
    return [called[name] for name in called if name in lost] + more + losses


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
        check_output(path, picture)
    check_picture(picture)
    write_picture_file(path, PictureFile([picture]))


def _options(file: PictureFile, kind: str, quality: int | None) -> dict[str, Any]:
    """How the pixels are encoded, where that is not as always."""
    if kind in ("jpeg", "webp") and quality is not None:
        return {"quality": quality}
    if kind == "webp" and not file.lossy:  # 20: of the time that is taken; more gains 0.5%
        return {"lossless": True, "exact": True, "quality": 20}
    if kind == "tiff" and file.compression != 1:
        return {"compression": file.compression, "predictor": file.predictor}
    return {}


def _check_fit(path: Path, file: PictureFile, shape: tuple[int, int]) -> None:
    check_output(path, np.zeros((1, 1, *file.frames[0].shape[2:]), np.uint8))
    kind, (height, width) = KINDS[path.suffix.lower()], shape
    most = _LONGEST.get(kind)
    if most and max(shape) > most:
        raise ValueError(
            f"cannot write {path}: {width} x {height} pixels are more than the {most} a side that "
            f"fit into {kind.upper()}; choose .png"
        )


def _is_deep(frame: np.ndarray) -> bool:
    """Whether Pillow has no array for it."""
    return frame.ndim == 3 and frame.dtype != np.uint8


def _write(
    path: Path, frames: list, kind: str, beside: dict, options: dict, file: PictureFile
) -> set[str]:
    """Pixels and what is beside them; by name, what of that the libraries cannot write."""
    beside, is_deep = dict(beside), _is_deep(frames[0])
    if kind == "tiff":
        tags, order = _carried.as_tags(beside)
        if is_deep:
            deep.write_tiff(path, frames[0], **options)
        else:
            _encode_tiff(path, frames[0], **options)
        if tags:
            _directories.add(path, tags, order)
        return set()
    chunks = _carried.as_chunks(beside) if kind == "png" else []
    if is_deep:
        return deep.write_png(path, frames[0], chunks=chunks, **beside)
    ratio = beside.pop("ratio", None)
    if kind == "jpeg":
        beside["extra"] = _carried.as_segments(beside)
        if ratio:
            beside["dpi"] = ratio.as_integer_ratio()
    elif chunks:
        from PIL.PngImagePlugin import PngInfo

        beside["pnginfo"] = PngInfo()
        for chunk in chunks:
            beside["pnginfo"].add(*chunk)
    if len(frames) == 1:
        encode(path, frames[0], **options, **beside)
    else:
        _encode_animation(path, frames, kind, options | beside, file)
    if ratio and kind == "jpeg":
        with open(path, "r+b") as content:
            content.seek(_UNIT_OF_JFIF)
            content.write(b"\0")
    elif ratio:
        path.write_bytes(_chunks.joined(path.read_bytes(), [_chunks.of_ratio(ratio)]))
    return set()


def _encode_tiff(path: Path, frame: np.ndarray, compression: int = 1, predictor: bool = False):
    if compression == 1:
        encode(path, frame)
        return
    packing, _ = _beside.COMPRESSIONS[compression]
    info = {"tiffinfo": {_PREDICTOR: 2}} if predictor and frame.dtype.kind == "u" else {}
    encode(path, frame, compression=packing, **info)


def _encode_animation(path: Path, frames: list, kind: str, options: dict, file: PictureFile):
    import imageio.v3 as imageio

    suffix = path.suffix.lower()
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
    out = imageio.imopen(encoded, "w", plugin="pillow", extension=suffix)
    try:
        for frame in frames:
            out.write(frame, is_batch=False, **options)
        out.close()
    finally:
        out.images_to_write.clear()  # which it would try to write again when it is collected
        out.close()
    path.write_bytes(encoded.getbuffer())


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


def _fitted(file: PictureFile, kind: str) -> tuple[list[np.ndarray], list[str]]:
    """The frames as the format can hold them, and what that loses."""
    frames, losses = file.frames, []
    if len(frames) > 1 and kind not in _ANIMATED:
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
    holds = {np.dtype(np.uint8)}
    if len(frames) == 1 and kind in ("png", "tiff") and (grey or deep.available(kind)):
        holds.add(np.dtype(np.uint16))
        if kind == "tiff":
            holds.add(np.dtype(np.float32))
    if given in holds:
        return given
    order = (np.float32, np.uint16, np.uint8) if given.kind == "f" else (np.uint8,)
    return next(np.dtype(t) for t in order if np.dtype(t) in holds)


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
