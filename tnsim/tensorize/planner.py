"""The fastest way to apply a chain on this machine: measured once for every shape, and kept in a file."""

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.backend import normal, thread_count
from tnsim.errors import SettingsError, check_fields
from tnsim.io.atomic import replace_file
from tnsim.networks.apply_plan import ApplyPlan, Shapes, estimated_seconds, plans
from tnsim.networks.batch_apply import RowMap, prepare, site_shapes
from tnsim.networks.mpo import MPO
from tnsim.version import __version__

# the whole matrix is kept where it is faster by this factor than any chain of products
_WORTH = 1.05

_LOG = logging.getLogger("tnsim.tensorize")


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Times the most promising plans for a chain and a batch size, and remembers the fastest, in memory and on disk.

    Where no chain of products is as fast as the whole matrix to within a twentieth, the matrix itself is kept and used:
    small matrices and large ranks are no faster as chains, and this makes them no slower.

    The file is `apply-plans.json` in the folder TNSIM_CACHE (else ~/.cache/tnsim); its keys name processor, threads,
    library, dtype and shapes. A damaged or unwritable file costs measurements, nothing else.

    >>> planner = Planner(seconds=0.05, remember=False)
    >>> mpo = MPO.from_matrix(np.eye(16), (4, 4), (4, 4))
    >>> planner.prepare(mpo, 8)(np.ones((8, 16))).shape
    (8, 16)
    """

    candidates: int = field(default=8, metadata={"help": "so many plans of least estimated cost are timed"})
    seconds: float = field(default=0.5, metadata={"help": "time for all measurements of one shape, about"})
    whole_matrix: bool = field(
        default=True, metadata={"help": "allow the whole matrix to be kept in memory where that is faster"}
    )
    remember: bool = field(default=True, metadata={"help": "use the file of measured plans"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.candidates < 1 or self.seconds <= 0:
            raise SettingsError(f"a planner times at least one plan, for more than 0 seconds, found {self}.")

    def prepare(self, mpo: MPO, rows: int) -> RowMap:
        """The chain, ready to act on batches of about so many rows."""
        return prepare(mpo, self.plan(mpo, rows))

    def plan(self, mpo: MPO, rows: int) -> ApplyPlan:
        """The fastest plan: from memory, from the file, or measured now. Batches are taken up to a power of 2."""
        if rows < 1:
            raise SettingsError(f"a batch has at least one row, found {rows}.")
        rows = 1 << (rows - 1).bit_length()
        return self.remembered(_key(mpo, rows, self.whole_matrix), lambda: picked(self.measure(mpo, rows)))

    def remembered(self, key: str, measure: Callable[[], ApplyPlan]) -> ApplyPlan:
        """The plan that is known under a key, or measured now and kept."""
        known = _known(_file()) if self.remember else {}
        if key not in known:
            known[key] = measure()
            if self.remember:
                _write(_file(), known)
        return known[key]

    def candidates_for(self, shapes: Shapes, rows: int, itemsize: int, count: int = 0) -> list[ApplyPlan]:
        """So many plans (`count`, else `candidates`) of least estimated cost, within what may be kept in memory."""
        choices = plans(shapes, rows, itemsize, self._numbers_max(shapes))
        found = sorted(choices, key=lambda plan: estimated_seconds(shapes, plan, rows, itemsize))
        # what everything is compared with is always among them
        whole = [plan for plan in found if is_whole(plan)]
        return list(dict.fromkeys([*whole, *found[: count or self.candidates]]))

    def measure(self, mpo: MPO, rows: int, count: int = 0) -> list[tuple[float, ApplyPlan]]:
        """(seconds, plan) of the plans of least estimated cost (`count` of them, else `candidates`), fastest first."""
        shapes = site_shapes(mpo)
        choices = self.candidates_for(shapes, rows, mpo.dtype.itemsize, count)
        width = mpo.axes.columns.size if mpo.axes else prod(shape[2] for shape in shapes)
        batch = normal(rows * width, mpo.dtype, 0, mpo.backend).reshape((rows, width))
        seconds = fastest_seconds(
            [prepare(mpo, plan) for plan in choices], batch, self.seconds, mpo.backend.synchronize
        )
        timed = sorted(zip(seconds, choices, strict=True), key=lambda pair: pair[0])
        _LOG.debug("%s, %d rows: %s in %.3g ms", mpo, rows, timed[0][1], 1e3 * timed[0][0])
        return timed

    def _numbers_max(self, shapes: Shapes) -> int:
        """Merged cores may hold a quarter of the matrix, or twice what the cores hold, if that is less than it."""
        whole = prod(shape[1] * shape[2] for shape in shapes)
        if self.whole_matrix:
            return whole
        return min(whole - 1, max(whole // 4, 2 * sum(prod(shape) for shape in shapes)))


def is_whole(plan: ApplyPlan) -> bool:
    """Whether the whole matrix is kept, for all rows at once."""
    return len(plan.groups) == 1 and not plan.again and not plan.block


def picked(timed: Sequence[tuple[float, ApplyPlan]]) -> ApplyPlan:
    """The fastest plan; the whole matrix, which takes memory, only where it saves more than a twentieth."""
    small = next(((seconds, plan) for seconds, plan in timed if len(plan.groups) > 1 or plan.again), timed[0])
    return small[1] if small[0] <= _WORTH * timed[0][0] else timed[0][1]


def fastest_seconds(
    acts: Sequence[Callable[[Any], Any]], batch: Any, seconds: float, synchronize: Callable[[], Any]
) -> list[float]:
    """Of every map its fastest call; they take turns, so that what else the machine does strikes all of them.

    Each is called twice in its turn: the first call pays for what the others left in the cache. Maps that took twice
    as long as the fastest one are out after three rounds.
    """
    for act in acts:
        act(batch)
    best, end = [np.inf] * len(acts), time.perf_counter() + seconds
    for number in range(200):
        limit = np.inf if number < 3 else 2 * min(best)
        for n, act in enumerate(acts):
            if best[n] <= limit:
                best[n] = min(best[n], *(_one_call(act, batch, synchronize) for _ in range(2)))
        if time.perf_counter() > end and number > 3:
            break
    return best


def _one_call(act: Callable[[Any], Any], batch: Any, synchronize: Callable[[], Any]) -> float:
    synchronize()
    start = time.perf_counter()
    act(batch)
    synchronize()
    return time.perf_counter() - start


def _key(mpo: MPO, rows: int, whole_matrix: bool) -> str:
    sizes = " ".join("x".join(map(str, shape)) for shape in site_shapes(mpo))
    machine = f"{processor()}, {thread_count()} threads, tnsim {__version__}, numpy {np.__version__}"
    return f"{machine}, {mpo.backend.name}, {mpo.dtype}, {sizes}, {rows} rows, whole matrix {whole_matrix}"


@cache
def processor() -> str:
    """The name of this machine's processor and how many cores it has, for keys of measured plans."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def _file() -> Path:
    return Path(os.environ.get("TNSIM_CACHE") or Path.home() / ".cache" / "tnsim") / "apply-plans.json"


_MEMORY: dict[Path, dict[str, ApplyPlan]] = {}


def _known(path: Path) -> dict[str, ApplyPlan]:
    """Plans of this process, which start as those of the file."""
    if path not in _MEMORY:
        _MEMORY[path] = _read(path)
    return _MEMORY[path]


def _read(path: Path) -> dict[str, ApplyPlan]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: _plan(entry) for key, entry in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _LOG.warning("the measured plans in %s cannot be read (%s): they are measured anew.", path, error)
        return {}


def _plan(entry: dict) -> ApplyPlan:
    return ApplyPlan(
        groups=tuple(int(count) for count in entry["groups"]),
        first=str(entry["first"]),
        block=int(entry["block"]),
        again=bool(entry["again"]),
    )


def _write(path: Path, known: dict[str, ApplyPlan]) -> None:
    """What other processes wrote meanwhile is kept."""
    merged = {**_read(path), **known}
    text = json.dumps({key: asdict(plan) for key, plan in sorted(merged.items())}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda temporary: _write_text(temporary, text))
    except OSError as error:
        _LOG.warning("the measured plans cannot be kept in %s (%s).", path, error)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
