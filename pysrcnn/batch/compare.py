"""A web page that shows two pictures, one over the other, with a slider between them.

The page is one file that needs no network: the pictures are in it, small ones as PNG, and large
ones with a loss too small to see.
"""

import base64
import contextlib
import html
import io
import math
import os
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .._files import check_place, written_whole
from .._printing import printable
from ..pictures import _chunks
from ..pictures.encoding import encoded
from ..pictures.pixels import converted

__all__ = ["check_page", "write_comparison"]

EXACT = 4_000_000  # most bytes of each picture as PNG; larger ones are compressed with loss
MOST, LONGEST = 24_000_000, 16383  # pixels that browsers show well; longest side in WebP
_PAGE = Path(__file__).parent / "compare.html"
_OURS = b'<meta name="generator" content="pysrcnn">'  # by which a page is recognised


def write_comparison(
    path: str | os.PathLike,
    before: np.ndarray,
    after: np.ndarray,
    title: str,
    facts: Mapping[str, str],
    names: tuple[str, str] = ("before", "after"),
    icc_profile: bytes | None = None,
    colours: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Write a page that shows `before` left of a slider and `after` right of it.

    The slider is moved by mouse, touch or keyboard; the pictures can be zoomed and panned. Pictures
    larger than browsers show well are cropped to their middle.

    Parameters
    ----------
    path : path
        File of the page, ending in .html.
    before, after : arrays (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Pictures of the same height and width: uint8, uint16, or floating point, 0..1. They are
        shown with 8 bits.
    title : str
    facts : mapping of str to str
        Facts shown below the pictures: {"size": "768 x 768 pixels", ...}.
    names : (str, str)
        Names of the two pictures.
    icc_profile, colours
        Colour space of both pictures, as in a `PictureFile`.

    Raises
    ------
    ValueError
        If the name does not end in .html, a page that is not ours is there, or the pictures differ
        in size.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path} does not end in .html: the comparison is a web page")
    check_page(path)
    if before.shape[:2] != after.shape[:2]:
        raise ValueError(
            f"the pictures are of {before.shape[1]} x {before.shape[0]} and {after.shape[1]} x "
            f"{after.shape[0]} pixels: give two of the same size"
        )
    rows = "".join(
        f'<div><dt>{_text(name)}</dt><dd dir="auto">{_text(value)}</dd></div>'
        for name, value in facts.items()
    )
    shape, notes = before.shape[:2], []
    part = _middle(shape)
    # Cropped before they are converted, since they may be large.
    shown = tuple(converted(x[part], np.dtype(np.uint8)) for x in (before, after))
    height, width = shown[0].shape[:2]
    if (height, width) != shape:
        notes.append(
            f"Of {shape[1]} x {shape[0]} pixels, this page has the middle {width} x {height}."
        )
    pictures, note = _urls((shown[0], shown[1]), icc_profile, colours)
    page = string.Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=_text(title),
        width=width,
        height=height,
        before_name=_text(names[0]),
        after_name=_text(names[1]),
        before=pictures[0],
        after=pictures[1],
        facts=rows,
        note=" ".join([*notes, *note]),
    )
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _text(text: str) -> str:
    """Escape text from elsewhere for the page."""
    return html.escape(printable(text))


def check_page(path: Path) -> None:
    """Raise, like `write_comparison`, if no page can be written there or one there is not ours.

    Raises
    ------
    ValueError, OSError
    """
    check_place(path)
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        head = file.read(1000)
        if head and _OURS not in head:
            raise ValueError(
                f"{path} is a page that --compare did not write: give the result another name, or "
                f"move the page"
            )


def _middle(shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns to show of pictures of this height and width."""
    part = min(1.0, math.sqrt(MOST / math.prod(shape)))
    sizes = (min(LONGEST, max(1, round(n * part))) for n in shape)
    rows, columns = (
        slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(shape, sizes, strict=True)
    )
    return rows, columns


def _urls(
    pictures: tuple[np.ndarray, np.ndarray],
    icc_profile: bytes | None,
    colours: Sequence[tuple[bytes, bytes]],
) -> tuple[list[str], list[str]]:
    """Return both pictures as data URLs, and notes about how they are stored."""
    beside = {"icc_profile": icc_profile} if icc_profile else {}
    if pictures[0].size <= 2 * EXACT:  # PNG is not tried for larger ones
        chunks = _chunks.as_chunks({**beside, "colours": list(colours)})
        held = []
        for picture in pictures:
            file = io.BytesIO()
            _chunks.write(file, encoded([picture], ".png", {}), chunks)
            held.append(file.getvalue())
        if max(map(len, held)) <= EXACT:
            return [_url("png", content) for content in held], []
    # WebP has no grey, and a grey picture may have a grey profile.
    kind, name = ("jpeg", "JPEG") if pictures[0].ndim == 2 else ("webp", "WebP")
    if pictures[0].shape[2:] == (2,):
        beside = {}
    options = beside | {"quality": 90} | ({"method": 2} if kind == "webp" else {})  # fast enough
    held = [encoded([x], f".{kind}", options) for x in pictures]
    notes = [f"To be small, this page has both as {name} of quality 90."]
    if not _chunks.are_default(colours, icc_profile):
        notes.append("What the file says of its colours in chunks of PNG is not in this page.")
    return [_url(kind, content) for content in held], notes


def _url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")
