"""What holds for every network: written out and fused are one, pieces are the whole."""

import json
import math
import pickle
import re

import numpy as np
import pytest
from recursive import Recursive
from rungs import edsr_of, random_layers

import pysrcnn
from pysrcnn import kernels, reference
from pysrcnn.evaluate import average, evaluate
from pysrcnn.formats import read_weights, write_weights
from pysrcnn.networks import DRCN, EDSR, ESPCN, SRCNN, VDSR, Network, SRResNet, load
from pysrcnn.networks.authors import vdsr_of
from pysrcnn.networks.chain import layers_of, named
from pysrcnn.networks.onnx_ops import Nodes, Value
from pysrcnn.networks.reach import seen
from pysrcnn.resize import imresize
from pysrcnn.upscaling import steps
from pysrcnn.upscaling.steps import Step

NETWORKS = {
    "srcnn": lambda **more: SRCNN(5, 9, 3, 8, 3, init="he", **more),
    "srcnn-rgb": lambda **more: SRCNN(3, 8, 1, 5, 3, 3, init="he", **more),
    "espcn-relu": lambda **more: ESPCN(2, (5, 3, 3), (9, 8), init="he", **more),
    "espcn-tanh": lambda **more: ESPCN(3, (3, 5), (8,), activation="tanh", init="he", **more),
    "espcn-rgb": lambda **more: ESPCN(2, (3, 3), (8,), 3, padding="zeros", init="he", **more),
}
OPS = {"reference": reference, "kernels": kernels, "direct": kernels.direct}


def made(name, seed=0, dtype=np.float64, ops=kernels):
    """A network whose biases are not zero, so that all parameters have a part."""
    network = NETWORKS[name](seed=seed, ops=ops).astype(dtype)
    rng = np.random.default_rng(seed)
    for _, b in network.layers:
        b[...] = rng.normal(0, 0.1, b.shape)
    return network


def batch_of(network, n, height, width, seed=1):
    return np.random.default_rng(seed).random((n, network.c, height, width)).astype(network.dtype)


@pytest.mark.parametrize("padding", ["replicate", "zeros", "valid"])
@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("name", NETWORKS)
def test_written_out_is_what_is_computed(name, ops, padding):
    network = made(name, ops=OPS[ops])
    x = batch_of(network, 2, 13, 17)
    options = {**network.options, "padding": padding}
    wanted = network._forward(x, network.parameters, reference, None, **options)
    got = network.forward(x, padding)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("padding", ["replicate", "zeros", "valid"])
