"""Chains of a whole network in one safetensors file, sealed, with what is needed to trust it.

version 2   chains in floating point or in few bits, other arrays of the network, signature; today's
version 1   chains in floating point; still read, and rewritten by `migrate`
"""

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.errors import FileCorruptError, FileError, ShapeError
from tnsim.io.safetensors import SafetensorsFile, encode, write_safetensors
from tnsim.networks.matrix_index import MatrixAxes, MatrixAxis
from tnsim.networks.matrix_train import core_legs, core_tensor
from tnsim.networks.mpo import MPO
from tnsim.tensor import Tensor
from tnsim.tensorize.artifact_seal import BLANK, FORMAT, VERSION, check_seal, file_hash, migrated, sealed
from tnsim.tensorize.quantize import QuantizedChain
from tnsim.version import __version__


def save_chains(
    path: str | Path,
    chains: Mapping[str, MPO | QuantizedChain],
    *,
    arrays: Mapping[str, np.ndarray] | None = None,
    source: str | Path | None = None,
    notes: Mapping[str, Any] | None = None,
    key: bytes | None = None,
) -> Path:
    """Write chains by name (those of `MPO.from_matrix`) to a file that any safetensors reader opens.

    arrays: what else the network needs (biases, dense layers). source: the checkpoint that they replace, or its
    SHA-256; `ChainFile.check_source` asks for it. notes: anything that JSON holds (seed, settings, metrics). The file
    is sealed by a SHA-256 of header and data, with a key also signed (HMAC), and replaces an older one in one step.
    """
    parts: dict[str, np.ndarray] = {}
    layout = {name: _put(parts, name, chain) for name, chain in chains.items()}
    for name, array in (arrays or {}).items():
        if f"array.{name}" in parts:
            raise FileError(f"two arrays are called {name!r}: rename one.")
        parts[f"array.{name}"] = np.asarray(array)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "tnsim": __version__,
        "sha256": BLANK,
        "hmac": BLANK if key is not None else "",
        "source_sha256": _source_hash(source),
        "chains": json.dumps(layout),
        "notes": json.dumps(dict(notes or {})),
    }
    head, data = encode(parts, metadata)
    write_safetensors(Path(path), sealed(head, data, key), data)
    return Path(path)


def migrate(path: str | Path, target: str | Path, *, key: bytes | None = None) -> Path:
    """Rewrite a file of any older version as the newest; what it holds stays, bit for bit. key: to sign it with."""
    file = ChainFile(path)
    chains = {name: file.quantized(name) or file[name] for name in file}
    arrays = {name: file.array(name) for name in file.arrays}
    return save_chains(target, chains, arrays=arrays, source=file.source_sha256 or None, notes=file.notes, key=key)


def _source_hash(source: str | Path | None) -> str:
    """Of a file, or what already is a hash."""
    if source is None:
        return ""
    word = str(source)
    return word if len(word) == 64 and set(word) <= set("0123456789abcdef") else file_hash(Path(source))


def _put(parts: dict[str, np.ndarray], name: str, chain: MPO | QuantizedChain) -> dict[str, Any]:
    if chain.axes is None:
        raise ShapeError(f"the chain {name!r} stands for no matrix: make it with MPO.from_matrix.")
    if isinstance(chain, QuantizedChain):
        for k, (codes, scales) in enumerate(zip(chain.codes, chain.scales, strict=True)):
            parts[f"{name}.codes{k}"], parts[f"{name}.scales{k}"] = codes, scales
        shapes = [[leg.dim for leg in legs] for legs in chain.legs]
        entry: dict[str, Any] = {"kind": "quantized", "bits": chain.bits, "numbers": chain.kind}
    else:
        shapes, entry = [list(tensor.shape) for tensor in chain.tensors], {"kind": "chain"}
        for k, tensor in enumerate(chain.tensors):
            core = np.ascontiguousarray(chain.backend.to_host(tensor.array).astype(chain.dtype))
            # complex numbers as pairs on a last axis: readers know no complex double precision
            pairs = core.dtype.kind == "c"
            parts[f"{name}.core{k}"] = core.view(core.real.dtype).reshape(*core.shape, -1) if pairs else core
    for side, axis in (("rows", chain.axes.rows), ("columns", chain.axes.columns)):
        if axis.places is not None:
            parts[f"{name}.{side}"] = np.array(axis.places, dtype=np.int64)
    return entry | {
        "sites": len(shapes),
        "shape": chain.axes.shape,
        "dtype": str(chain.dtype),
        "ranks": [shape[3] for shape in shapes[:-1]],
        "cores": shapes,
    }


