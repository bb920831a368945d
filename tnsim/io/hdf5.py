"""Tensors, states and operators in HDF5, schema 1: flat buffers under one checksum, and nothing that is executed.

512 bytes    "tnsim", schema, version, bytes, and the sha256 of all bytes that follow, a line each
/            format = "tnsim", schema = 1, kind, versions, host, created
NAME/        an MPS or MPO: attributes kind, center or is_hermitian
  sites/K      one kind of site: attributes name, states, charges, group; a dataset for each operator
  site_of      which kind each site is
  tensors/I    the flat buffer of site I, its legs and charge as integer attributes
  rows, columns   of an MPO that is a matrix: the place of every product state in it; attribute size
"""

import hashlib
import json
import os
import platform
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tnsim.errors import FileCorruptError, FileError, FileForeignError, FileTooNewError, TnsimError
from tnsim.networks.matrix_index import MatrixAxes, MatrixAxis
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site
from tnsim.symmetry import Group, Leg
from tnsim.tensor import Tensor
from tnsim.version import __version__

SCHEMA = 1
# bytes before the HDF5 part: what HDF5 calls a user block
_SEAL = 512
_DTYPES = ("float32", "float64", "complex64", "complex128")


# -- files ---------------------------------------------------------------------------------------------


def write_file(path: Path, kind: str, fill: Any) -> None:
    """Create a file, let `fill(file)` write into it, then seal it with a checksum of every byte."""
    with path.open("wb+") as raw:
        target = _Patient(raw)
        with h5py.File(target, "w", libver=("v110", "v114"), userblock_size=_SEAL) as file:
            file.attrs.update(
                format="tnsim", schema=SCHEMA, kind=kind, host=socket.gethostname(),
                created=datetime.now(UTC).isoformat(timespec="seconds"), versions=json.dumps(versions()),
            )  # fmt: skip
            fill(file)
        if target.error is not None:
            raise target.error
        seal = _seal(SCHEMA, __version__, raw)
        raw.seek(0)
        raw.write(seal)


class _Patient:
    """A file that keeps the first failure to itself: the HDF5 library crashes the process when a write fails."""

    def __init__(self, raw: BufferedRandom) -> None:
        self.raw = raw
        self.error: OSError | None = None
        self.read, self.readinto, self.seek, self.tell = raw.read, raw.readinto, raw.seek, raw.tell

    def write(self, data: memoryview) -> int:
        return self._try(self.raw.write, data) or len(data)

    def truncate(self, size: int) -> int:
        return self._try(self.raw.truncate, size) or size

    def flush(self) -> None:
        self._try(self.raw.flush)

    def _try(self, action: Callable[..., Any], *arguments: Any) -> Any:
        if self.error is None:
            try:
                return action(*arguments)
            except OSError as error:
                self.error = error
        return None


def _seal(schema: int, version: str, raw: BufferedReader | BufferedRandom) -> bytes:
    """The first bytes of a file whose other bytes are these: HDF5 readers skip them."""
    size = raw.seek(0, os.SEEK_END)
    raw.seek(_SEAL)
    digest = hashlib.file_digest(raw, "sha256").hexdigest()
    text = f"tnsim\nschema {schema}\nversion {version}\nbytes {size}\nsha256 {digest}\n"
    return text.encode().ljust(_SEAL, b"\0")


def versions() -> dict[str, str]:
    """Versions of what numbers depend on."""
    libraries = {name: metadata.version(name) for name in ("numpy", "scipy", "numba", "h5py")}
    return {"tnsim": __version__, "python": platform.python_version()} | libraries


@contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """Open a tnsim file for reading; foreign, damaged and newer files are told apart.

    Every byte is checked before HDF5 sees the first: its parser may run for ever on damaged metadata.
    Raises FileError (missing), FileForeignError, FileCorruptError, FileTooNewError.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path} is a folder: name a file in it." if path.is_dir() else f"there is no file {path}.")
    _check_seal(path)
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except TnsimError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, UnicodeDecodeError) as error:
        raise FileCorruptError(f"{path} cannot be read: {str(error).splitlines()[0][:200]}.") from error


def check_replaceable(path: Path, kind: str) -> None:
    """A file of one kind may be replaced by another (it stays as a numbered version), and so may a damaged one.

    Raises FileForeignError where something else stands there.
    """
    try:
        with open_file(path) as file:
            found = str(file.attrs["kind"])
    except FileForeignError as error:
        raise FileForeignError(f"{path} exists and is no file of tnsim: choose another --out ({error})") from error
    except OSError:
        return
    if found != kind:
        raise FileForeignError(f"{path} exists and holds a {found}, no {kind}: choose another --out.")


def header_of(file: h5py.File) -> dict[str, str]:
    """Schema, time, host and versions of what wrote an open file."""
    return {key: str(file.attrs[key]) for key in ("schema", "created", "host", "versions")}


def _check_seal(path: Path) -> None:
    with path.open("rb") as raw:
        head = raw.read(_SEAL)
        if head.startswith(b"\x89HDF"):
            raise FileForeignError(f"{path} is an HDF5 file, but not one of tnsim.")
        if not head.startswith(b"tnsim\n"):
            raise FileForeignError(f"{path} is no tnsim file (or its first bytes are damaged): tnsim writes .h5 files.")
        found = re.match(rb"tnsim\nschema (\d+)\nversion (\S+)\n", head)
        if found is None or head != _seal(int(found[1]), found[2].decode(errors="replace"), raw):
            raise FileCorruptError(f"{path} is damaged or cut short: its bytes do not match their checksum.")
    if int(found[1]) > SCHEMA:
        raise FileTooNewError(
            f"{path} has schema {int(found[1])}, this version reads up to {SCHEMA}: install the tnsim that wrote it "
            f"({found[2].decode()}) or a later one."
        )


def put_text(group: h5py.Group, name: str, text: str) -> None:
    """Text as bytes, so that its length is not bounded by that of an attribute."""
    group[name] = np.frombuffer(text.encode(), dtype=np.uint8)


def get_text(group: h5py.Group, name: str) -> str:
    """Text that `put_text` wrote."""
    return group[name][()].tobytes().decode()


# -- tensors -------------------------------------------------------------------------------------------


def put_tensor(group: h5py.Group, name: str, tensor: Tensor) -> None:
    """The flat buffer; legs as [flow, sectors, dims..., charges...] one after the other."""
    dataset = group.create_dataset(name, data=tensor.backend.to_host(tensor.data))
    numbers: list[int] = []
    for leg in tensor.legs:
        numbers += [leg.flow, len(leg), *leg.dims, *(q for charge in leg.charges for q in charge)]
    dataset.attrs["legs"] = np.array(numbers, dtype=np.int64)
    dataset.attrs["rank"] = tensor.ndim
    dataset.attrs["charge"] = np.array(tensor.charge, dtype=np.int64)


def get_tensor(dataset: h5py.Dataset, group: Group) -> Tensor:
    """A tensor that `put_tensor` wrote, on the host."""
    if str(dataset.dtype) not in _DTYPES:
        raise ValueError(f"{dataset.name} has dtype {dataset.dtype}")
    numbers, width, place, legs = dataset.attrs["legs"].tolist(), len(group.moduli), 0, []
    for _ in range(int(dataset.attrs["rank"])):
        flow, count = numbers[place], numbers[place + 1]
        dims = numbers[place + 2 : place + 2 + count]
        flat = numbers[place + 2 + count : place + 2 + count * (1 + width)]
        charges = [tuple(flat[k * width : (k + 1) * width]) for k in range(count)]
        legs.append(Leg(group, charges, dims, flow))
        place += 2 + count * (1 + width)
    return Tensor(legs, dataset[()], tuple(dataset.attrs["charge"].tolist()))


def put_symmetry(target: h5py.Group, group: Group) -> None:
    """The symmetry group as attributes."""
    target.attrs["group_names"] = json.dumps(group.names)
    target.attrs["group_moduli"] = np.array(group.moduli, dtype=np.int64)
    if group.fermionic:
        target.attrs["group_fermionic"] = np.array(group.fermionic, dtype=np.int64)


def get_symmetry(source: h5py.Group) -> Group:
    """The symmetry group that `put_symmetry` wrote."""
    fermionic = tuple(map(int, source.attrs.get("group_fermionic", ())))
    names, moduli = json.loads(source.attrs["group_names"]), source.attrs["group_moduli"].tolist()
    return Group(tuple(names), tuple(moduli), fermionic)


# -- chains --------------------------------------------------------------------------------------------


def put_chain(parent: h5py.Group, name: str, chain: MPS | MPO) -> None:
    """An MPS or MPO as a group."""
    target = parent.create_group(name)
    target.attrs["kind"] = "mps" if isinstance(chain, MPS) else "mpo"
    put_symmetry(target, chain.tensors[0].group)
    if isinstance(chain, MPS):
        target.attrs["center"] = -1 if chain.center is None else chain.center
    else:
        target.attrs["is_hermitian"] = {True: 1, False: 0, None: -1}[chain.is_hermitian]
        _put_axes(target, chain.axes)
    if chain.sites is not None:
        put_sites(target, chain.sites)
    put_tensors(target, "tensors", chain.tensors)


def get_chain(source: h5py.Group) -> MPS | MPO:
    """An MPS or MPO that `put_chain` wrote, on the host."""
    group = get_symmetry(source)
    sites = get_sites(source, group) if "site_of" in source else None
    tensors = get_tensors(source, "tensors", group)
    if source.attrs["kind"] == "mps":
        center = int(source.attrs["center"])
        return MPS(tensors, sites or (), None if center < 0 else center)
    hermitian = {1: True, 0: False, -1: None}[int(source.attrs["is_hermitian"])]
    return MPO(tensors, sites, is_hermitian=hermitian, axes=_get_axes(source, tensors))


def _put_axes(target: h5py.Group, axes: MatrixAxes | None) -> None:
    """Which row and column of a matrix every product state of the legs stands for, where a matrix is meant."""
    for name, axis in (("rows", axes.rows), ("columns", axes.columns)) if axes else ():
        places = np.arange(axis.size + axis.padding) if axis.places is None else np.array(axis.places)
        target.create_dataset(name, data=places.astype(np.int64)).attrs["size"] = axis.size


def _get_axes(source: h5py.Group, tensors: Sequence[Tensor]) -> MatrixAxes | None:
    if "rows" not in source:
        return None
    sides = []
    for name, leg in (("rows", 1), ("columns", 2)):
        dims, places = tuple(tensor.shape[leg] for tensor in tensors), source[name][()]
        if not np.array_equal(np.sort(places), np.arange(np.prod(dims))):
            raise FileCorruptError(f"{name} of {source.name} hold no permutation of {np.prod(dims)} places.")
        in_order = bool((places == np.arange(len(places))).all())
        sides.append(MatrixAxis(int(source[name].attrs["size"]), dims, None if in_order else tuple(places.tolist())))
    return MatrixAxes(*sides)


def put_tensors(parent: h5py.Group, name: str, tensors: Sequence[Tensor]) -> None:
    """Tensors by their number."""
    folder = parent.create_group(name)
    for i, tensor in enumerate(tensors):
        put_tensor(folder, str(i), tensor)


def get_tensors(parent: h5py.Group, name: str, group: Group) -> list[Tensor]:
    """The tensors that `put_tensors` wrote."""
    return [get_tensor(parent[name][str(i)], group) for i in range(len(parent[name]))]


def put_sites(target: h5py.Group, sites: Sequence[Site]) -> None:
    """Every kind of site once, and which one stands where."""
    kinds = list(dict.fromkeys(sites))
    folder = target.create_group("sites")
    for number, site in enumerate(kinds):
        _put_site(folder.create_group(str(number)), site)
    target["site_of"] = np.array([kinds.index(site) for site in sites], dtype=np.int64)


def get_sites(source: h5py.Group, group: Group) -> list[Site]:
    """The sites that `put_sites` wrote."""
    kinds = [_get_site(source["sites"][str(k)], group) for k in range(len(source["sites"]))]
    return [kinds[k] for k in source["site_of"][()].tolist()]


def _put_site(target: h5py.Group, site: Site) -> None:
    target.attrs["name"] = site.name
    target.attrs["states"] = json.dumps(site.states)
    target.attrs["aliases"] = json.dumps(dict(site.aliases))
    target.attrs["charges"] = np.array(site.charges, dtype=np.int64).reshape(len(site.states), -1)
    target.attrs["parities"] = np.array(site.parities, dtype=np.int64)
    target.attrs["operator_names"] = json.dumps(list(site.operators))
    for number, matrix in enumerate(site.operators.values()):
        target[str(number)] = np.asarray(matrix)


def _get_site(source: h5py.Group, group: Group) -> Site:
    names = json.loads(source.attrs["operator_names"])
    return Site(
        name=str(source.attrs["name"]),
        states=tuple(json.loads(source.attrs["states"])),
        group=group,
        charges=tuple(tuple(row) for row in source.attrs["charges"].tolist()),
        operators={name: source[str(k)][()] for k, name in enumerate(names)},
        aliases=json.loads(source.attrs["aliases"]),
        parities=tuple(source.attrs["parities"].tolist()) if "parities" in source.attrs else (),
    )
