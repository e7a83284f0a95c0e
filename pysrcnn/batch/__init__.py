"""Enlarging picture files: one, folders of them, larger than memory, on a cluster.

`inputs` finds the files, and `jobs` decides where results go; `enlarge` does one, `large` a TIFF
file band by band, and `clips` a video; `many` does one after the other, reading and writing while
it computes, or shares them among the workers of Dask, by `cluster`; `compare` writes a page with a
slider; `progress` shows on the terminal how far it is.
"""

from .enlarge import enlarge_file
from .jobs import (
    SAME,
    STANDARD,
    Found,
    Job,
    Size,
    find_jobs,
    is_done,
    job_beside,
    met_twice,
    with_quality,
)
from .many import enlarge_files

__all__ = [
    "SAME",
    "STANDARD",
    "Found",
    "Job",
    "Size",
    "enlarge_file",
    "enlarge_files",
    "find_jobs",
    "is_done",
    "job_beside",
    "met_twice",
    "with_quality",
]
