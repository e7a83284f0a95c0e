"""Two pictures in a web page, one over the other, with a slider between them.

The page is one file that needs no network: the pictures are in it, as PNG.
"""

import base64
import contextlib
import html
import io
import os
import string
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .._files import check_place, written_whole
from .._printing import printable

__all__ = ["check_page", "write_comparison"]

_PAGE = Path(__file__).parent / "compare.html"
_OURS = b'<meta name="generator" content="pysrcnn">'  # by which a page is known again


def write_comparison(
    path: str | os.PathLike,
    before: np.ndarray,
    after: np.ndarray,
    title: str,
    facts: Mapping[str, str],
    names: tuple[str, str] = ("bicubic", "SRCNN"),
) -> None:
    """Write a page that shows `before` left of a slider and `after` right of it.

    The slider moves by mouse, touch and keyboard; the pictures can be enlarged and scrolled.

    Parameters
    ----------
    path : path
        Of the page, ".html".
    before, after : uint8 arrays (H, W), (H, W, 3) or (H, W, 4)
        Of the same height and width.
    title : str
    facts : mapping of str to str
        What is said below the pictures: {"size": "768 x 768 pixels", ...}.
    names : (str, str)
        Of the two pictures.

    Raises
    ------
    ValueError
        If the name does not end in .html, somebody else's page has it, or the pictures differ in
        size.
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
    page = string.Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=_text(title),
        width=before.shape[1],
        height=before.shape[0],
        before_name=_text(names[0]),
        after_name=_text(names[1]),
        before=_data(before),
        after=_data(after),
        facts=rows,
    )
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _text(text: str) -> str:
    """Text of others, which is no part of the page's own."""
    return html.escape(printable(text))


def check_page(path: Path) -> None:
    """Raise what `write_comparison` would: of the place, and if a page there is not one of ours.

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


def _data(picture: np.ndarray) -> str:
    """A picture as a URL that holds it."""
    import imageio.v3 as imageio  # not at the top: `import pysrcnn` stays quick

    content = io.BytesIO()
    imageio.imwrite(content, picture, extension=".png", plugin="pillow", compress_level=3)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
