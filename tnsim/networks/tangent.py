"""The Hamiltonian in the tangent space of an infinite state: one changed site with a momentum.

    |B, p> = sum_x exp(i p x) ...AL--AL--B_x--AR--AR...      B = VL X, VL the complement of AL

Source: J. Haegeman et al., Phys. Rev. B 85, 100408 (2012); L. Vanderstraeten, J. Haegeman, F. Verstraete,
SciPost Phys. Lect. Notes 7 (2019), section 5.
"""

from collections.abc import Sequence

import numpy as np

from tnsim.backend import Array
from tnsim.errors import ChargeError, ShapeError
from tnsim.linalg import Truncation, svd
from tnsim.linalg.gmres import gmres
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.infinite_effective import site_hamiltonian
from tnsim.networks.infinite_environments import InfiniteEnvironments, channel_vector, infinite_environments
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.transfer import transfer_eigenpairs
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, eye, inner, zeros


def complement(site: Tensor) -> Tensor:
    """VL (left, phys, rest) with orthonormal columns that span what the left-isometric AL leaves out."""
    left, phys, _ = site.legs
    one = [eye(leg, dtype=site.dtype, backend=site.backend) for leg in (left, phys)]
    rest = contract("l k, s t -> l s k t", *one) - contract("l s m, k t m -> l s k t", site, site.conj())
    # singular values are 1 or 0
    half = min(0.5, 0.5 / max(1e-300, rest.norm()))
    return svd(rest, (0, 1), Truncation(chi_max=left.dim * phys.dim, svd_min=half))[0]


