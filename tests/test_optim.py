"""SGD against Eq. 5 of the paper, Adam against Algorithm 1 of its paper, Muon against the singular
value decomposition, each written out here."""

import math
import re

import numpy as np
import pytest

from pysrcnn.training.optim import SGD, Adam, Muon, orthogonalised

SHAPES = {"W1": (3, 2, 3, 3), "B1": (3,), "W2": (1, 3, 1, 1), "B2": (1,)}
RATES = {"W1": 0.1, "B1": 0.01, "W2": 0.03, "B2": 0.5}
FACTORS = [1.0, 0.5, 2.0, 0.0, 1.0, 0.25]
ALL = pytest.mark.parametrize("make", [SGD, Adam, Muon], ids=["sgd", "adam", "muon"])


def start(dtype=np.float64):
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}


def gradients(step, dtype=np.float64):
    """Large ones and small ones, as they come."""
    rng = np.random.default_rng((1, step))
    size = 10.0 ** rng.integers(-4, 3)
    return {n: (size * rng.standard_normal(s)).astype(dtype) for n, s in SHAPES.items()}


def hand_written_sgd(momentum, factors):
    """Eq. 5 number by number: Delta <- momentum Delta - rate dL/dW;  W <- W + Delta."""
    results = {}
    for name, parameter in start().items():
        flat = []
        for i, w in enumerate(parameter.ravel()):
            delta = 0.0
            for step, factor in enumerate(factors):
                delta = momentum * delta - factor * RATES[name] * gradients(step)[name].ravel()[i]
                w = w + delta
            flat.append(w)
        results[name] = np.reshape(flat, parameter.shape)
    return results


def hand_written_adam(beta1, beta2, epsilon, factors):
    """Kingma and Ba, Algorithm 1, number by number."""
    results = {}
    for name, parameter in start().items():
        flat = []
        for i, theta in enumerate(parameter.ravel()):
            m = v = 0.0
            for t, factor in enumerate(factors, 1):
                g = gradients(t - 1)[name].ravel()[i]
                m = beta1 * m + (1 - beta1) * g
                v = beta2 * v + (1 - beta2) * g * g
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                theta = theta - factor * RATES[name] * m_hat / (math.sqrt(v_hat) + epsilon)
            flat.append(theta)
        results[name] = np.reshape(flat, parameter.shape)
    return results


def run(optimizer, factors, first=0, dtype=np.float64):
    for step, factor in enumerate(factors, first):
        optimizer.step(gradients(step, dtype), factor)
    return optimizer.parameters


def equal(ours, wanted, tolerance):
    return ours.keys() == wanted.keys() and all(
        np.abs(ours[n] - w).max() <= tolerance * np.abs(w).max() for n, w in wanted.items()
    )


@pytest.mark.parametrize("momentum", [0.9, 0.0, 0.5])
def test_sgd_is_equation_5(momentum):
    ours = run(SGD(start(), RATES, momentum), FACTORS)
    assert equal(ours, hand_written_sgd(momentum, FACTORS), 1e-13)
    assert not equal(ours, hand_written_sgd(momentum + 0.01, FACTORS), 1e-5)


def test_the_momentum_of_the_paper_is_the_default():
    assert equal(run(SGD(start(), RATES), FACTORS), hand_written_sgd(0.9, FACTORS), 1e-13)


def test_one_rate_for_all():
    parameters = start()
    before = {n: p.copy() for n, p in parameters.items()}
    SGD(parameters, 0.1).step(gradients(0))
    for name, gradient in gradients(0).items():
        assert np.allclose(parameters[name], before[name] - 0.1 * gradient, rtol=1e-14)


@pytest.mark.parametrize("settings", [(0.9, 0.999, 1e-8), (0.5, 0.9, 1e-3), (0.1, 0.2, 1e-6)])
def test_adam_is_algorithm_1(settings):
    ours = run(Adam(start(), RATES, *settings), FACTORS)
    assert equal(ours, hand_written_adam(*settings, FACTORS), 1e-12)
    assert not equal(ours, hand_written_adam(settings[0] + 0.01, *settings[1:], FACTORS), 1e-5)


def test_the_settings_of_its_paper_are_the_default():
    ours = run(Adam(start(), RATES), FACTORS)
    assert equal(ours, hand_written_adam(0.9, 0.999, 1e-8, FACTORS), 1e-12)


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient():
    parameters = start()
    before = {n: p.copy() for n, p in parameters.items()}
    Adam(parameters, RATES).step(gradients(0))
    for name, gradient in gradients(0).items():
        moved = parameters[name] - before[name]
        assert np.allclose(moved, -RATES[name] * np.sign(gradient), rtol=1e-2)


