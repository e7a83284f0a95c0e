"""PyTorch's .pt, .pth and .ckpt, read without PyTorch and without executing the pickles in them.

A pickle is a program for a small stack machine, which may call any function. `_interpret` runs
the few operations that objects are made of, on a stack of plain Python values. A function or class
is a name there and nothing else; the few that tensors are made by are known (`_call`), and what any
other would return is a placeholder, which runs nothing: checkpoints hold losses, schedulers, dates
and settings beside the tensors. Tensors are only described, by storage, offset, shape and strides.
Bytes are looked at later, and only those of the layers.

Since PyTorch 1.6 a file is a zip archive: NAME/data.pkl is the pickle, NAME/data/KEY the bytes of
the storages. Older ones are five pickles one after the other (a magic number, a version, the byte
order, the object, the keys of the storages), then the storages, each behind its length.
"""

import io
import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .safe_tensors import bfloat16
from .tensors import Refused, Weights, check_room, open_zip, room_for, shown, unpacked

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
_ADVICE = "only tensors are read: save them alone, torch.save(model.state_dict(), ...)"
_PUSHED = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8",
}  # fmt: skip
_DEEPEST = 3  # how far inside a checkpoint a network is, at most
# By which of these words in their names networks of one checkpoint are preferred, the first first.
_WORDS = ("ema", "best", "params", "state", "model", "net", "network", "generator", "srcnn")
# Modules that are not the network, as parts of their names.
_BESIDE = re.compile(
    r"(^|[._])(loss|losses|criterion|metrics?|perceptual|discriminator|vgg|lpips|ssim|psnr)([_a-z]*)\."
)


@dataclass(frozen=True)
class _Name:
    """A function or class by its name, which is all that we have of it."""

    name: str