class TangentHamiltonian:
    """H - E on the numbers X of a tangent vector, flat; E the energy of the ground state.

    left, right: the ground states on both sides (the same one, or two of a broken symmetry: domain walls, whose
    momentum counts from where the mixed transfer matrix has a positive largest eigenvalue); momentum per site;
    charge: what the excitation adds. One application costs two linear systems of chi^2 w numbers, and
    O(n chi^3 d w).
    """

    def __init__(
        self,
        H: InfiniteMPO,
        left: InfiniteMPS,
        right: InfiniteMPS,
        momentum: float,
        charge: Charge,
        tolerance: float = 1e-10,
    ) -> None:
        self.trivial = left is right and charge == left.sites[0].group.identity
        phase = np.exp(-1j * momentum * left.L) * np.conj(_relative_phase(left, right))
        real = abs(phase.imag) < 1e-14 and left.dtype.kind == right.dtype.kind == H.dtype.kind == "f"
        self.dtype = np.dtype(float if real else complex)
        self.phase = float(phase.real) if real else complex(phase)
        self.H, self.left, self.right = H.astype(self.dtype), left.astype(self.dtype), right.astype(self.dtype)
        self.charge, self.tolerance, self.backend = charge, tolerance, left.backend
        lefts = infinite_environments(self.left, self.H)
        rights = lefts if left is right else infinite_environments(self.right, self.H)
        self.lefts, self.rights = lefts.lefts, rights.rights
        # energy of a window of one cell with all terms that reach into it
        self.energy = 0.5 * (_window_energy(self.left, self.H, lefts) + _window_energy(self.right, self.H, rights))
        self.complements = [complement(site) for site in self.left.AL]
        self.legs = [
            (rest.legs[2].dual, site.legs[2]) for rest, site in zip(self.complements, self.right.AR, strict=True)
        ]
        self.sizes = [zeros(legs, charge).size for legs in self.legs]
        if not sum(self.sizes):
            raise ChargeError(
                f"no excitation of charge {charge} ({left.sites[0].group!r}) fits on the bonds of this state: take "
                "another charge, or a state of larger bond dimension."
            )

    @property
    def size(self) -> int:
        """Numbers in X."""
        return sum(self.sizes)

    def sites(self, flat: Array) -> list[Tensor]:
        """The site tensors B."""
        starts = np.cumsum([0, *self.sizes]).tolist()
        parts = [flat[a:b] for a, b in zip(starts, starts[1:], strict=False)]
        return [
            contract("l s q, q r -> l s r", rest, Tensor(legs, part, self.charge))
            for rest, legs, part in zip(self.complements, self.legs, parts, strict=True)
        ]

    def apply(self, flat: Array) -> Array:
        """(H - E) X."""
        changed = self.sites(flat)
        before, behind = self._lefts(changed), self._rights(changed)
        found = []
        for i, b in enumerate(changed):
            left, operator, right = self.lefts[i], self.H.tensors[i], self.rights[i]
            total = site_hamiltonian(left, operator, right)(b) - b * self.energy
            total = total + site_hamiltonian(before[i], operator, right)(self.right.AR[i])
            total = total + site_hamiltonian(left, operator, behind[i])(self.left.AL[i])
            found.append(contract("l s q, l s r -> q r", self.complements[i].conj(), total).data)
        return self.backend.concatenate(found)

    # -- environments that hold the changed site -------------------------------------------------------

    def _lefts(self, changed: Sequence[Tensor]) -> list[Tensor]:
        """Environments left of every site with the change inside: bra AL, ket AL ... B ... AR."""

        def cell(start: Tensor | None, change: bool) -> list[Tensor]:
            result, here = [], start
            for i, b in enumerate(changed):
                kept = None if here is None else self._step(LEFT, here, i, self.right.AR[i])
                fresh = self._step(LEFT, self.lefts[i], i, b) if change else None
                here = _sum(kept, fresh)
                result.append(here)
            return result

        first = self._solve(LEFT, cell(None, True)[-1], lambda x: cell(x, False)[-1])
        return [first, *cell(first, True)[:-1]]

    def _rights(self, changed: Sequence[Tensor]) -> list[Tensor]:
        """Environments right of every site with the change inside: bra AR, ket AL ... B ... AR."""

        def cell(start: Tensor | None, change: bool) -> list[Tensor]:
            result, here = [], start
            for i in range(len(changed) - 1, -1, -1):
                kept = None if here is None else self._step(RIGHT, here, i, self.left.AL[i])
                fresh = self._step(RIGHT, self.rights[i], i, changed[i]) if change else None
                here = _sum(kept, fresh)
                result.append(here)
            return result

        first = self._solve(RIGHT, cell(None, True)[-1], lambda x: cell(x, False)[-1])
        return [*cell(first, True)[:-1][::-1], first]

    def _step(self, side: str, environment: Tensor, i: int, ket: Tensor) -> Tensor:
        """An environment (bra, op, ket) one site further; the bra is canonical on that side."""
        operator = self.H.tensors[i]
        if side == LEFT:
            half = contract("b o k, k s m -> b o s m", environment, ket)
            half = contract("b o s m, o t s p -> b t p m", half, operator)
            return contract("b t c, b t p m -> c p m", self.left.AL[i].conj(), half)
        half = contract("b p k, m s k -> b p s m", environment, ket)
        half = contract("b p s m, o t s p -> b t o m", half, operator)
        return contract("c t b, b t o m -> c o m", self.right.AR[i].conj(), half)

    def _solve(self, side: str, source: Tensor, absorb) -> Tensor:
        """x = phase (source + T x): the change in any cell on this side."""
        phase = self.phase if side == LEFT else np.conj(self.phase).item() if self.dtype.kind == "c" else self.phase
        legs, charge = source.legs, source.charge
        right_side = self._without_ground_state(side, source) * phase

        def matvec(flat: Array) -> Array:
            x = self._without_ground_state(side, absorb(Tensor(legs, flat, charge)))
            return flat - x.data * phase

        found = gmres(matvec, right_side.data, right_side.data, self.backend, tolerance=self.tolerance)
        return Tensor(legs, found.vector, charge)

    def _without_ground_state(self, side: str, x: Tensor) -> Tensor:
        """Drop what is proportional to C where all operators are done or none has begun: it never reaches VL X."""
        if not self.trivial:
            return x
        c = self.left.C[-1] if side == LEFT else contract("k b -> b k", self.left.C[-1])
        for place in (self.H.starts[0], self.H.finishes[0]):
            channel = channel_vector(x.legs[1], place, x)
            part = contract("b o k, o -> b k", x, channel.conj())
            share = contract("b k, b k -> ", part, c.conj())
            x = x - contract("b k, o -> b o k", Tensor(c.legs, c.data * share.data[0]), channel)
        return x


def _relative_phase(left: InfiniteMPS, right: InfiniteMPS) -> complex:
    """The phase by which two states turn against each other from cell to cell; 1 where they share no charge."""
    if left is right:
        return 1.0
    values = transfer_eigenpairs(left.AL, right.AR)[0].values
    return complex(values[0] / abs(values[0])) if len(values) and abs(values[0]) > 1e-8 else 1.0


def _window_energy(psi: InfiniteMPS, H: InfiniteMPO, environments: InfiniteEnvironments) -> float:
    center = psi.AC(0)
    image = site_hamiltonian(environments.lefts[0], H.tensors[0], environments.rights[0])(center)
    return float(np.real(inner(center, image)))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor:
    if a is None or b is None:
        found = b if a is None else a
        assert found is not None
        return found
    return a + b


def check_pair(left: InfiniteMPS, right: InfiniteMPS) -> None:
    """Two ground states that one excitation can connect."""
    if [site.leg for site in left.sites] != [site.leg for site in right.sites]:
        raise ShapeError(f"a domain wall needs two states on the same cell, found {left!r} and {right!r}.")
