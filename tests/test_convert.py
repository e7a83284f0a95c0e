"""Weights of other programs: read as they are, written so that others compute the same with them.

The files are put together here byte by byte, so that nothing but NumPy is needed; where PyTorch,
safetensors, h5py or ONNX Runtime are installed, they have their say too. Whatever is wrong with a
file, the answer is one line in a ValueError, soon, and nothing in the file is run.
"""

import argparse
import copy
import datetime
import io
import json
import logging
import os
import pickle
import random
import re
import struct
import sys
import time
import tracemalloc
import warnings
import zipfile
import zlib
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import scipy.io
from processes import python
from samples import (
    GOOD,
    NAMES,
    WEIGHTS,
    call,
    config_of,
    convolution,
    dictionary,
    function,
    headed,
    keras_file,
    named,
    number,
    one_after_another,
    onnx_bytes,
    parameters_of,
    read_network,
    safe,
    state,
    strides_of,
    tensor,
    text,
    together,
    whole_file,
    write_network,
    write_or_skip,
    zipped,
)

from pysrcnn import SRCNN, load
from pysrcnn.cli import main
from pysrcnn.formats import LIMIT, READABLE, SMALL, WRITABLE, read_weights, write_weights
from pysrcnn.networks import DRCN, EDSR

SIZES, FILTERS = (5, 1, 3), (4, 5)


@pytest.fixture
def parameters():
    return parameters_of(SIZES, FILTERS, 1)


def is_read(path, parameters):
    read, card = read_network(path)
    assert list(read) == list(parameters)
    for name, array in parameters.items():
        assert read[name].dtype == array.dtype and np.array_equal(read[name], array), name
        assert read[name].flags.c_contiguous and read[name].dtype.isnative
    return card


def is_refused(path, words):
    """The error, if it is one line that has the name of the file and the words in it."""
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        read_network(path)
    assert Path(path).name in str(caught.value) and str(caught.value).isprintable()
    return str(caught.value)


# ----------------------------------------------------------------------- PyTorch, put together here


NAMINGS = [
    NAMES,
    ("module.conv1", "module.conv2", "module.conv3"),
    ("features.0", "map.0", "reconstruction"),
    ("patch_extraction", "nonlinear_map", "recon"),
    ("0", "2", "4"),
    ("net.8", "net.10", "net.12"),
    ("conv1.0", "conv2.0", "conv3"),
]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("names", NAMINGS, ids=lambda n: n[0])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_pytorch_files_of_all_namings(tmp_path, parameters, legacy, names, reverse):
    pack = one_after_another if legacy else zipped
    (tmp_path / "a.pth").write_bytes(pack(*state(named(parameters, names, reverse), legacy)))
    assert is_read(tmp_path / "a.pth", parameters) == {}
    assert load(tmp_path / "a.pth", 3).scale == 3


@pytest.mark.parametrize("c", [1, 3])
def test_deep_networks_come_in_the_order_of_the_file_or_of_their_numbers(tmp_path, c):
    parameters = parameters_of((3,) * 12, (4,) * 11, c)
    names = [str(2 * k) for k in range(12)]
    tensors = dict(sorted(named(parameters, names).items()))  # "0", "10", "12", "2", ...
    for order in (named(parameters, names), tensors):
        (tmp_path / "a.pt").write_bytes(zipped(*state(order)))
        is_read(tmp_path / "a.pt", parameters)
    (tmp_path / "a.safetensors").write_bytes(safe(tensors))
    is_read(tmp_path / "a.safetensors", parameters)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "weights"])
def test_checkpoints_around_the_network(tmp_path, parameters, wrapper):
    content, storages = state(named(parameters))
    moments = dictionary(exp=tensor(0, 100, (4,), (1,)))
    optimizer = b"}(" + text("state") + b"}(" + number(0) + moments + b"uu"
    items = {"epoch": number(3), "losses": b"](N\x88e", "optimizer": optimizer, wrapper: content}
    (tmp_path / "a.pth").write_bytes(zipped(dictionary(**items), storages))
    is_read(tmp_path / "a.pth", parameters)
    for outer in ("checkpoint", "model"):
        content = dictionary(**{outer: dictionary(**items)})
        (tmp_path / "a.pth").write_bytes(zipped(content, storages))
        is_read(tmp_path / "a.pth", parameters)
    deep = dictionary(a=dictionary(b=dictionary(c=dictionary(**items))))
    (tmp_path / "a.pth").write_bytes(zipped(deep, storages))
    is_refused(tmp_path / "a.pth", "a.pth holds no layers by name, only a: only tensors are read")
    (tmp_path / "a.pth").write_bytes(zipped(b"](" + items[wrapper] + b"e", storages))
    is_read(tmp_path / "a.pth", parameters)


def pickled(protocol):
    """A pickle as Python makes it of an object that calls a function."""

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {HARM}",)

    return pickle.dumps({"conv1.weight": Hostile()}, protocol)[: -1 if protocol else None]


HARM = "harm-was-done"
COMMAND = text(f"touch {HARM}")
HOSTILE = {
    "GLOBAL and REDUCE": (
        call("os", "system", COMMAND),
        "holds os.system, not a dict of tensors by name: only tensors are read",
    ),
    "eval": (call("builtins", "eval", text("1")), "holds builtins.eval, not a dict"),
    "STACK_GLOBAL": (
        b"\x8c\x02os\x8c\x06system\x93(" + COMMAND + b"tR",
        "holds os.system, not a dict of tensors by name: only tensors are read",
    ),
    "INST": (
        b"(" + COMMAND + b"ios\nsystem\n",
        "holds os.system, not a dict of tensors by name: only tensors are read",
    ),
    "INST of what is admitted": (
        b"(icollections\nOrderedDict\n",
        "holds collections.OrderedDict, not",
    ),
    "OBJ": (b"(" + function("os", "system") + COMMAND + b"o", "holds os.system, not a dict"),
    "OBJ of what is admitted": (
        b"(" + function("torch", "Size") + b"o",
        "holds torch.Size, not a dict",
    ),
    "NEWOBJ": (function("subprocess", "Popen") + b")\x81", "holds subprocess.Popen"),
    "NEWOBJ of what is admitted": (
        function("torch", "Size") + b")\x81",
        "holds torch.Size, not a dict",
    ),
    "NEWOBJ_EX": (function("torch", "Size") + b")}\x92", "holds torch.Size, not a dict"),
    "EXT1": (b"\x82\x01", "pickle operation EXT1"),
    "BUILD": (
        dictionary() + b"}b" + function("torch", "Size") + b"}b",
        "holds torch.Size, not a dict",
    ),
    "BUILD of a dict": (b"}}b", "holds no layers by name, only nothing"),
    "BUILD that calls": (
        function("torch", "Size") + b"}(" + text("__setstate__") + function("os", "system") + b"ub",
        "holds torch.Size, not a dict",
    ),
    "a class of the user": (
        function("model", "SRCNN") + b")\x81}b",
        "holds model.SRCNN, not a dict",
    ),
    "a module": (function("torch.nn.modules.conv", "Conv2d"), "holds torch.nn.modules.conv.Conv2d"),
    "arrays of NumPy": (call("numpy.core.multiarray", "scalar"), "numpy.core.multiarray.scalar"),
    "attributes of an array": (
        call("numpy", "ndarray") + b"}(" + text("f") + function("os", "system") + b"ub",
        "holds numpy.ndarray, not a dict",
    ),
    "a call of what a name made": (
        call("numpy", "dtype", COMMAND) + together(COMMAND) + b"R",
        "holds numpy.dtype, not a dict",
    ),
    "other functions of Python": (call("builtins", "getattr", COMMAND), "holds builtins.getattr"),
    "other functions of NumPy": (call("numpy", "load", COMMAND), "holds numpy.load, not a dict"),
    "attributes of what is admitted": (
        call("collections", "OrderedDict.fromkeys", COMMAND),
        "holds collections.OrderedDict.fromkeys",
    ),
    "a function of torch": (call("torch", "load", COMMAND), "holds torch.load, not a dict"),
    "a name with line ends": (b"\x8c\x03o\ns\x8c\x03a\tb\x93", r"holds o\ns.a\tb, not a dict"),
    "a long name": (function("a" * 5000, "b"), "holds aaaaaaaaa"),
    "a call of a text": (
        text("os.system") + together(COMMAND) + b"R",
        "calls something that is no",
    ),
    "a call of a storage": (
        call("torch", "FloatStorage", COMMAND),
        "holds torch.FloatStorage, not a dict",
    ),
    "a call of OrderedDict": (
        call("collections", "OrderedDict", COMMAND),
        "holds collections.OrderedDict, not",
    ),
    "an object by a text": (text("x") + b"Q", "holds an object that is not a tensor"),
    "an object by a line": (b"Pmodule\n", "pickle operation PERSID"),
    "keys that are no names": (b"}()" + text("x") + b"u", "holds no layers by name, only nothing"),
    "keys that make a dict slow": (
        b"}("
        + b"".join(
            b"\x8a\x10" + (k * (2**61 - 1)).to_bytes(16, "little") + b"N" for k in range(1, 90_000)
        )
        + b"u",
        "holds no layers by name, only nothing",
    ),
    "a text": (text("x"), "holds a str, not a dict of tensors by name"),
    "a list": (b"]", "holds a list, not a dict of tensors by name"),
    "a number": (number(1), "holds an int, not a dict of tensors by name"),
    "nothing": (b"}", "holds no layers by name, only nothing"),
    "no tensors": (dictionary(a=number(1)), "holds no layers by name, only a"),
    "a negative size": (dictionary(a=tensor(0, 9, (-1, 1, 3, 3), (9, 9, 3, 1))), "is damaged"),
    "a negative stride": (dictionary(a=tensor(0, 9, (1, 1, 3, 3), (9, 9, -3, 1), 8)), "is damaged"),
    "a negative offset": (dictionary(a=tensor(0, 9, (1, 1, 3, 3), (9, 9, 3, 1), -1)), "is damaged"),
    "a negative storage": (dictionary(a=tensor(0, -9, (1, 1, 3, 3), (9, 9, 3, 1))), "is damaged"),
    "a tensor too large": (
        dictionary(a=tensor(0, 9, (1, 1, 3, 4), (9, 9, 3, 1))),
        "a tensor reaches beyond its storage",
    ),
    "an offset too large": (
        dictionary(a=tensor(0, 9, (1, 1, 3, 3), (9, 9, 3, 1), 1)),
        "a tensor reaches beyond its storage",
    ),
    "a storage too large": (
        dictionary(a=tensor(0, 2**30, (1, 1, 3, 3), (9, 9, 3, 1))),
        "the storage of a tensor is not whole",
    ),
    "one value, many times": (
        dictionary(a=tensor(0, 9, (2**30, 2**30, 1, 1), (0, 0, 0, 0))),
        "holds arrays of 1,152,921,504,606,846,976 values",
    ),
    "many of one value": (
        dictionary(
            **{f"a{k}.weight": tensor(0, 9, (2**20, 1, 1, 1), (0, 0, 0, 0)) for k in range(17)}
        ),
        "holds arrays of 17,825,792 values",
    ),
    "other strides than sizes": (
        dictionary(a=tensor(0, 9, (1, 1, 3, 3), (1,))),
        "a tensor has 4 axes, 1 strides",
    ),
    "no storage": (b"h\x07", "damaged or not a PyTorch file"),
    "too little on the stack": (b"\x87\x87b", "a.pth"),
    "a circle": (b"]q\x00h\x00a", "holds a list"),
    "nested lists": (b"]" * 100_000 + b"a" * 99_999, "holds a list"),
    "nested tuples as a key": (
        b"})" + b"\x85" * 100_000 + b"Ns",
        "holds no layers by name, only nothing",
    ),
    "a long pickle": (b"N" * 1_000_001, "holds far more than weights"),
    "a long number": (b"\x8b" + struct.pack("<i", 9999) + b"\xff" * 9999, "holds int, not a dict"),
    "a persistent object": (
        together(text("module"), text("a")) + b"Q",
        "holds an object that is not a tensor",
    ),
    "a shape that many tensors share": (
        # A thousand times a tuple of a thousand numbers, each of which would be looked at.
        tensor(0, 9, (1,) * 9, (1,) * 9),
        "a tensor has 9 axes, 9 strides",
    ),
    "a list of pairs that many dicts are made of": (
        b"Nq\x010]("
        + b"h\x01" * 200_000
        + b"e\x85q\x020"
        + function("collections", "OrderedDict")
        + b"q\x03"
        + b"h\x03h\x02R0" * 10_000,
        "holds far more than weights",
    ),
    "a call in a call, many times": (
        function("torch._tensor", "_rebuild_from_type_v2")
        + b"q\x00)"
        + b"q\x010h\x00Nh\x01\x87" * 900
        + b"q\x010"
        + b"h\x00h\x01R0" * 20_000,
        "holds torch._tensor._rebuild_from_type_v2, not a dict",
    ),
    "a name for which patterns are slow": (
        dictionary(**{"_loss" * 100_000: tensor(0, 9, (1, 1, 3, 3), (9, 9, 3, 1))}),
        "of 500,000 characters, and names of at most 1,000 are read",
    ),
    "the long name of many functions": (
        text("a" * 4_000_000) + b"q\x00" + b"h\x00h\x00\x930" * 3000 + b"h\x00\x93",
        "holds aaaaaaaa",
    ),
    "lists of lists that are the same": (
        b"]q\x00" + b"".join(b"](" + b"h%c" % k * 9000 + b"eq%c" % (k + 1) for k in range(4)),
        "holds a list, not a dict of tensors by name",
    ),
}


