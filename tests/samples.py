"""Files that the tests read: pictures of every kind, made by Pillow or byte by byte, and weights.

Weights of other programs are put together byte by byte, so that nothing but NumPy is needed. The
same call gives the same bytes on any day: no file holds the time at which it was made.
"""

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from pysrcnn import SRCNN
from pysrcnn.formats import read_weights
from pysrcnn.networks import recognise, saving

Image = pytest.importorskip("PIL.Image")
ImageCms = pytest.importorskip("PIL.ImageCms")

# ---------------------------------------------------------------------------------------- pictures

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (7, 9), dtype=np.uint8)
RGB = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (7, 9, 4), dtype=np.uint8)
LA = RGBA[:, :, [0, 3]]
FRAMES = [RNG.integers(0, 4, (7, 9, 3), dtype=np.uint8) * 80 for _ in range(4)]
DEEP = RNG.integers(0, 65536, (7, 9, 4), dtype=np.uint16)
TIMES = [100, 250, 40, 1000]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SRGB = SRGB[:24] + bytes(12) + SRGB[36:]  # the date
MAKER, TAKEN, WIDE, HIGH = 0x010F, 0x9003, 0xA002, 0xA003


# The passes of an interlaced PNG: first row, first column, and the steps down and to the right.
ADAM7 = [
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
    (1, 0, 2, 1),
]  # fmt: skip


def exif_of(orientation=1, size=(9, 7)):
    exif = Image.Exif()
    exif[0x0112], exif[MAKER] = orientation, "Maker"
    exif.get_ifd(0x8769).update({TAKEN: "2020:01:02 03:04:05", WIDE: size[0], HIGH: size[1]})
    return exif


