"""The .mat files of the authors of SRCNN: its three layers, as arrays of MATLAB.

weights_conv1 (f1*f1, n1) or, for RGB, (3, f1*f1, n1); weights_conv2 (n1, f2*f2, n2); weights_conv3
(n2, f3*f3) or (n2, f3*f3, 3); biases_conv1..3. The f*f values of a filter are in MATLAB's order:
down the columns first.
"""

from pathlib import Path

import numpy as np

from ..formats import Arrays, Refused, shown

__all__ = ["from_matlab", "to_matlab"]


def from_matlab(arrays: Arrays, path: Path, others: str) -> Arrays:
    """W1, B1, W2, B2, W3, B3 of the authors' arrays; `others` says what is not read.

    Raises
    ------
    Refused
        If one of them is missing or has another shape.
    """
    parameters = {}
    for k in (1, 2, 3):
        try:
            weights, biases = arrays[f"weights_conv{k}"], arrays[f"biases_conv{k}"]
        except KeyError as error:
            names = ", ".join(map(shown, list(arrays)[:8])) or "nothing"
            raise Refused(
                f"{path} has no {error}, but {names}: the authors' files hold weights_conv1 to "
                f"weights_conv3 and biases_conv1 to biases_conv3, and {others}"
            ) from None
        for name, array in ((f"weights_conv{k}", weights), (f"biases_conv{k}", biases)):
            if not np.issubdtype(array.dtype, np.floating):
                raise Refused(f"{path}: {name} holds {array.dtype}, not floating point numbers")
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
    return parameters


def to_matlab(parameters: Arrays) -> Arrays:
    """The authors' arrays of three layers."""
    arrays = {}
    for k in (1, 2, 3):
        w = parameters[f"W{k}"].astype(np.float64)
        filters, channels, f, _ = w.shape
        columns = w.transpose(1, 3, 2, 0).reshape(channels, f * f, filters)
        if k == 1 and channels == 1:
            columns = columns[0]
        arrays[f"weights_conv{k}"] = columns[:, :, 0] if k == 3 and filters == 1 else columns
        arrays[f"biases_conv{k}"] = parameters[f"B{k}"].astype(np.float64)[:, None]
    return arrays
