"""What a ground-state benchmark is made of: a model, a start state, a schedule, and the energy it should reach."""

from dataclasses import dataclass, replace
from itertools import product


@dataclass(frozen=True, kw_only=True)
class Job:
    """`sweeps` full sweeps (right and left) at every bond dimension of `chis`, one after the other.

    model: "heisenberg" (sum S.S), "spin1" (the same with S = 1), "tfim" (-sum XX - sum Z, Pauli matrices), "j1j2"
    (S.S of nearest and half of it of second neighbours), "hubbard" (t = 1, U = 8) or "hydrogen" (a chain of L atoms,
    STO-3G, 1 Angstrom apart, in local orbitals); width: sites around a square cylinder of L sites in all, 1: a chain;
    electrons: of a Hubbard model; start: "neel", "up" (every spin along +z) or "aufbau" (a determinant); conserve:
    "Sz" (U(1)), "parity" (Z2), "N,Sz" or None; noisy: stages, the first ones, in which every engine mixes as it does;
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
    width: int = 1
    electrons: int = 0
    noisy: int = 0
    engines: tuple[str, ...] = ("tnsim", "tenpy", "block2")

    @property
    def half_sweeps(self) -> int:
        return 2 * self.sweeps * len(self.chis)

    @property
    def electron_states(self) -> list[str]:
        """A product state: electrons spread evenly, spins in turn, as tnsim's Hubbard model starts."""
        ends = [-(-i * self.electrons // self.L) for i in range(self.L + 1)]
        spins = iter(["up", "down"] * self.L)
        return [next(spins) if after > before else "empty" for before, after in zip(ends, ends[1:], strict=False)]

    def up_to(self, stages: int) -> "Job":
        """The same with the first bond dimensions only."""
        return replace(self, chis=self.chis[:stages])

    def shorter(self) -> "Job":
        """Half as long, of a molecule two thirds, with the same filling; its energy is not known."""
        length = 10 if self.model == "hydrogen" else self.L // 2
        return replace(self, L=length, electrons=self.electrons * length // self.L, energy=float("nan"))

    def tiny(self) -> "Job":
        """The same kind of tensors in a second or less: imports, compilation and caches, outside the timer."""
        if self.model == "hydrogen":
            return replace(self, L=4, chis=(8, 16))
        if self.width > 1:
            size = 4 * self.width
            return replace(self, L=size, electrons=self.electrons and size, chis=(16, 64))
        return replace(self, L=24, electrons=self.electrons and 24, chis=(16, 64))

    def pairs(self, order: int) -> list[tuple[int, int]]:
        """Neighbours of this order (1: nearest, 2: second), columns of the cylinder one after the other.

        Without tnsim, whose imports would count in the memory of the others.
        """
        width, found = self.width, set()
        if width == 1:
            return [(i, i + order) for i in range(self.L - order)]
        for x, y in product(range(self.L // width), range(width)):
            steps = ((0, 1), (1, 0)) if order == 1 else ((1, 1), (1, -1))
            for right, up in steps:
                if x + right < self.L // width:
                    found.add((x * width + y, (x + right) * width + (y + up) % width))
        return sorted((min(pair), max(pair)) for pair in found)