BESIDE = [
    np.float64(31),
    np.arange(6.0).reshape(2, 3),
    argparse.Namespace(rate=1e-4, inner=argparse.Namespace(folder=PurePosixPath("/a"))),
    defaultdict(list, loss=[1.0, np.float32(2)]),
    {1, 2, "a"},
    frozenset("a"),
    Counter([100, 200]),  # milestones of a MultiStepLR
    b"bytes",
    datetime.datetime(2020, 1, 2, 3, 4, 5),
    Fraction(1, 3),
    complex(1, 2),
    {(1, 2): 0.5, None: 1, 0.5: 2},  # keys that are no names
    random.Random(0).getstate(),
    10**1000,
    b"long" * 100,
    bytearray(b"bytes"),
    type("Loss", (), {"__reduce__": lambda self: (print, ("x",), {"reduction": "mean"})})(),
    logging.getLogger("a"),
    argparse.ArgumentTypeError,
    slice(1, 2),
]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("value", BESIDE, ids=lambda value: type(value).__name__)
def test_what_checkpoints_keep_beside_the_network(tmp_path, parameters, value, protocol):
    content, storages = state(named(parameters))
    value = pickle.dumps(value, protocol)[2:-1]
    device = call("torch", "device", text("cuda"), number(0))
    items = {"best": value, "all": b"](" + value + value + b"e", "device": device}
    items |= {"type": function("torch", "float32"), "state_dict": content}
    (tmp_path / "a.ckpt").write_bytes(zipped(dictionary(**items), storages))
    is_read(tmp_path / "a.ckpt", parameters)


@pytest.mark.parametrize("name", [n for n, (content, _) in HOSTILE.items() if len(content) < 9999])
def test_what_would_run_something_beside_the_network(tmp_path, monkeypatch, parameters, name):
    """It runs nothing, whether the network is then read or not."""
    monkeypatch.chdir(tmp_path)
    content, storages = state(named(parameters))
    items = {"more": HOSTILE[name][0], "state_dict": content}
    (tmp_path / "a.pth").write_bytes(zipped(dictionary(**items), storages))
    try:
        is_read(tmp_path / "a.pth", parameters)
    except ValueError as error:
        assert "a.pth" in str(error) and str(error).isprintable()
    assert not Path(HARM).exists()


def test_objects_of_a_class_of_the_user(tmp_path, parameters):
    """A whole scheduler, a dict of Lightning, an object that is nobody's."""
    content, storages = state(named(parameters))
    attributes = b"}(" + text("gamma") + number(1) + text("last") + content + b"ub"
    settings = function("lightning.utilities", "AttributeDict") + b")\x81(" + text("lr") + b"Nu"
    items = {"scheduler": function("torch.optim.lr_scheduler", "StepLR") + b")\x81" + attributes}
    items |= {"loss": function("torch.nn.modules.loss", "MSELoss") + b")\x81}b", "hyper": settings}
    for good in (
        dictionary(**items, state_dict=content),
        function("a", "Dict") + b")\x81(" + text("weights") + content + b"u",
        dictionary(epoch=function("a", "B") + b")}\x92", model=content),
        dictionary(epoch=b"(" + text("x") + b"ia\nB\n", model=content),
        dictionary(epoch=b"(" + function("a", "B") + text("x") + b"o", model=content),
        dictionary(epoch=text("x") + b"0" + b"(NN1N", model=content),
    ):
        (tmp_path / "a.pth").write_bytes(zipped(good, storages))
        is_read(tmp_path / "a.pth", parameters)
    for bad, words in [
        (dictionary(**items), "only scheduler, loss, hyper and torch.optim.lr_scheduler.StepLR, "),
        (dictionary(model=function("model", "SRCNN") + b")\x81}b"), "only model and model.SRCNN:"),
    ]:
        (tmp_path / "a.pth").write_bytes(zipped(bad, storages))
        is_refused(tmp_path / "a.pth", words)


def test_tensors_with_more_to_them(tmp_path, parameters):
    """With attributes, and with the count of a running average beside them."""
    items = named_tensors(parameters, 0)
    whole = items["conv1.weight"]
    module = "torch._utils"
    items["conv1.weight"] = call(
        module, "_rebuild_parameter_with_state", whole, b"\x89", b"}", b"}"
    )
    inner = whole[whole.index(b"(") : -1]  # what it is made of, in a tuple
    parts = function(module, "_rebuild_tensor_v2"), function("torch", "Tensor"), inner, b"}"
    storages = [array.tobytes() for array in named(parameters).values()]
    for content in (
        items,
        items | {"conv1.weight": call("torch._tensor", "_rebuild_from_type_v2", *parts)},
        items | {"n_averaged": tensor(1, 4, (), ())},
    ):
        (tmp_path / "a.pth").write_bytes(zipped(dictionary(**content), storages))
        is_read(tmp_path / "a.pth", parameters)


def test_a_loss_in_an_old_file(tmp_path, parameters):
    """Which has the source code of its class beside it."""
    content, storages = state(named(parameters), legacy=True)
    parts = text("module"), function("model", "Loss"), text("model.py"), text("class Loss: ...")
    loss = together(*parts) + b"Q)\x81}(" + text("training") + b"\x88ub"
    content = dictionary(loss=loss, state_dict=content)
    (tmp_path / "a.pth").write_bytes(one_after_another(content, storages))
    is_read(tmp_path / "a.pth", parameters)


def test_a_state_dict_of_python_2(tmp_path, parameters):
    tensors = named_tensors(parameters, 0).items()
    pairs = b"".join(b"](" + text(name) + content + b"e" for name, content in tensors)
    content = call("collections", "OrderedDict", b"](" + pairs + b"e")
    storages = [array.tobytes() for array in named(parameters).values()]
    (tmp_path / "a.pth").write_bytes(zipped(content, storages))
    is_read(tmp_path / "a.pth", parameters)


@pytest.mark.parametrize(
    "names, chosen",
    [
        (("last_state", "best_state"), 1),
        (("best_state", "last_state"), 0),
        (("model", "ema_model"), 1),
        (("params", "params_ema"), 1),
        (("state_dict", "other"), 0),
        (("discriminator", "generator"), 1),
        (("model_old", "model"), 1),
        (("optimizer", "old"), 1),
        (
            ("epoch_1", "epoch_2"),
            "holds several networks, epoch_1, epoch_2: save the",
        ),
        (("netG", "netD"), "holds several networks, netG, netD: save the state dict of one of"),
    ],
)
def test_the_network_of_several(tmp_path, parameters, names, chosen):
    other = {name: array + 1 for name, array in parameters.items()}
    networks = [other, other]
    networks[chosen if isinstance(chosen, int) else 0] = parameters
    both = {**named(networks[0], list("abc")), **named(networks[1], list("def"))}
    _, storages = state(both)
    parts = {n: dictionary(**named_tensors(parameters, 6 * k)) for k, n in enumerate(names)}
    (tmp_path / "a.pth").write_bytes(zipped(dictionary(**parts), storages))
    if isinstance(chosen, int):
        is_read(tmp_path / "a.pth", parameters)
    else:
        is_refused(tmp_path / "a.pth", chosen)


def test_what_may_be_weights_is_not_passed_over(tmp_path, parameters):
    items = named_tensors(parameters, 0)
    items["conv1.bias"] = pickle.dumps(parameters["B1"], 2)[2:-1]
    storages = [array.tobytes() for array in named(parameters).values()]
    (tmp_path / "a.pth").write_bytes(zipped(dictionary(**items), storages))
    is_refused(tmp_path / "a.pth", "_reconstruct among its tensors, conv1.bias, and only")


def test_the_averaged_of_two_networks_is_taken(tmp_path, parameters):
    other = {name: array + 1 for name, array in parameters.items()}
    content, storages = state({**named(other, list("abc")), **named(parameters, list("def"))})
    mean, last = ({n: t for n, t in named_tensors(parameters, first).items()} for first in (6, 0))
    content = dictionary(params=dictionary(**last), params_ema=dictionary(**mean))
    (tmp_path / "a.pth").write_bytes(zipped(content, storages))
    is_read(tmp_path / "a.pth", parameters)


def named_tensors(parameters, first):
    return {
        name: tensor(first + k, array.size, array.shape, strides_of(array))
        for k, (name, array) in enumerate(named(parameters).items())
    }


@pytest.mark.parametrize(
    "kind, dtype, wanted",
    [
        ("HalfStorage", np.float16, np.float32),
        ("FloatStorage", np.float32, np.float32),
        ("DoubleStorage", np.float64, np.float64),
    ],
)
@pytest.mark.parametrize("order", ["little", "big"])
def test_pytorch_numbers_of_all_sizes(tmp_path, parameters, kind, dtype, wanted, order):
    numbers = {name: array.astype(dtype) for name, array in parameters.items()}
    content, storages = state(named(numbers), kind=kind)
    if order == "big":
        storages = [np.frombuffer(s, dtype).byteswap().tobytes() for s in storages]
    (tmp_path / "a.pth").write_bytes(zipped(content, storages, order=order))
    is_read(tmp_path / "a.pth", {name: array.astype(wanted) for name, array in numbers.items()})


def test_legacy_files_of_big_endian_machines(tmp_path, parameters):
    content, storages = state(named(parameters), legacy=True)
    storages = [np.frombuffer(s, "f4").byteswap().tobytes() for s in storages]
    (tmp_path / "a.pth").write_bytes(one_after_another(content, storages, ">"))
    is_read(tmp_path / "a.pth", parameters)


def test_bfloat16(tmp_path, parameters):
    bits = {
        name: (array.view(np.uint32) >> 16).astype(np.uint16) for name, array in parameters.items()
    }
    wanted = {name: (b.astype(np.uint32) << 16).view(np.float32) for name, b in bits.items()}
    (tmp_path / "a.pth").write_bytes(zipped(*state(named(bits), kind="BFloat16Storage")))
    is_read(tmp_path / "a.pth", wanted)
    (tmp_path / "a.safetensors").write_bytes(safe(named(bits), "BF16"))
    is_read(tmp_path / "a.safetensors", wanted)


def test_tensors_that_lie_in_their_storage_in_another_way(tmp_path, parameters):
    tensors = named(parameters)
    channels_last = {n: np.asfortranarray(a) for n, a in tensors.items()}
    (tmp_path / "a.pth").write_bytes(zipped(*state(channels_last)))
    is_read(tmp_path / "a.pth", parameters)
    # All in one storage, one after the other.
    items, place = {}, 7
    for name, array in tensors.items():
        items[name] = tensor(0, 1000, array.shape, strides_of(array), place)
        place += array.size
    storage = np.zeros(1000, np.float32)
    storage[7:place] = np.concatenate([array.ravel() for array in tensors.values()])
    (tmp_path / "b.pth").write_bytes(zipped(dictionary(**items), [storage.tobytes()]))
    is_read(tmp_path / "b.pth", parameters)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_missing_biases_are_zero(tmp_path, parameters, suffix):
    tensors = {n: a for n, a in named(parameters).items() if n != "conv2.bias"}
    content = zipped(*state(tensors)) if suffix == ".pth" else safe(tensors)
    (tmp_path / f"a{suffix}").write_bytes(content)
    parameters["B2"] = np.zeros(5, np.float32)
    is_read(tmp_path / f"a{suffix}", parameters)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"bn.num_batches_tracked": np.zeros(())}, "holds bn.num_batches_tracked of shape ()"),
        ({"act.weight": np.zeros(4)}, "holds act.weight of shape (4,), and SRCNN and ESPCN have"),
        ({"conv1.weight_g": np.zeros((4, 1, 1, 1))}, "holds conv1.weight_g of shape (4, 1, 1, 1)"),
        ({"fc.bias": np.zeros(4)}, "has biases of fc, but no weights for it"),
        (
            {"conv3.weight": np.zeros((7, 5, 3, 3)), "conv3.bias": np.zeros(7)},
            "are 1 and 7, wanted 1 and 1 (luminance) or 3 and 3 (RGB), or out of it s x s",
        ),
        ({"conv2.weight": np.zeros((5, 4, 2, 2))}, "W2 has the shape (5, 4, 2, 2), wanted"),
        ({"conv2.weight": np.zeros((5, 4, 1, 3))}, "W2 has the shape (5, 4, 1, 3), wanted"),
        ({"conv2.weight": np.zeros((5, 6, 1, 1))}, "W2 takes 6 channels, the layer before gives 4"),
        ({"a\nb.weight": np.zeros(4)}, r"holds a\nb.weight of shape (4,)"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_other_networks(tmp_path, parameters, suffix, change, words):
    tensors = named(parameters) | {n: a.astype(np.float32) for n, a in change.items()}
    content = zipped(*state(tensors)) if suffix == ".pth" else safe(tensors)
    (tmp_path / f"a{suffix}").write_bytes(content)
    is_refused(tmp_path / f"a{suffix}", words)


@pytest.mark.parametrize("name", ["{}", "{}_{}"])
def test_names_of_the_paper(tmp_path, parameters, name):
    tensors = {name.format(*(n if "_" in name else [n])).lower(): a for n, a in parameters.items()}
    for suffix, content in (".pth", zipped(*state(tensors))), (".safetensors", safe(tensors)):
        (tmp_path / f"a{suffix}").write_bytes(content)
        is_read(tmp_path / f"a{suffix}", parameters)


def test_a_loss_beside_the_network_is_passed_over(tmp_path, parameters):
    more = {
        "loss.weight": np.ones(3),
        "model.criterion.ssim.window": np.ones((1, 1, 11, 11)),
        "perceptual_loss.vgg.0.weight": np.ones((4, 3, 3, 3)),
        "train_loss.ends": np.ones(()),
    }
    tensors = {name: array.astype(np.float32) for name, array in more.items()}
    tensors |= {f"model.{name}": array for name, array in named(parameters).items()}
    (tmp_path / "a.ckpt").write_bytes(zipped(*state(tensors)))
    is_read(tmp_path / "a.ckpt", parameters)
    (tmp_path / "b.pth").write_bytes(zipped(*state({"loss.weight": np.ones(3, np.float32)})))
    is_refused(tmp_path / "b.pth", "holds no layers by name, only loss.weight")


def test_integers_are_no_weights(tmp_path, parameters):
    whole = {name: array.astype(np.int32) for name, array in named(parameters).items()}
    (tmp_path / "a.pth").write_bytes(zipped(*state(whole, kind="IntStorage")))
    is_refused(tmp_path / "a.pth", "conv1.weight holds int32, not floating point numbers")
    (tmp_path / "a.safetensors").write_bytes(safe(whole, "I32"))
    is_refused(tmp_path / "a.safetensors", "conv1.weight holds int32, not floating point numbers")
    (tmp_path / "a.safetensors").write_bytes(safe(whole, "F8"))
    is_refused(tmp_path / "a.safetensors", "conv1.weight holds F8, wanted one of F64, F32, F16")


def test_two_networks_in_one_file_are_no_longer_one(tmp_path, parameters):
    """A copy, such as the mean of the weights, fits behind the network itself."""
    both = [(f"{which}{name}", array) for which in ("model.", "ema.")
            for name, array in named(parameters).items()]  # fmt: skip
    (tmp_path / "a.pth").write_bytes(zipped(*state(dict(both))))
    is_refused(tmp_path / "a.pth", "as a picture has: the file holds several networks")


# --------------------------------------------------------------------------- PyTorch, hostile files


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(tmp_path, monkeypatch, name):
    content, words = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    began = time.process_time()  # what the processor does, however busy others keep it
    (tmp_path / "a.pth").write_bytes(zipped(content, [bytes(36)]))
    is_refused(tmp_path / "a.pth", words)
    # In older files, what a storage holds and what is said of it are compared at once.
    tensors = b"_rebuild_tensor" in content
    (tmp_path / "a.pth").write_bytes(one_after_another(content, [bytes(36)] * tensors))
    is_refused(tmp_path / "a.pth", "a.pth" if tensors else words)
    assert time.process_time() - began < 10
    assert not Path(HARM).exists()


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_python_that_call_something(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    content = pickled(protocol)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", content + (b"." if protocol else b""))
    for data in (file.getvalue(), content):
        Path("a.pth").write_bytes(data)
        is_refused("a.pth", "a.pth")
    assert not Path(HARM).exists()
    if os.name == "posix":
        pickle.loads(content + (b"." if protocol else b""))
        assert Path(HARM).exists()  # it does work


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty"),
        (b"PK\x05\x06" + bytes(18), "is a zip archive without a data.pkl"),
        (b"PK\x03\x04" + bytes(40), "is damaged or not a PyTorch file"),
        (b"text" * 50, "is damaged or not a PyTorch file"),
        (pickle.dumps({"a": 1}, 2), "is a pickle without any tensors of PyTorch: only tensors are"),
        (pickle.dumps({"a": 1}, 0), "holds the pickle operation DICT"),
        (one_after_another(b"}") + b"more", "holds no layers by name"),
    ],
)
def test_files_that_are_not_of_pytorch(tmp_path, content, words):
    (tmp_path / "a.pt").write_bytes(content)
    is_refused(tmp_path / "a.pt", words)


