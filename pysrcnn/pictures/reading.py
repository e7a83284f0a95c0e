"""Reading picture files: pixels and metadata."""

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import check_picture, check_range, is_beyond
from . import _exif, deep
from ._directories import Tiff
from ._limits import Refused, Structure
from ._metadata import read_metadata
from ._picture_file import PictureFile
from .opening import opened, structure_of
from .pixels import (
    BECOMES,
    add_alpha,
    check_planes,
    deep_levels_of,
    levels_of,
    make_room,
    rgba_of,
    scale_clear,
    without_colour,
)

__all__ = [
    "ANIMATED",
    "is_animated",
    "pixels_of",
    "read_picture",
    "read_picture_file",
    "read_profile",
]

ANIMATED = ("gif", "png", "webp")
_FOREIGN = (b"CMYK", b"Lab ", b"GRAY")  # profiles that do not describe RGB
_ON_THEIR_SIDE = (5, 6, 7, 8)  # orientations in which rows are stored as columns
# How to turn a stored picture upright, by EXIF's orientation.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x.swapaxes(0, 1)[::-1],
}


def is_animated(path: str | os.PathLike) -> bool:
    """Return whether a file holds an animation; False if it cannot be read."""
    try:
        found = structure_of(path)
    except (ValueError, OSError):
        return False
    return found.kind in ANIMATED and found.frames > 1


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """Read the first picture of a file, upright and at full depth.

    A warning tells if depth is lost because a library is missing.

    Returns
    -------
    picture : uint8, uint16 or float array (H, W), (H, W, 3) or (H, W, 4)
        Palettes become colours, CMYK becomes RGB, and grey with alpha becomes RGBA.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ValueError, TypeError
        As for `read_picture_file`.
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
    """Read a picture or an animation, with its metadata.

    Parameters
    ----------
    path : str or path
        The file; with `content`, only its name in errors.
    content : bytes, optional
        The bytes, if they do not come from a file.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ValueError
        If the file is empty, truncated or not a picture, claims to be far larger than it is, or
        holds floating point far outside 0..1.
    TypeError
        If it holds integers whose white level is unknown.
    MemoryError
    """
    return _checked(structure_of(path, content), path)


def pixels_of(image: Any) -> np.ndarray:
    """Return the pixels of Pillow's picture, interpreted by its mode.

    Raises
    ------
    ValueError
        If its colours are CMYK or others that are not RGB.
    """
    if BECOMES.get(image.mode) == "RGB":
        raise ValueError(
            f'the picture has {image.mode} colours: convert it to RGB first, picture.convert("RGB")'
        )
    image.load()
    return levels_of(image, _info_of(image, []))


def _checked(found: Structure, path: str | os.PathLike, first: bool = False) -> PictureFile:
    """Read an animation, or its `first` frame, or a picture; raise if it cannot be enlarged."""
    file = PictureFile([], found.kind, notes=list(found.notes))
    try:
        about = _read_by_pillow(found, path, file, first)
    except Refused:
        raise
    except ValueError as error:  # floating point colour, for example, is beyond Pillow
        file = PictureFile([], found.kind)
        about = _read_beyond_pillow(found, path, file, error)
    _read_beside(found, about, file)
    turn = _UPRIGHT.get(about.get("Orientation") or 1, lambda x: x)
    file.frames = [turn(frame) for frame in file.frames]
    for frame in file.frames:
        check_picture(frame, str(path), _exif.dtype_of_tiff(found.content))
        check_range(frame, str(path))
    if is_beyond(file.frames[0]):
        file.notes.append("its values outside 0..1 are clipped")
    return file


def _read_beyond_pillow(
    found: Structure, path: str | os.PathLike, file: PictureFile, error: ValueError
) -> dict[str, Any]:
    """Read by tifffile a file for which Pillow raised `error`; raise that if it is not read."""
    if found.kind != "tiff" or not deep.available():
        raise error
    try:
        pixels = deep.read(found.content)
    except deep.Unread as other:
        # The file is damaged, which Pillow's error says better.
        if not found.whole or (isinstance(other, deep.Failed) and "is damaged" in str(error)):
            raise error from None
        raise ValueError(f"{path} is a TIFF file that cannot be read: {other}") from None
    if pixels is None:
        raise error
    file.frames = [pixels]
    return _exif.beside_pixels(found.content)


def _read_by_pillow(
    found: Structure, path: str | os.PathLike, file: PictureFile, first: bool
) -> dict[str, Any]:
    """Read the frames, as stored, into `file`; return what Pillow says of them."""
    more = f", or {deep.INSTALL}, which reads more" if deep.helps() else ""
    if found.holes:  # at which Pillow reads any bytes
        raise ValueError(
            f"{path} is a TIFF file of which some strips or tiles are not stored: save it with all "
            f"of them{more}"
        )
    with opened(found, path, more) as image:
        moves = found.frames > 1 and found.kind in ANIMATED and not first
        if found.kind == "png":
            scale_clear(image, found, moves)
        about = _info_of(image, file.notes)
        if moves:
            if found.kind == "png" and found.bits == 16:
                file.notes.append("its 16 bits a channel are read as 8")
            start = int(bool(about.get("default_image")))  # one beside the frames, not counted
            _read_frames(image, about, range(start, start + found.frames), file)
            return about
        pixels = _deep_pixels(image, found, about, file.notes)
        if pixels is None:
            check_planes(about, path, more)
            make_room(image)
            pixels = levels_of(image, about)
            if found.kind == "tiff":  # Pillow has turned it, and says so by removing the tag
                about = _info_of(image, [])
        file.frames = [pixels]
        # A palette of greys is grey, unless there is an RGB profile.
        if about["mode"] == "P" and (about.get("icc_profile") or b"")[16:20] != b"RGB ":
            file.frames = file.frames if first else without_colour(file.frames)
        if found.kind == "jpeg" and getattr(image, "n_frames", 1) > 1:  # MPO: of two lenses, ...
            file.notes.append(f"only the first of its {image.n_frames} pictures is taken")
    return about


def _info_of(image: Any, notes: list[str]) -> dict[str, Any]:
    """Return what Pillow says of its picture: mode, info, segments, and EXIF tags by name."""
    from PIL.ExifTags import TAGS

    if image.format == "PNG":  # as getexif would, which would blame damaged pixels on EXIF
        image.load()
    try:
        exif = dict(image.getexif())
    except Exception:  # Pillow raises anything for damage
        exif = {}
        image.info.pop("exif", None)
        notes.append("its EXIF is damaged and left out")
    # The texts of PNG files, whose keywords may be anything, even "dpi", are left out.
    about = {k: v for k, v in image.info.items() if image.format != "PNG" or not isinstance(v, str)}
    # What the EXIF of another format says of the storage of pixels is not about these.
    of_pixels = image.format == "TIFF"
    tags = {
        TAGS[tag]: value
        for tag, value in exif.items()
        if tag in TAGS and (of_pixels or TAGS[tag] == "Orientation")
    }
    return about | {"mode": image.mode, "applist": getattr(image, "applist", [])} | tags


def _read_frames(image: Any, about: dict[str, Any], indices: range, file: PictureFile) -> None:
    """Read the frames of an animation as complete pictures, which Pillow composes."""
    file.durations = []
    shapes = set()
    for k in indices:
        image.seek(k)
        shapes.add(image.size)
        if len(shapes) > 1:  # before its pixels, maybe many, are decoded
            raise ValueError("its frames differ in size")
        file.frames.append(rgba_of(image, about))
        # After decoding, since before it a frame of WebP has no duration.
        file.durations.append(float(image.info.get("duration", 0)))
    if all((frame[:, :, 3] == 255).all() for frame in file.frames):
        file.frames = [frame[:, :, :3] for frame in file.frames]
    if about["mode"] in ("P", "L", "LA", "1", "I", "I;16"):
        file.frames = without_colour(file.frames)
    loop = about.get("loop")
    if file.kind == "gif":  # GIF counts the repetitions after the first time
        file.plays = 1 if loop is None else loop + 1 if loop else 0
    else:
        file.plays = loop or 0


def _deep_pixels(
    image: Any, found: Structure, about: dict[str, Any], notes: list[str]
) -> np.ndarray | None:
    """Return 16-bit colour, or None if it is not; add a note if it has to be read as 8 bits."""
    if found.kind not in ("png", "tiff") or found.bits != 16 or found.shape[2] < 2:
        return None
    if found.kind == "png":
        with opened(found, "") as again:
            pixels = deep_levels_of(image, again)
        clear = about.get("transparency")
        return pixels if clear is None or pixels.shape[2] != 3 else add_alpha(pixels, clear)
    why = ""
    if deep.available():
        try:
            read = deep.read(found.content)
        except deep.Unread as error:
            why = f", as {error}"
        else:
            if read is not None:
                return read
    helps = f": to keep them, {deep.INSTALL}" if deep.helps() and not why else ""
    notes.append(f"its 16 bits a channel are read as 8{why}{helps}")
    return None


def _read_beside(found: Structure, about: dict[str, Any], file: PictureFile) -> None:
    """Read the metadata, turned as the pixels will be."""
    coloured = file.frames[0].ndim == 3 and file.frames[0].shape[2] >= 3
    read_profile(about.get("icc_profile"), about["mode"], coloured, file)
    stored: Any = found.content
    if found.kind == "tiff":
        _note_what_is_left(found, about, file)
    read_metadata(found, about, file)
    if found.kind != "tiff":  # Pillow turns TIFF, and drops its tag
        stored = (file.exif or b"").removeprefix(b"Exif\0\0")
    orientation = _exif.orientation_of(stored)
    if found.kind != "tiff":
        orientation = about.setdefault("Orientation", orientation)
    if orientation in _ON_THEIR_SIDE:
        file.dpi = file.dpi and file.dpi[::-1]
        file.ratio = file.ratio and 1 / file.ratio


def read_profile(profile: bytes | None, mode: str, coloured: bool, file: PictureFile) -> None:
    """Put the profile of pixels of Pillow's mode into `file`, or a note on why it is left out."""
    profile = profile or None
    if profile and profile[36:40] != b"acsp":
        profile = None
        file.notes.append("its colour profile is damaged and left out")
    foreign = profile and coloured and profile[16:20] in _FOREIGN
    if foreign and mode not in BECOMES:
        profile = None
        file.notes.append("its colour profile is not one of RGB, and left out")
    elif foreign or mode in ("CMYK", "LAB"):
        of_it = " without their profile" if foreign else ""
        profile = None
        file.notes.append(f"its {mode} colours became RGB{of_it} and may look different")
    file.icc_profile = profile


def _note_what_is_left(found: Structure, about: dict[str, Any], file: PictureFile) -> None:
    """Add notes on what else a TIFF file holds."""
    if found.frames > 1:
        file.notes.append(f"only the first of its {found.frames} pages is taken")
    if _exif.is_on_map(Tiff(found.content).page):
        file.notes.append("its place on the map, true of the old pixels, is left out")
    shape, samples = file.frames[0].shape, about.get("SamplesPerPixel")
    channels = shape[2] if len(shape) == 3 else 1
    if isinstance(samples, int) and samples > channels and about["mode"] != "CMYK":
        others = f"{samples - channels} of {samples}"
        file.notes.append(f"its channels beside colour and alpha are left out: {others}")
