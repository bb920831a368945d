"""Simple update: gates on PEPS of which no more is known around a bond than the weights of the bonds that lead there.

Sources: H. C. Jiang, Z. Y. Weng, T. Xiang, Phys. Rev. Lett. 101, 090603 (2008); R. Alkabetz, I. Arad, Phys. Rev.
Research 3, 023073 (2021): its fixed point is one of belief propagation.
"""

from dataclasses import dataclass, field
from typing import Any

from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.evolution.splitting import stage_lengths
from tnsim.algorithms.peps.updates.belief_propagation import regauge, super_orthogonal
from tnsim.algorithms.peps.updates.path_update import path_energy, update_path
from tnsim.algorithms.peps.updates.plane_gates import PlaneGates
from tnsim.errors import SettingsError
from tnsim.networks.peps import PlaneTerms, SquareState
from tnsim.networks.peps.bond_graph import Walk
from tnsim.networks.peps.weighted import WeightedPEPS, without_weights
from tnsim.tensor import Tensor

# of the gauge in which states are handed out: largest change of weights in a round, and rounds at most
_GAUGE, _ROUNDS = 1e-7, 200


@dataclass(frozen=True, kw_only=True)
class SimpleUpdate(Evolution):
    """Time evolution of PEPS by gates in the Vidal gauge: `SimpleUpdate(...).run(H, psi, time=...)`.

    H: PlaneTerms; psi: PEPS, InfinitePEPS or WeightedPEPS. Terms on sites up to three steps apart are led over the
    sites between, by both ways around a corner. The state is a WeightedPEPS; energies in the reports are estimates of
    belief propagation, exact on trees, and neither bounds nor energies of the state, which CTMRG or a boundary MPS
    measure. The error of a step is O(dt^(order + 1)). Cost of a gate O(D^5 d^2 + D^3 d^6).

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.models import Heisenberg, Lattice
    >>> from tnsim.networks.peps import InfinitePEPS
    >>> H = PlaneTerms.infinite_of(Heisenberg(lattice=Lattice("square", 2, 2)), [[0, 1], [1, 0]])
    >>> psi = InfinitePEPS.product([H.sites[0][0]] * 2, ["up", "down"], [[0, 1], [1, 0]])
    >>> update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True, every=40)
    >>> [round(report.energy, 4) for report in update.steps(H, psi, time=4.0)]
    [-0.5, -0.6504]
    """

    order: int = field(default=2, metadata={"help": "of the splitting: 1, 2 or 4"})

    def __post_init__(self) -> None:
        super().__post_init__()
        stage_lengths(self.order)
        if self.step_tol:
            raise SettingsError("steps of a PEPS do not adapt: step_tol is 0.")

    def propagator(self, H: PlaneTerms, psi: SquareState | WeightedPEPS) -> "SimplyUpdated":
        """The state under its gates. Raises OperatorError, ShapeError or StateError for wrong input."""
        return SimplyUpdated(self, H, psi)


class SimplyUpdated(PlaneGates):
    """Tensors with the weights of all their bonds, and the weights."""

    def __init__(self, settings: SimpleUpdate, H: PlaneTerms, psi: SquareState | WeightedPEPS) -> None:
        plain = without_weights(psi)
        super().__init__(settings, H, plain, settings.order)
        weighted = psi if isinstance(psi, WeightedPEPS) else super_orthogonal(psi)
        self._like = plain.astype(self._dtype)
        self.tensors = self._with_ancillas(weighted.dressed(), plain.kinds)
        self.weights = list(weighted.weights)
        self._settled = True

    @property
    def state(self) -> WeightedPEPS:
        """The state in the Vidal gauge."""
        self.settle()
        return WeightedPEPS.undressed(self._like, self._without_ancillas(self.tensors), self.weights)

    def settle(self) -> None:
        """Bring the state to the Vidal gauge, from which gates that are not unitary bend it by O(dt)."""
        if not self._settled:
            regauge(self.tensors, self.weights, self.graph, tol=_GAUGE, max_rounds=_ROUNDS)
            self._settled = True

    def energy(self, time: float) -> float | None:
        """The estimate of belief propagation: per site if infinite."""
        self.settle()
        return self._energies(
            lambda walk, operator: path_energy(self.tensors, self.weights, self.graph, walk, operator)
        )

    def return_to(self, memory: Any) -> None:
        """Undo what was done since."""
        super().return_to(memory)
        self._settled = False

    def _apply(self, walk: Walk, gate: Tensor) -> tuple[float, float]:
        self._settled = False
        return update_path(self.tensors, self.weights, self.graph, walk, gate, self.settings.truncation)
