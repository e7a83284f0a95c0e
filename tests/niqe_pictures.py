"""Pictures that NIQE is measured on, by us in tests and by another program in `record_niqe`."""

from pathlib import Path

import numpy as np

from pysrcnn.pictures import read_picture
from pysrcnn.resize import imresize

PICTURES = Path(__file__).parents[1] / "examples" / "pictures"
# A file, and what is done to it.
NAMES = (
    "cat as it is", "coffee as it is", "astronaut as it is",
    "cat blurred", "cat noisy", "coffee blurred", "coffee noisy",
)  # fmt: skip


def treated(name: str) -> np.ndarray:
    """Levels of grey (H, W), float64, whole numbers."""
    file, what = name.split(" ", 1)
    rgb = read_picture(PICTURES / f"{file}.png").astype(np.float64)
    grey = np.floor(rgb @ [0.298936021, 0.587043074, 0.114020904] + 0.5)
    if what == "blurred":  # enlarged from a third
        grey = imresize(imresize(grey, 1 / 3), shape=grey.shape)
    elif what == "noisy":
        grey = grey + np.random.default_rng(0).normal(0, 10, grey.shape)
    return np.floor(np.clip(grey, 0, 255) + 0.5)
