"""Results of others: scored as `evaluate` does, each slip named, what is right left alone."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from pysrcnn.cli import main
from pysrcnn.color import rgb_to_luma, rgb_to_ycbcr, rgb_to_ycbcr_full, ycbcr_to_rgb
from pysrcnn.data import degrade, modcrop
from pysrcnn.evaluate import evaluate
from pysrcnn.networks import SRCNN
from pysrcnn.pictures import read_picture, write_picture
from pysrcnn.resize import imresize
from pysrcnn.scoring import match, score_results
from pysrcnn.scoring.looks import look_at

EXAMPLES = Path(__file__).parents[1] / "examples" / "pictures"
PARTS = {  # the sides are no multiples of 2, 3 or 4, and differ from each other
    "astronaut": np.s_[48:161, 76:187],
    "cat": np.s_[60:193, 90:205],
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth")
    for name, part in PARTS.items():
        write_picture(folder / f"{name}.png", read_picture(EXAMPLES / f"{name}.png")[part])
    return folder


# A program that enlarges: floats (H, W, 3) in 0..1 in, the same out.


def sharpened(x):
    """In place of a network: luminance, a little sharper."""
    y = rgb_to_ycbcr(x)
    y[..., 0] += 0.6 * (y[..., 0] - ndimage.gaussian_filter(y[..., 0], 1.2))
    return ycbcr_to_rgb(y)


def program(shrink=None, enlarge=None, crop=modcrop):
    """From an original to a result, with steps in place of the right ones."""

    def enlarged(picture, s):
        high = crop(picture, s)
        low = shrink(high, s) if shrink else imresize(high, scale=1 / s)
        return sharpened(enlarge(low, s) if enlarge else imresize(low, scale=float(s)))

    return enlarged


def planes(function):
    """A function of (H, W), for each channel."""
    return lambda x, s: np.dstack([function(x[..., c], s) for c in range(3)])


def between(x, s):
    """Without antialiasing: linear interpolation at the middles of blocks."""
    at, n = [(s - 1) / 2] * 2, tuple(side // s for side in x.shape)
    return ndimage.affine_transform(x, [s, s], at, output_shape=n, order=1)


def from_the_corner(x, s):
    n = tuple(side * s for side in x.shape)
    return ndimage.affine_transform(x, [1 / s] * 2, 0, output_shape=n, order=3, mode="nearest")


def corner_to_corner(x, s):
    return ndimage.zoom(x, [side // s / side for side in x.shape], order=3)


def upper_left(picture, s):
    return picture[picture.shape[0] % s :, picture.shape[1] % s :]


def middle(picture, s):
    i, j = (side % s // 2 for side in picture.shape[:2])
    return picture[i : i + picture.shape[0] // s * s, j : j + picture.shape[1] // s * s]


def levels(x):
    return np.floor(255 * np.clip(x, 0, 1).astype(np.float64) + 0.5).astype(np.uint8)


def full_to_studio(x):
    return 16 / 255 + x * 219 / 255


RIGHT = program()
each = planes(lambda x, s: x[::s, ::s])
zoomed = planes(lambda x, s: ndimage.zoom(x, s, order=3))
shrunk = planes(corner_to_corner)
smooth = planes(lambda x, s: corner_to_corner(ndimage.gaussian_filter(x, s / 3), s))
mean = planes(lambda x, s: x.reshape(x.shape[0] // s, s, x.shape[1] // s, s).mean((1, 3)))


def wrapped(x):
    return (np.floor(255 * x + 0.5).astype(int) % 256).astype(np.uint8)


def after(change, before=RIGHT):
    """The program, and a slip when its result is written."""
    return lambda picture, s: change(before(picture, s))


PLANTED = {  # (kind, words) for each slip, and the program that makes it
    "BGR": ("channels", "BGR", after(lambda x: levels(x[..., ::-1]))),
    "GBR": ("channels", "order GBR", after(lambda x: levels(x[..., [1, 2, 0]]))),
    "full-range luminance": ("full-range", "luminance is full-range",
                             after(lambda x: levels(rgb_to_ycbcr_full(x)[..., 0]))),
    "studio for full": ("narrow range", "contrast is too low",
                        after(lambda x: levels(full_to_studio(x)))),
    "full for studio": ("full-range", "contrast is too high",
                        after(lambda x: levels((x - 16 / 255) * 255 / 219))),
    "-1 to 1": ("-1 to 1", "in -1..1", after(lambda x: levels((x + 1) / 2))),
    "0 to 1": ("0 to 1", "multiply by 255", after(lambda x: (levels(x) / 255 + 0.5).astype("u1"))),
    "truncated": ("0 to 1", "multiply by 255", after(lambda x: np.clip(x, 0, 1).astype("u1"))),
    "8 bits in 16": ("0 to 1", "multiply them by 257",
                     after(lambda x: levels(rgb_to_luma(x)).astype("u2"))),
    "black border": ("border", "a border of 6 pixels is black: shave it",
                     after(lambda x: levels(np.pad(x[6:-6, 6:-6], ((6, 6), (6, 6), (0, 0)))))),
    "black sides": ("border", "black (6 pixels at the bottom, 6 pixels at the right): shave it",
                    after(lambda x: levels(np.pad(x[:-6, :-6], ((0, 6), (0, 6), (0, 0)))))),
    "negative": ("negative", "is negative", after(lambda x: levels(1 - x))),
    "wrap": ("wrapped", "wrapped around",
             after(lambda x: wrapped(x + 0.03 * (x > 0.93) - 0.06 * (x < 0.05)))),
    "mirrored": ("turned", "mirrored from left", after(lambda x: levels(x[:, ::-1]))),
    "upside down": ("turned", "upside down", after(lambda x: levels(x[::-1]))),
    "moved": ("place", "shifted by 1 pixel right",
              after(lambda x: levels(np.pad(x, ((0, 0), (1, 0), (0, 0)), mode="edge")[:, :-1]))),
    "half a pixel": ("place", "shifted by 0.5 pixels up and 0.5 pixels right",
                     after(lambda x: levels(ndimage.shift(x, (-0.5, 0.5, 0), mode="nearest")))),
    "aligned corners": ("place", "enlarged with corners aligned",
                        after(levels, program(enlarge=zoomed))),
    "corners when shrinking": ("place", "were made with corners aligned",
                               after(levels, program(shrink=smooth))),
    "from the corner": ("place", "pixel i is that at",
                        after(levels, program(enlarge=planes(from_the_corner)))),
    "crop of the upper left": ("place", "originals were cropped at the upper and left edges",
                               after(levels, program(crop=upper_left))),
    "no antialiasing": ("small pictures", "without antialiasing",
                        after(levels, program(planes(between)))),
    "means": ("small pictures", "as means of", after(levels, program(mean))),
    "zoom both ways": ("small pictures", "scipy.ndimage.zoom",
                       after(levels, program(shrunk, zoomed))),
}  # fmt: skip


def results_of(program, originals, folder, s, suffix="_x{}"):
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(originals.iterdir()):
        picture = program(read_picture(path) / 255, s)
        picture = picture if picture.dtype.kind == "u" else levels(picture)
        write_picture(folder / f"{path.stem}{suffix.format(s)}.png", picture)
    return folder


# ---------------------------------------------------------------------------------- what is right


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["colour", "grey", "bicubic", "the truth", "Lanczos", "rounded"])
def test_what_is_right_is_not_accused(originals, tmp_path, name, scale):
    def lanczos(x, s):
        from PIL import Image

        small, size = Image.fromarray(levels(x)), (x.shape[1] // s, x.shape[0] // s)
        return np.asarray(small.resize(size, Image.Resampling.LANCZOS)) / 255

    made = {
        "colour": RIGHT,
        "grey": after(rgb_to_luma),
        "bicubic": lambda x, s: degrade(modcrop(x, s), s),
        "the truth": modcrop,
        "Lanczos": program(lanczos),
        "rounded": program(lambda x, s: levels(imresize(x, scale=1 / s)) / 255),
    }[name]
    report = score_results(results_of(made, originals, tmp_path / "r", scale), originals, scale)
    assert report.ok and report.findings == []
    assert ("no network is seen" in str(report)) == (name == "bicubic")
    assert ("The originals themselves, without any" in str(report)) == (name == "the truth")
    assert len(report.notes) == (name in ("bicubic", "the truth"))


def test_scores_are_those_of_evaluate(originals, tmp_path):
    """To the last digit, as the network's result in 8 bits is."""
    network = SRCNN.from_stack((3,), ())
    network.parameters["W1"][...] = np.random.default_rng(0).normal(0, 0.1, (3, 3))
    network.parameters["W1"][0, 0, 1, 1] += 1
    network.scale = 3

    def enlarged(picture, s):
        low = degrade(np.floor(255 * rgb_to_luma(modcrop(picture, s)) + 0.5) / 255, s)
        return network.forward(low.astype(np.float32)[None, None])[0, 0]

    report = score_results(results_of(enlarged, originals, tmp_path / "r", 3), originals, 3)
    for ours, theirs in zip(report.scores, evaluate(originals, network), strict=True):
        assert ours.psnr == pytest.approx(theirs.psnr, abs=1e-12)
        assert ours.ssim == pytest.approx(theirs.ssim, abs=1e-12)
        assert ours.bicubic_psnr == pytest.approx(theirs.bicubic_psnr, abs=0.01)  # not in float32
        assert ours.bicubic_ssim == pytest.approx(theirs.bicubic_ssim, abs=1e-4)


