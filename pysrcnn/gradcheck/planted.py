"""Run a network's own training step on operations of which some are wrong.

`Planted` is an ops module like `reference` and `kernels`, on which a network's `forward` and
`backward` run. It computes what `reference` does, except for the *changes* it is given, each of one
operation in one layer; and it records intermediate values by name.

Names are as in `reference`: z = W * x + B and F = phi(z) are a layer's values, dz and dF the
gradients of the loss with respect to them. Layers are numbered 1, 2, ... as the network calls
`conv2d`; layer 0 stands for operations the network has only once, such as the loss. In names,
layers are called by their weights: F1, F_head; F[2] is the output of the second use of W.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import reference
from ..networks import Network
from ..reference.convolution import PADDINGS
from . import apart
from .changes import Call, Change, Norm
from .recording import Arrays, Recording
from .skips import Skip, skips

__all__ = ["Enough", "Planted", "Step"]


class Enough(Exception):
    """Raised to end a pass once everything wanted of it is known."""


class Step(NamedTuple):
    """A training step: a network, whose options say how it pads, and a batch in float64.

    alpha: for DRCN, the total share of the loss for the pictures after each recursion.
    """

    network: Network
    low: np.ndarray
    high: np.ndarray
    loss: str = "mse"
    alpha: float = 0.0

    def run(self, changes: Sequence[Change] = (), **options: Any) -> "Planted":
        """Run a forward and a backward pass with these changes; options are those of `Planted`."""
        planted = Planted(self.network.parameters, changes, **options)
        try:
            planted.step(self)
        except Enough:
            pass
        return planted

    def values(self, changes: Sequence[Change] = ()) -> Arrays:
        """Return what a pass computes, by name, in the order of computation.

        F1, F2, ...: the output of each layer after its activation; "output" if that is not the last
        F; loss; the gradients doutput, dF3, dW3, dB3, dF2, ..., dlow. dF1 is the gradient with
        respect to F1, not yet multiplied by the derivative of the activation. Running statistics
        have no gradient.
        """
        return self.run(changes).values

    def shares(self, recursions: int) -> list[float]:
        """Shares of the loss: of the output, then of the picture after each recursion."""
        if not recursions:
            return [1.0]
        return [1 - self.alpha, *[self.alpha / recursions] * recursions]


class Planted(Recording):
    """The ops module; one for each pass.

    Parameters
    ----------
    p : dict of arrays, the parameters
    changes : sequence of (operation, layer, change)
        Operations are, in layer 0, those of `reference` without a method below ("pixel_shuffle"
        too); and, in the order in which they run, "input", "options" (those of `forward`),
        "averaging" (w of DRCN in `forward`), all in layer 0; "pad", "conv", "moments",
        "batch_norm"; "skip", the output of a layer beside a skip, whose number in `skips.skips`
        stands for the layer; "activation"; "output", "target" (what the network should give),
        "shares", "loss", "dshares", "dloss", "output mask", "averaging back", "options back", in
        layer 0; "mask", the gradient through the activation; "dslope" of PReLU; "dgamma", "dbeta",
        "norm back" (`apart.norm_back`), "moments_backward"; "kept", a layer's input as the backward
        pass uses it; "into dw", "dw", "into db", "db", "into dx", "dx", the gradient through the
        convolution; "pad_backward"; "past", that gradient before the one along a skip, whose number
        stands for the layer, is added.
    known, keep, report
        See `Recording`, whose attributes it has too.

    Attributes
    ----------
    calls : list of Call
    dz : dict of arrays
        The gradient each convolution received in the backward pass, by label.
    """

    def __init__(self, p: Arrays, changes: Sequence[Change] = (), **options: Any):
        super().__init__(p, changes, **options)
        self.calls: list[Call] = []
        self.dz: Arrays = {}
        self._told = 0  # layers whose values were recorded
        self._skips: list[Skip] = []
        self._dout: Arrays = {}  # the same, of batch normalisation's output if there is one
        self._unmasked: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # dz and dF, by id of dz

    def step(self, step: Step) -> None:
        """Run forward, loss and backward."""
        network, p = step.network, step.network.parameters
        self._skips = skips(network)
        low = self._run("input", 0, _same, step.low)
        kept: list = []
        options = self._run("options", 0, _same, network.options)
        before = network._forward(low, self._averaging("averaging", p), self, kept, **options)
        name = "output"
        if before is self.calls[-1].f and not self._skips:
            name = f"F{self.calls[-1].label}"
        else:
            self._tell_layer()
        out = self._run("output", 0, _same, before)
        self._tell(name, out)
        high = self._run("target", 0, _same, step.high)
        dout, *more = self._losses(step, [out, *_pictures(network, kept)], high, name)
        dout = self._run("output mask", 0, _same, dout, before)
        p, options = (
            self._averaging("averaging back", p),
            self._run("options back", 0, _same, network.options),
        )
        dlow, gradients = network._backward(
            dout, kept, p, self, *([more] if more else []), **options
        )
        self._tell("dlow", dlow)
        more_than_once = [name for name in gradients if f"d{name}" not in self.values]
        for name in [name for name in more_than_once if name not in network.statistics]:
            self._tell(f"d{name}", gradients[name])
            of = [k for k, c in enumerate(self.calls, 1) if name in (c.weights, c.biases)]
            self.when[f"d{name}"] = max((self.last["db", k] for k in of), default=self._clock)

    def _averaging(self, operation: str, p: Arrays) -> Arrays:
        """The parameters, with DRCN's averaging weights replaced if they are changed."""
        return {**p, "w": self._run(operation, 0, _same, p["w"])} if "w" in p else p

    def _losses(
        self, step: Step, pictures: list[np.ndarray], high: np.ndarray, name: str
    ) -> list[np.ndarray]:
        """The gradient of the loss with respect to the output, and to DRCN's other pictures."""
        of, slope = getattr(reference, step.loss), getattr(reference, f"{step.loss}_backward")
        recursions = len(pictures) - 1
        shares = self._run("shares", 0, step.shares, recursions)
        losses = [self._run("loss", 0, of, y, high) for y in pictures]
        self._tell("loss", np.array(np.dot(shares, losses)))
        shares = self._run("dshares", 0, step.shares, recursions)
        douts = [
            s * self._run("dloss", 0, slope, y, high) for s, y in zip(shares, pictures, strict=True)
        ]
        self._tell(f"d{name}", douts[0])
        return douts

    def _tell_layer(self) -> None:
        """Record F of the last layer once it is known that no activation follows."""
        if self._told < len(self.calls):
            self._told = len(self.calls)
            self._tell(f"F{self.calls[-1].label}", self.calls[-1].f)

    # ------------------------------------------------------------------------- the operations

    def __getattr__(self, name: str) -> Callable:
        """Any operation of `reference` without a method below."""
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
        z = self._run("conv", k, partial(apart.conv, self._columns), wide, w, b)
        names = self._name(w), self._name(b)
        if names[1]:  # otherwise batch normalisation follows
            z = self._beside(names[0], z)
        use = 1 + sum(call.w is w for call in self.calls)
        self.calls.append(Call(x, w, b, wide, z, z, z, *names, use))
        return z

    def _beside(self, weights: str, z: np.ndarray) -> np.ndarray:
        """The output of a layer, with the changes of skips that end beside it."""
        for number, skip in enumerate(self._skips, 1):
            if skip.beside == weights:
                start = next(c.x for c in reversed(self.calls) if c.weights == skip.begins)
                z = self._run("skip", number, _same, z, start)
        return z

    def conv2d_backward(
        self, dout: np.ndarray, x: np.ndarray, w: np.ndarray, padding: str = "valid"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `reference.conv2d_backward`."""
        k = next(k for k, call in enumerate(self.calls, 1) if call.x is x and call.w is w)
        call, p = self.calls[k - 1], w.shape[2] // 2
        self.dz[call.label] = dout
        self._dout.setdefault(call.label, dout)
        self._tell(f"dF{call.label}", dout)  # unless its activation did
        df = self._unmasked[id(dout)][1] if id(dout) in self._unmasked else dout
        before = next((c.before for c in self.calls if c.f is x), x)
        kept, wide = self._run("kept", k, _same, x, before), call.wide
        if kept is not x:
            wide = PADDINGS[padding][0](kept, p)
        once = sum(other.w is w for other in self.calls) == 1
        dz = self._run("into dw", k, _same, dout, df)
        dw = self._run("dw", k, partial(apart.dw, self._columns), dz, wide, w)
        if once:  # otherwise the gradient is a sum, known only at the end
            self._tell(f"d{call.weights}", dw)
        db = self._run("db", k, apart.db, self._run("into db", k, _same, dout, df))
        if once and call.biases:  # none before batch normalisation
            self._tell(f"d{call.biases}", db)
        dx = self._run("dx", k, apart.dx, self._run("into dx", k, _same, dout, df), wide, w)
        dx = self._run("pad_backward", k, partial(PADDINGS[padding][1], p=p), dx)
        for number, skip in enumerate(self._skips, 1):
            if skip.begins == call.weights:
                ends = [c for c in self.calls if c.weights == skip.beside]
                dx = self._run("past", number, _same, dx, *(self._dout[c.label] for c in ends))
        return dx, dw, db

    def conv2d_strided(self, x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int) -> np.ndarray:
        """See `reference.conv2d_strided`: every s-th row and column of `conv2d`."""
        z = self.conv2d(x, w, b, "zeros")[:, :, ::s, ::s]
        self.calls[-1].before = self.calls[-1].f = z
        return z

    def conv2d_strided_backward(
        self, dout: np.ndarray, x: np.ndarray, w: np.ndarray, s: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `reference.conv2d_strided_backward`."""

        def spread(d: np.ndarray) -> np.ndarray:
            whole = np.zeros((*d.shape[:2], *x.shape[2:]), d.dtype)
            whole[:, :, ::s, ::s] = d
            return whole

        whole = spread(dout)
        if id(dout) in self._unmasked:
            self._unmasked[id(whole)] = whole, spread(self._unmasked[id(dout)][1])
        return self.conv2d_backward(whole, x, w, "zeros")

    def moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `reference.moments`."""
        return self._run("moments", len(self.calls), reference.moments, x)

    def batch_norm(
        self,
        x: np.ndarray,
        gamma: np.ndarray,
        beta: np.ndarray,
        mean: np.ndarray,
        variance: np.ndarray,
    ) -> np.ndarray:
        """See `reference.batch_norm`."""
        call, given = self.calls[-1], (x, gamma, beta, mean, variance)
        call.norm = Norm(gamma, beta, (self._name(gamma), self._name(beta)))
        out = self._run("batch_norm", len(self.calls), reference.batch_norm, *given)
        call.before = call.f = self._beside(call.weights, out)
        return call.f

    def batch_norm_backward(
        self,
        dout: np.ndarray,
        x: np.ndarray,
        gamma: np.ndarray,
        mean: np.ndarray,
        variance: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """See `reference.batch_norm_backward`."""
        k = self._number(x)
        call = self.calls[k - 1]
        self._dout[call.label] = dout
        self._tell(f"dF{call.label}", dout)
        dgamma = self._run("dgamma", k, apart.dgamma, dout, x, mean, variance)
        self._tell(f"d{self._name(gamma)}", dgamma)
        dbeta = self._run("dbeta", k, apart.db, dout)
        self._tell(f"dB{call.weights[1:]}", dbeta)
        back = self._run("norm back", k, apart.norm_back, dout, x, gamma, mean, variance)
        dx, dmean, dvariance = back
        return dx, dgamma, dbeta, dmean, dvariance

    def moments_backward(
        self, dmean: np.ndarray, dvariance: np.ndarray, x: np.ndarray, mean: np.ndarray
    ) -> np.ndarray:
        """See `reference.moments_backward`."""
        given = dmean, dvariance, x, mean
        return self._run("moments_backward", self._number(x), reference.moments_backward, *given)

    def _number(self, z: np.ndarray) -> int:
        """The number of the layer whose convolution gave z."""
        return next(k for k, call in enumerate(self.calls, 1) if call.z is z)

    def pixel_shuffle(self, x: np.ndarray, s: int) -> np.ndarray:
        """See `reference.pixel_shuffle`."""
        self._tell_layer()
        return x if s == 1 else self._run("pixel_shuffle", 0, reference.pixel_shuffle, x, s)

    def pixel_shuffle_backward(self, dout: np.ndarray, s: int) -> np.ndarray:
        """See `reference.pixel_shuffle_backward`."""
        if s == 1:
            return dout
        return self._run("pixel_shuffle_backward", 0, reference.pixel_shuffle_backward, dout, s)

    def relu(self, x: np.ndarray) -> np.ndarray:
        """See `reference.relu`."""
        return self._activation("relu", x)

    def tanh(self, x: np.ndarray) -> np.ndarray:
        """See `reference.tanh`."""
        return self._activation("tanh", x)

    def prelu(self, x: np.ndarray, a: np.ndarray) -> np.ndarray:
        """See `reference.prelu`."""
        self.calls[-1].slopes = a, self._name(a)
        return self._activation("prelu", x, a)

    def relu_backward(self, dout: np.ndarray, x: np.ndarray) -> np.ndarray:
        """See `reference.relu_backward`."""
        return self._mask(reference.relu_backward, dout, x)

    def tanh_backward(self, dout: np.ndarray, out: np.ndarray) -> np.ndarray:
        """See `reference.tanh_backward`."""
        return self._mask(reference.tanh_backward, dout, out)

    def prelu_backward(
        self, dout: np.ndarray, x: np.ndarray, a: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `reference.prelu_backward`."""
        k = next(k for k, call in enumerate(self.calls, 1) if call.before is x)
        dx = self._mask(lambda df, z: reference.prelu_backward(df, z, a)[0], dout, x)
        da = self._run("dslope", k, lambda df, z: reference.prelu_backward(df, z, a)[1], dout, x)
        self._tell(f"d{self._name(a)}", da)
        return dx, da

    def _activation(self, name: str, z: np.ndarray, *slopes: np.ndarray) -> np.ndarray:
        call, operation = self.calls[-1], getattr(reference, name)
        call.activation, call.before = name, z
        call.f = self._run("activation", len(self.calls), lambda z: operation(z, *slopes), z)
        self._tell_layer()
        return call.f

    def _mask(self, backward: Callable, df: np.ndarray, f: np.ndarray) -> np.ndarray:
        k = next(k for k, c in enumerate(self.calls, 1) if f is c.f or f is c.before)
        z = self.calls[k - 1].before
        after = self.calls[k].z if k < len(self.calls) else None
        label = self.calls[k - 1].label
        if self.values[f"F{label}"] is self.calls[k - 1].f:  # otherwise it is before a shuffle
            self._tell(f"dF{label}", df)
        # ReLU's mask is computed from its input, so changes of its output leave the mask alone.
        of = z if backward is reference.relu_backward else f
        dz = self._run("mask", k, lambda df, z, after: backward(df, of), df, z, after)
        self._unmasked[id(dz)] = dz, df
        return dz


def _same(x: Any, *rest: Any) -> Any:
    return x


def _pictures(network: Network, kept: list) -> list[np.ndarray]:
    """What the loss is taken of besides the output: DRCN's picture after each recursion."""
    return kept[-1] if network.name == "drcn" else []