def test_packed_archives(tmp_path, parameters):
    packed = zipped(*state(named(parameters)), compression=zipfile.ZIP_DEFLATED)
    (tmp_path / "a.pth").write_bytes(packed)
    is_read(tmp_path / "a.pth", parameters)
    with zipfile.ZipFile(io.BytesIO(packed)) as there:  # unpacked and packed, by hand
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
            for name in there.namelist():
                archive.writestr(name.removeprefix("archive/"), there.read(name))
    is_read(tmp_path / "b.zip", parameters)
    bomb = zipped(b"}", [bytes(1 << 26)], compression=zipfile.ZIP_DEFLATED)
    (tmp_path / "a.pth").write_bytes(bomb)
    is_refused(tmp_path / "a.pth", "a.pth unpacks to 67,108,")
    crowd = zipped(b"}", []) + b"PK\x01\x02" * 10_000
    (tmp_path / "a.pth").write_bytes(crowd)
    is_refused(tmp_path / "a.pth", "a.pth has more than 10,000 entries")
    script = io.BytesIO()
    with zipfile.ZipFile(script, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"a/{name}", b"\x80\x02}.")
    (tmp_path / "a.pth").write_bytes(script.getvalue())
    is_refused(tmp_path / "a.pth", "a.pth is a TorchScript program")


def test_archives_that_overlap_themselves(tmp_path, parameters):
    """Entries that share their bytes unpack to more than the file has, without being packed."""
    content = zipped(*state(named(parameters)), folder="a")
    for times, rename, words in [(50, False, "have the same name"), (9000, True, "a.pth unpacks")]:
        file = io.BytesIO(content)
        with zipfile.ZipFile(file, "a") as archive:
            for k in range(times):
                info = copy.copy(archive.getinfo("a/data/0"))
                info.filename = f"a/{k}" if rename else info.filename
                info.file_size = 10_000
                archive.filelist.append(info)
            archive._didModify = True
        (tmp_path / "a.pth").write_bytes(file.getvalue())
        is_refused(tmp_path / "a.pth", words)


# ------------------------------------------------------------------------------------- safetensors


@pytest.mark.parametrize("names", NAMINGS, ids=lambda n: n[0])
def test_safetensors_of_all_namings(tmp_path, parameters, names):
    tensors = dict(sorted(named(parameters, names).items()))  # their library sorts them
    (tmp_path / "a.safetensors").write_bytes(safe(tensors))
    assert is_read(tmp_path / "a.safetensors", parameters) == {}


def test_layers_whose_order_nobody_can_know(tmp_path):
    parameters = parameters_of((3, 3, 3, 3), (4, 4, 4), 1)
    (tmp_path / "a.safetensors").write_bytes(safe(named(parameters, ("a", "b", "c", "d"))))
    is_refused(tmp_path / "a.safetensors", "does not tell the order of its layers, a, b, c, d")
    # More layers than all orders are tried of, and the alphabetical one would fit.
    parameters = parameters_of((3,) * 9, (4,) * 8, 1)
    (tmp_path / "b.safetensors").write_bytes(safe(named(parameters, tuple("abcdefghi"))))
    is_refused(tmp_path / "b.safetensors", "order of its layers, a, b, c, d, e, f, g, h, ...: name")
    # PyTorch's order, of what was made first, does not fit, and two others do.
    parameters = parameters_of((3,) * 4, (4,) * 3, 1)
    (tmp_path / "c.pth").write_bytes(zipped(*state(named(parameters, tuple("abcd"), True))))
    is_refused(tmp_path / "c.pth", "does not tell the order of its layers, d, c, b, a: name")


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_safetensors_numbers_of_other_sizes(tmp_path, parameters, dtype):
    other = {name: array.astype(dtype) for name, array in parameters.items()}
    name = f"F{np.dtype(dtype).itemsize * 8}"
    (tmp_path / "a.safetensors").write_bytes(safe(named(other), name))
    wanted = np.float64 if dtype is np.float64 else np.float32
    is_read(tmp_path / "a.safetensors", {n: a.astype(wanted) for n, a in other.items()})


WEIGHT = {"dtype": "F32", "shape": [1, 1, 1, 1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "a.safetensors is empty"),
        (b"\0" * 7, "it is too short"),
        (struct.pack("<Q", 2**63) + b"{}", "it is too short"),
        (struct.pack("<Q", 3) + b"{}", "it is too short"),
        (headed(b" " * (1 << 20) + b"{}"), "has 1,048,578 characters of JSON"),
        (headed(b"{"), "damaged or not a .safetensors file"),
        (headed(b"[]"), "damaged or not a .safetensors file"),
        (headed(b"[" * 100_000), "damaged or not a .safetensors file"),
        (headed(b"{}"), "holds no layers"),
        (headed(b"{}", b"more"), "holds 4 bytes of tensors, not 0"),
        (headed(b'{"a": 3}'), "damaged or not a .safetensors file"),
        (headed(b'{"a": {}, "a": {}}'), "damaged or not a .safetensors file"),
        (headed(b'{"__metadata__": {"pysrcnn": "[1]"}}'), "its card is not a JSON object"),
    ],
)
def test_safetensors_that_are_none(tmp_path, content, words):
    (tmp_path / "a.safetensors").write_bytes(content)
    is_refused(tmp_path / "a.safetensors", words)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"data_offsets": [0, 8]}, "the place of conv1.weight does not fit"),
        ({"data_offsets": [-4, 0]}, "does not fit its neighbours or its shape"),
        ({"data_offsets": [4, 404]}, "does not fit its neighbours or its shape"),
        ({"data_offsets": [0, 2**70]}, "the place of conv1.weight does not fit"),
        ({"data_offsets": [0.0, 400.0]}, "a.safetensors is damaged"),
        ({"data_offsets": ["0", "400"]}, "a.safetensors is damaged"),
        ({"data_offsets": [0]}, "a.safetensors is damaged"),
        ({"data_offsets": None}, "a.safetensors is damaged"),
        ({"shape": [4, 1, 5, 6]}, "does not fit its neighbours or its shape (4, 1, 5, 6)"),
        ({"shape": [-4, 1, -5, 5]}, "one of its arrays has an impossible shape"),
        ({"shape": [4.0, 1, 5, 5]}, "one of its arrays has an impossible shape"),
        ({"shape": [True, 4, 5, 5]}, "one of its arrays has an impossible shape"),
        ({"shape": [1] * 1000}, "one of its arrays has an impossible shape"),
        ({"shape": [2**62, 4, 1, 1]}, "values, and at most 16,777,216 are read"),
        ({"shape": [10**4000] * 8}, "a.safetensors is damaged"),
        ({"shape": "4155"}, "one of its arrays has an impossible shape"),
        ({"dtype": "F8_E4M3"}, "conv1.weight holds F8_E4M3, wanted one of F64, F32, F16, BF16"),
        ({"dtype": ["F32"]}, "a.safetensors is damaged"),
        ({"dtype": "F64"}, "does not fit its neighbours or its shape"),
    ],
)
def test_safetensors_that_are_not_all_right(tmp_path, parameters, change, words):
    content = safe(named(parameters), conv1_weight=change)
    (tmp_path / "a.safetensors").write_bytes(content)
    is_refused(tmp_path / "a.safetensors", words)


def test_safetensors_that_overlap(tmp_path, parameters):
    tensors = named(parameters)
    content = safe(tensors, conv2_bias={"data_offsets": [0, 20]})
    (tmp_path / "a.safetensors").write_bytes(content)
    is_refused(tmp_path / "a.safetensors", "a.safetensors is damaged: the place of conv")


def test_safetensors_by_their_library(tmp_path, parameters):
    library = pytest.importorskip("safetensors.numpy")
    library.save_file(named(parameters), tmp_path / "a.safetensors", metadata={"format": "pt"})
    is_read(tmp_path / "a.safetensors", parameters)
    write_network(tmp_path / "b.safetensors", parameters, {"scale": 3})
    read = library.load_file(tmp_path / "b.safetensors")
    for name, array in named(parameters).items():
        assert np.array_equal(read[name], array)


def test_pytorch_itself(tmp_path, parameters):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(array) for name, array in named(parameters).items()}
    for options in ({}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}):
        torch.save(tensors, tmp_path / "a.pth", **options)
        is_read(tmp_path / "a.pth", parameters)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 5), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 1), torch.nn.ReLU(),
        torch.nn.Conv2d(5, 1, 3),
    )  # fmt: skip
    wanted = [p.detach().numpy() for p in model.parameters()]
    wanted = dict(zip(parameters, wanted, strict=True))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.zeros(1, 1, 20, 20)).sum().backward()
    optimizer.step()
    for saved in (
        model.state_dict(),
        torch.nn.DataParallel(model).state_dict(),
        dict(model.named_parameters()),
        {"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()},
    ):
        for zip_file in (True, False):
            torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zip_file)
            is_read(tmp_path / "a.pth", wanted)
    # As one uses them: the same picture, but for the edge.
    x = np.random.default_rng(0).random((1, 1, 20, 20), np.float32)
    theirs = model(torch.tensor(x)).detach().numpy()
    assert np.abs(load(tmp_path / "a.pth").forward(x, "valid") - theirs).max() < 1e-6
    torch.save(model, tmp_path / "a.pth")
    is_refused(tmp_path / "a.pth", "holds torch.nn.modules.container.Sequential, and only tensors")


# ------------------------------------------------------------------------------------------- Keras


STYLES = pytest.mark.parametrize("style", ["saved", "weights", "new"])


@STYLES
@pytest.mark.parametrize("config", [None, *GOOD], ids=range(len(GOOD) + 1))
def test_keras_files(tmp_path, parameters, style, config):
    is_read(keras_file(tmp_path / "a.h5", parameters, style, config), parameters)
    is_read(keras_file(tmp_path / "a.hdf5", parameters, style, config), parameters)


@STYLES
def test_keras_layers_come_in_their_order(tmp_path, style):
    parameters = parameters_of((3,) * 12, (4,) * 11, 3)
    names = ["conv2d", *(f"conv2d_{k}" for k in range(1, 12))]
    is_read(keras_file(tmp_path / "a.h5", parameters, style, names=names), parameters)
    if style != "new":
        names = [f"conv2d_{k}" for k in range(20, 8, -1)]
        is_read(keras_file(tmp_path / "a.h5", parameters, style, names=names), parameters)


