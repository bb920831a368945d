"""DMRG for several states at once: one basis for all, and a centre tensor each."""

from typing import TYPE_CHECKING

import numpy as np

from tnsim.algorithms.ground_state.dmrg_run import DMRGRun, with_random_part
from tnsim.algorithms.solution import BondReport
from tnsim.backend import Array, normal
from tnsim.errors import NumericalError, StateError
from tnsim.networks.bundle import split_bundle
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.tensor import Tensor

if TYPE_CHECKING:
    from tnsim.algorithms.ground_state.dmrg import DMRG

# share of the random part where the settings ask for no noise: one product state has room for one level only
_RANDOM = 1e-3


class AveragedRun(DMRGRun):
    """A run whose energy is the mean of the lowest levels; `energies` holds theirs, `states` the states.

    `state` and the reports' entropy belong to the lowest one and to the shared basis.
    """

    def __init__(self, settings: "DMRG", H: MPO, psi: MPS, count: int) -> None:
        self.count = count
        self.energies = np.full(count, np.nan)
        # centre tensors of all states but the first, which lies among the site tensors
        self._others: list[Tensor] = []
        super().__init__(settings, H, psi)

    def _stirred(self, psi: MPS) -> MPS:
        """psi with a random part that has room for all states."""
        weight = max(self.settings.noise_of(0), _RANDOM)
        return with_random_part(psi, weight, max(4, self.count + 1), self.settings.seed)

    @property
    def states(self) -> tuple[MPS, ...]:
        """All states as they stand, orthonormal, in one mixed canonical form."""
        center = self._center
        assert center is not None
        centers = [self.tensors[center], *self._others]
        return tuple(
            MPS([*self.tensors[:center], c, *self.tensors[center + 1 :]], self._sites, center) for c in centers
        )

    def update_bond(self, bond: int, rightwards: bool) -> BondReport:
        """Optimise the two sites around a bond for all states, split them together, and carry the environment on."""
        frame = self._update.frame(bond, rightwards, self._progress)
        heff, settings, sweep = frame.heff, self.settings, self._progress.sweep
        thetas, matvecs, gradient = self._lowest(heff, self._thetas(heff, bond, rightwards), bond)
        cut, centers = split_bundle(
            heff, thetas, settings.truncation_of(sweep), rightwards=rightwards, noise=settings.noise_of(sweep)
        )
        self._update.place(frame, cut, bond, rightwards)
        self._center, self._others = bond + 1 if rightwards else bond, centers[1:]
        return self._count(bond, rightwards, float(self.energies.mean()), matvecs, gradient, cut)

    def _thetas(self, heff: TwoSiteHamiltonian, bond: int, rightwards: bool) -> list[Array]:
        """The two-site tensors of all states; random ones at the first bond."""
        first, second = self.tensors[bond], self.tensors[bond + 1]
        thetas = [heff.join(first, second)]
        if not self._others:
            seeds = range(self.settings.seed + 1, self.settings.seed + self.count)
            return thetas + [normal(heff.plan.size, heff.dtype, seed, heff.backend) for seed in seeds]
        return thetas + [heff.join(c, second) if rightwards else heff.join(first, c) for c in self._others]

    def _lowest(self, heff: TwoSiteHamiltonian, thetas: list[Array], bond: int) -> tuple[list[Array], int, float]:
        """The lowest eigenvectors near thetas, in one Krylov space for all.

        Returns them, the products spent and the largest projected gradient of the start vectors.
        """
        size, backend = heff.plan.size, heff.backend
        if size < self.count:
            raise StateError(
                f"the two sites at bond {bond} hold {size} states of the sector between their neighbours, and "
                f"{self.count} are wanted: raise chi_max, or find the levels one by one."
            )
        pairs = heff.lowest_few(thetas, self._krylov(bond))
        if len(pairs) < self.count:  # a cut left states that depend on each other
            seeds = range(self.settings.seed, self.settings.seed + self.count)
            thetas = thetas + [normal(size, heff.dtype, seed, backend) for seed in seeds]
            pairs = heff.lowest_few(thetas, self._krylov(bond))
        self.energies = np.array([ritz.energy for ritz in pairs[: self.count]])
        if not np.isfinite(self.energies).all():
            raise NumericalError(f"the energies at bond {bond} are not finite: check the MPO for NaN.")
        seen = [heff.project(ritz.residual, self.tensors[bond], self.tensors[bond + 1]) for ritz in pairs[: self.count]]
        gradient = max(float(backend.read(backend.norm(part))) for part in seen)
        return [ritz.vector for ritz in pairs[: self.count]], pairs[0].matvecs, gradient
