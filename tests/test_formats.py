"""Files of weights: the authors' .mat against their definition, and files that are not all right.

Whatever is wrong with a file, the answer is a sentence in a ValueError, and nothing in it is run.
"""

import json
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
import scipy.io
from samples import parameters_of, read_network
from scipy.ndimage import correlate

from pysrcnn import SRCNN, kernels, load, reference
from pysrcnn._files import write_json, written_whole
from pysrcnn.formats import write_weights
from pysrcnn.gradcheck import case, write_case
from pysrcnn.pictures import write_picture

OPS = pytest.mark.parametrize("ops", [reference, kernels], ids=["reference", "kernels"])


@pytest.fixture
def parameters():
    return parameters_of((5, 1, 3), (4, 3), 1)


# -------------------------------------------------------------------------------- the authors' .mat


def authors_arrays(parameters, c):
    """Networks as the authors store them, one filter plane at a time.

    weights_conv1(:, o) is filter o with its columns one below the other, and so on; a last axis
    of length 1 does not exist in MATLAB.
    """
    w1, w2, w3 = (parameters[f"W{k}"].astype(np.float64) for k in (1, 2, 3))
    (n1, _, f1, _), (n2, _, f2, _), (_, _, f3, _) = w1.shape, w2.shape, w3.shape
    conv1, conv2 = np.zeros((c, f1 * f1, n1)), np.zeros((n1, f2 * f2, n2))
    conv3 = np.zeros((n2, f3 * f3, c))
    for array, w in ((conv1, w1), (conv2, w2), (conv3, w3)):
        f = w.shape[2]
        for o, i, row, column in np.ndindex(w.shape):
            array[i, column * f + row, o] = w[o, i, row, column]
    if c == 1:
        conv1, conv3 = conv1[0], conv3[:, :, 0]
    if n2 == 1:
        conv2 = conv2[:, :, 0]
    arrays = {"weights_conv1": conv1, "weights_conv2": conv2, "weights_conv3": conv3}
    for k in (1, 2, 3):
        arrays[f"biases_conv{k}"] = parameters[f"B{k}"].astype(np.float64)[:, None]
    return arrays


def by_scipy(x, parameters):
    """The network on a picture (c, H, W), filter by filter: imfilter(..., 'same', 'replicate')."""
    for k in (1, 2, 3):
        w, b = (parameters[f"{kind}{k}"].astype(np.float64) for kind in "WB")
        maps = []
        for o in range(len(b)):
            planes = [correlate(x[i], w[o, i], mode="nearest") for i in range(len(x))]
            maps.append(sum(planes) + b[o])
        x = np.stack(maps)
        if k < 3:
            x = np.maximum(x, 0)
    return x


MAT = pytest.mark.parametrize(
    "sizes, filters, c",
    [
        ((9, 1, 5), (7, 5), 1),
        ((9, 5, 5), (7, 5), 1),
        ((9, 1, 5), (7, 5), 3),
        ((5, 3, 3), (3, 9), 3),
        ((5, 3, 3), (4, 1), 1),
        ((5, 3, 3), (1, 3), 1),
    ],
)


@OPS
@MAT
def test_the_authors_files(tmp_path, ops, sizes, filters, c):
    parameters = parameters_of(sizes, filters, c)
    scipy.io.savemat(tmp_path / "x3.mat", authors_arrays(parameters, c))
    network = load(tmp_path / "x3.mat", 3, ops=ops)
    assert (network.sizes, network.filters, network.c) == (sizes, filters, c)
    assert network.scale == 3 and network.card == {} and network.dtype == np.float32
    for name, parameter in network.parameters.items():
        assert np.array_equal(parameter, parameters[name]), name
    x = np.random.default_rng(1).random((c, 12, 15))
    ours = network.astype(np.float64).forward(x[None])[0]
    wanted = by_scipy(x, parameters)
    assert np.abs(ours - wanted).max() <= 1e-12 * np.abs(wanted).max()
    turned = {n: p.swapaxes(-1, -2) if n[0] == "W" else p for n, p in parameters.items()}
    assert np.abs(ours - by_scipy(x, turned)).max() > 1e-3  # rows and columns do matter here


def test_an_authors_file_without_a_scale_and_in_capitals(tmp_path, parameters):
    scipy.io.savemat(tmp_path / "W.MAT", authors_arrays(parameters, 1), appendmat=False)
    assert load(tmp_path / "W.MAT").scale is None
    assert load(str(tmp_path / "W.MAT"), scale=4).scale == 4


