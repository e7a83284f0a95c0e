"""What perceptual losses compare: VGG's maps and EDSR's, their gradients, and files of others."""

import copy
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import samples
from rungs import compiled_only
from tape import Tape, Value, gradients

from pysrcnn import cli, kernels, reference
from pysrcnn.formats import Weights, read_weights, write_weights
from pysrcnn.networks import EDSR, Features, vgg
from pysrcnn.networks.features import body
from pysrcnn.networks.vgg_files import is_vgg
from pysrcnn.resize import imresize

OPS = pytest.mark.parametrize(
    "ops", [reference, pytest.param(kernels, marks=compiled_only)], ids=["reference", "kernels"]
)


def near(a, b, tolerance=1e-10):
    return a.shape == b.shape and np.abs(a - b).max() <= tolerance * np.abs(b).max()


def recorded():
    """What PyTorch computed: the arrays by their names, in float64."""
    with np.load(Path(__file__).with_name("torch_gradients_features.npz")) as file:
        return {name.removeprefix("vgg/"): file[name].astype(np.float64) for name in file.files}


TORCH = recorded()
TENSORS = {n: a for n, a in TORCH.items() if n.startswith("features.")}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vgg.npz"
    np.savez(path, **TENSORS)
    return path


def edsr(blocks=2, c=1, **options):
    """One whose layers all have a part in its maps."""
    network, rng = EDSR(2, blocks, 3, c, **options), np.random.default_rng(1)
    for p in network.parameters.values():
        p += rng.normal(0, 0.1, p.shape).astype(np.float32)
    return network.astype(np.float64)


@OPS
def test_loss_and_gradient_are_those_of_pytorch(ops, file):
    features = Features.of_vgg(file, "relu2_2", ops=ops)
    assert features.dtype == np.float64
    assert repr(features) == "<Features VGG relu2_2, c=3, float64>"
    loss, dmade = features.loss_and_gradient(TORCH["made"], TORCH["target"])
    assert loss == pytest.approx(float(TORCH["loss"]), rel=1e-10)
    assert near(dmade, TORCH["dmade"])


@OPS
@pytest.mark.parametrize(
    "depth", ["relu1_1", "relu1_2", "relu2_1", "conv2_1", "relu2_2", "conv2_2", "EDSR", "block1"]
)
def test_backward_is_that_of_the_tape(ops, depth, file):
    if depth[:4] in ("relu", "conv"):
        features, depth_of = Features.of_vgg(file, depth, ops=ops), depth
        forward = partial(vgg.forward, relu=depth[0] == "r")
    else:
        network = edsr(c=3, residual_scale=0.3, mean=(0.4, 0.5, 0.6))
        depth_of = "block2" if depth == "EDSR" else depth
        features = Features.of_edsr(network, None if depth == "EDSR" else depth, ops=ops)
        forward = body
    assert features.label.endswith(depth_of)
    rng = np.random.default_rng(2)
    x = rng.random((2, 3, 9, 11))
    p = {n: a if n == "mean" else Value(a) for n, a in features.parameters.items()}
    start, kept = Value(x), []
    out = forward(x, features.parameters, ops, kept)
    assert np.array_equal(features.forward(x), out)
    wanted = forward(start, p, Tape())
    assert near(out, wanted.array)
    dout = rng.standard_normal(out.shape)
    dx = features._backward(dout, kept, features.parameters, ops)
    assert near(dx, gradients(wanted, dout, [start])[0])


def test_copies(file):
    x = np.random.default_rng(3).random((1, 3, 9, 8))
    for features in Features.of_vgg(file, "relu1_2"), Features.of_edsr(edsr(c=3)):
        for other in pickle.loads(pickle.dumps(features)), copy.deepcopy(features):
            assert np.array_equal(other.forward(x), features.forward(x))


def test_maps_of_an_edsr_are_what_its_blocks_give():
    """Also where it scales what they add; what the next block is given tells."""
    network = edsr(3, 1, residual_scale=0.5, mean=(0.4,)).astype(np.float64)
    network.ops = reference
    x = np.random.default_rng(3).random((1, 1, 6, 7))
    inputs = network.maps(x)  # of head, 1_1, 1_2, 2_1, ...
    for k in (1, 2):
        features = Features.of_edsr(network, f"block{k}", ops=reference)
        assert near(features.forward(x), inputs[2 * k + 1], 1e-14)


def test_those_of_an_edsr_stay_when_it_learns():
    network = edsr()
    features = Features.of_edsr(network)
    for array in features.parameters.values():
        assert not any(np.shares_memory(array, p) for p in network.parameters.values())


