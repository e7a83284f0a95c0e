"""Weights as they are handed on: in half the space, and with all that a card says."""

from pathlib import Path

import numpy as np
import pytest
from rungs import JIT
from samples import parameters_of, safe, state, zipped

from pysrcnn import SRCNN, load
from pysrcnn.cli import main
from pysrcnn.data import pair
from pysrcnn.evaluate import average, evaluate, score
from pysrcnn.formats import read_weights
from pysrcnn.networks import DRCN, EDSR, VDSR, Chain, shipped
from pysrcnn.networks.authors import DIV2K
from pysrcnn.pictures import read_picture

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "sample.png"
SIXTEEN = pytest.mark.parametrize("suffix", [".npz", ".safetensors"])


# -------------------------------------------------------------------------------- in half the space

NETWORKS = {
    "srcnn": lambda: SRCNN.from_parameters(parameters_of((5, 1, 3), (4, 3), 1)),
    "vdsr": lambda: VDSR(4, 5, seed=1),
    "drcn": lambda: DRCN(3, 4, seed=2),
    "edsr": lambda: EDSR(3, 2, 5, seed=3),
}


def bytes_in(path):
    """Of the arrays in a file, as they are written there."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return sum(array.nbytes for name, array in file.items() if name != "card")
    content = path.read_bytes()
    return len(content) - 8 - int.from_bytes(content[:8], "little")


@SIXTEEN
@pytest.mark.parametrize("kind", NETWORKS)
def test_float16_comes_back_as_float32(tmp_path, kind, suffix):
    network, path = NETWORKS[kind](), tmp_path / f"a{suffix}"
    network.scale = network.scale or 3
    network.card["data"] = "made up"
    network.save(path, half=True)
    assert bytes_in(path) == 2 * sum(array.size for array in network.parameters.values())
    again = load(path)
    assert again.dtype == np.float32 and again.scale == 3 and again.card["data"] == "made up"
    for name, array in network.parameters.items():
        assert np.array_equal(again.parameters[name], array.astype(np.float16)), name
    assert any(not np.array_equal(again.parameters[n], a) for n, a in network.parameters.items())
    again.save(tmp_path / f"b{suffix}", half=True)  # what fits is not changed once more
    assert all(np.array_equal(load(tmp_path / f"b{suffix}").parameters[name], array)
               for name, array in again.parameters.items())  # fmt: skip


@SIXTEEN
@pytest.mark.parametrize("change, kept", [
    (lambda w: w * 2e5, True),  # beyond what float16 has
    (lambda w: w * 1e-6, True),  # next to nothing, where float16 has a few steps
    (lambda w: np.where(w == w.max(), w, 1e-7 * w), False),  # where it does not matter
    (lambda w: w, False),
])  # fmt: skip
def test_what_float16_cannot_hold_stays_float32(tmp_path, change, kept, suffix):
    network = SRCNN.from_parameters(parameters_of((5, 1, 3), (4, 3), 1))
    w = network.parameters["W2"] = change(network.parameters["W2"]).astype(np.float32)
    network.save(tmp_path / f"a{suffix}", half=True)
    (_, w2) = (x for n, x in read_weights(tmp_path / f"a{suffix}").tensors.items()
               if n in ("W1", "W2", "conv1.weight", "conv2.weight"))  # fmt: skip
    assert np.array_equal(w2, w) == kept
    assert np.abs(w2 - w).max() <= 2.0**-11 * np.abs(w).max()
    sizes = {True: 4, False: 2}
    wanted = sum((sizes[kept] if n == "W2" else 2) * a.size for n, a in network.parameters.items())
    assert bytes_in(tmp_path / f"a{suffix}") == wanted


@pytest.mark.parametrize("suffix", [".mat", ".onnx"])
def test_other_files_are_not_of_float16(tmp_path, suffix):
    network = SRCNN.from_parameters(parameters_of((5, 1, 3), (4, 3), 1))
    with pytest.raises(ValueError, match=f"a{suffix} would not be of float16: weights of half"):
        network.save(tmp_path / f"a{suffix}", half=True)
    assert not (tmp_path / f"a{suffix}").exists()


def theirs(network):
    """The tensors of an EDSR by the names of BasicSR, of 0..255."""
    names = {"head": "conv_first", "body": "conv_after_body", "tail": "conv_last",
             "up1": "upsample.0"}  # fmt: skip
    names |= {f"{k}_{part}": f"body.{k - 1}.conv{part}" for k in (1, 2) for part in (1, 2)}
    kinds = {"W": ("weight", 1), "B": ("bias", 255)}
    return {
        f"{names[name[1:].strip('_')]}.{kinds[name[0]][0]}": kinds[name[0]][1] * array
        for name, array in network.parameters.items()
    }


@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_deep_networks_of_others_in_16_bits(tmp_path, suffix, narrow):
    """As torch's half() and bfloat16() leave them."""
    network = EDSR(2, 2, 4, 3, short_tail=False, picture=False, mean=DIV2K, seed=1)
    tensors = theirs(network)
    if narrow == "float16":
        tensors = {n: a.astype(np.float16) for n, a in tensors.items()}
        wanted, kind, dtype = tensors, "HalfStorage", "F16"
    else:
        bits = {n: a.astype("f4").view(np.uint32) >> 16 for n, a in tensors.items()}
        wanted = {n: (b << 16).view(np.float32) for n, b in bits.items()}
        tensors, kind, dtype = (
            {n: b.astype(np.uint16) for n, b in bits.items()}, "BFloat16Storage", "BF16",
        )  # fmt: skip
    content = zipped(*state(tensors, kind=kind)) if suffix == ".pth" else safe(tensors, dtype)
    (tmp_path / f"a{suffix}").write_bytes(content)
    read = load(tmp_path / f"a{suffix}")
    assert isinstance(read, EDSR) and read.dtype == np.float32 and read.scale == 2
    assert np.array_equal(read.parameters["W_up1"], wanted["upsample.0.weight"])
    assert np.abs(read.parameters["W1_2"] - network.parameters["W1_2"]).max() < 2e-3


