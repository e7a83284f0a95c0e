"""Picture files: read, write; and what is wrong with one, in a sentence."""

import contextlib
import ctypes
import importlib
import io
import logging
import os
import stat
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .._files import told
from . import _exif, _foreign, deep
from ._limits import WHOLE, Refused, Structure
from ._structure import Stored, examine

__all__ = [
    "ENCODING",
    "KINDS",
    "OPAQUE",
    "SUFFIXES",
    "array_of",
    "check_output",
    "check_planes",
    "encode",
    "opened",
    "quiet_readers",
    "structure_of",
    "usual",
]

KINDS = {
    ".apng": "png", ".bmp": "bmp", ".gif": "gif", ".jpeg": "jpeg", ".jpg": "jpeg", ".png": "png",
    ".tif": "tiff", ".tiff": "tiff", ".webp": "webp",
}  # fmt: skip
SUFFIXES = set(KINDS)
_DEEP = {  # what else than uint8 is grey in some files, and which these are
    np.dtype(np.uint16): (("png", "tiff"), ".png or .tif"),
    np.dtype(np.float32): (("tiff",), ".tif or .tiff"),
}
OPAQUE = ("bmp", "jpeg")  # have no alpha
_APART = 2  # of TIFF's PlanarConfiguration
_WEB = ("http:", "https:")
_PLUGINS = {
    "bmp": "Bmp", "gif": "Gif", "jpeg": "Jpeg", "png": "Png", "tiff": "Tiff", "webp": "WebP",
}  # fmt: skip
_BAND = 2**24  # pixels of Pillow's that become an array at a time
# How Pillow writes each format. zlib's level 3 takes a third of the time of 6, for photographs
# some 7% larger.
ENCODING = {
    "png": {"compress_level": 3},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"quality": 95},
    "bmp": {"dpi": (0, 0)},  # none said, of which Pillow would make 96
}
_QUIET = logging.NullHandler()


def structure_of(path: str | os.PathLike, content: bytes | None = None) -> Structure:
    """What a picture file holds, and as much of its bytes as that takes.

    Parameters
    ----------
    path : str or path
        The file; with `content`, only what errors call it.
    content : bytes, optional
        The file's bytes, where they do not come from a file.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError, OSError
    ValueError
        If the file is empty, a pipe or the like, damaged, or no picture that is read.
    Refused
        If it claims to hold more than it can, or is a picture of a kind that is not read.
    MemoryError
    """
    if content is not None:
        return _examined(content, str(path))
    try:
        about = os.stat(path)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(f"{path} is a folder: give a picture file")
        if not stat.S_ISREG(about.st_mode):  # a pipe, from which reading may wait for ever
            raise ValueError(f"{path} is not a file: give a picture file, or - for standard input")
        with open(path, "rb") as file:
            source = Stored(file, about.st_size)
            if about.st_size <= WHOLE:
                source = file.read()
            return _examined(source, str(path))
    except FileNotFoundError:
        advice = "download it first" if Path(path).parts[0] in _WEB else "check the name"
        raise FileNotFoundError(f"no file {path}: {advice}") from None
    except MemoryError:
        raise MemoryError(_too_large(path)) from None
    except OSError as error:
        raise told(error, path) from None
    except ValueError as error:
        if "\0" in os.fspath(path):
            raise ValueError(f"the name {os.fspath(path)!r} holds a NUL: check it") from None
        raise error


def _examined(source: bytes | Stored, name: str) -> Structure:
    if not len(source):
        raise ValueError(f"{name} is empty: give a picture file")
    head = source[:4096]
    sentence = _foreign.sentence_for(head, name)
    if sentence:
        raise ValueError(sentence)
    try:
        found = examine(source, name)
    except Refused:
        raise
    except struct.error:
        raise ValueError(_too_short(name)) from None
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} is damaged or not a picture: {error}") from None
    if found:
        return found
    other = _foreign.known_to_pillow(head)
    if other:
        raise ValueError(
            f"{name} is a file of the format {other}, which is not read: save it as PNG, JPEG or "
            f"TIFF first"
        )
    raise ValueError(
        f"{name} is damaged or not a picture: its format was not recognised; give a PNG, JPEG, "
        f"WebP, TIFF, BMP or GIF file"
    )


def _too_large(name: str | os.PathLike) -> str:
    return f"{name} takes more memory than there is: give parts of it"


def _too_short(name: str) -> str:
    return f"{name} is damaged: it ends too early, so copy or download it again"


