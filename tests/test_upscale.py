"""Pictures enlarged: kinds, colour, transparency, clipping, bands; against bicubic interpolation.

Most tests use a network that hands its input on unchanged, so that the result must be the bicubic
enlargement, which `imresize` computes in float64. Tolerances: the way there is computed in float32
on values of about 1 (the network's biases included), some 20 roundings for grey and four times as
much after the two colour matrices, whose entries go up to 2.
"""

import importlib
import inspect
import itertools
import typing

import numpy as np
import pytest
from rungs import JIT

from pysrcnn import SRCNN, imresize, load, upscale, upscale_frames
from pysrcnn.color import rgb_to_ycbcr, ycbcr_to_rgb
from pysrcnn.data import pair
from pysrcnn.evaluate import evaluate, score
from pysrcnn.networks import VDSR, Chain, shipped
from pysrcnn.pictures import write_picture
from pysrcnn.upscaling.alpha import spread
from pysrcnn.upscaling.scales import Networks

EPS32 = float(np.finfo(np.float32).eps)
GREY, COLOUR = 20 * EPS32, 80 * EPS32
KINDS = [np.uint8, np.uint16, np.float32, np.float64]
PEAK = {np.uint8: 255, np.uint16: 65535, np.float32: 1, np.float64: 1}


def linear(gain=1.0, offset=0.0, c=1, scale=None, sizes=(3, 1, 3)):
    """A network that computes gain x + offset, pixel by pixel.

    The first layer adds 1, so that ReLU lets pass what bicubic interpolation puts below 0.
    """
    filters = tuple(range(c + 2, c + len(sizes) + 1))
    network = SRCNN.from_stack(sizes, filters, c)
    for k, f in enumerate(sizes, 1):
        w = network.parameters[f"W{k}"]
        w[...] = 0
        for channel in range(c):
            w[channel, channel, f // 2, f // 2] = gain if k == len(sizes) else 1
    network.parameters["B1"][:] = 1
    network.parameters[f"B{len(sizes)}"][:] = offset - gain
    network.scale = scale
    return network


def picture_of(kind, shape, seed=0, low=0.0, high=1.0):
    values = np.random.default_rng(seed).uniform(low, high, shape) * PEAK[kind]
    return (np.round(values) if PEAK[kind] > 1 else values).astype(kind)


def bicubic(picture, scale):
    """The float64 enlargement, in 0..1 but for what bicubic interpolation overshoots."""
    return imresize(picture.astype(np.float64) / PEAK[picture.dtype.type], scale)


def assert_rounded(result, exact, kind, tolerance):
    """`result` is `exact`, clipped to 0..1, in the values of `kind`: as near as rounding allows."""
    assert result.dtype == kind
    assert result.shape == exact.shape, f"{result.shape} instead of {exact.shape}"
    peak = PEAK[kind]
    allowed = tolerance * peak + (0.5 if peak > 1 else 0)
    worst = np.abs(result.astype(np.float64) - peak * np.clip(exact, 0, 1)).max()
    assert worst <= allowed, f"off by {worst}, allowed {allowed}"


def test_comparator_sees_an_error_of_one_percent_and_swapped_axes():
    exact = np.random.default_rng(0).uniform(0.2, 0.8, (9, 9))
    for kind in KINDS:
        right = (exact * PEAK[kind] + (0.5 if PEAK[kind] > 1 else 0)).astype(kind)
        assert_rounded(right, exact, kind, GREY)
        wrong = (right * 1.01 + (0.5 if PEAK[kind] > 1 else 0)).astype(kind)
        for bad in (wrong, right.T, right[::-1]):
            with pytest.raises(AssertionError):
                assert_rounded(bad, exact, kind, COLOUR)


# --------------------------------------------------------------------- kinds, against bicubic alone


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(7, 10), (7, 10, 3), (7, 10, 4), (7, 10, 2)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_kinds_of_pictures(kind, shape, scale):
    picture = picture_of(kind, shape)
    before = picture.copy()
    result = upscale(picture, scale, linear(scale=scale))
    assert result.dtype == picture.dtype
    assert result.shape == (7 * scale, 10 * scale, *shape[2:])
    assert 0 <= result.min() < 0.1 * PEAK[kind]
    assert 0.9 * PEAK[kind] < result.max() <= PEAK[kind]
    assert np.array_equal(picture, before), "the input was changed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (7, 10), (33, 31)])
def test_grey_is_bicubic_with_an_identity_network(kind, shape, c):
    picture = picture_of(kind, shape)
    for scale in (2, 3, 4):
        result = upscale(picture, scale, linear(c=c, scale=scale))
        assert_rounded(result, bicubic(picture, scale), kind, GREY)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (8, 11, 3), (8, 11, 4)])
