"""The lowest levels of a chain: a ground-state search each, orthogonal to those found before.

Lower states are projected out of the Krylov vectors of every bond, as in I. P. McCulloch, J. Stat. Mech. P10014
(2007). The penalty of E. M. Stoudenmire, S. R. White, Annu. Rev. Condens. Matter Phys. 3, 111 (2012) needs a weight,
and gives a wrong state where that is below the gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from tnsim.algorithms.ground_state.averaged_run import AveragedRun
from tnsim.algorithms.ground_state.convergence import judge
from tnsim.algorithms.solution import Observer, Solution, Status
from tnsim.errors import SettingsError, StateError
from tnsim.measure.operator import expect_mpo
from tnsim.measure.variance import energy_and_variance
from tnsim.networks.mirror_gauge import parity_sector_size
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS, overlap
from tnsim.symmetry import Charge

if TYPE_CHECKING:
    from tnsim.algorithms.ground_state.dmrg import DMRG


@dataclass(frozen=True)
class ExcitedStates:
    """The lowest levels, ascending by energy: a Solution each, and the magnitudes of their overlaps.

    A sequence of its solutions: `levels[0].state` is the ground state. The energies are variational, each in the
    complement of the states below.
    """

    levels: tuple[Solution, ...]
    overlaps: np.ndarray = field(repr=False)

    @property
    def energies(self) -> np.ndarray:
        """Ascending."""
        return np.array([level.energy for level in self.levels])

    @property
    def gaps(self) -> np.ndarray:
        """Energies above the lowest, which has 0."""
        return self.energies - self.energies[0]

    @property
    def gap(self) -> float:
        """From the lowest level to the next; about 0 where the ground state is degenerate."""
        if len(self.levels) < 2:
            raise StateError(f"a gap needs two levels, found {len(self.levels)}: ask for n >= 2.")
        return float(self.gaps[1])

    @property
    def variances(self) -> np.ndarray:
        """<H^2> - <H>^2 of every level; NaN where the run was interrupted."""
        return np.array([np.nan if level.variance is None else level.variance for level in self.levels])

    @property
    def states(self) -> tuple[MPS, ...]:
        return tuple(level.state for level in self.levels)

    @property
    def charges(self) -> tuple[Charge, ...]:
        """Total charge of every level."""
        return tuple(level.state.charge for level in self.levels)

    @property
    def status(self) -> Status:
        """Converged where every level is; else that of the lowest one that is not."""
        open_levels = [(n, level.status) for n, level in enumerate(self.levels) if not level.status.converged]
        if not open_levels:
            return Status("converged", True, "nothing to do; raise chi_max to lower the discarded weight.")
        number, status = open_levels[0]
        count = f"{len(open_levels)} of {len(self.levels)} levels not converged"
        return Status(status.name, False, f"{count}, the first is level {number}: {status.advice}")

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, level: int) -> Solution:
        return self.levels[level]

    def __iter__(self) -> Iterator[Solution]:
        return iter(self.levels)

    def plot(self, path: Any = None) -> Any:
        """The levels above the lowest, by charge; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_levels(self.gaps, self.charges, path=path)

    def __repr__(self) -> str:
        lines = [f"ExcitedStates({self.status.name}): {len(self)} levels"]
        lines.append("  level           energy   above ground  variance   overlap  charge  status")
        others = self.overlaps - np.diag(np.diag(self.overlaps))
        for n, (level, gap, spread) in enumerate(zip(self.levels, self.gaps, self.variances, strict=True)):
            lines.append(
                f"  {n:5d} {level.energy:16.10f} {gap:14.10f} {spread:9.1e} {others[n].max():9.1e}"
                f"  {','.join(map(str, level.state.charge)) or '-':<6}  {level.status.name}"
            )
        if not self.status.converged:
            lines.append(f"  advice: {self.status.advice}")
        return "\n".join(lines)