class _Placeholder(dict):
    """An object of a kind that we do not know: what is put into it as into a dict, and no more."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name


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


def read(content: bytes, path: Path) -> Weights:
    """The tensors of a state dict, or of a checkpoint that holds one; the card is empty."""
    parse = _read_zip if content[:2] == b"PK" else _read_legacy
    found, storages, order = parse(content, path)
    network = _state_dict(found, path)
    for name, x in network.items():  # a weight or bias may be among these
        if isinstance(x, (_Placeholder, _Name)):
            raise Refused(f"{path} holds {x.name} among its tensors, {shown(name)}, and {_ADVICE}")
    tensors = {name: t for name, t in network.items() if isinstance(t, _Tensor)}
    tensors.pop("n_averaged", None)  # a number, of running averages by torch.optim.swa_utils
    # Lightning's modules keep the loss beside the network, with its window or its layers.
    beside = [name for name in tensors if isinstance(name, str) and _BESIDE.search(name.lower())]
    if len(beside) < len(tensors):
        for name in beside:
            del tensors[name]
    if not all(isinstance(name, str) for name in tensors):
        raise Refused(f"{path} holds tensors without names: {_ADVICE}")
    check_room((t.shape for t in tensors.values()), path, room_for(content))
    contents = {key: storages(key) for key in {t.storage.key for t in tensors.values()}}
    arrays = {n: _array(t, contents[t.storage.key], order, path) for n, t in tensors.items()}
    return Weights(arrays, {}, "pytorch", ordered=True)


def _read_zip(content: bytes, path: Path) -> tuple:
    archive = open_zip(content, path)
    names = set(archive.namelist())
    # In a folder, or in none, if somebody has packed it again.
    pickles = [name for name in names if re.fullmatch(r"([^/]*/)?data\.pkl", name)]
    if len(pickles) != 1:
        raise Refused(f"{path} is a zip archive without a data.pkl, so not a PyTorch file")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in names:
        raise Refused(f"{path} is a TorchScript program, and {_ADVICE}")
    swapped = f"{folder}byteorder" in names and unpacked(archive, f"{folder}byteorder") == b"big"
    found = _interpret(io.BytesIO(unpacked(archive, pickles[0])), {}, path)
    return found, lambda key: unpacked(archive, f"{folder}data/{key}"), ">" if swapped else "<"


def _read_legacy(content: bytes, path: Path) -> tuple:
    file = io.BytesIO(content)
    kinds: dict[str, _Storage] = {}
    magic = _interpret(file, {}, path)
    if type(magic) is not int or magic != _MAGIC:
        kind = f" ({magic.name})" if isinstance(magic, (_Name, _Placeholder)) else ""
        raise Refused(f"{path} is a pickle without any tensors of PyTorch{kind}: {_ADVICE}")
    version, system = (_interpret(file, {}, path, 100) for _ in range(2))
    if type(version) is not int or version != 1001:
        raise ValueError("another kind of file")
    order = "<" if system["little_endian"] else ">"
    found = _interpret(file, kinds, path)
    places = {}
    for key in _interpret(file, {}, path, 100_000):
        count = int.from_bytes(file.read(8), "little" if order == "<" else "big")
        begin = file.tell()
        end = begin + count * np.dtype(_STORAGES[kinds[key].kind]).itemsize
        if end > len(content) or count != kinds[key].count:
            raise Refused(f"{path} is damaged: the storage of a tensor is not whole")
        places[key] = begin, end
        file.seek(end)
    return found, lambda key: content[slice(*places[key])], order


def _interpret(
    file: BinaryIO, storages: dict[str, _Storage], path: Path, most: int = _MOST_OPERATIONS
) -> Any:
    """The value of the pickle at `file`; the storages it names are put into `storages`.

    `pickletools.genops` takes a pickle apart into its operations and does none of them.
    """
    machine = _Machine(storages, path)
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if count > most:
            raise Refused(f"{path} holds far more than weights: {_ADVICE}")
        if operation.name == "STOP":
            return machine.values.pop()
        do = _OPERATIONS.get(operation.name)
        if do is None:
            raise Refused(f"{path} holds the pickle operation {operation.name}, and {_ADVICE}")
        do(machine, argument)
    raise ValueError("a pickle without an end")


class _Machine:
    """The stack machine that pickles are programs for.

    Values are None, bool, int, float, str, bytes, tuple, list, dict, and the helpers of this file;
    they are never compared, printed or walked through, since they may be nested without end.
    """

    def __init__(self, storages: dict[str, _Storage], path: Path):
        self.values: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._storages, self._path = storages, path

    def push(self, value: Any) -> None:
        """Onto the stack."""
        self.values.append(value)

    def mark(self, _: Any) -> None:
        """Where the parts of what is made next begin."""
        self._marks.append(len(self.values))

    def since_mark(self) -> list:
        """All since then, taken off."""
        start = self._marks.pop()
        taken = self.values[start:]
        del self.values[start:]
        return taken

    def tuple_of(self, size: int) -> None:
        """The last so many values become one."""
        self.values[-size:] = [tuple(self.values[-size:])]

    def remember(self, number: int | None) -> None:
        """The last value, for later: by this number, or by the next."""
        self._memo[len(self._memo) if number is None else number] = self.values[-1]

    def recall(self, number: int) -> None:
        """What was remembered."""
        self.values.append(self._memo[number])

    def append(self, items: list) -> None:
        """To the list that is the last value; to what we do not know, nothing."""
        if isinstance(self.values[-1], _Placeholder):
            return
        if type(self.values[-1]) is not list:
            raise ValueError("no list to append to")
        self.values[-1].extend(items)

    def put(self, pairs: list) -> None:
        """Names and values, one after the other, into the dict that is the last value."""
        if not isinstance(self.values[-1], dict) or len(pairs) % 2:
            raise ValueError("no dict to put something into")
        _put(self.values[-1], pairs)

    def last(self, count: int) -> list:
        """So many values, taken off."""
        return [self.values.pop() for _ in range(count)][::-1]

    def name(self, argument: str) -> _Name:
        """A function or class: "module name"."""
        return _Name(shown(argument.replace(" ", ".", 1), 200))

    def stacked_name(self, _: Any) -> None:
        """A function or class, whose module and name are values."""
        module, name = self.last(2)
        self.values.append(_Name(f"{shown(module, 200)}.{shown(name, 200)}"))

    def storage(self, _: Any) -> None:
        """What is kept outside the pickle."""
        storage = _storage(self.values.pop(), self._path)
        if isinstance(storage, _Storage):
            if self._storages.setdefault(storage.key, storage) != storage:
                raise Refused(f"{self._path} is damaged: a storage is described in two ways")
        self.values.append(storage)

    def call(self, _: Any) -> None:
        """A function with its arguments."""
        function, arguments = self.last(2)
        self.values.append(_call(function, arguments, self._path))

    def placeholder(self, name: str) -> None:
        """An object of which nothing is made, from all values since the mark."""
        self.since_mark()
        self.values.append(_Placeholder(name))

    def make(self, made: Any) -> None:
        """An object of a class, of which nothing is made but a placeholder."""
        if not isinstance(made, (_Name, _Placeholder)):
            raise Refused(f"{self._path} calls something that is no function, and {_ADVICE}")
        self.values.append(_Placeholder(made.name))


# All operations that are done; a pickle with another one is refused.
_OPERATIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda m, x: None,
    "FRAME": lambda m, x: None,
    **dict.fromkeys(_PUSHED, _Machine.push),
    "NONE": lambda m, x: m.push(None),
    "NEWTRUE": lambda m, x: m.push(True),
    "NEWFALSE": lambda m, x: m.push(False),
    "EMPTY_TUPLE": lambda m, x: m.push(()),
    "EMPTY_DICT": lambda m, x: m.push({}),
    "EMPTY_LIST": lambda m, x: m.push([]),
    "EMPTY_SET": lambda m, x: m.push(_Placeholder("set")),
    "FROZENSET": lambda m, x: m.placeholder("frozenset"),
    "LONG4": lambda m, x: m.push(_Placeholder("int")),  # longer than 255 bytes
    "MARK": _Machine.mark,
    "TUPLE": lambda m, x: m.push(tuple(m.since_mark())),
    "TUPLE1": lambda m, x: m.tuple_of(1),
    "TUPLE2": lambda m, x: m.tuple_of(2),
    "TUPLE3": lambda m, x: m.tuple_of(3),
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "APPEND": lambda m, x: m.append(m.last(1)),
    "APPENDS": lambda m, x: m.append(m.since_mark()),
    "ADDITEMS": lambda m, x: m.append(m.since_mark()),
    "SETITEM": lambda m, x: m.put(m.last(2)),
    "SETITEMS": lambda m, x: m.put(m.since_mark()),
    "POP": lambda m, x: m.last(1),
    "POP_MARK": lambda m, x: m.since_mark(),
    "GLOBAL": lambda m, x: m.push(m.name(x)),
    "STACK_GLOBAL": _Machine.stacked_name,
    "BINPERSID": _Machine.storage,
    "REDUCE": _Machine.call,
    "NEWOBJ": lambda m, x: m.make(m.last(2)[0]),
    "NEWOBJ_EX": lambda m, x: m.make(m.last(3)[0]),
    "OBJ": lambda m, x: m.make(m.since_mark()[0]),
    "INST": lambda m, x: m.placeholder(m.name(x).name),
    "BUILD": lambda m, x: m.last(1),  # attributes, such as versions of modules: of no use here
}


def _put(into: dict, pairs: list) -> None:
    """Put values by their names; those by anything else, which no network has, are left out."""
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        # Numbers beyond this can be chosen so that a dict becomes slow.
        if isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 60):
            into[key] = value


def _storage(described: Any, path: Path) -> _Storage | _Placeholder | _Name:
    """From ("storage", class, key, device, number of elements), and for old files a view.

    Old files have ("module", class, and its source code) too.
    """
    match described:
        case ("module", _Name() as name, *_):
            return name
    if not isinstance(described, tuple) or described[:1] != ("storage",):
        raise Refused(f"{path} holds an object that is not a tensor, and {_ADVICE}")
    kind, key, _, count, *view = described[1:]
    if view not in ([], [None]):
        raise Refused(f"{path} holds a storage inside another: save it again by a newer PyTorch")
    if not isinstance(kind, _Name) or type(key) is not str:
        raise ValueError("not a storage")
    if kind.name not in _STORAGES:  # of numbers that no weights are
        return _Placeholder(kind.name)
    if type(count) is not int or count < 0:
        raise Refused(f"{path} is damaged: a storage has a size that cannot be")
    return _Storage(key, kind.name, count)


def _call(function: Any, arguments: Any, path: Path) -> Any:
    """What a function would return: an empty dict, a tensor, or a placeholder of what it makes."""
    if not isinstance(function, (_Name, _Placeholder)) or not isinstance(arguments, tuple):
        raise Refused(f"{path} calls something that is no function, and {_ADVICE}")
    match function.name if isinstance(function, _Name) else "", arguments:
        case "collections.OrderedDict", ():
            return OrderedDict()
        case "collections.OrderedDict", (list() as pairs,):  # as Python 2 pickles it
            made: OrderedDict = OrderedDict()
            for pair in pairs:
                _put(made, [*pair] if isinstance(pair, (list, tuple)) and len(pair) == 2 else [])
            return made
        case "torch.Size", (tuple() as sizes,):
            return sizes
        case (
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
            (_Tensor() as tensor, *_),
        ):
            return tensor
        case "torch._tensor._rebuild_from_type_v2", (_Name() as inner, _, tuple() as given, *_):
            return _call(inner, given, path)  # of a tensor with attributes
        case (
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
            (_Storage() as storage, offset, tuple() as shape, tuple() as strides, *_),
        ):
            return _tensor(storage, offset, shape, strides, path)
    return _Placeholder(function.name)


def _tensor(storage: _Storage, offset: Any, shape: tuple, strides: tuple, path: Path) -> _Tensor:
    """A tensor that lies within its storage."""
    if len(shape) > 8 or len(shape) != len(strides):
        raise Refused(f"{path} is damaged: a tensor has {len(shape)} axes, {len(strides)} strides")
    if not all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)):
        raise Refused(f"{path} is damaged: a tensor has an offset, shape or strides that cannot be")
    furthest = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 not in shape and furthest >= storage.count:
        raise Refused(f"{path} is damaged: a tensor reaches beyond its storage")
    return _Tensor(storage, offset, shape, strides)


def _array(tensor: _Tensor, content: bytes, order: str, path: Path) -> np.ndarray:
    dtype = np.dtype(f"{order}{_STORAGES[tensor.storage.kind]}")
    if len(content) < tensor.storage.count * dtype.itemsize:
        raise Refused(f"{path} is damaged: the storage of a tensor is not whole")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, dtype)
    strides = [s * dtype.itemsize for s in tensor.strides]
    # NumPy too checks that all of it is within the buffer.
    array = np.ndarray(tensor.shape, dtype, content, tensor.offset * dtype.itemsize, strides)
    return bfloat16(array) if tensor.storage.kind == "torch.BFloat16Storage" else array


def _state_dict(found: Any, path: Path) -> dict:
    """The dict of the network's tensors: `found` itself, or one that a checkpoint keeps in it.

    That is the one least deep inside; of several, the one that is called so (`_WORDS`).
    """
    level = [("", found)] if isinstance(found, (dict, list, tuple)) else []
    seen: set[int] = set()
    for _ in range(_DEEPEST + 1):
        networks = [(name, x) for name, x in level if isinstance(x, dict) and _holds_layers(x)]
        if networks:
            return _chosen(networks, path)
        level = [(f"{above}.{key}".strip("."), x) for above, y in level for key, x in _inside(y)]
        # Each but once: a small file may hold the same list in itself a thousand times.
        once = {id(x): (name, x) for name, x in reversed(level) if id(x) not in seen}
        level = [*reversed(once.values())]
        seen |= once.keys()
    if isinstance(found, dict) and not isinstance(found, _Placeholder):
        names = ", ".join(shown(str(name)) for name in list(found)[:8])
        objects = {x.name: None for x in found.values() if isinstance(x, (_Name, _Placeholder))}
        of = f" and {', '.join(list(objects)[:4])}" if objects else ""
        raise Refused(f"{path} holds no layers by name, only {names or 'nothing'}{of}: {_ADVICE}")
    if isinstance(found, (_Name, _Placeholder)):
        kind = found.name
    else:
        kind = type(found).__name__.strip("_").lower()
        kind = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    raise Refused(f"{path} holds {kind}, not a dict of tensors by name: {_ADVICE}")


def _holds_layers(x: dict) -> bool:
    return any(isinstance(t, _Tensor) and len(t.shape) == 4 for t in x.values())


def _inside(x: Any) -> list[tuple[str, Any]]:
    """The dicts and lists in a dict or list, but for what an optimizer remembers of a network."""
    items = list(x.items() if isinstance(x, dict) else enumerate(x))
    return [
        (shown(str(key)), y)
        for key, y in items[:1000]
        if isinstance(y, (dict, list, tuple)) and not str(key).lower().startswith("optim")
    ]


def _chosen(networks: list[tuple[str, dict]], path: Path) -> dict:
    """The network to take, of all that a checkpoint holds at the same depth."""

    def rank(network: tuple[str, dict]) -> tuple[int, int]:
        words = network[0].lower().rpartition(".")[2].split("_")
        return next((k for k, w in enumerate(_WORDS) if w in words), len(_WORDS)), len(words)

    networks = sorted(networks, key=rank)
    if len(networks) > 1 and rank(networks[0]) == rank(networks[1]):
        names = ", ".join(name for name, _ in networks[:8])
        raise Refused(
            f"{path} holds several networks, {names}: save the state dict of one of them alone"
        )
    return networks[0][1]
