"""The environments of a cell of sites in a lattice without any symmetry: four corners and four edges around each.

    C1--T1--C2      corners (in, out), edges (in, inward, out): bonds run clockwise
    |   |   |
    T4--a---T2      one move takes in a column from the west; the lattice is then turned, so that every side has one
    |   |   |
    C4--T3--C3

Sources: T. Nishino, K. Okunishi, J. Phys. Soc. Jpn. 65, 891 (1996); R. Orus, G. Vidal, Phys. Rev. B 80, 094403 (2009);
projectors from four quadrants, and cells: P. Corboz, T. M. Rice, M. Troyer, Phys. Rev. Lett. 113, 046402 (2014).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from tnsim.algorithms.plane.bond_cut import Cut, balanced, cut_by_corners
from tnsim.algorithms.plane.coarse_cell import log_of_positive
from tnsim.algorithms.plane.corner_environment import around, length_of
from tnsim.algorithms.plane.site_layers import closed, density_between, is_state, site_legs, through, turned_site
from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError
from tnsim.linalg import Spectrum, Truncation, svd
from tnsim.linalg.arnoldi import dominant
from tnsim.linalg.product_svd import product_ends
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, fuse, random_tensor, split

Four = tuple[Tensor, Tensor, Tensor, Tensor]
# share of a ring that random projections may miss
_NOISE = 1e-11


@dataclass(frozen=True, eq=False)
class Surroundings:
    """A site, corners from the north-west and edges from the north, clockwise.

    A site with a fifth leg is one of a state: it stands for itself beside its conjugate, see `site_layers`.
    """

    corners: Four
    edges: Four
    tensor: Tensor

    def to(self, backend: str | Backend) -> "Surroundings":
        """The same on another library's device."""
        corners, edges = (tuple(part.to(backend) for part in parts) for parts in (self.corners, self.edges))
        return Surroundings(corners, edges, self.tensor.to(backend))  # type: ignore[arg-type]

    def turned(self) -> "Surroundings":
        """A quarter turn counterclockwise: north becomes west."""
        first, *corners = self.corners
        north, *edges = self.edges
        made = Surroundings((*corners, first), (*edges, north), turned_site(self.tensor))  # type: ignore[arg-type]
        made.quadrants.update({(number - 1) % 4: known for number, known in self.quadrants.items()})
        return made

    def with_west(self, north_west: Tensor, south_west: Tensor, west: Tensor) -> "Surroundings":
        """Other corners and another edge in the west; the quadrants in the east stay known."""
        (_, c2, c3, _), (t1, t2, t3, _) = self.corners, self.edges
        made = Surroundings((north_west, c2, c3, south_west), (t1, t2, t3, west), self.tensor)
        made.quadrants.update({number: self.quadrants[number] for number in (1, 2) if number in self.quadrants})
        return made

    @cached_property
    def quadrants(self) -> dict[int, Tensor]:
        """Those that are known already."""
        return {}

    def quadrant(self, number: int) -> Tensor:
        """A corner with its edges and the site: rows (in, leg of the site), columns (out, leg of the site)."""
        if number not in self.quadrants:
            self.quadrants[number] = _unit(through(self.tensor, self.quarter(number), number))
        return self.quadrants[number]

    def quarter(self, number: int) -> Tensor:
        """A corner with its edges, legs (in, first edge, second edge, out)."""
        before, corner, after = self.edges[number - 1], self.corners[number], self.edges[number]
        return contract("i x m, m n, n y o -> i x y o", before, corner, after)

    def hole(self) -> Tensor:
        """What surrounds the site: legs (north, east, south, west) that its own fit. Cost O(chi^3 D^2)."""
        (c1, c2, c3, c4), (t1, t2, t3, t4) = self.corners, self.edges
        upper = contract("a b, b n c, c d, d e f -> a n e f", c1, t1, c2, t2)
        lower = contract("f g, g s h, h i, i w a -> f s w a", c3, t3, c4, t4)
        return contract("a n e f, f s w a -> n e s w", upper, lower)

    def ring(self, tensor: Tensor) -> complex:
        """The sum over all with some tensor in the middle; 0 where it carries a charge."""
        if tensor.charge != self.tensor.charge:
            return 0.0
        return closed(tensor, self.hole())

    # -- of a state ----------------------------------------------------------------------------------

    def west_half(self, *, is_open: bool = False) -> Tensor:
        """The western half of a strip one row high, with this site: legs (south, site, north), then (ket, bra).

        t1 runs out to the north, t3 into the south: a strip is the sum of a western and an eastern half. Cost
        O(chi^2 D^6 d), with open physical legs O(chi^2 D^6 d^2).
        """
        quadrant = self.open_quadrant(0) if is_open else self.quadrant(0)
        tail = " p q" if is_open else ""
        return contract(f"l s m, m i, i s o e{tail} -> l e o{tail}", self.edges[2], self.corners[3], quadrant)

    def east_half(self, *, is_open: bool = False) -> Tensor:
        """The eastern half of a strip: legs (south, site, north), then (ket, bra)."""
        quadrant = self.open_quadrant(1) if is_open else self.quadrant(1)
        tail = " p q" if is_open else ""
        return contract(f"i w o s{tail}, o m, m s l -> l w i{tail}", quadrant, self.corners[2], self.edges[2])

    def east_edge(self) -> Tensor:
        """What closes a strip behind a western half: legs (south, site, north)."""
        return contract("o m, m e n, n l -> l e o", self.corners[1], self.edges[1], self.corners[2])

    def open_quadrant(self, number: int) -> Tensor:
        """A quadrant with the physical legs (ket, bra) of its site behind the others."""
        return _unit(through(self.tensor, self.quarter(number), number, is_open=True))

    def density(self) -> Tensor:
        """The density matrix of the site, legs (ket, bra), not normalised. Cost O(chi^2 D^6 d + chi^3 D^4)."""
        opposite = contract("o a, a x y b, b i -> i x y o", self.corners[1], self.quarter(2), self.corners[3])
        return density_between(self.tensor, self.quarter(0), opposite)


