"""Mistakes of batch normalisation: in its statistics, and in the gradient through them.

xhat = (z - mean) / sqrt(variance + epsilon), out = gamma xhat + beta. In training, mean and
variance are those of each feature map over all samples and pixels of the batch, so z reaches the
output by three paths.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..reference.normalisation import EPSILON
from .changes import Call, Change, Mistake, scaled, ways

__all__ = ["of_norms"]

_ALL = (0, 2, 3)  # axes of the statistics: samples, rows, columns


def of_norms(calls: list[Call], training: bool) -> list[Mistake]:
    """Mistakes of each batch normalisation, and of all; training: batch statistics are used."""
    every = tuple(k for k, call in enumerate(calls, 1) if call.norm)
    found = _of_running(training) if every else []
    for on in [*((k,) for k in every), *([every] if len(every) > 1 else [])]:
        where = "behind all layers that have it" if len(on) > 1 else (
            f"behind layer {calls[on[0] - 1].layer}")  # fmt: skip
        if training:
            found += _of_axes(where, on) + _of_constants(where, on) + _of_n(where, on)
        found += _of_spread(where, on) + _of_parts(where, on, training)
        found += _of_parameters(on, calls)
    return found


def _wide(*vectors: np.ndarray) -> list[np.ndarray]:
    return [v[:, None, None] for v in vectors]


def _at(operation: str, on: tuple[int, ...], change: Callable) -> list[Change]:
    return [(operation, k, change) for k in on]


def _of_running(training: bool) -> list[Mistake]:
    """The wrong statistics: running ones in training, those of the batch in inference."""

    def other(right: Any, options: dict) -> dict:
        return {**options, "training": not training}

    words = (
        "batch normalisation uses the running statistics (as in use), wanted those of the batch"
        if training
        else "batch normalisation uses the statistics of the batch (as in training), wanted the "
        "running ones"
    )
    forward: list[Change] = [("options", 0, other)]
    back: list[Change] = [("options back", 0, other)]
    found = [
        Mistake("other statistics", f"{words}, forward and backward alike", forward + back),
        Mistake("other statistics", f"{words}, in the forward pass", forward),
    ]
    return found if training else found + [
        Mistake("gradient of the statistics", "the gradient goes back through mean and variance, "
                "which are running ones here: constants", back)]  # fmt: skip


# -------------------------------------------------------------------------- statistics of a batch

_AXES: list[tuple[tuple[int, ...], str]] = [
    ((2, 3), "of each sample alone (over rows and columns, as instance normalisation has it)"),
    ((0,), "of each pixel alone (over the samples)"),
    ((0, 1, 2, 3), "of all channels together"),
    ((1, 2, 3), "of each sample alone, over all its channels (as layer normalisation has it)"),
    ((1,), "of each pixel of each sample, over the channels"),
    ((0, 2), "of each column alone (over samples and rows)"),
    ((0, 3), "of each row alone (over samples and columns)"),
]


def _normalised(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return xhat and 1 / sqrt(variance + epsilon), with statistics over these axes."""
    mean = x.mean(axes, keepdims=True)
    one = 1 / np.sqrt(np.square(x - mean).mean(axes, keepdims=True) + EPSILON)
    return (x - mean) * one, one


def _of_axes(where: str, on: tuple[int, ...]) -> list[Mistake]:
    found = []
    for axes, words in _AXES:
        forward = _at("batch_norm", on, partial(_norm_over, axes))
        back = _at("norm back", on, partial(_back_over, axes, axes))
        back += _at("dgamma", on, partial(_dgamma_over, axes))
        what = f"mean and variance of the batch normalisation {where} are those {words}, wanted "
        what += "those of each channel over all samples, rows and columns"
        found += [
            Mistake("statistics over other axes", f"{what}, forward and backward alike",
                    forward + back),
            Mistake("statistics over other axes", f"{what}, in the forward pass", forward),
            Mistake("sums over other axes", "the two sums of the gradient that goes back through "
                    f"mean and variance of the batch normalisation {where} are those {words}, "
                    "wanted those of each channel over all samples, rows and columns",
                    _at("norm back", on, partial(_back_over, _ALL, axes))),
        ]  # fmt: skip
    return found


def _norm_over(axes, right, x, gamma, beta, mean, variance):
    gamma, beta = _wide(gamma, beta)
    return gamma * _normalised(x, axes)[0] + beta


