"""Each network's hand-written backward: against the tape, and against PyTorch's numbers."""

from pathlib import Path

import numpy as np
import pytest
from naive import conv2d
from recursive import Recursive
from rungs import compiled_only
from tape import Tape, Value, gradients

from pysrcnn import kernels, reference
from pysrcnn.networks import ESPCN, SRCNN
from pysrcnn.networks.drcn import DRCN
from pysrcnn.networks.edsr import EDSR
from pysrcnn.networks.srresnet import SRResNet
from pysrcnn.networks.vdsr import VDSR
from pysrcnn.networks.vespcn import VESPCN

RUNGS = [reference, pytest.param(kernels, marks=compiled_only)]
OPS = pytest.mark.parametrize("ops", RUNGS, ids=["reference", "kernels"])
NETWORKS = {
    "srcnn": SRCNN(5, 4, 3, 3, 3),
    "srcnn RGB": SRCNN(3, 4, 1, 3, 5, c=3),
    "srcnn of four layers": SRCNN.from_stack((3, 1, 3, 3), (4, 3, 2)),
    "espcn relu": ESPCN(3, filters=(4, 3), activation="relu"),
    "espcn tanh": ESPCN(2, filters=(4, 3), activation="tanh"),
    "espcn RGB": ESPCN(2, filters=(4, 3), c=3, activation="tanh"),
    "vdsr": VDSR(5, 4),
    "vdsr RGB": VDSR(3, 4, c=3),
    "vdsr without a residual": VDSR(3, 4, residual=False),
    "edsr": EDSR(3, 2, 4),
    "edsr RGB, the paper's tail": EDSR(
        2, 1, 4, c=3, short_tail=False, picture=False, mean=(0.4, 0.5, 0.6)
    ),
    "edsr x4, scaled residuals": EDSR(4, 2, 3, short_tail=False, residual_scale=0.1),
    "drcn": DRCN(3, 4),
    "drcn RGB": DRCN(2, 4, c=3),
    "recursive": Recursive(),
    "vespcn": VESPCN(3, 3, 3, 4),
    "vespcn, the paper's": VESPCN(2, 5, 3, 3, picture=False),
    "vespcn, subpixel fusion": VESPCN(2, 5, 3, 3, fusion="subpixel"),
    "vespcn, slow fusion": VESPCN(2, 5, 5, 3, fusion="slow"),
    "srresnet in use": SRResNet(3, 2, 4),
    "srresnet RGB, without batch normalisation": SRResNet(2, 1, 3, 3, batch_norm=False),
}


def drawn(network, seed=0):
    """The network in float64 with parameters at random, and an input."""
    network, rng = network.astype(np.float64), np.random.default_rng(seed)
    for p in network.parameters.values():
        p[...] = rng.normal(0, 1 / np.sqrt(max(1, p[0].size)), p.shape)
    for name in network.statistics:
        if name[0] == "V":
            np.square(network.parameters[name], out=network.parameters[name])
    sides = (12, 8) if network.frames > 1 else (11, 10)
    return network, rng.random((2, network.c * network.frames, *sides)), rng


def near(a, b, tolerance=1e-10):
    return a.shape == b.shape and np.abs(a - b).max() <= tolerance * np.abs(b).max()


@OPS
@pytest.mark.parametrize(
    "name, padding",
    [
        (name, padding)
        for name in NETWORKS
        for padding in (
            ("valid", "zeros", "replicate") if "padding" in NETWORKS[name].options else (None,)
        )
    ],
)
def test_backward_is_that_of_the_tape(name, padding, ops):
    network, x, rng = drawn(NETWORKS[name])
    options = {**network.options, "padding": padding} if padding else network.options
    values = {n: Value(p) for n, p in network.parameters.items()}
    start = Value(x)
    wanted = network._forward(start, values, Tape(), None, **options)
    kept = []
    out = network._forward(x, network.parameters, ops, kept, **options)
    assert near(out, wanted.array)
    dout = rng.normal(size=out.shape)
    dx, found = network._backward(dout, kept, network.parameters, ops, **options)
    first, *rest = gradients(wanted, dout, [start, *values.values()])
    assert near(dx, first)
    assert list(found) == list(network.parameters) or set(found) == set(network.parameters)
    for n, gradient in zip(values, rest, strict=True):
        assert near(found[n], gradient), n


