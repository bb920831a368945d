"""PEPS and results of their algorithms in HDF5 files, and the observer that saves a run while it goes on.

legs      what the five legs of a site tensor are, their flows, and how rows are counted
job       TOML: what it was made from, empty where it was not made from a job
thing     a PEPS, finite or infinite, with or without weights, or a result with its history, see `tnsim.io.tree`
"""

from pathlib import Path
from typing import Any

import h5py

from tnsim.algorithms.evolution.evolution_report import EvolutionReport, Evolved
from tnsim.algorithms.peps.finite.boundary_measurement import PlaneMeasurement
from tnsim.algorithms.peps.ground_state import PEPSResult, unmeasured
from tnsim.algorithms.peps.infinite.energy_certificate import InfiniteCertificate
from tnsim.algorithms.peps.infinite.infinite_measure import InfiniteMeasurement
from tnsim.algorithms.peps.variational.cell_environment import CellEnvironment, Surrounded
from tnsim.algorithms.peps.variational.cell_pattern import CellPattern
from tnsim.algorithms.peps.variational.environments import Converged
from tnsim.algorithms.peps.variational.finite_problem import Swept
from tnsim.algorithms.peps.variational.minimization import (
    Attempt,
    EnergyCertificate,
    MinimizationReport,
    MinimizedState,
    Place,
)
from tnsim.algorithms.peps.variational.symmetric_environment import SymmetricEnvironment
from tnsim.algorithms.plane.corner_certificate import Certificate
from tnsim.algorithms.solution import Status
from tnsim.errors import FileForeignError
from tnsim.io.atomic import replace_file
from tnsim.io.evolved import EvolutionCheckpointer
from tnsim.io.hdf5 import get_text, open_file, put_text, write_file
from tnsim.io.tree import get_tree, put_tree
from tnsim.linalg import Spectrum
from tnsim.linalg.lbfgs import LBFGS
from tnsim.networks.peps import PEPS, CylinderPEPS, InfinitePEPS
from tnsim.networks.peps.weighted import WeightedPEPS, without_weights
from tnsim.networks.sites import Site
from tnsim.symmetry import Group

KIND = "peps"
LEGS = "north east south west phys; flows +1 -1 -1 +1 +1; row 0 is the northernmost, columns run east"
PEPSThing = PEPS | InfinitePEPS | WeightedPEPS | PEPSResult | MinimizedState
PEPS_THINGS = (PEPS, CylinderPEPS, InfinitePEPS, WeightedPEPS, PEPSResult, MinimizedState)
_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *PEPS_THINGS, Evolved, EvolutionReport, Status, PlaneMeasurement, InfiniteMeasurement, InfiniteCertificate,
        Certificate, MinimizationReport, EnergyCertificate, Attempt, Place, LBFGS, Converged,
        SymmetricEnvironment, CellEnvironment, Surrounded, CellPattern, Swept, Spectrum, Site, Group,
    )
}  # fmt: skip


def write_peps(path: Path, thing: PEPSThing, *, keep: int = 1, job: str = "") -> None:
    """Write a file atomically and keep its last versions. Raises OSError (FileError) on failure."""

    def fill(file: h5py.File) -> None:
        put_text(file, "legs", LEGS)
        put_text(file, "job", job)
        put_tree(file, "thing", thing, _CLASSES)

    replace_file(path, lambda target: write_file(target, KIND, fill), keep=keep, size=_bytes(thing) + (1 << 20))


def get_peps(file: h5py.File) -> PEPSThing:
    """What a file holds; data lands on the host. Raises FileForeignError for tensors whose legs mean something else."""
    if get_text(file, "legs") != LEGS:
        raise FileForeignError(f"{file.filename} has legs {get_text(file, 'legs')!r}, this version knows {LEGS!r}.")
    return get_tree(file, "thing", _CLASSES)


def load_peps_job(path: str | Path) -> str:
    """The job of a file as TOML text; empty where there is none. Raises FileForeignError for other files."""
    with open_file(Path(path)) as file:
        if str(file.attrs["kind"]) != KIND:
            raise FileForeignError(f"{path} holds a {file.attrs['kind']}, not a PEPS.")
        return get_text(file, "job")


def _bytes(thing: Any) -> int:
    """Of all tensors of the states."""
    states = [getattr(thing, "state", thing), *([thing.prepared.state] if isinstance(thing, PEPSResult) else [])]
    plain = map(without_weights, states)
    return sum(tensor.size * tensor.dtype.itemsize for psi in plain for tensor in psi.tensors)


class PEPSCheckpointer(EvolutionCheckpointer):
    """An observer that saves a search so many seconds after its last save, but not in over a tenth of the time.

    `tnsim.load(path)` is what `resume` takes: `search.solve(H, psi, resume=found)`.
    """

    def step(self, report: Any, run: Any) -> None:
        if isinstance(report, EvolutionReport | MinimizationReport) and self._is_time():
            self.save(run)

    def write(self, run: Any) -> None:
        write_peps(self.path, unmeasured(run.so_far()), keep=self.keep, job=self.job)
