"""The safetensors format, read and written without its library.

A file consists of the length of its header (8 bytes, little-endian), the header (JSON: name ->
dtype, shape and place of the bytes, counted from the header's end; "__metadata__": strings), and
the bytes.
"""

import json
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .tensors import Arrays, Refused, Weights, check_room, read_card, read_json, room_for, shown

__all__ = ["bfloat16", "read", "write"]

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_CARD = "pysrcnn"  # the entry of the metadata


def bfloat16(bits: np.ndarray) -> np.ndarray:
    """Convert the bits of bfloat16, which are the upper half of float32, to float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def read(content: bytes, path: Path) -> Weights:
    """Read the tensors, and the card if the file is ours."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise Refused(f"{path} is damaged or not a .safetensors file: it is too short")
    header = read_json(content[8 : 8 + length], path, _without_twins)
    metadata = header.pop("__metadata__", {})
    data = content[8 + length :]
    shapes = [tuple(entry["shape"]) for entry in header.values()]
    check_room(shapes, path, room_for(content))
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (begin, next_begin) = tuple(entry["shape"]), entry["data_offsets"]
        if entry["dtype"] not in _DTYPES:
            raise Refused(
                f"{path}: {shown(name)} holds {shown(entry['dtype'])}, wanted one of "
                f"{', '.join(_DTYPES)}"
            )
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        # The format allows neither gaps nor overlaps.
        if begin != end or next_begin - begin != math.prod(shape) * dtype.itemsize:
            raise Refused(
                f"{path} is damaged: the place of {shown(name)} does not fit its neighbours or "
                f"its shape {shape}"
            )
        end = next_begin
        tensor = np.frombuffer(data[begin:end], dtype).reshape(shape)
        tensors[name] = bfloat16(tensor) if entry["dtype"] == "BF16" else tensor
    if end != len(data):
        raise Refused(f"{path} is damaged: it holds {len(data)} bytes of tensors, not {end}")
    return Weights(tensors, read_card(metadata.get(_CARD, "{}"), path), "safetensors")


def _without_twins(pairs: list[tuple]) -> dict:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name occurs twice")
    return dict(pairs)


def write(file: BinaryIO, tensors: Arrays, card: str) -> None:
    """Write tensors by name, as PyTorch loads them."""
    names = {np.dtype(dtype): name for name, dtype in _DTYPES.items() if name != "BF16"}
    header: dict[str, dict] = {"__metadata__": {"format": "pt", _CARD: card}}
    end = 0
    for name, array in tensors.items():
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": names[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors begin at a multiple of 8
    file.write(len(text).to_bytes(8, "little") + text)
    for array in tensors.values():
        file.write(array.astype(array.dtype.newbyteorder("<")).tobytes())