@pytest.mark.parametrize("s", [2, 3])
def test_written_out_is_what_is_computed_by_tiles(s, padding):
    """In float32, with as many filters as transforms take: maps in phases, and a shuffle of them.

    The last layer of few filters is a sum of rows, of many (9 for s = 3) it is not.
    """
    layers = random_layers((5, 3, 3), (16, 16), 1, np.float32, seed=s, out=s * s)
    network = ESPCN.from_parameters(
        named(layers), padding="zeros" if padding == "valid" else padding
    )
    assert kernels.layout.group_of(network.layers) == 4
    x = batch_of(network, 2, 13, 17)
    exact = {n: a.astype(np.float64) for n, a in network.parameters.items()}
    options = {**network.options, "padding": padding}
    wanted = network._forward(x.astype(np.float64), exact, reference, None, **options)
    got = network.forward(x, padding)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()
    # What would be seen of sub-pixels in each other's place.
    n, c, height, width = wanted.shape
    turned = wanted.reshape(n, c, height // s, s, width // s, s).swapaxes(3, 5)
    assert np.abs(turned.reshape(wanted.shape) - wanted).max() > 0.1 * np.abs(wanted).max()


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradients_are_those_of_backward(name, ops):
    network = made(name, ops=OPS[ops])
    low = batch_of(network, 3, 15, 14)
    high = np.random.default_rng(2).random(network.forward(low, "valid").shape)
    loss, gradients = network.loss_and_gradients(low, high)
    network.ops = reference
    wanted, written = Network._step(network, low, high, "mse", 0.0)
    assert loss == pytest.approx(wanted, rel=1e-12)
    assert gradients.keys() == written.keys() == network.parameters.keys()
    for key, g in gradients.items():
        np.testing.assert_allclose(g, written[key], rtol=0, atol=1e-12 * np.abs(written[key]).max())


@pytest.mark.parametrize("padding", ["replicate", "zeros", "valid"])
@pytest.mark.parametrize("name", NETWORKS)
def test_backward_is_the_derivative_of_forward(name, padding):
    """One directional derivative against one product, for x and each parameter."""
    network = made(name)
    rng = np.random.default_rng(3)
    x, p = batch_of(network, 1, 11, 12), network.parameters
    options = {**network.options, "padding": padding}
    kept = []
    out = network._forward(x, p, reference, kept, **options)
    dout = rng.normal(size=out.shape)
    dx, g = network._backward(dout, kept, p, reference, **options)
    for key, gradient in {"x": dx, **g}.items():
        direction = rng.normal(size=gradient.shape)
        results = []
        for h in (1e-6, -1e-6):
            moved = {n: a + h * direction if n == key else a for n, a in p.items()}
            start = x + h * direction if key == "x" else x
            results.append(network._forward(start, moved, reference, None, **options))
        wanted = np.vdot(dout, results[0] - results[1]) / 2e-6
        got = np.vdot(gradient, direction)
        assert got == pytest.approx(wanted, rel=1e-6, abs=1e-7), key


@pytest.mark.parametrize("name", NETWORKS)
def test_the_margin_is_how_far_a_network_sees(name):
    network = made(name)
    m, n = network.margin, 4 * network.margin + 3
    x = batch_of(network, 1, n, n)
    out = network.forward(x)
    s = out.shape[2] // n
    middle = slice(s * (n // 2), s * (n // 2 + 1))
    for far, same in ((m, False), (m + 1, True)):
        changed = x.copy()
        changed[:, :, n // 2 - far, :] += 1
        now = network.forward(changed)
        assert np.array_equal(out[:, :, middle], now[:, :, middle]) == same


@pytest.mark.parametrize("name", NETWORKS)
def test_the_resolution_is_how_much_larger_the_result_is(name):
    network = made(name)
    wanted = network.forward(batch_of(network, 1, 9, 9)).shape[2] // 9
    assert network.seen.resolution == wanted == (network.scale if network.small else 1)


def strided(x, p, ops, kept=None):
    """Half as large by 5 x 5, then 3 x 3, and as large as x again."""
    h = ops.conv2d_strided(x, p["W1"], p["B1"], 2)
    return ops.pixel_shuffle(ops.conv2d_same(h, p["W2"], p["B2"]), 2)


def of_strides():
    """Parameters of it, and a picture of 32 x 32."""
    rng, p = np.random.default_rng(8), {}
    for k, shape in enumerate([(3, 1, 5, 5), (4, 3, 3, 3)], 1):
        p[f"W{k}"], p[f"B{k}"] = rng.random(shape), rng.random(shape[0])
    return p, rng.random((1, 1, 32, 32))


def test_how_far_a_network_sees_that_strides():
    """A pixel as far as any of the square that it was made one of a smaller map with."""
    p, x = of_strides()
    found, out = seen(strided, p, 1), strided(x, p, reference)
    assert found.resolution == 1 and type(found.resolution) is int and found.depth == 2
    assert found.multiplications == (75 + 108) / 4 and found.values == 1 + 3 / 4
    reached = set()
    for i in range(32):
        changed = x.copy()
        changed[:, :, i] += 1
        rows = np.flatnonzero((strided(changed, p, reference) != out).any(axis=(0, 1, 3)))
        reached |= {abs(int(row) - i) for row in rows}
    assert max(reached) == found.margin == 5


def test_the_graph_of_a_network_that_strides_computes_the_same(tmp_path):
    pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    p, x = of_strides()
    p = {n: a.astype(np.float32) for n, a in p.items()}
    nodes = Nodes(p)
    end = strided(Value(nodes, "low"), p, nodes)
    ends = ("low", [1, 1, "H", "W"]), (end.name, [1, 1, "H", "W"])
    write_weights(tmp_path / "a.onnx", nodes.constants, {}, graph=tuple(nodes.graph), ends=ends)
    x = x.astype(np.float32)[:, :, :31]  # odd, so that the last row is beyond it
    (out,) = ReferenceEvaluator(str(tmp_path / "a.onnx")).run(None, {"low": x})
    assert np.abs(out - strided(x, p, reference)).max() < 1e-5 * np.abs(out).max()


def test_dictionaries_see_as_far_as_their_patches():
    network = load("sc")
    assert network.seen[:2] == (8, 1) and network.margin == 8
    # Features, two products of the dictionary in each step of FISTA but the first, and patches.
    entries, atoms = network.parameters["D_l"].shape
    products = 169 * entries + (2 * len(network.momentum) - 1) * entries * atoms
    assert network.seen.multiplications == products + network.parameters["D_h"].size


@pytest.mark.parametrize("name, wanted", [("9-1-5", 8032), ("9-5-5", 57184), ("espcn", 22624 / 9)])
def test_multiplications_a_pixel(name, wanted):
    """Of ESPCN x3: 25 * 64 + 9 * 64 * 32 + 9 * 32 * 9 for nine pixels of the result."""
    network = ESPCN(3) if name == "espcn" else SRCNN(f2=int(name[2]))
    assert network.seen.multiplications == pytest.approx(wanted)


def test_pieces_of_a_deep_chain_are_the_whole():
    """Each layer that is computed in groups of pixels sees some pixels further, see `Step`."""
    layers = random_layers((5, *[3] * 12), (16,) * 12, 1, np.float32)
    layers[-1][1][...] = 0.5  # the result is not clipped
    network = SRCNN.from_parameters(named(layers))
    assert network.seen.depth == 13
    picture = np.random.default_rng(6).random((40, 90, 1)).astype(np.float32)
    step = Step((40, 90), (80, 180), 1, np.float32, network)
    whole = np.empty((80, 180, 1), np.float32)
    step.make(picture, (0, 80), (0, 180), whole)
    assert 0 < whole.min() < whole.max() < 1
    for columns in (57, 140), (60, 100), (90, 180), (0, 102):
        needed = tuple(slice(*span) for span in step.needs((0, 80), columns))
        out = np.empty((80, columns[1] - columns[0], 1), np.float32)
        step.make(picture[needed], (0, 80), columns, out)
        assert np.array_equal(out, whole[:, slice(*columns)]), columns


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pieces_are_the_whole(name, channels):
    network = made(name, dtype=np.float32)
    s = network.scale or 2
    picture = np.random.default_rng(4).integers(0, 256, (23, 31, channels)).astype(np.uint8)
    step = Step((23, 31), (23 * s, 31 * s), channels, np.uint8, network)
    whole = np.empty((*step.shape, channels), np.uint8)
    step.make(picture, (0, step.shape[0]), (0, step.shape[1]), whole)
    rng = np.random.default_rng([channels, *name.encode()])  # others for each
    for _ in range(12):
        rows, columns = (sorted(rng.choice(n + 1, 2, replace=False).tolist()) for n in step.shape)
        needed = tuple(slice(*span) for span in step.needs(rows, columns))
        out = np.empty((rows[1] - rows[0], columns[1] - columns[0], channels), np.uint8)
        step.make(picture[needed], rows, columns, out)
        assert np.array_equal(out, whole[slice(*rows), slice(*columns)]), (rows, columns)


@pytest.mark.parametrize("name", NETWORKS)
def test_enlarge_is_bicubic_inside_or_not(name):
    network = made(name)
    small = batch_of(network, 1, 9, 8)[0]
    got = network.enlarge(small, network.scale or 3)
    s = network.scale or 3
    taken = small if network.small else np.stack([imresize(x, scale=s) for x in small])
    assert got.shape == (network.c, 9 * s, 8 * s)
    assert np.array_equal(got, network.forward(taken[None])[0])
    with pytest.raises(ValueError, match="scale"):
        network.enlarge(small, None if network.scale is None else network.scale + 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_pickled(name):
    network = made(name, dtype=np.float32)
    x = batch_of(network, 1, 9, 9)
    there = pickle.loads(pickle.dumps(network))
    assert there.ops is network.ops and np.array_equal(there.forward(x), network.forward(x))


def test_a_copy_in_another_dtype_has_options_of_its_own():
    network = made("espcn-relu")
    copy = network.astype(np.float32)
    copy.options["padding"], copy.card["steps"] = "zeros", 1
    assert network.options["padding"] == "replicate" and network.card == {}


def test_memory_of_a_pixel_is_that_of_the_pictures():
    """Of a chain: what it takes and gives, in float32; ESPCN takes a ninth of the pixels."""
    for name, wanted in ("srcnn", 8), ("srcnn-rgb", 24), ("espcn-tanh", 4 + 4 / 9):
        assert made(name).bytes_per_pixel == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["srcnn", "srcnn-rgb", "espcn-relu", "espcn-rgb"])
def test_saved_and_loaded(name, tmp_path):
    network = made(name, dtype=np.float32)
    network.initialise("identity")
    network.save(tmp_path / "a.npz")
    back = load(tmp_path / "a.npz")
    assert type(back) is type(network) and back.options == network.options
    assert back.scale == network.scale and back.name == network.name
    assert all(np.array_equal(p, back.parameters[n]) for n, p in network.parameters.items())


def test_a_card_of_ours_says_the_activation():
    assert load("espcn", 3, activation="relu").options["activation"] == "relu"
    with pytest.raises(ValueError, match="says that its activation is relu, .* leave tanh out"):
        load("espcn", 3, activation="tanh")


@pytest.mark.parametrize("c", [1, 3])
def test_an_untrained_espcn_repeats_each_pixel(c):
    network = ESPCN(3, c=c)
    for w, _ in network.layers[-1:]:
        w[:, c:] = 0  # what the other filters add
    x = batch_of(network, 1, 6, 7)
    wanted = x.repeat(3, axis=2).repeat(3, axis=3)
    np.testing.assert_allclose(network.forward(x), wanted, rtol=0, atol=2e-6)


def test_sizes_of_espcn_follow_from_its_parameters():
    network = ESPCN(4, (5, 3, 3), (64, 32))
    assert sum(p.size for p in network.parameters.values()) == 24752  # the paper's x4
    assert network.sizes == (5, 3, 3) and network.filters == (64, 32) and network.scale == 4
    assert len(layers_of(network.parameters)) == 3


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scale": 1}, "scale is a whole number"),
        ({"scale": 17}, "scale is a whole number, 2 to 16; got 17"),
        ({"sizes": (5, 4, 3)}, "odd"),
        ({"filters": (64,)}, "3 layers need 2 numbers of filters"),
        ({"c": 2}, "c is 1"),
        ({"activation": "gelu"}, "activation is relu or tanh, got 'gelu'"),
        ({"padding": "valid"}, "padding is replicate or zeros"),
        ({"init": "nearest"}, "init is"),
    ],
)
def test_what_espcn_refuses(change, words):
    with pytest.raises(ValueError, match=words):
        ESPCN(**change)


def test_upscale_by_espcn():
    picture = np.random.default_rng(6).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    network = ESPCN(2)
    assert pysrcnn.upscale(picture, 2, network).shape == (24, 20, 3)
    assert pysrcnn.upscale(picture, 5, network).shape == (60, 50, 3)  # x8, and shrunk


def test_dictionaries_have_no_gradients():
    x = np.zeros((1, 1, 20, 20))
    with pytest.raises(TypeError, match="not learned by gradients"):
        load("sc").loss_and_gradients(x, x)


@pytest.mark.parametrize("kind", [SRCNN, ESPCN])
@pytest.mark.parametrize("seed", [-1, 1.5, None, "1"])
def test_seeds_are_whole_numbers(kind, seed):
    with pytest.raises(ValueError, match=f"seed is {seed!r}, wanted a whole number, 0 or more"):
        kind(seed=seed)


def test_a_scale_that_is_not_the_networks():
    network = load("9-1-5", 3)
    with pytest.raises(ValueError, match="the network was trained for scale 3, not 2, and weights"):
        network.enlarge(np.zeros((1, 4, 4)), 2)


# ------------------------------------------------------------------- one that is no chain of layers


ORDER = ("head", "body", "body", "tail")  # of the weights, as `forward` uses them


def test_a_network_that_is_no_chain_says_what_its_layers_are_and_take(tmp_path):
    network, x = Recursive(), np.random.default_rng(2).random((1, 1, 7, 6))
    p = network.parameters
    assert [w is p[name] for (w, _), name in zip(network.layers, ORDER, strict=True)] == [True] * 4
    assert network.weights == ["head", "body", "tail"]
    assert (network.seen.depth, network.margin, network.training_margin) == (4, 4, 0)
    maps = network.maps(x)
    assert np.array_equal(maps[0], x)
    for k, (w, b) in enumerate(network.layers[:-2]):
        assert np.allclose(maps[k + 1], reference.relu(reference.conv2d(maps[k], w, b, "zeros")))
    w, b = network.layers[-1]
    assert np.allclose(reference.conv2d(maps[-1], w, b, "zeros"), network.forward(x))
    network.save(tmp_path / "a.safetensors")
    assert set(read_weights(tmp_path / "a.safetensors").tensors) == set(p)
    with pytest.raises(ValueError, match="would hold an SRCNN, .* and this is recursive"):
        network.save(tmp_path / "a.mat")


def test_a_network_that_always_pads_the_same_way_has_no_other():
    network, x = Recursive(), np.zeros((1, 1, 7, 6))
    with pytest.raises(ValueError, match="recursive always pads the same way: leave padding out"):
        network.forward(x, "valid")
    loss, gradients = network.loss_and_gradients(x, x + 1)
    assert loss > 0 and gradients.keys() == network.parameters.keys()
    with pytest.raises(ValueError, match=r"high has .* recursive gives \(1, 1, 7, 6\)"):
        network.loss_and_gradients(x, x[:, :, :5])


@pytest.mark.parametrize("kind", [SRCNN, ESPCN])
def test_unknown_options_are_refused(kind):
    parameters = kind(init="identity").parameters
    with pytest.raises(TypeError, match=f"{kind.__name__} has no option residual"):
        kind.from_parameters(parameters, residual=True)
    with pytest.raises(ValueError, match="padding is replicate or zeros, got 'valid'"):
        kind.from_parameters(parameters, padding="valid")


# -------------------------------------------------------------------------------- deep networks

DEEP = {
    "vdsr": lambda: VDSR(4, 6),
    "vdsr RGB": lambda: VDSR(3, 5, c=3),
    "vdsr without a residual": lambda: VDSR(3, 6, residual=False),
    "drcn": lambda: DRCN(3, 6),
    "edsr": lambda: EDSR(3, 2, 6),
    "edsr RGB, the paper's tail": lambda: EDSR(
        4, 1, 5, c=3, short_tail=False, residual_scale=0.5, picture=False, mean=(0.4, 0.5, 0.3)
    ),
    "srresnet": lambda: SRResNet(3, 1, 6),
    "srresnet RGB, without batch normalisation": lambda: SRResNet(
        2, 1, 12, c=3, batch_norm=False, picture=False
    ),
}


def drawn_deep(name):
    """One with biases that are not zero and a last layer that is heard."""
    network, rng = DEEP[name](), np.random.default_rng(5)
    for parameter in network.parameters.values():
        parameter += rng.normal(0, 0.05, parameter.shape).astype(np.float32)
    return network


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "onnx"])
@pytest.mark.parametrize("name", DEEP)
def test_a_deep_network_is_saved_and_loaded(name, suffix, tmp_path):
    if suffix == "onnx":
        pytest.importorskip("onnx")
    network = drawn_deep(name)
    network.card["data"] = "drawn"
    network.save(tmp_path / f"mine.{suffix}")
    again = load(tmp_path / f"mine.{suffix}", None if network.small else 2)
    assert type(again) is type(network) and again.options == network.options
    assert again.card["data"] == "drawn" and again.scale == (network.scale or 2)
    wanted = network.folded() if suffix == "onnx" else network
    assert again.parameters.keys() == wanted.parameters.keys()
    x = np.random.default_rng(1).random((1, network.c, 12, 9), np.float32)
    assert np.array_equal(again.forward(x), network.forward(x))
    with pytest.raises(ValueError, match="whose activation is p?relu: leave it out"):
        load(tmp_path / f"mine.{suffix}", 2, activation="tanh")