def _back_over(axes, sums, right, dout, x, gamma, mean, variance):
    """The whole gradient with respect to x; those of mean and variance are then 0."""
    xhat, one = _normalised(x, axes)
    g = dout * gamma[:, None, None]
    dx = one * (g - g.mean(sums, keepdims=True) - xhat * (g * xhat).mean(sums, keepdims=True))
    return dx, 0 * mean, 0 * variance


def _dgamma_over(axes, right, dout, x, mean, variance):
    return (dout * _normalised(x, axes)[0]).sum(_ALL)


def _of_constants(where: str, on: tuple[int, ...]) -> list[Mistake]:
    """Gradients through mean and variance that are forgotten or wrong."""
    start = f"the gradient through the {{}} of the batch normalisation {where} is {{}}"
    forgotten = "forgotten ({} treated as constant), wanted that of all three ways"
    each: list[tuple[str, str, str, Callable]] = [
        ("statistics as constants", "mean and variance", forgotten.format("they are"),
         lambda right, dm, dv, x, mean: 0 * right(dm, dv, x, mean)),
        ("mean as a constant", "mean", forgotten.format("it is"),
         lambda right, dm, dv, x, mean: right(0 * dm, dv, x, mean)),
        ("variance as a constant", "variance", forgotten.format("it is"),
         lambda right, dm, dv, x, mean: right(dm, 0 * dv, x, mean)),
        ("factor 2 of the variance", "variance", "without the factor 2 of the square",
         lambda right, dm, dv, x, mean: right(dm, dv / 2, x, mean)),
        ("mean not subtracted", "variance", "2 z times its share, wanted 2 (z - mean)",
         lambda right, dm, dv, x, mean: right(dm, dv, x, 0 * mean)),
        ("divided by samples", "mean and variance", "divided by the number of samples alone, "
         "wanted that of samples, rows and columns",
         lambda right, dm, dv, x, mean: right(dm, dv, x, mean) * x[0, 0].size),
        ("divided by pixels", "mean and variance", "divided by the number of pixels alone, wanted "
         "that of samples, rows and columns",
         lambda right, dm, dv, x, mean: right(dm, dv, x, mean) * len(x)),
        ("not divided", "mean and variance", "not divided by the number of values",
         lambda right, dm, dv, x, mean: right(dm, dv, x, mean) * x[:, 0].size),
        ("sign", "mean and variance", "of the wrong sign",
         lambda right, dm, dv, x, mean: -right(dm, dv, x, mean)),
        ("sign", "mean", "of the wrong sign",
         lambda right, dm, dv, x, mean: right(-dm, dv, x, mean)),
        ("sign", "variance", "of the wrong sign",
         lambda right, dm, dv, x, mean: right(dm, -dv, x, mean)),
    ]  # fmt: skip
    return [Mistake(kind, start.format(of, words), _at("moments_backward", on, change))
            for kind, of, words, change in each]  # fmt: skip


def _of_n(where: str, on: tuple[int, ...]) -> list[Mistake]:
    """Variance with N - 1 in place of N, where N is samples times rows times columns."""

    def forward(right, x):
        mean, variance = right(x)
        return mean, variance * _more(x)

    def back(right, dmean, dvariance, x, mean):
        return right(dmean, dvariance * _more(x), x, mean)

    what = f"the variance of the batch normalisation {where} is divided by N - 1, wanted N"
    kept, led = _at("moments", on, forward), _at("moments_backward", on, back)
    return [
        Mistake("N - 1", f"{what}, forward and backward alike", kept + led),
        Mistake("N - 1", f"{what}, but not where the gradient goes back through it", kept),
        Mistake("N - 1", f"{what}, where the gradient goes back through it alone", led),
    ]  # fmt: skip


def _more(x: np.ndarray) -> float:
    m = x[:, 0].size
    return m / max(m - 1, 1)


# ------------------------------------------------------------------------------------- its spread

