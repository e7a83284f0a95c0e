"""The networks, one a file, and what gets a trained one: `load`."""

from .loading import LARGEST, Model, files_of, load, shipped
from .sparse import SparseCoding
from .srcnn import SRCNN

__all__ = ["LARGEST", "SRCNN", "Model", "SparseCoding", "files_of", "load", "shipped"]