@pytest.mark.parametrize("name", DEEP)
def test_the_graph_of_a_deep_network_computes_the_same(name, tmp_path):
    pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    network = drawn_deep(name)
    network.save(tmp_path / "mine.onnx")
    x = np.random.default_rng(2).random((2, network.c, 8, 7), np.float32)
    (out,) = ReferenceEvaluator(str(tmp_path / "mine.onnx")).run(None, {"low": x})
    assert np.abs(out - network.forward(x)).max() < 1e-5


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("vdsr", {"W2": None}, "W2 is missing"),
        ("vdsr", {"W1": np.ones((6, 2, 3, 3), np.float32)}, "W1"),
        (
            "vdsr",
            {"W3": np.ones((6, 6, 5, 5), np.float32)},
            r"W3 is \(6, 6, 5, 5\), wanted the shape",
        ),
        ("vdsr", {"B4": np.ones(2, np.float32)}, r"B4 is \(2,\), wanted the shape \(1,\)"),
        ("vdsr", {"W9": np.ones((6, 6, 3, 3), np.float32)}, "W9"),
        ("vdsr", {"card": {"residual": 1}}, "residual is 1, wanted True or False"),
        ("drcn", {"W_out1": None}, "W_out1 is missing"),
        ("drcn", {"w": np.ones((2, 2), np.float32)}, "w has the shape .2, 2."),
        ("drcn", {"w": None}, "w has the shape .0,., wanted a number for each recursion"),
        (
            "drcn",
            {"w": np.ones(1001, np.float32)},
            "1001 recursions, and at most 1000 are possible",
        ),
        ("drcn", {"w": None, "card": {"weights_of_sum": ["a"]}}, "is damaged"),
        ("edsr", {"W_head": None}, "do not make such a network"),
        ("edsr", {"W_tail": np.ones((8, 6, 3, 3), np.float32)}, "W_tail"),
        ("edsr", {"W1_2": np.ones((6, 7, 3, 3), np.float32)}, "W1_2"),
        ("edsr", {"B_body": np.full(6, np.nan, np.float32)}, "not finite"),
        ("edsr", {"W_tail": np.zeros((9, 6, 3, 3), np.float32)}, "W_tail holds nothing but zeros"),
        ("drcn", {"W_in2": np.zeros((6, 6, 3, 3), np.float32)}, "W_in2 holds nothing but zeros"),
        ("edsr", {"card": {"residual_scale": "a"}}, "residual_scale is 'a', wanted above 0"),
        ("edsr", {"card": {"picture": 1}}, "picture is 1, wanted True or False"),
        ("edsr", {"card": {"scale": 2}}, "trained for scale|scale"),
        ("srresnet", {"M1_1": None}, "M1_1 is missing, wanted the shape .6,."),
        ("srresnet", {"V_body": None}, "V_body is missing"),
        (
            "srresnet",
            {"V1_2": np.full(6, -1e-9, np.float32)},
            "V1_2 holds negative variances",
        ),
        (
            "srresnet",
            {"V1_2": np.full(6, np.inf, np.float32)},
            "V1_2 holds values that are not",
        ),
        (
            "srresnet",
            {"M_body": np.full(6, np.nan, np.float32)},
            "M_body holds values that",
        ),
        ("srresnet", {"A1": np.ones(2, np.float32)}, r"A1 is \(2,\), wanted the shape \(6,\)"),
        (
            "srresnet",
            {"W_tail": np.ones((1, 6, 3, 3), np.float32)},
            "W_tail is .1, 6, 3, 3.",
        ),
        (
            "srresnet",
            {"W_up1": np.ones((30, 6, 3, 3), np.float32)},
            "W_up1 is .30, 6, 3, 3.",
        ),
        (
            "srresnet",
            {"W_head": np.zeros((6, 1, 9, 9), np.float32)},
            "W_head holds nothing but zeros",
        ),
        ("srresnet", {"G_head": np.ones(6, np.float32)}, "the arrays G_head do not make such"),
        ("srresnet", {"card": {"picture": 1}}, "picture is 1, wanted True or False"),
    ],
)
def test_a_damaged_deep_network_is_refused(name, change, words, tmp_path):
    network = drawn_deep(name)
    arrays, card = dict(network.parameters), {"network": name, "version": "1", **network.options}
    card |= change.pop("card", {})
    arrays |= change
    arrays = {n: a for n, a in arrays.items() if a is not None}
    np.savez(tmp_path / "a.npz", card=np.array(json.dumps(card)), **arrays)
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "a.npz", 3)


