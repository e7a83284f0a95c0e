"""Convert networks to our range of values: 0..1, black to white, in and out.

Others are trained on 0..255, or return what must be added to their input, and their files do not
say so. A flat grey shows it: a network that makes pictures returns nearly the same grey. Scaling
before the first layer and after the last can be folded into these layers exactly.

x is a picture in 0..1, v the input of a network; W (O, C, f, f), B (O,), c channels, s the scale of
a network that enlarges.
"""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..formats import Arrays, Refused, shown

__all__ = [
    "GREYS",
    "Affine",
    "BEYOND",
    "as_plain",
    "check_numbers",
    "check_picture",
    "check_sense",
    "folded",
    "is_picture",
    "left_out",
    "shuffle_of",
]

# Where zeros are padded that are black no longer.
BEYOND = (
    "layers saw zeros beyond the edge of the picture, which were not black, and here they see the "
    "edge repeated, so edges may differ a little"
)
_OF_BYTES = 1 / 50  # a smaller factor converts from 0..255
GREYS = np.array([0.25, 0.5, 0.75])
_FAR = 0.15  # error of a grey: by itself it limits PSNR to 16 dB; bicubic interpolation has 30

_LARGEST = 1_000_000  # number in a file: a thousand times that of any network for pixels of 0..255

Levels = tuple[float, float]  # black, white


@dataclass(frozen=True)
class Affine:
    """What a file does to all values before the first layer, or after the last: a v + b."""

    a: np.ndarray | float = 1.0  # a number, or one for each channel
    b: np.ndarray | float = 0.0

    @classmethod
    def of(cls, kind: str, x: np.ndarray, turned: bool) -> "Affine":
        """Convert ONNX's operators Add, Sub, Mul or Div with x; turned: x - v, not v - x."""
        match kind:
            case "Add":
                return cls(b=x)
            case "Sub":
                return cls(-1.0, x) if turned else cls(b=-x)
            case "Mul":
                return cls(x)
        return cls(1 / x)

    def then(self, after: "Affine") -> "Affine":
        """Return this map followed by the map `after`."""
        return Affine(after.a * self.a, after.a * self.b + after.b)

    @property
    def any(self) -> bool:
        """Whether it does anything."""
        return bool(np.any(self.a != 1.0) or np.any(self.b != 0.0))


