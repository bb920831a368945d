"""Contractions in the plane in HDF5 files, and the observer that saves one while it goes on.

job       TOML: what it was made from, empty where it was not made from a job
result    the result with its environment, boundaries or cell, history and status, see `tnsim.io.tree`
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tnsim.algorithms.plane.boundary_sum import Boundary, BoundaryReport, BoundarySum
from tnsim.algorithms.plane.coarse_cell import CoarseCell, Patch
from tnsim.algorithms.plane.coarse_graining import CoarseGrained, CoarseReport
from tnsim.algorithms.plane.corner_environment import CornerEnvironment
from tnsim.algorithms.plane.ctmrg import CornerReport, CornerSolution
from tnsim.algorithms.plane.directional_environment import DirectionalEnvironment, Surroundings
from tnsim.algorithms.plane.infinite_boundary import InfiniteBoundaryReport, InfiniteBoundarySum
from tnsim.algorithms.solution import Status
from tnsim.errors import FileForeignError
from tnsim.io.atomic import replace_file
from tnsim.io.evolved import EvolutionCheckpointer
from tnsim.io.hdf5 import get_text, open_file, put_text, write_file
from tnsim.io.tree import get_tree, put_tree
from tnsim.linalg import Spectrum
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.symmetry import Group
from tnsim.tensor import Tensor

KIND = "plane"
PlaneResult = CornerSolution | CoarseGrained | InfiniteBoundarySum | BoundarySum
PLANE_RESULTS = (CornerSolution, CoarseGrained, InfiniteBoundarySum, BoundarySum)
_PARTS = (
    *PLANE_RESULTS, Boundary, BoundaryReport, MPS, CornerReport, CoarseReport, InfiniteBoundaryReport, Status,
    CornerEnvironment, DirectionalEnvironment, Surroundings, InfiniteMPS, InfiniteNetwork, Site, Group, Spectrum, Patch,
)  # fmt: skip


def _classes() -> dict[str, type]:
    """Everything that a result is made of; cells are those of all steps that are loaded."""
    return {cls.__name__: cls for cls in (*_PARTS, *_below(CoarseCell))}


def _below(cls: type) -> Iterator[type]:
    child: type
    for child in cls.__subclasses__():
        yield child
        yield from _below(child)


def write_plane(path: Path, result: PlaneResult, *, keep: int = 1, job: str = "") -> None:
    """Write a file atomically and keep its last versions. Raises OSError (FileError) on failure."""

    def fill(file: h5py.File) -> None:
        put_text(file, "job", job)
        put_tree(file, "result", result, _classes())

    size = _bytes(result) + (1 << 20)
    replace_file(path, lambda target: write_file(target, KIND, fill), keep=keep, size=size)


def get_plane(file: h5py.File) -> PlaneResult:
    """The result in a file; data lands on the host."""
    return get_tree(file, "result", _classes())


def load_plane_job(path: str | Path) -> str:
    """The job of a file as TOML text; empty where there is none. Raises FileForeignError for other files."""
    with open_file(Path(path)) as file:
        if str(file.attrs["kind"]) != KIND:
            raise FileForeignError(f"{path} holds a {file.attrs['kind']}, not a contraction in the plane.")
        return get_text(file, "job")


def _bytes(value: Any) -> int:
    """Of all tensors and arrays in a result."""
    if isinstance(value, Tensor):
        return value.size * value.dtype.itemsize
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple | list):
        return sum(map(_bytes, value))
    if hasattr(value, "values") and callable(value.values):
        return sum(map(_bytes, value.values()))
    return sum(map(_bytes, vars(value).values())) if type(value) in _classes().values() else 0


class PlaneCheckpointer(EvolutionCheckpointer):
    """An observer that saves a contraction so many seconds after its last save, but not in over a tenth of the time.

    `tnsim.load(path)` is what `resume` takes: `ctmrg.solve(network, resume=found)`.
    """

    def write(self, run: Any) -> None:
        write_plane(self.path, run.so_far(), keep=self.keep, job=self.job)
