"""The usual mistakes in the gradients of a network, as changes to the right computation.

`mistakes` lists them as changes of operations (`planted`): those of the input and the output are
here, of the loss in `losses`, of a layer in `convolutions`, `orders`, `parts`, `norms`,
`activations` and `slopes`, of the sub-pixel shuffle in `shuffles`, of deep networks in `deep`, of
motion in `motions`. `fitted` has those with a number in them. `diagnosis` looks for the mistakes
with which the network's own step reproduces somebody's numbers.
"""

from functools import partial

import numpy as np

from ..reference import relu
from .activations import of_activations, sigmoid
from .changes import Change, Mistake, groups, where
from .convolutions import of_biases, of_convolutions, of_padding, shifted
from .deep import of_deep
from .losses import of_the_loss
from .norms import of_norms
from .orders import of_orders
from .parts import of_parts, of_sums
from .planted import Planted, Step
from .shuffles import of_shuffles
from .slopes import of_slopes

__all__ = ["mistakes"]


def mistakes(step: Step, trace: Planted) -> list[Mistake]:
    """List all mistakes without a free number, for a step that was run.

    Each is made in one layer (in all its uses) or in all layers; those of activations also in one
    use alone.
    """
    calls = trace.calls
    found = of_the_loss(step.high, step.loss) + _of_the_input()
    every = tuple(range(1, len(calls) + 1))
    shared = groups(calls)
    alone = [(k,) for k in every if not any(k in on for on in shared)]
    for on in [*alone, *shared, every]:
        words = where(on, calls)
        biased = tuple(k for k in on if calls[k - 1].biases or not calls[k - 1].norm)
        found += of_convolutions(words, on)
        found += of_biases(words, biased, calls) if biased else []
        found += of_padding(words, on, calls, step.network.options.get("padding", "zeros"))
        found += of_sums(words, on) + of_parts(on, calls) + of_orders(words, on, calls)
    active = tuple(k for k in every if calls[k - 1].activation)
    sets = [(k,) for k in active] + [on for on in shared if on[0] in active]
    for on in [*sets, *([active] if len(active) > 1 else [])]:
        of = of_slopes if calls[on[0] - 1].activation == "prelu" else of_activations
        found += of(on, calls)
    found += of_norms(calls, step.network.options.get("training", False)) + of_deep(step, calls)
    if ("pixel_shuffle", 0) in trace.first:
        found += of_shuffles(step.network.c)
    return found + _of_the_output(step, f"F{calls[-1].label}")


