"""TEBD of a finite state: the centre moves with the gates, so that every discarded weight is exact."""

from typing import TYPE_CHECKING

import numpy as np

from tnsim.algorithms.evolution import check_start, evolving_dtype, middle_entropy
from tnsim.algorithms.gate_layers import GateLayers, Layer, TimeDependent
from tnsim.errors import OperatorError, ShapeError
from tnsim.measure.expectation import expect_mpo
from tnsim.networks.canonical import canonicalize
from tnsim.networks.center_move import move_left, move_right
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.pair_terms import pair_terms
from tnsim.networks.two_site_gate import TwoSiteGate, TwoSites
from tnsim.networks.two_site_split import choose_method, split_two_site

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
        psi = canonicalize(psi.astype(dtype), psi.center or 0)
        norm = psi.norm()
        self._norm = 1.0 if settings.imaginary else norm
        self._tensors, self._center = (psi / norm).tensors, psi.center or 0
        self._method = choose_method(settings.split, settings.truncation, dtype)
        self._mpo: MPO | None = None

    @property
    def state(self) -> MPS:
        """The state, with the norm that truncation left of it (1 in imaginary time)."""
        return self._unit_state if self._norm == 1.0 else self._unit_state * self._norm

    @property
    def _unit_state(self) -> MPS:
        return MPS(self._tensors.copy(), self._sites, self._center)

    def energy(self, time: float) -> float | None:
        """<H> at a time; cost O(L chi^3 d w)."""
        if self.settings.non_hermitian:
            return None
        if self._mpo is None or self._constant is None:
            self._mpo = self.at(time).mpo(self._sites).to(self._tensors[0].backend)
        return complex(expect_mpo(self._mpo, self._unit_state)).real

    def entropy(self) -> float:
        """Von Neumann entropy at the middle bond."""
        return middle_entropy(self._unit_state)

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps; in real time the norm keeps what truncation left of it."""
        done = super().advance(time, dt, steps)
        if not self.settings.imaginary:
            self._norm *= float(np.exp(self._log_norm))
        return done

    def _matrices(self, H: OperatorSum) -> tuple[list[np.ndarray], bool]:
        terms, hermitian = pair_terms(H, self._sites)
        far = next((pair for pair in terms if pair[1] - pair[0] > 1), None)
        if far is not None:
            raise OperatorError(f"TEBD takes terms on neighbouring sites, found one on the sites {far}: use TDVP.")
        return [terms[i, i + 1] for i in range(len(self._sites) - 1)], hermitian

    def _apply_layer(self, gates: Layer) -> None:
        """From the end that is nearer to the centre; it stays near the other end."""
        rightwards = abs(self._center - gates[0][0]) <= abs(self._center - gates[-1][0] - 1)
        ordered = gates if rightwards else gates[::-1]
        for number, (bond, gate) in enumerate(ordered):
            self._move(bond)
            turns = number == len(ordered) - 1  # the next layer comes back
            self._apply(bond, gate, rightwards != turns)

    def _move(self, bond: int) -> None:
        """Bring the centre to one of the sites of a bond."""
        tensors = self._tensors
        while self._center < bond:
            here = slice(self._center, self._center + 2)
            tensors[here] = move_right(*tensors[here])
            self._center += 1
        while self._center > bond + 1:
            here = slice(self._center - 1, self._center + 1)
            tensors[here] = move_left(*tensors[here])
            self._center -= 1

    def _apply(self, bond: int, gate: TwoSiteGate, rightwards: bool) -> None:
        """One gate and its cut."""
        first, second = self._tensors[bond : bond + 2]
        pair = TwoSites(first, second)
        theta = pair.transform(pair.join(first, second), gate)
        if not self.unitary:
            self._log_norm += float(np.log(pair.backend.read(pair.backend.norm(theta))))
        cut = split_two_site(pair, theta, self.settings.truncation, rightwards=rightwards, method=self._method)
        self._tensors[bond], self._tensors[bond + 1] = cut.first, cut.second
        self._center = bond + 1 if rightwards else bond
        self._weight += cut.trunc_err
        self._log_norm += float(np.log1p(-cut.trunc_err)) / 2