@pytest.mark.parametrize(
    "name, silent", [("edsr", ["W1_2", "W_body"]), ("srresnet", ["G1_1", "W1_2", "G_body"])]
)
def test_a_layer_that_a_skip_leads_past_may_be_silent(name, silent, tmp_path):
    network = drawn_deep(name)
    for weights in silent:
        network.parameters[weights][...] = 0
    network.save(tmp_path / "a.npz")
    again, x = load(tmp_path / "a.npz", 3), np.random.default_rng(1).random((1, 1, 5, 6))
    assert np.array_equal(again.forward(x), network.forward(x))
    assert np.ptp(again.forward(x)) > 0


@pytest.mark.parametrize(
    "kind, weights", [(VDSR, "W1"), (DRCN, "W_in1"), (EDSR, "W_head"), (SRResNet, "W_head")]
)
@pytest.mark.parametrize("shape", [(), (3,), (3, 1, 3), (3, 0, 3, 3), (0, 0, 3, 3), (3, 1, 3, 5)])
def test_weights_of_deep_networks_have_four_axes(kind, weights, shape):
    last = "W2" if kind is VDSR else "W_up1" if kind is SRResNet else "W_tail"
    if kind is DRCN:
        last = "W"
    for some in ({}, {weights: np.ones((3, 1, 3, 3))}):
        bad = last if some else weights
        words = re.escape(f"{bad} has the shape {shape}, wanted (O, C, f, f)")
        with pytest.raises(ValueError, match=words):
            kind.from_parameters(some | {bad: np.ones(shape)})