def test_alpha_does_not_count(originals, tmp_path):
    def change(x):
        return np.dstack([levels(x), np.full(x.shape[:2], 9, np.uint8)])

    usual = score_results(results_of(RIGHT, originals, tmp_path / "r", 3), originals, 3)
    report = score_results(results_of(after(change), originals, tmp_path / "a", 3), originals, 3)
    assert report.scores == usual.scores and report.ok


def test_originals_that_are_grey(originals, tmp_path):
    """Are Y already; and results that repeat it in three channels are no colour."""
    grey = tmp_path / "grey"
    grey.mkdir()
    for path in originals.iterdir():
        write_picture(grey / path.name, levels(rgb_to_luma(read_picture(path) / 255)))

    def made(x, s):
        x = modcrop(x, s)
        return 0.3 * x + 0.7 * degrade(x, s)

    one = score_results(results_of(made, grey, tmp_path / "1", 3), grey, 3)
    after_it = after(lambda x: np.dstack([x] * 3), made)
    three = score_results(results_of(after_it, grey, tmp_path / "3", 3), grey, 3, "30.12")
    assert one.ok and one.scores == three.scores and three.findings == []
    assert not any("RGB" in words for words, _ in three.claim.single)


def test_no_colour_is_wrong_where_the_original_is_grey(originals, tmp_path):
    """Not even where it is nearer to red than to luminance."""
    for name, c in (("grey", 1), ("three", 3)):
        (tmp_path / name).mkdir()
        for path in originals.iterdir():
            y = levels(full_to_studio(read_picture(path)[..., 0] / 255))
            write_picture(tmp_path / name / path.name, np.dstack([y] * c).squeeze())
        results = results_of(RIGHT, originals, tmp_path / "r", 3)
        report = score_results(results, tmp_path / name, 3)
        assert "channels" not in {finding.kind for finding in report.findings}
        assert "in colour, while the original is grey: the luminance is" in report.notes[0]


