"""Load networks by the names of shipped weights, and from files."""

import logging
import os
import re
from pathlib import Path
from types import ModuleType

import numpy as np

from .. import formats, kernels
from .._printing import printable
from ..formats import READABLE, is_checkpoint, read_weights
from .chain import Chain
from .drcn import DRCN
from .edsr import EDSR
from .espcn import ESPCN
from .features import Features
from .network import Network
from .recognise import is_ours, network_of
from .scales import LARGEST, other_scale
from .srcnn import SRCNN
from .srresnet import SRResNet
from .values import BEYOND, as_plain, check_picture
from .vdsr import VDSR
from .vespcn import VESPCN
from .vgg_files import LAYER

__all__ = [
    "CONVERTED",
    "DEFAULT",
    "FEATURES",
    "TRAINED",
    "files_of",
    "load",
    "load_features",
    "shipped",
    "shipped_files",
]

TRAINED: dict[str, type[Network]] = {
    "srcnn": SRCNN,
    "espcn": ESPCN,
    "vdsr": VDSR,
    "drcn": DRCN,
    "edsr": EDSR,
    "srresnet": SRResNet,
    "vespcn": VESPCN,
}

# The default for enlarging: 1.2 dB better than 9-1-5 at x3, for 0.12 s more per megapixel.
DEFAULT = "edsr-s"
FEATURES = "edsr-s", 3  # whose features are used without a file of VGG
CONVERTED = "converted_from"  # in the card of a file that `pysrcnn convert` wrote, and nothing else
_LOG = logging.getLogger(__name__)  # reports what was left out in reading
_WEIGHTS = Path(__file__).parents[1] / "weights"


def shipped() -> dict[tuple[str, int], Path]:
    """Return the weights in this package, by network and scale: {("9-1-5", 3): path, ...}.

    A file for several scales has all of them in its name, such as vdsr_x2x3x4.npz. Networks for RGB
    are called "9-1-5-rgb", the dictionaries of sparse coding "sc".
    """
    found: dict[tuple[str, int], Path] = {}
    for path in sorted(_WEIGHTS.glob("*.npz")):
        if match := re.fullmatch(r"([\w-]+)_x(\d+(?:x\d+)*)\.npz", path.name):
            found |= {(match[1], int(scale)): path for scale in match[2].split("x")}
    return found


def shipped_files() -> dict[Path, str]:
    """Return the files of `shipped` and what each holds: "9-1-5 x3", "vdsr x2 x3 x4"."""
    files: dict[Path, str] = {}
    for (name, scale), path in shipped().items():
        files[path] = f"{files.get(path, name)} x{scale}"
    return files


def files_of(name_or_path: str | os.PathLike) -> list[Path]:
    """Return the files from which `load` takes weights, at any scale; an empty list without any."""
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
    activation: str | None = None,
    sharpness: float | None = None,
) -> Network:
    """Load a trained network, by the name of shipped weights or from a file.

    Parameters
    ----------
    name_or_path : str or path
        A name such as "9-1-5"; or an .npz file that `Network.save` wrote, a .mat file of the
        authors of SRCNN or VDSR, or a file of PyTorch (.pt, .pth, .ckpt), .safetensors, Keras (.h5,
        .hdf5, .keras) or .onnx, see `pysrcnn.formats.read_weights`.
    scale : int, optional
        The factor of enlargement. Required with a name that has weights for several. If a file
        states its own scale, it must be the same; otherwise the network is taken to be for this
        scale.
    ops : module
        `pysrcnn.kernels` or, except for dictionaries, `pysrcnn.reference`.
    residual : bool
        Whether the output of the SRCNN in the file, which another program wrote, must be added to
        its input. The network that is returned outputs the picture itself.
    levels : pair of numbers
        The values of black and white for the network in such a file, such as (0, 255). The network
        that is returned is for 0..1.
    activation : "tanh" or "relu", optional
        That of the ESPCN in the file, if the file does not state it, or states it wrongly; by
        default tanh.
    sharpness : float, optional
        0..1, for a network that was trained against a discriminator, see `Network.at_sharpness`. By
        default it stays as trained, which is 1, and may be chosen later.

    Returns
    -------
    network : Network
        Of the kind that the file holds; float32, whatever its dtype.

    Raises
    ------
    TypeError
        If `name_or_path` is neither a string nor a path.
    FileNotFoundError
        If there is neither a file nor shipped weights of that name.
    ModuleNotFoundError
        If a package that such files need, onnx or h5py, is not installed.
    ValueError
        If there are no weights for that scale, the file's scale is another one or not 2 to 16, the
        file is damaged, a network trained elsewhere makes no picture, or the sharpness cannot be
        chosen.
    """
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise TypeError(
            f"weights are a name or a path, such as '9-1-5' or 'mine.npz'; got {name_or_path!r:.60}"
        )
    path = _path_of(os.fspath(name_or_path), scale)
    if scale is not None and scale not in range(2, LARGEST + 1):
        raise ValueError(f"scale is a whole number, 2 to {LARGEST}; got {scale!r:.60}")
    weights = read_weights(path)
    network = network_of(weights, path, activation=activation, ops=ops)
    ours = is_ours(weights)
    notes = [] if ours else network.card.get("notes", [])
    network.card.pop(CONVERTED, None)  # true of the file, and not of what becomes of the network
    if residual or tuple(levels) != (0, 1):
        if ours or not isinstance(network, Chain):
            raise ValueError(
                f"{path} holds {network.name}, whose values are 0..1 and whose result is the "
                f"picture: leave residual and levels (--range) out"
            )
        network = _as_plain(network, path, residual, levels)
    network = network.astype(np.float32)
    network.scale = _scale_of(network, path, scale)
    if isinstance(network, Chain) and not ours:
        check_picture(network.parameters, path, network.activation)
    if sharpness is not None:
        network = network.at_sharpness(sharpness)
    for note in notes:
        _LOG.warning(printable(f"{path}: {note}"))
    return network


