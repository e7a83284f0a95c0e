"""The "same" convolutions of `kernels` on maps in their own layout, against the reference."""

import gc
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from rungs import JIT, compiled_only

from pysrcnn import kernels, reference
from pysrcnn.kernels import few
from pysrcnn.kernels.maps import Maps
from pysrcnn.kernels.memory import Pool

# (N, C, O, H, W): no multiples of a tile, of lanes or of blocks; blocks across samples; one pixel.
SHAPES = [(2, 20, 37, 13, 10), (1, 1, 48, 9, 30), (3, 5, 3, 8, 8), (5, 16, 64, 4, 4),
          (1, 3, 1, 1, 1), (1, 64, 130, 5, 7)]  # fmt: skip
# As networks begin and end: one channel, two or three; one filter, two, three or nine.
FEW = [(2, 1, 64, 9, 30), (2, 2, 64, 5, 6), (1, 3, 48, 6, 7), (2, 64, 1, 9, 30), (3, 48, 2, 5, 4),
       (1, 64, 3, 7, 5), (1, 48, 9, 6, 6), (1, 1, 1, 5, 6)]  # fmt: skip


def case(shape, f=3):
    """x, w, b, dout in float32, and the same in float64."""
    n, c, o, height, width = shape
    rng = np.random.default_rng(sum(shape))
    x = rng.standard_normal((n, c, height, width))
    w = rng.standard_normal((o, c, f, f)) / np.sqrt(c * f * f)
    arrays = x, w, rng.standard_normal(o), rng.standard_normal((n, o, height, width))
    exact = [a.astype(np.float32).astype(np.float64) for a in arrays]
    return [a.astype(np.float32) for a in exact], exact


def near(ours, want, size=None):
    """Within what the transforms add to rounding: 1e-5 of the largest value of either."""
    return np.abs(ours - want).max() <= 1e-5 * max(np.abs(want).max(), size or 0, 1)


@pytest.mark.parametrize(
    "shape, f", [*((s, f) for s in SHAPES for f in (3, 1)), *((s, 3) for s in FEW)]
)  # that by 1 x 1 goes through arrays
def test_convolutions_on_maps(shape, f):
    (x, w, b, dout), exact = case(shape, f)
    maps, summand = kernels.enter(x), kernels.enter(dout)
    assert isinstance(maps, Maps) and np.array_equal(kernels.leave(maps), x)
    same, want = kernels.conv2d_same(maps, w, b, summand), reference.conv2d_same(*exact)
    assert isinstance(same, Maps) and near(kernels.leave(same), want)
    assert near(kernels.leave(kernels.conv2d_same(maps, w, b)), want - exact[3])

    out, wanted = kernels.conv_relu(maps, w, b), reference.conv_relu(*exact[:3])
    assert near(kernels.leave(out), wanted)
    # Where ours rounds to the other side of 0, all that goes back there differs.
    gate = kernels.leave(out)
    for ours, theirs in (
        (
            kernels.conv2d_same_backward(summand, maps, w),
            reference.conv2d_same_backward(exact[3], exact[0], exact[1]),
        ),
        (
            kernels.conv_relu_backward(summand, out, maps, w),
            reference.conv_relu_backward(exact[3], gate, exact[0], exact[1]),
        ),
    ):
        assert ours[1].shape == w.shape and ours[2].shape == b.shape
        for a, e in zip(ours, theirs, strict=True):
            assert near(kernels.leave(a), e)


@pytest.mark.parametrize("s", [2, 3])
@pytest.mark.parametrize("shape, f", [*((SHAPES[k], f) for k in (0, 1, 4) for f in (3, 5)),
                                      (SHAPES[2], 1), (SHAPES[2], 7)])  # fmt: skip
def test_convolutions_with_a_stride_on_maps(shape, f, s):
    """Of odd and even sizes."""
    (x, w, b, dout), exact = case(shape, f)
    d = dout[:, :, ::s, ::s]
    for a in (x, d):  # memory of others, in which padding channels are not zero
        held = kernels.enter(a)
        height, width = held.sides
        held.data[:, 1 : height + 1, 1 : width + 1, a.shape[1] :] = np.nan
        del held
    maps, back = kernels.enter(x), kernels.enter(d)
    out = kernels.conv2d_strided(maps, w, b, s)
    assert isinstance(out, Maps) and out.shape == d.shape
    assert near(kernels.leave(out), reference.conv2d_strided(*exact[:3], s))
    wanted = reference.conv2d_strided_backward(exact[3][:, :, ::s, ::s], *exact[:2], s)
    for ours, want in zip(kernels.conv2d_strided_backward(back, maps, w, s), wanted, strict=True):
        assert ours.shape == want.shape and near(kernels.leave(ours), want)
    assert np.array_equal(kernels.leave(maps), x) and np.array_equal(kernels.leave(back), d)