# ------------------------------------------------------------------------------------ what is not


@pytest.mark.parametrize("slip", PLANTED)
def test_each_slip_is_named(originals, tmp_path, slip):
    kind, words, made = PLANTED[slip]
    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    assert not report.ok
    assert [finding.kind for finding in report.findings] == [kind], str(report)
    (finding,) = report.findings
    said = " ".join(str(report).split())
    assert words in finding.words and finding.words[1:] in said
    assert finding.pictures == [score.picture for score in report.scores]
    assert report.unexplained == [], str(report)
    if kind in ("channels", "turned", "narrow range", "negative"):  # undone, it is as it was
        right = score_results(results_of(RIGHT, originals, tmp_path / "s", 3), originals, 3)
        lost = np.mean([s.psnr for s in right.scores]) - np.mean([s.psnr for s in report.scores])
        assert finding.cost == pytest.approx(lost, abs=0.1)


def test_a_black_border_costs_what_shaving_it_gains(originals, tmp_path):
    """And other slips are still seen."""
    made = after(lambda x: np.pad(levels(x[6:-6, 6:-6, ::-1]), ((6, 6), (6, 6), (0, 0))))
    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    assert {finding.kind for finding in report.findings} == {"border", "channels"}, str(report)
    made = after(lambda x: x[6:-6, 6:-6, ::-1])
    right = score_results(results_of(made, originals, tmp_path / "s", 3), originals, 3)
    lost = np.mean([s.psnr for s in right.scores]) - np.mean([s.psnr for s in report.scores])
    assert report.findings[0].cost == pytest.approx(lost, abs=0.01)


def test_of_what_was_cast_to_0_no_cost_is_known(originals, tmp_path):
    made = PLANTED["truncated"][2]
    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    assert report.sentences()[0].startswith("Values in 0..1 were cast to whole numbers: ")


def test_a_border_is_no_value_that_wrapped(originals, tmp_path):
    """Whatever is in it: here it is shaved, so it does not count."""
    made = after(lambda x: levels(np.pad(x[3:-3, 3:-3], ((3, 3), (3, 3), (0, 0)))))
    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    assert report.findings == [], str(report)


