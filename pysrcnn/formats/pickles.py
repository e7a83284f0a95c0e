"""The pickles in PyTorch files, read without executing them.

A pickle is a program for a small stack machine, which may call any function. `interpret` runs the
few operations that build objects, on a stack of plain Python values, where a function or class is
nothing but a name. The few functions that make tensors are known (`_call`). Any other is not run,
and a placeholder stands for its result: checkpoints hold losses, schedulers, dates and settings
beside the tensors. Tensors are only described, by storage, offset, shape and strides.
"""

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .tensors import Refused, check_name, shown

__all__ = ["ADVICE", "STORAGES", "Name", "Placeholder", "Storage", "Tensor", "interpret"]

_MOST_OPERATIONS = 1_000_000  # in a pickle; a state dict of three layers takes a hundred
STORAGES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "u2",  # NumPy has no bfloat16
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
    """The name of a function or class, which is all that is known of it."""

    name: str


class Placeholder(dict):
    """An object of an unknown class: a dict of the items put into it, and nothing more."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name


@dataclass(frozen=True)
class Storage:
    """Numbers of one type that the file keeps outside the pickle, under a key."""

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
    """Return the value of the pickle at `file`; put the storages it names into `storages`.

    `pickletools.genops` splits a pickle into its operations and runs none of them.
    """
    machine = _Machine(storages, path, most)
    for operation, argument, _ in pickletools.genops(file):
        machine.spend(1)
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

    def __init__(self, storages: dict[str, Storage], path: Path, most: int):
        self.values: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._storages, self._path, self._left = storages, path, most

    def spend(self, operations: int) -> None:
        """Count operations, or work that takes as long; refuse a pickle of too many."""
        self._left -= operations
        if self._left < 0:
            raise Refused(f"{self._path} holds far more than weights: {ADVICE}")

    def push(self, value: Any) -> None:
        """Push a value onto the stack."""
        self.values.append(value)

    def mark(self, _: Any) -> None:
        """Mark where the parts of the next object begin."""
        self._marks.append(len(self.values))

    def since_mark(self) -> list:
        """Pop all values since the last mark."""
        start = self._marks.pop()
        taken = self.values[start:]
        del self.values[start:]
        return taken

    def tuple_of(self, size: int) -> None:
        """Replace the last `size` values by a tuple of them."""
        self.values[-size:] = [tuple(self.values[-size:])]

    def remember(self, number: int | None) -> None:
        """Memoize the last value under this number, or under the next one."""
        self._memo[len(self._memo) if number is None else number] = self.values[-1]

    def recall(self, number: int) -> None:
        """Push a memoized value."""
        self.values.append(self._memo[number])

    def append(self, items: list) -> None:
        """Append items to the list that is the last value; ignore them for a placeholder."""
        if isinstance(self.values[-1], Placeholder):
            return
        if type(self.values[-1]) is not list:
            raise ValueError("no list to append to")
        self.values[-1].extend(items)

    def put(self, pairs: list) -> None:
        """Put keys and values, which alternate, into the dict that is the last value."""
        if not isinstance(self.values[-1], dict) or len(pairs) % 2:
            raise ValueError("no dict to put something into")
        _put(self.values[-1], pairs, self._path)

    def last(self, count: int) -> list:
        """Pop the last `count` values."""
        return [self.values.pop() for _ in range(count)][::-1]

    def name(self, argument: str) -> Name:
        """Return the function or class called "module name"."""
        return Name(shown(argument.replace(" ", ".", 1), 200))

    def stacked_name(self, _: Any) -> None:
        """Replace the module and name on the stack by a function or class."""
        module, name = self.last(2)
        self.values.append(Name(f"{shown(module, 200)}.{shown(name, 200)}"))

    def storage(self, _: Any) -> None:
        """Replace the description on the stack by the storage outside the pickle."""
        storage = _storage(self.values.pop(), self._path)
        if isinstance(storage, Storage):
            if self._storages.setdefault(storage.key, storage) != storage:
                raise Refused(f"{self._path} is damaged: a storage is described in two ways")
        self.values.append(storage)

    def call(self, _: Any) -> None:
        """Replace the function and arguments on the stack by a result, see `_call`."""
        function, arguments = self.last(2)
        match function, arguments:
            case Name("collections.OrderedDict"), (list() as pairs,):  # which may be used again
                self.spend(len(pairs))
        self.values.append(_call(function, arguments, self._path))

    def placeholder(self, name: str) -> None:
        """Replace all values since the mark by a placeholder."""
        self.since_mark()
        self.values.append(Placeholder(name))

    def make(self, made: Any) -> None:
        """Push a placeholder for an object of a class."""
        if not isinstance(made, (Name, Placeholder)):
            raise Refused(f"{self._path} calls something that is no function, and {ADVICE}")
        self.values.append(Placeholder(made.name))


# All operations that are run; a pickle with another one is refused.
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


def _put(into: dict, pairs: list, path: Path) -> None:
    """Put values under strings and integers; other keys, which no network has, are left out."""
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        # Larger integers can be chosen so that a dict becomes slow.
        if isinstance(key, str):
            check_name(key, path)  # to compare two long ones takes long, too
        if isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 60):
            into[key] = value


def _storage(described: Any, path: Path) -> Storage | Placeholder | Name:
    """Return the storage of ("storage", class, key, device, number of elements, old files' view).

    Old files also have ("module", class, source code).
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
    check_name(key, path)
    if kind.name not in STORAGES:  # of a type that weights do not have
        return Placeholder(kind.name)
    if type(count) is not int or count < 0:
        raise Refused(f"{path} is damaged: a storage has an impossible size")
    return Storage(key, kind.name, count)


def _call(function: Any, arguments: Any, path: Path) -> Any:
    """Return the dict, size or tensor that a function would make, or a placeholder for others."""
    if not isinstance(function, (Name, Placeholder)) or not isinstance(arguments, tuple):
        raise Refused(f"{path} calls something that is no function, and {ADVICE}")
    match function.name if isinstance(function, Name) else "", arguments:
        case "collections.OrderedDict", ():
            return OrderedDict()
        case "collections.OrderedDict", (list() as pairs,):  # as Python 2 pickles it
            made: OrderedDict = OrderedDict()
            for pair in pairs:
                if isinstance(pair, (list, tuple)) and len(pair) == 2:
                    _put(made, [*pair], path)
            return made
        case "torch.Size", (tuple() as sizes,):
            return sizes
        case (
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
            (Tensor() as tensor, *_),
        ):
            return tensor
        case "torch._tensor._rebuild_from_type_v2", (Name() as inner, _, tuple() as given, *_) if (
            inner.name != function.name  # or it may call itself a thousand times
        ):
            return _call(inner, given, path)  # of a tensor with attributes
        case (
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
            (Storage() as storage, offset, tuple() as shape, tuple() as strides, *_),
        ):
            return _tensor(storage, offset, shape, strides, path)
    return Placeholder(function.name)


def _tensor(storage: Storage, offset: Any, shape: tuple, strides: tuple, path: Path) -> Tensor:
    """Return a tensor; refuse one that does not lie within its storage."""
    if len(shape) > 8 or len(shape) != len(strides):
        raise Refused(f"{path} is damaged: a tensor has {len(shape)} axes, {len(strides)} strides")
    if not all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)):
        raise Refused(f"{path} is damaged: a tensor has an impossible offset, shape or stride")
    furthest = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 not in shape and furthest >= storage.count:
        raise Refused(f"{path} is damaged: a tensor reaches beyond its storage")
    return Tensor(storage, offset, shape, strides)