@pytest.mark.parametrize(
    "places, names, order",
    [
        # of a class with attributes: in the file by the alphabet, and only the names tell the order
        (("b", "a", "layers/conv2d_2", "c"), ("conv2d_8", "conv2d_9", "conv2d_10", "conv2d_11"), 1),
        (("conv1", "conv2", "conv3", "conv4"), None, 1),
        (("layers/conv2d", "layers/conv2d_1", "layers/conv2d_2", "layers/conv2d_3"), None, 1),
        (("a", "b", "c", "d"), None, 0),
        (("b", "a", "d", "c"), ("one", "two", "three", "four"), 0),
        (("a", "b", "c", "d"), ("conv2d", "conv2d", "conv2d", "conv2d"), 0),
        (tuple("abcdefghij"), None, 0),  # more layers than all orders are tried of
    ],
)
def test_keras_layers_by_attributes_of_a_class(tmp_path, places, names, order):
    h5py = pytest.importorskip("h5py")
    parameters = parameters_of((3,) * len(places), (4,) * (len(places) - 1), 1)
    path = tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        for k, place in enumerate(places, 1):
            group = file.create_group(f"{place}/vars")
            group["0"], group["1"] = parameters[f"W{k}"].transpose(2, 3, 1, 0), parameters[f"B{k}"]
            if names:
                group.attrs["name"] = names[k - 1]
    if order:
        is_read(path, parameters)
    else:
        is_refused(path, "does not tell the order of its layers, a, b, c, d")


def test_keras_names_in_the_configuration(tmp_path):
    parameters = parameters_of((3,) * 4, (4,) * 3, 1)
    path, names = tmp_path / "a.h5", ("zeta", "beta", "eta", "alpha")
    keras_file(path, parameters, "new", config_of(*(convolution(name=n) for n in names)), names)
    is_refused(path, "does not tell the order of its layers, layers/alpha, layers/beta")
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "a") as file:
        for name in names:
            file[f"layers/{name}/vars"].attrs["name"] = name
    is_read(path, parameters)


def test_keras_layers_that_are_used_twice(tmp_path, parameters):
    config = config_of(*(convolution(name=n) for n in "abc"), model="Functional")
    for layer in config["config"]["layers"]:
        layer["inbound_nodes"] = [{"args": []}]
    is_read(keras_file(tmp_path / "a.h5", parameters, "saved", config), parameters)
    config["config"]["layers"][1]["inbound_nodes"] *= 2
    path = keras_file(tmp_path / "a.h5", parameters, "saved", config)
    is_refused(path, "a.h5 uses the layer b more than once, which is not read: each layer has")


def test_keras_archives(tmp_path, parameters):
    keras_file(tmp_path / "a.h5", parameters, "new")
    for config, words in [
        (GOOD[0], None),
        (config_of("PReLU"), "has a layer of the kind PReLU: only chains of convolutions"),
    ]:
        with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
            archive.writestr("metadata.json", "{}")
            archive.writestr("config.json", json.dumps(config))
            archive.write(tmp_path / "a.h5", "model.weights.h5")
        if words:
            is_refused(tmp_path / "a.keras", words)
        else:
            is_read(tmp_path / "a.keras", parameters)
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(SMALL + 1), zipfile.ZIP_DEFLATED)
    is_refused(tmp_path / "a.keras", "a.keras unpacks to 67,108,867 bytes, and at most")
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    is_refused(tmp_path / "a.keras", "a.keras is damaged or not a Keras .h5 or .keras file")


@pytest.mark.parametrize(
    "config, words",
    [
        (
            config_of(convolution("sigmoid")),
            "has the activation sigmoid: only chains of convolutions",
        ),
        (
            config_of(convolution("linear"), convolution("linear")),
            "has two convolutions without an activation between",
        ),
        (config_of(convolution(strides=[2, 2])), "has a convolution with strides [2, 2], wanted 1"),
        (config_of(convolution(dilation_rate=[1, 2])), "a convolution with dilations [1, 2], wa"),
        (config_of(convolution(groups=3)), "has a convolution with group 3, wanted 1"),
        (config_of("Conv2DTranspose"), "has a layer of the kind Conv2DTranspose: only chains of"),
        (config_of(convolution(), "BatchNormalization"), "of the kind BatchNormalization: only "),
        (
            config_of("Lambda"),
            "tanh between them are read; if it enlarges the picture, save the model",
        ),
        (
            config_of(convolution(), "Lambda"),
            "has a layer of the kind Lambda: only chains of convolu",
        ),
        (config_of(convolution(), "ReLU"), "has a Relu where SRCNN and ESPCN have none"),
        (config_of("ReLU"), "has a Relu where SRCNN and ESPCN have none"),
        (config_of(convolution("linear"), ("ReLU", {"max_value": 6})), "of the kind ReLU: only"),
        (config_of(convolution({"class_name": "Custom"})), "has the activation dict: only chain"),
        (config_of("x\ny"), r"has a layer of the kind x\ny: only chains of convolut"),
        ({"config": 3}, "is damaged or not a Keras .h5"),
        ([], "is damaged or not a Keras .h5"),
    ],
)
def test_keras_models_that_are_another(tmp_path, parameters, config, words):
    is_refused(keras_file(tmp_path / "a.h5", parameters, "saved", config or [1]), words)


def weights_alone(path, parameters, layers, style="weights"):
    """A file of Keras with weights alone, which lists all layers; those of weights are conv..."""
    h5py = pytest.importorskip("h5py")
    names = [name for name in layers if "conv" in name]
    keras_file(path, parameters, style, names=names)
    with h5py.File(path, "a") as file:
        if style == "weights":
            file.attrs["layer_names"] = [name.encode() for name in layers]
        for name in set(layers) - set(names):
            group = file.create_group(name if style == "weights" else f"layers/{name}/vars")
            if style == "weights":
                group.attrs["weight_names"] = []  # as Keras has it
    return path


@pytest.mark.parametrize("style", ["weights", "new"])
@pytest.mark.parametrize(
    "more, bad",
    [
        (["input_1", "activation_1", "re_lu", "zero_padding2d", "dropout_2", "cropping2d"], None),
        (["padding", "output_relu", "address"], None),
        (["map_relu", "final_relu"], None),
        (["my_prelu"], "my_prelu"),
        (["lrelu2"], "lrelu2"),
        (["add_1"], "add_1"),
        (["leaky_re_lu_1"], "leaky_re_lu_1"),
        (["p_re_lu"], "p_re_lu"),
        (["max_pooling2d_1"], "max_pooling2d_1"),
        (["concatenate"], "concatenate"),
        (["batch_normalization_3"], "batch_normalization_3"),
        (["tf.__operators__.add"], "tf.__operators__.add"),
        (["my_residual"], "my_residual"),
        (["lambda"], "lambda"),
        (["elu"], "elu"),
        (["average_pooling2d"], "average_pooling2d"),
        (["thresholded_re_lu"], "thresholded_re_lu"),
        (["tf.image.resize_1"], "tf.image.resize_1"),
    ],
)
def test_keras_files_of_weights_alone(tmp_path, parameters, style, more, bad):
    """The names of layers, which nobody else asks, say that it is no chain."""
    layers = ["conv2d", more[0], "conv2d_1", *more[1:], "conv2d_2"]
    path = weights_alone(tmp_path / "a.h5", parameters, layers, style)
    if bad:
        is_refused(path, f"a.h5 has the layer {bad}, whose name is not one of an SRCNN")
    else:
        is_read(path, parameters)


def test_keras_layers_by_the_names_of_others(tmp_path, parameters):
    layers = ["conv2d", "conv2d_transpose", "conv2d_2"]
    path = weights_alone(tmp_path / "a.h5", parameters, layers)
    is_refused(path, "a.h5 has the layer conv2d_transpose, whose name is not one of an SRCNN")
    # With a configuration, it says what they are, and names are free.
    config = config_of(convolution(), convolution(), convolution("linear"))
    is_read(keras_file(path, parameters, "saved", config, names=["add", "pool", "elu"]), parameters)
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:  # a separable convolution has two kernels
        file.attrs["layer_names"] = [b"a"]
        group = file.create_group("a")
        group.attrs["weight_names"] = [b"depth:0", b"point:0"]
        group["depth:0"], group["point:0"] = np.ones((3, 3, 1, 1)), np.ones((1, 1, 1, 1))
    is_refused(path, "a.h5 holds a/point:0 of shape (1, 1, 1, 1), and only convolutions are r")


def theano_file(path, parameters, **attributes):
    h5py = pytest.importorskip("h5py")
    names = ("level1", "level2", "output")
    with h5py.File(path, "w") as file:
        file.attrs.update({"layer_names": [name.encode() for name in names], **attributes})
        for k, name in enumerate(names, 1):
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}_W".encode(), f"{name}_b".encode()]
            group[f"{name}_W"], group[f"{name}_b"] = parameters[f"W{k}"], parameters[f"B{k}"]
    return path


@pytest.mark.parametrize("c", [1, 3])
def test_keras_1_in_the_order_of_theano(tmp_path, c):
    parameters = parameters_of(SIZES, FILTERS, c)
    is_read(theano_file(tmp_path / "a.h5", parameters), parameters)
    is_read(theano_file(tmp_path / "a.h5", parameters, backend=b"tensorflow"), parameters)
    turned = {n: a[..., ::-1, ::-1] if n[0] == "W" else a for n, a in parameters.items()}
    turned = {n: np.ascontiguousarray(a) for n, a in turned.items()}
    is_read(theano_file(tmp_path / "a.h5", parameters, backend=b"theano"), turned)


def test_a_network_with_turned_filters_sees_a_turned_picture(parameters):
    """Why it does not matter much, where the file does not tell."""
    turned = {n: a[..., ::-1, ::-1] if n[0] == "W" else a for n, a in parameters.items()}
    x = np.random.default_rng(0).random((1, 1, 9, 11), np.float32)
    there = SRCNN.from_parameters(turned).forward(x[..., ::-1, ::-1])
    back = SRCNN.from_parameters(parameters).forward(x)
    assert np.abs(there[..., ::-1, ::-1] - back).max() < 1e-6


def rescaling(scale, offset=0):
    return "Rescaling", {"scale": scale, "offset": offset}


LEFT_OUT = "is left out: here pictures are enlarged by bicubic interpolation, so the result may"


@pytest.mark.parametrize(
    "before, after, wanted",
    [
        ([rescaling(1 / 255)], [], lambda x, net: net(x)),
        ([rescaling(1 / 255)], [rescaling(255)], lambda x, net: net(x)),
        (
            [rescaling(1 / 127.5, -1)],
            [rescaling(127.5, 127.5)],
            lambda x, net: net(2 * x - 1) / 2 + 0.5,
        ),
        ([rescaling(2, -1)], [rescaling(0.5, 0.5)], lambda x, net: net(2 * x - 1) / 2 + 0.5),
        ([rescaling(0.5), rescaling(2, 0.1)], [], lambda x, net: net(x + 0.1)),
        ([("UpSampling2D", {"size": [3, 3]}), rescaling(1 / 255)], [], lambda x, net: net(x)),
        ([("Resizing", {"height": 9, "width": 9})], [], lambda x, net: net(x)),
    ],
)
def test_keras_layers_around_the_network(tmp_path, caplog, parameters, before, after, wanted):
    config = config_of(*before, convolution(), convolution(), convolution("linear"), *after)
    path = keras_file(tmp_path / "a.h5", parameters, "saved", config)
    read, card = read_network(path)
    x = np.random.default_rng(0).random((1, 1, 12, 12))
    plain, network = (SRCNN.from_parameters(p).astype(np.float64) for p in (parameters, read))
    assert np.abs(network.forward(x) - wanted(x, plain.forward)).max() < 1e-6
    if before[0][0] != "Rescaling":
        assert load(path).scale == (3 if before[0][0] == "UpSampling2D" else None)
        assert (
            f"a.h5: {before[0][0]}, an enlargement before the first layer, {LEFT_OUT}"
            in caplog.text
        )
    else:
        assert card == {}


@pytest.mark.parametrize(
    "layers, words",
    [
        ([convolution(), rescaling(2), convolution()], "has a factor or summand before a convo"),
        ([convolution(), "UpSampling2D"], "enlarges, by UpSampling2D, behind layers: SRCNN does b"),
        ([rescaling([1, 2]), convolution()], "has the operator Mul on other than pixels or chann"),
        (
            [("ZeroPadding2D", {"padding": [[1, 0], [0, 0]]}), convolution()],
            "pads by [0, 0, 1, 0, 0, 0, 0, 0], wanted the same",
        ),
        (
            [convolution(), ("Cropping2D", {"cropping": [[2, 2], [0, 4]]})],
            "pads by [0, 0, -2, 0, 0, 0, -2, -4], wanted",
        ),
        (
            [("ZeroPadding2D", {"padding": {"top": 1, "bottom": 1, "left": 2, "right": 1}})],
            "pads by [0, 0, 1,",
        ),
    ],
)
def test_keras_layers_that_change_the_network(tmp_path, parameters, layers, words):
    layers = [*layers, *[convolution()] * 2]
    is_refused(keras_file(tmp_path / "a.h5", parameters, "saved", config_of(*layers)), words)


@pytest.mark.parametrize(
    "amounts", [2, [2, 2], [2, 1], [[2, 2], [1, 1]], {"top": 1, "bottom": 1, "left": 1, "right": 1}]
)
def test_keras_padding_of_equal_sides(tmp_path, parameters, amounts):
    layers = ("ZeroPadding2D", {"padding": amounts}), ("Cropping2D", {"cropping": amounts})
    config = config_of(*layers, convolution(), convolution(), convolution("linear"))
    is_read(keras_file(tmp_path / "a.h5", parameters, "saved", config), parameters)


