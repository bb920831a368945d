"""Left and right environments of <psi|H|psi> on the infinite chain, with the energy of a cell taken out.

Channels that a term passes through are finite sums; the channel of what lies wholly on one side grows by the
energy of a cell at every step, and is the solution of a linear system once that is taken out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.backend import Array
from tnsim.errors import BackendError, LegError, NumericalError, OperatorError, ShapeError
from tnsim.linalg.gmres import gmres
from tnsim.networks.effective import absorb_site
from tnsim.networks.effective_plans import LEFT, RIGHT, environment_legs
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.transfer import transfer
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, eye, from_dense

# cells after which an exponential that still changes the environment is given up
_LONGEST = 20000


@dataclass(frozen=True, eq=False)
class InfiniteEnvironments:
    """lefts[i]: all that lies left of site i, rights[i]: right of site i, legs (bra, op, ket); energy of a cell
    (complex where the operator is not Hermitian).

    The sites of the left ones are AL, of the right ones AR. In the channel that is complete, an environment's
    expectation value is 0 at the boundary of the cell.
    """

    lefts: tuple[Tensor, ...]
    rights: tuple[Tensor, ...]
    energy: Any


def infinite_environments(
    psi: InfiniteMPS, H: InfiniteMPO, before: InfiniteEnvironments | None = None, *, tolerance: float = 1e-12
) -> InfiniteEnvironments:
    """Environments of every site of the cell; `before`: those of a state nearby, to start from.

    Cost O(n chi^3 d w) and one linear system of chi^2 numbers a side; the error is about `tolerance`.
    Source: H. N. Phien, G. Vidal, I. P. McCulloch, Phys. Rev. B 86, 245107 (2012), V. Zauner-Stauber et al.,
    Phys. Rev. B 97, 045145 (2018), appendix C.
    """
    operators = H.site_operators
    c = psi.C[-1]
    left, energy = _Side(LEFT, psi, H, contract("k r, b r -> b k", c, c.conj())).solve(
        before.lefts[0] if before else None, tolerance
    )
    right, _ = _Side(RIGHT, psi, H, contract("l k, l b -> b k", c, c.conj())).solve(
        before.rights[-1] if before else None, tolerance
    )
    lefts, rights = [left], [right]
    for i in range(psi.L - 1):
        lefts.append(absorb_site(LEFT, lefts[-1], psi.AL[i], operators[i]))
    for i in range(psi.L - 1, 0, -1):
        rights.insert(0, absorb_site(RIGHT, rights[0], psi.AR[i], operators[i]))
    real = H.is_hermitian or not np.iscomplexobj(energy)
    return InfiniteEnvironments(tuple(lefts), tuple(rights), float(np.real(energy)) if real else energy)


class _Side:
    """One boundary of the cell: where its channels stand, and how a cell is absorbed."""

    def __init__(self, side: str, psi: InfiniteMPS, H: InfiniteMPO, fixed: Tensor) -> None:
        self.side, self.fixed, self.reach = side, fixed, H.reach
        operators, is_left = H.site_operators, side == LEFT
        self.tensors = psi.AL if is_left else psi.AR
        pairs = list(zip(self.tensors, operators, strict=True))
        self.steps = pairs if is_left else pairs[::-1]
        bond, op = (psi.AL[0].legs[0], operators[0].left) if is_left else (psi.AR[-1].legs[2], operators[-1].right)
        self.legs = environment_legs(side, bond, op)
        self.one = eye(self.legs[0], dtype=psi.dtype, backend=psi.backend)
        ends = (H.starts[0], H.finishes[0])
        waiting, complete = ends if is_left else ends[::-1]
        self.waiting = channel_vector(self.legs[1], waiting, self.one)
        self.complete = channel_vector(self.legs[1], complete, self.one)

    def solve(self, guess: Tensor | None, tolerance: float) -> tuple[Tensor, complex]:
        """The environment at the boundary of the cell, and the energy of a cell."""
        guess = guess if guess is not None and guess.legs == self.legs and guess.dtype == self.one.dtype else None
        open_terms = self._open_terms(guess, tolerance)
        added = self._part(self._absorb(open_terms))
        energy = contract("b k, b k -> ", added, self.fixed).item()
        added = added - self.one * energy
        start = added * 0.0 if guess is None else self._part(guess)
        floor = 30 * float(np.finfo(self.one.dtype).eps) * max(1.0, abs(energy))
        done = gmres(self._without_fixed, added.data, start.data, self.one.backend, tolerance=max(tolerance, floor))
        whole = open_terms + self._put(Tensor(self.one.legs, done.vector))
        return whole, energy

    def _absorb(self, environment: Tensor) -> Tensor:
        for tensor, operator in self.steps:
            environment = absorb_site(self.side, environment, tensor, operator)
        return environment

    def _open_terms(self, guess: Tensor | None, tolerance: float) -> Tensor:
        """The channels of terms under way: as many cells as they reach, or until exponentials have settled."""
        environment = contract("b k, o -> b o k", self.one, self.waiting)
        if self.reach is None and guess is not None:
            environment = guess - self._put(self._part(guess))
        for _ in range(_LONGEST if self.reach is None else self.reach):
            longer = self._absorb(environment)
            longer = longer - self._put(self._part(longer))
            if self.reach is None and (longer - environment).norm() <= 0.1 * tolerance:
                return longer
            environment = longer
        if self.reach is None:
            raise NumericalError(f"an exponential did not settle within {_LONGEST} cells: let it decay faster.")
        return environment

    def _part(self, environment: Tensor) -> Tensor:
        """What is complete, legs (bra, ket)."""
        return contract("b o k, o -> b k", environment, self.complete.conj())

    def _put(self, part: Tensor) -> Tensor:
        return contract("b k, o -> b o k", part, self.complete)

    def _without_fixed(self, flat: Array) -> Array:
        """x - T(x) + 1 (x|fixed): T without its largest eigenvalue, so that the system has one solution."""
        x = Tensor(self.one.legs, flat)
        overlap = contract("b k, b k -> ", x, self.fixed)
        return flat - transfer(self.side, x, self.tensors, self.tensors).data + self.one.data * overlap.data[0]


def channel_vector(leg: Leg, place: int, like: Tensor) -> Tensor:
    """The unit vector of one neutral channel of an operator leg."""
    vector = np.zeros(leg.dim, dtype=like.dtype)
    vector[place] = 1
    return from_dense(vector, (leg,)).to(like.backend)


def check_fits(psi: InfiniteMPS, H: InfiniteMPO) -> None:
    """What algorithms need of a state and an operator, said before the first product."""
    if not isinstance(H, InfiniteMPO) or not isinstance(psi, InfiniteMPS):
        raise OperatorError(
            f"an infinite algorithm takes an InfiniteMPO and an InfiniteMPS, found {type(H).__name__} and "
            f"{type(psi).__name__}: an OperatorSum becomes an operator by InfiniteMPO.from_sum(H, sites)."
        )
    if psi.L != H.L:
        raise ShapeError(
            f"the operator has a cell of {H.L} sites, the state one of {psi.L}: build both for the same cell."
        )
    for i, (a, b) in enumerate(zip(psi.sites, H.sites, strict=True)):
        if a.leg is not b.leg:
            raise LegError(
                f"site {i}: the state's physical leg is {a.leg!r}, the operator's {b.leg!r}; make both from the same "
                "sites (neutral_cell shifts their charges, and a model's infinite_sites have those of its filling)."
            )
    if psi.backend is not H.backend:
        raise BackendError(
            f"the state lies on {psi.backend.name}, the operator on {H.backend.name}: move one with .to(...)."
        )


def check_ground_state_input(psi: InfiniteMPS, H: InfiniteMPO, name: str) -> None:
    """check_fits, and that there is a ground state to look for."""
    check_fits(psi, H)
    if H.is_hermitian is False:
        raise OperatorError(
            f"{name} needs a Hermitian operator, but this sum is not equal to its adjoint: add the missing Hermitian "
            "conjugate terms."
        )
