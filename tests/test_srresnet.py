"""SRResNet: batch normalisation in training and in use, and the files of others."""

import numpy as np
import pytest
from rungs import compiled_only

from pysrcnn import kernels, reference
from pysrcnn.cli import main
from pysrcnn.formats import write_weights
from pysrcnn.gradcheck.planted import Step
from pysrcnn.networks import SRResNet, load
from pysrcnn.pictures import write_picture

OPS = pytest.mark.parametrize(
    "ops", [reference, pytest.param(kernels, marks=compiled_only)], ids=["reference", "kernels"]
)


def drawn(*sizes, dtype=np.float32, **options):
    """One whose statistics, slopes and last layer all have a part in the result."""
    network, rng = SRResNet(*sizes, **options), np.random.default_rng(1)
    for name, p in network.parameters.items():
        p += rng.normal(0, 0.1, p.shape).astype(np.float32)
        if name[0] == "V":
            p[...] = np.abs(p) + 0.1
    return network.astype(dtype)


@OPS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_folded_is_the_same_network_in_use(ops, dtype):
    network = drawn(2, 2, 6, 3, dtype=dtype, ops=ops)
    x = np.random.default_rng(2).random((2, 3, 9, 7)).astype(dtype)
    p = network.parameters
    wanted = network._forward(x, p, reference, None, **network.options)
    plain = network.folded()
    assert not plain.statistics and not any(n[0] in "GMV" for n in plain.parameters)
    assert plain.scale == network.scale and network.parameters is p and network.statistics
    # Each layer rounds its weights and sums of 54 products, seven layers one behind the other.
    most = 7 * 4 * np.sqrt(54) * np.finfo(dtype).eps * np.abs(wanted).max()
    assert np.abs(network.forward(x) - wanted).max() <= most
    assert np.array_equal(plain.forward(x), network.forward(x))
    p["M1_1"] += 1  # and what was to be seen of a mean that is left out
    assert np.abs(network.forward(x) - wanted).max() > 100 * most


def test_folded_is_saved_and_loaded(tmp_path):
    network = drawn(2, 1, 5)
    network.folded().save(tmp_path / "use.npz")
    network.save(tmp_path / "mine.npz")
    again, x = load(tmp_path / "use.npz"), np.ones((1, 1, 5, 6), np.float32)
    assert repr(again) == ("<SRResNet blocks=1, width=5, c=1, batch_norm=False, float32, scale=2>")
    assert np.array_equal(again.forward(x), load(tmp_path / "mine.npz").forward(x))


@OPS
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 2), (2, 1, 1), (3, 5, 1)])
def test_training_on_next_to_nothing(ops, shape):
    """One pixel has no variance: all is finite, and running variances fall."""
    network = drawn(2, 1, 4, 1, ops=ops, dtype=np.float64)
    n, height, width = shape
    low = np.random.default_rng(3).random((n, 1, height, width))
    loss, gradients = network.loss_and_gradients(low, low.repeat(2, 2).repeat(2, 3))
    assert np.isfinite(loss) and all(np.isfinite(g).all() for g in gradients.values())
    p = network.parameters
    if low.size == 1:
        assert np.allclose(p["V1_1"] - gradients["V1_1"], 0.9 * p["V1_1"], rtol=1e-14)
    assert all(g.shape == p[n].shape and g.dtype == p[n].dtype for n, g in gradients.items())


@OPS
def test_maps_that_are_silent_in_training(ops):
    """A filter of zeros gives a constant, whose variance is 0."""
    network = drawn(2, 1, 4, 1, ops=ops)
    network.parameters["W1_1"][1] = 0
    low, high = np.random.default_rng(4).random((2, 1, 9, 8)), np.zeros((2, 1, 18, 16))
    loss, gradients = network.loss_and_gradients(low, high.astype(np.float32))
    assert np.isfinite(loss) and all(np.isfinite(g).all() for g in gradients.values())
    running = network.parameters["V1_1"][1]
    assert running - gradients["V1_1"][1] == pytest.approx(0.9 * running, rel=1e-6)
    assert not gradients["G1_1"][1]


def test_sizes_are_checked():
    for given, words in (
        ({"scale": 5}, "for scales of 2, 3, 4, 8 or 16, got 5"),
        ({"scale": 1}, "scale is a whole number, 2 to 16; got 1"),
        ({"blocks": 0}, "blocks is 0, wanted a whole number, 1"),
        ({"c": 2}, "c is 1 .luminance. or 3 .RGB., got 2"),
        ({"batch_norm": "yes"}, "batch_norm is 'yes', wanted True or False"),
        ({"picture": None}, "picture is None, wanted True or False"),
    ):
        with pytest.raises(ValueError, match=words):
            SRResNet(**given)
    with pytest.raises(ValueError, match="for one scale: say which, 2, 3, 4, 8 or 16"):
        SRResNet.from_recipe(None, None)


