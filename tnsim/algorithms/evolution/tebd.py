"""Time-evolving block decimation: gates on neighbouring sites, all even bonds and all odd bonds in turn.

Sources: G. Vidal, Phys. Rev. Lett. 93, 040502 (2004); S. R. White, A. E. Feiguin, Phys. Rev. Lett. 93, 076401 (2004).
"""

from dataclasses import dataclass, field

from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.evolution.gate_layers import TimeDependent
from tnsim.algorithms.evolution.splitting import SPLITTINGS, stage_lengths
from tnsim.algorithms.evolution.tebd_finite import FiniteTEBD
from tnsim.algorithms.evolution.tebd_infinite import InfiniteTEBD
from tnsim.errors import SettingsError, StateError
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum

SPLITS = ("auto", "leading", "qr", "gram", "svd")


@dataclass(frozen=True, kw_only=True)
class TEBD(Evolution):
    """Time evolution by gates, of sums of terms on one or two sites: `TEBD(...).run(H, psi, time=...)`.

    H: an OperatorSum, or a function of the time that returns one; psi: an MPS, or an InfiniteMPS with an even cell (H
    names the sites of a cell and those it reaches, energies are per site). The error of a step is O(dt^(order + 1))
    times nested commutators of neighbouring terms, that of a time O(dt^order); each cut adds sqrt(discarded weight)
    at most. Cost of a step: 1.5 cuts a bond for order 2 (1 where steps join), 5.5 (5) for order 4, each O(chi^3 d^3).
    In real time on the CPU a layer is one compiled call whose gates threads share (`split` "auto" or "leading").
    Terms on sites that are no neighbours (of a finite state, equal sites) take swaps: of reach r, 2 r cuts a site
    where neighbours have one, and twice as many stages; TDVP is often cheaper.

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.sites import spin_sites
    >>> psi, H = MPS.product(spin_sites(4), ["up", "down"] * 2), OperatorSum()
    >>> for i in range(3):
    ...     H += 0.5, "S+", i, "S-", i + 1
    ...     H += 0.5, "S-", i, "S+", i + 1
    >>> evolved = TEBD(dt=0.1, truncation=Truncation(chi_max=8)).run(H, psi, time=1.0)
    >>> evolved.status.name, abs(evolved.history[-1].energy_drift) < 1e-6
    ('finished', True)
    """

    order: int = field(default=4, metadata={"help": "of the splitting: 1, 2 or 4"})
    splitting: str = field(
        default="optimized",
        metadata={"help": "of order 4: optimized (Barthel and Zhang) or suzuki", "choices": SPLITTINGS},
    )
    split: str = field(
        default="auto",
        metadata={"help": "leading, qr, gram or svd; auto is leading where svd_min allows it", "choices": SPLITS},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        stage_lengths(self.order, self.splitting)
        if self.split not in SPLITS:
            raise SettingsError(f"split must be one of {SPLITS}, found {self.split!r}.")

    def propagator(self, H: OperatorSum | TimeDependent, psi: MPS | InfiniteMPS) -> FiniteTEBD | InfiniteTEBD:
        """The state under its gates. Raises OperatorError, ShapeError, ChargeError or StateError for wrong input."""
        if isinstance(psi, InfiniteMPS):
            return InfiniteTEBD(self, H, psi)
        if not isinstance(psi, MPS):
            raise StateError(f"TEBD evolves an MPS or an InfiniteMPS, found {type(psi).__name__}.")
        return FiniteTEBD(self, H, psi)