class ChainFile(Mapping[str, MPO]):
    """The chains of a file by name, each read when it is asked for; the seal is checked when the file is opened.

    key: the one it was signed with; a file that another key signed, or none, is refused then. Raises FileForeignError,
    FileTooNewError, FileCorruptError or FileError, and loads nothing. `notes` and `source_sha256` are what
    `save_chains` was given; `layout` tells kind, shape, dtype and ranks of every chain; `arrays` names the others.
    """

    def __init__(self, path: str | Path, *, key: bytes | None = None) -> None:
        self._file = SafetensorsFile(path)
        check_seal(self._file.path, self._file.head, self._file.metadata, key)
        metadata = migrated(self._file.path, self._file.metadata)
        self.path = self._file.path
        self.version = int(metadata["version"])
        self.is_signed = metadata["hmac"] not in ("", BLANK)
        self.source_sha256: str = metadata["source_sha256"]
        self.notes: dict[str, Any] = metadata["notes"]
        self.layout: dict[str, Any] = metadata["chains"]

    def __repr__(self) -> str:
        return f"ChainFile({str(self.path)!r}, {len(self)} chains, {len(self.arrays)} other arrays)"

    def check_source(self, checkpoint: str | Path) -> None:
        """FileError unless the chains were made from this very checkpoint (a file, or a SHA-256)."""
        if _source_hash(checkpoint) != self.source_sha256:
            raise FileError(
                f"{self._file.path} was not made from {checkpoint} as it is now (SHA-256 differs): compress it again."
            )

    def __len__(self) -> int:
        return len(self.layout)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout)

    def __getitem__(self, name: str) -> MPO:
        if (small := self.quantized(name)) is not None:
            return small.to_mpo()
        entry = self.layout[name]
        dtype = np.dtype(entry["dtype"])
        cores = [self._core(f"{name}.core{k}", dtype) for k in range(entry["sites"])]
        return MPO(cores, axes=self._axes(name, [core.shape for core in cores]))

    def quantized(self, name: str) -> QuantizedChain | None:
        """Codes and scales of a chain in few bits; None where it is in floating point."""
        entry = self.layout[name]
        if entry["kind"] != "quantized":
            return None
        sites = range(entry["sites"])
        return QuantizedChain(
            codes=tuple(self._file.read(f"{name}.codes{k}") for k in sites),
            scales=tuple(self._file.read(f"{name}.scales{k}") for k in sites),
            bits=entry["bits"],
            legs=tuple(core_legs(shape) for shape in entry["cores"]),
            dtype=np.dtype(entry["dtype"]),
            axes=self._axes(name, entry["cores"]),
            kind=entry["numbers"],
        )

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that are no chains."""
        return tuple(name.removeprefix("array.") for name in self._file.entries if name.startswith("array."))

    def array(self, name: str) -> np.ndarray:
        """One of the arrays that are no chains."""
        return self._file.read(f"array.{name}")

    def _core(self, name: str, dtype: np.dtype) -> Tensor:
        array = self._file.read(name)
        array = array.view(dtype)[..., 0] if dtype.kind == "c" else array
        return core_tensor(np.ascontiguousarray(array))

    def _axes(self, name: str, shapes: list[Any]) -> MatrixAxes:
        sides = zip(("rows", "columns"), self.layout[name]["shape"], (1, 2), strict=True)
        return MatrixAxes(
            *(self._axis(f"{name}.{side}", size, tuple(shape[axis] for shape in shapes)) for side, size, axis in sides)
        )

    def _axis(self, name: str, size: int, dims: tuple[int, ...]) -> MatrixAxis:
        if name not in self._file.entries:
            return MatrixAxis(size, dims)
        places = self._file.read(name)
        if not np.array_equal(np.sort(places), np.arange(prod(dims))):
            raise FileCorruptError(f"{name} in {self._file.path} holds no permutation of {prod(dims)} places.")
        return MatrixAxis(size, dims, tuple(places.tolist()))
