"""SRGAN's discriminator: against the tape, against PyTorch's numbers, and as a judge."""

import copy
import pickle
from pathlib import Path

import numba
import numpy as np
import pytest
from rungs import compiled_only
from tape import Tape, Value, gradients

from pysrcnn import kernels, reference
from pysrcnn.networks import Discriminator
from pysrcnn.networks.srgan import backward, forward
from pysrcnn.training.optim import Adam

OPS = pytest.mark.parametrize(
    "ops", [reference, pytest.param(kernels, marks=compiled_only)], ids=["reference", "kernels"]
)


def drawn(*sizes, **options):
    """One in float64 whose biases, gamma and beta all have a part in the result."""
    network, rng = Discriminator(*sizes, **options).astype(np.float64), np.random.default_rng(1)
    for p in network.parameters.values():
        p += rng.normal(0, 0.1, p.shape)
    return network


def near(a, b, tolerance=1e-10):
    return a.shape == b.shape and np.abs(a - b).max() <= tolerance * np.abs(b).max()


def on_the_tape(network, x, dlogits):
    """Logits, dx and the gradients of the parameters."""
    start, values = Value(x), {n: Value(p) for n, p in network.parameters.items()}
    logits = forward(start, values, Tape())
    dx, *found = gradients(logits, dlogits, [start, *values.values()])
    return logits.array, dx, dict(zip(values, found, strict=True))


@OPS
@pytest.mark.parametrize("size, width, c", [(17, 2, 3), (34, 1, 1)])
def test_backward_is_that_of_the_tape(size, width, c, ops):
    network, rng = drawn(size, width, c), np.random.default_rng(2)
    x, dlogits = rng.random((3, c, size, size)), rng.standard_normal((3, 1, 1, 1))
    kept = []
    logits = forward(x, network.parameters, ops, kept)
    dx, found = backward(dlogits, kept, network.parameters, ops)
    wanted = on_the_tape(network, x, dlogits)
    assert near(logits, wanted[0]) and near(dx, wanted[1])
    assert list(found) == list(network.parameters)
    for name, gradient in wanted[2].items():
        assert near(found[name], gradient), name


def test_copies():
    network, x = drawn(17, 2, 1, ops=reference), np.ones((1, 1, 17, 17))
    for other in pickle.loads(pickle.dumps(network)), copy.deepcopy(network):
        assert other.ops is reference
        assert np.array_equal(other.forward(x), network.forward(x))


@pytest.mark.parametrize("operation", ["moments_backward", "leaky_relu_backward"])
def test_a_mistake_is_seen(operation):
    """A forgotten way through the statistics, and a slope of 0.1."""
    network, rng = drawn(17, 2, 1), np.random.default_rng(2)
    x, dlogits = rng.random((3, 1, 17, 17)), rng.standard_normal((3, 1, 1, 1))

    class Wrong:
        def __getattr__(self, name):
            return getattr(reference, name)

        def moments_backward(self, *given):
            right = reference.moments_backward(*given)
            return 0 * right if operation[0] == "m" else right

        def leaky_relu_backward(self, dout, x, slope):
            return reference.leaky_relu_backward(dout, x, 0.1 if operation[0] == "l" else slope)

    kept = []
    forward(x, network.parameters, Wrong(), kept)
    dx, _ = backward(dlogits, kept, network.parameters, Wrong())
    assert not near(dx, on_the_tape(network, x, dlogits)[1], 1e-3)


def recorded():
    """Cases that PyTorch computed: {case: {array name: array}}."""
    cases = {}
    with np.load(Path(__file__).with_name("torch_gradients_srgan.npz")) as file:
        for name in file.files:
            made, array = name.split("/")
            cases.setdefault(made, {})[array] = file[name].astype(np.float64)
    return cases


TORCH = recorded()


@OPS
@pytest.mark.parametrize("name", TORCH)
def test_losses_and_gradients_are_those_of_pytorch(name, ops):
    arrays = TORCH[name]
    given = {n: a for n, a in arrays.items() if n[0] in "WGB"}
    size = arrays["real"].shape[2]
    network = Discriminator.from_parameters(given, size, ops=ops)
    assert network.dtype == np.float64 and f"size={size} " in name
    judged = network.loss_and_gradients(arrays["real"], arrays["made"])
    assert judged.loss == pytest.approx(float(arrays["loss"]), rel=1e-10)
    for n, gradient in judged.gradients.items():
        assert near(gradient, arrays[f"d{n}"]), n
    loss, dmade, believed = network.adversarial(arrays["made"])
    assert loss == pytest.approx(float(arrays["adversarial"]), rel=1e-10)
    assert near(dmade, arrays["dmade"])
    real, made = 1 / (1 + np.exp(-arrays["logits"]))
    assert near(network.forward(arrays["real"]), real)
    assert judged.real == pytest.approx(real.mean()) and judged.made == pytest.approx(made.mean())
    assert believed == judged.made


def test_the_recorded_gradients_cover_what_they_should():
    assert {name.split()[2] for name in TORCH} == {"c=1", "c=3"}
    for arrays in TORCH.values():
        learned = [n for n in arrays if n[0] in "WGB"]
        assert len(learned) == 27 and len(arrays) == 2 + 2 * 27 + 4
        assert all(np.abs(arrays[f"d{n}"]).max() > 1e-5 for n in learned)