def find_levels(
    dmrg: "DMRG", H: MPO, starts: Sequence[MPS], n: int, observers: Sequence[Observer], found: ExcitedStates | None
) -> ExcitedStates:
    """The n lowest levels of every start state's sector; see `DMRG.excited`."""
    check_levels(dmrg, starts, n)
    done = [level for level in found or () if level.status.name != "interrupted"]
    _check_energies(H, done)
    waiting = {level.state.charge: level for level in found or () if level.status.name == "interrupted"}
    for psi in starts:
        same = [level for level in done if level.state.charge == psi.charge]
        while len(same) < n:
            half_done = waiting.pop(psi.charge, None)
            level = replace(dmrg, seed=dmrg.seed + len(same)).solve(
                H,
                half_done.state if half_done else psi,
                observers,
                half_done.progress if half_done else None,
                orthogonal_to=[known.state for known in same],
                first=half_done.first if half_done else None,
            )
            same.append(level)
            done.append(level)
            if level.status.name == "interrupted":
                return collect_levels(done)
    return collect_levels(done)


def average_levels(dmrg: "DMRG", H: MPO, starts: Sequence[MPS], n: int, observers: Sequence[Observer]) -> ExcitedStates:
    """The n lowest levels of every start state's sector, those of a sector in one basis; see `DMRG.excited`."""
    check_levels(dmrg, starts, n)
    if dmrg.sites == 1:
        raise SettingsError("levels in one basis need two sites at a time: set sites=2, or averaged=False.")
    levels: list[Solution] = []
    for psi in starts:
        run = AveragedRun(dmrg, H, psi, n)
        for _ in run.sweeps(observers):
            pass
        levels += [_averaged(dmrg, H, run, number) for number in range(n)]
        if run.stop_reason:
            break
    return collect_levels(levels)


def _averaged(dmrg: "DMRG", H: MPO, run: AveragedRun, number: int) -> Solution:
    """One level of a run for several; history and convergence are those of their mean."""
    state, progress, spread = run.states[number], run.progress(), None
    energy = float(run.energies[number])
    if not run.stop_reason:
        energy, spread = energy_and_variance(H, state)
    status = judge(dmrg, progress, spread, run.stop_reason)
    return Solution(state, energy, status, progress.history, spread, progress)


def collect_levels(levels: Sequence[Solution]) -> ExcitedStates:
    """Levels in ascending order, with all overlaps; cost O(n^2 L d chi^3)."""
    ordered = sorted(levels, key=lambda level: level.energy)
    overlaps = np.eye(len(ordered))
    for i, level in enumerate(ordered):
        for j in range(i):
            overlaps[i, j] = overlaps[j, i] = abs(overlap(level.state, ordered[j].state))
    return ExcitedStates(tuple(ordered), overlaps)


def _check_energies(H: MPO, levels: Sequence[Solution]) -> None:
    """StateError where a level has another energy under H than the one it was found with."""
    for number, level in enumerate(levels):
        energy = float(np.real(expect_mpo(H, level.state)))
        if not abs(energy - level.energy) <= np.finfo(level.state.dtype).eps ** 0.5 * max(1.0, abs(energy)):
            raise StateError(
                f"level {number} of `found` has the energy {level.energy:.10g}, but {energy:.10g} under this "
                "Hamiltonian: give levels that were found with the same one, or leave found out."
            )


def check_levels(dmrg: "DMRG", starts: Sequence[MPS], n: int) -> None:
    """What can be said before the first run: a count that every sector has, one start a sector.

    Raises SettingsError or StateError.
    """
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise SettingsError(f"n is a number of levels, at least 1, found {n!r}.")
    charges = [psi.charge for psi in starts]
    if not starts or len(set(charges)) < len(charges):
        raise StateError(f"start states of different charges are needed, one a sector, found the charges {charges}.")
    for psi in starts:
        size = parity_sector_size(psi.sites, psi.charge, dmrg.reflection, dmrg.parity)
        if size < n:
            raise StateError(
                f"the sector of charge {psi.charge} ({psi.sites[0].group!r})"
                f"{f', parity {dmrg.parity}' if dmrg.reflection else ''} holds {size} states, and n = {n} were asked "
                "for: ask for fewer, or start in another sector."
            )
