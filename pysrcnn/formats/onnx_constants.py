"""The constants of an ONNX graph: its tensors, and small computations on them.

PyTorch writes the amounts of a padding, and bounds, as a dozen operators on a few constants. They
are computed here by the package onnx, on at most `_MOST` numbers. Operators on more, or on text,
which may double with each, are not.
"""

import math
import os
import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .tensors import Refused, check_room, shown

__all__ = ["Constants", "import_onnx"]

_MOST = 64  # numbers that a computation takes, and that it returns: paddings have eight
_MOST_SUMS = 500  # computations, which take a millisecond each
_SUMS = {
    "Add", "Cast", "Concat", "ConstantOfShape", "Gather", "Mul", "Reshape", "Shape", "Slice", "Sub",
    "Transpose", "Unsqueeze",
}  # fmt: skip


def import_onnx() -> ModuleType:
    """Import the package onnx; raise a ModuleNotFoundError that asks for it if it is missing."""
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
    """The tensors of a graph by name; each becomes an array when it is requested."""

    def __init__(self, tensors: list, path: Path, opset: int):
        self._tensors = {tensor.name: tensor for tensor in tensors}
        self._arrays: dict[str, np.ndarray] = {}
        self._values = self._sums = 0  # in arrays made so far; computed so far
        self._path, self._opset = path, opset

    def __contains__(self, name: str) -> bool:
        return name in self._tensors or name in self._arrays

    def array(self, name: str) -> np.ndarray:
        """Return the array of this name, as float32 if the file holds fewer bits."""
        if name not in self._arrays:  # several nodes may share it
            onnx, tensor = import_onnx(), self._tensors[name]
            check_room([(self._values,), tuple(tensor.dims)], self._path)
            self._values += math.prod(tensor.dims)
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                tensor = self._from_beside(tensor)
            if tensor.data_type == onnx.TensorProto.STRING:
                raise Refused(f"{self._path} holds text in {shown(name)}, wanted numbers")
            array = onnx.numpy_helper.to_array(tensor)
            narrow = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
            self._arrays[name] = array.astype(np.float32) if tensor.data_type in narrow else array
        return self._arrays[name]

    def _from_beside(self, tensor: Any) -> Any:
        """Return the tensor with its bytes from a file in the same folder, and nowhere else."""
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
        """Return whether the node's output is constant, too; if so, it is known from now on."""
        onnx = import_onnx()
        if kind == "Constant":
            (name, value), *_ = options.items()
            if isinstance(value, onnx.TensorProto):
                self._tensors[node.output[0]] = value
            elif name in ("value_int", "value_ints", "value_float", "value_floats"):
                self._work_out(node, [])
            else:
                return False
            return True
        if not node.input or any(name and name not in self for name in node.input):
            return False
        if kind == "Identity":
            self._arrays[node.output[0]] = self.array(node.input[0])
            return True
        if kind not in _SUMS or sum(map(self._size, node.input)) > _MOST or len(node.input) > _MOST:
            return False
        given = [self.array(name) if name else None for name in node.input]
        if kind == "ConstantOfShape" and math.prod(self.array(node.input[0]).tolist()) > _MOST:
            return False
        self._work_out(node, given)
        return self._size(node.output[0]) <= _MOST

    def _work_out(self, node: Any, given: list) -> None:
        from onnx.reference import ReferenceEvaluator

        self._sums += 1
        if self._sums > _MOST_SUMS:
            raise Refused(f"{self._path} works out more than {_MOST_SUMS} constants: fold them")
        node.ClearField("domain")  # "ai.onnx", which means the same as none
        known = {name: array for name, array in zip(node.input, given, strict=True) if name}
        results: Any = ReferenceEvaluator(node, opsets={"": self._opset}).run(None, known)
        self._arrays[node.output[0]] = np.asarray(results[0])

    def _size(self, name: str) -> int:
        if name in self._arrays:
            return self._arrays[name].size
        # The size that a file states is compared with what it holds when the array is made.
        return math.prod(self._tensors[name].dims) if name else 0