def made_equal(matrix):
    """U f(S) V^T, where f brings singular values, relative to their norm, near to 1."""
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    s = s / np.linalg.norm(s)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s) @ v


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5), (1, 7), (7, 1)])
def test_orthogonalised(shape):
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal(shape) * 10.0 ** rng.integers(-2, 1, shape)
    ours = orthogonalised(matrix)
    assert np.allclose(ours, made_equal(matrix), atol=1e-12)
    sizes = np.linalg.svd(ours, compute_uv=False)
    sizes = sizes[np.linalg.svd(matrix, compute_uv=False) > np.linalg.norm(matrix) / 500]
    assert 0.65 < sizes.min() and sizes.max() < 1.25
    assert np.allclose(orthogonalised(1000 * matrix), ours, atol=1e-12)
    assert not orthogonalised(np.zeros(shape, np.float32)).any()


@pytest.mark.parametrize("momentum", [0.95, 0.5])
def test_muon_moves_all_directions_by_the_same(momentum):
    ours = run(Muon(start(), RATES, momentum, by_adam=["W2"]), FACTORS)
    wanted = hand_written_adam(0.9, 0.999, 1e-8, FACTORS)  # of biases and of the last layer
    w, mean = start()["W1"].reshape(3, 18), np.zeros((3, 18))
    for step, factor in enumerate(FACTORS):
        g = gradients(step)["W1"].reshape(3, 18)
        mean = momentum * mean + (1 - momentum) * g
        ahead = momentum * mean + (1 - momentum) * g
        w = w - factor * RATES["W1"] * made_equal(ahead)
    wanted["W1"] = w.reshape(3, 2, 3, 3)
    assert equal(ours, wanted, 1e-12)


def test_the_step_of_muon_where_filters_outnumber_their_weights():
    w = np.zeros((12, 3, 1, 1))
    parameters = {"W1": w, "B1": np.zeros(12), "W2": np.zeros((1, 12, 1, 1)), "B2": np.zeros(1)}
    g = {n: np.random.default_rng(4).standard_normal(p.shape) for n, p in parameters.items()}
    Muon(parameters, 0.1).step(g)
    assert np.allclose(w[:, :, 0, 0], -0.1 * 2 * made_equal(g["W1"][:, :, 0, 0]), atol=1e-12)


def test_muon_on_all_weights_if_none_is_left_to_adam():
    parameters = start()
    last = [name for name, p in parameters.items() if p.ndim > 1][-1]
    before, given = parameters[last].copy(), gradients(0)
    optimizer = Muon(parameters, 0.1)
    optimizer.step(given)
    g = given[last].reshape(len(before), -1)
    scale = max(1, len(g) / g.shape[1]) ** 0.5
    moved = (before - parameters[last]).reshape(g.shape)
    assert np.allclose(moved, 0.1 * scale * made_equal(g), atol=1e-12)
    assert f"square.{last}" not in optimizer.state() and "square.B1" in optimizer.state()


@ALL
def test_float32_stays_float32_and_near_float64(make):
    ours = run(make(start(np.float32), RATES), FACTORS, dtype=np.float32)
    wanted = run(make(start(), RATES), FACTORS)
    assert all(p.dtype == np.float32 for p in ours.values())
    assert equal(ours, wanted, 1e-5)


@ALL
def test_parameters_move_in_place_and_gradients_stay(make):
    parameters = start()
    arrays = dict(parameters)
    given = gradients(0)
    copies = {n: g.copy() for n, g in given.items()}
    optimizer = make(parameters, 0.1)
    optimizer.step(given)
    assert optimizer.steps == 1
    for name, array in arrays.items():
        assert parameters[name] is array and not np.array_equal(array, start()[name])
        assert np.array_equal(given[name], copies[name])


@ALL
def test_a_factor_of_zero_and_zero_gradients_move_nothing(make):
    optimizer = make(start(), RATES)
    optimizer.step(gradients(0), 0.0)
    optimizer.step({n: np.zeros(s) for n, s in SHAPES.items()}, 0.0)
    assert all(np.array_equal(p, start()[n]) for n, p in optimizer.parameters.items())


