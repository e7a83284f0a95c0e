"""Sparse coding: codes that are optimal, the same function three times, dictionaries learned."""

import itertools
import json
import pickle
import re

import numba
import numpy as np
import pytest
from rungs import JIT, compiled_only

from pysrcnn import SRCNN, kernels, load, reference, upscale
from pysrcnn.data import pair, read_pairs
from pysrcnn.evaluate import average, evaluate, mean_psnr
from pysrcnn.formats import write_weights
from pysrcnn.networks import shipped, sparse
from pysrcnn.networks.sparse import SparseCoding, fista, ista, soft_threshold, sparse_codes
from pysrcnn.pictures import write_picture
from pysrcnn.training import dictionary
from pysrcnn.training.dictionary import DictionaryRecipe, learn
from pysrcnn.upscaling.steps import Step


def dictionary_of(entries, atoms, dtype=np.float64, seed=0):
    d = np.random.default_rng(seed).normal(size=(entries, atoms))
    return (d / np.linalg.norm(d, axis=0)).astype(dtype)


def model_of(f=3, g=3, entries=5, atoms=9, dtype=np.float64, seed=0, **card):
    """Random dictionaries, of which every number matters."""
    rng = np.random.default_rng(seed)
    parameters = {
        "P": rng.normal(size=(entries, 4, f, f)).astype(dtype),
        "D_l": dictionary_of(entries, atoms, dtype, seed),
        "D_h": (0.1 * rng.normal(size=(g * g, atoms))).astype(dtype),
    }
    return SparseCoding(parameters, {"penalty": 0.2, "steps": 3, **card})


def picture(height, width, n=1, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).random((n, 1, height, width)).astype(dtype)


# ------------------------------------------------------------------------------------ sparse codes


def test_soft_threshold_minimises_what_it_says():
    a = np.linspace(-3, 3, 60_001)
    for x, t in itertools.product((-2.0, -0.3, 0.0, 0.5, 1.7), (0.0, 0.5, 1.0)):
        best = a[np.argmin(0.5 * (a - x) ** 2 + t * np.abs(a))]
        assert abs(soft_threshold(np.array([x]), t)[0] - best) < 1e-4


@pytest.mark.parametrize("momentum", [ista, fista])
def test_codes_are_the_minimum_in_the_end(momentum):
    """At the minimum, D^T (y - D a) is penalty sign(a) where a is not 0, and at most that else."""
    d, penalty = dictionary_of(8, 20), 0.3
    y = np.random.default_rng(1).normal(size=(8, 50))
    codes = sparse_codes(y, d, penalty, momentum(3000))
    slope = d.T @ (y - d @ codes)
    some = codes != 0
    assert 0.05 < some.mean() < 0.5
    assert np.abs(slope[some] - penalty * np.sign(codes[some])).max() < 1e-6
    assert np.abs(slope[~some]).max() <= penalty + 1e-6


def test_fista_gets_there_in_fewer_steps():
    d, penalty = dictionary_of(8, 20), 0.1
    y = np.random.default_rng(1).normal(size=(8, 50))

    def loss(codes):
        return 0.5 * np.sum((y - d @ codes) ** 2) + penalty * np.abs(codes).sum()

    least = loss(sparse_codes(y, d, penalty, fista(3000)))
    slow, fast = (loss(sparse_codes(y, d, penalty, way(30))) - least for way in (ista, fista))
    assert 0 < fast < slow / 3


