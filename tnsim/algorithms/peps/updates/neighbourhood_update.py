"""Neighbourhood tensor update: bonds of a PEPS are cut by the exact norm of the cluster of their neighbours.

Source: J. Dziarmaga, Phys. Rev. B 104, 094411 (2021).
"""

from dataclasses import dataclass, field

from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.evolution.splitting import stage_lengths
from tnsim.algorithms.peps.updates.belief_propagation import regauge, super_orthogonal
from tnsim.algorithms.peps.updates.bond_frame import BondFrame
from tnsim.algorithms.peps.updates.metric_gates import MetricGates
from tnsim.algorithms.peps.updates.neighbourhood import Neighbourhood, neighbourhood_metric
from tnsim.errors import SettingsError
from tnsim.networks.peps import PlaneTerms, SquareState
from tnsim.networks.peps.weighted import WeightedPEPS, scaled
from tnsim.tensor import Tensor

# of the gauge in which states are handed out: largest change of weights in a round, and rounds at most
_GAUGE, _ROUNDS = 1e-7, 200


@dataclass(frozen=True, kw_only=True)
class NeighbourhoodUpdate(Evolution):
    """Time evolution of PEPS by gates, each bond cut by its nearest neighbours: `NeighbourhoodUpdate(...).run(...)`.

    H: PlaneTerms; psi: PEPS, InfinitePEPS or WeightedPEPS. Between the simple and the full update in cost and accuracy,
    and the one for time evolution and thermal states: the metric is exact for its cluster, so it is always positive.
    Energies in the reports are those of the clusters, no bounds. Cost of a gate O(D^7 d + D^8 d^4).

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.models import Heisenberg, Lattice
    >>> from tnsim.networks.peps import PEPS
    >>> H = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 2, 2)))
    >>> psi = PEPS.product(H.sites, [["up", "down"], ["down", "up"]])
    >>> update = NeighbourhoodUpdate(dt=0.05, truncation=Truncation(chi_max=3), imaginary=True, every=100)
    >>> round(update.run(H, psi, time=5.0).energy, 2)  # exact: -2
    -2.0
    """

    order: int = field(default=2, metadata={"help": "of the splitting: 1, 2 or 4"})
    sweeps: int = field(default=50, metadata={"help": "least squares sweeps at most for each cut"})

    def __post_init__(self) -> None:
        super().__post_init__()
        stage_lengths(self.order)
        if self.step_tol:
            raise SettingsError("steps of a PEPS do not adapt: step_tol is 0.")
        if self.sweeps < 0:
            raise SettingsError(f"sweeps is at least 0, found {self.sweeps}.")

    def propagator(self, H: PlaneTerms, psi: SquareState | WeightedPEPS) -> "NeighbourhoodUpdated":
        """The state under its gates. Raises OperatorError, ShapeError or StateError for wrong input."""
        return NeighbourhoodUpdated(self, H, psi, self.order)


class NeighbourhoodUpdated(MetricGates):
    """Tensors whose bonds are cut by their neighbours; after every layer of gates a round leads to the Vidal gauge."""

    def __init__(
        self, settings: NeighbourhoodUpdate, H: PlaneTerms, psi: SquareState | WeightedPEPS, order: int
    ) -> None:
        super().__init__(settings, H, psi if isinstance(psi, WeightedPEPS) else super_orthogonal(psi), order)

    def _metric(self, frame: BondFrame) -> Tensor:
        return neighbourhood_metric(Neighbourhood(self.tensors, self.weights, self.graph), frame)

    def settle(self) -> None:
        """Bring the state to the Vidal gauge."""
        self._regauge(_GAUGE, _ROUNDS)

    def _layer_done(self) -> None:
        self._regauge(_GAUGE, 1)

    def _regauge(self, tol: float, rounds: int) -> None:
        dressed = scaled(self.graph, self.tensors, self.weights, 0.5)
        regauge(dressed, self.weights, self.graph, tol=tol, max_rounds=rounds)
        self.tensors = scaled(self.graph, dressed, self.weights, -0.5)
