"""The metric of a bond of an infinite PEPS from corners and edges of the corner transfer matrix.

C1--T1--T1'--C2       edges hold ket and bra of a site as one leg, taken apart here
|   |   |    |
T4--Qa  Qb---T2'      C, T of the site in the west, primed those of the one in the east
|   |   |    |
C4--T3--T3'--C3
"""

from collections.abc import Sequence

from tnsim.algorithms.peps.updates.bond_frame import BondFrame
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.plane.directional_environment import DirectionalEnvironment, Surroundings
from tnsim.networks.peps import InfinitePEPS
from tnsim.networks.peps.bond_graph import Link
from tnsim.networks.square_network import EAST
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, bra, contract, split


class CornerMetric:
    """Corners and edges around every site of the cell, kept up to date with the tensors."""

    def __init__(self, ctmrg: CTMRG, psi: InfinitePEPS) -> None:
        self.ctmrg, self._like = ctmrg, psi
        self.converge(psi.tensors)

    def converge(self, tensors: Sequence[Tensor]) -> None:
        """Corners and edges from the start."""
        found = self.ctmrg.solve(self._like.with_tensors(tensors))
        assert isinstance(found.environment, DirectionalEnvironment)  # as settings with symmetric=False give
        self.environment = found.environment
        self._legs = [tensor.legs[:4] for tensor in tensors]

    def replaced(self, tensors: Sequence[Tensor], link: Link, steps: int) -> None:
        """Take in the new tensors of a bond by so many steps; from the start where the bond has another leg now."""
        ends = link.first, link.second
        if any(tensors[number].legs[:4] != self._legs[number] for number in ends):
            self.converge(tensors)
            return
        known: dict[int, Surroundings] = {}  # places that are alike stay one, and are taken in once
        for numbers, row in zip(self._like.pattern, self.environment.cell, strict=True):
            for number, old in zip(numbers, row, strict=True):
                if id(old) not in known:
                    new = Surroundings(old.corners, old.edges, tensors[number]) if number in ends else old
                    known[id(old)] = new
        self.environment = DirectionalEnvironment(
            tuple(tuple(known[id(old)] for old in row) for row in self.environment.cell)
        )
        for _ in range(steps):
            self.environment, _ = self.environment.grown(self.ctmrg.truncation, self.ctmrg.projector or "full")

    def metric(self, frame: BondFrame) -> Tensor:
        """Legs (k0', k1', k0, k1), neither Hermitian nor positive but for the errors of the environment."""
        west, east = self._sites(frame.link)
        (c1, _, _, c4), (t1, _, t3, t4) = west.corners, west.edges
        (_, c2, c3, _), (u1, u2, u3, _) = east.corners, east.edges
        first, second = frame.first, frame.second
        t1, t3, t4 = _apart(t1, 1, first.legs[0]), _apart(t3, 1, first.legs[1]), _apart(t4, 1, first.legs[2])
        u1, u2, u3 = _apart(u1, 1, second.legs[0]), _apart(u2, 1, second.legs[1]), _apart(u3, 1, second.legs[2])
        extra, ancilla = "a " * (first.ndim - 4), range(3, first.ndim - 1)
        corner = contract("i w W j, j a, a n N b -> i w W n N b", t4, c1, t1)
        corner = contract(f"i w W n N b, n s w {extra}k -> i W N b s {extra}k".replace("  ", " "), corner, first)
        corner = contract(f"i W N b s {extra}k, N S W {extra}K -> i b s S k K", corner, bra(first, ancilla))
        left = contract("g s S h, h i, i b s S k K -> g b k K", t3, c4, corner)
        corner = contract("b n N c, c d, d e E f -> b n N e E f", u1, c2, u2)
        corner = contract(f"b n N e E f, n e s {extra}k -> b N E f s {extra}k", corner, second)
        corner = contract(f"b N E f s {extra}k, N E S {extra}K -> b f s S k K", corner, bra(second, ancilla))
        right = contract("f h, h s S g, b f s S k K -> b g k K", c3, u3, corner)
        return contract("g b k K, b g l L -> K L k l", left, right)

    def _sites(self, link: Link) -> tuple[Surroundings, Surroundings]:
        """What surrounds both sites of a bond, turned so that it leads east."""
        m, n = self._like.shape
        i, j = next((i, row.index(link.first)) for i, row in enumerate(self._like.pattern) if link.first in row)
        first, cell = self.environment.cell[i][j], self.environment.cell
        if link.direction == EAST:
            return first, cell[i][(j + 1) % n]
        return first.turned(), cell[(i + 1) % m][j].turned()


def _apart(surroundings: Tensor, axis: int, ket: Leg) -> Tensor:
    """A leg that meets ket and bra of a site as two: one for the ket's leg, one for the bra's."""
    return split(surroundings, axis, (ket.dual, ket))
