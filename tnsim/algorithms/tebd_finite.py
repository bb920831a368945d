"""TEBD of a finite state: layers of gates on neighbours, or one sequence of gates and swaps for terms that reach
farther."""

from typing import TYPE_CHECKING

import numpy as np

from tnsim.algorithms.evolution import check_start, evolving_dtype, middle_entropy
from tnsim.algorithms.gate_layers import GateLayers, Layer, TimeDependent
from tnsim.errors import OperatorError, ShapeError
from tnsim.measure.expectation import expect_mpo
from tnsim.networks.gated_state import GatedState
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.pair_terms import pair_terms

if TYPE_CHECKING:
    from tnsim.algorithms.tebd import TEBD


class FiniteTEBD(GateLayers):
    """A finite state under layers of gates: tensors of norm 1 with a centre, and the norm beside them."""

    def __init__(self, settings: "TEBD", H: OperatorSum | TimeDependent, psi: MPS) -> None:
        if psi.L < 2:
            raise ShapeError(f"TEBD needs at least 2 sites, found {psi.L}.")
        super().__init__(settings, H, psi.sites)
        check_start(psi)
        dtype = evolving_dtype(settings, psi.dtype, *(matrix.dtype for matrix in self._start))
        self._gated = GatedState(psi.astype(dtype), settings.truncation, split=settings.split, unitary=self.unitary)
        self._norm = 1.0 if settings.imaginary else self._gated.norm
        self._mpo: MPO | None = None

    @property
    def state(self) -> MPS:
        """The state, with the norm that truncation left of it (1 in imaginary time)."""
        return self._gated.state if self._norm == 1.0 else self._gated.state * self._norm

    def energy(self, time: float) -> float | None:
        """<H> at a time; cost O(L chi^3 d w)."""
        if self.settings.non_hermitian:
            return None
        if self._mpo is None or self._constant is None:
            self._mpo = self.at(time).mpo(self._sites).to(self._gated.tensors[0].backend)
        return complex(expect_mpo(self._mpo, self._gated.state)).real

    def entropy(self) -> float:
        """Von Neumann entropy at the middle bond."""
        return middle_entropy(self._gated.state)

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps; in real time the norm keeps what truncation left of it."""
        self._gated.weight = self._gated.log_norm = 0.0
        self._evolve(time, dt, steps)
        if not self.settings.imaginary:
            self._norm *= float(np.exp(self._gated.log_norm))
        return self._gated.weight, self._gated.log_norm

    def _matrices(self, H: OperatorSum) -> tuple[list[np.ndarray], bool]:
        terms, hermitian = pair_terms(H, self._sites)
        far = next((pair for pair in terms if pair[1] - pair[0] > 1), None)
        if far is not None:
            raise OperatorError(f"TEBD takes terms on neighbouring sites, found one on the sites {far}: use TDVP.")
        return [terms[i, i + 1] for i in range(len(self._sites) - 1)], hermitian

    def _apply_layer(self, gates: Layer) -> None:
        """From the end that is nearer to the centre; it stays near the other end."""
        center = self._gated.center
        rightwards = abs(center - gates[0][0]) <= abs(center - gates[-1][0] - 1)
        ordered = gates if rightwards else gates[::-1]
        for number, (bond, gate) in enumerate(ordered):
            turns = number == len(ordered) - 1  # the next layer comes back
            self._gated.on_bond(bond, gate, rightwards=rightwards != turns)