def test_h5_files_that_are_not_all_right(tmp_path, parameters):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    elsewhere = keras_file(tmp_path / "other.h5", parameters, "new")

    def spoiled(change, words, **options):
        keras_file(path, parameters, "new")
        with h5py.File(path, "a", **options) as file:
            kernel = file["layers/conv2d/vars/0"][()]
            del file["layers/conv2d/vars/0"]
            change(file["layers/conv2d/vars"], kernel)
        is_refused(path, words)

    no_weights = "has biases of layers/conv2d, but no weights for it"
    spoiled(lambda group, w: None, no_weights)
    spoiled(lambda group, w: group.create_dataset("0", data=w.astype(int)), "does not hold float16")
    spoiled(lambda group, w: group.create_dataset("0", data=w[0]), "of shape (5, 1, 4), and only ")
    spoiled(
        lambda group, w: group.create_dataset("0", data=w, compression="lzf"),
        "is packed in another way than by gzip",
    )
    spoiled(
        lambda group, w: group.create_dataset("0", (2**20, 2**20, 1, 1), "f4", chunks=(9, 9, 1, 1)),
        "holds arrays of 1,099,511,627,",
    )
    outside = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    spoiled(
        lambda group, w: group.create_dataset("0", w.shape, "f4", external=outside),
        "is stored in another file, so it is not read",
    )
    virtual = h5py.VirtualLayout((5, 5, 1, 4), "f4")
    virtual[:] = h5py.VirtualSource(elsewhere, "layers/conv2d/vars/0", (5, 5, 1, 4))
    spoiled(
        lambda group, w: group.create_virtual_dataset("0", virtual),
        "is stored in another file, so it is not read",
    )
    link = h5py.ExternalLink(str(elsewhere), "/layers/conv2d/vars/0")
    spoiled(lambda group, w: group.__setitem__("0", link), no_weights)
    link = h5py.SoftLink("/layers/conv2d_1/vars/0")
    spoiled(lambda group, w: group.__setitem__("0", link), no_weights)
    spoiled(lambda group, w: group.__setitem__("0", group.parent), "a.h5 is damaged or not a Keras")
    with h5py.File(path, "w") as file:
        file["a"] = "text"
    is_refused(path, "a does not hold float16, float32 or float64, so it is not read")
    with h5py.File(path, "w") as file:
        file.attrs["more"] = 3
    is_refused(path, "a.h5 holds no layers")


@pytest.mark.parametrize(
    "options", [{"chunks": True}, {"compression": "gzip", "shuffle": True, "fletcher32": True}]
)
def test_h5_files_that_are_packed_or_of_a_newer_kind(tmp_path, parameters, options):
    h5py = pytest.importorskip("h5py")
    path = keras_file(tmp_path / "a.h5", parameters, "new")
    with h5py.File(path, "r") as old, h5py.File(tmp_path / "b.h5", "w", libver="latest") as file:
        for k in ("conv2d", "conv2d_1", "conv2d_2"):
            for place in (f"layers/{k}/vars/0", f"layers/{k}/vars/1"):
                file.create_dataset(place, data=old[place][()], **options)
    is_read(tmp_path / "b.h5", parameters)


def test_a_library_that_hangs_or_crashes_is_left_alone(tmp_path, monkeypatch, parameters):
    """As HDF5 does with some damaged files: in a process of its own."""
    path = keras_file(tmp_path / "a.h5", parameters, "new")
    fake = tmp_path / "fake"
    fake.mkdir()
    monkeypatch.setattr("sys.path", [str(fake), *sys.path])
    for body in ("import os; os.abort()", "import time; time.sleep(99)"):
        (fake / "h5py.py").write_text(body)
        monkeypatch.setattr("pysrcnn.formats.hdf5.SECONDS", 1)
        is_refused(path, "a.h5 is damaged or not a Keras .h5 or .keras file")


def test_without_the_package_h5py(tmp_path, monkeypatch, parameters):
    path = keras_file(tmp_path / "a.h5", parameters, "new")
    monkeypatch.setitem(sys.modules, "h5py", None)
    words = (
        r'^Keras files need the package h5py: pip install "\.\[convert\]" in the clone of pysrcnn$'
    )
    with pytest.raises(ModuleNotFoundError, match=words):
        read_network(path)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
def test_keras_numbers_of_other_sizes(tmp_path, parameters, dtype):
    other = {name: array.astype(dtype) for name, array in parameters.items()}
    wanted = np.float64 if dtype == "<f8" else np.float32
    wanted = {name: array.astype(wanted) for name, array in other.items()}
    is_read(keras_file(tmp_path / "a.h5", other, "saved"), wanted)


# -------------------------------------------------------------------------------------------- ONNX


def chain(conv=None, between=("Relu",), last=(), pad=None):
    """The nodes of an SRCNN with the tensors W1, B1, ..."""
    nodes, current, count = [], "x", 0
    for k in (1, 2, 3):
        if pad and k == 1:
            nodes.append(("Pad", [current, "pads"], ["padded"], pad))
            current = "padded"
        nodes.append(("Conv", [current, f"W{k}", f"B{k}"], [f"c{k}"], conv or {}))
        current = f"c{k}"
        for kind in between if k < 3 else last:
            count += 1
            nodes.append((kind, [current], [f"r{count}"], {}))
            current = f"r{count}"
    kind, inputs, _, options = nodes[-1]
    return [*nodes[:-1], (kind, inputs, ["y"], options)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"conv": {"auto_pad": "SAME_UPPER", "kernel_shape": [5, 5]}},
        {"conv": {"pads": [2, 2, 2, 2], "strides": [1, 1], "dilations": [1, 1], "group": 1}},
        {"last": ("Relu",)},
        {"pad": {"mode": "edge"}},
    ],
)
def test_onnx_chains(tmp_path, parameters, options):
    tensors = {**parameters, "pads": np.array([0, 0, 2, 2, 0, 0, 2, 2])}
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*chain(**options), tensors=tensors))
    assert is_read(tmp_path / "a.onnx", parameters) == {}


@pytest.mark.parametrize("given", [["x"], ["x", ""], ["x", "", "B1"]])
def test_onnx_without_the_weights_of_a_layer(tmp_path, given):
    content = onnx_bytes(("Conv", given, ["y"], {}), tensors={"B1": np.zeros(1, np.float32)})
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ValueError, match="m.onnx has a Conv without weights"):
        load(tmp_path / "m.onnx", 3)


def test_onnx_tensors_in_other_places(tmp_path, parameters):
    def constants(model, onnx):
        for constant in list(model.graph.initializer):
            node = onnx.helper.make_node("Constant", [], [constant.name], value=constant)
            model.graph.node.insert(0, node)
        del model.graph.initializer[:]

    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*chain(), tensors=parameters, change=constants))
    is_read(tmp_path / "a.onnx", parameters)
    half = {name: array.astype(np.float16) for name, array in parameters.items()}
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*chain(), tensors=half))
    is_read(tmp_path / "a.onnx", {n: a.astype(np.float32) for n, a in half.items()})
    nodes = chain()
    nodes[2] = ("Conv", nodes[2][1][:2], *nodes[2][2:])
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters))
    is_read(tmp_path / "a.onnx", {**parameters, "B2": np.zeros(5, np.float32)})


def outside(location, **where):
    def change(model, onnx):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": location, **where}.items():
            tensor.external_data.add(key=key, value=str(value))

    return change


@pytest.mark.parametrize("where", [{}, {"offset": 8, "length": 400}])
def test_onnx_tensors_in_a_file_beside_it(tmp_path, parameters, where):
    """As PyTorch exports them by default."""
    content = onnx_bytes(*chain(), tensors=parameters, change=outside("a.onnx.data", **where))
    (tmp_path / "a.onnx").write_bytes(content)
    beside, data = tmp_path / "a.onnx.data", bytes(where.get("offset", 0))
    beside.write_bytes(data + parameters["W1"].tobytes() + b"more")
    is_read(tmp_path / "a.onnx", parameters)
    beside.write_bytes(data + parameters["W1"].tobytes()[:-1])
    is_refused(tmp_path / "a.onnx", "keeps W1 in a.onnx.data, which does not hold all of it: ex")
    if os.name == "posix":
        beside.rename(tmp_path / "elsewhere")
        beside.symlink_to(tmp_path / "elsewhere")
        is_refused(tmp_path / "a.onnx", "in a.onnx.data, which is not a regular file: export it")
        beside.unlink()
        os.mkfifo(beside)
        is_refused(tmp_path / "a.onnx", "in a.onnx.data, which is not a regular file: export it")


@pytest.mark.parametrize("where", [{"offset": -1}, {"offset": "x"}, {"length": 4}])
def test_onnx_tensors_at_a_place_that_cannot_be(tmp_path, parameters, where):
    content = onnx_bytes(*chain(), tensors=parameters, change=outside("data", **where))
    (tmp_path / "a.onnx").write_bytes(content)
    (tmp_path / "data").write_bytes(bytes(1000))
    is_refused(tmp_path / "a.onnx", "a.onnx")


def padded(amounts, rest=4):
    """An SRCNN whose Pad gets its amounts as PyTorch writes them: (left, right, top, bottom)."""
    nodes = [
        ("Shape", ["amounts"], ["shape"], {}),
        ("Gather", ["shape", "zero"], ["count"], {"axis": 0}),
        ("Sub", ["eight", "count"], ["missing"], {}),
        ("ConstantOfShape", ["missing"], ["zeros"], {}),
        ("Cast", ["zeros"], ["whole"], {"to": 7}),
        ("Concat", ["amounts", "whole"], ["all"], {"axis": 0}),
        ("Reshape", ["all", "pairs"], ["table"], {}),
        ("Slice", ["table", "last", "first", "zero", "last"], ["turned"], {}),
        ("Transpose", ["turned"], ["columns"], {"perm": [1, 0]}),
        ("Reshape", ["columns", "last"], ["line"], {}),
        ("Cast", ["line"], ["pads"], {"to": 7}),
        *chain(pad={"mode": "edge"}),
    ]
    tensors = {"amounts": amounts, "zero": [0], "eight": [4 + rest], "pairs": [-1, 2]}
    tensors |= {"last": [-1], "first": [-(2**63) + 1]}
    return nodes, {name: np.array(value, np.int64) for name, value in tensors.items()}


def test_onnx_amounts_of_padding_that_are_worked_out(tmp_path, parameters):
    nodes, tensors = padded([2, 2, 2, 2])
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters | tensors))
    is_read(tmp_path / "a.onnx", parameters)
    nodes, tensors = padded([4, 0, 2, 2])
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters | tensors))
    is_refused(tmp_path / "a.onnx", "pads by [0, 0, 2, 4, 0, 0, 2, 0], wanted the same on opp")
    nodes, tensors = padded([2, 2, 2, 2], 10**12)
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters | tensors))
    is_refused(tmp_path / "a.onnx", "has the operator ConstantOfShape: only chains")
    tensors["x"] = tensors.pop("amounts")  # the picture
    nodes[0] = ("Shape", ["x"], *nodes[0][2:])
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters))
    is_refused(tmp_path / "a.onnx", "has the operator Gather: only chains")


@pytest.mark.parametrize(
    "low, high, words",
    [
        (0, 1, None),
        (0, 255, None),
        (None, 1, None),
        (0, None, None),
        (0.1, 1, "clips to 0.1"),
        (0, 0.5, "clips to 0.0..0.5, wanted no narrower than 0..1"),
        (float("nan"), 1, "clips to nan"),
    ],
)
def test_onnx_of_what_is_clipped_at_last(tmp_path, parameters, low, high, words):
    bounds = {"low": low, "high": high}
    tensors = {n: np.array(x, np.float32) for n, x in bounds.items() if x is not None}
    names = [name if name in tensors else "" for name in bounds]
    nodes = [*chain(last=("Identity",)), ("Clip", ["y", *names], ["z"], {})]
    content = onnx_bytes(*nodes, tensors=parameters | tensors, outputs=("z",))
    (tmp_path / "a.onnx").write_bytes(content)
    if words:
        is_refused(tmp_path / "a.onnx", words)
    else:
        is_read(tmp_path / "a.onnx", parameters)


def test_onnx_tensors_by_another_name(tmp_path, parameters):
    renamed = {"same" if name == "W2" else name: array for name, array in parameters.items()}
    nodes = [("Identity", ["same"], ["W2"], {}), *chain()]
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=renamed))
    is_read(tmp_path / "a.onnx", parameters)


def wrapped(before=(), after=()):
    """An SRCNN with these operators in front and behind: (kind, other inputs or None, options)."""
    nodes, current = [], "x"
    for k, (kind, others, options) in enumerate(before):
        nodes.append((kind, [n or current for n in others], [f"b{k}"], options))
        current = f"b{k}"
    first, *rest = chain()
    nodes += [(first[0], [current, *first[1][1:]], *first[2:]), *rest]
    for k, (kind, others, options) in enumerate(after):
        name = "z" if k == len(after) - 1 else f"z{k}"
        nodes.append((kind, [n or (f"z{k - 1}" if k else "y") for n in others], [name], options))
    return nodes, ("z",) if after else ("y",)


VALUES = {
    "white": np.float32(255), "small": np.float32(1 / 255), "half": np.float32(0.5),
    "two": np.array([[[[2]]]], np.float32), "one": np.float32(1), "zero": np.float32(0),
    "scales": np.array([1, 1, 3, 3], np.float32), "roi": np.zeros(0, np.float32),
    "smaller": np.array([1, 1, 0.5, 0.5], np.float32),
    "many": np.ones((1, 1, 5, 5), np.float32),
}  # fmt: skip


