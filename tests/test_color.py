"""YCbCr against published values, against other programs, and there and back."""

import numpy as np
import pytest

from pysrcnn import color

PAIRS = [
    (color.rgb_to_ycbcr, color.ycbcr_to_rgb),
    (color.rgb_to_ycbcr_full, color.ycbcr_to_rgb_full),
]
FUNCTIONS = [f for pair in PAIRS for f in pair] + [color.rgb_to_luma]


@pytest.mark.parametrize(
    "rgb, levels",
    [
        ((0, 0, 0), (16, 128, 128)),
        ((1, 1, 1), (235, 128, 128)),
        ((0.5, 0.5, 0.5), (125.5, 128, 128)),
        ((1, 0, 0), (81.481, 90.203, 240)),
        ((0, 1, 0), (144.553, 53.797, 34.214)),
        ((0, 0, 1), (40.966, 240, 109.786)),
        ((1, 1, 0), (210.034, 16, 146.214)),
    ],
)
def test_studio_range_as_matlab(rgb, levels):
    ycbcr = color.rgb_to_ycbcr(np.array(rgb, np.float64))
    np.testing.assert_allclose(255 * ycbcr, levels, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "rgb, levels",
    [
        ((0, 0, 0), (0, 128, 128)),
        ((1, 1, 1), (255, 128, 128)),
        ((1, 0, 0), (76.245, 84.97235, 255.5)),
        ((0, 1, 0), (149.685, 43.52765, 21.23466)),
        ((0, 0, 1), (29.07, 255.5, 107.26534)),
    ],
)
def test_full_range_as_jfif(rgb, levels):
    ycbcr = color.rgb_to_ycbcr_full(np.array(rgb, np.float64))
    np.testing.assert_allclose(255 * ycbcr, levels, rtol=0, atol=1e-5)


def test_studio_range_equals_scikit_image():
    skimage_color = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(1).uniform(size=(4, 5, 3))
    wanted = skimage_color.rgb2ycbcr(rgb) / 255
    np.testing.assert_allclose(color.rgb_to_ycbcr(rgb), wanted, rtol=0, atol=1e-14)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(color.rgb_to_ycbcr(rgb[..., ::-1]), wanted, rtol=0, atol=1e-3)


def test_full_range_equals_pillow_to_its_rounding():
    image = pytest.importorskip("PIL.Image")
    rgb = np.random.default_rng(2).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    wanted = np.asarray(image.fromarray(rgb).convert("YCbCr"), np.float64)
    ours = 255 * color.rgb_to_ycbcr_full(rgb / 255)
    # Pillow rounds or truncates fixed-point sums, so it may be one level off, but hardly more.
    assert np.abs(ours - wanted).max() < 1.1
    assert np.abs(255 * color.rgb_to_ycbcr(rgb / 255) - wanted).max() > 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("there, back", PAIRS)
def test_there_and_back(there, back, dtype):
    # Values outside of 0..1 too: nothing is clipped. Both matrices have entries below 2.2, so an
    # error of a few eps of values below 4 is multiplied by at most 3 * 2.2.
    x = np.random.default_rng(3).uniform(-0.5, 1.5, (6, 7, 3)).astype(dtype)
    tolerance = 4 * 3 * 2.2 * np.finfo(dtype).eps
    for first, second in ((there, back), (back, there)):
        middle = first(x)
        assert middle.dtype == dtype
        out = second(middle)
        assert out.dtype == dtype
        np.testing.assert_allclose(out, x, rtol=0, atol=tolerance)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(back(1.01 * there(x)), x, rtol=0, atol=tolerance)


def test_the_two_conventions_differ():
    x = np.random.default_rng(4).uniform(size=(5, 5, 3))
    assert np.abs(color.ycbcr_to_rgb_full(color.rgb_to_ycbcr(x)) - x).max() > 0.05


def test_luma_is_the_y_of_ycbcr():
    x = np.random.default_rng(5).uniform(size=(4, 6, 3))
    luma = color.rgb_to_luma(x)
    assert luma.shape == (4, 6)
    np.testing.assert_allclose(luma, color.rgb_to_ycbcr(x)[..., 0], rtol=0, atol=1e-15)
    assert color.rgb_to_luma(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("function", FUNCTIONS)
def test_any_leading_axes_and_memory_order(function):
    x = np.random.default_rng(6).uniform(size=(2, 3, 4, 3))
    before = x.copy()
    out = function(x)
    assert out.shape[:3] == (2, 3, 4)
    np.testing.assert_allclose(function(np.asfortranarray(x)), out, rtol=0, atol=1e-15)
    np.testing.assert_allclose(function(x[1, 2, 3]), out[1, 2, 3], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(x, before)
    assert function(x.astype(np.float16)).dtype == np.float16
    np.testing.assert_allclose(function(x.astype(np.float16)), out, rtol=0, atol=1e-2)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_errors_say_what_to_do(function):
    with pytest.raises(TypeError, match=f"{function.__name__} got .* uint8.* give x / 255"):
        function(np.zeros((4, 4, 3), np.uint8))
    for shape in [(4, 4), (4, 4, 4), (3, 4, 4), ()]:
        with pytest.raises(ValueError, match=r"wanted \(\.\.\., 3\)"):
            function(np.zeros(shape))
