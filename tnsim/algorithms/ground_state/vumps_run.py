"""One VUMPS run: a state, its environments, and a loop that can be stopped, observed and resumed."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tnsim.algorithms.solution import Observer, Progress, SweepReport
from tnsim.errors import StateError
from tnsim.linalg.lanczos import Krylov
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.bond_expansion import expand
from tnsim.networks.infinite_effective import UniformHamiltonian, lowest
from tnsim.networks.infinite_environments import (
    InfiniteEnvironments,
    check_ground_state_input,
    infinite_environments,
)
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.uniform_gauge import nearest_left
from tnsim.symmetry import Leg

# environments and eigenvectors are found this much more precisely than the gradient stands
_FINER = 1e-3
_PRECISE = 1e-14
# sectors exchange states once the gradient is below this, and for so many sweeps
_EXCHANGE_BELOW = 1e-3
_EXCHANGE_SWEEPS = 5


class VUMPSRun:
    """A run that can be driven sweep by sweep. `state` and `progress()` together are all that resuming needs."""

    def __init__(self, settings: Any, H: InfiniteMPO, psi: InfiniteMPS, progress: Progress | None = None) -> None:
        check_ground_state_input(psi, H, "VUMPS")
        self.settings = settings
        self.stop_reason = ""
        self.converged = False
        self.failure = ""  # why the search cannot go on
        dtype = matching_dtype(psi.dtype, *H.tensors)
        self.state = psi.astype(dtype)
        if max(psi.bond_dimensions) > settings.truncation.chi_max:  # of a wider search, or one that exchanged states
            self.state = self.state.truncate(settings.truncation)
        self.hamiltonian = H.astype(dtype)
        self._progress = progress or Progress()
        self._environments: InfiniteEnvironments | None = None
        self._stuck = False  # no direction lowered the energy when bonds were last to grow
        self._pruned = False
        self._grew = False  # new directions carry no weight before the next update
        self._exchanges = settings.exchanges
        self._overfull = 0  # sweeps until bonds that grew beyond chi_max are cut
        self._full_bonds: list[Leg] = []
        self._gradient = self._progress.history[-1].gradient if self._progress.history else 1.0

    def progress(self) -> Progress:
        """Where the run stands."""
        return self._progress

    def request_stop(self, reason: str) -> None:
        """Stop after the sweep under way."""
        self.stop_reason = reason

    def sweeps(self, observers: Sequence[Observer] = ()) -> Iterator[SweepReport]:
        """Sweep until converged, max_sweeps or a stop request; a report after every sweep."""
        while self._progress.sweep < self.settings.max_sweeps and not self._ended:
            report = self.sweep()
            for observer in observers:
                observer.sweep(report, self)
            yield report

    @property
    def _ended(self) -> bool:
        return bool(self.stop_reason or self.converged or self.failure)

    def sweep(self) -> SweepReport:
        """Measure energy and gradient; then grow the bonds, or update every site; or find that all is done."""
        clock = time.perf_counter()
        heff = self._measured()
        energy, state, matvecs = self._environments.energy / self.state.L, self.state, 0  # type: ignore[union-attr]
        if self._grown(heff) or self._exchanged(heff):
            return self._count(energy, state, 0, time.perf_counter() - clock)
        if self._gradient <= self.settings.gradient_tol and not self._grew and not self._overfull:
            self.converged = not self._prune()
        else:
            matvecs = self._update(heff)
        return self._count(energy, state, matvecs, time.perf_counter() - clock)

    # -- steps -----------------------------------------------------------------------------------------

    def _measured(self) -> UniformHamiltonian:
        tolerance = max(_PRECISE, _FINER * min(self._gradient, 0.1))
        self._environments = infinite_environments(
            self.state, self.hamiltonian, self._environments, tolerance=tolerance
        )
        heff = UniformHamiltonian(self.hamiltonian, self._environments, self.state)
        self._gradient = max(heff.gradient(i).norm() for i in range(self.state.L))
        return heff

    def _grown(self, heff: UniformHamiltonian) -> bool:
        """Let the bonds grow where it is time for it; False where nothing changed."""
        if self._grew or self._gradient > self.settings.grow_below or self._overfull or self._pruned:
            return False
        if self._stuck and self._gradient > self.settings.gradient_tol:
            return False
        growing = self._wanted()
        return any(growing) and self._expand(heff, growing)

    def _exchanged(self, heff: UniformHamiltonian) -> bool:
        """Full bonds grow by a quarter, and some sweeps later keep their largest values: sectors exchange states."""
        bonds = [tensor.legs[2] for tensor in self.state.AL]
        if self._overfull:
            self._overfull -= 1
            if self._overfull:
                return False
            self.state = self.state.truncate(self.settings.truncation)
            if [tensor.legs[2] for tensor in self.state.AL] == self._full_bonds:
                self._exchanges = 0
            return True
        if not self._exchanges or self._grew or self._gradient > _EXCHANGE_BELOW or all(len(b) == 1 for b in bonds):
            return False
        if self._progress.sweep + _EXCHANGE_SWEEPS + 1 >= self.settings.max_sweeps:  # bonds have to be cut again
            return False
        self._exchanges -= 1
        chi_max = self.settings.truncation.chi_max
        if all(bond.dim < chi_max for bond in bonds):
            return False
        self._full_bonds, self._overfull = bonds, _EXCHANGE_SWEEPS + 1
        return self._expand(heff, [max(2, chi_max // 4) if bond.dim == chi_max else 0 for bond in bonds])

    def _wanted(self) -> list[int]:
        """States to add to every bond, 0 where it is large enough."""
        limit, growth = self.settings.truncation.chi_max, self.settings.growth
        return [
            0 if chi >= limit else min(limit, max(int(chi * growth), chi + 4)) - chi
            for chi in self.state.bond_dimensions
        ]

    def _expand(self, heff: UniformHamiltonian, extra: Sequence[int]) -> bool:
        """Add states where they are wanted; False where there was none to add."""
        old = self.state.bond_dimensions
        self.state, _ = expand(heff, extra, self.settings.truncation.svd_min)
        self._grew = self.state.bond_dimensions != old
        self._stuck = not self._grew
        return self._grew

    def _prune(self) -> bool:
        """Cut directions that ended without weight, as in states of finite bond dimension; False where none did."""
        pruned = self.state.truncate(self.settings.truncation)
        if pruned.bond_dimensions == self.state.bond_dimensions:
            return False
        self.state, self._pruned = pruned, True
        return True

    def _update(self, heff: UniformHamiltonian) -> int:
        """New AL from the lowest eigenvectors of every site and bond, then canonical form; products spent."""
        krylov = Krylov(k_max=self.settings.krylov_max, tolerance=max(_PRECISE, _FINER * self._gradient))
        matvecs, left, last = 0, [], None
        for i in range(self.state.L):
            center, ritz = lowest(heff.site(i), self.state.AC(i), krylov)
            last, bond_ritz = lowest(heff.bond(i), self.state.C[i], krylov)
            matvecs += ritz.matvecs + bond_ritz.matvecs
            left.append(nearest_left(center, last))
        try:
            self.state = InfiniteMPS.from_left(left, self.state.sites, last)
        except StateError as error:  # the last good state is the result
            self.failure = str(error)
        self._grew = False
        return matvecs

    def _count(self, energy: float, state: InfiniteMPS, matvecs: int, seconds: float) -> SweepReport:
        progress, settings = self._progress, self.settings
        last = progress.history[-1] if progress.history else None
        entropy = max(entropy_of_weights(spectrum.values**2) for spectrum in state.schmidt_values())
        report = SweepReport(
            sweep=progress.sweep, energy=energy, energy_change=energy - last.energy if last else float("inf"),
            max_trunc_err=0.0, sum_trunc_err=0.0, gradient=self._gradient, entropy=entropy,
            entropy_change=abs(entropy - last.entropy) if last else float("inf"),
            chi=max(state.bond_dimensions), chi_max=settings.truncation.chi_max, noise=0.0, matvecs=matvecs,
            seconds=seconds, split="polar", dtype=str(state.dtype),
        )  # fmt: skip
        self._progress = replace(
            progress, sweep=progress.sweep + 1, energy=energy, gradient=self._gradient, entropy=entropy,
            history=(*progress.history, report),
        )  # fmt: skip
        return report
