"""ESPCN of other programs: which it is, what is between its layers, and the order of sub-pixels.

What a file computes is worked out by the evaluator that comes with the package onnx, and by ONNX
Runtime where it is installed. Values in the tests are small, so that no layer is
beyond tanh's bend.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from samples import (
    config_of,
    convolution,
    espcn_of,
    keras_file,
    named,
    onnx_bytes,
    parameters_of,
    safe,
    state,
    zipped,
)

from pysrcnn import load
from pysrcnn.cli import main
from pysrcnn.formats import read_weights
from pysrcnn.networks import ESPCN, SRCNN
from pysrcnn.networks.recognise import network_of

# Lornatang's, yjn870's, leftthomas' and PyTorch's own example, and what DataParallel makes of one.
NAMINGS = [
    ("feature_maps.0", "feature_maps.2", "sub_pixel.0"),
    ("first_part.0", "first_part.2", "last_part.0"),
    ("conv1", "conv2", "conv3", "conv4"),
    ("module.conv_1", "module.conv_2", "module.conv_3"),
    ("W", "the_second", "upscale"),
]


def random_picture(c, seed=0):
    return np.random.default_rng(seed).random((1, c, 9, 8), np.float32)


def is_espcn(network, parameters, s, activation="tanh", padding="zeros"):
    assert isinstance(network, ESPCN) and network.scale == s
    assert network.options == {"activation": activation, "padding": padding}
    assert list(network.parameters) == list(parameters)
    for name, array in parameters.items():
        assert np.array_equal(network.parameters[name], array), name


# ----------------------------------------------------------------------------- tensors by name


@pytest.mark.parametrize("names", NAMINGS, ids=lambda n: n[0])
@pytest.mark.parametrize("s, c", [(2, 1), (3, 1), (4, 3)])
def test_of_all_namings(tmp_path, names, s, c):
    parameters = espcn_of(s, (8, 6, 4)[: len(names) - 1], c)
    tensors = named(parameters, names)
    (tmp_path / "a.pth").write_bytes(zipped(*state(tensors)))
    (tmp_path / "a.safetensors").write_bytes(safe(dict(sorted(tensors.items()))))
    for name in ("a.pth", "a.safetensors"):
        is_espcn(load(tmp_path / name), parameters, s)
        is_espcn(load(tmp_path / name, s, activation="relu"), parameters, s, "relu")
        with pytest.raises(ValueError, match=f"{name} was trained for scale {s}, not 8, and wei"):
            load(tmp_path / name, 8)


@pytest.mark.parametrize(
    "filters, words",
    [(5, "are 1 and 5, wanted 1 and 1 (luminance) or 3 and 3 (RGB), or out of it s x s for each"),
     (17 * 17, "are 1 and 289, wanted 1 and 1 (luminance)")],
)  # fmt: skip
def test_numbers_of_filters_that_are_no_square(tmp_path, filters, words):
    parameters = espcn_of(2)
    parameters["W3"] = np.ones((filters, 5, 3, 3), np.float32)
    parameters["B3"] = np.ones(filters, np.float32)
    (tmp_path / "a.pth").write_bytes(zipped(*state(named(parameters))))
    with pytest.raises(ValueError, match=re.escape(words)):
        load(tmp_path / "a.pth")


def bent(parameters):
    """The layers of one that makes pictures with ReLU alone, as its values are large between."""
    last = len(parameters) // 2
    parameters = {name: array.copy() for name, array in parameters.items()}
    for name in parameters:
        if name == "W1" or (name[0] == "B" and name != f"B{last}"):
            parameters[name] *= 32
    parameters[f"W{last}"] /= 32
    return parameters


def test_an_activation_that_is_not_tanh(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    parameters = bent(espcn_of(3))
    Path("a.pth").write_bytes(zipped(*state(named(parameters))))
    with pytest.raises(ValueError, match="Probably its activation is relu: pysrcnn convert a.pth"):
        load("a.pth")
    is_espcn(load("a.pth", activation="relu"), parameters, 3, "relu")
    assert main(["convert", "a.pth", "a.npz"]) == 2
    assert "mine.npz --activation relu; or it is not trained" in capsys.readouterr().err
    assert main(["convert", "a.pth", "a.npz", "--activation", "relu"]) == 0
    is_espcn(load("a.npz"), parameters, 3, "relu")
    assert load("a.npz").card["network"] == "espcn"


def test_one_that_ends_with_a_sigmoid(tmp_path):
    """As those of leftthomas once did; its greys come out where those of no other would."""
    parameters = espcn_of(2)
    parameters["W3"] *= 4  # greys: 4 (x - 1/2) is nearly the inverse of the sigmoid
    parameters["B3"] -= 2
    (tmp_path / "a.pth").write_bytes(zipped(*state(named(parameters))))
    with pytest.raises(ValueError, match="Probably it ends with a sigmoid, and such networks are"):
        load(tmp_path / "a.pth")


def test_activations_of_an_srcnn(tmp_path):
    (tmp_path / "a.pth").write_bytes(zipped(*state(named(parameters_of((5, 1, 3), (4, 5), 1)))))
    with pytest.raises(ValueError, match="a.pth has the activation tanh, and an SRCNN has relu"):
        load(tmp_path / "a.pth", activation="tanh")
    assert isinstance(load(tmp_path / "a.pth", activation="relu"), SRCNN)
    with pytest.raises(ValueError, match="has the activation 'elu', wanted relu or tanh"):
        (tmp_path / "b.pth").write_bytes(zipped(*state(named(espcn_of(2)))))
        load(tmp_path / "b.pth", activation="elu")
    with pytest.raises(ValueError, match="holds dictionaries, which have no activation"):
        load("sc", activation="relu")


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("levels", [(0, 255), (-1, 1)])
def test_values_of_another_range(tmp_path, activation, levels):
    black, white = levels
    parameters = espcn_of(2)
    theirs = {name: array.astype(np.float64) for name, array in parameters.items()}
    span = white - black  # v = black + span x is what it takes and gives
    theirs["W1"] /= span
    theirs["B1"] -= black * theirs["W1"].sum((1, 2, 3))
    theirs["W3"], theirs["B3"] = theirs["W3"] * span, theirs["B3"] * span + black
    theirs = {name: array.astype(np.float32) for name, array in theirs.items()}
    (tmp_path / "a.pth").write_bytes(zipped(*state(named(theirs))))
    if white == 255:  # one for -1..1 makes greys of the upper half of its greys
        with pytest.raises(ValueError, match="mine.npz --range 255; or"):
            load(tmp_path / "a.pth", activation=activation)
    network = load(tmp_path / "a.pth", activation=activation, levels=levels)
    assert network.scale == 2 and network.card["notes"]
    # Zeros, which were grey, would be black.
    assert network.options["padding"] == ("replicate" if black else "zeros")
    assert ("edges may differ" in " ".join(network.card["notes"])) == (black != 0)
    there = ESPCN.from_parameters(theirs, activation=activation, padding="replicate")
    network.options["padding"] = "replicate"
    x = random_picture(1)
    wanted = (there.forward(black + span * x) - black) / span
    assert np.abs(network.forward(x) - wanted).max() < 1e-5
    with pytest.raises(ValueError, match="an ESPCN, whose result is larger than its input: it can"):
        load(tmp_path / "a.pth", residual=True)


# ---------------------------------------------------------------------------------------- graphs


def graph_of(parameters, activation="Tanh", shuffle=None, after=(), padding=(2, 1, 1), s=3):
    """The nodes of an ESPCN; `shuffle` and `after` are nodes (kind, more inputs, options)."""
    nodes, current, layers = [], "x", len(parameters) // 2
    for k, m in zip(range(1, layers + 1), padding, strict=True):
        options = {"pads": [m] * 4} if isinstance(m, int) else m
        nodes.append(("Conv", [current, f"W{k}", f"B{k}"], [f"c{k}"], options))
        current = f"c{k}"
        if k < layers:
            nodes.append((activation, [current], [f"a{k}"], {}))
            current = f"a{k}"
    shuffle = shuffle or [("DepthToSpace", [], {"blocksize": s, "mode": "CRD"})]
    for k, (kind, more, options) in enumerate([*shuffle, *after]):
        nodes.append((kind, [current, *more], [f"s{k}"], options))
        current = f"s{k}"
    nodes[-1] = (*nodes[-1][:2], ["y"], nodes[-1][3])
    return nodes


def evaluated(content, x):
    """What the model computes, by the package onnx."""
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_model_from_string(content)
    (name,) = [i.name for i in model.graph.input]
    return ReferenceEvaluator(model).run(None, {name: x})[0]


def sizes(*numbers):
    return np.array(numbers, np.int64)


PYTORCH = [("Reshape", ["six"], {}), ("Transpose", [], {"perm": [0, 1, 4, 2, 5, 3]}),
           ("Reshape", ["four"], {})]  # fmt: skip
TENSORFLOW = [("Reshape", ["dcr"], {}), ("Transpose", [], {"perm": [0, 3, 4, 1, 5, 2]}),
              ("Reshape", ["four"], {})]  # fmt: skip
OF_ANY_SIZE = [  # PyTorch's before ONNX had DepthToSpace for it
    *[("Unsqueeze", ["two_three"], {}), ("Reshape", ["open"], {}), PYTORCH[1]],
    *[("Reshape", ["rows"], {}), ("Reshape", ["columns"], {}), ("Squeeze", ["three_five"], {})],
]


def constants(c, s=3, height=9, width=8):
    return {
        "six": sizes(1, c, s, s, height, width),
        "dcr": sizes(1, s, s, c, height, width),
        "four": sizes(1, c, s * height, s * width),
        "open": sizes(0, -1, s, s, 0, 0),
        "rows": sizes(0, 0, -1, 1, 0, 0),
        "columns": sizes(0, 0, 0, 0, -1, 1),
        "two_three": sizes(2, 3),
        "three_five": sizes(3, 5),
        "zero": np.float32(0),
        "one": np.float32(1),
        "half": np.float32(0.5),
        "white": np.float32(255),
    }


@pytest.mark.parametrize("activation", ["Tanh", "Relu"])
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize(
    "shuffle",
    [
        [("DepthToSpace", [], {"blocksize": 3, "mode": "CRD"})],
        [("DepthToSpace", [], {"blocksize": 3, "mode": "DCR"})],
        [("DepthToSpace", [], {"blocksize": 3})],
        PYTORCH,
        TENSORFLOW,
        OF_ANY_SIZE,
    ],
    ids=["CRD", "DCR", "by default", "PyTorch", "TensorFlow", "of any size"],
)
def test_onnx_graphs(tmp_path, activation, c, shuffle):
    parameters, x = espcn_of(3, c=c), random_picture(c)
    content = onnx_bytes(
        *graph_of(parameters, activation, shuffle), tensors=parameters | constants(c)
    )
    (tmp_path / "a.onnx").write_bytes(content)
    network = load(tmp_path / "a.onnx")
    assert network.options == {"activation": activation.lower(), "padding": "zeros"}
    assert isinstance(network, ESPCN) and network.c == c and network.card == {}
    wanted = evaluated(content, x)
    assert np.abs(network.forward(x) - wanted).max() < 1e-5
    if c == 3:  # the order of sub-pixels does matter to this
        other = ESPCN.from_parameters(parameters, **network.options).forward(x)
        crd = shuffle in (PYTORCH, OF_ANY_SIZE) or "CRD" in str(shuffle)
        assert (np.abs(other - wanted).max() < 1e-5) == crd


def test_onnx_that_pads_with_zeros_that_are_not_black(tmp_path):
    parameters, half = espcn_of(3), np.float32(0.5)
    shifted = parameters | {"B1": parameters["B1"] + half * parameters["W1"].sum(axis=(1, 2, 3))}
    nodes = graph_of(parameters)
    nodes[0] = ("Conv", ["u", "W1", "B1"], *nodes[0][2:])
    nodes = [("Sub", ["x", "half"], ["u"], {}), *nodes]
    content = onnx_bytes(*nodes, tensors=shifted | {"half": half})
    (tmp_path / "a.onnx").write_bytes(content)
    network = load(tmp_path / "a.onnx")
    assert network.options["padding"] == "replicate"
    assert "edges may differ" in network.card["notes"][0]
    grey = np.full((1, 1, 9, 8), half, np.float32)
    assert np.abs(network.forward(grey) - half).max() < 0.1


@pytest.mark.parametrize(
    "after",
    [
        [("Clip", ["zero", "one"], {})],
        [("Mul", ["white"], {}), ("Clip", ["zero", "white"], {})],
        [("Mul", ["half"], {}), ("Add", ["half"], {})],
    ],
)
def test_onnx_operators_behind_the_shuffle(tmp_path, after):
    parameters, x = espcn_of(3, c=3), random_picture(3)
    content = onnx_bytes(*graph_of(parameters, after=after), tensors=parameters | constants(3))
    (tmp_path / "a.onnx").write_bytes(content)
    network = network_of(read_weights(tmp_path / "a.onnx"), tmp_path / "a.onnx")
    wanted = evaluated(content, x) / (255 if "white" in str(after) else 1)
    assert np.abs(network.forward(x).clip(0, 1) - wanted.clip(0, 1)).max() < 1e-5


EDGE = {"mode": "edge"}


def test_onnx_padding_by_repeated_pixels(tmp_path):
    parameters, x = espcn_of(3), random_picture(1)
    nodes, current = [], "x"
    for k, m in enumerate((2, 1, 1), 1):
        nodes.append(("Pad", [current, f"pads{m}"], [f"p{k}"], EDGE))
        nodes.append(("Conv", [f"p{k}", f"W{k}", f"B{k}"], [f"c{k}"], {}))
        nodes.append(("Tanh", [f"c{k}"], [f"a{k}"], {}))
        current = f"a{k}"
    nodes[-1] = ("DepthToSpace", ["c3"], ["y"], {"blocksize": 3, "mode": "CRD"})
    pads = {f"pads{m}": sizes(*[0, 0, m, m] * 2) for m in (1, 2)}
    content = onnx_bytes(*nodes, tensors=parameters | pads)
    (tmp_path / "a.onnx").write_bytes(content)
    network = load(tmp_path / "a.onnx")
    is_espcn(network, parameters, 3, "tanh", "replicate")
    assert np.abs(network.forward(x) - evaluated(content, x)).max() < 1e-5


def test_onnx_padding_that_is_not_ours_is_said(tmp_path, caplog):
    parameters = espcn_of(3)
    content = onnx_bytes(*graph_of(parameters, padding=(0, 0, 0)), tensors=parameters)
    (tmp_path / "a.onnx").write_bytes(content)
    is_espcn(load(tmp_path / "a.onnx"), parameters, 3)
    assert "a.onnx: layers see 'valid' beyond the edge of the picture, and here" in caplog.text


@pytest.mark.parametrize(
    "options, words",
    [
        (
            {"shuffle": [("Identity", [], {})]},
            "has 9 filters in its last layer, for 1 channels, and behind it no sub-pixel shuffle: ",
        ),
        ({"s": 2}, "has 9 filters in its last layer, for 1 channels, and behind it a sub-pixel sh"),
        ({"after": [("Tanh", [], {})]}, "has a Tanh behind its last layer, where SRCNN and ESPCN"),
        ({"after": [("Sigmoid", [], {})]}, "has the operator Sigmoid: only chains of convolution"),
        (
            {"after": [("DepthToSpace", [], {"blocksize": 3, "mode": "CRD"})]},
            "has a sub-pixel shuffle where SRCNN and ESPCN have none",
        ),
        (
            {"shuffle": [("DepthToSpace", [], {"blocksize": 3, "mode": "XYZ"})]},
            "has a sub-pixel shuffle where SRCNN and ESPCN have none",
        ),
        ({"shuffle": [("Reshape", ["six"], {})]}, "has Reshape where a sub-pixel shuffle has more"),
        (
            {"shuffle": [PYTORCH[0], ("Transpose", [], {"perm": [0, 1, 2, 4, 3, 5]}), PYTORCH[2]]},
            "has the operator Transpose: only chains of convolutions",
        ),
        ({"shuffle": [PYTORCH[2]]}, "has the operator Reshape: only chains of convolutions"),
        ({"after": [("Add", ["x"], {})]}, "adds a picture that is not the input of its layers al"),
        ({"activation": "LeakyRelu"}, "has the operator LeakyRelu: only chains of convolutions w"),
    ],
)  # fmt: skip
def test_onnx_graphs_of_others(tmp_path, options, words):
    parameters = espcn_of(3)
    content = onnx_bytes(*graph_of(parameters, **options), tensors=parameters | constants(1))
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(words)):
        load(tmp_path / "a.onnx")


def test_onnx_with_two_activations(tmp_path):
    parameters = espcn_of(3)
    nodes = graph_of(parameters)
    nodes[1] = ("Relu", *nodes[1][1:])
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters))
    with pytest.raises(ValueError, match="has the activations relu and tanh: wanted one of them"):
        load(tmp_path / "a.onnx")


def test_onnx_that_enlarges_twice(tmp_path):
    parameters = espcn_of(3)
    nodes = graph_of(parameters)
    nodes = [("Upsample", ["x"], ["u"], {"scales": [1.0, 1.0, 2.0, 2.0]}), *nodes]
    nodes[1] = ("Conv", ["u", "W1", "B1"], *nodes[1][2:])
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters))
    with pytest.raises(ValueError, match="enlarges twice: by Upsample, and by its last layer"):
        load(tmp_path / "a.onnx")


# ----------------------------------------------------------------------------------------- Keras


@pytest.mark.parametrize("c", [1, 3])
def test_keras_files_have_the_order_of_tensorflow(tmp_path, c):
    """A sub-pixel's channels are beside each other."""
    h5py = pytest.importorskip("h5py")
    parameters = espcn_of(3, c=c)
    order = np.arange(9 * c).reshape(c, 9).T.ravel()  # channels of a sub-pixel, then the next
    theirs = parameters | {n: parameters[n][order] for n in ("W3", "B3")}
    path = keras_file(tmp_path / "a.h5", theirs, "weights")
    with h5py.File(path, "a") as file:
        names = ["input_1", "conv2d", "conv2d_1", "conv2d_2", "tf.nn.depth_to_space"]
        file.attrs["layer_names"] = [name.encode() for name in names]
    is_espcn(load(path), parameters, 3)
    shuffle = ("TFOpLambda", {"function": "nn.depth_to_space"})
    config = config_of(
        *[convolution("tanh")] * 2, convolution("linear"), shuffle, model="Functional"
    )
    is_espcn(load(keras_file(tmp_path / "b.h5", theirs, "saved", config)), parameters, 3)
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = [name.encode() for name in [*names, "batch_normalization"]]
    with pytest.raises(
        ValueError, match="has the layer batch_normalization, whose name is not one of an"
    ):
        load(path)


