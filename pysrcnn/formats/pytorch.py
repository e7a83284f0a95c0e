"""PyTorch's .pt, .pth and .ckpt, read without PyTorch and without executing the pickles in them.

The pickle describes the tensors (`pickles`). Their bytes are read here, and only those of layers.

Since PyTorch 1.6 a file is a zip archive: NAME/data.pkl is the pickle, NAME/data/KEY the bytes of
the storages. Older files are five pickles in a row (a magic number, a version, the byte order, the
object, the keys of the storages), then the storages, each after its length.
"""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from .pickles import ADVICE, STORAGES, Name, Placeholder, Storage, Tensor, interpret
from .safe_tensors import bfloat16
from .tensors import Refused, Weights, check_names, check_room, open_zip, room_for, shown, unpacked

__all__ = ["read"]

_MAGIC = 0x1950A86A20F9469CFC6C
_DEEPEST = 3  # how deep inside a checkpoint a network is, at most
# Words in the names of a checkpoint's networks that are preferred, the first one most.
_WORDS = ("ema", "best", "params", "state", "model", "net", "network", "generator", "srcnn")
# Parts of the names of modules that are not the network.
_BESIDE = re.compile(
    r"(^|[._])(loss|losses|criterion|metrics?|perceptual|discriminator|vgg|lpips|ssim|psnr)([_a-z]*)\."
)


def read(content: bytes, path: Path) -> Weights:
    """Read the tensors of a state dict, or of a checkpoint that holds one; the card is empty."""
    parse = _read_zip if content[:2] == b"PK" else _read_legacy
    found, storages, order = parse(content, path)
    network = _state_dict(found, path)
    for name, x in network.items():  # a weight or bias may be among these
        if isinstance(x, (Placeholder, Name)):
            raise Refused(f"{path} holds {x.name} among its tensors, {shown(name)}, and {ADVICE}")
    tensors = {name: t for name, t in network.items() if isinstance(t, Tensor)}
    tensors.pop("n_averaged", None)  # a count, by torch.optim.swa_utils
    check_names(tensors, path)
    # Lightning's modules keep the loss beside the network, with its window or its layers.
    beside = [name for name in tensors if isinstance(name, str) and _BESIDE.search(name.lower())]
    if len(beside) < len(tensors):
        for name in beside:
            del tensors[name]
    if not all(isinstance(name, str) for name in tensors):
        raise Refused(f"{path} holds tensors without names: {ADVICE}")
    check_room((t.shape for t in tensors.values()), path, room_for(content))
    contents = {key: storages(key) for key in {t.storage.key for t in tensors.values()}}
    arrays = {n: _array(t, contents[t.storage.key], order, path) for n, t in tensors.items()}
    return Weights(arrays, {}, "pytorch", ordered=True)


def _read_zip(content: bytes, path: Path) -> tuple:
    archive = open_zip(content, path)
    names = set(archive.namelist())
    # In a folder, or in none if the archive was packed again.
    pickles = [name for name in names if re.fullmatch(r"([^/]*/)?data\.pkl", name)]
    if len(pickles) != 1:
        raise Refused(f"{path} is a zip archive without a data.pkl, so not a PyTorch file")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in names:
        raise Refused(f"{path} is a TorchScript program, and {ADVICE}")
    swapped = f"{folder}byteorder" in names and unpacked(archive, f"{folder}byteorder") == b"big"
    found = interpret(io.BytesIO(unpacked(archive, pickles[0])), {}, path)
    return found, lambda key: unpacked(archive, f"{folder}data/{key}"), ">" if swapped else "<"


def _read_legacy(content: bytes, path: Path) -> tuple:
    file = io.BytesIO(content)
    kinds: dict[str, Storage] = {}
    magic = interpret(file, {}, path)
    if type(magic) is not int or magic != _MAGIC:
        kind = f" ({magic.name})" if isinstance(magic, (Name, Placeholder)) else ""
        raise Refused(f"{path} is a pickle without any tensors of PyTorch{kind}: {ADVICE}")
    version, system = (interpret(file, {}, path, 100) for _ in range(2))
    if type(version) is not int or version != 1001:
        raise ValueError("another kind of file")
    order = "<" if system["little_endian"] else ">"
    found = interpret(file, kinds, path)
    places = {}
    for key in interpret(file, {}, path, 100_000):
        count = int.from_bytes(file.read(8), "little" if order == "<" else "big")
        begin = file.tell()
        end = begin + count * np.dtype(STORAGES[kinds[key].kind]).itemsize
        if end > len(content) or count != kinds[key].count:
            raise Refused(f"{path} is damaged: the storage of a tensor is not whole")
        places[key] = begin, end
        file.seek(end)
    return found, lambda key: content[slice(*places[key])], order


def _array(tensor: Tensor, content: bytes, order: str, path: Path) -> np.ndarray:
    dtype = np.dtype(f"{order}{STORAGES[tensor.storage.kind]}")
    if len(content) < tensor.storage.count * dtype.itemsize:
        raise Refused(f"{path} is damaged: the storage of a tensor is not whole")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, dtype)
    strides = [s * dtype.itemsize for s in tensor.strides]
    # NumPy too checks that all of it is within the buffer.
    array = np.ndarray(tensor.shape, dtype, content, tensor.offset * dtype.itemsize, strides)
    return bfloat16(array) if tensor.storage.kind == "torch.BFloat16Storage" else array


def _state_dict(found: Any, path: Path) -> dict:
    """Return the dict of the network's tensors: `found` itself, or one inside a checkpoint.

    The least nested one is taken; of several, the one with a preferred name (`_WORDS`).
    """
    level = [("", found)] if isinstance(found, (dict, list, tuple)) else []
    seen: set[int] = set()
    for _ in range(_DEEPEST + 1):
        networks = [(name, x) for name, x in level if isinstance(x, dict) and _holds_layers(x)]
        if networks:
            return _chosen(networks, path)
        level = [(f"{above}.{key}".strip("."), x) for above, y in level for key, x in _inside(y)]
        # Each only once: a small file may hold the same list in itself a thousand times.
        once = {id(x): (name, x) for name, x in reversed(level) if id(x) not in seen}
        level = [*reversed(once.values())]
        seen |= once.keys()
    if isinstance(found, dict) and not isinstance(found, Placeholder):
        names = ", ".join(shown(str(name)) for name in list(found)[:8])
        objects = {x.name: None for x in found.values() if isinstance(x, (Name, Placeholder))}
        of = f" and {', '.join(list(objects)[:4])}" if objects else ""
        raise Refused(f"{path} holds no layers by name, only {names or 'nothing'}{of}: {ADVICE}")
    if isinstance(found, (Name, Placeholder)):
        kind = found.name
    else:
        kind = type(found).__name__.strip("_").lower()
        kind = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    raise Refused(f"{path} holds {kind}, not a dict of tensors by name: {ADVICE}")


def _holds_layers(x: dict) -> bool:
    return any(isinstance(t, Tensor) and len(t.shape) == 4 for t in x.values())


def _inside(x: Any) -> list[tuple[str, Any]]:
    """Return the dicts and lists in a dict or list, except for the state of an optimizer."""
    items = list(x.items() if isinstance(x, dict) else enumerate(x))
    return [
        (shown(str(key)), y)
        for key, y in items[:1000]
        if isinstance(y, (dict, list, tuple)) and not str(key).lower().startswith("optim")
    ]


def _chosen(networks: list[tuple[str, dict]], path: Path) -> dict:
    """Choose among the networks that a checkpoint holds at the same depth."""

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
