"""`save` and `load` of single objects."""

from pathlib import Path

from tnsim.algorithms.evolution.evolution import Evolved
from tnsim.errors import FileError, FileForeignError
from tnsim.io.atomic import check_writable, replace_file
from tnsim.io.evolved import KIND, get_evolved, write_evolved
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
from tnsim.io.infinite import get_infinite, get_state, put_infinite
from tnsim.io.peps import KIND as PLANE_STATE
from tnsim.io.peps import PEPS_THINGS, PEPSThing, get_peps, write_peps
from tnsim.io.plane import KIND as PLANE
from tnsim.io.plane import PLANE_RESULTS, PlaneResult, get_plane, write_plane
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.tensor import Tensor

Thing = Tensor | MPS | MPO | InfiniteMPS | InfiniteMPO | Evolved | PlaneResult | PEPSThing
_KINDS: dict[type, str] = {
    Tensor: "tensor", MPS: "mps", MPO: "mpo", InfiniteMPS: "infinite mps", InfiniteMPO: "infinite mpo",
    Evolved: KIND, **dict.fromkeys(PLANE_RESULTS, PLANE), **dict.fromkeys(PEPS_THINGS, PLANE_STATE),
}  # fmt: skip


def save(path: str | Path, thing: Thing) -> Path:
    """Write a tensor, state (MPS or PEPS) or operator, an evolution or a contraction in the plane, atomically.

    Returns the path. Raises FileError where it cannot be written, and for anything else.
    """
    path = Path(path)
    if type(thing) not in _KINDS:
        raise FileError(
            f"a Tensor, a state or an MPO (finite or infinite), an evolution or a contraction in the plane can be "
            f"saved, found {type(thing).__name__}: of another result save .state, of an OperatorSum the MPO."
        )
    check_writable(path)
    if isinstance(thing, Evolved):
        write_evolved(path, thing)
        return path
    if isinstance(thing, PLANE_RESULTS):
        write_plane(path, thing)
        return path
    if isinstance(thing, PEPS_THINGS):
        write_peps(path, thing)
        return path

    def fill(file) -> None:
        if isinstance(thing, Tensor):
            put_symmetry(file, thing.group)
            put_tensor(file, "thing", thing)
        elif isinstance(thing, InfiniteMPS | InfiniteMPO):
            put_infinite(file, "thing", thing)
        else:
            put_chain(file, "thing", thing)

    replace_file(path, lambda target: write_file(target, _KINDS[type(thing)], fill))
    return path


def load(path: str | Path) -> Thing:
    """Read what `save` wrote, or the state of a run file; data lands on the host.

    Raises FileError, FileForeignError, FileCorruptError or FileTooNewError, naming the file.
    """
    with open_file(Path(path)) as file:
        kind = str(file.attrs["kind"])
        if kind == "tensor":
            return get_tensor(file["thing"], get_symmetry(file))
        if kind in ("mps", "mpo"):
            return get_chain(file["thing"])
        if kind in ("infinite mps", "infinite mpo"):
            return get_infinite(file["thing"])
        if kind == KIND:
            return get_evolved(file)
        if kind == PLANE:
            return get_plane(file)
        if kind == PLANE_STATE:
            return get_peps(file)
        if kind == "run":
            return get_state(file["state"])
    raise FileForeignError(f"{path} holds a {kind!r}, which is nothing that can be loaded.")
