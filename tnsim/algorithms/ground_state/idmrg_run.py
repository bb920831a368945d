"""One iDMRG run: a window of one cell between two environments that grow.

    Lenv--A_0--...--A_{c-1}--C--B_c--...--B_{n-1}--Renv      one window, c sites of it left of the centre
The next window begins with B_c: the sites A join Lenv, the sites B join Renv, and
C B_c ... B_{n-1} C_old^-1 A_0 ... A_{c-1} C stands between them, C_old being the last centre but one.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tnsim.algorithms.solution import BondReport, Observer, Progress, SweepReport
from tnsim.backend import block_threads
from tnsim.errors import NumericalError, ShapeError
from tnsim.linalg import lq, qr, svd
from tnsim.linalg.lanczos import Krylov
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.effective import TwoSiteHamiltonian, absorb_site
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.infinite_environments import channel_vector, check_ground_state_input, infinite_environments
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.two_site_split import choose_method, named, split_two_site
from tnsim.tensor import Tensor, contract, diagonal, eye

# centre values below this (relative) are not inverted: they carry nothing
_INVERTIBLE = 1e-12
_RESIDUAL_FLOOR = 1e-9
# truncation goes on stirring a cell: changes that small a share of the discarded weight mean nothing
_ENERGY_PER_WEIGHT = 1e-3
_ENTROPY_PER_ROOT = 1e-2


class IDMRGRun:
    """A run that can be driven cell by cell; `state` brings the last two windows to canonical form."""

    def __init__(self, settings: Any, H: InfiniteMPO, psi: InfiniteMPS, progress: Progress | None = None) -> None:
        check_ground_state_input(psi, H, "iDMRG")
        if psi.L < 2:
            raise ShapeError(
                "two-site iDMRG needs a cell of at least 2 sites, found 1: take H.repeated(2) and psi.repeated(2)."
            )
        self.settings = settings
        self.stop_reason = ""
        self.converged = False
        dtype = matching_dtype(psi.dtype, *H.tensors)
        psi, self.hamiltonian = psi.astype(dtype), H.astype(dtype)
        environments = infinite_environments(psi, self.hamiltonian, tolerance=1e-10)
        self._left, self._right = environments.lefts[0], environments.rights[-1]
        self._sites, self._dtype = psi.sites, dtype
        self._offset, self._half = 0, psi.L // 2  # first site of the window, sites left of its centre
        self._tensors = [contract("l m, m s r -> l s r", psi.C[-1], psi.AR[0]), *psi.AR[1:]]
        self._edge, self._center = psi.C[-1], psi.C[-1]  # centres of the window before and of this one
        self._state: InfiniteMPS | None = psi
        self._fresh = True
        self._progress = progress or Progress()
        self._seen: dict[int, tuple[float, float]] = {}  # energy and entropy when a centre was last on that bond
        self._residual = float("inf")

    def progress(self) -> Progress:
        """Where the run stands."""
        return self._progress

    def request_stop(self, reason: str) -> None:
        """Stop after the cell under way."""
        self.stop_reason = reason

    @property
    def state(self) -> InfiniteMPS:
        """The infinite state whose cell is this window, closed by the inverse of the centre before it."""
        if self._state is None:
            left, right = self._halves()
            cell = [*left, *right]
            turned = [cell[(i - self._offset) % len(cell)] for i in range(len(cell))]
            self._state = InfiniteMPS.from_tensors(turned, self._sites)
        return self._state

    def _halves(self) -> tuple[list[Tensor], list[Tensor]]:
        """A_0 ... A_{c-1}, and C B_c ... B_{n-1} C_old^-1."""
        left, right = self._tensors[: self._half], self._tensors[self._half :]
        right[0] = contract("l m, m s r -> l s r", self._center, right[0])
        right[-1] = contract("l s m, m r -> l s r", right[-1], _inverse(self._edge))
        return left, right

    # -- sweeping --------------------------------------------------------------------------------------

    def sweeps(self, observers: Sequence[Observer] = ()) -> Iterator[SweepReport]:
        """Add cells until converged, max_sweeps or a stop request; a report after each."""
        while self._progress.sweep < self.settings.max_sweeps and not self.stop_reason and not self.converged:
            report = self.sweep(observers)
            for observer in observers:
                observer.sweep(report, self)
            yield report

    def sweep(self, observers: Sequence[Observer] = ()) -> SweepReport:
        """Add a cell in the middle and optimise it."""
        clock = time.perf_counter()
        if not self._fresh:
            self._advance()
        self._fresh, self._state = False, None
        sites = len(self._tensors)
        lefts, rights = [self._left], [self._right]
        for i in range(sites - 1, 1, -1):
            rights.insert(0, self._absorb(RIGHT, rights[0], i))
        # rights[k] lies right of site k + 1
        bonds = [(b, True) for b in range(sites - 2)] + [(b, False) for b in range(sites - 2, self._half - 2, -1)]
        reports = []
        with block_threads():
            for bond, rightwards in bonds:
                reports.append(self._update_bond(lefts, rights, bond, rightwards))
                for observer in observers:
                    observer.bond(reports[-1], self)
        self._close(lefts, rights, reports[-1].energy)
        return self._count(reports, time.perf_counter() - clock)

    def _site_operator(self, place: int):
        return self.hamiltonian.site_operators[(self._offset + place) % len(self._tensors)]

    def _absorb(self, side: str, environment: Tensor, place: int) -> Tensor:
        return absorb_site(side, environment, self._tensors[place], self._site_operator(place))

    def _advance(self) -> None:
        """The prediction for the next window, right-isometric from its second site on, norm 1."""
        left, right = self._halves()
        left[-1] = contract("l s m, m r -> l s r", left[-1], self._center)
        tensors = [*right, *left]
        for i in range(len(tensors) - 1, 0, -1):
            rest, tensors[i] = lq(tensors[i], (0,))
            tensors[i - 1] = contract("l s m, m r -> l s r", tensors[i - 1], rest)
        tensors[0] = tensors[0] / tensors[0].norm()
        self._offset = (self._offset + self._half) % len(tensors)
        self._half = len(tensors) - self._half
        self._tensors, self._edge = tensors, self._center

    def _update_bond(self, lefts: list[Tensor], rights: list[Tensor], bond: int, rightwards: bool) -> BondReport:
        """Optimise two sites of the window, split them, and carry the environment on."""
        settings, tensors = self.settings, self._tensors
        first, second = self._site_operator(bond), self._site_operator(bond + 1)
        heff = TwoSiteHamiltonian(lefts[bond], first, second, rights[bond], hermitian=True)
        ritz = heff.lowest(heff.join(tensors[bond], tensors[bond + 1]), self._krylov())
        if not np.isfinite(ritz.energy):
            raise NumericalError(f"the energy at bond {bond} of the window is {ritz.energy}: check the MPO for NaN.")
        method = choose_method("auto", settings.truncation, self._dtype)
        with named(f"sites {bond} and {bond + 1} of the window"):
            cut = split_two_site(heff, ritz.vector, settings.truncation, rightwards=rightwards, method=method)
        tensors[bond], tensors[bond + 1] = cut.first, cut.second
        if rightwards:
            lefts[bond + 1 :] = [heff.grow(cut.bond, cut.isometry, True)]
        elif not rightwards and bond > 0:
            rights[bond - 1] = heff.grow(cut.bond, cut.isometry, False)
        self._residual = ritz.start_residual
        return BondReport(
            sweep=self._progress.sweep, bond=bond, direction=1 if rightwards else -1, energy=ritz.energy,
            trunc_err=cut.trunc_err, chi=cut.bond.dim, matvecs=ritz.matvecs, bonds=len(tensors) - 1,
        )  # fmt: skip

    def _krylov(self) -> Krylov:
        """As precise as the last cell's truncation asks for."""
        history = self._progress.history
        trunc_err = history[-1].max_trunc_err if history else 1e-6
        settings = self.settings
        tolerance = max(_RESIDUAL_FLOOR, 0.1 * trunc_err**0.5)
        return Krylov(k_min=settings.krylov_min, k_max=settings.krylov_max, tolerance=tolerance)

    def _close(self, lefts: list[Tensor], rights: list[Tensor], energy: float) -> None:
        """Put the centre on its bond, let both halves join the environments, and take the energy out."""
        tensors, c = self._tensors, self._half
        tensors[c - 1], self._center = qr(tensors[c - 1], (0, 1))
        left, right = self._absorb(LEFT, lefts[c - 1], c - 1), self._absorb(RIGHT, rights[c - 1], c)
        complete = channel_vector(left.legs[1], self.hamiltonian.finishes[(self._offset + c) % len(tensors)], left)
        one = eye(left.legs[0], dtype=left.dtype, backend=left.backend)
        self._left = left - contract("b k, o -> b o k", one * energy, complete)
        self._right = right

    def _count(self, reports: Sequence[BondReport], seconds: float) -> SweepReport:
        """Entropies and energies are compared with those of the same bond, two windows before."""
        progress, settings = self._progress, self.settings
        energy = reports[-1].energy / len(self._tensors)
        entropy = entropy_of_weights(svd(self._center, (0,))[1].values ** 2)
        bond = (self._offset + self._half) % len(self._tensors)
        before = self._seen.get(bond, (float("inf"), float("inf")))
        self._seen[bond] = energy, entropy
        worst = max(report.trunc_err for report in reports)
        report = SweepReport(
            sweep=progress.sweep, energy=energy, energy_change=energy - before[0],
            max_trunc_err=worst, sum_trunc_err=sum(report.trunc_err for report in reports),
            gradient=self._residual, entropy=entropy, entropy_change=abs(entropy - before[1]),
            chi=max(t.legs[2].dim for t in self._tensors), chi_max=settings.truncation.chi_max, noise=0.0,
            matvecs=sum(report.matvecs for report in reports), seconds=seconds,
            split=choose_method("auto", settings.truncation, self._dtype), dtype=str(self._dtype),
        )  # fmt: skip
        recent = [*progress.history[-1:], report]
        self.converged = report.sweep + 1 >= settings.min_sweeps and all(
            abs(r.energy_change) <= max(settings.energy_tol, _ENERGY_PER_WEIGHT * r.max_trunc_err)
            and r.entropy_change <= max(settings.entropy_tol, _ENTROPY_PER_ROOT * r.max_trunc_err**0.5)
            for r in recent
        )
        self._progress = replace(
            progress, sweep=progress.sweep + 1, energy=energy, max_trunc_err=worst, entropy=entropy,
            history=(*progress.history, report),
        )  # fmt: skip
        return report


def _inverse(center: Tensor) -> Tensor:
    """C^-1 with legs (right, left), where C carries weight."""
    u, s, v = svd(center, (0,))
    floor = _INVERTIBLE * float(s.values.max())
    inverse = np.where(s.values > floor, 1 / np.maximum(s.values, floor), 0.0).astype(center.dtype)
    middle = diagonal(center.backend.asarray(inverse), s.leg)
    return contract("m r, m n, l n -> r l", v.conj(), middle, u.conj())