def test_the_published_size():
    """Of the paper's x4, with one slope for all channels: 1.55 million."""
    network = SRResNet(4, c=3)
    assert (network.blocks, network.scale, network.seen.depth) == (16, 4, 37)
    learned = (p for n, p in network.parameters.items() if n not in network.statistics)
    slopes = [n for n in network.parameters if n[0] == "A"]
    assert sum(p.size for p in learned) - len(slopes) * 63 == 1_547_350


# --------------------------------------------------------------------------------- files of others


def of_lornatang(p):
    """Two blocks, by the names that SRGAN-PyTorch gives them."""
    names = {"_head": "conv1.0", "_body": "conv2.0", "_tail": "conv3"}
    norms, slopes = {"_body": "conv2.1"}, {"_head": "conv1.1"}
    for k in (1, 2):
        for part, number in ((1, 0), (2, 3)):
            names[f"{k}_{part}"] = f"trunk.{k - 1}.rcb.{number}"
            norms[f"{k}_{part}"] = f"trunk.{k - 1}.rcb.{number + 1}"
        slopes[f"{k}"] = f"trunk.{k - 1}.rcb.2"
        names[f"_up{k}"] = f"upsampling.{k - 1}.upsample_block.0"
        slopes[f"_up{k}"] = f"upsampling.{k - 1}.upsample_block.2"
    return renamed(p, names, norms, slopes)


def of_twtygqyy(p):
    """The same by the names of pytorch-SRResNet, which has neither biases nor slopes."""
    names = {"_head": "conv_input", "_body": "conv_mid", "_tail": "conv_output"}
    names |= {"_up1": "upscale4x.0", "_up2": "upscale4x.3"}
    norms = {"_body": "bn_mid"}
    for k, part in ((1, 1), (1, 2), (2, 1), (2, 2)):
        names[f"{k}_{part}"] = f"residual.{k - 1}.conv{part}"
        norms[f"{k}_{part}"] = f"residual.{k - 1}.bn{part}"
    return renamed(p, names, norms, {})


def renamed(p, names, norms, slopes):
    kinds = {"G": "weight", "B": "bias", "M": "running_mean", "V": "running_var"}
    found = {}
    for name, array in p.items():
        kind, layer = name[0], name[1:]
        if kind == "W":
            found[f"{names[layer]}.weight"] = array
        elif kind == "A" and layer in slopes:
            found[f"{slopes[layer]}.weight"] = array
        elif layer in norms and kind in kinds:
            found[f"{norms[layer]}.{kinds[kind]}"] = array
            found[f"{norms[layer]}.num_batches_tracked"] = np.array(7)
        elif kind == "B" and slopes:
            found[f"{names[layer]}.bias"] = array
    return found


