"""Circuits: gates on one site or on any two sites of a state, one after the other.

Source: G. Vidal, Phys. Rev. Lett. 91, 147902 (2003); fidelity: Y. Zhou, E. M. Stoudenmire, X. Waintal, Phys. Rev. X
10, 041038 (2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.error_budget import CutShares, check_budget, remedy
from tnsim.algorithms.evolution.evolution import check_start
from tnsim.algorithms.solution import Status
from tnsim.backend import block_threads
from tnsim.errors import OperatorError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.gated_state import GatedState, swap_gate, swap_matrix
from tnsim.networks.gates import gate_tensor
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.sites import Site
from tnsim.networks.two_site_gate import TwoSiteGate, two_site_gate

_UNITARY = 1e-10


@dataclass(frozen=True)
class CircuitResult:
    """The state after a circuit; sum_trunc_err: discarded weight of all cuts; fidelity: estimate of the squared
    overlap with the exact state, the product of what every cut kept; error: the norm of the difference from it at most,
    relative to that of the start; status: whether an error budget was held."""

    state: MPS
    sum_trunc_err: float
    fidelity: float
    error: float
    status: Status

    def __repr__(self) -> str:
        text = f"fidelity {self.fidelity:.6g}, error {self.error:.1e} at most, discarded {self.sum_trunc_err:.1e}"
        return f"CircuitResult({self.status.name}): {text}: {self.state!r}"


@dataclass(frozen=True)
class Circuit:
    """A sequence of unitary gates: (matrix in the Kronecker basis of its sites, rows out; sites in that order).

    `add` returns a longer circuit. Two sites may lie anywhere in any order: equal sites are swapped until they are
    neighbours (fermions with their sign), and stay where they are until another gate needs them. Matrices of fermions
    are in Jordan-Wigner order of their own two sites.

    >>> from tnsim.networks.sites import spin_sites
    >>> flip, hadamard = np.eye(4)[[0, 1, 3, 2]], np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
    >>> bell = Circuit().add(hadamard, 0).add(flip, 0, 3)
    >>> psi = MPS.product(spin_sites(4, conserve=None), ["down"] * 4)
    >>> bell.run(psi, truncation=Truncation(chi_max=4)).state.to_dense()[[0, 9]].round(6).tolist()
    [0.707107, 0.707107]
    """

    gates: tuple[tuple[np.ndarray, tuple[int, ...]], ...] = ()

    def add(self, matrix: Any, *sites: int) -> "Circuit":
        """One more gate. Raises OperatorError unless it is a unitary matrix on one or two different sites."""
        matrix = np.asarray(matrix)
        numbered = all(isinstance(site, (int, np.integer)) for site in sites)
        if not numbered or len(sites) not in (1, 2) or len(set(sites)) != len(sites) or min(sites) < 0:
            raise OperatorError(f"a gate acts on one site or on two different ones, counted from 0, found {sites}.")
        if matrix.ndim != 2 or not matrix.size or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "iufc":
            raise OperatorError(f"a gate is a square matrix of numbers, found shape {matrix.shape}, {matrix.dtype}.")
        matrix = matrix if matrix.dtype.kind in "fc" else matrix.astype(np.float64)
        error = np.abs(matrix.conj().T @ matrix - np.eye(len(matrix))).max()
        if not error < max(_UNITARY, 100 * np.finfo(matrix.dtype).eps):
            raise OperatorError(
                f"a gate of a circuit is unitary, this one on {sites} by {error:.1e} not: see apply_gate."
            )
        return replace(self, gates=(*self.gates, (matrix, tuple(map(int, sites)))))

    @classmethod
    def from_layers(cls, layers: Sequence[Sequence[tuple[Any, tuple[int, ...]]]]) -> "Circuit":
        """A circuit from layers of (matrix, sites). Raises OperatorError where gates of a layer overlap.

        >>> Circuit.from_layers([[(np.eye(4), (0, 1)), (np.eye(4), (2, 3))], [(np.eye(4), (1, 2))]])
        Circuit of 3 gates, 3 of them on two sites
        """
        circuit = cls()
        for number, layer in enumerate(layers):
            taken: set[int] = set()
            for matrix, sites in layer:
                if taken & set(sites):
                    raise OperatorError(f"gates of layer {number} overlap on the sites {sorted(taken & set(sites))}.")
                taken |= set(sites)
                circuit = circuit.add(matrix, *sites)
        return circuit

    def __len__(self) -> int:
        return len(self.gates)

    def __repr__(self) -> str:
        return f"Circuit of {len(self)} gates, {sum(len(sites) == 2 for _, sites in self.gates)} of them on two sites"

    def run(
        self, psi: MPS, *, truncation: Truncation, split: str = "auto", error_budget: float = np.inf
    ) -> CircuitResult:
        """The state after all gates, its norm that of psi times what cuts left; cost O(chi^3 d^3) a cut.

        A gate over a distance of r sites takes r cuts at most. error_budget lets chi follow, up to chi_max, so that
        `error` stays below it; every gate may take the unspent share of those that are left. Raises ShapeError for a
        site that is not there, a matrix of the wrong size or different sites to be swapped, ChargeError for a gate that
        breaks a charge, StateError for a state that is zero or not finite.
        """
        check_start(psi)
        check_budget(error_budget, truncation)
        psi = psi.astype(matching_dtype(psi.dtype, *(matrix for matrix, _ in self.gates)))
        shares = CutShares(truncation)
        shares.allow(error_budget)
        line = _Line(GatedState(psi, truncation, split=split), shares, sum(len(sites) == 2 for _, sites in self.gates))
        with block_threads():
            for matrix, sites in self.gates:
                line.apply(matrix, sites)
            line.sort()
        gated, status = line.gated, Status("finished", True, "nothing to do; raise chi_max to lower the error.")
        if shares.error > error_budget:
            change = remedy(truncation, max(gated.state.bond_dimensions), error_budget)
            advice = f"{change}, or raise error_budget = {error_budget:.1e}."
            status = Status("error budget spent", False, f"the error is up to {shares.error:.1e}: {advice}")
        psi = gated.state * (gated.norm * gated.fidelity**0.5)
        return CircuitResult(psi, line.weight, gated.fidelity, shares.error, status)


class _Line:
    """A state whose sites may stand in another order; pairs: gates on two sites that are to come; cuts: of
    the gate under way."""

    def __init__(self, gated: GatedState, shares: CutShares, pairs: int) -> None:
        self.gated, self.shares, self.pairs, self.weight = gated, shares, pairs, 0.0
        self.cuts = 0
        self.order = list(range(len(gated.sites)))  # the site at every place

    def apply(self, matrix: np.ndarray, sites: tuple[int, ...]) -> None:
        if max(sites) >= len(self.order):
            raise ShapeError(f"the state has sites 0 to {len(self.order) - 1}, found a gate on {sites}.")
        places = [self.order.index(site) for site in sites]
        if len(sites) == 1:
            self._on_site(matrix, places[0])
            return
        first, last = sorted(places)
        self.cuts = last - first
        for place in range(last - 1, first, -1):
            self.swap(place, rightwards=False)
        pair = self._sites(first)
        if places[0] > places[1]:
            swap = swap_matrix(pair)
            matrix = swap @ matrix @ swap.T
        self._on_bond(first, two_site_gate(matrix, pair), rightwards=True)
        self.pairs -= 1

    def _on_bond(self, bond: int, gate: TwoSiteGate, *, rightwards: bool) -> None:
        """A gate and its cut, one of `cuts` that share what is free for one of the gates to come; the last swaps of all
        count as one more gate."""
        gated = self.gated
        gated.truncation, gated.weight = self.shares.rule(1, (self.pairs + 1) * self.cuts), 0.0
        gated.on_bond(bond, gate, rightwards=rightwards)
        self.cuts -= 1
        self.weight += gated.weight
        self.shares.spend(gated.weight)

    def _on_site(self, matrix: np.ndarray, place: int) -> None:
        tensor = self.gated.tensors[place]
        if len(matrix) != self.gated.sites[place].dim:
            raise ShapeError(f"a gate on a site of {self.gated.sites[place].dim} states has no size {len(matrix)}.")
        operator = gate_tensor(matrix, [self.gated.sites[place]])
        self.gated.on_site(place, operator.astype(tensor.dtype).to(tensor.backend))

    def _sites(self, bond: int) -> tuple[Site, ...]:
        return self.gated.sites[bond : bond + 2]

    def swap(self, bond: int, *, rightwards: bool) -> None:
        """Exchange the sites at two neighbouring places."""
        self._on_bond(bond, swap_gate(self._sites(bond)), rightwards=rightwards)
        self.order[bond : bond + 2] = self.order[bond : bond + 2][::-1]

    def sort(self) -> None:
        """Bring every site back to its own place, the last ones first."""
        order = np.array(self.order)
        self.cuts = int(np.triu(order[:, None] > order, 1).sum())
        for site in range(len(self.order) - 1, -1, -1):
            for bond in range(self.order.index(site), site):
                self.swap(bond, rightwards=True)