# What maps are divided by, as a function of the variance, and its derivative.
_SPREADS: list[tuple[str, str, Callable, Callable]] = [
    ("epsilon outside the root", "sqrt(variance) + epsilon, wanted sqrt(variance + epsilon)",
     lambda v: np.sqrt(v) + EPSILON, lambda v: 1 / (2 * np.sqrt(v))),
    ("no root", "variance + epsilon, wanted its root", lambda v: v + EPSILON, np.ones_like),
    ("epsilon", "sqrt(variance), without epsilon",
     np.sqrt, lambda v: 1 / (2 * np.sqrt(v))),
    ("epsilon", "sqrt(variance - epsilon), wanted sqrt(variance + epsilon)",
     lambda v: np.sqrt(v - EPSILON), lambda v: 1 / (2 * np.sqrt(v - EPSILON))),
    *(("epsilon", f"sqrt(variance + {e:g}): epsilon is {e:g}, wanted {EPSILON:g}",
       partial(lambda e, v: np.sqrt(v + e), e), partial(lambda e, v: 1 / (2 * np.sqrt(v + e)), e))
      for e in (1e-1, 1e-2, 1e-3, 8e-4, 1e-4, 1e-6, 1e-7, 1e-8, 1e-12)),
]  # fmt: skip


def _of_spread(where: str, on: tuple[int, ...]) -> list[Mistake]:
    found = []
    for kind, words, spread, slope in _SPREADS:
        forward = _at("batch_norm", on, partial(_norm_by, spread))
        back = _at("norm back", on, partial(_back_by, spread, slope))
        back += _at("dgamma", on, partial(_dgamma_by, spread))
        what = f"what the batch normalisation {where} divides by is {words}"
        found += ways(kind, f"{what},", forward, back)
    return found


def _norm_by(spread, right, x, gamma, beta, mean, variance):
    gamma, beta, mean, by = _wide(gamma, beta, mean, spread(variance))
    return gamma * ((x - mean) / by) + beta


def _back_by(spread, slope, right, dout, x, gamma, mean, variance):
    one = 1 / spread(variance)
    about = (dout * (x - mean[:, None, None])).sum(_ALL)
    dx = dout * (gamma * one)[:, None, None]
    return dx, -gamma * one * dout.sum(_ALL), -gamma * one**2 * slope(variance) * about


def _dgamma_by(spread, right, dout, x, mean, variance):
    return (dout * (x - mean[:, None, None])).sum(_ALL) / spread(variance)


# ------------------------------------------------------------------------------------- its parts


def _of_parts(where: str, on: tuple[int, ...], training: bool) -> list[Mistake]:
    """Missing or wrong steps of the normalisation, forward or backward."""

    def ones(v):
        return np.ones_like(v)

    what = f"of the batch normalisation {where}"
    no_gamma = _at("batch_norm", on, lambda right, x, g, b, m, v: right(x, ones(g), b, m, v))
    gamma_lost = _at("norm back", on, lambda right, d, x, g, m, v: right(d, x, ones(g), m, v))
    first_gamma = _at(
        "batch_norm", on, lambda right, x, g, b, m, v: right(x, 0 * g + g[0], b, m, v)
    )
    minus_beta = _at("batch_norm", on, lambda right, x, g, b, m, v: right(x, g, -b, m, v))
    beta_first = _at("batch_norm", on, lambda right, x, g, b, m, v: right(x, g, g * b, m, v))
    none = _at("batch_norm", on, lambda right, x, g, b, m, v: x)
    none_back = _at("norm back", on, lambda right, d, x, g, m, v: (d, 0 * m, 0 * v))
    none_of_all: list[Change] = [
        (o, k, partial(scaled, 0)) for o in ("dgamma", "dbeta") for k in on
    ]
    return [
        *ways("no gamma", f"gamma {what} is missing,", no_gamma, gamma_lost),
        Mistake("no beta", f"beta {what} is not added", _at(
            "batch_norm", on, lambda right, x, g, b, m, v: right(x, g, 0 * b, m, v))),
        Mistake("beta subtracted", f"beta {what} is subtracted in the forward pass, wanted added",
                minus_beta),
        Mistake("beta first", f"beta {what} is added before gamma is multiplied, in the forward "
                "pass, wanted behind it", beta_first),
        Mistake("first gamma", f"gamma {what} is that of the first channel for all channels, in "
                "the forward pass", first_gamma),
        Mistake("mean not subtracted", f"the mean {what} is not subtracted in the forward pass",
                _at("batch_norm", on, lambda right, x, g, b, m, v: right(x, g, b, 0 * m, v))),
        *(Mistake("not divided by the spread", f"the gradient that goes {way} the batch "
                  f"normalisation {where} is not divided by sqrt(variance + epsilon)",
                  _at("norm back", on, partial(_not_divided, count)))
          for way, count in (("back through", 3), ("past mean and variance of", 1))
          if training or count == 3),
        Mistake("no batch normalisation", f"the batch normalisation {where} is missing, forward "
                "and backward", none + none_back + none_of_all),
        Mistake("no batch normalisation", f"the batch normalisation {where} is missing in the "
                "forward pass", none),
        Mistake("no batch normalisation", f"the gradient goes back past the batch normalisation "
                f"{where}, wanted through it", none_back),
    ]  # fmt: skip