@compiled_only
def test_float32_on_maps_is_float64_but_for_rounding(file):
    x, y = np.random.default_rng(4).random((2, 2, 3, 22, 19))
    for features in (Features.of_vgg(file), Features.of_edsr(edsr(c=3))):
        loss, dx = features.loss_and_gradient(x, y)
        single = features.astype(np.float32)
        ours, gradient = single.loss_and_gradient(x, y)
        assert single.dtype == gradient.dtype == np.float32
        assert ours == pytest.approx(loss, rel=1e-4) and near(gradient, dx, 1e-3)


def test_grey_pictures_are_those_of_three_equal_channels(file):
    features = Features.of_vgg(file, "relu2_1", ops=reference)
    x, y = np.random.default_rng(5).random((2, 2, 1, 9, 8))
    grey, colour = (features.loss_and_gradient(x.repeat(n, 1), y.repeat(n, 1)) for n in (1, 3))
    assert grey[0] == colour[0] and near(grey[1], colour[1].sum(axis=1, keepdims=True))
    with pytest.raises(ValueError, match=r"shape \(2, 2, 9, 8\), wanted \(N, 3, H, W\)"):
        features.loss_and_gradient(x.repeat(2, 1), y.repeat(2, 1))


def test_files_of_the_authors_count_to_255_and_begin_with_blue(file, tmp_path):
    """The same network, by both kinds of names."""
    first = TENSORS["features.0.weight"] / np.reshape((0.229, 0.224, 0.225), (3, 1, 1)) / 255
    ours = {"conv1_1_w": first[:, ::-1]}
    for at, number in (("1_2", 2), ("2_1", 5), ("2_2", 7)):
        ours[f"conv{at}_w"] = TENSORS[f"features.{number}.weight"]
    tensors = {n: a.transpose(2, 3, 1, 0) for n, a in ours.items()}
    tensors |= {f"conv{at}_b": TENSORS[f"features.{number}.bias"]
                for at, number in (("1_1", 0), ("1_2", 2), ("2_1", 5), ("2_2", 7))}  # fmt: skip
    write_weights(tmp_path / "authors.npz", tensors, {})
    theirs = Features.of_vgg(tmp_path / "authors.npz", ops=reference)
    wanted = Features.of_vgg(file, ops=reference)
    # Their mean is another, by less than a level.
    shift = (theirs.parameters["mean"] - wanted.parameters["mean"])[:, None, None]
    assert 0 < np.abs(shift).max() < 1 / 255
    x = np.random.default_rng(6).random((1, 3, 8, 9))
    assert near(theirs.forward(x + shift), wanted.forward(x), 1e-12)
    # Of the real ones, the values are as much larger: 255 levels, and no deviation of about 0.226.
    assert theirs.factor == pytest.approx(wanted.factor / 255 / 0.226)


def test_what_is_blurred_is_farther_the_more_it_is(file):
    features = Features.of_vgg(file, "relu1_2", ops=reference)
    x = np.random.default_rng(7).random((3, 24, 24))
    blurred = []
    for s in (2, 4):
        small = [imresize(plane, scale=1 / s) for plane in x]
        blurred.append(np.stack([imresize(plane, scale=s) for plane in small])[None])
    near_by, far = (features.loss_and_gradient(y, x[None])[0] for y in blurred)
    loss, dmade = features.loss_and_gradient(x[None], x[None])
    assert loss == 0 < near_by < far and not dmade.any()


