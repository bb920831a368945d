"""Chains of a whole network in one safetensors file, sealed, with what is needed to trust it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.errors import FileCorruptError, FileError, FileForeignError, FileTooNewError, ShapeError
from tnsim.io.safetensors import SafetensorsFile, encode, write_safetensors
from tnsim.networks.matrix_index import MatrixAxes, MatrixAxis
from tnsim.networks.mpo import MPO
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor
from tnsim.version import __version__

_FORMAT, _VERSION = "tnsim chains", 1
_BLANK = "0" * 64
_FLOWS = (1, 1, -1, -1)


def save_chains(
    path: str | Path,
    chains: Mapping[str, MPO],
    *,
    source: str | Path | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Path:
    """Write chains by name (those of `MPO.from_matrix`) to a file that any safetensors reader opens.

    source: the checkpoint that they replace; its SHA-256 is kept, and `ChainFile.check_source` asks for it. notes:
    anything that JSON holds (seed, settings, metrics). The file is sealed by a SHA-256 of header and data, and replaces
    an older one in one step.
    """
    arrays: dict[str, np.ndarray] = {}
    layout = {name: _put(arrays, name, chain) for name, chain in chains.items()}
    metadata = {
        "format": _FORMAT,
        "version": str(_VERSION),
        "tnsim": __version__,
        "sha256": _BLANK,
        "source_sha256": _file_hash(Path(source)) if source is not None else "",
        "chains": json.dumps(layout),
        "notes": json.dumps(dict(notes or {})),
    }
    head, parts = encode(arrays, metadata)
    write_safetensors(Path(path), _sealed(head, _BLANK, _hash(head, parts)), parts)
    return Path(path)


def _put(arrays: dict[str, np.ndarray], name: str, chain: MPO) -> dict[str, Any]:
    if chain.axes is None:
        raise ShapeError(f"the chain {name!r} stands for no matrix: make it with MPO.from_matrix.")
    for k, tensor in enumerate(chain.tensors):
        core = np.ascontiguousarray(chain.backend.to_host(tensor.array).astype(chain.dtype))
        # complex numbers as pairs on a last axis: readers know no complex double precision
        arrays[f"{name}.core{k}"] = (
            core.view(core.real.dtype).reshape(*core.shape, -1) if core.dtype.kind == "c" else core
        )
    for side, axis in (("rows", chain.axes.rows), ("columns", chain.axes.columns)):
        if axis.places is not None:
            arrays[f"{name}.{side}"] = np.array(axis.places, dtype=np.int64)
    return {"sites": chain.L, "shape": chain.axes.shape, "dtype": str(chain.dtype)}


class ChainFile(Mapping[str, MPO]):
    """The chains of a file by name, each read when it is asked for; the seal is checked when the file is opened.

    Raises FileForeignError, FileTooNewError or FileCorruptError, and loads nothing then. `notes` and `source_sha256`
    are what `save_chains` was given.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = SafetensorsFile(path)
        metadata = self._file.metadata
        if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
            raise FileForeignError(f"{path} is a safetensors file, but holds no chains of tnsim.")
        self._check_seal(str(metadata.get("sha256")))
        if int(metadata["version"]) > _VERSION:
            raise FileTooNewError(f"{path} has version {metadata['version']}, this tnsim knows {_VERSION}: update it.")
        self.source_sha256: str = metadata["source_sha256"]
        self.notes: dict[str, Any] = json.loads(metadata["notes"])
        self._layout: dict[str, Any] = json.loads(metadata["chains"])

    def _check_seal(self, seal: str) -> None:
        blank = _sealed(self._file.head, seal, _BLANK)
        digest = hashlib.sha256(blank)
        with self._file.path.open("rb") as file:
            file.seek(len(blank))
            while piece := file.read(1 << 20):
                digest.update(piece)
        if digest.hexdigest() != seal:
            raise FileCorruptError(f"{self._file.path} is damaged or was changed: its seal does not fit its content.")

    def check_source(self, checkpoint: str | Path) -> None:
        """FileError unless the chains were made from this very checkpoint."""
        if _file_hash(Path(checkpoint)) != self.source_sha256:
            raise FileError(
                f"{self._file.path} was not made from {checkpoint} as it is now (SHA-256 differs): compress it again."
            )

    def __len__(self) -> int:
        return len(self._layout)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout)

    def __getitem__(self, name: str) -> MPO:
        entry = self._layout[name]
        dtype = np.dtype(entry["dtype"])
        cores = [self._core(f"{name}.core{k}", dtype) for k in range(entry["sites"])]
        sides = (
            self._axis(f"{name}.{side}", size, tuple(core.shape[axis] for core in cores))
            for side, size, axis in (("rows", entry["shape"][0], 1), ("columns", entry["shape"][1], 2))
        )
        return MPO(cores, axes=MatrixAxes(*sides))

    def _core(self, name: str, dtype: np.dtype) -> Tensor:
        array = self._file.read(name)
        array = array.view(dtype)[..., 0] if dtype.kind == "c" else array
        legs = [trivial_leg(d, flow) for d, flow in zip(array.shape, _FLOWS, strict=True)]
        return Tensor(legs, np.ascontiguousarray(array).reshape(-1))

    def _axis(self, name: str, size: int, dims: tuple[int, ...]) -> MatrixAxis:
        if name not in self._file.entries:
            return MatrixAxis(size, dims)
        places = self._file.read(name)
        if not np.array_equal(np.sort(places), np.arange(prod(dims))):
            raise FileCorruptError(f"{name} in {self._file.path} holds no permutation of {prod(dims)} places.")
        return MatrixAxis(size, dims, tuple(places.tolist()))


def _sealed(head: bytes, old: str, new: str) -> bytes:
    """The header with another seal of the same length; the seal stands where its name stands first."""
    return head.replace(f'"sha256":"{old}"'.encode(), f'"sha256":"{new}"'.encode(), 1)


def _hash(head: bytes, parts: list[bytes]) -> str:
    digest = hashlib.sha256(head)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"the checkpoint {path} cannot be read: {error.strerror}.") from error
