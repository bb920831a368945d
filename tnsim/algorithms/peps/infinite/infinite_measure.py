"""Energies, moments and correlations of an infinite PEPS in its corner environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from tnsim.algorithms.peps.infinite.infinite_density import (
    Place,
    next_column,
    pair_density,
    site_density,
    surroundings,
)
from tnsim.algorithms.plane.ctmrg import Environment
from tnsim.algorithms.plane.directional_environment import DirectionalEnvironment, Surroundings
from tnsim.errors import OperatorError, ShapeError
from tnsim.networks.peps import PlaneTerms
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, contract, from_dense, trace

# of a site, what is measured unless asked for something else
_MOMENTS = ("Sx", "Sy", "Sz", "N")


@dataclass(frozen=True)
class InfiniteMeasurement:
    """Energies of all terms of a Hamiltonian in an infinite PEPS, and means of operators on single places.

    energy: of a cell, divided by the sites of the model in it (several stand in one place of fused cells); pairs and
    singles: energy by pair of places and by place; moments: mean by place and operator; asymmetry: the largest part of
    a density matrix that is not Hermitian, negative: the lowest eigenvalue where below zero; both vanish in an exact
    environment.
    """

    energy: float
    shape: Place
    pairs: Mapping[tuple[Place, Place], float] = field(repr=False)
    singles: Mapping[Place, float] = field(default_factory=dict, repr=False)
    moments: Mapping[Place, Mapping[str, float]] = field(default_factory=dict, repr=False)
    asymmetry: float = 0.0
    negative: float = 0.0

    @property
    def order(self) -> float:
        """The length of the mean spin, averaged over the places: the (staggered or uniform) magnetisation."""
        spins = [[of.get(name, 0.0) for name in ("Sx", "Sy", "Sz")] for of in self.moments.values()]
        return float(np.mean(np.linalg.norm(spins, axis=1))) if spins else 0.0

    def plot(self, path: Any = None) -> Any:
        """The lattice with the energies of bonds and the moments; saved where a path is given."""
        return import_module("tnsim.plotting").plot_plane(self, path=path)

    def __repr__(self) -> str:
        lines = [f"InfiniteMeasurement: energy per site = {self.energy:.12g}"]
        for place, means in list(self.moments.items())[:8]:
            shown = ", ".join(f"<{name}> = {value:.6g}" for name, value in means.items())
            lines.append(f"  {place}  {shown}")
        if len(self.moments) > 8:
            lines.append(f"  ... {len(self.moments)} places in all")
        lines.append(f"  density matrices: {self.asymmetry:.1e} not Hermitian, lowest eigenvalue {self.negative:.1e}")
        return "\n".join(lines)


def measure_infinite(
    environment: Environment,
    terms: PlaneTerms,
    operators: Sequence[str] | None = None,
    *,
    patch: bool = False,
) -> InfiniteMeasurement:
    """All terms and moments in one pass, a density matrix for every pair that interacts.

    environment: `CTMRG(symmetric=False, ...).solve(psi).environment`; operators: of single places, by default those of
    Sx, Sy, Sz and N that the sites have; patch: neighbours from 2 x 2 places too, not from strips. Cost see
    `pair_density`. Raises ShapeError where terms and cell differ, OperatorError for pairs out of reach.

    >>> from tnsim.algorithms.plane.ctmrg import CTMRG
    >>> from tnsim.linalg import Truncation
    >>> from tnsim.models import Heisenberg, Lattice
    >>> from tnsim.networks.peps import InfinitePEPS
    >>> from tnsim.networks.sites import spin_site
    >>> neel = InfinitePEPS.product([spin_site()] * 2, ["up", "down"], [[0, 1], [1, 0]])
    >>> terms = PlaneTerms.infinite_of(Heisenberg(lattice=Lattice("square", 2, 2)), neel.pattern)
    >>> found = CTMRG(truncation=Truncation(chi_max=4), symmetric=False).solve(neel)
    >>> measure_infinite(found.environment, terms).energy
    -0.5
    """
    environment = _checked(environment, terms)
    densities = {place: site_density(environment, place) for place in _places(terms)}
    pairs, worst, lowest = {}, 0.0, 0.0
    for term in terms.pairs:
        density = pair_density(environment, term.first, term.second, patch=patch)
        pairs[term.first, term.second] = _mean(density, term.matrix)
        worst, lowest = max(worst, _asymmetry(density)), min(lowest, _lowest(density))
    singles = {place: _mean(densities[place], matrix) for place, matrix in terms.singles.items()}
    moments = {place: _moments(density, terms.site(*place), operators) for place, density in densities.items()}
    total = sum(pairs.values()) + sum(singles.values())
    return InfiniteMeasurement(
        total / sites_of(terms), terms.shape, pairs, singles, moments,
        max([worst, *map(_asymmetry, densities.values())]), min([lowest, *map(_lowest, densities.values())]),
    )  # fmt: skip


def correlations(
    environment: DirectionalEnvironment,
    site: Site,
    first: str | np.ndarray,
    second: str | np.ndarray,
    reach: int,
    *,
    place: Place = (0, 0),
    column: bool = False,
    connected: bool = False,
) -> np.ndarray:
    """<first second> for places 1 to `reach` east (or, with column=True, south) of a place; all of one kind of site.

    connected: less the product of the means. Cost O(chi^2 D^6 d^2 + chi^3 D^4) a distance. Charges of the two operators
    have to cancel; complex where the state or an operator is.
    """
    if reach < 1:
        raise ShapeError(f"correlations reach over at least one place, found {reach}.")
    row = [_along(environment, place, k, column) for k in range(reach + 1)]
    kinds = [_operator(site, name, row[0].tensor) for name in (first, second)]
    start = row[0].west_half(is_open=True)
    vector, norm = (_insert(start, op) for op in (kinds[0], None))
    left = _close(vector, row[0].east_edge()) / _close(norm, row[0].east_edge()) if connected else 0.0
    values = []
    for k in range(1, reach + 1):
        end = row[k].east_half(is_open=True)
        closed, plain = _insert(end, kinds[1]), _insert(end, None)
        total = _close(norm, plain)
        value = _close(vector, closed) / total
        if connected:
            value = value - left * _close(norm, closed) / total
        values.append(value)
        size = 1 / norm.norm()
        vector, norm = (next_column(half, row[k]) * size for half in (vector, norm))
    found = np.array(values)
    return found.real.copy() if np.abs(found.imag).max(initial=0.0) <= 1e-12 * np.abs(found).max(initial=1.0) else found


def sites_of(terms: PlaneTerms) -> int:
    """How many sites of the model stand in a cell."""
    return sum(map(len, terms.members.values())) or terms.shape[0] * terms.shape[1]


def _checked(environment: Environment, terms: PlaneTerms) -> DirectionalEnvironment:
    if not isinstance(environment, DirectionalEnvironment):
        raise OperatorError("a PEPS is measured in four corners: CTMRG(symmetric=False, ...), found a single one.")
    shape = len(environment.cell), len(environment.cell[0])
    if not isinstance(terms, PlaneTerms) or not terms.infinite or terms.shape != shape:
        raise ShapeError(
            f"the environment has a cell of {shape[0]} x {shape[1]} places, found {terms!r}: take "
            "PlaneTerms.infinite_of(model, psi.pattern)."
        )
    for i, j in _places(terms):
        site, kept = terms.site(i, j), environment.cell[i][j].tensor
        if kept.ndim != 5 or kept.legs[4] is not site.leg:
            raise ShapeError(f"the tensor at {(i, j)} is no state on a site with {site.leg!r}: {kept!r}.")
    return environment


def _places(terms: PlaneTerms) -> list[Place]:
    return [(i, j) for i in range(terms.shape[0]) for j in range(terms.shape[1])]


def _mean(density: np.ndarray, matrix: np.ndarray) -> float:
    return float(np.real(np.sum(density.T * matrix)))


def _asymmetry(density: np.ndarray) -> float:
    return float(np.abs(density - density.conj().T).max())


def _lowest(density: np.ndarray) -> float:
    return float(min(0.0, np.linalg.eigvalsh((density + density.conj().T) / 2)[0]))


def _moments(density: np.ndarray, site: Site, names: Sequence[str] | None) -> dict[str, float]:
    chosen = [name for name in _MOMENTS if name in site.operators] if names is None else names
    return {name: _mean(density, site.op(name)) for name in chosen}


def _along(environment: DirectionalEnvironment, place: Place, k: int, column: bool) -> Surroundings:
    """The k-th place east, or south with the lattice turned so that south is east."""
    if column:
        return surroundings(environment, place[0] + k, place[1]).turned()
    return surroundings(environment, place[0], place[1] + k)


def _operator(site: Site, name: str | np.ndarray, like: Tensor) -> Tensor:
    """An operator (out, in) with its charge."""
    matrix = np.asarray(site.op(name))
    dtype = np.result_type(like.dtype, matrix.dtype) if matrix.dtype.kind == "c" else like.dtype
    return from_dense(matrix.astype(dtype), [site.leg, site.leg.dual], site.charge_of(matrix)).to(like.backend)


def _insert(half: Tensor, operator: Tensor | None) -> Tensor:
    """An open half (.., ket, bra) with an operator between its layers, or none."""
    if operator is None:
        return trace(half, 3, 4)
    return contract("l e o p q, q p -> l e o", half, operator)


def _close(west: Tensor, east: Tensor) -> complex:
    west_charge, east_charge = west.charge, east.charge
    if west.group.fuse(west_charge, east_charge)[0] != west.group.identity:
        return 0.0
    return contract("l e o, l e o -> ", west, east).item()