def test_direct_sums_for_few_channels_or_filters():
    """And only where the lanes of the sum are all channels: others may be NaN."""
    wide, narrow = few.CHANNELS * 4, few.CHANNELS * 4 - 1
    assert few.form(1, 64, False) == few.FROM_FEW and few.form(64, 1, True) == few.TO_FEW
    assert few.form(wide, 1, False) == few.TO_FEW and few.form(narrow, 1, False) == few.WINOGRAD
    for channels, filters, gated in (
        (64, 64, False),
        (3, 64, False),
        (64, 9, False),
        (1, 64, True),
    ):
        assert few.form(channels, filters, gated) == few.WINOGRAD


@pytest.mark.parametrize("shape", [SHAPES[0], (1, 1, 64, 5, 6), (1, 64, 1, 5, 6)])
def test_what_is_no_pixel_stays_zero(shape):
    """Or the next layer would see it."""
    (x, w, b, dout), _ = case(shape)
    whole = kernels.conv2d_same(kernels.enter(x), w, b, kernels.enter(dout))
    for out in whole, kernels.conv2d_strided(kernels.enter(x), w, b, 2):
        inside = np.zeros(out.data.shape, bool)
        height, width = out.sides
        inside[:, 1 : height + 1, 1 : width + 1, : out.shape[1]] = True
        assert (out.data[inside] != 0).all() and not out.data[~inside].any()


def test_sums_and_multiples_of_maps():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 2, 5, 6, 7)).astype(np.float32)
    x, y = kernels.enter(a), kernels.enter(b)
    assert np.array_equal(kernels.leave(x + y), a + b)
    assert np.array_equal(kernels.leave(sum([x, y])), a + b)
    for factor in (0.5, np.float32(0.3), np.float64(0.3)):
        assert np.array_equal(kernels.leave(factor * x), np.float32(factor) * a)
        assert np.array_equal(kernels.leave(x * factor), np.float32(factor) * a)


def test_maps_that_do_not_fit_are_not_added():
    x = np.zeros((1, 2, 4, 4), np.float32)
    with pytest.raises(ValueError, match="cannot be added"):
        kernels.enter(x) + kernels.enter(x[:, :1])


@pytest.mark.parametrize("factor", [np.nan, np.inf])
def test_memory_of_a_diverged_network_harms_no_other(factor):
    """Maps that are gone leave it to the next, which takes what lies around pixels to be zero."""
    x = np.ones((1, 3, 6, 5), np.float32)
    w, b = np.ones((3, 3, 3, 3), np.float32), np.zeros(3, np.float32)
    wanted = kernels.leave(kernels.conv2d_same(kernels.enter(x), w, b))
    for _ in range(4):  # of each shape some are kept
        bad = kernels.enter(x) * factor
        bad = bad + kernels.conv2d_same(bad, w, b)
        del bad
    for _ in range(6):
        held = kernels.enter(x)
        assert np.array_equal(kernels.leave(kernels.conv2d_same(held, w, b)), wanted)


def test_strided_convolutions_of_arrays_and_maps_together():
    """In any mixture, and of weights that are not float32."""
    (x, w, b, _), _ = case(SHAPES[0], 3)
    wanted = kernels.conv2d_strided(x, w, b, 2)
    dout = np.ones_like(wanted)
    maps, d = kernels.enter(x), kernels.enter(dout)
    assert near(kernels.leave(kernels.conv2d_strided(maps, w.astype(float), b, 2)), wanted)
    back = kernels.conv2d_strided_backward(dout, x, w, 2)
    for first, second in ((d, x), (dout, maps), (d, maps)):
        for a, e in zip(kernels.conv2d_strided_backward(first, second, w, 2), back, strict=True):
            assert near(kernels.leave(a), e)


def test_relu_of_arrays_and_maps_together():
    dout, x = np.random.default_rng(7).standard_normal((2, 2, 3, 5, 6)).astype(np.float32)
    d, maps = kernels.enter(dout), kernels.enter(x)
    assert isinstance(kernels.relu(maps), Maps)
    assert np.array_equal(kernels.leave(kernels.relu(maps)), kernels.relu(x))
    for first, second in ((d, x), (dout, maps), (d, maps)):
        back = kernels.relu_backward(first, second)
        assert np.array_equal(kernels.leave(back), kernels.relu_backward(dout, x))


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_operations_on_numbers_take_maps(name):
    x = np.random.default_rng(4).standard_normal((2, 4, 5, 6)).astype(np.float32)
    ours = getattr(kernels, name)(kernels.enter(x))
    assert isinstance(ours, Maps) and np.array_equal(kernels.leave(ours), getattr(kernels, name)(x))