def test_depths_of_vgg16_and_vgg19(tmp_path):
    """Named by where pooling is, which the numbers of PyTorch's layers tell."""
    for last, numbers in (
        ("relu5_3", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
        ("relu5_4", (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)),
    ):
        tensors = {"classifier.0.weight": np.ones((4, 3), np.float32)}
        for number in numbers:
            c = 2 if number else 3
            tensors[f"features.{number}.weight"] = np.ones((2, c, 3, 3), np.float32)
            tensors[f"features.{number}.bias"] = np.ones(2, np.float32)
        np.savez(tmp_path / "vgg.npz", **tensors)
        features = Features.of_vgg(tmp_path / "vgg.npz", last, ops=reference)
        assert len(features.parameters) == 1 + 2 * len(numbers)
        assert features.forward(np.ones((1, 3, 16, 35))).shape == (1, 2, 1, 2)
        with pytest.raises(
            ValueError, match=rf"layer is 'relu5_9', .* has .*, relu4_3.*, {last}, and"
        ):
            Features.of_vgg(tmp_path / "vgg.npz", "relu5_9")
        bare = {n.removeprefix("features."): a for n, a in tensors.items() if n[0] == "f"}
        np.savez(tmp_path / "bare.npz", **bare)
        again = Features.of_vgg(tmp_path / "bare.npz", last, ops=reference)
        assert again.parameters.keys() == features.parameters.keys()


def convert(*arguments):
    return cli.main(["convert", *map(str, arguments)])


def test_whole_networks_of_others_become_a_file_of_features(tmp_path, capsys):
    """By the names of torchvision, as .pth and .safetensors, and by those of Keras."""
    rng, shapes, c = np.random.default_rng(8), {}, 3
    for i, count in enumerate((2, 2, 4, 4, 4), 1):
        for j in range(1, count + 1):
            shapes[f"{i}_{j}"] = (i + 2, c, 3, 3)
            c = i + 2
    numbers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    arrays = {"classifier.0.weight": np.ones((4, 7), np.float32)}
    keras = {}
    for k, (number, shape) in enumerate(zip(numbers, shapes.values(), strict=True), 1):
        arrays[f"features.{number}.weight"] = rng.normal(0, 0.5, shape).astype(np.float32)
        arrays[f"features.{number}.bias"] = rng.normal(0, 0.1, shape[:1]).astype(np.float32)
        keras |= {f"W{k}": arrays[f"features.{number}.weight"].copy(),
                  f"B{k}": arrays[f"features.{number}.bias"]}  # fmt: skip
    # What counts to 255, the blue first, is another network unless its first filters are so too.
    keras["W1"] = (keras["W1"] / np.reshape((0.229, 0.224, 0.225), (3, 1, 1)) / 255)[:, ::-1]
    (tmp_path / "vgg.pth").write_bytes(samples.zipped(*samples.state(arrays)))
    (tmp_path / "vgg.safetensors").write_bytes(samples.safe(arrays))
    x, y = rng.random((2, 1, 3, 33, 40), np.float32)
    wanted = {}
    for source, output in (
        ("vgg.pth", "a.npz"), ("vgg.safetensors", "b.safetensors"), ("a.npz", "c.npz"),
    ):  # fmt: skip
        assert convert(tmp_path / source, tmp_path / output) == 0
        left = "" if source == "a.npz" else "; left out: classifier.0"
        out = capsys.readouterr().out
        assert out.endswith(f": <VGG convolutions=16, conv1_1 to conv5_4>{left}\n")
        for layer in ("VGG22", "relu5_4", "conv3_1"):
            theirs = Features.of_vgg(tmp_path / source, layer)
            ours = Features.of_vgg(tmp_path / output, layer)
            assert (ours.label, ours.factor) == (theirs.label, pytest.approx(1 / 12.75))
            assert all(np.array_equal(p, ours.parameters[n]) for n, p in theirs.parameters.items())
            assert ours.parameters.keys() == theirs.parameters.keys()
            wanted[layer] = ours.forward(x)
    assert near(wanted["VGG22"], Features.of_vgg(tmp_path / "a.npz", "relu2_2").forward(x), 0)
    before = Features.of_vgg(tmp_path / "a.npz", "conv5_4").forward(x)
    assert (before < 0).any() and np.array_equal(np.maximum(before, 0), wanted["relu5_4"])
    assert convert(tmp_path / "vgg.pth", tmp_path / "half.npz", "--half") == 0
    assert near(Features.of_vgg(tmp_path / "half.npz", "VGG54").forward(x), wanted["relu5_4"], 0.02)
    assert (tmp_path / "half.npz").stat().st_size < 0.75 * (tmp_path / "a.npz").stat().st_size

    names = [f"block{at.replace('_', '_conv')}" for at in shapes]
    samples.keras_file(tmp_path / "vgg.h5", keras, "weights", names=names)
    capsys.readouterr()
    with pytest.importorskip("h5py").File(tmp_path / "vgg.h5", "a") as h5:  # 200 MB, and not read
        dense = h5.create_group("fc1")
        dense.attrs["weight_names"] = [b"fc1/kernel:0", b"fc1/bias:0"]
        dense.create_dataset("fc1/kernel:0", (25088, 2048), "f4", chunks=True)
        dense["fc1/bias:0"] = np.ones(2048, np.float32)
        h5.attrs["layer_names"] = [*h5.attrs["layer_names"], b"flatten", b"fc1"]
    assert convert(tmp_path / "vgg.h5", tmp_path / "d.npz") == 0
    assert capsys.readouterr().out.endswith("conv1_1 to conv5_4>; left out: fc1\n")
    theirs = Features.of_vgg(tmp_path / "d.npz", "relu5_4")
    mean = Features.of_vgg(tmp_path / "a.npz").parameters["mean"]
    shift = (theirs.parameters["mean"] - mean)[:, None, None]
    assert near(theirs.forward(x + shift), wanted["relu5_4"], 1e-4)
    losses = [
        Features.of_vgg(tmp_path / f"{name}.npz", "conv5_4").loss_and_gradient(x, y)[0]
        for name in "ad"
    ]
    assert losses[1] == pytest.approx(losses[0] / (255 * 0.226) ** 2, rel=0.05)


def test_a_chain_of_layers_is_not_taken_for_a_vgg():
    """Whose names in a Sequential are those of VGG's first group."""
    shapes = {"0": (4, 3, 3, 3), "2": (4, 4, 3, 3), "4": (3, 4, 3, 3)}
    for before in ("", "features."):
        chain = {f"{before}{at}.weight": np.ones(shape) for at, shape in shapes.items()}
        assert not is_vgg(Weights(chain, {}, "pytorch"))
    assert is_vgg(Weights(TENSORS, {}, "pytorch"))
    assert not is_vgg(Weights(TENSORS | {"features.1.running_mean": np.ones(4)}, {}, "pytorch"))


def test_what_a_file_of_features_is_not(file, tmp_path, capsys):
    ours = tmp_path / "ours.npz"
    for more, words in (
        ([tmp_path / "a.onnx"], "a.onnx would hold a VGG, which is written as .npz or .safetensor"),
        ([ours, "-s", "3", "--range", "255"], "enlarges nothing: leave --scale, --range out"),
    ):
        assert convert(file, *more) == 2
        assert words in capsys.readouterr().err
    assert convert(file, ours) == 0
    assert cli.main(["info", str(ours)]) == 2
    assert "ours.npz holds a VGG, which enlarges nothing: give it as" in capsys.readouterr().err
    weights = read_weights(ours)
    for change, words in (
        ({"factor": 0.0}, "is damaged: factor is 0.0, wanted a number"),
        ({"factor": None}, "is damaged: factor is None"),
    ):
        write_weights(tmp_path / "a.npz", weights.tensors, weights.card | change)
        with pytest.raises(ValueError, match=words):
            Features.of_vgg(tmp_path / "a.npz")
    for damaged in ({}, {"W1_1": np.ones(())}, {"W2_1": np.ones((2, 3, 3, 3)), "B2_1": np.ones(2)}):
        write_weights(tmp_path / "a.npz", {"mean": np.zeros(3)} | damaged, weights.card)
        with pytest.raises(ValueError, match="holds no VGG: W1_1, the filters of its first layer"):
            Features.of_vgg(tmp_path / "a.npz")
    del weights.tensors["B1_2"]
    write_weights(tmp_path / "a.npz", weights.tensors, weights.card)
    with pytest.raises(ValueError, match="holds no VGG: B1_2 is missing, wanted the shape"):
        Features.of_vgg(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"features.1.running_mean": np.ones(2)}, "batch normalisation: take a VGG without"),
        ({"features.0.weight": np.ones((2, 1, 3, 3))}, r"W1_1 is \(2, 1, 3, 3\), wanted"),
        ({"features.2.weight": np.ones((3, 2, 5, 5))}, r"W1_2 is \(3, 2, 5, 5\), wanted"),
        ({"features.5.bias": np.ones(3)}, r"B2_1 is \(3,\), wanted the shape \(4,\)"),
        ({"features.5.bias": None}, r"B2_1 is \(0,\), wanted the shape \(4,\)"),
        ({"features.7.bias": np.full(2, np.nan)}, "B2_2 holds values that are not finite"),
        (
            {"features.7.weight": None},
            "layer is 'relu2_2', and .* has relu1_1, relu1_2, relu2_1, and each",
        ),
        (dict.fromkeys(TENSORS) | {"a": np.ones(2)}, "holds no VGG: wanted arrays called"),
        (dict.fromkeys(TENSORS) | {"0.weight": np.ones((2, 3, 3, 3), int)}, "holds no VGG"),
        (dict.fromkeys(TENSORS) | {"block1_conv1.weight": np.ones(())}, "holds no VGG: wanted"),
    ],
)
def test_what_is_no_vgg(change, words, tmp_path):
    np.savez(tmp_path / "a.npz", **{n: a for n, a in (TENSORS | change).items() if a is not None})
    with pytest.raises(ValueError, match=words):
        Features.of_vgg(tmp_path / "a.npz")


def test_what_does_not_fit_is_refused(file):
    features = Features.of_vgg(file, ops=reference)
    x = np.zeros((1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"made has the shape \(1, 3, 8, 8\) and target"):
        features.loss_and_gradient(x, x[:, :, :6])
    with pytest.raises(ValueError, match="x has the shape"):
        features.forward(x[0])
    for use in (features.forward, lambda x: features.loss_and_gradient(x, x)):
        with pytest.raises(ValueError, match="of 8 x 1 pixels have no VGG relu2_2: it takes at le"):
            use(x[:, :, :1])
    with pytest.raises(ValueError, match="depth is 'block3', wanted one of block1, block2"):
        Features.of_edsr(edsr(), "block3")
