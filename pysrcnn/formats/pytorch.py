"""PyTorch's .pt, .pth and .ckpt, read without PyTorch and without executing the pickles in them.

A pickle is a program for a small stack machine, which may call any function. `_interpret` runs
the few operations that a dict of tensors is made of, on a stack of plain Python values; a name of a
function is looked up in the short lists below, and everything else ends in a sentence. Tensors are
only described there, by storage, offset, shape and strides. Bytes are looked at later, and only
those of the layers. In the place of other objects that checkpoints hold, of a few known kinds,
stands a placeholder, which has a name and nothing else.

Since PyTorch 1.6 a file is a zip archive: NAME/data.pkl is the pickle, NAME/data/KEY the bytes of
the storages. Older ones are five pickles one after the other (a magic number, a version, the byte
order, the object, the keys of the storages), then the storages, each behind its length.
"""

import io
import pickletools
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .layers import Arrays, Refused, check_room, open_zip, shown, stack
from .safe_tensors import bfloat16

__all__ = ["read"]

_MAGIC = 0x1950A86A20F9469CFC6C
_MOST_OPERATIONS = 1_000_000  # in a pickle; a state dict of three layers takes a hundred
_STORAGES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "u2",  # NumPy has no such numbers
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "u1",
}
_FUNCTIONS = {
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
}
# What else checkpoints hold; what a pickle would make by these names is a placeholder here.
_BESIDE = {
    *(f"{module}.multiarray.{name}" for module in ("numpy._core", "numpy.core")
      for name in ("scalar", "_reconstruct")),
    *(f"{module}.{name}" for module in ("builtins", "__builtin__")
      for name in ("set", "frozenset", "list", "dict", "int", "long", "float", "bytes")),
    *(f"pathlib.{name}Path" for name in ("Posix", "Windows", "PurePosix", "PureWindows")),
    *(f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64", "device")),
    "numpy.ndarray", "numpy.dtype", "_codecs.encode",  # bytes
    "argparse.Namespace", "collections.defaultdict", "collections.Counter",
}  # fmt: skip
_ADVICE = "only tensors are read: save them alone, torch.save(model.state_dict(), ...)"
_PUSHED = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
# Where checkpoints keep the network; with several there, the first of these.
_WRAPPERS = (
    "params_ema", "params", "state_dict", "model_state_dict", "model", "net", "network",
    "generator", "srcnn",
)  # fmt: skip


@dataclass(frozen=True)
class _Name:
    """A function or class by its name, which is all that we have of it."""

    name: str


@dataclass(frozen=True)
class _Placeholder:
    """An object of a kind in `_BESIDE`, without anything that is in it."""

    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    kind: str  # a name in _STORAGES
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple  # in elements, as is the offset


def read(content: bytes, path: Path) -> tuple[Arrays, dict]:
    """The layers of a state dict, or of a checkpoint that holds one; the card is empty."""
    parse = _read_zip if content[:2] == b"PK" else _read_legacy
    found, storages, order = parse(content, path)
    network = _state_dict(found, path)
    for name, x in network.items():  # a weight or bias may be among these
        if isinstance(x, (_Placeholder, _Name)):
            raise Refused(f"{path} holds {x.name} among its tensors, {shown(name)}, and {_ADVICE}")
    tensors = {name: t for name, t in network.items() if isinstance(t, _Tensor)}
    if not all(isinstance(name, str) for name in tensors):
        raise Refused(f"{path} holds tensors without names: {_ADVICE}")
    check_room((t.shape for t in tensors.values()), path)
    contents = {t.storage.key: storages(t.storage.key) for t in tensors.values()}
    arrays = {n: _array(t, contents[t.storage.key], order, path) for n, t in tensors.items()}
    return stack(arrays, path, ordered=True), {}


def _read_zip(content: bytes, path: Path) -> tuple:
    archive = open_zip(content, path)
    entries = archive.infolist()
    pickles = [e.filename for e in entries if e.filename.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise Refused(f"{path} is a zip archive without a data.pkl, so not a PyTorch file")
    folder = pickles[0].split("/")[0]
    names = {e.filename for e in entries}
    if f"{folder}/constants.pkl" in names:
        raise Refused(f"{path} is a TorchScript program, and {_ADVICE}")
    # PyTorch packs nothing, so what is packed may be meant to burst.
    packed = any(e.compress_type != zipfile.ZIP_STORED for e in entries)
    if packed or sum(e.file_size for e in entries) > len(content):
        raise Refused(f"{path} is packed inside, which PyTorch's files are not: save it again")
    swapped = f"{folder}/byteorder" in names and archive.read(f"{folder}/byteorder") == b"big"
    found = _interpret(io.BytesIO(archive.read(pickles[0])), {}, path)
    return found, lambda key: archive.read(f"{folder}/data/{key}"), ">" if swapped else "<"


def _read_legacy(content: bytes, path: Path) -> tuple:
    file, kinds = io.BytesIO(content), {}
    magic = _interpret(file, {}, path)
    if isinstance(magic, (dict, list, tuple)):  # a pickle, though not of PyTorch
        raise Refused(f"{path} is a pickle without any tensors of PyTorch: {_ADVICE}")
    version, system = (_interpret(file, {}, path) for _ in range(2))
    if magic != _MAGIC or version != 1001:
        raise ValueError("another kind of file")
    order = "<" if system["little_endian"] else ">"
    found = _interpret(file, kinds, path)
    places = {}
    for key in _interpret(file, {}, path):
        count = int.from_bytes(file.read(8), "little" if order == "<" else "big")
        begin = file.tell()
        end = begin + count * np.dtype(_STORAGES[kinds[key].kind]).itemsize
        if end > len(content) or count != kinds[key].count:
            raise Refused(f"{path} is damaged: the storage of a tensor is not whole")
        places[key] = begin, end
        file.seek(end)
    return found, lambda key: content[slice(*places[key])], order


def _interpret(file: BinaryIO, storages: dict[str, _Storage], path: Path) -> Any:
    """The value of the pickle at `file`; the storages it names are put into `storages`.

    `pickletools.genops` takes a pickle apart into its operations and does none of them. Values
    are None, bool, int, float, str, bytes, tuple, list, dict, and the helpers of this file;
    they are never compared, printed or walked through, since they may be nested without end.
    """
    values, marks, memo = [], [], {}

    def since_mark() -> list:
        start = marks.pop()
        taken = values[start:]
        del values[start:]
        return taken

    def put(pairs: list) -> None:
        if isinstance(values[-1], _Placeholder):
            return
        if not isinstance(values[-1], dict) or len(pairs) % 2:
            raise ValueError("no dict to put something into")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # Numbers beyond this can be chosen so that a dict becomes slow.
            if not isinstance(key, str) and not (isinstance(key, int) and abs(key) < 1 << 60):
                raise Refused(f"{path} holds a dict whose keys are not names: {_ADVICE}")
            values[-1][key] = value

    def append(items: list) -> None:
        if isinstance(values[-1], _Placeholder):
            return
        if type(values[-1]) is not list:
            raise ValueError("no list to append to")
        values[-1].extend(items)

    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if count > _MOST_OPERATIONS:
            raise Refused(f"{path} holds far more than the weights of an SRCNN: {_ADVICE}")
        match operation.name:
            case "PROTO" | "FRAME":
                pass
            case name if name in _PUSHED:
                values.append(argument)
            case name if name in _CONSTANTS:
                values.append(_CONSTANTS[name])
            case "EMPTY_DICT":
                values.append({})
            case "EMPTY_LIST":
                values.append([])
            case "EMPTY_SET":
                values.append(_Placeholder("set"))
            case "FROZENSET":
                since_mark()
                values.append(_Placeholder("frozenset"))
            case "MARK":
                marks.append(len(values))
            case "TUPLE":
                values.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3" as name:
                size = int(name[-1])
                values[-size:] = [tuple(values[-size:])]
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = values[-1]
            case "MEMOIZE":
                memo[len(memo)] = values[-1]
            case "BINGET" | "LONG_BINGET":
                values.append(memo[argument])
            case "APPEND":
                item = values.pop()
                append([item])
            case "APPENDS" | "ADDITEMS":
                append(since_mark())
            case "SETITEM":
                value, key = values.pop(), values.pop()
                put([key, value])
            case "SETITEMS":
                put(since_mark())
            case "GLOBAL" | "INST" as name:
                values.append(_admitted(argument.replace(" ", ".", 1), path))
                if name == "INST":
                    raise Refused(f"{path} holds the pickle operation INST, and {_ADVICE}")
            case "STACK_GLOBAL":
                name, module = values.pop(), values.pop()
                values.append(_admitted(f"{shown(module, 200)}.{shown(name, 200)}", path))
            case "BINPERSID":
                storage = _storage(values.pop(), path)
                if storages.setdefault(storage.key, storage) != storage:
                    raise Refused(f"{path} is damaged: a storage is described in two ways")
                values.append(storage)
            case "REDUCE":
                arguments, function = values.pop(), values.pop()
                values.append(_call(function, arguments, path))
            case "NEWOBJ":
                _, made = values.pop(), values.pop()
                if not isinstance(made, _Name) or made.name not in _BESIDE:
                    raise Refused(f"{path} holds the pickle operation NEWOBJ, and {_ADVICE}")
                values.append(_Placeholder(made.name))
            case "BUILD":  # attributes of an OrderedDict: versions of modules, of no use here
                values.pop()
                if not isinstance(values[-1], (OrderedDict, _Placeholder)):
                    raise Refused(f"{path} sets attributes of an object, and {_ADVICE}")
            case "STOP":
                return values.pop()
            case name:
                raise Refused(f"{path} holds the pickle operation {name}, and {_ADVICE}")
    raise ValueError("a pickle without an end")


def _admitted(name: str, path: Path) -> _Name:
    if name not in _FUNCTIONS and name not in _STORAGES and name not in _BESIDE:
        raise Refused(f"{path} holds {shown(name)}, and {_ADVICE}")
    return _Name(name)


def _storage(described: Any, path: Path) -> _Storage:
    """From ("storage", class, key, device, number of elements), and for old files a view."""
    if not isinstance(described, tuple) or described[:1] != ("storage",):
        raise Refused(f"{path} holds an object that is not a tensor, and {_ADVICE}")
    kind, key, _, count, *view = described[1:]
    if view not in ([], [None]):
        raise Refused(f"{path} holds a storage inside another: save it again by a newer PyTorch")
    if not isinstance(kind, _Name) or kind.name not in _STORAGES or type(key) is not str:
        raise ValueError("not a storage")
    if type(count) is not int or count < 0:
        raise Refused(f"{path} is damaged: a storage has a size that cannot be")
    return _Storage(key, kind.name, count)


def _call(function: Any, arguments: Any, path: Path) -> Any:
    """What an admitted function would return."""
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise Refused(f"{path} calls something that is no function, and {_ADVICE}")
    match function.name:
        case name if name in _BESIDE:
            return _Placeholder(name)
        case "collections.OrderedDict" if not arguments:
            return OrderedDict()
        case "torch.Size" if len(arguments) == 1 and isinstance(arguments[0], tuple):
            return arguments[0]
        case "torch._utils._rebuild_parameter" if isinstance(arguments[0], _Tensor):
            return arguments[0]
        case "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2":
            return _tensor(*arguments[:4], path)
    raise Refused(f"{path} calls {function.name} in an unknown way, and {_ADVICE}")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, path: Path) -> _Tensor:
    """A tensor that lies within its storage."""
    numbers = [offset, *shape, *strides]
    if not isinstance(storage, _Storage) or not all(type(n) is int and n >= 0 for n in numbers):
        raise Refused(f"{path} is damaged: a tensor has an offset, shape or strides that cannot be")
    furthest = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 not in shape and furthest >= storage.count:
        raise Refused(f"{path} is damaged: a tensor reaches beyond its storage")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _array(tensor: _Tensor, content: bytes, order: str, path: Path) -> np.ndarray:
    dtype = np.dtype(_STORAGES[tensor.storage.kind]).newbyteorder(order)
    if len(content) < tensor.storage.count * dtype.itemsize:
        raise Refused(f"{path} is damaged: the storage of a tensor is not whole")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, dtype)
    strides = [s * dtype.itemsize for s in tensor.strides]
    # NumPy too checks that all of it is within the buffer.
    array = np.ndarray(tensor.shape, dtype, content, tensor.offset * dtype.itemsize, strides)
    return bfloat16(array) if tensor.storage.kind == "torch.BFloat16Storage" else array


def _state_dict(found: Any, path: Path) -> dict:
    """The dict of the network's tensors: `found` itself, or what a checkpoint keeps in it."""

    def holds_layers(x: Any) -> bool:
        return isinstance(x, dict) and any(
            isinstance(t, _Tensor) and len(t.shape) == 4 for t in x.values()
        )

    for _ in range(3):  # how deep checkpoints are nested, at most
        if not isinstance(found, dict):
            kind = type(found).__name__.strip("_").lower()
            kind = found.name if isinstance(found, (_Name, _Placeholder)) else kind
            article = "an" if kind[0] in "aeiou" else "a"
            raise Refused(
                f"{path} holds {article} {kind}, not a dict of tensors by name: {_ADVICE}"
            )
        if holds_layers(found):
            return found
        inner = {name: x for name, x in found.items() if holds_layers(x)}
        if len(inner) == 1:
            return next(iter(inner.values()))
        chosen = next((n for n in _WRAPPERS if n in (inner or found)), None)
        if chosen is None:
            break
        found = found[chosen]
    names = ", ".join(shown(str(name)) for name in list(found)[:8])
    raise Refused(f"{path} holds no layers by name, only {names or 'nothing'}: {_ADVICE}")
