"""The three rungs held together: naive loops, `reference`, `kernels`. Run this file first.

Tolerances: a sum of K products, each rounded, is off by at most about K eps times the sum of the
products' sizes; random signs make it sqrt(K) in practice, so 4 sqrt(K) eps of the largest value is
generous to rounding and far too little for any mistake.
"""

import inspect

import numba
import numpy as np
import pytest
from naive import __dict__ as naive
from projections import close, projections
from rungs import JIT, equal_to_rounding, random_layers

from pysrcnn import kernels, reference

OPS = pytest.mark.parametrize("ops", [reference, kernels], ids=["reference", "kernels"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


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


@pytest.mark.parametrize("name", reference.__all__)
def test_same_signatures(name):
    ours, theirs = (inspect.signature(getattr(ops, name)) for ops in (kernels, reference))
    assert list(ours.parameters) == list(theirs.parameters)


# ---------------------------------------------------------------------- both against the definition


def arguments_of(name, rng, dtype):
    """Arguments for each operation, of odd sizes, several samples and channels."""
    x = rng.standard_normal((3, 2, 7, 6)).astype(dtype)
    y = rng.standard_normal(x.shape).astype(dtype)
    w = rng.standard_normal((5, 2, 3, 3)).astype(dtype)
    b = rng.standard_normal(5).astype(dtype)
    return {
        "im2col": (x, 3),
        "col2im": (rng.standard_normal((3, 2 * 9, 5 * 4)).astype(dtype), x.shape, 3),
        "conv2d": (x, w, b),
        "conv2d_backward": (rng.standard_normal((3, 5, 5, 4)).astype(dtype), x, w),
        "relu": (x,),
        "relu_backward": (y, x),
        "mse": (x, y),
        "mse_backward": (x, y),
        "pad_replicate": (x, 2),
        "pad_replicate_backward": (x, 2),
    }[name]


SINGLE = [n for n in reference.__all__ if n not in ("forward", "loss_and_gradients")]


@OPS
@DTYPES
@pytest.mark.parametrize("name", SINGLE)
def test_operation_is_its_definition(ops, dtype, name):
    arguments = arguments_of(name, np.random.default_rng(1), dtype)
    results, wanted = getattr(ops, name)(*arguments), naive[name](*arguments)
    if name == "mse":
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
    first, second = getattr(ops, name)(*arguments), getattr(ops, name)(*strided)
    for a, copy in zip(arguments, copies, strict=True):
        assert np.array_equal(a, copy)
    if not isinstance(first, tuple):
        first, second = (first,), (second,)
    for a, b in zip(first, second, strict=True):
        assert np.allclose(a, b, rtol=1e-13, atol=1e-13)


@OPS
@pytest.mark.parametrize("padding", ["replicate", "valid"])
@pytest.mark.parametrize("c", [1, 3])
def test_forward_is_its_definition(ops, padding, c):
    layers = random_layers((5, 1, 3), (9, 4), c)
    x = np.random.default_rng(3).random((2, c, 8, 9))
    assert equal_to_rounding(
        ops.forward(x, layers, padding), naive["forward"](x, layers, padding), 64
    )


@pytest.mark.parametrize("name", ["im2col", "pad_replicate"])
@OPS
def test_adjoint(ops, name):
    """<A x, y> = <x, A^T y>: needs no oracle."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, 3, 8, 7))
    if name == "im2col":
        forward, backward = lambda a: ops.im2col(a, 3), lambda a: ops.col2im(a, x.shape, 3)
    else:
        forward, backward = (
            lambda a: ops.pad_replicate(a, 2),
            lambda a: ops.pad_replicate_backward(a, 2),
        )
    y = rng.standard_normal(forward(x).shape)
    assert np.sum(forward(x) * y) == pytest.approx(np.sum(x * backward(y)), rel=1e-12)


@OPS
def test_padding_by_nothing(ops):
    x = np.random.default_rng(5).random((1, 2, 3, 4))
    assert np.array_equal(ops.pad_replicate(x, 0), x)
    assert np.array_equal(ops.pad_replicate_backward(x, 0), x)


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
def test_relu_and_mse_gradients(ops):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((2, 3, 9, 8))
    x[np.abs(x) < 1e-3] = 1  # away from the kink
    assert close(*projections(ops.relu, lambda g, x: [ops.relu_backward(g, x)], [x]))
    y = rng.standard_normal(x.shape)
    loss = lambda x: np.array(ops.mse(x, y))  # noqa: E731
    assert close(*projections(loss, lambda g, x: [g * ops.mse_backward(x, y)], [x]))


@OPS
@pytest.mark.parametrize("sizes, filters", [((9, 1, 5), (64, 32)), ((3, 3, 1, 5), (9, 8, 3))])
@pytest.mark.parametrize("c", [1, 3])
def test_network_gradients(ops, sizes, filters, c):
    layers = random_layers(sizes, filters, c)
    rng = np.random.default_rng(9)
    margin = sum(f - 1 for f in sizes)
    low = rng.random((3, c, margin + 5, margin + 4))
    high = rng.random((3, c, 5, 4))
    flat = [array for layer in layers for array in layer]

    def loss(*arrays):
        return np.array(ops.loss_and_gradients(low, high, _paired(arrays))[0])

    def backward(g, *arrays):
        gradients = ops.loss_and_gradients(low, high, _paired(arrays))[1]
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


@DTYPES
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("sizes, filters", STACKS)
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


@DTYPES
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("sizes, filters", STACKS)
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
@pytest.mark.parametrize("sizes", [(9, 1, 5), (9, 5, 3), (9, 3, 3, 3), (9, 5, 1)])
@pytest.mark.parametrize("width", [601, 602, 747])
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


@pytest.mark.skipif(not JIT, reason="without compiled code there are no strips")
def test_what_is_not_a_number_stays_where_it_is():
    """A NaN reaches as far as the network sees, not into the next strip or picture."""
    layers = random_layers((9, 5, 3), (64, 32), 1, np.float32)
    x = np.random.default_rng(13).random((2, 1, 60, 601)).astype(np.float32)
    x[0, 0, 30, 300] = np.nan
    fast = np.isnan(kernels.forward(x, layers, "replicate"))
    direct = np.isnan(kernels.direct.forward(x, layers, "replicate"))
    assert fast[direct].all() and not fast[1].any()
    # A transform computes four columns together.
    assert fast.sum(axis=3).max() <= direct.sum(axis=3).max() + 8


@pytest.mark.skipif(not JIT, reason="a matter of how compiled code divides the picture")
def test_a_part_of_a_picture_is_the_same_bits_as_in_the_whole():
    layers = random_layers((9, 5, 5), (64, 32), 1, np.float32)
    x = np.random.default_rng(13).random((1, 1, 290, 610)).astype(np.float32)
    # By Winograd's way a pixel's rounding depends on its column, but not on its row.
    for forward, columns in ((kernels.forward, (0, 610)), (kernels.direct.forward, (250, 400))):
        left, right = columns
        whole = forward(x, layers, "valid")
        part = forward(np.ascontiguousarray(x[:, :, 100:200, left:right]), layers, "valid")
        assert np.array_equal(part, whole[:, :, 100:184, left : right - 16])


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
        ("mse", (PIXELS, PIXELS[:, :, :1])),
        ("mse_backward", (PIXELS, PIXELS[:, :, :1])),
        ("pad_replicate", (PIXELS, -1)),
        ("pad_replicate_backward", (PIXELS, 3)),
    ],
)
def test_single_operations_check_shapes(name, arguments):
    with pytest.raises(ValueError, match="wanted|do not fit|nothing is left"):
        getattr(kernels, name)(*arguments)


def test_kernels_check_dtypes():
    x, w, b = np.ones((1, 1, 5, 5), np.int64), np.ones((1, 1, 3, 3), int), np.ones(1, int)
    with pytest.raises(TypeError, match="float32 or float64, not in int64"):
        kernels.conv2d(x, w, b)
    mixed = kernels.conv2d(x.astype(np.float32), w.astype(np.float64), b.astype(np.float32))
    assert mixed.dtype == np.float64 and np.all(mixed == 10)