def test_slips_on_top_of_each_other(originals, tmp_path):
    made = after(lambda x: levels(full_to_studio(x[..., ::-1])), program(each))
    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    kinds = {finding.kind for finding in report.findings}
    assert kinds == {"channels", "narrow range", "place", "small pictures"}, str(report)
    assert report.unexplained == []
    said = " ".join(str(report).split())
    assert "small pictures hold the upper left of 3 x 3 pixels" in said
    assert "made of each pixel out of 3, as by x[::3, ::3]" in said


def test_different_shifts_are_told_apart(originals, tmp_path):
    """One usual cause or none: each is said of the pictures that it is true of."""
    folder = results_of(RIGHT, originals, tmp_path / "r", 3)
    path = folder / "cat_x3.png"
    write_picture(path, np.roll(read_picture(path), (2, -1), (0, 1)))
    path = folder / "astronaut_x3.png"
    write_picture(path, np.roll(read_picture(path), (1, 1), (0, 1)))
    report = score_results(folder, originals, 3)
    said = {finding.words: finding.pictures for finding in report.findings}
    assert len(said) == 2 and said.pop(
        "the results are shifted by 2 pixels down and 1 pixel left"
    ) == ["cat_x3.png"]
    assert "the upper left of 3 x 3 pixels, as x[::3, ::3] does" in next(iter(said))


def test_y_in_three_channels_is_not_converted_again(originals, tmp_path):
    made = after(lambda x: np.dstack([levels(rgb_to_luma(x))] * 3))
    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    (finding,) = report.findings
    assert finding.words.startswith("the result is Y in three equal channels, which is")


def test_a_slip_in_one_picture_is_said_to_be_there(originals, tmp_path):
    folder = results_of(RIGHT, originals, tmp_path / "r", 3)
    write_picture(folder / "cat_x3.png", read_picture(folder / "cat_x3.png")[..., ::-1])
    report = score_results(folder, originals, 3)
    assert [finding.pictures for finding in report.findings] == [["cat_x3.png"]]
    assert "(1 of 2 pictures: cat_x3.png)" in " ".join(str(report).split())


def test_small_pictures_are_named_where_they_are_known(originals, tmp_path):
    folder = results_of(after(levels, program(mean)), originals, tmp_path / "r", 3)
    noise = np.random.default_rng(3).integers(0, 256, read_picture(folder / "cat_x3.png").shape)
    write_picture(folder / "cat_x3.png", noise.astype(np.uint8))
    (finding,) = score_results(folder, originals, 3).findings
    assert finding.kind == "small pictures" and finding.pictures == ["astronaut_x3.png"]


def test_another_picture_is_asked_about(originals, tmp_path):
    folder = results_of(RIGHT, originals, tmp_path / "r", 3)
    noise = np.random.default_rng(0).integers(0, 256, read_picture(folder / "cat_x3.png").shape)
    write_picture(folder / "cat_x3.png", noise.astype(np.uint8))
    report = score_results(folder, originals, 3)
    assert report.findings == [] and report.unexplained == ["cat_x3.png"] and not report.ok
    assert "Far from the original: cat_x3.png; is it the same picture?" in str(report)
    assert "?." not in str(report)


def test_hard_pictures_are_not_far_from_their_originals(tmp_path):
    """Noise is nothing that a network could restore: as good as bicubic will do."""
    truth = tmp_path / "truth"
    truth.mkdir()
    noise = np.random.default_rng(0).integers(0, 2, (96, 90, 3)) * 255
    write_picture(truth / "noise.png", noise.astype(np.uint8))
    made = after(lambda x: 0.98 * x + 0.01, lambda x, s: degrade(x, s))
    report = score_results(results_of(made, truth, tmp_path / "r", 3), truth, 3)
    assert report.scores[0].psnr < 16
    assert report.ok and "Far from" not in str(report)


def test_what_is_clean_is_not_below_bicubic(tmp_path):
    truth = tmp_path / "truth"
    truth.mkdir()
    write_picture(truth / "flat.png", np.full((60, 63, 3), 100, np.uint8))
    flat = np.full((60, 63, 3), 100, np.uint8)
    flat[20:40, 20:40] = 101
    report = score_results(results_of(lambda x, s: flat, truth, tmp_path / "r", 3), truth, 3)
    assert np.isinf(report.scores[0].bicubic_psnr) and 50 < report.scores[0].psnr < 70
    assert report.ok and report.notes == [], str(report)


