"""The pickles in files of PyTorch, read without executing them.

A pickle is a program for a small stack machine, which may call any function. `interpret` runs the
few operations that objects are made of, on a stack of plain Python values. A function or class is a
name there and nothing else; the few that tensors are made by are known (`_call`), and what any
other would return is a placeholder, which runs nothing: checkpoints hold losses, schedulers, dates
and settings beside the tensors. Tensors are only described, by storage, offset, shape and strides.
"""

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .tensors import Refused, shown

__all__ = ["ADVICE", "STORAGES", "Name", "Placeholder", "Storage", "Tensor", "interpret"]

_MOST_OPERATIONS = 1_000_000  # in a pickle; a state dict of three layers takes a hundred
STORAGES = {
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
ADVICE = "only tensors are read: save them alone, torch.save(model.state_dict(), ...)"
_PUSHED = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8",
}  # fmt: skip


@dataclass(frozen=True)
class Name:
    """A function or class by its name, which is all that we have of it."""

    name: str


class Placeholder(dict):
    """An object of a kind that we do not know: what is put into it as into a dict, and no more."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name


@dataclass(frozen=True)
class Storage:
    """Numbers of one type that the file has outside the pickle, under a key."""

    key: str
    kind: str  # a name in STORAGES
    count: int


@dataclass(frozen=True)
class Tensor:
    """A part of a storage; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


def interpret(
    file: BinaryIO, storages: dict[str, Storage], path: Path, most: int = _MOST_OPERATIONS
) -> Any:
    """The value of the pickle at `file`; the storages it names are put into `storages`.

    `pickletools.genops` takes a pickle apart into its operations and does none of them.
    """
    machine = _Machine(storages, path)
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if count > most:
            raise Refused(f"{path} holds far more than weights: {ADVICE}")
        if operation.name == "STOP":
            return machine.values.pop()
        do = _OPERATIONS.get(operation.name)
        if do is None:
            raise Refused(f"{path} holds the pickle operation {operation.name}, and {ADVICE}")
        do(machine, argument)
    raise ValueError("a pickle without an end")


class _Machine:
    """The stack machine that pickles are programs for.

    Values are None, bool, int, float, str, bytes, tuple, list, dict, and the helpers of this file;
    they are never compared, printed or walked through, since they may be nested without end.
    """

    def __init__(self, storages: dict[str, Storage], path: Path):
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
        if isinstance(self.values[-1], Placeholder):
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

    def name(self, argument: str) -> Name:
        """A function or class: "module name"."""
        return Name(shown(argument.replace(" ", ".", 1), 200))

    def stacked_name(self, _: Any) -> None:
        """A function or class, whose module and name are values."""
        module, name = self.last(2)
        self.values.append(Name(f"{shown(module, 200)}.{shown(name, 200)}"))

    def storage(self, _: Any) -> None:
        """What is kept outside the pickle."""
        storage = _storage(self.values.pop(), self._path)
        if isinstance(storage, Storage):
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
        self.values.append(Placeholder(name))

    def make(self, made: Any) -> None:
        """An object of a class, of which nothing is made but a placeholder."""
        if not isinstance(made, (Name, Placeholder)):
            raise Refused(f"{self._path} calls something that is no function, and {ADVICE}")
        self.values.append(Placeholder(made.name))


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
    "EMPTY_SET": lambda m, x: m.push(Placeholder("set")),
    "FROZENSET": lambda m, x: m.placeholder("frozenset"),
    "LONG4": lambda m, x: m.push(Placeholder("int")),  # longer than 255 bytes
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


def _storage(described: Any, path: Path) -> Storage | Placeholder | Name:
    """From ("storage", class, key, device, number of elements), and for old files a view.

    Old files have ("module", class, and its source code) too.
    """
    match described:
        case ("module", Name() as name, *_):
            return name
    if not isinstance(described, tuple) or described[:1] != ("storage",):
        raise Refused(f"{path} holds an object that is not a tensor, and {ADVICE}")
    kind, key, _, count, *view = described[1:]
    if view not in ([], [None]):
        raise Refused(f"{path} holds a storage inside another: save it again by a newer PyTorch")
    if not isinstance(kind, Name) or type(key) is not str:
        raise ValueError("not a storage")
    if kind.name not in STORAGES:  # of numbers that no weights are
        return Placeholder(kind.name)
    if type(count) is not int or count < 0:
        raise Refused(f"{path} is damaged: a storage has an impossible size")
    return Storage(key, kind.name, count)


def _call(function: Any, arguments: Any, path: Path) -> Any:
    """What a function would return: an empty dict, a tensor, or a placeholder of what it makes."""
    if not isinstance(function, (Name, Placeholder)) or not isinstance(arguments, tuple):
        raise Refused(f"{path} calls something that is no function, and {ADVICE}")
    match function.name if isinstance(function, Name) else "", arguments:
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
            (Tensor() as tensor, *_),
        ):
            return tensor
        case "torch._tensor._rebuild_from_type_v2", (Name() as inner, _, tuple() as given, *_):
            return _call(inner, given, path)  # of a tensor with attributes
        case (
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
            (Storage() as storage, offset, tuple() as shape, tuple() as strides, *_),
        ):
            return _tensor(storage, offset, shape, strides, path)
    return Placeholder(function.name)


def _tensor(storage: Storage, offset: Any, shape: tuple, strides: tuple, path: Path) -> Tensor:
    """A tensor that lies within its storage."""
    if len(shape) > 8 or len(shape) != len(strides):
        raise Refused(f"{path} is damaged: a tensor has {len(shape)} axes, {len(strides)} strides")
    if not all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)):
        raise Refused(f"{path} is damaged: a tensor has an impossible offset, shape or stride")
    furthest = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 not in shape and furthest >= storage.count:
        raise Refused(f"{path} is damaged: a tensor reaches beyond its storage")
    return Tensor(storage, offset, shape, strides)
