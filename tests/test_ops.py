"""The three rungs held together: naive loops, `reference`, `kernels`. Run this file first.

Tolerances: a sum of K products, each rounded, is off by at most about K eps times the sum of the
products' sizes; random signs make it sqrt(K) in practice, so 4 sqrt(K) eps of the largest value is
generous to rounding and far too little for any mistake.
"""

import inspect
from pathlib import Path

import numba
import numpy as np
import pytest
from naive import __dict__ as naive
from projections import close, projections
from rungs import JIT, equal_to_rounding, random_layers

from pysrcnn import kernels, reference
from pysrcnn.kernels.channelwise import Laid
from pysrcnn.kernels.compile import announce_compilation
from pysrcnn.kernels.memory import Pool

OPS = pytest.mark.parametrize("ops", [reference, kernels], ids=["reference", "kernels"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
PADDINGS = pytest.mark.parametrize("padding", ["replicate", "zeros", "valid"])
LOSSES = ("mse", "l1", "charbonnier")
ALL_LOSSES = *LOSSES, "sigmoid_cross_entropy"
ACTIVATIONS = pytest.mark.parametrize("activation", ["relu", "tanh"])
FUNCTIONS = [name for name in reference.__all__ if callable(getattr(reference, name))]


def test_comparator_sees_small_errors_and_swapped_axes():
    x = np.random.default_rng(0).random((1, 2, 6, 6)).astype(np.float32)
    assert equal_to_rounding(x, x.copy(), 1000)
    assert not equal_to_rounding(x * np.float32(1.01), x, 1000)
    assert not equal_to_rounding(x.transpose(0, 1, 3, 2), x, 1000)
    with pytest.raises(AssertionError):
        equal_to_rounding(x[:, :, :5], x, 1000)


# ------------------------------------------------------------------------------------ the contract


def test_same_names():
    assert kernels.__all__ == reference.__all__ == sorted(reference.__all__)
    assert kernels.direct.__all__ == kernels.__all__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_signatures(name):
    ours, theirs = (inspect.signature(getattr(ops, name)) for ops in (kernels, reference))
    assert list(ours.parameters) == list(theirs.parameters)
    defaults = ([p.default for p in s.parameters.values()] for s in (ours, theirs))
    assert next(defaults) == next(defaults)


# ---------------------------------------------------------------------- both against the definition


def arguments_of(name, rng, dtype):
    """Arguments for each operation, of odd sizes, several samples and channels."""
    x = rng.standard_normal((3, 2, 7, 6)).astype(dtype)
    y = rng.standard_normal(x.shape).astype(dtype)
    w = rng.standard_normal((5, 2, 3, 3)).astype(dtype)
    b = rng.standard_normal(5).astype(dtype)
    numbers = rng.standard_normal((4, 2)).astype(dtype)  # of channels
    return {
        "im2col": (x, 3),
        "col2im": (rng.standard_normal((3, 2 * 9, 5 * 4)).astype(dtype), x.shape, 3),
        "conv2d": (x, w, b),
        "conv2d_backward": (rng.standard_normal((3, 5, 5, 4)).astype(dtype), x, w),
        "conv2d_same": (x, w, b, rng.standard_normal((3, 5, 7, 6)).astype(dtype)),
        "conv2d_same_backward": (rng.standard_normal((3, 5, 7, 6)).astype(dtype), x, w),
        "conv2d_strided": (x, w, b, 2),
        "conv2d_strided_backward": (rng.standard_normal((3, 5, 4, 3)).astype(dtype), x, w, 2),
        "conv_relu": (x, w, b),
        "conv_relu_backward": (*rng.standard_normal((2, 3, 5, 7, 6)).astype(dtype), x, w),
        "enter": (x,),
        "leave": (x,),
        "relu": (x,),
        "relu_backward": (y, x),
        "tanh": (x,),
        "tanh_backward": (y, np.tanh(x)),
        "leaky_relu": (x, 0.2),
        "leaky_relu_backward": (y, x, 0.2),
        "sigmoid": (x,),
        "sigmoid_cross_entropy": (x, 1 / (1 + y**2)),
        "sigmoid_cross_entropy_backward": (x, 1 / (1 + y**2)),
        **dict.fromkeys((*LOSSES, *(f"{name}_backward" for name in LOSSES)), (x, y)),
        "dense": (x, rng.standard_normal((5, *x.shape[1:])).astype(dtype), b),
        "dense_backward": (
            rng.standard_normal((3, 5, 1, 1)).astype(dtype),
            x,
            rng.standard_normal((5, *x.shape[1:])).astype(dtype),
        ),
        "max_pool": (x,),
        "max_pool_backward": (rng.standard_normal((3, 2, 3, 3)).astype(dtype), x),
        "pad_replicate": (x, 2),
        "pad_replicate_backward": (x, 2),
        "pad_zeros": (x, 2),
        "pad_zeros_backward": (x, 2),
        "pixel_shuffle": (rng.standard_normal((2, 3 * 4, 5, 3)).astype(dtype), 2),
        "pixel_shuffle_backward": (rng.standard_normal((2, 2, 6, 9)).astype(dtype), 3),
        "dot": (x, y),
        "repeat": (x, 3),
        "repeat_backward": (rng.standard_normal((2, 6, 5, 3)).astype(dtype), 3),
        "prelu": (x, numbers[0]),
        "prelu_backward": (y, x, numbers[0]),
        "moments": (x,),
        "moments_backward": (*numbers[:2], x, numbers[2]),
        "batch_norm": (x, *numbers[:3], numbers[3] ** 2),
        "batch_norm_backward": (y, x, *numbers[:2], numbers[3] ** 2),
        "concatenate": (x, y[:, :1], y),
        "split": (rng.standard_normal((3, 6, 4, 5)).astype(dtype), 1, 3, 2),
        "warp": (x, 3 * y),
        "warp_backward": (rng.standard_normal(x.shape).astype(dtype), x, 3 * y),
        "warp_cubic": (x, 3 * y),
        "warp_cubic_backward": (rng.standard_normal(x.shape).astype(dtype), x, 3 * y),
        "phases": (x, y / 4),
        "phases_backward": (rng.standard_normal((3, 8, 7, 6)).astype(dtype), x, y / 4),
        "smoothness": (y,),
        "smoothness_backward": (y,),
    }[name]


SINGLE = [n for n in FUNCTIONS if n not in ("forward", "loss_and_gradients")]


@OPS
@DTYPES
@pytest.mark.parametrize("name", SINGLE)
def test_operation_is_its_definition(ops, dtype, name):
    arguments = arguments_of(name, np.random.default_rng(1), dtype)
    results, wanted = ops.leave(getattr(ops, name)(*arguments)), naive[name](*arguments)
    if name in (*ALL_LOSSES, "dot", "smoothness"):
        assert isinstance(results, float)
        assert results == pytest.approx(wanted, rel=1e-6 if dtype == np.float32 else 1e-13)
        return
    if not isinstance(results, tuple):
        results, wanted = (results,), (wanted,)
    for result, want in zip(results, wanted, strict=True):
        assert equal_to_rounding(result, want, terms=3 * 5 * 9)


@OPS
@pytest.mark.parametrize("name", SINGLE)
def test_operation_leaves_its_arguments_alone_and_takes_any_layout(ops, name):
    arguments = arguments_of(name, np.random.default_rng(2), np.float64)
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    strided = [np.asfortranarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    first, second = (ops.leave(getattr(ops, name)(*some)) for some in (arguments, strided))
    for a, copy in zip(arguments, copies, strict=True):
        assert np.array_equal(a, copy)
    if not isinstance(first, tuple):
        first, second = (first,), (second,)
    for a, b in zip(first, second, strict=True):
        assert np.allclose(a, b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", SINGLE)
def test_operation_takes_numbers_in_the_other_order_of_bytes(name):
    """As of a file that another machine wrote."""
    arguments = arguments_of(name, np.random.default_rng(2), np.float32)
    turned = [
        a.astype(a.dtype.newbyteorder()) if isinstance(a, np.ndarray) else a for a in arguments
    ]
    first, second = (kernels.leave(getattr(kernels, name)(*some)) for some in (arguments, turned))
    if not isinstance(first, tuple):
        first, second = (first,), (second,)
    for a, b in zip(first, second, strict=True):
        assert np.allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(not JIT, reason="a matter of compiled code")
@pytest.mark.parametrize(
    "name", [name for name in SINGLE if name.startswith(("im2col", "col2im", "pad", "relu", "tanh",
                                                         *LOSSES))]
)  # fmt: skip
def test_nothing_is_compiled_again_for_another_layout(name):
    """Nor for arrays that may not be written."""
    operation, said = getattr(kernels, name), []
    arguments = arguments_of(name, np.random.default_rng(2), np.float64)
    operation(*arguments)
    with announce_compilation(said.append):
        operation(*(np.asfortranarray(a) if isinstance(a, np.ndarray) else a for a in arguments))
        for array in arguments:
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        operation(*arguments)
    assert not said


@OPS
@PADDINGS
@ACTIVATIONS
@pytest.mark.parametrize("c", [1, 3])
def test_forward_is_its_definition(ops, padding, activation, c):
    layers = random_layers((5, 1, 3), (9, 4), c)
    x = np.random.default_rng(3).random((2, c, 8, 9))
    ours = ops.forward(x, layers, padding, activation)
    assert equal_to_rounding(ours, naive["forward"](x, layers, padding, activation), 64)


@OPS
@pytest.mark.parametrize("name, size", [("im2col", 3), ("pad_replicate", 2), ("pad_zeros", 2),
                                        ("pixel_shuffle", 2), ("repeat", 4)])  # fmt: skip
def test_adjoint(ops, name, size):
    """<A x, y> = <x, A^T y>: needs no oracle."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, 8, 8, 7))

    def forward(a):
        return getattr(ops, name)(a, size)

    def backward(a):
        if name == "im2col":
            return ops.col2im(a, x.shape, size)
        return getattr(ops, f"{name}_backward")(a, size)

    y = rng.standard_normal(forward(x).shape)
    assert np.sum(forward(x) * y) == pytest.approx(np.sum(x * backward(y)), rel=1e-12)


@OPS
def test_padding_by_nothing(ops):
    x = np.random.default_rng(5).random((1, 2, 3, 4))
    assert np.array_equal(ops.pad_replicate(x, 0), x)
    assert np.array_equal(ops.pad_replicate_backward(x, 0), x)
    assert np.array_equal(ops.pad_zeros(x, 0), x)
    assert np.array_equal(ops.pad_zeros_backward(x, 0), x)


@OPS
@pytest.mark.parametrize("s, c, h, w", [(1, 2, 3, 4), (2, 1, 1, 1), (3, 1, 70, 5), (4, 3, 5, 33)])
def test_shuffle_is_a_permutation_and_back(ops, s, c, h, w):
    x = np.random.default_rng(5).random((2, c * s**2, h, w)).astype(np.float32)
    large = ops.pixel_shuffle(x, s)
    assert np.array_equal(large, naive["pixel_shuffle"](x, s))
    assert np.array_equal(ops.pixel_shuffle_backward(large, s), x)


@OPS
def test_order_of_the_shuffle(ops):
    """That of PyTorch, written out: maps 0..3 are the sub-pixels of channel 0, row by row."""
    x = np.arange(8.0).reshape(1, 8, 1, 1)
    assert ops.pixel_shuffle(x, 2).tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]


@OPS
@DTYPES
def test_tanh(ops, dtype):
    """Within some units of the last digit, for numbers of every size; odd; not blind to NaN."""
    rng = np.random.default_rng(16)
    sizes = np.exp2(rng.uniform(-100, 6, 200_000 if JIT else 300))
    x = np.concatenate([sizes, rng.uniform(0, 10, sizes.size), [0, 1e-40, 9.1, 700, np.inf]])
    x = x.astype(dtype)
    exact = np.tanh(x.astype(np.longdouble))
    ours = ops.tanh(x)
    # 2.5 units seen for all float32, as for 10^7 float64, where long doubles tell so little.
    assert np.all(np.abs(ours - exact) <= 3 * np.spacing(exact.astype(dtype)))
    assert np.array_equal(ops.tanh(-x), -ours)
    assert np.array_equal(ours[-2:], [1, 1]) and ours.max() == 1
    assert np.isnan(ops.tanh(np.array([1, np.nan, -1], dtype))).tolist() == [False, True, False]


# --------------------------------------------------------------------------------------- gradients


@OPS
@pytest.mark.parametrize("channels, filters", [(3, 10), (9, 1), (8, 3)])
def test_conv2d_gradients(ops, channels, filters):
    rng = np.random.default_rng(6)
    shapes = (2, channels, 9, 8), (filters, channels, 5, 5), (filters,)
    arguments = [rng.standard_normal(shape) for shape in shapes]
    assert close(
        *projections(ops.conv2d, lambda g, x, w, b: ops.conv2d_backward(g, x, w), arguments)
    )


@OPS
@pytest.mark.parametrize("mistake", ["transposed", "unflipped", "mean"])
def test_the_check_of_gradients_fails_for_wrong_ones(ops, mistake):
    """The check must be able to fail: planted mistakes are found."""
    rng = np.random.default_rng(7)
    arguments = [rng.standard_normal(s) for s in ((2, 3, 9, 8), (3, 3, 5, 5), (3,))]

    def wrong(g, x, w, b):
        dx, dw, db = ops.conv2d_backward(g, x, w)
        if mistake == "transposed":
            dw = dw.transpose(0, 1, 3, 2)
        elif mistake == "unflipped":
            dx = ops.conv2d_backward(g, x, w[:, :, ::-1, ::-1])[0]
        else:
            db = db / 2
        return dx, dw, db

    assert not close(*projections(ops.conv2d, wrong, arguments))


@OPS
def test_gradients_of_activations_and_losses(ops):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((2, 3, 9, 8))
    x[np.abs(x) < 1e-3] = 1  # away from the kink
    assert close(*projections(ops.relu, lambda g, x: [ops.relu_backward(g, x)], [x]))
    assert close(*projections(ops.tanh, lambda g, x: [ops.tanh_backward(g, ops.tanh(x))], [x]))
    y = rng.standard_normal(x.shape)
    y[np.abs(x - y) < 1e-3] += 1
    for name in LOSSES:
        loss, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
        value = lambda x, loss=loss: np.array(loss(x, y))  # noqa: E731
        assert close(*projections(value, lambda g, x, b=backward: [g * b(x, y)], [x])), name


@OPS
@pytest.mark.parametrize("slopes", [1, 3])
def test_gradients_of_prelu(ops, slopes):
    rng = np.random.default_rng(20)
    x, a = rng.standard_normal((2, 3, 9, 8)), rng.standard_normal(slopes)
    x[np.abs(x) < 1e-3] = 1  # away from the kink
    assert close(*projections(ops.prelu, ops.prelu_backward, [x, a]))


@OPS
def test_gradients_of_what_judges(ops):
    rng = np.random.default_rng(25)
    x, w, b = (rng.standard_normal(shape) for shape in ((3, 2, 5, 4), (6, 2, 5, 4), (6,)))
    x[np.abs(x) < 1e-3] = 1  # away from the kink

    def dense_backward(g, x, w, b):
        return ops.dense_backward(g, x, w)

    assert close(*projections(ops.dense, dense_backward, [x, w, b]))
    assert close(*projections(ops.max_pool, lambda g, x: [ops.max_pool_backward(g, x)], [x]))

    def leaky(x):
        return ops.leaky_relu(x, 0.3)

    assert close(*projections(leaky, lambda g, x: [ops.leaky_relu_backward(g, x, 0.3)], [x]))
    labels = rng.random(x.shape)

    def loss(x):
        return np.array(ops.sigmoid_cross_entropy(x, labels))

    def loss_backward(g, x):
        return [g * ops.sigmoid_cross_entropy_backward(x, labels)]

    assert close(*projections(loss, loss_backward, [x]))


@OPS
@DTYPES
def test_logits_of_any_size(ops, dtype):
    """What is certain costs nothing if it is right, and its logit if it is wrong."""
    z = np.array([-1e4, -200, -30, 0, 30, 200, 1e4], dtype)
    right, wrong = (z > 0).astype(dtype), (z <= 0).astype(dtype)
    for k, value in enumerate(z.astype(np.float64)):
        one, a = z[k : k + 1], max(value, -value)
        costs = [ops.sigmoid_cross_entropy(one, labels[k : k + 1]) for labels in (right, wrong)]
        small = np.log1p(np.exp(-a))
        assert costs == pytest.approx([small, a + small], rel=4 * float(np.finfo(dtype).eps))
        assert type(costs[0]) is float
    p = ops.sigmoid(z)
    assert p.dtype == dtype and p[[0, 1, 3]].tolist() == [0, dtype(np.exp(dtype(-200))), 0.5]
    assert p[2] == pytest.approx(np.exp(-30), rel=1e-5) and p[-2:].tolist() == [1, 1]
    slope = ops.sigmoid_cross_entropy_backward(z, right)
    assert slope.dtype == dtype and np.allclose(slope, (p - right) / 7, rtol=1e-6, atol=0)


@OPS
def test_the_largest_pixel(ops):
    """Of several that are, the first; NaN is none that hides; odd edges are left out."""
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, :2, :2] = [[1, 3], [3, 2]]
    x[0, 0, 2:4, :2] = [[-4, -4], [-5, -4]]
    x[0, 0, 4] = x[0, 0, :, 4] = 9
    x[0, 0, 1, 2] = x[0, 0, 1, 3] = np.nan
    out = ops.max_pool(x)
    assert out[0, 0, 0, 0] == 3 and np.isnan(out[0, 0, 0, 1]) and out[0, 0, 1].tolist() == [-4, 0]
    dx = ops.max_pool_backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), x)
    wanted = np.zeros((5, 5))
    wanted[0, 1], wanted[1, 2], wanted[2, 0], wanted[2, 2] = 1, 2, 3, 4
    assert np.array_equal(dx[0, 0], wanted)


@OPS
@pytest.mark.parametrize("shape", [(3, 2, 5, 4), (1, 2, 1, 2)])
def test_gradients_of_batch_normalisation(ops, shape):
    """With numbers that are given, and with those of the batch: the whole of it."""
    rng = np.random.default_rng(21)
    x, numbers = rng.standard_normal(shape), rng.standard_normal((4, 2))
    numbers[3] = np.abs(numbers[3]) + 0.1

    def backward(g, x, gamma, beta, mean, variance):
        return ops.batch_norm_backward(g, x, gamma, mean, variance)

    assert close(*projections(ops.batch_norm, backward, [x, *numbers]))

    def of_batch(x, gamma, beta):
        return ops.batch_norm(x, gamma, beta, *ops.moments(x))

    def backward_of_batch(g, x, gamma, beta):
        mean, variance = ops.moments(x)
        dx, dgamma, dbeta, *more = ops.batch_norm_backward(g, x, gamma, mean, variance)
        return dx + ops.moments_backward(*more, x, mean), dgamma, dbeta

    assert close(*projections(of_batch, backward_of_batch, [x, *numbers[:2]]))
    out = of_batch(x, np.ones(2), np.zeros(2))
    assert np.abs(ops.moments(out)[0]).max() < 1e-12
    assert np.abs(ops.moments(out)[1] - 1).max() < (1e-3 if x.size > 4 else 1)


@OPS
@DTYPES
def test_maps_that_are_constant_become_zero(ops, dtype):
    """Large ones, too, whose mean is rounded; and one pixel has no variance."""
    for x in (np.full((2, 3, 5, 4), 1e4, dtype), np.ones((1, 3, 1, 1), dtype)):
        mean, variance = ops.moments(x)
        assert mean.dtype == variance.dtype == dtype and np.array_equal(mean, x[0, :, 0, 0])
        assert not variance.any()
        zeros, ones = np.zeros(3, dtype), np.ones(3, dtype)
        assert not ops.batch_norm(x, ones, zeros, mean, variance).any()
        dx, *numbers = ops.batch_norm_backward(x, x, ones, mean, variance)
        dx = dx + ops.moments_backward(*numbers[2:], x, mean)
        assert np.abs(dx).max() <= 1e-3 * np.abs(x).max()  # of a constant gradient nothing is left


@OPS
def test_gradients_of_motion(ops):
    """To picture and flow: inside, on the edge and outside, from several pixels to one."""
    rng = np.random.default_rng(25)
    x, flow = rng.standard_normal((2, 3, 6, 7)), 3 * rng.standard_normal((2, 2, 6, 7))
    flow[:, 0, :, 2], flow[:, 1, 4] = -30.5, 0.25
    places = np.stack([np.arange(7) + flow[:, 0], np.arange(6)[:, None] + flow[:, 1]], axis=1)
    near = np.abs(places - np.round(places)) < 1e-3
    flow[near] += 0.1  # away from the kinks at pixels
    for warp, back in (
        (ops.warp, ops.warp_backward), (ops.warp_cubic, ops.warp_cubic_backward)
    ):  # fmt: skip
        assert close(*projections(warp, back, [x, flow]))
        assert not back(x, x, flow)[1][:, 0, :, 2].any()
    assert close(*projections(ops.phases, ops.phases_backward, [x, flow]))
    value = lambda flow: np.array(ops.smoothness(flow))  # noqa: E731
    assert close(*projections(value, lambda g, f: [g * ops.smoothness_backward(f)], [flow]))
    assert ops.smoothness(np.full((1, 2, 4, 5), 3.0)) == pytest.approx(0.1, rel=1e-14)


@OPS
@DTYPES
def test_flows_of_whole_pixels_and_to_nowhere(ops, dtype):
    """Channel 0 points to the right, 1 down; the edge is repeated; NaN is not hidden."""
    x = np.random.default_rng(26).random((1, 2, 5, 6)).astype(dtype)
    flow = np.zeros((1, 2, 5, 6), dtype)
    assert np.array_equal(ops.warp(x, flow), x) and np.array_equal(ops.warp_cubic(x, flow), x)
    flow[:, 0], flow[:, 1] = 2, 1
    wanted = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 2)), "edge")[:, :, 1:, 2:]
    assert np.array_equal(ops.warp(x, flow), wanted)
    assert np.array_equal(ops.warp_cubic(x, flow), wanted)
    for far in (1e30, np.inf):
        assert np.array_equal(ops.warp(x, flow * dtype(far))[0, 0], np.full((5, 6), x[0, 0, 4, 5]))
    assert ops.warp(x[..., :1, :1], flow[..., :1, :1]) == pytest.approx(x[..., :1, :1])
    flow[0, 0, 3, 2] = np.nan
    out = ops.warp(x, flow)
    assert np.isnan(out[0, :, 3, 2]).all() and np.isnan(out).sum() == 2
    assert np.isnan(ops.smoothness(flow)) and np.isnan(ops.warp_backward(x, x, flow)[0]).any()
    for some in (np.s_[0, 0, 3, 2], np.s_[:, 1], np.s_[:]):
        flow[some] = np.nan
        found = ops.warp_backward(x, x, flow)
        for ours, wanted in zip(found, reference.warp_backward(x, x, flow), strict=True):
            assert np.array_equal(np.isnan(ours), np.isnan(wanted))
            assert np.allclose(ours, wanted, rtol=1e-5, atol=1e-5, equal_nan=True)
    assert np.isnan(found[0][0, 0, :2, :2]).all() and not found[0][0, 0, 2:, 2:].any()


@OPS
def test_warp_is_grid_sample(ops):
    """PyTorch's numbers, see `record_torch_motion`: at pixels, between them and outside."""
    recorded = np.load(Path(__file__).parent / "torch_warp.npz")
    x, flow, dout = (recorded[name] for name in ("x", "flow", "dout"))
    found = {"out": ops.warp(x, flow)}
    found["dx"], found["dflow"] = ops.warp_backward(dout, x, flow)
    for name, array in found.items():
        assert np.abs(array - recorded[name]).max() <= 1e-10, name


@pytest.mark.skipif(not JIT, reason="a matter of compiled code")
def test_motion_has_the_same_bits_with_one_thread():
    """Many pixels go back to one, whose sum is taken in one order."""
    rng = np.random.default_rng(28)
    x, flow = (rng.standard_normal((3, 2, 20, 17)).astype(np.float32) for _ in range(2))

    def results():
        return *kernels.warp_backward(x, x, 5 * flow), kernels.smoothness_backward(flow)

    wanted, before = results(), numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        found = results()
    finally:
        numba.set_num_threads(before)
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("ops", [kernels, kernels.direct])
def test_motion_on_maps_is_that_of_arrays(ops):
    rng = np.random.default_rng(27)
    x, y = rng.standard_normal((2, 2, 2, 6, 9)).astype(np.float32)
    for name, arguments in {
        "concatenate": (x, y), "split": (x, 1, 1), "warp": (x, y), "warp_backward": (x, y, x),
        "smoothness_backward": (x,), "warp_cubic": (x, y), "warp_cubic_backward": (x, y, x),
        "phases": (x, y), "phases_backward": (np.concatenate([x, y, y, x], axis=1), x, y),
    }.items():  # fmt: skip
        held = [ops.enter(a) if isinstance(a, np.ndarray) else a for a in arguments]
        found, wanted = getattr(ops, name)(*held), getattr(ops, name)(*arguments)
        if not isinstance(wanted, tuple):
            found, wanted = (found,), (wanted,)
        for a, b in zip(found, wanted, strict=True):
            assert np.array_equal(ops.leave(a), b), name
    assert ops.smoothness(ops.enter(x)) == ops.smoothness(x)


@pytest.mark.parametrize("ops", [kernels, kernels.direct])
def test_what_has_numbers_for_each_channel_is_that_of_arrays_on_maps(ops):
    """20 channels are no whole vectors; what is no pixel and no channel stays zero."""
    rng = np.random.default_rng(22)
    x, y = rng.standard_normal((2, 3, 20, 7, 10)).astype(np.float32)
    numbers = rng.standard_normal((4, 20)).astype(np.float32)
    w, b = rng.standard_normal((5, 20, 7, 10)).astype(np.float32), np.zeros(5, np.float32)
    for _ in range(2):  # memory of others, in which there is something
        kernels.enter(np.full((3, 20, 7, 10), np.nan, np.float32))
    numbers[3] = np.square(numbers[3])
    for name, arguments in {
        "prelu": (x, numbers[0]),
        "prelu_backward": (y, x, numbers[0][:1]),
        "moments": (x,),
        "moments_backward": (*numbers[:2], x, numbers[2]),
        "batch_norm": (x, *numbers),
        "batch_norm_backward": (y, x, numbers[0], *numbers[2:]),
        "leaky_relu": (x, 0.2),
        "leaky_relu_backward": (y, x, 0.2),
        "max_pool": (x,),
        "max_pool_backward": (np.ascontiguousarray(y[:, :, :3, :5]), x),
        "dense": (x, w, b),
        "dense_backward": (y[:, :5, :1, :1], x, w),
    }.items():
        operation = getattr(ops, name)
        wanted = operation(*arguments)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        held = [ops.enter(a) if np.ndim(a) == 4 and a is not w else a for a in arguments]
        mixed = [held[0], *arguments[1:]]
        for some in (held, mixed):
            found = operation(*some)
            found = found if isinstance(found, tuple) else (found,)
            for a, b in zip(found, wanted, strict=True):
                assert np.array_equal(ops.leave(a), b), name
                if type(a) is not np.ndarray:
                    assert not a.data[:, 8:].any() and not a.data[..., 20:].any()
    with pytest.raises(TypeError, match="float32 or float64, not in int64"):
        ops.prelu(np.ones((1, 2, 3, 4), int), np.ones(2))


def test_a_fixed_slope_is_not_summed_for(monkeypatch):
    """What goes back through LeakyReLU is what goes back through PReLU, and no gradient of it."""
    x, dout = np.random.default_rng(6).standard_normal((2, 2, 3, 5, 6)).astype(np.float32)
    wanted = kernels.prelu_backward(dout, x, [0.3])[0]
    monkeypatch.delattr(Laid, "rows")
    assert np.array_equal(kernels.leaky_relu_backward(dout, x, 0.3), wanted)


@pytest.mark.parametrize("first", [True, False])
def test_an_array_among_maps_keeps_its_memory_while_sums_are_taken(first):
    """It is laid out as maps are, whose memory others get as soon as they are gone."""
    rng = np.random.default_rng(24)
    array, x = rng.standard_normal((2, 2, 5, 6, 7)).astype(np.float32)
    maps = kernels.enter(x)
    laid = Laid(dout=array, x=maps) if first else Laid(dout=maps, x=array)
    others = [kernels.enter(0 * x) for _ in range(4)]
    data = laid.data[0 if first else 1]
    assert not any(np.shares_memory(data, other.data) for other in others)
    assert np.array_equal(data[:, 1:7, 1:8, :5], array.transpose(0, 2, 3, 1))


@OPS
@pytest.mark.parametrize(
    "sizes, filters", [((9, 1, 5), (64, 32) if JIT else (9, 5)), ((3, 3, 1, 5), (9, 8, 3))]
)
@pytest.mark.parametrize("c", [1, 3])
@ACTIVATIONS
def test_network_gradients(ops, sizes, filters, c, activation):
    layers = random_layers(sizes, filters, c)
    rng = np.random.default_rng(9)
    margin = sum(f - 1 for f in sizes)
    low = rng.random((3, c, margin + 5, margin + 4))
    high = rng.random((3, c, 5, 4))
    flat = [array for layer in layers for array in layer]

    def loss(*arrays):
        return np.array(ops.loss_and_gradients(low, high, _paired(arrays), activation)[0])

    def backward(g, *arrays):
        gradients = ops.loss_and_gradients(low, high, _paired(arrays), activation)[1]
        return [g * array for layer in gradients for array in layer]

    assert close(*projections(loss, backward, flat))


def _paired(arrays):
    return list(zip(arrays[::2], arrays[1::2], strict=True))


# ------------------------------------------------------------------------ kernels against reference

SHAPES = [(1, 1), (1, 7), (5, 2), (9, 9), (16, 48), (33, 31), (130, 20), (6, 300)]
STACKS = [
    ((9, 1, 5), (64, 32)),
    ((9, 3, 5), (64, 32)),
    ((9, 5, 5), (64, 32)),
    ((9, 1, 1, 5), (64, 32, 16)),
    ((11, 1, 7), (10, 5)),
    ((5,), ()),
    ((1, 1), (3,)),
]
# ESPCN and its like: sizes, filters, channels of the picture, filters of the last layer.
ENLARGING = [
    ((5, 3, 3), (64, 32), 1, 4),
    ((5, 3, 3), (64, 32), 1, 9),
    ((5, 3, 3), (24, 16), 3, 16),
    ((3, 3), (9,), 3, 27),
]
if not JIT:  # each operation on a tile is then one of NumPy; 14 = 8 + 5 + 1 has all kinds
    STACKS = [
        (sizes, tuple(min(n, m) for n, m in zip(filters, (14, 9, 6)))) for sizes, filters in STACKS
    ]
    ENLARGING = [((3, 3, 1), (9, 8), 1, 9), ((1, 3), (3,), 3, 4)]


# Each stack in float32 from one channel and from three; in float64, which takes direct sums, from
# one or three in turn.
OF_STACKS = pytest.mark.parametrize(
    "sizes, filters, c, dtype",
    [
        (*stack, c, dtype)
        for k, stack in enumerate(STACKS)
        for c, dtype in ((1, np.float32), (3, np.float32), ((1, 3)[k % 2], np.float64))
    ],
)


@OF_STACKS
def test_kernels_are_reference_on_pictures(sizes, filters, c, dtype):
    layers = random_layers(sizes, filters, c, dtype)
    terms = max(w[0].size for w, _ in layers)
    rng = np.random.default_rng(10)
    for height, width in SHAPES if JIT else SHAPES[:4]:
        x = rng.random((2, c, height, width)).astype(dtype)
        ours, theirs = (ops.forward(x, layers, "replicate") for ops in (kernels, reference))
        assert equal_to_rounding(ours, theirs, terms), (height, width)
        if min(height, width) > sum(f - 1 for f in sizes):
            ours, theirs = (ops.forward(x, layers, "valid") for ops in (kernels, reference))
            assert equal_to_rounding(ours, theirs, terms), (height, width)


def ways(dtype):
    """What computes in this type: float64 takes direct sums in any case."""
    return (kernels, kernels.direct) if dtype == np.float32 else (kernels,)


@pytest.mark.parametrize(
    "padding, activation, dtype",
    [
        ("replicate", "relu", np.float32), ("replicate", "tanh", np.float32),
        ("zeros", "relu", np.float32), ("zeros", "tanh", np.float32),
        ("valid", "relu", np.float32), ("valid", "tanh", np.float32),
        ("replicate", "tanh", np.float64), ("zeros", "relu", np.float64),
        ("valid", "tanh", np.float64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sizes, filters, c, out", ENLARGING)
def test_enlarging_networks_on_pictures(sizes, filters, c, out, padding, activation, dtype):
    """Many filters last, as before a shuffle; each padding, each activation."""
    layers = random_layers(sizes, filters, c, dtype, out=out)
    terms = max(w[0].size for w, _ in layers)
    rng = np.random.default_rng(17)
    smallest = sum(f - 1 for f in sizes) + 1
    for height, width in SHAPES if JIT else [(1, 1), (5, 6)]:
        if padding == "valid" and min(height, width) < smallest:
            continue
        x = rng.random((2, c, height, width)).astype(dtype)
        want = reference.forward(x, layers, padding, activation)
        for ops in ways(dtype):
            ours = ops.forward(x, layers, padding, activation)
            assert equal_to_rounding(ours, want, 2 * terms), (ops, height, width)


@DTYPES
@pytest.mark.parametrize("sizes, filters, c, out", ENLARGING)
def test_enlarging_networks_on_batches(sizes, filters, c, out, dtype):
    layers = random_layers(sizes, filters, c, dtype, out=out)
    rng = np.random.default_rng(18)
    side = 6 if JIT else 2
    height = side + sum(f - 1 for f in sizes)
    low = rng.random((17 if JIT else 2, c, height, height + 1)).astype(dtype)
    high = rng.random((len(low), out, side, side + 1)).astype(dtype)
    for activation in ("relu", "tanh"):
        loss, gradients = reference.loss_and_gradients(low, high, layers, activation)
        for ops in ways(dtype):
            ours = ops.loss_and_gradients(low, high, layers, activation)
            assert ours[0] == pytest.approx(loss, rel=1e-5 if dtype == np.float32 else 1e-13)
            for layer, want in zip(ours[1], gradients, strict=True):
                for a, b in zip(layer, want, strict=True):
                    size = np.abs(b).max()
                    assert equal_to_rounding(a / size, b / size, low.size), (ops, activation)


@OF_STACKS
def test_kernels_are_reference_on_batches(sizes, filters, c, dtype):
    layers = random_layers(sizes, filters, c, dtype)
    rng = np.random.default_rng(11)
    side = sum(f - 1 for f in sizes) + 1
    for n, extra in ((1, 0), (3, 4), (17, 2), (40, 12)) if JIT else ((1, 0), (2, 1)):
        low = rng.random((n, c, side + extra, side + extra + 1)).astype(dtype)
        high = rng.random((n, c, extra + 1, extra + 2)).astype(dtype)
        ours, theirs = (ops.loss_and_gradients(low, high, layers) for ops in (kernels, reference))
        assert ours[0] == pytest.approx(theirs[0], rel=1e-5 if dtype == np.float32 else 1e-13)
        terms = n * (extra + 1) * (extra + 2) + max(w[0].size for w, _ in layers)
        for layer, want in zip(ours[1], theirs[1], strict=True):
            for a, b in zip(layer, want, strict=True):
                size = np.abs(b).max()
                assert equal_to_rounding(a / size, b / size, terms), (n, extra)


def for_all_numbers_of_threads(compute):
    """What `compute` gives with 1, 2, ... threads: a list of lists of arrays."""
    threads = numba.get_num_threads()
    results = []
    try:
        for number in range(1, numba.config.NUMBA_NUM_THREADS + 1):
            numba.set_num_threads(number)
            results.append(compute())
    finally:
        numba.set_num_threads(threads)
    return results


@pytest.mark.skipif(not JIT, reason="without compiled code there are no threads")
@pytest.mark.parametrize(
    "sizes, width",
    [*(((9, 5, 3), width) for width in (601, 602, 747)),
     ((9, 1, 5), 601), ((9, 3, 3, 3), 602), ((9, 5, 1), 747)],
)  # fmt: skip
def test_pictures_have_the_same_bits_for_any_number_of_threads(sizes, width):
    layers = random_layers(sizes, (64, 32, 16)[: len(sizes) - 1], 1, np.float32)
    x = np.random.default_rng(12).random((1, 1, 300, width)).astype(np.float32)
    first, *others = for_all_numbers_of_threads(lambda: kernels.forward(x, layers, "replicate"))
    assert all(np.array_equal(first, other) for other in others)
    assert np.array_equal(first, kernels.forward(x, layers, "replicate"))


@pytest.mark.skipif(not JIT, reason="without compiled code there are no threads")
def test_gradients_have_the_same_bits_for_any_number_of_threads():
    layers = random_layers((9, 5, 5), (64, 32), 1, np.float32)
    rng = np.random.default_rng(12)
    low, high = rng.random((20, 1, 33, 33)), rng.random((20, 1, 17, 17))
    low, high = low.astype(np.float32), high.astype(np.float32)

    def flat():
        loss, gradients = kernels.loss_and_gradients(low, high, layers)
        return [np.array(loss), *(array for layer in gradients for array in layer)]

    first, *others = for_all_numbers_of_threads(flat)
    for other in others:
        assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.skipif(not JIT, reason="without compiled code there are no threads")
def test_sums_of_channels_have_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(23)
    x, y = rng.standard_normal((2, 5, 48, 31, 17)).astype(np.float32)
    a = rng.standard_normal((4, 48)).astype(np.float32)

    def all_of_them():
        maps, d = kernels.enter(x), kernels.enter(y)
        mean, variance = kernels.moments(maps)
        back = kernels.batch_norm_backward(d, maps, a[0], mean, variance)
        slopes = kernels.prelu_backward(d, maps, a[0]), kernels.prelu_backward(d, maps, a[0][:1])
        found = (mean, variance, *back, *slopes[0], *slopes[1])
        return [kernels.leave(array) for array in found]

    first, *others = for_all_numbers_of_threads(all_of_them)
    for other in others:
        assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.skipif(not JIT, reason="without compiled code there are no strips")
def test_what_is_not_a_number_stays_where_it_is():
    """A NaN reaches as far as the network sees, not into the next strip or picture."""
    layers = random_layers((9, 5, 3), (64, 32), 1, np.float32)
    x = np.random.default_rng(13).random((2, 1, 60, 601)).astype(np.float32)
    x[0, 0, 30, 300] = np.nan
    fast = np.isnan(kernels.forward(x, layers, "replicate"))
    direct = np.isnan(kernels.direct.forward(x, layers, "replicate"))
    assert fast[direct].all() and not fast[1].any()
    # A transform computes four rows and columns together.
    for axis in (2, 3):
        assert fast.sum(axis=axis).max() <= direct.sum(axis=axis).max() + 8


@pytest.mark.skipif(not JIT, reason="a matter of how compiled code divides the picture")
def test_a_part_of_a_picture_is_the_same_bits_as_in_the_whole():
    layers = random_layers((9, 5, 5), (64, 32), 1, np.float32)
    x = np.random.default_rng(13).random((1, 1, 290, 610)).astype(np.float32)
    # By Winograd's way a pixel's rounding depends on where it lies in a square of four by four.
    for forward, columns in ((kernels.forward, (0, 610)), (kernels.direct.forward, (250, 400))):
        left, right = columns
        whole = forward(x, layers, "valid")
        part = forward(np.ascontiguousarray(x[:, :, 100:200, left:right]), layers, "valid")
        assert np.array_equal(part, whole[:, :, 100:184, left : right - 16])


@pytest.mark.skipif(not JIT, reason="a matter of how compiled code divides the picture")
@ACTIVATIONS
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize(
    "sizes, filters, out", [((5, 3, 3), (64, 32), 9), ((9, 5, 5), (64, 32), 1)]
)
def test_pieces_cut_with_their_margin_are_the_bits_of_the_whole(
    sizes, filters, out, padding, activation
):
    """Also at the edges, where the piece ends as the picture does and is padded as that is."""
    layers = random_layers(sizes, filters, 1, np.float32, out=out)
    margin = sum(f // 2 for f in sizes)
    x = np.random.default_rng(19).random((1, 1, 150, 619)).astype(np.float32)
    rectangles = [(0, 150, 0, 100), (40, 90, 97, 403), (100, 150, 300, 619), (0, 3, 611, 619),
                  (77, 78, 5, 6)]  # fmt: skip
    for ops in (kernels, kernels.direct):
        whole, group = ops.forward(x, layers, padding, activation), ops.ALIGNMENT
        seen = margin + (group - 1) * len(sizes)  # whole squares in every layer
        for top, bottom, left, right in rectangles:
            above, before = (max(0, first - seen) // group * group for first in (top, left))
            part = x[:, :, above : bottom + seen, before : right + seen]
            ours = ops.forward(np.ascontiguousarray(part), layers, padding, activation)
            ours = ours[:, :, top - above :, left - before :]
            ours = ours[:, :, : bottom - top, : right - left]
            assert np.array_equal(ours, whole[:, :, top:bottom, left:right]), (ops, top, left)


@OPS
def test_nan_is_never_hidden(ops):
    """ReLU must not turn NaN into 0, or a diverged training would look healthy."""
    x = np.array([[[[np.nan, -1.0, 2.0]]]])
    assert np.isnan(ops.relu(x)[0, 0, 0, 0])
    layers = random_layers((3, 1, 3), (9, 8), 1)
    picture = np.random.default_rng(14).random((1, 1, 9, 9))
    picture[0, 0, 4, 4] = np.nan
    assert np.isnan(ops.forward(picture, layers, "replicate")).any()
    assert np.isnan(ops.loss_and_gradients(picture, picture[:, :, 2:-2, 2:-2], layers)[0])
    dout = np.array([[[[3.0, 4.0, 5.0]]]])
    for backward in (ops.relu_backward, naive["relu_backward"]):
        assert backward(dout, x).tolist() == [[[[3, 0, 5]]]]


# ----------------------------------------------------- compiled code refuses what it cannot address


PIXELS = np.ones((1, 2, 5, 5))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x, w, b: (x[0], w, b), "wanted \\(N, C, H, W\\)"),
        (lambda x, w, b: (x[:, :1], w, b), "wanted \\(O, 1, f, f\\)"),
        (lambda x, w, b: (x, w[:, :, :2, :2], b), "wanted an odd number"),
        (lambda x, w, b: (x, w, b[:2]), "biases have the shape"),
        (lambda x, w, b: (x[:, :, :2], w, b), "wanted 3 x 3 pixels"),
    ],
)
def test_kernels_check_shapes(change, words):
    rng = np.random.default_rng(15)
    arguments = [rng.random(s) for s in ((1, 2, 5, 5), (4, 2, 3, 3), (4,))]
    with pytest.raises(ValueError, match=words):
        kernels.conv2d(*change(*arguments))


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("im2col", (PIXELS, 6)),
        ("im2col", (PIXELS, 0)),
        ("im2col", (PIXELS[0], 3)),
        ("col2im", (np.ones((1, 18, 8)), (1, 2, 5, 5), 3)),
        ("relu_backward", (PIXELS, PIXELS[:, :1])),
        *((name, (PIXELS, PIXELS[:, :, :1])) for name in ALL_LOSSES),
        *((f"{name}_backward", (PIXELS, PIXELS[:, :, :1])) for name in ALL_LOSSES),
        ("leaky_relu", (PIXELS[0], 0.2)),
        ("leaky_relu_backward", (PIXELS, PIXELS[:, :1], 0.2)),
        ("dense", (PIXELS, np.ones((3, 2, 5, 4)), np.ones(3))),
        ("dense", (PIXELS, np.ones((3, 2, 5, 5)), np.ones(2))),
        ("dense", (PIXELS[:0], np.ones((3, 2, 5, 5)), np.ones(3))),
        ("dense_backward", (np.ones((1, 2, 1, 1)), PIXELS, np.ones((3, 2, 5, 5)))),
        ("dense_backward", (np.ones((1, 3)), PIXELS, np.ones((3, 2, 5, 5)))),
        ("max_pool", (PIXELS[:, :, :1],)),
        ("max_pool", (PIXELS[0],)),
        ("max_pool_backward", (PIXELS, PIXELS)),
        ("pad_replicate", (PIXELS, -1)),
        ("pad_replicate", (PIXELS[:, :, :0], 2)),
        ("pad_replicate", (PIXELS[..., :0], 1)),
        ("pad_replicate_backward", (PIXELS, 3)),
        ("pad_zeros", (PIXELS, -1)),
        ("pad_zeros_backward", (PIXELS, 3)),
        ("tanh_backward", (PIXELS, PIXELS[:, :1])),
        ("pixel_shuffle", (PIXELS, 2)),
        ("pixel_shuffle", (PIXELS[0], 1)),
        ("pixel_shuffle", (PIXELS, 0)),
        ("pixel_shuffle_backward", (PIXELS, 2)),
        ("conv2d_strided", (PIXELS, np.ones((3, 2, 3, 3)), np.ones(3), 0)),
        ("conv2d_strided", (PIXELS, np.ones((3, 1, 3, 3)), np.ones(3), 2)),
        ("conv2d_strided", (PIXELS, np.ones((3, 2, 4, 4)), np.ones(3), 2)),
        ("conv2d_strided", (PIXELS, np.ones((3, 2, 3, 3)), np.ones(2), 2)),
        ("conv2d_strided", (PIXELS[0], np.ones((3, 2, 3, 3)), np.ones(3), 2)),
        ("conv2d_strided_backward", (PIXELS, PIXELS, np.ones((2, 2, 3, 3)), 2)),
        ("conv2d_strided_backward", (PIXELS[..., :3, :3], PIXELS, np.ones((2, 1, 3, 3)), 2)),
        ("dot", (PIXELS, PIXELS[:, :, :1])),
        ("repeat", (PIXELS, 0)),
        ("repeat_backward", (PIXELS, 3)),
        ("prelu", (PIXELS, np.ones(3))),
        ("prelu", (PIXELS[0], np.ones(2))),
        ("prelu_backward", (PIXELS, PIXELS[:, :1], np.ones(2))),
        ("prelu_backward", (PIXELS, PIXELS, np.ones((2, 1)))),
        ("moments", (PIXELS[:0],)),
        ("moments_backward", (np.ones(1), np.ones(2), PIXELS, np.ones(2))),
        ("batch_norm", (PIXELS, np.ones(2), np.ones(1), np.ones(2), np.ones(2))),
        ("batch_norm_backward", (PIXELS, PIXELS[:, :, 1:], *np.ones((3, 2)))),
        ("batch_norm_backward", (PIXELS, PIXELS, *np.ones((2, 2)), np.ones(3))),
        ("concatenate", (PIXELS, PIXELS[:, :, 1:])),
        ("concatenate", (PIXELS, PIXELS[0])),
        ("split", (PIXELS, 1, 2)),
        ("split", (PIXELS, 2, 0)),
        ("split", (PIXELS[0], 1, 4)),
        ("warp", (PIXELS, PIXELS[:, :1])),
        ("warp", (PIXELS, PIXELS[:, :, 1:])),
        ("warp", (PIXELS[:0], PIXELS[:0])),
        ("warp_backward", (PIXELS[:, :1], PIXELS, PIXELS)),
        ("warp_cubic", (PIXELS, PIXELS[:, :1])),
        ("warp_cubic_backward", (PIXELS[:, :1], PIXELS, PIXELS)),
        ("phases", (PIXELS, PIXELS[:, :1])),
        ("phases_backward", (PIXELS, PIXELS, PIXELS)),
        ("warp_backward", (PIXELS, PIXELS, PIXELS[..., 1:])),
        ("smoothness", (PIXELS[:, :1],)),
        ("smoothness_backward", (PIXELS[..., :0],)),
    ],
)
def test_single_operations_check_shapes(name, arguments):
    with pytest.raises(ValueError, match="wanted|do not fit|nothing is left"):
        getattr(kernels, name)(*arguments)


@pytest.mark.parametrize("ops", [reference, kernels, kernels.direct])
def test_unknown_names_and_shuffles_are_refused(ops):
    layers = random_layers((3, 3), (2,), 2)
    (w, b), dout = layers[0], np.ones((1, 2, 5, 5))
    for call in (
        lambda: ops.forward(PIXELS, layers, "same"),
        lambda: ops.conv2d(PIXELS, w, b, "same"),
        lambda: ops.conv2d_backward(dout, PIXELS, w, "same"),
    ):
        with pytest.raises(
            ValueError, match="padding is 'same', wanted one of valid, replicate, zeros"
        ):
            call()
    for shuffle in (0, -1):
        with pytest.raises(ValueError, match=f"shuffle is {shuffle}, wanted 1 or more"):
            ops.forward(PIXELS, layers, "zeros", shuffle=shuffle)
    with pytest.raises(ValueError, match="activation is 'elu', wanted one of relu, tanh"):
        ops.forward(PIXELS, layers, "zeros", "elu")
    with pytest.raises(ValueError, match="activation is 'elu', wanted one of relu, tanh"):
        ops.loss_and_gradients(PIXELS, PIXELS[:, :, :1, :1], layers, "elu")


def test_kernels_check_dtypes():
    x, w, b = np.ones((1, 1, 5, 5), np.int64), np.ones((1, 1, 3, 3), int), np.ones(1, int)
    with pytest.raises(TypeError, match="float32 or float64, not in int64"):
        kernels.conv2d(x, w, b)
    mixed = kernels.conv2d(x.astype(np.float32), w.astype(np.float64), b.astype(np.float32))
    assert mixed.dtype == np.float64 and np.all(mixed == 10)


def test_memory_of_results_is_used_again_once_no_view_of_it_is_left():
    x = np.ones((1, 1, 96, 128), np.float32)
    first = kernels.repeat(x, 8)
    view, where = first[0, 3], first.ctypes.data
    del first
    second = kernels.repeat(2 * x, 8)
    assert not np.shares_memory(view, second) and (view == 1).all()
    del view
    third = kernels.repeat(3 * x, 8)
    assert third.ctypes.data == where and (second == 2).all() and (third == 3).all()
    assert third.flags.writeable and third.ctypes.data % 64 == 0


def test_memory_given_while_other_memory_is_taken_is_not_lost():
    pool = Pool()
    with pool.lock:  # as where the garbage collector runs inside `take`
        pool.give("kind", np.zeros(3))
    assert pool.take("kind", 24).size == 3 and pool.take("kind", 24) is None and pool.size == 0