def test_below_bicubic_by_no_known_slip_is_not_right(originals, tmp_path, capsys):
    made = after(lambda x: ndimage.gaussian_filter(x, (2.5, 2.5, 0)))
    folder = results_of(made, originals, tmp_path / "r", 3)
    report = score_results(folder, originals, 3)
    assert report.findings == [] and not report.ok
    assert report.unexplained == ["astronaut_x3.png", "cat_x3.png"]
    assert main(["score", str(folder), str(originals), "-s", "3"]) == 1
    assert "Below bicubic interpolation, by no slip" in capsys.readouterr().out


@pytest.mark.parametrize("small, kinds", [(None, ["channels"]), (mean, ["small pictures"])])
def test_one_slip_does_not_hide_a_larger_loss(originals, tmp_path, small, kinds):
    """Nor do small pictures that cost less."""
    made = after(lambda x: ndimage.gaussian_filter(x, (2.5, 2.5, 0)), program(small))
    made = made if small else after(lambda x: levels(x[..., ::-1]), made)
    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    assert [finding.kind for finding in report.findings] == kinds
    assert report.unexplained == ["astronaut_x3.png", "cat_x3.png"]
    assert "Below bicubic interpolation even without the slips" in str(report)
    assert "by no slip" not in str(report) and "same picture" not in str(report)


# ------------------------------------------------------------------------------------------ sizes


def test_what_lost_its_border(originals, tmp_path):
    whole = score_results(results_of(RIGHT, originals, tmp_path / "w", 3), originals, 3)
    lost = "convolutions that do not pad lose them"
    for cut, words in ((1, lost), (3, "as shaved"), (6, lost)):
        made = after(lambda x, n=cut: x[n:-n, n:-n])
        report = score_results(results_of(made, originals, tmp_path / f"{cut}", 3), originals, 3)
        assert report.ok and f"{cut} pixel{'s'[: cut > 1]} less on each side" in report.notes[0]
        assert words in report.notes[0]
        if cut == 3:
            assert [s.psnr for s in report.scores] == [s.psnr for s in whole.scores]


@pytest.mark.parametrize("cut", [2, 6, 8])
@pytest.mark.parametrize("size", [(113, 109), (113, 113), (112, 112)])
def test_what_lost_its_border_without_a_crop_before(originals, tmp_path, size, cut):
    """So what is left is not in the middle of the cropped original."""
    whole, picture = tmp_path / "whole.png", read_picture(originals / "cat.png")
    picture = np.pad(picture, ((0, 0), (0, 2), (0, 0)), mode="edge")[: size[0], : size[1]]
    write_picture(whole, picture)
    result = imresize(imresize(picture / 255, scale=1 / 3), scale=3.0)[: size[0], : size[1]]
    result = levels(sharpened(result))[cut:-cut, cut:-cut]
    write_picture(tmp_path / "r.png", result)
    report = score_results(tmp_path / "r.png", whole, 3)
    assert report.ok and report.scores[0].psnr > report.scores[0].bicubic_psnr, str(report)
    assert f"{cut} pixels less on each side than the original: conv" in report.notes[0]


@pytest.mark.parametrize("side", [64, 96, 62])
def test_a_result_of_another_scale_lost_no_border(originals, tmp_path, side):
    picture = read_picture(EXAMPLES / "cat.png")[60:188, 90:218]
    write_picture(tmp_path / "cat.png", picture)
    write_picture(tmp_path / "r.png", levels(imresize(picture / 255, shape=(side, side))))
    with pytest.raises(ValueError, match="is it of this original, and enlarged by 4"):
        score_results(tmp_path / "r.png", tmp_path / "cat.png", 4)


@pytest.mark.parametrize("cut", [1, 2, 6])
def test_blocks_of_what_lost_its_border_are_those_of_the_whole(originals, tmp_path, cut):
    """Where the scale divides what is left, but not what is lost; and bicubic is that of all."""
    cutting = lambda x: x[cut:-cut, cut:-cut]  # noqa: E731
    for name, made, found in (
        ("right", RIGHT, []),
        ("means", program(mean), ["small pictures"]),
        ("bicubic", lambda x, s: degrade(modcrop(x, s), s), []),
    ):
        folder = results_of(after(cutting, after(levels, made)), originals, tmp_path / name, 4)
        report = score_results(folder, originals, 4)
        assert [f.kind for f in report.findings] == found, str(report)
        assert ("no network is seen" in str(report)) == (name == "bicubic")


@pytest.mark.parametrize(
    "part, sides",
    [
        (np.s_[:-6, :-6], "at the bottom and at the right"),
        (np.s_[6:, 6:], "at the top and at the left"),
        (np.s_[:-6, 6:], "at the bottom and at the left"),
    ],
)
def test_a_crop_at_a_corner_is_no_shift(originals, tmp_path, part, sides):
    folder = results_of(after(lambda x: x[part]), originals, tmp_path / "r", 3)
    report = score_results(folder, originals, 3)
    assert report.findings == [] and report.ok, str(report)
    assert f"6 pixels less {sides} than the original" in report.notes[0] and len(report.notes) == 1