def test_sizes_of_deep_networks_are_checked():
    for call, words in (
        (lambda: EDSR(1), "scale is a whole number, 2 to 16; got 1"),
        (lambda: EDSR(2, 0), "blocks is 0, wanted a whole number, 1"),
        (lambda: EDSR(2, c=2), "c is 1 .luminance. or 3 .RGB., got 2"),
        (
            lambda: EDSR(5, short_tail=False),
            "the paper's tail is for scales of 2, 3, 4, 8 or 16, got",
        ),
        (lambda: EDSR(2, residual_scale=0), "residual_scale is 0, wanted above 0, up to 1"),
        (lambda: EDSR(2, mean=(0.5, 0.4)), "mean is .0.5, 0.4., wanted 1 numbers of 0..1"),
        (lambda: DRCN(1001, 1), "there are 1001 recursions, and at most 1000 are possible"),
        (lambda: VDSR(1), "depth is 1, wanted a whole number, 2"),
        (lambda: VDSR(c=4), "c is 1 .luminance. or 3 .RGB., got 4"),
        (lambda: VDSR(init="paper"), 'init is "identity" or "he", got'),
        (lambda: VDSR(residual="no"), "residual is 'no', wanted True or False"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_a_residual_is_what_is_added_to_the_input():
    network = drawn_deep("vdsr")
    plain = VDSR.from_parameters(network.parameters, residual=False)
    x = np.random.default_rng(3).random((1, 1, 9, 8), np.float32)
    assert np.abs(plain.forward(x) + x - network.forward(x)).max() < 1e-6
    assert "no residual" in repr(plain) and "residual" not in repr(network)


def test_the_published_sizes():
    """Table 1 of the paper of EDSR, and the counts of its authors' files."""
    counts = {
        s: sum(p.size for p in EDSR(s, c=3, short_tail=False).parameters.values())
        for s in (2, 3, 4)
    }
    assert counts == {2: 1_369_859, 3: 1_554_499, 4: 1_517_571}
    assert sum(p.size for p in VDSR().parameters.values()) == 665_921
    assert sum(p.size for p in EDSR(3, 8, 48).parameters.values()) == 357_705


# ------------------------------------------------------------------------- deep networks of others


def of_the_authors(p, white=255):
    """The tensors of an EDSR by the names of its authors, whose values are 0..255."""
    names = {"_head": "head.0", "_body": "body.2", "_up1": "tail.0.0", "_up2": "tail.0.2"}
    names |= {"_tail": "tail.1", "1_1": "body.0.body.0", "1_2": "body.0.body.2"}
    names |= {"2_1": "body.1.body.0", "2_2": "body.1.body.2"}
    means = np.array([0.4488, 0.4371, 0.4040], np.float32)
    one = np.eye(3, dtype=np.float32)[:, :, None, None]
    return {
        "sub_mean.weight": one, "sub_mean.bias": -white * means, **of_white(p, names, white),
        "add_mean.weight": one, "add_mean.bias": white * means,
    }  # fmt: skip


def of_basicsr(p, white=255):
    """The same by BasicSR's."""
    names = {"_head": "conv_first", "_body": "conv_after_body", "_up1": "upsample.0"}
    names |= {"_up2": "upsample.2", "_tail": "conv_last", "1_1": "body.0.conv1"}
    names |= {"1_2": "body.0.conv2", "2_1": "body.1.conv1", "2_2": "body.1.conv2"}
    return of_white(p, names, white)


def of_white(p, names, white):
    return {
        f"{names[n[1:]]}.{'weight' if n[0] == 'W' else 'bias'}": a if n[0] == "W" else white * a
        for n, a in p.items()
    }


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("white", [255, 1])
@pytest.mark.parametrize("t", [1, 0.1])
@pytest.mark.parametrize("names", [of_the_authors, of_basicsr])
def test_an_edsr_of_others_computes_what_theirs_does(names, t, white, scale, tmp_path):
    """Their lines, written out here: white (x - mean) in, and back behind.

    No file states t, and BasicSR's do not state white, either.
    """
    made = edsr_of(scale, t)
    mean = np.reshape(made.options["mean"], (3, 1, 1))
    write_weights(tmp_path / "theirs.safetensors", names(made.parameters, white), {})
    network = load(tmp_path / "theirs.safetensors")
    assert type(network) is EDSR and (network.scale, network.blocks, network.c) == (scale, 2, 3)
    assert network.options["residual_scale"] == t
    notes = " ".join(network.card.get("notes", []))
    assert ("a residual scale of 0.1 is assumed" in notes) == (t == 0.1)
    assert ("its values are taken to be 0..1" in notes) == (names is of_basicsr and white == 1)
    x = np.random.default_rng(scale).random((1, 3, 7, 9), np.float32)

    def conv(h, layer):
        w, b = made.parameters[f"W{layer}"], made.parameters[f"B{layer}"]
        return reference.conv2d(h, w.astype(np.float64), white * b.astype(np.float64), "zeros")

    h = h0 = conv(white * (x - mean), "_head")
    for k in (1, 2):
        h = h + t * conv(reference.relu(conv(h, f"{k}_1")), f"{k}_2")
    h = conv(h, "_body") + h0
    for k, s in enumerate({2: [2], 3: [3], 4: [2, 2]}[scale], 1):
        h = reference.pixel_shuffle(conv(h, f"_up{k}"), s)
    wanted = conv(h, "_tail") / white + mean
    assert np.abs(network.forward(x) - wanted).max() < 1e-5 * max(1, np.abs(wanted).max())


def test_an_edsr_of_others_that_makes_no_picture_is_refused(tmp_path):
    tensors = of_the_authors(EDSR(2, 2, 6, 3, short_tail=False, picture=False).parameters)
    write_weights(tmp_path / "theirs.safetensors", tensors, {})
    with pytest.raises(ValueError, match="makes no picture: of greys of .* or is not trained"):
        load(tmp_path / "theirs.safetensors")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"head.0.bias": np.full(6, "a")}, "B_head is <U1, wanted float32 or float64"),
        ({"tail.0.0.bias": np.ones(24, int)}, "B_up1 is int64, wanted float32 or float64"),
        ({f"body.{'9' * 5000}.body.0.bias": np.ones(6)}, r"a\.npz"),
        ({f"tail.0.{'9' * 5000}.bias": np.ones(6)}, r"a\.npz"),
    ],
)
def test_an_edsr_of_others_with_odd_names_or_values_is_refused(change, words, tmp_path):
    made = EDSR(2, 2, 6, c=3, short_tail=False, picture=False)
    np.savez(tmp_path / "a.npz", **(of_the_authors(made.parameters) | change))
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "a.npz")


def test_a_vdsr_of_others_that_holds_no_numbers_is_refused(tmp_path):
    tensors = {f"{k}.weight": p for k, p in VDSR(6, 5).parameters.items() if p.ndim == 4}
    np.savez(tmp_path / "a.npz", **(tensors | {"W6.bias": np.array(["a"])}))
    with pytest.raises(ValueError, match=r"a\.npz"):
        load(tmp_path / "a.npz", 2)


def test_a_vdsr_of_others_in_pytorch(tmp_path):
    """Without biases, its first and last layer named behind the others."""
    made = VDSR(6, 5)
    names = {f"W{k}": f"residual_layer.{k - 2}.conv.weight" for k in range(2, 6)}
    names |= {"W1": "input.weight", "W6": "output.weight"}
    tensors = {theirs: made.parameters[ours] for ours, theirs in names.items()}
    write_weights(tmp_path / "theirs.safetensors", tensors, {})
    network = load(tmp_path / "theirs.safetensors", 3)
    x = np.random.default_rng(0).random((1, 1, 9, 8), np.float32)
    assert type(network) is VDSR and np.array_equal(network.forward(x), made.forward(x))
    # A chain that makes pictures by itself is none.
    chain = SRCNN.from_stack((3, 3, 3, 3), (5, 5, 5), init="identity")
    tensors = {f"conv{n[1:]}.{'weight' if n[0] == 'W' else 'bias'}": a
               for n, a in chain.parameters.items()}  # fmt: skip
    write_weights(tmp_path / "chain.safetensors", tensors, {})
    assert type(load(tmp_path / "chain.safetensors", 3)) is SRCNN


