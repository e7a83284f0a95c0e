"""Training data: luma, pairs, and samplers that lose, repeat and shift nothing."""

import re

import imageio.v3 as imageio
import numpy as np
import pytest

import pysrcnn.data
from pysrcnn.data import (
    degrade,
    luma,
    modcrop,
    pair,
    read_pairs,
)
from pysrcnn.resize import imresize
from pysrcnn.training import RandomCrops, SubImages


def picture_of(shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    if dtype in (np.uint8, np.uint16):
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return rng.random(shape).astype(dtype)


# -------------------------------------------------------------------------------------------- luma


@pytest.mark.parametrize(
    "rgb, level",
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81),  # 81.481
        ((0, 255, 0), 145),  # 144.553
        ((0, 0, 255), 41),  # 40.966
        ((128, 128, 128), 126),  # 125.93
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_luma_of_known_colours(rgb, level, dtype):
    picture = np.array([[rgb]], np.float64) / 255
    if dtype == np.uint8:
        picture = np.array([[rgb]], np.uint8)
    elif dtype == np.uint16:
        picture = np.array([[rgb]], np.uint16) * np.uint16(257)
    else:
        picture = picture.astype(dtype)
    assert luma(picture).shape == (1, 1) and luma(picture).dtype == np.float64
    assert luma(picture)[0, 0] * 255 == pytest.approx(level, abs=1e-12)


def test_luma_in_whole_numbers():
    """The formula times 255 000 is one of integers; ties are left out."""
    picture = picture_of((60, 70, 3))
    r, g, b = np.moveaxis(picture.astype(np.int64), 2, 0)
    exact = 16 * 255_000 + 65_481 * r + 128_553 * g + 24_966 * b
    tie = exact % 255_000 == 127_500
    levels = luma(picture) * 255
    assert np.abs(levels - np.rint(levels)).max() < 1e-12
    assert np.array_equal(np.rint(levels)[~tie], ((exact + 127_500) // 255_000)[~tie])


def test_luma_leaves_alpha_aside():
    picture = picture_of((5, 6, 4))
    assert np.array_equal(luma(picture), luma(picture[:, :, :3]))


def test_grey_is_luma_already():
    grey = picture_of((5, 6))
    assert np.abs(luma(grey) * 255 - grey).max() < 1e-12
    assert np.array_equal(luma(grey / 255), luma(grey))


def test_grey_of_16_bits_is_rounded_to_levels_of_8():
    grey = picture_of((20, 30), np.uint16)
    levels = luma(grey) * 255
    wanted = (grey.astype(np.int64) * 2 + 257) // 514  # grey / 257, halves up
    assert np.abs(levels - wanted).max() < 1e-12


# --------------------------------------------------------------------------------------- the pairs


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shape", [(12, 12), (13, 14), (15, 17, 3), (7, 100)])
def test_modcrop(shape, scale):
    picture = picture_of(shape)
    cropped = modcrop(picture, scale)
    height, width = cropped.shape[:2]
    assert height % scale == 0 and width % scale == 0
    assert 0 <= shape[0] - height < scale and 0 <= shape[1] - width < scale
    assert np.array_equal(cropped, picture[:height, :width])


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shape", [(24, 36), (24, 12, 3)])
def test_degrade_is_imresize_down_and_up(shape, scale):
    high = picture_of(shape, np.float64)
    small = imresize(high, scale=1 / scale)
    assert small.shape[:2] == (shape[0] // scale, shape[1] // scale)
    assert np.array_equal(degrade(high, scale), imresize(small, scale=scale))
    assert not np.allclose(degrade(high, scale), high, atol=0.1)


def test_degrade_keeps_what_has_no_detail():
    assert np.allclose(degrade(np.full((12, 18), 0.3), 3), 0.3, atol=1e-14)


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("shape", [(13, 17), (13, 17, 3), (13, 17, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pairs(shape, dtype, c):
    picture = picture_of(shape, dtype)
    low, high = pair(picture, 3, c)
    assert low.shape == high.shape == (c, 12, 15)
    assert low.dtype == high.dtype == np.float32
    assert low.flags.c_contiguous and high.flags.c_contiguous
    largest = np.iinfo(dtype).max if dtype != np.float32 else 1
    if c == 1:
        wanted = luma(picture)[None]
    elif len(shape) == 2:
        wanted = np.stack([picture / largest] * 3)
    else:
        wanted = np.moveaxis(picture[:, :, :3] / largest, 2, 0)
    wanted = wanted[:, :12, :15]
    assert np.abs(high - wanted).max() < 1e-7
    for plane, exact in zip(low, wanted, strict=True):
        assert np.abs(plane - degrade(exact.astype(np.float64), 3)).max() < 1e-6


def test_read_pairs_of_a_folder_and_of_files(tmp_path):
    pictures = {name: picture_of((20, 25 + i, 3), seed=i) for i, name in enumerate("bca")}
    for name, picture in pictures.items():
        imageio.imwrite(tmp_path / f"{name}.png", picture)
    (tmp_path / "notes.txt").write_text("not a picture")
    for paths in (tmp_path, str(tmp_path), [tmp_path / f"{name}.png" for name in "abc"]):
        pairs = read_pairs(paths, 2)
        assert len(pairs) == 3
        for name, (low, high) in zip("abc", pairs, strict=True):
            wanted = pair(pictures[name], 2)
            assert np.array_equal(low, wanted[0]) and np.array_equal(high, wanted[1])
    assert read_pairs(tmp_path, 2, c=3)[0][0].shape == (3, 20, 26)


def test_a_picture_too_small_is_named(tmp_path):
    imageio.imwrite(tmp_path / "large.png", picture_of((40, 40, 3)))
    imageio.imwrite(tmp_path / "small.png", picture_of((34, 50, 3)))
    assert len(read_pairs(tmp_path, 3, smallest=33)) == 2
    words = "small.png is 50 x 34 pixels, wanted at least 36 x 36 at scale 4: leave it out or"
    with pytest.raises(ValueError, match=re.escape(words)):
        read_pairs(tmp_path, 4, smallest=33)  # 34 rows are 32 after modcrop
    imageio.imwrite(tmp_path / "tiny.png", picture_of((2, 2, 3)))
    with pytest.raises(ValueError, match=re.escape("tiny.png is 2 x 2 pixels")):
        read_pairs(tmp_path, 3)


def test_bad_pictures_are_left_out_and_told(tmp_path, monkeypatch):
    for name in ("a", "b"):
        imageio.imwrite(tmp_path / f"{name}.png", picture_of((40, 40, 3)))
    imageio.imwrite(tmp_path / "small.png", picture_of((12, 50)))
    imageio.imwrite(tmp_path / "white.tif", np.full((40, 40), 255, np.float32))
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    told = []
    assert len(read_pairs(tmp_path, 2, smallest=20, on_error=told.append)) == 2
    half, small, white = map(str, told)
    assert "half.png is damaged: it ends too early" in half
    assert "small.png is 50 x 12 pixels, wanted at least 20 x 20" in small
    assert "white.tif's values go from 255 to 255: a floating point picture is in 0..1" in white

    def full(picture, *rest):
        raise MemoryError("Unable to allocate 8.00 TiB")

    monkeypatch.setattr(pysrcnn.data, "pair", full)
    told.clear()
    assert read_pairs([tmp_path / "a.png"], 2, on_error=told.append) == []
    assert str(told[0]).endswith("a.png takes more memory than there is: leave it out")


def test_folders_without_pictures(tmp_path):
    with pytest.raises(ValueError, match="no pictures in"):
        read_pairs(tmp_path, 3)
    with pytest.raises(FileNotFoundError, match="missing"):
        read_pairs(tmp_path / "missing", 3)
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="damaged.png is damaged or not a picture"):
        read_pairs(tmp_path, 3)


# ------------------------------------------------------------------------------------------ samples


def numbered(*shapes, c=1):
    """Pairs in which every pixel has its own number, high's being those of low plus a million."""
    pairs, first = [], 0
    for shape in shapes:
        low = np.arange(first, first + c * shape[0] * shape[1], dtype=np.float32)
        low = low.reshape(c, *shape)
        pairs.append((low, low + 1_000_000))
        first += low.size
    return pairs


def inner(x, margin):
    """The pixels of `x` (n, c, H, W) that are at least `margin` from its edge."""
    return x[:, :, margin : x.shape[2] - margin, margin : x.shape[3] - margin]


SHAPES = [(20, 31), (9, 9), (15, 10), (26, 9)]


def grid(size, stride, shapes=tuple(SHAPES)):
    """How many sub-images there are, by the formula."""
    return sum(((h - size) // stride + 1) * ((w - size) // stride + 1) for h, w in shapes)


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("size, stride, margin", [(9, 4, 2), (7, 7, 3), (8, 1, 0), (9, 100, 4)])
def test_sub_images(size, stride, margin, c):
    pairs = numbered(*SHAPES, c=c)
    samples = SubImages(pairs, size, stride, margin)
    n = grid(size, stride)
    assert samples.low.shape == (n, c, size, size)
    assert samples.high.shape == (n, c, size - 2 * margin, size - 2 * margin)
    assert samples.low.dtype == samples.high.dtype == np.float32
    assert np.array_equal(samples.high, inner(samples.low, margin) + 1_000_000)
    corners = []
    for low, _ in pairs:
        rows = range(0, low.shape[1] - size + 1, stride)
        columns = range(0, low.shape[2] - size + 1, stride)
        corners += [low[0, i, j] for i in rows for j in columns]
        if corners[-1] == low[0, rows[-1], columns[-1]]:
            last = low[:, rows[-1] :, columns[-1] :][:, :size, :size]
            assert np.array_equal(samples.low[len(corners) - 1], last)
    assert samples.low[:, 0, 0, 0].tolist() == corners


def test_the_sub_images_of_the_paper_are_the_default():
    samples = SubImages(numbered((50, 61)))
    assert samples.low.shape == (2 * 3, 1, 33, 33) and samples.high.shape == (6, 1, 21, 21)


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_every_sub_image_comes_once_an_epoch(size):
    samples = SubImages(numbered(*SHAPES), 8, 4, 1, seed=3)
    n, epochs = len(samples.low), 4
    steps = -(-epochs * n // size)
    batches = [samples.batch(step, size) for step in range(steps)]
    low, high = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert all(len(a) == len(b) == size for a, b in batches)
    assert np.array_equal(high, inner(low, 1) + 1_000_000)
    corners = low[: epochs * n, 0, 0, 0].reshape(epochs, n)
    wanted = np.sort(samples.low[:, 0, 0, 0])
    for epoch in corners:
        assert np.array_equal(np.sort(epoch), wanted)
        assert not np.array_equal(epoch, wanted)
    assert len({tuple(epoch) for epoch in corners}) == epochs  # each in its own order


@pytest.mark.parametrize("scale, count", [(2, 21_910), (3, 21_884), (4, 21_772)])
def test_t91_gives_as_many_sub_images_as_the_authors_script(data_folder, scale, count):
    pairs = read_pairs(data_folder("T91"), scale, smallest=33)
    samples = SubImages(pairs)
    assert len(pairs) == 91
    assert samples.low.shape == (count, 1, 33, 33) and samples.high.shape == (count, 1, 21, 21)
    assert 0 < np.mean((inner(samples.low, 6) - samples.high) ** 2) < 0.01  # low is high, blurred


# ------------------------------------------------------------------------------------ random crops


def original_and_turn(crop, pairs):
    """Where a numbered crop (c, s, s) comes from: (picture, row, column), and how it was turned."""
    ways = [  # in terms of rows and columns, not of quarter turns
        lambda x: x,
        lambda x: x[:, ::-1],
        lambda x: x[:, :, ::-1],
        lambda x: x[:, ::-1, ::-1],
    ]
    size = crop.shape[1]
    number = crop.min()
    for index, (low, _) in enumerate(pairs):
        where = np.argwhere(low[0] == number)
        if len(where):
            i, j = where[0]
            wanted = low[:, i : i + size, j : j + size]
            for turn in range(8):
                x = crop.transpose(0, 2, 1) if turn >= 4 else crop
                if np.array_equal(ways[turn % 4](x), wanted):
                    return (index, int(i), int(j)), turn
    raise AssertionError("this crop is from no picture")


@pytest.mark.parametrize("c", [1, 3])
def test_random_crops_are_of_the_pictures_and_high_is_their_centre(c):
    pairs = numbered(*SHAPES, c=c)
    samples = RandomCrops(pairs, 8, 2, seed=5)
    places, turns = [], []
    for step in range(25):
        low, high = samples.batch(step, 40)
        assert low.shape == (40, c, 8, 8) and high.shape == (40, c, 4, 4)
        assert low.dtype == high.dtype == np.float32
        assert np.array_equal(high, inner(low, 2) + 1_000_000)
        for crop in low:
            place, turn = original_and_turn(crop, pairs)
            places.append(place)
            turns.append(turn)
    assert chi_square(np.bincount(turns, minlength=8))
    pictures = np.bincount([place[0] for place in places])
    assert chi_square(pictures, [(h - 7) * (w - 7) for h, w in SHAPES])


def chi_square(counts, weights=None):
    """Whether counts are as their expectations, within five standard deviations of chi^2."""
    weights = np.ones(len(counts)) if weights is None else np.array(weights, float)
    expected = sum(counts) * weights / weights.sum()
    statistic = np.sum((counts - expected) ** 2 / expected)
    free = len(counts) - 1
    return statistic < free + 5 * np.sqrt(2 * free)


def test_chi_square_sees_what_is_not_uniform():
    assert chi_square(np.array([101, 99, 100, 100]))
    assert not chi_square(np.array([180, 100, 100, 20]))
    assert not chi_square(np.array([100, 100]), [1, 3])


def test_every_place_is_equally_likely_edges_too():
    pairs = numbered((9, 11), (8, 8), (10, 8))
    samples = RandomCrops(pairs, 8, 2, seed=6)
    counts = {}
    for crop in samples.batch(0, 4000)[0]:
        place = original_and_turn(crop, pairs)[0]
        counts[place] = counts.get(place, 0) + 1
    assert len(counts) == 2 * 4 + 1 + 3 * 1
    assert chi_square(np.array(list(counts.values())))


def test_a_picture_that_is_one_crop():
    low, high = RandomCrops(numbered((8, 8)), 8, 0).batch(0, 50)
    assert np.array_equal(high, low + 1_000_000)
    assert len({crop.tobytes() for crop in low}) == 8


# ---------------------------------------------------------------------------------------- both


@pytest.mark.parametrize("make", [SubImages, RandomCrops])
def test_a_batch_depends_on_seed_and_step_alone(make):
    def new(seed):
        return make(numbered(*SHAPES), size=8, margin=2, seed=seed)

    samples = new(1)
    batches = [samples.batch(step, 7) for step in range(30)]
    shuffled = new(1)
    for step in np.random.default_rng(0).permutation(30):
        for ours, wanted in zip(shuffled.batch(int(step), 7), batches[step], strict=True):
            assert np.array_equal(ours, wanted)
            assert ours.flags.c_contiguous
    again, other = new(1).batch(4, 7), new(2).batch(4, 7)
    assert np.array_equal(again[0], batches[4][0])
    assert not np.array_equal(other[0], batches[4][0])
    assert len({low.tobytes() for low, _ in batches}) == 30


@pytest.mark.parametrize("make", [SubImages, RandomCrops])
def test_pictures_stay_as_they_are(make):
    pairs = numbered(*SHAPES)
    samples = make(pairs, size=8, margin=2)
    low, high = samples.batch(0, 9)
    low[...], high[...] = -1, -1
    for ours, wanted in zip(pairs, numbered(*SHAPES), strict=True):
        assert np.array_equal(ours[0], wanted[0]) and np.array_equal(ours[1], wanted[1])
    assert samples.batch(0, 9)[0].min() >= 0


@pytest.mark.parametrize("make", [SubImages, RandomCrops])
def test_sizes_are_checked(make):
    words = "sub-images of 12 pixels leave nothing after the network's margin of 6 on each side"
    with pytest.raises(ValueError, match=re.escape(words)):
        make(numbered((20, 20)), size=12, margin=6)
    make(numbered((20, 20)), size=13, margin=6)
    words = "a training picture is 9 x 20 pixels, smaller than a sub-image of 13 x 13"
    with pytest.raises(ValueError, match=re.escape(words)):
        make(numbered((30, 30), (20, 9)), size=13, margin=6)
    with pytest.raises(ValueError, match="no training pictures"):
        make([], size=13, margin=6)
