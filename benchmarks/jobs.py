"""What is timed: model, schedule and exact energy of every ground-state job."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """`sweeps` full sweeps (right and left) at every bond dimension of `chis`, one after the other.

    `energy` is exact, or a converged reference where `exact` is False.
    """

    name: str
    model: str
    L: int
    chis: tuple[int, ...]
    energy: float
    source: str
    exact: bool = True
    conserve: str | None = "Sz"
    sweeps: int = 2

    @property
    def half_sweeps(self) -> int:
        return 2 * self.sweeps * len(self.chis)


JOBS = {
    job.name: job
    for job in (
        Job("heisenberg", "heisenberg", 100, (20, 50, 100, 200), -44.1277398932962, "open Bethe equations"),
        Job("spin1", "spin1", 100, (50, 100, 200), -138.94008616656, "block2 SU(2), chi 200", exact=False),
        Job("tfim", "tfim", 100, (20, 50, 100), -126.9618767396807, "free fermions", conserve=None),
        Job("tfim-z2", "tfim", 100, (20, 50, 100), -126.9618767396807, "free fermions", conserve="parity"),
    )
}
