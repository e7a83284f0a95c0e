"""imresize against MATLAB's own arrays, against the definition in loops, and by hand."""

import math
import tracemalloc

import numpy as np
import pytest

from pysrcnn.resize import imresize

EPS32 = float(np.finfo(np.float32).eps)


def assert_close(actual, wanted, tolerance):
    """Equal shape, and no value further off than `tolerance`."""
    assert actual.shape == wanted.shape, f"{actual.shape} instead of {wanted.shape}"
    worst = np.max(np.abs(actual.astype(np.float64) - wanted))
    assert worst <= tolerance, f"off by {worst}, allowed {tolerance}"


# --------------------------------------------------------------------- the definition, in loops


def kernel(t):
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    if t <= 2:
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return 0.0


def mirror(p, n):
    """The pixel that stands at `p` when the signal is mirrored at both edges, again and again."""
    while not 0 <= p < n:
        p = -1 - p if p < 0 else 2 * n - 1 - p
    return p


def naive_line(line, m, scale):
    """One row or column to `m` samples, straight from the definition."""
    n = len(line)
    widen = min(scale, 1.0)
    result = []
    for i in range(m):
        centre = (i + 0.5) / scale - 0.5
        total = weight_sum = 0.0
        for p in range(math.floor(centre - 2 / widen) - 1, math.ceil(centre + 2 / widen) + 2):
            weight = kernel((centre - p) * widen)
            total += weight * float(line[mirror(p, n)])
            weight_sum += weight
        result.append(total / weight_sum)
    return result


def naive_imresize(x, shape, scales, order=(0, 1)):
    """Float64 `x` (H, W) along the axes in `order`, no rounding in between."""
    for axis in order:
        lines = x.T if axis == 0 else x
        lines = np.array([naive_line(line, shape[axis], scales[axis]) for line in lines])
        x = lines.T if axis == 0 else lines
    return x


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 3), (7, 5), (12, 9)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (2, 2), (5, 3), (7, 5), (14, 20)])
def test_any_shape_equals_the_definition(size, shape):
    x = np.random.default_rng(1).uniform(-1, 1, size)
    wanted = naive_imresize(x, shape, (shape[0] / size[0], shape[1] / size[1]))
    assert_close(imresize(x, shape=shape), wanted, 1e-13)


@pytest.mark.parametrize("scale", [2, 3, 4, 1 / 2, 1 / 3, 0.3, 0.05, 1.7, 1, (0.5, 3), (1.3, 0.4)])
def test_any_scale_equals_the_definition(scale):
    x = np.random.default_rng(2).uniform(-1, 1, (8, 11))
    scales = scale if isinstance(scale, tuple) else (scale, scale)
    shape = tuple(math.ceil(n * s - 1e-9) for n, s in zip(x.shape, scales, strict=True))
    assert_close(imresize(x, scale), naive_imresize(x, shape, scales), 1e-13)


def test_both_ways_to_apply_the_table_agree():
    # 60 -> 14 has more taps than outputs (a full matrix), 60 -> 16 has fewer (a loop over taps).
    x = np.random.default_rng(3).uniform(-1, 1, (60, 2))
    for m in (14, 16):
        assert_close(imresize(x, shape=(m, 2)), naive_imresize(x, (m, 2), (m / 60, 1)), 1e-13)


def test_pictures_of_several_strips_equal_their_parts():
    # Strips of work hold 2**17 values: 700 columns of 600 rows are several. Columns are independent
    # of each other when only the height changes, and rows when only the width does.
    x = np.random.default_rng(4).uniform(-1, 1, (600, 700))
    tall = imresize(x, (1.5, 1))
    assert_close(tall[:, 650:653], imresize(x[:, 650:653], (1.5, 1)), 1e-14)
    wide = imresize(x, (1, 1.5))
    assert_close(wide[590:], imresize(x[590:], (1, 1.5)), 1e-14)


# ------------------------------------------------------------------------------------- MATLAB


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["bird", "butterfly"])
def test_agrees_with_matlab(data_folder, name, scale):
    with np.load(data_folder("matlab_imresize") / f"{name}_x{scale}.npz") as matlab:
        original, low, bicubic = (matlab[key] for key in ("gt_y", "low_y", "bicubic_y"))
    assert_close(imresize(original, 1 / scale), low, 1e-9)
    assert_close(imresize(original, shape=low.shape), low, 1e-9)
    assert_close(imresize(low, scale), bicubic, 1e-9)
    # In float32: the input, the picture between the passes and the result are rounded.
    single = imresize(low.astype(np.float32), scale)
    assert single.dtype == np.float32
    assert_close(single, bicubic, 2 * EPS32 * 256)


