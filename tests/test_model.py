"""The network: its sizes, its start, forward, gradients against PyTorch, files and names.

Tolerances: sums of K rounded products, as in `test_ops`.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from naive import forward as naive_forward
from rungs import JIT
from samples import read_network

import pysrcnn
from pysrcnn import SRCNN, kernels, load, reference
from pysrcnn.formats import write_weights
from pysrcnn.networks import DRCN, ESPCN, VDSR, Chain, loading
from pysrcnn.networks.values import check_picture

OPS = pytest.mark.parametrize("ops", [reference, kernels], ids=["reference", "kernels"])
EPS32, EPS64 = (float(np.finfo(dtype).eps) for dtype in (np.float32, np.float64))


def same(a, b, tolerance):
    """Whether no element differs by more than `tolerance` times the largest value of `b`."""
    assert a.shape == b.shape, (a.shape, b.shape)
    return np.abs(a - b).max() <= tolerance * np.abs(b).max()


def same_bits(ours, theirs):
    """Whether two dicts hold the same arrays, bit for bit and of the same dtypes."""
    return ours.keys() == theirs.keys() and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in ((ours[name], theirs[name]) for name in ours)
    )


def small(c=1, ops=kernels, dtype=np.float32, seed=0):
    """A 5-1-3 network with biases that are not zero, and numbers of filters of all kinds."""
    network = SRCNN(5, 9, 1, 8, 3, c, init="he", seed=seed, ops=ops)
    rng = np.random.default_rng(seed + 1)
    for name, parameter in network.parameters.items():
        if name[0] == "B":
            parameter[...] = rng.normal(0, 0.1, parameter.shape)
    return network.astype(dtype)


def test_comparators_see_small_errors_and_swapped_axes():
    x = np.random.default_rng(0).random((1, 2, 6, 6))
    assert same(x, x.copy(), 1e-12)
    assert not same(x * 1.01, x, 1e-5)
    assert not same(x.transpose(0, 1, 3, 2), x, 1e-5)
    with pytest.raises(AssertionError):
        same(x[:, :, :5], x, 1e-5)
    assert same_bits({"x": x}, {"x": x.copy()})
    assert not same_bits({"x": x}, {"x": np.nextafter(x, 2)})
    assert not same_bits({"x": x}, {"x": x, "y": x})
    assert not same_bits({"x": x}, {"x": x.reshape(2, 36)})


# ------------------------------------------------------------------------------------ construction


@pytest.mark.parametrize("c", [1, 3])
def test_shapes_of_the_parameters(c):
    network = SRCNN(11, 6, 3, 5, 7, c)
    shapes = {name: p.shape for name, p in network.parameters.items()}
    assert shapes == {
        "W1": (6, c, 11, 11),
        "B1": (6,),
        "W2": (5, 6, 3, 3),
        "B2": (5,),
        "W3": (c, 5, 7, 7),
        "B3": (c,),
    }
    assert all(p.dtype == np.float32 for p in network.parameters.values())
    assert network.dtype == np.float32
    assert (network.sizes, network.filters, network.c) == ((11, 3, 7), (6, 5), c)
    assert (network.name, network.margin, network.scale) == ("11-3-7", 5 + 1 + 3, None)


def test_the_default_is_the_basic_network_of_the_paper():
    network = SRCNN()
    assert (network.name, network.filters, network.c) == ("9-1-5", (64, 32), 1)
    assert network.margin == 6  # 33 x 33 -> 21 x 21


@pytest.mark.parametrize("f2, weights", [(1, 8_032), (3, 24_416), (5, 57_184)])
def test_numbers_of_weights_in_the_paper(f2, weights):
    parameters = SRCNN(f2=f2).parameters
    assert sum(parameters[f"W{k}"].size for k in (1, 2, 3)) == weights


def test_deeper_stacks():
    network = SRCNN.from_stack((9, 1, 1, 5), (64, 32, 16), 3)
    assert network.name == "9-1-1-5" and network.margin == 6
    assert [w.shape for w, _ in network.layers] == [
        (64, 3, 9, 9),
        (32, 64, 1, 1),
        (16, 32, 1, 1),
        (3, 16, 5, 5),
    ]
    assert [b.shape for _, b in network.layers] == [(64,), (32,), (16,), (3,)]
    assert SRCNN.from_stack((5,), ()).layers[0][0].shape == (1, 1, 5, 5)


def test_from_stack_is_the_constructor():
    ours = SRCNN(5, 4, 1, 3, 3, 3, init="he", seed=7)
    theirs = SRCNN.from_stack((5, 1, 3), (4, 3), 3, init="he", seed=7)
    assert same_bits(ours.parameters, theirs.parameters)


def test_repr():
    network = small(3)
    assert repr(network) == "<SRCNN 5-1-3, filters=(9, 8), c=3, float32>"
    network.scale = 4
    assert repr(network) == "<SRCNN 5-1-3, filters=(9, 8), c=3, float32, scale=4>"


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: SRCNN(f1=8), "filter sizes are odd, so that a filter has a centre, got 8"),
        (lambda: SRCNN(f3=-1), "layer sizes are positive integers, got -1"),
        (lambda: SRCNN(n1=0), "layer sizes are positive integers, got 0"),
        (lambda: SRCNN(n2=1.5), "layer sizes are positive integers, got 1.5"),
        (lambda: SRCNN(f1="9"), "layer sizes are positive integers, got '9'"),
        (lambda: SRCNN(c=2), "c is 1 (luminance) or 3 (RGB), got 2"),
        (lambda: SRCNN(init="xavier"), 'init is "paper", "he" or "identity", got \'xavier\''),
        (
            lambda: SRCNN.from_stack((9, 1, 5), (64,)),
            "3 layers need 2 numbers of filters (the last layer has one for each channel), got 1",
        ),
        (lambda: SRCNN.from_stack((), ()), "0 layers"),
    ],
)
def test_sizes_are_checked(make, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        make()


# --------------------------------------------------------------------------------------- the start


@pytest.mark.parametrize("init", ["paper", "he"])
def test_random_starts_have_the_deviation_they_should(init):
    network = SRCNN(9, 64, 5, 32, 5, 3, init=init, seed=3)
    for w, b in network.layers:
        wanted = 0.001 if init == "paper" else np.sqrt(2 / w[0].size)
        standard_error = 1 / np.sqrt(2 * w.size)  # of the deviation of so many normal numbers
        assert abs(w.std() / wanted - 1) < 5 * standard_error
        assert abs(w.mean() / wanted) < 5 / np.sqrt(w.size)
        assert not b.any()


@pytest.mark.parametrize("init", ["paper", "he", "identity"])
def test_the_start_depends_on_the_seed_alone(init):
    first, again, other = (SRCNN(5, 4, 1, 3, 3, init=init, seed=s) for s in (1, 1, 2))
    assert same_bits(first.parameters, again.parameters)
    assert not same_bits(first.parameters, other.parameters)
    other.initialise(init, 1)
    assert same_bits(first.parameters, other.parameters)


def test_initialise_forgets_what_was_there():
    network = small()
    network.initialise("identity", 5)
    assert same_bits(network.parameters, SRCNN(5, 9, 1, 8, 3, init="identity", seed=5).parameters)


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize(
    "sizes, filters", [((9, 1, 5), (8, 4)), ((5, 3, 1, 3), (8, 5, 4)), ((5,), ())]
)
def test_identity_hands_the_picture_on(sizes, filters, c):
    network = SRCNN.from_stack(sizes, filters, c, init="identity", seed=4)
    x = np.random.default_rng(5).random((1, c, 9, 10), np.float32)
    assert np.abs(network.forward(x) - x).max() < 0.5  # nearly its input, and not just that ...
    last = network.parameters[f"W{len(sizes)}"]
    if len(sizes) > 1:
        assert np.abs(network.forward(x) - x).max() > 1e-4
        last[:, c:] = 0
    else:
        last[last != 1] = 0
    assert np.abs(network.forward(x) - x).max() < 1e-6  # ... but for the small last weights


def test_identity_has_no_filters_that_answer_to_brightness():
    network = SRCNN.from_stack((5, 3, 1, 3), (8, 5, 4), 3, init="identity", seed=4)
    for k, first in ((1, 0), (2, 3), (3, 3)):
        others = network.parameters[f"W{k}"][3:, first:]
        assert np.abs(others.mean(axis=(1, 2, 3))).max() < 1e-7 and np.abs(others).min() > 0


def test_identity_is_near_the_bicubic_picture_for_the_network_of_the_paper():
    network = SRCNN(init="identity", ops=reference)
    x = np.random.default_rng(6).random((1, 1, 40, 40), np.float32)
    assert np.sqrt(np.mean((network.forward(x) - x) ** 2)) < 0.05


@pytest.mark.parametrize("filters", [(8, 2), (2, 8), (1, 1)])
def test_identity_with_fewer_filters_than_channels(filters):
    """A picture of three channels cannot pass through two filters; that is no reason to crash."""
    try:
        network = SRCNN.from_stack((3, 1, 3), filters, 3, init="identity")
    except ValueError as error:
        assert "identity" in str(error)
    else:
        assert all(np.isfinite(w).all() for w, _ in network.layers)


# ------------------------------------------------------------------------------ parameters, dtypes


@OPS
def test_parameters_may_be_filled_in_place(ops):
    network = small(ops=ops)
    x = np.random.default_rng(7).random((1, 1, 8, 9), np.float32)
    before = network.forward(x)
    network.parameters["B3"][...] += 0.5
    assert np.allclose(network.forward(x), before + 0.5, atol=1e-6)
    for parameter in network.parameters.values():
        parameter[...] = 0
    network.parameters["B3"][...] = 0.25
    assert np.all(network.forward(x) == 0.25)


def test_astype():
    network = small()
    network.scale, network.card = 3, {"data": "T91"}
    double = network.astype("float64")
    assert double.dtype == np.float64 and network.dtype == np.float32
    assert (double.scale, double.card) == (3, {"data": "T91"})
    assert all(np.array_equal(p, network.parameters[n]) for n, p in double.parameters.items())
    assert same_bits(double.astype(np.float32).parameters, network.parameters)
    double.parameters["B1"][...] = 9  # a copy, in everything that can be changed
    double.card["data"] = "other"
    assert not np.any(network.parameters["B1"] == 9) and network.card["data"] == "T91"
    copy = network.astype(np.float32)
    assert not np.shares_memory(copy.parameters["W1"], network.parameters["W1"])
    with pytest.raises(TypeError, match="compute in float32 or float64, not in float16"):
        network.astype(np.float16)


def test_from_parameters():
    network = small(3, dtype=np.float64)
    again = SRCNN.from_parameters(network.parameters, ops=reference)
    assert same_bits(again.parameters, network.parameters)
    assert (again.name, again.filters, again.c) == (network.name, network.filters, network.c)
    assert again.ops is reference


@pytest.mark.parametrize(
    "kind, change, words",
    [
        (SRCNN, {"B3": None}, "B3 is missing, wanted the shape"),
        (SRCNN, {"W2": None}, "W2 is missing"),
        (SRCNN, {"W4": np.ones((1, 1, 3, 3))}, "B4 is missing"),
        (SRCNN, {"slopes": np.ones(3)}, "the arrays slopes do not make such a network"),
        (SRCNN, {"B1": np.ones(1)}, "B1 is .1,., wanted the shape .8,."),
        (SRCNN, {"W2": np.ones((4, 7, 1, 1))}, "W2 is .4, 7, 1, 1., wanted the shape .4, 8, 1, 1"),
        (SRCNN, {"W1": np.ones((8, 1, 3, 5))}, "W1 has the shape .8, 1, 3, 5., wanted .O, C, f, f"),
        (SRCNN, {"W1": np.full((8, 1, 3, 3), np.nan)}, "W1 holds values that are not finite"),
        (SRCNN, {"W1": np.ones((8, 1, 3, 3), int)}, "W1 is an array of int64, wanted float32 or"),
        (SRCNN, {"W3": np.ones((4, 4, 3, 3)), "B3": np.ones(4)}, "the last layer has 4 filters"),
        (ESPCN, {}, "scale is a whole number, 2 to 16; got 1"),
        (ESPCN, {"W3": np.ones((5, 4, 3, 3)), "B3": np.ones(5)}, "2 to 16; got 0"),
    ],
)
def test_arrays_that_make_no_chain(kind, change, words):
    arrays = SRCNN(3, 8, 1, 4, 3).astype(np.float64).parameters | change
    with pytest.raises((TypeError, ValueError), match=words):
        kind.from_parameters({n: a for n, a in arrays.items() if a is not None})


def test_the_padding_is_saved(tmp_path):
    network = SRCNN.from_parameters(SRCNN(3, 8, 1, 4, 3).parameters, padding="zeros")
    for name in "a.npz", "a.safetensors":
        network.save(tmp_path / name)
        assert load(tmp_path / name).options == {"padding": "zeros"}
    with pytest.raises(ValueError, match=r"a\.mat would not say that this network pads with zeros"):
        network.save(tmp_path / "a.mat")
    card = network.card | {"network": network.name, "padding": "none"}
    write_weights(tmp_path / "b.npz", network.parameters, card)
    with pytest.raises(ValueError, match="b.npz has the padding 'none', wanted replicate or zeros"):
        load(tmp_path / "b.npz")


# ----------------------------------------------------------------------------------------- forward


@OPS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("c", [1, 3])
def test_forward_sizes_and_dtypes(ops, dtype, c):
    network = small(c, ops, dtype)
    for kind in (np.float32, np.float64, np.float16):
        x = np.random.default_rng(8).random((2, c, 9, 10)).astype(kind)
        out = network.forward(x)
        assert out.shape == x.shape and out.dtype == dtype
        inner = network.forward(x, "valid")
        assert inner.shape == (2, c, 9 - 2 * 3, 10 - 2 * 3) and inner.dtype == dtype
        middle = out[:, :, 3:-3, 3:-3]  # where no padding is near
        assert same(middle, inner, 100 * (EPS32 if dtype == np.float32 else EPS64))


@OPS
@pytest.mark.parametrize("padding", ["replicate", "valid"])
@pytest.mark.parametrize("c", [1, 3])
def test_forward_is_its_definition(ops, padding, c):
    network = small(c, ops, np.float64)
    x = np.random.default_rng(9).random((1, c, 7, 8))
    wanted = naive_forward(x, network.layers, padding)
    assert same(network.forward(x, padding), wanted, 4 * np.sqrt(c * 25 + 9 + 72) * EPS64)


@pytest.mark.parametrize("padding", ["replicate", "valid"])
@pytest.mark.parametrize("sizes, filters", [((9, 1, 5), (10, 5)), ((3, 1, 1, 3), (8, 9, 3))])
def test_both_ops_give_the_same(sizes, filters, padding):
    for c in (1, 3):
        ours = SRCNN.from_stack(sizes, filters, c, init="he", seed=1)
        theirs = SRCNN.from_stack(sizes, filters, c, init="he", seed=1, ops=reference)
        x = np.random.default_rng(10).random((2, c, 14, 15), np.float32)
        out, wanted = ours.forward(x, padding), theirs.forward(x, padding)
        assert same(out, wanted, 4 * np.sqrt(81 * c + 10 + 125) * EPS32)


@OPS
def test_forward_takes_any_layout_and_leaves_the_picture_alone(ops):
    network = small(3, ops)
    x = np.random.default_rng(11).random((2, 3, 8, 9), np.float32)
    copy = x.copy()
    wanted = network.forward(x)
    assert np.array_equal(x, copy)
    assert np.array_equal(network.forward(np.asfortranarray(x)), wanted)
    assert np.array_equal(network.forward(x[:, :, :, ::-1][:, :, :, ::-1]), wanted)
    assert np.array_equal(network.forward(x.tolist()), wanted)


@pytest.mark.parametrize(
    "x, padding, error, words",
    [
        (
            np.zeros((1, 3, 9, 9)), "replicate", ValueError,
            "x has the shape (1, 3, 9, 9), wanted (N, 1, H, W) with pixels in it: the network is "
            "for luminance, one channel",
        ),
        (np.zeros((9, 9)), "replicate", ValueError, "x has the shape (9, 9), wanted (N, 1, H, W)"),
        (np.zeros((1, 1, 0, 9)), "replicate", ValueError, "with pixels in it"),
        (np.zeros((1, 1, 9, 9), np.uint8), "replicate", TypeError, "x is uint8, wanted floating"),
        (np.zeros((1, 1, 9, 9), complex), "replicate", TypeError, "x is complex128"),
        (np.zeros((1, 1, 9, 9)), "zero", ValueError, 'padding is "replicate", "zeros" or'),
        (np.zeros((1, 1, 9, 6)), "valid", ValueError, "at least 7 x 7 pixels, got 9 x 6"),
    ],
)  # fmt: skip
def test_forward_checks_its_input(x, padding, error, words):
    with pytest.raises(error, match=re.escape(words)):
        small().forward(x, padding)


@OPS
def test_the_smallest_pictures(ops):
    network = small(ops=ops)
    assert network.forward(np.full((1, 1, 1, 1), 0.5)).shape == (1, 1, 1, 1)
    assert network.forward(np.full((1, 1, 7, 7), 0.5), "valid").shape == (1, 1, 1, 1)


# --------------------------------------------------------------------------------------- gradients


@OPS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_and_gradients_are_named_and_shaped_as_the_parameters(ops, dtype):
    network = small(3, ops, dtype)
    rng = np.random.default_rng(12)
    low, high = rng.random((2, 3, 9, 10)), rng.random((2, 3, 3, 4))
    copies = low.copy(), high.copy()
    before = {n: p.copy() for n, p in network.parameters.items()}
    loss, gradients = network.loss_and_gradients(low, high)
    assert isinstance(loss, float)
    assert loss == pytest.approx(np.mean((network.forward(low, "valid") - high) ** 2), rel=1e-5)
    assert gradients.keys() == network.parameters.keys()
    for name, gradient in gradients.items():
        assert gradient.shape == before[name].shape and gradient.dtype == dtype
    assert same_bits(network.parameters, before)
    assert np.array_equal(low, copies[0]) and np.array_equal(high, copies[1])


@OPS
def test_high_is_taken_whole_or_cropped_to_its_centre(ops):
    network = small(ops=ops)
    rng = np.random.default_rng(13)
    low, high = rng.random((2, 1, 9, 10), np.float32), rng.random((2, 1, 9, 10), np.float32)
    loss, gradients = network.loss_and_gradients(low, high)
    same_loss, same_gradients = network.loss_and_gradients(low, high[:, :, 3:-3, 3:-3])
    assert loss == same_loss and same_bits(gradients, same_gradients)
    off = network.loss_and_gradients(low, high[:, :, 2:-4, 3:-3])[0]
    assert off != loss


@OPS
def test_a_network_without_margin(ops):
    network = SRCNN(1, 8, 1, 3, 1, init="he", ops=ops)
    x = np.random.default_rng(14).random((1, 1, 3, 4), np.float32)
    loss, _ = network.loss_and_gradients(x, x)
    assert loss == pytest.approx(np.mean((network.forward(x) - x) ** 2), rel=1e-5)


@pytest.mark.parametrize(
    "low, high, error, words",
    [
        ((2, 3, 9, 9), (2, 1, 3, 3), ValueError, "low has the shape (2, 3, 9, 9), wanted"),
        ((2, 1, 9, 9), (2, 3, 3, 3), ValueError, "high has the shape (2, 3, 3, 3), wanted"),
        ((2, 1, 9, 9), (2, 1, 4, 3), ValueError, "5-1-3 gives (2, 1, 3, 3)"),
        ((2, 1, 9, 9), (1, 1, 3, 3), ValueError, "5-1-3 gives (2, 1, 3, 3)"),
        ((2, 1, 6, 9), (2, 1, 6, 9), ValueError, "at least 7 x 7 pixels, got 6 x 9"),
        ((1, 9, 9), (1, 3, 3), ValueError, "low has the shape (1, 9, 9)"),
        ("integers", (2, 1, 3, 3), TypeError, "low is int64, wanted floating point numbers"),
        ((2, 1, 9, 9), "integers", TypeError, "high is int64, wanted floating point numbers"),
    ],
)
@OPS
def test_loss_and_gradients_check_their_input(ops, low, high, error, words):
    integers = np.zeros((2, 1, 9, 9), np.int64)
    low, high = (integers if shape == "integers" else np.zeros(shape) for shape in (low, high))
    with pytest.raises(error, match=re.escape(words)):
        small(ops=ops).loss_and_gradients(low, high)


def recorded():
    """Cases of `record_torch_gradients.py`: {case: {array name: array}}."""
    cases = {}
    with np.load(Path(__file__).with_name("torch_gradients.npz")) as file:
        for name in file.files:
            case, array = name.split("/")
            cases.setdefault(case, {})[array] = file[name]
    return cases


TORCH = recorded()
PRECISIONS = [(np.float64, 1e-10), (np.float32, 1e-5)]
if not JIT:  # the same lines of Python for both
    PRECISIONS = PRECISIONS[:1]


@OPS
@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("case", TORCH)
def test_gradients_are_those_of_pytorch(ops, dtype, tolerance, case):
    arrays = TORCH[case]
    parameters = {f"{kind}{k}": arrays[f"{kind}{k}"] for k in (1, 2, 3) for kind in "WB"}
    network = SRCNN.from_parameters(parameters, ops=ops).astype(dtype)
    loss, gradients = network.loss_and_gradients(arrays["low"], arrays["high"])
    assert abs(loss - arrays["loss"]) <= tolerance * arrays["loss"]
    for name, gradient in gradients.items():
        assert same(gradient, arrays[f"d{name}"], tolerance), name


def test_the_recorded_gradients_cover_what_they_should():
    assert {case.split()[0] for case in TORCH} == {"9-1-5", "9-3-5", "9-5-5"}
    assert {case.split()[2] for case in TORCH} == {"c=1", "c=3"}
    for arrays in TORCH.values():
        assert arrays["dW1"].dtype == np.float64
        assert arrays["low"].min() >= 0 and arrays["low"].max() <= 1
        assert all(np.abs(arrays[f"dW{k}"]).max() > 1e-4 for k in (1, 2, 3))


# ------------------------------------------------------------------------------------ save and load


@pytest.mark.parametrize("c", [1, 3])
def test_saved_and_loaded_is_the_same_bit_for_bit(tmp_path, c):
    network = small(c)
    network.scale = 3
    network.card = {"data": "T91", "recipe": {"steps": 5}, "scores": {"Set5": [32.39, 0.9]}}
    network.save(tmp_path / "weights.npz")
    again = load(tmp_path / "weights.npz")
    assert same_bits(again.parameters, network.parameters)
    assert again.scale == 3 and repr(again) == repr(network)
    assert again.card == {
        **network.card,
        "network": "5-1-3",
        "filters": [9, 8],
        "padding": "replicate",
        "channels": "luminance" if c == 1 else "RGB",
        "scale": 3,
        "version": pysrcnn.__version__,
    }
    again.save(tmp_path / "again.npz")
    assert same_bits(load(str(tmp_path / "again.npz"), 3).parameters, network.parameters)
    assert load(tmp_path / "again.npz").card == again.card


def test_a_deep_stack_of_numpy_sizes_is_saved_and_loaded(tmp_path):
    sizes, filters = np.array([3, 1, 1, 3]), np.array([4, 9, 2])
    network = SRCNN.from_stack(sizes, filters, init="he")
    network.save(tmp_path / "deep.npz")
    again = load(tmp_path / "deep.npz", ops=reference)
    assert again.name == "3-1-1-3" and again.filters == (4, 9, 2) and again.ops is reference
    assert same_bits(again.parameters, network.parameters)


def test_float64_is_saved_exactly_and_loaded_as_float32(tmp_path):
    network = small(dtype=np.float64)
    network.save(tmp_path / "double.npz")
    parameters, _ = read_network(tmp_path / "double.npz")
    assert same_bits(parameters, network.parameters)
    assert load(tmp_path / "double.npz").dtype == np.float32


def test_the_scale_of_a_file(tmp_path):
    network = small()
    network.save(tmp_path / "none.npz")
    assert load(tmp_path / "none.npz").scale is None
    assert load(tmp_path / "none.npz", 2).scale == 2
    network.scale = 3
    network.save(tmp_path / "three.npz")
    assert load(tmp_path / "three.npz").scale == load(tmp_path / "three.npz", 3).scale == 3
    with pytest.raises(ValueError, match="three.npz was trained for scale 3, not 2, and weights"):
        load(tmp_path / "three.npz", 2)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder in the place of the shipped weights: 9-1-5 for x2 and x3, 9-5-5 for x3."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(loading, "_WEIGHTS", folder)
    for seed, (f2, scale) in enumerate([(1, 2), (1, 3), (5, 3)]):
        network = SRCNN(9, 4, f2, 3, 5, init="he", seed=seed)
        network.scale = scale
        network.save(folder / f"{network.name}_x{scale}.npz")
    return folder


def test_shipped_lists_the_folder(weights):
    assert loading.shipped() == {
        ("9-1-5", 2): weights / "9-1-5_x2.npz",
        ("9-1-5", 3): weights / "9-1-5_x3.npz",
        ("9-5-5", 3): weights / "9-5-5_x3.npz",
    }


def test_weights_by_name(weights):
    network = load("9-1-5", 3, ops=reference)
    assert network.name == "9-1-5" and network.scale == 3 and network.ops is reference
    wanted = SRCNN(9, 4, 1, 3, 5, init="he", seed=1).parameters
    assert same_bits(network.parameters, wanted)
    assert load("9-5-5", scale=3).name == "9-5-5"
    colour = SRCNN(9, 4, 1, 3, 5, c=3, init="he")
    colour.scale = 3
    colour.save(weights / "9-1-5-rgb_x3.npz")
    assert load("9-1-5-rgb", 3).c == 3 and load("9-1-5", 3).c == 1
    assert load("9-1-5", 2).scale == 2


def test_a_path_beside_names(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load("weights/9-1-5_x2.npz").scale == 2
    assert load(Path("weights") / "9-1-5_x2.npz", 2).scale == 2


@pytest.mark.parametrize(
    "name, scale, error, words",
    [
        ("9-1-5", None, ValueError, "9-1-5 weights differ by scale: say which, 2 or 3"),
        ("9-1-5", 4, ValueError, "no 9-1-5 weights for scale 4, only for 2 and 3"),
        ("9-5-5", 2, ValueError, "no 9-5-5 weights for scale 2, only for 3"),
        (
            "9-9-9",
            3,
            FileNotFoundError,
            "9-9-9 is neither a file nor the name of shipped weights (9-1-5, 9-5-5)",
        ),
        ("missing.npz", 3, FileNotFoundError, "no file missing.npz: give a file of weights"),
        ("missing.mat", None, FileNotFoundError, "no file missing.mat"),
    ],
)
def test_names_that_do_not_do(weights, name, scale, error, words):
    with pytest.raises(error, match=re.escape(words)):
        load(name, scale)


def test_a_folder_without_weights_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_WEIGHTS", tmp_path)
    assert loading.shipped() == {}
    with pytest.raises(FileNotFoundError, match=re.escape("shipped weights (none)")):
        load("9-1-5", 3)


@pytest.mark.parametrize("stray", ["notes.npz", ".9-1-5_x3-k2j4.npz"])
def test_a_stray_file_in_the_folder_of_weights_does_no_harm(weights, stray):
    """The second is what remains when a process is killed while it saves."""
    (weights / stray).write_bytes(b"")
    assert len(loading.shipped()) == 3
    assert load("9-1-5", 3).scale == 3


# ------------------------------------------------------------- networks that others have trained


def others(path, parameters):
    """A file that does not say that we wrote it, nor what its values are."""
    np.savez(path, **parameters)
    return path


def on_bytes(parameters):
    """The same network for pictures of 0..255."""
    return {name: p * (255 if name[0] == "B" else 1) for name, p in parameters.items()}


def on_signed(parameters, black=-1):
    """The same for pictures of -1..1: W (v + 1) / 2 + B in front, and 2 (W h + B) - 1 behind."""
    last = len(parameters) // 2
    p = dict(parameters)
    p["B1"] = p["B1"] + p["W1"].sum(axis=(1, 2, 3)) / 2
    p["W1"] = p["W1"] / 2
    p[f"W{last}"], p[f"B{last}"] = p[f"W{last}"] * 2, p[f"B{last}"] * 2 + black
    return p


def less_its_input(parameters):
    """What is to be added to the input: one more filter hands it on, and the last takes it off."""
    network, c = dict(parameters), parameters["W1"].shape[1]
    layers = len(parameters) // 2
    for k in range(1, layers + 1):
        w, f = network[f"W{k}"], network[f"W{k}"].shape[2]
        ins, outs = (c if k > 1 else 0), (c if k < layers else 0)
        wide = np.zeros((w.shape[0] + outs, w.shape[1] + ins, f, f), w.dtype)
        wide[: w.shape[0], : w.shape[1]] = w
        for channel in range(c):
            wide[channel - c, channel - c, f // 2, f // 2] += 1 if k < layers else -1
        network[f"W{k}"] = wide
        network[f"B{k}"] = np.append(network[f"B{k}"], np.zeros(outs, w.dtype))
    return network


def honest(c=1, sizes=(5, 1, 3), filters=(9, 8)):
    """A network that is better than nothing: the picture, and a little of many filters."""
    network = SRCNN.from_stack(sizes, filters, c, init="identity")
    rng = np.random.default_rng(1)
    for parameter in network.parameters.values():
        parameter += rng.normal(0, 0.003, parameter.shape).astype(np.float32)
    return network


OTHERS = [
    (on_bytes, {"levels": (0, 255)}, "Probably its values are 0..255: pysrcnn convert {} mine.npz "
     "--range 255; or it is not trained"),
    (less_its_input, {"residual": True}, "Probably what it gives is to be added to its input: "
     "pysrcnn convert {} mine.npz --residual; or it is not trained"),
    (lambda p: on_bytes(less_its_input(p)), {"residual": True, "levels": (0, 255)}, "Probably "),
    (lambda p: on_signed(less_its_input(p), 0), {"residual": True, "levels": (-1, 1)}, None),
    (on_signed, {"levels": (-1, 1)}, None),
]  # fmt: skip


@pytest.mark.parametrize("change, options, words", OTHERS, ids=range(len(OTHERS)))
@pytest.mark.parametrize("c, sizes, filters", [(1, (5, 1, 3), (9, 8)), (3, (5, 3), (9,))])
def test_networks_of_other_values(tmp_path, c, sizes, filters, change, options, words):
    network = honest(c, sizes, filters)
    network.parameters["B1"] += 0.1  # which is small in 0..255
    network.parameters["W2"][0] *= 0.9
    network.parameters[f"B{len(sizes)}"] -= 0.01
    path = others(tmp_path / "theirs.npz", change(network.parameters))
    if words:
        with pytest.raises(ValueError, match=re.escape(words.format(path))) as caught:
            load(path, 3)
        start = f"{path} makes no picture: of greys of 0.25, 0.50, 0.75 it makes "
        assert str(caught.value).startswith(start)
    # With what is known of it, it is the network that it was.
    made = load(path, 3, **options)
    x = np.random.default_rng(0).random((2, c, 14, 11)) * 1.2
    there, here = (n.astype(np.float64).forward(x) for n in (made, network))
    assert np.abs(there - here).max() < 3e-6
    made.save(tmp_path / "mine.npz")
    again = load(tmp_path / "mine.npz")
    assert same_bits(again.parameters, made.parameters) and again.scale == 3
    assert again.card["notes"][0].startswith("before it was converted, ")


@pytest.mark.parametrize("c", [1, 3])
def test_a_residual_network_adds_to_all_values(tmp_path, c):
    """Those below 0 too, which bicubic interpolation gives beside edges."""
    network = SRCNN(3, 4, 1, 5, 3, c)
    made = load(others(tmp_path / "a.npz", network.parameters), 3, residual=True)
    assert made.filters == (4 + c, 5 + c)
    x = np.random.default_rng(0).random((2, c, 14, 11)) * 1.4 - 0.2
    there, here = (n.astype(np.float64).forward(x) for n in (made, network))
    assert np.abs(there - here - x).max() < 1e-12 and x.min() < -0.1


def test_a_single_layer_of_other_values(tmp_path):
    network = honest(1, (5,), ())
    changed = dict(network.parameters)
    changed["W1"] = changed["W1"].copy()
    changed["W1"][0, 0, 2, 2] -= 1
    made = load(others(tmp_path / "a.npz", changed), 2, residual=True)
    assert same(made.parameters["W1"], network.parameters["W1"], 1e-6)
    made = load(others(tmp_path / "b.npz", on_signed(network.parameters)), 2, levels=(-1, 1))
    assert np.abs(made.parameters["B1"] - network.parameters["B1"]).max() < 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_learned_a_little_is_read(tmp_path, seed):
    """Within what is still a picture: greys that are a tenth too bright, or too dark."""
    network = SRCNN(init="identity", seed=seed)
    assert load(others(tmp_path / "a.npz", network.parameters), 3).name == "9-1-5"
    for shift in (0.1, -0.1):
        network.parameters["B3"][...] = shift
        load(others(tmp_path / "a.npz", network.parameters), 3)
    network.parameters["B3"][...] = 0.25
    with pytest.raises(ValueError, match=r"of greys of 0.25, 0.50, 0.75 it makes 0.50, 0.75, 1.00"):
        load(others(tmp_path / "a.npz", network.parameters), 3)


@pytest.mark.parametrize("init", ["paper", "he"])
def test_a_network_that_is_not_trained(tmp_path, init):
    """Ours may be in the midst of training; of others', it is said."""
    network = SRCNN(init=init)
    network.scale = 3
    network.save(tmp_path / "ours.npz")
    assert same_bits(load(tmp_path / "ours.npz").parameters, network.parameters)
    with pytest.raises(ValueError, match="makes no picture: .* not trained$"):
        load(others(tmp_path / "theirs.npz", network.parameters), 3)


