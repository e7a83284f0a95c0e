"""The usual mistakes in the gradients of a network, each as what it makes of the right numbers.

`mistakes` lists them as changes of operations (`planted`): those of the input, the loss and the
output are here, those of a layer in `convolutions`, `orders`, `parts` and `activations`, those of
the sub-pixel shuffle in `shuffles`. `fitted` has those with a number in them; `diagnosis` looks for
those with which the network's own step gives the very numbers of somebody's.
"""

from functools import partial

import numpy as np

from ..reference import relu
from .activations import of_activations, sigmoid
from .convolutions import of_biases, of_convolutions, of_padding, shifted
from .orders import of_orders
from .parts import of_loss_parts, of_parts, of_sums
from .planted import Change, Mistake, Planted, Step, scaled
from .shuffles import of_shuffles

__all__ = ["mistakes"]


def mistakes(step: Step, trace: Planted) -> list[Mistake]:
    """All mistakes that have no free number, in a step that was run."""
    calls = trace.calls
    found = _of_the_loss(step.high) + _of_the_input()
    every = tuple(range(1, len(calls) + 1))
    for on in [*((k,) for k in every), every]:
        where = "in all layers" if len(on) > 1 else f"in layer {on[0]}"
        found += of_convolutions(where, on) + of_biases(where, on, calls)
        found += of_padding(where, on, calls, step.network.options.get("padding", "zeros"))
        found += of_sums(where, on) + of_parts(on, calls) + of_orders(where, on, calls)
    active = tuple(k for k in every if calls[k - 1].activation)
    for on in [*((k,) for k in active), *([active] if len(active) > 1 else [])]:
        found += of_activations(on, calls)
    if ("pixel_shuffle", 0) in trace.first:
        found += of_shuffles(step.network.c)
    return found + _of_the_output(step, f"F{len(calls)}")


def _of_the_input() -> list[Mistake]:
    """An input, or a target, that is not the given one."""
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
    """Something behind the last layer, which has nothing there."""
    network = step.network
    s = network.seen.resolution
    name = "output" if s > 1 else name

    def residual(right, z):
        enlarged = step.low.repeat(s, 2).repeat(s, 3)
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


def _of_the_loss(high: np.ndarray) -> list[Mistake]:
    """Other losses, and other factors of its gradient."""
    found = []
    for factor, words in _factors(high):
        scale = partial(scaled, factor)
        found += [
            Mistake("another factor of the loss", f"the loss and its gradient are {words}",
                    [("loss", 0, scale), ("dloss", 0, scale)]),
            Mistake("factor of the loss", f"the loss alone is {words}", [("loss", 0, scale)]),
            Mistake("factor of the gradient", f"the gradient of the loss, dF, is {words}",
                    [("dloss", 0, scale)]),
        ]  # fmt: skip
    others = [
        ("absolute differences", "is the mean of absolute differences, wanted that of squares",
         lambda d: np.mean(np.abs(d)), lambda d: np.sign(d) / d.size),
        ("Huber", "is that of Huber (smooth L1), linear where differences are above 1, wanted the "
         "mean of squares", lambda d: np.mean(_huber(d)), lambda d: np.clip(d, -1, 1) / d.size),
        ("root", "is the root of the mean squared error", lambda d: np.sqrt(np.mean(d**2)),
         lambda d: d / d.size / np.sqrt(np.mean(d**2))),
        ("log cosh", "is the mean of log(cosh(differences)), wanted that of squares",
         lambda d: np.mean(np.log(np.cosh(d))), lambda d: np.tanh(d) / d.size),
        ("PSNR", "is minus the PSNR, 10 log10 of the mean squared error",
         lambda d: 10 * np.log10(np.mean(d**2)),
         lambda d: 20 / np.log(10) * d / np.sum(d**2)),
        *(("Charbonnier", f"is Charbonnier's, the mean of sqrt(d^2 + {e:g}^2), wanted that of "
           "squares", lambda d, e=e: np.mean(np.hypot(d, e)),
           lambda d, e=e: d / np.hypot(d, e) / d.size) for e in (1e-3, 1e-6, 0.1, 1e-2)),
    ]  # fmt: skip
    for kind, words, value, slope in others:
        changes = [
            ("loss", 0, lambda right, out, high, f=value: f(out - high)),
            ("dloss", 0, lambda right, out, high, f=slope: f(out - high)),
        ]
        found += [
            Mistake(kind, f"the loss {words}", changes),
            Mistake(kind, f"the loss {words}; its gradient is right", changes[:1]),
            Mistake(kind, f"the gradient of the loss, dF, is of another loss: that {words}",
                    changes[1:]),
        ]  # fmt: skip
    return found + of_loss_parts()


def _huber(difference):
    far = np.abs(difference)
    return np.where(far < 1, far**2 / 2, far - 1 / 2)


def _factors(high: np.ndarray) -> list[tuple[float, str]]:
    """Factors that a loss or its gradient is given by mistake, with words for them."""
    n, pixels = len(high), high[0].size
    found = [
        (-1, "-1 times what is wanted: the wrong sign"),
        (1 / 2, "1/2 times what is wanted: a factor of 2 is missing"),
        (2, "2 times what is wanted: a factor of 2 too many"),
        (1 / n, f"1/{n} times what is wanted: divided by the {n} samples once too often"),
        (1 / pixels, f"1/{pixels} times what is wanted: divided by the {pixels} pixels of a "
         f"sample once too often"),
        (1 / high.size, f"1/{high.size} times what is wanted: divided by all {high.size} elements "
         f"once too often"),
    ]  # fmt: skip
    sums = [
        (n, f"a sum over the {n} samples"),
        (pixels, f"a mean over samples of the sum over a sample's {pixels} pixels, as in Eq. 4"),
        (high.size, f"a sum over all {high.size} elements"),
    ]
    for factor, words in sums:
        found.append((factor, f"{factor} times what is wanted: {words}, not the mean over all"))
        found.append((factor / 2, f"{factor / 2:g} times what is wanted: half of {words}"))
    return found
