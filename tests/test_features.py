"""What perceptual losses compare: VGG's maps and EDSR's, their gradients, and files of others."""

from pathlib import Path

import numpy as np
import pytest
from rungs import compiled_only
from tape import Tape, Value, gradients

from pysrcnn import kernels, reference
from pysrcnn.formats import write_weights
from pysrcnn.networks import EDSR, Features, vgg
from pysrcnn.networks.features import body
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
    features = Features.of_vgg(file, "conv2_2", ops=ops)
    assert features.dtype == np.float64
    assert repr(features) == "<Features VGG conv2_2, c=3, float64>"
    loss, dmade = features.loss_and_gradient(TORCH["made"], TORCH["target"])
    assert loss == pytest.approx(float(TORCH["loss"]), rel=1e-10)
    assert near(dmade, TORCH["dmade"])


@OPS
@pytest.mark.parametrize("depth", ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "EDSR", "block1"])
def test_backward_is_that_of_the_tape(ops, depth, file):
    if depth[0] == "c":
        features, forward, depth_of = Features.of_vgg(file, depth, ops=ops), vgg.forward, depth
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
    features = Features.of_vgg(file, "conv2_1", ops=reference)
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
    features = Features.of_vgg(file, "conv1_2", ops=reference)
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
        ("conv5_3", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
        ("conv5_4", (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)),
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
        with pytest.raises(ValueError, match=rf"depth is 'conv5_9', .* has .*, conv4_3.*, {last}$"):
            Features.of_vgg(tmp_path / "vgg.npz", "conv5_9")
        bare = {n.removeprefix("features."): a for n, a in tensors.items() if n[0] == "f"}
        np.savez(tmp_path / "bare.npz", **bare)
        again = Features.of_vgg(tmp_path / "bare.npz", last, ops=reference)
        assert again.parameters.keys() == features.parameters.keys()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"features.1.running_mean": np.ones(2)}, "batch normalisation: take a VGG without"),
        ({"features.0.weight": np.ones((2, 1, 3, 3))}, r"W1_1 is \(2, 1, 3, 3\), wanted"),
        ({"features.2.weight": np.ones((3, 2, 5, 5))}, r"W1_2 is \(3, 2, 5, 5\), wanted"),
        ({"features.5.bias": np.ones(3)}, r"B2_1 is \(3,\), wanted the shape \(4,\)"),
        ({"features.5.bias": None}, r"B2_1 is \(0,\), wanted the shape \(4,\)"),
        ({"features.7.bias": np.full(2, np.nan)}, "B2_2 holds values that are not finite"),
        ({"features.7.weight": None}, "depth is 'conv2_2', and .* has conv1_1, conv1_2, conv2_1$"),
        (dict.fromkeys(TENSORS) | {"a": np.ones(2)}, "holds no VGG: wanted arrays called"),
        (dict.fromkeys(TENSORS) | {"0.weight": np.ones((2, 3, 3, 3), int)}, "holds no VGG"),
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
    with pytest.raises(ValueError, match="depth is 'block3', wanted one of block1, block2"):
        Features.of_edsr(edsr(), "block3")