def test_colour_is_bicubic_in_ycbcr_with_an_identity_network(kind, shape):
    # The matrices are linear: as long as nothing is clipped, bicubic in YCbCr is bicubic in RGB.
    # Both are compared with, so that neither conversion nor its inverse is only tested by itself.
    picture = picture_of(kind, shape, low=0.3, high=0.7)
    result = upscale(picture, 3, linear(scale=3))
    unit = picture[..., :3].astype(np.float64) / PEAK[kind]
    by_ycbcr = ycbcr_to_rgb(imresize(rgb_to_ycbcr(unit), 3))
    assert np.abs(by_ycbcr - bicubic(picture[..., :3], 3)).max() < 1e-12
    assert_rounded(result[..., :3], by_ycbcr, kind, COLOUR)


@pytest.mark.parametrize("kind", KINDS)
def test_an_rgb_network_takes_all_three_channels(kind):
    picture = picture_of(kind, (8, 11, 3))
    result = upscale(picture, 2, linear(0.5, 0.25, c=3, scale=2))
    assert_rounded(result, 0.5 * bicubic(picture, 2) + 0.25, kind, GREY)


@pytest.mark.parametrize("kind", KINDS)
def test_a_luminance_network_changes_y_alone(kind):
    picture = picture_of(kind, (8, 11, 3), low=0.4, high=0.6)
    result = upscale(picture, 2, linear(0.5, 0.25, scale=2))
    ycbcr = imresize(rgb_to_ycbcr(picture.astype(np.float64) / PEAK[kind]), 2)
    ycbcr[..., 0] = 0.5 * ycbcr[..., 0] + 0.25
    assert_rounded(result, ycbcr_to_rgb(ycbcr), kind, COLOUR)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [1, 3])