@ALL
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_going_on_from_a_state_is_never_having_stopped(make, dtype):
    whole = run(make(start(dtype), RATES), FACTORS, dtype=dtype)
    first = make(start(dtype), RATES)
    run(first, FACTORS[:3], dtype=dtype)
    state = {name: array.copy() for name, array in first.state().items()}
    second = make({n: p.copy() for n, p in first.parameters.items()}, RATES)
    second.load_state(state)
    assert second.steps == 3
    run(second, FACTORS[3:], first=3, dtype=dtype)
    for name, wanted in whole.items():
        assert second.parameters[name].tobytes() == wanted.tobytes()
    for name, array in first.state().items():  # what was loaded is a copy
        assert np.array_equal(array, state[name])


@ALL
def test_a_state_is_flat_arrays_and_complete(make):
    optimizer = make(start(), RATES)
    run(optimizer, FACTORS)
    state = optimizer.state()
    memories = ["velocity"] if make is SGD else ["mean", "square"]
    wanted = {f"{m}.{n}" for m in memories for n in SHAPES}
    if make is Muon:  # which has no squares of the weights whose steps are orthogonal
        wanted -= {"square.W1", "square.W2"}
    assert state.keys() == {"steps", *wanted}
    assert all(isinstance(array, np.ndarray) for array in state.values())
    assert state["steps"] == len(FACTORS)
    for name in wanted:
        assert state[name].shape == SHAPES[name.split(".")[1]]
        assert state[name].any()


@ALL
def test_a_state_that_does_not_fit_is_refused(make):
    optimizer = make(start(), RATES)
    run(optimizer, FACTORS)
    state = optimizer.state()
    memory = next(n for n in state if n.endswith("W1"))
    with pytest.raises((KeyError, ValueError)):
        make(start(), RATES).load_state({n: a for n, a in state.items() if n != memory})
    with pytest.raises(ValueError):
        make(start(), RATES).load_state({**state, memory: np.zeros((3, 2, 3, 4))})
    with pytest.raises(ValueError):  # not stretched to fit
        make(start(), RATES).load_state({**state, memory: np.zeros((1, 1, 1, 1))})


@ALL
@pytest.mark.parametrize("names", [["W1", "B1", "W2"], [*SHAPES, "W3"], []])
def test_rates_are_for_just_the_parameters(make, names):
    words = f"learning rates are given for {sorted(names)}, the parameters are"
    with pytest.raises(ValueError, match=re.escape(words)):
        make(start(), dict.fromkeys(names, 0.1))


def test_gradients_are_clipped_to_theta_by_the_rate_and_weights_decay():
    """VDSR: no gradient moves a value by more than theta, whatever the rate."""
    parameters = {"W": np.array([[3.0, -2.0, 0.5]]), "B": np.array([3.0, 0.1])}
    sgd = SGD(parameters, {"W": 0.5, "B": 0.5}, momentum=0.0, clip=0.04, weight_decay=0.2)
    sgd.step({"W": np.array([[0.0, 0.2, -9.0]]), "B": np.array([0.0, 7.0])}, factor=0.1)
    # The decayed gradients are 0.6, -0.2 and -8.9, times 0.05; biases do not decay.
    assert np.allclose(parameters["W"], [[3 - 0.03, -2 + 0.01, 0.5 + 0.04]], atol=1e-15)
    assert np.allclose(parameters["B"], [3, 0.1 - 0.04], atol=1e-15)
    sgd.step({"W": np.zeros((1, 3)), "B": np.array([-2.0, 1e-3])}, factor=2.0)
    assert np.allclose(parameters["B"], [3.04, 0.06 - 1e-3], atol=1e-15)


@pytest.mark.parametrize("size", [1e-44, 1e-38, 1e-30, 1e-3, 1e30])
def test_directions_of_gradients_of_any_size(size):
    """Also of what is left in the running mean when a layer has fallen silent, and then nothing."""
    matrix = np.random.default_rng(2).standard_normal((6, 40)).astype(np.float32)
    wanted = orthogonalised(matrix)
    tiny = (matrix.astype(np.float64) * size).astype(np.float32)
    found = orthogonalised(tiny)
    assert np.isfinite(found).all()
    if size > 1e-38:
        assert np.abs(found - wanted).max() < 1e-4
    assert np.array_equal(orthogonalised(0 * matrix), 0 * matrix)
    parameters = {"W": matrix.copy()}
    muon = Muon(parameters, 1e-3)
    muon.step({"W": matrix})
    for _ in range(3000):  # until the mean is none of the numbers there are
        muon.step({"W": 0 * matrix})
    assert np.isfinite(parameters["W"]).all()
