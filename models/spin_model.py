"""What the spin models share: sites, product states, and couplings of two spins as a 3 x 3 matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tnsim.errors import StateError
from tnsim.models.lattice import Pair
from tnsim.models.lattice_model import LatticeModel
from tnsim.models.setting import setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, spin_sites
from tnsim.networks.sites.spin import spin_components, spin_names

_LADDER = ("S+", "S-", "Sz")
_TO_LADDER = np.array([[0.5, 0.5, 0.0], [-0.5j, 0.5j, 0.0], [0.0, 0.0, 1.0]])  # Sx, Sy, Sz (rows) in S+, S-, Sz


@dataclass(frozen=True, kw_only=True)
class SpinModel(LatticeModel):
    """Equal spins on a lattice; product states neel (by sublattice), stripes (by column), alternating, up and down.

    balanced is alternating, but an odd last spin is as near to Sz = 0 as it can be.
    """

    S: float = setting(0.5, "spin length")
    conserve: str | None = setting("Sz", "conserved quantity: Sz, parity or none")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return spin_sites(self.L, self.S, self.conserve)

    @property
    def usual_start(self) -> str:
        """A Neel state becomes one that alternates along the MPS where the lattice has no two sublattices.

        Where the number of sites is odd there, the ground state is no member of a large total spin: balanced.
        """
        if self.start != "neel" or self.geometry.two_colouring is not None:
            return self.start
        return "balanced" if self.L % 2 and self.S > 0.5 else "alternating"

    def _patterns(self) -> dict[str, Sequence[str]]:
        known, names = super()._patterns(), spin_names(spin_components(self.S))
        balanced = [*list(known["neel"]) * (self.L // 2), *[names[len(names) // 2]] * (self.L % 2)]
        return known | {"alternating": known["neel"], "balanced": balanced, "stripes": known["neel"]}

    def _pattern(self, name: str) -> Sequence[str]:
        unit = super()._pattern(name)
        if self.is_open_chain or name not in ("neel", "stripes"):
            return unit
        # on twice the length, so that what does not repeat is seen on infinite cylinders
        lattice = self.geometry
        longer = lattice if lattice.bc_x == "periodic" else replace(lattice, Lx=2 * lattice.Lx)
        colours = [vertex.cell[0] % 2 for vertex in longer.vertices] if name == "stripes" else longer.two_colouring
        if colours is None:
            raise StateError(
                f"{self.geometry!r} has no two sublattices for a Neel state. Take an even length around (on a chain, "
                "ladder or square lattice), or start from alternating or stripes."
            )
        repeats = colours[: self.L] == colours[self.L :]
        return [unit[colour] for colour in (colours[: self.L] if repeats else colours)]

    def add_isotropic(self, H: OperatorSum, name: str) -> None:
        """Add J S_i . S_j with the coupling of this name on all its pairs."""
        for pair, J in self.on_pairs(name):
            add_exchange(H, pair, exchange_matrix(J, J, J), self.flux)

    def add_field(self, H: OperatorSum, name: str, operator: str, sign: float = -1.0) -> None:
        """Add sign * h_i operator_i with the coupling of this name; with sign -1 spins follow the field."""
        for i, h in self.on_sites(name):
            H += sign * h, operator, i


def exchange_matrix(
    x: float = 0.0, y: float = 0.0, z: float = 0.0, D: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> np.ndarray:
    """The matrix m of S_i . m . S_j = x Sx Sx + y Sy Sy + z Sz Sz + D . (S_i x S_j).

    >>> exchange_matrix(1.0, 1.0, 1.0, D=(0.0, 0.0, 0.5)).tolist()
    [[1.0, 0.5, 0.0], [-0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    matrix = np.diag([x, y, z]).astype(float)
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        matrix[b, c] += D[a]
        matrix[c, b] -= D[a]
    return matrix


def exchange_terms(matrix: np.ndarray, phase: complex = 1.0) -> list[tuple[complex, str, str]]:
    """S_i . matrix . S_j as (coefficient, operator on i, operator on j); the step S-_i S+_j takes the phase.

    >>> exchange_terms(exchange_matrix(1.0, 1.0, 2.0))
    [(0.5, 'S+', 'S-'), (0.5, 'S-', 'S+'), (2.0, 'Sz', 'Sz')]
    """
    coefficients = _TO_LADDER.T @ matrix @ _TO_LADDER * np.array([phase, np.conj(phase), 1.0])
    limit = 1e-14 * np.abs(matrix).max()
    return [
        (value.real if abs(value.imag) <= limit else value, _LADDER[a], _LADDER[b])
        for (a, b), value in zip(np.ndindex(3, 3), coefficients.ravel().tolist(), strict=True)
        if abs(value) > limit
    ]


def add_exchange(H: OperatorSum, pair: Pair, matrix: np.ndarray, flux: float = 0.0) -> None:
    """Add S_i . matrix . S_j for a pair of neighbours, twisted by a flux."""
    for coefficient, first, second in exchange_terms(matrix, pair.phase(flux)):
        H += coefficient, first, pair.i, second, pair.j
