"""Updates that cut a bond by a metric of its surroundings: what the neighbourhood and the full update share."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.peps.updates.bond_fit import expectation
from tnsim.algorithms.peps.updates.bond_frame import BondFrame
from tnsim.algorithms.peps.updates.bond_truncation import cut_bond, positive_norm
from tnsim.algorithms.peps.updates.path_update import act, update_path
from tnsim.algorithms.peps.updates.plane_gates import PlaneGates
from tnsim.linalg import Spectrum, Truncation
from tnsim.networks.peps import PlaneTerms, SquareState
from tnsim.networks.peps.bond_graph import Link, Walk
from tnsim.networks.peps.weighted import WeightedPEPS, scale_leg, without_weights
from tnsim.tensor import Tensor

# of bonds that a gate between sites which are no neighbours has made larger, before they are cut
_EXACT = Truncation(chi_max=10**6, svd_min=1e-12)


class MetricGates(PlaneGates):
    """Tensors of the state as it is; weights are the singular values of the two reduced tensors of a bond."""

    settings: Any  # an Evolution with `sweeps` of the fit of a bond

    def __init__(self, settings: Evolution, H: PlaneTerms, psi: SquareState | WeightedPEPS, order: int) -> None:
        plain = without_weights(psi)
        super().__init__(settings, H, plain, order)
        weighted = psi if isinstance(psi, WeightedPEPS) else WeightedPEPS.plain(psi)
        self._like = plain.astype(self._dtype)
        self.tensors = self._with_ancillas(plain.tensors, plain.kinds)
        self.weights = list(weighted.weights)

    @abstractmethod
    def _metric(self, frame: BondFrame) -> Tensor:
        """What surrounds a bond, Hermitian and positive: legs (k0', k1', k0, k1)."""

    def _replaced(self, link: Link) -> None:
        """Called when both tensors of a bond are new."""

    @property
    def state(self) -> WeightedPEPS:
        """The state, beside the singular values of its bonds (which are no Vidal gauge)."""
        return WeightedPEPS(self._like.with_tensors(self._without_ancillas(self.tensors)), self.weights)

    def energy(self, time: float) -> float | None:
        """From the same surroundings; None with terms on sites that are no neighbours, or H not Hermitian."""
        if any(len(term.walk.legs) > 1 for term in self._terms):
            return None
        self.settle()
        frames: dict[int, tuple[BondFrame, Tensor]] = {}

        def mean(walk: Walk, operator: Tensor) -> float:
            number = self._bond(walk)
            if number not in frames:
                frame = BondFrame.of(self.tensors, self.graph.links[number])
                frames[number] = frame, self._metric(frame)
            frame, metric = frames[number]
            norm = positive_norm(expectation(metric, frame.theta, frame.theta))
            return float(np.real(expectation(metric, frame.theta, act(operator, frame.theta)) / norm))

        return self._energies(mean)

    def marks(self) -> list[np.ndarray]:
        """The energy, where there is one: singular values of bonds depend on the gauge here."""
        energy = self.energy(0.0)
        return super().marks() if energy is None else [np.array([energy])]

    def _apply(self, walk: Walk, gate: Tensor) -> tuple[float, float]:
        if len(walk.legs) == 1:
            return self._cut(self._bond(walk), lambda theta: act(gate, theta))
        self._enlarge(walk, gate)
        done = [
            self._cut(self._bond(Walk(walk.numbers[k : k + 2], walk.legs[k : k + 1])), lambda theta: theta)
            for k in range(len(walk.legs))
        ]
        return sum(weight for weight, _ in done), float(np.prod([factor for _, factor in done]))

    def _cut(self, number: int, change: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """Change what a bond joins, and cut it to the bond dimension that is allowed."""
        link = self.graph.links[number]
        frame = BondFrame.of(self.tensors, link)
        metric = self._metric(frame)
        before = positive_norm(expectation(metric, frame.theta, frame.theta))
        cut = cut_bond(change(frame.theta), metric, self.settings.truncation, sweeps=self.settings.sweeps)
        self.tensors[link.first], self.tensors[link.second] = frame.tensors(cut.first, cut.second)
        self.weights[number] = cut.spectrum
        self._replaced(link)
        return cut.error, cut.norm / before**0.5

    def _enlarge(self, walk: Walk, gate: Tensor) -> None:
        """A gate on the ends of a walk without a cut: its bonds grow."""
        ones = [Spectrum(weight.leg, np.ones(weight.leg.dim)) for weight in self.weights]
        update_path(self.tensors, ones, self.graph, walk, gate, _EXACT)
        for number, leg in zip(walk.numbers, walk.legs, strict=False):
            bond = self.graph.at[number][leg]
            assert bond is not None
            link, spectrum = self.graph.links[bond], ones[bond]
            for tensor, end in ((link.first, link.direction), (link.second, (link.direction + 2) % 4)):
                self.tensors[tensor] = scale_leg(self.tensors[tensor], end, spectrum.values**-0.5)
            self.weights[bond] = spectrum

    def _bond(self, walk: Walk) -> int:
        bond = self.graph.at[walk.numbers[0]][walk.legs[0]]
        assert bond is not None
        return bond