def test_an_authors_file_becomes_ours(tmp_path, parameters):
    scipy.io.savemat(tmp_path / "x2.mat", authors_arrays(parameters, 1), do_compression=True)
    load(tmp_path / "x2.mat", 2).save(tmp_path / "ours.npz")
    again = load(tmp_path / "ours.npz")
    assert again.scale == 2
    assert all(np.array_equal(p, parameters[n]) for n, p in again.parameters.items())


def without(name):
    return lambda arrays: arrays.pop(name)


def changed(name, change):
    return lambda arrays: arrays.update({name: change(arrays[name])})


@pytest.mark.parametrize(
    "spoil, words",
    [
        (without("weights_conv2"), "has no 'weights_conv2', but weights_conv1, weights_conv3, bia"),
        (without("biases_conv3"), "biases_conv2: the authors' files hold weights_conv1 to weigh"),
        (dict.clear, "has no 'weights_conv1', but nothing: the authors' files hold"),
        (changed("weights_conv1", lambda w: w[:24]), "weights_conv1 has 24 values a filter, which"),
        (changed("weights_conv1", lambda w: w[:16]), "W1 has the shape (4, 1, 4, 4), wanted"),
        (changed("weights_conv1", lambda w: w[:0]), "weights_conv1 has 0 values a filter"),
        (changed("weights_conv1", lambda w: w[:, :3]), "B1 has the shape (4,), wanted (3,)"),
        (changed("weights_conv2", lambda w: w[:3]), "W2 takes 3 channels, the layer before gives"),
        (changed("weights_conv3", lambda w: w[:2]), "W3 takes 2 channels, the layer before gives"),
        (changed("weights_conv2", lambda w: w[None]), "weights_conv2 has the shape (1, 4, 1, 3)"),
        (changed("biases_conv1", lambda b: b[:3]), "B1 has the shape (3,), wanted (4,)"),
        (changed("biases_conv2", lambda b: b * np.nan), "B2 holds values that are not finite"),
        (changed("weights_conv3", lambda w: w / 0), "W3 holds values that are not finite"),
        (changed("weights_conv1", lambda w: w.astype(np.int16)), "weights_conv1 holds int16, not"),
        (changed("biases_conv1", lambda b: b.astype(np.uint8)), "biases_conv1 holds uint8, not"),
        (changed("weights_conv1", lambda w: w + 1j), "weights_conv1 holds complex128, not"),
        (changed("weights_conv1", lambda w: "text"), "weights_conv1 holds <U4, not"),
        (changed("weights_conv1", lambda w: {"a": 1}), "has no 'weights_conv1'"),
        (changed("weights_conv3", lambda w: np.stack([w, w], 2)), "B3 has the shape (1,), wanted"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_authors_files_that_are_not_all_right(tmp_path, parameters, spoil, words):
    arrays = authors_arrays(parameters, 1)
    spoil(arrays)
    scipy.io.savemat(tmp_path / "bad.mat", arrays)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        load(tmp_path / "bad.mat", 3)
    assert "bad.mat" in str(caught.value)


@pytest.mark.parametrize("suffix", [".mat", ".npz"])
@pytest.mark.parametrize(
    "content",
    [
        b"\0",
        b"not what the name says\n" * 20,
        b"\x89HDF\r\n\x1a\n" + bytes(600),
        b"MATLAB 7.3 MAT-file" + b" " * 105 + b"\x00\x02IM" + bytes(500),  # which is HDF5
        b"PK\x03\x04" + bytes(40),
    ],
    ids=["one byte", "text", "hdf5", "matlab 7.3", "zip"],
)
def test_files_that_are_something_else(tmp_path, suffix, content):
    if content[1:4] == b"HDF":
        pytest.importorskip("h5py")
    path = tmp_path / f"other{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"other{suffix} is damaged or not a")):
        load(path, 3)


@pytest.mark.parametrize("suffix", [".mat", ".npz"])
def test_truncated_files(tmp_path, parameters, suffix):
    path = tmp_path / f"whole{suffix}"
    if suffix == ".mat":
        scipy.io.savemat(path, authors_arrays(parameters, 1))
    else:
        write_weights(path, parameters, {})
    content = path.read_bytes()
    for length in range(0, len(content), len(content) // 25):
        (tmp_path / f"part{suffix}").write_bytes(content[:length])
        with pytest.raises(ValueError, match=f"part{suffix}"):
            load(tmp_path / f"part{suffix}", 3)


# ---------------------------------------------------------------------------------------- our .npz


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_bit_is_found_or_harmless(tmp_path, parameters, save):
    path = tmp_path / "flipped.npz"
    save(path, card=np.array('{"scale": 3}'), **parameters)
    content = path.read_bytes()
    places = [*range(0, len(content), 13), *range(len(content) - 300, len(content))]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 0x55
        path.write_bytes(flipped)
        try:
            read, card = read_network(path)
        except ValueError as error:
            assert "flipped.npz" in str(error)
        else:
            assert card in ({"scale": 3}, {})
            assert all(np.array_equal(read[name], parameters[name]) for name in parameters)


@pytest.mark.parametrize(
    "spoil, words",
    [
        (without("W2"), "holds ['B1', 'B2', 'B3', 'W1', 'W3'], not the arrays of a network"),
        (without("B1"), "not the arrays of a network: W1, B1, W2, B2, ..."),
        (lambda arrays: arrays.clear(), "holds nothing, not the arrays of a network"),
        (lambda arrays: arrays.update(W5=arrays["W1"], B5=arrays["B1"]), "'W5'"),
        (lambda arrays: arrays.update(more=np.zeros(3)), "'more'"),
        (
            changed("W1", lambda w: w[:, :, :3]),
            "W1 has the shape (4, 1, 3, 5), wanted (O, C, f, f)",
        ),
        (changed("W1", lambda w: w[:, :, :4, :4]), "W1 has the shape (4, 1, 4, 4), wanted"),
        (changed("W1", lambda w: w[:, 0]), "W1 has the shape (4, 5, 5), wanted"),
        (changed("W1", lambda w: w[:, :0]), "W1 has the shape (4, 0, 5, 5), wanted"),
        (changed("W1", lambda w: w[:0]), "W1 has the shape (0, 1, 5, 5), wanted"),
        (changed("W1", lambda w: np.array(1.0)), "W1 has the shape (), wanted"),
        (changed("W1", lambda w: np.resize(w, (5000, 1, 1, 1))), "at most 4096 filters"),
        (changed("W1", lambda w: np.resize(w, (4, 1, 301, 301))), "of at most 99 x 99"),
        (changed("W1", lambda w: w[:3]), "B1 has the shape (4,), wanted (3,)"),
        (changed("B1", lambda b: b[:, None]), "B1 has the shape (4, 1), wanted (4,)"),
        (changed("W2", lambda w: w[:, :2]), "W2 takes 2 channels, the layer before gives 4"),
        (changed("W1", lambda w: np.repeat(w, 3, 1)), "of the network are 3 and 1, wanted 1 and"),
        (changed("W1", lambda w: w * np.inf), "W1 holds values that are not finite"),
        (changed("B3", lambda b: b * np.nan), "B3 holds values that are not finite"),
        (changed("W1", lambda w: w * 1e30), "e+29, wanted at most 1,000,000: no picture would"),
        (changed("B2", lambda b: b + 1e7), "B2 holds values up to 1e+07, wanted at most"),
        (changed("W2", lambda w: w * 0), "W2 holds nothing but zeros, and nothing of a picture"),
        (changed("W1", lambda w: w.astype(np.int64)), "W1 is int64, wanted float32 or float64"),
        (changed("W1", lambda w: w.astype(np.longdouble)), "wanted float32 or float64"),
        (changed("B1", lambda b: b.astype(str)), "B1 is <U32, wanted float32 or float64"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_arrays_that_are_not_a_network(tmp_path, parameters, spoil, words):
    spoil(parameters)
    write_weights(tmp_path / "bad.npz", parameters, {})
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        load(tmp_path / "bad.npz")
    assert "bad.npz" in str(caught.value)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_beyond_float32_are_not_finite_either(tmp_path, parameters):
    parameters = {n: p.astype(np.float64) for n, p in parameters.items()}
    parameters["W1"][0, 0, 0, 0] = 1e300
    write_weights(tmp_path / "huge.npz", parameters, {})
    with pytest.raises(ValueError, match="huge.npz"):
        load(tmp_path / "huge.npz")


@pytest.mark.filterwarnings("error")
def test_signalling_nan_is_refused_without_a_warning(tmp_path, parameters):
    parameters["W1"] = parameters["W1"].astype(np.float64)
    parameters["W1"].view(np.uint64)[0] = 0x7FF0000000000001
    write_weights(tmp_path / "nan.npz", parameters, {})
    with pytest.raises(ValueError, match="nan.npz: W1 holds values that are not finite"):
        load(tmp_path / "nan.npz")


@pytest.mark.filterwarnings("error")
def test_shapes_beyond_all_numbers_are_refused_without_a_warning(tmp_path, parameters):
    write_weights(tmp_path / "a.npz", parameters, {})
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    shape, huge = b"(4, 1, 5, 5), }" + 6 * b" ", b"(%d, 1, 5, 5), }" % (2**64 - 1)
    assert shape in parts["W1.npy"]
    parts["W1.npy"] = parts["W1.npy"].replace(shape, huge.ljust(len(shape)))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="a.npz is damaged or not an .npz file of weights"):
        load(tmp_path / "a.npz")


def test_two_channels_are_refused(tmp_path):
    write_weights(tmp_path / "two.npz", parameters_of((3, 1, 3), (4, 3), 2), {})
    with pytest.raises(ValueError, match="of the network are 2 and 2, wanted 1 and 1"):
        load(tmp_path / "two.npz")


class Trap:
    """Says so when it is unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("name", ["W1", "card", "more"])
def test_pickles_are_never_opened(tmp_path, parameters, name):
    trap = np.empty(1, object)
    trap[0] = Trap()
    np.savez(tmp_path / "trap.npz", **{**parameters, name: trap})
    with pytest.raises(ValueError, match="trap.npz is damaged or not an .npz file of weights"):
        load(tmp_path / "trap.npz")
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="bare.npz is a pickle without any tensors of PyTorch"):
        load(tmp_path / "bare.npz")
    assert not Trap.sprung
    with np.load(tmp_path / "trap.npz", allow_pickle=True) as file:
        assert file[name] is not None
    assert Trap.sprung  # it does work
    Trap.sprung = False


def test_an_array_in_the_place_of_an_archive(tmp_path):
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="array.npz"):
        load(tmp_path / "array.npz")


def test_an_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as file:
        file.writestr("W1", "weights")
        file.writestr("B1", "biases")
    with pytest.raises(ValueError, match="zip.npz"):
        load(tmp_path / "zip.npz")


@pytest.mark.parametrize("card", ["[1]", "3", '"text"', "", "{", "null"])
def test_cards_that_are_none(tmp_path, parameters, card):
    np.savez(tmp_path / "card.npz", card=np.array(card), **parameters)
    with pytest.raises(ValueError, match="card.npz is damaged"):
        load(tmp_path / "card.npz")


@pytest.mark.parametrize("scale", ["3", [3], [2, 17], [], 0, -2, 2.5, 1, True, 17, 1000, 10**300])
def test_scales_that_are_none(tmp_path, parameters, scale):
    write_weights(tmp_path / "scale.npz", parameters, {"scale": scale})
    words = re.escape(f"scale.npz: its card says scale {scale!r:.60}, wanted 2 to 16")
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "scale.npz")
    write_weights(tmp_path / "none.npz", parameters, {})
    with pytest.raises(ValueError, match="scale is a whole number, 2 to 16; got "):
        load(tmp_path / "none.npz", scale)


def test_arrays_without_a_card(tmp_path, parameters):
    np.savez(tmp_path / "bare.npz", **parameters)
    network = load(tmp_path / "bare.npz", 4)
    assert network.card == {} and network.scale == 4


def test_a_card_comes_back(tmp_path, parameters):
    card = {"data": "T91, 91 pictures", "scores": {"Set5": 32.39}, "scale": None, "note": "µ ≥ 1"}
    write_weights(tmp_path / "card.npz", parameters, card)
    read, again = read_network(tmp_path / "card.npz")
    assert again == card
    assert all(np.array_equal(read[n], parameters[n]) for n in parameters)
    with np.load(tmp_path / "card.npz") as file:  # for those who have no pysrcnn
        assert json.loads(str(file["card"])) == card


@pytest.mark.parametrize("order", ["F", "big-endian"])
def test_other_layouts_of_the_same_numbers(tmp_path, parameters, order):
    other = {
        n: np.asfortranarray(p) if order == "F" else p.astype(">f4") for n, p in parameters.items()
    }
    write_weights(tmp_path / "other.npz", other, {})
    try:
        network = load(tmp_path / "other.npz")
    except ValueError as error:
        assert order != "F" and "wanted float32 or float64" in str(error)
    else:
        for name, parameter in network.parameters.items():
            assert np.array_equal(parameter, parameters[name])
            assert parameter.flags.c_contiguous and parameter.dtype == np.float32


# --------------------------------------------------------------------------------- names of files


@pytest.mark.parametrize("name", ["weights.dat", "weights.txt", "weights"])
def test_unknown_suffixes(tmp_path, name, parameters):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=f"{name} is neither .npz nor .mat"):
        load(tmp_path / name)
    with pytest.raises(
        ValueError, match=f"{name} does not end in .npz, .mat, .safetensors or .onn"
    ):
        write_weights(tmp_path / name, parameters, {})
    assert (tmp_path / name).read_bytes() == b"x"


def test_folders_and_missing_files(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(ValueError, match="folder.npz is a folder: give a file of weights"):
        load(tmp_path / "folder.npz")
    with pytest.raises(FileNotFoundError, match="no file .*missing.npz: give a file of weights"):
        load(tmp_path / "missing.npz")


# -------------------------------------------------------------------------- whole or not at all


def half_written(file, **arrays):
    file.write(b"half")
    raise OSError(28, "No space left on device")


def test_saving_that_fails_leaves_what_was_there(tmp_path, parameters, monkeypatch):
    path = tmp_path / "weights.npz"
    network = SRCNN.from_parameters(parameters)
    network.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(np, "savez", half_written)
    with pytest.raises(OSError, match="No space left"):
        network.save(path)
    with pytest.raises(OSError, match="No space left"):
        network.save(tmp_path / "new.npz")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["weights.npz"]


def test_a_card_that_is_no_json_leaves_what_was_there(tmp_path, parameters):
    write_weights(tmp_path / "weights.npz", parameters, {})
    before = (tmp_path / "weights.npz").read_bytes()
    with pytest.raises(TypeError):
        write_weights(tmp_path / "weights.npz", parameters, {"data": object()})
    assert (tmp_path / "weights.npz").read_bytes() == before
    assert os.listdir(tmp_path) == ["weights.npz"]


def test_saving_replaces_and_leaves_nothing_else(tmp_path, parameters):
    path = tmp_path / "weights.npz"
    path.write_bytes(b"old")
    SRCNN.from_parameters(parameters).save(path)
    SRCNN.from_parameters(parameters).save(str(path))
    assert os.listdir(tmp_path) == ["weights.npz"]
    assert load(path).name == "5-1-3"


def test_saving_to_where_nothing_can_be(tmp_path, parameters):
    network = SRCNN.from_parameters(parameters)
    with pytest.raises(FileNotFoundError, match="missing does not exist: create it first"):
        network.save(tmp_path / "missing" / "weights.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(IsADirectoryError, match="folder.npz is a folder: give the name of a file"):
        network.save(tmp_path / "folder.npz")
    assert os.listdir(tmp_path) == ["folder.npz"]


def test_saving_without_the_rights(tmp_path, parameters, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    words = "cannot write .*weights.npz .Permission denied.: choose another folder or change its"
    with pytest.raises(PermissionError, match=words):
        SRCNN.from_parameters(parameters).save(tmp_path / "weights.npz")


def test_saving_to_a_folder_of_others(tmp_path, parameters):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(PermissionError, match="choose another folder or change its rights"):
        SRCNN.from_parameters(parameters).save(folder / "weights.npz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("write", [
    lambda path: write_weights(path, {"W1": np.zeros(3)}, {}),
    lambda path: write_json(path, {}),
    lambda path: write_case(path, case("3-1-3")),
    lambda path: write_picture(path.rename(path.with_suffix(".png")), np.zeros((9, 9), np.uint8)),
])  # fmt: skip
def test_functions_that_write_replace_regular_files_alone(tmp_path, write):
    path = tmp_path / "a.npz"
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"a\.(npz|png) is a pipe, not a file: give the name"):
        write(path)
    (left,) = tmp_path.iterdir()
    assert left.is_fifo()


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
def test_saved_files_have_the_usual_rights(tmp_path):
    with written_whole(tmp_path / "file.txt") as temporary:
        assert temporary.suffix == ".txt" and temporary.parent == tmp_path
        temporary.write_text("text")
    (tmp_path / "usual").touch()
    rights = [(tmp_path / name).stat().st_mode for name in ("file.txt", "usual")]
    assert rights[0] == rights[1]
    assert (tmp_path / "file.txt").read_text() == "text"