def test_transparency_is_bicubic(kind, c):
    picture = picture_of(kind, (8, 11, 4))
    result = upscale(picture, 3, linear(0.2, 0.4, c=c, scale=3))
    assert_rounded(result[..., 3], bicubic(picture[..., 3], 3), kind, GREY)
    opaque = picture.copy()
    opaque[..., 3] = PEAK[kind]
    result = upscale(opaque, 3, linear(0.2, 0.4, c=c, scale=3))
    assert result[..., 3].min() >= PEAK[kind] * (1 - 20 * EPS32)
    # Colour does not depend on it.
    assert np.array_equal(result[..., :3], upscale(picture[..., :3], 3, linear(0.2, 0.4, c, 3)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [1, 3])
def test_grey_with_transparency_is_grey_and_bicubic_transparency(kind, c):
    picture = picture_of(kind, (8, 11, 2), low=0.1)
    result = upscale(picture, 3, linear(c=c, scale=3))
    for channel in range(2):
        assert_rounded(result[..., channel], bicubic(picture[..., channel], 3), kind, GREY)
    alone = upscale(np.array(picture[..., 0]), 3, trained_like(c=c))
    assert np.array_equal(upscale(picture, 3, trained_like(c=c))[..., 0], alone)


def disc(kind, size=40):
    """A red disc, opaque or less at its edge, on green that nobody sees."""
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    alpha = np.clip(size / 4 - np.hypot(y, x), 0, 1) * PEAK[kind]
    picture = np.zeros((size, size, 4), kind)
    picture[..., 0] = np.where(alpha.astype(kind) > 0, PEAK[kind], 0)
    picture[..., 1] = PEAK[kind] - picture[..., 0]
    picture[..., 3] = alpha
    return picture


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_what_is_transparent_does_not_bleed_into_edges(kind, scale):
    picture = disc(kind)
    for name in ("9-1-5", "9-5-5"):
        result = upscale(picture, scale, name).astype(np.float64) / PEAK[kind]
        seen = result[..., 3] > 0
        assert 0.15 < seen.mean() < 0.25, "the test tests nothing"
        assert result[..., 1][seen].max() < 0.02 and result[..., 2][seen].max() < 0.02
        assert result[..., 0][seen].min() > 0.98
    grey = np.stack([PEAK[kind] - picture[..., 1], picture[..., 3]], axis=2)
    result = upscale(grey, scale, "9-1-5").astype(np.float64) / PEAK[kind]
    assert result[..., 0][result[..., 1] > 0].min() > 0.98


def test_without_spreading_the_green_would_bleed():
    result = upscale(disc(np.uint8)[..., :3], 3, "9-1-5")  # the comparator of the test above
    alpha = upscale(disc(np.uint8), 3, "9-1-5")[..., 3]
    assert result[..., 1][alpha > 0].max() > 100


def test_spreading_reaches_as_far_as_asked_and_changes_nothing_visible():
    picture = np.zeros((11, 13, 4), np.uint8)
    picture[...] = 9, 8, 7, 0
    picture[5, 6] = 200, 100, 50, 1
    for reach in (1, 3):
        result = spread(picture, reach)
        square = np.zeros((11, 13), bool)
        square[5 - reach : 6 + reach, 6 - reach : 7 + reach] = True
        assert (result[square][:, :3] == (200, 100, 50)).all()
        assert (result[~square][:, :3] == (9, 8, 7)).all()
        assert np.array_equal(result[..., 3], picture[..., 3])
    picture[5, 8] = 100, 100, 51, 255
    assert tuple(spread(picture, 1)[5, 7]) == (150, 100, 51, 0)  # the mean, half rounded up
    for nothing in (picture[:3, :3], np.full((3, 3, 2), 255, np.uint8)):
        assert spread(nothing, 5) is nothing


@pytest.mark.parametrize("channels", [2, 4])
def test_bands_leave_no_seams_beside_transparency(monkeypatch, channels):
    picture = picture_of(np.uint8, (40, 31, channels))
    picture[..., -1] *= np.random.default_rng(3).random((40, 31)) > 0.97
    network = trained_like()
    whole = upscale(picture, 2, network)
    monkeypatch.setattr(importlib.import_module("pysrcnn.upscaling.steps"), "BAND", 1)
    banded = upscale(picture, 2, network)
    assert np.array_equal(banded, whole) or not JIT


@pytest.mark.parametrize("kind", KINDS)
def test_grey_given_as_rgb_stays_grey(kind):
    grey = picture_of(kind, (12, 9))
    result = upscale(np.repeat(grey[..., None], 3, axis=2), 3, linear(1.5, -0.25, scale=3))
    result = result.astype(np.float64)
    spread = (result.max(axis=2) - result.min(axis=2)).max()
    assert spread <= (1 if PEAK[kind] > 1 else COLOUR)


def test_the_picture_goes_to_the_network_enlarged_and_in_0_to_1():
    seen = []

    class Spy(SRCNN):
        def forward(self, x, padding="replicate"):
            seen.append((x.shape, x.dtype, float(x.min()), float(x.max()), padding))
            return super().forward(x, padding)

    network = Spy(1, 1, 1, 1, 1)
    for kind in KINDS:
        upscale(np.full((5, 4), PEAK[kind], kind), 3, network)
        shape, dtype, smallest, largest, padding = seen.pop()
        assert (shape, dtype, padding) == ((1, 1, 15, 12), np.float32, "replicate")
        white = pytest.approx(235 / 255, abs=GREY)  # that of Y
        assert smallest == white and largest == white
    upscale(np.full((5, 4, 3), 255, np.uint8), 2, network)
    assert seen.pop()[3] == white
    assert not seen


# ---------------------------------------------------------------------------------------- clipping


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(10, 12), (10, 12, 3)])
def test_values_are_clipped_before_the_cast(kind, shape):
    board = np.indices(shape[:2]).sum(axis=0) % 2 * PEAK[kind]
    picture = np.broadcast_to(board.reshape(*shape[:2], *[1] * (len(shape) - 2)), shape)
    result = upscale(picture.astype(kind), 2, linear(4, -1.5, scale=2))  # from -1.5 to 2.5
    if len(shape) == 2:
        exact = 4 * imresize(board / PEAK[kind], 2) - 1.5
    else:
        ycbcr = imresize(rgb_to_ycbcr(picture / PEAK[kind]), 2)
        ycbcr[..., 0] = 4 * ycbcr[..., 0] - 1.5
        exact = ycbcr_to_rgb(ycbcr)
    assert exact.min() < -0.5 and exact.max() > 1.5, "the test tests nothing"
    assert_rounded(result, exact, kind, 4 * COLOUR)
    assert result.min() == 0 and result.max() == PEAK[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3), (6, 8, 4)])
