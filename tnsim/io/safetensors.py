"""The safetensors format: named arrays behind a JSON header, read one by one, nothing that is executed.

8 bytes   length of the header, little endian
header    JSON: name -> dtype, shape, data_offsets (from the end of the header); __metadata__ -> strings
data      arrays in C order, one after the other
Source: the format's documentation, huggingface.co/docs/safetensors.
"""

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.errors import FileCorruptError, FileError, FileForeignError, suggest
from tnsim.io.atomic import replace_file, stamp

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1",
    "BOOL": "|b1",
}  # fmt: skip
_NAMES = {np.dtype(word): name for name, word in _DTYPES.items()}
# bfloat16: the upper half of a single-precision number, which NumPy lacks; read as that
_HALVED, _HALVED_WORD = "BF16", "<u2"
_HEADER_MAX = 100_000_000


def encode(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> tuple[bytes, list[bytes]]:
    """Header (with its length in front) and data of a file, in the order given."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, start = [], 0
    for name, array in arrays.items():
        if array.dtype not in _NAMES:
            raise FileError(f"safetensors holds no {array.dtype}, which {name!r} is: {', '.join(_DTYPES)}.")
        part = np.ascontiguousarray(array).tobytes()
        entry = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [start, start + len(part)]}
        header[name], start = entry, start + len(part)
        parts.append(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, parts


def write_safetensors(path: Path, head: bytes, parts: list[bytes]) -> None:
    """What `encode` made, in one piece or not at all."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            for part in (head, *parts):
                file.write(part)

    replace_file(path, write, size=len(head) + sum(map(len, parts)))


class SafetensorsFile:
    """The header of a file, checked in full when it is opened; arrays are read when they are asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as file:
                self._stamp = stamp(self.path)
                first = file.read(8)
                length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
                if not 2 <= length <= min(_HEADER_MAX, size - 8):
                    raise FileForeignError(
                        f"{path} is no safetensors file: it does not start with its header's length."
                    )
                self.head = first + file.read(length)
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"{path} cannot be read: {error.strerror}.") from error
        self.entries, self.metadata = self._parsed()
        self._check_places(size)

    def _parsed(self) -> tuple[dict[str, Any], dict[str, str]]:
        try:
            header = json.loads(self.head[8:])
            metadata = header.pop("__metadata__", {})
            for entry in header.values():
                (start, end), shape = entry["data_offsets"], entry["shape"]
                if not all(type(n) is int and n >= 0 for n in (start, end, *shape)):
                    raise ValueError("negative or fractional sizes")
                str(entry["dtype"]).upper()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FileForeignError(
                f"{self.path} is no safetensors file: its header is not what the format asks for."
            ) from error
        return header, metadata

    def _check_places(self, size: int) -> None:
        """Arrays lie side by side from the header to the end, each as large as its shape says."""
        place = 0
        for name, entry in sorted(self.entries.items(), key=lambda item: item[1]["data_offsets"]):
            start, end = entry["data_offsets"]
            known = _HALVED_WORD if entry["dtype"] == _HALVED else _DTYPES.get(entry["dtype"])
            whole = known is None or end - start == prod(entry["shape"]) * np.dtype(known).itemsize
            if start != place or end < start or not whole:
                raise FileCorruptError(f"{self.path}: the place of {name!r} is not what its shape asks for.")
            place = end
        if len(self.head) + place != size:
            raise FileCorruptError(
                f"{self.path} has {size} bytes, its header asks for {len(self.head) + place}: cut short?"
            )

    def read(self, name: str) -> np.ndarray:
        """One array, on the host; bfloat16 as single precision."""
        if name not in self.entries:
            raise FileError(f"{self.path} holds no array {name!r}. {suggest(name, self.entries)}")
        entry = self.entries[name]
        word = _HALVED_WORD if entry["dtype"] == _HALVED else _DTYPES.get(entry["dtype"])
        if word is None:
            raise FileError(f"{name!r} in {self.path} is {entry['dtype']}, which NumPy does not have.")
        if stamp(self.path) != self._stamp:
            raise FileCorruptError(f"{self.path} was changed or removed since it was opened: open it again.")
        start, end = entry["data_offsets"]
        with self.path.open("rb") as file:
            file.seek(len(self.head) + start)
            array = np.frombuffer(file.read(end - start), dtype=word).reshape(entry["shape"])
        if entry["dtype"] == _HALVED:
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.copy()
