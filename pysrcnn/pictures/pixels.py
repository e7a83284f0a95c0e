"""Picture files: read, write, list; and what is wrong with one, in a sentence."""

import contextlib
import ctypes
import io
import logging
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .._files import is_full, written_whole
from ..checks import check_picture
from . import _exif
from ._limits import claims_too_much

__all__ = [
    "ENCODING",
    "OPAQUE",
    "READ_AS",
    "SUFFIXES",
    "Refused",
    "check_claim",
    "check_output",
    "check_planes",
    "content_of",
    "dtype_held",
    "encode",
    "list_pictures",
    "opened",
    "quiet_readers",
    "read_picture",
    "usual",
    "write_picture",
]

SUFFIXES = {".apng", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
# Pillow's modes as this package reads them; those without an entry as they are.
READ_AS = {"PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
READ_AS |= dict.fromkeys(("CMYK", "YCbCr", "LAB", "HSV", "RGBX"), "RGB")
_DEEP = (".png", ".tif", ".tiff", ".apng")  # can hold 16-bit grey
_FLOATING = (".tif", ".tiff")  # can hold 32-bit floating point grey
OPAQUE = (".bmp", ".jpeg", ".jpg")  # have no alpha
_APART = 2  # of TIFF's PlanarConfiguration
_WEB = ("http:", "https:")
_RAW = {
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw",
}  # fmt: skip
_NOT_READ = (  # how files begin that people take for pictures, whatever their suffix
    (rb"(?s).{4}ftyp(hei|hev|mif1|msf1)", "a HEIC picture", "convert it to PNG or JPEG first"),
    (rb"(?s).{4}ftypavi", "an AVIF picture", "convert it to PNG or JPEG first"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture", "convert it to PNG or JPEG first"),
    (rb"(?s).{4}ftyp", "a video", "take its frames out as PNG files first"),
    (rb"%PDF", "a PDF document", "export the page as PNG first"),
    (rb"(?i)\W*<(!doctype )?html", "a web page", "download the picture that it shows"),
    (rb"(?si)\W*<(svg|[?!].{0,2000}?<svg)", "an SVG drawing", "export it as PNG first"),
)
# How Pillow writes each format. zlib's level 3 takes a third of the time of 6, for photographs
# some 7% larger.
ENCODING = {suffix: {"compress_level": 3} for suffix in (".png", ".apng")}
ENCODING |= {suffix: {"quality": 95, "subsampling": 0} for suffix in (".jpg", ".jpeg")}
ENCODING |= {".webp": {"quality": 95}}
ENCODING |= {".bmp": {"dpi": (0, 0)}}  # none said, of which Pillow would make 96


_QUIET = logging.NullHandler()


class Refused(ValueError):
    """A file that is not read, with the whole sentence that says why."""


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """The first picture of a file.

    Returns
    -------
    picture : uint8, uint16 or float array (H, W), (H, W, 3) or (H, W, 4)

    Raises
    ------
    FileNotFoundError, IsADirectoryError
    ValueError
        If the file is empty, truncated or not a picture.
    """
    content = _exif.from_full_size(content_of(path))
    with opened(content, path) as file:
        about = file.metadata(index=0)
        check_planes(about, path)
        mode = about.get("mode")
        clear = mode in ("P", "L", "RGB") and "transparency" in about
        # Upright, as EXIF says.
        picture = file.read(index=0, mode="RGBA" if clear else READ_AS.get(mode), rotate=True)
    picture = usual(picture, about)
    if picture.ndim == 3 and picture.shape[2] == 2:  # grey and alpha
        picture = picture[:, :, [0, 0, 0, 1]]
    check_picture(picture, str(path), dtype_held(content))
    return picture


def content_of(path: str | os.PathLike) -> bytes:
    """The bytes of a picture file.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ValueError
        If the file is empty, a pipe or the like, or RAW by its name.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give a picture file")
    if not path.exists():
        advice = "download it first" if path.parts[0] in _WEB else "check the name"
        raise FileNotFoundError(f"no file {path}: {advice}")
    if not path.is_file():  # a pipe, from which reading may wait for ever
        raise ValueError(f"{path} is not a file: give a picture file, or - for standard input")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PermissionError(f"cannot read {path}: {error.strerror}") from None
    if path.suffix.lower() in _RAW:  # of some, Pillow would read the small preview
        raise ValueError(
            f"{path} is a camera's RAW file, which is not read: develop it to TIFF, PNG or JPEG "
            f"first"
        )
    if not content:
        raise ValueError(f"{path} is empty: give a picture file")
    return content


@contextlib.contextmanager
def opened(content: bytes, name: str | os.PathLike, more: str = "") -> Iterator:
    """imageio's file object for these bytes; whatever goes wrong in the block, in a sentence.

    `more` is what else may help for TIFF files that Pillow does not read.

    Raises
    ------
    ValueError
        If the bytes are truncated, damaged or not those of a picture.
    Refused
        If they are few, and said to be a large picture.
    MemoryError
    """
    import imageio.v3 as imageio  # not at the top: `import pysrcnn` stays quick

    try:
        with warnings.catch_warnings():  # of damage that Pillow then raises for, or repairs
            warnings.simplefilter("ignore")
            with imageio.imopen(content, "r", plugin="pillow") as file:
                first = file.properties(index=0)
                check_claim(first.shape, first.dtype, len(content), str(name))
                yield file
    except Refused:
        raise
    except MemoryError:
        raise MemoryError(f"{name} takes more memory than there is: give parts of it") from None
    except Exception as error:  # Pillow raises nearly anything for a damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "decompression bomb" in f"{error} {error.__cause__} {error.__context__}":
            raise Refused(
                f"{name} claims more pixels than are read, 179 million: cut it into parts first"
            ) from None
        for beginning, kind, advice in _NOT_READ:
            if re.match(beginning, content):
                raise ValueError(f"{name} is {kind}, which is not read: {advice}") from None
        if "truncated" in reason.lower():
            raise ValueError(
                f"{name} is damaged: it ends too early, so copy or download it again"
            ) from None
        held = dtype_held(content) if "can not" in reason else None
        if held:
            raise ValueError(
                f"{name} is damaged, or a TIFF file of {held} in a form that is not "
                f"read: save it with 8 or 16 bits a channel{more}"
            ) from None
        if reason.startswith("decoder error"):  # which has a number
            reason = "its pixels cannot be decoded"
        if len(reason) > 100 or any(w in reason for w in ("cannot identify", "can not", "unknown")):
            reason = "its format was not recognised; give a PNG, JPEG, WebP, TIFF, BMP or GIF file"
        raise ValueError(f"{name} is damaged or not a picture: {reason}") from None


def dtype_held(content: bytes) -> str | None:
    """The dtype of a TIFF file, as the file says; None for other files, and where it does not."""
    return _exif.dtype_of_tiff(content) if content.startswith((b"II", b"MM")) else None


def quiet_readers() -> None:
    """Keep what libraries say of damaged files off standard error: our sentence says it once."""
    from PIL import Image

    warnings.filterwarnings("ignore", module=r"PIL\.")
    for library in ("PIL", "tifffile"):
        logging.getLogger(library).addHandler(_QUIET)
    with contextlib.suppress(AttributeError, OSError):  # where libtiff is a part of Pillow
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


def check_planes(about: Mapping, name: str | os.PathLike, more: str = "") -> None:
    """Raise `Refused` for a TIFF file of 16 bits whose channels are apart: Pillow mixes them up."""
    bits = about.get("BitsPerSample")
    if about.get("PlanarConfiguration") == _APART and isinstance(bits, tuple) and max(bits) > 8:
        raise Refused(
            f"{name} holds {max(bits)} bits a channel with each channel apart (planar), which is "
            f"not read: save it with the channels together{more}"
        )


def usual(picture: np.ndarray, about: Mapping) -> np.ndarray:
    """The array that Pillow read, with black at 0, and as uint8 or uint16 if it fits.

    `about` is imageio's metadata.
    """
    if picture.dtype == bool:  # black and white
        picture = picture.astype(np.uint8) * 255
    if picture.dtype == np.int32 and picture.ndim == 2 and 0 <= picture.min():
        if picture.max() <= 65535:  # how Pillow holds some 16-bit greys
            picture = picture.astype(np.uint16)
    if about.get("BitsPerSample") == 12 and picture.dtype == np.uint16:  # of a TIFF file
        picture = ((picture.astype(np.uint32) * 65535 + 2047) // 4095).astype(np.uint16)
    # White may be 0 in TIFF files, which Pillow minds in those of 8 bits and fewer.
    if about.get("PhotometricInterpretation") == 0 and picture.dtype != np.uint8:
        picture = (1 if picture.dtype.kind == "f" else 65535) - picture
    return picture.astype(picture.dtype.newbyteorder("="), copy=False)  # TIFF has either order


def check_claim(
    shape: tuple[int, ...], dtype: np.dtype, size: int, name: str, frames: int = 1
) -> None:
    """Raise `Refused` if a file of `size` bytes can hardly hold what it claims to.

    Parameters
    ----------
    shape : tuple of ints
        (H, W) or (H, W, channels), of one of the frames.
    dtype : dtype
        bool: black and white, of which twice as much is read, since it packs better.
    """
    pixels = frames * math.prod(shape) * np.dtype(dtype).itemsize
    if np.dtype(dtype).kind == "b":
        pixels //= 2
    if claims_too_much(pixels, size, frames):
        times = f"{frames:,} times " if frames > 1 else ""
        advice = "give its frames one by one" if frames > 1 else "save it without compression"
        raise Refused(
            f"{name} claims to hold {times}{shape[1]:,} x {shape[0]:,} pixels in {size:,} bytes, "
            f"which only damaged or empty pictures do: if it is as it should be, {advice}"
        )


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Write a picture, whole or not at all; the suffix says the format.

    uint8 goes into every format; 16-bit grey into PNG and TIFF, float32 grey into TIFF.

    Raises
    ------
    ValueError
        If the format is unknown or cannot hold such a picture.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    check_output(path, picture)
    with written_whole(path) as temporary:
        try:
            encode(temporary, picture)
        except Exception as error:
            if is_full(error):
                raise
            raise ValueError(f"cannot write {path}: {error}") from None


class _File(io.BufferedWriter):
    """A file without a number.

    To a file with one, Pillow writes by itself, and takes no notice if the disk is full and only a
    part is written.
    """

    def fileno(self) -> int:
        raise io.UnsupportedOperation


def encode(path: Path, picture: np.ndarray, **beside) -> None:
    """Write a picture by Pillow in the format that the suffix says, as `ENCODING` has it."""
    import imageio.v3 as imageio

    suffix = path.suffix.lower()
    options = ENCODING.get(suffix, {}) | beside
    with _File(io.FileIO(path, "w")) as file:
        imageio.imwrite(file, picture, plugin="pillow", extension=suffix, **options)


def check_output(path: Path, picture: np.ndarray) -> None:
    """Raise the ValueError of `write_picture` for a picture of this dtype and these channels."""
    problem = _misfit(path.suffix.lower(), picture)
    if problem:
        raise ValueError(f"cannot write {path}: {problem}")


def _misfit(suffix: str, picture: np.ndarray) -> str | None:
    """What keeps a picture from being stored without loss in files of a suffix, if anything."""
    if suffix not in SUFFIXES:
        return f"the name must end in one of {', '.join(sorted(SUFFIXES))}"
    deep = {np.dtype(np.uint16): _DEEP, np.dtype(np.float32): _FLOATING}.get(picture.dtype, ())
    if picture.dtype != np.uint8 and (picture.ndim == 3 or suffix not in deep):
        kind = "colour" if picture.ndim == 3 else "grey"
        other = f", or write a {' or '.join(deep[:2])} file" if picture.ndim == 2 and deep else ""
        return f"{suffix} takes no {kind} of {picture.dtype}: convert it to uint8 first{other}"
    if picture.ndim == 3 and picture.shape[2] in (2, 4) and suffix in OPAQUE:
        return f"{'BMP' if suffix == '.bmp' else 'JPEG'} has no transparency; choose .png"
    return None


def list_pictures(folder: str | os.PathLike, below: bool = False) -> list[Path]:
    """The picture files in a folder, by name; also those in folders below it, if asked for.

    Those whose names, or folders' names, begin with a dot are left out: they are what a process
    that was killed was writing, previews and the like.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
    ValueError
        If there are none.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"no folder {folder}: check the name")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: give a folder of pictures")
    found = folder.rglob("*") if below else folder.iterdir()
    paths = sorted(p for p in found if _is_picture(p, folder))
    if not paths:
        known = ", ".join(sorted(SUFFIXES))
        more = (
            ""
            if below or not any(_is_picture(p, folder) for p in folder.rglob("*"))
            else "; there are some in folders below it"
        )
        raise ValueError(f"no pictures in {folder}: looked for {known}{more}")
    return paths


def _is_picture(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()
