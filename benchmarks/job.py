"""What a ground-state benchmark is made of: a model, a start state, a schedule, and the energy it should reach."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Job:
    """`sweeps` full sweeps (right and left) at every bond dimension of `chis`, one after the other.

    model: "heisenberg" (sum S.S), "spin1" (the same with S = 1), "tfim" (-sum XX - sum Z, Pauli matrices) or
    "hydrogen" (a chain of L atoms, STO-3G, 1 Angstrom apart, in local orbitals); start: "neel", "up" (every spin
    along +z) or "aufbau" (a determinant); conserve: "Sz" (U(1)), "parity" (Z2), "N,Sz" or None;
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
        if self.model == "hydrogen":
            return replace(self, L=4, chis=(8, 16))
        return replace(self, L=24, chis=(16, 64))
