"""What a ground-state benchmark is made of: a model, a start state, a schedule, and the energy it should reach."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Job:
    """`sweeps` full sweeps (right and left) at every bond dimension of `chis`, one after the other.

    model: "heisenberg" (sum S.S), "spin1" (the same with S = 1) or "tfim" (-sum XX - sum Z, Pauli matrices);
    start: "neel" or "up" (every spin along +z); conserve: "Sz" (U(1)), "parity" (Z2) or None;
    energy: exact, or a converged reference where `exact` is False; engines: what runs unless asked otherwise.
    """

    name: str
    question: str
    model: str
    L: int
    start: str
    conserve: str | None
    chis: tuple[int, ...]
    energy: float
    source: str
    exact: bool = True
    sweeps: int = 2
    engines: tuple[str, ...] = ("tnsim", "tenpy", "block2")

    @property
    def half_sweeps(self) -> int:
        return 2 * self.sweeps * len(self.chis)

    def tiny(self) -> "Job":
        """The same kind of tensors in a second or less: imports, compilation and caches, outside the timer."""
        return replace(self, L=24, chis=(16, 64))