@pytest.mark.parametrize(
    "before, after, wanted",
    [
        ([("Div", (None, "white"), {})], [("Mul", (None, "white"), {})], lambda x, net: net(x)),
        ([("Mul", (None, "small"), {})], [], lambda x, net: net(x)),
        ([("Cast", (None,), {"to": 1})], [("Cast", (None,), {"to": 1})], lambda x, net: net(x)),
        (
            [("Mul", (None, "two"), {}), ("Sub", (None, "one"), {})],
            [("Add", (None, "one"), {}), ("Div", (None, "two"), {})],
            lambda x, net: net(2 * x - 1) / 2 + 0.5,
        ),
        (
            [("Mul", ("two", None), {}), ("Add", ("one", None), {})],
            [],
            lambda x, net: net(2 * x + 1),
        ),
        ([("Sub", ("one", None), {})], [("Sub", ("one", None), {})], lambda x, net: 1 - net(1 - x)),
        (
            [],
            [("Mul", (None, "white"), {}), ("Clip", (None, "zero", "white"), {})],
            lambda x, net: net(x),
        ),
        (
            [("Transpose", (None,), {"perm": [0, 3, 1, 2]})],
            [("Transpose", (None,), {"perm": [0, 2, 3, 1]})],
            lambda x, net: net(x),
        ),
        ([("Resize", (None, "roi", "scales"), {"mode": "linear"})], [], lambda x, net: net(x)),
        ([("Upsample", (None, "scales"), {"mode": "linear"})], [], lambda x, net: net(x)),
        ([("Upsample", (None,), {"scales": [1.0, 1.0, 3.0, 3.0]})], [], lambda x, net: net(x)),
        ([], [("Add", (None, "x"), {})], lambda x, net: net(x) + x),
        ([], [("Add", ("x", None), {}), ("Relu", (None,), {})], lambda x, net: net(x) + x),
        (
            [("Resize", (None, "roi", "scales"), {"mode": "linear"})],
            [("Add", (None, "b0"), {})],
            lambda x, net: net(x) + x,
        ),
    ],
)
def test_onnx_operators_around_the_network(tmp_path, caplog, parameters, before, after, wanted):
    nodes, outputs = wrapped(before, after)
    content = onnx_bytes(*nodes, tensors=parameters | VALUES, outputs=outputs)
    (tmp_path / "a.onnx").write_bytes(content)
    read, card = read_network(tmp_path / "a.onnx")
    x = np.random.default_rng(0).random((1, 1, 12, 12), np.float32)
    plain, network = (SRCNN.from_parameters(p).astype(np.float64) for p in (parameters, read))
    assert np.abs(network.forward(x) - wanted(x, plain.forward)).max() < 1e-6
    enlarges = [kind for kind, *_ in before if kind in ("Resize", "Upsample")]
    assert card.get("scale") == (3 if enlarges else None)
    notes = [f"{kind}, an enlargement before the first layer, {LEFT_OUT}" for kind in enlarges]
    assert [
        note[: len(wanted)] for note, wanted in zip(card.get("notes", []), notes, strict=True)
    ] == notes


@pytest.mark.parametrize(
    "before, after, words",
    [
        (
            [],
            [("Resize", (None, "roi", "scales"), {})],
            "enlarges, by Resize, behind layers: SRCNN does before",
        ),
        (
            [("Mul", (None, "many"), {})],
            [],
            "has the operator Mul on other than pixels or channels",
        ),
        ([("Transpose", (None,), {"perm": [0, 1, 3, 2]})], [], "Transpose other than from and to"),
        ([], [("Transpose", (None,), {"perm": [0, 3, 1, 2]})], "Transpose other than from and to"),
        ([], [("Add", (None, "x"), {}), ("Mul", (None, "two"), {})], "Mul behind the sum with its"),
        (
            [("Mul", (None, "two"), {})],
            [("Add", (None, "x"), {})],
            "adds a picture that is not the",
        ),
        ([], [("Add", (None, "r1"), {})], "the Add takes r1, which is not in the file"),
        ([], [("Sub", ("x", None), {})], "takes its input and what the layers give together by S"),
        ([("Resize", (None, "roi", "smaller"), {})], [], "makes pictures smaller, by Resize, bef"),
        (
            [],
            [("Mul", (None, "two"), {}), ("Relu", (None,), {})],
            "has a Relu where SRCNN and ESPCN have none",
        ),
        (
            [],
            [("Mul", (None, "white"), {}), ("Clip", (None, "zero", "one"), {})],
            "no narrower than 0..255",
        ),
    ],
)
def test_onnx_operators_that_change_the_network(tmp_path, parameters, before, after, words):
    nodes, outputs = wrapped(before, after)
    content = onnx_bytes(*nodes, tensors=parameters | VALUES, outputs=outputs)
    (tmp_path / "a.onnx").write_bytes(content)
    is_refused(tmp_path / "a.onnx", words)


def test_onnx_sizes_that_are_worked_out_of_the_picture(tmp_path, parameters):
    """As PyTorch writes an enlargement to so many times the size."""
    nodes, _ = wrapped([("Resize", (None, "", "", "sizes"), {"mode": "linear"})])
    nodes = [
        ("Shape", ["x"], ["shape"], {}),
        ("Slice", ["shape", "from", "to", "axis"], ["large"], {}),
        ("Cast", ["large"], ["numbers"], {"to": 1}),
        ("Mul", ["numbers", "two"], ["larger"], {}),
        ("Cast", ["larger"], ["whole"], {"to": 7}),
        ("Concat", ["ends", "whole"], ["sizes"], {"axis": 0}),
        *nodes,
    ]
    numbers = {"from": [2], "to": [4], "axis": [0], "ends": [1, 1]}
    tensors = {name: np.array(n) for name, n in numbers.items()} | {"two": np.float32(2)}
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters | tensors))
    read, card = read_network(tmp_path / "a.onnx")
    assert all(np.array_equal(read[n], a) for n, a in parameters.items()) and "scale" not in card
    nodes[-1] = ("Add", [nodes[-1][1][0], "sizes"], ["y"], {})
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=parameters | tensors))
    is_refused(tmp_path / "a.onnx", "the Add takes sizes, which is not in the file")


def doubling(kind, start, times=25):
    """Each of so many operators makes its constant twice as large."""

    def change(model, onnx):
        for k in range(times):
            options = {"axis": 0} if kind == "Concat" else {}
            node = onnx.helper.make_node(kind, [f"s{k}"] * 2, [f"s{k + 1}"], **options)
            model.graph.node.insert(k, node)
        model.graph.initializer.append(start(onnx))

    return change


@pytest.mark.parametrize(
    "change, words",
    [
        (
            doubling("Add", lambda onnx: onnx.helper.make_tensor("s0", 8, [1], [b"ha" * 512])),
            "holds text in s0, wanted numbers",
        ),
        (
            doubling("Concat", lambda onnx: onnx.numpy_helper.from_array(np.ones(8), "s0")),
            "has the operator Concat: only chains",
        ),
        (
            doubling("Add", lambda onnx: onnx.numpy_helper.from_array(np.ones(8), "s0"), 600),
            "works out more than 500 constants: fold them",
        ),
        (
            lambda model, onnx: model.graph.node.insert(
                0, onnx.helper.make_node("Concat", ["B1"] * 1000, ["s"], axis=0)
            ),
            "has the operator Concat: only chains",
        ),
        (
            lambda model, onnx: [model.graph.node.add() for _ in range(5000)],
            "has more than 4,000 operators or tensors, and no more are read",
        ),
        (
            lambda model, onnx: [model.graph.initializer.add() for _ in range(5000)],
            "has more than 4,000 operators or tensors, and no more are read",
        ),
        (
            lambda model, onnx: setattr(model, "doc_string", "x" * (4 << 20)),
            "raw_data of tensors 4,194,304 are read at most: export it with its tensors in a file",
        ),
    ],
)
def test_onnx_models_that_grow(tmp_path, parameters, change, words):
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*chain(), tensors=parameters, change=change))

    def refused():
        is_refused(tmp_path / "a.onnx", words)

    assert most_memory(refused) < 40 << 20


def resized(*shape):
    def change(model, onnx):
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(shape)

    return change


def second_input(model, onnx):
    model.graph.input.append(model.graph.input[0])


def foreign(model, onnx):
    model.graph.node[0].domain = "com.example"


@pytest.mark.parametrize(
    "options, change, words",
    [
        (
            {"between": ("Relu", "Sigmoid")},
            None,
            "has the operator Sigmoid: only chains of convolutions",
        ),
        (
            {"last": ("DepthToSpace",)},
            None,
            "has 1 filters in its last layer, for 1 channels, and behind it a sub-",
        ),
        ({"between": ()}, None, "has two convolutions without an activation between"),
        ({"between": ("Relu", "Clip")}, None, "has a Clip before a convolution, where SRCNN and E"),
        ({"between": ("Relu", "Relu")}, None, "has a Relu where SRCNN and ESPCN have none"),
        ({"conv": {"strides": [2, 2]}}, None, "has a convolution with strides [2, 2], wanted 1"),
        (
            {"conv": {"dilations": [1, 2]}},
            None,
            "has a convolution with dilations [1, 2], wanted 1",
        ),
        ({"conv": {"group": 2}}, None, "has a convolution with group 2, wanted 1"),
        ({"conv": {"pads": [0, 0, 2, 2]}}, None, "pads by [0, 0, 2, 2], wanted the same on opp"),
        ({"pad": {"mode": "edge"}}, None, "the Pad takes pads, which is not in the file"),
        ({}, outside("../../etc/passwd"), "keeps W1 in ../../etc/passwd, wanted a file beside it:"),
        ({}, outside("/etc/passwd"), "keeps W1 in /etc/passwd, wanted a file beside it: export"),
        ({}, outside(".."), "keeps W1 in .., wanted a file beside it: export it into one file"),
        ({}, outside(""), "keeps W1 in another file, wanted a file beside it: export it into one"),
        ({}, outside("none"), "keeps W1 in none, which is not beside it: put both files into one"),
        ({}, second_input, "has 2 inputs and 1 outputs, wanted one of each"),
        ({}, foreign, "has the operator com.example.Conv: only chains"),
        ({}, resized(4, 1, 5, 6), "is damaged or not an .onnx file"),
        ({}, resized(2**40, 2**40, 1, 1), "holds arrays of 1,208,925,819,614,629,174,706,176"),
        ({}, resized(-1, 1, 5, 5), "one of its arrays has an impossible shape"),
        ({}, resized(5, 1, 4, 5), "W1 has the shape (5, 1, 4, 5), wanted (O, C, f, f), f odd"),
        ({}, lambda model, onnx: model.Clear(), "a.onnx is empty"),
        ({}, lambda model, onnx: model.graph.Clear(), "has 0 inputs and 0 outputs"),
        ({}, lambda model, onnx: model.graph.ClearField("node"), "its output is not what the last"),
        ({}, lambda model, onnx: model.graph.node.pop(0), "Relu does not take what the one before"),
    ],
)
def test_onnx_models_that_are_another(tmp_path, parameters, options, change, words):
    content = onnx_bytes(*chain(**options), tensors=parameters, change=change)
    (tmp_path / "a.onnx").write_bytes(content)
    is_refused(tmp_path / "a.onnx", words)


@pytest.mark.parametrize(
    "sizes, filters, c",
    [((9, 1, 5), (16, 8), 1), ((9, 5, 5), (8, 8), 3), ((3, 1, 1, 5), (4, 4, 4), 1), ((3,), (), 3)],
)
def test_onnx_runtime_computes_the_same(tmp_path, sizes, filters, c):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    network = SRCNN.from_parameters(parameters_of(sizes, filters, c))
    network.save(tmp_path / "a.onnx")
    network.astype(np.float64).save(tmp_path / "b.onnx")  # of which there is no Conv
    assert (tmp_path / "b.onnx").read_bytes() == (tmp_path / "a.onnx").read_bytes()
    onnx.checker.check_model(str(tmp_path / "a.onnx"), full_check=True)
    session = runtime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for n, height, width in ((1, 33, 20), (2, 7, 31), (1, 1, 1), (1, 64, 3)):
        x = rng.random((n, c, height, width), np.float32)
        (theirs,) = session.run(["high"], {"low": x})
        ours = network.forward(x)
        assert theirs.shape == ours.shape and np.abs(theirs - ours).max() < 1e-5
        # Padding, and the order of layers, do matter to this.
        if min(height, width) > 2:
            assert np.abs(network.forward(x[..., ::-1])[..., ::-1] - theirs).max() > 1e-3


# ------------------------------------------------------------------------- what all formats share


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("suffix", WRITABLE)
def test_what_is_written_can_be_read(tmp_path, suffix, c):
    parameters = parameters_of(SIZES, FILTERS, c)
    card = {"scale": 3, "data": "µ ≥ 1", "scores": {"Set5": 32.6}}
    path = write_or_skip(tmp_path / f"a{suffix}", parameters, card)
    if suffix == ".mat":
        double = {name: array.astype(np.float64) for name, array in parameters.items()}
        assert is_read(path, double) == {}
    else:
        assert is_read(path, parameters) == card
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", WRITABLE)
def test_doubles_stay_doubles(tmp_path, suffix):
    parameters = {n: a.astype(np.float64) for n, a in parameters_of(SIZES, FILTERS, 1).items()}
    parameters = {name: array + 1e-9 for name, array in parameters.items()}
    path = write_or_skip(tmp_path / f"a{suffix}", parameters)
    if suffix == ".onnx":  # ONNX Runtime would not run them
        parameters = {name: array.astype(np.float32) for name, array in parameters.items()}
    is_read(path, parameters)