Cell = tuple[tuple[Surroundings, ...], ...]
Square = tuple[Surroundings, Surroundings, Surroundings, Surroundings]


@dataclass(frozen=True, eq=False)
class DirectionalEnvironment:
    """The surroundings of every site of a cell, in rows.

    Bonds are cut by the singular values of the product around the ring, whose sum is the partition function: a cutoff
    of the boundary's Schmidt values is squared for them, and kept above rounding. trunc_err: the largest discarded
    weight of the last step.
    """

    cell: Cell
    trunc_err: float = field(default=0.0, repr=False)

    @property
    def _sites(self) -> list[Surroundings]:
        return [site for row in self.cell for site in row]

    @property
    def _different(self) -> list[Surroundings]:
        """Every one once."""
        return list({id(site): site for site in self._sites}.values())

    @property
    def chi(self) -> int:
        """The largest bond dimension of the boundary."""
        return max(corner.legs[0].dim for site in self._different for corner in site.corners)

    def to(self, backend: str | Backend) -> "DirectionalEnvironment":
        """The same environment on another library's device."""
        return DirectionalEnvironment(_each(self.cell, lambda site: site.to(backend)), self.trunc_err)

    def shared(self, rows: Sequence[Sequence[object]]) -> "DirectionalEnvironment":
        """The same with one environment for places that a translation maps onto each other, of things in rows.

        Only where they see the same is that true: an order that no tensor knows of may break the translation.
        """
        cell = tuple(tuple(self.cell[i][j] for i, j in row) for row in first_alike(rows))
        return DirectionalEnvironment(cell, self.trunc_err)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Those of the sites, row by row."""
        return tuple(site.tensor for site in self._sites)

    @property
    def edges(self) -> Four:
        """Those around the first site."""
        return self.cell[0][0].edges

    @cached_property
    def densities(self) -> dict[tuple, np.ndarray]:
        """Density matrices that are known already, by what they are of."""
        return {}

    @cached_property
    def first(self) -> list[list[tuple[int, int]]]:
        """For every place the first one that has the same environment and sees the same."""
        return first_alike(self.cell)

    @cached_property
    def spectra(self) -> tuple[Spectrum, ...]:
        """Singular values of the four corners of every site (alike ones once), the largest of each 1."""
        found = [svd(corner, (0,))[1] for site in self._different for corner in site.corners]
        return tuple(Spectrum(s.leg, s.values / max(float(s.values.max(initial=0.0)), 1e-300)) for s in found)

    @property
    def spectrum(self) -> Spectrum:
        """That of the north-western corner."""
        return self.spectra[0]

    @cached_property
    def marks(self) -> tuple[np.ndarray, ...]:
        """What is compared from step to step: fourth powers of the corner spectra, largest first, and what surrounds
        the sites.

        The powers add up to the partition function, and are what the projectors resolve down to rounding. A corner
        alone may stand still while the edges still move, as between chains that hardly couple.
        """
        corners = [np.sort(spectrum.values**4)[::-1] for spectrum in self.spectra]
        return (*corners, *(around(_seen(site)) for site in self._different))

    # -- growing -----------------------------------------------------------------------------------------

    def grown(self, truncation: Truncation, projector: str = "full") -> tuple["DirectionalEnvironment", float]:
        """One step: from every side so many columns that all differ; the largest discarded weight.

        Cost O(chi^3 D^3) a site; places that have one environment count once.

        projector: from the "full" ring of four quadrants, or "half" of it, the two on the side that grows, which costs
        half and is less accurate; both by random projection where singular values are many times as many as are kept.
        "randomized": the full ring by random projection wherever that is possible, O(chi^3 D^3) in products and QR.
        "qr": what corners with one edge span, without the site, once all bonds are as large as they may be (with the
        charges that they have by then, and the discarded weight of the step before); until then "randomized".
        """
        cell, worst = self.cell, 0.0
        if projector == "qr":
            if self._is_full(truncation.chi_max):
                worst = self.trunc_err
            else:
                projector = "randomized"
        for _ in range(4):
            period = _period(cell)
            for j in range(period):
                cell, weight = _moved(cell, range(j, len(cell[0]), period), truncation, projector)
                worst = max(worst, weight)
            cell = _turned(cell)
        return DirectionalEnvironment(cell, worst), worst

    def _is_full(self, chi: int) -> bool:
        """Whether all bonds are as large as they may be."""
        return all(corner.legs[0].dim == chi for site in self._different for corner in site.corners)

    # -- reading -----------------------------------------------------------------------------------------

    def ring(self, tensor: Tensor) -> complex:
        """The sum over all with some tensor in place of the first site; 0 where it carries a charge."""
        return self.cell[0][0].ring(tensor)

    def log_z(self) -> float:
        """ln Z of a cell: sites and four corners, less rows and columns. NaN where not positive.

        What lies below a row is that which the row above it sees, so all factors of the tensors cancel in the product.
        """
        alike = [place for row in self.first for place in row]
        found = {place: _parts(self.cell, *place) for place in alike}
        parts = np.array([found[place] for place in alike])
        if not np.abs(parts).all() or not np.isfinite(parts).all():
            return float("nan")
        values = parts[:, 0] * parts[:, 1] / (parts[:, 2] * parts[:, 3])
        # products of many numbers of either sign: the phase of the whole has to be that of a positive one
        return float(np.log(np.abs(values)).sum()) + log_of_positive(complex(np.prod(values / np.abs(values))))

    def mean(self, impurity: Tensor) -> float:
        """The mean of what an impurity measures in place of the first site."""
        site = self.cell[0][0]
        whole = site.ring(site.tensor)
        return float(np.real(site.ring(impurity) / whole)) if whole else float("nan")

    def means(self, impurities: Mapping[str, Tensor]) -> dict[str, float]:
        """The means of several impurities."""
        return {name: self.mean(impurity) for name, impurity in impurities.items()}

    def edge_spectrum(
        self, count: int = 2, charge: Charge | None = None, *, column: bool = False, with_sites: bool = False
    ) -> np.ndarray:
        """Leading eigenvalues of the transfer matrix of the edges facing each other along a row (or column) of a cell.

        charge: of the operators whose correlations are meant; with_sites: with the sites of the row between the edges.
        Raises NumericalError where they do not converge.
        """
        cell = _turned(self.cell) if column else self.cell
        below = cell[0] if with_sites else cell[-1]
        sites = [(upper.edges[0], upper.tensor, lower.edges[2]) for upper, lower in zip(cell[0], below, strict=True)]
        first, middle, second = sites[0]
        ends = first.legs[0].with_flow(-1), second.legs[2].with_flow(1)
        legs = (ends[0], site_legs(middle)[3].dual, ends[1]) if with_sites else ends
        start = random_tensor(legs, charge, dtype=first.dtype, seed=1, backend=first.backend)
        if start.size == 0:
            return np.zeros(0)

        def matvec(x: Array) -> Array:
            vector = Tensor(start.legs, x, start.charge)
            for upper, site, lower in sites:
                if with_sites:
                    met = through(site, contract("a w b, a n c -> b w n c", vector, upper), 0)
                    vector = contract("b s c e, d s b -> c e d", met, lower)
                else:
                    vector = contract("a b, a p c, d p b -> c d", vector, upper, lower)
            return vector.data

        found = dominant(matvec, start.data, first.backend, count=count, tolerance=1e-9)
        if not found.converged:
            raise NumericalError("the spectrum of the edges did not converge: the environment is nearly critical.")
        return found.values

    def correlation_lengths(self, charge: Charge | None = None, *, with_sites: bool = False) -> tuple[float, float]:
        """Along rows and along columns, in sites, of operators with a charge (by default without)."""
        found = []
        for column in (False, True):
            first = np.abs(self.edge_spectrum(2, column=column, with_sites=with_sites))
            other = first[1:]
            if charge is not None:
                other = np.abs(self.edge_spectrum(1, charge, column=column, with_sites=with_sites))
            found.append(length_of(other / first[0]) * len(self.cell if column else self.cell[0]))
        return found[0], found[1]

    def correlation_length(self) -> float:
        """The longest one along a row or a column, in sites, of operators without charge."""
        return max(self.correlation_lengths())

    def sandwich_lengths(self) -> tuple[float, float]:
        """Along rows and columns, of edges with their sites between them: what a single chain has too."""
        return self.correlation_lengths(with_sites=True)


# -- cells of surroundings, rows downwards ----------------------------------------------------------------------


def translations(rows: Sequence[Sequence[object]]) -> list[tuple[int, int]]:
    """By so many rows and columns of a cell that repeats, each thing in it comes to stand on itself."""
    m, n = len(rows), len(rows[0])
    places = list(np.ndindex(m, n))
    return [(a, b) for a, b in places if all(rows[(i + a) % m][(j + b) % n] is rows[i][j] for i, j in places)]


def first_alike(rows: Sequence[Sequence[object]]) -> list[list[tuple[int, int]]]:
    """For every place of a cell the first one that a translation of the cell onto itself leads to."""
    m, n = len(rows), len(rows[0])
    ways = translations(rows)
    return [[min(((i + a) % m, (j + b) % n) for a, b in ways) for j in range(n)] for i in range(m)]


def _each(cell: Cell, change: Callable[[Surroundings], Surroundings]) -> Cell:
    """Every place changed; those that are one stay one."""
    made = {id(site): change(site) for row in cell for site in row}
    return tuple(tuple(made[id(site)] for site in row) for row in cell)


def _turned(cell: Cell) -> Cell:
    """A quarter turn counterclockwise: the last column becomes the first row."""
    cell = _each(cell, Surroundings.turned)
    return tuple(tuple(row[j] for row in cell) for j in range(len(cell[0]) - 1, -1, -1))


def _period(cell: Cell) -> int:
    """How many columns differ by more than their height."""
    return min((b for _, b in translations(cell) if b), default=len(cell[0]))


def _moved(cell: Cell, columns: Iterable[int], truncation: Truncation, projector: str) -> tuple[Cell, float]:
    """Columns that do not differ are taken in from the west, by what lies west of the next column."""
    m, n = len(cell), len(cell[0])
    cuts: dict[Square, tuple[Cut, float]] = {}
    sites: dict[tuple, Surroundings] = {}
    rows, worst = [list(row) for row in cell], 0.0
    for j in columns:
        east, seen = (j + 1) % n, []
        for i in range(m):
            square = (cell[i][j], cell[i][east], cell[(i + 1) % m][east], cell[(i + 1) % m][j])
            if square not in cuts:
                cuts[square] = _projectors(square, truncation, projector)
            worst = max(worst, cuts[square][1])
            seen.append(square)
        for i in range(m):
            key = (cell[i][east], seen[i - 1], seen[i])
            if key not in sites:
                west = _absorbed(cell[i][j], cuts[seen[i - 1]][0], cuts[seen[i]][0])
                sites[key] = cell[i][east].with_west(*west)
            rows[i][east] = sites[key]
    return tuple(map(tuple, rows)), worst


def _absorbed(site: Surroundings, north: Cut, south: Cut) -> tuple[Tensor, Tensor, Tensor]:
    """Corners and edge in the west with a column more; cuts: (above (in, south | k), below (k | out, north))."""
    (c1, _, _, c4), (t1, _, t3, t4) = site.corners, site.edges
    (above, lower), (upper, below) = north, south
    c1 = contract("k o n, o m, m n r -> k r", lower, c1, t1)
    c4 = contract("l p o, o i, i p k -> l k", t3, c4, upper)
    t4 = contract("k i s, i w o -> k s w o", below, t4)
    t4 = contract("k e o n, o n j -> k e j", through(site.tensor, t4, 3), above)
    return _unit(c1), _unit(c4), _unit(t4)


def _projectors(square: Square, truncation: Truncation, projector: str) -> tuple[Cut, float]:
    """Of the bond in the west between two rows, from the singular values of all quadrants around it (or of two).

    square: the sites north-west, north-east, south-east and south-west of the middle.
    """
    if projector == "qr":
        (c1, t1), (t3, c4) = (square[3].corners[0], square[3].edges[0]), (square[0].edges[2], square[0].corners[3])
        return cut_by_corners(c1, t1, t3, c4), 0.0
    north_west, south_west = square[0].quadrant(0), square[3].quadrant(3)
    above, below = [_matrix(north_west)], [_matrix(south_west)]
    if projector != "half":
        above.append(_matrix(square[1].quadrant(1)))
        below.insert(0, _matrix(square[2].quadrant(2)))
    rounding = 50 * float(np.finfo(north_west.dtype).eps)
    ring = replace(truncation, svd_min=max(truncation.svd_min**2, rounding))
    lower, spectrum, upper = product_ends(below, above, ring, noise=_NOISE, sketch=projector == "randomized")
    upper, lower = balanced(upper, spectrum, lower)
    return (split(upper, 0, north_west.legs[:2]), split(lower, 1, south_west.legs[2:])), spectrum.discarded_weight


def _matrix(quadrant: Tensor) -> Tensor:
    return fuse(quadrant, [(0, 1), (2, 3)], [1, -1])


def _parts(cell: Cell, i: int, j: int) -> tuple[complex, complex, complex, complex]:
    """The sums with the site, with neither its row nor its column, without its row, without its column."""
    here, west, north, both = cell[i][j], cell[i][j - 1], cell[i - 1][j], cell[i - 1][j - 1]
    (c1, c2, _, c4), (t1, _, _, t4) = here.corners, here.edges
    n3, n4, nt3 = north.corners[2], north.corners[3], north.edges[2]
    w2, w3, wt2 = west.corners[1], west.corners[2], west.edges[1]
    row = contract("a b, b p c, c d, d e, e p f, f a -> ", c1, t1, c2, n3, nt3, n4).item()
    column = contract("a b, b c, c p d, d e, e f, f p a -> ", c1, w2, wt2, w3, c4, t4).item()
    corners = contract("a b, b c, c d, d a -> ", c1, w2, both.corners[2], n4).item()
    return here.ring(here.tensor), corners, row, column


def _seen(site: Surroundings) -> Tensor:
    """What surrounds a site; of a state, which sees D^8 numbers there, its density matrix."""
    return site.density() if is_state(site.tensor) else site.hole()


def _unit(tensor: Tensor) -> Tensor:
    return tensor * (1 / (tensor.norm() or 1.0))