@OPS
@pytest.mark.parametrize("scale, c, picture", [(2, 3, False), (4, 1, True)])
def test_backward_through_the_statistics_of_the_batch_is_that_of_the_tape(scale, c, picture, ops):
    """And the running ones go a tenth of the way to these."""
    network, x, rng = drawn(SRResNet(scale, 2, 4, c, picture=picture))
    p, options = network.parameters, network.in_training
    assert options == {"picture": picture, "training": True}
    p["A_head"], p["A1"] = p["A_head"][:1], p["A1"][:1]  # one slope for all
    learned = {n: Value(a) for n, a in p.items() if n not in network.statistics}
    start, tape, seen = Value(x), Tape(), []

    class Watched(Tape):
        def moments(self, x):
            seen.append(x.array)
            return tape.moments(x)

    wanted = network._forward(start, p | learned, Watched(), None, **options)
    kept = []
    out = network._forward(x, p, ops, kept, **options)
    assert near(out, wanted.array)
    dout = rng.normal(size=out.shape)
    dx, found = network._backward(dout, kept, p, ops, **options)
    first, *rest = gradients(wanted, dout, [start, *learned.values()])
    assert near(dx, first) and set(found) == set(p)
    for n, gradient in zip(learned, rest, strict=True):
        assert near(found[n], gradient), n
    layers = ["1_1", "1_2", "2_1", "2_2", "_body"]
    for layer, z in zip(layers, seen, strict=True):
        of_one = z.swapaxes(0, 1).reshape(z.shape[1], -1)
        mean, variance = of_one.mean(axis=1), of_one.var(axis=1, ddof=1)
        assert near(p[f"M{layer}"] - found[f"M{layer}"], 0.9 * p[f"M{layer}"] + 0.1 * mean)
        assert near(p[f"V{layer}"] - found[f"V{layer}"], 0.9 * p[f"V{layer}"] + 0.1 * variance)


def test_the_tape_is_the_definition():
    """Its forward is the loops of `naive`, its derivatives are differences."""
    network, x, rng = drawn(NETWORKS["espcn tanh"])
    tape, w, b = Tape(), network.parameters["W2"], network.parameters["B2"]
    maps = rng.random((1, 4, 6, 5))
    assert near(tape.conv2d(Value(maps), Value(w), Value(b)).array, conv2d(maps, w, b))
    values = {n: Value(p) for n, p in network.parameters.items()}

    def out(x, values):
        return network._forward(x, values, tape, None, **network.options)

    start = Value(x)
    whole = out(start, values)
    dout, step = rng.normal(size=whole.shape), rng.normal(size=x.shape)
    (dx,) = gradients(whole, dout, [start])
    ends = [np.vdot(dout, out(Value(x + t * step), values).array) for t in (1e-6, -1e-6)]
    assert np.vdot(dx, step) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-7)


def test_a_value_used_twice_gets_both_gradients():
    x = Value(np.array([[[[1.0, 2.0]]]]))
    out = Tape().tanh(x) * 3 + x
    (dx,) = gradients(out, np.ones(x.shape), [x])
    assert np.allclose(dx, 3 * (1 - np.tanh(x.array) ** 2) + 1, atol=1e-14)


@pytest.mark.parametrize("operation", ["tanh_backward", "pixel_shuffle_backward"])
def test_a_mistake_is_seen(operation):
    """A dropped derivative, and a shuffle that is not undone, are not near."""
    network, x, rng = drawn(NETWORKS["espcn tanh"])
    p, options = network.parameters, network.options

    class Wrong:
        def __getattr__(self, name):
            return getattr(reference, name)

        def tanh_backward(self, dout, out):
            return reference.tanh_backward(dout, out) if operation[0] != "t" else dout

        def pixel_shuffle_backward(self, dout, s):
            right = reference.pixel_shuffle_backward(dout, s)
            return right if operation[0] != "p" else dout.reshape(right.shape)

    kept = []
    out = network._forward(x, p, Wrong(), kept, **options)
    dout = rng.normal(size=out.shape)
    values = {n: Value(a) for n, a in p.items()}
    wanted = gradients(network._forward(Value(x), values, Tape(), None, **options), dout,
                       values.values())  # fmt: skip
    _, found = network._backward(dout, kept, p, Wrong(), **options)
    assert not all(near(found[n], g) for n, g in zip(values, wanted, strict=True))


