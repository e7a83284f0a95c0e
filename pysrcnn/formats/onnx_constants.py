"""What an ONNX graph says without a picture: its tensors, and the little sums made of them.

PyTorch writes the amounts of a padding, and bounds, as a dozen operators on a few constants. They
are worked out here, exactly, on at most `_MOST` numbers; operators on anything else are none of
this module's.
"""

import math
import os
import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .layers import Refused, check_room, shown

__all__ = ["Constants", "import_onnx"]

_MOST = 64  # numbers in a tensor of such a sum: paddings have eight
_KINDS = {1: "f4", 6: "i4", 7: "i8", 9: "?", 11: "f8"}  # that tensors may be cast to


def import_onnx() -> ModuleType:
    """The package onnx, or a sentence that asks for it."""
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        raise ModuleNotFoundError(
            'ONNX files need the package onnx: pip install ".[convert]" in the clone of pysrcnn',
            name="onnx",
        ) from None
    return onnx


class Constants:
    """The tensors of a graph by name; each becomes an array when it is asked for."""

    def __init__(self, tensors: list, path: Path):
        self._tensors = {tensor.name: tensor for tensor in tensors}
        self._arrays: dict[str, np.ndarray] = {}
        self._shapes: list[tuple] = []  # of those that were made arrays of
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._tensors or name in self._arrays

    def array(self, name: str) -> np.ndarray:
        """The array of this name, float32 if the file holds fewer bits."""
        if name not in self._arrays:  # which several nodes may share
            onnx, tensor = import_onnx(), self._tensors[name]
            self._shapes.append(tuple(tensor.dims))
            check_room(self._shapes, self._path)
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                tensor = self._from_beside(tensor)
            array = onnx.numpy_helper.to_array(tensor)
            narrow = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
            self._arrays[name] = array.astype(np.float32) if tensor.data_type in narrow else array
        return self._arrays[name]

    def _from_beside(self, tensor: Any) -> Any:
        """The tensor with its bytes, which are in a file in the same folder, and nowhere else."""
        onnx, path = import_onnx(), self._path
        where = {entry.key: entry.value for entry in tensor.external_data}
        name = where.get("location", "")
        kept = f"{path} keeps {shown(tensor.name)} in {shown(name) or 'another file'}"
        if name in ("", ".", "..") or set(name) & set("/\\:\0"):
            raise Refused(f"{kept}, wanted a file beside it: export it into one file")
        beside = path.parent / name
        if not os.path.lexists(beside):
            raise Refused(f"{kept}, which is not beside it: put both files into one folder")
        if not stat.S_ISREG(os.lstat(beside).st_mode):  # a link may lead anywhere
            raise Refused(f"{kept}, which is not a regular file: export it into one file")
        sizes = {onnx.TensorProto.FLOAT: 4, onnx.TensorProto.DOUBLE: 8}
        sizes |= {onnx.TensorProto.FLOAT16: 2, onnx.TensorProto.BFLOAT16: 2}
        size = math.prod(tensor.dims) * sizes[tensor.data_type]
        begin = int(where.get("offset", 0))
        with open(beside, "rb") as file:
            file.seek(begin)
            content = file.read(size)
        if len(content) != size or int(where.get("length", size)) != size:
            raise Refused(f"{kept}, which does not hold all of it: export it again")
        return onnx.TensorProto(dims=tensor.dims, data_type=tensor.data_type, raw_data=content)

    def take(self, node: Any, kind: str, options: dict) -> bool:
        """Whether what the node gives is constant, too; then it is known from now on."""
        onnx = import_onnx()
        if kind == "Constant":
            (name, value), *_ = options.items()
            if isinstance(value, onnx.TensorProto):
                self._tensors[node.output[0]] = value
            elif name in ("value_int", "value_ints", "value_float", "value_floats"):
                dtype = np.int64 if "int" in name else np.float32
                self._arrays[node.output[0]] = np.array(value, dtype)
            else:
                return False
            return True
        if not node.input or any(name and name not in self for name in node.input):
            return False
        if kind == "Identity":
            self._arrays[node.output[0]] = self.array(node.input[0])
            return True
        if kind not in _SUMS or any(self._size(name) > _MOST for name in node.input):
            return False
        given = [self.array(name) if name else None for name in node.input]
        if kind == "ConstantOfShape" and math.prod(map(int, given[0])) > _MOST:
            return False
        result = np.asarray(_SUMS[kind](options, *given))
        self._arrays[node.output[0]] = result
        return result.size <= _MOST

    def _size(self, name: str) -> int:
        if name in self._arrays:
            return self._arrays[name].size
        return math.prod(self._tensors[name].dims) if name else 0


def _cast(options: dict, x: np.ndarray) -> np.ndarray:
    return x.astype(_KINDS[options["to"]])


def _constant_of_shape(options: dict, shape: np.ndarray) -> np.ndarray:
    value = options.get("value")
    value = np.zeros(1, np.float32) if value is None else import_onnx().numpy_helper.to_array(value)
    return np.full(shape, value[0])


def _reshape(options: dict, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    keep = not options.get("allowzero")
    return x.reshape([x.shape[k] if n == 0 and keep else n for k, n in enumerate(shape)])


def _shape(options: dict, x: np.ndarray) -> np.ndarray:
    return np.array(x.shape[options.get("start", 0) : options.get("end")], np.int64)


def _slice(options, x, starts, ends, axes=None, steps=None) -> np.ndarray:
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    cuts = [slice(None)] * x.ndim
    for axis, *cut in zip(axes, starts.tolist(), ends.tolist(), steps, strict=True):
        cuts[axis] = slice(*cut)
    return x[tuple(cuts)]


_SUMS = {
    "Add": lambda options, a, b: a + b,
    "Cast": _cast,
    "Concat": lambda options, *parts: np.concatenate(parts, options["axis"]),
    "ConstantOfShape": _constant_of_shape,
    "Gather": lambda options, x, places: np.take(x, places, options.get("axis", 0)),
    "Mul": lambda options, a, b: a * b,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Sub": lambda options, a, b: a - b,
    "Transpose": lambda options, x: x.transpose(options.get("perm")),
    "Unsqueeze": lambda options, x, axes: np.expand_dims(x, tuple(axes.tolist())),
}