def test_the_authors_layout_by_scipy(tmp_path, parameters):
    write_network(tmp_path / "a.mat", parameters, {})
    arrays = scipy.io.loadmat(tmp_path / "a.mat")
    assert arrays["weights_conv1"].shape == (25, 4) and arrays["biases_conv2"].shape == (5, 1)
    assert arrays["weights_conv1"][1, 2] == parameters["W1"][2, 0, 1, 0]
    deep = parameters_of((3, 3), (4,), 1)
    with pytest.raises(ValueError, match="holds three layers, and this network has 2: write it as"):
        write_network(tmp_path / "b.mat", deep, {})
    assert os.listdir(tmp_path) == ["a.mat"]


@pytest.mark.parametrize("name", ["a.pth", "a.h5", "a.txt", "a"])
def test_formats_that_are_not_written(tmp_path, parameters, name):
    with pytest.raises(ValueError, match=f"{name} does not end in .npz, .mat, .safetensors or .on"):
        write_network(tmp_path / name, parameters, {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", READABLE)
@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"text\n" * 40, b"PK\x03\x04" + bytes(40), b"\x89HDF\r\n\x1a\n" + bytes(600),
     pickle.dumps({"W1": 1}), bytes(1000), b"\xff" * 1000],
    ids=["empty", "byte", "text", "zip", "hdf5", "pickle", "zeros", "ones"],
)  # fmt: skip
def test_files_that_are_something_else(tmp_path, suffix, content):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    if suffix in (".h5", ".hdf5", ".keras") or content[1:4] == b"HDF":
        pytest.importorskip("h5py")
    (tmp_path / f"a{suffix}").write_bytes(content)
    is_refused(tmp_path / f"a{suffix}", f"a{suffix}")


