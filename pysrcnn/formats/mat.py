"""The .mat files of the authors of the paper, MATLAB 5.

weights_conv1 (f1*f1, n1) or, for RGB, (3, f1*f1, n1); weights_conv2 (n1, f2*f2, n2); weights_conv3
(n2, f3*f3) or (n2, f3*f3, 3); biases_conv1..3. The f*f values of a filter are in MATLAB's order:
down the columns first.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .layers import LIMIT, Arrays, Refused, shown

__all__ = ["read", "write"]

_COMPRESSED = 15  # the type of an element of a MATLAB 5 file that zlib has packed


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The three layers; the card is empty, since these files have none."""
    import scipy.io  # here, because nothing else needs it and it is slow to import

    try:
        _check_unpacked(content, path)
        arrays = scipy.io.loadmat(io.BytesIO(content))
    except Refused:
        raise
    except Exception as error:  # SciPy raises nearly anything for a damaged file
        raise Refused(
            f"{path} is damaged or not a MATLAB 5 .mat file ({shown(str(error), 120)})"
        ) from None
    parameters = {}
    for k in (1, 2, 3):
        try:
            weights, biases = arrays[f"weights_conv{k}"], arrays[f"biases_conv{k}"]
        except KeyError as error:
            raise Refused(
                f"{path} has no {error}: the authors' files hold weights_conv1 to "
                f"weights_conv3 and biases_conv1 to biases_conv3"
            ) from None
        for name, array in ((f"weights_conv{k}", weights), (f"biases_conv{k}", biases)):
            dtype = getattr(array, "dtype", np.dtype(object))  # a function or an object has none
            if not isinstance(array, np.ndarray) or not np.issubdtype(dtype, np.floating):
                held = shown(str(dtype))
                raise Refused(f"{path}: {name} holds {held}, not floating point numbers")
        # To (input channels, f*f, filters). A single channel is an axis that MATLAB dropped.
        if weights.ndim == 2:
            weights = weights[None] if k == 1 else weights[:, :, None]
        if weights.ndim != 3:
            raise Refused(
                f"{path}: weights_conv{k} has the shape {weights.shape}, wanted two or three axes"
            )
        channels, area, filters = weights.shape
        f = round(area**0.5)
        if f * f != area or f == 0:
            raise Refused(
                f"{path}: weights_conv{k} has {area} values a filter, which is not a square"
            )
        # The axis of f*f values splits into (column, row), since MATLAB counts rows fastest.
        w = weights.reshape(channels, f, f, filters).transpose(3, 0, 2, 1)
        parameters[f"W{k}"] = np.ascontiguousarray(w)
        parameters[f"B{k}"] = biases.reshape(-1).copy()
    return parameters, {}


def _check_unpacked(content: bytes, path: Path) -> None:
    """Raise if the packed elements of a file unpack to more than an SRCNN can have."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    place, room = 128, LIMIT
    while order and place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        if kind == _COMPRESSED:
            packed = zlib.decompressobj()
            room -= len(packed.decompress(content[place + 8 : place + 8 + size], room + 1))
            if room < 0:
                raise Refused(f"{path} unpacks to more than {LIMIT:,} bytes: no SRCNN has as many")
        place += 8 + size


def write(file: BinaryIO, parameters: Arrays, card: str) -> None:
    """Write three layers as the authors do; the card has no place there."""
    import scipy.io

    if len(parameters) != 6:
        raise ValueError(
            f"a .mat file of the authors holds three layers, and this network has "
            f"{len(parameters) // 2}: write it as .npz"
        )
    arrays = {}
    for k in (1, 2, 3):
        w = parameters[f"W{k}"].astype(np.float64)
        filters, channels, f, _ = w.shape
        columns = w.transpose(1, 3, 2, 0).reshape(channels, f * f, filters)
        if k == 1 and channels == 1:
            columns = columns[0]
        arrays[f"weights_conv{k}"] = columns[:, :, 0] if k == 3 and filters == 1 else columns
        arrays[f"biases_conv{k}"] = parameters[f"B{k}"].astype(np.float64)[:, None]
    scipy.io.savemat(file, arrays)