def encoded(picture, form, mode=None, **options):
    """The bytes of a file with these pixels."""
    if isinstance(picture, np.ndarray):
        small = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 2
        picture = Image.fromarray(picture) if not small else la(picture)
    if mode:
        picture = picture.convert(mode)
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def la(array):
    return Image.frombytes("LA", array.shape[1::-1], np.ascontiguousarray(array).tobytes())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, bits, colour, *more, interlaced=False):
    """A PNG file of big-endian samples (H, W * channels), which Pillow would not write so."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    pixels = samples.reshape(len(samples), -1, channels).astype(f">u{bits // 8}")
    rows = b""
    for y, x, down, right in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = pixels[y::down, x::right]
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def animation(form, frames=FRAMES, loop=0, **options):
    pictures = [Image.fromarray(frame) for frame in frames]
    more = {"lossless": True} if form == "WEBP" else {}
    more |= {} if loop is None else {"loop": loop}
    more |= {"save_all": True, "append_images": pictures[1:], "duration": TIMES, **options}
    return encoded(pictures[0], form, **more)


# --------------------------------------------------------------------------------- weights

NAMES = ("conv1", "conv2", "conv3")


def parameters_of(sizes, filters, c, seed=0):
    """A known network, no two values alike, all exact in float32, that makes pictures of pictures.

    Its first filters hand the picture on, but for a few hundredths that all weights differ by.
    """
    rng = np.random.default_rng(seed)
    channels = (c, *filters, c)
    parameters = {}
    for k, f in enumerate(sizes, 1):
        inputs, outputs = channels[k - 1], channels[k]
        w = rng.normal(0, 0.05 / (inputs * f), (outputs, inputs, f, f))
        for channel in range(min(c, inputs, outputs)):
            w[channel, channel, f // 2, f // 2] += 1
        parameters[f"W{k}"] = w.astype(np.float32)
        parameters[f"B{k}"] = rng.normal(0, 0.01, outputs).astype(np.float32)
    return parameters


def espcn_of(s, filters=(4, 5), c=1, seed=0):
    """Known layers of an ESPCN, 5-3-...-3, which make pictures of pictures with tanh as with ReLU.

    All values between the layers are an eighth, where tanh changes nearly nothing.
    """
    sizes, eighth = (5, *(3,) * len(filters)), np.float32(0.125)
    parameters, last = parameters_of(sizes, filters, c, seed), len(sizes)
    rng = np.random.default_rng(seed)
    parameters["W1"] *= eighth
    for k in range(1, last):
        parameters[f"B{k}"] *= eighth
    # All sub-pixels of a channel are nearly the same.
    w = np.repeat(parameters[f"W{last}"], s * s, axis=0) / eighth
    w += rng.normal(0, 0.1 / w[0].size, w.shape)
    parameters[f"W{last}"] = w.astype(np.float32)
    parameters[f"B{last}"] = rng.normal(0, 0.01, c * s * s).astype(np.float32)
    return parameters


def named(parameters, names=NAMES, reverse=False):
    """{"conv1.weight": ..., "conv1.bias": ..., ...}"""
    tensors = {}
    for k, name in enumerate(names, 1):
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = (
            parameters[f"{kind}{k}"] for kind in "WB"
        )
    return dict(reversed(tensors.items())) if reverse else tensors


def read_network(path):
    """(parameters, card) of the network in a file, of the numbers that are in it."""
    network = recognise.network_of(read_weights(path), Path(path))
    return network.parameters, network.card


def write_network(path, parameters, card):
    """Write an SRCNN with these parameters and a card that says nothing of itself."""
    saving.save(SRCNN.from_parameters(parameters), path, card)


# PyTorch


def text(x):
    return b"X" + struct.pack("<I", len(x.encode())) + x.encode()


def number(x):
    return b"J" + struct.pack("<i", x)


def together(*parts):
    return b"(" + b"".join(parts) + b"t"


def function(module, name):
    return f"c{module}\n{name}\n".encode()


def call(module, name, *arguments):
    return function(module, name) + together(*arguments) + b"R"


def tensor(key, count, shape, strides, offset=0, kind="FloatStorage", legacy=False):
    parts = [text("storage"), function("torch", kind), text(str(key)), text("cpu"), number(count)]
    storage = together(*parts, *([b"N"] if legacy else [])) + b"Q"
    sizes, steps = (together(*map(number, x)) for x in (shape, strides))
    hooks = call("collections", "OrderedDict")
    return call(
        "torch._utils", "_rebuild_tensor_v2", storage, number(offset), sizes, steps, b"\x89", hooks
    )


def dictionary(**values):
    """OrderedDict([...]) with an attribute, as `state_dict()` is pickled."""
    items = b"".join(text(name) + value for name, value in values.items())
    metadata = b"}(" + text("_metadata") + call("collections", "OrderedDict") + b"u"
    return call("collections", "OrderedDict") + b"(" + items + b"u" + metadata + b"b"


def strides_of(array):
    return [n // array.itemsize for n in array.strides]


def state(tensors, legacy=False, kind="FloatStorage"):
    """(pickle without head and end, storages)"""
    items = {
        name: tensor(k, array.size, array.shape, strides_of(array), 0, kind, legacy)
        for k, (name, array) in enumerate(tensors.items())
    }
    return dictionary(**items), [array.ravel("K").tobytes() for array in tensors.values()]


def zipped(content, storages=(), folder="archive", compression=zipfile.ZIP_STORED, order=None):
    """The bytes of a .pth as PyTorch writes them since 1.6."""
    entries = {"data.pkl": b"\x80\x02" + content + b"."} | ({"byteorder": order} if order else {})
    entries |= {f"data/{k}": storage for k, storage in enumerate(storages)} | {"version": "3\n"}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}"), data, compression)
    return file.getvalue()


def one_after_another(content, storages=(), order="<"):
    """The bytes of a .pth as older versions write them."""
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    system = pickle.dumps({"protocol_version": 1001, "little_endian": order == "<"}, 2)
    keys = pickle.dumps([str(k) for k in range(len(storages))], 2)
    head = magic + pickle.dumps(1001, 2) + system + b"\x80\x02" + content + b"." + keys
    return head + b"".join(struct.pack(f"{order}q", len(s) // 4) + s for s in storages)


# safetensors


def safe(tensors, dtype="F32", **changes):
    """The bytes of a .safetensors, by the definition of the format."""
    header, data = {}, b""
    for name, array in tensors.items():
        end = len(data) + array.nbytes
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(data), end]}
        data += array.tobytes()
    for name, change in changes.items():
        header[name.replace("_", ".")] |= change
    return headed(json.dumps(header).encode(), data)


def headed(header, data=b""):
    return struct.pack("<Q", len(header)) + header + data


# Keras

CONVOLUTION = {"strides": [1, 1], "dilation_rate": [1, 1], "groups": 1, "padding": "same"}


def keras_file(path, parameters, style, config=None, names=("conv2d", "conv2d_1", "conv2d_2")):
    """A file as Keras 2 ("saved", "weights") or Keras 3 ("new") writes it by h5py."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if style == "saved" else file
        if config:
            file.attrs["model_config"] = json.dumps(config)
        if style == "saved":
            file["optimizer_weights/adam/iterations:0"] = np.int64(3)
        if style != "new":
            root.attrs["layer_names"] = np.array([name.encode() for name in names])
            root.attrs["backend"] = b"tensorflow"
        for k, name in enumerate(names, 1):
            w, b = parameters[f"W{k}"].transpose(2, 3, 1, 0), parameters[f"B{k}"]
            places = [f"{name}/{name}/kernel:0", f"{name}/{name}/bias:0"]
            if style == "new":
                places = [f"layers/{name}/vars/0", f"layers/{name}/vars/1"]
            else:
                inside = [f"{name}/{kind}:0".encode() for kind in ("kernel", "bias")]
                root.create_group(name).attrs["weight_names"] = inside
            root[places[0]], root[places[1]] = w, b
        if style == "new":
            file.create_group("vars")
            file.create_group("layers/input_layer/vars")
    return path


