"""Norm, energy and local means of a finite PEPS by boundary MPS: from rows, from columns, or from both.

Sources: F. Verstraete, J. I. Cirac, cond-mat/0407066; M. Lubasch, J. I. Cirac, M. C. Banuls, Phys. Rev. B 90, 064425
(2014).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tnsim.algorithms.peps.finite.cut_terms import COLUMNS, ROWS, cut_terms, neutral, single
from tnsim.algorithms.peps.finite.measured_row import Place, operated
from tnsim.algorithms.peps.finite.plane_boundaries import PlaneBoundaries
from tnsim.errors import OperatorError, SettingsError, ShapeError, StateError, check_fields, suggest
from tnsim.linalg import Truncation
from tnsim.networks.peps import PEPS, PairTerm, PlaneTerms
from tnsim.tensor import bra

DIRECTIONS = ("both", ROWS, COLUMNS)
Pair = tuple[Place, Place]


@dataclass(frozen=True, eq=False)
class PlaneMeasurement:
    """Means of all terms of a Hamiltonian in a finite PEPS, and their sum.

    singles, pairs: by place and by pair of places. error: by how much the energy differs between rows and columns, or
    between pairs read along their line and across it, if that is more (NaN where there is one direction only). It is an
    estimate: of 36 random states on 4 x 4 places, from near products to none, it covered 34, of the others nearly half.
    pair_error: the largest difference of a pair. Neither sees what all boundaries get wrong alike: weight, their
    discarded weights in all, tells of that. log_norm: ln <psi|psi>, norm_error: the largest difference between rows and
    columns that say it. chi: the largest bond of a boundary.
    """

    energy: float | complex
    error: float
    pair_error: float
    singles: Mapping[Place, float | complex] = field(repr=False)
    pairs: Mapping[Pair, float | complex] = field(repr=False)
    log_norm: float
    norm_error: float
    weight: float
    chi: int
    shape: Place

    @property
    def energy_per_site(self) -> float | complex:
        """The energy over the number of places."""
        return self.energy / (self.shape[0] * self.shape[1])

    @property
    def weight_per_cut(self) -> float:
        """The discarded weight of a cut on average: relative errors of energies are of its size or below, as a rule.

        Not where the terms of the energy cancel, as in random states.
        """
        (m, n), ways = self.shape, 1 if np.isnan(self.error) else 2
        return self.weight / max(1, 2 * ways * (m - 1) * (n - 1))

    def __repr__(self) -> str:
        (m, n), both = self.shape, not np.isnan(self.error)
        cut = f"{self.weight:.1e} in all, {self.weight_per_cut:.1e} a cut"
        error = f"{self.error:.1e} between rows and columns, {self.pair_error:.1e} for a pair" if both else "not known"
        return "\n".join(
            [
                f"PlaneMeasurement on {m} x {n} places: energy {self.energy:.12g}, a place {self.energy_per_site:.10g}",
                f"  error          {error}",
                f"  boundaries     {self.chi} states, discarded {cut}",
                f"  ln <psi|psi>   {self.log_norm:.12g}, spread {self.norm_error:.1e}",
            ]
        )


@dataclass(frozen=True)
class PlaneNorm:
    """ln <psi|psi> of a finite PEPS; error: how far rows and columns differ (NaN for one direction)."""

    log: float
    error: float
    weight: float

    def __repr__(self) -> str:
        return f"PlaneNorm: ln <psi|psi> = {self.log:.12g}, error {self.error:.1e}, discarded {self.weight:.1e}"


@dataclass(frozen=True, kw_only=True)
class BoundaryMeasurement:
    """Settings of a measurement by boundary MPS, in which ket and bra bonds stay apart.

    All boundaries of a direction are made once, and all terms read off in one pass of every row; a pair on two rows
    is seen through the isometries of the boundary between them. What rows and columns do not agree on is the error.
    A cylinder is measured in its `opened` form, whose vertical bonds have D^2 states.
    Cost O(m n (chi^3 D^4 + chi^2 D^6 d)) for bonds D; exact where nothing is discarded.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 2, 2)))
    >>> psi = PEPS.product(terms.sites, [["up", "down"], ["down", "up"]])
    >>> round(BoundaryMeasurement(truncation=Truncation(chi_max=16)).measure(psi, terms).energy, 12)
    -1.0
    """

    truncation: Truncation = field(metadata={"help": "chi_max and cutoffs of the boundary's bonds"})
    directions: str = field(default="both", metadata={"help": "boundaries along rows, columns, or both for the error"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.directions not in DIRECTIONS:
            raise SettingsError(f"unknown directions {self.directions!r}. {suggest(self.directions, DIRECTIONS)}")

    def boundaries(self, psi: PEPS, bras: Sequence[Sequence] | None = None) -> list[PlaneBoundaries]:
        """Those of every direction, to be made when they are asked for; bras: other ones than those of the state."""
        check_finite(psi)
        psi = psi.opened()
        ways = (ROWS, COLUMNS) if self.directions == "both" else (self.directions,)
        return [PlaneBoundaries(psi, way, self.truncation, bras) for way in ways]

    def measure(self, psi: PEPS, terms: PlaneTerms) -> PlaneMeasurement:
        """Means of all terms; of a pair that lies in one line of a direction, what that direction says.

        Raises ShapeError for another lattice, OperatorError for a pair that no direction sees.
        """
        check_lattice(psi, terms)
        psi, terms = psi.opened(), terms.opened()
        operators = {place: [single(matrix, terms.site(*place), psi)] for place, matrix in terms.singles.items()}
        singles, pairs = defaultdict(list), defaultdict(list)
        logs, ways = [], self.boundaries(psi)
        for way in ways:
            local, found, sums = way.means(operators, cut_terms(terms, way.direction, psi))
            logs += [log for log, _ in sums]
            for place, (value,) in local.items():
                singles[place].append(value)
            for pair, value in found.items():
                pairs[pair].append((value, way.in_line(pair)))
        seen = [_judged([(value, True) for value in values]) for values in singles.values()]
        seen += [_judged(pairs[self._seen(term, pairs)]) for term in terms.pairs]
        values, changes, across = (np.array([entry[k] for entry in seen]) for k in (0, 1, 2))
        values = values.real if terms.is_hermitian else values
        known = len(ways) > 1
        return PlaneMeasurement(
            energy=values.sum().item(),
            error=float(max(abs(changes.sum()), abs(across.sum()))) if known else float("nan"),
            pair_error=float(np.abs(changes).max(initial=0.0)) if known else float("nan"),
            singles=dict(zip(singles, values[: len(singles)].tolist(), strict=True)),
            pairs={(t.first, t.second): v for t, v in zip(terms.pairs, values[len(singles) :].tolist(), strict=True)},
            log_norm=float(np.mean(logs)),
            norm_error=max(logs) - min(logs),
            weight=sum(way.weight for way in ways),
            chi=max(way.chi for way in ways),
            shape=psi.shape,
        )

    def _seen(self, term: PairTerm, pairs: Mapping[Pair, list]) -> Pair:
        if (term.first, term.second) in pairs:
            return term.first, term.second
        raise OperatorError(
            f"boundaries along {self.directions} do not see the pair {term.first}, {term.second}: they see pairs in "
            "one line and in the next one; take directions = 'both', or terms of shorter range."
        )

    def norm(self, psi: PEPS) -> PlaneNorm:
        """ln <psi|psi>, where the boundaries from both sides meet in the middle."""
        ways = self.boundaries(psi)
        logs = []
        for way in ways:
            middle = way.row(len(way.rows) // 2)
            middle.means({}, [])
            logs.append(middle.log_norm)
        error = abs(logs[1] - logs[0]) if len(logs) > 1 else float("nan")
        return PlaneNorm(float(np.mean(logs)), error, sum(way.weight for way in ways))

    def means(self, psi: PEPS, *operators: str | np.ndarray) -> np.ndarray:
        """The mean of every operator in every place, shape (operators, rows, columns), averaged over the directions.

        Zero for what changes a charge. Raises OperatorError for a name that a site does not know.
        """
        check_finite(psi)
        asked = {place: [psi.site(*place).op(name) for name in operators] for place in psi.places()}
        return _real(np.mean([self._local(psi, way, asked) for way in self.boundaries(psi)], axis=0))

    def correlation(
        self, psi: PEPS, first: str | np.ndarray, place: Place, second: str | np.ndarray, *, connected: bool = False
    ) -> np.ndarray:
        """<first(place) second(i, j)> for all places (i, j), shape (rows, columns).

        connected: less the product of the means. `first` acts on the bra, so that one set of boundaries serves all
        distances. Fermionic operators need strings: measure them as terms. Raises OperatorError for those and for a
        `first` that changes a charge (`psi.without_symmetry()` has none).
        """
        check_finite(psi)
        site = psi.site(*place)
        matrix = site.op(first)
        if site.is_fermionic and any(parity for parity, _ in site.by_parity(matrix)):
            raise OperatorError(f"{first!r} is fermionic: measure its correlations as terms of a sum.")
        if not np.array_equal(neutral(matrix, site), matrix):
            raise OperatorError(f"{first!r} changes a charge: measure it in psi.without_symmetry().")
        # shifted, so that the sum over all is not near zero where the mean of `first` is
        shift = 2 * float(np.abs(matrix).sum(axis=1).max()) or 1.0
        operator = single(matrix + shift * np.eye(site.dim), site, psi)
        bras = [[bra(ket) for ket in row] for row in psi.rows]
        bras[place[0]][place[1]] = operated(bras[place[0]][place[1]], operator)
        asked = {p: [psi.site(*p).op(second)] for p in psi.places()}
        plain = self.means(psi, second)[0]
        mean = self.means(psi, first)[0][place]
        moved = np.mean([self._local(psi, way, asked) for way in self.boundaries(psi, bras)], axis=0)[0]
        found = moved * (mean + shift) - shift * plain
        return _real(found - mean * plain if connected else found)

    def _local(self, psi: PEPS, way: PlaneBoundaries, asked: Mapping[Place, Sequence[np.ndarray]]) -> np.ndarray:
        kept = {
            place: [single(neutral(matrix, psi.site(*place)), psi.site(*place), psi) for matrix in matrices]
            for place, matrices in asked.items()
        }
        found = way.means(kept, ())[0]
        values = np.array([found[place] for place in psi.places()])
        return values.T.reshape(-1, *psi.shape)


def boundary_memory(psi: PEPS, chi: int, D: int | None = None, *, ways: int = 2) -> int:
    """Bytes that the boundaries of a finite state (with bonds of D) take at most, in so many directions.

    Five tensors a site and side are kept, and a site in work holds its row with one half of a cut term. Bonds around a
    cylinder pass through the whole row, so that vertical ones become D^2.
    """
    (m, n), d = psi.shape, max(site.dim for site in psi.kinds)
    D = D or psi.bond_dimension
    vertical = D * D if psi.closed[0] else D
    chi = min(chi, vertical ** max(min(2 * m - 2, n), min(2 * n - 2, m)))
    kept, work = ways * 2 * 5 * m * n * vertical**2, D**2 * vertical**2 * (2 + 2 * d**3)
    return int(psi.dtype.itemsize * chi**2 * (kept + work))


def check_finite(psi: Any) -> None:
    """StateError for anything but a finite PEPS."""
    if not isinstance(psi, PEPS):
        raise StateError(
            f"boundary MPS measure a finite PEPS, found {type(psi).__name__}: take .psi of a WeightedPEPS, and CTMRG "
            "for an InfinitePEPS."
        )


def check_lattice(psi: PEPS, terms: PlaneTerms) -> None:
    """ShapeError unless the terms stand on the sites of the state; OperatorError for what are no PlaneTerms."""
    check_finite(psi)
    if not isinstance(terms, PlaneTerms):
        raise OperatorError(f"a PEPS is measured by PlaneTerms, such as PlaneTerms.of(model), found {terms!r}.")
    if terms.closed != psi.closed or psi.shape != terms.shape:
        raise ShapeError(f"terms and a finite PEPS of one shape are needed, found {terms!r} and {psi!r}.")
    for place in psi.places():
        if psi.site(*place).leg is not terms.site(*place).leg:
            raise ShapeError(f"the state and the terms differ in the site at {place}.")


def _real(values: np.ndarray) -> np.ndarray:
    """Real where the imaginary parts are rounding."""
    limit = 1e-10 * max(1.0, float(np.abs(values).max(initial=0.0)))
    return values.real if np.abs(values.imag).max(initial=0.0) <= limit else values


def _judged(seen: Sequence[tuple[complex, bool]]) -> tuple[complex, complex, complex]:
    """The mean of what was seen within a line (of all if nothing was), and how far from it what was seen across lies,
    after how far the last lies from the first: where rows and columns are alike, sums of the latter cancel."""
    values = [value for value, _ in seen]
    trusted = [value for value, in_line in seen if in_line] or values
    others = [value for value, in_line in seen if not in_line] or values
    mean = sum(trusted) / len(trusted)
    return mean, values[-1] - values[0], sum(others) / len(others) - mean
