"""Picture files enlarged: one, folders, larger than memory, on a cluster.

`jobs` says which files there are and where results go; `enlarge` does them one after the other,
with reading and writing beside computing; `large` does TIFF files band by band; `cluster` shares
the work among the workers of Dask; `compare` writes a page with a slider.
"""

from .enlarge import enlarge_file, enlarge_files
from .jobs import SAME, STANDARD, Job, Size, find_jobs, met_twice, with_quality

__all__ = [
    "SAME",
    "STANDARD",
    "Job",
    "Size",
    "enlarge_file",
    "enlarge_files",
    "find_jobs",
    "met_twice",
    "with_quality",
]