def test_memory_that_is_kept_for_other_maps_is_limited(monkeypatch):
    """What was given back first goes first."""
    pool = Pool()
    monkeypatch.setattr(pool, "KEPT", 5000)
    small, large = [np.zeros(100 + k, np.float32) for k in range(8)], np.zeros(900, np.float32)
    for data in small:
        pool.give(data.shape, data)
    pool.give(large.shape, large)
    held = [data for some in pool.free.values() for data in some]
    assert pool.size == sum(data.nbytes for data in held) <= pool.KEPT
    assert held[-1] is large and held[0] is small[-len(held) + 1] and len(held) > 2
    pool.give((2000,), np.zeros(2000, np.float32))  # more than all
    assert pool.size <= pool.KEPT and pool.take(large.shape, large.nbytes) is large


def test_memory_of_others_makes_room(monkeypatch):
    """What is kept and what is in use are limited together."""
    pool = Pool()
    monkeypatch.setattr(pool, "MOST", 1000)
    assert pool.take("large", 600) is None and pool.take("small", 100) is None
    pool.give("small", np.zeros(100, np.uint8))
    assert pool.size == 100 and pool.used == 600
    assert pool.take("other", 200) is None and pool.size == 100
    assert pool.take("more", 200) is None and pool.size == 0 and pool.used == 1000
    pool.give("large", np.zeros(600, np.uint8))
    assert pool.take("large", 600).size == 600 and pool.used == 1000


@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3, 20])
def test_shuffles_of_maps(s, channels):
    """Also into memory of others; what is no pixel stays zero. Few channels become an array."""
    x = np.random.default_rng(6).standard_normal((2, channels * s * s, 5, 7)).astype(np.float32)
    large = kernels.pixel_shuffle(x, s)
    for _ in range(2):
        ours = kernels.pixel_shuffle(kernels.enter(x), s)
        assert isinstance(ours, Maps) == (s == 1 or channels == 20)
        assert np.array_equal(kernels.leave(ours), large)
        ours = kernels.enter(ours)
        assert ours.data.sum(dtype=float) == pytest.approx(large.sum(dtype=float))
        back = kernels.pixel_shuffle_backward(ours, s)
        assert isinstance(back, Maps) and np.array_equal(kernels.leave(back), x)
        assert back.data.sum(dtype=float) == pytest.approx(x.sum(dtype=float))


def test_maps_of_nothing_and_of_what_is_read_only():
    """A network may be given an array that belongs to somebody else."""
    for shape in (1, 1, 4, 0), (1, 0, 4, 4):
        assert kernels.leave(kernels.enter(np.zeros(shape, np.float32))).shape == shape
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    x.flags.writeable = False
    assert np.array_equal(kernels.leave(kernels.enter(x)), x)


def test_float64_stays_as_it_is():
    """It is for checking gradients, by the plain sum."""
    x = np.random.default_rng(5).standard_normal((1, 2, 4, 4))
    assert kernels.enter(x) is x and kernels.leave(x) is x
    single = x.astype(np.float32)
    assert kernels.direct.enter(single) is single