def _not_divided(count, right, dout, x, gamma, mean, variance):
    """Without the division in so many of dx, dmean and dvariance."""
    spread = np.sqrt(variance + EPSILON)
    back = right(dout, x, gamma, mean, variance)
    by = spread[:, None, None], spread, spread
    return tuple(d * s if k < count else d for k, (d, s) in enumerate(zip(back, by, strict=True)))


def _of_parameters(on: tuple[int, ...], calls: list[Call]) -> list[Mistake]:
    """Wrong gradients of gamma and beta, which are sums over samples and pixels."""
    each: list[tuple[str, str, Callable]] = [
        ("mean over samples", "averaged over the samples, wanted their sum",
         lambda right, dout, *a: right(dout, *a) / len(dout)),
        ("mean over pixels", "averaged over the pixels, wanted their sum",
         lambda right, dout, *a: right(dout, *a) / dout[0, 0].size),
        ("mean over samples and pixels", "averaged over samples and pixels, wanted their sum",
         lambda right, dout, *a: right(dout, *a) / dout[:, 0].size),
        ("first sample alone", "that of the first sample alone, wanted the sum over all",
         lambda right, dout, *a: right(dout * _only(dout, 0), *a)),
        ("last sample alone", "that of the last sample alone (overwritten, not added up?)",
         lambda right, dout, *a: right(dout * _only(dout, -1), *a)),
        ("wrong sign", "of the wrong sign", partial(scaled, -1)),
        ("zero", "zero: never computed", partial(scaled, 0)),
        ("sum over channels", "summed over the channels too",
         lambda right, *a: 0 * right(*a) + right(*a).sum()),
    ]  # fmt: skip
    of_gamma: list[tuple[str, str, Callable]] = [
        ("gamma without normalisation", "the sum of dout z, wanted that of dout xhat, z "
         "normalised",
         lambda right, dout, x, mean, variance: (dout * x).sum(_ALL)),
        ("gamma without the spread", "the sum of dout (z - mean), which is not divided by "
         "sqrt(variance + epsilon)",
         lambda right, dout, x, mean, variance: right(dout, x, mean, 1 - EPSILON + 0 * variance)),
        ("gamma without the mean", "the sum of dout z / sqrt(variance + epsilon), from which the "
         "mean is not subtracted",
         lambda right, dout, x, mean, variance: right(dout, x, 0 * mean, variance)),
        ("gamma by the variance", "divided by variance + epsilon, wanted its root",
         lambda right, dout, x, mean, variance: right(dout, x, mean, variance)
         / np.sqrt(variance + EPSILON)),
    ]  # fmt: skip
    found = []
    for operation, at, more in (("dgamma", 0, of_gamma), ("dbeta", 1, [])):
        names = [f"d{norm.names[at]}" for k in on if (norm := calls[k - 1].norm)]
        what = f"{', '.join(names)} {'are' if len(names) > 1 else 'is'}"
        found += [Mistake(kind, f"{what} {words}", _at(operation, on, change))
                  for kind, words, change in each + more]  # fmt: skip
        if operation == "dgamma":
            by_out: list[Change] = [(operation, k, partial(_by_output, calls[k - 1])) for k in on]
            words = f"{what} the sum of dout times what batch normalisation gives, wanted xhat, "
            found.append(Mistake("gamma by the output", words + "before gamma and beta", by_out))
    return found


def _only(dout: np.ndarray, index: int) -> np.ndarray:
    """1 for one sample, 0 for the others."""
    counts = np.zeros((len(dout), 1, 1, 1))
    counts[index] = 1
    return counts


def _by_output(call: Call, right, dout, x, mean, variance):
    gamma, beta = (call.norm.gamma, call.norm.beta) if call.norm else (1, 0)
    return gamma * right(dout, x, mean, variance) + beta * dout.sum(_ALL)
