"""Networks that are a chain of convolutions, W1 B1 W2 B2 ...: what SRCNN and ESPCN share."""

from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np

from .. import kernels
from .initial import initialise
from .network import Network
from .parameters import Parameters, as_arrays, check_shapes
from .reach import Layers
from .scales import check_scale
from .values import shuffle_of

__all__ = ["Chain", "layers_of", "named"]


def layers_of(p: Parameters) -> Layers:
    """Return (weights, biases) of W1, B1, W2, B2, ..., from the first layer to the last."""
    return [(p[f"W{k}"], p[f"B{k}"]) for k in range(1, len(p) // 2 + 1)]


def named(layers: Layers) -> Parameters:
    """Return W1, B1, W2, B2, ... for (weights, biases), or likewise for their gradients."""
    found = {}
    for k, (w, b) in enumerate(layers, 1):
        found[f"W{k}"], found[f"B{k}"] = w, b
    return found


def _check(sizes: tuple[int, ...], channels: tuple[int, ...]) -> None:
    """Raise unless these are filter sizes and the channels between layers."""
    for value in (*sizes, *channels):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < 1:
            raise ValueError(f"layer sizes are positive integers, got {value!r}")
    for f in sizes:
        if f % 2 == 0:
            raise ValueError(f"filter sizes are odd, so that a filter has a centre, got {f}")
    if len(channels) != len(sizes) + 1:
        raise ValueError(
            f"{len(sizes)} layers need {len(sizes) - 1} numbers of filters (the last layer "
            f"has one for each channel), got {len(channels) - 2}"
        )


def _shapes(p: Parameters) -> dict[str, tuple[int, ...]]:
    """Return the shapes by which as many layers as there are weights in p follow each other."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels = None
    for k in range(1, 1 + sum(name.startswith("W") for name in p)):
        w = p.get(f"W{k}", np.empty((0, 0, 0, 0)))
        shapes[f"W{k}"] = len(w), channels or w.shape[1], *w.shape[2:]
        shapes[f"B{k}"] = w.shape[:1]
        channels = len(w)
    return shapes


class Chain(Network):
    """A network of successive convolutions, with an activation after each but the last."""

    choices: ClassVar = {"padding": ("replicate", "zeros")}
    training_options: ClassVar = {"padding": "valid"}

    @classmethod
    def from_parameters(
        cls, parameters: Parameters, *, ops: ModuleType = kernels, **options: Any
    ) -> Self:
        """Build a network from copies of the arrays W1, B1, ..., with options of `forward`.

        Raises
        ------
        TypeError, ValueError
            If the arrays do not make such a network, or it has no such option.
        """
        parameters = as_arrays(parameters)
        check_shapes(parameters, _shapes(parameters))
        s = shuffle_of(parameters)
        if cls.small:
            check_scale(s)
        elif s != 1:
            filters, c = len(parameters[f"B{len(parameters) // 2}"]), parameters["W1"].shape[1]
            raise ValueError(
                f"the last layer has {filters} filters, wanted {c}, one for each channel"
            )
        network = cls.__new__(cls)
        network._set(parameters, ops, **options)
        _check(network.sizes, (network.c, *(len(b) for _, b in network.layers)))
        return network.astype(parameters["W1"].dtype)

    def _begin(
        self,
        sizes: tuple[int, ...],
        filters: tuple[int, ...],
        c: int,
        ops: ModuleType,
        *,
        s: int = 1,
        init: str,
        seed: int,
        **options: Any,
    ) -> None:
        """Set up an untrained network; the last layer has s^2 filters for each channel."""
        channels = (c, *filters, c * s * s)
        _check(sizes, channels)
        layers = [
            (np.zeros((o, i, f, f), np.float32), np.zeros(o, np.float32))
            for f, i, o in zip(sizes, channels[:-1], channels[1:], strict=True)
        ]
        self._set(named(layers), ops, **options)
        self.initialise(init, seed)

    def _set(self, parameters: Parameters, ops: ModuleType, **options: Any) -> None:
        self.parameters, self.ops = named(layers_of(parameters)), ops
        self.c, self.card, self.options = parameters["W1"].shape[1], {}, {}
        if self.c not in (1, 3):
            raise ValueError(f"c is 1 (luminance) or 3 (RGB), got {self.c!r}")
        self.scale = shuffle_of(parameters) if self.small else None
        for name, known in self.choices.items():
            value = self.options[name] = options.pop(name, known[0])
            if value not in known:
                raise ValueError(f"{name} is {' or '.join(known)}, got {value!r:.60}")
        if options:
            raise TypeError(f"{type(self).__name__} has no option {', '.join(options)}")

    def initialise(self, how: str, seed: int = 0) -> None:
        """Initialise all parameters for training, see `initial.initialise`."""
        initialise(self.layers, self.c, how, seed)

    @property
    def layers(self) -> Layers:
        """(weights, biases) of each layer, from the first to the last."""
        return layers_of(self.parameters)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The filter sizes."""
        return tuple(w.shape[2] for w, _ in self.layers)

    @property
    def filters(self) -> tuple[int, ...]:
        """The numbers of filters of all layers but the last."""
        return tuple(len(b) for _, b in self.layers[:-1])

    @property
    def bytes_per_pixel(self) -> float:
        """The input and the output, which may be larger; what is between stays in caches."""
        return 4 * self.c * (1 + 1 / self.seen.resolution**2)

    @property
    def activation(self) -> str:
        """The activation after every layer but the last: "relu" or "tanh"."""
        return self.options.get("activation", "relu")

    def _tensors(self, path: Path) -> Parameters:
        if path.suffix.lower() == ".safetensors":
            kinds = {"W": "weight", "B": "bias"}
            return {f"conv{n[1:]}.{kinds[n[0]]}": p for n, p in self.parameters.items()}
        return super()._tensors(path)

    def _described(self) -> dict[str, Any]:
        return {**super()._described(), "filters": list(self.filters), **self.options}