def _of_the_input() -> list[Mistake]:
    """An input, or a target, other than the given one."""
    places = [
        ("the input of layer 1 is", ["input"]),
        ("the input and what the output is compared with are", ["input", "target"]),
        ("what the output is compared with is", ["target"]),
        ("the input from which dW1 is computed is", ["kept"]),
    ]
    ways = [
        ("input centred", "centred (its mean subtracted)", lambda x: x - x.mean()),
        ("input centred", "centred (each sample's mean subtracted)", lambda x: x - _mean(x)),
        ("input centred", "centred (the mean of the samples subtracted)",
         lambda x: x - x.mean(0, keepdims=True)),
        ("input centred", "lowered by 0.5", lambda x: x - 0.5),
        ("input scaled", "scaled to -1..1 (2 x - 1)", lambda x: 2 * x - 1),
        ("input scaled", "scaled to 0..255", lambda x: x * 255),
        ("input scaled", "scaled to -127.5..127.5", lambda x: x * 255 - 127.5),
        ("input scaled", "divided by 255 once too often", lambda x: x / 255),
        ("input scaled", "multiplied by 256", lambda x: x * 256),
        ("input scaled", "divided by its largest value", lambda x: x / x.max()),
        ("input scaled", "spread from its smallest and largest value to 0..1",
         lambda x: (x - x.min()) / (x.max() - x.min())),
        ("input standardized", "divided by its standard deviation", lambda x: x / x.std()),
        ("input standardized", "standardized (mean 0, standard deviation 1)",
         lambda x: (x - x.mean()) / x.std()),
        ("input standardized", "standardized (mean 0, standard deviation 1, with N - 1)",
         lambda x: (x - x.mean()) / x.std(ddof=1)),
        ("input standardized", "standardized (mean 0, standard deviation 1) sample by sample",
         lambda x: (x - _mean(x)) / x.std((1, 2, 3), keepdims=True)),
        ("input inverted", "inverted (1 - x)", lambda x: 1 - x),
        ("input of whole numbers", "cut to whole numbers (an integer type?)", np.floor),
        ("input of 8 bits", "rounded to 8 bits", lambda x: np.round(255 * x) / 255),
        ("input flipped", "turned by 180 degrees", lambda x: x[:, :, ::-1, ::-1]),
        ("input flipped", "upside down", lambda x: x[:, :, ::-1]),
        ("input flipped", "mirrored left to right", lambda x: x[:, :, :, ::-1]),
        ("input misread", "read with rows and columns exchanged (reshaped, not transposed)",
         lambda x: x.swapaxes(2, 3).reshape(x.shape)),
        ("input misread", "read with rows and columns exchanged (reshaped, not transposed)",
         lambda x: x.reshape(*x.shape[:2], *x.shape[:1:-1]).swapaxes(2, 3)),
        ("samples reversed", "in the reverse order of samples", lambda x: x[::-1]),
        ("samples rolled", "moved by one sample", lambda x: np.roll(x, 1, 0)),
        ("first sample's", "that of the first sample for all", lambda x: x[:1].repeat(len(x), 0)),
        ("last sample's", "that of the last sample for all", lambda x: x[-1:].repeat(len(x), 0)),
        ("input shifted", "shifted one row down", partial(shifted, 1, 0)),
        ("input shifted", "shifted one row up", partial(shifted, -1, 0)),
        ("input shifted", "shifted one column right", partial(shifted, 0, 1)),
        ("input shifted", "shifted one column left", partial(shifted, 0, -1)),
    ]  # fmt: skip
    return [
        Mistake(f"{kind} ({'+'.join(operations)})", f"{what} {words}, wanted as given",
                [(o, int(o == "kept"), lambda right, x, *rest, way=way: way(x))
                 for o in operations])
        for what, operations in places for kind, words, way in ways
    ]  # fmt: skip


def _mean(x):
    return x.mean((1, 2, 3), keepdims=True)


def _of_the_output(step: Step, name: str) -> list[Mistake]:
    """Operations after the last layer, where there should be none."""
    network = step.network
    s = network.seen.resolution
    name = "output" if s > 1 else name
    first = network.frames // 2 * network.c
    middle = slice(first, first + network.c)  # channels of the middle frame

    def residual(right, z):
        enlarged = step.low[:, middle].repeat(s, 2).repeat(s, 3)
        top, left = ((n - m) // 2 for n, m in zip(enlarged.shape[2:], z.shape[2:], strict=True))
        return right(z) + enlarged[:, :, top : top + z.shape[2], left : left + z.shape[3]]

    what = "the input (its middle)" if s == 1 else "the input (its middle, each pixel repeated)"
    found = [
        Mistake("residual", f"{what} is added to {name}: the network learns "
                "what is to be added to its input, wanted the output itself",
                [("output", 0, residual)]),
    ]  # fmt: skip
    for kind, words, what, function, passes in [
        ("ReLU after the last layer", "goes through a ReLU", "a ReLU", relu, lambda z: z > 0),
        ("clamp after the last layer", "is clamped to 0..1", "a clamp to 0..1",
         lambda z: np.clip(z, 0, 1), lambda z: (z > 0) & (z < 1)),
        ("sigmoid after the last layer", "goes through a sigmoid", "a sigmoid",
         sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
        ("tanh after the last layer", "goes through a tanh", "a tanh",
         np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    ]:  # fmt: skip
        forward: list[Change] = [("output", 0, lambda right, z, f=function: f(z))]
        mask: list[Change] = [("output mask", 0, lambda right, df, z, p=passes: df * p(z))]
        found += [
            Mistake(kind, f"{name} {words}, wanted as the last layer gives it", forward + mask),
            Mistake(kind, f"{name} {words}, wanted as the last layer gives it", forward),
            Mistake(kind.replace("after", "as mask of"), f"d{name} is masked as if there were "
                    f"{what} after the last layer", mask),
        ]  # fmt: skip
    return found