def test_the_comparator_can_fail():
    x = np.random.default_rng(5).uniform(-1, 1, (6, 6))
    wanted = naive_imresize(x, (12, 12), (2, 2))
    assert_close(imresize(x, 2), wanted, 1e-13)
    for wrong in (1.01 * x, x.T, x[::-1]):
        with pytest.raises(AssertionError):
            assert_close(imresize(wrong, 2), wanted, 1e-3)
    with pytest.raises(AssertionError):
        assert_close(imresize(x, (2, 1)), naive_imresize(x, (6, 12), (1, 2)), 10)


# ------------------------------------------------------------------------------------- by hand


def test_enlarging_a_step_by_hand():
    # At x2 every output lies a quarter off a pixel; the kernel there is (-3, 29, 111, -9) / 128.
    step = np.array([[0, 0, 0, 128, 128, 128]], np.float64)
    wanted = np.array([[0, 0, 0, -3, -9, 26, 102, 137, 131, 128, 128, 128]], np.float64)
    assert_close(imresize(step, (1, 2)), wanted, 1e-12)
    assert_close(imresize(step.T, (2, 1)), wanted.T, 1e-12)


def test_shrinking_an_impulse_by_hand():
    # At x1/2 the same kernel, twice as wide: (-3, -9, 29, 111, 111, 29, -9, -3) / 256,
    # and output i lies between pixels 2i and 2i + 1: pixel 5 is 111 to output 2 and 29 to output 3.
    impulse = np.zeros((1, 12))
    impulse[0, 5] = 256
    assert_close(imresize(impulse, (1, 0.5)), np.array([[0, -9, 111, 29, -3, 0.0]]), 1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_clipped(dtype):
    top = np.iinfo(dtype).max
    step = np.array([[0, 0, 0, top, top, top]], dtype)
    out = imresize(step, (1, 2))
    assert out.dtype == dtype
    low, high = round(26 / 128 * top), round(102 / 128 * top)
    np.testing.assert_array_equal(out, [[0, 0, 0, 0, 0, low, high] + [top] * 5])


def test_integers_are_rounded_half_up_not_half_even():
    # 128 * 29 / 256 = 14.5 and 128 * 111 / 256 = 55.5 exactly (and -4.5 and -1.5, clipped).
    impulse = np.zeros((1, 12), np.uint8)
    impulse[0, 5] = 128
    np.testing.assert_array_equal(imresize(impulse, (1, 0.5)), [[0, 0, 56, 15, 0, 0]])


def test_integers_are_rounded_after_each_axis_smaller_scale_first():
    def naive_uint8(x, order):
        for axis in order:
            shape, scales = list(x.shape), [1.0, 1.0]
            shape[axis], scales[axis] = wanted_shape[axis], wanted_scales[axis]
            x = np.floor(np.clip(naive_imresize(x, shape, scales, (axis,)), 0, 255) + 0.5)
        return x

    x = np.random.default_rng(6).integers(0, 256, (9, 10)).astype(np.uint8)
    wanted_shape, wanted_scales = (18, 5), (2.0, 0.5)
    out = imresize(x, wanted_scales)
    np.testing.assert_array_equal(out, naive_uint8(x, (1, 0)))
    assert np.any(out != naive_uint8(x, (0, 1)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (11, 7), (50, 60)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_constant_stays_constant(shape, dtype):
    x = np.full((11, 7), 200, dtype)
    out = imresize(x, shape=shape)
    assert out.dtype == dtype
    tolerance = 200 * 1e-15 * 8 if dtype == np.float64 else 0  # narrower results are rounded to it
    assert_close(out, np.full(shape, 200.0), tolerance)


@pytest.mark.parametrize("scale", [3, 1.37, 0.7, 0.11, 0.01])
def test_weights_sum_to_one(scale):
    # Resizing the identity gives the weights themselves, one row an output sample.
    weights = imresize(np.eye(30), (scale, 1))
    assert_close(weights.sum(axis=1), np.ones(len(weights)), 1e-14)


def test_scale_one_is_an_exact_copy():
    x = np.random.default_rng(7).uniform(size=(5, 6)).astype(np.float32)
    out = imresize(x, 1)
    np.testing.assert_array_equal(out, x)
    assert not np.shares_memory(out, x)


def test_mirroring_the_picture_mirrors_the_result():
    x = np.random.default_rng(8).uniform(size=(9, 7))
    for scale in (3, 0.4):
        shape = imresize(x, scale).shape
        out = imresize(x[::-1, ::-1], shape=shape)
        assert_close(out, imresize(x, shape=shape)[::-1, ::-1], 1e-14)


def test_channels_are_resized_each_by_itself():
    x = np.random.default_rng(9).uniform(size=(7, 9, 4))
    for scale in (2.5, 0.3):
        out = imresize(x, scale)
        for c in range(4):
            assert_close(out[..., c], imresize(x[..., c], scale), 1e-15)


def test_memory_order_does_not_matter():
    x = np.random.default_rng(10).uniform(size=(7, 9, 3))
    wanted = imresize(x, 2)
    assert wanted.flags.c_contiguous
    np.testing.assert_array_equal(imresize(np.asfortranarray(x), 2), wanted)
    padded = np.zeros((14, 9, 3))
    padded[::2] = x
    np.testing.assert_array_equal(imresize(padded[::2], 2), wanted)


def test_float32_is_computed_in_float64_and_rounded_once_an_axis():
    x = np.random.default_rng(11).uniform(size=(300, 290)).astype(np.float32)
    for scale in (3, 1 / 50):
        # Half an ulp for each pass; the second sums values of weights whose moduli sum to < 1.6.
        tolerance = (1.6 + 1) * 0.5 * EPS32 * 1.25
        assert_close(imresize(x, scale), imresize(x.astype(np.float64), scale), tolerance)


def test_memory_is_bounded():
    x = np.zeros((700, 600), np.float32)
    tracemalloc.start()
    out = imresize(x, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Result, picture between the passes (a third of it), and a few strips of 1 MB.
    assert peak < out.nbytes * 4 / 3 + 6 * 2**20


# ------------------------------------------------------------------------------ size of the output


@pytest.mark.parametrize(
    "n, scale, wanted",
    [
        (3, 1 / 3, 1),
        (10, 1.1, 11),  # 11.000000000000002 in floating point
        (10, 0.3, 3),
        (49, 1 / 49, 1),
        (3, np.float32(1 / 3), 1),  # 1.00000003
        (10, 0.31, 4),
        (10, 0.001, 1),
        (7, 1.5, 11),
        (5, 2, 10),
    ],
)
def test_size_is_rounded_up_but_not_for_rounding_errors(n, scale, wanted):
    assert imresize(np.zeros((n, 2)), (scale, 1)).shape == (wanted, 2)
    assert imresize(np.zeros((2, n)), (1, scale)).shape == (2, wanted)


def test_scale_given_is_used_even_where_the_size_is_rounded_up():
    # 5 * 0.5 = 2.5 -> 3 pixels, two input pixels apart; shape=(.., 3) sets them 5/3 apart.
    ramp = np.arange(5.0)[None]
    by_scale, by_shape = imresize(ramp, (1, 0.5)), imresize(ramp, shape=(1, 3))
    assert_close(by_scale, np.array([naive_line(ramp[0], 3, 0.5)]), 1e-14)
    assert np.abs(by_scale - by_shape).max() > 0.1


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("dtype", [bool, np.complex128, object, np.int32, np.int8])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="wanted floating point, uint8 or uint16"):
        imresize(np.zeros((4, 4), dtype), 2)


@pytest.mark.parametrize("size", [(), (4,), (1, 4, 4, 1)])
def test_other_dimensions_are_refused(size):
    with pytest.raises(ValueError, match=r"wanted \(H, W\) or \(H, W, C\)"):
        imresize(np.zeros(size), 2)


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (4, 4, 0)])
def test_no_pixels_are_refused(size):
    with pytest.raises(ValueError, match="no pixels"):
        imresize(np.zeros(size), 2)


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf, (2, 0), 1e-9])
def test_bad_scales_are_refused(scale):
    with pytest.raises(ValueError, match="wanted a finite number from 1e-6 up"):
        imresize(np.zeros((4, 4)), scale)


@pytest.mark.parametrize("scale", ["2", (2,), (2, 2, 1), (2, "2"), 2j])
def test_scales_that_are_no_numbers_are_refused(scale):
    with pytest.raises(TypeError, match="wanted a number or a pair of numbers"):
        imresize(np.zeros((4, 4)), scale)


@pytest.mark.parametrize("shape", [(0, 4), (4, -1)])
def test_empty_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="at least 1 pixel a side"):
        imresize(np.zeros((4, 4)), shape=shape)


@pytest.mark.parametrize("shape", [4, (4.0, 4), (4,), (4, 4, 3), "44"])
def test_shapes_that_are_no_pairs_of_ints_are_refused(shape):
    with pytest.raises(TypeError, match="wanted a pair of ints"):
        imresize(np.zeros((4, 4)), shape=shape)


def test_exactly_one_of_scale_and_shape():
    with pytest.raises(ValueError, match="neither of scale and shape"):
        imresize(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="both of scale and shape"):
        imresize(np.zeros((4, 4)), 2, (8, 8))