# ---------------------------------------------------------------------------------------- PyTorch


def recorded(kind):
    """Cases that PyTorch computed, of a kind of network: {case: {array name: array}}."""
    cases = {}
    with np.load(Path(__file__).with_name(f"torch_gradients_{kind}.npz")) as file:
        for name in file.files:
            made, array = name.split("/")
            cases.setdefault(made, {})[array] = file[name]
    return cases


TORCH = recorded("espcn")
TORCH_SRRESNET = recorded("srresnet")


@OPS
@pytest.mark.parametrize("name", TORCH)
def test_espcn_is_that_of_pytorch(name, ops):
    arrays = TORCH[name]
    _, scale, activation, padding, _ = name.split()
    parameters = {n: arrays[n].astype(np.float64) for n in arrays if n[0] in "WB"}
    options = {"activation": activation, "padding": padding}
    network = ESPCN.from_parameters(parameters, **options)
    assert f"x{network.scale}" == scale and network.dtype == np.float64
    kept = []
    out = network._forward(arrays["low"].astype(np.float64), parameters, ops, kept, **options)
    high = arrays["high"].astype(np.float64)
    assert ops.mse(out, high) == pytest.approx(float(arrays["loss"]), rel=1e-10)
    dlow, found = network._backward(ops.mse_backward(out, high), kept, parameters, ops, **options)
    for n, gradient in {"low": dlow, **found}.items():
        assert near(gradient, arrays[f"d{n}"]), n


def test_the_recorded_gradients_of_espcn_cover_what_they_should():
    words = [set(column) for column in zip(*(name.split()[1:] for name in TORCH), strict=True)]
    assert words[:3] == [{"x2", "x3"}, {"tanh", "relu"}, {"zeros", "replicate"}]
    assert words[3] == {"c=1", "c=3"}
    for arrays in TORCH.values():
        assert all(np.abs(arrays[f"dW{k}"]).max() > 1e-4 for k in (1, 2, 3))


DEEP = {name: arrays for kind in ("vdsr", "drcn", "edsr")
        for name, arrays in recorded(kind).items()}  # fmt: skip


def of_recorded(name, ops=reference):
    """The network of a case, its input and target, its loss, and what of training is done."""
    arrays = DEEP[name]
    kind = {"vdsr": VDSR, "drcn": DRCN, "edsr": EDSR}[name.split()[0]]
    options = {}
    if kind is EDSR:
        options = {"residual_scale": float(arrays["residual_scale"]),
                   "picture": bool(arrays["picture"]), "mean": tuple(arrays["mean"])}  # fmt: skip
    parameters = {n: a.astype(np.float64) for n, a in arrays.items() if n[0] in "WBw"}
    network = kind.from_parameters(parameters, ops=ops, **options)
    low, high = (arrays[n].astype(np.float64) for n in ("low", "high"))
    return network, low, high, name.split()[-1], float(arrays.get("done", 0))


def pictures_and_gradients(network, kept, out, high, loss, done):
    """The results that the loss is of, and its gradient with respect to each."""
    slope = getattr(reference, f"{loss}_backward")
    if network.name != "drcn":
        return [out], [slope(out, high)]
    share = (1 - done) / network.recursions
    return [out, *kept[-1]], [done * slope(out, high), *(share * slope(y, high) for y in kept[-1])]


@OPS
@pytest.mark.parametrize("name", DEEP)
def test_deep_networks_are_those_of_pytorch(name, ops):
    network, low, high, loss, done = of_recorded(name, ops)
    value, found = network.loss_and_gradients(low, high, loss, done)
    assert value == pytest.approx(float(DEEP[name]["loss"]), rel=1e-10)
    assert set(found) == set(network.parameters)
    p, kept = network.parameters, []
    out = ops.leave(network._forward(ops.enter(low), p, ops, kept, **network.options))
    _, douts = pictures_and_gradients(network, kept, out, high, loss, done)
    more = [[ops.enter(d) for d in douts[1:]]] if len(douts) > 1 else []
    dlow, _ = network._backward(ops.enter(douts[0]), kept, p, ops, *more, **network.options)
    for n, gradient in {"low": ops.leave(dlow), **found}.items():
        assert near(gradient, DEEP[name][f"d{n}"]), n