def test_convert_half(tmp_path, capsys):
    SRCNN.from_parameters(parameters_of((5, 1, 3), (4, 3), 1)).save(tmp_path / "a.npz")
    files = [str(tmp_path / name) for name in ("a.npz", "b.npz")]
    assert main(["convert", *files, "--half"]) == 0
    assert 2 * bytes_in(tmp_path / "b.npz") == bytes_in(tmp_path / "a.npz")
    assert main(["convert", files[0], str(tmp_path / "c.onnx"), "--half"]) == 2
    assert "weights of half the size are written as .npz or .safetensors" in capsys.readouterr().err


def halved(network, folder):
    network.save(folder / "half.npz", half=True)
    return load(folder / "half.npz")


@pytest.mark.skipif(not JIT, reason="takes minutes without the compiler")
@pytest.mark.parametrize("name, scale", [("9-5-5", 3), ("9-1-5-rgb", 3), ("espcn", 2)])
def test_float16_costs_no_decibels(tmp_path, name, scale):
    network = load(name, scale)
    low, high = pair(read_picture(SAMPLE), scale, network.c, network.small)
    both = [score(n, low, high).psnr for n in (network, halved(network, tmp_path))]
    assert abs(both[0] - both[1]) < 0.003


@pytest.mark.slow
@pytest.mark.skipif(not JIT, reason="takes minutes without the compiler")
@pytest.mark.parametrize("name, scale", [key for key in shipped() if key[0] != "sc"])
def test_float16_costs_no_decibels_on_set5(tmp_path, data_folder, name, scale):
    network, folder = load(name, scale), data_folder("Set5")
    both = [average(list(evaluate(folder, n, scale))).psnr
            for n in (network, halved(network, tmp_path))]  # fmt: skip
    # The picture itself goes through the layers of a chain, and is rounded there.
    assert abs(both[0] - both[1]) < (0.004 if isinstance(network, Chain) else 0.003)