def test_black_stays_black_and_white_stays_white(kind, shape):
    for value in (0, PEAK[kind]):
        result = upscale(np.full(shape, value, kind), 2, linear(scale=2)).astype(np.float64)
        assert np.abs(result - value).max() <= (0 if PEAK[kind] < 65535 and PEAK[kind] > 1 else 1)
        assert np.abs(result - value).max() <= COLOUR * PEAK[kind]


# Levels of 255 that weights are off at the edges of a grey, black or white picture, and inside it:
# others than these, whose training was short, by 1 and 0.5.
INSIDE = {"srgan": 2, "srresnet-s": 0.75, "vespcn": 0.75}
EDGES = {"srgan": 5, "srresnet-s": 4, "vespcn": 13}


@pytest.mark.parametrize("name, scale", shipped())
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_shipped_weights_keep_grey(name, scale, shape):
    result = upscale(np.full(shape, 128, np.uint8), scale, load(name, scale)).astype(int)
    assert np.abs(result - 128).max() <= EDGES.get(name, 1)
    if len(shape) == 3:
        assert np.ptp(result, axis=2).max() <= EDGES.get(name, 1)


COMPILED = pytest.mark.skipif(not JIT, reason="so many pictures take compiled code")
TRAINED = [which for which in shipped() if isinstance(load(*which), Chain)]
DEEP = [which for which in shipped() if which not in [*TRAINED, ("sc", 3)]]


@COMPILED
@pytest.mark.parametrize("name, scale", [*TRAINED, ("9-5-5", 6), ("9-1-5", 1.5)])
@pytest.mark.parametrize("kind", KINDS)
def test_shipped_weights_keep_black_and_white(name, scale, kind):
    whole = PEAK[kind] > 1
    shapes = [(9, 8), (9, 8, 2), (9, 8, 3), (9, 8, 4)]
    for shape, value in itertools.product(shapes, (0, PEAK[kind])):
        result = upscale(np.full(shape, value, kind), scale, name).astype(np.float64)
        assert np.abs(result - value).max() <= (0 if whole else COLOUR), (shape, value)


@COMPILED
@pytest.mark.parametrize("name, scale", DEEP)
def test_deep_networks_nearly_keep_black_and_white(name, scale):
    """Only chains of layers keep them exactly."""
    for value in (0, 255):
        off = np.abs(255 * upscale(np.full((40, 41), value / 255), scale, name) - value)
        inner = off[10 * scale : -10 * scale, 10 * scale : -10 * scale]
        assert off.max() < EDGES.get(name, 1) and inner.size > 0
        assert inner.max() < INSIDE.get(name, 0.5)
        whole = upscale(np.full((40, 41, 3), value, np.uint8), scale, name)
        assert np.abs(whole.astype(int) - value).max() <= EDGES.get(name, 1)


@COMPILED
@pytest.mark.parametrize("name, scale", TRAINED)
def test_bars_beside_a_picture_stay_black_or_white(name, scale):
    for value in (0, 65535):
        picture = np.full((20, 44, 3), value, np.uint16)
        picture[:, 14:30] = picture_of(np.uint16, (20, 16, 3))
        result = upscale(picture, scale, name)
        bars = result[:, : 4 * scale], result[:, -4 * scale :]
        assert all((bar == value).all() for bar in bars)