def test_values_of_the_shipped_weights():
    for name, scale in loading.shipped():
        network = load(name, scale)
        if isinstance(network, Chain):
            check_picture(network.parameters, Path(name))
    for name in ("sc", "9-1-5", "espcn"):
        words = f"{name}_x3.npz holds {name}, whose values are 0..1 and whose result is the pict"
        for options in ({"residual": True}, {"levels": (0, 255)}):
            with pytest.raises(ValueError, match=words):
                load(name, 3, **options)


@pytest.mark.parametrize("levels", [(0, 0), (1, 0), (0, float("nan")), (float("-inf"), 1)])
def test_levels_that_are_none(tmp_path, levels):
    path = others(tmp_path / "a.npz", honest(1, (5,), ()).parameters)
    with pytest.raises(ValueError, match="wanted black and a larger number for white"):
        load(path, 3, levels=levels)


# ----------------------------------------------------------------------- the weights in the package


def test_shipped_weights_have_cards():
    have = loading.shipped()
    assert {("9-1-5", 2), ("9-1-5", 3), ("9-1-5", 4)} <= have.keys()
    for (name, scale), path in have.items():
        network = load(name, scale)
        size = name if isinstance(network, Chain) else name.split("-")[0]  # edsr-s: a small one
        size = {"photo": "edsr", "srgan": "srresnet"}.get(size, size)
        assert (network.name, network.scale) == (size.removesuffix("-rgb"), scale), path.name
        rgb = name.endswith("-rgb") or name in ("photo", "srresnet-s", "srgan")
        assert network.c == (3 if rgb else 1)
        missing = {"network", "scale", "data", "recipe", "scores", "version"} - network.card.keys()
        assert not missing, f"{path.name} has no {sorted(missing)}"
        assert all(network.card[key] for key in ("data", "recipe", "scores", "version"))
        assert network.card["network"] == network.name
        assert network.card["scale"] in (scale, list(network.scales))
        parameters, _ = read_network(path)
        for parameter in parameters.values():
            assert parameter.dtype == np.float32 and np.isfinite(parameter).all()


@pytest.mark.parametrize("kind", [SRCNN, VDSR, DRCN])
def test_repr_says_all_scales(kind):
    network = kind()
    assert "scale" not in repr(network)
    network.scale = 3
    assert repr(network).endswith(", float32, scale=3>")
    network.scales = (2, 3, 4)
    assert repr(network).endswith(", float32, scales=(2, 3, 4)>")


def test_a_network_for_colour_says_so():
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\) .*: the network is for RGB, three chan"):
        SRCNN(3, 1, 3, 8, 3, c=3).forward(np.zeros((1, 1, 9, 9)))