@contextlib.contextmanager
def opened(found: Structure, name: str | os.PathLike, more: str = "") -> Iterator:
    """Pillow's picture of a file; whatever goes wrong in the block, in a sentence.

    `more` is what else may help for TIFF files that Pillow does not read.

    Raises
    ------
    ValueError
        If the file is truncated, damaged or of a kind that is not read.
    Refused
        If it has more pixels than Pillow reads.
    MemoryError
    """
    from PIL import Image  # not at the top: `import pysrcnn` stays quick

    image = None
    try:
        with warnings.catch_warnings():  # of damage that Pillow then raises for, or repairs
            warnings.simplefilter("ignore")
            importlib.import_module(f"PIL.{_PLUGINS[found.kind]}ImagePlugin")
            # Not by Image.open, which has a limit of its own for pixels.
            image = Image.OPEN[found.kind.upper()][0](io.BytesIO(found.content), "")
            image.info |= found.beside
            yield image
    except Refused:
        raise
    except MemoryError:
        raise MemoryError(_too_large(name)) from None
    except Image.DecompressionBombError:
        raise Refused(
            f"{name} has more pixels than are read of {found.kind.upper()} files, 179 million: "
            f"save it as PNG, JPEG or TIFF first"
        ) from None
    except Exception as error:  # Pillow raises nearly anything for a damaged file
        raise ValueError(_sentence(error, found, str(name), image is not None, more)) from None
    finally:
        if image is not None:
            image.close()


def _sentence(error: Exception, found: Structure, name: str, was_open: bool, more: str) -> str:
    """What is wrong with a file of which Pillow says this."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "truncated" in reason.lower() or isinstance(error, EOFError):
        return _too_short(name)
    if found.kind == "tiff" and not was_open:
        damaged = "" if found.whole else "damaged, or "
        return f"{name} is {damaged}a TIFF file of {_form_of(found)}{more}"
    if reason.startswith(("Unsupported", "unsupported")):
        kind = f"{found.kind.upper()} file of a kind that is not read ({reason})"
        return f"{name} is a {kind}: save it as PNG"
    if reason.startswith("decoder error"):  # which has a number
        reason = "its pixels cannot be decoded"
    vague = ("cannot identify", "can not", "unknown", "not identified", "no more images", "not a ")
    if len(reason) > 100 or any(words in reason for words in vague):
        reason = f"it begins as a {found.kind.upper()} file and cannot be read as one"
    return f"{name} is damaged or not a picture: {reason}"


def _form_of(found: Structure) -> str:
    """What is in a TIFF file that is not read, and what to do."""
    held, save = _exif.dtype_of_tiff(found.content), "save it with 8 or 16 bits a channel"
    if found.colours:
        channels = f" in {found.shape[2]} channels" if found.shape[2] > 1 else ""
        return (
            f"{found.colours}{channels} of {found.bits} bits, which are not read: save it as RGB, "
            f"or grey, with 8 or 16 bits a channel"
        )
    return f"{held or f'{found.bits} bits a channel'} in a form that is not read: {save}"


def array_of(image) -> np.ndarray:
    """The pixels of Pillow's picture, a part at a time: they take memory once more, not thrice."""
    image.load()
    if image.width * image.height <= _BAND:
        return np.array(image)
    band = max(1, _BAND // image.width)
    parts = (
        np.asarray(image.crop((0, top, image.width, min(top + band, image.height))))
        for top in range(0, image.height, band)
    )
    first = next(parts)
    pixels = np.empty((image.height, *first.shape[1:]), first.dtype)
    pixels[: len(first)] = first
    for k, part in enumerate(parts, 1):
        pixels[k * band : k * band + len(part)] = part
    return pixels


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

    `about` is what Pillow says of it.
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
    options = ENCODING.get(KINDS[suffix], {}) | beside
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
    kind = KINDS[suffix]
    kinds, others = _DEEP.get(picture.dtype, ((), ""))
    is_grey = picture.ndim == 2
    if picture.dtype != np.uint8 and not (kind in kinds and (is_grey or deep.available(kind))):
        advice = f", or write a {others} file" if is_grey and others else ""
        what = "grey" if is_grey else "colour"
        return f"{suffix} takes no {what} of {picture.dtype}: convert it to uint8 first{advice}"
    if not is_grey and picture.shape[2] in (2, 4) and kind in OPAQUE:
        return f"{kind.upper()} has no transparency; choose .png"
    return None
