"""PEPS on a finite square lattice with open edges, on a cylinder, and on the infinite one with a cell that repeats."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tnsim.backend import Backend, Seed
from tnsim.errors import ShapeError
from tnsim.networks.peps.graded_sites import graded_sites
from tnsim.networks.peps.site_tensor import DIRECTIONS, SITE_FLOWS, State, product_tensor
from tnsim.networks.peps.square_state import SquareState, check_pattern, random_tensors
from tnsim.networks.sites import Site
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST
from tnsim.networks.unsymmetric import unsymmetric, unsymmetric_site
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, eye, from_dense, fuse

Sites = Sequence[Sequence[Site]]


class PEPS(SquareState):
    """A state on m x n sites: rows[i][j] is a tensor (north, east, south, west, phys), outer bonds have dimension 1.

    Rows count downwards. Raises ShapeError and LegError for tensors that do not fit.

    >>> from tnsim.networks.sites import spin_site
    >>> PEPS.random([[spin_site(conserve=None)] * 3] * 2, D=2, seed=0)
    PEPS: 2 x 3 sites, spin-1/2, D = 2, float64 on numpy
    """

    closed = False, False

    def __init__(self, rows: Sequence[Sequence[Tensor]], sites: Sites) -> None:
        check_rows("tensors", rows)
        check_rows("sites", sites)
        if (len(rows), len(rows[0])) != (len(sites), len(sites[0])):
            raise ShapeError(f"{len(rows)} x {len(rows[0])} tensors stand on {len(sites)} x {len(sites[0])} sites.")
        super().__init__(_flat(rows), _numbered(sites), _flat(sites))
        m, n = self.shape
        for i, j in self.places():
            outside = {NORTH: i == 0, EAST: j == n - 1, SOUTH: i == m - 1, WEST: j == 0}
            for direction in (way for way, is_outside in outside.items() if is_outside and not self.closed[way % 2]):
                leg = self.tensor(i, j).legs[direction]
                if leg.dim != 1:
                    raise ShapeError(
                        f"the {DIRECTIONS[direction]} leg of the tensor at {(i, j)} leaves the lattice with dimension "
                        f"{leg.dim}: outer legs have dimension 1."
                    )

    @classmethod
    def product(
        cls, sites: Sites, states: Sequence[Sequence[State]], *, dtype: Any = None, backend: str | Backend | None = None
    ) -> "PEPS":
        """One state name (or local vector of one charge) for every site, in rows."""
        check_rows("sites", sites)
        check_rows("states", states)
        sites = graded_sites(sites)
        if [len(row) for row in sites] != [len(row) for row in states]:
            raise ShapeError(f"{len(sites)} x {len(sites[0])} sites need as many states, found {states!r}.")
        rows = [
            [product_tensor(site, states[i][j], f"at {(i, j)}", dtype, backend) for j, site in enumerate(row)]
            for i, row in enumerate(sites)
        ]
        return cls(rows, sites)

    @classmethod
    def random(
        cls,
        sites: Sites,
        D: int,
        *,
        states: Sequence[Sequence[State]] | None = None,
        seed: Seed = None,
        dtype: Any = np.float64,
        backend: str | Backend | None = None,
    ) -> "PEPS":
        """Normal random numbers; states: of which the tensors take their charges, where something is conserved."""
        check_rows("sites", sites)
        sites = graded_sites(sites)
        given = None if states is None else _flat(states)
        pattern, kinds = _numbered(sites), _flat(sites)
        tensors = random_tensors(pattern, cls.closed, kinds, D, given, seed, dtype, backend)
        return cls([[tensors[n] for n in row] for row in pattern], sites)

    @property
    def rows(self) -> tuple[tuple[Tensor, ...], ...]:
        """The tensors in rows."""
        return tuple(tuple(self.tensors[n] for n in row) for row in self.pattern)

    @property
    def sites(self) -> tuple[tuple[Site, ...], ...]:
        """The local Hilbert spaces in rows."""
        return tuple(tuple(self.kinds[n] for n in row) for row in self.pattern)

    def number(self, i: int, j: int) -> int:
        if not (0 <= i < self.shape[0] and 0 <= j < self.shape[1]):
            raise ShapeError(f"{self.shape[0]} x {self.shape[1]} sites have no place {(i, j)}.")
        return self.pattern[i][j]

    def opened(self) -> "PEPS":
        """The same state with open edges: this one."""
        return self

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        return type(self)([[tensors[n] for n in row] for row in self.pattern], self.sites)

    def without_symmetry(self) -> Self:
        """The same state on sites that conserve nothing: one dense block a tensor. Raises StateError for fermions."""
        self.refuse_fermions("a tensor without charges")
        rows = [[unsymmetric(tensor) for tensor in row] for row in self.rows]
        return type(self)(rows, [[unsymmetric_site(site) for site in row] for row in self.sites])


class CylinderPEPS(PEPS):
    """A state on a cylinder of m x n sites: columns are rings of m >= 2 sites, the first row follows the last one.

    Simple and neighbourhood updates act on it as it is; whatever contracts it takes its `opened` form. Raises
    ShapeError for a ring of one site. Fermions have periodic boundary conditions.

    >>> from tnsim.networks.sites import spin_site
    >>> psi = CylinderPEPS.random([[spin_site(conserve=None)] * 4] * 3, D=2, seed=0)
    >>> psi
    CylinderPEPS: 3 x 4 sites on a cylinder, spin-1/2, D = 2, float64 on numpy
    >>> psi.opened()
    PEPS: 3 x 4 sites, spin-1/2, D = 4, float64 on numpy
    """

    closed = True, False

    def __init__(self, rows: Sequence[Sequence[Tensor]], sites: Sites) -> None:
        if len(rows) < 2:
            raise ShapeError("a cylinder has at least 2 sites around, found 1: take a PEPS.")
        super().__init__(rows, sites)

    def number(self, i: int, j: int) -> int:
        return super().number(i % self.shape[0], j)

    def opened(self) -> PEPS:
        """The same state with open edges: the bond from the last row to the first one runs beside all the others.

        Vertical bonds have the dimension of both. Cost O(D^6 d) a site.
        """
        columns = [_unrolled([row[j] for row in self.rows]) for j in range(self.shape[1])]
        return PEPS(list(zip(*columns, strict=True)), self.sites)


def _unrolled(ring: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of a column whose last one meets the first one, with that bond beside the others."""
    around, last = ring[0].legs[NORTH], len(ring) - 1
    edge = Leg(around.group, [around.group.identity], [1])
    parts = [from_dense(np.ones(1), [edge]), from_dense(np.ones(1), [edge.dual]), eye(around.dual, backend="numpy")]
    above, below, passing = (part.astype(ring[0].dtype).to(ring[0].backend) for part in parts)
    top = contract("n e s w p, o -> o e s n w p", ring[0], above)
    bottom = contract("n e s w p, o -> n s e o w p", ring[last], below)
    middle = [contract("n e s w p, a b -> n a e s b w p", tensor, passing) for tensor in ring[1:last]]
    return [
        fuse(top, [(0,), (1,), (2, 3), (4,), (5,)], SITE_FLOWS),
        *(fuse(tensor, [(0, 1), (2,), (3, 4), (5,), (6,)], SITE_FLOWS) for tensor in middle),
        fuse(bottom, [(0, 1), (2,), (3,), (4,), (5,)], SITE_FLOWS),
    ]


