"""Picture files enlarged: one, folders, larger than memory, on a cluster.

`inputs` says which files there are, `jobs` where results go; `enlarge` does one, and `large` a
TIFF file band by band; `many` does one after the other, with reading and writing beside computing,
or shares them among the workers of Dask, by `cluster`; `compare` writes a page with a slider;
`progress` is what a terminal shows meanwhile.
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
