"""TDVP: time evolution by the equations of motion of the site tensors, for any H that is an MPO.

Sources: J. Haegeman, C. Lubich, I. Oseledets, B. Vandereycken, F. Verstraete, Phys. Rev. B 94, 165116 (2016),
algorithms 1 and 2; M. Yang, S. R. White, Phys. Rev. B 102, 094315 (2020).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.error_budget import CutShares
from tnsim.algorithms.evolution.evolution import (
    Evolution,
    check_hermitian,
    check_krylov,
    check_start,
    evolving_dtype,
    middle_entropy,
)
from tnsim.algorithms.evolution.tdvp_infinite import UniformEvolution
from tnsim.backend import Array
from tnsim.errors import SettingsError, suggest
from tnsim.linalg import Truncation, lq, qr
from tnsim.linalg.expm import exponentiate
from tnsim.measure.operator import expect_mpo, shifted
from tnsim.networks.acting import check_acts_on
from tnsim.networks.adjoint import is_own_adjoint
from tnsim.networks.apply import apply
from tnsim.networks.canonical import canonicalize
from tnsim.networks.center_effective import BondHamiltonian, SiteHamiltonian
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.environments import Environments
from tnsim.networks.global_expansion import expand_basis
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.two_site_split import choose_method, named, split_two_site
from tnsim.tensor import Tensor, contract

SCHEMES = ("hybrid", "two-site", "one-site")


@dataclass(frozen=True, kw_only=True)
class TDVP(Evolution):
    """Time evolution by the time-dependent variational principle: `TDVP(...).run(H, psi, time=...)`, H an MPO.

    A step is a sweep to the right and one back, each over dt / 2: an error O(dt^3) a step and O(dt^2) in all, from
    the splitting. What the bond dimension cannot hold is projected out, which no discarded weight tells: compare bond
    dimensions. With "one-site" bonds stay as they are, and norm and energy are conserved to rounding; `truncation` is
    not used. "two-site" cuts every bond anew, up to chi_max. "hybrid" updates two sites where a bond is not at
    chi_max, and one site where it is.

    On small bonds one site does not see where H leads, and two sites see no terms of longer range: an error of the
    projection that smaller steps do not lower. `expansion` = n takes the basis of H psi, ..., H^n psi in before every
    step, until a bond has chi_max states; from product states with terms of long range, 2 or 3 are enough. While
    Schmidt values are tiny, as in the first steps from a product state, the order of the splitting is one (E. Kieri,
    C. Lubich, H. Walach, SIAM J. Numer. Anal. 54, 1020 (2016)): start with small steps where that is seen.

    An InfiniteMPS under an InfiniteMPO moves as a whole, by the midpoint rule: O(dt^2) too, bonds as they are with
    "one-site", and growing along the two-site part of H psi with "hybrid"; energies and norms are those per site.

    Cost of a step: O(L chi^3 d^2 w) products for two sites, O(L chi^3 d w) for one, `krylov_max` times at most, and
    the cuts, O(L chi^3 d^3).

    >>> from tnsim.networks.sites import spin_sites
    >>> from tnsim.networks.operator_sum import OperatorSum, plus_hc
    >>> from tnsim.linalg import Truncation
    >>> sites, H = spin_sites(4), OperatorSum()
    >>> for i in range(4):
    ...     for j in range(i):
    ...         H += plus_hc(0.5 / (i - j) ** 2, "S+", i, "S-", j)
    >>> psi = MPS.product(sites, ["up", "down"] * 2)
    >>> evolved = TDVP(dt=0.1, truncation=Truncation(chi_max=8)).run(H.mpo(sites), psi, time=1.0)
    >>> evolved.status.name, abs(evolved.history[-1].energy_drift) < 1e-8
    ('finished', True)
    """

    scheme: str = field(
        default="hybrid",
        metadata={"help": "hybrid, two-site or one-site: how many sites an update takes", "choices": SCHEMES},
    )
    expansion: int = field(
        default=0, metadata={"help": "powers of H on psi whose basis the bonds take in before a step; 0: none"}
    )
    expansion_tol: float = field(
        default=1e-6, metadata={"help": "smallest singular value, of such a state of norm 1, that a bond takes in"}
    )
    krylov_tol: float = field(default=1e-10, metadata={"help": "error of a local exponential, relative to its norm"})
    krylov_max: int = field(default=30, metadata={"help": "most products with H in one Krylov space"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in SCHEMES:
            raise SettingsError(f"unknown scheme {self.scheme!r}. {suggest(self.scheme, SCHEMES)}")
        if self.expansion < 0 or not 0 < self.expansion_tol < 1:
            raise SettingsError(
                f"expansion is not negative and expansion_tol lies between 0 and 1, found {self.expansion!r} and "
                f"{self.expansion_tol!r}."
            )
        check_krylov(self.krylov_tol, self.krylov_max)

    def propagator(self, H: Any, psi: Any) -> "SweepEvolution | UniformEvolution":
        """The state at work. Raises OperatorError, ShapeError, LegError, BackendError or StateError for wrong input."""
        if isinstance(H, InfiniteMPO) or isinstance(psi, InfiniteMPS):
            return UniformEvolution(self, H, psi)
        return SweepEvolution(self, H, psi)


class SweepEvolution:
    """A state with its centre on the first site, of norm 1, and the norm beside it."""

    def __init__(self, settings: TDVP, H: MPO, psi: MPS) -> None:
        check_acts_on(H, psi)
        check_start(psi)
        check_hermitian(settings, is_own_adjoint(H))
        self.settings, self.sites, self.hamiltonian = settings, psi.sites, H
        self.hermitian = not settings.non_hermitian
        self.conserves = self.hermitian and not settings.imaginary
        psi = canonicalize(psi.astype(evolving_dtype(settings, psi.dtype, H.dtype)), 0)
        self._norm = 1.0 if settings.imaginary else psi.norm()
        self.environments = Environments(list((psi / psi.norm()).tensors), H.site_operators)
        self._method = choose_method("auto", settings.truncation, psi.dtype)
        self._weight = self._log_norm = 0.0
        self._rule = settings.truncation
        # what one site cannot hold is not cut, so nothing says how much it is
        self.cuts = CutShares(settings.truncation) if settings.scheme == "two-site" else None

    @property
    def tensors(self) -> list[Tensor]:
        """Those of the state, which the environments follow."""
        return self.environments.tensors

    @property
    def state(self) -> MPS:
        """The state, with the norm that truncation left of it (1 in imaginary time)."""
        psi = MPS(self.tensors, self.sites, 0)
        return psi if self._norm == 1.0 else psi * self._norm

    def energy(self, time: float) -> float | None:
        """<H> of the normalised state; one product."""
        if not self.hermitian:
            return None
        heff, backend = SiteHamiltonian(self.environments, 0), self.tensors[0].backend
        site = heff.flat(self.tensors[0])
        return float(backend.read(backend.real(backend.vdot(site, heff.apply(site)))))

    def entropy(self) -> float:
        """Von Neumann entropy at the middle bond."""
        return middle_entropy(MPS(self.tensors, self.sites, 0))

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps, each a sweep right and a sweep left over half its time."""
        self._weight = self._log_norm = 0.0
        for number in range(steps):
            self._expand()
            self._sweep(dt / 2, 2 * (steps - number), rightwards=True)
            self._sweep(dt / 2, 2 * (steps - number) - 1, rightwards=False)
        if not self.settings.imaginary:
            self._norm *= float(np.exp(self._log_norm))
        return self._weight, self._log_norm

    @property
    def order(self) -> int:
        """Of the splitting."""
        return 2

    def remember(self) -> Any:
        """Tensors are replaced, never changed: the list is enough."""
        return self.tensors.copy(), self._norm

    def return_to(self, memory: Any) -> None:
        """Undo what was done since; environments are made again where they are asked for."""
        tensors, self._norm = memory
        self.environments = Environments(tensors.copy(), self.environments.operators)

    def _expand(self) -> None:
        """Take the basis of powers of H - E on the state into all bonds, while these are small."""
        settings, chi_max = self.settings, self.settings.truncation.chi_max
        psi = MPS(self.tensors, self.sites, 0)
        if not settings.expansion or max(psi.bond_dimensions) >= chi_max:
            return
        centred = shifted(self.hamiltonian, complex(expect_mpo(self.hamiltonian, psi)).real)
        powers, cut = [psi], Truncation(chi_max=chi_max, svd_min=settings.expansion_tol)
        for _ in range(settings.expansion):
            image = apply(centred, powers[-1], cut)
            norm = image.norm()
            if norm <= settings.expansion_tol:
                break
            powers.append(image / norm)
        grown = expand_basis(psi, powers[1:], chi_max=chi_max, tolerance=settings.expansion_tol)
        self.environments.tensors[:] = grown.tensors

    # -- a sweep ---------------------------------------------------------------------------------------

    def _sweep(self, tau: float, left: int, *, rightwards: bool) -> None:
        """Every site forward in time, every bond (or site between two pairs) back, one after the other; `left` sweeps
        are left."""
        last, before = len(self.tensors) - 1, self._weight
        if self.cuts:
            self._rule = self.cuts.rule(last, left)
        if last == 0:
            self._evolve_site(0, tau)
        for bond in range(last) if rightwards else reversed(range(last)):
            closing = bond == (last - 1 if rightwards else 0)
            here, there = (bond, bond + 1) if rightwards else (bond + 1, bond)
            if self._takes_two(bond):
                self._evolve_pair(bond, tau, rightwards)
                if not closing:
                    self._evolve_site(there, -tau)
                continue
            self._evolve_site(here, tau)
            self._pass_bond(bond, tau, rightwards)
            if closing:
                self._evolve_site(there, tau)
        if self.cuts:
            self.cuts.spend(self._weight - before)

    def _takes_two(self, bond: int) -> bool:
        """Whether the bond is cut anew."""
        scheme = self.settings.scheme
        return scheme == "two-site" or (
            scheme == "hybrid" and self.tensors[bond].legs[2].dim != self.settings.truncation.chi_max
        )

    def _evolve_pair(self, bond: int, tau: float, rightwards: bool) -> None:
        """Two sites forward, and a cut that leaves the centre where the sweep goes."""
        environments, tensors = self.environments, self.tensors
        first, second = environments.operators[bond : bond + 2]
        heff = TwoSiteHamiltonian(environments.left(bond), first, second, environments.right(bond + 1))
        theta = self._exponential(heff, heff.join(tensors[bond], tensors[bond + 1]), tau)
        with named(f"the pair of sites {bond} and {bond + 1}"):
            cut = split_two_site(heff, theta, self._rule, rightwards=rightwards, method=self._method)
        tensors[bond], tensors[bond + 1] = cut.first, cut.second
        if rightwards:
            environments.put_left(bond + 1, heff.grow(cut.bond, cut.isometry, True))
        else:
            environments.put_right(bond, heff.grow(cut.bond, cut.isometry, False))
        self._weight += cut.trunc_err
        self._log_norm += float(np.log1p(-cut.trunc_err)) / 2

    def _evolve_site(self, site: int, tau: float) -> None:
        """The centre, forward or back."""
        heff, legs = SiteHamiltonian(self.environments, site), self.tensors[site].legs
        self.tensors[site] = heff.tensor(self._exponential(heff, heff.flat(self.tensors[site]), tau), legs)

    def _pass_bond(self, bond: int, tau: float, rightwards: bool) -> None:
        """The centre over a bond, whose matrix goes back in time on the way."""
        tensors = self.tensors
        if rightwards:
            tensors[bond], matrix = qr(tensors[bond], (0, 1))
        else:
            matrix, tensors[bond + 1] = lq(tensors[bond + 1], (0,))
        heff = BondHamiltonian(self.environments, bond)
        matrix = Tensor(matrix.legs, self._exponential(heff, matrix.data, -tau))
        if rightwards:
            tensors[bond + 1] = contract("l m, m s r -> l s r", matrix, tensors[bond + 1])
        else:
            tensors[bond] = contract("l s m, m r -> l s r", tensors[bond], matrix)

    def _exponential(
        self, heff: TwoSiteHamiltonian | SiteHamiltonian | BondHamiltonian, theta: Array, tau: float
    ) -> Array:
        """exp(-i H tau) or exp(-H tau) of a local tensor, brought back to norm 1."""
        settings, backend = self.settings, self.tensors[0].backend
        factor = settings.generator * tau
        found = exponentiate(
            heff.apply, theta, factor, backend, hermitian=self.hermitian,
            tolerance=settings.krylov_tol, krylov_max=settings.krylov_max,
        ).vector  # fmt: skip
        size = float(backend.read(backend.norm(found)))
        if settings.imaginary or not self.hermitian:
            self._log_norm += float(np.log(size))
        return found * (1 / size)