def config_of(*layers, model="Sequential"):
    layers = [layer if isinstance(layer, tuple) else (layer, {}) for layer in layers]
    layers = [{"class_name": kind, "config": options} for kind, options in layers]
    return {"class_name": model, "config": {"name": "srcnn", "layers": layers}}


def convolution(activation="relu", **options):
    return "Conv2D", {**CONVOLUTION, "activation": activation, **options}


GOOD = [
    config_of("InputLayer", convolution(), convolution(), convolution("linear")),
    config_of(convolution(), convolution(), convolution("relu"), model="Functional"),
    config_of(
        *(convolution("linear"), ("Activation", {"activation": "relu"})),
        *(convolution("linear"), ("ReLU", {"max_value": None}), convolution("linear")),
    ),
    {"class_name": "Sequential", "config": [{"class_name": n, "config": o} for n, o in
     [convolution(), convolution(), convolution("linear")]]},
]  # fmt: skip


# ONNX


def onnx_bytes(*nodes, tensors=None, outputs=("y",), change=None):
    """A model of these nodes: (operator, inputs, outputs, attributes)."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    nodes = [helper.make_node(kind, i, o, **options) for kind, i, o, options in nodes]
    shape = [None] * 4
    ends = [
        helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n in ("x", *outputs)
    ]
    constants = [onnx.numpy_helper.from_array(a, n) for n, a in (tensors or {}).items()]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], constants))
    if change:
        change(model, onnx)
    return model.SerializeToString()


# all

WEIGHTS = [
    "npz", "mat", "packed-mat", "safetensors", "onnx", "pth", "legacy-pth", "saved-h5", "new-h5",
    "keras",
]  # fmt: skip


def write_or_skip(path, parameters, card=None):
    if path.suffix == ".onnx":
        pytest.importorskip("onnx")
    write_network(path, parameters, card or {})
    return path


def whole_file(folder, kind, parameters):
    """A good file of each kind."""
    suffix = kind.split("-")[-1]
    path = folder / f"whole.{suffix}"
    if kind == "pth":
        path.write_bytes(zipped(*state(named(parameters))))
    elif kind == "legacy-pth":
        path.write_bytes(one_after_another(*state(named(parameters), legacy=True)))
    elif kind == "packed-mat":
        write_network(path, parameters, {})
        arrays = {n: a for n, a in scipy.io.loadmat(path).items() if n[0] != "_"}
        scipy.io.savemat(path, arrays, do_compression=True)
    elif kind == "keras":
        keras_file(path, parameters, "new")
        parts = {"metadata.json": b"{}", "config.json": json.dumps(GOOD[0]).encode()}
        parts["model.weights.h5"] = path.read_bytes()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in parts.items():
                archive.writestr(zipfile.ZipInfo(name), data)
    elif kind.endswith("h5"):
        keras_file(path, parameters, kind.split("-")[0], GOOD[0])
    else:
        write_or_skip(path, parameters, {"scale": 3})
    if kind.endswith("mat"):  # which begin with a line that has the time in it
        path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(116) + path.read_bytes()[116:])
    return path
