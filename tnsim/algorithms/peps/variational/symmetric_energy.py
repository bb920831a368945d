"""Density matrices of neighbours in a state of one symmetric tensor, and the energy that they give.

C--E--.--E--C      z, v: bonds of the boundary; the right half is the left one, half a turn further
|  |  v  |  |
E--a--e--a--E
|  |  z  |  |
C--E--.--E--C
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.algorithms.peps.variational.symmetric_environment import SymmetricEnvironment, turned
from tnsim.errors import OperatorError
from tnsim.networks.peps import PlaneTerms
from tnsim.tensor import Tensor, from_dense
from tnsim.tensor.gradient import contract, ratio, real

_NEAREST, _DIAGONAL = ((0, 1), (1, 0)), ((1, 1), (1, -1))


def nearest_density(environment: SymmetricEnvironment, site: Any) -> Any:
    """rho (ket 1, bra 1, ket 2, bra 2) of two neighbours, not normalised. Cost O(chi^3 D^4 d^2 + chi^2 D^6 d^2)."""
    corner, edge, bra = environment.corner, environment.edge, site.conj()
    side = contract("x a, a w W b, b y -> x w W y", corner, edge, corner)
    half = contract("x w W y, y n N v -> x w W n N v", side, edge)
    half = contract("x w W n N v, n e s w p -> x W N v e s p", half, site)
    half = contract("x W N v e s p, N E S W P -> x v e s p E S P", half, bra)
    half = contract("z s S x, x v e s p E S P -> z v e E p P", turned(edge, (1, 1, -1, -1)), half)
    other = turned(half, (1, -1, 1, -1, 1, -1))
    return contract("z v e E p P, v z e E q Q -> p P q Q", half, other)


def diagonal_density(environment: SymmetricEnvironment, site: Any) -> Any:
    """rho of two sites across the diagonal of a square, as `nearest_density`. Cost O(chi^3 D^6 d^2)."""
    corner, edge, bra = environment.corner, environment.edge, site.conj()
    half = contract("l w W b, b r -> l w W r", edge, corner)
    quadrant = contract("l w W b, b n N r -> l w W n N r", half, edge)
    quadrant = contract("l w W n N r, n e s w p -> l W N r e s p", quadrant, site)
    open_one = contract("l W N r e s p, N E S W P -> l s S p P r e E", quadrant, bra)
    closed = contract("l W N r e s p, N E S W p -> l s S r e E", quadrant, bra)
    # a quarter turn on, rows meet the columns of the quadrant before
    closed = turned(closed, (1, 1, -1, -1, -1, 1))
    pair = contract("l s S p P r e E, r e E x y Y -> l s S p P x y Y", open_one, closed)
    return contract("l s S p P x y Y, x y Y q Q l s S -> p P q Q", pair, turned(pair, (1, 1, -1, 1, -1, -1, 1, -1)))


@dataclass(frozen=True, eq=False)
class SymmetricTerms:
    """The energy of a site: matrices of neighbours and of diagonals, each in the Kronecker basis, rows out.

    plane: the terms that they were made of; nearest: of both bonds of a site, terms on single sites included; diagonal:
    of both diagonals, None without any. turn: the unitary that acts on every second site of the lattice to make all
    tensors alike, None where they are.
    """

    plane: PlaneTerms
    nearest: np.ndarray
    diagonal: np.ndarray | None = None
    turn: np.ndarray | None = None

    @classmethod
    def of(cls, terms: PlaneTerms, turn: np.ndarray | None = None) -> "SymmetricTerms":
        """Of an infinite model whose cell is one site.

        Raises OperatorError for terms that reach further, and where the turned sublattice sees other terms than the
        first, which one tensor cannot describe.
        """
        if not terms.infinite or terms.shape != (1, 1):
            raise OperatorError(f"a state of one tensor takes terms that repeat with every site, found {terms!r}.")
        if not terms.is_hermitian:
            raise OperatorError("the energy of terms that are not Hermitian has no minimum: check the couplings.")
        d = terms.site(0, 0).dim
        unit = np.eye(d)
        turn_first, turn_second = (np.kron(turn, unit), np.kron(unit, turn)) if turn is not None else (None, None)
        sums: dict[str, Any] = {"nearest": np.zeros((d * d, d * d)), "diagonal": None}
        for term in terms.pairs:
            if term.offset in _NEAREST:
                sums["nearest"] = sums["nearest"] + _same(term.matrix, turn_second, turn_first)
            elif term.offset in _DIAGONAL:
                both = np.kron(turn, turn) if turn is not None else None
                matrix = _same(term.matrix, None, both)
                sums["diagonal"] = matrix if sums["diagonal"] is None else sums["diagonal"] + matrix
            else:
                raise OperatorError(f"a state of one tensor takes neighbours and diagonals, found {term.offset}.")
        for matrix in terms.singles.values():
            own = _same(matrix, None, turn)
            sums["nearest"] = sums["nearest"] + (np.kron(own, unit) + np.kron(unit, own)) / 2
        if any(matrix is not None and np.iscomplexobj(matrix) for matrix in sums.values()):
            raise OperatorError("a real symmetric tensor takes real terms, found complex ones: take a general cell.")
        return cls(terms, sums["nearest"], sums["diagonal"], turn)

    @property
    def reach(self) -> Mapping[str, np.ndarray]:
        """The matrices that there are."""
        found = {"nearest": self.nearest, "diagonal": self.diagonal}
        return {name: matrix for name, matrix in found.items() if matrix is not None}

    def kept_by(self, leaves: Callable[..., bool]) -> bool:
        """Whether a change of all sites, of neighbours the opposite ways, leaves all matrices alone."""
        same = leaves(self.nearest, opposite=True)
        return same and (self.diagonal is None or leaves(self.diagonal, opposite=False))

    def energy(self, environment: SymmetricEnvironment, site: Any) -> Any:
        """Per site, as a number that gradients can be taken of."""
        total = mean_of(nearest_density(environment, site), self.nearest, site)
        if self.diagonal is not None:
            total = total + mean_of(diagonal_density(environment, site), self.diagonal, site)
        return total


def _same(matrix: np.ndarray, turn: np.ndarray | None, other: np.ndarray | None) -> np.ndarray:
    """A turned matrix, which has to be the same if the other sublattice is turned."""
    first, second = (matrix if u is None else u @ matrix @ u.conj().T for u in (turn, other))
    if other is not None and np.abs(first - second).max() > 1e-10 * max(1.0, float(np.abs(matrix).max())):
        raise OperatorError("turning every second site makes the terms of both sublattices differ: take a cell of two.")
    return first.real if np.iscomplexobj(first) and not first.imag.any() else first


def mean_of(density: Any, matrix: np.ndarray, like: Any) -> Any:
    """tr(rho h) / tr(rho) of two sites; like: their tensor."""
    d = density.shape[0]
    ket, bra = like.legs[4], like.legs[4].dual
    sums = []
    for operator in (matrix, np.eye(d * d)):
        # rows out: <p q| h |P Q> meets bra (p, q) and ket (P, Q)
        array = np.ascontiguousarray(operator.reshape(d, d, d, d).transpose(0, 2, 1, 3).astype(like.dtype))
        constant: Tensor = from_dense(array, (ket, bra, ket, bra), tolerance=1e-12).to(like.backend)
        sums.append(real(contract("P p Q q, p P q Q -> ", constant, density)))
    return ratio(*sums)
