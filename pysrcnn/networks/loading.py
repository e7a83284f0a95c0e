"""Networks by the names of shipped weights, and from files."""

import logging
import os
import re
from pathlib import Path
from types import ModuleType

import numpy as np

from .. import formats, kernels
from .._printing import printable
from ..formats import READABLE, as_plain, check_picture, is_checkpoint, read_weights
from .espcn import ESPCN
from .network import Network
from .sparse import SparseCoding
from .srcnn import SRCNN

__all__ = ["LARGEST", "files_of", "load", "shipped"]

LARGEST = 16  # the largest factor of enlargement
_LOG = logging.getLogger(__name__)  # of what was left out in reading
_WEIGHTS = Path(__file__).parents[1] / "weights"


def shipped() -> dict[tuple[str, int], Path]:
    """The weights in this package: {("9-1-5", 3): path, ...}, by network and scale.

    Those of networks for RGB are called "9-1-5-rgb", the dictionaries of sparse coding "sc".
    """
    found = {}
    for path in sorted(_WEIGHTS.glob("*.npz")):
        if match := re.fullmatch(r"([\w-]+)_x(\d+)\.npz", path.name):
            found[match[1], int(match[2])] = path
    return found


def files_of(name_or_path: str | os.PathLike) -> list[Path]:
    """The files that `load` takes weights from, at any scale; none where there are none."""
    text = os.fspath(name_or_path)
    found = [path for (name, _), path in shipped().items() if name == text]
    return found or list(formats.files_of(text))


def load(
    name_or_path: str | os.PathLike,
    scale: int | None = None,
    *,
    ops: ModuleType = kernels,
    residual: bool = False,
    levels: tuple[float, float] = (0, 1),
) -> Network:
    """A trained network, by the name of shipped weights or from a file.

    Parameters
    ----------
    name_or_path : str or path
        A name such as "9-1-5"; or an .npz file that `SRCNN.save` wrote, a .mat file of the
        paper's authors, or a file of PyTorch (.pt, .pth, .ckpt), .safetensors, Keras (.h5, .hdf5,
        .keras) or .onnx, see `pysrcnn.formats.read_weights`.
    scale : int, optional
        The factor of enlargement. Needed with a name of which there are weights for several; with
        a file that says its own scale, it must be the same; with one that does not say, it is what
        you say it is.
    residual : bool
        Whether the result of the network in the file is to be added to its input. What you get is
        an SRCNN whose result is the picture.
    levels : pair of numbers
        What black and white are for the network in the file, such as (0, 255). What you get is an
        SRCNN for 0..1.

    Returns
    -------
    network : Network
        An SRCNN, ESPCN or SparseCoding, float32, whatever the file holds.

    Raises
    ------
    FileNotFoundError
        If there is neither a file nor shipped weights of that name.
    ModuleNotFoundError
        If the package onnx, which .onnx files need, is not installed.
    ValueError
        If there are no weights for that scale, the file's scale is another one or not 2 to 16, the
        file is damaged, or what others have trained makes no picture.
    """
    text = os.fspath(name_or_path)
    have = shipped()
    scales = [s for n, s in have if n == text]
    if scales:
        if scale is None and len(scales) == 1:
            (scale,) = scales
        if scale not in scales:
            raise ValueError(
                f"no {text} weights for scale {scale}, only for {_listed(scales, 'and')}"
                if scale is not None
                else f"{text} weights differ by scale: say which, {_listed(scales, 'or')}"
            )
        path = have[text, scale]
    else:
        path = Path(text)
        there = path.exists() or path.suffix.lower() in READABLE or is_checkpoint(path)
        if not there:
            names = ", ".join(sorted({n for n, _ in have})) or "none"
            raise FileNotFoundError(
                f"{text} is neither a file nor the name of shipped weights ({names})"
            )
    if scale is not None and scale not in range(2, LARGEST + 1):
        raise ValueError(f"scale is a whole number, 2 to {LARGEST}; got {scale!r:.60}")
    parameters, card = read_weights(path)
    # A card is ours in our own format, and in others if `SRCNN.save` wrote it.
    ours = "version" in card or (path.suffix.lower() == ".npz" and card.keys() - {"notes"})
    foreign = not ours
    notes = card.get("notes", []) if foreign else []
    if residual or tuple(levels) != (0, 1):
        if "D_l" in parameters:
            raise ValueError(f"{path} holds dictionaries: their values are 0..1, and nothing else")
        parameters = as_plain(parameters, residual, levels)
        card = card | {"notes": [*card.get("notes", []), _as_it_was(residual, levels)]}
    network: Network
    if "D_l" in parameters:
        network = SparseCoding(parameters, card)
    elif card.get("network") == "espcn":
        options = {name: card.get(name) for name in ("activation", "padding")}
        network = ESPCN.from_parameters(parameters, **options, ops=ops)
    else:
        network = SRCNN.from_parameters(parameters, ops=ops)
    network = network.astype(np.float32)
    known = card.get("scale")
    if known is not None and (type(known) is not int or not 2 <= known <= LARGEST):
        raise ValueError(f"{path}: its card says scale {known!r:.60}, wanted 2 to {LARGEST}")
    if scale is not None and known is not None and scale != known:
        raise ValueError(
            f"{path} was trained for scale {known}, not {scale}, and weights are of use only at "
            f"their own: enlarge by that, or take other weights"
        )
    if foreign and "D_l" not in parameters:
        check_picture(parameters, path)
    network.scale = known if known is not None else scale and int(scale)
    network.card = card
    for note in notes:
        _LOG.warning(printable(f"{path}: {note}"))
    return network


def _as_it_was(residual: bool, levels: tuple[float, float]) -> str:
    """For the card: what the network in the file took and gave."""
    parts = ["the result was to be added to the input"] if residual else []
    parts += [f"values were {levels[0]:g}..{levels[1]:g}"] if tuple(levels) != (0, 1) else []
    return f"before it was converted, {' and '.join(parts)}"


def _listed(scales: list[int], word: str) -> str:
    """ "2, 3 and 4"."""
    *most, last = map(str, scales)
    return f"{', '.join(most)} {word} {last}" if most else last
