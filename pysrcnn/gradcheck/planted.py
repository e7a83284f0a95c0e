"""A network's own step of training, on operations of which some are wrong.

`Planted` is an ops module like `reference` and `kernels`: a network's written-out `forward` and
`backward` run on it as on those. It does what `reference` does, but for the *changes* it was given,
each of one operation of one layer; and it tells what comes out on the way, by name.

Names as in `reference`: z = W * x + B and F = phi(z) are a layer's values, dz and dF the gradients
of the loss with respect to them. Layers are counted as the network calls `conv2d`: 1, 2, ...; layer
0 is what the network has but once, such as the loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import reference
from ..networks import Network
from ..networks.composed import Composed
from ..reference import col2im, im2col
from ..reference.convolution import PADDINGS

__all__ = ["Call", "Change", "Enough", "Mistake", "Planted", "Step", "dw_of", "scaled"]

Arrays = dict[str, np.ndarray]

# What is changed: the operation, the layer, and change(right, *arguments), which is given the
# operation as it is without the change, and its arguments.
Change = tuple[str, int, Callable]


class Mistake(NamedTuple):
    """A mistake: a word for it, a sentence that says what is wrong, and the changes it makes."""

    kind: str
    words: str
    changes: list[Change]
    fitted: bool = False  # whether a number in it was chosen to fit


def scaled(factor: float, right, *arguments):
    """A change: what the operation gives, times a factor."""
    return right(*arguments) * factor


class Enough(Exception):
    """What was wanted of a pass is known."""


class Step(NamedTuple):
    """A step of training: a network, whose options say how it pads, and a batch in float64."""

    network: Network
    low: np.ndarray
    high: np.ndarray

    def run(self, changes: Sequence[Change] = (), **options: Any) -> "Planted":
        """One forward and one backward pass with these changes; options are those of `Planted`."""
        planted = Planted(self.network.parameters, changes, **options)
        try:
            planted.step(self)
        except Enough:
            pass
        return planted

    def values(self, changes: Sequence[Change] = ()) -> Arrays:
        """What a pass computes, by name, in that order.

        F1, F2, ...: what each layer gives, behind its activation; "output" if that is not the last
        of them; loss; the gradients doutput, dF3, dW3, dB3, dF2, ..., dlow. dF1 is the gradient
        with respect to F1, so before the derivative of the activation.
        """
        return self.run(changes).values


@dataclass
class Call:
    """A convolution that the network called, and the activation behind it.

    x, w, b : its arguments; wide : x with its padding; z : its result; activation : "relu", "tanh"
    or None; before, f : what that took (z as a rule) and gave (z if there is none).
    """

    x: np.ndarray
    w: np.ndarray
    b: np.ndarray
    wide: np.ndarray
    z: np.ndarray
    before: np.ndarray
    f: np.ndarray
    activation: str | None = None


class Planted(Composed):
    """The ops module; one for each pass.

    Parameters
    ----------
    p : dict of arrays, the parameters
    changes : sequence of (operation, layer, change)
        Operations are those of `reference` that the methods below do not take apart, layer 0
        ("pixel_shuffle"); and, in the order in which they are done, "input", "target" (what the
        network gets and is to give, layer 0); "pad", "conv", "activation"; "output", "loss",
        "dloss", "output mask" (layer 0); "mask", what goes back through the activation; "kept", the
        input of a layer as the way back will use it; "into dw", "dw", "into db", "db", "into dx",
        "dx", what goes back through the convolution; "pad_backward".
    known : dict
        Results by the very changes and arrays they were computed from, so that hundreds of passes
        that differ in one operation share those before it. They hold on to the arrays, so that no
        other array can have the same id.
    keep : bool
        Whether to add this pass's results to `known`.
    report : function of (name, array)
        Called with each value as it is computed; may raise `Enough`.

    Attributes
    ----------
    calls : list of Call
    values : dict of arrays
    first, last : dict
        When each (operation, layer) was done, for the first and the last time: 1, 2, ...
    when : dict
        The last operation that each value comes from.
    """

    def __init__(
        self,
        p: Arrays,
        changes: Sequence[Change] = (),
        *,
        known: dict | None = None,
        keep: bool = False,
        report: Callable[[str, np.ndarray], None] | None = None,
    ):
        self.calls: list[Call] = []
        self.values: Arrays = {}
        self.first: dict[tuple[str, int], int] = {}
        self.last: dict[tuple[str, int], int] = {}
        self.when: dict[str, int] = {}
        self._names = {id(array): name for name, array in p.items()}
        self._known = {} if known is None else known
        self._keep, self._report = keep, report
        self._clock, self._told = 0, 0  # operations done; layers whose values were told
        self._unmasked: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # dz and dF, by id of dz
        self._changes: dict[tuple[str, int], tuple[Callable, ...]] = {}
        for operation, k, change in changes:
            self._changes[operation, k] = (*self._changes.get((operation, k), ()), change)

    def step(self, step: Step) -> None:
        """Forward, loss and backward."""
        network = step.network
        low = self._run("input", 0, _same, step.low)
        kept: list = []
        before = network._forward(low, network.parameters, self, kept, **network.options)
        name = f"F{len(self.calls)}" if before is self.calls[-1].f else "output"
        if name == "output":
            self._tell_layer()
        out = self._run("output", 0, _same, before)
        self._tell(name, out)
        high = self._run("target", 0, _same, step.high)
        self._tell("loss", np.array(self._run("loss", 0, reference.mse, out, high)))
        dout = self._run("dloss", 0, reference.mse_backward, out, high)
        self._tell(f"d{name}", dout)
        dout = self._run("output mask", 0, _same, dout, before)
        dlow, gradients = network._backward(dout, kept, network.parameters, self, **network.options)
        self._tell("dlow", dlow)
        for name in [name for name in gradients if f"d{name}" not in self.values]:
            self._tell(f"d{name}", gradients[name])  # weights that are used more than once
            of = [k for k, c in enumerate(self.calls, 1) if name in map(self._name, (c.w, c.b))]
            self.when[f"d{name}"] = max((self.last["db", k] for k in of), default=self._clock)

    def _run(self, operation: str, k: int, right: Callable, *arguments: Any) -> Any:
        self._clock += 1
        self.first.setdefault((operation, k), self._clock)
        self.last[operation, k] = self._clock
        changes = self._changes.get((operation, k), ())
        key = operation, k, changes, *map(id, arguments)
        if key in self._known:
            return self._known[key][0]
        for change in changes:
            right = partial(change, right)
        result = right(*arguments)
        if self._keep:
            self._known[key] = result, arguments
        return result

    def _name(self, parameter: np.ndarray) -> str:
        """ "" of what is none, such as the biases of a layer before batch normalisation."""
        return self._names.get(id(parameter), "")

    def _tell(self, name: str, value: np.ndarray) -> None:
        if name not in self.values:
            self.values[name], self.when[name] = value, self._clock
            if self._report:
                self._report(name, value)

    def _tell_layer(self) -> None:
        """F of the last layer, when it is known that no activation follows."""
        if self._told < len(self.calls):
            self._told = len(self.calls)
            self._tell(f"F{self._told}", self.calls[-1].f)

    def _columns(self, x: np.ndarray, f: int) -> np.ndarray:
        key = "columns", id(x), f
        if key in self._known:
            return self._known[key][0]
        result = im2col(x, f)
        if self._keep and result.nbytes < 2**26:
            self._known[key] = result, x
        return result

    # ------------------------------------------------------------------------- the operations

    def __getattr__(self, name: str) -> Callable:
        """Any operation of `reference` that is not taken apart below."""
        operation = getattr(reference, name)

        def run(*arguments: Any) -> Any:
            if not name.endswith("_backward"):
                self._tell_layer()
            return self._run(name, 0, operation, *arguments)

        return run

    def conv2d(
        self, x: np.ndarray, w: np.ndarray, b: np.ndarray, padding: str = "valid"
    ) -> np.ndarray:
        """See `reference.conv2d`."""
        self._tell_layer()
        k = len(self.calls) + 1
        wide = self._run("pad", k, partial(PADDINGS[padding][0], p=w.shape[2] // 2), x)
        z = self._run("conv", k, partial(_conv, self._columns), wide, w, b)
        self.calls.append(Call(x, w, b, wide, z, z, z))
        return z

    def conv2d_backward(
        self, dout: np.ndarray, x: np.ndarray, w: np.ndarray, padding: str = "valid"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `reference.conv2d_backward`."""
        k = next(k for k, call in enumerate(self.calls, 1) if call.x is x and call.w is w)
        call, p = self.calls[k - 1], w.shape[2] // 2
        if call.activation is None:
            self._tell(f"dF{k}", dout)
        df = self._unmasked[id(dout)][1] if id(dout) in self._unmasked else dout
        before = next((c.before for c in self.calls if c.f is x), x)
        kept, wide = self._run("kept", k, _same, x, before), call.wide
        if kept is not x:
            wide = PADDINGS[padding][0](kept, p)
        once = sum(other.w is w for other in self.calls) == 1
        dz = self._run("into dw", k, _same, dout, df)
        dw = self._run("dw", k, partial(_dw, self._columns), dz, wide, w)
        if once:  # else the gradient is a sum that is known in the end
            self._tell(f"d{self._name(w)}", dw)
        db = self._run("db", k, _db, self._run("into db", k, _same, dout, df))
        if once and self._name(call.b):
            self._tell(f"d{self._name(call.b)}", db)
        dx = self._run("dx", k, _dx, self._run("into dx", k, _same, dout, df), wide, w)
        return self._run("pad_backward", k, partial(PADDINGS[padding][1], p=p), dx), dw, db

    def relu(self, x: np.ndarray) -> np.ndarray:
        """See `reference.relu`."""
        return self._activation("relu", x)

    def tanh(self, x: np.ndarray) -> np.ndarray:
        """See `reference.tanh`."""
        return self._activation("tanh", x)

    def relu_backward(self, dout: np.ndarray, x: np.ndarray) -> np.ndarray:
        """See `reference.relu_backward`."""
        return self._mask(reference.relu_backward, dout, x)

    def tanh_backward(self, dout: np.ndarray, out: np.ndarray) -> np.ndarray:
        """See `reference.tanh_backward`."""
        return self._mask(reference.tanh_backward, dout, out)

    def _activation(self, name: str, z: np.ndarray) -> np.ndarray:
        call = self.calls[-1]
        call.activation, call.before = name, z
        call.f = self._run("activation", len(self.calls), getattr(reference, name), z)
        self._tell_layer()
        return call.f

    def _mask(self, backward: Callable, df: np.ndarray, f: np.ndarray) -> np.ndarray:
        k = next(k for k, c in enumerate(self.calls, 1) if f is c.f or f is c.before)
        z = self.calls[k - 1].before
        after = self.calls[k].z if k < len(self.calls) else None
        self._tell(f"dF{k}", df)
        # ReLU's may as well be told from what it took, and then no change of it is one of the mask.
        of = z if backward is reference.relu_backward else f
        dz = self._run("mask", k, lambda df, z, after: backward(df, of), df, z, after)
        self._unmasked[id(dz)] = dz, df
        return dz


def _same(x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    return x


# The lines of `reference.conv2d` and `conv2d_backward`, apart from each other, so that a change of
# one does not compute the others again, nor the columns.


def _conv(columns: Callable, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    (o, _, f, _), (height, width) = w.shape, x.shape[2:]
    out = w.reshape(o, -1) @ columns(x, f) + b[:, None]
    return out.reshape(len(x), o, height - f + 1, width - f + 1)


def _dw(columns: Callable, dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    cols = columns(x, w.shape[2]).transpose(0, 2, 1)
    return (dz.reshape(*dz.shape[:2], -1) @ cols).sum(axis=0).reshape(w.shape)


def dw_of(dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """dW of a layer from dz, as the operation "dw" computes it."""
    return _dw(im2col, dz, x, w)


def _dx(dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    dz = dz.reshape(*dz.shape[:2], -1)
    return col2im(w.reshape(len(w), -1).T @ dz, x.shape, w.shape[2])


def _db(dz: np.ndarray) -> np.ndarray:
    return dz.sum(axis=(0, 2, 3))