# --------------------------------------------------------------- views, bands, the same every time


def trained_like(seed=1, sizes=(5, 1, 3), filters=(10, 9), c=1):
    """A network in which every pixel matters: random weights, nearly the identity."""
    network = SRCNN.from_stack(sizes, filters, c, init="identity", seed=seed)
    for k in range(1, len(sizes) + 1):
        network.parameters[f"W{k}"] += np.float32(0.01)
    return network


VIEWS = {
    "upside down": lambda x: x[::-1],
    "mirrored": lambda x: x[:, ::-1],
    "every other pixel": lambda x: x[::2, 1::2],
    "turned": lambda x: x.swapaxes(0, 1),
    "Fortran order": np.asfortranarray,
    "a detail": lambda x: x[3:11, 2:9],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(14, 12), (14, 12, 3), (14, 12, 4)])
def test_views_are_the_same_as_copies(view, shape):
    for kind in KINDS:
        x = VIEWS[view](picture_of(kind, shape))
        copy = np.array(x, order="C")
        network = trained_like()
        assert np.array_equal(upscale(x, 2, network), upscale(copy, 2, network))


def test_channels_last_in_memory_or_not():
    planes = picture_of(np.uint8, (4, 9, 8))
    views = planes[:3].transpose(1, 2, 0), planes.transpose(1, 2, 0)[..., ::-1]
    for x in views:
        copy = np.array(x, order="C")
        assert np.array_equal(upscale(x, 2, trained_like()), upscale(copy, 2, trained_like()))


def test_a_picture_that_may_not_be_written_to():
    picture = picture_of(np.uint8, (6, 7, 3))
    picture.flags.writeable = False
    assert upscale(picture, 2, trained_like()).shape == (12, 14, 3)


@pytest.mark.parametrize(
    "shape", [(23, 9), (23, 9, 3), (23, 9, 4), (23, 9, 2), (1, 20, 3), (20, 1)]
)
@pytest.mark.parametrize("c", [1, 3])
def test_bands_leave_no_seams(monkeypatch, shape, c):
    picture, network = picture_of(np.float32, shape), trained_like(c=c)
    whole = upscale(picture, 3, network)
    module = importlib.import_module("pysrcnn.upscaling.steps")
    for pixels in (1, 100, 500):  # one row at a time, a few
        monkeypatch.setattr(module, "BAND", pixels)
        banded = upscale(picture, 3, network)
        if JIT:
            assert np.array_equal(banded, whole), pixels
        else:
            assert np.abs(banded - whole).max() <= COLOUR, pixels


def test_the_network_itself_is_as_before():
    network = trained_like()
    before = {name: p.copy() for name, p in network.parameters.items()}
    results = [upscale(picture_of(np.uint8, (9, 9, 3)), 2, network) for _ in range(2)]
    assert np.array_equal(*results)
    assert network.scale is None
    assert all(np.array_equal(p, before[name]) for name, p in network.parameters.items())


def test_a_network_in_float64_gives_the_same_picture():
    picture, network = picture_of(np.uint8, (9, 9, 3)), trained_like()
    single, double = upscale(picture, 2, network), upscale(picture, 2, network.astype(np.float64))
    assert np.abs(single.astype(int) - double).max() <= 1


# ---------------------------------------------------------------------------------- a model by file


def test_weights_by_path(tmp_path):
    network, picture = trained_like(), picture_of(np.uint8, (9, 8, 3))
    network.scale = 2
    network.save(tmp_path / "mine.npz")
    wanted = upscale(picture, 2, network)
    assert np.array_equal(upscale(picture, 2, tmp_path / "mine.npz"), wanted)
    assert np.array_equal(upscale(picture, scale=2, model=str(tmp_path / "mine.npz")), wanted)
    assert np.array_equal(upscale(picture, np.int64(2), network), wanted)
    with pytest.raises(ValueError, match="mine.npz was trained for scale 2, not 3"):
        upscale(picture, 3, tmp_path / "mine.npz")