def test_a_result_of_the_whole_original_is_cropped(originals, tmp_path):
    def made(x, s):
        return sharpened(imresize(imresize(x, scale=1 / s), scale=float(s))[: len(x), : x.shape[1]])

    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    assert report.findings == [] and "the upper left is compared" in report.notes[0]


def test_a_square_result_of_the_whole_original(originals, tmp_path):
    """40 x 40 pixels, of which the protocol takes 39 x 39: no row is a column."""
    picture = read_picture(next(originals.iterdir()))[:40, :40]
    name = "a_name_of_more_than_twenty_letters"
    for path in tmp_path / f"{name}.png", tmp_path / f"{name}_x3.png":
        write_picture(path, picture)
    report = score_results(tmp_path / f"{name}_x3.png", tmp_path / f"{name}.png", 3)
    assert "sizes are not those of the original" in report.notes[0]
    assert "\na_name_of_more_t ... " in str(report)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x: imresize(x, scale=1 / 3), "it is the small picture, give the enlarged one"),
        (lambda x: x.swapaxes(0, 1), "rows and columns are exchanged"),
        (lambda x: x[:50, :60], "is it of this original, and enlarged by 3?"),
        (lambda x: x[:10, :10], "to compare at scale 3 it needs more: leave it out"),
    ],
)
def test_sizes_that_cannot_be_compared(originals, tmp_path, change, words):
    folder = results_of(after(change), originals, tmp_path / "r", 3)
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        score_results(folder, originals, 3)