def test_files_that_are_far_too_large(tmp_path):
    with open(tmp_path / "a.pth", "wb") as file:
        file.truncate(1 << 33)  # of which none is on the disk
    is_refused(
        tmp_path / "a.pth", "a.pth has 8,589,934,592 bytes, and 671,088,640 are read at most"
    )
    with open(tmp_path / "b.npz", "wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(LIMIT + 1)
    is_refused(tmp_path / "b.npz", "b.npz has 671,088,641 bytes, and 671,088,640 are read at most")


def test_bombs(tmp_path, parameters, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", W1=np.zeros(10_000_000))
    is_refused(tmp_path / "a.npz", "a.npz unpacks to 80,")
    monkeypatch.setattr("pysrcnn.formats.mat.SMALL", 10_000)
    scipy.io.savemat(tmp_path / "a.mat", {"a": np.zeros(10_000)}, do_compression=True)
    is_refused(tmp_path / "a.mat", "a.mat unpacks to more than 10,000 bytes")


@pytest.mark.parametrize("name", ["srcnn_x3.pth.tar", "pytorch_model.bin", "weights", "a.mat"])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_files_by_other_names(tmp_path, parameters, kind, name):
    """What is in a file matters, and not what it is called."""
    content = whole_file(tmp_path, kind, parameters).read_bytes()
    if kind == "onnx" and name == "a.mat":
        pytest.skip("ONNX files have no mark, and this is not their name")
    (tmp_path / name).write_bytes(content)
    read, _ = read_network(tmp_path / name)
    assert all(np.array_equal(read[n], array) for n, array in parameters.items())
    assert load(tmp_path / name, 3).scale == 3


TENSORFLOW = "of TensorFlow, which is not read: load it in TensorFlow and save the model as .keras"
SAVEZ = "save its arrays by numpy.savez, as W1 (O, C, f, f), B1, W2, B2, ..."


@pytest.mark.parametrize(
    "name, content, words",
    [
        (
            "model.ckpt",
            bytes(99) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
            f"a checkpoint {TENSORFLOW}",
        ),
        ("m.ckpt.index", bytes(99), f"is a checkpoint {TENSORFLOW}"),
        ("m.ckpt.data-00000-of-00001", bytes(99), f"is a checkpoint {TENSORFLOW}"),
        ("m.ckpt.meta", b"\n\x05abcde", f"is a checkpoint {TENSORFLOW}"),
        ("checkpoint", b'model_checkpoint_path: "m.ckpt"\n', f"is a checkpoint {TENSORFLOW}"),
        ("saved_model.pb", b"\x08\x01\x12\x03abc", f"is a SavedModel {TENSORFLOW}"),
        (
            "graph.pb",
            b"\n\x05\n\x03abc",
            "is a frozen graph of TensorFlow, which is not read: convert",
        ),
        ("m.tflite", b"\x1c\0\0\0TFL3" + bytes(40), "is a model of TensorFlow Lite, which is not"),
        ("m.bin", b"\x1c\0\0\0TFL3" + bytes(40), "is a model of TensorFlow Lite, which is not"),
        ("m.mlmodel", b"\x08\x04\x12\x03abc", "is a model of Core ML, which is not read: export"),
        ("m.caffemodel", b"\n\x05SRCNN", f"is a model of Caffe, which is not read: {SAVEZ}"),
        ("m.gguf", b"GGUF\3\0\0\0", f"is a GGUF file, which is not read: {SAVEZ}"),
        (
            "m.joblib",
            b"x\x9c" + bytes(40),
            f"is a pickle or a file of joblib, which is not read: {SAVEZ}",
        ),
        ("m.npy", b"\x93NUMPY\1\0" + bytes(40), f"is a single array of NumPy: {SAVEZ}"),
        ("m.pkl", pickle.dumps([1]), "is a pickle without any tensors of PyTorch: only tensors"),
        ("m.bin", b"\1\2\3\4" * 9, "is of no known kind, perhaps bare numbers that another file"),
        ("m.pdparams", b"\1\2\3\4" * 9, f"is a file of PaddlePaddle, which is not read: {SAVEZ}"),
        ("m.pth.tar", bytes(257) + b"ustar" + bytes(250), "is packed, a tar archive: unpack it"),
        ("m.pth.gz", b"\x1f\x8b" + bytes(40), "is packed by gzip: unpack it and give the file of"),
        ("m.pth", b"\x1f\x8b" + bytes(40), "is packed by gzip: unpack it and give the file of"),
        (
            "m.npz",
            b"7z\xbc\xaf\x27\x1c" + bytes(40),
            "is packed by 7-Zip: unpack it and give the file",
        ),
        ("m.pth", b"\n<!DOCTYPE html>\n<html>", "is a web page, not a file of weights: download"),
        ("m.pth", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS, not"),
        ("m.txt", b"conv1 conv2", "is neither .npz nor .mat, nor .pt"),
        (
            "m.zip",
            zipped(b"}").replace(b"data.pkl", b"data.txt"),
            "is a zip archive that is damaged",
        ),
        ("m.bin", b"PK", "is a zip archive that is damaged or holds no weights: download it again"),
        (
            "m.h5",
            b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n",
            "it is of version 7.3: save",
        ),
    ],
)
def test_files_of_other_kinds_are_called_what_they_are(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    is_refused(tmp_path / name, words)


def test_what_is_no_file_of_weights(tmp_path):
    (tmp_path / "model").mkdir()
    is_refused(tmp_path / "model", "is a folder: give a file of weights")
    (tmp_path / "model/saved_model.pb").write_bytes(b"\x08\x01")
    is_refused(tmp_path / "model", f"is a SavedModel {TENSORFLOW}")
    (tmp_path / "x.ckpt.index").write_bytes(b"x")
    is_refused(tmp_path / "x.ckpt", f"is a checkpoint {TENSORFLOW}")
    (tmp_path / "m-20.index").write_bytes(b"x")
    with pytest.raises(ValueError, match="m-20 is a checkpoint of TensorFlow"):
        load(tmp_path / "m-20", 3)
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe.npz")
        is_refused(tmp_path / "pipe.npz", "is a pipe or a device, not a file: give a file of")
    if Path("/proc/self/status").exists():
        is_refused("/proc/self/status", "is not of the size it says, or is changing: give a file")


def lying(entry, data, compression=zipfile.ZIP_DEFLATED, says=1000):
    """A zip archive whose one entry says that it has fewer bytes than it unpacks to."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(entry), data, compression)
    content = bytearray(file.getvalue())
    for start, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place += content.index(start)
        content[place : place + 4] = struct.pack("<I", says)
    return bytes(content)


def most_memory(function, *arguments):
    """Bytes that were taken at the same time while it ran."""
    tracemalloc.start()
    try:
        function(*arguments)
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


HEADER = b"\x93NUMPY\x01\0" + struct.pack("<H", 118)
HEADER += b"{'descr': '<f4', 'fortran_order': False, 'shape': (218,), }".ljust(117) + b"\n"


@pytest.mark.parametrize(
    "entry, head, compression",
    [
        ("W1.npy", HEADER, zipfile.ZIP_BZIP2),
        ("config.json", b"{", zipfile.ZIP_LZMA),
        ("W1.npy", HEADER, zipfile.ZIP_DEFLATED),
        ("config.json", b"{", zipfile.ZIP_DEFLATED),
        ("a/data.pkl", b"\x80\x02}", zipfile.ZIP_DEFLATED),
    ],
)
def test_entries_of_archives_that_are_larger_than_they_say(tmp_path, entry, head, compression):
    """Nothing is unpacked beyond what was said, whatever packs it."""
    path = tmp_path / ("a.pth" if entry[1] == "/" else "a.npz")
    path.write_bytes(lying(entry, head + b" " * (20 << 20), compression))
    packed = compression != zipfile.ZIP_DEFLATED
    words = "is packed by bzip2, LZMA or the like" if packed else "is damaged or not"

    def refused():
        is_refused(path, words)

    assert path.stat().st_size < 1 << 20 and most_memory(refused) < 2 << 20


@pytest.mark.parametrize("shape", ["(10**9,)", "(100000000000,)", "(2, 3)", "(-1,)", "(219,)"])
@pytest.mark.parametrize("kind", ["<f4", "|V9", "|O", "<f8", "<M8[s]"])
def test_arrays_that_are_larger_than_their_bytes(tmp_path, shape, kind):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117)
    data = HEADER[:10] + header.encode() + b"\n" + bytes(4 * 218)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("W1.npy", data)

    def refused():
        is_refused(tmp_path / "a.npz", "a.npz is damaged or not an .npz file of weights")

    assert most_memory(refused) < 1 << 20


def test_texts_that_are_far_too_long(tmp_path, parameters):
    """JSON takes twenty times as much memory as in the file."""
    huge = "[" + "[]," * 400_000 + "[]]"
    np.savez_compressed(tmp_path / "a.npz", card=np.array(huge), **parameters)
    is_refused(tmp_path / "a.npz", "a.npz has 1,200,004 characters of JSON, and files of weig")
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", huge)
        archive.write(keras_file(tmp_path / "a.h5", parameters, "new"), "model.weights.h5")
    is_refused(tmp_path / "a.keras", "a.keras has 1,200,004 characters of JSON")


def test_numbers_that_have_fewer_bytes_in_the_file_than_in_memory(tmp_path):
    """A MATLAB file may keep numbers of 16 bytes in one byte each, and many such arrays."""
    head = struct.pack("<IIII", 6, 8, 0x0806, 0) + struct.pack("<IIii", 5, 8, 1 << 20, 1)
    body = head + struct.pack("<HH4s", 1, 1, b"x") + struct.pack("<II", 2, 1 << 20) + bytes(1 << 20)
    matrix = zlib.compress(struct.pack("<II", 14, len(body)) + body)
    matrix = struct.pack("<II", 15, len(matrix)) + matrix
    content = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + matrix * 17
    (tmp_path / "a.mat").write_bytes(content)
    is_refused(tmp_path / "a.mat", "a.mat holds arrays of 17,825,792 values, and at most 16,777")


def test_tables_of_hdf5_that_say_to_be_full(tmp_path):
    """A few bytes may say that they are 65,535 entries, and there may be 50,000 of them."""
    pytest.importorskip("h5py")
    count = 20_000
    root, tree, heap, tables = 96, 200, 300, 40 + 24 * count + 16
    content = bytearray(tree + tables + 16 * count + 70_000 * 40)
    content[:24] = b"\x89HDF\r\n\x1a\n" + b"\0\0\0\0\0\x08\x08\0" + bytes(8)
    struct.pack_into("<Q", content, 64, root)
    struct.pack_into("<BxHII", content, root, 1, 1, 1, 24)
    struct.pack_into("<HHBxxxQQ", content, root + 16, 17, 16, 0, tree, heap)
    content[tree : tree + 8] = b"TREE\0\0" + struct.pack("<H", count)
    for k in range(count):
        place = tree + tables + 16 * k
        struct.pack_into("<Q", content, tree + 32 + 16 * k, place)
        content[place : place + 8] = b"SNOD\1\0\xff\xff"
    (tmp_path / "a.h5").write_bytes(content)

    def refused():
        is_refused(tmp_path / "a.h5", "a.h5 is damaged or not a Keras .h5 or .keras file")

    assert most_memory(refused) < 30 << 20


def test_parts_that_many_share(tmp_path):
    """What is small in a file and large in memory: a thousand layers of the same tensor."""
    nodes = []
    for k in range(1000):
        nodes += [("Conv", ["x" if k == 0 else f"r{k}", "W", "b"], [f"c{k}"], {})]
        nodes += [("Relu", [f"c{k}"], [f"r{k + 1}"], {})]
    nodes[-1] = ("Relu", ["c999"], ["y"], {})
    tensors = {"W": np.zeros((200, 200, 1, 1), np.float16), "b": np.zeros(200, np.float16)}
    pth = {f"{k}.weight": tensor(0, 40_000, (200, 200, 1, 1), (200, 1, 0, 0)) for k in range(1000)}
    (tmp_path / "a.pth").write_bytes(zipped(dictionary(**pth), [bytes(160_000)]))
    is_refused(tmp_path / "a.pth", "a.pth holds arrays of 40,000,000 values")
    many = scipy.io.matlab.savemat
    many(tmp_path / "a.mat", {f"x{k}": 1.0 for k in range(1001)})
    is_refused(tmp_path / "a.mat", "a.mat has more than 1,000 variables")
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(*nodes, tensors=tensors))
    is_refused(tmp_path / "a.onnx", "a.onnx holds arrays of 40,200,000 values")


def test_mat_files_of_big_endian_machines(tmp_path, parameters):
    head = bytes(124) + b"\x01\x00MI"
    write_network(tmp_path / "a.mat", parameters, {})
    for name, array in scipy.io.loadmat(tmp_path / "a.mat").items():
        if name[0] != "_":
            sizes = struct.pack(f">{array.ndim}i", *array.shape)
            parts = [(6, struct.pack(">II", 6, 0)), (5, sizes)]
            parts += [(1, name.encode()), (9, array.astype(">f8").tobytes("F"))]
            body = b"".join(
                struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)
                for kind, data in parts
            )
            head += struct.pack(">II", 14, len(body)) + body
    (tmp_path / "b.mat").write_bytes(head)
    is_read(tmp_path / "b.mat", {n: a.astype(np.float64) for n, a in parameters.items()})


def test_names_in_mat_files_that_grow(tmp_path):
    """Each of a thousand cells is called after its array; and so is each field."""

    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(kind, name, rest, sides=(1, 1)):
        head = element(6, struct.pack("<II", kind, 0)) + element(
            5, np.array(sides, "<i4").tobytes()
        )
        return element(14, head + element(1, name) + rest)

    number = matrix(6, b"", element(9, bytes(8)))
    fields = element(5, struct.pack("<i", 1)) + element(1, bytes(8 << 20))
    for made, words in (
        (matrix(1, b"x" * 300_000, number * 900, (900, 1)), "of 300,000 characters, and names of"),
        (matrix(2, b"x", fields), "a.mat"),
        (matrix(6, b"x", element(9, bytes(8)), [1] * 2_000_000), "has more than eight axes"),
    ):
        packed = element(15, zlib.compress(made))
        (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + packed)

        def refused(words=words):
            is_refused(tmp_path / "a.mat", words)

        assert most_memory(refused) < 60 << 20


def test_newer_mat_files_are_told_apart(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file" + b" " * 105 + b"\x00\x02IM" + bytes(9))
    is_refused(
        tmp_path / "a.mat", "not a MATLAB 5 .mat file (it is of version 7.3: save it with -v7)"
    )


def test_mat_files_whose_elements_are_not_whole(tmp_path):
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    for packed in b"", b"\x0e", struct.pack("<II", 14, 8):
        data = zlib.compress(packed)
        (tmp_path / "a.mat").write_bytes(header + struct.pack("<II", 15, len(data)) + data)
        is_refused(tmp_path / "a.mat", "not a MATLAB 5 .mat file (an element is not whole)")


def test_mat_files_as_matlab_writes_them(tmp_path, parameters):
    """Numbers without fractions in fewer bytes, names in four bytes, other variables between."""
    write_network(tmp_path / "a.mat", parameters, {})
    content = (tmp_path / "a.mat").read_bytes()

    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(name, shape, kind, data):
        short = struct.pack("<HH", 1, len(name)) + name + bytes(4 - len(name))
        head = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<2i", *shape)) + short
        return element(14, head + element(kind, data))

    more = matrix(b"x", (2, 3), 2, bytes(range(6)))
    packed = zlib.compress(matrix(b"y", (1, 1), 9, struct.pack("<d", 0.5)))
    packed = struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "a.mat").write_bytes(content[:128] + packed + more + content[128:])
    assert scipy.io.loadmat(tmp_path / "a.mat")["x"].tolist() == [[0, 2, 4], [1, 3, 5]]
    read, _ = read_network(tmp_path / "a.mat")
    assert all(np.array_equal(read[name], parameters[name]) for name in parameters)


# ------------------------------------------------------------------------------- damage, at random


BY_H5PY = ("saved-h5", "new-h5", "keras")  # each of which takes a new process


@pytest.mark.parametrize("kind", WEIGHTS)
def test_truncated_files(tmp_path, parameters, kind):
    path = whole_file(tmp_path, kind, parameters)
    content = path.read_bytes()
    steps = 10 if kind in BY_H5PY else 150
    for length in {*range(0, len(content), max(1, len(content) // steps)), len(content) - 1}:
        path.write_bytes(content[:length])
        try:
            read_network(path)
        except ValueError as error:
            assert path.name in str(error) and str(error).isprintable()
        else:  # these end with what nobody needs, or with the card
            assert length > 0.9 * len(content) and kind[-3:] in ("-h5", "mat", "nnx")


@pytest.mark.parametrize("kind", WEIGHTS)
def test_mutated_files(tmp_path, monkeypatch, parameters, kind):
    """Files of each kind with some bytes changed, lost or doubled."""
    monkeypatch.setattr("pysrcnn.formats.hdf5.SECONDS", 5)  # HDF5 hangs at one of them
    path = whole_file(tmp_path, kind, parameters)
    content, rng, refused = path.read_bytes(), random.Random(kind), 0
    times = 15 if kind in BY_H5PY else 300
    for _ in range(times):
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            place, length = rng.randrange(len(changed)), rng.randrange(1, 9)
            end = min(place + length, len(changed))
            changed[place:end] = rng.choice(
                (
                    bytes([changed[place] ^ 1 << rng.randrange(8)]) + changed[place + 1 : end],
                    rng.randbytes(end - place),
                    b"\xff" * (end - place),
                    b"",
                    changed[place:end] * 2,
                )
            )
        path.write_bytes(changed)
        began = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile's: a name that occurs twice
                read_network(path)
        except ValueError as error:
            refused += 1
            assert path.name in str(error) and str(error).isprintable()
        assert time.process_time() - began < 5
    assert refused > times / 3


# ------------------------------------------------------------------------------------- the command


@pytest.fixture
def here(tmp_path, monkeypatch, parameters):
    monkeypatch.chdir(tmp_path)
    Path("a.pth").write_bytes(zipped(*state(named(parameters))))
    return tmp_path


def test_convert(here, capsys, parameters):
    assert main(["convert", "a.pth", "b.safetensors", "-s", "3"]) == 0
    assert capsys.readouterr().out == (
        "b.safetensors: <SRCNN 5-1-3, filters=(4, 5), c=1, float32, scale=3>\n"
    )
    for out in ("b.npz", "c.safetensors", "d.mat"):  # the scale is in the card, but for .mat
        assert main(["convert", "b.safetensors", out]) == 0
        assert load(out).scale == (None if out == "d.mat" else 3)
    assert load("b.npz").card["network"] == "5-1-3"
    assert main(["convert", "d.mat", "e.npz"]) == 0
    network = load("e.npz", 4)
    assert network.scale == 4 and load("e.npz").scale is None
    for name, array in parameters.items():
        assert np.array_equal(network.parameters[name], array)


def test_convert_networks_of_other_values(here, capsys, parameters):
    on_bytes = {n: a * 255 if n[0] == "B" else a for n, a in parameters.items()}
    on_bytes["B1"] = on_bytes["B1"] + 255  # as large as white
    on_bytes["B3"] = on_bytes["B3"] - 255 * on_bytes["W3"].sum(axis=(1, 2, 3))
    Path("b.safetensors").write_bytes(safe(named(on_bytes)))
    assert main(["convert", "b.safetensors", "b.npz", "-s", "3"]) == 2
    assert "pysrcnn convert b.safetensors mine.npz --range 255; or" in capsys.readouterr().err
    assert main(["convert", "b.safetensors", "b.npz", "-s", "3", "--range", "255"]) == 0
    assert main(["convert", "a.pth", "c.npz", "-s", "3", "--range=-1..1"]) == 2
    assert "it makes" in capsys.readouterr().err
    x = np.random.default_rng(0).random((1, 1, 9, 9), np.float32)
    there = SRCNN.from_parameters(on_bytes).forward(255 * x) / 255
    assert np.abs(load("b.npz").forward(x) - there).max() < 1e-5
    for bad in ("x", "0", "-1", "1..0", "nan", "0..inf"):
        with pytest.raises(SystemExit):
            main(["convert", "a.pth", "d.npz", f"--range={bad}"])
        assert (
            f"{bad} is neither a number above 0 nor a range such as -1..1"
            in capsys.readouterr().err
        )


def test_convert_says_what_it_leaves_out(here, capsys, caplog, parameters):
    config = config_of("UpSampling2D", convolution(), convolution(), convolution("linear"))
    keras_file("a.h5", parameters, "saved", config)
    assert main(["convert", "a.h5", "b.npz"]) == 0
    assert [record.getMessage() for record in caplog.records] == [
        f"a.h5: UpSampling2D, an enlargement before the first layer, {LEFT_OUT} differ a little"
    ]
    caplog.clear()
    assert load("b.npz").scale == 2 and load("b.npz").card["notes"] and not caplog.records


def test_convert_shipped_weights_to_onnx_and_back(here, capsys):
    pytest.importorskip("onnx")
    assert main(["convert", "9-1-5", "a.onnx", "-s", "3"]) == 0
    assert main(["convert", "a.onnx", "a.npz"]) == 0
    there, back = load("9-1-5", 3), load("a.npz")
    assert back.scale == 3 and back.card["scores"] == there.card["scores"]
    for name, array in there.parameters.items():
        assert np.array_equal(back.parameters[name], array)


def test_onnx_files_of_the_larger_networks_are_read_back(tmp_path):
    """Those of 16 blocks of 64 maps: 5 MB, most of which are values of tensors."""
    pytest.importorskip("onnx")
    network = EDSR(3, 16, 64)
    network.card["converted_from"] = "edsr"
    network.save(tmp_path / "a.onnx")
    again = read_weights(tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").stat().st_size > 4 << 20
    assert again.card["converted_from"] == "edsr"
    assert np.array_equal(again.tensors["W16_2"], network.parameters["W16_2"])
    content = bytearray((tmp_path / "a.onnx").read_bytes())
    content[-8:] = b"\x3b" * 8  # a kind of field that there is not
    (tmp_path / "a.onnx").write_bytes(content)
    is_refused(tmp_path / "a.onnx", "is damaged or not an .onnx file")


def test_onnx_files_that_could_not_be_read_are_not_written(tmp_path):
    pytest.importorskip("onnx")
    words = "are read with at most 4,000 and 16,777,216: write the network as .npz"
    with pytest.raises(ValueError, match=words):
        DRCN(800, 1).save(tmp_path / "a.onnx")
    values = {"W": np.zeros(SMALL // 4 + 1, np.float32)}
    with pytest.raises(ValueError, match=words):
        write_weights(tmp_path / "a.onnx", values, {}, graph=(), ends=())
    assert not any(tmp_path.iterdir())


def test_onnx_files_of_nothing_but_operators_are_refused_soon(tmp_path):
    """Two bytes each, for which protobuf would take a hundred."""
    pytest.importorskip("onnx")
    nodes = b"\x0a\0" * (8 << 20)
    (tmp_path / "a.onnx").write_bytes(b"\x08\x08\x3a\x80\x80\x80\x08" + nodes)
    began = time.process_time()
    is_refused(tmp_path / "a.onnx", "besides raw_data of tensors 4,194,304 are read at most")
    assert time.process_time() - began < 10


def test_convert_takes_the_only_scale_there_is(here, capsys):
    assert main(["convert", "sc", "a.npz"]) == 0
    assert load("a.npz").scale == 3 and load("sc").scale == 3


@pytest.mark.parametrize(
    "command, words",
    [
        ("none.pth a.npz", "no file none.pth: give a file of weights (.npz or .mat), or one of"),
        ("none a.npz", "none is neither a file nor the name of shipped weights"),
        ("9-1-5 a.npz", "9-1-5 weights differ by scale: say which, 2, 3 or 4"),
        ("a.pth a.pt", "a.pt does not end in .npz, .mat, .safetensors or .onnx: weights are"),
        ("a.pth none/a.npz", "the folder none does not exist: create it first"),
        (
            "sc a.onnx",
            "a.onnx would hold layers, and dictionaries of sparse coding are none: write",
        ),
        ("b.npz c.npz -s 2", "b.npz was trained for scale 3, not 2"),
        (
            "bad.pth a.npz",
            "bad.pth holds os.system, not a dict of tensors by name: only",
        ),
        ("a.txt a.npz", "a.txt is neither .npz nor .mat, nor .pt, .pth, .ckpt, .safetensors,"),
    ],
)
def test_convert_of_bad_input_is_one_line(here, capsys, parameters, command, words):
    write_network("b.npz", parameters, {"scale": 3})
    Path("bad.pth").write_bytes(zipped(HOSTILE["GLOBAL and REDUCE"][0]))
    Path("a.txt").write_bytes(b"text")
    before = sorted(os.listdir())
    assert main(["convert", *command.split()]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.startswith(f"pysrcnn: {words}")
    assert sorted(os.listdir()) == before


def test_without_the_package_onnx(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    Path("a.onnx").write_bytes(b"x")
    for command in (["a.pth", "b.onnx"], ["a.onnx", "b.npz"]):
        assert main(["convert", *command]) == 1
        error = capsys.readouterr().err
        assert error == (
            'pysrcnn: ONNX files need the package onnx: pip install ".[convert]" in the clone of '
            "pysrcnn\n"
        )
    assert sorted(os.listdir()) == ["a.onnx", "a.pth"]


def test_reading_imports_nothing_of_the_others(here):
    """Not even where they are installed."""
    code = (
        "import sys; from pysrcnn.formats import read_weights; read_weights('a.pth');"
        "print({'torch', 'onnx', 'h5py', 'scipy.io', 'pickle'} & set(sys.modules) - {'pickle'})"
    )
    assert python(code) == "set()\n"
