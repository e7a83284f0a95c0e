"""Parameters of networks, arrays by name: how they are drawn, converted and checked."""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Self

import numpy as np

__all__ = [
    "Parameters",
    "Parametric",
    "as_arrays",
    "check_channels",
    "check_layers",
    "check_shapes",
    "drawn",
    "in_float32",
    "not_finite",
]

Parameters = dict[str, np.ndarray]


class Parametric:
    """Base class of everything that has parameters and computes in their dtype."""

    parameters: Parameters
    ops: ModuleType

    def __getstate__(self) -> dict:
        return {**self.__dict__, "ops": self.ops.__name__}  # a module itself cannot be pickled

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, ops=importlib.import_module(state["ops"]))

    @property
    def dtype(self) -> np.dtype:
        """The dtype of parameters and results, float32 or float64."""
        return next(iter(self.parameters.values())).dtype

    def astype(self, dtype: Any) -> Self:
        """Return a copy whose parameters and results are of `dtype`, float32 or float64."""
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"networks compute in float32 or float64, not in {dtype}")
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.parameters = {n: np.array(p, dtype, order="C") for n, p in self.parameters.items()}
        return copy


def check_layers(parameters: Parameters, wanted: dict[str, tuple[int, int]]) -> None:
    """Raise a ValueError unless the parameters are W and B of these layers of 3 x 3 filters.

    `wanted`: numbers of maps in and out of each, keyed by what follows W and B in the names.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (i, o) in wanted.items():
        shapes[f"W{name}"], shapes[f"B{name}"] = (o, i, 3, 3), (o,)
    check_shapes(parameters, shapes)


def check_shapes(parameters: Parameters, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise a ValueError unless the parameters have just these names and shapes, and are finite."""
    for name, shape in shapes.items():
        given = parameters[name].shape if name in parameters else "missing"
        if given != shape:
            raise ValueError(f"{name} is {given}, wanted the shape {shape}")
        if not_finite({name: parameters[name]}):
            raise ValueError(f"{name} holds values that are not finite")
    if not shapes or len(parameters) != len(shapes):
        names = ", ".join(sorted(parameters.keys() - shapes.keys())[:8])
        if not names:
            raise ValueError("there are no arrays to make such a network of")
        raise ValueError(f"the arrays {names} do not make such a network")


def not_finite(parameters: Parameters) -> str:
    """Return the name of the first parameter that holds NaN or infinity, or "" if none does."""
    return next((n for n, p in parameters.items() if not np.isfinite(p).all()), "")


def drawn(layers: dict[str, tuple[int, int]], seed: int) -> Parameters:
    """Draw W of these layers from N(0, 2 / (9 C)), as in He et al. (2015); B is 0; float64."""
    rng, parameters = np.random.default_rng(seed), {}
    for name, (i, o) in layers.items():
        parameters[f"W{name}"] = rng.normal(0, np.sqrt(2 / (9 * i)), (o, i, 3, 3))
        parameters[f"B{name}"] = np.zeros(o)
    return parameters


def in_float32(parameters: Parameters) -> Parameters:
    """Return the parameters in float32, as networks are trained."""
    return {name: array.astype(np.float32) for name, array in parameters.items()}


def as_arrays(parameters: Parameters) -> Parameters:
    """Return the parameters of a deep network as arrays; all weights, W..., must be (O, C, f, f).

    Raises
    ------
    TypeError, ValueError
        If they are not such arrays.
    """
    if not isinstance(parameters, Mapping):
        kind = type(parameters).__name__
        raise TypeError(f"the parameters are {kind}, wanted a dict of arrays by their names")
    arrays = {name: np.asarray(array) for name, array in parameters.items()}
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name} is an array of {array.dtype}, wanted float32 or float64")
        if name[:1] == "W" and (array.ndim != 4 or array.size == 0 or len({*array.shape[2:]}) > 1):
            raise ValueError(f"{name} has the shape {array.shape}, wanted (O, C, f, f)")
    return arrays


def check_channels(c: object) -> None:
    """Raise a ValueError unless c is 1 or 3."""
    if isinstance(c, bool) or c not in (1, 3):
        raise ValueError(f"c is 1 (luminance) or 3 (RGB), got {c!r}")
