"""Environments within a budget of memory: kept, made again from the nearest one kept, or on disk until their turn."""

import warnings
from concurrent.futures import Future
from dataclasses import dataclass
from math import isqrt

import numpy as np

from tnsim.backend import Backend
from tnsim.errors import SettingsError
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.scratch_folder import ScratchFolder
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor

GIB = 1 << 30
Place = tuple[str, int]


@dataclass(eq=False)
class _Entry:
    """One environment: in memory (tensor), on disk (written), or both."""

    tensor: Tensor | None
    legs: tuple[Leg, ...]
    dtype: np.dtype
    backend: Backend
    numbers: int
    written: Future | None = None
    coming: Future | None = None

    @property
    def bytes(self) -> int:
        return self.numbers * self.dtype.itemsize


class EnvironmentStore:
    """Left and right environments by site, of which those that wait for their turn stay within `budget` bytes.

    Above the budget those whose turn is farthest go first: only every other one is kept, then every fourth and so on up
    to every sqrt(length)-th, and the rest is made again when it is needed; beyond that those kept go to disk, written
    and read ahead beside the sweep. What the update under way uses does not count, nor does one that is read ahead.
    No budget: all are kept.
    """

    def __init__(self, length: int, budget: float | None = None, folder: str = "") -> None:
        self.length, self.budget, self.scratch = length, budget, ScratchFolder(folder)
        self.stride = 1
        self._largest = 1
        self._entries: dict[Place, _Entry] = {}
        self._position, self._rightwards = 0, True
        self._overflows = self._warned = False

    # -- what is asked of it ---------------------------------------------------------------------------

    def get(self, side: str, site: int) -> Tensor | None:
        """The environment, from the disk where it lies there; None where it is to be made again."""
        entry = self._entries.get((side, site))
        if entry is not None and entry.tensor is None:
            entry.tensor = self._read((side, site), entry)
        return None if entry is None else entry.tensor

    def put(self, side: str, site: int, environment: Tensor) -> None:
        """Keep an environment. Raises SettingsError where the budget is smaller than this one alone."""
        entry = _Entry(environment, environment.legs, environment.dtype, environment.backend, environment.size)
        self.check_holds(entry.bytes, f"the {side} one of site {site}")
        self._largest = max(self._largest, entry.bytes)
        self._entries[side, site] = entry
        self._hold()

    def check_holds(self, size: int, which: str) -> None:
        """Raises SettingsError where the budget is smaller than one environment of so many bytes."""
        if self.budget is not None and size > self.budget:
            raise SettingsError(
                f"environment_gib = {self.budget / GIB:.3g} is less than one environment: {which} takes "
                f"about {size / GIB:.3g} GiB. Raise environment_gib (0 sets no limit), or lower chi_max."
            )

    def drop(self, side: str, site: int) -> None:
        """Forget an environment that is out of date."""
        self._entries.pop((side, site), None)

    def move(self, position: int, rightwards: bool) -> None:
        """The sweep has come to a bond, from where turns are counted."""
        self._position, self._rightwards = position, rightwards
        self._hold()
        self._read_ahead()

    def close(self) -> None:
        """Remove the files; what lay only there is made again where it is asked for."""
        self.scratch.close()
        self._entries = {place: entry for place, entry in self._entries.items() if entry.tensor is not None}
        for entry in self._entries.values():
            entry.written = entry.coming = None

    # -- whose turn it is ------------------------------------------------------------------------------

    def _turns(self, place: Place) -> int:
        """Updates until an environment is needed: in the sweep's direction, or on the way back."""
        (side, site), here = place, self._position
        if side == LEFT:
            return 2 * self.length - here - site if self._rightwards else abs(here - site)
        return abs(site - here - 1) if self._rightwards else here + site

    def _waiting(self) -> list[Place]:
        """Those in memory that the update under way does not use, the farthest turn first."""
        found = (place for place, entry in self._entries.items() if entry.tensor is not None)
        idle = [place for place in found if place[1] - self._position not in (0, 1)]
        return sorted(idle, key=self._turns, reverse=True)

    # -- the budget ------------------------------------------------------------------------------------

    def _hold(self) -> None:
        """Send away what exceeds the budget, and begin to write what will be next to go."""
        if self.budget is None:
            return
        waiting = self._waiting()
        total = sum(self._entries[place].bytes for place in waiting)
        while total > self.budget:
            place = self._next_to_go(waiting, self.budget)
            waiting.remove(place)
            total -= self._entries[place].bytes
            self._send_away(place)
        for place in waiting if self._overflows else ():
            if total <= self.budget / 2:
                return
            total -= self._entries[place].bytes
            if place[1] % self.stride == 0:
                self._write(place)

    def _is_thinnest(self, budget: float) -> bool:
        """Whether no more are left out: what is made again between two that are kept fills half of the budget."""
        return 2 * self.stride > min(isqrt(self.length), budget / (2 * self._largest))

    def _next_to_go(self, waiting: list[Place], budget: float) -> Place:
        """The farthest that may be left out; more are left out before anything goes to disk."""
        while True:
            for place in waiting:
                if place[1] % self.stride and self._turns(place) > self.stride:
                    return place
            if self._is_thinnest(budget):
                return waiting[0]
            self.stride *= 2

    def _send_away(self, place: Place) -> None:
        """Free the memory of an environment: it is on disk, or made again."""
        if place[1] % self.stride:
            self.drop(*place)
            return
        self._write(place)
        self._overflows = True  # from now on the disk is not waited for
        entry = self._entries[place]
        assert entry.written is not None
        error = entry.written.exception()  # waits for the disk
        if error is None:
            entry.tensor = None
        else:
            self._warn(error)
            self.drop(*place)

    # -- the disk --------------------------------------------------------------------------------------

    def _write(self, place: Place) -> None:
        """Begin to write an environment that is not on disk."""
        entry = self._entries[place]
        if entry.written is None and entry.tensor is not None:
            entry.written = self.scratch.write(_name(place), entry.backend.to_host(entry.tensor.data))

    def _begin_to_read(self, place: Place) -> Future:
        entry = self._entries[place]
        if entry.coming is None:
            entry.coming = self.scratch.read(_name(place), entry.numbers, entry.dtype)
        return entry.coming

    def _read_ahead(self) -> None:
        """Begin to read the next one whose turn comes soon."""
        if self.budget is None:
            return
        side = RIGHT if self._rightwards else LEFT
        gone = [place for place, entry in self._entries.items() if entry.tensor is None and place[0] == side]
        place = min(gone, key=self._turns, default=None)
        if place is not None and self._turns(place) <= 2 * self.stride:
            self._begin_to_read(place)

    def _read(self, place: Place, entry: _Entry) -> Tensor | None:
        try:
            host = self._begin_to_read(place).result()
        except OSError as error:
            self._warn(error)
            self.drop(*place)
            return None
        entry.coming = None
        return Tensor(entry.legs, entry.backend.asarray(host))

    def _warn(self, error: BaseException) -> None:
        """Once: the run goes on without the disk."""
        if not self._warned:
            warnings.warn(
                f"the disk refuses environments ({error}): they are made again, which takes longer; name another "
                "scratch folder, or raise environment_gib.",
                stacklevel=2,
            )
        self._warned = True


def _name(place: Place) -> str:
    return f"{place[0]}-{place[1]}.bin"