def test_types_say_what_comes_out_of_what_goes_in():
    def options(function):
        parameters = list(inspect.signature(function).parameters.values())[1:]
        return [(p.name, p.kind, p.default, p.annotation) for p in parameters]

    arrays, lazy = typing.get_overloads(upscale)
    assert options(arrays) == options(lazy) == options(upscale)
    assert arrays.__annotations__["return"] is np.ndarray
    assert lazy.__annotations__["return"] == "dask.array.Array"
    kinds = lazy.__annotations__["picture"].split(" | ")
    assert kinds == ["dask.array.Array", "zarr.Array", "zarr.Group", "str", "os.PathLike"]


def test_no_such_weights(tmp_path):
    picture = np.zeros((4, 4), np.uint8)
    with pytest.raises(FileNotFoundError, match="77-1-5 is neither a file nor the name of shipped"):
        upscale(picture, 3, "77-1-5")
    with pytest.raises(FileNotFoundError, match="none.npz"):
        upscale(picture, 3, tmp_path / "none.npz")


# --------------------------------------------------------------------------------- other factors

PASSES = {
    1.1: (2,), 1.5: (2,), 2: (2,), 2.5: (3,), 3: (3,), 3.01: (4,), 4: (4,), 4.5: (3, 2),
    5: (3, 2), 6: (3, 2), 7: (4, 2), 8: (4, 2), 9: (3, 3), 10: (4, 3), 12: (4, 3), 13: (4, 4),
    16: (4, 4), 4.001: (4,), 1.999: (2,),
}  # fmt: skip


@pytest.mark.parametrize("factor", PASSES)
def test_how_factors_are_reached(factor):
    plan = Networks("9-1-5").plan((100, 33), factor)
    assert plan.passes == PASSES[factor]
    assert plan.shape == (round(100 * factor), int(33 * factor + 0.5))


@pytest.mark.parametrize("own, factor, passes", [
    (2, 2.5, (2, 2)), (2, 4, (2, 2)), (2, 16, (2, 2, 2, 2)), (3, 5, (3, 3)), (3, 1.5, (3,)),
    (3, 16, (3, 3, 3)), (4, 3.5, (4,)), (4, 16, (4, 4)),
])  # fmt: skip
def test_a_network_is_repeated_at_its_own_scale(own, factor, passes):
    assert Networks(linear(scale=own)).plan((10, 10), factor).passes == passes


@pytest.mark.parametrize("own, factor", [(2, 3), (3, 2), (3, 4), (4, 2), (4, 3), (1, 2), (1, 5)])
def test_weights_are_not_used_at_another_scale(own, factor):
    with pytest.raises(ValueError, match=f"was trained for scale {own}, not {factor}, and weights"):
        upscale(np.zeros((4, 4), np.uint8), factor, linear(scale=own))


@pytest.mark.parametrize("name, factor, passes", [
    ("photo", 3, (2, 2)), ("9-3-5", 2, (3,)), ("9-3-5", 4, (3, 3)), ("vdsr", 3, (3,)),
])  # fmt: skip
def test_shipped_weights_make_factors_that_they_were_not_trained_for(name, factor, passes):
    plan = Networks(name).plan((10, 8), factor)
    assert plan.passes == passes and plan.shape == (10 * factor, 8 * factor)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 2), (9, 8, 3), (9, 8, 4)])
def test_any_factor_is_passes_and_an_exact_resize(kind, shape):
    picture = picture_of(kind, shape, low=0.3, high=0.7)
    network = trained_like()
    network.scale = 2
    once = upscale(picture, 2, network)
    assert np.array_equal(upscale(picture, 4, network), upscale(once, 2, network))
    result = upscale(picture, 1.7, network)
    wanted = imresize(once.astype(np.float64) / PEAK[kind], shape=(15, 14))
    assert_rounded(result, wanted, kind, COLOUR)


