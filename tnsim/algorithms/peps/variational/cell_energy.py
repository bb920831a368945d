"""Density matrices of pairs in a cell that repeats, and the energy that they give, for gradients.

C--T--.--T--C     neighbours: a western and an eastern half, which meet in the bonds l, e, o
|  |  o  |  |
T--a--e--b--T     across a diagonal: four quadrants, of which two are open
|  |  l  |  |
C--T--.--T--C
"""

from typing import Any

import numpy as np

from tnsim.algorithms.peps.variational.cell_environment import CellEnvironment
from tnsim.errors import OperatorError
from tnsim.networks.gates import operator_tensor
from tnsim.networks.peps import PlaneTerms
from tnsim.tensor.gradient import contract, ratio, real, unit


def beside_density(environment: CellEnvironment, n: int) -> Any:
    """rho (ket 1, bra 1, ket 2, bra 2) of tensor n and its eastern neighbour. Cost O(chi^3 D^4 d^2 + chi^2 D^6 d^2)."""
    site, east = environment.sites[n], environment.sites[environment.pattern.neighbour(n, 0, 1)]
    tail = contract("l s S m, m i -> l s S i", site.edges[2], site.corners[3])
    west = contract("l s S i, i s S o e E p P -> l e E o p P", tail, unit(site.quadrant(is_open=True)))
    # rows of a quadrant seen after a quarter turn are those towards its west: (in, w, W), columns (out, s, S)
    turned = unit(east.turned().quadrant(is_open=True))
    tail = contract("o m, m s S l -> o s S l", east.corners[2], east.edges[2])
    half = contract("i w W o s S p P, o s S l -> l w W i p P", turned, tail)
    return contract("l e E o p P, l e E o q Q -> p P q Q", west, half)


def diagonal_density(environment: CellEnvironment, n: int) -> Any:
    """rho of tensor n and the one south-east of it. Cost O(chi^3 D^6 d^2)."""
    at = environment.pattern
    one, two, three = environment.turned(), environment.turned().turned(), environment.turned().turned().turned()
    first = unit(environment.sites[n].quadrant(is_open=True))
    second = unit(one.sites[at.neighbour(n, 0, 1)].quadrant())
    third = unit(two.sites[at.neighbour(n, 1, 1)].quadrant(is_open=True))
    fourth = unit(three.sites[at.neighbour(n, 1, 0)].quadrant())
    north = contract("i s S o e E p P, o e E r x X -> i s S r x X p P", first, second)
    south = contract("r x X u y Y q Q, u y Y i s S -> r x X i s S q Q", third, fourth)
    return contract("i s S r x X p P, r x X i s S q Q -> p P q Q", north, south)


class CellTerms:
    """The energy of a cell over its number of places, from the terms of the plane.

    Raises OperatorError for terms that reach further than a diagonal, or have no neighbour.
    """

    def __init__(self, terms: PlaneTerms, pattern: tuple[tuple[int, ...], ...]) -> None:
        if not terms.infinite or not terms.is_hermitian:
            raise OperatorError(f"an infinite state takes Hermitian terms of a cell that repeats, found {terms!r}.")
        if terms.shape != (len(pattern), len(pattern[0])):
            raise OperatorError(f"terms of a {terms.shape} cell do not fit a pattern of {len(pattern)} rows.")
        self.places, self.sums = len(pattern) * len(pattern[0]), {}  # type: ignore[var-annotated]
        for term in terms.bonds:
            (i, j), offset = term.first, term.offset
            if offset not in ((0, 1), (1, 0), (1, 1), (1, -1)):
                raise OperatorError(f"terms of neighbours and diagonals can be minimised, found one at {offset}.")
            key = pattern[i][j], offset
            self.sums[key] = self.sums.get(key, 0.0) + term.matrix

    @property
    def is_complex(self) -> bool:
        """Whether a real state cannot be the ground state in general."""
        return any(np.iscomplexobj(matrix) for matrix in self.sums.values())

    def energy(self, environment: CellEnvironment) -> Any:
        """Per place, as a number that gradients can be taken of."""
        means = []
        once = environment.turned() if any(offset != (0, 1) for _, offset in self.sums) else environment
        for (n, offset), matrix in self.sums.items():
            if offset == (0, 1):
                density = beside_density(environment, n)
            elif offset == (1, 1):
                density = diagonal_density(environment, n)
            elif offset == (1, 0):
                # seen after a quarter turn, the southern neighbour stands in the east
                density = beside_density(once, n)
            else:
                # and the one in the south-west is the western one of the north-west and south-east pair
                density = diagonal_density(once, n)
            means.append(expectation(density, matrix))
        return sum(means[1:], start=means[0]) * (1 / self.places)


def expectation(density: Any, matrix: np.ndarray) -> Any:
    """tr(rho h) / tr(rho) for a Hermitian h in the Kronecker basis, rows out."""
    sums = []
    for operator in (matrix, np.eye(len(matrix))):
        dtype = np.result_type(density.dtype, operator.dtype)
        constant = operator_tensor(operator.astype(dtype), (density.legs[0], density.legs[2]), tolerance=1e-12)
        sums.append(real(contract("P Q p q, p P q Q -> ", constant.to(density.backend), density)))
    return ratio(*sums)