# ---------------------------------------------------------------------------- what we have written


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".onnx"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
@pytest.mark.parametrize("c", [1, 3])
def test_what_is_written_can_be_read(tmp_path, suffix, activation, padding, c):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    parameters = bent(espcn_of(2, c=c))  # which no greys are asked of: a card of ours vouches
    network = ESPCN.from_parameters(parameters, activation=activation, padding=padding)
    network.card = {"data": "T91"}
    network.save(tmp_path / f"a{suffix}")
    again = load(tmp_path / f"a{suffix}")
    is_espcn(again, parameters, 2, activation, padding)
    assert again.card["data"] == "T91" and again.card["scale"] == 2


def test_it_is_not_written_as_the_authors_of_srcnn_do(tmp_path):
    with pytest.raises(ValueError, match="a.mat would hold an SRCNN, as its authors write it, and"):
        ESPCN(2).save(tmp_path / "a.mat")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change, words",
    [
        ({"network": "9-1-5"}, "its card says network '9-1-5', and its layers are those of an E"),
        ({"scale": 3}, "its card says scale 3, and its last layer has 4 filters"),
        ({"activation": "elu"}, "has the activation 'elu', wanted relu or tanh"),
    ],
)  # fmt: skip
def test_cards_that_do_not_fit(tmp_path, change, words):
    ESPCN(2).save(tmp_path / "a.npz")
    arrays = dict(np.load(tmp_path / "a.npz"))
    arrays["card"] = np.array(json.dumps(json.loads(str(arrays["card"])) | change))
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=re.escape(words)):
        load(tmp_path / "a.npz")