def one_that_makes_pictures(biases, slopes):
    """x4, RGB: the first three maps hand the picture on, the others see no flat grey."""
    p = drawn(4, 2, 6, 3, picture=False).parameters
    for name, array in p.items():
        if name[0] == "A":
            p[name] = array[:1] if slopes else np.array([0.2], np.float32)
        elif name[0] == "W":
            array -= array.mean(axis=(2, 3), keepdims=True)
        elif name[0] == "B":
            array *= 0.1 if f"G{name[1:]}" in p or biases else 0
    for layer in ("_head", "_tail"):
        p[f"W{layer}"][range(3), range(3), 4, 4] += 1
    for layer in ("_up1", "_up2"):
        p[f"W{layer}"][range(12), np.arange(12) // 4, 1, 1] += 1
    return SRResNet.from_parameters(p, picture=False)


@pytest.mark.parametrize("names", [of_lornatang, of_twtygqyy])
def test_an_srresnet_is_read_by_the_names_of_others(names, tmp_path):
    made = one_that_makes_pictures(names is of_lornatang, names is of_lornatang)
    tensors = names(made.parameters)
    write_weights(tmp_path / "theirs.safetensors", dict(sorted(tensors.items())), {})
    network = load(tmp_path / "theirs.safetensors")
    assert type(network) is SRResNet and not network.options["picture"]
    assert network.parameters.keys() == made.parameters.keys()
    x = np.random.default_rng(3).random((1, 3, 7, 9), np.float32)
    assert np.array_equal(network.forward(x), made.forward(x))
    # Biases before batch normalisation are taken off its means.
    for name in [n for n in tensors if n.endswith((".rcb.0.weight", ".conv1.weight"))]:
        tensors[name.replace("weight", "bias")] = np.full(6, 0.3, np.float32)
        mean = name.replace("rcb.0", "rcb.1").replace("conv1", "bn1")
        tensors[mean.replace("weight", "running_mean")] += np.float32(0.3)
    write_weights(tmp_path / "biases.safetensors", tensors, {})
    out, again = network.forward(x), load(tmp_path / "biases.safetensors").forward(x)
    assert np.abs(again - out).max() < 1e-5 * np.abs(out).max()


def test_one_that_gives_what_the_paper_does(tmp_path):
    """-1..1, black to white."""
    made = one_that_makes_pictures(True, True)
    x = np.random.default_rng(3).random((1, 3, 7, 9), np.float32)
    wanted = made.forward(x)
    made.parameters["W_tail"] *= 2
    made.parameters["B_tail"][...] = 2 * made.parameters["B_tail"] - 1
    write_weights(tmp_path / "theirs.safetensors", of_lornatang(made.parameters), {})
    assert np.abs(load(tmp_path / "theirs.safetensors").forward(x) - wanted).max() < 1e-6


@pytest.mark.parametrize(
    "change, words",
    [
        ({"conv2.1.running_mean": None}, "has no running mean of the batch normalisation of layer"),
        ({"trunk.0.rcb.1.running_var": None}, "has no running variance of the batch normalisat"),
        ({"trunk.0.rcb.4.running_var": np.full(6, -1, np.float32)}, "holds negative variances"),
        ({"trunk.1.rcb.4.bias": np.full(6, np.inf, np.float32)}, "not finite"),
        ({"trunk.0.rcb.0.bias": np.ones(2, np.float32)}, "bias of layer 1_1 has the shape .2,."),
        ({"trunk.1.rcb.3.bias": np.ones((6, 1), np.float32)}, "layer 2_2 has the shape .6, 1."),
        ({"conv2.0.bias": np.float32(1)}, "layer _body has the shape .., wanted .6,."),
        ({"conv1.0.bias": np.ones(2, np.float32)}, "B_head is .2,., wanted the shape .6,."),
        ({"trunk.7.rcb.0.bias": np.ones(6, np.float32)}, "the arrays B8_1 do not make such"),
        ({"trunk." + "9" * 5000 + ".rcb.0.weight": np.ones(6, np.float32)}, "theirs.safetensors"),
        ({"conv3.bias": np.full(3, 3, np.float32)}, "makes no picture: of greys of 0.25, 0.50, 0"),
        ({"conv3.weight": np.ones((3, 6, 5, 5), np.float32)}, "W_tail is .3, 6, 5, 5., wanted"),
        ({"conv_block1.conv_block.0.weight": np.ones((6, 3, 9, 9), np.float32)}, "with a tanh"),
        ({"net.conv_block1.conv_block.0.weight": np.ones(3, np.float32)}, "with a tanh"),
        ({"block8.0.conv.weight": np.ones((24, 6, 3, 3), np.float32)}, "ends with a tanh"),
        (
            dict.fromkeys(
                ("conv_first.weight", "upconv1.weight", "conv_hr.weight"),
                np.ones((6, 3, 3, 3), np.float32),
            ),
            "is an MSRResNet, by its names",
        ),
    ],
)
def test_what_is_not_read_of_others(change, words, tmp_path):
    tensors = of_lornatang(one_that_makes_pictures(True, True).parameters) | change
    tensors = {name: array for name, array in tensors.items() if array is not None}
    write_weights(tmp_path / "theirs.safetensors", tensors, {})
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "theirs.safetensors")


def test_a_bias_that_holds_no_numbers_is_not_read(tmp_path):
    tensors = of_lornatang(one_that_makes_pictures(True, True).parameters)
    np.savez(tmp_path / "theirs.npz", **(tensors | {"conv2.0.bias": np.full(6, "a")}))
    with pytest.raises(ValueError, match="the bias of layer _body is <U1, wanted float32"):
        load(tmp_path / "theirs.npz")


# ------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize("more", [(), ("--no-batch-norm", "--channels", "3")])
def test_the_command_trains_it(more, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(5)
    for k in range(2):
        write_picture(f"pictures/{k}.png", rng.integers(0, 256, (30, 34, 3)).astype(np.uint8))
    options = "--network srresnet --depth 1 --width 4 --steps 3 --batch 2 --size 9 --every 3"
    command = ["train", "pictures", "-s", "2", "-o", "mine.npz", *options.split(), *more]
    assert main(command) == 0
    said = f"batch_norm={not more}, float32, scale=2>"
    assert said in capsys.readouterr().out
    network = load("mine.npz")
    assert bool(network.statistics) == (not more) and network.c == (3 if more else 1)
    assert network.card["recipe"]["batch_norm"] == (not more)
    assert main(["upscale", "pictures/0.png", "-o", "large.png", "-m", "mine.npz"]) == 0
    again = [*command, "--start", "mine.npz"]
    again[again.index("mine.npz")] = "other.npz"
    assert main(again) == 0


def test_the_steps_of_gradcheck_run_on_it():
    """Its parts told by name, in training as well; biases before the statistics have none."""
    network = drawn(2, 1, 4, dtype=np.float64, ops=reference)
    low, high = np.random.default_rng(6).random((2, 1, 7, 6)), np.zeros((2, 1, 14, 12))
    loss, wanted = network.loss_and_gradients(low, high)
    network.options = network.in_training
    values = Step(network, low, high).values()
    assert values["loss"] == loss and "d" not in values
    learned = wanted.keys() - network.statistics
    assert all(np.array_equal(values[f"d{name}"], wanted[name]) for name in learned)
    assert len(learned) > 15 and not any(f"d{name}" in values for name in network.statistics)