def test_sizes_in_pixels():
    picture = picture_of(np.uint8, (20, 30, 3))
    assert upscale(picture, shape=(None, 100), model="9-1-5").shape == (67, 100, 3)
    assert upscale(picture, shape=(50, None), model="9-1-5").shape == (50, 75, 3)
    assert upscale(picture, shape=(10, 90), model="9-1-5").shape == (10, 90, 3)
    plan = Networks("9-1-5").plan((20, 30), shape=(60, None))
    assert str(plan) == "x3" and plan.shape == (60, 90)
    plan = Networks("9-1-5").plan((20, 30), shape=(100, 150))
    assert str(plan) == "x3, x2, resized"
    for shape in ((20, None), (5, 5), (None, 481)):
        with pytest.raises(ValueError, match="pixels are (no more than|more than 16 times)"):
            upscale(picture, shape=shape)
    for shape in ((None, None), (0, 50), (2.5, 50), (50,), 50, "ab"):
        with pytest.raises(ValueError, match="shape is a pair of positive ints"):
            upscale(picture, shape=shape)
    with pytest.raises(ValueError, match="both scale and shape are given"):
        upscale(picture, 2, shape=(40, 60))


@pytest.mark.parametrize("channels", [2, 4])
def test_bands_leave_no_seams_in_a_resize(monkeypatch, channels):
    picture = picture_of(np.uint8, (23, 19, channels))
    picture[..., -1] *= np.random.default_rng(3).random((23, 19)) > 0.8
    network = trained_like()
    network.scale = 2
    whole = upscale(picture, 2.9, network)
    monkeypatch.setattr(importlib.import_module("pysrcnn.upscaling.steps"), "BAND", 1)
    assert np.array_equal(upscale(picture, 2.9, network), whole) or not JIT


def test_progress_is_reported(monkeypatch):
    monkeypatch.setattr(importlib.import_module("pysrcnn.upscaling.steps"), "BAND", 200)
    parts = []
    upscale(picture_of(np.uint8, (9, 8, 3)), 5, "9-1-5", progress=parts.append)
    assert len(parts) > 10 and parts == sorted(parts) and parts[-1] == 1 and parts[0] > 0


@pytest.mark.parametrize("scale", [1.3, 2.7, 6])
def test_nothing_transparent_bleeds_at_other_factors(scale):
    result = upscale(disc(np.uint8), scale).astype(int)
    seen = result[..., 3] > 0
    assert result[..., 1][seen].max() < 6 and result[..., 0][seen].min() > 249


# ------------------------------------------------------------------------------------------ errors


def test_the_scale_must_be_that_of_the_network():
    with pytest.raises(ValueError, match="the network was trained for scale 3, not 2"):
        upscale(np.zeros((4, 4), np.uint8), 2, linear(scale=3))


@pytest.mark.parametrize(
    "scale", [0, -2, 0.5, 1.0000001 - 1, 17.5, np.nan, np.inf, "2", True, (2, 2)]
)
def test_a_scale_is_a_number(scale):
    for model in (linear(), linear(scale=2), "9-1-5"):
        with pytest.raises(ValueError, match="scale is a number above 1, up to 16; got "):
            upscale(np.zeros((4, 4), np.uint8), scale, model)


def test_a_network_without_a_scale_enlarges_by_whole_numbers():
    assert upscale(np.zeros((4, 4), np.uint8), 5.0, linear()).shape == (20, 20)
    for wanted in (1, 20):
        with pytest.raises(ValueError, match=f"above 1, up to 16; got {wanted}"):
            upscale(np.zeros((4, 4), np.uint8), wanted, linear())
    for wanted in ({"scale": 1.5}, {"shape": (6, None)}):
        with pytest.raises(ValueError, match="does not say what scale it was trained for"):
            upscale(np.zeros((4, 4), np.uint8), model=linear(), **wanted)