def shuffle_of(parameters: Arrays) -> int:
    """Return s if the last layer has s^2 filters for each channel of the first: 1 for an SRCNN.

    0 for any other number of filters.
    """
    c, filters = parameters["W1"].shape[1], len(parameters[f"B{len(parameters) // 2}"])
    s = math.isqrt(filters // c) if c else 0
    return s if c * s * s == filters else 0


def folded(parameters: Arrays, before: Affine, after: Affine, path: Path) -> Arrays:
    """Fold what is done to values before and after the layers into the layers.

    A factor of 1/255 before them, or of 255 after them, means that pictures are 0..255 there. It is
    dropped, since here they are 0..1.
    """
    if not (before.any or after.any):
        return parameters
    parameters = {name: p.astype(np.float64) for name, p in parameters.items()}
    first, last = parameters["W1"], len(parameters) // 2
    c, area = first.shape[1], shuffle_of(parameters) ** 2
    a, b, e, d = (np.ravel(x) for x in (before.a, before.b, after.a, after.b))
    if not all(x.size in (1, c) and np.isfinite(x).all() for x in (a, b, e, d)):
        raise Refused(f"{path} rescales values in a way that is not that of its {c} channels")
    if np.abs(a).max() < _OF_BYTES:
        a = a * 255
    if np.abs(e).max() * _OF_BYTES > 1:
        e, d = e / 255, d / 255
    a, b = (np.broadcast_to(x, c) for x in (a, b))
    e, d = (np.repeat(np.broadcast_to(x, c), area) for x in (e, d))  # one for each sub-pixel
    parameters["B1"] = parameters["B1"] + first.sum(axis=(2, 3)) @ b
    parameters["W1"] = first * a[:, None, None]
    parameters[f"W{last}"] = parameters[f"W{last}"] * e[:, None, None, None]
    parameters[f"B{last}"] = parameters[f"B{last}"] * e + d
    return parameters


def left_out(what: str, times: list | None) -> dict:
    """Return the card of a network without `what`, which enlarges by `times`."""
    card: dict[str, Any] = {
        "notes": [
            f"{what}, is left out: here pictures are enlarged by bicubic interpolation, so the "
            f"result may differ a little"
        ]
    }
    if times and len(set(times)) == 1 and float(times[0]).is_integer() and 2 <= times[0] <= 16:
        card["scale"] = int(times[0])
    return card


def as_plain(
    parameters: Arrays, residual: bool = False, levels: Levels = (0, 1), activation: str = "relu"
) -> Arrays:
    """Convert a network for other values into one from a picture x in 0..1 to a picture.

    Parameters
    ----------
    parameters : dict of arrays W1, B1, W2, B2, ...
        Of a network g of v = black + (white - black) x.
    residual : bool
        Whether its output must be added to its input: the picture is v + g(v), instead of g(v). Not
        for a network that enlarges.
    levels : pair of numbers
        Black and white: (0, 255), (-1, 1).
    activation : "relu" or "tanh"

    Notes
    -----
    With s = white - black, g(s x) / s is g with its first weights times s, and its last weights and
    biases divided by s; with ReLU, which passes positive factors through, also g with its biases
    divided by s. Black shifts the first and the last biases. To add x, each layer gets a filter for
    each channel that passes it on; as x + 1, since ReLU would cut values below 0.
    """
    black, white = levels
    if not -math.inf < black < white < math.inf:
        raise ValueError(f"levels are {levels}, wanted black and a larger number for white")
    if not residual and (black, white) == (0, 1):
        return parameters
    if residual and activation != "relu":
        raise ValueError("only networks with ReLU can be read as what is to be added to the input")
    span = white - black
    p = {name: array.astype(np.float64) for name, array in parameters.items()}
    layers = len(p) // 2
    c = p["W1"].shape[1]
    p["B1"] = p["B1"] + black * p["W1"].sum(axis=(1, 2, 3))
    if not residual:
        p[f"B{layers}"] = p[f"B{layers}"] - black
    if activation != "relu":
        p["W1"] = p["W1"] * span
        for kind in "WB":
            p[f"{kind}{layers}"] = p[f"{kind}{layers}"] / span
    for k in range(1, layers + 1) if activation == "relu" else ():
        p[f"B{k}"] = p[f"B{k}"] / span
        if residual:
            p[f"W{k}"], p[f"B{k}"] = _handing_on(p[f"W{k}"], p[f"B{k}"], c, k == 1, k == layers)
    return {name: np.ascontiguousarray(array, parameters[name].dtype) for name, array in p.items()}


def _handing_on(w: np.ndarray, b: np.ndarray, c: int, first: bool, last: bool) -> tuple:
    """Extend a layer to pass the picture on, in c more channels, or to add it, if it is last."""
    more = 0 if first else c, 0 if last else c  # channels in, filters
    wide = np.pad(w, ((0, more[1]), (0, more[0]), (0, 0), (0, 0)))
    centre = w.shape[2] // 2
    for k in range(-c, 0):
        wide[k, k, centre, centre] += 1
    return wide, np.append(b - float(last and not first), np.full(more[1], 1.0 if first else 0.0))


def check_picture(parameters: Arrays, path: Path, activation: str = "relu") -> None:
    """Raise unless greys come out nearly unchanged; the error names a likely cause and a remedy."""
    given = _on_greys(parameters, activation)
    if is_picture(given):
        return
    numbers = [", ".join(f"{x:.2f}" for x in some) for some in (given.mean(axis=0), GREYS)]
    fact = f"{path} makes no picture: of greys of {numbers[1]} it makes {numbers[0]}"
    enlarges = shuffle_of(parameters) > 1
    other = "tanh" if activation == "relu" else "relu"
    if enlarges and is_picture(1 / (1 + np.exp(-given))):
        raise Refused(f"{fact}. Probably it ends with a sigmoid, and such networks are not read")
    tries = [
        (False, (0, 255), "its values are 0..255", "--range 255"),
        (True, (0, 1), "what it gives is to be added to its input", "--residual"),
        (True, (0, 255), "it gives what is to be added, of 0..255", "--residual --range 255"),
        (False, (-1, 1), "its values are -1..1", "--range=-1..1"),
        (True, (-1, 1), "it gives what is to be added, of -1..1", "--residual --range=-1..1"),
    ]
    if enlarges:
        tries = [(False, (0, 1), f"its activation is {other}", f"--activation {other}")] + [
            case for case in tries if not case[0]
        ]
    for residual, levels, cause, option in tries:
        name = other if levels == (0, 1) and enlarges else activation
        if is_picture(_on_greys(as_plain(parameters, residual, levels, name), name)):
            raise Refused(
                f"{fact}. Probably {cause}: pysrcnn convert {shlex.quote(str(path))} mine.npz "
                f"{option}; or it is not trained"
            )
    raise Refused(f"{fact}. Its values are neither of 0..1 nor of 0..255, or it is not trained")


def is_picture(given: np.ndarray) -> bool:
    """Whether the output of a network for the greys, (c, 3), is close to them."""
    return bool(np.abs(given - GREYS).max() <= _FAR)


def _on_greys(parameters: Arrays, activation: str) -> np.ndarray:
    """Return the network's outputs for flat greys, (c, 3), of which all maps are constant."""
    layers = len(parameters) // 2
    values = np.tile(GREYS, (parameters["W1"].shape[1], 1))
    for k in range(1, layers + 1):
        w, b = (parameters[f"{kind}{k}"].astype(np.float64) for kind in "WB")
        values = w.sum(axis=(2, 3)) @ values + b[:, None]
        if k < layers:
            values = np.maximum(values, 0) if activation == "relu" else np.tanh(values)
    return values


def check_numbers(name: str, array: np.ndarray, path: Path) -> None:
    """Raise unless an array of a file holds floating-point numbers, all finite in float32."""
    if array.dtype not in (np.float32, np.float64):
        raise Refused(f"{path}: {name} is {shown(str(array.dtype))}, wanted float32 or float64")
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(array.astype(np.float32)).all()
    if not finite:
        raise Refused(f"{path}: {name} holds values that are not finite in float32")


def check_sense(name: str, array: np.ndarray, path: Path, skipped: bool = False) -> None:
    """Raise if these numbers are useless: huge ones, or weights that are all zeros.

    `skipped`: whether a skip goes around the layer, so that zeros there lose nothing of a picture.
    """
    largest = np.abs(array).max()
    if largest > _LARGEST:
        raise Refused(
            f"{path}: {name} holds values up to {largest:.3g}, wanted at most {_LARGEST:,}: no "
            f"picture would come out"
        )
    if largest == 0 and name[0] not in "BMVA" and not skipped:
        raise Refused(
            f"{path}: {name} holds nothing but zeros, and nothing of a picture would go through "
            f"it: give weights that were trained"
        )
