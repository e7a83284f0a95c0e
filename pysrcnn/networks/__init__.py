"""The networks, one a file, and what gets a trained one: `load`."""

from .chain import Chain
from .espcn import ESPCN
from .loading import LARGEST, files_of, load, shipped
from .network import Network, other_scale, own_scale
from .sparse import SparseCoding
from .srcnn import SRCNN

TRAINED: dict[str, type[Network]] = {"srcnn": SRCNN, "espcn": ESPCN}

__all__ = [
    "ESPCN",
    "LARGEST",
    "SRCNN",
    "TRAINED",
    "Chain",
    "Network",
    "SparseCoding",
    "files_of",
    "load",
    "other_scale",
    "own_scale",
    "shipped",
]
