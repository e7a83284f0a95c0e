"""Recognising the format of a file of weights: by its bytes, and by its name if need be.

Weights are published as pytorch_model.bin, srcnn_x3.pth.tar or without a suffix. The error for a
file that is not read says what it is, and how to get one that is.
"""

import pickletools
import re
import zipfile
from pathlib import Path

from .tensors import Refused, open_zip

__all__ = ["SUFFIXES", "check_folder", "is_checkpoint", "kind_of"]

# Formats by suffix, for files whose bytes do not tell.
SUFFIXES = {
    ".npz": "npz",
    ".mat": "mat",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".ckpt": "pytorch",
    ".safetensors": "safetensors",
    ".h5": "keras",
    ".hdf5": "keras",
    ".keras": "keras",
    ".onnx": "onnx",
}

_FROM_TENSORFLOW = (
    "load it in TensorFlow and save the model as .keras, or convert it: python -m tf2onnx.convert"
)
_CHECKPOINT = f"is a checkpoint of TensorFlow, which is not read: {_FROM_TENSORFLOW} --checkpoint"
_SAVED_MODEL = f"is a SavedModel of TensorFlow, which is not read: {_FROM_TENSORFLOW} --saved-model"
_ARRAYS = "save its arrays by numpy.savez, as W1 (O, C, f, f), B1, W2, B2, ..."
_PACKED = "is packed{}: unpack it and give the file of weights that is in it"
_OTHER = "is {}, which is not read: "

# (place, bytes, what it is)
_BYTES = (
    (0, b"version https://git-lfs", "is a pointer of Git LFS, not the file: get that by git lfs "
     "pull, or download it again"),
    (0, b"\x93NUMPY", f"is a single array of NumPy: {_ARRAYS}"),
    (0, b"model_checkpoint_path", _CHECKPOINT),
    (-8, b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", _CHECKPOINT),  # the table that it ends with
    (4, b"TFL3", _OTHER.format("a model of TensorFlow Lite")
     + "convert it, python -m tf2onnx.convert --tflite"),
    (0, b"GGUF", _OTHER.format("a GGUF file") + _ARRAYS),
    (0, b"\x1f\x8b", _PACKED.format(" by gzip")),
    (0, b"BZh", _PACKED.format(" by bzip2")),
    (0, b"\xfd7zXZ", _PACKED.format(" by xz")),
    (0, b"7z\xbc\xaf\x27\x1c", _PACKED.format(" by 7-Zip")),
    (0, b"Rar!", _PACKED.format(" by RAR")),
    (257, b"ustar", _PACKED.format(", a tar archive")),
)  # fmt: skip
_NAMES = (
    (r"\.(data-\d+-of-\d+|index|meta)$", _CHECKPOINT),
    (r"saved_model\.pb$", _SAVED_MODEL),
    (r"\.pb$", _OTHER.format("a frozen graph of TensorFlow")
     + "convert it, python -m tf2onnx.convert --graphdef"),
    (r"\.tflite$", "is damaged or not a model of TensorFlow Lite, which is not read in any case"),
    (r"\.(mlmodel|mlpackage)$", _OTHER.format("a model of Core ML")
     + "export the original as .onnx or .safetensors"),
    (r"\.caffemodel$", _OTHER.format("a model of Caffe") + _ARRAYS),
    (r"\.t7$", _OTHER.format("a file of Lua Torch") + _ARRAYS),
    (r"\.params$", _OTHER.format("a file of MXNet") + _ARRAYS),
    (r"\.(pdparams|pdmodel|pdiparams)$", _OTHER.format("a file of PaddlePaddle") + _ARRAYS),
    (r"\.(msgpack|flax)$", _OTHER.format("a file of Flax") + _ARRAYS),
    (r"\.(pkl|pickle|joblib|npy)$", _OTHER.format("a pickle or a file of joblib") + _ARRAYS),
    (r"\.bin$", "is of no known kind, perhaps bare numbers that another file describes: give "
     "weights as .npz, .safetensors or .onnx"),
)  # fmt: skip

# A version from 3 to 32, then another field of the message: ONNX, but possibly something else.
_LIKE_ONNX = re.compile(rb"\x08[\x03-\x20][\x12\x1a\x22\x28\x32\x3a\x42]")


def kind_of(content: bytes, path: Path) -> str | None:
    """Return the format, a value of `SUFFIXES`; None if neither bytes nor name tell.

    Raises
    ------
    Refused
        If it is of a kind that is not read.
    """
    head = content[:512]
    kind = _by_bytes(content, path)
    if kind:
        return kind
    for place, mark, sentence in _BYTES:
        start = place % max(len(content), 1)
        if content[start : start + len(mark)] == mark:
            raise Refused(f"{path} {sentence}")
    if re.match(rb"\s*<(!doctype|html)", head, re.IGNORECASE):
        raise Refused(f"{path} is a web page, not a file of weights: download the file itself")
    if kind := SUFFIXES.get(path.suffix.lower()):
        return kind
    if content.startswith(b"PK"):
        raise Refused(
            f"{path} is a zip archive that is damaged or holds no weights: download it "
            f"again, or unpack it"
        )
    if _LIKE_ONNX.match(head) and path.suffix.lower() not in (".pb", ".mlmodel"):
        return "onnx"
    for pattern, sentence in _NAMES:
        if re.search(pattern, path.name.lower()):
            raise Refused(f"{path} {sentence}")
    return None


def _by_bytes(content: bytes, path: Path) -> str | None:
    """Return the format if the bytes tell that it is one of those that are read, else None."""
    if content.startswith(b"PK"):
        try:
            names = open_zip(content, path).namelist()
        except (zipfile.BadZipFile, NotImplementedError, UnicodeError):
            return None
        if any(name.split("/")[-1] == "data.pkl" for name in names):
            return "pytorch"
        if {"config.json", "model.weights.h5"} & set(names):
            return "keras"
        return "npz" if any(name.endswith(".npy") for name in names) else None
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if content.startswith(b"MATLAB") or content[124:128] in (b"\x00\x01IM", b"\x01\x00MI"):
        return "mat"
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= len(content) - 8:
        return "safetensors"
    return "pytorch" if _is_pickle(content) else None


def _is_pickle(content: bytes) -> bool:
    """Return whether it begins like a pickle of protocol 2 or later."""
    if content[:1] != b"\x80" or content[1:2] not in (b"\2", b"\3", b"\4", b"\5"):
        return False
    try:
        return len([*zip(range(2), pickletools.genops(content[:4096]), strict=False)]) == 2
    except ValueError:
        return False


def check_folder(path: Path) -> None:
    """Raise if this folder, or the files whose names begin so, are a TensorFlow model."""
    if (path / "saved_model.pb").is_file():
        raise Refused(f"{path} {_SAVED_MODEL}")
    if (path / "checkpoint").is_file() or is_checkpoint(path):
        raise Refused(f"{path} {_CHECKPOINT}")


def is_checkpoint(path: Path) -> bool:
    """Return whether a path names no file but the several files of a TensorFlow checkpoint."""
    return not path.exists() and Path(f"{path}.index").is_file()
