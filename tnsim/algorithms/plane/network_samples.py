"""Perfect samples and marginals of the configurations of a finite classical network.

Source: K. Frias-Perez, M. Marien, D. Perez Garcia, M. C. Banuls, S. Iblisdir, SciPost Phys. 14, 123 (2023); M. M. Rams,
M. Mohseni, D. Eppens, K. Jalowiecki, B. Gardas, Phys. Rev. E 104, 025308 (2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.plane.boundary_mps import Boundaries, BoundaryMPS, bottom_edge, ones, unit
from tnsim.algorithms.plane.boundary_sum import Boundary
from tnsim.backend import Seed, generator
from tnsim.errors import NumericalError, OperatorError, ShapeError
from tnsim.networks.square_network import EAST, WEST, FiniteNetwork
from tnsim.tensor import Tensor, contract, flip_leg

# a probability may come out below zero by the truncation; by more than this share it is no probability
_NEGATIVE = 1e-6
_ABSORB = "x w y, x n u, n e s w, y s v -> u e v"


@dataclass(frozen=True, eq=False)
class Samples:
    """outcomes: integers of shape (shots, rows, columns); log_probabilities: with which each was drawn, shape (shots,).

    With the weights of the configurations these correct averages for what the boundaries had to cut.
    """

    outcomes: np.ndarray
    log_probabilities: np.ndarray = field(repr=False)

    def __repr__(self) -> str:
        shots, rows, columns = self.outcomes.shape
        return f"Samples: {shots} of {rows} x {columns} places"


def network_marginals(boundaries: Boundaries, outcomes: Sequence[FiniteNetwork]) -> np.ndarray:
    """Probability of every outcome in every place, shape (rows, columns, outcomes).

    outcomes: networks whose tensors stand for one outcome each, as of `Ising(beta=0.4).outcomes(8, 8)`; in every place
    they add up to the tensor. Raises OperatorError where they do not, ShapeError for other shapes.
    """
    check_outcomes(boundaries.network, outcomes)
    return np.stack([boundaries.means(network) for network in outcomes], axis=-1)


def sample_network(
    network: FiniteNetwork, outcomes: Sequence[FiniteNetwork], shots: int, run: BoundaryMPS, *, seed: Seed = None
) -> Samples:
    """Independent configurations of a network with weights of at least 0, outcomes as in `network_marginals`.

    Place by place, given all before it; what comes after is the boundary below, so samples are exact where it cuts
    nothing. Shots that agree so far are drawn together. Cost O(chi^3 D^2) a place and distinct shot. One
    seed gives the same samples. Raises NumericalError where a probability is negative: raise chi_max.
    """
    check_outcomes(network, outcomes)
    if not isinstance(shots, int | np.integer) or shots < 1:
        raise ShapeError(f"sampling needs at least one shot, and a whole number of them, found {shots!r}.")
    rng = generator(seed)
    below = run.boundaries(network).below
    waiting = [_Row((), bottom_edge(network.mirrored()), shots, 0.0)]
    found: list[tuple[tuple[int, ...], int, float]] = []
    while waiting:
        row = waiting.pop()
        i = len(row.states) // network.shape[1]
        if i == network.shape[0]:
            found.append((row.states, row.shots, row.log_p))
            continue
        tensors = [network.rows[i], *(outcome.rows[i] for outcome in outcomes)]
        for states, count, log_p in _through(tensors, row, below[i], rng):
            chosen = [outcomes[k].rows[i][j] for j, k in enumerate(states)]
            waiting.append(_Row(row.states + states, run.taken_in(chosen, row.above), count, log_p))
    order = rng.permutation(shots)
    configurations = np.repeat(np.array([states for states, _, _ in found]), [count for _, count, _ in found], axis=0)
    logs = np.repeat([log_p for _, _, log_p in found], [count for _, count, _ in found])
    return Samples(configurations[order].reshape(shots, *network.shape), logs[order])


@dataclass(frozen=True, eq=False)
class _Row:
    """Shots that agree on all rows so far: their states, and the boundary that these make."""

    states: tuple[int, ...]
    above: Boundary
    shots: int
    log_p: float


def _through(
    tensors: Sequence[Sequence[Tensor]], row: _Row, below: Boundary, rng: np.random.Generator
) -> list[tuple[tuple[int, ...], int, float]]:
    """(states, shots, ln probability) of the row; tensors: of the whole, then of every outcome."""
    whole, *parts = tensors
    top, low = [flip_leg(t, 1) for t in row.above.state.tensors], below.state.tensors
    rights = [ones([top[-1].legs[2], whole[-1].legs[EAST], low[-1].legs[2]], whole[0])]
    for a, tensor, b in zip(top[::-1], whole[::-1], low[::-1], strict=True):
        rights.append(unit(contract("u e v, x n u, n e s w, y s v -> x w y", rights[-1], a, tensor, b)))
    rights = rights[-2::-1]  # right of every place
    left = ones([top[0].legs[0], whole[0].legs[WEST], low[0].legs[0]], whole[0])
    waiting: list[tuple[tuple[int, ...], Tensor, int, float]] = [((), left, row.shots, row.log_p)]
    found: list[tuple[tuple[int, ...], int, float]] = []
    while waiting:
        states, left, shots, log_p = waiting.pop()
        j = len(states)
        if j == len(whole):
            found.append((states, shots, log_p))
            continue
        lefts = [contract(_ABSORB, left, top[j], part[j], low[j]) for part in parts]
        weights = np.array([np.real(contract("u e v, u e v -> ", x, rights[j]).item()) for x in lefts])
        probabilities = _probabilities(weights)
        for k, count in enumerate(rng.multinomial(shots, probabilities)):
            if count:
                log = log_p + float(np.log(probabilities[k]))
                waiting.append(((*states, k), unit(lefts[k]), int(count), log))
    return found


def _probabilities(weights: np.ndarray) -> np.ndarray:
    total = weights.sum()
    if not np.isfinite(total) or total <= 0 or weights.min() < -_NEGATIVE * total:
        raise NumericalError(
            f"the weights of the next place are {weights}: no probabilities; raise chi_max, or the network has weights "
            "below zero."
        )
    clipped = np.maximum(weights, 0.0)
    return clipped / clipped.sum()


def check_outcomes(network: FiniteNetwork, outcomes: Sequence[FiniteNetwork]) -> None:
    """ShapeError for networks of other shapes, OperatorError where they do not add up to the whole."""
    if not outcomes or any(outcome.shape != network.shape for outcome in outcomes):
        shapes = [outcome.shape for outcome in outcomes]
        raise ShapeError(f"outcomes for {network.shape} places are needed, found {shapes}.")
    eps = float(np.finfo(network.dtype).eps)
    for i, row in enumerate(network.rows):
        for j, tensor in enumerate(row):
            parts = [outcome.rows[i][j] for outcome in outcomes]
            if any(part.charge != tensor.charge or part.legs != tensor.legs for part in parts):
                raise OperatorError(f"an outcome at {(i, j)} breaks the symmetry of the network: build it without.")
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            if (total - tensor).norm() > 1e4 * eps * tensor.norm():
                raise OperatorError(f"the outcomes at {(i, j)} do not add up to the tensor of the network.")
