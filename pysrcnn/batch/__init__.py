"""Picture files enlarged: one, folders, larger than memory, on a cluster.

`inputs` says which files there are, `jobs` where results go; `enlarge` does them one after the
other, with reading and writing beside computing; `large` does TIFF files band by band; `cluster`
shares the work among the workers of Dask; `compare` writes a page with a slider; `progress` is
what a terminal shows meanwhile.
"""

from .enlarge import enlarge_file, enlarge_files
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