@pytest.mark.parametrize(
    "sign, added, words",
    [
        (1, 0.3, ""),
        (-1, 0.3, "makes that softer: it is perhaps"),
        (1, 1, "of noise that is in its"),
    ],
)
def test_a_denoiser_of_the_layers_of_a_vdsr_is_refused(sign, added, words, tmp_path):
    """Its result is a part of what differs from the neighbours: an edge and, of it, noise."""
    first, middle, last = (
        np.zeros(s, np.float32) for s in ((2, 1, 3, 3), (2, 2, 3, 3), (1, 2, 3, 3))
    )
    first[0], first[0, 0, 1, 1] = -1 / 8, 1
    first[1] = -first[0]
    middle[[0, 1], [0, 1], 1, 1] = 1
    last[0, :, 1, 1] = added * sign, -added * sign
    tensors = {f"conv{k}.weight": w for k, w in enumerate((first, middle, middle, last))}
    write_weights(tmp_path / "theirs.safetensors", tensors, {})
    if not words:
        assert type(load(tmp_path / "theirs.safetensors", 3)) is VDSR
        return
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "theirs.safetensors", 3)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_drcn_with_the_input_in_its_last_layer_is_called_so(tmp_path, suffix):
    """The names of deeply-recursive-cnn-tf, whose order of axes is TensorFlow's."""
    shapes = {"W-1_conv/conv_W_1": (3, 3, 1, 6), "W0_conv/conv_W_1": (3, 3, 6, 6),
              "W_conv": (3, 3, 6, 6), "WD1_conv_1": (3, 3, 6, 6), "WD2_conv_1": (3, 3, 7, 1),
              "LayerWeights": (9,), "B": (6,), "BD1": (6,), "BD2": (1,)}  # fmt: skip
    tensors = {name: np.full(shape, 0.1, np.float32) for name, shape in shapes.items()}
    write_weights(tmp_path / f"a.{suffix}", tensors, {})
    with pytest.raises(ValueError, match=rf"a.{suffix} is a DRCN of the program deeply-recursive-"):
        load(tmp_path / f"a.{suffix}", 2)


def test_a_drcn_of_others_without_its_sum_is_no_vdsr(tmp_path):
    names = {"_in1": "embedding_layer.0.conv", "_in2": "embedding_layer.1.conv",
             "": "conv_block.conv", "_out1": "reconstruction_layer.0.conv",
             "_out2": "reconstruction_layer.1.conv"}  # fmt: skip
    tensors = {f"{names[n[1:]]}.{'weight' if n[0] == 'W' else 'bias'}": a
               for n, a in load("drcn", 3).parameters.items() if n != "w"}  # fmt: skip
    write_weights(tmp_path / "a.safetensors", tensors, {})
    with pytest.raises(ValueError, match="has layers of a DRCN, such as embedding_layer"):
        load(tmp_path / "a.safetensors", 3)


def test_a_prefix_of_all_names_does_not_matter(tmp_path):
    made = edsr_of(3)
    tensors = {f"module.generator.{n}": a for n, a in of_the_authors(made.parameters).items()}
    write_weights(tmp_path / "a.safetensors", tensors, {})
    network = load(tmp_path / "a.safetensors")
    assert type(network) is EDSR
    x = np.random.default_rng(0).random((1, 3, 6, 5), np.float32)
    assert np.abs(network.forward(x) - made.forward(x)).max() < 1e-5