@compiled_only
@pytest.mark.parametrize("shape", [(3, 40, 48, 26, 30), (3, 1, 48, 26, 30), (3, 48, 1, 26, 30)])
def test_the_same_bits_for_any_number_of_threads(shape):
    (x, w, b, dout), _ = case(shape)
    found = []
    for threads in (1, 2, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        maps, d = kernels.enter(x), kernels.enter(dout)
        out = kernels.conv_relu(maps, w, b)
        back = kernels.conv_relu_backward(d, out, maps, w)
        strided = kernels.conv2d_strided(maps, w, b, 2)
        back += kernels.conv2d_strided_backward(strided, maps, w, 2)
        found.append([kernels.leave(a) for a in (out, strided, *back)])
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("shape", [(3, 20, 17, 9, 10), (3, 1, 17, 9, 10), (3, 48, 1, 9, 10)])
def test_a_sample_has_the_same_bits_alone(shape):
    """Tiles of several samples are worked on together, but none has a part in another."""
    (x, w, b, _), _ = case(shape)
    whole = kernels.leave(kernels.conv_relu(kernels.enter(x), w, b))
    alone = kernels.leave(kernels.conv_relu(kernels.enter(x[1:2]), w, b))
    assert np.array_equal(whole[1:2], alone)


@pytest.mark.parametrize("change", ["w", "b", "summand", "dout", "out"])
def test_what_does_not_fit_is_refused(change):
    (x, w, b, dout), _ = case((1, 2, 3, 5, 6))
    maps, d = kernels.enter(x), kernels.enter(dout)
    wrong = kernels.enter(dout[:, :, :4])
    with pytest.raises(ValueError, match="shape|channels"):
        if change == "w":
            kernels.conv_relu(maps, w[:, :1], b)
        elif change == "b":
            kernels.conv2d_same(maps, w, b[:2])
        elif change == "summand":
            kernels.conv2d_same(maps, w, b, wrong)
        elif change == "dout":
            kernels.conv2d_same_backward(wrong, maps, w)
        else:
            kernels.conv_relu_backward(d, wrong, maps, w)


@pytest.mark.parametrize("shape", [(1, 1, 64, 8, 12), (1, 64, 1, 8, 12)])
def test_relu_lets_nan_through(shape):
    (x, w, b, _), _ = case(shape)
    x[0, 0, 3, 9] = np.nan
    out = np.isnan(kernels.leave(kernels.conv_relu(kernels.enter(x), w, b)))
    reached = np.zeros(out.shape, bool)
    reached[:, :, 2:5, 8:11] = True
    assert np.array_equal(out, reached)


def test_nan_reaches_as_far_as_the_filters():
    (x, w, b, _), _ = case((1, 3, 4, 20, 20))
    x[0, 1, 9, 9] = np.nan
    out = np.isnan(kernels.leave(kernels.conv_relu(kernels.enter(x), w, b)))
    assert out[0, :, 8:11, 8:11].all() and not out[0, :, :4].any() and not out[0, :, :, 16:].any()
    assert JIT or out.any()


def test_a_sum_of_products_is_of_pixels_and_channels_alone():
    """Memory that maps use again may hold NaN where there is neither."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 2, 3, 5, 6)).astype(np.float32)
    maps = kernels.enter(a), kernels.enter(b)
    if type(maps[0]) is not np.ndarray:
        for x in maps:
            x.data[:, :, :, 3:] = np.nan
            x.data[:, 0] = np.nan
    wanted = np.sum(a.astype(np.float64) * b)
    for x, y in (maps, (maps[0], b), (a, maps[1]), (a, b)):
        assert kernels.dot(x, y) == pytest.approx(wanted, rel=1e-5)


def test_arrays_go_with_maps():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((2, 1, 16, 5, 6)).astype(np.float32)
    w, b = rng.standard_normal((16, 16, 3, 3)).astype(np.float32), np.zeros(16, np.float32)
    maps = kernels.enter(x)
    wanted = kernels.leave(kernels.conv2d_same(maps, w, b, kernels.enter(y)))
    assert np.array_equal(kernels.leave(kernels.conv2d_same(maps, w, b, y)), wanted)
    theirs = kernels.conv_relu_backward(kernels.enter(y), maps, maps, w)
    ours = kernels.conv_relu_backward(y, x, maps, w)
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(kernels.leave(one), kernels.leave(other))
    with pytest.raises(TypeError, match="operand"):
        maps + y


def test_no_memory_for_maps_is_only_that(recwarn):
    with pytest.raises(MemoryError):
        Maps((1, 1, 10**7, 10**7))
    gc.collect()
    assert not recwarn.list


_BITS = """
import hashlib
import numpy as np
from pysrcnn import kernels

rng = np.random.default_rng(0)
x = rng.standard_normal((2, 64, 13, 9)).astype(np.float32)
for shape in (1, 64, 3, 3), (20, 64, 3, 3):
    w = rng.standard_normal(shape).astype(np.float32)
    maps = kernels.enter(x)
    out = kernels.conv2d_same(maps, w, np.zeros(shape[0], np.float32))
    for array in out, *kernels.conv2d_same_backward(out, maps, w):
        print(hashlib.md5(np.ascontiguousarray(kernels.leave(array)).tobytes()).hexdigest())
"""


@pytest.mark.slow
@compiled_only
def test_a_process_that_compiles_has_the_bits_of_one_that_loads(tmp_path):
    """Of a function there may be several copies then, each compiled with other code around it."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    compiles, loads = (
        subprocess.run([sys.executable, "-c", _BITS], env=environment, check=True,
                       stdout=subprocess.PIPE, text=True).stdout
        for _ in range(2)
    )  # fmt: skip
    assert compiles.count("\n") == 8 and compiles == loads