class InfinitePEPS(SquareState):
    """A state on the infinite lattice: pattern[i][j] is the number of the tensor there, and the pattern repeats.

    sites: of every tensor. [[0]] is one tensor everywhere, [[0, 1], [1, 0]] a checkerboard. Raises ShapeError for a
    pattern that does not tile, LegError for bonds that do not fit.

    >>> from tnsim.networks.sites import spin_site
    >>> InfinitePEPS.product([spin_site()] * 2, ["up", "down"], [[0, 1], [1, 0]])
    InfinitePEPS: a 2 x 2 cell with 2 tensors, spin-1/2, D = 1, symmetry U(1) 2Sz, float64 on numpy
    """

    closed = True, True

    def __init__(self, tensors: Sequence[Tensor], pattern: Sequence[Sequence[int]], sites: Sequence[Site]) -> None:
        super().__init__(tensors, pattern, sites)

    @classmethod
    def product(
        cls,
        sites: Sequence[Site],
        states: Sequence[State],
        pattern: Sequence[Sequence[int]],
        *,
        dtype: Any = None,
        backend: str | Backend | None = None,
    ) -> "InfinitePEPS":
        """One state name (or local vector of one charge) for every tensor."""
        if len(sites) != len(states):
            raise ShapeError(f"a state for each of the {len(sites)} sites is needed, found {states!r}.")
        sites = graded_sites([sites])[0]
        pairs = enumerate(zip(sites, states, strict=True))
        tensors = [product_tensor(site, state, f"of tensor {n}", dtype, backend) for n, (site, state) in pairs]
        return cls(tensors, pattern, sites)

    @classmethod
    def random(
        cls,
        sites: Sequence[Site],
        D: int,
        pattern: Sequence[Sequence[int]],
        *,
        states: Sequence[State] | None = None,
        seed: Seed = None,
        dtype: Any = np.float64,
        backend: str | Backend | None = None,
    ) -> "InfinitePEPS":
        """Normal random numbers; states: of which the tensors take their charges, where something is conserved."""
        rows, sites = check_pattern(pattern, len(sites)), graded_sites([sites])[0]
        return cls(random_tensors(rows, cls.closed, sites, D, states, seed, dtype, backend), rows, sites)

    @property
    def sites(self) -> tuple[Site, ...]:
        """The local Hilbert space of every tensor."""
        return self.kinds

    def with_tensors(self, tensors: Sequence[Tensor]) -> "InfinitePEPS":
        return InfinitePEPS(tensors, self.pattern, self.kinds)

    def without_symmetry(self) -> "InfinitePEPS":
        """The same state on sites that conserve nothing: one dense block a tensor. Raises StateError for fermions."""
        self.refuse_fermions("a tensor without charges")
        return InfinitePEPS([*map(unsymmetric, self.tensors)], self.pattern, [*map(unsymmetric_site, self.kinds)])


def check_rows(what: str, rows: Sequence[Sequence[Any]]) -> None:
    """ShapeError unless there are rows of one length."""
    lengths = [len(row) for row in rows]
    if not lengths or len(set(lengths)) != 1 or not lengths[0]:
        raise ShapeError(f"the {what} of a lattice stand in rows of one length, found lengths {lengths}.")


def _flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [entry for row in rows for entry in row]


def _numbered(rows: Sequence[Sequence[Any]]) -> tuple[tuple[int, ...], ...]:
    """The numbers of all places, row by row."""
    width = len(rows[0])
    return tuple(tuple(range(i * width, (i + 1) * width)) for i in range(len(rows)))
