"""TEBD of a finite state: layers of gates on neighbours, or one sequence of gates and swaps for terms that reach
farther."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from tnsim.algorithms.evolution.error_budget import CutShares
from tnsim.algorithms.evolution.evolution import check_start, middle_entropy
from tnsim.algorithms.evolution.gate_layers import GateLayers, Layer, Terms, TimeDependent, exponential
from tnsim.algorithms.evolution.splitting import composition_lengths
from tnsim.backend import one_thread, thread_count
from tnsim.errors import ShapeError
from tnsim.measure.expectation import expect_mpo
from tnsim.networks.flat_chain import FlatChain
from tnsim.networks.gated_state import GatedState, swap_gate, swap_matrix
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.pair_terms import pair_terms
from tnsim.networks.two_site_gate import two_site_gate

if TYPE_CHECKING:
    from tnsim.algorithms.evolution.tebd import TEBD

# chains below have halves of few gates
_SHORT = 8


class FiniteTEBD(GateLayers):
    """A finite state under layers of gates: tensors of norm 1 with a centre, and the norm beside them.

    On the CPU unitary layers act on a `FlatChain` whole; what it does not take goes gate by gate, with a centre.
    """

    def __init__(self, settings: "TEBD", H: OperatorSum | TimeDependent, psi: MPS) -> None:
        if psi.L < 2:
            raise ShapeError(f"TEBD needs at least 2 sites, found {psi.L}.")
        super().__init__(settings, H, psi.sites)
        check_start(psi)
        dtype = self._dtype(psi.dtype)
        self._gated = GatedState(psi.astype(dtype), settings.truncation, split=settings.split, unitary=self.unitary)
        self._norm = 1.0 if settings.imaginary else self._gated.norm
        self.cuts, self._weight = CutShares(settings.truncation), 0.0
        self._mpo: MPO | None = None
        self._flat: FlatChain | None = None

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
        self._weight = self._gated.weight = self._gated.log_norm = 0.0
        self._evolve(time, dt, steps)
        self._settle()
        if not self.settings.imaginary:
            self._norm *= float(np.exp(self._gated.log_norm))
        return self._weight, self._gated.log_norm

    def remember(self) -> Any:
        """Tensors are replaced, never changed: the list is enough."""
        return self._gated.tensors.copy(), self._gated.center, self._norm

    def return_to(self, memory: Any) -> None:
        """Undo what was done since."""
        tensors, self._gated.center, self._norm = memory
        self._gated.tensors = tensors.copy()

    def _matrices(self, H: OperatorSum) -> tuple[Terms, bool]:
        return pair_terms(H, self._sites)

    def _run(self, terms: Terms, stages: tuple[float, ...], dt: float) -> None:
        """Even and odd bonds in turn, or all pairs in order and in the opposite order in turn."""
        if all(j == i + 1 for i, j in terms):
            super()._run(terms, stages, dt)
            return
        self._settle()
        lengths = composition_lengths(stages)
        for number, length in enumerate(lengths):
            key = number % 2, length * dt
            if key not in self._layers:
                self._layers[key] = self._walks(terms, backwards=bool(number % 2), tau=length * dt)
            if length:
                self._apply_walks(self._layers[key], len(lengths) * (1 + self._runs_after) - number)

    def _walks(self, terms: Terms, *, backwards: bool, tau: float) -> Layer:
        """Every site walks to the right by swaps, meets all that it has terms with, and walks back.

        i j k l  ->  (gate ij, swap)  j i k l  ->  (gate ik, swap)  j k i l  ->  (gate il)  ->  swaps back
        """
        steps = []
        for i in range(len(self._sites) - 1):
            reach = max(j for first, j in terms if first == i)
            for j in range(i + 1, reach + 1):
                sites = self._sites[i], self._sites[j]
                matrix = exponential(self.settings.generator * tau, terms[i, j]) if (i, j) in terms else None
                if j < reach:
                    swap = swap_matrix(sites)
                    matrix = swap if matrix is None else matrix @ swap if backwards else swap @ matrix
                assert matrix is not None  # there is a term at the end of the reach
                steps.append((j - 1, two_site_gate(matrix, sites)))
            steps += [(bond, swap_gate(self._sites[bond : bond + 2])) for bond in range(reach - 2, i - 1, -1)]
        return steps[::-1] if backwards else steps

    def _apply_walks(self, steps: Layer, left: int) -> None:
        """One gate after the other, each a layer of its own; `left` such walks are left."""
        for number, (bond, gate) in enumerate(steps):
            following = steps[min(number + 1, len(steps) - 1)][0]
            self._gated.truncation = self.cuts.rule(1, left * len(steps) - number)
            self._gated.on_bond(bond, gate, rightwards=following > bond)
            self._count(1)

    def _apply_layers(self, layers: list[Layer]) -> None:
        """Whole layers on the flat chain, or with two threads two layers at a time on both halves of the chain:
        outwards, then back to the middle."""
        gated = self._gated
        left = len(layers) * (1 + self._runs_after)
        if self.unitary and FlatChain.takes(gated.tensors[0], gated.method):
            if self._flat is None or not self._flat.holds(gated.tensors):
                self._flat = FlatChain(gated.state, gated.truncation)
            for number, layer in enumerate(layers):
                self._flat.truncation = self.cuts.rule(len(layer), left - number)
                self.cuts.spend(self._flat.apply(layer))
            return
        together = 2 if self._has_halves() else 1
        for number in range(0, len(layers), together):
            now = layers[number : number + together]
            gated.truncation = self.cuts.rule(max(map(len, now)), left - number)
            if len(now) == 2:
                self._apply_pair(*now)
            else:
                self._apply_layer(*now)
            self._count(len(now))

    def _count(self, layers: int) -> None:
        """What gates of some layers cut."""
        weight, self._gated.weight = self._gated.weight, 0.0
        self._weight += weight
        self.cuts.spend(weight, layers)

    def _settle(self) -> None:
        """What the flat chain did comes back to the state."""
        if self._flat is None or not self._flat.pending:
            return
        psi, weight, log_norm = self._flat.finish()
        self._gated.tensors, self._gated.center = psi.tensors, 0
        self._weight += weight
        self._gated.log_norm += log_norm

    def _has_halves(self) -> bool:
        """Whether two threads are to be had, and halves that are worth one each."""
        here = self._gated.tensors[0].backend.kernels.name == "cpu" and len(self._sites) >= _SHORT
        return here and thread_count() > 1

    def _apply_pair(self, outwards: Layer, inwards: Layer) -> None:
        """A layer without the middle bond, and one with it: all but its gate side by side."""
        middle, gate = min(inwards, key=lambda step: abs(2 * step[0] + 2 - len(self._sites)))
        left, right, values = self._gated.halves(middle)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(_sweep_half, right, outwards, inwards, middle + 1)
            _sweep_half(left, outwards, inwards, 0, middle)
            other.result()
        self._gated.rejoin(left, right, values)
        self._gated.on_bond(middle, gate, rightwards=False)

    def _apply_layer(self, gates: Layer) -> None:
        """From the end that is nearer to the centre; it stays near the other end."""
        center = self._gated.center
        rightwards = abs(center - gates[0][0]) <= abs(center - gates[-1][0] - 1)
        ordered = gates if rightwards else gates[::-1]
        for number, (bond, gate) in enumerate(ordered):
            turns = number == len(ordered) - 1  # the next layer comes back
            self._gated.on_bond(bond, gate, rightwards=rightwards != turns)


def _sweep_half(half: GatedState, outwards: Layer, inwards: Layer, first: int, end: int | None = None) -> None:
    """The gates of two layers that lie in a half, from the middle to the end of the chain and back; `first` is the
    half's first site in the chain, `end` the bond that ends the left half."""
    to_the_left = end is not None
    with one_thread():
        for layer, goes_left in ((outwards, to_the_left), (inwards, not to_the_left)):
            steps = [(bond - first, gate) for bond, gate in layer if bond >= first and (end is None or bond < end)]
            for number, (bond, gate) in enumerate(steps[::-1] if goes_left else steps):
                turns = number == len(steps) - 1 and layer is outwards
                half.on_bond(bond, gate, rightwards=goes_left == turns)