@pytest.mark.parametrize(
    "picture, error, words",
    [
        (np.full((4, 4), np.nan), ValueError, "NaN or infinite pixels: replace them first"),
        (np.full((4, 4, 3), np.inf, np.float32), ValueError, "NaN or infinite pixels"),
        (np.zeros((0, 4), np.uint8), ValueError, "the picture has no pixels"),
        (np.zeros((4, 0, 3)), ValueError, "the picture has no pixels"),
        (np.zeros((4, 4), np.int64), TypeError, "holds int64, wanted uint8, uint16, float32"),
        (np.zeros((4, 4), bool), TypeError, "holds bool, wanted"),
        (np.zeros((4, 4), complex), TypeError, "holds complex128, wanted"),
        (np.zeros((4, 4, 5), np.uint8), ValueError, r"shape \(4, 4, 5\), wanted \(H, W\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), ValueError, r"shape \(1, 4, 4, 3\), wanted \(H, W\)"),
        (np.zeros(4, np.uint8), ValueError, r"shape \(4,\), wanted \(H, W\)"),
        ("photo.png", TypeError, "is a name, photo.png, wanted an array: read"),
        (None, TypeError, "wanted uint8"),
        (np.full((4, 4), 255.0), ValueError, "go from 255 to 255: .* divide it by its white level"),
        (np.array([[-20, 0.5]]), ValueError, "go from -20 to 0.5: a floating point picture is in"),
    ],
)
def test_errors_say_what_is_wanted(picture, error, words):
    with pytest.raises(error, match=words):
        upscale(picture, 2, linear(scale=2))


def test_masks_are_not_ignored():
    picture = np.ma.MaskedArray(np.full((5, 6), 99, np.uint8))
    assert np.array_equal(upscale(picture, 2), upscale(picture.data, 2))  # nothing is masked
    picture[2, 3] = np.ma.masked
    with pytest.raises(ValueError, match=r"masked array, .*: fill what is masked"):
        upscale(picture, 2)


def test_a_float_picture_may_overshoot_a_little():
    picture = np.array([[-0.2, 1.2], [0.5, 0.5]])  # as bicubic interpolation leaves it
    result = upscale(picture, 2, linear(scale=2))
    assert_rounded(result, imresize(picture, 2), np.float64, GREY)


def test_half_precision_is_enlarged_or_refused_in_a_sentence():
    try:
        result = upscale(np.full((4, 5), 0.5, np.float16), 2, linear(scale=2))
    except TypeError as error:
        assert "float16" in str(error) and "wanted" in str(error)
    else:
        assert result.dtype == np.float16
        assert np.all(result == 0.5)


def test_a_network_for_several_scales_is_used_at_those_alone():
    network = VDSR(3, 6)
    network.scales = (2, 3, 4)
    networks = Networks(network)
    plans = {f: networks.plan((30, 40), f) for f in (1.25, 2, 2.5, 3.7, 4, 6)}
    assert [plan.passes for plan in plans.values()] == [(2,), (2,), (3,), (4,), (4,), (3, 2)]
    assert plans[2.5].shape == (75, 100) and str(plans[2.5]) == "x3, resized"
    assert upscale(np.zeros((30, 40)), model=network, shape=(50, 90)).shape == (50, 90)
    assert networks.default_scale == 3


def test_an_ensemble_on_the_way_to_a_picture():
    picture, network = picture_of(np.uint8, (12, 9, 3)), trained_like()
    mean = upscale(picture, 2, network, ensemble=True)
    assert not network.ensemble  # which is somebody else's
    assert np.array_equal(mean, upscale(picture, 2, Networks(network, ensemble=True)))
    plain = upscale(picture, 2, network)
    assert not np.array_equal(mean, plain) and np.abs(mean - plain.astype(int)).max() < 60
    assert Networks("9-1-5", ensemble=True).at(3).ensemble and not load("9-1-5", 3).ensemble


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_network_of_nan_makes_no_black_picture(bad, tmp_path):
    """One that was made in Python, as what a file holds is looked at when it is read."""
    network, picture = linear(scale=2), np.full((16, 16), 99, np.uint8)
    network.parameters["W2"][0, 0, 0, 0] = bad
    words = r"W2 of <SRCNN .*> holds values that are not finite .*: load the network again, or"
    with pytest.raises(ValueError, match=words):
        upscale(picture, 2, network)
    with pytest.raises(ValueError, match=words):
        next(upscale_frames([picture], 2, network))
    with pytest.raises(ValueError, match=words):
        score(network, *pair(picture, 2))
    write_picture(tmp_path / "a.png", picture)
    errors = []
    with pytest.raises(ValueError, match=words):  # of the network, not of each picture
        next(evaluate(tmp_path, network, on_error=errors.append))
    assert not errors
