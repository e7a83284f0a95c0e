"""What the tests share: the folder of pictures and arrays that is not part of the project."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder():
    """``data_folder(name)``: the path of a data set, or a skipped test where it is not there.

    Looks in the folder of the environment variable ``PYSRCNN_DATA``, else in ``../shared/data``
    beside the repository.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("PYSRCNN_DATA") or beside)

    def find(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"no {name} in {root}; set PYSRCNN_DATA to the folder that holds it")
        return root / name

    return find
