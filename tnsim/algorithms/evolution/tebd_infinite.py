"""TEBD of an infinite state: right-isometric tensors and the centres between them, without an inverse.

Source: G. Vidal, Phys. Rev. Lett. 98, 070201 (2007); M. B. Hastings, J. Math. Phys. 50, 095207 (2009), for the update.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from tnsim.algorithms.evolution.gate_layers import GateLayers, Layer, Terms, TimeDependent
from tnsim.errors import ShapeError
from tnsim.linalg import qr
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.pair_terms import cell_terms
from tnsim.networks.two_site_gate import TwoSiteGate, TwoSites, two_site_gate
from tnsim.networks.two_site_split import TwoSiteSplit, choose_method, named, split_two_site
from tnsim.networks.uniform_gauge import left_gauge
from tnsim.tensor import Tensor, contract, diagonal

if TYPE_CHECKING:
    from tnsim.algorithms.evolution.tebd import TEBD


class InfiniteTEBD(GateLayers):
    """An infinite state under layers of gates: B (right-isometric) and C (right of every site).

    Gates that are not unitary bend the canonical form by O(dt); the state is made canonical for every report.
    """

    def __init__(self, settings: "TEBD", H: OperatorSum | TimeDependent, psi: InfiniteMPS) -> None:
        if psi.L % 2:
            raise ShapeError(f"infinite TEBD needs a cell of an even number of sites, found {psi.L}: psi.repeated(2).")
        super().__init__(settings, H, psi.sites)
        dtype = self._dtype(psi.dtype)
        self._method = choose_method(settings.split, settings.truncation, dtype)
        self._state: InfiniteMPS | None = psi.astype(dtype)
        self._tensors, self._centers = list(self._state.AR), list(self._state.C)
        self._weight = self._log_norm = 0.0

    @property
    def state(self) -> InfiniteMPS:
        """The state in canonical form."""
        if self._state is None:
            left, last, _ = left_gauge(self._tensors, self._centers[-1])
            self._state = InfiniteMPS.from_left(left, self._sites, last)
            self._tensors, self._centers = list(self._state.AR), list(self._state.C)
        return self._state

    def energy(self, time: float) -> float | None:
        """<H> per site at a time; cost O(n d^3 chi^3)."""
        if self.settings.non_hermitian:
            return None
        psi, total = self.state, 0.0
        for (bond, _), matrix in self.terms(time).items():
            first, second = contract("l m, m s r -> l s r", psi.C[bond - 1], psi.AR[bond]), psi.AR[(bond + 1) % psi.L]
            pair = TwoSites(first, second)
            theta = pair.join(first, second)
            sites = self._sites[bond], self._sites[(bond + 1) % psi.L]
            moved = pair.transform(theta, two_site_gate(matrix, sites))
            backend = pair.backend
            total += complex(backend.read(backend.vdot(theta, moved) / backend.vdot(theta, theta))).real
        return total / psi.L

    def entropy(self) -> float:
        """Von Neumann entropy at the middle bond of the cell."""
        spectrum = self.state.schmidt_values()[(len(self._sites) - 1) // 2]
        return entropy_of_weights(spectrum.values**2)

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps. The norm is that per site; in real time it is kept."""
        self._weight = self._log_norm = 0.0
        self._evolve(time, dt, steps)
        return self._weight, self._log_norm / len(self._sites)

    def remember(self) -> Any:
        """The state in canonical form."""
        return self.state

    def return_to(self, memory: Any) -> None:
        """Undo what was done since."""
        self._state = memory
        self._tensors, self._centers = list(memory.AR), list(memory.C)

    def _matrices(self, H: OperatorSum) -> tuple[Terms, bool]:
        return cell_terms(H, self._sites)

    def _apply_layer(self, gates: Layer) -> None:
        self._state = None
        for bond, gate in gates:
            self._apply(bond, gate)

    def _apply(self, bond: int, gate: TwoSiteGate) -> None:
        """theta = C B B under the gate gives the new C and the right B; the left one is (B B under the gate) B^+.

        --C--B--B--  ->  --AC--B--,    AC = C B
             gate
        """
        here, there = bond, (bond + 1) % len(self._sites)
        left, right = self._tensors[here], self._tensors[there]
        first = contract("l m, m s r -> l s r", self._centers[here - 1], left)
        pair = TwoSites(first, right)
        theta = pair.transform(pair.join(first, right), gate)
        norm = float(pair.backend.read(pair.backend.norm(theta)))
        with named(f"the gate on sites {here} and {there} of the cell"):
            cut = split_two_site(pair, theta, self.settings.truncation, rightwards=False, method=self._method)
        kept = norm * (1 - cut.trunc_err) ** 0.5
        self._tensors[there] = cut.second
        self._tensors[here] = pair.onto_first(pair.transform(pair.join(left, right), gate), cut.second) / kept
        self._centers[here] = self._center(cut)
        self._weight += cut.trunc_err
        if not self.unitary:
            self._log_norm += float(np.log(kept))

    def _center(self, cut: TwoSiteSplit) -> Tensor:
        """The new C: Schmidt values, or R of the left tensor where the basis is not theirs."""
        if self._method in ("leading", "qr"):
            return qr(cut.first, (0, 1))[1]
        values = np.sqrt(cut.weights).astype(cut.second.dtype)
        return diagonal(cut.second.backend.asarray(values), cut.second.legs[0])