@pytest.mark.parametrize("name", DEEP)
def test_the_tape_of_deep_networks_is_that_of_pytorch(name):
    network, low, high, loss, done = of_recorded(name)
    values = {"low": Value(low)} | {n: Value(p) for n, p in network.parameters.items()}
    kept = []
    out = network._forward(values["low"], values, Tape(), kept, **network.options)
    pictures = [out, *kept[-1]] if network.name == "drcn" else [out]
    arrays = [y.array for y in pictures]
    _, douts = pictures_and_gradients(network, [arrays[1:]], arrays[0], high, loss, done)
    total = Value(np.zeros(()), *((y, lambda _, d=d: d)
                                  for y, d in zip(pictures, douts, strict=True)))  # fmt: skip
    found = gradients(total, 1.0, values.values())
    for n, gradient in zip(values, found, strict=True):
        assert near(gradient, DEEP[name][f"d{n}"]), n


def test_the_recorded_gradients_of_deep_networks_cover_what_they_should():
    edsr = [name.split()[1:] for name in DEEP if name.startswith("edsr")]
    assert {tuple(words[:2]) for words in edsr} == {
        (scale, tail) for scale in ("x2", "x3", "x4") for tail in ("paper", "short")
    }
    for tail in ("paper", "short"):
        seen = [words for words in edsr if words[1] == tail]
        assert {words[2] for words in seen} == {"0.1", "1.0"}
        assert {words[3] for words in seen} == {"picture", "none"}
        assert any(words[4] != "0" for words in seen)
    for kind in ("vdsr", "drcn", "edsr"):
        of_kind = {name: arrays for name, arrays in DEEP.items() if name.startswith(kind)}
        assert {name.split()[-1] for name in of_kind} == {"mse", "l1", "charbonnier"}
        assert {arrays["low"].shape[1] for arrays in of_kind.values()} == {1, 3}
    assert {float(a["done"]) for n, a in DEEP.items() if n.startswith("drcn")} >= {0, 0.25, 1}
    for arrays in DEEP.values():
        assert all(np.abs(a).max() > 1e-4 for n, a in arrays.items() if n[:2] in ("dW", "dB"))


@OPS
@pytest.mark.parametrize("name", TORCH_SRRESNET)
def test_srresnet_is_that_of_pytorch(name, ops):
    """In training and in use; a step leaves the running statistics that PyTorch's does."""
    arrays = {n: a.astype(np.float64) for n, a in TORCH_SRRESNET[name].items()}
    given = {n: a for n, a in arrays.items() if n[0] in "WBGMVA"}
    network = SRResNet.from_parameters(given, picture="picture=True" in name)
    assert network.dtype == np.float64 and f"x{network.scale}" == name.split()[0]
    p, options = network.parameters, network.options
    if "training" in name:
        options = network.in_training
    kept = []
    out = network._forward(arrays["low"], p, ops, kept, **options)
    high = arrays["high"]
    assert ops.mse(out, high) == pytest.approx(float(arrays["loss"]), rel=1e-10)
    dlow, found = network._backward(ops.mse_backward(out, high), kept, p, ops, **options)
    for n, gradient in {"low": dlow, **found}.items():
        if n not in network.statistics:
            assert near(gradient, arrays[f"d{n}"]), n
    after = {n: p[n] - found[n] for n in network.statistics}
    if "training" in name:
        assert all(near(array, arrays[f"after{n}"], 1e-10) for n, array in after.items())
        assert len(after) == 10


def test_the_recorded_gradients_of_srresnet_cover_what_they_should():
    words = [set(column) for column in zip(*map(str.split, TORCH_SRRESNET), strict=True)]
    assert words[0] == {"x2", "x3", "x4"} and words[1] == {"c=1", "c=3"}
    assert all(len(column) == 2 for column in words[3:])
    for arrays in TORCH_SRRESNET.values():
        assert all(np.abs(a).max() > 1e-5 for n, a in arrays.items() if n[:2] in ("dW", "dA", "dG"))
