"""`save` and `load` of single objects."""

from pathlib import Path

from tnsim.errors import FileError, FileForeignError
from tnsim.io.atomic import check_writable, replace_file
from tnsim.io.hdf5 import (
    get_chain,
    get_symmetry,
    get_tensor,
    open_file,
    put_chain,
    put_symmetry,
    put_tensor,
    write_file,
)
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.tensor import Tensor


def save(path: str | Path, thing: Tensor | MPS | MPO) -> Path:
    """Write a tensor, state or operator to an HDF5 file, atomically; returns the path.

    Raises FileError where the path cannot be written.
    """
    path = Path(path)
    if not isinstance(thing, (Tensor, MPS, MPO)):
        raise FileError(
            f"a Tensor, MPS or MPO can be saved, found {type(thing).__name__}: of a result save .state, "
            "of an OperatorSum the MPO."
        )
    check_writable(path)

    def fill(file) -> None:
        if isinstance(thing, Tensor):
            put_symmetry(file, thing.group)
            put_tensor(file, "thing", thing)
        else:
            put_chain(file, "thing", thing)

    kind = "tensor" if isinstance(thing, Tensor) else "mps" if isinstance(thing, MPS) else "mpo"
    replace_file(path, lambda target: write_file(target, kind, fill))
    return path


def load(path: str | Path) -> Tensor | MPS | MPO:
    """Read what `save` wrote, or the state of a run file; data lands on the host.

    Raises FileError, FileForeignError, FileCorruptError or FileTooNewError, naming the file.
    """
    with open_file(Path(path)) as file:
        kind = str(file.attrs["kind"])
        if kind == "tensor":
            return get_tensor(file["thing"], get_symmetry(file))
        if kind in ("mps", "mpo"):
            return get_chain(file["thing"])
        if kind == "run":
            return get_chain(file["state"])
    raise FileForeignError(f"{path} holds a {kind!r}, which is nothing that can be loaded.")
