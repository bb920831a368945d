"""Configurations of a finite PEPS, drawn row by row with their probabilities and amplitudes.

x--top--u       above the row a boundary MPS of what was drawn so far, for the ket and conjugated for the bra (X, U);
   |            below it the boundary of ket and bra together
w--ket--e
   |
y--low--v

Source: T. Vieijra, J. Haegeman, F. Verstraete, L. Vanderstraeten, Phys. Rev. B 104, 235141 (2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement, check_finite
from tnsim.algorithms.peps.finite.cut_terms import ROWS
from tnsim.algorithms.peps.finite.double_boundary import DoubleBoundary, edge, next_boundary
from tnsim.algorithms.peps.finite.double_layer_row import DoubleRow, absorb, joined, ones
from tnsim.algorithms.peps.finite.plane_boundaries import PlaneBoundaries
from tnsim.algorithms.plane.boundary_mps import Boundary, BoundaryMPS, bottom_edge
from tnsim.backend import Seed, generator
from tnsim.errors import NumericalError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.double_layer import amplitude_network
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.peps import PEPS
from tnsim.networks.square_network import EAST, WEST
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, bra, contract, flip_leg, select

# a probability may come out below zero by the truncation; by more than this share it is no probability
_NEGATIVE = 1e-6


@dataclass(frozen=True, eq=False)
class PEPSSamples:
    """outcomes: numbers of local states, shape (shots, rows, columns); log_probabilities: with which each was drawn;
    log_amplitudes: ln |<outcome|psi>| of the state as it is, not normalised.

    Where boundaries cut something, samples are drawn from another distribution than that of the state. `weights`
    correct averages for it without bias in the limit of many shots; their spread says how much there was to correct.
    """

    outcomes: np.ndarray
    log_probabilities: np.ndarray = field(repr=False)
    log_amplitudes: np.ndarray = field(repr=False)

    @property
    def weights(self) -> np.ndarray:
        """Weights of the shots, with mean 1: all 1 where nothing was cut."""
        logs = 2 * self.log_amplitudes - self.log_probabilities
        weights = np.exp(logs - logs.max())
        return weights / weights.mean()

    def __repr__(self) -> str:
        shots, rows, columns = self.outcomes.shape
        return f"PEPSSamples: {shots} of {rows} x {columns} places, weights spread by {np.std(self.weights):.1e}"


def sample_peps(psi: PEPS, shots: int, run: BoundaryMeasurement, *, seed: Seed = None) -> PEPSSamples:
    """Independent samples in the basis of the local states, exact where the boundaries cut nothing.

    Site by site, given all before; what comes after is the boundary below. Shots that agree so far are drawn together.
    One seed gives the same samples. Cost of a site O(d chi^3 D^2 chi') with chi' <= chi states of the boundary above,
    for every distinct shot; of fermions that of a boundary of both layers. Raises ShapeError for no shots,
    NumericalError for probabilities below zero: raise chi_max.

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.sites import spin_site
    >>> psi = PEPS.product([[spin_site()] * 2] * 2, [["up", "down"]] * 2)
    >>> sample_peps(psi, 3, BoundaryMeasurement(truncation=Truncation(chi_max=8)), seed=0).outcomes[0].tolist()
    [[1, 0], [1, 0]]
    """
    check_finite(psi)
    if isinstance(shots, bool) or not isinstance(shots, int | np.integer) or shots < 1:
        raise ShapeError(f"sampling needs at least one shot, and a whole number of them, found {shots!r}.")
    rng, plain = generator(seed), psi.opened()
    graded = plain.kinds[0].group.fermionic
    plain = plain if graded else plain.without_symmetry()  # one block of numbers is quicker than many
    lines = PlaneBoundaries(plain, ROWS, run.truncation)
    upper = _BothLayers(plain, run.truncation) if graded else _OneLayer(plain, run.truncation)
    waiting, found = [_Rows((), upper.edge, int(shots), 0.0)], []
    while waiting:
        rows = waiting.pop()
        i = len(rows.states)
        if i == psi.shape[0]:
            found.append(rows)
            continue
        kets = plain.rows[i]
        for states, count, log_p in _through(upper, kets, rows, lines.below(i).sites, rng):
            chosen = [select(ket, 4, n) for ket, n in zip(kets, states, strict=True)]
            waiting.append(_Rows((*rows.states, states), upper.taken_in(chosen, rows.above), count, log_p))
    counts = [rows.shots for rows in found]
    order = rng.permutation(int(shots))
    return PEPSSamples(
        np.repeat(np.array([rows.states for rows in found]), counts, axis=0)[order],
        np.repeat([rows.log_p for rows in found], counts)[order],
        np.repeat([upper.log_amplitude(rows.above) for rows in found], counts)[order],
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Shots that agree on all rows so far: their states, and the boundary that these make."""

    states: tuple[tuple[int, ...], ...]
    above: Any
    shots: int
    log_p: float


class _OneLayer:
    """What was drawn as a boundary MPS for the ket, conjugated for the bra."""

    def __init__(self, psi: PEPS, truncation: Truncation) -> None:
        self._run = BoundaryMPS(truncation=truncation)
        self.edge = bottom_edge(amplitude_network(psi.rows, np.zeros(psi.shape, dtype=int)).mirrored())

    def taken_in(self, kets: Sequence[Tensor], above: Boundary) -> Boundary:
        """A row more, in one state."""
        return self._run.taken_in([Tensor(ket.legs[:4], ket.data) for ket in kets], above)

    def log_amplitude(self, above: Boundary) -> float:
        """ln of the size of what all rows make."""
        return above.log_norm

    def tops(self, above: Boundary) -> list[Tensor]:
        """Its sites (left, south, right)."""
        return [flip_leg(tensor, 1) for tensor in above.state.tensors]

    def end(self, top: Leg, ket: Tensor, side: int, low: Leg) -> Tensor:
        """1 on the bonds at one end of a row: of ket and bra above, ket, bra, and the boundary below."""
        return ones([top, top.dual, ket.legs[side], ket.legs[side].dual, low], ket)

    def carried(self, left: Tensor, top: Tensor, ket: Tensor, low: Tensor) -> Tensor:
        """From the left over a place whose state is known; the bra is the conjugate of the ket."""
        half = contract("x X w W y, x n u -> w X W y n u", left, top)
        half = contract("w X W y n u, n e s w p -> X W y u e s p", half, ket)
        half = contract("X W y u e s p, X N U -> W y u e s p N U", half, top.conj())
        half = contract("W y u e s p N U, N E S W p -> y s S u U e E", half, ket.conj())
        return contract("y s S u U e E, y s S v -> u U e E v", half, low)

    def brought(self, right: Tensor, top: Tensor, ket: Tensor, low: Tensor) -> Tensor:
        """From the right over a place in all of its states."""
        half = contract("u U e E v, x n u -> e U E v x n", right, top)
        half = contract("e U E v x n, n e s w p -> U E v x s w p", half, ket)
        half = contract("U E v x s w p, X N U -> E v x s w p X N", half, top.conj())
        half = contract("E v x s w p X N, N E S W p -> v s S x X w W", half, ket.conj())
        return contract("v s S x X w W, y s S v -> x X w W y", half, low)

    def weight(self, left: Tensor, right: Tensor) -> complex:
        """The sum over all."""
        return contract("u U e E v, u U e E v -> ", left, right).item()


class _BothLayers:
    """What was drawn as a boundary of ket and bra together: for fermions, whose boundaries are no chains."""

    def __init__(self, psi: PEPS, truncation: Truncation) -> None:
        self._truncation, self.edge = truncation, edge(DoubleRow.of(psi.rows[0]))

    def taken_in(self, kets: Sequence[Tensor], above: DoubleBoundary) -> DoubleBoundary:
        """A row more, in one state."""
        return next_boundary(above, DoubleRow.of(kets), self._truncation)

    def log_amplitude(self, above: DoubleBoundary) -> float:
        """ln of the size of what all rows make."""
        return above.log_norm / 2

    def tops(self, above: DoubleBoundary) -> Sequence[Tensor]:
        """Its sites (left, ket, bra, right)."""
        return above.sites

    def end(self, top: Leg, ket: Tensor, side: int, low: Leg) -> Tensor:
        """1 on the bonds at one end of a row: of the boundary above, ket, bra, and the boundary below."""
        return ones([top, ket.legs[side], ket.legs[side].dual, low], ket)

    def carried(self, left: Tensor, top: Tensor, ket: Tensor, low: Tensor) -> Tensor:
        """From the left over a place whose state is known."""
        return absorb(LEFT, left, top, (ket, bra(ket)), low)

    def brought(self, right: Tensor, top: Tensor, ket: Tensor, low: Tensor) -> Tensor:
        """From the right over a place in all of its states."""
        return absorb(RIGHT, right, top, (ket, bra(ket)), low)

    def weight(self, left: Tensor, right: Tensor) -> complex:
        """The sum over all."""
        return joined(left, right)


def _through(
    upper: _OneLayer | _BothLayers, kets: Sequence[Tensor], rows: _Rows, low: Sequence[Tensor], rng: np.random.Generator
) -> list[tuple[tuple[int, ...], int, float]]:
    """(states, shots, ln probability) of a row."""
    tops = upper.tops(rows.above)
    rights = [upper.end(tops[-1].legs[-1], kets[-1], EAST, low[-1].legs[3])]
    for top, ket, site in zip(tops[:0:-1], kets[:0:-1], low[:0:-1], strict=True):
        rights.append(_unit(upper.brought(rights[-1], top, ket, site)))
    rights = rights[::-1]
    left = upper.end(tops[0].legs[0], kets[0], WEST, low[0].legs[0])
    waiting: list[tuple[tuple[int, ...], Tensor, int, float]] = [((), left, rows.shots, rows.log_p)]
    found: list[tuple[tuple[int, ...], int, float]] = []
    while waiting:
        states, left, shots, log_p = waiting.pop()
        j = len(states)
        if j == len(kets):
            found.append((states, shots, log_p))
            continue
        lefts = [upper.carried(left, tops[j], select(kets[j], 4, k), low[j]) for k in range(kets[j].shape[4])]
        probabilities = _probabilities([upper.weight(x, rights[j]) for x in lefts])
        for k, count in enumerate(rng.multinomial(shots, probabilities)):
            if count:
                waiting.append(((*states, k), _unit(lefts[k]), int(count), log_p + float(np.log(probabilities[k]))))
    return found


def _unit(env: Tensor) -> Tensor:
    return env / (env.norm() or 1.0)


def _probabilities(weights: Sequence[complex]) -> np.ndarray:
    real = np.real(weights)
    total = real.sum()
    if not np.isfinite(total) or total <= 0 or real.min() < -_NEGATIVE * total:
        raise NumericalError(f"the weights of the states of a place are {real}: no probabilities; raise chi_max.")
    clipped = np.maximum(real, 0.0)
    return clipped / clipped.sum()