# ------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "result, original",
    [
        ("baby", "baby"), ("BABY_x3", "baby"), ("baby_SRCNN", "baby"), ("babyx3", "baby"),
        ("baby-x3-SRCNN", "baby"), ("srcnn_baby", "baby"), ("baby_GT_x3", "baby_GT"),
        ("img_001_SRF_3_SR", "img_001_SRF_3_HR"), ("0801x3", "0801"), ("img_10_x3", "img_10"),
        ("baby", "baby_GT"), ("baby.sr", "baby.HR"), ("12_1", "1"), ("1_12", "12"),
    ],
)  # fmt: skip
def test_names_that_go_together(tmp_path, result, original):
    for folder, names in (("r", [result]), ("t", [original, "img_1", "other"])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.png").touch()
    pairs, alone = match(tmp_path / "r", tmp_path / "t", 3)
    assert [(r.stem, t.stem) for r, t in pairs] == [(result, original)]
    assert len(alone) == 2 and f"no result for img_1.png in {tmp_path / 'r'}" in alone
    pairs, alone = match(tmp_path / "r" / f"{result}.png", tmp_path / "t", 3)
    assert [t.stem for _, t in pairs] == [original] and alone == []


@pytest.mark.parametrize("result", ["babybird", "baby_x2", "babyx4", "img_11", "bab"])
def test_names_that_do_not(tmp_path, result):
    for folder, names in (("r", [result]), ("t", ["baby", "img_1"])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.png").touch()
    complaint = "no name in .* goes with one in .*baby.png or baby_x3.png"
    if factor := {"baby_x2": 2, "babyx4": 4}.get(result):
        complaint = f"{result}.png is named .* for scale {factor}, .* given is 3: give {factor}"
    with pytest.raises(ValueError, match=complaint):
        match(tmp_path / "r", tmp_path / "t", 3)


def test_of_several_results_the_one_of_this_scale_is_taken(tmp_path):
    for name in ("r/baby_x2.png", "r/baby_x3.png", "t/baby.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs, _ = match(tmp_path / "r", tmp_path / "t", 3)
    assert [r.name for r, _ in pairs] == ["baby_x3.png"]
    (tmp_path / "r/baby_x3_other.png").touch()
    with pytest.raises(
        ValueError, match="several results belong to baby.png: baby_x3.png, baby_x3"
    ):
        match(tmp_path / "r", tmp_path / "t", 3)


def test_two_files_go_together_whatever_their_names(originals, tmp_path):
    folder = results_of(RIGHT, originals, tmp_path / "r", 3)
    (folder / "cat_x3.png").rename(folder / "mine.png")
    report = score_results(folder / "mine.png", originals / "cat.png", 3)
    assert [score.picture for score in report.scores] == ["mine.png"] and report.ok


# ----------------------------------------------------------------------------------- what is said


def by_hand(folder, originals, plane, shave, other=None, square=np.square, peak=255, mean=False):
    """A script of somebody else."""
    errors = []
    for path in sorted(originals.iterdir()):
        truth = modcrop(read_picture(path), 3) / 255
        truth = other(truth) if other else truth
        result = read_picture(folder / f"{path.stem}_x3.png") / 255
        a, b = (plane(x)[shave : len(x) - shave, shave : x.shape[1] - shave]
                for x in (result, truth))  # fmt: skip
        errors.append(np.mean(square(a - b)))
    errors = np.mean(errors) if mean else np.array(errors)
    return float(np.mean(10 * np.log10(peak**2 / errors)))


def y(x):
    return levels(rgb_to_luma(x)).astype(float)


def full(x):
    return levels(x @ [0.299, 0.587, 0.114]).astype(float)


def bicubic(x):
    return levels(degrade(x, 3)) / 255


CLAIMS = {
    "luminance is full-range": (full, 3),
    "of RGB": (lambda x: 255 * x, 3),
    "nothing is shaved off": (y, 0),
    "6 pixels are shaved off": (y, 6),
    "9 pixels are shaved off": (y, 9),
    "not rounded to 8 bits": (lambda x: 255 * rgb_to_luma(x), 3),
    "that of BGR": (lambda x: y(x[..., ::-1]), 3),
    "against bicubic interpolation": (y, 3, bicubic),
    "differences of uint8 wrap around": (
        y, 3, None, lambda d: ((d.astype(int) % 256).astype(np.uint8) ** 2)
    ),
    "the peak is 219": (y, 3, None, np.square, 219),
    "the PSNR of the mean error": (y, 3, None, np.square, 255, True),
}  # fmt: skip


@pytest.mark.parametrize("words", CLAIMS)
def test_each_way_of_measuring_is_named(originals, tmp_path, words):
    folder = results_of(RIGHT, originals, tmp_path / "r", 3)
    claimed = f"{by_hand(folder, originals, *CLAIMS[words]):.4f}"
    report = score_results(folder, originals, 3, claimed)
    assert not report.ok and report.findings == []
    assert len(report.claim.words) == 1 and words in report.claim.words[0], report.claim
    off = float(claimed) - np.mean([score.psnr for score in report.scores])
    how = f"{float(claimed):g} dB is {abs(off):.2f} dB {'low' if off < 0 else 'high'}: "
    assert how in " ".join(str(report).split())


def test_what_is_kept_of_a_picture_holds_no_pixels(originals, tmp_path):
    folder = results_of(PLANTED["BGR"][2], originals, tmp_path / "r", 3)
    _, look = look_at(folder / "cat_x3.png", originals / "cat.png", 3, True)
    assert look.found and look.errors and len(pickle.dumps(look)) < 40_000


def test_a_way_that_leaves_no_pixels_is_left_out(tmp_path, capsys):
    """Of pictures of 20 x 18 pixels, and a flat one, whose PSNR is infinite."""
    for name, text in (("small", (20, 18)), ("flat", (20, 18))):
        picture = np.random.default_rng(0).integers(0, 256, (*text, 3)).astype(np.uint8)
        picture[...] = 77 if name == "flat" else picture
        for path in tmp_path / "t" / f"{name}.png", tmp_path / "r" / f"{name}.png":
            path.parent.mkdir(exist_ok=True)
            write_picture(path, picture)
    table = tmp_path / "a.json"
    words = ["score", str(tmp_path / "r"), str(tmp_path / "t"), "-s", "3"]
    main([*words, "--claimed", "20.5", "--json", str(table)])
    text = table.read_text()
    assert "NaN" not in text and "Infinity" not in text and "9 pixels are shaved" not in text


def test_two_ways_at_once_and_none(originals, tmp_path):
    folder = results_of(RIGHT, originals, tmp_path / "r", 3)
    claimed = f"{by_hand(folder, originals, full, 0):.3f}"
    report = score_results(folder, originals, 3, claimed)
    (words,) = report.claim.words
    assert "full-range" in words and ", and nothing is shaved off" in words
    report = score_results(folder, originals, 3, "12.3456")
    assert report.claim.words == [] and not report.ok
    assert "and no way of measuring that is known here gives it" in " ".join(str(report).split())
    right = f"{by_hand(folder, originals, y, 3):.2f}"
    report = score_results(folder, originals, 3, right)
    assert report.ok and f"{float(right):g} dB is what the protocol gives." in str(report)
    assert score_results(folder, originals, 3, f" {right} ").ok  # spaces are no digits
    near = by_hand(folder, originals, y, 3) + 2e-6  # in float32
    assert score_results(folder, originals, 3, f"{near:.12f}").ok
    for bad in ("much", "nan", "inf"):
        with pytest.raises(ValueError, match=f"the number claimed is '{bad}', wanted decibels"):
            score_results(folder, originals, 3, bad, on_score=pytest.fail)  # before all the work
    with pytest.raises(TypeError, match="the number claimed is 32.39, wanted text"):
        score_results(folder, originals, 3, 32.39, on_score=pytest.fail)


def test_a_claim_on_what_lost_its_border_counts_that_too(originals, tmp_path):
    """9-1-5 without padding loses 6 pixels on each side, and then 3 are shaved off."""
    whole = results_of(RIGHT, originals, tmp_path / "w", 3)
    claimed = f"{by_hand(whole, originals, y, 9):.4f}"
    folder = results_of(after(lambda x: x[6:-6, 6:-6]), originals, tmp_path / "r", 3)
    (words,) = score_results(folder, originals, 3, claimed).claim.words
    assert words == "9 pixels are shaved off each side, wanted 3"


@pytest.mark.parametrize("factor", [0.85, 0.9, 1.1])
def test_what_is_too_dark_or_bright_is_called_nothing_else(originals, tmp_path, factor):
    """Other channels or another range would bring its luminance closer, too."""
    made = after(lambda x: levels(factor * x))
    report = score_results(results_of(made, originals, tmp_path / "r", 3), originals, 3)
    assert report.findings == [], str(report)


def test_a_border_as_wide_as_the_picture_is_high(tmp_path):
    """What is black on one side is cut off all of them, which would leave nothing here."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (60, 480), np.uint8)
    result = truth // 2 + 60
    result[:, :40] = 0
    for name, x in ("truth", truth), ("result", result):
        write_picture(tmp_path / f"{name}.png", x)
    report = score_results(tmp_path / "result.png", tmp_path / "truth.png", 3)
    assert len(report.scores) == 1


# ------------------------------------------------------------------------------------ the command


def test_the_command(originals, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    results_of(RIGHT, originals, tmp_path / "right", 3)
    results_of(PLANTED["BGR"][2], originals, tmp_path / "bgr", 3)
    truth = str(originals)
    assert main(["score", "right", truth, "-s", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "bicubic" in lines[0] and "right" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["astronaut_x3.png", "cat_x3.png", "average"]
    claimed = f"{by_hand(tmp_path / 'right', originals, full, 3):.2f}"
    command = ["score", "right", truth, "-s", "3", "--claimed", claimed, "--json", "a.json"]
    assert main(command) == 1
    out = capsys.readouterr().out
    assert f"{float(claimed):g} dB is " in out and " dB  the protocol" in out
    assert f"{float(claimed):7.2f} dB  luminance is full-range\n" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    table = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert table["ok"] is False and table["findings"] == [] and table["failed"] == 0
    assert "full-range" in table["claim"]["words"][0]
    assert table["average"]["psnr"] == pytest.approx(
        np.mean([row["psnr"] for row in table["pictures"]])
    )
    assert main(["score", "bgr", truth, "-s", "3", "--json", "b.json"]) == 1
    assert " dB low: red and blue are exchanged" in " ".join(capsys.readouterr().out.split())
    assert json.loads(Path("b.json").read_text())["findings"][0]["kind"] == "channels"


def test_what_the_command_refuses(originals, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    results_of(RIGHT, originals, tmp_path / "r", 3)
    truth = str(originals)
    for arguments, words in (
        (["none", truth], "no file or folder none: check the name"),
        (["r", truth, "--json", "a.txt"], "a.txt does not end in .json"),
        (["r", truth, "--claimed", "high"], "the number claimed is 'high', wanted decibels"),
        (["9-1-5", truth], "9-1-5 are weights: give enlarged pictures and their originals"),
    ):
        assert main(["score", *arguments, "-s", "3"]) == 2
        assert words in capsys.readouterr().err
    os.remove("r/cat_x3.png")
    assert main(["score", "r", truth, "-s", "3"]) == 2
    out, err = capsys.readouterr()
    assert "average" in out and "no result for cat.png in r" in err
    assert err.splitlines()[-1] == "averaged 1 picture, 1 failed"
    Path("r/cat_x3.png").write_text("no picture")
    assert main(["score", "r", truth, "-s", "3"]) == 2
    assert "cat_x3.png is damaged or not a picture" in capsys.readouterr().err
    Path("r/astronaut_x3.png").unlink()
    assert main(["score", "r", truth, "-s", "3"]) == 2
    assert "average" not in capsys.readouterr().out
