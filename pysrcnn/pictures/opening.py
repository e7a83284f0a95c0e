"""Opening picture files: their structure, Pillow's picture of them, and errors as sentences."""

import contextlib
import ctypes
import importlib
import io
import logging
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from typing import Any

from .._files import told
from . import _exif, _formats
from ._limits import WHOLE, Refused, Stored, Structure
from ._structure import examine

__all__ = ["opened", "quiet_readers", "structure_of"]

_WEB = ("http:", "https:")
_PLUGINS = {
    "bmp": "Bmp", "gif": "Gif", "jpeg": "Jpeg", "png": "Png", "tiff": "Tiff", "webp": "WebP",
}  # fmt: skip
_QUIET = logging.NullHandler()


def structure_of(path: str | os.PathLike, content: bytes | None = None) -> Structure:
    """Return the structure of a picture file, with as many of its bytes as decoding takes.

    Parameters
    ----------
    path : str or path
        The file; with `content`, only its name in errors.
    content : bytes, optional
        The bytes, if they do not come from a file.

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
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(f"{path} is a folder: give a picture file")
        if not stat.S_ISREG(status.st_mode):  # a pipe, where reading may block for ever
            raise ValueError(f"{path} is not a file: give a picture file, or - for standard input")
        with open(path, "rb") as file:
            source = file.read() if status.st_size <= WHOLE else Stored(file)
            return _examined(source, str(path))
    except FileNotFoundError:
        advice = "download it first" if os.fspath(path).startswith(_WEB) else "check the name"
        empty = "" if os.fspath(path) else "the name of the picture is empty: give a file"
        raise FileNotFoundError(empty or f"no file {path}: {advice}") from None
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
    sentence = _formats.sentence_for(head, name)
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
    other = _formats.known_to_pillow(head)
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
def opened(found: Structure, name: str | os.PathLike, more: str = "") -> Iterator[Any]:
    """Open a file as Pillow's picture; errors raised in the block become sentences.

    `more` is further advice for TIFF files that Pillow does not read.

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
        with warnings.catch_warnings():  # about damage that Pillow then raises for, or repairs
            warnings.simplefilter("ignore")
            importlib.import_module(f"PIL.{_PLUGINS[found.kind]}ImagePlugin")
            # Image.open is not used, since it has its own limit on pixels.
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
    """Return the sentence for an error that Pillow raised for a file."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "truncated" in reason.lower() or isinstance(error, EOFError):
        return _too_short(name)
    if found.kind == "tiff" and not was_open:
        damaged = "" if found.whole else "damaged, or "
        return f"{name} is {damaged}a TIFF file of {_contents_of(found)}{more}"
    if reason.startswith(("Unsupported", "unsupported")):
        kind = f"{found.kind.upper()} file of a kind that is not read ({reason})"
        return f"{name} is a {kind}: save it as PNG"
    if reason.startswith("decoder error"):  # followed by a number
        reason = "its pixels cannot be decoded"
    vague = ("cannot identify", "can not", "unknown", "not identified", "no more images", "not a ")
    if len(reason) > 100 or any(words in reason for words in vague):
        reason = f"it begins as a {found.kind.upper()} file and cannot be read as one"
    return f"{name} is damaged or not a picture: {reason}"


def _contents_of(found: Structure) -> str:
    """Return what a TIFF file that is not read holds, and what to do about it."""
    held, save = _exif.dtype_of_tiff(found.content), "save it with 8 or 16 bits a channel"
    if found.colours:
        channels = f" in {found.shape[2]} channels" if found.shape[2] > 1 else ""
        return (
            f"{found.colours}{channels} of {found.bits} bits, which are not read: save it as RGB, "
            f"or grey, with 8 or 16 bits a channel"
        )
    return f"{held or f'{found.bits} bits a channel'} in a form that is not read: {save}"


def quiet_readers() -> None:
    """Keep libraries' messages on damaged files off standard error: our error says it once."""
    from PIL import Image

    warnings.filterwarnings("ignore", module=r"PIL\.")
    for library in ("PIL", "tifffile"):
        logging.getLogger(library).addHandler(_QUIET)
    with contextlib.suppress(AttributeError, OSError):  # not every Pillow has the function
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)
