"""Evolutions in HDF5 files, and the observer that saves one while it goes on.

status    JSON: how it ended
history   JSON: the reports
state     the state at the last report
records   one dataset for each, first axis that of the reports
"""

import json
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py

from tnsim.algorithms.evolution import EvolutionReport, Evolved
from tnsim.algorithms.solution import Status
from tnsim.errors import FileError
from tnsim.io.atomic import check_writable, replace_file
from tnsim.io.hdf5 import get_chain, get_text, put_chain, put_text, write_file
from tnsim.io.infinite import get_infinite, put_infinite
from tnsim.networks.infinite_mps import InfiniteMPS

KIND = "evolution"


def put_evolved(file: h5py.File, evolved: Evolved) -> None:
    """An evolution as the content of a file. Raises FileError for a record that is no array of numbers."""
    put_text(file, "status", json.dumps(asdict(evolved.status)))
    put_text(file, "history", json.dumps([asdict(report) for report in evolved.history]))
    (put_infinite if isinstance(evolved.state, InfiniteMPS) else put_chain)(file, "state", evolved.state)
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
    state = get_infinite(file["state"]) if "AL" in file["state"] else get_chain(file["state"])
    return Evolved(state, Status(**json.loads(get_text(file, "status"))), history, MappingProxyType(records))


def write_evolved(path: Path, evolved: Evolved, *, keep: int = 1) -> None:
    """Write a file atomically and keep its last versions. Raises OSError (FileError) on failure."""
    state = evolved.state
    tensors = (*state.AL, *state.AR, *state.C) if isinstance(state, InfiniteMPS) else state.tensors
    numbers = sum(tensor.size * tensor.dtype.itemsize for tensor in tensors)
    size = numbers + sum(values.nbytes for values in evolved.records.values()) + (1 << 20)
    replace_file(
        path, lambda target: write_file(target, KIND, lambda file: put_evolved(file, evolved)), keep=keep, size=size
    )


class EvolutionCheckpointer:
    """An observer that saves an evolution so many seconds after its last save, but not in over a tenth of the time.

    `tnsim.load(path)` is what `resume` takes: `evolution.run(H, found.state, time=..., resume=found)`. A failed save
    warns and the evolution goes on. Raises FileError at once where the path cannot be written.
    """

    def __init__(self, path: str | Path, *, seconds: float = 300.0, keep: int = 2) -> None:
        self.path, self.seconds, self.keep = Path(path), seconds, keep
        check_writable(self.path)
        self._last, self._cost = time.monotonic(), 0.0

    def step(self, report: EvolutionReport, run: Any) -> None:
        if self._is_time():
            self.save(run)

    def _is_time(self) -> bool:
        return time.monotonic() - self._last >= max(self.seconds, 9 * self._cost)

    def save(self, run: Any) -> bool:
        """Write a checkpoint now; False where the disk refused, and the last one is still there."""
        begin = time.monotonic()
        try:
            write_evolved(self.path, run.so_far(), keep=self.keep)
        except OSError as error:
            text = f"checkpoint not written ({error}); the previous one is kept, the evolution goes on."
            warnings.warn(text, stacklevel=2)
            return False
        finally:
            self._last = time.monotonic()
            self._cost = self._last - begin
        return True