def load_features(
    name_or_path: str | os.PathLike | None = None, layer: str | None = None
) -> Features:
    """Load the features of a file of VGG, or of an EDSR.

    Parameters
    ----------
    name_or_path : str or path, optional
        A file of VGG's convolutions, see `Features.of_vgg`; or one of our EDSR, by name (that for
        x3, whatever is compared) or file. By default "edsr-s", which knows edges and lines only.
    layer : str, optional
        The layer whose maps are compared: by default "relu2_2" of VGG, or the last block of an
        EDSR, such as "block8".

    Returns
    -------
    features : Features
        Their label also names the file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is neither of the two, or it has no such layer.
    """
    name, scale = FEATURES if name_or_path is None else (os.fspath(name_or_path), FEATURES[1])
    known = [s for n, s in shipped() if n == name]
    if known or read_weights(name).card.get("network") == EDSR.name:
        network = load(name, scale if scale in known else min(known, default=None))
        if not isinstance(network, EDSR):
            raise ValueError(
                f"{name} is {network.name}: give a file of VGG, or an EDSR, for features"
            )
        features = Features.of_edsr(network, layer)
    else:
        features = Features.of_vgg(name, layer or LAYER)
    features.label += f" of {Path(name).name}"
    return features


def _path_of(text: str, scale: int | None) -> Path:
    """Return the file of shipped weights with this name and scale, or the file at this path."""
    have = shipped()
    scales = [s for n, s in have if n == text]
    if scales:
        if scale is None and len({have[text, s] for s in scales}) == 1:
            scale = scales[0]
        if scale is None:
            raise ValueError(f"{text} weights differ by scale: say which, {_listed(scales, 'or')}")
        if scale not in scales:
            raise ValueError(
                f"no {text} weights for scale {scale}, only for {_listed(scales, 'and')}"
            )
        return have[text, scale]
    path = Path(text)
    if not (path.exists() or path.suffix.lower() in READABLE or is_checkpoint(path)):
        names = ", ".join(sorted({n for n, _ in have})) or "none"
        if text in TRAINED:
            raise FileNotFoundError(
                f"{text} is a kind of network, and no weights of that name are shipped ({names} "
                f"are): take one of these, or train one with pysrcnn train"
            )
        raise FileNotFoundError(
            f"{text} is neither a file nor the name of shipped weights ({names})"
        )
    return path


def _as_plain(network: Chain, path: Path, residual: bool, levels: tuple[float, float]) -> Chain:
    """Convert to values in 0..1, with the picture as the result; the card notes the change."""
    if residual and network.small:
        raise ValueError(
            f"{path} is an ESPCN, whose result is larger than its input: it cannot be added to that"
        )
    parameters = as_plain(network.parameters, residual, levels, network.activation)
    card, scale, options = network.card, network.scale, dict(network.options)
    notes = list(card.get("notes", []))
    if levels[0] != 0 and options["padding"] == "zeros":
        options["padding"] = "replicate"
        notes.append(BEYOND)
    network = type(network).from_parameters(parameters, ops=network.ops, **options)
    parts = ["the result was to be added to the input"] if residual else []
    parts += [f"values were {levels[0]:g}..{levels[1]:g}"] if tuple(levels) != (0, 1) else []
    note = f"before it was converted, {' and '.join(parts)}"
    network.card, network.scale = card | {"notes": [*notes, note]}, scale
    return network


def _scale_of(network: Network, path: Path, wanted: int | None) -> int | None:
    """Return the scale that the network or its card states, otherwise the one that is wanted."""
    said = network.card.get("scale")
    known = network.scale if said is None else said
    several = known if isinstance(known, list) and network.scale is None else []
    if len(several) > 1 and all(_is_scale(s) for s in several):
        network.scales = tuple(several)
        if wanted is not None and wanted not in several:
            raise ValueError(
                f"{path} was trained for scales {_listed(several, 'and')}, not {wanted}"
            )
        return wanted
    if known is None:
        return None if wanted is None else int(wanted)
    if not _is_scale(known):
        raise ValueError(f"{path}: its card says scale {known!r:.60}, wanted 2 to {LARGEST}")
    if wanted not in (None, known):
        raise other_scale(path, known, wanted)
    return known


def _is_scale(value: object) -> bool:
    return type(value) is int and 2 <= value <= LARGEST


def _listed(scales: list[int], word: str) -> str:
    """ "2, 3 and 4"."""
    *most, last = map(str, scales)
    return f"{', '.join(most)} {word} {last}" if most else last
