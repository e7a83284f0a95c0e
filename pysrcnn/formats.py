"""Weights in files: our .npz, and the .mat files of the authors of the paper.

Both readers return plain arrays, `(parameters, card)`; `model.py` makes a network of them. Nothing
in a file is ever executed: .npz is read without pickle, .mat by SciPy.

A card says what the weights are: network, scale, data, recipe, scores, version. In the .npz it is
the array "card", a string of JSON.
"""

import json
import os
from pathlib import Path

import numpy as np

from ._files import written_whole

__all__ = ["read_weights", "write_npz"]

Arrays = dict[str, np.ndarray]


def read_weights(path: str | os.PathLike) -> tuple[Arrays, dict]:
    """Read weights by the suffix of the file's name.

    Parameters
    ----------
    path : path
        ".npz" as `write_npz` writes it, or ".mat" of the authors.

    Returns
    -------
    parameters : dict of arrays W1, B1, W2, B2, ...
        Weights (O, C, f, f), biases (O,).
    card : dict
        Empty for .mat files, which carry none.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not what its name says, is damaged, or does not hold a network.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give a file of weights (.npz or .mat)")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: give a file of weights (.npz or .mat)")
    readers = {".npz": _read_npz, ".mat": _read_mat}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path} is neither .npz nor .mat: these are the weights we can read")
    parameters, card = readers[path.suffix.lower()](path)
    _check(parameters, path)
    return parameters, card


def write_npz(path: str | os.PathLike, parameters: Arrays, card: dict) -> None:
    """Write parameters and card to `path`, whole or not at all."""
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise ValueError(f"{path} does not end in .npz: weights are written as .npz")
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, card=np.array(json.dumps(card)), **parameters)


def _read_npz(path: Path) -> tuple[Arrays, dict]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
            card = json.loads(str(arrays.pop("card", "{}")))
    except Exception:  # zipfile, zlib, NumPy and JSON each raise their own
        raise ValueError(f"{path} is damaged or not an .npz file of weights") from None
    if not isinstance(card, dict):
        raise ValueError(f"{path} is damaged: its card is not a JSON object")
    return arrays, card


def _read_mat(path: Path) -> tuple[Arrays, dict]:
    """The authors' files: weights_conv1 (f1*f1, n1) or, for RGB, (3, f1*f1, n1);
    weights_conv2 (n1, f2*f2, n2); weights_conv3 (n2, f3*f3) or (n2, f3*f3, 3); biases_conv1..3.

    The f*f values of a filter are in MATLAB's order: down the columns first.
    """
    import scipy.io  # here, because nothing else needs it and it is slow to import

    try:
        arrays = scipy.io.loadmat(path)
    except Exception as error:  # SciPy raises nearly anything for a damaged file
        raise ValueError(f"{path} is damaged or not a MATLAB 5 .mat file ({error})") from None
    parameters = {}
    for k in (1, 2, 3):
        try:
            weights, biases = arrays[f"weights_conv{k}"], arrays[f"biases_conv{k}"]
        except KeyError as error:
            raise ValueError(
                f"{path} has no {error}: the authors' files hold weights_conv1 to "
                f"weights_conv3 and biases_conv1 to biases_conv3"
            ) from None
        for name, array in ((f"weights_conv{k}", weights), (f"biases_conv{k}", biases)):
            if not np.issubdtype(array.dtype, np.floating):
                raise ValueError(f"{path}: {name} holds {array.dtype}, not floating point numbers")
        # To (input channels, f*f, filters). A single channel is an axis that MATLAB dropped.
        if weights.ndim == 2:
            weights = weights[None] if k == 1 else weights[:, :, None]
        if weights.ndim != 3:
            raise ValueError(
                f"{path}: weights_conv{k} has the shape {weights.shape}, wanted two or three axes"
            )
        channels, area, filters = weights.shape
        f = round(area**0.5)
        if f * f != area or f == 0:
            raise ValueError(
                f"{path}: weights_conv{k} has {area} values a filter, which is not a square"
            )
        # The axis of f*f values splits into (column, row), since MATLAB counts rows fastest.
        w = weights.reshape(channels, f, f, filters).transpose(3, 0, 2, 1)
        parameters[f"W{k}"] = np.ascontiguousarray(w)
        parameters[f"B{k}"] = biases.reshape(-1).copy()
    return parameters, {}


def _check(parameters: Arrays, path: Path) -> None:
    """Raise unless the arrays are a network: W1 B1 W2 B2 ... that fit each other, all finite."""
    layers = len(parameters) // 2
    wanted = [f"{kind}{k}" for k in range(1, layers + 1) for kind in "WB"]
    if layers == 0 or sorted(parameters) != sorted(wanted):
        raise ValueError(
            f"{path} holds {sorted(parameters) or 'nothing'}, not the arrays of a network: "
            f"W1, B1, W2, B2, ..."
        )
    channels = None
    for k in range(1, layers + 1):
        w, b = parameters[f"W{k}"], parameters[f"B{k}"]
        for name, array in ((f"W{k}", w), (f"B{k}", b)):
            if array.dtype not in (np.float32, np.float64):
                raise ValueError(f"{path}: {name} is {array.dtype}, wanted float32 or float64")
            with np.errstate(over="ignore"):
                finite = np.isfinite(array.astype(np.float32)).all()
            if not finite:
                raise ValueError(f"{path}: {name} holds values that are not finite in float32")
        if w.ndim != 4 or w.shape[2] != w.shape[3] or w.shape[2] % 2 == 0 or 0 in w.shape:
            raise ValueError(f"{path}: W{k} has the shape {w.shape}, wanted (O, C, f, f), f odd")
        if b.shape != w.shape[:1]:
            raise ValueError(f"{path}: B{k} has the shape {b.shape}, wanted {w.shape[:1]}")
        if channels is not None and w.shape[1] != channels:
            raise ValueError(
                f"{path}: W{k} takes {w.shape[1]} channels, the layer before gives {channels}"
            )
        channels = w.shape[0]
    if parameters["W1"].shape[1] != channels or channels not in (1, 3):
        raise ValueError(
            f"{path}: the network takes {parameters['W1'].shape[1]} channels and gives "
            f"{channels}, wanted 1 and 1 (luminance) or 3 and 3 (RGB)"
        )