def test_the_momentum_of_fista():
    assert not ista(3).any()
    t2 = (1 + 5**0.5) / 2
    t3 = (1 + (1 + 4 * t2 * t2) ** 0.5) / 2
    assert fista(2) == pytest.approx([0, (t2 - 1) / t3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "entries, atoms, n, penalty", [(3, 7, 1, 0.1), (8, 24, 130, 0.3), (9, 40, 49, 0)]
)
def test_kernels_are_the_definition(entries, atoms, n, penalty, dtype):
    d = dictionary_of(entries, atoms, dtype)
    rng = np.random.default_rng(1)
    y = rng.normal(size=(entries, n)).astype(dtype)
    high = rng.normal(size=(25, atoms)).astype(dtype)
    for momentum in (ista(4), fista(4)):
        want = sparse_codes(y, d, penalty, momentum)
        # Each step sums entries + atoms products, and is no larger than the last by much.
        room = 4 * len(momentum) * (entries + atoms) * np.finfo(dtype).eps
        codes = kernels.sparse_codes(y, d, penalty, momentum)
        assert codes.dtype == want.dtype == dtype and codes.shape == (atoms, n)
        assert np.abs(codes - want).max() <= room * np.abs(y).max()
        patches = kernels.sparse_patches(y, d, high, penalty, momentum)
        want = sparse.sparse_patches(y, d, high, penalty, momentum)
        assert patches.dtype == dtype
        assert np.abs(patches - want).max() <= 4 * atoms * room * np.abs(y).max()


def test_a_patch_has_the_same_bits_wherever_it_stands():
    d, high = dictionary_of(8, 20, np.float32), dictionary_of(9, 20, np.float32)
    y = np.random.default_rng(1).normal(size=(8, 1000)).astype(np.float32)
    whole = kernels.sparse_patches(y, d, high, 0.1, fista(5))
    for first, last in ((1, 1000), (17, 18), (333, 950)):
        part = kernels.sparse_patches(y[:, first:last], d, high, 0.1, fista(5))
        assert np.array_equal(part, whole[:, first:last])
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert np.array_equal(kernels.sparse_patches(y, d, high, 0.1, fista(5)), whole)
    finally:
        numba.set_num_threads(before)


def test_kernels_refuse_what_does_not_fit():
    d, y = dictionary_of(8, 20), np.zeros((8, 5))
    with pytest.raises(ValueError, match=re.escape("y has the shape (7, 5), wanted (8, n)")):
        kernels.sparse_codes(y[:7], d, 0.1, fista(2))
    with pytest.raises(ValueError, match=re.escape("high has the shape (9, 8), wanted (G, 20)")):
        kernels.sparse_patches(y, d, np.zeros((9, 8)), 0.1, fista(2))
    with pytest.raises(TypeError, match="float32 or float64, not in complex128"):
        kernels.sparse_codes(y * 1j, d, 0.1, fista(2))


# ------------------------------------------------------------------- the same function three times


def one_by_one(x, model, momentum):
    """Sparse-coding super-resolution with loops over patches, as the method is told."""
    projection, low, high = (model.parameters[name] for name in ("P", "D_l", "D_h"))
    f, g = projection.shape[2], round(len(high) ** 0.5)
    height, width = x.shape
    total, count = np.zeros_like(x), np.zeros_like(x)
    reach = f // 2 + 2
    for i in range(reach, height - reach):
        for j in range(reach, width - reach):
            features = np.empty((4, f, f))
            for u in range(f):
                for v in range(f):
                    r, c = i - f // 2 + u, j - f // 2 + v
                    features[0, u, v] = x[r, c + 1] - x[r, c - 1]
                    features[1, u, v] = x[r + 1, c] - x[r - 1, c]
                    features[2, u, v] = x[r, c + 2] / 2 - x[r, c] + x[r, c - 2] / 2
                    features[3, u, v] = x[r + 2, c] / 2 - x[r, c] + x[r - 2, c] / 2
            y = [np.sum(row * features) for row in projection]
            code = sparse_codes(np.array(y)[:, None], low, model.penalty, momentum)[:, 0]
            patch = (high @ code).reshape(g, g)
            rows = slice(i - g // 2, i + g // 2 + 1)
            total[rows, j - g // 2 : j + g // 2 + 1] += patch
            count[rows, j - g // 2 : j + g // 2 + 1] += 1
    m = reach + g // 2
    inside = slice(m, height - m), slice(m, width - m)
    assert (count[inside] == g * g).all()
    return (x + total / np.maximum(count, 1))[inside]


SIZES = [(3, 3, 5, 9), (5, 1, 4, 6), (1, 5, 3, 8), (3, 5, 7, 11)]


@pytest.mark.parametrize("way", [ista, fista])
@pytest.mark.parametrize("f, g, entries, atoms", SIZES)
def test_patches_one_by_one_at_once_and_as_convolutions(f, g, entries, atoms, way):
    model, momentum = model_of(f, g, entries, atoms), way(4)
    x = picture(2 * model.margin + 4, 2 * model.margin + 6, n=2)
    at_once = sparse.by_patches(x, model.parameters, model.penalty, momentum)
    assert at_once.shape == (2, 1, 4, 6)
    for one, result in zip(x, at_once, strict=True):
        assert np.abs(result[0] - one_by_one(one[0], model, momentum)).max() < 1e-12
    m = model.margin
    assert np.abs(at_once - x[:, :, m:-m, m:-m]).max() > 0.01  # there is something to be equal
    network = sparse.by_convolutions(x, model.parameters, model.penalty, momentum)
    assert network.shape == at_once.shape
    assert np.abs(network - at_once).max() < 1e-10


def test_the_convolutions_are_told_from_wrong_ones():
    """Steps, turned atoms and the momentum all matter, or the test above could not fail."""
    model = model_of()
    x = picture(20, 20)
    right = sparse.by_patches(x, model.parameters, model.penalty, fista(4))
    turned = {**model.parameters, "D_h": model.parameters["D_h"][::-1]}
    wrong = [
        sparse.by_convolutions(x, turned, model.penalty, fista(4)),
        sparse.by_convolutions(x, model.parameters, model.penalty, fista(3)),
        sparse.by_convolutions(x, model.parameters, model.penalty, ista(4)),
        sparse.by_convolutions(x, model.parameters, 0.9 * model.penalty, fista(4)),
    ]
    assert all(np.abs(result - right).max() > 1e-4 for result in wrong)


def test_the_shipped_dictionaries_as_convolutions():
    """13-1-...-1-5, at the edges of the picture too: what `forward` repeats there, any way does."""
    model = load("sc", 3).astype(np.float64)
    m = model.margin
    x = picture(8, 9)
    padded = np.pad(x, ((0, 0), (0, 0), (m, m), (m, m)), mode="edge")
    (w1, _), (w2, _), (w3, _) = sparse.convolutions(model.parameters, model.penalty)
    atoms = model.parameters["D_l"].shape[1]
    assert w1.shape == (atoms, 1, 13, 13) and w2.shape == (atoms, atoms, 1, 1)
    assert w3.shape == (1, atoms, 5, 5) and m == 6 + 0 + 2
    network = sparse.by_convolutions(padded, model.parameters, model.penalty, model.momentum)
    patches = sparse.by_patches(padded, model.parameters, model.penalty, model.momentum)
    assert network.shape == x.shape
    assert np.abs(network - patches).max() < 1e-10
    if JIT:
        assert np.abs(network - model.forward(x)).max() < 1e-10
        single = load("sc", 3).forward(x)
        assert single.dtype == np.float32 and np.abs(single - network).max() < 1e-4


def test_a_constant_picture_stays_as_it_is():
    for value in (0.0, 0.5, 1.0):
        x = np.full((1, 1, 12, 12), value)
        assert np.abs(model_of().forward(x) - x).max() < 1e-12


# --------------------------------------------------------------------------------------- the model


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_is_the_definition(dtype):
    model = model_of(5, 3, 6, 10).astype(dtype)
    x, m = picture(9, 30, n=2), model.margin
    padded = np.pad(x, ((0, 0), (0, 0), (m, m), (m, m)), mode="edge").astype(dtype)
    want = sparse.by_patches(padded, model.parameters, model.penalty, model.momentum)
    out = model.forward(x)
    assert out.dtype == dtype and out.shape == x.shape
    assert np.abs(out - want).max() < 3000 * np.finfo(dtype).eps
    inner = model.forward(padded, "valid")
    assert np.array_equal(inner, out)


def test_forward_leaves_its_input_alone_where_one_row_comes_out():
    model = model_of(dtype=np.float32)
    x = picture(2 * model.margin + 1, 30, dtype=np.float32)
    before = x.copy()
    assert model.forward(x, "valid").shape[2] == 1
    assert np.array_equal(x, before)


def test_bands_and_rectangles_have_the_same_bits(monkeypatch):
    model = model_of(dtype=np.float32)
    x = picture(70, 20, dtype=np.float32)
    whole = model.forward(x)
    monkeypatch.setattr(sparse, "BAND", 1)  # 32 rows, at least
    assert np.array_equal(model.forward(x), whole)

    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    step = Step((20, 24), (60, 72), 3, np.uint8, model)
    whole = np.empty((60, 72, 3), np.uint8)
    step.make(pixels, (0, 60), (0, 72), whole)
    for rows, columns in (((0, 7), (0, 9)), ((20, 45), (13, 58)), ((31, 60), (70, 72))):
        out = np.empty((rows[1] - rows[0], columns[1] - columns[0], 3), np.uint8)
        used = tuple(slice(*span) for span in step.needs(rows, columns))
        step.make(np.ascontiguousarray(pixels[used]), rows, columns, out)
        assert np.array_equal(out, whole[slice(*rows), slice(*columns)])


@pytest.mark.parametrize(
    "x, padding, error, words",
    [
        (picture(9, 9)[0], "replicate", ValueError, "x has the shape (1, 9, 9), wanted (N, 1,"),
        (np.zeros((1, 3, 9, 9)), "replicate", ValueError, "wanted (N, 1, H, W) with pixels in it"),
        (np.zeros((1, 1, 9, 9), int), "replicate", TypeError, "x is int64, wanted floating point"),
        (picture(8, 9), "valid", ValueError, "sc needs pictures of at least 9 x 9"),
        (picture(9, 9), "same", ValueError, '"zeros" or "valid", got '),
    ],
)  # fmt: skip
def test_what_forward_refuses(x, padding, error, words):
    with pytest.raises(error, match=re.escape(words)):
        model_of().forward(x, padding)


def test_copies():
    model = model_of(scale=3)
    model.scale = 3
    x = picture(9, 9)
    for copy in (pickle.loads(pickle.dumps(model)), model.astype(np.float64)):
        assert (copy.scale, copy.name, copy.c) == (3, "sc", 1)
        assert np.array_equal(copy.forward(x), model.forward(x))
    assert model.astype(np.float32).forward(x).dtype == np.float32
    assert repr(model) == "<SparseCoding, atoms=9, features=5, steps=3, scale=3>"
    with pytest.raises(TypeError, match="float32 or float64, not in int64"):
        model.astype(np.int64)


def test_saved_and_loaded(tmp_path):
    model = model_of(dtype=np.float32, data="x")
    model.scale = 3
    model.save(tmp_path / "mine.npz")
    again = load(tmp_path / "mine.npz")
    assert all(np.array_equal(again.parameters[n], p) for n, p in model.parameters.items())
    assert again.card["data"] == "x" and again.scale == 3
    x = picture(9, 9)
    assert np.array_equal(again.forward(x), model.forward(x))
    with pytest.raises(ValueError, match="was trained for scale 3, not 2"):
        load(tmp_path / "mine.npz", 2)
    with pytest.raises(ValueError, match="mine.onnx would hold layers, and dictionaries of sparse"):
        model.save(tmp_path / "mine.onnx")
    with pytest.raises(ValueError, match="does not end in .npz: weights are written as .npz"):
        model.save(tmp_path / "mine.txt")
    small = np.random.default_rng(0).random((6, 7))
    assert upscale(small, 3, tmp_path / "mine.npz").shape == (18, 21)


def slow(arrays, card):
    shapes = {"P": (20, 4, 3, 3), "D_l": (20, 4096), "D_h": (9, 4096)}
    arrays.update({name: np.ones(shape) for name, shape in shapes.items()})
    card["steps"] = 410


BAD = [
    (lambda a, c: a.pop("P"), "holds ['D_h', 'D_l'], wanted dictionaries, P, D_l and D_h: P miss"),
    (
        lambda a, c: a.pop("D_l"),
        "holds ['D_h', 'P'], wanted dictionaries, P, D_l and D_h: D_l miss",
    ),
    (lambda a, c: a.update(more=a["P"]), "'more'], wanted dictionaries, P, D_l and D_h alone"),
    (lambda a, c: a.update(P=0 * a["P"]), "P holds nothing but zeros, and nothing of a picture"),
    (lambda a, c: a.update(D_h=0 * a["D_h"]), "D_h holds nothing but zeros, and nothing of a pict"),
    (lambda a, c: a.update(D_h=1e30 * a["D_h"]), "e+29, wanted at most 1,000,000: no picture"),
    (lambda a, c: a.update(P=a["P"][:, :3]), "P has the shape (5, 3, 3, 3), wanted (D, 4, f, f)"),
    (lambda a, c: a.update(P=a["P"][..., :2, :2]), "P has the shape (5, 4, 2, 2), wanted"),
    (lambda a, c: a.update(P=a["P"][:0]), "P has the shape (0, 4, 3, 3), wanted"),
    (lambda a, c: a.update(P=a["P"][0]), "P has the shape (4, 3, 3), wanted"),
    (lambda a, c: a.update(D_l=a["D_l"][:3]), "D_l has the shape (3, 9), wanted (5, A)"),
    (lambda a, c: a.update(D_l=a["D_l"][:, :0]), "D_l has the shape (5, 0), wanted (5, A)"),
    (lambda a, c: a.update(D_l=a["D_l"][0]), "D_l has the shape (9,), wanted (5, A)"),
    (lambda a, c: a.update(D_l=0 * a["D_l"]), "D_l has the length 0, wanted columns of about 1"),
    (lambda a, c: a.update(D_l=1e-30 * a["D_l"]), "e-30, wanted columns of about 1"),
    (lambda a, c: a.update(D_l=1e30 * a["D_l"]), "e+30, wanted columns of about 1"),
    (
        lambda a, c: a.update(D_l=np.ones((5, 4097)), D_h=np.ones((9, 4097))),
        "D_l has 4,097 atoms of 5 features, and 4,096 of either and 524,288 numbers are read at",
    ),
    (
        lambda a, c: a.update(
            P=np.ones((1000, 4, 3, 3)), D_l=np.ones((1000, 600)), D_h=np.ones((9, 600))
        ),
        "D_l has 600 atoms of 1,000 features, and 4,096 of either and 524,288 numbers are read",
    ),
    (lambda a, c: a.update(D_h=a["D_h"][:4]), "D_h has the shape (4, 9), wanted (g*g, 9), g odd"),
    (lambda a, c: a.update(D_h=a["D_h"][:8]), "D_h has the shape (8, 9), wanted (g*g, 9), g odd"),
    (lambda a, c: a.update(D_h=a["D_h"][:, :8]), "D_h has the shape (9, 8), wanted (g*g, 9)"),
    (lambda a, c: a.update(D_h=a["D_h"] * np.nan), "D_h holds values that are not finite"),
    (lambda a, c: a.update(P=a["P"].astype(int)), "P is int64, wanted float32 or float64"),
    (lambda a, c: c.pop("penalty"), "its card says penalty None"),
    (lambda a, c: c.update(penalty=-1), "its card says penalty -1"),
    (lambda a, c: c.update(penalty=float("inf")), "its card says penalty inf"),
    (lambda a, c: c.update(penalty=10**400), "its card says penalty 1000"),
    (lambda a, c: c.update(penalty="x" * 999), "its card says penalty 'xxx"),
    (lambda a, c: c.update(steps=0), "its card says steps 0, wanted 1 to 1000"),
    (lambda a, c: c.update(steps=10**9), "its card says steps 1000000000, wanted 1 to 1000"),
    (lambda a, c: c.update(steps=True), "its card says steps True, wanted 1 to 1000"),
    (lambda a, c: c.update(scale=0), "its card says scale 0"),
    (lambda a, c: slow(a, c), "too slow to be used: 4,096 atoms, 20 features and 410 steps"),
]


@pytest.mark.parametrize("spoil, words", BAD)
def test_files_that_are_no_dictionaries(tmp_path, spoil, words):
    model = model_of()
    arrays, card = dict(model.parameters), dict(model.card)
    spoil(arrays, card)
    write_weights(tmp_path / "bad.npz", arrays, card)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        load(tmp_path / "bad.npz")
    assert str(tmp_path / "bad.npz") in str(caught.value) and len(str(caught.value)) < 400


def test_filters_and_maps_can_be_shown():
    pytest.importorskip("matplotlib")
    from pysrcnn import plots

    model = model_of()
    picture = np.random.default_rng(0).integers(0, 256, (30, 33), dtype=np.uint8)
    assert len(plots.filters(model).axes) >= 9
    figure = plots.feature_maps(model, picture, 3)
    low = pair(picture, 3)[0][None].astype(np.float64)
    # The positive ones of the codes after a step of ISTA, where no edge is repeated.
    y = sparse.patch_features(low, model.parameters["P"])[0]
    codes = sparse_codes(y, model.parameters["D_l"], model.penalty, ista(1))
    shown = [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]
    m = 3
    for one, code in zip(shown, codes, strict=True):
        assert np.abs(one[m:-m, m:-m].ravel() - np.maximum(code, 0)).max() < 1e-12


def test_training_does_not_start_from_dictionaries():
    from pysrcnn.training import RECIPES, Training

    pairs = [(picture(40, 40, dtype=np.float32)[0],) * 2]
    with pytest.raises(ValueError, match="have the layers of SparseCoding, and the recipe wants"):
        Training(RECIPES["modern"], pairs, model_of(), 3)


# -------------------------------------------------------------------------------------- learning

TINY = DictionaryRecipe(
    atoms=24, features=10, f=5, g=3, steps=4, patches=3000, rounds=6, iterations=15, fitted=3000
)


def lines(count=2, size=48):
    """Pictures of edges in all directions, and what is left of them after shrinking by 3."""
    rng = np.random.default_rng(0)
    u, v = np.mgrid[:size, :size] / size
    pairs = []
    for _ in range(count):
        waves = [np.sin(rng.uniform(5, 25) * (u * np.cos(a) + v * np.sin(a))) for a in (0, 1, 2, 3)]
        grey = (np.sum(waves, axis=0) > rng.uniform(-1, 1)) * 180.0 + 40
        pairs.append(pair(grey.astype(np.uint8), 3))
    return pairs


@compiled_only
def test_learned_dictionaries_beat_bicubic_interpolation():
    pairs, said = lines(), []
    model = learn(pairs, TINY, said.append)
    bicubic, ours = mean_psnr(None, pairs, 3), mean_psnr(model, pairs, 3)
    assert ours > bicubic + 0.5
    losses = [float(re.match(r"round \d/6: ([\d.]+),", line)[1]) for line in said]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert np.linalg.norm(model.parameters["D_l"], axis=0) == pytest.approx(1, abs=1e-5)
    assert {name: p.shape for name, p in model.parameters.items()} == {
        "P": (10, 4, 5, 5), "D_l": (10, 24), "D_h": (9, 24)
    }  # fmt: skip
    again = learn(pairs, TINY)
    assert all(np.array_equal(again.parameters[n], p) for n, p in model.parameters.items())
    other = learn(pairs, DictionaryRecipe(**{**TINY.__dict__, "seed": 1}))
    assert not np.array_equal(other.parameters["D_l"], model.parameters["D_l"])


def test_patches_and_their_features_belong_together():
    """Sampled derivatives are those of `patch_features`, at the pixels of the differences."""
    low = picture(30, 31, dtype=np.float32)[0]
    high = low + np.arange(30 * 31, dtype=np.float32).reshape(1, 30, 31)  # tells where it is from
    recipe = DictionaryRecipe(f=3, g=5)
    derivatives, differences = dictionary.sampled(
        [(low, high)], 40, recipe, np.random.default_rng(0)
    )
    assert derivatives.shape == (36, 40) and differences.shape == (25, 40)
    projection = np.eye(36, dtype=np.float32).reshape(36, 4, 3, 3)
    features = sparse.patch_features(low[None], projection)[0].reshape(36, 24, 25)
    for k in range(40):
        i, j = divmod(round(float(differences[12, k])), 31)
        assert np.abs(derivatives[:, k] - features[:, i - 3, j - 3]).max() < 1e-6
        corner = round(float(differences[0, k]))
        assert divmod(corner, 31) == (i - 2, j - 2)


def test_features_have_a_mean_square_of_one():
    derivatives, _ = dictionary.sampled(lines(), 2000, TINY, np.random.default_rng(0))
    projection = dictionary.principal(derivatives, TINY)
    y = projection @ derivatives
    assert np.square(y).sum(axis=0).mean() == pytest.approx(1, rel=1e-4)
    products = y @ y.T / y.shape[1]  # components are not correlated
    assert np.abs(products - np.diag(np.diag(products))).max() < 1e-4


@compiled_only
def test_the_command_learns_and_scores(tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    for k, (_, high) in enumerate(lines()):
        write_picture(tmp_path / "pictures" / f"{k}.png", (high[0] * 255).astype(np.uint8))
    options = ["--atoms", "24", "--features", "10", "--patches", "2000", "--rounds", "2"]
    options += ["--f", "5", "--g", "3", "--steps", "4", "--iterations", "10", "--fitted", "2000"]
    folder, output = str(tmp_path / "pictures"), tmp_path / "sc.npz"
    assert dictionary.main([folder, "-o", str(output), "--score", folder, *options]) == 0
    said = capsys.readouterr().out
    assert "round 2/2: " in said and "dB, bicubic" in said
    model = load(output, 3)
    assert model.card["data"] == "pictures, 2 pictures"
    assert model.card["recipe"]["atoms"] == 24 and model.card["recipe"]["seed"] == 0
    assert model.card["scores"]["pictures"]["PSNR"] > 0
    assert json.dumps(model.card)

    (tmp_path / "pictures" / "bad.png").write_bytes(b"no picture")  # is named, and left out
    with pytest.raises(SystemExit):
        dictionary.main([folder, "-o", str(output), *options])
    assert "sc.npz would be replaced: give the weights another" in capsys.readouterr().err
    output.rename(tmp_path / "first.npz")
    assert dictionary.main([folder, "-o", str(output), *options]) == 2
    assert "bad.png is damaged or not a picture" in capsys.readouterr().err
    again = load(output, 3)
    assert again.card["data"] == "pictures, 2 pictures"
    assert np.array_equal(again.parameters["D_l"], model.parameters["D_l"])


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["missing", "-o", "sc.npz"], "missing"),
        ([".", "-o", "nowhere/sc.npz"], "the folder nowhere does not exist"),
        ([".", "-o", "sc.npz", "--f", "8"], "f is 8 and g 5, wanted odd numbers"),
        ([".", "-o", "sc.npz", "--patches", "1000"], "atoms is 512, wanted 1 to 400"),
    ],
)
def test_what_the_command_refuses(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        dictionary.main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


# --------------------------------------------------------------------------------- what is shipped


@compiled_only
def test_sparse_coding_is_a_model_like_any_other():
    assert ("sc", 3) in shipped()
    model = load("sc", 3)
    assert isinstance(model, SparseCoding) and not isinstance(model, SRCNN)
    assert model.card["data"] == "T91, 91 pictures"
    with pytest.raises(ValueError, match=re.escape("no sc weights for scale 2, only for 3")):
        load("sc", 2)
    with pytest.raises(ValueError, match="kernels alone computes: leave out pysrcnn.reference"):
        load("sc", 3, ops=reference)
    with pytest.raises(TypeError, match="SparseCoding is not trained by a recipe"):
        SparseCoding.from_recipe(None, 3)
    small = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    assert upscale(small, 3, "sc").shape == (18, 21, 3)


@pytest.mark.slow
@compiled_only
def test_set5_is_as_good_as_in_the_paper(data_folder):
    """Yang et al.: 31.42 dB."""
    mean = average(list(evaluate(data_folder("Set5"), load("sc", 3), 3)))
    assert mean.psnr >= 31.42 and mean.bicubic_psnr == pytest.approx(30.392, abs=0.001)


@pytest.mark.slow
@compiled_only
def test_the_shipped_dictionaries_are_learned_again(data_folder):
    """By the recipe in their card, but for rounding that differs between machines."""
    kept = load("sc", 3)
    recipe = DictionaryRecipe(**kept.card["recipe"])
    model = learn(read_pairs(data_folder("T91"), 3), recipe)
    pairs = read_pairs(data_folder("Set5"), 3)
    assert abs(mean_psnr(model, pairs, 3) - mean_psnr(kept, pairs, 3)) < 0.03
