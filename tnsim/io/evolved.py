"""Evolutions in HDF5 files, and the observer that saves one while it goes on.

status    JSON: how it ended
history   JSON: the reports
state     the state at the last report; of a PEPS see `tnsim.io.tree`
records   one dataset for each, first axis that of the reports
job       TOML: what it was made from, empty where it was not made from a job
"""

import json
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py

from tnsim.algorithms.evolution.evolution import EvolutionReport, Evolved
from tnsim.algorithms.solution import Status
from tnsim.errors import FileError, FileForeignError
from tnsim.io.atomic import check_writable, replace_file
from tnsim.io.hdf5 import get_chain, get_text, open_file, put_chain, put_text, write_file
from tnsim.io.infinite import get_infinite, put_infinite
from tnsim.io.tree import get_tree, put_tree
from tnsim.linalg import Spectrum
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.peps import PEPS, CylinderPEPS, InfinitePEPS
from tnsim.networks.peps.weighted import WeightedPEPS, without_weights
from tnsim.networks.sites import Site
from tnsim.symmetry import Group

KIND = "evolution"
# what states in the plane are made of
_PLANE: dict[str, type] = {
    cls.__name__: cls for cls in (WeightedPEPS, PEPS, CylinderPEPS, InfinitePEPS, Spectrum, Site, Group)
}


def put_evolved(file: h5py.File, evolved: Evolved, job: str = "") -> None:
    """An evolution, and the job that it was made from, as the content of a file.

    Raises FileError for a record that is no array of numbers.
    """
    put_text(file, "job", job)
    put_text(file, "status", json.dumps(asdict(evolved.status)))
    put_text(file, "history", json.dumps([asdict(report) for report in evolved.history]))
    _put_state(file, evolved.state)
    put_text(file, "names", json.dumps(list(evolved.records)))
    folder = file.create_group("records")
    for number, (name, values) in enumerate(evolved.records.items()):
        if values.dtype.kind not in "biufc":
            raise FileError(f"the record {name!r} holds {values.dtype} data: only numbers can be saved, observe those.")
        folder[str(number)] = values


def get_evolved(file: h5py.File) -> Evolved:
    """What `put_evolved` wrote; data lands on the host."""
    history = tuple(EvolutionReport(**report) for report in json.loads(get_text(file, "history")))
    names = json.loads(get_text(file, "names"))
    records = {name: file["records"][str(number)][()] for number, name in enumerate(names)}
    return Evolved(_get_state(file), Status(**json.loads(get_text(file, "status"))), history, MappingProxyType(records))


def _put_state(file: h5py.File, state: Any) -> None:
    if isinstance(state, WeightedPEPS):
        put_tree(file, "state", state, _PLANE)
    else:
        (put_infinite if isinstance(state, InfiniteMPS) else put_chain)(file, "state", state)


def _get_state(file: h5py.File) -> Any:
    if "class" in file["state"].attrs:
        return get_tree(file, "state", _PLANE)
    return get_infinite(file["state"]) if "AL" in file["state"] else get_chain(file["state"])


def load_job(path: str | Path) -> str:
    """The job of an evolution file as TOML text; empty where there is none. Raises FileForeignError for other files."""
    with open_file(Path(path)) as file:
        if str(file.attrs["kind"]) != KIND:
            raise FileForeignError(f"{path} holds a {file.attrs['kind']}, not an evolution.")
        return get_text(file, "job")


def write_evolved(path: Path, evolved: Evolved, *, keep: int = 1, job: str = "") -> None:
    """Write a file atomically and keep its last versions. Raises OSError (FileError) on failure."""
    state = without_weights(evolved.state)
    tensors = (*state.AL, *state.AR, *state.C) if isinstance(state, InfiniteMPS) else state.tensors
    numbers = sum(tensor.size * tensor.dtype.itemsize for tensor in tensors)
    size = numbers + sum(values.nbytes for values in evolved.records.values()) + (1 << 20)

    def write(target: Path) -> None:
        write_file(target, KIND, lambda file: put_evolved(file, evolved, job))

    replace_file(path, write, keep=keep, size=size)


class EvolutionCheckpointer:
    """An observer that saves an evolution so many seconds after its last save, but not in over a tenth of the time.

    `tnsim.load(path)` is what `resume` takes: `evolution.run(H, found.state, time=..., resume=found)`. A failed save
    warns and the evolution goes on. Raises FileError at once where the path cannot be written.
    """

    def __init__(self, path: str | Path, *, seconds: float = 300.0, keep: int = 2, job: str = "") -> None:
        self.path, self.seconds, self.keep, self.job = Path(path), seconds, keep, job
        check_writable(self.path)
        self._last, self._cost = time.monotonic(), 0.0

    def step(self, report: Any, run: Any) -> None:
        if self._is_time():
            self.save(run)

    def _is_time(self) -> bool:
        return time.monotonic() - self._last >= max(self.seconds, 9 * self._cost)

    def save(self, run: Any) -> bool:
        """Write a checkpoint now; False where the disk refused, and the last one is still there."""
        begin = time.monotonic()
        try:
            self.write(run)
        except OSError as error:
            text = f"checkpoint not written ({error}); the previous one is kept, the run goes on."
            warnings.warn(text, stacklevel=2)
            return False
        finally:
            self._last = time.monotonic()
            self._cost = self._last - begin
        return True

    def write(self, run: Any) -> None:
        """The file of the run as it stands; raises OSError where it cannot be written."""
        write_evolved(self.path, run.so_far(), keep=self.keep, job=self.job)