def test_a_card_of_an_espcn_with_the_layers_of_an_srcnn(tmp_path):
    SRCNN(5, 4, 1, 3, 3).save(tmp_path / "a.npz")
    arrays = dict(np.load(tmp_path / "a.npz"))
    card = json.loads(str(arrays["card"])) | {"network": "espcn"}
    np.savez(tmp_path / "a.npz", **(arrays | {"card": np.array(json.dumps(card))}))
    with pytest.raises(ValueError, match="card says network 'espcn', and its layers are those of"):
        load(tmp_path / "a.npz")


def networks():
    for c in (1, 3):
        for padding in ("zeros", "replicate"):
            for activation in ("tanh", "relu"):
                parameters = bent(espcn_of(3, c=c))
                yield ESPCN.from_parameters(parameters, activation=activation, padding=padding)
        yield SRCNN.from_parameters(parameters_of((5, 1, 3), (4, 5), c))


@pytest.mark.parametrize("network", [*networks()], ids=repr)
def test_onnx_that_we_write_computes_what_forward_does(tmp_path, network):
    onnx = pytest.importorskip("onnx")
    network.save(tmp_path / "a.onnx")
    onnx.checker.check_model(str(tmp_path / "a.onnx"), full_check=True)
    content = (tmp_path / "a.onnx").read_bytes()
    for seed, shape in enumerate([(1, 12, 9), (2, 7, 31), (1, 1, 1)]):
        rng = np.random.default_rng(seed)
        x = rng.random((shape[0], network.c, *shape[1:]), np.float32)
        wanted = evaluated(content, x)
        ours = network.forward(x)
        assert ours.shape == wanted.shape and np.abs(ours - wanted).max() < 1e-5


@pytest.mark.parametrize("network", [*networks()], ids=repr)
def test_onnx_runtime_computes_the_same(tmp_path, network):
    runtime = pytest.importorskip("onnxruntime")
    network.save(tmp_path / "a.onnx")
    session = runtime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).random((2, network.c, 33, 20), np.float32)
    (theirs,) = session.run(["high"], {"low": x})
    assert np.abs(theirs - network.forward(x)).max() < 1e-5


# ----------------------------------------------------------------------------------- the real ones


@pytest.mark.slow
@pytest.mark.parametrize("s, wanted", [(2, 36.602), (3, 32.543), (4, 30.275)])
def test_lornatangs_weights_score_what_they_do_elsewhere(data_folder, capsys, s, wanted):
    """Measured with PyTorch and steps of its own around the network, so not to the last digit."""
    path = data_folder("weights") / f"espcn_x{s}_t91.pth.tar"
    assert main(["evaluate", str(data_folder("Set5")), "-m", str(path), "-s", str(s)]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[0] == "average" and abs(float(last[3]) - wanted) < 0.02
