"""A run on disk: job, state, progress and status, enough to describe, draw and go on."""

import json
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from tnsim.algorithms import Progress, Solution, Status, SweepReport
from tnsim.algorithms.ground_state.excited import collect_levels
from tnsim.errors import FileError, FileForeignError, TnsimError
from tnsim.io.atomic import older, replace_file
from tnsim.io.hdf5 import get_text, header_of, open_file, put_text, write_file
from tnsim.io.infinite import get_state, put_state
from tnsim.io.job import Job, job_from_table
from tnsim.io.settings import parse_toml
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS
from tnsim.tensor import Tensor


@dataclass(frozen=True)
class RunRecord:
    """What a run file holds. status is "running" in a checkpoint.

    levels: of a run for several levels those that are found, state and progress being those of the level under way (of
    the lowest one at the end); else empty. first: in a second start, what the first one ended in.
    """

    job: Job
    state: MPS | InfiniteMPS
    progress: Progress
    status: str = "running"
    advice: str = ""
    energy: float | None = None
    variance: float | None = None
    levels: tuple[Solution, ...] = ()
    first: Solution | None = None
    header: dict[str, str] | None = None

    def plot(self, path: Any = None) -> Any:
        """Convergence, entanglement profile and levels; saved where a path is given. Returns the matplotlib figure."""
        plot_run, exact = import_module("tnsim.plotting").plot_run, self.job.exact
        found = collect_levels(self.levels) if self.levels else None
        levels = (found.gaps, found.charges) if found else None
        return plot_run(self.progress.reports, self.state, exact=exact and exact.value, levels=levels, path=path)

    def __repr__(self) -> str:
        energy = "" if self.energy is None else f", energy {self.energy:.12f}"
        sweeps = len(self.progress.reports)
        return f"Run of {self.job.model}: {self.status}{energy}, {sweeps} sweep{'s' * (sweeps != 1)}\n{self.state!r}"


def save_run(path: str | Path, record: RunRecord, *, keep: int = 3) -> Path:
    """Write a run atomically and keep the last `keep` versions. Raises OSError (FileError) on failure."""
    path = Path(path)

    def fill(file) -> None:
        put_text(file, "job", record.job.to_toml())
        put_text(file, "progress", json.dumps(asdict(record.progress)))
        result = {name: getattr(record, name) for name in ("status", "advice", "energy", "variance")}
        put_text(file, "result", json.dumps(result))
        put_state(file, "state", record.state)
        for number, level in enumerate(record.levels):
            _put_solution(file.require_group("levels").create_group(str(number)), level)
        if record.first is not None:
            _put_solution(file.create_group("first"), record.first)

    states = [record.state, *(solution.state for solution in (*record.levels, record.first) if solution)]
    size = sum(tensor.size * tensor.dtype.itemsize for state in states for tensor in _tensors(state)) + (1 << 20)
    replace_file(path, lambda target: write_file(target, "run", fill), keep=keep, size=size)
    return path


def _tensors(state: MPS | InfiniteMPS) -> list[Tensor]:
    """All that a file holds of a state."""
    return [*state.AL, *state.AR, *state.C] if isinstance(state, InfiniteMPS) else state.tensors


def load_run(path: str | Path) -> RunRecord:
    """Read one run file; raises FileError and its kinds, naming the file."""
    with open_file(Path(path)) as file:
        if str(file.attrs["kind"]) != "run":
            raise FileForeignError(f"{path} holds a {file.attrs['kind']}, not a run: read it with tnsim.load.")
        return RunRecord(
            job=job_from_table(parse_toml(get_text(file, "job"), str(path))),
            state=get_state(file["state"]),
            progress=_progress(json.loads(get_text(file, "progress"))),
            header=header_of(file),
            levels=tuple(_get_solution(file["levels"][str(k)]) for k in range(len(file.get("levels", ())))),
            first=_get_solution(file["first"]) if "first" in file else None,
            **json.loads(get_text(file, "result")),
        )


def _put_solution(target: Any, solution: Solution) -> None:
    put_text(target, "progress", json.dumps(asdict(solution.progress)))
    result = {"energy": solution.energy, "variance": solution.variance, "overlaps": solution.overlaps}
    put_text(target, "result", json.dumps(result | asdict(solution.status)))
    put_state(target, "state", solution.state)


def _get_solution(source: Any) -> Solution:
    progress, result = _progress(json.loads(get_text(source, "progress"))), json.loads(get_text(source, "result"))
    status = Status(*(result[entry.name] for entry in fields(Status)))
    state = get_state(source["state"])
    overlaps = tuple(result["overlaps"])
    return Solution(state, result["energy"], status, progress.history, result["variance"], progress, overlaps)


def _progress(table: dict[str, Any]) -> Progress:
    known = {entry.name for entry in fields(Progress)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items() if key in known
    }
    for name in ("past", "history"):
        values[name] = tuple(SweepReport(**report) for report in table.get(name, ()))
    return Progress(**values)


def load_newest(path: str | Path, *, versions: int = 10) -> tuple[RunRecord, Path, list[str]]:
    """The newest version that verifies, its path, and why newer ones were skipped."""
    path = Path(path)
    skipped: list[str] = []
    for number in range(versions):
        candidate = older(path, number)
        if number and not candidate.exists():
            continue
        try:
            return load_run(candidate), candidate, skipped
        except TnsimError as error:
            skipped.append(str(error))
    raise FileError("no run can be read:\n  " + "\n  ".join(skipped))