# One network for all three scales.
@pytest.mark.parametrize(
    "scale, psnr",
    [
        pytest.param(2, 37.53, marks=pytest.mark.slow), (3, 33.66),
        pytest.param(4, 31.35, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_vdsr_of_its_authors_reaches_what_they_published(scale, psnr, data_folder):
    network = load(data_folder("weights") / "vdsr_authors.mat", scale)
    found = average(list(evaluate(data_folder("Set5"), network))).psnr
    assert abs(found - psnr) < 0.02


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("channels", [1, 4])
def test_pieces_of_a_deep_network_are_the_whole(name, channels, monkeypatch):
    network = drawn_deep(name)
    s = network.scale or 2
    picture = np.random.default_rng(4).integers(0, 256, (61, 83, channels)).astype(np.uint8)
    step = Step((61, 83), (61 * s, 83 * s), channels, np.uint8, network)
    whole = np.empty((*step.shape, channels), np.uint8)
    step.make(picture, (0, step.shape[0]), (0, step.shape[1]), whole)
    assert 0 < whole.std()
    monkeypatch.setattr(steps, "SMALLEST", 16)
    for band in (10_000, 300_000):
        monkeypatch.setattr(steps, "BAND", band)
        made, pieces = np.zeros_like(whole), list(step.pieces((0, 61 * s), (5, 83 * s)))
        for rows, columns in pieces:
            needed = tuple(slice(*span) for span in step.needs(rows, columns))
            step.make(picture[needed], rows, columns, made[slice(*rows), slice(*columns)])
        assert len(pieces) > 1 and np.array_equal(made[:, 5:], whole[:, 5:])
        assert not made[:, :5].any()


def test_pieces_are_few_and_as_large_as_memory_allows():
    """Rows of a shallow network; squares of a deep one, whose margins would be most of a row."""
    for network, whole_rows in ((SRCNN(), True), (VDSR(20, 64), False)):
        step = Step((5000, 5000), (10_000, 10_000), 3, np.uint8, network)
        pieces = list(step.pieces((0, 10_000), (0, 10_000)))
        covered = sum((b - a) * (d - c) for (a, b), (c, d) in pieces)
        assert covered == 10_000**2
        assert all((columns == (0, 10_000)) == whole_rows for _, columns in pieces)
        memory = steps.BAND * (1 if whole_rows else steps.DEEP)
        work = 0
        for rows, columns in pieces:
            sides = [b - a for a, b in step._seen(rows, columns)]
            work += sides[0] * sides[1]
            assert sides[0] * sides[1] * step.bytes_per_pixel < 1.05 * memory
        assert work < 1.4 * covered


def published(scale):
    """EDSR of 43 million values, of which none matters here."""
    small = EDSR(scale, 32, 1, 3, short_tail=False, picture=False)
    shapes = {name: [256 if n == 1 else n for n in a.shape] for name, a in small.parameters.items()}
    for k in range(1, 3):
        for name in (f"W_up{k}", f"B_up{k}"):
            if name in shapes:
                shapes[name][0] *= 256
    zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return EDSR.from_parameters(zeros, residual_scale=0.1, picture=False)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_hundred_megapixels_by_edsr_as_published(scale):
    """By what is counted on, below 2 GiB beside the weights; margins are most of the work."""
    network = published(scale)
    assert sum(a.size for a in network.parameters.values()) > 40_000_000
    side = 10_000 // scale
    step = Step((side, side), (side * scale, side * scale), 3, np.uint8, network)
    pieces, work = list(step.pieces((0, step.shape[0]), (0, step.shape[1]))), 0
    for rows, columns in pieces:
        area = scale**2 * math.prod(b - a for a, b in step._seen(rows, columns))
        assert area * step.bytes_per_pixel < 1.7 * 2**30
        work += area
    covered = sum((b - a) * (d - c) for (a, b), (c, d) in pieces)
    assert covered == math.prod(step.shape) and work < 9 * covered


@pytest.mark.parametrize(
    "name", ["edsr", "edsr RGB, the paper's tail", pytest.param("vdsr", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("channels", [1, 4])
def test_whatever_part_of_cells_is_made_is_the_whole(name, channels, monkeypatch):
    """To the bit; and the whole is what the network makes of it at once, but for rounding."""
    network = drawn_deep(name)
    s = network.scale or 2
    rng = np.random.default_rng(4)
    start, shape = (61, 83), (61 * s, 83 * s)
    picture = rng.random((*start, channels), np.float32)
    at_once = Step(start, shape, channels, np.float32, network)
    wanted = np.empty((*shape, channels), np.float32)
    at_once.make(picture, (0, shape[0]), (0, shape[1]), wanted)
    monkeypatch.setattr(steps, "BAND", 1000)
    monkeypatch.setattr(steps, "FAR", 1)
    step = Step(start, shape, channels, np.float32, network)
    assert at_once.cell is None and step.cell is not None
    whole = np.full_like(wanted, -1)
    step.make(picture, (0, shape[0]), (0, shape[1]), whole)
    assert 0 < whole.std() and np.abs(whole - wanted).max() < 1e-4
    pieces = list(step.pieces((7, shape[0] - 3), (5, shape[1])))
    assert len(pieces) > 5
    for rows, columns in [*pieces, ((7, shape[0] - 3), (5, shape[1])), ((40, 41), (0, 90))]:
        needed = tuple(slice(*span) for span in step.needs(rows, columns))
        made = np.zeros((rows[1] - rows[0], columns[1] - columns[0], channels), np.float32)
        step.make(picture[needed], rows, columns, made)
        assert np.array_equal(made, whole[slice(*rows), slice(*columns)])


def test_the_loss_of_drcn_asks_for_all_pictures_at_first_and_for_their_sum_at_last():
    """By differences of the loss, small ones, as there are kinks; and the parts written out."""
    network = drawn_deep("drcn").astype(np.float64)
    rng = np.random.default_rng(3)
    low, high = rng.random((2, 2, 1, 9, 8))
    kept = []
    out = network._forward(low, network.parameters, reference, kept)
    pictures = np.mean([np.mean((y - high) ** 2) for y in kept[-1]])
    last = np.mean((out - high) ** 2)
    for done, wanted in ((0, pictures), (0.25, 0.75 * pictures + 0.25 * last), (1, last)):
        loss, gradients = network.loss_and_gradients(low, high, "mse", done)
        assert loss == pytest.approx(wanted, rel=1e-12)
        for name, parameter in network.parameters.items():
            direction, start, ends = rng.normal(size=parameter.shape), parameter.copy(), []
            for t in (1e-8, -1e-8):
                parameter[...] = start + t * direction
                ends.append(network.loss_and_gradients(low, high, "mse", done)[0])
            parameter[...] = start
            slope = (ends[0] - ends[1]) / 2e-8
            assert np.vdot(gradients[name], direction) == pytest.approx(slope, rel=1e-5, abs=1e-7)
    assert not np.any(network.loss_and_gradients(low, high, "mse", 0)[1]["w"])


def test_drcn_starts_by_handing_its_maps_on():
    network = DRCN(4, 5)
    x = np.random.default_rng(1).random((1, 1, 9, 8), np.float32)
    kept = []
    out = network._forward(x, network.parameters, reference, kept)
    assert all(np.array_equal(kept[2][0], h) for h in kept[2][2::2])
    assert np.abs(out - x).max() < 0.1
    assert sum(p.size for p in DRCN().parameters.values()) == 1_775_121  # known as 1.77 M


@pytest.mark.parametrize("name", [*NETWORKS, *DEEP])
def test_an_ensemble_is_the_mean_of_eight(name):
    """Turned here by axes and slices; pieces of it are the whole, too."""
    network = (NETWORKS | DEEP)[name]().astype(np.float32)
    x = batch_of(network, 1, 23, 18)
    results = []
    for flip in (False, True):
        for quarter in range(4):
            view = x[..., ::-1] if flip else x
            view = view.swapaxes(2, 3)[:, :, ::-1] if quarter % 2 else view
            view = view[:, :, ::-1, ::-1] if quarter > 1 else view
            out = network.forward(np.ascontiguousarray(view))
            out = out[:, :, ::-1, ::-1] if quarter > 1 else out
            out = out[:, :, ::-1].swapaxes(2, 3) if quarter % 2 else out
            results.append(out[..., ::-1] if flip else out)
    network.ensemble = True
    got = network.forward(x)
    assert got.dtype == np.float32 and np.abs(got - np.mean(results, axis=0)).max() < 1e-6
    assert np.abs(got - results[0]).max() > 1e-6
    s = network.scale or 2
    step = Step((61, 83), (61 * s, 83 * s), 1, np.float32, network)
    picture = np.random.default_rng(2).random((61, 83, 1)).astype(np.float32)
    whole, part = np.empty((*step.shape, 1), np.float32), np.empty((30, 41, 1), np.float32)
    step.make(picture, (0, 61 * s), (0, 83 * s), whole)
    for top, left in ((0, 0), (17, 30), (61 * s - 30, 83 * s - 41)):
        rows, columns = (top, top + 30), (left, left + 41)
        needed = tuple(slice(*span) for span in step.needs(rows, columns))
        step.make(picture[needed], rows, columns, part)
        assert np.array_equal(part, whole[slice(*rows), slice(*columns)]), (top, left)


def test_a_network_that_enlarges_is_for_one_scale(tmp_path):
    network = EDSR(3, 1, 5)
    network.scales = (2, 3)
    network.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"its card says scale \[2, 3\], and its layers"):
        load(tmp_path / "a.npz")


def test_layers_of_others_come_in_their_order_whatever_that_of_the_names(tmp_path):
    """As files sorted by name have them: 10 before 2, biases before weights."""
    made, rng = VDSR(13, 4), np.random.default_rng(0)
    for p in made.parameters.values():
        p += rng.normal(0, 0.01, p.shape).astype(np.float32)
    made.parameters["W13"] *= -1  # it must sharpen, or `load` takes it for a denoiser
    names = {str(k): f"residual_layer.{k - 2}" for k in range(2, 13)}
    names |= {"1": "input", "13": "output"}
    theirs = {f"{names[n[1:]]}.{'weight' if n[0] == 'W' else 'bias'}": a
              for n, a in made.parameters.items()}  # fmt: skip
    write_weights(tmp_path / "v.safetensors", dict(sorted(theirs.items())), {})
    network = load(tmp_path / "v.safetensors", 3)
    assert all(np.array_equal(a, made.parameters[n]) for n, a in network.parameters.items())
    # Of PyTorch, whose order means something, unless the names tell another.
    tensors = dict(sorted(theirs.items()))
    for order in (tensors, dict(reversed(tensors.items()))):
        found = vdsr_of(order, ordered=True)
        assert all(np.array_equal(a, made.parameters[n]) for n, a in found.items())
    made = edsr_of(4)
    theirs = {n: a for n, a in of_the_authors(made.parameters).items() if "mean" not in n}
    write_weights(tmp_path / "e.safetensors", dict(sorted(theirs.items())), {})
    network = load(tmp_path / "e.safetensors")
    x = rng.random((1, 3, 6, 5), np.float32)
    assert np.abs(network.forward(x) - made.forward(x)).max() < 1e-5
    turned = EDSR.from_parameters(dict(reversed(made.parameters.items())), **made.options)
    assert np.array_equal(turned.forward(x), made.forward(x))


@pytest.mark.parametrize(
    "tensors",
    [
        {f"fc{k}.weight": (3, 4) for k in range(4)},
        {"a.weight": (), "b.weight": (5, 1, 3, 3), "c.weight": (5, 5, 3, 3),
         "d.weight": (1, 5, 3, 3)},
        {"a.weight": (8, 1, 3, 3), "b.weight": (8, 8, 3, 3), "c.weight": (8, 8, 3, 3),
         "d.weight": (1, 8, 3, 3), "a.bias": (1, 8, 1, 1)},
        {"W_head": (0, 1, 3, 3), "card": "edsr"},
        {"W_head": (5, 1, 3, 3), "W_up1": (20,), "W_tail": (1, 5, 3, 3), "card": "edsr"},
        {"W_head": (5, 1, 3, 3), "W_up1": (4, 0, 3, 3), "W_tail": (1, 5, 3, 3), "card": "edsr"},
        {"W_head": (5, 1, 3, 3), "W_tail": (), "card": "edsr"},
        {"W_head": (5,), "W_tail": (1, 5, 3, 3), "card": "edsr"},
        {"W1": (5,), "card": "vdsr"},
        {"W_in1": (), "w": (), "card": "drcn"},
        {"W_in1": (4, 1, 3, 3), "card": "drcn", "weights_of_sum": [10**400]},
        {"W_head": (5, 1, 3, 3), "W_tail": (4, 5, 3, 3), "card": "edsr", "mean": [10**400]},
    ],
)  # fmt: skip
def test_odd_files_are_refused_in_a_sentence(tensors, tmp_path):
    shapes = dict(tensors)
    said = shapes.pop("card", None)
    card = {"network": said, "version": "1"} if said else {}
    card |= {n: shapes.pop(n) for n in ("weights_of_sum", "mean") if n in shapes}
    arrays = {n: np.ones(shape, np.float32) for n, shape in shapes.items()}
    if said:
        np.savez(tmp_path / "a.npz", card=np.array(json.dumps(card)), **arrays)
    else:
        write_weights(tmp_path / "a.safetensors", arrays, card)
    path = tmp_path / ("a.npz" if said else "a.safetensors")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load(path, 2)


def test_the_scale_of_a_card_is_that_of_the_layers(tmp_path):
    network = EDSR(2, 1, 5)
    network.scale = 3
    network.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="its card says scale 3, and its layers enlarge by 2"):
        load(tmp_path / "a.npz")


def test_weights_that_could_not_be_read_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("pysrcnn.formats.LIMIT", 2000)
    with pytest.raises(ValueError, match="would hold 3,.* bytes, and weights of at most 2,000 are"):
        EDSR(2, 1, 5).save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tail", [True, False])
def test_margins_are_not_counted_beyond_the_picture(tail):
    """A picture that fits is done at once, and pieces are not all margin."""
    network = EDSR(4, 16, 64, 3, short_tail=tail)
    step = Step((100, 100), (400, 400), 3, np.uint8, network)
    assert list(step.pieces((0, 400), (0, 400))) == [((0, 400), (0, 400))]
    step = Step((480, 640), (1920, 2560), 3, np.uint8, network)
    pieces, work = list(step.pieces((0, 1920), (0, 2560))), 0
    for rows, columns in pieces:
        sides = [b - a for a, b in step._seen(rows, columns)]
        work += sides[0] * sides[1]
    assert work < 4 * 480 * 640


@pytest.mark.parametrize("name", DEEP)
def test_what_parameters_are(name, tmp_path):
    network = drawn_deep(name)
    kind, options, p = type(network), network.options, network.parameters
    for given, words in (
        (None, "the parameters are NoneType, wanted a dict of arrays"),
        ({n: a.tolist() for n, a in p.items()} | {next(iter(p)): None}, "array of object, wanted"),
        ({n: a.astype(int) for n, a in p.items()}, "array of int64, wanted float32 or float64"),
    ):
        with pytest.raises(TypeError, match=words):
            kind.from_parameters(given)
    first = next(iter(p))
    with pytest.raises(ValueError, match=f"{first} holds values that are not finite"):
        kind.from_parameters(p | {first: p[first] * np.inf})
    with pytest.raises(ValueError, match="no arrays to make such a network of|is missing"):
        kind.from_parameters({})
    lists = kind.from_parameters({n: a.tolist() for n, a in p.items()}, **options)
    x = batch_of(network, 1, 9, 8)
    assert np.abs(lists.forward(x) - network.forward(x)).max() < 1e-5
    p[first][...] = np.nan
    with pytest.raises(
        ValueError, match=f"{first} holds values that are not finite: .* not written"
    ):
        network.save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_options_of_an_edsr_as_numpy_has_them():
    mean = np.array([0.1, 0.2, 0.3])
    network = EDSR(2, 1, 4, 3, mean=mean, residual_scale=np.float32(0.5))
    assert network.options == {"residual_scale": 0.5, "picture": True, "mean": mean.tolist()}
    exact = network.astype(np.float64)
    x = np.random.default_rng(0).random((1, 3, 6, 5))
    exact.ops = reference
    assert np.abs(exact.forward(x) - network.astype(np.float64).forward(x)).max() < 1e-13
    for wrong in (True, "a", 2):
        with pytest.raises(ValueError, match="residual_scale is"):
            EDSR(2, residual_scale=wrong)
    for kind in (VDSR, DRCN):
        with pytest.raises(ValueError, match="c is 1 .luminance. or 3 .RGB., got True"):
            kind(c=True)
    with pytest.raises(ValueError, match=r"small has the shape \(9, 8\), wanted \(3, H, W\)"):
        network.enlarge(np.zeros((9, 8)))
