"""Tell tables, cases and plots that this package wrote, which may be replaced, from other files.

Each has a sign where the format has a place for it: a table begins with the key "made_by", a plot
names its program, the archive of a case ends in a comment. Programs that save such a file again
usually drop the sign or write it elsewhere, and the file then counts as the user's. Enlarged
pictures have a mark with a checksum instead, see `pictures._mark`; converted weights, an entry of
their card.
"""

import os
import re
from pathlib import Path

__all__ = ["COMMENT", "MADE_BY", "PROGRAM", "is_made_here"]

MADE_BY = {"made_by": "pysrcnn"}  # the first entry of a table
COMMENT = b"made by pysrcnn"  # at the end of a case
PROGRAM = {  # what matplotlib writes into a plot
    ".png": {"Software": "pysrcnn"}, ".svg": {"Creator": "pysrcnn"}, ".pdf": {"Creator": "pysrcnn"},
}  # fmt: skip
_SIGNS = {
    ".json": re.compile(rb'\A\{\n "made_by": "pysrcnn"'),
    ".npz": re.compile(re.escape(COMMENT) + rb"\Z"),
    ".png": re.compile(rb"\A\x89PNG.{33}tEXtSoftware\0pysrcnn", re.DOTALL),
    ".svg": re.compile(
        rb"\A<\?xml[^>]*>\s*<!DOCTYPE svg .*<dc:title>pysrcnn</dc:title>", re.DOTALL
    ),
    ".pdf": re.compile(rb"\A%PDF.*/Creator \(pysrcnn\) /Producer \(Matplotlib", re.DOTALL),
}
_BEGIN, _END = 2**10, 2**16  # bytes that are looked at


def is_made_here(path: str | os.PathLike) -> bool:
    """Return whether a file has the sign of this package for its suffix; False if unreadable."""
    sign = _SIGNS.get(Path(path).suffix.lower())
    if sign is None:
        return False
    try:
        with open(path, "rb") as file:
            begin = file.read(_BEGIN)
            file.seek(max(len(begin), file.seek(0, os.SEEK_END) - _END))
            return sign.search(begin + file.read()) is not None
    except OSError:
        return False
