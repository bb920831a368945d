"""Full update: bonds of a PEPS are cut by the whole state around them.

Sources: J. Jordan, R. Orus, G. Vidal, F. Verstraete, J. I. Cirac, Phys. Rev. Lett. 101, 250602 (2008); for the fast
full update and its gauge H. N. Phien, J. A. Bengua, H. D. Tuan, P. Corboz, R. Orus, Phys. Rev. B 92, 035142 (2015); for
finite lattices M. Lubasch, J. I. Cirac, M. C. Banuls, Phys. Rev. B 90, 064425 (2014).
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.evolution.splitting import stage_lengths
from tnsim.algorithms.peps.updates.bond_frame import BondFrame
from tnsim.algorithms.peps.updates.bond_truncation import positive
from tnsim.algorithms.peps.updates.boundary_metric import BoundaryMetric
from tnsim.algorithms.peps.updates.corner_metric import CornerMetric
from tnsim.algorithms.peps.updates.metric_gates import MetricGates
from tnsim.algorithms.peps.updates.plane_gates import layers_of
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.solution import Status
from tnsim.errors import SettingsError, StateError
from tnsim.linalg import Truncation
from tnsim.networks.peps import CylinderPEPS, InfinitePEPS, PlaneTerms, SquareState
from tnsim.networks.peps.bond_graph import Link
from tnsim.networks.peps.weighted import WeightedPEPS, without_weights
from tnsim.networks.square_network import EAST, WEST
from tnsim.tensor import Tensor


@dataclass(frozen=True, kw_only=True)
class FullUpdate(Evolution):
    """Time evolution of PEPS by gates, each bond cut by the whole state around it: `FullUpdate(...).run(H, psi, ...)`.

    H: PlaneTerms; psi: PEPS, InfinitePEPS or WeightedPEPS, such as simple update left it. Surroundings come from corner
    transfer matrices, which one step or so brings up to date after every gate (infinite, the fast full update), or from
    boundary MPS (finite). They are made Hermitian and positive; `clipped` in reports says how much was negative, and
    above `clip_max` the run stops. Energies in the reports come from the same surroundings. Cost of a gate that of some
    steps of CTMRG, or of a row by boundary MPS, and O(D^8 d^4).

    Each gate moves the reduced parts of the two tensors of its bond, as near to the result as these can come. On a
    lattice with loops other tensors could take up a part of it, so that even as dt goes to 0 the limit is not the
    minimum of the energy at D, which a full update that starts there leaves. Heisenberg model, square lattice, energy
    per site after simple update, after full update, at the minimum: D = 2 -0.65926, -0.6595, -0.66023; D = 3 -0.66328,
    -0.6640, -0.66813; D = 4 -0.66749, -0.66873, -0.66897. Energies may rise on the way, and longer steps may end lower
    (D = 2: -0.65970 with 0.25, -0.65958 with 0.1, -0.65947 with 0.02). Charges on bonds, if the start has any, are
    those that simple update chose (D = 3: the minimum over one tensor with these is -0.66460).
    The minima are for `VariationalPEPS`, of which this is a good start. On a finite lattice each boundary is made once
    for all gates along a row, or column. 10 x 10 sites, D = 4, exact -0.62866: simple update -0.62391, neighbourhood
    update in steps down to 0.05 -0.62571, four steps of 0.2 of full update after it -0.62601, and still falling; eight
    iterations by gradient after it, at chi = 20, instead -0.62672.
    """

    environment: Truncation = field(metadata={"help": "how bonds of corners, or of boundary MPS, are cut"})
    order: int = field(default=2, metadata={"help": "of the splitting: 1, 2 or 4"})
    sweeps: int = field(default=50, metadata={"help": "least squares sweeps at most for each cut"})
    # two take in both new tensors where all columns are alike
    env_steps: int = field(default=2, metadata={"help": "infinite: steps of CTMRG after every gate"})
    env_tol: float = field(default=1e-7, metadata={"help": "infinite: of the corners, where they are made anew"})
    projector: str = field(default="half", metadata={"help": "infinite: full or half (of the ring of corners)"})
    clip_max: float = field(default=0.05, metadata={"help": "stop where a larger share of an environment is negative"})

    def __post_init__(self) -> None:
        super().__post_init__()
        stage_lengths(self.order)
        if self.step_tol:
            raise SettingsError("steps of a PEPS do not adapt: step_tol is 0.")
        if self.sweeps < 0 or self.env_steps < 1 or not 0 < self.env_tol < 1 or not 0 < self.clip_max <= 1:
            raise SettingsError("sweeps is at least 0, env_steps at least 1, env_tol and clip_max lie in (0, 1).")
        self.ctmrg()

    def ctmrg(self) -> CTMRG:
        """The settings of corner transfer matrices made anew."""
        return CTMRG(
            truncation=self.environment, symmetric=False, projector=self.projector, tol=self.env_tol, check_every=4,
            max_steps=400,
        )  # fmt: skip

    def propagator(self, H: PlaneTerms, psi: SquareState | WeightedPEPS) -> "FullyUpdated":
        """The state under its gates. Raises OperatorError, ShapeError or StateError for wrong input."""
        return FullyUpdated(self, H, psi)


class FullyUpdated(MetricGates):
    """Tensors whose bonds are cut by the whole state; clipped: the largest negative share since the last report."""

    settings: FullUpdate

    def __init__(self, settings: FullUpdate, H: PlaneTerms, psi: SquareState | WeightedPEPS) -> None:
        super().__init__(settings, H, psi, settings.order)
        plain = without_weights(psi)
        if isinstance(plain, CylinderPEPS):
            raise StateError(
                "full update knows no surroundings of a bond on a cylinder: take SimpleUpdate or NeighbourhoodUpdate."
            )
        self.clipped, self._count = 0.0, 0
        self._around: CornerMetric | BoundaryMetric
        like = self.state.psi
        if isinstance(like, InfinitePEPS):
            self._around = CornerMetric(settings.ctmrg(), like)
        else:
            self._around = BoundaryMetric(settings.environment, self.graph, like.tensors)
            self._layers = self._layers_along_lines()

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        self.clipped = 0.0
        return super().advance(time, dt, steps)

    def _layers_along_lines(self) -> list[list[int]]:
        """Layers of gates along rows, then along columns, line by line, then of gates that reach further."""
        kinds: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for number, term in enumerate(self._terms):
            kinds[len(term.walk.legs), term.walk.legs[0] not in (EAST, WEST)].append(number)
        return [
            sorted((kinds[kind][n] for n in layer), key=self._place)
            for kind in sorted(kinds)
            for layer in layers_of([self._terms[number].walk for number in kinds[kind]])
        ]

    def _passes(self, steps: int) -> Iterator[list[tuple[int, float]]]:
        """On a finite lattice all layers along rows that follow each other (or along columns) are done row by row.

        It is the same product of gates, as those of different rows share no site, and each boundary is made once for
        all of them.
        """
        if isinstance(self._around, CornerMetric):
            yield from super()._passes(steps)
            return
        for _, layers in groupby(self.schedule(steps), key=lambda entry: self._kind(entry[0])):
            gates = [(number, length) for layer, length in layers for number in self._layers[layer]]
            # stable: the layers of a row keep their order
            yield sorted(gates, key=lambda gate: self._place(gate[0])[0])

    def _kind(self, layer: int) -> object:
        """What layers have in common that lie along rows, or along columns; others stand alone."""
        legs = self._terms[self._layers[layer][0]].walk.legs
        return legs[0] in (EAST, WEST) if len(legs) == 1 else (layer,)

    def _place(self, number: int) -> tuple[int, int]:
        """The line of a gate, row or column, and where it begins on it: in this order boundaries move least."""
        walk, width = self._terms[number].walk, self.graph.shape[1]
        row, column = divmod(walk.numbers[0], width)
        return (row, column) if walk.legs[0] in (EAST, WEST) else (column, row)

    def trouble(self) -> Status | None:
        """Why to stop, if so."""
        if self.clipped <= self.settings.clip_max:
            return None
        return Status(
            "environment not positive", False,
            f"{self.clipped:.1%} of the environment of a bond was negative, above clip_max = "
            f"{self.settings.clip_max:.1%} ({self._count} environments so far): raise chi_max = "
            f"{self.settings.environment.chi_max} of the environment or env_steps, or start from simple update.",
        )  # fmt: skip

    def _metric(self, frame: BondFrame) -> Tensor:
        metric, share = positive(self._around.metric(frame))
        self.clipped, self._count = max(self.clipped, share), self._count + (share > 1e-12)
        return metric

    def _replaced(self, link: Link) -> None:
        self._around.replaced(self._without_ancillas(self.tensors), link, self.settings.env_steps)
