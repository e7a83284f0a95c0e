"""Degraded pictures: what is done to them, and training on them."""

import contextlib
import itertools
import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest

import pysrcnn.training.stream
from pysrcnn import cli, load, upscale
from pysrcnn.color import rgb_to_luma
from pysrcnn.command import train as command_train
from pysrcnn.data import pair, read_pair
from pysrcnn.evaluate import mean_psnr
from pysrcnn.metrics import psnr
from pysrcnn.networks import EDSR
from pysrcnn.pictures import read_picture, write_picture
from pysrcnn.training import (
    DEGRADATIONS,
    RECIPES,
    Degradation,
    RandomCrops,
    Recipe,
    Training,
    fit,
    read_log,
    train,
)
from pysrcnn.training.degradation import AROUND, BLOCK, blur, jpeg, noise
from pysrcnn.training.split import Split, read
from pysrcnn.training.stream import Stream

PHOTO = DEGRADATIONS["photo"]
NEVER = Degradation(blurred=0, noisy=0, compressed=0)
ALWAYS_JPEG = replace(NEVER, compressed=1, quality=(30, 30), subsampled=0)
TINY = replace(RECIPES["photo"], depth=1, width=8, size=12, batch=4, steps=8, warmup=2, average=0.5)


def clouds(c, height, width, seed=0):
    """Smooth, with colours of their own and grains, 0..1: float32 (c, H, W)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [
        0.5 + 0.3 * np.sin(x / rng.uniform(3, 9) + k) * np.cos(y / rng.uniform(3, 9))
        for k in range(c)
    ]
    return np.clip(np.float32(planes) + rng.normal(0, 0.02, (c, height, width)), 0, 1).astype("f4")


def pairs_of(c=3, scale=2, shapes=((30, 41), (24, 27))):
    pictures = [clouds(3, scale * h, scale * w, k) for k, (h, w) in enumerate(shapes)]
    return [pair(p.transpose(1, 2, 0), scale, c, small=True) for p in pictures]


def rng(seed=0):
    return np.random.default_rng(seed)


# --------------------------------------------------------------------------------- what is done


def test_blur_is_a_gaussian_and_leaves_what_is_even():
    x = np.zeros((1, 17, 21), np.float32)
    x[0, 8, 10] = 1
    out = blur(x, 0.8)
    y = np.arange(-4, 5)
    wanted = np.exp(-0.5 * (y / 0.8) ** 2)
    wanted /= wanted.sum()
    assert np.allclose(out[0, 4:13, 6:15], np.outer(wanted, wanted), atol=1e-7)
    assert out.sum() == pytest.approx(1, abs=1e-6)
    even = np.full((3, 1, 5), 0.25, np.float32)
    assert np.allclose(blur(even, 1.0), even, atol=1e-7) and blur(even, 1.0).dtype == np.float32


@pytest.mark.parametrize("level", [1.0, 8.0])
def test_noise_is_as_strong_as_it_says_and_grows_with_the_light(level):
    grey = np.full((3, 200, 200), 0.5, np.float32)
    found = noise(grey, level, rng())
    assert 255 * np.std(found - grey) == pytest.approx(level, rel=0.03)
    assert np.mean(found) == pytest.approx(0.5, abs=0.002)
    linear = [np.full((3, 200, 200), v, np.float32) for v in (0.25, 0.9)]
    light = [((v + 0.055) / 1.055) ** 2.4 for v in linear]
    noisy = [((noise(v, level, rng()) + 0.055) / 1.055) ** 2.4 for v in linear]
    variance = [np.var(a - b) for a, b in zip(noisy, light, strict=True)]
    parts = [float(v.flat[0]) + 0.002 for v in light]
    assert variance[1] / variance[0] == pytest.approx(parts[1] / parts[0], rel=0.1)
    dark = noise(np.zeros((3, 50, 50), np.float32), level, rng())
    assert 0 < dark.mean() < 2 * level / 255 and dark.min() == 0


def test_noise_of_luma_is_that_of_its_colours():
    grey = np.full((200, 200, 3), 0.5, np.float32)
    of_colours = rgb_to_luma(noise(grey.transpose(2, 0, 1), 5, rng()).transpose(1, 2, 0))
    luma = noise(rgb_to_luma(grey)[None], 5, rng())
    assert np.std(luma) == pytest.approx(np.std(of_colours), rel=0.03)


@pytest.mark.parametrize("quality", [1, 30, 95, 100])
def test_jpeg_of_luma_is_the_luma_of_jpeg(quality):
    """But for its 8 bits a channel, and colours that leave 0..1."""
    colour = 0.25 + 0.5 * clouds(3, 64, 48)
    luma = rgb_to_luma(jpeg(colour, quality, False).transpose(1, 2, 0))
    of_luma = jpeg(rgb_to_luma(colour.transpose(1, 2, 0))[None], quality)[0]
    assert np.abs(luma - of_luma).mean() < 1.5 / 255
    grey = np.repeat(rgb_to_luma(colour.transpose(1, 2, 0))[None], 3, 0)
    loss = np.abs(of_luma - grey[0]).mean()
    if quality <= 30:
        assert np.abs(luma - of_luma).mean() < loss / 4


def test_jpeg_loses_more_at_lower_quality_and_where_chroma_is_halved():
    x = clouds(3, 61, 47)
    found = {
        (q, half): np.mean((jpeg(x, q, half) - x) ** 2)
        for q, half in itertools.product((30, 50, 75, 95, 100), (False, True))
    }
    for half in (False, True):
        errors = [found[q, half] for q in (30, 50, 75, 95)]
        assert errors == sorted(errors, reverse=True) and errors[3] > 0
    assert found[100, False] < found[100, True] / 10  # the colours of grains are lost
    grey = np.repeat(clouds(1, 61, 47), 3, 0)
    assert np.array_equal(jpeg(grey, 95, True), jpeg(grey, 95, False))


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (7, 3), (33, 50)])
def test_all_sizes(c, shape):
    x = clouds(c, *shape)
    out = jpeg(noise(blur(x, 0.5), 2, rng()), 80)
    assert out.shape == x.shape and out.dtype == np.float32 and np.isfinite(out).all()
    always = Degradation(blurred=1, noisy=1, compressed=1)
    assert always(x, rng()).shape == x.shape


def test_each_is_done_as_often_as_it_says_and_some_stay_as_they_are():
    x = clouds(3, 8, 8)
    unchanged = sum(PHOTO(x, rng(k)) is x for k in range(1000)) / 1000
    assert unchanged == pytest.approx((1 - 0.3) * (1 - 0.4) * (1 - 0.75), abs=0.03)
    assert all(NEVER(x, rng(k)) is x for k in range(20))


def test_what_is_degraded_is_worse():
    x = clouds(3, 40, 40)
    clean, kinds = 255 * x, ("blurred", "noisy", "compressed")
    for kind in kinds:
        degradation = replace(NEVER, **{kind: 1})
        for seed in range(5):
            assert psnr(255 * degradation(x, rng(seed)), clean) < 55, kind


def test_the_order_is_that_of_a_camera(monkeypatch):
    order = []
    for name in ("blur", "noise", "jpeg"):
        monkeypatch.setattr(
            pysrcnn.training.degradation, name, lambda x, *_, name=name: order.append(name) or x
        )
    Degradation(blurred=1, noisy=1, compressed=1)(clouds(1, 2, 2), rng())
    assert order == ["blur", "noise", "jpeg"]


def test_qualities_are_within_their_limits(monkeypatch):
    used = []
    monkeypatch.setattr(
        pysrcnn.training.degradation, "jpeg", lambda x, q, half: used.append((q, half)) or x
    )
    degradation = replace(NEVER, compressed=1, quality=(93, 95), subsampled=0.5)
    for seed in range(60):
        degradation(clouds(1, 2, 2), rng(seed))
    assert set(used) == set(itertools.product((93, 94, 95), (False, True)))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"blurred": 1.1}, "blurred is 1.1, wanted 0 to 1"),
        ({"noisy": float("nan")}, "noisy is nan, wanted 0 to 1"),
        (
            {"quality": (0, 95)},
            "quality is (0, 95), wanted two whole numbers, 1 to 100, least first",
        ),
        ({"quality": (30, 101)}, "quality is (30, 101), wanted two whole numbers"),
        ({"quality": (60, 30)}, "quality is (60, 30), wanted two whole numbers"),
        ({"quality": (30.5, 60)}, "quality is (30.5, 60), wanted two whole numbers"),
        ({"sigma": (0.3, 1.5)}, "sigma is (0.3, 1.5), wanted two numbers, 0.1 to 1"),
        ({"noise": (0.0, 5)}, "noise is (0.0, 5), wanted two numbers, 0.1 to 100"),
        ({"sigma": 0.5}, "sigma is 0.5, wanted two numbers, 0.1 to 1"),
        ({"noise": (1, 2, 3)}, "noise is (1, 2, 3), wanted two numbers"),
        ({"noise": (1, (2, 3))}, "noise is (1, (2, 3)), wanted two numbers"),
        ({"sigma": ("a", "b")}, "sigma is ('a', 'b'), wanted two numbers"),
        ({"sigma": None}, "sigma is None, wanted two numbers"),
        ({"quality": (True, True)}, "quality is (True, True), wanted two whole numbers"),
        ({"blurred": "x"}, "blurred is 'x', wanted 0 to 1"),
        ({"subsampled": True}, "subsampled is True, wanted 0 to 1"),
    ],
)
def test_degradations_that_are_none(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        replace(PHOTO, **changes)


# -------------------------------------------------------------------------------------- of crops


def test_blocks_begin_anywhere_in_a_crop():
    """In a ramp, compressed hard, steps are where blocks meet."""
    side = 24
    y, x = np.mgrid[: side + 2 * AROUND, : side + 2 * AROUND]
    piece = np.float32(0.2 + (x + y) / 400)[None]
    coarse = replace(ALWAYS_JPEG, quality=(1, 1))
    found = set()
    for seed in range(60):
        out = coarse.crop(piece, rng(seed))
        assert out.shape == (1, side, side)
        steps = np.abs(np.diff(out[0], axis=1)).sum(axis=0)
        (places,) = np.nonzero(steps > 1e-6)
        assert len({(k + 1) % 8 for k in places}) == 1, places
        found.add((places[0] + 1) % 8)
    assert found == set(range(8))


@pytest.mark.parametrize("c", [1, 3])
def test_a_crop_is_what_it_would_be_in_the_whole_picture(c):
    """Blurred with the pixels around it, and compressed in whole blocks that begin somewhere."""
    side, first = 9, 3 * BLOCK  # far from the edges of the picture
    picture = clouds(c, 7 * BLOCK, 7 * BLOCK)
    around = slice(first - AROUND, first + side + AROUND)
    always = replace(NEVER, blurred=1, sigma=(1, 1), compressed=1, quality=(30, 30), subsampled=1)
    blurred = blur(picture, 1.0)
    places = [(i, j) for i in range(BLOCK) for j in range(BLOCK)]
    wanted = {
        jpeg(blurred[:, i:, j:], 30)[:, first - i :, first - j :][:, :side, :side].tobytes()
        for i, j in places
    }
    assert len(wanted) >= (64 if c == 1 else 200)  # luma has blocks of 8
    crops = {always.crop(picture[:, around, around], rng(seed)).tobytes() for seed in range(30)}
    assert len(crops) > 20 and crops <= wanted


def test_a_crop_has_the_noise_of_its_own_light():
    noisy = replace(NEVER, noisy=1, noise=(5, 5))
    piece = clouds(3, 60 + 2 * AROUND, 60 + 2 * AROUND)
    crop = noisy.crop(piece, rng())
    difference = crop - piece[:, AROUND:-AROUND, AROUND:-AROUND]
    assert crop.shape == (3, 60, 60) and 255 * np.std(difference) == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("c", [1, 3])
def test_batches_follow_from_seed_and_step_and_are_of_the_same_places(c, scale):
    pairs = pairs_of(c, scale)
    clean, one, same, other = (
        RandomCrops(pairs, 16, 0, seed, degradation)
        for seed, degradation in ((0, None), (0, PHOTO), (0, PHOTO), (1, PHOTO))
    )
    one.batch(0, 8)
    for step in (5, 2):
        low, high = one.batch(step, 8)
        assert low.shape == (8, c, 16, 16) and high.shape == (8, c, 16 * scale, 16 * scale)
        assert low.dtype == high.dtype == np.float32
        for ours, theirs in zip((low, high), same.batch(step, 8), strict=True):
            assert ours.tobytes() == theirs.tobytes()
        assert not np.array_equal(other.batch(step, 8)[0], low)
        clean_low, clean_high = clean.batch(step, 8)
        assert np.array_equal(high, clean_high) and not np.array_equal(low, clean_low)
    never = RandomCrops(pairs, 16, 0, 0, NEVER).batch(3, 8)
    assert all(np.array_equal(a, b) for a, b in zip(never, clean.batch(3, 8), strict=True))


def test_a_picture_that_is_one_crop_has_its_edges_repeated():
    pairs = pairs_of(shapes=((16, 16),))
    low, _ = RandomCrops(pairs, 16, 0, 0, PHOTO).batch(0, 32)
    assert len({x.tobytes() for x in low}) > 20 and np.isfinite(low).all()


def test_samples_of_a_batch_have_chances_of_their_own():
    pairs = [(np.full((3, 16, 16), 0.5, np.float32), np.full((3, 32, 32), 0.5, np.float32))]
    noisy = replace(NEVER, noisy=1)
    crops = [RandomCrops(pairs, 16, 0, seed, noisy) for seed in (0, 1)]
    low = np.concatenate([some.batch(step, 6)[0] for some in crops for step in (0, 1)])
    assert len({x.tobytes() for x in low}) == 24
    assert len({f"{np.std(x):.3g}" for x in low}) > 3


# -------------------------------------------------------------------------------------- training


def run(training, steps=None):
    return [p.loss for p in itertools.islice(training.run(), steps)]


@pytest.mark.parametrize("network", ["edsr", "espcn"])
@pytest.mark.parametrize("c", [1, 3])
def test_stopped_and_gone_on_is_never_having_stopped(network, c, tmp_path):
    recipe = replace(TINY, c=c)
    if network == "espcn":
        recipe = replace(
            RECIPES["espcn"], c=c, filters=(9, 8), steps=8, batch=4, size=12, degradation=PHOTO
        )
    whole, stopped, later = (Training(recipe, pairs_of(c), scale=2) for _ in range(3))
    losses = run(whole)
    first = run(stopped, 3)
    stopped.save(tmp_path / "checkpoint.npz")
    later.load(tmp_path / "checkpoint.npz")
    assert first + run(later) == losses
    for name, p in whole.network.parameters.items():
        assert p.tobytes() == later.network.parameters[name].tobytes()
    clean = Training(replace(recipe, degradation=None), pairs_of(c), scale=2)
    with pytest.raises(ValueError, match="was made with another recipe: degradation {'blurred'"):
        clean.load(tmp_path / "checkpoint.npz")
    assert run(clean) != losses


def test_it_learns_to_remove_noise():
    strong = replace(NEVER, noisy=1, noise=(8, 10))
    recipe = replace(TINY, steps=150, size=16, learning_rate=1e-2, degradation=strong)
    pairs = pairs_of()
    noisy = [(noise(low, 9, rng(k)), high) for k, (low, high) in enumerate(pairs)]
    networks = []
    for degradation in (recipe.degradation, None):
        training = Training(replace(recipe, degradation=degradation), pairs, scale=2)
        run(training)
        networks.append(training.result())
    ours, clean = (mean_psnr(network, noisy, 2) for network in networks)
    assert ours > clean + 1 and ours > mean_psnr(None, noisy, 2)


def test_streaming_gives_what_crops_of_its_part_give(tmp_path, monkeypatch):
    monkeypatch.setattr(pysrcnn.training.stream, "PART", 3)
    monkeypatch.setattr(pysrcnn.training.stream, "TAKEN", 4)
    for k in range(3):
        pixels = np.uint8(255 * clouds(3, 40 + k, 44, k)).transpose(1, 2, 0)
        write_picture(tmp_path / f"{k}.png", pixels)
    paths = sorted(tmp_path.glob("*.png"))
    training = []
    for _ in range(2):
        stream = Stream(paths, 2, 3, smallest=24, seed=0, small=True)
        training.append((Training(TINY, stream, scale=2), stream))
    try:
        (first, stream), (second, _) = training
        batches = [first.batch(step, 4) for step in range(6)]  # two parts
        low, high = second.batch(5, 4)
        assert np.array_equal(low, batches[5][0]) and np.array_equal(high, batches[5][1])
        order = pysrcnn.training.stream._order(0, 0, 3)
        pairs = [read_pair(paths[k], 2, 3, small=True) for k in order]
        wanted = RandomCrops(pairs, 12, 0, 0, PHOTO)
        for step in range(3):
            for ours, theirs in zip(batches[step], wanted.batch(step, 4), strict=True):
                assert ours.tobytes() == theirs.tobytes()
    finally:
        for _, stream in training:
            stream.close()


def test_psnr_is_measured_on_pictures_that_are_degraded_once(tmp_path):
    for k in range(4):
        write_picture(
            tmp_path / f"{k}.png", np.uint8(255 * clouds(3, 60, 70, k)).transpose(1, 2, 0)
        )
    paths = sorted(tmp_path.glob("*.png"))
    parts = Split(paths[:1], paths[1:], False, True)
    recipes = (
        replace(TINY, degradation=replace(PHOTO, noisy=1)),
        replace(TINY, degradation=replace(PHOTO, noisy=1), seed=1),
        replace(TINY, degradation=None),
    )
    found = [read(parts, recipe, (2,))[1] for recipe in recipes]
    for (low, high), (again, _), (clean, same) in zip(*found, strict=True):
        assert np.array_equal(low, again) and np.array_equal(high, same)
        assert psnr(255 * low, 255 * clean) < 50
    trained_on = [read(parts, recipe, (2,))[0][0][0] for recipe in recipes]
    assert np.array_equal(trained_on[0], trained_on[2])  # degraded at each crop anew, not here


def test_the_card_and_the_log_say_how_pictures_were_degraded(tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    kinds = {
        "grey": clouds(1, 60, 70)[0], "rgb": clouds(3, 61, 70).transpose(1, 2, 0),
        "alpha": clouds(4, 60, 71).transpose(1, 2, 0),
    }  # fmt: skip
    for name, picture in kinds.items():
        write_picture(tmp_path / "pictures" / f"{name}.png", np.uint8(255 * picture))
    deep = np.uint16(65535 * clouds(1, 60, 70)[0])
    write_picture(tmp_path / "pictures" / "deep.png", deep)
    write_picture(tmp_path / "pictures" / "one_crop.png", np.uint8(255 * clouds(1, 24, 25)[0]))
    told = []
    network = train(
        [tmp_path / "pictures"], tmp_path / "mine.npz", 2, TINY, every=4, on_skipped=told.extend
    )
    assert told == [] and "none of which it trains on, degraded likewise" in capsys.readouterr().out
    card = load(tmp_path / "mine.npz").card
    assert card["recipe"]["degradation"] == json.loads(json.dumps(asdict(PHOTO)))
    assert card["recipe"] == network.card["recipe"]
    head, lines = read_log(tmp_path / "mine.log")
    assert head["recipe"]["degradation"]["quality"] == [30, 95] and len(lines) == 2


def test_a_log_from_before_there_was_degradation_goes_on(tmp_path):
    recipe, pairs = replace(TINY, degradation=None), pairs_of()
    places = tmp_path / "a.checkpoint", tmp_path / "a.log"
    training = Training(recipe, pairs, scale=2)
    run(training, 4)
    training.save(places[0])
    fit(training, pairs, *places, every=4)
    head, lines = read_log(places[1])
    del head["recipe"]["degradation"]
    places[1].write_text("".join(json.dumps(line) + "\n" for line in [head, lines[0]]))
    again = Training(recipe, pairs, scale=2)
    again.load(places[0])
    fit(again, pairs, *places, every=4)
    assert [line["step"] for line in read_log(places[1])[1]] == [8]
    degraded = Training(replace(TINY, steps=9), pairs, scale=2)
    degraded.step = 8
    with pytest.raises(
        ValueError, match=r"a\.log belongs to another training, which differs in its recipe"
    ):
        fit(degraded, pairs, *places, every=4)


def test_what_cannot_be_degraded_is_refused():
    for name in ("srcnn", "vdsr", "drcn"):
        keep = name == "srcnn"
        with pytest.raises(ValueError, match=f"only small pictures .* {name} takes enlarged ones"):
            Recipe(network=name, depth=2, width=2, keep_ends=keep, degradation=PHOTO)
    with pytest.raises(ValueError, match="only crops at random places are degraded: leave st"):
        replace(TINY, stride=14)
    with pytest.raises(ValueError, match=r"degradation is 'photo', wanted None or one such as DEG"):
        replace(TINY, degradation="photo")


# ------------------------------------------------------------------------------------ the command


def test_options_of_the_command():
    def recipe(*more):
        options = cli.parser().parse_args(["train", "a", "-s", "2", "-o", "b.npz", *more])
        return command_train._recipe(options)

    assert recipe("--recipe", "photo") == RECIPES["photo"]
    assert RECIPES["photo"] == replace(
        RECIPES["edsr-s"], c=3, steps=RECIPES["photo"].steps, degradation=PHOTO
    )
    photo = recipe("--network", "edsr", "--channels", "3", "--degradation", "photo")
    assert photo == replace(RECIPES["edsr-s"], c=3, degradation=PHOTO)
    assert recipe("--recipe", "photo", "--degradation", "none").degradation is None
    assert recipe("--network", "espcn", "--degradation", "photo").degradation == PHOTO
    for more in ((), ("--network", "vdsr"), ("--recipe", "vespcn")):
        with pytest.raises(ValueError, match="leave degradation out, or train espcn, edsr or srre"):
            recipe(*more, "--degradation", "photo")


def test_photo_is_what_is_shipped_by_that_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pysrcnn.networks.loading, "_WEIGHTS", tmp_path / "weights")
    (tmp_path / "weights").mkdir()

    def said(*words):
        with contextlib.suppress(SystemExit):
            assert cli.main(words) == 0
        return " ".join(capsys.readouterr().out.split())

    sentence = "photo for photographs with noise or JPEG, the others for clean pictures"
    assert sentence not in said("upscale", "--help")
    network = EDSR(2, 1, 8, 3)
    network.card = {"data": "some, 2 pictures", "recipe": TINY.as_dict()}
    network.save(tmp_path / "weights" / "photo_x2.npz")
    network.card["recipe"]["degradation"] = None
    network.save(tmp_path / "weights" / "clean_x2.npz")
    assert sentence in said("upscale", "--help") and sentence in said("evaluate", "--help")
    info = said("info")
    assert "photo x2 some, 2 pictures, degraded" in info and "clean x2 some, 2 pictures p" in info
    picture = np.uint8(255 * clouds(3, 20, 23)).transpose(1, 2, 0)
    write_picture("a.png", picture)
    for more in (("-s", "2"), ()):
        assert "x2" in said("upscale", "a.png", "-m", "photo", *more)
        assert np.array_equal(read_picture("a_x2.png"), upscale(picture, 2, network))