@compiled_only
def test_float32_on_maps_is_float64_but_for_rounding():
    """Widths that are no whole vectors, sides that are odd after a stride."""
    network, rng = drawn(38, 6, 3), np.random.default_rng(3)
    real, made = rng.random((2, 3, 3, 38, 38))
    exact = network.loss_and_gradients(real, made)
    single = network.astype(np.float32)
    judged = single.loss_and_gradients(real, made)
    assert judged.loss == pytest.approx(exact.loss, rel=1e-3)
    for name, gradient in judged.gradients.items():
        assert gradient.dtype == np.float32 == single.dtype
        assert near(gradient, exact.gradients[name], 0.02), name
    _, dmade, _ = single.adversarial(made)
    assert dmade.dtype == np.float32 and near(dmade, network.adversarial(made)[1], 0.02)


@compiled_only
def test_the_same_bits_for_any_number_of_threads():
    """Or a training that goes on elsewhere would not be the same."""
    network = drawn(38, 6, 3).astype(np.float32)
    real, made = np.random.default_rng(7).random((2, 3, 3, 38, 38)).astype(np.float32)
    found = []
    threads = numba.get_num_threads()
    try:
        for number in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(number)
            judged = network.loss_and_gradients(real, made)
            found.append([judged.loss, network.adversarial(made)[1], *judged.gradients.values()])
    finally:
        numba.set_num_threads(threads)
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_it_learns_to_tell_noise_from_what_is_smooth():
    network, rng = Discriminator(16, 2, 1, seed=3, ops=reference), np.random.default_rng(4)
    optimizer = Adam(network.parameters, 0.01)
    smooth = np.linspace(0.2, 0.8, 16)[:, None] * np.ones(16)

    def batches():
        shifts = rng.random((6, 1, 1, 1)) * 0.2
        return smooth + shifts, smooth + shifts + rng.normal(0, 0.1, (6, 1, 16, 16))

    first = network.loss_and_gradients(*batches())
    for _ in range(40):
        optimizer.step(network.loss_and_gradients(*batches()).gradients, 1.0)
    last = network.loss_and_gradients(*batches())
    assert last.loss < 0.3 < first.loss and last.real > 0.8 and last.made < 0.2
    loss, dmade, believed = network.adversarial(batches()[1])
    assert loss > 1 and believed < 0.3 and dmade.shape == (6, 1, 16, 16)


def test_the_sizes_of_the_paper():
    """Those of Fig. 4 by 16, and a dense layer that sees 6 x 6 pixels of 96 x 96."""
    p = Discriminator(96, 64 // 16).parameters
    widths = [64, 64, 128, 128, 256, 256, 512, 512]
    assert [16 * len(p[f"W{k}"]) for k in range(1, 9)] == widths
    assert p["W_dense"].shape == (64, 32, 6, 6) and p["W_out"].shape == (1, 64, 1, 1)
    assert Discriminator(33, 1).parameters["W_dense"].shape == (16, 8, 3, 3)
    assert "G1" not in p and not any(p[f"B{k}"].any() for k in range(1, 9)) and p["G8"].all()


def test_one_of_the_same_parameters_is_the_same():
    network = Discriminator(17, 2, 1, seed=5, ops=reference)
    again = Discriminator.from_parameters(network.parameters, 17, ops=reference)
    x = np.random.default_rng(6).random((2, 1, 17, 17))
    assert np.array_equal(again.forward(x), network.forward(x))
    again.parameters["W1"][...] = 0
    assert network.parameters["W1"].any()
    assert not np.array_equal(Discriminator(17, 2, 1).parameters["W1"], network.parameters["W1"])
    assert repr(network) == "<Discriminator size=17, width=2, c=1, float32>"
    assert network.weights[::8] == ["W1", "W_dense"] and len(network.weights) == 10


def test_what_is_none_is_refused():
    for given, words in (
        ({"size": 0}, "size is 0, wanted a whole number, 1"),
        ({"width": 1.5}, "width is 1.5, wanted a whole number, 1"),
        ({"c": 2}, "c is 1 .luminance. or 3 .RGB., got 2"),
        ({"seed": -1}, "seed is -1"),
    ):
        with pytest.raises(ValueError, match=words):
            Discriminator(**given)
    network = Discriminator(17, 1, 1)
    for size, change, words in (
        (33, {}, r"W_dense is \(16, 8, 2, 2\), wanted the shape \(16, 8, 3, 3\)"),
        (17, {"G4": np.ones(3)}, r"G4 is \(3,\), wanted"),
        (17, {"B_out": np.full(1, np.nan)}, "B_out holds values that are not finite"),
        (17, {"W9": np.ones((1, 1, 3, 3))}, "the arrays W9 do not make such a network"),
        (17, {"W1": np.ones((1, 2, 3, 3))}, "do not make such a network"),
    ):
        with pytest.raises(ValueError, match=words):
            Discriminator.from_parameters(network.parameters | change, size)
    x = np.zeros((1, 1, 17, 17))
    for wrong in (x[:, :, 1:], x[0], np.zeros((1, 3, 17, 17))):
        with pytest.raises(ValueError, match="x has the shape"):
            network.forward(wrong)
